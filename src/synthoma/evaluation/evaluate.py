"""The evaluation of a synthetic cohort: four questions, one verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from synthoma.cohorts.cohort import Cohort
from synthoma.cohorts.leaks import patients_behind
from synthoma.core.artefacts import verified_digest
from synthoma.core.errors import ConfigError, InputError
from synthoma.core.fanned import ShareDone, each, fan
from synthoma.core.provenance import bytes_digest, software
from synthoma.core.types import Floats, tumour_of
from synthoma.evaluation.classes import class_scores
from synthoma.evaluation.comparison import Comparison, compare
from synthoma.evaluation.extractor import load_extractor
from synthoma.evaluation.families import EXTRACTORS, LEARNED, Extractor, features_of
from synthoma.evaluation.faults import faults
from synthoma.evaluation.measures import all_scores, null_of
from synthoma.evaluation.nulls import NullPlan
from synthoma.evaluation.other_patients import with_other_held_out
from synthoma.evaluation.private.privacy import privacy
from synthoma.evaluation.realistic.agreement import Judge, agreement, ask_judge
from synthoma.evaluation.realistic.appearance import appearance, tumours
from synthoma.evaluation.realistic.differences import intensities
from synthoma.evaluation.realistic.repainted import repainted
from synthoma.evaluation.realistic.result import ComparedNumber
from synthoma.evaluation.result import (
    Compared,
    Evaluation,
    Evidence,
    Fidelity,
    Provenance,
    RealSource,
    Rows,
    SyntheticSource,
)
from synthoma.evaluation.settings import EvaluateConfig
from synthoma.evaluation.useful.material import check_simulated, prepared
from synthoma.evaluation.useful.result import Utility
from synthoma.evaluation.useful.utility import utility
from synthoma.evaluation.verdict import lights, verdict

Tell = Callable[[str, int, int], None]

PATHS = frozenset({"phantom", "run", "cells"})
"""Settings that are the user's own business, and stay out of an evaluation that is passed on."""


@dataclass(frozen=True)
class _Material:
    """What an evaluation is made from.

    Attributes:
        real: the real cohort.
        synthetic: the synthetic cohort.
        phantom: simulated patients; None where none were given.
        comparison: the slices.
        features: raw ones of all images by family, real first.
        judge: the detector that looks at masks; None where none was trained.
        plan: who is compared with whom.
        config: preset, settings and thresholds.
    """

    real: Cohort
    synthetic: Cohort
    phantom: Cohort | None
    comparison: Comparison
    features: Mapping[str, Floats]
    judge: Judge | None
    plan: NullPlan
    config: EvaluateConfig


def evaluate(
    real: Cohort,
    synthetic: Cohort,
    config: EvaluateConfig,
    cells: Path,
    *,
    discriminator: tuple[Floats, Floats] | None = None,
    extractor: Path | None = None,
    progress: Tell = lambda text, done, total: None,
) -> Evaluation:
    """Score a synthetic cohort against the real one.

    Args:
        real: with its splits.
        synthetic: of any origin.
        config: preset, settings and thresholds.
        cells: folder of finished trainings; read and filled by the presets that train detectors.
        discriminator: scores that a GAN's discriminator gives to training and held-out slices of ``compare``.
        extractor: Python file with ``features(images)``, one more family of features; it is run.
        progress: told how far the work is.

    Raises:
        InputError: cohorts that cannot be compared, or too few images.
        LeakError: the generator saw held-out groups.
    """
    comparison = compare(real, synthetic, limit=config.limit, seed=config.seed)
    phantom = Cohort(config.phantom) if config.phantom is not None else None
    if phantom is not None:  # said now, not after an hour
        check_simulated(real, phantom)
    extractors, identity = _extractors(extractor)
    trained = config.preset != "quick"
    steps = 4 + trained
    if fan().share is not None:  # of the work, trainings are what is cut into shares
        _share(real, synthetic, phantom, comparison, config, cells, progress)
    progress("comparing with real scans", 0, steps)
    features = features_of(comparison, extractors)
    progress("comparing with real scans", 1, steps)
    judge = _judge(real, synthetic, comparison, config, cells, progress) if trained else None
    if judge is not None:
        features[LEARNED], identity[LEARNED] = judge.features, "trained on the real training split"
    material = _Material(real, synthetic, phantom, comparison, features, judge, null_of(comparison, config), config)
    progress("comparing with real scans", 2, steps)
    evidence = _evidence(material, extractors, cells, discriminator, steps, progress)
    # Last, and from the evidence alone: whoever reads the file can judge anew by other thresholds.
    four = lights(evidence, config.thresholds)
    return Evaluation(
        **{name: getattr(evidence, name) for name in evidence.model_fields_set},
        lights=four,
        verdict=verdict(four, evidence.utility),
        provenance=_provenance(real, synthetic, config, identity),
    )


def _share(
    real: Cohort, synthetic: Cohort, phantom: Cohort | None, comparison: Comparison, config: EvaluateConfig,
    cells: Path, progress: Tell,
) -> None:  # fmt: skip
    """Do a share of the trainings that all questions ask for.

    Raises:
        ShareDone: it is done.
        ConfigError: the preset trains nothing.
    """
    if config.preset == "quick":
        todo = "add --preset standard, or leave out --shard: there is nothing to share"
        raise ConfigError("a preset that trains detectors, for --shard", "--preset quick", todo)
    works: tuple[Callable[[], object], ...] = (
        lambda: _judge(real, synthetic, comparison, config, cells, progress),
        lambda: _utility(real, synthetic, phantom, config, cells, progress),
    )
    each(works)
    raise ShareDone(0, 0, 0)  # nothing can be taught


def _evidence(
    material: _Material, extractors: Mapping[str, Extractor], cells: Path,
    discriminator: tuple[Floats, Floats] | None, steps: int, progress: Tell,
) -> Evidence:  # fmt: skip
    """All that is measured. What was not asked for is left unset, and so out of the file."""
    config, comparison, plan = material.config, material.comparison, material.plan
    real, synthetic, alpha = material.real, material.synthetic, config.thresholds.alpha
    fidelity = _fidelity(material)
    look = appearance(comparison, plan)
    ill = tumours_of(real, synthetic, comparison, plan)
    by_class = class_scores(real, synthetic, comparison, material.features, config)
    grey_values = intensities(comparison)
    fitting = agreement(material.judge, comparison) if material.judge is not None else None
    progress("comparing with real scans", 3, steps)
    evidence = Evidence(
        version="synthoma.evaluation/3",
        preset=config.preset,
        compared=_compared(material),
        fidelity=fidelity,
        appearance=look,
        tumours=ill,
        classes=by_class,
        intensities=grey_values,
        agreement=fitting,
        privacy=privacy(
            comparison, canaries=config.canaries, seed=config.seed, alpha=alpha, discriminator=discriminator
        ),
    )
    progress("comparing with real scans", 4, steps)
    parts: dict[str, object] = {}
    if config.splits:
        parts["splits"] = with_other_held_out(real, synthetic, config, extractors)
    if config.faults:
        parts["self_test"] = faults(comparison, plan, EXTRACTORS, alpha=alpha, seed=config.seed)
        progress("comparing with real scans", 5, steps)
    if config.preset != "quick":
        parts["utility"] = _utility(real, synthetic, material.phantom, config, cells, progress)
    return evidence.model_copy(update=parts)


def _extractors(own: Path | None) -> tuple[dict[str, Extractor], dict[str, str]]:
    """Families of features, and what version or file each is of."""
    extractors = dict(EXTRACTORS)
    identity = {name: software()["synthoma"] for name in EXTRACTORS}
    if own is not None:
        extractors["own"], identity["own"] = load_extractor(own)
    return extractors, identity


def _judge(
    real: Cohort, synthetic: Cohort, comparison: Comparison, config: EvaluateConfig, cells: Path, progress: Tell
) -> Judge | None:
    """The detector that looks at masks; None where nothing can be taught."""
    try:
        material, test = prepared(real, synthetic, config, seen=None, phantom=None)
    # Without masks or two classes nothing can be taught. The other questions are answered all the same.
    except InputError:
        return None
    return ask_judge(
        comparison, material.real, test, material.synthetic, config, cells,
        lambda done, total: progress("teaching a detector to judge masks", done, total),
    )  # fmt: skip


def _fidelity(material: _Material) -> Fidelity:
    comparison, config = material.comparison, material.config
    fidelity = all_scores(comparison, material.features, material.plan, config)
    if material.phantom is None:
        return fidelity
    pairs = repainted(comparison, material.synthetic, material.phantom, seed=config.seed)
    return fidelity if pairs is None else fidelity.model_copy(update={"pairs": pairs})


def tumours_of(real: Cohort, synthetic: Cohort, comparison: Comparison, plan: NullPlan) -> dict[str, ComparedNumber]:
    """Size, place and look of tumours in the slices that are compared; empty where one side shows none."""
    rows = np.concatenate([comparison.training_rows, comparison.held_out_rows])
    ours, theirs = tumour_of(real.masks[rows]), tumour_of(synthetic.masks[comparison.synthetic_rows])
    return tumours(comparison, ours, theirs, plan)


def _utility(
    real: Cohort, synthetic: Cohort, phantom: Cohort | None, config: EvaluateConfig, cells: Path, progress: Tell
) -> Utility:
    # Nobody named means that the generator does not say whom it saw, and not that it saw nobody.
    seen = patients_behind(synthetic, simulated=real.origin == "phantom") or None
    return utility(
        real, synthetic, config, cells, seen=seen, phantom=phantom,
        progress=lambda done, total: progress("teaching detectors", done, total),
    )  # fmt: skip


def _compared(material: _Material) -> Compared:
    comparison, plan = material.comparison, material.plan
    return Compared(
        modality=comparison.modality,
        training=len(comparison.training),
        held_out=len(comparison.held_out),
        synthetic=len(comparison.synthetic),
        of_synthetic=len(material.synthetic),
        training_groups=len(set(comparison.training_groups)),
        held_out_groups=len(set(comparison.held_out_groups)),
        synthetic_groups=len(set(comparison.synthetic_groups)),
        count=plan.count,
        divisions=len(plan.divisions),
        blind=plan.blind,
        rows=Rows(
            training=tuple(comparison.training_rows.tolist()),
            held_out=tuple(comparison.held_out_rows.tolist()),
            synthetic=tuple(comparison.synthetic_rows.tolist()),
        ),
    )


def _provenance(real: Cohort, synthetic: Cohort, config: EvaluateConfig, identity: dict[str, str]) -> Provenance:
    return Provenance(
        config=EvaluateConfig.model_validate(config.model_dump(mode="json", exclude=set(PATHS))),
        extractors=identity,
        real=RealSource(origin=real.origin, images_sha256=verified_digest(real.path / "images.npy")),
        synthetic=SyntheticSource.model_validate(
            {
                "origin": synthetic.origin,
                "images_sha256": verified_digest(synthetic.path / "images.npy"),
                **_made_from(synthetic.meta.provenance.content()),
            }
        ),
        software=software(),
    )


def _made_from(provenance: Mapping[str, object]) -> dict[str, object]:
    """Where a synthetic cohort came from, without the names of the patients behind it: an evaluation is passed on."""
    trained = provenance.get("trained_on")
    if not isinstance(trained, dict) or "groups" not in trained:
        return dict(provenance)
    # Sorted: one digest for one set of patients, in whatever order they were learned.
    digest = bytes_digest("\n".join(sorted(map(str, trained["groups"]))).encode())
    named = {**trained, "groups": len(trained["groups"]), "groups_sha256": digest}
    return {**provenance, "trained_on": named}
