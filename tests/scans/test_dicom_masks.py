"""DICOM SEG and RTSTRUCT as masks: to the voxel where they were drawn, and only what is tumour."""

from __future__ import annotations

import pickle
import shutil
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import highdicom
import numpy as np
import pydicom
import pytest
from highdicom.seg import Segmentation, SegmentationTypeValues, SegmentDescription
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, RTStructureSetStorage, generate_uid
from skimage.draw import polygon
from skimage.measure import find_contours

from synthoma.core.errors import InputError
from synthoma.core.types import REGIONS, WHOLE_TUMOUR, Array, Bools
from synthoma.detection.dicom_seg import write_segmentation
from synthoma.scans.case import Geometry
from synthoma.scans.dicom.masks import mask_of, read_dicom_mask
from synthoma.scans.dicom.segments import DicomMask, combined, part_of
from synthoma.scans.dicom.series import find_series
from synthoma.scans.dicom.stack import Series, read_series
from synthoma.scans.dicom.structure_sets import filled
from synthoma.scans.layouts import take_inventory
from synthoma.scans.layouts.dicom_loading import reference_series
from tests.scans.test_dicom import edit
from tests.scans.writers import CUBIC, FLAT, GEOMETRIES, OBLIQUE, SECRETS, voxels, write_dicom

KEY = b"a key for tests only"
SHAPE = (6, 24, 32)


def ball(radius: float, middle: tuple[float, float, float] = (2.5, 11, 14), shape: tuple[int, ...] = SHAPE) -> Bools:
    z, y, x = np.indices(shape)
    return np.asarray(
        (3 * (z - middle[0])) ** 2 + (y - middle[1]) ** 2 + (x - middle[2]) ** 2 < radius**2, dtype=np.bool_
    )


def complete(dataset: Dataset, index: int) -> None:
    """What real series also have."""
    dataset.SliceThickness, dataset.StudyTime, dataset.StudyID = 4, "101112", "7"
    dataset.PatientSex, dataset.SeriesNumber = "F", 3


def scan(folder: Path, geometry: Geometry = OBLIQUE, shape: tuple[int, ...] = SHAPE, **options: object) -> Series:
    write_dicom(folder, voxels(0, shape), geometry, change=complete, **options)  # type: ignore[arg-type]
    [series] = find_series(folder, key=KEY)
    return series


def write_seg(
    path: Path,
    series: Series,
    segments: Mapping[str, Array],
    *,
    kind: SegmentationTypeValues = SegmentationTypeValues.BINARY,
    coded: object = codes.SCT.Tissue,
    category: object = codes.SCT.Tissue,
    omit: bool = True,
) -> Path:
    """A segmentation by highdicom: label of each segment, and its voxels in the order of the series."""
    sources = [pydicom.dcmread(plane.file) for plane in series.planes]
    pixels = np.stack(list(segments.values()), axis=-1).astype(np.uint8)
    if kind is SegmentationTypeValues.FRACTIONAL:
        pixels = np.stack(list(segments.values()), axis=-1).astype(np.float32)
    described = [
        SegmentDescription(number, label, category, coded, "MANUAL")  # type: ignore[arg-type]
        for number, label in enumerate(segments, start=1)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        Segmentation(
            sources, pixels, kind, described, generate_uid(), 9, generate_uid(), 1, "Made", "Up", "1", "1",
            omit_empty_frames=omit,
        ).save_as(path)  # fmt: skip
    return path


def read(path: Path, series: Series) -> tuple[Array, dict[int, str]]:
    labels, names = read_dicom_mask(mask_of(path, KEY), series)
    assert labels.dtype == np.uint8
    return labels, dict(names)


# SEG -----------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES)
def test_regions_come_back_on_their_voxels(geometry: Geometry, tmp_path: Path) -> None:
    series = scan(tmp_path / "a", geometry)
    path = write_seg(tmp_path / "seg", series, {"Edema": ball(10), "Enhancing": ball(7), "Necrosis": ball(3)})
    labels, names = read(path, series)
    expected = np.zeros(SHAPE, np.uint8)
    expected[ball(10)] = 2
    expected[ball(3)] = 1
    expected[ball(7)] = 3  # the enhancing tumour before the core
    np.testing.assert_array_equal(labels, expected)
    assert names == REGIONS
    # highdicom's own reader, segment by segment.
    order = [pydicom.dcmread(plane.file).SOPInstanceUID for plane in series.planes]
    theirs = highdicom.seg.segread(path).get_pixels_by_source_instance(order, assert_missing_frames_are_empty=True)
    np.testing.assert_array_equal(theirs[..., 1] > 0, labels == 3)


@pytest.mark.parametrize("omit", [True, False])
@pytest.mark.parametrize("label", ["Tumor", "Segment_1", "GTV", "lesion 1", "Whole tumour"])
def test_one_segment_is_the_tumour(label: str, omit: bool, tmp_path: Path) -> None:
    series = scan(tmp_path / "a")
    labels, names = read(write_seg(tmp_path / "seg", series, {label: ball(8)}, omit=omit), series)
    np.testing.assert_array_equal(labels, ball(8))
    assert names == WHOLE_TUMOUR


@pytest.mark.parametrize(
    ("targets", "names"),
    [(("tumour",), WHOLE_TUMOUR), (("tumour", "core", "enhancing"), REGIONS), (("core", "enhancing"), REGIONS)],
)
def test_our_own_segmentation_gives_the_same_mask(
    targets: tuple[str, ...], names: dict[int, str], tmp_path: Path
) -> None:
    series = scan(tmp_path / "a")
    regions = {"tumour": ball(10), "core": ball(7), "enhancing": ball(5) & ~ball(3)}
    detector = SimpleNamespace(name="unet", bundle=SimpleNamespace(digest="ab" * 32))
    path = tmp_path / "a_seg.dcm"
    write_segmentation(path, series, {name: regions[name] for name in targets}, detector)  # type: ignore[arg-type]
    labels, got = read(path, series)
    expected = np.zeros(SHAPE, np.uint8)
    if "tumour" in targets:
        expected[regions["tumour"]] = 1 if len(targets) == 1 else 2
    if "core" in targets:
        expected[regions["core"]] = 1
        expected[regions["enhancing"]] = 3
    np.testing.assert_array_equal(labels, expected)
    assert got == names


def test_fractional_segments_count_from_half(tmp_path: Path) -> None:
    series = scan(tmp_path / "a")
    shares = np.where(ball(4), 0.9, np.where(ball(8), 0.3, 0.0))
    path = write_seg(tmp_path / "seg", series, {"Tumor": shares}, kind=SegmentationTypeValues.FRACTIONAL)
    np.testing.assert_array_equal(read(path, series)[0], ball(4))


def test_a_segmentation_as_label_map(tmp_path: Path) -> None:
    series = scan(tmp_path / "a")
    segments = {"Oedema": ball(9) & ~ball(5), "Enhancing tumor": ball(5)}
    path = write_seg(tmp_path / "seg", series, segments, kind=SegmentationTypeValues.LABELMAP)
    labels, _ = read(path, series)
    np.testing.assert_array_equal(labels, 2 * (ball(9) & ~ball(5)) + 3 * ball(5))


def test_a_segmentation_without_content_is_a_mask_of_nothing(tmp_path: Path) -> None:
    series = scan(tmp_path / "a")
    path = write_seg(tmp_path / "seg", series, {"Tumor": np.zeros(SHAPE)}, omit=False)
    labels, names = read(path, series)
    assert not labels.any()
    assert labels.shape == SHAPE
    assert names == WHOLE_TUMOUR


def test_a_cropped_segmentation_is_put_where_it_belongs(tmp_path: Path) -> None:
    series = scan(tmp_path / "a")
    path = write_seg(tmp_path / "seg", series, {"Tumor": ball(6)})
    dataset = pydicom.dcmread(path)
    frames = dataset.pixel_array[:, 3:20, 5:25]
    columns, rows = np.array(series.axes[:3]) * series.spacing[0], np.array(series.axes[3:]) * series.spacing[1]
    for group in dataset.PerFrameFunctionalGroupsSequence:
        item = group.PlanePositionSequence[0]
        item.ImagePositionPatient = [
            f"{value:.8g}" for value in np.array(item.ImagePositionPatient, float) + 3 * rows + 5 * columns
        ]
    dataset.Rows, dataset.Columns = frames.shape[1:]
    dataset.PixelData = np.packbits(frames.ravel(), bitorder="little").tobytes() + b"\0" * (frames.size // 8 % 2)
    dataset.save_as(path)
    np.testing.assert_array_equal(read(path, series)[0], ball(6))


def test_a_segmentation_of_another_grid_takes_the_nearest_voxels(tmp_path: Path) -> None:
    """Drawn on slices twice as fine and turned by 90 degrees."""
    uids = {"study": generate_uid(), "frame": generate_uid()}
    fine = Geometry((0.5, 0.5, 0.5), (20.0, -9.25, 2.75), (0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0))
    coarse = scan(tmp_path / "a", CUBIC, (6, 24, 32), **uids)
    other = scan(tmp_path / "b", fine, (12, 64, 48), **uids)
    grid = read_series(other).geometry
    assert grid is not None
    points = np.indices((12, 64, 48))[::-1].reshape(3, -1).T * 0.5 @ np.array(fine.direction).reshape(3, 3).T
    x, y, z = (points + np.array(fine.origin)).T.reshape(3, 12, 64, 48)
    truth = ((x - 5) ** 2 + (y - 2) ** 2 + (z - 6) ** 2) < 2.6**2
    assert truth.any()
    path = write_seg(tmp_path / "seg", other, {"Tumor": truth})
    labels, _ = read(path, coarse)
    zs, ys, xs = np.indices((6, 24, 32))
    expected = (xs - 8 - 5) ** 2 + (ys - 9 - 2) ** 2 + (zs + 3 - 6) ** 2 < 2.6**2
    overlap = 2 * (labels & expected).sum() / (labels.sum() + expected.sum())
    assert overlap > 0.9


def test_a_segmentation_beside_its_series_is_refused(tmp_path: Path) -> None:
    series = scan(tmp_path / "a")
    path = write_seg(tmp_path / "seg", series, {"Tumor": ball(6)})
    away = replace(
        series, planes=tuple(replace(one, position=(900.0, 0.0, float(n))) for n, one in enumerate(series.planes))
    )
    with pytest.raises(InputError, match="lies beside it"):
        read(path, replace(away, axes=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0)))


def test_what_is_no_tumour_is_left_aside(tmp_path: Path) -> None:
    series = scan(tmp_path / "a")
    mixed = write_seg(tmp_path / "seg", series, {"Brain": ball(20), "Tumor": ball(5), "Left eye": ball(3)})
    mask = mask_of(mixed, KEY)
    assert mask.aside == 2
    assert "2 of the 3 segments" in mask.remarks[0]
    np.testing.assert_array_equal(read(mixed, series)[0], ball(5))
    with pytest.raises(InputError, match="2 segments of something else"):
        mask_of(write_seg(tmp_path / "o", series, {"Brainstem": ball(5), "Optic chiasm": ball(3)}), KEY)


def test_a_coded_type_says_what_a_meaningless_name_does_not(tmp_path: Path) -> None:
    series = scan(tmp_path / "a")
    path = write_seg(tmp_path / "seg", series, {"Segment_1": ball(5)}, coded=codes.SCT.Edema)
    labels, names = read(path, series)
    assert (names, set(np.unique(labels))) == (REGIONS, {0, 2})
    with pytest.raises(InputError, match="something else"):
        mask_of(
            write_seg(
                tmp_path / "b", series, {"S": ball(5)}, coded=codes.SCT.Brain, category=codes.SCT.AnatomicalStructure
            ),
            KEY,
        )


def test_overlap_and_what_the_outline_holds_beyond_its_regions() -> None:
    whole, core, enhancing, oedema = ball(10), ball(6), ball(4), ball(8)
    labels, _ = combined({"whole": whole, "core": core, "enhancing": enhancing})
    np.testing.assert_array_equal(labels, np.where(enhancing, 3, np.where(core, 1, 2 * whole)))
    labels, _ = combined({"whole": whole, "oedema": whole & ~core})
    np.testing.assert_array_equal(labels, np.where(core, 1, 2 * whole))
    labels, _ = combined({"gross": core, "oedema": oedema})
    np.testing.assert_array_equal(labels, np.where(core, 1, 2 * oedema))
    labels, names = combined({"gross": core, "whole": oedema})
    np.testing.assert_array_equal(labels, oedema)
    assert names == WHOLE_TUMOUR


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("Edema", "oedema"), ("Peritumoral edema", "oedema"), ("Ödem", "oedema"), ("œdème", "oedema"),
        ("ED", "oedema"), ("FLAIR hyperintensity", "oedema"), ("SNFH", "oedema"), ("Enhancing", "enhancing"),
        ("EnhancingTumor", "enhancing"), ("enhancing_tumor", "enhancing"), ("ET", "enhancing"),
        ("Active tumor", "enhancing"), ("Necrosis", "core"), ("NCR/NET", "core"), ("Non-enhancing tumor", "core"),
        ("Tumor core", "core"), ("TC", "core"), ("GTV", "gross"), ("GTVp", "gross"), ("gtv_1", "gross"),
        ("GTV brain met", "gross"), ("Tumor", "whole"), ("Tumour", "whole"), ("Whole tumor", "whole"),
        ("WT", "whole"), ("Lesion_2", "whole"), ("Neoplasm", "whole"), ("Metastasis", "whole"),
        ("Meningioma", "whole"), ("Glioblastoma", "whole"), ("Brain tumor", "whole"), ("Tumor + edema", "whole"),
        ("Brain", "other"), ("BrainStem", "other"), ("Brain-GTV", "other"), ("Left Eye", "other"),
        ("EXTERNAL", "other"), ("Optic_Chiasm", "other"), ("Body", "other"), ("PTV_60", "other"), ("CTV", "other"),
        ("Lens L", "other"), ("Resection cavity", "other"), ("normal tissue", "other"), ("Ventricles", "other"),
        ("Hippocampus_R", "other"), ("Segment_1", "unknown"), ("ROI-1", "unknown"), ("abc", "unknown"),
        ("", "unknown"),
    ],
)  # fmt: skip
def test_names_of_segments(name: str, part: str) -> None:
    assert part_of(name) == part


# RTSTRUCT ------------------------------------------------------------------------------------------------------------


def write_structures(
    path: Path,
    series: Series,
    structures: Mapping[str, Sequence[Array]],
    *,
    kind: str = "CLOSED_PLANAR",
    refer: bool = True,
    types: Mapping[str, str] | None = None,
) -> Path:
    """Structures of contours (n, 3) of columns, rows and slices of the series, written in mm."""
    first = pydicom.dcmread(series.planes[0].file)
    dataset = FileDataset(str(path), {}, preamble=bytes(128))
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = RTStructureSetStorage
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.Modality, dataset.StudyInstanceUID = "RTSTRUCT", first.StudyInstanceUID
    dataset.PatientID, dataset.PatientName, dataset.SeriesInstanceUID = (
        first.PatientID,
        first.PatientName,
        generate_uid(),
    )
    place = Dataset()
    place.FrameOfReferenceUID = first.FrameOfReferenceUID
    if refer:
        inner, study = Dataset(), Dataset()
        inner.SeriesInstanceUID = first.SeriesInstanceUID
        study.RTReferencedSeriesSequence = Items([inner])
        place.RTReferencedStudySequence = Items([study])
    dataset.ReferencedFrameOfReferenceSequence = Items([place])
    names, drawn, observed = [], [], []
    columns, rows = np.array(series.axes[:3]) * series.spacing[0], np.array(series.axes[3:]) * series.spacing[1]
    for number, (name, contours) in enumerate(structures.items(), start=1):
        roi, contour, observation = Dataset(), Dataset(), Dataset()
        roi.ROINumber, roi.ROIName, roi.ReferencedFrameOfReferenceUID = number, name, first.FrameOfReferenceUID
        contour.ReferencedROINumber, items = number, []
        for points in contours:
            item = Dataset()
            origin = np.array([series.planes[int(z)].position for z in points[:, 2]])
            placed = origin + points[:, :1] * columns + points[:, 1:2] * rows
            item.ContourGeometricType, item.NumberOfContourPoints = kind, len(points)
            item.ContourData = [f"{value:.8g}" for value in placed.ravel()]
            items.append(item)
        contour.ContourSequence = Items(items)
        observation.ObservationNumber = observation.ReferencedROINumber = number
        observation.RTROIInterpretedType = (types or {}).get(name, "")
        names, drawn, observed = [*names, roi], [*drawn, contour], [*observed, observation]
    dataset.StructureSetROISequence, dataset.ROIContourSequence = Items(names), Items(drawn)
    dataset.RTROIObservationsSequence = Items(observed)
    dataset.save_as(path, enforce_file_format=True)
    return path


def contours_of(mask: Bools) -> list[Array]:
    """Contours half way between the pixels inside and outside, slice by slice (columns, rows, slices)."""
    found = []
    for z, plane in enumerate(mask):
        for line in find_contours(np.pad(plane, 1).astype(float), 0.5):
            points = line[:-1, ::-1] - 1
            found.append(np.column_stack([points, np.full(len(points), z)]))
    return found


@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES)
def test_contours_give_the_mask_that_they_were_drawn_around(geometry: Geometry, tmp_path: Path) -> None:
    series = scan(tmp_path / "a", geometry)
    mask = ball(9) & ~ball(4)  # with a hole
    labels, names = read(write_structures(tmp_path / "rt", series, {"GTV": contours_of(mask)}), series)
    np.testing.assert_array_equal(labels, mask)
    assert names == WHOLE_TUMOUR


def test_structures_are_regions_and_organs_are_left_aside(tmp_path: Path) -> None:
    series = scan(tmp_path / "a")
    regions = {"Brainstem": ball(20), "Edema": ball(10), "Enhancing": ball(6), "Necrosis": ball(3), "PTV": ball(11)}
    path = write_structures(tmp_path / "rt", series, {name: contours_of(one) for name, one in regions.items()})
    labels, names = read(path, series)
    np.testing.assert_array_equal(labels, np.where(ball(6), 3, 2 * ball(10)))
    assert names == REGIONS
    assert mask_of(path, KEY).aside == 2


def test_filling_agrees_with_scikit_image() -> None:
    random, more = np.random.default_rng(5), 0
    for _ in range(50):
        angles = np.sort(random.uniform(0, 2 * np.pi, 9))
        reach = random.uniform(4, 18, 9)
        points = np.column_stack([20 + reach * np.cos(angles), 15 + reach * np.sin(angles)])
        expected = np.zeros((30, 40), bool)
        rows, columns = polygon(points[:, 1], points[:, 0], (30, 40))
        expected[rows, columns] = True
        got = filled([points], (30, 40))
        assert not (expected & ~got).any()
        more += int((got & ~expected).sum())
    # Centres within 0.01 of an edge count as on it: a strip of 0.01 along some 80 pixels of outline, 50 times.
    assert more <= 60


def test_contours_through_the_centres_of_pixels_include_them() -> None:
    square = np.array([[2.0, 3.0], [8.0, 3.0], [8.0, 6.0], [2.0, 6.0]])
    expected = np.zeros((10, 12), bool)
    expected[3:7, 2:9] = True
    np.testing.assert_array_equal(filled([square], (10, 12)), expected)
    np.testing.assert_array_equal(filled([square[::-1]], (10, 12)), expected)
    np.testing.assert_array_equal(filled([square + 100], (10, 12)), np.zeros((10, 12), bool))


def test_open_lines_and_points_outline_nothing(tmp_path: Path) -> None:
    series = scan(tmp_path / "a")
    path = write_structures(tmp_path / "rt", series, {"GTV": contours_of(ball(5))}, kind="POINT")
    assert not read(path, series)[0].any()


def test_contours_across_the_slices_are_refused(tmp_path: Path) -> None:
    series = scan(tmp_path / "a")
    across = [np.array([[3.0, 3, 0], [9, 3, 2], [9, 9, 4]])]
    with pytest.raises(InputError, match="across"):
        read(write_structures(tmp_path / "rt", series, {"GTV": across}), series)


def test_structures_without_telling_names_are_refused_unless_there_is_one(tmp_path: Path) -> None:
    series = scan(tmp_path / "a")
    one = write_structures(tmp_path / "one", series, {"ROI-1": contours_of(ball(5))})
    np.testing.assert_array_equal(read(one, series)[0], ball(5))
    two = {"Zzyzx 1": contours_of(ball(5)), "Zzyzx 2": contours_of(ball(3))}
    with pytest.raises(InputError, match="2 names that do not") as caught:
        mask_of(write_structures(tmp_path / "two", series, two), KEY)
    assert "Zzyzx" not in str(caught.value)
    typed = write_structures(tmp_path / "typed", series, two, types={"Zzyzx 1": "GTV", "Zzyzx 2": "ORGAN"})
    np.testing.assert_array_equal(read(typed, series)[0], ball(5))


def test_contours_of_thicker_slices_fill_the_thin_ones_between(tmp_path: Path) -> None:
    uids = {"study": generate_uid(), "frame": generate_uid()}
    thick = scan(tmp_path / "a", replace(CUBIC, spacing=(1.0, 1.0, 3.0)), (4, 24, 32), **uids)
    thin = scan(tmp_path / "b", CUBIC, (10, 24, 32), **uids)
    square = np.array([[4.0, 4.0], [9.0, 4.0], [9.0, 9.0], [4.0, 9.0]])
    contours = [np.column_stack([square, np.full(4, z)]) for z in (1, 2)]
    path = write_structures(tmp_path / "rt", thick, {"GTV": contours})
    assert [bool(one.any()) for one in read(path, thick)[0]] == [False, True, True, False]
    # Heights 3 and 6 mm above the first slice: each thin slice within 1.5 mm.
    assert [bool(one.any()) for one in read(path, thin)[0]] == [2 <= z <= 7 for z in range(10)]


# In a folder ---------------------------------------------------------------------------------------------------------


def study(folder: Path, *, second: Geometry = OBLIQUE) -> dict[str, Series]:
    """A FLAIR and a contrast-enhanced T1 of one study and position."""
    uids = {"study": generate_uid(), "frame": generate_uid()}
    return {
        "flair": scan(folder / "flair", description="Ax FLAIR", **uids),
        "t1c": scan(folder / "t1c", second, description="Ax T1 +C", **uids),
    }


@pytest.mark.parametrize("kind", ["seg", "rtstruct"])
@pytest.mark.parametrize("drawn_on", ["flair", "t1c"])
def test_a_mask_in_the_folder_is_the_mask_of_its_study(kind: str, drawn_on: str, tmp_path: Path) -> None:
    series = study(tmp_path)[drawn_on]
    if kind == "seg":
        write_seg(tmp_path / "mask", series, {"Tumor": ball(8)})
    else:
        write_structures(tmp_path / "mask", series, {"GTV": contours_of(ball(8)), "Body": contours_of(ball(14))})
    for wanted in (True, False):
        inventory = take_inventory(tmp_path, key=KEY, masks_wanted=wanted)
        [case] = inventory.cases
        assert case.has_mask
        assert tmp_path / "mask" in case.sources
        assert not inventory.skipped
        assert (reference_series(case) or series).modality == "flair"
        read_back = pickle.loads(pickle.dumps(case)).load()
        np.testing.assert_array_equal(read_back.mask, ball(8))
        assert read_back.labels == WHOLE_TUMOUR
        assert bool(read_back.remarks) == (kind == "rtstruct")


def test_a_mask_of_another_series_is_moved_onto_the_grid_of_the_study(tmp_path: Path) -> None:
    finer = replace(CUBIC, spacing=(0.5, 0.5, 0.5), origin=(-8.25, -9.25, 2.75))
    uids = {"study": generate_uid(), "frame": generate_uid()}
    scan(tmp_path / "flair", CUBIC, description="Ax FLAIR", **uids)
    t1c = scan(tmp_path / "t1c", finer, (12, 48, 64), description="Ax T1 +C", **uids)
    box = np.zeros((6, 24, 32), bool)
    box[2:4, 5:12, 9:20] = True
    write_seg(tmp_path / "seg", t1c, {"Tumor": box.repeat(2, 0).repeat(2, 1).repeat(2, 2)})
    [case] = take_inventory(tmp_path, key=KEY).cases
    np.testing.assert_array_equal(case.load().mask, box)


def test_several_masks_of_one_study_are_listed_and_none_is_used(tmp_path: Path) -> None:
    series = study(tmp_path)["flair"]
    write_seg(tmp_path / "m1", series, {"Tumor": ball(8)})
    write_structures(tmp_path / "m2", series, {"GTV": contours_of(ball(5))})
    inventory = take_inventory(tmp_path, key=KEY)
    assert not inventory.cases[0].has_mask
    assert sorted(item.path.name for item in inventory.skipped) == ["m1", "m2"]
    assert all("remove all but the one that is meant" in item.reason for item in inventory.skipped)


def test_a_mask_that_is_there_twice_is_one(tmp_path: Path) -> None:
    series = study(tmp_path)["flair"]
    shutil.copy(write_seg(tmp_path / "m1", series, {"Tumor": ball(8)}), tmp_path / "m2")
    inventory = take_inventory(tmp_path, key=KEY)
    np.testing.assert_array_equal(inventory.cases[0].load().mask, ball(8))
    assert "1 DICOM file is there twice and used once" in inventory.remarks


@pytest.mark.slow
def test_each_study_has_its_own_mask_and_one_without_is_refused_where_masks_are_wanted(tmp_path: Path) -> None:
    sizes = {}
    for number, size in enumerate((5, 8)):
        series = study(tmp_path / str(number))["flair"]
        write_seg(tmp_path / str(number) / "seg", series, {"Tumor": ball(size)})
        sizes[series.study] = int(ball(size).sum())
    study(tmp_path / "third")
    inventory = take_inventory(tmp_path, key=KEY)
    assert {case.name.split("_")[1]: int(case.load().mask.sum()) for case in inventory.cases} == sizes  # type: ignore[union-attr]
    assert ["a study without one" in item.reason for item in inventory.skipped] == [True]
    assert len(take_inventory(tmp_path, key=KEY, masks_wanted=False).cases) == 3


def test_a_mask_of_a_series_that_is_not_there_is_listed(tmp_path: Path) -> None:
    elsewhere = scan(tmp_path / "elsewhere")
    scan(tmp_path / "in" / "a")
    write_seg(tmp_path / "in" / "seg", elsewhere, {"Tumor": ball(8)})
    inventory = take_inventory(tmp_path / "in", key=KEY)
    assert not inventory.cases[0].has_mask
    assert "put its series beside it" in inventory.skipped[0].reason


def test_a_mask_that_cannot_be_used_stops_only_those_who_want_it(tmp_path: Path) -> None:
    series = scan(tmp_path / "a")
    path = write_seg(tmp_path / "seg", series, {"Tumor": ball(8)})
    edit(path, lambda ds: setattr(ds, "PixelData", ds.PixelData[:20]))
    [case] = take_inventory(tmp_path, key=KEY).cases
    with pytest.raises(InputError):
        case.load()
    [case] = take_inventory(tmp_path, key=KEY, masks_wanted=False).cases
    loaded = case.load()
    assert loaded.mask is None
    assert "its own mask is not used" in loaded.remarks[0]


def test_names_and_identifiers_stay_inside(tmp_path: Path) -> None:
    series = scan(tmp_path / "a", FLAT)
    write_structures(
        tmp_path / "rt", series, {"GTV Zzyzx": contours_of(ball(8)), "Eye of Quetzal": contours_of(ball(3))}
    )
    [case] = take_inventory(tmp_path, key=KEY).cases
    mask = mask_of(tmp_path / "rt", KEY)
    assert isinstance(mask, DicomMask)
    whole = (
        repr(case).encode() + pickle.dumps(replace(case, sources=())) + repr(mask).encode() + repr(case.load()).encode()
    )
    uid = pydicom.dcmread(series.planes[0].file).SeriesInstanceUID
    for secret in [*SECRETS.values(), "Zzyzx", "Quetzal", uid]:
        assert secret.encode() not in whole
