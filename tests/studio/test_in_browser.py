"""The way through the studio as a browser sees it, on small simulated patients."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("uvicorn", reason="the studio: pip install 'synthoma[studio]'")

from synthoma.phantom import PhantomConfig, simulate
from synthoma.scans.case import Volume
from synthoma.scans.volumes import read_volume, write_volume
from synthoma.studio.studio import SCREENS
from tests.studio.visiting import Visit, findings_in, picture_in
from tests.toys import blobs, halves, train_toy, write_cohort

pytestmark = pytest.mark.heavy

AT_THE_CROSS = """() => {
  const view = window.studioView, mask = view.volumes[1], at = view.frac2vox(view.scene.crosshairPos);
  return [mask.img.some((value) => value > 0) ? 1 : 0, mask.getValue(at[0], at[1], at[2]) > 0 ? 1 : 0];
}"""
"""Whether the mask shows any tumour, and whether the cross stands in it."""


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
    assert page.evaluate(AT_THE_CROSS) in ([0, 0], [1, 1])  # a tumour is at the cross, if the mask has any
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
    findings_in(workspace)
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
            # Once it is there: a picture that is still on its way has no sides.
            page.wait_for_function("() => document.querySelector('figure.read img')?.naturalHeight > 0")
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


COLOURS = """() => {
  const view = window.studioView, gl = view.gl, last = window.colours || [];
  const shown = (few) => {
    const pixels = new Uint8Array(4 * gl.canvas.width * gl.canvas.height);
    view.lens.few(few);
    view.drawScene();
    gl.readPixels(0, 0, gl.canvas.width, gl.canvas.height, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
    return pixels;
  };
  const few = window.colours = shown(true), whole = shown(false);
  return [few.reduce((most, one, at) => Math.max(most, Math.abs(one - whole[at])), 0), few.some((one, at) => one !== last[at])];
}"""  # noqa: E501
"""How far the screen is from itself, if slices that are looked at are coloured or all; whether it is another by now."""


@pytest.mark.timeout(600)
def test_slices_have_the_colours_of_the_volume(browser: Any, served: str, tmp_path: Path) -> None:
    findings_in(tmp_path / "ws")
    visit = Visit(browser, served)
    page = visit.page
    page.goto(f"{visit.root}/view/w/found/p1")
    page.wait_for_selector("canvas[data-ready]", timeout=120_000)
    for control, value in (("threshold", "0.8"), ("opacity", "90"), ("high", "60"), ("threshold", "0.95")):
        page.locator(f"#{control}").evaluate(
            "(one, value) => { one.value = value; one.dispatchEvent(new Event('input')); }", value
        )
        page.wait_for_selector("#ml:has-text('ml lie above it')")
        page.evaluate("() => new Promise((next) => requestAnimationFrame(() => requestAnimationFrame(next)))")
        for place in ([0.5, 0.5, 0.5], [0.43, 0.61, 0.38]):  # the second lies between slices
            page.evaluate("place => { window.studioView.scene.crosshairPos = place; }", place)
            far, other = page.evaluate(COLOURS)
            assert far <= 2, (control, value, place)
            assert other, (control, value, place)
    # The mask that is drawn outlives a studio that was started again, and is not hidden by the model's.
    page.uncheck("#chance")
    page.locator("#volume").focus()
    page.keyboard.press("Space")
    page.evaluate("document.getElementById('volume').dataset.csrf = 'of another day'")
    page.click("#save")
    page.wait_for_selector("#saved a")
    page.check("#chance")
    page.uncheck("#chance")
    assert page.evaluate("window.studioView.volumes[1].opacity") == 0
    assert [one for one in visit.faults if "403" not in one] == []


@pytest.mark.timeout(600)
def test_the_mask_of_a_picture_is_corrected(browser: Any, served: str, tmp_path: Path) -> None:
    workspace = tmp_path / "ws"
    grey = np.zeros((40, 60), np.uint8)
    grey[5:35, 8:52] = 90
    grey[5:15, 8:20] = 200  # bright above, on the left
    picture_in(workspace, grey)
    visit = Visit(browser, served)
    page = visit.page
    page.goto(f"{visit.root}/view/w/found/head")
    page.wait_for_selector("canvas[data-ready]", timeout=120_000)
    visit.read()
    page.locator("#volume").scroll_into_view_if_needed()
    # The screen shows the picture as its file does: the bright corner above, on the left.
    screen = np.asarray(Image.open(io.BytesIO(page.locator("#volume").screenshot())).convert("L"), np.float32)
    bright = np.argwhere(screen > 180)
    assert len(bright) > 100
    middle = np.array(screen.shape) / 2
    assert (bright.mean(axis=0) < middle).all()
    page.select_option("#brush", "1")
    box = page.locator("#volume").bounding_box()
    x, y = box["x"] + box["width"] * 0.6, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 40, y, steps=6)
    page.mouse.up()
    page.click("#save")
    page.wait_for_selector("#saved a")
    drawn = np.asarray(Image.open(workspace / "found" / "head" / "head_mask_corrected_by_hand.png"))
    assert drawn.shape == grey.shape
    rows, columns = np.nonzero(drawn > 0)
    added = columns > 30  # the model's spot lies left of it
    assert added.sum() > 5
    assert abs(rows[added].mean() - 20) < 3
    assert visit.faults == []


@pytest.mark.timeout(900)
def test_a_tumour_is_tried_and_painted(browser: Any, served: str, tmp_path: Path) -> None:
    study = simulate(seed=3, index=101, config=PhantomConfig(pixel_mm=2.5, slice_mm=6.0, healthy=1.0)).study
    scan = tmp_path / "ws" / "h1_flair.nii.gz"
    write_volume(Volume(np.asarray(study.images["flair"], np.float32), study.geometry), scan)
    visit = Visit(browser, served)
    page = visit.page
    page.goto(f"{visit.root}/paint/w/h1_flair.nii.gz")
    page.wait_for_selector("#easel[data-drawn]", timeout=120_000)
    visit.read()
    assert "Painted" in page.inner_text("#told")

    def next_one(act: Any) -> None:
        before = int(page.locator("#easel").get_attribute("data-drawn"))
        act()
        page.wait_for_function("n => Number(document.getElementById('easel').dataset.drawn) > n", arg=before)

    box = page.locator("#slice-picture").bounding_box()
    page.click("#easel", position={"x": box["width"] * 0.7, "y": box["height"] * 0.6})
    page.wait_for_function("document.getElementById('row').value !== ''")
    assert float(page.locator("#row").input_value()) == pytest.approx(0.6, abs=0.01)
    page.locator("#easel").focus()
    next_one(lambda: page.keyboard.press("ArrowUp"))
    assert float(page.locator("#row").input_value()) == pytest.approx(0.56, abs=0.01)
    next_one(lambda: page.check("#before"))
    assert "as it is" in page.inner_text("#told")
    next_one(lambda: page.uncheck("#before"))
    page.locator("input[name=oedema]").focus()
    next_one(lambda: page.keyboard.press("ArrowRight"))
    assert page.locator("input[name=oedema_wanted]").is_checked()
    visit.press("Paint")
    assert re.search("--place=[0-9.-]+,[0-9.-]+,[0-9.-]+", page.inner_text("#command"))
    visit.finish()
    assert "synthetic slices" in page.inner_text(".lead")
    assert visit.faults == []


@pytest.mark.timeout(600)
def test_a_generator_is_tried(browser: Any, served: str, tmp_path: Path) -> None:
    images, names = halves(60)
    train_toy(write_cohort(tmp_path / "halves", images, names), tmp_path / "ws" / "run", images=200, conditional=True)
    (tmp_path / "ws" / "run" / "run.json").write_text("{}", encoding="utf-8")
    visit = Visit(browser, served)
    page = visit.page
    page.goto(f"{visit.root}/synthetic")
    page.wait_for_selector("#trial[data-drawn]", timeout=120_000)
    visit.read()
    assert "Drawn in" in page.inner_text("#tried")

    def drawn_anew(what: str, act: Any) -> None:
        before = int(page.locator(what).get_attribute("data-drawn") or 0)
        act()
        page.wait_for_function(f"n => Number(document.querySelector('{what}').dataset.drawn) > n", arg=before)

    page.locator("input[name=truncation]").focus()
    drawn_anew("#trial", lambda: page.keyboard.press("ArrowLeft"))
    drawn_anew("#trial", lambda: page.select_option("select[name=label]", "left"))
    page.locator("#share").focus()
    drawn_anew("#tween", lambda: page.keyboard.press("ArrowRight"))
    page.locator("input[name=seed]").fill("")
    page.wait_for_selector("#tried:has-text('Not drawn')")
    visit.read()
    assert [one for one in visit.faults if "422" not in one] == []


@pytest.mark.timeout(600)
def test_a_tumour_is_painted_in_the_shape_that_is_drawn(browser: Any, served: str, tmp_path: Path) -> None:
    study = simulate(seed=3, index=101, config=PhantomConfig(pixel_mm=2.5, slice_mm=6.0, healthy=1.0)).study
    scan = tmp_path / "ws" / "h1_flair.nii.gz"
    write_volume(Volume(np.asarray(study.images["flair"], np.float32), study.geometry), scan)
    visit = Visit(browser, served)
    page = visit.page
    page.goto(f"{visit.root}/paint/w/h1_flair.nii.gz")
    page.wait_for_selector("#easel[data-drawn]", timeout=120_000)
    page.check("#draw")
    box = page.locator("#slice-picture").bounding_box()
    turns = np.linspace(0, 2 * np.pi, 30)
    corners = [
        (box["x"] + box["width"] * (0.65 + 0.1 * np.cos(turn)), box["y"] + box["height"] * (0.5 + 0.1 * np.sin(turn)))
        for turn in turns
    ]
    page.mouse.move(*corners[0])
    page.mouse.down()
    for corner in corners[1:]:
        page.mouse.move(*corner)
    page.mouse.up()
    page.wait_for_selector("#told:has-text('in the shape that you drew')", timeout=60_000)
    visit.read()
    # By keys: a triangle two slices further up, from the mark that arrows move; those between are filled.
    first = int(page.locator("#slice").input_value())
    page.locator("#easel").focus()
    for key in ("PageUp", "PageUp", "ArrowRight", "ArrowRight", "Space", "ArrowDown", "Space", "ArrowRight", "Space"):
        page.keyboard.press(key)
    assert "3 corners" in page.inner_text("#told")
    page.keyboard.press("Enter")
    page.wait_for_selector("#told:has-text('in the shape that you drew')", timeout=60_000)
    page.uncheck("#draw")
    visit.press("Paint")
    assert "--mask=" in page.inner_text("#command")
    visit.finish()
    [file] = (tmp_path / "ws" / "drawn-masks").iterdir()
    mask = read_volume(file).voxels
    assert np.flatnonzero(mask.any((1, 2))).tolist() == [first, first + 1, first + 2]
    rows, columns = np.nonzero(mask[first])
    assert (rows.mean() + 0.5) / mask.shape[1] == pytest.approx(0.5, abs=0.02)
    assert (columns.mean() + 0.5) / mask.shape[2] == pytest.approx(0.65, abs=0.02)
    assert np.ptp(columns) / mask.shape[2] == pytest.approx(0.2, abs=0.03)
    assert visit.faults == []
