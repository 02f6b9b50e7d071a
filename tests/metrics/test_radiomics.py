from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import ndimage, stats
from skimage.feature import graycomatrix, graycoprops

from synthoma.metrics.radiomics import (
    LEVELS,
    cooccurrence,
    frechet_radiomics_distance,
    radiomics_features,
    radiomics_names,
)

OFFSETS = {1: [(0, 1), (1, 1), (1, 0), (1, -1)], 3: [(0, 3), (2, 2), (3, 0), (2, -2)]}


def heads(count: int = 5, seed: int = 0) -> np.ndarray:
    """Textured ellipses (N, 64, 64) in 0..1 steps of 1/255, black around."""
    draws = np.random.default_rng(seed)
    down, right = np.mgrid[:64, :64] - 31.5
    head = (down / 25) ** 2 + (right / 20) ** 2 < 1
    texture = [ndimage.gaussian_filter(draws.normal(size=(64, 64)), 1.2) * 3 for _ in range(count)]
    return np.round(np.clip(np.stack(texture) * 0.2 + 0.5, 0.05, 1) * head * 255) / 255


def named(images: np.ndarray) -> dict[str, np.ndarray]:
    return dict(zip(radiomics_names(), radiomics_features(images).T, strict=True))


def test_columns_have_names() -> None:
    features = radiomics_features(heads())
    assert features.shape == (5, len(radiomics_names()))
    assert features.dtype == np.float64
    assert len(set(radiomics_names())) == len(radiomics_names())
    assert radiomics_features(np.zeros((0, 64, 64))).shape == (0, len(radiomics_names()))


def test_grey_values_against_scipy() -> None:
    images = heads()
    found = named(images)
    for row, image in enumerate(images):
        inside = image[image > 0.02]
        assert found["share of the picture that is head"][row] == pytest.approx(len(inside) / 4096)
        assert found["mean grey"][row] == pytest.approx(inside.mean(), rel=1e-6)
        assert found["deviation of grey"][row] == pytest.approx(inside.std(), rel=1e-6)
        assert found["skewness of grey"][row] == pytest.approx(stats.skew(inside), rel=1e-5)
        assert found["kurtosis of grey"][row] == pytest.approx(stats.kurtosis(inside), rel=1e-5)
        for name, share in (("10th percentile", 10), ("median", 50), ("90th percentile", 90)):
            assert found[f"{name} of grey"][row] == pytest.approx(np.percentile(inside, share), rel=1e-5)
        assert found["interquartile range of grey"][row] == pytest.approx(stats.iqr(inside), rel=1e-5)
        counts = np.histogram(inside, bins=32, range=(0, 1))[0]
        assert found["entropy of grey"][row] == pytest.approx(stats.entropy(counts, base=2), abs=1e-3)


@pytest.mark.parametrize("distance", [1, 3])
@pytest.mark.parametrize("cut", [True, False])
def test_pairs_against_scikit_image(distance: int, cut: bool) -> None:
    image = heads(1)[0] if cut else np.minimum(heads(1)[0] + 25 / 255, 1)
    # Level 0 of scikit-image stands for what is outside the head; its row and column are taken out afterwards.
    inside = image > 0.02
    levels = np.where(inside, np.minimum(image * 16, 15).astype(int) + 1, 0)
    table = graycomatrix(levels, [distance], np.arange(4) * np.pi / 4, LEVELS + 1, symmetric=True)[1:, 1:]
    shares = table / table.sum(axis=(0, 1))
    ours = [cooccurrence(levels[None] - 1, offset)[0] for offset in OFFSETS[distance]]
    for theirs in np.moveaxis(shares[:, :, 0], 2, 0):
        assert any(np.allclose(theirs, mine) for mine in ours)  # its angles go the other way round
    found = named(image[None])
    for name in ("contrast", "dissimilarity", "homogeneity", "energy", "correlation"):
        expected = graycoprops(shares, name).mean()
        assert found[f"{name} of pairs {distance} px apart"][0] == pytest.approx(expected), name
    entropy = np.mean([stats.entropy(part.ravel(), base=2) for part in ours])
    assert found[f"entropy of pairs {distance} px apart"][0] == pytest.approx(entropy)


def test_runs_by_hand() -> None:
    # Two rows of four pixels: 8 8 8 8 over 8 8 12 12.
    image = np.zeros((64, 64))
    image[10, 20:24] = 0.53
    image[11, 20:22], image[11, 22:24] = 0.53, 0.78
    found = named(image[None])
    # Level and length of every run, by direction.
    lengths = {
        "rows": [(8, 4), (8, 2), (12, 2)],
        "columns": [(8, 2), (8, 2), (8, 1), (8, 1), (12, 1), (12, 1)],
        "down right": [(8, 2), *[(8, 1)] * 4, *[(12, 1)] * 2],
        "down left": [(8, 2), (8, 2), *[(8, 1)] * 2, *[(12, 1)] * 2],
    }

    def mean(figure: object) -> float:
        return float(np.mean([figure(runs) for runs in lengths.values()]))

    def uneven(runs: list[tuple[int, int]], at: int) -> float:
        counts = np.bincount([run[at] for run in runs])
        return float((counts**2).sum() / len(runs) ** 2)

    expected = {
        "short run emphasis": mean(lambda runs: np.mean([1 / length**2 for _, length in runs])),
        "long run emphasis": mean(lambda runs: np.mean([length**2 for _, length in runs])),
        "grey level non-uniformity": mean(lambda runs: uneven(runs, 0)),
        "run length non-uniformity": mean(lambda runs: uneven(runs, 1)),
        "run percentage": mean(lambda runs: len(runs) / 8),
    }
    for name, value in expected.items():
        assert found[name][0] == pytest.approx(value), name


def test_runs_stop_at_the_frame() -> None:
    # Full rows of one level: 64 long along them, 1 down, and 1 along each diagonal.
    stripes = np.broadcast_to(np.where(np.arange(64) % 2, 0.3, 0.8)[:, None], (64, 64))
    found = named(stripes[None])
    assert found["run percentage"][0] == pytest.approx((1 / 64 + 1 + 1 + 1) / 4)
    assert found["long run emphasis"][0] == pytest.approx((64**2 + 1 + 1 + 1) / 4)


@pytest.mark.parametrize("sigma", [1, 2, 4])
def test_edges_against_scipy(sigma: int) -> None:
    images = heads()
    found = named(images)
    for row, image in enumerate(images):
        edges = sigma**2 * ndimage.gaussian_laplace(image, sigma, mode="mirror")[image > 0.02]
        name = f"of edges at sigma {sigma} px"
        assert found[f"mean magnitude {name}"][row] == pytest.approx(np.abs(edges).mean(), rel=1e-5)
        assert found[f"deviation {name}"][row] == pytest.approx(edges.std(), rel=1e-5)
        assert found[f"skewness {name}"][row] == pytest.approx(stats.skew(edges), rel=1e-4, abs=1e-6)


def test_turning_and_mirroring_change_nothing() -> None:
    images = heads()
    before = radiomics_features(images)
    for changed in (images[:, ::-1], images[:, :, ::-1], np.rot90(images, axes=(1, 2)), images.transpose(0, 2, 1)):
        assert np.allclose(radiomics_features(changed), before, rtol=1e-6, atol=1e-9)


def test_moving_the_head_changes_nothing_but_distant_edges() -> None:
    images = heads()
    moved = named(np.roll(images, (3, -4), axis=(1, 2)))
    for name, before in named(images).items():
        # A wide kernel reaches the frame, where the picture is mirrored.
        reach = {"2 px": 1e-3, "4 px": 0.05}.get(name.rpartition("sigma ")[2], 1e-9)
        assert np.allclose(moved[name], before, atol=reach), name


def test_an_image_does_not_depend_on_its_company() -> None:
    images = heads()
    together = radiomics_features(np.concatenate([images] * 20))  # more than one block
    assert np.allclose(together[63:68], radiomics_features(images[[3, 4, 0, 1, 2]]), rtol=1e-12)


def test_faults_move_the_figures_that_name_them() -> None:
    images = heads()
    before = named(images)
    blurred = named(ndimage.gaussian_filter(images, (0, 1, 1)) * (images > 0))
    for name in ("contrast of pairs 1 px apart", "mean magnitude of edges at sigma 1 px"):
        assert (blurred[name] < 0.9 * before[name]).all(), name
    assert (blurred["long run emphasis"] > before["long run emphasis"]).all()
    brighter = named(images**0.7)
    assert (brighter["mean grey"] > before["mean grey"] + 0.03).all()
    assert np.allclose(brighter["share of the picture that is head"], before["share of the picture that is head"])
    noisy = np.clip(images + np.random.default_rng(1).normal(0, 0.08, images.shape) * (images > 0), 0, 1)
    assert (named(noisy)["run percentage"] > before["run percentage"]).all()


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_flat_pictures_have_finite_figures(value: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = named(np.full((2, 64, 64), value))
    assert all(np.isfinite(column).all() for column in found.values())
    if not value:
        assert all((column == 0).all() for column in found.values())
    else:
        assert found["share of the picture that is head"][0] == 1
        assert found["energy of pairs 1 px apart"][0] == 1
        assert found["deviation of grey"][0] == pytest.approx(0, abs=1e-9)
    one_pixel = np.zeros((1, 64, 64))
    one_pixel[0, 30, 30] = 0.5
    assert np.isfinite(radiomics_features(one_pixel)).all()


def test_the_frechet_radiomics_distance_by_its_formula() -> None:
    """Written out with a matrix root, as the package frd-score has it; a feature that never varies is left out."""
    from scipy import linalg

    draws = np.random.default_rng(0)
    real, synthetic = draws.normal(3, 2, (80, 5)), draws.normal(3.5, 2.4, (60, 5))
    first, second = ((part - real.mean(axis=0)) / real.std(axis=0) for part in (real, synthetic))
    one, other = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    apart = first.mean(axis=0) - second.mean(axis=0)
    squared = apart @ apart + np.trace(one) + np.trace(other) - 2 * np.trace(linalg.sqrtm(one @ other).real)
    assert frechet_radiomics_distance(real=real, synthetic=synthetic) == pytest.approx(np.log(squared))
    still = np.column_stack([real, np.ones(80)]), np.column_stack([synthetic, draws.normal(size=60)])
    assert frechet_radiomics_distance(real=still[0], synthetic=still[1]) == pytest.approx(np.log(squared))
    scaled = frechet_radiomics_distance(real=100 * real, synthetic=100 * synthetic)
    assert scaled == pytest.approx(np.log(squared))  # units do not matter
