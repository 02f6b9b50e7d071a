"""The tissues of a head in any contrast, with or without its skull: grey and white matter, fluid, tumour, skull, eyes.

A network that learned from simulated patients alone (``tools/ship_tissues.py``) says for each pixel which tissue it
shows, and whether it lies in the brain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage

from synthoma.cohorts.squares import USUAL, Framing, frame, from_squares, to_squares
from synthoma.core.errors import InputError
from synthoma.core.tissues import TISSUES, HeadTissue
from synthoma.core.types import PLAIN_MODALITY, Array, Bools, Bytes, Float32, Ints
from synthoma.detectors.segmenters.networks import ResidualUNet
from synthoma.detectors.slices import neighbours
from synthoma.scans.case import Geometry, Study
from synthoma.training.bundle import fitting, load_tensors
from synthoma.training.device import fast_bf16

BATCH = 32
FINEST_MM = 2.0
"""The network is asked about slices that lie about so far apart at least."""

INSIDE = 0.5
"""Probability from which a place is taken to lie in the brain."""

SURE = 0.85
"""A brain was found where the places taken for brain have at least this probability in the mean."""

LEAST_ML, MOST_ML = 150.0, 2200.0
"""Volume of a brain or of the part of one that a scan shows; beyond them something else was taken for it."""

LEAST_SHARE = 0.15
"""Share of the shown pixels that a brain fills at least."""

LEAST_OF_EACH = 0.1
"""Share of grey, and of white matter, among both: noise is taken for one of them alone."""


@dataclass(frozen=True)
class TissueMap:
    """The tissues of a scan, on its own grid.

    Attributes:
        labels: ``core.tissues.HeadTissue`` values, uint8 (z, y, x).
        brain: probability of the brain with its sulci and ventricles, float32 (z, y, x) in 0..1.
        spacing: (x, y, z) of a voxel in mm; None where nobody knows it.
        shown: share of the voxels that show anything, 0..1.
    """

    labels: Bytes
    brain: Float32
    spacing: tuple[float, float, float] | None
    shown: float

    def with_tumour(self, mask: Bools) -> TissueMap:
        """The same map with what a segmenter outlined (z, y, x) as its tumour: it knows tumours better."""
        labels = np.where(mask, np.uint8(HeadTissue.TUMOUR), self.labels)
        return replace(self, labels=labels.astype(np.uint8))

    @cached_property
    def mask(self) -> Bools:
        """The brain (z, y, x): the largest connected region, its holes filled; empty where none was found."""
        return largest_filled(self.brain >= INSIDE)

    @cached_property
    def sure(self) -> bool:
        """Whether what was taken for a brain can be one: of its size and make, and clearly told from the rest."""
        mask = self.mask
        fits = float(mask.mean()) >= LEAST_SHARE * self.shown
        if self.spacing is not None and len(mask) > 1:
            fits = fits and LEAST_ML <= self.millilitres(mask) <= MOST_ML
        grey, white = (int(np.count_nonzero(self.labels == kind)) for kind in (HeadTissue.GREY, HeadTissue.WHITE))
        fits = fits and min(grey, white) >= LEAST_OF_EACH * (grey + white)
        return bool(fits and mask.any() and self.brain[mask].mean() >= SURE)

    def millilitres(self, mask: Bools) -> float:
        """Volume of a mask on the same grid, in ml; in thousands of voxels where the voxel's size is unknown."""
        size = 1.0 if self.spacing is None else float(np.prod(self.spacing))
        return float(np.count_nonzero(mask)) * size / 1000

    def volumes(self) -> dict[HeadTissue, float]:
        """Volume of each tissue in ml; in thousands of voxels where the voxel's size is unknown."""
        counts = np.bincount(self.labels.ravel(), minlength=len(TISSUES) + 1)
        size = 1.0 if self.spacing is None else float(np.prod(self.spacing))
        return {HeadTissue(kind): float(counts[kind]) * size / 1000 for kind in TISSUES}


def tissue_map(volume: Array, spacing: tuple[float, float, float] | None = None) -> TissueMap:
    """The tissues of one sequence, whichever it is.

    Args:
        volume: grey values (z, y, x) of axial slices, rows from front to back; the head upright in the picture.
        spacing: (x, y, z) of a voxel in mm; None where unknown.

    Returns:
        The map on the same grid.

    Raises:
        InputError: not three axes, or no value that is a number.
    """
    if volume.ndim != 3 or not volume.size:
        came = "x".join(map(str, volume.shape)) or "a single number"
        raise InputError("a volume (slices, rows, columns)", came, "give a single slice as image[None]")
    if not np.isfinite(volume).any():
        raise InputError("grey values", "none that is a number", "export the scan again")
    return tissues_of(Study({PLAIN_MODALITY: volume}, None if spacing is None else Geometry(spacing)))


def tissues_of(study: Study) -> TissueMap:
    """The tissues of a study, from all its sequences together, on its own grid.

    Raises:
        InputError: no axial slices.
    """
    network = shipped_tissues()
    framing = frame(study, tuple(study.images), size=network.size)
    return on_grid(network.probabilities(to_squares(framing), framing.step_mm), framing)


def on_grid(maps: Float32, framing: Framing) -> TissueMap:
    """Maps over squares (n, kinds + 1, S, S), brought back onto the grid of the study that was framed."""
    best: Float32 | None = None
    for kind in range(maps.shape[1] - 1):
        layer = from_squares(maps[:, kind : kind + 1], framing)[0]
        # One at a time: all kinds of a fine volume together would fill the memory.
        if best is None:
            best, labels = layer, np.zeros(layer.shape, np.uint8)
            continue
        higher = layer > best
        labels[higher], best[higher] = kind, layer[higher]
    brain = from_squares(maps[:, -1:], framing)[0]
    shown = np.zeros(framing.shape, bool)
    for name, image in framing.images.items():
        offset, scale = framing.windows[name]
        shown |= image > offset + 0.05 * scale
    spacing = None if framing.source is None or not framing.source.thick else framing.source.spacing
    return TissueMap(labels, brain, spacing, float(shown.mean()))


def largest_filled(mask: Bools) -> Bools:
    """The largest connected region (z, y, x), corners not counted, with its holes filled slice by slice."""
    parts, count = ndimage.label(mask)
    if not count:
        return np.zeros(mask.shape, bool)
    kept = parts == 1 + int(np.bincount(parts.ravel())[1:].argmax())
    return np.stack([ndimage.binary_fill_holes(layer) for layer in kept])


@dataclass(frozen=True)
class TissueNetwork:
    """The network and what it must be told.

    Attributes:
        network: in evaluation mode, (B, context, S, S) -> (B, kinds + 1, S, S).
        size: S.
        context: slices seen at once.
        step_mm: about how far apart they lie.
        digest: SHA-256 of its file.
    """

    network: torch.nn.Module
    size: int
    context: int
    step_mm: float
    digest: str

    @classmethod
    def open(cls, path: Path) -> TissueNetwork:
        """Open a file of ``tools/ship_tissues.py``.

        Raises:
            InputError: nothing there, damaged, or another kind of model.
        """
        bundle = load_tensors(path)
        if bundle.content.get("kind") != "tissues":
            came = f"a {bundle.content.get('kind', 'checkpoint')}"
            raise InputError("a model of tissues", came, "install synthoma again")
        with fitting("a model of tissues"):
            content = bundle.content
            told, shape = content["network"], content["shape"]
            assert isinstance(told, dict)
            assert isinstance(shape, dict)
            context, width, levels, stem = (int(str(told[name])) for name in ("context", "width", "levels", "stem"))
            network: torch.nn.Module = ResidualUNet(context, int(str(shape["targets"])), width, levels, stem)
            network.load_state_dict({name: value.float() for name, value in bundle.weights("tissues").items()})
            network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            network.eval().requires_grad_(False)
            return cls(network, int(str(shape["size"])), context, float(str(content["step_mm"])), bundle.digest)

    def takes(self, framing: Framing) -> bool:
        """Whether squares that were made for another network are those that this one would make."""
        return framing.plane == "axial" and framing.rule == USUAL and framing.fit.size == self.size

    def probabilities(
        self, pixels: Float32, step_mm: float | None = None, *, finest_mm: float = FINEST_MM, most: int | None = None
    ) -> Float32:
        """Probability of each kind and of the brain: the mean over the sequences that show anything.

        Args:
            pixels: (n, C, S, S), all axial slices in order, on a cohort's scale.
            step_mm: distance between them; None where unknown.
            finest_mm: slices that lie nearer to one another are looked at in part, and the rest made from neighbours.
            most: about so many slices are looked at, however far apart they lie; None for all others.

        Returns:
            (n, kinds + 1, S, S) in 0..1, the last one of the brain; background where nothing is shown.
        """
        count, sequences = pixels.shape[:2]
        kinds = len(TISSUES) + 1
        total = np.zeros((count, kinds + 1, *pixels.shape[2:]), np.float32)
        votes = np.zeros(count, np.float32)
        stride = max(1, round(self.step_mm / step_mm)) if step_mm else 1
        for sequence in range(sequences):
            own = pixels[:, sequence]
            there = np.flatnonzero(own.max((1, 2)) > own.min((1, 2)))
            if not len(there):
                continue
            # Of thin slices every other one or so, and what lies between from both: tissue hardly changes in 2 mm.
            every = max(1, round(finest_mm / step_mm)) if step_mm else 1
            every = every if most is None else max(every, round(len(there) / most))
            chosen = np.unique([*range(0, len(there), every), len(there) - 1])
            stacks = there[neighbours(there, self.context, stride)[chosen]]
            found = [self._of_batch(own[stacks[start : start + BATCH]]) for start in range(0, len(chosen), BATCH)]
            total[there] += between(np.concatenate(found), chosen, len(there))
            votes[there] += 1
        total[votes == 0, 0] = 1
        total /= np.maximum(votes, 1)[:, None, None, None]
        return total

    def _of_batch(self, stacks: Float32) -> Float32:
        images = torch.from_numpy(stacks).nan_to_num().clamp(0, 2).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=fast_bf16()):
            logits = self.network(images).float()
            maps = torch.cat([logits[:, :-1].softmax(1), logits[:, -1:].sigmoid()], 1)
        found: Float32 = maps.numpy()
        return found


def between(maps: Float32, chosen: Ints, count: int) -> Float32:
    """Maps of rows 0 to ``count`` - 1 from those of the ``chosen`` ones, linear between them."""
    if len(chosen) == count:
        return maps
    after = np.searchsorted(chosen, np.arange(count)).clip(1, len(chosen) - 1)
    share = (np.arange(count) - chosen[after - 1]) / (chosen[after] - chosen[after - 1])
    weight = share.astype(np.float32)[:, None, None, None]
    between: Float32 = maps[after - 1] * (1 - weight) + maps[after] * weight
    return between


@lru_cache(maxsize=1)
def shipped_tissues() -> TissueNetwork:
    """The network inside the package, opened once in each process.

    Raises:
        InputError: this installation lacks it.
    """
    path = Path(str(resources.files("synthoma"))) / "weights" / "phantom-tissues.safetensors"
    if not path.is_file():
        raise InputError("the model of tissues inside the package", "nothing there", "install synthoma again")
    return TissueNetwork.open(path)


def stripped(study: Study, margin_mm: float = 1.0) -> Study:
    """A study whose voxels outside the brain are air: each image's own darkest value.

    Args:
        study: of any sequences.
        margin_mm: kept around the brain; in pixels of 1 mm where their size is unknown.

    Raises:
        InputError: no brain was found for sure, so that nothing can be cut away.
    """
    found = tissues_of(study)
    if not found.sure:
        came = "a scan in which no brain was found for sure"
        raise InputError("a scan that shows a brain, to strip it", came, "leave --strip out, or remove the scan")
    keep = widened_mask(found.mask, found.spacing, margin_mm)
    images = {}
    for name, image in study.images.items():
        # Not 0: of a scan on a scale below 0 that would be bright.
        images[name] = np.where(keep, image, image[np.isfinite(image)].min()).astype(image.dtype)
    remark = f"stripped: {found.millilitres(found.mask):,.0f} ml of brain kept" if found.spacing else "stripped"
    return Study(images, study.geometry, study.mask, study.labels, (*study.remarks, remark), study.facts)


def load_stripped(load: Callable[[], Study]) -> Study:
    """What a case loads, stripped; a function of a module, so that worker processes can be sent it.

    Raises:
        InputError: as ``load`` and ``stripped`` do.
    """
    return stripped(load())


def widened_mask(mask: Bools, spacing: tuple[float, float, float] | None, margin_mm: float) -> Bools:
    """A mask (z, y, x) and all within ``margin_mm`` of it in its slices; pixels of 1 mm where nobody knows them."""
    steps = (1.0, 1.0) if spacing is None else (spacing[1], spacing[0])
    wide = np.array(mask)
    for z, layer in enumerate(mask):
        if layer.any() and not layer.all():
            wide[z] = ndimage.distance_transform_edt(~layer, sampling=steps) <= margin_mm
    return wide
