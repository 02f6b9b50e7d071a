"""What people say of masks: this one is right, this one is not. Kept in the studio's file; the last word counts."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from synthoma.core.provenance import file_digest
from synthoma.studio import look
from synthoma.studio.store import Store

Verdict = Literal["accepted", "corrected", "rejected", ""]
"""corrected: a mask that a person made is the right one; empty: nobody said anything."""

MASK = "_mask.nii.gz"
PICTURE = "_mask.png"
BY_HAND = "_corrected_by_hand"


@dataclass(frozen=True)
class Review:
    """What was said of the findings of one scan.

    Attributes:
        verdict: see there.
        mask: name of the mask that is right; of pictures the first of them.
        made: seconds since 1970; 0 where nobody said anything.
    """

    verdict: Verdict = ""
    mask: str = ""
    made: float = 0.0

    @property
    def taught(self) -> bool:
        """Whether a detector may learn from it."""
        return self.verdict in ("accepted", "corrected")


def model_masks(folder: Path, facts: look.Facts) -> list[str]:
    """Names of the masks that the model made: one of a volume, one a slice of pictures."""
    names = look.files_of(facts, 10_000)
    return [name for name in names if name.endswith((MASK, PICTURE)) and _own(folder / name)]


def _own(path: Path) -> bool:
    """Whether it is a file of the folder itself: a link may lead out of it."""
    return path.is_file() and not path.is_symlink()


def corrected_of(folder: Path) -> list[str]:
    """Names of the masks of a finding that a person made, the newest last; of pictures the first slice of each."""
    masks = model_masks(folder, look.json_of(folder / "findings.json"))
    if masks and masks[0].endswith(PICTURE):
        begin, end = masks[0].removesuffix(".png") + BY_HAND, ".png"
    else:
        begin, end = "", ".nii.gz"
    found = (
        path.name
        for path in folder.iterdir()
        if path.name.startswith(begin)
        and path.name.endswith(end)
        and BY_HAND in path.name
        and _own(path)
        and path.stat().st_size > 0
    )
    return sorted(found, key=lambda name: (len(name), name))


class Reviews:
    """Reviews of findings. They belong to one mask: where a scan is looked at anew in the same place, they are void.

    Args:
        store: where they lie.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    def of(self, folder: Path) -> Review:
        """The last word on findings of one scan; a mask that somebody made says that it is right."""
        facts = look.json_of(folder / "findings.json")
        masks = model_masks(folder, facts)
        if not masks:
            return Review()
        with self.store.opened() as data:
            row = data.execute(
                "SELECT verdict, mask, made FROM reviews WHERE finding = ? AND state = ? ORDER BY number DESC LIMIT 1",
                (str(folder), file_digest(folder / masks[0])),
            ).fetchone()
        if row is not None and (folder / row[1]).is_file():
            return Review(*row)
        made = corrected_of(folder)
        return Review("corrected", made[-1], (folder / made[-1]).stat().st_mtime) if made else Review()

    def say(self, folder: Path, verdict: Verdict, mask: str) -> None:
        """Write down what somebody says; nothing that was said before is lost."""
        first = model_masks(folder, look.json_of(folder / "findings.json"))[0]
        with self.store.opened() as data:
            data.execute(
                "INSERT INTO reviews (finding, state, verdict, mask, made) VALUES (?, ?, ?, ?, ?)",
                (str(folder), file_digest(folder / first), verdict, mask, time.time()),
            )
