"""The arms of the question "is it useful?": what a detector learns from in each, at equal numbers of steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from synthoma.core.seeding import stream
from synthoma.core.types import Ints
from synthoma.evaluation.settings import UtilityConfig
from synthoma.evaluation.useful.trainings import Source, Stage

Kind = Literal["real", "plain", "duplicated", "phantom", "synthetic", "tuned", "mixed"]

CONTROL = "duplicated"
"""The arm that a mixed one is held against: real slices in the place of the synthetic ones."""

TUNED_STEPS = 0.3
"""Share of the steps that fine-tuning takes."""


@dataclass(frozen=True)
class Arm:
    """What is learned from.

    Attributes:
        name: key in evaluation.json.
        title: for people.
        kind: which mixture.
        patients: number of real patients; None for all that one has, 0 for none.
        ratio: of a mixture, synthetic slices for each real one.
    """

    name: str
    title: str
    kind: Kind
    patients: int | None = None
    ratio: float = 1.0


@dataclass(frozen=True)
class Material:
    """Where the slices come from.

    Attributes:
        real: training slices of all real patients that may be learned from.
        groups: (N,) patient of each of them.
        had: patients that one has; the learning curve may reach beyond them.
        synthetic: synthetic slices.
        phantom: slices of simulated patients, where given.
    """

    real: Source
    groups: tuple[str, ...]
    had: tuple[str, ...]
    synthetic: Source
    phantom: Source | None = None


def arms_of(config: UtilityConfig, material: Material) -> list[Arm]:
    """All arms, the learning curve first."""
    had, known = len(material.had), len(set(material.groups))
    # A set: of few patients two shares may be one number of them.
    counts = sorted({max(1, round(share * had)) for share in config.shares if round(share * had) < had})
    arms = [Arm(f"real {count}", f"real scans of {count} patients", "real", count) for count in counts]
    arms.append(Arm("real", f"real scans of {had} patients", "real"))
    if known > had:
        arms.append(Arm(f"real {known}", f"real scans of {known} patients", "real", known))
    arms += [
        Arm("plain", "real, without augmentation", "plain"),
        Arm("duplicated", "real, duplicated to the same count", "duplicated"),
    ]
    if material.phantom is not None:
        arms.append(Arm("phantom", "simulated patients only", "phantom", 0))
    few = max(1, round(config.tuned_share * had))
    arms += [
        Arm("synthetic", "synthetic only", "synthetic", 0),
        Arm("tuned", f"synthetic, then {few} real patient{'s' if few > 1 else ''}", "tuned", few),
        *(
            Arm(f"mixed {ratio:g}", f"real and synthetic, 1 : {ratio:g}", "mixed", ratio=ratio)
            for ratio in config.ratios
        ),
    ]
    return arms


def stages(arm: Arm, material: Material, *, seed: int, steps: int) -> tuple[Stage, ...]:
    """What the arm's detector goes through."""
    real = Source(material.real.cohort, chosen_rows(arm, material, seed))
    # Of a batch: one synthetic slice for each real one is half of it.
    share = arm.ratio / (1 + arm.ratio)
    if arm.kind == "real":
        return (Stage((real,), steps),)
    if arm.kind == "plain":
        return (Stage((real,), steps, augment=False),)
    if arm.kind == "duplicated":
        # Twice the same source: batches are drawn as those of a mixture are, and only the images differ.
        return (Stage((real, real), steps, share),)
    if arm.kind == "phantom":
        assert material.phantom is not None
        return (Stage((material.phantom,), steps),)
    if arm.kind == "synthetic":
        return (Stage((material.synthetic,), steps),)
    if arm.kind == "tuned":
        tuning = round(TUNED_STEPS * steps)
        return (Stage((material.synthetic,), steps - tuning), Stage((real,), tuning))
    return (Stage((real, material.synthetic), steps, share),)


def chosen_rows(arm: Arm, material: Material, seed: int) -> Ints:
    """Rows of the arm's real patients; fewer than one has are drawn anew for each seed, the same ones in all arms."""
    if arm.patients == 0:
        return np.zeros(0, np.int64)
    # Sorted, so that a seed draws the same patients whatever their order in the cohort.
    had = np.array(sorted(material.had))
    if arm.patients is None:
        kept = set(had)
    elif arm.patients > len(had):
        kept = set(material.groups)
    else:
        kept = set(had[stream(seed, "evaluation.utility.patients").permutation(len(had))[: arm.patients]])
    rows: Ints = material.real.rows[np.array([group in kept for group in material.groups], dtype=bool)]
    return rows
