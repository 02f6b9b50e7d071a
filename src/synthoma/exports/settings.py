"""What ``synthoma export`` writes: its settings."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from synthoma.core.config import Config
from synthoma.core.fields import said
from synthoma.exports.names import ABOUT, FormName

VOLUMES: tuple[FormName, ...] = ("nnunet", "monai", "torchio", "nifti")
"""Forms in which a case is a volume, or each slice one of its own."""

TAKEN_BY: dict[str, tuple[FormName, ...]] = {
    "number": ("nnunet",),
    "slices": VOLUMES,
    "sequences": (*VOLUMES, "bids", "huggingface", "coco", "yolo"),
    "boxes": ("yolo",),
}
"""Settings that say something to some forms alone."""


class ExportConfig(Config):
    """In which form a cohort or findings are written, and what of them."""

    to: FormName = Field(
        "nnunet",
        description="the form: " + "; ".join(f"{name}, {about.what}" for name, about in ABOUT.items()),
        examples=["monai"],
    )
    name: str | None = Field(
        None,
        min_length=1,
        max_length=100,
        description="what the data set is called",
        examples=["Glioma"],
        json_schema_extra=said(unset="as its folder"),
    )
    number: int = Field(
        1, ge=1, le=999, description="of nnunet: number of the data set, as in Dataset001", examples=[42]
    )
    slices: bool = Field(
        False,
        description="of nnunet, monai, torchio and nifti: each slice a volume of its own, one voxel thick",
        examples=[True],
    )
    sequences: tuple[str, ...] = Field(
        (),
        description="which sequences are written, and in which order; of coco and yolo two or three become one "
        "coloured picture",
        examples=[["flair", "t1c"]],
        json_schema_extra=said(unset="all, of coco and yolo the first three"),
    )
    boxes: bool = Field(False, description="of yolo: boxes in place of outlines", examples=[True])

    def how(self) -> str:
        """How the tool is called on the folder OUT, with these settings."""
        told = ABOUT[self.to].how.replace("-d 1", f"-d {self.number}")
        return told.replace("segment", "detect") if self.boxes else told

    @model_validator(mode="after")
    def _of_its_form(self) -> Self:
        for name, forms in TAKEN_BY.items():
            if getattr(self, name) != type(self).model_fields[name].default and self.to not in forms:
                raise ValueError(f"--{name} is for {', '.join(forms)}, not for {self.to}: leave it out")
        return self
