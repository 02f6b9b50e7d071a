from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from synthoma.data.case import Geometry
from synthoma.errors import InputError
from synthoma.evaluation.masks import SCHEMA, WHOLE, PatientMasks, score_arrays, score_masks
from synthoma.metrics.boundary import boundary
from tests.data.writers import CUBIC, FLAT, write_itk, write_nifti, write_picture

SHAPE = (6, 16, 20)
QUICK = {"draws": 50}


def box(at: int = 4, side: int = 6, value: int = 1, shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    mask = np.zeros(shape, np.uint8)
    mask[1:4, 3 : 3 + side, at : at + side] = value
    return mask


def write_volumes(folder: Path, masks: Mapping[str, np.ndarray], geometry: Geometry = CUBIC) -> Path:
    for name, mask in masks.items():
        write = write_nifti if ".nii" in name else write_itk
        write(folder / name, mask, geometry)
    return folder


def write_slices(folder: Path, name: str, mask: np.ndarray, ending: str = "_mask.tif", value: int = 255) -> None:
    for index, plane in enumerate(mask):
        write_picture(folder / f"{name}_{index + 1}{ending}", plane * value)


def by_patient(result: dict) -> dict:
    return {row["patient"]: row["regions"][WHOLE] for row in result["per_patient"]}


# --- arrays -----------------------------------------------------------------------------------------------------


def test_scores_by_hand() -> None:
    # A box of 3 x 6 x 6 voxels; the prediction is 2 columns further, so 4 of 6 columns meet.
    near = PatientMasks("near", box(4), box(6), (3.0, 1.0, 1.0))
    missed = PatientMasks("missed", box(4), np.zeros(SHAPE, np.uint8), (3.0, 1.0, 1.0))
    empty = PatientMasks("empty", np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8), (3.0, 1.0, 1.0))
    result = score_arrays([near, missed, empty], **QUICK)
    found = by_patient(result)
    assert found["near"]["dice"] == pytest.approx(2 / 3)
    assert found["near"]["iou"] == pytest.approx(1 / 2)
    assert found["near"]["hd95"] == 2
    assert (found["near"]["volume"], found["near"]["volume_error"]) == (3 * 108, 0)
    diagonal = np.sqrt((6 * 3) ** 2 + 16**2 + 20**2)
    assert found["missed"] == {
        "dice": 0, "iou": 0, "hd95": pytest.approx(diagonal), "surface_dice": 0,
        "volume": 324, "volume_error": -324, "relative_volume_error": -1,
    }  # fmt: skip
    assert found["empty"]["dice"] == found["empty"]["surface_dice"] == 1
    assert (result["schema"], result["patients"], result["unit"]) == (SCHEMA, 3, "mm")
    dice = result["regions"][WHOLE]["dice"]
    assert dice["mean"]["value"] == pytest.approx((2 / 3 + 0 + 1) / 3)
    assert dice["median"]["value"] == pytest.approx(2 / 3)
    assert dice["mean"]["low"] < dice["mean"]["value"] < dice["mean"]["high"]
    conventions = {name: entry["value"] for name, entry in result["conventions"].items()}
    assert conventions["tumour_slice_mean"] == pytest.approx((3 * 2 / 3 + 0) / 6)
    assert conventions["slice_mean"] == pytest.approx((3 * 2 / 3 + 3 + 0 + 3 + 6) / 18)
    assert conventions["pooled"] == pytest.approx(2 * 72 / (2 * 72 + 36 + 36 + 108))
    slices = result["slices"]
    assert [slices[key] for key in ("tp", "fp", "fn", "tn", "slices")] == [3, 0, 3, 12, 18]
    assert (slices["precision"]["value"], slices["recall"]["value"]) == (1, 0.5)
    assert slices["accuracy"]["value"] == pytest.approx(15 / 18)


def test_result_is_json_without_nan_and_repeats() -> None:
    patients = [PatientMasks("false alarm", np.zeros(SHAPE, np.uint8), box(), None)]
    result = score_arrays(patients, **QUICK)
    assert result["per_patient"][0]["regions"][WHOLE]["relative_volume_error"] is None
    assert result["regions"][WHOLE]["dice"]["mean"] == {"value": 0, "low": None, "high": None, "n": 1}
    assert json.dumps(result, allow_nan=False) == json.dumps(score_arrays(patients, **QUICK), allow_nan=False)
    assert any("pixels" in text for text in result["remarks"])


def test_labels_that_both_sides_have() -> None:
    truth, prediction = box(4, 6, 2), box(4, 6, 2)
    truth[1], prediction[2] = np.where(truth[1], 1, 0), np.where(prediction[2], 1, 0)
    truth[3], prediction[3] = np.where(truth[3], 3, 0), np.where(prediction[3], 4, 0)
    plain = PatientMasks("plain", box(4, 6, 2), box(4, 6, 2))
    result = score_arrays([PatientMasks("mixed", truth, prediction), plain], **QUICK)
    assert list(result["regions"]) == [WHOLE, "label 1", "label 2"]
    first, second = (row["regions"] for row in result["per_patient"])
    assert first[WHOLE]["dice"] == 1
    assert first["label 1"]["dice"] == first["label 2"]["dice"] == 0
    # Label 1 is on neither side of the other patient, which is right.
    assert (second["label 1"]["dice"], second["label 1"]["hd95"], second["label 2"]["dice"]) == (1, 0, 1)
    assert result["regions"]["label 1"]["dice"]["mean"]["value"] == 0.5
    assert any(text.endswith("not scored by themselves: 3, 4") for text in result["remarks"])


def test_one_label_is_the_whole_tumour_whatever_its_value() -> None:
    result = score_arrays([PatientMasks("a", box(4, 6, 1), box(4, 6, 255))], **QUICK)
    assert list(result["regions"]) == [WHOLE]
    assert result["regions"][WHOLE]["dice"]["mean"]["value"] == 1


def test_other_model_is_compared_on_the_same_patients() -> None:
    patients = [PatientMasks(f"p{at}", box(4), box(4 + at % 2), None, box(6 + at % 2)) for at in range(8)]
    patients.append(PatientMasks("alone", box(4), box(4)))
    result = score_arrays(patients, draws=500)
    found = result["comparison"]["regions"][WHOLE]["dice"]
    ours, theirs = [1, 10 / 12] * 4, [8 / 12, 6 / 12] * 4
    assert found["difference"]["value"] == pytest.approx(np.mean(ours) - np.mean(theirs))
    assert found["difference"]["n"] == result["comparison"]["patients"] == 8
    assert found["difference"]["low"] > 0
    assert found["difference"]["p"] == pytest.approx(2 / 501)
    assert found["other"]["value"] == pytest.approx(np.mean(theirs))
    assert result["comparison"]["regions"][WHOLE]["hd95"]["difference"]["value"] == pytest.approx(-2)
    assert score_arrays([PatientMasks("a", box(), box())], **QUICK)["comparison"] is None


def test_a_label_that_only_the_other_model_drew_counts_against_it() -> None:
    both = PatientMasks("both", box(4, 6, 1) + box(11, 6, 2), box(4, 6, 1) + box(11, 6, 2))
    odd = PatientMasks("odd", box(4, 6, 1), box(4, 6, 1), None, box(4, 6, 2))
    result = score_arrays([both, odd], **QUICK)
    assert result["per_patient"][1]["regions"]["label 2"]["dice"] == 1
    assert result["per_patient"][1]["other"]["label 2"]["dice"] == 0


def test_the_only_value_of_a_side_is_no_label() -> None:
    core = box(4, 6, 2)
    core[:, 5:7, 6:8] = np.where(core[:, 5:7, 6:8], 1, 0)
    result = score_arrays([PatientMasks("a", box(4, 6, 1), core, None, box(4))], **QUICK)
    assert list(result["regions"]) == [WHOLE]
    assert result["regions"][WHOLE]["dice"]["mean"]["value"] == 1
    assert any(text.endswith("not scored by themselves: 1, 2") for text in result["remarks"])
    # The other model says tumour or not: it is compared on the whole only.
    result = score_arrays([PatientMasks("a", core, core, None, box(4))], **QUICK)
    assert list(result["regions"]) == [WHOLE, "label 1", "label 2"]
    assert list(result["comparison"]["regions"]) == [WHOLE]


def test_units_are_not_mixed() -> None:
    result = score_arrays([PatientMasks("a", box(), box(5), (1, 1, 1)), PatientMasks("b", box(), box(5))], **QUICK)
    assert result["unit"] == "mixed"
    assert result["regions"][WHOLE]["hd95"] == {}
    assert result["regions"][WHOLE]["dice"]["mean"]["n"] == 2
    both = [PatientMasks(name, box(), box(5), step, box(6)) for name, step in (("a", (1, 1, 1)), ("b", None))]
    assert list(score_arrays(both, **QUICK)["comparison"]["regions"][WHOLE]) == ["dice", "iou"]


def test_arrays_that_cannot_be_scored_are_refused() -> None:
    with pytest.raises(InputError, match="at least one patient"):
        score_arrays([])
    with pytest.raises(InputError, match="'a' twice"):
        score_arrays([PatientMasks("a", box(), box())] * 2, **QUICK)
    with pytest.raises(InputError, match="one shape"):
        score_arrays([PatientMasks("a", box(), box(shape=(6, 16, 21)))], **QUICK)


# --- volumes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["", "_mask", "_seg", "_pred", "-label", "_segmentation"])
@pytest.mark.parametrize("suffix", [".nii.gz", ".mha", ".nrrd"])
def test_files_meet_by_name_whatever_their_ending(tmp_path: Path, ending: str, suffix: str) -> None:
    truth = write_volumes(tmp_path / "truth", {"case_1_seg.nii.gz": box(4), "case_2_seg.nii.gz": box(8)}, FLAT)
    drawn = write_volumes(tmp_path / "p", {f"case_1{ending}{suffix}": box(5), f"case_2{ending}{suffix}": box(8)}, FLAT)
    result = score_masks(truth, drawn, **QUICK)
    found = by_patient(result)
    assert list(found) == ["case_1", "case_2"]
    assert [found[name]["dice"] for name in found] == pytest.approx([10 / 12, 1])
    assert (result["skipped"], result["missing"], result["remarks"]) == ([], {}, [])
    assert result["compared"] == {"truth": "truth", "predictions": "p", "other": None}


def test_spacing_comes_from_the_file_and_arrays_give_the_same(tmp_path: Path) -> None:
    truth, drawn = box(4), box(6, 7)
    write_volumes(tmp_path / "t", {"a.nii.gz": truth}, FLAT)
    write_volumes(tmp_path / "p", {"a.nii.gz": drawn}, FLAT)
    x, y, z = FLAT.spacing
    found = score_masks(tmp_path / "t", tmp_path / "p", **QUICK)["per_patient"]
    assert found == score_arrays([PatientMasks("a", truth, drawn, (z, y, x))], **QUICK)["per_patient"]
    expected = boundary(truth, drawn, (6.5, 0.75, 0.5))
    whole = found[0]["regions"][WHOLE]
    assert (whole["hd95"], whole["surface_dice"]) == (expected.hd95, expected.surface_dice)
    assert whole["volume"] == pytest.approx(108 * 6.5 * 0.75 * 0.5)


def test_two_files_of_any_name(tmp_path: Path) -> None:
    write_volumes(tmp_path, {"doctor.nii.gz": box(4), "net.mha": box(5), "rival.nrrd": box(6)})
    names = [tmp_path / name for name in ("doctor.nii.gz", "net.mha", "rival.nrrd")]
    result = score_masks(names[0], names[1], other=names[2], **QUICK)
    assert by_patient(result)["doctor"]["dice"] == pytest.approx(10 / 12)
    assert result["comparison"]["regions"][WHOLE]["dice"]["other"]["value"] == pytest.approx(8 / 12)


def test_scans_beside_the_masks_are_left_aside_and_folders_do_not_matter(tmp_path: Path) -> None:
    truth = tmp_path / "brats"
    for name in ("p1", "p2"):
        files = {f"{name}_t1.nii.gz": box(1, 9, 90), f"{name}_seg.nii.gz": box(4)}
        write_volumes(truth / name, files)
    drawn = write_volumes(tmp_path / "p", {"p1_mask.nii.gz": box(4), "p2_mask.nii.gz": box(7)})
    result = score_masks(truth, drawn, **QUICK)
    assert {name: row["dice"] for name, row in by_patient(result).items()} == pytest.approx({"p1": 1, "p2": 0.5})
    assert any("2 files were taken for images" in text for text in result["remarks"])


def test_files_of_one_name_meet_by_folder(tmp_path: Path) -> None:
    for side, shift in (("t", 0), ("p", 1)):
        for place, name in enumerate(("one", "two")):
            write_volumes(tmp_path / side / name, {"mask.nii.gz": box(4 + shift * 3 * place)})
    result = score_masks(tmp_path / "t", tmp_path / "p", **QUICK)
    assert {name: row["dice"] for name, row in by_patient(result).items()} == pytest.approx({"one": 1, "two": 0.5})


def test_a_missing_prediction_is_an_empty_one_and_is_named(tmp_path: Path) -> None:
    truth = write_volumes(tmp_path / "t", {"a.nii.gz": box(), "b.nii.gz": box()})
    drawn = write_volumes(tmp_path / "p", {"a.nii.gz": box(), "stranger.nii.gz": box()})
    other = write_volumes(tmp_path / "o", {"b.nii.gz": box()})
    result = score_masks(truth, drawn, other=other, **QUICK)
    assert {name: row["dice"] for name, row in by_patient(result).items()} == {"a": 1, "b": 0}
    assert result["missing"] == {"predictions": ["b"], "other": ["a"]}
    assert "predictions: 1 of 2 are missing and count as empty masks: b" in result["remarks"]
    assert "predictions: 1 files match no truth and are not scored" in result["remarks"]
    gap = result["comparison"]["regions"][WHOLE]["dice"]["difference"]
    assert (gap["value"], gap["n"]) == (0, 2)


def test_other_grids_and_damaged_files_are_skipped_with_reasons(tmp_path: Path) -> None:
    names = ("good", "larger", "elsewhere", "torn", "hollow", "probable")
    truth = write_volumes(tmp_path / "t", {f"{name}.nii.gz": box() for name in names})
    drawn = write_volumes(tmp_path / "p", {"good.nii.gz": box(), "larger.nii.gz": box(shape=(6, 16, 21))})
    write_volumes(drawn, {"elsewhere.nii.gz": box()}, FLAT)
    write_nifti(drawn / "probable.nii.gz", box().astype(np.float32) * 0.7)
    (drawn / "torn.nii.gz").write_bytes((drawn / "good.nii.gz").read_bytes()[:60])
    (drawn / "hollow.nii.gz").touch()
    result = score_masks(truth, drawn, **QUICK)
    assert list(by_patient(result)) == ["good"]
    reasons = {item["file"]: item["reason"] for item in result["skipped"]}
    assert "21x16x6 for a truth of 20x16x6" in reasons["predictions: larger.nii.gz"]
    assert "another spacing, origin or direction" in reasons["predictions: elsewhere.nii.gz"]
    assert "thresholded" in reasons["predictions: probable.nii.gz"]
    assert {"predictions: torn.nii.gz", "predictions: hollow.nii.gz"} <= set(reasons)
    assert result["missing"] == {}  # what is damaged is not empty


def test_a_grid_that_differs_in_the_other_model_only_keeps_the_patient(tmp_path: Path) -> None:
    truth = write_volumes(tmp_path / "t", {"a.nii.gz": box(), "b.nii.gz": box()})
    other = write_volumes(tmp_path / "o", {"a.nii.gz": box(5), "b.nii.gz": box(shape=(6, 16, 21))})
    result = score_masks(truth, truth, other=other, **QUICK)
    assert (result["patients"], result["comparison"]["patients"]) == (2, 1)
    assert [item["file"] for item in result["skipped"]] == ["other: b.nii.gz"]


def test_nothing_to_score_is_an_error_that_helps(tmp_path: Path) -> None:
    truth = write_volumes(tmp_path / "t", {"a.nii.gz": box()})
    drawn = write_volumes(tmp_path / "p", {"b.nii.gz": box()})
    with pytest.raises(InputError, match="none of which match; give both files the same name"):
        score_masks(truth, drawn)
    with pytest.raises(InputError, match="nothing at 'absent'"):
        score_masks(truth, tmp_path / "absent")
    large = write_volumes(tmp_path / "l", {"a.nii.gz": box(shape=(6, 16, 21))})
    with pytest.raises(InputError, match="21x16x6"):
        score_masks(truth, large)
    with pytest.raises(InputError, match="none of which match"):
        score_masks(truth, truth, other=drawn)


# --- slices -----------------------------------------------------------------------------------------------------


def test_slices_of_a_patient_are_one_volume_in_their_own_order(tmp_path: Path) -> None:
    names = ("TCGA_CS_4941_19960909", "TCGA_HT_7000_20000101")
    tall = (12, 16, 20)  # slice 10 comes after slice 9, and before 2 in the order of text
    masks = {}
    for place, name in enumerate(names):
        truth, drawn = np.zeros(tall, np.uint8), np.zeros(tall, np.uint8)
        truth[1:3, 4:10, 4:10], drawn[2 + 7 * place : 11, 4:10, 4:10] = 1, 1
        masks[name] = truth, drawn
        write_slices(tmp_path / "nested" / name, name, truth)
        write_slices(tmp_path / "flat", name, truth)
        write_slices(tmp_path / "nested_p" / name, name, drawn, "_pred.png", 1)
        write_slices(tmp_path / "flat_p", name, drawn, ".png", 1)
    expected = score_arrays([PatientMasks(name, *pair) for name, pair in masks.items()], **QUICK)["per_patient"]
    for truth_side in ("nested", "flat"):
        for drawn_side in ("nested_p", "flat_p"):
            result = score_masks(tmp_path / truth_side, tmp_path / drawn_side, **QUICK)
            assert result["per_patient"] == expected, (truth_side, drawn_side)
    assert result["unit"] == "pixels"
    known = score_masks(tmp_path / "flat", tmp_path / "flat_p", spacing=(5.0, 1.0, 1.0), **QUICK)
    assert known["unit"] == "mm"
    assert known["regions"][WHOLE]["hd95"]["mean"]["value"] > result["regions"][WHOLE]["hd95"]["mean"]["value"]


def test_a_missing_or_unlike_slice_touches_that_slice_only(tmp_path: Path) -> None:
    write_slices(tmp_path / "t", "p", box())
    write_slices(tmp_path / "p", "p", box(), ".png")
    (tmp_path / "p" / "p_2.png").unlink()
    write_picture(tmp_path / "p" / "p_3.png", np.ones((9, 9), np.uint8))
    result = score_masks(tmp_path / "t", tmp_path / "p", **QUICK)
    (row,) = result["per_patient"]
    # Slices 2 to 4 have tumour: 2 counts as empty, 3 is left out.
    assert (row["slices"], row["tumour_slices"], row["missed_slices"]) == (5, 2, 1)
    assert row["regions"][WHOLE]["dice"] == pytest.approx(2 / 3)
    assert [item["file"] for item in result["skipped"]] == ["predictions: p_3.png"]
    assert "9x9 for a truth of 20x16" in result["skipped"][0]["reason"]


def test_slices_that_cannot_be_told_apart_are_one_patient_and_a_remark(tmp_path: Path) -> None:
    for name in ("1.png", "2.png", "10.png"):
        write_picture(tmp_path / "masks" / name, box()[2])
    result = score_masks(tmp_path / "masks", tmp_path / "masks", **QUICK)
    assert [row["patient"] for row in result["per_patient"]] == ["masks"]
    assert any("taken for one patient" in text for text in result["remarks"])


def test_pictures_in_colour_and_pictures_that_are_no_masks(tmp_path: Path) -> None:
    plane = box()[2]
    red = np.zeros((*plane.shape, 3), np.uint8)
    red[..., 0] = plane * 200
    grey = np.arange(plane.size, dtype=np.uint8).reshape(plane.shape)
    for name in ("a_1", "b_1", "c_1"):
        write_picture(tmp_path / "t" / f"{name}.png", plane)
    write_picture(tmp_path / "p" / "a_1.png", red)
    write_picture(tmp_path / "p" / "b_1.png", grey)
    write_picture(tmp_path / "p" / "c_1.jpg", plane * 255)
    result = score_masks(tmp_path / "t", tmp_path / "p", **QUICK)
    assert {name: row["dice"] for name, row in by_patient(result).items()} == {"a": 1}
    reasons = {item["file"]: item["reason"] for item in result["skipped"]}
    assert "256 different ones" in reasons["predictions: b_1.png"]
    assert "JPEG" in reasons["predictions: c_1.jpg"]


def test_a_folder_that_all_slices_share_tells_no_patients_apart(tmp_path: Path) -> None:
    for name in ("p1", "p2"):
        write_slices(tmp_path / "t" / "masks", name, box(), ".png")
        write_slices(tmp_path / "p", name, box(), ".png")
    assert list(by_patient(score_masks(tmp_path / "t", tmp_path / "p", **QUICK))) == ["p1", "p2"]


def test_progress_counts_patients(tmp_path: Path) -> None:
    truth = write_volumes(tmp_path / "t", {"a.nii.gz": box(), "b.nii.gz": box()})
    seen = []
    score_masks(truth, truth, progress=lambda text, done, total: seen.append((done, total)), **QUICK)
    assert seen == [(0, 2), (1, 2), (2, 2)]


def test_real_masks(real_scans: Path) -> None:
    folder = real_scans / "brats18"
    if not folder.is_dir():
        pytest.skip("no brats18 among the real scans")
    result = score_masks(folder, folder, **QUICK)
    assert result["regions"][WHOLE]["dice"]["mean"]["value"] == 1
    assert result["regions"][WHOLE]["hd95"]["mean"]["value"] == 0
    assert {"label 1", "label 2", "label 4"} <= set(result["regions"])
