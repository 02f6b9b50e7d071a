from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from synthoma.cohorts.cohort import Cohort, CohortWriter, check_scale
from synthoma.core.errors import CohortError, ConfigError
from synthoma.core.whole_files import write_json
from tests.toys import write_cohort as by_hand


def write_cohort(folder: Path, count: int = 5, size: int = 16, channels: int = 2) -> Cohort:
    """A small cohort whose pixel values tell the slice and the channel."""
    folder.mkdir(parents=True, exist_ok=True)
    images = np.zeros((count, channels, size, size), np.float16)
    images += np.arange(count, dtype=np.float16)[:, None, None, None] + np.arange(channels)[None, :, None, None] / 4
    masks = np.zeros((count, size, size), np.uint8)
    masks[::2, :3, :3] = 1
    records = [{"case": f"c{i}", "group": f"c{i}", "split": "train", "label": "007"} for i in range(count)]
    with CohortWriter(folder, channels=channels, size=size) as writer:
        writer.add(images[:2], masks[:2], records[:2])
        writer.add(images[2:], masks[2:], records[2:])
        meta = {
            "origin": "real",
            "modalities": ["t1", "flair"][:channels],
            "labels": {"1": "tumour"},
            "classes": ["007"],
        }
        writer.finish(pd.DataFrame(writer.records), {**meta, "size": size})
    return Cohort(folder)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    cohort = write_cohort(tmp_path / "c")
    assert (len(cohort), cohort.modalities, cohort.labels, cohort.size) == (5, ("t1", "flair"), {1: "tumour"}, 16)
    assert cohort.images[3, 1, 0, 0] == 3.25
    assert cohort.slices["tumour_pixels"].tolist() == [9, 0, 9, 0, 9]
    assert cohort.slices["label"].tolist() == ["007"] * 5  # text stays text
    np.testing.assert_array_equal(np.load(tmp_path / "c" / "masks.npy"), cohort.masks)


def test_batches_cover_everything_once(tmp_path: Path) -> None:
    cohort = write_cohort(tmp_path / "c")
    parts = list(cohort.batches(2))
    assert [part.stop for part, _, _ in parts] == [2, 4, 5]
    np.testing.assert_array_equal(np.concatenate([images for _, images, _ in parts]), cohort.images)


def test_original_undoes_the_normalisation(tmp_path: Path) -> None:
    write_cohort(tmp_path / "c")
    path = tmp_path / "c" / "slices.csv"
    table = pd.read_csv(path)
    table["offset_flair"], table["scale_flair"] = 10.0, 200.0
    table.to_csv(path, index=False)
    assert Cohort(tmp_path / "c").original(1)[:, 0, 0].tolist() == [1.0, 260.0]


def test_a_cohort_made_by_hand_opens(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", np.zeros((2, 1, 8, 8), np.float16))
    np.save(tmp_path / "masks.npy", np.ones((2, 8, 8), np.uint8))
    (tmp_path / "slices.csv").write_text("case,group,split,label\na,a,train,x\nb,b,test,x\n")
    meta = {"schema": "synthoma.cohort/1", "slices": 2, "origin": "synthetic", "modalities": ["image"]}
    write_json(tmp_path / "cohort.json", {**meta, "labels": {"1": "tumour"}, "classes": ["x"], "size": 8})
    cohort = Cohort(tmp_path)
    assert cohort.rows(split="test").tolist() == [1]
    assert cohort.slices["tumour_pixels"].tolist() == [64, 64]


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda folder: (folder / "cohort.json").unlink(), "a folder with cohort.json"),
        (lambda folder: (folder / "cohort.json").write_text("{"), "readable cohort.json"),
        (lambda folder: (folder / "cohort.json").write_text('{"schema": "synthoma.cohort/9"}'), "synthoma.cohort/9"),
        (lambda folder: (folder / "cohort.json").write_text('{"schema": "synthoma.cohort/1"}'), "no slices, origin"),
        (lambda folder: (folder / "images.npy").write_bytes(b""), "images.npy"),
        (lambda folder: np.save(folder / "images.npy", np.zeros((5, 2, 16, 16), np.float32)), "float16"),
        (lambda folder: np.save(folder / "masks.npy", np.zeros((4, 16, 16), np.uint8)), "that agree"),
        (lambda folder: (folder / "masks.npy").unlink(), "masks.npy"),
    ],
)
def test_damage_is_named(tmp_path: Path, damage: object, complaint: str) -> None:
    write_cohort(tmp_path / "c")
    damage(tmp_path / "c")  # type: ignore[operator]
    with pytest.raises(CohortError, match=complaint):
        Cohort(tmp_path / "c")


def test_a_table_of_other_length_is_named(tmp_path: Path) -> None:
    cohort = write_cohort(tmp_path / "c")
    table = cohort.slices.head(3)
    table.to_csv(tmp_path / "c" / "slices.csv", index=False)
    with pytest.raises(CohortError, match="3 rows for 5 slices"):
        _ = Cohort(tmp_path / "c").slices


def test_pickled_arrays_are_refused(tmp_path: Path) -> None:
    write_cohort(tmp_path / "c")
    np.save(tmp_path / "c" / "images.npy", np.array([{"evil": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(CohortError, match=r"images\.npy"):
        Cohort(tmp_path / "c")


@pytest.mark.slow
def test_walking_through_needs_memory_for_one_batch_only(tmp_path: Path) -> None:
    """96 MB of slices, walked in a process that may keep 40 MB more resident than when it began."""
    count, size = 12_000, 64
    with CohortWriter(tmp_path, channels=1, size=size) as writer:
        for start in range(0, count, 2000):
            records = [
                {"case": f"{i}", "group": f"{i}", "split": "train", "label": "x"} for i in range(start, start + 2000)
            ]
            writer.add(np.ones((2000, 1, size, size), np.float16), np.ones((2000, size, size), np.uint8), records)
        meta = {"origin": "phantom", "modalities": ["flair"], "labels": {}, "classes": ["x"], "size": size}
        writer.finish(pd.DataFrame(writer.records), meta)
    script = (
        "import re, sys; from synthoma.cohorts.cohort import Cohort\n"
        # Not ru_maxrss: across fork and exec it remembers the parent's peak.
        "peak = lambda: int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])\n"
        "cohort = Cohort(sys.argv[1]); before = peak()\n"
        "total = sum(float(images.sum()) for _, images, _ in cohort.batches(500))\n"
        "print(total, peak() - before)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True)
    total, grown = done.stdout.split()
    assert float(total) == count * size * size
    assert int(grown) < 40_000


def test_json_is_plain(tmp_path: Path) -> None:
    write_cohort(tmp_path / "c")
    assert json.loads((tmp_path / "c" / "cohort.json").read_text())["schema"] == "synthoma.cohort/1"


@pytest.mark.parametrize(("scale", "offset", "came"), [
    (1.0, -0.5, "from -0.5 to"), (6.0, -3.0, "% of it clearly below 0"), (255.0, 0.0, "to 25"), (900.0, -1.0, "to 89"),
])  # fmt: skip
def test_grey_values_of_a_cohort_made_by_hand_are_looked_at(
    tmp_path: Path, scale: float, offset: float, came: str
) -> None:
    """It names no normalisation: values with mean 0, of a picture or of a scanner would be cut at 0 and 1."""
    images = np.random.default_rng(0).random((40, 24, 24))
    images[:, :4] = 0
    check_scale(by_hand(tmp_path / "fine", images))
    check_scale(by_hand(tmp_path / "bright", images * np.where(images > 0.98, 3, 1) - 0.02))
    other = by_hand(tmp_path / "other", images * scale + offset)
    with pytest.raises(ConfigError, match=re.escape(came)):
        check_scale(other)


@pytest.mark.parametrize("size", [64, 10**400])
def test_a_size_that_is_not_the_arrays_is_refused(tmp_path: Path, size: int) -> None:
    cohort = by_hand(tmp_path / "c", np.zeros((4, 32, 32)))
    described = json.loads((cohort.path / "cohort.json").read_text())
    (cohort.path / "cohort.json").write_text(json.dumps({**described, "size": size}))
    with pytest.raises(CohortError, match=r"agree|size"):
        Cohort(cohort.path)


def test_patients_may_be_numbered(tmp_path: Path) -> None:
    seen = {"trained_on": {"groups": [0, 1, 2]}}
    cohort = by_hand(tmp_path / "c", np.zeros((4, 32, 32)), origin="synthetic", provenance=seen)
    trained_on = cohort.meta.provenance.trained_on
    assert trained_on is not None
    assert trained_on.groups == ("0", "1", "2")
