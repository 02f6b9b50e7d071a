"""What the tokens of a name tell of its file: sequence, mask or image, by whom it was drawn, and why it is another."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Literal, TypedDict

from synthoma.scans.name_tokens import Token, means
from synthoma.scans.sequence_names import is_word_of_scanners, judged

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


def as_described(text: str, tokens: list[Token], patient: tuple[int, int], told: Told) -> Told:
    """What a name tells, with the words around its sequence read as the description of a series.

    Converters name a volume after its series, and there one word is not enough: ``Ax_T2_FLAIR`` is no T2,
    ``t2_fl2d_tra_hemo`` no FLAIR, and ``+C_Ax_T1`` no plain T1.

    Args:
        text: the name.
        tokens: it in tokens.
        patient: where somebody's known name stands in it, start and end; twice the same number where none does.
        told: what its words tell, each by itself.
    """
    found = told["sequence"]
    if told["role"] != "image" or found is None:
        return told
    described = _description(text, tokens, patient)
    if len(described) < 6 and described.isalnum():  # a word alone, as "t1ce": the vocabulary knows it, and is quicker
        return told
    judgement = judged(described)
    meant = judgement.sequence
    if meant is None or meant == found:
        return told
    if meant == "image":
        # "T1-C" and "T1c_pre" say T1 with contrast in the names of files; only there a minus joins words.
        joined = found == "t1c" and not _BOTH.search(described)
        return told if joined else {**told, "role": "other", "why": _plainly(described)}
    without = judgement.by == "words" and (_MINUS.search(described) or not _GLUED.search(described))
    if (found, meant) in (("t2", "flair"), ("t1", "t1c")) or ((found, meant) == ("t1c", "t1") and without):
        return {**told, "sequence": meant}
    return told


_MINUS = re.compile(r"(?:c|ce|gd|gad|km)-(?![a-z0-9])|(?<![a-z0-9])-(?:c|ce|gd|gad|km)(?![a-z0-9])", re.IGNORECASE)
_GLUED = re.compile(r"t1w?[-_ ]?(?:c|ce|gd|gad|gado|km|k|post)(?![a-z])", re.IGNORECASE)
_BOTH = re.compile(
    r"\+ ?/ ?-|(?:and|et|und|y|e|en|og|och|or)[-_ ]|wo(?![a-z])|pre[-_ ]?post|post[-_ ]?pre|(?<![a-z])sub|t2",
    re.IGNORECASE,
)
_COUNTED = re.compile(r"(?<![a-z])(?:b|cont|contr)[-_ ]*\d+(?![a-z0-9])|(?<![a-z])fa$", re.IGNORECASE)
"""Numbered people, and initials, that in a description were b-values, contrast agents and maps of anisotropy."""

_AIMED = re.compile(
    r"[-_ .](?:to|in|on|onto|2|reg|registered|coreg|coregistered|space|warped)[-_ .]*(?:sri24|sri|mni152|mni|atlas"
    r"|(?:t1|t2|flair)[a-z]{0,4})(?![a-z0-9])",
    re.IGNORECASE,
)
"""The grid onto which a file was brought: no part of what it shows."""


def _description(text: str, tokens: list[Token], patient: tuple[int, int]) -> str:
    """The part of a name that describes a series: words of scanners up to the sequence, and all behind it."""
    place = next((place for place, token in enumerate(tokens) if means(token, {"sequence"})), None)
    if place is None:
        return ""
    low = place
    while low > 0 and not tokens[low - 1].number and _of_scanners(tokens[low - 1]):
        low -= 1
    # In front two letters may be somebody's initials, and "sub" is a subject: "KM_T1", "sub_T1".
    if low == 0 and place > 0 and _may_be_somebody(tokens[0], tokens[1]):
        low = 1
    start, end = tokens[low].start, len(text)
    # A sign belongs to the word behind it.
    while start > 0 and text[start - 1] in "+-" and (start == 1 or text[start - 2] in "_ "):
        start -= 1
    if start <= patient[0] < patient[1]:
        text = text[: patient[0]] + " " + text[patient[1] :]
        end = len(text)
    return _COUNTED.sub(" ", _AIMED.sub(" ", text[start:end]).replace("processed", " "))


def _may_be_somebody(first: Token, second: Token) -> bool:
    """Whether the first word of a name may be initials or "sub" for a subject, and not a part of the description."""
    if first.text.lower() == "sub":
        return not (second.word is not None and second.text in _PLANES)
    return len(first.text) == 2 and first.text.isalpha() and first.text.lower() not in _PLANES


_PLANES = frozenset({"ax", "axial", "axt1", "axt2", "sag", "sagittal", "sagt1", "cor", "coronal", "cort1", "tra", "3d"})


def _of_scanners(token: Token) -> bool:
    """Whether a word is one of those that describe series."""
    if token.word is not None:
        return token.word.kind in ("sequence", "contrast", "plain", "phase", "variant", "filler")
    # Two letters in front of a sequence may stand for anything: in BRISC "pi" and "no" are classes.
    return token.text in "+cC" or (len(token.text) > 2 and is_word_of_scanners(token.text))


def _plainly(described: str) -> str:
    """A description as it is told to people: the words, less signs between them."""
    return " ".join(re.findall(r"[^\W_]+|[+*/-]", described))[:40]


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
    if any(one.text.lower() == "ct" and _TARGET.match(two.text) for one, two in pairwise(tokens)) and sequence:
        return "ct"  # a CT that was brought onto the grid of a sequence
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
