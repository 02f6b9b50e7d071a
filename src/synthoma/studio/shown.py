"""What artefacts show: thumbnails, sheets, verdicts, findings, volumes, and their own pages."""

from __future__ import annotations

import base64
import binascii
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from synthoma.studio import look
from synthoma.studio.gate import PAGE_POLICY
from synthoma.studio.learning import lesson, picture
from synthoma.studio.orders import MODALITIES
from synthoma.studio.refusal import RefusedError
from synthoma.studio.studio import Screen, Studio

if TYPE_CHECKING:
    from synthoma.cohorts.cohort import Cohort

A_PAGE = 60
"""Thumbnails."""
_TILE = 128
"""Least side of a thumbnail in pixels."""
_VOLUMES = (".nii", ".nii.gz")


class Shown:
    """Pages around artefacts.

    Args:
        studio: what they show.
    """

    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    def routes(self) -> list[Route]:
        """Which address shows what."""
        pages: dict[str, Screen] = {
            "/cohort": self.cohorts, "/cohort/{at:path}": self.cohort, "/thumb/{at:path}": self.thumb,
            "/run/{at:path}": self.run, "/sheet/{at:path}": self.sheet, "/evaluation/{at:path}": self.evaluation,
            "/findings/{at:path}": self.findings, "/view/{at:path}": self.view, "/volume/{at:path}": self.volume,
            "/report/{at:path}": self.report, "/file/{at:path}": self.file, "/learn": self.learn,
            "/learn/{name}": self.learn_picture,
        }  # fmt: skip
        return [Route(address, screen) for address, screen in pages.items()]

    def _artefact(self, request: Request, *kinds: look.Kind) -> tuple[Path, look.Found]:
        path = self.studio.places.find(request.path_params["at"])
        found = look.artefact(self.studio.places, path)
        if found is None or found.kind not in kinds:
            raise RefusedError(404, " or ".join(kinds), "something else", "choose one at home")
        return path, found

    # Cohorts ----------------------------------------------------------------------------------------------------------

    def cohorts(self, request: Request) -> Response:
        """The cohorts that are there."""
        found = [one for one in look.artefacts(self.studio.places) if one.kind in ("cohort", "synthetic")]
        return self.studio.page(request, "cohorts.html", "Cohorts", found=found)

    def cohort(self, request: Request) -> Response:
        """A wall of thumbnails."""
        path, found = self._artefact(request, "cohort", "synthetic")
        cohort, asked = opened(path), request.query_params
        table = cohort.slices
        label, split, modality = (asked.get(name, "") for name in ("label", "split", "modality"))
        rows = cohort.rows(split=split or None, label=label or None)
        pages = max(1, -(-len(rows) // A_PAGE))
        number = min(max(_number(asked.get("page", "1")), 1), pages)
        chosen = rows[(number - 1) * A_PAGE : number * A_PAGE]
        shown = table.iloc[chosen]
        tiles = [
            {"row": int(row), "label": name, "split": part, "group": group}
            for row, name, part, group in zip(chosen, shown["label"], shown["split"], shown["group"], strict=True)
        ]
        asked_for = {"label": label, "split": split, "modality": modality}
        return self.studio.page(
            request, "cohort.html", found.name, found=found, tiles=tiles, number=number, pages=pages, count=len(rows),
            asked=asked_for, modalities=cohort.modalities,
            labels=_counts(table["label"]), splits=_counts(table["split"]),
        )  # fmt: skip

    def thumb(self, request: Request) -> Response:
        """A slice as a picture, with the outline of its mask."""
        path, _ = self._artefact(request, "cohort", "synthetic")
        cohort, row = opened(path), _number(request.query_params.get("row", ""))
        if not 0 <= row < len(cohort):
            raise RefusedError(404, "a slice of the cohort", "a number of none", "choose one on its page")
        name = request.query_params.get("modality") or cohort.modalities[0]
        if name not in cohort.modalities:
            raise RefusedError(404, "a sequence of the cohort", "another one", "choose one on its page")
        return Response(thumbnail(cohort, row, cohort.modalities.index(name)), media_type="image/png")

    # Runs and verdicts ------------------------------------------------------------------------------------------------

    def run(self, request: Request) -> Response:
        """A model, finished or not."""
        path, found = self._artefact(request, "generator", "segmenter", "classifier", "unfinished run")
        job = self.studio.store.last(str(path))
        has_sheet = newest_sheet(path) is not None
        return self.studio.page(request, "run.html", found.name, found=found, job=job, sheet=has_sheet)

    def sheet(self, request: Request) -> Response:
        """The newest sheet of samples of a run; with ``?quiet`` nothing where there is none yet."""
        try:
            sheet = newest_sheet(self.studio.places.find(request.path_params["at"]))
        except RefusedError as refusal:
            if refusal.status != 404:
                raise
            sheet = None
        if sheet is None and "quiet" in request.query_params:
            return Response(status_code=204)
        if sheet is None:
            raise RefusedError(404, "a sheet of samples", "none yet", "wait for the first snapshot")
        return FileResponse(sheet, media_type="image/png")

    def evaluation(self, request: Request) -> Response:
        """The lights of a verdict."""
        path, found = self._artefact(request, "verdict")
        facts = look.json_of(path / "evaluation.json")
        lights = facts.get("lights")
        rows = [one for one in lights if isinstance(one, dict)] if isinstance(lights, list) else []
        names = ("question", "state", "figure", "text")
        shown = [{name: look.text(one, name) for name in names} for one in rows]
        verdict = {name: look.text(look.inner(facts, "verdict"), name) for name in ("word", "because")}
        return self.studio.page(request, "evaluation.html", found.name, found=found, lights=shown, verdict=verdict)

    # Findings ---------------------------------------------------------------------------------------------------------

    def findings(self, request: Request) -> Response:
        """Scan by scan, what was found."""
        _, found = self._artefact(request, "findings")
        cases = [case for one in look.listing(self.studio.places, found.at) if (case := self._case(one)) is not None]
        return self.studio.page(request, "findings.html", found.name, found=found, cases=cases[:200], more=cases[200:])

    def _case(self, entry: look.Entry) -> dict[str, object] | None:
        facts = look.json_of(self.studio.places.find(entry.at) / "findings.json") if entry.folder else {}
        if not facts:
            return None
        chance, volume, remarks = facts.get("probability"), facts.get("volume_ml"), facts.get("remarks")
        return {
            "at": entry.at,
            "name": look.text(facts, "case"),
            "chance": f"{chance:.2f}" if isinstance(chance, int | float) else "",
            "said": facts.get("has_tumour") is True,
            "volume": f"{volume:.1f} ml" if isinstance(volume, int | float) else "",
            "side": look.text(facts, "side"),
            "remarks": [str(one) for one in remarks][:10] if isinstance(remarks, list) else [],
            "files": [f"{entry.at}/{name}" for name in _files(facts)],
            "solid": any(name.endswith(_VOLUMES) for name in _files(facts)),
        }

    def view(self, request: Request) -> Response:
        """A scan and its mask in three planes and in 3D."""
        at = request.path_params["at"]
        case = self._case(look.Entry(at, "", folder=self.studio.places.find(at).is_dir()))
        if case is None:
            raise RefusedError(404, "findings of a scan", "something else", "choose a scan on the page of findings")
        above = self.studio.places.find(at).parent
        threshold = look.inner(look.json_of(self.studio.places.find(at) / "findings.json"), "thresholds")
        first = next((value for value in threshold.values() if isinstance(value, int | float)), 0.5)
        return self.studio.page(
            request, "view.html", str(case["name"]), case=case, at=at, above=self.studio.places.address(above),
            scan=self._source(above), threshold=first, modalities=MODALITIES, coarse=self._full(above) is None,
        )  # fmt: skip

    def _source(self, findings: Path) -> str:
        """The address of what was looked at; empty where the studio does not know, or may not see it."""
        job = self.studio.store.last(str(findings))
        try:
            return self.studio.places.address(Path(job.words[1])) if job is not None and job.kind == "detect" else ""
        except RefusedError:
            return ""

    def _full(self, findings: Path) -> Path | None:
        """The scan itself, where one volume was looked at and the studio may see it."""
        at = self._source(findings)
        if not at:
            return None
        path = self.studio.places.find(at)
        if path.is_dir():  # an upload of one file
            inside = look.listing(self.studio.places, at)
            if len(inside) != 1 or inside[0].folder:
                return None
            path = self.studio.places.find(inside[0].at)
        return path if path.name.endswith(_VOLUMES) else None

    def volume(self, request: Request) -> Response:
        """A scan or its mask as NIfTI: the files themselves, or the small copies that the findings carry."""
        folder = self.studio.places.find(request.path_params["at"])
        what = request.query_params.get("what", "")
        if what not in ("scan", "mask"):
            raise RefusedError(404, "scan or mask", "something else", "choose a scan on the page of findings")
        full = self._full(folder.parent)
        if full is not None:
            names = _files(look.json_of(folder / "findings.json"))
            mask = next((name for name in names if name.endswith("_mask.nii.gz")), None)
            if mask is not None:
                path = full if what == "scan" else self.studio.places.find(f"{request.path_params['at']}/{mask}")
                return FileResponse(path, media_type="application/octet-stream")
        small = look.text_of_any_length(look.inner(look.json_of(folder / "view.json"), "small"), what)
        try:
            content = base64.b64decode(small, validate=True)
        except (binascii.Error, ValueError):
            content = b""
        if not content:
            raise RefusedError(404, "a volume to show", "findings without one", "look at the page of the findings")
        return Response(content, media_type="application/octet-stream")

    # Files ------------------------------------------------------------------------------------------------------------

    def report(self, request: Request) -> Response:
        """The page of an artefact, as a stranger to the studio: its scripts reach nothing here."""
        path = self.studio.places.find(f"{request.path_params['at']}/report.html")
        return FileResponse(path, media_type="text/html", headers={"content-security-policy": PAGE_POLICY})

    def file(self, request: Request) -> Response:
        """A file to keep."""
        path = self.studio.places.find(request.path_params["at"])
        if not path.is_file():
            raise RefusedError(404, "a file", "a folder", "choose a file")
        return FileResponse(path, media_type="application/octet-stream", filename=path.name)

    def learn(self, request: Request) -> Response:
        """The education page."""
        return self.studio.page(request, "learn.html", "Learn", lesson=lesson())

    def learn_picture(self, request: Request) -> Response:
        """A picture of the education page."""
        name = request.path_params["name"]
        content = picture(name)
        if content is None:
            raise RefusedError(404, "a picture of the page", "another one", "go back")
        return Response(content, media_type="image/svg+xml" if name.endswith(".svg") else "image/png")


def opened(path: Path) -> Cohort:
    """A cohort, opened once for each of its states."""
    return _opened(path, (path / "cohort.json").stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _opened(path: Path, _written: int) -> Cohort:
    from synthoma.cohorts.cohort import Cohort

    return Cohort(path)


def thumbnail(cohort: Cohort, row: int, channel: int) -> bytes:
    """A slice as the bytes of a PNG, with the outline of its mask."""
    import numpy as np

    from synthoma.core.pictures import grey, outlined, png

    times = max(1, -(-_TILE // cohort.size))
    larger = np.ones((times, times), np.uint8)
    image = grey(np.asarray(cohort.images[row, channel], np.float32))
    return png(outlined(np.kron(image, larger), np.kron(np.asarray(cohort.masks[row]), larger)))


def newest_sheet(run: Path) -> Path | None:
    """The newest sheet of samples of a run, else the drawing of its progress."""
    sheets = sorted((run / "samples").glob("*.png"), key=lambda path: path.stat().st_mtime)
    progress = run / "progress.png"
    return sheets[-1] if sheets else progress if progress.is_file() else None


def _counts(column: object) -> dict[str, int]:
    from collections import Counter

    return dict(sorted(Counter(map(str, column)).items()))  # type: ignore[call-overload]


def _files(facts: look.Facts) -> list[str]:
    """Names of the files of a finding, none of which leads elsewhere."""
    lists = [one for one in look.inner(facts, "files").values() if isinstance(one, list)]
    return [str(name) for one in lists for name in one if "/" not in str(name) and str(name) != "view.json"][:40]


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
