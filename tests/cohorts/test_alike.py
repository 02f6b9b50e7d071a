"""Images of other tools' generators, packed as a cohort is prepared."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import synthoma
from synthoma import Cohort
from synthoma.core.errors import ConfigError, InputError, SynthomaError
from synthoma.evaluation.comparison import check_alike
from tests.toys import write_cohort

pytestmark = pytest.mark.slow

SIZE = 32
COUNT = 30
PREPARED = {"crop": True, "normalise": "robust", "fitting": "keep", "resampling": "area", "pad": None, "window": None}


def real(folder: Path, **changes: Any) -> Cohort:
    """A cohort of one sequence, prepared as usual: a bright disc that fills its slice, with tumour in most."""
    images, masks = heads(40, 3)
    known: dict[str, Any] = {
        "splits": ["train"] * 20 + ["test"] * 20, "labels": ["tumour"] * 40, "masks": masks,
        "mask_names": {"1": "tumour"}, "origin": "real",
        "provenance": {"config": {**PREPARED, "size": SIZE, "plane": "axial", "classes": "auto", "merge": None}},
        **changes,
    }  # fmt: skip
    count = known.pop("channels", 1)
    return write_cohort(folder, np.repeat(images[:, None], count, axis=1), **known)


def heads(count: int, seed: int, *, radius: float = 0.47, size: int = SIZE) -> tuple[np.ndarray, np.ndarray]:
    """Discs with a square tumour; images in 0..1."""
    draws = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    inside = y**2 + x**2 < (radius * size) ** 2
    images = inside * draws.uniform(0.4, 0.6, (count, size, size))
    masks = np.zeros((count, size, size), np.uint8)
    for image, mask in zip(images, masks, strict=True):
        down, right = draws.integers(size // 3, size // 2, 2)
        mask[down : down + 4, right : right + 4] = 1
        image[mask > 0] = draws.uniform(0.8, 1.0)
    return images, masks


def pictures(folder: Path, images: np.ndarray, masks: np.ndarray | None = None, names: str = "sample_{:04d}") -> Path:
    folder.mkdir(parents=True)
    for row, image in enumerate(images):
        grey = image if image.dtype == np.uint8 else (image * 255).round().astype(np.uint8)
        Image.fromarray(grey).save(folder / f"{names.format(row)}.png")
        if masks is not None:
            Image.fromarray(masks[row] * 255).save(folder / f"{names.format(row)}_mask.png")
    return folder


def prepared(source: Path, tmp_path: Path, like: Cohort, **settings: Any) -> Cohort:
    return synthoma.prepare(source, tmp_path / "out", like=like, jobs=1, **settings)


def test_pictures_at_the_cohorts_size_are_taken_as_they_are(tmp_path: Path) -> None:
    like = real(tmp_path / "real")
    images, masks = heads(COUNT, 7)
    found = prepared(pictures(tmp_path / "samples", images, masks), tmp_path, like)
    np.testing.assert_allclose(np.sort(found.images.astype(float), axis=0), np.sort(images[:, None], axis=0), atol=3e-3)
    np.testing.assert_array_equal(found.masks, masks)
    assert found.origin == "synthetic"
    assert found.modalities == like.modalities == ("flair",)
    assert set(found.slices["split"]) == {"train"}
    assert found.labels == {1: "tumour"}
    assert found.meta.provenance.trained_on is None
    check_alike(like, found)
    assert any("taken as they are" in remark for remark in found.meta.remarks)
    assert any("taken for flair" in remark for remark in found.meta.remarks)
    assert not any("held out" in remark for remark in found.meta.remarks)


@pytest.mark.parametrize("form", ["npy", "channels", "npz", "folder", "grey colours"])
def test_arrays_are_packed_as_pictures_are(tmp_path: Path, form: str) -> None:
    like = real(tmp_path / "real")
    images, masks = heads(COUNT, 7)
    images = images.astype(np.float32)
    place, held = tmp_path / "samples.npz", form != "npy"
    if form == "npy":
        place = tmp_path / "samples.npy"
        np.save(place, images)
    elif form == "folder":
        place = tmp_path / "samples"
        place.mkdir()
        np.save(place / "images.npy", images)
        np.save(place / "masks.npy", masks * 255)
    elif form == "grey colours":
        np.savez(place, images=np.repeat(images[:, None], 3, axis=1), masks=masks)
    else:
        np.savez_compressed(
            place, images=images[:, None] if form == "channels" else images, masks=masks.astype(bool),
            classes=np.array(["tumour"] * COUNT), patients=np.arange(COUNT) // 3,
        )  # fmt: skip
    found = prepared(place, tmp_path, like)
    np.testing.assert_allclose(found.images[:, 0], images, atol=1e-3)
    np.testing.assert_array_equal(found.masks, masks if held else 0)
    assert set(found.slices["label"]) == {"tumour"}
    assert found.slices["patient"].nunique() == (10 if form in ("npz", "channels") else 1)
    check_alike(like, found)


def test_images_of_another_size_or_frame_are_prepared_as_scans_are(tmp_path: Path) -> None:
    like = real(tmp_path / "real")
    small, masks = heads(COUNT, 7, radius=0.3, size=SIZE)
    found = prepared(pictures(tmp_path / "a", small, masks), tmp_path, like)
    assert any("heads fill 6" in remark and "as scans are" in remark for remark in found.meta.remarks)
    rows = np.flatnonzero((found.images[0, 0].astype(float) > 0.3).any(axis=1))
    assert np.ptp(rows) > 0.9 * SIZE, "cropped to the head"
    large, masks = heads(COUNT, 7, size=2 * SIZE)
    found = synthoma.prepare(pictures(tmp_path / "b", large, masks), tmp_path / "out-b", like=like)
    assert found.size == SIZE
    assert any("images of 64x64 pixels, not 32x32" in remark for remark in found.meta.remarks)
    check_alike(like, found)
    kept = synthoma.prepare(tmp_path / "b", tmp_path / "out-c", like=like, framed="yes")
    halved = (large * 255).round().reshape(COUNT, SIZE, 2, SIZE, 2).mean(axis=(2, 4)) / 255
    np.testing.assert_allclose(kept.images[:, 0], halved, atol=2e-3)
    cropped = synthoma.prepare(tmp_path / "a", tmp_path / "out-d", like=like, framed="yes")
    np.testing.assert_allclose(cropped.images[:, 0], small, atol=3e-3)
    forced = synthoma.prepare(pictures(tmp_path / "e", heads(COUNT, 7)[0]), tmp_path / "out-e", like=like, framed="no")
    assert "scale_flair" in forced.slices
    assert (forced.slices["scale_flair"] > 1).all()


def test_a_stretched_picture_of_nifti_is_one_of_the_plane(tmp_path: Path) -> None:
    from synthoma.scans.case import Geometry, Volume
    from synthoma.scans.volumes import write_volume

    like = real(tmp_path / "real")
    images, masks = heads(24, 7)
    for number in range(3):
        folder = tmp_path / "nifti" / f"case{number}"
        folder.mkdir(parents=True)
        part = slice(8 * number, 8 * number + 8)
        geometry = Geometry((1.0, 1.0, 4.0))
        write_volume(Volume(images[part].astype(np.float32), geometry), folder / f"case{number}_flair.nii.gz")
        write_volume(Volume(masks[part], geometry), folder / f"case{number}_seg.nii.gz")
    found = prepared(tmp_path / "nifti", tmp_path, like)
    np.testing.assert_allclose(found.images[:, 0], images, atol=1e-3)
    np.testing.assert_array_equal(found.masks, masks)
    assert found.meta.cases == 3


def test_regions_keep_their_meaning_in_pictures_of_masks(tmp_path: Path) -> None:
    regions = {"1": "core", "2": "oedema", "3": "enhancing"}
    like = real(tmp_path / "real", mask_names=regions)
    images, masks = heads(COUNT, 7)
    masks[:, ::2] *= 3
    folder = pictures(tmp_path / "samples", images)
    for row, mask in enumerate(masks):
        Image.fromarray(mask).save(folder / f"sample_{row:04d}_mask.png")
    found = prepared(folder, tmp_path, like)
    np.testing.assert_array_equal(found.masks, masks)
    assert found.labels == like.labels


# Classes --------------------------------------------------------------------------------------------------------------


def test_class_folders_are_the_cohorts(tmp_path: Path) -> None:
    labels = ["glioma"] * 20 + ["meningioma"] * 20
    like = real(tmp_path / "real", labels=labels, splits=["train", "test"] * 20)
    images, masks = heads(COUNT, 7)
    pictures(tmp_path / "samples" / "Glioma", images[:15], masks[:15])
    pictures(tmp_path / "samples" / "meningioma", images[15:], masks[15:])
    found = prepared(tmp_path / "samples", tmp_path, like)
    assert found.classes == ("glioma", "meningioma")
    pictures(tmp_path / "samples" / "pituitary", images[:3])
    with pytest.raises(InputError, match="classes of the cohort"):
        synthoma.prepare(tmp_path / "samples", tmp_path / "other", like=like)


def test_a_folder_that_is_no_class_is_none(tmp_path: Path) -> None:
    like = real(tmp_path / "real", labels=["glioma", "healthy"] * 20)
    pictures(tmp_path / "run" / "epoch_100", heads(COUNT, 7)[0])
    found = prepared(tmp_path / "run", tmp_path, like)
    assert found.classes == ("unlabelled",)
    assert any("epoch_100: no class of the cohort (glioma, healthy)" in remark for remark in found.meta.remarks)
    check_alike(like, found)


def test_images_without_tumour_are_healthy_where_there_is_health_and_count_as_failed_where_there_is_none(
    tmp_path: Path,
) -> None:
    images, masks = heads(COUNT, 7)
    masks[:5] = 0
    folder = pictures(tmp_path / "samples", images, masks)
    both = real(tmp_path / "both", labels=["tumour", "healthy"] * 20)
    found = prepared(folder, tmp_path, both)
    assert found.slices["label"].value_counts().to_dict() == {"tumour": 25, "healthy": 5}
    ill = real(tmp_path / "ill", provenance={"config": {**PREPARED, "slices": "tumour"}})
    found = synthoma.prepare(folder, tmp_path / "ill-out", like=ill)
    assert len(found) == COUNT, "none is left out"
    assert found.classes == ("tumour",)
    check_alike(ill, found)


def test_a_cohort_of_several_sequences_must_be_told_which_one_plain_pictures_show(tmp_path: Path) -> None:
    like = real(tmp_path / "real", channels=2)
    images, masks = heads(COUNT, 7)
    folder = pictures(tmp_path / "samples", images, masks)
    with pytest.raises(InputError, match=r'modalities="?flair'):
        prepared(folder, tmp_path, like)
    found = prepared(folder, tmp_path, like, modalities=("flair",))
    assert found.modalities == ("flair", "t1")
    assert set(found.slices["missing"]) == {"t1"}
    other = pictures(tmp_path / "other", images, names="s{:04d}_t2")
    with pytest.raises(InputError, match="images of flair, t1; came images of t2"):
        synthoma.prepare(other, tmp_path / "o", like=like)
    named = pictures(tmp_path / "named", images, names="s{:04d}_flair")
    assert set(synthoma.prepare(named, tmp_path / "n", like=like).slices["missing"]) == {"t1"}
    np.savez(tmp_path / "both.npz", images=np.stack([images, 1 - images], axis=1))
    stack = synthoma.prepare(tmp_path / "both.npz", tmp_path / "b", like=like)
    np.testing.assert_allclose(stack.images[:, 1], 1 - images, atol=1e-3)
    assert any("flair, t1, in this order" in remark for remark in stack.meta.remarks)


# Grey values ----------------------------------------------------------------------------------------------------------


def save(folder: Path, images: np.ndarray) -> Path:
    np.save(folder / "x.npy", images)
    return folder / "x.npy"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: x * 2 - 1, r"\(x \+ 1\) / 2"),
        (lambda x: x * 255, "0 .background. to 1"),
        (lambda x: (x * 255).astype(np.int64), "nobody knows what is white"),
        (lambda x: (x * 4000).astype(np.uint16), "nobody knows what is white"),
        (lambda x: x * np.nan, "NaN"),
        (lambda x: x[:, None].repeat(2, 1), "2 channels"),
        (lambda x: x[..., None], "channels"),
        (lambda x: x[0], "images"),
        (lambda x: x.astype(complex), "numbers"),
        (lambda x: np.stack([x, x * 0.5, x], axis=1), "coloured"),
    ],
)
def test_grey_values_are_not_guessed_in_silence(tmp_path: Path, change: Any, words: str) -> None:
    like = real(tmp_path / "real")
    with pytest.raises(InputError, match=words):
        prepared(save(tmp_path, change(heads(COUNT, 7)[0])), tmp_path, like)
    assert not (tmp_path / "out").exists()


def test_what_was_assumed_of_grey_values_is_said(tmp_path: Path) -> None:
    like = real(tmp_path / "real")
    images = heads(COUNT, 7)[0]
    deep = prepared(save(tmp_path, (images * 65535).astype(np.uint16)), tmp_path, like)
    np.testing.assert_allclose(deep.images[:, 0], images, atol=1e-3)
    assert any("65535 is taken for 1" in remark for remark in deep.meta.remarks)
    bright = synthoma.prepare(save(tmp_path, images * 1.5), tmp_path / "bright", like=like)
    np.testing.assert_allclose(bright.images[:, 0], images * 1.5, atol=1e-3)
    assert any("are kept: 0 is taken for background" in remark for remark in bright.meta.remarks)
    normal = synthoma.prepare(save(tmp_path, images * 255), tmp_path / "normal", like=like, framed="no")
    assert 0.8 < np.percentile(normal.images.astype(float), 99.5) < 1.3
    images[3] = np.nan
    some = synthoma.prepare(save(tmp_path, images), tmp_path / "some", like=like)
    assert len(some) == COUNT - 1
    assert "NaN" in (tmp_path / "some" / "skipped.csv").read_text()


def test_coloured_pictures_are_refused_and_grey_ones_in_colours_are_not(tmp_path: Path) -> None:
    like = real(tmp_path / "real")
    grey = (heads(COUNT, 7)[0] * 255).astype(np.uint8)
    found = prepared(pictures(tmp_path / "grey", np.repeat(grey[..., None], 3, axis=3)), tmp_path, like)
    np.testing.assert_allclose(found.images[:, 0], grey / 255, atol=1e-3)
    with pytest.raises(InputError, match="its three channels differ"):
        synthoma.prepare(
            pictures(tmp_path / "colour", np.stack([grey, grey // 2, grey], axis=3)), tmp_path / "no", like=like
        )


# Hostile files --------------------------------------------------------------------------------------------------------


class Bomb:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (Path.touch, (Path("ran"),))  # type: ignore[return-value]


def header(text: str) -> bytes:
    content = text.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(content).to_bytes(2, "little") + content


def test_pickles_and_lying_headers_are_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    like = real(tmp_path / "real")
    np.save("pickled.npy", np.array([Bomb(), Bomb()], dtype=object), allow_pickle=True)
    np.savez("pickled.npz", images=np.array([Bomb()], dtype=object))
    Path("bare.npy").write_bytes(pickle.dumps(Bomb()))
    huge = header("{'descr': '<f4', 'fortran_order': False, 'shape': (9000000, 64, 64), }") + bytes(64)
    Path("huge.npy").write_bytes(huge)
    Path("long.npy").write_bytes(b"\x93NUMPY\x02\x00" + (2**31).to_bytes(4, "little") + bytes(64))
    Path("code.npy").write_bytes(header("__import__('pathlib').Path('ran').touch()") + bytes(64))
    Path("no.npz").write_bytes(b"PK\x03\x04" + bytes(40))
    with zipfile.ZipFile("huge.npz", "w") as packed:
        packed.writestr("images.npy", huge)
    with zipfile.ZipFile("bomb.npz", "w", zipfile.ZIP_BZIP2) as packed, packed.open("images.npy", "w") as member:
        member.write(header("{'descr': '|u1', 'fortran_order': False, 'shape': (100, 1000, 1000), }"))
        for _ in range(100):
            member.write(bytes(10**6))
    for name in (
        "pickled.npy",
        "pickled.npz",
        "bare.npy",
        "huge.npy",
        "long.npy",
        "code.npy",
        "no.npz",
        "huge.npz",
        "bomb.npz",
    ):
        with pytest.raises(InputError):
            synthoma.prepare(name, "out", like=like)
    with pytest.raises(InputError, match="can run code"):
        synthoma.prepare("pickled.npy", "out", like=like)
    assert not Path("ran").exists()
    assert not Path("out").exists()


def test_what_says_nothing_is_refused(tmp_path: Path) -> None:
    like = real(tmp_path / "real")
    folder = pictures(tmp_path / "samples", heads(COUNT, 7)[0])
    with pytest.raises(ConfigError, match="size"):
        prepared(folder, tmp_path, like, size=64)
    with pytest.raises(ConfigError, match="framed"):
        synthoma.prepare(folder, tmp_path / "out", framed="yes")
    with pytest.raises(SynthomaError):
        synthoma.prepare(folder, tmp_path / "out", like=tmp_path / "nothing")
    with pytest.raises(ConfigError, match="simulated patients"):
        synthoma.prepare_phantom(1, tmp_path / "out", like=like)
    with pytest.raises(InputError, match="one sequence of the cohort"):
        prepared(folder, tmp_path, like, modalities=("t2",))
    images, masks = heads(COUNT, 7)
    np.savez(tmp_path / "a.npz", images=images, masks=masks * 0.5 + masks[::-1] * 0.25)
    with pytest.raises(InputError, match="whole numbers"):
        prepared(tmp_path / "a.npz", tmp_path, like)
    np.savez(tmp_path / "a.npz", images=images, masks=masks + 5)
    with pytest.raises(InputError, match="with a meaning"):
        prepared(tmp_path / "a.npz", tmp_path, like)
    np.savez(tmp_path / "a.npz", images=images, classes=np.array(["tumour"] * 3))
    with pytest.raises(InputError, match="a class for each of 30"):
        prepared(tmp_path / "a.npz", tmp_path, like)
    np.savez(tmp_path / "a.npz", pictures=images)
    with pytest.raises(InputError, match="called images"):
        prepared(tmp_path / "a.npz", tmp_path, like)
