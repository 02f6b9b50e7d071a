"""From scans to tumours, and what a model thinks of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from synthoma.cohorts.preparation import pack
from synthoma.cohorts.settings import PrepareConfig
from synthoma.core.config import settled
from synthoma.core.display import telling
from synthoma.core.errors import InputError
from synthoma.core.progress import Progress
from synthoma.core.pseudonyms import secret_key
from synthoma.core.types import PLAIN_MODALITY, Place
from synthoma.detection.settings import DetectConfig
from synthoma.pipeline.description import report
from synthoma.pipeline.findings import Findings
from synthoma.pipeline.keywords import DetectKeywords
from synthoma.pipeline.python_words import in_python
from synthoma.pipeline.signature import with_settings

if TYPE_CHECKING:
    import pandas as pd

    from synthoma.training.meta import ModelMeta


@with_settings(DetectConfig)
@in_python
def detect(
    scans: Place | Sequence[Place],
    output: Place,
    *,
    model: Place | None = None,
    config: DetectConfig | None = None,
    force: bool = False,
    progress: Progress | None = None,
    **settings: Unpack[DetectKeywords],
) -> Findings:
    """Find and outline tumours in scans: findings, masks in the scans' own geometry, pictures, DICOM SEG.

    Args:
        scans: files or folders: pictures, volumes, DICOM series, or any layout that ``prepare`` reads; or the address
            of an archive, dicomweb+https://HOST/PATH, with ``study``.
        output: the folder to write; see ``detection.many.detect_all`` for what it holds.
        model: a run that trained a segmenter, or its model file; None for the shipped one, trained on the phantom.
        config: the settings; or give single ones by name (``threshold=0.4``).
        force: replace an earlier result.
        progress: told how far the work is; None shows it, see ``core.display``.
        settings: fields of ``DetectConfig``.

    Returns:
        The findings, opened: ``.table`` has one row a scan, as in index.csv.

    Raises:
        InputError: not a segmenter, nothing that can be used, or the output place is taken.
        ConfigError: a setting that the model or this computer cannot follow.
    """
    from synthoma.detection.detect import detect as look
    from synthoma.hospital.fetched import fetched
    from synthoma.training.bundle import shipped_model

    config = settled(DetectConfig, config, settings)
    places = [scans] if isinstance(scans, str | PathLike) else list(scans)
    chosen = shipped_model() if model is None else Path(model)
    with telling(progress) as told, fetched([Path(place) for place in places], config, told) as here:
        look(here.places, chosen, Path(output), options=here.options, force=force, progress=told)
        here.send_back(Path(output))
    report(output)
    return Findings(output, () if here.archives else places)


def kind_of_model(model: Place | None) -> str:
    """What a model is: "generator", "segmenter" or "classifier"; without one, the shipped segmenter is meant.

    Raises:
        InputError: no model there.
    """
    if model is None:
        return "segmenter"
    from synthoma.training.bundle import open_model

    return str(open_model(Path(model)).meta.kind)


def _trust(meta: ModelMeta) -> str:
    """How far a GAN's judgement is to be trusted, in a sentence."""
    known = meta.realness
    if known is None:
        return "not calibrated: nobody knows how well it tells scans that it has not learned from"
    alone = ", judged with an empty mask" if known.empty_mask else ""
    return (
        f"of {known.real} held-out and {known.generated} generated slices{alone}, it scores the held-out one higher in "
        f"{100 * known.auc:.0f} % of the pairs (50 % is guessing); of other images than these nobody knows"
    )


@in_python
def judge(images: Place | Sequence[Place], run: Place, *, progress: Progress | None = None) -> pd.DataFrame:
    """What a GAN's discriminator or a classifier thinks of images, prepared as the model's cohort was.

    Args:
        images: a folder, a file, or several files of one folder.
        run: of the GAN or classifier, or its model file.
        progress: told how far it is; None shows it, see ``core.display``.

    Returns:
        One row a slice: source, slice, label, score and kind: the calibrated probability of being real (0 fake, 1
        real), or, of a model that nobody calibrated, the discriminator's own or a critic's score; of a classifier, the
        probability of each class and the likeliest one.

    Raises:
        InputError: nothing readable, or a segmenter in ``run``.
        ConfigError: a generator that learned without a discriminator.
    """
    import tempfile

    from synthoma.generators.judge import check_judge, judge_images
    from synthoma.scans.layouts import take_inventory
    from synthoma.training.bundle import open_model

    bundle = open_model(Path(run))
    meta = bundle.meta
    if meta.kind == "segmenter":
        raise InputError("a generator or a classifier", "a segmenter", "use detect")
    if meta.kind == "generator":
        check_judge(bundle)
    names: tuple[str, ...] = ("crop", "normalise", "plane")
    known = {name: meta.prepare[name] for name in names if name in meta.prepare}
    paths = [Path(images)] if isinstance(images, str | PathLike) else [Path(image) for image in images]
    if len(paths) > 1 and (any(path.is_dir() for path in paths) or len({path.parent for path in paths}) > 1):
        raise InputError("one folder, or files of one folder", f"{len(paths)} places", "put them into one folder")
    inventory = take_inventory(paths, key=secret_key(), masks_wanted=False)
    # A picture that does not say what it shows may stand for the only modality of a model.
    plain = len(meta.modalities) == 1 and all(case.modalities == (PLAIN_MODALITY,) for case in inventory.cases)
    modalities = [PLAIN_MODALITY] if plain else meta.modalities
    config = PrepareConfig.resolve(
        flags={
            "size": meta.shape["size"],
            "modalities": modalities,
            "duplicates": False,
            "split": (1, 0, 0),
            **known,
        }
    )
    with telling(progress) as told, tempfile.TemporaryDirectory() as place:
        cohort = pack(inventory, Path(place), config, source="judged", progress=told)
        table = cohort.slices[["source", "slice", "label"]].copy()
        if meta.kind == "generator":
            scores, kind = judge_images(Path(run), cohort.images[:].astype("float32"))
            judged = table.assign(score=scores, kind=kind)
            judged.attrs["note"] = _trust(meta)
            return judged
        from synthoma.detection.classes import Classifier

        chances = Classifier.open(Path(run)).of_cohort(cohort)
    for number, name in enumerate(meta.classes):
        table[f"p_{name}"] = chances[:, number].round(4)
    return table.assign(predicted=[meta.classes[row.argmax()] for row in chances])
