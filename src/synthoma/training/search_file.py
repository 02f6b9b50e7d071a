"""What a search leaves beside its trials: search.json and search.csv, read and written here alone."""

from __future__ import annotations

import csv
from pathlib import Path

from pydantic import Field

from synthoma.core.artefacts import check_schema, read_json, sealed, unsealed, verify
from synthoma.core.records import Record
from synthoma.core.whole_files import write_json
from synthoma.training.settings import Kind, TrainingConfig

FILE = "search.json"
SCHEMA = "synthoma.search/1"


class SearchMeta(Record):
    """The content of search.json, beside its own checksum."""

    schema_: str = Field(SCHEMA, alias="schema", description="name and version of this form")
    model: str = Field(description="its name, as `synthoma train --list` has it")
    kind: Kind
    budget: str = Field(description="of each trial")
    wanted: int = Field(description="trials that were asked for")
    cohort_sha256: str | None = Field(description="SHA-256 of the cohort's slices.csv")
    importances: dict[str, float] = Field(
        description="share of the variation of scores that each setting explains (functional ANOVA); empty if unknown"
    )

    @classmethod
    def of(
        cls,
        config: TrainingConfig,
        cohort_sha256: str | None,
        *,
        wanted: int = 0,
        importances: dict[str, float] | None = None,
    ) -> SearchMeta:
        """What is written of a search with these settings in common."""
        budget = f"{config.images:,} images" if config.images else f"{config.minutes or 10:g} minutes"
        return cls(
            schema_=SCHEMA,
            model=config.model,
            kind=config.kind,
            budget=budget,
            wanted=wanted,
            cohort_sha256=cohort_sha256,
            importances=importances or {},
        )


def write_search(folder: Path, meta: SearchMeta) -> None:
    """Write search.json."""
    write_json(folder / FILE, sealed(meta.content()))


def read_search(folder: Path) -> SearchMeta:
    """What search.json says, its checksum compared.

    Raises:
        InputError: nothing readable there, or not what was written.
    """
    path = folder / FILE
    content = read_json(path)
    check_schema(content, SCHEMA, path)
    return SearchMeta.parse(unsealed(content, path), path)


def trials_of(folder: Path) -> list[dict[str, str]]:
    """Finished trials as search.csv has them, best first."""
    verify(folder / "search.csv")
    with (folder / "search.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))
