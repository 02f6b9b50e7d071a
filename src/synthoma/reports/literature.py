"""Published figures beside which a reader will hold an evaluation, and what stands between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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


def studies(result: Mapping[str, Any]) -> list[Study]:
    """The published figures that concern what was measured, each beside the nearest one of this evaluation."""
    utility: Mapping[str, Any] = result.get("utility") or {}
    outlined = utility.get("task") == "outline"
    best = decisive(utility)
    against_real = gain(best["against_real"]) if best else NONE
    privacy = result["privacy"]
    apart = ((result["fidelity"].get("told_apart") or {}).get("linear") or {}).get("value")
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
            "80 to 90 % of the Dice of real scans", _share_of_real(utility) if outlined else NONE,
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
            "68.7 % of samples, 37.2 % of patients", _copies(privacy),
            "no: another kind of generator, and a learned embedding as detector; the order of magnitude is the lesson",
        ),
        Study(
            "GazeVal", "16 radiologists tell synthetic images from real ones", "96.6 % of synthetic ones found",
            NONE if apart is None else f"AUC {number(apart)} (linear model)",
            "no: people there, a model here; nobody was asked here",
        ),
    ]  # fmt: skip


def _share_of_real(utility: Mapping[str, Any]) -> str:
    scores = {name: arm["score"]["value"] for name, arm in utility["arms"].items()}
    if not {"synthetic", "real"} <= set(scores) or scores["real"] <= 0:
        return NONE
    return percent(max(0.0, scores["synthetic"] / scores["real"]))


def _copies(privacy: Mapping[str, Any]) -> str:
    if privacy.get("flagged") is None or not privacy.get("of"):
        return NONE
    return f"{privacy['flagged']:,} of {privacy['of']:,} flagged, at most {at_most(privacy['upper_share'])}"
