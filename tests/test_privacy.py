"""What identifies a person is written nowhere: the bytes of everything that `prepare` leaves are searched."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

import synthoma
from synthoma.cli import main
from tests.data.writers import write_dicom, write_picture

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
