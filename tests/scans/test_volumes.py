"""Volumes keep voxels and geometry through every format, checked against nibabel and SimpleITK."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from synthoma.core.errors import InputError
from synthoma.scans.case import Geometry, Volume
from synthoma.scans.grids import onto_grid, same_grid
from synthoma.scans.volumes import read_volume, write_volume
from tests.scans.writers import CUBIC, FLAT, GEOMETRIES, OBLIQUE, affine_ras, voxels, write_itk, write_nifti

SUFFIXES = [".nii", ".nii.gz", ".mha", ".nrrd"]
TYPES = [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64]


def check_geometry(got: Geometry | None, expected: Geometry) -> None:
    assert got is not None
    np.testing.assert_allclose(got.spacing, expected.spacing, rtol=1e-5)
    np.testing.assert_allclose(got.origin, expected.origin, atol=1e-4)
    np.testing.assert_allclose(got.direction, expected.direction, atol=1e-5)


@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES)
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_round_trip(suffix: str, dtype: type, geometry: Geometry, tmp_path: Path) -> None:
    volume = Volume(voxels(0, dtype=dtype), geometry)
    write_volume(volume, tmp_path / f"a{suffix}")
    got = read_volume(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(got.voxels, volume.voxels)
    assert got.voxels.dtype == volume.voxels.dtype
    check_geometry(got.geometry, geometry)
    assert [path.name for path in tmp_path.iterdir()] == [f"a{suffix}"]


@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES)
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("version", [1, 2])
def test_nifti_from_nibabel(version: int, suffix: str, geometry: Geometry, tmp_path: Path) -> None:
    array = voxels(0)
    write_nifti(tmp_path / f"a{suffix}", array, geometry, version)
    got = read_volume(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(got.voxels, array)
    check_geometry(got.geometry, geometry)


@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES)
def test_nibabel_reads_what_is_written(geometry: Geometry, tmp_path: Path) -> None:
    write_volume(Volume(voxels(0), geometry), tmp_path / "a.nii.gz")
    image = nibabel.load(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(np.transpose(np.asarray(image.dataobj)), voxels(0))
    np.testing.assert_allclose(image.affine, affine_ras(geometry), atol=1e-4)


@pytest.mark.parametrize("version", [1, 2])
def test_nifti_of_the_other_byte_order(version: int, tmp_path: Path) -> None:
    header = (nibabel.Nifti1Header if version == 1 else nibabel.Nifti2Header)(endianness=">")
    header.set_data_dtype(np.dtype(">f4"))
    kind = nibabel.Nifti1Image if version == 1 else nibabel.Nifti2Image
    nibabel.save(kind(np.transpose(voxels(0)).astype(">f4"), affine_ras(OBLIQUE), header), tmp_path / "a.nii")
    assert (tmp_path / "a.nii").read_bytes()[:4] == (348 if version == 1 else 540).to_bytes(4, "big")
    got = read_volume(tmp_path / "a.nii")
    np.testing.assert_array_equal(got.voxels, voxels(0))
    check_geometry(got.geometry, OBLIQUE)


def test_nifti_slope_is_applied(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(np.transpose(voxels(0)), np.eye(4))
    image.header.set_slope_inter(0.5, -3)
    image.to_filename(tmp_path / "a.nii")
    expected = np.transpose(nibabel.load(tmp_path / "a.nii").get_fdata())
    np.testing.assert_allclose(read_volume(tmp_path / "a.nii").voxels, expected, atol=1e-4)


def test_mirrored_axes_are_kept(tmp_path: Path) -> None:
    mirrored = replace(CUBIC, direction=(-1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
    write_nifti(tmp_path / "a.nii", voxels(0), mirrored)
    check_geometry(read_volume(tmp_path / "a.nii").geometry, mirrored)


def test_fourth_axis_of_length_one_and_flat_files(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(np.transpose(voxels(0))[..., None], affine_ras(OBLIQUE)), tmp_path / "a.nii")
    got = read_volume(tmp_path / "a.nii")
    np.testing.assert_array_equal(got.voxels, voxels(0))
    check_geometry(got.geometry, OBLIQUE)
    sitk.WriteImage(sitk.GetImageFromArray(voxels(0)[0]), str(tmp_path / "b.mha"))
    assert read_volume(tmp_path / "b.mha").voxels.shape == (1, 12, 16)


@pytest.mark.parametrize("header", [".mhd", ".nhdr"])
@pytest.mark.parametrize("compress", [False, True])
def test_data_beside_the_header(header: str, compress: bool, tmp_path: Path) -> None:
    write_itk(tmp_path / f"a{header}", voxels(0), FLAT, compress=compress)
    got = read_volume(tmp_path / f"a{header}")
    np.testing.assert_array_equal(got.voxels, voxels(0))
    check_geometry(got.geometry, FLAT)


def test_content_decides_and_not_the_name(tmp_path: Path) -> None:
    write_nifti(tmp_path / "a.nii.gz", voxels(0))
    write_nifti(tmp_path / "b.nii", voxels(1))
    (tmp_path / "a.nii.gz").rename(tmp_path / "gzip.nii")
    (tmp_path / "b.nii").rename(tmp_path / "plain.nii.gz")
    np.testing.assert_array_equal(read_volume(tmp_path / "gzip.nii").voxels, voxels(0))
    np.testing.assert_array_equal(read_volume(tmp_path / "plain.nii.gz").voxels, voxels(1))


def test_gzip_of_several_members(tmp_path: Path) -> None:
    write_nifti(tmp_path / "a.nii", voxels(0))
    content = (tmp_path / "a.nii").read_bytes()
    (tmp_path / "b.nii.gz").write_bytes(gzip.compress(content[:900]) + gzip.compress(content[900:]))
    np.testing.assert_array_equal(read_volume(tmp_path / "b.nii.gz").voxels, voxels(0))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_not_finite_voxels_are_counted(suffix: str, tmp_path: Path) -> None:
    array = voxels(0, dtype=np.float32)
    array[0, 0, :3] = np.nan, np.inf, -np.inf
    image = sitk.GetImageFromArray(array)
    sitk.WriteImage(image, str(tmp_path / f"a{suffix}"))
    with pytest.raises(InputError, match="3 of 960 that are NaN"):
        read_volume(tmp_path / f"a{suffix}")


def test_series_colours_and_wrong_names_are_refused(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 5, 6, 7), np.int16), np.eye(4)), tmp_path / "time.nii")
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((4, 5, 3), np.uint8), isVector=True), str(tmp_path / "colour.mha"))
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 5, 6), np.complex64), np.eye(4)), tmp_path / "complex.nii")
    nibabel.save(nibabel.Nifti1Pair(np.zeros((4, 5, 6), np.int16), np.eye(4)), tmp_path / "pair.hdr")
    (tmp_path / "pair.hdr").rename(tmp_path / "alone.hdr")
    write_itk(tmp_path / "plain.mha", voxels(0))
    (tmp_path / "packed.mha.gz").write_bytes(gzip.compress((tmp_path / "plain.mha").read_bytes()))
    (tmp_path / "text.nrrd").write_text("no volume")
    for name, words in {
        "time.nii": "7 volumes", "colour.mha": "one number", "complex.nii": "type 32", "alone.hdr": "a header alone",
        "pair.img": r"no sound \.hdr", "packed.mha.gz": "unpack it", "text.nrrd": "other or damaged",
    }.items():  # fmt: skip
        with pytest.raises(InputError, match=words):
            read_volume(tmp_path / name)


def test_only_known_suffixes_are_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\.nii\.gz"):
        write_volume(Volume(voxels(0)), tmp_path / "a.vtk")


def test_same_grid_has_a_tolerance() -> None:
    assert same_grid(OBLIQUE, replace(OBLIQUE, origin=tuple(value + 1e-3 for value in OBLIQUE.origin)))  # type: ignore[arg-type]
    assert not same_grid(OBLIQUE, FLAT)
    assert not same_grid(CUBIC, replace(CUBIC, origin=(-7.0, -9.0, 3.0)))


def test_resampling_is_exact_for_a_linear_ramp() -> None:
    z, y, x = np.meshgrid(np.arange(8.0), np.arange(10.0), np.arange(12.0), indexing="ij")
    ramp = Volume((3 * x - 2 * y + z).astype(np.float32), CUBIC)
    inner = Geometry((0.7, 0.8, 0.9), (CUBIC.origin[0] + 2, CUBIC.origin[1] + 1, CUBIC.origin[2] + 1.5))
    got = onto_grid(ramp, Volume(np.zeros((5, 6, 7), np.uint8), inner))
    k, j, i = np.meshgrid(np.arange(5), np.arange(6), np.arange(7), indexing="ij")
    expected = 3 * (2 + 0.7 * i) - 2 * (1 + 0.8 * j) + (1.5 + 0.9 * k)
    np.testing.assert_allclose(got.voxels, expected, atol=1e-4)
    assert got.geometry == inner


def test_resampling_refuses_what_lies_elsewhere() -> None:
    volume = Volume(voxels(0), CUBIC)
    assert onto_grid(volume, Volume(voxels(1), CUBIC)) is volume
    with pytest.raises(InputError, match="share 0 %"):
        onto_grid(volume, Volume(voxels(1), replace(CUBIC, origin=(500.0, 0.0, 0.0))))
    with pytest.raises(InputError, match="no geometry"):
        onto_grid(Volume(voxels(0)), volume)
