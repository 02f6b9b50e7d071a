"""Studies as they come in: a folder for each, which of them are complete, and what became of them.

    studies/<pseudonym>/received/<pseudonym of the image>.dcm
    studies/<pseudonym>/study.json         what is known of it, whole at any moment
    studies/<pseudonym>/found/             what `synthoma detect` wrote

A study is *complete* when its last sender said goodbye and nothing came since for a while. A sender that is cut off
leaves it *interrupted*: half a brain is not looked at; senders try again, and then it goes on.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ValidationError

from synthoma.core.pseudonyms import pseudonym, secret_key
from synthoma.core.whole_files import sweep, whole_file, write_json

FILE, RECEIVED, FOUND = "study.json", "received", "found"
State = Literal["receiving", "interrupted", "complete", "found", "failed", "sent", "unsent"]


class Study(BaseModel):
    """What is known of a study.

    Attributes:
        name: its pseudonym, and its folder.
        state: *receiving*: more may come. *interrupted*: the last sender was cut off. *complete*: waits to be looked
            at. *found*: looked at, and nothing is to be sent. *sent*, *unsent*: likewise, results did or did not reach
            the receiver. *failed*: could not be looked at, see ``why``.
        images: how many were received.
        removed: how many were looked at and then removed: fewer than these, come later, are no whole study.
        why: what went wrong, without names.
        tries: how often sending failed.
    """

    name: str
    state: State = "receiving"
    images: int = 0
    removed: int = 0
    why: str = ""
    tries: int = 0


class Inbox:
    """The studies of a folder; several threads may use it.

    Args:
        folder: where studies lie; made if it is not there. Those of an earlier process are found again.
        quiet_s: how long nothing must come until a study is complete.
        clock: seconds that only grow.
    """

    def __init__(self, folder: Path, quiet_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.folder, self._quiet, self._clock = folder / "studies", quiet_s, clock
        self.folder.mkdir(parents=True, exist_ok=True)
        self._key, self._lock = secret_key(), threading.RLock()
        self._last: dict[str, float] = {}
        self._senders: dict[str, set[int]] = {}
        self._refused: set[int] = set()
        self._studies = {study.name: study for place in sorted(self.folder.iterdir()) if (study := _read(place))}
        for study in self._studies.values():  # what a process that ended left in the middle
            sweep(self.folder / study.name / RECEIVED)
            self._last[study.name] = clock()
            study.images = len(list((self.folder / study.name / RECEIVED).glob("*.dcm")))
            if study.state == "receiving":  # nobody knows whether its sender was at the end: it will send again
                self._set(study, "interrupted", "the node ended while it came in")

    def store(self, study_uid: str, image_uid: str, content: bytes, sender: int) -> Study:
        """Keep an image; the same one again replaces the first.

        Args:
            study_uid: as the image says.
            image_uid: likewise.
            content: the DICOM file.
            sender: number of the connection that it came by.

        Raises:
            OSError: the disk is full, or the like; then nothing of the image is kept.
        """
        name = pseudonym(f"study {study_uid}", self._key)
        place = self.folder / name / RECEIVED
        # UIDs are the sender's words: as file names they could lead anywhere, their pseudonyms cannot.
        file = place / f"{pseudonym(f'image {image_uid}', self._key)}.dcm"
        with self._lock:  # before the file, so that the study cannot be taken for complete while it is written
            study = self._studies.setdefault(name, Study(name=name))
            self._senders.setdefault(name, set()).add(sender)
            self._last[name] = self._clock()
            place.mkdir(parents=True, exist_ok=True)
            if study.state != "receiving":
                study.tries = 0
            self._set(study, "receiving")
        # Senders repeat images: one that came before is no further image of the study.
        new = not file.exists()
        with whole_file(file) as partial:
            partial.write_bytes(content)
        with self._lock:
            study.images += new
            self._last[name] = self._clock()
        return study

    def refuse(self, sender: int) -> None:
        """An image of a sender was not kept: what it sent is no whole study, though it says goodbye."""
        with self._lock:
            self._refused.add(sender)

    def end(self, sender: int, *, cut: bool) -> list[Study]:
        """A sender has gone; ``cut`` where it did not say goodbye. Returns its studies."""
        with self._lock:
            refused = sender in self._refused
            self._refused.discard(sender)  # its number may be another's later
            found = [self._studies[name] for name, senders in self._senders.items() if sender in senders]
            for study in found:
                self._senders[study.name].discard(sender)
                self._last[study.name] = self._clock()
                if (cut or refused) and study.state == "receiving":
                    why = "an image could not be kept" if refused else "its sender was cut off"
                    self._set(study, "interrupted", why)
            return found

    def next_complete(self) -> Study | None:
        """A study that is to be looked at, if there is one: those that wait, then those that have become complete."""
        with self._lock:
            for study in self._studies.values():
                waited = self._clock() - self._last.get(study.name, 0.0)
                if study.state == "receiving" and not self._senders.get(study.name) and waited >= self._quiet:
                    if study.images < study.removed:
                        came = f"{study.images} of {study.removed} images came again, and the others were removed"
                        self._set(study, "interrupted", f"{came}: send the whole study")
                    else:
                        self._set(study, "complete")
                if study.state == "complete":
                    return study
            return None

    def next_unsent(self, wait_s: Callable[[int], float]) -> Study | None:
        """A study whose results wait to be sent again: ``wait_s`` says how long after so many failures."""
        with self._lock:
            for study in self._studies.values():
                if study.state == "unsent" and self._clock() - self._last[study.name] >= wait_s(study.tries):
                    return study
            return None

    def settle(self, study: Study, state: State, why: str = "") -> bool:
        """Say what became of a study; False where images came meanwhile: it is then looked at again."""
        with self._lock:
            if study.state in ("receiving", "interrupted"):
                return False
            study.tries += state == "unsent"
            self._last[study.name] = self._clock()
            self._set(study, state, why)
            return True

    def remove_images(self, study: Study) -> None:
        """Remove the images of a study that was looked at, unless more came meanwhile."""
        with self._lock:
            if study.state in ("receiving", "interrupted"):
                return
            shutil.rmtree(self.folder / study.name / RECEIVED, ignore_errors=True)
            study.removed, study.images = max(study.images, study.removed), 0
            write_json(self.folder / study.name / FILE, study.model_dump())

    def studies(self) -> list[Study]:
        """All of them, as they are now."""
        with self._lock:
            return [study.model_copy() for study in self._studies.values()]

    def place(self, study: Study) -> Path:
        """The folder of a study."""
        return self.folder / study.name

    def _set(self, study: Study, state: State, why: str = "") -> None:
        changed = (study.state, study.why) != (state, why)
        study.state, study.why = state, why
        if changed or not (self.folder / study.name / FILE).exists():
            write_json(self.folder / study.name / FILE, study.model_dump())


def _read(place: Path) -> Study | None:
    """A study of an earlier process; one whose file is damaged is taken up again from its images."""
    if not place.is_dir():
        return None
    try:
        return Study.model_validate_json((place / FILE).read_bytes()).model_copy(update={"name": place.name})
    except (OSError, ValidationError):
        return Study(name=place.name)
