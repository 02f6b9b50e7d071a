"""Does a synthetic cohort give training scans away? Copies, what the search for them is worth, and membership."""

from __future__ import annotations

import numpy as np
import torch

from synthoma.cohorts.copies.duplicates import THRESHOLD
from synthoma.cohorts.copies.registration import register
from synthoma.cohorts.copies.thumbnails import thumbnail
from synthoma.cohorts.copies.views import prepare
from synthoma.core.errors import InputError
from synthoma.core.seeding import stream
from synthoma.core.types import Bools, Floats, Ints
from synthoma.evaluation.comparison import Comparison
from synthoma.evaluation.private.attacks import attack, check_scores, distance_attack
from synthoma.evaluation.private.judging import judged
from synthoma.evaluation.private.kinds import (
    NO_MASKS,
    NO_PATIENTS,
    UNSEARCHED,
    Search,
    blends,
    crops,
    lesion_patches,
    whole_slices,
)
from synthoma.evaluation.private.result import Attacks, Kind, Null, Pair, Privacy, Twin, Volumes, Word
from synthoma.evaluation.private.volumes import volumes
from synthoma.metrics.copies.whole import Gallery, Nearest
from synthoma.metrics.tails import at_most

SHOWN = 24
NULL = 400  # held-out slices that are searched
TWIN_FROM = 0.8  # held-out slices less alike than this are no twins
SMALLEST_P = 1e-12  # what is said of smaller ones


def privacy(
    comparison: Comparison,
    *,
    canaries: int = 200,
    seed: int = 0,
    alpha: float = 0.05,
    discriminator: tuple[Floats, Floats] | None = None,
) -> Privacy:
    """Copies of training scans among synthetic slices, and whether one can tell who was in the training set.

    Membership has two attacks: how near the nearest synthetic slice is to training and to held-out slices (Chen et al.
    2020, GAN-Leaks), and what a discriminator thinks of them (Hayes et al. 2019, LOGAN).

    Args:
        comparison: what is compared.
        canaries: planted copies that measure the recall, 1 or more.
        seed: of the canaries, and of who is attacked.
        alpha: chance that an honest cohort is accused of copies.
        discriminator: its scores of ``comparison.training`` and ``comparison.held_out``, in their order; higher is
            more real.

    Returns:
        What `copies` returns, and the attacks.

    Raises:
        InputError: no canaries, or discriminator scores of another number.
    """
    if discriminator is not None:
        check_scores(comparison, *discriminator)
    found = copies(comparison, canaries=canaries, seed=seed, alpha=alpha)
    twins = {twin.held_out_row for twin in found.null.twins} if found.null is not None else set()
    # A twin of a training slice is a member by its content. Counted as a stranger it would hide what an attack finds.
    others = np.flatnonzero([row not in twins for row in comparison.held_out_rows.tolist()])
    distance, opinion = distance_attack(comparison, others, seed), None
    if discriminator is not None:
        # Members are the slices that the discriminator takes for real.
        ours, theirs = discriminator
        opinion = attack(comparison, ours, theirs[others], np.arange(len(comparison.training)), others, seed)
    return found.model_copy(update={"membership": Attacks(distance=distance, discriminator=opinion)})


def copies(
    comparison: Comparison, *, canaries: int = 200, seed: int = 0, alpha: float = 0.05, share: float = 0.1
) -> Privacy:
    """Copies of training scans among synthetic slices, and what the search for them is worth.

    Several kinds are searched, each with honest scores, planted copies, threshold, recall and bound of its own
    (`copy_kinds`): whole slices (flipped, turned, zoomed, shifted), blends of two, enlarged crops, lesions in another
    brain where masks outline them; and whole patients (`copy_volumes`) where slices belong to some. More freedom finds
    more likeness among honest slices too: each kind's threshold is set with what its own search finds in held-out ones.

    A slice is flagged above a threshold that lies halfway (in Fisher's z) between what one honest slice in 100 reaches
    and what nine in ten altered copies exceed: a generator that draws typical heads may exceed the first, but only
    copies reach the second. Honest slices are held-out ones (at most 400, drawn at random), less the twins of training
    slices that the duplicate search confirms. Fewer than 99 of them have no 99 % quantile; an exponential tail gives it
    (`metrics.tails`). Where copies score no higher than honest slices, the threshold is the honest one.

    The kinds share ``alpha``, and within each three tests do (Bonferroni): the number flagged, by ranks, for any
    distribution of scores since the threshold is never below the k-th highest honest score (exact where slices are
    independent; where a few held-out patients give all of them, each with scores of its own, honest cohorts were
    accused in up to 9 % of simulations); the number flagged, by the tail; the nearest slice alone, by the tail, so that
    a single perfect copy is found where patients are many enough.

    Canaries, which are altered copies of training slices drawn at random, are scored like synthetic slices: some set
    the threshold, others measure the recall. The share of copies of a kind is bounded by the number flagged over the
    recall of the alteration that is hardest to find (`metrics.tails.mixture_bound`), so the bound holds for any mixture
    of the alterations of that kind; it says nothing of others, which are listed.

    Args:
        comparison: what is compared.
        canaries: planted copies of whole slices that measure the recall, 1 or more; a quarter as many of each other
            kind. At least 10 of each alteration.
        seed: of the canaries, and of which held-out slices are looked at.
        alpha: chance that an honest cohort is accused.
        share: upper bound of the share of copies above which nobody says that there are none.

    Returns:
        The word is "COPIES FOUND" if p < alpha; "NONE FOUND" if not, canaries are found and the bounds are low enough;
        else "CANNOT TELL". There are no attacks yet.

    Raises:
        InputError: no canaries.
    """
    if canaries < 1:
        raise InputError("one canary or more", str(canaries), "use 200")
    gallery = Gallery(comparison.gallery)
    # Drawn, since rows are sorted by patient; and put back in order, in which patients are searched slice by slice.
    looked = np.sort(stream(seed, "evaluation.null").permutation(len(comparison.held_out))[:NULL])
    held_out = gallery.nearest(comparison.held_out[looked])
    twins = _twins(comparison, looked, held_out)
    honest, others = _only(held_out, ~twins), looked[~twins]
    searches = _searches(comparison, gallery, honest, others, canaries, seed)
    whole = searches[0]
    patients = volumes(comparison, gallery, whole.found, honest, others, seed)
    tests = len(searches) + (patients is not None)
    kinds = [judged(search, comparison, alpha / tests) for search in searches]
    first = kinds[0]
    every = {row for kind in kinds for row in kind.quarantine} | set(patients.quarantine if patients else ())
    known = zip(looked[twins].tolist(), held_out.index[twins].tolist(), strict=True)
    result = Privacy(
        word="CANNOT TELL",
        because="",
        # The kinds share the level (Bonferroni).
        p=min(1.0, tests * min([kind.p for kind in kinds] + ([patients.p] if patients else []))),
        tests=first.tests,
        certain=first.certain,
        threshold=first.threshold,
        flagged=len(every),
        of=len(comparison.synthetic_rows),
        searched=len(comparison.gallery_rows),
        absent=comparison.absent,
        # Whole slices count in any case: where not even these can be seen, no share can be named.
        upper_share=max(kind.upper_share for kind in kinds if kind is first or not kind.unseen),
        recall=first.recall,
        null=Null(
            of=first.null.of,
            groups=first.null.groups,
            twins=tuple(
                Twin(held_out_row=int(comparison.held_out_rows[at]), training_row=int(comparison.gallery_rows[index]))
                for at, index in known
            ),
        ),
        quantiles=first.quantiles,
        distinct_sources=len(set(whole.found.index.tolist())),
        quarantine=tuple(sorted(every)),
        kinds=tuple(kinds),
        volumes=patients,
        unsearched=(
            *UNSEARCHED,
            *(() if searches[-1].name == "lesions" else (NO_MASKS,)),
            *(() if patients and patients.recall else (NO_PATIENTS,)),
        ),
        pairs=_pairs(comparison, whole.found, first),
    )
    word, because = _word(result, alpha, share)
    return result.model_copy(update={"word": word, "because": because})


def _searches(
    comparison: Comparison, gallery: Gallery, honest: Nearest, others: Ints, canaries: int, seed: int
) -> list[Search]:
    """All kinds of copies that can be searched here, whole slices first and lesions last."""
    searches = [whole_slices(comparison, gallery, honest, others, canaries, seed)]
    if len(others):
        searches.append(blends(comparison, gallery, others, canaries, seed))
        searches.append(crops(comparison, others, canaries, seed))
        if (patches := lesion_patches(comparison, others, canaries, seed)) is not None:
            searches.append(patches)
    return searches


def _pairs(comparison: Comparison, found: Nearest, whole: Kind) -> tuple[Pair, ...]:
    """The synthetic slices that are most alike to a training slice."""
    flagged = np.isin(comparison.synthetic_rows, whole.quarantine)
    return tuple(
        Pair(
            synthetic_row=int(comparison.synthetic_rows[at]),
            training_row=int(comparison.gallery_rows[found.index[at]]),
            score=float(found.score[at]),
            mirrored=bool(found.mirrored[at]),
            flagged=bool(flagged[at]),
        )
        for at in np.argsort(-found.score, kind="stable")[:SHOWN]
    )


def blind(found: Privacy) -> str:
    """Why the search for copies may have missed any number of them; empty where it sees.

    Other kinds than whole slices may be unseen beside that: the bound then does not speak of them.
    """
    if found.kinds and found.kinds[0].unseen:
        return found.kinds[0].unseen
    if found.absent:
        return (
            f"{found.absent:,} patients or groups that the generator learned from are not in the real cohort, so "
            "nobody looked for copies of their scans: evaluate on the cohort that it was trained on"
        )
    return ""


def _only(nearest: Nearest, which: Bools) -> Nearest:
    return Nearest(*(column[which] for column in vars(nearest).values()))


def _word(result: Privacy, alpha: float, share: float) -> tuple[Word, str]:
    """The word and its reason, which says what was looked for and what was not."""
    seen = [kind for kind in result.kinds if not kind.unseen]
    flagged, bounds = _flagged_text(result, result.volumes), [_bound_text(kind) for kind in seen]
    if (patients := result.volumes) is not None and patients.recall is not None:
        bounds.append(f"{at_most(patients.upper_share)} of the synthetic patients are copies of whole patients")
    said = f"at most {', '.join(bounds)} (95 % each)" if bounds else "how many could be is not known"
    # Before what the search cannot see: copies that were found are found.
    if result.p is not None and result.p < alpha:
        likely = f"p = {result.p:.2g}" if result.p > SMALLEST_P else f"p < {SMALLEST_P:g}"
        return "COPIES FOUND", f"{flagged} ({likely}); {said}"
    if why := blind(result):
        return "CANNOT TELL", why
    # Not "none found" where the bound is high: of few slices nothing can be excluded.
    if result.upper_share > share:
        most = max(seen, key=lambda kind: kind.upper_share)
        return (
            "CANNOT TELL",
            f"{flagged}, but up to {at_most(most.upper_share)} could be that {most.words}: generate more",
        )
    missed = [f"{kind.name} ({kind.unseen})" for kind in result.kinds if kind.unseen]
    return "NONE FOUND", f"{flagged}; {said}; not searched: {'; '.join([*missed, *result.unsearched])}"


def _bound_text(kind: Kind) -> str:
    return f"{at_most(kind.upper_share)} {kind.words}"


def _flagged_text(result: Privacy, patients: Volumes | None) -> str:
    flagged = f"{result.flagged} of {result.of} slices are as near to a training scan as altered copies are"
    if patients is None or patients.recall is None or not patients.flagged:
        return flagged
    return (
        f"{patients.flagged} of {patients.of} synthetic patients show one training patient, slice by slice; with "
        f"theirs, {flagged}"
    )


def _twins(comparison: Comparison, looked: Ints, nearest: Nearest) -> Bools:
    """Which of the held-out slices ``looked`` (N,) show what their nearest training slice shows.

    The duplicate search's own score decides. Left in the null, hidden twins blind the search: the threshold rises to 1.
    """
    twins = np.zeros(len(nearest.score), dtype=np.bool_)
    # Registration is slow, so only those are looked at that can be twins at all.
    near = np.flatnonzero(nearest.score > TWIN_FROM)
    for part in (near[at : at + 128] for at in range(0, len(near), 128)):
        slices = [*comparison.held_out[looked[part]], *comparison.gallery[nearest.index[part]]]
        views, _ = prepare(np.stack([thumbnail(np.asarray(image)) for image in slices]))
        first = torch.arange(len(part))
        twins[part] = register(views, first, first + len(part)).score >= THRESHOLD
    return twins
