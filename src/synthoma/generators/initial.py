"""Beginning a generator with what another one has learned: the shipped phantom model, another run, or a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue
from torch import Tensor

from synthoma.core.errors import ConfigError
from synthoma.core.types import PLAIN_MODALITY
from synthoma.generators.shape import ImageShape
from synthoma.training.bundle import SHIPPED, Bundle, fitting, learned_from, open_model, shipped_model


@dataclass(frozen=True)
class GanStart:
    """Networks of a trained generator to begin with.

    Attributes:
        network: settings of its networks (fields of ``NetworkConfig``).
        weights: of each network by its name, "generator" and "discriminator"; the latter empty where there is none.
        digest: SHA-256 of the file they come from.
        groups: names of the patients that they were learned from; simulated ones are nobody's.
    """

    network: dict[str, JsonValue]
    weights: dict[str, dict[str, Tensor]]
    digest: str
    groups: frozenset[str]


def open_generator(init: str) -> Bundle:
    """The generator that ``init`` names: "phantom", a run folder, or a model file.

    Raises:
        InputError: no generator there.
    """
    return open_model(shipped_model("generator") if init == SHIPPED else Path(init), "generator")


Fitted = Callable[[Mapping[str, Tensor], Mapping[str, Tensor], int, int], tuple[dict[str, Tensor], dict[str, Tensor]]]
"""Weights of a generator and its discriminator, for images of so many channels and labels."""


def gan_start(
    init: str,
    network: str,
    shape: ImageShape,
    *,
    modalities: Sequence[str],
    plane: str,
    fitted: Fitted | None = None,
) -> GanStart:
    """The networks of a run or model file, for a generator of the same kind and images.

    The shipped ones are convolutions throughout and fit images of any size, modalities and labels.

    Args:
        init: "phantom", a run folder, or a model file.
        network: kind of network that begins, see ``NetworkConfig``.
        shape: of its images.
        modalities: their sequences, in order.
        plane: how they lie.
        fitted: fits shipped weights to its channels and labels; None for a kind of which none are shipped.

    Raises:
        InputError: no generator there.
        ConfigError: one of another kind, or of other images.
    """
    bundle = open_generator(init)
    with fitting("a generator"):
        return _gan_start(bundle, init, network, shape, modalities, plane, fitted)


def _gan_start(
    bundle: Bundle,
    init: str,
    network: str,
    shape: ImageShape,
    modalities: Sequence[str],
    plane: str,
    fitted: Fitted | None,
) -> GanStart:
    theirs = bundle.meta.network["network"], ImageShape(**bundle.meta.shape)
    weights = {name: dict(bundle.weights(name)) for name in ("generator", "discriminator")}
    if init == SHIPPED and theirs[0] == network and fitted is not None:
        # Shipped weights are stored in half precision; what is learned on top of them is smaller than its steps.
        weights = {name: {key: value.float() for key, value in own.items()} for name, own in weights.items()}
        painter, judge = fitted(weights["generator"], weights["discriminator"], shape.channels, shape.labels)
        weights = {"generator": painter, "discriminator": judge}
    elif theirs != (network, shape):
        todo = "begin with a model of images of this size, these modalities, labels and classes, or leave it out"
        came = f"{bundle.meta.model}: {theirs[0]} of {theirs[1]}"
        raise ConfigError(f"a generator to begin with: {network} of {shape}", came, todo)
    elif PLAIN_MODALITY not in (*modalities, *bundle.meta.modalities):
        shown = f"{bundle.meta.plane} slices of {', '.join(bundle.meta.modalities)}"
        if (wanted := f"{plane} slices of {', '.join(modalities)}") != shown:
            todo = "begin with a model of these sequences in this order and plane, or leave it out"
            raise ConfigError(f"a generator of {wanted} to begin with", shown, todo)
    return GanStart(bundle.meta.network, weights, bundle.digest, learned_from(bundle))
