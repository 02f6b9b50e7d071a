"""What identifies a person is written nowhere: the bytes of everything that `prepare` leaves are searched."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

import synthoma
from synthoma.commands.app import main
from tests.scans.writers import write_dicom, write_nifti, write_picture

pytestmark = pytest.mark.slow

SECRETS = ("Zzyzx", "Quetzal", "19610412", "Miskatonic", "ACC-4711", "MRN-0815", "Secretname", "20240131")


@pytest.fixture
def hospital(tmp_path: Path) -> Path:
    """Two DICOM series of one person in folders named after that person, and a file that is no image."""
    rng = np.random.default_rng(0)
    root = tmp_path / "Quetzal_Zzyzx" / "MRN-0815"
    study, frame = generate_uid(), generate_uid()
    for number, description in enumerate(("FLAIR Quetzal", "T1 Quetzal")):
        array = rng.integers(1, 400, (6, 40, 40)).astype(np.int16)
        write_dicom(root / f"Secretname-{number}", array, description=description, study=study, frame=frame)
    for path in root.rglob("*"):
        if not path.is_file():
            continue
        header = pydicom.dcmread(path)
        header.PatientName, header.PatientID, header.PatientBirthDate = "Zzyzx^Quetzal", "MRN-0815", "19610412"
        header.InstitutionName, header.AccessionNumber, header.StudyDate = "Miskatonic", "ACC-4711", "20240131"
        header.add_new((0x0011, 0x0010), "LO", "SYNTHOMA TEST")
        header.add_new((0x0011, 0x1001), "LO", "Secretname")
        header.save_as(path)
    (root / "Secretname-note.dcm").write_text("Zzyzx Quetzal was here")
    return tmp_path / "Quetzal_Zzyzx"


def searched(folder: Path) -> list[str]:
    """Secrets found in the bytes or names of a folder's files."""
    content = b"".join(path.name.encode() + path.read_bytes() for path in folder.rglob("*") if path.is_file())
    return [secret for secret in SECRETS if secret.encode() in content]


def test_nothing_of_a_dicom_header_reaches_the_cohort(hospital: Path, tmp_path: Path) -> None:
    cohort = synthoma.prepare(hospital, tmp_path / "cohort", size=32)
    assert len(cohort) == 6
    assert searched(hospital), "the search itself must be able to find them"
    assert searched(tmp_path / "cohort") == []


def test_one_person_keeps_one_pseudonym(hospital: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = synthoma.prepare(hospital, tmp_path / "a", size=32).slices["patient"].iloc[0]
    assert synthoma.prepare(hospital, tmp_path / "b", size=32).slices["patient"].iloc[0] == first
    monkeypatch.setenv("SYNTHOMA_KEY", "another key for tests")
    assert synthoma.prepare(hospital, tmp_path / "c", size=32).slices["patient"].iloc[0] != first


def test_pseudonyms_hide_folder_and_file_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    for number in range(4):
        place = tmp_path / "Quetzal" / "tumour" / f"Zzyzx_{number}.png"
        write_picture(place, np.kron(rng.integers(0, 255, (8, 8)), np.ones((8, 8))).astype(np.uint8))
    (tmp_path / "Quetzal" / "tumour" / "Zzyzx_broken.png").write_bytes(b"no picture")
    words = [
        "synthoma",
        "prepare",
        str(tmp_path / "Quetzal"),
        "-o",
        str(tmp_path / "c"),
        "--size",
        "16",
        "--pseudonyms",
    ]
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit, match="0"):
        main()
    capsys.readouterr()
    assert searched(tmp_path / "c") == []


def test_pseudonyms_hide_classes_sites_texts_and_remarks(tmp_path: Path) -> None:
    """Whatever became of a name on the way: a class, a column of a table, a part of a remark."""
    rng = np.random.default_rng(0)
    for person in ("Zzyzx Quetzal", "Secretname", "glioma"):
        for number in range(3):
            picture = np.kron(rng.integers(0, 255, (8, 8)), np.ones((8, 8))).astype(np.uint8)
            write_picture(tmp_path / "in" / "Miskatonic" / person / f"a{number}.png", picture)
    cohort = synthoma.prepare(tmp_path / "in", tmp_path / "c", size=16, pseudonyms=True, classes="folder")
    assert searched(tmp_path / "c") == []
    assert "glioma" in cohort.classes
    assert len(cohort.classes) == 3

    rows = ["image,label,patient,site,referrer,age"]
    for number in range(4):
        name = f"Zzyzx-{number}.png"
        write_picture(tmp_path / "t" / name, rng.integers(0, 255, (40, 40)).astype(np.uint8))
        rows.append(f"{name},Quetzal,Secretname {number},Miskatonic,MRN-0815,{50 + number}")
    (tmp_path / "t" / "cases.csv").write_text("\n".join(rows) + "\n")
    table = synthoma.prepare(tmp_path / "t", tmp_path / "d", size=16, pseudonyms=True, classes="folder").slices
    assert searched(tmp_path / "d") == []
    assert sorted(table["age"]) == [50, 51, 52, 53]
    assert table["site"].nunique() == 1


def test_names_in_remarks_are_hidden(tmp_path: Path) -> None:
    volume = np.zeros((6, 40, 40), np.int16)
    volume[2:4, 5:30, 5:30] = 300
    for person in ("Zzyzx_Quetzal", "Secretname_Miskatonic"):
        write_nifti(
            tmp_path / "in" / person / "flair.nii.gz",
            volume + np.random.default_rng(1).integers(1, 9, (6, 40, 40), np.int16),
        )
        write_nifti(tmp_path / "in" / person / "seg.nii.gz", np.where(volume > 0, 7, 0).astype(np.uint8))
    cohort = synthoma.prepare(tmp_path / "in", tmp_path / "c", size=16, pseudonyms=True, convention="7=tumour")
    assert searched(tmp_path / "c") == []
    assert len(cohort)
