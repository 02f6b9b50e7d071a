"""The evaluation of a synthetic cohort: scores, four lights, one verdict; as plain data for evaluation.json."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from pydantic import Field

from synthoma.config import Config
from synthoma.data.cohort import Cohort
from synthoma.evaluation.comparison import compare
from synthoma.evaluation.fidelity import fidelity, intensities
from synthoma.evaluation.privacy import copies
from synthoma.provenance import file_digest, software

SCHEMA = "synthoma.evaluation/1"


class EvaluateConfig(Config):
    """What is evaluated, and the thresholds, fixed before anything is measured."""

    preset: Literal["quick"] = "quick"
    limit: int = Field(1000, ge=20, description="images of each kind that are compared")
    halves: int = Field(20, ge=2, description="real-vs-real divisions that each score is held against")
    seed: int = 0
    realistic_ratio: float = Field(1.5, gt=1, description="distance over its real-vs-real median: up to here GOOD")
    unrealistic_ratio: float = Field(4.0, gt=1, description="from here on POOR")
    diverse_share: float = Field(
        0.7, gt=0, le=1, description="recall and coverage over real-vs-real: from here on GOOD"
    )
    poor_share: float = Field(0.3, ge=0, le=1, description="up to here POOR")
    copies_p: float = Field(0.01, gt=0, lt=1, description="p below which copies count as found")


def evaluate(
    real: Cohort,
    synthetic: Cohort,
    config: EvaluateConfig,
    progress: Callable[[str, int, int], None] = lambda text, done, total: None,
) -> dict[str, Any]:
    """Score a synthetic cohort against the real one.

    Returns:
        Content of evaluation.json: schema, what was compared, scores with nulls, lights, verdict, settings.

    Raises:
        InputError: cohorts that cannot be compared, or too few images.
        LeakError: the generator saw held-out groups.
    """
    progress("comparing", 0, 3)
    comparison = compare(real, synthetic, limit=config.limit, seed=config.seed)
    scores = fidelity(comparison, halves=config.halves, seed=config.seed)
    progress("comparing", 1, 3)
    grey = intensities(comparison)
    progress("comparing", 2, 3)
    privacy = copies(comparison)
    progress("comparing", 3, 3)
    lights = [_realism(scores, config), _diversity(scores, config), _privacy(privacy, config), _utility()]
    return {
        "schema": SCHEMA,
        "preset": config.preset,
        "compared": {
            "modality": comparison.modality,
            "training": len(comparison.training),
            "held_out": len(comparison.held_out),
            "synthetic": len(comparison.synthetic),
            "training_groups": len(set(comparison.training_groups)),
            "held_out_groups": len(set(comparison.held_out_groups)),
            "rows": {
                "training": comparison.training_rows.tolist(),
                "held_out": comparison.held_out_rows.tolist(),
                "synthetic": comparison.synthetic_rows.tolist(),
            },
        },
        "fidelity": scores,
        "intensities": grey,
        "privacy": privacy,
        "lights": lights,
        "verdict": verdict(lights),
        "provenance": {
            "config": config.model_dump(mode="json"),
            "real": {"origin": real.origin, "images_sha256": file_digest(real.path / "images.npy")},
            "synthetic": {
                "origin": synthetic.origin,
                "images_sha256": file_digest(synthetic.path / "images.npy"),
                **synthetic.meta.get("provenance", {}),
            },
            "software": software(),
        },
    }


def verdict(lights: list[dict[str, str]]) -> dict[str, str]:
    """One verdict, never better than its weakest leg."""
    state = {light["question"]: light["state"] for light in lights}
    if state["private"] == "POOR":
        return {"word": "HARMS", "because": "copies of training scans were found; do not share this cohort"}
    worst = [question for question in ("realistic", "diverse") if state[question] == "POOR"]
    untested = "whether it helps a detector was not tested (preset quick)"
    if worst:
        return {"word": "NO EVIDENCE", "because": f"it is not {' and not '.join(worst)}; {untested}"}
    return {"word": "CANNOT TELL", "because": untested}


def _realism(scores: dict[str, Any], config: EvaluateConfig) -> dict[str, str]:
    distances = {family: values["sliced_wasserstein"] for family, values in scores.items()}
    known = {family: found["ratio"] for family, found in distances.items() if found["ratio"] is not None}
    if not known:
        return _light("realistic", "CANNOT TELL", "too few patients for a real-vs-real comparison")
    # Where one feature varies most, real-vs-real ratios reach 4 by themselves: POOR is what real scans never reached.
    poor = any(known[family] >= config.unrealistic_ratio and _outside(distances[family]) for family in known)
    state = "POOR" if poor else "GOOD" if max(known.values()) <= config.realistic_ratio else "FAIR"
    text = ", ".join(f"{ratio:.1f}x ({family})" for family, ratio in known.items())
    return _light("realistic", state, f"distance to held-out scans over real-vs-real: {text}")


def _outside(found: dict[str, Any]) -> bool:
    """Whether a score is worse than all of its real-vs-real values."""
    return bool(found["p"] * (1 + len(found["null"])) < 1.5)


def _diversity(scores: dict[str, Any], config: EvaluateConfig) -> dict[str, str]:
    overlaps = [values[name] for values in scores.values() for name in ("recall", "coverage")]
    known = [found for found in overlaps if found["ratio"] is not None]
    if not known:
        return _light("diverse", "CANNOT TELL", "too few patients for a real-vs-real comparison")
    poor = any(found["ratio"] <= config.poor_share and _outside(found) for found in known)
    least = min(found["ratio"] for found in known)
    state = "POOR" if poor else "GOOD" if least >= config.diverse_share else "FAIR"
    return _light("diverse", state, f"reaches {100 * least:.0f} % of the variety that other real patients reach")


def _privacy(privacy: dict[str, Any], config: EvaluateConfig) -> dict[str, str]:
    found = f"{privacy['flagged']} of {privacy['of']} nearer to a training scan than 99 % of held-out scans"
    if privacy["certain"]:
        found = f"{privacy['certain']} nearly the same as a training scan, {found}"
    if privacy["certain"] or privacy["p"] < config.copies_p:
        return _light("private", "POOR", f"COPIES FOUND: {found} (p = {privacy['p']:.2g})")
    return _light("private", "GOOD", f"NONE FOUND: {found}; at most {100 * privacy['upper_share']:.1f} % are (95 %)")


def _utility() -> dict[str, str]:
    return _light("useful", "CANNOT TELL", "not tested by the preset quick")


def _light(question: str, state: str, text: str) -> dict[str, str]:
    return {"question": question, "state": state, "text": text}
