"""What a synthetic cohort is worth: how many further real patients would have given what the best mixture gives.

The score rises with the logarithm of the number of real patients, along a line through the arm of all patients that
one has. With g the gain of the mixtures over that arm, and b the slope of the line, the worth is had (exp(g / b) - 1).
Three things would make it promise too much, and are kept out:

- *The best of several mixtures is lucky.* Each score of a patient and a seed is that of the mixture which the other
  patients and the other seeds choose, so that nothing is chosen by what it is judged by.
- *A ratio of two noisy figures has no standard error.* Its interval holds every r for which g - r b is not told from 0
  (Fieller 1954, J R Stat Soc B 16:175), by Student's t over patients, with the noise of seeds beside it.
- *A curve that does not clearly rise gives any number, or infinity.* None is given then: Fieller's set is bounded only
  where b is clearly above 0. What passes that test is too steep by selection, and more so the closer it came; its mean
  excess is taken off again (Ghosh, Zou and Wright 2008, Am J Hum Genet 82:1064).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import special

from synthoma.core.types import Floats
from synthoma.evaluation.useful.result import Line, Point, Worth

FURTHEST = 3
"""The learning curve is followed to so many times as many patients as it was measured with; beyond, nobody knows."""

FROM = 0.2
"""Share of the patients that one has from which on the curve is followed: a quarter of them, with room for rounding.
Fewer say little of what many more would give."""

LEAST_SLOPE = 1e-6
"""Slopes up to here are rounding, and no curve rises."""

FLAT = "more real patients do not clearly raise the score here, so no gain can be told in patients"


def worth(
    real: Mapping[int, Floats], mixtures: Mapping[str, Floats], *, had: int, known: int, noise: float
) -> Worth | None:
    """Worth of the best of some mixtures.

    Args:
        real: scores (seeds, patients) of the real arms by the number of patients learned from; that of ``had`` too.
        mixtures: scores (seeds, patients) of the mixtures by name, at least two of each; the same seeds and patients.
        had: real patients that the mixtures hold.
        known: real patients that the curve was measured with at most.
        noise: standard deviation of an arm's mean from seed to seed.

    Returns:
        None where there is no curve: fewer than two numbers of patients from ``FROM`` of ``had`` on.
    """
    counts = sorted(count for count in real if count >= FROM * had)
    if len(counts) < 2:
        return None
    scores = list(mixtures.values())
    chosen = chosen_by_others(scores)
    seeds, patients = chosen.shape
    levels = np.stack([real[count].mean(axis=0) for count in counts])
    steps = np.log(np.array(counts) / had)
    # A least-squares line is a weighted sum of its points: the first row of the pseudo-inverse gives the slope.
    slope, anchor = np.linalg.pinv(np.stack([steps, np.ones(len(steps))], axis=1))[0], (steps == 0).astype(np.float64)
    # Fewer patients are other patients for each seed: what that varies by belongs to the curve.
    shaken = np.array([max(noise, float(real[count].mean(axis=1).std(ddof=1))) ** 2 / seeds for count in counts])
    pairs = np.stack([chosen.mean(axis=0) - anchor @ levels, slope @ levels])  # each patient's g and b
    errors = np.cov(pairs) / patients
    errors += np.array([[anchor @ (shaken * anchor), -anchor @ (shaken * slope)], [-slope @ (shaken * anchor),
                        slope @ (shaken * slope)]])  # fmt: skip
    errors[0, 0] += noise**2 / seeds
    gain, rise = (float(value) for value in pairs.mean(axis=1))
    most = float(FURTHEST * known - had)

    def further(ratio: float) -> float:
        # Cut before the exponential: a flat curve would overflow it.
        return float(had * np.exp(min(ratio, np.log1p(most / had))) - had)

    ends = ratio_interval(gain, rise, errors, patients)
    value, low, high, because = None, None, None, FLAT
    if ends is not None:
        low, high = further(ends[0]), further(ends[1])
        # `further` was cut at `most`, so the two are equal but for rounding.
        if low <= counts[0] - had and high >= most - 1e-9:
            because = f"its interval holds all of the curve, from {counts[0]} to {had + most:.0f} patients"
            low = high = None
        else:
            because = ""
            value = further(float(np.clip(unselected_ratio(gain, rise, errors, patients), *ends)))
    level = float(anchor @ levels.mean(axis=1))
    return Worth(
        value=value,
        low=low,
        high=high,
        because=because,
        arm=max(mixtures, key=lambda name: float(mixtures[name].mean())),
        reached=float(chosen.mean()),
        had=had,
        most=most,
        line=Line(slope=rise, start=level - rise * float(np.log(had)), begin=counts[0]),
        curve=tuple(
            Point(
                patients=count,
                score=float(real[count].mean()),
                by_seed=tuple(real[count].mean(axis=1).round(5).tolist()),
            )
            for count in sorted(real)
        ),
    )


def worth_text(found: Worth) -> str:
    """The headline: worth so many real patients, with its interval, or why nobody can say."""
    if found.value is None or found.low is None or found.high is None:
        return f"worth in real patients not known ({found.because})"

    def number(value: float) -> str:
        return f"more than {value:.0f}" if value >= found.most - 0.5 else f"{round(value) + 0:+d}"

    low, high = number(found.low), number(found.high)
    if found.value < 0:
        lost = f"{-found.value:.0f} of the {found.had} real patients less"
        return f"as if there were {lost} (95 % CI {low} to {high})"
    return f"worth {number(found.value)} real patients (95 % CI {low} to {high}) beside the {found.had} there are"


def chosen_by_others(mixtures: Sequence[Floats]) -> Floats:
    """Scores (seeds, patients), each of the mixture with the highest mean over the other seeds and other patients.

    Noise of a seed is shared by its patients, and that of a patient by the seeds: both are left out.

    Args:
        mixtures: scores (seeds, patients) of each, at least two of both.
    """
    every = np.stack(mixtures)
    others = every.sum(axis=(1, 2), keepdims=True) - every.sum(axis=1, keepdims=True)
    # What seed and patient have in common was taken off twice.
    others = others - every.sum(axis=2, keepdims=True) + every
    found: Floats = np.take_along_axis(every, others.argmax(axis=0)[None], axis=0)[0]
    return found


def ratio_interval(above: float, below: float, errors: Floats, count: int) -> tuple[float, float] | None:
    """95 % interval of a ratio of two means over so many patients (Fieller 1954); None where it has no two ends.

    Args:
        above: the mean that is divided.
        below: the mean that divides.
        errors: their covariance (2, 2).
        count: patients, of which Student's t has one degree of freedom less.
    """
    # All r with (g - r b)^2 <= t^2 var(g - r b): a quadratic in r, bounded where its leading term is above 0, which it
    # is where b is clearly not 0.
    t2 = _limit(count) ** 2
    square, half, rest = below**2 - t2 * errors[1, 1], above * below - t2 * errors[0, 1], above**2 - t2 * errors[0, 0]
    if below <= LEAST_SLOPE or square <= 0:
        return None
    # Below 0 by rounding alone: r = g / b is in the set whatever the errors are.
    root = float(np.sqrt(max(half**2 - square * rest, 0.0)))
    return (half - root) / square, (half + root) / square


def unselected_ratio(above: float, below: float, errors: Floats, count: int) -> float:
    """Ratio of two means after the second was found above its limit: by how much such findings exceed on average goes.

    Arguments as `ratio_interval`, whose ends exist.
    """
    error = max(float(np.sqrt(errors[1, 1])), 1e-12)
    short = _limit(count) - below / error
    # Mean of a normal value above a limit: its density there over what lies above.
    excess = float(np.exp(-(short**2) / 2 - special.log_ndtr(-short)) / np.sqrt(2 * np.pi))
    return float((above - errors[0, 1] / error * excess) / (below - error * excess))


def _limit(count: int) -> float:
    return float(special.stdtrit(count - 1, 0.975))
