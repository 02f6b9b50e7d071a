"""Who was learned from and who is held out; how much a download's folders, or a random split, leak of these."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from synthoma.cohorts.meta import SourceCohort, TrainedOn
from synthoma.core.artefacts import verified_digest
from synthoma.core.errors import LeakError
from synthoma.core.pseudonyms import pseudonym, secret_key

if TYPE_CHECKING:
    import pandas as pd

    from synthoma.cohorts.cohort import Cohort
    from synthoma.core.types import Bools, Ints


def names_of(cohort: Cohort, rows: Ints) -> set[str]:
    """Names of the groups and patients of these rows. A group over duplicates bears one patient's name."""
    table = cohort.slices.iloc[rows]
    return (set(table["group"].astype(str)) | set(table["patient"].astype(str))) - {""}


def held_out_names(cohort: Cohort) -> set[str]:
    """Names of the groups and patients that a cohort holds out."""
    return names_of(cohort, np.flatnonzero((cohort.slices["split"] != "train").to_numpy()))


def rows_named(cohort: Cohort, names: Collection[str]) -> Bools:
    """Which slices (N,) are of groups that hold somebody of these names."""
    table = cohort.slices
    named = table["group"].astype(str).isin(names) | table["patient"].astype(str).isin(names)
    # The whole group of whoever is named: duplicates join patients, and the twin of a seen slice was seen.
    return np.asarray(table["group"].isin(set(table["group"][named])), dtype=np.bool_)


def patients_behind(cohort: Cohort, *, simulated: bool = False) -> frozenset[str]:
    """Patients whom the generator of a synthetic cohort learned from; nobody behind others.

    Args:
        cohort: synthetic or not.
        simulated: count those of a phantom cohort too. Names of simulated patients are those of other simulations as
            well, and mean something only beside the phantom cohort itself.
    """
    provenance = cohort.meta.provenance
    known = provenance.trained_on
    if known is None:
        return frozenset()
    # Names of simulated patients are numbers, and every simulation has a first one.
    nobody = provenance.training_cohort.origin == "phantom" and not simulated
    return frozenset((*(() if nobody else known.groups), *known.inherited))


def shared_names(cohort: Cohort, names: Collection[str], other: Cohort, theirs: Collection[str]) -> set[str]:
    """Those of another cohort's names that are among ``names`` of a cohort, also where only one of them bears hashes.

    Args:
        cohort: whose ``names`` are known.
        names: patients and groups of it.
        other: the other cohort.
        theirs: names of it, or of the patients behind it.
    """
    found = set(theirs) & set(names)
    veiled = [bool(one.meta.provenance.config.get("pseudonyms")) for one in (cohort, other)]
    if veiled[0] == veiled[1]:
        return found
    # On the computer that made them, hashes can be made again: else a held-out patient would be learned from unseen.
    key = secret_key()
    if veiled[0]:
        return found | {name for name in theirs if pseudonym(name, key) in names}
    return found | ({pseudonym(name, key) for name in names} & set(theirs))


@dataclass(frozen=True)
class Leak:
    """Of ``total`` images of the part ``held_out``, ``seen`` have a twin or a sibling in the part ``training``."""

    training: str
    held_out: str
    label: str
    seen: int
    total: int

    @property
    def share(self) -> float:
        """The part that was seen: seen / total."""
        return self.seen / self.total


def folder_leaks(table: pd.DataFrame, column: str = "folder_split") -> list[Leak]:
    """Leaks between the training folder of a download and its other folders, in all and by class.

    Args:
        table: slices with the columns group, label and ``column`` (Training, Testing, ...; empty where none).
        column: where the folder's part is written.

    Returns:
        For each pair (a folder named train..., another folder) the leak in all (label ""), then by class.
    """
    if column not in table:
        return []
    part = table[column].fillna("").astype(str)
    trained = [name for name in sorted(set(part)) if name.lower().startswith("train")]
    others = [name for name in sorted(set(part)) if name and name not in trained]
    leaks = []
    for training in trained:
        known = set(table["group"][part == training])
        for held_out in others:
            rows = table[part == held_out]
            seen = rows["group"].isin(known)
            leaks.append(Leak(training, held_out, "", int(seen.sum()), len(rows)))
            for label, members in rows.groupby("label"):
                hit = seen[members.index]
                leaks.append(Leak(training, held_out, str(label), int(hit.sum()), len(members)))
    return leaks


def random_split_leak(table: pd.DataFrame, train_share: float) -> float:
    """Expected share of test images that a split of single images leaves with a sibling of its group in training.

    An image of a group of n has none there with probability (1 - train_share) ** (n - 1).
    """
    sizes = table.groupby("group")["group"].transform("size").to_numpy(float)
    # Of the other n - 1 images each misses the training part with 1 - train_share.
    return float(np.mean(1 - (1 - train_share) ** (sizes - 1)))


def leak_error(shared: Sequence[str], where: str) -> LeakError:
    """Held-out patients ``shared`` were learned from: what to say."""
    todo = "train on this cohort's training split only, or leave it out"
    return LeakError("held-out patients that are nowhere learned from", f"{len(shared)} in {where}: {shared[0]}", todo)


def source_of(cohort: Cohort) -> SourceCohort:
    """Which cohort something is made from.

    Raises:
        InputError: its files are not what was written.
    """
    return SourceCohort(
        origin=cohort.origin,
        slices_sha256=verified_digest(cohort.path / "slices.csv"),
        images_sha256=verified_digest(cohort.path / "images.npy"),
    )


def trained_on(slices: int, classes: Iterable[str], own: Collection[str], inherited: Collection[str]) -> TrainedOn:
    """What a model learned from; ``inherited`` are the patients that it did at second hand."""
    told = {"inherited": tuple(sorted(inherited))} if inherited else {}
    return TrainedOn(slices=slices, classes=tuple(classes), groups=tuple(sorted({*own, *inherited})), **told)
