"""Pictures of benchmarks/results for the README and docs; `tables.py` draws them. They show figures, never a scan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, LogLocator, NullLocator

from record import earlier

PATIENTS = {"5": 5, "10": 10, "": 26}
"""Suffix of an arm of phantom.py -> real patients that its detectors learned from."""
BESIDE = {
    "real": ("real patients alone", "0.35"),
    "both": ("and 150 simulated ones", "tab:orange"),
    "repainted": ("and these, repainted with their look", "tab:blue"),
}
SLICES = "24,000 slices"
START = "64,000 of the phantom"


def simulated_patients(path: Path) -> bool:
    """Mean Dice of detectors against the real patients that they learned from, with 95 % intervals; False without any.

    Arms of ``phantom.py``, with and without a start from simulated patients alone.
    """
    arms = earlier("phantom").get("arms", {})
    figure = Figure(figsize=(9.6, 4.2), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    budgets = {"begun from nothing": SLICES, "begun with simulated patients": f"{SLICES} after {START}"}
    drawn = False
    for axis, (title, budget) in zip(axes, budgets.items(), strict=True):
        for place, (what, (label, colour)) in enumerate(BESIDE.items()):
            found = {
                number: arms[f"{what}{few} {budget}"]["dice"]["mean"]
                for few, number in PATIENTS.items()
                if f"{what}{few} {budget}" in arms
            }
            if not found:
                continue
            drawn = True
            x = [number * 1.025 ** (place - 1) for number in found]  # side by side, so that no interval hides another
            y = [mean["value"] for mean in found.values()]
            below = [mean["value"] - mean["low"] for mean in found.values()]
            above = [mean["high"] - mean["value"] for mean in found.values()]
            line = {"color": colour, "marker": "o", "markersize": 5, "linewidth": 1.6, "elinewidth": 0.8}
            axis.errorbar(x, y, yerr=[below, above], label=label, **line)
        if (alone := arms.get("phantom 64,000 slices")) and "after" in budget:
            axis.axhline(alone["dice"]["mean"]["value"], color="tab:green", linestyle="--", linewidth=1)
            text = "simulated patients alone"
            axis.text(31, alone["dice"]["mean"]["value"] - 0.006, text, color="tab:green", ha="right", va="top")
        axis.set(title=title, xscale="log", xlabel="real patients to learn from")
        axis.xaxis.set_major_locator(FixedLocator(list(PATIENTS.values())))
        axis.xaxis.set_minor_locator(NullLocator())
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:.0f}")
        axis.set_xlim(4.3, 31)
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(axis="y", alpha=0.25)
    axes[0].set_ylabel("Dice, mean of 40 held-out patients")
    axes[1].legend(frameon=False, loc="lower right")
    if drawn:
        figure.savefig(path, dpi=110, metadata={"Software": None})
    return drawn


def learning_curves(rows: list[dict[str, Any]], path: Path) -> bool:
    """Validation score of every run against minutes and against images, one colour a model; False where there is none.

    Args:
        rows: of ``generators.py``: "model" and "curve", a list of {"seconds", "images", "score"}.
        path: of the PNG.
    """
    rows = [row for row in rows if row["curve"]]
    if not rows:
        return False
    figure = Figure(figsize=(9.6, 4.2), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    names = list(dict.fromkeys(row["model"] for row in rows))
    for row in rows:
        points = row["curve"]
        colour = f"C{names.index(row['model'])}"
        for axis, (what, unit) in zip(axes, (("seconds", 60.0), ("images", 1000.0)), strict=True):
            x = [point[what] / unit for point in points]
            axis.plot(x, [point["score"] for point in points], color=colour, alpha=0.8, linewidth=1.4)
    for name in names:
        axes[1].plot([], [], color=f"C{names.index(name)}", label=name)
    axes[0].set(xlabel="minutes on one core", ylabel="distance (SW2) to validation patients")
    axes[1].set(xlabel="thousand images shown")
    axes[1].legend(frameon=False, fontsize=8)
    for axis in axes:
        axis.set(xscale="log", yscale="log")
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 4, 5, 7)))
        for ticks in (axis.xaxis, axis.yaxis):
            ticks.set_minor_locator(NullLocator())
            ticks.set_major_formatter(lambda value, _: f"{value:g}")
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.25)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    return True
