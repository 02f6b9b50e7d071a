"""What a model file says of the model, as typed records. Names are those of the file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import ConfigDict, Field, JsonValue, with_config
from typing_extensions import TypedDict

from synthoma.cohorts.meta import Prepared, SourceCohort, TrainedOn
from synthoma.core.records import Number, OrEmpty, Record
from synthoma.core.types import Plane
from synthoma.training.settings import Kind

SCHEMA = "synthoma.model/1"


class ModelProvenance(Record, extra="allow"):
    """Where a model came from."""

    config: dict[str, JsonValue] = Field(default_factory=dict, description="settings of its training, without paths")
    cohort: SourceCohort = Field(default_factory=SourceCohort, description="what it was trained on")
    with_: tuple[SourceCohort, ...] = Field((), alias="with", description="further cohorts that it learned from")
    stream: str | None = Field(
        None, description="address of the simulated patients who came in the course of it, in place of training slices"
    )
    streamed: int | None = Field(None, description="how many of these patients it was shown")
    trained_on: TrainedOn = Field(default_factory=TrainedOn, description="slices, classes and patients")
    init_sha256: str | None = Field(None, description="file that it began with")
    software: dict[str, JsonValue] = Field(default_factory=dict, description="versions")

    def learned(self) -> tuple[str, str, str]:
        """How much it was trained on, in words: a number, of what, and of how many."""
        if self.streamed is not None:
            return f"{self.streamed:,}", "simulated patients", "who came one after the other and never again"
        return f"{self.trained_on.slices:,}", "training slices", f"of {len(self.trained_on.groups):,} groups"


class Measured(Record, extra="allow"):
    """What was counted of a model later, on scans that show no tumour."""

    kind: str = Field(description="scan or picture")
    said: int = Field(description="of how many it said tumour")
    of: int = Field(description="how many were looked at")
    scans: str = Field(description="what they were")


@with_config(ConfigDict(extra="forbid"))
class Simulation(TypedDict, total=False):
    """What patients must be like who are simulated beside a cohort; what is not said is as in any phantom.

    ``phantom.beside.phantom_beside`` takes it by these names.
    """

    skull: Literal["whole", "stripped", "mixed"]  # heads that the cohort shows
    apart: bool  # the cohort holds single pictures, each cropped and normalised by itself
    volume_ml: float  # median volume of the tumours
    volume_spread: float  # how far their volumes spread around it; 0 for all alike
    lobe: Literal["frontal", "temporal", "parietal", "occipital", "deep", "posterior fossa"] | None  # where they start
    side: Literal["left", "right"] | None  # on which side of the patient


class SimulatedShares(Record):
    """The model of the shares in which simulated slices are drawn, see ``generators.phantomgan.matching.Matching``.

    A number is None where it is not defined, as the mean of a feature that some simulated slice lacks.
    """

    centre: tuple[Number, ...] = Field(description="means of the real slices, by feature")
    scale: tuple[Number, ...] = Field(description="their deviations; 0 for a feature that is not used")
    weights: tuple[Number, ...] = Field(description="of each feature and of its square")
    among: tuple[tuple[Number, ...], ...] = Field(description="means and deviations of the simulated slices it is from")


@with_config(ConfigDict(extra="forbid"))
class StoredCalibration(TypedDict):
    """What a segmenter's figures mean, see ``detectors.segmenters.chances.Calibration``."""

    slope: float
    offset: float
    limit: float
    ill: int
    found: int
    healthy: int
    alarms: int


class Realness(Record):
    """How a discriminator's score becomes the probability of a real slice, see ``generators.realness``.

    The probability is 1 / (1 + exp(-(slope * score + offset))), as if half of all slices were real.
    """

    slope: float = Field(ge=0, description="of the logit over the score; 0 where the score says nothing")
    offset: float = Field(description="of the logit")
    real: int = Field(description="held-out slices that it was made from")
    generated: int = Field(description="generated slices that it was made from")
    auc: float = Field(description="chance that a held-out slice is scored above a generated one")
    empty_mask: bool = Field(False, description="images were judged with an empty mask, not with their own")


class ModelMeta(Record, extra="allow"):
    """All that is needed to use a model, and where it came from."""

    schema_: str = Field(SCHEMA, alias="schema", description="name and version of this form")
    kind: Kind = Field(description="generator, segmenter or classifier")
    model: str = Field("", description="its name, as `synthoma train --list` has it")
    network: dict[str, JsonValue] = Field(description="settings that its networks are built from")
    shape: dict[str, int] = Field(description="size in pixels, channels, and labels and classes, or targets")
    modalities: tuple[str, ...] = Field((), description="sequences, in the order of the channels")
    classes: tuple[str, ...] = Field((), description="in the order in which it numbers them")
    plane: Plane | None = Field(None, description="how its slices lie")
    prepare: Prepared = Field(default_factory=dict, description="settings with which its cohort was prepared")
    images: int = Field(0, description="slices seen until the snapshot that was kept")
    provenance: ModelProvenance = Field(default_factory=ModelProvenance, description="where it came from")

    labels: dict[str, str] = Field(default_factory=dict, description="generators: what drawn mask values mean")
    loss: str = Field("", description="generators: the objective")
    realness: OrEmpty[Realness] = Field(None, description="GANs: what a score of its discriminator means")
    simulate: Simulation | None = Field(None, description="phantom-gan: settings of patients simulated beside it")
    air: tuple[tuple[tuple[float, float], ...], ...] = Field(
        (), description="phantom-gan: level and grain of the air, by real slice and modality"
    )
    kinds: tuple[str, ...] = Field((), description="phantom-gan: kinds of simulated slices: healthy, tumour")
    matching: OrEmpty[SimulatedShares] = Field(None, description="phantom-gan: shares of simulated slices")

    targets: tuple[str, ...] = Field((), description="segmenters: what its maps outline")
    threshold: tuple[float, ...] = Field((), description="segmenters: probability above which a pixel belongs to each")
    calibration: dict[str, dict[str, StoredCalibration]] = Field(
        default_factory=dict,
        description="segmenters: what its figures mean, by scan, scan in three planes or picture, and by sequences",
    )
    measured: tuple[Measured, ...] = Field((), description="segmenters: false alarms counted on other scans")
    step_mm: float | None = Field(None, description="detectors: least distance between slices seen together")
    any_subset: bool = Field(False, description="detectors: it learned to do without some modalities")
    validation: Number = Field(None, description="detectors: score on held-out slices, lower is better; None for none")

    def content(self) -> dict[str, Any]:
        """As plain data for JSON, with the version of the form."""
        return {"schema": self.schema_, **super().content()}

    def changed(self, values: Mapping[str, object]) -> ModelMeta:
        """The same with other values, by the names of the file."""
        return ModelMeta.model_validate({**self.content(), **values})
