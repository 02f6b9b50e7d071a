"""Without a mouse: every screen is walked through with Tab, and a mask is corrected, filled, saved and learned from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synthoma.scans.volumes import read_volume
from tests.studio.visiting import Visit, findings_in
from tests.toys import blobs, write_cohort

pytestmark = pytest.mark.heavy

SEEN = """() => {
  const one = document.activeElement;
  if (!one || one === document.body) return null;
  const shown = (thing) => { const style = getComputedStyle(thing); return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0; };
  const box = one.getBoundingClientRect(), label = one.closest('label');
  const inside = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
  const all = [...document.querySelectorAll('*')];
  return { place: all.indexOf(one), seen: inside && (shown(one) || (label && [...label.querySelectorAll('img')].some(shown))),
           html: one.outerHTML.slice(0, 120) };
}"""  # noqa: E501
REACHABLE = """() => {
  const all = [...document.querySelectorAll('*')];
  const free = (one) => one.checkVisibility() && !one.disabled && one.tabIndex >= 0 &&
    one.matches('a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex]');
  return all.filter(free).map((one) => all.indexOf(one));
}"""


def walk(page: Any) -> None:
    """Tab through a page: all that can be used is reached, in its order, and one sees where one is."""
    page.evaluate("window.scrollTo(0, 0)")
    reachable = page.evaluate(REACHABLE)
    places: list[int] = []
    for _ in range(len(reachable) + 3):
        page.keyboard.press("Tab")
        found = page.evaluate(SEEN)
        if found is None or found["place"] in places:
            break
        assert found["seen"], f"{page.url}: the focus is not seen on {found['html']}"
        places.append(found["place"])
    assert places == sorted(places), page.url
    missed = [place for place in reachable if place not in places]
    said = [page.evaluate("n => document.querySelectorAll('*')[n].outerHTML.slice(0, 160)", one) for one in missed]
    assert not missed, f"{page.url}: Tab does not reach {said}"


def reach(page: Any, name: str, role: str = "button") -> None:
    """Tab until a control has the focus."""
    wanted = page.get_by_role(role, name=name, exact=True).first
    for _ in range(200):
        page.keyboard.press("Tab")
        if wanted.evaluate("one => one === document.activeElement"):
            return
    raise AssertionError(f"Tab does not reach {name}")


@pytest.mark.timeout(900)
def test_every_screen_is_walked_through(browser: Any, served: str, tmp_path: Path) -> None:
    workspace = tmp_path / "ws"
    images, masks = blobs(12, 0, 32)
    known = {"mask_names": {"1": "tumour"}, "masks": masks}
    write_cohort(workspace / "real", images, ["tumour"] * 12, splits=["train"] * 4 + ["test"] * 8, **known)
    write_cohort(workspace / "drawn", blobs(12, 1, 32)[0], ["tumour"] * 12, origin="synthetic", **known)
    findings_in(workspace)
    visit = Visit(browser, served)
    page = visit.page
    for address in (
        "/", "/drop", "/scans/w/uploads", "/cohort/w/real", "/train", "/synthetic", "/verdict", "/detect", "/turing",
        "/findings/w/found", "/teach", "/paint/w/real", "/paint/w/p1_flair.nii.gz", "/jobs", "/learn",
    ):  # fmt: skip
        page.goto(f"{visit.root}{address}")
        walk(page)
    page.goto(f"{visit.root}/view/w/found/p1")
    page.wait_for_selector("canvas[data-ready]", timeout=120_000)
    walk(page)
    assert visit.faults == []


@pytest.mark.timeout(900)
def test_the_way_by_keys_alone(browser: Any, served: str, tmp_path: Path) -> None:
    """From simulated patients to a wall with a slice left out, no mouse anywhere."""
    visit = Visit(browser, served)
    page, press = visit.page, visit.page.keyboard.press
    press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    reach(page, "Scans", "link")
    press("Enter")
    page.wait_for_url("**/drop")
    press("Tab")
    press("Enter")  # past the menu
    for name, value in (("Patients", "6"), ("Size", "32")):
        field = page.locator("form[action='/order/simulate']").get_by_label(re.compile(f"^{name}"), exact=False).first
        for _ in range(60):
            press("Tab")
            if field.evaluate("one => one === document.activeElement"):
                break
        press("Control+a")
        page.keyboard.type(value)
    reach(page, "Simulate patients")
    press("Enter")
    page.wait_for_url("**/job/**")
    page.wait_for_selector("#result", timeout=400_000)
    reach(page, "See what it made", "link")
    press("Enter")
    page.wait_for_url("**/cohort/**")
    box = page.locator(".wall input[type=checkbox]").nth(1)
    for _ in range(60):
        press("Tab")
        if box.evaluate("one => one === document.activeElement"):
            break
    press("Space")
    assert box.is_checked()
    for _ in range(60):
        press("Shift+Tab")
        if page.evaluate("document.activeElement.textContent") == "Leave out":
            break
    press("Enter")
    page.locator("figure.out").wait_for()
    reach(page, "Save as a new cohort")
    press("Enter")
    page.wait_for_url("**-changed")
    visit.read()
    assert visit.faults == []


@pytest.mark.timeout(900)
def test_a_mask_is_corrected_by_keys(browser: Any, served: str, tmp_path: Path) -> None:
    workspace = tmp_path / "ws"
    findings_in(workspace)
    visit = Visit(browser, served)
    page, press = visit.page, visit.page.keyboard.press
    page.goto(f"{visit.root}/view/w/found/p1")
    page.wait_for_selector("canvas[data-ready]", timeout=120_000)
    page.locator("#width").focus()
    for _ in range(2):
        press("ArrowLeft")  # one voxel wide
    page.locator("#volume").focus()
    where = "() => window.studioView.frac2vox(window.studioView.scene.crosshairPos)"
    start = page.evaluate(where)
    tile = "() => window.studioView.frac2canvasPosWithTile(window.studioView.scene.crosshairPos, {0}).pos"

    # The cross goes where the arrow points, in every plane.
    for number, plane in enumerate(("axial", "coronal", "sagittal")):
        assert page.locator("#plane").input_value() == plane
        for key, axis, sign in (("ArrowRight", 0, 1), ("ArrowLeft", 0, -1), ("ArrowDown", 1, 1), ("ArrowUp", 1, -1)):
            before = page.evaluate(tile.replace("{0}", str(number)))
            press(key)
            after = page.evaluate(tile.replace("{0}", str(number)))
            assert (after[axis] - before[axis]) * sign > 0, (plane, key)
        press("p")
    assert page.evaluate(where) == start

    # Paint in one axial slice, leave four slices empty, paint again, and fill between.
    value = "p => window.studioView.drawBitmap[p[0] + 40 * (p[1] + 20 * p[2])]"
    corner = [2, 2]
    page.evaluate("p => { const v = window.studioView; v.scene.crosshairPos = v.vox2frac([p[0], p[1], 4]); }", corner)
    press("Space")
    assert "painted: axial slice 5 of 30" in page.inner_text("#said")
    for _ in range(3):
        press("Shift+ArrowLeft")
    assert [page.evaluate(value, [x, 2, 4]) for x in range(1, 7)] == [0, 1, 1, 1, 1, 0]
    press("e")
    press("Space")
    assert page.evaluate(value, [5, 2, 4]) == 0
    press("u")
    assert page.evaluate(value, [5, 2, 4]) == 1
    press("1")
    press("]")
    assert "width 2" in page.inner_text("#said")
    press("[")
    for _ in range(5):
        press("PageUp")
    for _ in range(4):
        press("Space")
        press("ArrowRight")
    page.select_option("#which", "mine")
    page.locator("#volume").focus()
    press("f")
    page.wait_for_selector("#said:has-text('4 slices filled')")
    visit.read()
    reach_save = page.get_by_role("button", name="Save the corrected mask", exact=True)
    for _ in range(40):
        press("Shift+Tab")
        if reach_save.evaluate("one => one === document.activeElement"):
            break
    press("Enter")
    page.wait_for_selector("#saved a")
    assert page.inner_text("#reviewed") == "corrected"
    saved = read_volume(workspace / "found" / "p1" / "p1_mask_corrected_by_hand.nii.gz").voxels > 0
    model = read_volume(workspace / "found" / "p1" / "p1_mask.nii.gz").voxels > 0
    # Axial slices lie along the array's second axis; the first axis of the picture runs against the file's.
    both = np.flatnonzero((saved != model).any((0, 2)))
    assert both.tolist() == list(range(both[0], both[0] + 6))
    ends = [set(zip(*np.nonzero(saved[:, at] & ~model[:, at]), strict=True)) for at in (both[0], both[-1])]
    assert ends[0] == ends[1]
    assert len(ends[0]) == 4

    reach(page, "Accept")
    press("Enter")
    page.wait_for_selector("#reviewed:has-text('corrected')")
    page.goto(f"{visit.root}/teach")
    visit.read()
    form = page.locator("input[name=size]")
    form.focus()
    press("Control+a")
    page.keyboard.type("32")
    reach(page, "Gather and prepare")
    press("Enter")
    page.wait_for_url("**/job/**")
    visit.finish()
    assert "real slices" in page.inner_text(".lead")
    assert visit.faults == []
