"""Simulated slices in the shares in which real ones come: size, place and shape of tumours, size and kind of head."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
from scipy import ndimage

from synthoma.core.types import Bools, Bytes, Floats, tumour_of
from synthoma.training.meta import SimulatedShares

HEAD = ("head area", "head shape", "scalp", "fluid")
TUMOUR = ("tumour", "tumour size", "sideways", "frontward", "compactness")
FEATURES = (*HEAD, *TUMOUR)
"""What is measured of a slice: not what repainting should change, but what it cannot, or hardly does."""

AIR = 0.1
"""Brightness below which a pixel is not head, on the cohort's scale."""

SPECK = 0.004
"""Share of the picture below which a bright region is no part of the head."""

SQUARE = np.ones((3, 3), dtype=bool)

RIM = 2.5 / 64
"""Thickness of the scalp as a share of the picture's side."""

WHOLE_ABOVE, STRIPPED_BELOW = 0.35, 0.15
"""Mean "scalp" of a cohort of whole and of stripped heads; between them lies a mixture."""

STRENGTH = 0.01
"""Inverse regularisation of the model of shares, where both kinds are as many.

It goes with the number of slices on the smaller side: weak evidence of a few patients should move the shares little,
and simulating more does not make it stronger.
"""

MOST = 10.0
"""Most that one slice may weigh, over the mean."""

ELSEWHERE = 0.5
"""Distance of the means of two sets of simulated slices, in deviations, above which they are no longer alike."""


def structure(images: Floats, masks: Bytes) -> Floats:
    """What slices are made of, apart from their look.

    Args:
        images: first modality (N, S, S) on the cohort's scale (0 background, about 1 bright).
        masks: (N, S, S), with the values of a cohort's labels.

    Returns:
        (N, 9) in the order of ``FEATURES``. Head: share of the picture; log of height over width; log of the brightest
        quarter of its rim over the middle of what lies below (about 0.5 where there are scalp and skull, 0 without);
        share of its inside that is darker than a third of the middle brightness. Tumour: 1 where there is one; log of
        its share of the picture; distance of its centre from the head's midline over the head's width; how far it lies
        behind the head's centre, over the head's height; log of its area over that of a disc of the same spread. The
        last four are 0 without tumour, and of several tumours those of all together.
    """
    return np.stack([_measured(image, tumour_of(mask)) for image, mask in zip(images, masks, strict=True)])


def _measured(image: Floats, tumour: Bools) -> Floats:
    image = np.clip(image.astype(np.float64), 0, 1)
    values = np.zeros(len(FEATURES))
    head = head_of(image)
    if not head.any():  # nothing to be seen, whatever the mask says
        return values
    values[len(HEAD)] = tumour.any()
    rows, columns = np.nonzero(head)
    height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
    depth = ndimage.distance_transform_edt(head)
    thick = max(1.0, RIM * len(image))
    rim, inside = head & (depth <= thick), head & (depth > 2 * thick)
    middle = float(np.median(image[inside])) if inside.any() else float(np.median(image[head]))
    values[0], values[1] = head.mean(), np.log(height / width)
    below = head & (depth > 0.8 * thick) & (depth <= 2.8 * thick)  # where the skull is, if there is one
    if below.any():
        # 0.02 on both sides: black bone would make the quotient infinite. A quarter of the rim, since scalp has gaps.
        values[2] = np.log((np.quantile(image[rim], 0.75) + 0.02) / (np.median(image[below]) + 0.02))
    values[3] = (image[inside] < middle / 3).mean() if inside.any() else 0.0
    if tumour.any():
        y, x = np.nonzero(tumour)
        spread = ((y - y.mean()) ** 2 + (x - x.mean()) ** 2).mean() + 1 / 6  # a pixel has an extent of its own
        values[5] = np.log(tumour.mean())
        values[6] = abs(x.mean() - (columns.min() + columns.max()) / 2) / width
        values[7] = (y.mean() - (rows.min() + rows.max()) / 2) / height
        values[8] = np.log(len(y) / (2 * np.pi * spread))  # a disc of radius r has area pi r^2 and spread r^2 / 2
    return values


def head_of(image: Floats) -> Bools:
    """The head in a picture (S, S): what is brighter than air but for specks, filled; empty where there is none.

    A dark skull parts the scalp from the brain, and at 64 pixels the scalp is one pixel thick, with gaps. So nothing is
    thinned, gaps of a pixel or two are closed, and every region of some size belongs to the head.
    """
    bright = np.pad(image > AIR, 2)
    regions, _ = ndimage.label(ndimage.binary_closing(bright, SQUARE)[2:-2, 2:-2], SQUARE)
    large = np.bincount(regions.ravel()) >= SPECK * image.size
    large[0] = False
    return np.asarray(ndimage.binary_fill_holes(large[regions]))


def heads_of(scalp: float) -> Literal["whole", "stripped", "mixed"]:
    """What heads a cohort shows, by the mean of its "scalp"."""
    if scalp > WHOLE_ABOVE:
        return "whole"
    return "stripped" if scalp < STRIPPED_BELOW else "mixed"


@dataclass(frozen=True)
class Matching:
    """Importance weights of simulated slices: how much commoner each is among real ones.

    The density ratio is the odds of a logistic regression that tells the two kinds apart by ``structure`` and its
    squares (Sugiyama et al. 2012, Density Ratio Estimation, 4). Of how many slices show a tumour a few tell enough:
    that share is kept as it was counted, however weak the evidence of the rest.

    Attributes:
        centre, scale: mean and deviation of each feature of real slices, (9,).
        weights: of the standardised features and of their squares, (18,).
        among: mean and deviation of each feature of the simulated slices, (2, 9): shares are shares of these.
    """

    centre: Floats
    scale: Floats
    weights: Floats
    among: Floats

    @classmethod
    def fit(cls, real: Floats, simulated: Floats) -> Matching:
        """Learn the shares of real slices (N, 9) among simulated ones (M, 9).

        What is not known of a real slice is nan: whether it shows a tumour, or what its tumour is like, where it has no
        mask. It is taken from other real slices, in turn (hot deck); what none of them tells is left out of account,
        as is what is never seen on one side.
        """
        real, tumours_known = _filled(real)
        ill = [side[side[:, len(HEAD)] > 0] for side in (real, simulated)]
        # What hardly varies among real slices is still told from what varies among simulated ones.
        centre, scale = real.mean(axis=0), np.maximum(real.std(axis=0), simulated.std(axis=0) / 10)
        shape = slice(len(HEAD) + 1, None)
        if not tumours_known:
            scale[len(HEAD)] = 0
        if min(map(len, ill)) and np.isfinite(ill[0]).all():
            centre[shape] = ill[0][:, shape].mean(axis=0)
            scale[shape] = np.maximum(ill[0][:, shape].std(axis=0), ill[1][:, shape].std(axis=0) / 10)
        else:
            centre[shape], scale[shape] = 0, 0
        among = np.stack([simulated.mean(axis=0), simulated.std(axis=0)])
        found = cls(centre, scale, np.zeros(2 * len(FEATURES)), among)
        inputs = np.concatenate([found._standard(simulated), found._standard(real)])
        is_real = np.repeat([0, 1], [len(simulated), len(real)])
        from sklearn.linear_model import LogisticRegression  # slow to load, and other generators do without

        # Balanced classes weigh half of all slices each, however few of them are real.
        few = 2 * min(len(real), len(simulated)) / len(inputs)
        model = LogisticRegression(C=few * STRENGTH, class_weight="balanced", max_iter=1000).fit(inputs, is_real)
        found = cls(centre, scale, model.coef_[0], among)
        return found._counted(real, simulated) if tumours_known else found

    def _counted(self, real: Floats, simulated: Floats) -> Matching:
        """The same with tumours drawn as often as they are among real slices, where both sides show some and none."""
        at = len(HEAD)
        wanted, ill = float((real[:, at] > 0).mean()), simulated[:, at] > 0
        ends = np.zeros((2, len(FEATURES)))
        ends[1, at] = 1
        step = float(np.diff(self._standard(ends)[:, at])[0])
        if not 0 < wanted < 1 or ill.all() or not ill.any() or step <= 0:
            return self
        weights = self.weights.copy()
        found = Matching(self.centre, self.scale, weights, self.among)
        for _ in range(20):  # the limit of what one slice may weigh gives back part of each step
            share = float(found.chances(simulated)[ill].sum())
            weights[at] += (np.log(wanted / (1 - wanted)) - np.log(share / (1 - share))) / step
        return found

    def chances(self, simulated: Floats) -> Floats:
        """Share in which each simulated slice (M, 9) should be drawn, (M,), in all 1."""
        odds = self._standard(simulated) @ self.weights
        # No share is exactly 0: its logarithm is asked for where shares are counted and patients put in order.
        shares = np.exp(np.maximum(odds - odds.max(), -50))
        # A little above the limit, which rounding alone would never let it reach.
        while shares.max() > 1.001 * MOST * shares.mean():  # a cut lowers the mean, too
            shares = np.minimum(shares, MOST * shares.mean())
        return np.asarray(shares / shares.sum())

    def strange(self, simulated: Floats) -> list[str]:
        """Features in which other simulated slices (M, 9) lie elsewhere, so that these shares would not fit them."""
        mean, deviation = self.among
        far = np.abs(simulated.mean(axis=0) - mean) > ELSEWHERE * deviation
        return [name for name, elsewhere in zip(FEATURES, far & (self.scale > 1e-6), strict=True) if elsewhere]

    def _standard(self, features: Floats) -> Floats:
        """Features over the real ones' deviation, within 3 of it, and their squares, (N, 18)."""
        used = self.scale > 1e-6
        # Within 3 deviations: one odd measure would else decide about a slice, the more so by its square.
        values = np.where(used, (features - self.centre) / np.where(used, self.scale, 1), 0).clip(-3, 3)
        # Of slices without tumour the figures of one are 0, the real ones' mean, so that they say nothing.
        values[:, len(HEAD) + 1 :] *= features[:, len(HEAD), None] > 0
        return np.concatenate([values, values**2], axis=1)

    def to_meta(self) -> SimulatedShares:
        """As a model file says it, rounded to six places."""
        return SimulatedShares(**{field.name: getattr(self, field.name).round(6).tolist() for field in fields(self)})

    @classmethod
    def from_meta(cls, meta: SimulatedShares) -> Matching:
        """What ``to_meta`` gave."""
        return cls(*(np.array(getattr(meta, field.name), dtype=np.float64) for field in fields(cls)))


def _filled(real: Floats) -> tuple[Floats, bool]:
    """Slices of which something is not known, filled in from others; and whether it is known of any if it is ill."""
    filled, at = real.copy(), len(HEAD)
    unsure = np.isnan(filled[:, at])
    if unsure.all():
        filled[:, at:] = 0
        return filled, False
    filled[unsure, at:] = _in_turn(filled[~unsure, at:], int(unsure.sum()))
    unseen = np.isnan(filled[:, at + 1])
    if (seen := (filled[:, at] > 0) & ~unseen).any():
        filled[unseen, at + 1 :] = _in_turn(filled[seen, at + 1 :], int(unseen.sum()))
    return filled, True


def _in_turn(rows: Floats, count: int) -> Floats:
    """So many of these rows, each as often as the others but for one, evenly spaced where not all can come."""
    return np.asarray(rows[np.arange(count) * len(rows) // max(count, 1)])
