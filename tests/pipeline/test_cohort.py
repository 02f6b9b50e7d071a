"""Cohorts in Python: made from arrays, filtered, looked at, and handed to other libraries."""

from __future__ import annotations

import gc
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import synthoma
from synthoma import Cohort
from synthoma.core.errors import ConfigError, InputError, LeakError
from tests.toys import blobs

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    """Twelve patients of four slices; one slice of each shows nothing."""
    images, masks = blobs(48, size=16)
    masks[::4] = 0
    patients = [f"p{row // 4:02d}" for row in range(48)]
    place = tmp_path_factory.mktemp("arrays") / "cohort"
    return Cohort.from_arrays(images, masks, patients, modalities=("flair",), output=place)


def test_arrays_come_back_as_they_were(cohort: Cohort) -> None:
    images, masks = blobs(48, size=16)
    masks[::4] = 0
    np.testing.assert_allclose(cohort.images[:, 0], images, atol=5e-4)
    np.testing.assert_array_equal(cohort.masks, masks)
    assert cohort.labels == {1: "tumour"}
    assert cohort.classes == ("healthy", "tumour")
    assert cohort.meta.patients == 12
    assert cohort.patients == tuple(f"p{number:02d}" for number in range(12))
    assert (cohort.slices["label"] == np.where(np.arange(48) % 4, "tumour", "healthy")).all()
    assert cohort.slices.groupby("patient")["split"].nunique().max() == 1
    assert set(cohort.slices["split"]) == {"train", "validation", "test"}


@pytest.mark.slow
def test_a_cohort_of_arrays_is_one_for_every_command(cohort: Cohort, tmp_path: Path) -> None:
    run = synthoma.train(cohort, tmp_path / "run", model="dcgan", images=32, snapshots=1, gan={"width": 4})
    drawn = run.generate(tmp_path / "synthetic", 6)
    assert isinstance(drawn, Cohort)
    assert len(drawn) == 6
    assert drawn.origin == "synthetic"
    assert synthoma.describe(cohort.path)["patients"] == 12


def test_grey_values_are_not_guessed() -> None:
    images, _ = blobs(4, size=16)
    eight_bits = Cohort.from_arrays((images * 255).round().astype(np.uint8))
    np.testing.assert_allclose(eight_bits.images[:, 0], images, atol=3e-3)
    with pytest.raises(ConfigError, match="normalise=True"):
        Cohort.from_arrays(images * 1000)
    normal = Cohort.from_arrays(images * 1000 + 50, normalise=True)
    assert np.abs(np.percentile(np.asarray(normal.images, np.float32), 99) - 1) < 0.2


def test_a_temporary_cohort_goes_with_its_object() -> None:
    cohort = Cohort.from_arrays(blobs(3, size=16)[0])
    place = cohort.path
    assert place.is_dir()
    assert cohort.meta.patients == 0
    assert cohort.classes == ("unlabelled",)
    del cohort
    gc.collect()
    assert not place.parent.exists()


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"images": np.zeros((2, 16, 12))}, InputError, "shape (N, S, S)"),
        ({"images": np.zeros((2, 3, 16, 16))}, InputError, "shape (N, S, S)"),
        ({"images": np.zeros((0, 16, 16))}, InputError, "N at least 1"),
        ({"images": np.full((2, 16, 16), np.nan)}, InputError, "finite"),
        ({"images": np.full((2, 16, 16), "x")}, InputError, "images of numbers"),
        ({"masks": np.zeros((3, 16, 16))}, InputError, "masks of shape (2, 16, 16)"),
        ({"masks": np.full((2, 16, 16), 0.5)}, InputError, "whole numbers"),
        ({"masks": np.full((2, 16, 16), 7)}, ConfigError, "values [7]"),
        ({"patients": ["a"]}, InputError, "one for each of 2 slices"),
        ({"split": ("train", "tset")}, ConfigError, "'tset'"),
        ({"split": ("train",)}, ConfigError, "1 parts for 2 slices"),
        ({"split": (1.0, 0.5)}, ConfigError, "three shares"),
        ({"patients": ["a", "a"], "split": ("train", "test")}, LeakError, "a"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(given: dict[str, object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=re.escape(words)):
        Cohort.from_arrays(**{"images": np.zeros((2, 16, 16)), **given})  # type: ignore[arg-type]


def test_filters_are_joined_and_checked(cohort: Cohort, tmp_path: Path) -> None:
    chosen = cohort.filter(patient=["p01", "p02"], tumour=True, where=lambda table: table["slice"] > 1)
    assert list(chosen.slices["case"]) == ["p01", "p01", "p02", "p02"]
    assert chosen.patients == ("p01", "p02")
    np.testing.assert_array_equal(chosen.rows, [6, 7, 10, 11])
    np.testing.assert_array_equal(chosen.masks, cohort.masks[[6, 7, 10, 11]])
    assert len(cohort.filter(split="train").filter(split="test")) == 0
    with pytest.raises(ConfigError, match="a split of the cohort: test, train, validation; came 'tests'"):
        cohort.filter(split="tests")
    saved = chosen.save(tmp_path / "part")
    np.testing.assert_array_equal(saved.images, cohort.images[[6, 7, 10, 11]])
    assert synthoma.Cohort(saved).classes == ("tumour",)


def test_pictures_show_slices_with_outlines(cohort: Cohort) -> None:
    sheet = np.asarray(cohort.filter(tumour=True).show(8))
    assert sheet.shape == (64, 8 * 64 + 7 * 2, 3)
    assert (sheet[..., 0] > sheet[..., 2].astype(int) + 60).any()  # the outline is red
    plain = np.asarray(cohort.filter(tumour=True).show(8, masks=False))
    assert (plain[..., 0] == plain[..., 2]).all()
    with pytest.raises(ConfigError, match="a sequence of the cohort: flair"):
        cohort.show(modality="t1")


def test_a_notebook_shows_names_as_text(tmp_path: Path) -> None:
    cohort = Cohort.from_arrays(blobs(4, size=16)[0], classes=["<b>a</b>"] * 4, output=tmp_path / "<i>x")
    html = cohort._repr_html_()
    assert "<b>a</b>" not in html
    assert "&lt;b&gt;a" in html
    assert "&lt;i&gt;x" in html
    assert html.count("<img") == 1
    assert "<img" not in cohort.filter(where=lambda table: table["slice"] < 0)._repr_html_()


def test_torch_gets_every_slice(cohort: Cohort) -> None:
    data = cohort.to_torch("train")
    batches = list(DataLoader(data, batch_size=5))
    images = torch.cat([batch["image"] for batch in batches])
    rows = torch.cat([batch["row"] for batch in batches]).numpy()
    np.testing.assert_array_equal(rows, cohort.rows(split="train"))
    np.testing.assert_array_equal(images.numpy(), np.asarray(cohort.images[rows], np.float32))
    labels = torch.cat([batch["label"] for batch in batches])
    assert [cohort.classes[label] for label in labels] == list(cohort.slices["label"].iloc[rows])
    twice = cohort.to_torch(transform=lambda sample: sample["image"] * 2)
    torch.testing.assert_close(twice[3], torch.from_numpy(np.asarray(cohort.images[3], np.float32)) * 2)


def test_monai_transforms_take_it(cohort: Cohort) -> None:
    from monai.transforms import Compose, Flipd, ScaleIntensityd

    flipped = cohort.to_monai("train", Compose([Flipd(["image", "label"], spatial_axis=1), ScaleIntensityd(["image"])]))
    row = int(cohort.rows(split="train")[1])
    item = flipped[1]
    assert item["image"].shape == (1, 16, 16)
    assert item["label"].shape == (1, 16, 16)
    np.testing.assert_array_equal(item["label"][0].numpy(), cohort.masks[row][:, ::-1])


def test_torchio_gets_volumes_of_studies(cohort: Cohort) -> None:
    torchio = pytest.importorskip("torchio", reason="TorchIO is not installed")
    subjects = cohort.to_torchio()
    assert [subject["name"] for subject in subjects] == list(cohort.patients)
    assert isinstance(subjects[0]["flair"], torchio.ScalarImage)
    assert subjects[0].shape == (1, 16, 16, 4)
    np.testing.assert_array_equal(subjects[2]["mask"].data[0].numpy().transpose(2, 1, 0), cohort.masks[8:12])


def test_arrays_stand_for_slices_of_a_cohort(cohort: Cohort) -> None:
    from synthoma.evaluation.comparison import check_alike

    images, masks = blobs(24, seed=5, size=16)
    made = Cohort.from_arrays(images, masks, like=cohort)
    assert made.origin == "synthetic"
    assert made.modalities == ("flair",)
    assert set(made.slices["split"]) == {"train"}
    check_alike(cohort, made)
    with pytest.raises(ConfigError, match="flair at 16 px"):
        Cohort.from_arrays(blobs(4, size=32)[0], like=cohort)
    with pytest.raises(ConfigError, match=r"classes of the cohort \(healthy, tumour\)"):
        Cohort.from_arrays(images, classes=["glioma"] * 24, like=cohort)
