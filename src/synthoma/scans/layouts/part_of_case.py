"""Files of a case, and a part of it: without its mask, or with some of its sequences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from synthoma.core.errors import InputError
from synthoma.scans.case import Case, Study
from synthoma.scans.layouts.loading import MaskError, load_files

_UNUSED = "its own mask is not used: "


def load_despite_mask(load: Callable[[], Study]) -> Study:
    """Load a case, without its mask where that cannot be used."""
    try:
        return load()
    except MaskError as error:
        texts = (*error.study.remarks, f"{_UNUSED}{error}")
        return replace(error.study, remarks=texts, refused=InputError(error.expected, error.came, error.todo))


def load_without_mask(load: Callable[[], Study]) -> Study:
    """Load a case whose mask is none of its own."""
    try:
        study = load()
    except MaskError as error:
        study = error.study
    told = tuple(text for text in study.remarks if not text.startswith(_UNUSED))
    return replace(study, mask=None, labels={}, remarks=told, refused=None)


def load_only(load: Callable[[], Study], modalities: Sequence[str]) -> Study:
    """Load a case and keep some of its modalities."""
    try:
        return _some_of(load(), modalities)
    except MaskError as error:
        raise MaskError(error, _some_of(error.study, modalities)) from error


def _some_of(study: Study, modalities: Sequence[str]) -> Study:
    return replace(study, images={name: image for name, image in study.images.items() if name in modalities})


def files_of(case: Case) -> dict[str, Path]:
    """What a case reads, by role: the first file of each modality, and of the mask; of other cases the first file."""
    load = case.load
    while isinstance(load, partial) and load.func in (load_despite_mask, load_only, load_without_mask):
        load = load.args[0]
    if isinstance(load, partial) and load.func is load_files:
        modalities, masks = load.args[:2]
        return {name: paths[0] for name, paths in modalities} | ({"mask": masks[0]} if masks else {})
    return {"files": case.sources[0]} if case.sources else {}
