"""DICOM files as they come: without head, twice, compressed, of several kinds of frames, with slices a little off."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.sequence import Sequence
from pydicom.uid import (
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLosslessSV1,
    RLELossless,
    generate_uid,
)

from synthoma.core.errors import InputError
from synthoma.core.types import Array
from synthoma.scans.dicom.series import find_series, sort_into_series
from synthoma.scans.dicom.stack import Series, read_series
from synthoma.scans.files import kind_of
from synthoma.scans.layouts import take_inventory
from tests.scans.test_dicom import edit
from tests.scans.test_volumes import check_geometry
from tests.scans.writers import CUBIC, FLAT, OBLIQUE, SECRETS, voxels, write_dicom

KEY = b"a key for tests only"


def sorted_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def refusal(folder: Path) -> str:
    """Why a folder's series cannot be read, "" where they can."""
    try:
        for series in find_series(folder):
            read_series(series)
    except InputError as error:
        return str(error)
    return ""


# Without head --------------------------------------------------------------------------------------------------------


def strip_head(paths: list[Path], *, keep: str) -> None:
    """Cut off the preamble, or the meta part too; or leave the head without meta part."""
    for path in paths:
        dataset = pydicom.dcmread(path)
        syntax = dataset.file_meta.TransferSyntaxUID
        if keep == "meta":
            path.write_bytes(path.read_bytes()[132:])
            continue
        del dataset.file_meta
        dataset.preamble = None
        dataset.save_as(path, implicit_vr=syntax.is_implicit_VR, little_endian=True, enforce_file_format=False)
        if keep == "head":
            path.write_bytes(bytes(128) + b"DICM" + path.read_bytes())


@pytest.mark.parametrize("keep", ["meta", "head", "nothing"])
@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
def test_files_without_head_are_known_and_read(syntax: pydicom.uid.UID, keep: str, tmp_path: Path) -> None:
    array = voxels(0)
    paths = write_dicom(tmp_path, array, OBLIQUE, syntax=syntax)
    strip_head(paths, keep=keep)
    assert {kind_of(path) for path in paths} == {"dicom"}
    [series] = find_series(tmp_path)
    volume = read_series(series)
    np.testing.assert_array_equal(volume.voxels, array)
    check_geometry(volume.geometry, OBLIQUE)
    assert take_inventory(tmp_path).layout == "dicom"


@pytest.mark.slow
def test_other_files_are_not_taken_for_dicom(tmp_path: Path) -> None:
    random.seed(1)
    starts = [b"\x08\x00\x05\x00", b"\x08\x00\x00\x00", b"\x02\x00\x00\x00UL\x04\x00", b"\x08\x00\x08\x00CS\x10\x00"]
    contents = [start + random.randbytes(600) for start in starts for _ in range(300)]
    contents += [start + bytes(600) for start in starts] + [b"\x08\0\x05\0", b"\x08", bytes(700), b"ABC\n" * 200]
    path = tmp_path / "file"
    taken = 0
    for content in contents:
        path.write_bytes(content)
        taken += kind_of(path) == "dicom"
    assert taken == 0


def test_cut_files_without_head_are_damaged_not_a_crash(tmp_path: Path) -> None:
    [path] = write_dicom(tmp_path, voxels(0, (1, 12, 16)))
    strip_head([path], keep="nothing")
    whole = path.read_bytes()
    for length in (1, 7, 40, 100, 200, 400, len(whole) - 100):
        path.write_bytes(whole[:length])
        assert not any(text in refusal(tmp_path) for text in SECRETS.values())


# Twice ---------------------------------------------------------------------------------------------------------------


def test_a_file_that_is_there_twice_is_used_once(tmp_path: Path) -> None:
    array = voxels(0)
    paths = write_dicom(tmp_path / "scan", array)
    shutil.copy(paths[2], paths[2].with_name("copy (1)"))
    shutil.copytree(tmp_path / "scan", tmp_path / "scan" / "backup")
    (tmp_path / "scan" / "link").symlink_to(paths[0])
    inventory = take_inventory(tmp_path, key=KEY)
    [case] = inventory.cases
    np.testing.assert_array_equal(case.load().images["flair"], array)
    assert "8 DICOM files are there twice and used once" in inventory.remarks  # 1 + 6 + the link
    assert not inventory.skipped
    assert len(case.sources) == len(array)


def test_one_copy_is_named_as_one(tmp_path: Path) -> None:
    paths = write_dicom(tmp_path, voxels(0))
    shutil.copy(paths[0], tmp_path / "again")
    assert "1 DICOM file is there twice and used once" in take_inventory(tmp_path, key=KEY).remarks


def test_a_copy_that_is_compressed_in_another_way_is_the_same_image(tmp_path: Path) -> None:
    array = voxels(0, dtype=np.uint16)
    paths = write_dicom(tmp_path, array)
    edit(paths[1], lambda ds: ds.compress(RLELossless, generate_instance_uid=False), tmp_path / "rle")
    found = sort_into_series(sorted_files(tmp_path), KEY)
    assert len(found.copies) == 1
    np.testing.assert_array_equal(read_series(found.series[0]).voxels, array)


@pytest.mark.parametrize("what", ["pixels", "place"])
def test_other_content_under_one_identifier_is_an_error(what: str, tmp_path: Path) -> None:
    paths = write_dicom(tmp_path, voxels(0))

    def change(dataset: Dataset) -> None:
        if what == "pixels":
            dataset.PixelData = bytes(len(dataset.PixelData))
        else:
            dataset.ImagePositionPatient = [0, 0, 99]

    edit(paths[1], change, tmp_path / "other")
    [series] = find_series(tmp_path)
    with pytest.raises(InputError, match=r"SOPInstanceUID.*2 files"):
        read_series(series)


def test_files_without_identifier_are_told_apart_by_their_content(tmp_path: Path) -> None:
    array = voxels(0)

    def anonymous(dataset: Dataset, _: int) -> None:
        del dataset.SOPInstanceUID

    paths = write_dicom(tmp_path, array, change=anonymous)
    shutil.copy(paths[0], tmp_path / "again")
    found = sort_into_series(sorted_files(tmp_path), KEY)
    assert len(found.copies) == 1
    np.testing.assert_array_equal(read_series(found.series[0]).voxels, array)


def test_studies_of_two_patients_in_one_folder_stay_apart(tmp_path: Path) -> None:
    for number in range(2):

        def whose(dataset: Dataset, _: int, number: int = number) -> None:
            dataset.PatientID = f"P{number}"

        write_dicom(tmp_path, voxels(number), name=lambda i, n=number: f"{n}-{i}", change=whose)  # type: ignore[misc]
    cases = take_inventory(tmp_path, key=KEY).cases
    assert len({case.patient for case in cases}) == len(cases) == 2


# Compression ---------------------------------------------------------------------------------------------------------


def jpeg_lossless(path: Path) -> None:
    """Compress a file by GDCM in place; the headers stay."""
    dataset = pydicom.dcmread(path)
    image = sitk.GetImageFromArray(dataset.pixel_array)
    writer = sitk.ImageFileWriter()
    writer.SetImageIO("GDCMImageIO")
    writer.UseCompressionOn()
    writer.SetCompressor("JPEG")
    other = path.with_name(path.name + ".dcm")
    writer.SetFileName(str(other))
    writer.Execute(image)
    packed = pydicom.dcmread(other)
    assert packed.file_meta.TransferSyntaxUID == JPEGLosslessSV1
    other.unlink()
    dataset.PixelData = packed.PixelData
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    for keyword in ("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"):
        setattr(dataset, keyword, packed[keyword].value)
    dataset.save_as(path)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16])
def test_jpeg_lossless_gives_the_values_that_were_packed(dtype: type, tmp_path: Path) -> None:
    array = voxels(0, dtype=dtype)
    if dtype is np.int16:
        array -= 90
    for path in write_dicom(tmp_path, array, OBLIQUE):
        jpeg_lossless(path)
    volume = read_series(find_series(tmp_path)[0])
    np.testing.assert_array_equal(volume.voxels, array)
    assert volume.voxels.dtype == dtype
    check_geometry(volume.geometry, OBLIQUE)
    # GDCM reads the file itself, headers and all.
    for plane, values in zip(find_series(tmp_path)[0].planes, volume.voxels, strict=True):
        reader = sitk.ImageFileReader()
        reader.SetImageIO("GDCMImageIO")
        reader.SetFileName(str(plane.file))
        np.testing.assert_array_equal(sitk.GetArrayFromImage(reader.Execute())[0], values)


def test_jpeg_lossless_is_rescaled_as_other_files_are(tmp_path: Path) -> None:
    array = voxels(0, dtype=np.uint16)
    for path in write_dicom(tmp_path, array):
        jpeg_lossless(path)

        def scaled(dataset: Dataset) -> None:
            dataset.RescaleSlope, dataset.RescaleIntercept = 3, -7

        edit(path, scaled)
    np.testing.assert_array_equal(read_series(find_series(tmp_path)[0]).voxels, array.astype(int) * 3 - 7)


def test_a_jpeg_stream_of_another_size_or_cut_is_refused(tmp_path: Path) -> None:
    [path] = write_dicom(tmp_path / "cut", voxels(0, (1, 64, 64), np.uint16))
    jpeg_lossless(path)
    content = path.read_bytes()
    start = content.index(b"\xff\xc3")
    other = tmp_path / "size" / "slice"
    other.parent.mkdir()
    other.write_bytes(content[: start + 5] + b"\x7f\xff\x7f\xff" + content[start + 9 :])
    with pytest.raises(InputError, match="another size"):
        read_series(find_series(other.parent)[0])

    def halve(dataset: Dataset) -> None:
        [stream] = generate_frames(dataset.PixelData, number_of_frames=1)
        dataset.PixelData = encapsulate([stream[: len(stream) // 2]])

    edit(path, halve)
    assert "cut off" in refusal(path.parent)


def test_a_compression_that_nobody_decodes_is_named_whole_with_ways_out(tmp_path: Path) -> None:
    def relabel(dataset: Dataset, _: int) -> None:
        dataset.compress(RLELossless)
        dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.201"

    write_dicom(tmp_path, voxels(0, (1, 12, 16)), change=relabel)
    with pytest.raises(InputError) as caught:
        read_series(find_series(tmp_path)[0])
    message = str(caught.value)
    assert "High-Throughput JPEG 2000 Image Compression (Lossless Only)" in message
    assert all(tool in message for tool in ("dcmdjpeg", "gdcmconv", "dcm2niix"))


def test_a_transfer_syntax_that_is_no_standard_one_is_not_quoted(tmp_path: Path) -> None:
    [path] = write_dicom(tmp_path, voxels(0, (1, 12, 16)))
    path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.3.4.5550123.4.5\0"))
    found = sort_into_series([path], KEY)
    assert "an unknown one" in found.skipped[0].reason
    assert "5550123" not in found.skipped[0].reason


# Slices a little off -------------------------------------------------------------------------------------------------


def shifted(folder: Path, array: Array, along: Callable[[int], float], step: float = 6.5) -> None:
    def move(dataset: Dataset, index: int) -> None:
        dataset.ImagePositionPatient = [-8, -9, round(step * index + along(index), 4)]

    write_dicom(folder, array, replace(CUBIC, spacing=(1.0, 1.0, step)), change=move)


def ramp(count: int, step: float, along: Callable[[int], float]) -> Array:
    """What a scanner sees of a world whose grey value is ten times the height in mm."""
    heights = np.array([step * index + along(index) for index in range(count)])
    return np.broadcast_to(np.rint(1000 + 10 * heights)[:, None, None], (count, 12, 16)).astype(np.int16)


@pytest.mark.parametrize(("amount", "step"), [(0.1, 6.5), (0.28, 6.5), (0.04, 1.0), (0.08, 1.0)])
def test_jitter_is_resampled_onto_an_even_stack(amount: float, step: float, tmp_path: Path) -> None:
    def along(index: int) -> float:
        return float(amount * (-1) ** index)

    shifted(tmp_path, ramp(20, step, along), along, step)
    volume = read_series(find_series(tmp_path)[0])
    assert volume.geometry is not None
    assert volume.voxels.dtype == np.float32
    assert "off an even stack" in volume.remarks[0]
    x, y, spacing = volume.geometry.spacing
    assert (x, y) == (1, 1)
    assert spacing == pytest.approx(step, rel=0.01)
    heights = volume.geometry.origin[2] + spacing * np.arange(20)
    # Linear interpolation is exact in a linear world, but for rounding and the outermost slices.
    np.testing.assert_allclose(volume.voxels[1:-1, 5, 5], 1000 + 10 * heights[1:-1], atol=0.6)
    assert np.abs(volume.voxels[:, 5, 5] - 1000 - 10 * heights).max() <= 10 * amount + 1


def test_rounded_positions_stay_as_they_are(tmp_path: Path) -> None:
    array = voxels(0, (20, 12, 16))
    shifted(tmp_path, array, lambda index: 0.01 * (-1) ** index)
    volume = read_series(find_series(tmp_path)[0])
    np.testing.assert_array_equal(volume.voxels, array)
    assert volume.voxels.dtype == np.int16
    assert not volume.remarks


@pytest.mark.parametrize(
    ("along", "words"),
    [
        (lambda index: 0.4 * (-1) ** index, "steps from"),
        (lambda index: 6.5 * (index > 9), "1 missing of 21"),
        (lambda index: 1.0 * (index == 10), "steps from"),
    ],
)
def test_more_than_jitter_is_refused(along: Callable[[int], float], words: str, tmp_path: Path) -> None:
    shifted(tmp_path, voxels(0, (20, 12, 16)), along)
    with pytest.raises(InputError, match=words):
        read_series(find_series(tmp_path)[0])


def test_the_remark_reaches_the_study(tmp_path: Path) -> None:
    shifted(tmp_path, voxels(0, (20, 12, 16)), lambda index: 0.2 * (-1) ** index)
    [case] = take_inventory(tmp_path, key=KEY).cases
    assert any("off an even stack of 6.50 mm" in remark for remark in case.load().remarks)


# Several kinds of frames in one file ---------------------------------------------------------------------------------


def of(**elements: object) -> Dataset:
    dataset = Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def write_frames(
    folder: Path, frames: list[tuple[Array, float, dict[str, object]]], description: str = "T2W_TSE"
) -> None:
    """An enhanced file: of each frame the pixels, the place, and elements of its functional groups by their keyword."""
    groups = {
        "EffectiveEchoTime": "MREchoSequence", "FrameType": "MRImageFrameTypeSequence",
        "ComplexImageComponent": "MRImageFrameTypeSequence", "AcquisitionContrast": "MRImageFrameTypeSequence",
        "TemporalPositionIndex": "FrameContentSequence", "TemporalPositionTimeOffset": "TemporalPositionSequence",
        "StackID": "FrameContentSequence", "DiffusionBValue": "MRDiffusionSequence",
        "RescaleSlope": "PixelValueTransformationSequence", "RescaleIntercept": "PixelValueTransformationSequence",
    }  # fmt: skip
    [path] = write_dicom(folder, frames[0][0][None], CUBIC, description=description)
    dataset = pydicom.dcmread(path)
    per_frame = []
    for _, place, elements in frames:
        frame = of(PlanePositionSequence=Sequence([of(ImagePositionPatient=[-8, -9, place])]))
        for keyword, value in elements.items():
            if groups[keyword] not in frame:
                setattr(frame, groups[keyword], Sequence([Dataset()]))
            setattr(frame[groups[keyword]].value[0], keyword, value)
        per_frame.append(frame)
    shared = of(
        PlaneOrientationSequence=Sequence([of(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])]),
        PixelMeasuresSequence=Sequence([of(PixelSpacing=[1, 1], SliceThickness=2)]),
    )
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        delattr(dataset, keyword)
    dataset.SharedFunctionalGroupsSequence = Sequence([shared])
    dataset.PerFrameFunctionalGroupsSequence = Sequence(per_frame)
    dataset.NumberOfFrames, dataset.PixelData = len(frames), np.stack([one[0] for one in frames]).tobytes()
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
    dataset.save_as(path)


MAGNITUDE, PHASE = ["ORIGINAL", "PRIMARY", "M", "NONE"], ["ORIGINAL", "PRIMARY", "P", "NONE"]
FIELD_MAP = ["DERIVED", "PRIMARY", "FIELD_MAP", "NONE"]


@pytest.mark.parametrize(
    ("first", "second", "modalities"),
    [
        ({"EffectiveEchoTime": 20.0}, {"EffectiveEchoTime": 90.0}, ("t2", "t2")),
        ({"TemporalPositionIndex": 1}, {"TemporalPositionIndex": 2}, ("t2", "t2")),
        ({"TemporalPositionTimeOffset": 0.0}, {"TemporalPositionTimeOffset": 4.5}, ("t2", "t2")),
        ({"DiffusionBValue": 0.0}, {"DiffusionBValue": 1000.0}, ("t2", "t2")),
        ({"FrameType": MAGNITUDE}, {"FrameType": PHASE}, ("t2", "image")),
        ({"ComplexImageComponent": "MAGNITUDE"}, {"ComplexImageComponent": "PHASE"}, ("t2", "image")),
        ({"StackID": "1"}, {"StackID": "2"}, ("t2", "t2")),
        ({"AcquisitionContrast": "T2"}, {"AcquisitionContrast": "PROTON_DENSITY"}, ("t2", "t2")),
        (
            {"FrameType": MAGNITUDE, "EffectiveEchoTime": 1.52},
            {"FrameType": FIELD_MAP, "EffectiveEchoTime": 0.0, "RescaleSlope": 0.5, "RescaleIntercept": -100},
            ("t2", "image"),
        ),
    ],
)
def test_frames_of_two_kinds_are_two_series(
    first: dict[str, object], second: dict[str, object], modalities: tuple[str, str], tmp_path: Path
) -> None:
    arrays = voxels(1), voxels(2)
    frames = [
        (array[index], 2.0 * index, kind)
        for index in range(5)
        for array, kind in zip(arrays, (first, second), strict=True)
    ]
    order = np.random.default_rng(0).permutation(len(frames))
    write_frames(tmp_path, [frames[index] for index in order])
    found = find_series(tmp_path)
    assert sorted(series.modality for series in found) == sorted(modalities)

    def is_first(series: Series) -> bool:
        return frames[order[series.planes[0].frame]][2] is first

    one, other = sorted(found, key=is_first, reverse=True)
    np.testing.assert_array_equal(read_series(one).voxels, arrays[0])
    slope, intercept = float(second.get("RescaleSlope", 1)), float(second.get("RescaleIntercept", 0))  # type: ignore[arg-type]
    np.testing.assert_allclose(read_series(other).voxels, arrays[1] * slope + intercept)


def test_a_field_map_beside_its_magnitude_is_left_out_and_the_rest_used(tmp_path: Path) -> None:
    """As Philips writes them: magnitude at an echo of 1.52 ms, and the map, in one file."""
    array = voxels(1)
    frames = [
        (array[index], 2.0 * index, {"FrameType": kind, "EffectiveEchoTime": echo})
        for kind, echo in ((MAGNITUDE, 1.52), (FIELD_MAP, 0.0))
        for index in range(5)
    ]
    write_frames(tmp_path, frames, "T1W_FFE")  # type: ignore[arg-type]
    inventory = take_inventory(tmp_path, key=KEY)
    [case] = inventory.cases
    np.testing.assert_array_equal(case.load().images["t1"], array)
    assert "other frames of its file are used" in inventory.skipped[0].reason


def test_the_time_of_a_frame_does_not_split_a_volume_that_has_an_index(tmp_path: Path) -> None:
    array = voxels(1)
    frames = [
        (array[index], 2.0 * index, {"TemporalPositionIndex": 1, "TemporalPositionTimeOffset": 0.1 * index})
        for index in range(5)
    ]
    write_frames(tmp_path, frames)  # type: ignore[arg-type]
    np.testing.assert_array_equal(read_series(find_series(tmp_path)[0]).voxels, array)


@pytest.mark.parametrize(
    ("contrast", "agent", "modality"),
    [
        ("T1", False, "t1"), ("T1", True, "t1c"), ("T2", True, "t2"), ("FLUID_ATTENUATED", False, "flair"),
        ("DIFFUSION", False, "image"), ("UNKNOWN", False, "image"),
    ],
)  # fmt: skip
def test_enhanced_files_say_their_weighting_and_agent(
    contrast: str, agent: bool, modality: str, tmp_path: Path
) -> None:
    array = voxels(1)
    write_frames(tmp_path, [(array[index], 2.0 * index, {"AcquisitionContrast": contrast}) for index in range(5)], "")
    if agent:
        [path] = tmp_path.iterdir()
        edit(path, lambda ds: setattr(ds, "ContrastBolusAgentSequence", Sequence([of(CodeMeaning="Gadobutrol")])))
    assert [series.modality for series in find_series(tmp_path)] == [modality]


def test_classic_diffusion_weightings_are_told_apart(tmp_path: Path) -> None:
    uid = generate_uid()
    for number, weight in enumerate((0, 1000)):

        def diffusion(dataset: Dataset, _: int, weight: int = weight) -> None:
            dataset.DiffusionBValue = float(weight)

        write_dicom(tmp_path / str(number), voxels(number), FLAT, series=uid, study=uid, change=diffusion)
    assert len(find_series(tmp_path)) == 2


# What pixels stand for ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signed", [False, True])
def test_bits_from_the_top_of_the_word_are_read(signed: bool, tmp_path: Path) -> None:
    array = voxels(0).astype(np.int16) - (100 if signed else 0)

    def raised(dataset: Dataset, index: int) -> None:
        dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 12, 15, int(signed)
        dataset.PixelData = (array[index] << 4).astype("<i2").tobytes()

    write_dicom(tmp_path, array, FLAT, change=raised)
    np.testing.assert_array_equal(read_series(find_series(tmp_path)[0]).voxels, array)


@pytest.mark.parametrize(
    ("padding", "stored", "limit", "signed", "kind"),
    [
        (-2000, -2000, None, True, "SS"),
        (-2000, 63536, None, True, "US"),  # of the other type, as some writers do
        (63536, 63536, None, False, "US"),
        (-2000, -2000, -1900, True, "SS"),
    ],
)
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_padding_is_dark_and_not_measured(
    padding: int, stored: int, limit: int | None, signed: bool, kind: str, syntax: pydicom.uid.UID, tmp_path: Path
) -> None:
    array = voxels(0)
    array[:, :4] = 0

    def padded(dataset: Dataset, index: int) -> None:
        plane = array[index].astype(np.int64)
        plane[:2], plane[2:4] = padding, padding if limit is None else limit - 5
        dataset.PixelRepresentation = int(signed)
        dataset.PixelData = plane.astype("<i2" if signed else "<u2").tobytes()
        dataset.add_new("PixelPaddingValue", kind, stored)
        if limit is not None:
            dataset.add_new("PixelPaddingRangeLimit", kind, limit)

    write_dicom(tmp_path, array, FLAT, syntax=syntax, change=padded)
    np.testing.assert_array_equal(read_series(find_series(tmp_path)[0]).voxels, array)


def test_a_padding_of_0_among_measured_values_changes_nothing(tmp_path: Path) -> None:
    array = voxels(0) - 100
    array[0, 0, :3] = 0
    write_dicom(tmp_path, array, FLAT, change=lambda ds, _: ds.add_new("PixelPaddingValue", "SS", 0))
    np.testing.assert_array_equal(read_series(find_series(tmp_path)[0]).voxels, array)


def test_a_mosaic_is_no_slice(tmp_path: Path) -> None:
    def tiled(dataset: Dataset, _: int) -> None:
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]

    paths = write_dicom(tmp_path, voxels(0, (3, 12, 16)), FLAT, change=tiled)
    found = sort_into_series(paths, KEY)
    assert not found.series
    assert "a mosaic of many" in found.skipped[0].reason
