"""Tumours lie in brain tissue, have the size asked for, and push the brain aside."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from synthoma.core.seeding import stream
from synthoma.phantom import PhantomConfig, Tissue
from synthoma.phantom.anatomy import Push, push_aside, scan_lattice
from synthoma.phantom.atlas import atlas
from synthoma.phantom.config import Lobe, Side
from synthoma.phantom.patient import draw_person
from synthoma.phantom.tumour import grow, starts_of
from tests.phantom.conftest import CUBIC, SEED, patient

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("index", [0, 1, 2])
def test_tumour_lies_in_brain_tissue(index: int) -> None:
    """A healthy twin (same seed and index) shows what was there before; mass effect is left out by size."""
    small = PhantomConfig(slice_mm=3.0, pixel_mm=2.0, volume_ml=3.0)
    sick, twin = patient(index, small), patient(index, small.model_copy(update={"healthy": 1.0}))
    assert sick.study.mask is not None
    before = twin.tissue[sick.study.mask > 0]
    brain = np.isin(before, (Tissue.GREY, Tissue.WHITE, Tissue.DEEP_GREY, Tissue.LESION))
    head = np.isin(before, (Tissue.AIR, Tissue.SKULL, Tissue.MARROW, Tissue.SCALP, Tissue.SKIN, Tissue.VENTRICLE))
    assert brain.mean() > 0.75
    assert head.mean() < 0.05


def test_tumour_and_ventricle_never_share_a_voxel() -> None:
    found = patient(0, CUBIC)
    assert found.study.mask is not None
    assert not (found.study.mask[np.isin(found.tissue, (Tissue.CSF, Tissue.VENTRICLE))] > 0).any()


def test_volumes_follow_what_was_drawn() -> None:
    pairs = []
    for index in range(5):
        biology = draw_person(SEED, index, CUBIC).biology
        assert biology is not None
        pairs.append((biology.volume_ml, float(patient(index, CUBIC).facts["volume_ml"])))
    wanted, got = np.array(pairs).T
    # Thick slices and what a scan leaves out are all that is between them; as grown they are 20 % smaller.
    assert got == pytest.approx(wanted, rel=0.1)


def test_every_drawn_tumour_grows_to_its_size() -> None:
    growth = atlas().growth
    for index in range(12):
        biology = draw_person(SEED + 1, index, PhantomConfig()).biology
        assert biology is not None
        tumour = grow(stream(SEED + 1, "phantom.tumour", index), biology, growth, 1.0)
        step_mm = (tumour.high[0] - tumour.low[0]) / (tumour.fronts.shape[3] - 1)
        grown_ml = float((tumour.fronts[0] < 0).sum()) * step_mm**3 / 1000
        assert 0.5 * biology.volume_ml < grown_ml < 2.0 * biology.volume_ml + 3
        assert np.isfinite(tumour.centre).all()


def test_sizes_and_places_are_broad() -> None:
    people = [draw_person(SEED, index, PhantomConfig()).biology for index in range(300)]
    volumes = np.array([biology.volume_ml for biology in people if biology])
    assert np.percentile(volumes, 5) < 20 < 100 < np.percentile(volumes, 95)
    growth = atlas().growth
    seeds = growth.seeds[stream(SEED, "test.seeds").choice(len(growth.seeds), 500, p=growth.weights)]
    spread = seeds.std(0) * 3
    assert (spread > 15).all()


def test_mass_effect_moves_the_midline_away() -> None:
    lattice = scan_lattice()
    places = lattice.points()
    push = Push(centre=(30.0, 0.0, 20.0), radius_mm=25.0, shift_mm=6.0, reach_mm=26.0)
    shifted = push_aside(atlas(), lattice, places, push)
    z, y = int(np.argmin(np.abs(lattice.z - 20))), int(np.argmin(np.abs(lattice.y)))
    line = shifted[0, z, y].numpy()
    # Where template x is 0 lies the midline: at negative x, away from a tumour on the right.
    midline = np.interp(0.0, line[::-1], lattice.x[::-1])
    assert -6.0 < midline < -0.5
    far = lattice.points().sub(torch.tensor(push.centre).reshape(3, 1, 1, 1)).square().sum(0).sqrt() > 120
    assert (shifted - places)[:, far].abs().max() < 0.5


def test_deformed_brain_never_folds() -> None:
    from synthoma.phantom.patient import embody

    for index in range(3):
        body, _ = embody(SEED, index, draw_person(SEED, index, CUBIC), atlas(), CUBIC)
        steps = [torch.gradient(body.places[row], spacing=4.0) for row in range(3)]
        # Template components are (x, y, z); the lattice runs along z, then against y and x.
        jacobian = torch.stack([torch.stack((-g[2], -g[1], g[0])) for g in steps]).permute(2, 3, 4, 0, 1)
        inside = body.layers[0] < -2
        assert (torch.linalg.det(jacobian)[inside] > 0).float().mean() > 0.995


@pytest.mark.parametrize(("lobe", "side"), [("temporal", "left"), ("occipital", "right")])
def test_a_tumour_starts_where_it_is_asked_for_and_has_the_size(lobe: Lobe, side: Side) -> None:
    asked = CUBIC.model_copy(update={"lobe": lobe, "side": side, "volume_ml": 12.0, "volume_spread": 0.0})
    for index in range(3):
        facts = patient(index, asked).facts
        assert (facts["lobe"], facts["side"]) == (lobe, side)
        assert float(facts["volume_ml"]) == pytest.approx(12.0, rel=0.35)


def test_asking_for_nothing_changes_nothing() -> None:
    growth = atlas().growth
    assert starts_of(growth, None, None) is growth.weights
    left, right = (starts_of(growth, None, side) for side in ("left", "right"))
    assert not ((left > 0) & (right > 0)).any()
    assert left.sum() == pytest.approx(1.0)
