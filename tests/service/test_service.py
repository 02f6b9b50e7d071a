"""Detection as a service: who may ask, what is found, what is refused, and what survives a kill."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import threading
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="the service: fastapi is not installed")
pytest.importorskip("prometheus_client", reason="the service: prometheus-client is not installed")

with warnings.catch_warnings():  # it would rather have httpx2
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

import synthoma
from synthoma.core.errors import ConfigError, InputError, OutputError
from synthoma.detection.settings import DetectConfig
from synthoma.service.jobs import Jobs
from synthoma.service.serve import Service, token_of
from synthoma.service.settings import ServeConfig
from synthoma.service.worker import Worker
from synthoma.training.bundle import shipped_model
from tests.detection.test_detect import bright_box
from tests.scans.writers import FLAT, write_nifti
from tests.service.looking import counting

Ask = Callable[..., Any]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., tuple[TestClient, Service]]]:
    """Services with one worker each, and a client that knows the token."""
    begun: list[tuple[Service, threading.Thread]] = []

    def start(folder: str = "service", **set_: Any) -> tuple[TestClient, Service]:
        options = ServeConfig.resolve(flags={"longest_s": 20, **set_})
        service = Service(tmp_path / folder, shipped_model(), options, counting)
        thread = threading.Thread(target=service.work, args=(service._workers[0],), daemon=True)
        thread.start()
        begun.append((service, thread))
        return TestClient(service.app, headers={"authorization": f"Bearer {service.token}"}), service

    yield start
    for service, thread in begun:
        service.end()
        thread.join(30)


def sent(client: TestClient, *names: str, **fields: str) -> Any:
    files = [("files", (name, b"content of " + name.encode())) for name in names]
    return client.post("/detect/files", files=files, data=fields)


def ended(client: TestClient, job: str, seconds: float = 60) -> dict[str, Any]:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        answer: dict[str, Any] = client.get(f"/jobs/{job}").json()
        if answer["state"] in ("found", "failed"):
            return answer
        time.sleep(0.05)
    raise AssertionError("it never ended")


@pytest.mark.slow
def test_files_are_looked_at_and_removed_and_results_fetched_and_forgotten(serve: Ask, tmp_path: Path) -> None:
    client, _ = serve()
    answer = sent(client, "a.nii", "b.nii", threshold="0.4")
    assert answer.status_code == 202
    found = ended(client, answer.json()["job"])
    assert found["scans"][0]["case"] == "a.nii+b.nii"
    assert found["files"] == ["index.csv", "mask.nii.gz"]
    assert "not for clinical use" in found["not_for_clinical_use"]
    assert client.get(f"/jobs/{found['job']}/files/mask.nii.gz").content == b"mask"
    assert not list(tmp_path.rglob("*.nii"))
    assert client.delete(f"/jobs/{found['job']}").status_code == 204
    assert client.get(f"/jobs/{found['job']}").status_code == 404
    assert not list((tmp_path / "service" / "jobs").iterdir())


@pytest.mark.slow
def test_a_zip_is_unpacked(serve: Ask) -> None:
    client, _ = serve()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("p/one.nii", b"1")
        file.writestr("p/two.nii", b"2")
    answer = client.post("/detect/files", files=[("files", ("scans.zip", packed.getvalue()))])
    assert ended(client, answer.json()["job"])["scans"][0]["case"] == "one.nii+two.nii"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/metrics"), ("POST", "/detect"), ("POST", "/detect/files"), ("GET", f"/jobs/{'0' * 32}"),
        ("GET", f"/jobs/{'0' * 32}/files/x"), ("DELETE", f"/jobs/{'0' * 32}"),
    ],
)  # fmt: skip
def test_nobody_gets_in_without_the_token(serve: Ask, method: str, path: str) -> None:
    client, service = serve()
    for token in ("", "Bearer ", "Bearer wrong", f"Basic {service.token}", f"Bearer {service.token}x"):
        assert client.request(method, path, headers={"authorization": token}).status_code == 401
    assert client.request(method, path).status_code != 401


def test_every_address_that_tells_something_asks_for_the_token(serve: Ask) -> None:
    client, _ = serve()
    shown = client.get("/openapi.json").json()
    for path, methods in shown["paths"].items():
        for said in methods.values():
            assert path == "/health" or said["security"], path
    assert set(client.get("/health").json()) == {"status", "version"}


@pytest.mark.slow
def test_scans_are_named_only_below_the_folder(tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "one.nii").write_bytes(b"1")
    (tmp_path / "secret.nii").write_bytes(b"2")
    (tmp_path / "scans" / "link.nii").symlink_to(tmp_path / "secret.nii")
    service = Service(tmp_path / "with", shipped_model(), ServeConfig(folder=tmp_path / "scans"), counting)
    thread = threading.Thread(target=service.work, args=(service._workers[0],), daemon=True)
    thread.start()
    client = TestClient(service.app, headers={"authorization": f"Bearer {service.token}"})
    try:
        answer = client.post("/detect", json={"path": "one.nii"})
        assert ended(client, answer.json()["job"])["scans"][0]["case"] == "one.nii"
        assert (tmp_path / "scans" / "one.nii").is_file()
        for wrong in ("../secret.nii", "/etc/passwd", "link.nii", "nothing.nii", "a/../../secret.nii"):
            assert client.post("/detect", json={"path": wrong}).status_code in (403, 404), wrong
    finally:
        service.end()
        thread.join(30)


def test_without_a_folder_no_path_is_taken(serve: Ask) -> None:
    client, _ = serve()
    assert client.post("/detect", json={"path": "one.nii"}).status_code == 403


def test_what_is_wrong_is_said(serve: Ask) -> None:
    client, _ = serve(upload_gib=1e-6)
    assert sent(client, "a.nii", threshold="7").status_code == 422
    assert sent(client, "a.nii", colour="red").status_code == 422
    assert client.post("/detect/files", files=[("files", ("big.nii", bytes(5000)))]).status_code == 413
    assert client.post("/detect/files", data={"threshold": "0.5"}).status_code in (400, 415)
    assert client.post("/detect").status_code == 415
    for number in ("x", "0" * 32, "../../x", "0" * 31):
        assert client.get(f"/jobs/{number}").status_code == 404


@pytest.mark.slow
def test_a_scan_that_hangs_dies_or_fails_stops_nobody(serve: Ask) -> None:
    client, _ = serve(longest_s=3)
    jobs = [sent(client, name).json()["job"] for name in ("hang.nii", "die.nii", "bad.nii", "bug.nii", "good.nii")]
    said = [ended(client, job) for job in jobs]
    assert said[0]["why"] == "given up after 3 s"
    assert "ended without a word" in said[1]["why"]
    assert said[2]["why"] == "expected a scan; came none; send one"
    assert said[3]["why"] == "a fault of the program: ValueError"
    assert said[4]["state"] == "found"
    text = client.get("/metrics").text
    assert 'synthoma_requests_total{state="failed"} 4.0' in text
    assert 'synthoma_requests_total{state="found"} 1.0' in text


@pytest.mark.slow
def test_a_process_serves_many(serve: Ask) -> None:
    client, _ = serve()
    pids = {ended(client, sent(client, f"{n}.nii").json()["job"])["scans"][0]["probability"] for n in range(3)}
    assert len(pids) == 1


def test_too_many_that_wait_are_refused(serve: Ask) -> None:
    client, _ = serve(waiting=1, longest_s=5)
    sent(client, "hang.nii")
    until = time.monotonic() + 30
    while client.get("/metrics").text.find("synthoma_requests_looking 1.0") < 0:
        assert time.monotonic() < until
    assert sent(client, "a.nii").status_code == 202
    assert sent(client, "b.nii").status_code == 429


def test_what_a_killed_service_left_is_done_after_the_next_start(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path, 10, 3600)
    (tmp_path / "scan").mkdir()
    first = jobs.add(tmp_path / "scan", DetectConfig(), sent=False)
    second = jobs.add(tmp_path / "scan", DetectConfig(), sent=False)
    taken = jobs.take(0)
    assert taken is not None
    assert taken.number == first.number
    (tmp_path / "jobs" / "torn").mkdir()
    again = Jobs(tmp_path, 10, 3600)  # the first was killed here
    assert [again.take(0).number for _ in range(2)] == [first.number, second.number]  # type: ignore[union-attr]
    assert again.take(0) is None
    assert not (tmp_path / "jobs" / "torn").exists()


def test_a_state_that_cannot_be_written_ends_no_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else nothing would be looked at any more, and requests still be taken."""
    jobs = Jobs(tmp_path, 10, 3600)
    job = jobs.add(tmp_path, DetectConfig(), sent=False)

    def full(path: Path, content: object) -> None:
        raise OutputError("room on the disk", "none", "make some")

    monkeypatch.setattr("synthoma.service.jobs.write_json", full)
    assert jobs.take(0.0) is job
    jobs.settle(job, "")
    assert job.state == "found"
    with pytest.raises(OutputError):  # whoever asks is told
        jobs.add(tmp_path, DetectConfig(), sent=False)


def test_results_are_removed_after_their_time(tmp_path: Path) -> None:
    now = [1000.0]
    jobs = Jobs(tmp_path, 10, 60, lambda: now[0])
    (tmp_path / "scan").mkdir()
    job = jobs.add(tmp_path / "scan", DetectConfig(), sent=True)
    jobs.take(0)
    jobs.settle(job, "")
    assert not (tmp_path / "scan").exists()  # it was sent
    now[0] += 59
    jobs.sweep()
    assert jobs.get(job.number) is not None
    now[0] += 2
    jobs.sweep()
    assert jobs.get(job.number) is None
    assert not list(jobs.folder.iterdir())


def test_a_folder_is_of_one_service(tmp_path: Path) -> None:
    service = Service(tmp_path / "s", shipped_model(), ServeConfig(), counting)
    with pytest.raises(InputError, match="another service"):
        Service(tmp_path / "s", shipped_model(), ServeConfig(), counting)
    service.end()


def test_tokens_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a file with a token"):
        token_of(tmp_path / "none")
    (tmp_path / "short").write_text("secret\n")
    with pytest.raises(ConfigError, match="16 plain characters"):
        token_of(tmp_path / "short")
    (tmp_path / "token").write_text("0123456789abcdef\nmore\n")
    assert token_of(tmp_path / "token") == "0123456789abcdef"
    assert token_of(None) != token_of(None)


@pytest.mark.slow
def test_what_it_finds_is_what_the_command_finds(tmp_path: Path) -> None:
    image = bright_box((6, 32, 32))
    write_nifti(tmp_path / "in" / "p1_flair.nii.gz", image, FLAT)
    worker = Worker(shipped_model())
    try:
        assert worker.look(tmp_path / "in", tmp_path / "out", DetectConfig(jobs=1), 120) == ""
    finally:
        worker.end()
    assert (tmp_path / "out" / "report.html").is_file()
    again = synthoma.detect(tmp_path / "in", tmp_path / "again", jobs=1)
    served = synthoma.Findings(tmp_path / "out")
    assert np.array_equal(again.mask(again.cases[0]), served.mask(served.cases[0]))
    assert (tmp_path / "out" / "index.csv").read_bytes() == (tmp_path / "again" / "index.csv").read_bytes()


@pytest.mark.slow
def test_the_command_answers_and_ends_when_it_is_told(tmp_path: Path) -> None:
    import urllib.request

    (tmp_path / "token").write_text("0123456789abcdef\n")
    command = [sys.executable, "-m", "synthoma", "serve", "-o", str(tmp_path / "s"), "--port", "0"]
    command += ["--token-file", str(tmp_path / "token")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().split()[1]
        with urllib.request.urlopen(f"{address}/health") as answer:
            assert json.load(answer)["status"] == "ok"
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM
