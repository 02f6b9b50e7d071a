"""A tracker gets what the log of a run says, once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import synthoma
from synthoma.core.errors import ConfigError
from synthoma.training import tracking
from synthoma.training.tracking import Follower
from tests.toys import blobs


class Kept:
    """A tracker that keeps everything in lists."""

    def __init__(self) -> None:
        self.figures: list[tuple[str, float, int]] = []
        self.pictures: list[tuple[str, int]] = []
        self.closed = False

    def figure(self, name: str, value: float, images: int) -> None:
        self.figures.append((name, value, images))

    def picture(self, path: Path, images: int) -> None:
        self.pictures.append((path.name, images))

    def close(self) -> None:
        self.closed = True


def test_lines_are_sent_whole_and_once(tmp_path: Path) -> None:
    kept = Kept()
    follower = Follower(tmp_path, kept)
    follower.look()
    log = tmp_path / "log.jsonl"
    log.write_text('{"step": 1, "images": 8, "d_loss": 0.5}\n{"step": 2, "images": 16, "d_l')
    follower.look()
    follower.look()
    assert kept.figures == [("d_loss", 0.5, 8)]
    with log.open("a") as file:
        file.write('oss": null, "score": 2.0}\n{"step": 2, "warning": "no"}\n')
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "images-000000016.png").touch()
    follower.look()
    assert kept.figures[1:] == [("score", 2.0, 16)]
    assert kept.pictures == [("images-000000016.png", 16)]
    (tmp_path / "samples" / "row-000000016.png").touch()  # cut from the sheet
    follower.look()
    assert len(kept.pictures) == 1


def test_the_rows_of_a_detector_are_its_pictures(tmp_path: Path) -> None:
    kept = Kept()
    follower = Follower(tmp_path, kept)
    (tmp_path / "log.jsonl").write_text('{"step": 1, "images": 8, "loss": 0.5}\n')
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "row-000000008.png").touch()
    follower.look()
    assert kept.pictures == [("row-000000008.png", 8)]


@pytest.mark.slow
def test_a_training_is_followed_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Kept()
    monkeypatch.setattr(tracking, "_TensorBoard", lambda run: kept)
    monkeypatch.setattr(tracking, "find_spec", lambda name: True)
    images, masks = blobs(24, size=16)
    cohort = synthoma.Cohort.from_arrays(images, masks)
    settings = {"model": "dcgan", "images": 32, "snapshots": 2, "gan": {"width": 4, "batch": 8}}
    run = synthoma.train(cohort, tmp_path / "run", track="tensorboard", **settings)
    logged = run.log
    scores = [(value, seen) for name, value, seen in kept.figures if name == "score"]
    assert scores == list(zip(logged["score"].dropna(), logged["images"][logged["score"].notna()], strict=True))
    assert [seen for _, seen in kept.pictures] == [16, 32]
    assert kept.closed
    plain = synthoma.train(cohort, tmp_path / "plain", **settings)
    same = [place.joinpath("model.safetensors").read_bytes() for place in (run.path, plain.path)]
    assert same[0] == same[1]  # being followed changes nothing


def test_what_is_not_installed_is_said_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pip install mlflow-skinny"):
        synthoma.train(tmp_path / "none", tmp_path / "run", track="mlflow")
    assert not (tmp_path / "run").exists()


def test_tensorboard_reads_it(tmp_path: Path) -> None:
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="TensorBoard is not installed"
    )
    images, masks = blobs(24, size=16)
    cohort = synthoma.Cohort.from_arrays(images, masks)
    run = synthoma.train(
        cohort,
        tmp_path / "run",
        model="dcgan",
        images=32,
        snapshots=2,
        gan={"width": 4, "batch": 8},
        track="tensorboard",
    )
    events = accumulator.EventAccumulator(str(run.path / "tensorboard"))
    events.Reload()
    scored = events.Scalars("score")
    np.testing.assert_allclose([one.value for one in scored], run.log["score"].dropna(), rtol=1e-5)
    assert [one.step for one in events.Images("samples")] == [16, 32]


def test_mlflow_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow", reason="MLflow is not installed")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'kept.db'}")
    monkeypatch.chdir(tmp_path)
    images, masks = blobs(24, size=16)
    cohort = synthoma.Cohort.from_arrays(images, masks)
    settings = {"model": "dcgan", "images": 32, "snapshots": 2, "gan": {"width": 4, "batch": 8}}
    run = synthoma.train(cohort, tmp_path / "run", track="mlflow", **settings)
    [found] = mlflow.search_runs(output_format="list", search_all_experiments=True)
    assert found.data.metrics["score"] == pytest.approx(run.log["score"].dropna().iloc[-1], rel=1e-5)
