from __future__ import annotations

import re
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

import pytest

from synthoma.reports.cohort_page import cohort_page, pair_sheet
from synthoma.scans.case import Case
from tests.cohorts.test_preparation import cases, packed, scan

pytestmark = pytest.mark.slow

VOID = {"meta", "img", "br", "hr", "link", "input", "path", "use"}


class Page(HTMLParser):
    """Collects addresses and checks that elements are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.images = 0
        self.open: list[str] = []
        self.feed(text)
        assert self.open == [], self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.addresses += [str(named[key]) for key in ("src", "href", "srcset") if named.get(key)]
        if tag == "img":
            self.images += 1
            assert named.get("alt")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def test_page_is_whole_and_loads_nothing(tmp_path: Path) -> None:
    twin = Case("twin", "other", ("flair",), partial(scan, 1), has_mask=True)
    cohort = packed(tmp_path / "c", [*cases(6), twin], size=64)
    text = cohort_page(cohort, "mine")
    page = Page(text)
    assert page.images >= 12
    assert all(address.startswith(("data:", "#")) for address in page.addresses)
    assert not re.search(r"@import|url\((?!#|data:)|<script", text)
    assert "Cohort mine" in text
    assert "same pixels" in text


def test_names_cannot_inject_markup(tmp_path: Path) -> None:
    evil = Case("<script>alert(1)</script>", "<b>p</b>", ("flair",), partial(scan, 1), has_mask=True)
    text = cohort_page(packed(tmp_path / "c", [evil, *cases(2)]), "<i>x</i>")
    assert "<script>" not in text
    assert "<i>x</i>" not in text


def test_same_cohort_same_page(tmp_path: Path) -> None:
    cohort = packed(tmp_path / "c", cases(6))
    assert cohort_page(cohort, "c") == cohort_page(cohort, "c")


def test_pair_sheet_shows_pairs_only_where_there_are_some(tmp_path: Path) -> None:
    assert pair_sheet(packed(tmp_path / "a", cases(3))) is None
    twin = Case("twin", "other", ("flair",), partial(scan, 1), has_mask=True)
    sheet = pair_sheet(packed(tmp_path / "b", [*cases(3), twin]))
    assert sheet is not None
    assert sheet.startswith(b"\x89PNG")
