"""Mask files of a truth and of predictions: met by name, read patient by patient, and what goes wrong on the way."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from synthoma.data.case import Geometry
from synthoma.data.files import PICTURES, SUFFIXES, VOLUMES, kind_of, natural, printable, stem_of, suffix_of, walk
from synthoma.data.images import read_image
from synthoma.data.volumes import read_volume, same_grid
from synthoma.errors import InputError
from synthoma.evaluation.mask_chances import FINDINGS, Chances, Detection, joined, read_detection
from synthoma.evaluation.mask_regions import LABELS_FILE, read_names
from synthoma.metrics.boundary import Spacing
from synthoma.types import Array

MOST_LABELS = 32
"""A mask with more values than this is a grey picture or a probability map."""

SIDES = ("truth", "prediction", "other")
"""Attributes of ``PatientMasks`` that are masks."""

_NAMED = 10

_ENDING = re.compile(r"(?:^|[_\-. ]+)(?:mask|masks|seg|segmentation|pred|prediction|label|labels|gt|truth)$", re.I)
_SLICE_NUMBER = re.compile(r"[_\-. ]*(?:(?<![a-z])(?:slice|z)[_\-]?)?\d+$", re.I)
_MATCH = "give both files the same name, or names that differ in an ending such as _mask, _seg or _pred only"
_ON_GRID = "resample the prediction onto the grid of the truth (nearest neighbour)"

Progress = Callable[[str, int, int], None]
Key = tuple[str, ...]
"""Folders below the side's root, then the bare name (left out where nothing of it remains)."""

_Roots = Mapping[str, Path]


@dataclass(frozen=True)
class PatientMasks:
    """The masks of one patient, on one grid.

    Attributes:
        patient: name, unique among those scored together.
        truth: labels (z, y, x), background 0.
        prediction: labels (z, y, x).
        spacing: (z, y, x) in mm; None where nobody knows.
        other: another model's labels (z, y, x), for a paired comparison.
        chances: probabilities of tumour that came with the prediction.
    """

    patient: str
    truth: Array
    prediction: Array
    spacing: Spacing | None = None
    other: Array | None = None
    chances: Chances | None = None


@dataclass
class Findings:
    """What scoring meets on its way through the files."""

    skipped: list[dict[str, str]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    missing: dict[str, list[str]] = field(default_factory=dict)
    names: dict[str, Mapping[int, str]] = field(default_factory=dict)
    detections: dict[Path, Detection | None] = field(default_factory=dict)

    def skip(self, place: str, error: InputError | str) -> None:
        """List a file that is not scored, and why."""
        self.skipped.append({"file": place, "reason": str(error)})

    def detection(self, path: Path, root: Path, side: str) -> Detection | None:
        """What `synthoma detect` wrote beside a mask file; findings that cannot be used are listed once."""
        folder = path.parent
        if folder not in self.detections:
            self.detections[folder] = None
            try:
                self.detections[folder] = read_detection(folder)
            except InputError as error:
                self.skip(_place(folder / FINDINGS, root if root.is_dir() else folder, side), error)
        return self.detections[folder]


@dataclass(frozen=True)
class _Trio:
    """Files of one volume or slice; None where that side has none."""

    truth: Path
    prediction: Path | None
    other: Path | None


_Cases = Mapping[str, Sequence[_Trio]]


def read_patients(
    roots: Mapping[str, Path], spacing: Spacing | None, findings: Findings, progress: Progress
) -> Iterator[PatientMasks]:
    """Patients one after the other. Names have met, and what values mean is known, before the first is read.

    Args:
        roots: folder or file of the ``truth``, of the ``predictions`` and, where it is compared, of the ``other``.
        spacing: (z, y, x) in mm of slices, whose files do not say it.
        findings: what cannot be read, does not match or is worth a remark is written into it.
        progress: told (text, done, total) after each patient.

    Raises:
        InputError: a path that is not there, or no two files that match.
    """
    trios = _matched({name: _masks_of(root, name, findings) for name, root in roots.items()}, roots, findings)
    cases = _by_patient(trios, roots, findings)
    _read_labels(trios, roots, findings)
    return _loaded(cases, roots, spacing, findings, progress)


def _masks_of(root: Path, name: str, findings: Findings) -> dict[Key, Path]:
    """Mask files of one side by key."""
    if root.is_file():
        return {_key(root, root): root}
    if not root.is_dir():
        raise InputError(f"a file or folder of masks ({name})", f"nothing at {root.name!r}", "check the path")
    files, unlisted = walk(root)
    kinds = {path: kind_of(path) for path in (*files, *(item.path for item in unlisted))}
    # A damaged or empty file keeps its place by its suffix: it is refused when it is read, and not taken for missing.
    usable = [path for path, kind in kinds.items() if kind in PICTURES | VOLUMES or suffix_of(path) in SUFFIXES]
    known = set(usable)
    for item in unlisted:
        if item.path not in known:
            findings.skip(_place(item.path, root, name), item.reason)
    if rest := sum(path not in known for path in files):
        findings.remarks.append(f"{name}: {rest} files that are no volumes or pictures were left aside")
    marked = [path for path in usable if _ENDING.search(stem_of(path))]
    if marked and len(marked) < len(usable):
        left = len(usable) - len(marked)
        findings.remarks.append(f"{name}: {left} files were taken for images, since others end in _mask or the like")
    found: dict[Key, Path] = {}
    for path in marked or usable:
        first = found.setdefault(_key(path, root), path)
        if first != path and not _same_detection(first, path, root, name, findings):
            came = f"a second one beside {_place(first, root)}"
            findings.skip(_place(path, root, name), InputError("one mask of each name", came, "keep one of the two"))
    return found


def _same_detection(first: Path, second: Path, root: Path, side: str, findings: Findings) -> bool:
    """Whether both are of one slice that `synthoma detect` outlined: it writes a mask, and beside it the labels."""
    detection = findings.detection(first, root, side) if first.parent == second.parent else None
    return detection is not None and {first.name, second.name} <= {*detection.files}


def _place(path: Path, root: Path, side: str = "") -> str:
    """How a file is named in results: below the folder of its side."""
    inner = printable(path.name if path == root else path.relative_to(root))
    return f"{side}: {inner}" if side else inner


def _key(path: Path, root: Path) -> Key:
    bare = stem_of(path)
    while match := _ENDING.search(bare):
        bare = bare[: match.start()]
    folders = () if path == root else path.relative_to(root).parts[:-1]
    return (*folders, bare) if bare or not folders else folders


def _matched(sides: Mapping[str, Mapping[Key, Path]], roots: _Roots, findings: Findings) -> list[_Trio]:
    """Each truth with its prediction and the other model's.

    Raises:
        InputError: no truth has a prediction.
    """
    truth = sides["truth"]
    ordered = sorted(truth, key=lambda key: natural("/".join(key)))
    partners: dict[str, dict[Key, Path]] = {}
    for name, side in sides.items():
        if name == "truth":
            continue
        two_files = roots["truth"].is_file() and roots[name].is_file()
        partners[name] = dict(zip(truth, side.values(), strict=True)) if two_files else _partners(truth, side)
        if not partners[name]:
            came = f"{len(truth)} files of the truth and {len(side)} of the {name}, none of which match"
            raise InputError("masks and predictions with names that match", came, _MATCH)
        if extra := len(side) - len(partners[name]):
            findings.remarks.append(f"{name}: {extra} files match no truth and are not scored")
        if missing := [printable("/".join(key)) for key in ordered if key not in partners[name]]:
            listed = ", ".join(missing[:_NAMED]) + (", ..." if len(missing) > _NAMED else "")
            findings.remarks.append(
                f"{name}: {len(missing)} of {len(truth)} are missing and count as empty masks: {listed}"
            )
            findings.missing[name] = missing
    return [
        _Trio(truth[key], *(partners.get(side, {}).get(key) for side in ("predictions", "other"))) for key in ordered
    ]


def _partners(truth: Mapping[Key, Path], side: Mapping[Key, Path]) -> dict[Key, Path]:
    """File of a side for each truth: of the same key, else of the same last part where only one on each side has it.

    A last part that several files of a side share (slice_000, tumour) names no patient, and whose file is left over is
    chance: those that have a partner count too.
    """
    found = {key: side[key] for key in truth if key in side}
    unmatched = [key for key in truth if key not in found], [key for key in side if key not in found]
    often = {name for keys in (truth, side) for name, number in Counter(key[-1] for key in keys).items() if number > 1}
    by_name = {key[-1]: side[key] for key in unmatched[1] if key[-1] not in often}
    return found | {key: by_name[key[-1]] for key in unmatched[0] if key[-1] in by_name and key[-1] not in often}


def _by_patient(trios: Sequence[_Trio], roots: _Roots, findings: Findings) -> _Cases:
    """Volumes each by itself, slices by patient."""
    root = roots["truth"]
    slices = [trio for trio in trios if kind_of(trio.truth) in PICTURES]
    # A folder that all slices lie in (masks/) tells no patients apart.
    shared = len({trio.truth.parent for trio in slices}) == 1
    cases: dict[str, list[_Trio]] = defaultdict(list)
    for trio in slices:
        *folders, bare = _key(trio.truth, root)
        alone = shared or trio.truth.parent == root
        name = _SLICE_NUMBER.sub("", bare) or root.resolve().name if alone else "/".join(folders) or bare
        cases[printable(name)].append(trio)
    if len(cases) == 1 and len(slices) > 1:
        findings.remarks.append(
            f"all {len(slices)} slices were taken for one patient ({next(iter(cases))}), so there is no interval; "
            "if they are of several, put the slices of each into a folder of its own"
        )
    volumes = [(trio, _key(trio.truth, root)) for trio in trios if kind_of(trio.truth) not in PICTURES]
    often = Counter(key[-1] for _, key in volumes)
    for trio, key in volumes:  # also files that turn out to be none when they are read
        name = key[-1] if often[key[-1]] == 1 and key[-1] else "/".join(key) or stem_of(trio.truth)
        cases[printable(name) if name not in cases else _place(trio.truth, root)].append(trio)
    return dict(sorted(cases.items(), key=lambda item: natural(item[0])))


def _read_labels(trios: Sequence[_Trio], roots: _Roots, findings: Findings) -> None:
    """Take note of what mask values mean, where findings or a `LABELS_FILE` of a side say so."""
    for side, name in zip(SIDES, ("truth", "predictions", "other"), strict=True):
        if name not in roots:
            continue
        paths = [] if name == "truth" else [getattr(trio, side) for trio in trios]
        said = [findings.detection(path, roots[name], name) for path in paths if path is not None]
        own = {tuple(sorted(one.names.items())) for one in said if one is not None}
        if len(own) == 1:
            findings.names[side] = dict(own.pop())
        elif not own and (found := read_names(roots[name])) is not None:
            findings.names[side] = found[0]
            findings.remarks.append(f"{name}: what values mean was read from {LABELS_FILE} in {printable(found[1])}")


def _loaded(
    cases: _Cases, roots: _Roots, spacing: Spacing | None, findings: Findings, progress: Progress
) -> Iterator[PatientMasks]:
    """Patients one after the other; what cannot be read is written into the findings."""
    for done, (name, trios) in enumerate(cases.items()):
        progress("reading", done, len(cases))
        parts: list[PatientMasks] = []
        for trio in trios:
            part = _read_trio(trio, roots, spacing, findings)
            if part is None:
                continue
            if parts and part.truth.shape[1:] != parts[0].truth.shape[1:]:
                came = f"{_size(part.truth)} among {_size(parts[0].truth)}"
                reason = InputError("slices of one size in a patient", came, "export them again in one size")
                findings.skip(part.patient, reason)
                continue
            parts.append(part)
        if parts:
            others = [part.other for part in parts if part.other is not None]
            yield PatientMasks(
                name,
                np.concatenate([part.truth for part in parts]),
                np.concatenate([part.prediction for part in parts]),
                parts[0].spacing,
                np.concatenate(others) if len(others) == len(parts) else None,
                joined([part.chances for part in parts], [len(part.truth) for part in parts]),
            )
    progress("reading", len(cases), len(cases))


def _read_trio(trio: _Trio, roots: _Roots, spacing: Spacing | None, findings: Findings) -> PatientMasks | None:
    """Masks of one file each; None where the truth or the prediction cannot be used."""
    place = _place(trio.truth, roots["truth"], "truth")
    try:
        truth, geometry = _read(trio.truth)
    except InputError as error:
        findings.skip(place, error)
        return None
    drawn: dict[str, Array] = {}
    for name, path in (("predictions", trio.prediction), ("other", trio.other)):
        try:
            if name in roots:
                drawn[name] = np.zeros_like(truth) if path is None else _read_onto(path, truth, geometry)
        except InputError as error:
            assert path is not None
            findings.skip(_place(path, roots[name], name), error)
    if "predictions" not in drawn:
        return None
    if geometry is not None:
        spacing = (geometry.spacing[2], geometry.spacing[1], geometry.spacing[0])
    chances = _chances(trio.prediction, truth, roots["predictions"], findings)
    return PatientMasks(place, truth, drawn["predictions"], spacing, drawn.get("other"), chances)


def _chances(path: Path | None, truth: Array, root: Path, findings: Findings) -> Chances | None:
    """Probabilities of the slices in a mask that `synthoma detect` wrote; None for any other."""
    detection = None if path is None else findings.detection(path, root, "predictions")
    if path is None or detection is None:
        return None
    try:
        return detection.of_file(path.name, truth.shape)
    except InputError as error:
        findings.detections[path.parent] = None  # said once, and not again for each slice
        findings.skip(_place(path.parent / FINDINGS, root if root.is_dir() else path.parent, "predictions"), error)
        return None


def _read_onto(path: Path, truth: Array, geometry: Geometry | None) -> Array:
    """A mask on the grid of its truth.

    Raises:
        InputError: damaged, no mask, or another grid.
    """
    mask, own = _read(path)
    if mask.shape != truth.shape:
        came = f"{_size(mask)} for a truth of {_size(truth)}"
        raise InputError("a prediction as large as its truth", came, _ON_GRID)
    if geometry is not None and own is not None and not same_grid(geometry, own):
        came = "another spacing, origin or direction"
        raise InputError("a prediction on the grid of its truth", came, _ON_GRID)
    return mask


def _size(mask: Array) -> str:
    """Width, height and, of a volume, depth: 240x240x155."""
    return "x".join(map(str, mask.shape[::-1] if len(mask) > 1 else mask.shape[:0:-1]))


def _read(path: Path) -> tuple[Array, Geometry | None]:
    """Labels (z, y, x) of one file, and its geometry where it has one.

    Raises:
        InputError: damaged, another format, or values that are no labels.
    """
    kind = kind_of(path)
    if kind == "jpeg":
        raise InputError("a mask stored without loss", "a JPEG, which changes values", "export it as PNG")
    if kind in VOLUMES or (kind == "unknown" and SUFFIXES.get(suffix_of(path)) in ("NIfTI", "MetaImage", "NRRD")):
        volume = read_volume(path)
        return _as_labels(volume.voxels), volume.geometry
    picture = read_image(path)
    if picture.ndim == 3 and (picture == picture[..., :1]).all():
        picture = picture[..., 0]
    if picture.ndim == 3:  # colours tell tumour from black, but their numbers are no labels
        codes = picture.astype(np.int32) @ np.array([65536, 256, 1], dtype=np.int32)
        return (_as_labels(codes) > 0).astype(np.uint8)[None], None
    return _as_labels(picture)[None], None


def _as_labels(values: Array) -> Array:
    """Stored numbers as whole labels, in the narrowest type.

    Raises:
        InputError: fractions, numbers below 0, or too many different ones.
    """
    present = np.unique(values)
    todo = "save the thresholded mask, with background 0"
    if present[0] < 0 or (present != np.rint(present)).any():
        raise InputError("whole labels from 0 up", f"values from {present[0]:g} to {present[-1]:g}", todo)
    if len(present) > MOST_LABELS:
        raise InputError(f"a mask of at most {MOST_LABELS} values", f"{len(present)} different ones", todo)
    return values.astype(np.uint8 if present[-1] < 256 else np.int64)
