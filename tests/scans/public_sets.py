"""File and folder names of public brain-tumour sets and tools, and how they must be read.

The ids follow the real patterns; no file of any set is copied. `source` says where the names were found:
``repository:path`` or ``file N`` is public code that reads the set, ``case NN`` a report of an input of that kind.

Conventions of this list:

- `Expected.patient` and `Expected.visit` are the letters of the name itself. Where the name holds a visit, it is given
  even if the patient has only one; where it holds none, it is None.
- A DICOM entry names the folder of one series; a `#2` after a 4D file means its third channel.
- Everything that is in `files` is used by a case, listed in `aside`, or a text that nobody reads as an image.
- Several cases with the same patient and visit are pictures of one study.

Content kinds: ``image``, ``image4d:N`` (N volumes in one file), ``mask:VALUES``, ``maskelsewhere:VALUES`` (on another
grid), ``brainmask`` (any mask that shows no tumour), ``probability``, ``json:TEXT``, ``text``, ``dicom:DESCRIPTION``,
``dicomseg:SEGMENTS``, ``rtstruct:STRUCTURES``, ``matfile:LABEL,PID``, ``picture``, ``picturemask:VALUES``, ``rgbmask``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Expected:
    """One case: a visit of a patient, or one picture."""

    patient: str | None
    visit: str | None
    sequences: Mapping[str, str]
    mask: str | None
    label: str | None = None
    why_no_mask: str = ""  # e.g. "ambiguous: must be listed and asked"


@dataclass(frozen=True)
class PublicSet:
    """One set or tool."""

    name: str
    source: str
    files: Mapping[str, str]
    cases: tuple[Expected, ...]
    labels: Mapping[int, str] | None
    aside: tuple[str, ...] = ()
    confirmed: str = "names and labels"  # or "names", "not confirmed": what `source` bears out
    note: str = ""


AMBIGUOUS = "ambiguous: must be listed and asked"

BRATS_TO_2016 = {1: "core", 2: "oedema", 3: "core", 4: "enhancing"}
BRATS_TO_2021 = {1: "core", 2: "oedema", 4: "enhancing"}
BRATS_SINCE_2023 = {1: "core", 2: "oedema", 3: "enhancing"}
POST_TREATMENT = {1: "core", 2: "oedema", 3: "enhancing", 4: "cavity"}
PEDS_2024 = {1: "enhancing", 2: "core", 3: "core", 4: "oedema"}
MSD = {1: "oedema", 2: "core", 3: "enhancing"}
HD_GLIO = {1: "oedema", 2: "enhancing"}
ONE = {1: "tumour"}


def _values(labels: Mapping[int, str]) -> str:
    return "mask:" + ",".join(str(value) for value in (0, *sorted(labels)))


def _case(
    patient: str | None,
    visit: str | None,
    sequences: Mapping[str, str],
    mask: str | None,
    label: str | None = None,
    why_no_mask: str = "",
) -> Expected:
    return Expected(patient, visit, dict(sequences), mask, label, why_no_mask)


def _files(cases: Iterable[Expected], mask: str, image: str = "image") -> dict[str, str]:
    """Content kinds of all files that the cases use."""
    files: dict[str, str] = {}
    for case in cases:
        for path in case.sequences.values():
            files[path.partition("#")[0]] = image
        if case.mask is not None:
            files[case.mask] = mask
    return files


def _set(
    name: str,
    source: str,
    cases: Iterable[Expected],
    labels: Mapping[int, str] | None,
    *,
    mask: str = "",
    image: str = "image",
    aside: Mapping[str, str] | None = None,
    texts: Mapping[str, str] | None = None,
    confirmed: str = "names and labels",
    note: str = "",
) -> PublicSet:
    """Set whose files are those of its cases, those left aside, and texts."""
    cases = tuple(cases)
    files = _files(cases, mask or (_values(labels) if labels else "mask:0,1"), image) | dict(aside or {})
    return PublicSet(
        name, source, files | dict(texts or {}), cases, labels, tuple(sorted(aside or {})), confirmed, note
    )


def _named(
    folder: str, stem: str, tokens: Mapping[str, str], patient: str | None, visit: str | None, seg: str | None,
    *, joint: str = "_", end: str = ".nii.gz", label: str | None = None,
) -> Expected:  # fmt: skip
    """Case of files FOLDER/STEM_TOKEN.nii.gz."""
    paths = {sequence: f"{folder}/{stem}{joint}{token}{end}" for sequence, token in tokens.items()}
    return _case(patient, visit, paths, f"{folder}/{stem}{joint}{seg}{end}" if seg else None, label)


OLD_TOKENS = {"t1": "t1", "t1c": "t1ce", "t2": "t2", "flair": "flair"}
NEW_TOKENS = {"t1": "t1n", "t1c": "t1c", "t2": "t2w", "flair": "t2f"}
GD_TOKENS = {"t1": "T1", "t1c": "T1GD", "t2": "T2", "flair": "FLAIR"}


# --- BraTS challenges -------------------------------------------------------------------------------------------------


def _vsd(folder: str, patient: str, visit: str | None, first: int, truth: str, label: str) -> Expected:
    tokens = {"flair": "MR_Flair", "t1": "MR_T1", "t1c": "MR_T1c", "t2": "MR_T2"}
    paths = {}
    for step, (sequence, token) in enumerate(tokens.items()):
        stem = f"VSD.Brain.XX.O.{token}.{first + step}"
        paths[sequence] = f"{folder}/{stem}/{stem}.mha"
    stem = truth.format(first + 4)
    return _case(patient, visit, paths, f"{folder}/{stem}/{stem}.mha", label)


_2012 = [
    _vsd(f"Image_Data/{grade}/{number:04d}", f"{grade}_{number:04d}", None, 684 + 7 * k,
         "VSD.Brain_3more.XX.XX.OT.{}", grade)
    for k, (grade, number) in enumerate((("HG", 1), ("HG", 2), ("LG", 1)))
]  # fmt: skip
_2015 = [
    _vsd(f"BRATS2015_Training/HGG/brats_tcia_pat{number}_{day:04d}", f"brats_tcia_pat{number}", f"{day:04d}",
         36200 + 7 * k, "VSD.Brain_3more.XX.O.OT.{}", "HGG")
    for k, (number, day) in enumerate(((399, 217), (399, 417), (118, 1)))
] + [
    _vsd("BRATS2015_Training/HGG/brats_2013_pat0008_1", "brats_2013_pat0008", "1", 54554,
         "VSD.Brain_3more.XX.XX.OT.{}", "HGG"),
    _vsd("BRATS2015_Training/LGG/brats_2013_pat0012_1", "brats_2013_pat0012", "1", 54617,
         "VSD.Brain_3more.XX.O.OT.{}", "LGG"),
]  # fmt: skip
_2018 = [
    _named(f"{grade}/{name}", name, OLD_TOKENS, name, None, "seg", label=grade)
    for grade, name in (
        ("HGG", "Brats18_2013_2_1"), ("HGG", "Brats18_CBICA_AAB_1"), ("HGG", "Brats18_TCIA01_131_1"),
        ("LGG", "Brats18_TCIA09_141_1"),
    )
]  # fmt: skip
_2019 = [
    _named(f"MICCAI_BraTS_2019_Data_Training/{grade}/{name}", name, OLD_TOKENS, name, None, "seg", label=grade)
    for grade, name in (("HGG", "BraTS19_CBICA_AAB_1"), ("LGG", "BraTS19_TMC_09043_1"))
]
_2020_ROOT = "BraTS2020_TrainingData/MICCAI_BraTS2020_TrainingData"
_2020 = [
    _named(f"{_2020_ROOT}/{name}", name, OLD_TOKENS, name, None, "seg", end=".nii")
    for name in ("BraTS20_Training_001", "BraTS20_Training_002")
]
_ODD = _named(f"{_2020_ROOT}/BraTS20_Training_355", "BraTS20_Training_355", OLD_TOKENS, "BraTS20_Training_355", None,
              None, end=".nii")  # fmt: skip
_2020.append(_case(_ODD.patient, None, _ODD.sequences, f"{_2020_ROOT}/BraTS20_Training_355/W39_1998.09.19_Segm.nii"))
_2021 = [_named(name, name, OLD_TOKENS, name, None, "seg") for name in ("BraTS2021_00000", "BraTS2021_00002")]


def _hyphen(folder: str, kind: str, ids: Iterable[tuple[str, str]], seg: str | None = "seg") -> list[Expected]:
    """BraTS since 2023: BraTS-GLI-00000-000/BraTS-GLI-00000-000-t1n.nii.gz; the last number is the visit."""
    prefix = f"{folder}/" if folder else ""
    return [
        _named(f"{prefix}{kind}-{patient}-{visit}", f"{kind}-{patient}-{visit}", NEW_TOKENS, f"{kind}-{patient}",
               visit, seg, joint="-")
        for patient, visit in ids
    ]  # fmt: skip


_FETS = [
    _named(f"MICCAI_FeTS2022_TrainingData/{name}", name, OLD_TOKENS, name, None, "seg")
    for name in ("FeTS2022_00000", "FeTS2022_00002")
]


def _inpainting() -> PublicSet:
    # What is to be painted, not what is ill: mask = mask-healthy + mask-unhealthy, and the last one is a tumour made
    # larger. None of the three is the outline of a tumour.
    cases, aside = [], {}
    for patient, visit in (("BraTS-GLI-00000", "000"), ("BraTS-GLI-00002", "000")):
        stem = f"{patient}-{visit}"
        folder = f"ASNR-MICCAI-BraTS2023-Local-Synthesis-Challenge-Training/{stem}"
        cases.append(_case(patient, visit, {"t1": f"{folder}/{stem}-t1n.nii.gz"}, None, None, "masks to paint over"))
        aside[f"{folder}/{stem}-t1n-voided.nii.gz"] = "image"
        for name in ("mask", "mask-healthy", "mask-unhealthy"):
            aside[f"{folder}/{stem}-{name}.nii.gz"] = "mask:0,1"
    return _set("BraTS 2023 inpainting (local synthesis)", "file 56882003555; file 12541463576; file 42538947846",
                cases, None, aside=aside)  # fmt: skip


def _met_2025() -> PublicSet:
    root = "MICCAI-LH-BraTS2025-MET-Challenge-Training"
    cases = _hyphen(root, "BraTS-MET", (("00001", "000"),))
    cases += _hyphen(f"{root}/UCSD - Training", "BraTS-MET", (("00406", "000"), ("00759", "000"), ("00759", "001")))
    # Two masks were published anew, in a folder of their own; they replace those beside the images.
    wrong = cases[-1]
    new = f"MICCAI-LH-BraTS2025-MET-Challenge-corrected-labels/{wrong.patient}-{wrong.visit}-seg.nii.gz"
    cases[-1] = _case(wrong.patient, wrong.visit, wrong.sequences, new)
    return _set(
        "BraTS 2025 MET", "file 55366856063 (4 = RC in 167 UCSD cases); file 56194941555, file 60449226879; "
        "file 40363093", cases, POST_TREATMENT, aside={str(wrong.mask): "mask:0,1,2,3,8"},
        note="a few real masks hold a stray 6 or 8",
    )  # fmt: skip


BRATS = [
    _set(
        "BraTS 2012/2013 (BRATS-2)", "file 435668804; src/synthoma/data/layouts/brats2.py (2 real patients)",
        _2012, BRATS_TO_2016,
    ),
    _set("BraTS 2015", "file 39032912202, file 12507145147, file 17850799838; case 14", _2015, BRATS_TO_2016,
         note="brats_2013_patNNNN_1 keeps its truth in ...XX.XX.OT or ...XX.O.OT"),
    _set("BraTS 2017/2018", "openmedlab/Awesome-Medical-Dataset:resources/BraTS18.md", _2018, BRATS_TO_2021,
         texts={"survival_data.csv": "text"}),
    _set("BraTS 2019", "file 40659670943, file 1859658392 (BraTS19_TMC_09043_1)", _2019, BRATS_TO_2021,
         texts={"MICCAI_BraTS_2019_Data_Training/name_mapping.csv": "text"}),
    _set(
        "BraTS 2020 (with the odd W39 mask)", "file 15771068700, file 59201508345, file 67263314611",
        _2020, BRATS_TO_2021,
        texts={f"{_2020_ROOT}/name_mapping.csv": "text", f"{_2020_ROOT}/survival_info.csv": "text"},
    ),
    _set("BraTS 2021", "openmedlab/Awesome-Medical-Dataset:resources/BraTS2021.md; file 71449478901", _2021,
         BRATS_TO_2021),
    _set("FeTS 2022", "file 20256724591; file 58553827946", _FETS, BRATS_TO_2021,
         texts={"MICCAI_FeTS2022_TrainingData/partitioning_1.csv": "text"}),
    _set(
        "BraTS 2023 GLI", "Madovah/IRM-segemntation-with-BRATZ2023-2D:README.md",
        _hyphen("ASNR-MICCAI-BraTS2023-GLI-Challenge-TrainingData", "BraTS-GLI", (("00000", "000"), ("00002", "000"),
                                                                                ("00002", "001"))),
        BRATS_SINCE_2023,
    ),
    _set(
        "BraTS 2023 MEN", "openmedlab/Awesome-Medical-Dataset:resources/BraTS2023-MEN.md; file 40363093",
        _hyphen("ASNR-MICCAI-BraTS2023-MEN-Challenge-TrainingData", "BraTS-MEN", (("00004", "000"), ("00008", "000"))),
        BRATS_SINCE_2023,
    ),
    _set(
        "BraTS 2023/2024 MET", "openmedlab/Awesome-Medical-Dataset:resources/BraTS2023-MET.md; file 40363093",
        _hyphen("ASNR-MICCAI-BraTS2023-MET-Challenge-TrainingData", "BraTS-MET",
                (("00002", "000"), ("00759", "000"), ("00759", "001"))),
        BRATS_SINCE_2023,
    ),
    _set(
        # Not like 2024, though the names are the same: 1 non-enhancing core, 2 oedema, 3 enhancing.
        "BraTS 2023 PED", "openmedlab/Awesome-Medical-Dataset:resources/BraTS2023-PED.md; shaohao011/BrainMVP#8",
        _hyphen("ASNR-MICCAI-BraTS2023-PED-Challenge-TrainingData", "BraTS-PED", (("00002", "000"), ("00003", "000"))),
        BRATS_SINCE_2023,
    ),
    _set(
        "BraTS 2023 SSA / BraTS-Africa",
        "openmedlab/Awesome-Medical-Dataset:resources/BraTS2023-SSA.md; file 59300395773 (values seen: 0 to 3)",
        _hyphen("ASNR-MICCAI-BraTS2023-SSA-Challenge-TrainingData_V2", "BraTS-SSA",
                (("00002", "000"), ("00007", "000"))),
        BRATS_SINCE_2023,
    ),
    _inpainting(),
    _set(
        "BraTS 2024 GoAT", "file 48647309581; file 136647908 (no visit in the name)",
        [
            _named(f"MICCAI2024-BraTS-GoAT-TrainingData-With-GroundTruth/{name}", name, NEW_TOKENS, name, None, "seg",
                   joint="-")
            for name in ("BraTS-GoAT-00000", "BraTS-GoAT-02489")
        ],
        BRATS_SINCE_2023,
    ),
    _met_2025(),
    _set(
        "BraTS 2025 GLI, before treatment", "file 551565617; file 40363093",
        _hyphen("BraTS2025-GLI-PRE-Challenge-TrainingData", "BraTS-GLI", (("00000", "000"), ("01666", "000"))),
        BRATS_SINCE_2023,
    ),
    _set(
        "BraTS 2024 GLI post-treatment", "file 71449478901 (arXiv:2405.18368); file 40363093",
        _hyphen("training_data1_v2", "BraTS-GLI", (("02005", "100"), ("02005", "101"), ("02006", "100"))),
        POST_TREATMENT,
    ),
    _set(
        "BraTS 2024 PEDs", "MIC-DKFZ/nnUNet#3042; file 67469488492, file 57453893206 (arXiv:2404.15009); case 04",
        _hyphen("BraTS-PEDs2024_Training", "BraTS-PED", (("00001", "000"), ("00002", "000"), ("00003", "000"))),
        PEDS_2024,
    ),
    _set(
        "BraTS 2024 MEN-RT", "file 71040612419; file 56677689898 (arXiv:2405.18383)",
        [
            _case(f"BraTS-MEN-RT-{number:04d}", "1",
                  {"t1c": f"BraTS-MEN-RT-Train-v2/{stem}/{stem}_t1c.nii.gz"},
                  f"BraTS-MEN-RT-Train-v2/{stem}/{stem}_gtv.nii.gz")
            for number in (4, 8, 402) for stem in (f"BraTS-MEN-RT-{number:04d}-1",)
        ],
        ONE,
    ),
    _set(
        "BraTS-Reg 2022", "file 33232152817; file 67111616856; case 33",
        [
            _named(f"BraTSReg_{number:03d}", f"BraTSReg_{number:03d}_{visit}", OLD_TOKENS, f"BraTSReg_{number:03d}",
                   visit, None)
            for number, later in ((1, "01_0106"), (2, "01_0214")) for visit in ("00_0000", later)
        ],
        None,
        texts={
            f"BraTSReg_{number:03d}/BraTSReg_{number:03d}_{visit}_landmarks.csv": "text"
            for number, visit in ((1, "00_0000"), (1, "01_0106"), (2, "00_0000"), (2, "01_0214"))
        },
    ),
]  # fmt: skip


# --- TCIA and other institutions --------------------------------------------------------------------------------------


def _ucsf_pdgm() -> PublicSet:
    tokens = {"t1": "T1", "t1c": "T1c", "t2": "T2", "flair": "FLAIR"}
    extra = (
        "ADC", "ASL", "DWI", "DWI_bias", "SWI", "SWI_bias", "T1_bias", "T1c_bias", "T2_bias", "FLAIR_bias",
        "DTI_eddy_FA", "DTI_eddy_MD", "DTI_eddy_L1", "DTI_eddy_noreg",
    )  # fmt: skip
    cases, aside, texts = [], {}, {"UCSF-PDGM-metadata_v5.csv": "text"}
    for patient, visit in (("UCSF-PDGM-0004", None), ("UCSF-PDGM-0429", None), ("UCSF-PDGM-0429", "FU003d")):
        stem = f"{patient}_{visit}" if visit else patient
        folder = f"UCSF-PDGM-v5/{stem}_nifti"
        cases.append(_named(folder, stem, tokens, patient, visit, "tumor_segmentation"))
        aside |= {f"{folder}/{stem}_{name}.nii.gz": "image" for name in extra}
        for name in ("brain_segmentation", "brain_parenchyma_segmentation"):
            aside[f"{folder}/{stem}_{name}.nii.gz"] = "brainmask"
        texts[f"{folder}/{stem}_DTI_eddy.eddy_rotated_bvecs"] = "text"
    return _set(
        "UCSF-PDGM",
        "file 70161279885; file 42389920105 (openmedlab tree); file 59124353457 (_FU003d)",
        cases,
        BRATS_TO_2021,
        aside=aside,
        texts=texts,
    )


def _upenn_gbm() -> PublicSet:
    cases, aside = [], {}
    for patient, visit in (("UPENN-GBM-00001", "11"), ("UPENN-GBM-00001", "21"), ("UPENN-GBM-00002", "11")):
        stem = f"{patient}_{visit}"
        case = _named(f"NIfTI-files/images_structural/{stem}", stem, GD_TOKENS, patient, visit, None)
        corrected, automatic = (
            f"NIfTI-files/images_segm/{stem}_segm.nii.gz",
            f"NIfTI-files/automated_segm/{stem}_automated_approx_segm.nii.gz",
        )
        # Follow-ups (_21) have no mask; the corrected one is final, else the automatic one is all there is.
        mask = None if visit == "21" else corrected if patient.endswith("1") else automatic
        cases.append(_case(patient, visit, case.sequences, mask))
        if mask == corrected:
            aside[automatic] = _values(BRATS_TO_2021)
        for token in GD_TOKENS.values():
            aside[f"NIfTI-files/images_structural_unstripped/{stem}/{stem}_{token}_unstripped.nii.gz"] = "image"
        for name in ("DTI_AD", "DTI_FA", "DTI_RD", "DTI_TR"):
            aside[f"NIfTI-files/images_DTI/images_DTI/{stem}/{stem}_{name}.nii.gz"] = "image"
        for name in ("DSC_ap-rCBV", "DSC_PH", "DSC_PSR"):
            aside[f"NIfTI-files/images_DSC/{stem}/{stem}_{name}.nii.gz"] = "image"
    return _set(
        "UPENN-GBM",
        "file 71298666893; file 70161279885; file 28422406474 (values 0, 1, 2, 4)",
        cases,
        BRATS_TO_2021,
        aside=aside,
        texts={"UPENN-GBM_clinical_info_v2.1.csv": "text"},
    )


def _brats_tcga() -> PublicSet:
    tokens = {"t1": "t1", "t1c": "t1Gd", "t2": "t2", "flair": "flair"}
    cases, aside, texts = [], {}, {}
    for patient, date, corrected in (
        ("TCGA-02-0006", "1996.08.23", True), ("TCGA-08-0350", "1998.12.15", True),
        ("TCGA-02-0011", "1998.02.01", False),
    ):  # fmt: skip
        folder, stem = f"Pre-operative_TCGA_GBM_NIfTI_and_Segmentations/{patient}", f"{patient}_{date}"
        final = "GlistrBoost_ManuallyCorrected" if corrected else "GlistrBoost"
        cases.append(_named(folder, stem, tokens, patient, date, final))
        if corrected:
            aside[f"{folder}/{stem}_GlistrBoost.nii.gz"] = _values(BRATS_TO_2021)
        texts[f"{folder}/{stem}_GlistrBoost_out.csv"] = "text"
    return _set(
        "BraTS-TCGA-GBM / BraTS-TCGA-LGG",
        "file 60288208340; file 68595423653 (values 0, 1, 2, 4); case 02",
        cases,
        BRATS_TO_2021,
        aside=aside,
        texts=texts,
    )


def _lumiere() -> PublicSet:
    # Two automatic segmentations of equal standing (DeepBraTumIA and HD-GLIO-AUTO): neither is final, so the mask is
    # ambiguous. DeepBraTumIA has 1 enhancing, 2 core, 3 oedema (its volumes beside the masks prove it, though
    # the set's own radiomics table swaps 1 and 2: file 61862884881); HD-GLIO-AUTO 1 oedema, 2 enhancing.
    tokens = {"t1": "T1", "t1c": "CT1", "t2": "T2", "flair": "FLAIR"}
    cases, aside = [], {}
    for patient, week in (("Patient-001", "week-000-1"), ("Patient-001", "week-044"), ("Patient-002", "week-000")):
        folder = f"Imaging/{patient}/{week}"
        cases.append(
            _case(patient, week, {s: f"{folder}/{t}.nii.gz" for s, t in tokens.items()}, None, None, AMBIGUOUS)
        )
        deep, glio = f"{folder}/DeepBraTumIA-segmentation", f"{folder}/HD-GLIO-AUTO-segmentation"
        for token in tokens.values():
            aside[f"{deep}/native/segmentation/{token.lower()}_seg_mask.nii.gz"] = "mask:0,1,2,3"
            aside[f"{deep}/atlas/skull_strip/{token.lower()}_skull_strip.nii.gz"] = "image"
            aside[f"{glio}/native/segmentation_{token}_origspace.nii.gz"] = "mask:0,1,2"
            aside[f"{glio}/registered/{token}_r2s_bet.nii.gz"] = "image"
            aside[f"{glio}/registered/{token}_r2s_bet_reg.nii.gz"] = "image"
        aside[f"{deep}/atlas/skull_strip/brain_mask.nii.gz"] = "brainmask"
        aside[f"{deep}/atlas/segmentation/seg_mask.nii.gz"] = "mask:0,1,2,3"
        aside[f"{glio}/registered/segmentation.nii.gz"] = "mask:0,1,2"
    return _set(
        "LUMIERE", "file 56009028301 (whole tree, values); file 109539798; file 69061993084, file 6494611563 (labels)",
        cases, None, aside=aside,
        texts={"LUMIERE-ExpertRating-v202211.csv": "text",
               "Imaging/Patient-001/week-044/DeepBraTumIA-segmentation/atlas/segmentation/"
               "measured_volumes_in_mm3.json": 'json:{"Enhancing_Core": 1.0}'},
    )  # fmt: skip


def _mu_glioma_post() -> PublicSet:
    tokens = {"t1": "brain_t1n", "t1c": "brain_t1c", "t2": "brain_t2w", "flair": "brain_t2f"}
    cases = [
        _named(f"MU-Glioma-Post/{patient}/Timepoint_{n}", f"{patient}_Timepoint_{n}", tokens, patient,
               f"Timepoint_{n}", "tumorMask")
        for patient, n in (("PatientID_0003", 1), ("PatientID_0003", 2), ("PatientID_0004", 1))
    ]  # fmt: skip
    return _set(
        "MU-Glioma-Post",
        "file 65957586217; file 54511555198 (the set's own sheets name labels 1 to 4); case 13",
        cases,
        POST_TREATMENT,
        texts={"MU-Glioma-Post_Segmentation_Volumes.xlsx": "text"},
    )


def _egd() -> PublicSet:
    folders = {"t1": "1_T1", "t1c": "2_T1GD", "t2": "3_T2", "flair": "4_FLAIR"}
    cases, texts = [], {}
    for root in ("MR_EGD-0001", "MR_EGD-0002", "MR_EGD-0774"):
        paths = {s: f"{root}/{f}/NIFTI/{f[2:]}.nii.gz" for s, f in folders.items()}
        cases.append(_case(root.removeprefix("MR_"), None, paths, f"{root}/5_MASK/NIFTI/MASK.nii.gz"))
        texts[f"{root}/metadata.json"] = 'json:{"Scan_characteristics": {"Field": 3.0}}'
    return _set(
        "Erasmus Glioma Database (EGD)",
        "file 59300395773 (names, binary mask, metadata.json); file 66868315642",
        cases,
        ONE,
        texts=texts,
        note="other downloads have EGD-0001 in place of MR_EGD-0001 (case 09)",
    )


def _rhuh() -> PublicSet:
    cases = [
        _named(f"{patient}/{visit}", f"{patient}_{visit}", OLD_TOKENS, patient, visit, "segmentations")
        for patient, visit in (("RHUH-0001", "0"), ("RHUH-0001", "1"), ("RHUH-0001", "2"), ("RHUH-0040", "0"))
    ]
    aside = {f"{case.patient}/{case.visit}/{case.patient}_{case.visit}_adc.nii.gz": "image" for case in cases}
    # Some code takes 4 for enhancing (file 71449478901); those who looked found 3.
    return _set(
        "RHUH-GBM",
        "openmedlab/Awesome-Medical-Dataset:resources/RHUH-GBM.md; file 68323892591, file 71534935032 (3 enhancing)",
        cases,
        BRATS_SINCE_2023,
        aside=aside,
        texts={"clinical_data_TCIA_RHUH-GBM.csv": "text"},
    )


def _ucsd_ptgbm() -> PublicSet:
    tokens = {"t1": "T1pre", "t1c": "T1post", "t2": "T2", "flair": "FLAIR"}
    cases, aside = [], {}
    for patient, visit in (("UCSD-PTGBM-0002", "01"), ("UCSD-PTGBM-0002", "02"), ("UCSD-PTGBM-0176", "02")):
        folder, stem = f"UCSD-PTGBM/{patient}_{visit}", f"{patient}_{visit}"
        cases.append(_named(folder, stem, tokens, patient, visit, "BraTS_tumor_seg"))
        for name in ("enhancing_cellular_tumor_seg", "non_enhancing_cellular_tumor_seg", "total_cellular_tumor_seg"):
            aside[f"{folder}/{stem}_{name}.nii.gz"] = "mask:0,1"
        for name in ("SWAN", "RSI_Cell"):
            aside[f"{folder}/{stem}_{name}.nii.gz"] = "image"
    return _set("UCSD-PTGBM", "file 813842273; file 51772994414 (labels); file 551565617", cases, POST_TREATMENT,
                aside=aside)  # fmt: skip


def _ucsf_bmsr() -> PublicSet:
    tokens = {"t1": "T1pre", "t1c": "T1post", "flair": "FLAIR"}
    cases, aside = [], {}
    for patient, visit in (("100101", "A"), ("100101", "B"), ("100154", "D")):
        stem = f"{patient}{visit}"
        folder = f"UCSF_BrainMetastases_v1.3/UCSF_BrainMetastases_TRAIN/{stem}"
        cases.append(_named(folder, stem, tokens, patient, visit, "seg"))
        for name in ("T2Synth", "subtraction"):  # a T2 that a network made up, and T1post minus T1pre
            aside[f"{folder}/{stem}_{name}.nii.gz"] = "image"
        if visit == "A":  # some cases have a mask with regions too
            aside[f"{folder}/{stem}_BraTS-seg.nii.gz"] = _values(BRATS_SINCE_2023)
    return _set(
        "UCSF-BMSR", "file 57106377257, file 53381960085 (T2Synth); file 70100633749 (100101A and B are one patient; "
        "value 1); file 67464605135 (BraTS-seg)", cases, ONE, aside=aside,
        note="the name of the subtraction is not confirmed",
    )  # fmt: skip


def _utsw() -> PublicSet:
    cases, aside = [], {}
    for patient, corrected in (("BT0001", True), ("BT0501", True), ("BT0926", False)):
        # rtumorseg_* is tumorseg_* on the grid of the images; without either, the FeTS tool's mask is all there is.
        final = "rtumorseg_manual_correction" if corrected else "tumorseg_FeTS"
        paths = {sequence: f"{patient}/brain_{token}.nii.gz" for sequence, token in OLD_TOKENS.items()}
        cases.append(_case(patient, None, paths, f"{patient}/{final}.nii.gz"))
        for token in ("t1", "t1ce", "t2", "fl"):
            aside[f"{patient}/brain_{token}_ants.nii.gz"] = "image"
        if corrected:
            aside[f"{patient}/tumorseg_FeTS.nii.gz"] = _values(BRATS_TO_2021)
            aside[f"{patient}/tumorseg_manual_correction.nii.gz"] = "maskelsewhere:0,1,2,4"  # not on the grid
    return _set(
        "UTSW-Glioma",
        "file 59300395773; file 54511555198; file 55844251000",
        cases,
        BRATS_TO_2021,
        aside=aside,
        texts={"UTSW_Glioma_Metadata-2-1.tsv": "text"},
        note="121 of 362 corrected masks hold 3 or 5 too, which nobody documents (file 59300395773)",
    )


def _ivygap_radiomics() -> PublicSet:
    # Two expert outlines of equal standing, from CWRU and UPenn: ambiguous where both exist.
    root = "Multi-Institutional Paired Expert Segmentations SRI images-atlas-annotations"
    images, notes = f"{root}/1_Images_SRI/CoRegistered_SkullStripped", f"{root}/3_Annotations_SRI"
    tokens = {"t1": "t1", "t1c": "t1gd", "t2": "t2", "flair": "flair"}
    cases, aside = [], {f"{root}/2_Atlas_SRI/spgr_unstrip_lps.nii.gz": "image"}
    for patient, date, ends, both in (
        ("W1", "1996.10.25", ("r", "r", "r", "r"), True),
        ("W9", "1997.04.10", ("r3", "r", "r3", "r"), True),
        ("W20", "1997.11.03", ("N4_r", "N4_r", "N4_r", "N4_r"), True),
        ("W30", "1998.02.13", ("r3", "r", "r3", "r3"), False),
    ):
        stem = f"{patient}_{date}"
        paths = {
            sequence: f"{images}/{patient}/{stem}/{stem}_{token}_LPS_{end}_SS.nii.gz"
            for (sequence, token), end in zip(tokens.items(), ends, strict=True)
        }
        upenn = f"{notes}/UPenn/{patient}/{stem}_UPenn_labels.nii.gz"
        if both:
            aside[upenn] = _values(BRATS_TO_2021)
            aside[f"{notes}/CWRU/{patient}/{stem}_CWRU_labels.nii.gz"] = _values(BRATS_TO_2021)
        cases.append(_case(patient, date, paths, None if both else upenn, None, AMBIGUOUS if both else ""))
    return _set(
        "IvyGAP-Radiomics",
        "file 55847851211 (tree, values 0, 1, 2, 4); openmedlab/Awesome-Medical-Dataset:resources/IvyGAP-Radiomics.md",
        cases,
        BRATS_TO_2021,
        aside=aside,
    )


def _ucsf_alptdg() -> PublicSet:
    root = "UCSF_POSTOP_GLIOMA_DATASET_FINAL_v1.0"
    cases, aside = [], {}
    for patient in ("100001", "100006"):
        for visit in ("time1", "time2"):
            stem = f"{patient}_{visit}"
            cases.append(_named(f"{root}/{patient}", stem, OLD_TOKENS, patient, visit, "seg"))
            aside[f"{root}/{patient}/{stem}_t1ce-t1.nii.gz"] = "image"
        for name in ("flair_subtraction", "t1ce_subtraction"):  # between the two visits; 1 more, 2 less
            aside[f"{root}/{patient}/{patient}_{name}.nii.gz"] = "image"
            aside[f"{root}/{patient}/{patient}_{name}_seg.nii.gz"] = "mask:0,1,2"
    return _set(
        "UCSF-ALPTDG (post-operative glioma)", "file 70473320722 (whole tree, values checked against its sheets)",
        cases, POST_TREATMENT, aside=aside,
        texts={f"{root}/UCSF_PostopGlioma_Table S1 R1 V5.0_UNBLINDED_FINAL.xlsx": "text"},
    )  # fmt: skip


def _yale() -> PublicSet:
    tokens = {"t1": "PRE", "t1c": "POST", "t2": "T2", "flair": "FLAIR"}
    cases = [
        _named(f"Yale-Brain-Mets-Longitudinal/{patient}/{visit[:10]}", f"{patient}_{visit}", tokens, patient, visit,
               None)
        for patient, visit in (
            ("YG_0A1B2C3D4E5F", "2014-05-05_10-23-45"), ("YG_0A1B2C3D4E5F", "2014-08-11_09-02-10"),
            ("YG_9Z8Y7X6W5V4U", "2019-01-30_15-44-01"),
        )
    ]  # fmt: skip
    return _set(
        "Yale-Brain-Mets-Longitudinal", "file 59784595086 (names); file 53381960085 (PRE, POST, T2, FLAIR); "
        "file 69560725021", cases, None,
        texts={"Yale-Brain-Mets-Longitudinal_ClinicalData_20250605.xlsx": "text"},
        note="no masks; the name of the folder of a visit is not confirmed",
    )  # fmt: skip


def _nyumets() -> PublicSet:
    tokens = {"t1": "T1", "t1c": "CT1", "t2": "T2", "flair": "FLAIR"}
    cases, aside = [], {}
    for patient, visit in (("17", "301"), ("17", "302"), ("230", "977")):
        folder = f"imaging/patientId/{patient}/studyId/{visit}"
        paths = {sequence: f"{folder}/{token}.nii.gz" for sequence, token in tokens.items()}
        cases.append(_case(patient, visit, paths, f"{folder}/RTSTRUCT_segmentation.nii.gz"))
        aside[f"{folder}/RTSTRUCT_MRI.nii.gz"] = "image"  # the second T1 with contrast, from planning
    return _set("NYUMets-Brain", "file 32182029455 (the set's own loader)", cases, ONE, aside=aside, confirmed="names")


def _brainmetshare() -> PublicSet:
    tokens = {"t1": "t1_pre", "t1c": "t1_gd", "flair": "flair"}
    cases, aside = [], {}
    for patient in ("Mets_001", "Mets_005"):
        folder = f"train_NifTI/{patient}"
        paths = {sequence: f"{folder}/{token}.nii.gz" for sequence, token in tokens.items()}
        cases.append(_case(patient, None, paths, f"{folder}/seg.nii.gz"))
        aside[f"{folder}/bravo.nii.gz"] = "image"  # a second T1 with contrast (gradient echo)
    return _set(
        "BrainMetShare (Stanford), NIfTI", "file 57106377257; file 53381960085", cases, ONE, aside=aside,
        confirmed="names", note="the PNG release has folders 0 (BRAVO), 1 (T1), 2 (T1 with contrast), 3 (FLAIR), seg",
    )  # fmt: skip


def _gamma_knife() -> PublicSet:
    cases, aside = [], {}
    for patient, course, lesions in (("103", "1", ("Lt Frontal",)), ("103", "2", ("Rt Parietal", "Cerebellum"))):
        stem = f"GK.{patient}_{course}"
        masks = [f"{stem}/{stem}_{lesion}.nrrd" for lesion in lesions]
        one = len(masks) == 1
        cases.append(_case(f"GK.{patient}", course, {"t1c": f"{stem}/{stem}_MR_t1.nrrd"}, masks[0] if one else None,
                           None, "" if one else "one mask a lesion: must be joined or asked"))  # fmt: skip
        aside[f"{stem}/{stem}_dose.nrrd"] = "image"
        if not one:
            aside |= dict.fromkeys(masks, "mask:0,1")
    return _set(
        "Brain-TR-GammaKnife (NRRD)", "file 7350461555 (GK.P_C/GK.P_C_MR_t1.nrrd, one NRRD a lesion); file 40457200598",
        cases, ONE, aside=aside, confirmed="names", texts={"Brain-TR-GammaKnife-Clinical-Information.xlsx": "text"},
        note="the T1 has contrast though its name does not say so: t1 is as good; the names of lesions are made up",
    )  # fmt: skip


def _crossmoda() -> PublicSet:
    # Label 2 is the cochlea, which is no tumour.
    cases = [
        _case(f"crossmoda2021_ldn_{n}", None, {"t1c": f"source_training/crossmoda2021_ldn_{n}_ceT1.nii.gz"},
              f"source_training/crossmoda2021_ldn_{n}_Label.nii.gz")
        for n in (1, 2)
    ] + [
        _case("crossmoda2021_ldn_106", None, {"t2": "target_training/crossmoda2021_ldn_106_hrT2.nii.gz"}, None)
    ]  # fmt: skip
    return _set("crossMoDA 2021 (vestibular schwannoma)", "file 1515899019 (ceT1, hrT2)", cases, ONE, mask="mask:0,1,2",
                confirmed="names of the images")  # fmt: skip


INSTITUTIONS = [
    _ucsf_pdgm(),
    _upenn_gbm(),
    _brats_tcga(),
    _lumiere(),
    _mu_glioma_post(),
    _egd(),
    _rhuh(),
    _ucsd_ptgbm(),
    _ucsf_bmsr(),
    _utsw(),
    _ivygap_radiomics(),
    _ucsf_alptdg(),
    _yale(),
    _set(
        "Pretreat-MetsToBrain-Masks (Yale)",
        "file 71282822274; file 53368395926 (1 necrosis, 2 oedema, 3 enhancing)",
        _hyphen("Pretreat-MetsToBrain-Masks", "BraTS-MET", (("00086", "000"), ("00087", "000"))),
        BRATS_SINCE_2023,
        texts={"Pretreat-MetsToBrain-Masks_clin_20230918.xlsx": "text"},
    ),
    _nyumets(),
    _brainmetshare(),
    _gamma_knife(),
    _crossmoda(),
]


# --- DICOM trees ------------------------------------------------------------------------------------------------------


def _tree(
    name: str,
    source: str,
    collection: str,
    studies: Iterable[tuple[str, str, str, Mapping[str, str], Mapping[str, str]]],
    labels: Mapping[int, str] | None = None,
    confirmed: str = "names",
    note: str = "",
) -> PublicSet:
    """Set as the NBIA Data Retriever writes it: COLLECTION/PATIENT/DATE-ID-DESCRIPTION-12345/1.000000-SERIES-12345.

    A study is (patient, date, rest of its folder's name, sequence -> description, kind of other series). A kind that
    begins with "mask=" is the tumour.
    """
    files: dict[str, str] = {}
    cases, aside, number = [], [], 10000
    for patient, date, rest, sequences, others in studies:
        folder = f"{collection}/{patient}/{date}-{rest}"
        paths, mask = {}, None
        for k, (sequence, description) in enumerate(sequences.items(), 1):
            number += 37
            paths[sequence] = f"{folder}/{k}.000000-{description.replace('/', '')}-{number}"
            files[paths[sequence]] = f"dicom:{description}"
        for k, (description, kind) in enumerate(others.items(), 11):
            number += 37
            path = f"{folder}/{k}.000000-{description}-{number}"
            files[path] = kind.removeprefix("mask=")
            if kind.startswith("mask="):
                mask = path
            else:
                aside.append(path)
        cases.append(_case(patient, date, paths, mask))
    return PublicSet(
        name, source, files | {"metadata.csv": "text"}, tuple(cases), labels, tuple(sorted(aside)), confirmed, note
    )


_DESCRIPTIONS = "the descriptions of the series are typical, not read in this set"
_LOCALIZER = {"LOCALIZER": "dicom:LOCALIZER"}
_SERIES = {"t1": "AX T1 PRE", "t1c": "AX T1 POST GAD", "t2": "AX T2 FSE", "flair": "AX FLAIR"}
_MORE = _LOCALIZER | {"AX DWI": "dicom:AX DWI", "PERFUSION": "dicom:PERFUSION"}

DICOM = [
    _tree(
        "TCGA-GBM / TCGA-LGG (TCIA)", "file 14965735091 (TCGA-02-0003/06-08-1997-MRI BRAIN WWO CONTRAMR-81239)",
        "TCGA-GBM",
        [
            ("TCGA-02-0003", "06-08-1997", "MRI BRAIN WWO CONTRAMR-81239", _SERIES, _MORE),
            ("TCGA-02-0006", "08-23-1996", "MRI BRAIN WWO CONTRAMR-81240", _SERIES, _LOCALIZER),
        ],
        note=_DESCRIPTIONS,
    ),
    _tree(
        "CPTAC-GBM (TCIA)", "file 40659670943 (6-Ax Flair irFSE H-80553); file 20079466391 (CT beside MR)", "CPTAC-GBM",
        [
            ("C3L-00016", "11-15-1999", "MR BRAIN WOW CONTRAST-47088",
             {"flair": "Ax Flair irFSE H", "t1": "Ax T1 FLAIR", "t1c": "Ax T1 FSE +C", "t2": "T2 FRFSE"},
             {"AX DWI": "dicom:AX DWI"}),
            ("C3L-03728", "09-16-2001", "MR BRAIN FOR STEREOTACTIC WWO CONTR-56599", {"t2": "AX T2 FSE"}, _LOCALIZER),
        ],
        note="some patients have CT series as well",
    ),
    _tree(
        "REMBRANDT (TCIA)", "file 16091701388 (900-00-1961/06-19-2005-04452/4-32199: no descriptions)", "REMBRANDT",
        [
            ("900-00-1961", "06-19-2005", "04452", {"t1": "AXIAL T1", "t1c": "AXIAL T1 WITH CONTRAST",
                                                   "flair": "AXIAL FLAIR"}, {}),
            ("900-00-5299", "08-07-2005", "94410", {"t1": "AXIAL T1", "t2": "AXIAL T2"}, {}),
        ],
        note=_DESCRIPTIONS,
    ),
    _tree(
        "LGG-1p19qDeletion (TCIA)", "file 63185890268 (LGG-104/06-26-2000-MRI Hd wow-05523/4-Gad Ax T2 Straight-38151)",
        "LGG-1p19qDeletion",
        [
            ("LGG-104", "06-26-2000", "MRI Hd wow-05523", {"t2": "Gad Ax T2 Straight", "t1c": "Ax SPGR 3D Gad"}, {}),
            ("LGG-203", "05-03-2002", "MRI Hd wow-11021", {"t2": "Ax T2 FSE", "t1c": "Ax T1 SPGR Gad"}, {}),
        ],
        note="T2 was taken after contrast: Gad in its description does not make it a T1. Masks come as NIfTI apart",
    ),
    _tree(
        "QIN GBM Treatment Response (TCIA)", "file 31334559663 (QIN-GBM-TR-10); mxvp/glioma_FM:README.md",
        "QIN GBM Treatment Response",
        [
            ("QIN-GBM-TR-10", date, f"MR BRAIN-{n}",
             {"t1": "T1 AXIAL PRE", "t1c": "T1 AXIAL POST", "flair": "AX FLAIR"},
             {"DYNAMIC T1 DCE": "dicom:DYNAMIC T1 DCE"})
            for date, n in (("01-12-2009", 23001), ("01-14-2009", 23002))
        ],
        note=_DESCRIPTIONS,
    ),
    _tree(
        "IvyGAP (TCIA, DICOM)", "patients W1 to W55: file 55847851211", "IvyGAP",
        [("W1", "10-25-1996", "MR BRAIN-40001", _SERIES, {}), ("W39", "09-19-1998", "MR BRAIN-40002", _SERIES, {})],
        note=_DESCRIPTIONS,
    ),
    _tree(
        "GLIS-RT (TCIA, RTSTRUCT)",
        "file 1431121791 (GLI_001_GBM/04-05-2008-NA-MRI BRAIN TUMOR .../1.000000-REG T1T2-67019); file 49885750959",
        "GLIS-RT",
        [
            ("GLI_001_GBM", "04-05-2008", "NA-MRI BRAIN TUMOR WITH AND WITHOUT CONTRAST-71868",
             {"t1c": "AX BRAVO POST", "flair": "AX FLAIR"}, {"RTSTRUCT": "mask=rtstruct:GTV,CTV,Brainstem"}),
            ("GLI_003_AAC", "05-01-2008", "NA-MRI BRAIN TUMOR WITH AND WITHOUT CONTRAST-71901",
             {"t1c": "AX BRAVO POST", "flair": "AX FLAIR"}, {"RTSTRUCT": "mask=rtstruct:GTV,CTV"}),
        ],
        ONE, note="the GTV is the tumour, the CTV is not; contours may refer to the CT",
    ),
    _tree(
        "Burdenko-GBM-Progression (TCIA, RTSTRUCT)", "file 24088725425 (Burdenko-GBM-007); file 68953467524",
        "Burdenko-GBM-Progression",
        [
            ("Burdenko-GBM-007", "01-01-2015", "NA-planning-20001", {"t1c": "T1 POST", "flair": "T2 FLAIR"},
             {"RTSTRUCT": "mask=rtstruct:GTV,CTV,PTV"}),
            ("Burdenko-GBM-007", "04-02-2015", "NA-followup-20002", {"t1c": "T1 POST", "flair": "T2 FLAIR"}, {}),
        ],
        ONE, note=_DESCRIPTIONS,
    ),
    _tree(
        "ReMIND (TCIA, DICOM SEG)", "file 19304844223 (12-25-1982-NA-Preop-*, -Intraop-*); file 3686116378 "
        "(SEG tumor_seg_MR_ref_3DSAGT2SPACE)", "ReMIND",
        [
            ("ReMIND-001", "12-25-1982", "NA-Preop-90478",
             {"t1c": "3D_AX_T1_postcontrast", "t2": "3D_SAG_T2_SPACE"},
             {"tumor_seg_MR_ref_3DSAGT2SPACE": "mask=dicomseg:Tumor",
              "cerebrum_seg_MR_ref_3DSAGT2SPACE": "dicomseg:Cerebrum"}),
            ("ReMIND-002", "12-25-1982", "NA-Preop-81145", {"t2": "3D_SAG_T2_SPACE"},
             {"tumor_seg_MR_ref_3DSAGT2SPACE": "mask=dicomseg:Tumor"}),
        ],
        ONE, note="the mask lies on the grid of the series that its name ends in; descriptions are not confirmed",
    ),
    _tree(
        "Meningioma-SEG-CLASS (TCIA, RTSTRUCT)",
        "file 16721586114 (two RTSTRUCT masks, of T1 with contrast and FLAIR)",
        "Meningioma-SEG-CLASS",
        [
            (f"Meningioma-SEG-CLASS-{n:03d}", "01-01-2000", f"NA-BRAIN-{30000 + n}",
             {"t1c": "AX T1 POST", "flair": "T2 FLAIR"}, {"RTSTRUCT": "mask=rtstruct:Tumor"})
            for n in (1, 94)
        ],
        ONE, note="one RTSTRUCT here; the set has one for each of two series. Patient 094 has two tumours",
    ),
    _tree(
        "Vestibular-Schwannoma-SEG (TCIA, RTSTRUCT)",
        "file 56350180186 (structure TV, series 'ROIs in MR T1 Gd'); file 903411396 (tree)",
        "Vestibular-Schwannoma-SEG",
        [
            (f"VS-SEG-{n:03d}", "09-02-1991", f"NA-VSRADIOSURGERY-{50000 + n}",
             {"t1c": "MR T1 Gd", "t2": "MR T2"}, {"ROIs in MR T1 Gd": "mask=rtstruct:TV,cochlea"})
            for n in (1, 2)
        ],
        ONE, note="TV is the tumour, the cochlea is not; descriptions of the images not confirmed",
    ),
]  # fmt: skip


# --- BIDS -------------------------------------------------------------------------------------------------------------


def _bids() -> PublicSet:
    cases, aside, texts = [], {}, {"dataset_description.json": 'json:{"Name": "x", "BIDSVersion": "1.9.0"}'}
    texts |= {"participants.tsv": "text", "derivatives/manual_masks/dataset_description.json": 'json:{"Name": "x"}'}
    ends = {"t1": "T1w", "t1c": "ce-gadolinium_T1w", "t2": "T2w", "flair": "FLAIR"}
    for patient, visit in (("sub-001", "ses-01"), ("sub-001", "ses-02"), ("sub-002", "ses-01")):
        stem, inner = f"{patient}_{visit}", f"{patient}/{visit}/anat"
        paths = {sequence: f"{inner}/{stem}_{end}.nii.gz" for sequence, end in ends.items()}
        cases.append(_case(patient, visit, paths, f"derivatives/manual_masks/{inner}/{stem}_label-lesion_mask.nii.gz"))
        texts |= {path.replace(".nii.gz", ".json"): 'json:{"MagneticFieldStrength": 3}' for path in paths.values()}
        aside[f"{patient}/{visit}/dwi/{stem}_dwi.nii.gz"] = "image"
        aside[f"{patient}/{visit}/func/{stem}_task-rest_bold.nii.gz"] = "image4d:5"
        aside[f"derivatives/preproc/{inner}/{stem}_desc-preproc_T1w.nii.gz"] = "image"
        aside[f"derivatives/preproc/{inner}/{stem}_desc-brain_mask.nii.gz"] = "brainmask"
    return _set(
        "BIDS with lesion masks in derivatives", "file 67353517134, file 3207784; BIDS specification",
        cases, ONE, aside=aside, texts=texts,
    )  # fmt: skip


def _bids_dseg() -> PublicSet:
    cases, aside = [], {}
    texts = {"derivatives/ground-truth/dseg.tsv": "text"}
    ends = {"t1": "T1w", "t1c": "ce-GADOLINIUM_T1w", "t2": "T2w", "flair": "FLAIR"}
    for patient in ("sub-01", "sub-02"):
        paths = {sequence: f"{patient}/anat/{patient}_{end}.nii.gz" for sequence, end in ends.items()}
        folder = f"derivatives/ground-truth/{patient}/anat"
        cases.append(_case(patient, None, paths, f"{folder}/{patient}_desc-tumor_dseg.nii.gz"))
        aside[f"{folder}/{patient}_label-tumor_probseg.nii.gz"] = "probability"
    return _set(
        "BIDS with dseg in derivatives", "file 21050830415 (_desc-tumor_dseg); file 208070078 (ce-GADOLINIUM)",
        cases, BRATS_TO_2021, aside=aside, texts=texts, confirmed="names",
    )  # fmt: skip


def _fmriprep() -> PublicSet:
    cases, aside = [], {}
    for patient in ("sub-01", "sub-02"):
        raw, made = f"{patient}/anat/{patient}", f"derivatives/fmriprep/{patient}/anat/{patient}"
        cases.append(_case(patient, None, {"t1": f"{raw}_T1w.nii.gz"}, f"{raw}_T1w_label-lesion_roi.nii.gz"))
        for space in ("", "_space-MNI152NLin2009cAsym_res-2"):
            aside[f"{made}{space}_desc-preproc_T1w.nii.gz"] = "image"
            aside[f"{made}{space}_desc-brain_mask.nii.gz"] = "brainmask"
            aside[f"{made}{space}_dseg.nii.gz"] = "brainmask"
            for tissue in ("CSF", "GM", "WM"):
                aside[f"{made}{space}_label-{tissue}_probseg.nii.gz"] = "probability"
        aside[f"{made}_desc-aparcaseg_dseg.nii.gz"] = "brainmask"
    return _set("fMRIPrep with a lesion ROI", "file 37583721; file 51938233596 (names of the outputs)", cases, ONE,
                aside=aside, texts={"dataset_description.json": 'json:{"Name": "x"}'},
                confirmed="names of the outputs")  # fmt: skip


def _isles() -> PublicSet:
    cases, aside = [], {}
    for patient in ("sub-strokecase0001", "sub-strokecase0002"):
        stem = f"{patient}_ses-0001"
        mask = f"ISLES-2022/derivatives/{patient}/ses-0001/{stem}_msk.nii.gz"
        flair = f"ISLES-2022/{patient}/ses-0001/anat/{stem}_FLAIR.nii.gz"
        cases.append(_case(patient, "ses-0001", {"flair": flair}, mask))
        for name in ("adc", "dwi"):
            aside[f"ISLES-2022/{patient}/ses-0001/dwi/{stem}_{name}.nii.gz"] = "image"
        aside[f"ISLES-2022/derivatives/{patient}/ses-0001/{stem}_snp.png"] = "picture"
    return _set(
        "ISLES 2022 (stroke, for its names)", "openmedlab/Awesome-Medical-Dataset:resources/ISLES22.md",
        cases, ONE, aside=aside, note="in the real set the mask lies on the grid of DWI, not of FLAIR",
    )  # fmt: skip


BIDS = [_bids(), _bids_dseg(), _fmriprep(), _isles()]


# --- Challenges and tools with a file that describes them -----------------------------------------------------------


def _msd() -> PublicSet:
    root = "Task01_BrainTumour"
    names = ("BRATS_001", "BRATS_002", "BRATS_484")
    cases = [
        _case(name, None,
              {s: f"{root}/imagesTr/{name}.nii.gz#{c}" for c, s in enumerate(("flair", "t1", "t1c", "t2"))},
              f"{root}/labelsTr/{name}.nii.gz")
        for name in names
    ]  # fmt: skip
    described = {
        "name": "BRATS",
        "tensorImageSize": "4D",
        "modality": {"0": "FLAIR", "1": "T1w", "2": "t1gd", "3": "T2w"},
        "labels": {"0": "background", "1": "edema", "2": "non-enhancing tumor", "3": "enhancing tumour"},
        "training": [{"image": f"./imagesTr/{n}.nii.gz", "label": f"./labelsTr/{n}.nii.gz"} for n in names],
    }
    return _set(
        "Medical Segmentation Decathlon Task01",
        "MIC-DKFZ/nnUNet#2043, #866; case 05",
        cases,
        MSD,
        image="image4d:4",
        texts={f"{root}/dataset.json": "json:" + json.dumps(described)},
        # hidden twins that macOS archives leave behind
        aside={f"{root}/imagesTr/._BRATS_001.nii.gz": "text"},
    )


def _nnunet_raw() -> PublicSet:
    root = "nnUNet_raw/Dataset001_BrainTumour"
    channels = {"t1": "T1", "t1c": "T1ce", "t2": "T2", "flair": "Flair"}
    names = ("BraTS2021_00000", "BraTS2021_00002")
    cases = [
        _case(name, None,
              {s: f"{root}/imagesTr/{name}_{c:04d}.nii.gz" for c, s in enumerate(channels)},
              f"{root}/labelsTr/{name}.nii.gz")
        for name in names
    ]  # fmt: skip
    described = {
        "channel_names": {str(c): name for c, name in enumerate(channels.values())},
        "labels": {"background": 0, "whole tumor": [1, 2, 3], "tumor core": [2, 3], "enhancing tumor": [3]},
        "regions_class_order": [1, 2, 3],
        "numTraining": 2,
        "file_ending": ".nii.gz",
    }
    return _set(
        "nnU-Net raw, BraTS 2021 conversion",
        "MIC-DKFZ/nnUNet:nnunetv2/dataset_conversion/Dataset137_BraTS21.py",
        cases,
        MSD,
        texts={f"{root}/dataset.json": "json:" + json.dumps(described)},
    )


def _rsna_dicom() -> PublicSet:
    folders = {"t1": "T1w", "t1c": "T1wCE", "t2": "T2w", "flair": "FLAIR"}
    cases = [
        _case(number, None, {s: f"train/{number}/{f}" for s, f in folders.items()}, None)
        for number in ("00000", "00002", "00003")
    ]
    files = {path: f"dicom:{path.rsplit('/', 1)[1]}" for case in cases for path in case.sequences.values()}
    return PublicSet(
        "RSNA-MICCAI radiogenomics (DICOM)", "fepegar/torchio#647; case 07",
        files | {"train_labels.csv": "text"}, tuple(cases), None, confirmed="names",
        note="files Image-1.dcm and so on; the real headers' descriptions were not seen",
    )  # fmt: skip


def _nnunet_old() -> PublicSet:
    root = "nnUNet_raw_data/Task082_BraTS2020"
    names = ("BraTS20_Training_001", "BraTS20_Training_002")
    channels = ("t1", "t1c", "t2", "flair")
    cases = [
        _case(name, None, {s: f"{root}/imagesTr/{name}_{c:04d}.nii.gz" for c, s in enumerate(channels)},
              f"{root}/labelsTr/{name}.nii.gz")
        for name in names
    ]  # fmt: skip
    described = {
        "modality": {"0": "T1", "1": "T1ce", "2": "T2", "3": "FLAIR"},
        "labels": {"0": "background", "1": "edema", "2": "non-enhancing", "3": "enhancing"},
        "training": [{"image": f"./imagesTr/{n}.nii.gz", "label": f"./labelsTr/{n}.nii.gz"} for n in names],
    }
    return _set("nnU-Net 1 raw (Task082)", "MIC-DKFZ/nnUNet#487, #965 (the order 0, 2, 1, 3)", cases, MSD,
                texts={f"{root}/dataset.json": "json:" + json.dumps(described)}, confirmed="names")  # fmt: skip


def _nnunet_preprocessed() -> PublicSet:
    root, name = "nnUNet_preprocessed/Dataset137_BraTS2021", "BraTS2021_00000"
    inner = f"{root}/nnUNetPlans_3d_fullres/{name}"
    files = {f"{inner}.b2nd": "text", f"{inner}_seg.b2nd": "text", f"{inner}.pkl": "text", f"{inner}.npz": "text",
             f"{root}/gt_segmentations/{name}.nii.gz": _values(MSD)}  # fmt: skip
    texts = {f"{root}/{n}.json": "json:{}" for n in ("dataset", "dataset_fingerprint", "nnUNetPlans", "splits_final")}
    return PublicSet(
        "nnU-Net preprocessed", "file 27172932958 (folder names); nnU-Net documentation", files | texts, (), None,
        tuple(sorted(files)), "names of the folders", "nothing to read: arrays of its own, and masks without image",
    )  # fmt: skip


def _hd_glio() -> PublicSet:
    tokens = {"t1": "T1", "t1c": "CT1", "t2": "T2", "flair": "FLAIR"}
    cases, aside = [], {}
    for patient in ("Pat01", "Pat02"):
        folder = f"{patient}/hdglio/output"
        paths = {sequence: f"{folder}/{token}_r2s_bet_reg.nii.gz" for sequence, token in tokens.items()}
        cases.append(_case(patient, None, paths, f"{folder}/segmentation.nii.gz"))
        aside |= {f"{folder}/{token}_r2s_bet.nii.gz": "image" for token in tokens.values()}
        aside |= {f"{patient}/hdglio/input/{token}.nii.gz": "image" for token in tokens.values()}
    return _set(
        "HD-GLIO-AUTO output", "file 66973159273 (names); CCI-Bonn/HD-GLIO:readme.md; file 6494611563 (labels)",
        cases, HD_GLIO, aside=aside, note="the mask lies on the grid of the *_r2s_bet_reg images, not of the input",
    )  # fmt: skip


def _hd_bet() -> PublicSet:
    tokens = {"t1": "t1_bet", "t1c": "t1ce_bet", "t2": "t2_bet", "flair": "flair_bet"}
    cases, aside = [], {}
    for patient in ("Patient1", "Patient2"):
        paths = {sequence: f"{patient}/{token}.nii.gz" for sequence, token in tokens.items()}
        cases.append(_case(patient, None, paths, f"{patient}/tumor_mask.nii.gz"))
        aside |= {f"{patient}/{token}_mask.nii.gz": "brainmask" for token in tokens.values()}
    return _set("HD-BET output", "file 9975082482", cases, HD_GLIO, aside=aside, confirmed="names")


def _brainles() -> PublicSet:
    tokens = {"t1": "t1_normalized_bet", "t1c": "t1c_normalized_bet", "t2": "t2_normalized_bet",
              "flair": "fla_normalized_bet"}  # fmt: skip
    cases, aside = [], {}
    for patient in ("TCGA-DU-7294", "OtherEXampleTCIA"):
        cases.append(_named(patient, patient, tokens, patient, None, None))
        aside[f"{patient}/{patient}_t1c_bet_mask.nii.gz"] = "brainmask"
        aside[f"{patient}/{patient}_t1c_defacing_mask.nii.gz"] = "brainmask"
        aside[f"{patient}/{patient}_t1c_normalized_defaced.nii.gz"] = "image"
    return _set("BrainLes preprocessing", "file 27831580394 (its example)", cases, None, aside=aside)


def _brats_toolkit() -> PublicSet:
    tokens = {"t1": "t1", "t1c": "t1c", "t2": "t2", "flair": "fla"}
    cases = [
        _named(f"{patient}/hdbet_brats-space", f"{patient}_hdbet_brats", tokens, patient, None, None)
        for patient in ("TCGA-DU-7294", "TCGA-DU-8162")
    ]
    return _set("BraTS Toolkit", "file 8892201166; file 23382130826", cases, None)


def _fsl() -> PublicSet:
    cases, aside = [], {}
    for patient in ("P01", "P02"):
        paths = {
            s: f"{patient}/{patient}_{t}_brain.nii.gz" for s, t in (("t1", "T1"), ("t2", "T2"), ("flair", "FLAIR"))
        }
        cases.append(_case(patient, None, paths, f"{patient}/{patient}_lesion_mask.nii.gz"))
        aside |= {path.replace("_brain.", "_brain_mask."): "brainmask" for path in paths.values()}
        aside |= {f"{patient}/{patient}_T1_brain_pve_{k}.nii.gz": "probability" for k in range(3)}
        aside[f"{patient}/{patient}_T1_brain_pveseg.nii.gz"] = "brainmask"  # FAST: 1 CSF, 2 grey, 3 white matter
        aside[f"{patient}/{patient}_T1_brain_mixeltype.nii.gz"] = "brainmask"
    return _set("FSL BET and FAST", "not confirmed (FSL's default names)", cases, ONE, aside=aside,
                confirmed="not confirmed")  # fmt: skip


def _ants() -> PublicSet:
    cases, aside, texts = [], {}, {}
    for patient in ("P01", "P02"):
        paths = {s: f"{patient}/{patient}_{t}_Warped.nii.gz" for s, t in (("t1c", "T1Gd"), ("flair", "FLAIR"))}
        cases.append(_case(patient, None, paths, f"{patient}/{patient}_tumor_seg.nii.gz"))
        for token in ("T1Gd", "FLAIR"):
            aside[f"{patient}/{patient}_{token}_InverseWarped.nii.gz"] = "image"
            aside[f"{patient}/{patient}_{token}_1Warp.nii.gz"] = "image4d:3"
            aside[f"{patient}/{patient}_{token}_1InverseWarp.nii.gz"] = "image4d:3"
            texts[f"{patient}/{patient}_{token}_0GenericAffine.mat"] = "text"
    return _set("ANTs registration", "not confirmed (ANTs' default names)", cases, ONE, aside=aside, texts=texts,
                confirmed="not confirmed")  # fmt: skip


def _captk() -> PublicSet:
    tokens = {"t1": "T1", "t1c": "T1CE", "t2": "T2", "flair": "FL"}
    cases, aside, texts = [], {}, {}
    for patient in ("C136653", "C136701"):
        folder = f"{patient}/BRATS_output"
        paths = {sequence: f"{folder}/{token}_to_SRI.nii.gz" for sequence, token in tokens.items()}
        cases.append(_case(patient, None, paths, f"{folder}/brainTumorMask_SRI.nii.gz"))
        aside[f"{folder}/brainMask_SRI.nii.gz"] = "brainmask"
        for token in tokens.values():
            for end in ("raw", "rai", "rai_n4", "to_SRI_brain"):
                aside[f"{folder}/{token}_{end}.nii.gz"] = "image"
        texts[f"{folder}/T1CE_to_SRI.mat"] = "text"
    return _set(
        "CaPTk BraTSPipeline", "file 49052150202; file 2442579241; file 21050830415", cases, BRATS_TO_2016,
        aside=aside, texts=texts, note="file 49052150202 names 3 non-enhancing core; newer models write 1, 2, 4",
    )  # fmt: skip


def _fets_tool() -> PublicSet:
    tokens = {"t1": "brain_t1n", "t1c": "brain_t1c", "t2": "brain_t2w", "flair": "brain_t2f"}
    cases, aside = [], {}
    for patient, visit in (("AAAC_1", "2008.03.31"), ("AAAC_1", "2008.12.18"), ("AAAC_2", "2001.01.02")):
        stem = f"{patient}_{visit}"
        case = _named(f"tumor_extracted/DataForFeTS/{patient}/{visit}", stem, tokens, patient, visit, None)
        masks = f"tumor_extracted/DataForQC/{patient}/{visit}/TumorMasksForQC"
        name = f"{stem}_tumorMask_model_0.nii.gz"
        cases.append(_case(patient, visit, case.sequences, f"{masks}/finalized/{name}"))
        aside[f"{masks}/{name}"] = _values(POST_TREATMENT)  # as the network left it
        for token in ("t1n", "t1c", "t2w", "t2f"):
            aside[f"tumor_extracted/DataForQC/{patient}/{visit}/reoriented/{stem}_{token}.nii.gz"] = "image"
    return _set("FeTS tool / RANO pipeline", "file 63047867955; file 4367865506; file 24115831735", cases,
                POST_TREATMENT, aside=aside, confirmed="names")  # fmt: skip


def _raidionics() -> PublicSet:
    cases, aside = [], {}
    for patient in ("Patient001", "Patient002"):
        cases.append(_case(patient, None, {"t1c": f"{patient}/{patient}_T1-CE.nii.gz"},
                           f"{patient}/labels_Tumor.nii.gz"))  # fmt: skip
        aside[f"{patient}/labels_Brain.nii.gz"] = "brainmask"
        aside[f"{patient}/pred_Tumor.nii.gz"] = "probability"
    return _set("Raidionics", "file 31220608191, file 23152124941 (labels_Tumor); case 31 (T1-CE)", cases, ONE,
                aside=aside, confirmed="names", note="labels_Brain and pred_Tumor are not confirmed")  # fmt: skip


def _slicer() -> PublicSet:
    cases = [
        _case("DICOM 6", None, {"t1c": "DICOM 6/5 AX T1 POST.nrrd"}, "DICOM 6/Segmentation.seg.nrrd"),
        _case("DICOM 7", None, {"flair": "DICOM 7/11 FLAIR.nrrd"}, "DICOM 7/Segmentation.seg.nrrd"),
        _case("DICOM 8", None, {"flair": "DICOM 8/11 FLAIR.nrrd"}, "DICOM 8/11 FLAIR-label.nrrd"),
        _case("DICOM 9", None, {"flair": "DICOM 9/11 FLAIR.nrrd"}, "DICOM 9/Segmentation.nrrd"),
    ]
    return _set("3D Slicer default names", "file 47722193633 (DICOM 7/11 Unnamed Series.nrrd and "
                "Segmentation.seg.nrrd); case 11", cases, ONE,
                texts={"DICOM 7/Scene.mrml": "text", "DICOM 7/F.mrk.json": "json:{}"},
                confirmed="names of .seg.nrrd")  # fmt: skip


def _pyradiomics() -> PublicSet:
    cases = [_case(name, None, {"image": f"{name}_image.nrrd"}, f"{name}_label.nrrd") for name in ("brain1", "brain2")]
    return _set("pyradiomics test cases", "file 29275824799 (AIM-Harvard/pyradiomics setup.py)", cases, ONE,
                texts={"Params.yaml": "text"})  # fmt: skip


def _itk_snap() -> PublicSet:
    cases = [
        _named(name, name, {"t1c": "T1c", "flair": "FLAIR"}, name, None, "segmentation")
        for name in ("case01", "case02")
    ]
    return _set("ITK-SNAP", "not confirmed (the user names the files)", cases, ONE, confirmed="not confirmed",
                texts={"case01/case01.itksnap": "text", "labels.txt": "text"})  # fmt: skip


def _monai() -> PublicSet:
    cases = [_named("out", name, {"flair": "flair_trans"}, name, None, "seg_trans") for name in ("P001", "P002")]
    return _set("MONAI SaveImage", "file 212842089 (CT_head_trans, CT_head_seg_trans)", cases, ONE, confirmed="names")


def _rsna_nifti() -> PublicSet:
    tokens = {"t1": "T1w", "t1c": "T1wCE", "t2": "T2w", "flair": "FLAIR"}
    cases = [_named(f"train/{n}", n, tokens, n, None, None) for n in ("00000", "00002")]
    return _set("RSNA-MICCAI converted to NIfTI", "case 31; file 56574904927 (T1wCE.nii.gz)", cases, None,
                texts={"train_labels.csv": "text"}, confirmed="names")  # fmt: skip


def _synthoma() -> PublicSet:
    # What `synthoma detect` found is no truth.
    cases, aside, texts = [], {}, {}
    for patient in ("P1", "P2"):
        found = f"found/{patient}_FLAIR/{patient}_FLAIR"
        cases.append(_case(patient, None, {"flair": f"scans/{patient}_FLAIR.nii.gz"}, None, None, "found by Synthoma"))
        aside[f"{found}_mask.nii.gz"] = "mask:0,1"
        aside[f"{found}_overlay.png"] = "picture"
        texts[f"found/{patient}_FLAIR/findings.json"] = (
            'json:{"schema": "synthoma.detection/1", "has_tumour": true, "labels": {"1": "tumour"}}'
        )
    texts |= {"found/index.csv": "text", "found/pictures.csv": "text", "found/skipped.csv": "text"}
    texts["found/detection.json"] = 'json:{"scans": 2}'
    return _set("Synthoma detect beside its scans", "docs/detect.md", cases, None, aside=aside, texts=texts)


TOOLS = [
    _msd(), _nnunet_raw(), _nnunet_old(), _nnunet_preprocessed(), _rsna_dicom(), _rsna_nifti(), _hd_glio(), _hd_bet(),
    _brainles(), _brats_toolkit(), _fsl(), _ants(), _captk(), _fets_tool(), _raidionics(), _slicer(), _pyradiomics(),
    _itk_snap(), _monai(), _synthoma(),
]  # fmt: skip


# --- Pictures ---------------------------------------------------------------------------------------------------------


def _kaggle_3m() -> PublicSet:
    cases = []
    for patient, date in (("TCGA_CS_4942", "19970222"), ("TCGA_DU_5849", "19950405")):
        stem = f"{patient}_{date}"
        cases += [
            _case(patient, date, {"image": f"kaggle_3m/{stem}/{stem}_{k}.tif"}, f"kaggle_3m/{stem}/{stem}_{k}_mask.tif")
            for k in (1, 2, 10)
        ]
    return _set(
        "LGG Kaggle (kaggle_3m)",
        "docs/cohort.md; mateuszbuda/brain-segmentation",
        cases,
        {255: "tumour"},
        image="picture",
        mask="picturemask:0,255",
        texts={"kaggle_3m/data.csv": "text", "kaggle_3m/README.md": "text"},
        note="channels of a picture: T1, FLAIR, T1 with contrast; the slices of a folder are one volume",
    )


def _classes(
    name: str, source: str, pictures: Iterable[tuple[str, str]], sequence: str = "image", **more: object
) -> PublicSet:
    cases = [_case(None, None, {sequence: path}, None, label) for path, label in pictures]
    return _set(name, source, cases, None, image="picture", **more)  # type: ignore[arg-type]


JSON_OUTLINES = "outlines in a JSON or text file: must be named"


def _br35h_boxes() -> PublicSet:
    region = {"shape_attributes": {"name": "ellipse", "cx": 20, "cy": 20, "rx": 6, "ry": 4}, "region_attributes": {}}
    root, cases, aside, everything = "Br35H-Mask-RCNN", [], {}, {}
    for part, number in (("TRAIN", 101), ("TRAIN", 102), ("VAL", 500), ("TEST", 700)):
        picture = f"y{number}.jpg"
        cases.append(_case(None, None, {"image": f"{root}/{part}/{picture}"}, None, None, JSON_OUTLINES))
        everything[f"{picture}24870"] = {"filename": picture, "size": 24870, "regions": [region]}
    aside[f"{root}/annotations_all.json"] = "json:" + json.dumps(everything)
    return _set(
        "Br35H-Mask-RCNN (TRAIN, VAL, TEST)", "file 31072328831 (VIA, ellipses); file 60602360097; file 57961197505 "
        "(copies of yes/)", cases, None, image="picture", aside=aside,
    )  # fmt: skip


def _figshare() -> PublicSet:
    names = {1: "meningioma", 2: "glioma", 3: "pituitary"}
    files, cases = {"cvind.mat": "matfile:", "README.txt": "text"}, []
    for number, (label, patient) in enumerate(((1, "100360"), (1, "100360"), (2, "93"), (3, "MR040241D")), 1):
        path = f"{number}.mat"
        files[path] = f"matfile:{label},{patient}"
        cases.append(_case(patient, None, {"t1c": f"{path}#image"}, f"{path}#tumorMask", names[label]))
    return PublicSet(
        "Figshare Cheng (.mat)", "file 71262130150; file 32766646643 (label 1 meningioma, 2 glioma, 3 pituitary; PID)",
        files, tuple(cases), ONE, ("cvind.mat",), "names and labels", "MATLAB 7.3; all slices are T1 with contrast",
    )  # fmt: skip


def _brisc() -> PublicSet:
    cases, root = [], "brisc2025/segmentation_task"
    for part, number, kind in (("train", 1, "gl"), ("train", 1149, "me"), ("test", 827, "pi")):
        stem = f"brisc2025_{part}_{number:05d}_{kind}_{'co' if kind == 'pi' else 'ax'}_t1"
        cases.append(_case(None, None, {"t1": f"{root}/{part}/images/{stem}.jpg"}, f"{root}/{part}/masks/{stem}.png"))
    return _set("BRISC 2025, segmentation", "file 52077863620; file 62733672110", cases, {255: "tumour"},
                image="picture", mask="picturemask:0,255", confirmed="names",
                note="the names say t1; most pictures have contrast")  # fmt: skip


_ROBOFLOW = "y12_jpg.rf.51d3c1c9a0bd18dad0356a615ac5a7bf", "Y34_png.rf.0a1b2c3d4e5f60718293a4b5c6d7e8f9"


def _roboflow_yolo() -> PublicSet:
    cases, aside = [], {}
    for stem, part in zip(_ROBOFLOW, ("train", "valid"), strict=True):
        cases.append(_case(None, None, {"image": f"{part}/images/{stem}.jpg"}, None, None, JSON_OUTLINES))
        aside[f"{part}/labels/{stem}.txt"] = "text"
    return _set("Roboflow, YOLO", "file 38720902450 (names); case 22", cases, None, image="picture", aside=aside,
                texts={"data.yaml": "text", "README.roboflow.txt": "text", "README.dataset.txt": "text"},
                confirmed="names")  # fmt: skip


def _roboflow_coco() -> PublicSet:
    cases, aside = [], {}
    for stem, part in zip(_ROBOFLOW, ("train", "valid"), strict=True):
        cases.append(_case(None, None, {"image": f"{part}/{stem}.jpg"}, None, None, JSON_OUTLINES))
        coco = {
            "images": [{"id": 0, "file_name": f"{stem}.jpg", "height": 48, "width": 48}],
            "categories": [{"id": 0, "name": "tumor"}, {"id": 1, "name": "tumor", "supercategory": "tumor"}],
            "annotations": [{"id": 0, "image_id": 0, "category_id": 1, "bbox": [10, 10, 8, 8], "area": 64,
                             "segmentation": [[10, 10, 18, 10, 18, 18, 10, 18]], "iscrowd": 0}],
        }  # fmt: skip
        aside[f"{part}/_annotations.coco.json"] = "json:" + json.dumps(coco)
    return _set("Roboflow, COCO", "file 62246829752", cases, None, image="picture", aside=aside)


def _roboflow_semantic() -> PublicSet:
    cases = [
        _case(None, None, {"image": f"{part}/{stem}.jpg"}, f"{part}/{stem}_mask.png")
        for stem, part in zip(_ROBOFLOW, ("train", "valid"), strict=True)
    ]
    return _set("Roboflow, semantic masks", "file 38720902450 (..._mask.png)", cases, ONE, image="picture",
                mask="picturemask:0,1", texts={"train/_classes.csv": "text", "valid/_classes.csv": "text"})  # fmt: skip


def _voc() -> PublicSet:
    cases, aside, texts = [], {}, {"ImageSets/Segmentation/train.txt": "text"}
    for name in ("p1", "p2"):
        cases.append(_case(None, None, {"image": f"JPEGImages/{name}.jpg"}, f"SegmentationClass/{name}.png"))
        aside[f"SegmentationObject/{name}.png"] = "picturemask:0,1"
        aside[f"SegmentationClassVisualization/{name}.jpg"] = "picture"
        texts[f"Annotations/{name}.xml"] = "text"
    return _set("Pascal VOC (also of labelme)", "not confirmed (VOC and labelme2voc names)", cases, ONE,
                image="picture", mask="picturemask:0,1", aside=aside, texts=texts,
                confirmed="not confirmed")  # fmt: skip


def _labelme() -> PublicSet:
    cases, aside = [], {}
    for name in ("p1", "p2"):
        cases.append(_case(None, None, {"image": f"data/{name}.jpg"}, None, None, JSON_OUTLINES))
        shape = {"label": "tumor", "points": [[10, 10], [20, 10], [20, 20]], "shape_type": "polygon", "flags": {}}
        aside[f"data/{name}.json"] = "json:" + json.dumps({"version": "5.2.1", "shapes": [shape],
                                                          "imagePath": f"{name}.jpg", "imageData": None})  # fmt: skip
    return _set("labelme", "wkentaro/labelme#2494, #74", cases, None, image="picture", aside=aside, confirmed="names")


def _labelme_exported() -> PublicSet:
    cases, aside, texts = [], {}, {}
    for name in ("p1", "p2"):
        cases.append(_case(None, None, {"image": f"{name}_json/img.png"}, f"{name}_json/label.png"))
        aside[f"{name}_json/label_viz.png"] = "picture"
        texts[f"{name}_json/label_names.txt"] = "text"
    return _set("labelme, one folder a picture", "not confirmed (labelme_export_json names)", cases, ONE,
                image="picture", mask="picturemask:0,1", aside=aside, texts=texts,
                confirmed="not confirmed")  # fmt: skip


PICTURES = [
    _kaggle_3m(),
    _classes(
        "Kaggle brain_tumor_dataset (253 pictures)", "real copy in the test data; case 22",
        [("brain_tumor_dataset/yes/Y1.jpg", "yes"), ("brain_tumor_dataset/yes/Y10.jpg", "yes"),
         ("brain_tumor_dataset/no/1 no.jpeg", "no"), ("brain_tumor_dataset/no/no 2.jpg", "no")],
    ),
    _classes(
        "Kaggle Nickparvar (4 classes)", "file 16060268289 (Tr-gl_0010.jpg, Tr-glTr_0009.jpg, Te-noTr_0009.jpg)",
        [("Training/glioma/Tr-gl_0010.jpg", "glioma"), ("Training/glioma/Tr-glTr_0009.jpg", "glioma"),
         ("Training/meningioma/Tr-me_0010.jpg", "meningioma"), ("Training/notumor/Tr-no_0010.jpg", "notumor"),
         ("Training/pituitary/Tr-pi_0010.jpg", "pituitary"), ("Testing/glioma/Te-gl_0010.jpg", "glioma"),
         ("Testing/notumor/Te-noTr_0009.jpg", "notumor")],
    ),
    _classes(
        "Kaggle SARTAJ (Training/glioma_tumor)", "file 21160824028; file 71094308969; file 32859602755",
        [("Training/glioma_tumor/gg (1).jpg", "glioma_tumor"),
         ("Training/meningioma_tumor/m (108).jpg", "meningioma_tumor"),
         ("Training/meningioma_tumor/m2 (57).jpg", "meningioma_tumor"),
         ("Training/no_tumor/image (16).jpg", "no_tumor"),
         ("Training/pituitary_tumor/p (12).jpg", "pituitary_tumor"), ("Testing/no_tumor/image(127).jpg", "no_tumor")],
    ),
    _classes(
        "Br35H (yes, no, pred)", "openmedlab/Awesome-Medical-Dataset:resources/Br35H.md; file 57961197505",
        [("yes/y0.jpg", "yes"), ("yes/y1.jpg", "yes"), ("no/no0.jpg", "no"), ("no/no1.jpg", "no")],
        aside={"pred/pred0.jpg": "picture"}, note="pred/ holds pictures without a class",
    ),
    _br35h_boxes(),
    _classes(
        "BRISC 2025, classification", "file 56604664500; file 69286860700",
        [("brisc2025/classification_task/train/glioma/brisc2025_train_00007_gl_ax_t1.jpg", "glioma"),
         ("brisc2025/classification_task/train/meningioma/brisc2025_train_01149_me_ax_t1.jpg", "meningioma"),
         ("brisc2025/classification_task/train/no_tumor/brisc2025_train_02477_no_ax_t1.jpg", "no_tumor"),
         ("brisc2025/classification_task/test/pituitary/brisc2025_test_00751_pi_ax_t1.jpg", "pituitary")],
        sequence="t1",
    ),
    _brisc(),
    _figshare(),
    _roboflow_yolo(),
    _roboflow_coco(),
    _roboflow_semantic(),
    _voc(),
    _labelme(),
    _labelme_exported(),
]  # fmt: skip

PUBLIC_SETS: tuple[PublicSet, ...] = (*BRATS, *INSTITUTIONS, *DICOM, *BIDS, *TOOLS, *PICTURES)
