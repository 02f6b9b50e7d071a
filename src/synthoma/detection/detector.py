"""A trained segmenter, ready to be asked: from squares on a cohort's scale to the probability of tumour."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
import torch
from torch import Tensor

from synthoma.cohorts.squares import FramingRule
from synthoma.core.types import Bools, Float32, Plane
from synthoma.detectors.learning import Scale
from synthoma.detectors.scale import as_input
from synthoma.detectors.segmenters.chances import Calibrations, read_calibrations
from synthoma.detectors.segmenters.networks import SegmenterShape, build_segmenter
from synthoma.detectors.settings import SegmenterNetwork
from synthoma.detectors.slices import neighbours
from synthoma.training.bundle import Bundle, fitting, open_model
from synthoma.training.device import choose_device, fast_bf16

BATCH = 32
"""Slices that the network sees at once."""


@dataclass(frozen=True)
class Detector:
    """A trained segmenter.

    Attributes:
        bundle: the model file.
        network: in evaluation mode, on ``device``.
        shape: of what it sees and gives.
        context: neighbouring slices that it sees at once.
        modalities: its channels, in order.
        targets: what its maps show, from the whole tumour inwards.
        thresholds: probability from which a pixel belongs to each target.
        calibrations: what its figures of whole scans and of single pictures mean; empty where nobody measured it.
        step_mm: least distance between neighbouring slices that it was trained to see; None where unknown.
        any_subset: whether it was trained to do without some modalities.
        plane: of the slices.
        rule: how slices become squares.
        device: "cpu", "cuda" or "mps".
        bf16: whether it computes in bfloat16.
        scale: on which the network takes intensities.
    """

    bundle: Bundle
    network: torch.nn.Module
    shape: SegmenterShape
    context: int
    modalities: tuple[str, ...]
    targets: tuple[str, ...]
    thresholds: tuple[float, ...]
    calibrations: Calibrations
    step_mm: float | None
    any_subset: bool
    plane: Plane
    rule: FramingRule
    device: str
    bf16: bool
    scale: Scale = "zero-to-one"

    @classmethod
    def open(cls, run: Path, device: str = "cpu") -> Detector:
        """Open a run folder or a model file.

        Args:
            run: where it is.
            device: "cpu", "cuda", "mps", or "auto" for CUDA where it is there.

        Raises:
            InputError: nothing there, not a segmenter, or a damaged description.
            ConfigError: CUDA is asked for and not there.
        """
        place = choose_device(device)
        bundle = open_model(run, "segmenter")
        with fitting("a segmenter"):
            return _assembled(bundle, place)

    @property
    def name(self) -> str:
        """Name of the model."""
        return str(self.bundle.meta.model)

    def stride(self, step_mm: float | None) -> int:
        """Slices from one to the next neighbour, so that they lie about as far apart as in training."""
        if not step_mm or not self.step_mm:
            # Nobody knows how far apart: the next slice is the neighbour.
            return 1
        return max(1, round(self.step_mm / step_mm))

    def probabilities(self, pixels: Float32, step_mm: float | None = None, *, flip: bool = False) -> Float32:
        """Probability of each target in each pixel of a volume's slices.

        Args:
            pixels: (n, C, S, S), all slices in order, on a cohort's scale.
            step_mm: distance between them; None where unknown.
            flip: average with what is seen in the mirrored slice, which takes twice as long.

        Returns:
            (n, T, S, S) in 0..1; 0 in slices that show nothing, which the network is not asked about.
        """
        result = np.zeros((len(pixels), self.shape.targets, *pixels.shape[2:]), dtype=np.float32)
        rows = np.flatnonzero(content(pixels))
        for start in range(0, len(rows), BATCH):
            batch = rows[start : start + BATCH]
            result[batch] = self._of_batch(pixels, batch.tolist(), self.stride(step_mm), flip)
        return result

    def inputs(self, pixels: Float32, rows: list[int], stride: int) -> Tensor:
        """What the network sees for some slices of a volume, (len(rows), context * C, S, S): no blank neighbours."""
        # The slices that are asked count as shown, also where they are blank.
        there = np.union1d(np.flatnonzero(content(pixels)), rows)
        seen = there[neighbours(there, self.context, stride)[np.searchsorted(there, rows)]]
        stacked = as_input(torch.from_numpy(pixels[seen]), self.scale).flatten(1, 2)
        return stacked.to(self.device, memory_format=torch.channels_last)

    def _of_batch(self, pixels: Float32, rows: list[int], stride: int, flip: bool) -> Float32:
        with torch.inference_mode(), torch.autocast(self.device, torch.bfloat16, enabled=self.bf16):
            images = self.inputs(pixels, rows, stride)
            # Probabilities are averaged and thresholded, which half precision is too coarse for.
            maps = self.network(images).float().sigmoid()
            if flip:
                mirrored = self.network(images.flip(-1)).float().sigmoid().flip(-1)
                maps = (maps + mirrored) / 2
        return cast(Float32, maps.cpu().numpy())


def content(pixels: Float32) -> Bools:
    """Which slices (n, C, S, S) show anything; a cohort has no others, so the network never saw blank ones, (n,)."""
    flat = pixels.reshape(*pixels.shape[:2], -1)
    return np.asarray((flat.max(axis=2) > flat.min(axis=2)).any(axis=1))


def _assembled(bundle: Bundle, device: str) -> Detector:
    meta = bundle.meta
    shape = SegmenterShape(**meta.shape)
    config = SegmenterNetwork.model_validate(meta.network)
    network = build_segmenter(config, shape)
    network.load_state_dict({name: value.float() for name, value in bundle.weights("segmenter").items()})
    modalities, targets = tuple(meta.modalities), tuple(meta.targets)
    thresholds = tuple(float(value) for value in meta.threshold)
    if len(modalities) != shape.channels or not len(targets) == len(thresholds) == shape.targets:
        raise ValueError("modalities, targets and thresholds that fit the network")
    placed: torch.nn.Module = network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    placed.eval().requires_grad_(False)
    prepared = meta.prepare or {}
    plane: Any = prepared.get("plane") or meta.plane or "axial"
    if plane not in get_args(Plane):
        raise ValueError("a plane that exists")
    step = meta.step_mm
    return Detector(
        bundle=bundle,
        network=placed,
        shape=shape,
        context=config.context,
        modalities=modalities,
        targets=targets,
        thresholds=thresholds,
        calibrations=read_calibrations(meta.calibration or {}),
        step_mm=float(step) if step else None,
        any_subset=bool(meta.any_subset),
        plane=plane,
        rule=FramingRule.of(prepared),
        device=device,
        bf16=torch.cuda.is_bf16_supported() if device == "cuda" else device == "cpu" and fast_bf16(),
        scale=config.scale,
    )
