"""BIDS: names, tables and masks, held against the validator of the standard where it is installed."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest

import synthoma
from synthoma.core.errors import InputError
from synthoma.exports.cases import pieces
from tests.exports.cohorts import image, mask, patients

pytestmark = pytest.mark.slow


def issues(folder: Path) -> list[tuple[str, str]]:
    """What the standard's own validator calls an error: code and place; skipped where it is not."""
    beside = str(Path(sys.executable).parent)
    program = shutil.which("bids-validator-deno", path=beside) or shutil.which("bids-validator-deno")
    if program is None:
        pytest.skip("BIDS against the standard: install bids-validator-deno")
    done = subprocess.run([program, str(folder), "--json"], capture_output=True, text=True, check=False)
    found = json.loads(done.stdout)["issues"]["issues"]
    return [(one["code"], one.get("location", "")) for one in found if one["severity"] == "error"]


def test_the_validator_finds_no_error(tmp_path: Path) -> None:
    names = ["Ä 1", "a/b", "=x", "p-3", "<p>"]
    cohort = patients(tmp_path / "cohort", names=names, modalities=("t1", "t1c", "t2", "flair"))
    table = cohort.slices.assign(patient=cohort.slices["patient"].replace({"a/b": "Ä 1"}))
    table.assign(group=table["patient"]).to_csv(cohort.path / "slices.csv", index=False)
    synthoma.export(cohort.path, tmp_path / "out", to="bids")
    assert issues(tmp_path / "out") == []
    assert issues(tmp_path / "out" / "derivatives" / "masks") == []
    # And it does look.
    (tmp_path / "out" / "sub-other" / "anat").mkdir(parents=True)
    (tmp_path / "out" / "sub-other" / "anat" / "sub-y_FLAIR.nii.gz").write_bytes(b"")
    assert issues(tmp_path / "out") != []


def test_names_tables_and_voxels(tmp_path: Path) -> None:
    cohort = patients(tmp_path / "cohort", modalities=("t1", "t1c", "t2", "flair"), labels={"1": "core", "4": "cavity"})
    synthoma.export(cohort.path, tmp_path / "out", to="bids")
    names = sorted(path.name for path in (tmp_path / "out" / "sub-p1" / "anat").glob("*.nii.gz"))
    assert names == [
        "sub-p1_FLAIR.nii.gz",
        "sub-p1_T1w.nii.gz",
        "sub-p1_T2w.nii.gz",
        "sub-p1_ce-gadolinium_T1w.nii.gz",
    ]
    for number, name in enumerate(("T1w", "ce-gadolinium_T1w", "T2w", "FLAIR")):
        found = nibabel.load(tmp_path / "out" / "sub-p1" / "anat" / f"sub-p1_{name}.nii.gz")
        assert np.array_equal(np.asarray(found.dataobj).transpose(2, 1, 0), image(cohort, "p1", number))
    masks = tmp_path / "out" / "derivatives" / "masks"
    drawn = np.asarray(nibabel.load(masks / "sub-p1" / "anat" / "sub-p1_dseg.nii.gz").dataobj).transpose(2, 1, 0)
    table = list(csv.DictReader((masks / "dseg.tsv").read_text().splitlines(), delimiter="\t"))
    assert {row["name"]: int(row["index"]) for row in table} == {"background": 0, "core": 1, "cavity": 2}
    assert np.array_equal(drawn == 2, mask(cohort, "p1") == 4)
    people = list(csv.DictReader((tmp_path / "out" / "participants.tsv").read_text().splitlines(), delimiter="\t"))
    assert [(row["participant_id"], row["split"]) for row in people] == [
        ("sub-p0", "train"), ("sub-p1", "train"), ("sub-p2", "train"), ("sub-p3", "validation"), ("sub-p4", "test"),
    ]  # fmt: skip


def test_studies_of_a_patient_are_sessions_and_lacking_sequences_no_files(tmp_path: Path) -> None:
    cohort = patients(tmp_path / "cohort", columns={"missing": [""] * 4 + ["t1c"] * 4 + [""] * 12})
    table = cohort.slices.assign(patient=cohort.slices["patient"].replace({"p1": "p0"}))
    table.assign(group=table["patient"]).to_csv(cohort.path / "slices.csv", index=False)
    synthoma.export(cohort.path, tmp_path / "out", to="bids")
    found = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out" / "sub-p0").rglob("*.gz"))
    visited = cohort.slices.assign(
        patient=table["patient"], group=table["patient"], visit=[1.0] * 4 + [12.0] * 4 + [None] * 12
    )
    visited.to_csv(cohort.path / "slices.csv", index=False)
    synthoma.export(cohort.path, tmp_path / "visits", to="bids")
    assert sorted(path.name for path in (tmp_path / "visits" / "sub-p0").iterdir()) == ["ses-1", "ses-12"]
    assert found == [
        "sub-p0/ses-01/anat/sub-p0_ses-01_FLAIR.nii.gz",
        "sub-p0/ses-01/anat/sub-p0_ses-01_ce-gadolinium_T1w.nii.gz",
        "sub-p0/ses-02/anat/sub-p0_ses-02_FLAIR.nii.gz",
    ]


def test_a_sequence_without_a_name_in_bids_is_refused(tmp_path: Path) -> None:
    patients(tmp_path / "cohort", modalities=("image",))
    with pytest.raises(InputError, match="t1, t1c, t2, flair"):
        synthoma.export(tmp_path / "cohort", tmp_path / "out", to="bids")


def test_pieces_are_whole_patients(tmp_path: Path) -> None:
    cohort = patients(tmp_path / "cohort")
    assert [len(piece.rows) for piece in pieces(cohort)] == [4] * 5
