"""Learning from corrections: masks are accepted or rejected, and those that are right become a cohort."""

from __future__ import annotations

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from synthoma.studio import look
from synthoma.studio.gathered import convention_of, gather, reviewed
from synthoma.studio.options import MODALITIES, SLICES
from synthoma.studio.refusal import RefusedError
from synthoma.studio.reviews import BY_HAND, Reviews, Verdict, corrected_of, model_masks
from synthoma.studio.studio import Studio, see, texts

CASES = "cases-corrected"
"""What a folder of gathered cases is called."""


class Teaching:
    """The screens around reviews.

    Args:
        studio: where findings lie.
    """

    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    def routes(self) -> list[Route]:
        """Which address does what."""
        return [
            Route("/teach", self.show),
            Route("/teach", self.studio.change(self.teach), methods=["POST"]),
            Route("/review/{at:path}", self.studio.change(self.review), methods=["POST"]),
        ]

    def review(self, request: Request, form: FormData) -> Response:
        """Write down whether a mask is right."""
        at, given = request.path_params["at"], texts(form)
        folder = self.studio.places.find(at)
        if not folder.is_relative_to(self.studio.places.workspace):
            raise RefusedError(403, "findings in the workspace", "some that are only read", "look at the scan here")
        masks = model_masks(folder, look.json_of(folder / "findings.json"))
        if not masks:
            raise RefusedError(404, "findings of a scan, with a mask", "something else", "choose a scan")
        mask, said = given.get("mask", masks[0]), given.get("verdict", "")
        if mask not in (masks[0], *corrected_of(folder)):
            raise RefusedError(422, "a mask of these findings", "another one", "choose it in the form")
        if said not in ("accepted", "rejected"):
            raise RefusedError(422, "accepted or rejected", "something else", "use the buttons")
        verdict: Verdict = "rejected" if said == "rejected" else "corrected" if BY_HAND in mask else "accepted"
        Reviews(self.studio.store).say(folder, verdict, mask)
        return see(f"/view/{look.quoted(at)}")

    def show(self, request: Request) -> Response:
        """What was accepted, corrected and rejected so far, and how it becomes a cohort."""
        found, scans = reviewed(self.studio), set[tuple[str, str]]()
        rows = []
        for one in found:
            first = (one.scan, one.name) not in scans
            scans.add((one.scan, one.name))
            rows.append({"one": one, "chosen": one.review.taught and bool(one.scan) and first})
        return self.studio.page(
            request, "teach.html", "Learn from corrections", rows=rows,
            sizes={"modalities": MODALITIES, "slices": SLICES}, kinds=len({tuple(one.labels.items()) for one in found}),
        )  # fmt: skip

    def teach(self, request: Request, form: FormData) -> Response:
        """Gather what was chosen into a folder, and order a cohort of it."""
        given, wanted = texts(form), {str(one) for one in form.getlist("finding")}
        chosen = [one for one in reviewed(self.studio) if one.at in wanted]
        if missing := wanted - {one.at for one in chosen}:
            raise RefusedError(404, "findings that somebody reviewed", f"{len(missing)} others", "reload the page")
        merge = bool(given.get("merge"))
        convention = convention_of(chosen, merge=merge) if chosen else ""
        desk = self.studio.desk()
        with self.studio.writing:
            folder = self.studio.places.new(CASES, self.studio.store.taken())
            order = desk.teach(given, folder, convention)  # what is wrong with the form is said before anything is made
            gather(self.studio, chosen, folder, merge=merge)
        return see(f"/job/{self.studio.order(order).id}")
