"""A family of features of the user's own: a Python file that defines ``features(images)``."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np

from synthoma.core.errors import InputError
from synthoma.core.provenance import file_digest
from synthoma.core.types import Array, Floats


def load_extractor(file: Path) -> tuple[Callable[[Array], Floats], str]:
    """The function ``features`` of a file, and the file's SHA-256, which scores are stored with.

    The file is run: give only one that you have read. Weights that it needs it loads itself.

    Raises:
        InputError: no such file, no such function, or what it returns is not one finite vector an image.
    """
    todo = "write `def features(images): ...` that takes (N, H, W) float32 in 0..1 and returns (N, D)"
    # Under a name of our own: a file called numpy.py must not become everybody's numpy.
    spec = importlib.util.spec_from_file_location("synthoma_own_extractor", file) if file.is_file() else None
    if spec is None or spec.loader is None:
        raise InputError("a Python file with features(images)", str(file), todo)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        own = module.features
    except Exception as error:  # anything may be wrong in somebody's file
        raise InputError("a Python file with features(images)", f"{file.name}: {error}", todo) from error

    def features(images: Array) -> Floats:
        # Covariances are made of it, which single precision would leave with eigenvalues below 0.
        found = np.asarray(own(images), dtype=np.float64)
        if found.ndim != 2 or len(found) != len(images) or not np.isfinite(found).all():
            raise InputError("one finite vector an image", f"{found.shape} for {len(images)} images", todo)
        return found

    return features, file_digest(file)
