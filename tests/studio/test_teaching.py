"""A detector learns from masks that somebody found right, and from no other; DICOM comes back as DICOM."""

from __future__ import annotations

import html
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from synthoma.cohorts.cohort import Cohort
from synthoma.cohorts.settings import PrepareConfig
from synthoma.core.types import Array
from synthoma.pipeline import prepare
from synthoma.scans.case import Geometry, Volume
from synthoma.scans.layouts import take_inventory
from synthoma.scans.volumes import read_volume, write_volume
from synthoma.studio.studio import Studio
from tests.detection.test_dicom_seg import complete
from tests.scans.writers import OBLIQUE, write_dicom

GRID = Geometry((2.0, 1.5, 4.0), (-40.0, 12.5, 7.0), (0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0))
SHAPE = (6, 24, 26)
PARTS = {"1": "core", "2": "oedema", "3": "enhancing"}
COMMON = {"size": "32", "slices": "all", "every": "1"}


def head(seed: int) -> Array:
    """A bright ball with grain."""
    z, y, x = np.ogrid[-1 : 1 : SHAPE[0] * 1j, -1 : 1 : SHAPE[1] * 1j, -1 : 1 : SHAPE[2] * 1j]
    grain = np.random.default_rng(seed).normal(0, 20, SHAPE)
    return np.where(z**2 + y**2 + x**2 < 0.9, 300 + grain, 0).astype(np.int16)


def spot(value: int = 1) -> Array:
    """A square of one label in one slice."""
    mask = np.zeros(SHAPE, np.uint8)
    mask[3, 10:14, 10:15] = value
    return mask


def found(studio: Studio, name: str, scan: Path, mask: Array, *, labels: dict[str, str] | None = None) -> Path:
    """Findings of one scan as `detect` leaves them, and the job that made them."""
    folder = studio.places.workspace / f"found-{name}" / name
    folder.mkdir(parents=True)
    case = take_inventory(scan, key=b"x" * 16, masks_wanted=False).cases[0]
    grid = case.load().geometry
    if grid is None:
        Image.fromarray(mask[0] * np.uint8(255)).save(folder / f"{name}_mask.png")
        file = f"{name}_mask.png"
    else:
        write_volume(Volume(mask, grid), folder / f"{name}_mask.nii.gz")
        file = f"{name}_mask.nii.gz"
    facts = {"case": case.name, "has_tumour": True, "files": {"mask": [file]}, "labels": labels or {"1": "tumour"}}
    (folder / "findings.json").write_text(json.dumps(facts), encoding="utf-8")
    (folder.parent / "detection.json").write_text("{}", encoding="utf-8")
    job = studio.store.add("detect", "look", ("detect", str(scan)), str(folder.parent))
    studio.store.end(job.id, "done")
    return folder


@pytest.fixture(autouse=True)
def one_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pseudonyms are those of the tests."""
    monkeypatch.setenv("SYNTHOMA_KEY", "x" * 16)


@pytest.fixture
def three(studio: Studio) -> dict[str, Path]:
    """Findings in three volumes: a, b and c."""
    folders = {}
    for number, name in enumerate("abc"):
        scan = studio.places.workspace / "uploads" / f"u{number}" / f"{name}_flair.nii.gz"
        scan.parent.mkdir()
        write_volume(Volume(head(number), GRID), scan)
        folders[name] = found(studio, name, scan.parent, spot())
    return folders


def says(visitor: TestClient, csrf: str, folder: Path, verdict: str, mask: str = "") -> int:
    """Review a finding as its page does."""
    at = f"w/{folder.parent.name}/{folder.name}"
    form = {"csrf": csrf, "verdict": verdict, **({"mask": mask} if mask else {})}
    return visitor.post(f"/review/{at}", data=form).status_code


def corrects(visitor: TestClient, csrf: str, folder: Path, mask: Array) -> dict[str, object]:
    """Save a corrected mask as the page does."""
    sent = folder.parent / "sent.nii"
    write_volume(Volume(mask, read_volume(next(folder.glob("*_mask.nii.gz"))).geometry), sent)
    answer = visitor.post(
        f"/correct/w/{folder.parent.name}/{folder.name}", files={"mask": ("m.nii", sent.read_bytes())},
        headers={"x-csrf": csrf, "accept": "application/json"},
    )  # fmt: skip
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def teach(visitor: TestClient, csrf: str, *findings: str, **more: str) -> tuple[int, str]:
    """Order a cohort of what was reviewed; the status, and where it leads or what is wrong."""
    answer = visitor.post("/teach", data={"csrf": csrf, "finding": list(findings), **COMMON, **more})
    return answer.status_code, answer.headers.get("location", answer.text)


def words(studio: Studio, place: str) -> tuple[str, ...]:
    """The command of a job."""
    job = studio.store.job(place.removeprefix("/job/"))
    assert job is not None
    return job.words


@pytest.mark.slow
def test_what_is_right_becomes_a_cohort(
    studio: Studio, visitor: TestClient, csrf: str, three: dict[str, Path], tmp_path: Path
) -> None:
    assert says(visitor, csrf, three["a"], "accepted") == 303
    larger = spot()
    larger[4] = larger[3]
    assert corrects(visitor, csrf, three["b"], larger)["file"] == "b_mask_corrected_by_hand.nii.gz"
    assert says(visitor, csrf, three["c"], "rejected") == 303
    page = visitor.get("/teach").text
    assert page.count('name="finding"') == 2
    assert 'value="w/found-c/c"' not in page

    status, place = teach(visitor, csrf, "w/found-a/a", "w/found-b/b", test="50", validation="0")
    assert status == 303, place
    folder = studio.places.workspace / "cases-corrected"
    assert words(studio, place) == (
        "prepare", str(folder), f"--output={studio.places.workspace / 'corrected'}", "--convention=whole-tumour",
        "--size=32", "--slices=all", "--every=1", "--split=0.5,0,0.5",
    )  # fmt: skip
    cases = {case.name: case.load() for case in take_inventory(folder, convention="whole-tumour").cases}
    for name, number, mask in (("a", 0, spot()), ("b", 1, larger)):
        assert np.array_equal(cases[name].images["flair"], head(number))
        assert np.array_equal(cases[name].mask, mask)  # type: ignore[arg-type]
        assert cases[name].geometry == GRID
    prepare(folder, tmp_path / "cohort", config=PrepareConfig(convention="whole-tumour", size=32, split=(0.5, 0, 0.5)))
    table = Cohort(tmp_path / "cohort").slices
    assert (table["tumour_pixels"] > 0).groupby(table["case"]).sum().to_dict() == {"a": 1, "b": 2}
    assert table.groupby("case")["split"].nunique().max() == 1


@pytest.mark.slow
def test_rejected_and_doubled_masks_are_refused(
    studio: Studio, visitor: TestClient, csrf: str, three: dict[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    says(visitor, csrf, three["a"], "accepted")
    says(visitor, csrf, three["c"], "rejected")
    status, said = teach(visitor, csrf, "w/found-a/a", "w/found-c/c")
    assert (status, "rejected" in said) == (400, True)
    said_of_c = html.unescape(said)
    again = found(studio, "again", studio.places.workspace / "uploads" / "u0", spot())
    says(visitor, csrf, again, "accepted")
    status, said = teach(visitor, csrf, "w/found-a/a", "w/found-again/again")
    assert (status, "one mask of each scan" in said) == (400, True)
    assert teach(visitor, csrf)[0] == 400
    assert teach(visitor, csrf, "w/found-b/b")[0] == 404  # of which nobody said anything
    assert teach(visitor, csrf, "w/../secret")[0] == 404
    assert teach(visitor, csrf, "w/found-a/a", size="x")[0] == 422
    assert not list(studio.places.workspace.glob("cases-corrected*"))  # nothing half made
    assert "'c'" in said_of_c
    refusals = [record.getMessage() for record in caplog.records if "refused" in record.getMessage()]
    assert len(refusals) >= 4
    assert not any("'c'" in line or "'a'" in line for line in refusals)  # the log names nobody
    assert not studio.store.jobs("queued")
    # The last word counts.
    says(visitor, csrf, three["c"], "accepted")
    assert teach(visitor, csrf, "w/found-a/a", "w/found-c/c")[0] == 303


def test_a_mask_that_was_made_anew_is_not_reviewed(visitor: TestClient, csrf: str, three: dict[str, Path]) -> None:
    says(visitor, csrf, three["a"], "accepted")
    assert "w/found-a/a" in visitor.get("/teach").text
    write_volume(Volume(spot() * 0, GRID), three["a"] / "a_mask.nii.gz")
    assert "w/found-a/a" not in visitor.get("/teach").text


def test_reviews_are_checked(studio: Studio, visitor: TestClient, csrf: str, three: dict[str, Path]) -> None:
    assert says(visitor, csrf, three["a"], "perhaps") == 422
    assert says(visitor, csrf, three["a"], "accepted", "../../secret.txt") == 422
    assert says(visitor, "wrong", three["a"], "accepted") == 403
    assert visitor.post("/review/w/found-a", data={"csrf": csrf, "verdict": "accepted"}).status_code == 404
    assert not (three["a"] / "review.json").exists()
    assert visitor.get("/teach").text.count('name="finding"') == 0


@pytest.mark.slow
def test_masks_of_two_meanings_are_not_mixed_in_silence(
    studio: Studio, visitor: TestClient, csrf: str, three: dict[str, Path]
) -> None:
    scan = studio.places.workspace / "uploads" / "u9" / "d_flair.nii.gz"
    scan.parent.mkdir()
    write_volume(Volume(head(9), GRID), scan)
    mask = spot(2)
    mask[3, 12, 12] = 3
    parts = found(studio, "d", scan, mask, labels=PARTS)
    for folder in (three["a"], parts):
        says(visitor, csrf, folder, "accepted")
    status, place = teach(visitor, csrf, "w/found-d/d")
    assert "--convention=1=core,2=oedema,3=enhancing" in words(studio, place)
    status, said = teach(visitor, csrf, "w/found-a/a", "w/found-d/d")
    assert (status, "mean one thing" in said) == (400, True)
    status, place = teach(visitor, csrf, "w/found-a/a", "w/found-d/d", merge="yes")
    assert "--convention=whole-tumour" in words(studio, place)
    merged = Path(words(studio, place)[1])
    assert np.unique(read_volume(merged / "d" / "d_seg.nii.gz").voxels).tolist() == [0, 1]


@pytest.mark.slow
def test_pictures_come_as_pictures(studio: Studio, visitor: TestClient, csrf: str) -> None:
    scan = studio.places.workspace / "uploads" / "u0" / "slice.png"
    scan.parent.mkdir()
    grey = np.random.default_rng(0).integers(0, 255, (24, 26)).astype(np.uint8)
    Image.fromarray(grey).save(scan)
    folder = found(studio, "slice", scan, spot()[3:4])
    assert says(visitor, csrf, folder, "accepted") == 303
    status, place = teach(visitor, csrf, "w/found-slice/slice")
    assert status == 303, place
    case = take_inventory(Path(words(studio, place)[1]), convention="whole-tumour").cases[0].load()
    assert np.array_equal(case.images["image"][0], grey)
    assert np.array_equal(case.mask, spot()[3:4])  # type: ignore[arg-type]


def three_slices(studio: Studio) -> tuple[Path, Array]:
    """Findings in a patient of three pictures, with a probability and a spot in the second; and their grey values."""
    folder = studio.places.workspace / "uploads" / "u0"
    folder.mkdir()
    grey = np.random.default_rng(0).integers(0, 255, (3, 20, 30)).astype(np.uint8)
    rows = ["patient,case,slice,image"]
    for z, layer in enumerate(grey):
        Image.fromarray(layer).save(folder / f"s{z}.png")
        rows.append(f"p,p,{z},s{z}.png")
    (folder / "cases.csv").write_text("\n".join(rows), encoding="utf-8")
    case = take_inventory(folder, key=b"x" * 16, masks_wanted=False).cases[0]
    mask = np.zeros((3, 20, 30), np.uint8)
    mask[1, 5:9, 12:18] = 1
    place = studio.places.workspace / "found-p" / "p"
    place.mkdir(parents=True)
    files: dict[str, list[str]] = {"mask": [], "probabilities": []}
    for z, layer in enumerate(mask):
        for kind, name, value in (("mask", "mask", 255), ("probabilities", "probability", 204)):
            file = f"p_{z:04d}_{name}.png"
            Image.fromarray(layer * np.uint8(value)).save(place / file)
            files[kind].append(file)
    facts = {"case": case.name, "has_tumour": True, "files": files, "labels": {"1": "tumour"}}
    (place / "findings.json").write_text(json.dumps(facts), encoding="utf-8")
    (place.parent / "detection.json").write_text("{}", encoding="utf-8")
    job = studio.store.add("detect", "look", ("detect", str(folder)), str(place.parent))
    studio.store.end(job.id, "done")
    return place, grey


def shown(studio: Studio, visitor: TestClient, what: str) -> Volume:
    """A volume as the screen gets it."""
    answer = visitor.get("/volume/w/found-p/p", params={"what": what})
    assert answer.status_code == 200, answer.text
    path = studio.places.workspace / "shown.nii.gz"
    path.write_bytes(answer.content)
    return read_volume(path)


def test_masks_of_pictures_are_corrected_as_pictures(studio: Studio, visitor: TestClient, csrf: str) -> None:
    folder, grey = three_slices(studio)
    page = visitor.get("/view/w/found-p/p").text
    assert 'id="brush"' in page
    assert 'id="planes"' not in page
    scan, model = shown(studio, visitor, "scan"), shown(studio, visitor, "mask")
    assert np.array_equal(scan.voxels, grey)
    assert scan.geometry == model.geometry
    # As in the file: columns run to the patient's left, which the screen shows on the right, and rows run down.
    assert scan.geometry is not None
    assert scan.geometry.direction == (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    assert np.allclose(shown(studio, visitor, "0").voxels, model.voxels * 0.8)
    sent = studio.places.workspace / "sent.nii"
    for number, ending in enumerate(("", "_2")):
        drawn = model.voxels.copy()
        drawn[2, number, 3] = 1
        write_volume(Volume(drawn, model.geometry), sent)
        answer = visitor.post(
            "/correct/w/found-p/p", files={"mask": ("m.nii", sent.read_bytes())}, headers={"x-csrf": csrf}
        )
        assert answer.status_code == 201, answer.text
        said = answer.json()
        assert (said["file"], said["volume_ml"]) == (f"p_0000_mask_corrected_by_hand{ending}.png", None)
        assert said["changed_voxels"] == 1
        layers = [np.asarray(Image.open(folder / f"p_{z:04d}_mask_corrected_by_hand{ending}.png")) for z in range(3)]
        assert np.array_equal(np.stack(layers), drawn * 255)
    assert np.array_equal(shown(studio, visitor, "hand").voxels, drawn)
    assert np.array_equal(shown(studio, visitor, "mask").voxels, model.voxels)
    # A detector learns from the mask that was drawn last, or from the one that is chosen.
    for chosen, row in (("", 1), ("p_0000_mask_corrected_by_hand.png", 0)):
        if chosen:
            assert says(visitor, csrf, folder, "accepted", chosen) == 303
        status, place = teach(visitor, csrf, "w/found-p/p")
        assert status == 303, place
        case = take_inventory(Path(words(studio, place)[1]), convention="whole-tumour").cases[0].load()
        assert np.array_equal(case.images["image"], grey)
        assert case.mask is not None
        assert case.mask[2].nonzero() == (row, 3)
    answer = visitor.post("/threshold/w/found-p/p", data={"threshold": "0.9", "csrf": csrf})
    assert answer.status_code == 201
    assert answer.json()["changed_voxels"] == 24
    other = Volume(model.voxels[:2], model.geometry)
    write_volume(other, sent)
    refused = visitor.post(
        "/correct/w/found-p/p", files={"mask": ("m.nii", sent.read_bytes())}, headers={"x-csrf": csrf}
    )
    assert refused.status_code == 422


def test_who_is_nobody_stays_nobody(studio: Studio, visitor: TestClient, csrf: str) -> None:
    """A picture without a patient's name was given its own as one, and nobody heard that patients are unknown."""
    for name in ("scan", "P7_patient"):
        path = studio.places.workspace / "uploads" / name / (f"{name}.png" if name == "scan" else "patient_7.png")
        path.parent.mkdir(parents=True)
        Image.fromarray((head(5)[3] // 2).astype(np.uint8)).save(path)
        assert says(visitor, csrf, found(studio, name, path.parent, spot()[3:4]), "accepted") == 303
    form = {**COMMON, "csrf": csrf, "finding": ["w/found-scan/scan", "w/found-P7_patient/P7_patient"]}
    assert visitor.post("/teach", data=form).status_code == 303
    [table] = studio.places.workspace.rglob("cases.csv")
    lines = table.read_text(encoding="utf-8").splitlines()[1:]
    assert sorted(line.split(",")[0] for line in lines) == ["", "patient_7"]


def test_a_corrected_mask_of_dicom_is_dicom_too(studio: Studio, visitor: TestClient, csrf: str) -> None:
    highdicom = pytest.importorskip("highdicom")
    import pydicom

    scan = studio.places.workspace / "uploads" / "u0"
    files = [pydicom.dcmread(path) for path in write_dicom(scan, head(0), OBLIQUE, change=complete)]
    mask = spot(2)
    folder = found(studio, "d", scan, mask, labels=PARTS)
    # It is shown at full size, as NIfTI.
    shown = visitor.get("/volume/w/found-d/d", params={"what": "scan"})
    (studio.places.workspace / "shown.nii.gz").write_bytes(shown.content)
    volume = read_volume(studio.places.workspace / "shown.nii.gz")
    assert np.array_equal(volume.voxels, head(0))
    assert volume.geometry == read_volume(folder / "d_mask.nii.gz").geometry
    assert 'id="brush"' in visitor.get("/view/w/found-d/d").text

    mask[3, 11:13, 11:13] = 3
    mask[2, 11, 11] = 1
    said = corrects(visitor, csrf, folder, mask)
    assert "dicom_seg" in said
    path = folder / str(said["dicom_seg"])
    seg = pydicom.dcmread(path)
    kinds = {one.SegmentLabel: one.SegmentAlgorithmType for one in seg.SegmentSequence}
    assert kinds == dict.fromkeys(("Whole tumour", "Tumour core", "Enhancing tumour"), "SEMIAUTOMATIC")
    assert "CORRECTED BY HAND" in seg.SeriesDescription
    axis = np.array(OBLIQUE.direction).reshape(3, 3)[:, 2]
    order = sorted(files, key=lambda one: float(np.dot(axis, [float(v) for v in one.ImagePositionPatient])))
    read = highdicom.seg.segread(path).get_pixels_by_source_instance(
        [one.SOPInstanceUID for one in order], assert_missing_frames_are_empty=True
    )
    for number, region in enumerate((mask > 0, np.isin(mask, (1, 3)), mask == 3)):
        assert np.array_equal(read[..., number] > 0, region)
    # And it can be learned from.
    status, place = teach(visitor, csrf, "w/found-d/d")
    assert status == 303, place
    case = take_inventory(Path(words(studio, place)[1]), convention="1=core,2=oedema,3=enhancing").cases[0].load()
    assert np.array_equal(case.mask, mask)  # type: ignore[arg-type]
    empty = corrects(visitor, csrf, folder, mask * 0)
    assert "cannot be empty" in str(empty["remarks"])
