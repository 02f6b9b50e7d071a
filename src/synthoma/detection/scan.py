"""One scan seen by one model: loading, choosing channels, asking, and what follows from the answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from synthoma.cohorts.squares import Framing, FramingRule, frame, from_squares, to_squares
from synthoma.core.errors import InputError, SynthomaError
from synthoma.core.types import HEALTHY, Float32
from synthoma.detection.classes import Classifier, opened
from synthoma.detection.detector import Detector
from synthoma.detection.gate import Gated, gated
from synthoma.detection.inside import brain_of_squares, confined, learned_from_gliomas, tissue_probabilities
from synthoma.detection.margin import SEQUENCE, refined
from synthoma.detection.planes import Votes, joined
from synthoma.detection.seen import Seen, kind_of
from synthoma.detection.sequences import fitted, guessed_sequence
from synthoma.detection.settings import DetectConfig
from synthoma.detectors.segmenters.chances import calibration_of
from synthoma.detectors.segmenters.label_maps import label_map
from synthoma.detectors.segmenters.tissues import TissueMap, on_grid, shipped_tissues, stripped
from synthoma.scans.case import Case, Study, unlike_a_head


def look(case: Case, detector: Detector, options: DetectConfig) -> Seen:
    """Load a scan and ask the model.

    Raises:
        InputError: a scan that cannot be read, or whose modalities the model cannot do without.
    """
    loaded = _as_learned(case.load(), detector.rule)
    study, remarks = fitted(loaded, detector, options.shows)
    guessed = guessed_sequence(loaded, detector, options.shows)
    remarks += loaded.remarks
    framing = frame(study, detector.modalities, size=detector.shape.size, plane=detector.plane, rule=detector.rule)
    pixels = to_squares(framing)
    # Only where left and right are columns is a mirrored slice a head that may be.
    maps = detector.probabilities(pixels, framing.step_mm, flip=options.flip and framing.plane != "sagittal")
    votes = joined(maps, study, framing, detector) if options.planes else Votes(maps, (framing.plane,))
    if guessed is not None:  # nobody says that it is FLAIR, whose brightness tells where a tumour ends
        options = options.model_copy(update={"refine": False})
    maps, tissues, told = _of_the_head(study, framing, pixels, votes.maps, detector, options)
    remarks += told
    gate = _gate(loaded, framing, maps, detector, options)
    if gate is not None:
        maps = gate.maps
        remarks += [gate.remark] if gate.remark else []
    probabilities = from_squares(maps, framing)
    thresholds = _thresholds(detector, options)
    remarks += _unknown_of(framing, detector)
    labels = label_map(probabilities, thresholds, detector.targets)
    if tissues is not None:
        tissues = tissues.with_tumour(labels > 0)
    asked = "planes" if len(votes.planes) > 1 else kind_of(framing)
    calibration = calibration_of(detector.calibrations, asked, tuple(framing.images), guessed=guessed is not None)
    if detector.calibrations and calibration is None:
        shown = ", ".join(framing.images)
        remarks.append(f"from {shown} alone this model cannot tell scans with tumour from those without: trust nothing")
    # Who sets a threshold sets it for the scan too.
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
        planes=votes.planes,
        tissues=tissues,
        gate=None if gate is None else gate.chances,
    )
    if seen.has_tumour != bool(seen.mask.any()):
        remarks.append(
            "something was outlined, but no more clearly than in scans without tumour: look at it"
            if seen.mask.any()
            else "the scan says tumour, but no pixel reached the threshold: look at the picture"
        )
        seen = replace(seen, remarks=tuple(remarks))
    return _with_type(seen, loaded, options, detector.rule)


def _as_learned(study: Study, rule: FramingRule) -> Study:
    """A scan without its skull, for a model that learned from such scans; as it is where no brain is found for sure."""
    if not rule.strip:
        return study
    try:
        return stripped(study)
    except InputError:
        told = "the model learned from stripped scans, but no brain was found for sure: it saw the whole head"
        return replace(study, remarks=(*study.remarks, told))


def _of_the_head(
    study: Study, framing: Framing, pixels: Float32, maps: Float32, detector: Detector, options: DetectConfig
) -> tuple[Float32, TissueMap | None, list[str]]:
    """Maps inside the brain and inside a tumour's margin; the head's tissues, where asked for; what is to be said."""
    thresholds = _thresholds(detector, options)
    # Where nothing is outlined there is nothing to leave out.
    outlined = bool((maps[:, 0] >= thresholds[0]).any())
    ours = outlined and learned_from_gliomas(detector) and shipped_tissues().takes(framing)
    remarks: list[str] = []
    if ours and (options.inside_brain or options.refine):
        brain = brain_of_squares(framing, pixels)
        if options.inside_brain:
            inside = confined(maps, thresholds, brain)
            maps, remarks = inside.maps, [inside.remark]
        if options.refine and SEQUENCE in framing.images:
            shown = pixels[:, framing.modalities.index(SEQUENCE)]
            drawn = refined(maps, thresholds, shown, brain, framing.pixel_ml)
            maps, remarks = drawn.maps, [*remarks, drawn.remark]
    remarks = [remark for remark in remarks if remark]
    tissues = None
    if options.tissues:
        squares, chances = tissue_probabilities(study, framing, pixels)
        tissues = on_grid(chances, squares)
        if not tissues.sure:
            remarks.append("no brain was found for sure: do not rely on the map of tissues")
    return maps, tissues, remarks


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
    if framing.source is not None and (said := unlike_a_head(framing.pixel_mm, framing.shape[1:])):
        remarks.append(said)
    if detector.context > 1 and framing.shape[0] == 1:
        remarks.append("the model compares neighbouring slices; here it saw the one slice in their place too")
    return remarks


def _thresholds(detector: Detector, options: DetectConfig) -> tuple[float, ...]:
    """Probability from which a pixel belongs to each target: the model's own, or the user's."""
    return detector.thresholds if options.threshold is None else (options.threshold,) * len(detector.thresholds)


def _for_classifier(
    loaded: Study, classifier: Classifier, options: DetectConfig, detector_rule: FramingRule
) -> tuple[Study, list[str]]:
    """A scan as a classifier knows scans, and what is to be said of it.

    Raises:
        InputError: none of its modalities.
    """
    shows = options.shows if options.shows in classifier.modalities else None
    return fitted(loaded if detector_rule.strip else _as_learned(loaded, classifier.rule), classifier, shows)


def _gate(loaded: Study, framing: Framing, maps: Float32, detector: Detector, options: DetectConfig) -> Gated | None:
    """What passes the classifier that looks first; None without one.

    Raises:
        InputError: it cannot look at this scan. Outlines that nobody looked at first would be another thing than asked.
    """
    if options.gate is None:
        return None
    classifier = opened(options.gate)
    shown_to, _ = _for_classifier(loaded, classifier, options, detector.rule)
    return gated(shown_to, framing, maps, _thresholds(detector, options), classifier, options.gate_limit)


def _with_type(seen: Seen, loaded: Study, options: DetectConfig, detector_rule: FramingRule) -> Seen:
    """The same with the chances of each type, where the scan shows tumour and somebody asked for its type.

    Types are kinds of tumour: what a classifier says for its healthy classes is told in words, and its other classes
    share the rest, so that no finding says tumour and healthy at once.
    """
    if options.type_model is None or not seen.mask.any() or not seen.has_tumour:
        return seen
    classifier = opened(options.type_model)
    try:
        shown_to, more = _for_classifier(loaded, classifier, options, detector_rule)
        outlined = np.asarray(seen.in_plane(seen.mask).any(axis=(1, 2)))
        chances = classifier.of_study(shown_to, outlined, seen.framing.plane)
    except SynthomaError as error:  # what was outlined stays
        return replace(seen, remarks=(*seen.remarks, f"its type is not told: {error}"))
    told = [f"for its type: {text}" for text in more if text not in seen.remarks]
    types = dict(zip(classifier.classes, (float(chance) for chance in chances), strict=True))
    kinds = {name: chance for name, chance in types.items() if name.lower() not in HEALTHY}
    rest = sum(kinds.values())
    if not rest:
        told.append(
            "its type is not told: the classifier of types knows no kind of tumour, or is sure that this is none"
        )
        return replace(seen, remarks=(*seen.remarks, *told))
    if rest < 0.5:
        told.append(
            f"the classifier of types takes slices with tumour for healthy (probability {1 - rest:.2f}): look at them"
        )
    return replace(seen, types={name: chance / rest for name, chance in kinds.items()}, remarks=(*seen.remarks, *told))
