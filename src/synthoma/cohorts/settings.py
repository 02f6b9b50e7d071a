"""How a folder becomes a cohort: the settings of ``prepare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from synthoma.core.config import Config, Jobs
from synthoma.core.fields import said
from synthoma.core.words import MODALITIES, PLAIN_MODALITY, Fitting, Normalisation, Origin, Plane, Resampling
from synthoma.scans.layout_names import LayoutName

LayoutOrNone = Annotated[
    LayoutName | None,
    Field(
        description="how the folder is arranged: table, lgg, figshare, dicom, folders, volumes (docs/datasets.md shows "
        "each), or one that is plugged in",
        examples=["lgg"],
        json_schema_extra=said(unset="recognised"),
    ),
]
Convention = Annotated[
    str | None,
    Field(
        description="what the values of masks mean: a name such as brats-2023, msd or peds (docs/datasets.md), or "
        "1=oedema,2=core,3=enhancing",
        examples=["brats-2023"],
        json_schema_extra=said(unset="decided from the names and values of all masks"),
    ),
]
"""Settings of everything that reads scans."""


SeedPreparation = Literal["dcgan-seed", "mask-dcgan-seed", "resunet-seed", "resnet50-seed"]

_PICTURES: dict[str, object] = {
    "crop": False,
    "fitting": "stretch",
    "resampling": "linear",
    "normalise": "unit",
    "apart": True,
}
PREPARATIONS: dict[str, dict[str, object]] = {
    "dcgan-seed": {**_PICTURES, "size": 128},
    "resunet-seed": {**_PICTURES, "size": 256, "slices": "tumour", "classes": "mask"},
    "resnet50-seed": {**_PICTURES, "size": 256, "classes": "mask"},
    "mask-dcgan-seed": {
        "modalities": ("flair",),
        "plane": "sagittal",
        "size": 28,
        "crop": False,
        "normalise": "unit",
        "apart": True,
        "pad": 256,
        "window": (50, 200),
        "resampling": "cubic",
        "merge": "whole-tumour",
    },
}
"""Model of a seed project -> how that project prepares its pictures (docs/seed-experiment.md)."""


GIVEN_BY_COHORT = (
    "recipe", "modalities", "plane", "size", "fitting", "resampling", "pad", "window", "tile", "crop", "normalise",
    "apart", "merge", "classes", "slices", "min_brain", "every", "split", "folds", "split_from", "augment",
)  # fmt: skip
"""Settings that ``like`` takes from its cohort, or that say nothing of images of a generator."""


class PrepareConfig(Config):
    """How a folder becomes a cohort."""

    recipe: SeedPreparation | None = Field(
        None,
        description="prepare as the seed project of this model does; other settings that are given still count",
        examples=["resunet-seed"],
        json_schema_extra=said(unset="Synthoma's own way", metavar="NAME"),
    )
    layout: LayoutOrNone = None
    modalities: tuple[str, ...] | None = Field(
        None,
        description="sequences to stack as channels, of t1, t1c, t2, flair and image, with commas between them",
        examples=["flair"],
        json_schema_extra=said(unset="all that every patient has", metavar="A,B,..."),
    )
    plane: Plane = Field("axial", description="plane in which volumes are cut into slices", examples=["coronal"])
    size: int = Field(
        128,
        ge=16,
        le=1024,
        description="side of the square slices",
        examples=[64],
        json_schema_extra=said(unit="pixels"),
    )
    fitting: Fitting = Field(
        "keep", description="keep the aspect of a slice and pad it, or stretch it to the square", examples=["stretch"]
    )
    resampling: Resampling = Field(
        "area",
        description="how slices are resized: area (the mean when shrinking, cubic when growing), cubic or linear",
        examples=["cubic"],
    )
    pad: int | None = Field(
        None,
        ge=16,
        le=4096,
        description="centre each slice in a square of this side first",
        examples=[256],
        json_schema_extra=said(unit="pixels of the slice", unset="none"),
    )
    window: tuple[int, int] | None = Field(
        None,
        description="first row and column of it that are kept, and the first that are not",
        examples=[(50, 200)],
        json_schema_extra=said(unit="pixels of the slice", unset="all", metavar="A,B"),
    )
    tile: int | None = Field(
        None,
        ge=16,
        le=8192,
        description="cut each slice into tiles of this side, which become slices of their own",
        examples=[256],
        json_schema_extra=said(unit="pixels of the slice", unset="slices stay whole"),
    )
    augment: int = Field(
        0,
        ge=0,
        le=100,
        description="add so many changed copies of each training slice, for trainings that change none themselves",
        examples=[4],
    )
    crop: bool = Field(True, description="crop to the head before resizing", examples=[False])
    strip: bool = Field(
        False,
        description="set what lies outside the brain to air before anything else; scans in which no brain is found for "
        "sure are skipped, and a model that learns from the cohort strips what it is shown",
        examples=[True],
    )
    normalise: Normalisation = Field(
        "robust",
        description="what grey values are scaled by: robust by the tissue's 99.5th percentile, unit by the full range",
        examples=["unit"],
    )
    apart: bool = Field(
        False, description="crop and normalise each slice by itself, as single pictures are", examples=[True]
    )
    convention: Convention = None
    merge: Literal["whole-tumour"] | None = Field(
        None,
        description="one label (whole-tumour) in place of core, oedema and enhancing tumour",
        examples=["whole-tumour"],
        json_schema_extra=said(unset="labels as the masks have them"),
    )
    classes: Literal["auto", "folder", "mask", "sequence"] = Field(
        "auto",
        description="where a slice's class comes from: folder names, whether its mask shows tumour, or auto for "
        "either. sequence makes each sequence a slice of its own, and its class",
        examples=["mask"],
    )
    slices: Literal["all", "tumour"] = Field(
        "all", description="keep all slices, or only those that show tumour", examples=["tumour"]
    )
    min_brain: float = Field(
        0.0, ge=0, le=1, description="least share of a slice that must show tissue", examples=[0.1]
    )
    every: int = Field(1, ge=1, description="keep every k-th slice of a volume", examples=[3])
    duplicates: bool = Field(
        True,
        description="search for duplicates and keep them on one side of the split; of simulated patients only on "
        "request",
        examples=[False],
    )
    searched: int = Field(
        100_000,
        ge=1,
        description="slices that the search for duplicates compares at most, evenly spaced over each volume, one of "
        "each at least; where it leaves any out, the cohort says so",
        examples=[200_000],
        json_schema_extra=said(unit="slices"),
    )
    split: tuple[float, float, float] = Field(
        (0.7, 0.15, 0.15),
        description="shares of the patients for train, validation and test",
        examples=[(0.6, 0.2, 0.2)],
        json_schema_extra=said(metavar="A,B,C"),
    )
    folds: int = Field(
        0,
        ge=0,
        description="cross-validation folds to write beside the split, 2 or more; 0 for none",
        examples=[5],
    )
    split_from: Path | None = Field(
        None,
        description="take the split from a CSV, an nnU-Net splits_final.json or another cohort",
        examples=["splits_final.json"],
        json_schema_extra=said(unset="drawn by patient"),
    )
    corrections: Path | None = Field(
        None,
        description="a CSV with what is to be corrected of what was understood, by case: patient, class, split, "
        "sequences, or to leave it out (docs/cohort.md)",
        examples=["corrections.csv"],
        json_schema_extra=said(unset="nothing is corrected"),
    )
    like: Path | None = Field(
        None,
        description="pack images of another tool's generator as this cohort is prepared, to be evaluated against it",
        examples=["cohort"],
        json_schema_extra=said(unset="settings of its own", metavar="COHORT"),
    )
    framed: Literal["auto", "yes", "no"] = Field(
        "auto",
        description="with like: yes takes images as they are, as slices of the cohort lie; no crops, normalises and "
        "resizes them as its scans were; auto takes them as they are where they have its size and heads fill the frame "
        "as in it",
        examples=["yes"],
    )
    origin: Origin = Field(
        "real", description="what the images are, if another tool or a simulation made them", examples=["synthetic"]
    )
    pseudonyms: bool = Field(
        False,
        description="replace names of patients, cases and files by keyed hashes; of DICOM always done",
        examples=[True],
    )
    seed: int = Field(0, description="number that fixes the split, and the simulated patients", examples=[1])
    jobs: Jobs = 0

    @model_validator(mode="before")
    @classmethod
    def _as_the_seed_project(cls, values: object) -> object:
        """Settings that are not given are those of the seed project that is named, not of the class."""
        if isinstance(values, dict) and str(name := values.get("recipe")) in PREPARATIONS:
            return {**PREPARATIONS[str(name)], **values}
        return values

    @field_validator("modalities", mode="before")
    @classmethod
    def _known_modalities(cls, value: object) -> tuple[str, ...] | None:
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

    @field_validator("window")
    @classmethod
    def _a_window(cls, value: tuple[int, int] | None) -> tuple[int, int] | None:
        if value is not None and not 0 <= value[0] < value[1]:
            raise ValueError("a window is two numbers from 0, the second larger than the first")
        return value

    def holds_masks(self) -> bool:
        """Whether the part of a slice that is shown grows where it would cut a mask: not where it is prescribed."""
        return self.window is None

    @model_validator(mode="after")
    def _framed_like_something(self) -> Self:
        if self.framed != "auto" and self.like is None:
            raise ValueError("--framed says something beside --like only: leave it out")
        return self

    @field_validator("folds")
    @classmethod
    def _enough_folds(cls, value: int) -> int:
        if value == 1:
            raise ValueError("one fold separates nothing; give 2 or more, or 0 for none")
        return value
