"""The page of a run: how it learned, its losses and scores, what went wrong, and what the networks are made of."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from synthoma.core.artefacts import verify_text
from synthoma.reports.diagrams import diagrams
from synthoma.reports.figures import data_uri, lines
from synthoma.reports.flows import flow_of
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
    scored, snapshots = [entry for entry in log if entry.score is not None], [one for one in log if one.is_snapshot]
    sheets = sorted((run / "samples").glob("images-*.png"))
    # The sheet of the snapshot that is kept, and not the last one, which may be worse.
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
        watched=watched_of(snapshots),
        scores=_drawn(scores, "score"),
        variety=_curves(scored, {"variety": "variety over the scans' own", "near_copies": "near copies"}, "share"),
        warnings=[*not_learned(log, meta.images), *(entry.warning for entry in log if entry.warning is not None)],
        tables=tables,
        diagrams=diagrams(flow_of(meta, tables), tables),
        config=_settings(run / "config.toml"),
    )


FEW_IMAGES = 5000
"""Images shown, below which no generator here has learned to draw a head."""

WILD = 2.0
"""Variety over that of scans, above which samples are noise."""


def not_learned(log: Sequence[LogEntry], kept: int) -> list[str]:
    """What to say at the top of the page of a generator that has hardly learned yet.

    Args:
        log: of its training.
        kept: images that the snapshot had seen which is kept.
    """
    shown = max((entry.images or 0 for entry in log), default=0)
    variety = next((entry.figure("variety") for entry in log if entry.is_snapshot and entry.images == kept), None)
    why = []
    if shown < FEW_IMAGES:
        why.append(f"it was shown {shown:,} images, and most models need some ten thousand to draw a head")
    if variety is not None and variety > WILD:
        why.append(f"its samples vary {variety:.1f} times as much as scans do, as noise does")
    return [f"This has not learned yet: {'; '.join(why)}. Give it more --minutes."] if why else []


OVERFITTED = 0.15
"""Accuracy of a discriminator on training slices beyond that on held-out ones, above which it has learned by heart."""

CANNOT_TELL, TELLS_ALL = 0.6, 0.95
"""Held-out accuracy up to which a discriminator hardly tells, and from which on it tells nearly all."""


RANKED = 0.65
"""Share of pairs that its scores rank right, above which it can tell all the same."""


@dataclass(frozen=True)
class Watched:
    """What a discriminator made of slices that it had not learned from.

    Attributes:
        accuracy, means: charts of its accuracy and of its mean output at the snapshots.
        said: what the last figures mean, a sentence each.
    """

    accuracy: str
    means: str
    said: tuple[str, ...]


def watched_of(snapshots: Sequence[LogEntry]) -> Watched | None:
    """Charts and sentences from the snapshots of a log; None where no discriminator was asked (earlier versions)."""
    known = [entry for entry in snapshots if entry.d_accuracy_training is not None]
    if not known:
        return None
    titles = {"d_accuracy_held_out": "held-out slices", "d_accuracy_training": "training slices"}
    means = {"d_held_out": "held-out slices", "d_training": "training slices", "d_generated": "fresh generated slices"}
    accuracy, outputs = _curves(known, titles, "accuracy of D"), _curves(known, means, "mean output of D")
    return Watched(accuracy, outputs, tuple(_told(known[-1])))


def _told(last: LogEntry) -> list[str]:
    """What the figures of the last snapshot mean."""
    held_out, learned = last.d_accuracy_held_out, last.d_accuracy_training or 0.0
    # Without held-out slices high accuracy is no news: a discriminator may simply know its own.
    if held_out is None:
        return [
            "The cohort has too few validation slices to ask about, so nobody knows what D makes of slices that it has "
            f"not learned from. On training slices its accuracy is {learned:.2f}, which says little: it knows them."
        ]
    said = [f"At the last snapshot its accuracy is {held_out:.2f} on held-out slices, {learned:.2f} on training ones."]
    if learned - held_out > OVERFITTED:
        said.append(
            "D has learned training slices by heart: what it teaches now is to draw those. Stop earlier, augment "
            '(--set gan.augment=\'["translation", "brightness"]\'), make D smaller (--set gan.critic_width=16), or add '
            "patients."
        )
    ranked = 0.5 if last.d_auc_held_out is None else last.d_auc_held_out
    if held_out <= CANNOT_TELL and ranked > RANKED:
        said.append(
            f"Its scores part them better than its own limit does: a held-out slice is scored above a generated one in "
            f"{100 * ranked:.0f} % of pairs. So it can tell, but calls most slices by the same name."
        )
    elif held_out <= CANNOT_TELL and ranked < 1 - RANKED:
        said.append(
            "It is wrong more often than right here, and finds generated slices more real than held-out ones: a "
            "passing swing of the game, if the snapshots before say otherwise."
        )
    elif held_out <= CANNOT_TELL:
        said.append("It hardly tells held-out slices from generated ones.")
    elif held_out >= TELLS_ALL:
        said.append(
            "It tells nearly all apart: G learns little from it. Train longer, or slow D down (a lower "
            "--set gan.critic_rate)."
        )
    return said


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
            meta.provenance.learned(),
            (*_speed(losses)[:1], "slices shown", _speed(losses)[1]),
            *reached,
        ],
        progress=data_uri((run / "progress.png").read_bytes()) if (run / "progress.png").is_file() else "",
        snapshots=[int(path.stem.split("-")[1]) for path in sorted((run / "samples").glob("row-*.png"))],
        losses=_curves(losses, {"loss": "loss", "d_loss": "discriminator"}, "loss"),
        scores=_curves(scored, names, "validation score"),
        warnings=[*not_found(best, meta), *(entry.warning for entry in log if entry.warning is not None)],
        tables=tables,
        diagrams=diagrams(flow_of(meta, tables), tables),
        config=_settings(run / "config.toml"),
    )


LEAST_DICE, ABOVE_CHANCE = 0.3, 0.1
"""Dice, and balanced accuracy beyond that of guessing, on the validation split, below which nothing was learned."""


def not_found(best: Mapping[str, float | None], meta: ModelMeta) -> list[str]:
    """What to say at the top of the page of a detector whose own validation scores are poor.

    Args:
        best: figures of the snapshot that is kept.
        meta: the model file's description.
    """
    whole = best.get(f"dice_{meta.targets[0]}") if meta.targets else None
    balanced, guessed = best.get("balanced_accuracy"), 1 / max(1, len(meta.classes))
    if whole is not None and whole < LEAST_DICE:
        why = f"Dice is {whole:.2f} on its validation patients"
    elif balanced is not None and balanced < guessed + ABOVE_CHANCE:
        why = f"balanced accuracy is {balanced:.2f} on its validation patients, and guessing reaches {guessed:.2f}"
    else:
        return []
    return [f"This has not learned yet: {why}. Train it longer, on more patients, or from --init phantom."]


def _settings(path: Path) -> str:
    """The settings of a training as they were written.

    Raises:
        InputError: they are damaged.
    """
    verify_text(path)
    return path.read_text(encoding="utf-8")


def _speed(losses: Sequence[LogEntry]) -> tuple[str, str]:
    """How many images a training has shown, and how many a second in the middle of its speeds."""
    # The middle one: the first entries hold compiling, and others hold snapshots.
    speed = sorted(entry.figure("images_per_second") or 0.0 for entry in losses) or [0.0]
    return f"{losses[-1].images or 0:,}" if losses else "0", f"{speed[len(speed) // 2]:.0f} a second"


def _epochs(losses: Sequence[LogEntry]) -> str:
    """How often each training slice was shown, where the log says so."""
    return f"{losses[-1].epochs:.1f} epochs, " if losses and losses[-1].epochs is not None else ""


def _cards(meta: ModelMeta, losses: Sequence[LogEntry], scored: Sequence[LogEntry]) -> list[tuple[str, str, str]]:
    images, speed = _speed(losses)
    found = [(entry.images, entry.score) for entry in scored if entry.score is not None]
    lowest = min((score for _, score in found), default=math.nan)
    kept = next((score for after, score in found if after == meta.images), math.nan)
    remark = f"sliced W2 of the snapshot that is kept, after {meta.images:,} images"
    # Said, since a reader of the curve sees a lower point and takes the choice for a mistake.
    if kept > lowest:
        remark += f"; the lowest, {lowest:.3g}, is not lower by more than chance"
    return [
        (meta.model, "model", f"{meta.shape['size']} px, {'+'.join(meta.modalities)}"),
        meta.provenance.learned(),
        (images, "images shown", f"{_epochs(losses)}{speed}"),
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
