"""Sampling a trained generator: each image is a function of (model, seed, index), so shards can be drawn anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from synthoma.cohorts.cohort import Cohort, CohortWriter
from synthoma.cohorts.meta import CohortMeta, Provenance
from synthoma.cohorts.splits import SPLITS
from synthoma.core.errors import ConfigError
from synthoma.core.provenance import software
from synthoma.core.types import Bytes, Float16, Floats, tumour_of
from synthoma.generators.families import family_of, network_of
from synthoma.generators.latents import LatentSource
from synthoma.generators.phantomgan.simulated import simulated_names
from synthoma.generators.planes import split_planes
from synthoma.generators.shape import ImageShape
from synthoma.training.bundle import Bundle, fitting, open_model

BLOCK = 64
"""Images drawn at once: always numbers 64 k to 64 k + 63, wanted or not.

A matrix product may round differently in a batch of another size, or in another row of it.
"""

Task = tuple[int, int, int]
"""A block to draw: its first number, and the range of numbers (from, to below) that is wanted of it."""

Piece = tuple[Float16, Bytes, list[dict[str, object]]]
"""What was drawn: images (N, C, S, S), masks (N, S, S), and a row of slices.csv for each."""

Pieces = Callable[[Sequence[Task]], AbstractContextManager[Iterator[Piece]]]
"""Draws tasks in order, see ``generators.spreading``."""


@dataclass(frozen=True)
class Sampler:
    """A trained generator, ready to draw.

    Attributes:
        bundle: the model file.
        shape: of its images.
        generator: the network, in evaluation mode.
        latents: what its images are made of.
        repaints: whether these are simulated slices.
    """

    bundle: Bundle
    shape: ImageShape
    generator: torch.nn.Module
    latents: LatentSource
    repaints: bool = False

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
            shape = ImageShape(**bundle.meta.shape)
            config = network_of(bundle.meta.network)
            family = family_of(config)
            generator = family.generator(config, shape).eval().requires_grad_(False)
            generator.load_state_dict(bundle.weights("generator"))
        source = family.draw_from(bundle, shape, family.latent(config, shape), phantom, label)
        return cls(bundle, shape, generator, source, family.repaints)

    @property
    def labels(self) -> dict[str, str]:
        """What the masks of its images tell apart, by value; those of the simulated slices, where it repaints them."""
        return dict(self.latents.labels)

    def finished(self, planes: Floats, seed: int, indices: range) -> tuple[Floats, Bytes]:
        """Images (N, C, S, S) and masks (N, S, S) of drawn planes; repainted slices have the simulated ones' masks."""
        images, masks = split_planes(planes, self.shape, tuple(int(value) for value in self.labels))
        exact = self.latents.masks(seed, indices)
        return images, masks if exact is None else exact

    def draw(self, latents: Tensor, classes: Tensor) -> Floats:
        """Images (N, planes, S, S) in -1..1 for latents (N, *latent) and class numbers (N,).

        Whatever N, the network sees blocks of 64 (the last one filled up), so an image does not depend on its company.
        """
        pieces = []
        with torch.no_grad():
            for start in range(0, len(latents), BLOCK):
                part, label = latents[start : start + BLOCK], classes[start : start + BLOCK]
                fill = BLOCK - len(part)
                # Zeros fill the last block up; in evaluation mode no image sees its neighbours.
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
    classes, repaints = list(bundle.meta.classes), repaints_slices(bundle)
    if label not in classes:
        raise ConfigError(f"a class of the model ({', '.join(classes)})", repr(label), "choose one of them")
    if repaints and label not in (names := simulated_names(classes, bundle.meta.kinds)):
        wanted = f"a class that can be simulated ({', '.join(names)})"
        raise ConfigError(wanted, repr(label), "choose one of them, or none")
    if not repaints and not bundle.meta.shape["classes"] and len(classes) > 1:
        came = f"one that learned {', '.join(classes)} together"
        raise ConfigError("a model that can choose a class", came, "leave out --class, or train with --conditional")


def repaints_slices(bundle: Bundle) -> bool:
    """Whether a model makes its images of simulated slices."""
    with fitting("a generator"):
        return family_of(network_of(bundle.meta.network)).repaints


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
    pieces: Pieces | None = None,
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
        pieces: draws, in place of this process, with the same model, seed, class, factor and choice.
        progress: told how far it is.

    Raises:
        ConfigError: a class that the model does not know or cannot choose, or numbers out of range.
    """
    check_request(sampler.bundle, count, label=label, truncation=truncation, shard=shard)
    part, parts = shard
    # Whole numbers: the end of a shard is the beginning of the next, with none left out or drawn twice.
    first, last = count * (part - 1) // parts, count * part // parts
    tasks = [
        # Whole blocks at both ends: what belongs to the neighbouring shards is drawn with them and thrown away.
        (start, max(start, first), min(start + BLOCK, last))
        for start in range(first - first % BLOCK, last, BLOCK)
    ]
    own = (draw_piece(sampler, task, seed, label, truncation, rejection) for task in tasks)
    drawing = nullcontext(own) if pieces is None else pieces(tasks)
    with CohortWriter(folder, channels=sampler.shape.channels, size=sampler.shape.size) as writer, drawing as drawn:
        for piece in drawn:
            writer.add(*piece)
            progress("drawing images", len(writer.records), last - first)
        described = cohort_meta(sampler, seed, count, shard, truncation, writer.records)
        if rejection is not None:
            kept_share = {"kept_share": rejection.share}
            described = described.model_copy(update={"provenance": described.provenance.model_copy(update=kept_share)})
        writer.finish(pd.DataFrame(writer.records), described)
    return Cohort(folder)


def draw_piece(
    sampler: Sampler, task: Task, seed: int, label: str | None, truncation: float, rejection: Chooser | None
) -> Piece:
    """Draw the whole block of a task, and give what is wanted of it; see ``generate_cohort``."""
    start, first, last = task
    block, indices = range(start, start + BLOCK), range(first, last)
    classes = list(sampler.bundle.meta.classes)
    # By number and not by chance: each shard has its share of classes without knowing of the others.
    numbers = [classes.index(label) if label else index % len(classes) for index in block]
    labels = torch.tensor(numbers)
    if rejection is not None:
        planes = rejection.draw(seed, block, labels)
    else:
        planes = sampler.draw(sampler.latents.numbered(seed, block, truncation), labels)
    images, masks = sampler.finished(planes[first - start : last - start], seed, indices)
    records = [
        _record(index, classes[numbers[index - start]], sampler, mask, seed)
        for index, mask in zip(indices, masks, strict=True)
    ]
    return images.astype(np.float16), masks, records


def _record(index: int, name: str, sampler: Sampler, mask: Bytes, seed: int) -> dict[str, object]:
    case = f"synthetic-{index:06d}"
    area = int(tumour_of(mask).sum())
    group, repaints = sampler.latents.origin(seed, index)
    return {
        "case": case,
        "slice": 0,
        "patient": "",
        "group": group or case,
        "split": SPLITS[0],
        "label": sampler.latents.label(name, area),
        "asked_for": name if sampler.shape.classes else "",
        "tumour_pixels": area,
        "has_mask": bool(sampler.labels),
        "source": case,
        "missing": "",
        "repaints": repaints,
    }


def cohort_meta(
    sampler: Sampler,
    seed: int,
    count: int,
    shard: tuple[int, int],
    truncation: float,
    records: Sequence[Mapping[str, object]],
) -> CohortMeta:
    """What cohort.json says of drawn slices, given their records; ``count`` is what was asked for, in all shards."""
    meta = sampler.bundle.meta
    classes = sampler.latents.names({str(record["label"]) for record in records})
    return CohortMeta(
        origin="synthetic",
        layout="generated",
        modalities=meta.modalities,
        labels=sampler.labels,
        classes=tuple(classes),
        size=sampler.shape.size,
        plane=meta.plane or "axial",
        cases=len({record["case"] for record in records}),
        patients=0,
        groups=len({record["group"] for record in records}),
        remarks=sampler.latents.remarks,
        provenance=Provenance(
            source=f"generated by {meta.model}",
            model_sha256=sampler.bundle.digest,
            seed=seed,
            count=count,
            shard=shard,
            truncation=truncation,
            trained_on=meta.provenance.trained_on,
            training_cohort=meta.provenance.cohort,
            config={**meta.prepare, **sampler.latents.spacing},
            software=dict(software()),
        ),
    )


def great_circle(ends: Floats, steps: int) -> Floats:
    """Points (``steps``, D) on the way from one latent to another (2, D), by equal angles (White 2016, slerp)."""
    cosine = float(ends[0] @ ends[1] / np.linalg.norm(ends[0]) / np.linalg.norm(ends[1]))
    # Rounding may leave a cosine just above 1.
    angle = np.arccos(np.clip(cosine, -1, 1))
    # Of the angle: even steps of it are even steps of the image, as far as anybody can tell.
    share = np.linspace(0, 1, steps)[:, None]
    if np.sin(angle) > 1e-6:
        path = (np.sin((1 - share) * angle) * ends[0] + np.sin(share * angle) * ends[1]) / np.sin(angle)
    else:  # latents of length 1 lie on one line
        path = (1 - share) * ends[0] + share * ends[1]
    return np.asarray(path)


def interpolate(sampler: Sampler, seed: int, steps: int, rows: int) -> list[list[Floats]]:
    """Strips of images on the way from one latent to another, along the great circle (White 2016).

    On a straight line the middle would have a shorter latent than any the generator was trained with.

    Returns:
        ``rows`` lists of ``steps`` samples (planes, S, S) in -1..1.
    """
    if not sampler.latents.free:
        todo = "walk through its styles and patients (phantomgan.walks)"
        raise ConfigError("a model that draws from latents alone", f"{sampler.bundle.meta.model}, which repaints", todo)
    strips, latent = [], sampler.latents.numbered(seed, range(1)).shape[1:]
    for row in range(rows):
        ends = sampler.latents.numbered(seed, range(2 * row, 2 * row + 2)).flatten(1).numpy().astype(np.float64)
        path = great_circle(ends, steps)
        classes = torch.full((steps,), row % max(sampler.shape.classes, 1))
        latents = torch.from_numpy(path.astype(np.float32)).view(steps, *latent)
        strips.append(list(sampler.draw(latents, classes)))
    return strips
