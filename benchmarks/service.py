"""How the service bears a crowd: requests a second, waiting times, faults, and memory over many scans.

    python benchmarks/service.py --seconds 60 --scans 1000

Simulated coarse scans are sent to a service on this computer, which is started and ended here: first by several senders
at once for so long, then one after the other until so many were looked at. Memory is that of the service and its
processes together (proportional set size).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

import numpy as np

from record import save
from synthoma.phantom import PhantomConfig, simulate
from synthoma.scans.case import Volume
from synthoma.scans.volumes import write_volume

TOKEN = "a-token-of-the-benchmark"


def ask(address: str, path: str, body: bytes | None = None, kind: str = "") -> dict[str, object]:
    """Ask the service; its answer."""
    headers = {"Authorization": f"Bearer {TOKEN}"} | ({"Content-Type": kind} if kind else {})
    with urllib.request.urlopen(urllib.request.Request(f"{address}{path}", body, headers), timeout=120) as answer:
        content: dict[str, object] = json.load(answer)
    return content


def one(address: str, scan: bytes) -> tuple[float, bool]:
    """Send a scan and wait for what is found: seconds, and whether it went well."""
    began = time.perf_counter()
    edge = b'--edge\r\nContent-Disposition: form-data; name="files"; filename="p_flair.nii.gz"\r\n\r\n'
    body = edge + scan + b"\r\n--edge--\r\n"
    try:
        job = str(ask(address, "/detect/files", body, "multipart/form-data; boundary=edge")["job"])
        while (state := ask(address, f"/jobs/{job}")["state"]) in ("waiting", "looking"):
            time.sleep(0.05)
        urllib.request.urlopen(
            urllib.request.Request(f"{address}/jobs/{job}", None, {"Authorization": f"Bearer {TOKEN}"}, method="DELETE")
        ).close()
    except OSError:
        return time.perf_counter() - began, False
    return time.perf_counter() - began, state == "found"


def memory_mib(parent: int) -> float:
    """Memory of a process and its descendants in MiB."""
    pids, found = [parent], 0.0
    for pid in pids:
        try:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            for task in Path(f"/proc/{pid}/task").iterdir():
                children += (task / "children").read_text().split()
            pids += [int(child) for child in dict.fromkeys(children) if int(child) not in pids]
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            found += next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
        except OSError:
            continue
    return found


def main() -> None:
    """Start a service, load it, and say what it bore."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--senders", type=int, default=4)
    parser.add_argument("--scans", type=int, default=1000)
    parser.add_argument("--at-once", type=int, default=2)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        (place / "token").write_text(TOKEN)
        patient = simulate(5, 0, PhantomConfig(slice_mm=6.0, pixel_mm=2.0, modalities=("flair",)))
        write_volume(Volume(patient.study.images["flair"], patient.study.geometry), place / "p_flair.nii.gz")
        scan = (place / "p_flair.nii.gz").read_bytes()
        command = [sys.executable, "-m", "synthoma", "serve", "-o", str(place / "s"), "--port", "0"]
        command += ["--token-file", str(place / "token"), "--at-once", str(asked.at_once)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            address = process.stdout.readline().split()[1]
            for _ in range(2 * asked.at_once):  # every process has loaded the model
                one(address, scan)
            times: list[tuple[float, bool]] = []
            end = time.monotonic() + asked.seconds

            def send() -> None:
                while time.monotonic() < end:
                    times.append(one(address, scan))

            threads = [threading.Thread(target=send) for _ in range(asked.senders)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            waits = np.array([seconds for seconds, _ in times])
            load = {
                "senders": asked.senders,
                "requests": len(times),
                "failed": sum(not well for _, well in times),
                "per_second": round(len(times) / asked.seconds, 2),
                "p50_s": round(float(np.percentile(waits, 50)), 2),
                "p95_s": round(float(np.percentile(waits, 95)), 2),
            }
            print(load, flush=True)
            curve = []
            for number in range(asked.scans):
                seconds, well = one(address, scan)
                if number % max(1, asked.scans // 10) == 0 or number == asked.scans - 1:
                    curve.append({"scans": number + 1, "mib": round(memory_mib(process.pid)), "well": well})
                    print(curve[-1], f"{seconds:.2f} s", flush=True)
            process.terminate()
            process.communicate()
    save("service", {"load": load, "memory": curve, "at_once": asked.at_once})


if __name__ == "__main__":
    main()
