from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from synthoma.errors import InputError
from synthoma.metrics.copies.alterations import altered
from synthoma.metrics.copies.whole import Gallery, nearest_images


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
}


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
