"""One scan seen by one model: loading, choosing channels, asking, and what follows from the answer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from synthoma.cohorts.slicing import shown_modality
from synthoma.cohorts.squares import Framing, frame, from_squares, to_squares
from synthoma.core.errors import ConfigError, InputError, SynthomaError
from synthoma.core.types import PLAIN_MODALITY, REGIONS, Bools, Bytes, Float32, Floats, tumour_of
from synthoma.detection.classes import Classifier, opened
from synthoma.detection.detector import Detector
from synthoma.detection.findings import (
    dice,
    label_map,
    meanings,
    measurements,
    side,
    target_masks,
    tidy,
)
from synthoma.detection.settings import DetectConfig
from synthoma.detectors.segmenters.chances import (
    Calibration,
    Kind,
    calibration_of,
    scan_probability,
    slice_probabilities,
)
from synthoma.scans.case import Case, Study
from synthoma.scans.orientation import from_plane, to_lps, to_plane


@dataclass(frozen=True)
class Seen:
    """A scan with the model's answer.

    Attributes:
        case: the scan.
        study: as loaded, with its modalities named as the model knows them.
        framing: how its slices became squares.
        pixels: the squares, (n, C, S, S).
        maps: probabilities over the squares, (n, T, S, S).
        probabilities: the same on the scan's own grid, (T, z, y, x).
        labels: mask on the scan's own grid, (z, y, x), see ``findings.label_map``.
        targets: what the maps show.
        thresholds: probability from which a pixel belongs to each target.
        calibration: what the model's figures mean for such a scan; None where nobody measured it.
        limit: probability from which the scan is said to show tumour.
        guessed: the sequence that a picture was taken for without saying so itself; else None.
        types: probability of each class, where a classifier was asked; else empty.
        remarks: what the reader of the result should know.
    """

    case: Case
    study: Study
    framing: Framing
    pixels: Float32
    maps: Float32
    probabilities: Float32
    labels: Bytes
    targets: tuple[str, ...]
    thresholds: tuple[float, ...]
    calibration: Calibration | None
    limit: float
    guessed: str | None
    types: dict[str, float]
    remarks: tuple[str, ...]

    @property
    def pictures(self) -> bool:
        """Whether the scan is a picture or a stack of them, and so has no geometry."""
        return self.study.geometry is None

    @property
    def kind(self) -> Kind:
        """Whether it is a scan of several slices or a single picture."""
        return kind_of(self.framing)

    @cached_property
    def mask(self) -> Bools:
        """Whole tumour (z, y, x)."""
        return self.labels > 0

    @cached_property
    def regions(self) -> dict[str, Bools]:
        """Region of each target."""
        return target_masks(self.labels, self.targets)

    @cached_property
    def slices(self) -> Floats:
        """The network's figure of each slice, in the order of ``framing``: see ``slice_probabilities``."""
        return slice_probabilities(self.maps[:, 0])

    @cached_property
    def slice_chances(self) -> Floats:
        """Probability of tumour that each slice speaks for, on the scale of ``probability``."""
        return self.slices if self.calibration is None else self.calibration.chance(self.slices)

    @cached_property
    def probability(self) -> float:
        """Probability that the scan shows tumour, if half of all scans did."""
        figure = scan_probability(self.slices)
        return figure if self.calibration is None else float(self.calibration.chance(np.array(figure)))

    @property
    def has_tumour(self) -> bool:
        """Whether the scan as a whole says so, which is more than a pixel of its mask."""
        return self.probability >= self.limit

    def in_plane(self, array: Bools) -> Bools:
        """A mask (z, y, x) of the scan's grid as (slices, rows, columns) of ``framing``."""
        stand_in: Study = Study({PLAIN_MODALITY: array}, self.study.geometry)
        return to_plane(to_lps(stand_in), self.framing.plane)[0][PLAIN_MODALITY]

    def slice_name(self, z: int) -> str | None:
        """Name of the file that a slice is, where slices are files."""
        names = self.case.slice_names
        return names[z] if self.pictures and len(names) == self.framing.shape[0] else None


def look(case: Case, detector: Detector, options: DetectConfig) -> Seen:
    """Load a scan and ask the model.

    Raises:
        InputError: a scan that cannot be read, or whose modalities the model cannot do without.
    """
    loaded = case.load()
    study, remarks = fitted(loaded, detector, options.shows)
    guessed = guessed_sequence(loaded, detector, options.shows)
    remarks += loaded.remarks
    framing = frame(
        study,
        detector.modalities,
        size=detector.shape.size,
        plane=detector.plane,
        crop=detector.crop,
        normalise=detector.normalise,
    )
    pixels = to_squares(framing)
    # Only where left and right are columns is a mirrored slice a head that may be.
    maps = detector.probabilities(pixels, framing.step_mm, flip=options.flip and framing.plane != "sagittal")
    probabilities = from_squares(maps, framing)
    thresholds = detector.thresholds
    if options.threshold is not None:
        thresholds = (options.threshold,) * len(thresholds)
    if framing.source is None:
        remarks.append(
            "the file says nothing of size and place: sizes are in pixels, and the left of the image is taken for the "
            "patient's right (radiological convention)"
        )
    elif not framing.source.thick:
        remarks.append("the file does not say how thick its slice is: the tumour's size is in pixels, not mm3")
    if detector.context > 1 and framing.shape[0] == 1:
        remarks.append("the model compares neighbouring slices; here it saw the one slice in their place too")
    labels = label_map(probabilities, thresholds, detector.targets)
    calibration = calibration_of(
        detector.calibrations, kind_of(framing), tuple(framing.images), guessed=guessed is not None
    )
    if detector.calibrations and calibration is None:
        shown = ", ".join(framing.images)
        remarks.append(f"from {shown} alone this model cannot tell scans with tumour from those without: trust nothing")
    limit = thresholds[0] if calibration is None or options.threshold is not None else calibration.limit
    seen = Seen(
        case=case,
        study=study,
        framing=framing,
        pixels=pixels,
        maps=maps,
        probabilities=probabilities,
        labels=labels,
        targets=detector.targets,
        thresholds=thresholds,
        calibration=calibration,
        limit=limit,
        guessed=guessed,
        types={},
        remarks=tuple(remarks),
    )
    if seen.has_tumour != bool(seen.mask.any()):
        remarks.append(
            "something was outlined, but no more clearly than in scans without tumour: look at it"
            if seen.mask.any()
            else "the scan says tumour, but no pixel reached the threshold: look at the picture"
        )
        seen = replace(seen, remarks=tuple(remarks))
    if options.type_model is None or not seen.mask.any():
        return seen
    classifier = opened(options.type_model)
    shows = options.shows if options.shows in classifier.modalities else None
    try:
        shown_to, more = fitted(loaded, classifier, shows)
        chances = classifier.of_study(shown_to, np.asarray(seen.in_plane(seen.mask).any(axis=(1, 2))), framing.plane)
    except SynthomaError as error:  # what was outlined stays
        return replace(seen, remarks=(*remarks, f"its type is not told: {error}"))
    types = {name: float(chance) for name, chance in zip(classifier.classes, chances, strict=True)}
    told = [f"for its type: {text}" for text in more if text not in remarks]
    return replace(seen, types=types, remarks=(*remarks, *told))


def kind_of(framing: Framing) -> Kind:
    """Whether a scan has several slices, or is a picture alone."""
    return "scan" if framing.shape[0] > 1 else "picture"


def plain_stands_for(model: Detector | Classifier, shows: str | None) -> str:
    """The modality that a plain picture is taken for.

    Raises:
        ConfigError: the model does not know the one that is asked for.
    """
    known = model.modalities
    if shows is not None and shows not in known:
        raise ConfigError(f"a sequence that the model knows ({', '.join(known)})", repr(shows), "choose one of them")
    if PLAIN_MODALITY in known and shows is None:
        return PLAIN_MODALITY
    return shows or ("flair" if "flair" in known else known[0])


def guessed_sequence(study: Study, model: Detector | Classifier, shows: str | None) -> str | None:
    """The sequence that a plain picture is taken for although neither it nor the user says so; None for others."""
    stands_for = plain_stands_for(model, shows)
    guess = shows is None and PLAIN_MODALITY in study.images and stands_for not in (PLAIN_MODALITY, *study.images)
    return stands_for if guess else None


def fitted(study: Study, model: Detector | Classifier, shows: str | None) -> tuple[Study, list[str]]:
    """A study with the modalities that the model knows, and what was done for that.

    A plain picture stands for one of the model's sequences. A model of plain pictures is shown one sequence of a scan.

    Raises:
        InputError: none of the model's modalities, or some are missing that it cannot do without.
    """
    images, known, remarks = dict(study.images), model.modalities, list[str]()
    stands_for = plain_stands_for(model, shows)
    if PLAIN_MODALITY in images and stands_for != PLAIN_MODALITY and stands_for not in images:
        images[stands_for] = images.pop(PLAIN_MODALITY)
        if shows is None:
            said = "what is found in any other sequence means little"
            remarks.append(f"the file does not say which sequence it shows; it is taken for {stands_for}: {said}")
        else:
            remarks.append(f"the file does not say which sequence it shows; as you said, it is taken for {shows}")
    if known == (PLAIN_MODALITY,) and PLAIN_MODALITY not in images:
        chosen = shown_modality(tuple(images))
        images = {PLAIN_MODALITY: images[chosen]}
        remarks.append(f"the model knows plain pictures only; it is shown {chosen}")
    present = [name for name in known if name in images]
    missing = [name for name in known if name not in images]
    ignored = [name for name in images if name not in known]
    if not present:
        came = ", ".join(images)
        raise InputError(f"one of the modalities {', '.join(known)}", came, "use a model that knows these")
    if missing and not model.any_subset:
        came = f"a scan without {', '.join(missing)}"
        todo = "add them, or use a model that was trained with channel dropout"
        raise InputError(f"all modalities of the model ({', '.join(known)})", came, todo)
    if missing:
        remarks.append(f"missing: {', '.join(missing)}; the model worked from {', '.join(present)} alone")
    if ignored:
        remarks.append(f"not used, since the model does not know it: {', '.join(ignored)}")
    kept = {name: images[name] for name in present}
    return Study(kept, study.geometry, study.mask, study.labels), remarks


def describe(seen: Seen) -> dict[str, Any]:
    """What was found, as findings.json says it; None stands where there is nothing to say, never NaN."""
    framing = seen.framing
    axis = framing.source_slice(0)[0]
    lps = from_plane(seen.in_plane(seen.mask), framing.plane)
    where, shift = side(lps, from_plane(framing.images[shown_modality(tuple(framing.images))], framing.plane))
    return {
        "probability": tidy(seen.probability),
        "says_tumour_from": tidy(seen.limit),
        "calibrated": seen.calibration is not None,
        "has_tumour": seen.has_tumour,
        "has_mask": bool(seen.mask.any()),
        **measurements(seen.regions, framing.source, axis, framing.pixel_mm),
        "side": where,
        "left_of_midline": tidy(shift),
        "slice_axis": "zyx"[axis],
        "index_convention": "slices and voxels are counted from 0, as the scan's file holds them",
        "slices": _tumour_slices(seen),
        "slice_probabilities": _slice_list(seen),
        "labels": {str(value): name for value, name in meanings(seen.targets).items()},
        "type": max(seen.types, key=lambda name: seen.types[name]) if seen.types else None,
        "type_probabilities": {name: tidy(chance) for name, chance in seen.types.items()},
        "modalities": list(framing.images),
        "missing": list(framing.missing),
        "taken_for": seen.guessed,
        **_agreement(seen),
    }


def _tumour_slices(seen: Seen) -> list[dict[str, Any]]:
    """The slices with predicted tumour, in the order of the source."""
    layers, found = seen.in_plane(seen.mask), []
    for z, layer in enumerate(layers):
        if layer.any():
            name = seen.slice_name(z)
            found.append(
                {
                    "slice": seen.framing.source_slice(z)[1],
                    **({} if name is None else {"name": name}),
                    "probability": tidy(float(seen.slice_chances[z])),
                    "pixels": int(layer.sum()),
                }
            )
    return sorted(found, key=lambda one: int(one["slice"]))


def _slice_list(seen: Seen) -> list[float | None]:
    """Probability of every slice, in the order of the source."""
    order = np.argsort([seen.framing.source_slice(z)[1] for z in range(len(seen.slices))])
    return [tidy(float(value)) for value in seen.slice_chances[order]]


def _agreement(seen: Seen) -> dict[str, Any]:
    """Dice with the case's own mask, where it has one; a cavity in it is no tumour."""
    truth = seen.study.mask
    if truth is None:
        return {}
    scores = {seen.targets[0]: dice(seen.mask, tumour_of(truth))}
    if set(REGIONS.values()) <= set(seen.study.labels.values()):
        value_of = {name: value for value, name in seen.study.labels.items()}
        inner = {"core": ("core", "enhancing"), "enhancing": ("enhancing",)}
        for target in seen.targets[1:]:
            if target in inner:
                real = np.isin(truth, [value_of[name] for name in inner[target]])
                scores[target] = dice(seen.regions[target], real)
    return {
        "dice": {name: tidy(value) for name, value in scores.items()},
        "dice_convention": "over the whole scan on its own grid, all slices counted; 1 where both masks are empty",
    }
