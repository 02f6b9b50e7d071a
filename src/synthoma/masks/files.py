"""Mask files of a truth and of predictions: met by name, read patient by patient, and what goes wrong on the way."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from synthoma.core.errors import InputError
from synthoma.core.types import Array, Floats, Ints
from synthoma.core.untrusted import printable
from synthoma.masks.chances import FINDINGS, Chances, Detection, joined, read_detection
from synthoma.metrics.boundary import Spacing
from synthoma.scans.case import Geometry, Volume
from synthoma.scans.conventions import Convention, Decision, hinted
from synthoma.scans.files import PICTURES, SUFFIXES, VOLUMES, kind_of, natural, stem_of, suffix_of, walk
from synthoma.scans.images import read_image
from synthoma.scans.layouts.meaning import LABELS_FILE, description_of, found_by_us
from synthoma.scans.names import Part, bare, canonical, place_word, read_part
from synthoma.scans.vocabulary import FILES, Word
from synthoma.scans.volumes import paste_onto, read_volume, same_grid

MOST_LABELS = 32
"""A mask with more values than this is a grey picture or a probability map."""

SIDES = ("truth", "prediction", "other")
"""Attributes of ``PatientMasks`` that are masks."""

_NAMED = 10
_MACHINE, _UNSAID = 2, 3
"""Ranks of ``scans.names.Part``."""

_VOLUMES = frozenset({"NIfTI", "MetaImage", "NRRD", "Analyze", "MGH"})

_LETTER = re.compile(r"^([a-z])[_\-. ]+((?:mask|seg).*)$", re.I)
"""A name of one letter: a_seg, b_mask and d_seg are no words of a program then, as aseg, bmask and dseg are."""

_SLICE_NUMBER = re.compile(r"[_\-. ]*(?:(?<![a-z])(?:slice|z)[_\-]?)?\d+$", re.I)
_MATCH = "give both files the same name, or names that differ in an ending such as _mask, _seg or _pred only"
_ON_GRID = "resample the prediction onto the grid of the truth (nearest neighbour)"

Progress = Callable[[str, int, int], None]
Key = tuple[str, ...]
"""Folders below the side's root, then the bare name (left out where nothing of it remains)."""

_Roots = Mapping[str, Path]
_Shape = tuple[int, int, int]
_Naming = Callable[[Key, Path], Key]


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

    convention: Convention | None = None
    skipped: list[dict[str, str]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    missing: dict[str, list[str]] = field(default_factory=dict)
    said: dict[str, Decision] = field(default_factory=dict)
    hints: dict[str, str] = field(default_factory=dict)
    detections: dict[Path, Detection | None] = field(default_factory=dict)
    laid: int = 0

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
    files, unlisted = walk(root, outputs=True)  # masks of `detect` are what is judged
    kinds = {path: kind_of(path) for path in (*files, *(item.path for item in unlisted))}
    # A damaged or empty file keeps its place by its suffix: it is refused when it is read, and not taken for missing.
    usable = [path for path, kind in kinds.items() if kind in PICTURES | VOLUMES or suffix_of(path) in SUFFIXES]
    known = set(usable)
    for item in unlisted:
        if item.path not in known:
            findings.skip(_place(item.path, root, name), item.reason)
    if rest := sum(path not in known and path.name not in (LABELS_FILE, FINDINGS) for path in files):
        findings.remarks.append(f"{name}: {rest} files that are no volumes or pictures were left aside")
    called = {path: _called(stem_of(path)) for path in usable}
    aside = sum(kind == "aside" for kind in called.values())
    if 0 < aside < len(usable):
        findings.remarks.append(f"{name}: {aside} files are probabilities or masks of something else, by their names")
        usable = [path for path in usable if called[path] != "aside"]
    marked = [path for path in usable if called[path] == "mask"]
    if marked and len(marked) < len(usable):
        left = len(usable) - len(marked)
        findings.remarks.append(f"{name}: {left} files were taken for images, since others are called masks")
    return _keyed(marked or usable, root, name, findings)


def _called(stem: str) -> Literal["mask", "image", "aside"]:
    """What a file is by its name; what says neither may be the mask under the name of its scan."""
    part = _read_name(stem)
    if part.role != "other":
        return "mask" if part.role == "mask" else "image"
    # A mask may be drawn on a sequence that is not asked for elsewhere, and healthy people have empty ones.
    if part.why == "healthy" or FILES.get(part.why, Word("organ")).kind == "other":
        return "mask" if part.rank < _UNSAID else "image"
    return "aside"


def _read_name(stem: str) -> Part:
    lone = _LETTER.match(stem)
    return read_part(lone[2] if lone else stem)


def _keyed(paths: Sequence[Path], root: Path, name: str, findings: Findings) -> dict[Key, Path]:
    """One file for each key: of several the one drawn by hand, of predictions the machine's."""
    groups: dict[Key, list[Path]] = defaultdict(list)
    for path in paths:
        group = groups[_key(path, root)]
        if not group or not _same_detection(group[0], path, root, name, findings):
            group.append(path)
    found: dict[Key, Path] = {}
    passed = 0
    for key, group in groups.items():
        ranks = {path: _read_name(stem_of(path)).rank for path in group}
        machine = name != "truth" and _MACHINE in ranks.values()
        best = [path for path in group if ranks[path] == (_MACHINE if machine else min(ranks.values()))]
        passed += len(group) - len(best)
        if len(best) > 1 and not _bare(stem_of(best[0])) and len({stem_of(path).lower() for path in best}) == len(best):
            # tumour and whole in one folder: the names that say nothing of the patient tell them apart
            found |= {(*path.relative_to(root).parts[:-1], stem_of(path)): path for path in best}
            continue
        found[key] = best[0]
        for path in best[1:]:
            came = f"a second one beside {_place(best[0], root)}"
            findings.skip(_place(path, root, name), InputError("one mask of each name", came, "keep one of the two"))
    if passed:
        whose = "those drawn by hand" if name == "truth" else "the machine's"
        findings.remarks.append(f"{name}: {passed} files lie beside another mask of the same name; {whose} were taken")
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
    name = _bare(stem_of(path))
    folders = () if path == root else path.relative_to(root).parts[:-1]
    return (*folders, name) if name or not folders else folders


def _bare(stem: str) -> str:
    lone = _LETTER.match(stem)
    return lone[1] if lone and not bare(lone[2]) else bare(stem)


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
    """File of a side for each truth: of the same key, else by the first of `_NAMINGS` that only one on each side has.

    A name that several files of a side share (slice_000, tumour) names no patient, and whose file is left over is
    chance: those that have a partner count too.
    """
    found = {key: side[key] for key in truth if key in side}
    taken = set(found)
    for naming in _NAMINGS:
        ours, theirs = _unique(naming, truth), _unique(naming, side)
        for called, key in ours.items():
            partner = theirs.get(called)
            if key in found or partner is None or partner in taken:
                continue
            visits = {_visit_of(key, truth[key])[1:], _visit_of(partner, side[partner])[1:]}
            if naming is _patient_of and len(visits - {("",)}) > 1:
                continue  # two visits of one patient
            found[key] = side[partner]
            taken.add(partner)
    return found


def _unique(naming: _Naming, side: Mapping[Key, Path]) -> dict[Key, Key]:
    """Names that one file of a side has, with its key."""
    named = {key: naming(key, path) for key, path in side.items()}
    often = Counter(named.values())
    return {called: key for key, called in named.items() if any(called) and often[called] == 1}


def _in_place(key: Key, path: Path) -> Key:
    """The key without folders that only keep order, whatever its case and separators."""
    kept = [folder for folder in key[:-1] if (word := place_word(folder)) is None or word.kind != "place"]
    return tuple(canonical(part) for part in (*kept, key[-1]))


def _last(key: Key, path: Path) -> Key:
    return key[-1:]


def _visit_of(key: Key, path: Path) -> Key:
    """Patient and visit in the name of a volume, or in that of the next folder that names somebody."""
    if kind_of(path) in PICTURES:  # a slice is not the patient
        return ()
    own, visit = bool(_bare(stem_of(path))), ""
    for at, name in enumerate(reversed(key)):
        part = read_part(name)
        visit = visit or canonical(part.visit)
        if (who := part.patient or part.rest) and ((own and at == 0) or place_word(name) is None):
            return (canonical(who), visit)
    return ()


def _patient_of(key: Key, path: Path) -> Key:
    return _visit_of(key, path)[:1]


_NAMINGS: tuple[_Naming, ...] = (_last, _in_place, _visit_of, _patient_of)
"""How names meet that are not the same, the most careful one first."""


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
    """Take note of what the values of each side mean, where findings, a ``dataset.json`` or all names say so."""
    for side, name in zip(SIDES, ("truth", "predictions", "other"), strict=True):
        paths = [path for trio in trios if (path := getattr(trio, side)) is not None]
        if name not in roots or not paths:
            continue
        root = roots[name] if roots[name].is_dir() else roots[name].parent
        if (hint := _hint_of(paths, root)) is not None:
            findings.hints[side] = hint
        if findings.convention is not None:
            continue
        folders = sorted({path.parent for path in paths})
        ours = {found.text(): found for folder in folders if (found := found_by_us(folder)) is not None}
        if len(ours) == 1:
            findings.said[side] = Decision(ours.popitem()[1], "findings of synthoma detect say so")
        elif ours:
            findings.said[side] = Decision(None, "findings of synthoma detect differ")
        elif (decision := _described(folders, root)) is not None:
            findings.said[side] = decision
            findings.remarks.append(f"{name}: what values mean was read from {LABELS_FILE}")


def _hint_of(paths: Sequence[Path], root: Path) -> str | None:
    """The convention that the names of all files speak for."""
    hints = {hinted(f"{root.resolve().name}/{path.relative_to(root).as_posix()}") for path in paths}
    if hints == {"brats-2023", "post-treatment"}:  # they differ in the cavity, which only the second has
        return "post-treatment"
    return hints.pop() if len(hints) == 1 else None


def _described(folders: Sequence[Path], root: Path) -> Decision | None:
    """What the ``dataset.json`` of a side says; None where it says nothing of values."""
    top = root.resolve()
    found = [description_of(top / folder.relative_to(root), top) for folder in folders]
    said = [one for one in found if one is not None and (one.convention is not None or one.unclear)]
    if not said:
        return None
    if unclear := sorted({label for one in said for label in one.unclear}):
        return Decision(None, f"{LABELS_FILE} names labels that are not known here: {', '.join(unclear)}")
    texts = {one.convention.text(): one.convention for one in said if one.convention is not None}
    if len(texts) > 1 or len(said) < len(found):
        return Decision(None, f"not every file has a {LABELS_FILE} that says the same")
    return Decision(texts.popitem()[1], f"{LABELS_FILE} says so")


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
                came = f"{_size_of(part.truth.shape)} among {_size_of(parts[0].truth.shape)}"
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
    if findings.laid:
        findings.remarks.append(
            f"{findings.laid} masks were cropped, larger or mirrored on the grid of their truth or prediction: voxels "
            "were put in their place, and what a mask does not cover counts as background"
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
    read: dict[str, tuple[Array, Geometry | None]] = {}
    shape, grid = (truth.shape[0], truth.shape[1], truth.shape[2]), geometry
    for name, path in (("predictions", trio.prediction), ("other", trio.other)):
        try:
            if name in roots and path is not None:
                mask, own = _read(path)
                shape, grid = _covering(shape, grid, mask, own)
                read[name] = mask, own
        except InputError as error:
            assert path is not None
            findings.skip(_place(path, roots[name], name), error)
    if trio.prediction is not None and "predictions" not in read:
        return None
    whole = _laid(truth, geometry, shape, grid, findings)
    drawn = {name: _laid(mask, own, shape, grid, findings) for name, (mask, own) in read.items()}
    for name, path in (("predictions", trio.prediction), ("other", trio.other)):
        if name in roots and path is None:
            drawn[name] = np.zeros_like(whole)
    if grid is not None:
        spacing = (grid.spacing[2], grid.spacing[1], grid.spacing[0])
    turned = "predictions" in read and drawn["predictions"] is not read["predictions"][0]
    chances = None if turned else _chances(trio.prediction, whole, roots["predictions"], findings)
    return PatientMasks(place, whole, drawn["predictions"], spacing, drawn.get("other"), chances)


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


def _covering(
    shape: _Shape, grid: Geometry | None, mask: Array, own: Geometry | None
) -> tuple[_Shape, Geometry | None]:
    """The grid on which a mask lies beside the truth: that of the truth, or a larger one around a truth that was cut.

    Raises:
        InputError: a mask of another grid, or one that shows another part of it.
    """
    large = f"{_size_of(mask.shape)} for a truth of {_size_of(shape)}"
    if grid is None or own is None:
        if mask.shape != shape:
            raise InputError("a prediction as large as its truth", large, _ON_GRID)
        return shape, grid
    if mask.shape == shape and same_grid(grid, own):
        return shape, grid
    low, high = _field(own, mask.shape, grid)
    top = np.array(shape[::-1]) - 1
    inside, around = (low >= 0) & (high <= top), (low <= 0) & (high >= top)
    first, last = np.minimum(low, 0), np.maximum(high, top)
    if (inside | around).all():
        try:
            if paste_onto(Volume(mask, own), grid, shape) is not None:
                return shape, grid
        except InputError:  # what it marks lies outside a truth that was cut to its tumour
            z, y, x = (last - first + 1)[::-1].tolist()
            origin = np.array(grid.origin) + _steps(grid) @ first
            return (z, y, x), replace(grid, origin=(float(origin[0]), float(origin[1]), float(origin[2])))
    came = large if mask.shape != shape else "another spacing, origin or direction"
    raise InputError("a prediction on the grid of its truth", came, _ON_GRID)


def _laid(mask: Array, own: Geometry | None, shape: _Shape, grid: Geometry | None, findings: Findings) -> Array:
    """A mask on a grid that covers it; the same array where it is on it already."""
    if grid is None or own is None or (mask.shape == shape and same_grid(grid, own)):
        return mask
    pasted = paste_onto(Volume(mask, own), grid, shape)
    assert pasted is not None
    findings.laid += 1
    return pasted.voxels


def _field(own: Geometry, shape: tuple[int, ...], grid: Geometry) -> tuple[Ints, Ints]:
    """First and last voxel (x, y, z) of a mask, counted on a grid."""
    corners = np.array([(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)]) * (np.array(shape[::-1]) - 1)
    places = corners @ _steps(own).T + np.array(own.origin) - np.array(grid.origin)
    counted = np.rint(places @ np.linalg.inv(_steps(grid)).T).astype(np.int64)
    return counted.min(axis=0), counted.max(axis=0)


def _steps(geometry: Geometry) -> Floats:
    """Step from voxel to voxel along each axis of the grid, mm, as columns."""
    steps: Floats = np.array(geometry.direction).reshape(3, 3) * np.array(geometry.spacing)
    return steps


def _size_of(shape: tuple[int, ...]) -> str:
    """Width, height and, of a volume, depth: 240x240x155."""
    return "x".join(map(str, shape[::-1] if shape[0] > 1 else shape[:0:-1]))


def _read(path: Path) -> tuple[Array, Geometry | None]:
    """Labels (z, y, x) of one file, and its geometry where it has one.

    Raises:
        InputError: damaged, another format, or values that are no labels.
    """
    kind = kind_of(path)
    if kind == "jpeg":
        raise InputError("a mask stored without loss", "a JPEG, which changes values", "export it as PNG")
    if kind in VOLUMES or (kind == "unknown" and SUFFIXES.get(suffix_of(path)) in _VOLUMES):
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
