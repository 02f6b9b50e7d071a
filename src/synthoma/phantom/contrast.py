"""How bright each tissue is: relaxation times, the signal equations of four sequences, and a site's protocol.

Relaxation times in ms at 1.5 T, rounded from Stanisz et al. 2005 (Magn Reson Med 54:507), Wansapura et al. 1999
(JMRI 9:531) and, for tumours, Bottomley et al. 1987 (Med Phys 14:1). T2 of fat is the long one that echo trains show.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from synthoma.core.types import Float32, Floats
from synthoma.phantom.tissue import Tissue

RELAXIVITY = 4.5e-3
"""Of gadolinium chelates, per ms and mmol/l (1.5 T, plasma)."""

PROPERTIES: dict[Tissue, tuple[float, float, float, float]] = {
    Tissue.AIR: (1000, 50, 0.0, 0.0),
    Tissue.SKIN: (700, 50, 0.55, 0.10),
    Tissue.SCALP: (290, 126, 0.92, 0.0),
    Tissue.SKULL: (800, 12, 0.08, 0.0),
    Tissue.MARROW: (380, 75, 0.60, 0.0),
    Tissue.MUSCLE: (950, 56, 0.76, 0.03),
    Tissue.FAT: (290, 112, 0.88, 0.0),
    Tissue.MUCOSA: (1200, 120, 0.80, 0.45),
    Tissue.VITREOUS: (3600, 900, 0.98, 0.0),
    Tissue.LENS: (1100, 35, 0.60, 0.0),
    Tissue.NERVE: (720, 80, 0.70, 0.0),
    Tissue.GLAND: (900, 85, 0.80, 0.40),
    Tissue.DURA: (900, 50, 0.50, 0.35),
    Tissue.ARTERY: (1400, 28, 0.30, 0.60),
    Tissue.SINUS: (1400, 55, 0.62, 1.60),
    Tissue.CSF: (4000, 1600, 1.00, 0.0),
    Tissue.VENTRICLE: (4200, 1800, 1.00, 0.0),
    Tissue.CHOROID: (1400, 115, 0.85, 0.60),
    Tissue.GREY: (980, 97, 0.815, 0.01),
    Tissue.DEEP_GREY: (900, 88, 0.78, 0.01),
    Tissue.WHITE: (640, 82, 0.71, 0.0),
    Tissue.LESION: (1150, 145, 0.83, 0.0),
    Tissue.CAVITY: (3200, 900, 0.99, 0.0),
    Tissue.OEDEMA: (1200, 165, 0.87, 0.0),
    Tissue.CORE: (1350, 185, 0.89, 0.02),
    Tissue.NECROSIS: (1900, 210, 0.92, 0.02),
    Tissue.CYST: (2900, 600, 0.98, 0.0),
    Tissue.BLOOD: (480, 70, 0.85, 0.0),
    Tissue.ENHANCING: (1250, 120, 0.86, 0.75),
}
"""Tissue -> T1 (ms), T2 (ms), proton density relative to water, gadolinium taken up after injection (mmol/l)."""

TUMOUR_SPREAD: dict[Tissue, tuple[float, float]] = {
    Tissue.OEDEMA: (0.12, 0.22),
    Tissue.CORE: (0.14, 0.24),
    Tissue.NECROSIS: (0.30, 0.40),
    Tissue.CYST: (0.25, 0.50),
    Tissue.BLOOD: (0.30, 0.40),
    Tissue.ENHANCING: (0.15, 0.22),
}
"""Standard deviation of log T1 and log T2 from one tumour to the next; 0.03 and 0.04 for other tissue."""


@dataclass(frozen=True)
class Protocol:
    """One site's sequences. Times in ms.

    Attributes:
        tesla: field strength, 1.5 or 3.
        t1, t1c, t2: (TR, TE) of the spin echoes.
        flair: (TR, TE, TI).
        inversion: TI of an inversion-prepared T1 and T1c; 0 where they are plain spin echoes.
        fat_saturation: share of fat's signal that the T1c loses.
        dose: of contrast agent, relative to the standard one.
        mixture: how much brighter tissues are than physics has them, by modality, float32 (256,); None for not at all.
    """

    tesla: float
    t1: tuple[float, float]
    t1c: tuple[float, float]
    t2: tuple[float, float]
    flair: tuple[float, float, float]
    inversion: float
    fat_saturation: float
    dose: float
    mixture: Mapping[str, Float32] | None = None


def draw_protocol(rng: np.random.Generator) -> Protocol:
    """Draw the sequences of a site as hospitals run them."""
    short = float(rng.uniform(420, 680)), float(rng.uniform(8, 16))
    te = float(rng.uniform(95, 145))
    tr = float(rng.choice([8000, 9000, 10000, 11000]))
    tesla = 1.5 if rng.random() < 0.65 else 3.0
    # TI nulls fluid: half way down to what TR lets recover, some per cent beside it as in practice.
    t1_fluid = PROPERTIES[Tissue.CSF][0]
    null = t1_fluid * np.log(2 / (1 + np.exp(-tr / t1_fluid)))
    return Protocol(
        tesla=tesla,
        t1=short,
        t1c=(short[0] * float(rng.uniform(0.9, 1.15)), short[1]),
        t2=(float(rng.uniform(3000, 6000)), float(rng.uniform(80, 115))),
        flair=(tr, te, float(null * rng.uniform(0.94, 1.02))),
        inversion=float(rng.uniform(750, 1000)) if rng.random() < 0.3 else 0.0,
        fat_saturation=float(rng.uniform(0.6, 0.9)) if rng.random() < 0.25 else 0.0,
        dose=float(rng.uniform(0.8, 1.3)),
    )


def draw_properties(rng: np.random.Generator, tesla: float) -> Floats:
    """Relaxation of one patient's tissues: float64 (256, 4) by tissue code, columns as ``PROPERTIES``."""
    table = np.zeros((256, 4))
    # Codes that no tissue has: nothing to divide by 0, and no signal, since their density is 0.
    table[:, :2] = 1000.0, 50.0
    tumour = np.clip(rng.normal(0, 1, 4), -1.2, 1.5)
    for tissue, values in PROPERTIES.items():
        s1, s2 = TUMOUR_SPREAD.get(tissue, (0.03, 0.04))
        # Regions of one tumour resemble one another.
        own = np.clip(rng.normal(0, 1, 4), -2, 2)
        drawn = 0.85 * tumour + 0.5 * own if tissue in TUMOUR_SPREAD else own
        stretch = np.exp(drawn * (s1, s2, 0.015, 0.25))
        # Factors, not sums: times and densities stay above 0.
        table[tissue] = np.array(values) * stretch
    # Relaxation of fluid hardly depends on the field; that of tissue grows by a fifth or so (T1).
    if tesla > 2:
        # Fluid is what has a long T1, cysts and cavities too.
        solid = table[:, 0] < 2000
        table[solid, 0] *= 1.2
        table[solid, 1] *= 0.94
    table[:, 2] = np.minimum(table[:, 2], 1.0)
    # No radiologist outlines what cannot be seen: infiltrated brain stays apart from grey matter.
    seen, grey = [Tissue.OEDEMA, Tissue.CORE], table[Tissue.GREY]
    table[seen, 0] = np.minimum(table[seen, 0], 1.3 * grey[0])
    table[seen, 1] = np.maximum(table[seen, 1], 1.35 * grey[1])
    return table


def signals(modality: str, protocol: Protocol, properties: Floats) -> Float32:
    """Signal of each tissue code in one sequence: float32 (256,), relative to fully relaxed water.

    Spin echo: PD (1 - exp(-TR/T1)) exp(-TE/T2). Inversion recovery: PD |1 - 2 exp(-TI/T1) + exp(-TR/T1)| exp(-TE/T2).
    Contrast agent: 1/T1 -> 1/T1 + r1 C.
    """
    t1, t2, density, uptake = properties.T
    if modality == "t1c":
        t1 = 1 / (1 / t1 + RELAXIVITY * protocol.dose * uptake)
    if modality == "flair":
        # A magnitude image has no sign: what lies below the null is bright again.
        tr, te, ti = protocol.flair
        recovery = np.abs(1 - 2 * np.exp(-ti / t1) + np.exp(-tr / t1))
    elif modality == "t2":
        tr, te = protocol.t2
        recovery = 1 - np.exp(-tr / t1)
    else:
        tr, te = protocol.t1 if modality == "t1" else protocol.t1c
        recovery = 1 - np.exp(-tr / t1)
        if protocol.inversion:
            # Inversion-prepared T1 (MPRAGE) is read out by gradient echoes: a short TE, about 2.2 s between inversions.
            te = 4.0
            recovery = np.maximum(1 - 2 * np.exp(-protocol.inversion / t1) + np.exp(-2200.0 / t1), 0.03)
    found = density * recovery * np.exp(-te / t2)
    if modality == "t1c":
        for fat in (Tissue.SCALP, Tissue.FAT, Tissue.MARROW):
            found[fat] *= 1 - protocol.fat_saturation
    if protocol.mixture is not None:
        found = mixed(found, protocol.mixture[modality])
    result: Float32 = found.astype(np.float32)
    return result


OUTSIDE = tuple(kind for kind in Tissue if Tissue.AIR < kind < Tissue.CSF)
FLUIDS = (Tissue.CSF, Tissue.VENTRICLE, Tissue.CAVITY, Tissue.CYST)

AGAINST_GREY: dict[str, tuple[float, float]] = {
    "t1": (0.62, 1.0),
    "t1c": (0.62, 1.0),
    "t2": (1.08, 2.0),
    "flair": (1.02, 2.3),
}
"""Least and largest brightness of infiltrated brain over that of grey matter, by modality, in a ``mixture``."""


def draw_mixture(rng: np.random.Generator) -> dict[str, Float32]:
    """Draw how the brightness of a scanner's tissues departs from physics: by modality, float32 (256,) by tissue code.

    Networks that are to read scanners which nobody simulated do better on brightness drawn at random than on physics
    alone (Billot et al. 2023, Med Image Anal 86:102789), if not on what never occurs: tissue outside the brain varies
    most, fluid next, brain a little. Values of the tumour and of white-matter lesions are not factors, but brightness
    over grey matter's, negative to tell them apart: physics alone hardly makes tumours that are barely visible.
    """
    drawn: dict[str, Float32] = {}
    # A tumour that is faint in one sequence is faint in all: one draw, and a little of each modality's own.
    faint = rng.random()
    for modality, (low, high) in AGAINST_GREY.items():
        table = np.ones(256)
        table[list(OUTSIDE)] = np.exp(rng.normal(0, 0.35, len(OUTSIDE)))
        table[list(FLUIDS)] = np.exp(rng.normal(0, 0.3) + rng.normal(0, 0.1, len(FLUIDS)))
        table[[Tissue.GREY, Tissue.DEEP_GREY]] = np.exp(rng.normal(0, 0.08) + rng.normal(0, 0.04, 2))
        share = float(np.clip(faint + rng.normal(0, 0.12), 0, 1))
        dim, bright = (high, low) if modality.startswith("t1") else (low, high)
        seen = dim * (bright / dim) ** share
        # The core is darker or a little brighter than what surrounds it, and lesions are as bright as any tumour.
        table[Tissue.OEDEMA] = -seen
        table[Tissue.CORE] = -seen * np.exp(rng.uniform(-0.3, 0.12))
        table[Tissue.NECROSIS] = -seen * np.exp(rng.uniform(-0.6, 0.2))
        table[Tissue.LESION] = -dim * (bright / dim) ** rng.uniform(0.1, 0.8)
        drawn[modality] = table.astype(np.float32)
    return drawn


def mixed(found: Floats, mixture: Float32) -> Floats:
    """Signals (256,) with the brightness of a ``draw_mixture``."""
    result = np.where(mixture > 0, found * mixture, 0.0)
    return np.where(mixture < 0, -mixture * result[Tissue.GREY], result)
