"""Names of layouts, for settings: nothing is loaded."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from synthoma.core.plugins import plugged_names

BUILT_IN = ("table", "lgg", "figshare", "dicom", "folders", "volumes")
"""Layouts that are part of the package, from the most to the least specific."""


def layout_names() -> tuple[str, ...]:
    """All layouts by name, those of other packages too."""
    return (*BUILT_IN, *sorted(plugged_names("synthoma.layouts") - set(BUILT_IN)))


def _known(name: str) -> str:
    if name not in layout_names():
        raise ValueError(f"there are {', '.join(layout_names())}")
    return name


LayoutName = Annotated[str, AfterValidator(_known)]
"""Name of a layout that is installed."""
