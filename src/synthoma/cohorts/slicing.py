"""From one case to its normalised square slices, with one record each."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from synthoma.cohorts.checks import doubts, suspicions
from synthoma.cohorts.copies.thumbnails import SIDE, thumbnail
from synthoma.cohorts.framing import resize_mask, shown_part
from synthoma.cohorts.settings import PrepareConfig
from synthoma.cohorts.squares import Framing, FramingRule, frame, picture, tiles, to_squares
from synthoma.core.disk import disk_refused
from synthoma.core.errors import InputError
from synthoma.core.provenance import bytes_digest, file_digest
from synthoma.core.types import PLAIN_MODALITY, WHOLE_TUMOUR, Array, Bytes, Float16, Float32, tumour_of
from synthoma.scans.case import Case, Skipped, Study
from synthoma.scans.synthetic_marks import says_synthetic

TISSUE = 0.1
"""Normalised intensity above which a pixel counts as tissue."""

CHECKED_SLICES = 3
"""Slices of a volume that are checked for burned-in text: it stands on all of them or on none."""


@dataclass
class PreparedCase:
    """One case after loading: its slices and what is known of each."""

    images: Float16
    masks: Bytes
    records: list[dict[str, object]]
    thumbnails: Float32
    searched: list[int]
    labels: dict[int, str]
    remarks: list[str] = field(default_factory=list)


def prepare_case(
    case: Case,
    config: PrepareConfig,
    modalities: tuple[str, ...],
    thumbnails_per_case: int,
    rule: FramingRule | None = None,
) -> PreparedCase | Skipped:
    """The slices of a case, or the reason why it has none.

    Args:
        case: not yet loaded.
        config: the settings of ``prepare``.
        modalities: the channels, in order; a channel that the case lacks stays 0 and is named in ``missing``.
        thumbnails_per_case: how many of its slices the duplicate search will look at.
        rule: how its slices become squares, where that is not as the settings say.
    """
    try:
        prepared = _slices_of(case, config, modalities, thumbnails_per_case, rule or rule_of(config))
        return by_sequence(prepared, modalities) if config.classes == "sequence" else prepared
    except InputError as error:
        return Skipped(case_path(case), str(error))
    except Exception as error:  # a decoder's own bug must not stop the other files
        if disk_refused(error):  # which no file is to blame for
            raise
        reason = InputError("a readable case", f"{type(error).__name__}: {error}", "re-export it, or remove it")
        return Skipped(case_path(case), str(reason))


def _slices_of(
    case: Case, config: PrepareConfig, modalities: tuple[str, ...], searched_slices: int, rule: FramingRule
) -> PreparedCase:
    if config.origin == "real" and says_synthetic(case.sources):
        todo = "remove it, or prepare what is synthetic apart, with --origin synthetic"
        raise InputError("scans of patients", "a file that says of itself that it is synthetic", todo)
    loaded = case.load()
    _check_usable(loaded, modalities, config)
    mask, labels = _merge(loaded.mask, dict(loaded.labels), config)
    study = Study(loaded.images, loaded.geometry, mask, labels)
    framing = frame(
        study,
        modalities,
        size=config.size,
        plane=config.plane,
        rule=rule,
        hold_mask=config.holds_masks(),
    )
    images, mask, shape = framing.images, framing.mask, framing.shape
    kept = [z for z in range(0, shape[0], config.every) if _wanted(framing, z, config)]
    if not kept:
        raise InputError("a slice that is wanted", f"none of {shape[0]}", "loosen --slices, --min-brain or --every")
    pieces = [piece for z in kept for piece in _pieces(framing, z, config)]
    if not pieces:
        raise InputError("a tile that is wanted", "none", "loosen --slices or --min-brain, or use larger tiles")
    # Half precision has steps of 0.0005 up to 1, finer than 8 bits; `Framing` has cut what lies beyond its range.
    pixels = np.concatenate([to_squares(piece.framing, [piece.at]) for piece in pieces]).astype(np.float16)
    masks = np.zeros((len(pieces), config.size, config.size), dtype=np.uint8)
    if mask is not None:
        for row, piece in enumerate(pieces):
            masks[row] = resize_mask(mask[piece.z], piece.framing.fit)
    common = {**_case_record(case, framing), "missing": "+".join(framing.missing)}
    shown = shown_modality(tuple(images))
    looked_at = [piece.raw(shown) for piece in pieces]
    checked = _spread(len(pieces), CHECKED_SLICES)
    records = [
        {
            **common,
            **_place(piece.framing),
            **_scales(piece.framing),
            **({"tile": piece.tile} if config.tile else {}),
            "source": _source(case, study, piece.z),
            "slice": piece.z,
            "tumour_pixels": int(tumour_of(masks[row]).sum()),
            "tissue": float((pixels[row].max(axis=0) > TISSUE).mean()),
            "file_sha256": _file_digest(case, shape[0], config),
            "pixels_sha256": _pixel_digest({name: piece.raw(name) for name in images}),
            "look_at": ", ".join(suspicions(looked_at[row])) if row in checked else "",
        }
        for row, piece in enumerate(pieces)
    ]
    records = [{**record, **_further({**case.facts, **loaded.facts}, {*record, *_LATER})} for record in records]
    searched = _spread(len(pieces), searched_slices)
    thumbnails = _thumbnails([looked_at[row] for row in searched])
    strange = () if config.tile else doubts(pixels, masks, framing)  # a tile may be all head
    remarks = [f"{case.name}: {text}" for text in (*loaded.remarks, *strange)]
    remarks += _remarks(case, framing.missing, [piece.framing for piece in pieces])
    return PreparedCase(pixels, masks, records, thumbnails, searched, labels, remarks)


@dataclass(frozen=True)
class _Piece:
    """What becomes one slice of a cohort: a slice of the study, or a tile of one.

    Attributes:
        z: number of the slice in the study.
        framing: of the piece.
        at: where the slice stands in the framing.
        tile: "row-column" of the tile; empty for a whole slice.
    """

    z: int
    framing: Framing
    at: int
    tile: str = ""

    def raw(self, name: str) -> Array:
        """Grey values of a modality as they were read: of the slice, or of the tile."""
        image = self.framing.images[name][self.at]
        return shown_part(image, self.framing.fit.box) if self.tile else image


def _pieces(framing: Framing, z: int, config: PrepareConfig) -> list[_Piece]:
    """What a slice becomes, with the whole study's framing or its own."""
    own, at = (picture(framing, z, hold_mask=config.holds_masks()), 0) if config.apart else (framing, z)
    if config.tile is None:
        return [_Piece(z, own, at)]
    cut = [_Piece(z, part, at, name) for name, part in tiles(own, config.tile).items()]
    # Other than 0, not above it: of whole numbers the difference is one of their type, and may wrap round below 0.
    return [
        piece
        for piece in cut
        if any(np.ptp(piece.raw(name)) != 0 for name in own.images) and _wanted(piece.framing, at, config)
    ]


def _file_digest(case: Case, slices: int, config: PrepareConfig) -> str:
    """SHA-256 of the file that is one slice; empty where a file holds several, or becomes several tiles."""
    alone = len(case.sources) == 1 and slices == 1 and config.tile is None
    return file_digest(case.sources[0]) if alone else ""


def by_sequence(case: PreparedCase, modalities: Sequence[str]) -> PreparedCase:
    """A case whose sequences are slices of their own, of the modality "image", in turn: all of one slice together.

    A sequence that the case lacks gives none. Duplicates are searched for by the first one of each slice.
    """
    records, images, masks, first = list[dict[str, object]](), list[Float16](), list[Bytes](), list[int]()
    for row, record in enumerate(case.records):
        first.append(len(records))
        absent = str(record["missing"]).split("+")
        for channel, name in enumerate(modalities):
            if name in absent:
                continue
            scales = {key: value for key, value in record.items() if not key.startswith(("offset_", "scale_"))}
            for what in ("offset", "scale"):
                scales[f"{what}_{PLAIN_MODALITY}"] = record[f"{what}_{name}"]
            alone = {"sequence": name, "missing": "", "pixels_sha256": "", "file_sha256": ""}
            records.append({**scales, **alone, **({"look_at": ""} if len(records) > first[-1] else {})})
            images.append(case.images[row, channel : channel + 1])
            masks.append(case.masks[row])
    searched = [first[row] for row in case.searched]
    return replace(case, images=np.stack(images), masks=np.stack(masks), records=records, searched=searched)


def rule_of(config: PrepareConfig) -> FramingRule:
    """How these settings make slices squares; those that lie as a cohort's are resized at most."""
    if config.framed == "yes":
        return FramingRule(crop=False, normalise="kept", fitting=config.fitting, resampling=config.resampling)
    return FramingRule(config.crop, config.normalise, config.fitting, config.resampling, config.pad, config.window)


def _remarks(case: Case, missing: Sequence[str], framed: Sequence[Framing]) -> list[str]:
    """What the user should know of how the slices of a case were made."""
    remarks = [f"{case.name}: {', '.join(missing)} missing; the channel is empty"] if missing else []
    if any(own.widened for own in framed):
        remarks.append(f"the crop was widened to hold the mask: {case.name}")
    if clipped := sorted({name for own in framed for name in own.clipped}):
        remarks.append(f"{case.name}: values of {', '.join(clipped)} beyond what half precision holds were clipped")
    return remarks


def _scales(framing: Framing) -> dict[str, object]:
    """Distances in mm, and how to undo the normalisation."""
    return {
        "pixel_mm": framing.side_mm if framing.lps else None,
        "step_mm": framing.step_mm,
        **{f"offset_{name}": window[0] for name, window in framing.windows.items()},
        **{f"scale_{name}": window[1] for name, window in framing.windows.items()},
    }


def _check_usable(study: Study, modalities: tuple[str, ...], config: PrepareConfig) -> None:
    """Raise InputError where a study has nothing that is asked for."""
    present = [name for name in modalities if name in study.images]
    if not present:
        came = ", ".join(study.images) or "none"
        raise InputError(f"one of the modalities {', '.join(modalities)}", came, "choose others with --modalities")
    if config.slices == "tumour" and study.mask is None:
        raise InputError("a mask to choose tumour slices by", "a case without mask", "use --slices all")
    if all(np.ptp(study.images[name]) == 0 for name in present):
        raise InputError("an image with content", "one value everywhere", "re-export it, or remove it")


def _source(case: Case, study: Study, z: int) -> str:
    """Name of a slice's own file; the case's name where the grid may have been turned, or is one file."""
    return case.slice_names[z] if case.slice_names and study.geometry is None else case.name


def shown_modality(present: Sequence[str]) -> str:
    """The modality that stands for a slice in searches and pictures: FLAIR where there is one."""
    return "flair" if "flair" in present else present[0]


def _wanted(framing: Framing, z: int, config: PrepareConfig) -> bool:
    """Whether slice ``z`` has content, enough tissue, and tumour if that is asked for."""
    if all(np.ptp(image[z]) == 0 for image in framing.images.values()):
        return False
    mask = framing.mask
    # Of the resized mask: a few pixels may be gone from it.
    if config.slices == "tumour" and (mask is None or not tumour_of(resize_mask(mask[z], framing.fit)).any()):
        return False
    if config.min_brain == 0:
        return True
    square = np.max([framing.channel(name, z) for name in framing.images], axis=0)
    return bool((square > TISSUE).mean() >= config.min_brain)


def _merge(mask: Bytes | None, labels: dict[int, str], config: PrepareConfig) -> tuple[Bytes | None, dict[int, str]]:
    """The mask and what its values mean; merged, all that is tumour is 1, and a cavity is 0 like anything else."""
    if mask is None:
        return None, {}
    unknown = sorted(set(np.unique(mask).tolist()) - {0, *labels})
    if unknown:
        came = f"value {unknown[0]} besides {label_names(labels)}"
        raise InputError("a mask with known labels", came, "correct the mask, or merge labels before")
    if config.merge == "whole-tumour":
        return tumour_of(mask).astype(np.uint8), dict(WHOLE_TUMOUR)
    return mask, labels


def _place(framing: Framing) -> dict[str, object]:
    """Which part of a slice is shown, and where it lies in the square."""
    fit = framing.fit
    return {
        "box_top": fit.box.top,
        "box_left": fit.box.left,
        "box_height": fit.box.height,
        "box_width": fit.box.width,
        "rows": fit.rows,
        "columns": fit.columns,
    }


def _case_record(case: Case, framing: Framing) -> dict[str, object]:
    """What slices.csv says about every slice of a case."""
    geometry, shape = framing.lps, framing.shape
    return {
        "case": case.name,
        "patient": case.patient or "",
        "case_label": case.label or "",
        "site": case.site or "",
        "visit": case.visit,
        "kin": case.kin,
        "has_mask": framing.mask is not None,
        "height": shape[1],
        "width": shape[2],
        **_place(framing),
        "spacing": _vector(geometry.spacing) if geometry else "",
        "origin": _vector(geometry.origin) if geometry else "",
        "direction": _vector(geometry.direction) if geometry else "",
    }


_LATER = ("group", "split", "fold", "label", "twin")
"""Columns that a cohort gets once all its cases are known."""


def _further(facts: Mapping[str, str | float], own: Collection[str]) -> dict[str, str | float]:
    """What else is known of a case, under names that are none of the cohort's own."""
    return {(f"fact_{key}" if key in own else key): value for key, value in facts.items()}


def _vector(values: Sequence[float]) -> str:
    return " ".join(f"{value:.7g}" for value in values)


def _pixel_digest(images: dict[str, Array]) -> str:
    """SHA-256 of a slice's raw pixels; empty for a slice of one value, which is nobody's copy."""
    if all(np.ptp(image) == 0 for image in images.values()):
        return ""
    # The shape too: 2 x 8 and 4 x 4 pixels may have the same bytes. As float32, so that one picture in two types is
    # one.
    parts = [f"{image.shape}".encode() + image.astype(np.float32).tobytes() for image in images.values()]
    return bytes_digest(b"".join(parts))


def _spread(count: int, most: int) -> list[int]:
    """At most ``most`` positions among ``count``, evenly spaced."""
    return sorted({int(position) for position in np.linspace(0, count - 1, min(count, most)).round()})


def _thumbnails(slices: list[Array]) -> Float32:
    if not slices:
        return np.zeros((0, SIDE, SIDE), dtype=np.float32)
    return np.stack([thumbnail(image) for image in slices])


def case_path(case: Case) -> Path:
    """The file that stands for a case in messages."""
    return case.sources[0] if case.sources else Path(case.name)


def label_names(labels: dict[int, str]) -> str:
    """Mask values with their names, as a text."""
    return ", ".join(f"{value} {name}" for value, name in sorted(labels.items())) or "none"
