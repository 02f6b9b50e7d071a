"""From files to results: masks lie where the tumour lies, whatever the format, size and orientation."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from PIL import Image

from synthoma.core.errors import ConfigError, InputError
from synthoma.detection.coding import from_flat, from_rle
from synthoma.detection.detect import detect
from synthoma.detection.settings import DetectConfig
from synthoma.scans.case import Geometry
from tests.conftest import Progressed
from tests.detection.conftest import WriteModel
from tests.scans.writers import CUBIC, FLAT, GEOMETRIES, OBLIQUE, voxels, write_itk, write_nifti, write_picture

PLAIN = DetectConfig(overlay=False)
FLIPPED = Geometry((1.0, 1.0, 2.0), (5.0, 6.0, 7.0), (-1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, -1.0, 0.0))


def bright_box(shape: tuple[int, ...] = (6, 24, 32), dtype: type = np.int16) -> np.ndarray:
    """Dark noise with a brighter box, off the middle in every direction, that ``thresholding`` finds."""
    image = np.random.default_rng(0).integers(10, 80, shape)
    image[..., 4:9, 20:29] = 200
    if len(shape) == 3:
        image[[0, 5]] = np.minimum(image[[0, 5]], 79)
    return image.astype(dtype)


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.array(picture)


def findings(folder: Path) -> dict:
    return json.loads((folder / "findings.json").read_text())


@pytest.mark.usefixtures("thresholding")
class TestGeometry:
    """With a network that thresholds, the mask is known exactly."""

    @pytest.mark.parametrize("suffix", [".nii.gz", ".mha"])
    @pytest.mark.parametrize("geometry", [*GEOMETRIES.values(), FLIPPED], ids=[*GEOMETRIES, "flipped"])
    def test_masks_of_volumes_lie_on_the_source(
        self, geometry: Geometry, suffix: str, write_model: WriteModel, tmp_path: Path
    ) -> None:
        geometry = replace(geometry, spacing=(1.0, 1.0, geometry.spacing[2]) if geometry is not FLIPPED else (1, 1, 1))
        image = bright_box()
        path = tmp_path / f"scan_flair{suffix}"
        (write_nifti if suffix == ".nii.gz" else write_itk)(path, image, geometry)
        [row] = detect(path, write_model(), tmp_path / "out", options=PLAIN)
        source, mask = sitk.ReadImage(str(path)), sitk.ReadImage(str(tmp_path / "out" / row["mask"]))
        np.testing.assert_array_equal(sitk.GetArrayFromImage(mask), image > 100)
        assert mask.GetSize() == source.GetSize()
        np.testing.assert_allclose(mask.GetSpacing(), source.GetSpacing(), rtol=1e-5)
        np.testing.assert_allclose(mask.GetOrigin(), source.GetOrigin(), atol=1e-4)
        np.testing.assert_allclose(mask.GetDirection(), source.GetDirection(), atol=1e-5)

    @pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES)
    def test_a_mask_that_was_resized_stays_in_place(
        self, geometry: Geometry, write_model: WriteModel, tmp_path: Path
    ) -> None:
        image = np.zeros((4, 90, 120), np.int16)
        image[:, 10:80, 10:110] = 60
        image[1:3, 20:50, 30:70] = 200
        write_nifti(tmp_path / "scan_flair.nii.gz", image, geometry)
        model = write_model(size=64, prepare={"crop": True, "normalise": "robust"}, threshold=[0.75])
        detect(tmp_path / "scan_flair.nii.gz", model, tmp_path / "out", options=PLAIN)
        mask = (
            sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out" / "scan_flair" / "scan_flair_mask.nii.gz"))) > 0
        )
        overlap = 2 * (mask & (image > 100)).sum() / (mask.sum() + (image > 100).sum())
        assert overlap > 0.9
        assert not mask[[0, 3]].any()

    @pytest.mark.slow
    def test_the_place_is_right_whichever_way_the_grid_lies(self, write_model: WriteModel, tmp_path: Path) -> None:
        told = []
        for number, geometry in enumerate((CUBIC, FLIPPED)):
            path = tmp_path / f"scan{number}_flair.nii.gz"
            write_nifti(path, bright_box((32, 32, 32))[::1], replace(geometry, spacing=(1.0, 1.0, 1.0)))
            detect(path, write_model(), tmp_path / f"out{number}", options=PLAIN)
            told.append(findings(tmp_path / f"out{number}" / f"scan{number}"))
            place = sitk.ReadImage(str(path)).TransformContinuousIndexToPhysicalPoint(
                tuple(told[-1]["centroid_voxel"][axis] for axis in "xyz")
            )
            np.testing.assert_allclose(told[-1]["centroid_mm_lps"], place, atol=1e-3)
        assert [one["side"] for one in told] == ["left", "right"], "x runs to the left, then to the right"
        assert [one["slice_axis"] for one in told] == ["z", "y"]
        assert told[0]["volume"] == told[1]["volume"] == told[0]["volumes"]["tumour"]

    @pytest.mark.parametrize("shape", [(32, 32), (31, 17), (20, 57)])
    @pytest.mark.parametrize(
        ("suffix", "dtype", "colour"),
        [(".png", np.uint8, False), (".png", np.uint8, True), (".png", np.uint16, False), (".tif", np.uint16, False)],
    )
    def test_masks_of_pictures_have_their_size(
        self, shape: tuple[int, int], suffix: str, dtype: type, colour: bool, write_model: WriteModel, tmp_path: Path
    ) -> None:
        image = np.full(shape, 40)
        image[4:12, 5:14] = 255
        image = (image * (257 if dtype == np.uint16 else 1)).astype(dtype)
        path = tmp_path / "in" / f"a picture{suffix}"
        write_picture(path, np.repeat(image[..., None], 3, axis=2) if colour else image)
        model = write_model(size=max(shape) if max(shape) % 4 == 0 else 64)
        [row] = detect(path, model, tmp_path / "out", options=PLAIN)
        mask = pixels(tmp_path / "out" / row["mask"])
        assert mask.shape == shape
        assert set(np.unique(mask)) == {0, 255}
        found = mask > 0
        true = image > image.max() // 2
        assert 2 * (found & true).sum() / (found.sum() + true.sum()) > (0.999 if shape == (32, 32) else 0.8)
        np.testing.assert_array_equal(from_rle(row["predicted_mask"], shape), found)
        assert row["has_mask"] == 1
        told = findings(tmp_path / "out" / "a_picture")
        assert told["volume_unit"] == "pixels"
        assert "radiological convention" in " ".join(told["remarks"])
        assert told["slices"][0]["rle"] == row["predicted_mask"]

    def test_stacks_of_pictures_get_one_mask_a_slice(self, write_model: WriteModel, tmp_path: Path) -> None:
        for k in range(3):
            colours = np.random.default_rng(k).integers(40, 60, (32, 32, 3)).astype(np.uint8)
            colours[4:10, 20:26, 1] = 250 if k else 50
            write_picture(tmp_path / "in" / "P1" / f"P1_{k}.tif", colours)
            write_picture(tmp_path / "in" / "P1" / f"P1_{k}_mask.tif", (colours[..., 1] > 100).astype(np.uint8) * 255)
        options = DetectConfig(probabilities=True)
        detect(tmp_path / "in", write_model(), tmp_path / "out", options=options)
        files = sorted(path.name for path in (tmp_path / "out" / "P1").glob("*_mask.png"))
        assert files == ["P1_0_mask.png", "P1_1_mask.png", "P1_2_mask.png"]
        assert (tmp_path / "out" / "P1" / "P1_1_probability.png").is_file()
        told = findings(tmp_path / "out" / "P1")
        assert told["dice"] == {"tumour": 1.0}
        assert [one["name"] for one in told["slices"]] == ["P1_1", "P1_2"]
        pictures = pd.read_csv(tmp_path / "out" / "pictures.csv")
        assert pictures["has_mask"].tolist() == [0, 1, 1]
        assert [Path(path).name for path in pictures["image_path"]] == ["P1_0.tif", "P1_1.tif", "P1_2.tif"]

    def test_nested_targets_are_written_as_labels(self, write_model: WriteModel, tmp_path: Path) -> None:
        image = np.full((4, 32, 32), 20, np.uint8)
        for value, reach in ((140, 8), (190, 5), (250, 2)):
            image[1:3, 16 - reach : 16 + reach, 16 - reach : 16 + reach] = value
        write_nifti(tmp_path / "in" / "scan_flair.nii.gz", image, CUBIC)
        write_picture(tmp_path / "in2" / "p.png", image[1])
        model = write_model(targets=("tumour", "core", "enhancing"))
        detect([tmp_path / "in", tmp_path / "in2"], model, tmp_path / "out", options=PLAIN)
        labels = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out" / "scan_flair" / "scan_flair_mask.nii.gz")))
        expected = np.select([image > 225, image > 175, image > 125], [3, 1, 2], 0)
        np.testing.assert_array_equal(labels, expected)
        told = findings(tmp_path / "out" / "scan_flair")
        assert told["volumes"] == {"tumour": 512, "core": 200, "enhancing": 32}
        assert told["labels"] == {"2": "oedema", "1": "core", "3": "enhancing"}
        picture = pixels(tmp_path / "out" / "p" / "p_labels.png")
        np.testing.assert_array_equal(picture, expected[1])


def test_a_shell_that_spells_files_out_leaves_one_scan(write_model: WriteModel, tmp_path: Path) -> None:
    image = bright_box()
    for z, layer in enumerate(image):
        (tmp_path / "p1").mkdir(exist_ok=True)
        write_picture(tmp_path / "p1" / f"p1_{z}.tif", np.stack([layer] * 3, -1).astype(np.uint8))
    rows = detect(sorted((tmp_path / "p1").iterdir()), write_model(), tmp_path / "out", options=PLAIN)
    assert [row["case"] for row in rows] == ["p1"]
    assert len(findings(tmp_path / "out" / "p1")["slice_probabilities"]) == len(image)


def test_a_slice_of_another_plane_is_refused(write_model: WriteModel, tmp_path: Path) -> None:
    """Turned into axial slices it would be as many lines."""
    sagittal = Geometry((1.0, 1.0, 5.0), (0.0, 0.0, 0.0), (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0))
    write_nifti(tmp_path / "scan_flair.nii.gz", bright_box((24, 32))[None], sagittal)
    with pytest.raises(InputError, match="taken in another plane"):
        detect(tmp_path / "scan_flair.nii.gz", write_model(), tmp_path / "out", options=PLAIN)


@pytest.mark.usefixtures("thresholding")
def test_without_thickness_there_is_no_volume_in_mm3(write_model: WriteModel, tmp_path: Path) -> None:
    flat = sitk.GetImageFromArray(bright_box((24, 32)))
    flat.SetSpacing((0.5, 0.5))
    sitk.WriteImage(flat, str(tmp_path / "scan_flair.nii.gz"))
    [row] = detect(tmp_path / "scan_flair.nii.gz", write_model(), tmp_path / "out", options=PLAIN)
    assert (row["volume"], row["unit"], row["diameter_unit"]) == (45, "pixels", "mm")
    assert "how thick" in row["remarks"]


@pytest.mark.usefixtures("thresholding")
@pytest.mark.parametrize(("side", "said"), [(0.001, True), (0.15, True), (0.9, False), (5.0, False), (25.0, True)])
def test_a_head_of_another_size_than_any_is_remarked(
    side: float, said: bool, write_model: WriteModel, tmp_path: Path
) -> None:
    """Metres or a tenth of a millimetre in place of millimetres: the volume would be told as if it were one."""
    write_nifti(tmp_path / "scan_flair.nii.gz", bright_box((6, 48, 64)), Geometry((side, side, 4 * side)))
    detect(tmp_path / "scan_flair.nii.gz", write_model(), tmp_path / "out", options=PLAIN)
    [written] = (tmp_path / "out").rglob("findings.json")
    remarks = findings(written.parent)["remarks"]
    assert any("which no head is" in remark for remark in remarks) == said


@pytest.mark.usefixtures("thresholding")
def test_a_mask_that_the_scan_as_a_whole_denies_is_remarked(write_model: WriteModel, tmp_path: Path) -> None:
    image = bright_box()
    image[[1, 3, 4]] = np.minimum(image[[1, 3, 4]], 79)  # one slice alone
    write_nifti(tmp_path / "scan_flair.nii.gz", image, CUBIC)
    options = DetectConfig(overlay=False, threshold=0.6)
    [row] = detect(tmp_path / "scan_flair.nii.gz", write_model(), tmp_path / "out", options=options)
    assert (row["has_tumour"], row["has_mask"]) == (False, 1)
    assert "look at it" in row["remarks"]


def test_whole_masks_are_written_as_text_on_request(write_model: WriteModel, tmp_path: Path) -> None:
    write_nifti(tmp_path / "scan_flair.nii.gz", bright_box(), CUBIC)
    options = DetectConfig(overlay=False, rle=True)
    detect(tmp_path / "scan_flair.nii.gz", write_model(), tmp_path / "out", options=options)
    code = json.loads(next((tmp_path / "out").rglob("mask_rle.json")).read_text())
    mask = sitk.GetArrayFromImage(sitk.ReadImage(str(next((tmp_path / "out").rglob("*_mask.nii.gz")))))
    np.testing.assert_array_equal(from_rle(code["rle"], code["shape"]), mask > 0)
    np.testing.assert_array_equal(from_flat(code["flat"], code["shape"]), mask > 0)


@pytest.mark.slow
def test_nothing_found_leaves_null_and_an_empty_mask(write_model: WriteModel, tmp_path: Path) -> None:
    write_nifti(tmp_path / "in" / "scan_flair.nii.gz", bright_box(), CUBIC)
    write_picture(tmp_path / "in2" / "p.png", bright_box((32, 32), np.uint8))
    options = DetectConfig(threshold=0.999, probabilities=True, rle=True, saliency=True)
    table = detect([tmp_path / "in", tmp_path / "in2"], write_model(), tmp_path / "out", options=options)
    assert [row["has_tumour"] for row in table] == [False, False]
    assert [row["predicted_mask"] for row in table] == ["", ""]
    told = findings(tmp_path / "out" / "scan_flair")
    assert told["thresholds"] == {"tumour": 0.999}
    assert told["side"] is told["diameter"] is told["centroid_voxel"] is told["box_voxel"] is None
    assert (told["volume"], told["slices"]) == (0, [])
    assert 0 < told["probability"] < 0.999
    assert not pixels(tmp_path / "out" / "p" / "p_mask.png").any()
    assert json.loads((tmp_path / "out" / "scan_flair" / "mask_rle.json").read_text())["rle"] == ""
    probability = sitk.GetArrayFromImage(
        sitk.ReadImage(str(tmp_path / "out" / "scan_flair" / "scan_flair_probability.nii.gz"))
    )
    assert probability.shape == (6, 24, 32)
    assert 0 < probability.max() < 1
    for name in ("scan_flair/scan_flair_overlay.png", "scan_flair/saliency.png", "p/p_overlay.png", "p/saliency.png"):
        assert pixels(tmp_path / "out" / name).shape[1] > 500


def test_one_bad_scan_does_not_stop_the_others(
    write_model: WriteModel, tmp_path: Path, progressed: tuple[Progressed, Callable[[str, int, int], None]]
) -> None:
    seen, report = progressed
    write_nifti(tmp_path / "in" / "good_flair.nii.gz", voxels(0), FLAT)
    write_nifti(tmp_path / "in" / "flat_flair.nii.gz", np.ones((5, 12, 16), np.int16), FLAT)
    write_nifti(tmp_path / "in" / "cut_flair.nii.gz", voxels(1), FLAT)
    content = (tmp_path / "in" / "cut_flair.nii.gz").read_bytes()
    (tmp_path / "in" / "cut_flair.nii.gz").write_bytes(content[: len(content) // 2])
    (tmp_path / "in" / "notes.nii").write_text("no volume")
    table = detect([tmp_path / "in", tmp_path / "nowhere"], write_model(), tmp_path / "out", progress=report)
    assert [row["case"] for row in table] == ["good"]
    skipped = pd.read_csv(tmp_path / "out" / "skipped.csv")
    assert sorted(Path(path).name for path in skipped["path"]) == [
        "cut_flair.nii.gz", "flat_flair.nii.gz", "notes.nii", "nowhere"
    ]  # fmt: skip
    assert skipped["reason"].str.startswith("expected").all()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "checksums.json", "detection.json", "good", "index.csv", "skipped.csv"
    ]  # fmt: skip
    assert json.loads((tmp_path / "out" / "detection.json").read_text())["skipped"] == 4
    assert seen[-1] == ("looking for tumours", 3, 3)


@pytest.mark.slow
def test_workers_find_what_one_process_finds(write_model: WriteModel, tmp_path: Path) -> None:
    for number in range(4):
        write_picture(tmp_path / "in" / f"{number}.png", voxels(number, (40, 30), np.uint8))
    model = write_model()
    tables = []
    for jobs in (1, 2):
        detect(tmp_path / "in", model, tmp_path / f"out{jobs}", options=DetectConfig(jobs=jobs, threshold=0.02))
        tables.append((tmp_path / f"out{jobs}" / "index.csv").read_text())
    assert tables[0] == tables[1]
    for path in sorted((tmp_path / "out1").rglob("*.*")):
        twin = tmp_path / "out2" / path.relative_to(tmp_path / "out1")
        assert path.read_bytes() == twin.read_bytes(), path.name


def test_joblib_decides_where_it_is_done(write_model: WriteModel, tmp_path: Path) -> None:
    import joblib

    for number in range(3):
        write_picture(tmp_path / "in" / f"{number}.png", voxels(number, (40, 30), np.uint8))
    model = write_model()
    first = detect(tmp_path / "in", model, tmp_path / "out1", options=PLAIN)
    with joblib.parallel_config(backend="threading", n_jobs=2):
        second = detect(tmp_path / "in", model, tmp_path / "out2", options=PLAIN)
    assert first == second


def test_the_same_command_gives_the_same_bytes_and_an_old_result_is_kept(
    write_model: WriteModel, tmp_path: Path
) -> None:
    write_picture(tmp_path / "a.png", voxels(0, (40, 30), np.uint8))
    model = write_model()
    detect(tmp_path / "a.png", model, tmp_path / "out")
    first = {path.name: path.read_bytes() for path in (tmp_path / "out").rglob("*.*")}
    with pytest.raises(InputError, match="add --force"):
        detect(tmp_path / "a.png", model, tmp_path / "out")
    detect(tmp_path / "a.png", model, tmp_path / "out", force=True)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").rglob("*.*")} == first


class TestModalities:
    """What a scan has, and what the model wants."""

    def test_a_plain_picture_stands_for_flair_or_what_is_asked(self, write_model: WriteModel, tmp_path: Path) -> None:
        write_picture(tmp_path / "a.png", voxels(0, (40, 30), np.uint8))
        model = write_model(modalities=("t1", "t2", "flair"))
        for shows, expected in ((None, "flair"), ("t2", "t2")):
            out = tmp_path / f"out-{shows}"
            detect(tmp_path / "a.png", model, out, options=DetectConfig(shows=shows, overlay=False))
            told = findings(out / "a")
            assert told["modalities"] == [expected]
            assert f"taken for {expected}" in told["remarks"][0]
            assert told["missing"] == [name for name in ("t1", "t2", "flair") if name != expected]
        with pytest.raises(ConfigError, match="t1, t2, flair"):
            detect(tmp_path / "a.png", model, tmp_path / "no", options=DetectConfig(shows="t1c"))

    def test_what_is_missing_or_unknown_is_said(self, write_model: WriteModel, tmp_path: Path) -> None:
        for number, name in enumerate(("t1", "flair")):
            write_nifti(tmp_path / "in" / f"a_{name}.nii.gz", voxels(number), OBLIQUE)
        detect(tmp_path / "in", write_model(modalities=("t2", "flair")), tmp_path / "out", options=PLAIN)
        remarks = findings(tmp_path / "out" / "a")["remarks"]
        assert remarks == [
            "missing: t2; the model worked from flair alone",
            "not used, since the model does not know it: t1",
        ]
        strict = write_model(modalities=("t2", "flair"), any_subset=False)
        with pytest.raises(InputError, match="a scan without t2"):
            detect(tmp_path / "in", strict, tmp_path / "no")
        with pytest.raises(InputError, match="one of the modalities t1c"):
            detect(tmp_path / "in", write_model(modalities=("t1c",)), tmp_path / "no")

    @pytest.mark.usefixtures("thresholding")
    def test_the_mask_lies_on_flair_whatever_grids_the_others_have(
        self, write_model: WriteModel, tmp_path: Path
    ) -> None:
        image, wide = bright_box((6, 32, 32)), Geometry((2.0, 2.0, 2.0), (-20.0, -20.0, -10.0))
        write_nifti(tmp_path / "in" / "a_t1.nii.gz", voxels(1, (12, 40, 40), top=60), wide)
        write_nifti(tmp_path / "in" / "a_flair.nii.gz", image, CUBIC)
        model = write_model(modalities=("t1", "flair"), prepare={"crop": False, "normalise": "robust"})
        detect(tmp_path / "in", model, tmp_path / "out", options=PLAIN)
        mask = sitk.ReadImage(str(tmp_path / "out" / "a" / "a_mask.nii.gz"))
        assert mask.GetSize() == (32, 32, 6)
        assert mask.GetOrigin() == pytest.approx(CUBIC.origin)
        assert sitk.GetArrayFromImage(mask)[image > 100].all()

    def test_a_model_of_pictures_is_shown_flair(self, write_model: WriteModel, tmp_path: Path) -> None:
        for number, name in enumerate(("t1", "flair")):
            write_nifti(tmp_path / "in" / f"a_{name}.nii.gz", voxels(number), OBLIQUE)
        detect(tmp_path / "in", write_model(modalities=("image",)), tmp_path / "out", options=PLAIN)
        assert "it is shown flair" in findings(tmp_path / "out" / "a")["remarks"][0]


def test_names_stay_apart_and_inside(write_model: WriteModel, tmp_path: Path) -> None:
    for place in ("x/a b.png", "x/a_b.png", "y/a b.png"):
        write_picture(tmp_path / place, voxels(len(place), (40, 30), np.uint8))
    table = detect([tmp_path / "x", tmp_path / "y"], write_model(), tmp_path / "out", options=PLAIN)
    assert [row["case"] for row in table] == ["a b.png", "a_b.png", "a b.png#2"]
    folders = sorted(path.name for path in (tmp_path / "out").iterdir() if path.is_dir())
    assert folders == ["a_b", "a_b-2", "a_b_png_2"]
