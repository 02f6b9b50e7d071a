"""The notebooks run, say what they promise, and were kept small and without traces of a computer."""

from __future__ import annotations

import json
import re
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "notebooks"
NAMES = [path.stem for path in sorted(FOLDER.glob("*.ipynb"))]
CHECKS = {
    "own-gan": "assert evaluation.light('realistic').state == 'POOR'",  # principal components are no scans
    "paint": "assert all(abs(counted[ml] - ml) <= 0.05 * ml for ml in counted) and not any(beyond.values())",
    "pretrain": "assert Path('nnUNet_raw/Dataset501_Phantom/splits_final.json').is_file() and losses[-1] < losses[0]",
    "ten-patients": "assert len(synthetic) == 60 and (synthetic.masks[:] > 0).any()",
    "verdict": "assert found.light('private').state == 'POOR' and 'COPIES' in found.verdict.because",
}
"""Notebook -> what must hold when all its cells have run."""


def cells(name: str, kind: str = "code") -> list[dict[str, Any]]:
    notebook = json.loads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))
    return [cell for cell in notebook["cells"] if cell["cell_type"] == kind]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_kept_is_small_and_names_no_computer(name: str) -> None:
    place = FOLDER / f"{name}.ipynb"
    text = place.read_text(encoding="utf-8")
    assert place.stat().st_size < 300_000
    words = re.sub(r'"image/png": "[^"]*"', "", text)
    assert not re.search(r"(?<![\w./~-])/(?:home|Users|root|work|tmp)/\w", words)
    assert any(cell["outputs"] for cell in cells(name)), "it shows nothing: python tools/notebooks.py"
    assert "simulated" in "".join("".join(cell["source"]) for cell in cells(name, "markdown")).lower()


@pytest.mark.heavy
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", NAMES)
def test_it_runs_and_what_it_says_holds(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if find_spec("nbclient") is None or find_spec("ipykernel") is None:  # the same cells, without a kernel
        monkeypatch.chdir(tmp_path)
        space: dict[str, Any] = {}
        for cell in cells(name):
            with warnings.catch_warnings():  # those of other packages are no fault of the notebook
                warnings.simplefilter("default")
                exec(compile("".join(cell["source"]), name, "exec"), space)
        exec(CHECKS[name], space)
        return
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    executed = __import__("notebooks").executed
    copy = json.loads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))
    check = {"cell_type": "code", "id": "check", "metadata": {}, "outputs": [], "execution_count": None}
    copy["cells"].append({**check, "source": CHECKS[name]})
    place = tmp_path / f"{name}.ipynb"
    place.write_text(json.dumps(copy), encoding="utf-8")
    assert executed(place, tmp_path)["cells"][-1]["outputs"] == []
    assert sys.modules["notebooks"].FOLDER == FOLDER
