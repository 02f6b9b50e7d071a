"""What a report of an evaluation says: sections of sentences and tables, the same on the page and in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from synthoma.evaluation.result import Evaluation, Light, Question
from synthoma.reports.blocks import Block, Section
from synthoma.reports.fault_blocks import faults
from synthoma.reports.fidelity_blocks import diverse, realistic
from synthoma.reports.literature import studies
from synthoma.reports.privacy_blocks import private
from synthoma.reports.readers_blocks import readers_block
from synthoma.reports.references import REFERENCES
from synthoma.reports.settings_blocks import settings
from synthoma.reports.utility_blocks import decisive, useful
from synthoma.reports.wording import number, tidy

QUESTIONS: dict[Question, str] = {
    "realistic": "Realistic?",
    "diverse": "Diverse?",
    "private": "Private?",
    "useful": "Useful?",
}

FIGURES: dict[Question, str] = {
    "realistic": "distance to scans of unseen patients, in units of what real patients score",
    "diverse": "of the variety of real patients, by the least score",
    "private": "share of copies, upper bound at 95\N{NO-BREAK SPACE}%",
    "useful": "gain in the score of detectors by the best mixture, over duplicated real scans",
}
"""What the figure of each light is."""


def sections(result: Evaluation) -> list[Section]:
    """Everything that stands below the verdict, in order."""
    parts: dict[str, tuple[str, Sequence[Block | None]]] = {
        "realistic": (QUESTIONS["realistic"], realistic(result)),
        "readers": ("What readers say", [readers_block(result.readers)]),
        "diverse": (QUESTIONS["diverse"], diverse(result)),
        "private": (QUESTIONS["private"], private(result)),
        "useful": (QUESTIONS["useful"], useful(result)),
        "self-test": ("Would these scores have seen a fault?", [faults(result)]),
        "literature": ("What others found", [_literature(result), _references()]),
        "limits": ("What this evaluation cannot say", [_limits(result)]),
        "settings": ("Thresholds, settings, provenance", settings(result)),
    }
    return [
        Section(key, title, tuple(block for block in blocks if block is not None))
        for key, (title, blocks) in parts.items()
        if any(block is not None for block in blocks)
    ]


def figure(light: Light, result: Evaluation) -> tuple[str, str]:
    """The figure of a light and what it is; of usefulness the gain of the best mixture. Empty texts without one."""
    best, privacy = decisive(result.utility), result.privacy
    if light.question == "useful" and best is not None:
        return number(best.value, signed=True), FIGURES["useful"]
    if light.figure == "COPIES FOUND" and privacy.flagged is not None:
        return f"{privacy.flagged:,} of {privacy.of:,}", "as near to a training scan as copies are"
    if light.figure in ("", light.state, "COPIES FOUND", "not tested"):
        return "", ""
    return tidy(light.figure), FIGURES[light.question]


def compared_sentence(result: Evaluation) -> str:
    """What was compared with what."""
    compared = result.compared
    count = compared.divisions
    return (
        f"{compared.synthetic:,} of {compared.of_synthetic:,} synthetic slices ({compared.modality}) against "
        f"{compared.held_out:,} slices of {compared.held_out_groups:,} held-out patients or groups; copies are "
        f"searched among slices of {compared.training_groups:,} training patients or groups. "
        + (f"Every score stands beside up to {count} real-against-real values." if count else "There is no null.")
    )


def _literature(result: Evaluation) -> Block:
    text = (
        "Published figures for orientation. Data, detectors and splits differ: none is a target, and the last column "
        "says what stands between theirs and this one.",
    )
    rows = tuple((one.name, one.what, one.figure, one.here, one.why) for one in studies(result))
    columns = ("study", "what was measured", "published", "here", "comparable?")
    return Block("literature", "", text, columns, rows, frozenset(range(5)))


def _references() -> Block:
    """What this subject's literature reports, whatever was measured here."""
    text = (
        "Tables 2.1 and 2.2 are those of the seed project's thesis. A figure that was read from memory alone is "
        "marked: it is no source to cite.",
    )
    rows = tuple(
        (one.name, one.what, one.figure + (" (from memory)" if one.checked == "memory" else ""), one.comparable)
        for one in REFERENCES
    )
    columns = ("study", "what was measured", "published", "comparable?")
    return Block("references", "Reference rows", text, columns, rows, frozenset(range(4)), folded=True)


def _limits(result: Evaluation) -> Block:
    """In plain words."""
    compared, made, utility = result.compared, result.provenance.synthetic, result.utility
    items = []
    if made.origin == "synthetic" and not (made.trained_on is not None and made.trained_on.groups):
        items.append(
            "The synthetic cohort does not say whom its generator learned from. If it saw held-out patients, realism, "
            "privacy and usefulness look better than they are."
        )
    items += [
        f"It looked at single slices of one sequence ({compared.modality}), not at volumes, and not at whether "
        "neighbouring slices fit together.",
        f"It rests on {compared.held_out_groups:,} held-out patients or groups. They come from the same source as "
        "the training scans; scanners and hospitals that are not among them were not tested.",
        "The null compares few real patients with each other, where synthetic slices may be as many independent draws: "
        "it is wider than the truth, and differences are reported rather too seldom than too often.",
        "A score that sees no difference is no proof that there is none.",
        "The bounds on copies speak of copies altered as the planted ones, kind by kind, with another gamma and noise. "
        "They are measurements, not a guarantee such as differential privacy.",
        "Nobody looked at the images: whether radiologists take them for real is another question "
        "(`synthoma turing make`)."
        if result.readers is None
        else "Readers saw single slices. That they are deceived would not make these useful, or private.",
    ]
    if utility is not None and utility.arms:
        items.append(
            f"Usefulness was tested with small detectors and {utility.steps:,} steps of training. A "
            "larger detector, longer training or more patients may gain less or nothing.",
        )
    items.append("It is not for clinical use: neither the images nor what is trained on them may guide a treatment.")
    return Block("limits", "", items=tuple(items))
