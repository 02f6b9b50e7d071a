from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthoma.cohorts.splits import (
    assign_groups,
    check_disjoint,
    group_profiles,
    join_groups,
    read_split,
    write_nnunet_splits,
)
from synthoma.core.errors import ConfigError, InputError, LeakError


def cohort_table(patients: int, seed: int = 0) -> pd.DataFrame:
    """Slices of patients that differ in length, share of tumour and tumour size."""
    rng = np.random.default_rng(seed)
    rows = []
    for patient in range(patients):
        scale = rng.lognormal(4, 1)
        for _ in range(int(rng.integers(10, 60))):
            ill = rng.random() < 0.35
            area = int(scale * rng.random()) + 1 if ill else 0
            name = f"p{patient}"
            rows.append((name, name, name, "tumour" if ill else "healthy", area, f"{name}-{len(rows)}"))
    return pd.DataFrame(rows, columns=["group", "patient", "case", "label", "tumour_pixels", "source"])


def test_joined_keys_make_one_group() -> None:
    patient = ["a", "a", None, "b", "", "c"]
    twins = [None, "x", "x", "y", "y", None]
    assert join_groups(patient, twins).tolist() == [0, 0, 0, 3, 3, 5]


@pytest.mark.slow
@given(st.lists(st.tuples(st.sampled_from(["", "a", "b", "c"]), st.sampled_from(["", "x", "y", "z"])), max_size=12))
def test_groups_are_connected_components(keys: list[tuple[str, str]]) -> None:
    import networkx as nx

    graph = nx.Graph()
    graph.add_nodes_from(range(len(keys)))
    for i, first in enumerate(keys):
        for j, second in enumerate(keys[:i]):
            if any(a and a == b for a, b in zip(first, second, strict=True)):
                graph.add_edge(i, j)
    expected = {frozenset(part) for part in nx.connected_components(graph)}
    groups = join_groups([a for a, _ in keys], [b for _, b in keys]) if keys else np.array([])
    assert {frozenset(np.flatnonzero(groups == group).tolist()) for group in set(groups.tolist())} == expected


@pytest.mark.parametrize("seed", range(5))
def test_parts_are_disjoint_and_balanced(seed: int) -> None:
    table = cohort_table(40, seed)
    names, profiles = group_profiles(table)
    parts = assign_groups(profiles, (0.7, 0.15, 0.15), seed=seed)
    table["part"] = table["group"].map(dict(zip(names, parts, strict=True)))
    assert (table.groupby("group")["part"].nunique() == 1).all()
    share = table["part"].value_counts(normalize=True)
    assert abs(share[0] - 0.7) < 0.04
    ill = (table["label"] == "tumour").groupby(table["part"]).mean()
    assert (ill - ill.mean()).abs().max() < 0.06
    largest = table.groupby("group").agg(size=("tumour_pixels", "max"), part=("part", "first"))
    thirds = pd.qcut(largest["size"], 3, labels=False)
    for part in range(3):  # every part holds small, middle and large tumours
        assert set(thirds[largest["part"] == part]) == {0, 1, 2}


def test_a_rare_class_reaches_every_part() -> None:
    table = pd.DataFrame({"group": [f"g{i}" for i in range(60)], "label": ["rare"] * 6 + ["common"] * 54})
    table["tumour_pixels"] = 0
    _, profiles = group_profiles(table)
    parts = assign_groups(profiles, (0.5, 0.25, 0.25), seed=3)
    assert np.bincount(parts[:6], minlength=3).tolist() in ([3, 2, 1], [3, 1, 2])
    assert np.bincount(parts, minlength=3)[0] in (29, 30, 31)


def test_same_seed_same_split_other_seed_other_split() -> None:
    _, profiles = group_profiles(cohort_table(30))
    first = assign_groups(profiles, (0.6, 0.2, 0.2), seed=1)
    assert first.tolist() == assign_groups(profiles, (0.6, 0.2, 0.2), seed=1).tolist()
    assert first.tolist() != assign_groups(profiles, (0.6, 0.2, 0.2), seed=2).tolist()


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.lists(st.sampled_from([0.0, 0.1, 0.5, 1.0]), min_size=1, max_size=4), st.integers(0, 9))
def test_parts_with_a_share_are_filled_and_others_stay_empty(groups: int, shares: list[float], seed: int) -> None:
    profiles = np.random.default_rng(seed).random((groups, 3)) + 0.1
    if not sum(shares):
        with pytest.raises(ConfigError):
            assign_groups(profiles, shares, seed=seed)
        return
    counts = np.bincount(assign_groups(profiles, shares, seed=seed), minlength=len(shares))
    assert all(count == 0 for count, share in zip(counts, shares, strict=True) if share == 0)
    wanted = sum(share > 0 for share in shares)
    assert (counts > 0).sum() == min(groups, wanted)


def with_split(table: pd.DataFrame) -> pd.DataFrame:
    number = table["patient"].str[1:].astype(int)
    return table.assign(split=np.where(number < 4, "train", np.where(number < 6, "validation", "test")))


def test_split_round_trip_through_csv_and_nnunet(tmp_path: Path) -> None:
    table = with_split(cohort_table(8))
    table[["patient", "split"]].drop_duplicates().to_csv(tmp_path / "split.csv", index=False)
    assert read_split(tmp_path / "split.csv", table) == table["split"].tolist()
    write_nnunet_splits(tmp_path / "splits_final.json", table)
    content = json.loads((tmp_path / "splits_final.json").read_text())
    assert content == [{"train": ["p0", "p1", "p2", "p3"], "val": ["p4", "p5"]}]
    assert read_split(tmp_path / "splits_final.json", table) == table["split"].tolist()


def test_nnunet_folds_leave_the_test_part_out(tmp_path: Path) -> None:
    table = with_split(cohort_table(8))
    table["fold"] = table["patient"].str[1:].astype(int) % 3
    write_nnunet_splits(tmp_path / "splits_final.json", table)
    folds = json.loads((tmp_path / "splits_final.json").read_text())
    assert len(folds) == 3
    assert sorted(name for fold in folds for name in fold["val"]) == ["p0", "p1", "p2", "p3", "p4", "p5"]
    assert all(not set(fold["train"]) & set(fold["val"]) for fold in folds)


def test_a_prescribed_split_may_not_separate_a_group(tmp_path: Path) -> None:
    table = with_split(cohort_table(8))
    table[["patient", "split"]].drop_duplicates().to_csv(tmp_path / "split.csv", index=False)
    table.loc[table["patient"] == "p7", "group"] = "p0"  # p0 and p7 turned out to be the same person
    with pytest.raises(LeakError, match="p0, p7"):
        read_split(tmp_path / "split.csv", table)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("patient,split\np0,train\n", "no line for 7"),
        ("patient,split\n" + "".join(f"p{i},holdout\n" for i in range(8)), "holdout"),
        ("name,part\np0,train\n", "a column split"),
    ],
)
def test_incomplete_split_files_are_named(tmp_path: Path, content: str, complaint: str) -> None:
    (tmp_path / "split.csv").write_text(content)
    with pytest.raises(InputError, match=complaint):
        read_split(tmp_path / "split.csv", cohort_table(8))


def test_leaks_in_a_table_are_refused() -> None:
    table = with_split(cohort_table(8))
    check_disjoint(table)
    table.loc[table.index[0], "split"] = "test"
    with pytest.raises(LeakError, match="p0"):
        check_disjoint(table)


def test_a_file_that_says_two_splits_of_one_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "split.csv").write_text("patient,split\np0,train\np0,test\np1,validation\n")
    (tmp_path / "splits_final.json").write_text('[{"train": ["a", "b"], "val": ["b"]}]')
    for name, complaint in (("split.csv", "p0 in train and test"), ("splits_final.json", "b in train and validation")):
        with pytest.raises(LeakError, match=complaint):
            read_split(tmp_path / name, cohort_table(8))
