"""The wall of a cohort: its slices as thumbnails, what is odd among them, and what a person does about it."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import urlencode

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from synthoma.cohorts.changed import Act, Change, Changed, changed, write_changed
from synthoma.cohorts.splits import SPLITS
from synthoma.exports.names import ABOUT
from synthoma.studio import look
from synthoma.studio.edits import Edit, Edits
from synthoma.studio.refusal import RefusedError
from synthoma.studio.studio import Screen, Studio, number_in, see, texts

if TYPE_CHECKING:
    from synthoma.cohorts.cohort import Cohort
    from synthoma.core.types import Ints

A_PAGE = 60
"""Thumbnails."""
_TILE = 128
"""Least side of a thumbnail in pixels."""

MARKS = {"": "all", "odd": "suspicious", "twins": "duplicates", "changed": "changed by hand"}
"""Which slices are shown, beside class and split."""

ACTS: dict[str, Act] = {
    "out": "leave out", "group": "leave out group", "back": "take back", "class": "class", "split": "split",
}  # fmt: skip
"""What the buttons do."""

FORMS = {name: about.what for name, about in ABOUT.items() if name not in ("onnx", "monai-bundle")}
"""Forms of other tools that a cohort can be written in."""


class Wall:
    """Pages around the slices of cohorts.

    Args:
        studio: what they show.
    """

    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    def routes(self) -> list[Route]:
        """Which address shows what."""
        pages: dict[str, Screen] = {
            "/cohort": self.cohorts, "/cohort/{at:path}": self.cohort, "/thumb/{at:path}": self.thumb,
        }  # fmt: skip
        return [
            *(Route(address, screen) for address, screen in pages.items()),
            Route("/change/{at:path}", self.studio.change(self.change), methods=["POST"]),
            Route("/save/{at:path}", self.studio.change(self.save), methods=["POST"]),
        ]

    def cohorts(self, request: Request) -> Response:
        """The cohorts that are there."""
        found = [one for one in look.artefacts(self.studio.places) if one.kind in ("cohort", "synthetic")]
        return self.studio.page(request, "cohorts.html", "Cohorts", found=found)

    def cohort(self, request: Request) -> Response:
        """A wall of thumbnails."""
        path, found = self._cohort(request)
        cohort = opened(path)
        asked = {name: request.query_params.get(name, "") for name in ("label", "split", "modality", "mark", "beside")}
        edits = Edits(self.studio.store, path).all()
        done = changed(cohort, [one.change for one in edits])
        rows = _chosen(cohort, asked, done)
        pages = max(1, -(-len(rows) // A_PAGE))
        number = min(max(number_in(request.query_params.get("page", "1")), 1), pages)
        shown = rows[(number - 1) * A_PAGE : number * A_PAGE]
        table = cohort.slices
        real = [one for one in look.artefacts(self.studio.places) if one.kind == "cohort" and one.at != found.at]
        near = self._nearest(path, asked["beside"], tuple(shown.tolist())) if asked["beside"] else {}
        return self.studio.page(
            request, "cohort.html", found.name, found=found, tiles=_tiles(cohort, shown, done, near), number=number,
            pages=pages, count=len(rows), asked=asked, query=urlencode(asked), modalities=cohort.modalities,
            labels=_counts(table["label"]), splits=_counts(table["split"]), marks=MARKS, sides=SPLITS, forms=FORMS,
            edits=_words(edits), out=len(done.out), last=edits[-1].number if edits else 0, real=real,
        )  # fmt: skip

    def thumb(self, request: Request) -> Response:
        """A slice as a picture, with the outline of its mask."""
        path, _ = self._cohort(request)
        cohort, row = opened(path), number_in(request.query_params.get("row", ""))
        if not 0 <= row < len(cohort):
            raise RefusedError(404, "a slice of the cohort", "a number of none", "choose one on its page")
        name = request.query_params.get("modality") or cohort.modalities[0]
        if name not in cohort.modalities:
            raise RefusedError(404, "a sequence of the cohort", "another one", "choose one on its page")
        return Response(thumbnail(cohort, row, cohort.modalities.index(name)), media_type="image/png")

    def _cohort(self, request: Request) -> tuple[Path, look.Found]:
        return look.expected(self.studio.places, request.path_params["at"], "cohort", "synthetic")

    def _nearest(self, drawn: Path, beside: str, rows: tuple[int, ...]) -> dict[int, tuple[int, float, str]]:
        """Row of a shown slice -> the most alike training slice of another cohort, how alike, and by which sequence."""
        path, _ = look.expected(self.studio.places, beside, "cohort")
        one, other = opened(drawn), opened(path)
        if one.size != other.size or not set(one.modalities) & set(other.modalities):
            came = f"one of {other.size} px with {', '.join(other.modalities)}"
            raise RefusedError(422, f"a cohort of {one.size} px with the same sequences", came, "choose another one")
        return _nearest_rows(one, other, rows)

    # Changes ----------------------------------------------------------------------------------------------------------

    def change(self, request: Request, form: FormData) -> Response:
        """Leave out, take back, correct a class, move a patient; or take back the last of these."""
        path, found = self._cohort(request)
        edits, words = Edits(self.studio.store, path), texts(form)
        if words.get("do") == "undo":
            if not edits.undo(number_in(words.get("last", ""))):
                raise RefusedError(409, "the last change", "one that is no longer the last", "reload the page")
        else:
            act = ACTS.get(words.get("do", ""))
            if act is None:
                raise RefusedError(422, f"one of {', '.join(ACTS)}", "something else", "use the buttons of the page")
            rows = tuple(number_in(str(row)) for row in form.getlist("row"))
            value = words.get("new", "").strip() or words.get("class", "") if act == "class" else words.get("to", "")
            change = Change(act, rows, value if act in ("class", "split") else "")
            changed(opened(path), [change])  # what cannot be done is refused before it is written down
            edits.add(change)
        return see(f"/cohort/{look.quoted(found.at)}?{words.get('query', '')[:2000]}#wall")

    def save(self, request: Request, form: FormData) -> Response:
        """Write what comes of the changes as a new cohort; the one that was changed stays as it is."""
        from synthoma.core.outputs import new_folder
        from synthoma.core.whole_files import write_text
        from synthoma.reports.cohort_page import cohort_page

        path, _ = self._cohort(request)
        edits = Edits(self.studio.store, path)
        made = edits.all()
        if not made:
            raise RefusedError(409, "changes to save", "none", "change something first")
        name = texts(form).get("name", "").strip() or f"{path.name}-changed"
        with self.studio.writing:  # two people who save at once get two places
            target = self.studio.places.new(name, self.studio.store.taken())
            with new_folder(target, inputs=(path,)) as partial:
                write_changed(opened(path), partial, [one.change for one in made])
                write_text(partial / "report.html", cohort_page(opened_anew(partial), target.name))
        edits.clear(made[-1].number)
        return see(f"/cohort/{look.quoted(self.studio.places.address(target))}")


def opened(path: Path) -> Cohort:
    """A cohort, opened once for each of its states."""
    return _opened(path, (path / "cohort.json").stat().st_mtime_ns)


def opened_anew(path: Path) -> Cohort:
    """A cohort that is being written."""
    from synthoma.cohorts.cohort import Cohort

    return Cohort(path)


@lru_cache(maxsize=8)
def _opened(path: Path, _written: int) -> Cohort:
    return opened_anew(path)


def _chosen(cohort: Cohort, asked: dict[str, str], done: Changed) -> Ints:
    """Rows that are asked for; duplicates lie side by side."""
    import numpy as np

    rows, table = cohort.rows(split=asked["split"] or None, label=asked["label"] or None), cohort.slices
    if asked["mark"] == "changed":
        return np.array([row for row in rows.tolist() if row in done], dtype=np.int64)
    column = {"odd": "look_at", "twins": "twin"}.get(asked["mark"])
    if column is None:
        return rows
    texts_of = table[column].tolist() if column in table else [""] * len(table)
    marked = [row for row in rows.tolist() if texts_of[row]]
    return np.array(
        sorted(marked, key=lambda row: (texts_of[row], row)) if column == "twin" else marked, dtype=np.int64
    )


def _tiles(
    cohort: Cohort, rows: Ints, done: Changed, near: dict[int, tuple[int, float, str]]
) -> list[dict[str, object]]:
    """What is said of each shown slice."""
    table = cohort.slices.iloc[rows]
    odd = table["look_at"].tolist() if "look_at" in table else [""] * len(table)
    columns = (rows.tolist(), table["label"].tolist(), table["split"].tolist(), table["group"].tolist(), odd)
    return [
        {
            "row": row,
            "label": done.labels.get(row, label),
            "split": done.splits.get(row, split),
            "group": group,
            "odd": mark,
            "out": row in done.out,
            "changed": row in done.labels or row in done.splits,
            "near": near.get(row),
        }
        for row, label, split, group, mark in zip(*columns, strict=True)
    ]


def _words(edits: list[Edit]) -> list[str]:
    """Each change in words, the newest first."""
    said = []
    for one in reversed(edits):
        change, count = one.change, len(one.change.rows)
        of = f"{count} slice{'s' * (count != 1)}"
        said.append(
            {
                "leave out": f"{of} left out", "leave out group": f"all of the patients of {of} left out",
                "take back": f"{of} taken back", "class": f"{of}: class {change.value}",
                "split": f"the patients of {of} moved to {change.value}",
            }[change.act]
        )  # fmt: skip
    return said


@lru_cache(maxsize=32)
def _nearest_rows(one: Cohort, other: Cohort, rows: tuple[int, ...]) -> dict[int, tuple[int, float, str]]:
    """Of each row, the most alike training slice of another cohort, of the same class where it has that class."""
    import numpy as np

    from synthoma.metrics.copies.whole import nearest_images

    name = next(name for name in one.modalities if name in other.modalities)
    ours, theirs = one.modalities.index(name), other.modalities.index(name)
    labels = one.slices["label"].tolist()
    found: dict[int, tuple[int, float, str]] = {}
    for label in sorted({labels[row] for row in rows}):
        mine = np.array([row for row in rows if labels[row] == label])
        scans = other.rows(split="train", label=label)
        scans = scans if len(scans) else other.rows(split="train")
        if not len(scans):
            continue
        queries, among = (
            np.clip(cohort.images[chosen][:, channel].astype(np.float32), 0, 1)
            for cohort, chosen, channel in ((one, mine, ours), (other, scans, theirs))
        )
        near = nearest_images(queries, among)
        for row, index, score in zip(mine.tolist(), near.index.tolist(), near.score.tolist(), strict=True):
            found[row] = (int(scans[index]), round(float(score), 2), name)
    return found


def thumbnail(cohort: Cohort, row: int, channel: int) -> bytes:
    """A slice as the bytes of a PNG, with the outline of its mask."""
    import numpy as np

    from synthoma.core.pictures import grey, outlined, png

    times = max(1, -(-_TILE // cohort.size))
    larger = np.ones((times, times), np.uint8)
    image = grey(np.asarray(cohort.images[row, channel], np.float32))
    return png(outlined(np.kron(image, larger), np.kron(np.asarray(cohort.masks[row]), larger)))


def _counts(column: object) -> dict[str, int]:
    from collections import Counter

    return dict(sorted(Counter(map(str, cast("list[object]", column))).items()))
