"""Words that settings choose among. They load nothing, so that a help screen is there at once."""

from __future__ import annotations

from os import PathLike
from typing import Literal

Place = str | PathLike[str]
"""A file or folder: a path, a text, or an opened artefact, which stands for its folder."""

Plane = Literal["axial", "sagittal", "coronal"]
Origin = Literal["real", "phantom", "synthetic"]

MODALITIES: tuple[str, ...] = ("t1", "t1c", "t2", "flair")
"""The four sequences of a tumour protocol, in the order in which channels are stacked."""

PLAIN_MODALITY = "image"
"""The modality of a picture that does not say which sequence it shows."""

Normalisation = Literal["robust", "unit"]
"""Both put 0 below and 1 above: what has mean 0 and deviation 1 would be half black wherever 0 to 1 is looked at."""

Fitting = Literal["keep", "stretch"]
"""How a slice that is no square becomes one: with its aspect kept and padding, or pulled to the square."""

Resampling = Literal["area", "cubic", "linear"]
"""How slices are resized: by the mean over the area when shrinking and cubic when growing, or one of both always."""
