"""What `synthoma detect` says beside its masks: do its probabilities rank slices, and do they mean what they say?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from synthoma.core.artefacts import read_json, verify
from synthoma.core.errors import InputError
from synthoma.core.types import Array, Bools, Floats, Ints
from synthoma.masks.result import Calibration, ChanceScores, CurvePoint, Estimate, RankingOfAll
from synthoma.metrics.calibration import brier_score, expected_calibration_error, reliability
from synthoma.metrics.classification import ranking_scores, weighted_ranking
from synthoma.metrics.intervals import SHARE, bootstrap_many

FINDINGS = "findings.json"
SCHEMA = "synthoma.detection/1"
BINS = 15
"""Bins of the reliability curve, of equal mass."""

_AGAIN = "run synthoma detect again"


@dataclass(frozen=True)
class Chances:
    """Probabilities of tumour in one patient.

    Attributes:
        probability: of the scan, 0..1.
        slices: (n,), 0..1, nan where nobody said.
        axis: of the masks (z, y, x), along which these slices lie.
    """

    probability: float
    slices: Floats
    axis: int = 0


@dataclass(frozen=True)
class Detection:
    """A ``findings.json``.

    Attributes:
        chances: of the scan.
        files: names of its mask files; of pictures one a slice, and then once more with labels.
        names: what the mask's values mean.
    """

    chances: Chances
    files: tuple[str, ...]
    names: Mapping[int, str]

    def of_file(self, name: str, shape: Sequence[int]) -> Chances | None:
        """Probabilities of the slices in one mask file.

        Args:
            name: of the file.
            shape: of its mask (z, y, x).

        Returns:
            None for a file that the findings do not name.

        Raises:
            InputError: another number of slices than there are probabilities.
        """
        if name not in self.files:
            return None
        slices, count = self.chances.slices, len(self.chances.slices)
        if name.lower().endswith(".png"):
            if count and len(self.files) in (count, 2 * count) and shape[0] == 1:
                # Masks with labels come in a second round of the same slices.
                at = self.files.index(name) % count
                return Chances(self.chances.probability, slices[at : at + 1])
        elif shape[self.chances.axis] == count:
            return self.chances
        came = f"{count} for {len(self.files)} files, one of {'x'.join(map(str, shape))}"
        raise InputError("one probability for each slice of the mask", came, _AGAIN)


def read_detection(folder: Path) -> Detection | None:
    """The findings beside a mask; None where there are none.

    Raises:
        InputError: findings that `synthoma detect` did not write so.
    """
    path = folder / FINDINGS
    try:
        verify(path)
        if not path.exists():
            return None
        content = read_json(path)
        if content["schema"] != SCHEMA:
            return None
        slices = [float("nan") if one is None else float(one) for one in content["slice_probabilities"]]
        chances = Chances(float(content["probability"]), np.array(slices), "zyx".index(content["slice_axis"]))
        names = {int(value): str(name) for value, name in content["labels"].items()}
        files = tuple(str(name) for name in content["files"]["mask"])
    except InputError as error:
        raise InputError(f"{FINDINGS} as synthoma detect writes it", error.came, _AGAIN) from error
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        came = f"{type(error).__name__}: {error}"
        raise InputError(f"{FINDINGS} as synthoma detect writes it", came, _AGAIN) from error
    # nan is left out here, since nobody said anything of those slices.
    values = np.append(chances.slices[~np.isnan(chances.slices)], chances.probability)
    if not ((values >= 0) & (values <= 1)).all():
        raise InputError(f"probabilities from 0 to 1 in {FINDINGS}", "others", _AGAIN)
    return Detection(chances, files, names)


def joined(parts: Sequence[Chances | None], lengths: Sequence[int]) -> Chances | None:
    """Probabilities of a patient whose files are stacked along z: the highest counts for the whole.

    Args:
        parts: of each file; None where it has none.
        lengths: slices of each file.
    """
    known = [part for part in parts if part is not None]
    if not known or len(parts) == 1:
        return known[0] if known else None
    slices = [np.full(n, np.nan) if part is None else part.slices for part, n in zip(parts, lengths, strict=True)]
    # The highest: one file with a tumour makes a patient with one, however many are empty.
    return Chances(max(part.probability for part in known), np.concatenate(slices))


@dataclass(frozen=True)
class Judged:
    """The probabilities of a patient beside the truth, slices of unknown probability left out.

    Attributes:
        probability: of the scan, 0..1.
        slices: (n,), 0..1.
        truth: (n,), whether the slice has tumour.
        has_tumour: whether the patient has.
    """

    probability: float
    slices: Floats
    truth: Bools
    has_tumour: bool

    def ranking(self) -> dict[str, float]:
        """How the probabilities rank the patient's own slices; nan where all have tumour, or none has."""
        return ranking_scores(self.truth, self.slices)


def judged(truth: Array, chances: Chances | None) -> Judged | None:
    """The probabilities of one patient beside the mask (z, y, x) of the truth.

    Raises:
        InputError: another number of probabilities than of slices.
    """
    if chances is None:
        return None
    layers = np.moveaxis(truth > 0, chances.axis, 0)
    has: Bools = np.asarray(layers.any(axis=(1, 2)))
    if has.shape != chances.slices.shape:
        came = f"{len(chances.slices)} for {len(has)}"
        raise InputError("one probability for each slice of the truth", came, "give them along the axis of the slices")
    # After the patient's own answer was taken of all slices: that he has a tumour does not depend on who was asked.
    known = ~np.isnan(chances.slices)
    return Judged(chances.probability, chances.slices[known], has[known], bool(has.any()))


def chance_scores(patients: Sequence[Judged], draws: int, seed: int) -> ChanceScores | None:
    """How probabilities rank slices and whole patients, and their calibration; intervals by patient.

    ``slices`` and ``scans``: number, with tumour, ROC AUC, PR AUC (average precision) and sensitivity at 95 %
    specificity. ``calibration`` of slices: ECE, Brier score, and the curve, one row a bin of equal mass. Each draw of
    the bootstrap adds noise of its own to the bins, so the interval of an ECE leans upwards and may leave a small one
    out; the Brier score has no such lean.

    Args:
        patients: with probabilities.
        draws: of the bootstrap.
        seed: of the bootstrap.

    Returns:
        None without patients.
    """
    if not patients:
        return None
    chance, truth = (np.concatenate([getattr(one, name) for one in patients]) for name in ("slices", "truth"))
    lengths = [len(one.slices) for one in patients]
    # Slices of each patient together: patients are drawn, and bring all of theirs.
    rows = np.split(np.arange(len(chance)), np.cumsum(lengths)[:-1])

    def calibration(drawn: Ints) -> dict[str, float]:
        chosen = np.concatenate([rows[place] for place in drawn.tolist()])
        real, values = truth[chosen], chance[chosen]
        return {"ece": expected_calibration_error(real, values, bins=BINS), "brier": brier_score(real, values)}

    found = bootstrap_many(calibration, len(patients), limits=SHARE, draws=draws, seed=seed)
    # Over all slices together: of one patient's there are too few for a bin of each probability.
    curve = reliability(truth, chance, bins=BINS)
    points = zip(curve.probability.tolist(), curve.share.tolist(), curve.count.tolist(), strict=True)
    owner = np.repeat(np.arange(len(patients)), lengths)
    scans = np.array([one.has_tumour for one in patients]), np.array([one.probability for one in patients])
    return ChanceScores(
        patients=len(patients),
        slices=_ranking(truth, chance, owner, len(patients), draws, seed),
        scans=_ranking(*scans, np.arange(len(patients)), len(patients), draws, seed),
        calibration=Calibration(
            **{name: Estimate.of(interval) for name, interval in found.items()},
            bins=BINS,
            curve=tuple(CurvePoint(probability=at, share=share, count=held) for at, share, held in points),
        ),
    )


def _ranking(truth: Bools, chance: Floats, owner: Ints, count: int, draws: int, seed: int) -> RankingOfAll:
    """Rankings of slices or scans, each of one of ``count`` patients, with intervals by patient."""
    scored = weighted_ranking(truth, chance)

    def of(drawn: Ints) -> dict[str, float]:
        # How often a patient was drawn is how often each of its slices counts: nothing is sorted anew.
        return scored(np.bincount(drawn, minlength=count)[owner])

    found = bootstrap_many(of, count, limits=SHARE, draws=draws, seed=seed)
    estimates = {name: Estimate.of(interval) for name, interval in found.items()}
    return RankingOfAll(number=len(truth), with_tumour=int(truth.sum()), **estimates)
