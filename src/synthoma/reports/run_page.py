"""The page of a run: how it learned, its losses and scores, what went wrong, and what the networks are made of."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from synthoma.core.artefacts import verify_text
from synthoma.reports.figures import data_uri, lines
from synthoma.reports.page import render
from synthoma.training.layers import Layer
from synthoma.training.log import FILE, LogEntry, read_log
from synthoma.training.meta import ModelMeta

Tables = Mapping[str, Sequence[Layer]]
"""Layers of each network of a model, by its name."""

LOSSES = {
    "d_loss": "discriminator", "g_loss": "generator", "convergence": "convergence measure",
    "code_d_loss": "discriminator of codes", "code_g_loss": "encoder against it",
}  # fmt: skip
"""Names in the log -> what they are called."""

SINGLE = {"flow": "velocity", "aae": "rebuilding", "dae": "rebuilding"}
"""What the one loss of a model without a discriminator of images is of."""


def run_page(run: Path, name: str, meta: ModelMeta, tables: Tables) -> str:
    """The page of a finished run as HTML text.

    Args:
        run: the folder.
        name: what to call it.
        meta: the model file's description.
        tables: layers of generator, discriminator and both, see ``detectors.summary``.
    """
    log = read_log(run / FILE)
    losses = [entry for entry in log if "g_loss" in entry.figures or "loss" in entry.figures]
    scored = [entry for entry in log if entry.score is not None]
    sheets = sorted((run / "samples").glob("images-*.png"))
    best = [path for path in sheets if int(path.stem.split("-")[1]) == meta.images] or sheets[-1:]
    scores = {
        "distance to held-out scans (sliced W2)": _points(scored, "score"),
        "the snapshot that is kept": _points([entry for entry in scored if entry.images == meta.images], "score"),
    }
    return render(
        "run.html",
        title=f"Run {name}",
        meta=meta,
        cards=_cards(meta, losses, scored),
        sheet=data_uri(best[0].read_bytes()) if best else "",
        progress=data_uri((run / "progress.png").read_bytes()) if (run / "progress.png").is_file() else "",
        snapshots=[int(path.stem.split("-")[1]) for path in sorted((run / "samples").glob("row-*.png"))],
        losses=_curves(losses, {**LOSSES, "loss": SINGLE.get(meta.loss, "loss")}, "loss"),
        outputs=_curves(losses, {"d_real": "real images", "d_fake": "generated images"}, "mean output of D"),
        scores=_drawn(scores, "score"),
        variety=_curves(scored, {"variety": "variety over the scans' own", "near_copies": "near copies"}, "share"),
        warnings=[entry.warning for entry in log if entry.warning is not None],
        tables=tables,
        config=_settings(run / "config.toml"),
    )


def detector_page(run: Path, name: str, meta: ModelMeta, tables: Tables) -> str:
    """The page of a finished run of a segmenter or classifier as HTML text.

    Args:
        run: the folder.
        name: what to call it.
        meta: the model file's description.
        tables: layers of the network, see ``detectors.summary``.
    """
    log = read_log(run / FILE)
    losses = [entry for entry in log if "loss" in entry.figures]
    scored = [entry for entry in log if entry.score is not None]
    names = {"balanced_accuracy": "balanced accuracy", **{f"dice_{one}": f"Dice, {one}" for one in meta.targets}}
    trained = meta.provenance.trained_on
    best = next((entry.figures for entry in scored if entry.images == meta.images), {})
    found = {title: best.get(name) for name, title in names.items()}
    reached = [
        (f"{value:.3f}", title, "on the validation split") for title, value in found.items() if value is not None
    ]
    return render(
        "detector.html",
        title=f"Run {name}",
        meta=meta,
        cards=[
            (meta.model, "model", f"{meta.shape['size']} px, {'+'.join(meta.modalities)}"),
            (f"{trained.slices:,}", "training slices", f"of {len(trained.groups):,} groups"),
            (*_speed(losses)[:1], "slices shown", _speed(losses)[1]),
            *reached,
        ],
        progress=data_uri((run / "progress.png").read_bytes()) if (run / "progress.png").is_file() else "",
        snapshots=[int(path.stem.split("-")[1]) for path in sorted((run / "samples").glob("row-*.png"))],
        losses=_curves(losses, {"loss": "loss", "d_loss": "discriminator"}, "loss"),
        scores=_curves(scored, names, "validation score"),
        warnings=[entry.warning for entry in log if entry.warning is not None],
        tables=tables,
        config=_settings(run / "config.toml"),
    )


def _settings(path: Path) -> str:
    """The settings of a training as they were written.

    Raises:
        InputError: they are damaged.
    """
    verify_text(path)
    return path.read_text(encoding="utf-8")


def _speed(losses: Sequence[LogEntry]) -> tuple[str, str]:
    """How many images a training has shown, and how many a second in the middle of its speeds."""
    speed = sorted(entry.figure("images_per_second") or 0.0 for entry in losses) or [0.0]
    return f"{losses[-1].images or 0:,}" if losses else "0", f"{speed[len(speed) // 2]:.0f} a second"


def _cards(meta: ModelMeta, losses: Sequence[LogEntry], scored: Sequence[LogEntry]) -> list[tuple[str, str, str]]:
    trained, (images, speed) = meta.provenance.trained_on, _speed(losses)
    found = [(entry.images, entry.score) for entry in scored if entry.score is not None]
    lowest = min((score for _, score in found), default=math.nan)
    kept = next((score for after, score in found if after == meta.images), math.nan)
    remark = f"sliced W2 of the snapshot that is kept, after {meta.images:,} images"
    if kept > lowest:
        remark += f"; the lowest, {lowest:.3g}, is not lower by more than chance"
    return [
        (meta.model, "model", f"{meta.shape['size']} px, {'+'.join(meta.modalities)}"),
        (f"{trained.slices:,}", "training slices", f"of {len(trained.groups):,} groups"),
        (images, "images shown", speed),
        (f"{kept:.3g}", "score", remark),
    ]


def _curves(entries: Sequence[LogEntry], names: Mapping[str, str], label: str) -> str:
    """Figures by name -> title, over images seen, as SVG; empty text where there is nothing to draw."""
    return _drawn({title: _points(entries, name) for name, title in names.items()}, label)


def _points(entries: Sequence[LogEntry], name: str) -> list[tuple[float, float]]:
    """Images seen and a figure, where an entry has both."""
    found = ((entry.images, entry.figure(name)) for entry in entries)
    return [(images, value) for images, value in found if images is not None and value is not None]


def _drawn(series: Mapping[str, list[tuple[float, float]]], label: str) -> str:
    return lines({title: points for title, points in series.items() if points}, "images shown", label)
