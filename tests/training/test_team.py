"""Several processes that train together do what one does: same weights to rounding, and any number goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from synthoma.core.artefacts import sealed, unsealed
from synthoma.training.team import Team
from tests.clusters import until
from tests.toys import blobs, write_cohort

SETTINGS = ["--model", "unet-25d", "--set", "segmenter.width=4", "--set", "segmenter.levels=3", "--seed", "1"]
SETTINGS += ["--set", "segmenter.batch=8", "--set", "snapshots=4", "--device", "cpu", "--quiet"]


def test_rows_of_all_processes_are_the_batch() -> None:
    for size in (1, 2, 3, 8):
        rows = np.concatenate([np.arange(8)[Team(number, size).rows(8)] for number in range(size)])
        assert rows.tolist() == list(range(8))


def test_one_process_alone_changes_nothing() -> None:
    outputs = torch.ones(3, requires_grad=True)
    assert Team().joined(outputs, 3) is outputs


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    images, masks = blobs(48, size=32)
    splits = ["train"] * 32 + ["validation"] * 16
    place = tmp_path_factory.mktemp("team") / "cohort"
    names = {"1": "tumour"}
    return write_cohort(place, images, None, masks, splits=splits, origin="real", mask_names=names).path


def train(
    cohort: Path, run: Path, processes: int, *more: str, images: int = 160, settings: Sequence[str] = SETTINGS
) -> subprocess.Popen[str]:
    command = ["-m", "synthoma", "train", str(cohort), "-o", str(run)]
    command += [*more] if "--resume" in more else [*settings, "--images", str(images), *more]
    if processes > 1:
        command = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", *command]
    env = {name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE")}
    return subprocess.Popen(
        [sys.executable, *command], env={**env, "OMP_NUM_THREADS": "1"}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def finished(process: subprocess.Popen[str]) -> tuple[str, str]:
    said, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors[-3000:]
    return said, errors


def apart(first: Path, second: Path) -> float:
    """Largest difference of two models' weights, as a share of the largest weight of their tensor."""
    one, other = (load_file(run / "model.safetensors") for run in (first, second))
    assert one.keys() == other.keys()
    shares = [(one[name] - other[name]).abs().max() / one[name].abs().max().clamp(min=1e-6) for name in one]
    return float(torch.stack(shares).max())


def computed_as_by_a_team(cohort: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on one process computes as each of several does: what is fastest for it may round otherwise."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "cache"))
    finished(train(cohort, place / "measured", 1, images=8))
    (kept,) = (place / "cache" / "synthoma" / "calibration").glob("*.json")
    told = unsealed(json.loads(kept.read_text()), kept)
    kept.write_text(json.dumps(sealed({**told, "threads": 1, "channels_last": True, "bf16": False})))


ROUNDING = 1e-3
"""What twenty steps make of the last bit: sums of four rows and of eight round differently, on some processors more.

Other arithmetic (bfloat16 in place of float32) changes some weights by a third.
"""


@pytest.mark.heavy
def test_two_processes_train_what_one_trains_and_either_goes_on(
    cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed_as_by_a_team(cohort, tmp_path, monkeypatch)
    finished(train(cohort, tmp_path / "one", 1))
    said, _ = finished(train(cohort, tmp_path / "two", 2))
    assert said.count("model:") == 1  # one speaks for all
    assert apart(tmp_path / "one", tmp_path / "two") < ROUNDING
    assert not list(tmp_path.glob(".*partial*"))
    # Killed in the middle, and resumed by one.
    stopped = train(cohort, tmp_path / "killed", 2)
    until(lambda: any((tmp_path / "killed").glob("checkpoint/*.safetensors")), 200)
    stopped.kill()
    stopped.communicate()
    time.sleep(1.0)
    finished(train(cohort, tmp_path / "killed", 1, "--resume"))
    assert apart(tmp_path / "one", tmp_path / "killed") < ROUNDING


@pytest.mark.heavy
def test_what_cannot_be_trained_together_is_said(cohort: Path, tmp_path: Path) -> None:
    process = train(cohort, tmp_path / "run", 2, "--model", "dcgan", settings=())
    _, errors = process.communicate(timeout=200)
    assert process.returncode != 0
    assert "expected a segmenter or classifier, for torchrun" in errors
    assert not (tmp_path / "run").exists()
