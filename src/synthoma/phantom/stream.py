"""An endless stream of simulated patients by its address: what it is made of, and who comes when.

    phantom://?size=64&modalities=flair&phantom.healthy=0.2&seed=3

Keys are the settings of ``StreamConfig``, as ``--set`` has them. Patient ``i`` of a stream is a function of the address
and ``i``. Patients of a stream, those that are held out beside it, and those of a cohort that `prepare --phantom` makes
of the same seed are three different sets of people.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from os import fspath
from typing import Literal, Self
from urllib.parse import quote, unquote

from pydantic import Field, model_validator

from synthoma.cohorts.slicing import PreparedCase
from synthoma.core.errors import ConfigError
from synthoma.core.fields import said
from synthoma.core.seeding import stream_key
from synthoma.core.types import Place
from synthoma.phantom.config import PhantomCohortConfig
from synthoma.scans.case import Case, Skipped

SCHEME = "phantom:"

EXAMPLE = "phantom://?size=64&modalities=flair&seed=3"

MANY_SITES = 1000
"""Scanners of a stream where nobody says how many: few of them would be a look of their own."""

OF_A_FOLDER = ("augment", "duplicates", "split", "folds", "split_from", "corrections", "like", "pseudonyms", "layout")
"""Settings of ``prepare`` that say nothing of patients who are never stored."""


class StreamConfig(PhantomCohortConfig):
    """An endless stream of simulated patients: the settings of ``prepare --phantom``, and how a training takes them."""

    grid: Literal["scanner", "slices"] = Field(
        "slices",
        description="where tissue is looked up: at each pixel of the scanner, or about where slices have theirs, in a "
        "fraction of the time",
        examples=["scanner"],
    )
    mixed: int = Field(
        32,
        ge=1,
        le=4096,
        description="so many patients are in memory at once, and each batch is drawn from all of them",
        examples=[64],
        json_schema_extra=said(unit="patients"),
    )
    per_patient: int = Field(
        128,
        ge=1,
        le=100_000,
        description="a new patient comes after so many slices that were shown, in place of the one that is there for "
        "longest: more where simulating does not keep up with learning, fewer for more variety",
        examples=[64],
        json_schema_extra=said(unit="slices"),
    )
    held_out: int = Field(
        20,
        ge=0,
        le=10_000,
        description="patients who are simulated for validation, and whom the stream never shows",
        examples=[40],
        json_schema_extra=said(unit="patients"),
    )

    @model_validator(mode="before")
    @classmethod
    def _of_many_sites(cls, values: object) -> object:
        """Scanners are many unless somebody says how many."""
        if not isinstance(values, dict) or not isinstance(given := values.get("phantom", {}), Mapping):
            return values
        return {**values, "phantom": {"sites": MANY_SITES, **given}}

    @model_validator(mode="after")
    def _of_no_folder(self) -> Self:
        usual = type(self).model_fields
        if changed := [name for name in OF_A_FOLDER if getattr(self, name) != usual[name].get_default()]:
            raise ConfigError(
                "settings of a stream", f"{changed[0]}, which is of cohorts in folders", f"leave {changed[0]} out"
            )
        return self


def is_address(place: Place) -> bool:
    """Whether this is the address of a stream and no folder."""
    return fspath(place).startswith(f"{SCHEME}/")  # a path makes one stroke of two


def stream_of(address: Place) -> StreamConfig:
    """The settings that an address stands for.

    Args:
        address: ``phantom://``, and behind a question mark ``key=value`` with ``&`` between them.

    Raises:
        ConfigError: another form, a key twice, or settings that do not exist, are out of range, or are of cohorts in
            folders.
    """
    text = fspath(address).removeprefix(SCHEME).lstrip("/")
    if text and not text.startswith("?"):
        raise ConfigError(f"settings behind a question mark ({EXAMPLE})", f"{text[:60]!r}", "write it so")
    pairs = [unquote(pair) for pair in text.removeprefix("?").split("&") if pair]
    keys = [pair.partition("=")[0].strip() for pair in pairs]
    if twice := next((key for key in keys if keys.count(key) > 1), None):
        raise ConfigError("each setting once in the address", f"{twice!r} twice", "leave one of them out")
    config = StreamConfig.resolve(assignments=pairs)
    if config.strip:  # whoever is simulated needs no network to lose the head
        config = config.model_copy(update={"phantom": config.phantom.model_copy(update={"skull": "stripped"})})
    return config


def address_of(config: StreamConfig) -> str:
    """The address that stands for these settings, always the same one: it names what is not as usual.

    On how many processes patients are simulated makes no difference to them, and is not named.
    """
    usual = dict(_flat(StreamConfig().model_dump(mode="json")))
    pairs = [f"{name}={_text(value)}" for name, value in _flat(config.model_dump(mode="json", exclude={"jobs"}))
             if value != usual[name]]  # fmt: skip
    return f"{SCHEME}//" + (f"?{'&'.join(pairs)}" if pairs else "")


def _flat(values: Mapping[str, object], inside: str = "") -> Iterator[tuple[str, object]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{inside}{name}.")
        else:
            yield inside + name, value


def _text(value: object) -> str:
    """A value as ``stream_of`` reads it."""
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return quote(",".join(value), safe=",")
    return quote(value if isinstance(value, str) else json.dumps(value, separators=(",", ":")), safe=",[].")


def streamed_patient(config: StreamConfig, index: int) -> PreparedCase | Skipped:
    """All slices of patient ``index`` of a stream, as a cohort would store them; or why there is none."""
    from synthoma.phantom.coarse import prepared_patient  # loads torch, which reading an address does without

    return prepared_patient(_seed(config, "streamed"), index, config, name=_name("streamed", index))


def sample_cases(config: StreamConfig, first: int) -> dict[str, list[Case]]:
    """The ``first`` patients of a stream ("train"), and all that are held out beside it ("validation"), as cases."""
    from synthoma.phantom.coarse import coarse_case  # loads torch, as above

    parts = {"train": ("streamed", first), "validation": ("held-out", config.held_out)}
    return {
        part: [
            replace(
                coarse_case(_seed(config, kind), index, config), name=_name(kind, index), patient=_name(kind, index)
            )
            for index in range(count)
        ]
        for part, (kind, count) in parts.items()
    }


def _seed(config: StreamConfig, kind: str) -> int:
    """The seed of patients of one kind: of their own, so that none of them is of another kind too."""
    return stream_key(config.seed, f"phantom.stream.{kind}") % 2**31


def _name(kind: str, index: int) -> str:
    return f"{kind}-{index:07d}"
