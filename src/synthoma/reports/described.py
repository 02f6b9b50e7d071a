"""What an artefact is, as plain data: for `synthoma info`."""

from __future__ import annotations

import csv
import tomllib
from collections import Counter
from pathlib import Path

from synthoma.cohorts.cohort import Cohort, is_cohort
from synthoma.core.artefacts import FILE, read_artefact, verify
from synthoma.core.errors import InputError
from synthoma.core.pseudonyms import secret_key
from synthoma.detection.result import read_detection
from synthoma.evaluation.heldout.result import read_model_scores
from synthoma.evaluation.readers.blinded import read_set
from synthoma.evaluation.readers.result import read_readers
from synthoma.evaluation.result import read_evaluation
from synthoma.planning.result import read_plan
from synthoma.training.bundle import open_model
from synthoma.training.log import FILE as LOG
from synthoma.training.log import read_log
from synthoma.training.runs import read_run
from synthoma.training.search_file import FILE as SEARCH
from synthoma.training.search_file import read_search, trials_of

Description = dict[str, object]
"""What an artefact is, as JSON has it: names and figures, lists and objects of them."""


def described(path: Path) -> Description:
    """What an artefact, a scan or a folder of scans is.

    Raises:
        InputError: there is nothing that can be understood, or an artefact is damaged.
    """
    try:
        return _of_artefact(path) or _of_scans(path)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        came = f"{path}, which is damaged ({type(error).__name__})"
        raise InputError("a whole artefact", came, "make it again") from error


def _of_artefact(path: Path) -> Description | None:
    if is_cohort(path):
        cohort = Cohort(path)
        pairs = cohort.slices["split"] + "/" + cohort.slices["label"]
        counts = {str(name): int(count) for name, count in pairs.value_counts().sort_index().items()}
        return {"kind": "cohort", **cohort.meta.content(), "counts": counts}
    finished = (path / "run.json").is_file() and (path / FILE).is_file()
    if finished or (path / "model.safetensors").exists() or path.suffix == ".safetensors":
        bundle = open_model(path)
        return {**bundle.meta.content(), "sha256": bundle.digest}
    for name, read in _READERS.items():
        if (path / name).is_file():
            return read(path)
    return None


def _of_scans(path: Path) -> Description:
    from synthoma.cohorts.understanding import understood
    from synthoma.scans.layouts import take_inventory

    return {"kind": "scans", **understood(take_inventory(path, key=secret_key()))}


def _of_unfinished_run(run: Path) -> Description:
    """A run that was begun and has no model yet: how far it came, and how it goes on."""
    begun = read_run(run)
    settings = tomllib.loads((run / "config.toml").read_text(encoding="utf-8"))
    entries = read_log(run / LOG) if (run / LOG).is_file() else []
    scored = [entry for entry in entries if entry.is_snapshot]
    saved = sorted(path.name for path in (run / "checkpoint").glob("*.safetensors"))
    todo = "go on with `synthoma train COHORT -o RUN --resume`"
    return {
        "kind": "unfinished run",
        "model": begun.model,
        "budget": {name: settings[name] for name in ("images", "minutes", "epochs") if name in settings},
        "images_shown": max((entry.images or 0 for entry in entries), default=0),
        "snapshots": len(scored),
        "score": scored[-1].score if scored else None,
        "warnings": [entry.warning for entry in entries if entry.warning is not None],
        "checkpoints": saved,
        "todo": todo if saved else f"{todo}; nothing was saved yet, so it begins anew",
    }


def _of_search(folder: Path) -> Description:
    trials = trials_of(folder)
    settings = tomllib.loads((folder / "config.toml").read_text(encoding="utf-8"))
    facts: Description = {
        "kind": "search",
        "model": settings["model"],
        "trials": len(trials),
        "best": trials[0] if trials else None,
        "runs": sorted(path.parent.name for path in folder.glob("*/model.safetensors")),
    }
    if not (folder / SEARCH).is_file():  # of an earlier version
        return facts
    meta = read_search(folder)
    facts |= {"wanted": meta.wanted, "budget": meta.budget, "importances": meta.importances}
    if len(trials) < meta.wanted:
        facts["todo"] = f"go on with `synthoma train COHORT -o SEARCH --search {meta.wanted} --resume`"
    return facts


def _of_findings(folder: Path) -> Description:
    facts = read_detection(folder).content()
    listing = folder / "skipped.csv"
    if not listing.is_file():
        return {"kind": "findings", **facts}
    verify(listing)
    with listing.open(encoding="utf-8", newline="") as stream:
        kinds = Counter(row["kind"] for row in csv.DictReader(stream))
    return {"kind": "findings", **facts, "skipped_because": dict(kinds)}


def _of_one_scan(folder: Path) -> Description:
    facts = read_artefact(folder / "findings.json", "synthoma.detection/1")
    return {"kind": "findings in one scan", **{name: facts[name] for name in facts if name not in _LISTS}}


_LISTS = ("slices", "slice_probabilities")
"""Entries of a scan's findings that are as long as the scan."""


def _of_evaluation(folder: Path) -> Description:
    content = read_evaluation(folder).content()
    return {"kind": "evaluation", **{name: content[name] for name in ("verdict", "lights", "provenance")}}


def _of_scores(folder: Path) -> Description:
    return {"kind": "scores", **read_artefact(folder / "scores.json", "synthoma.scores/1")}


def _of_model_scores(folder: Path) -> Description:
    content = read_model_scores(folder).content()
    if content["segmenter"] is None:
        return {"kind": "scores of a model", **content}
    masks = content["segmenter"]["masks"]
    brief = {name: masks[name] for name in ("patients", "regions", "slices", "conventions")}
    return {"kind": "scores of a model", **content, "segmenter": {**content["segmenter"], "masks": brief}}


def _of_demo(folder: Path) -> Description:
    return {"kind": "demo", **read_artefact(folder / "demo.json", "synthoma.demo/1")}


def _of_chain(folder: Path) -> Description:
    return {"kind": "chain", **read_artefact(folder / "chain.json", "synthoma.chain/1")}


def _of_export(folder: Path) -> Description:
    return {"kind": "export", **read_artefact(folder / "export.json", "synthoma.export/1")}


def _of_blinded_set(folder: Path) -> Description:
    facts = read_set(folder).content()
    facts["readers"] = sorted(facts.pop("orders"))
    return {"kind": "blinded set", **facts}


def _of_readers(folder: Path) -> Description:
    return {"kind": "answers of readers", **read_readers(folder).content()}


def _of_plan(folder: Path) -> Description:
    return {"kind": "plan", **read_plan(folder).content()}


_READERS = {
    "run.json": _of_unfinished_run,
    "search.csv": _of_search,
    "detection.json": _of_findings,
    "findings.json": _of_one_scan,
    "evaluation.json": _of_evaluation,
    "scores.json": _of_scores,
    "model_scores.json": _of_model_scores,
    "demo.json": _of_demo,
    "chain.json": _of_chain,
    "export.json": _of_export,
    "set.json": _of_blinded_set,
    "readers.json": _of_readers,
    "plan.json": _of_plan,
}
"""By the file that tells an artefact."""
