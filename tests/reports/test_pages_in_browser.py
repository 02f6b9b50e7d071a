"""Pages as a browser shows them: on a phone, in the dark and on paper; nothing is loaded, and 3D is drawn."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import synthoma
from synthoma.evaluation.evaluate import evaluate
from synthoma.evaluation.settings import EvaluateConfig
from synthoma.phantom import PhantomConfig, simulate
from synthoma.pipeline.description import report
from synthoma.reports.evaluation_page import evaluation_page
from synthoma.scans.case import Volume
from synthoma.scans.volumes import write_volume
from tests.reports.test_evaluation_page import MODEL, masked
from tests.toys import halves, train_toy, write_cohort

pytestmark = pytest.mark.heavy

AXE = Path(__file__).parents[1] / "vendor" / "axe.min.js"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
NASTY = "a<b>&'\"scan"
WIDTHS = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
PAGES = ("findings", "cohort", "run", "evaluation")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A browser without a window; skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="pages in a browser: pip install playwright")
    if CHROMIUM is None:
        pytest.skip("pages in a browser: install chromium")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pages of small things: two scans with findings and a picture, a cohort, a run, an evaluation."""
    place = tmp_path_factory.mktemp("pages")
    (place / "scans").mkdir()
    for number in (100, 101):
        study = simulate(seed=3, index=number, config=PhantomConfig(pixel_mm=4.0, slice_mm=6.0, sites=4)).study
        volume = Volume(np.asarray(study.images["flair"], np.float32), study.geometry)
        write_volume(volume, place / "scans" / f"p{number}_flair.nii.gz")
    picture = (masked(0, 1)[0][0] * 255).astype(np.uint8)
    Image.fromarray(picture).save(place / "scans" / f"{NASTY}.png")
    synthoma.detect(place / "scans", place / "found", jobs=1)
    images, labels = halves(24)
    cohort = write_cohort(place / "cohort", images, labels, origin="synthetic", provenance=MODEL, layout="generated")
    train_toy(cohort, place / "run", images=64, snapshots=2)
    made = {name: report(place / name) for name in ("cohort", "run")}
    images, masks = masked(5000, 90)
    sorted_out = {"splits": ["train"] * 60 + ["test"] * 30, "groups": [f"patient-{i // 2}" for i in range(90)]}
    real = write_cohort(place / "real", images, ["tumour", "healthy"] * 45, masks, origin="real", **sorted_out)
    images, masks = masked(1000, 48)
    labels = ["tumour", "healthy"] * 24
    synthetic = write_cohort(place / "drawn", images, labels, masks, origin="synthetic", provenance=MODEL)
    result = evaluate(real, synthetic, EvaluateConfig(halves=9, canaries=20), place / "cells")
    (place / "evaluation.html").write_text(evaluation_page(result, real, synthetic), encoding="utf-8")
    return {**made, "findings": report(place / "found"), "evaluation": place / "evaluation.html"}


class Seen:
    """A page in the browser, and what it did that it must not do."""

    def __init__(self, browser: Any, path: Path, *, width: int = 1280, dark: bool = False) -> None:
        scheme = "dark" if dark else "light"
        self.context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.page = self.context.new_page()
        self.faults: list[str] = []
        self.page.on(
            "console", lambda said: self.faults.append(said.text) if said.type in ("error", "warning") else None
        )
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", lambda asked: self._asked(asked.url))
        self.page.goto(path.resolve().as_uri())

    def _asked(self, address: str) -> None:
        if not address.startswith(("file:", "data:", "blob:")):
            self.faults.append(f"asked for {address}")

    def __enter__(self) -> Seen:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()


@pytest.mark.parametrize("name", PAGES)
def test_pages_fit_every_width_and_load_nothing(browser: Any, pages: dict[str, Path], name: str) -> None:
    with Seen(browser, pages[name]) as seen:
        for width in (1280, 768, 400):
            seen.page.set_viewport_size({"width": width, "height": 900})
            scrolled, shown = seen.page.evaluate(WIDTHS)
            assert scrolled <= shown, f"{name} at {width}"
        assert seen.faults == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_everybody_can_read_them(browser: Any, pages: dict[str, Path], name: str, dark: bool) -> None:
    """WCAG 2.1 AA as axe-core counts it, contrast among it."""
    with Seen(browser, pages[name], dark=dark) as seen:
        seen.page.evaluate(AXE.read_text(encoding="utf-8"))
        rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"], "resultTypes": ["violations"]}
        found = seen.page.evaluate("rules => axe.run(document, rules)", rules)["violations"]
        grave = [
            (one["id"], one["nodes"][0]["html"][:200], one["nodes"][0]["failureSummary"])
            for one in found
            if one["impact"] in ("serious", "critical")
        ]
        assert grave == []


@pytest.mark.parametrize("name", PAGES)
def test_they_print(browser: Any, pages: dict[str, Path], name: str) -> None:
    """On paper nothing is cut off at the right, what is to be clicked is gone, and dark is no colour of paper."""
    with Seen(browser, pages[name], width=718, dark=True) as seen:  # A4 within its margins
        seen.page.emulate_media(media="print")
        scrolled, shown = seen.page.evaluate(WIDTHS)
        assert scrolled <= shown
        assert seen.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert not seen.page.locator("button, input").filter(visible=True).count()
        assert seen.page.pdf(format="A4").startswith(b"%PDF")


def test_slices_are_leafed_through_and_the_outline_goes(browser: Any, pages: dict[str, Path]) -> None:
    with Seen(browser, pages["findings"]) as seen:
        card = seen.page.locator("article.scan").first
        before, shown = card.locator(".where").inner_text(), card.locator(".under").get_attribute("src")
        assert card.locator(".over").is_visible()
        card.locator(".which").fill("0")
        assert card.locator(".where").inner_text() != before
        assert card.locator(".under").get_attribute("src") != shown
        seen.page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
        assert card.locator(".where").inner_text() == before, "paper shows the slice with most tumour"
        card.locator(".toggle").click()
        assert not card.locator(".over").is_visible()
        card.locator(".toggle").click()
        card.locator(".strength").fill("30")
        assert card.locator(".over").evaluate("one => getComputedStyle(one).opacity") == "0.3"
        assert seen.faults == []


def test_the_scan_turns_in_3d(browser: Any, pages: dict[str, Path]) -> None:
    """Grey of the head and green of the mask are drawn after the click, and not before."""
    with Seen(browser, pages["findings"]) as seen:
        card = seen.page.locator("article.scan").first
        assert not card.locator("canvas").is_visible()
        card.locator(".turn").click()
        card.locator("canvas[data-ready]").wait_for(timeout=60_000)
        seen.page.wait_for_timeout(500)
        drawn = np.asarray(Image.open(io.BytesIO(card.locator("canvas").screenshot())).convert("RGB"), int)
        red, green, blue = drawn.reshape(-1, 3).T
        assert ((abs(red - green) < 8) & (abs(red - blue) < 8) & (red > 60)).mean() > 0.03
        assert ((green > red + 40) & (green > blue + 40)).mean() > 0.001
        assert not [fault for fault in seen.faults if "asked for" in fault or "rror" in fault]


def test_without_webgl_the_page_says_so(browser: Any, pages: dict[str, Path]) -> None:
    with Seen(browser, pages["findings"]) as seen:
        seen.page.evaluate("HTMLCanvasElement.prototype.getContext = () => null")
        card = seen.page.locator("article.scan").first
        card.locator(".turn").click()
        card.get_by_text("This browser cannot show it in 3D").wait_for()
        assert seen.faults == []


def test_names_are_text_and_pictures_do_not_turn(browser: Any, pages: dict[str, Path]) -> None:
    with Seen(browser, pages["findings"]) as seen:
        card = seen.page.locator("article.scan", has_text=NASTY)
        assert card.count() == 1
        assert card.locator("b").filter(has_text="&").count() == 0
        assert card.locator(".turn").count() == 0
        assert "taken for" in card.inner_text()
    data = pages["findings"].read_text(encoding="utf-8")
    assert data.count('id="viewer"') == 1
    assert len(data) < 15 * 2**20


def test_no_3d_leaves_the_viewer_out(pages: dict[str, Path], tmp_path: Path) -> None:
    scan = pages["findings"].parents[1] / "scans" / "p100_flair.nii.gz"
    synthoma.detect(scan, tmp_path / "found", three_d=False)
    text = report(tmp_path / "found").read_text(encoding="utf-8")
    assert 'id="viewer"' not in text
    assert "Show in 3D" not in text
    [view] = (tmp_path / "found").glob("*/view.json")
    assert json.loads(view.read_text())["small"] is None
