"""Object stores: fetched before a command, sent after it, with the mark of the artefact last."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from synthoma.cohorts.cohort import Cohort
from synthoma.commands.app import main
from synthoma.commands.stores import MARKS, stored_places
from synthoma.core.errors import ConfigError, InputError, OutputError
from tests.toys import blobs, write_cohort


@pytest.fixture
def store() -> Iterator[fsspec.AbstractFileSystem]:
    """An empty store in memory."""
    found = fsspec.filesystem("memory")
    found.store.clear()
    found.pseudo_dirs[:] = [""]
    yield found
    found.store.clear()


def _cohort(folder: Path) -> Path:
    images, masks = blobs(6)
    return write_cohort(folder, images, masks=masks, mask_names={"1": "tumour"}).path


def test_other_addresses_and_words_stay(tmp_path: Path) -> None:
    words = ["detect", "dicomweb+https://host/x", "--scheduler", "tcp://host:1", "--set", "a=s3://b/c", "s3:/b/c"]
    with stored_places(words) as told:
        assert told == words


def test_what_is_read_is_fetched_and_what_is_made_is_sent(
    store: fsspec.AbstractFileSystem, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put(str(_cohort(tmp_path / "cohort")), "/bucket/toys", recursive=True)
    sent: list[str] = []
    put = store.put_file
    monkeypatch.setattr(store, "put_file", lambda source, to, **more: (sent.append(to), put(source, to, **more)))
    monkeypatch.setattr(
        "sys.argv", ["synthoma", "export", "memory://bucket/toys", "--to", "png", "-o", "memory://bucket/out"]
    )
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0
    said = capfd.readouterr().out
    assert "memory://bucket/out" in said
    assert "synthoma-" not in said  # no folder of this computer that is gone when it is read
    assert sent[-1].endswith("/export.json")
    assert len(store.glob("/bucket/out/**/*.png")) == 12
    assert len(store.find("/bucket/toys")) == 4


def test_an_output_that_is_there_is_not_overwritten(store: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    store.pipe("/bucket/out/cohort.json", b"{}")
    words = ["prepare", "--phantom", "2", "-o", "memory://bucket/out"]
    with pytest.raises(OutputError, match="--force"), stored_places(words):
        pytest.fail("nothing is done")
    with stored_places([*words, "--force"]) as told:
        _cohort(Path(told[4]))
    assert store.cat("/bucket/out/cohort.json") != b"{}"
    store.get("/bucket/out", str(tmp_path / "back"), recursive=True)
    assert len(Cohort(tmp_path / "back")) == 6


def test_nothing_is_sent_after_an_error_but_finished_parts(store: fsspec.AbstractFileSystem) -> None:
    words = ["prepare", "scans", "-o", "memory://b/out", "--parts=memory://b/parts"]
    with pytest.raises(InputError, match="memory://b/out"), stored_places(words) as told:
        Path(told[3]).mkdir()
        (parts := Path(told[4].partition("=")[2])).mkdir()
        (parts / "one").write_bytes(b"1")
        (Path(told[3]) / "x").write_bytes(b"2")
        raise InputError("a scan", f"none in {told[3]}", "look")
    assert store.find("/b") == ["/b/parts/one"]


def test_a_command_that_goes_on_finds_what_was_there(store: fsspec.AbstractFileSystem) -> None:
    store.pipe("/b/run/checkpoint/state", b"7")
    with stored_places(["train", "cohort", "-o", "memory://b/run", "--resume"]) as told:
        assert (Path(told[3]) / "checkpoint" / "state").read_bytes() == b"7"
        (Path(told[3]) / "checkpoint" / "state").unlink()
        (Path(told[3]) / "model.safetensors").write_bytes(b"8")
    assert store.find("/b/run") == ["/b/run/model.safetensors"]  # what is gone here is gone there


def test_a_transfer_cut_off_leaves_no_artefact(
    store: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(source: str, to: str) -> None:
        if to.endswith("masks.npy"):
            raise OSError("the line is down")
        store.pipe(to, Path(source).read_bytes())

    monkeypatch.setattr(store, "put_file", broken)
    store.pipe("/b/out/cohort.json", b"an old one")
    with (
        pytest.raises(OutputError, match="line is down"),
        stored_places(["x", "-o", "memory://b/out", "--force"]) as told,
    ):
        _cohort(Path(told[2]))
    assert not [path for path in store.find("/b/out") if path.rpartition("/")[2] in MARKS]


def test_force_replaces_nothing_but_artefacts(store: fsspec.AbstractFileSystem) -> None:
    store.pipe("/b/scans/p0/flair.nii.gz", b"a patient's")
    store.pipe("/b/scans/p0/cohort.json", b"{}")
    for place in ("memory://b", "memory://b/scans"):
        with pytest.raises(OutputError, match="other files"), stored_places(["prepare", "x", "-o", place, "--force"]):
            pytest.fail("nothing is done")
    assert len(store.find("/b")) == 2


def test_force_keeps_what_lies_beside_an_artefact(store: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    # A table of somebody's scans that bears a name of ours.
    store.pipe("/b/scans/index.csv", b"scan,age")
    store.pipe("/b/scans/p0_flair.nii.gz", b"a patient's")
    store.put(str(_cohort(tmp_path / "cohort")), "/b/cohort", recursive=True)
    store.pipe("/b/cohort/notes.txt", b"a week of reading")
    for place, other in (("memory://b/scans", "index.csv"), ("memory://b/cohort", "notes.txt")):
        words = ["prepare", "x", "-o", place, "--force"]
        with pytest.raises(OutputError, match=f"other files.*{other}"), stored_places(words):
            pytest.fail("nothing is done")
    assert store.cat("/b/scans/p0_flair.nii.gz") == b"a patient's"
    assert store.cat("/b/cohort/notes.txt") == b"a week of reading"


@pytest.mark.parametrize("word", ["-omemory://b/out", "-o=memory://b/out", "--output=memory://b/out"])
def test_an_address_may_stand_in_one_word_with_its_option(store: fsspec.AbstractFileSystem, word: str) -> None:
    with stored_places(["prepare", "x", word]) as told:
        option, place = told[2][: told[2].index("/")], Path(told[2][told[2].index("/") :])
        assert option == ("--output=" if word.startswith("--") else "-o")
        place.mkdir()
        (place / "cohort.json").write_bytes(b"1")
    assert store.find("/b") == ["/b/out/cohort.json"]


def test_what_a_stopped_training_has_is_sent(store: fsspec.AbstractFileSystem) -> None:
    with pytest.raises(KeyboardInterrupt), stored_places(["train", "cohort", "-o", "memory://b/run"]) as told:
        (Path(told[3]) / "checkpoint").mkdir(parents=True)
        (Path(told[3]) / "checkpoint" / "state").write_bytes(b"7")
        raise KeyboardInterrupt
    assert store.cat("/b/run/checkpoint/state") == b"7"
    assert not Path(told[3]).exists()


def test_what_is_not_there_and_stores_that_nobody_installed(
    store: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="came nothing"), stored_places(["info", "memory://b/none"]):
        pytest.fail("nothing is done")

    def missing(address: str) -> None:
        raise ImportError

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    with pytest.raises(ConfigError, match="s3fs"), stored_places(["info", "s3://b/none"]):
        pytest.fail("nothing is done")


@pytest.mark.heavy
def test_a_real_s3_server_round_trip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("s3fs", reason="s3fs is not installed")
    server = pytest.importorskip("moto.server", reason="moto, a server that speaks S3, is not installed")
    for name, value in {"ACCESS_KEY_ID": "x", "SECRET_ACCESS_KEY": "x", "DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    running.start()
    try:
        host, port = running.get_host_and_port()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        monkeypatch.setenv("NO_PROXY", ",".join(filter(None, (os.environ.get("NO_PROXY"), host))))
        fsspec.filesystem("s3").mkdir("scans")
        for words in (
            ["prepare", "--phantom", "2", "-o", "s3://scans/two", "--size", "64", "--set", "grid=slices"],
            ["export", "s3://scans/two", "--to", "nifti", "-o", "s3://scans/files"],
            ["prepare", "s3://scans/files", "-o", "s3://scans/again", "--size", "64"],
        ):
            monkeypatch.setattr("sys.argv", ["synthoma", *words])
            with pytest.raises(SystemExit) as end:
                main()
            assert end.value.code == 0, words
        fsspec.filesystem("s3").get("scans/again", str(tmp_path / "again"), recursive=True)
        assert Cohort(tmp_path / "again").slices["case"].nunique() == 2
    finally:
        running.stop()
