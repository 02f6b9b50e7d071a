"""What is answered: HTTP with JSON, described by OpenAPI at ``/openapi.json``."""

from __future__ import annotations

import csv
import hmac
import shutil
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from fastapi import Body, Depends, FastAPI, HTTPException, Request, params
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from synthoma._version import __version__
from synthoma.core.errors import ConfigError, SynthomaError
from synthoma.core.untrusted import content_of_cell
from synthoma.detection.outputs import NOT_CLINICAL
from synthoma.detection.settings import DetectConfig
from synthoma.service.jobs import FOUND, Job, Jobs
from synthoma.service.settings import ServeConfig
from synthoma.studio.limits import Limits
from synthoma.studio.places import Places
from synthoma.studio.refusal import RefusedError
from synthoma.studio.uploads import take

_GIB = 2**30
_BEARER = HTTPBearer(auto_error=False)
_FORMS = {"multipart/form-data"}


class Named(BaseModel):
    """A request for scans that lie in the service's folder."""

    path: str = Field(description="below the folder that the service was started with")
    threshold: float | None = Field(None, gt=0, lt=1, description="probability from which a pixel counts as tumour")
    probabilities: bool = Field(False, description="write the probability of each pixel too")


class Answer(BaseModel):
    """How a request stands.

    Attributes:
        scans: what was found, a row a scan, once it was.
        files: names of all files that can be fetched.
    """

    job: str
    state: str
    why: str = ""
    seconds: float | None = Field(None, description="from the request to its end")
    scans: list[dict[str, str]] = []
    files: list[str] = []
    not_for_clinical_use: str = NOT_CLINICAL


class Metrics:
    """What a monitoring system is told."""

    def __init__(self, jobs: Jobs) -> None:
        self.registry = CollectorRegistry()
        self.ended = Counter("synthoma_requests_total", "Requests that ended", ["state"], registry=self.registry)
        self.seconds = Histogram(
            "synthoma_look_seconds", "Seconds of looking at one request", registry=self.registry,
            buckets=(0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600),
        )  # fmt: skip
        for state in ("waiting", "looking"):
            gauge = Gauge(f"synthoma_requests_{state}", f"Requests that are {state}", registry=self.registry)
            gauge.set_function(lambda state=state: jobs.counts()[state])  # type: ignore[misc]


def application(jobs: Jobs, places: Places, options: ServeConfig, token: str, metrics: Metrics) -> FastAPI:
    """The service.

    Args:
        jobs: where requests go.
        places: where uploads go, and which folder may be named.
        options: limits.
        token: that every request but that for health must bring.
        metrics: what is told of it.
    """
    app = FastAPI(
        title="Synthoma", version=__version__, description=f"Tumours found and outlined in brain MRI. {NOT_CLINICAL}",
        docs_url=None, redoc_url=None,  # their pages load scripts from elsewhere
    )  # fmt: skip

    def known(given: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]) -> None:
        # In a time that does not tell how much of a wrong token was right.
        if given is None or not hmac.compare_digest(given.credentials.encode(), token.encode()):
            raise HTTPException(401, "expected the service's bearer token", {"WWW-Authenticate": "Bearer"})

    inside = [Depends(known)]

    @app.exception_handler(RefusedError)
    async def refused(_: Request, error: RefusedError) -> Response:
        return JSONResponse({"detail": str(error)}, error.status)

    @app.get("/health")
    def health() -> dict[str, str]:
        """Whether the service answers; nothing else is told, and no token is asked for."""
        return {"status": "ok", "version": __version__}

    @app.get("/metrics", dependencies=inside, response_class=PlainTextResponse)
    def told() -> Response:
        """Counts and times for Prometheus."""
        return PlainTextResponse(generate_latest(metrics.registry))

    _add_requests(app, inside, jobs, places, options)
    _add_answers(app, inside, jobs)
    return app


def _add_requests(app: FastAPI, inside: list[params.Depends], jobs: Jobs, places: Places, options: ServeConfig) -> None:
    """The addresses at which scans are asked about."""
    limits = Limits(upload_bytes=int(options.upload_gib * _GIB))

    @app.post("/detect", status_code=202, dependencies=inside)
    async def detect(request: Request, named: Annotated[Named | None, Body()] = None) -> Answer:
        """Look at scans: JSON with a path, or a form (multipart) with files and, as fields, the same options."""
        if jobs.full():
            raise HTTPException(429, f"expected at most {options.waiting} waiting requests; try again later")
        if named is not None:
            return _answer(jobs, jobs.add(_inside(places, named.path), _options(named.model_dump()), sent=False))
        raise HTTPException(415, "expected JSON with a path; send files to /detect/files")

    @app.post("/detect/files", status_code=202, dependencies=inside)
    async def send(request: Request) -> Answer:
        """Look at files that are sent: a form (multipart) with one or more of them; ZIP files are unpacked."""
        if jobs.full():
            raise HTTPException(429, f"expected at most {options.waiting} waiting requests; try again later")
        _check_form(request, limits)
        async with request.form(max_files=limits.files, max_fields=20, max_part_size=limits.form_bytes) as form:
            files = [value for _, value in form.multi_items() if not isinstance(value, str)]
            fields = {name: value for name, value in form.items() if isinstance(value, str)}
            asked = _options(fields)
            scans = await run_in_threadpool(take, places, limits, files)
        return _answer(jobs, jobs.add(scans, asked, sent=True))


def _check_form(request: Request, limits: Limits) -> None:
    """Refuse what is no form, or too long, before any of it is read."""
    length = request.headers.get("content-length", "")
    if not length.isdigit() or int(length) > limits.upload_bytes:
        raise HTTPException(413, f"expected a length of at most {limits.upload_bytes:,} bytes")
    if request.headers.get("content-type", "").partition(";")[0].strip() not in _FORMS:
        raise HTTPException(415, "expected a form: multipart/form-data")


def _add_answers(app: FastAPI, inside: list[params.Depends], jobs: Jobs) -> None:
    """The addresses at which a request is followed, and its files are fetched or removed."""

    @app.get("/jobs/{number}", dependencies=inside)
    def state(number: str) -> Answer:
        """How a request stands, and what was found."""
        return _answer(jobs, _job(jobs, number))

    @app.get("/jobs/{number}/files/{name:path}", dependencies=inside)
    def file(number: str, name: str) -> Response:
        """A file of what was found: a mask, a DICOM SEG, findings.json, report.html."""
        job = _job(jobs, number)
        if name not in _files(jobs, job):
            raise HTTPException(404, "expected the name of a file, see `files` of the job")
        return FileResponse(jobs.place(job) / FOUND / name, headers={"x-content-type-options": "nosniff"})

    @app.delete("/jobs/{number}", status_code=204, dependencies=inside)
    def forget(number: str) -> None:
        """Remove a request and what was found."""
        jobs.remove(_job(jobs, number))


def _job(jobs: Jobs, number: str) -> Job:
    job = jobs.get(number)
    if job is None:
        raise HTTPException(404, "expected the number of a request; it may have been removed")
    return job


def _answer(jobs: Jobs, job: Job) -> Answer:
    rows: list[dict[str, str]] = []
    table = jobs.place(job) / FOUND / "index.csv"
    if job.state == "found" and table.is_file():
        with table.open(encoding="utf-8", newline="") as stream:
            rows = [{name: content_of_cell(value) for name, value in row.items()} for row in csv.DictReader(stream)]
    seconds = None if job.ended is None else round(job.ended - job.made, 3)
    return Answer(job=job.number, state=job.state, why=job.why, seconds=seconds, scans=rows, files=_files(jobs, job))


def _files(jobs: Jobs, job: Job) -> list[str]:
    """Names of what was found, in folders with slashes."""
    folder = jobs.place(job) / FOUND
    if job.state != "found":
        return []
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def _inside(places: Places, path: str) -> Path:
    """A path below the folder of the service."""
    if "0" not in places.roots:
        raise HTTPException(403, "expected files; the service was started without a folder (--folder)")
    return places.find(f"0/{PurePosixPath(path).as_posix()}")


def _options(given: dict[str, Any]) -> DetectConfig:
    """Options of a request; those of a form are texts."""
    wanted = {name: value for name, value in given.items() if name in ("threshold", "probabilities", "dicom_sr")}
    unknown = set(given) - set(wanted) - {"path"}
    if unknown:
        raise HTTPException(
            422, f"expected threshold, probabilities or dicom_sr; came {', '.join(sorted(unknown))}"[:200]
        )
    try:
        return DetectConfig.resolve(flags={"jobs": 1, **wanted})
    except (ConfigError, SynthomaError) as error:
        raise HTTPException(422, str(error)[:500]) from None


def cleared(folder: Path) -> None:
    """Remove uploads that no request names: the service was killed while they came."""
    for place in folder.glob("upload-*"):
        shutil.rmtree(place, ignore_errors=True)
