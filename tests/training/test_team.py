"""Several processes that train together do what one does: same weights to rounding, and any number goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.distributed import HashStore, TCPStore

from synthoma.core.artefacts import sealed, unsealed
from synthoma.training.team import MARK, Team, begun_here, met
from tests.clusters import until
from tests.test_cli import run as command_line
from tests.toys import blobs, write_cohort
from tests.training.stepped import main as steps_of_models

SETTINGS = ["--model", "unet-25d", "--set", "segmenter.width=4", "--set", "segmenter.levels=3", "--seed", "1"]
SETTINGS += ["--set", "segmenter.batch=8", "--set", "snapshots=4", "--device", "cpu", "--quiet"]


def test_rows_of_all_processes_are_the_batch() -> None:
    for size in (1, 2, 3, 8):
        rows = np.concatenate([np.arange(8)[Team(number, size).rows(8)] for number in range(size)])
        assert rows.tolist() == list(range(8))


def test_one_process_alone_changes_nothing() -> None:
    outputs = torch.ones(3, requires_grad=True)
    assert Team().joined(outputs, 3) is outputs


def test_only_a_run_that_this_torchrun_began_goes_on_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / MARK).write_text("job-1")
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    assert not begun_here(tmp_path, again=False)
    assert (tmp_path / MARK).exists(), "a command that torchrun did not start changes nothing"
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "job-1")
    assert begun_here(tmp_path, again=True)
    assert not begun_here(tmp_path / "nothing", again=True)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "job-2")
    assert not begun_here(tmp_path, again=True)
    # Without a name of its own every torchrun is called "none".
    (tmp_path / MARK).write_text("none")
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    assert not begun_here(tmp_path, again=True)


def test_a_run_that_was_there_before_is_not_gone_on_with_by_a_torchrun_of_the_same_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / MARK).write_text("job-1")
    # Killed yesterday; today's command is refused at its first start, and is started again.
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "job-1")
    for again in (False, True):
        assert not begun_here(tmp_path, again=again)
    # What it begins itself bears its mark again.
    (tmp_path / MARK).write_text("job-1")
    assert begun_here(tmp_path, again=True)


def test_nobody_is_met_whom_an_earlier_start_left_in_the_store() -> None:
    store = HashStore()
    for start in (1, 2, 3):
        with ThreadPoolExecutor(3) as pool:
            others = [pool.submit(met, store, number, 3, timedelta(seconds=30)) for number in (1, 2)]
            time.sleep(0.2)  # the others are there first, and read what the last start left
            assert not any(other.done() for other in others)
            assert met(store, 0, 3, timedelta(seconds=30)) == start
            assert [other.result() for other in others] == [start, start]


def test_who_waits_in_vain_says_so() -> None:
    for number in (0, 1):
        with pytest.raises(RuntimeError):
            met(HashStore(), number, 2, timedelta(seconds=0.2))
    met(store := HashStore(), 0, 1)
    with pytest.raises(RuntimeError, match="did not answer"):
        met(store, 1, 2, timedelta(seconds=0.2))


JOINED = """
import os, sys, time, torch
from pathlib import Path
from synthoma.training.team import mark_begun, team, teamed
if sys.argv[2] == "late": time.sleep(3)
with teamed(Path(sys.argv[1]), resume=False, cuda=False) as (run, resume):
    total = torch.ones(1)
    torch.distributed.all_reduce(total)
    if not team().number: mark_begun(run)
    torch.distributed.barrier()
    print(int(total), resume, flush=True)
    os._exit(0)  # as if killed: nothing is taken out of the store
"""


@pytest.mark.slow
def test_processes_that_are_started_again_find_one_another_whoever_comes_first(tmp_path: Path) -> None:
    """As torchrun does it: one store for all starts, and on some computers it counts none of them."""
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    shared |= {
        "TORCHELASTIC_USE_AGENT_STORE": "True",
        "TORCHELASTIC_RUN_ID": "job-1",
        "TORCHELASTIC_RESTART_COUNT": "0",
    }
    for start, late in enumerate([1, 0]):
        both = [
            subprocess.Popen(
                [sys.executable, "-c", JOINED, str(tmp_path), "late" if number == late else "now"],
                env={**os.environ, **shared, "RANK": str(number)}, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )
            for number in range(2)
        ]  # fmt: skip
        assert [finished(process)[0].split() for process in both] == [["2", str(start == 1)]] * 2


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    images, masks = blobs(48, size=32)
    splits = ["train"] * 32 + ["validation"] * 16
    place = tmp_path_factory.mktemp("team") / "cohort"
    names = {"1": "tumour"}
    return write_cohort(place, images, None, masks, splits=splits, origin="real", mask_names=names).path


def train(
    cohort: Path,
    run: Path,
    processes: int,
    *more: str,
    images: int = 160,
    settings: Sequence[str] = SETTINGS,
    restarts: int = 0,
) -> subprocess.Popen[str]:
    command = ["-m", "synthoma", "train", str(cohort), "-o", str(run)]
    command += [*more] if "--resume" in more else [*settings, "--images", str(images), *more]
    if processes > 1:
        command = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", *command]
        command[3:3] = [f"--max-restarts={restarts}"]
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


Command = Callable[..., None]


@pytest.fixture
def alone(cohort: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command of one process, which is this one: a Python of its own would load torch and learn the same."""

    def trained(run: Path, *more: str, images: int = 160) -> None:
        words = more if "--resume" in more else (*SETTINGS, "--images", str(images), *more)
        code, _, errors = command_line(monkeypatch, capsys, "train", str(cohort), "-o", str(run), *words)
        assert code == 0, errors

    return trained


def computed_as_by_a_team(alone: Command, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on one process computes as each of several does: what is fastest for it may round otherwise."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "cache"))
    alone(place / "measured", images=8)
    (kept,) = (place / "cache" / "synthoma" / "calibration").glob("*.json")
    told = unsealed(json.loads(kept.read_text()), kept)
    kept.write_text(json.dumps(sealed({**told, "threads": 1, "channels_last": True, "bf16": False})))


ROUNDING = 1e-3
"""What twenty steps make of the last bit: sums of four rows and of eight round differently, on some processors more.

Other arithmetic (bfloat16 in place of float32) changes some weights by a third.
"""


@pytest.mark.heavy
def test_two_processes_train_what_one_trains_and_either_goes_on(
    cohort: Path, tmp_path: Path, alone: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed_as_by_a_team(alone, tmp_path, monkeypatch)
    alone(tmp_path / "one")
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
    alone(tmp_path / "killed", "--resume")
    assert apart(tmp_path / "one", tmp_path / "killed") < ROUNDING


@pytest.mark.heavy
def test_what_cannot_be_trained_together_is_said(cohort: Path, tmp_path: Path) -> None:
    for settings, said in (
        (("--model", "aae"), "expected a generator that is made for torchrun"),
        (("--model", "dcgan", "--set", "gan.minibatch_kernels=4"), "expected layers that see one image at a time"),
    ):
        process = train(cohort, tmp_path / "run", 2, settings=settings)
        _, errors = process.communicate(timeout=200)
        assert process.returncode != 0
        assert said in errors
        assert not (tmp_path / "run").exists()


def silent(key: str, state: dict[str, torch.Tensor]) -> bool:
    """Whether it is a bias before a normalisation, or the running mean that follows it.

    Such a bias has no effect and no gradient but rounding, of which Adam makes steps of any length: it walks at random
    in one process too.
    """
    player, *rest = key.split(".")
    if len(rest) != 3 or rest[0] != "layers":
        return False
    number = int(rest[1])
    if rest[2] == "running_mean":
        return f"{player}.layers.{number - 1}.bias" in state
    norm = state.get(f"{player}.layers.{number + 1}.weight")
    return rest[2] == "bias" and norm is not None and norm.ndim == 1


DETECTORS = ("double", "double-norms")
GENERATORS = ("dcgan", "wgan-gp", "relativistic", "flow", "penalties")


@pytest.fixture(scope="module")
def stepped(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """States after steps of some models (``tests.training.stepped``), by this process alone and by two of a torchrun.

    In double precision: single precision is a thousandth apart after twenty steps (``ROUNDING``), generators more.
    """
    alone, together = (tmp_path_factory.mktemp(name) for name in ("alone", "together"))
    asked = [f"{name}={steps}" for names, steps in ((DETECTORS, 60), (GENERATORS, 20)) for name in names]
    steps_of_models(str(cohort), str(alone), *asked)
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "tests.training.stepped"]
    env = {name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE")}
    subprocess.run(
        [sys.executable, *command, str(cohort), str(together), *asked],
        env={**env, "OMP_NUM_THREADS": "1"}, check=True, timeout=600,
    )  # fmt: skip
    return alone, together


@pytest.mark.heavy
@pytest.mark.parametrize("name", [*DETECTORS, *GENERATORS])
def test_in_double_precision_two_processes_learn_what_one_learns(name: str, stepped: tuple[Path, Path]) -> None:
    one, two = (load_file(side / f"{name}.safetensors") for side in stepped)
    players = ("network.", "average.", "generator.", "discriminator.")
    compared = [key for key in one if key.startswith(players) and one[key].is_floating_point() and not silent(key, one)]
    assert len(compared) > 4
    for key in compared:
        largest = one[key].abs().max().clamp(min=1e-6)
        assert float((one[key] - two[key]).abs().max() / largest) < 1e-4, key


@pytest.mark.heavy
def test_a_process_that_is_killed_costs_no_more_than_time(cohort: Path, tmp_path: Path) -> None:
    finished(train(cohort, tmp_path / "whole", 2))
    run = tmp_path / "run"
    broken = train(cohort, run, 2, restarts=2)
    until(lambda: any(run.glob("checkpoint/*.safetensors")), 200)
    (killed,) = (worker for worker in workers(broken.pid) if b"RANK=1" in environment(worker))
    os.kill(killed, signal.SIGKILL)
    said, _ = finished(broken)
    assert said.count("model:") == 1
    assert apart(tmp_path / "whole", run) == 0  # as many processes: the same bits
    assert not (run / MARK).exists()


@pytest.mark.heavy
def test_a_run_of_somebody_else_is_no_checkpoint_to_go_on_from(cohort: Path, tmp_path: Path) -> None:
    """Refused at the first start, and at every further one that torchrun makes of it."""
    stopped = train(cohort, tmp_path / "run", 2, images=100_000)
    until(lambda: (tmp_path / "run" / MARK).exists(), 200)
    stopped.kill()
    stopped.communicate(timeout=100)  # its processes have ended too, or they would hold the pipe
    before = (tmp_path / "run" / "run.json").stat()
    other = train(cohort, tmp_path / "run", 2, restarts=1)
    _, errors = other.communicate(timeout=300)
    assert other.returncode != 0
    assert "expected a new folder for the run" in errors
    after = (tmp_path / "run" / "run.json").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def workers(parent: int) -> list[int]:
    """The processes that a process has started."""
    return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


def environment(process: int) -> list[bytes]:
    return Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
