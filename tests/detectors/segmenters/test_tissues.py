"""Tissues of a head: learning from known slices, the map on a scan's own grid, and the network in the package."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from synthoma.core.errors import InputError
from synthoma.core.tissues import BRAIN, TISSUES, HeadTissue
from synthoma.core.types import Array
from synthoma.detectors.segmenters.networks import ResidualUNet
from synthoma.detectors.segmenters.tissue_learning import (
    CONTEXT,
    KINDS,
    Pupil,
    TissueSlices,
    brain_of,
    draw_batch,
    learn,
    paint,
    stacks_of,
    tissue_loss,
)
from synthoma.detectors.segmenters.tissues import (
    TissueMap,
    largest_filled,
    shipped_tissues,
    stripped,
    tissue_map,
    tissues_of,
    widened_mask,
)
from synthoma.phantom import PhantomConfig
from synthoma.phantom.patient import Patient, simulate
from synthoma.phantom.tissue import Tissue, head_tissue_of
from synthoma.scans.case import Geometry, Study


@pytest.fixture(scope="module")
def patient() -> Patient:
    """A simulated patient whom no training saw, with a whole head."""
    return simulate(977, 3, PhantomConfig(pixel_mm=2.0, slice_mm=5.0, artefacts=0.0, modalities=("t1", "flair")))


@pytest.fixture(scope="module")
def mapped(patient: Patient) -> TissueMap:
    return tissues_of(patient.study)


def dice(one: Array, other: Array) -> float:
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


def test_every_tissue_of_the_phantom_is_a_kind() -> None:
    kinds = head_tissue_of(np.array(list(Tissue), np.uint8))
    told = dict(zip(Tissue, kinds.tolist(), strict=True))
    assert told[Tissue.AIR] == HeadTissue.BACKGROUND
    assert told[Tissue.LESION] == told[Tissue.WHITE] == HeadTissue.WHITE
    assert {told[code] for code in Tissue if code >= Tissue.OEDEMA} == {HeadTissue.TUMOUR}
    assert told[Tissue.SCALP] == told[Tissue.SKULL] == told[Tissue.NERVE] == HeadTissue.HEAD
    assert set(kinds.tolist()) == {HeadTissue.BACKGROUND, *TISSUES}


def test_brain_of_closes_clefts_and_leaves_the_skull_alone() -> None:
    kinds = np.zeros((1, 40, 40), np.uint8)
    kinds[0, 8:32, 8:32] = HeadTissue.WHITE
    kinds[0, 8:20, 18:21] = HeadTissue.FLUID  # a cleft three pixels wide, open to the outside
    kinds[0, 22:26, 10:14] = HeadTissue.VESSEL  # a hole
    kinds[0, 2:4] = HeadTissue.HEAD
    found = brain_of(kinds)
    assert found[0, 12:30, 8:32].all()
    assert not found[0, :6].any()
    assert found[0].sum() <= 24 * 24


def test_painted_contrast_is_one_value_a_tissue_and_dark_air() -> None:
    codes = torch.zeros(2, 3, 32, 32, dtype=torch.long)
    codes[:, :, 4:20, 4:28] = 25
    codes[:, :, 20:28, 4:28] = 23
    draws = torch.Generator().manual_seed(1)
    images = paint(codes, draws)
    assert images[:, :, :3].abs().max() == 0
    inside = images[:, :, 8:16, 8:24]
    assert (inside.std((1, 2, 3)) < 0.06 * inside.mean((1, 2, 3))).all()
    # Another picture has another contrast.
    ratios = images[:, 1, 8:16, 8:24].mean((1, 2)) / images[:, 1, 22:26, 8:24].mean((1, 2))
    assert abs(float(ratios[0] - ratios[1])) > 0.01


def test_loss_is_least_where_all_is_right() -> None:
    kinds = torch.arange(KINDS).repeat(1, 16, 2)[:, :, :16] % KINDS
    brain = (kinds < 4).float()
    right = 20.0 * torch.nn.functional.one_hot(kinds, KINDS).permute(0, 3, 1, 2).float()
    logits = torch.cat([right, (20 * (2 * brain - 1))[:, None]], 1)
    assert tissue_loss(logits, kinds, brain) < 0.01
    assert tissue_loss(-logits, kinds, brain) > 5
    # Cross-entropy of the kinds alone: log 9 where nothing is said, and log 2 of the brain.
    empty = tissue_loss(torch.zeros_like(logits), kinds, brain)
    counts = torch.bincount(kinds.flatten(), minlength=KINDS).float()
    dice_part = 1 - ((2 * counts / KINDS + 1) / (kinds.numel() / KINDS + counts + 1)).mean()
    assert float(empty) == pytest.approx(np.log(9) + np.log(2) + float(dice_part), abs=1e-4)


@pytest.fixture(scope="module")
def toy() -> TissueSlices:
    """Discs of brain with a core of fluid in a ring of bone, of several sizes."""
    rows, columns = np.indices((32, 32)) - 15.5
    codes = np.zeros((12, 32, 32), np.uint8)
    for number, layer in enumerate(codes):
        away = np.hypot(rows, columns)
        layer[away < 14] = Tissue.SCALP
        layer[away < 9 + number % 3] = Tissue.WHITE
        layer[away < 3 + number % 2] = Tissue.VENTRICLE
    images = np.repeat(np.array([0, 40, 95, 90], np.uint8)[np.searchsorted([0, 2, 21, 25], codes)][:, None], 2, axis=1)
    kinds = head_tissue_of(np.arange(256, dtype=np.uint8))
    return TissueSlices(images, codes, kinds, brain_of(kinds[codes]), stacks_of(len(codes), None))


def test_a_batch_is_a_function_of_its_draws(toy: TissueSlices) -> None:
    one, other = (draw_batch(toy, 4, torch.Generator().manual_seed(5)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    images, kinds, brain = one
    assert images.shape == (4, CONTEXT, 32, 32)
    assert 0 <= float(images.min()) <= float(images.max()) <= 2
    assert ((kinds == HeadTissue.WHITE) <= (brain > 0)).float().mean() > 0.99


@pytest.mark.slow
def test_a_network_learns_and_goes_on_where_it_stopped(toy: TissueSlices) -> None:
    def pupil() -> Pupil:
        torch.manual_seed(0)
        network = ResidualUNet(CONTEXT, KINDS + 1, width=4, levels=3, stem=2)
        return Pupil(network, torch.optim.AdamW(network.parameters(), 1e-3))

    whole, parted, losses = pupil(), pupil(), []
    learn(whole, toy, steps=40, batch=4, seed=1, kept=lambda _, loss: losses.append(loss), every=10)
    assert losses[-1] < 0.9 * losses[0]

    def stop(now: Pupil, _: float) -> None:
        if now.step == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learn(parted, toy, steps=40, batch=4, seed=1, kept=stop, every=10)
    learn(parted, toy, steps=40, batch=4, seed=1)
    for one, other in zip(whole.network.state_dict().values(), parted.network.state_dict().values(), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.slow
def test_the_brain_of_a_patient_never_seen(patient: Patient, mapped: TissueMap) -> None:
    kinds = head_tissue_of(patient.tissue)
    assert mapped.labels.shape == patient.tissue.shape
    assert mapped.sure
    assert dice(mapped.mask, brain_of(kinds, reach=3)) > 0.96
    assert dice(mapped.labels == HeadTissue.HEAD, kinds == HeadTissue.HEAD) > 0.8
    assert dice(mapped.labels == HeadTissue.VENTRICLE, kinds == HeadTissue.VENTRICLE) > 0.6
    assert dice(np.isin(mapped.labels, BRAIN), np.isin(kinds, BRAIN)) > 0.9


def test_volumes_are_counts_of_voxels() -> None:
    """250 voxels of 20 mm3 are 5 ml; without spacing they are a quarter of a thousand."""
    labels = np.zeros((10, 10, 10), np.uint8)
    labels[:5, :5] = HeadTissue.GREY
    labels[5:, :2] = HeadTissue.WHITE
    brain = (labels > 0).astype(np.float32)
    found = TissueMap(labels, brain, (2.0, 2.0, 5.0), 1.0)
    volumes = found.volumes()
    assert (volumes[HeadTissue.GREY], volumes[HeadTissue.WHITE]) == pytest.approx((5.0, 2.0))
    assert found.millilitres(found.mask) == pytest.approx(7.0)
    assert TissueMap(labels, brain, None, 1.0).volumes()[HeadTissue.GREY] == pytest.approx(0.25)


@pytest.mark.slow
def test_one_sequence_as_an_array_is_the_study_of_it(patient: Patient) -> None:
    image = patient.study.images["flair"]
    one = tissue_map(image, (2.0, 2.0, 5.0))
    assert patient.study.geometry is not None
    alone = tissues_of(Study({"flair": image}, patient.study.geometry))
    assert np.array_equal(one.labels, alone.labels)


@pytest.mark.slow
def test_a_grid_that_runs_the_other_way_gives_the_same_map(patient: Patient) -> None:
    image = patient.study.images["flair"][:, ::-1, ::-1]
    turned = Geometry((2.0, 2.0, 5.0), direction=(-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0))
    found = tissues_of(Study({"flair": image}, turned))
    plain = tissue_map(patient.study.images["flair"], (2.0, 2.0, 5.0))
    assert np.array_equal(found.labels[:, ::-1, ::-1], plain.labels)


@pytest.mark.parametrize("kind", ["constant", "noise", "ramp", "photo"])
def test_no_brain_is_found_for_sure_where_there_is_none(kind: str) -> None:
    rng = np.random.default_rng(0)
    rows, columns = np.indices((64, 64))
    volume = {
        "constant": np.full((4, 64, 64), 7.0),
        "noise": rng.random((4, 64, 64)),
        "ramp": np.repeat((rows + columns)[None], 4, 0).astype(float),
        "photo": np.repeat((((rows // 16) + (columns // 16)) % 2)[None] * 200, 4, 0).astype(float),
    }[kind]
    found = tissue_map(volume, (1.0, 1.0, 5.0))
    assert found.labels.shape == volume.shape
    assert not found.sure


def test_what_is_no_volume_is_refused() -> None:
    with pytest.raises(InputError, match="volume"):
        tissue_map(np.zeros((8, 8)))
    with pytest.raises(InputError, match="grey values"):
        tissue_map(np.full((2, 32, 32), np.nan))


@pytest.mark.slow  # a whole head is simulated, as for the others
def test_a_single_slice_and_four_slices_have_maps(patient: Patient) -> None:
    middle = patient.study.images["flair"].shape[0] // 2
    for count in (1, 4):
        found = tissue_map(patient.study.images["flair"][middle : middle + count], (2.0, 2.0, 5.0))
        assert found.labels.shape[0] == count
        assert np.isin(found.labels, BRAIN).mean() > 0.1


@pytest.mark.slow
def test_stripped_leaves_the_brain_and_nothing_else(patient: Patient, mapped: TissueMap) -> None:
    bare = stripped(patient.study)
    assert bare.images["flair"].dtype == patient.study.images["flair"].dtype
    keep = widened_mask(mapped.mask, mapped.spacing, 1.0)
    darkest = patient.study.images["flair"].min()
    assert (bare.images["flair"][~keep] == darkest).all()
    assert np.array_equal(bare.images["t1"][keep], patient.study.images["t1"][keep])
    assert "ml of brain kept" in bare.remarks[-1]
    scalp = patient.tissue == Tissue.SCALP
    assert (bare.images["t1"][scalp] > darkest).mean() < 0.03
    with pytest.raises(InputError, match="brain"):
        stripped(Study({"t1": np.random.default_rng(1).random((3, 64, 64))}))


def test_the_largest_region_is_kept_and_filled() -> None:
    mask = np.zeros((2, 12, 12), bool)
    mask[:, 1:8, 1:8] = True
    mask[0, 3:5, 3:5] = False
    mask[1, 10:12, 10:12] = True
    found = largest_filled(mask)
    assert found.sum() == 2 * 49
    assert not largest_filled(np.zeros((2, 4, 4), bool)).any()


def test_a_mask_is_widened_in_millimetres() -> None:
    mask = np.zeros((1, 21, 21), bool)
    mask[0, 10, 10] = True
    wide = widened_mask(mask, (2.0, 1.0, 5.0), 4.0)
    assert wide[0, 6, 10]
    assert not wide[0, 5, 10]
    assert wide[0, 10, 8]
    assert not wide[0, 10, 7]


def test_thin_slices_are_joined_from_their_neighbours() -> None:
    network = shipped_tissues()
    rng = np.random.default_rng(3)
    pixels = np.repeat(rng.random((1, 1, 128, 128), np.float32), 5, axis=0)
    found = network.probabilities(pixels, 1.0)
    # All slices are alike, so that those between are what their neighbours are.
    np.testing.assert_allclose(found[1], found[2], atol=0.02)
    np.testing.assert_allclose(found[:, :-1].sum(1), 1, atol=1e-3)
    blank = network.probabilities(np.zeros((2, 1, 128, 128), np.float32), 1.0)
    assert (blank[:, 0] == 1).all()
    assert not blank[:, 1:].any()
