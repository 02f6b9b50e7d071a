from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from synthoma.core.errors import InputError
from synthoma.metrics.copies.alterations import altered, altered_alike, blended, cropped, implanted
from synthoma.metrics.copies.blends import Blends
from synthoma.metrics.copies.parts import LESION, Crops, lesions
from synthoma.metrics.copies.pictures import after, detail, evened, inverse, refine, warp
from synthoma.metrics.copies.whole import Gallery, nearest_images

pytestmark = pytest.mark.slow


def head(seed: int, size: int = 96) -> np.ndarray:
    """An image with a skull, folds and a lesion, all its own."""
    draws = np.random.default_rng(seed)
    down, right = np.mgrid[:size, :size] / size - 0.5
    radius = np.hypot(down / draws.uniform(0.38, 0.46), right / draws.uniform(0.30, 0.42))
    folds = ndimage.gaussian_filter(draws.normal(size=(size, size)), size / 40) * size / 12
    place = draws.uniform(-0.18, 0.18, 2)
    lesion = np.hypot(down - place[0], right - place[1]) < draws.uniform(0.04, 0.1)
    image = 0.45 + 0.12 * folds + 0.35 * lesion
    return np.clip(np.where(radius < 0.93, image, np.where(radius < 1, 0.95, 0)), 0, 1)


@pytest.fixture(scope="module")
def training() -> np.ndarray:
    return np.stack([head(seed) for seed in range(30)])


@pytest.fixture(scope="module")
def distinct(training: np.ndarray) -> float:
    """The highest score of images that are no copies."""
    return float(nearest_images(np.stack([head(seed) for seed in range(100, 130)]), training).score.max())


def test_an_exact_copy_is_found(training: np.ndarray, distinct: float) -> None:
    found = nearest_images(training[[4, 17, 29]], training)
    assert found.index.tolist() == [4, 17, 29]
    assert found.score == pytest.approx(1.0, abs=1e-4)
    assert not found.mirrored.any()
    assert distinct < 0.9


CHANGES = {
    "flipped": lambda image: image[:, ::-1],
    "turned": lambda image: np.clip(ndimage.rotate(image, 3, reshape=False, order=1), 0, 1),
    "turned back": lambda image: np.clip(ndimage.rotate(image, -3, reshape=False, order=1), 0, 1),
    "flipped and turned": lambda image: np.clip(ndimage.rotate(image[:, ::-1], 3, reshape=False, order=1), 0, 1),
    "shifted": lambda image: np.roll(image, (2, -2), axis=(0, 1)),
    "shifted by parts": lambda image: ndimage.shift(image, (-2.6, 1.3), order=1),
    "gamma": lambda image: image**0.85,
    "noisy": lambda image: np.clip(image + np.random.default_rng(0).normal(0, 0.02, image.shape), 0, 1),
    "darker": lambda image: 0.7 * image,
    "flipped upside down": lambda image: image[::-1],
    "a quarter turn": lambda image: np.rot90(image),
    "flipped along the diagonal": lambda image: image.T,
    "turned by 10 degrees": lambda image: np.clip(ndimage.rotate(image, 10, reshape=False, order=1), 0, 1),
    "shifted by an eighth": lambda image: ndimage.shift(image, (11.5, -11.5), order=1),
    "zoomed in": lambda image: zoomed(image, 1.18),
    "zoomed out": lambda image: zoomed(image, 0.85),
}


def zoomed(image: np.ndarray, size: float) -> np.ndarray:
    middle = (np.array(image.shape) - 1) / 2
    return ndimage.affine_transform(image, np.eye(2) / size, middle * (1 - 1 / size), order=1)


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_copy_is_found(training: np.ndarray, distinct: float, name: str) -> None:
    rows = [0, 8, 23]
    queries = np.stack([CHANGES[name](training[row]) for row in rows])
    found = nearest_images(queries, training)
    assert found.index.tolist() == rows
    assert found.score.min() > distinct
    assert found.mirrored.tolist() == [name.startswith("flipped")] * 3


def test_images_without_detail_resemble_nothing(training: np.ndarray) -> None:
    flat = np.stack([np.zeros((96, 96)), np.full((96, 96), 0.7)])
    assert nearest_images(flat, training).score.tolist() == [0, 0]
    assert nearest_images(training[:2], flat).score == pytest.approx([0, 0])


def test_a_query_does_not_depend_on_its_company(training: np.ndarray) -> None:
    queries = np.stack([head(seed) for seed in range(200, 220)])
    together = nearest_images(queries, training)
    alone = nearest_images(queries[18:19], training)
    assert (alone.index[0], alone.score[0]) == (together.index[18], pytest.approx(together.score[18], abs=1e-5))


def test_the_exact_position_is_found() -> None:
    """Maps of planted motions, from a start that is off by 2 px, 3 degrees and 4 %."""
    image = torch.from_numpy(np.stack([head(3, 64), head(4, 64)])).float()
    fixed = evened(detail(image.numpy()))
    angle, size = 0.08, 1.06
    linear = [[size * np.cos(angle), -size * np.sin(angle)], [size * np.sin(angle), size * np.cos(angle)]]
    truth = torch.tensor([[[*linear[0], 3.0], [*linear[1], -2.0]]] * 2, dtype=torch.float32)
    moving, _ = warp(fixed, inverse(truth))
    start = after(truth, torch.tensor([[[1.04, -0.05, 1.5], [0.05, 1.04, -1.2]]] * 2))
    found = refine(moving, fixed, start, 8)
    assert (found - truth)[:, :, :2].abs().max() < 0.01
    assert (found - truth)[:, :, 2].abs().max() < 0.3


def test_blends_need_two_sources(training: np.ndarray) -> None:
    gallery = Gallery(training)
    search = Blends(gallery)
    draws = np.random.default_rng(2)
    pairs = np.array([[0, 5], [7, 3], [12, 20], [29, 1]])
    mixed = blended(training[pairs[:, 0]], training[pairs[:, 1]], draws)
    found = search.nearest(mixed)
    honest = search.nearest(np.stack([head(seed) for seed in range(100, 115)])).score.max()
    assert np.sort(found.candidates).tolist() == np.sort(pairs).tolist()
    assert found.score.min() > honest + 0.03
    assert gallery.nearest(mixed).score.max() < found.score.min(), "one source explains no blend"
    assert search.nearest(training[:0]).candidates.shape == (0, 2)


def test_crops_are_found_where_whole_slices_are_not(training: np.ndarray) -> None:
    search = Crops(training)
    sources = np.arange(0, 30, 4)
    made = cropped(training[sources], np.random.default_rng(3))
    found = search.nearest(made)
    honest = search.nearest(np.stack([head(seed) for seed in range(100, 115)])).score.max()
    assert found.index.tolist() == sources.tolist()
    assert found.score.min() > honest + 0.03
    assert nearest_images(made, training).score.mean() < found.score.mean() - 0.1


def lesioned(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A head with a patchy lesion of its own, and where it is."""
    draws = np.random.default_rng(seed)
    down, right = np.mgrid[:64, :64] - 31.5
    place = draws.uniform(-9, 9, 2)
    mask = np.hypot((down - place[0]) / draws.uniform(6, 9), (right - place[1]) / draws.uniform(6, 9)) < 1
    patches = ndimage.gaussian_filter(draws.normal(size=(64, 64)), 1.2) * 3
    return np.where(mask, np.clip(0.75 + 0.15 * patches, 0, 1), head(seed, 64)), mask


def test_a_lesion_in_another_brain_is_found() -> None:
    images, masks = (np.stack(part) for part in zip(*[lesioned(seed) for seed in range(40)], strict=True))
    known = lesions(images[:20], masks[:20])
    assert known.rows.tolist() == list(range(20))
    search = Gallery(known.images, known.windows, band=LESION)
    sources = np.arange(0, 20, 2)
    made, places = implanted(images[20:30], images[sources], masks[sources], np.random.default_rng(4))
    planted, honest = lesions(made, places), lesions(images[30:], masks[30:])
    found = search.nearest(planted.images, planted.windows)
    usual = search.nearest(honest.images, honest.windows).score.max()
    assert (found.index == sources).mean() >= 0.9
    assert (found.score > usual).mean() >= 0.8
    assert nearest_images(made, images[:20]).score.max() < 0.9, "the whole slice is nobody's"


def test_lesions_are_brought_to_the_middle() -> None:
    images, masks = np.zeros((3, 64, 64)), np.zeros((3, 64, 64), bool)
    masks[0, 10:20, 40:50] = masks[2, :3, :3] = True
    images[0, 10:20, 40:50] = 0.5
    found = lesions(images, masks)
    assert found.rows.tolist() == [0], "one has none, one is too small"
    assert ndimage.center_of_mass(found.images[0]) == pytest.approx((31.5, 31.5), abs=0.51)
    assert found.windows[0][31, 31] == pytest.approx(1, abs=1e-3)
    assert found.windows[0][10, 45] == 0
    assert lesions(images[1:2], masks[1:2]).images.shape == (0, 64, 64)


def test_slices_of_a_volume_move_alike(training: np.ndarray) -> None:
    same = altered_alike(np.stack([training[0]] * 3), np.random.default_rng(0))
    apart = altered(np.stack([training[0]] * 3), np.random.default_rng(0))
    assert np.abs(same[0] - same[1]).mean() < 0.05 < np.abs(apart[0] - apart[1]).mean()


def test_altered_copies_score_above_all_others(training: np.ndarray, distinct: float) -> None:
    draws = np.random.default_rng(1)
    sources = draws.integers(0, 30, 60)
    copies = altered(training[sources], draws)
    assert copies.shape == (60, 96, 96)
    assert (copies.min(), copies.max()) == (0, 1)
    found = nearest_images(copies, training)
    assert found.index.tolist() == sources.tolist()
    assert found.score.min() > distinct + 0.03
    assert 15 < found.mirrored.sum() < 45


def test_alterations_are_a_function_of_the_draws(training: np.ndarray) -> None:
    first, again = (altered(training[:3], np.random.default_rng(4)) for _ in range(2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, altered(training[:3], np.random.default_rng(5)))


def test_a_gallery_serves_many_searches_and_small_ones(training: np.ndarray) -> None:
    gallery = Gallery(training.astype(np.float16))
    assert gallery.nearest(training[[7]]).index.tolist() == [7]
    assert gallery.nearest(training[[8, 9]]).index.tolist() == [8, 9]
    assert gallery.nearest(training[:0]).score.shape == (0,)
    assert nearest_images(training[[3]], training[[3]]).score == pytest.approx([1], abs=1e-4)
    with pytest.raises(InputError, match="training images to search; came none"):
        Gallery(training[:0])
