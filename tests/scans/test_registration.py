"""Rigid registration: known poses are found, and what cannot be registered is noticed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from synthoma.core.errors import InputError
from synthoma.core.types import Floats
from synthoma.phantom import PhantomConfig, phantom_cases
from synthoma.scans.case import IDENTITY, Geometry, Study, Vector3, Volume
from synthoma.scans.grids import same_grid, to_itk
from synthoma.scans.registration import LEAST_QUALITY, Registered, fitting_blocks, register
from synthoma.scans.rigid import RigidTransform

pytestmark = pytest.mark.slow

CENTRE = (4.0, 20.0, 10.0)


@pytest.fixture(scope="module")
def study() -> Study:
    """A whole head with a tumour in voxels of 2 mm."""
    return phantom_cases(1, 3, PhantomConfig(slice_mm=2.0, pixel_mm=2.0, sites=1))[0].load()


@pytest.fixture(scope="module")
def fixed(study: Study) -> Volume:
    return Volume(study.images["t1"], study.geometry)


def pose(degrees: Vector3, mm: Vector3) -> RigidTransform:
    euler = sitk.Euler3DTransform(CENTRE, *(float(angle) for angle in np.deg2rad(degrees)))
    return RigidTransform(tuple(euler.GetMatrix()), mm, CENTRE)


def moved(study: Study, name: str, truth: RigidTransform, thick: int) -> Volume:
    """A contrast of the study on an upright grid of its own, the head moved, slices averaged to be so thick."""
    image = to_itk(Volume(study.images[name].astype(np.float32), study.geometry))
    size, spacing = [100, 116, 96], [1.9, 2.1, 1.8]
    middle = np.array(CENTRE) + truth.translation
    origin = (middle - (np.array(size) - 1) * spacing / 2).tolist()
    seen = sitk.Resample(image, size, truth.inverse().to_itk(), sitk.sitkLinear, origin, spacing, IDENTITY, 0.0)
    seen = sitk.BinShrink(seen, [1, 1, thick])
    voxels = sitk.GetArrayFromImage(seen)
    return Volume(voxels, Geometry(seen.GetSpacing(), seen.GetOrigin(), seen.GetDirection()))


def brain(study: Study) -> Floats:
    """Places (N, 3) in mm about the middle of the head."""
    assert study.geometry is not None
    shape = np.array(next(iter(study.images.values())).shape)
    index = np.stack(np.meshgrid(*(np.linspace(0.25, 0.75, 5) * side for side in shape), indexing="ij"), -1)
    return index.reshape(-1, 3)[:, ::-1] * np.array(study.geometry.spacing) + np.array(study.geometry.origin)


def error(study: Study, result: Registered, truth: RigidTransform) -> float:
    points = brain(study)
    return float(np.linalg.norm(result.transform.apply(points) - truth.apply(points), axis=1).mean())


THICK = pose((10.0, -6.0, 8.0), (120.0, -80.0, 60.0))


@pytest.fixture(scope="module")
def thick(study: Study, fixed: Volume) -> tuple[Volume, Registered]:
    """A series in slices of 5.4 mm, and how it was registered."""
    moving = moved(study, "flair", THICK, 3)
    return moving, register(fixed, moving)


def test_thick_slices_in_another_frame_of_reference(
    study: Study, fixed: Volume, thick: tuple[Volume, Registered]
) -> None:
    result = thick[1]
    assert error(study, result, THICK) < 1.0
    assert result.agreed
    assert result.quality > LEAST_QUALITY
    assert result.remark.startswith("registered")
    assert result.volume.voxels.shape == fixed.voxels.shape
    assert result.volume.voxels.dtype == np.float32
    assert fixed.geometry is not None
    assert result.volume.geometry is not None
    assert same_grid(result.volume.geometry, fixed.geometry)
    # The moving contrast lies where the study itself shows it.
    there = result.volume.voxels > 0
    assert np.corrcoef(result.volume.voxels[there], study.images["flair"][there])[0, 1] > 0.9


def test_oblique_grid_and_the_header_of_a_moved_patient(study: Study, fixed: Volume) -> None:
    truth = pose((4.0, 12.0, -3.0), (-8.0, 5.0, 11.0))
    assert study.geometry is not None
    turn = np.array(truth.rotation).reshape(3, 3)
    origin = truth.apply(np.array(study.geometry.origin)[None])[0]
    direction = turn @ np.array(study.geometry.direction).reshape(3, 3)
    geometry = Geometry(study.geometry.spacing, tuple(origin.tolist()), tuple(direction.ravel().tolist()))
    result = register(fixed, Volume(study.images["t1c"], geometry))
    assert error(study, result, truth) < 0.5
    assert result.agreed


def test_a_series_onto_itself(study: Study, fixed: Volume) -> None:
    result = register(fixed, fixed)
    assert error(study, result, pose((0, 0, 0), (0, 0, 0))) < 0.1
    assert result.agreed
    assert result.quality > 0.95


def test_same_input_same_bytes(fixed: Volume, thick: tuple[Volume, Registered]) -> None:
    moving, first = thick
    threads = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    try:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
        second = register(fixed, moving)
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
    assert first.transform == second.transform
    assert first.quality == second.quality
    assert first.volume.voxels.tobytes() == second.volume.voxels.tobytes()


def test_noise_is_noticed(fixed: Volume) -> None:
    rng = np.random.default_rng(0)
    result = register(fixed, replace(fixed, voxels=rng.rayleigh(300, fixed.voxels.shape)))
    assert not result.agreed
    assert result.quality < 0.2
    assert "not to be trusted" in result.remark


def test_series_of_nothing_is_noticed(fixed: Volume) -> None:
    result = register(fixed, replace(fixed, voxels=np.zeros_like(fixed.voxels)))
    assert not result.agreed
    assert not result.volume.voxels.any()


def test_slabs_that_share_nothing_are_noticed(study: Study, fixed: Volume) -> None:
    assert fixed.geometry is not None
    third = len(fixed.voxels) // 3
    x, y, z = fixed.geometry.origin
    above = replace(fixed.geometry, origin=(x, y, z + 2 * third * fixed.geometry.spacing[2]))
    lower = Volume(fixed.voxels[:third], fixed.geometry)
    upper = Volume(study.images["t2"][2 * third :], above)
    assert not register(lower, upper).agreed


def test_blocks_tell_a_pose_that_is_off(study: Study, fixed: Volume) -> None:
    moving = Volume(study.images["t2"], study.geometry)
    right, count = fitting_blocks(fixed, moving, pose((0, 0, 0), (0, 0, 0)))
    wrong, _ = fitting_blocks(fixed, moving, pose((0, 0, 0), (4.0, 4.0, 2.0)))
    assert count > 50
    assert right > 0.6
    assert wrong < 0.1


def test_transform_round_trip() -> None:
    transform = pose((10.0, 20.0, -30.0), (1.0, -2.0, 3.5))
    points = np.random.default_rng(0).normal(0, 60, (50, 3))
    there = transform.apply(points)
    np.testing.assert_allclose(transform.inverse().apply(there), points, atol=1e-9)
    np.testing.assert_allclose(
        [transform.to_itk().TransformPoint(point) for point in points.tolist()], there, atol=1e-9
    )
    assert RigidTransform.from_meta(transform.to_meta()) == transform


@pytest.mark.parametrize("role", ["fixed", "moving"])
def test_what_cannot_be_used_is_named(fixed: Volume, role: str) -> None:
    def attempt(broken: Volume) -> None:
        register(*((broken, fixed) if role == "fixed" else (fixed, broken)))

    with pytest.raises(InputError, match=f"expected a {role} series with geometry"):
        attempt(replace(fixed, geometry=None))
    with pytest.raises(InputError, match=f"expected a {role} series of at least 4 voxels along each axis"):
        attempt(replace(fixed, voxels=fixed.voxels[:3]))
    holes = fixed.voxels.astype(np.float32)
    holes[5, 5, 5] = np.nan
    with pytest.raises(InputError, match=f"expected a {role} series of finite voxels"):
        attempt(replace(fixed, voxels=holes))
