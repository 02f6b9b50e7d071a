"""The inception score of a cohort by a classifier that was trained on another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from synthoma import pipeline
from synthoma.cohorts.cohort import Cohort
from synthoma.core.errors import InputError
from synthoma.core.provenance import file_digest
from synthoma.metrics.inception import inception_interval
from tests.toys import halves, write_cohort

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("inception")


def upper_and_lower(count: int, seed: int = 0) -> tuple[np.ndarray, list[str]]:
    """Pictures whose upper or lower half is bright: a training mirrors its slices left to right."""
    images, labels = halves(count, seed, size=32)
    return images.transpose(0, 2, 1), [{"left": "upper", "right": "lower"}[label] for label in labels]


@pytest.fixture(scope="module")
def real(place: Path) -> Cohort:
    images, labels = upper_and_lower(80)
    splits = ["train"] * 60 + ["test"] * 20
    return write_cohort(place / "real", images, labels, splits=splits, groups=[f"patient-{i // 4}" for i in range(80)])


@pytest.fixture(scope="module")
def classifier(place: Path, real: Cohort) -> Path:
    settings = {"classifier": {"width": 8}, "images": 640, "snapshots": 1, "device": "cpu"}
    return pipeline.train(real, place / "classifier", model="cnn", **settings).path


def test_slices_of_both_classes_score_more_than_those_of_one(place: Path, real: Cohort, classifier: Path) -> None:
    images, labels = upper_and_lower(60, seed=1)
    both = write_cohort(place / "both", images, labels)
    upper = np.array(labels) == "upper"
    one = write_cohort(place / "one", images[upper], ["upper"] * int(upper.sum()))
    found, single = pipeline.inception(both, classifier), pipeline.inception(place / "one", classifier)
    assert found.score.value > 1.5  # of at most 2
    assert single.score.value < 1.2
    assert found.score.low <= found.score.value <= found.score.high <= 2
    assert 1 <= found.splits[0] <= found.score.value + 1e-9
    assert found.slices == 60
    assert sum(found.shares.values()) == pytest.approx(1)
    assert single.shares["upper"] > 0.7
    assert len(one) < len(both)
    assert found.classifier == file_digest(classifier / "model.safetensors")


def test_held_out_slices_stand_beside_it_by_patient(real: Cohort, classifier: Path) -> None:
    from synthoma.detection.classes import Classifier

    held_out = pipeline.inception(real, classifier, split="test")
    assert held_out.slices == 20
    assert held_out.score.n == 5
    chances = Classifier.open(classifier).of_cohort(real)[60:]
    by_hand = inception_interval(chances, groups=[f"patient-{i // 4}" for i in range(60, 80)])
    assert held_out.score == by_hand


def test_what_does_not_fit_is_refused(place: Path, real: Cohort, classifier: Path) -> None:
    images, labels = halves(8)
    small = write_cohort(place / "small", images, labels)
    with pytest.raises(InputError, match="slices of 32 px"):
        pipeline.inception(small, classifier)
    with pytest.raises(InputError, match="slices of the split validation"):
        pipeline.inception(real, classifier, split="validation")
    with pytest.raises(InputError, match="a model file"):
        pipeline.inception(real, place / "nothing")
