"""Damaged and lying files of every format: an array or an InputError, never a crash, a hang or a blow-up of memory."""

from __future__ import annotations

import gzip
import io
import os
import resource
import struct
import subprocess
import sys
import time
import warnings
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.uid import ImplicitVRLittleEndian, JPEGLSLossless, RLELossless

from synthoma.core.errors import InputError
from synthoma.scans.dicom.series import find_series
from synthoma.scans.dicom.stack import read_series
from synthoma.scans.images import read_image
from synthoma.scans.layouts import take_inventory
from synthoma.scans.volume_headers import stored_shape
from synthoma.scans.volumes import read_volume
from tests.scans.writers import CUBIC, OBLIQUE, voxels, write_dicom, write_itk, write_nifti

pytestmark = pytest.mark.slow

MEMORY = 2**30
"""What reading one file of a few kilobytes may ask for, and more than that."""
SECONDS = 10.0
LONGER = os.environ.get("SYNTHOMA_FUZZ")
"""Number of random examples a format, for a longer search; without it, the same hundred in each run."""
EXAMPLES = int(LONGER or 100)
OUT_OF_MEMORY = ("bad_alloc", "unable to alloc", "failed to alloc", "cannot alloc", "out of memory")


@pytest.fixture(autouse=True, scope="module")
def limited_memory() -> Iterator[None]:
    """Limit the process's address space, so that a blow-up fails here and not on a user's machine."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def read_series_of_folder(path: Path) -> None:
    """As `prepare` reads a folder of DICOM files: damaged slices are left out."""
    for series in find_series(path.parent):
        read_series(series)


def _picture(form: str, array: np.ndarray, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, form, **options)  # type: ignore[arg-type]
    return stream.getvalue()


def _stored(name: str, write: Callable[[Path], object]) -> bytes:
    with TemporaryDirectory() as folder:
        write(Path(folder) / name)
        return (Path(folder) / name).read_bytes()


def _dicom(**options: object) -> bytes:
    with TemporaryDirectory() as folder:
        [path] = write_dicom(Path(folder), voxels(1, (1, 12, 16)), OBLIQUE, **options)  # type: ignore[arg-type]
        return path.read_bytes()


def write_plain(path: Path) -> None:
    write_itk(path, voxels(0), OBLIQUE, compress=False)


def write_channels(path: Path) -> None:
    """Three volumes, one after the other."""
    nibabel.save(nibabel.Nifti1Image(np.stack([np.transpose(voxels(seed)) for seed in range(3)], -1), np.eye(4)), path)


def write_vector(path: Path) -> None:
    """Three numbers a voxel."""
    array = np.stack([voxels(seed) for seed in range(3)], -1)
    sitk.WriteImage(sitk.GetImageFromArray(array, isVector=True), str(path), useCompression=True)


def write_mgh(path: Path) -> None:
    nibabel.save(nibabel.MGHImage(np.transpose(voxels(0)).astype(np.int32), np.eye(4)), path)


def read_last_channel(path: Path) -> None:
    stored_shape(path)
    read_volume(path, 2)


def _header(kind: type) -> bytes:
    """The header of a volume in two files."""
    with TemporaryDirectory() as folder:
        nibabel.save(kind(np.transpose(voxels(0)), None), Path(folder) / "a.hdr")
        return (Path(folder) / "a.hdr").read_bytes()


def read_with_voxels(path: Path) -> None:
    """Read a header with the voxels beside it."""
    path.with_suffix(".img").write_bytes(voxels(0).tobytes())
    read_volume(path)


GREY, RGB = voxels(0, (12, 16), np.uint8), voxels(0, (12, 16, 3), np.uint8)
REAL = voxels(0, dtype=np.float32)
EXIF = Image.Exif()
EXIF[274] = 6
FORMS: dict[str, tuple[str, Callable[[Path], object], Callable[[], bytes]]] = {
    "png grey": ("a.png", read_image, lambda: _picture("PNG", GREY)),
    "png deep": ("a.png", read_image, lambda: _picture("PNG", GREY.astype(np.uint16) * 200)),
    "png colour": ("a.png", read_image, lambda: _picture("PNG", RGB, exif=EXIF)),
    "jpeg": ("a.jpg", read_image, lambda: _picture("JPEG", RGB, exif=EXIF)),
    "jpeg progressive": ("a.jpg", read_image, lambda: _picture("JPEG", GREY, progressive=True)),
    "tiff raw": ("a.tif", read_image, lambda: _picture("TIFF", RGB)),
    "tiff deflate": ("a.tif", read_image, lambda: _picture("TIFF", RGB, compression="tiff_adobe_deflate")),
    "tiff lzw": ("a.tif", read_image, lambda: _picture("TIFF", GREY, compression="tiff_lzw")),
    "tiff float": ("a.tif", read_image, lambda: _picture("TIFF", GREY.astype(np.float32))),
    "nifti": ("a.nii", read_volume, lambda: _stored("a.nii", lambda path: write_nifti(path, voxels(0), OBLIQUE))),
    "nifti float": ("a.nii", read_volume, lambda: _stored("a.nii", lambda path: write_nifti(path, REAL))),
    "nifti-2": ("a.nii", read_volume, lambda: _stored("a.nii", lambda path: write_nifti(path, voxels(0), CUBIC, 2))),
    "nifti gzip": ("a.nii.gz", read_volume, lambda: _stored("a.nii.gz", lambda path: write_nifti(path, voxels(0)))),
    "metaimage": ("a.mha", read_volume, lambda: _stored("a.mha", write_plain)),
    "metaimage zlib": ("a.mha", read_volume, lambda: _stored("a.mha", lambda path: write_itk(path, voxels(0)))),
    "nifti channels": ("a.nii.gz", read_last_channel, lambda: _stored("a.nii.gz", write_channels)),
    "metaimage vector": ("a.mha", read_last_channel, lambda: _stored("a.mha", write_vector)),
    "nrrd vector": ("a.nrrd", read_last_channel, lambda: _stored("a.nrrd", write_vector)),
    "nrrd": ("a.nrrd", read_volume, lambda: _stored("a.nrrd", write_plain)),
    "nrrd gzip": ("a.nrrd", read_volume, lambda: _stored("a.nrrd", lambda path: write_itk(path, voxels(0)))),
    "mgh": ("a.mgh", read_volume, lambda: _stored("a.mgh", write_mgh)),
    "mgz": ("a.mgz", read_volume, lambda: _stored("a.mgz", write_mgh)),
    "nifti pair": ("a.hdr", read_with_voxels, lambda: _header(nibabel.Nifti1Pair)),
    "nifti-2 pair": ("a.hdr", read_with_voxels, lambda: _header(nibabel.Nifti2Pair)),
    "analyze": ("a.hdr", read_with_voxels, lambda: _header(nibabel.AnalyzeImage)),
    "dicom": ("a", read_series_of_folder, _dicom),
    "dicom implicit": ("a", read_series_of_folder, lambda: _dicom(syntax=ImplicitVRLittleEndian)),
    "dicom rle": ("a", read_series_of_folder, lambda: _dicom(change=lambda dataset, _: dataset.compress(RLELossless))),
    "dicom jpeg-ls": ("a", read_series_of_folder, lambda: _dicom(change=lambda ds, _: ds.compress(JPEGLSLossless))),
}  # fmt: skip


@cache
def valid(form: str) -> bytes:
    return FORMS[form][2]()


def attempt(form: str, content: bytes) -> InputError | None:
    """Read the content; anything but success and InputError escapes and fails the test."""
    name, read, _ = FORMS[form]
    with TemporaryDirectory() as folder:
        (Path(folder) / name).write_bytes(content)
        start = time.monotonic()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                read(Path(folder) / name)
            return None
        except InputError as error:
            cause: BaseException | None = error
            while cause is not None:
                assert not isinstance(cause, MemoryError)
                assert not any(words in str(cause).lower() for words in OUT_OF_MEMORY)
                cause = cause.__cause__ or cause.__context__
            return error
        finally:
            assert time.monotonic() - start < SECONDS


@st.composite
def changes(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """One to four changes: bytes of the header, numbers that overflow, cuts, repeats, exchanged parts."""
    steps = draw(
        st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2**16), st.integers(0, 2**16)), min_size=1, max_size=4)
    )
    extreme = draw(
        st.sampled_from([b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff", bytes(4), b"\0\0\xc0\x7f", b"99999", b"\x80"])
    )

    def change(content: bytes) -> bytes:
        for kind, first, second in steps:
            size = max(1, len(content))
            place = first % min(size, 800) if kind < 3 else first % size
            if kind == 0:  # one byte near the start
                content = content[:place] + bytes([second % 256]) + content[place + 1 :]
            elif kind == 1:  # a number near the start
                content = content[:place] + extreme + content[place + len(extreme) :]
            elif kind == 2:  # text made longer
                content = content[:place] + extreme * (1 + second % 3) + content[place:]
            elif kind == 3:  # cut off
                content = content[:place]
            elif kind == 4:  # one byte anywhere
                content = content[:place] + bytes([second % 256]) + content[place + 1 :]
            else:  # a part from elsewhere
                other = second % size
                content = content[:place] + content[other : other + 64] + content[place + 64 :]
        return content

    return change


@pytest.mark.parametrize("form", FORMS)
def test_valid_file_is_read(form: str) -> None:
    assert attempt(form, valid(form)) is None


@pytest.mark.parametrize("form", FORMS)
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=not LONGER,
    suppress_health_check=list(HealthCheck),
)
@given(change=changes())
def test_changed_file_is_read_or_refused(form: str, change: Callable[[bytes], bytes]) -> None:
    attempt(form, change(valid(form)))


@pytest.mark.parametrize("form", ["png grey", "png deep", "png colour", "nifti gzip", "nifti channels", "mgz"])
def test_a_flipped_bit_never_gives_other_pixels_where_a_checksum_covers_the_file(form: str, tmp_path: Path) -> None:
    name, read, _ = FORMS[form]
    content, path = valid(form), tmp_path / name
    pixels = {read_image: read_image, read_volume: lambda file: read_volume(file).voxels}
    look = pixels.get(read, lambda file: read_volume(file, 2).voxels)
    path.write_bytes(content)
    whole, draws = look(path), np.random.default_rng(0)
    for _ in range(EXAMPLES):
        place, bit = int(draws.integers(len(content))), int(draws.integers(8))
        path.write_bytes(content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :])
        try:
            found = look(path)
        except InputError:
            continue
        assert found.dtype == whole.dtype
        assert np.array_equal(found, whole), f"bit {bit} of byte {place}"


@pytest.mark.parametrize("form", FORMS)
def test_truncated_file_is_refused(form: str) -> None:
    content = valid(form)
    for share in (0.0, 0.05, 0.3, 0.6, 0.9):
        error = attempt(form, content[: int(share * len(content))])
        assert error is not None or form.startswith("dicom")  # of a folder of DICOM files, damaged ones are left out


@pytest.mark.parametrize("form", FORMS)
def test_truncated_file_leaves_nothing_usable(form: str, tmp_path: Path) -> None:
    content = valid(form)
    (tmp_path / FORMS[form][0]).write_bytes(content[: int(0.6 * len(content))])
    with pytest.raises(InputError):
        [case.load() for case in take_inventory(tmp_path).cases]


# Known tricks --------------------------------------------------------------------------------------------------------


def nifti_header(*axes: int, code: int = 4, bits: int = 16) -> bytes:
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, len(axes), *axes, *[1] * (7 - len(axes)))
    struct.pack_into("<hh", header, 70, code, bits)
    struct.pack_into("<8f", header, 76, *[1.0] * 8)
    struct.pack_into("<f", header, 108, 352.0)
    header[344:348] = b"n+1\0"
    return bytes(header)


def test_small_file_that_asks_for_gigabytes() -> None:
    lying = nifti_header(2000, 2000, 2000) + bytes(25)
    assert len(lying) == 377
    for form, content in {"nifti": lying, "nifti gzip": gzip.compress(lying)}.items():
        error = attempt(form, content)
        assert error is not None
        assert "2000x2000x2000" in error.came


def test_compressed_bombs() -> None:
    zeros = gzip.compress(bytes(2**27))
    lying = gzip.compress(nifti_header(64, 64, 64) + bytes(2**27))
    header = b"ObjectType = Image\nNDims = 3\nCompressedData = True\nDimSize = 9 9 9\nElementType = MET_SHORT\n"
    meta = header + b"ElementDataFile = LOCAL\n" + zlib.compress(bytes(2**27))
    nrrd = b"NRRD0004\ntype: short\ndimension: 3\nsizes: 9 9 9\nencoding: gzip\nendian: little\n\n" + zeros
    for form, content in {"nifti gzip": lying, "metaimage zlib": meta, "nrrd gzip": nrrd}.items():
        error = attempt(form, content)
        assert error is not None
        assert "longer" in error.came


def test_compressed_data_that_is_too_short_is_not_filled_up() -> None:
    header = b"ObjectType = Image\nNDims = 3\nCompressedData = True\nDimSize = 9 9 9\nElementType = MET_SHORT\n"
    meta = header + b"ElementDataFile = LOCAL\n" + zlib.compress(bytes(100))
    nrrd = b"NRRD0004\ntype: short\ndimension: 3\nsizes: 9 9 9\nencoding: gzip\nendian: little\n\n" + gzip.compress(
        bytes(99)
    )
    for form, content in {"metaimage zlib": meta, "nrrd gzip": nrrd}.items():
        error = attempt(form, content)
        assert error is not None
        assert "of 1458 bytes" in error.came


@pytest.mark.parametrize(
    "target", ["../secret.raw", "/etc/hostname", "LIST", "a%03d.raw 1 3 1", "sub/data.raw", "link.raw"]
)
@pytest.mark.parametrize("suffix", [".mhd", ".nhdr"])
def test_header_cannot_reach_outside_its_folder(target: str, suffix: str, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    for path in (tmp_path / "secret.raw", folder / "sub" / "data.raw"):
        path.write_bytes(bytes(27))
    (folder / "link.raw").symlink_to(tmp_path / "secret.raw")
    meta = f"ObjectType = Image\nNDims = 3\nDimSize = 3 3 3\nElementType = MET_UCHAR\nElementDataFile = {target}\n"
    nrrd = f"NRRD0004\ntype: uchar\ndimension: 3\nsizes: 3 3 3\nencoding: raw\ndata file: {target}\n\n"
    (folder / f"a{suffix}").write_text(meta if suffix == ".mhd" else nrrd)
    with pytest.raises(InputError, match="folder of its header"):
        read_volume(folder / f"a{suffix}")


def test_deflated_dicom_is_refused_before_it_is_inflated(tmp_path: Path) -> None:
    [path] = write_dicom(tmp_path, voxels(0, (1, 12, 16)))
    content = path.read_bytes()
    deflated = content.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99")  # two bytes longer
    place = deflated.index(b"1.2.840.10008.1.2.1.99")
    deflated = (
        deflated[: place - 2] + struct.pack("<H", 22) + deflated[place : place + 22] + zlib.compress(bytes(2**27))
    )
    path.write_bytes(deflated)
    with pytest.raises(InputError, match="at least one case"):
        take_inventory(tmp_path)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "F"])
def test_a_large_picture_in_a_small_file_needs_less_than_a_gigabyte(mode: str, tmp_path: Path) -> None:
    side = 8192
    array = np.zeros((side, side, len(mode)) if mode != "F" else (side, side), np.float32 if mode == "F" else np.uint8)
    array[..., 0] = 7
    Image.fromarray(array).save(tmp_path / "a.tif", compression="tiff_adobe_deflate")
    del array
    assert (tmp_path / "a.tif").stat().st_size < 2**20
    program = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from synthoma.scans.images import grey, read_image\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "assert grey(read_image(Path(sys.argv[1]))).shape == (8192, 8192)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "a.tif"], capture_output=True, text=True, check=True
    )
    assert int(ran.stdout) * 1024 < MEMORY


@pytest.mark.parametrize(("code", "bits", "slope"), [(4, 16, 2.0), (64, 64, 0.0)])
def test_a_volume_that_would_fill_the_memory_is_refused_first(
    code: int, bits: int, slope: float, tmp_path: Path
) -> None:
    """A megabyte of a gzip stream can stand for a gigabyte of zeros: its size is plausible, and its content unseen."""
    header = bytearray(nifti_header(512, 512, 512, code=code, bits=bits))
    struct.pack_into("<f", header, 112, slope)
    noise = np.random.default_rng(0).bytes(2**20)
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(bytes(header) + noise, 1))
    with pytest.raises(InputError, match=r"900 MiB in memory.*512x512x512 voxels of 8 bytes"):
        read_volume(tmp_path / "a.nii.gz")
