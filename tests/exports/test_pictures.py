"""Pictures, boxes and outlines, read by the libraries of those who will, or by a few lines of one's own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy.ndimage import label

import synthoma
from synthoma.core.errors import ConfigError, InputError
from synthoma.exports.instances import Instance, instances, outline, run_lengths
from tests.exports.cohorts import image, mask, patients, rows_of

SHAPES = {
    "a pixel": ["....", ".#..", "....", "...."],
    "a corner": ["#...", "#...", "##..", "...."],
    "touching corners": ["#...", ".#..", "..#.", "...#"],
    "a ring": ["####", "#..#", "#..#", "####"],
    "all": ["####", "####", "####", "####"],
    "the last column": ["...#", "...#", "...#", "...#"],
}


def drawn(name: str) -> np.ndarray:
    return np.array([[one == "#" for one in line] for line in SHAPES[name]])


def bounds(region: np.ndarray) -> list[int]:
    """Left, top, right, bottom of a region, the right and bottom borders of its pixels."""
    down, right = np.nonzero(region)
    return [int(right.min()), int(down.min()), int(right.max()) + 1, int(down.max()) + 1]


@pytest.mark.parametrize("name", SHAPES)
def test_an_outlines_box_is_the_regions(name: str) -> None:
    region = drawn(name)
    (one,) = instances(region.astype(np.uint8))
    points = outline(one.region)
    assert [*points.min(axis=0), *points.max(axis=0)] == bounds(region)
    left, top, wide, high = one.box
    assert [left, top, left + wide, top + high] == bounds(region)


@pytest.mark.parametrize("name", SHAPES)
def test_run_lengths_are_those_of_coco(name: str) -> None:
    pycocotools = pytest.importorskip("pycocotools.mask", reason="COCO's own decoder: install pycocotools")
    region = drawn(name)
    coded = pycocotools.frPyObjects({"counts": run_lengths(region), "size": [4, 4]}, 4, 4)
    assert np.array_equal(pycocotools.decode(coded), region)
    assert pycocotools.toBbox(coded).tolist() == list(Instance(1, region).box)


@pytest.mark.slow
def test_coco_decodes_to_the_mask(tmp_path: Path) -> None:
    coco = pytest.importorskip("pycocotools.coco", reason="COCO's own reader: install pycocotools")
    cohort = patients(tmp_path / "cohort", labels={"1": "core", "2": "oedema", "4": "cavity"})
    synthoma.export(cohort.path, tmp_path / "out", to="coco")
    read = coco.COCO(str(tmp_path / "out" / "annotations" / "instances_train.json"))
    assert {one["name"]: one["id"] for one in read.loadCats(read.getCatIds())} == {"core": 1, "oedema": 2, "cavity": 3}
    assert len(read.getImgIds()) == 12
    was = {1: 1, 2: 2, 3: 4}
    for number in read.getImgIds():
        (picture,) = read.loadImgs(number)
        again = np.zeros((16, 16), np.uint8)
        for entry in read.loadAnns(read.getAnnIds(number)):
            region = read.annToMask(entry).astype(bool)
            again[region] = was[entry["category_id"]]
            assert entry["area"] == region.sum()
            left, top, wide, high = entry["bbox"]
            assert [left, top, left + wide, top + high] == bounds(region)
        place = int(picture["file_name"].split("-")[1].split(".")[0])
        assert np.array_equal(again, mask(cohort, picture["case"])[place])
        pixels = np.asarray(Image.open(tmp_path / "out" / "images" / "train" / picture["file_name"]))
        assert pixels.shape == (16, 16, 3)
        for channel in (0, 1):  # of two sequences the third colour is black
            seen = np.clip(image(cohort, picture["case"], channel)[place], 0, 1)
            assert np.abs(pixels[..., channel] / 255 - seen).max() <= 0.51 / 255
        assert not pixels[..., 2].any()


@pytest.mark.parametrize("boxes", [True, False])
def test_yolo_lines_are_the_masks_regions(tmp_path: Path, boxes: bool) -> None:
    cohort = patients(tmp_path / "cohort", labels={"1": "core", "2": "oedema", "4": "cavity"}, modalities=("flair",))
    synthoma.export(cohort.path, tmp_path / "out", to="yolo", boxes=boxes)
    texts = sorted((tmp_path / "out" / "labels").rglob("*.txt"))
    pictures = sorted((tmp_path / "out" / "images").rglob("*.png"))
    assert [path.stem for path in texts] == [path.stem for path in pictures]
    assert len(texts) == 20
    values = {0: 1, 1: 2, 2: 4}
    for path in texts:
        case, place = path.stem.split("-")
        truth = mask(cohort, case)[int(place)]
        expected = []
        for value in (1, 2, 4):
            numbered, count = label(truth == value, structure=np.ones((3, 3)))
            expected += [(value, bounds(numbered == one)) for one in range(1, count + 1)]
        found = []
        for line in path.read_text().splitlines():
            kind, *numbers = line.split()
            points = np.array(numbers, float) * 16
            if boxes:
                x, y, wide, high = points
                box = [x - wide / 2, y - high / 2, x + wide / 2, y + high / 2]
            else:
                box = [*points.reshape(-1, 2).min(axis=0), *points.reshape(-1, 2).max(axis=0)]
                if case == "p1" and place == "0001" and kind == "2":  # an inner square without holes: painted, it is it
                    canvas = Image.new("1", (160, 160))
                    ImageDraw.Draw(canvas).polygon([(x * 10, y * 10) for x, y in points.reshape(-1, 2)], fill=1)
                    assert abs(np.asarray(canvas).sum() / 100 - (truth == 4).sum()) < 2
            found.append((values[int(kind)], np.round(box, 3).tolist()))
        assert found == expected
    said = (tmp_path / "out" / "data.yaml").read_text()
    assert 'names:\n  0: "core"\n  1: "oedema"\n  2: "cavity"\n' in said
    for part in ("train", "val", "test"):
        assert f"{part}: images/{part}\n" in said
        assert (tmp_path / "out" / "images" / part).is_dir()


@pytest.mark.slow
def test_an_empty_split_is_not_named(tmp_path: Path) -> None:
    patients(tmp_path / "cohort", ["train", "train", "validation"])
    for form in ("yolo", "coco", "huggingface"):
        synthoma.export(tmp_path / "cohort", tmp_path / form, to=form)
    assert "test:" not in (tmp_path / "yolo" / "data.yaml").read_text()
    assert sorted(path.name for path in (tmp_path / "coco" / "annotations").iterdir()) == [
        "instances_train.json",
        "instances_validation.json",
    ]
    assert not (tmp_path / "huggingface" / "test").exists()


@pytest.mark.slow
def test_sequences_become_colours_in_the_order_asked_for(tmp_path: Path) -> None:
    cohort = patients(tmp_path / "cohort", modalities=("t1", "t1c", "t2", "flair"))
    synthoma.export(cohort.path, tmp_path / "out", to="yolo", sequences=("flair", "t1c", "t2"))
    pixels = np.asarray(Image.open(tmp_path / "out" / "images" / "train" / "p0-0002.png"))
    for colour, channel in enumerate((3, 1, 2)):
        seen = np.clip(image(cohort, "p0", channel)[2], 0, 1)
        assert np.abs(pixels[..., colour] / 255 - seen).max() <= 0.51 / 255
    with pytest.raises(ConfigError, match="at most three"):
        synthoma.export(cohort.path, tmp_path / "no", to="coco", sequences=("flair", "t1c", "t2", "t1"))
    with pytest.raises(ConfigError, match="'pet'"):
        synthoma.export(cohort.path, tmp_path / "no", to="coco", sequences=("pet",))


def test_pictures_need_masks_to_find_regions(tmp_path: Path) -> None:
    patients(tmp_path / "cohort", outlined=False)
    for form in ("coco", "yolo"):
        with pytest.raises(InputError, match="masks"):
            synthoma.export(tmp_path / "cohort", tmp_path / form, to=form)


def test_datasets_loads_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    datasets = pytest.importorskip("datasets", reason="Hugging Face's own loader: install datasets")
    cohort = patients(tmp_path / "cohort", columns={"missing": ["t1c"] * 4 + [""] * 16})
    synthoma.export(cohort.path, tmp_path / "out", to="huggingface")
    found = datasets.load_dataset("imagefolder", data_dir=str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert {name: len(part) for name, part in found.items()} == {"train": 12, "validation": 4, "test": 4}
    for part in found.values():
        for line in part:
            row = [
                row
                for row in rows_of(cohort, line["case"])
                if np.array_equal(np.asarray(line["image"]), np.round(np.clip(_grey(cohort, row), 0, 1) * 255))
            ]
            assert len(row) == 1
            assert np.array_equal(np.asarray(line["mask"]), cohort.masks[row[0]])
            assert line["label"] == cohort.slices["label"].iat[row[0]]
            assert line["patient"] == cohort.slices["patient"].iat[row[0]]
            assert line["missing"] == cohort.slices["missing"].iat[row[0]]


def _grey(cohort: synthoma.Cohort, row: int) -> np.ndarray:
    return np.asarray(cohort.images[row, 0], np.float32)


@pytest.mark.slow
def test_pictures_are_prepared_again_with_their_split(tmp_path: Path) -> None:
    cohort = patients(tmp_path / "cohort", labels={"1": "tumour"}, origin="synthetic")
    synthoma.export(cohort.path, tmp_path / "out", to="png")
    again = synthoma.prepare(
        tmp_path / "out", tmp_path / "again", origin="synthetic", size=16, crop=False, normalise="unit",
        duplicates=False, split_from=tmp_path / "out" / "cases.csv",
    )  # fmt: skip
    sides = dict(zip(again.slices["patient"], again.slices["split"], strict=True))
    assert sides == {"p0": "train", "p1": "train", "p2": "train", "p3": "validation", "p4": "test"}


def test_metadata_lines_are_json(tmp_path: Path) -> None:
    patients(tmp_path / "cohort", names=['=a"1\n', "<b>", "c/../..", "ü", "Ü"])
    synthoma.export(tmp_path / "cohort", tmp_path / "out", to="huggingface")
    lines = [json.loads(line) for line in (tmp_path / "out" / "train" / "metadata.jsonl").read_text().splitlines()]
    assert [line["patient"] for line in lines[::4]] == ['=a"1\n', "<b>", "c/../.."]
    assert all((tmp_path / "out" / "train" / line["file_name"]).is_file() for line in lines)
