from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from synthoma.data.case import Geometry
from synthoma.detection.outputs import NOT_CLINICAL
from synthoma.errors import InputError
from synthoma.evaluation.mask_chances import Chances
from synthoma.evaluation.mask_files import PatientMasks
from synthoma.evaluation.mask_regions import CORE, ENHANCING, WHOLE
from synthoma.evaluation.masks import SCHEMA, score_arrays, score_masks
from synthoma.metrics.boundary import boundary
from synthoma.metrics.calibration import expected_calibration_error
from synthoma.metrics.classification import ranking_scores
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
        "dice": 0, "iou": 0, "tversky": 0, "precision": 0, "recall": 0, "hd95": pytest.approx(diagonal),
        "surface_dice": 0,
        "volume": 324, "volume_error": -324, "relative_volume_error": -1,
    }  # fmt: skip
    assert found["empty"]["dice"] == found["empty"]["surface_dice"] == 1
    assert found["empty"]["tversky"] == found["empty"]["precision"] == found["empty"]["recall"] == 1
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
    truth[3], prediction[3] = np.where(truth[3], 5, 0), np.where(prediction[3], 4, 0)
    plain = PatientMasks("plain", box(4, 6, 2), box(4, 6, 2))
    result = score_arrays([PatientMasks("mixed", truth, prediction), plain], **QUICK)
    assert list(result["regions"]) == [WHOLE, "label 1", "label 2"]
    first, second = (row["regions"] for row in result["per_patient"])
    assert first[WHOLE]["dice"] == 1
    assert first["label 1"]["dice"] == first["label 2"]["dice"] == 0
    # Label 1 is on neither side of the other patient, which is right.
    assert (second["label 1"]["dice"], second["label 1"]["hd95"], second["label 2"]["dice"]) == (1, 0, 1)
    assert result["regions"]["label 1"]["dice"]["mean"]["value"] == 0.5
    assert result["labels"]["convention"] == "labels"
    assert any(text.endswith("not scored by themselves: 4, 5") for text in result["remarks"])


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
    assert found["difference"]["p"] == 2**-7  # eight signs alike
    assert found["other"]["value"] == pytest.approx(np.mean(theirs))
    assert result["comparison"]["regions"][WHOLE]["hd95"]["difference"]["value"] == pytest.approx(-2)
    assert score_arrays([PatientMasks("a", box(), box())], **QUICK)["comparison"] is None


def test_a_label_that_only_the_other_model_drew_counts_against_it() -> None:
    both = PatientMasks("both", box(4, 6, 1) + box(11, 6, 2), box(4, 6, 1) + box(11, 6, 2))
    odd = PatientMasks("odd", box(4, 6, 1), box(4, 6, 1), None, box(4, 6, 2))
    result = score_arrays([both, odd], nested=False, **QUICK)
    assert result["per_patient"][1]["regions"]["label 2"]["dice"] == 1
    assert result["per_patient"][1]["other"]["label 2"]["dice"] == 0
    result = score_arrays([both, odd], **QUICK)  # as BraTS: 1 is core, 2 is not
    assert list(result["regions"]) == [WHOLE, CORE]
    assert result["per_patient"][1]["regions"][CORE]["dice"] == 1
    assert result["per_patient"][1]["other"][CORE]["dice"] == 0


def test_the_only_value_of_a_side_is_no_label() -> None:
    core = box(4, 6, 2)
    core[:, 5:7, 6:8] = np.where(core[:, 5:7, 6:8], 1, 0)
    result = score_arrays([PatientMasks("a", box(4, 6, 1), core, None, box(4))], **QUICK)
    assert list(result["regions"]) == [WHOLE]
    assert result["regions"][WHOLE]["dice"]["mean"]["value"] == 1
    assert any(text.endswith("not scored by themselves: 1, 2") for text in result["remarks"])
    # The other model says tumour or not: it is compared on the whole only.
    for nested, regions in ((False, [WHOLE, "label 1", "label 2"]), (None, [WHOLE, CORE])):
        result = score_arrays([PatientMasks("a", core, core, None, box(4))], nested=nested, **QUICK)
        assert list(result["regions"]) == regions
        assert list(result["comparison"]["regions"]) == [WHOLE]


# --- regions ----------------------------------------------------------------------------------------------------


def layered(*values: int) -> np.ndarray:
    """Oedema with what lies inside it: each further value takes the 6 right, 4 right and 2 right columns of the box."""
    mask = np.zeros(SHAPE, np.uint8)
    for place, value in enumerate(values):
        mask[1:4, 3:9, 4 + 2 * place : 12] = value
    return mask


def test_brats_and_what_detect_writes_are_one_convention() -> None:
    # Truth of 2018: oedema 2, core 1, enhancing 4. What detect writes has 3 for it, and half of it is called core.
    truth, drawn = layered(2, 1, 4, 4), layered(2, 1, 1, 3)
    result = score_arrays([PatientMasks("a", truth, drawn, (1.0, 1.0, 1.0), layered(2, 1, 3, 3))], **QUICK)
    assert result["labels"]["convention"] == "brats"
    assert result["labels"]["values"][ENHANCING] == {"truth": [3, 4], "prediction": [3, 4]}
    assert list(result["regions"]) == [WHOLE, CORE, ENHANCING]
    regions = result["per_patient"][0]["regions"]
    assert (regions[WHOLE]["dice"], regions[CORE]["dice"]) == (1, 1)
    # 4 columns of which 2 were found: what is called core too is still core.
    assert regions[ENHANCING]["dice"] == pytest.approx(2 / 3)
    assert (regions[ENHANCING]["precision"], regions[ENHANCING]["recall"]) == (1, 0.5)
    assert regions[ENHANCING]["tversky"] == pytest.approx(2 / (2 + 0.7 * 2))
    assert (regions[CORE]["volume"], regions[ENHANCING]["volume"]) == (18 * 6, 18 * 4)
    assert result["comparison"]["regions"][ENHANCING]["dice"]["other"]["value"] == 1
    assert result["remarks"] == []


def test_core_is_not_its_necrotic_part_alone() -> None:
    # All of the core enhances in the truth, nothing in the prediction: it was found all the same.
    result = score_arrays([PatientMasks("a", layered(2, 4), layered(2, 1))], **QUICK)
    assert result["per_patient"][0]["regions"][CORE]["dice"] == 1
    assert result["per_patient"][0]["regions"][ENHANCING]["dice"] == 0


def test_three_and_four_in_one_mask_are_those_of_2012() -> None:
    old = PatientMasks("old", layered(2, 1, 3, 4), layered(2, 1, 1, 3))
    plain = PatientMasks("plain", layered(2, 1, 3), layered(2, 1, 1))  # 3 does not enhance here either
    result = score_arrays([old, plain], **QUICK)
    assert result["labels"]["values"][ENHANCING] == {"truth": [4], "prediction": [3, 4]}
    assert [row["regions"][ENHANCING]["dice"] for row in result["per_patient"]] == [1, 1]
    assert [row["regions"][CORE]["dice"] for row in result["per_patient"]] == [1, 1]
    assert any("2012 to 2016" in text for text in result["remarks"])
    # 3 in one patient and 4 in another: two years of one meaning.
    new = [PatientMasks(f"{value}", layered(2, 1, value), layered(2, 1, 3)) for value in (3, 4)]
    result = score_arrays(new, **QUICK)
    assert [row["regions"][ENHANCING]["dice"] for row in result["per_patient"]] == [1, 1]
    assert not any("2012" in text for text in result["remarks"])


def test_a_core_that_nobody_found_counts_as_missed() -> None:
    for drawn in (box(4, 8, 2), np.zeros(SHAPE, np.uint8)):
        result = score_arrays([PatientMasks("a", layered(2, 1, 4), drawn)], **QUICK)
        assert result["regions"][CORE]["dice"]["mean"]["value"] == 0
        assert result["regions"][ENHANCING]["recall"]["mean"]["value"] == 0
    # Nobody has seen any enhancing tumour: a perfect score for it would say nothing.
    assert list(score_arrays([PatientMasks("a", layered(2, 1), layered(2, 1))], **QUICK)["regions"]) == [WHOLE, CORE]


@pytest.mark.parametrize(
    ("truth", "drawn"),
    [
        ([1], [1]),  # tumour or not
        ([255], [1]),
        ([1], [2, 1, 3]),  # one side tells no regions apart
        ([2, 1, 4], [1]),
        ([2, 1, 4], [255]),
        ([2, 1, 5], [2, 1, 5]),  # not BraTS
        ([0, 1, 2], [2, 1, 7]),
    ],
)
def test_what_is_not_brats_on_both_sides_is_scored_as_it_stands(truth: list[int], drawn: list[int]) -> None:
    result = score_arrays([PatientMasks("a", layered(*truth), layered(*drawn))], **QUICK)
    shared = sorted({*truth} & {*drawn} - {0}) if min(len(truth), len(drawn)) > 1 else []
    assert list(result["regions"]) == [WHOLE, *(f"label {value}" for value in shared)]
    assert result["labels"]["convention"] == ("labels" if shared else "whole")


def test_types_of_tumour_are_no_regions() -> None:
    # Meningioma 1, glioma 2, pituitary 3: each mask holds one value.
    patients = [PatientMasks(f"p{value}", box(4, 6, value), box(5, 6, value)) for value in (1, 2, 3)]
    result = score_arrays(patients, **QUICK)
    assert list(result["regions"]) == [WHOLE, "label 1", "label 2", "label 3"]
    assert list(score_arrays(patients, nested=True, **QUICK)["regions"]) == [WHOLE, CORE, ENHANCING]
    with pytest.raises(InputError, match="from 1 to 4 for nested regions; came 5"):
        score_arrays([PatientMasks("a", layered(1, 5), layered(1, 5))], nested=True, **QUICK)


@pytest.mark.parametrize(
    ("labels", "convention"),
    [
        ({"0": "background", "1": "edema", "2": "non-enhancing tumor", "3": "enhancing tumour"}, "labels"),
        ({"background": 0, "edema": 2, "necrosis": 1, "enhancing": 3}, "brats"),
        ({"background": 0, "lesion": 1, "vessel": 2, "bleeding": 3}, "labels"),
        ({"background": 0, "tumour": 1}, "labels"),
        ({"background": 0, "whole": [1, 2, 3], "core": [2, 3]}, "brats"),
        ({}, "brats"),
        ("nonsense", "brats"),
    ],
)
def test_a_file_that_names_the_values_decides(tmp_path: Path, labels: object, convention: str) -> None:
    truth = write_volumes(tmp_path / "set" / "labelsTr", {"a.nii.gz": layered(2, 1, 3)})
    (tmp_path / "set" / "dataset.json").write_text(json.dumps({"labels": labels}))
    drawn = write_volumes(tmp_path / "p", {"a.nii.gz": layered(2, 1, 3)})
    result = score_masks(truth, drawn, **QUICK)
    assert result["labels"]["convention"] == convention
    assert any("read from dataset.json in set" in text for text in result["remarks"]) == (
        isinstance(labels, dict) and any(not isinstance(value, list) for value in list(labels.values())[1:])
    )


# --- slices called by masks, and probabilities --------------------------------------------------------------------


def test_slices_called_by_masks() -> None:
    # Truth in slices 1 to 3. The first is off by one slice, the second draws nothing, the third has no tumour.
    shifted = np.roll(box(), 1, axis=0)
    nothing = np.zeros(SHAPE, np.uint8)
    patients = [
        PatientMasks("a", box(), shifted),
        PatientMasks("b", box(), nothing),
        PatientMasks("c", nothing, nothing),
    ]
    result = score_arrays(patients, **QUICK)
    a, b, c = (row["detection"] for row in result["per_patient"])
    assert (a["confusion"], b["confusion"], c["confusion"]) == ([[2, 1], [1, 2]], [[3, 0], [3, 0]], [[6, 0], [0, 0]])
    assert (a["precision"], a["recall"], a["f1"], a["specificity"]) == pytest.approx((2 / 3,) * 4)
    assert (b["precision"], b["recall"], b["accuracy"], b["balanced_accuracy"]) == (None, 0, 0.5, 0.5)
    assert (c["recall"], c["specificity"], c["balanced_accuracy"]) == (None, 1, None)
    slices = result["slices"]
    assert slices["confusion"] == [[11, 1], [4, 2]]
    assert slices["balanced_accuracy"]["value"] == pytest.approx((2 / 6 + 11 / 12) / 2)
    assert slices["f1"]["value"] == pytest.approx(4 / (4 + 1 + 4))
    assert slices["balanced_accuracy"]["low"] <= slices["balanced_accuracy"]["value"] <= slices["f1"]["n"]
    mean = slices["patient_mean"]
    assert (mean["recall"]["value"], mean["recall"]["n"]) == (pytest.approx(1 / 3), 2)
    assert mean["specificity"]["value"] == pytest.approx((2 / 3 + 1 + 1) / 3)


def test_probabilities_of_slices_and_scans() -> None:
    draws = np.random.default_rng(1)
    patients, truths, chances = [], [], []
    for at in range(6):
        truth = box() if at < 4 else np.zeros(SHAPE, np.uint8)
        has = truth.any(axis=(1, 2))
        said = np.round(np.clip(has * 0.4 + draws.random(len(has)) * 0.6, 0, 1), 2)
        patients.append(PatientMasks(f"p{at}", truth, truth, None, None, Chances(float(said.max()), said)))
        truths.append(has)
        chances.append(said)
    patients.append(PatientMasks("silent", box(), box()))
    result = score_arrays(patients, draws=300)
    found = result["probabilities"]
    truth, said = np.concatenate(truths), np.concatenate(chances)
    assert found["patients"] == 6
    assert (found["slices"]["number"], found["slices"]["with_tumour"]) == (36, 12)
    for name, value in ranking_scores(truth, said).items():
        assert found["slices"][name]["value"] == pytest.approx(value)
        assert found["slices"][name]["low"] <= value <= found["slices"][name]["high"]
    tops = np.array([one.max() for one in chances])
    assert found["scans"]["roc_auc"]["value"] == pytest.approx(ranking_scores(np.arange(6) < 4, tops)["roc_auc"])
    calibration = found["calibration"]
    assert calibration["ece"]["value"] == pytest.approx(expected_calibration_error(truth, said))
    assert calibration["brier"]["value"] == pytest.approx(np.mean((said - truth) ** 2))
    assert sum(point["count"] for point in calibration["curve"]) == 36
    error = sum(point["count"] * abs(point["share"] - point["probability"]) for point in calibration["curve"]) / 36
    assert error == pytest.approx(calibration["ece"]["value"])
    row = result["per_patient"][0]
    assert row["probability"] == tops[0]
    assert row["slice_ranking"] == pytest.approx(ranking_scores(truths[0], chances[0]))
    assert result["per_patient"][5]["slice_ranking"]["roc_auc"] is None
    assert (result["per_patient"][6]["probability"], result["per_patient"][6]["slice_ranking"]) == (None, None)
    assert score_arrays(patients[6:], **QUICK)["probabilities"] is None


def test_probabilities_lie_along_their_own_axis() -> None:
    columns = np.linspace(0, 1, SHAPE[2])
    result = score_arrays([PatientMasks("a", box(14), box(14), None, None, Chances(1.0, columns, axis=2))], **QUICK)
    assert result["probabilities"]["slices"]["roc_auc"]["value"] == 1
    assert result["probabilities"]["slices"]["with_tumour"] == 6
    with pytest.raises(InputError, match="one probability for each slice of the truth; came 20 for 6"):
        score_arrays([PatientMasks("a", box(), box(), None, None, Chances(1.0, columns))], **QUICK)


def test_the_result_says_what_it_is_not_for() -> None:
    result = score_arrays([PatientMasks("a", box(), box())], **QUICK)
    assert result["not_for_clinical_use"] == NOT_CLINICAL


def write_findings(folder: Path, slices: list[float | None], files: list[str], **changes: object) -> None:
    """As `synthoma detect` writes them."""
    content = {
        "schema": "synthoma.detection/1", "probability": 0.75, "slice_probabilities": slices, "slice_axis": "z",
        "labels": {"2": "oedema", "1": "core", "3": "enhancing"}, "files": {"mask": files}, **changes,
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "findings.json").write_text(json.dumps(content))


def test_findings_beside_the_masks_are_used(tmp_path: Path) -> None:
    names = ("a", "b", "c", "d", "old")
    truth = write_volumes(tmp_path / "t", {f"{name}_seg.nii.gz": layered(2, 1, 4) for name in names})
    found = tmp_path / "found"
    for name in names:
        write_volumes(found / name, {f"{name}_mask.nii.gz": layered(1)})
    ranked = [0.1, 0.9, 0.8, 0.7, None, 0.2]
    write_findings(found / "a", ranked, ["a_mask.nii.gz"])
    write_findings(found / "b", ranked[:5], ["b_mask.nii.gz"])
    write_findings(found / "c", [2.0] * 6, ["c_mask.nii.gz"])
    (found / "d" / "findings.json").write_text("{")
    write_findings(found / "old", ranked, ["old_mask.nii.gz"], schema="another/1")
    (found / "index.csv").write_text("case\n")
    result = score_masks(truth, found, **QUICK)
    assert result["patients"] == 5
    reasons = {item["file"]: item["reason"] for item in result["skipped"]}
    assert list(reasons) == [f"predictions: {name}/findings.json" for name in "cdb"]
    assert "5 for 1 files, one of 6x16x20" in reasons["predictions: b/findings.json"]
    probabilities = result["probabilities"]
    assert (probabilities["patients"], probabilities["slices"]["number"]) == (1, 5)
    assert probabilities["slices"]["roc_auc"]["value"] == 1
    assert result["per_patient"][0]["probability"] == 0.75
    # The only value of these masks is 1, and their findings say that it is core.
    assert result["regions"][CORE]["dice"]["mean"]["value"] == pytest.approx(2 * 6 / (6 + 8))
    assert json.dumps(result, allow_nan=False)


def test_findings_of_a_model_of_the_whole_tumour_say_so(tmp_path: Path) -> None:
    truth = write_volumes(tmp_path / "t", {"a.nii.gz": layered(2, 1, 4)})
    write_volumes(tmp_path / "p" / "a", {"a_mask.nii.gz": layered(1)})
    write_findings(tmp_path / "p" / "a", [0.5] * 6, ["a_mask.nii.gz"], labels={"1": "tumour"})
    result = score_masks(truth, tmp_path / "p", **QUICK)
    assert result["labels"]["convention"] == "whole"
    one = score_masks(truth / "a.nii.gz", tmp_path / "p" / "a" / "a_mask.nii.gz", **QUICK)
    assert one["probabilities"]["patients"] == 1


def test_findings_of_slices_meet_their_slice(tmp_path: Path) -> None:
    truth, slices = layered(2, 1, 4), [0.0, 0.9, 0.8, 0.7, 0.1, 0.2]
    case = tmp_path / "p" / "case"
    stems = [f"case_{at + 1}" for at in range(len(truth))]
    for stem, plane in zip(stems, truth, strict=True):
        write_picture(tmp_path / "t" / f"{stem}_mask.png", plane)
        write_picture(case / f"{stem}_mask.png", (plane > 0) * np.uint8(255))
        write_picture(case / f"{stem}_labels.png", np.where(plane == 4, 3, plane).astype(np.uint8))
    files = [f"{stem}_{kind}.png" for kind in ("mask", "labels") for stem in stems]
    write_findings(case, slices, files)
    result = score_masks(tmp_path / "t", tmp_path / "p", **QUICK)
    assert result["skipped"] == []
    # The labels are scored, not the plain mask beside them.
    assert [result["regions"][region]["dice"]["mean"]["value"] for region in (WHOLE, CORE, ENHANCING)] == [1, 1, 1]
    curve = result["probabilities"]["calibration"]["curve"]
    assert {(point["probability"], point["share"]) for point in curve} == {
        (said, float(1 <= at <= 3)) for at, said in enumerate(slices)
    }
    # A slice that is missing has no probability, and the others keep theirs.
    for kind in ("mask", "labels"):
        (case / f"case_2_{kind}.png").unlink()
    result = score_masks(tmp_path / "t", tmp_path / "p", **QUICK)
    assert result["probabilities"]["slices"]["number"] == 5
    assert 0.9 not in [point["probability"] for point in result["probabilities"]["calibration"]["curve"]]
    # Findings of another number of slices are refused once.
    write_findings(case, slices[:4], files)
    result = score_masks(tmp_path / "t", tmp_path / "p", **QUICK)
    assert [item["file"] for item in result["skipped"]] == ["predictions: case/findings.json"]


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


def test_files_of_two_patients_do_not_meet_by_a_name_that_many_have(tmp_path: Path) -> None:
    """p6 was never asked for: its slices are those of no other patient, whatever is left over."""
    truth = write_volumes(tmp_path / "t", {"p1/tumour.nii.gz": box(4), "p2/tumour.nii.gz": box(4)})
    drawn = write_volumes(tmp_path / "p", {"p2/tumour.nii.gz": box(4), "p6/tumour.nii.gz": box(4)})
    result = score_masks(truth, drawn, **QUICK)
    assert {name: row["dice"] for name, row in by_patient(result).items()} == {"p1/tumour": 0, "p2/tumour": 1}
    assert result["missing"] == {"predictions": ["p1/tumour"]}
    assert any("1 files match no truth" in text for text in result["remarks"])


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
    score_masks(truth, truth, progress=lambda text, done, total: seen.append((text, done, total)), **QUICK)
    assert seen == [(text, done, 2) for text in ("reading", "scoring") for done in range(3)]


def test_real_masks(real_scans: Path) -> None:
    folder = real_scans / "brats18"
    if not folder.is_dir():
        pytest.skip("no brats18 among the real scans")
    result = score_masks(folder, folder, **QUICK)
    assert result["regions"][WHOLE]["dice"]["mean"]["value"] == 1
    assert result["regions"][WHOLE]["hd95"]["mean"]["value"] == 0
    assert list(result["regions"]) == [WHOLE, CORE, ENHANCING]
