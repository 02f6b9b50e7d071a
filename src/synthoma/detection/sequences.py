"""The sequences of a scan as a model knows them: which it is shown, and what a plain picture is taken for."""

from __future__ import annotations

from synthoma.cohorts.slicing import shown_modality
from synthoma.core.errors import ConfigError, InputError
from synthoma.core.types import PLAIN_MODALITY
from synthoma.detection.classes import Classifier
from synthoma.detection.detector import Detector
from synthoma.scans.case import Study


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
