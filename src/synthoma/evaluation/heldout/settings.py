"""Which model is scored, and on what: settings of `synthoma evaluate COHORT --model RUN`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from synthoma.core.config import Config
from synthoma.core.fields import said


class HeldOutConfig(Config):
    """Which model is scored, and on which slices."""

    model: str | None = Field(
        None,
        description="of a trained model: score this segmenter or classifier on the cohort, a run, a model file, or "
        "phantom for the segmenter that is part of the package",
        examples=["detector"],
        json_schema_extra=said(unset="a synthetic cohort is judged, or masks are scored", metavar="RUN"),
    )
    part: Literal["test", "validation", "all"] = Field(
        "test",
        description="of a trained model: the split that is scored; all of a cohort from elsewhere",
        examples=["all"],
    )
    by: tuple[Literal["site", "sequence", "size"], ...] = Field(
        (),
        description="of a segmenter: score each group too: site (hospital or scanner), sequence (shown alone), size "
        "(of the tumour)",
        examples=[("site", "size")],
        json_schema_extra=said(unset="no groups"),
    )
    against: Path | None = Field(
        None,
        description="of a segmenter: another cohort, all of which is scored too: what is lost there, with its interval",
        examples=["elsewhere"],
        json_schema_extra=said(metavar="COHORT", unset="none"),
    )
