"""Networks of detectors: shapes, known numbers of parameters, and what their inputs mean."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from synthoma.core.errors import ConfigError
from synthoma.detectors.classifiers.networks import build_classifier
from synthoma.detectors.scale import as_input
from synthoma.detectors.segmenters.networks import (
    SeedMaskDiscriminator,
    SeedMaskGenerator,
    SeedResUNet,
    SegmenterShape,
    build_segmenter,
)
from synthoma.detectors.settings import ClassifierNetwork, SegmenterNetwork
from synthoma.generators.gan.patches import PatchDiscriminator

NAMES = ("unet-25d", "resunet-seed", "resunet", "segresnet", "dynunet", "critic-unet", "gan-unet")


def _trained(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("context", [1, 3])
def test_one_map_a_target(name: str, context: int) -> None:
    config = SegmenterNetwork(network=name, width=8, context=context)  # type: ignore[arg-type]
    network = build_segmenter(config, SegmenterShape(32, 2, 3)).eval()
    assert network(torch.rand(2, 2 * context, 32, 32)).shape == (2, 3, 32, 32)


def test_the_seeds_residual_unet() -> None:
    """Its description counts the running statistics of batch norm too."""
    network = SeedResUNet(3, 1)
    statistics = sum(value.numel() for name, value in network.named_buffers() if name.endswith(("mean", "var")))
    assert _trained(network) == 1_206_129
    assert statistics == 4_384
    assert _trained(network) + statistics == 1_210_513


def test_the_seeds_mask_gan() -> None:
    """The layers of the seed: a dense one from all pixels to 2x2, then 7, 14 and 28 pixels; 49 judgements a mask."""
    generator = SeedMaskGenerator(1, 1).eval()
    assert [tuple(layer.weight.shape) for layer in generator.layers if isinstance(layer, nn.ConvTranspose2d)] == [
        (512, 256, 5, 5), (256, 128, 5, 5), (128, 1, 5, 5)
    ]  # fmt: skip
    assert generator(torch.rand(2, 1, 28, 28)).shape == (2, 1, 28, 28)
    assert SeedMaskDiscriminator(2).eval()(torch.rand(2, 2, 28, 28)).shape == (2, 49)


def test_patches_are_judged_apart() -> None:
    """A change in one corner leaves the judgement of the other corner as it was."""
    critic = PatchDiscriminator(2, 8).eval()
    pairs = torch.rand(1, 2, 64, 64)
    changed = pairs.clone()
    changed[..., :8, :8] = 0
    before, after = critic(pairs), critic(changed)
    assert before.shape == (1, 64)
    assert before[0, 0] != after[0, 0]
    assert torch.equal(before[0, -1], after[0, -1])


@pytest.mark.parametrize(("name", "size"), [("unet-25d", 40), ("resunet", 24), ("mask-seed", 32)])
def test_sizes_that_do_not_fit_are_named(name: str, size: int) -> None:
    with pytest.raises(ConfigError, match="--size"):
        build_segmenter(SegmenterNetwork(network=name), SegmenterShape(size, 1, 1))  # type: ignore[arg-type]


def test_context_is_odd() -> None:
    with pytest.raises(ValueError, match="odd"):
        SegmenterNetwork(context=2)


def test_inputs_are_cut() -> None:
    assert as_input(torch.tensor([-1.0, 0.5, 9.0])).tolist() == [0, 0.5, 2]


def test_a_new_network_expects_little_tumour() -> None:
    network = build_segmenter(SegmenterNetwork(), SegmenterShape(64, 1, 1))
    assert float(torch.sigmoid(network(torch.rand(4, 1, 64, 64))).detach().median()) < 0.1


@pytest.mark.slow
def test_the_default_does_without_monai() -> None:
    """MONAI takes seconds to load; `synthoma detect` should not wait for it."""
    code = (
        "import sys\n"
        "from synthoma.detectors.segmenters.networks import SegmenterNetwork, SegmenterShape, build_segmenter\n"
        "build_segmenter(SegmenterNetwork(), SegmenterShape(32, 1, 1))\n"
        "import synthoma.detection.detect\n"
        "assert 'monai' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", ["cnn", "resnet18", "densenet121", "critic"])
def test_classifiers_give_one_logit_a_class(name: str) -> None:
    config = ClassifierNetwork(network=name, width=8, context=3)  # type: ignore[arg-type]
    network = build_classifier(config, 32, 2, 4).eval()
    assert network(torch.rand(2, 6, 32, 32)).shape == (2, 4)


def test_a_frozen_critic_learns_in_its_last_layer_only() -> None:
    network = build_classifier(ClassifierNetwork(network="critic", width=8, frozen=True), 32, 1, 2).train()
    before = {name: value.clone() for name, value in network.state_dict().items() if name.startswith("critic.")}
    assert {name for name, weight in network.named_parameters() if weight.requires_grad} == {"head.weight", "head.bias"}
    network(torch.rand(4, 1, 32, 32)).sum().backward()
    after = network.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items()), "batch statistics must rest too"
