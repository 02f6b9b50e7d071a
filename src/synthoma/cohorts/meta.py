"""What ``cohort.json`` says of a cohort, as typed records. Names are those of the file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, JsonValue

from synthoma.core.records import Record
from synthoma.core.types import Origin, Plane

SCHEMA = "synthoma.cohort/1"

Prepared = dict[str, Any]
"""Settings of `synthoma prepare` as they were, by name; of an earlier version perhaps others than today's."""


def _named(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Name = Annotated[str, BeforeValidator(_named)]
"""Name of a patient or group; other tools number them."""


class TrainedOn(Record, extra="allow"):
    """What a model learned from."""

    slices: int = Field(0, description="training slices")
    classes: tuple[str, ...] = Field((), description="their classes")
    groups: tuple[Name, ...] = Field((), description="patients or groups that were seen, at second hand too")
    inherited: tuple[Name, ...] = Field(
        (), description="of these, the ones behind what it began with or behind synthetic slices that it learned from"
    )


class SourceCohort(Record, extra="allow"):
    """Which cohort something was made from."""

    origin: str = Field("", description="real, phantom or synthetic")
    slices_sha256: str | None = Field(None, description="SHA-256 of its slices.csv")
    images_sha256: str | None = Field(None, description="SHA-256 of its images.npy")


class Provenance(Record, extra="allow"):
    """Where a cohort came from, as far as it is known."""

    source: str = Field("", description="folder, model or simulation, without paths")
    config: Prepared = Field(default_factory=dict, description="settings of prepare")
    software: dict[str, JsonValue] = Field(default_factory=dict, description="versions")
    model_sha256: str | None = Field(None, description="file of the generator that drew it")
    seed: int | None = Field(None, description="of what was drawn")
    count: int | None = Field(None, description="images or patients that were asked for, in all shards")
    shard: tuple[int, ...] | None = Field(None, description="(i, k): the i-th of k parts")
    truncation: float | None = Field(None, description="factor on the latents")
    kept_share: float | None = Field(None, description="share of candidates that the discriminator let pass")
    drawn: str = Field("", description="patients, where whole ones were drawn")
    trained_on: TrainedOn | None = Field(None, description="what the generator learned from; None where nobody says")
    training_cohort: SourceCohort = Field(default_factory=SourceCohort, description="which cohort that was")


class CohortMeta(Record, extra="allow"):
    """What a cohort is. Keys that Synthoma does not know are kept."""

    schema_: str = Field(SCHEMA, alias="schema", description="name and version of this form")
    slices: int = Field(0, ge=0, le=2**40, description="rows of slices.csv and of the arrays")
    origin: Origin = Field(description="real, phantom or synthetic")
    modalities: tuple[str, ...] = Field(description="sequences, in the order of the image channels")
    labels: dict[str, str] = Field(description="what mask values mean; empty where there are no masks")
    classes: tuple[str, ...] = Field(description="in the order in which a model numbers them")
    size: int = Field(ge=1, le=2**16, description="side of the square slices in pixels")
    plane: Plane = Field("axial", description="how slices lie")
    layout: str = Field("by hand", description="how the folder was arranged that it was read from")
    cases: int = Field(0, description="studies")
    patients: int = Field(0, description="known patients; 0 where nobody knows")
    groups: int = Field(0, description="patients, or sets of near-duplicates, that no split separates")
    remarks: tuple[str, ...] = Field((), description="what its user should know")
    left_out: int | None = Field(None, description="slices of the cohort it was taken from that are not in it")
    provenance: Provenance = Field(default_factory=Provenance, description="where it came from")

    def content(self) -> dict[str, Any]:
        """As plain data for JSON, with the version of the form."""
        return {"schema": self.schema_, **super().content()}

    def changed(self, values: Mapping[str, object]) -> CohortMeta:
        """The same with other values, by the names of the file."""
        return CohortMeta.model_validate({**self.content(), **values})
