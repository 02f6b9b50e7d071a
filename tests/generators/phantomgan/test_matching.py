from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from synthoma.core.types import Bytes, Floats
from synthoma.generators.phantomgan.matching import FEATURES, MOST, Matching, heads_of, structure
from synthoma.generators.phantomgan.simulated import row_structure
from synthoma.training.meta import SimulatedShares
from tests.toys import write_cohort

pytestmark = pytest.mark.slow

SIDE = 64


def _head(size: float = 1.0, scalp: float = 0.9, inside: float = 0.4) -> Floats:
    """An ellipse 40 wide and 48 high (times ``size``), with a rim two pixels thick."""
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    radius = np.hypot(x / (20 * size), y / (24 * size))
    rim = np.hypot(x / (20 * size - 2), y / (24 * size - 2))
    return np.where(radius <= 1, np.where(rim > 1, scalp, inside), 0.0)


def _disc(row: float, column: float, radius: float) -> Bytes:
    y, x = np.mgrid[:SIDE, :SIDE]
    return (np.hypot(y - row, x - column) <= radius).astype(np.uint8)


def _measured(image: Floats, mask: Bytes) -> dict[str, float]:
    return dict(zip(FEATURES, structure(image[None], mask[None])[0], strict=True))


def test_what_is_measured_is_what_was_drawn() -> None:
    found = _measured(_head(), _disc(31.5 + 12, 31.5 - 10, 6))
    assert found["head area"] == pytest.approx(np.pi * 20 * 24 / SIDE**2, rel=0.02)
    assert found["head shape"] == pytest.approx(np.log(48 / 40), abs=0.03)
    assert found["scalp"] > 0.5
    assert found["fluid"] == 0
    assert found["tumour"] == 1
    assert found["tumour size"] == pytest.approx(np.log(np.pi * 36 / SIDE**2), abs=0.05)
    assert found["sideways"] == pytest.approx(10 / 40, abs=0.02)
    assert found["frontward"] == pytest.approx(12 / 48, abs=0.02)
    assert found["compactness"] == pytest.approx(0, abs=0.03)  # a disc


def test_a_stripped_head_has_no_scalp_and_left_is_as_right() -> None:
    assert _measured(_head(scalp=0.4), _disc(32, 20, 5))["scalp"] == pytest.approx(0, abs=0.05)
    left, right = (_measured(_head(), _disc(31.5, 31.5 + side, 5))["sideways"] for side in (-9, 9))
    assert left == pytest.approx(right, abs=1e-9)


def test_heads_are_told_whole_from_stripped() -> None:
    draws = np.random.default_rng(5)
    whole, stripped = (
        _slices(np.full(20, 5.0), draws, scalp=scalp)[:, FEATURES.index("scalp")] for scalp in (0.9, 0.4)
    )
    assert heads_of(float(whole.mean())) == "whole"
    assert heads_of(float(stripped.mean())) == "stripped"
    assert heads_of(float(np.concatenate([whole[:8], stripped]).mean())) == "mixed"


def test_two_tumours_are_less_compact_than_one() -> None:
    both = np.maximum(_disc(32, 20, 4), _disc(32, 44, 4))
    assert _measured(_head(), both)["compactness"] < -1


def test_without_head_or_tumour_nothing_is_nan() -> None:
    for image in (np.zeros((SIDE, SIDE)), _head(), np.ones((SIDE, SIDE))):
        values = structure(image[None], np.zeros((1, SIDE, SIDE), np.uint8))
        assert np.isfinite(values).all()
        assert values[0, FEATURES.index("tumour") :].tolist() == [0] * 5


def _slices(sizes: Floats, draws: np.random.Generator, *, scalp: float = 0.9) -> Floats:
    images = np.stack([_head(draws.uniform(0.9, 1.1), scalp) for _ in sizes])
    masks = np.stack([_disc(32, 32 + draws.uniform(-9, 9), size) for size in sizes])
    return structure(images, masks)


def test_shares_are_those_of_the_real_slices() -> None:
    """Real tumours are large, a third of the heads stripped; simulated ones are mostly small, half stripped."""
    draws = np.random.default_rng(0)
    real = np.concatenate([_slices(draws.uniform(5, 9, 80), draws), _slices(draws.uniform(5, 9, 40), draws, scalp=0.4)])
    sizes = draws.uniform(2, 9, 400)
    simulated = np.concatenate([_slices(sizes[:200], draws), _slices(sizes[200:], draws, scalp=0.4)])
    chances = Matching.fit(real, simulated).chances(simulated)
    assert chances.sum() == pytest.approx(1)
    size = FEATURES.index("tumour size")
    before, after = (
        simulated[:, size].mean() - real[:, size].mean(),
        chances @ simulated[:, size] - real[:, size].mean(),
    )
    assert abs(after) < 0.35 * abs(before)
    stripped = chances[200:].sum()
    assert abs(stripped - 1 / 3) < abs(0.5 - 1 / 3) / 2


@pytest.mark.parametrize(("ill", "healthy"), [(20, 2), (5, 40), (60, 60)])
def test_tumours_come_as_often_as_they_were_counted(ill: int, healthy: int) -> None:
    """However few slices say so: a regression alone would stay near the share of the simulated ones."""
    draws = np.random.default_rng(9)
    at = FEATURES.index("tumour")
    real, simulated = _slices(draws.uniform(3, 8, ill + healthy), draws), _slices(draws.uniform(3, 8, 300), draws)
    real[ill:, at:] = simulated[120:, at:] = 0
    chances = Matching.fit(real, simulated).chances(simulated)
    assert chances[:120].sum() == pytest.approx(ill / (ill + healthy), abs=0.002)
    assert chances.max() <= 1.01 * MOST / len(simulated)


def test_equal_kinds_are_drawn_about_evenly() -> None:
    draws = np.random.default_rng(1)
    real, simulated = (_slices(draws.uniform(3, 8, count), draws) for count in (100, 300))
    chances = Matching.fit(real, simulated).chances(simulated)
    assert 1 / (chances**2).sum() > 0.85 * len(simulated)  # effective number of slices


def test_without_real_masks_tumours_do_not_matter() -> None:
    draws = np.random.default_rng(2)
    real = structure(
        np.stack([_head(draws.uniform(0.9, 1.1)) for _ in range(50)]), np.zeros((50, SIDE, SIDE), np.uint8)
    )
    simulated = _slices(np.repeat([3.0, 8.0], 100), draws)
    chances = Matching.fit(real, simulated).chances(simulated)
    assert chances[:100].sum() == pytest.approx(0.5, abs=0.05)


def test_no_slice_weighs_more_than_it_may() -> None:
    """One simulated slice of a thousand is like the real ones: it comes ten times as often as the mean, not always."""
    draws = np.random.default_rng(4)
    real, simulated = draws.normal(3, 0.1, (50, 9)), draws.normal(-3, 0.1, (1000, 9))
    simulated[0] = 3
    chances = Matching.fit(real, simulated).chances(simulated)
    assert chances.max() == pytest.approx(MOST / 1000, rel=0.01)


def test_simulating_more_does_not_make_the_evidence_of_few_real_slices_stronger() -> None:
    draws = np.random.default_rng(5)
    real, simulated = draws.normal(size=(3, 9)), draws.normal(size=(6000, 9))
    real[:, FEATURES.index("tumour")] = simulated[:, FEATURES.index("tumour")] = 1
    few, many = (Matching.fit(real, simulated[:count]).chances(simulated) for count in (300, 6000))
    effective = [1 / (chances**2).sum() / 6000 for chances in (few, many)]
    assert effective[1] > 0.9 * effective[0]
    assert effective[1] > 0.8  # three slices say little


def test_what_is_not_known_of_some_slices_is_taken_from_others() -> None:
    draws = np.random.default_rng(6)
    real, simulated = _slices(draws.uniform(5, 9, 80), draws), _slices(draws.uniform(2, 9, 300), draws)
    healthy = _slices(np.full(300, 5.0), draws)
    healthy[:, FEATURES.index("tumour") :] = 0
    simulated = np.concatenate([simulated, healthy])
    whole = Matching.fit(real, simulated).chances(simulated)
    lacking = real.copy()
    lacking[::2, FEATURES.index("tumour size") :] = np.nan  # no mask, but known to be ill
    assert Matching.fit(lacking, simulated).chances(simulated)[300:].sum() == pytest.approx(whole[300:].sum(), abs=0.02)
    lacking[:, FEATURES.index("tumour") :] = np.nan  # nothing known: tumours do not matter
    assert Matching.fit(lacking, simulated).chances(simulated)[300:].sum() == pytest.approx(0.5, abs=0.05)


def test_slices_of_which_nothing_is_known_are_filled_in_from_all_others() -> None:
    """Fewer of them than of the others, which lie in order: healthy ones first."""
    draws = np.random.default_rng(10)
    at = FEATURES.index("tumour")
    real, simulated = _slices(draws.uniform(3, 8, 150), draws), _slices(draws.uniform(3, 8, 200), draws)
    real[:50, at:] = simulated[:100, at:] = 0
    real[100:, at:] = np.nan
    chances = Matching.fit(real, simulated).chances(simulated)
    assert chances[:100].sum() == pytest.approx(0.5, abs=0.01)


def test_without_masks_it_is_the_class_that_tells_of_tumours(tmp_path: Path) -> None:
    draws = np.random.default_rng(7)
    images = np.stack([_head(draws.uniform(0.9, 1.1)) for _ in range(40)])
    cohort = write_cohort(tmp_path / "real", images, ["yes"] * 30 + ["no"] * 5 + ["unlabelled"] * 5)
    real = row_structure(cohort, np.arange(40))
    ill, size = FEATURES.index("tumour"), FEATURES.index("tumour size")
    assert real[:35, ill].tolist() == [1] * 30 + [0] * 5
    assert np.isnan(real[35:, ill]).all()
    assert np.isnan(real[:30, size]).all()
    simulated = _slices(np.repeat([3.0, 8.0], 100), draws)
    simulated[50:150, ill:] = 0
    chances = Matching.fit(real, simulated).chances(simulated)
    assert chances[50:150].sum() < 0.35  # half of those simulated, a seventh of the real ones
    assert chances[:50].sum() == pytest.approx(chances[150:].sum(), abs=0.03)  # of their size nothing is known


def test_a_model_file_remembers_the_shares() -> None:
    draws = np.random.default_rng(3)
    real, simulated = _slices(draws.uniform(5, 9, 60), draws), _slices(draws.uniform(2, 9, 100), draws)
    matching = Matching.fit(real, simulated)
    again = Matching.from_meta(matching.to_meta())
    assert np.allclose(again.chances(simulated), matching.chances(simulated), rtol=1e-3)


def test_shares_belong_to_the_simulated_slices_that_they_were_learned_among() -> None:
    draws = np.random.default_rng(8)
    real, learned = _slices(draws.uniform(5, 9, 60), draws), _slices(draws.uniform(3, 7, 200), draws)
    matching = Matching.fit(real, learned)
    assert matching.strange(_slices(draws.uniform(3, 7, 100), draws)) == []
    strange = matching.strange(_slices(draws.uniform(5, 9, 100), draws))
    assert "tumour size" in strange
    assert "scalp" not in strange


def test_what_is_not_defined_is_null_in_a_model_file_and_comes_back() -> None:
    zeros, known = np.zeros(len(FEATURES)), np.zeros((2, len(FEATURES)))
    known[0, 5] = np.nan
    stored = Matching(zeros, zeros, np.zeros(2 * len(FEATURES)), known).to_meta()
    assert stored.content()["among"][0] == [0.0] * 5 + [None] + [0.0] * 3
    again = Matching.from_meta(SimulatedShares.model_validate(stored.content()))
    assert np.array_equal(again.among, known, equal_nan=True)
