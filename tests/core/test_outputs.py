"""Outputs appear whole or not at all, whatever happens on the way, and never in the place of what is read."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synthoma.core import outputs, whole_files
from synthoma.core.disk import writing
from synthoma.core.errors import InputError, OutputError
from synthoma.core.outputs import new_folder
from synthoma.core.own_files import KEPT, foreign
from synthoma.core.places import check_apart
from synthoma.core.whole_files import new_file, whole_file, write_json, write_text
from synthoma.pipeline import prepare
from synthoma.scans.files import walk


def artefact(folder: Path, text: str) -> Path:
    """A folder that Synthoma may replace."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cohort.json").write_text(text)
    return folder


HEAD = """
import os, signal, sys, time
from pathlib import Path
from synthoma.core import outputs
from synthoma.core.outputs import new_folder
from synthoma.core.whole_files import whole_file, write_text
places = [Path(word) for word in sys.argv[1:]]
"""


def ran(script: str, *words: Path) -> subprocess.CompletedProcess[str]:
    """A process of its own that ran a script, which knows its arguments as ``places``."""
    command = [sys.executable, "-c", HEAD + script, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True)


@contextmanager
def writing_elsewhere(target: Path) -> Iterator[None]:
    """Another process is in the midst of writing ``target`` while the block runs."""
    script = "with new_folder(places[0]) as partial:\n    print(partial, flush=True)\n    time.sleep(60)\n"
    command = [sys.executable, "-c", HEAD + script, str(target)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        yield
        process.kill()


# Whole or not at all -------------------------------------------------------------------------------------------------


def test_folder_appears_only_when_complete(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with new_folder(target) as partial:
        (partial / "cohort.json").write_text("{}")
        assert not target.exists()
    assert (target / "cohort.json").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_an_interrupted_folder_leaves_nothing(tmp_path: Path, failure: type[BaseException]) -> None:
    with pytest.raises(failure), new_folder(tmp_path / "out") as partial:
        (partial / "half").write_text("x")
        raise failure
    assert list(tmp_path.iterdir()) == []


def test_existing_artefact_is_replaced_only_with_force(tmp_path: Path) -> None:
    target = artefact(tmp_path / "out", "old")
    with pytest.raises(InputError, match="--force"), new_folder(target):
        pass
    with pytest.raises(ValueError), new_folder(target, force=True):  # noqa: PT011
        raise ValueError
    assert (target / "cohort.json").read_text() == "old"
    with new_folder(target, force=True) as partial:
        (partial / "cohort.json").write_text("new")
    assert (target / "cohort.json").read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("name", ["patient.nii", "config.toml"])
def test_force_never_deletes_what_synthoma_did_not_write(tmp_path: Path, name: str) -> None:
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / name).write_text("precious")
    with pytest.raises(InputError, match="other files"), new_folder(tmp_path / "scans", force=True):
        pass
    assert (tmp_path / "scans" / name).read_text() == "precious"


@pytest.mark.parametrize(
    "place", ["notes.txt", "deep/er/scan.dcm", "case/notes.txt", "found/detection.json", ".hidden"]
)
@pytest.mark.parametrize("checksums", ["there", "gone", "damaged"])
def test_force_refuses_an_artefact_that_holds_files_of_others(tmp_path: Path, place: str, checksums: str) -> None:
    target = tmp_path / "out"
    for _ in range(2):  # what was written, with what is written later, and what systems leave, is no obstacle
        with new_folder(target, force=True) as partial:
            with new_folder(partial / "case") as inner:
                (inner / "findings.json").write_text("{}")
                (inner / "case_mask.png").write_text("mask")
            (partial / "cohort.json").write_text("{}")
            (partial / "export_png").mkdir()
            (partial / "export_png" / "any name.png").write_text("picture")
        for name in ("report.html", "case/.DS_Store", ".partial-01234567-report.html"):
            (target / name).write_text("later")
        (target / "link").symlink_to(tmp_path)
        if checksums == "damaged":
            (target / "checksums.json").write_text("{")
        elif checksums == "gone":
            (target / "checksums.json").unlink()
    (target / place).parent.mkdir(parents=True, exist_ok=True)
    (target / place).write_text("precious")
    refused = pytest.raises(InputError, match=f"also holds {place}, not written by Synthoma; move that elsewhere")
    with refused, new_folder(target, force=True):
        pytest.fail("work was begun")
    assert (target / place).read_text() == "precious"
    (target / place).unlink()
    with new_folder(target, force=True) as partial:
        (partial / "cohort.json").write_text("new")
    assert (target / "cohort.json").read_text() == "new"
    assert not (target / "case").exists()


def test_a_run_of_every_age_is_replaced_but_not_with_notes_in_it(tmp_path: Path) -> None:
    """A run has no checksums before it is finished, and its simulated patients have their own from the beginning."""
    run = artefact(tmp_path / "run" / "phantom", "simulated").parent
    outputs.write_checksums(run / "phantom")
    for name in ("checkpoint/step-000000002.safetensors", "samples/row-000000064.png", "run.json", "config.toml"):
        (run / name).parent.mkdir(exist_ok=True)
        (run / name).write_text("x")
    assert foreign(run) == []
    outputs.write_checksums(run)
    assert foreign(run) == []
    (run / "phantom" / "checksums.json").unlink()
    assert foreign(run) == []
    for name in ("samples/mine.png", "phantom/mine.png", "evaluation.json"):
        (run / name).write_text("x")
        assert foreign(run) == [name]
        (run / name).unlink()


@pytest.mark.parametrize("moment", range(1, 5))
def test_a_kill_while_replacing_leaves_the_old_or_the_new(tmp_path: Path, moment: int) -> None:
    """Killed before, between and after the renamings; the next one finds one of both, and can replace it."""
    target = artefact(tmp_path / "out", "old")
    killed = ran(
        "count = 0\n"
        "rename = Path.rename\n"
        "def counted(self, other):\n"
        "    global count\n"
        "    count += 1\n"
        f"    if count == {moment}: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return rename(self, other)\n"
        "Path.rename = counted\n"
        "outputs.shutil.rmtree = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)\n"
        "with new_folder(places[0], force=True) as partial:\n"
        "    (partial / 'cohort.json').write_text('new')\n",
        target,
    )
    assert killed.returncode == -signal.SIGKILL
    with pytest.raises(InputError, match="--force"), new_folder(target):
        pass
    assert (target / "cohort.json").read_text() == ("old" if moment < 3 else "new")
    with new_folder(target, force=True) as partial:
        (partial / "cohort.json").write_text("newest")
    assert (target / "cohort.json").read_text() == "newest"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.slow
def test_what_a_killed_process_left_is_swept_but_not_what_a_living_one_writes(tmp_path: Path) -> None:
    ran("with new_folder(places[0]) as partial:\n    os.kill(os.getpid(), signal.SIGKILL)\n", tmp_path / "out")
    assert any(path.name.startswith(".out.partial-") for path in tmp_path.iterdir())
    with writing_elsewhere(tmp_path / "other"):
        with new_folder(tmp_path / "out") as partial:
            (partial / "cohort.json").write_text("{}")
        left = {path.name.rpartition("-")[0] or path.name for path in tmp_path.iterdir()}
        assert left == {"out", ".other.lock", ".other.partial"}


def test_the_second_of_two_writers_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    refused = pytest.raises(InputError, match="another process is writing at this moment; wait for it")
    with writing_elsewhere(tmp_path / "out"), refused, new_folder(tmp_path / "x" / ".." / "out", force=True):
        pytest.fail("work was begun")
    with new_folder(tmp_path / "out"):  # the lock went with its process
        pass


def test_a_partial_file_of_a_killed_process_is_swept(tmp_path: Path) -> None:
    script = "with whole_file(places[0]) as partial:\n    partial.write_text('half')\n"
    ran(script + "    os.kill(os.getpid(), signal.SIGKILL)\n", tmp_path / "x.json")
    assert len(list(tmp_path.iterdir())) == 1
    with whole_file(tmp_path / "x.json") as first:
        first.write_text("first")
        write_text(tmp_path / "x.json", "second")  # another writer, which leaves alone what the first one holds
        assert first.read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]
    assert (tmp_path / "x.json").read_text() == "first"


# Apart from what is read ---------------------------------------------------------------------------------------------


def _link(folder: Path) -> Path:
    (folder / "link").symlink_to(folder / "in")
    return folder / "link"


SPELLINGS: dict[str, Callable[[Path], Path]] = {
    "the same": lambda folder: folder / "in",
    "with dots": lambda folder: folder / "x" / ".." / "in" / ".",
    "a link to it": _link,
    "inside it": lambda folder: folder / "in" / "deep" / "out",
    "inside it through a link": lambda folder: _link(folder) / "out",
    "around it": lambda folder: folder,
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_an_output_that_would_delete_its_input_is_refused(tmp_path: Path, spelling: str) -> None:
    source = artefact(tmp_path / "in", "precious")
    (tmp_path / "x").mkdir()
    artefact(tmp_path, "outer")
    target = SPELLINGS[spelling](tmp_path)
    read = [None, tmp_path / "nowhere" / "else", source]
    with pytest.raises(InputError, match="apart from what is read"), new_folder(target, force=True, inputs=read):
        pytest.fail("work was begun")
    assert (source / "cohort.json").read_text() == "precious"
    check_apart(tmp_path / "inside", [source])  # names that only begin alike are apart


@pytest.mark.slow
def test_findings_and_cohorts_may_lie_in_the_folder_of_scans_and_are_not_read_from_it(tmp_path: Path) -> None:
    """``synthoma prepare . -o cohort``, twice: the second time the first one is there, with pictures in it."""
    for number in range(6):
        (tmp_path / f"pat{number}").mkdir()
        Image.fromarray(np.random.default_rng(number).integers(0, 255, (32, 32), np.uint8)).save(
            tmp_path / f"pat{number}" / "slice.png"
        )
    for force in (False, True):
        cohort = prepare(tmp_path, tmp_path / "out" / "cohort", size=16, duplicates=False, jobs=1, force=force)
        assert sorted(cohort.slices["case"].str[:4]) == [f"pat{number}" for number in range(6)]
    with new_folder(tmp_path / "kept.unfinished") as folder:
        (folder / KEPT).mkdir()
        Image.new("L", (32, 32)).save(folder / "overlay.png")
    files, skipped = walk(tmp_path)
    assert [path.name for path in files] == ["slice.png"] * 6
    assert {item.path.name for item in skipped} == {"cohort", "kept.unfinished"}
    assert all("Synthoma wrote" in item.reason for item in skipped)
    with pytest.raises(InputError, match="which is what is read"):
        prepare(tmp_path, tmp_path, force=True)


def test_a_file_inside_the_output_is_an_input_too(tmp_path: Path) -> None:
    artefact(tmp_path / "out", "old")
    with pytest.raises(InputError, match=r"in which .*cohort\.json lies"):
        check_apart(tmp_path / "out", [tmp_path / "out" / "cohort.json"])


def test_a_link_is_followed(tmp_path: Path) -> None:
    artefact(tmp_path / "disk" / "real", "old")
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "real")
    with new_folder(tmp_path / "link", force=True) as partial:
        (partial / "cohort.json").write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "disk" / "real" / "cohort.json").read_text() == "new"
    (tmp_path / "ahead").symlink_to(tmp_path / "disk" / "to-come")
    with new_folder(tmp_path / "ahead") as partial:
        (partial / "cohort.json").write_text("new")
    assert (tmp_path / "disk" / "to-come" / "cohort.json").read_text() == "new"


@pytest.mark.parametrize("name", ["n" * 255, "ü" * 127, "a b\n*[x]", "-o", "x.partial-12345678", ".hidden"])
def test_names_of_every_kind(tmp_path: Path, name: str) -> None:
    for text in ("old", "new"):
        with new_folder(tmp_path / name, force=True) as partial:
            (partial / "cohort.json").write_text(text)
    assert (tmp_path / name / "cohort.json").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["n" * 256, "n\0", "file/out", "loop"])
def test_names_that_no_folder_can_have(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(InputError, match="choose another"), new_folder(tmp_path / name):
        pytest.fail("work was begun")


def test_what_cannot_be_replaced_is_said_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mount").mkdir()
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path).name == "mount")
    with pytest.raises(InputError, match="a disk is mounted"), new_folder(tmp_path / "mount"):
        pytest.fail("work was begun")
    (tmp_path / "scan.png").write_text("precious")
    with pytest.raises(InputError, match="what is read"):
        new_file(tmp_path / "scan.png", force=True, inputs=[tmp_path / "scan.png"])
    with pytest.raises(InputError, match="choose another name"):
        new_file(tmp_path / "mount", force=True)


# Disks ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS])
def test_a_full_disk_is_nobodys_fault(tmp_path: Path, number: int) -> None:
    target = artefact(tmp_path / "out", "old")
    failed = pytest.raises(OutputError)
    with failed as said, new_folder(target, force=True) as partial, writing(partial / "images.npy"):
        raise OSError(number, os.strerror(number))
    assert said.value.expected == f"room to write {target / 'images.npy'}"
    assert said.value.todo.endswith(f"{target} is still what it was")
    assert list(tmp_path.iterdir()) == [target]
    with pytest.raises(OutputError, match="nothing was left behind"), new_folder(tmp_path / "new"):
        raise OSError(number, os.strerror(number))  # by a library that names no file


def test_a_file_beyond_the_limit_leaves_what_was_there(tmp_path: Path) -> None:
    script = (
        "import resource\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "write_text(places[0], 'short')\n"
        "write_text(places[0], 'long' * 1000)\n"
    )
    failed = ran(script, tmp_path / "x.txt")
    assert "OutputError: expected room to write" in failed.stderr
    assert (tmp_path / "x.txt").read_text() == "short"
    assert [path.name for path in tmp_path.iterdir()] == ["x.txt"]


def test_text_with_undecodable_names_is_written(tmp_path: Path) -> None:
    write_text(tmp_path / "list.csv", os.fsdecode(b"caf\xe9.png"))
    assert "caf\\udce9.png" in (tmp_path / "list.csv").read_text()


def test_json_refuses_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "x.json", {"score": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_was_swept_before_it_was_locked_is_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another writer may come between making a partial file and locking it, and take it for a killed one's."""
    lock, swept = whole_files.locked_at_once, list[Path]()

    def late(descriptor: int) -> bool | None:
        if not swept:
            swept.extend(tmp_path.iterdir())
            for path in swept:
                path.unlink()
        return lock(descriptor)

    monkeypatch.setattr(whole_files, "locked_at_once", late)
    with whole_files.whole_file(tmp_path / "a.txt") as partial:
        partial.write_text("whole")
        whole_files.sweep(tmp_path)
    assert len(swept) == 1
    assert (tmp_path / "a.txt").read_text() == "whole"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
