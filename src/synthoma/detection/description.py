"""What was found in a scan, as findings.json says it."""

from __future__ import annotations

import numpy as np

from synthoma.cohorts.slicing import shown_modality
from synthoma.core.types import REGIONS, Floats, tumour_of
from synthoma.detection.band import Band
from synthoma.detection.brain import lobes_of, tissue_findings
from synthoma.detection.coding import to_rle
from synthoma.detection.findings import dice, measurements, side, tidy
from synthoma.detection.rano_findings import rano_findings
from synthoma.detection.regions import largest_regions
from synthoma.detection.scan_findings import Description, FoundSlice, Region
from synthoma.detection.seen import Seen
from synthoma.detectors.segmenters.label_maps import meanings
from synthoma.scans.orientation import from_plane


def describe(seen: Seen, band: Band | None = None) -> Description:
    """What was found, as findings.json says it; None stands where there is nothing to say, never NaN."""
    framing = seen.framing
    axis = framing.source_slice(0)[0]
    lps = from_plane(seen.in_plane(seen.mask), framing.plane)
    image = from_plane(framing.images[shown_modality(tuple(framing.images))], framing.plane)
    where, shift = side(lps, image)
    return Description.model_validate(
        {
            "probability": tidy(seen.probability),
            "says_tumour_from": tidy(seen.limit),
            "calibrated": seen.calibration is not None,
            "has_tumour": seen.has_tumour,
            "has_mask": bool(seen.mask.any()),
            **measurements(seen.regions, framing.source, axis, framing.pixel_mm).content(),
            "side": where,
            "left_of_midline": tidy(shift),
            "largest_regions": _placed(largest_regions(seen.mask, image, framing.source), seen),
            "slice_axis": "zyx"[axis],
            "index_convention": "slices and voxels are counted from 0, as the scan's file holds them",
            "planes": list(seen.planes),
            "slices": _tumour_slices(seen),
            "slice_probabilities": _slice_list(seen, seen.slice_chances),
            **({} if seen.gate is None else {"gate_probabilities": _slice_list(seen, seen.gate)}),
            "labels": {str(value): name for value, name in meanings(seen.targets).items()},
            "type": max(seen.types, key=lambda name: seen.types[name]) if seen.types else None,
            "type_probabilities": {name: tidy(chance) for name, chance in seen.types.items()},
            "modalities": list(framing.images),
            "missing": list(framing.missing),
            "taken_for": seen.guessed,
            **_board(seen, band),
            **_agreement(seen),
            **_tissues(seen),
        }
    )


def _placed(regions: list[Region], seen: Seen) -> list[Region]:
    """Regions with their lobes, where tissues were asked for."""
    if seen.tissues is None:
        return regions
    centres = [[float(one.centroid_voxel[axis] or 0) for axis in "zyx"] for one in regions]
    names = lobes_of(centres, seen.tissues, seen.study.geometry)
    return [one.model_copy(update={"lobe": name}) for one, name in zip(regions, names, strict=True)]


def _tissues(seen: Seen) -> dict[str, object]:
    """The head's tissues in numbers, where they were asked for and voxels have a size."""
    found = None if seen.tissues is None else tissue_findings(seen.tissues, seen.study.geometry)
    return {} if found is None else {"tissues": found}


def _board(seen: Seen, band: Band | None) -> dict[str, object]:
    """RANO measures and the band, where there are any."""
    rano = rano_findings(seen.regions, seen.study.geometry)
    found = {"rano": rano, "band": None if band is None else band.findings(seen)}
    return {name: one for name, one in found.items() if one is not None}


def _tumour_slices(seen: Seen) -> list[FoundSlice]:
    """The slices with predicted tumour, in the order of the source; of pictures with their run-length codes."""
    layers, found = seen.in_plane(seen.mask), []
    for z, layer in enumerate(layers):
        if layer.any():
            name, at = seen.slice_name(z), seen.framing.source_slice(z)[1]
            # What does not apply is left out of the file, not written as null.
            known = ({} if name is None else {"name": name}) | ({"rle": to_rle(seen.mask[at])} if seen.pictures else {})
            chance, pixels = tidy(float(seen.slice_chances[z])), int(layer.sum())
            found.append(FoundSlice(slice=at, probability=chance, pixels=pixels, **known))
    return sorted(found, key=lambda one: one.slice)


def _slice_list(seen: Seen, chances: Floats) -> list[float | None]:
    """A probability of every slice, in the order of the source; None where there is none."""
    order = np.argsort([seen.framing.source_slice(z)[1] for z in range(len(seen.slices))])
    return [tidy(float(value)) for value in chances[order]]


def _agreement(seen: Seen) -> dict[str, object]:
    """Dice with the case's own mask, where it has one; a cavity in it is no tumour."""
    truth = seen.study.mask
    if truth is None:
        return {}
    scores = {seen.targets[0]: dice(seen.mask, tumour_of(truth))}
    if set(REGIONS.values()) <= set(seen.study.labels.values()):
        value_of = {name: value for value, name in seen.study.labels.items()}
        inner = {"core": ("core", "enhancing"), "enhancing": ("enhancing",)}
        for target in seen.targets[1:]:
            if target in inner:
                real = np.isin(truth, [value_of[name] for name in inner[target]])
                scores[target] = dice(seen.regions[target], real)
    return {
        "dice": {name: tidy(value) for name, value in scores.items()},
        "dice_convention": "over the whole scan on its own grid, all slices counted; 1 where both masks are empty",
    }
