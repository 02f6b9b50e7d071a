from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from synthoma.core.errors import ConfigError
from synthoma.generators.gan.rejection import ATTEMPTS, Rejection
from synthoma.generators.sampling import BLOCK, Sampler, generate_cohort
from synthoma.training.bundle import open_model, save_tensors
from tests.toys import halves, train_toy, write_cohort

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained a little: ``conditional`` knows two classes, ``plain`` none, the critic of ``pieces`` sees no whole."""
    place = tmp_path_factory.mktemp("runs")
    images, names = halves(60)
    two = write_cohort(place / "halves", images, names)
    for name in ("conditional", "plain"):
        train_toy(two, place / name, images=160, snapshots=1, conditional=name == "conditional")
    train_toy(two, place / "pieces", images=160, snapshots=1, gan={"critic_patches": True})
    return place


@pytest.mark.parametrize("run", ["conditional", "plain"])
def test_shards_together_are_the_single_run(runs: Path, tmp_path: Path, run: str) -> None:
    rejection = Rejection.open(Sampler.open(runs / run), 0.3)
    cohorts = []
    for number, shard in enumerate([(1, 1), (1, 3), (2, 3), (3, 3)]):
        (tmp_path / str(number)).mkdir()
        cohorts.append(
            generate_cohort(rejection.sampler, tmp_path / str(number), 100, seed=4, rejection=rejection, shard=shard)
        )
    whole, *parts = cohorts
    assert np.array_equal(np.concatenate([part.images for part in parts]), whole.images)
    assert whole.meta.provenance.kept_share == 0.3


@pytest.mark.parametrize("run", ["plain", "pieces"])
def test_about_that_share_of_candidates_passes_and_all_that_is_drawn_does(runs: Path, run: str) -> None:
    sampler = Sampler.open(runs / run)
    rejection = Rejection.open(sampler, 0.25)
    classes = torch.zeros(4 * BLOCK, dtype=torch.long)
    plain = sampler.draw(sampler.latents.numbered(9, range(4 * BLOCK)), classes)
    assert 0.15 < float((rejection.scores(plain, classes) >= rejection.limits[0]).mean()) < 0.35
    drawn = rejection.draw(9, range(BLOCK), classes[:BLOCK])
    assert rejection.scores(drawn, classes[:BLOCK]).min() >= rejection.limits[0]


def test_images_that_pass_at_once_are_those_without_rejection(runs: Path) -> None:
    sampler = Sampler.open(runs / "plain")
    rejection = Rejection.open(sampler, 0.5)
    classes = torch.zeros(BLOCK, dtype=torch.long)
    plain = sampler.draw(sampler.latents.numbered(2, range(BLOCK)), classes)
    passed = rejection.scores(plain, classes) >= rejection.limits[0]
    same = (rejection.draw(2, range(BLOCK), classes) == plain).all(axis=(1, 2, 3))
    assert 0 < passed.sum() < BLOCK
    assert np.array_equal(same, passed)


def test_each_class_has_a_limit_of_its_own(runs: Path) -> None:
    rejection = Rejection.open(Sampler.open(runs / "conditional"), 0.5)
    classes = torch.arange(BLOCK) % 2
    scores = rejection.scores(rejection.draw(1, range(BLOCK), classes), classes)
    assert len(set(rejection.limits)) == 2
    for number in (0, 1):
        assert scores[classes.numpy() == number].min() >= rejection.limits[number]


def test_where_nothing_passes_the_best_candidate_is_taken(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = Sampler.open(runs / "plain")
    monkeypatch.setattr("synthoma.generators.gan.rejection.ATTEMPTS", 4)
    opened = Rejection.open(sampler, 0.5)
    strict = Rejection(sampler, opened.discriminator, 0.5, 1.0, (1e9,))
    classes = torch.zeros(BLOCK, dtype=torch.long)
    best = strict.scores(strict.draw(2, range(BLOCK), classes), classes)
    first = strict.scores(sampler.draw(sampler.latents.numbered(2, range(BLOCK)), classes), classes)
    assert (best >= first).all()
    assert (best > first).mean() > 0.5
    assert ATTEMPTS > 50


@pytest.mark.parametrize("share", [0.0, 0.01, 1.0])
def test_shares_out_of_range_are_refused(runs: Path, share: float) -> None:
    with pytest.raises(ConfigError, match="a share to keep"):
        Rejection.open(Sampler.open(runs / "plain"), share)


def test_a_model_without_a_discriminator_is_refused(runs: Path, tmp_path: Path) -> None:
    bundle = open_model(runs / "plain", "generator")
    kept = {name: value for name, value in bundle.tensors.items() if not name.startswith("discriminator")}
    save_tensors(tmp_path / "model.safetensors", kept, bundle.content)
    with pytest.raises(ConfigError, match="which has none"):
        Rejection.open(Sampler.open(tmp_path / "model.safetensors"), 0.5)
