"""The page of scored masks: one Dice with its interval, the same masks under every convention, patient by patient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from synthoma.masks.regions import WHOLE
from synthoma.reports.page import render

CONVENTION_NAMES = {
    "patient_mean": ("mean over patients", "One Dice per patient, over the whole volume: the figure above."),
    "patient_median": ("median over patients", "The same, but the few patients whose tumour was missed do not show."),
    "pooled": ("all pixels pooled", "Large tumours decide; a small one that was missed hardly counts."),
    "slice_mean": ("mean over all slices", "A slice without tumour that was left empty counts 1, and most are that."),
    "tumour_slice_mean": (
        "mean over tumour slices",
        "False alarms elsewhere cost nothing, and the small ends of a tumour count as much as its middle.",
    ),
}
SCORE_NAMES = {
    "dice": "Dice",
    "iou": "IoU (Jaccard)",
    "tversky": "Tversky index",
    "precision": "precision of pixels",
    "recall": "recall of pixels",
    "surface_dice": "surface Dice, by voxels",
    "hd95": "HD95",
    "volume_error": "volume error",
    "relative_volume_error": "relative volume error",
}
DETECTION_NAMES = {
    "precision": "of the slices called tumour, so many have one",
    "recall": "of the slices with tumour, so many were called (sensitivity)",
    "specificity": "of the slices without tumour, so many were left empty",
    "f1": "harmonic mean of precision and recall",
    "accuracy": "of all slices, so many were right",
    "balanced_accuracy": "mean of recall and specificity",
}
RANKING_NAMES = {
    "roc_auc": "ROC AUC",
    "pr_auc": "PR AUC (average precision)",
    "sensitivity_at_95_specificity": "sensitivity at 95 % specificity",
}
CALIBRATION_NAMES = {"ece": "expected calibration error (ECE)", "brier": "Brier score"}
SHOWN_ROWS = 400
NONE = "–"


@dataclass(frozen=True)
class Heading:
    """What a page of masks says where they are those of a model on a cohort.

    Attributes:
        title: of the page.
        lead: what was scored.
        remarks: what its reader must know.
        slices: scores over single slices: name, number, and mean Dice, IoU, precision and recall with intervals.
        groups: scores of each group, as ``GroupScores`` has them.
        shift: the same model on another cohort, as ``Shift`` has it.
    """

    title: str
    lead: str
    remarks: Sequence[str]
    slices: Mapping[str, Mapping[str, Any]]
    groups: Sequence[Mapping[str, Any]] = ()
    shift: Mapping[str, Any] | None = None


def scores_page(scores: Mapping[str, Any], heading: Heading | None = None) -> str:
    """The whole page of a result of ``masks.scores`` as HTML text."""
    # The worst first: where a list is cut, failures are what must not be missing.
    rows = sorted(scores["per_patient"], key=lambda row: (row["regions"][WHOLE]["dice"], row["patient"]))
    name = scores["compared"]["predictions"]
    return render(
        "scores.html",
        title=heading.title if heading else f"Scores of {name}" if name else "Scores of masks",
        lead=heading.lead if heading else "",
        told=heading.remarks if heading else (),
        slices=[
            (title, found["slices"], [_span(found[score], 3) for score in ("dice", "iou", "precision", "recall")])
            for title, found in (heading.slices if heading else {}).items()
        ],
        groups=[_group(one) for one in heading.groups] if heading else [],
        shift=_shift(heading.shift) if heading and heading.shift else None,
        scores=scores,
        headline=_span(scores["regions"][WHOLE]["dice"].get("mean"), 3),
        cards=_cards(scores),
        conventions=[
            {"title": title, "why": why, "span": _span(scores["conventions"][key], 3)}
            for key, (title, why) in CONVENTION_NAMES.items()
        ],
        strip=_strip([row["regions"][WHOLE]["dice"] for row in rows], scores["regions"][WHOLE]["dice"]),
        regions={region: _region_rows(found, scores) for region, found in scores["regions"].items()},
        detection=[
            (
                key.replace("_", " "),
                hint,
                _span(scores["slices"][key], 3),
                _span(scores["slices"]["patient_mean"][key], 3),
            )
            for key, hint in DETECTION_NAMES.items()
        ],
        lesions=_lesions(scores.get("lesions") or {}),
        chances=_chances(scores["probabilities"]),
        comparison=_comparison(scores),
        patients=[_patient(row) for row in rows[:SHOWN_ROWS]],
        more=max(0, len(rows) - SHOWN_ROWS),
    )


def _number(value: float | None, digits: int) -> str:
    """A number with a true minus sign; a dash where there is none."""
    return NONE if value is None else f"{value:,.{digits}f}".replace("-", "\N{MINUS SIGN}")


def _span(entry: Mapping[str, Any] | None, digits: int) -> dict[str, str]:
    """A figure and its interval as text."""
    if entry is None:
        return {"value": NONE, "interval": NONE}
    interval = NONE if entry["low"] is None else f"{_number(entry['low'], digits)} to {_number(entry['high'], digits)}"
    return {"value": _number(entry["value"], digits), "interval": interval}


def _unit(score: str, unit: str) -> str:
    if score == "hd95":
        return unit
    return {"mm": "ml", "pixels": "pixels"}.get(unit, "") if score == "volume_error" else ""


def _scaled(entry: Mapping[str, Any] | None, score: str, unit: str) -> Mapping[str, Any] | None:
    """Volumes in ml, as radiologists give them."""
    if entry is None or score != "volume_error" or unit != "mm":
        return entry
    return {key: value if key == "n" or value is None else value / 1000 for key, value in entry.items()}


def _digits(score: str, unit: str) -> int:
    if score == "volume_error":
        return 1 if unit == "mm" else 0
    return 1 if score == "hd95" else 3


def _region_rows(found: Mapping[str, Any], scores: Mapping[str, Any]) -> list[dict[str, Any]]:
    unit = scores["unit"]
    rows = []
    for key, title in SCORE_NAMES.items():
        spans = {
            kind: _span(_scaled(found[key].get(kind), key, unit), _digits(key, unit)) for kind in ("mean", "median")
        }
        hint = f" ({scores['settings']['tolerance']:g} {unit})" if key == "surface_dice" else ""
        rows.append(
            {"title": title + hint, "unit": _unit(key, unit), "n": found[key].get("mean", {}).get("n"), **spans}
        )
    return rows


def _cards(scores: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    whole, slices = scores["regions"][WHOLE], scores["slices"]
    mean, median = _span(whole["dice"].get("mean"), 3), _span(whole["dice"].get("median"), 3)
    cards = [
        (mean["value"], "mean Dice per patient", f"95 % interval {mean['interval']}"),
        (median["value"], "median Dice per patient", f"95 % interval {median['interval']}"),
        (f"{scores['patients']:,}", "patients", f"{slices['slices']:,} slices"),
    ]
    if "median" in whole["hd95"]:
        distance = _span(whole["hd95"]["median"], 1)
        cards.append((f"{distance['value']} {scores['unit']}", "median HD95", f"95 % interval {distance['interval']}"))
    recall = _span(slices["recall"], 3)
    cards.append((recall["value"], "of the tumour slices found", f"95 % interval {recall['interval']}"))
    return cards


def _patient(row: Mapping[str, Any]) -> dict[str, str]:
    whole, unit = row["regions"][WHOLE], row["unit"]
    scale = 1000 if unit == "mm" else 1
    digits = _digits("volume_error", unit)
    return {
        "name": row["patient"],
        "dice": _number(whole["dice"], 3),
        "iou": _number(whole["iou"], 3),
        "precision": _number(whole["precision"], 3),
        "recall": _number(whole["recall"], 3),
        "surface_dice": _number(whole["surface_dice"], 3),
        "hd95": f"{_number(whole['hd95'], 1)} {'mm' if unit == 'mm' else 'px'}",
        "volume": f"{_number(whole['volume'] / scale, digits)} {'ml' if unit == 'mm' else 'px'}",
        "error": _number(whole["volume_error"] / scale, digits),
        "missed": f"{row['missed_slices']} of {row['tumour_slices']}",
        "false": f"{row['false_slices']} of {row['slices'] - row['tumour_slices']}",
    }


def _comparison(scores: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of the paired comparison; none without another model."""
    if scores["comparison"] is None:
        return []
    rows = []
    for region, found in scores["comparison"]["regions"].items():
        for key, entry in found.items():
            digits, gap = _digits(key, scores["unit"]), entry["difference"]
            rows.append(
                {
                    "region": region,
                    "title": SCORE_NAMES[key],
                    "other": _number(entry["other"]["value"], digits),
                    "difference": _span(gap, digits),
                    "p": NONE if gap["p"] is None else f"{gap['p']:.3f}",
                    "n": gap["n"],
                }
            )
    return rows


def _lesions(found: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Scores lesion by lesion, a row a region, and those that were found by size; empty where no size is known."""
    digits = {"dice": 3, "surface_dice": 3, "hd95": 1, "found": 3, "made_up_per_scan": 2}
    return {
        region: {
            "lesions": row["lesions"],
            "spans": [_span(row[key], places) for key, places in digits.items()],
            "sizes": [
                (_sizes(one), one["lesions"], _span(one["found"], 3), _span(one["dice"], 3)) for one in row["by_size"]
            ],
        }
        for region, row in found.items()
    }


def _group(one: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the table of groups."""
    digits = {"dice": 3, "surface_dice": 3, "hd95": 1, "lesion_dice": 3, "gap": 3}
    spans = [_span(one[key], places) for key, places in digits.items()]
    return {"by": one["by"], "group": one["group"], "patients": one["patients"], "spans": spans}


def _shift(one: Mapping[str, Any]) -> dict[str, Any]:
    """The other cohort: its name and size, and rows of a score there and of the gap."""
    rows = [("Dice", "dice", "gap"), ("surface Dice", "surface_dice", "surface_gap")]
    told = [(name, _span(one[there], 3), _span(one[gap], 3)) for name, there, gap in rows]
    return {"cohort": one["cohort"], "origin": one["origin"], "patients": one["patients"], "rows": told}


def _sizes(one: Mapping[str, Any]) -> str:
    """A range of volumes in words."""
    low, high = one["from_ml"], one["up_to_ml"]
    if high is None:
        return f"above {low:g} ml"
    return f"up to {high:g} ml" if not low else f"{low:g} to {high:g} ml"


def _chances(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Rows and the reliability curve of the probabilities; None where none came with the masks."""
    if found is None:
        return None
    rows = [
        (
            name,
            f"{key}, {found[key]['with_tumour']:,} of {found[key]['number']:,} with tumour",
            _span(found[key][score], 3),
        )
        for key in ("slices", "scans")
        for score, name in RANKING_NAMES.items()
        if found[key][score]["value"] is not None
    ]
    rows += [(name, "slices", _span(found["calibration"][score], 3)) for score, name in CALIBRATION_NAMES.items()]
    return {"patients": found["patients"], "rows": rows, "curve": _curve(found["calibration"]["curve"])}


SQUARE, MARGIN = 240, 40


def _curve(points: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Places of the reliability curve in a square picture; probability to the right, share upwards."""

    def at(probability: float, share: float) -> tuple[float, float]:
        return round(MARGIN + probability * SQUARE, 1), round(8 + (1 - share) * SQUARE, 1)

    dots = [at(point["probability"], point["share"]) for point in points]
    most = max((point["count"] for point in points), default=1)
    return {
        "width": SQUARE + MARGIN + 16,
        "height": SQUARE + 52,
        "corners": (*at(0, 0), *at(1, 1)),
        "dots": [
            # The area of a dot goes with its count, since areas are what eyes compare.
            (*place, round(2 + 3 * (point["count"] / most) ** 0.5, 1))
            for place, point in zip(dots, points, strict=True)
        ],
        "path": "M" + " L".join(f"{x} {y}" for x, y in dots),
        "ticks": [(f"{tick / 5:.1f}", at(tick / 5, 0)[0], at(0, tick / 5)[1]) for tick in range(6)],
    }


WIDTH, LEFT, RIGHT = 640, 16, 16


def _strip(values: Sequence[float], dice: Mapping[str, Any]) -> dict[str, Any]:
    """Places of one dot a patient on a line from 0 to 1; patients of like Dice stand on one another."""

    def across(value: float) -> float:
        return round(LEFT + value * (WIDTH - LEFT - RIGHT), 1)

    heights: dict[int, int] = {}
    dots = []
    for value in values:
        column = int(value * 75)  # dots of radius 4 in columns of 8
        heights[column] = heights.get(column, 0) + 1
        dots.append((across((column + 0.5) / 76), heights[column]))
    tallest = max(heights.values(), default=1)
    step = min(8.0, 130 / tallest)
    floor = 26 + step * tallest
    mean, median = dice["mean"], dice["median"]
    return {
        "width": WIDTH,
        "height": floor + 44,
        "floor": floor,
        "dots": [(at, round(floor - step * (level - 0.5) - 3, 1)) for at, level in dots],
        "ticks": [(across(tick / 5), f"{tick / 5:.1f}") for tick in range(6)],
        "low": None if mean["low"] is None else across(mean["low"]),
        "high": None if mean["low"] is None else across(mean["high"]),
        "mean": across(mean["value"]),
        "median": across(median["value"]),
    }
