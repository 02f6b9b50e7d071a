"""The task pages are true: their commands are typed as they stand, one after the other, on small stand-ins.

Only what makes them long is made small (``SHRUNK``).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image

import synthoma
from synthoma import Cohort
from tests.scans.writers import write_dicom, write_nifti
from tests.test_cli import run
from tests.test_docs import commands

TASKS = Path(__file__).parents[1] / "docs" / "tasks"
SHRUNK: dict[str, str] = {
    r"--size \d+": "--size 32",
    r"--minutes \d+": "--images 64",
    r"^run (.*)": r"run \1 --model dcgan",
    r"^(train \S+ -o \S+)(?!.*--model)": r"\1 --model dcgan",
    r"--phantom \d+": "--phantom 3 --set phantom.slice_mm=8.0",
    r"phantom\.sites=\d+": "phantom.sites=2",
    r"--patients \d+": "--patients 2",
    r"-n \d+": "-n 40",
    r"^(evaluate \S+ \S+ -o \S+)": r"\1 --set halves=9 --set canaries=20",
    r"--preset standard": "--preset standard --set utility.steps=10 --set utility.seeds=2 --set faults=false",
}
"""What a command says -> what is typed in its place, so that it takes seconds."""


def head(seed: int, side: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """A picture of somebody (0..255) with a bright square, and its mask."""
    draws = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side] - side / 2
    inside = (rows / draws.uniform(13, 18)) ** 2 + (columns / draws.uniform(13, 18)) ** 2 < 1
    image = inside * draws.uniform(70, 110) + inside * draws.uniform(0, 15, (side, side))
    mask = np.zeros((side, side), np.uint8)
    down, right = draws.integers(12, 20, 2)
    mask[down : down + 8, right : right + 8] = 1
    image[mask > 0] = 200
    return image.astype(np.uint8), mask


def volume(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Ten slices of somebody (z, y, x), with a tumour in six of them."""
    pairs = [head(seed * 100 + number) for number in range(10)]
    mask = np.stack([mask for _, mask in pairs])
    mask[:2] = mask[-2:] = 0
    return np.stack([image for image, _ in pairs]).astype(np.int16), mask


def scans(place: Path) -> None:
    for number in range(8):
        image, mask = volume(number)
        write_nifti(place / f"scans/P{number:02d}/P{number:02d}_flair.nii.gz", image)
        write_nifti(place / f"scans/P{number:02d}/P{number:02d}_seg.nii.gz", mask)


def pictures(place: Path) -> None:
    rows = ["patient,image,label"]
    for number in range(140):
        name, label = ("y", "tumour") if number % 2 else ("n", "healthy")
        folder = place / "pictures" / ("yes" if number % 2 else "no")
        folder.mkdir(parents=True, exist_ok=True)
        image, _ = head(number)
        Image.fromarray(image if number % 2 else np.minimum(image, 110)).save(folder / f"{name}{number}.png")
        rows.append(f"p{number:02d},pictures/{folder.name}/{name}{number}.png,{label}")
    (place / "pictures.csv").write_text("\n".join(rows) + "\n")


def dicom(place: Path) -> None:
    for number in range(4):
        folder = place / "dicom" / f"export{number}"
        write_dicom(folder, volume(number)[0])
        for file in folder.iterdir():
            dataset = pydicom.dcmread(file)
            dataset.PatientID, dataset.PatientName = f"ID{number}", f"Name{number}"
            dataset.save_as(file)


def toy(place: Path, name: str, count: int, **more: Any) -> Cohort:
    pairs = [head(number, 32) for number in range(count)]
    images = np.stack([image for image, _ in pairs]) / 255
    masks = np.stack([mask for _, mask in pairs])
    return Cohort.from_arrays(images, masks, modalities=("flair",), output=place / name, **more)


def own(place: Path) -> None:
    toy(place, "cohort", 90)
    pairs = [head(1000 + number, 32) for number in range(40)]
    np.save(place / "images.npy", np.stack([image for image, _ in pairs]) / 255)
    np.save(place / "masks.npy", np.stack([mask for _, mask in pairs]))
    (place / "drawn").mkdir()
    for number, (image, mask) in enumerate(pairs):
        Image.fromarray(image).save(place / "drawn" / f"d{number}.png")
        Image.fromarray(mask * 255).save(place / "drawn" / f"d{number}_mask.png")


def simulated(place: Path) -> None:
    settings: dict[str, Any] = {"size": 32, "modalities": ("t1c", "flair"), "phantom": {"slice_mm": 8.0}}
    synthoma.prepare_phantom(5, place / "cohort", seed=1, split=(0.6, 0.2, 0.2), **settings)


def judged(place: Path) -> None:
    toy(place, "cohort", 90)
    toy(place, "synthetic", 40, origin="synthetic", split=["train"] * 40)


STANDINS: dict[str, Callable[[Path], None]] = {
    "eight-patients": scans,
    "pictures": pictures,
    "dicom": dicom,
    "own-gan": own,
    "pretrain": simulated,
    "verdict": judged,
}
LEFT = {
    "eight-patients": ("out/report.html", "out/useful/report.html"),
    "pictures": ("cohort/skipped.csv", "cohort-by-patient/cohort.json", "evaluation/report.html"),
    "dicom": ("cohort/cohort.json", "found/report.html"),
    "own-gan": ("evaluation/evaluation.json", "judged/evaluation.json"),
    "pretrain": ("nnUNet_raw/Dataset501_Phantom/dataset.json", "monai/datalist.json"),
    "verdict": ("evaluation/report.html",),
}
"""What the page says that one has in the end."""


@pytest.mark.heavy
@pytest.mark.parametrize("task", STANDINS)
def test_what_the_page_says_is_typed(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    STANDINS[task](tmp_path)
    page = (TASKS / f"{task}.md").read_text(encoding="utf-8")
    for block in re.findall(r"```python\n(.*?)```", page, flags=re.S):
        exec(compile(block, page, "exec"), {})
    for words in commands("\n".join(re.findall(r"```bash\n.*?```", page, flags=re.S))):
        typed = " ".join(words[1:])
        for long, short in SHRUNK.items():
            typed = re.sub(long, short, typed)
        code, _, said = run(monkeypatch, capsys, *typed.split())
        assert code == 0, f"{typed}\n{said}"
    assert [name for name in LEFT[task] if not (tmp_path / name).exists()] == []
    if task == "dicom":
        assert not re.search(r"Name\d|ID\d", (tmp_path / "cohort" / "slices.csv").read_text())  # as the page promises
        assert len(set(Cohort("cohort").slices["patient"])) == 4
    if task == "pictures":
        known = set(Cohort("cohort-by-patient").slices["patient"])
        assert known <= {f"p{number:02d}" for number in range(140)}
        assert len(known) > 100


def test_every_task_page_is_here_and_in_the_index() -> None:
    pages = {page.stem for page in TASKS.glob("*.md")}
    assert pages == {*STANDINS, "minutes"}  # which has no commands of its own
    index = (TASKS.parent / "index.md").read_text(encoding="utf-8")
    assert [page for page in pages if f"tasks/{page}.md" not in index] == []
