"""One scan seen by one model: loading, choosing channels, asking, and what follows from the answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from synthoma.cohorts.squares import Framing, frame, from_squares, to_squares
from synthoma.core.errors import SynthomaError
from synthoma.detection.classes import opened
from synthoma.detection.detector import Detector
from synthoma.detection.seen import Seen, kind_of
from synthoma.detection.sequences import fitted, guessed_sequence
from synthoma.detection.settings import DetectConfig
from synthoma.detectors.segmenters.chances import calibration_of
from synthoma.detectors.segmenters.label_maps import label_map
from synthoma.scans.case import Case, Study


def look(case: Case, detector: Detector, options: DetectConfig) -> Seen:
    """Load a scan and ask the model.

    Raises:
        InputError: a scan that cannot be read, or whose modalities the model cannot do without.
    """
    loaded = case.load()
    study, remarks = fitted(loaded, detector, options.shows)
    guessed = guessed_sequence(loaded, detector, options.shows)
    remarks += loaded.remarks
    framing = frame(study, detector.modalities, size=detector.shape.size, plane=detector.plane, rule=detector.rule)
    pixels = to_squares(framing)
    # Only where left and right are columns is a mirrored slice a head that may be.
    maps = detector.probabilities(pixels, framing.step_mm, flip=options.flip and framing.plane != "sagittal")
    probabilities = from_squares(maps, framing)
    thresholds = detector.thresholds
    if options.threshold is not None:
        thresholds = (options.threshold,) * len(thresholds)
    remarks += _unknown_of(framing, detector)
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
    return _with_type(seen, loaded, options)


def _unknown_of(framing: Framing, detector: Detector) -> list[str]:
    """What nobody knows of a scan's place, thickness and neighbours, and what was done about it."""
    remarks = []
    if framing.source is None:
        remarks.append(
            "the file says nothing of size and place: sizes are in pixels, and the left of the image is taken for the "
            "patient's right (radiological convention)"
        )
    elif not framing.source.thick:
        remarks.append("the file does not say how thick its slice is: the tumour's size is in pixels, not mm3")
    if detector.context > 1 and framing.shape[0] == 1:
        remarks.append("the model compares neighbouring slices; here it saw the one slice in their place too")
    return remarks


def _with_type(seen: Seen, loaded: Study, options: DetectConfig) -> Seen:
    """The same with the chances of each type, where a tumour was outlined and somebody asked for its type."""
    if options.type_model is None or not seen.mask.any():
        return seen
    classifier = opened(options.type_model)
    shows = options.shows if options.shows in classifier.modalities else None
    try:
        shown_to, more = fitted(loaded, classifier, shows)
        outlined = np.asarray(seen.in_plane(seen.mask).any(axis=(1, 2)))
        chances = classifier.of_study(shown_to, outlined, seen.framing.plane)
    except SynthomaError as error:  # what was outlined stays
        return replace(seen, remarks=(*seen.remarks, f"its type is not told: {error}"))
    types = {name: float(chance) for name, chance in zip(classifier.classes, chances, strict=True)}
    told = [f"for its type: {text}" for text in more if text not in seen.remarks]
    return replace(seen, types=types, remarks=(*seen.remarks, *told))
