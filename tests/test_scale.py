"""Beyond one machine: the same bytes from any number of workers, any backend, any shares, and after a killed worker."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import synthoma
from synthoma.cohorts.settings import PrepareConfig
from synthoma.core.fanned import FanoutConfig, fanned
from synthoma.detection.detect import detect
from synthoma.detection.settings import DetectConfig
from synthoma.training.bundle import shipped_model
from tests.clusters import BACKENDS, a_worker_is_killed, files, running
from tests.scans.writers import CUBIC, write_nifti
from tests.toys import halves, train_toy, write_cohort

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

ROOT = Path(__file__).parents[1]
LOOK = DetectConfig(overlay=False, three_d=False, probabilities=True)
PREPARE = PrepareConfig(size=32, duplicates=False)
Command = Callable[[Path, int], object]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six scans with a bright box each, one file that is none, and a generator that has learned a little."""
    folder = tmp_path_factory.mktemp("scale")
    for number in range(6):
        draws = np.random.default_rng(number)
        image = draws.integers(10, 80, (8, 40, 40))
        image[2:6, 12:22, 12 + number : 22 + number] = 200
        write_nifti(folder / "scans" / f"p{number}_flair.nii.gz", image.astype(np.int16), CUBIC)
    (folder / "scans" / "p9_flair.nii.gz").write_bytes(b"no scan")
    images, names = halves(40)
    train_toy(write_cohort(folder / "halves", images, names), folder / "run", images=80, snapshots=1, conditional=True)
    return folder


@pytest.fixture(scope="module")
def commands(place: Path) -> dict[str, Command]:
    """Name -> what writes a folder with so many processes."""
    return {
        "prepare": lambda output, jobs: synthoma.prepare(
            place / "scans", output, config=PREPARE.model_copy(update={"jobs": jobs}), progress=_silent
        ),
        "detect": lambda output, jobs: detect(
            place / "scans", shipped_model(), output, options=LOOK.model_copy(update={"jobs": jobs})
        ),
        "generate": lambda output, jobs: synthoma.generate(
            place / "run", output, 600, seed=3, jobs=jobs, progress=_silent
        ),
    }


def _silent(text: str, done: int, total: int) -> None:
    """Tell nobody."""


@pytest.fixture(scope="module")
def serial(place: Path, commands: dict[str, Command]) -> dict[str, dict[str, bytes]]:
    """What one process writes, by command."""
    for name, command in commands.items():
        command(place / f"{name}-serial", 1)
    return {name: files(place / f"{name}-serial") for name in commands}


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=() if name == "local" else pytest.mark.heavy) for name in BACKENDS],
)
def workers(request: pytest.FixtureRequest) -> Iterator[FanoutConfig]:
    with running(request.param) as config:
        yield config


@pytest.mark.parametrize("name", ["prepare", "detect", "generate"])
def test_every_backend_writes_the_same_bytes(
    name: str, workers: FanoutConfig, commands: dict[str, Command], serial: dict[str, dict[str, bytes]], tmp_path: Path
) -> None:
    with fanned(workers):
        commands[name](tmp_path / f"{name}-serial", 2)
    assert files(tmp_path / f"{name}-serial") == serial[name]


def test_a_worker_killed_in_the_middle_changes_no_byte(
    workers: FanoutConfig, commands: dict[str, Command], serial: dict[str, dict[str, bytes]], tmp_path: Path
) -> None:
    name = {"local": "detect", "dask": "prepare", "ray": "detect"}[workers.backend]
    kept = workers.model_copy(update={"parts": tmp_path / "parts"})
    with a_worker_is_killed(lambda: any((tmp_path / "parts").glob("*/*/*/checksums.json"))) as killed, fanned(kept):
        commands[name](tmp_path / f"{name}-serial", 2)
    assert files(tmp_path / f"{name}-serial") == serial[name]
    assert len(killed) == 1


def test_seven_workers_write_the_same_bytes(
    commands: dict[str, Command], serial: dict[str, dict[str, bytes]], tmp_path: Path
) -> None:
    commands["prepare"](tmp_path / "prepare-serial", 7)
    assert files(tmp_path / "prepare-serial") == serial["prepare"]


@pytest.mark.parametrize("name", ["prepare", "detect", "generate"])
def test_shares_put_together_are_the_whole(
    name: str, commands: dict[str, Command], serial: dict[str, dict[str, bytes]], tmp_path: Path
) -> None:
    for share in ("3/3", "1/3", "1/3"):  # the second one is missing, one is done twice
        with fanned(FanoutConfig(parts=tmp_path / "parts", shard=share)) as here:
            commands[name](tmp_path / f"{name}-serial", 1)
            pytest.fail("a share writes no output")
        assert here.done is not None
    assert here.done.before >= here.done.ours - 1  # a file that is no scan is tried again
    assert not (tmp_path / f"{name}-serial").exists()
    assert [path.name for path in (tmp_path / "parts").iterdir()] == [name]
    with fanned(FanoutConfig(parts=tmp_path / "parts")):
        commands[name](tmp_path / f"{name}-serial", 1)
    assert files(tmp_path / f"{name}-serial") == serial[name]


@pytest.mark.usefixtures("fewer_planted")
def test_trainings_of_an_evaluation_are_shared_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from synthoma.evaluation.useful.trainings import DETECTORS
    from tests.evaluation.useful.test_utility import NAMES, discs

    for task in DETECTORS:
        monkeypatch.setitem(DETECTORS[task], "small", {"width": 4})
    images, masks = discs(1, 72)
    labels = ["tumour" if i % 3 else "healthy" for i in range(72)]
    groups = [f"patient-{i // 6:02d}" for i in range(72)]
    splits = ["train"] * 36 + ["validation"] * 18 + ["test"] * 18
    write_cohort(
        tmp_path / "real", images, labels, masks, splits=splits, groups=groups, origin="real", mask_names=NAMES
    )
    images, masks = discs(2, 60)
    write_cohort(tmp_path / "made", images, labels[:60], masks, origin="synthetic", mask_names=NAMES)

    def judged(output: str) -> dict[str, bytes]:
        small = {"steps": 10, "seeds": 2, "detectors": ("small",), "ratios": (1.0,), "shares": ()}
        asked = {"preset": "standard", "halves": 9, "canaries": 20, "faults": False, "utility": small, "jobs": 1}
        synthoma.evaluate(tmp_path / "real", tmp_path / "made", tmp_path / output, **asked, progress=_silent)
        return {name: b for name, b in files(tmp_path / output).items() if name == "evaluation.json"}

    done = []
    for share in ("1/2", "2/2"):
        with fanned(FanoutConfig(parts=tmp_path / "parts", shard=share)) as here:
            judged("shared")
        done.append(here.done)
    cells = {path: path.stat().st_mtime_ns for path in (tmp_path / "parts" / "cells").iterdir()}
    assert sum(one.ours for one in done if one is not None) == len(cells) > 2
    with fanned(FanoutConfig(parts=tmp_path / "parts")):
        shared = judged("shared")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "parts" / "cells").iterdir()} == cells
    alone = judged("alone")
    assert _less_time(shared) == _less_time(alone)


def _less_time(found: dict[str, bytes]) -> dict[str, list[bytes]]:
    return {name: [line for line in text.splitlines() if b"seconds" not in line] for name, text in found.items()}


@pytest.mark.heavy
def test_a_job_array_of_the_shell_does_what_a_batch_system_does(
    place: Path, serial: dict[str, dict[str, bytes]], tmp_path: Path
) -> None:
    """The script that SLURM runs, with bash in the place of SLURM."""
    script = ROOT / "deploy" / "slurm" / "detect.sh"
    env = {
        **os.environ,
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "SCANS": str(place / "scans"),
        "OUTPUT": str(tmp_path / "found"),
        "OPTIONS": "--no-overlay --no-3d --probabilities",
    }
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "synthoma"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m synthoma "$@"\n')
    program.chmod(0o755)
    for number in (1, 2):
        array = {"SLURM_ARRAY_TASK_ID": str(number), "SLURM_ARRAY_TASK_COUNT": "2"}
        subprocess.run(["bash", str(script)], env=env | array, check=True, capture_output=True)
    assert not (tmp_path / "found").exists()
    subprocess.run(["bash", str(ROOT / "deploy" / "slurm" / "merge.sh")], env=env, check=True, capture_output=True)
    found = files(tmp_path / "found")
    assert {name: found[name] for name in serial["detect"]} == serial["detect"]


def test_ready_made_jobs_name_commands_and_options_that_exist() -> None:
    from synthoma.commands.app import command_of

    lines = [
        line
        for path in sorted((ROOT / "deploy").rglob("*"))
        if path.is_file()
        for line in path.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    ]
    found = [re.search(r"synthoma (detect|prepare|generate|evaluate) .*", line) for line in lines]
    used = [match.group(0) for match in found if match and not match.string.lstrip().startswith("#")]
    assert len(used) == 6
    for text in used:
        known = {option for parameter in command_of(text.split()[1]).params for option in parameter.opts}
        assert set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", text)) <= known, text


def test_the_jobs_of_kubernetes_do_a_share_each_and_put_them_together() -> None:
    """The shell line that the pods run, with the shell in the place of Kubernetes."""
    yaml = pytest.importorskip("yaml", reason="PyYAML, which reads the files of Kubernetes")
    words = []
    for name in ("detect", "merge"):
        job = yaml.safe_load((ROOT / "deploy" / "kubernetes" / f"{name}.yaml").read_text(encoding="utf-8"))
        (container,) = job["spec"]["template"]["spec"]["containers"]
        assert container["command"] == ["/bin/sh", "-c"]
        words.append(container["args"][0])
    assert '--shard "$((JOB_COMPLETION_INDEX + 1))/16"' in words[0]
    assert words[1] == words[0].replace(' --shard "$((JOB_COMPLETION_INDEX + 1))/16"', "")
    shown = subprocess.run(
        ["/bin/sh", "-c", words[0].replace("exec synthoma", "echo")],
        env={"JOB_COMPLETION_INDEX": "15"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert shown.stdout.split()[-2:] == ["--shard", "16/16"]
