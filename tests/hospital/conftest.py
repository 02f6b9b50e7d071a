from __future__ import annotations

import gc
import json
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from synthoma.hospital.listen import Listener
from synthoma.hospital.settings import ListenConfig

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def until(true: Callable[[], object], seconds: float = 60) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)


@dataclass
class Running:
    """A node that listens in a thread."""

    listener: Listener
    port: int
    folder: Path

    def audit(self) -> list[dict[str, Any]]:
        text = (self.folder / "audit.jsonl").read_text()
        return [json.loads(line) for line in text.splitlines()]

    def states(self) -> list[str]:
        return sorted(study.state for study in self.listener.inbox.studies())


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Start nodes, and end them."""
    pytest.importorskip("pynetdicom", reason="the DICOM protocol: pynetdicom is not installed")
    running: list[tuple[Listener, threading.Thread]] = []

    def started(folder: str = "inbox", look: Callable[[Path, Path, float], str] | None = None, **set_: Any) -> Running:
        options = ListenConfig.resolve(flags={"port": 0, "quiet_s": 0.3, "free_gib": 0, **set_})
        listener = Listener(tmp_path / folder, options, look=look)
        ports: list[int] = []
        thread = threading.Thread(target=listener.run, args=(ports.append,), daemon=True)
        thread.start()
        until(lambda: ports)
        running.append((listener, thread))
        return Running(listener, ports[0], tmp_path / folder)

    yield started
    for listener, thread in running:
        listener.end()
        thread.join(30)
    with warnings.catch_warnings():  # pynetdicom leaves sockets of handshakes that failed to the garbage collector
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@dataclass
class Orthanc:
    """A real archive on this computer."""

    http: int
    dicom: int

    @property
    def web(self) -> str:
        return f"dicomweb+http://127.0.0.1:{self.http}/dicom-web"

    def ask(self, path: str, body: object = None) -> Any:
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.http}{path}", data=data)
        with urllib.request.urlopen(request, timeout=60) as answer:
            content = answer.read()
        return json.loads(content) if answer.headers["Content-Type"].startswith("application/json") else content


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """Orthanc with DICOMweb, on loopback."""
    program = shutil.which("Orthanc")
    if program is None or not PLUGIN.exists():
        pytest.skip("a real archive: apt-get install orthanc orthanc-dicomweb")
    folder = tmp_path_factory.mktemp("orthanc")
    server = Orthanc(free_port(), free_port())
    config = {
        "StorageDirectory": str(folder / "db"), "IndexDirectory": str(folder / "db"), "HttpPort": server.http,
        "DicomPort": server.dicom, "DicomAet": "ORTHANC", "RemoteAccessAllowed": False, "AuthenticationEnabled": False,
        "Plugins": [str(PLUGIN)], "DicomWeb": {"Enable": True, "Root": "/dicom-web/"}, "DicomCheckCalledAet": True,
        "DicomModalities": {}, "DicomModalitiesInDatabase": True, "DicomAlwaysAllowStore": True,
    }  # fmt: skip
    (folder / "orthanc.json").write_text(json.dumps(config))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, str(folder / "orthanc.json")], stdout=log, stderr=log)

        def there() -> bool:
            try:
                return bool(server.ask("/system"))
            except OSError:
                return False

        try:
            until(there, 120)
            yield server
        finally:
            process.terminate()
            process.wait(30)
