"""What is tried is what is drawn: images of a trial are those of `generate`, bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import synthoma
from synthoma.core.errors import ConfigError
from synthoma.core.pictures import grey
from synthoma.pipeline.trial import Trial
from synthoma.training.bundle import shipped_model
from tests.toys import halves, train_toy, write_cohort

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generator that was told two classes, trained a little."""
    place = tmp_path_factory.mktemp("runs")
    images, names = halves(60)
    train_toy(write_cohort(place / "halves", images, names), place / "run", images=600, snapshots=1, conditional=True)
    return place / "run"


@pytest.mark.parametrize("label", [None, "left"])
def test_the_first_images_are_those_of_the_cohort(run: Path, tmp_path: Path, label: str | None) -> None:
    cohort = synthoma.generate(run, tmp_path / "c", 5, seed=4, label=label, truncation=0.5)
    images, masks = Trial.open(run, tmp_path, seed=4, label=label).images(5, truncation=0.5)
    assert np.array_equal(images, cohort.images)
    assert masks.shape == (5, *images.shape[2:])


def test_between_two_images_lie_both_at_the_ends(run: Path, tmp_path: Path) -> None:
    trial = Trial.open(run, tmp_path, seed=2)
    images, _ = trial.images(3)

    def far(picture: np.ndarray, number: int) -> float:
        return float(abs(picture.astype(float) - grey(images[number, 0])).mean())

    begin, middle, end = (trial.between(0, 1, share) for share in (0.0, 0.5, 1.0))  # one of each class
    assert far(begin, 0) < 1
    assert far(end, 1) < 1
    assert far(end, 0) > 5
    assert far(middle, 0) < far(end, 0)
    assert far(middle, 1) < far(begin, 1)


def test_what_a_model_cannot_give_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a class of the model"):
        Trial.open(run, tmp_path, label="cyst")
    with pytest.raises(ConfigError, match="simulates patients for itself"):
        Trial.open(run, tmp_path, tumour={"volume_ml": 20.0})


def test_a_generator_that_repaints_shows_its_own_patients(tmp_path: Path) -> None:
    model = shipped_model("generator")
    cohort = synthoma.generate(model, tmp_path / "c", 3, seed=5, tumour={"side": "left"})
    (tmp_path / "aside").mkdir()
    trial = Trial.open(model, tmp_path / "aside", seed=5, tumour={"side": "left"})
    images, masks = trial.images(3)
    assert np.array_equal(images, cohort.images)
    assert np.array_equal(masks, cohort.masks)
    # The style goes over to that of another image, the anatomy stays.
    begin, end = trial.between(2, 1, 0.0), trial.between(2, 1, 1.0)
    assert abs(begin.astype(float) - grey(images[2, 0])).mean() < 1
    inside = begin > 40
    assert np.corrcoef(begin[inside], end[inside])[0, 1] > 0.5
    assert abs(end.astype(float) - grey(images[1, 0])).mean() > abs(end.astype(float) - begin).mean()
