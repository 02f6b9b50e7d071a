"""From cohorts to evidence: the evaluation, a trained model on held-out patients, and masks against the truth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack

from synthoma.cohorts import cohort as folders
from synthoma.core.config import settled
from synthoma.core.display import telling
from synthoma.core.errors import ConfigError, OutputError
from synthoma.core.fanned import fan
from synthoma.core.outputs import check_output, new_folder
from synthoma.core.places import check_apart
from synthoma.core.progress import Progress
from synthoma.core.types import Floats, Place
from synthoma.core.whole_files import write_text
from synthoma.evaluation.settings import EvaluateConfig
from synthoma.pipeline.cohort import Cohort
from synthoma.pipeline.description import add_cohort_page
from synthoma.pipeline.keywords import EvaluateKeywords
from synthoma.pipeline.python_words import in_python
from synthoma.pipeline.signature import with_settings
from synthoma.pipeline.training import out_of_room

if TYPE_CHECKING:
    from synthoma.evaluation.heldout.result import ModelScores
    from synthoma.evaluation.readers.result import Readers
    from synthoma.evaluation.result import Evaluation


@with_settings(EvaluateConfig)
@in_python
def evaluate(
    real: Place,
    synthetic: Place,
    output: Place,
    *,
    config: EvaluateConfig | None = None,
    keep: Place | None = None,
    extractor: Place | None = None,
    turing: Place | None = None,
    force: bool = False,
    progress: Progress | None = None,
    **settings: Unpack[EvaluateKeywords],
) -> Evaluation:
    """Score a synthetic cohort against a real one, and write evaluation.json, the report and the cards.

    Args:
        real: the real cohort, with its splits.
        synthetic: the synthetic cohort, of any origin.
        output: the folder to write. Trainings of the presets standard and full are kept beside it, in
            ``<output>.cells``, and never run twice.
        config: the settings; or give single ones by name (``preset="standard"``).
        keep: also write the synthetic cohort without the slices that were taken for copies, without those whose masks
            do not fit their images, and of slices that are alike only the first; nothing is written where none is left
            ("kept" of what is returned is 0).
        extractor: Python file with ``features(images) -> (N, D)``, as one more family of features. It is run, so a
            settings file cannot name it.
        turing: what ``turing_score`` wrote of readers who saw these two cohorts: it is told beside what is measured,
            and changes no light.
        force: replace an earlier evaluation.
        progress: told how far the work is; None shows it, see ``core.display``.
        settings: fields of ``EvaluateConfig``.

    Returns:
        The evaluation, as evaluation.json holds it; ``.content()`` is the same as plain data.

    Raises:
        InputError: cohorts that cannot be compared, too few images, or a place that is taken.
        LeakError: the generator saw held-out groups.
    """
    from synthoma.cohorts.cohort import write_rows
    from synthoma.evaluation.evaluate import evaluate as score
    from synthoma.evaluation.readers.joined import with_readers
    from synthoma.evaluation.result import rows_to_keep, write_evaluation
    from synthoma.reports.evaluation_page import write_reports

    config = settled(EvaluateConfig, config, settings)
    ours, theirs = Cohort(real), Cohort(synthetic)
    target = Path(output)
    parts = fan().config.parts
    usual = parts / "cells" if parts is not None else target.with_name(f"{target.resolve().name}.cells")
    cells = config.cells or usual
    read = (ours.path, theirs.path, config.phantom, config.run, extractor, turing)
    check_apart(cells, read)
    if keep is not None:
        check_output(Path(keep), force=force, inputs=(*read, target, cells))  # said now, not after an hour
    readers = None if turing is None else _readers(Path(turing), ours, theirs)
    kept: list[int] = []
    go_on = f"run the same command again: what was trained is kept in {cells}"
    try:
        with telling(progress) as told, new_folder(target, force=force, inputs=(*read, cells)) as partial:
            own = None if extractor is None else Path(extractor)
            opinion = _discriminator(ours, theirs, config) if config.run is not None else None
            result = score(ours, theirs, config, cells, discriminator=opinion, extractor=own, progress=told)
            if readers is not None:
                result = with_readers(result, readers)
            if keep is not None:
                # Only slices that were looked at can be kept.
                kept = rows_to_keep(result)
                result = result.model_copy(update={"kept": len(kept)})
            write_evaluation(partial, result)
            write_reports(partial, result, ours, theirs)
        go_on = f"run the same command again with --force: the evaluation in {target} is whole, {keep} is missing"
        if keep is not None and kept:
            with new_folder(Path(keep), force=force, inputs=read) as clean:
                write_rows(theirs, clean, kept, left_out=len(theirs) - len(kept))
                add_cohort_page(clean, Path(keep).name)
    except OutputError as error:
        raise out_of_room(error, target, go_on) from error
    return result


@in_python
def evaluate_model(
    cohort: Place,
    model: Place = "phantom",
    output: Place | None = None,
    *,
    part: Literal["test", "validation", "all"] = "test",
    by: Sequence[Literal["site", "sequence", "size"]] = (),
    against: Place | None = None,
    device: str = "auto",
    seed: int = 0,
    force: bool = False,
    progress: Progress | None = None,
) -> ModelScores:
    """Score a trained segmenter or classifier on slices of patients whom it did not learn from.

    Args:
        cohort: prepared as the model's own was, or its folder; its test split is scored.
        model: a run or a model file; "phantom" for the segmenter that is part of the package.
        output: folder for model_scores.json and report.html; None writes nothing.
        part: the split; "all" of a cohort from elsewhere.
        by: of a segmenter: score each group too, by site, by sequence (shown alone) and by size of the tumour.
        against: of a segmenter: another cohort, all of which is scored too; ``.shift`` is the gap to it.
        device: "cpu", "cuda", "mps" or "auto".
        seed: of the bootstrap.
        force: replace an earlier result.
        progress: told how far it is; None shows it, see ``core.display``.

    Returns:
        The scores, as model_scores.json holds them; ``.content()`` is the same as plain data.

    Raises:
        InputError: no such slices, slices that the model was not made for, or a place that is taken.
        ConfigError: a generator, or no such device.
        LeakError: slices of patients whom the model learned from.
    """
    from synthoma.evaluation.heldout.result import write_model_scores
    from synthoma.evaluation.heldout.scoring import score_model
    from synthoma.evaluation.heldout.settings import HeldOutConfig
    from synthoma.reports.model_page import model_page
    from synthoma.training.bundle import SHIPPED, open_model, shipped_model

    source = cohort if isinstance(cohort, folders.Cohort) else Cohort(cohort)
    path = shipped_model() if str(model) == SHIPPED else Path(model)
    elsewhere = against.path if isinstance(against, folders.Cohort) else against
    if output is not None:
        check_output(Path(output), force=force, inputs=(source.path, path, elsewhere))  # said now, not after minutes
    config = HeldOutConfig.resolve(flags={"model": str(model), "part": part, "by": tuple(by), "against": elsewhere})
    with telling(progress) as told:
        scores = score_model(source, open_model(path), config, device=device, seed=seed, progress=told)
    if output is not None:
        with new_folder(Path(output), force=force, inputs=(source.path, path, elsewhere)) as partial:
            write_model_scores(partial, scores)
            write_text(partial / "report.html", model_page(scores))
    return scores


def _readers(path: Path, real: Cohort, synthetic: Cohort) -> Readers:
    """What readers said who saw these cohorts; said now, not after an hour."""
    from synthoma.core.artefacts import verified_digest
    from synthoma.evaluation.readers.joined import check_readers
    from synthoma.evaluation.readers.result import read_readers

    readers = read_readers(path)
    digests = [verified_digest(cohort.path / "images.npy") for cohort in (real, synthetic)]
    check_readers(readers, real=digests[0], synthetic=digests[1])
    return readers


def _discriminator(real: Cohort, synthetic: Cohort, config: EvaluateConfig) -> tuple[Floats, Floats]:
    """What the GAN's discriminator thinks of the training and of the held-out slices that are compared."""
    from synthoma.evaluation.comparison import compare
    from synthoma.generators.judge import judge_slices

    assert config.run is not None
    comparison = compare(real, synthetic, limit=config.limit, seed=config.seed)
    rows = comparison.training_rows, comparison.held_out_rows
    return judge_slices(config.run, real, rows[0]), judge_slices(config.run, real, rows[1])


@in_python
def score_masks(
    truth: Place,
    predictions: Place,
    output: Place,
    *,
    other: Place | None = None,
    nested: bool | None = None,
    convention: str | None = None,
    tolerance: float | None = None,
    lesion_reach: float | None = None,
    small_lesion: float | None = None,
    lesion_sizes: Sequence[float] | None = None,
    seed: int = 0,
    force: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Score anyone's masks against the truth, and write scores.json and report.html.

    Args:
        truth: a folder of masks, or one file; files meet by name.
        predictions: the same for the predictions, for example what ``detect`` wrote.
        output: the folder to write.
        other: another model's predictions, for a paired comparison by patient.
        nested: score nested regions (True) or labels as they stand (False); None decides by what values mean.
        convention: what values mean on all sides: a name, or 1=oedema,2=core,3=enhancing; else read or decided.
        tolerance: of the surface Dice in mm, or in pixels where no spacing is known; 2 where None.
        lesion_reach: mm by which lesions are dilated before they are matched; 3 where None, as BraTS has it.
        small_lesion: mm3 up to which a lesion counts for nothing lesion by lesion; 50 where None.
        lesion_sizes: ml that part small from large lesions; 1 and 10 where None.
        seed: of the bootstrap.
        force: replace an earlier result.
        progress: told how far it is; None shows it, see ``core.display``.

    Returns:
        The content of scores.json, see ``masks.scores.score_arrays``.

    Raises:
        InputError: nothing that matches, values above 4 where nested regions are asked for, or the output place is
            taken.
        ConfigError: a tolerance that is not above 0.
    """
    from synthoma.masks.result import write_scores
    from synthoma.masks.scores import score_masks as score
    from synthoma.reports.scores_page import scores_page

    if tolerance is not None and not tolerance > 0:
        raise ConfigError("a tolerance above 0", f"{tolerance:g}", "give mm, for example 1")
    options: dict[str, Any] = {"nested": nested, "convention": convention, "seed": seed}
    given = {"tolerance": tolerance, "lesion_reach": lesion_reach, "small_lesion": small_lesion}
    options |= {name: value for name, value in given.items() if value is not None}
    if lesion_sizes is not None:
        options["lesion_sizes"] = lesion_sizes
    if other is not None:
        options["other"] = Path(other)
    place = new_folder(Path(output), force=force, inputs=(truth, predictions, other))
    with telling(progress) as told, place as partial:
        scores = score(Path(truth), Path(predictions), progress=told, **options)
        write_scores(partial, scores)
        result = scores.content()
        write_text(partial / "report.html", scores_page(result))
    return result
