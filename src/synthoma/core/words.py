"""Words that settings choose among. They load nothing, so that a help screen is there at once."""

from __future__ import annotations

from typing import Literal

Plane = Literal["axial", "sagittal", "coronal"]
Origin = Literal["real", "phantom", "synthetic"]

MODALITIES: tuple[str, ...] = ("t1", "t1c", "t2", "flair")
"""The four sequences of a tumour protocol, in the order in which channels are stacked."""

PLAIN_MODALITY = "image"
"""The modality of a picture that does not say which sequence it shows."""

Normalisation = Literal["robust", "unit"]
"""Both put 0 below and 1 above: what has mean 0 and deviation 1 would be half black wherever 0 to 1 is looked at."""
