"""Tumours put into scans: where, how large, how they look; one slice at once, and all of it as a job."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from synthoma.studio import look
from synthoma.studio.options import GRADES, LOBES, MODALITIES, SIDES, dials_of
from synthoma.studio.origin import Origin, loaded, state_of
from synthoma.studio.outlines import digest, mask_of, outlines_of
from synthoma.studio.refusal import RefusedError
from synthoma.studio.studio import Screen, Studio, number_in, see, texts

if TYPE_CHECKING:
    from synthoma.core.types import Bytes
    from synthoma.painting.scan import Scan
    from synthoma.painting.sketch import Sketch

MASKS = "drawn-masks"
"""Folder of the workspace with masks that were drawn for `paint`."""
SIDE = 480
"""Pixels of the longer side of a slice on the page."""

_ONE = threading.Lock()
"""One scan is opened at a time; the last stays in memory."""


class Painting:
    """The page of dials, and what it asks for.

    Args:
        studio: where scans lie.
    """

    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    def routes(self) -> list[Route]:
        """Which address does what."""
        pages: dict[str, Screen] = {
            "/paint/{at:path}": self.show, "/slices/{at:path}": self.slices, "/sketch/{at:path}": self.sketch,
        }  # fmt: skip
        return [
            *(Route(address, screen) for address, screen in pages.items()),
            Route("/order/paint", self.studio.change(self.order), methods=["POST"]),
        ]

    def show(self, request: Request) -> Response:
        """The dials; of scans beside the slice that they are tried on."""
        at = request.path_params["at"]
        path = self.studio.places.find(at)
        found = look.artefact(self.studio.places, path)
        if found is not None and found.kind != "cohort":
            raise RefusedError(422, "scans, or a cohort of them", f"a {found.kind}", "choose another")
        return self.studio.page(
            request, "paint.html", "Paint tumours", at=at, where=look.title(self.studio.places, at),
            cohort=found is not None, lobes=LOBES, sides=SIDES, grades=GRADES, modalities=MODALITIES,
        )  # fmt: skip

    def slices(self, request: Request) -> Response:
        """How many scans there are, and of the chosen one its slices and sequences."""
        path, asked = self.studio.places.find(request.path_params["at"]), request.query_params
        names = [case.name for case in Origin(path).cases()]
        if not names:
            raise RefusedError(422, "scans", "none that can be read", "look at them on the page of scans")
        sketch = self._sketch(path, asked)
        scan = sketch.scan
        facts = {
            "cases": names[:500], "slices": scan.shape[0], "sequences": list(scan.images), "sided": sketch.sided,
        }  # fmt: skip
        return JSONResponse({**facts, "middle": _fullest(scan.images)})

    def _sketch(self, path: Path, asked: Mapping[str, str]) -> Sketch:
        number = number_in(asked.get("case", "0"))
        shows = asked.get("shows", "")
        if shows not in ("", *MODALITIES):
            raise RefusedError(422, f"one of {', '.join(MODALITIES)}", "another", "use the form")
        with _ONE:
            return _opened(path, state_of(path), number, shows)

    def sketch(self, request: Request) -> Response:
        """One slice as it is, or with a tumour in it, as PNG; what was painted stands in the headers."""
        path, asked = self.studio.places.find(request.path_params["at"]), request.query_params
        sketch = self._sketch(path, asked)
        at, sequence = number_in(asked.get("slice", "")), asked.get("sequence", "")
        images, spacing = sketch.scan.images, sketch.scan.spacing
        if sequence not in images or not 0 <= at < sketch.scan.shape[0]:
            raise RefusedError(404, "a slice of the scan", "another one", "use the page")
        began = time.perf_counter()
        before = images[sequence][at]
        shape = before.shape
        picture, mask, facts = before, None, dict[str, float | str]()
        if asked.get("paint"):
            from synthoma.painting.settings import PaintConfig

            words = (word.removeprefix("--").partition("=") for word in dials_of(asked))
            config = PaintConfig.model_validate({name.replace("-", "_"): value for name, _, value in words})
            where, drawn = _pixel(asked, (shape[0], shape[1])), _drawn(asked, sketch.scan)
            if drawn is None or drawn[at].any():
                seed, mine = number_in(asked.get("seed", "0")), None if drawn is None else drawn[at]
                made = sketch.slice(at, config.dials(), seed, where, mine)
                picture, mask, facts = made.images[sequence][0], made.mask[0], dict(made.facts)
            else:
                facts = {"painted_ml": 0.0}  # nothing is drawn here
        headers = {f"x-{name.replace('_', '-')}": str(value) for name, value in facts.items()}
        headers["x-seconds"] = f"{time.perf_counter() - began:.3f}"
        content = _png(picture, before, mask if asked.get("outline") else None, spacing[1:])
        return Response(content, media_type="image/png", headers=headers)

    def order(self, request: Request, form: FormData) -> Response:
        """Paint the scans themselves: the job is the command that one would type."""
        given, place = texts(form), ""
        if given.get("outlines"):
            drawn = self._kept(given)
            return see(f"/job/{self.studio.order(self.studio.desk().paint(given, drawn=drawn)).id}")
        if given.get("row") and given.get("column"):
            sketch = self._sketch(self.studio.places.find(given.get("at", "")), given)
            at = number_in(given.get("slice", ""))
            pixel = _pixel(given, sketch.scan.shape[1:])
            if pixel is None or not 0 <= at < sketch.scan.shape[0]:
                raise RefusedError(422, "a place in the scan", "another one", "choose it on the page")
            place = ",".join(f"{value:.1f}" for value in sketch.place((at, *pixel)))
        return see(f"/job/{self.studio.order(self.studio.desk().paint(given, place)).id}")

    def _kept(self, given: Mapping[str, str]) -> Path:
        """The mask that was drawn, as a file of the workspace on the scan's own grid, for ``--mask``.

        Raises:
            RefusedError: several scans, or nothing inside the outlines.
        """
        from synthoma.core.untrusted import file_name
        from synthoma.painting.files import write_mask

        path = self.studio.places.find(given.get("at", ""))
        cases = Origin(path).cases()
        if len(cases) != 1:
            todo = "open that scan alone, and draw there"
            raise RefusedError(422, "one scan for a mask of your own", f"{len(cases)} of them", todo)
        sketch = self._sketch(path, given)
        mask = _drawn(given, sketch.scan)
        study = loaded(cases[0])
        if mask is None or not mask.any() or study is None:
            raise RefusedError(422, "an outline of some pixels", "none", "draw around more")
        folder = self.studio.places.workspace / MASKS
        folder.mkdir(exist_ok=True)
        drawn = digest(outlines_of(given["outlines"], sketch.scan.shape[0]))
        return write_mask(mask, study, folder / f"{file_name(cases[0].name, 60)}-{drawn}")


def _drawn(asked: Mapping[str, str], scan: Scan) -> Bytes | None:
    """The mask of a whole scan that outlines mark; None where there are none."""
    outlines = outlines_of(asked.get("outlines", ""), scan.shape[0])
    return mask_of(outlines, scan.shape, scan.spacing) if outlines else None


@lru_cache(maxsize=1)
def _opened(path: Path, _state: tuple[int, int], number: int, shows: str) -> Sketch:
    """A scan in memory, as painters see it.

    Raises:
        RefusedError: none of that number.
        InputError: it cannot be read, and why.
    """
    from synthoma.painting.sketch import Sketch
    from synthoma.scans.layouts.part_of_case import load_despite_mask

    cases = Origin(path).cases()
    if not 0 <= number < len(cases):
        raise RefusedError(422, "a scan that can be read", "none", "look at it on the page of scans")
    return Sketch.of(load_despite_mask(cases[number].load), shows or None)


def _pixel(asked: Mapping[str, str], shape: tuple[int, int]) -> tuple[int, int] | None:
    """The pixel (row, column) that was chosen on a picture, by shares of its height and width; None for no pixel."""
    if not asked.get("row") or not asked.get("column"):
        return None
    try:
        shares = float(asked["row"]), float(asked["column"])
    except ValueError:
        shares = (-1.0, -1.0)
    if not all(0 <= share < 1 for share in shares):
        raise RefusedError(422, "a place in the picture", "one outside", "choose it on the page")
    return int(shares[0] * shape[0]), int(shares[1] * shape[1])


def _fullest(images: Mapping[str, object]) -> int:
    """The slice that shows most, in the middle half of the scan."""
    import numpy as np

    stack = np.asarray(next(iter(images.values())))
    low, high = len(stack) // 4, max(len(stack) - len(stack) // 4, len(stack) // 4 + 1)
    return int(low + np.argmax((stack[low:high] > stack.mean()).sum((1, 2))))


def _png(picture: object, before: object, mask: Bytes | None, spacing: tuple[float, float]) -> bytes:
    """A slice (rows, columns) in grey, as large as pages show it, its pixels square.

    The scan as it was decides what is white: a tumour does not darken the rest.
    """
    import numpy as np
    from PIL import Image

    from synthoma.core.pictures import outlined, png

    values, old = np.asarray(picture, np.float32), np.asarray(before, np.float32)
    low, high = float(old.min()), float(np.percentile(old, 99.8))
    shown = (np.clip((values - low) / max(high - low, 1e-6), 0, 1) * 255).round().astype(np.uint8)
    tall, wide = shown.shape[0] * spacing[0], shown.shape[1] * spacing[1]
    size = (max(1, round(SIDE * wide / max(tall, wide))), max(1, round(SIDE * tall / max(tall, wide))))
    large = np.asarray(Image.fromarray(shown).resize(size, Image.Resampling.BICUBIC))
    if mask is None:
        return png(large)
    return png(outlined(large, np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))))
