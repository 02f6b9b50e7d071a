"""A segmenter of real scans begins with the phantom and learns from simulated patients too, unless told otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import synthoma
from synthoma.cohorts.cohort import Cohort
from synthoma.pipeline import few_patients
from synthoma.pipeline.training import planned
from synthoma.settings import TrainConfig
from tests.toys import blobs, write_cohort


def _cohort(folder: Path, size: int = 64, origin: str = "real", **more: Any) -> Cohort:
    images, masks = blobs(12, size=size)
    splits = ["train"] * 8 + ["validation"] * 4
    return write_cohort(folder, images, splits=splits, masks=masks, mask_names={"1": "tumour"}, origin=origin, **more)


def _planned(cohort: Cohort, **settings: Any) -> TrainConfig:
    return planned(cohort, TrainConfig.resolve(flags={"model": "unet-25d", **settings}))


@pytest.fixture(autouse=True)
def a_patient_takes_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthoma.pipeline.training, "_seconds_a_patient", lambda cohort, config: 1.0)
    monkeypatch.setattr(few_patients, "usable_cores", lambda: 1)


def test_real_scans_begin_with_the_phantom_at_half_the_rate(tmp_path: Path) -> None:
    found = _planned(_cohort(tmp_path / "c"), minutes=10)
    usual = TrainConfig.resolve(flags={"model": "unet-25d"})
    assert (found.init, found.simulate) == ("phantom", 60)
    assert found.segmenter.rate == usual.segmenter.rate / 2
    assert {"init", "simulate", "segmenter.rate"} <= set(found.decided)
    assert len(found.reasons) == 2
    # As somebody would have said it.
    assert TrainConfig.resolve(flags={"model": "unet-25d", "init": "phantom"}).segmenter == found.segmenter


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"minutes": 3.0}, 30),  # a sixth of the budget is for simulating
        ({"minutes": 1.0}, None),  # no room for twelve
        ({"images": 2000}, None),
        ({"images": 20000}, 60),
        ({"minutes": 10, "simulate": 0}, 0),
        ({"minutes": 10, "simulate": 7}, 7),
    ],
)
def test_how_many_are_simulated(tmp_path: Path, settings: dict[str, Any], expected: int | None) -> None:
    found = _planned(_cohort(tmp_path / "c"), **settings)
    assert found.init == "phantom"
    assert found.simulate == expected


def test_what_was_said_stays(tmp_path: Path) -> None:
    cohort = _cohort(tmp_path / "c")
    nothing = _planned(cohort, init="none")
    assert (nothing.init, nothing.simulate, nothing.reasons) == (None, None, ())
    assert nothing.segmenter == TrainConfig.resolve(flags={"model": "unet-25d"}).segmenter
    assert _planned(cohort, init="phantom").simulate is None
    own = TrainConfig.resolve(None, ["segmenter.rate=0.0005"], {"model": "unet-25d"})
    assert planned(cohort, own).segmenter.rate == 0.0005
    wide = TrainConfig.resolve(None, ["segmenter.width=24"], {"model": "unet-25d"})
    assert planned(cohort, wide).init is None  # another network cannot begin with it
    assert planned(cohort, TrainConfig.resolve(flags={"model": "segresnet"})).init is None


def test_painted_patients_do_not_stop_simulated_ones(tmp_path: Path) -> None:
    """What is painted into the own patients stands in for them; whatever else is given stands for simulated ones."""
    cohort = _cohort(tmp_path / "c")
    known = {"slices": 1, "classes": ("tumour",), "groups": tuple(cohort.slices["group"][:8])}
    made: dict[str, Any] = {"provenance": {"trained_on": known, "training_cohort": {"origin": "real"}}}
    painted = _cohort(tmp_path / "painted", origin="synthetic", groups=["case-0001"] * 12, **made)
    drawn = _cohort(tmp_path / "drawn", origin="synthetic", groups=["drawn"] * 12, **made)
    assert _planned(cohort, minutes=10, extra=[painted.path]).simulate == 60
    assert _planned(cohort, minutes=10, extra=[drawn.path]).simulate is None
    assert _planned(cohort, minutes=10, extra=[painted.path, drawn.path]).simulate is None
    assert _planned(cohort, minutes=10, extra=[painted.path], simulate=0).simulate == 0


@pytest.mark.parametrize(
    ("made", "why"),
    [({"origin": "phantom"}, "simulated"), ({"size": 32}, "small"), ({"modalities": ("image",)}, "of no sequence")],
)
def test_other_cohorts_begin_with_nothing(tmp_path: Path, made: dict[str, Any], why: str) -> None:
    assert _planned(_cohort(tmp_path / "c", **made)).init is None, why


@pytest.mark.slow
def test_simulated_patients_are_part_of_the_run(tmp_path: Path) -> None:
    run = synthoma.train(
        _cohort(tmp_path / "c"), tmp_path / "run", model="unet-25d", images=64, simulate=2, snapshots=1
    )
    own = Cohort(run.path / "phantom")
    assert own.meta.cases == 2
    assert run.meta.provenance.with_[0].origin == "phantom"
    assert "phantom" in (run.path / "config.toml").read_text()
