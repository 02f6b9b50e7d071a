"""Runs the notebooks of docs/notebooks and keeps what they show; needs `pip install '.[docs]'`.

    python tools/notebooks.py              all of them; each takes about a minute
    python tools/notebooks.py own-gan      one

Each runs in an empty folder, so no path of a computer comes into what it shows.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "notebooks"
MOST = 300_000
"""Bytes of a notebook with what it shows."""


def executed(place: Path, folder: Path, timeout: int = 600) -> dict[str, Any]:
    """A notebook as it is after all its cells have run in ``folder``.

    Raises:
        CellExecutionError: a cell failed.
    """
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(place, as_version=4)
    client = NotebookClient(notebook, timeout=timeout, kernel_name="python3", record_timing=False,
                            resources={"metadata": {"path": str(folder)}})  # fmt: skip
    client.execute()
    done: dict[str, Any] = json.loads(nbformat.writes(notebook))
    return done


def tidied(notebook: dict[str, Any]) -> dict[str, Any]:
    """Without what differs from machine to machine: progress bars, versions, running numbers of cells."""
    for number, cell in enumerate(notebook["cells"]):
        cell["id"] = f"cell-{number}"
        cell["metadata"] = {}
        if cell["cell_type"] == "code":
            kept = [one for one in cell["outputs"] if one.get("name") != "stderr" and not _is_progress(one)]
            cell["outputs"] = [_lighter(one) for one in kept]
            cell["execution_count"] = None
    notebook["metadata"] = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return notebook


def _lighter(output: dict[str, Any]) -> dict[str, Any]:
    """An output in its best form alone: a picture, else a table, else text."""
    data = output.get("data", {})
    best = next((kind for kind in ("image/png", "text/html") if kind in data), None)
    if "execution_count" in output:
        output["execution_count"] = None
    return {**output, "data": {best: data[best]}} if best else output


def _is_progress(output: dict[str, Any]) -> bool:
    """Whether it is a bar that was there while something ran."""
    return output["output_type"] == "display_data" and "image/png" not in output["data"]


def main(names: list[str]) -> int:
    """Run them and write them back."""
    for place in sorted(FOLDER.glob("*.ipynb")):
        if names and place.stem not in names:
            continue
        with tempfile.TemporaryDirectory() as folder:
            text = json.dumps(tidied(executed(place, Path(folder))), indent=1, ensure_ascii=False) + "\n"
        if len(text.encode()) > MOST or folder in text:
            print(f"{place.name}: {len(text.encode()):,} bytes, or a path of this computer: show less", file=sys.stderr)
            return 1
        place.write_text(text, encoding="utf-8")
        print(f"{place.name}: {len(text.encode()):,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
