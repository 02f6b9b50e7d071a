"""What is compared with what: training, held-out and synthetic slices on one footing."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from synthoma.cohorts.changed_copies import as_scanned
from synthoma.cohorts.cohort import Cohort, check_scale
from synthoma.cohorts.leaks import held_out_names, names_of, patients_behind, rows_named, shared_names
from synthoma.cohorts.slicing import shown_modality
from synthoma.cohorts.squares import FRAMED
from synthoma.core.errors import InputError, LeakError
from synthoma.core.seeding import stream
from synthoma.core.types import UNLABELLED, Bools, Float16, Float32, Ints, tumour_of

if TYPE_CHECKING:
    import pandas as pd

LEAST = 20
"""Images on each side below which no comparison is made."""


@dataclass(frozen=True)
class Comparison:
    """Slices of one modality, cut to 0..1, (N, H, W) each.

    Attributes:
        training: real slices that the generator could have seen, of the classes that were generated.
        held_out: real slices of other groups.
        synthetic: generated slices.
        training_rows, held_out_rows, synthetic_rows: where they stand in their cohorts.
        training_groups, held_out_groups: group of each real slice.
        modality: which one.
        synthetic_groups: group of each synthetic slice: those of one belong together, as slices of a patient do.
        gallery: all slices that the generator could have seen, of whatever class and however many are compared: what
            copies are searched in.
        gallery_rows: where they stand in the cohort.
        absent: patients or groups that the generator learned from and that the real cohort lacks: copies of them cannot
            be found.
        synthetic_cases: case of each synthetic slice: images of several cases are offered as different ones.
        gallery_groups: group of each slice of the gallery; empty where nobody says.
        gallery_tumours, held_out_tumours, synthetic_tumours: where these slices show tumour (N, H, W); None without
            masks.
    """

    training: Float32
    held_out: Float32
    synthetic: Float32
    training_rows: Ints
    held_out_rows: Ints
    synthetic_rows: Ints
    training_groups: tuple[str, ...]
    held_out_groups: tuple[str, ...]
    synthetic_groups: tuple[str, ...]
    modality: str
    gallery: Float16
    gallery_rows: Ints
    absent: int = 0
    synthetic_cases: tuple[str, ...] = ()
    gallery_groups: tuple[str, ...] = ()
    gallery_tumours: Bools | None = None
    held_out_tumours: Bools | None = None
    synthetic_tumours: Bools | None = None

    @property
    def real(self) -> Float32:
        """Training and held-out slices together."""
        return np.concatenate([self.training, self.held_out])

    @property
    def groups(self) -> tuple[str, ...]:
        """Groups of ``real``."""
        return self.training_groups + self.held_out_groups


def compare(
    real: Cohort, synthetic: Cohort, *, limit: int = 1000, seed: int = 0, held_out: Collection[str] | None = None
) -> Comparison:
    """Choose the slices to compare: real ones of the classes that were generated, at most ``limit`` of each kind.

    Where the generator learned from none of the real cohort's patients, as one of another hospital, all of the training
    split stands for them.

    Args:
        real: with its splits.
        synthetic: of any origin.
        limit: slices of each kind.
        seed: of the choice.
        held_out: groups that are held out in place of the cohort's own; all others then count as training slices.

    Raises:
        InputError: unlike sizes, modalities or classes, or too few images.
        LeakError: the generator saw groups that are held out here.
    """
    check_alike(real, synthetic)
    out = _held_out(real, held_out)
    refuse_leak(real, synthetic, out)
    modality, table = shown_modality(real.modalities), real.slices
    made = drawn_classes(real, synthetic)
    present = showing(real, modality) & as_scanned(table)
    # Of the classes that were drawn: others would count as variety that the generator missed.
    usable = table["label"].isin(made).to_numpy() & present
    in_training = ~out & present
    known = _learned_from(real, synthetic)
    named = in_training & rows_named(real, known)
    seen = named if named.any() and held_out is None else in_training
    # A copy may have been given another class than its source: it is searched for among all of them.
    gallery = np.flatnonzero(seen)
    training = _choose(np.flatnonzero(seen & usable), limit, seed, "training")
    apart = _choose(np.flatnonzero(usable & out), limit, seed, "held-out")
    drawn = _choose(np.flatnonzero(showing(synthetic, modality)), limit, seed, "synthetic")
    for name, rows in (("training", training), ("held-out", apart), ("synthetic", drawn)):
        if len(rows) < LEAST:
            came = f"{len(rows)} {name} ones of the classes {', '.join(sorted(made))}"
            raise InputError(f"at least {LEAST} images on each side", came, "add scans, or generate more")
    channel = real.modalities.index(modality)
    return Comparison(
        _images(real, training, channel),
        _images(real, apart, channel),
        _images(synthetic, drawn, synthetic.modalities.index(modality)),
        training,
        apart,
        drawn,
        tuple(table["group"].iloc[training].astype(str)),
        tuple(table["group"].iloc[apart].astype(str)),
        tuple(_together(synthetic).iloc[drawn]),
        modality,
        # As stored, in half precision: the gallery may be every slice of a cohort.
        real.images[gallery, channel],
        gallery,
        len(known - {str(name) for column in ("group", "patient", "case") for name in set(table[column])}),
        tuple(synthetic.slices["case"].iloc[drawn].astype(str)),
        tuple(table["group"].iloc[gallery].astype(str)),
        tumour_of(real.masks[gallery]),
        tumour_of(real.masks[apart]),
        tumour_of(synthetic.masks[drawn]),
    )


def check_alike(real: Cohort, synthetic: Cohort, *, classes: bool = True) -> None:
    """Refuse cohorts that were not prepared alike: scores would measure the preparation.

    Raises:
        InputError: another size, plane, set of modalities or of classes, normalisation or crop.
        ConfigError: grey values on another scale than 0 to 1, to which images are cut.
    """
    for cohort in (real, synthetic):
        check_scale(cohort)
    for name in ("size", "plane", "modalities"):
        ours, theirs = (_in_words(getattr(cohort.meta, name)) for cohort in (real, synthetic))
        if ours != theirs:
            came = f"{name} {ours} of the real and {theirs} of the synthetic cohort"
            raise InputError("cohorts that were prepared alike", came, "prepare both with the same settings")
    prepared = [cohort.meta.provenance.config for cohort in (real, synthetic)]
    for name in FRAMED:
        mine, other = (settings.get(name) for settings in prepared)
        both = all(name in settings for settings in prepared)
        # None is a value of `pad` and `window` (no padding, all of it); of the others it means that nobody said.
        if both and mine != other and (None not in (mine, other) or name in ("pad", "window")):
            came = f"{name} {mine} of the real and {other} of the synthetic cohort"
            raise InputError("cohorts that were prepared alike", came, "prepare both with the same settings")
    strangers = sorted(drawn_classes(real, synthetic) - set(real.slices["label"])) if classes else []
    if strangers:
        came = f"{', '.join(strangers)}, of which there is no real slice"
        raise InputError("synthetic classes that the real cohort has", came, "generate other classes (--class)")


def _in_words(value: str | int | tuple[str, ...]) -> str | int:
    return ", ".join(value) if isinstance(value, tuple) else value


def drawn_classes(real: Cohort, synthetic: Cohort) -> set[str]:
    """Classes of the real slices that the synthetic ones stand for.

    Images without a class stand for all that their generator learned from, or for all where nobody says.
    """
    made = set(synthetic.slices["label"])
    if UNLABELLED in made and UNLABELLED not in real.classes:
        trained_on = synthetic.meta.provenance.trained_on
        learned = trained_on.classes if trained_on is not None else ()
        made = (made - {UNLABELLED}) | set(learned or real.classes)
    return made


def _held_out(real: Cohort, groups: Collection[str] | None) -> Bools:
    """Which slices (N,) are of these groups, or of those that the cohort's own split holds out."""
    if groups is None:
        # Validation patients too: no generator learned from them, and few are held out as it is.
        return np.asarray(real.slices["split"] != "train", dtype=np.bool_)
    return np.asarray(real.slices["group"].astype(str).isin(set(groups)), dtype=np.bool_)


def unseen_groups(real: Cohort, synthetic: Cohort) -> list[str]:
    """Groups of the real cohort that the generator did not learn from, and that may be held out.

    All of them where it says that it learned from others. Where nobody says whom it learned from, it may have been the
    training split: the others only.
    """
    table = real.slices
    seen = rows_named(real, _learned_from(real, synthetic))
    if synthetic.meta.provenance.trained_on is None:
        seen = (table["split"] == "train").to_numpy()
    known = set(table["group"][seen].astype(str))
    return sorted(set(table["group"].astype(str)) - known)


def refuse_leak(real: Cohort, synthetic: Cohort, out: Bools | None = None) -> None:
    """Refuse a synthetic cohort whose generator saw groups that are held out in the real one.

    Args:
        real: with its splits.
        synthetic: of any origin.
        out: slices that are held out, where it is not the cohort's own split that says so.

    Raises:
        LeakError: with the number of groups and an example.
    """
    held_out = held_out_names(real) if out is None else names_of(real, np.flatnonzero(out))
    both = sorted(shared_names(real, held_out, synthetic, _learned_from(real, synthetic)))
    if both:
        came = f"one that saw {len(both)} of {len(held_out)} held-out patients or groups, for example {both[0]}"
        todo = "evaluate on the cohort that the generator was trained on, or with --split-from that cohort"
        raise LeakError("a generator that saw training groups only", came, todo)


def _learned_from(real: Cohort, synthetic: Cohort) -> frozenset[str]:
    """Names of those whom the generator learned from; of nobody where that is not known, or they were simulated."""
    return patients_behind(synthetic, simulated=real.origin == "phantom")


def showing(cohort: Cohort, modality: str) -> Bools:
    """Which slices have this modality."""
    # Split and not searched as text: "t1" stands in "t1c" too.
    return np.array([modality not in missing.split("+") for missing in cohort.slices["missing"]], dtype=np.bool_)


def _together(synthetic: Cohort) -> pd.Series[str]:
    """What each synthetic slice belongs to: its group, as `synthoma generate` writes it.

    Where duplicates were searched they have been joined into one group, as splits need it. Here that would hide a
    generator that repeats itself: what belongs to one patient does not count as neighbour, so patients or cases stand.
    """
    table = synthetic.slices
    if not (table["twin"] != "").any():
        return table["group"].astype(str)
    patients = table["patient"].astype(str)
    return patients.where(patients != "", table["case"].astype(str))


def _choose(rows: Ints, limit: int, seed: int, name: str) -> Ints:
    if len(rows) <= limit:
        return rows
    # Sorted: slices of a patient stay in their order, by which copies of whole patients are found.
    return np.sort(stream(seed, f"evaluation.{name}").choice(rows, limit, replace=False))


def _images(cohort: Cohort, rows: Ints, channel: int) -> Float32:
    # Cohorts hold brightest spots above 1, which no generator here can draw: they alone would tell both sides apart.
    return np.clip(cohort.images[rows][:, channel].astype(np.float32), 0, 1)
