"""Train, validation and test parts that keep groups whole and look alike.

A group is what must never be on two sides: a patient, a set of duplicate images, or both joined. Groups are spread
so that every part holds its share of groups, slices, classes and tumour sizes (a greedy form of iterative
stratification, Sechidis et al. 2011, with whole groups instead of single samples).
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from synthoma.core.errors import ConfigError, InputError, LeakError
from synthoma.core.seeding import stream
from synthoma.core.types import Floats, Ints
from synthoma.core.untrusted import content_of_cell
from synthoma.core.whole_files import write_json

if TYPE_CHECKING:
    import pandas as pd

SPLITS = ("train", "validation", "test")

LEAST_HELD_OUT = 6
"""Fewest held-out patients with tumour that usefulness is tested on."""


def join_groups(*keys: Sequence[str | None]) -> Ints:
    """Groups of items that share any key, directly or through others (connected components).

    Args:
        keys: sequences of one length N; two items with the same key in the same sequence belong together, None and
            the empty text join nothing.

    Returns:
        Group of each item (N,), numbered by the group's first item.
    """
    count = len(keys[0]) if keys else 0
    parent = list(range(count))

    def root(item: int) -> int:
        while parent[item] != item:
            # Path halving (Tarjan and van Leeuwen 1984): chains stay short, also of a hundred thousand slices of one
            # case.
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    for column in keys:
        first: dict[str, int] = {}
        for item, key in enumerate(column):
            if key is None or key == "":
                continue
            a, b = root(item), root(first.setdefault(key, item))
            # The smaller place leads, so that a group is named by its first item whatever joined it.
            parent[max(a, b)] = min(a, b)
    return np.array([root(item) for item in range(count)], dtype=np.int64)


def group_profiles(table: pd.DataFrame) -> tuple[list[Hashable], Floats]:
    """What each group brings to a part: the quantities that a split balances.

    Args:
        table: slices with the columns group, label and tumour_pixels.

    Returns:
        The groups in order of first appearance, and their profiles (groups, Q): one group, its slices, its slices by
        class, and which third of tumour sizes (largest slice) it falls in.
    """
    import pandas as pd

    rows = table.groupby("group", sort=False)
    names = list(rows.groups)
    slices = rows.size().reindex(names).to_numpy(float)
    # Numbers of slices and not shares of the group's own: a part needs so many slices of a class to be learned or
    # tested.
    classes = pd.crosstab(table["group"], table["label"]).reindex(names).to_numpy(float)
    largest = rows["tumour_pixels"].max().reindex(names).to_numpy(float)
    sizes = np.zeros((len(names), 3))
    ill = np.flatnonzero(largest > 0)
    # Sorting twice gives ranks: thirds hold equally many groups, whatever the sizes are.
    third = np.argsort(np.argsort(largest[ill], kind="stable"), kind="stable") * 3 // max(len(ill), 1)
    sizes[ill, third] = 1.0
    return names, np.column_stack([np.ones(len(names)), slices, classes, sizes])


def assign_groups(profiles: Floats, shares: Sequence[float], *, seed: int, purpose: str = "split") -> Ints:
    """Part of each group, so that each part's total profile comes near its share of the whole.

    Large groups are placed first, each where the total of squared, relative shortfalls becomes least; then pairs of
    groups are exchanged, and single ones moved, as long as that helps.

    Args:
        profiles: (groups, Q), non-negative.
        shares: of the parts; they are normalised. A part with share 0 stays empty.
        seed: of the order in which equal groups are placed, and of the exchanges.
        purpose: names the random stream, so that split and folds are drawn independently.

    Returns:
        Part of each group (groups,). A part with a share gets at least one group where there are enough groups.
    """
    weights = np.asarray(shares, dtype=float)
    if weights.ndim != 1 or (weights < 0).any() or not weights.sum() > 0:
        raise ConfigError("shares >= 0 with a positive sum", f"{list(shares)}", "for example 0.7 0.15 0.15")
    parts = np.flatnonzero(weights)
    target = np.outer(weights[parts] / weights.sum(), profiles.sum(axis=0))
    # Quantities of another scale (a group, its slices) count alike; one that nobody has would be divided by 0.
    unit = np.maximum(profiles.sum(axis=0), 1e-12)
    order = stream(seed, purpose).permutation(len(profiles))
    # Large groups first, while there is room to make up for them. The sort is stable, so that of equal ones chance
    # decides.
    order = order[np.argsort(-(profiles / unit).sum(axis=1)[order], kind="stable")]
    total = np.zeros_like(target)
    chosen = np.zeros(len(profiles), dtype=np.int64)
    for position, group in enumerate(order):
        # The groups left are just enough to give every empty part one: then only empty parts may take this one.
        empty = np.flatnonzero(~total.any(axis=1))
        allowed = empty if len(order) - position <= len(empty) else np.arange(len(parts))
        # Relative to each part's own target, else a small part would never look short of anything.
        before = (((target - total) / unit) ** 2).sum(axis=1) / (weights[parts] / weights.sum())
        after = (((target - total - profiles[group]) / unit) ** 2).sum(axis=1) / (weights[parts] / weights.sum())
        gain = (before - after)[allowed]
        chosen[group] = allowed[int(np.argmax(gain))]
        total[chosen[group]] += profiles[group]
    _exchange(
        profiles / unit, chosen, target / unit, weights[parts] / weights.sum(), stream(seed, purpose + ".exchange")
    )
    return np.asarray(parts[chosen], dtype=np.int64)


def _exchange(profiles: Floats, chosen: Ints, target: Floats, weights: Floats, draws: np.random.Generator) -> None:
    """Improve ``chosen`` in place by random exchanges of two groups and moves of one; never empties a part."""
    total = np.zeros_like(target)
    np.add.at(total, chosen, profiles)

    def cost(part: int, content: Floats) -> float:
        return float((((content - target[part]) ** 2).sum()) / weights[part])

    count = len(chosen)
    # An end for large cohorts, where the greedy start is near its goal and each exchange gains little.
    for _ in range(min(20 * count, 20_000) if len(target) > 1 else 0):
        # Mostly exchanges: they improve classes and sizes at equal numbers of groups, which a move upsets.
        a, b, move = int(draws.integers(count)), int(draws.integers(count)), draws.random() < 0.3
        source = chosen[a]
        sink = int(draws.integers(len(target))) if move else chosen[b]
        if source == sink or (move and (chosen == source).sum() == 1):
            continue
        shift = profiles[a] - (0.0 if move else profiles[b])
        now = cost(source, total[source]) + cost(sink, total[sink])
        then = cost(source, total[source] - shift) + cost(sink, total[sink] + shift)
        # Gains of rounding alone could exchange two groups back and forth.
        if then < now - 1e-12:
            total[source] -= shift
            total[sink] += shift
            chosen[a] = sink
            if not move:
                chosen[b] = source


def read_split(path: Path, table: pd.DataFrame) -> list[str]:
    """The split that a file prescribes, one name a slice.

    Args:
        path: a CSV with a column ``split`` and one of ``group``, ``patient``, ``case`` or ``source``; an nnU-Net
            ``splits_final.json`` (first fold; names in neither list become the test part); or another cohort.
        table: slices with the columns group, patient, case, source.

    Raises:
        InputError: a file of another form, or slices that it does not name.
        LeakError: the file puts one group on two sides.
    """
    column, mapping, default = _prescription(path)
    given = [mapping.get(str(key), default) for key in table[column]]
    lost = [str(key) for key, split in zip(table[column], given, strict=True) if split is None]
    if lost:
        came = f"no line for {len(set(lost))} of them, for example {column} {lost[0]!r}"
        raise InputError(f"a split for every {column}", came, f"complete {path.name}")
    splits = [str(split) for split in given]
    unknown = sorted(set(splits) - set(SPLITS))
    if unknown:
        raise InputError("splits named train, validation, test", f"{unknown[0]!r} in {path.name}", "rename it")
    sides = {
        group: set(part) for group, part in _by_group(table["group"].tolist(), splits).items() if len(set(part)) > 1
    }
    if sides:
        group, where = next(iter(sides.items()))
        members = sorted({str(case) for case, g in zip(table["case"], table["group"], strict=True) if g == group})
        came = f"{len(sides)} on two sides; {group} ({', '.join(members[:4])}) in {' and '.join(sorted(where))}"
        raise LeakError("every group in one split", came, f"put them on one side in {path.name}")
    return splits


Group = TypeVar("Group", bound=Hashable)


def _by_group(groups: Sequence[Group], splits: Sequence[str]) -> dict[Group, list[str]]:
    found: dict[Group, list[str]] = {}
    for group, split in zip(groups, splits, strict=True):
        found.setdefault(group, []).append(split)
    return found


def _prescription(path: Path) -> tuple[str, dict[str, str], str | None]:
    """Column that a split file speaks of, its mapping, and the split of what it does not name (None: an error)."""
    import pandas as pd

    file = path / "slices.csv" if path.is_dir() else path
    try:
        if file.suffix == ".json":
            fold = json.loads(file.read_text(encoding="utf-8"))[0]
            sides = (("train", "train"), ("val", "validation"))
            return "case", _one_split([(str(name), split) for key, split in sides for name in fold[key]], file), "test"
        table = pd.read_csv(file, dtype=str, keep_default_na=False).map(content_of_cell)
        column = next(name for name in ("source", "case", "patient", "group") if name in table)
        if path.is_dir():  # another cohort: its cases are what both have in common
            column = "case"
        return column, _one_split(list(zip(table[column], table["split"], strict=True)), file), None
    except (OSError, ValueError, KeyError, IndexError, TypeError, StopIteration, AttributeError, RecursionError):
        form = (
            "a CSV with a column split and one of group, patient, case, source; an nnU-Net splits_final.json; a cohort"
        )
        raise InputError(form, str(path), "see docs/cohort.md for an example") from None


def _one_split(said: Sequence[tuple[str, str]], file: Path) -> dict[str, str]:
    """The split of each name; LeakError where a file says two of one."""
    found: dict[str, str] = {}
    for name, split in said:
        if found.setdefault(name, split) != split:
            raise LeakError("one split for each name", f"{name} in {found[name]} and {split}", f"correct {file.name}")
    return found


def write_nnunet_splits(path: Path, table: pd.DataFrame) -> None:
    """nnU-Net's ``splits_final.json``: one {"train", "val"} pair of case lists a fold; test groups stand in none.

    Without folds there is one pair, made of the train and validation parts.
    """
    # Test cases stand in no list: nnU-Net trains on all that it is given in one fold or another.
    cases = table[table["split"] != "test"].drop_duplicates("case")
    if "fold" in cases:
        folds = [
            {"train": _names(cases[cases["fold"] != fold]), "val": _names(cases[cases["fold"] == fold])}
            for fold in sorted(cases["fold"].unique())
        ]
    else:
        folds = [{"train": _names(cases[cases["split"] == "train"]), "val": _names(cases[cases["split"] != "train"])}]
    write_json(path, folds)


def _names(cases: pd.DataFrame) -> list[str]:
    return sorted(str(name) for name in cases["case"])


def check_disjoint(table: pd.DataFrame) -> None:
    """Raise LeakError if a group, or a patient, of ``table`` stands in more than one split or fold."""
    for key in ("group", "patient"):
        for part in ("split", "fold"):
            if key not in table or part not in table:
                continue
            known = table[table[key].astype(str) != ""]
            sides = known.groupby(key)[part].nunique()
            if (sides > 1).any():
                name = sides.index[sides > 1][0]
                todo = "repair slices.csv, or prepare the cohort again"
                raise LeakError(f"every {key} in one {part}", f"{key} {name!r} in {sides[name]}", todo)
