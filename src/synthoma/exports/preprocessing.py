"""What a stranger must do to a slice before a network sees it, and what its answer means: ``preprocessing.json``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from synthoma.cohorts.squares import FramingRule
from synthoma.core.records import Record
from synthoma.core.types import Plane
from synthoma.core.words import Fitting, Normalisation, Resampling
from synthoma.detectors.scale import BRIGHTEST
from synthoma.detectors.segmenters.chances import LEAST_TOP, TOP_SHARE
from synthoma.detectors.segmenters.label_maps import meanings
from synthoma.exports.networks import Model
from synthoma.training.meta import StoredCalibration

FILE = "preprocessing.json"
SCHEMA = "synthoma.preprocessing/1"
LYING: dict[Plane, str] = {
    "axial": "rows run from the patient's front to the back, columns from the patient's right to the left",
    "coronal": "rows run from the top down, columns from the patient's right to the left",
    "sagittal": "rows run from the top down, columns from the patient's front to the back",
}
_ROBUST = (
    "offset = 0.5th percentile of all voxels of the scan (of a single picture, its pixels); peak = 99.9th percentile - "
    "offset; tissue = voxels above offset + 0.08 * peak; scale = 99.5th percentile of tissue - offset, or 1 where that "
    "is 0; normalised = (value - offset) / scale. Percentiles are interpolated linearly. Nothing is clipped."
)
_UNIT = (
    "8-bit pictures: value / 255. Others: (value - least) / (largest - least) over the scan, or over the picture where "
    "there is only one."
)
_CROP = (
    "each sequence's brightest value along the slices, divided by its 99.5th percentile; the largest over sequences; "
    "Gaussian of 1 pixel; minus its least (or, where the median of the border lies above half of least and 99.5th "
    "percentile, the distance to that median); above half of Otsu's threshold (256 bins); opened by a cross; the "
    "largest region; its box with a margin of 2 % of the longer side; the same box for all slices and sequences"
)


class Channel(Record):
    """One layer of the input."""

    slice: int = Field(description="0 the slice that is asked about, -1 the neighbour below, 1 the one above")
    sequence: str = Field(description="which sequence of it")


class InputSaid(Record):
    """What the network takes."""

    name: str = Field(description="of the input")
    type: Literal["float32"] = Field(description="of its numbers")
    order: Literal["batch, channel, row, column"] = Field(description="of its axes; the batch may have any length")
    size: int = Field(description="rows and columns")
    channels: tuple[Channel, ...] = Field(description="in order")
    plane: Plane = Field(description="of the slices")
    lying: str = Field(description="which way rows and columns run")
    range: str = Field(description="of its values, and what the network itself does to them")


class MissingSaid(Record):
    """What stands for a sequence that is not there."""

    allowed: bool = Field(description="whether the network was trained to do without some")
    value: float = Field(description="of all pixels of its channels")


class NeighboursSaid(Record):
    """Which slices are seen together."""

    count: int = Field(description="slices seen at once, the middle one is asked about")
    distance_mm: float | None = Field(description="between them in training; None where unknown")
    rule: str = Field(description="which slice is a neighbour, and what stands for one that is not there")


class FramingSaid(Record):
    """How a slice becomes a square."""

    crop: bool = Field(description="cut to the head first")
    crop_rule: str = Field(description="how the head is found; empty where nothing is cut")
    pad: int | None = Field(description="side of the square that the slice is centred in first; None for none")
    window: tuple[int, int] | None = Field(description="rows and columns of it that are kept; None for all")
    fitting: Fitting = Field(description="keep: the longer side in mm fills the square, centred; stretch: both do")
    resampling: Resampling = Field(
        description="area: Pillow's BOX where the box shrinks, BICUBIC where it grows, of normalised values, held "
        "within the part's least and largest; linear, cubic: splines without smoothing"
    )
    fill: str = Field(description="what stands beside the slice in the square")
    normalisation: Normalisation = Field(description="of grey values, before the slice is resized")
    normalisation_rule: str = Field(description="its formula, for each sequence of a scan by itself")


class OutputSaid(Record):
    """What the network gives."""

    name: str = Field(description="of the output")
    order: str = Field(description="of its axes")
    names: tuple[str, ...] = Field(description="targets, from the whole tumour inwards, or classes, in order")
    activation: str = Field(description="what has been done to it already")
    thresholds: tuple[float, ...] = Field(description="segmenters: probability from which a pixel belongs to a target")
    mask_values: tuple[int, ...] = Field(description="segmenters: mask value of each target, the innermost one stands")
    meanings: dict[str, str] = Field(description="segmenters: what mask values mean")
    figure: str = Field(description="segmenters: how one figure of a slice or scan is made from the map")
    calibration: dict[str, dict[str, StoredCalibration]] = Field(
        description="segmenters: by scan, scan in three planes or picture and by sequences: chance = 1 / (1 + "
        "exp(-(slope * logit(figure) + offset))), tumour is said from limit on"
    )


class Example(Record):
    """An input and the answer to it, to test an implementation against."""

    file: str = Field(description="a NumPy file")
    sha256: str = Field(description="of the file")


class Preprocessing(Record):
    """All that must be known to use the network without Synthoma."""

    version: Literal["synthoma.preprocessing/1"] = Field(
        default="synthoma.preprocessing/1", validation_alias="schema", serialization_alias="schema"
    )
    kind: Literal["segmenter", "classifier"] = Field(description="what it does")
    model: str = Field(description="its name in Synthoma")
    model_sha256: str = Field(description="SHA-256 of the file that it was made from")
    notice: str = Field(description="what its user must know")
    opset: int | None = Field(description="of ONNX's operators; None for other forms")
    input: InputSaid = Field(description="what it takes")
    missing: MissingSaid = Field(description="sequences that are not there")
    neighbours: NeighboursSaid = Field(description="which slices are seen together")
    framing: FramingSaid = Field(description="how a slice becomes a square")
    output: OutputSaid = Field(description="what it gives")
    example_input: Example = Field(description="squares")
    example_output: Example = Field(description="the answer of Synthoma's own network")
    tolerance: float = Field(description="how far another implementation may lie from that answer")


def input_said(model: Model) -> InputSaid:
    """What the network takes."""
    meta, half = model.bundle.meta, model.context // 2
    plane = meta.prepare.get("plane") or meta.plane or "axial"
    inside = f"cut to 0..{BRIGHTEST:g}" if model.scale == "zero-to-one" else "brought to mean 0 and deviation 1"
    return InputSaid.model_validate(
        {
            "name": "images",
            "type": "float32",
            "order": "batch, channel, row, column",
            "size": model.size,
            "channels": [
                {"slice": offset, "sequence": name} for offset in range(-half, half + 1) for name in meta.modalities
            ],
            "plane": plane,
            "lying": LYING[plane],
            "range": f"0 background, 1 bright tissue, brightest spots above; inside the network they are {inside}",
        }
    )


def neighbours_said(model: Model) -> NeighboursSaid:
    """Which slices are seen together."""
    step = model.bundle.meta.step_mm
    distance = float(step) if step else None
    rule = "none: each slice is seen by itself"
    if model.context > 1:
        rule = (
            "the slice that lies max(1, round(distance_mm / distance between slices)) places on, 1 where a distance is "
            "unknown, blank slices not counted among those there are; where none lies within half of that from there, "
            "the slice that is asked about stands in its place, as for a single picture"
        )
    return NeighboursSaid(count=model.context, distance_mm=distance, rule=rule)


def framing_said(model: Model) -> FramingSaid:
    """How a slice becomes a square."""
    rule = FramingRule.of(model.bundle.meta.prepare or {})
    return FramingSaid(
        crop=rule.crop,
        crop_rule=_CROP if rule.crop else "",
        pad=rule.pad,
        window=rule.window,
        fitting=rule.fitting,
        resampling=rule.resampling,
        fill="the sequence's darkest value in the scan, normalised",
        normalisation=rule.normalise,
        normalisation_rule=_ROBUST if rule.normalise == "robust" else _UNIT,
    )


def output_said(model: Model) -> OutputSaid:
    """What the network gives."""
    meta = model.bundle.meta
    named = {} if model.classifier else meanings(meta.targets)
    return OutputSaid(
        name="probabilities",
        order="batch, class" if model.classifier else "batch, target, row, column",
        names=model.answers,
        activation="softmax has been applied" if model.classifier else "sigmoid has been applied, target by target",
        thresholds=() if model.classifier else meta.threshold,
        mask_values=tuple(named),
        meanings={str(value): name for value, name in named.items()},
        figure=""
        if model.classifier
        else f"of a slice, the mean of the first target's highest {TOP_SHARE:.1%} of pixels, of at least {LEAST_TOP}; "
        "of a scan, the largest mean of two neighbouring slices; a blank slice is 0 and is not shown to the network",
        calibration=meta.calibration,
    )
