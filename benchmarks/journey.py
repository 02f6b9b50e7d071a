"""The ways of a new user, with the clock: the demo, ten patients to a verdict, one scan to its page.

    SYNTHOMA_TEST_DATA=FOLDER python benchmarks/journey.py

Each is one command as it is typed, in a process of its own, in an empty folder. The ten patients are the first ten of
the LGG set; nothing was set aside by hand: ``synthoma run`` has to hold out who is needed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from record import data_folder, save

PATIENTS = 10


def clocked(place: Path, *words: str) -> dict[str, object]:
    """Run a command of Synthoma, and say how long it took and what its last lines were."""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "synthoma", *words], cwd=place, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line and not line.startswith("page: ")]
    seconds = round(time.perf_counter() - start, 1)
    command = " ".join(("synthoma", *(Path(word).name if "/" in word else word for word in words)))
    print(f"{seconds:>7} s  {command}\n          {lines[-1] if lines else done.stderr[-200:]}", flush=True)
    return {"command": command, "seconds": seconds, "exit": done.returncode, "said": lines[-3:]}


def main() -> None:
    """Walk all ways."""
    found: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        found["demo"] = clocked(place, "demo", "-o", "demo")
        (place / "scans").mkdir()
        patients = sorted(path for path in (data_folder() / "lgg" / "kaggle_3m").iterdir() if path.is_dir())[:PATIENTS]
        for patient in patients:
            shutil.copytree(patient, place / "scans" / patient.name)
        settings = ("--modalities", "flair", "--size", "64", "--minutes", "5")
        found["ten patients"] = clocked(place, "run", "scans", "-o", "out", *settings)
        found["ten patients, standard"] = clocked(place, "run", "scans", "-o", "out", *settings, "--preset", "standard")
        found["one scan"] = clocked(place, "detect", str(place / "scans" / patients[0].name), "-o", "found")
    save("journey", found)


if __name__ == "__main__":
    main()
