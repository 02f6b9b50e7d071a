"""Published figures beside which a reader will hold an evaluation, and what stands between them."""

from __future__ import annotations

from dataclasses import dataclass

from synthoma.evaluation.private.result import Privacy
from synthoma.evaluation.result import Evaluation
from synthoma.evaluation.useful.result import Utility
from synthoma.metrics.tails import at_most
from synthoma.reports.utility_blocks import decisive
from synthoma.reports.wording import NONE, gain, number, percent


@dataclass(frozen=True)
class Study:
    """A published figure.

    Attributes:
        name: authors, year, where to find it.
        what: what was measured.
        figure: the published value.
        here: the nearest figure of this evaluation; a dash where there is none.
        why: whether the two can be compared, and what differs.
    """

    name: str
    what: str
    figure: str
    here: str
    why: str


def studies(result: Evaluation) -> list[Study]:
    """The published figures that concern what was measured, each beside the nearest one of this evaluation."""
    utility = result.utility
    outlined = utility is not None and utility.task == "outline"
    share = _share_of_real(utility) if utility is not None and outlined else NONE
    best = decisive(utility)
    against_real = gain(best.against_real) if best else NONE
    linear = result.fidelity.distinguished.get("linear")
    apart = None if linear is None else linear.value
    return [
        Study(
            "Asadi 2024", "StyleGAN2-ADA, FLAIR with mask, LGG, 14 × 1,000 synthetic slices added: Dice of tumour",
            "+0.041 validation, +0.036 test", against_real if outlined else NONE,
            "with care: both are gains over plain real scans; theirs is split by slices, without such a control as here"
            if outlined and best else "no: masks and detectors were not trained here",
        ),
        Study(
            "StyleGAN2-ADA on BRISC 2025, arXiv 2605.23094", "real and synthetic slices, three classifiers: accuracy",
            "+1.0 points (0.5 to 1.5, Holm p 0.010) in one, none in the others",
            against_real if best and not outlined else NONE,
            "with care: balanced accuracy here, other classes and other classifiers" if best and not outlined
            else "no: classes of slices there, outlines of tumours here" if best else "no: not tested here",
        ),
        Study(
            "Akbar 2024, arXiv 2306.02986", "segmenters trained on synthetic scans only, BraTS 2020 and 2021",
            "80 to 90 % of the Dice of real scans", share,
            "with care: a share of the same detector's Dice; four sequences and hundreds of patients there"
            if outlined else "no: no segmenter was trained here",
        ),
        Study(
            "PMLR v318, tuberculosis in chest X-rays", "real and synthetic against real duplicated to the same count",
            "no gain; best at 0.25 synthetic for each real, harm when high", gain(best) if best else NONE,
            "the question is the same (control of equal count); body part and classifier are not" if best
            else "no: not tested here",
        ),
        Study(
            "Dar 2024, arXiv 2402.01054", "latent diffusion: synthetic samples that are copies",
            "68.7 % of samples, 37.2 % of patients", _copies(result.privacy),
            "no: another kind of generator, and a learned embedding as detector; the order of magnitude is the lesson",
        ),
        Study(
            "GazeVal", "16 radiologists tell synthetic images from real ones", "96.6 % of synthetic ones found",
            NONE if apart is None else f"AUC {number(apart)} (linear model)",
            "no: people there, a model here; nobody was asked here",
        ),
    ]  # fmt: skip


def _share_of_real(utility: Utility) -> str:
    alone, real = (utility.arms[name].score.value if name in utility.arms else None for name in ("synthetic", "real"))
    return NONE if alone is None or real is None or real <= 0 else percent(max(0.0, alone / real))


def _copies(privacy: Privacy) -> str:
    if privacy.flagged is None or not privacy.of:
        return NONE
    return f"{privacy.flagged:,} of {privacy.of:,} flagged, at most {at_most(privacy.upper_share)}"
