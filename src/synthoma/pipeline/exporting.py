"""From a cohort, findings or a trained model to what another tool reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from synthoma.cohorts.cohort import Cohort, is_cohort
from synthoma.core.config import settled
from synthoma.core.display import telling
from synthoma.core.errors import InputError
from synthoma.core.outputs import new_folder
from synthoma.core.progress import Progress
from synthoma.core.types import Place
from synthoma.core.untrusted import visible
from synthoma.exports.settings import ExportConfig
from synthoma.pipeline.keywords import ExportKeywords
from synthoma.pipeline.python_words import in_python
from synthoma.pipeline.signature import with_settings

if TYPE_CHECKING:
    from synthoma.exports.forms import Export


@in_python
@with_settings(ExportConfig)
def export(
    path: Place,
    output: Place,
    *,
    config: ExportConfig | None = None,
    force: bool = False,
    progress: Progress | None = None,
    **settings: Unpack[ExportKeywords],
) -> Export:
    """Write a cohort, the findings of ``detect``, or a trained segmenter or classifier, as another tool reads it.

    No patient, group or case is on two sides of a split; ``exported.csv`` lists who is where. Synthetic and simulated
    images say so in every file; real ones never do.

    Args:
        path: a cohort, of any origin; a folder of findings; or a run, its model file, or the word "phantom" for the
            segmenter inside the package.
        output: the folder to write; it appears only when it is complete.
        config: the settings; or give single ones by name (``to="monai", slices=True``).
        force: replace an earlier export.
        progress: told how far the work is; None shows it, see ``core.display``.
        settings: fields of ``ExportConfig``.

    Returns:
        What was written.

    Raises:
        InputError: no cohort, findings or model, something that the form has no place for, or the place is taken.
        ConfigError: a setting that does not exist, is out of range, or says nothing to the form; a generator; or a
            package that is missing.
        LeakError: a patient, group or case in several splits.
    """
    from synthoma.detection.result import FILE as DETECTION
    from synthoma.detection.result import read_detection
    from synthoma.exports.forms import write_cohort, write_findings, write_model
    from synthoma.training.bundle import model_file

    options = settled(ExportConfig, config, settings)
    source = Path(path)
    title = visible(options.name or source.resolve().name or "Synthoma")
    with telling(progress) as told, new_folder(Path(output), force=force, inputs=(source,)) as partial:
        if is_cohort(source):
            return write_cohort(Cohort(source), partial, title, options, told)
        if (source / DETECTION).is_file():
            read_detection(source)
            return write_findings(source, partial, title, options, told)
        if model_file(source).is_file() or (source / "checkpoint").is_dir() or _is_shipped(source):
            return write_model(source, partial, title, options)
        todo = "make one with `synthoma prepare`, `synthoma detect` or `synthoma train`"
        raise InputError("a cohort, findings of `synthoma detect`, or a trained model", str(source), todo)


def _is_shipped(source: Path) -> bool:
    """Whether it is the word for the model inside the package."""
    from synthoma.training.bundle import SHIPPED

    return str(source) == SHIPPED and not source.exists()
