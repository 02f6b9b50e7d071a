"""Volumes named after their series, as converters of DICOM name them: sequences, and whose they are."""

from __future__ import annotations

import re

import pytest

from synthoma.scans.names import read_part
from tests.scans.test_sequence_names import IN_THE_FIELD, WRITTEN, rows

UNSURE = {"T1 +/- C", "T1-C", "T1 pós"}
"""In the name of a file a minus joins words, and the slash and the accent of a description are lost."""


@pytest.mark.parametrize(("description", "sequence"), rows(IN_THE_FIELD) + rows(WRITTEN))
def test_a_volume_named_after_its_series_is_no_other_sequence(description: str, sequence: str) -> None:
    """A name may say nothing, and what is another sequence may be left aside; none is taken for what it is not."""
    stem = re.sub(r"[^A-Za-z0-9+*.-]+", "_", description).strip("_")
    for name in (stem, f"7_{stem}", f"Anna_{stem}_20240102_7"):
        part = read_part(name)
        if part.role == "image" and description not in UNSURE:
            assert part.sequence == sequence, name


@pytest.mark.parametrize(
    ("name", "role", "sequence"),
    [
        ("4_Ax_T2_FLAIR", "image", "flair"), ("3D_SAG_T2_FLAIR", "image", "flair"), ("+C_Ax_T1", "image", "t1c"),
        ("Gad_Ax_T1", "image", "t1c"), ("T1_FSPGR_POST", "image", "t1c"), ("T1_C-", "image", "t1"),
        ("t2_spc_da-fl_sag_p2_iso", "image", "flair"), ("Ax_T2_STAR", "other", None), ("CT_reg_T1", "other", None),
        ("SUB_AX_T1", "other", None), ("T2W_FFE", "other", None), ("t2_fl2d_tra_hemo", "other", None),
        ("T1_T2_ratio", "other", None), ("T1_mapping", "other", None), ("T1post_minus_T1pre", "other", None),
        # words that only look like those of a scanner
        ("sub_T1", "image", "t1"), ("KM_T1", "image", "t1"), ("no_ax_t1", "image", "t1"), ("T1_B12", "image", "t1"),
        ("CONTR_01_T1", "image", "t1"), ("T1_CONT_01", "image", "t1"), ("T1_to_FLAIR", "image", "t1"),
        ("T2_reg_T1", "image", "t2"), ("P1-T1-C", "image", "t1c"), ("T1c_pre", "image", "t1c"),
        ("T1_processed", "image", "t1"), ("T1k", "image", "t1c"),
    ],
)  # fmt: skip
def test_words_around_a_sequence(name: str, role: str, sequence: str | None) -> None:
    part = read_part(name)
    assert part.role == role
    assert role == "other" or part.sequence == sequence
