"""Every public set and tool that is known here: patients, visits, sequences, masks and labels as their makers mean."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from synthoma.core.errors import InputError
from synthoma.scans.case import Case, Inventory
from synthoma.scans.layouts import take_inventory
from synthoma.scans.layouts.loading import load_files
from synthoma.scans.layouts.part_of_case import load_despite_mask
from synthoma.scans.names import canonical
from tests.scans.public_sets import PUBLIC_SETS, Expected, PublicSet
from tests.scans.writers import FLAT, blob, voxels, write_dicom, write_itk, write_nifti, write_picture

SHAPE = (5, 12, 16)

ASKED = frozenset({"HD-BET output", "CaPTk BraTSPipeline", "FeTS tool / RANO pipeline"})
"""Sets whose names do not say whose labels they hold, so that the user is asked."""


def write_set(root: Path, files: dict[str, str]) -> None:
    """Tiny files of these names and kinds of content."""
    for number, (name, kind) in enumerate(files.items()):
        what, _, rest = kind.partition(":")
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if what in ("json", "text"):
            path.write_text(rest or "text")
        elif what in ("picture", "picturemask", "rgbmask"):
            _write_picture(path, what, rest, number)
        elif what == "image4d":
            stack = np.stack([voxels(number + k, SHAPE).T for k in range(int(rest))], axis=-1)
            nibabel.save(nibabel.Nifti1Image(stack, np.diag([-1, -1, 3.0, 1])), path)
        else:
            _write_volume(path, _content(what, rest, number))


def _content(what: str, rest: str, number: int) -> np.ndarray:
    if what == "mask":  # no two alike
        mask = blob(SHAPE, [int(value) for value in rest.split(",") if int(value)][:5])
        mask[number % 5, 0, number % 16] = mask.max()
        return mask
    if what == "maskelsewhere":
        return blob((3, 9, 11), [int(value) for value in rest.split(",") if int(value)][:4])
    if what == "brainmask":
        return blob(SHAPE, (1,))
    if what == "probability":
        return (voxels(number, SHAPE) / 200).astype(np.float32)
    return voxels(number, SHAPE)


def _write_volume(path: Path, array: np.ndarray) -> None:
    name = path.name.lower()
    if name.endswith((".nii", ".nii.gz")):
        write_nifti(path, array, FLAT)
    elif name.endswith((".mgz", ".mgh")):
        nibabel.save(nibabel.MGHImage(array.T.astype(np.int16), np.diag([-1.0, 1, 1, 1])), path)
    elif name.endswith((".hdr", ".img")):
        nibabel.save(nibabel.AnalyzeImage(array.T.astype(np.int16), np.diag([1.0, 1, 1, 1])), path)
    else:
        write_itk(path, array, FLAT)


def _write_picture(path: Path, what: str, rest: str, number: int) -> None:
    if what == "picture":
        write_picture(
            path, voxels(number, (12, 16, 3) if path.suffix.lower().startswith(".tif") else (12, 16), np.uint8)
        )
    elif what == "picturemask":
        values = [int(value) for value in rest.split(",") if int(value)]
        mask = np.zeros((12, 16), np.uint8)
        for k, value in enumerate(values[:3]):
            mask[2 + 2 * k : 4 + 2 * k, 3:9] = value
        write_picture(path, mask)
    else:
        mask = np.zeros((12, 16, 3), np.uint8)
        mask[3:6, 3:9] = (0, 128, 0)
        write_picture(path, mask)


def is_files(one: PublicSet) -> bool:
    """Whether a set consists of volumes, pictures and texts only."""
    return not any(
        kind.partition(":")[0] in ("dicom", "dicomseg", "rtstruct", "matfile") for kind in one.files.values()
    )


def files_of(case: Case) -> tuple[Any, ...]:
    """What the case's loader is given."""
    assert isinstance(case.load, partial)
    loader = case.load.args[0] if case.load.func is load_despite_mask else case.load
    assert loader.func is load_files
    return loader.args


def read_as(inventory: Inventory, root: Path) -> dict[frozenset[tuple[str, str]], Case]:
    """Cases by their sequences and files."""
    found = {}
    for case in inventory.cases:
        modalities, _, _, *rest = files_of(case)
        channels = dict(rest[0]) if rest else {}
        pairs = {
            (name, paths[0].relative_to(root).as_posix() + (f"#{channels[name]}" if name in channels else ""))
            for name, paths in modalities
        }
        found[frozenset(pairs)] = case
    return found


def mask_of(case: Case, root: Path) -> str | None:
    masks = files_of(case)[1]
    return masks[0].relative_to(root).as_posix() if masks else None


def partitions(pairs: Iterable[tuple[object, object]]) -> set[frozenset[object]]:
    """Things put together by what they have in common."""
    groups: dict[object, set[object]] = {}
    for key, thing in pairs:
        groups.setdefault(key, set()).add(thing)
    return {frozenset(group) for group in groups.values()}


@pytest.mark.parametrize("one", [one for one in PUBLIC_SETS if is_files(one)], ids=lambda one: one.name)
def test_sets_of_files(one: PublicSet, tmp_path: Path) -> None:
    root = tmp_path / "set"
    write_set(root, dict(one.files))
    if not one.cases:
        with pytest.raises(InputError):
            take_inventory(root, masks_wanted=False)
        return
    inventory = take_inventory(root, key=b"a key for tests only", masks_wanted=False)
    if inventory.layout == "lgg":
        assert {case.patient for case in inventory.cases} == {case.patient for case in one.cases}
        return
    found = read_as(inventory, root)
    wanted = {frozenset(case.sequences.items()): case for case in one.cases}
    assert set(found) == set(wanted)
    for files, expected in wanted.items():
        case = found[files]
        assert mask_of(case, root) == expected.mask, files
        check_who(case, expected)
    together = partitions((case.patient or files, files) for files, case in found.items())
    assert together == partitions((case.patient or files, files) for files, case in wanted.items())
    used = {source.relative_to(root).as_posix() for case in inventory.cases for source in case.sources}
    assert not used & set(one.aside)
    if one.labels is not None:
        meant = {tuple(sorted(d.convention.values.items())) for d in inventory.decisions if d.convention is not None}
        stored = {int(v) for kind in one.files.values() if kind.startswith("mask:") for v in kind[5:].split(",")}
        for values in meant:
            for value, meaning in (dict(values) or {1: "tumour"}).items():
                if value in one.labels and value in stored:
                    assert one.labels[value] == meaning, (value, inventory.decisions)
        asked = [decision for decision in inventory.decisions if decision.convention is None]
        assert not asked or one.name in ASKED, asked


def check_who(case: Case, expected: Expected) -> None:
    """Patient and class; a patient's name may be spelt with other separators, or stand behind its class or site."""
    if expected.patient is not None:
        assert case.patient is not None, case
        got, wanted = (canonical(name.replace("/", "-")) for name in (case.patient, expected.patient))
        assert got == wanted or got.endswith("-" + wanted), (got, wanted)
    if expected.label is not None:
        assert (case.label or "").lower() == expected.label.lower()


def _beside(path: str, case: Expected) -> bool:
    return any(other.startswith(path.rsplit("/", 1)[0]) for other in case.sequences.values())


def _dicom_sets() -> list[PublicSet]:
    return [one for one in PUBLIC_SETS if any(kind.startswith("dicom:") for kind in one.files.values())]


@pytest.mark.parametrize("one", _dicom_sets(), ids=lambda one: one.name)
def test_sets_of_dicom(one: PublicSet, tmp_path: Path) -> None:
    """Series by their descriptions, or their folders; outlines are tested in ``test_dicom_masks``."""
    root = tmp_path / "set"
    owner = {path: case for case in one.cases for path in case.sequences.values()}
    study = {id(case): generate_uid() for case in one.cases}
    frame = {id(case): generate_uid() for case in one.cases}
    for number, (path, kind) in enumerate(one.files.items()):
        what, _, description = kind.partition(":")
        if what != "dicom":
            continue
        case = owner.get(path) or next(case for case in one.cases if _beside(path, case))

        def named(dataset: Dataset, index: int, patient: str = str(case.patient)) -> None:
            dataset.PatientID = patient

        write_dicom(
            root / path, voxels(number, SHAPE), FLAT, description=description, study=study[id(case)],
            frame=frame[id(case)], change=named,
        )  # fmt: skip
    inventory = take_inventory(root, key=b"a key for tests only", masks_wanted=False)
    assert inventory.layout == "dicom"
    found = {
        frozenset(path.parent.relative_to(root).as_posix() for path in case.sources): case for case in inventory.cases
    }
    wanted = {frozenset(case.sequences.values()): case for case in one.cases}
    assert set(found) == set(wanted)
    for files, expected in wanted.items():
        assert set(found[files].modalities) == set(expected.sequences)
    together = partitions((case.patient, files) for files, case in found.items())
    assert together == partitions((case.patient, files) for files, case in wanted.items())
