"""Do masks lie on tumours once the pairs that a detector confirms least are left out? Another detector is asked.

    python benchmarks/label_agreement.py LADDER auto-10min-seed0 auto-10min-seed1 auto-10min-seed2

LADDER is the --keep folder of generators.py, with its cohort and what its runs drew. One detector, trained on the real
training patients, chooses as `synthoma evaluate --keep` does; one of another seed judges, held-out real slices and
drawn ones, all of them and those that were kept. Then both change places. The kept slices of the first choice are
compared with real ones again, since leaving out could harm what they look like.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from generators import FAMILIES, figures, judged
from record import earlier, save
from synthoma.cohorts.cohort import Cohort, write_rows
from synthoma.core.outputs import new_folder
from synthoma.evaluation.comparison import Comparison, compare
from synthoma.evaluation.realistic.agreement import LEAST_PIXELS, Judge, agreement, ask_judge
from synthoma.evaluation.realistic.result import Agreement
from synthoma.evaluation.settings import EvaluateConfig
from synthoma.evaluation.useful.material import prepared

SEEDS = (0, 1)


def detector(real: Cohort, made: Cohort, comparison: Comparison, seed: int, cells: Path) -> Judge:
    """A detector of this seed, asked about the slices that are compared."""
    config = EvaluateConfig(preset="standard", seed=seed)
    material, test = prepared(real, made, config, seen=None, phantom=None)
    return ask_judge(comparison, material.real, test, material.synthetic, config, cells, lambda done, total: None)


def agreed(judge: Judge, comparison: Comparison) -> Agreement:
    """Agreement of masks with a detector, where there are masks."""
    found = agreement(judge, comparison)
    assert found is not None
    return found


def dice_without(asked: Judge, comparison: Comparison, rejected: Sequence[int]) -> tuple[float, float]:
    """Mean Dice of a judge over the pairs that stay, and the share of pairs that do."""
    said = agreed(asked, comparison).synthetic
    stay = ~np.isin(comparison.synthetic_rows, rejected)
    answers = asked.synthetic
    seen = answers.tumour_pixels >= LEAST_PIXELS
    dice = 2 * answers.found_pixels / np.maximum(answers.called_pixels + answers.tumour_pixels, 1)
    assert abs(dice[seen].mean() - (said.value or 0.0)) < 1e-6  # the very pairs that the evaluation speaks of
    return float(dice[seen & stay].mean()), float((seen & stay).sum() / seen.sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ladder", type=Path)
    parser.add_argument("runs", nargs="+")
    given = parser.parse_args()
    results, place = earlier("label_agreement"), given.ladder
    real, config = Cohort(place / "lgg"), EvaluateConfig(preset="standard")
    rows: dict[str, Any] = results.setdefault("runs", {})
    for name in given.runs:
        made = Cohort(place / f"{name}-images")
        comparison = compare(real, made, limit=config.limit, seed=config.seed)
        judges = [detector(real, made, comparison, seed, place / "cells") for seed in SEEDS]
        found = [agreed(one, comparison) for one in judges]
        others = []
        for chooses, asked in ((0, 1), (1, 0)):
            dice, share = dice_without(judges[asked], comparison, found[chooses].rejected)
            real_dice, all_dice = (side.value or 0.0 for side in (found[asked].real, found[asked].synthetic))
            others.append({"real": real_dice, "all": all_dice, "kept": dice, "share": share})
        kept = place / f"{name}-kept"
        if not kept.exists():
            stay = comparison.synthetic_rows[~np.isin(comparison.synthetic_rows, found[0].rejected)]
            with new_folder(kept) as folder:
                write_rows(made, folder, stay.tolist(), left_out=len(made) - len(stay))
        scores = figures(judged(place / "lgg", kept, place / f"{name}-kept-evaluation", "quick"))
        rows[name] = {"judges": others, "kept": {f"sw2_{one}": scores[f"sw2_{one}"] for one in FAMILIES}}
        rows[name]["kept"]["auc"] = scores["auc"]
        save("label_agreement", results)


if __name__ == "__main__":
    main()
