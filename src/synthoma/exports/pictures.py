"""Slices as PNG files: 8 bits a channel, since what learns from pictures takes no more."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from synthoma.cohorts.cohort import Cohort
from synthoma.core.errors import ConfigError
from synthoma.core.types import Bytes, Float32
from synthoma.exports.cases import Piece, slice_of
from synthoma.exports.job import Job
from synthoma.exports.marks import facts

COLOURS = ("red", "green", "blue")


def grey(values: Float32) -> Bytes:
    """A slice in 8 bits: 0 background, 255 bright tissue and above."""
    return np.asarray((np.clip(values, 0, 1) * 255).round(), dtype=np.uint8)


def save(picture: Bytes, path: Path, cohort: Cohort, row: int) -> None:
    """Write a picture (rows, columns[, 3]) that says inside what it is."""
    content = PngInfo()
    for key, value in facts(cohort, row).items():
        content.add_itxt(key, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path, pnginfo=content)


def shown_channels(job: Job) -> dict[str, int]:
    """The sequences of one picture: those asked for, else the first three.

    Raises:
        ConfigError: more than a picture has colours.
    """
    channels = job.channels()
    if len(channels) > len(COLOURS) and job.options.sequences:
        todo = "leave some out of --sequences, or use --to huggingface, which has a picture for each"
        raise ConfigError("at most three sequences for a coloured picture", ", ".join(channels), todo)
    return dict(list(channels.items())[: len(COLOURS)])


def picture_of(job: Job, piece: Piece) -> Bytes:
    """A slice as one picture: grey of one sequence; else red, green and blue of several, what is lacking black."""
    layers = [grey(slice_of(job.cohort, piece, channel)) for channel in shown_channels(job).values()]
    if len(layers) == 1:
        return layers[0]
    return np.stack([*layers, np.zeros_like(layers[0])][: len(COLOURS)], axis=-1)


def colours_of(job: Job) -> dict[str, str]:
    """What the colours of the pictures are."""
    channels = list(shown_channels(job))
    return {"grey": channels[0]} if len(channels) == 1 else dict(zip(COLOURS, channels, strict=False))
