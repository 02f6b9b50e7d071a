from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from synthoma.cohorts.cohort import Cohort
from synthoma.core.types import WHOLE_TUMOUR
from synthoma.generators.phantomgan.contrast import LEAST, LesionContrast, contrasts_of
from synthoma.generators.phantomgan.loss import lesion_contrast
from synthoma.generators.sampling import Sampler, generate_cohort
from tests.toys import blobs, train_toy, write_cohort

pytestmark = pytest.mark.slow


def one_label(values: np.ndarray) -> np.ndarray:
    return values.reshape(-1, 1, 1)


def heads(contrasts: np.ndarray) -> torch.Tensor:
    """Planes of heads of -0.2, each with a square lesion so much brighter and its label; nan for none."""
    planes = torch.full((len(contrasts), 2, 32, 32), -1.0)
    planes[:, 0, 3:29, 3:29] = -0.2
    for plane, contrast in zip(planes, contrasts, strict=True):
        if np.isfinite(contrast):
            plane[0, 12:18, 12:18] += float(contrast)
            plane[1, 12:18, 12:18] = 1
    return planes


def test_all_lesions_together_become_as_clear_as_real_ones() -> None:
    draws = np.random.default_rng(0)
    simulated, real = draws.uniform(0.2, 0.9, 4000), draws.beta(2, 5, 1500)
    contrast = LesionContrast(one_label(simulated), one_label(real))
    wanted = contrast.wanted(torch.from_numpy(one_label(simulated))).numpy().ravel()
    shares = np.linspace(0.05, 0.95, 10)
    assert np.quantile(wanted, shares) == pytest.approx(np.quantile(real, shares), abs=0.02)
    order = np.argsort(simulated)
    assert (np.diff(wanted[order]) >= 0).all()  # who is fainter stays fainter
    beyond = contrast.wanted(torch.tensor([-5.0, 5.0, torch.nan]).reshape(3, 1, 1)).ravel()
    assert beyond[:2].numpy() == pytest.approx(np.quantile(real, [0.02, 0.98]))


def test_what_is_missed_is_the_distance_in_slices_that_show_a_lesion() -> None:
    simulated = np.array([0.2, 0.4, 0.6, 0.8, np.nan, np.nan])
    planes = heads(simulated)
    measured = contrasts_of(lambda first, last: planes[first:last], len(planes), 1)
    assert measured.shape == (6, 1, 1, 2)
    for half in (0, 1):  # even squares have no brighter half
        assert measured[..., half].ravel() == pytest.approx(simulated, abs=1e-6, nan_ok=True)
    contrast = LesionContrast(measured, measured / 2)
    drawn = heads(simulated / 2 + 0.1).requires_grad_(True)
    missed = contrast.missed(planes, drawn, 1)
    # The faintest and the brightest are pulled to the 2nd and the 98th hundredth of the real ones.
    assert float(missed.detach()) == pytest.approx(0.1, abs=0.01)
    missed.backward()
    assert drawn.grad is not None
    assert (drawn.grad[:4, 0, 13:17, 13:17] > 0).all()  # fainter would be better
    assert float(drawn.grad[4:].abs().sum()) == 0
    nowhere = contrast.missed(planes[4:], drawn[4:], 1)
    assert float(nowhere.detach()) == 0


def test_too_few_real_lesions_demand_nothing() -> None:
    few = np.full(40, np.nan)
    few[: LEAST - 1] = 0.3
    contrast = LesionContrast(one_label(np.linspace(0, 1, 40)), one_label(few))
    planes = heads(np.array([0.2, 0.5]))
    assert torch.isnan(contrast.wanted(lesion_contrast(planes[:, :1], planes[:, 1:]))).all()
    assert float(contrast.missed(planes, heads(np.array([0.9, 0.9])), 1)) == 0


def test_drawn_lesions_become_as_faint_as_real_ones(tmp_path: Path) -> None:
    """Real squares are half as clear as simulated ones: so are drawn ones, the faint among them fainter."""
    images, masks = blobs(80, seed=1)
    inside = masks > 0
    real = np.where(inside, images - 0.5 * (images[inside].mean() - images[~inside].mean()), images)
    simulated, own = blobs(100, seed=2)
    draws = np.random.default_rng(3)
    simulated = np.where(own > 0, simulated - draws.uniform(0, 0.3, (100, 1, 1)), simulated)
    names = {str(label): name for label, name in WHOLE_TUMOUR.items()}
    write_cohort(tmp_path / "real", real, None, masks, mask_names=names, origin="real")
    phantom = write_cohort(tmp_path / "phantom", simulated, None, own, mask_names=names)
    settings = {"model": "phantom-gan", "phantom": phantom.path, "with_masks": True, "snapshots": 1, "images": 1200}
    found = {}
    for weight in (0.0, 4.0):
        gan = {"ema_images": 100.0, "width": 8, "latent": 4, "contrast": weight}
        train_toy(Cohort(tmp_path / "real"), tmp_path / f"run-{weight}", gan=gan, **settings)
        (tmp_path / f"drawn-{weight}").mkdir()
        sampler = Sampler.open(tmp_path / f"run-{weight}", phantom)
        found[weight] = contrasts(generate_cohort(sampler, tmp_path / f"drawn-{weight}", 60, seed=3))
    wanted = contrasts(Cohort(tmp_path / "real"))
    target = np.quantile(wanted, SHARES)
    off = {weight: np.abs(np.quantile(drawn, SHARES) - target).mean() for weight, drawn in found.items()}
    assert off[4.0] < 0.6 * off[0.0]


SHARES = np.linspace(0.1, 0.9, 9)


def contrasts(cohort: Cohort) -> np.ndarray:
    """Of the first channel of all slices."""
    images, masks = np.asarray(cohort.images[:, 0], np.float32), np.asarray(cohort.masks) > 0
    planes = np.stack([images, masks.astype(np.float32)], axis=1)
    found = contrasts_of(lambda first, last: torch.from_numpy(planes[first:last]) * 2 - 1, len(planes), 1)
    return found[np.isfinite(found)]
