"""What fills a hole is seamless, takes nothing from the tumour, and comes nearer to the truth than simple fillings."""

from __future__ import annotations

import numpy as np
import pytest

from synthoma.core.errors import InputError
from synthoma.painting.membrane import membrane
from synthoma.painting.removal import remove
from synthoma.painting.scan import Scan

pytestmark = pytest.mark.slow


def test_membrane_keeps_a_plane_and_a_saddle() -> None:
    """Both have Laplacian 0 in the five-point stencil, so the hole gets them back."""
    y, x = np.mgrid[0:20, 0:20].astype(np.float32)
    hole = np.zeros((1, 20, 20), np.bool_)
    hole[0, 5:14, 6:15] = True
    for truth in (2 + 0.3 * x - 0.1 * y, (x - 9) ** 2 - (y - 9) ** 2):
        spoiled = np.where(hole, 99, truth[None]).astype(np.float32)
        assert np.allclose(membrane(spoiled, hole, (1.0, 1.0, 1.0)), truth[None], atol=0.05)


def test_far_slices_pull_less() -> None:
    values = np.zeros((3, 5, 5), np.float32)
    values[0] = values[2] = 1.0
    hole = np.zeros(values.shape, np.bool_)
    hole[1, 2, 2] = True
    near, far = (float(membrane(values, hole, (step, 1.0, 1.0))[1, 2, 2]) for step in (1.0, 10.0))
    # Two of six neighbours are 1; ten times as far they weigh 2 / 100 against 4.
    assert near == pytest.approx(2 / 6, abs=1e-3)
    assert far == pytest.approx(0.02 / 4.02, abs=1e-3)


def test_a_rim_of_zeros_is_a_rim() -> None:
    """Its hole is 0, however bright the rest is: the mean of the rest is for holes that have none."""
    values = np.zeros((1, 9, 9), np.float32)
    values[0, 0] = 50.0
    hole = np.zeros(values.shape, np.bool_)
    hole[0, 4:6, 4:6] = True
    assert not membrane(values, hole, (1.0, 1.0, 1.0))[hole].any()
    assert (membrane(values, np.ones_like(hole), (1.0, 1.0, 1.0)) == 0).all()


def test_a_part_that_touches_nothing_trusted_is_not_filled_with_black() -> None:
    values = np.full((1, 20, 20), 7.0, np.float32)
    brain = np.zeros(values.shape, np.bool_)
    brain[0, :10] = True
    hole = np.zeros(values.shape, np.bool_)
    hole[0, 4:6, 4:6] = hole[0, 15:17, 15:17] = True
    values[0, :10] = 3.0
    made = membrane(values, hole, (1.0, 1.0, 1.0), brain)
    assert made[0, 4:6, 4:6] == pytest.approx(3.0, abs=0.01)
    assert made[0, 15:17, 15:17] == pytest.approx(7.0, abs=0.01)


def hidden(head: Scan, y_mm: float, x_mm: float) -> tuple[Scan, np.ndarray]:
    """The head with a bright block in it."""
    z, y, x = head.shape[0] // 2, head.shape[1] // 2 + int(y_mm / 2.5), head.shape[2] // 2 + int(x_mm / 2.5)
    hole = np.zeros(head.shape, np.bool_)
    hole[z - 1 : z + 2, y - 4 : y + 5, x - 4 : x + 5] = True
    images = {name: np.where(hole, image.max(), image).astype(np.float32) for name, image in head.images.items()}
    return Scan(images, head.spacing, hole.astype(np.uint8)), hole


def test_removal_comes_nearer_than_simple_fillings_and_leaves_the_rest(head: Scan) -> None:
    errors = {"blend": 0.0, "mirror": 0.0, "membrane": 0.0}
    for y_mm, x_mm in ((0, 30), (-30, -25), (30, 25)):
        spoiled, hole = hidden(head, y_mm, x_mm)
        for method in errors:
            made = remove(spoiled, hole, method=method, margin_mm=0)  # type: ignore[arg-type]
            for name, image in spoiled.images.items():
                assert np.array_equal(made.images[name][~made.changed], image[~made.changed])
                truth = head.images[name]
                errors[method] += float(((made.images[name] - truth)[hole] ** 2).mean() / truth[hole].var())
    assert errors["blend"] < min(errors["mirror"], errors["membrane"])


def test_what_cannot_be_removed_is_refused(head: Scan) -> None:
    nothing = np.zeros(head.shape, np.bool_)
    with pytest.raises(InputError, match="marks nothing"):
        remove(head, nothing)
    with pytest.raises(InputError, match="smaller than"):
        remove(head, head.images["t1"] > 0.02 * head.images["t1"].max())
