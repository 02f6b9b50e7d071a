"""Grey values of images that are taken as they are: what is white in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from synthoma.core.errors import InputError
from synthoma.scans.case import Study
from synthoma.scans.layouts.loading import MaskError

USUAL = (-0.25, 8.0)
"""Grey values of a cohort lie between these."""

_DEEP = 4095
"""Brightest value of 16-bit images up to which they may hold a scanner's 12 bits, and white may be anything."""


def white_of(low: Mapping[str, float], high: Mapping[str, float]) -> list[str]:
    """What is taken for white in images that are taken as they are, where anybody could ask.

    Raises:
        InputError: nobody knows.
    """
    return [text for kind in low if (text := _white_of(kind, low[kind], high[kind]))]


def _white_of(kind: str, low: float, high: float) -> str:
    came = f"{kind} from {low:.4g} to {high:.4g}"
    wanted = "8-bit images, or floats from 0 (background) to 1 (bright tissue)"
    if kind == "uint8":
        return ""
    # PNG in 16 bits comes as either type. Up to 4095 it could as well be a scanner's own values.
    if kind in ("uint16", "int32") and low >= 0 and _DEEP < high <= 65535:
        return f"16-bit images up to {high:.0f}: 65535 is taken for 1"
    if not kind.startswith("float"):
        todo = "convert them, or let them be normalised with --framed no"
        raise InputError(wanted, f"{came}: nobody knows what is white", todo)
    # Values from -1 to 1 are found here, by their -1: half of every head would be black.
    if low < USUAL[0] or high > USUAL[1]:
        todo = "convert them, as (x + 1) / 2 does from -1..1, or let them be normalised with --framed no"
        raise InputError(wanted, came, todo)
    beyond = low < 0 or high > 1
    return f"grey values from {low:.3g} to {high:.3g} are kept: 0 is taken for background, 1 for bright tissue" * beyond


def load_framed(load: Callable[[], Study]) -> Study:
    """Load a case whose grey values are on a cohort's scale already, float32.

    Raises:
        InputError: values on another scale.
    """
    try:
        return _on_scale(load())
    except MaskError as error:
        raise MaskError(error, _on_scale(error.study)) from error


def _on_scale(study: Study) -> Study:
    images = {}
    for name, image in study.images.items():
        if image.dtype.kind == "f":
            low, high = float(image.min()), float(image.max())
            if not USUAL[0] <= low <= high <= USUAL[1]:
                raise InputError("grey values from 0 to 1", f"{name}: {low:.4g} to {high:.4g}", "convert them")
            images[name] = image.astype(np.float32)
        else:
            white = 255 if image.dtype == np.uint8 else 65535
            if image.min() < 0 or image.max() > white:
                came = f"{name}: {image.dtype} from {image.min()} to {image.max()}"
                raise InputError(f"grey values from 0 to {white}", came, "convert them")
            images[name] = image.astype(np.float32) / np.float32(white)
    return replace(study, images=images)
