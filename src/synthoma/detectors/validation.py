"""Judging a detector at a snapshot, on patients that it does not learn from."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from synthoma.cohorts.dataset import spread
from synthoma.core.types import Bools, Floats, Ints
from synthoma.detectors.slices import LabelledSlices
from synthoma.training.device import Execution

# `arange` gives 0.30000000000000004 for 0.3. Its end is beyond 0.9, which rounding might leave out or take in.
THRESHOLDS = np.round(np.arange(0.1, 0.91, 0.05), 2)
"""Probabilities that are tried as the limit of tumour."""

BLOCK = 32

Sheet = Callable[[int, Ints, Tensor], None]
"""Called with the images seen, rows, and probabilities (B, T, S, S) of a few slices."""


@torch.no_grad()
def outputs(network: nn.Module, slices: LabelledSlices, rows: Ints, execution: Execution) -> Tensor:
    """What a network says of these rows of a cohort, in order, as float32 on the CPU."""
    parts = []
    for start in range(0, len(rows), BLOCK):
        images = slices.inputs(rows[start : start + BLOCK])
        placed = images.to(execution.device).contiguous(memory_format=execution.memory_format)
        parts.append(network(placed).float().cpu())
    return torch.cat(parts)


def overlap_counts(chances: Tensor, masks: Tensor) -> tuple[Ints, Ints, Ints]:
    """Pixels of tumour found, said to be tumour, and being tumour, for each threshold.

    Args:
        chances: (B, T, S, S).
        masks: likewise.

    Returns:
        Found and said (thresholds, B, T), and being (B, T).
    """
    truth = masks > 0.5
    # In the precision of the chances: 0.3 in double lies beside 0.3 in single.
    limits = torch.from_numpy(THRESHOLDS).float()
    said = torch.stack([(chances >= limit).sum(dim=(2, 3)) for limit in limits])
    found = torch.stack([((chances >= limit) & truth).sum(dim=(2, 3)) for limit in limits])
    return found.numpy(), said.numpy(), truth.sum(dim=(2, 3)).numpy()


def patient_dice(found: Ints, said: Ints, being: Ints, groups: Ints) -> Floats:
    """Dice of each patient's volume (thresholds, patients, T); 1 where neither side shows tumour.

    Args:
        found: (thresholds, slices, T), see ``overlap_counts``.
        said: likewise.
        being: (slices, T).
        groups: patient number of each slice, (slices,).
    """
    # Who is whom as a matrix: one product adds up the slices of each patient, for all thresholds at once.
    belongs = (groups[None] == np.arange(int(groups.max()) + 1)[:, None]).astype(np.float64)  # (patients, slices)
    hit, claimed, true = belongs @ found, belongs @ said, belongs @ being
    return np.where(claimed + true > 0, 2 * hit / np.maximum(claimed + true, 1), 1.0)


def steady_threshold(dice: Floats) -> int:
    """The middle of the thresholds that are not worse than the best one by more than the error of that comparison.

    The Dice of a few patients hardly changes over a wide range of thresholds, and its very top is an accident of these
    patients.

    Args:
        dice: (thresholds, patients).

    Returns:
        Its position in ``THRESHOLDS``.
    """
    best = int(dice.mean(axis=1).argmax())
    # Paired by patient: most of what patients differ by is the same at two thresholds.
    behind = dice[best] - dice
    error = behind.std(axis=1, ddof=1) / np.sqrt(dice.shape[1]) if dice.shape[1] > 1 else np.zeros(len(dice))
    good = np.flatnonzero(behind.mean(axis=1) <= error)
    return int(good[len(good) // 2])


def segmentation_judge(
    slices: LabelledSlices, rows: Ints, shown: Ints, execution: Execution, sheet: Sheet
) -> Callable[[nn.Module, int], tuple[float, dict[str, float], Tensor]]:
    """Judge a segmenter by the mean Dice of patients' volumes, at a threshold at which it is about largest.

    Args:
        slices: where from.
        rows: validation slices with masks; may be empty.
        shown: rows that are drawn at each snapshot.
        execution: device and memory layout.
        sheet: draws them.

    Returns:
        A function of the network and the images seen: 1 - Dice, mean over targets and over patients that have them (nan
        where none has any); figures for the log; and the threshold of each target, see ``steady_threshold``.
    """
    rows = spread(rows)
    names = slices.cohort.slices["group"].iloc[rows].astype(str)
    groups = np.unique(names, return_inverse=True)[1] if len(rows) else np.zeros(0, np.int64)

    def judge(network: nn.Module, images: int) -> tuple[float, dict[str, float], Tensor]:
        if len(shown):
            sheet(images, shown, torch.sigmoid(outputs(network, slices, shown, execution)))
        if not len(rows):
            return float("nan"), {}, torch.full((len(slices.targets),), 0.5)
        counts = []
        for start in range(0, len(rows), BLOCK):
            part = rows[start : start + BLOCK]
            chances = torch.sigmoid(outputs(network, slices, part, execution))
            counts.append(overlap_counts(chances, slices.fetch(part).masks))
        found, said = (np.concatenate([count[side] for count in counts], axis=1) for side in (0, 1))
        being = np.concatenate([count[2] for count in counts])
        dice = patient_dice(found, said, being, groups)
        values, chosen = {}, np.full(len(slices.targets), 0.5)
        for target, name in enumerate(slices.targets):
            # A patient without the target scores 1 or 0 by a single pixel: that says little, and hides the others.
            ill = np.unique(groups[being[:, target] > 0])
            if len(ill):
                best = steady_threshold(dice[:, ill, target])
                values[f"dice_{name}"] = float(dice[best, ill, target].mean())
                chosen[target] = THRESHOLDS[best]
        score = 1 - float(np.mean(list(values.values()))) if values else float("nan")
        return score, values, torch.from_numpy(chosen).float()

    return judge


def classification_judge(
    slices: LabelledSlices, rows: Ints, execution: Execution
) -> Callable[[nn.Module, int], tuple[float, dict[str, float], Tensor]]:
    """Judge a classifier by its cross-entropy on validation slices, every class weighing the same."""
    rows = spread(rows)
    truth = torch.from_numpy(slices.classes[rows])

    def judge(network: nn.Module, images: int) -> tuple[float, dict[str, float], Tensor]:
        if not len(rows):
            return float("nan"), {}, torch.zeros(0)
        logits = outputs(network, slices, rows, execution)
        entropy = nn.functional.cross_entropy(logits, truth, reduction="none")
        right = (logits.argmax(dim=1) == truth).float()
        of_class: list[Bools] = [(truth == number).numpy() for number in truth.unique()]
        score = float(np.mean([entropy.numpy()[members].mean() for members in of_class]))
        accuracy = float(np.mean([right.numpy()[members].mean() for members in of_class]))
        return score, {"balanced_accuracy": accuracy}, torch.zeros(0)

    return judge
