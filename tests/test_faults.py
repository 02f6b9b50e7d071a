"""Processes that are killed, stopped, or meet a full disk, at moments that nobody chose: nothing lost, nothing wrong.

A few moments in each run of the tests, others and more of them where the heavy ones run; ``SYNTHOMA_FAULT_ROUNDS``
multiplies the number of all.
"""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import synthoma
from synthoma.commands.app import main
from synthoma.core.errors import OutputError
from synthoma.core.provenance import file_digest
from synthoma.core.seeding import stream
from synthoma.detection import many
from synthoma.evaluation.private import kinds
from synthoma.evaluation.useful.grid import Cell, run_cells
from synthoma.evaluation.useful.trainings import Answers, DetectorTest, Source, Stage
from synthoma.generators import train as generators

from .forking import FORKING
from .test_pipeline import head_picture

pytestmark = pytest.mark.slow

ROUNDS = int(os.environ.get("SYNTHOMA_FAULT_ROUNDS", "1"))
SCANS = 60


@dataclass(frozen=True)
class Ended:
    """How a command ended: as ``os.waitstatus_to_exitcode`` says, its standard error, and the seconds it took."""

    code: int
    said: str
    seconds: float


def command(words: list[str], limit: int | None, speak: Connection, output: str) -> None:
    """Be the command line: say what it says on standard error into ``speak``."""
    os.setpgid(0, 0)
    os.dup2(os.open(output, os.O_WRONLY), 1)
    os.dup2(speak.fileno(), 2)
    speak.close()
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    # In this process alone, what no test here asks for: how well snapshots are judged, and copies searched for.
    generators.JUDGED, kinds.SETTING, kinds.SETTING_OTHERS = 32, 50, 10
    sys.argv = ["synthoma", *words]
    learn(Path(words[1]), Path(words[2])) if words[0] == "cells" else main()


def learn(place: Path, folder: Path) -> list[Answers]:
    """Three lessons of the grid that `evaluate --preset standard` runs, in one process."""
    cohort = synthoma.Cohort(place / "cohort")
    learned, asked = (Source(cohort, cohort.rows(split=split)[:6]) for split in ("train", "test"))
    exam = DetectorTest(asked, "outline", cohort.modalities)
    cells = [Cell((Stage((learned,), 2),), exam, seed) for seed in range(3)]
    return run_cells(cells, folder, device="cpu", jobs=1, progress=lambda done, wanted: None)


def ended(
    words: list[str],
    *,
    after: float | None = None,
    by: int = signal.SIGKILL,
    limit: int | None = None,
    output: str = os.devnull,
) -> Ended:
    """A command that ran; ``after`` so many seconds it gets the signal ``by``."""
    begun = time.monotonic()
    listen, speak = FORKING.Pipe(duplex=False)
    child = FORKING.Process(target=command, args=(words, limit, speak, output))
    child.start()
    speak.close()
    assert child.pid is not None
    if after is not None:
        child.join(after)
        with suppress(ProcessLookupError):
            os.kill(child.pid, by)
    with os.fdopen(os.dup(listen.fileno()), "rb") as words_said:
        said = words_said.read()
    listen.close()
    child.join()
    _alone(child.pid)
    return Ended(child.exitcode or 0, said.decode(errors="replace"), time.monotonic() - begun)


def _alone(group: int) -> None:
    """Nobody of a group of processes lives on; the system takes a moment to bury the dead."""
    for _ in range(100):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail("a worker outlives its command")


# What is run ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scans, a cohort, a run and a synthetic cohort."""
    place = tmp_path_factory.mktemp("faults")
    (place / "scans").mkdir()
    for number in range(SCANS):
        image, mask = head_picture(number)
        Image.fromarray(image).save(place / "scans" / f"p{number:03d}.png")
        Image.fromarray(mask).save(place / "scans" / f"p{number:03d}_mask.png")
        if number < 4:
            (place / "few").mkdir(exist_ok=True)
            Image.fromarray(image).save(place / "few" / f"p{number:03d}.png")
    synthoma.prepare(place / "scans", place / "cohort", size=32, jobs=1, split=(0.5, 0.1, 0.4))
    synthoma.train(place / "cohort", place / "run", model="dcgan", images=64, with_masks=True, snapshots=1)
    synthoma.generate(place / "run", place / "synthetic", 40)
    return place


TINY = ("halves=9", "canaries=20", "faults=false", "utility.seeds=2", "utility.steps=10")

COMMANDS: dict[str, Callable[[Path, Path], list[str]]] = {
    "prepare": lambda place, out: ["prepare", f"{place}/few", "-o", f"{out}", "--size", "32", "--jobs", "1"],
    "generate": lambda place, out: ["generate", f"{place}/run", "-n", "30", "-o", f"{out}", "--export", "png"],
    "detect": lambda place, out: ["detect", f"{place}/few", "-o", f"{out}", "--jobs", "1"],
    "train": lambda place, out: [
        "train", f"{place}/cohort", "-o", f"{out}", "--model", "dcgan", "--images", "96", "--snapshots", "3",
    ],
    "evaluate": lambda place, out: [
        "evaluate", f"{place}/cohort", f"{place}/synthetic", "-o", f"{out}", "--jobs", "1",
        *(word for setting in TINY for word in ("--set", setting)),
    ],
}  # fmt: skip
if ROUNDS > 1:  # the whole grid takes minutes
    COMMANDS["standard"] = lambda place, out: [*COMMANDS["evaluate"](place, out), "--preset", "standard"]
MOMENTS = {"prepare": 2, "generate": 2, "detect": 2, "train": 1, "evaluate": 1, "standard": 3}
MORE = {"prepare": 6, "generate": 6, "detect": 8, "train": 1}


def content_of(folder: Path) -> dict[str, Any]:
    """What an artefact says: digests of its files; of an evaluation all but how long it took."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.suffix in (".npy", ".csv", ".png", ".safetensors") and "checkpoint" not in name:
            found[name] = file_digest(path)
        elif path.name in ("cohort.json", "evaluation.json"):
            found[name] = _timeless(json.loads(path.read_text()))
    return found


def _timeless(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _timeless(value) for key, value in content.items() if "seconds" not in key}
    return [_timeless(value) for value in content] if isinstance(content, list) else content


@pytest.fixture(scope="module")
def whole(place: Path) -> Callable[[str], tuple[dict[str, Any], float]]:
    """What each command writes where nothing happens, and how long it takes."""
    known: dict[str, tuple[dict[str, Any], float]] = {}

    def result(name: str) -> tuple[dict[str, Any], float]:
        if name not in known:
            done = ended(COMMANDS[name](place, place / "whole" / name))
            assert done.code == 0, done.said
            known[name] = content_of(place / "whole" / name), done.seconds
        return known[name]

    return result


def hidden(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob(".*")]


def went_on(name: str, place: Path, out: Path) -> None:
    """Run a command again, as somebody would whose command was killed."""
    words = COMMANDS[name](place, out)
    if name == "train" and (out / "run.json").is_file():
        words = ["train", f"{place}/cohort", "-o", f"{out}", "--resume"]
    elif out.exists():
        words = [*words, "--force"]
    done = ended(words)
    assert done.code == 0, done.said


# Faults --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "first", "moments"),
    [
        *(pytest.param(name, 0, MOMENTS[name], id=name) for name in COMMANDS),
        *(pytest.param(name, MOMENTS[name], more, id=f"{name}-more", marks=pytest.mark.heavy)
          for name, more in MORE.items()),
    ],
)  # fmt: skip
def test_killed_at_any_moment(
    place: Path, tmp_path: Path, name: str, first: int, moments: int, whole: Callable[[str], Any]
) -> None:
    """Nothing or the whole is there; the next command has the same result, and leaves nothing of the killed one."""
    expected, seconds = whole(name)
    for moment in range(first * ROUNDS, (first + moments) * ROUNDS):
        rng = stream(ROUNDS, f"test.kill.{name}", moment)
        out = tmp_path / f"{moment}" / "out"
        out.parent.mkdir()
        after = float(rng.uniform(0, seconds))
        killed = ended(COMMANDS[name](place, out), after=after)
        if out.exists():
            assert synthoma.pipeline.verify(out) == [], f"after {after:.2f} of {seconds:.2f} s: {killed}"
        went_on(name, place, out)
        assert content_of(out) == expected
        assert hidden(out.parent) == []
        assert synthoma.pipeline.verify(out) == []
        shutil.rmtree(out.parent)


def test_a_grid_that_is_killed_is_learned_on(place: Path, tmp_path: Path) -> None:
    """Lessons that are finished stay as they are, the others are learned, and all answers are those of one run."""
    whole = ended(["cells", str(place), str(tmp_path / "whole")])
    assert whole.code == 0, whole.said
    expected = learn(place, tmp_path / "whole")
    rng = stream(ROUNDS, "test.kill.grid")
    for moment in range(ROUNDS):
        cells = tmp_path / f"{moment}"
        ended(["cells", str(place), str(cells)], after=float(rng.uniform(0, whole.seconds)))
        finished = {path: path.read_bytes() for path in cells.glob("*.json")}
        ended(["cells", str(place), str(cells)])
        assert all(path.read_bytes() == content for path, content in finished.items())
        for one, other in zip(learn(place, cells), expected, strict=True):
            for name in ("chances", "found_pixels", "called_pixels", "tumour_pixels", "features"):
                np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
def test_stopped_by_a_signal(
    place: Path, tmp_path: Path, name: str, by: signal.Signals, whole: Callable[[str], Any]
) -> None:
    _, seconds = whole(name)
    done = ended(COMMANDS[name](place, tmp_path / "out"), after=seconds / 2, by=by)
    assert done.code in (128 + by, 0), done.said
    assert "Traceback" not in done.said
    assert hidden(tmp_path) == []
    if name != "train" and (tmp_path / "out").exists():  # the signal came when all was written
        assert synthoma.pipeline.verify(tmp_path / "out") == []


@pytest.mark.parametrize(("by", "code"), [(signal.SIGTERM, 128 + signal.SIGTERM), (signal.SIGKILL, -signal.SIGKILL)])
@pytest.mark.parametrize(
    "after", [pytest.param(1.0, marks=pytest.mark.heavy), pytest.param(1.6, marks=pytest.mark.heavy), 2.2]
)
def test_workers_end_with_their_command(place: Path, tmp_path: Path, after: float, by: int, code: int) -> None:
    """A program of its own: a forked child ends without what stops idle workers at a program's end."""
    words = [*COMMANDS["prepare"](place, tmp_path / "out")[:-1], "2"]
    begun = subprocess.Popen([sys.executable, "-m", "synthoma", *words], start_new_session=True)
    with suppress(subprocess.TimeoutExpired):
        begun.wait(after)
    begun.send_signal(by)
    assert begun.wait() in (code, 0, -by)  # the last where it had hardly begun, or had written all
    assert by == signal.SIGKILL or hidden(tmp_path) == []
    _alone(begun.pid)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk_ends_in_one_sentence(place: Path, tmp_path: Path, name: str) -> None:
    before = {path: file_digest(path) for path in place.rglob("*") if path.is_file() and "whole" not in path.parts}
    for limit in (60, 2_000, 9_000)[: 3 if name != "evaluate" else 1]:
        done = ended(COMMANDS[name](place, tmp_path / "out"), limit=limit)
        errors = [line for line in done.said.splitlines() if line.startswith("error: ")]
        assert done.code == 2, f"{limit}: {done.said}"
        assert "Traceback" not in done.said
        assert len(errors) == 1
        assert "room to write" in errors[0]
        assert "limit on the size of files" in errors[0]
        assert "make room there, then" in errors[0]
        shutil.rmtree(tmp_path / "out.unfinished", ignore_errors=True)  # scans that were finished
        assert hidden(tmp_path) == []
        if name == "train" and (tmp_path / "out").exists():
            assert "--resume" in errors[0]
            shutil.rmtree(tmp_path / "out")
        assert not (tmp_path / "out").exists()
    assert before == {path: file_digest(path) for path in before}


def test_a_page_that_does_not_fit_leaves_the_old_one(place: Path, tmp_path: Path) -> None:
    shutil.copytree(place / "cohort", tmp_path / "cohort")
    done = ended(["report", f"{tmp_path}/cohort"], limit=500)
    assert done.code == 2
    assert "room to write" in done.said
    assert content_of(tmp_path / "cohort") == content_of(place / "cohort")
    assert synthoma.pipeline.verify(tmp_path / "cohort") == []


def test_scans_that_were_finished_are_kept(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: Callable[[str], Any]
) -> None:
    """The disk is full at the third of four scans; the next command looks at the last two."""
    expected, _ = whole("detect")
    looked: list[str] = []
    write, room = many.write_results, 2

    def written(folder: Path, name: str, *rest: Any) -> Any:
        if len(looked) == room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        looked.append(name)
        return write(folder, name, *rest)

    monkeypatch.setattr(many, "write_results", written)
    options: dict[str, Any] = {"jobs": 1}
    with pytest.raises(OutputError, match=r"the disk is full.*out\.unfinished are finished and kept"):
        synthoma.detect(place / "few", tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()
    room = 9
    synthoma.detect(place / "few", tmp_path / "out", **options)
    assert len(looked) == len(set(looked)) == 4
    assert content_of(tmp_path / "out") == expected
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_standard_output_may_be_a_full_disk(place: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("/dev/full is not there")
    done = ended(["info", f"{place}/cohort"], output="/dev/full")
    assert done.code == 2
    assert "No space left on device" in done.said


def test_inputs_are_never_outputs(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every place that a command reads is refused as its output, before it is touched."""
    cohort, run, synthetic = (str(place / name) for name in ("cohort", "run", "synthetic"))
    model, scans = str(place / "run" / "model.safetensors"), str(place / "scans")
    settings = place / "settings" / "own.toml"
    settings.parent.mkdir(exist_ok=True)
    settings.write_text("seed = 0\n")
    (settings.parent / "cohort.json").write_text("{}")
    attempts = [
        ["prepare", scans, "-o", scans],
        ["prepare", scans, "-o", cohort, "--split-from", cohort],
        ["prepare", scans, "-o", str(settings.parent), "--config", str(settings)],
        ["train", cohort, "-o", cohort, "--model", "dcgan"],
        ["train", cohort, "-o", run, "--model", "dcgan", "--init", run],
        ["train", cohort, "-o", run, "--model", "dcgan", "--init", model],
        ["train", cohort, "-o", synthetic, "--model", "unet-25d", "--with", synthetic],
        ["train", cohort, "-o", synthetic, "--model", "phantom-gan", "--phantom", synthetic],
        ["generate", run, "-o", run],
        ["generate", model, "-o", run],
        ["generate", run, "-o", cohort, "--nearest", cohort],
        ["generate", run, "-o", cohort, "--only-private", f"{cohort}/../cohort"],
        ["evaluate", cohort, synthetic, "-o", cohort],
        ["evaluate", cohort, synthetic, "-o", synthetic],
        ["evaluate", cohort, synthetic, "-o", str(place / "e"), "--keep", synthetic],
        ["evaluate", cohort, synthetic, "-o", str(place / "e"), "--keep", str(place / "e")],
        ["evaluate", cohort, synthetic, "-o", run, "--run", run],
        ["evaluate", cohort, synthetic, "-o", str(place / "e"), "--cells", cohort],
        ["evaluate", cohort, synthetic, "-o", str(place / "e"), "--cells", str(place / "e" / "cells")],
        ["detect", scans, "-o", scans],
        ["detect", scans, "--model", run, "-o", f"{scans}/p000.png"],
        ["detect", f"{scans}/p000.png", f"{scans}/p001.png", "--model", run, "-o", f"{scans}/p000.png"],
        ["evaluate", scans, scans, "-o", f"{scans}/scores"],
    ]
    before = {path: file_digest(path) for path in place.rglob("*") if path.is_file()}
    for words in attempts:
        argv, sys.argv = sys.argv, ["synthoma", *words, "--force"]
        try:
            with pytest.raises(SystemExit) as left:
                main()
        finally:
            sys.argv = argv
        assert left.value.code == 2
        assert "apart from what is read" in (said := capsys.readouterr().err), f"{words}: {said}"
    assert before == {path: file_digest(path) for path in place.rglob("*") if path.is_file()}
