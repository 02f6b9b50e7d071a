"""Sums of concepts in what a generator draws from: "these with a tumour - these without + this one".

Radford et al. 2015 (section 6.3.2, fig. 7): single latents do not add up well, but means over several images that show
the same thing do. A concept is therefore a few images, named by their numbers in a cohort drawn with the same seed; of
a conditional model also the name of a class, which takes the place of the images in its class's code.

    expression = term, then any number of: " + " term or " - " term     (with a space on both sides of the sign)
    term       = numbers with commas between them ("12,15,18"), or the name of a class ("tumour")
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from synthoma.core.errors import ConfigError
from synthoma.core.pictures import contact_sheet, grey, png
from synthoma.core.seeding import stream
from synthoma.core.types import Bytes, Floats
from synthoma.generators.phantomgan.latents import SimulatedLatents
from synthoma.generators.sampling import BLOCK, Sampler

EXAMPLE = 'write for example "12,15,18 - 3,4 + 7", with spaces around + and -'
MOST_TERMS, MOST_IMAGES = 8, 8
LARGEST = 10**9

NEIGHBOURS = 8
"""Images near the result that are shown beside it."""

NEAR = 0.25
"""How far they are from it, as a share of its length: as far as Radford et al. went."""

# What is so short beside the codes is rounding, left of images that cancel out: its direction means nothing.
VANISHED = 1e-6


@dataclass(frozen=True)
class Term:
    """One concept of an expression: images by number, or a class by name; added or subtracted (``sign`` 1 or -1)."""

    sign: int
    numbers: tuple[int, ...] = ()
    name: str = ""

    @property
    def words(self) -> str:
        """As it was written, with its sign."""
        return f"{'+' if self.sign > 0 else '-'} {self.name or ','.join(map(str, self.numbers))}"


@dataclass(frozen=True)
class Place:
    """Where an image lies in what a generator draws from.

    Attributes:
        code: the part that sums are made of (D,).
        classes: share of each class in its class's code (K,); empty where the model knows none.
    """

    code: Floats
    classes: Floats


def terms_of(text: str, classes: Sequence[str]) -> list[Term]:
    """The terms of an expression.

    Args:
        text: see the grammar above.
        classes: names that may stand in it.

    Raises:
        ConfigError: it is none, with what is wrong.
    """
    parts = re.split(r"\s+([+-])\s+", text.strip())
    # `split` by a pattern with a group keeps what matched: every second part is a sign.
    signs = [1, *(1 if sign == "+" else -1 for sign in parts[1::2])]
    terms = [_term(sign, part, classes) for sign, part in zip(signs, parts[::2], strict=True)]
    if len(terms) > MOST_TERMS:
        raise ConfigError(f"at most {MOST_TERMS} terms", f"{len(terms)} in --arithmetic", "leave some out")
    if not any(term.numbers for term in terms):
        raise ConfigError("an image by number among the terms", repr(text), 'write for example "tumour - healthy + 7"')
    return terms


def _term(sign: int, part: str, classes: Sequence[str]) -> Term:
    if part in classes and not part.isdecimal():
        return Term(sign, name=part)
    numbers = [number.strip() for number in part.split(",")]
    # `isdecimal` alone holds of digits of every script.
    if not all(number.isascii() and number.isdecimal() and int(number) < LARGEST for number in numbers):
        known = f", or a class ({', '.join(classes)})" if classes else ""
        came = f"{part!r} in --arithmetic"
        if not classes and part.replace("-", "").replace("_", "").isalpha():
            came += ", and a model that was not told the classes"
        raise ConfigError(f"numbers of images with commas between them{known}", came, EXAMPLE)
    if len(numbers) > MOST_IMAGES:
        raise ConfigError(f"at most {MOST_IMAGES} images in a term", f"{len(numbers)} in {part!r}", "leave some out")
    return Term(sign, tuple(map(int, numbers)))


def result_of(terms: Sequence[Term], means: Sequence[Place], lengths: Floats) -> Place:
    """The sum of the terms' means. Its code is as long as the named images' codes are in the root mean square.

    The mean of several codes is shorter than any of them, a sum may be longer; a generator has only seen the length
    that normal numbers have, and draws something faint or overdone from others. One term with one number stays as it
    is.

    Args:
        terms: what is added and subtracted.
        means: of each term.
        lengths: of the codes of all named images.

    Raises:
        ConfigError: nothing remains of the codes.
    """
    code = np.sum([term.sign * mean.code for term, mean in zip(terms, means, strict=True)], axis=0)
    # Shares and no probabilities: healthy less tumour lies beyond both, which is what was asked for.
    classes = np.sum([term.sign * mean.classes for term, mean in zip(terms, means, strict=True)], axis=0)
    usual = float(np.sqrt((lengths**2).mean()))
    if np.linalg.norm(code) < VANISHED * usual:
        raise ConfigError("a sum of which something remains", "images that cancel out", "name others")
    return Place(scaled(code, usual), classes)


def scaled(code: Floats, length: float) -> Floats:
    """The code (D,) at this length; nothing where it is nothing."""
    own = float(np.linalg.norm(code))
    return code * (length / own) if own > 0 else code


class Studio:
    """Draws places of a generator: latents and classes, or the styles of a generator that repaints.

    Args:
        sampler: the generator, with simulated slices where it repaints.
        seed: images are numbered as in a cohort that is drawn with it.
        label: class of all images, as in that cohort; None where they come in turn.
        anatomy: of a generator that repaints, the image whose simulated slice, texture and air all others get.
    """

    def __init__(self, sampler: Sampler, seed: int, label: str | None = None, anatomy: int = 0) -> None:
        self.sampler, self.seed, self.label = sampler, seed, label
        self.names = tuple(sampler.bundle.meta.classes) if sampler.shape.classes else ()
        self.shape: tuple[int, ...] = tuple(sampler.latents.numbered(seed, range(1)).shape[1:])
        self.styles = 0
        if isinstance(sampler.latents, SimulatedLatents):
            self.styles = int(sampler.generator.latent)  # type: ignore[arg-type]
            self.canvas = sampler.latents.numbered(seed, range(anatomy, anatomy + 1))[0]

    def place(self, number: int) -> Place:
        """That of one image."""
        latent = self.sampler.latents.numbered(self.seed, range(number, number + 1))[0].double().numpy()
        code = latent[-1].ravel()[: self.styles] if self.styles else latent.ravel()
        classes = np.zeros(len(self.names))
        if self.names:
            classes[self.names.index(self.label) if self.label else number % len(self.names)] = 1
        return Place(code, classes)

    def mean(self, term: Term) -> Place:
        """That of a term: the mean of its images, or the class with nothing else."""
        if term.name:
            size = self.styles or int(np.prod(self.shape))
            return Place(np.zeros(size), np.array([float(name == term.name) for name in self.names]))
        places = [self.place(number) for number in term.numbers]
        return Place(np.mean([one.code for one in places], axis=0), np.mean([one.classes for one in places], axis=0))

    def pictures(self, places: Sequence[Place]) -> list[Bytes]:
        """The first modality of the images at these places, as grey pictures (S, S)."""
        codes = torch.from_numpy(np.stack([one.code for one in places]).astype(np.float32))
        if self.styles:
            latents = self.canvas.repeat(len(places), 1, 1, 1)
            # `flatten` gives a view here, since a plane's rows lie behind one another: the codes arrive in `latents`.
            latents[:, -1].flatten(1)[:, : self.styles] = codes
        else:
            latents = codes.view(len(places), *self.shape)
        planes = []
        for start in range(0, len(places), BLOCK):
            part = slice(start, start + BLOCK)
            mixture = torch.from_numpy(np.stack([one.classes for one in places[part]]).astype(np.float32))
            with _classes_mixed(self.sampler.generator, mixture):
                # Any class will do: its code gives way to the mixture.
                planes.append(self.sampler.draw(latents[part], torch.zeros(len(latents[part]), dtype=torch.long)))
        return [grey((image[0] + 1) / 2) for image in np.concatenate(planes)]


@contextmanager
def _classes_mixed(generator: nn.Module, mixture: Tensor) -> Iterator[None]:
    """Inside, a generator's class codes are mixtures of those of its classes: (N, K) shares, of the N first images."""

    def mixed(part: nn.Module, _: object, codes: Tensor) -> Tensor:
        assert isinstance(part, nn.Embedding)
        # Behind the first N stand the zeros that fill a block up; their images are thrown away.
        return torch.cat([mixture @ part.weight, codes[len(mixture) :]])

    parts = [part for part in generator.modules() if isinstance(part, nn.Embedding)] if mixture.shape[1] else []
    hooks = [part.register_forward_hook(mixed) for part in parts]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def arithmetic_sheet(sampler: Sampler, seed: int, text: str, label: str | None = None) -> bytes:
    """A row of pictures for each term, its images and last their mean, and one with the result and what lies near it.

    Of a generator that repaints, the sum is one of styles; all but the terms' own images are painted on the simulated
    slice of the first image that is named, so that anatomy and style are not mixed up.

    Args:
        sampler: the generator, with simulated slices where it repaints.
        seed: images are numbered as in a cohort drawn with it; it fixes the neighbours too.
        text: the expression.
        label: class of all images, as in that cohort.

    Returns:
        The bytes of a PNG file.

    Raises:
        ConfigError: no expression, or one of which nothing remains.
    """
    terms = terms_of(text, tuple(sampler.bundle.meta.classes) if sampler.shape.classes else ())
    named = [number for term in terms for number in term.numbers]
    studio = Studio(sampler, seed, label, anatomy=named[0])
    lengths = np.array([np.linalg.norm(studio.place(number).code) for number in named])
    usual = float(np.sqrt((lengths**2).mean()))
    means = [studio.mean(term) for term in terms]
    result = result_of(terms, means, lengths)
    rows, captions = [], []
    for term, mean in zip(terms, means, strict=True):
        shown = [studio.place(number) for number in term.numbers]
        single = len(shown) == 1
        rows.append(studio.pictures([*shown, *([] if single else [Place(scaled(mean.code, usual), mean.classes)])]))
        captions.append(f"{term.words}\n{'' if single or term.name else 'last: their mean'}")
    near = [
        Place(scaled(result.code + NEAR * usual * _direction(seed, number, len(result.code)), usual), result.classes)
        for number in range(NEIGHBOURS)
    ]
    # With its neighbours: one lucky picture would prove nothing of the place.
    rows.append(studio.pictures([result, *near]))
    captions.append(f"= {text}\nfirst: the result; then what lies near it")
    return png(contact_sheet(rows, captions))


def _direction(seed: int, number: int, size: int) -> Floats:
    drawn = stream(seed, "synthesis.neighbour", number).standard_normal(size)
    return scaled(drawn, 1.0)
