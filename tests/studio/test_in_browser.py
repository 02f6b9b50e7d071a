"""The way through the studio as a browser sees it, on small simulated patients."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("uvicorn", reason="the studio: pip install 'synthoma[studio]'")

from synthoma.phantom import PhantomConfig, simulate
from synthoma.scans.case import Volume
from synthoma.scans.volumes import write_volume
from synthoma.studio.studio import SCREENS

pytestmark = pytest.mark.slow

AXE = Path(__file__).parents[1] / "vendor" / "axe.min.js"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"], "resultTypes": ["violations"]}
WIDTHS = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
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
        for scheme, width in (("light", 1280), ("dark", 400)):
            self.page.emulate_media(color_scheme=scheme)
            self.page.set_viewport_size({"width": width, "height": 900})
            scrolled, shown = self.page.evaluate(WIDTHS)
            assert scrolled <= shown, f"{self.page.url} at {width}"
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


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="pages in a browser: pip install playwright")
    if CHROMIUM is None:
        pytest.skip("pages in a browser: install chromium")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """A studio as the command starts it; its address."""
    words = ["-m", "synthoma", "studio", "--workspace", str(tmp_path / "ws"), "--port", "0", "--no-open"]
    with subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield server.stdout.readline().removeprefix("studio: ").strip()
        server.send_signal(signal.SIGINT)
        assert server.wait(60) in (0, 130)


@pytest.mark.timeout(1800)
def test_the_whole_way(browser: Any, served: str, tmp_path: Path) -> None:
    scan = tmp_path / "p100_flair.nii.gz"
    study = simulate(seed=3, index=100, config=PhantomConfig(pixel_mm=4.0, slice_mm=6.0, sites=4)).study
    write_volume(Volume(np.asarray(study.images["flair"], np.float32), study.geometry), scan)
    visit = Visit(browser, served)
    page = visit.page
    for address, _ in SCREENS:
        visit.go(address)

    visit.go("/drop")
    page.fill("input[name=patients]", "6")
    page.fill("form[action='/order/simulate'] input[name=size]", "32")
    page.fill("form[action='/order/simulate'] input[name=every]", "1")
    page.check("form[action='/order/simulate'] input[name=modality_flair]")
    visit.press("Simulate patients")
    page.reload()  # in the middle: nothing is lost
    visit.finish()
    assert page.locator("figure img").first.evaluate("one => one.decode().then(() => one.naturalWidth)") == 128

    page.click("text=Train on it")
    page.select_option("select[name=model]", "wgan-gp")
    page.fill("input[name=images]", "64")
    page.click("summary")
    page.fill("input[name=snapshots]", "1")
    page.fill("input[name=width]", "8")
    visit.press("Train")
    visit.finish()
    assert page.locator(".sheet img").count() == 1

    page.click("text=Draw from it")
    page.fill("input[name=count]", "20")
    visit.press("Generate")
    visit.finish()
    assert page.locator(".tiles img").count() == 20

    page.click("text=Judge it")
    visit.press("Evaluate")
    visit.finish()
    assert page.locator(".light").count() == 4

    visit.go("/detect")
    page.set_input_files("form[action='/detect/upload'] input[type=file]", scan)
    visit.press("Send and look for tumours")
    visit.finish()
    page.click("table a")
    page.wait_for_selector("canvas[data-ready]", timeout=60_000)
    visit.read()
    page.fill("input[name=threshold]", "0.3")
    visit.press("Look again")
    assert "--threshold=0.3" in page.inner_text("#command")
    visit.finish()

    visit.go("/train")
    page.fill("input[name=minutes]", "600")
    visit.press("Train")
    page.wait_for_selector(".state.s-running", timeout=60_000)
    page.get_by_role("button", name="Cancel").click()
    page.wait_for_selector(".state.s-cancelled", timeout=60_000)
    page.get_by_role("button", name="Go on").wait_for()
    visit.go("/jobs")
    assert visit.faults == []


@pytest.mark.timeout(300)
def test_keys_alone_are_enough(browser: Any, served: str) -> None:
    visit = Visit(browser, served)
    visit.page.keyboard.press("Tab")
    assert visit.page.evaluate("document.activeElement.textContent") == "Skip to the content"
    for _ in range(2):
        visit.page.keyboard.press("Tab")
    visit.page.keyboard.press("Tab")
    visit.page.keyboard.press("Enter")
    visit.page.wait_for_url("**/cohort")
    assert visit.faults == []
