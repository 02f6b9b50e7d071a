from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from synthoma.core.errors import InputError
from synthoma.detection.outputs import NOT_CLINICAL
from synthoma.masks import scores
from synthoma.masks.chances import Chances
from synthoma.masks.patients import PatientMasks
from synthoma.masks.regions import CORE, ENHANCING, WHOLE
from synthoma.masks.result import SCHEMA
from synthoma.metrics.boundary import boundary
from synthoma.metrics.calibration import expected_calibration_error
from synthoma.metrics.classification import ranking_scores
from synthoma.scans.case import Geometry
from tests.scans.writers import CUBIC, FLAT, write_itk, write_nifti, write_picture

SHAPE = (6, 16, 20)
QUICK = {"draws": 50}


def score_arrays(*given: object, **options: object) -> dict:
    return scores.score_arrays(*given, **options).content()


def score_masks(*given: object, **options: object) -> dict:
    return scores.score_masks(*given, **options).content()


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


def test_findings_of_several_folders_are_judged_from_the_folder_that_holds_them(tmp_path: Path) -> None:
    """As scans they would be passed over; as masks they are what is meant."""
    truth, found = tmp_path / "truth", tmp_path / "found"
    for place, name in (("north", "p1"), ("south", "p2")):
        for folder in (truth / place, found / place):
            folder.mkdir(parents=True)
            write_volumes(folder, {f"{name}.nii.gz": box()})
        for file in ("detection.json", "checksums.json"):
            (found / place / file).write_text("{}")
    result = score_masks(truth, found, **QUICK)
    assert {row["regions"][WHOLE]["dice"] for row in result["per_patient"]} == {1}
    assert result["patients"] == 2


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
    result = score_arrays([PatientMasks("mixed", truth, prediction), plain], nested=False, **QUICK)
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
    result = score_arrays([both, odd], convention="brats-2017", **QUICK)  # 1 is core, 2 is not
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
    full = np.where(layered(2, 2, 1, 4) == 0, core, layered(2, 2, 1, 4)).astype(np.uint8)
    for mask, nested, regions in (
        (core, False, [WHOLE, "label 1", "label 2"]),
        (core, None, [WHOLE, "label 1", "label 2"]),
        (full, None, [WHOLE, CORE, ENHANCING]),
    ):
        result = score_arrays([PatientMasks("a", mask, mask, None, box(4))], nested=nested, **QUICK)
        assert list(result["regions"]) == regions
        assert list(result["comparison"]["regions"]) == [WHOLE]


# --- regions ----------------------------------------------------------------------------------------------------


def layered(*values: int) -> np.ndarray:
    """Oedema with what lies inside it: each further value takes the 6 right, 4 right and 2 right columns of the box."""
    mask = np.zeros(SHAPE, np.uint8)
    for place, value in enumerate(values):
        mask[1:4, 3:9, 4 + 2 * place : 12] = value
    return mask


def test_truth_of_brats_meets_what_detect_writes(tmp_path: Path) -> None:
    # Truth of 2018: oedema 2, core 1, enhancing 4. What detect writes has 3 for it, and half of it is called core.
    truth = write_volumes(tmp_path / "t", {"a.nii.gz": layered(2, 1, 4, 4)})
    sides = {"p": layered(2, 1, 1, 3), "o": layered(2, 1, 3, 3)}
    for name, mask in sides.items():
        write_volumes(tmp_path / name / "a", {"a_mask.nii.gz": mask})
        write_findings(tmp_path / name / "a", [0.5] * 6, ["a_mask.nii.gz"])
    result = score_masks(truth, tmp_path / "p", other=tmp_path / "o", **QUICK)
    assert result["labels"]["convention"] == "brats"
    assert result["labels"]["values"][ENHANCING] == {"truth": [4], "prediction": [3]}
    assert result["labels"]["values"][CORE] == {"truth": [1, 4], "prediction": [1, 3]}
    assert "truth: 1 core, 2 oedema, 4 enhancing (the values are 1, 2 and 4)" in result["labels"]["text"]
    assert "prediction: 1 core, 2 oedema, 3 enhancing (findings" in result["labels"]["text"]
    assert list(result["regions"]) == [WHOLE, CORE, ENHANCING]
    regions = result["per_patient"][0]["regions"]
    assert (regions[WHOLE]["dice"], regions[CORE]["dice"]) == (1, 1)
    # 4 columns of which 2 were found: what is called core too is still core.
    assert regions[ENHANCING]["dice"] == pytest.approx(2 / 3)
    assert (regions[ENHANCING]["precision"], regions[ENHANCING]["recall"]) == (1, 0.5)
    assert regions[ENHANCING]["tversky"] == pytest.approx(2 / (2 + 0.7 * 2))
    assert (regions[CORE]["volume"], regions[ENHANCING]["volume"]) == (18 * 6, 18 * 4)
    assert result["comparison"]["regions"][ENHANCING]["dice"]["other"]["value"] == 1
    assert not any("not known" in text for text in result["remarks"])


def test_core_is_not_its_necrotic_part_alone() -> None:
    # All of the core enhances in the truth, nothing in the prediction: it was found all the same.
    result = score_arrays([PatientMasks("a", layered(2, 4), layered(2, 1))], **QUICK)
    assert result["per_patient"][0]["regions"][CORE]["dice"] == 1
    assert result["per_patient"][0]["regions"][ENHANCING]["dice"] == 0


@pytest.mark.parametrize("values", [(2, 1), (2, 1, 3), (2, 1, 3, 4)])
def test_values_that_several_conventions_have_are_scored_as_they_stand(values: tuple[int, ...]) -> None:
    masks = [PatientMasks("a", layered(*values), layered(*values), (1.0, 1.0, 1.0))]
    result = score_arrays(masks, **QUICK)
    assert list(result["regions"]) == [WHOLE, *(f"label {value}" for value in sorted(values))]
    assert result["labels"]["convention"] == "labels"
    (remark,) = result["remarks"]
    listed = ", ".join(map(str, sorted(values)))
    assert remark.startswith(f"what the values {listed} of truth and prediction mean is not known")
    assert "--convention (one of brats-2012, " in remark
    assert "dataset.json" in remark
    # Of one of these conventions 4 is a resection cavity: nobody may take it for tumour without a word.
    assert ("holds 4, which may be no tumour" in remark) == (4 in values)
    # Who asks for labels knows.
    assert score_arrays(masks, nested=False, **QUICK)["remarks"] == []


def test_what_one_mask_lacks_the_others_have() -> None:
    # No mask has all of 1, 2 and 4; together they do. Another model's values do not change that.
    masks = [layered(2, 1), layered(2, 4), layered(2)]
    patients = [PatientMasks(f"p{at}", mask, layered(2, 1), None, layered(2, 3)) for at, mask in enumerate(masks)]
    result = score_arrays(patients, **QUICK)
    assert list(result["regions"]) == [WHOLE, CORE, ENHANCING]
    assert result["labels"]["values"][CORE] == {"truth": [1, 4], "prediction": [1, 4]}
    assert [row["regions"][CORE]["dice"] for row in result["per_patient"]] == [1, 1, 0]
    assert list(result["comparison"]["regions"]) == [WHOLE]


@pytest.mark.parametrize(
    ("convention", "core", "enhancing"),
    [
        ("brats-2012", [1, 3, 4], [4]),
        ("post-treatment", [1, 3], [3]),
        ("peds", [1, 2, 3], [1]),
        ("1=oedema,2=core,3=enhancing,4=cavity", [2, 3], [3]),
    ],
)
def test_the_user_says_what_values_mean(convention: str, core: list[int], enhancing: list[int]) -> None:
    masks = [PatientMasks("a", layered(2, 1, 3, 4), layered(2, 1, 3, 4), (1.0, 1.0, 1.0))]
    result = score_arrays(masks, convention=convention, **QUICK)
    assert result["labels"]["values"][CORE] == {"truth": core, "prediction": core}
    assert result["labels"]["values"][ENHANCING]["truth"] == enhancing
    assert result["remarks"] == []
    with pytest.raises(InputError, match=r"mask values of BraTS 2017 to 2021 \(.*\); came 3 in the truth"):
        score_arrays(masks, convention="brats-2017", **QUICK)


def test_nested_regions_that_are_asked_for() -> None:
    result = score_arrays([PatientMasks("a", layered(2, 1, 3), layered(2, 1, 3))], nested=True, **QUICK)
    assert result["labels"]["values"][ENHANCING] == {"truth": [3], "prediction": [3]}
    with pytest.raises(InputError, match="several conventions have these; say it with --convention"):
        score_arrays([PatientMasks("a", layered(2, 1, 3, 4), layered(2, 1, 3))], nested=True, **QUICK)
    with pytest.raises(InputError, match="from 1 to 4 for nested regions; came 5"):
        score_arrays([PatientMasks("a", layered(1, 2, 5), layered(1, 2))], nested=True, **QUICK)


def test_a_resection_cavity_is_no_tumour() -> None:
    truth, drawn = box(4, 6, 2), box(4, 6, 2)
    truth[4, 3:9, 4:10] = 4  # a slice with nothing but the cavity
    drawn[4, 3:9, 4:10] = 4
    drawn[1] = 0
    for nested, compared in ((None, [WHOLE]), (False, [WHOLE, "label 2", "label 4"])):
        result = score_arrays([PatientMasks("a", truth, drawn)], convention="post-treatment", nested=nested, **QUICK)
        assert list(result["regions"]) == compared
        row = result["per_patient"][0]
        assert row["regions"][WHOLE]["dice"] == pytest.approx(2 * 72 / (108 + 72))
        assert row["regions"][WHOLE]["volume"] == 108
        assert (row["tumour_slices"], row["missed_slices"], row["false_slices"]) == (3, 1, 0)
        assert result["slices"]["confusion"] == [[3, 0], [1, 2]]
        assert result["conventions"]["pooled"]["value"] == pytest.approx(2 * 72 / (108 + 72))
        assert "cavity" in result["labels"]["text"]


def test_only_the_side_with_a_cavity_leaves_it_out(tmp_path: Path) -> None:
    """A model that knows no cavity has 4 for the enhancing tumour."""
    truth = write_volumes(tmp_path / "t", {f"BraTS-GLI-0200{n}-101-seg.nii.gz": layered(2, 1, 3) for n in (1, 2)})
    cavity = layered(2, 1, 3)
    cavity[1:4, 10:12, 4:8] = 4
    write_volumes(truth, {"BraTS-GLI-02001-101-seg.nii.gz": cavity})
    drawn = write_volumes(tmp_path / "p", {f"BraTS-GLI-0200{n}-101.nii.gz": layered(2, 1, 4) for n in (1, 2)})
    (drawn / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "NCR": 1, "ED": 2, "ET": 4}}))
    result = score_masks(truth, drawn, **QUICK)
    assert [result["regions"][region]["dice"]["mean"]["value"] for region in (WHOLE, CORE, ENHANCING)] == [1, 1, 1]
    assert result["labels"]["values"][WHOLE] == {"truth": [1, 2, 3], "prediction": "above 0"}


def test_a_core_that_nobody_found_counts_as_missed() -> None:
    for drawn in (box(4, 8, 2), np.zeros(SHAPE, np.uint8)):
        result = score_arrays([PatientMasks("a", layered(2, 1, 4), drawn)], **QUICK)
        assert result["regions"][CORE]["dice"]["mean"]["value"] == 0
        assert result["regions"][ENHANCING]["recall"]["mean"]["value"] == 0
    # Nobody has seen any enhancing tumour: a perfect score for it would say nothing.
    plain = [PatientMasks("a", layered(2, 1), layered(2, 1))]
    assert list(score_arrays(plain, convention="brats-2017", **QUICK)["regions"]) == [WHOLE, CORE]


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
        ({"0": "background", "1": "edema", "2": "non-enhancing tumor", "3": "enhancing tumour"}, "brats"),
        ({"background": 0, "edema": 2, "necrosis": 1, "enhancing": 3}, "brats"),
        ({"background": 0, "lesion": 1, "vessel": 2, "bleeding": 3}, "labels"),
        ({"background": 0, "tumour": 1}, "labels"),
        ({"background": 0, "whole": [1, 2, 3], "core": [2, 3]}, "brats"),
        ({}, "labels"),
        ("nonsense", "labels"),
    ],
)
def test_a_file_that_names_the_values_decides(tmp_path: Path, labels: object, convention: str) -> None:
    truth = write_volumes(tmp_path / "set" / "labelsTr", {"a.nii.gz": layered(2, 1, 3)})
    (tmp_path / "set" / "dataset.json").write_text(json.dumps({"labels": labels}))
    drawn = write_volumes(tmp_path / "p", {"a.nii.gz": layered(2, 1, 3)})
    result = score_masks(truth, drawn, **QUICK)
    assert result["labels"]["convention"] == convention
    assert ("truth: what values mean was read from dataset.json" in result["remarks"]) == (
        labels not in ({}, "nonsense")
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
    assert sorted(reasons) == [f"predictions: {name}/findings.json" for name in "bcd"]
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
    assert {name: row["dice"] for name, row in by_patient(result).items()} == {"p1": 0, "p2": 1}
    assert result["missing"] == {"predictions": ["p1"]}
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
    names = ("good", "coarser", "elsewhere", "moved", "torn", "hollow", "probable")
    truth = write_volumes(tmp_path / "t", {f"{name}.nii.gz": box() for name in names})
    drawn = write_volumes(tmp_path / "p", {"good.nii.gz": box()})
    write_volumes(drawn, {"coarser.nii.gz": box(shape=(6, 16, 21)), "elsewhere.nii.gz": box()}, FLAT)
    # As large as the truth and a whole voxel beside it: nobody crops like that.
    write_volumes(drawn, {"moved.nii.gz": box()}, replace(CUBIC, origin=(-7.0, -9.0, 3.0)))
    write_nifti(drawn / "probable.nii.gz", box().astype(np.float32) * 0.7)
    (drawn / "torn.nii.gz").write_bytes((drawn / "good.nii.gz").read_bytes()[:60])
    (drawn / "hollow.nii.gz").touch()
    result = score_masks(truth, drawn, **QUICK)
    assert list(by_patient(result)) == ["good"]
    reasons = {item["file"]: item["reason"] for item in result["skipped"]}
    assert "21x16x6 for a truth of 20x16x6" in reasons["predictions: coarser.nii.gz"]
    assert "another spacing, origin or direction" in reasons["predictions: moved.nii.gz"]
    assert "another spacing, origin or direction" in reasons["predictions: elsewhere.nii.gz"]
    assert "thresholded" in reasons["predictions: probable.nii.gz"]
    assert {"predictions: torn.nii.gz", "predictions: hollow.nii.gz"} <= set(reasons)
    assert result["missing"] == {}  # what is damaged is not empty


def test_a_grid_that_differs_in_the_other_model_only_keeps_the_patient(tmp_path: Path) -> None:
    truth = write_volumes(tmp_path / "t", {"a.nii.gz": box(), "b.nii.gz": box()})
    other = write_volumes(tmp_path / "o", {"a.nii.gz": box(5)})
    write_volumes(other, {"b.nii.gz": box(shape=(6, 16, 21))}, FLAT)
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
    large = write_volumes(tmp_path / "l", {"a.nii.gz": box(shape=(6, 16, 21))}, FLAT)
    with pytest.raises(InputError, match="21x16x6"):
        score_masks(truth, large)
    with pytest.raises(InputError, match="none of which match"):
        score_masks(truth, truth, other=drawn)


# --- names that differ ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("truth", "aside", "drawn"),
    [
        ("UCSF-PDGM-000{}_nifti/UCSF-PDGM-000{}_tumor_segmentation", "_brain_segmentation", "UCSF-PDGM-000{}"),
        ("UCSF-PDGM-000{}_nifti/UCSF-PDGM-000{}_tumor_segmentation", "_FLAIR", "case/UCSF-PDGM-000{}_pred"),
        ("sub-0{}/anat/sub-0{}_space-orig_label-lesion_mask", "_desc-brain_mask", "sub-0{}_dseg"),
        ("sub-0{}/ses-1/anat/sub-0{}_ses-1_label-lesion_mask", "_T1w", "sub-0{}/ses-1/prediction"),
        ("patient_0{}/tumorMask", "_brainMask", "Patient-0{}-seg"),
        ("0{}/p0{}_tumorMask", "_probability", "p0{}/labels/whole"),
        ("TCGA-02-000{}_2000.01.01_GlistrBoost_ManuallyCorrected", "_GlistrBoost", "TCGA-02-000{}_2000.01.01"),
        ("BraTS-GLI-0000{}-000/BraTS-GLI-0000{}-000-seg", "-t1c", "BraTS-GLI-0000{}-000_nnunet"),
        ("Case 0{}/Segmentation.seg", "_T1", "case_0{}.seg"),
    ],
)
def test_names_meet_where_one_pairing_makes_sense(tmp_path: Path, truth: str, aside: str, drawn: str) -> None:
    for at in (1, 2):
        name = truth.replace("{}", str(at))
        other = re.sub(
            "_tumor_segmentation|_space-orig_label-lesion_mask|_label-lesion_mask|_tumorMask|tumorMask", "", name
        )
        other = re.sub("_GlistrBoost_ManuallyCorrected|-seg$|Segmentation.seg", "", other)
        write_volumes(tmp_path / "t", {f"{name}.nii.gz": box(4), f"{other}{aside}.nii.gz": box(1, 9)})
        write_volumes(tmp_path / "p", {f"{drawn.replace('{}', str(at))}.nii.gz": box(4 + 3 * (at - 1))})
    result = score_masks(tmp_path / "t", tmp_path / "p", **QUICK)
    assert (result["patients"], result["missing"], result["skipped"]) == (2, {}, [])
    assert [row["regions"][WHOLE]["dice"] for row in result["per_patient"]] == pytest.approx([1, 0.5])
    assert any(text.startswith("truth: 2 files ") for text in result["remarks"])


def test_visits_of_a_patient_are_not_mixed_up(tmp_path: Path) -> None:
    truth = write_volumes(tmp_path / "t", {f"sub-01/ses-{at}/anat/lesion_mask.nii.gz": box(4) for at in (1, 2)})
    write_volumes(truth, {"sub-02/ses-1/anat/lesion_mask.nii.gz": box(4)})
    drawn = write_volumes(tmp_path / "p", {f"sub-01_ses-{at}_pred.nii.gz": box(2 + 2 * at) for at in (1, 2)})
    write_volumes(drawn, {"sub-02_ses-2_pred.nii.gz": box(4)})
    result = score_masks(truth, drawn, **QUICK)
    assert [row["regions"][WHOLE]["dice"] for row in result["per_patient"]] == pytest.approx([1, 2 / 3, 0])
    assert result["missing"] == {"predictions": ["sub-02/ses-1/anat"]}
    # A side that says no visit meets the only one of the other.
    (drawn / "sub-02_ses-2_pred.nii.gz").rename(drawn / "sub-02_pred.nii.gz")
    assert score_masks(truth, drawn, **QUICK)["missing"] == {}


def test_truth_and_prediction_in_one_folder(tmp_path: Path) -> None:
    for at in (1, 2):
        files = {f"p{at}_seg.nii.gz": box(4), f"p{at}_pred.nii.gz": box(3 + at), f"p{at}_t1.nii.gz": box(1, 9)}
        write_volumes(tmp_path / "all" / f"p{at}", files)
    result = score_masks(tmp_path / "all", tmp_path / "all", **QUICK)
    assert {name: row["dice"] for name, row in by_patient(result).items()} == pytest.approx({"p1": 1, "p2": 10 / 12})
    assert (
        "predictions: 2 files lie beside another mask of the same name; the machine's were taken" in result["remarks"]
    )


def test_names_of_one_letter_and_of_healthy_people_are_names(tmp_path: Path) -> None:
    names = ("a_seg", "b_mask", "d_seg", "healthy_01_seg", "ct_7_mask")
    truth = write_volumes(tmp_path / "t", {f"{name}.nii.gz": box() for name in names})
    bare = {f"{name.rpartition('_')[0]}.nii.gz": box() for name in names}
    drawn = write_volumes(tmp_path / "p", bare)
    result = score_masks(truth, drawn, **QUICK)
    assert list(by_patient(result)) == ["a", "b", "ct_7", "d", "healthy_01"]
    assert (result["missing"], result["remarks"]) == ({}, [])


# --- grids that are cut or turned ----------------------------------------------------------------------------------


def itk(path: Path, mask: np.ndarray, corner: tuple[int, int, int] = (0, 0, 0), flip: bool = False) -> None:
    """A mask on steps of 1, 1 and 3 mm whose first voxel lies at a corner (z, y, x); rows from below if flipped."""
    image = sitk.GetImageFromArray(mask)
    image.SetSpacing((1.0, 1.0, 3.0))
    image.SetOrigin((float(corner[2]), float(corner[1]), 3.0 * corner[0]))
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(sitk.Flip(image, (False, True, False)) if flip else image, str(path))


def test_masks_that_are_cropped_or_stored_from_below_are_put_in_their_place(tmp_path: Path) -> None:
    whole, drawn = box(4), box(5)
    for at in (1, 2):
        itk(tmp_path / "truth" / f"P{at}.nrrd", whole)
        itk(tmp_path / "full" / f"P{at}.nrrd", drawn)
        itk(tmp_path / "flipped" / f"P{at}.nrrd", drawn, flip=True)
        itk(tmp_path / "cropped" / f"P{at}.seg.nrrd", drawn[1:4, 3:9, 5:11], (1, 3, 5))
        itk(tmp_path / "larger" / f"P{at}.nrrd", np.pad(drawn, ((0, 1), (2, 0), (0, 3))), (0, -2, 0))
        itk(tmp_path / "cropped truth" / f"P{at}.seg.nrrd", whole[1:4, 3:9, 4:10], (1, 3, 4))
        itk(tmp_path / "turned cropped truth" / f"P{at}.seg.nrrd", whole[1:4, 3:9, 4:10], (1, 3, 4), flip=True)
    expected = score_masks(tmp_path / "truth", tmp_path / "full", **QUICK)
    assert expected["regions"][WHOLE]["dice"]["mean"]["value"] == pytest.approx(10 / 12)
    for side in ("flipped", "cropped", "larger"):
        result = score_masks(tmp_path / "truth", tmp_path / side, **QUICK)
        assert result["per_patient"] == expected["per_patient"], side
        assert any(text.startswith("2 masks were cropped, larger or mirrored") for text in result["remarks"])
    for side in ("cropped truth", "turned cropped truth"):
        result = score_masks(tmp_path / side, tmp_path / "full", other=tmp_path / "cropped", **QUICK)
        assert result["skipped"] == []
        row = result["per_patient"][0]
        assert (row["regions"][WHOLE]["dice"], row["slices"]) == (pytest.approx(10 / 12), 6)
        assert row["other"][WHOLE]["dice"] == row["regions"][WHOLE]["dice"]
        assert row["regions"][WHOLE]["hd95"] == expected["per_patient"][0]["regions"][WHOLE]["hd95"]
    assert score_masks(tmp_path / "truth", tmp_path / "truth", **QUICK)["remarks"] == []


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".mha", ".mhd", ".nrrd", ".mgz", ".mgh", ".hdr"])
def test_every_format_of_volumes(tmp_path: Path, suffix: str) -> None:
    for side, at in (("t", 4), ("p", 5)):
        mask = box(at)
        if suffix in (".mgh", ".mgz"):
            (tmp_path / side).mkdir()
            nibabel.save(nibabel.MGHImage(mask.T, np.eye(4)), tmp_path / side / f"P1_seg{suffix}")
        elif suffix == ".hdr":
            (tmp_path / side).mkdir()
            nibabel.save(nibabel.AnalyzeImage(mask.T, np.eye(4)), tmp_path / side / "P1_seg.img")
        elif ".nii" in suffix:
            write_nifti(tmp_path / side / f"P1_seg{suffix}", mask)
        else:
            write_itk(tmp_path / side / f"P1_seg{suffix}", mask)
    result = score_masks(tmp_path / "t", tmp_path / "p", **QUICK)
    assert by_patient(result)["P1"]["dice"] == pytest.approx(10 / 12)
    assert (result["unit"], result["skipped"]) == ("mm", [])


# --- values, from files --------------------------------------------------------------------------------------------

REGIONS = {"background": 0, "whole tumor": [1, 2, 3], "tumor core": [2, 3], "enhancing tumor": [3]}
MSD = {"0": "background", "1": "edema", "2": "non-enhancing tumor", "3": "enhancing tumour"}


@pytest.mark.parametrize(
    ("name", "values", "labels", "kind"),
    [
        ("BRATS_00{}", (1, 2, 3, 0), REGIONS, "brats"),
        ("BRATS_00{}", (1, 2, 3, 0), MSD, "brats"),
        ("BRATS_00{}", (1, 2, 3, 0), None, "labels"),
        ("BraTS-PED-0000{}-000-seg", (4, 2, 1, 3), None, "brats"),
        ("BraTS-GLI-0200{}-101-seg", (2, 1, 3, 4), None, "brats"),
        ("BraTS-GLI-0000{}-000-seg", (2, 1, 3, 0), None, "brats"),
        ("BraTS2021_0000{}", (2, 1, 4, 0), None, "brats"),
        ("P{}", (2, 1, 4, 0), None, "brats"),
    ],
)
def test_each_set_is_scored_with_its_own_values(
    tmp_path: Path, name: str, values: tuple[int, ...], labels: dict | None, kind: str
) -> None:
    """Half of the oedema is missed, and all else is right: whoever mixes values up loses core or enhancing tumour."""
    oedema, core, enhancing, fourth = values
    for at in (1, 2):
        truth = layered(oedema, core, enhancing)
        if "-101-" in name:
            truth[1:4, 10:14, 4:12] = fourth  # resection cavity
        elif fourth:
            truth[2, 3:9, 8:10] = fourth  # a part of the core
        drawn = truth.copy()
        drawn[1:4, 3:9, 4] = 0  # one of two columns of oedema
        for side, mask in (("t", truth), ("p", drawn)):
            write_volumes(tmp_path / side, {f"{name.replace('{}', str(at))}.nii.gz": mask})
            if labels is not None:
                (tmp_path / side / "dataset.json").write_text(json.dumps({"labels": labels}))
    result = score_masks(tmp_path / "t", tmp_path / "p", **QUICK)
    scores = {region: found["dice"]["mean"]["value"] for region, found in result["regions"].items()}
    assert result["labels"]["convention"] == kind
    assert scores[WHOLE] == pytest.approx(2 * 7 / 15)  # 8 columns, the cavity not among them
    unknown = any("is not known" in text for text in result["remarks"])
    if kind == "labels":
        assert scores == pytest.approx({WHOLE: 14 / 15, "label 1": 2 / 3, "label 2": 1, "label 3": 1})
        assert unknown
    else:
        assert scores == pytest.approx({WHOLE: 14 / 15, CORE: 1, ENHANCING: 1})
        assert not unknown
        row = result["per_patient"][0]["regions"]
        assert row[ENHANCING]["volume"] == int((truth == enhancing).sum())
        assert row[CORE]["volume"] == int((truth[1:4, 3:9, 6:12] > 0).sum())


def test_folders_with_two_files_that_say_different_things(tmp_path: Path) -> None:
    for at, labels in ((1, MSD), (2, {"background": 0, "NCR": 1, "ED": 2, "ET": 3})):
        folder = write_volumes(tmp_path / "t" / f"set{at}" / "labelsTr", {f"x{at}.nii.gz": layered(1, 2, 3)})
        (folder.parent / "dataset.json").write_text(json.dumps({"labels": labels}))
        write_volumes(tmp_path / "p", {f"x{at}.nii.gz": layered(1, 2, 3)})
    result = score_masks(tmp_path / "t", tmp_path / "p", **QUICK)
    assert result["labels"]["convention"] == "labels"
    assert any("not every file has a dataset.json that says the same" in text for text in result["remarks"])


def test_a_value_that_no_file_names_is_told(tmp_path: Path) -> None:
    mask = layered(1, 2, 3, 7)
    for side in ("t", "p"):
        folder = write_volumes(tmp_path / side, {"x.nii.gz": mask})
        (folder / "dataset.json").write_text(json.dumps({"labels": MSD}))
    result = score_masks(tmp_path / "t", tmp_path / "p", **QUICK)
    assert result["labels"]["values"] == {
        WHOLE: {"truth": "above 0", "prediction": "above 0"},
        CORE: {"truth": [2, 3], "prediction": [2, 3]},
        ENHANCING: {"truth": [3], "prediction": [3]},
    }
    assert sum("7 has no meaning" in text and "tumour, but no part of it" in text for text in result["remarks"]) == 2


# --- slices -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
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
    assert seen == [(text, done, 2) for text in ("reading masks", "scoring masks") for done in range(3)]


def test_real_masks(real_scans: Path) -> None:
    folder = real_scans / "brats18"
    if not folder.is_dir():
        pytest.skip("no brats18 among the real scans")
    result = score_masks(folder, folder, **QUICK)
    assert result["regions"][WHOLE]["dice"]["mean"]["value"] == 1
    assert result["regions"][WHOLE]["hd95"]["mean"]["value"] == 0
    assert list(result["regions"]) == [WHOLE, CORE, ENHANCING]


# What scores do not say by themselves ---------------------------------------------------------------------------------


def test_labels_that_were_written_a_little_off_are_those_labels(tmp_path: Path) -> None:
    truth = write_volumes(tmp_path / "truth", {"P1.nii.gz": box()})
    found = score_masks(
        truth, write_volumes(tmp_path / "other", {"P1.nii.gz": box().astype(np.float32) * 0.9999}), **QUICK
    )
    assert found["per_patient"][0]["regions"][WHOLE]["dice"] == 1
    assert not found["skipped"]


def test_patients_without_tumour_and_inverted_masks_are_remarked(tmp_path: Path) -> None:
    truth = write_volumes(tmp_path / "truth", {"A.nii.gz": box(), "B.nii.gz": 0 * box(), "C.nii.gz": box()})
    other = write_volumes(tmp_path / "other", {"A.nii.gz": box(), "B.nii.gz": 0 * box(), "C.nii.gz": 1 - box()})
    remarks = score_masks(truth, other, **QUICK)["remarks"]
    assert [text for text in remarks if text.startswith("1 patient of 3 without tumour in the truth")]
    assert [text for text in remarks if "is its background 0" in text] == [
        "predictions of C.nii.gz: more than half of it is marked: is its background 0?"
    ]


@pytest.mark.parametrize(("side", "said"), [(0.1, True), (1.0, False), (1000.0, True)])
def test_distances_in_another_unit_are_remarked(side: float, said: bool, tmp_path: Path) -> None:
    """Centimetres that were written as millimetres: HD95 would be told as if it were ten times as good."""
    masks = {name: box(shape=(6, 160, 200)) for name in ("A.nii.gz", "B.nii.gz")}
    sides = [write_volumes(tmp_path / name, masks, Geometry((side, side, 3 * side))) for name in ("truth", "other")]
    remarks = score_masks(*sides, **QUICK)["remarks"]
    assert sum("which no head is" in text for text in remarks) == said
