"""What a layout is given and what it gives back."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from synthoma.core.errors import InputError
from synthoma.core.provenance import file_digest
from synthoma.core.untrusted import printable
from synthoma.scans.case import Case, Skipped
from synthoma.scans.files import SUFFIXES, Kind, kind_of, natural, open_file, regular_size, suffix_of, walk

KINDS_OF_TUMOUR = frozenset(
    {
        *("glioma", "glioma_tumor", "meningioma", "meningioma_tumor", "pituitary", "pituitary_tumor"),
        *("metastasis", "metastases", "glioblastoma", "gbm", "lymphoma", "hgg", "lgg", "hg", "lg"),
    }
)
"""Folder names that say which tumour it is."""

CLASS_NAMES = KINDS_OF_TUMOUR | {
    *("yes", "no", "tumor", "tumour", "notumor", "notumour", "no_tumor", "no_tumour", "no-tumor", "no-tumour"),
    *("normal", "healthy", "control", "abnormal", "positive", "negative", "benign", "malignant"),
}
"""Folder names that are classes beyond doubt; a folder named otherwise may carry a patient's name."""

SPLIT_NAMES = frozenset({"train", "training", "test", "testing", "val", "valid", "validation"})
"""Folder names of a split that somebody made before."""


@dataclass(frozen=True)
class Listing:
    """The files of a folder, and what is known of them before any is read.

    Attributes:
        root: the folder; of a single file, its folder.
        files: visible, regular, non-empty files in natural order.
        skipped: what the walk could not use.
        key: secret under which identifiers become pseudonyms.
        single: the file, where the user gave a file.
        masks_wanted: whether images are there for their masks: then one without, where others have one, is refused.
    """

    root: Path
    files: tuple[Path, ...]
    skipped: tuple[Skipped, ...] = ()
    key: bytes = field(default=b"", repr=False)
    single: Path | None = None
    masks_wanted: bool = True

    @classmethod
    def of(cls, path: Path, key: bytes, *, masks_wanted: bool = True) -> Listing:
        """Walk a folder, or take one file."""
        if not path.is_dir():
            return cls(path.parent, (path,), (), key, path, masks_wanted)
        files, skipped = walk(path)
        return cls(path, tuple(files), tuple(skipped), key, None, masks_wanted)

    @classmethod
    def of_files(cls, files: Sequence[Path], key: bytes, *, masks_wanted: bool = True) -> Listing:
        """Some files of one folder, in natural order."""
        single = files[0] if len(files) == 1 else None
        return cls(files[0].parent, tuple(sorted(files, key=natural)), (), key, single, masks_wanted)

    def only(self, files: Sequence[Path]) -> Listing:
        """These of its files."""
        return replace(self, files=tuple(files), skipped=())

    @cached_property
    def kinds(self) -> dict[Path, Kind]:
        """What each file's content says it is."""
        return {path: kind_of(path) for path in self.files}

    @cached_property
    def folders(self) -> dict[Path, list[Path]]:
        """Files by the folder they lie in."""
        folders: dict[Path, list[Path]] = defaultdict(list)
        for path in self.files:
            folders[path.parent].append(path)
        return dict(folders)

    def inner(self, path: Path) -> tuple[str, ...]:
        """Names of the folders between the root and a file."""
        return path.parent.relative_to(self.root).parts

    def name(self, path: Path) -> str:
        """Path below the root as printable text with forward slashes."""
        return printable(path.relative_to(self.root).as_posix())

    def summary(self) -> str:
        """What was found, for a message: "3 png, 1 unknown"."""
        counts = Counter(self.kinds[path] for path in self.files)
        return ", ".join(f"{count} {kind}" for kind, count in counts.most_common()) or "no file"


@dataclass(frozen=True)
class Found:
    """What a layout makes of a listing.

    Attributes:
        cases: in natural order.
        skipped: files that were looked at and refused.
        remarks: for the user.
        ignored: files that are neither used nor worth a line.
    """

    cases: tuple[Case, ...]
    skipped: tuple[Skipped, ...] = ()
    remarks: tuple[str, ...] = ()
    ignored: frozenset[Path] = frozenset()


@dataclass(frozen=True)
class Layout:
    """One way in which people arrange scans.

    Attributes:
        name: as ``--layout`` takes it.
        looks_for: what it recognises, as a noun phrase.
        fits: whether a listing has it. Looks at names first and opens few files.
        take: cases of a listing that fits.
    """

    name: str
    looks_for: str
    fits: Callable[[Listing], bool]
    take: Callable[[Listing], Found]


def skip_content(path: Path, expected: str, came: str) -> Skipped:
    """Line for a file whose content is not what was looked for; that it may not be read is said first."""
    try:
        open_file(path).close()
    except InputError as error:
        return Skipped(path, str(error))
    return Skipped(path, str(InputError(expected, came, "export it again, or remove it")))


def skip_copy(path: Path) -> Skipped:
    """Line for a file, or the folder of a study, that is there a second time."""
    error = InputError("each file once", "the same content again", "nothing: it is used once")
    return Skipped(path, str(error), kind="files that are there twice")


def equal_files(one: Path, other: Path) -> bool:
    """Whether two files hold the same bytes; not where one cannot be read."""
    try:
        # Sizes first: few files of a folder have equal ones, and only these are read.
        return regular_size(one) == regular_size(other) and file_digest(one) == file_digest(other)
    except (InputError, OSError):
        return False


def promised(path: Path) -> str | None:
    """The format that the suffix promises, None where it promises nothing."""
    return SUFFIXES.get(suffix_of(path))


def class_of(parts: tuple[str, ...]) -> str | None:
    """Innermost folder whose name is a class beyond doubt."""
    return next((printable(part) for part in reversed(parts) if part.lower() in CLASS_NAMES), None)


def split_fact(split: str | None) -> dict[str, str | float]:
    """Fact ``folder_split`` where a folder is named as a split."""
    return {} if split is None else {"folder_split": printable(split)}


def split_of(parts: tuple[str, ...]) -> dict[str, str | float]:
    """Fact ``folder_split`` where one of these folders is named as a split."""
    return split_fact(next((part for part in parts if part.lower() in SPLIT_NAMES), None))


def counted(number: int, noun: str) -> str:
    """Number and noun: "1 case", "2 cases"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
