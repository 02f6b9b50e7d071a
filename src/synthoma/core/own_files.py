"""Which files are Synthoma's own: only those may be replaced, whatever ``--force`` says."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path

from synthoma.core.artefacts import FILE, listed

ARTEFACTS = (
    ("cohort.json",), ("run.json",), ("search.csv", "config.toml"), ("evaluation.json",), ("demo.json",),
    ("detection.json",), ("scores.json",), ("model_scores.json",), ("chain.json",),
    ("export.json",), ("set.json", "images"), ("readers.json",), ("plan.json",),
)  # fmt: skip
"""A folder that holds all files of one of these was written by Synthoma, and only such a folder may be replaced."""

KEPT = ".rows"
"""What the folder holds in which findings are kept that a full disk cut short."""

TOKEN = r"[0-9a-z_]{8}"
_LATER = frozenset({"report.html", "duplicates.png"})
"""What is written into a complete artefact, and may be there without a checksum after a kill."""

_LITTER = re.compile(r"\.DS_Store|\._.+|Thumbs\.db|desktop\.ini|\.directory|\.nfs[0-9a-f]+", re.IGNORECASE)
"""What operating systems leave in folders, and nobody misses."""

_FILES = re.compile(
    r"(run|execution|cohort|chain|evaluation|(model_)?scores|demo|detection|findings|view|search|mask_rle|croissant)\.json|"
    r"(splits_final|checksums|[0-9a-f]{24})\.json|search\.journal(\.lock)?|"
    r"(slices|skipped|duplicates|index|pictures|search)\.csv|(images|masks)\.npy|(config|best)\.toml|log\.jsonl|"
    r"(progress|duplicates|interpolation|nearest|saliency)\.png|report\.(html|md)|(dataset|model)_card\.md|"
    r"(model|checkpoint/step-\d+)\.safetensors|samples/(images|row)-\d+\.png|export_(png|nifti|dicom)/.+"
)
"""Files of artefacts that have no checksums: unfinished runs, and what earlier versions wrote."""

_PARTS = re.compile(r"phantom|cohort|run|synthetic|evaluation(\.cells)?|trial-\d+")
"""Artefacts inside those."""


def wrote(names: Collection[str]) -> bool:
    """Whether a folder that holds these names was written by Synthoma, or is what was kept of one on a full disk."""
    return KEPT in names or (FILE in names and any(all(name in names for name in known) for known in ARTEFACTS))


def foreign(folder: Path) -> list[str]:
    """Files below an artefact that Synthoma did not write into it, by their names there, in order.

    Checksums list what was written. Where there are none that can be read, names decide. Links are passed over, since
    nothing is lost with them, and so are empty folders.
    """
    return sorted(str(path.relative_to(folder)) for path in _foreign(folder, folder, listed(folder)))


def _foreign(root: Path, folder: Path, known: Collection[str] | None) -> Iterator[Path]:
    """Foreign files below a folder of the artefact ``root``, whose checksums know these names."""
    for path in folder.iterdir():
        name = path.relative_to(root).as_posix()
        if path.is_symlink() or _LITTER.fullmatch(path.name) or re.match(rf"\.partial-{TOKEN}-", path.name):
            continue
        if path.is_dir():
            # One that has checksums of its own stands by them, as the others do by those of the folder above.
            inner = f"{name}/{FILE}" in known if known is not None else _is_part(path)
            yield from _foreign(path, path, listed(path)) if inner else _foreign(root, path, known)
        elif known is None:
            if not (_FILES.fullmatch(name) or (path.name.startswith(f"{root.name}_") and _is_case(root))):
                yield path
        elif name not in known and name != FILE and name not in _LATER:
            yield path


def _is_part(folder: Path) -> bool:
    """Whether a folder in an artefact without checksums is one that belongs to it."""
    return _PARTS.fullmatch(folder.name) is not None or _is_case(folder)


def _is_case(folder: Path) -> bool:
    return (folder / "findings.json").is_file()
