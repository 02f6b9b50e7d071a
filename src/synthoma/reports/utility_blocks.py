"""Useful: what detectors learn in each arm, as sentences and tables."""

from __future__ import annotations

from collections.abc import Callable

from synthoma.evaluation.result import Evaluation
from synthoma.evaluation.score import Estimate
from synthoma.evaluation.useful.result import Comparison, CrossCell, Utility, Worth
from synthoma.evaluation.useful.worth import worth_text
from synthoma.reports.blocks import Block
from synthoma.reports.wording import NONE, chance, gain, number, sentence, span

DETECTION = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "precision": "precision",
    "recall": "recall (sensitivity)",
    "specificity": "specificity",
    "f1": "F1",
    "roc_auc": "ROC AUC",
    "pr_auc": "PR AUC",
    "sensitivity_at_95_specificity": "sensitivity at 95 % specificity",
}


def decisive(utility: Utility | None) -> Comparison | None:
    """The comparison of the mixture that decided; None where none was trained."""
    return utility.comparisons[utility.mixture] if utility is not None and utility.mixture else None


def useful(result: Evaluation) -> list[Block | None]:
    """Arms, what the cohort is worth, comparisons and detection, of each size of detector; or how to have them."""
    utility = result.utility
    if utility is None:
        text = (
            "Not tested by this preset. Whether a detector learns more with these images than without them can only be "
            "seen by training it both ways and testing it on real patients: `synthoma evaluate REAL SYNTHETIC -o "
            "EVALUATION --preset standard` does that.",
        )
        return [Block("untested", "", text)]
    if not utility.arms:
        return [Block("untested", "", (sentence(f"{utility.word}: {utility.because}"),))]
    blocks: list[Block | None] = []
    # All detectors are shown: to show the one that gained most would be a choice by the result.
    for at, one in enumerate([utility, *utility.other_detectors]):
        blocks += [_arms(one, at), _worth(one, at), _comparisons(one, at), _detection(one, at), _cross(one)]
    return blocks


def _titled(title: str, utility: Utility, at: int) -> str:
    return title if at == 0 else f"{title} ({utility.detector} detector, which does not decide)"


def _arms(utility: Utility, at: int) -> Block:
    rows = [
        (
            arm.title, f"{arm.patients:,}", number(arm.score.value),
            span(arm.score.low, arm.score.high), " ".join(number(one) for one in arm.by_seed),
        )
        for arm in utility.arms.values()
    ]  # fmt: skip
    text = (
        sentence(f"{utility.word}: {utility.because}"),
        f"The same {utility.detector} detector learns {utility.steps:,} steps in each arm, with "
        f"{utility.seeds} seeds, and is asked about {utility.held_out_slices:,} slices of "
        f"{utility.held_out_patients:,} held-out patients. The score is {utility.endpoint}, the difference above "
        "that of a mixture to the control; intervals hold patients and seeds. Orange is the control: real scans "
        "duplicated to the count of the mixture, so that what remains is not the count.",
    )
    columns = ("learned from", "real patients", utility.endpoint, "95 % interval", "by seed")
    return Block(f"arms-{at}", _titled("What detectors learn", utility, at), text, columns, tuple(rows), folded=True)


def worth_sentence(worth: Worth) -> str:
    """What the mixtures reach, and what that is worth in real patients, with its interval."""
    return sentence(
        f"real and synthetic scans together reach {number(worth.reached)}, in the mixture that other patients and "
        f"seeds choose: {worth_text(worth)}"
    )


def _worth(utility: Utility, at: int) -> Block | None:
    worth = utility.worth
    if worth is None:
        return None
    rows = tuple(
        (f"{point.patients:,}", number(point.score), " ".join(number(one) for one in point.by_seed))
        for point in worth.curve
    )
    text = (
        worth_sentence(worth),
        "The line goes through the score of all patients there are, with the slope of the real arms from a quarter of "
        "them upwards in the logarithm of their number, and is followed to three times as many at most. Where the "
        "curve bends, gains and losses are larger than it says. Where it does not clearly rise, there is no number.",
    )
    warning = "" if len(rows) > 2 else "Two points make a line, however wrong it is: more `shares` would test it."
    columns = ("real patients", utility.endpoint, "by seed")
    title = _titled("What it is worth in patients", utility, at)
    return Block(f"worth-{at}", title, text, columns, rows, frozenset(), warning=warning, folded=True)


def _comparisons(utility: Utility, at: int) -> Block | None:
    rows = []
    for name, entry in utility.comparisons.items():
        real, test, areas = entry.against_real, entry.mcnemar, entry.delong
        won = f"{test.only_this} : {test.only_control}, {chance(test.p)}" if test else NONE
        auc = f"{number(areas.auc)} : {number(areas.auc_control)}, {chance(areas.p)}" if areas else NONE
        rows.append(
            (
                utility.arms[name].title, gain(entry), chance(entry.p), chance(entry.p_holm),
                number(entry.minimum_detectable), gain(real), won, auc,
            )
        )  # fmt: skip
    if not rows:
        return None
    text = (
        f"Differences in {utility.endpoint}, over the same {utility.held_out_patients:,} patients, with 95 % "
        "intervals. The mixtures alone decide; their p is adjusted after Holm. McNemar counts patients whom only this "
        "arm or only the control gets right (Dice above 0.5, or most slices), DeLong compares the ROC areas of slices.",
    )
    columns = (
        "learned from", "against the control", "p", "p (Holm)", "smallest difference found", "against plain real",
        "McNemar, p", "DeLong AUC, p",
    )  # fmt: skip
    title = _titled("Against real scans duplicated to the same count", utility, at)
    return Block(f"comparisons-{at}", title, text, columns, tuple(rows))


def _detection(utility: Utility, at: int) -> Block | None:
    arms = [arm for arm in utility.arms.values() if arm.detection]
    if not arms:
        return None
    names = [name for name in DETECTION if name in arms[0].detection]
    rows = [(arm.title, *(number(arm.detection.get(name)) for name in names)) for arm in arms]
    text = ("Scores of single slices, means over seeds. They do not decide: slices of one patient are alike.",)
    columns = ("learned from", *(DETECTION[name] for name in names))
    title = _titled("Which slices hold tumour?" if utility.task == "outline" else "Which class?", utility, at)
    return Block(f"detection-{at}", title, text, columns, tuple(rows), folded=True)


def _cross(utility: Utility) -> Block | None:
    """The 3 x 3 table."""
    table = utility.cross
    if table is None:
        return None
    sides = tuple(table.trained_on)

    def cells(of: Callable[[CrossCell], Estimate | None]) -> list[tuple[str, ...]]:
        return [(side, *(_estimate(of(row[asked])) for asked in sides)) for side, row in table.trained_on.items()]

    rows = [(f"{utility.endpoint}: trained on {side}", *rest) for side, *rest in cells(lambda cell: cell.score)]
    if all(cell.detection is not None for row in table.trained_on.values() for cell in row.values()):
        rows += [
            (f"balanced accuracy of slices: trained on {side}", *rest)
            for side, *rest in cells(lambda cell: cell.detection)
        ]
    text = (
        "The first column is what counts: real patients whom nobody saw. The others say why. Detectors of real scans "
        "that fail on synthetic slices have seen nothing like them; those of synthetic slices that do better there "
        "than on any patient learned what only synthetic ones have.",
        f"{table.kept_back:,} synthetic groups ({table.kept_back_slices:,} slices) were kept back for this table, and "
        f"{table.seeds} detectors trained for each row. 95 % intervals hold patients and, of {utility.endpoint}, seeds "
        "too.",
    )
    columns = ("", *(f"tested on {side}" for side in sides))
    return Block("cross", "Trained on, tested on", text, columns, tuple(rows))


def _estimate(one: Estimate | None) -> str:
    return NONE if one is None else f"{number(one.value)} {span(one.low, one.high)}"
