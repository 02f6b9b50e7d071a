"""Trained on real, synthetic or both, tested on each: nobody is asked about what he learned, and columns add up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from synthoma.cohorts.cohort import Cohort
from synthoma.core.types import Bytes, Floats
from synthoma.evaluation.settings import EvaluateConfig
from synthoma.evaluation.useful.arms import Material
from synthoma.evaluation.useful.cross import SIDES, _stages, cross_table, kept_back
from synthoma.evaluation.useful.grid import Cell
from synthoma.evaluation.useful.material import prepared
from synthoma.evaluation.useful.result import CrossTable
from synthoma.evaluation.useful.trainings import DETECTORS, DetectorTest, Source
from synthoma.reports.utility_blocks import _cross
from tests.toys import write_cohort

pytestmark = pytest.mark.slow

NAMES = {1: "tumour"}


def discs(seed: int, count: int, *, bright: bool) -> tuple[Floats, Bytes]:
    """Grey slices; two of three show a disc that is brighter, or darker, than its ground."""
    draws = np.random.default_rng(seed)
    images = 0.5 + 0.05 * draws.normal(size=(count, 1, 32, 32))
    masks = np.zeros((count, 32, 32), np.uint8)
    rows, columns = np.mgrid[:32, :32]
    for number in range(count):
        if number % 3:
            y, x = draws.integers(8, 24, 2)
            masks[number] = (rows - y) ** 2 + (columns - x) ** 2 < 25
            images[number, 0][masks[number] > 0] = 0.9 if bright else 0.1
    return images.astype(np.float32), masks


@pytest.fixture(scope="module")
def cohorts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Cohort, Cohort]:
    """Real tumours are bright, synthetic ones dark: what is learned of one kind is wrong for the other."""
    place = tmp_path_factory.mktemp("cross")
    images, masks = discs(1, 72, bright=True)
    labels = ["tumour" if number % 3 else "healthy" for number in range(72)]
    groups = [f"patient-{number // 6:02d}" for number in range(72)]
    splits = ["train"] * 36 + ["validation"] * 18 + ["test"] * 18
    real = write_cohort(
        place / "real", images, labels, masks, splits=splits, groups=groups, origin="real", mask_names=NAMES
    )
    images, masks = discs(2, 60, bright=False)
    drawn = write_cohort(place / "synthetic", images, labels[:60], masks, origin="synthetic", mask_names=NAMES)
    return real, drawn


@pytest.fixture(scope="module")
def material(cohorts: tuple[Cohort, Cohort]) -> tuple[Material, DetectorTest, EvaluateConfig]:
    options = {"seeds": 2, "steps": 100}
    config = EvaluateConfig.resolve(flags={"preset": "standard", "jobs": 1, "device": "cpu", "utility": options})
    return (*prepared(*cohorts, config, seen=None, phantom=None), config)


@pytest.fixture(scope="module")
def table(
    material: tuple[Material, DetectorTest, EvaluateConfig], tmp_path_factory: pytest.TempPathFactory
) -> CrossTable:
    made, test, config = material
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(DETECTORS["outline"], "small", {"width": 8, "levels": 4, "stem": 2})  # enough for discs
        found = cross_table(made, test, config, tmp_path_factory.mktemp("cells"), lambda done, total: None)
    assert found is not None
    return found


def test_a_quarter_of_each_class_is_kept_back(material: tuple[Material, DetectorTest, EvaluateConfig]) -> None:
    made, test, config = material
    kept = kept_back(made.synthetic, test, config.seed)
    assert kept is not None
    ill = made.synthetic.cohort.slices["tumour_pixels"].to_numpy()[made.synthetic.rows] > 0
    assert (kept[ill].sum(), kept[~ill].sum()) == (10, 5)


def test_nothing_that_is_asked_was_learned(material: tuple[Material, DetectorTest, EvaluateConfig]) -> None:
    made, test, config = material
    kept = kept_back(made.synthetic, test, config.seed)
    assert kept is not None
    learned = Source(made.synthetic.cohort, made.synthetic.rows[~kept])
    asked = set(made.synthetic.rows[kept].tolist())
    for side in SIDES:
        (stage,) = _stages(side, made, learned, 0, 10)
        for source in stage.sources:
            others = asked if source.cohort is made.synthetic.cohort else set(test.slices.rows.tolist())
            assert not others & set(source.rows.tolist())


def test_detectors_know_what_they_learned(table: CrossTable) -> None:
    score = {(on, asked): cell.score.value for on, row in table.trained_on.items() for asked, cell in row.items()}
    detection = {
        (on, asked): cell.detection.value
        for on, row in table.trained_on.items()
        for asked, cell in row.items()
        if cell.detection
    }
    for found in (score, detection):
        assert found["real", "real"] > 0.8 > 0.6 > found["real", "synthetic"]
        assert found["synthetic", "synthetic"] > 0.8 > 0.6 > found["synthetic", "real"]
    assert min(score["combined", asked] for asked in SIDES) > 0.7
    # Six real patients and ten synthetic ones with tumour: the third column is their mean.
    cell = table.trained_on["real"]
    assert (cell["real"].score.n, cell["synthetic"].score.n, cell["combined"].score.n) == (6, 10, 16)
    mean = (6 * score["real", "real"] + 10 * score["real", "synthetic"]) / 16
    assert score["real", "combined"] == pytest.approx(mean, abs=1e-6)
    for row in table.trained_on.values():
        for one in row.values():
            assert 0 <= one.score.low <= one.score.value <= one.score.high <= 1


def test_trainings_that_ask_nothing_else_keep_their_names(
    material: tuple[Material, DetectorTest, EvaluateConfig], tmp_path: Path
) -> None:
    made, test, _ = material
    from dataclasses import replace

    plain = Cell(_stages("real", made, made.synthetic, 0, 10), test, 0)
    also = replace(plain, test=replace(test, also=made.synthetic))
    assert plain.key() != also.key()


def test_the_page_shows_the_table(table: CrossTable) -> None:
    from synthoma.evaluation.useful.result import Utility

    block = _cross(Utility(word="NO EVIDENCE", because="", arms={}, endpoint="Dice", cross=table))
    assert block is not None
    assert [row[0] for row in block.rows[:2]] == ["Dice: trained on real", "Dice: trained on synthetic"]
    assert len(block.rows) == 6
