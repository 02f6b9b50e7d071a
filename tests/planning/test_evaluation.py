"""What an evaluation that was measured before says to a plan."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import synthoma
from synthoma.cohorts.cohort import Cohort
from synthoma.core.artefacts import verified_digest
from synthoma.core.errors import InputError
from synthoma.evaluation.result import write_evaluation
from synthoma.evaluation.useful.result import Comparison, Difference, Utility
from synthoma.planning.deciding import USUAL
from tests.evaluation.examples import small_evaluation
from tests.toys import halves, write_cohort


def comparison(value: float) -> Comparison:
    """A mixture's gain, with an interval of .02 on either side."""
    one = Difference(value=value, low=value - 0.02, high=value + 0.02, p=0.01, n=9, spread=0.1)
    return Comparison(**one.model_dump(), against="duplicated", against_real=one, minimum_detectable=0.03)


def told(cohort: Cohort, folder: Path, word: str, **gains: float) -> Path:
    """An evaluation beside a cohort, of mixtures "mixed 0.5" and "mixed 1" given as half and even."""
    names = {"half": "mixed 0.5", "even": "mixed 1"}
    best = max(gains, key=lambda name: gains[name])
    utility = Utility.model_validate(
        {
            "word": word, "because": "tested", "arms": {}, "mixture": names[best],
            "comparisons": {names[name]: comparison(value).model_dump() for name, value in gains.items()},
        }
    )  # fmt: skip
    found = small_evaluation()
    real = found.provenance.real.model_copy(update={"images_sha256": verified_digest(cohort.path / "images.npy")})
    provenance = found.provenance.model_copy(update={"real": real})
    folder.mkdir()
    write_evaluation(folder, found.model_copy(update={"utility": utility, "provenance": provenance}))
    return folder


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    """Forty single slices, of which two show a tumour."""
    labels = ["tumour" if row in (3, 8) else "healthy" for row in range(40)]
    place = tmp_path_factory.mktemp("rare") / "cohort"
    return write_cohort(place, halves(40)[0], labels, classes=["healthy", "tumour"])


def test_what_helped_is_made_at_the_ratio_that_helped(cohort: Cohort, tmp_path: Path) -> None:
    found = synthoma.plan(cohort, evaluation=told(cohort, tmp_path / "one", "HELPS", half=0.06, even=0.01))
    assert found.verdict.word == "WORTH IT"
    assert found.gain is not None
    assert (found.gain.value, found.gain.low, found.gain.n) == (0.06, pytest.approx(0.04), 9)
    assert [(order.name, order.count) for order in found.orders] == [("tumour", 8), (USUAL, 12)]  # half of 40
    assert found.ratio == 0.5
    assert any("other patients" in text for text in found.remarks)


def test_what_harmed_is_not_worth_it(cohort: Cohort, tmp_path: Path) -> None:
    found = synthoma.plan(cohort, evaluation=told(cohort, tmp_path / "one", "HARMS", even=-0.1))
    assert found.verdict.word == "NOT WORTH IT"
    assert [order.name for order in found.orders] == ["tumour"]


def test_an_evaluation_of_another_cohort_is_refused(cohort: Cohort, tmp_path: Path) -> None:
    evaluation = told(cohort, tmp_path / "one", "HELPS", even=0.1)
    other = write_cohort(tmp_path / "other", np.clip(halves(10, seed=4)[0], 0, 1))
    with pytest.raises(InputError, match="of another"):
        synthoma.plan(other, evaluation=evaluation)
    (tmp_path / "quick").mkdir()
    content = told(cohort, tmp_path / "two", "HELPS", even=0.1)
    from synthoma.evaluation.result import read_evaluation

    write_evaluation(tmp_path / "quick", read_evaluation(content).model_copy(update={"utility": None}))
    with pytest.raises(InputError, match="which did not"):
        synthoma.plan(cohort, evaluation=tmp_path / "quick")
