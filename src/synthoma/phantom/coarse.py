"""Simulated patients on the grid that a cohort stores: the same people and tumours in less time.

Slices of 64 pixels need a tenth of the samples of 1 mm. Person, tumour, scanner and planes of the slices are those of
``patient.simulate``, drawn from the same streams; tissue is looked up at places 2 mm apart instead of 1, and what a
scanner's own pixels add, noise, blur and the scale of grey, is that of their means (``averaging``). Only the grain of
noise and texture differs, since it is drawn for other pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image

from synthoma.cohorts.framing import Box, head_box
from synthoma.cohorts.settings import PrepareConfig
from synthoma.cohorts.slicing import PreparedCase, prepare_case
from synthoma.cohorts.squares import FramingRule
from synthoma.core.seeding import stream
from synthoma.core.types import MODALITIES, PLAIN_MODALITY, REGIONS, Array, Float32
from synthoma.phantom import acquisition as scanner
from synthoma.phantom.atlas import atlas
from synthoma.phantom.averaging import expose_means
from synthoma.phantom.config import PhantomCohortConfig, PhantomConfig
from synthoma.phantom.contrast import draw_properties, signals
from synthoma.phantom.fields import drawn_on
from synthoma.phantom.invasion import invade, trimmed
from synthoma.phantom.patient import (
    Alone,
    brain_mask,
    draw_person,
    embody,
    harden,
    paint,
    phantom_case,
    scan_axes,
)
from synthoma.phantom.swift import resolve_planes
from synthoma.phantom.tissue import Tissue, mask_of
from synthoma.scans.case import Case, Geometry, Skipped, Study
from synthoma.scans.intensity import intensity_window

HEAD_MM = 192.0
"""Longer side of a small head: what a square of a cohort shows at least."""

SAMPLED = 120_000
"""Pixels of the scanner that a volume's scale of grey is read off; four times as many for single pictures."""


def coarse_mm(config: PhantomCohortConfig) -> float | None:
    """Distance of the samples in mm on which slices of these settings can be simulated; None where 1 mm must do.

    Samples lie at least as close as the pixels of the squares, in steps of half a millimetre. What is padded, cut or
    interpolated in the scanner's own pixels, scaled by their extremes, or cut across the slices, needs those.
    """
    plain = config.pad is None and config.window is None and config.tile is None and config.resampling == "area"
    usual = config.normalise == "robust" and config.plane == "axial" and config.framed != "yes"
    step = float(np.floor(2 * HEAD_MM / config.size) / 2)
    step = min(step, 2.0)
    return step if plain and usual and step > config.phantom.pixel_mm else None


def simulated(config: PhantomCohortConfig) -> PhantomConfig:
    """What patients are like, but for sequences that no slice shows: each takes its time and changes no other one."""
    phantom, wanted = config.phantom, config.modalities or ()
    shown = tuple(name for name in phantom.modalities if name in wanted)
    return phantom.model_copy(update={"modalities": shown}) if shown and not phantom.plain else phantom


@Alone()
def coarse_study(
    seed: int, index: int, config: PhantomConfig, step_mm: float, *, apart: bool = False, most: int | None = None
) -> Study:
    """Patient ``index`` of cohort ``seed`` on samples ``step_mm`` apart, in the plane.

    Args:
        seed: of the cohort.
        index: number of the patient, from 0.
        config: what the cohort is made of.
        step_mm: distance of the samples, at least that of the scanner's pixels.
        apart: scale each slice by itself, as pictures are.
        most: simulate at most so many slices, evenly spread over the scan; all of them where None.

    Returns:
        Images on a cohort's scale (0 background, 1 bright), float32 (z, y, x), and the exact mask of the samples.
    """
    template, person = atlas(), draw_person(seed, index, config)
    site = scanner.draw_site(seed, person.site, config)
    body, tumour = embody(seed, index, person, template, config, swift=True)
    z, y, x = scan_axes(stream(seed, "phantom.scan", index), site, body, config)
    apart_mm = site.slice_mm
    if most is not None and len(z) > most:
        every = -(-len(z) // most)
        # From a drawn slice on: always the first would show the same height of every head.
        z = z[int(stream(seed, "phantom.thinned", index).integers(every)) :: every]
        apart_mm *= every
    # A little beyond the end: where a step falls on it, the last row belongs to the slice.
    y, x = (np.arange(axis[0], axis[-1] - 1e-6, -step_mm) for axis in (y, x))
    planes, per_slice = scanner.sub_slices(z, site.slice_mm, site.gap)
    codes, brain = resolve_planes(body, person.traits, template, planes, y, x)
    growths = invade(trimmed(tumour), brain) if tumour else None
    harden(codes, brain, growths)
    tissue = scanner.slice_median(codes, per_slice)
    keep = brain_mask(seed, index, body, tissue, z, y, x) if site.stripped else None
    rng = stream(seed, "phantom.scanner", index)
    moved = rng.random() < config.artefacts
    properties = draw_properties(stream(seed, "phantom.properties", index), site.protocol.tesla)
    texture = drawn_on(stream(seed, "phantom.coarse texture", index), 3.0, (z, y, x))
    images: dict[str, Array] = {}
    for modality in config.modalities:
        own = stream(seed, f"phantom.{modality}", index)
        table = torch.from_numpy(signals(modality, site.protocol, properties))
        table *= torch.from_numpy(np.exp(own.normal(0, 0.03, 256)).astype(np.float32))
        # Noise is a share of white matter's signal, so that all scanners' are told in one unit.
        signal = scanner.slice_mean(paint(codes, brain, growths, table / table[Tissue.WHITE]), per_slice)
        sense = scanner.sensitivity(own, site, body.lattice, body.layers[3])
        gain = body.lattice.expand(sense, z, y, x)[0].mul_(1 + 0.025 * texture)
        exposure = scanner.draw_exposure(own, len(z), moved, per_slice > 1)
        sigma = site.noise[MODALITIES.index(modality)]
        # A picture's window is read off its own pixels alone, of which a share of a volume's would be too few.
        sampled = SAMPLED * (4 if apart else 1)
        ratio = step_mm / config.pixel_mm
        image, scanned = expose_means(own, signal, gain, site, sigma, exposure, ratio, keep, sampled)
        images[modality] = _scaled(image.numpy(), scanned, apart)
    if keep is not None:
        tissue = tissue * keep
    geometry = Geometry((step_mm, step_mm, apart_mm), (-float(x[0]), -float(y[0]), float(z[0])))
    return Study(images, geometry, mask_of(tissue.numpy()), dict(REGIONS))


def _scaled(image: Float32, scanned: Float32, apart: bool) -> Float32:
    """The image (z, y, x) on a cohort's scale, by what the scanner's own pixels show (z, n)."""
    parts = scanned if apart else scanned.reshape(1, -1)
    windows = np.array([intensity_window(part, "robust") for part in parts], np.float32)
    offset, scale = windows.T[:, :, None, None]
    found: Float32 = (image - offset) / scale
    return found


@dataclass(frozen=True)
class CoarseRule(FramingRule):
    """How coarse slices become squares: in the box that the head has in the scanner's own pixels.

    Attributes:
        ratio: side of a pixel over that of the scanner's own.
    """

    ratio: float = 1.0

    def box(self, images: Mapping[str, Array]) -> Box:
        """The part of the slices (slices, rows, columns) that is shown."""
        if not self.crop:
            return super().box(images)
        # Head and air are told apart after a blur of one pixel: of the scanner's, or the head would seem wider.
        found = head_box({name: self._fine(image.max(axis=0))[None] for name, image in images.items()})
        first = (round(found.top / self.ratio), round(found.left / self.ratio))
        rows, columns = next(iter(images.values())).shape[1:]
        last = (
            min(rows, round((found.top + found.height) / self.ratio)),
            min(columns, round((found.left + found.width) / self.ratio)),
        )
        return Box(*first, max(2, last[0] - first[0]), max(2, last[1] - first[1]))

    def _fine(self, image: Array) -> Array:
        side = [round(length * self.ratio) for length in image.shape[::-1]]
        return np.asarray(Image.fromarray(image).resize((side[0], side[1]), Image.Resampling.BILINEAR))


@dataclass(frozen=True)
class _Load:
    """Loads one patient; sequences are as ``phantom_cases`` gives them."""

    seed: int
    index: int
    config: PhantomConfig
    step_mm: float
    apart: bool
    most: int | None = None

    def __call__(self) -> Study:
        config = self.config
        if not config.plain:
            return coarse_study(self.seed, self.index, config, self.step_mm, apart=self.apart, most=self.most)
        only = str(stream(self.seed, "phantom.plain", self.index).choice(config.modalities))
        alone = config.model_copy(update={"modalities": (only,)})
        study = coarse_study(self.seed, self.index, alone, self.step_mm, apart=self.apart, most=self.most)
        return replace(study, images={PLAIN_MODALITY: study.images[only]})


def coarse_case(seed: int, index: int, config: PhantomCohortConfig, *, most: int | None = None) -> Case:
    """Patient ``index`` as a case for ``prepare_coarse``, simulated when it is loaded.

    Args:
        seed: of the cohort.
        index: number of the patient, from 0.
        config: how the cohort is prepared, and in ``phantom`` what patients are like.
        most: at most about so many slices, evenly spread over the scan; all of them where None.
    """
    phantom, step = simulated(config), coarse_mm(config)
    case = phantom_case(seed, index, phantom)
    if step is None:
        return case
    return replace(case, load=_Load(seed, index, phantom, step, config.apart, most))


def prepare_coarse(
    case: Case, config: PrepareConfig, modalities: tuple[str, ...], thumbnails_per_case: int
) -> PreparedCase | Skipped:
    """The slices of a ``coarse_case``, see ``prepare_case``."""
    if not isinstance(case.load, _Load):
        return prepare_case(case, config, modalities, thumbnails_per_case)
    # Grey values are scaled already, by what the scanner's own pixels show.
    ratio = case.load.step_mm / case.load.config.pixel_mm
    rule = CoarseRule(config.crop, "kept", config.fitting, config.resampling, ratio=ratio)
    return prepare_case(case, config, modalities, thumbnails_per_case, rule)


def prepared_patient(
    seed: int, index: int, config: PhantomCohortConfig, *, name: str | None = None, most: int | None = None
) -> PreparedCase | Skipped:
    """All slices of one simulated patient as a cohort stores them, simulated as coarsely as that allows.

    A function of (seed, index, config), whatever else is simulated, in what order and on how many threads.

    Args:
        seed: of the cohort.
        index: number of the patient, from 0.
        config: how the cohort is prepared, and in ``phantom`` what patients are like.
        name: of the case and the patient; "phantom-00000" and so on where None.
        most: at most about so many slices, evenly spread over the scan; all of them where None.

    Returns:
        The slices with a record each; or why there is none.
    """
    case = coarse_case(seed, index, config, most=most)
    if name is not None:
        case = replace(case, name=name, patient=name)
    return prepare_coarse(case, config, config.modalities or case.modalities, 0)
