"""``synthoma info``: what something is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from synthoma.commands.options import AsJson, Cases, Diagram, Force, OutputOfDiagram, Population, Verify
from synthoma.commands.printing import LISTED, lines, say, understood
from synthoma.core.errors import ConfigError, InputError

EXAMPLES = (
    "synthoma info COHORT",
    "synthoma info scans/",
    "synthoma info RUN --diagram -o run.svg",
    "synthoma info COHORT --cases 50000 --population 1417000000",
)


def run(
    path: Annotated[Path, typer.Argument(help="A cohort, a run, a plan, findings, a scan, or a folder of scans.")],
    cases: Cases = None,
    population: Population = None,
    as_json: AsJson = False,
    verify: Verify = False,
    diagram: Diagram = False,
    output: OutputOfDiagram = None,
    force: Force = False,
) -> None:
    """Run the command."""
    from synthoma import pipeline

    if verify:
        _verify(path)
        return
    if diagram:
        _draw(path, output, force=force)
        return
    if output is not None:
        raise ConfigError("a drawing to write", "--output without --diagram", "add --diagram")
    if (cases is None) != (population is None):
        missing = "--cases" if cases is None else "--population"
        raise ConfigError("cases and the population that they are in", f"no {missing}", "give both")
    content = pipeline.describe(path)
    if cases is not None and population is not None:
        from synthoma.cohorts.prevalence import Prevalence

        content["prevalence"] = Prevalence(cases, population).formula()
    if as_json:
        import json

        say(json.dumps(content, indent=2))
        return
    if content.get("kind") == "scans":
        understood(content)
        for remark in content["remarks"]:
            say(f"note: {remark}")
        content = {name: content[name] for name in ("prevalence",) if name in content}
    for line in lines(_short(content)):
        say(line)


def _short(content: dict[str, object]) -> dict[str, object]:
    """Of a run's settings that nobody gave, the names alone."""
    if not isinstance(settings := content.get("settings"), dict) or "default" not in settings:  # scores have others
        return content
    return {**content, "settings": {**settings, "default": list(settings["default"])}}


def _draw(run: Path, output: Path | None, *, force: bool) -> None:
    """Draw a model into a file, or print the drawing."""
    from synthoma import pipeline
    from synthoma.core.whole_files import new_file, write_text

    place = None if output is None else new_file(output, force=force, inputs=(run,))
    drawing = pipeline.diagram(run)
    if place is None:
        say(drawing)
        return
    write_text(place, drawing + "\n")
    say(f"drawing: {output}")


def _verify(path: Path) -> None:
    """Say whether an artefact is what was written."""
    from synthoma import pipeline

    found = pipeline.verify(path)
    if found:
        for line in found[:LISTED]:
            say(f"damaged: {line}")
        todo = "restore them from a copy, or make the artefact again"
        raise InputError(f"{path} as it was written", f"{len(found)} damaged files", todo)
    say("no checksums: an earlier version wrote it" if found is None else "OK: every file is what was written")
