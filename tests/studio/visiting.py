"""A studio as the command starts it, and somebody who looks at it with a browser."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from synthoma.core.types import Bytes
from synthoma.scans.case import Geometry, Volume
from synthoma.scans.volumes import write_volume
from synthoma.studio.store import Store

AXE = Path(__file__).parents[1] / "vendor" / "axe.min.js"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"], "resultTypes": ["violations"]}
WIDTHS = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
BETWEEN = 768
"""Pixels of a tablet."""
LONG = 400_000
"""Milliseconds that a command may take on a busy machine."""


class Visit:
    """A page in the browser, and what it did that it must not do."""

    def __init__(self, browser: Any, address: str) -> None:
        self.root = address.partition("/enter")[0]
        self.context = browser.new_context(viewport={"width": 1280, "height": 900})
        self.page = self.context.new_page()
        self.faults: list[str] = []
        self.page.on("console", lambda said: self._said(said.type, said.text))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", lambda asked: self._asked(asked.url))
        self.page.goto(address)
        self.page.wait_for_url(f"{self.root}/")

    def _said(self, kind: str, text: str) -> None:
        if kind == "error":
            self.faults.append(text)

    def _asked(self, address: str) -> None:
        if not address.startswith((self.root, "data:", "blob:")):
            self.faults.append(f"asked for {address}")

    def go(self, address: str) -> Any:
        """Open a screen, which everybody can read at every width, in the light and in the dark."""
        self.page.goto(f"{self.root}{address}")
        self.read()
        return self.page

    def read(self) -> None:
        """Raise where axe finds something grave on this page, or it does not fit."""
        for scheme, width in (("light", 1280), ("light", BETWEEN), ("dark", 400)):
            self.page.emulate_media(color_scheme=scheme)
            self.page.set_viewport_size({"width": width, "height": 900})
            scrolled, shown = self.page.evaluate(WIDTHS)
            assert scrolled <= shown, f"{self.page.url} at {width}"
            if width == BETWEEN:  # the same rules and colours as on a wide screen (studio.css), and axe takes its time
                continue
            if not self.page.evaluate("() => 'axe' in window"):
                self.page.evaluate(AXE.read_text(encoding="utf-8"))
            found = self.page.evaluate("rules => axe.run(document, rules)", RULES)["violations"]
            grave = [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")]
            assert grave == [], f"{self.page.url}, {scheme}"
        self.page.set_viewport_size({"width": 1280, "height": 900})

    def press(self, name: str) -> None:
        """Send the form of a button, and read the page of the job."""
        self.page.get_by_role("button", name=name, exact=True).first.click()
        self.page.wait_for_url(re.compile("/job/"))

    def finish(self) -> None:
        """Wait until the job of this page is done, and see what it made."""
        self.page.wait_for_selector(".state.s-done, .state.s-failed", timeout=LONG)
        assert self.page.locator(".state.s-failed").count() == 0, self.page.inner_text("main")
        self.read()
        self.page.click("#result")
        self.read()


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser."""
    playwright = pytest.importorskip("playwright.sync_api", reason="pages in a browser: pip install playwright")
    if CHROMIUM is None:
        pytest.skip("pages in a browser: install chromium")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@contextmanager
def serving(tmp_path: Path) -> Iterator[str]:
    """A studio as the command starts it; its address."""
    words = ["-m", "synthoma", "studio", "--workspace", str(tmp_path / "ws"), "--port", "0", "--no-open"]
    with subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield server.stdout.readline().removeprefix("studio: ").strip()
        server.send_signal(signal.SIGINT)
        assert server.wait(60) in (0, 130)


def findings_in(workspace: Path) -> None:
    """Findings in a lopsided scan that lies as scanners leave them, and the job that made them."""
    case, scan = workspace / "found" / "p1", workspace / "p1_flair.nii.gz"
    case.mkdir(parents=True)
    grid = Geometry((2.0, 3.0, 4.0), (40.0, -12.0, 7.0), (-1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0))
    z, y, x = np.mgrid[-1:1:20j, -1:1:30j, -1:1:40j]
    ball, spot = z**2 + y**2 + x**2, (z - 0.2) ** 2 + (y + 0.3) ** 2 + (x - 0.4) ** 2
    write_volume(Volume(np.where(ball < 0.8, 300 + 50 * x, 0).astype(np.int16), grid), scan)
    write_volume(Volume((spot < 0.05).astype(np.uint8), grid), case / "p1_mask.nii.gz")
    write_volume(Volume(np.clip(1 - spot, 0, 1).astype(np.float32), grid), case / "p1_probability.nii.gz")
    files = {"mask": ["p1_mask.nii.gz"], "probabilities": ["p1_probability.nii.gz"]}
    facts = {"case": "p1", "has_tumour": True, "files": files, "labels": {"1": "tumour"}, "thresholds": {"tumour": 0.9}}
    (case / "findings.json").write_text(json.dumps(facts), encoding="utf-8")
    _looked_at(workspace, scan)


def picture_in(workspace: Path, grey: Bytes) -> None:
    """Findings in a picture, ``head.png``, with a spot left of its middle, and the job that made them."""
    case, scan = workspace / "found" / "head", workspace / "head.png"
    case.mkdir(parents=True)
    Image.fromarray(grey).save(scan)
    mask = np.zeros_like(grey)
    mask[18:22, 16:22] = 255
    Image.fromarray(mask).save(case / "head_mask.png")
    facts = {"case": "head.png", "has_tumour": True, "files": {"mask": ["head_mask.png"]}, "labels": {"1": "tumour"}}
    (case / "findings.json").write_text(json.dumps(facts), encoding="utf-8")
    _looked_at(workspace, scan)


def _looked_at(workspace: Path, scan: Path) -> None:
    """The job that made the findings of a scan."""
    (workspace / "found" / "detection.json").write_text('{"scans": 1, "with_tumour": 1}', encoding="utf-8")
    store = Store(workspace / ".studio" / "jobs.sqlite")
    done = (
        "INSERT INTO jobs (id, kind, title, words, output, state, made) VALUES ('seen', 'detect', '', ?, ?, 'done', 0)"
    )
    with store.opened() as data:  # at once: the queue of a studio that runs takes what is queued
        data.execute(done, (json.dumps(["detect", str(scan)]), str(workspace / "found")))
