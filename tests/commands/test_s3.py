"""Object stores as they are: a server that speaks S3, and what goes wrong between it and a command."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import fsspec
import pytest

from synthoma.commands.app import main
from synthoma.commands.transfers import MARKS
from tests.toys import blobs, write_cohort

pytestmark = pytest.mark.heavy


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    pytest.importorskip("s3fs", reason="s3fs is not installed")
    moto = pytest.importorskip("moto.server", reason="moto, a server that speaks S3, is not installed")
    running = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    yield "http://{}:{}".format(*running.get_host_and_port())
    running.stop()


@pytest.fixture
def store(server: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> fsspec.AbstractFileSystem:
    """A store with an empty bucket called ``lab``."""
    told = {"ACCESS_KEY_ID": "x", "SECRET_ACCESS_KEY": "x", "DEFAULT_REGION": "us-east-1", "ENDPOINT_URL": server}
    for name, value in told.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, ",".join(filter(None, (os.environ.get(name), "127.0.0.1"))))
    fsspec.filesystem("s3").clear_instance_cache()
    found = fsspec.filesystem("s3")
    if found.exists("lab"):
        found.rm("lab", recursive=True)
    found.mkdir("lab")
    return found


def call(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """The exit code of a command."""
    monkeypatch.setattr("sys.argv", ["synthoma", *words])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def cohort(folder: Path) -> Path:
    images, masks = blobs(48, size=32)
    splits, names = ["train"] * 32 + ["validation"] * 8 + ["test"] * 8, {"1": "tumour"}
    return write_cohort(folder, images, None, masks, splits=splits, origin="real", mask_names=names).path


def test_no_bucket_and_no_credentials_are_said_before_anything_is_done(
    store: fsspec.AbstractFileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    here = str(cohort(tmp_path / "cohort"))
    export = ["export", here, "--to", "png", "-o"]
    assert call(monkeypatch, *export, "s3://none/out") == 2
    assert "bucket does not exist" in capfd.readouterr().err
    assert not store.exists("none"), "a bucket is nothing to make unasked"
    assert call(monkeypatch, "info", "s3://none/cohort") == 2
    assert "s3://none/cohort" in capfd.readouterr().err
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    fsspec.filesystem("s3").clear_instance_cache()
    for words in (["info", "s3://lab/cohort"], [*export, "s3://lab/out"]):
        assert call(monkeypatch, *words) == 2
        said = capfd.readouterr()
        assert "AWS_PROFILE" in said.err
        assert "Traceback" not in said.err


def killed_at(name: str, words: Sequence[str]) -> None:
    """Run a command that is killed, without a chance to tidy up, when it begins to send a file."""
    code = (
        "import asyncio, os, sys, s3fs\n"
        "put, at, arrived = s3fs.S3FileSystem._put_file, sys.argv.pop(), []\n"
        "async def cut(self, local, to, *more, **rest):\n"
        "    while to.endswith(at) and not arrived:\n"
        "        await asyncio.sleep(0.01)\n"
        "    if to.endswith(at):\n"
        "        os.kill(os.getpid(), 9)\n"
        "    await put(self, local, to, *more, **rest)\n"
        "    arrived.append(to)\n"
        "s3fs.S3FileSystem._put_file = cut\n"
        "from synthoma.commands.app import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *words, name], capture_output=True, timeout=300)
    assert done.returncode == -9, done.stderr[-2000:]


@pytest.mark.parametrize("at", ["README.md", "export.json"])
def test_who_is_killed_while_sending_leaves_nothing_that_looks_whole(
    store: fsspec.AbstractFileSystem,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    at: str,
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # what is left there is ours to remove
    words = ["export", str(cohort(tmp_path / "cohort")), "--to", "png", "-o", "s3://lab/out"]
    killed_at(at, words)
    store.invalidate_cache()
    assert not [path for path in store.find("lab/out") if path.rpartition("/")[2] in MARKS]
    for reads in ("s3://lab/out", "s3://lab"):
        assert call(monkeypatch, "info", reads) == 2
        assert "was being sent" in capfd.readouterr().err
    assert call(monkeypatch, *words) == 2
    assert "--force" in capfd.readouterr().err
    assert call(monkeypatch, *words, "--force") == 0
    assert call(monkeypatch, "info", "s3://lab/out") == 0


def test_of_two_writers_one_is_refused_and_the_other_is_whole(
    store: fsspec.AbstractFileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["export", str(cohort(tmp_path / "cohort")), "--to", "png", "-o", "s3://lab/out"]
    both = [
        subprocess.Popen([sys.executable, "-m", "synthoma", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=300)[1].decode() for process in both]
    assert sorted(process.returncode for process in both) == [0, 2], said
    refused = said[[process.returncode for process in both].index(2)]
    assert "expected a free place for the output" in refused
    assert call(monkeypatch, "info", "s3://lab/out") == 0


def test_names_in_a_bucket_do_not_lead_out_of_the_folder(
    store: fsspec.AbstractFileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    store.pipe_file("lab/scans/../../../evil", b"1")
    store.pipe_file("lab/scans/p0_flair.nii.gz", b"1")
    assert call(monkeypatch, "info", "s3://lab/scans") == 2
    assert "evil" in capfd.readouterr().err
    assert not list(tmp_path.rglob("evil"))
