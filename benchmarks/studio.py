"""How quick the studio answers: first page, a wall of 2,000 slices, a volume, a painted slice, ten people at once.

    python benchmarks/studio.py
    python benchmarks/studio.py --seconds 20 --without-browser

Ten clients at once each open a page, then twelve thumbnails, wait a second and go on, while a training runs in the
studio's queue. The volume is 240 x 240 x 155 voxels with its mask, as a whole examination in BraTS; it is shown by
Chromium without a graphics card. Tumours are painted into a simulated head of as many voxels.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from record import save
from synthoma.cohorts.cohort import CohortWriter
from synthoma.phantom import PhantomConfig
from synthoma.phantom.patient import phantom_cases
from synthoma.scans.case import Geometry, Volume
from synthoma.scans.volumes import write_volume
from synthoma.studio.store import Store

SLICES, PATIENTS, SIDE = 2000, 100, 64
SHAPE = (155, 240, 240)
PEOPLE, PAUSE, THUMBS = 10, 1.0, 12
PAGES = ("/", "/cohort/w/wall?page={page}", "/jobs", "/drop", "/synthetic", "/cohort/w/wall?mark=changed")
FLAGS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


def wall(folder: Path) -> None:
    """A cohort of 2,000 slices of noise."""
    import pandas as pd

    draws = np.random.default_rng(0)
    folder.mkdir(parents=True)
    groups = [f"p{number * PATIENTS // SLICES:03d}" for number in range(SLICES)]
    parts = ["test" if int(group[1:]) % 5 == 0 else "train" for group in groups]
    table = pd.DataFrame({"case": groups, "group": groups, "split": parts, "label": "tumour", "has_mask": True})
    table["tumour_pixels"] = 100
    masks = np.zeros((SLICES, SIDE, SIDE), np.uint8)
    masks[:, 20:30, 20:30] = 1
    with CohortWriter(folder, channels=1, size=SIDE) as writer:
        writer.add(draws.random((SLICES, 1, SIDE, SIDE)).astype(np.float16), masks, [{}] * SLICES)
        known = {"modalities": ["flair"], "labels": {"1": "tumour"}, "classes": ["tumour"], "size": SIDE}
        writer.finish(table, {"origin": "phantom", "provenance": {}, **known})


def volume(workspace: Path, scans: Path) -> None:
    """Findings in a whole volume, as `detect` leaves them, and the job that made them."""
    z, y, x = (np.linspace(-1, 1, side, dtype=np.float32) for side in SHAPE)
    ball = z[:, None, None] ** 2 + y[None, :, None] ** 2 + x[None, None, :] ** 2
    texture = np.random.default_rng(1).normal(0, 30, SHAPE).astype(np.float32)
    case = workspace / "found" / "p1"
    case.mkdir(parents=True)
    geometry = Geometry((1.0, 1.0, 1.0))
    write_volume(Volume(np.where(ball < 0.7, 300 + texture, 0).astype(np.int16), geometry), scans / "p1_flair.nii.gz")
    write_volume(Volume((ball < 0.05).astype(np.uint8), geometry), case / "p1_mask.nii.gz")
    write_volume(Volume(np.clip(1 - ball, 0, 1).astype(np.float32), geometry), case / "p1_probability.nii.gz")
    files = {"mask": ["p1_mask.nii.gz"], "probabilities": ["p1_probability.nii.gz"]}
    facts = {"case": "p1", "has_tumour": True, "files": files, "thresholds": {"tumour": 0.5}}
    (case / "findings.json").write_text(json.dumps(facts), encoding="utf-8")
    (workspace / "found" / "detection.json").write_text('{"scans": 1, "with_tumour": 1}', encoding="utf-8")
    (workspace / ".studio").mkdir(exist_ok=True)
    store = Store(workspace / ".studio" / "jobs.sqlite")
    job = store.add("detect", "look", ("detect", str(scans / "p1_flair.nii.gz")), str(workspace / "found"))
    store.end(job.id, "done")


def head(scans: Path) -> None:
    """A simulated head without tumour, in a volume of 240 x 240 x 155 voxels."""
    study = phantom_cases(1, 3, PhantomConfig(healthy=1.0, pixel_mm=1.0, slice_mm=1.0, modalities=("flair",)))[0].load()
    image = np.asarray(study.images["flair"], np.float32)[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    pads = [
        ((side - have) // 2, side - have - (side - have) // 2) for side, have in zip(SHAPE, image.shape, strict=True)
    ]
    write_volume(Volume(np.pad(image, pads), Geometry((1.0, 1.0, 1.0))), scans / "h1_flair.nii.gz")


class Person:
    """Somebody who has come in."""

    def __init__(self, address: str) -> None:
        self.root = address.partition("/enter")[0]
        self.client = httpx.Client(base_url=self.root, timeout=30)
        self.client.get(address).raise_for_status()

    def get(self, path: str) -> tuple[float, str]:
        """Milliseconds of an answer, and its text."""
        start = time.perf_counter()
        answer = self.client.get(path)
        answer.raise_for_status()
        return 1000 * (time.perf_counter() - start), answer.text


def many(address: str, seconds: float) -> dict[str, Any]:
    """What ten people at once wait for, in milliseconds, and how many requests failed."""
    times: dict[str, list[float]] = defaultdict(list)
    faults: list[str] = []

    def work(number: int) -> None:
        person, end, turn = Person(address), time.monotonic() + seconds, number
        while time.monotonic() < end:
            try:
                times["pages"].append(person.get(PAGES[turn % len(PAGES)].format(page=1 + turn % 33))[0])
                for row in range(THUMBS):
                    times["thumbnails"].append(person.get(f"/thumb/w/wall?row={(turn * 61 + row) % SLICES}")[0])
            except httpx.HTTPError as error:
                faults.append(str(error))
            turn += 1
            time.sleep(PAUSE)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(PEOPLE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    figures = {
        name: {"requests": len(found), "median_ms": round(statistics.median(found), 1),
               "p95_ms": round(float(np.quantile(found, 0.95)), 1), "max_ms": round(max(found), 1)}
        for name, found in times.items()
    }  # fmt: skip
    return {"people": PEOPLE, "seconds": seconds, "errors": len(faults), **figures}


def alone(address: str) -> dict[str, Any]:
    """What one person waits for, in milliseconds: pages of the wall, and their thumbnails."""
    person = Person(address)
    first = person.get("/cohort/w/wall")[0]
    pages = [person.get(f"/cohort/w/wall?page={page}")[0] for page in range(2, 12)]
    thumbs = [person.get(f"/thumb/w/wall?row={row}")[0] for row in range(60)]
    return {"first_ms": round(first, 1), "page_of_60_ms": round(statistics.median(pages), 1),
            "its_thumbnails_ms": round(sum(thumbs), 1)}  # fmt: skip


def painted(address: str) -> dict[str, Any]:
    """Seconds until a scan is open for painting, and milliseconds of a slice with a tumour in it, as a dial turns."""
    person = Person(address)
    opened, facts = person.get("/slices/0/h1_flair.nii.gz")
    at = json.loads(facts)["middle"]
    dials = f"slice={at}&sequence=flair&grade=high&contrast=1&seed=0&paint=yes&outline=yes&size_wanted=yes"
    times = [person.get(f"/sketch/0/h1_flair.nii.gz?{dials}&row=0.6&column=0.65&ml={ml}")[0] for ml in range(4, 48, 4)]
    return {"opened_s": round(opened / 1000, 2), "first_slice_s": round(times[0] / 1000, 2),
            "slice_ms": round(statistics.median(times[1:]), 1), "slowest_ms": round(max(times[1:]), 1)}  # fmt: skip


def filled() -> float:
    """Milliseconds in which 20 slices of 240 x 240 pixels are filled between drawn ones, three labels."""
    from synthoma.studio.between import filled_between

    y, x = np.mgrid[: SHAPE[1], : SHAPE[2]]
    drawn = np.zeros(SHAPE, np.uint8)
    for at, radius in ((60, 20), (81, 35)):
        far = np.hypot(y - 110, x - 130 - radius)
        drawn[at] = np.select([far < radius / 3, far < radius / 2, far < radius], [1, 3, 2], 0)
    start = time.perf_counter()
    filled_between(drawn, np.zeros_like(drawn), 0, "empty", (1.0, 1.0, 1.0))
    return round(1000 * (time.perf_counter() - start), 1)


def train(address: str) -> str:
    """Start a training in the studio; the address of its job."""
    person = Person(address)
    found = re.search(r'name="csrf" value="([^"]+)"', person.get("/train")[1])
    form = {"csrf": found.group(1) if found else "", "at": "w/wall", "model": "wgan-gp", "minutes": "30"}
    job = person.client.post("/order/train", data=form).headers["location"]
    end = time.monotonic() + 120
    while time.monotonic() < end and "training" not in person.client.get(f"{job}/state").json()["phase"]:
        time.sleep(0.5)
    return str(job)


DRAWN = """async ([name, first, step]) => {
  const slider = document.getElementById(name), gl = window.studioView.gl, times = [];
  const frame = () => new Promise((next) => requestAnimationFrame(next));
  for (let n = 0; n < 5; n += 1) {
    const start = performance.now();
    slider.value = first + n * step;
    slider.dispatchEvent(new Event('input'));
    await frame();
    await frame();
    gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
    times.push(performance.now() - start);
  }
  return times;
}"""
"""Milliseconds from a step of a slider until its picture is on the screen."""


def in_browser(address: str) -> dict[str, Any]:
    """Seconds until a volume with its mask is on the screen, and milliseconds until a step of the threshold is told.

    What a slider changes is on the screen with the next picture: that is told apart.
    """
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as tool, tool.chromium.launch(executable_path=chromium, args=FLAGS) as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(address)
        page.wait_for_url("**/")
        shown = []
        for _ in range(3):
            start = time.perf_counter()
            page.goto(f"{address.partition('/enter')[0]}/view/w/found/p1")
            page.wait_for_selector("canvas[data-ready]", timeout=120_000)
            shown.append(time.perf_counter() - start)
        page.check("#chance")
        page.wait_for_selector("#ml:has-text('ml')", timeout=60_000)
        steps = page.evaluate(
            """() => [...Array(12).keys()].map((n) => { const slider = document.getElementById('threshold');
            const start = performance.now(); slider.value = 0.3 + n / 50; slider.dispatchEvent(new Event('input'));
            return performance.now() - start; })"""
        )
        drawn = {
            name: statistics.median(page.evaluate(DRAWN, [name, first, step]))
            for name, first, step in (("threshold", 0.3, 0.05), ("opacity", 30, 5), ("low", 5, 5))
        }
    return {
        "load": [round(one, 2) for one in os.getloadavg()], "volume_shown_s": [round(one, 2) for one in shown],
        "slider_told_ms": round(statistics.median(steps), 1), "slider_drawn_ms": round(drawn["threshold"], 1),
        "opacity_drawn_ms": round(drawn["opacity"], 1), "window_drawn_ms": round(drawn["low"], 1),
    }  # fmt: skip


def main() -> None:
    """Measure, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="how long ten people come at once")
    parser.add_argument("--without-browser", action="store_true", help="leave out what takes Chromium")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        workspace, scans = Path(folder, "workspace"), Path(folder, "scans")
        scans.mkdir()
        wall(workspace / "wall")
        volume(workspace, scans)
        head(scans)
        words = ["-m", "synthoma", "studio", str(scans), "--workspace", str(workspace), "--port", "0", "--no-open"]
        start = time.perf_counter()
        with subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            address = server.stdout.readline().removeprefix("studio: ").strip()
            started = time.perf_counter() - start
            load = [round(one, 2) for one in os.getloadavg()]
            results: dict[str, Any] = {
                "load": load, "slices": SLICES, "start_s": round(started, 2),
                "first_page_ms": round(Person(address).get("/")[0], 1), "wall": alone(address),
            }  # fmt: skip
            if not asked.without_browser:
                results["browser"] = in_browser(address)
            results["painting"] = painted(address)
            results["filled_between_ms"] = filled()
            job = train(address)
            results["many_while_a_training_runs"] = many(address, asked.seconds)
            person = Person(address)
            results["training_still_ran"] = person.client.get(f"{job}/state").json()["state"] == "running"
            server.send_signal(signal.SIGINT)
            server.wait(60)
    print(json.dumps(results))
    save("studio", results)


if __name__ == "__main__":
    main()
