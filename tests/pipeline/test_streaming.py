"""Trainings that learn from a stream of simulated patients, from its address to the finished model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import synthoma
from synthoma.core.errors import ConfigError, InputError
from synthoma.core.progress import silent
from synthoma.core.provenance import file_digest
from synthoma.pipeline.streaming import lesson
from synthoma.settings import TrainConfig
from synthoma.training.bundle import open_model
from synthoma.training.team import Team

ADDRESS = "phantom://?size=32&modalities=flair&slices=tumour&held_out=1&mixed=2&per_patient=32&phantom.slice_mm=6.0"
SMALL = {"levels": 2, "width": 4, "batch": 8}


def _train(run: Path, address: str = ADDRESS, **told: object) -> None:
    told = {"model": "unet-25d", "segmenter": SMALL, "images": 80, "snapshots": 2, "device": "cpu", **told}
    config = TrainConfig.resolve(flags={name: value for name, value in told.items() if name not in ("resume", "force")})
    resume = bool(told.get("resume"))
    synthoma.train(address, run, config=config, resume=resume, progress=silent)


def test_a_stream_of_what_cannot_learn_from_it_is_refused() -> None:
    for told, words in (
        ({"model": "dcgan"}, r"a generator \(dcgan\)"),
        ({"model": "unet-25d", "limit": 5}, "--limit"),
        ({"model": "unet-25d", "patients": 5}, "--patients"),
        ({"model": "resunet-seed", "recipe": "seed"}, "--recipe seed"),
    ):
        with pytest.raises(ConfigError, match=words), lesson(ADDRESS, TrainConfig.resolve(flags=told), silent):
            pytest.fail("it was opened")


def test_several_processes_are_refused_also_where_a_run_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synthoma.training.team.team", lambda: Team(size=2))
    config = TrainConfig.resolve(flags={"model": "unet-25d"})
    for told in (config, None):
        with pytest.raises(ConfigError, match="2 by torchrun"), lesson(ADDRESS, told, silent):
            pytest.fail("it was opened")


@pytest.mark.heavy
def test_the_same_model_comes_of_any_number_of_processes_and_no_process_is_left(tmp_path: Path) -> None:
    for jobs in (1, 2):
        _train(tmp_path / f"run{jobs}", f"{ADDRESS}&jobs={jobs}")
    digests = {file_digest(tmp_path / f"run{jobs}" / "model.safetensors") for jobs in (1, 2)}
    assert len(digests) == 1
    provenance = open_model(tmp_path / "run1").meta.provenance
    address = json.loads((tmp_path / "run1" / "run.json").read_text())["stream"]
    assert provenance.stream == address
    assert "per_patient=32" in address
    assert provenance.cohort.origin == "phantom"
    assert provenance.streamed == 72 // 32 + 2
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    assert not [child for child in children if "LokyProcess" in Path(f"/proc/{child}/cmdline").read_text()]
    with pytest.raises(InputError, match="what the run was begun on, the stream"):
        _train(tmp_path / "run1", ADDRESS.replace("mixed=2", "mixed=5"), resume=True)


@pytest.mark.heavy
def test_a_command_that_is_killed_leaves_no_process_and_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    _train(whole, images=320, snapshots=4)
    words = ["train", ADDRESS, "-o", str(killed), "--model", "unet-25d", "--images", "320", "--snapshots", "4"]
    words += ["--device", "cpu", *(f"--set=segmenter.{name}={value}" for name, value in SMALL.items())]
    command = subprocess.Popen(
        [sys.executable, "-m", "synthoma", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 300
    while not list(killed.glob("checkpoint/*")) and time.monotonic() < deadline and command.poll() is None:
        time.sleep(0.05)
    workers = Path(f"/proc/{command.pid}/task/{command.pid}/children").read_text().split()
    os.kill(command.pid, signal.SIGKILL)
    command.wait()
    while [one for one in workers if Path(f"/proc/{one}").exists()] and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [one for one in workers if Path(f"/proc/{one}").exists()], "they notice"
    assert not (killed / "model.safetensors").exists()
    synthoma.train(ADDRESS, killed, resume=True, progress=silent)
    assert file_digest(whole / "model.safetensors") == file_digest(killed / "model.safetensors")
