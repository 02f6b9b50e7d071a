"""Would other held-out patients say the same? Realism and diversity over other divisions of the patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from synthoma.cohorts.cohort import Cohort
from synthoma.core.errors import InputError
from synthoma.core.seeding import stream
from synthoma.evaluation.comparison import compare, unseen_groups
from synthoma.evaluation.diverse.light import diversity_light, least_overlap
from synthoma.evaluation.families import Extractor, features_of
from synthoma.evaluation.measures import main_scores, null_of
from synthoma.evaluation.nulls import LEAST_GROUPS
from synthoma.evaluation.realistic.light import largest_distance, realism_light
from synthoma.evaluation.result import STATES, Judged, SplitJudged, Splits, SplitSpread
from synthoma.evaluation.settings import EvaluateConfig


def with_other_held_out(
    real: Cohort, synthetic: Cohort, config: EvaluateConfig, extractors: Mapping[str, Extractor]
) -> Splits:
    """Realism and diversity judged again where chance holds out other patients.

    Who is held out is drawn among the groups that the generator did not learn from: as many as the cohort's own split
    holds out, but at most half of them. All others stand for the training slices. Copies and usefulness stay on the
    cohort's own split.

    Args:
        real: with its splits.
        synthetic: of any origin.
        config: how many divisions, and seed.
        extractors: families of features.
    """
    unseen = unseen_groups(real, synthetic)
    own = len(set(real.slices["group"][real.slices["split"] != "train"]))
    # At most half of them: a null takes real patients on the other side as well.
    count = min(own, -(-len(unseen) // 2))
    each = []
    for number in range(config.splits if count >= LEAST_GROUPS else 0):
        names = stream(config.seed, "evaluation.splits", number).permutation(np.array(unseen))[:count].tolist()
        found = _judged(real, synthetic, config, extractors, names)
        if found is not None:
            each.append(found)
    splits = Splits(asked=config.splits, drawn_among=len(unseen), held_out=count, each=tuple(each))
    if not each:
        return splits
    spread = {
        "realistic": _spread([one.realistic for one in each]),
        "diverse": _spread([one.diverse for one in each]),
    }
    return splits.model_copy(update=spread)


def _judged(
    real: Cohort, synthetic: Cohort, config: EvaluateConfig, extractors: Mapping[str, Extractor], names: Sequence[str]
) -> SplitJudged | None:
    """What is said where these groups are held out; None where they have too few slices."""
    try:
        comparison = compare(real, synthetic, limit=config.limit, seed=config.seed, held_out=names)
    # Chance held out patients of too few slices. The other divisions still say something.
    except InputError:
        return None
    features = features_of(comparison, extractors)
    fidelity = main_scores(comparison, features, null_of(comparison, config), config, interval=False)
    realistic = realism_light(fidelity, None, config.thresholds)
    diverse = diversity_light(fidelity, config.thresholds)
    return SplitJudged(
        realistic=Judged(state=realistic.state, ratio=largest_distance(fidelity)),
        diverse=Judged(state=diverse.state, ratio=least_overlap(fidelity)),
    )


def _spread(judged: Sequence[Judged]) -> SplitSpread:
    states = [one.state for one in judged]
    ratios = [one.ratio for one in judged if one.ratio is not None]
    # The range and no interval: divisions share patients, so they are no independent draws.
    low, median, high = np.quantile(ratios, (0, 0.5, 1)).tolist() if ratios else [None] * 3
    counts = {state: states.count(state) for state in STATES if state in states}
    return SplitSpread(states=counts, low=low, median=median, high=high)
