"""What a segment or a structure is called, and which part of a tumour that makes it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from synthoma.core.types import REGIONS, WHOLE_TUMOUR, Bools, Bytes

Part = Literal["whole", "gross", "core", "oedema", "enhancing", "other", "unknown"]
"""What a segment outlines.

``whole``: the tumour with all around it. ``gross``: without oedema (GTV). ``other``: no tumour. ``unknown``: its name
says nothing.
"""

_ORGANS = re.compile(
    r"\b[CPI]TV|\bBRAIN|\bSTEM\b|\bEYES?\b|\bGLOBE|\bORBIT|\bLENS|\bOPTIC|CHIASM|COCHLEA|PITUITARY|HYPOPHYS|HIPPOCAMP"
    r"|THALAM|\bEXTERNAL|\bBODY\b|\bSKIN\b|\bSKULL|VENTRIC|CORTEX|CEREB|SPINAL|\bCORD\b|MEDULLA|LACRIMAL|PAROTID|MANDIB"
    r"|\bDOSE|ISODOSE|COUCH|\bTABLE\b|\bBOLUS\b|AVOID|\bRING\b|ARTI?FACT|\bNORMAL|HEALTHY|WHITE MATTER|GR[EA]Y MATTER"
    r"|\bCSF\b|\bAIR\b|\bBONE|\bHEAD\b|\bORGAN|BACKGROUND|VESSEL|ARTER|\bVEIN|\bNERVE|\bEAR\b|\bPRV\b|HIRNSTAMM|\bGEHIRN|\bAUGE"
    r"|\bLINSE|TRONC|CERVEAU|CERVELLO|\bOEIL|\bYEUX|MIDLINE|FALX"
    r"|\bLIVER|\bLUNG|\bKIDNEY|\bHEART|\bSPLEEN|PROSTATE|BLADDER|RECTUM|THYROID|OESOPHAG|ESOPHAG|TRACHEA|LARYNX|TONGUE"
)
_CAVITY = re.compile(r"CAVIT|RESECTION|SURGICAL|POSTOP|\bRC\b")
_PLANNED = re.compile(r"\b[CPI]TV|\bGTV.*\b(?:RING|PRV|MARGIN)|\bPRV\b|\bAVOID")
_TUMOUR = re.compile(
    r"TUMO|TUMEUR|WHOLE|\bWT\b|LESION|LAESION|LESAO|NEOPLAS|GLIO|ASTROCYT|OLIGO|MENINGEOM|MENINGIOM|METAST|\bMETS?\b|\bMASS|CANCER"
    r"|MALIGN|LYMPHOM|SCHWANNOM|ADENOM|EPENDYMOM|CRANIOPHAR"
)
_OEDEMA = re.compile(r"O?EDEM|\bODEM|\bED\b|HYPERINTENS|PERITUM|SNFH|\bFLAIR|ABNORMALITY T2|T2 ABNORMAL")
_PLAIN_CORE = re.compile(
    r"\bNON? ?ENHANC|NONENHANC|\bNET\b|\bNCR\b|NECRO|NEKRO|NECROT|NECROSE|\bCORE\b|\bTC\b|UNENHANC|NICHT ANREICH"
)
_ENHANCING = re.compile(r"ENHANC|\bET\b|ACTIVE TUM|REHAUSS|REALCE|ANREICHER|CAPTANT")


@dataclass(frozen=True)
class DicomMask:
    """A file that outlines tumour, not yet read.

    Attributes:
        file: the file.
        kind: DICOM SEG or RTSTRUCT.
        parts: number of each segment that is tumour, and which part of it.
        aside: how many segments are not.
        series: pseudonyms of the series that it refers to.
        planes: pseudonyms of the slices that it refers to.
        frame_of_reference: pseudonym.
    """

    file: Path = field(repr=False)
    kind: Literal["seg", "rtstruct"]
    parts: tuple[tuple[int, Part], ...]
    aside: int
    series: frozenset[str]
    planes: frozenset[str]
    frame_of_reference: str | None

    @property
    def remarks(self) -> tuple[str, ...]:
        """What its reader should know."""
        kinds = {part for _, part in self.parts}
        remarks = []
        if self.aside:
            remarks.append(f"{self.aside} of the {self.aside + len(self.parts)} segments of its mask are left aside")
        if "whole" in kinds and kinds & {"core", "enhancing"} and "oedema" not in kinds:
            remarks.append("what its mask of the whole tumour holds beyond the regions inside is taken for oedema")
        return tuple(remarks)


def combined(regions: Mapping[Part, Bools]) -> tuple[Bytes, Mapping[int, str]]:
    """Labels of regions (z, y, x) that may overlap: the enhancing tumour before the core, the core before the oedema.

    What the whole tumour holds beyond its regions is oedema; where the oedema has a segment of its own, it is core.
    """
    labels = np.zeros(next(iter(regions.values())).shape, dtype=np.uint8)
    # One label for all: without an inner region, "core" would be a claim that nobody made.
    if not {"core", "oedema", "enhancing"} & set(regions):
        for region in regions.values():
            labels[region] = 1
        return labels, WHOLE_TUMOUR
    order: tuple[tuple[Part, int], ...] = (
        ("whole", 1 if "oedema" in regions else 2), ("oedema", 2), ("gross", 1), ("core", 1), ("enhancing", 3)
    )  # fmt: skip
    for part, value in order:
        if part in regions:
            labels[regions[part]] = value
    return labels, REGIONS


def part_of(name: str) -> Part:
    """Which part of a tumour a segment's name means, in whatever spelling; "unknown" where it says nothing."""
    # By hand, since NFKD below takes accents off letters and leaves œ in one piece.
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name.replace("œ", "oe").replace("Œ", "OE"))
    spaced = spaced.replace("+", " plus ")
    plain = "".join(c for c in unicodedata.normalize("NFKD", spaced) if not unicodedata.combining(c)).upper()
    line = " ".join(re.findall(r"[A-Z0-9]+", plain))
    tumour, gross = bool(_TUMOUR.search(line)), bool(re.search(r"GTV|\bGROSS", line))
    # First: planning volumes are drawn around a tumour, and their names speak of it too.
    if _PLANNED.search(line) or _CAVITY.search(line) or re.search(r"\b(?:NORMAL|HEALTHY)\b", line):
        return "other"
    if _OEDEMA.search(line):
        return "whole" if tumour and re.search(r"\b(?:AND|PLUS|WITH)\b", line) else "oedema"
    if _ORGANS.search(line) and not tumour and not line.startswith("GTV"):  # "Brain-GTV" is the brain without it
        return "other"
    # Before the enhancing part: "non-enhancing tumour core" holds both words.
    if _PLAIN_CORE.search(line):
        return "core"
    if _ENHANCING.search(line):
        return "enhancing"
    if gross:
        return "gross"
    return "whole" if tumour else "unknown"
