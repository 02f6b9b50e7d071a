"""Pictures are read by content, exactly where the format is exact, and refused where they are not sound."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from synthoma.core.errors import InputError
from synthoma.core.types import Array
from synthoma.scans import images
from synthoma.scans.images import grey, read_image, read_labels
from tests.scans.writers import voxels, write_picture

GREY = voxels(0, (10, 14), np.uint8)
DEEP = voxels(1, (10, 14), np.uint16, 60_000)
RGB = voxels(2, (10, 14, 3), np.uint8)
ALPHA = voxels(3, (10, 14, 1), np.uint8)
ALPHA[:4], ALPHA[4:8] = 0, 255


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff", ".PNG", ".TIF"])
@pytest.mark.parametrize("array", [GREY, DEEP, RGB], ids=["grey", "deep", "colour"])
def test_lossless_formats_are_exact(suffix: str, array: Array, tmp_path: Path) -> None:
    write_picture(tmp_path / f"a{suffix}", array)
    got = read_image(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(got, array)
    assert got.dtype == array.dtype


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["u1", "u2", "f4"])
def test_tiff_of_an_independent_writer(order: str, kind: str, tmp_path: Path) -> None:
    array = DEEP.astype(kind)
    tifffile.imwrite(tmp_path / "a.tif", array, byteorder=order, photometric="minisblack")
    got = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(got, array)
    assert got.dtype == np.dtype(kind)
    assert got.dtype.isnative


def test_content_decides_and_not_the_suffix(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png", GREY)
    (tmp_path / "a.png").rename(tmp_path / "a.jpg")
    np.testing.assert_array_equal(read_image(tmp_path / "a.jpg"), GREY)


def test_jpeg_is_close(tmp_path: Path) -> None:
    smooth = np.add.outer(np.arange(64), 2 * np.arange(64)).astype(np.uint8)
    write_picture(tmp_path / "a.jpg", smooth, quality=95)
    assert np.abs(read_image(tmp_path / "a.jpg").astype(int) - smooth).mean() < 2


def test_transparent_is_black_and_opaque_is_exact(tmp_path: Path) -> None:
    for name, layers in {"grey": GREY[..., None], "colour": RGB}.items():
        write_picture(tmp_path / f"{name}.png", np.concatenate([layers, ALPHA], axis=-1))
        got = read_image(tmp_path / f"{name}.png").reshape(layers.shape)
        assert not got[:4].any()
        np.testing.assert_array_equal(got[4:8], layers[4:8])
        half = layers[8:] * (ALPHA[8:] / 255)
        np.testing.assert_allclose(got[8:], half, atol=0.51)


def test_transparent_colour_of_a_palette_is_black(tmp_path: Path) -> None:
    picture = Image.fromarray(np.array([[0, 1], [1, 2]], np.uint8), "P")
    picture.putpalette([200, 200, 200, 10, 20, 30, 40, 50, 60])
    picture.save(tmp_path / "plain.png")
    picture.save(tmp_path / "clear.png", transparency=0)
    plain, clear = read_image(tmp_path / "plain.png"), read_image(tmp_path / "clear.png")
    assert plain[0, 0].tolist() == [200, 200, 200]
    assert clear[0, 0].tolist() == [0, 0, 0]
    assert plain[1, 1].tolist() == clear[1, 1].tolist() == [40, 50, 60]


def test_one_bit_is_black_and_white(tmp_path: Path) -> None:
    Image.fromarray(GREY > 100).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), np.where(GREY > 100, 255, 0))


def test_cmyk_becomes_colour(tmp_path: Path) -> None:
    Image.fromarray(RGB).convert("CMYK").save(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), RGB)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
@pytest.mark.parametrize(
    ("value", "turn"), [(1, lambda a: a), (3, lambda a: a[::-1, ::-1]), (6, lambda a: np.rot90(a, -1)), (2, np.fliplr)]
)
def test_exif_orientation_is_applied(suffix: str, value: int, turn: type, tmp_path: Path) -> None:
    marked = np.zeros((32, 48), np.uint8)
    marked[:16, :16] = 240
    exif = Image.Exif()
    exif[274] = value
    write_picture(tmp_path / f"a{suffix}", marked, exif=exif)
    np.testing.assert_allclose(read_image(tmp_path / f"a{suffix}"), turn(marked), atol=8)


def test_grey_keeps_a_common_channel_and_its_type() -> None:
    for array in (GREY, DEEP):
        np.testing.assert_array_equal(grey(np.repeat(array[..., None], 3, axis=-1)), array)
        assert grey(np.repeat(array[..., None], 3, axis=-1)).dtype == array.dtype
        assert grey(array) is array


def test_grey_is_luminance() -> None:
    pure = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [10, 10, 10]]], np.uint8)
    assert grey(pure).tolist() == [[76, 150, 29, 10]]
    np.testing.assert_allclose(grey(RGB), np.array(Image.fromarray(RGB).convert("L")), atol=1)


def test_stacks_are_refused_with_advice(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.stack([GREY, GREY]), photometric="minisblack")
    with pytest.raises(InputError, match=r"several pages.*NIfTI"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("form", ["BMP", "GIF", "WEBP", "ICO", "PPM", "EPS"])
def test_other_formats_are_refused(form: str, tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "a.png", form)
    with pytest.raises(InputError, match="a PNG, JPEG or TIFF picture; came a file with other content"):
        read_image(tmp_path / "a.png")


def test_size_is_checked_before_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_picture(tmp_path / "a.png", GREY)
    monkeypatch.setattr(images, "MAX_PIXELS", 100)
    monkeypatch.setattr(Image.Image, "load", lambda _: pytest.fail("decoded"))
    with pytest.raises(InputError, match="declares 14x10 pixels"):
        read_image(tmp_path / "a.png")


def test_not_finite_pixels_are_counted(tmp_path: Path) -> None:
    array = GREY.astype(np.float32)
    array[0, :3] = np.nan, np.inf, -np.inf
    write_picture(tmp_path / "a.tif", array)
    with pytest.raises(InputError, match="3 of 140 that are NaN"):
        read_image(tmp_path / "a.tif")


def test_what_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty.png").touch()
    write_picture(tmp_path / "locked.png", GREY)
    for path, words in (
        (tmp_path, "regular file"),
        (tmp_path / "no", "no such file"),
        (tmp_path / "empty.png", "0 bytes"),
    ):
        with pytest.raises(InputError, match=words):
            read_image(path)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match="permission denied; check"):
        read_image(tmp_path / "locked.png")


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I", "F", "I;16"])
def test_rows_that_are_decoded_apart_are_those_of_the_whole(
    mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draws = np.random.default_rng(0)
    channels = {"LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4}.get(mode)
    kind = {"I": np.int32, "F": np.float32, "I;16": np.uint16}.get(mode, np.uint8)
    array = draws.integers(0, 256, (23, 17, channels) if channels else (23, 17)).astype(kind)
    picture = Image.fromarray(array > 99) if mode == "1" else Image.fromarray(array)
    if mode == "P":
        picture = picture.convert("L").quantize(16)
    path = tmp_path / ("a.tif" if mode in ("CMYK", "I", "F", "I;16") else "a.png")
    picture.save(path)
    whole, labels = read_image(path), read_labels(path)
    for rows in (1, 7, 23):
        monkeypatch.setattr("synthoma.scans.images._BAND", rows)
        assert np.array_equal(read_image(path), whole)
        assert np.array_equal(grey(read_image(path)), grey(whole))
        assert np.array_equal(read_labels(path), labels)


# What a file means beside what is stored ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["i1", "i2", "i4", "u4"])
def test_tiff_keeps_the_sign_that_it_declares(kind: str, tmp_path: Path) -> None:
    """An unsigned reading of a signed file wraps round: the darkest pixels would be the brightest."""
    limits = np.iinfo(kind)
    array = np.linspace(limits.min, limits.max, GREY.size).astype(kind).reshape(GREY.shape)
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="minisblack")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), array)


@pytest.mark.parametrize("array", [GREY, DEEP], ids=["8 bits", "16 bits"])
def test_tiff_whose_white_is_0_is_turned_round(array: Array, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.iinfo(array.dtype).max - array, photometric="miniswhite")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), array)


def test_an_animation_is_no_picture(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.roll(GREY, shift, 0)) for shift in range(3)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    with pytest.raises(InputError, match="an animation of 3 frames"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("first", "transparency", "background"),
    [((0, 0, 0), 0, 0), ((255, 255, 255), 0, 0), ((0, 0, 0), 255, 255), ((90, 0, 0), bytes([255, 255, 255, 0]), 3)],
)
def test_a_black_label_beside_what_is_transparent_stays(
    first: tuple[int, ...], transparency: int | bytes, background: int, tmp_path: Path
) -> None:
    """Over black a label whose colour is black would be gone."""
    labels = np.full((8, 9), background, np.uint8)
    labels[2:4], labels[5, :4] = 1, 2
    if background == 3:
        labels[6, :2] = 0  # its colour says that it is a label too
    picture = Image.fromarray(labels, mode="P")
    picture.putpalette([*first, 0, 0, 0, 0, 200, 0, 9, 9, 9, *[0] * 756])
    picture.save(tmp_path / "a.png", transparency=transparency)
    np.testing.assert_array_equal(read_labels(tmp_path / "a.png") > 0, labels != background)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_black_on_nothing_is_marked(mode: str, tmp_path: Path) -> None:
    mask = np.zeros((8, 9), np.uint8)
    mask[2:5, 3:6] = 255
    layers = np.zeros((8, 9, 4 if mode == "RGBA" else 2), np.uint8)
    layers[..., -1] = mask
    Image.fromarray(layers, mode=mode).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "a.png") > 0, mask > 0)
    layers[..., -1] = 255  # an empty mask stays empty
    Image.fromarray(layers, mode=mode).save(tmp_path / "b.png")
    assert not read_labels(tmp_path / "b.png").any()
