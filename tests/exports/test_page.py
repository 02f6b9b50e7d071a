"""docs/export.md is true: its table is that of the code, its commands run, and so does its Python."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest

import synthoma
from synthoma.commands.app import main
from synthoma.exports.names import ABOUT
from tests.exports.cohorts import image, mask, patients
from tests.exports.test_models import model

PAGE = Path(__file__).parents[2] / "docs" / "export.md"


def snippet(name: str) -> str:
    """The block of Python on the page that defines a function."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.S)
    (found,) = [block for block in blocks if f"def {name}(" in block]
    return str(found)


def ran(name: str) -> dict[str, object]:
    names: dict[str, object] = {}
    exec(compile(snippet(name), "export.md", "exec"), names)
    return names


@pytest.mark.heavy
def test_the_table_names_every_form_and_its_commands_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = re.findall(r"^\| `([\w-]+)` \| (.+) \| (.+) \| `(.+)` \|$", PAGE.read_text(encoding="utf-8"), flags=re.M)
    assert [row[0] for row in rows] == list(ABOUT)
    patients(tmp_path / "COHORT")
    patients(tmp_path / "SYNTHETIC", origin="synthetic")
    model(tmp_path / "RUN")
    monkeypatch.chdir(tmp_path)
    for form, written, _, command in rows:
        words = shlex.split(command.replace("OUT", form))
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit, match="0"):
            main()
        said = capsys.readouterr().out
        assert ABOUT[form].reader in said  # type: ignore[index]
        names = {path.name for path in (tmp_path / form).rglob("*")}
        for name in re.findall(r"[\w*]+\.(?:jsonl|json|tsv|yaml|csv)", written):
            if not name.startswith(("CASE", "*")):
                assert name in names, f"{form}: {name}"
        assert {"README.md", "export.json", "checksums.json"} <= names
        assert names & {"exported.csv", "cases.csv", "preprocessing.json"}


@pytest.mark.filterwarnings("ignore:NvImgCodec")
def test_monai_snippet(tmp_path: Path) -> None:
    cohort = patients(tmp_path / "cohort")
    synthoma.export(cohort, tmp_path / "out", to="monai")
    names = ran("training_of")
    entries = names["training_of"](tmp_path / "out")  # type: ignore[operator]
    found = names["load"](entries[0])  # type: ignore[operator]
    assert np.array_equal(found["image"][1].numpy().transpose(2, 1, 0), image(cohort, "p0", 1))


def test_hugging_face_snippet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    pytest.importorskip("datasets", reason="Hugging Face's own loader: install datasets")
    patients(tmp_path / "cohort")
    synthoma.export(tmp_path / "cohort", tmp_path / "out", to="huggingface")
    found = ran("splits_of")["splits_of"](tmp_path / "out")  # type: ignore[operator]
    columns = {"image", "t1c", "mask", "label", "patient", "group", "missing", "notice"}
    assert columns <= set(found["train"].column_names)


def test_coco_snippet(tmp_path: Path) -> None:
    pytest.importorskip("pycocotools", reason="COCO's own reader: install pycocotools")
    cohort = patients(tmp_path / "cohort", labels={"1": "tumour"})
    synthoma.export(cohort, tmp_path / "out", to="coco")
    found = ran("masks_of")["masks_of"](tmp_path / "out", "validation")  # type: ignore[operator]
    truth = mask(cohort, "p3")
    assert [(kind, region.sum()) for kind, region in found] == [(1, truth[1].sum()), (1, truth[2].sum())]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_bundle_snippet(tmp_path: Path) -> None:
    synthoma.export(model(tmp_path / "run"), tmp_path / "bundle", to="monai-bundle")
    ran("run_bundle")["run_bundle"](str(tmp_path / "bundle"))  # type: ignore[operator]
    wanted = np.load(tmp_path / "bundle" / "examples" / "example_output.npy")
    np.testing.assert_allclose(np.load(tmp_path / "bundle" / "eval" / "example_output.npy"), wanted, atol=1e-4)
