"""What ``detect`` does with a scan: its settings."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, field_validator, model_validator

from synthoma.cohorts.settings import Convention, LayoutOrNone
from synthoma.core.config import Config, Device, Jobs
from synthoma.core.fields import said


class DetectConfig(Config):
    """How scans are looked at, and what is written about them."""

    threshold: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="probability from which a pixel counts as tumour",
        examples=[0.4],
        json_schema_extra=said(unset="the model's own"),
    )
    flip: bool = Field(True, description="average with the mirrored slice", examples=[False])
    planes: bool = Field(
        True,
        description="look at coronal and sagittal slices too and join what is seen, where voxels are small and nearly "
        "as long as wide and the model knows simulated gliomas only",
        examples=[False],
    )
    dicom_seg: bool = Field(True, description="write a DICOM SEG beside the mask of a DICOM series", examples=[False])
    dicom_sr: bool = Field(
        False, description="write the sizes of a DICOM series' segments as a DICOM SR too", examples=[True]
    )
    dicom_rtstruct: bool = Field(
        False, description="write outlines on the slices of a DICOM series as an RTSTRUCT too", examples=[True]
    )
    band: tuple[float, float] | None = Field(
        None,
        description="two probabilities from which an outer and an inner outline are drawn too; of a DICOM series they "
        "become the segments of a second DICOM SEG",
        examples=[(0.25, 0.75)],
        json_schema_extra=said(unset="no band", span=(0, 1)),
    )
    before: Path | None = Field(
        None,
        description="earlier scans of the same patients: what changed since, by more than repeatability allows",
        examples=["earlier"],
        json_schema_extra=said(metavar="EARLIER", unset="nothing is compared"),
    )
    changes: bool = Field(
        False, description="compare the visits of each patient among the scans, one with the next", examples=[True]
    )
    repeats: int = Field(
        5,
        ge=3,
        le=50,
        description="of visits that are compared: how often each is looked at again, slightly moved, to measure how "
        "far sizes repeat",
        examples=[10],
    )
    study: tuple[str, ...] = Field(
        (),
        description="UIDs of the studies to fetch from an archive (dicomweb+https://HOST/PATH)",
        examples=[("1.2.840.113619.2.1",)],
        json_schema_extra=said(metavar="UID,...", unset="none"),
    )
    send_back: bool = Field(
        False, description="store DICOM SEG, SR and RTSTRUCT in the archive that the study came from", examples=[True]
    )
    overlay: bool = Field(True, description="draw the scan with its mask", examples=[False])
    three_d: bool = Field(
        True,
        description="put a small copy of each scan with tumour into the page, to turn in 3D",
        examples=[False],
        json_schema_extra=said(flag="--3d"),
    )
    saliency: bool = Field(False, description="draw what the network looked at", examples=[True])
    probabilities: bool = Field(False, description="write the probability of each pixel", examples=[True])
    tissues: bool = Field(
        False,
        description="write a map of the head's tissues (grey and white matter, ventricles, fluid, skull, eyes), their "
        "volumes, lobes and the shift of the midline",
        examples=[True],
    )
    inside_brain: bool = Field(
        True,
        description="leave out what is outlined outside the brain, where the model knows simulated gliomas only and a "
        "brain is found for sure",
        examples=[False],
    )
    refine: bool = Field(
        True,
        description="cut what is outlined back to where FLAIR falls half way from a bright tumour to the brain, and "
        "leave out places less than a tenth as large as the largest (and under 3 ml), where the model knows simulated "
        "gliomas only",
        examples=[False],
    )
    rle: bool = Field(
        False, description="write each scan's whole mask as run-length code and as a flat list", examples=[True]
    )
    shows: str | None = Field(
        None,
        description="the sequence that plain pictures show",
        examples=["t1c"],
        json_schema_extra=said(unset="flair, if the model knows it"),
    )
    type_model: Path | None = Field(
        None,
        description="run of a classifier that says which type the tumour is",
        examples=["classifier"],
        json_schema_extra=said(flag="--type", metavar="RUN"),
    )
    gate: Path | None = Field(
        None,
        description="run of a classifier that looks first: nothing is outlined on slices that it takes for healthy",
        examples=["classifier"],
        json_schema_extra=said(metavar="RUN"),
    )
    gate_limit: float = Field(
        0.5,
        ge=0,
        le=1,
        description="probability of tumour below which the classifier that looks first takes a slice for healthy",
        examples=[0.2],
    )
    layout: LayoutOrNone = None
    convention: Convention = None
    device: Device = "auto"
    jobs: Jobs = 0

    @property
    def classifiers(self) -> tuple[Path, ...]:
        """Runs of classifiers that look at the scans too."""
        return tuple(run for run in (self.type_model, self.gate) if run is not None)

    @field_validator("band")
    @classmethod
    def _low_first(cls, band: tuple[float, float] | None) -> tuple[float, float] | None:
        if band is not None and not 0 < band[0] < band[1] < 1:
            raise ValueError("two probabilities between 0 and 1, the lower one first, as 0.25,0.75")
        return band

    @model_validator(mode="after")
    def _one_way_to_compare(self) -> Self:
        if self.before is not None and self.changes:
            raise ValueError("one of before (earlier scans lie elsewhere) and changes (all visits lie together)")
        return self
