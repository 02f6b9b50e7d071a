"""Small inputs that people really have: each is read as its README expects.

The generators lie beside the real scans, in ``cases`` next to the folder that ``SYNTHOMA_TEST_DATA`` names.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from synthoma import pipeline
from synthoma.cohorts.cohort import Cohort
from synthoma.core.errors import InputError
from synthoma.scans.case import Case, Inventory, Study
from synthoma.scans.layouts import take_inventory
from synthoma.scans.layouts.part_of_case import files_of

pytestmark = pytest.mark.slow

KEY = b"a key for tests only"
FOUR = ("t1", "t1c", "t2", "flair")


@pytest.fixture(scope="session")
def made(real_scans: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Makes the input of a case, once."""
    cases = real_scans.parent / "cases"
    if not cases.is_dir():
        pytest.skip(f"field cases: no folder {cases.name} beside the real scans")
    done: dict[str, Path] = {}

    def make(number: str) -> Path:
        if number not in done:
            (case,) = cases.glob(f"{number}-*")
            done[number] = tmp_path_factory.mktemp(f"case{number}") / "input"
            done[number].mkdir()
            environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "SYNTHOMA_TEST_DATA": str(real_scans)}
            command = [sys.executable, str(case / "make_input.py"), str(done[number])]
            subprocess.run(command, cwd=case, env=environment, check=True, capture_output=True, timeout=300)
        return done[number]

    return make


def inventory_of(folder: Path, **options: object) -> tuple[Inventory, list[Study]]:
    """What is found, with every case loaded."""
    inventory = take_inventory(folder, key=KEY, **options)  # type: ignore[arg-type]
    return inventory, [case.load() for case in inventory.cases]


def patients(inventory: Inventory) -> set[str | None]:
    return {case.patient for case in inventory.cases}


def check_set(inventory: Inventory, cases: int, people: int, modalities: tuple[str, ...], masks: int) -> None:
    """Numbers of cases, patients and masks; every case has the sequences, and nothing is a mask that is an image."""
    assert len(inventory.cases) == cases
    assert len(patients(inventory) - {None}) == people
    assert {case.modalities for case in inventory.cases} == {modalities}
    assert sum(case.has_mask for case in inventory.cases) == masks
    images = {path for case in inventory.cases for role, path in files_of(case).items() if role != "mask"}
    assert not images & {files_of(case).get("mask") for case in inventory.cases} or "#" in str(images)


def stored(case: Case) -> np.ndarray:
    """The mask file's values as stored (z, y, x)."""
    return np.asarray(nibabel.load(files_of(case)["mask"]).dataobj).T  # type: ignore[attr-defined]


def check_labels(case: Case, study: Study, meaning: dict[int, int]) -> None:
    """The mask is the stored one with each value in its new place."""
    values = stored(case)
    wanted = np.zeros_like(values)
    for old, new in meaning.items():
        wanted[values == old] = new
    np.testing.assert_array_equal(study.mask, wanted)


SETS = [
    ("01", "", 8, 8, FOUR, 8, {1: 1, 2: 2, 4: 3}),
    ("02", "", 8, 8, FOUR, 8, {1: 1, 2: 2, 4: 3}),
    ("04", "", 8, 8, FOUR, 8, {1: 3, 2: 1, 3: 1, 4: 2}),
    ("06", "", 8, 8, FOUR, 8, {1: 2, 2: 1, 3: 3}),
    ("09", "", 6, 6, FOUR, 6, {1: 1}),
    ("13", "", 12, 6, FOUR, 12, {1: 1, 2: 2, 3: 3, 4: 4}),
    ("15", "", 6, 6, FOUR, 6, {1: 2, 2: 1, 3: 3}),
    ("33", "", 12, 6, FOUR, 0, {}),
    ("37", "", 7, 7, ("t1", "flair"), 7, {1: 1, 2: 2, 4: 3}),
    *(("31", name, 4, 4, FOUR, 4, {}) for name in (
        "brainles", "captk", "pre_post_ucsd", "prefix", "raidionics", "rsna_nifti", "skullstripped", "t2flair",
    )),
]  # fmt: skip


@pytest.mark.parametrize(("number", "inside", "cases", "people", "modalities", "masks", "meaning"), SETS)
def test_sets(
    made: Callable[[str], Path], number: str, inside: str, cases: int, people: int, modalities: tuple[str, ...],
    masks: int, meaning: dict[int, int],
) -> None:  # fmt: skip
    inventory, studies = inventory_of(made(number) / inside)
    check_set(inventory, cases, people, modalities, masks)
    for case, study in zip(inventory.cases, studies, strict=True):
        if meaning:
            check_labels(case, study, meaning)
    if number in ("01", "02"):  # brain masks, maps, twins and another tool's masks are named, and used by nobody
        assert inventory.skipped
        assert not {item.path for item in inventory.skipped} & {
            path for case in inventory.cases for path in case.sources
        }


def test_05_channels_of_one_file(made: Callable[[str], Path]) -> None:
    inventory, studies = inventory_of(made("05"))
    assert len(patients(inventory)) == len(inventory.cases) == 8
    case, study = inventory.cases[0], studies[0]
    volume = np.asarray(nibabel.load(case.sources[0]).dataobj).T  # type: ignore[attr-defined]
    for place, name in enumerate(("flair", "t1", "t1c", "t2")):  # as dataset.json names them
        np.testing.assert_array_equal(study.images[name], volume[place])
    check_labels(case, study, {1: 2, 2: 1, 3: 3})


def test_07_contrast_by_its_folder(made: Callable[[str], Path]) -> None:
    inventory, studies = inventory_of(made("07"))
    check_set(inventory, 6, 6, FOUR, 0)
    for study in studies:  # enhancing tumour is 900 bright with the agent and 430 without
        assert np.percentile(study.images["t1c"], 99.9) > 1.3 * np.percentile(study.images["t1"], 99.9)


def test_11_slicer(made: Callable[[str], Path]) -> None:
    check_set(inventory_of(made("11"))[0], 6, 6, ("flair",), 6)


def test_14_visits_of_2015(made: Callable[[str], Path]) -> None:
    inventory, studies = inventory_of(made("14"))
    check_set(inventory, 8, 4, FOUR, 8)
    for case, study in zip(inventory.cases, studies, strict=True):  # 3 is core that does not enhance
        values = sitk.GetArrayFromImage(sitk.ReadImage(str(files_of(case)["mask"])))
        np.testing.assert_array_equal(study.mask, np.array([0, 1, 2, 1, 3], np.uint8)[values])


def test_16_masks_carry_the_scans_own_frames(made: Callable[[str], Path], tmp_path: Path) -> None:
    rows = pipeline.detect(made("16"), tmp_path / "found", overlay=False, jobs=1).table
    assert len(rows) >= 10
    for source in sorted(made("16").glob("*.nii")):
        found = list((tmp_path / "found").rglob(f"{source.stem}_mask.nii.gz"))
        if not found:  # sheared beyond what can be straightened: said in skipped.csv
            continue
        scan, mask = nibabel.load(source), nibabel.load(found[0])
        assert mask.shape == scan.shape[:3]  # type: ignore[attr-defined]
        if "zero" not in source.stem:
            np.testing.assert_allclose(mask.affine, scan.affine, atol=1e-5)  # type: ignore[attr-defined]
        for frame in ("qform", "sform"):
            (one, code), (other, wanted) = (getattr(image, f"get_{frame}")(coded=True) for image in (mask, scan))
            assert code == wanted
            if code and "zero" not in source.stem:
                np.testing.assert_allclose(one, other, atol=1e-5)


def test_17_scaling_as_nibabel(made: Callable[[str], Path]) -> None:
    from synthoma.scans.volumes import read_volume

    for path in made("17").glob("*.nii"):
        wanted = np.asarray(nibabel.load(path).dataobj).T  # type: ignore[attr-defined]
        np.testing.assert_array_equal(read_volume(path).voxels, wanted)
    _, studies = inventory_of(made("17") / "study")
    assert studies[0].mask is not None
    assert studies[0].mask.any()


def test_18_copies_and_19_without_preamble(made: Callable[[str], Path]) -> None:
    inventory, studies = inventory_of(made("18"))
    assert [study.images["flair"].shape[0] for study in studies] == [20, 20]
    assert any("used once" in remark for remark in inventory.remarks)
    inventory, studies = inventory_of(made("19"))
    assert [case.modalities for case in inventory.cases] == [("flair",)]
    assert studies[0].images["flair"].shape[0] == 20


@pytest.mark.parametrize("kind", ["two_echoes", "two_times", "magnitude_phase", "shuffled"])
def test_20_enhanced(made: Callable[[str], Path], kind: str) -> None:
    inventory, studies = inventory_of(made("20") / kind)
    assert all(image.shape[0] == 20 for study in studies for image in study.images.values())
    assert len(inventory.cases) + len(inventory.skipped) == (1 if kind == "shuffled" else 2)


@pytest.mark.parametrize(
    "kind",
    [
        *("scaled85", "voc_palette", "rgb_regions", "binary255"),
        *("jpeg_halo", "uint16_binary", "overlay_background_grey"),
    ],
)
def test_21_masks_as_pictures(made: Callable[[str], Path], kind: str) -> None:
    _, truth = inventory_of(made("21") / "binary255")
    _, studies = inventory_of(made("21") / kind)
    for study, wanted in zip(studies, truth, strict=True):
        assert study.mask is not None
        assert wanted.mask is not None
        np.testing.assert_array_equal(study.mask > 0, wanted.mask > 0)


def test_21_inverted(made: Callable[[str], Path]) -> None:
    inventory = take_inventory(made("21") / "white_background")
    for case in inventory.cases:
        with pytest.raises(InputError, match="inverted"):
            case.load()


def test_22_augmented_copies_stay_together(made: Callable[[str], Path], tmp_path: Path) -> None:
    cohort = pipeline.prepare(made("22"), tmp_path / "c", size=64, duplicates=False)
    table = cohort.slices.assign(origin=cohort.slices["source"].str.replace(r"\.rf\..*", "", regex=True))
    assert (table.groupby("origin")["split"].nunique() == 1).all()
    assert table["group"].nunique() == table["origin"].nunique() == 20


def test_23_matlab_says_what_is_wanted(made: Callable[[str], Path]) -> None:
    with pytest.raises(InputError, match=r"cjdata\.image.*PNG"):
        take_inventory(made("23"))


@pytest.mark.parametrize("kind", ["analyze", "pair"])
def test_24_two_files(made: Callable[[str], Path], kind: str) -> None:
    inventory, studies = inventory_of(made("24") / kind)
    assert len(patients(inventory)) == len(studies) == 6
    for case, study in zip(inventory.cases, studies, strict=True):
        wanted = np.asarray(nibabel.load(case.sources[0]).dataobj).T  # type: ignore[attr-defined]
        np.testing.assert_array_equal(study.images["image"], wanted)


def test_26_archive_that_holds_itself(made: Callable[[str], Path], tmp_path: Path) -> None:
    cohort = pipeline.prepare(made("26") / "archive (2)", tmp_path / "c", size=48)
    assert (cohort.meta.cases, cohort.meta.patients, len(cohort)) == (6, 6, 30)
    assert any("twice" in remark for remark in cohort.meta.remarks)


def test_27_scores(made: Callable[[str], Path], tmp_path: Path) -> None:
    def mean(name: str) -> tuple[dict[str, float], dict[str, object]]:
        found = pipeline.score_masks(made("27") / name / "truth", made("27") / name / "pred", tmp_path / name)
        return {region: scores["dice"]["mean"]["value"] for region, scores in found["regions"].items()}, found

    for name in ("nnunet_brats21", "peds2024", "gli2024_post", "msd"):
        dice, found = mean(name)
        assert found["labels"]["convention"] == "brats", name  # type: ignore[index]
        assert dice["enhancing tumour"] > 0.99, name  # only oedema was spoilt
        assert dice["tumour core"] > 0.99, name  # of the children, two voxels differ by a cyst
        assert dice["whole tumour"] < 0.9, name
    dice, found = mean("msd_no_json")
    assert found["labels"]["convention"] == "labels"  # type: ignore[index]
    assert any("--convention" in str(remark) for remark in found["remarks"])  # type: ignore[union-attr]


def test_28_formats(made: Callable[[str], Path], tmp_path: Path) -> None:
    pictures = pipeline.detect(made("28") / "pictures", tmp_path / "a", jobs=1, overlay=False).table
    assert len(pictures) >= 6
    words = " ".join(pd.read_csv(tmp_path / "a" / "skipped.csv")["reason"])
    for name in ("BMP", "GIF", "WebP", "JPEG 2000", "NumPy"):
        assert name in words, name
    volumes = pipeline.detect(made("28") / "volumes", tmp_path / "b", jobs=1, overlay=False).table
    assert {"freesurfer", "big_endian", "permuted"} <= {name.split("_FLAIR")[0] for name in volumes["case"]}
    assert "unpack" in " ".join(pd.read_csv(tmp_path / "b" / "skipped.csv")["reason"])


def test_30_jitter(made: Callable[[str], Path]) -> None:
    outcomes: dict[str, int | str] = {}
    for folder in sorted(folder for folder in made("30").iterdir() if folder.is_dir()):
        try:
            inventory = take_inventory(folder, key=KEY)
            outcomes[folder.name] = inventory.cases[0].load().images["flair"].shape[0]
        except InputError as error:
            outcomes[folder.name] = str(error)
    assert any(isinstance(value, str) and "missing" in value for value in outcomes.values()), outcomes
    small = [value for name, value in outcomes.items() if "jitter" in name]
    assert small, outcomes
    assert all(isinstance(value, int) for value in small), outcomes


def test_34_lossless_jpeg(made: Callable[[str], Path], tmp_path: Path) -> None:
    _, studies = inventory_of(made("34"))
    assert len(studies) == 1
    assert next(iter(studies[0].images.values())).std() > 0


def test_35_cropped_and_turned_masks(made: Callable[[str], Path], tmp_path: Path) -> None:
    _, truth = inventory_of(made("35") / "rounded")
    for kind in ("cropped", "flipped"):
        _, studies = inventory_of(made("35") / kind)
        for study, wanted in zip(studies, truth, strict=True):
            np.testing.assert_array_equal(study.mask, wanted.mask)
        found = pipeline.score_masks(made("35") / "ev_truth", made("35") / f"ev_{kind}", tmp_path / kind)
        assert found["regions"]["whole tumour"]["dice"]["mean"]["value"] == 1.0
        assert found["skipped"] == []


def test_42_every_ending(made: Callable[[str], Path], tmp_path: Path) -> None:
    endings = sorted(folder for folder in made("42").iterdir() if folder.is_dir())
    assert len(endings) == 27
    for folder in endings:
        check_set(take_inventory(folder), 3, 3, ("flair",), 3)
        check_set(take_inventory(folder, masks_wanted=False), 3, 3, ("flair",), 3)
        found = pipeline.score_masks(folder, folder, tmp_path / folder.name)
        assert found["patients"] == 3, folder.name
        assert found["regions"]["whole tumour"]["dice"]["mean"]["value"] == 1.0


def test_sets_become_cohorts_whose_patients_are_whole(made: Callable[[str], Path], tmp_path: Path) -> None:
    for number in ("06", "13", "14", "33"):
        cohort = pipeline.prepare(made(number), tmp_path / number, size=32, duplicates=False, jobs=1)
        assert isinstance(cohort, Cohort)
        assert (cohort.slices.groupby("patient")["split"].nunique() == 1).all()
        assert cohort.meta.patients == len(set(cohort.slices["patient"]))
