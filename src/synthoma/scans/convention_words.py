"""What mask values mean in somebody's own words: on the command line, in ``dataset.json``, in findings."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from synthoma.core.errors import ConfigError
from synthoma.scans.conventions import CONVENTIONS, MEANINGS, Convention, Meaning


def parsed(text: str) -> Convention:
    """The convention that ``--convention`` gives: a name, or ``1=oedema,2=core,3=enhancing``.

    Raises:
        ConfigError: neither.
    """
    text = text.strip()
    if text in CONVENTIONS:
        return CONVENTIONS[text]
    values: dict[int, Meaning] = {}
    for piece in text.split(","):
        value, found, name = piece.partition("=")
        meaning = next((one for one in MEANINGS if one == meaning_of(name) or one == name.strip().lower()), None)
        try:
            number = int(value.strip().removeprefix("#"), 16) if value.strip().startswith("#") else int(value)
        except ValueError:
            number = -1
        if not found or number < 1 or meaning is None or number in values:
            known = ", ".join(CONVENTIONS)
            raise ConfigError(
                f"a convention ({known}), or values with their meaning such as 1=oedema,2=core,3=enhancing",
                repr(piece if "=" in text else text),
                f"meanings are {', '.join(MEANINGS)}",
            )
        values[number] = meaning
    if (wrong := _senseless(values)) is not None:
        todo = "call every part core, oedema, enhancing or cavity; or use whole-tumour"
        raise ConfigError("parts of the tumour, or the tumour as a whole", f"{text} ({wrong})", todo)
    return Convention("given", "given by the user", values)


def _senseless(values: Mapping[int, Meaning]) -> str | None:
    """Why these meanings cannot be those of a tumour's mask; None where they can."""
    meant = set(values.values())
    if "tumour" in meant and meant & {"core", "oedema", "enhancing"}:
        return "the whole tumour beside its parts"
    return None if meant & {"core", "oedema", "enhancing", "tumour"} else "nothing of it is tumour"


_NAMED: tuple[tuple[str, Meaning], ...] = (
    (r"cavity|resect|\brc\b", "cavity"),
    (r"o?edema|\bed\b|snfh|flair|peritumou?ral|infiltrat|hyperintens", "oedema"),
    (r"non[-_ ]?enhanc|necro|\bncr\b|\bnet\b|\bnetc\b|\bnecr\b|cyst|\bcc\b", "core"),
    (r"enhanc|\bet\b|active", "enhancing"),
    (r"core|\btc\b", "core"),
    (r"tumou?r|lesion|gtv|glioma|mening|metasta|mass|whole|\bwt\b|neoplas|abnormal", "tumour"),
    (r"^(background|(normal |healthy )?(brain|tissue)|normal|healthy|air|none|unlabelled|clear label)$", "background"),
)


def meaning_of(name: str) -> Meaning | None:
    """What a label's name means; None where nothing is known of it."""
    text = re.sub(r"[_\s]+", " ", name.lower()).strip()
    return next((meaning for pattern, meaning in _NAMED if re.search(pattern, text)), None)


@dataclass(frozen=True)
class Description:
    """What a ``dataset.json`` of nnU-Net or the Medical Segmentation Decathlon says.

    Attributes:
        channels: name of each channel, in order; empty where it names none.
        convention: what label values mean; None where it names none.
        names: label values with the names as they stand, but for the background.
        unclear: names of labels that nobody here understands.
    """

    channels: tuple[str, ...]
    convention: Convention | None
    names: Mapping[int, str]
    unclear: tuple[str, ...] = ()


def described(text: str) -> Description | None:
    """Read the text of a ``dataset.json``; None where it is none of these.

    Labels are read in all three forms: ``{"1": "edema"}``, ``{"edema": 1}``, and regions such as
    ``{"whole tumor": [1, 2, 3], "tumor core": [2, 3], "enhancing tumor": 3}``.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return Description((), None, {}, ("the file, which cannot be read",))
    if not isinstance(content, dict):
        return None
    channels = content.get("channel_names", content.get("modality"))
    labels = content.get("labels")
    if not isinstance(channels, dict) and not isinstance(labels, dict):
        return None
    named = _channels(channels) if isinstance(channels, dict) else ()
    pairs = _label_pairs(labels) if isinstance(labels, dict) else []
    meanings: dict[int, Meaning] = {}
    unclear: list[str] = []
    parted = not {meaning_of(name) for name, values in pairs if any(values)}.isdisjoint({"core", "oedema", "enhancing"})
    # Regions contain one another: the smaller is the more specific.
    for name, values in sorted(pairs, key=lambda pair: -len(pair[1])):
        meaning = meaning_of(name)
        if meaning is None:
            unclear += [name] if any(values) else []
            continue
        region = len(values) > 1
        for value in values:
            if value:
                # What the whole tumour holds beyond its inner regions is oedema; where none is named, all is tumour.
                inner: Meaning = "oedema" if region and parted and meaning == "tumour" else meaning
                meanings[value] = inner
    names = {value: name for name, values in pairs if len(values) == 1 for value in values if value}
    # Regions overlap: a single value has no name of its own then.
    if any(len(values) > 1 for _, values in pairs):
        names = {}
    whole = set(meanings.values()) <= {"tumour"}
    if meanings and not unclear and (wrong := _senseless(meanings)) is not None:
        unclear.append(wrong)
    convention = None
    if meanings and not unclear:
        convention = Convention("dataset.json", "dataset.json", {} if whole and len(meanings) == 1 else meanings)
    return Description(named, convention, names, tuple(unclear))


def _channels(content: Mapping[str, object]) -> tuple[str, ...]:
    try:
        return tuple(str(content[key]) for key in sorted(content, key=int))
    except ValueError:
        return ()


def _label_pairs(labels: Mapping[str, object]) -> list[tuple[str, tuple[int, ...]]]:
    """Names with their values, in any of the three forms."""
    pairs: list[tuple[str, tuple[int, ...]]] = []
    for key, value in labels.items():
        if str(key).isdecimal() and isinstance(value, str):
            pairs.append((value, (int(key),)))
        elif isinstance(value, (int, str)) and str(value).isdecimal():
            pairs.append((str(key), (int(value),)))
        elif isinstance(value, list) and all(str(one).isdecimal() for one in value):
            pairs.append((str(key), tuple(int(one) for one in value)))
    return pairs
