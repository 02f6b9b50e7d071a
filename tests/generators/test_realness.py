"""What a discriminator's score of a picture means: calibrated at the end of a training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from synthoma.cohorts.cohort import Cohort
from synthoma.core.errors import ConfigError, InputError
from synthoma.generators.families import build_generator, network_of
from synthoma.generators.judge import judge_images
from synthoma.generators.shape import ImageShape
from synthoma.training.bundle import Bundle, load_tensors, open_model, save_tensors
from tests.toys import SMALL, blobs, train_toy, write_cohort

pytestmark = pytest.mark.slow

KINDS: dict[str, dict[str, Any]] = {
    "bce": {},
    "wasserstein": {"gan": {"loss": "wasserstein", "critic_norm": "none", "gradient_penalty": 10.0}},
    "masks": {"with_masks": True},
    "pieces": {"gan": {"critic_patches": True}},
    "conditional": {"conditional": True},
}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    """Squares on grey, 40 of 120 held out."""
    images, masks = blobs(120)
    splits = ["train"] * 80 + ["validation"] * 40
    place = tmp_path_factory.mktemp("realness") / "cohort"
    return write_cohort(
        place, images, ["a", "b"] * 60, masks, splits=splits, mask_names={"1": "tumour"}, classes=["a", "b"]
    )


@pytest.fixture(scope="module", params=KINDS)
def run(request: pytest.FixtureRequest, cohort: Cohort, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp(request.param) / "run"
    settings = {**KINDS[request.param]}
    gan = {"critic_rate": 2e-3, **settings.pop("gan", {})}
    train_toy(cohort, place, images=800, snapshots=1, gan=gan, **settings)
    return place


def pictures(cohort: Cohort, split: str) -> np.ndarray:
    return np.asarray(cohort.images[cohort.rows(split=split)], np.float32)


def untrained(run: Path) -> np.ndarray:
    """Images of the run's generator before it has learned anything."""
    meta = open_model(run).meta
    torch.manual_seed(1)
    network = build_generator(network_of(meta.network), ImageShape(**meta.shape)).eval()
    latents, classes = torch.randn(40, SMALL["latent"]), torch.arange(40) % 2
    with torch.no_grad():
        planes = network(latents, classes if meta.shape["classes"] else None)
    return np.asarray((planes[:, :1].numpy() + 1) / 2)


def test_held_out_slices_are_likelier_real_than_images_of_an_untrained_generator(cohort: Cohort, run: Path) -> None:
    real, kind = judge_images(run, pictures(cohort, "validation"))
    noise, _ = judge_images(run, untrained(run))
    assert kind == "calibrated probability"
    assert ((real >= 0) & (real <= 1) & (noise >= 0) & (noise <= 1)).all()
    stored = open_model(run).meta.realness
    assert stored is not None
    assert (stored.real, stored.generated) == (40, 256)
    assert stored.empty_mask == (run.parent.name.startswith("masks"))
    if stored.empty_mask and stored.slope == 0:  # without its masks this one cannot tell, and says so
        assert real == pytest.approx(0.5)
        assert noise == pytest.approx(0.5)
        return
    assert stored.auc > 0.5
    assert real.mean() > 0.5
    assert stored.empty_mask or real.mean() > noise.mean()


def without_calibration(run: Path, place: Path) -> Bundle:
    """The model file as versions without calibrations wrote it."""
    bundle = load_tensors(run / "model.safetensors")
    save_tensors(place, bundle.tensors, {name: one for name, one in bundle.content.items() if name != "realness"})
    return bundle


def test_old_files_say_what_they_said(cohort: Cohort, run: Path, tmp_path: Path) -> None:
    old = tmp_path / "old.safetensors"
    bundle = without_calibration(run, old)
    images = pictures(cohort, "validation")
    if bundle.meta.shape["labels"]:
        with pytest.raises(InputError, match="judges images alone"):
            judge_images(old, images)
        return
    scores, kind = judge_images(old, images)
    assert kind == ("critic score" if bundle.meta.loss == "wasserstein" else "probability")
    raw = scores if kind == "critic score" else np.log(scores) - np.log1p(-scores)
    stored = bundle.meta.realness
    assert stored is not None
    expected = 1 / (1 + np.exp(-(stored.slope * raw + stored.offset)))
    assert judge_images(run, images)[0] == pytest.approx(expected, abs=1e-3)


def test_without_held_out_slices_nobody_knows(tmp_path: Path) -> None:
    images, _ = blobs(20)
    train_toy(write_cohort(tmp_path / "cohort", images), tmp_path / "run", images=40, snapshots=1)
    assert open_model(tmp_path / "run").meta.realness is None
    assert "realness" not in open_model(tmp_path / "run").content
    assert judge_images(tmp_path / "run", images[:, None].astype(np.float32))[1] == "probability"


def test_a_flow_has_no_discriminator(cohort: Cohort, tmp_path: Path) -> None:
    train_toy(cohort, tmp_path / "run", model="flow", images=16, snapshots=1)
    assert open_model(tmp_path / "run").meta.realness is None
    with pytest.raises(ConfigError, match="a model with a discriminator"):
        judge_images(tmp_path / "run", pictures(cohort, "validation"))
