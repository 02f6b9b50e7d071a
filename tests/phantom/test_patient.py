"""What a simulated patient promises: determinism, exact masks, believable signal, honest facts."""

from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch

from synthoma.core.types import MODALITIES, REGIONS
from synthoma.phantom import Patient, PhantomConfig, Tissue, mask_of, phantom_cases, simulate
from synthoma.phantom.acquisition import Exposure, draw_site, expose
from synthoma.phantom.patient import draw_person
from synthoma.scans.case import Study
from tests.phantom.conftest import CUBIC, SEED, THICK, patient

pytestmark = pytest.mark.slow

INDICES = (0, 1, 2, 3)


def digest(found: Patient) -> str:
    assert found.study.mask is not None
    arrays = [*found.study.images.values(), found.study.mask, found.tissue]
    return hashlib.sha256(b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)).hexdigest()


def mean_of(found: Patient, modality: str, *tissues: Tissue) -> float:
    return float(found.study.images[modality][np.isin(found.tissue, tissues)].mean())


def test_same_seed_gives_same_bytes_for_every_thread_count_and_order() -> None:
    threads = torch.get_num_threads()
    try:
        seen = []
        for count in (1, 2):
            torch.set_num_threads(count)
            simulate(SEED, count, THICK)
            seen.append(digest(simulate(SEED, 0, THICK)))
            assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(threads)
    assert set(seen) == {digest(patient(0))}


def test_a_fresh_process_gives_the_same_bytes() -> None:
    code = (
        "import warnings; warnings.simplefilter('ignore')\n"
        "from tests.phantom.test_patient import digest, patient\n"
        "print(digest(patient(0)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == digest(patient(0))


def test_index_and_seed_change_anatomy() -> None:
    first, second, other = patient(0), patient(1), patient(0, seed=SEED + 1)
    assert len({digest(first), digest(second), digest(other)}) == 3
    depth, height, width = np.minimum(first.tissue.shape, second.tissue.shape)
    brains = [found.tissue[-depth:, :height, :width] >= Tissue.GREY for found in (first, second)]
    overlap = 2 * (brains[0] & brains[1]).sum() / (brains[0].sum() + brains[1].sum())
    assert overlap < 0.9


def test_study_follows_the_contract() -> None:
    study = patient(0).study
    assert tuple(study.images) == MODALITIES
    assert all(image.dtype == np.uint16 for image in study.images.values())
    assert study.mask is not None
    assert study.mask.dtype == np.uint8
    assert study.labels == REGIONS
    assert set(np.unique(study.mask)) <= {0, *REGIONS}


@pytest.mark.parametrize("config", [THICK, CUBIC, PhantomConfig(slice_mm=6.0, pixel_mm=3.0)])
def test_spacing_and_depth_follow_the_configuration(config: PhantomConfig) -> None:
    study = patient(0, config).study
    assert study.geometry is not None
    assert study.geometry.spacing == (config.pixel_mm, config.pixel_mm, config.slice_range[0])
    depth, height, width = study.images["flair"].shape
    assert 140 <= depth * config.slice_range[0] <= 200
    assert 170 <= height * config.pixel_mm <= 270
    assert 130 <= width * config.pixel_mm <= 210


def test_the_same_person_lies_in_thick_and_thin_slices() -> None:
    thin = patient(0, PhantomConfig(slice_mm=1.4, pixel_mm=3.0, sites=3))
    thick = patient(0, PhantomConfig(slice_mm=5.0, pixel_mm=3.0, sites=3))
    for fact in ("grade", "lobe", "side", "site", "age"):
        assert thin.facts[fact] == thick.facts[fact]
    assert thick.facts["volume_ml"] == pytest.approx(thin.facts["volume_ml"], rel=0.1)


@pytest.mark.parametrize("index", INDICES)
def test_tissue_map_agrees_with_mask(index: int) -> None:
    found = patient(index)
    assert found.study.mask is not None
    assert np.array_equal(mask_of(found.tissue), found.study.mask)
    assert found.study.mask.any()


@pytest.mark.parametrize("index", INDICES)
def test_facts_agree_with_mask(index: int) -> None:
    found = patient(index)
    mask, geometry = found.study.mask, found.study.geometry
    assert mask is not None
    assert geometry is not None
    voxel_ml = np.prod(geometry.spacing) / 1000
    assert found.facts["volume_ml"] == pytest.approx((mask > 0).sum() * voxel_ml)
    parts = sum(float(found.facts[f"{name}_ml"]) for name in REGIONS.values())
    assert parts == pytest.approx(found.facts["volume_ml"])
    centre_x = np.argwhere(mask)[:, 2].mean() * geometry.spacing[0] + geometry.origin[0]
    assert found.facts["side"] == ("left" if centre_x > 0 else "right")


def test_axes_are_lps() -> None:
    """Eyes lie in front (small y index), the vertex above (large z index)."""
    tissue = patient(0).tissue
    eyes = np.argwhere(tissue == Tissue.VITREOUS).mean(0)
    brain = np.argwhere(tissue >= Tissue.GREY).mean(0)
    assert eyes[0] < brain[0]
    assert eyes[1] < brain[1] - 20


@pytest.mark.parametrize("index", INDICES)
def test_fluid_is_dark_on_flair_and_bright_on_t2(index: int) -> None:
    found = patient(index)
    for fluid in (Tissue.VENTRICLE, Tissue.VITREOUS):
        assert mean_of(found, "flair", fluid) < 0.75 * mean_of(found, "flair", Tissue.WHITE)
        assert mean_of(found, "t2", fluid) > 1.3 * mean_of(found, "t2", Tissue.WHITE)


@pytest.mark.parametrize("index", INDICES)
def test_grey_and_white_matter_contrast_turns_round(index: int) -> None:
    found = patient(index)
    assert mean_of(found, "flair", Tissue.GREY) > 0.95 * mean_of(found, "flair", Tissue.WHITE)
    assert mean_of(found, "t2", Tissue.GREY) > mean_of(found, "t2", Tissue.WHITE)
    assert mean_of(found, "t1", Tissue.GREY) < mean_of(found, "t1", Tissue.WHITE)


@pytest.mark.parametrize("index", INDICES)
def test_oedema_is_brighter_than_white_matter_on_flair(index: int) -> None:
    found = patient(index)
    assert mean_of(found, "flair", Tissue.OEDEMA) > 1.08 * mean_of(found, "flair", Tissue.WHITE)


def test_enhancing_tumour_takes_up_contrast() -> None:
    rich = [index for index in range(4) if (patient(index, CUBIC).tissue == Tissue.ENHANCING).sum() > 60]
    assert rich
    for index in rich:
        found = patient(index, CUBIC)
        gain = [mean_of(found, "t1c", t) / mean_of(found, "t1", t) for t in (Tissue.ENHANCING, Tissue.WHITE)]
        assert gain[0] > 1.3 * gain[1]


def test_low_grade_hardly_enhances() -> None:
    low = THICK.model_copy(update={"high_grade": 0.0, "pixel_mm": 3.0})
    share = [float(p.facts["enhancing_ml"]) / float(p.facts["volume_ml"]) for p in (patient(i, low) for i in range(5))]
    assert np.median(share) == 0
    assert max(share) < 0.25


def test_healthy_patients_have_an_empty_mask() -> None:
    found = patient(0, PhantomConfig(slice_mm=6.0, pixel_mm=2.0, healthy=1.0))
    assert found.study.mask is not None
    assert not found.study.mask.any()
    assert (found.facts["grade"], found.facts["volume_ml"]) == ("none", 0.0)
    assert "side" not in found.facts


def test_stripped_heads_are_zero_outside_the_brain() -> None:
    bare = patient(0, THICK.model_copy(update={"skull": "stripped"}))
    whole = patient(0)
    outside = bare.tissue == Tissue.AIR
    assert all(not image[outside].any() for image in bare.study.images.values())
    assert not np.isin(bare.tissue, (Tissue.SCALP, Tissue.SKIN, Tissue.VITREOUS)).any()
    cortex = np.isin(whole.tissue, (Tissue.GREY, Tissue.WHITE))
    assert (bare.tissue[cortex] != Tissue.AIR).mean() > 0.9
    assert bare.study.mask is not None
    assert np.array_equal(bare.study.mask, whole.study.mask)


def test_sites_differ_and_keep_their_own_scale() -> None:
    config = PhantomConfig(slice_mm=8.0, pixel_mm=4.0, sites=2)
    level: dict[str, list[float]] = {}
    for index in range(7):
        found = patient(index, config)
        level.setdefault(str(found.facts["site"]), []).append(mean_of(found, "t2", Tissue.WHITE))
    assert len(level) == 2
    first, second = (np.log(values) for values in level.values())
    assert abs(first.mean() - second.mean()) > 2 * max(first.std(), second.std())


def test_some_sites_pad_their_images_with_black() -> None:
    """Black at the edge of every slice where a site pads, and nowhere by itself where it does not: noise is there."""
    config = PhantomConfig(slice_mm=8.0, pixel_mm=4.0, sites=5, skull="whole")
    seen = set()
    for index in range(9):
        framed = draw_site(SEED, draw_person(SEED, index, config).site, config).framed
        image = patient(index, config).study.images["t2"]
        edge = np.concatenate([image[:, 0].ravel(), image[:, -1].ravel(), image[:, :, 0].ravel()])
        assert (edge == 0).all() if framed else (edge == 0).mean() < 0.5
        seen.add(framed)
    assert seen == {True, False}


def test_cases_are_picklable_and_stand_alone() -> None:
    cases = phantom_cases(4, SEED, THICK)
    assert [case.name for case in cases] == [f"phantom-{i:05d}" for i in range(4)]
    longer = phantom_cases(9, SEED, THICK)[:4]
    assert [case.facts for case in cases] == [case.facts for case in longer]
    study = pickle.loads(pickle.dumps(cases[1])).load()
    assert isinstance(study, Study)
    for modality, image in patient(1).study.images.items():
        assert np.array_equal(study.images[modality], image)
    assert cases[1].facts["grade"] == patient(1).facts["grade"]
    assert cases[1].site == patient(1).facts["site"]
    assert cases[1].has_mask
    assert cases[1].sources == ()


def test_case_labels_follow_health() -> None:
    labels = [case.label for case in phantom_cases(200, SEED, PhantomConfig(healthy=0.3))]
    assert 0.2 < labels.count("healthy") / 200 < 0.4
    assert set(labels) == {"healthy", "tumour"}


def test_modalities_do_not_depend_on_one_another() -> None:
    alone = simulate(SEED, 0, THICK.model_copy(update={"modalities": ("t2",)}))
    assert np.array_equal(alone.study.images["t2"], patient(0).study.images["t2"])


def test_noise_in_the_image_is_what_the_point_spread_leaves() -> None:
    """Evenly bright tissue: its deviation over its mean is that of the raw signal, less what neighbours average out."""
    left = []
    for number in range(12):
        site = draw_site(SEED, number, PhantomConfig())
        even, exposure = torch.full((1, 160, 160), 300.0), Exposure((), np.ones(1))
        rng = np.random.default_rng(number)
        image = expose(rng, even, torch.ones_like(even), site, "t2", 300.0, exposure)[0, 4:-4, 4:-4].astype(float)
        centre = 1 - 2 * site.blur - 2 * site.ring
        spread = centre**2 + 2 * site.blur**2 + 2 * site.ring**2  # along both axes
        raw = site.noise[MODALITIES.index("t2")]
        left.append(image.std() / image.mean() / raw)
        assert left[-1] == pytest.approx(spread * (1 + site.gamma) / 2, rel=0.06)
    assert np.median(left) == pytest.approx(2 / 3, abs=0.1)
