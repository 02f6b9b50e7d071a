from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from synthoma.core.types import Float32
from synthoma.detection.detector import Detector
from synthoma.detectors.segmenters.networks import SegmenterShape, build_segmenter
from synthoma.detectors.settings import SegmenterNetwork
from synthoma.training.bundle import save_tensors

WriteModel = Callable[..., Path]


@pytest.fixture(autouse=True)
def same_threads() -> Iterator[None]:
    """Workers set the number of threads of their process; other tests get theirs back."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def write_model(tmp_path: Path) -> WriteModel:
    """Write a segmenter with random weights, as training leaves one."""

    def write(
        *,
        modalities: tuple[str, ...] = ("flair",),
        targets: tuple[str, ...] = ("tumour",),
        size: int = 32,
        name: str = "run",
        half: bool = False,
        network: dict[str, Any] | None = None,
        **changes: Any,
    ) -> Path:
        config = SegmenterNetwork.model_validate({"width": 4, "levels": 3, **(network or {})})
        shape = SegmenterShape(size, len(modalities), len(targets))
        torch.manual_seed(0)
        weights = build_segmenter(config, shape).state_dict()
        tensors = {f"segmenter.{key}": value.half() if half else value for key, value in weights.items()}
        meta = {
            "schema": "synthoma.model/1",
            "kind": "segmenter",
            "model": config.network,
            "network": config.model_dump(),
            "shape": {"size": size, "channels": len(modalities), "targets": len(targets)},
            "modalities": list(modalities),
            "targets": list(targets),
            "threshold": [0.5] * len(targets),
            "step_mm": None,
            "any_subset": True,
            "prepare": {"crop": False, "normalise": "unit", "plane": "axial"},
            "provenance": {},
            **changes,
        }
        (tmp_path / name).mkdir(exist_ok=True)
        save_tensors(tmp_path / name / "model.safetensors", tensors, meta)
        return tmp_path / name

    return write


@pytest.fixture
def thresholding(monkeypatch: pytest.MonkeyPatch) -> None:
    """A detector that takes for tumour what is brighter than 0.5, for core 0.7, for enhancing tumour 0.9."""

    def probabilities(self: Detector, pixels: Float32, step_mm: float | None = None, *, flip: bool = False) -> Float32:
        bright = pixels.max(axis=1, keepdims=True)
        return np.concatenate([(bright > cut).astype(np.float32) for cut in (0.5, 0.7, 0.9)[: self.shape.targets]], 1)

    monkeypatch.setattr(Detector, "probabilities", probabilities)
