"""What ``detect`` does with a scan: its settings."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from synthoma.cohorts.settings import Layout
from synthoma.core.config import MOST_JOBS, Config


class DetectConfig(Config):
    """How scans are looked at, and what is written about them."""

    threshold: float | None = Field(
        None, gt=0, lt=1, description="probability from which a pixel is tumour; else the model's"
    )
    flip: bool = Field(True, description="average with the mirrored slice")
    dicom_seg: bool = Field(True, description="write a DICOM SEG beside the mask of a DICOM series")
    overlay: bool = Field(True, description="draw the scan with its mask")
    saliency: bool = Field(False, description="draw what the network looked at")
    probabilities: bool = Field(False, description="write the probability of each pixel")
    rle: bool = Field(False, description="write the whole mask as run-length code and as a flat list")
    shows: str | None = Field(None, description="the sequence that plain pictures show; flair if the model knows it")
    type_model: Path | None = Field(None, description="a run of a classifier that says which type the tumour is")
    layout: Layout | None = Field(None, description="how the folder is arranged; else recognised")
    convention: str | None = Field(None, description="what values of the scans' own masks mean; else decided from all")
    device: Literal["auto", "cpu", "cuda"] = "auto"
    jobs: int = Field(0, ge=0, le=MOST_JOBS, description="worker processes; 0 chooses")
