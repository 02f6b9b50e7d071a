"""A generator of another tool, tested by the commands of docs/evaluate.md: the verdict is that of the same images."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest

import synthoma
from synthoma import Cohort
from synthoma.commands.app import main
from synthoma.evaluation.result import Evaluation, read_evaluation
from tests.toys import blobs, train_toy, write_cohort

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs" / "evaluate.md"
SIZE = 16
QUICK = ["--preset", "quick", "--set", "halves=20", "--set", "canaries=20"]


def real(folder: Path) -> Cohort:
    images, masks = blobs(96, 1, SIZE)
    splits = ["train"] * 60 + ["validation"] * 12 + ["test"] * 24
    groups = [f"p{number // 2}" for number in range(96)]
    prepared = {"crop": True, "normalise": "robust", "fitting": "keep", "resampling": "area", "size": SIZE}
    return write_cohort(
        folder, images, masks=masks, splits=splits, groups=groups, origin="real", mask_names={"1": "tumour"},
        provenance={"config": prepared | {"classes": "auto", "slices": "tumour", "plane": "axial"}},
    )  # fmt: skip


def scores(evaluation: Evaluation) -> dict[str, float]:
    """Every score of realism and variety, by family and name."""
    return {
        f"{family}.{name}": score.value
        for family, members in evaluation.fidelity.families.items()
        for name, score in members.items()
        if score.value is not None
    }


@pytest.mark.slow
@pytest.mark.usefixtures("fewer_planted")
def test_images_of_another_tool_get_the_verdict_of_the_same_images_packed_directly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    cohort = real(Path("COHORT"))
    train_toy(cohort, Path("run"), images=600, with_masks=True, snapshots=1)
    drawn = synthoma.generate("run", "direct", 60, seed=4)
    synthoma.export(drawn, "exported", to="png")
    (tmp_path / "SAMPLES").mkdir()
    for path in sorted(Path("exported").rglob("*.png")):  # as another tool leaves them: no table, no name of a sequence
        path.rename(Path("SAMPLES") / path.name.replace("_flair", ""))
    text = PAGE.read_text(encoding="utf-8")
    section = text[text.index("## A generator of your own") :]
    commands = re.findall(r"^    (synthoma .+)$", section, flags=re.M)[:2]
    assert [command.split()[1] for command in commands] == ["prepare", "evaluate"]
    for command in commands:
        monkeypatch.setattr(sys, "argv", [*shlex.split(command), *(QUICK if "evaluate" in command else [])])
        with pytest.raises(SystemExit, match="0"):
            main()
    assert "taken as they are" in capsys.readouterr().out
    theirs = read_evaluation(Path("EVAL"))
    packed = synthoma.evaluate(cohort, drawn, "own", preset="quick", halves=20, canaries=20)
    mine, other = scores(packed), scores(theirs)
    assert len(mine) > 5
    assert set(mine) == set(other)
    for name, value in mine.items():
        assert other[name] == pytest.approx(value, abs=0.02 * max(1.0, abs(value))), name
    assert [light.state for light in theirs.lights] == [light.state for light in packed.lights]
    assert theirs.verdict.word == packed.verdict.word


def test_a_cohort_of_them_holds_the_same_pixels_and_masks(tmp_path: Path) -> None:
    cohort = real(tmp_path / "cohort")
    images, masks = blobs(40, 9, SIZE)
    np.savez(tmp_path / "x.npz", images=images, masks=masks)
    packed = synthoma.prepare(tmp_path / "x.npz", tmp_path / "out", like=cohort)
    direct = Cohort.from_arrays(images, masks, like=cohort)
    np.testing.assert_allclose(packed.images, direct.images, atol=1e-3)
    np.testing.assert_array_equal(packed.masks, direct.masks)
