"""The page of a training that is not finished: that it is not, how far it came, and how to go on."""

from __future__ import annotations

from pathlib import Path

from synthoma.core.artefacts import verify_text
from synthoma.reports.figures import lines
from synthoma.reports.page import render
from synthoma.training.log import FILE, read_log
from synthoma.training.runs import SETTINGS, read_run


def unfinished_page(run: Path, name: str) -> str:
    """The page of a run without a model as HTML text.

    Args:
        run: the folder.
        name: what to call it.

    Raises:
        InputError: it is damaged.
    """
    begun = read_run(run)
    log = read_log(run / FILE) if (run / FILE).is_file() else []
    shown = max((entry.images or 0 for entry in log), default=0)
    curves: dict[str, list[tuple[float, float]]] = {}
    for entry in log:
        for key in ("loss", "d_loss", "g_loss"):
            value = entry.figures.get(key)
            if value is not None and entry.images is not None:
                curves.setdefault(key.replace("_", " "), []).append((entry.images, value))
    settings = run / SETTINGS
    if settings.is_file():
        verify_text(settings)
    return render(
        "unfinished.html",
        title=f"Run {name}",
        model=begun.model,
        images=shown,
        snapshots=sum(entry.is_snapshot for entry in log),
        warnings=[entry.warning for entry in log if entry.warning is not None],
        losses=lines(dict(curves), "images shown", "loss"),
        config=settings.read_text(encoding="utf-8") if settings.is_file() else "",
    )
