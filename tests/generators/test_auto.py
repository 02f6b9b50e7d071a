from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import synthoma
from synthoma.cohorts.cohort import Cohort
from synthoma.core.errors import ConfigError, InputError
from synthoma.generators.plan import plan_training
from synthoma.phantom import phantom_cases
from synthoma.settings import TrainConfig
from synthoma.training.device import usable_cores
from tests.toys import blobs, train_toy, write_cohort

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("few_are_judged")]


@pytest.fixture(autouse=True)
def two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each simulated patient takes two seconds, as far as plans know."""
    monkeypatch.setattr(synthoma.pipeline.training, "_seconds_a_patient", lambda source, config: 2.0)


def _cohort(folder: Path, *, masks: bool = True, **meta: object) -> Cohort:
    images, drawn = blobs(24, size=32)
    names = {"1": "tumour"} if masks else None
    splits = ["train"] * 18 + ["validation"] * 6
    settings: dict[str, object] = {"origin": "real", "plane": "axial", **meta}
    return write_cohort(folder, images, None, drawn if masks else None, splits=splits, mask_names=names, **settings)


def _planned(cohort: Cohort, **settings: object) -> TrainConfig:
    return synthoma.planned(cohort, TrainConfig.resolve(flags={"model": "auto", **settings}))


def test_known_sequences_get_the_phantom_gan(tmp_path: Path) -> None:
    config = _planned(_cohort(tmp_path / "real"), minutes=5)
    assert config.model == "phantom-gan"
    assert config.gan.network == "repaint"
    assert config.init == "phantom"
    assert config.with_masks
    assert config.simulate == min(200, max(24, 25 * usable_cores()))  # a sixth of five minutes
    assert "18 training slices of 18 patients, flair, 32 px" in config.reasons[0]


def test_a_slower_machine_simulates_fewer_patients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cohort, minutes = _cohort(tmp_path / "real"), 20 / usable_cores()
    assert _planned(cohort, minutes=minutes).simulate == 100
    monkeypatch.setattr(synthoma.pipeline.training, "_seconds_a_patient", lambda source, config: 5.0)
    assert _planned(cohort, minutes=minutes).simulate == 40
    # Images are no time: nothing is measured.
    monkeypatch.setattr(synthoma.pipeline.training, "_seconds_a_patient", None)
    assert _planned(cohort, images=1000).simulate == 600


def test_pictures_of_unknown_sequence_too_but_without_masks(tmp_path: Path) -> None:
    config = _planned(_cohort(tmp_path / "real", masks=False, modalities=["image"]), minutes=0.1)
    assert config.model == "phantom-gan"
    assert not config.with_masks
    assert config.simulate == 24
    assert any("if these pictures show anything else" in reason for reason in config.reasons)
    assert config.init is None
    assert _planned(Cohort(tmp_path / "real"), minutes=0.1, init="phantom").init == "phantom"


def test_masks_are_left_out_where_controls_have_none(tmp_path: Path) -> None:
    """Slices without masks would be dropped: a cohort of patients with masks and controls without keeps both."""
    cohort = _cohort(tmp_path / "real")
    table = cohort.slices.copy()
    table["has_mask"] = np.arange(len(table)) % 3 > 0
    table.to_csv(cohort.path / "slices.csv", index=False)
    assert not _planned(Cohort(cohort.path)).with_masks
    table["has_mask"] = [True, *[None] * (len(table) - 1)]  # a blank is no mask
    table.to_csv(cohort.path / "slices.csv", index=False)
    assert not _planned(Cohort(cohort.path)).with_masks
    table.drop(columns="has_mask").to_csv(cohort.path / "slices.csv", index=False)
    assert _planned(Cohort(cohort.path)).with_masks  # who does not say has them all


def test_what_cannot_be_simulated_gets_a_plain_gan(tmp_path: Path) -> None:
    cohort = _cohort(tmp_path / "real", modalities=["ct"])
    assert _planned(cohort).model == "dcgan"
    assert _planned(cohort).init is None
    assert _planned(cohort).with_masks
    assert not _planned(_cohort(tmp_path / "bare", masks=False, modalities=["ct"])).with_masks
    assert _planned(_cohort(tmp_path / "known"), conditional=True).model == "dcgan"
    with pytest.raises(ConfigError, match='the only generator that init="phantom" fits'):
        _planned(cohort, init="phantom")


def test_what_cannot_be_simulated_is_said_before_anything_is_written(tmp_path: Path) -> None:
    lesion, ct = _cohort(tmp_path / "lesion"), _cohort(tmp_path / "ct", modalities=["ct"])
    lesion.meta = lesion.meta.changed({"labels": {"1": "lesion"}})
    for name, cohort in (("lesion", lesion), ("ct", ct)):
        with pytest.raises(InputError, match=f"came {name}"):
            synthoma.train(cohort, tmp_path / "run", model="phantom-gan", with_masks=True, images=8)
    assert not (tmp_path / "run").exists()


def test_a_start_decides_what_is_trained(tmp_path: Path) -> None:
    cohort = _cohort(tmp_path / "real", masks=False)
    train_toy(cohort, tmp_path / "first", images=8, snapshots=1)
    assert synthoma.planned(cohort, TrainConfig(init=str(tmp_path / "first"))).model == "dcgan"


def test_a_start_decides_whether_masks_are_learned(tmp_path: Path) -> None:
    cohort = _cohort(tmp_path / "real")
    for masks in (False, True):
        train_toy(cohort, tmp_path / f"first-{masks}", images=8, snapshots=1, with_masks=masks)
        config = synthoma.planned(cohort, TrainConfig(init=str(tmp_path / f"first-{masks}"), images=8))
        assert config.with_masks == masks
        plan_training(cohort, config)  # it would begin


def test_given_slices_are_used_and_nothing_is_simulated(tmp_path: Path) -> None:
    cohort, phantom = _cohort(tmp_path / "real"), _cohort(tmp_path / "phantom")
    config = _planned(cohort, phantom=phantom.path)
    assert config.phantom == phantom.path
    assert not any("simulated first" in reason for reason in config.reasons)


def test_settings_of_ones_own_need_a_model_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="choose a model by name"):
        _planned(_cohort(tmp_path / "real"), gan={"width": 64})


def test_a_search_needs_one_set_of_simulated_slices(tmp_path: Path) -> None:
    cohort = _cohort(tmp_path / "real")
    with pytest.raises(ConfigError, match="phantom=COHORT"):
        synthoma.pipeline.search(
            cohort.path, tmp_path / "search", 2, config=TrainConfig.resolve(flags={"model": "auto"})
        )
    assert not (tmp_path / "search").exists()


def test_other_models_stay_as_they_are(tmp_path: Path) -> None:
    config = TrainConfig.resolve(flags={"model": "dcgan"})
    assert synthoma.planned(_cohort(tmp_path / "real"), config) is config


def test_what_an_interrupted_simulation_left_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cohort, run = _cohort(tmp_path / "real"), tmp_path / "run"
    left = run / ".phantom.partial-0123abcd"

    def interrupted(*_: object, **__: object) -> None:
        assert not left.exists()
        left.mkdir()
        raise KeyboardInterrupt

    monkeypatch.setattr(synthoma.pipeline.preparation, "pack", interrupted)
    for resume in (False, True):
        with pytest.raises(KeyboardInterrupt):
            synthoma.train(cohort, run, model="auto", images=48, resume=resume)


def test_train_and_generate_in_two_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No phantom cohort is made by hand; the model file alone is enough to draw labelled images."""
    monkeypatch.setattr(synthoma.pipeline.training, "SIMULATED_PATIENTS", 3)
    monkeypatch.setattr(synthoma.pipeline.asked, "SIMULATED_PATIENTS", 3)
    cohort = _cohort(tmp_path / "real")
    run = synthoma.train(cohort, tmp_path / "run", model="auto", minutes=0.01, snapshots=1, simulate=2).path
    written = TrainConfig.resolve(run / "config.toml")
    assert written.minutes == 0.01  # as asked for, though the simulation took its part
    ages = {case.facts["age"] for case in phantom_cases(2, written.seed)}
    assert not ages & set(Cohort(run / "phantom").slices["age"])  # nobody of a phantom cohort of the same seed
    assert written.model == "phantom-gan"
    assert written.reasons
    assert Cohort(run / "phantom").meta.provenance.config["apart"]  # as real slices of one a case are
    drawn = synthoma.generate(run, tmp_path / "drawn", 12)
    assert drawn.labels == {1: "tumour"}
    assert set(drawn.slices["label"]) == {"tumour"}
    assert not (drawn.path / "simulated").exists()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (run / "model.safetensors").rename(elsewhere / "model.safetensors")
    with monkeypatch.context() as patch, pytest.raises(ConfigError, match="a class of the model"):
        # What cannot be drawn is said before simulating.
        patch.setattr(synthoma.pipeline.simulation, "prepare_phantom", None)
        synthoma.generate(elsewhere / "model.safetensors", tmp_path / "none", 12, label="unknown")
    again = synthoma.generate(elsewhere / "model.safetensors", tmp_path / "again", 12)
    assert (again.slices["tumour_pixels"] > 0).all()
    assert len(again) == 12
    fewer = synthoma.generate(elsewhere / "model.safetensors", tmp_path / "fewer", 5)
    assert np.array_equal(np.asarray(fewer.images), np.asarray(again.images[:5]))
