"""A phantom cohort that fits a real one, whatever its modalities."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from synthoma.core.types import MODALITIES, REGIONS
from synthoma.phantom import Look, PhantomConfig, phantom_beside, phantom_cases

pytestmark = pytest.mark.slow

LOOK = Look(("flair",), {"1": "tumour"}, 64)


def test_it_is_prepared_as_the_real_cohort_was() -> None:
    config = phantom_beside(replace(LOOK, size=128), {"crop": False, "normalise": "unit"})
    assert config.phantom.modalities == config.modalities == ("flair",)
    assert (config.size, config.crop, config.normalise, config.merge) == (128, False, "unit", "whole-tumour")
    assert (config.origin, config.duplicates) == ("phantom", False)
    assert phantom_beside(LOOK, {}, skull="stripped").phantom.skull == "stripped"


def test_regions_stay_apart_where_the_real_masks_tell_them_apart() -> None:
    labels = {str(value): name for value, name in REGIONS.items()}
    assert phantom_beside(replace(LOOK, labels=labels), {}).merge is None
    assert phantom_beside(replace(LOOK, labels={}), {}).merge == "whole-tumour"


def test_beside_plain_pictures_each_patient_shows_one_sequence() -> None:
    beside = phantom_beside(replace(LOOK, modalities=["image"]), {})
    assert beside.modalities == ("image",)
    coarse = {"slice_mm": 8.0, "pixel_mm": 4.0, "artefacts": 0.0}
    config = beside.phantom.model_copy(update=coarse)
    cases = phantom_cases(6, 3, config)
    assert {case.modalities for case in cases} == {("image",)}
    whole = config.model_copy(update={"modalities": MODALITIES, "plain": False})
    shown = []
    for case, all_of_them in zip(cases, phantom_cases(6, 3, whole), strict=True):
        study, full = case.load(), all_of_them.load()
        assert set(study.images) == {"image"}
        assert np.array_equal(study.mask, full.mask)  # type: ignore[arg-type]
        shown += [name for name in MODALITIES if np.array_equal(study.images["image"], full.images[name])]
    assert len(shown) == 6
    assert len(set(shown)) > 1


@pytest.mark.parametrize("index", [0, 1])
def test_one_sequence_is_a_function_of_seed_and_number(index: int) -> None:
    config = PhantomConfig(plain=True, slice_mm=8.0, pixel_mm=4.0)
    first, again = (phantom_cases(count, 1, config)[index].load() for count in (2, 5))
    assert np.array_equal(first.images["image"], again.images["image"])
