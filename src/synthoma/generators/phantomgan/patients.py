"""Whole synthetic patients: all slices of a simulated one, repainted in one style and with one scanner's air.

A patient's slices lie in their order, so that a detector that looks at neighbouring slices can learn from them, and so
that they can be written as volumes. Anatomy goes on from slice to slice because the simulated one does.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from synthoma.cohorts.cohort import Cohort, CohortWriter
from synthoma.cohorts.splits import SPLITS
from synthoma.core.errors import ConfigError
from synthoma.core.seeding import stream
from synthoma.core.types import Bytes, Float32, Floats, Ints, tumour_of
from synthoma.generators.phantomgan.latents import SimulatedLatents
from synthoma.generators.phantomgan.simulated import SimulatedSlices, class_of
from synthoma.generators.planes import split_planes
from synthoma.generators.sampling import Piece, Pieces, Sampler, cohort_meta, repaints_slices
from synthoma.training.bundle import Bundle

KEPT = ("slice", "step_mm", "pixel_mm")
"""Columns of the simulated slices that stay true when they are repainted."""


def check_patients(bundle: Bundle) -> None:
    """Whether a model can draw whole patients.

    Raises:
        ConfigError: it draws slices that have no neighbours.
    """
    if not repaints_slices(bundle):
        todo = "train one with --model phantom-gan, or draw single slices with -n"
        raise ConfigError("a model that repaints simulated patients, for --patients", bundle.meta.model, todo)


def simulated(sampler: Sampler) -> SimulatedLatents:
    """The simulated slices of a sampler that repaints.

    Raises:
        ConfigError: it draws from something else.
    """
    if not isinstance(sampler.latents, SimulatedLatents):
        raise ConfigError("a model that repaints simulated patients", sampler.bundle.meta.model, "draw slices (-n)")
    return sampler.latents


def in_order(sampler: Sampler, first: int) -> Sampler:
    """The same sampler with its first simulated slice for image number ``first``, and each other one for the next.

    Raises:
        ConfigError: it draws from something else.
    """
    return replace(sampler, latents=simulated(sampler).in_order(first))


def generate_patients(
    sampler: Sampler,
    folder: Path,
    count: int,
    *,
    seed: int = 0,
    truncation: float = 1.0,
    shard: tuple[int, int] = (1, 1),
    pieces: Pieces | None = None,
    progress: Callable[[str, int, int], None] = lambda text, done, total: None,
) -> Cohort:
    """Draw patients number 0 to ``count`` - 1, or one shard of them, into an existing empty folder as a cohort.

    Simulated patients whose slices are like the real cohort's come early (weighted order without replacement,
    Efraimidis and Spirakis 2006). None comes again before all have come; then they do in other styles, and stay of one
    group, so that no split parts them. Which slices a patient has is as it was simulated.

    Args:
        sampler: a generator that repaints, with the simulated slices of the wanted classes.
        folder: where to write.
        count: patients in all shards together.
        seed: patient k is a function of (model, simulated cohort, seed, k).
        truncation: factor on the noise, above 0 and at most 1; less is more typical and less various.
        shard: (i, k) for the i-th of k parts, from 1.
        pieces: draws, in place of this process, with the same model, seed and factor.
        progress: told how far it is.

    Raises:
        ConfigError: a model that repaints nothing.
    """
    check_patients(sampler.bundle)
    part, parts = shard
    first, last = count * (part - 1) // parts, count * part // parts
    tasks = [(number, number, number + 1) for number in range(first, last)]
    own = (draw_patient(sampler, number, seed, truncation) for number in range(first, last))
    drawing = nullcontext(own) if pieces is None else pieces(tasks)
    with CohortWriter(folder, channels=sampler.shape.channels, size=sampler.shape.size) as writer, drawing as drawn:
        for done, piece in enumerate(drawn, start=1):
            writer.add(*piece)
            progress("drawing patients", done, last - first)
        described = cohort_meta(sampler, seed, count, shard, truncation, writer.records)
        made = described.provenance.model_copy(update={"drawn": "patients"})
        described = described.model_copy(update={"provenance": made})
        writer.finish(pd.DataFrame(writer.records), described)
    return Cohort(folder)


def draw_patient(sampler: Sampler, number: int, seed: int, truncation: float) -> Piece:
    """Draw one whole patient, see ``generate_patients``."""
    names, members, chances = patients_of(simulated(sampler).source)
    turn, place = divmod(number, len(names))
    chosen = int(order_of(chances, stream(seed, "synthesis.patients", turn))[place])
    images, masks = _repainted(sampler, members[chosen], seed, number, truncation)
    return images.astype(np.float16), masks, _records(sampler, members[chosen], masks, number, names[chosen])


def patients_of(source: SimulatedSlices) -> tuple[list[str], list[Ints], Floats]:
    """Names of the simulated patients (P), positions of their slices in order, and the slices' mean chances (P,)."""
    table = source.cohort.slices.iloc[source.rows].reset_index(drop=True)
    places = table["slice"].to_numpy() if "slice" in table else np.zeros(len(table))
    names, members = [], []
    for name, found in table.groupby(table["case"].astype(str), sort=True).indices.items():
        names.append(str(name))
        members.append(np.asarray(found)[np.argsort(places[found], kind="stable")])
    return names, members, np.array([source.chances[own].mean() for own in members])


def order_of(chances: Floats, draws: np.random.Generator) -> Ints:
    """A random order of all (P,), in which those with larger chances tend to come first."""
    # The floor sends slices without any chance to the end, where they stand in a random order too.
    keys = np.log(draws.random(len(chances))) / np.maximum(chances, 1e-300)
    return np.argsort(-keys, kind="stable")


def _repainted(sampler: Sampler, positions: Ints, seed: int, number: int, truncation: float) -> tuple[Floats, Bytes]:
    """Images (Z, C, S, S) and masks (Z, S, S) of one patient: one style, the grain of each slice its own."""
    latents = simulated(sampler)
    side, codes = sampler.shape.size, int(sampler.generator.latent)  # type: ignore[arg-type]
    draws = stream(seed, "synthesis.patient.noise", number)
    style = draws.standard_normal(codes)
    noise = draws.standard_normal((len(positions), side * side))
    # The style of all slices is one, and so is nothing else of the noise: grain that went on from slice to slice would
    # be stripes.
    noise[:, :codes] = style
    grain: Float32 = noise.reshape(-1, 1, side, side).astype(np.float32) * truncation
    made_of = latents.patient(positions, grain, draws)
    planes = sampler.draw(made_of, torch.zeros(len(positions), dtype=torch.long))
    images, _ = split_planes(planes, sampler.shape, tuple(int(value) for value in sampler.labels))
    return images, latents.masks_at(positions)


def _records(sampler: Sampler, positions: Ints, masks: Bytes, number: int, name: str) -> list[dict[str, object]]:
    """Rows of slices.csv of one patient."""
    source = simulated(sampler).source
    table = source.cohort.slices.iloc[source.rows[positions]]
    case, classes = f"synthetic-{number:06d}", sampler.bundle.meta.classes
    areas = tumour_of(masks).sum(axis=(1, 2))
    return [
        {
            "case": case,
            "patient": "",
            "group": f"simulated {row['group']}",
            "split": SPLITS[0],
            "label": class_of(int(area), classes),
            "asked_for": "",
            "tumour_pixels": int(area),
            "has_mask": bool(sampler.labels),
            "source": f"{case} repaints {name}",
            "missing": "",
            **{column: row[column] for column in KEPT if column in table},
        }
        for area, (_, row) in zip(areas, table.iterrows(), strict=True)
    ]
