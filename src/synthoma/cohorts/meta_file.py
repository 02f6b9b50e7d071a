"""What a cohort says of itself, read from ``cohort.json`` and checked."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from pydantic import JsonValue

from synthoma.cohorts.meta import SCHEMA, CohortMeta
from synthoma.core.artefacts import check_schema, read_json
from synthoma.core.errors import CohortError, InputError
from synthoma.core.types import CAVITY, Origin, Plane
from synthoma.core.untrusted import check_names, check_texts

OPTIONAL: dict[str, JsonValue] = {
    "layout": "by hand", "plane": "axial", "patients": 0, "groups": 0, "cases": 0, "remarks": []
}  # fmt: skip
"""What cohort.json says where it says nothing."""


def read_meta(path: Path) -> CohortMeta:
    """The content of a cohort's ``cohort.json``.

    Args:
        path: folder of the cohort.

    Raises:
        CohortError: no cohort, or entries that are missing, of another kind, or make no sense together.
    """
    file = path / "cohort.json"
    if str(path).startswith("phantom:/"):
        todo = (
            "give it to `synthoma train --model unet-25d`, or make a cohort of it with `synthoma prepare --phantom N`"
        )
        raise CohortError("a cohort in a folder", f"{path}, a stream of simulated patients", todo)
    if not file.is_file():
        todo = "make one with `synthoma prepare FOLDER -o COHORT`"
        raise CohortError("a cohort (a folder with cohort.json)", str(path), todo)
    try:
        meta = read_json(file)
        check_schema(meta, SCHEMA, file)
    except InputError as error:
        raise CohortError(error.expected, error.came, error.todo) from None
    absent = [key for key in ("slices", "origin", "modalities", "labels", "classes", "size") if key not in meta]
    if absent:
        raise CohortError("a complete cohort.json", f"no {', '.join(absent)} in {file}", "prepare the cohort again")
    check_names(meta["modalities"], "modalities", str(file), CohortError)
    check_texts(meta["classes"], "classes", str(file), CohortError)
    if not isinstance(meta["labels"], dict):
        raise CohortError("labels by mask value", f"{type(meta['labels']).__name__} in {file}", "prepare it again")
    check_texts(list(meta["labels"].values()), "labels", str(file), CohortError)
    for value, name in CAVITY.items():
        came = meta["labels"].get(str(value), name)
        if came != name:
            todo = "number the labels as 1 core, 2 oedema, 3 enhancing, or 1 tumour"
            raise CohortError(f"a mask value {value} that means {name}", f"{came!r} in {file}", todo)
    whole = {**OPTIONAL, **meta}
    for key, kind in _KINDS.items():
        if key in whole and (not isinstance(whole[key], kind) or isinstance(whole[key], bool)):
            came = f"{type(whole[key]).__name__} in {file}"
            raise CohortError(f"{key} as {kind.__name__} in cohort.json", came, "prepare the cohort again")
    if whole["origin"] not in get_args(Origin) or whole["plane"] not in get_args(Plane):
        came = f"origin {str(whole['origin'])[:40]!r}, plane {str(whole['plane'])[:40]!r} in {file}"
        raise CohortError("an origin and a plane that exist", came, "prepare the cohort again")
    if not all(name.isdecimal() and 0 < int(name[:4]) < 256 for name in whole["labels"]):
        raise CohortError("labels by mask value, 1 to 255", f"others in {file}", "prepare the cohort again")
    try:
        return CohortMeta.parse(meta, file)
    except InputError as error:
        raise CohortError(error.expected, error.came, error.todo) from None


_KINDS = {
    "slices": int, "size": int, "origin": str, "modalities": list, "labels": dict, "classes": list, "layout": str,
    "plane": str, "patients": int, "groups": int, "cases": int, "remarks": list, "provenance": dict,
}  # fmt: skip
"""What entries of cohort.json are."""
