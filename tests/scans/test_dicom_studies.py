"""Folders of DICOM studies: which series is which sequence, which one of several is taken, and whose they are."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from synthoma.core.errors import InputError
from synthoma.phantom import PhantomConfig, phantom_cases
from synthoma.scans.case import Geometry, Inventory
from synthoma.scans.layouts import take_inventory
from tests.scans.test_dicom import edit
from tests.scans.writers import CUBIC, OBLIQUE, SECRETS, voxels, write_dicom, write_nifti, write_picture

KEY = b"a key for tests only"
SAGITTAL = Geometry((1.0, 1.0, 4.0), (5.0, 6.0, 7.0), (0.0, 0.0, -1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0))


def setting(**elements: object) -> Callable[[Dataset, int], None]:
    def change(dataset: Dataset, _: int) -> None:
        for keyword, value in elements.items():
            setattr(dataset, keyword, value)

    return change


def reasons(inventory: Inventory) -> str:
    return " | ".join(item.reason for item in inventory.skipped)


# Folder names --------------------------------------------------------------------------------------------------------

FOLDERS = {"FLAIR": "flair", "T1w": "t1", "T1wCE": "t1c", "T2w": "t2"}
TCIA = {
    "2.000000-AX T1-12345": "t1", "3.000000-AX T1 POST-98765": "t1c", "4.000000-AX T2 FSE-1": "t2",
    "5.000000-FLAIR-2": "flair",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("described", ["as the folder", "blank", "blank, with an agent", "blank, with timing"])
@pytest.mark.parametrize("folders", [FOLDERS, TCIA], ids=["sorted", "archive"])
def test_the_folder_tells_the_sequence_where_the_header_does_not(
    folders: dict[str, str], described: str, tmp_path: Path
) -> None:
    arrays = {}
    for patient in range(2):
        study, frame = generate_uid(), generate_uid()
        for number, (folder, modality) in enumerate(folders.items()):
            arrays[patient, modality] = voxels(10 * patient + number)
            elements: dict[str, object] = {"PatientID": f"{patient:05d}"}
            if described.endswith("agent") and modality in ("t1c", "flair" if folders is TCIA else "t1"):
                elements["ContrastBolusAgent"] = "Gadovist"
            if described.endswith("timing") and modality in ("t1", "t1c"):
                elements |= {"ScanningSequence": "SE", "RepetitionTime": 500, "EchoTime": 12}
            write_dicom(
                tmp_path / "train" / f"{patient:05d}" / folder, arrays[patient, modality], study=study, frame=frame,
                description=folder if described == "as the folder" else "", name=lambda index: f"Image-{index}.dcm",
                change=setting(**elements),
            )  # fmt: skip
    inventory = take_inventory(tmp_path, key=KEY)
    assert [case.modalities for case in inventory.cases] == [("t1", "t1c", "t2", "flair")] * 2
    assert not inventory.skipped
    seen = {
        (patient, name)
        for case in inventory.cases
        for name, image in case.load().images.items()
        for patient in range(2)
        if np.array_equal(image, arrays[patient, name])
    }
    assert seen == set(arrays)


@pytest.mark.parametrize(
    ("description", "folder", "modality"),
    [
        ("ADC", "T2w", "image"), ("T1 PRE", "T1wCE", "t1"), ("T1", "T1wCE", "t1c"), ("T2", "FLAIR", "t2"),
        ("", "Jellyby", "image"), ("", "perfusion", "image"), ("", "T1 W WO", "image"),
    ],
)  # fmt: skip
def test_a_description_that_tells_comes_first(description: str, folder: str, modality: str, tmp_path: Path) -> None:
    write_dicom(tmp_path / folder, voxels(0), description=description)
    assert take_inventory(tmp_path, key=KEY).cases[0].modalities == (modality,)


def test_the_innermost_folder_counts_and_the_root_does_not(tmp_path: Path) -> None:
    root = tmp_path / "FLAIR"
    write_dicom(root / "T2 and others" / "T1", voxels(0), description="")
    write_dicom(root / "x", voxels(1), description="")
    assert sorted(case.modalities for case in take_inventory(root, key=KEY).cases) == [("image",), ("t1",)]


def test_folder_names_are_written_nowhere(tmp_path: Path) -> None:
    write_dicom(tmp_path / "Zzyzx" / "T1wCE of Quetzal", voxels(0), description="")
    [case] = take_inventory(tmp_path, key=KEY).cases
    assert case.modalities == ("t1c",)
    text = repr(replace(case, sources=()))
    assert not any(secret in text for secret in (*SECRETS.values(), "Zzyzx", "Quetzal", "T1wCE"))


# One of several ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_original_thin_slices_come_before_reformats_and_thick_ones(tmp_path: Path) -> None:
    study, frame = generate_uid(), generate_uid()
    uids = {"study": study, "frame": frame}
    thin = voxels(1, (20, 12, 16))
    derived = setting(ImageType=["DERIVED", "SECONDARY", "MPR"])
    write_dicom(tmp_path / "1", voxels(0, (5, 12, 16)), description="Ax T1 +C", **uids)
    write_dicom(tmp_path / "2", thin, description="3D BRAVO +C", **uids)
    write_dicom(tmp_path / "3", voxels(2, (40, 12, 16)), description="COR MPR T1 +C", change=derived, **uids)
    broken = write_dicom(tmp_path / "4", voxels(3, (30, 12, 16)), description="T1 +C", **uids)
    broken[10].unlink()
    write_dicom(tmp_path / "5", voxels(4, (25, 12, 16)), description="T1 +C", study=study)
    write_dicom(tmp_path / "6", voxels(5, (5, 12, 16)), description="Ax FLAIR", **uids)
    inventory = take_inventory(tmp_path, key=KEY)
    [case] = inventory.cases
    assert case.modalities == ("t1c", "flair")
    np.testing.assert_array_equal(case.load().images["flair"], voxels(5, (5, 12, 16)))
    assert {path.parent.name for path in case.sources} == {"2", "6"}
    listed = {item.path.parent.name: item.reason for item in inventory.skipped}
    assert set(listed) == {"1", "3", "4", "5"}
    for name, words in (
        ("1", "5 slices where another has 20"), ("3", "computed from another"), ("4", "even stack"),
        ("5", "another position"),
    ):  # fmt: skip
        assert words in listed[name]


def test_thick_slices_in_another_plane_come_last(tmp_path: Path) -> None:
    uids = {"study": generate_uid(), "frame": generate_uid()}
    thick = replace(CUBIC, spacing=(1.0, 1.0, 4.0))
    write_dicom(tmp_path / "flair", voxels(0), thick, **uids)
    write_dicom(tmp_path / "axial", voxels(1), thick, description="AX T2", **uids)
    write_dicom(tmp_path / "sagittal", voxels(2, (9, 12, 16)), SAGITTAL, description="SAG T2", **uids)
    inventory = take_inventory(tmp_path, key=KEY)
    np.testing.assert_array_equal(inventory.cases[0].load().images["t2"], voxels(1))
    assert "thick slices in another plane" in reasons(inventory)


def test_of_repeated_scans_the_later_is_taken(tmp_path: Path) -> None:
    uids = {"study": generate_uid(), "frame": generate_uid()}
    for number in (9, 10, 2):
        write_dicom(tmp_path / str(number), voxels(number), change=setting(SeriesNumber=number), **uids)
    for key in (b"1", b"2", b"3"):
        inventory = take_inventory(tmp_path, key=key)
        [case] = inventory.cases
        np.testing.assert_array_equal(case.load().images["flair"], voxels(10))
        assert [("later" in item.reason) for item in inventory.skipped] == [True, True]


@pytest.mark.slow
def test_series_of_other_frames_are_registered_and_the_transform_kept(tmp_path: Path) -> None:
    """T1 with another frame of reference, whose header puts it elsewhere: it comes back to where FLAIR has it."""
    phantom = phantom_cases(1, 3, PhantomConfig(slice_mm=2.0, pixel_mm=2.0, sites=1))[0].load()
    assert phantom.geometry is not None
    study, turn = generate_uid(), np.deg2rad(7.0)
    axes = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    there = np.array(phantom.geometry.direction).reshape(3, 3)
    elsewhere = replace(
        phantom.geometry,
        origin=tuple(float(value) for value in axes @ np.array(phantom.geometry.origin) + [6.0, -9.0, 4.0]),  # type: ignore[arg-type]
        direction=tuple(float(value) for value in (axes @ there).ravel()),  # type: ignore[arg-type]
    )
    images = {name: phantom.images[name].astype(np.int16) for name in ("t1", "flair")}
    write_dicom(tmp_path / "1", images["flair"], phantom.geometry, description="FLAIR", study=study)
    write_dicom(tmp_path / "2", images["t1"], elsewhere, description="T1", study=study)
    [case] = take_inventory(tmp_path, key=KEY).cases
    assert case.modalities == ("t1", "flair")
    found = case.load()
    assert any("was moved onto flair" in remark for remark in found.remarks)
    assert set(json.loads(str(found.facts["moved_t1"]))) == {"rotation", "translation", "centre"}
    inside = images["t1"] > 0.2 * images["t1"].max()
    off = np.abs(found.images["t1"][inside] - images["t1"][inside]).mean() / images["t1"][inside].mean()
    assert off < 0.08, off  # unmoved it is .35 and more


@pytest.mark.slow
def test_a_series_that_cannot_be_registered_is_left_out_and_said(tmp_path: Path) -> None:
    study = generate_uid()
    write_dicom(tmp_path / "1", voxels(0), description="FLAIR", study=study)
    write_dicom(tmp_path / "2", voxels(1), description="T2", study=study)
    [case] = take_inventory(tmp_path, key=KEY).cases
    found = case.load()
    assert set(found.images) == {"flair"}
    assert any(remark.startswith("t2 is left out") for remark in found.remarks)


# Whose ---------------------------------------------------------------------------------------------------------------


def patients(inventory: Inventory) -> list[str | None]:
    return [case.patient for case in inventory.cases]


def test_three_studies_of_one_patient_stay_one_patient(tmp_path: Path) -> None:
    for number in range(3):
        write_dicom(tmp_path / f"P{number}", voxels(number))
    inventory = take_inventory(tmp_path, key=KEY)
    assert len(patients(inventory)) == 3
    assert len(set(patients(inventory))) == 1
    assert None not in patients(inventory)


@pytest.mark.parametrize("name", ["", "ANON", "Anonymous", "anonymized", "0", "UNKNOWN", "<none>", "XXXX", "N/A"])
def test_who_is_nobody_is_no_patient(name: str, tmp_path: Path) -> None:
    for number in range(3):
        write_dicom(tmp_path, voxels(number), name=lambda i, n=number: f"{n}-{i}", change=setting(PatientID=name))  # type: ignore[misc]
    inventory = take_inventory(tmp_path, key=KEY)
    assert patients(inventory) == [None] * 3
    assert any("no patient can be told for 3 studies" in remark for remark in inventory.remarks)
    assert len({case.name for case in inventory.cases}) == 3


def test_folders_stand_for_patients_whose_names_are_gone(tmp_path: Path) -> None:
    nobody = setting(PatientID="ANON")
    for place in ("train/glioma/A/2019/dicom", "train/glioma/A/2020/dicom", "train/healthy/B/2019/dicom"):
        write_dicom(tmp_path / "export" / place, voxels(len(place)), change=nobody)
    inventory = take_inventory(tmp_path, key=KEY)
    by_label: dict[str | None, set[str | None]] = {}
    for case in inventory.cases:
        by_label.setdefault(case.label, set()).add(case.patient)
    assert [len(found) for found in by_label.values()] == [1, 1]
    assert by_label["glioma"] != by_label["healthy"]
    assert any("2 folders stand for patients" in remark for remark in inventory.remarks)
    assert not {"A", "B"} & set(patients(inventory))


def test_one_study_of_nobody_needs_no_remark(tmp_path: Path) -> None:
    write_dicom(tmp_path, voxels(0), change=setting(PatientID=""))
    inventory = take_inventory(tmp_path, key=KEY)
    assert patients(inventory) == [None]
    assert not any("patient" in remark for remark in inventory.remarks)


def test_one_study_number_in_two_patients_is_two_studies(tmp_path: Path) -> None:
    study = generate_uid()
    for number in range(2):
        write_dicom(tmp_path / str(number), voxels(number), study=study, change=setting(PatientID=f"P{number}"))
    assert len(set(patients(take_inventory(tmp_path, key=KEY)))) == 2


# When it is this layout ----------------------------------------------------------------------------------------------


def test_a_few_slices_among_papers_are_a_folder_of_dicom(tmp_path: Path) -> None:
    write_dicom(tmp_path, voxels(0, (3, 12, 16)))
    for number in range(20):
        (tmp_path / f"note{number}.txt").write_text("words")
        (tmp_path / f"data{number}.bin").write_bytes(bytes([number] * 50))
    write_picture(tmp_path / "screen.png", voxels(1, (12, 16), np.uint8))
    inventory = take_inventory(tmp_path, key=KEY)
    assert inventory.layout == "dicom"
    assert [case.modalities for case in inventory.cases] == [("flair",)]


def test_the_table_of_contents_of_a_disc_is_not_worth_a_line(tmp_path: Path) -> None:
    [path] = write_dicom(tmp_path / "disc", voxels(0, (1, 12, 16)), name=lambda _: "DICOMDIR")
    edit(path, lambda ds: delattr(ds, "Modality"))
    write_dicom(tmp_path / "disc" / "IMAGES", voxels(0))
    inventory = take_inventory(tmp_path, key=KEY)
    assert len(inventory.cases) == 1
    assert not inventory.skipped


def test_more_volumes_than_dicom_are_another_layout(tmp_path: Path) -> None:
    write_dicom(tmp_path / "d", voxels(0, (1, 12, 16)))
    for number in range(3):
        write_nifti(tmp_path / f"p{number}_flair.nii.gz", voxels(number), OBLIQUE)
    assert take_inventory(tmp_path, key=KEY).layout != "dicom"


def test_private_elements_and_odd_numbers_do_no_harm(tmp_path: Path) -> None:
    paths = write_dicom(tmp_path, voxels(0))
    for path in paths:
        edit(path, lambda ds: ds.add_new(0x00191100, "UN", b"Zzyzx\0"))
    [case] = take_inventory(tmp_path, key=KEY).cases
    np.testing.assert_array_equal(case.load().images["flair"], voxels(0))


def test_a_cut_slice_is_told_when_it_is_read(tmp_path: Path) -> None:
    paths = write_dicom(tmp_path, voxels(0))
    paths[2].write_bytes(paths[2].read_bytes()[:-200])
    [case] = take_inventory(tmp_path, key=KEY).cases
    with pytest.raises(InputError) as caught:
        case.load()
    assert not any(secret in str(caught.value) for secret in SECRETS.values())
