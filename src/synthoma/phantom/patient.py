"""Simulated patients, from a seed and a number to a study: the chain person, tumour, tissue, signal, image."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ContextDecorator
from dataclasses import dataclass, replace
from functools import partial
from threading import Lock

import numpy as np
import torch
from torch import Tensor

from synthoma.core.seeding import stream
from synthoma.core.types import PLAIN_MODALITY, REGIONS, Array, Bytes, Floats
from synthoma.phantom import acquisition as scanner
from synthoma.phantom import anatomy
from synthoma.phantom.atlas import Atlas, atlas, to_unit
from synthoma.phantom.config import PhantomConfig
from synthoma.phantom.contrast import draw_properties, signals
from synthoma.phantom.fields import SplineField, where_code
from synthoma.phantom.invasion import Growths, fitted, invade, push_of
from synthoma.phantom.near import near_head
from synthoma.phantom.swift import resolve_planes
from synthoma.phantom.tissue import Tissue, mask_of
from synthoma.phantom.tumour import Biology, Tumour, draw_biology, grow, radius_of, starts_of
from synthoma.scans.case import Case, Geometry, Study


@dataclass(frozen=True)
class Patient:
    """A simulated patient.

    Attributes:
        study: images (uint16, arbitrary scanner units), mask and geometry.
        tissue: ``Tissue`` codes on the study's grid, uint8 (z, y, x); its tumour codes give the mask exactly. Air
            outside the brain where the head was stripped.
        facts: grade, age in years, site, tumour volume in ml, side, lobe, centre in mm and how the scan was made.
    """

    study: Study
    tissue: Bytes
    facts: Mapping[str, str | float]


@dataclass(frozen=True)
class Person:
    """What is decided about a patient before anything is built.

    Attributes:
        site: number of the scanner.
        traits: body.
        biology: tumour, or None in a healthy person.
    """

    site: int
    traits: anatomy.Traits
    biology: Biology | None


def draw_person(seed: int, index: int, config: PhantomConfig) -> Person:
    """Draw who patient ``index`` is; costs nothing."""
    rng = stream(seed, "phantom.patient", index)
    site, sick, high = int(rng.integers(config.sites)), rng.random() >= config.healthy, rng.random() < config.high_grade
    traits = anatomy.draw_traits(stream(seed, "phantom.traits", index), config)
    biology = draw_biology(stream(seed, "phantom.biology", index), config, high) if sick else None
    return Person(site, traits, biology)


class Alone(ContextDecorator):
    """Runs torch on one thread, and restores the setting when the last caller has left.

    A patient is many small operations. Two threads save a fifth of the time on an idle machine; on a busy one their
    barriers cost tenfold. Cohorts scale by processes instead.
    """

    lock, inside, threads = Lock(), 0, 1

    def __enter__(self) -> None:
        with Alone.lock:
            if not Alone.inside:
                Alone.threads = torch.get_num_threads()
                torch.set_num_threads(1)
            Alone.inside += 1

    def __exit__(self, *_: object) -> None:
        with Alone.lock:
            Alone.inside -= 1
            if not Alone.inside:
                torch.set_num_threads(Alone.threads)


@Alone()
def simulate(seed: int, index: int, config: PhantomConfig | None = None) -> Patient:
    """Simulate patient ``index`` of cohort ``seed``.

    The result depends on the arguments alone: not on other patients, on the order of calls or on threads.

    Args:
        seed: of the cohort.
        index: number of the patient, from 0.
        config: what the cohort is made of; the default one where None.
    """
    config = config or PhantomConfig()
    template, person = atlas(), draw_person(seed, index, config)
    site = scanner.draw_site(seed, person.site, config)
    body, tumour = embody(seed, index, person, template, config)
    z, y, x = scan_axes(stream(seed, "phantom.scan", index), site, body, config)
    # A thick slice shows the mean of what lies in it: several planes are looked up in each, and averaged later.
    planes, per_slice = scanner.sub_slices(z, site.slice_mm, site.gap)
    codes, brain = anatomy.resolve(body, person.traits, template, planes, y, x)
    growths = invade(tumour, brain) if tumour else None
    harden(codes, brain, growths)
    tissue = scanner.slice_median(codes, per_slice)
    keep = brain_mask(seed, index, body, tissue, z, y, x) if site.stripped else None
    images = _images(seed, index, config, site, body, codes, brain, growths, (z, y, x), per_slice, keep)
    if keep is not None:
        # A map of tissue that no image shows would be no truth of this study.
        tissue = tissue * keep
    found = tissue.numpy()
    spacing = (config.pixel_mm, config.pixel_mm, site.slice_mm)
    # The body's frame has x to the right and y to the front; LPS turns both round.
    geometry = Geometry(spacing, (-float(x[0]), -float(y[0]), float(z[0])))
    study = Study(images, geometry, mask_of(found), dict(REGIONS))
    return Patient(study, found, _facts(person, site, study, tumour))


def phantom_cases(n: int, seed: int, config: PhantomConfig | None = None) -> list[Case]:
    """The first ``n`` patients of a cohort as cases, each simulated when it is loaded.

    Args:
        n: number of patients.
        seed: of the cohort.
        config: what the cohort is made of; the default one where None.
    """
    config = config or PhantomConfig()
    return [phantom_case(seed, index, config) for index in range(n)]


def phantom_case(seed: int, index: int, config: PhantomConfig) -> Case:
    """Patient ``index`` of cohort ``seed`` as a case, simulated when it is loaded."""
    person = draw_person(seed, index, config)
    facts: dict[str, str | float] = {"age": round(person.traits.age, 1)}
    if person.biology:
        facts["grade"] = person.biology.grade
    name = f"phantom-{index:05d}"
    return Case(
        name=name,
        patient=name,
        modalities=(PLAIN_MODALITY,) if config.plain else config.modalities,
        load=partial(_load, seed, index, config),
        label="tumour" if person.biology else "healthy",
        has_mask=True,
        site=f"site-{person.site + 1}",
        facts=facts,
    )


def _load(seed: int, index: int, config: PhantomConfig) -> Study:
    if not config.plain:
        return simulate(seed, index, config).study
    only = str(stream(seed, "phantom.plain", index).choice(config.modalities))
    study = simulate(seed, index, config.model_copy(update={"modalities": (only,)})).study
    return replace(study, images={PLAIN_MODALITY: study.images[only]})


def embody(
    seed: int, index: int, person: Person, template: Atlas, config: PhantomConfig, *, swift: bool = False
) -> tuple[anatomy.Body, Tumour | None]:
    """Deform the template into the person, grow the tumour in it, and let the tumour push.

    ``swift`` takes matrix products where they are faster: the same person to float32's rounding.
    """
    lattice = anatomy.scan_lattice()
    near = near_head(template, to_unit(anatomy.posed(person.traits, lattice.points()))) if swift else None
    places = anatomy.deform(stream(seed, "phantom.anatomy", index), person.traits, template, lattice, near)
    tumour = None
    if person.biology:
        pushed = person.biology.push_mm / radius_of(person.biology.volume_ml)
        # It grows in the template, and is larger in the body: by what it pushes aside, and by the head's own size.
        shrink = (1 - pushed) ** 3 / float(np.prod(person.traits.scale))
        starts = starts_of(template.growth, config.lobe, config.side)
        tumour = grow(
            stream(seed, "phantom.tumour", index), person.biology, template.growth, shrink, starts, swift=swift
        )
        # Places lead from the body into the template and have no inverse: the lattice point that leads nearest to the
        # tumour's centre is where it lies in the body.
        gap = (places - torch.tensor(tumour.centre).reshape(3, 1, 1, 1)).square().sum(0)
        nearest = lattice.points().flatten(1)[:, int(gap.argmin())]
        middle = float(nearest[0]), float(nearest[1]), float(nearest[2])
        places = anatomy.push_aside(template, lattice, places, push_of(tumour, middle), near)
    body = anatomy.build(stream(seed, "phantom.body", index), person.traits, template, lattice, places, near)
    if tumour is not None:
        tumour = _fitted(tumour, body, middle, person.traits, template, swift)
    return body, tumour


def _fitted(
    tumour: Tumour, body: anatomy.Body, middle: tuple[float, float, float], traits: anatomy.Traits, template: Atlas,
    swift: bool,
) -> Tumour:  # fmt: skip
    """The tumour with the volume that was drawn, in this body: the same however it is scanned."""
    radius = radius_of(tumour.biology.volume_ml)
    # Fine enough for a thousand places in it, and far enough around for what is not a ball.
    step, reach = float(np.clip(radius / 6, 1.0, 3.0)), 2.2 * radius + 12 + 40 * (tumour.biology.foci > 1)
    lattice = body.lattice
    z, y, x = (
        np.arange(max(at - reach, float(axis.min())), min(at + reach, float(axis.max())), step)
        for at, axis in zip(middle[::-1], (lattice.z, lattice.y, lattice.x), strict=True)
    )
    _, brain = (resolve_planes if swift else anatomy.resolve)(body, traits, template, z, y, x)
    return fitted(tumour, brain, step**3 / 1000, swift=swift)


def scan_axes(
    rng: np.random.Generator, site: scanner.Site, body: anatomy.Body, config: PhantomConfig
) -> tuple[Floats, Floats, Floats]:
    """Slice centres and pixel positions in mm: from about the vertex down, cropped to the head with a margin."""
    lattice, head = body.lattice, (body.layers[3] < 0).numpy()
    above, cover = rng.uniform(-9, 7), rng.uniform(138, 180)
    margins = rng.uniform(3, 12, 4)
    top = lattice.z[np.flatnonzero(head.any((1, 2)))[-1]] + above
    count = int(np.ceil(cover / site.slice_mm))
    z = top - site.slice_mm * (np.arange(count)[::-1] + 0.5)
    z = z[z > lattice.z[0]]
    seen = head[(lattice.z >= z[0]) & (lattice.z <= z[-1])]
    rows, columns = np.flatnonzero(seen.any((0, 2))), np.flatnonzero(seen.any((0, 1)))
    y = np.arange(lattice.y[rows[0]] + margins[0], lattice.y[rows[-1]] - margins[1], -config.pixel_mm)
    x = np.arange(lattice.x[columns[0]] + margins[2], lattice.x[columns[-1]] - margins[3], -config.pixel_mm)
    return z, y, x


def harden(codes: Tensor, brain: anatomy.Brain, growths: Growths | None) -> None:
    """Write the prevailing tissue of the brain's places into the code map."""
    best = where_code(brain.white > brain.grey, int(Tissue.WHITE), brain.grey_code)
    best = where_code(brain.lesion * brain.white > 0.5, int(Tissue.LESION), best)
    best = where_code(brain.fluid > 0.5, brain.fluid_code, best)
    if growths is not None:
        healthy = best.index_select(0, growths.index)
        best.scatter_(0, growths.index, where_code(growths.codes > 0, growths.codes, healthy))
    codes.view(-1).scatter_(0, brain.index, best)


def brain_mask(seed: int, index: int, body: anatomy.Body, tissue: Tensor, z: Floats, y: Floats, x: Floats) -> Tensor:
    """What skull stripping keeps, bool (z, y, x): the brain within a millimetre or two, and all of the tumour."""
    rng = stream(seed, "phantom.strip", index)
    lattice = body.lattice
    # No tool strips exactly along the brain: its edge errs smoothly, and by a constant of its own.
    error = SplineField.draw(rng, 12.0).on(lattice.z, lattice.y, lattice.x)[0]
    edge = body.layers[0] + 0.9 * error + rng.uniform(-0.5, 1.5)
    return (lattice.expand(edge[None], z, y, x)[0] < 0) | (tissue >= Tissue.OEDEMA)


def _images(
    seed: int, index: int, config: PhantomConfig, site: scanner.Site, body: anatomy.Body, codes: Tensor,
    brain: anatomy.Brain, growths: Growths | None, axes: tuple[Floats, Floats, Floats], per_slice: int,
    keep: Tensor | None,
) -> dict[str, Array]:  # fmt: skip
    """Every modality as the site's scanner shows it."""
    rng = stream(seed, "phantom.scanner", index)
    moved = rng.random() < config.artefacts
    properties = draw_properties(stream(seed, "phantom.properties", index), site.protocol.tesla)
    texture = SplineField.draw(stream(seed, "phantom.texture", index), 3.0).on(*axes)[0]
    images: dict[str, Array] = {}
    for modality in config.modalities:
        own = stream(seed, f"phantom.{modality}", index)
        table = torch.from_numpy(signals(modality, site.protocol, properties))
        # Tissues of one kind are not equally bright in all people, nor in one person's sequences alike.
        table *= torch.from_numpy(np.exp(own.normal(0, 0.03, 256)).astype(np.float32))
        signal = scanner.slice_mean(paint(codes, brain, growths, table), per_slice)
        sense = scanner.sensitivity(own, site, body.lattice, body.layers[3])
        gain = body.lattice.expand(sense, *axes)[0].mul_(1 + 0.025 * texture)
        exposure = scanner.draw_exposure(own, len(axes[0]), moved, per_slice > 1)
        white = float(table[Tissue.WHITE])
        image = scanner.expose(own, signal, gain, site, modality, white, exposure)
        images[modality] = image if keep is None else image * keep.numpy()
    return images


def paint(codes: Tensor, brain: anatomy.Brain, growths: Growths | None, table: Tensor) -> Tensor:
    """Noise-free signal on the codes' grid, float32: hard codes outside the brain, mixed fractions inside."""
    signal = table.index_select(0, codes.flatten().to(torch.int32)).view(codes.shape)
    white = table[Tissue.WHITE] + brain.lesion * (table[Tissue.LESION] - table[Tissue.WHITE])
    inside = brain.white * white
    inside += brain.grey * table.index_select(0, brain.grey_code.to(torch.int32))
    inside += brain.fluid * table.index_select(0, brain.fluid_code.to(torch.int32))
    if growths is not None:
        levels = torch.stack([table[kind] for kind in growths.kinds])[:, None]
        # What the tumour leaves of a place shows as before, so that fractions add up to one everywhere.
        rest = 1 - growths.fractions.sum(0)
        before = inside.index_select(0, growths.index)
        inside.scatter_(0, growths.index, before * rest + (growths.fractions * levels).sum(0))
    signal.view(-1).scatter_(0, brain.index, inside)
    return signal


def _facts(person: Person, site: scanner.Site, study: Study, tumour: Tumour | None) -> dict[str, str | float]:
    """What is known about the patient, from the mask itself where it is about the tumour."""
    facts: dict[str, str | float] = {
        "grade": person.biology.grade if person.biology else "none",
        "age": round(person.traits.age, 1),
        "site": f"site-{person.site + 1}",
        "tesla": site.protocol.tesla,
        "slice_mm": site.slice_mm,
        "skull": "stripped" if site.stripped else "whole",
        "atrophy": round(person.traits.atrophy, 3),
        "volume_ml": 0.0,
    }
    if tumour is None or study.mask is None or study.geometry is None or not study.mask.any():
        return facts
    spacing, origin = np.array(study.geometry.spacing), np.array(study.geometry.origin)
    centre = np.argwhere(study.mask)[:, ::-1].mean(0) * spacing + origin
    voxel_ml = float(spacing.prod()) / 1000
    facts["volume_ml"] = float(np.count_nonzero(study.mask)) * voxel_ml
    for value, name in REGIONS.items():
        facts[f"{name}_ml"] = float(np.count_nonzero(study.mask == value)) * voxel_ml
    facts["lobe"] = tumour.lobe
    facts["side"] = "left" if centre[0] > 0 else "right"
    facts.update({f"centre_{axis}_mm": round(float(value), 2) for axis, value in zip("xyz", centre, strict=True)})
    return facts
