"""From answers to what they are worth: each reader, all together, and a verdict by limits that were stated before."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from scipy import stats

from synthoma.core.errors import InputError
from synthoma.core.provenance import software
from synthoma.core.types import Bools
from synthoma.evaluation.readers.answers import Answers, alike
from synthoma.evaluation.readers.blinded import KeyItem, TuringKey, TuringSet
from synthoma.evaluation.readers.result import (
    ConfidenceLevel,
    Figure,
    Kappa,
    Mistaken,
    NamedWord,
    Pooled,
    Quality,
    Readers,
    ReaderScores,
    SelfAgreement,
    Share,
)
from synthoma.evaluation.readers.tallies import Tally, answered_twice, marks, tally
from synthoma.evaluation.readers.verdict import verdict
from synthoma.metrics.agreement import cohen_kappa, kappa_interval
from synthoma.metrics.crossed import Crossed, crossed_interval
from synthoma.metrics.intervals import Interval
from synthoma.metrics.proportions import guessing, wilson
from synthoma.metrics.signal_detection import Detected, detected, smallest_seen

FEW_READERS = 3
"""Readers below which intervals are about these readers alone: two show next to nothing of how readers differ."""

MOST_MISTAKEN = 10
MOST_WORDS = 20

_COMMON = frozenset(
    """
    and are but for from has have into its more not one seems than that the there this too very was with like looks look
    image picture synthetic real fake das der die ein eine ist nicht und sehr wie mit
    """.split()  # noqa: SIM905
)
"""Words of remarks that say nothing about a picture."""


def score_readers(shown: TuringSet, key: TuringKey, answers: Mapping[str, Answers]) -> Readers:
    """Score the answers of readers.

    Args:
        shown: the set.
        key: its truth.
        answers: of each reader.

    Raises:
        InputError: a reader who answered nothing of one kind, so that nothing can be said.
    """
    table = tally(key.items, answers, shown.design)
    each = tuple(_reader(table, at, key.items, given) for at, given in enumerate(answers.values()))
    pooled = _pooled(table, each, key, answers)
    return Readers(
        version="synthoma.readers/1",
        design=shown.design,
        sequence=shown.sequence,
        number=shown.number,
        repeats=shown.repeats,
        matters=shown.matters,
        verdict=verdict(pooled, shown.matters),
        pooled=pooled,
        readers=each,
        mistaken=_mistaken(table),
        words=_words(key.items, answers),
        remarks=(*shown.remarks, *_remarks(table, each, answers, shown)),
        real=key.real,
        synthetic=key.synthetic,
        software=software(),
    )


# One reader ----------------------------------------------------------------------------------------------------------


def _reader(table: Tally, at: int, items: Sequence[KeyItem], given: Answers) -> ReaderScores:
    name = table.readers[at]
    hits, signals, alarms, noises = table.counts(at)
    if not (signals and noises):
        kinds = "pairs with the real picture on either side" if table.side_by_side else "real and synthetic pictures"
        todo = f"let {name} answer more, or leave that file out"
        raise InputError(f"answers to {kinds}", f"{signals} and {noises} of {name}", todo)
    found = _detected(table, at)
    right, count = hits + noises - alarms, signals + noises
    return ReaderScores(
        reader=name,
        answered=count,
        missing=len(table.items) - count,
        accuracy=_share(right, count),
        p=guessing(right, count, chance=_by_leaning(hits + alarms, signals, noises)),
        real_as_real=_share(hits, signals),
        synthetic_as_synthetic=_share(noises - alarms, noises),
        d=Figure.of(found.d),
        c=Figure.of(found.c),
        smallest_seen=smallest_seen(signals, noises, bias=found.c.value, side_by_side=table.side_by_side),
        repeats=_repeats(items, given),
        quality=_quality(*marks(items, given)),
        confidence=_confidence(table, [given]),
        seconds=_median([one.seconds for one in given.values() if one.seconds is not None]),
    )


def _by_leaning(said: int, signals: int, noises: int) -> float:
    """Share that is right of answers which say "signal" so often, whatever is shown.

    One half where both kinds were answered equally often. Of 30 real and 5 synthetic pictures who says "real" to all is
    right in 30 of 35, and has told nothing apart.
    """
    count = signals + noises
    # So written that it is 0.5 to the last digit for equal kinds, and p the usual one.
    return 0.5 + (said / count - 0.5) * (signals - noises) / count


def _detected(table: Tally, at: int) -> Detected:
    return detected(*table.counts(at), side_by_side=table.side_by_side)


def _share(right: int, count: int) -> Share:
    found = wilson(right, count)
    return Share(value=found.value, low=found.low, high=found.high, right=right, count=count)


def _repeats(items: Sequence[KeyItem], given: Answers) -> SelfAgreement | None:
    one, other = answered_twice(items, given)
    if not len(one):
        return None
    return SelfAgreement(same=_share(int((one == other).sum()), len(one)), kappa=cohen_kappa(one, other))


def _quality(real: Mapping[str, float], synthetic: Mapping[str, float]) -> Quality | None:
    if not (real and synthetic):
        return None
    ours, theirs = list(real.values()), list(synthetic.values())
    # By ranks: marks from 1 to 5 are an order, and steps between them mean what each reader likes.
    test = stats.mannwhitneyu(ours, theirs, alternative="two-sided")
    return Quality(
        real=float(np.mean(ours)),
        synthetic=float(np.mean(theirs)),
        real_pictures=len(ours),
        synthetic_pictures=len(theirs),
        # U counts pairs in which the real picture is marked higher, ties half: over all pairs it is a chance.
        superiority=float(test.statistic) / (len(ours) * len(theirs)),
        # Where all marks are equal there is nothing to rank, and no variance to divide by.
        p=float(test.pvalue) if len({*ours, *theirs}) > 1 else 1.0,
    )


def _confidence(table: Tally, answers: Sequence[Answers]) -> tuple[ConfidenceLevel, ...]:
    """Right answers by level of confidence; repeats are left out."""
    right: Counter[int] = Counter()
    count: Counter[int] = Counter()
    for given in answers:
        for item in table.items:
            answer = given.get(item.item)
            if answer is not None and answer.choice is not None and answer.confidence is not None:
                count[answer.confidence] += 1
                right[answer.confidence] += answer.choice == item.truth
    return tuple(ConfidenceLevel(level=level, share=_share(right[level], count[level])) for level in sorted(count))


def _median(values: Sequence[float]) -> float | None:
    return float(np.median(values)) if values else None


# All readers ---------------------------------------------------------------------------------------------------------


def _pooled(table: Tally, each: Sequence[ReaderScores], key: TuringKey, answers: Mapping[str, Answers]) -> Pooled:
    alone = [_detected(table, at) for at in range(len(each))]
    d = _crossed(table, table.d, [_variance(one.d) for one in alone])
    c = _crossed(table, table.c, [_variance(one.c) for one in alone])
    shares = [
        _crossed(table, lambda at, keep, kind=kind: table.shares(at, keep)[kind], [_of_share(one) for one in found])  # type: ignore[misc]
        for kind, found in enumerate(
            zip(*((one.accuracy, one.real_as_real, one.synthetic_as_synthetic) for one in each), strict=True)
        )
    ]
    figures = [*map(_clipped, shares), Figure.of(d), Figure.of(c)]
    # One reader whose pictures are all of different patients has an interval in closed form already.
    only = each[0] if len(each) == 1 and _independent(table) else None
    if only is not None:
        own = (only.accuracy, only.real_as_real, only.synthetic_as_synthetic, only.d, only.c)
        figures = [Figure(value=one.value, low=one.low, high=one.high) for one in own]
    return Pooled(
        readers=len(each),
        about="these readers" if len(each) < FEW_READERS else "other readers",
        cases=d.n,
        accuracy=figures[0],
        real_as_real=figures[1],
        synthetic_as_synthetic=figures[2],
        d=figures[3],
        c=figures[4],
        p=d.p if only is None else _normal_p(alone[0].d),
        freedom=d.freedom,
        smallest_seen=only.smallest_seen if only is not None else d.smallest_seen(),
        kappa=_kappa(table, key.seed),
        quality=_quality(*_mean_marks(key.items, answers)),
        confidence=_confidence(table, list(answers.values())),
    )


def _crossed(table: Tally, figure: Callable[[int, Bools], float], least: Sequence[float]) -> Crossed:
    """Mean of a figure of all readers, for other readers and other cases.

    Where each case is one picture, no reader's variance is taken as less than that of the closed form.
    """

    def figures(keep: Bools) -> list[float]:
        return [figure(at, keep) for at in range(len(table.readers))]

    cases = [item.case for item in table.items]
    kinds = np.where(table.signal, "signal", "noise").tolist()
    return crossed_interval(figures, cases, kinds, least=least, fixed=len(table.readers) < FEW_READERS)


def _independent(table: Tally) -> bool:
    """Whether every item is of a case of its own."""
    return len({(item.case, item.truth) for item in table.items}) == len(table.items)


def _variance(interval: Interval) -> float:
    # Half of a normal interval at 95 % is 1.96 standard errors.
    return float(((interval.high - interval.low) / (2 * stats.norm.ppf(0.975))) ** 2)


def _normal_p(interval: Interval) -> float:
    """Two-sided p that the figure is 0, by the error that its interval shows: both say the same at 5 %."""
    return float(2 * stats.norm.sf(abs(interval.value) / _variance(interval) ** 0.5))


def _of_share(share: Share) -> float:
    """Variance of a share that is not 0 where all answers are alike (Agresti and Coull 1998: two more of each)."""
    p = (share.right + 2) / (share.count + 4)
    return p * (1 - p) / (share.count + 4)


def _clipped(found: Crossed) -> Figure:
    # Intervals by Student's t do not know that shares end at 0 and 1.
    return Figure(value=found.value, low=max(0.0, found.low), high=min(1.0, found.high))


def _kappa(table: Tally, seed: int) -> Kappa | None:
    """Agreement on the items that every reader answered; None with one reader."""
    if len(table.readers) < 2:
        return None
    whole = np.flatnonzero(~np.isnan(table.called).any(axis=1))
    answered = table.called[whole]
    # By patient, as all intervals of several readers here; a name may stand for a real and for a synthetic one.
    cases = [(item.case, item.truth) for item in (table.items[index] for index in whole)]
    found = kappa_interval(answered, groups=cases, seed=seed)
    return Kappa(kind="Cohen" if len(table.readers) == 2 else "Fleiss", kappa=Figure.of(found), items=len(answered))


def _mean_marks(items: Sequence[KeyItem], answers: Mapping[str, Answers]) -> tuple[dict[str, float], dict[str, float]]:
    """The mean mark of each real and of each synthetic picture over all who gave one."""
    found: tuple[dict[str, list[int]], dict[str, list[int]]] = defaultdict(list), defaultdict(list)
    for given in answers.values():
        for side, of_reader in zip(found, marks(items, given), strict=True):
            for item, mark in of_reader.items():
                side[item].append(mark)
    real, synthetic = ({item: float(np.mean(some)) for item, some in side.items()} for side in found)
    return real, synthetic


# Pictures and words --------------------------------------------------------------------------------------------------


def _mistaken(table: Tally) -> tuple[Mistaken, ...]:
    """Pictures that somebody took for what they are not, most often first; of each kind at most ten."""
    right = table.right
    rows = []
    for row, item in enumerate(table.items):
        known = right[row][~np.isnan(right[row])]
        if wrong := int((known == 0).sum()):
            rows.append(Mistaken(item=item.item, truth=item.truth, label=item.label, wrong=wrong, answers=len(known)))
    rows.sort(key=lambda one: (-one.wrong / one.answers, -one.wrong, one.item))
    kinds = sorted({one.truth for one in rows})
    return tuple(one for kind in kinds for one in [row for row in rows if row.truth == kind][:MOST_MISTAKEN])


def _words(items: Sequence[KeyItem], answers: Mapping[str, Answers]) -> tuple[NamedWord, ...]:
    """Words of remarks on synthetic pictures, or pairs, that were answered rightly; each counts once a remark."""
    counts: Counter[str] = Counter()
    for given in answers.values():
        for item in items:
            answer = given.get(item.item)
            if answer is not None and answer.choice == item.truth and item.truth != "real":
                words = {word.lower() for word in re.findall(r"[^\W\d_]{3,40}", answer.remark)}
                counts.update(words - _COMMON)
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return tuple(NamedWord(word=word, remarks=count) for word, count in ordered[:MOST_WORDS])


def _remarks(table: Tally, each: Sequence[ReaderScores], answers: Mapping[str, Answers], shown: TuringSet) -> list[str]:
    found = alike(answers)
    if len(each) < FEW_READERS:
        who = "one reader: intervals are about this one" if len(each) == 1 else "two readers: intervals are about these"
        found.append(f"{who}, and say nothing about others; {FEW_READERS} are the least for that")
    for at, one in enumerate(each):
        said = table.called[:, at]
        if len(set(said[~np.isnan(said)].tolist())) == 1:
            found.append(f"{one.reader} gave the same answer to everything")
        if one.missing:
            found.append(
                f"{one.reader} left out {one.missing} of {len(table.items)}; only what was answered is counted"
            )
        if one.reader not in shown.orders:
            found.append(f"{one.reader} is no reader whom the set was made for, so that nobody knows the order")
    if not shown.repeats:
        found.append("nothing was shown twice: whether readers agree with themselves is not known")
    return found
