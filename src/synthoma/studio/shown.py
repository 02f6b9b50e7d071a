"""What artefacts show: thumbnails, sheets, verdicts, findings, volumes, and their own pages."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from synthoma.evaluation.readers.blinded import KEY, SET
from synthoma.studio import look, pictures
from synthoma.studio.curves import curves
from synthoma.studio.gate import PAGE_POLICY
from synthoma.studio.gathered import meanings
from synthoma.studio.learning import lesson, picture
from synthoma.studio.masks import chance_of, probabilities
from synthoma.studio.options import MODALITIES
from synthoma.studio.origin import VOLUMES, check_fits, origin_of, whole
from synthoma.studio.refusal import RefusedError
from synthoma.studio.reviews import Reviews, corrected_of, model_masks
from synthoma.studio.studio import Screen, Studio

BYTES = "application/octet-stream"
MOST_VERDICTS = 8
"""Side by side."""


@dataclass(frozen=True)
class Judged:
    """What a verdict says, for a column beside others.

    Attributes:
        found: the artefact.
        word, because: the verdict.
        lights: question, state, figure and text of each.
        compared: what was compared, in words.
        held_out: tells whether two verdicts stand on the same real slices.
    """

    found: look.Found
    word: str
    because: str
    lights: list[dict[str, str]]
    compared: list[str]
    held_out: str

    def light(self, question: str) -> dict[str, str]:
        """The answer to a question; empty where there is none."""
        return next((one for one in self.lights if one["question"] == question), dict.fromkeys(LIGHT, ""))


LIGHT = ("question", "state", "figure", "text")


def _verdict(path: Path, found: look.Found) -> Judged:
    facts = look.json_of(path / "evaluation.json")
    lights = facts.get("lights")
    rows = [one for one in lights if isinstance(one, dict)] if isinstance(lights, list) else []
    verdict, compared = look.inner(facts, "verdict"), look.inner(facts, "compared")
    said = {
        "real slices to learn from": "training", "patients or groups held out": "held_out_groups",
        "synthetic slices looked at": "synthetic", "slices on each side": "count", "sequence": "modality",
    }  # fmt: skip
    lines = [f"{words}: {text}" for words, name in said.items() if (text := look.text(compared, name))]
    preset, real = look.text(facts, "preset"), look.inner(look.inner(facts, "provenance"), "real")
    rows_of = look.inner(compared, "rows").get("held_out")
    held_out = f"{look.text(real, 'images_sha256')} {rows_of} {look.text(compared, 'modality')}"
    return Judged(
        found, look.text(verdict, "word"), look.text(verdict, "because", 2000),
        [{name: look.text(one, name, 2000) for name in LIGHT} for one in rows],
        [*lines, *([f"preset: {preset}"] if preset else [])], held_out,
    )  # fmt: skip


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
            "/run/{at:path}": self.run, "/sheet/{at:path}": self.sheet, "/curves/{at:path}": self.curves,
            "/evaluation/{at:path}": self.evaluation, "/verdicts": self.verdicts,
            "/findings/{at:path}": self.findings, "/view/{at:path}": self.view, "/overlay/{at:path}": self.overlay,
            "/volume/{at:path}": self.volume,
            "/report/{at:path}": self.report, "/file/{at:path}": self.file, "/learn": self.learn,
            "/learn/{name}": self.learn_picture,
        }  # fmt: skip
        return [Route(address, screen) for address, screen in pages.items()]

    def _artefact(self, request: Request, *kinds: look.Kind) -> tuple[Path, look.Found]:
        return look.expected(self.studio.places, request.path_params["at"], *kinds)

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

    def curves(self, request: Request) -> Response:
        """Losses and scores of a training so far, for its drawing; none while there are none."""
        try:
            run = self.studio.places.find(request.path_params["at"])
        except RefusedError as refusal:
            if refusal.status != 404:
                raise
            return JSONResponse({"images": [], "curves": {}})
        return JSONResponse(curves(run))

    def verdicts(self, request: Request) -> Response:
        """Several verdicts side by side."""
        chosen = list(dict.fromkeys(request.query_params.getlist("at")))[:MOST_VERDICTS]
        if not chosen:
            raise RefusedError(404, "verdicts to compare", "none", "choose some on the page of verdicts")
        columns = [_verdict(*look.expected(self.studio.places, at, "verdict")) for at in chosen]
        questions = list(dict.fromkeys(light["question"] for one in columns for light in one.lights))
        rows = [(name, [one.light(name) for one in columns]) for name in questions]
        return self.studio.page(
            request, "verdicts.html", "Verdicts side by side", columns=columns, rows=rows,
            alike=len({one.held_out for one in columns}) == 1,
        )  # fmt: skip

    def evaluation(self, request: Request) -> Response:
        """The lights of a verdict."""
        path, found = self._artefact(request, "verdict")
        one = _verdict(path, found)
        verdict = {"word": one.word, "because": one.because}
        return self.studio.page(request, "evaluation.html", found.name, found=found, lights=one.lights, verdict=verdict)

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
        chance, volume, remarks = (
            look.number(facts, "probability"),
            look.number(facts, "volume_ml"),
            facts.get("remarks"),
        )
        return {
            "at": entry.at,
            "name": look.text(facts, "case"),
            "chance": "" if chance is None else f"{chance:.2f}",
            "said": facts.get("has_tumour") is True,
            "volume": "" if volume is None else f"{volume:.1f} ml",
            "side": look.text(facts, "side"),
            "remarks": [str(one) for one in remarks][:10] if isinstance(remarks, list) else [],
            "files": [f"{entry.at}/{name}" for name in look.files_of(facts)],
            "review": Reviews(self.studio.store).of(self.studio.places.find(entry.at)).verdict,
            "solid": any(name.endswith(VOLUMES) for name in look.files_of(facts)),
        }

    def view(self, request: Request) -> Response:
        """A scan and its mask in three planes and in 3D."""
        at = request.path_params["at"]
        case = self._case(look.Entry(at, "", folder=self.studio.places.find(at).is_dir()))
        if case is None:
            raise RefusedError(404, "findings of a scan", "something else", "choose a scan on the page of findings")
        above = self.studio.places.find(at).parent
        folder = self.studio.places.find(at)
        facts = look.json_of(folder / "findings.json")
        flat = pictures.are_pictures(model_masks(folder, facts))
        threshold = look.inner(facts, "thresholds")
        numbers = (look.number(threshold, name) for name in threshold)
        first = next((value for value in numbers if value is not None), 0.5)
        return self.studio.page(
            request, "view.html", str(case["name"]), case=case, at=at, above=self.studio.places.address(above),
            scan=self._source(above), threshold=first, modalities=MODALITIES,
            shown=bool(case["solid"]) or (flat and whole(self.studio, folder) is not None),
            coarse=origin_of(self.studio, above) is None,
            chances=[names[0].removesuffix(".nii.gz").removesuffix(".png") for names in probabilities(facts)],
            corrected=corrected_of(folder), flat=flat, slices=len(model_masks(folder, facts)) if flat else 0,
            labels=meanings(facts), may=folder.is_relative_to(self.studio.places.workspace),
            masks=[*corrected_of(folder)[::-1], *model_masks(folder, facts)[:1]],
            review=Reviews(self.studio.store).of(folder), overlay=bool(_overlay(facts)),
        )  # fmt: skip

    def overlay(self, request: Request) -> Response:
        """The picture that findings carry: the scan, its mask, and both together."""
        at = request.path_params["at"]
        name = _overlay(look.json_of(self.studio.places.find(at) / "findings.json"))
        if not name:
            raise RefusedError(404, "findings with a picture", "some without", "look at the report")
        return FileResponse(self.studio.places.find(f"{at}/{name}"), media_type="image/png")

    def _source(self, findings: Path) -> str:
        """The address of what was looked at; empty where the studio does not know, or may not see it."""
        job = self.studio.store.last(str(findings))
        try:
            return self.studio.places.address(Path(job.words[1])) if job is not None and job.kind == "detect" else ""
        except RefusedError:
            return ""

    def volume(self, request: Request) -> Response:
        """A scan or its mask as NIfTI: the files themselves, or the small copies that the findings carry."""
        folder = self.studio.places.find(request.path_params["at"])
        what = request.query_params.get("what", "")
        if what.isdigit():
            return self._chance(folder, int(what))
        if what == "hand":
            return self._by_hand(folder)
        if what not in ("scan", "mask"):
            raise RefusedError(404, "scan or mask", "something else", "choose a scan on the page of findings")
        full = whole(self.studio, folder)
        masks = model_masks(folder, look.json_of(folder / "findings.json"))
        if full is not None and masks:
            if what == "scan":
                check_fits(full, folder, masks)
                return FileResponse(full, media_type=BYTES)
            if pictures.are_pictures(masks):
                return Response(
                    pictures.as_nifti(pictures.stack(folder, masks), self.studio.places.own), 200, None, BYTES
                )
            return FileResponse(self.studio.places.find(f"{request.path_params['at']}/{masks[0]}"), media_type=BYTES)
        small = look.text_of_any_length(look.inner(look.json_of(folder / "view.json"), "small"), what)
        try:
            content = base64.b64decode(small, validate=True)
        except (binascii.Error, ValueError):
            content = b""
        if not content:
            raise RefusedError(404, "a volume to show", "findings without one", "look at the page of the findings")
        return Response(content, media_type=BYTES)

    def _by_hand(self, folder: Path) -> Response:
        """The newest mask that a person made, from which the brush goes on."""
        made = corrected_of(folder)
        if not made:
            raise RefusedError(404, "a mask that a person made", "none yet", "correct one")
        masks = model_masks(folder, look.json_of(folder / "findings.json"))
        if pictures.are_pictures(masks):
            drawn = pictures.stack(folder, pictures.same_set(masks, made[-1]))
            return Response(pictures.as_nifti(drawn, self.studio.places.own), media_type=BYTES)
        path = self.studio.places.find(f"{self.studio.places.address(folder)}/{made[-1]}")
        return FileResponse(path, media_type=BYTES)

    def _chance(self, folder: Path, number: int) -> Response:
        """The probability of one target, on the grid of the scan."""
        targets = probabilities(look.json_of(folder / "findings.json"))
        if not 0 <= number < len(targets):
            raise RefusedError(404, "a probability of the findings", "none of that number", "look at the scan again")
        names = targets[number]
        if names[0].endswith(".png"):
            chance = chance_of(self.studio, folder, names)
            return Response(pictures.as_nifti(chance, self.studio.places.own), media_type=BYTES)
        path = self.studio.places.find(f"{self.studio.places.address(folder)}/{names[0]}")
        return FileResponse(path, media_type=BYTES)

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
        if path.name == KEY and (path.parent / SET).is_file():
            raise RefusedError(
                403, "a file that readers may see", "the key of a blinded set", "take it from its folder"
            )
        return FileResponse(path, media_type=BYTES, filename=path.name)

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


def newest_sheet(run: Path) -> Path | None:
    """The newest sheet of samples of a run, else the drawing of its progress."""
    sheets = sorted((run / "samples").glob("*.png"), key=lambda path: path.stat().st_mtime)
    progress = run / "progress.png"
    return sheets[-1] if sheets else progress if progress.is_file() else None


def _overlay(facts: look.Facts) -> str:
    """Name of the picture of a finding; empty where there is none."""
    names, known = look.inner(facts, "files").get("overlay"), set(look.files_of(facts))
    listed = [str(name) for name in names] if isinstance(names, list) else []
    return next((name for name in listed if name in known and name.endswith(".png")), "")
