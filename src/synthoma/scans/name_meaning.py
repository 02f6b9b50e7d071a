"""What the tokens of a name tell of its file: sequence, mask or image, by whom it was drawn, and why it is another."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Literal, TypedDict

from synthoma.scans.name_tokens import Token, means

Role = Literal["image", "mask", "other"]
_TARGET = re.compile(r"(?:to|in|on|onto|2|reg[a-z]*|coreg[a-z]*|space|warped)$", re.IGNORECASE)
"""What stands before the name of the grid onto which an image was brought."""

_OF_THE_HEAD = frozenset(
    {"bet", "brain", "head", "stripped", "skullstripped", "hdbet", "synthstrip", "ss", "defaced", "defacing"}
)
"""Words that beside "mask" make it one of the head, not of a tumour."""


class Told(TypedDict):
    """What the words of a name tell, named as in ``names.Part``."""

    role: Role | None
    sequence: str | None
    rank: int
    tumour: bool
    explicit: bool
    variant: tuple[str, ...]
    phase: str
    why: str


def told_by(tokens: list[Token]) -> Told:
    """Role, sequence, rank, variant, phase and why."""
    kinds = [token.word.kind if token.word else None for token in tokens]
    sequence = _sequence(tokens)
    said = bool(tokens) and ("mask" in kinds or kinds[-1] == "machine")
    called = bool(kinds) and kinds[-1] == "tumour" and (len(kinds) > 1 or tokens[0].text.startswith(("tumo", "lesion")))
    why = _why_other(tokens, sequence)
    role: Role | None = "other" if why else "mask" if said or called else "image" if sequence else None
    rank = 0 if "manual" in kinds else 2 if "machine" in kinds or _by_machine(tokens) else 1 if said else 3
    kept = ("variant",) if sequence else ("variant", "contrast", "plain")
    phase = next((token.text for token in tokens if token.word and token.word.kind == "phase"), "")
    return {
        "role": role,
        "sequence": sequence,
        "rank": rank,
        "tumour": _says_tumour(tokens),
        "explicit": any(names_sequence(token) for token in tokens if means(token, {"sequence"})),
        "variant": tuple(token.text for token in tokens if token.word and token.word.kind in kept),
        "phase": "" if sequence in ("t1", "t1c") else phase,
        "why": why,
    }


def _says_tumour(tokens: list[Token]) -> bool:
    return any(
        means(token, {"tumour"}) or (token.word is not None and part in token.text)
        for token in tokens
        for part in ("tumo", "lesion", "gtv")
    )


def _why_other(tokens: list[Token], sequence: str | None) -> str:
    """The word that makes a file neither an image that is asked for nor a mask of the tumour."""
    for token in tokens:
        kind = token.word.kind if token.word else None
        if kind == "chance" or (kind == "other" and (len(token.text) > 2 or not sequence)):
            return token.text
    # "brain tumour mask" is one of the tumour, and only "brain mask" one of the head.
    if _says_tumour(tokens):
        return ""
    for one, two in pairwise(tokens):
        words = {token.text for token in (one, two) if token.word and token.word.kind == "mask"}
        if words and {one.text, two.text} & _OF_THE_HEAD:
            return " ".join((one.text, two.text))
    return next((token.text for token in tokens if token.word and token.word.kind == "organ"), "")


def _by_machine(tokens: list[Token]) -> bool:
    """A tool's own name, where nobody says that a person corrected it."""
    return any(token.text == "glistrboost" for token in tokens)


def _sequence(tokens: list[Token]) -> str | None:
    """The sequence that a file shows: the first that is named as such, with what is said of a contrast agent.

    One that stands behind "to", "in" or "reg" is the grid onto which the file was brought, and one that is named by its
    technique ("Bravo") gives way to one that is named as a sequence.
    """
    places = [
        place for place, token in enumerate(tokens) if means(token, {"sequence"}) and not _is_target(tokens, place)
    ]
    if not places:
        return None
    place = next((place for place in places if names_sequence(tokens[place])), places[0])
    word = tokens[place].word
    assert word is not None
    if word.value != "t1":
        return word.value
    # Three words around: further away, "native" may belong to a folder or a person.
    near = tokens[max(0, place - 3) : place] + tokens[place + 1 : place + 4]
    if any(means(token, {"plain"}) for token in near):
        return "t1"
    # A short word in front may be somebody's initials: "KM_T1".
    said = [token for at, token in enumerate(tokens) if means(token, {"contrast"}) and (at or len(token.text) > 3)]
    beside = tokens[place + 1 : place + 2] + (tokens[place - 1 : place] if place > 1 else [])
    phase = [token.text for token in beside if means(token, {"phase"})]
    return "t1c" if said or phase == ["post"] else "t1"


def _is_target(tokens: list[Token], place: int) -> bool:
    """Whether a sequence only names the grid onto which another was brought."""
    behind = place > 0 and _TARGET.match(tokens[place - 1].text) is not None
    return behind and any(means(token, {"sequence"}) for token in tokens[:place])


def names_sequence(token: Token) -> bool:
    """Whether a sequence is named as such, and not by the technique that it is taken with."""
    return any(part in token.text for part in ("t1", "t2", "fla", "flr", "dark", "tirm")) or token.text == "fl"
