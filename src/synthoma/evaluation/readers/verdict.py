"""What readers' answers mean, in words. Absence of evidence is never taken for likeness."""

from __future__ import annotations

from synthoma.evaluation.readers.result import Pooled, ReadersVerdict


def verdict(pooled: Pooled, matters: float) -> ReadersVerdict:
    """A word and a sentence, by the interval of d' and the limit that was stated before.

    - TOLD APART: the interval lies above 0.
    - TOLD APART, HARDLY: above 0, and below what would matter.
    - NOT TOLD APART: it holds 0, and nothing that would matter: the test could have shown it.
    - CANNOT TELL: it holds 0 and what would matter: no evidence, in either direction.
    - TAKEN THE WRONG WAY ROUND: it lies below 0. Readers see a difference, and take synthetic pictures for real ones.
    """
    d, low, high = (
        value if value is not None else float("nan") for value in (pooled.d.value, pooled.d.low, pooled.d.high)
    )
    figure = f"d' {d:.2f} [{low:.2f}, {high:.2f}]"
    seen = _seen(pooled)
    if low > 0 and high < matters:
        text = f"readers told them apart, hardly: {figure}, less than the {matters:g} that would matter"
        return ReadersVerdict(word="TOLD APART, HARDLY", text=text)
    if low > 0:
        return ReadersVerdict(word="TOLD APART", text=f"readers told them apart: {figure}")
    if high < 0:
        text = f"readers told them apart the wrong way round, and took synthetic pictures for real ones: {figure}"
        return ReadersVerdict(word="TAKEN THE WRONG WAY ROUND", text=text)
    if -matters < low and high < matters:
        text = f"not told apart: {figure}; a d' of {matters:g}, the least that would matter, is ruled out"
        return ReadersVerdict(word="NOT TOLD APART", text=text)
    text = f"not told apart, which is no evidence that they look alike: {figure}{seen}"
    return ReadersVerdict(word="CANNOT TELL", text=text)


def _seen(pooled: Pooled) -> str:
    if pooled.smallest_seen is None:
        return "; with this number no difference would have been seen in 80 %"
    return f"; with this number a d' of {pooled.smallest_seen:.2f} would have been seen in 80 %"
