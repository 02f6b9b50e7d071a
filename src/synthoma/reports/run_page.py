"""The page of a run: how it learned, its losses and scores, what went wrong, and what the networks are made of."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from synthoma.core.artefacts import verify, verify_text
from synthoma.core.errors import InputError
from synthoma.reports.figures import data_uri, lines
from synthoma.reports.page import render
from synthoma.training.meta import ModelMeta


def run_page(run: Path, name: str, meta: ModelMeta, tables: dict[str, list[Any]]) -> str:
    """The page of a finished run as HTML text.

    Args:
        run: the folder.
        name: what to call it.
        meta: the model file's description.
        tables: layers of generator, discriminator and both, see ``detectors.summary``.
    """
    log = _log(run / "log.jsonl")
    losses = [entry for entry in log if "g_loss" in entry or "loss" in entry]
    scored = [entry for entry in log if entry.get("score") is not None]
    sheets = sorted((run / "samples").glob("images-*.png"))
    best = [path for path in sheets if int(path.stem.split("-")[1]) == meta.images] or sheets[-1:]
    scored = [entry | ({"kept": entry["score"]} if entry["images"] == meta.images else {}) for entry in scored]
    names = {"score": "distance to held-out scans (sliced W2)", "kept": "the snapshot that is kept"}
    return render(
        "run.html",
        title=f"Run {name}",
        meta=meta,
        cards=_cards(meta, losses, scored),
        sheet=data_uri(best[0].read_bytes()) if best else "",
        progress=data_uri((run / "progress.png").read_bytes()) if (run / "progress.png").is_file() else "",
        snapshots=[int(path.stem.split("-")[1]) for path in sorted((run / "samples").glob("row-*.png"))],
        losses=_curves(losses, {"d_loss": "discriminator", "g_loss": "generator", "loss": "velocity"}, "loss"),
        outputs=_curves(losses, {"d_real": "real images", "d_fake": "generated images"}, "mean output of D"),
        scores=_curves(scored, names, "score"),
        variety=_curves(scored, {"variety": "variety over the scans' own", "near_copies": "near copies"}, "share"),
        warnings=[entry["warning"] for entry in log if "warning" in entry],
        tables=tables,
        config=_settings(run / "config.toml"),
    )


def detector_page(run: Path, name: str, meta: ModelMeta, tables: dict[str, list[Any]]) -> str:
    """The page of a finished run of a segmenter or classifier as HTML text.

    Args:
        run: the folder.
        name: what to call it.
        meta: the model file's description.
        tables: layers of the network, see ``detectors.summary``.
    """
    log = _log(run / "log.jsonl")
    losses = [entry for entry in log if "loss" in entry]
    scored = [entry for entry in log if entry.get("score") is not None]
    names = {"balanced_accuracy": "balanced accuracy", **{f"dice_{one}": f"Dice, {one}" for one in meta.targets}}
    speed = sorted(entry["images_per_second"] for entry in losses) if losses else [0.0]
    trained = meta.provenance.trained_on
    shown = f"{losses[-1]['images']:,}" if losses else "0"
    best: dict[str, Any] = next((entry for entry in scored if entry["images"] == meta.images), {})
    reached = [(f"{best[key]:.3f}", title, "on the validation split") for key, title in names.items() if key in best]
    return render(
        "detector.html",
        title=f"Run {name}",
        meta=meta,
        cards=[
            (meta.model, "model", f"{meta.shape['size']} px, {'+'.join(meta.modalities)}"),
            (f"{trained.slices:,}", "training slices", f"of {len(trained.groups):,} groups"),
            (shown, "slices shown", f"{speed[len(speed) // 2]:.0f} a second"),
            *reached,
        ],
        progress=data_uri((run / "progress.png").read_bytes()) if (run / "progress.png").is_file() else "",
        snapshots=[int(path.stem.split("-")[1]) for path in sorted((run / "samples").glob("row-*.png"))],
        losses=_curves(losses, {"loss": "loss", "d_loss": "discriminator"}, "loss"),
        scores=_curves(scored, names, "validation score"),
        warnings=[entry["warning"] for entry in log if "warning" in entry],
        tables=tables,
        config=_settings(run / "config.toml"),
    )


def _log(path: Path) -> list[dict[str, Any]]:
    """The entries of a training's log.

    Raises:
        InputError: it is damaged; a last line that was being written when the training was killed is left out.
    """
    verify(path)
    try:
        whole = path.read_text(encoding="utf-8").rpartition("\n")[0]
        entries = [json.loads(line) for line in whole.splitlines() if line]
    except (OSError, ValueError, RecursionError) as error:
        raise InputError("a readable log of the training", f"{path}: {error}", "restore it from a copy") from None
    if not all(isinstance(entry, dict) for entry in entries):
        raise InputError("an object in each line of the log", f"something else in {path}", "restore it from a copy")
    return entries


def _settings(path: Path) -> str:
    """The settings of a training as they were written.

    Raises:
        InputError: they are damaged.
    """
    verify_text(path)
    return path.read_text(encoding="utf-8")


def _cards(meta: ModelMeta, losses: list[Any], scored: list[Any]) -> list[tuple[str, str, str]]:
    speed = sorted(entry["images_per_second"] for entry in losses) if losses else [0.0]
    trained = meta.provenance.trained_on
    shown = f"{losses[-1]['images']:,}" if losses else "0"
    lowest = min((entry["score"] for entry in scored), default=math.nan)
    score = next((entry["kept"] for entry in scored if "kept" in entry), math.nan)
    remark = f"sliced W2 of the snapshot that is kept, after {meta.images:,} images"
    if score > lowest:
        remark += f"; the lowest, {lowest:.3g}, is not lower by more than chance"
    return [
        (meta.model, "model", f"{meta.shape['size']} px, {'+'.join(meta.modalities)}"),
        (f"{trained.slices:,}", "training slices", f"of {len(trained.groups):,} groups"),
        (shown, "images shown", f"{speed[len(speed) // 2]:.0f} a second"),
        (f"{score:.3g}", "score", remark),
    ]


def _curves(entries: list[Any], names: dict[str, str], label: str) -> str:
    """Curves over images seen as SVG; empty text where there is nothing to draw."""
    series = {
        title: [(entry["images"], entry[key]) for entry in entries if entry.get(key) is not None]
        for key, title in names.items()
    }
    return lines({title: points for title, points in series.items() if points}, "images shown", label)
