"""The DICOM node against a sender: who may come in, what is kept, and what is told to whom."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset

from synthoma.core.errors import ConfigError, InputError, OutputError
from synthoma.hospital.listen import Listener, looked, retry_s
from synthoma.hospital.peers import Peer, receiver, send
from synthoma.hospital.settings import ListenConfig
from tests.detection.test_detect import bright_box
from tests.hospital.conftest import Running, until
from tests.scans.writers import OBLIQUE, SECRETS, write_dicom

pytestmark = pytest.mark.heavy

Start = Callable[..., Running]


def quiet(images: Path, found: Path, most_s: float) -> str:
    """Look at nothing, and find as many files as came."""
    found.mkdir(exist_ok=True)
    (found / "count").write_text(str(len(list(images.iterdir()))))
    return ""


def series(folder: Path, **given: Any) -> list[Path]:
    return write_dicom(folder, bright_box((6, 32, 32)), OBLIQUE, **given)


def peer(node: Running, title: str = "SYNTHOMA") -> Peer:
    return Peer(title, "127.0.0.1", node.port)


def associated(node: Running, files: list[Path], title: str = "SYNTHOMA") -> Any:
    """An open association that can send these files, and the files."""
    from pynetdicom import AE

    entity = AE(ae_title="SCANNER")
    heads = [pydicom.dcmread(file) for file in files]
    for head in heads:
        entity.add_requested_context(head.SOPClassUID, head.file_meta.TransferSyntaxUID)
    return entity.associate("127.0.0.1", node.port, ae_title=title), heads


def test_it_says_that_it_is_there(start: Start) -> None:
    from pynetdicom import AE

    node = start(look=quiet)
    entity = AE(ae_title="SCANNER")
    entity.add_requested_context("1.2.840.10008.1.1")
    association = entity.associate("127.0.0.1", node.port, ae_title="SYNTHOMA")
    assert association.send_c_echo().Status == 0
    association.release()


def test_a_study_comes_in_bit_for_bit_and_is_looked_at_once(start: Start, tmp_path: Path) -> None:
    node = start(look=quiet, keep_images=True)
    files = series(tmp_path / "in")
    send(files, peer(node))
    until(lambda: node.states() == ["found"])
    [study] = node.listener.inbox.studies()
    place = node.listener.inbox.place(study)
    assert (place / "found" / "count").read_text() == "6"
    pixels = {pydicom.dcmread(file).SOPInstanceUID: pydicom.dcmread(file).PixelData for file in files}
    kept = [pydicom.dcmread(file) for file in (place / "received").iterdir()]
    assert {one.SOPInstanceUID: one.PixelData for one in kept} == pixels
    time.sleep(1)
    assert [one["event"] for one in node.audit()].count("looked at") == 1


def test_too_little_memory_for_a_process_does_not_end_the_node(start: Start, tmp_path: Path) -> None:
    def no_room(images: Path, found: Path, most_s: float) -> str:
        raise OutputError("a process for `synthoma detect`", "Cannot allocate memory", "make room or memory")

    node = start(look=no_room)
    send(series(tmp_path / "in"), peer(node))
    until(lambda: node.states() == ["failed"])
    send(series(tmp_path / "in"), peer(node))
    until(lambda: [one["event"] for one in node.audit()].count("failed") == 2)


def test_images_are_removed_after_looking_unless_they_are_to_stay(start: Start, tmp_path: Path) -> None:
    node = start(look=quiet)
    send(series(tmp_path / "in"), peer(node))
    until(lambda: node.states() == ["found"])
    until(lambda: not list(node.folder.rglob("*.dcm")))


def test_who_calls_another_title_or_is_not_allowed_is_turned_away(start: Start, tmp_path: Path) -> None:
    files = series(tmp_path / "in")
    node = start(look=quiet)
    with pytest.raises(InputError, match="an answer that refuses"):
        send(files, peer(node, "OTHER"))
    known = start("known", quiet, allow=("PACS",))
    with pytest.raises(InputError, match="an answer that refuses"):
        send(files, peer(known), calling="STRANGER")
    send(files, peer(known), calling="PACS")
    until(lambda: known.states() == ["found"])
    assert not node.states()
    assert "turned away" in [one["event"] for one in node.audit()]


def test_a_sender_that_is_cut_off_is_no_study_until_it_comes_again(start: Start, tmp_path: Path) -> None:
    node = start(look=quiet)
    files = series(tmp_path / "in")
    association, heads = associated(node, files)
    for head in heads[:3]:
        assert association.send_c_store(head).Status == 0
    association.abort()
    until(lambda: node.states() == ["interrupted"])
    time.sleep(1)
    assert node.states() == ["interrupted"]
    send(files, peer(node))
    until(lambda: node.states() == ["found"])
    assert [one["images"] for one in node.audit() if one["event"] == "looked at"] == [6]


def test_a_full_disk_is_said_to_the_sender_and_leaves_nothing_torn(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = start(look=quiet, free_gib=1)
    room = namedtuple("room", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: room(10, 10, 2**30))
    with pytest.raises(InputError, match="0xa700"):
        send(series(tmp_path / "in"), peer(node))
    assert not list(node.folder.rglob("*.dcm"))
    monkeypatch.undo()
    send(series(tmp_path / "again"), peer(node))
    until(lambda: "found" in node.states())


def test_a_study_of_which_an_image_was_refused_is_not_looked_at(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its sender says goodbye all the same; when it sends the whole study again, all goes on."""
    node = start(look=quiet, free_gib=1)
    room, asked = namedtuple("room", "total used free"), []

    def usage(path: Path) -> object:
        asked.append(path)
        return room(10, 10, 2**40 if len(asked) <= 3 else 0)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    files = series(tmp_path / "in")
    with pytest.raises(InputError, match="0xa700"):
        send(files, peer(node))
    until(lambda: node.states() == ["interrupted"])
    time.sleep(1)
    assert node.states() == ["interrupted"]
    monkeypatch.undo()
    send(files, peer(node))
    until(lambda: node.states() == ["found"])
    assert [one["images"] for one in node.audit() if one["event"] == "looked at"] == [6]


def test_two_studies_at_once_stay_apart(start: Start, tmp_path: Path) -> None:
    node = start(look=quiet)
    studies = [series(tmp_path / name) for name in ("a", "b", "c")]
    threads = [threading.Thread(target=send, args=(files, peer(node))) for files in studies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(lambda: node.states() == ["found"] * 3)
    counts = [(node.listener.inbox.place(one) / "found" / "count").read_text() for one in node.listener.inbox.studies()]
    assert counts == ["6", "6", "6"]


def test_our_own_results_that_come_back_start_nothing(start: Start, tmp_path: Path) -> None:
    def report(dataset: Dataset, index: int) -> None:
        kind = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.88.34")[index % 2]
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = kind

    node = start(look=quiet)
    send(series(tmp_path / "in", change=report), peer(node))
    time.sleep(1)
    assert node.states() == []


def test_the_audit_log_and_file_names_know_nobody(start: Start, tmp_path: Path) -> None:
    node = start(look=quiet, keep_images=True)
    files = series(tmp_path / "in")
    send(files, peer(node))
    until(lambda: node.states() == ["found"])
    text = (node.folder / "audit.jsonl").read_text()
    text += "\n".join(path.name for path in node.folder.rglob("*"))
    text += "\n".join(path.read_text() for path in node.folder.rglob("study.json"))
    head = pydicom.dcmread(files[0])
    for secret in (*map(str, SECRETS.values()), head.StudyInstanceUID, head.SOPInstanceUID):
        assert secret not in text
    assert {"listening", "received", "looked at"} <= {one["event"] for one in node.audit()}


def test_a_study_that_cannot_be_looked_at_says_why_and_the_next_one_comes(start: Start, tmp_path: Path) -> None:
    def failing(images: Path, found: Path, most_s: float) -> str:
        return "exit 2: expected better" if len(list(images.iterdir())) == 6 else quiet(images, found, most_s)

    node = start(look=failing)
    send(series(tmp_path / "a"), peer(node))
    until(lambda: node.states() == ["failed"])
    send(write_dicom(tmp_path / "b", bright_box((7, 32, 32)), OBLIQUE), peer(node))
    until(lambda: node.states() == ["failed", "found"])
    assert [one["why"] for one in node.audit() if one["event"] == "failed"] == ["exit 2: expected better"]


def test_results_go_to_another_node_and_wait_while_it_is_away(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("synthoma.hospital.listen.retry_s", lambda tries: 0.2)
    result = series(tmp_path / "result")[0]

    def finding(images: Path, found: Path, most_s: float) -> str:
        found.mkdir(exist_ok=True)
        shutil.copy(result, found / "scan_seg.dcm")
        return ""

    away = start("first", quiet)
    port = away.port
    away.listener.end()
    until(lambda: away.audit()[-1]["event"] == "ended")
    node = start("second", finding, send_to=f"ARCHIVE@127.0.0.1:{port}")
    send(series(tmp_path / "in"), peer(node))
    until(lambda: node.states() == ["unsent"])
    archive = start("third", quiet, port=port, aet="ARCHIVE", keep_images=True)
    until(lambda: node.states() == ["sent"])
    until(lambda: archive.states() == ["found"])
    [kept] = archive.folder.rglob("*.dcm")
    assert pydicom.dcmread(kept).SOPInstanceUID == pydicom.dcmread(result).SOPInstanceUID


def test_a_folder_is_of_one_node(start: Start, tmp_path: Path) -> None:
    start(look=quiet)
    with pytest.raises(InputError, match="another node listens"):
        Listener(tmp_path / "inbox", ListenConfig())


def test_other_computers_need_names(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--allow PACS,MR1"):
        Listener(tmp_path / "in", ListenConfig(host="0.0.0.0"))
    assert not (tmp_path / "in").exists()


@pytest.mark.parametrize("wrong", ["PACS", "PACS@host", "PACS@host:99999", "@host:104", "http://host", "A\\B@h:104"])
def test_receivers_that_are_none(wrong: str) -> None:
    with pytest.raises(ConfigError, match="a receiver TITLE@HOST:PORT"):
        receiver(wrong)
    assert receiver("PACS@[::1]:104") == Peer("PACS", "::1", 104)


def test_titles_are_those_of_the_standard() -> None:
    for wrong in ("", " ", "A" * 17, "A\\B", "tab\t", " A"):
        with pytest.raises(ConfigError):
            ListenConfig.resolve(flags={"aet": wrong})
    assert ListenConfig.resolve(flags={"aet": "MY NODE"}).aet == "MY NODE"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="certificates: openssl is not installed")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # sockets of the one turned away
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_with_certificates_nobody_comes_in_without(start: Start, tmp_path: Path) -> None:
    from synthoma.hospital.node import client_tls

    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=node",
         "-keyout", str(tmp_path / "node.key"), "-out", str(tmp_path / "node.pem")],
        check=True, capture_output=True,
    )  # fmt: skip
    tls = {name: tmp_path / f"node.{end}" for name, end in (("tls_cert", "pem"), ("tls_key", "key"), ("tls_ca", "pem"))}
    node = start(look=quiet, **tls)
    files = series(tmp_path / "in")
    with pytest.raises(InputError):
        send(files, peer(node))
    send(files, peer(node), tls=client_tls(ListenConfig.resolve(flags=tls)))
    until(lambda: node.states() == ["found"])
    with pytest.raises(ConfigError, match="--tls-cert"):
        Listener(tmp_path / "other", ListenConfig.resolve(flags={"tls_ca": tmp_path / "node.pem"}))


def test_a_process_that_hangs_is_ended_with_its_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "hang.py"
    script.write_text("import subprocess, sys, time\nsubprocess.Popen(['sleep', '61'])\ntime.sleep(61)\n")
    monkeypatch.setattr(sys, "executable", shutil.which("python3") or sys.executable)
    real = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda command, **given: real([command[0], str(script)], **given))
    began = time.monotonic()
    assert looked(tmp_path, tmp_path / "found", 0.5) == "given up after 0.5 s"
    assert time.monotonic() - began < 30


def test_sending_waits_longer_each_time_and_ends() -> None:
    assert [retry_s(tries) for tries in (1, 2, 3, 8)] == [30, 60, 120, 3600]
    assert retry_s(12) == float("inf")
