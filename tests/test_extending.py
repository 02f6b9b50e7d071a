"""The page about extending is true: what it shows is installed as a package, and does what it says."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path

import numpy as np
import pytest

from synthoma.cohorts.cohort import Cohort, write_rows
from tests.forking import typed

pytestmark = pytest.mark.heavy

PAGE = Path(__file__).parents[1] / "docs" / "extending.md"


def blocks() -> dict[str, str]:
    """Code blocks of the page by the file names in their first lines."""
    found = re.findall(r"```\w+\n# (\S+)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return dict(found)


def install(place: Path, files: dict[str, str]) -> None:
    """What pip would put there: modules, and the entry points of pyproject.toml as its metadata."""
    about = tomllib.loads(files["pyproject.toml"])["project"]
    for name, text in files.items():
        if name.endswith(".py"):
            (place / name).write_text(text)
    folder = place / f"{about['name'].replace('-', '_')}-{about['version']}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {about['name']}\nVersion: {about['version']}\n")
    lines = []
    for group, points in about["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in points.items())]
    (folder / "entry_points.txt").write_text("\n".join(lines) + "\n")


def synthoma(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The command line with the package of ``place`` installed."""
    return typed(*words, place=place, packages=place)


def new(folder: Path) -> Path:
    folder.mkdir()
    return folder


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """It stopped with one line that holds these words."""
    assert done.returncode == 2, done.stderr
    assert [word for word in words if word not in " ".join(done.stderr.split())] == [], done.stderr


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("plugged")
    install(place, blocks())
    return place


@pytest.fixture(scope="module")
def cohort(place: Path) -> Path:
    """Twelve patients in the archives that the page's layout reads: heads with a bright square on the left."""
    (place / "scans").mkdir()
    draws = np.random.default_rng(0)
    for number in range(12):
        flair = np.zeros((6, 48, 48), np.float32)
        flair[:, 4:44, 8:40] = draws.uniform(0.35, 0.5, (6, 40, 32))
        mask = np.zeros(flair.shape, np.uint8)
        mask[:, 18:30, 12:20] = 1
        flair[mask > 0] = 1
        np.savez(place / "scans" / f"patient-{number}.npz", flair=flair, mask=mask)
    (place / "scans" / "broken.npz").write_bytes(b"PK nothing")
    done = synthoma(place, "prepare", "scans", "-o", "cohort", "--size", "32", "--no-duplicates")
    assert done.returncode == 0, done.stderr
    return place / "cohort"


def test_a_plugged_in_layout_is_recognised_and_one_bad_file_stops_nothing(place: Path, cohort: Path) -> None:
    made = Cohort(cohort)
    assert made.meta.layout == "archives"
    assert made.slices["patient"].nunique() == 12
    assert made.slices["tumour_pixels"].min() > 0
    assert "broken.npz" in (cohort / "skipped.csv").read_text()
    refused(synthoma(place, "prepare", "scans", "-o", "no", "--layout", "archive"), "archives")


def test_a_plugged_in_generator_learns_and_draws(place: Path, cohort: Path) -> None:
    assert "pixel-normal" in synthoma(place, "train", "--list").stdout
    done = synthoma(place, "train", "cohort", "-o", "run", "--model", "pixel-normal", "--images", "2400",
                    "--snapshots", "2")  # fmt: skip
    assert done.returncode == 0, done.stderr
    done = synthoma(place, "generate", "run", "-n", "24", "-o", "drawn", "--seed", "3")
    assert done.returncode == 0, done.stderr
    real, drawn = Cohort(cohort), Cohort(place / "drawn")
    rows = real.rows(split="train")
    # It has learned the mean slice: far nearer to it than to its mirror image.
    images = (real.images[rows], drawn.images[:])
    mean, learned = (np.asarray(part, np.float64).mean(axis=(0, 1)) for part in images)
    assert np.abs(learned - mean).mean() < 0.2 * np.abs(learned - mean[:, ::-1]).mean()
    told = synthoma(place, "info", "run")
    assert "pixel-normal" in told.stdout
    refused(synthoma(place, "train", "cohort", "-o", "other", "--model", "pixel-norm"), "pixel-normal")


def test_a_plugged_in_score_stands_beside_its_null(place: Path, cohort: Path) -> None:
    table = Cohort(cohort).slices
    assert (table["split"] != "train").sum() >= 20  # enough to compare
    write_rows(Cohort(cohort), new(place / "copy"), range(len(table)))
    described = json.loads((place / "copy" / "cohort.json").read_text())
    (place / "copy" / "cohort.json").write_text(json.dumps({**described, "origin": "synthetic", "provenance": {}}))
    done = synthoma(place, "evaluate", "cohort", "copy", "-o", "judged", "--set", "halves=9")
    assert done.returncode == 0, done.stderr
    entry = json.loads((place / "judged" / "evaluation.json").read_text())["fidelity"]["own"]["mean-brightness"]
    assert 0 <= entry["value"] < 0.05
    assert "mean-brightness" in (place / "judged" / "report.html").read_text()


def test_what_fails_while_it_is_used_is_named(place: Path, cohort: Path, tmp_path: Path) -> None:
    broken = {name: text for name, text in blocks().items() if name != "pixel_normal.py"}
    broken["mean_brightness.py"] = broken["mean_brightness.py"].replace("return abs", "return None and abs")
    broken["archives.py"] = broken["archives.py"].replace("return any(", "return 1 / 0 or any(")
    install(tmp_path, broken)
    judged = synthoma(tmp_path, "evaluate", str(cohort), str(place / "copy"), "-o", "judged", "--set", "halves=9")
    refused(judged, "mean-brightness")
    refused(synthoma(tmp_path, "prepare", str(place / "scans"), "-o", "no"), "'archives'", "ZeroDivisionError")
    broken["pixel_normal.py"] = blocks()["pixel_normal.py"].replace("loss.backward()", "loss.forward()")
    (tmp_path / "pixel_normal.py").write_text(broken["pixel_normal.py"])
    trained = synthoma(tmp_path, "train", str(cohort), "-o", "run", "--model", "pixel-normal", "--images", "64")
    refused(trained, "'pixel-normal'", "AttributeError")
    # The model needs the package that brought its networks.
    (tmp_path / "bare").mkdir()
    refused(synthoma(tmp_path / "bare", "generate", str(place / "run"), "-n", "2", "-o", "no"), "install the package")


def test_two_of_one_name_are_named(tmp_path: Path) -> None:
    install(tmp_path, blocks())
    other = blocks()["pyproject.toml"].replace('name = "pixel-normal"', 'name = "another"')
    install(tmp_path, {"pyproject.toml": other.replace("pixel_normal:FAMILY", "pixel_normal:OTHER")})
    refused(synthoma(tmp_path, "train", "--list"), "pixel_normal:FAMILY", "pixel_normal:OTHER")


def test_what_cannot_be_loaded_is_named(tmp_path: Path) -> None:
    files = {"pyproject.toml": blocks()["pyproject.toml"], "pixel_normal.py": "raise OSError('no library')"}
    install(tmp_path, files)
    refused(synthoma(tmp_path, "train", "--list"), "'pixel-normal'", "no library")
    assert synthoma(tmp_path, "train", "--help").returncode == 0  # what needs no plug-in goes on
    (tmp_path / "pixel_normal.py").write_text("FAMILY = 3\n")
    refused(synthoma(tmp_path, "train", "--list"), "GeneratorFamily")
