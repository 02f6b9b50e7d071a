"""What is special to single formats: neighbours on disk, frames, scaling, channels, two-file volumes, FreeSurfer's."""

from __future__ import annotations

import gzip
import itertools
import shutil
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synthoma.core.errors import InputError
from synthoma.core.types import Array
from synthoma.scans.case import Geometry, Volume
from synthoma.scans.files import kind_of, stem_of, suffix_of
from synthoma.scans.grids import paste_onto, same_grid
from synthoma.scans.volume_headers import data_of, stored_shape
from synthoma.scans.volumes import read_volume, write_volume
from tests.scans.test_volumes import check_geometry
from tests.scans.writers import CUBIC, FLAT, OBLIQUE, affine_ras, voxels, write_itk, write_nifti

pytestmark = pytest.mark.slow

SHAPE = (5, 12, 16)


def affine_of(geometry: Geometry | None) -> Array:
    assert geometry is not None
    return affine_ras(geometry)


def patched(path: Path, place: int, form: str, *numbers: float) -> Path:
    content = bytearray(path.read_bytes())
    struct.pack_into(form, content, place, *numbers)
    path.write_bytes(content)
    return path


# Neighbours ----------------------------------------------------------------------------------------------------------


def _save(kind: type) -> Callable[[Path, Array], None]:
    return lambda path, array: nibabel.save(kind(np.transpose(array), affine_ras(FLAT)), path)


def _mgh(path: Path, array: Array) -> None:
    nibabel.save(nibabel.MGHImage(np.transpose(array).astype(np.int32), affine_ras(FLAT)), path)


def _raw(path: Path, array: Array, data: str, gz: bool = False) -> None:
    """A MetaImage or NRRD header by hand over data of a given name."""
    content = array.astype("<i2").tobytes()
    sizes = " ".join(map(str, array.shape[::-1]))
    if path.suffix == ".mhd":
        text = f"ObjectType = Image\nNDims = 3\nDimSize = {sizes}\nElementType = MET_SHORT\nElementDataFile = {data}\n"
    else:
        code = "gzip" if gz else "raw"
        text = f"NRRD0004\ntype: short\ndimension: 3\nsizes: {sizes}\nencoding: {code}\nendian: little\n"
        text += f"data file: {data}\n"
    path.write_text(text)
    (path.parent / data).write_bytes(gzip.compress(content) if gz else content)


def _itk(compress: bool) -> Callable[[Path, Array], None]:
    return lambda path, array: write_itk(path, array, FLAT, compress=compress)


NEIGHBOURS: dict[str, Callable[[Path, Array], None]] = {
    "scan.nii": _save(nibabel.Nifti1Image),
    "scan.nii.gz": _save(nibabel.Nifti1Image),
    "scan.hdr": _save(nibabel.Nifti1Pair),
    "scan.hdr.gz": lambda path, array: nibabel.Nifti1Pair(np.transpose(array), affine_ras(FLAT)).to_filename(path),
    "scan.mha": _itk(False),
    "scan.mhd": _itk(False),
    "SCAN.mhd": lambda path, array: write_itk(path, array, FLAT, compress=True),
    "scan.nrrd": _itk(True),
    "scan.nhdr": lambda path, array: _raw(path, array, "scan.2.raw"),
    "Scan.nhdr": lambda path, array: _raw(path, array, "scan.raw.gz", gz=True),
    "scan.mgh": _mgh,
    "scan.mgz": _mgh,
}  # fmt: skip


@pytest.mark.parametrize(("one", "other"), list(itertools.permutations(NEIGHBOURS, 2)))
def test_the_named_file_is_read_and_no_neighbour(one: str, other: str, tmp_path: Path) -> None:
    for name, seed in ((one, 1), (other, 2)):
        NEIGHBOURS[name](tmp_path / name, voxels(seed))
    np.testing.assert_array_equal(read_volume(tmp_path / one).voxels, voxels(1))
    np.testing.assert_array_equal(read_volume(tmp_path / other).voxels, voxels(2))


def test_all_neighbours_at_once(tmp_path: Path) -> None:
    for seed, (name, write) in enumerate(NEIGHBOURS.items()):
        write(tmp_path / name, voxels(seed))
    for seed, name in enumerate(NEIGHBOURS):
        np.testing.assert_array_equal(read_volume(tmp_path / name).voxels, voxels(seed))


# Scaling -------------------------------------------------------------------------------------------------------------

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.float32])
@pytest.mark.parametrize(
    ("slope", "inter"),
    [(NAN, NAN), (NAN, 0.0), (0.0, 0.0), (0.0, 5.0), (2.0, 7.0), (-1.0, 2000.0), (INF, 0.0), (-INF, 3.0), (0.1, 0.0),
     (1.0, 0.0), (1.0, 0.5), (NAN, 4.0), (0.0, NAN)],
)  # fmt: skip
def test_scaling_is_nibabels(slope: float, inter: float, dtype: type, version: int, tmp_path: Path) -> None:
    write_nifti(tmp_path / "a.nii", voxels(0, dtype=dtype), OBLIQUE, version)
    patched(tmp_path / "a.nii", *((112, "<2f") if version == 1 else (176, "<2d")), slope, inter)
    expected = np.transpose(np.asarray(nibabel.load(tmp_path / "a.nii").dataobj))
    got = read_volume(tmp_path / "a.nii").voxels
    np.testing.assert_array_equal(got, expected)
    assert got.dtype == expected.dtype


def test_slope_without_intercept_and_overflow_are_refused(tmp_path: Path) -> None:
    write_nifti(tmp_path / "a.nii", voxels(0))
    with pytest.raises(InputError, match=r"the scaling 2\.0 and nan"):
        read_volume(patched(tmp_path / "a.nii", 112, "<2f", 2.0, NAN))
    write_nifti(tmp_path / "b.nii", np.full(SHAPE, 1e300))
    with pytest.raises(InputError, match="960 of 960 that are NaN or infinite"):
        read_volume(patched(tmp_path / "b.nii", 112, "<2f", 1e20, 0.0))


# Frames --------------------------------------------------------------------------------------------------------------


def rotation(vector: list[float]) -> Array:
    """Rodrigues' formula."""
    angle = float(np.linalg.norm(vector))
    if angle < 1e-9:
        return np.eye(3)
    x, y, z = np.array(vector) / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


@st.composite
def affines(draw: st.DrawFn) -> Array:
    """Rotated, permuted, mirrored and stretched."""
    turn = rotation(draw(st.lists(st.floats(-3.1, 3.1), min_size=3, max_size=3)))
    order = draw(st.permutations(range(3)))
    signs = draw(st.lists(st.sampled_from([-1.0, 1.0]), min_size=3, max_size=3))
    sides = draw(st.lists(st.floats(0.2, 8.0), min_size=3, max_size=3))
    affine = np.eye(4)
    affine[:3, :3] = (turn @ np.eye(3)[:, order]) * np.array(signs) * sides
    affine[:3, 3] = draw(st.lists(st.floats(-300, 300), min_size=3, max_size=3))
    return affine


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(affine=affines(), second=affines(), codes=st.tuples(st.integers(0, 4), st.integers(0, 4)), double=st.booleans())
def test_every_voxel_lies_where_nibabel_puts_it(
    affine: Array, second: Array, codes: tuple[int, int], double: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("a")
    image = (nibabel.Nifti2Image if double else nibabel.Nifti1Image)(np.transpose(voxels(0)), affine)
    image.set_sform(affine, codes[0])
    image.set_qform(second, codes[1])
    nibabel.save(image, folder / "a.nii")
    volume, image = read_volume(folder / "a.nii"), nibabel.load(folder / "a.nii")
    indices = np.random.default_rng(0).integers(0, SHAPE[::-1], (20, 3))
    points = nibabel.affines.apply_affine(image.affine, indices)
    np.testing.assert_allclose(nibabel.affines.apply_affine(affine_of(volume.geometry), indices), points, atol=1e-3)
    assert nibabel.aff2axcodes(affine_of(volume.geometry)) == nibabel.aff2axcodes(image.affine)
    write_volume(Volume(voxels(1) > 50, volume.geometry), folder / "mask.nii.gz")
    # The mask is a NIfTI-1: of a quaternion in double precision single precision keeps four digits near a half turn.
    check_carried(folder / "mask.nii.gz", folder / "a.nii", 1e-3 if double else 1e-5)
    shutil.rmtree(folder)


def check_carried(mask: Path, scan: Path, tolerance: float = 1e-5) -> None:
    """The mask says the same of space as the scan, in every way in which one may look."""
    got, expected = nibabel.load(mask), nibabel.load(scan)
    np.testing.assert_allclose(got.affine, expected.affine, rtol=tolerance, atol=tolerance)
    for read in ("get_qform", "get_sform"):
        (one, code), (other, other_code) = getattr(got, read)(coded=True), getattr(expected, read)(coded=True)
        assert code == other_code
        assert (one is None) == (other is None)
        if one is not None:
            np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)
    assert got.header.get_xyzt_units() == expected.header.get_xyzt_units()


LPS = np.diag([-1.0, -1.0, 3.0, 1.0])


def with_element(row: int, column: int, value: float) -> Array:
    affine = LPS.copy()
    affine[row, column] = value
    return affine


def write_frames(path: Path, qform: Array, sform: Array, codes: tuple[int, int]) -> Path:
    image = nibabel.Nifti1Image(np.transpose(voxels(0, (20, 48, 48))), np.eye(4))
    image.set_qform(qform, codes[0])
    image.set_sform(sform, codes[1])
    image.header.set_xyzt_units("mm", "sec")
    nibabel.save(image, path)
    return path


FRAMES: dict[str, tuple[Array, Array, tuple[int, int]]] = {
    "shifted": (LPS, with_element(0, 3, 10.0), (1, 2)),
    "opposite": (LPS, np.diag([1.0, 1.0, 3.0, 1.0]), (1, 2)),
    "qform alone": (np.diag([1.0, 1.0, 3.0, 1.0]), LPS, (1, 0)),
    "sform alone": (LPS, np.diag([1.0, 1.0, 3.0, 1.0]), (0, 4)),
    "none": (LPS, LPS, (0, 0)),
    "slightly sheared": (LPS, with_element(0, 2, 3e-2), (0, 1)),
    "sheared, with a qform": (LPS, with_element(0, 2, 0.6), (1, 1)),
    "left-handed": (np.diag([1.0, -1.0, 3.0, 1.0]), np.diag([1.0, -1.0, 3.0, 1.0]), (3, 5)),
}


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize(("qform", "sform", "codes"), FRAMES.values(), ids=FRAMES)
def test_a_mask_carries_the_frames_of_its_scan(
    qform: Array, sform: Array, codes: tuple[int, int], suffix: str, tmp_path: Path
) -> None:
    scan = write_frames(tmp_path / "a.nii", qform, sform, codes)
    volume = read_volume(scan)
    write_volume(Volume(np.zeros_like(volume.voxels, bool), volume.geometry), tmp_path / f"mask{suffix}")
    check_carried(tmp_path / f"mask{suffix}", scan)
    again = read_volume(tmp_path / f"mask{suffix}")
    assert again.geometry == volume.geometry
    assert again.remarks == volume.remarks


def test_frames_of_another_grid_are_not_carried(tmp_path: Path) -> None:
    geometry = read_volume(write_frames(tmp_path / "a.nii", LPS, LPS, (1, 4))).geometry
    assert geometry is not None
    moved = replace(geometry, origin=(5.0, 0.0, 0.0))
    write_volume(Volume(voxels(0), moved), tmp_path / "b.nii.gz")
    np.testing.assert_allclose(nibabel.load(tmp_path / "b.nii.gz").affine, affine_ras(moved), atol=1e-5)


@pytest.mark.parametrize("name", ["a.mha", "a.mhd", "a.nrrd", "a.nhdr", "a.mgz", "a.hdr"])
@pytest.mark.parametrize("geometry", [CUBIC, FLAT, OBLIQUE], ids=["cubic", "flat", "oblique"])
def test_a_mask_of_any_format_lies_where_its_scan_lies(name: str, geometry: Geometry, tmp_path: Path) -> None:
    if name == "a.mgz":
        nibabel.save(nibabel.MGHImage(np.transpose(voxels(0)).astype(np.int32), affine_ras(geometry)), tmp_path / name)
    elif name == "a.hdr":
        image = nibabel.Nifti1Pair(np.transpose(voxels(0)), affine_ras(geometry))
        nibabel.save(image, tmp_path / name)
    else:
        write_itk(tmp_path / name, voxels(0), geometry)
    volume = read_volume(tmp_path / name)
    check_geometry(volume.geometry, geometry)
    write_volume(Volume(volume.voxels > 100, volume.geometry), tmp_path / "mask.nii.gz")
    mask = nibabel.load(tmp_path / "mask.nii.gz")
    if name == "a.hdr":
        check_carried(tmp_path / "mask.nii.gz", tmp_path / name)
        return
    np.testing.assert_allclose(mask.affine, affine_ras(geometry), rtol=1e-5, atol=1e-4)
    for read in (mask.get_qform, mask.get_sform):
        affine, code = read(coded=True)
        assert code == 1
        np.testing.assert_allclose(affine, affine_ras(geometry), atol=1e-4)


def test_rounded_and_sheared_axes_are_straightened_with_a_remark(tmp_path: Path) -> None:
    turn = rotation([0.3, -0.5, 0.7])
    for digits, said in ((8, False), (3, True)):
        affine = np.eye(4)
        affine[:3, :3], affine[:3, 3] = np.round(turn, digits) * (0.9, 0.9, 3.0), (-80, -100, 20)
        volume = read_volume(write_frames(tmp_path / "a.nii", affine, affine, (0, 1)))
        assert bool(volume.remarks) == said
        geometry = volume.geometry
        assert geometry is not None
        direction = np.array(geometry.direction).reshape(3, 3)
        np.testing.assert_allclose(direction.T @ direction, np.eye(3), atol=1e-9)
        np.testing.assert_allclose(affine_of(geometry), affine, atol=3e-3)
    volume = read_volume(write_frames(tmp_path / "b.nii", LPS, with_element(0, 2, 3e-2), (0, 1)))
    assert "0.39 mm" in volume.remarks[0]
    assert volume.geometry is not None
    # nibabel straightens in the same way where it writes a qform
    header = nibabel.Nifti1Header()
    header.set_qform(with_element(0, 2, 3e-2), 1)
    np.testing.assert_allclose(affine_of(volume.geometry), header.get_qform(), atol=1e-5)


def test_far_shear_is_refused_with_advice(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"8\.0 mm of 6. mm; resample"):
        read_volume(write_frames(tmp_path / "a.nii", LPS, with_element(0, 2, 0.6), (0, 1)))
    with pytest.raises(InputError, match="right angles"):  # the qform turns the patient quite otherwise
        read_volume(write_frames(tmp_path / "b.nii", np.diag([1.0, -1.0, 3.0, 1.0]), with_element(0, 2, 0.6), (1, 1)))


def test_frames_that_contradict_each_other_are_worth_a_remark(tmp_path: Path) -> None:
    volume = read_volume(write_frames(tmp_path / "a.nii", *FRAMES["opposite"]))
    assert volume.remarks == (
        "its sform and its qform say opposite things of the patient's position: the sform is used",
    )
    assert not read_volume(write_frames(tmp_path / "b.nii", *FRAMES["shifted"])).remarks


def test_a_file_that_does_not_say_how_the_patient_lies(tmp_path: Path) -> None:
    volume = read_volume(write_frames(tmp_path / "a.nii", LPS, LPS, (0, 0)))
    assert volume.geometry is not None
    assert not volume.geometry.placed
    assert "left and right are not certain" in volume.remarks[0]
    assert read_volume(write_frames(tmp_path / "b.nii", LPS, LPS, (0, 1))).geometry.placed  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("side", "codes", "thick"), [(-3.0, (1, 0), True), (0.0, (1, 0), False), (0.0, (0, 0), False), (0.0, (1, 1), True)]
)
def test_odd_voxel_sides_are_read_as_nibabel_reads_them(
    side: float, codes: tuple[int, int], thick: bool, tmp_path: Path
) -> None:
    path = patched(write_frames(tmp_path / "a.nii", LPS, LPS, codes), 76 + 12, "<f", side)
    volume = read_volume(path)
    np.testing.assert_allclose(affine_of(volume.geometry), nibabel.load(path).affine, atol=1e-6)
    assert volume.geometry is not None
    assert volume.geometry.thick == thick
    write_volume(Volume(volume.voxels > 9, volume.geometry), tmp_path / "m.nii.gz")
    np.testing.assert_allclose(nibabel.load(tmp_path / "m.nii.gz").affine, nibabel.load(path).affine, atol=1e-6)


def test_metres_are_read_as_millimetres_and_written_as_metres(tmp_path: Path) -> None:
    metres = np.diag([-0.001, -0.001, 0.003, 1.0])
    path = patched(write_frames(tmp_path / "a.nii", metres, metres, (1, 1)), 123, "B", 1)
    volume = read_volume(path)
    np.testing.assert_allclose(affine_of(volume.geometry), LPS, atol=1e-6)
    write_volume(Volume(volume.voxels, volume.geometry), tmp_path / "m.nii")
    check_carried(tmp_path / "m.nii", path)


def test_codes_that_are_none_count_as_zero(tmp_path: Path) -> None:
    path = patched(write_frames(tmp_path / "a.nii", LPS, with_element(0, 3, 9.0), (1, 1)), 254, "<h", 77)
    np.testing.assert_allclose(affine_of(read_volume(path).geometry), nibabel.load(path).affine)


@pytest.mark.parametrize("number", [NAN, INF, 1e30])
def test_numbers_that_are_no_place_are_refused(number: float, tmp_path: Path) -> None:
    path = patched(write_frames(tmp_path / "a.nii", LPS, LPS, (0, 1)), 280, "<f", number)
    with pytest.raises(InputError, match="positive voxel sides"):
        read_volume(path)
    path = patched(write_frames(tmp_path / "b.nii", LPS, LPS, (1, 1)), 280, "<f", number)
    volume = read_volume(path)
    assert volume.remarks == ("its sform is damaged or sheared too far: its qform is used",)
    np.testing.assert_allclose(affine_of(volume.geometry), LPS, atol=1e-6)


# Flat files, many axes, wide types -----------------------------------------------------------------------------------


@pytest.mark.parametrize("codes", [(0, 0), (1, 0), (0, 1)])
def test_flat_nifti(codes: tuple[int, int], tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(np.transpose(voxels(0)[0]), np.eye(4))
    image.set_qform(affine_ras(OBLIQUE), codes[0])
    image.set_sform(affine_ras(OBLIQUE), codes[1])
    nibabel.save(image, tmp_path / "a.nii")
    volume = read_volume(tmp_path / "a.nii")
    np.testing.assert_array_equal(volume.voxels, voxels(0)[:1])
    np.testing.assert_allclose(affine_of(volume.geometry), nibabel.load(tmp_path / "a.nii").affine, atol=1e-4)
    assert volume.geometry is not None
    assert not volume.geometry.thick
    assert stored_shape(tmp_path / "a.nii") == (16, 12, 1)


def test_single_slice_without_a_step_to_the_next(tmp_path: Path) -> None:
    affine = LPS.copy()
    affine[:, 2] = 0
    image = nibabel.Nifti1Image(np.transpose(voxels(0)[:1]), None)
    nibabel.save(image, tmp_path / "a.nii")
    patched(tmp_path / "a.nii", 254, "<h", 1)
    geometry = read_volume(patched(tmp_path / "a.nii", 280, "<12f", *affine[:3].ravel())).geometry
    assert geometry is not None
    assert geometry.spacing == (1.0, 1.0, 1.0)
    assert not geometry.thick


@pytest.mark.parametrize("axes", [(1,), (1, 1), (1, 1, 1, 1)])
@pytest.mark.parametrize("version", [1, 2])
def test_further_axes_of_length_one(axes: tuple[int, ...], version: int, tmp_path: Path) -> None:
    array = np.transpose(voxels(0)).reshape(16, 12, 5, *axes)
    kind = nibabel.Nifti1Image if version == 1 else nibabel.Nifti2Image
    nibabel.save(kind(array, affine_ras(OBLIQUE)), tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(read_volume(tmp_path / "a.nii.gz").voxels, voxels(0))
    assert stored_shape(tmp_path / "a.nii.gz") == (16, 12, 5)


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_type_in_both_byte_orders(dtype: str, order: str, tmp_path: Path) -> None:
    array = voxels(0, top=120).astype(dtype)
    header = nibabel.Nifti1Header(endianness=order)
    header.set_data_dtype(np.dtype(order + dtype))
    nibabel.save(nibabel.Nifti1Image(np.transpose(array), np.eye(4), header), tmp_path / "a.nii")
    sizes = "ObjectType = Image\nNDims = 3\nDimSize = 16 12 5\n"
    names = {"i1": "CHAR", "u1": "UCHAR", "i2": "SHORT", "u2": "USHORT", "i4": "INT", "u4": "UINT", "f4": "FLOAT",
             "f8": "DOUBLE", "i8": "LONG_LONG", "u8": "ULONG_LONG"}  # fmt: skip
    text = (
        f"{sizes}BinaryDataByteOrderMSB = {order == '>'}\nElementType = MET_{names[dtype]}\nElementDataFile = LOCAL\n"
    )
    (tmp_path / "a.mha").write_bytes(text.encode() + array.astype(order + dtype).tobytes())
    words = {"i1": "int8", "u1": "uchar", "i2": "short", "u2": "uint16", "i4": "int", "u4": "unsigned int",
             "f4": "float", "f8": "double", "i8": "long long", "u8": "uint64"}  # fmt: skip
    text = f"NRRD0005\nType: {words[dtype]}\ndimension: 3\nsizes: 16 12 5\nencoding: raw\n"
    text += f"endian: {'little' if order == '<' else 'big'}\n\n"
    (tmp_path / "a.nrrd").write_bytes(text.encode() + array.astype(order + dtype).tobytes())
    for name in ("a.nii", "a.mha", "a.nrrd"):
        got = read_volume(tmp_path / name).voxels
        np.testing.assert_array_equal(got, array)
        assert got.dtype == np.dtype(dtype)
    write_volume(Volume(array, FLAT), tmp_path / "b.nii.gz")
    np.testing.assert_array_equal(np.transpose(np.asarray(nibabel.load(tmp_path / "b.nii.gz").dataobj)), array)


@pytest.mark.parametrize(
    ("dtype", "stored"), [(bool, "u1"), (np.float16, "f4"), (">f4", "f4"), (">i2", "i2"), (np.longdouble, "f8")]
)
def test_types_that_nifti_lacks_are_written_as_others(dtype: object, stored: str, tmp_path: Path) -> None:
    array = voxels(0, top=2).astype(dtype)  # type: ignore[call-overload]
    write_volume(Volume(array, FLAT), tmp_path / "b.nii.gz")
    image = nibabel.load(tmp_path / "b.nii.gz")
    np.testing.assert_array_equal(np.transpose(np.asarray(image.dataobj)), array)
    assert image.get_data_dtype() == np.dtype(stored)


def test_written_nifti_is_the_same_byte_for_byte_and_the_axes_have_a_limit(tmp_path: Path) -> None:
    for name in ("a.nii.gz", "b.nii.gz"):
        write_volume(Volume(voxels(0), OBLIQUE), tmp_path / name)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()
    with pytest.raises(InputError, match="32768x1x1"):
        write_volume(Volume(np.zeros((1, 1, 2**15), np.uint8)), tmp_path / "c.nii")
    assert not (tmp_path / "c.nii").exists()


def test_long_axes_of_nifti_2(tmp_path: Path) -> None:
    array = np.arange(40000, dtype=np.int32).reshape(1, 1, 40000)
    write_nifti(tmp_path / "a.nii.gz", array, version=2)
    np.testing.assert_array_equal(read_volume(tmp_path / "a.nii.gz").voxels, array)


# Channels ------------------------------------------------------------------------------------------------------------

FOUR = np.stack([voxels(seed) for seed in range(3)])  # (channel, z, y, x)


def write_4d(path: Path) -> None:
    """Three channels in the way that the name says."""
    if path.suffix in (".nii", ".gz", ".mgz", ".hdr"):
        if path.suffix == ".mgz":
            nibabel.save(nibabel.MGHImage(np.transpose(FOUR).astype(np.int32), affine_ras(OBLIQUE)), path)
        elif path.suffix == ".hdr":
            nibabel.save(nibabel.AnalyzeImage(np.transpose(FOUR), None), path)
        elif "vector" in path.name:  # x, y, z, 1, channel
            nibabel.save(nibabel.Nifti1Image(np.transpose(FOUR)[..., None, :], affine_ras(OBLIQUE)), path)
        else:
            nibabel.save(nibabel.Nifti1Image(np.transpose(FOUR), affine_ras(OBLIQUE)), path)
        return
    if "vector" in path.name:
        image = sitk.GetImageFromArray(np.ascontiguousarray(np.moveaxis(FOUR, 0, -1)), isVector=True)
        image.SetSpacing(OBLIQUE.spacing)
        image.SetOrigin(OBLIQUE.origin)
        image.SetDirection(OBLIQUE.direction)
        sitk.WriteImage(image, str(path), useCompression="packed" in path.name)
        return
    joined = sitk.JoinSeries([sitk.GetImageFromArray(one) for one in FOUR])
    direction = np.eye(4)
    direction[:3, :3] = np.array(OBLIQUE.direction).reshape(3, 3)
    joined.SetSpacing((*OBLIQUE.spacing, 1.0))
    joined.SetOrigin((*OBLIQUE.origin, 0.0))
    joined.SetDirection(direction.ravel().tolist())
    sitk.WriteImage(joined, str(path), useCompression="packed" in path.name)


MANY = ["a.nii", "a.nii.gz", "vector.nii", "a.mgz", "a.hdr", "a.mha", "a_packed.mha", "vector.mha", "vector_packed.mha",
        "vector.mhd", "a.nrrd", "a_packed.nrrd", "vector.nrrd", "vector_packed.nrrd", "vector.nhdr"]  # fmt: skip


@pytest.mark.parametrize("name", MANY)
def test_one_channel_of_several(name: str, tmp_path: Path) -> None:
    write_4d(tmp_path / name)
    assert stored_shape(tmp_path / name) == (16, 12, 5, 3)
    for channel in range(3):
        volume = read_volume(tmp_path / name, channel)
        np.testing.assert_array_equal(volume.voxels, FOUR[channel])
        if name != "a.hdr":
            check_geometry(volume.geometry, OBLIQUE)
    for wrong in (-1, 3):
        with pytest.raises(InputError, match=f"channel {wrong} of a file that holds 3"):
            read_volume(tmp_path / name, wrong)
    with pytest.raises(InputError, match=r"3 (volumes|numbers).*dataset\.json"):
        read_volume(tmp_path / name)


def test_channels_as_3d_slicer_writes_them(tmp_path: Path) -> None:
    text = (
        "NRRD0004\ntype: short\ndimension: 4\nspace: right-anterior-superior\nsizes: 3 16 12 5\n"
        "space directions: none (0.5,0,0) (0,0.75,0) (0,0,6.5)\nkinds: list domain domain domain\nendian: little\n"
        "encoding: gzip\nspace origin: (1,2,3)\nSegment0_ID:=Segment_1\n\n"
    )
    content = gzip.compress(np.moveaxis(FOUR, 0, -1).astype("<i2").tobytes())
    (tmp_path / "a.seg.nrrd").write_bytes(text.encode() + content)
    volume = read_volume(tmp_path / "a.seg.nrrd", 1)
    np.testing.assert_array_equal(volume.voxels, FOUR[1])
    expected = np.diag([0.5, 0.75, 6.5, 1.0])
    expected[:3, 3] = 1, 2, 3
    np.testing.assert_allclose(affine_of(volume.geometry), expected)


def test_a_bad_channel_elsewhere_does_not_matter_but_damage_does(tmp_path: Path) -> None:
    four = FOUR.astype(np.float32)
    four[2, 0, 0, 0] = np.nan
    nibabel.save(nibabel.Nifti1Image(np.transpose(four), np.eye(4)), tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(read_volume(tmp_path / "a.nii.gz", 0).voxels, four[0])
    with pytest.raises(InputError, match="1 of 960 that are NaN"):
        read_volume(tmp_path / "a.nii.gz", 2)
    content = (tmp_path / "a.nii.gz").read_bytes()
    (tmp_path / "a.nii.gz").write_bytes(content[:-3])
    with pytest.raises(InputError, match="then damage"):
        read_volume(tmp_path / "a.nii.gz", 0)


def test_two_further_axes_are_refused(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 5, 6, 2, 3), np.int16), np.eye(4)), tmp_path / "a.nii")
    with pytest.raises(InputError, match="4x5x6x2x3"):
        read_volume(tmp_path / "a.nii", 0)


# Two files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Pair, nibabel.Nifti2Pair, nibabel.AnalyzeImage])
@pytest.mark.parametrize("ending", [("hdr", "img"), ("hdr.gz", "img.gz"), ("HDR", "IMG")])
def test_pairs(ending: tuple[str, str], kind: type, order: str, tmp_path: Path) -> None:
    image = kind(np.transpose(voxels(0)), None, kind.header_class(endianness=order))
    image.header.set_zooms((0.5, 0.75, 6.5))
    image.to_filename(tmp_path / f"a.{ending[0].lower()}")
    for one in ("hdr", "img"):
        for path in list(tmp_path.glob(f"a.{one}*")):
            path.rename(tmp_path / f"a.{ending[one == 'img']}")
    header, data = (tmp_path / f"a.{one}" for one in ending)
    assert kind_of(header) == ("analyze" if kind is nibabel.AnalyzeImage else "nifti")
    assert kind_of(data) == "unknown" or ending[0] == "hdr.gz"
    assert data_of(header) == data
    for path in (header, data):
        volume = read_volume(path)
        np.testing.assert_array_equal(volume.voxels, voxels(0))
        expected = np.diag([-0.5, 0.75, 6.5, 1.0])
        expected[:3, 3] = 0.5 * 7.5, -0.75 * 5.5, -6.5 * 2
        np.testing.assert_allclose(affine_of(volume.geometry), expected)
        assert any("left and right are not certain" in remark for remark in volume.remarks)
        assert volume.geometry is not None
        assert not volume.geometry.placed


def test_analyze_as_spm_wrote_it(tmp_path: Path) -> None:
    header = nibabel.Spm99AnalyzeHeader()
    header.set_data_shape((16, 12, 5))
    header.set_zooms((2, 3, 4))
    header["origin"][:3] = 3, 4, 5
    header["scl_slope"] = 0.5
    image = nibabel.Spm99AnalyzeImage(np.transpose(voxels(0)), None, header)
    image.to_filename(tmp_path / "a.img")
    patched(tmp_path / "a.hdr", 112, "<f", 0.5)
    (tmp_path / "a.mat").unlink(missing_ok=True)
    expected = nibabel.load(tmp_path / "a.img")
    volume = read_volume(tmp_path / "a.hdr")
    np.testing.assert_array_equal(volume.voxels, np.transpose(np.asarray(expected.dataobj)))
    np.testing.assert_allclose(affine_of(volume.geometry), expected.affine)
    patched(tmp_path / "a.hdr", 112, "<2f", 0.0, 0.0)
    patched(tmp_path / "a.hdr", 124, "<2f", 0.75, 0.25)
    patched(tmp_path / "a.hdr", 140, "<2i", 110, 10)
    expected = nibabel.load(tmp_path / "a.img")
    np.testing.assert_allclose(
        read_volume(tmp_path / "a.hdr").voxels, np.transpose(np.asarray(expected.dataobj)), rtol=1e-6
    )


def test_the_other_file_of_a_volume(tmp_path: Path) -> None:
    write_itk(tmp_path / "a.mhd", voxels(0), compress=True)
    write_itk(tmp_path / "b.nhdr", voxels(0), compress=True)
    write_itk(tmp_path / "c.mha", voxels(0))
    write_nifti(tmp_path / "d.nii", voxels(0))
    assert data_of(tmp_path / "a.mhd") == tmp_path / "a.zraw"
    assert data_of(tmp_path / "b.nhdr") == tmp_path / "b.raw.gz"
    assert [data_of(tmp_path / name) for name in ("c.mha", "d.nii", "a.zraw", "none.hdr", "none.mhd")] == [None] * 5
    (tmp_path / "a.zraw").unlink()
    assert data_of(tmp_path / "a.mhd") is None


def test_named_img_is_read_where_a_packed_one_lies_beside_it(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Pair(np.transpose(voxels(1)), np.eye(4)), tmp_path / "a.img")
    nibabel.save(nibabel.Nifti1Pair(np.transpose(voxels(2)), np.eye(4)), tmp_path / "b.img")
    (tmp_path / "a.img.gz").write_bytes(gzip.compress((tmp_path / "b.img").read_bytes()))
    np.testing.assert_array_equal(read_volume(tmp_path / "a.img").voxels, voxels(1))
    np.testing.assert_array_equal(read_volume(tmp_path / "a.hdr").voxels, voxels(1))
    np.testing.assert_array_equal(read_volume(tmp_path / "a.img.gz").voxels, voxels(2))


# MGH, MetaImage, NRRD ------------------------------------------------------------------------------------------------


def load_mgh(path: Path) -> nibabel.MGHImage:
    """Through memory: nibabel forgets to close the file."""
    content = path.read_bytes()
    return nibabel.MGHImage.from_bytes(gzip.decompress(content) if path.suffix == ".mgz" else content)


@pytest.mark.parametrize("suffix", [".mgh", ".mgz"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float32, np.uint16])
@pytest.mark.parametrize("geometry", [CUBIC, FLAT, OBLIQUE], ids=["cubic", "flat", "oblique"])
def test_mgh(geometry: Geometry, dtype: type, suffix: str, tmp_path: Path) -> None:
    array = voxels(0, dtype=dtype)
    nibabel.save(nibabel.MGHImage(np.transpose(array), affine_ras(geometry)), tmp_path / f"a{suffix}")
    assert kind_of(tmp_path / f"a{suffix}") == "mgh"
    volume = read_volume(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(volume.voxels, array)
    assert volume.voxels.dtype == dtype
    np.testing.assert_allclose(affine_of(volume.geometry), load_mgh(tmp_path / f"a{suffix}").affine, atol=1e-4)


def test_mgh_that_does_not_say_where_it_lies(tmp_path: Path) -> None:
    _mgh(tmp_path / "a.mgh", voxels(0))
    patched(tmp_path / "a.mgh", 28, ">h", 0)
    expected = load_mgh(tmp_path / "a.mgh").affine
    np.testing.assert_allclose(affine_of(read_volume(tmp_path / "a.mgh").geometry), expected)


@pytest.mark.parametrize(
    "space", ["left-posterior-superior", "LPS", "right-anterior-superior", "RAS", "left-anterior-superior", "LAS"]
)
def test_nrrd_spaces(space: str, tmp_path: Path) -> None:
    text = (
        f"NRRD0004\ntype: short\ndimension: 3\nspace: {space}\nsizes: 16 12 5\nencoding: raw\nendian: little\n"
        "space directions: (0,0.5,0) (0.7,0,0) (0,0,-3)\nspace origin: (10,-20,30)\n\n"
    )
    (tmp_path / "a.nrrd").write_bytes(text.encode() + voxels(0).astype("<i2").tobytes())
    image, got = sitk.ReadImage(str(tmp_path / "a.nrrd")), read_volume(tmp_path / "a.nrrd")
    check_geometry(got.geometry, Geometry(image.GetSpacing(), image.GetOrigin(), image.GetDirection()))


@pytest.mark.parametrize(
    "lines",
    ["spacings: 0.5 0.75 6.5", "spacings: 0.5 0.75 6.5\naxis mins: 1 2 3\ncenters: node node node",
     "spacings: 0.5 0.75 6.5\naxismins: 1 2 3\ncenterings: cell cell cell", "kinds: domain domain domain",
     "space dimension: 3\nspace directions: (0.5,0,0) (0,0.75,0) (0,0,6.5)", "spacings: 0.5 0.75 NaN"],
)  # fmt: skip
def test_nrrd_without_a_space(lines: str, tmp_path: Path) -> None:
    text = f"NRRD0004\ntype: short\ndimension: 3\nsizes: 16 12 5\nencoding: raw\nendian: little\n{lines}\n\n"
    (tmp_path / "a.nrrd").write_bytes(text.encode() + voxels(0).astype("<i2").tobytes())
    image, got = sitk.ReadImage(str(tmp_path / "a.nrrd")), read_volume(tmp_path / "a.nrrd")
    check_geometry(got.geometry, Geometry(image.GetSpacing(), image.GetOrigin(), image.GetDirection()))


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(affine=affines(), name=st.sampled_from(["a.mha", "a.mhd", "a.nrrd", "a.nhdr"]))
def test_meta_and_nrrd_lie_where_itk_puts_them(
    affine: Array, name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("a")
    sides = np.linalg.norm(affine[:3, :3], axis=0)
    direction = tuple((affine[:3, :3] / sides).ravel().tolist())
    geometry = Geometry(tuple(sides.tolist()), tuple(affine[:3, 3].tolist()), direction)  # type: ignore[arg-type]
    write_itk(folder / name, voxels(0), geometry)
    volume, image = read_volume(folder / name), sitk.ReadImage(str(folder / name))
    np.testing.assert_array_equal(volume.voxels, sitk.GetArrayFromImage(image))
    check_geometry(volume.geometry, Geometry(image.GetSpacing(), image.GetOrigin(), image.GetDirection()))
    shutil.rmtree(folder)


@pytest.mark.parametrize("lines", ["Position = 1 2 3", "Origin = 1 2 3\nRotation = 0 1 0 1 0 0 0 0 1",
                                   "ElementSpacing = 0.5 0.5 -2\nOffset = 1 2 3"])  # fmt: skip
def test_metaimage_fields_of_other_names(lines: str, tmp_path: Path) -> None:
    text = (
        f"ObjectType = Image\nNDims = 3\n{lines}\nDimSize = 16 12 5\nElementType = MET_SHORT\nElementDataFile = LOCAL\n"
    )
    (tmp_path / "a.mha").write_bytes(text.encode() + voxels(0).astype("<i2").tobytes())
    image, got = sitk.ReadImage(str(tmp_path / "a.mha")), read_volume(tmp_path / "a.mha")
    check_geometry(got.geometry, Geometry(image.GetSpacing(), image.GetOrigin(), image.GetDirection()))
    twice = text.replace("DimSize", "Offset = 9 9 9\nDimSize") if "Offset" not in lines else text.replace(
        "DimSize", "Origin = 9 9 9\nDimSize"
    )  # fmt: skip
    (tmp_path / "b.mha").write_bytes(twice.encode() + voxels(0).astype("<i2").tobytes())
    with pytest.raises(InputError, match="two values under"):
        read_volume(tmp_path / "b.mha")


def test_metaimage_whose_voxels_end_the_file(tmp_path: Path) -> None:
    text = "ObjectType = Image\nNDims = 3\nDimSize = 16 12 5\nElementType = MET_SHORT\nHeaderSize = -1\n"
    text += "ElementDataFile = {}\n"
    (tmp_path / "a.mhd").write_text(text.format("a.ima"))
    (tmp_path / "a.ima").write_bytes(bytes(77) + voxels(0).astype("<i2").tobytes())
    np.testing.assert_array_equal(read_volume(tmp_path / "a.mhd").voxels, voxels(0))
    (tmp_path / "a.ima").write_bytes(bytes(1900))
    with pytest.raises(InputError, match="1920 bytes over 1900"):
        read_volume(tmp_path / "a.mhd")
    (tmp_path / "b.mhd").write_text(text.replace("HeaderSize = -1", "HeaderSize = 77").format("b.ima"))
    (tmp_path / "b.ima").write_bytes(bytes(77) + voxels(0).astype("<i2").tobytes())
    np.testing.assert_array_equal(read_volume(tmp_path / "b.mhd").voxels, voxels(0))


# Kinds ---------------------------------------------------------------------------------------------------------------


def test_kinds_that_are_named_but_not_read(tmp_path: Path) -> None:
    from PIL import Image

    grey = Image.fromarray(voxels(0, (12, 16), np.uint8))
    for suffix, kind in {"bmp": "bmp", "gif": "gif", "webp": "webp", "jp2": "jp2", "pgm": "netpbm"}.items():
        grey.save(tmp_path / f"a.{suffix}")
        assert kind_of(tmp_path / f"a.{suffix}") == kind
    np.save(tmp_path / "a.npy", voxels(0))
    assert kind_of(tmp_path / "a.npy") == "npy"
    for name, content in {"a.txt": b"P5 is a paper size", "b.txt": b"BMI 22", "c.img": bytes(400)}.items():
        (tmp_path / name).write_bytes(content)
        assert kind_of(tmp_path / name) == "unknown"


def test_suffixes_in_one_piece() -> None:
    names = {"a.b.nii.gz": "a.b", "a.HDR.GZ": "a", "a.seg.nrrd": "a.seg", "a.nii.gz.nii.gz": "a", "a": "a"}
    assert {name: stem_of(Path(name)) for name in names} == names
    assert suffix_of(Path("A.IMG.GZ")) == ".img.gz"


# Cropped masks -------------------------------------------------------------------------------------------------------


def part_of(image: sitk.Image) -> Volume:
    """An image of SimpleITK as a volume."""
    geometry = Geometry(image.GetSpacing(), image.GetOrigin(), image.GetDirection())
    return Volume(sitk.GetArrayFromImage(image), geometry)


def drawn() -> sitk.Image:
    mask = np.zeros(SHAPE, np.uint8)
    mask[1:4, 2:9, 5:12] = np.random.default_rng(0).integers(0, 3, (3, 7, 7))
    image = sitk.GetImageFromArray(mask)
    image.SetSpacing(OBLIQUE.spacing)
    image.SetOrigin(OBLIQUE.origin)
    image.SetDirection(OBLIQUE.direction)
    return image


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("flips", list(itertools.product([False, True], repeat=3)))
def test_cropped_and_turned_masks_are_put_back(order: tuple[int, ...], flips: tuple[bool, ...], tmp_path: Path) -> None:
    whole = drawn()
    cropped = sitk.RegionOfInterest(whole, (7, 7, 3), (5, 2, 1))
    for image in (whole, cropped):
        turned = part_of(sitk.Flip(sitk.PermuteAxes(image, order), flips))
        got = paste_onto(turned, OBLIQUE, SHAPE)
        assert got is not None
        np.testing.assert_array_equal(got.voxels, sitk.GetArrayFromImage(whole))
        assert got.geometry == OBLIQUE


def test_a_mask_that_reaches_beyond_the_image(tmp_path: Path) -> None:
    padded = part_of(sitk.ConstantPad(drawn(), (3, 2, 1), (1, 2, 3)))
    got = paste_onto(padded, OBLIQUE, SHAPE)
    assert got is not None
    np.testing.assert_array_equal(got.voxels, sitk.GetArrayFromImage(drawn()))
    padded.voxels[0, 0, 0] = 1
    with pytest.raises(InputError, match=r"1 of \d+ marked voxels outside"):
        paste_onto(padded, OBLIQUE, SHAPE)
    elsewhere = part_of(drawn())
    elsewhere = Volume(elsewhere.voxels, replace(OBLIQUE, origin=tuple(
        np.array(OBLIQUE.origin) + 40 * 0.9 * np.array(OBLIQUE.direction).reshape(3, 3)[:, 0])))  # type: ignore[arg-type]  # fmt: skip
    with pytest.raises(InputError, match="marked voxels outside"):
        paste_onto(elsewhere, OBLIQUE, SHAPE)


def test_masks_on_other_grids_are_not_pasted() -> None:
    mask = part_of(drawn())
    assert mask.geometry is not None
    step = np.array(OBLIQUE.direction).reshape(3, 3)[:, 0] * OBLIQUE.spacing[0]
    for share, fits in ((0.005, True), (0.02, False), (0.5, False)):
        moved = replace(OBLIQUE, origin=tuple((np.array(OBLIQUE.origin) + share * step).tolist()))  # type: ignore[arg-type]
        assert (paste_onto(Volume(mask.voxels, moved), OBLIQUE, SHAPE) is not None) == fits
    assert paste_onto(Volume(mask.voxels, replace(OBLIQUE, spacing=(0.9, 1.2, 2.0))), OBLIQUE, SHAPE) is None
    assert paste_onto(Volume(mask.voxels, FLAT), OBLIQUE, SHAPE) is None
    assert paste_onto(Volume(mask.voxels), OBLIQUE, SHAPE) is None
    assert same_grid(OBLIQUE, OBLIQUE)
