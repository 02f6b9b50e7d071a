"""A name cut into tokens, each with the meanings that the vocabulary gives it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from synthoma.scans.vocabulary import FILES, Word

_ATOM = re.compile(r"[^\W\d_]+|\d+|[+*]", re.UNICODE)
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_LONGEST = 7  # atoms of a phrase


@dataclass(frozen=True)
class Token:
    """A phrase of the vocabulary with its meaning, or a run of letters or digits without one; and where it stands."""

    text: str
    word: Word | None
    start: int
    end: int

    @property
    def number(self) -> bool:
        """Whether it is a run of digits."""
        return self.text.isdigit()


def means(token: Token, kinds: set[str]) -> bool:
    """Whether a token is a word of one of these kinds (see ``vocabulary.Word``)."""
    return token.word is not None and token.word.kind in kinds


def _atoms(text: str) -> Iterator[tuple[int, int]]:
    """Runs of letters, cut at humps, and of digits."""
    for match in _ATOM.finditer(text):
        start = match.start()
        cuts = [start + hump.start() for hump in _HUMP.finditer(match[0])]
        yield from zip([start, *cuts], [*cuts, match.end()], strict=True)


def tokens_of(text: str, start: int = 0, end: int = 0) -> list[Token]:
    """Phrases and what lies between them; the place of a known patient (start to end) is one token without meaning."""
    atoms = [(low, high) for low, high in _atoms(text) if high <= start or low >= end]
    if end > start:
        atoms = sorted([*atoms, (start, end)])
    found: list[Token] = []
    place = 0
    while place < len(atoms):
        # The longest phrase first: "t1 ce" is another sequence than "t1".
        for stop in range(min(place + _LONGEST, len(atoms)), place, -1):
            phrase = "".join(text[low:high] for low, high in atoms[place:stop]).lower()
            word = FILES.get(phrase)
            if word is not None and _fits(word, phrase, text, atoms, place, stop):
                found.append(Token(phrase, word, atoms[place][0], atoms[stop - 1][1]))
                place = stop
                break
        else:
            low, high = atoms[place]
            found.append(Token(text[low:high], None, low, high))
            place += 1
    return found


def _fits(word: Word, phrase: str, text: str, atoms: list[tuple[int, int]], place: int, stop: int) -> bool:
    """Whether a phrase means what it says at this place: short ones may be somebody's initials."""
    rest = "".join(text[low:high] for low, high in atoms[stop:]).lower()
    if word.kind == "other" and len(phrase) <= 2:
        return stop == len(atoms) and (place > 0 or stop == 1)
    if phrase == "fl":
        return (place == 0 or stop == len(atoms)) and not any(character.isdigit() for character in rest)
    if phrase == "synth":
        return place > 0
    if word.kind == "sequence" and phrase[-1] in "cn" and stop < len(atoms):
        # "T1 C12" is a plain T1 of somebody called C12, and "T1_n4" one whose bias was corrected.
        low, high = atoms[stop - 1]
        apart = high - low == 1 and text[low - 1] in "_- ."
        return not (apart and atoms[stop][0] == high and text[high].isdigit())
    low, high = atoms[place]
    if high - low == 1 and stop - place > 1 and word.kind in ("mask", "organ") and text[high] in "_- .":
        return False  # "A_seg" is the mask of somebody called A
    if place == 0 and word.kind == "mask" and len(phrase) == 2:
        return not any(sequence in rest for sequence in ("t1", "t2", "flair"))
    return True
