"""What an operation left behind: kept in masks, and counted as tumour nowhere in the chain."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pydicom
import pytest

from synthoma.cohorts.cohort import Cohort
from synthoma.cohorts.dataset import TrainingSlices
from synthoma.core.errors import CohortError, InputError
from synthoma.core.pictures import OUTLINE, outlined
from synthoma.core.types import CAVITY, REGIONS, tumour_labels, tumour_of
from synthoma.detection.description import describe
from synthoma.detection.detector import Detector
from synthoma.detection.scan import look
from synthoma.detection.settings import DetectConfig
from synthoma.detectors.slices import LabelledSlices, target_maps, target_names
from synthoma.evaluation.evaluate import tumours_of
from synthoma.evaluation.nulls import plan_null
from synthoma.exports.marked import export
from synthoma.generators.auto import choose_generator
from synthoma.generators.phantomgan.matching import FEATURES
from synthoma.generators.phantomgan.simulated import repaintable_slices, row_structure, shows_tumour
from synthoma.generators.plan import plan_training
from synthoma.generators.planes import without_specks
from synthoma.generators.train import model_meta
from synthoma.metrics.anatomy import lesion_descriptors
from synthoma.phantom import Look, phantom_beside
from synthoma.reports.cohort_page import cohort_page
from synthoma.scans.case import Case, Study
from synthoma.settings import TrainConfig
from tests.cohorts.test_preparation import packed, scan
from tests.detection.conftest import WriteModel, thresholding, write_model
from tests.evaluation.test_evaluation import compare, heads
from tests.toys import blobs, write_cohort

__all__ = ["thresholding", "write_model"]  # fixtures

AFTER = {**REGIONS, **CAVITY}
PLACES = {1: np.s_[20:24, 20:23], 2: np.s_[10:15, 20:26], 3: np.s_[26:28, 20:24], 4: np.s_[16:22, 26:32]}
PIXELS = {1: 12, 2: 30, 3: 8, 4: 36}
"""Where each label lies in a slice, and on how many pixels."""


def operated(seed: int, slices: dict[int, tuple[int, ...]] | None = None, labels: dict[int, str] = AFTER) -> Study:
    """A scan after an operation: slice 1 shows a cavity alone, slice 2 all labels, slice 3 oedema."""
    study = scan(seed)
    mask = np.zeros((6, 48, 48), np.uint8)
    for z, values in ({1: (4,), 2: (1, 2, 3, 4), 3: (2,)} if slices is None else slices).items():
        for value in values:
            mask[z][PLACES[value]] = value
    return Study(study.images, study.geometry, mask, labels)


def after(count: int, first: int = 0, **options: object) -> list[Case]:
    return [
        Case(f"after-{i}", f"after-{i}", ("flair",), partial(operated, i, **options), has_mask=True)  # type: ignore[arg-type]
        for i in range(first, first + count)
    ]


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    return packed(tmp_path_factory.mktemp("cavity") / "cohort", after(3), crop=False, split=[1, 0, 0])


def test_the_rule() -> None:
    mask = np.array([[0, 1, 2], [3, 4, 5]], np.uint8)
    assert tumour_of(mask).tolist() == [[False, True, True], [True, False, True]]
    assert tumour_labels(AFTER) == REGIONS
    assert tumour_labels(CAVITY) == {}


def test_a_cohort_keeps_it_and_counts_it_for_no_tumour(cohort: Cohort) -> None:
    assert (cohort.labels, cohort.tumour_labels) == (AFTER, REGIONS)
    table = cohort.slices
    assert table["tumour_pixels"].tolist() == [0, 0, 50, 30, 0, 0] * 3
    assert table["label"].tolist() == ["healthy", "healthy", "tumour", "tumour", "healthy", "healthy"] * 3
    counts = [np.bincount(cohort.masks[row].ravel(), minlength=5)[1:].tolist() for row in range(4)]
    assert counts == [[0] * 4, [0, 0, 0, 36], [12, 30, 8, 36], [0, 30, 0, 0]]


def test_a_table_that_does_not_count_is_counted_likewise(cohort: Cohort, tmp_path: Path) -> None:
    writing = write_cohort(
        tmp_path / "c",
        np.zeros((6, 48, 48)),
        None,
        np.asarray(cohort.masks[:6]),
        mask_names={"1": "core", "4": "cavity"},
    )
    writing.slices.drop(columns="tumour_pixels").to_csv(tmp_path / "c" / "slices.csv", index=False)
    assert Cohort(tmp_path / "c").slices["tumour_pixels"].tolist() == [0, 0, 50, 30, 0, 0]


def test_the_value_of_a_cavity_means_nothing_else(tmp_path: Path) -> None:
    """As in BraTS until 2021, where it was enhancing tumour: nobody would count it."""
    with pytest.raises(CohortError, match="mask value 4 that means cavity; came 'enhancing'"):
        write_cohort(tmp_path / "c", np.zeros((1, 8, 8)), None, mask_names={"1": "core", "4": "enhancing"})


def test_merged_it_is_gone(tmp_path: Path) -> None:
    merged = packed(tmp_path / "c", after(3), crop=False, merge="whole-tumour")
    assert merged.labels == {1: "tumour"}
    assert [int(merged.masks[row].sum()) for row in range(4)] == [0, 0, 50, 30]
    assert set(np.unique(merged.masks)) == {0, 1}


def test_it_chooses_no_slices(tmp_path: Path) -> None:
    chosen = packed(tmp_path / "c", after(3), crop=False, slices="tumour")
    assert chosen.slices["slice"].tolist() == [2, 3] * 3


@pytest.mark.parametrize("first", ["before", "after"])
def test_cases_before_and_after_an_operation_are_of_one_cohort(first: str, tmp_path: Path) -> None:
    untouched = [Case(f"before-{i}", f"before-{i}", ("flair",), partial(scan, 10 + i), has_mask=True) for i in range(2)]
    found = [*untouched, *after(2)] if first == "before" else [*after(2), *untouched]
    mixed = packed(tmp_path / "c", found)
    assert mixed.meta.cases == 4
    assert mixed.labels == AFTER


@pytest.mark.slow
def test_a_cavity_alone_contradicts_no_labels(tmp_path: Path) -> None:
    """All that is left of it is said in words that tell no regions apart; the others do."""
    alone = after(1, 7, slices={2: (4,)}, labels={1: "tumour", **CAVITY})
    plain = [Case(f"before-{i}", f"before-{i}", ("flair",), partial(scan, 10 + i), has_mask=True) for i in range(2)]
    both = packed(tmp_path / "c", [*alone, *plain])
    assert (both.meta.cases, both.labels) == (3, AFTER)
    other = after(1, 8, slices={2: (1, 4)}, labels={1: "tumour", **CAVITY})
    mixed = packed(tmp_path / "d", [*plain, *other])
    assert (mixed.meta.cases, mixed.labels) == (2, REGIONS)
    assert "came 1 tumour in this case" in (tmp_path / "d" / "skipped.csv").read_text()


def test_detectors_do_not_learn_to_outline_it(cohort: Cohort, tmp_path: Path) -> None:
    assert target_names(cohort) == ("tumour", "core", "enhancing")
    maps = target_maps(np.asarray(cohort.masks[1:4]), target_names(cohort))
    assert maps.sum(axis=(2, 3)).tolist() == [[0, 0, 0], [50, 20, 8], [30, 0, 0]]
    slices = LabelledSlices(cohort, np.arange(6), ("flair",), target_names(cohort))
    assert slices.fetch(np.array([1, 2])).masks.sum(dim=(2, 3)).tolist() == [[0, 0, 0], [50, 20, 8]]
    assert slices.tumour[:6].tolist() == [False, False, True, True, False, False]
    only = write_cohort(
        tmp_path / "c", np.zeros((1, 8, 8)), None, np.full((1, 8, 8), 4, np.uint8), mask_names={"4": "cavity"}
    )
    with pytest.raises(InputError, match="a cohort with masks"):
        target_names(only)


def test_generators_do_not_draw_it(cohort: Cohort) -> None:
    slices = TrainingSlices(cohort, np.array([1, 2, 3]), with_masks=True)
    planes = slices.fetch(np.arange(3)).masks
    assert (planes > 0).sum(dim=(2, 3)).tolist() == [[0, 0, 0], [12, 30, 8], [0, 30, 0]]
    config = TrainConfig.resolve(flags={"model": "phantom-gan", "with_masks": True, "images": 8})
    plan = plan_training(cohort, config)
    assert plan.shape.labels == 3
    assert model_meta(plan, 8).labels == {
        "1": "core",
        "2": "oedema",
        "3": "enhancing",
    }


def test_the_plan_says_that_it_is_not_drawn(cohort: Cohort) -> None:
    config = TrainConfig.resolve(flags={"model": "auto", "images": 8, "simulate": 2})
    planned = choose_generator(cohort, config, np.arange(18), lambda: 1.0)
    assert planned.with_masks
    assert any("the cavities in them are not drawn" in reason for reason in planned.reasons)


def test_patients_are_simulated_beside_it_with_the_regions(cohort: Cohort, tmp_path: Path) -> None:
    assert phantom_beside(Look(cohort.modalities, cohort.meta.labels, cohort.size), {}).merge is None
    images, masks = blobs(4, size=48)
    own = write_cohort(
        tmp_path / "c", images, ["tumour"] * 4, masks, mask_names={str(k): v for k, v in REGIONS.items()}
    )
    names = tuple(cohort.tumour_labels.values())
    wanted = {"size": 48, "modalities": ("flair",), "plane": "axial"}
    assert len(repaintable_slices(own, labels=names, kinds=("tumour",), **wanted)) == 4  # type: ignore[arg-type]


def test_matching_does_not_take_it_for_a_tumour(cohort: Cohort) -> None:
    at = FEATURES.index("tumour")
    assert row_structure(cohort, np.arange(6))[:, at].tolist() == [0, 0, 1, 1, 0, 0]
    assert np.exp(row_structure(cohort, np.array([2]))[0, at + 1]) * 48**2 == pytest.approx(50)
    assert shows_tumour(cohort, np.arange(6)).tolist() == [0, 0, 1, 1, 0, 0]


def test_specks_are_of_tumour() -> None:
    mask = np.zeros((48, 48), np.uint8)
    mask[10:20, 10:20], mask[11, 20:30] = 1, 4
    assert (without_specks(mask) == 1).sum() == 100


@pytest.mark.usefixtures("thresholding")
def test_agreement_with_the_truth_leaves_it_out(write_model: WriteModel) -> None:
    """What is found is the tumour exactly; the cavity is dark."""
    truth = operated(0)
    assert truth.mask is not None
    value = np.array([10, 200, 140, 250, 10], np.uint8)  # core above 0.7, oedema above 0.5, enhancing above 0.9
    image = value[truth.mask]
    study = Study({"flair": image}, truth.geometry, truth.mask, truth.labels)
    case = Case("a", "a", ("flair",), lambda: study, has_mask=True)
    detector = Detector.open(write_model(targets=("tumour", "core", "enhancing"), size=48))
    seen = look(case, detector, DetectConfig())
    assert seen.mask.sum() == 80
    assert describe(seen).content()["dice"] == {"tumour": 1.0, "core": 1.0, "enhancing": 1.0}


def test_looks_of_tumours_are_compared_without_it(tmp_path: Path) -> None:
    count = {"real": 60, "synthetic": 24}
    made = {}
    for name, images in (("real", heads(5000, 60)), ("synthetic", heads(1000, 24))):
        masks = np.zeros((count[name], 32, 32), np.uint8)
        masks[:, 10:16, 10:16] = 4
        splits = (["train"] * 30 + ["test"] * 30)[: count[name]]
        names = {"1": "tumour", "4": "cavity"}
        made[name] = write_cohort(tmp_path / name, images, None, masks, splits=splits, mask_names=names)
    real, synthetic = made["real"], made["synthetic"]
    comparison = compare(real, synthetic)
    held = np.arange(60) >= 30
    the = plan_null(comparison.groups, held, comparison.synthetic_groups, halves=9, seed=0)
    assert tumours_of(real, synthetic, comparison, the) == {}
    for one in (real, synthetic):
        masks = np.array(one.masks)
        masks[:, 14:18, 14:18] = 1
        np.save(one.path / "masks.npy", masks)
    again = tumours_of(Cohort(real.path), Cohort(synthetic.path), comparison, the)
    square = np.zeros((len(the.held), 32, 32), np.uint8)
    square[:, 14:18, 14:18] = 1
    alone = lesion_descriptors(comparison.real[the.held], square)
    for name in ("area", "contrast", "texture"):
        assert again[name].real.mean == pytest.approx(alone[name].mean())


def test_exported_secondary_captures_show_tumour_only(cohort: Cohort, tmp_path: Path) -> None:
    masks = np.asarray(cohort.masks[2:3])
    drawn = write_cohort(
        tmp_path / "c", np.asarray(cohort.images[2:3, 0], float), None, masks, origin="synthetic",
        mask_names={str(value): name for value, name in AFTER.items()},
    )  # fmt: skip
    (tmp_path / "out").mkdir()
    export(drawn, tmp_path / "out", "dicom")
    written = pydicom.dcmread(tmp_path / "out" / "case-0000" / "mask.dcm").pixel_array
    np.testing.assert_array_equal(written, np.where((masks[0] > 0) & (masks[0] < 4), 255, 0))


def test_the_report_gives_it_a_colour_of_its_own(cohort: Cohort) -> None:
    assert len(set(OUTLINE.values())) == 4
    text = cohort_page(cohort, "operated")
    assert '<i style="background: rgb(205,120,255)"></i>cavity' in text
    assert '<i style="background: rgb(255,90,70)"></i>core' in text
    assert "33 % show tumour" in text
    picture = outlined(np.zeros((48, 48), np.uint8), np.asarray(cohort.masks[1]))
    assert (picture == OUTLINE[4]).all(axis=2).sum() == 20  # the border of 6 x 6
