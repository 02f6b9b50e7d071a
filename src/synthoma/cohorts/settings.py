"""How a folder becomes a cohort: the settings of ``prepare``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from synthoma.core.config import MOST_JOBS, Config
from synthoma.core.types import MODALITIES, PLAIN_MODALITY, Origin, Plane
from synthoma.scans.intensity import Normalisation

Layout = Literal["folders", "lgg", "figshare", "dicom", "volumes", "table"]


class PrepareConfig(Config):
    """How a folder becomes a cohort."""

    layout: Layout | None = Field(None, description="how the folder is arranged; else recognised")
    modalities: tuple[str, ...] | None = Field(None, description="sequences to stack as channels; else all common ones")
    plane: Plane = "axial"
    size: int = Field(128, ge=16, le=1024, description="side of the square slices, in pixels")
    crop: bool = Field(True, description="crop to the head before resizing")
    normalise: Normalisation = "robust"
    apart: bool = Field(False, description="crop and normalise each slice by itself, as single pictures are")
    convention: str | None = Field(
        None, description="what mask values mean: a name, or 1=oedema,2=core,3=enhancing; else decided from all masks"
    )
    merge: Literal["whole-tumour"] | None = Field(
        None, description="one label instead of core, oedema, enhancing; else as masks are"
    )
    classes: Literal["auto", "folder", "mask"] = Field("auto", description="where a slice's class comes from")
    slices: Literal["all", "tumour"] = Field("all", description="keep all slices, or only those that show tumour")
    min_brain: float = Field(0.0, ge=0, le=1, description="least share of a slice that must show tissue")
    every: int = Field(1, ge=1, description="keep every k-th slice of a volume")
    duplicates: bool = Field(True, description="search for duplicates and keep them in one group")
    split: tuple[float, float, float] = Field((0.7, 0.15, 0.15), description="shares of train, validation, test")
    folds: int = Field(0, ge=0, description="number of cross-validation folds written beside the split; 0 for none")
    split_from: Path | None = Field(
        None, description="CSV, nnU-Net splits_final.json or cohort that fixes the split; else drawn"
    )
    origin: Origin = "real"
    pseudonyms: bool = Field(False, description="replace patient, case and file names by keyed hashes (DICOM: always)")
    seed: int = 0
    jobs: int = Field(0, ge=0, le=MOST_JOBS, description="worker processes; 0 chooses")

    @field_validator("modalities", mode="before")
    @classmethod
    def _known_modalities(cls, value: Any) -> Any:
        names = value.split(",") if isinstance(value, str) else value
        if names is None:
            return None
        if not isinstance(names, list | tuple):
            raise ValueError("modalities are names, with commas between them")
        names = tuple(str(name).strip().lower() for name in names)
        unknown = set(names) - {*MODALITIES, PLAIN_MODALITY}
        if unknown or not names or len(set(names)) != len(names):
            raise ValueError(f"modalities are {', '.join(MODALITIES)} and {PLAIN_MODALITY}, each once")
        return names

    @field_validator("folds")
    @classmethod
    def _enough_folds(cls, value: int) -> int:
        if value == 1:
            raise ValueError("one fold separates nothing; give 2 or more, or 0 for none")
        return value
