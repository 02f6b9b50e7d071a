"""Names put together at random from the vocabulary: no two patients joined, none split, no mask packed as an image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthoma.scans.paths import Source
from synthoma.scans.studies import sort_into_studies

SPELLINGS = {
    "t1": [
        "T1", "t1", "T1w", "t1n", "T1pre", "T1_pre", "t1-native", "T1_noncontrast", "MPRAGE", "T1-w",
        "3DT1", "T1_vor_KM", "T1_no_gad", "T1_wo_contrast", "T1_sans_gado", "T1_to_FLAIR", "T1_in_T1c",
    ],
    "t1c": [
        "T1c", "t1ce", "T1Gd", "T1-CE", "T1wCE", "T1GD", "t1post", "T1_post", "CT1", "T1_contrast", "t1km", "T1_KM",
        "ce-gadolinium_T1w", "T1+C", "t1_gado", "T1wPost", "postcontrast_T1", "T1_nach_KM",
        "T1_apres_injection", "T1_con_mdc", "T1c_to_SRI",
    ],
    "t2": ["T2", "t2w", "T2w", "T2-w", "t2_tse", "T2_to_FLAIR", "T2_reg_T1c"],
    "flair": ["FLAIR", "flair", "t2f", "T2_FLAIR", "fla", "T2-Flair", "dark-fluid", "Flair", "FLAIR_in_T1c"],
}  # fmt: skip
MASKS = [
    "seg", "mask", "tumor_mask", "tumorMask", "label", "dseg", "gt", "groundtruth", "ROI", "lesion", "segmentation",
    "tumor_segmentation", "label-lesion_mask", "seg_manual", "gtv", "voi", "annotation", "Segmentation-label", "truth",
]  # fmt: skip
OTHERS = ["ADC", "DWI", "SWI", "brain_mask", "brainmask", "bet_mask", "prob", "CBF", "asl", "FA", "tumor_prob"]
ENDINGS = ["", "_bet", "_brain", "_reg", "_n4"]
STYLES = [
    [f"Patient{n:03d}" for n in range(1, 9)], [f"sub-{n:02d}" for n in range(1, 9)], [f"Pat{n}" for n in range(1, 9)],
    [f"TCGA-02-{n:04d}" for n in range(1, 9)], [f"UCSF-PDGM-{n:04d}" for n in range(1, 9)],
    [f"BraTS-GLI-{n:05d}" for n in range(1, 9)], [f"case_{n}" for n in range(1, 9)], [f"{n:04d}" for n in range(1, 9)],
    ["Mueller", "Schmidt", "Weber", "Fischer", "Keller", "Huber", "Bauer", "Wolf"],
    [f"study{n:02d}x" for n in range(11, 19)], ["AB_12", "CD_13", "EF_14", "GH_15", "SS_16", "MD_17", "GT_18", "CT_19"],
    [f"EGD-{n:04d}" for n in range(1, 9)], [f"P{n:02d}" for n in range(1, 9)], [f"glioma_{n:03d}" for n in range(1, 9)],
]  # fmt: skip
VISITS = [
    ["ses-1", "ses-2", "ses-3"], ["Timepoint_1", "Timepoint_2", "Timepoint_3"], ["week-000", "week-012", "week-044"],
    ["2010-01-02", "2010-05-07", "2011-12-30"], ["baseline", "followup", "followup2"], ["tp1", "tp2", "tp3"],
    ["visit_1", "visit_2", "visit_3"], ["preop", "postop", "fu1"],
]  # fmt: skip
PLACES = [(), ("data",), ("train",), ("Dataset", "images"), ("nifti",), ("MRI", "Training")]


@dataclass(repr=False)
class Made:
    """Files with what they are."""

    sources: list[Source] = field(default_factory=list)
    patient: dict[int, str] = field(default_factory=dict)
    visit: dict[int, str] = field(default_factory=dict)
    kind: dict[int, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return "\n".join("/".join((*one.folders, one.stem)) for one in self.sources)

    def add(self, folders: tuple[str, ...], stem: str, patient: str, visit: str, kind: str) -> None:
        index = len(self.sources)
        self.sources.append(Source(folders, stem, index))
        self.patient[index], self.visit[index], self.kind[index] = patient, visit, kind


Choose = Callable[[Sequence[Any]], Any]


@st.composite
def folders_of_scans(draw: st.DrawFn) -> Made:
    """A folder of scans at random."""
    return arranged(lambda several: draw(st.sampled_from(several)))


def arranged(choose: Choose) -> Made:
    """A folder as one tool would arrange it."""
    people = choose(STYLES)[: choose(range(2, 7))]
    visits = choose(VISITS)[: choose(range(1, 4))] if choose([True, False]) else [""]
    words = {name: choose(several) for name, several in SPELLINGS.items()}
    mask, other, ending = (choose(several) for several in (MASKS, OTHERS, ENDINGS))
    joint = choose(["_", "-"])
    place = choose(PLACES)
    arrangement = choose(["flat", "patient", "visit", "bare", "sequence", "prefix", "masks apart"])
    kinds = [kind for kind in sorted(SPELLINGS) if choose([True, True, False])] or ["flair"]
    with_mask, with_other = choose([True, False]), choose([True, False])
    made = Made()
    for patient in people:
        for visit in visits:
            files = [(words[kind] + ending, kind) for kind in kinds]
            files += [(mask, "mask")] * with_mask + [(other, "other")] * with_other
            for word, kind in files:
                who = joint.join(piece for piece in (patient, visit) if piece)
                inside = (*place, patient, *([visit] if visit else []))
                if arrangement == "flat":
                    made.add(place, f"{who}{joint}{word}", patient, visit, kind)
                elif arrangement == "patient":
                    made.add((*place, patient), f"{who}{joint}{word}", patient, visit, kind)
                elif arrangement == "visit":
                    made.add(inside, f"{who}{joint}{word}", patient, visit, kind)
                elif arrangement == "bare":
                    made.add(inside, word, patient, visit, kind)
                elif arrangement == "sequence":
                    made.add((*inside, word), word, patient, visit, kind)
                elif arrangement == "prefix":
                    made.add(place, f"{word}{joint}{who}" if kind in SPELLINGS else f"{who}{joint}{word}",
                             patient, visit, kind)  # fmt: skip
                else:
                    home = (*place, "labelsTr" if kind == "mask" else "imagesTr")
                    made.add(home, who if kind == "mask" else f"{who}{joint}{word}", patient, visit, kind)
    return made


@pytest.mark.slow
@settings(max_examples=600)
@given(folders_of_scans())
def test_patients_visits_and_masks(made: Made) -> None:
    check(made)


def check(made: Made) -> None:
    """Patients are whole and apart, masks meet their images, everything is used or listed."""
    studies, loose = sort_into_studies(made.sources, lambda source: "image")
    used = {source.index for study in studies for source in (*study.images.values(), *study.masks)}
    listed = {source.index for study in studies for source, _ in study.aside} | {source.index for source, _ in loose}
    assert used | listed == set(made.kind)
    assert not used & listed
    names: dict[str, set[str | None]] = {}
    owners: dict[str | None, set[str]] = {}
    for study in studies:
        for sequence, source in study.images.items():
            assert made.kind[source.index] not in ("mask", "other"), source
            assert sequence == made.kind[source.index], source
            names.setdefault(made.patient[source.index], set()).add(study.patient)
            owners.setdefault(study.patient, set()).add(made.patient[source.index])
        for source in study.masks:
            assert made.kind[source.index] == "mask", source
            image = next(iter(study.images.values()))
            assert (made.patient[source.index], made.visit[source.index]) == (
                made.patient[image.index], made.visit[image.index]
            )  # fmt: skip
    assert all(len(several) == 1 for several in names.values()), names  # nobody split
    assert None not in owners
    assert all(len(several) == 1 for several in owners.values()), owners  # nobody joined
    images = {index for index, kind in made.kind.items() if kind in SPELLINGS}
    assert images <= used
    assert {index for index, kind in made.kind.items() if kind == "mask"} <= used
