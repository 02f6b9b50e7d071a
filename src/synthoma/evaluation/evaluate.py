"""The evaluation of a synthetic cohort: four questions, one verdict; as plain data for evaluation.json."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from synthoma.cohorts.cohort import Cohort
from synthoma.cohorts.leaks import patients_behind
from synthoma.core.artefacts import verified_digest
from synthoma.core.errors import InputError
from synthoma.core.provenance import bytes_digest, software
from synthoma.core.seeding import stream
from synthoma.core.types import Array, Floats, tumour_of
from synthoma.evaluation.comparison import LEAST, Comparison, compare, unseen_groups
from synthoma.evaluation.extractor import load_extractor
from synthoma.evaluation.faults import faults
from synthoma.evaluation.fidelity import (
    EXTRACTORS,
    authenticities,
    diversity,
    family_scores,
    features_of,
    group_numbers,
    intensities,
    radiomics_distance,
    scaled,
    told_apart,
    twins_within,
    what_differs,
)
from synthoma.evaluation.nulls import LEAST_GROUPS, Plan, plan
from synthoma.evaluation.private.privacy import privacy
from synthoma.evaluation.realistic.agreement import Judge, agreement, ask_judge
from synthoma.evaluation.realistic.appearance import appearance, tumours
from synthoma.evaluation.settings import EvaluateConfig
from synthoma.evaluation.useful.utility import check_simulated, prepared, utility
from synthoma.evaluation.verdict import (
    LEARNED,
    STATES,
    diversity_light,
    figures,
    lights,
    realism_light,
    verdict,
)
from synthoma.metrics.similarity import psnr, ssim

SCHEMA = "synthoma.evaluation/3"

Tell = Callable[[str, int, int], None]


def evaluate(
    real: Cohort,
    synthetic: Cohort,
    config: EvaluateConfig,
    cells: Path,
    *,
    discriminator: tuple[Floats, Floats] | None = None,
    extractor: Path | None = None,
    progress: Tell = lambda text, done, total: None,
) -> dict[str, Any]:
    """Score a synthetic cohort against the real one.

    Args:
        real: with its splits.
        synthetic: of any origin.
        config: preset, settings and thresholds.
        cells: folder of finished trainings; read and filled by the presets that train detectors.
        discriminator: scores that a GAN's discriminator gives to training and held-out slices of ``compare``.
        extractor: Python file with ``features(images)``, one more family of features; it is run.
        progress: told how far the work is.

    Returns:
        Content of evaluation.json.

    Raises:
        InputError: cohorts that cannot be compared, or too few images.
        LeakError: the generator saw held-out groups.
    """
    comparison = compare(real, synthetic, limit=config.limit, seed=config.seed)
    phantom = Cohort(config.phantom) if config.phantom is not None else None
    if phantom is not None:  # said now, not after an hour
        check_simulated(real, phantom)
    extractors: dict[str, Callable[[Array], Floats]] = dict(EXTRACTORS)
    identity: dict[str, str] = {name: software()["synthoma"] for name in EXTRACTORS}
    if extractor is not None:
        extractors["own"], identity["own"] = load_extractor(extractor)
    trained = config.preset != "quick"
    steps = 4 + trained
    progress("comparing", 0, steps)
    features = features_of(comparison, extractors)
    progress("comparing", 1, steps)
    judge = _judge(real, synthetic, comparison, config, cells, progress) if trained else None
    if judge is not None:
        features[LEARNED], identity[LEARNED] = judge.features, "trained on the real training split"
    the = _plan(comparison, config)
    made_by = list(comparison.synthetic_groups)
    progress("comparing", 2, steps)
    result: dict[str, Any] = {
        "schema": SCHEMA,
        "preset": config.preset,
        "compared": _compared(comparison, the, synthetic),
        "fidelity": _fidelity(comparison, features, the, config),
        "appearance": appearance(comparison, the),
        "tumours": _tumours(real, synthetic, comparison, the),
        "classes": _classes(real, synthetic, comparison, features, made_by, config),
        "intensities": intensities(comparison),
        "agreement": agreement(judge, comparison) if judge is not None else {},
    }
    progress("comparing", 3, steps)
    result["privacy"] = privacy(
        comparison,
        canaries=config.canaries,
        seed=config.seed,
        alpha=config.thresholds.alpha,
        discriminator=discriminator,
    )
    progress("comparing", 4, steps)
    if config.splits:
        result["splits"] = over_divisions(real, synthetic, config, extractors)
    if config.faults:
        result["self_test"] = faults(comparison, the, EXTRACTORS, alpha=config.thresholds.alpha, seed=config.seed)
        progress("comparing", 5, steps)
    if trained:
        seen = patients_behind(synthetic, simulated=real.origin == "phantom") or None
        result["utility"] = utility(
            real, synthetic, config, cells, seen=seen, phantom=phantom,
            progress=lambda done, total: progress("training", done, total),
        )  # fmt: skip
    if phantom is not None and (pairs := repainted(comparison, synthetic, phantom, seed=config.seed)):
        result["fidelity"]["pairs"] = pairs
    result["lights"] = lights(result, config.thresholds)
    result["verdict"] = verdict(result["lights"], result.get("utility"))
    result["provenance"] = {
        # Paths are the user's own business.
        "config": config.model_dump(mode="json", exclude={"phantom", "run", "cells"}),
        "extractors": identity,
        "real": {"origin": real.origin, "images_sha256": verified_digest(real.path / "images.npy")},
        "synthetic": {
            "origin": synthetic.origin,
            "images_sha256": verified_digest(synthetic.path / "images.npy"),
            **_made_from(synthetic.meta.provenance.content()),
        },
        "software": software(),
    }
    plain: dict[str, Any] = _plain(result)
    return plain


def _plain(content: Any) -> Any:
    """The same with None for what is not a finite number: JSON knows no nan."""
    if isinstance(content, dict):
        return {key: _plain(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_plain(value) for value in content]
    if isinstance(content, float) and not math.isfinite(content):
        return None
    return content


def _made_from(provenance: dict[str, Any]) -> dict[str, Any]:
    """Where a synthetic cohort came from, without the names of the patients behind it: an evaluation is passed on."""
    trained = provenance.get("trained_on")
    if not isinstance(trained, dict) or "groups" not in trained:
        return dict(provenance)
    digest = bytes_digest("\n".join(sorted(map(str, trained["groups"]))).encode())
    named = {**trained, "groups": len(trained["groups"]), "groups_sha256": digest}
    return {**provenance, "trained_on": named}


def _plan(comparison: Comparison, config: EvaluateConfig) -> Plan:
    held = np.arange(len(comparison.groups)) >= len(comparison.training)
    return plan(comparison.groups, held, comparison.synthetic_groups, halves=config.halves, seed=config.seed)


def _compared(comparison: Comparison, the: Plan, synthetic: Cohort) -> dict[str, Any]:
    return {
        "modality": comparison.modality,
        "training": len(comparison.training),
        "held_out": len(comparison.held_out),
        "synthetic": len(comparison.synthetic),
        "of_synthetic": len(synthetic),
        "training_groups": len(set(comparison.training_groups)),
        "held_out_groups": len(set(comparison.held_out_groups)),
        "synthetic_groups": len(set(comparison.synthetic_groups)),
        "count": the.count,
        "divisions": len(the.divisions),
        "blind": the.blind,
        "rows": {
            "training": comparison.training_rows.tolist(),
            "held_out": comparison.held_out_rows.tolist(),
            "synthetic": comparison.synthetic_rows.tolist(),
        },
    }


def _scores(
    comparison: Comparison, features: Mapping[str, Floats], the: Plan, config: EvaluateConfig, *, interval: bool = True
) -> dict[str, Any]:
    """Scores by family, and whether models tell both sides apart."""
    first, made_by = len(comparison.real), comparison.synthetic_groups
    points = {name: scaled(values) for name, values in features.items()}
    names = group_numbers(comparison.groups, made_by)
    # Families enter the common test with a few components each, or the widest would drown the others. That of the
    # detector trained here knows the training slices, which stand in the null.
    apart = [values[:, :24] / max(values[:first].std(), 1e-12) for name, values in points.items() if name != LEARNED]
    together = np.concatenate(apart, axis=1)
    return {
        "families": {name: family_scores(values, the, names, interval=interval) for name, values in points.items()},
        "told_apart": told_apart(together, the, made_by, alpha=config.thresholds.alpha, seed=config.seed),
    }


def _fidelity(
    comparison: Comparison, features: Mapping[str, Floats], the: Plan, config: EvaluateConfig
) -> dict[str, Any]:
    """What the lights of realism and diversity go by, and what explains it."""
    weight_free = {name: scaled(values) for name, values in features.items() if name in EXTRACTORS}
    radiomics = features["radiomics"]
    return {
        **_scores(comparison, features, the, config),
        "what_differs": what_differs(radiomics, the),
        "diversity": diversity(comparison, weight_free["wavelet"], the, comparison.synthetic_groups, seed=config.seed),
        "twins": twins_within(comparison),
        "frechet_radiomics": radiomics_distance(radiomics, the),
        "authenticity": authenticities(comparison, weight_free),
    }


def repainted(comparison: Comparison, synthetic: Cohort, phantom: Cohort, *, seed: int) -> dict[str, Any]:
    """SSIM and PSNR of synthetic slices to the simulated ones that they repaint, and to others of these.

    Returns:
        {"n", "ssim", "psnr", "ssim_others", "psnr_others"}: means over slices; empty where the phantom cohort holds
        none of those that were repainted, or the cohort does not say which they are.
    """
    if "repaints" not in synthetic.slices or "slice" not in phantom.slices or phantom.meta.size != synthetic.meta.size:
        return {}
    table = phantom.slices
    rows = {
        f"{case}/{number}": row for row, (case, number) in enumerate(zip(table["case"], table["slice"], strict=True))
    }
    named = synthetic.slices["repaints"].iloc[comparison.synthetic_rows].astype(str)
    found = np.array([rows.get(name, -1) for name in named], dtype=np.int64)
    known = np.flatnonzero(found >= 0)
    if len(known) < LEAST or comparison.modality not in phantom.modalities:
        return {}
    channel = phantom.modalities.index(comparison.modality)
    sources = np.clip(phantom.images[found[known], channel].astype(np.float32), 0, 1)
    made = comparison.synthetic[known]
    others = sources[np.roll(stream(seed, "evaluation.pairs").permutation(len(known)), 1)]
    pairs: dict[str, Any] = {"n": len(known)}
    for name, score in (("ssim", ssim), ("psnr", psnr)):
        for key, second in ((name, sources), (f"{name}_others", others)):
            values = score(made, second)
            pairs[key] = float(values[np.isfinite(values)].mean()) if np.isfinite(values).any() else None
    return pairs


def over_divisions(
    real: Cohort, synthetic: Cohort, config: EvaluateConfig, extractors: Mapping[str, Callable[[Array], Floats]]
) -> dict[str, Any]:
    """Realism and diversity judged again where chance holds out other patients.

    Who is held out is drawn among the groups that the generator did not learn from: as many as the cohort's own split
    holds out, but at most half of them. All others stand for the training slices. Copies and usefulness stay on the
    cohort's own split.

    Returns:
        {"asked", "drawn_among", "held_out", "each": [{"realistic", "diverse": {"state", "ratio"}}], "realistic" and
        "diverse": {"states": {state: count}, "low", "median", "high": of the ratios}}; "each" is empty where the groups
        are too few.
    """
    unseen = unseen_groups(real, synthetic)
    own = len(set(real.slices["group"][real.slices["split"] != "train"]))
    count = min(own, -(-len(unseen) // 2))
    found: dict[str, Any] = {"asked": config.splits, "drawn_among": len(unseen), "held_out": count, "each": []}
    for number in range(config.splits if count >= LEAST_GROUPS else 0):
        names = stream(config.seed, "evaluation.splits", number).permutation(np.array(unseen))[:count].tolist()
        try:
            comparison = compare(real, synthetic, limit=config.limit, seed=config.seed, held_out=names)
        except InputError:  # too few slices of these patients
            continue
        features = features_of(comparison, extractors)
        fidelity = _scores(comparison, features, _plan(comparison, config), config, interval=False)
        ratios = figures(fidelity)
        judged = realism_light(fidelity, {}, config.thresholds), diversity_light(fidelity, config.thresholds)
        found["each"].append(
            {light["question"]: {"state": light["state"], "ratio": ratios[light["question"]]} for light in judged}
        )
    for question in ("realistic", "diverse") if found["each"] else ():
        states = [one[question]["state"] for one in found["each"]]
        ratios_of = [one[question]["ratio"] for one in found["each"] if one[question]["ratio"] is not None]
        spread = np.quantile(ratios_of, (0, 0.5, 1)).tolist() if ratios_of else [None] * 3
        counts = {state: states.count(state) for state in STATES if state in states}
        found[question] = {"states": counts, **dict(zip(("low", "median", "high"), spread, strict=True))}
    return found


def _tumours(real: Cohort, synthetic: Cohort, comparison: Comparison, the: Plan) -> dict[str, Any]:
    rows = np.concatenate([comparison.training_rows, comparison.held_out_rows])
    return tumours(comparison, tumour_of(real.masks[rows]), tumour_of(synthetic.masks[comparison.synthetic_rows]), the)


def _classes(
    real: Cohort,
    synthetic: Cohort,
    comparison: Comparison,
    features: Mapping[str, Floats],
    made_by: list[str],
    config: EvaluateConfig,
) -> dict[str, Any]:
    """Scores of each class alone, where both sides have enough of at least two."""
    rows = np.concatenate([comparison.training_rows, comparison.held_out_rows])
    ours = real.slices["label"].to_numpy()[rows]
    theirs = synthetic.slices["label"].to_numpy()[comparison.synthetic_rows]
    held = np.arange(len(rows)) >= len(comparison.training)
    groups = np.array(comparison.groups)
    found = {}
    for name in sorted(set(ours) & set(theirs)):
        inside, drawn = ours == name, theirs == name
        if min(int((inside & held).sum()), int((inside & ~held).sum()), int(drawn.sum())) < LEAST:
            continue
        halves = max(9, config.halves // 2)  # shown beside the whole, and without a say in the lights
        theirs_by = np.array(made_by)[drawn].tolist()
        the = plan(groups[inside].tolist(), held[inside], theirs_by, halves=halves, seed=config.seed)
        names = group_numbers(groups[inside].tolist(), theirs_by)
        found[str(name)] = {
            "held_out": int((inside & held).sum()),
            "synthetic": int(drawn.sum()),
            **{
                family: {
                    score: entry
                    for score, entry in family_scores(
                        scaled(values[np.concatenate([inside, drawn])]), the, names, interval=False
                    ).items()
                    if score in ("kid", "sliced_wasserstein", "recall", "coverage")
                }
                for family, values in features.items()
                if family in EXTRACTORS
            },
        }
    return found if len(found) > 1 else {}


def _judge(
    real: Cohort, synthetic: Cohort, comparison: Comparison, config: EvaluateConfig, cells: Path, progress: Tell
) -> Judge | None:
    """The detector that looks at masks; None where nothing can be taught."""
    try:
        material, exam = prepared(real, synthetic, config, seen=None, phantom=None)
    except InputError:
        return None
    return ask_judge(
        comparison, material.real, exam, material.synthetic, config, cells,
        lambda done, total: progress("judge", done, total),
    )  # fmt: skip
