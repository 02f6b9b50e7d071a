"""Patients on the grid of their slices: the people, tumours and scanners of the 1 mm simulation, in less time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import pytest
import torch

from synthoma.cohorts.slicing import PreparedCase, prepare_case
from synthoma.core.seeding import stream
from synthoma.phantom import (
    Look,
    PhantomCohortConfig,
    PhantomConfig,
    phantom_beside,
    phantom_cases,
    prepared_patient,
    simulate,
)
from synthoma.phantom.acquisition import draw_exposure, draw_site, expose
from synthoma.phantom.averaging import expose_means
from synthoma.phantom.coarse import coarse_mm, coarse_study

pytestmark = pytest.mark.slow

PLAIN = PhantomConfig(modalities=("flair",), sites=4, artefacts=0.0, slice_mm=6.0)
CONFIG = phantom_beside(Look(("flair",), {"1": "tumour"}, 64), {}).model_copy(update={"phantom": PLAIN})


@cache
def quick(index: int) -> PreparedCase:
    found = prepared_patient(5, index, CONFIG)
    assert isinstance(found, PreparedCase)
    return found


@pytest.mark.parametrize("index", [1])
def test_exact_labels_are_those_of_the_simulation_at_1_mm_where_places_coincide(index: int) -> None:
    whole, coarse = simulate(5, index, PLAIN).study, coarse_study(5, index, PLAIN, 2.0)
    assert whole.mask is not None
    assert coarse.mask is not None
    same = whole.mask[:, ::2, ::2][:, : coarse.mask.shape[1], : coarse.mask.shape[2]]
    assert (same > 0).sum() > 100
    # Matrix products round otherwise: a place in ten thousand may lie on the other side of a margin.
    assert (same == coarse.mask).mean() > 0.9999
    assert whole.geometry is not None
    assert coarse.geometry is not None
    assert coarse.geometry.origin == whole.geometry.origin
    assert coarse.geometry.spacing == (2.0, 2.0, whole.geometry.spacing[2])


def test_slices_look_like_those_of_the_simulation_at_1_mm() -> None:
    """Same patient, same slices: what is left is noise, texture and where a pixel of the square begins."""
    full = prepare_case(phantom_cases(1, 5, PLAIN)[0], CONFIG, ("flair",), 0)
    assert isinstance(full, PreparedCase)
    found = quick(0)
    assert [record["slice"] for record in found.records] == [record["slice"] for record in full.records]
    one, other = (part.images[:, 0].astype(np.float64) for part in (full, found))
    middle = slice(len(one) // 4, -len(one) // 4)
    alike = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(one[middle], other[middle], strict=True)]
    assert np.mean(alike) > 0.93
    assert np.median(other[other > 0.2]) == pytest.approx(np.median(one[one > 0.2]), rel=0.03)
    assert np.quantile(other, 0.99) == pytest.approx(np.quantile(one, 0.99), rel=0.05)
    areas = [(part.masks > 0).sum() for part in (full, found)]
    assert areas[1] == pytest.approx(areas[0], rel=0.08)


def test_a_mean_over_pixels_has_the_mean_and_the_spread_of_pixels_that_are_averaged() -> None:
    """Against the scanner itself: Rician noise, blurred, averaged two by two, at four levels of signal."""
    for number in range(4):
        site = draw_site(3, number, PLAIN)
        exposure = draw_exposure(stream(0, "test", number), 4, moved=False, thick=False)
        exposure = type(exposure)((), np.ones(4))
        levels = torch.tensor([0.0, 0.1, 0.5, 1.5])
        signal = levels[:, None, None].expand(4, 200, 200)
        sigma = site.noise[3]
        raw = expose(stream(1, "test"), signal.clone(), torch.ones(4, 200, 200), site, "flair", 1.0, exposure)
        fine = raw[:, 4:-4, 4:-4].astype(np.float64) / site.scale[3]
        blocks = fine.reshape(4, 96, 2, 96, 2).mean((2, 4))
        coarse, scanned = expose_means(
            stream(2, "test"),
            signal[:, ::2, ::2].clone(),
            torch.ones(4, 100, 100),
            site,
            sigma,
            exposure,
            2.0,
            None,
            40_000,
        )
        inner = coarse[:, 4:-4, 4:-4].double().numpy()
        own = scanned[:, scanned.shape[1] // 20 :]
        for at in range(4):
            assert inner[at].mean() == pytest.approx(blocks[at].mean(), abs=0.06 * sigma)
            # Air that a scanner cuts is skewed; here it is normal and cut once more, which takes a sixth of its spread.
            assert inner[at].std() == pytest.approx(blocks[at].std(), rel=0.2 if site.floor < 1 and at == 0 else 0.12)
            assert own[at].mean() == pytest.approx(fine[at].mean(), abs=0.08 * sigma)
            assert own[at].std() == pytest.approx(fine[at].std(), rel=0.1)


def test_a_patient_is_the_same_in_any_company_and_on_any_thread() -> None:
    alone = quick(1)
    before = torch.get_num_threads()
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda index: prepared_patient(5, index, CONFIG), (2, 1, 1)))
    assert torch.get_num_threads() == before
    for found in together[1:]:
        assert isinstance(found, PreparedCase)
        assert np.array_equal(found.images, alone.images)
        assert np.array_equal(found.masks, alone.masks)
    assert isinstance(together[0], PreparedCase)
    assert together[0].images.shape != alone.images.shape or not np.array_equal(together[0].images, alone.images)


def test_fewer_slices_are_some_of_all() -> None:
    some = prepared_patient(5, 0, CONFIG, name="other", most=6)
    assert isinstance(some, PreparedCase)
    assert 3 <= len(some.images) <= 6 < len(quick(0).images)
    assert {record["case"] for record in some.records} == {"other"}


@pytest.mark.parametrize(
    ("changed", "step"),
    [({}, 2.0), ({"size": 128}, 1.5), ({"size": 256}, None), ({"plane": "coronal"}, None), ({"pad": 256}, None),
     ({"normalise": "unit"}, None)],
)  # fmt: skip
def test_only_what_does_not_need_the_scanners_own_pixels_is_coarse(
    changed: dict[str, object], step: float | None
) -> None:
    config = PhantomCohortConfig.model_validate({"size": 64, "phantom": PLAIN, **changed})
    assert coarse_mm(config) == step
