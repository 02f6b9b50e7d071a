"""The page of capabilities is true: 72 rows, commands that exist, and those with a tick run."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import synthoma
from synthoma.commands.app import command_of
from tests.test_cli import run
from tests.toys import blobs, write_cohort

PAGE = Path(__file__).parents[1] / "docs" / "capabilities.md"
BUDGET = {"train": ("--images", "32"), "generate": ("--force",)}
"""What is added to a command so that it takes seconds, where it does not say so itself."""


@dataclass(frozen=True)
class Row:
    """One promise."""

    number: int
    what: str
    state: str
    words: tuple[str, ...]
    ticked: bool


def rows() -> list[Row]:
    """The rows of the page."""
    found = re.findall(
        r"^\| (\d+) \| ([^|]+) \| ([^|]+) \| (?:`([^`]*)`)? *\| (✓?) *\|", PAGE.read_text(encoding="utf-8"), flags=re.M
    )
    return [Row(int(n), what, state, tuple(shlex.split(text)), bool(tick)) for n, what, state, text, tick in found]


def test_there_are_72_rows_and_most_are_whole() -> None:
    table = rows()
    assert [row.number for row in table] == list(range(1, 73))
    assert {row.state for row in table} <= {"whole", "in part"}
    assert sum(row.state == "whole" for row in table) >= 70
    assert all(row.words or row.state != "whole" or row.number == 72 for row in table)


@pytest.mark.parametrize("row", [row for row in rows() if row.words], ids=lambda row: str(row.number))
def test_its_command_and_options_exist(row: Row) -> None:
    assert row.words[0] == "synthoma"
    known = {option for one in command_of(row.words[1]).params for option in (*one.opts, *one.secondary_opts)}
    assert {word for word in row.words[2:] if re.match(r"--?[a-z]", word)} <= known


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the page's commands name: a folder of pictures, a cohort with masks, a generator and a classifier."""
    place = tmp_path_factory.mktemp("world")
    draws = np.random.default_rng(8)
    for number in range(24):
        folder = place / "scans" / ("yes", "no")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        values = np.kron(draws.integers(40, 255, (12, 12)), np.ones((6, 6))).astype(np.uint8)
        values[:6] = values[-6:] = 0
        Image.fromarray(values).save(folder / f"{number}.png")
    (place / "pictures").symlink_to(place / "scans" / "yes")
    images, masks = blobs(120, size=32)
    masks[::3] = 0
    labels = ["healthy" if number % 3 == 0 else "tumour" for number in range(120)]
    groups = [f"patient-{number // 6:02d}" for number in range(120)]
    splits = ["train"] * 60 + ["validation"] * 30 + ["test"] * 30
    write_cohort(
        place / "cohort", images, labels, masks, splits=splits, groups=groups, origin="real", mask_names={1: "tumour"}
    )
    synthoma.train(place / "cohort", place / "run", model="dcgan", images=64, snapshots=2, conditional=True)
    synthoma.train(place / "cohort", place / "classifier", model="cnn", images=64, snapshots=2)
    synthoma.generate(place / "run", place / "synthetic", 40)
    return place


@pytest.mark.heavy
@pytest.mark.parametrize("row", [row for row in rows() if row.ticked], ids=lambda row: str(row.number))
def test_ticked_commands_run(
    row: Row, world: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = list(row.words[1:])
    for place, word in enumerate(words):  # outputs apart from what is read
        if words[place - 1] == "-o":
            words[place] = str(tmp_path / word)
    if words[0] == "train" and not {"--images", "--minutes", "--epochs", "--summary"} & set(words):
        words += ["--images", "32", "--snapshots", "2"]
    if words[0] == "evaluate" and "--model" not in words:
        words += ["--set", "halves=19", "--set", "canaries=20", "--set", "jobs=1"]
    monkeypatch.chdir(world)
    code, out, err = run(monkeypatch, capsys, *words)
    assert code == 0, err
    assert out.strip()
