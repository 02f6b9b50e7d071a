"""One name, read: tokens, what they mean, and what is left over for the patient and the visit.

A name is cut at separators, between letters and digits, and where small letters turn to capitals; then the longest
phrases of the vocabulary are found, from left to right. Sequences and masks are known wherever they stand; other words
are taken off the two ends only, since in the middle they may be part of somebody's name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from synthoma.scans.name_meaning import Role, as_described, told_by
from synthoma.scans.name_tokens import Token, means, tokens_of
from synthoma.scans.vocabulary import ALONE, DATE, FOLDERS, KNOWN_IDS, PATIENT_WORDS, T1_IS_T1C, VISIT_WORDS, WEAK, Word

_ENTITY = re.compile(r"(?:^|(?<=_))(?:space|res|den|hemi|dir|part|echo|cohort|tpl)-[A-Za-z0-9]+(?=_|$)", re.IGNORECASE)
"""Entities of BIDS that say how a file was made: their values are no sequences (``space-T1w``)."""

_TOOL = re.compile(r"^VSD\.Brain[^/]*?(?=\.(?:MR_|OT\b))", re.IGNORECASE)
"""How the files of BRATS-2 begin; the number at their end is of the file."""

_AGENT = (
    r"(?:enhanc[a-z]*|contrast[a-z]*|kontrast[a-z]*|gado?[a-z]*|gd|km|c\.?m|ce|mdc|injection|inj|agent"
    r"|prohance|dotarem|magnevist|multihance)(?![A-Za-z])"
)
_WITHOUT = re.compile(
    rf"(?<![A-Za-z])(?:no|non|not|wo|w[-_/ ]?o|without|ohne|vor|pre|before|avant|sans|sin|senza|minus|zonder|nicht)"
    rf"[-_ ]*{_AGENT}",
    re.IGNORECASE,
)
_WITH = re.compile(
    rf"(?<![A-Za-z])(?:(?:apr[eè]s|nach|na|con|mit|avec|met|with|after|post|dopo|com|despues)[-_ ]*{_AGENT}|iv ?\+)",
    re.IGNORECASE,
)
"""Words before a contrast agent, in the languages of those who name scans."""

_CE_ENTITY = re.compile(r"(?:^|(?<=_))ce-(?!none)[A-Za-z0-9]+(?=_|$)", re.IGNORECASE)
_OPERATION = re.compile(
    r"(?<![A-Za-z])(pre|post)[-_ ]*(op|operative|surgery|surgical|surg|rt|radio[a-z]*|treatment|treat|tx|chemo[a-z]*"
    r"|biopsy|resection|fossa)(?![A-Za-z])",
    re.IGNORECASE,
)
"""Before and after a treatment: a visit, and nothing of a contrast agent."""

_PATIENT = re.compile(
    rf"^s\d+[-_ .]?(?:p|{PATIENT_WORDS})[-_ .]?\d+[a-z]?(?![a-z0-9])"
    rf"|(?<![a-z])(?:{PATIENT_WORDS})[-_ .]?(?:id[-_ .]?)?\d+[a-z]?(?![a-z0-9])|^[ps]\d+[a-z]?(?![a-z0-9])",
    re.IGNORECASE,
)
"""A word and a number, and ``P3`` or ``S3`` in front; in ``S1-P03`` the patient is the third of the first site."""

_ACCELERATED = re.compile(r"p[2-4]")
"""How many times faster Siemens' series were taken, behind the sequence: ``t1_mprage_tra_p2_iso``."""

_BETWEEN = re.compile(r"[\s_\-.()\[\],=]+")


@dataclass(frozen=True)
class Part:
    """One folder or file name, read.

    Attributes:
        text: as it stands, without suffix.
        role: what such a file is; None where the name does not say.
        sequence: t1, t1c, t2 or flair; None where the name does not say.
        rank: among masks of one study the lowest is taken: drawn by hand 0, plain 1, of a machine 2; 3 where no word
            says mask, and the last one says tumour.
        variant: how it was processed, as words in order.
        phase: "pre" or "post", where it stands beside no sequence.
        patient: name of the patient, where one can be told from this name alone; "" otherwise.
        visit: what tells visits apart; "" where nothing does.
        rest: what is left over: of the patient where ``patient`` is empty.
        tumour: whether a word says tumour or lesion.
        explicit: whether a sequence is named as such, and not by the technique that it is taken with.
        extra: what is left over behind the sequence, where the patient stands before it.
        why: the word that makes it another thing than an image or a mask of the tumour; "".
    """

    text: str
    role: Role | None
    sequence: str | None
    rank: int
    variant: tuple[str, ...]
    phase: str
    patient: str
    visit: str
    rest: str
    extra: str
    tumour: bool
    explicit: bool
    why: str


# The same names of folders come back in thousands of paths.
@lru_cache(maxsize=65536)
def read_part(text: str) -> Part:
    """Read one name.

    Args:
        text: a folder's name, or a file's without suffix.
    """
    bare = _TOOL.sub("", text)
    tool = len(bare) < len(text)
    series = _ENTITY.sub("", bare)
    bare = series.strip("_-. ")
    bare = _CE_ENTITY.sub("postcontrast", _WITH.sub("postcontrast", _WITHOUT.sub("precontrast", bare)))
    # After the contrast agents: "pre" and "post" that are still there are of a treatment, if of anything.
    bare = _OPERATION.sub(lambda match: f"{match[1]}{match[2]}".lower(), bare)
    patient, visit, start, end = _known_id(bare)
    # A known patient is kept in one piece: its letters would be read as words.
    tokens = tokens_of(bare, start, end)
    told = told_by(tokens)
    if told["role"] == "image":
        place = (start, end) if series == bare else _known_id(series)[2:]
        told = as_described(series, tokens if series == bare else tokens_of(series, *place), place, told)
    if told["sequence"] == "t1" and T1_IS_T1C.search(text):
        told["sequence"] = "t1c"
    before, behind = _around_sequence(bare, tokens)
    left = "" if tool else _left_over(bare, before, bool(patient))
    extra = "" if tool else _left_over(bare, behind, known=True)
    if patient:
        visits, rest = split_visits(left)
        visit = "-".join(dict.fromkeys(one for one in (visit, *visits) if one))
    else:
        patient, visit, rest = _split_id(left)
        if _ACCELERATED.fullmatch(patient) and not behind and told["sequence"] and told["variant"]:
            patient = ""
    return Part(text, patient=patient, visit=visit, rest=rest, extra=extra, **told)


@lru_cache(maxsize=65536)
def place_word(text: str) -> Word | None:
    """Meaning of a folder that only keeps order, names a split, or names a class; None for any other folder.

    A folder of one kind of file (``5_MASK``, ``labelsTr``) counts as a place: what it says is in its ``Part``.
    """
    if _TOOL.match(text):
        return Word("place")
    compact = _BETWEEN.sub("", text.lower())
    for name in (compact, re.sub(r"^\d{1,2}(?=\D)", "", compact)):
        if name in FOLDERS:
            return FOLDERS[name]
    numbered = tokens_of(text)
    tokens = [token for token in numbered if not token.number]
    if any(token.number for token in numbered[1:]) and tokens and not means(tokens[0], {"sequence", "mask"}):
        return None
    if tokens and all(token.word for token in tokens) and not all(means(token, {"tumour"}) for token in tokens):
        return Word("place")
    words = [FOLDERS.get(token.text.lower()) for token in tokens]
    if (
        tokens
        and len(tokens) == len(numbered)
        and all(words)
        and any(word is not None and word.kind == "place" for word in words)
    ):
        return next(word for word in words if word is not None and word.kind == "place")
    return None


def bare(stem: str) -> str:
    """A file's name without the words at its ends that say mask, of what, and by whom: where mask and image meet.

    Args:
        stem: without suffix.
    """
    tokens = tokens_of(stem)
    spoken = {"mask", "tumour", "manual", "machine"}
    if not any(token.word and token.word.kind in ("mask", "machine", "tumour") for token in tokens):
        return stem
    low, high = 0, len(tokens)
    while high > low and means(tokens[high - 1], spoken):
        high -= 1
    while low < high and means(tokens[low], {"mask", "machine"}):
        low += 1
    if low == high:
        return ""
    return stem[tokens[low].start : tokens[high - 1].end]


def canonical(name: str) -> str:
    """A name as it is compared: small letters, one kind of separator."""
    return _BETWEEN.sub("-", name.lower()).strip("-")


# --- who and when -------------------------------------------------------------------------------------------------


def _known_id(text: str) -> tuple[str, str, int, int]:
    """Patient and visit as a public set writes them, and where the two stand; empty where none does."""
    for pattern in KNOWN_IDS:
        if match := pattern.search(text):
            groups = match.groupdict()
            return match["patient"], groups.get("visit") or "", match.start(), match.end()
    return "", "", 0, 0


def _left_over(text: str, tokens: list[Token], known: bool = False) -> str:
    """What no word explains: from the first to the last token without meaning, less sequences and masks between."""
    if known:
        tokens = [token for token in tokens if token.word is None]
        _, _, start, end = _known_id(text)
        return "_".join(text[one.start : one.end] for one in tokens if (one.start, one.end) != (start, end))
    own = [i for i, token in enumerate(tokens) if token.word is None]
    if not own:
        initials = len(tokens) > 1 and _two_letters(tokens[0])
        return text[tokens[0].start : tokens[0].end] if initials else ""
    # From the first to the last unknown word: known ones in between may be parts of somebody's name.
    first, last = own[0], own[-1]
    if first > 0 and _glued(tokens[first - 1], tokens[first]):
        first -= 1
    # A short word in front may be somebody's initials.
    if first == 1 and _may_be_initials(tokens[0]):
        first = 0
    elif (
        first > 1 and tokens[first].number and (_two_letters(tokens[first - 1]) or means(tokens[first - 1], {"tumour"}))
    ):
        first -= 1
    kept = [
        token
        for token in tokens[first : last + 1]
        if token.word is None or token.word.kind not in ("sequence", "mask", "other")
    ]
    pieces, before = [], None
    for token in kept:
        if before is not None:
            between = text[before.end : token.start]
            pieces.append(between if len(between) <= 1 or not _BETWEEN.sub("", between) else "_")
        pieces.append(text[token.start : token.end])
        before = token
    return "".join(pieces).strip("_-. ")


def _glued(word: Token, number: Token) -> bool:
    """Whether a number stands right behind a word that means little, as in brain1: together they are a name."""
    near = number.number and word.end == number.start and word.word is not None
    return near and not means(word, {"sequence", "mask", "other", "organ", "chance"})


def _around_sequence(text: str, tokens: list[Token]) -> tuple[list[Token], list[Token]]:
    """Tokens up to the sequence, and those behind it; all of them before where nothing is left over before it."""
    place = next((i for i, token in enumerate(tokens) if means(token, {"sequence"})), len(tokens))
    if _left_over(text, tokens[:place], known=False):
        return tokens[:place], tokens[place:]
    return tokens, []


def _two_letters(token: Token) -> bool:
    """Whether a processing step is spelt as a person's initials are."""
    known = token.word is not None and token.word.kind in ("variant", "contrast", "plain", "class")
    return known and len(token.text) == 2 and token.text not in ("ax", "3d", "2d", "n4", "n3")


def _may_be_initials(token: Token) -> bool:
    """Whether the first word of a name may be a part of a person's name although the vocabulary has it."""
    return (
        token.word is not None
        and token.word.kind not in ("sequence", "mask", "other", "organ", "filler")
        and len(token.text) <= 3
        and token.text not in ("bet", "reg", "n4", "mni", "raw")
    ) or (token.word is not None and token.word.kind in ("tumour", "machine", "manual"))


def _split_id(left: str) -> tuple[str, str, str]:
    """Patient, visit and rest of what is left over; without a word for a patient, all but the visit is rest."""
    if match := _PATIENT.search(left):
        visits, rest = split_visits(left[match.end() :].strip("_-. "))
        return left[: match.end()], "-".join(visits), rest
    visits, rest = split_visits(left)
    return "", "-".join(visits), rest


def split_visits(text: str) -> tuple[list[str], str]:
    """Words of visits with their numbers, and dates; and the rest of a name, in which other words mean nothing."""
    # Dates first: cut at their separators they would be three numbers.
    visits = [match[0] for match in DATE.finditer(text)]
    text = DATE.sub("_", text)
    pieces = [piece for piece in re.split(r"[\s_\-.]+", text) if piece]
    rest: list[str] = []
    place = 0
    while place < len(pieces):
        piece = pieces[place]
        match = re.fullmatch(r"([a-z]+)(\d+[a-z]?(?:\d+)?)?", piece, re.IGNORECASE)
        word = match[1].lower() if match else ""
        following = pieces[place + 1] if place + 1 < len(pieces) else ""
        alone = len(pieces) == 1 and not visits
        lone = word not in WEAK or alone or bool(rest)
        lone = lone and (len(word) > 1 or alone or place == len(pieces) - 1)
        if word in VISIT_WORDS and match and match[2] and lone:
            visits.append(piece)
            while place + 1 < len(pieces) and word in ("week", "wk") and pieces[place + 1].isdigit():
                place += 1
                visits[-1] += f"-{pieces[place]}"
        elif word in VISIT_WORDS and lone and len(word) > 1 and re.fullmatch(r"\d+[a-z]?|[a-z]", following):
            visits.append(f"{piece}-{following}")
            place += 1
            while place + 1 < len(pieces) and word in ("week", "wk") and pieces[place + 1].isdigit():
                place += 1
                visits[-1] += f"-{pieces[place]}"
        elif match and not match[2] and (word in ALONE or _OPERATION.fullmatch(word)):
            visits.append(piece)
        else:
            rest.append(piece)
        place += 1
    return visits, "_".join(rest)
