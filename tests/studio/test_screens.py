"""What screens show of artefacts, and which commands forms order."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from synthoma.core.pictures import OUTLINE
from synthoma.studio.studio import Studio
from tests.toys import write_cohort

NASTY = "<i>tumour</i>"
COMMON = {"size": "32", "slices": "tumour", "every": "3"}


@pytest.fixture
def cohort(studio: Studio) -> Path:
    """130 slices, with a class whose name is markup, and a square of tumour in each."""
    images = np.linspace(0, 1, 130)[:, None, None] * np.ones((130, 16, 16))
    masks = np.zeros((130, 16, 16), np.uint8)
    masks[:, 4:9, 4:9] = 1
    labels, splits = [NASTY] * 70 + ["healthy"] * 60, (["train"] * 9 + ["test"]) * 13
    write_cohort(studio.places.workspace / "toy", images, labels, masks, splits=splits, mask_names={"1": "tumour"})
    return studio.places.workspace / "toy"


def words(studio: Studio, visitor: TestClient, csrf: str, order: str, **form: str) -> tuple[str, ...]:
    """The command that a form orders."""
    answer = visitor.post(f"/order/{order}", data={"csrf": csrf, **form})
    assert answer.status_code == 303, answer.text
    job = studio.store.job(answer.headers["location"].removeprefix("/job/"))
    assert job is not None
    return job.words


def test_home_lists_what_is_there(visitor: TestClient, cohort: Path) -> None:
    page = visitor.get("/").text
    assert 'href="/cohort/w/toy"' in page
    assert "130 phantom slices, flair, 16 px" in page


def test_the_wall_is_paged_and_filtered(visitor: TestClient, cohort: Path) -> None:
    assert visitor.get("/cohort/w/toy").text.count("<figure>") == 60
    assert visitor.get("/cohort/w/toy?page=3").text.count("<figure>") == 10
    assert visitor.get("/cohort/w/toy?page=99").text.count("<figure>") == 10
    assert "page 1 of 1" in visitor.get("/cohort/w/toy", params={"label": "healthy"}).text
    assert "13 slices" in visitor.get("/cohort/w/toy", params={"split": "test"}).text
    both = visitor.get("/cohort/w/toy", params={"split": "test", "label": NASTY}).text
    assert both.count("<figure>") == 7
    assert NASTY not in both
    assert "&lt;i&gt;tumour" in both


def test_thumbnails_are_the_slices(visitor: TestClient, cohort: Path) -> None:
    answer = visitor.get("/thumb/w/toy", params={"row": "129"})
    picture = np.asarray(Image.open(io.BytesIO(answer.content)))
    assert picture.shape == (128, 128, 3)
    assert tuple(picture[4 * 8, 4 * 8]) == OUTLINE[1]
    assert tuple(picture[0, 0]) == (255, 255, 255)  # its brightest, outside of the mask
    for row in ("130", "-1", "x", ""):
        assert visitor.get("/thumb/w/toy", params={"row": row}).status_code == 404


def test_forms_order_commands(studio: Studio, visitor: TestClient, csrf: str, cohort: Path) -> None:
    workspace = studio.places.workspace
    simulate = words(studio, visitor, csrf, "simulate", patients="5", modality_flair="yes", **COMMON)
    assert simulate == (
        "prepare", "--phantom=5", f"--output={workspace / 'phantom'}", "--size=32", "--slices=tumour", "--every=3",
        "--modalities=flair",
    )  # fmt: skip
    assert words(studio, visitor, csrf, "simulate", patients="5", **COMMON)[2] == f"--output={workspace / 'phantom-2'}"
    prepare = words(studio, visitor, csrf, "prepare", at="0/inner", name="../../mine", **COMMON)
    assert prepare[1:3] == (str(studio.places.roots["0"] / "inner"), f"--output={workspace / 'mine'}")
    train = words(studio, visitor, csrf, "train", at="w/toy", model="wgan-gp", images="64", minutes="10")
    assert train[3:] == ("--model=wgan-gp", "--images=64")
    detect = words(studio, visitor, csrf, "detect", at="0/inner/p1_flair.nii.gz", threshold="0.4")
    assert detect[1] == str(studio.places.roots["0"] / "inner" / "p1_flair.nii.gz")
    assert detect[3:] == ("--threshold=0.4",)


def test_sliders_become_options(studio: Studio, visitor: TestClient, csrf: str, cohort: Path) -> None:
    common = {"at": "w/toy", "count": "500", "seed": "3"}
    plain = words(studio, visitor, csrf, "generate", **common, truncation="1", keep="1", ml="20")
    assert plain[3:] == ("-n", "500", "--seed=3")
    full = words(
        studio, visitor, csrf, "generate", **common, truncation="0.7", keep="0.5", size_wanted="yes", ml="12.5",
        lobe="temporal", side="left", interpolation="yes", arithmetic="1,2 - 3", nearest="w/toy", files="png",
        label="tumour", first="yes",
    )  # fmt: skip
    assert full[3:] == (
        "-n", "12", "--seed=3", "--class=tumour", "--truncation=0.7", "--reject-discriminator=0.5", "--tumour-ml=12.5",
        "--tumour-lobe=temporal", "--tumour-side=left", "--interpolation", "--arithmetic=1,2 - 3", "--export=png",
        f"--nearest={cohort}",
    )  # fmt: skip
    export = words(studio, visitor, csrf, "export", at="w/toy", to="coco")
    assert export == ("export", str(cohort), "--to=coco", f"--output={studio.places.workspace / 'toy-coco'}")
    readers = {"readers": "Ann, Bob", "design": "pairs", "number": "8", "repeats": "25", "pixels": "64", "seed": "0"}
    turing = words(studio, visitor, csrf, "turing", real="w/toy", synthetic="w/toy", **readers)
    assert turing[:2] == ("turing", "make")
    assert turing[5:9] == ("--readers=Ann,Bob", "--design=pairs", "--number=8", "--repeats=0.25")


def test_a_generator_shows_what_it_can(studio: Studio, visitor: TestClient) -> None:
    def run(name: str, **meta: object) -> None:
        folder = studio.places.workspace / name
        folder.mkdir()
        (folder / "run.json").write_text("{}", encoding="utf-8")
        said = json.dumps({"kind": "generator", "model": name, "classes": ["tumour", "healthy"], **meta})
        header = json.dumps({"__metadata__": {"synthoma": said}}).encode()
        (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)

    run("plain", network={"network": "dcgan"}, shape={"classes": 0})
    run("repaint", network={"network": "repaint"}, shape={"classes": 2}, realness={"slope": 1})
    page = visitor.get("/synthetic?at=w/plain").text
    assert "tumour, in new" not in page
    assert 'name="keep"' not in page
    assert 'name="label"' not in page
    page = visitor.get("/synthetic?at=w/repaint").text
    assert 'name="lobe"' in page
    assert 'name="keep"' in page
    assert "<option>tumour</option>" in page


def test_verdicts_stand_side_by_side(studio: Studio, visitor: TestClient) -> None:
    for name, rows, state in (("one", [1, 2], "POOR"), ("two", [1, 3], "GOOD")):
        folder = studio.places.workspace / name
        folder.mkdir()
        light = {"question": "realistic", "state": state, "figure": "0.9", "text": "<u>" + "x" * 300 + "end"}
        content = {
            "verdict": {"word": "NO EVIDENCE", "because": f"it is {name}"}, "lights": [light], "preset": "quick",
            "compared": {"modality": "flair", "training": 48, "rows": {"held_out": rows}},
            "provenance": {"real": {"images_sha256": "abc"}},
        }  # fmt: skip
        (folder / "evaluation.json").write_text(json.dumps(content), encoding="utf-8")
    page = visitor.get("/verdicts", params={"at": ["w/one", "w/two"]}).text
    assert page.index("it is one") < page.index("it is two")
    assert "l-POOR" in page
    assert "l-GOOD" in page
    assert "xend" in page
    assert "<u>" not in page
    assert "do not stand on the same" in page
    assert "do not stand on the same" not in visitor.get("/verdicts", params={"at": ["w/one", "w/one"]}).text
    assert visitor.get("/verdicts").status_code == 404
    assert visitor.get("/verdicts", params={"at": "../secret"}).status_code == 403


@pytest.mark.parametrize(
    ("order", "form"),
    [
        ("simulate", {"patients": "0"}), ("simulate", {"patients": "1e3"}), ("simulate", {"patients": "5; ls"}),
        ("simulate", {"patients": "5", "slices": "--force"}), ("simulate", {"patients": "5", "size": "9999"}),
        ("train", {"at": "w/toy", "model": "--force", "minutes": "1"}), ("train", {"at": "w/toy", "minutes": "nan"}),
        ("train", {"at": "w/../scans", "minutes": "1"}), ("train", {"minutes": "1"}),
        ("evaluate", {"real": "w/toy", "synthetic": "w/none", "preset": "quick"}),
        ("generate", {"at": "w/toy", "count": "5", "seed": "0", "truncation": "7"}),
        ("generate", {"at": "w/toy", "count": "5", "seed": "0", "lobe": "--force"}),
        ("generate", {"at": "w/toy", "count": "5", "seed": "0", "arithmetic": "1; rm -r /"}),
        ("generate", {"at": "w/toy", "count": "5", "seed": "0", "nearest": "../../x"}),
        ("export", {"at": "w/toy", "to": "--force"}), ("turing", {"real": "w/toy", "synthetic": "w/toy"}),
        ("detect", {"at": "0/inner", "threshold": "2"}), ("detect", {"at": "0/inner", "model": "../../x"}),
    ],
)  # fmt: skip
def test_forms_are_checked(
    studio: Studio, visitor: TestClient, csrf: str, cohort: Path, order: str, form: dict[str, str]
) -> None:
    answer = visitor.post(f"/order/{order}", data={"csrf": csrf, **COMMON, **form})
    assert answer.status_code in (400, 403, 404, 422)
    assert studio.store.jobs() == []


def test_names_cannot_become_options(studio: Studio, visitor: TestClient, csrf: str) -> None:
    made = words(studio, visitor, csrf, "simulate", patients="2", name="--force", **COMMON)
    assert made[2] == f"--output={studio.places.workspace / 'force'}"
    assert sum(word.startswith("--force") for word in made) == 0


def test_a_job_has_a_page_and_can_be_cancelled(studio: Studio, visitor: TestClient, csrf: str) -> None:
    job = studio.queue.add(
        "train", "train <b>x</b>", ("train", "a b", "--output=c"), str(studio.places.workspace / "c")
    )
    page = visitor.get(f"/job/{job.id}").text
    assert "synthoma train &#39;a b&#39; --output=c" in page
    assert "<b>x</b>" not in page
    assert visitor.get(f"/job/{job.id}/state").json()["state"] == "queued"
    assert visitor.post(f"/job/{job.id}/cancel", data={"csrf": csrf}).status_code == 303
    assert visitor.get(f"/job/{job.id}/state").json()["over"] is True
    assert visitor.post(f"/job/{job.id}/again", data={"csrf": csrf}).status_code == 303
    assert visitor.get(f"/job/{job.id}/state").json()["state"] == "queued"
    assert visitor.get("/job/none").status_code == 404


def test_a_page_of_an_artefact_is_a_stranger(visitor: TestClient, cohort: Path) -> None:
    (cohort / "report.html").write_text("<script>fetch('/jobs')</script>", encoding="utf-8")
    policy = visitor.get("/report/w/toy").headers["content-security-policy"]
    assert policy.startswith("sandbox allow-scripts")
    assert "allow-same-origin" not in policy
    assert "connect-src data: blob:;" in policy
    kept = visitor.get("/file/w/toy/report.html").headers
    assert kept["content-disposition"].startswith("attachment")
    assert kept["content-type"] == "application/octet-stream"


def test_lights_of_a_verdict_are_text(studio: Studio, visitor: TestClient) -> None:
    folder = studio.places.workspace / "judged"
    folder.mkdir()
    light = {"question": "realistic", "state": "poor", "figure": "0.9", "text": "<script>x</script>"}
    content = {"verdict": {"word": "no evidence", "because": "a & b"}, "lights": [light, "damaged", None]}
    (folder / "evaluation.json").write_text(json.dumps(content), encoding="utf-8")
    page = visitor.get("/evaluation/w/judged").text
    assert "no evidence" in page
    assert "l-poor" in page
    assert "&lt;script&gt;x" in page


@pytest.mark.parametrize("content", ["", "[]", "{", '{"verdict": 3}', "[" * 100_000, "\udcff"])
def test_damaged_artefacts_do_not_end_the_studio(studio: Studio, visitor: TestClient, content: str) -> None:
    for name in ("cohort", "run", "evaluation", "detection"):
        folder = studio.places.workspace / name
        folder.mkdir()
        (folder / f"{name}.json").write_bytes(content.encode("utf-8", "surrogateescape"))
        (folder / "model.safetensors").write_bytes(b"\xff" * 64)
    assert visitor.get("/").status_code == 200
    for screen, name in (("cohort", "cohort"), ("run", "run"), ("evaluation", "evaluation"), ("findings", "detection")):
        assert visitor.get(f"/{screen}/w/{name}").status_code in (200, 400)


def _findings(studio: Studio) -> Path:
    """Findings in one scan, with a small copy and a mask."""
    folder = studio.places.workspace / "found"
    case = folder / "p1"
    case.mkdir(parents=True)
    (folder / "detection.json").write_text(json.dumps({"scans": 1, "with_tumour": 1}), encoding="utf-8")
    files = {"mask": ["p1_mask.nii.gz", "../../../secret.txt"], "view": ["view.json"]}
    facts = {"case": "<u>p1</u>", "probability": 0.8, "has_tumour": True, "volume_ml": 5.4, "files": files}
    (case / "findings.json").write_text(json.dumps(facts), encoding="utf-8")
    small = {name: base64.b64encode(name.encode()).decode() for name in ("scan", "mask")}
    (case / "view.json").write_text(json.dumps({"small": small}), encoding="utf-8")
    (case / "p1_mask.nii.gz").write_bytes(b"whole mask")
    return folder


def test_a_scan_is_shown_with_its_mask_on_one_grid(studio: Studio, visitor: TestClient, csrf: str) -> None:
    folder = _findings(studio)

    def volumes() -> list[bytes]:
        return [visitor.get("/volume/w/found/p1", params={"what": what}).content for what in ("scan", "mask")]

    assert volumes() == [b"scan", b"mask"]  # the small copies: nobody knows where the scan is
    assert "synthoma detect SCAN --threshold" in visitor.get("/view/w/found/p1").text
    scan = studio.places.roots["0"] / "inner" / "p1_flair.nii.gz"
    studio.queue.add("detect", "look", ("detect", str(scan)), str(folder))
    assert volumes() == [b"no volume", b"whole mask"]
    page = visitor.get("/view/w/found/p1").text
    assert 'name="at" value="0/inner/p1_flair.nii.gz"' in page
    assert "<u>p1" not in page
    assert "secret" not in page
    assert visitor.get("/volume/w/found/p1", params={"what": "config"}).status_code == 404


def test_a_scan_outside_is_not_shown(studio: Studio, visitor: TestClient, tmp_path: Path) -> None:
    folder = _findings(studio)
    (tmp_path / "secret.nii").write_bytes(b"secret")
    studio.queue.add("detect", "look", ("detect", str(tmp_path / "secret.nii")), str(folder))
    assert visitor.get("/volume/w/found/p1", params={"what": "scan"}).content == b"scan"


def test_what_was_understood_is_shown_as_text(studio: Studio, visitor: TestClient, csrf: str) -> None:
    assert visitor.post("/look", data={"csrf": csrf, "at": "0/inner"}).headers["location"] == "/scans/0/inner"
    (job,) = studio.store.jobs()
    assert "Looking at it" in visitor.get("/scans/0/inner").text
    example = {"case": "<s>p1</s>", "patient": "p1", "files": {"flair": "p1_flair.nii.gz"}}
    facts: dict[str, object] = {
        "kind": "scans", "layout": "volumes", "cases": 1, "patients": 1, "cases without a known patient": 0,
        "patients with several visits": 0, "modalities": {"flair": 1}, "with masks": 0, "labels": [], "classes": {},
        "left aside": {}, "skipped files": 0, "warnings": ["nobody is held out"], "examples": [example], "remarks": [],
    }  # fmt: skip
    (studio.queue.logs / f"{job.id}.json").write_text(json.dumps(facts), encoding="utf-8")
    studio.store.end(job.id, "done")
    page = visitor.get("/scans/0/inner").text
    assert "1 cases of 1 patients" in page
    assert "nobody is held out" in page
    assert "<s>p1" not in page
