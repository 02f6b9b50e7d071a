from __future__ import annotations

import json
import re

import numpy as np

from synthoma.masks import scores as scoring
from synthoma.masks.chances import Chances
from synthoma.masks.patients import PatientMasks
from synthoma.masks.regions import WHOLE
from synthoma.masks.scores import NOT_CLINICAL
from synthoma.reports.scores_page import SHOWN_ROWS, scores_page
from tests.reports.test_cohort_page import VOID, Page

VOID |= {"circle", "rect", "line"}


def score_arrays(*given: object, **options: object) -> dict:
    return scoring.score_arrays(*given, **options).content()


def box(at: int, value: int = 1) -> np.ndarray:
    mask = np.zeros((4, 16, 24), np.uint8)
    mask[1:3, 3:9, at : at + 6] = value
    return mask


def result(count: int = 9, **options: object) -> dict:
    # Patient i is off by i columns.
    patients = [PatientMasks(f"p{at}", box(4), box(4 + at), (2.0, 1.0, 1.0)) for at in range(count)]
    scores = score_arrays(patients, draws=200, **options)
    return json.loads(json.dumps(scores, allow_nan=False))


def test_page_is_whole_and_loads_nothing() -> None:
    scores = result()
    text = scores_page(scores)
    page = Page(text)
    assert all(address.startswith(("data:", "#")) for address in page.addresses)
    assert not re.search(r"@import|url\((?!#|data:)|<script", text)
    assert "Not for clinical use" in text
    assert text.count("<circle") == 9
    assert scores_page(scores) == text


def test_figures_on_the_page_are_those_of_the_result() -> None:
    scores = result()
    text = scores_page(scores)
    dice = scores["regions"][WHOLE]["dice"]["mean"]
    assert f"<b>Dice {dice['value']:.3f}</b> mean over 9 patients" in text
    assert f"95 % interval {dice['low']:.3f} to {dice['high']:.3f}" in text
    for entry in scores["conventions"].values():
        assert f"<b>{entry['value']:.3f}</b>" in text
    # 2 x 6 x 6 voxels of 2 mm3
    assert "0.1 ml" in text


def test_the_worst_patient_stands_first() -> None:
    names = re.findall(r"<td>(p\d)</td>", scores_page(result()))
    # From an offset of 6 on nothing meets: equal scores stand by name.
    assert names == ["p6", "p7", "p8", "p5", "p4", "p3", "p2", "p1", "p0"]


def test_dots_lie_where_their_dice_is() -> None:
    text = scores_page(result(2))  # Dice 1 and 10/12
    places = sorted(float(at) for at in re.findall(r'<circle cx="([\d.]+)"', text))
    expected = [16 + 10 / 12 * 608, 16 + 608]
    assert np.allclose(places, expected, atol=608 / 76)


def test_names_cannot_inject_markup() -> None:
    evil = PatientMasks("<script>alert(1)</script>", box(4), box(5))
    scores = score_arrays([evil], draws=50)
    scores["compared"]["predictions"] = "<i>x</i>"
    scores["skipped"] = [{"file": "<b>f</b>", "reason": "<u>r</u>"}]
    text = scores_page(scores)
    assert not re.search(r"<script|<i>x|<b>f|<u>r", text)


def test_one_patient_without_interval_and_masks_without_tumour() -> None:
    empty = np.zeros((4, 16, 24), np.uint8)
    text = scores_page(score_arrays([PatientMasks("p", empty, empty)], draws=50))
    Page(text)
    assert "no interval from one patient" in text
    assert "nan" not in text
    assert "None" not in text


def test_labels_and_the_other_model_have_their_tables() -> None:
    patients = [
        PatientMasks(f"p{at}", box(4, 5) + box(12, 2), box(4 + at, 5) + box(12, 2), None, box(5 + at, 5) + box(13, 2))
        for at in range(4)
    ]
    scores = score_arrays(patients, draws=200)
    scores["compared"]["other"] = "rival"
    text = scores_page(scores)
    Page(text)
    assert "<h3>Label 2</h3>" in text
    assert "Against rival" in text
    assert "Against" not in scores_page(result())
    gap = scores["comparison"]["regions"]["label 2"]["dice"]["difference"]["value"]
    assert f'<td class="n">{gap:.3f}</td>' in text
    assert "values as they stand" in text


def test_nested_regions_are_named_with_their_values() -> None:
    truth, drawn = box(4, 2) + box(12, 4), box(4, 2) + box(12, 1)
    text = scores_page(score_arrays([PatientMasks("p", truth, drawn)], draws=50))
    Page(text)
    assert "<h3>Tumour core</h3>" in text
    assert "<h3>Enhancing tumour</h3>" in text
    assert "values: 1 core, 2 oedema, 4 enhancing (the values are 1, 2 and 4)" in text


def test_values_that_nobody_knows_have_their_remark_on_the_page() -> None:
    mask = box(4, 2) + box(12, 3)
    text = scores_page(score_arrays([PatientMasks("p", mask, mask)], draws=50))
    Page(text)
    assert "<h3>Label 3</h3>" in text
    assert "Tumour core" not in text
    assert '<p class="warn">What the values 2, 3 of truth and prediction mean is not known' in text


def test_probabilities_have_their_curve_and_the_page_its_warning() -> None:
    chances = [np.array([0.1, 0.7, 0.9, 0.3]), np.array([0.2, 0.8, 0.6, 0.1])]
    patients = [PatientMasks(f"p{at}", box(4), box(5), None, None, Chances(0.8, one)) for at, one in enumerate(chances)]
    scores = json.loads(json.dumps(score_arrays(patients, draws=50), allow_nan=False))
    text = scores_page(scores)
    Page(text)
    assert "of 2 of 2 patients" in text
    assert "slices, 4 of 8 with tumour" in text
    # Probability 0.1 has a share of 0: 40 + 0.1 * 240 to the right, on the floor. 0.9 has a share of 1, at the top.
    assert 'cx="64.0" cy="248.0"' in text
    assert 'cx="256.0" cy="8.0"' in text
    # All patients have tumour: scans cannot be ranked, and no row says so with a dash.
    assert "scans, 2 of 2" not in text
    assert NOT_CLINICAL.replace("'", "&#39;") in text
    assert "probabilities worth" not in scores_page(result())


def test_mixed_units_are_not_averaged_on_the_page() -> None:
    patients = [PatientMasks("a", box(4), box(5), (1, 1, 1)), PatientMasks("b", box(4), box(5))]
    text = scores_page(score_arrays(patients, draws=50))
    Page(text)
    assert "median HD95" not in text
    assert "not averaged" in text


def test_a_long_list_is_cut_and_says_so() -> None:
    scores = result(2)
    row = scores["per_patient"][0]
    scores["per_patient"] = [row | {"patient": f"q{at}"} for at in range(SHOWN_ROWS + 3)]
    text = scores_page(scores)
    assert len(re.findall(r"<td>q\d+</td>", text)) == SHOWN_ROWS
    assert "3 patients with higher Dice" in text
