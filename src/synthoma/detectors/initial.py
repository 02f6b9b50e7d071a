"""Beginning a detector with what another model has learned: the shipped one, another run, or a GAN's networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from synthoma.cohorts.cohort import Cohort
from synthoma.core.errors import ConfigError
from synthoma.core.types import PLAIN_MODALITY
from synthoma.detectors.settings import ClassifierConfig, SegmenterConfig, SegmenterNetwork
from synthoma.training.bundle import SHIPPED, Bundle, fitting, learned_from, open_model, shipped_model
from synthoma.training.settings import Kind


@dataclass(frozen=True)
class Start:
    """Weights to begin with.

    Attributes:
        learner: the settings, with the network that the weights belong to.
        weights: by name, as the new network has them.
        digest: SHA-256 of the file they come from.
        groups: names of the patients that they were learned from; simulated ones are nobody's.
    """

    learner: SegmenterConfig | ClassifierConfig
    weights: dict[str, Tensor]
    digest: str
    groups: frozenset[str]

    def load(self, network: nn.Module) -> None:
        """Put the weights into a network; what they do not cover stays as it is.

        Raises:
            ConfigError: not one of them fits.
        """
        own = network.state_dict()
        # Shipped weights are stored in half precision, and learned on in full.
        fitting = {name: value.float() if value.is_floating_point() else value for name, value in self.weights.items()}
        # Layers of another shape stay random: targets or modalities may differ.
        fitting = {name: value for name, value in fitting.items() if name in own and own[name].shape == value.shape}
        if not fitting:
            raise ConfigError(
                "a model of the same network to begin with", "one that shares no layer", "leave out --init"
            )
        network.load_state_dict({**own, **fitting})


def start_from(init: str, kind: Kind, learner: SegmenterConfig | ClassifierConfig, cohort: Cohort) -> Start:
    """Weights of ``init``, fitted to a cohort's modalities.

    Args:
        init: "phantom", a run folder, or a model file.
        kind: of the model that begins.
        learner: its settings; the network's own are taken from the file.
        cohort: what it will learn from.

    Raises:
        InputError: no model there.
        ConfigError: a model that this one cannot begin with.
    """
    path = shipped_model() if init == SHIPPED else Path(init)
    bundle = open_model(path)
    with fitting(f"a start for a {kind}"):
        return _start_from(bundle, kind, learner, cohort)


def _start_from(bundle: Bundle, kind: Kind, learner: SegmenterConfig | ClassifierConfig, cohort: Cohort) -> Start:
    if bundle.meta.kind == "generator":
        return _from_gan(bundle, learner, cohort)
    if bundle.meta.kind != "segmenter" or not isinstance(learner, SegmenterConfig):
        came = f"a {bundle.meta.kind} for a {kind}"
        raise ConfigError(
            "a segmenter for a segmenter, or a GAN for a model named critic-... or gan-unet", came, "change --init"
        )
    settings = SegmenterNetwork.model_validate(bundle.meta.network)
    if settings.network != learner.network:
        todo = f"use the model {bundle.meta.model}, or leave out --init"
        raise ConfigError(f"a start for {learner.network}", settings.network, todo)
    weights = dict(bundle.weights("segmenter"))
    if settings.network == "unet-25d":
        weights["entry.weight"] = _fitted(weights["entry.weight"], settings, bundle.meta.modalities, cohort)
    return Start(learner.model_copy(update=settings.model_dump()), weights, bundle.digest, learned_from(bundle))


def _fitted(entry: Tensor, settings: SegmenterNetwork, known: Sequence[str], cohort: Cohort) -> Tensor:
    """First convolution (W, K * C * B, 3, 3) for a cohort's modalities; those that the model lacks begin at 0."""
    blocks = settings.stem**2
    by_modality = entry.view(len(entry), settings.context, len(known), blocks, 3, 3)
    names = ["flair" if name == PLAIN_MODALITY and "flair" in known else name for name in cohort.modalities]
    parts = [
        by_modality[:, :, known.index(name)] if name in known else torch.zeros_like(by_modality[:, :, 0])
        for name in names
    ]
    return torch.stack(parts, dim=2).reshape(len(entry), -1, 3, 3)


def _from_gan(bundle: Bundle, learner: SegmenterConfig | ClassifierConfig, cohort: Cohort) -> Start:
    """A discriminator's layers as the encoder of a ``critic`` network, the generator's as the decoder of gan-unet."""
    meta, network = bundle.meta, bundle.meta.network
    plain = network["network"] == "dcgan" and network["critic_norm"] == "batch"
    plain = plain and not network["spectral"] and not network.get("critic_patches")
    fits = plain and meta.shape["size"] == cohort.size and meta.shape["labels"] == 0
    both = learner.network == "gan-unet"
    fits = fits and (not both or network["width"] == network["critic_width"])
    if not (both or learner.network.startswith("critic")) or not fits or cohort.modalities != meta.modalities:
        came = f"{meta.model} at {meta.shape['size']} px of {'+'.join(meta.modalities)} for {learner.network}"
        todo = "train a dcgan without --with-masks on a cohort of the same size and modalities"
        raise ConfigError("a GAN whose networks fit a model named critic-... or gan-unet", came, todo)
    weights = {f"critic.{name}": value for name, value in bundle.weights("discriminator").items()}
    if both:
        drawing = bundle.weights("generator").items()
        weights |= {name.replace("layers", "up"): value for name, value in drawing if name.startswith("layers.")}
    changed = {"width": network["critic_width"], "context": 1}
    return Start(learner.model_copy(update=changed), weights, bundle.digest, learned_from(bundle))
