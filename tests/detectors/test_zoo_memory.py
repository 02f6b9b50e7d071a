"""Each classifier of the zoo computes in both memory layouts, in which a training is timed, and gives the same."""

from __future__ import annotations

import pytest
import torch

from synthoma.detectors.classifiers.networks import build_classifier
from synthoma.detectors.models import CLASSIFIERS

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", list(CLASSIFIERS))
def test_both_memory_layouts_give_the_same(name: str) -> None:
    config = CLASSIFIERS[name][1]
    network = build_classifier(config, 64, 1, 3).eval()
    images = torch.rand(2, config.context, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        plain = network(images)
        last = network.to(memory_format=torch.channels_last)(images.contiguous(memory_format=torch.channels_last))
    assert plain.shape == (2, 3)
    torch.testing.assert_close(last, plain, atol=1e-4, rtol=1e-3)
