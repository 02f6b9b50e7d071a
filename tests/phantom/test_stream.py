"""The address of a stream of simulated patients, and who they are."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from synthoma.cohorts.cohort import Cohort
from synthoma.cohorts.slicing import PreparedCase
from synthoma.core.errors import CohortError, ConfigError
from synthoma.core.types import MODALITIES
from synthoma.phantom import (
    PhantomCohortConfig,
    PhantomConfig,
    StreamConfig,
    address_of,
    is_address,
    prepared_patient,
    simulate,
    stream_of,
    streamed_patient,
)
from synthoma.phantom.coarse import coarse_study, simulated
from synthoma.phantom.stream import MANY_SITES, sample_cases

ADDRESS = (
    "phantom://?size=32&modalities=flair&seed=3&phantom.healthy=0.2&phantom.age=[40,60]&phantom.lobe=posterior%20fossa"
)


def test_every_setting_can_stand_in_an_address_and_comes_back() -> None:
    config = stream_of(ADDRESS)
    assert (config.size, config.modalities, config.seed, config.grid) == (32, ("flair",), 3, "slices")
    assert (config.phantom.healthy, config.phantom.age) == (0.2, (40.0, 60.0))
    assert config.phantom.lobe == "posterior fossa"
    assert config.phantom.sites == MANY_SITES
    assert stream_of(address_of(config)) == config


def test_one_stream_has_one_address_however_it_is_written() -> None:
    ways = ("phantom://?seed=3&size=64&jobs=4", "phantom:/?size=64&seed=3", "phantom://?size=64&seed=3&mixed=32")
    assert {address_of(stream_of(way)) for way in ways} == {"phantom://?size=64&seed=3"}
    assert address_of(stream_of("phantom://")) == address_of(StreamConfig()) == "phantom://"
    assert is_address(Path("phantom://?size=64"))
    assert not is_address("phantom")
    assert not is_address(Path("folder/phantom:"))


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("phantom://size=64", "behind a question mark"),
        ("phantom://?sise=64", "did you mean 'size'"),
        ("phantom://?size=64&size=32", "'size' twice"),
        ("phantom://?augment=2", "augment, which is of cohorts in folders"),
        ("phantom://?split_from=a.csv", "split_from, which is of cohorts in folders"),
        ("phantom://?phantom.healthy=2", "healthy between 0 and 1"),
        ("phantom://?mixed=0", "mixed"),
        ("phantom://?size", "key=value"),
    ],
)
def test_what_an_address_cannot_say_is_refused_in_words(address: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        stream_of(address)


def _images(found: object) -> np.ndarray:
    assert isinstance(found, PreparedCase)
    return found.images


def test_patients_are_functions_of_address_and_number_and_nobody_is_in_two_sets() -> None:
    config = stream_of("phantom://?size=32&modalities=flair&seed=3")
    one = streamed_patient(config, 5)
    assert isinstance(one, PreparedCase)
    assert (_images(streamed_patient(config, 5)) == one.images).all()
    assert {record["patient"] for record in one.records} == {"streamed-0000005"}
    stored = _images(prepared_patient(3, 5, config))
    held = sample_cases(config, 1)["validation"][5]
    facts = held.facts["age"], held.site
    for other in (
        stored,
        _images(streamed_patient(config, 6)),
        _images(streamed_patient(stream_of("phantom://?size=32&modalities=flair&seed=4"), 5)),
    ):
        assert other.shape != one.images.shape or not (other == one.images).all()
    assert facts != (one.records[0]["age"], one.records[0]["site"])


def test_held_out_patients_and_the_first_of_the_stream_are_told_apart() -> None:
    parts = sample_cases(stream_of("phantom://?held_out=3"), 2)
    assert [case.name for case in parts["train"]] == ["streamed-0000000", "streamed-0000001"]
    assert [case.patient for case in parts["validation"]] == [
        "held-out-0000000",
        "held-out-0000001",
        "held-out-0000002",
    ]


def test_sequences_that_no_slice_shows_are_not_simulated_and_change_nothing_of_the_others() -> None:
    told = {"size": 64, "modalities": ("flair",), "phantom": {"slice_mm": 6.0}}
    config = PhantomCohortConfig.model_validate(told)
    alone = simulated(config)
    assert alone.modalities == ("flair",)
    for way in (partial(coarse_study, step_mm=2.0), lambda seed, index, config: simulate(seed, index, config).study):
        some = PhantomConfig(slice_mm=6.0, modalities=("t1c", "flair"))
        assert (way(7, 1, alone).images["flair"] == way(7, 1, some).images["flair"]).all()
    plain = {**told, "modalities": ("image",), "phantom": {"plain": True}}
    assert simulated(PhantomCohortConfig.model_validate(plain)).modalities == MODALITIES, "any of them may be drawn"
    assert simulated(PhantomCohortConfig()).modalities == MODALITIES


def test_whoever_wants_a_folder_says_what_a_stream_is_for() -> None:
    with pytest.raises(CohortError, match="a stream of simulated patients; give it to `synthoma train"):
        Cohort("phantom://?size=64")
