"""A trained detector that is asked about slices of a cohort, and whether it may be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from synthoma.cohorts.changed_copies import as_scanned
from synthoma.cohorts.cohort import Cohort, check_scale
from synthoma.cohorts.leaks import leak_error, names_of
from synthoma.core.errors import ConfigError, InputError
from synthoma.core.types import Float32, Floats, Ints
from synthoma.detectors.classifiers.networks import build_classifier
from synthoma.detectors.material import PREPARED_ALIKE
from synthoma.detectors.segmenters.networks import SegmenterShape, build_segmenter
from synthoma.detectors.settings import ClassifierNetwork, SegmenterNetwork
from synthoma.detectors.slices import LabelledSlices
from synthoma.training.bundle import Bundle, fitting, learned_from
from synthoma.training.meta import ModelMeta

BATCH = 32
STEP_MM = 4.0
"""Distance of neighbouring slices for models of earlier versions, which do not say it: what trainings have used."""


@dataclass(frozen=True)
class Asked:
    """A trained detector beside a cohort.

    Attributes:
        network: in evaluation mode, on ``device``.
        slices: of the cohort, with the modalities and neighbours that the network sees.
        device: "cpu", "cuda" or "mps".
        mirrored: whether each slice is looked at twice.
    """

    network: nn.Module
    slices: LabelledSlices
    device: str
    mirrored: bool

    def classes(self, rows: Ints) -> Floats:
        """Probability of each class (n, K) of a classifier, in 0..1."""
        return np.concatenate([said.softmax(dim=1).double().numpy() for said in self._said(rows)])

    def maps(self, rows: Ints) -> Float32:
        """Probability of each target of a segmenter, (n, T, S, S) in 0..1."""
        return np.concatenate([said.numpy() for said in self._outlined(rows)])

    def _said(self, rows: Ints) -> Iterator[Tensor]:
        for images in self._batches(rows):
            with torch.inference_mode():
                yield self.network(images).float().cpu()

    def _outlined(self, rows: Ints) -> Iterator[Tensor]:
        for images in self._batches(rows):
            with torch.inference_mode():
                maps = self.network(images).float().sigmoid()
                if self.mirrored:
                    # Probabilities are averaged and not logits, in which one sure side would outvote the other.
                    maps = (maps + self.network(images.flip(-1)).float().sigmoid().flip(-1)) / 2
                yield maps.cpu()

    def _batches(self, rows: Ints) -> Iterator[Tensor]:
        for start in range(0, len(rows), BATCH):
            yield self.slices.inputs(rows[start : start + BATCH]).to(self.device)


def opened(bundle: Bundle, cohort: Cohort, rows: Ints, device: str) -> Asked:
    """A segmenter or classifier beside the slices that it will be asked about.

    Raises:
        InputError: slices that it was not made for, or a damaged model.
        ConfigError: grey values on another scale.
    """
    meta = bundle.meta
    _check_fit(meta, cohort)
    with fitting(f"a {meta.kind}"):
        settings: ClassifierNetwork | SegmenterNetwork
        if meta.kind == "classifier":
            settings = ClassifierNetwork.model_validate(meta.network)
            network = build_classifier(settings, meta.shape["size"], meta.shape["channels"], len(meta.classes))
        else:
            settings = SegmenterNetwork.model_validate(meta.network)
            network = build_segmenter(settings, SegmenterShape(**meta.shape))
        # Shipped weights are stored in half precision, and computed with in single.
        network.load_state_dict({name: value.float() for name, value in bundle.weights(meta.kind).items()})
    check_scale(cohort)
    seen = (settings.context, float(meta.step_mm or STEP_MM))
    slices = LabelledSlices(cohort, rows, meta.modalities, (), seen, meta.classes, scale=settings.scale)
    # Left and right lie in the plane of the others; a sagittal slice mirrored would have its face at the back.
    twice = meta.kind == "segmenter" and cohort.meta.plane != "sagittal"
    return Asked(network.to(device).eval().requires_grad_(False), slices, device, twice)


def _check_fit(meta: ModelMeta, cohort: Cohort) -> None:
    """Slices must mean to the model what those did that it learned from."""
    size = meta.shape["size"]
    if cohort.size != size:
        todo = f"prepare the cohort with --size {size}"
        raise InputError(f"slices of {size} px, as {meta.model} knows them", f"{cohort.size} px", todo)
    own, their = meta.prepare, {"plane": cohort.meta.plane, **cohort.meta.provenance.config}
    for key in PREPARED_ALIKE:
        if key in own and key in their and own[key] != their[key]:
            wanted = f"a cohort with {key} {own[key]}, as {meta.model} knows them"
            raise InputError(wanted, f"one with {key} {their[key]}", "prepare it as the model's cohort was")
    absent = sorted(set(meta.modalities) - set(cohort.modalities))
    if absent and not meta.any_subset and len(meta.modalities) > 1:
        came = f"one of {', '.join(cohort.modalities)}"
        raise InputError(f"a cohort that has {', '.join(absent)} too", came, "prepare it with all of them")


def check_unseen(bundle: Bundle, cohort: Cohort, rows: Ints) -> None:
    """Nobody may be scored whom the model learned from, at first or at second hand.

    Names of simulated patients are those of other simulations too: they count where the model learned from the very
    images of this cohort, whatever its split was then.

    Raises:
        LeakError: somebody is.
    """
    known = set(learned_from(bundle))
    provenance = bundle.meta.provenance
    if provenance.cohort.images_sha256 is not None and provenance.cohort.images_sha256 == _images_digest(cohort):
        known |= set(provenance.trained_on.groups)
    if shared := sorted(names_of(cohort, rows) & known):
        raise leak_error(shared, f"what {bundle.meta.model} was trained on")


def _images_digest(cohort: Cohort) -> str | None:
    from synthoma.cohorts.leaks import source_of

    return source_of(cohort).images_sha256


def rows_of(cohort: Cohort, part: str) -> Ints:
    """The slices of a split, or all of them; without changed copies (``prepare --augment``), which nobody scanned.

    Raises:
        InputError: there are none, with what to do.
    """
    rows = np.arange(len(cohort)) if part == "all" else cohort.rows(split=part)
    # A copy bears the case and number of its slice: the volume of a patient would hold both.
    rows = rows[as_scanned(cohort.slices)[rows]]
    if not len(rows):
        came = f"splits {', '.join(sorted(set(cohort.slices['split'])))}"
        todo = "prepare it with a test share (--split), or give --part all for a cohort from elsewhere"
        raise InputError(f"{part} slices in {cohort.path.name}", came, todo)
    return rows


def check_kind(meta: ModelMeta) -> None:
    """Raise ConfigError for a model that cannot be scored so."""
    if meta.kind == "generator":
        todo = "draw images with `synthoma generate`, and evaluate them as a synthetic cohort"
        raise ConfigError("a segmenter or a classifier", f"the generator {meta.model}", todo)
