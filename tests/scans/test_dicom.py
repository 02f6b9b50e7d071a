"""DICOM series: order, geometry and values are right, what is incomplete is refused, and nothing private gets out."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    MPEG2MPML,
    EnhancedMRImageStorage,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)  # fmt: skip

from synthoma.core.errors import InputError
from synthoma.scans.case import Case
from synthoma.scans.dicom.pixels import _rescaled
from synthoma.scans.dicom.sequence import guess_modality
from synthoma.scans.dicom.series import find_series
from synthoma.scans.dicom.stack import read_series
from synthoma.scans.layouts import take_inventory
from tests.scans.test_volumes import check_geometry
from tests.scans.writers import CUBIC, FLAT, GEOMETRIES, OBLIQUE, SECRETS, voxels, write_dicom

KEY = b"a key for tests only"


@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES)
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16])
def test_series_is_read_in_order_of_position(dtype: type, geometry: object, tmp_path: Path) -> None:
    array = voxels(0, dtype=dtype)
    write_dicom(tmp_path / "deep" / "er", array, geometry)  # type: ignore[arg-type]
    [series] = find_series(tmp_path, key=KEY)
    volume = read_series(series)
    np.testing.assert_array_equal(volume.voxels, array)
    assert volume.voxels.dtype == dtype
    check_geometry(volume.geometry, geometry)  # type: ignore[arg-type]


def test_geometry_agrees_with_gdcm(tmp_path: Path) -> None:
    write_dicom(tmp_path, voxels(0), OBLIQUE, name=lambda index: f"{index}.dcm")
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path)))
    image = reader.Execute()
    volume = read_series(find_series(tmp_path)[0])
    np.testing.assert_array_equal(volume.voxels, sitk.GetArrayFromImage(image))
    assert volume.geometry is not None
    np.testing.assert_allclose(volume.geometry.spacing, image.GetSpacing(), atol=1e-4)
    np.testing.assert_allclose(volume.geometry.origin, image.GetOrigin(), atol=1e-4)
    np.testing.assert_allclose(volume.geometry.direction, image.GetDirection(), atol=1e-5)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless, JPEGLSLossless])
def test_transfer_syntaxes(syntax: str, tmp_path: Path) -> None:
    array = voxels(0, dtype=np.uint16)
    if syntax in (RLELossless, JPEGLSLossless):
        write_dicom(tmp_path, array, change=lambda dataset, _: dataset.compress(syntax))
    elif syntax == ExplicitVRBigEndian:
        swapped = [plane.astype(">u2").tobytes() for plane in array]
        write_dicom(tmp_path, array, syntax=syntax, change=lambda ds, index: setattr(ds, "PixelData", swapped[index]))
    else:
        write_dicom(tmp_path, array, syntax=syntax)  # type: ignore[arg-type]
    np.testing.assert_array_equal(read_series(find_series(tmp_path)[0]).voxels, array)


def test_unknown_compression_is_named(tmp_path: Path) -> None:
    def relabel(dataset: Dataset, _: int) -> None:
        dataset.compress(RLELossless)
        dataset.file_meta.TransferSyntaxUID = MPEG2MPML

    write_dicom(tmp_path, voxels(0), change=relabel)
    with pytest.raises(InputError, match="MPEG2"):
        read_series(find_series(tmp_path)[0])


def rescale(slope: float, intercept: float) -> Callable[[Dataset, int], None]:
    def change(dataset: Dataset, index: int) -> None:
        dataset.RescaleSlope, dataset.RescaleIntercept = slope, intercept

    return change


def test_rescale(tmp_path: Path) -> None:
    array = voxels(0)
    write_dicom(tmp_path / "whole", array, change=rescale(2, -1024))
    write_dicom(tmp_path / "part", array, change=rescale(0.25, 1.5))
    whole, part = (read_series(find_series(tmp_path / name)[0]).voxels for name in ("whole", "part"))
    np.testing.assert_array_equal(whole, array.astype(int) * 2 - 1024)
    np.testing.assert_allclose(part, array * 0.25 + 1.5)
    assert (whole.dtype, part.dtype) == (np.int32, np.float32)
    large, head = np.array([3_000_000_000, 5], np.uint32), Dataset()
    head.PhotometricInterpretation, head.RescaleSlope, head.RescaleIntercept = "MONOCHROME2", 1, 1
    assert _rescaled(large, head, head).tolist() == [3_000_000_001, 6]
    write_dicom(tmp_path / "none", array, change=rescale(0, 0))
    with pytest.raises(InputError, match="slope 0"):
        read_series(find_series(tmp_path / "none")[0])


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16])
def test_inverted_grey(dtype: type, tmp_path: Path) -> None:
    array = voxels(0, dtype=dtype)
    write_dicom(tmp_path, array, change=lambda ds, _: setattr(ds, "PhotometricInterpretation", "MONOCHROME1"))
    expected = np.iinfo(dtype).max - array.astype(int) + np.iinfo(dtype).min
    np.testing.assert_array_equal(read_series(find_series(tmp_path)[0]).voxels, expected)


def test_series_in_one_folder_are_told_apart(tmp_path: Path) -> None:
    first, second = voxels(0), voxels(1, (4, 12, 16))
    write_dicom(tmp_path, first, name=lambda index: f"a{index}")
    write_dicom(tmp_path, second, FLAT, name=lambda index: f"b{index}")
    got = sorted((read_series(series).voxels for series in find_series(tmp_path)), key=len)
    np.testing.assert_array_equal(got[0], second)
    np.testing.assert_array_equal(got[1], first)


def test_echoes_and_orientations_of_one_series_are_told_apart(tmp_path: Path) -> None:
    uid = generate_uid()
    for number, geometry in enumerate((CUBIC, CUBIC, OBLIQUE)):

        def echo(dataset: Dataset, _: int, number: int = number) -> None:
            dataset.EchoTime = 20.0 * (1 + number % 2)

        write_dicom(tmp_path / str(number), voxels(number), geometry, series=uid, study=uid, change=echo)
    got = find_series(tmp_path)
    assert len(got) == 3
    assert len({series.series for series in got}) == 1
    for series in got:
        number = int(series.files[0].parent.name)
        np.testing.assert_array_equal(read_series(series).voxels, voxels(number))


def drop(paths: list[Path]) -> None:
    paths[2].unlink()


def shift(paths: list[Path]) -> None:
    def move(dataset: Dataset) -> None:
        x, y, z = dataset.ImagePositionPatient
        dataset.ImagePositionPatient = [x, y, z + 0.3]

    edit(paths[2], move)


def double(paths: list[Path]) -> None:
    edit(paths[2], lambda ds: setattr(ds, "SOPInstanceUID", generate_uid()), paths[2].with_name("copy"))


def tilt(paths: list[Path]) -> None:
    for index, path in enumerate(paths):
        edit(path, lambda ds, index=index: setattr(ds, "ImagePositionPatient", [0, 2.0 * index, index]))


def edit(path: Path, change: Callable[[Dataset], None], target: Path | None = None) -> None:
    dataset = pydicom.dcmread(path)
    change(dataset)
    dataset.save_as(target or path)


@pytest.mark.parametrize(
    ("damage", "words"),
    [(drop, "1 missing of 6"), (shift, "steps from"), (double, "taken twice"), (tilt, "tilted gantry")],
)
def test_incomplete_series_say_what_is_wrong(damage: Callable[[list[Path]], None], words: str, tmp_path: Path) -> None:
    damage(write_dicom(tmp_path, voxels(0, (6, 12, 16))))
    [series] = find_series(tmp_path)
    with pytest.raises(InputError, match=words):
        read_series(series)


def test_one_slice_takes_its_thickness(tmp_path: Path) -> None:
    write_dicom(tmp_path, voxels(0, (1, 12, 16)), change=lambda ds, _: setattr(ds, "SliceThickness", 4))
    geometry = read_series(find_series(tmp_path)[0]).geometry
    assert geometry is not None
    assert geometry.spacing == (1.0, 1.0, 4.0)


def write_enhanced(path: Path, array: np.ndarray) -> None:
    """One file with all slices, in scrambled order."""
    [single] = write_dicom(path, array[:1], OBLIQUE)
    dataset = pydicom.dcmread(single)
    order = np.random.default_rng(0).permutation(len(array))
    axes, frames = np.array(OBLIQUE.direction).reshape(3, 3), []
    for index in order:
        position, frame = Dataset(), Dataset()
        place = np.array(OBLIQUE.origin) + index * OBLIQUE.spacing[2] * axes[:, 2]
        position.ImagePositionPatient = [f"{value:.8g}" for value in place]
        frame.PlanePositionSequence = Sequence([position])
        frames.append(frame)
    shared, orientation, measures, values = Dataset(), Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient, measures.PixelSpacing = dataset.ImageOrientationPatient, dataset.PixelSpacing
    values.RescaleSlope, values.RescaleIntercept = 3, 1
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = Sequence([orientation]), Sequence([measures])
    shared.PixelValueTransformationSequence = Sequence([values])
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        delattr(dataset, keyword)
    dataset.SharedFunctionalGroupsSequence = Sequence([shared])
    dataset.PerFrameFunctionalGroupsSequence = Sequence(frames)
    dataset.NumberOfFrames, dataset.PixelData = len(array), array[order].tobytes()
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
    dataset.save_as(single)


def test_enhanced_multi_frame(tmp_path: Path) -> None:
    array = voxels(0)
    write_enhanced(tmp_path, array)
    volume = read_series(find_series(tmp_path)[0])
    np.testing.assert_array_equal(volume.voxels, array.astype(int) * 3 + 1)
    check_geometry(volume.geometry, OBLIQUE)


# Which sequence ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("description", "modality"),
    [
        ("Ax FLAIR", "flair"), ("t2_tirm_tra_dark-fluid", "flair"), ("T2 FLAIR AX", "flair"), ("AX T2 FSE", "t2"),
        ("t1_mprage_sag", "t1"), ("T1 POST GAD", "t1c"), ("AX T1 +C", "t1c"), ("Ax T1 FLAIR", "t1"), ("T1 PRE", "t1"),
        ("T1 PRE CONTRAST", "t1"), ("ep2d_diff ADC", "image"), ("T2* GRE", "image"), ("3-plane loc", "image"),
        ("", "image"),        ("T1C", "t1c"), ("t1_se_tra_KM", "t1c"), ("T1CE", "t1c"), ("SAG T1 SE", "t1"),
    ],
)  # fmt: skip
def test_modality_by_description(description: str, modality: str) -> None:
    dataset = Dataset()
    dataset.Modality, dataset.SeriesDescription = "MR", description
    assert guess_modality(dataset) == modality


@pytest.mark.parametrize(
    ("sequence", "repetition", "echo", "inversion", "agent", "modality"),
    [
        ("SE", 500, 12, 0, "", "t1"), ("SE", 500, 12, 0, "Gadovist", "t1c"), ("SE", 4000, 100, 0, "", "t2"),
        ("IR", 9000, 120, 2500, "", "flair"), ("GR", 2000, 3, 900, "", "t1"), ("EP", 5000, 80, 0, "", "image"),
        ("SE", 500, 12, 0, "NONE", "t1"),
    ],
)  # fmt: skip
def test_modality_by_timing(
    sequence: str, repetition: float, echo: float, inversion: float, agent: str, modality: str
) -> None:
    dataset = Dataset()
    dataset.Modality, dataset.ScanningSequence, dataset.ContrastBolusAgent = "MR", sequence, agent
    dataset.RepetitionTime, dataset.EchoTime, dataset.InversionTime = repetition, echo, inversion
    assert guess_modality(dataset) == modality


# Studies -------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_study_of_several_grids_and_positions(tmp_path: Path) -> None:
    study, frame = generate_uid(), generate_uid()
    write_dicom(tmp_path / "1", voxels(0), CUBIC, study=study, frame=frame)
    finer = replace(CUBIC, spacing=(0.5, 0.5, 1.0))
    write_dicom(tmp_path / "2", voxels(1, (5, 24, 32)), finer, study=study, frame=frame, description="Ax T2")
    write_dicom(tmp_path / "3", voxels(2), CUBIC, study=study, description="Sag T1")
    write_dicom(tmp_path / "4", voxels(3, (3, 12, 16)), CUBIC, study=study, frame=frame)
    write_dicom(tmp_path / "5", voxels(3), CUBIC, study=study, frame=frame, description="DWI b1000")
    inventory = take_inventory(tmp_path, key=KEY)
    assert [case.modalities for case in inventory.cases] == [("t1", "t2", "flair")]
    assert len({case.patient for case in inventory.cases}) == 1
    reasons = sorted(item.reason for item in inventory.skipped)
    assert len(reasons) == 2
    assert "a further flair series" in reasons[0]
    assert "another or unknown kind" in reasons[1]
    study_read = inventory.cases[0].load()
    assert set(study_read.images) == {"t2", "flair"}  # nothing says where the T1 lies, and noise cannot be registered
    assert {image.shape for image in study_read.images.values()} == {(5, 12, 16)}


def test_class_folders_are_labels_but_names_of_people_are_not(tmp_path: Path) -> None:
    write_dicom(tmp_path / "glioma" / "Zzyzx_Quetzal", voxels(0))
    write_dicom(tmp_path / "Jellyby_Caddy" / "FLAIR", voxels(1))
    labels = {case.label for case in take_inventory(tmp_path, key=KEY).cases}
    assert labels == {"glioma", None}


def test_other_objects_and_damaged_files_are_listed_and_the_rest_loads(tmp_path: Path) -> None:
    array = voxels(0)
    write_dicom(tmp_path / "good", array)
    changes: dict[str, Callable[[Dataset, int], None]] = {
        "an MR or CT slice": lambda ds, _: setattr(ds, "Modality", "PT"),
        "no segment at all": lambda ds, _: setattr(ds, "Modality", "SEG"),
        "a localiser": lambda ds, _: setattr(ds, "ImageType", ["ORIGINAL", "PRIMARY", "LOCALIZER"]),
        "without": lambda ds, _: delattr(ds, "ImagePositionPatient"),
        "a grey slice": lambda ds, _: setattr(ds, "PhotometricInterpretation", "RGB"),
        "length 1": lambda ds, _: setattr(ds, "ImageOrientationPatient", [2, 0, 0, 0, 1, 0]),
        "positive pixel": lambda ds, _: setattr(ds, "PixelSpacing", [0, 1]),
    }
    for number, change in enumerate(changes.values()):
        write_dicom(tmp_path / f"bad{number}", array[:1], change=change)
    inventory = take_inventory(tmp_path, key=KEY)
    [case] = inventory.cases
    np.testing.assert_array_equal(case.load().images["flair"], array)
    reasons = " | ".join(item.reason for item in inventory.skipped)
    assert len(inventory.skipped) == len(changes)
    for words in changes:
        assert words in reasons


def test_length_that_lies_is_bounded_by_the_file(tmp_path: Path) -> None:
    array = voxels(0)
    for path in write_dicom(tmp_path / "length", array):
        content = path.read_bytes()
        place = content.index(b"\xe0\x7f\x10\x00OW\0\0") + 8
        path.write_bytes(content[:place] + b"\xfe\xff\xff\x7f" + content[place + 4 :])
    [series] = find_series(tmp_path / "length")
    np.testing.assert_array_equal(read_series(series).voxels, array)  # up to the file's end, not 2 GiB

    def enlarge(dataset: Dataset, _: int) -> None:
        dataset.Rows = dataset.Columns = 10_000

    write_dicom(tmp_path / "rows", voxels(0, (1, 12, 16)), change=enlarge)
    [series] = find_series(tmp_path / "rows")
    with pytest.raises(InputError, match="declared in a file"):
        read_series(series)


# Privacy -------------------------------------------------------------------------------------------------------------


def private_texts() -> list[str]:
    words = [part for value in SECRETS.values() for part in value.replace("^", " ").split()]
    return [*SECRETS.values(), *words, "private"]


def test_nothing_private_gets_out(tmp_path: Path) -> None:
    uids = {"series": generate_uid(), "study": generate_uid(), "frame": generate_uid()}
    paths = write_dicom(tmp_path / "Zzyzx_Quetzal", voxels(0), description="FLAIR of Zzyzx", **uids)  # type: ignore[arg-type]
    bad = write_dicom(tmp_path / "Other_Person", voxels(1), change=lambda ds, i: setattr(ds, "Rows", 999))
    edit(bad[0], lambda ds: setattr(ds, "ImagePositionPatient", None))
    inventory = take_inventory(tmp_path, key=KEY)
    instances = [pydicom.dcmread(path).SOPInstanceUID for path in paths]
    forbidden = [*private_texts(), *uids.values(), *instances, "IM00"]
    seen: list[str] = [*inventory.remarks, *(item.reason for item in inventory.skipped)]
    for case in inventory.cases:
        seen += [case.name, str(case.patient), str(case.label), str(case.site), *case.slice_names, repr(case.facts)]
        try:
            study = case.load()
            seen += [repr(study), repr(study.images.keys()), repr(study.labels)]
        except InputError as error:
            seen.append(str(error))
    assert len(seen) > 10
    for text in forbidden:
        assert not any(text in line for line in seen), text


def test_headers_leave_no_trace_in_the_case(tmp_path: Path) -> None:
    write_dicom(tmp_path / "scan", voxels(0), description="FLAIR of Zzyzx")
    [case] = take_inventory(tmp_path, key=KEY).cases
    whole = repr(case).encode() + pickle.dumps(case) + pickle.dumps(case.load())
    for text in private_texts():
        assert text.encode() not in whole, text


def test_other_key_other_names(tmp_path: Path) -> None:
    write_dicom(tmp_path, voxels(0))

    def one(key: bytes) -> Case:
        [case] = take_inventory(tmp_path, key=key).cases
        return case

    first, second, again = one(b"1"), one(b"2"), one(b"1")
    assert (first.name, first.patient, first.slice_names) == (again.name, again.patient, again.slice_names)
    assert first.name != second.name
    assert first.patient != second.patient
    assert not set(first.slice_names) & set(second.slice_names)
