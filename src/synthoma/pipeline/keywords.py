"""Settings of the functions as keyword arguments. Made by tools/keywords.py from the settings: edit those."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict

from synthoma.core.config import Config
from synthoma.core.types import Place


class PrepareKeywords(TypedDict, total=False):
    """Fields of ``PrepareConfig``."""

    recipe: Literal["dcgan-seed", "mask-dcgan-seed", "resunet-seed", "resnet50-seed"] | None
    layout: str | None
    modalities: Sequence[str] | None
    plane: Literal["axial", "sagittal", "coronal"]
    size: int
    fitting: Literal["keep", "stretch"]
    resampling: Literal["area", "cubic", "linear"]
    pad: int | None
    window: Sequence[int] | None
    tile: int | None
    augment: int
    crop: bool
    strip: bool
    normalise: Literal["robust", "unit"]
    apart: bool
    convention: str | None
    merge: Literal["whole-tumour"] | None
    classes: Literal["auto", "folder", "mask", "sequence"]
    slices: Literal["all", "tumour"]
    min_brain: float
    every: int
    duplicates: bool
    searched: int
    split: Sequence[float]
    folds: int
    split_from: Place | None
    corrections: Place | None
    like: Place | None
    framed: Literal["auto", "yes", "no"]
    origin: Literal["real", "phantom", "synthetic"]
    pseudonyms: bool
    seed: int
    jobs: int


class PreparePhantomKeywords(TypedDict, total=False):
    """Fields of ``PhantomCohortConfig``."""

    recipe: Literal["dcgan-seed", "mask-dcgan-seed", "resunet-seed", "resnet50-seed"] | None
    layout: str | None
    modalities: Sequence[str] | None
    plane: Literal["axial", "sagittal", "coronal"]
    size: int
    fitting: Literal["keep", "stretch"]
    resampling: Literal["area", "cubic", "linear"]
    pad: int | None
    window: Sequence[int] | None
    tile: int | None
    augment: int
    crop: bool
    strip: bool
    normalise: Literal["robust", "unit"]
    apart: bool
    convention: str | None
    merge: Literal["whole-tumour"] | None
    classes: Literal["auto", "folder", "mask", "sequence"]
    slices: Literal["all", "tumour"]
    min_brain: float
    every: int
    duplicates: bool
    searched: int
    split: Sequence[float]
    folds: int
    split_from: Place | None
    corrections: Place | None
    like: Place | None
    framed: Literal["auto", "yes", "no"]
    origin: Literal["phantom"]
    pseudonyms: bool
    seed: int
    jobs: int
    grid: Literal["scanner", "slices"]
    phantom: Config | Mapping[str, object]


class TrainKeywords(TypedDict, total=False):
    """Fields of ``TrainConfig``."""

    model: str
    recipe: Literal["seed", "corrected"] | None
    minutes: float | None
    images: int | None
    epochs: int | None
    seed: int
    device: Literal["auto", "cpu", "cuda", "mps"]
    init: str | None
    classes: Sequence[str] | None
    limit: int | None
    snapshots: int
    patience: int
    keep: int
    reasons: Sequence[str]
    decided: Sequence[str]
    extra: Sequence[Place]
    patients: int | None
    segmenter: Config | Mapping[str, object]
    classifier: Config | Mapping[str, object]
    with_masks: bool
    conditional: bool
    phantom: Place | None
    simulate: int | None
    until_fooled: int
    gan: Config | Mapping[str, object]


class EvaluateKeywords(TypedDict, total=False):
    """Fields of ``EvaluateConfig``."""

    preset: Literal["quick", "standard", "full"]
    limit: int
    halves: int
    splits: int
    faults: bool
    canaries: int
    seed: int
    device: Literal["auto", "cpu", "cuda", "mps"]
    jobs: int | None
    phantom: Place | None
    run: Place | None
    cells: Place | None
    thresholds: Config | Mapping[str, object]
    utility: Config | Mapping[str, object]


class DetectKeywords(TypedDict, total=False):
    """Fields of ``DetectConfig``."""

    threshold: float | None
    flip: bool
    planes: bool
    dicom_seg: bool
    dicom_sr: bool
    dicom_rtstruct: bool
    band: Sequence[float] | None
    before: Place | None
    changes: bool
    repeats: int
    study: Sequence[str]
    send_back: bool
    overlay: bool
    three_d: bool
    saliency: bool
    probabilities: bool
    tissues: bool
    inside_brain: bool
    refine: bool
    rle: bool
    shows: str | None
    type_model: Place | None
    gate: Place | None
    gate_limit: float
    layout: str | None
    convention: str | None
    device: Literal["auto", "cpu", "cuda", "mps"]
    jobs: int


class PaintKeywords(TypedDict, total=False):
    """Fields of ``PaintConfig``."""

    splits: Sequence[Literal["train", "validation", "test"]]
    size: int
    shown: Literal["all", "changed"]
    mask: Place | None
    layout: str | None
    convention: str | None
    seed: int
    size_ml: str | None
    place: str | None
    grade: Literal["low", "high", "mixed"]
    contrast: str | None
    heterogeneity: str | None
    oedema: str | None
    enhancing: str | None
    count: str | None
    mass_effect: str | None
    painter: Literal["growth", "copy-paste", "gan"]
    model: Place | None
    learn: int
    shows: Literal["t1", "t1c", "t2", "flair"] | None
    plan: Place | None
    beside: bool
    copies: int
    like: Place | None


class RemoveKeywords(TypedDict, total=False):
    """Fields of ``RemoveConfig``."""

    splits: Sequence[Literal["train", "validation", "test"]]
    size: int
    shown: Literal["all", "changed"]
    mask: Place | None
    layout: str | None
    convention: str | None
    method: Literal["blend", "mirror", "membrane"]
    margin: float
    model: Place | None


class PlanKeywords(TypedDict, total=False):
    """Fields of ``PlanConfig``."""

    edges: Sequence[float]
    share: float
    ratio: float
    evaluation: Place | None
    minutes: float | None
    steps: int
    matters: float
    seed: int
    device: Literal["auto", "cpu", "cuda", "mps"]


class ExportKeywords(TypedDict, total=False):
    """Fields of ``ExportConfig``."""

    to: Literal[
        "nnunet",
        "monai",
        "torchio",
        "bids",
        "nifti",
        "huggingface",
        "coco",
        "yolo",
        "png",
        "dicom",
        "onnx",
        "monai-bundle",
    ]
    name: str | None
    number: int
    slices: bool
    sequences: Sequence[str]
    boxes: bool


class TuringMakeKeywords(TypedDict, total=False):
    """Fields of ``TuringConfig``."""

    design: Literal["single", "pairs"]
    number: int
    repeats: float
    readers: Sequence[str]
    sequence: str | None
    pixels: int
    matters: float
    seed: int


class WorkersKeywords(TypedDict, total=False):
    """Fields of ``FanoutConfig``."""

    backend: Literal["local", "dask", "ray"]
    scheduler: str | None
    address: str | None
    job_seconds: float | None
    parts: Place | None
    shard: str | None
