from __future__ import annotations

import os
from pathlib import Path

import pytest

from synthoma.errors import InputError
from synthoma.provenance import new_folder, write_json, write_text


def test_folder_appears_only_when_complete(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with new_folder(target) as partial:
        (partial / "cohort.json").write_text("{}")
        assert not target.exists()
    assert (target / "cohort.json").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_an_interrupted_folder_leaves_nothing(tmp_path: Path, failure: type[BaseException]) -> None:
    with pytest.raises(failure), new_folder(tmp_path / "out") as partial:
        (partial / "half").write_text("x")
        raise failure
    assert list(tmp_path.iterdir()) == []


def test_existing_artefact_is_replaced_only_with_force(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "cohort.json").write_text("old")
    with pytest.raises(InputError, match="--force"), new_folder(target):
        pass
    with pytest.raises(ValueError), new_folder(target, force=True):  # noqa: PT011
        raise ValueError
    assert (target / "cohort.json").read_text() == "old"
    with new_folder(target, force=True) as partial:
        (partial / "cohort.json").write_text("new")
    assert (target / "cohort.json").read_text() == "new"


def test_force_never_deletes_what_synthoma_did_not_write(tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "patient.nii").write_text("precious")
    with pytest.raises(InputError, match="other files"), new_folder(tmp_path / "scans", force=True):
        pass
    assert (tmp_path / "scans" / "patient.nii").read_text() == "precious"


def test_text_with_undecodable_names_is_written(tmp_path: Path) -> None:
    write_text(tmp_path / "list.csv", os.fsdecode(b"caf\xe9.png"))
    assert "caf\\udce9.png" in (tmp_path / "list.csv").read_text()


def test_json_refuses_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "x.json", {"score": float("nan")})
    assert list(tmp_path.iterdir()) == []
