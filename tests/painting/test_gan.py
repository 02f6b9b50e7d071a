"""The painter "gan": what it learns, what it leaves alone, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import synthoma
from synthoma.cohorts.leaks import patients_behind
from synthoma.core.errors import ConfigError, InputError
from synthoma.core.seeding import stream
from synthoma.core.types import MODALITIES, Bytes, Float32
from synthoma.painting.dials import Dials
from synthoma.painting.gan.learning import Apprentice, learn
from synthoma.painting.gan.model import FILE, PainterModel, shipped_painter
from synthoma.painting.gan.network import TOLD, Filler, Judge
from synthoma.painting.gan.plates import SIDE, Plate, Plates, plate_of
from synthoma.painting.gan.region import MARGIN_MM, margin_of, told_planes
from synthoma.painting.painters import Material, paint_scan
from synthoma.painting.scan import Scan
from synthoma.training.bundle import CHECKPOINT, load_tensors, save_tensors

pytestmark = pytest.mark.slow

INSIDE, AROUND = 1.6, 0.9
"""Grey values of the toy's lesions in FLAIR, and of what lies around them."""


def toy(slices: int = 12, present: tuple[bool, ...] = (False, False, False, True)) -> Plates:
    """Even slices in which a bright square lies, and others in which none does."""
    rng = np.random.default_rng(0)
    mask: Bytes = np.zeros((slices, SIDE, SIDE), np.uint8)
    for at in range(slices // 2):
        row, column = rng.integers(8, 26, 2)
        mask[at, row : row + 12, column : column + 12] = 1
    there = np.array(present)
    images: Float32 = np.full((slices, 4, SIDE, SIDE), AROUND, np.float32)
    images = np.where(mask[:, None] > 0, np.float32(INSIDE), images) * there[:, None, None]
    images += 0.03 * rng.standard_normal(images.shape).astype(np.float32) * there[:, None, None]
    brain = np.ones(mask.shape, np.bool_)
    return Plates([Plate(images.astype(np.float32), there, mask, brain, 3.0)], regions=False)


@pytest.fixture(scope="module")
def pupil() -> Apprentice:
    """One who learned from the toy, with networks and batches so small that it takes a second or two."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(1)
        one = Apprentice(Filler(6), Judge(6), rate=2e-3)
    plates = toy()
    for step in range(90):
        one.learn_from(plates.batch(3, step, 4), step / 90)
    return one


def test_it_learns_how_bright_lesions_are_and_what_lies_around(pupil: Apprentice) -> None:
    batch = toy().batch(9, 0, 8)
    with torch.inference_mode():
        made = pupil.average(batch.blanked, batch.told, batch.noise)[:, 3]
    inside = (batch.margin[:, 0] == 1).numpy()
    rim = ((batch.margin[:, 0] > 0) & (batch.margin[:, 0] < 1)).numpy()
    there = batch.present[:, 3, 0, 0].bool().numpy()
    assert there.all()
    assert made.numpy()[inside].mean() == pytest.approx(INSIDE, abs=0.2)
    assert made.numpy()[inside].mean() - made.numpy()[rim].mean() > 0.3


def test_a_resumed_training_ends_with_the_same_weights(tmp_path: Path) -> None:
    plates = toy(4)

    def fresh() -> Apprentice:
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(2)
            return Apprentice(Filler(4), Judge(4), begun=True)

    straight, first, second = fresh(), fresh(), fresh()
    learn(straight, plates, steps=4, seed=5)
    for step in range(2):
        first.learn_from(plates.batch(5, step, 16), step / 4)
    save_tensors(tmp_path / "saved.safetensors", first.state(), {"schema": CHECKPOINT, "step": 2, "best": None})
    second.restore(load_tensors(tmp_path / "saved.safetensors"))
    learn(second, plates, steps=4, seed=5)
    assert second.step == 4
    assert all(torch.equal(value, second.state()[name]) for name, value in straight.state().items())


def test_margin_is_whole_inside_and_ends_after_its_width() -> None:
    mask = np.zeros((40, 40), np.uint8)
    mask[15:25, 15:25] = 2
    margin = margin_of(mask, 1.0)
    assert (margin[15:25, 15:25] == 1).all()
    # 0.5 mm from the edge: 1 - 0.5 / 3 of a soft step x^2 (3 - 2 x).
    share = 1 - 0.5 / MARGIN_MM
    assert margin[20, 25] == pytest.approx(share**2 * (3 - 2 * share))
    assert not margin[20, 29:].any()
    assert not margin_of(np.zeros((9, 9), np.uint8), 1.0).any()


def test_what_networks_are_told() -> None:
    mask = np.array([[0, 1], [2, 3]], np.uint8)
    margin = margin_of(mask, 3.0)
    told = told_planes(mask, margin, np.array([True, False, True, False]), regions=True)
    assert told.shape == (TOLD, 2, 2)
    assert np.array_equal(told[2:5].argmax(0) + 1, [[1, 1], [2, 3]])
    assert told[-4:, 0, 0].tolist() == [1, 0, 1, 0]
    assert not told_planes(mask, margin, np.ones(4, np.bool_), regions=False)[1:5].any()


def test_slices_with_a_cavity_are_neither_ill_nor_healthy(head: Scan) -> None:
    z, y, x = (size // 2 for size in head.shape)
    mask = np.zeros(head.shape, np.uint8)
    mask[z : z + 2, y - 5 : y + 5, x + 6 : x + 16] = 1
    mask[z + 1 : z + 3, y - 5 : y, x + 6 : x + 12] = 4
    plate = plate_of(Scan({"flair": head.images["flair"]}, head.spacing, mask))
    known = Plates([plate], regions=False)
    assert known._ill[:, 1].tolist() == [z]
    assert not {z + 1, z + 2} & set(known._healthy[:, 1].tolist())


def test_half_of_a_batch_are_lesions_the_rest_healthy_slices_with_their_masks() -> None:
    batch = toy().batch(1, 7, 8)
    same = toy().batch(1, 7, 8)
    assert torch.equal(batch.own, same.own)
    assert not torch.equal(batch.own, toy().batch(1, 8, 8).own)
    inside = (batch.margin == 1)[:, 0]
    bright = [float(own[3][there].mean()) for own, there in zip(batch.own, inside, strict=True)]
    ratio = np.array(bright) / np.array([float(own[3].min()) for own in batch.own])
    assert (ratio[:4] > 1.4).all()
    assert (ratio[4:] < 1.4).all()
    assert not batch.blanked[(batch.margin > 0).expand_as(batch.blanked)].any()


def test_outside_of_the_margin_every_pixel_is_the_scans(head: Scan) -> None:
    made = paint_scan(stream(1, "test", 0), head, Dials(size_ml=(15, 15)), painter="gan")
    for name, image in head.images.items():
        assert np.array_equal(made.images[name][~made.changed], image[~made.changed])
        assert not np.array_equal(made.images[name], image)
        assert np.isfinite(made.images[name]).all()
    from scipy import ndimage

    far = ndimage.distance_transform_edt(made.mask == 0, sampling=head.spacing) > MARGIN_MM + 2 * max(head.spacing[1:])
    assert not (made.changed & far).any()
    counted = (made.mask > 0).sum() * np.prod(head.spacing) / 1000
    assert counted == pytest.approx(15, rel=0.05)


def test_same_stream_same_bytes_another_stream_another_tumour(head: Scan) -> None:
    dials = Dials(size_ml=(9, 9))
    one, same, other = (paint_scan(stream(seed, "test", 0), head, dials, painter="gan") for seed in (1, 1, 2))
    assert all(one.images[name].tobytes() == same.images[name].tobytes() for name in one.images)
    assert not np.array_equal(one.mask, other.mask)


def test_a_fine_scan_is_painted_at_its_own_grid_and_keeps_its_grain(head: Scan) -> None:
    """Pixels of 0.6 mm are more than the network learned: it paints coarser ones, and the grain is the scan's."""
    widest = head.shape[0] // 2
    fine = {n: np.repeat(np.repeat(i[widest : widest + 1], 4, 1), 4, 2) for n, i in head.images.items()}
    rng = np.random.default_rng(0)
    fine = {n: (i + 20 * rng.standard_normal(i.shape)).astype(np.float32) for n, i in fine.items()}
    scan = Scan(fine, (6.0, head.spacing[1] / 4, head.spacing[2] / 4))
    made = paint_scan(stream(2, "test", 0), scan, Dials(size_ml=(10, 10)), painter="gan")
    inside = made.mask > 0
    grain = [image[:, :, 1:] - image[:, :, :-1] for image in (made.images["flair"], scan.images["flair"])]
    kept = np.corrcoef(*(part[inside[:, :, 1:]] for part in grain))[0, 1]
    assert kept > 0.5


def test_a_drawn_mask_is_filled_as_it_was_drawn(head: Scan) -> None:
    drawn = np.zeros(head.shape, np.uint8)
    middle = head.shape[0] // 2
    drawn[middle : middle + 2, 38:48, 22:30] = 2
    drawn[middle, 41:45, 24:27] = 1
    made = paint_scan(stream(3, "test", 0), head, Dials(), painter="gan", drawn=drawn)
    assert np.array_equal(made.mask, drawn)
    assert made.changed[drawn > 0].all()
    assert not made.changed[: middle - 1].any()


def test_contrast_dial_is_monotone(head: Scan) -> None:
    shown = []
    for contrast in (0.3, 0.8, 1.3):
        dials = Dials(size_ml=(20, 20), grade="low", contrast=(contrast, contrast), place=("left",))
        made = paint_scan(stream(6, "test", 0), head, dials, painter="gan")
        shown.append(float((made.images["flair"] - head.images["flair"])[made.mask > 0].mean()))
    assert 0 < shown[0] < shown[1] < shown[2]


def test_the_shipped_painter_is_small_and_learned_from_nobody() -> None:
    model = shipped_painter()
    assert model.modalities == MODALITIES
    assert model.regions
    assert not model.patients
    folder = Path(synthoma.__file__).parent / "weights"
    assert (folder / "phantom-painter.safetensors").stat().st_size <= 1.5 * 2**20


def test_sequences_that_it_did_not_learn_are_refused(head: Scan) -> None:
    model = replace(shipped_painter(), modalities=("t1", "flair"))
    with pytest.raises(InputError, match="t1c"):
        paint_scan(stream(1, "t"), head, Dials(size_ml=(9, 9)), painter="gan", material=Material(model=model))


@pytest.mark.slow
def test_a_cohort_teaches_it_and_is_named_behind_what_it_paints(simulated: synthoma.Cohort, tmp_path: Path) -> None:
    made = synthoma.paint(simulated, tmp_path / "made", painter="gan", learn=2, size_ml=10, beside=True)
    model = PainterModel.open(made.path)
    assert model.modalities == ("t1", "flair")
    assert model.steps == 2
    assert patients_behind(made, simulated=True)
    assert (made.path / FILE).is_file()
    replace(model, patients=("stranger",)).save(tmp_path / "told.safetensors")
    again = synthoma.paint(
        simulated, tmp_path / "again", painter="gan", model=tmp_path / "told.safetensors", size_ml=10, beside=True
    )
    assert "stranger" in patients_behind(again, simulated=True)
    # The same weights, whether they were just learned or read from the file in half precision.
    assert np.array_equal(again.masks[:], made.masks[:])
    assert np.abs(np.asarray(again.images[:], np.float32) - np.asarray(made.images[:], np.float32)).max() < 0.02


def test_what_says_nothing_is_refused(simulated: synthoma.Cohort, head: Scan, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="painter gan"):
        synthoma.paint(simulated, tmp_path / "a", learn=5)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="nothing at"):
        synthoma.paint(simulated, tmp_path / "a", painter="gan", model=tmp_path / "empty")
    with pytest.raises(InputError, match="a segmenter"):
        PainterModel.open(Path(synthoma.__file__).parent / "weights" / "phantom-segmenter.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(b"\x10\x00\x00")
    with pytest.raises(InputError):
        PainterModel.open(tmp_path / "cut.safetensors")
    with pytest.raises(InputError, match="none"):
        Plates([], regions=True)
    assert not (tmp_path / "a").exists()
