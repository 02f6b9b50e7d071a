"""Makes the pictures of docs/learn.md from simulated patients. Takes about six minutes on two cores."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

import synthoma
from synthoma.core.pictures import grey, outlined, png, tiled

HERE = Path(__file__).parent / "pictures"


def sequences(folder: Path) -> None:
    """One tumour slice in all modalities, and its labels."""
    cohort = synthoma.prepare_phantom(6, folder / "phantom", size=192, slices="tumour")
    row = int((cohort.masks[:] == 3).sum(axis=(1, 2)).argmax())  # where most of it takes up contrast agent
    images = [grey(np.asarray(image, np.float32)) for image in cohort.images[row]]
    flair = outlined(images[cohort.modalities.index("flair")], np.asarray(cohort.masks[row]))
    (HERE / "sequences.png").write_bytes(png(tiled([*images, flair], 5)))


def learning(folder: Path) -> None:
    """What the same latents give over the course of a short training."""
    settings = {"size": 64, "modalities": ("flair",), "slices": "tumour", "merge": "whole-tumour"}
    synthoma.prepare_phantom(40, folder / "small", **settings)
    synthoma.train(folder / "small", folder / "run", minutes=4, with_masks=True)
    with Image.open(folder / "run" / "progress.png") as picture:
        picture.save(HERE / "learning.png", optimize=True)


if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        sequences(Path(place))
        learning(Path(place))
