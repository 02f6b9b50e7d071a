"""The quick ways through the simulation give what the plain ones give."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from functools import cache

import numpy as np
import pytest
import torch

from synthoma.core.types import Float32
from synthoma.phantom import PhantomConfig, anatomy, swift
from synthoma.phantom.anatomy import Brain, resolve, scan_lattice
from synthoma.phantom.atlas import Growth, atlas
from synthoma.phantom.coarse import coarse_study
from synthoma.phantom.fields import by_matrices, nearest_of, places_of, sample, spline_along, where_code
from synthoma.phantom.invasion import invade, trimmed
from synthoma.phantom.patient import Person, draw_person, embody
from synthoma.phantom.swift import resolve_planes
from synthoma.phantom.tumour import Tumour, _between, _hospitality, draw_biology, grow, spread

CONFIG = PhantomConfig(modalities=("flair",), sites=4, slice_mm=6.0)


def test_codes_chosen_by_bits_are_those_that_where_chooses() -> None:
    rng = torch.Generator().manual_seed(0)
    one, other = (torch.randint(0, 256, (3, 70), dtype=torch.uint8, generator=rng) for _ in range(2))
    mask = torch.rand(3, 70, generator=rng) > 0.5
    assert torch.equal(where_code(mask, one, other), torch.where(mask, one, other))
    assert torch.equal(where_code(mask, 200, other), torch.where(mask, torch.full_like(other, 200), other))
    assert torch.equal(places_of(mask), mask.flatten().nonzero()[:, 0])


def test_the_nearest_sample_is_the_one_that_is_read() -> None:
    values = torch.arange(4 * 5 * 6, dtype=torch.float32).reshape(1, 4, 5, 6)
    # Beyond the box too, where the outermost sample is the nearest.
    where = torch.rand(3, 500, generator=torch.Generator().manual_seed(1)) * 2.6 - 1.3
    assert torch.equal(values.flatten()[nearest_of((4, 5, 6), where).long()], sample(values, where, "nearest")[0])


def test_a_spline_by_matrices_is_the_spline_axis_by_axis() -> None:
    values = torch.randn(2, 9, 8, 7, generator=torch.Generator().manual_seed(2))
    places = [np.linspace(0, size - 4, count) for size, count in zip((9, 8, 7), (5, 11, 20), strict=True)]
    plain = values
    for axis, place in enumerate(places, start=1):
        plain = spline_along(plain, axis, place)
    assert torch.allclose(by_matrices(values, places), plain, atol=1e-6)


def test_growth_in_a_window_is_growth_in_the_whole_box() -> None:
    """Against every step taken everywhere: the same times to the bit, from two places, one of them at the edge."""
    rng = np.random.default_rng(3)
    white = rng.random((24, 21, 26)).astype(np.float32)
    grey = np.where(rng.random(white.shape) < 0.2, 0, 1 - white).astype(np.float32)
    biology = draw_biology(np.random.default_rng(1), CONFIG, True)
    starts = [np.array([12, 10, 13]), np.array([1, 20, 13])]
    found = spread(np.random.default_rng(4), biology, white, grey, starts, 900.0, True)
    assert 900 < np.isfinite(found).sum() < found.size
    assert np.array_equal(found, _everywhere(np.random.default_rng(4), biology, white, grey, starts, 900.0))


def _everywhere(
    rng: np.random.Generator, biology: object, white: Float32, grey: Float32, starts: list[np.ndarray], wanted: float
) -> Float32:
    solid = white + grey > 0.45
    host = _hospitality(rng, white.shape, biology.ragged, True)  # type: ignore[attr-defined]
    speed = np.where(solid, (grey + biology.white_speed * white) * host, 0)  # type: ignore[attr-defined]
    speed *= np.float32(0.155) / speed.max()
    rate = np.where(solid, np.float32(biology.steepness) * host, 0)  # type: ignore[attr-defined]
    u, arrival = np.zeros(white.shape, np.float32), np.full(white.shape, np.inf, np.float32)
    z, y, x = np.indices(white.shape)
    for start in starts:
        u[((z - start[0]) ** 2 + (y - start[1]) ** 2 + (x - start[2]) ** 2 <= 2) & solid] = 1
    arrival[u > 0.5] = 0
    for step in range(400):
        before = u
        u = u + rate * u * (1 - u)
        for axis in range(3):
            flow = np.moveaxis(_between(speed, axis) * np.diff(before, axis=axis), axis, 0)
            moved = np.moveaxis(u, axis, 0)
            moved[:-1] += flow
            moved[1:] -= flow
        u = np.clip(u, 0, 1)
        passed = (u > 0.5) & (before <= 0.5)
        arrival[passed] = step + (0.5 - before[passed]) / (u[passed] - before[passed])
        if step % 10 == 9 and np.isfinite(arrival).sum() > min(1.6 * wanted + 60, 0.6 * solid.sum()):
            break
    return arrival


@cache
def patient(quick: bool) -> tuple[Person, anatomy.Body, Tumour]:
    person = draw_person(5, 2, CONFIG)
    body, tumour = embody(5, 2, person, atlas(), CONFIG, swift=quick)
    assert tumour is not None
    return person, body, tumour


AXES = np.arange(-30.0, 40.0, 4.0), np.arange(80.0, -110.0, -2.0), np.arange(80.0, -80.0, -2.0)


@pytest.mark.slow
def test_tissue_of_some_planes_at_a_time_is_that_of_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    person, body, _ = patient(True)
    codes, brain = resolve(body, person.traits, atlas(), *AXES)
    monkeypatch.setattr(swift, "AT_ONCE", 25_000)  # three planes, so that there are several parts
    quick, some = resolve_planes(body, person.traits, atlas(), *AXES)
    assert (quick != codes).float().mean() < 1e-5  # a rounding of coordinates may turn the nearest sample
    assert len(some.index) == pytest.approx(len(brain.index), rel=1e-4)
    assert torch.equal(some.index, some.index.unique())  # rising, none twice
    both = np.intersect1d(some.index.numpy(), brain.index.numpy(), return_indices=True)
    for name in ("fluid", "grey", "white", "lesion", "noise", "unit"):
        one, other = (getattr(of, name)[..., at] for of, at in zip((some, brain), both[1:], strict=True))
        assert (one - other).abs().mean() < 1e-4


@pytest.mark.slow
def test_a_tumour_in_its_smallest_box_invades_what_it_invades() -> None:
    person, body, tumour = patient(True)
    _, brain = resolve_planes(body, person.traits, atlas(), *AXES)
    small = trimmed(tumour)
    assert small.fronts[0].numel() < tumour.fronts[0].numel()
    one, other = invade(tumour, brain), invade(small, brain)
    hard = [torch.zeros(len(brain.index), dtype=torch.uint8) for _ in range(2)]
    for found, place in zip((one, other), hard, strict=True):
        place[found.index] = found.codes
    assert hard[0].count_nonzero() > 200
    assert (hard[0] != hard[1]).sum() <= 2
    assert float(one.fractions.sum()) == pytest.approx(float(other.fractions.sum()), rel=1e-4)


@pytest.mark.slow
def test_a_person_computed_near_the_head_is_the_person() -> None:
    """Where tissue is, places agree to micrometres and layers too: what was left out is air."""
    (_, body, tumour), (_, plain, same) = patient(True), patient(False)
    inside = plain.layers[3] < 5
    assert inside.float().mean() > 0.2
    assert (body.places - plain.places)[:, inside].abs().max() < 0.05
    assert (body.layers - plain.layers)[:, inside].abs().quantile(0.999) < 0.1
    # Air stays air: a head that grew where nobody looked would show.
    assert ((body.layers[3] < 0) == (plain.layers[3] < 0)).float().mean() > 0.9999
    assert tumour.centre == pytest.approx(same.centre, abs=0.05)


@pytest.mark.slow
def test_a_tumour_at_the_rim_of_its_box_and_one_that_stays_tiny_grow() -> None:
    """The box is cut to what was reached: also where that touches its walls, or is a ball of one sample."""
    growth = atlas().growth
    for millilitres in (1.5, 200.0):
        config = PhantomConfig(volume_ml=millilitres, volume_spread=0.0)
        biology = draw_biology(np.random.default_rng(0), config, True)
        ends = Growth(growth.white, growth.grey, growth.origin, growth.seeds[:1], np.ones(1))
        whole, cut = (grow(np.random.default_rng(5), biology, ends, 1.0, swift=quick) for quick in (False, True))
        step = (np.array(cut.high) - cut.low) / (np.array(cut.fronts.shape[:0:-1]) - 1)
        assert step == pytest.approx(np.full(3, 1.5))
        assert cut.centre == pytest.approx(whole.centre)
        assert ((cut.fronts[0] < 0).sum()) == pytest.approx(int((whole.fronts[0] < 0).sum()), abs=2)


_DIGEST = """
import hashlib, sys, torch
torch.set_num_threads(int(sys.argv[1]))
from synthoma.phantom import PhantomConfig
from synthoma.phantom.coarse import coarse_study
study = coarse_study(5, 2, PhantomConfig(modalities=("flair",), sites=4, slice_mm=6.0), 2.0)
print(hashlib.sha256(study.images["flair"].tobytes() + study.mask.tobytes()).hexdigest())
"""


@pytest.mark.slow
def test_a_patient_is_the_same_in_another_process_with_other_threads() -> None:
    coarse_study(5, 7, CONFIG, 2.0)  # another one before it
    study = coarse_study(5, 2, CONFIG, 2.0)
    assert study.mask is not None
    own = hashlib.sha256(study.images["flair"].tobytes() + study.mask.tobytes()).hexdigest()
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"}
    other = subprocess.run(
        [sys.executable, "-c", _DIGEST, "2"], capture_output=True, text=True, check=True, env=environment
    )
    assert other.stdout.strip() == own


def test_the_lattice_gives_slabs_that_are_the_whole() -> None:
    lattice = scan_lattice()
    values = torch.randn(2, *lattice.shape, generator=torch.Generator().manual_seed(6))
    z, y, x = np.linspace(-40, 33, 17), np.linspace(90, -90, 13), np.linspace(60, -60, 11)
    whole = lattice.expand(values, z, y, x)
    assert torch.allclose(torch.cat(list(lattice.slabs(values, z, y, x, 5)), dim=1), whole, atol=1e-5)


def test_lists_of_no_place_can_be_joined() -> None:
    """Planes above the vertex hold no brain."""
    empty = torch.zeros(0)
    none = Brain(
        empty.long(), empty, empty, empty, empty, empty.byte(), empty.byte(), empty, empty.repeat(3, 1),
        empty.repeat(3, 1),
    )  # fmt: skip
    assert swift._joined([none, none]).noise.shape == (3, 0)
