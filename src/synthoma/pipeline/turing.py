"""A blinded set of real and synthetic pictures, and what readers' answers to it are worth."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from synthoma.core.config import settled
from synthoma.core.display import telling
from synthoma.core.errors import InputError
from synthoma.core.outputs import check_output, new_folder
from synthoma.core.progress import Progress
from synthoma.core.types import Place
from synthoma.core.whole_files import write_text
from synthoma.evaluation.readers.settings import TuringConfig
from synthoma.pipeline.cohort import Cohort
from synthoma.pipeline.keywords import TuringMakeKeywords
from synthoma.pipeline.python_words import in_python
from synthoma.pipeline.signature import with_settings

if TYPE_CHECKING:
    from synthoma.evaluation.readers.blinded import TuringSet
    from synthoma.evaluation.readers.result import Readers


@in_python
@with_settings(TuringConfig)
def turing_make(
    real: Place,
    synthetic: Place,
    output: Place,
    *,
    config: TuringConfig | None = None,
    force: bool = False,
    progress: Progress | None = None,
    **settings: Unpack[TuringMakeKeywords],
) -> TuringSet:
    """Write a blinded set: pictures under neutral numbers, an order for each reader, files to fill in, and the key.

    Real pictures are of patients whom the real cohort holds out, one slice each where there are enough. The key,
    key.json, is sealed and can be kept elsewhere until everybody has answered.

    Args:
        real: the real cohort, with its splits.
        synthetic: the synthetic cohort, of any tool, prepared as the real one is.
        output: the folder to write.
        config: the settings; or give single ones by name (``design="pairs"``).
        force: replace an earlier set; never one in which somebody has answered.
        progress: told how far the work is; None shows it, see ``core.display``.
        settings: fields of ``TuringConfig``.

    Returns:
        The set, as set.json holds it: nothing of it says what a picture is.

    Raises:
        InputError: cohorts that do not fit together, too few held-out slices, or a place that is taken.
        LeakError: the generator saw held-out patients.
        ConfigError: a sequence that the cohorts lack, or a setting out of range.
    """
    from synthoma.evaluation.readers.making import make_set
    from synthoma.reports.turing_sheets import compact, sheet

    options = settled(TuringConfig, config, settings)
    ours, theirs, target = Cohort(real), Cohort(synthetic), Path(output)
    inputs = (ours.path, theirs.path)
    check_output(target, force=force, inputs=inputs)
    _check_unanswered(target)
    with telling(progress) as told, new_folder(target, force=force, inputs=inputs) as partial:
        made = make_set(ours, theirs, options, partial, told)
        pictures = compact(partial / "images", made)
        for done, reader in enumerate(made.orders):
            write_text(partial / f"sheet-{reader}.html", sheet(pictures, made, reader))
            told("sheets to print", done + 1, len(made.orders))
    return made


@in_python
def turing_score(
    blinded: Place,
    answers: Place | Sequence[Place],
    output: Place,
    *,
    key: Place | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Readers:
    """Score readers' answers to a blinded set, and write readers.json, answers.csv and report.html.

    Args:
        blinded: the set.
        answers: a CSV file for each reader, ``answers-NAME.csv``; an answer left empty is missing.
        output: the folder to write.
        key: where the key is kept; None where it lies in the set.
        force: replace an earlier result.
        progress: told how far the work is; None shows it, see ``core.display``.

    Returns:
        The result, as readers.json holds it; ``.content()`` is the same as plain data.

    Raises:
        InputError: no such set, another set's key, answers that cannot be understood (with their lines), or a place
            that is taken.
    """
    from synthoma.evaluation.readers.answers import read_answers
    from synthoma.evaluation.readers.blinded import read_key, read_set
    from synthoma.evaluation.readers.result import write_readers
    from synthoma.evaluation.readers.scoring import score_readers
    from synthoma.evaluation.readers.tallies import answers_table
    from synthoma.reports.turing_page import turing_page

    folder = Path(blinded)
    one = isinstance(answers, str | os.PathLike)
    files = [Path(answers)] if one else [Path(path) for path in answers]  # type: ignore[arg-type,union-attr]
    place = folder if key is None else Path(key)
    shown = read_set(folder)
    truth = read_key(place, shown)
    given = read_answers(files, shown)
    inputs = (folder, place, *files)
    with telling(progress) as told, new_folder(Path(output), force=force, inputs=inputs) as partial:
        told("scoring answers", 0, 1)
        result = score_readers(shown, truth, given)
        write_readers(partial, result)
        write_text(partial / "answers.csv", answers_table(truth.items, given))
        write_text(partial / "report.html", turing_page(result, folder / "images"))
        told("scoring answers", 1, 1)
    return result


def _check_unanswered(target: Path) -> None:
    """Raise InputError where somebody has written into the files of a set: their work is not replaced."""
    from synthoma.core.artefacts import faults

    if not (target / "set.json").is_file():
        return
    if changed := [fault for fault in faults(target) or [] if Path(fault.split(".csv")[0]).name.startswith("answers-")]:
        todo = "choose another name, or move the answers elsewhere"
        raise InputError("a set that nobody has answered yet", f"{changed[0]}", todo)
