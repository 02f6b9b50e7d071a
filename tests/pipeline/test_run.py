"""A run in Python: what it was trained with, how it went, and what it draws."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import synthoma
from synthoma import Cohort, Run
from synthoma.core.errors import InputError
from tests.toys import blobs

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A GAN that has seen 64 images, scored twice."""
    place = tmp_path_factory.mktemp("run")
    images, masks = blobs(48, size=16)
    cohort = Cohort.from_arrays(images, masks, [f"p{row // 4}" for row in range(48)], output=place / "cohort")
    return synthoma.train(cohort, place / "run", model="dcgan", images=64, snapshots=2, gan={"width": 4, "batch": 8})


@pytest.mark.slow
def test_a_run_says_what_it_is(run: Run) -> None:
    assert run.finished
    assert run.model == "dcgan"
    assert run.settings.gan.width == 4
    assert run.settings.images == 64
    assert run.settings.origins()["gan.width"] == "given"
    assert run.meta.kind == "generator"
    assert Run(run).path == run.path
    assert "finished" in repr(run)


def test_its_log_is_a_table(run: Run) -> None:
    log = run.log
    assert list(log["images"].dropna().astype(int))[-1] == 64
    assert log["score"].notna().sum() == 2
    assert {"step", "d_loss", "g_loss"} <= set(log)
    figure = run.plot()
    assert [axis.get_xlabel() for axis in figure.axes] == ["images shown"] * 2
    [line] = figure.axes[1].lines
    np.testing.assert_array_equal(line.get_ydata(), log["score"].dropna())


def test_samples_are_those_of_the_model_that_is_kept(run: Run) -> None:
    from PIL import Image

    with Image.open(run.path / "samples" / f"images-{run.meta.images:09d}.png") as kept:
        np.testing.assert_array_equal(np.asarray(run.samples()), np.asarray(kept.convert("RGB")))
    assert "<img" in run._repr_html_()


def test_an_unfinished_run_says_so(run: Run, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    begun.mkdir()
    for name in ("run.json", "config.toml"):
        (begun / name).write_bytes((run.path / name).read_bytes())
    opened = Run(begun)
    assert not opened.finished
    assert opened.log.empty
    assert "resume=True" in opened._repr_html_()
    with pytest.raises(InputError, match="sheet of samples"):
        opened.samples()
    with pytest.raises(InputError, match="a log with entries"):
        opened.plot()


def test_a_folder_that_is_no_run_is_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected the folder of a run"):
        Run(tmp_path)
