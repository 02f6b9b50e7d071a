"""The documentation as a site: it is built without a warning, loads nothing from the net, and its search finds."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.heavy


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if missing := [name for name in ("mkdocs", "material", "mkdocstrings") if find_spec(name) is None]:
        pytest.skip(f"the site: {', '.join(missing)} is not installed; run pip install '.[docs]'")
    place = tmp_path_factory.mktemp("docs") / "site"
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(place)]
    done = subprocess.run(command, cwd=ROOT, env=quiet, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return place


def test_every_page_of_docs_is_there(site: Path) -> None:
    pages = [path.relative_to(ROOT / "docs") for kind in ("md", "ipynb") for path in (ROOT / "docs").rglob(f"*.{kind}")]
    assert len(pages) > 40
    assert [str(page) for page in pages if not (site / page.with_suffix(".html")).is_file()] == []


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    loads = re.compile(
        r"""<(?:script|img|iframe|source|video|audio|embed)\b[^>]*\bsrc=["']?(?:https?:)?//[^"'\s>]+"""
        r"""|<link\b(?![^>]*rel=["']?canonical)[^>]*href=["']?(?:https?:)?//[^"'\s>]+|@import[^;]*//[^;]+"""
        r"""|url\(["']?(?:https?:)?//[^)]+"""
    )
    fetched = re.compile(r"https?://(?:unpkg|cdn|cdnjs|fonts)[\w.@/-]*")
    found = []
    for path in site.rglob("*"):
        if path.suffix in (".html", ".css", ".js"):
            text = path.read_text(encoding="utf-8")
            found += [(path.name, one.group()) for kind in (loads, fetched) for one in kind.finditer(text)]
    assert found == []


def test_links_of_the_site_lead_somewhere(site: Path) -> None:
    broken = [
        (page.name, target)
        for page in site.rglob("*.html")
        for target in re.findall(r'(?:href|src)="([^"#?]+)', page.read_text(encoding="utf-8"))
        if not re.match(r"[a-z]+:|//", target) and page.name != "404.html" and not (page.parent / target).exists()
    ]
    assert broken == []


def test_it_opens_from_the_disk_finds_and_fits_a_telephone(site: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("the site in a browser: install chromium")
    asked: list[str] = []
    with playwright.sync_playwright() as session:
        opened = session.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = opened.new_page(viewport={"width": 400, "height": 800})
        page.on("request", lambda request: asked.append(request.url))
        for name in ("index.html", "tasks/verdict.html", "notebooks/verdict.html", "api.html", "install.html"):
            page.goto((site / name).as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") <= 400, name
        page.set_viewport_size({"width": 1280, "height": 900})
        page.goto((site / "index.html").as_uri())
        page.click("input.md-search__input")
        page.keyboard.type("pseudonyms", delay=20)
        page.wait_for_selector(".md-search-result__link", timeout=60_000)
        assert "seudonym" in page.inner_text(".md-search-result__list")
        opened.close()
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:", "about:"))] == []


def test_the_index_of_the_search_holds_notebooks_and_functions(site: Path) -> None:
    index = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    places = {entry["location"].split("#")[0] for entry in index["docs"]}
    assert {"notebooks/own-gan.html", "api.html", "tasks/dicom.html"} <= places
