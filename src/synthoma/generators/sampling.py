"""Sampling a trained generator: each image is a function of (model, seed, index), so shards can be drawn anywhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch
from scipy import ndimage
from torch import Tensor

from synthoma.cohorts.cohort import Cohort, CohortWriter
from synthoma.cohorts.dataset import TrainingSlices
from synthoma.cohorts.splits import SPLITS
from synthoma.core.errors import ConfigError, InputError
from synthoma.core.provenance import software
from synthoma.core.seeding import stream
from synthoma.core.types import UNLABELLED, Bytes, Floats, Ints, tumour_of
from synthoma.generators.networks import ImageShape, build_discriminator, build_generator, latent_shape
from synthoma.generators.phantomgan.matching import Matching
from synthoma.generators.phantomgan.simulated import (
    SimulatedSlices,
    class_of,
    in_air,
    repaintable_slices,
    simulated_class,
    simulated_names,
)
from synthoma.generators.settings import NetworkConfig
from synthoma.training.bundle import Bundle, fitting, open_model

BLOCK = 64
"""Images drawn at once: always numbers 64 k to 64 k + 63, wanted or not.

A matrix product may round differently in a batch of another size, or in another row of it.
"""

SPECK = 0.0005
"""Connected regions of a drawn mask below this share of the picture are removed."""


@dataclass(frozen=True)
class Sampler:
    """A trained generator, ready to draw.

    Attributes:
        bundle: the model file.
        shape: of its images.
        generator: the network, in evaluation mode.
        latent: shape of what one image is drawn from.
        source: simulated slices of the classes that it learned, of a generator that repaints them.
        remarks: what should be known of all that is drawn.
    """

    bundle: Bundle
    shape: ImageShape
    generator: torch.nn.Module
    latent: tuple[int, ...]
    source: SimulatedSlices | None = None
    remarks: tuple[str, ...] = ()

    @classmethod
    def open(cls, run: Path, phantom: Cohort | None = None, label: str | None = None) -> Sampler:
        """Open a run folder or a model file.

        Args:
            run: where.
            phantom: simulated slices, for a generator that repaints them.
            label: class of the simulated slices; those of all classes that were learned where None.

        Raises:
            InputError: not a generator, or simulated slices that do not fit it.
            ConfigError: simulated slices missing, or of no use.
        """
        bundle = open_model(run, "generator")
        with fitting("a generator"):
            shape = ImageShape(**bundle.meta["shape"])
            config = NetworkConfig.model_validate(bundle.meta["network"])
            generator = build_generator(config, shape).eval().requires_grad_(False)
            generator.load_state_dict(bundle.weights("generator"))
        repaints = config.network == "repaint"
        if repaints and phantom is None:
            todo = "give --phantom COHORT (made by `synthoma prepare --phantom N` with the size of the model's images)"
            raise ConfigError("simulated slices to repaint", "none", todo)
        if phantom is not None and not repaints:
            raise ConfigError("a model that repaints simulated slices", bundle.meta["model"], "leave out --phantom")
        meta, source = bundle.meta, None
        remarks: tuple[str, ...] = ()
        if phantom is not None:
            source = repaintable_slices(
                phantom,
                size=shape.size,
                modalities=meta["modalities"],
                plane=meta["plane"],
                labels=tuple(meta["labels"].values()),
                kinds=meta["kinds"] if label is None else (simulated_class(label),),
            )
            matching = Matching.from_meta(meta["matching"]) if meta.get("matching") else None
            source.match(matching)
            # Slices of one class differ from those of all classes by nature.
            if matching is not None and label is None and (strange := matching.strange(source.structure())):
                remarks = (
                    f"The simulated slices differ from those of the training in {', '.join(strange)}: drawn slices may "
                    "come in other shares than real ones. Give the simulated cohort of the training (--phantom).",
                )
        return cls(bundle, shape, generator, latent_shape(config, shape), source, remarks)

    def latents(self, seed: int, indices: range, truncation: float = 1.0) -> Tensor:
        """Latents (N, *latent) of these images, each from a stream of its own; simulated slices come with noise."""
        if self.source is None:
            rows = [stream(seed, "synthesis.latent", index).standard_normal(self.latent) for index in indices]
            return torch.from_numpy(np.stack(rows).astype(np.float32)) * truncation
        side = self.shape.size
        noise = np.stack(
            [stream(seed, "synthesis.latent", index).standard_normal((1, side, side)) for index in indices]
        )
        planes = self.source.fetch(self._simulated(seed, indices)).planes()
        if self.airs is not None:
            draws = [stream(seed, "synthesis.air", index) for index in indices]
            planes = in_air(planes, np.stack([self.air(own) for own in draws]), draws)
        return torch.cat([planes, torch.from_numpy(noise.astype(np.float32)) * truncation], dim=1)

    def _simulated(self, seed: int, indices: range) -> Ints:
        """Which simulated slice each image is, by position in ``source``."""
        assert self.source is not None
        return self.source.drawn(np.array([stream(seed, "synthesis.source", index).random() for index in indices]))

    def simulated(self, seed: int, index: int) -> tuple[str, str]:
        """Group of the simulated slice that an image repaints, and its case and slice; empty where there are none."""
        if self.source is None:
            return "", ""
        table = self.source.cohort.slices
        row = table.iloc[self.source.rows[self._simulated(seed, range(index, index + 1))[0]]]
        place = f"{row['case']}/{row['slice']}" if "slice" in table else ""  # a cohort made by hand may not say
        return f"simulated {row['group']}", place

    @property
    def labels(self) -> dict[str, str]:
        """What the masks of its images tell apart, by value; those of the simulated slices, where it repaints them."""
        if self.source is not None:
            return {str(value): name for value, name in self.source.cohort.tumour_labels.items()}
        labels: dict[str, str] = self.bundle.meta["labels"]
        return labels

    def finished(self, planes: Floats, seed: int, indices: range) -> tuple[Floats, Bytes]:
        """Images (N, C, S, S) and masks (N, S, S) of drawn planes; repainted slices have the simulated ones' masks."""
        images, masks = split_planes(planes, self.shape, tuple(int(value) for value in self.labels))
        if self.source is not None:
            rows = self.source.rows[self._simulated(seed, indices)]
            masks = np.asarray(self.source.cohort.masks[rows])
        return images, masks

    @property
    def airs(self) -> Floats | None:
        """Level and grain of the air in real slices that were learned from (K, C, 2); None where none was measured."""
        known = self.bundle.meta.get("air")
        return np.array(known, np.float64) if known else None

    def air(self, draws: np.random.Generator) -> Floats:
        """Air of one of these slices, (C, 2)."""
        assert self.airs is not None
        return np.asarray(self.airs[int(draws.integers(len(self.airs)))])

    def draw(self, latents: Tensor, classes: Tensor) -> Floats:
        """Images (N, planes, S, S) in -1..1 for latents (N, *latent) and class numbers (N,).

        Whatever N, the network sees blocks of 64 (the last one filled up), so an image does not depend on its company.
        """
        pieces = []
        with torch.no_grad():
            for start in range(0, len(latents), BLOCK):
                part, label = latents[start : start + BLOCK], classes[start : start + BLOCK]
                fill = BLOCK - len(part)
                part = torch.cat([part, part.new_zeros(fill, *part.shape[1:])])
                label = torch.cat([label, label.new_zeros(fill)])
                images = self.generator(part, label if self.shape.classes else None)
                pieces.append(images[: BLOCK - fill].float().numpy())
        return np.concatenate(pieces)


class Chooser(Protocol):
    """Draws the images of a block (64 numbers) for a seed and class numbers, in place of a sampler."""

    @property
    def share(self) -> float:
        """Of all candidates that are kept, 0..1."""

    def draw(self, seed: int, block: range, classes: Tensor) -> Floats:
        """Images (64, planes, S, S) in -1..1."""


def check_request(
    bundle: Bundle,
    count: int,
    *,
    label: str | None = None,
    truncation: float = 1.0,
    shard: tuple[int, int] = (1, 1),
    option: str = "-n",
) -> None:
    """Whether a model can draw what is asked of it, see ``generate_cohort``; ``option`` is what ``count`` is called.

    Raises:
        ConfigError: a class that the model does not know or cannot choose, or numbers out of range.
    """
    part, parts = shard
    if count < 1 or not 0 < truncation <= 1 or not 1 <= part <= parts <= count:
        came = f"{option} {count}, --truncation {truncation}, --shard {part}/{parts}"
        wanted = f"{option} from 1, 0 < truncation <= 1, and a shard i/k with 1 <= i <= k <= {option}"
        raise ConfigError(wanted, came, "correct them")
    if label is None:
        return
    classes, repaints = list(bundle.meta["classes"]), bundle.meta["network"]["network"] == "repaint"
    if label not in classes:
        raise ConfigError(f"a class of the model ({', '.join(classes)})", repr(label), "choose one of them")
    if repaints and label not in (names := simulated_names(classes, bundle.meta["kinds"])):
        wanted = f"a class that can be simulated ({', '.join(names)})"
        raise ConfigError(wanted, repr(label), "choose one of them, or none")
    if not repaints and not bundle.meta["shape"]["classes"] and len(classes) > 1:
        came = f"one that learned {', '.join(classes)} together"
        raise ConfigError("a model that can choose a class", came, "leave out --class, or train with --conditional")


def generate_cohort(
    sampler: Sampler,
    folder: Path,
    count: int,
    *,
    seed: int = 0,
    label: str | None = None,
    truncation: float = 1.0,
    rejection: Chooser | None = None,
    shard: tuple[int, int] = (1, 1),
    progress: Callable[[str, int, int], None] = lambda text, done, total: None,
) -> Cohort:
    """Draw images number 0 to ``count`` - 1, or one shard of them, into an existing empty folder as a cohort.

    Args:
        sampler: the generator.
        folder: where to write.
        count: images in all shards together.
        seed: of the latents.
        label: class of all images; else classes come in equal shares, in turn. Images of a generator that learned
            several classes together, without being told them, are "unlabelled".
        truncation: factor on the latents, above 0 and at most 1; less is more typical and less various.
        rejection: chooses among candidates for each image, see ``generators.gan.rejection``.
        shard: (i, k) for the i-th of k parts, from 1.
        progress: told how far it is.

    Raises:
        ConfigError: a class that the model does not know or cannot choose, or numbers out of range.
    """
    check_request(sampler.bundle, count, label=label, truncation=truncation, shard=shard)
    part, parts = shard
    meta, shape = sampler.bundle.meta, sampler.shape
    classes = list(meta["classes"])
    first, last = count * (part - 1) // parts, count * part // parts
    with CohortWriter(folder, channels=shape.channels, size=shape.size) as writer:
        for start in range(first - first % BLOCK, last, BLOCK):
            block = range(start, start + BLOCK)
            numbers = [classes.index(label) if label else index % len(classes) for index in block]
            labels = torch.tensor(numbers)
            if rejection is not None:
                planes = rejection.draw(seed, block, labels)
            else:
                planes = sampler.draw(sampler.latents(seed, block, truncation), labels)
            indices = range(max(start, first), min(start + BLOCK, last))
            kept = planes[indices.start - start : indices.stop - start]
            images, masks = sampler.finished(kept, seed, indices)
            records = [
                _record(index, classes[numbers[index - start]], sampler, mask, seed)
                for index, mask in zip(indices, masks, strict=True)
            ]
            writer.add(images, masks, records)
            progress("drawing", indices.stop - first, last - first)
        described = cohort_meta(sampler, seed, count, shard, truncation, writer.records)
        if rejection is not None:
            described["provenance"]["kept_share"] = rejection.share
        writer.finish(pd.DataFrame(writer.records), described)
    return Cohort(folder)


def split_planes(planes: Floats, shape: ImageShape, values: tuple[int, ...]) -> tuple[Floats, Bytes]:
    """Images (N, C, S, S) on the cohort's scale (0 background, 1 bright) and clean masks (N, S, S) of drawn planes.

    A pixel belongs to the label whose plane is highest, if that is above 0. Specks are removed.

    Args:
        planes: (N, C + L, S, S) in -1..1.
        shape: says how many of them are images.
        values: of each label's pixels in a mask (L,).
    """
    images = np.clip((planes[:, : shape.channels] + 1) / 2, 0, 1)
    if not shape.labels:
        return images, np.zeros((len(planes), shape.size, shape.size), dtype=np.uint8)
    labels = planes[:, shape.channels :]
    masks = np.where(labels.max(axis=1) > 0, np.array(values)[labels.argmax(axis=1)], 0).astype(np.uint8)
    return images, np.stack([without_specks(mask) for mask in masks])


def without_specks(mask: Bytes) -> Bytes:
    """The mask (S, S) without connected tumour regions smaller than ``SPECK`` of the picture."""
    regions, count = ndimage.label(tumour_of(mask))
    if not count:
        return mask
    sizes = np.bincount(regions.ravel())
    kept = sizes >= max(2.0, SPECK * mask.size)
    return np.where(kept[regions], mask, 0).astype(np.uint8)


def _record(index: int, name: str, sampler: Sampler, mask: Bytes, seed: int) -> dict[str, Any]:
    meta, shape = sampler.bundle.meta, sampler.shape
    case = f"synthetic-{index:06d}"
    area = int(tumour_of(mask).sum())
    group, repaints = sampler.simulated(seed, index)
    if sampler.source is not None:
        label = class_of(area, meta["classes"])
    elif sampler.labels and set(meta["classes"]) == {"tumour", "healthy"}:  # they only say what a mask shows
        label = "tumour" if area else "healthy"
    else:
        label = name if shape.classes or len(meta["classes"]) == 1 else UNLABELLED
    return {
        "case": case,
        "slice": 0,
        "patient": "",
        "group": group or case,
        "split": SPLITS[0],
        "label": label,
        "asked_for": name if shape.classes else "",
        "tumour_pixels": area,
        "has_mask": bool(sampler.labels),
        "source": case,
        "missing": "",
        "repaints": repaints,
    }


def cohort_meta(
    sampler: Sampler, seed: int, count: int, shard: tuple[int, int], truncation: float, records: list[dict[str, Any]]
) -> dict[str, Any]:
    """What cohort.json says of drawn slices, given their records; ``count`` is what was asked for, in all shards."""
    meta = sampler.bundle.meta
    unlabelled = UNLABELLED in {record["label"] for record in records}
    classes = [UNLABELLED] if unlabelled else list(meta["classes"])
    if sampler.source is not None:
        classes = list(simulated_names(meta["classes"], meta["kinds"]))
    return {
        "origin": "synthetic",
        "layout": "generated",
        "modalities": meta["modalities"],
        "labels": sampler.labels,
        "classes": classes,
        "size": sampler.shape.size,
        "plane": meta["plane"],
        "cases": len({record["case"] for record in records}),
        "patients": 0,
        "groups": len({record["group"] for record in records}),
        "remarks": list(sampler.remarks),
        "provenance": {
            "source": f"generated by {meta['model']}",
            "model_sha256": sampler.bundle.digest,
            "seed": seed,
            "count": count,
            "shard": list(shard),
            "truncation": truncation,
            "trained_on": meta["provenance"]["trained_on"],
            "training_cohort": meta["provenance"]["cohort"],
            "config": {**meta["prepare"], **_spacing_of_slices(sampler)},
            "software": software(),
        },
    }


def _spacing_of_slices(sampler: Sampler) -> dict[str, Any]:
    """How many slices lie from one that was kept to the next: as in the simulated scans, where these are repainted."""
    if sampler.source is None:
        return {}
    return {"every": sampler.source.cohort.meta.get("provenance", {}).get("config", {}).get("every", 1)}


def interpolate(sampler: Sampler, seed: int, steps: int, rows: int) -> list[list[Floats]]:
    """Strips of images on the way from one latent to another, along the great circle (White 2016).

    On a straight line the middle would have a shorter latent than any the generator was trained with.

    Returns:
        ``rows`` lists of ``steps`` samples (planes, S, S) in -1..1.
    """
    if sampler.source is not None:
        todo = "leave out --interpolation"
        raise ConfigError(
            "a model that draws from latents alone", f"{sampler.bundle.meta['model']}, which repaints", todo
        )
    strips = []
    for row in range(rows):
        ends = sampler.latents(seed, range(2 * row, 2 * row + 2)).flatten(1).numpy().astype(np.float64)
        cosine = float(ends[0] @ ends[1] / np.linalg.norm(ends[0]) / np.linalg.norm(ends[1]))
        angle = np.arccos(np.clip(cosine, -1, 1))
        share = np.linspace(0, 1, steps)[:, None]
        if np.sin(angle) > 1e-6:
            path = (np.sin((1 - share) * angle) * ends[0] + np.sin(share * angle) * ends[1]) / np.sin(angle)
        else:  # latents of length 1 lie on one line
            path = (1 - share) * ends[0] + share * ends[1]
        classes = torch.full((steps,), row % max(sampler.shape.classes, 1))
        latents = torch.from_numpy(path.astype(np.float32)).view(steps, *sampler.latent)
        strips.append(list(sampler.draw(latents, classes)))
    return strips


def judge_images(run: Path, images: Floats, classes: Tensor | None = None) -> tuple[Floats, str]:
    """What the discriminator of a run thinks of images (N, C, S, S) on the cohort's scale (0 background, 1 bright).

    A conditional model that is not told the classes (N,) gives each image the score of the class that suits it best.

    Returns:
        Scores (N,), and what they are: "probability" (0 fake, 1 real) or "critic score" (more is more real).

    Raises:
        InputError: images of another size, or a model that judges masks too.
    """
    bundle = open_model(run, "generator")
    shape = ImageShape(**bundle.meta["shape"])
    if shape.labels:
        raise InputError("a model that judges images alone", "one trained with masks", "train one without --with-masks")
    expected = (shape.channels, shape.size, shape.size)
    if images.shape[1:] != expected:
        raise InputError(f"images of shape {expected}", f"{images.shape[1:]}", "prepare them as the model's cohort was")
    return _judged(bundle, shape, torch.from_numpy(np.clip(images, 0, 1).astype(np.float32) * 2 - 1), classes)


def judge_slices(run: Path, cohort: Cohort, rows: Ints) -> Floats:
    """What the discriminator of a run thinks of slices of a cohort, with their masks where it judges masks too; (N,).

    Raises:
        InputError: not a generator, or one of other images than the cohort's.
    """
    bundle = open_model(run, "generator")
    shape = ImageShape(**bundle.meta["shape"])
    slices = TrainingSlices(cohort, rows, with_masks=bool(shape.labels), classes=tuple(bundle.meta["classes"]))
    planes = slices.fetch(np.arange(len(rows))).planes()
    expected = (shape.channels + shape.labels, shape.size, shape.size)
    if tuple(planes.shape[1:]) != expected:
        came = f"{tuple(planes.shape[1:])}"
        raise InputError(f"slices of shape {expected} (modalities and labels)", came, "give the run's own cohort")
    return _judged(bundle, shape, planes, None)[0]


def _judged(bundle: Bundle, shape: ImageShape, planes: Tensor, classes: Tensor | None) -> tuple[Floats, str]:
    with fitting("a discriminator"):
        config = NetworkConfig.model_validate(bundle.meta["network"])
        network = build_discriminator(config, shape).eval()
        network.load_state_dict(bundle.weights("discriminator"))
    guesses: list[Tensor | None] = [None]
    if shape.classes:
        each = range(shape.classes)
        guesses = [classes] if classes is not None else [torch.full((len(planes),), number) for number in each]
    with torch.no_grad():
        columns = [
            torch.cat(
                [
                    network(planes[at : at + BLOCK], None if guess is None else guess[at : at + BLOCK])
                    for at in range(0, len(planes), BLOCK)
                ]
            )
            for guess in guesses
        ]
    scores = torch.stack(columns).amax(dim=0).reshape(len(planes), -1).mean(dim=1)  # of pieces, their mean
    if str(bundle.meta["loss"]).startswith("bce"):
        return scores.sigmoid().double().numpy(), "probability"
    return scores.double().numpy(), "critic score"
