"""What `synthoma generate` draws: its settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from synthoma.core.config import Config, Jobs
from synthoma.core.fanned import share_of
from synthoma.core.fields import said

if TYPE_CHECKING:
    from synthoma.training.meta import Simulation


class GenerateConfig(Config):
    """How many images of what are drawn, and what is written beside them. The model says which it can draw."""

    count: int | None = Field(
        None,
        description="how many images are drawn, in all parts together",
        examples=[100],
        json_schema_extra=said(unit="images", unset="500", flag="-n", metavar="N"),
    )
    per_patient: int | None = Field(
        None,
        ge=1,
        le=16,
        description="of phantom-gan with -n: most images of one simulated patient, from slices far apart; patients are "
        "simulated for this call",
        examples=[1],
        json_schema_extra=said(unit="images", unset="2; with --phantom as many as chance gives", metavar="N"),
    )
    patients: int | None = Field(
        None,
        description="of phantom-gan, in place of -n: how many whole patients, slice by slice in one style",
        examples=[20],
        json_schema_extra=said(unit="patients", unset="single images", metavar="N"),
    )
    label: str | None = Field(
        None,
        description="class of all images",
        examples=["tumour"],
        json_schema_extra=said(unset="all that the model knows, in turn", flag="--class"),
    )
    seed: int = Field(0, description="image i depends on the model, this number and i alone", examples=[1])
    truncation: float = Field(
        1.0,
        description="factor on the latent vectors; less is more typical and less various",
        examples=[0.7],
        json_schema_extra=said(span=(0.0, 1.0)),
    )
    keep_share: float | None = Field(
        None,
        description="draw more and keep this share, what the run's own discriminator finds most real",
        examples=[0.5],
        json_schema_extra=said(unset="all are kept", flag="--reject-discriminator", metavar="SHARE", span=(0.05, 1.0)),
    )
    shard: str = Field(
        "1/1",
        description="draw one part, i/k the i-th of k; together they are what one command would draw. With --parts "
        "it is a share of the jobs, and the same command without it puts all together",
        examples=["3/8"],
        json_schema_extra=said(metavar="I/K"),
    )
    form: Literal["png", "nifti", "dicom"] | None = Field(
        None,
        description="write files too",
        examples=["dicom"],
        json_schema_extra=said(unset="only the cohort", flag="--export"),
    )
    interpolation: bool = Field(
        False, description="write interpolation.png too: what lies between pairs of images", examples=[True]
    )
    arithmetic: str | None = Field(
        None,
        description="write arithmetic.png too: a sum of images by number, of a conditional model also of classes",
        examples=["12,15,18 - 3,4 + 7"],
        json_schema_extra=said(unset="not written", metavar="SUM"),
    )
    nearest: Path | None = Field(
        None,
        description="real cohort: write nearest.png too, images beside the real slices that are nearest",
        examples=["lgg"],
        json_schema_extra=said(unset="not written", metavar="COHORT"),
    )
    phantom: Path | None = Field(
        None,
        description="cohort of simulated slices that phantom-gan repaints",
        examples=["phantom"],
        json_schema_extra=said(unset="patients of its own", metavar="COHORT"),
    )
    tumour_ml: float | None = Field(
        None,
        ge=0.5,
        le=200,
        description="of phantom-gan: volume of each tumour, in new simulated patients",
        examples=[20.0],
        json_schema_extra=said(unit="ml", unset="as various as the real ones"),
    )
    tumour_lobe: Literal["frontal", "temporal", "parietal", "occipital", "deep", "posterior fossa"] | None = Field(
        None,
        description="of phantom-gan: where each tumour starts, in new simulated patients",
        examples=["temporal"],
        json_schema_extra=said(unset="anywhere"),
    )
    tumour_side: Literal["left", "right"] | None = Field(
        None,
        description="of phantom-gan: the patient's side on which each tumour starts, in new simulated patients",
        examples=["left"],
        json_schema_extra=said(unset="either"),
    )
    plan: Path | None = Field(
        None,
        description="draw what this plan orders, and as many; the model must be trained on the cohort that was planned "
        "for",
        examples=["plan"],
        json_schema_extra=said(unset="by the number of images", metavar="PLAN"),
    )
    only_private: Path | None = Field(
        None,
        description="leave out images that look like copies of this cohort's training slices",
        examples=["lgg"],
        json_schema_extra=said(unset="nothing is left out", metavar="COHORT"),
    )

    jobs: Jobs = 1

    def tumour(self) -> Simulation:
        """What is asked of the tumours of simulated patients; empty where nothing is."""
        asked: Simulation = {}
        if self.tumour_ml is not None:
            asked |= {"volume_ml": self.tumour_ml, "volume_spread": 0.0}
        if self.tumour_lobe is not None:
            asked["lobe"] = self.tumour_lobe
        if self.tumour_side is not None:
            asked["side"] = self.tumour_side
        return asked

    def part(self) -> tuple[int, int]:
        """``shard`` as numbers.

        Raises:
            ConfigError: it is not i/k.
        """
        return share_of(self.shard)
