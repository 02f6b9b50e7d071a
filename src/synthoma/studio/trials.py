"""Images of a generator while its dials turn: what `generate` would draw first, and what lies between two of them."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import TYPE_CHECKING
from weakref import finalize

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from synthoma.studio import look
from synthoma.studio.options import FIRST_LOOK, LOBES, SIDES, choice_of, real_of, whole_of
from synthoma.studio.origin import state_of
from synthoma.studio.studio import Studio

if TYPE_CHECKING:
    from synthoma.core.types import Bytes
    from synthoma.pipeline.trial import Trial

Wish = tuple[float | None, str, str]
COLUMNS = 6
TILE = 128
"""Pixels of an image on the page."""

_ONE = threading.Lock()
"""One generator draws at a time; the last two stay in memory."""


class Trials:
    """What the dials of a generator show.

    Args:
        studio: where generators lie.
    """

    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    def routes(self) -> list[Route]:
        """Which address shows what."""
        return [Route("/tried/{at:path}", self.tried), Route("/between-images/{at:path}", self.between)]

    def _trial(self, request: Request) -> Trial:
        asked = request.query_params
        path, _ = look.expected(self.studio.places, request.path_params["at"], "generator")
        seed, label = whole_of(asked, "seed", 0, 2**31), asked.get("label", "")
        return _opened(path, state_of(path / look.MODEL), seed, label, _tumour(asked))

    def tried(self, request: Request) -> Response:
        """The first images as one picture, with outlines where they have masks."""
        from synthoma.core.pictures import grey, outlined, png, tiled

        truncation = real_of(request.query_params, "truncation", 0.05, 1)
        with _ONE:
            images, masks = self._trial(request).images(FIRST_LOOK, truncation)
        plain = "outline" not in request.query_params
        shown = [
            _large(outlined(one, mask * 0 if plain else mask))
            for one, mask in zip((grey(image[0]) for image in images), masks, strict=True)
        ]
        return Response(png(tiled(shown, COLUMNS)), media_type="image/png")

    def between(self, request: Request) -> Response:
        """An image between two."""
        from synthoma.core.pictures import png

        asked = request.query_params
        one, other = (whole_of(asked, name, 1, FIRST_LOOK) - 1 for name in ("one", "other"))
        with _ONE:
            found = self._trial(request).between(one, other, real_of(asked, "share", 0, 1))
        return Response(png(_large(found)), media_type="image/png")


@lru_cache(maxsize=2)
def _opened(path: Path, _state: tuple[int, int], seed: int, label: str, tumour: Wish) -> Trial:
    """A trial; the folder of its simulated patients goes when nobody holds it any more."""
    from synthoma.pipeline.trial import Trial, asked_tumour

    folder = Path(mkdtemp(prefix="synthoma-"))
    try:
        trial = Trial.open(path, folder, seed=seed, label=label or None, tumour=asked_tumour(*tumour))
    except BaseException:
        rmtree(folder, ignore_errors=True)
        raise
    finalize(trial, rmtree, folder, ignore_errors=True)
    return trial


def _tumour(asked: Mapping[str, str]) -> Wish:
    """What is asked of simulated tumours: volume in ml, lobe, side."""
    ml = real_of(asked, "ml", 0.5, 200) if asked.get("size_wanted") else None
    return ml, choice_of(asked, "lobe", ("", *LOBES)), choice_of(asked, "side", ("", *SIDES))


def _large(picture: Bytes) -> Bytes:
    """A picture in the size of the page, its pixels left as they are drawn."""
    import numpy as np
    from PIL import Image

    return np.asarray(Image.fromarray(picture).resize((TILE, TILE), Image.Resampling.BICUBIC))
