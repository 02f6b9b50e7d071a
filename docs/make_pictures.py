"""Makes pictures of the README, docs/learn.md and docs/paint.md from simulated patients: nine minutes on two cores."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

import synthoma
from synthoma.core.pictures import grey, outlined, png, tiled
from synthoma.reports.figures import lines
from synthoma.training.log import read_log

HERE = Path(__file__).parent / "pictures"


def sequences(folder: Path) -> None:
    """One tumour slice in all modalities, and its labels."""
    cohort = synthoma.prepare_phantom(6, folder / "phantom", size=192, slices="tumour")
    row = int((cohort.masks[:] == 3).sum(axis=(1, 2)).argmax())  # where most of it takes up contrast agent
    images = [grey(np.asarray(image, np.float32)) for image in cohort.images[row]]
    flair = outlined(images[cohort.modalities.index("flair")], np.asarray(cohort.masks[row]))
    (HERE / "sequences.png").write_bytes(png(tiled([*images, flair], 5)))


def painting(folder: Path) -> None:
    """A healthy slice in T1c and FLAIR, tumours of three kinds painted into it, what changed, and one taken out."""
    scans = folder / "healthy"
    healthy = synthoma.prepare_phantom(
        1, scans, size=160, seed=7, modalities=("t1c", "flair"),
        phantom={"healthy": 1.0, "slice_mm": 5.0, "modalities": ("t1c", "flair"), "artefacts": 0.0},
        split=(1.0, 0.0, 0.0),
    )  # fmt: skip
    asked = (
        {"grade": "low", "size_ml": 40, "place": "left frontal", "enhancing": 0},
        {"grade": "high", "size_ml": 40, "place": "right parietal", "enhancing": 0.4, "oedema": 0.6},
        {"grade": "high", "size_ml": 15, "place": "left temporal", "enhancing": 0.7, "oedema": 0.5},
    )
    rows = []
    for number, dials in enumerate(asked):
        painted = synthoma.paint(healthy, folder / f"painted-{number}", seed=number, **dials)
        without = synthoma.remove(painted, folder / f"without-{number}")
        row = int((painted.masks[:] > 0).sum(axis=(1, 2)).argmax())
        for channel in (0, 1):
            before, after, cleared = (
                np.asarray(cohort.images[row, channel], np.float32) for cohort in (healthy, painted, without)
            )
            mask = np.asarray(painted.masks[row])
            shown = [grey(before), grey(after), outlined(grey(after), mask), grey(np.abs(after - before) * 2)]
            rows += [*shown, grey(cleared)]
    (HERE / "painting.png").write_bytes(png(tiled(rows, 5)))


def dial(folder: Path) -> None:
    """A healthy slice in FLAIR, the same with tumours of 5, 20 and 60 ml painted into it, and what the last changed."""
    head = {"healthy": 1.0, "slice_mm": 5.0, "artefacts": 0.0}
    healthy = synthoma.prepare_phantom(
        1, folder / "head", phantom=head, size=160, modalities=("flair",), split=(1.0, 0.0, 0.0), seed=7
    )
    asked = {"place": "right parietal", "grade": "low", "seed": 3}
    painted = [synthoma.paint(healthy, folder / f"dial-{ml}", size_ml=ml, **asked) for ml in (5, 20, 60)]
    row = int((painted[-1].masks[:] > 0).sum(axis=(1, 2)).argmax())
    images = [np.asarray(cohort.images[row, 0], np.float32) for cohort in (healthy, *painted)]
    changed = grey(np.abs(images[-1] - images[0]) * 2)
    (HERE / "dial.png").write_bytes(png(tiled([*map(grey, images), changed], 5)))


def learning(folder: Path) -> None:
    """What the same latents give over the course of a short training."""
    settings = {"size": 64, "modalities": ("flair",), "slices": "tumour", "merge": "whole-tumour"}
    synthoma.prepare_phantom(40, folder / "small", **settings)
    synthoma.train(folder / "small", folder / "run", minutes=4, with_masks=True)
    with Image.open(folder / "run" / "progress.png") as picture:
        picture.save(HERE / "learning.png", optimize=True)


GAMES = {
    "a fair game": {},
    "D learns a hundred times as fast as G": {"critic_rate": 1e-3, "generator_rate": 1e-5},
}
"""What is played -> settings of the GAN that differ."""


def game(folder: Path) -> None:
    """The value V(D, G) of two real games over the images seen, from their logs.

    With hard labels the discriminator's loss is -E[log D(x)] - E[log(1 - D(G(z)))], which is -V.
    """
    synthoma.prepare_phantom(
        40, folder / "players", size=32, modalities=("flair",), slices="tumour", merge="whole-tumour"
    )
    curves = {}
    for number, (name, rates) in enumerate(GAMES.items()):
        run = folder / f"game-{number}"
        gan = {"label_smoothing": 0.0, **rates}
        synthoma.train(folder / "players", run, model="dcgan", images=16_000, seed=0, gan=gan)
        log = [entry for entry in read_log(run / "log.jsonl") if "d_loss" in entry.figures]
        curves[name] = [(float(entry.images or 0), -entry.figures["d_loss"]) for entry in log]
    last = max(points[-1][0] for points in curves.values())
    curves["-log 4: D can only guess"] = [(0.0, -math.log(4)), (last, -math.log(4))]
    (HERE / "game.svg").write_text(lines(curves, "images seen", "V(D, G)"), encoding="utf-8")


if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        sequences(Path(place))
        painting(Path(place))
        dial(Path(place))
        learning(Path(place))
        game(Path(place))
