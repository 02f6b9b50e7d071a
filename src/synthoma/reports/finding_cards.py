"""A card for each scan on the page of findings: what was said, sizes, regions, remarks, slices, a copy to turn."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from synthoma.detection.scan_findings import ScanFindings, read_findings
from synthoma.detection.view import Small, View, read_view
from synthoma.detection.words import NONE, length_text, size_text

PICTURED, SLIDED, TURNED = 40, 12, 6
"""So many scans have a card, so many of them all slices that were kept, and so many a copy to turn."""

WIDEST = 1200
"""Pixels of an overlay's width; five panels of it can still be looked at."""

PROSE = {"t1": "T1", "t1c": "T1 with contrast", "t2": "T2", "flair": "FLAIR", "image": "plain picture"}


@dataclass(frozen=True)
class Slice:
    """A slice of the slider."""

    number: int
    chance: str
    picture: str
    outline: str | None


@dataclass(frozen=True)
class Card:
    """A scan on the page; texts as they are shown.

    Attributes:
        number: its place, from 1, among all scans.
        name: the scan.
        chance: probability of tumour.
        said: whether tumour is said.
        limit: probability from which it is.
        calibrated: whether somebody measured what the probability means.
        facts: pairs of a name and what stands beside it.
        regions: rows of volume, diameter and side, where there are several regions; the largest first.
        more_regions: how many are not among them.
        remarks: what a reader must know.
        slices: for the slider; empty where none were kept.
        first: which of them is shown first.
        of: slices that the scan has.
        seen: which sequence and plane is shown.
        truth: whether a mask that came with the scan is outlined too.
        small: a copy to turn.
        overlay: a picture as a data address, where there are no slices.
    """

    number: int
    name: str
    chance: str
    said: bool
    limit: str
    calibrated: bool
    facts: tuple[tuple[str, str], ...]
    regions: tuple[tuple[str, str, str], ...]
    more_regions: int
    remarks: tuple[str, ...]
    slices: tuple[Slice, ...]
    first: int
    of: int
    seen: str
    truth: bool
    small: Small | None
    overlay: str

    @property
    def shown(self) -> Slice:
        """The slice that is shown first."""
        return self.slices[self.first]

    @property
    def long(self) -> bool:
        """Whether any region's diameter is known."""
        return any(length != NONE for _, length, _ in self.regions)

    @property
    def data(self) -> dict[str, object]:
        """What the page's script reads."""
        small = None if self.small is None else {"scan": self.small.scan, "mask": self.small.mask}
        slices = [[one.number, one.chance, one.picture, one.outline] for one in self.slices]
        return {"first": self.first, "of": self.of, "slices": slices, "small": small}


def cards(folder: Path, places: Sequence[tuple[str, str]]) -> list[Card]:
    """The cards of the likeliest scans.

    Args:
        folder: that ``detect`` wrote.
        places: of each scan's findings.json and overlay within it, the likeliest scan first.

    Raises:
        InputError: a file of a scan is damaged.
    """
    made: list[Card] = []
    for number, (findings, overlay) in enumerate(places[:PICTURED], start=1):
        if (path := inside(folder, findings)) is None:
            continue
        view = read_view(path.parent)
        turned = sum(card.small is not None for card in made)
        picture = inside(folder, overlay)
        kept = _Kept(view, slided=len(made) < SLIDED, turned=turned < TURNED)
        made.append(_card(number, read_findings(path), kept, picture))
    return made


def inside(folder: Path, place: str) -> Path | None:
    """A file that a table names; None where there is none, or it lies elsewhere."""
    path = (folder / place).resolve()
    return path if place and path.is_relative_to(folder.resolve()) and path.is_file() else None


@dataclass(frozen=True)
class _Kept:
    """What of a scan's view goes into the page: all slices or one, and the copy to turn or none."""

    view: View | None
    slided: bool
    turned: bool

    @property
    def slices(self) -> tuple[Slice, ...]:
        if self.view is None:
            return ()
        chosen = self.view.slices if self.slided else (self.view.slices[self.view.first],)
        return tuple(Slice(one.slice, _two(one.probability), one.picture, one.outline) for one in chosen)


def _card(number: int, found: ScanFindings, kept: _Kept, overlay: Path | None) -> Card:
    view, slices = kept.view, kept.slices
    return Card(
        number=number,
        name=found.case,
        chance=_two(found.probability),
        said=found.has_tumour,
        limit=_two(found.says_tumour_from),
        calibrated=found.calibrated,
        facts=_facts(found),
        regions=_regions(found),
        more_regions=max(0, found.regions - len(found.largest_regions)) if found.largest_regions else 0,
        remarks=found.remarks,
        slices=slices,
        first=view.first if view is not None and kept.slided else 0,
        of=view.of if view is not None else 0,
        seen="" if view is None else _seen(view, found),
        truth=view is not None and view.truth,
        small=view.small if view is not None and kept.turned else None,
        overlay=reduced(overlay) if overlay is not None and not slices else "",
    )


def _facts(found: ScanFindings) -> tuple[tuple[str, str], ...]:
    """What is known of the whole, name by name; what nobody knows is left out."""
    facts: list[tuple[str, str]] = []
    if found.has_mask:
        facts.append(("volume", size_text(found.volume, found.volume_unit)))
        facts += [
            (f"of it {name}", size_text(size, found.volume_unit)) for name, size in list(found.volumes.items())[1:]
        ]
        if found.diameter is not None:
            facts.append(("largest diameter", length_text(found.diameter, found.diameter_unit)))
        facts.append(("largest in one slice", length_text(found.diameter_in_plane, found.diameter_unit)))
        facts += _board(found)
        facts.append(("side", _side(found.side, found)))
        facts.append(("slices with tumour", f"{len(found.slices)} of {len(found.slice_probabilities)}"))
        facts.append(("separate regions", f"{found.regions}"))
    facts += _tissues(found)
    if found.type:
        chance = found.type_probabilities.get(found.type)
        facts.append(("likeliest type", f"{found.type} ({_two(chance)})"))
    for name, score in (found.dice or {}).items():
        facts.append((f"Dice with its own mask ({name})", _two(score)))
    facts.append(("looked at", ", ".join(PROSE.get(name, name) for name in found.modalities)))
    if found.missing:
        facts.append(("missing", ", ".join(PROSE.get(name, name) for name in found.missing)))
    if found.taken_for:
        facts.append(("taken for", f"{PROSE.get(found.taken_for, found.taken_for)} (the file does not say)"))
    return tuple((name, text) for name, text in facts if text != NONE)


def _tissues(found: ScanFindings) -> list[tuple[str, str]]:
    """Lobes, volumes of tissues and the shift of the midline, where they were asked for."""
    lobes = list(dict.fromkeys(one.lobe for one in found.largest_regions if one.lobe))
    facts = [("lobe (estimated)", ", ".join(lobes))] if lobes else []
    tissues = found.tissues
    if tissues is None:
        return facts
    sizes = {"brain": tissues.brain_ml, **tissues.volumes_ml}
    shown = ("brain", "grey matter", "white matter", "ventricles", "outer fluid")
    facts += [(f"{name} (estimated)", f"{sizes[name]:,.0f} ml") for name in shown if sizes.get(name)]
    if (shift := tissues.midline_shift_mm) is not None:
        # Below 1 mm no side: healthy heads are not more symmetric than that.
        way = f" to the patient's {'left' if shift > 0 else 'right'}" if abs(shift) >= 1 else ""
        facts.append(("midline shift (estimated)", f"{abs(shift):.0f} mm{way}"))
    return facts


def _board(found: ScanFindings) -> list[tuple[str, str]]:
    """RANO diameters of the largest lesion of each target, and between which volumes a reader may place the tumour."""
    facts = []
    for target in found.rano.sum_mm2 if found.rano is not None else ():
        assert found.rano is not None
        if (one := found.rano.largest(target)) is not None:
            size = f"{one.largest_mm:.0f} × {one.perpendicular_mm:.0f} mm = {one.product_mm2:,.0f} mm²"
            more = sum(lesion.measurable for lesion in found.rano.lesions if lesion.target == target)
            text = f"{size}, slice {one.slice}" if one.measurable else f"{size}, not measurable (below 10 × 10 mm)"
            if more > 1:
                text += f"; sum of {min(more, 5)} measurable lesions {found.rano.sum_mm2[target]:,.0f} mm²"
            facts.append((f"RANO diameters ({target})", text))
    if found.band is not None:
        inner, outer = (
            size_text(size, found.volume_unit) for size in (found.band.inner_volume, found.band.outer_volume)
        )
        limits = f"probability {found.band.inner_from:g} and {found.band.outer_from:g}"
        facts.append(("inner and outer outline", f"{inner} to {outer} ({limits})"))
    return facts


def _side(side: str | None, found: ScanFindings) -> str:
    """The patient's side in words; where the file does not say how it lies, it is assumed."""
    if side is None:
        return NONE
    text = "at the midline" if side == "midline" else f"the patient's {side}"
    return f"{text} (assumed)" if found.centroid_mm_lps is None and side != "midline" else text


def _seen(view: View, found: ScanFindings) -> str:
    """Which sequence and plane is shown, and which side is which."""
    shown = f"{view.plane} {PROSE.get(view.modality, view.modality)}"
    if found.centroid_mm_lps is None and found.diameter_unit == "pixels":
        return f"{PROSE.get(view.modality, view.modality)} · its left is taken for the patient's right"
    return shown if view.plane == "sagittal" else f"{shown} · the patient's right is on the left"


def _regions(found: ScanFindings) -> tuple[tuple[str, str, str], ...]:
    """A row of each region, where there are several."""
    if found.regions < 2:
        return ()
    return tuple(
        (size_text(one.volume, found.volume_unit), length_text(one.diameter, found.diameter_unit), one.side or NONE)
        for one in found.largest_regions
    )


def _two(value: float | None) -> str:
    return NONE if value is None else f"{value:.2f}"


def reduced(path: Path) -> str:
    """A picture as a data address, no wider than a page needs."""
    with Image.open(path) as picture:
        picture.thumbnail((WIDEST, 10 * WIDEST))
        content = io.BytesIO()
        picture.convert("RGB").save(content, "JPEG", quality=82)
    return f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode('ascii')}"
