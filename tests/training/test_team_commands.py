"""The command line under torchrun on two computers."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.toys import blobs, write_cohort
from tests.training.test_team import SETTINGS, apart, finished, train


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    images, masks = blobs(48, size=32)
    splits, names = ["train"] * 32 + ["validation"] * 16, {"1": "tumour"}
    place = tmp_path_factory.mktemp("team") / "cohort"
    return write_cohort(place, images, None, masks, splits=splits, origin="real", mask_names=names).path


@pytest.mark.heavy
def test_two_computers_train_what_one_with_two_processes_trains(cohort: Path, tmp_path: Path) -> None:
    finished(train(cohort, tmp_path / "one", 2))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    # A torchrun of its own for each computer; both are this one, so they meet on the loopback.
    torchrun = ["-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1", "--rdzv-backend=c10d"]
    torchrun += [f"--rdzv-endpoint=127.0.0.1:{port}", "--rdzv-id=pair", "--local-addr=127.0.0.1"]
    words = ["-m", "synthoma", "train", str(cohort), "-o", str(tmp_path / "pair"), *SETTINGS, "--images", "160"]
    nodes = [
        subprocess.Popen(
            [sys.executable, *torchrun, *words], env={**os.environ, "OMP_NUM_THREADS": "1"}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for _ in range(2)
    ]  # fmt: skip
    said = "".join(finished(node)[0] for node in nodes)
    assert said.count("model:") == 1
    assert apart(tmp_path / "one", tmp_path / "pair") == 0  # as many processes: the same bits
