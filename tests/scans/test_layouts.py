"""Every layout that a writer makes is recognised and read back; what is broken is listed and the rest still loads."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from synthoma.core.errors import ConfigError, InputError
from synthoma.core.untrusted import printable
from synthoma.scans.case import Case, Inventory, Skipped, Study
from synthoma.scans.files import walk
from synthoma.scans.layouts import take_inventory
from synthoma.scans.layouts.loading import tumour_in_picture
from tests.scans.writers import (
    BRATS_2018,
    CUBIC,
    FLAT,
    LAYOUTS,
    SECRETS,
    Expected,
    blob,
    voxels,
    write_brats,
    write_dicom,
    write_folders,
    write_itk,
    write_lgg,
    write_loose_volumes,
    write_nifti,
    write_picture,
    write_table,
)  # fmt: skip

pytestmark = pytest.mark.slow

KEY = b"a key for tests only"


def survey(folder: Path, **options: object) -> tuple[Inventory, dict[str, Study], list[Skipped]]:
    """Take the inventory and load every case; what fails to load is skipped, as `prepare` does."""
    inventory = take_inventory(folder, key=KEY, **options)  # type: ignore[arg-type]
    studies, skipped = {}, list(inventory.skipped)
    for case in inventory.cases:
        try:
            studies[case.name] = case.load()
        except InputError as error:
            skipped.append(Skipped(case.sources[0], str(error)))
    for item in skipped:
        assert item.reason.startswith("expected ")
        assert "; came " in item.reason
        item.reason.encode("utf-8")
    return inventory, studies, skipped


def check(case: Case, study: Study, expected: Expected) -> None:
    assert case.modalities == tuple(study.images) == tuple(expected.images)
    for name, image in expected.images.items():
        np.testing.assert_array_equal(study.images[name], image)
        assert study.images[name].dtype == image.dtype
    assert (study.mask is None) == (expected.mask is None) == (not case.has_mask)
    if expected.mask is not None:
        assert study.mask is not None
        assert study.mask.dtype == np.uint8
        np.testing.assert_array_equal(study.mask, expected.mask)
    assert tuple(study.labels) == expected.labels
    assert (study.geometry is None) == (expected.geometry is None)
    if study.geometry is not None and expected.geometry is not None:
        for attribute in ("spacing", "origin", "direction"):
            got, wanted = getattr(study.geometry, attribute), getattr(expected.geometry, attribute)
            np.testing.assert_allclose(got, wanted, atol=1e-4)


@pytest.mark.parametrize("name", LAYOUTS)
def test_layout_is_recognised_and_read_back(name: str, tmp_path: Path) -> None:
    layout, write = LAYOUTS[name]
    written = write(tmp_path)
    inventory, studies, skipped = survey(tmp_path)
    assert inventory.layout == layout
    assert skipped == []
    if "*" not in written:
        assert set(studies) == set(written)
    for case in inventory.cases:
        expected = written.get(case.name) or written["*"]
        check(case, studies[case.name], expected)
        if "*" not in written:
            assert (case.patient, case.label, case.site) == (expected.patient, expected.label, expected.site)
        assert dict(case.facts) == dict(expected.facts)
        assert not case.slice_names or len(case.slice_names) == len(next(iter(studies[case.name].images.values())))
        assert case.sources
        assert all(path.is_file() for path in case.sources)


@pytest.mark.parametrize("name", LAYOUTS)
def test_cases_travel_to_workers_and_inventories_repeat(name: str, tmp_path: Path) -> None:
    LAYOUTS[name][1](tmp_path)
    first, second = (take_inventory(tmp_path, key=KEY) for _ in range(2))
    assert [replace(case, load=len) for case in first.cases] == [replace(case, load=len) for case in second.cases]
    for case in first.cases:
        study, copy = case.load(), pickle.loads(pickle.dumps(case)).load()
        assert all(np.array_equal(study.images[key], copy.images[key]) for key in study.images)


@pytest.mark.parametrize("name", LAYOUTS)
def test_forced_layout(name: str, tmp_path: Path) -> None:
    layout, write = LAYOUTS[name]
    write(tmp_path)
    assert take_inventory(tmp_path, layout=layout, key=KEY).layout == layout
    for other in ("lgg", "figshare", "table"):
        if other != layout:
            with pytest.raises(InputError, match=f"the layout {other}: .*; came .*"):
                take_inventory(tmp_path, layout=other, key=KEY)


def test_unknown_layout_names_the_known_ones(tmp_path: Path) -> None:
    write_folders(tmp_path)
    with pytest.raises(ConfigError, match=r"lgg.*dicom.*volumes"):
        take_inventory(tmp_path, layout="brats99")


def test_nothing_there_and_nothing_readable(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing is"):
        take_inventory(tmp_path / "absent")
    with pytest.raises(InputError, match="no file"):
        take_inventory(tmp_path)
    (tmp_path / "notes.txt").write_text("no scan here")
    with pytest.raises(InputError, match="1 unknown"):
        take_inventory(tmp_path)
    (tmp_path / "scan.png").write_text("no scan here either")
    with pytest.raises(InputError, match="none of them usable"):
        take_inventory(tmp_path)


def test_a_file_instead_of_a_folder(tmp_path: Path) -> None:
    write_loose_volumes(tmp_path)
    write_picture(tmp_path / "p.png", voxels(0, (8, 8), np.uint8))
    volume = take_inventory(tmp_path / "glioma" / "sub-01_flair.nii.gz")
    assert [case.modalities for case in volume.cases] == [("flair",)]
    assert [case.name for case in take_inventory(tmp_path / "p.png").cases] == ["p.png"]
    [path, *_] = write_dicom(tmp_path / "d", voxels(0))
    assert len(take_inventory(path, key=KEY).cases) == 1


def test_modalities_can_be_restricted(tmp_path: Path) -> None:
    write_brats(tmp_path)
    inventory, studies, _ = survey(tmp_path, modalities=("flair", "t1"))
    assert {case.modalities for case in inventory.cases} == {("t1", "flair")}
    assert all(tuple(study.images) == ("t1", "flair") and study.mask is not None for study in studies.values())
    with pytest.raises(InputError, match="at least one case"):
        take_inventory(tmp_path, modalities=("image",))


# What is broken ------------------------------------------------------------------------------------------------------


def test_broken_pictures_are_listed_and_the_rest_loads(tmp_path: Path) -> None:
    written = write_folders(tmp_path)
    healthy = tmp_path / "healthy"
    sound = (tmp_path / "tumour" / "b0.png").read_bytes()
    (healthy / "cut.png").write_bytes(sound[: len(sound) // 2])
    (healthy / "empty.png").write_bytes(b"")
    (healthy / "text.png").write_text("this is a text")
    (healthy / "bomb.png").write_bytes(declare_png(sound, 60_000, 60_000))
    (healthy / "liar.png").write_bytes(declare_png(sound, 8_000, 8_000))
    write_picture(healthy / "constant.png", np.full((12, 16), 7, np.uint8))
    write_picture(healthy / "nan.tif", np.array([[0.0, np.nan], [1.0, 2.0]], np.float32))
    write_picture(tmp_path / "tumour" / "large.png", voxels(1, (20, 20), np.uint8))
    write_picture(tmp_path / "tumour" / "large_mask.png", blob((12, 16)) * 255)
    write_picture(tmp_path / "tumour" / "alone_mask.png", blob((12, 16)) * 255)
    write_picture(tmp_path / "tumour" / "unmarked.png", voxels(2, (12, 16), np.uint8))
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    _, studies, skipped = survey(tmp_path)
    assert set(studies) == set(written)
    reasons = {item.path.name: item.reason for item in skipped}
    for name, words in {
        "cut.png": "damaged", "empty.png": "0 bytes", "text.png": "other content", "bomb.png": "64 megapixels",
        "liar.png": "fits the file", "constant.png": "every pixel is 7", "nan.tif": "1 of 4", "large.png": "12x16",
        "alone_mask.png": "without image", "unmarked.png": "without mask", "gone.png": "no such file",
    }.items():  # fmt: skip
        assert words in reasons.pop(name)
    assert not reasons


def declare_png(sound: bytes, width: int, height: int) -> bytes:
    """The same PNG with another size in its header and a right checksum."""
    import struct
    import zlib

    header = b"IHDR" + struct.pack(">II", width, height) + sound[24:29]
    return sound[:8] + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header)) + sound[33:]


def test_broken_studies_are_listed_and_the_rest_loads(tmp_path: Path) -> None:
    written = write_brats(tmp_path)

    def study(name: str, **changed: object) -> Path:
        folder = tmp_path / "HGG" / name
        for index, (role, ending) in enumerate(BRATS_2018.items()):
            image = blob() if role == "mask" else voxels(index)
            replaced = changed.get(role, image)
            if replaced is not None:
                write_nifti(
                    folder / f"{name}{ending}.nii.gz", *(replaced if isinstance(replaced, tuple) else (replaced,))
                )
        return folder

    cut = study("Brats18_X_cut") / "Brats18_X_cut_t2.nii.gz"
    cut.write_bytes(cut.read_bytes()[:-40])
    nan = voxels(0, dtype=np.float32)
    nan[0, 0, :3] = np.nan
    study("Brats18_X_nan", t1=nan)
    study("Brats18_X_flat", flair=np.full_like(voxels(0), 3))
    study("Brats18_X_shape", mask=(blob((5, 12, 15)), replace(CUBIC, spacing=(1.5, 1.0, 1.0))))
    study("Brats18_X_moved", mask=(blob(), FLAT))
    study("Brats18_X_elsewhere", t2=(voxels(5), replace(CUBIC, origin=(900.0, 0.0, 0.0))))
    study("Brats18_X_label", mask=blob(values=(1, 7)))
    study("Brats18_X_nomask", mask=None)
    study("Brats18_X_only", t1=None, t1c=None, t2=None, flair=None)
    write_nifti(tmp_path / "HGG" / "Brats18_X_nan" / "notes.nii.gz", voxels(0))
    without = study("Brats18_X_three", t2=None)
    inventory, studies, skipped = survey(tmp_path)
    assert set(studies) == {*written, "Brats18_X_three"}
    reasons = {item.path.name if item.path.is_dir() else printable(item.path.name): item.reason for item in skipped}
    words = " | ".join(sorted(reasons.values()))
    for text in (
        "t2.nii.gz: ", "3 of 960", "flair: every pixel is 3", "5x12x15 for an image of 5x12x16", "in another place",
        "share 0 %", "0, 1, 7", "without mask", "a mask without image", "a name that says no sequence",
    ):  # fmt: skip
        assert text in words, text
    assert any("1 case of" in remark and "without t2" in remark for remark in inventory.remarks)
    assert without.is_dir()


def test_brats_studies_in_one_flat_folder(tmp_path: Path) -> None:
    for number, name in enumerate(("BraTS20_1", "BraTS20_2", "BraTS20_3")):
        for role, ending in BRATS_2018.items():
            if (number, role) != (2, "mask"):
                write_nifti(tmp_path / f"{name}{ending}.nii", blob() if role == "mask" else voxels(number))
    (tmp_path / "stray.bin").write_bytes(b"stray")
    _, studies, skipped = survey(tmp_path)
    assert set(studies) == {"BraTS20_1", "BraTS20_2"}
    assert [item.path.name for item in skipped] == ["BraTS20_3_t1.nii", "stray.bin"]


def test_lgg_halves_and_gaps(tmp_path: Path) -> None:
    written = write_lgg(tmp_path)
    name = next(iter(written))
    (tmp_path / name / f"{name}_4_mask.tif").unlink()
    (tmp_path / name / f"{name}_6.tif").unlink()
    inventory, studies, skipped = survey(tmp_path)
    assert {item.path.name for item in skipped} == {f"{name}_4.tif", f"{name}_6_mask.tif"}
    assert len(studies[name].images["flair"]) == 9
    assert any("repeats FLAIR" in remark for remark in inventory.remarks)
    assert any("gaps" in remark for remark in inventory.remarks)


def test_lgg_without_masks_is_read_where_none_are_wanted(tmp_path: Path) -> None:
    name, expected = next(iter(write_lgg(tmp_path).items()))
    for path in list((tmp_path / name).glob("*_mask.tif"))[:4]:
        path.unlink()
    [case, *_] = take_inventory(tmp_path, masks_wanted=False).cases
    assert (case.name, case.has_mask) == (name, False)  # a mask of some slices is none of the patient
    check(case, case.load(), replace(expected, mask=None, labels=()))
    for path in tmp_path.rglob("*_mask.tif"):
        path.unlink()
    inventory = take_inventory(tmp_path, masks_wanted=False)
    assert (inventory.layout, inventory.skipped) == ("lgg", ())
    check(inventory.cases[0], inventory.cases[0].load(), replace(expected, mask=None, labels=()))
    one = sorted((tmp_path / name).glob("*.tif"))
    assert take_inventory(one, masks_wanted=False).cases[0].modalities == case.modalities


@pytest.mark.parametrize("write", [write_brats, write_loose_volumes, write_folders])
def test_masks_stop_no_scan_where_none_are_wanted(write: Callable[[Path], object], tmp_path: Path) -> None:
    write(tmp_path)
    all_cases = take_inventory(tmp_path, masks_wanted=False).cases
    masks = [case.sources[-1] for case in all_cases if case.has_mask]
    masks[0].unlink()
    damaged = next((path for path in masks[1:] if path.parent.exists()), None)
    if damaged is not None:
        damaged.write_bytes(damaged.read_bytes()[: damaged.stat().st_size // 2])
    inventory = take_inventory(tmp_path, masks_wanted=False)
    assert {case.name for case in inventory.cases} == {case.name for case in all_cases}
    studies = [case.load() for case in inventory.cases]
    unused = sum(any("mask is not used" in remark for remark in study.remarks) for study in studies)
    assert unused + sum(item.path == damaged for item in inventory.skipped) == (damaged is not None)


def test_a_folder_may_hold_several_layouts_where_no_masks_are_wanted(tmp_path: Path) -> None:
    for number in range(3):
        write_picture(tmp_path / f"picture{number}.png", voxels(number, (12, 16), np.uint8))
    write_nifti(tmp_path / "scan_flair.nii.gz", voxels(7), FLAT)
    assert len(take_inventory(tmp_path).skipped) == 1
    inventory = take_inventory(tmp_path, masks_wanted=False)
    assert (inventory.layout, inventory.skipped) == ("folders+volumes", ())
    assert sorted(case.modalities[0] for case in inventory.cases) == ["flair", "image", "image", "image"]


def test_two_studies_of_one_patient_stay_one_patient(tmp_path: Path) -> None:
    write_lgg(tmp_path)
    (tmp_path / "TCGA_CS_4941_19970101").mkdir()
    for path in (tmp_path / "TCGA_CS_4941_19960909").iterdir():
        target = tmp_path / "TCGA_CS_4941_19970101" / path.name.replace("19960909", "19970101")
        target.write_bytes(path.read_bytes())
    inventory = take_inventory(tmp_path)
    assert [case.patient for case in inventory.cases].count("TCGA_CS_4941") == 2
    assert any("1 patient with several studies" in remark for remark in inventory.remarks)


def test_same_name_twice_is_told_apart_by_its_folder(tmp_path: Path) -> None:
    for part in ("a", "b"):
        write_brats(tmp_path / part)
    inventory = take_inventory(tmp_path)
    names = [case.name for case in inventory.cases]
    assert len(names) == len(set(names)) == 2  # the same patients twice
    assert {item.kind for item in inventory.skipped} >= {"files that are there twice"}


def test_other_grid_is_resampled_onto_flair(tmp_path: Path) -> None:
    z, y, x = np.meshgrid(np.arange(10.0), np.arange(20.0), np.arange(24.0), indexing="ij")
    fine = (x + 2 * y + 3 * z).astype(np.float32)
    coarse = fine[::2, ::2, ::2].copy()
    write_nifti(tmp_path / "a_flair.nii.gz", fine, CUBIC)
    write_nifti(tmp_path / "a_t1.nii.gz", coarse, replace(CUBIC, spacing=(2.0, 2.0, 2.0)))
    _, studies, _ = survey(tmp_path)
    image = studies["a"].images["t1"]
    assert image.shape == fine.shape
    np.testing.assert_allclose(image[:9, :19, :23], fine[:9, :19, :23], atol=1e-3)


def test_masks_of_loose_volumes_find_their_study(tmp_path: Path) -> None:
    write_nifti(tmp_path / "a" / "x_flair.nii.gz", voxels(0))
    write_nifti(tmp_path / "a" / "x_t1.nii.gz", voxels(1))
    write_nifti(tmp_path / "a" / "x_flair_seg.nii.gz", blob(values=(1, 2, 4)))
    write_nifti(tmp_path / "b" / "imagesTr" / "y.nii.gz", voxels(2))
    write_nifti(tmp_path / "b" / "labelsTr" / "y.nii.gz", blob())
    write_nifti(tmp_path / "c" / "patient 7" / "t2.nii.gz", voxels(3))
    inventory, studies, skipped = survey(tmp_path)
    assert skipped == []
    assert {case.name: (case.modalities, case.has_mask, case.patient) for case in inventory.cases} == {
        "x": (("t1", "flair"), True, "x"),
        "y": (("image",), True, "y"),
        "patient 7": (("t2",), False, "patient 7"),
    }
    # What masks of one set mean is decided once: the only value of one file is that value of the others.
    assert dict(studies["x"].labels) == dict(studies["y"].labels) == {1: "core", 2: "oedema", 3: "enhancing"}


def test_grey_masks_are_cut_at_half(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png", voxels(0, (32, 32), np.uint8))
    mask = np.zeros((32, 32), np.uint8)
    mask[8:24, 8:24] = 255
    write_picture(tmp_path / "a_mask.jpg", mask, quality=60)
    _, studies, _ = survey(tmp_path)
    np.testing.assert_array_equal(studies["a.png"].mask, (mask[None] > 0).astype(np.uint8))


def test_walk_ends_and_keeps_quiet_about_litter(tmp_path: Path) -> None:
    written = write_folders(tmp_path)
    (tmp_path / "tumour" / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "again").symlink_to(tmp_path / "healthy", target_is_directory=True)
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "__MACOSX" / "x.png").write_text("litter")
    for name in (".DS_Store", "Thumbs.db", ".hidden.png", "README.md"):
        (tmp_path / name).write_text("litter")
    _, studies, skipped = survey(tmp_path)
    assert set(studies) == set(written)
    assert skipped == []


def test_pipes_do_not_block(tmp_path: Path) -> None:
    written = write_folders(tmp_path)
    os.mkfifo(tmp_path / "healthy" / "pipe.png")
    _, studies, skipped = survey(tmp_path)
    assert set(studies) == set(written)
    assert [item.path.name for item in skipped] == ["pipe.png"]


def test_names_that_are_no_utf8(tmp_path: Path) -> None:
    write_folders(tmp_path)
    odd = tmp_path / os.fsdecode(b"h\xe4lthy")
    odd.mkdir()
    for name in (b"\xff.png", b"cut\xfe.png"):
        (odd / os.fsdecode(name)).write_bytes((tmp_path / "tumour" / "b0.png").read_bytes())
    (odd / os.fsdecode(b"cut\xfe.png")).write_bytes(b"\x89PNG\r\n\x1a\n")
    inventory, studies, skipped = survey(tmp_path)
    assert r"h\xe4lthy/\xff.png" in studies
    assert [printable(item.path.name) for item in skipped] == [r"cut\xfe.png"]
    for case in inventory.cases:
        "".join([case.name, case.label or "", *case.slice_names]).encode("utf-8")


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator may read everything")
def test_unreadable_files_and_folders(tmp_path: Path) -> None:
    written = write_folders(tmp_path)
    (tmp_path / "healthy" / "locked.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "healthy" / "locked.png").chmod(0)
    (tmp_path / "shut").mkdir(0)
    try:
        _, studies, skipped = survey(tmp_path)
    finally:
        (tmp_path / "shut").chmod(0o700)
    assert set(studies) == set(written)
    assert {item.path.name for item in skipped} == {"locked.png", "shut"}


# Tables --------------------------------------------------------------------------------------------------------------


def test_parquet_reads_as_csv_does(tmp_path: Path) -> None:
    import pandas as pd

    written = write_table(tmp_path)
    table = pd.read_csv(tmp_path / "cases.csv", dtype={"slice": "Int64"})
    table.to_parquet(tmp_path / "list.parquet")
    inventory, studies, skipped = survey(tmp_path / "list.parquet")
    assert skipped == []
    for case in inventory.cases:
        check(case, studies[case.name], written[case.name])
        assert dict(case.facts) == dict(written[case.name].facts)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("patient,picture\np,a.png\n", "columns"),
        ("patient,image\np,a.png,b.png\n", "2 values a row"),
        ("image,Image\na.png,a.png\n", "each column once"),
        ('image\n"a.png\n', "damaged text"),
        ("image\n../outside.png\n", "below the folder"),
        ("image\n/etc/hostname\n", "below the folder"),
        ("image\nabsent.png\n", "no such file"),
        ("patient,case,image,label\np,c,a.png,x\np,c,a.png,y\n", "one label a case"),
        ("patient,case,image,mask\np,c,a.png,a.png\np,c,a.png,\n", "an empty one"),
        ("patient,case,image\np,c,v.nii\np,c,v.nii\n", "one row for a volume"),
    ],
)
def test_wrong_tables_say_what_is_wrong(table: str, words: str, tmp_path: Path) -> None:
    write_picture(tmp_path / "in" / "a.png", voxels(0, (8, 8), np.uint8))
    write_picture(tmp_path / "outside.png", voxels(0, (8, 8), np.uint8))
    write_nifti(tmp_path / "in" / "v.nii", voxels(0))
    (tmp_path / "in" / "cases.csv").write_text(table)
    with pytest.raises(InputError, match=words):
        take_inventory(tmp_path / "in")


def test_table_rows_without_case(tmp_path: Path) -> None:
    for index in range(3):
        write_picture(tmp_path / f"{index}.png", voxels(index, (8, 8), np.uint8))
        write_itk(tmp_path / f"{index}.mha", voxels(index))
    (tmp_path / "pictures.csv").write_text("Patient;Image\np;0.png\nq;2.png\np;1.png\n")
    inventory = take_inventory(tmp_path / "pictures.csv")
    assert {case.name: case.slice_names for case in inventory.cases} == {"p": ("0.png", "1.png"), "q": ("2.png",)}
    (tmp_path / "volumes.tsv").write_text("patient\timage\np\t0.mha\nq\t2.mha\np\t1.mha\n")
    inventory = take_inventory(tmp_path / "volumes.tsv")
    assert [(case.name, case.patient) for case in inventory.cases] == [("0.mha", "p"), ("q", "q"), ("1.mha", "p")]


# Speed and imports ---------------------------------------------------------------------------------------------------


def test_layouts_import_without_the_heavy_libraries() -> None:
    heavy = ("SimpleITK", "pydicom", "pandas", "torch")
    code = f"import sys, synthoma.scans.layouts; print([name for name in {heavy} if name in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert out.stdout.strip() == "[]"


# Real scans ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("folder", "layout", "cases", "slices"),
    [
        ("lgg/kaggle_3m", "lgg", 40, 1372), ("brats18", "volumes", 5, 0), ("brats2", "volumes", 2, 0),
        ("kaggle253", "folders", 253, 253), ("types", "folders", 569, 569),
    ],
)  # fmt: skip
def test_real_folders(folder: str, layout: str, cases: int, slices: int, real_scans: Path) -> None:
    inventory = take_inventory(real_scans / folder)
    assert (inventory.layout, len(inventory.cases), inventory.skipped) == (layout, cases, ())
    assert sum(len(case.slice_names) for case in inventory.cases) == slices
    for case in inventory.cases:
        study = case.load()
        assert tuple(study.images) == case.modalities
        assert (study.mask is not None) == case.has_mask


def test_real_classes_and_masks(real_scans: Path) -> None:
    labels = [case.label for case in take_inventory(real_scans / "kaggle253").cases]
    assert (labels.count("yes"), labels.count("no")) == (155, 98)
    lgg = take_inventory(real_scans / "lgg")
    assert {case.site for case in lgg.cases} == {"CS", "DU", "EZ", "FG", "HT"}
    assert all(case.load().mask.any() for case in lgg.cases)  # type: ignore[union-attr]
    assert all(
        set(np.unique(case.load().mask)) == {0, 1, 2, 3} for case in take_inventory(real_scans / "brats18").cases
    )


def test_secrets_are_secret_enough() -> None:
    assert len(set(SECRETS.values())) == len(SECRETS)


@pytest.mark.parametrize(
    ("stored", "tumour"),
    [
        ([0, 1, 2, 3], [0, 1, 1, 1]),  # labels: each of them is tumour
        ([0, 1, 2, 4], [0, 1, 1, 1]),
        ([0, 85, 170, 255], [0, 1, 1, 1]),  # regions as greys: none is lost
        (list(range(0, 256, 5)), [0] * 26 + [1] * 26),  # a continuum: the edge of a smoothed mask is cut at half
        ([0, 0, 255, 255], [0, 0, 1, 1]),
    ],
)
def test_what_is_tumour_in_a_picture_of_a_mask(stored: list[int], tumour: list[int]) -> None:
    assert tumour_in_picture(np.array([stored], np.uint8)).ravel().tolist() == tumour


def test_a_link_to_itself_hides_nothing(tmp_path: Path) -> None:
    for name in ("a.png", "z.png"):
        (tmp_path / name).write_bytes(b"1")
    (tmp_path / "m").symlink_to(tmp_path / "m")
    files, skipped = walk(tmp_path)
    assert [path.name for path in files] == ["a.png", "z.png"]
    assert [item.path.name for item in skipped] == ["m"]


def test_altered_copies_stay_with_their_source(tmp_path: Path) -> None:
    names = [
        "img_12",
        "img_12_aug1",
        "img_12_aug2",
        "img_12_hflip_rot90",
        "flipped_img_12",
        "img_12 (2)",
        "img_12 - Copy",
    ]
    others = ["img_13", "no (12)", "no (13)"]
    for number, name in enumerate([*names, *others]):
        write_picture(tmp_path / "glioma" / f"{name}.png", voxels(number, (16, 16), np.uint8))
    kin = {Path(case.name).stem: case.kin for case in take_inventory(tmp_path).cases}
    assert {kin[name] for name in names} == {"glioma/img_12"}
    assert {kin[name] for name in others} == {""}


@pytest.mark.parametrize(
    ("files", "patients", "studies"),
    [
        # Number and word come back in classes, splits and sites: two people.
        (["glioma/Patient_01/T1", "meningioma/Patient_01/FLAIR"], 2, 2),
        (["train/subject_001/T1", "test/subject_001/T1"], 2, 2),
        (["siteA/001_T1", "siteB/001_FLAIR"], 2, 2),
        # Folders that are called as the vocabulary calls other things.
        (["KM/T1", "GD/FLAIR", "AB/T1", "AB/FLAIR"], 3, 3),
        # Visits above the patient.
        (["baseline/P1/T1", "followup/P1/T1"], 1, 2),
        (["p1/T1_pre-op", "p1/T1_post-op"], 1, 2),
        # Numbers of series are no visits.
        (["Meier/3_t1_se_tra", "Meier/5_t2_tirm_tra_dark-fluid", "Meier/9_t1_se_tra_KM"], 1, 1),
        (["Meier/1_t1", "Meier/1_flair", "Meier/2_t1", "Meier/2_flair"], 1, 2),
        # Somebody's name is no technique.
        (["Bravo_Ana_FLAIR", "Lopez_Juan_FLAIR"], 2, 2),
        (  # a scan's date is no patient, and words of a pipeline name nobody
            [
                f"ADNI_002_S_{who:04d}_MR_MPR__GradWarp__B1_Correction__N3__Scaled_Br_{day}032556623_S1_I{who}"
                for who in (1, 2)
                for day in ("20070217", "20080311")
            ],
            2,
            4,
        ),
        ([f"{who}/T1w/T{kind}w_acpc_dc_restore_brain" for who in (100307, 100408) for kind in (1, 2)], 2, 2),
    ],
)
def test_who_is_who(files: list[str], patients: int, studies: int, tmp_path: Path) -> None:
    for number, name in enumerate(files):
        write_nifti(tmp_path / f"{name}.nii.gz", voxels(number))
    inventory = take_inventory(tmp_path)
    assert len({case.patient for case in inventory.cases} - {None}) == patients
    assert len(inventory.cases) == studies
    assert inventory.skipped == ()


def test_a_folder_of_masks_outranks_a_sequence_and_content_is_looked_at(tmp_path: Path) -> None:
    for number in range(3):
        write_nifti(tmp_path / "a" / "images" / f"pat{number}_T1.nii.gz", voxels(number))
        write_nifti(tmp_path / "a" / "labels" / f"pat{number}_T1.nii.gz", blob())
        write_nifti(tmp_path / "b" / f"pat{number}" / "T1.nii.gz", voxels(number))
        write_nifti(tmp_path / "b" / f"pat{number}" / "FLAIR_zzz.nii.gz", blob())
    inventory, studies, skipped = survey(tmp_path / "a")
    assert (skipped, [case.has_mask for case in inventory.cases]) == ([], [True] * 3)
    inventory, studies, skipped = survey(tmp_path / "b")
    assert studies == {}  # a mask is never an image
    assert all("a mask by its content" in item.reason for item in skipped)


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 255, 255), (255, 200, 0)])
def test_a_mask_in_colour_over_its_scan_is_the_colour(colour: tuple[int, int, int]) -> None:
    """Bright tissue below is none of it."""
    rows, columns = np.indices((64, 64))
    scan = np.where(np.hypot(rows - 32, columns - 32) < 28, 40 + 3 * columns, 0).clip(0, 255)
    tumour = np.hypot(rows - 30, columns - 24) < 7
    picture = np.where(tumour[..., None], np.array(colour), scan[..., None])
    codes = picture.astype(np.int32) @ np.array([65536, 256, 1], dtype=np.int32)
    np.testing.assert_array_equal(tumour_in_picture(codes) > 0, tumour)


def test_the_file_of_an_error_is_named_once(tmp_path: Path) -> None:
    write_nifti(tmp_path / "P1_flair.nii.gz", voxels(0))
    write_nifti(tmp_path / "P1_seg.nii.gz", blob())
    packed = (tmp_path / "P1_seg.nii.gz").read_bytes()
    (tmp_path / "P1_seg.nii.gz").write_bytes(packed[:-30])
    [case] = take_inventory(tmp_path).cases
    with pytest.raises(InputError) as caught:
        case.load()
    assert caught.value.came.count("P1_seg.nii.gz") == 1


# Tables as people and spreadsheets leave them -------------------------------------------------------------------------


def listed(folder: Path, text: str, name: str = "cases.csv", encoding: str = "utf-8") -> Inventory:
    """What is made of a table beside six pictures with masks."""
    for index in range(6):
        write_picture(folder / f"im{index}.png", voxels(index, (12, 16), np.uint8))
        write_picture(folder / f"m{index}.png", blob((12, 16)) * 255)
    (folder / name).write_bytes(text.encode(encoding))
    return take_inventory(folder)


def rows_of(patients: Sequence[str], sign: str = ",", head: str = "patient,image,mask") -> str:
    lines = [
        head.replace(",", sign),
        *(sign.join((who, f"im{at}.png", f"m{at}.png")) for at, who in enumerate(patients)),
    ]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("sign", "encoding"),
    [("\t", "utf-8"), (";", "cp1252"), (",", "utf-16"), (",", "utf-8-sig"), ("\t", "utf-16")],
)
def test_tables_of_any_spreadsheet_are_read(sign: str, encoding: str, tmp_path: Path) -> None:
    people = ["Müller", "Weiß", "Größe", "A", "B", "C"]
    inventory = listed(tmp_path, rows_of(people, sign), encoding=encoding)
    assert sorted(case.patient or "" for case in inventory.cases) == sorted(people)
    assert all(case.has_mask for case in inventory.cases)
    assert any("Windows' own" in text for text in inventory.remarks) == (encoding == "cp1252")


@pytest.mark.parametrize("head", ["subject_id,image,seg", "Patient ID,file,Segmentation", "participant-id,Image,label"])
def test_columns_of_other_names_are_known_and_said(head: str, tmp_path: Path) -> None:
    """Missed, the patient would be on both sides of a split, and the masks be none."""
    inventory = listed(tmp_path, rows_of(["a", "a", "b", "b", "c", "c"], head=head))
    assert sorted(case.patient or "" for case in inventory.cases) == ["a", "b", "c"]
    assert all(case.has_mask and case.label is None for case in inventory.cases)
    assert any(" as patient" in text for text in inventory.remarks)


def test_columns_that_nobody_knows_are_said_and_two_for_one_are_refused(tmp_path: Path) -> None:
    inventory = listed(tmp_path, "patient,image,tumour outline\np,im0.png,m0.png\n")
    assert "used for nothing: tumour outline" in " ".join(inventory.remarks)
    with pytest.raises(InputError, match="one column for patient"):
        listed(tmp_path, "subject,pid,image\np,q,im0.png\n")


@pytest.mark.parametrize(
    ("people", "patients"),
    [
        (["P01", "p01", "P1", "P001", "P02", "p2"], 2),
        (["7", "007", "7.0", "7,0", "8", "70"], 3),
        (["P 01", "P-01", "P_1", "1-1", "11", "1_10"], 4),
    ],
)
def test_a_patient_who_is_spelled_in_several_ways_is_one(people: list[str], patients: int, tmp_path: Path) -> None:
    inventory = listed(tmp_path, rows_of(people, ";"))
    assert len({case.patient for case in inventory.cases}) == patients
    assert any("are taken for one patient" in text for text in inventory.remarks)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("patient,image\n1.23E+10,im0.png\n1.23E+10,im1.png\n", "a spreadsheet rounded"),
        ("patient,image\np,im0.png\nq,im0.png\n", "one that is listed for 2"),
        ("patient,image,mask\np,im0.png,m0.png\nq,im1.png,m0.png\n", "one that is listed for 2"),
        ("patient,image\np,IM0.PNG\n", "differs in capitals alone"),
        ("patient,image,mask\np,im0.png,nan\n", "in the column 'mask': no such file"),
    ],
)
def test_rows_that_cannot_be_right_are_refused(table: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        listed(tmp_path, table)


def test_lists_of_refused_rows_name_nobody(tmp_path: Path) -> None:
    inventory = listed(tmp_path, "patient,image\nMiller,absent-Miller.png\nSmith,im0.png\n")
    [refused] = inventory.skipped
    assert refused.reason.startswith("row 1 below the first line: ")
    assert "Miller" not in refused.reason


def test_paths_of_windows_are_read(tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    write_picture(tmp_path / "scans" / "a.png", voxels(0, (12, 16), np.uint8))
    assert len(listed(tmp_path, "patient,image\np,scans\\a.png\n").cases) == 1


def test_what_differs_from_slice_to_slice_is_no_fact_of_the_case(tmp_path: Path) -> None:
    inventory = listed(tmp_path, "patient;image;age;split\np;im0.png;40,5;train\np;im1.png;40,5;test\n")
    [case] = inventory.cases
    assert case.facts == {"age": 40.5}
    assert any("1 patient on several sides: p" in text for text in inventory.remarks)


def test_a_table_that_is_not_read_is_said(tmp_path: Path) -> None:
    inventory = listed(tmp_path, rows_of(["a", "a", "b", "b", "c", "c"]), name="metadata.csv")
    assert inventory.layout == "folders"
    assert any("metadata.csv names 6 of these files and was not read" in text for text in inventory.remarks)


def test_a_class_that_is_spelled_in_several_ways_is_one(tmp_path: Path) -> None:
    names = ["Training/Glioma", "Testing/glioma", "Training/No Tumor", "Testing/no_tumor", "Testing/notumor"]
    for index, name in enumerate(names):
        write_picture(tmp_path / name / f"a{index}.png", voxels(index, (12, 16), np.uint8))
    inventory = take_inventory(tmp_path)
    assert {case.label.lower() for case in inventory.cases if case.label} in (
        {"glioma", "no_tumor"},
        {"glioma", "notumor"},
    )
    assert any("are taken for one class" in text for text in inventory.remarks)
