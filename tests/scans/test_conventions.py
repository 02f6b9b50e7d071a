"""What mask values mean: decided once from all masks and names, read from dataset.json, forced, or refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from synthoma.core.errors import ConfigError, InputError
from synthoma.core.types import REGIONS, WHOLE_TUMOUR
from synthoma.scans.convention_words import described, parsed
from synthoma.scans.conventions import CONVENTIONS, Decision, decide, hinted, labelled
from synthoma.scans.layouts.meaning import _by_place
from tests.scans.writers import FLAT, write_nifti


def test_one_mask_does_not_decide_for_the_others() -> None:
    # Oedema alone in one patient, regions in others: 2 is oedema in all.
    found = decide([(2,), (1, 2, 4), (2, 4)])
    assert found.convention is not None
    assert dict(found.convention.values) == {1: "core", 2: "oedema", 4: "enhancing"}


@pytest.mark.parametrize(
    ("masks", "hint", "name"),
    [
        ([(1,), (1,)], None, "whole-tumour"),
        ([(255,)], None, "whole-tumour"),
        ([(1,), (2,), (3,)], None, "whole-tumour"),  # one value a mask: types, as likely as regions
        ([(1, 2, 3)], None, None),
        ([(1, 2)], None, None),
        ([(1, 2, 3, 4)], None, None),
        ([(1, 2, 3, 4, 5)], None, None),
        ([(1, 2, 3, 4)], "peds", "peds"),
        ([(1, 2, 3)], "peds", None),
        ([(1, 2, 3)], "brats-2023", "brats-2023"),
        ([(1, 2, 3), (2, 3, 4)], "brats-2023", "post-treatment"),
        ([(1, 2, 4)], "brats-2023", None),
        ([(1, 2, 3, 4)], "brats-2012", "brats-2012"),
        ([(1, 2, 3)], "brats-2017", None),  # BraTS since 2023, or nnU-Net's order
        ([(1, 2, 3, 4)], "brats-2017", None),
        ([(1, 2, 4), (1, 2), (1, 4), (1, 7)], "brats-2017", "brats-2017"),  # one odd mask stops nobody
        ([(1, 2, 4), (1, 2), (1, 4), (1, 7)], None, None),  # without a name all values are evidence
        ([(1,), (1,)], "brats-2017", "whole-tumour"),
        ([()], None, "whole-tumour"),
    ],
)
def test_decisions(masks: list[tuple[int, ...]], hint: str | None, name: str | None) -> None:
    found = decide(masks, hint)
    assert (found.convention.name if found.convention else None) == name
    if name is None:
        assert found.choices
        words = str(found.refusal())
        assert "--convention" in words
        assert all(str(value) in words for value in found.values)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("BraTS-PED-00001-000/BraTS-PED-00001-000-seg.nii.gz", "peds"),
        ("BraTS2023-PED/BraTS-PED-00001-000/BraTS-PED-00001-000-seg.nii.gz", "brats-2023"),
        ("BraTS-GLI-02001-101/BraTS-GLI-02001-101-seg.nii.gz", "post-treatment"),
        ("BraTS-GLI-00001-001/BraTS-GLI-00001-001-seg.nii.gz", "brats-2023"),
        ("BraTS-MEN-RT-0001-1_gtv.nii.gz", "whole-tumour"),
        ("UCSF-PDGM-0004_tumor_segmentation.nii.gz", "brats-2017"),
        ("VSD.Brain_3more.XX.O.OT.54517.mha", "brats-2012"),
        ("BRATS_001.nii.gz", None),
        ("Patient1_seg.nii.gz", None),
    ],
)
def test_names_speak(path: str, name: str | None) -> None:
    assert hinted(path) == name


@pytest.mark.parametrize(
    "labels",
    [
        {"0": "background", "1": "edema", "2": "non-enhancing tumor", "3": "enhancing tumour"},
        {"background": 0, "edema": 1, "non-enhancing tumor": 2, "enhancing tumor": 3},
        {"background": 0, "whole tumor": [1, 2, 3], "tumor core": [2, 3], "enhancing tumor": [3]},
        {"background": 0, "whole tumor": [1, 2, 3], "enhancing tumor": 3, "tumor core": [2, 3]},
    ],
)
def test_dataset_json_in_all_three_forms(labels: dict[str, object]) -> None:
    found = described(json.dumps({"channel_names": {"1": "T1", "0": "FLAIR"}, "labels": labels}))
    assert found is not None
    assert found.channels == ("FLAIR", "T1")
    assert found.convention is not None
    assert dict(found.convention.values) == {1: "oedema", 2: "core", 3: "enhancing"}


def test_dataset_json_that_is_none_or_unclear() -> None:
    for damaged in ("not json", "[" * 100000, '{"labels": {"edema": 1}'):
        found = described(damaged)
        assert found is not None  # it is there: what it says is not known, which is not the same as nothing
        assert (found.convention, len(found.unclear)) == (None, 1)
    for labels in ({"tumor": 1, "edema": 2}, {"background": 1, "normal brain": 2}):
        found = described(json.dumps({"labels": labels}))
        assert found is not None
        assert (found.convention, len(found.unclear)) == (None, 1)
    for name in ("brain tumor", "brain metastasis", "unhealthy: lesion"):
        found = described(json.dumps({"labels": {"background": 0, name: "1"}}))
        assert found is not None
        assert found.convention is not None
        assert labelled(np.array([[[0, 1]]]), found.convention)[0].ravel().tolist() == [0, 1]
    for labels in ({"tumor": [1, 2]}, {"whole tumor": [1, 2], "resection cavity": 4}):  # no part is named
        found = described(json.dumps({"labels": {"background": 0, **labels}}))
        assert found is not None
        assert found.convention is not None
        mask, meant = labelled(np.array([[[0, 1, 2]]]), found.convention)
        assert mask.ravel().tolist() == [0, 1, 1]
        assert meant[1] == "tumour"
    assert described("[1, 2]") is None
    assert described('{"name": "x"}') is None
    found = described('{"labels": {"background": 0, "white matter": 1, "tumor": 2}}')
    assert found is not None
    assert (found.convention, found.unclear) == (None, ("white matter",))


def test_what_the_user_says() -> None:
    assert parsed("msd") is CONVENTIONS["msd"]
    assert dict(parsed("1=oedema, 2=core,4=enhancing,#ff0000=cavity").values) == {
        1: "oedema", 2: "core", 4: "enhancing", 0xFF0000: "cavity",
    }  # fmt: skip
    for wrong in ("brats", "1=oedema,1=core", "x=core", "1=liver", "0=core", "1=tumour,2=core"):
        with pytest.raises(ConfigError):
            parsed(wrong)


def test_values_get_their_new_places() -> None:
    stored = np.array([[[0, 1, 2, 3, 4]]])
    peds, names = labelled(stored, CONVENTIONS["peds"])
    assert (peds.ravel().tolist(), names) == ([0, 3, 1, 1, 2], REGIONS)
    post, names = labelled(stored, CONVENTIONS["post-treatment"])
    assert (post.ravel().tolist(), names) == ([0, 1, 2, 3, 4], {**REGIONS, 4: "cavity"})
    whole, names = labelled(stored, CONVENTIONS["whole-tumour"])
    assert (whole.ravel().tolist(), names) == ([0, 1, 1, 1, 1], WHOLE_TUMOUR)
    cochlea, names = labelled(np.array([[[0, 1, 2]]]), CONVENTIONS["crossmoda"])
    assert (cochlea.ravel().tolist(), names) == ([0, 1, 0], WHOLE_TUMOUR)
    with pytest.raises(InputError, match="0, 1, 2, 3, 4"):
        labelled(stored, CONVENTIONS["brats-2017"])
    with pytest.raises(InputError, match="whole numbers"):
        labelled(np.array([[[0, 0.5]]]), CONVENTIONS["msd"])
    for strange in (np.nan, np.inf):
        with pytest.raises(InputError, match="whole numbers"):
            labelled(np.array([[[0, strange, 1]]]), CONVENTIONS["msd"])


@pytest.mark.parametrize("slices", [1, 2, 40])
def test_oedema_surrounds_the_rest_however_few_slices_there_are(tmp_path: Path, slices: int) -> None:
    """Value 1 all around 2, and 2 with the larger area: what lies outside decides."""
    for number in range(3):
        mask = np.zeros((slices, 64, 64), np.uint8)
        depth = slice(None) if slices < 3 else slice(8, 32)
        mask[depth, 16:48, 16:48] = 1
        mask[depth if slices < 3 else slice(9, 31), 18:46, 18:46] = 2
        mask[depth if slices < 3 else slice(12, 28), 24:30, 24:30] = 3
        write_nifti(tmp_path / f"{number}.nii.gz", mask, FLAT)
    doubt = Decision(None, "doubt", values=(1, 2, 3))
    found = _by_place([[tmp_path / f"{number}.nii.gz"] for number in range(3)], doubt)
    assert found.convention == CONVENTIONS["msd"]


def test_merging_needs_no_meaning_where_all_fit_alike() -> None:
    assert decide([(1, 2, 3)]).merges
    assert not decide([(1, 2, 3, 4)]).merges  # 4 may be a cavity
