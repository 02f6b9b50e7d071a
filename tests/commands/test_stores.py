"""Object stores: fetched before a command, sent after it, with the mark of the artefact last."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import fsspec
import pytest

from synthoma.cohorts.cohort import Cohort
from synthoma.commands.app import main
from synthoma.commands.claims import Claim
from synthoma.commands.stores import stored_places
from synthoma.commands.transfers import MARKS
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
    def broken(source: str, to: str, **more: object) -> None:
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


def _claim(store: fsspec.AbstractFileSystem, at: str, **more: object) -> None:
    """A claim of another computer."""
    store.pipe(at, json.dumps(asdict(replace(Claim(host="elsewhere", system="x"), **more))).encode())


def test_a_second_writer_is_refused_before_it_begins(store: fsspec.AbstractFileSystem) -> None:
    words = ["prepare", "x", "-o", "memory://b/out"]
    with pytest.raises(OutputError, match="another command has taken the place"), stored_places(words) as first:
        assert store.find("/b") == ["/b/.out.writing"]
        _claim(store, "/b/.out.writing")  # what another computer sees of it
        with pytest.raises(OutputError, match=r"being written by process .* of elsewhere since"), stored_places(words):
            pytest.fail("nothing is done")
        # Somebody takes the place all the same: what the first one made is not mixed with that.
        with stored_places([*words, "--force"]) as second:
            _cohort(Path(second[3]))
        _cohort(Path(first[3]))
        (Path(first[3]) / "cohort.json").write_bytes(b"{}")
    assert store.cat("/b/out/cohort.json") != b"{}"
    assert (Path(first[3]) / "cohort.json").exists(), "what was made is kept"
    shutil.rmtree(Path(first[3]).parents[1])


def test_the_claim_goes_with_its_command(store: fsspec.AbstractFileSystem) -> None:
    with pytest.raises(InputError), stored_places(["prepare", "x", "-o", "memory://b/out"]):
        raise InputError("a scan", "none", "look")
    assert not store.find("/b")


def test_who_was_killed_holds_no_place_unless_a_part_was_sent(store: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    words = ["prepare", "x", "-o", "memory://b/out"]
    ended = {**asdict(Claim()), "token": "0", "process": 2**22 + 1}
    store.pipe("/b/.out.writing", json.dumps(ended).encode())
    with stored_places(words):
        pass
    cut = {**ended, "files": ["images.npy", "slices.csv"]}
    store.pipe("/b/.out.writing", json.dumps(cut).encode())
    store.pipe("/b/out/images.npy", b"half")
    for refused in (
        ["info", "memory://b/out"],
        ["info", "memory://b/out/images.npy"],
        ["detect", "memory://b", "-o", "y"],
    ):
        with pytest.raises(InputError, match="a complete artefact"), stored_places(refused):
            pytest.fail("nothing is read")
    with pytest.raises(OutputError, match="--force"), stored_places(words):
        pytest.fail("nothing is done")
    store.pipe("/b/out/notes.txt", b"a week of reading")
    with pytest.raises(OutputError, match=r"other files.*notes\.txt"), stored_places([*words, "--force"]):
        pytest.fail("nothing is done")
    store.rm("/b/out/notes.txt")
    with stored_places([*words, "--force"]) as told:
        _cohort(Path(told[3]))
    with stored_places(["info", "memory://b/out"]) as told:
        assert len(Cohort(told[1])) == 6


def test_torn_claims_are_claims(store: fsspec.AbstractFileSystem) -> None:
    store.pipe("/b/.out.writing", b'{"token": 3')
    with pytest.raises(OutputError, match="--force"), stored_places(["prepare", "x", "-o", "memory://b/out"]):
        pytest.fail("nothing is done")


def test_shares_add_to_their_parts_and_take_nothing_from_them(store: fsspec.AbstractFileSystem) -> None:
    words = ["prepare", "x", "-o", "memory://b/out", "--parts", "memory://b/parts", "--shard"]
    store.pipe("/b/parts/old", b"0")
    with stored_places([*words, "1/2"]) as first:
        (Path(first[5]) / "one").write_bytes(b"1")
        (Path(first[5]) / "old").unlink()
        with stored_places([*words, "2/2"]) as second:  # both write the same output, in the end
            (Path(second[5]) / "two").write_bytes(b"2")
    assert store.find("/b") == ["/b/parts/one", "/b/parts/two"]


def test_processes_that_follow_send_nothing(store: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    store.pipe("/b/run/run.json", b"old")
    monkeypatch.setenv("WORLD_SIZE", "2")
    words = ["train", "cohort", "-o", "memory://b/run", "--resume"]
    with stored_places(words) as first:
        monkeypatch.setenv("RANK", "1")
        with stored_places(words) as told:
            assert (Path(told[3]) / "run.json").read_bytes() == b"old"
            (Path(told[3]) / "run.json").write_bytes(b"of one that follows")
        assert store.cat("/b/run/run.json") == b"old"
        (Path(first[3]) / "run.json").write_bytes(b"new")
    assert store.cat("/b/run/run.json") == b"new"


def test_torchrun_starts_again_with_what_was_sent(
    store: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.pipe("/b/run/run.json", b"old")
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    with stored_places(["train", "cohort", "-o", "memory://b/run"]) as told:
        assert (Path(told[3]) / "run.json").read_bytes() == b"old"


def test_what_changes_while_it_is_fetched_is_not_read(
    store: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.pipe("/b/cohort/images.npy", b"1")
    get = store.get_file

    def slow(path: str, local: str, **more: object) -> None:
        get(path, local, **more)
        store.pipe("/b/cohort/images.npy", b"of another")

    monkeypatch.setattr(store, "get_file", slow)
    with pytest.raises(InputError, match="changed while"), stored_places(["info", "memory://b/cohort"]):
        pytest.fail("nothing is done")


def test_only_what_changed_is_sent_again(store: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b", "run.json"):
        store.pipe(f"/b/run/{name}", b"0")
    sent: list[str] = []
    put = store.put_file
    monkeypatch.setattr(store, "put_file", lambda source, to, **more: (sent.append(to), put(source, to, **more)))
    with stored_places(["train", "cohort", "-o", "memory://b/run", "--resume"]) as told:
        (Path(told[3]) / "b").write_bytes(b"11")
    assert sent == ["/b/run/b", "/b/run/run.json"]
    assert store.cat("/b/run/b") == b"11"
