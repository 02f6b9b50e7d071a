from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from synthoma.models.bundle import open_model
from synthoma.models.registry import ImageShape
from synthoma.training.reader import BEGIN, MaskReader, weight_at
from tests.training.toys import blobs, train_toy, write_cohort

SHAPE = ImageShape(32, 1, 1)


def _planes(count: int, seed: int) -> torch.Tensor:
    """Bright squares on grey with their masks, in -1..1."""
    images, masks = blobs(count, seed, 32)
    both = np.stack([images, masks.astype(np.float64)], axis=1)
    return torch.from_numpy(both.astype(np.float32)) * 2 - 1


def _draws() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _taught(steps: int = 120) -> MaskReader:
    torch.manual_seed(0)
    reader = MaskReader(SHAPE, "cpu")
    for step in range(steps):
        reader.learn(_planes(8, step), torch.Generator().manual_seed(step))
    return reader


def test_it_finds_new_squares_and_misses_them_where_the_mask_lies_elsewhere() -> None:
    reader, planes = _taught(), _planes(16, 999)
    wrong = torch.cat([planes[:, :1], planes[:, 1:].roll(1, 0)], dim=1)
    right, elsewhere = float(reader.missed(planes, _draws())), float(reader.missed(wrong, _draws()))
    assert right < 0.6
    assert elsewhere > 2 * right


def test_its_opinion_moves_images_and_not_itself() -> None:
    reader, planes = _taught(5), _planes(4, 1)
    reader.optimiser.zero_grad()
    images = planes[:, :1].clone().requires_grad_(True)
    before = {name: value.clone() for name, value in reader.network.state_dict().items()}
    reader.missed(torch.cat([images, planes[:, 1:]], dim=1), _draws()).backward()
    assert images.grad is not None
    assert images.grad.abs().sum() > 0
    assert all(parameter.grad is None or not parameter.grad.any() for parameter in reader.network.parameters())
    assert all(torch.equal(value, before[name]) for name, value in reader.network.state_dict().items())
    assert all(parameter.requires_grad for parameter in reader.network.parameters())


def test_it_asks_for_no_pattern_from_one_pixel_to_the_next() -> None:
    """A generator that pleases it must draw something that is there on the scale of two pixels at least."""
    reader, planes = _taught(20), _planes(8, 3)
    images = planes[:, :1].clone().requires_grad_(True)
    reader.missed(torch.cat([images, planes[:, 1:]], dim=1), _draws()).backward()
    assert images.grad is not None
    power = torch.fft.fft2(images.grad.double()).abs().square()
    side = power.shape[-1]
    assert power[..., side // 2, :].sum() + power[..., side // 2].sum() < 1e-9 * power.sum()


def test_its_weight_grows_with_what_it_has_seen() -> None:
    assert weight_at(0, 0.3) == 0
    assert weight_at(int(BEGIN / 2), 0.3) == 0.15
    assert weight_at(int(10 * BEGIN), 0.3) == 0.3


def test_a_run_with_a_reader_resumes_to_the_same_weights(tmp_path: Path) -> None:
    images, masks = blobs(24, size=16)
    names = {"1": "tumour"}
    real = write_cohort(tmp_path / "real", images, None, masks, mask_names=names, origin="real")
    phantom = write_cohort(tmp_path / "phantom", *_halves(blobs(24, 5, 16)), mask_names=names)
    settings = {"model": "phantom-gan", "phantom": phantom.path, "with_masks": True, "snapshots": 2}
    train_toy(real, tmp_path / "whole", images=64, **settings)
    train_toy(real, tmp_path / "cut", **{**settings, "images": 32, "snapshots": 1})
    train_toy(real, tmp_path / "cut", images=64, resume=True, **settings)
    whole, cut = (open_model(tmp_path / name) for name in ("whole", "cut"))
    assert whole.tensors.keys() == cut.tensors.keys()
    assert all(torch.equal(value, cut.tensors[name]) for name, value in whole.tensors.items())
    assert not any(name.startswith("reader") for name in whole.tensors)  # it is no part of the model


def _halves(both: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, None, np.ndarray]:
    return both[0], None, both[1]
