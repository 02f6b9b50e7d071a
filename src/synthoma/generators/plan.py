"""What a training of a generator is decided to be: slices, classes, shape, networks to begin with. Made once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from synthoma.cohorts.cohort import Cohort, check_scale
from synthoma.cohorts.dataset import spread
from synthoma.cohorts.leaks import held_out_names, leak_error
from synthoma.core.errors import ConfigError, InputError
from synthoma.core.seeding import stream
from synthoma.core.types import Ints
from synthoma.generators.families import family_of
from synthoma.generators.family import GeneratorPlan
from synthoma.generators.initial import GanStart, gan_start
from synthoma.generators.recipes import GeneratorTraining
from synthoma.generators.shape import ImageShape

HELD_OUT = 8
"""Validation slices below which there are too few to judge by."""

CHECKED = 1000
"""Slices that are read at once."""


def plan_training(cohort: Cohort, config: GeneratorTraining) -> GeneratorPlan:
    """Decide everything about a training before it begins, and before anything is written.

    Args:
        cohort: its training split is learned from.
        config: the settings, of a model by name.

    Raises:
        InputError: the cohort has nothing to train on, lacks the masks that are asked for, or holds slices that are
            constant or no numbers; or simulated slices do not fit it.
        ConfigError: the model cannot draw images of this size, or begin with ``config.init``.
        LeakError: what it would begin with was learned from patients that the cohort holds out.
    """
    rows = training_rows(cohort, config)
    check_pixels(cohort, rows)
    classes = trained_classes(cohort, rows)
    shape = image_shape(cohort, config, classes)
    # The weights decide what the network is: settings of another width would not take them.
    if (start := begun_with(cohort, config, shape)) is not None:
        config = config.model_copy(update={"gan": config.gan.model_copy(update=start.network)})
    plan = GeneratorPlan(cohort, config, family_of(config.gan), rows, classes, shape, start)
    check_discriminator(plan)
    plan.family.check(plan)
    check_until_fooled(plan)
    return plan


def check_discriminator(plan: GeneratorPlan) -> None:
    """Raise ConfigError where a discriminator's features are to be matched and it shows none.

    Those of the package do; one of another package may not, and would say so in the middle of the training.
    """
    build, gan = plan.family.discriminator, plan.config.gan
    if gan.feature_matching and (build is None or not hasattr(build(gan, plan.shape), "features")):
        came = f"{gan.network}, whose discriminator has none" if build else f"{gan.network}, which has no discriminator"
        todo = "leave out gan.feature_matching, or give its discriminator a method features(images)"
        raise ConfigError("a discriminator with features to match", came, todo)


def training_rows(cohort: Cohort, config: GeneratorTraining) -> Ints:
    """Rows of the training split that can be learned from.

    Raises:
        InputError: there are none, with what to do; or masks are asked for and none is there.
        ConfigError: a class that the cohort does not have, or grey values on another scale.
    """
    check_scale(cohort)
    if config.with_masks and not cohort.tumour_labels:
        raise InputError("a cohort with masks", "one without", "leave out --with-masks, or prepare scans with masks")
    unknown = sorted(set(config.classes or ()) - set(cohort.classes))
    if unknown:
        raise ConfigError(f"classes of the cohort ({', '.join(cohort.classes)})", unknown[0], "choose among them")
    table, rows = cohort.slices, learnable_rows(cohort, config, "train")
    if not len(rows):
        came = f"none of {len(cohort)} (splits: {', '.join(sorted(set(table['split'])))})"
        wanted = "training slices with all modalities" + " and a mask" * config.with_masks
        raise InputError(wanted, came, "check the cohort with `synthoma info`")
    if config.limit is not None and config.limit < len(rows):
        # Sorted again: rows keep the order of the cohort, however they were drawn.
        rows = np.sort(stream(config.seed, "training.limit").choice(rows, config.limit, replace=False))
    return rows


def check_pixels(cohort: Cohort, rows: Ints) -> None:
    """Raise InputError where all of these rows are constant, or one of them holds what is no number."""
    # A few are enough: one that shows something proves that not all are constant.
    looked_at = cohort.images[spread(rows, 64)]
    if all(np.ptp(image) == 0 for image in looked_at):
        raise InputError("training slices that show something", "constant ones", "look at the cohort's report.html")
    for first in range(0, len(rows), CHECKED):
        part = rows[first : first + CHECKED]
        broken = part[~np.isfinite(cohort.images[part]).all(axis=(1, 2, 3))]
        if len(broken):
            came = f"nan or infinity in row {broken[0]}"
            raise InputError("grey values that are numbers", came, "correct images.npy, or prepare it again")


def learnable_rows(cohort: Cohort, config: GeneratorTraining, split: str) -> Ints:
    """Rows of a split with all modalities, of the classes that are wanted, and with a mask where masks are."""
    table = cohort.slices
    keep = (table["split"] == split) & (table["missing"] == "")
    if config.classes:
        keep &= table["label"].isin(config.classes)
    if config.with_masks and "has_mask" in table:
        keep &= table["has_mask"].fillna(0).astype(bool)
    return np.flatnonzero(keep.to_numpy())


def held_out_rows(plan: GeneratorPlan) -> Ints:
    """Rows of the validation split of the classes that are learned; none where there are fewer than ``HELD_OUT``."""
    rows = learnable_rows(plan.cohort, plan.config, "validation")
    # Of classes that were learned: others would make every snapshot look farther away than it is.
    rows = rows[plan.cohort.slices["label"].iloc[rows].isin(plan.classes).to_numpy()]
    return rows if len(rows) >= HELD_OUT else rows[:0]


def check_until_fooled(plan: GeneratorPlan) -> None:
    """Whether a discriminator can be asked about held-out slices, where the training is to end by that.

    Raises:
        ConfigError: it has no discriminator.
        InputError: too few slices are held out.
    """
    if not plan.config.until_fooled:
        return
    if plan.family.discriminator is None:
        raise ConfigError("a model with a discriminator", f"--until-fooled for {plan.config.model}", "leave it out")
    if not len(held_out_rows(plan)):
        todo = "leave out --until-fooled, or prepare the cohort with a validation split"
        raise InputError(f"{HELD_OUT} validation slices or more, to ask the discriminator about", "fewer", todo)


def trained_classes(cohort: Cohort, rows: Ints) -> tuple[str, ...]:
    """The classes of these rows, in the cohort's order."""
    present = set(cohort.slices["label"].iloc[rows])
    return tuple(name for name in cohort.classes if name in present)


def image_shape(cohort: Cohort, config: GeneratorTraining, classes: Sequence[str]) -> ImageShape:
    """What the generator has to draw when it learns from slices of these classes.

    Raises:
        InputError: one class only is there to be conditional on.
        ConfigError: the model cannot draw images of this size.
    """
    if config.conditional and len(classes) < 2:
        came = f"training slices of {' and '.join(classes) or 'none'} only"
        raise InputError("two classes or more", came, "leave out --conditional")
    family_of(config.gan).check_size(cohort.size)
    # Without the cavity: no generator draws what an operation leaves behind.
    labels = len(cohort.tumour_labels) if config.with_masks else 0
    return ImageShape(cohort.size, len(cohort.modalities), labels, len(classes) if config.conditional else 0)


def begun_with(cohort: Cohort, config: GeneratorTraining, shape: ImageShape) -> GanStart | None:
    """The trained networks that a generator begins with; None for random ones.

    Raises:
        InputError, ConfigError: no fitting generator there.
        LeakError: it was learned from patients that the cohort holds out.
    """
    if config.init is None:
        return None
    start = gan_start(
        config.init,
        config.gan.network,
        shape,
        modalities=cohort.modalities,
        plane=cohort.meta.plane,
        fitted=family_of(config.gan).fitted,
    )
    if shared := sorted(held_out_names(cohort) & start.groups):
        raise leak_error(shared, f"what {config.init} was trained on")
    return start
