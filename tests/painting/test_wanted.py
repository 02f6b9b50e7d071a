"""A plan from training patients alone, and painters that carry it out: with planted held-out patients."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import synthoma
from synthoma.cohorts.leaks import held_out_names, patients_behind
from synthoma.core.errors import ConfigError, InputError
from synthoma.detectors.plan import DetectorPlan
from synthoma.detectors.training import DetectorTraining
from synthoma.painting.places import where_is
from synthoma.painting.scan import Scan
from synthoma.painting.stacks import stacks_of
from synthoma.painting.tissues import brain_of
from synthoma.painting.wanted import fresh
from synthoma.planning.counting import seen_of
from synthoma.planning.result import Order, Plan, write_plan

pytestmark = pytest.mark.slow

PLANTED = 0.625
"""Grey value of a corner of each held-out slice, which nobody else has."""


@pytest.fixture(scope="module")
def cohort(simulated: synthoma.Cohort, tmp_path_factory: pytest.TempPathFactory) -> synthoma.Cohort:
    """The simulated patients, of whom the held-out ones bear a mark and all have the same large tumour."""
    place: Path = tmp_path_factory.mktemp("planned") / "cohort"
    shutil.copytree(simulated.path, place)
    for extra in ("checksums.json", "report.html"):
        (place / extra).unlink(missing_ok=True)
    held = np.flatnonzero((simulated.slices["split"] != "train").to_numpy())
    images, masks = np.array(simulated.images), np.array(simulated.masks)
    images[held, :, 0, 0] = PLANTED
    masks[held] = 0
    masks[held, 20:60, 20:60] = 1
    np.save(place / "images.npy", images)
    np.save(place / "masks.npy", masks)
    table = simulated.slices.copy()
    table.loc[held, "tumour_pixels"] = 1600
    table.loc[held, "label"] = "tumour"
    table.loc[held, "site"] = "planted"
    table.to_csv(place / "slices.csv", index=False)
    return synthoma.Cohort(place)


@pytest.fixture(scope="module")
def plan(cohort: synthoma.Cohort, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plan of it."""
    place: Path = tmp_path_factory.mktemp("planned") / "plan"
    synthoma.plan(cohort, place, share=0.8)
    return place


def ordering(plan: Path, folder: Path, *orders: Order) -> Path:
    """The same plan with other orders."""
    folder.mkdir()
    found = Plan.model_validate_json((plan / "plan.json").read_text())
    write_plan(folder, found.model_copy(update={"orders": orders}))
    return folder


def test_held_out_patients_count_for_nothing(simulated: synthoma.Cohort, cohort: synthoma.Cohort) -> None:
    ours, theirs = synthoma.plan(cohort), synthoma.plan(simulated)
    assert (ours.tallies, ours.orders, ours.unknown) == (theirs.tallies, theirs.orders, theirs.unknown)
    assert ours.patients == 4
    assert {one.have for one in ours.tallies if one.kind == "tumour"} == {2}
    assert not any(one.kind == "planted" for one in ours.tallies)
    text = ours.model_dump_json()
    assert not any(f'"{name}"' in text for name in cohort.patients), "a plan names nobody"


def test_an_old_cavity_is_no_part_of_what_was_painted() -> None:
    before = np.array([[[0, 4, 1, 0]]], np.uint8)
    scan = Scan({"flair": np.ones(before.shape, np.float32)}, (1.0, 1.0, 1.0), before)
    assert fresh(np.array([[[3, 4, 1, 0]]], np.uint8), scan).tolist() == [[[True, False, False, False]]]


def test_sizes_are_those_of_the_masks(cohort: synthoma.Cohort) -> None:
    seen = {one.patient: one for one in seen_of(cohort)}
    table = cohort.slices
    for name in ("p1", "p3"):
        rows = table[table["patient"] == name]
        ml = rows["tumour_pixels"].sum() * rows["pixel_mm"].iat[0] ** 2 * rows["step_mm"].iat[0] / 1000
        assert seen[name].ml == pytest.approx(ml)
        assert seen[name].ml == pytest.approx(9, rel=0.05), "as it was painted"
    assert (seen["p0"].ml, seen["p0"].side, seen["p0"].ill) == (None, None, False)


def test_a_plan_is_painted_as_it_was_measured_and_from_training_patients(
    cohort: synthoma.Cohort, plan: Path, tmp_path: Path
) -> None:
    orders = (
        Order(name="small left", count=2, size_ml=(4.0, 10.0), side="left"),
        Order(name="right temporal", count=1, side="right", lobe="temporal"),
        Order(name="with t1c", count=1, sequences=True),
    )
    asked = ordering(plan, tmp_path / "plan", *orders)
    made = synthoma.paint(cohort, tmp_path / "painted", plan=asked, seed=3)
    cases = made.slices.drop_duplicates("case")
    assert cases["wanted"].tolist() == ["small left", "small left", "right temporal"]
    for stack in stacks_of(made, ("train",)):
        scan = stack.scan()
        where = where_is(scan.tumour, brain_of(scan.images, scan.spacing) | scan.tumour, scan)
        ml = float(scan.tumour.sum()) * scan.voxel_ml
        if made.slices["wanted"].iat[stack.rows[0]] == "small left":
            assert 4 <= ml <= 10
            assert where[0] == "left"
        else:
            assert where == ("right", "temporal")
    told = " ".join(made.meta.remarks)
    assert "small left: 2 of 2 painted" in told
    assert "with t1c left out: a painter adds no sequence" in told
    # Nothing of a held-out patient: neither name nor pixel, and a training takes it.
    assert not patients_behind(made, simulated=True) & held_out_names(cohort)
    assert not (made.images[:, :, 0, 0] == PLANTED).any()
    learned = DetectorTraining(model="unet-25d", extra=(made.path,))
    assert len(DetectorPlan(cohort, learned).sources) == 2
    first = ordering(plan, tmp_path / "first", orders[0].model_copy(update={"count": 1}))
    again = synthoma.paint(cohort, tmp_path / "again", plan=first, seed=3)
    assert np.array_equal(made.images[: len(again)], again.images), "the same draws, whatever is ordered after"


def test_what_a_plan_decides_is_not_given_too(cohort: synthoma.Cohort, plan: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"a plan alone.*splits"):
        synthoma.paint(cohort, tmp_path / "out", plan=plan, splits=("train", "test"))
    with pytest.raises(ConfigError, match="size_ml"):
        synthoma.paint(cohort, tmp_path / "out", plan=plan, size_ml=5)
    with pytest.raises(ConfigError, match="with scans"):
        synthoma.paint(tmp_path, tmp_path.parent / "out", plan=plan)


def test_a_plan_of_other_splits_is_refused(
    simulated: synthoma.Cohort, cohort: synthoma.Cohort, plan: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="other splits"):
        synthoma.paint(simulated, tmp_path / "out", plan=plan)
    nothing = ordering(plan, tmp_path / "nothing")
    with pytest.raises(InputError, match="orders something"):
        synthoma.paint(cohort, tmp_path / "out", plan=nothing)
    alien = ordering(plan, tmp_path / "alien", Order(name="meningioma", count=1, label="meningioma"))
    with pytest.raises(InputError, match="draws tumour, no meningioma"):
        synthoma.paint(cohort, tmp_path / "out", plan=alien)


def test_a_plan_is_an_artefact(plan: Path) -> None:
    assert synthoma.describe(plan)["kind"] == "plan"
    assert synthoma.verify(plan) == []
    before = (plan / "report.html").read_text()
    assert synthoma.report(plan) == plan / "report.html"
    assert (plan / "report.html").read_text() == before
    assert before.count("<svg") >= 4
    (plan / "plan.json").write_text((plan / "plan.json").read_text().replace('"patients": 4', '"patients": 5'))
    with pytest.raises(InputError, match="as it was written"):
        synthoma.report(plan)
