"""Dials in the studio: what is shown is what was asked, and the job is the command that one would type."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from synthoma.core.types import Array
from synthoma.painting.files import own_mask
from synthoma.phantom import PhantomConfig
from synthoma.phantom.patient import phantom_cases
from synthoma.pipeline import paint
from synthoma.scans.case import Volume
from synthoma.scans.volumes import write_volume
from synthoma.studio.origin import Origin
from synthoma.studio.studio import Studio
from tests.toys import blobs, write_cohort

pytestmark = pytest.mark.slow

DIALS = {"grade": "low", "contrast": "1", "seed": "3"}


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated head without tumour, in a file."""
    config = PhantomConfig(healthy=1.0, slice_mm=6.0, pixel_mm=2.5, modalities=("flair",), artefacts=0.0)
    study = phantom_cases(1, 3, config)[0].load()
    path = tmp_path_factory.mktemp("head") / "h1_flair.nii.gz"
    write_volume(Volume(np.asarray(study.images["flair"], np.float32), study.geometry), path)
    return path


@pytest.fixture
def scan(studio: Studio, head: Path) -> str:
    """Its address in a folder that was opened."""
    (studio.places.roots["0"] / head.name).write_bytes(head.read_bytes())
    return f"0/{head.name}"


def picture(visitor: TestClient, scan: str, **asked: str) -> tuple[Array, dict[str, str]]:
    """A slice as the page shows it, and what was told of it."""
    answer = visitor.get(f"/sketch/{scan}", params={"sequence": "flair", **DIALS, **asked})
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content))).astype(int), dict(answer.headers)


def test_dials_show_in_the_slice(visitor: TestClient, scan: str) -> None:
    facts = visitor.get(f"/slices/{scan}").json()
    assert (facts["cases"], facts["sequences"], facts["sided"]) == (["h1"], ["flair"], True)
    at = {"slice": str(facts["middle"]), "row": "0.6", "column": "0.7"}
    plain, _ = picture(visitor, scan, **at)
    shapes = {}
    for ml in ("4", "25"):
        shown, told = picture(visitor, scan, **at, paint="yes", size_wanted="yes", ml=ml)
        rows, columns = np.nonzero(shown != plain)
        assert rows.mean() / len(plain) == pytest.approx(0.6, abs=0.06)
        assert columns.mean() / plain.shape[1] == pytest.approx(0.7, abs=0.06)
        assert float(told["x-painted-ml"]) == pytest.approx(float(ml), rel=0.1)
        shapes[ml] = len(rows)
        assert (shown[shown != plain] - plain[shown != plain]).mean() > 0  # bright in FLAIR
    assert shapes["25"] > 1.8 * shapes["4"]
    faint, _ = picture(visitor, scan, **at, paint="yes", size_wanted="yes", ml="25", contrast="0.3")
    assert abs(faint - plain).sum() < 0.6 * abs(shown - plain).sum()
    outlined, _ = picture(visitor, scan, **at, paint="yes", size_wanted="yes", ml="25", outline="yes")
    assert outlined.ndim == 3


def test_what_cannot_be_tried_is_said(visitor: TestClient, scan: str) -> None:
    def status(**asked: str) -> int:
        form = {"sequence": "flair", "slice": "8", "paint": "yes", **DIALS, **asked}
        return visitor.get(f"/sketch/{scan}", params=form).status_code

    assert status() == 200
    assert status(slice="400") == 404
    assert status(sequence="t1") == 404
    assert status(case="1") == 422
    assert status(row="2", column="0.5") == 422
    assert status(row="nan", column="0.5") == 422
    assert status(row="0", column="0") == 400  # air
    assert status(contrast="99") == 422
    assert status(lobe="--output=x") == 422
    assert status(shows="x") == 422
    assert visitor.get("/slices/0/inner").status_code == 422  # no scan that can be read
    assert visitor.get("/sketch/0/../../secret.txt").status_code in (403, 404)


def test_the_job_is_the_command(studio: Studio, visitor: TestClient, csrf: str, scan: str) -> None:
    def words(**form: str) -> tuple[str, ...]:
        answer = visitor.post("/order/paint", data={"csrf": csrf, "at": scan, "copies": "1", **DIALS, **form})
        assert answer.status_code == 303, answer.text
        job = studio.store.job(answer.headers["location"].removeprefix("/job/"))
        assert job is not None
        assert job.kind == "paint"
        return job.words

    file, out = studio.places.find(scan), studio.places.workspace / "painted"
    plain = words()
    assert plain == ("paint", str(file), f"--output={out}", "--grade=low", "--contrast=1", "--seed=3")
    full = words(
        size_wanted="yes", ml="12.5", oedema_wanted="yes", oedema="0.4", enhancing="0.9", lobe="frontal", side="left",
        copies="3", beside="yes", shows="flair",
    )  # fmt: skip
    assert full[3:] == (
        "--grade=low", "--size-ml=12.5", "--contrast=1", "--oedema=0.4", "--place=left frontal", "--seed=3",
        "--copies=3", "--beside", "--shows=flair",
    )  # fmt: skip
    clicked = words(row="0.5", column="0.7", slice="8", lobe="frontal")
    [place] = [word for word in clicked if word.startswith("--place=")]
    x, y, _ = map(float, place.removeprefix("--place=").split(","))
    assert x > 20  # to the patient's left, which pictures show on the right
    assert abs(y) < 15
    bad = {"csrf": csrf, "at": scan, "copies": "1", **DIALS, "row": "0.5", "column": "1.5", "slice": "8"}
    assert visitor.post("/order/paint", data=bad).status_code == 422
    assert visitor.post("/order/paint", data={**bad, "csrf": "x", "column": "0.5"}).status_code == 403


def test_a_shape_of_ones_own_is_painted(studio: Studio, visitor: TestClient, csrf: str, scan: str) -> None:
    facts = visitor.get(f"/slices/{scan}").json()
    middle = int(facts["middle"])
    square = [[0.45, 0.55], [0.45, 0.7], [0.6, 0.7], [0.6, 0.55]]
    outlines = json.dumps({str(middle): [square], str(middle + 2): [square]})
    at = {"slice": str(middle), "paint": "yes", "outlines": outlines}
    plain, _ = picture(visitor, scan, slice=str(middle))
    shown, told = picture(visitor, scan, **at)
    rows, columns = np.nonzero(abs(shown - plain) > 8)
    # Around the outline there is a soft margin of some pixels.
    assert rows.mean() / len(plain) == pytest.approx(0.525, abs=0.03)
    assert columns.mean() / plain.shape[1] == pytest.approx(0.625, abs=0.03)
    assert told["x-painter"] == "mask"
    beside, said = picture(visitor, scan, **{**at, "slice": str(middle - 1)})
    assert np.array_equal(beside, picture(visitor, scan, slice=str(middle - 1))[0])
    assert float(said["x-painted-ml"]) == 0

    form = {"csrf": csrf, "at": scan, "copies": "1", **DIALS, "size_wanted": "yes", "ml": "9", "lobe": "frontal"}
    answer = visitor.post("/order/paint", data={**form, "outlines": outlines, "slice": str(middle)})
    assert answer.status_code == 303, answer.text
    job = studio.store.job(answer.headers["location"].removeprefix("/job/"))
    assert job is not None
    assert not [word for word in job.words if word.startswith(("--size-ml", "--place"))]
    [file] = [Path(word.removeprefix("--mask=")) for word in job.words if word.startswith("--mask=")]
    assert file.parent == studio.places.workspace / "drawn-masks"
    study = Origin(studio.places.find(scan)).cases()[0].load()
    mask = own_mask(file, study)
    assert mask.any((1, 2)).nonzero()[0].tolist() == [middle, middle + 1, middle + 2]
    inside = np.argwhere(mask[middle])
    assert (inside.mean(0) + 0.5) / mask.shape[1:] == pytest.approx([0.525, 0.625], abs=0.02)
    made = paint(studio.places.find(scan), tmp := studio.places.workspace / "made", mask=file)
    assert made.path == tmp

    assert visitor.post("/order/paint", data={**form, "outlines": '{"0": [[[2, 2]]]}'}).status_code == 422
    thin = json.dumps({str(middle): [[[0.5, 0.5], [0.5, 0.501], [0.501, 0.5]]]})
    assert visitor.post("/order/paint", data={**form, "outlines": thin}).status_code == 422
    (studio.places.roots["0"] / "h2_flair.nii.gz").write_bytes(studio.places.find(scan).read_bytes())
    assert visitor.post("/order/paint", data={**form, "at": "0", "outlines": outlines}).status_code == 422


def test_cohorts_are_painted_by_words(studio: Studio, visitor: TestClient, csrf: str) -> None:
    images, masks = blobs(8, 0, 32)
    write_cohort(studio.places.workspace / "toy", images, ["tumour"] * 8, masks, mask_names={"1": "tumour"})
    write_cohort(studio.places.workspace / "drawn", images, ["tumour"] * 8, origin="synthetic")
    page = visitor.get("/paint/w/toy").text
    assert "paint.js" not in page
    assert 'name="lobe"' in page
    assert visitor.get("/paint/w/drawn").status_code == 422
    form = {"csrf": csrf, "at": "w/toy", "copies": "1", **DIALS, "beside": "yes"}
    assert visitor.post("/order/paint", data=form).status_code == 303
