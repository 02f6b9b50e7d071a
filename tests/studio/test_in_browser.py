"""The way through the studio as a browser sees it, on small simulated patients."""

from __future__ import annotations

import json
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
from synthoma.scans.case import Geometry, Volume
from synthoma.scans.volumes import read_volume, write_volume
from synthoma.studio.store import Store
from synthoma.studio.studio import SCREENS
from tests.toys import blobs, write_cohort

pytestmark = pytest.mark.heavy

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
        for scheme, width in (("light", 1280), ("light", 768), ("dark", 400)):
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


@pytest.mark.timeout(600)
def test_readers_corrections_and_the_brush(browser: Any, served: str, tmp_path: Path) -> None:
    workspace = tmp_path / "ws"
    labels = ["tumour"] * 12
    images, masks = blobs(12, 0, 32)
    known = {"mask_names": {"1": "tumour"}, "masks": masks}
    write_cohort(workspace / "real", images, labels, splits=["train"] * 4 + ["test"] * 8, origin="real", **known)
    groups = [f"s{number}" for number in range(12)]
    write_cohort(workspace / "drawn", blobs(12, 1, 32)[0], labels, groups=groups, origin="synthetic", **known)
    _findings(workspace)
    visit = Visit(browser, served)
    page = visit.page

    visit.go("/cohort/w/real")
    page.locator(".wall input[type=checkbox]").nth(1).focus()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Leave out", exact=True).click()
    page.locator("figure.out").wait_for()
    visit.read()
    page.get_by_role("button", name="Save as a new cohort").click()
    page.wait_for_url("**/cohort/w/real-changed")
    assert "11 real slices" in page.inner_text(".lead")

    visit.go("/turing")
    page.select_option("select[name=real]", "w/real")
    page.fill("input[name=readers]", "Ann,Bob")
    page.fill("input[name=number]", "4")
    visit.press("Make the set")
    visit.finish()
    for name in ("Ann", "Bob"):
        page.click(f"text=Begin as {name}")
        visit.read()
        for number in range(1, 10):
            page.get_by_role("heading", name=re.compile(f"^({number} of|All answered)")).wait_for()
            if page.get_by_role("heading", name="All answered").count():
                break
            shape = page.locator("figure.read img").evaluate("one => one.clientWidth / one.clientHeight")
            assert shape == pytest.approx(1, abs=0.02)
            if number == 2:
                page.reload()  # in the middle: nothing is lost
            page.keyboard.press("4")
            page.keyboard.press("r" if name == "Ann" else "s")
        page.click("text=Back to the set")
    visit.press("Score")
    visit.finish()
    assert "Bob" in page.inner_text("main")

    visit.go("/view/w/found/p1")
    page.wait_for_selector("canvas[data-ready]", timeout=120_000)
    page.locator("#threshold").focus()
    page.keyboard.press("ArrowLeft")
    page.wait_for_selector("#ml:has-text('ml lie above it')")
    page.locator("#take").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#saved a")
    page.uncheck("#chance")
    page.select_option("#brush", "1")
    box = page.locator("#volume").bounding_box()
    x, y = box["x"] + box["width"] / 4, box["y"] + box["height"] / 4
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 30, y + 20, steps=6)
    page.mouse.up()
    page.click("#save")
    page.wait_for_selector("#saved a:has-text('_2')")
    visit.read()
    before, after = (
        read_volume(workspace / "found" / "p1" / f"p1_mask{end}.nii.gz") for end in ("", "_corrected_by_hand_2")
    )
    assert before.geometry == after.geometry
    assert ((after.voxels > 0) >= (before.voxels > 0)).all()  # the brush adds, and what was there lies where it lay
    assert (after.voxels > 0).sum() > (before.voxels > 0).sum()
    assert visit.faults == []


def _findings(workspace: Path) -> None:
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
    (workspace / "found" / "detection.json").write_text('{"scans": 1, "with_tumour": 1}', encoding="utf-8")
    store = Store(workspace / ".studio" / "jobs.sqlite")
    done = (
        "INSERT INTO jobs (id, kind, title, words, output, state, made) VALUES ('seen', 'detect', '', ?, ?, 'done', 0)"
    )
    with store.opened() as data:  # at once: the queue of a studio that runs takes what is queued
        data.execute(done, (json.dumps(["detect", str(scan)]), str(workspace / "found")))


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
