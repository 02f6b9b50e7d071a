"""The bias note says who was learned from, by the cohort's own figures, and what nobody recorded."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from synthoma.reports.bias import bias_note
from tests.toys import write_cohort


def test_groups_are_counted_by_patient_and_gaps_are_told(tmp_path: Path) -> None:
    images, masks = np.random.default_rng(0).random((40, 1, 20, 20)), np.zeros((40, 20, 20), np.uint8)
    masks[::2, :4, :5] = 1  # 20 of 400 pixels
    groups = [f"p{number // 2}" for number in range(40)]
    cohort = write_cohort(
        tmp_path / "c", images, ["tumour", "healthy"] * 20, masks,
        groups=groups, splits=["train"] * 32 + ["test"] * 8, origin="real", mask_names={1: "tumour"},
    )  # fmt: skip
    cohort.slices["site"] = ["A"] * 22 + ["B"] * 6 + [""] * 12
    cohort.slices["Age"] = [str(30 + number // 2) for number in range(40)]
    rows, warnings = bias_note(cohort)
    told = dict(rows)
    assert told["patients or groups"] == "16"
    assert told["site"] == "A 11, B 3; not recorded of 2"
    assert told["class"] == "tumour 16, healthy 16"
    assert told["age"] == "30 to 45, median 38"
    assert told["sex"] == "not recorded"
    assert told["largest cut of the tumour, % of the picture"].startswith("5.0 to 5.0, median 5.0")
    said = " ".join(warnings)
    assert "Most are of one site (A, 11 of 14 patients)" in said
    assert "Fewer than 5 patients of site: B (3)" in said
    assert "The sex is not recorded" in said
    assert "older than 45" in said


def test_one_site_alone_is_told(tmp_path: Path) -> None:
    cohort = write_cohort(tmp_path / "c", np.zeros((6, 1, 16, 16)), ["yes"] * 6, origin="real")
    cohort.slices["site"] = "A"
    rows, warnings = bias_note(cohort)
    assert dict(rows)["tumour size"] == "not recorded (no masks)"
    assert any("All that is known of are of one site (A)" in text for text in warnings)
