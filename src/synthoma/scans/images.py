"""Pictures: PNG, JPEG and TIFF files as arrays, opened by content and checked before they are decoded."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, TiffImagePlugin, UnidentifiedImageError

from synthoma.core.errors import InputError
from synthoma.core.types import Array, Bytes
from synthoma.scans.files import DEFLATE_RATIO, open_file, regular_size

MAX_PIXELS = 64 * 2**20
"""Largest picture that is decoded: 8192x8192. A slice of an MRI has at most 1024x1024."""

_BAND = 256  # rows
_FORMATS = ("PNG", "JPEG", "TIFF")
_PICTURE = "a PNG, JPEG or TIFF picture"
_SMALL = f"a picture of at most {MAX_PIXELS // 2**20} megapixels"
_AGAIN = "export it again from its source, or remove it from the folder"
_LUMINANCE = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as every picture viewer does


def read_image(path: Path) -> Array:
    """Decode a picture, whatever its suffix says.

    Palettes become colours, one bit becomes 0 and 255, what is transparent becomes black, and the EXIF orientation is
    applied. Sixteen-bit grey keeps its depth; sixteen-bit colour comes as eight bits, since the decoder has no more.

    Args:
        path: PNG, JPEG or single-page TIFF.

    Returns:
        (H, W) uint8, uint16, int32 or float32, or (H, W, 3) uint8, in native byte order.

    Raises:
        InputError: another format, truncated or damaged, several pages, too large, or more pixels than its bytes hold.
    """
    size = regular_size(path)
    with open_file(path) as stream, _decoding(), Image.open(stream, formats=_FORMATS) as picture:
        _check_size(picture, size)
        _check_single_page(picture)
        array = _as_meant(_to_array(ImageOps.exif_transpose(picture)), picture)
    if array.dtype.kind == "f" and (bad := int(np.count_nonzero(~np.isfinite(array)))):
        raise InputError("finite pixels", f"{bad} of {array.size} that are NaN or infinite", _AGAIN)
    return array


def read_labels(path: Path) -> Array:
    """Decode a picture of a mask so that no two labels become one.

    Args:
        path: as `read_image`.

    Returns:
        (H, W) whole numbers or float32: places in the palette where there is one (255 beside other labels, the border
        that VOC leaves undecided, becomes 0), greys, or colours as 0xRRGGBB. What is transparent is 0.

    Raises:
        InputError: as `read_image`.
    """
    size = regular_size(path)
    with open_file(path) as stream, _decoding(), Image.open(stream, formats=_FORMATS) as picture:
        _check_size(picture, size)
        # Places in the palette are the labels; colours that look alike could be two of them.
        if picture.mode == "P":
            return _places(ImageOps.exif_transpose(picture))
        alpha = np.array(ImageOps.exif_transpose(picture).getchannel("A")) if picture.mode in ("LA", "RGBA") else None
    array = read_image(path)
    # Black on nothing: over black it would be gone.
    if alpha is not None and not array.any() and alpha.any() and not alpha.all():
        return (alpha > 0).astype(np.uint8)
    if array.ndim == 2:
        return array
    if np.array_equal(array[..., 0], array[..., 1]) and np.array_equal(array[..., 0], array[..., 2]):
        return np.ascontiguousarray(array[..., 0])
    return _in_bands(array, lambda band: band.astype(np.int32) @ np.array([65536, 256, 1], dtype=np.int32))


def _places(picture: Image.Image) -> Array:
    """Places in the palette, 0 where it is transparent; a coloured first place beside transparent ones becomes 256."""
    places = np.array(picture)
    labels = np.unique(places)
    border = labels.size > 2 and labels[-1] == 255
    seen = np.full(256, 255, dtype=np.uint8)
    through = picture.info.get("transparency")
    if isinstance(through, bytes):
        seen[: len(through)] = np.frombuffer(through[:256], dtype=np.uint8)
    elif through is not None:
        seen[int(through)] = 0
    codes = np.arange(256, dtype=np.int32 if through is not None else np.uint8)
    if through is not None and any((picture.getpalette("RGB") or [0])[:3]):
        codes[0] = 256
    codes[seen == 0] = 0
    if border:
        codes[255] = 0
    return np.asarray(codes[places])


def grey(array: Array) -> Array:
    """Luminance of a picture; exactly the channel where all three are equal.

    Args:
        array: (H, W) or (H, W, 3).

    Returns:
        (H, W) of the same type.
    """
    if array.ndim == 2:
        return array
    first = array[..., 0]
    if np.array_equal(first, array[..., 1]) and np.array_equal(first, array[..., 2]):
        return np.ascontiguousarray(first)
    return _in_bands(array, lambda band: _luminance(band, whole=array.dtype.kind in "ui"))


def _luminance(colours: Array, *, whole: bool) -> Array:
    mixed: Array = colours @ _LUMINANCE
    # Rounded, since `astype` cuts: a product may lie just below its whole number.
    return (np.rint(mixed) if whole else mixed).astype(colours.dtype)


def _in_bands(array: Array, change: Callable[[Array], Array]) -> Array:
    """What becomes of each row of a picture, some rows at a time: a large one would need many times its memory."""
    return np.concatenate([change(array[top : top + _BAND]) for top in range(0, len(array), _BAND)])


@contextmanager
def _decoding() -> Iterator[None]:
    """Turn whatever the decoder raises or warns about into one InputError."""
    try:
        with warnings.catch_warnings():
            # Pillow only warns of some damage, and of sizes just below those that it refuses.
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("ignore", PendingDeprecationWarning)
            yield
    except (InputError, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(_SMALL, "a header that declares far more", _AGAIN) from error
    except UnidentifiedImageError as error:
        raise InputError(_PICTURE, "a file with other content", _AGAIN) from error
    except Exception as error:  # the plugins let escape what their parsing trips over: struct, key, value errors, ...
        raise InputError(_PICTURE, f"a damaged one ({_brief(error)})", _AGAIN) from error


def _brief(error: Exception) -> str:
    """The decoder's own words, on one line and of bounded length."""
    return " ".join(str(error).split())[:120] or type(error).__name__


def _check_size(picture: Image.Image, file_bytes: int) -> None:
    """Compare the declared size with the cap, and with what the file's bytes can hold."""
    width, height = picture.size
    came = f"a {picture.format} header that declares {width}x{height} pixels"
    if not 0 < width * height <= MAX_PIXELS:
        raise InputError(_SMALL, came, _AGAIN)
    ratio = _largest_ratio(picture)
    bits = 1 if picture.mode in ("1", "L", "P") else 8 * len(picture.getbands())  # L and P may be packed 1, 2 or 4 bits
    if ratio and width * height * bits > 8 * ratio * file_bytes:
        raise InputError("a header that fits the file", f"{came} in a file of {file_bytes} bytes", _AGAIN)


def _largest_ratio(picture: Image.Image) -> int:
    """How many bytes one byte of the file can stand for; 0 where the format sets no bound."""
    compression = picture.info.get("compression")
    if compression == "raw":
        return 1
    # A JPEG spends at least one bit on each block of 64 samples, which is less than deflate can save.
    deflated = picture.format != "TIFF" or compression in ("tiff_adobe_deflate", "tiff_deflate")
    return DEFLATE_RATIO if deflated else 0


def _check_single_page(picture: Image.Image) -> None:
    """Refuse a stack: which of its pages is meant, and how far apart they lie, the file does not say."""
    if picture.format == "PNG" and (frames := getattr(picture, "n_frames", 1)) > 1:
        raise InputError("a still picture", f"an animation of {frames} frames", "save each as a file of its own")
    if picture.format != "TIFF":
        return
    try:
        picture.seek(1)
    except EOFError:
        picture.seek(0)
        return
    raise InputError("a TIFF of one page", "a stack of several pages", "save it as NIfTI, or each page as its own file")


_PHOTOMETRIC, _SAMPLE_FORMAT = 262, 339
_SIGNED = 2


def _as_meant(array: Array, picture: Image.Image) -> Array:
    """Pixels with the sign and the direction that a TIFF declares, where the decoder does not mind them (TIFF 6.0)."""
    if not isinstance(picture, TiffImagePlugin.TiffImageFile):
        return array
    stated = picture.tag_v2.get(_SAMPLE_FORMAT, (1,))
    signed = (stated[0] if isinstance(stated, tuple) else stated) == _SIGNED
    if array.dtype == np.uint8 and array.ndim == 2 and signed:
        array = array.view(np.int8).astype(np.int16)
    if array.dtype == np.int32 and picture.mode == "I" and not signed and array.min() < 0:
        array = array.view(np.uint32)
    # White is 0: the decoder turns 8 bits round, and leaves deeper ones as they are.
    if picture.tag_v2.get(_PHOTOMETRIC) == 0 and array.dtype != np.uint8 and not (array.dtype == np.int16 and signed):
        array = np.iinfo(array.dtype).max - array if array.dtype.kind == "u" else -array
    return array


def _to_array(picture: Image.Image) -> Array:
    """Pixels of a decoded picture of any mode, some rows at a time: each step on the way is a copy of what it sees."""
    picture.load()
    tops = range(0, picture.height, _BAND)
    edges = [(0, top, picture.width, min(top + _BAND, picture.height)) for top in tops]
    first = _of_band(picture.crop(edges[0]), picture.mode)
    pixels = np.empty((picture.height, *first.shape[1:]), first.dtype)
    for edge in edges:
        pixels[edge[1] : edge[3]] = _of_band(picture.crop(edge), picture.mode)
    return pixels


def _of_band(picture: Image.Image, mode: str) -> Array:
    """Pixels of some rows of a picture of any mode."""
    see_through = "transparency" in picture.info
    # Before anything is converted: Pillow would cut 16 bits at 255.
    if mode in ("I", "F") or mode.startswith("I;16"):
        deep = np.array(picture)
        return deep.astype(deep.dtype.newbyteorder("="), copy=False)
    if mode in ("LA", "La") or (mode in ("1", "L") and see_through):
        return _over_black(np.array(picture.convert("LA")))[..., 0]
    if mode in ("P", "PA", "RGBA", "RGBa") or (mode == "RGB" and see_through):
        return _over_black(np.array(picture.convert("RGBA")))
    return np.array(picture.convert("L" if mode in ("1", "L") else "RGB"))


def _over_black(layers: Bytes) -> Bytes:
    """Composite (H, W, C + alpha) uint8 over black: (H, W, C). Opaque pixels keep their exact value."""
    # 16 bits are enough for 255 * 255 + 127; half of the divisor is added so that the division rounds.
    alpha = layers[..., -1:].astype(np.uint16)
    return ((layers[..., :-1] * alpha + 127) // 255).astype(np.uint8)
