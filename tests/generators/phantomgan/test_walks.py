"""Walks through styles with the anatomy held, and through simulated patients with the style held."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import pytest
import torch
from PIL import Image

from synthoma.cohorts.cohort import Cohort
from synthoma.core.errors import ConfigError
from synthoma.generators.arithmetic import Studio, arithmetic_sheet
from synthoma.generators.phantomgan.network import Repainter
from synthoma.generators.phantomgan.walks import patient_walks, style_walks
from synthoma.generators.sampling import Sampler
from synthoma.generators.sheets import interpolation_sheet
from tests.toys import blobs, train_toy, write_cohort

pytestmark = pytest.mark.slow

NAMES = {"1": "tumour"}


@pytest.fixture(scope="module")
def sampler(tmp_path_factory: pytest.TempPathFactory) -> Sampler:
    """A generator that repaints, a step from its beginning, with a head that paints by the style."""
    place = tmp_path_factory.mktemp("walks")
    images, masks = blobs(60)
    real = write_cohort(place / "real", images, None, masks, mask_names=NAMES, origin="real")
    groups = [f"patient-{number // 10}" for number in range(60)]
    phantom = write_cohort(place / "phantom", *_flat(blobs(60, seed=2)), mask_names=NAMES, groups=groups)
    phantom = _as_patients(phantom)
    train_toy(real, place / "run", model="phantom-gan", phantom=phantom.path, with_masks=True, images=16, snapshots=1)
    opened = Sampler.open(place / "run", phantom)
    assert isinstance(opened.generator, Repainter)
    torch.nn.init.normal_(opened.generator.head.weight, std=0.05)  # one that has learned nothing paints nothing
    return opened


def _flat(pair: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, None, np.ndarray]:
    return pair[0], None, pair[1]


def _as_patients(cohort: Cohort) -> Cohort:
    """The same with ten slices a case."""
    table = cohort.slices.copy()
    table["case"], table["slice"] = table["group"], np.arange(len(table)) % 10
    table.to_csv(cohort.path / "slices.csv", index=False)
    return Cohort(cohort.path)


def test_a_style_walk_holds_the_anatomy(sampler: Sampler) -> None:
    walks = style_walks(sampler, 3, 5, 2)
    latents = sampler.latents.numbered(3, range(4))
    for row, walk in enumerate(walks):
        assert (walk.masks == walk.masks[0]).all()
        exact = sampler.latents.masks(3, range(2 * row, 2 * row + 1))
        assert exact is not None
        assert np.array_equal(walk.masks[0], exact[0])
        first = sampler.draw(latents[2 * row : 2 * row + 1], torch.zeros(1, dtype=torch.long))
        assert np.allclose(walk.planes[0], first[0], atol=1e-5)
        steps = np.abs(np.diff(walk.planes[:, 0], axis=0)).mean(axis=(1, 2))
        assert (steps > 0).all()  # the look goes on changing
    mixed = latents[:1].clone()
    codes = int(sampler.generator.latent)  # type: ignore[arg-type]
    mixed[0, -1].flatten()[:codes] = latents[1, -1].flatten()[:codes]
    last = sampler.draw(mixed, torch.zeros(1, dtype=torch.long))
    assert np.allclose(walks[0].planes[-1], last[0], atol=1e-4)


def test_a_patient_walk_goes_along_slices_of_one_patient_with_their_masks(sampler: Sampler) -> None:
    walks = patient_walks(sampler, 3, 4, 2)
    source = sampler.latents.source  # type: ignore[attr-defined]
    table, masks = source.cohort.slices.iloc[source.rows], source.cohort.masks[source.rows]
    for walk in walks:
        name = walk.words.splitlines()[0].removeprefix("simulated patient ")
        own = masks[(table["case"] == name).to_numpy()]
        assert np.array_equal(walk.masks, own[[0, 3, 6, 9]])
    assert walks[0].words != walks[1].words
    again = patient_walks(sampler, 3, 4, 2)
    assert all(np.array_equal(one.planes, other.planes) for one, other in zip(walks, again, strict=True))


def test_sums_are_of_styles_on_one_anatomy(sampler: Sampler) -> None:
    studio = Studio(sampler, 3, anatomy=0)
    codes = int(sampler.generator.latent)  # type: ignore[arg-type]
    assert studio.place(4).code.shape == (codes,)
    own = sampler.latents.numbered(3, range(4, 5))[0, -1].flatten()[:codes]
    assert np.allclose(studio.place(4).code, own)
    one, other = studio.pictures([studio.place(0), studio.place(4)])
    assert not np.array_equal(one, other)
    assert arithmetic_sheet(sampler, 3, "0,1 - 2 + 4") == arithmetic_sheet(sampler, 3, "0,1 - 2 + 4")
    with pytest.raises(ConfigError, match="not told the classes"):
        arithmetic_sheet(sampler, 3, "tumour + 4")


def test_the_sheet_shows_three_walks_of_each_kind(sampler: Sampler) -> None:
    sheet = interpolation_sheet(sampler, 0)
    assert Image.open(io.BytesIO(sheet)).size == (10 * 132 + 330, 6 * 132)
    assert sheet == interpolation_sheet(dataclasses.replace(sampler), 0)
