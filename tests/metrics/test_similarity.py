from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage.metrics import structural_similarity

from synthoma.core.errors import InputError
from synthoma.metrics.similarity import Modes, distinct_modes, mean_pair_similarity, ms_ssim, psnr, ssim, twins


def textures(count: int, side: int = 64, seed: int = 0) -> np.ndarray:
    draws = np.random.default_rng(seed)
    return np.clip(0.5 + 0.5 * ndimage.gaussian_filter(draws.normal(size=(count, side, side)), (0, 1.5, 1.5)), 0, 1)


def by_scikit_image(first: np.ndarray, second: np.ndarray) -> float:
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
    return float(structural_similarity(first, second, **options))


# --- MS-SSIM --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", [11, 16, 21])
def test_one_scale_against_scikit_image(side: int) -> None:
    first = textures(6, side)
    second = np.clip(first + np.random.default_rng(1).normal(0, 0.1, first.shape), 0, 1)
    expected = [by_scikit_image(one, other) for one, other in zip(first, second, strict=True)]
    assert np.allclose(ms_ssim(first, second), expected, atol=1e-5)


def test_two_scales_against_a_product() -> None:
    first = textures(4, 30)
    second = np.clip(first + np.random.default_rng(2).normal(0, 0.1, first.shape), 0, 1)

    def halved(images: np.ndarray) -> np.ndarray:
        return images.reshape(4, 15, 2, 15, 2).mean(axis=(2, 4))

    def contrast_structure(one: np.ndarray, other: np.ndarray) -> float:
        def mean(image: np.ndarray) -> np.ndarray:
            return ndimage.gaussian_filter(image, 1.5, radius=5)[5:-5, 5:-5]

        spread = mean(one**2) - mean(one) ** 2 + mean(other**2) - mean(other) ** 2
        return float(((2 * (mean(one * other) - mean(one) * mean(other)) + 0.0009) / (spread + 0.0009)).mean())

    fine, coarse = 0.0448 / (0.0448 + 0.2856), 0.2856 / (0.0448 + 0.2856)
    for row in range(4):
        expected = contrast_structure(first[row], second[row]) ** fine
        expected *= by_scikit_image(halved(first)[row], halved(second)[row]) ** coarse
        assert ms_ssim(first, second)[row] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("side", [11, 64, 200])
def test_equal_pictures_are_wholly_alike_and_order_does_not_matter(side: int) -> None:
    first, second = textures(3, side), textures(3, side, 1)
    assert np.allclose(ms_ssim(first, first), 1)
    assert np.allclose(ms_ssim(first, second), ms_ssim(second, first))
    assert (ms_ssim(first, second) < 0.6).all()
    assert ms_ssim(first, second).min() >= 0


def test_more_damage_is_less_alike() -> None:
    first, draws = textures(5), np.random.default_rng(3).normal(size=(5, 64, 64))
    values = [ms_ssim(first, np.clip(first + sd * draws, 0, 1)) for sd in (0, 0.02, 0.05, 0.1, 0.3)]
    assert (np.diff(values, axis=0) < 0).all()
    negative = ms_ssim(first, 1 - first)
    assert (negative < 0.05).all()


def test_blank_pictures_and_many_of_them() -> None:
    blank = np.zeros((2, 64, 64))
    assert np.allclose(ms_ssim(blank, blank), 1)
    assert ms_ssim(blank[:0], blank[:0]).shape == (0,)
    first = np.concatenate([textures(5)] * 14)
    second = np.concatenate([textures(5, seed=1)] * 14)
    assert np.allclose(ms_ssim(first, second), np.tile(ms_ssim(first[:5], second[:5]), 14), atol=1e-6)


def test_pictures_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="11 or more"):
        ms_ssim(np.zeros((1, 10, 64)), np.zeros((1, 10, 64)))
    with pytest.raises(InputError, match="one shape"):
        ms_ssim(np.zeros((1, 64, 64)), np.zeros((2, 64, 64)))


# --- pairs ----------------------------------------------------------------------------------------------------


def test_a_collapsed_set_is_alike() -> None:
    images = textures(40)
    collapsed = np.clip(images[:2][np.arange(40) % 2] + 0.01 * textures(40, seed=5), 0, 1)
    varied, same = mean_pair_similarity(images, pairs=200), mean_pair_similarity(collapsed, pairs=200)
    assert varied < 0.5
    assert same > varied + 0.3


def test_the_mean_over_pairs_is_the_mean_over_all_of_them() -> None:
    images = textures(6)
    first, second = np.triu_indices(6, 1)
    expected = ms_ssim(images[first], images[second])
    error = expected.std() / np.sqrt(4000)
    assert mean_pair_similarity(images, pairs=4000) == pytest.approx(expected.mean(), abs=4 * error)
    assert mean_pair_similarity(images, pairs=7, seed=1) != mean_pair_similarity(images, pairs=7, seed=2)
    assert mean_pair_similarity(images, pairs=7, seed=1) == mean_pair_similarity(images, pairs=7, seed=1)


def test_pairs_within_a_group_do_not_count() -> None:
    # Alike within a group; "b" resembles all others, which do not resemble one another.
    looks = textures(4)
    looks[1] = looks[[0, 2, 3]].mean(axis=0)
    images = np.repeat(looks, [1, 9, 2, 3], axis=0)
    names = ["a"] + ["b"] * 9 + ["c"] * 2 + ["d"] * 3
    order = np.random.default_rng(0).permutation(15)
    images, names = images[order], [names[i] for i in order]
    apart = [(i, j) for i in range(15) for j in range(i) if names[i] != names[j]]
    values = ms_ssim(images[[i for i, _ in apart]], images[[j for _, j in apart]])
    found = mean_pair_similarity(images, pairs=4000, groups=names)
    assert found == pytest.approx(values.mean(), abs=4 * values.std() / np.sqrt(4000))
    assert mean_pair_similarity(images, pairs=4000) > found + 0.05


def test_no_pair_is_nan_and_bad_groups_are_refused() -> None:
    images = textures(3)
    assert np.isnan(mean_pair_similarity(images[:1]))
    assert np.isnan(mean_pair_similarity(images[:0]))
    assert np.isnan(mean_pair_similarity(images, groups="aaa"))
    with pytest.raises(InputError, match="one group for each image"):
        mean_pair_similarity(images, groups="ab")
    with pytest.raises(InputError, match="1 pair"):
        mean_pair_similarity(images, pairs=0)


# --- kinds of pictures ----------------------------------------------------------------------------------------


def kinds(counts: list[int], seed: int = 0) -> np.ndarray:
    """Tight clusters on a circle, so many vectors in each."""
    angles = np.arange(len(counts)) * 2 * np.pi / len(counts)
    centres = 10 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return np.repeat(centres, counts, axis=0) + np.random.default_rng(seed).normal(0, 0.3, (sum(counts), 2))


def test_modes_by_hand() -> None:
    real = kinds([50] * 8)
    assert distinct_modes(real=real, synthetic=kinds([50] * 8, 1), clusters=8) == Modes(8, 8, 0.0)
    # Two kinds are missing; 400 / 6 in place of 50 in the others has z = 1.64.
    half = distinct_modes(real=real, synthetic=kinds([67, 67, 67, 67, 66, 66, 0, 0], 1), clusters=8)
    assert half == Modes(8, 6, 2 / 8)
    # All in one kind: it is over-represented, which is different but reached.
    assert distinct_modes(real=real, synthetic=kinds([400, 0, 0, 0, 0, 0, 0, 0], 1), clusters=8) == Modes(8, 1, 1.0)


@pytest.mark.slow
def test_equal_sets_differ_in_about_a_twentieth_of_the_clusters() -> None:
    found = []
    for seed in range(15):
        draws = np.random.default_rng(seed)
        found.append(distinct_modes(real=draws.normal(size=(300, 4)), synthetic=draws.normal(size=(300, 4)), seed=seed))
    assert np.mean([one.different for one in found]) < 0.12
    assert np.mean([one.reached for one in found]) > 18


def test_a_cluster_without_an_image_is_not_reached_however_small_the_set() -> None:
    found = distinct_modes(real=kinds([5] * 4), synthetic=kinds([2, 2, 0, 0], 1), clusters=4)
    assert found.reached == 2
    assert found.different == 0


def test_fewer_distinct_vectors_than_clusters() -> None:
    real = np.repeat(np.eye(3), 10, axis=0)
    assert distinct_modes(real=real, synthetic=real, clusters=20) == Modes(3, 3, 0.0)
    with pytest.raises(InputError, match="fewer clusters"):
        distinct_modes(real=real, synthetic=real, clusters=31)
    with pytest.raises(InputError, match="one extractor"):
        distinct_modes(real=real, synthetic=real[:, :2], clusters=2)


def test_ssim_and_psnr_are_those_of_scikit_image() -> None:
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    draws = np.random.default_rng(0)
    first = draws.random((3, 40, 36)).astype(np.float32)
    second = np.clip(first + 0.1 * draws.normal(size=first.shape), 0, 1).astype(np.float32)
    expected = [
        structural_similarity(one, other, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1)
        for one, other in zip(first, second, strict=True)
    ]
    assert ssim(first, second) == pytest.approx(expected, abs=1e-5)
    peaks = [peak_signal_noise_ratio(one, other, data_range=1) for one, other in zip(first, second, strict=True)]
    assert psnr(first, second) == pytest.approx(peaks, abs=1e-4)
    assert psnr(first[:1], first[:1] * 0 + first[:1] + 0.1) == pytest.approx(20, abs=1e-4)  # by hand: -10 log10 .01
    assert np.isinf(psnr(first[:1], first[:1])[0])


def test_twins_are_found_mirrored_and_with_other_noise_but_not_within_one_volume() -> None:
    draws = np.random.default_rng(1)
    blobs = torch.nn.functional.interpolate(
        torch.from_numpy(draws.random((6, 1, 8, 8))), size=(64, 64), mode="bilinear"
    )
    images = blobs[:, 0].numpy()
    again = np.clip(images[:2] + 0.02 * draws.normal(size=(2, 64, 64)), 0, 1)
    both = np.concatenate([images, again[:1], again[1:, :, ::-1]])
    found = twins(both, list("abcdefgh"))
    assert found.share == pytest.approx(4 / 8)
    assert found.partner[[0, 1, 6, 7]].tolist() == [6, 7, 0, 1]
    assert found.mirrored[[0, 1, 6, 7]].tolist() == [False, True, False, True]
    assert twins(both, list("abcdefab")).share == 0  # neighbours of one volume
    assert twins(images[:1], ["a"]).correlation.tolist() == [-1]
    assert twins(np.zeros((0, 64, 64)), []).share == 0
    with pytest.raises(InputError, match="one name for each"):
        twins(both, ["a"])


def test_twins_of_one_patient_and_what_must_go() -> None:
    """Five pictures thrice: fifteen have twins, ten are spare, those of one patient are told apart."""
    images = np.random.default_rng(5).normal(size=(5, 32, 32))
    thrice = np.concatenate([images, images[:, :, ::-1], images + 0.02])
    patients = [*range(5), *range(5), *range(10, 15)]
    found = twins(thrice, range(15), patients)
    assert found.share == 1
    assert found.within.tolist() == [True] * 10 + [False] * 5
    assert found.spare.tolist() == [False] * 5 + [True] * 10
    left = twins(thrice[~found.spare], range(5))
    assert left.share == 0
    assert not left.spare.any()
    assert twins(thrice, range(15)).share_within == 0
    with pytest.raises(InputError, match="one name for each"):
        twins(thrice, range(15), patients[1:])


def test_a_chain_of_twins_loses_no_more_than_it_must() -> None:
    """Of three in a row, of which the ends are no twins of one another, the middle one goes and both ends stay."""
    first, third = np.random.default_rng(6).normal(size=(2, 32, 32))
    angle = np.deg2rad(9.0)  # cos 9 = .988, cos 18 = .951
    first, third = first - first.mean(), third - third.mean()
    third -= (third * first).sum() / (first**2).sum() * first
    third *= np.linalg.norm(first) / np.linalg.norm(third)
    chain = np.stack([np.cos(k * angle) * first + np.sin(k * angle) * third for k in range(3)])
    assert twins(chain, "abc").spare.tolist() == [False, True, False]
