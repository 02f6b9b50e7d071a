"""Findings of one scan, for tests of what reads them."""

from __future__ import annotations

from synthoma.detection.result import Detection, ModelIdentity
from synthoma.detection.settings import DetectConfig


def small_detection() -> Detection:
    """All that must be there, and nothing else."""
    return Detection(
        version="synthoma.detection/1", model=ModelIdentity(name="resunet", sha256="ab"), modalities=("flair",),
        targets=("tumour",), scans=1, with_tumour=1, skipped=0, options=DetectConfig(flip=False),
        software={"numpy": "2"},
    )  # fmt: skip
