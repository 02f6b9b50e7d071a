"""The chain from scans to verdict, in Python and on the command line, on small pictures."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pydicom
import pytest
from PIL import Image
from scipy import ndimage

import synthoma
from synthoma.cohorts.cohort import CohortWriter
from synthoma.commands.app import main
from synthoma.core.errors import ConfigError, InputError, LeakError
from synthoma.core.seeding import stream
from tests.toys import SMALL

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("few_are_judged", "fewer_planted")]

QUICK: dict[str, Any] = {"halves": 9, "canaries": 20}
README = Path(__file__).parents[1] / "README.md"


def head_picture(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A round head with soft texture and a bright lesion somewhere, and the lesion's mask, (48, 48) uint8."""
    rng = stream(seed, "test.pipeline")
    rows, columns = np.indices((48, 48))
    inside = np.hypot(rows - 24, (columns - 24) * rng.uniform(1.0, 1.25)) < rng.uniform(18, 22)
    lesion = np.hypot(rows - rng.uniform(16, 32), columns - rng.uniform(17, 31)) < rng.uniform(3, 6)
    texture = ndimage.gaussian_filter(rng.normal(size=(48, 48)), 1.5) * 60
    image = np.where(inside, rng.uniform(80, 120) + texture, 0) + np.where(lesion & inside, 100, 0)
    return np.clip(image, 0, 255).astype(np.uint8), ((lesion & inside) * 255).astype(np.uint8)


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with scans, cohort, run, synthetic cohort and evaluation."""
    place = tmp_path_factory.mktemp("chain")
    (place / "scans").mkdir()
    for number in range(140):
        image, mask = head_picture(number)
        Image.fromarray(image).save(place / "scans" / f"p{number:03d}.png")
        Image.fromarray(mask).save(place / "scans" / f"p{number:03d}_mask.png")
    synthoma.prepare(place / "scans", place / "cohort", size=32)
    synthoma.train(
        place / "cohort", place / "run", model="dcgan", images=640, with_masks=True, snapshots=2, classes=("tumour",)
    )
    synthoma.generate(
        place / "run", place / "synthetic", 100, interpolation=True, nearest=place / "cohort", form="dicom"
    )
    synthoma.evaluate(
        place / "cohort", place / "synthetic", place / "evaluation", **QUICK, run=place / "run", keep=place / "kept"
    )
    return place


def test_every_artefact_has_its_page(chain: Path) -> None:
    for name in ("cohort", "run", "synthetic", "evaluation"):
        text = (chain / name / "report.html").read_text()
        assert "</html>" in text
        assert not re.search(r"(src|href)=[\"']?(https?:)?//", text)
        assert not re.search(r"@import|<script", text)
        assert ("No patient was imaged" in text) == (name == "synthetic"), name


def test_the_run_can_be_continued_and_is_not_overwritten(chain: Path) -> None:
    with pytest.raises(InputError, match="resume=True"):
        synthoma.train(chain / "cohort", chain / "run", images=640)
    before = (chain / "run" / "model.safetensors").read_bytes()
    synthoma.train(chain / "cohort", chain / "run", resume=True)
    assert (chain / "run" / "model.safetensors").read_bytes() == before


def test_a_run_is_not_resumed_on_other_scans(chain: Path) -> None:
    with pytest.raises(InputError, match="another one"):
        synthoma.train(chain / "synthetic", chain / "run", resume=True)


def test_synthetic_cohort_knows_where_it_came_from(chain: Path) -> None:
    cohort = synthoma.Cohort(chain / "synthetic")
    provenance = cohort.meta.provenance.content()
    real = synthoma.Cohort(chain / "cohort")
    trained = set(real.slices["group"][(real.slices["split"] == "train") & (real.slices["label"] == "tumour")])
    assert cohort.origin == "synthetic"
    assert set(provenance["trained_on"]["groups"]) == trained
    assert provenance["model_sha256"] == synthoma.describe(chain / "run")["sha256"]
    assert (chain / "synthetic" / "interpolation.png").is_file()
    assert (chain / "synthetic" / "nearest.png").is_file()
    dicom = sorted((chain / "synthetic" / "export_dicom").rglob("*.dcm"))
    assert list(pydicom.dcmread(dicom[0]).ImageType)[:2] == ["DERIVED", "SECONDARY"]


def test_evaluation_has_a_verdict_and_nulls(chain: Path) -> None:
    result = json.loads((chain / "evaluation" / "evaluation.json").read_text())
    assert result["verdict"]["word"] in ("NO EVIDENCE", "CANNOT TELL")
    for scores in result["fidelity"]["families"].values():
        assert all(len(scores[name]["null"]) == 9 for name in ("kid", "recall"))
    assert result["compared"]["held_out_groups"] == 42
    for name in ("report.md", "dataset_card.md", "model_card.md", "croissant.json"):
        text = (chain / "evaluation" / name).read_text()
        assert str(chain) not in text


def test_the_runs_discriminator_is_asked_whom_it_remembers(chain: Path) -> None:
    result = json.loads((chain / "evaluation" / "evaluation.json").read_text())
    attack = result["privacy"]["membership"]["discriminator"]
    assert 0 <= attack["auc"] <= 1
    assert attack["members"] == result["compared"]["training"]


def test_what_looks_like_a_copy_is_not_kept(chain: Path, tmp_path: Path) -> None:
    """Ten training slices among the generator's own: they are left out, and nothing else that was kept before."""
    real, drawn = synthoma.Cohort(chain / "cohort"), synthoma.Cohort(chain / "synthetic")
    copied = np.flatnonzero((real.slices["split"] == "train") & (real.slices["label"] == "tumour"))[:10]
    images = np.concatenate([np.asarray(drawn.images), np.asarray(real.images[copied])])
    masks = np.concatenate([np.asarray(drawn.masks), np.asarray(real.masks[copied])])
    table = pd.concat([drawn.slices, drawn.slices.iloc[:10]])
    (tmp_path / "drawn").mkdir()
    with CohortWriter(tmp_path / "drawn", channels=1, size=32) as writer:
        writer.add(images, masks, [{}] * len(images))
        writer.finish(table, drawn.meta)
    result = synthoma.evaluate(chain / "cohort", tmp_path / "drawn", tmp_path / "e", **QUICK, keep=tmp_path / "kept")
    kept = synthoma.Cohort(tmp_path / "kept")
    assert result.privacy.word == "COPIES FOUND"
    assert set(range(100, 110)) <= set(result.privacy.quarantine)
    assert result.kept == len(kept) == 110 - len(result.privacy.quarantine)
    assert kept.meta.left_out == 110 - len(kept)
    assert len(synthoma.Cohort(chain / "kept")) <= 100


def test_the_evaluation_of_copies_stays_though_nothing_else_is_kept(chain: Path, tmp_path: Path) -> None:
    real, drawn = synthoma.Cohort(chain / "cohort"), synthoma.Cohort(chain / "synthetic")
    rows = np.flatnonzero((real.slices["split"] == "train") & (real.slices["label"] == "tumour"))[:40]
    table = drawn.slices.iloc[: len(rows)]
    (tmp_path / "drawn").mkdir()
    with CohortWriter(tmp_path / "drawn", channels=1, size=32) as writer:
        writer.add(np.asarray(real.images[rows]), np.asarray(real.masks[rows]), [{}] * len(rows))
        writer.finish(table, drawn.meta)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="other files"):
        synthoma.evaluate(chain / "cohort", tmp_path / "drawn", tmp_path / "e", halves=9, keep=tmp_path / "taken")
    assert not (tmp_path / "e.cells").exists()  # said before anything was done
    result = synthoma.evaluate(chain / "cohort", tmp_path / "drawn", tmp_path / "e", **QUICK, keep=tmp_path / "kept")
    assert (result.kept, result.privacy.word) == (0, "COPIES FOUND")
    assert json.loads((tmp_path / "e" / "evaluation.json").read_text())["kept"] == 0
    assert not (tmp_path / "kept").exists()


def test_only_private_images_are_drawn_on_request(chain: Path, tmp_path: Path) -> None:
    cohort = synthoma.generate(chain / "run", tmp_path / "private", 40, only_private=chain / "cohort")
    assert len(cohort) + cohort.meta.left_out == 40
    assert cohort.meta.provenance.model_sha256 == synthoma.describe(chain / "run")["sha256"]
    assert not (tmp_path / "private" / "drawn").exists()
    with pytest.raises(ConfigError, match="a shard of them"):
        synthoma.generate(chain / "run", tmp_path / "part", 40, only_private=chain / "cohort", shard=(1, 2))


def test_a_generator_that_saw_the_test_scans_is_refused(chain: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    synthoma.prepare(chain / "scans", other, size=32, seed=5)  # another split of the same scans
    with pytest.raises(LeakError, match="held-out patients or groups"):
        synthoma.evaluate(other, chain / "synthetic", tmp_path / "evaluation")


def test_judging_takes_a_model_with_masks_too(
    chain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    judged = synthoma.pipeline.judge(chain / "scans", chain / "run")
    assert judged["score"].between(0, 1).all()
    synthoma.train(chain / "cohort", tmp_path / "plain", model="dcgan", images=64, snapshots=1, gan=SMALL)
    table = synthoma.pipeline.judge(chain / "scans" / "p000.png", tmp_path / "plain")
    assert table["kind"].iloc[0] in ("probability", "calibrated probability")
    assert 0 <= table["score"].iloc[0] <= 1
    (tmp_path / "scores.csv").write_text("years of work")
    two = [str(chain / "scans" / f"p00{number}.png") for number in (0, 1)]
    command = ["synthoma", "detect", *two, "--model", str(tmp_path / "plain"), "-o", str(tmp_path / "scores.csv")]
    for words, code in ((command, 2), ([*command, "--force"], 0)):
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as leaving:
            main()
        assert leaving.value.code == code
        assert ((tmp_path / "scores.csv").read_text() == "years of work") == (code == 2)
    assert len(pd.read_csv(tmp_path / "scores.csv")) == 2
    assert "not for clinical use" in capsys.readouterr().out


def test_a_model_of_another_kind_is_refused(chain: Path, tmp_path: Path) -> None:
    (tmp_path / "weights.pt").write_bytes(b"\x80\x04evil")
    with pytest.raises(InputError, match="run code"):
        synthoma.generate(tmp_path / "weights.pt", tmp_path / "out", 5)
    with pytest.raises(InputError, match="nothing at"):
        synthoma.generate(tmp_path / "absent", tmp_path / "out", 5)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("train", "{cohort}", "-o", "x", "--model", "dcgann"), "did you mean 'dcgan'"),
        (("train", "{cohort}", "-o", "x", "--set", "gan.widht=4"), "did you mean 'gan.width'"),
        (("train", "{cohort}", "-o", "x", "--model", "dcgan-seed", "--class", "nobody"), "nobody"),
        (("train", "{cohort}", "-o", "x", "--conditional", "--minutes", "1", "--images", "5"), "not both"),
        (("train", "{cohort}"), "-o run"),
        (("train", "{scans}", "-o", "x"), "cohort.json"),
        (("generate", "{cohort}", "-o", "x"), "a finished run"),
        (("generate", "{run}", "-o", "x", "--class", "cat"), "tumour"),
        (("generate", "{run}", "-o", "x", "--shard", "5/4"), "shard"),
        (("evaluate", "{cohort}", "{scans}", "-o", "x"), "cohort.json"),
        (("detect", "{scans}", "--model", "{cohort}"), "a finished run"),
        (("detect", "{scans}", "--model", "{run}", "-o", "x.csv", "--threshold", "0.5"), "threshold; leave"),
    ],
)
def test_mistakes_end_in_one_line(
    chain: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    complaint: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    places = {name: str(chain / name) for name in ("cohort", "run", "scans")}
    monkeypatch.setattr(sys, "argv", ["synthoma", *(word.format(**places) for word in words)])
    with pytest.raises(SystemExit) as leaving:
        main()
    err = capsys.readouterr().err
    assert leaving.value.code == 2, err
    assert complaint in err.strip().splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_commands_say_what_they_made(
    chain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real_and_drawn = [str(chain / name) for name in ("cohort", "synthetic")]
    few = [word for name, number in QUICK.items() for word in ("--set", f"{name}={number}")]
    for words, said in (
        (["train", "--list"], "wgan-gp"),
        (["train", str(chain / "cohort"), "--summary"], "combined: "),
        (["generate", str(chain / "run"), "-n", "8", "-o", str(tmp_path / "s")], "8 synthetic slices"),
        (["evaluate", *real_and_drawn, "-o", str(tmp_path / "e"), *few], "private"),
        (["info", str(chain / "evaluation")], "verdict"),
        (["info", str(chain / "run")], "kind: generator"),
        (["report", str(chain / "run")], "report.html"),
    ):
        monkeypatch.setattr(sys, "argv", ["synthoma", *words])
        with pytest.raises(SystemExit) as leaving:
            main()
        assert leaving.value.code == 0
        assert said in capsys.readouterr().out


def test_search_ranks_its_trials(chain: Path, tmp_path: Path) -> None:
    from synthoma.settings import TrainConfig

    settings = {"model": "dcgan", "images": 64, "snapshots": 1, "gan": {"width": 8, "critic_width": 8}}
    config = TrainConfig.resolve(flags=settings)
    best = synthoma.pipeline.search(chain / "cohort", tmp_path / "search", 2, config=config)
    table = pd.read_csv(tmp_path / "search" / "search.csv")
    assert len(table) == 2
    assert table["score"].is_monotonic_increasing
    assert best["trial"] == table["trial"].iloc[0]


@pytest.mark.heavy
def test_the_python_example_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.S)
    monkeypatch.chdir(tmp_path)
    for block in code:
        shorter = block.replace("images=2000", "images=480").replace("phantom(12,", "phantom(6,")
        exec(compile(shorter, "README.md", "exec"), {})
    assert (tmp_path / "evaluation" / "report.html").is_file()
