"""Generators that begin with what another one learned."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from synthoma.cohorts.cohort import Cohort
from synthoma.core.errors import ConfigError, InputError, LeakError
from synthoma.training.bundle import open_model
from synthoma.training.checkpoint import latest_checkpoint
from tests.toys import halves, train_toy, write_cohort

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("start")


def _cohort(folder: Path, *, origin: str = "real", size: int = 16, seed: int = 0, held: int = 8) -> Cohort:
    images, _ = halves(40, seed, size)
    names = [f"{folder.name}-{number}" for number in range(40)]
    splits = ["train"] * (40 - held) + ["validation"] * held
    return write_cohort(folder, images, groups=names, splits=splits, origin=origin)


@pytest.fixture(scope="module")
def first(place: Path) -> Path:
    train_toy(_cohort(place / "first"), place / "first-run", images=400, snapshots=1, gan={"width": 12})
    return place / "first-run"


def test_it_begins_where_the_other_ended(place: Path, first: Path) -> None:
    """After one step at a vanishing rate both networks are still those of the other run, whatever the own settings."""
    cohort = _cohort(place / "second", seed=1)
    rates = {"generator_rate": 1e-12, "critic_rate": 1e-12, "width": 8}
    train_toy(cohort, place / "second-run", images=8, snapshots=1, init=str(first), gan=rates)
    before, after = open_model(first), open_model(place / "second-run")
    assert after.meta.network == before.meta.network
    for name in ("generator", "discriminator"):
        for key, value in before.weights(name).items():
            if "running" not in key and "num_batches" not in key:
                assert torch.allclose(value, after.weights(name)[key], atol=1e-6), key
    assert after.meta.provenance.init_sha256 == before.digest
    groups = after.meta.provenance.trained_on.groups
    assert {"first-0", "second-0"} <= set(groups)
    assert str(first) not in str(after.meta)


@pytest.mark.parametrize("begun", [True, False])
def test_a_training_that_breaks_at_once_leaves_no_model(place: Path, first: Path, *, begun: bool) -> None:
    """Random weights, or those that it began with, are not what was asked for."""
    cohort = _cohort(place / f"broken-{begun}", seed=4)
    start = {"init": str(first)} if begun else {}
    run = place / f"broken-{begun}-run"
    with pytest.raises(ConfigError, match="finite losses"):
        train_toy(cohort, run, images=80, snapshots=1, gan={"generator_rate": 1e30}, **start)
    assert not (run / "model.safetensors").exists()


def test_a_start_shows_the_same_sequences_in_the_same_plane(place: Path, first: Path) -> None:
    images, _ = halves(40)
    for name, meta in (("t1", {"modalities": ["t1"]}), ("sagittal", {"plane": "sagittal"})):
        other = write_cohort(place / name, images, groups=[f"{name}-{i}" for i in range(40)], origin="real", **meta)
        with pytest.raises(ConfigError, match="slices of flair"):
            train_toy(other, place / f"{name}-run", images=8, init=str(first))
    unknown = write_cohort(place / "any", images, origin="real", modalities=["image"])
    train_toy(unknown, place / "any-run", images=8, snapshots=1, init=str(first))  # pictures that do not say


def test_it_goes_on_from_its_own_checkpoint(place: Path, first: Path) -> None:
    cohort = _cohort(place / "third", seed=2)
    settings = {"images": 80, "snapshots": 2, "init": str(first)}
    train_toy(cohort, place / "whole", **settings)
    train_toy(cohort, place / "cut", **{**settings, "images": 40, "snapshots": 1})
    train_toy(cohort, place / "cut", resume=True, **settings)
    one, other = (latest_checkpoint(place / name) for name in ("whole", "cut"))
    assert one is not None
    assert other is not None
    assert all(torch.equal(value, other.tensors[name]) for name, value in one.tensors.items() if name[:4] != "best")


def test_patients_behind_the_start_may_not_be_held_out(place: Path, first: Path) -> None:
    images, _ = halves(40)
    names = [f"first-{39 - number}" for number in range(40)]  # what the start learned from is held out here
    splits = ["train"] * 32 + ["validation"] * 8
    cohort = write_cohort(place / "turned", images, groups=names, splits=splits, origin="real")
    with pytest.raises(LeakError, match="first-"):
        train_toy(cohort, place / "turned-run", images=8, init=str(first))


def test_patients_are_not_forgotten_on_the_way_over_simulated_ones(place: Path, first: Path) -> None:
    """Real patients, then simulated ones, then a cohort that holds the first ones out; or their synthetic images."""
    middle = _cohort(place / "middle", origin="phantom")
    train_toy(middle, place / "middle-run", images=8, snapshots=1, init=str(first))
    images, _ = halves(40)
    names = [f"first-{39 - number}" for number in range(40)]
    splits = ["train"] * 32 + ["validation"] * 8
    turned = write_cohort(place / "turned-2", images, groups=names, splits=splits, origin="real")
    with pytest.raises(LeakError, match="first-"):
        train_toy(turned, place / "turned-2-run", images=8, init=str(place / "middle-run"))
    behind = {"trained_on": {"groups": ["first-3"]}}
    drawn = write_cohort(place / "synthetic", images, origin="synthetic", provenance=behind)
    train_toy(drawn, place / "second-hand", images=8, snapshots=1)
    assert "first-3" in open_model(place / "second-hand").meta.provenance.trained_on.groups


def test_simulated_patients_are_nobodys(place: Path) -> None:
    train_toy(_cohort(place / "simulated", origin="phantom"), place / "simulated-run", images=16, snapshots=1)
    assert np.isfinite(
        train_toy(_cohort(place / "fourth"), place / "fourth-run", images=16, init=str(place / "simulated-run")).seconds
    )
    groups = open_model(place / "fourth-run").meta.provenance.trained_on.groups
    assert not any(name.startswith("simulated") for name in groups)


def test_a_start_of_other_images_or_kind_is_refused(place: Path, first: Path) -> None:
    large = _cohort(place / "large", size=32)
    with pytest.raises(ConfigError, match="a generator to begin with"):
        train_toy(large, place / "large-run", images=8, init=str(first))
    with pytest.raises(ConfigError, match="a generator to begin with"):
        train_toy(large, place / "seed-run", model="dcgan-seed", images=8, init=str(first))
    with pytest.raises(InputError):
        train_toy(large, place / "none-run", images=8, init=str(place / "nothing"))
