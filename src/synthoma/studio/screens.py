"""The screens: what each shows, and what its forms do."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from synthoma.studio import look, uploads
from synthoma.studio.options import FILES, FIRST_LOOK, LOBES, MODALITIES, MODELS, PRESETS, SIDES, SLICES, Form
from synthoma.studio.orders import Desk, Order
from synthoma.studio.queue import amount
from synthoma.studio.refusal import RefusedError
from synthoma.studio.store import Job
from synthoma.studio.studio import Screen, Studio, see, texts

__all__ = ["Screen", "Screens"]

"""The file of a run that holds its model."""

Ordered = Callable[[Desk, Form], Order]

ORDERS: dict[str, Ordered] = {
    "prepare": Desk.prepare, "simulate": Desk.simulate, "train": Desk.train, "generate": Desk.generate,
    "evaluate": Desk.evaluate, "detect": Desk.detect, "export": Desk.export, "turing": Desk.turing,
}  # fmt: skip
"""What each form orders, by its address."""


class Screens:
    """Pages around forms and jobs.

    Args:
        studio: what they show.
    """

    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    def routes(self) -> list[Route]:
        """Which address shows what."""
        change = self.studio.change
        pages: dict[str, Screen] = {
            "/": self.home, "/drop": self.drop, "/train": self.train,
            "/synthetic": self.synthetic, "/verdict": self.verdict, "/detect": self.detect, "/jobs": self.jobs,
            "/job/{id}": self.job, "/job/{id}/state": self.state,
        }  # fmt: skip
        return [
            *(Route(address, screen) for address, screen in pages.items()),
            Route("/upload", change(self.upload), methods=["POST"]),
            Route("/detect/upload", change(self.detect_upload), methods=["POST"]),
            Route("/look", change(self.look), methods=["POST"]),
            Route("/order/{name}", change(self.order), methods=["POST"]),
            Route("/job/{id}/cancel", change(self.cancel), methods=["POST"]),
            Route("/job/{id}/again", change(self.again), methods=["POST"]),
        ]

    def _found(self, *kinds: look.Kind) -> list[look.Found]:
        return [one for one in look.artefacts(self.studio.places) if not kinds or one.kind in kinds]

    # Pages ------------------------------------------------------------------------------------------------------------

    def home(self, request: Request) -> Response:
        """What lies in the workspace, and how to begin."""
        jobs = self.studio.store.jobs("queued", "running", "stopped", most=5)
        return self.studio.page(request, "home.html", "Studio", found=self._found(), jobs=jobs)

    def drop(self, request: Request) -> Response:
        """Scans: sent, chosen, or simulated."""
        places = self.studio.places
        at = request.query_params.get("at", "")
        folders = [look.Entry(word, root.name, folder=True) for word, root in places.roots.items() if word != "w"]
        return self.studio.page(
            request, "drop.html", "Scans", uploads=look.uploads(places), folders=folders, at=at,
            where=look.title(places, at),
            entries=look.listing(places, at) if at else [], limits=self.studio.limits,
            sizes={"modalities": MODALITIES, "slices": SLICES},
        )  # fmt: skip

    def train(self, request: Request) -> Response:
        """A model is trained on a cohort."""
        chosen = request.query_params.get("at", "")
        return self.studio.page(
            request, "train.html", "Train", cohorts=self._found("cohort", "synthetic"), models=MODELS, chosen=chosen,
            runs=self._found("generator", "segmenter", "classifier", "unfinished run"),
            also=request.query_params.get("also", ""),
        )  # fmt: skip

    def synthetic(self, request: Request) -> Response:
        """A synthetic cohort is drawn."""
        generators = self._found("generator")
        asked = request.query_params.get("at", "")
        chosen = next((one for one in generators if one.at == asked), generators[0] if generators else None)
        facts = look.model_facts(self.studio.places.find(chosen.at) / look.MODEL) if chosen is not None else {}
        return self.studio.page(
            request, "synthetic.html", "Synthetic", chosen=chosen, generators=generators, can=_can(facts),
            cohorts=self._found("synthetic"), real=self._found("cohort"), lobes=LOBES, sides=SIDES, files=FILES,
            first=FIRST_LOOK,
        )  # fmt: skip

    def verdict(self, request: Request) -> Response:
        """A synthetic cohort is judged."""
        return self.studio.page(
            request, "verdict.html", "Verdict", cohorts=self._found("cohort"), synthetic=self._found("synthetic"),
            presets=PRESETS, verdicts=self._found("verdict"), chosen=request.query_params.get("at", ""),
        )  # fmt: skip

    def detect(self, request: Request) -> Response:
        """Tumours are looked for in scans."""
        places, at = self.studio.places, request.query_params.get("at", "")
        folders = [look.Entry(word, root.name, folder=True) for word, root in places.roots.items() if word != "w"]
        return self.studio.page(
            request, "detect.html", "Detect", uploads=look.uploads(places), folders=folders, at=at,
            where=look.title(places, at),
            entries=look.listing(places, at) if at and places.find(at).is_dir() else [],
            models=self._found("segmenter"), found=self._found("findings"), modalities=MODALITIES,
            model=request.query_params.get("model", ""), limits=self.studio.limits,
        )  # fmt: skip

    # Jobs -------------------------------------------------------------------------------------------------------------

    def jobs(self, request: Request) -> Response:
        """All jobs."""
        return self.studio.page(request, "jobs.html", "Jobs", jobs=self.studio.store.jobs())

    def job(self, request: Request) -> Response:
        """One job: how far it is, what it said, and the command for it."""
        job = self._job(request)
        said = self.studio.queue.result(job).get("said", [])
        return self.studio.page(
            request, "job.html", job.title, job=job, log=self.studio.queue.log(job), result=self._screen(job),
            command=shlex.join(["synthoma", *job.words]), said=said if isinstance(said, list) else [],
            place=job.output if job.kind != "look" else "",
            sheet=self.studio.places.address(Path(job.output)) if job.kind == "train" else "",
        )  # fmt: skip

    def state(self, request: Request) -> Response:
        """How far a job is, for the page that shows it."""
        job = self._job(request)
        facts = {
            "state": job.state, "phase": job.phase, "share": job.share, "amount": amount(job),
            "left": job.seconds_left, "over": job.over,
        }  # fmt: skip
        return JSONResponse(facts)

    def _job(self, request: Request) -> Job:
        job = self.studio.store.job(request.path_params["id"])
        if job is None:
            raise RefusedError(404, "a job of this studio", "none of that name", "see the list of jobs")
        return job

    def _output_address(self, job: Job) -> str:
        """The address of what a job writes; empty while nothing is there."""
        try:
            path = Path(job.output)
            return self.studio.places.address(path) if job.output and path.exists() else ""
        except RefusedError:
            return ""

    def _screen(self, job: Job) -> str:
        """The address of the screen that shows what a job made; empty where there is none yet."""
        at = self._output_address(job)
        if not at or job.state != "done":
            return ""
        if job.kind == "look":
            return f"/scans/{at}"
        found = look.artefact(self.studio.places, self.studio.places.find(at))
        return found.screen if found is not None else ""

    # Changes ----------------------------------------------------------------------------------------------------------

    def _taken(self, form: FormData) -> str:
        """The address of what was sent with a form."""
        sent = [one for one in form.getlist("files") if isinstance(one, UploadFile)]
        folder = uploads.take(self.studio.places, self.studio.limits, sent)
        return self.studio.places.address(folder)

    def upload(self, request: Request, form: FormData) -> Response:
        """Take files in, and look at them."""
        at = self._taken(form)
        self.studio.order(self.studio.desk().look(at))
        return see(f"/scans/{at}")

    def detect_upload(self, request: Request, form: FormData) -> Response:
        """Take a scan in, and look for tumours in it."""
        at = self._taken(form)
        return self._ordered(Desk.detect, {**texts(form), "at": at})

    def look(self, request: Request, form: FormData) -> Response:
        """Look at scans that were chosen."""
        order = self.studio.desk().look(texts(form).get("at", ""))
        self.studio.order(order)
        return see(f"/scans/{texts(form)['at']}")

    def order(self, request: Request, form: FormData) -> Response:
        """Put what a form asks for into the queue."""
        ordered = ORDERS.get(request.path_params["name"])
        if ordered is None:
            raise RefusedError(404, "a command of the studio", "another one", "use the forms")
        return self._ordered(ordered, texts(form))

    def _ordered(self, ordered: Ordered, form: Form) -> Response:
        return see(f"/job/{self.studio.order(ordered(self.studio.desk(), form)).id}")

    def cancel(self, request: Request, form: FormData) -> Response:
        """End a job."""
        job = self._job(request)
        if not job.over:
            self.studio.queue.cancel(job)
        return see(f"/job/{job.id}")

    def again(self, request: Request, form: FormData) -> Response:
        """Let a job go on."""
        job = self._job(request)
        self.studio.queue.go_on(job)
        return see(f"/job/{job.id}")


def _can(facts: look.Facts) -> dict[str, object]:
    """What a generator offers: which classes it can choose, whether it simulates tumours, whether a judge stands by.

    Args:
        facts: what its model file says.
    """
    network, shape = look.inner(facts, "network"), look.inner(facts, "shape")
    repaints, classes = network.get("network") == "repaint", facts.get("classes")
    names = [str(name) for name in classes] if isinstance(classes, list) else []
    return {
        "classes": names if shape.get("classes") or repaints else [],
        "tumours": repaints,
        "judge": bool(facts.get("realness")),
    }
