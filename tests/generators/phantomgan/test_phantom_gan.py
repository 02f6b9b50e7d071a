from __future__ import annotations

import shutil
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError

import synthoma
from synthoma.cohorts.cohort import Cohort
from synthoma.cohorts.dataset import TrainingSlices
from synthoma.core.errors import CohortError, ConfigError, InputError
from synthoma.core.types import WHOLE_TUMOUR
from synthoma.generators.phantomgan.air import air_of
from synthoma.generators.phantomgan.material import simulation_settings
from synthoma.generators.phantomgan.network import Repainter, fitted_to
from synthoma.generators.phantomgan.patients import generate_patients
from synthoma.generators.phantomgan.simulated import class_of
from synthoma.generators.sampling import Sampler, generate_cohort, interpolate
from synthoma.settings import TrainConfig
from synthoma.training.bundle import open_model, shipped_model
from tests.toys import blobs, train_toy, write_cohort

pytestmark = pytest.mark.slow

NETWORKS = ("generator", "discriminator")
NAMES = {str(label): name for label, name in WHOLE_TUMOUR.items()}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("phantom-gan")


@pytest.fixture(scope="module")
def real(place: Path) -> Cohort:
    """Squares on grey whose brightness falls to the right, with a grain."""
    images, masks = blobs(80, seed=1)
    draws = np.random.default_rng(0)
    look = np.clip(images * np.linspace(1.2, 0.6, 16) + 0.1 + draws.normal(0, 0.03, images.shape), 0, 1)
    splits = ["train"] * 60 + ["validation"] * 20
    return write_cohort(place / "real", look, None, masks, splits=splits, mask_names=NAMES, origin="real")


@pytest.fixture(scope="module")
def phantom(place: Path) -> Cohort:
    """Squares on grey as they are."""
    images, masks = blobs(100, seed=2)
    return write_cohort(place / "phantom", images, None, masks, mask_names=NAMES)


@pytest.fixture(scope="module")
def run(place: Path, real: Cohort, phantom: Cohort) -> Path:
    settings = {"model": "phantom-gan", "phantom": phantom.path, "with_masks": True, "images": 4000, "snapshots": 2}
    train_toy(real, place / "run", gan={"ema_images": 200.0, "width": 8, "latent": 4}, **settings)
    return place / "run"


def test_the_look_of_real_slices_is_learned_and_the_masks_are_the_phantoms(
    place: Path, real: Cohort, phantom: Cohort, run: Path
) -> None:
    drawn = generate_cohort(Sampler.open(run, phantom), _new(place / "drawn"), 64, seed=3)
    columns = {
        name: np.asarray(cohort.images[:, 0], np.float64).mean(axis=(0, 1))
        for name, cohort in (("real", real), ("phantom", phantom), ("drawn", drawn))
    }
    before = np.abs(columns["phantom"] - columns["real"]).mean()
    after = np.abs(columns["drawn"] - columns["real"]).mean()
    assert after < 0.6 * before
    known = {mask.tobytes() for mask in np.asarray(phantom.masks)}
    assert all(mask.tobytes() in known for mask in np.asarray(drawn.masks))
    assert drawn.slices["has_mask"].all()
    inside = np.asarray(drawn.masks) > 0
    images = np.asarray(drawn.images[:, 0], np.float64)
    assert images[inside].mean() > images[~inside].mean() + 0.2  # the square is still where its mask is


def test_masks_come_from_the_phantom_even_if_real_slices_have_none(place: Path, real: Cohort, phantom: Cohort) -> None:
    """The discriminator then sees images alone; what is drawn is labelled all the same."""
    bare = write_cohort(place / "bare", np.asarray(real.images[:, 0], np.float64), splits=real.slices["split"].tolist())
    train_toy(bare, place / "bare-run", model="phantom-gan", phantom=phantom.path, images=64, snapshots=1)
    drawn = generate_cohort(Sampler.open(place / "bare-run", phantom), _new(place / "labelled"), 20, seed=0)
    assert drawn.labels == phantom.labels
    known = {mask.tobytes(): row for row, mask in enumerate(np.asarray(phantom.masks))}
    rows = [known[mask.tobytes()] for mask in np.asarray(drawn.masks)]
    near = np.abs(np.asarray(drawn.images, np.float64) - np.asarray(phantom.images[rows], np.float64)).mean()
    assert near < 0.1  # hardly trained: it is that simulated slice


def test_simulated_slices_on_another_scale_are_refused(place: Path, run: Path) -> None:
    images, masks = blobs(10, seed=3)
    settings = {"config": {"normalise": "zscore"}}
    zscored = write_cohort(place / "zscored", images, None, masks, mask_names=NAMES, provenance=settings)
    with pytest.raises(ConfigError, match="normalised by zscore"):
        Sampler.open(run, zscored)


def test_shards_add_up(place: Path, phantom: Cohort, run: Path) -> None:
    sampler = Sampler.open(run, phantom)
    whole = generate_cohort(sampler, _new(place / "whole"), 70, seed=1)
    parts = [generate_cohort(sampler, _new(place / f"part{k}"), 70, seed=1, shard=(k, 2)) for k in (1, 2)]
    assert np.array_equal(np.asarray(whole.images), np.concatenate([np.asarray(part.images) for part in parts]))
    assert np.array_equal(np.asarray(whole.masks), np.concatenate([np.asarray(part.masks) for part in parts]))


def test_slices_are_drawn_in_the_shares_of_real_ones(place: Path, real: Cohort) -> None:
    """Half of the simulated squares are much larger than any real one: they are hardly drawn."""
    images, masks = blobs(100, seed=4)
    large = np.zeros_like(masks[:50])
    large[:, 2:14, 2:14] = 1
    images[:50], masks[:50] = np.where(large > 0, 0.8, 0.2), large
    mixed = write_cohort(place / "mixed", images, None, masks, mask_names=NAMES)
    for match, share in ((True, 0.3), (False, 0.5)):
        run = place / f"run-{match}"
        train_toy(real, run, model="phantom-gan", phantom=mixed.path, images=16, snapshots=1, gan={"match": match})
        drawn = generate_cohort(Sampler.open(run, mixed), _new(place / f"drawn-{match}"), 200, seed=0)
        found = (drawn.slices["tumour_pixels"] > 100).mean()
        assert found < share if match else abs(found - share) < 0.12


def test_classes_are_those_of_the_real_cohort_whatever_they_are_called(place: Path) -> None:
    """A cohort of yes and no: simulated slices with a tumour are the one, those without the other."""
    images, masks = blobs(60, seed=6)
    flat = np.full_like(images[:30], 0.2)
    both = np.concatenate([images[:30], flat])
    real = write_cohort(place / "yes-no", both, ["yes"] * 30 + ["no"] * 30, modalities=["image"], origin="real")
    marks = np.concatenate([masks[30:], np.zeros_like(masks[30:])])
    simulated = write_cohort(
        place / "both",
        np.concatenate([images[30:], flat]),
        ["tumour"] * 30 + ["healthy"] * 30,
        marks,
        mask_names=NAMES,
        modalities=["image"],
    )
    run = place / "yes-no-run"
    train_toy(real, run, model="phantom-gan", phantom=simulated.path, images=16, snapshots=1)
    drawn = generate_cohort(Sampler.open(run, simulated), _new(place / "drawn-both"), 60, seed=0)
    assert set(drawn.slices["label"]) == {"yes", "no"}
    assert ((drawn.slices["label"] == "yes") == (drawn.slices["tumour_pixels"] > 0)).all()
    assert drawn.classes == ("no", "yes")
    only = generate_cohort(Sampler.open(run, simulated, "no"), _new(place / "drawn-no"), 20, seed=0, label="no")
    assert set(only.slices["label"]) == {"no"}
    assert drawn.meta.remarks == only.meta.remarks == ()
    # Where simulated slices come in other shares themselves, those of drawn ones are off, and that is said.
    ill = write_cohort(place / "ill", images[30:], None, masks[30:], mask_names=NAMES, modalities=["image"])
    assert "differ from those of the training in tumour" in Sampler.open(run, ill).latents.remarks[0]


@pytest.mark.parametrize(
    ("area", "classes", "name"),
    [
        (9, ("tumour", "healthy"), "tumour"),
        (0, ("notumor", "glioma", "meningioma"), "notumor"),
        (9, ("notumor", "glioma", "meningioma"), "glioma"),
        (9, ("a", "b"), "unlabelled"),
        (0, ("tumour",), "unlabelled"),
        (9, ("unlabelled",), "unlabelled"),
    ],
)
def test_what_a_simulated_slice_is_called(area: int, classes: tuple[str, ...], name: str) -> None:
    assert class_of(area, classes) == name


def test_masks_say_what_slices_show_whatever_their_class_is_called(place: Path) -> None:
    """Slices of folders called hgg and lgg, half of them without tumour: half of the drawn ones show none, too."""
    images, masks = blobs(80, seed=8)
    images[1::2], masks[1::2] = 0.2, 0
    folders = ["hgg", "hgg", "lgg", "lgg"] * 20
    real = write_cohort(place / "grades", images, folders, masks, mask_names=NAMES, origin="real")
    kinds = ["tumour", "healthy"] * 40
    simulated = write_cohort(place / "kinds", images[::-1], kinds[::-1], masks[::-1], mask_names=NAMES)
    run = place / "grades-run"
    train_toy(real, run, model="phantom-gan", phantom=simulated.path, images=16, snapshots=1, with_masks=True)
    drawn = generate_cohort(Sampler.open(run, simulated), _new(place / "drawn-grades"), 200, seed=0)
    assert (drawn.slices["tumour_pixels"] > 0).mean() == pytest.approx(0.5, abs=0.1)
    assert drawn.classes == ("unlabelled",)


def test_slices_of_which_nobody_said_what_they_show_stay_unlabelled(place: Path, run: Path) -> None:
    images, masks = blobs(40, seed=9)
    images[:20], masks[:20] = 0.2, 0
    real = write_cohort(place / "unsaid", images, ["healthy"] * 20 + ["unlabelled"] * 20, origin="real")
    both = write_cohort(place / "unsaid-both", images, ["healthy"] * 20 + ["tumour"] * 20, masks, mask_names=NAMES)
    train_toy(real, place / "unsaid-run", model="phantom-gan", phantom=both.path, images=16, snapshots=1)
    drawn = generate_cohort(Sampler.open(place / "unsaid-run", both), _new(place / "drawn-unsaid"), 40, seed=0)
    assert drawn.classes == ("healthy", "unlabelled")
    TrainingSlices(drawn, np.arange(len(drawn)))  # it can be learned from in turn


def test_single_slices_of_volumes_are_no_pictures(place: Path) -> None:
    """Simulated slices lie in the box of a whole head beside volumes, however few of their slices are learned from."""
    images, masks = blobs(40, seed=3)
    cohort = write_cohort(place / "slices-of-volumes", images, None, masks, mask_names=NAMES, origin="real")
    assert simulation_settings(cohort, np.arange(40))["apart"]  # pictures, a case each
    table = cohort.slices.copy()
    table["slice"] = 20 + np.arange(40) % 3
    table.to_csv(cohort.path / "slices.csv", index=False)
    assert not simulation_settings(Cohort(cohort.path), np.arange(40))["apart"]  # the largest slice of each volume
    table["slice"], table["case"] = np.arange(40) % 4, [f"case-{i // 4}" for i in range(40)]
    table.to_csv(cohort.path / "slices.csv", index=False)
    assert not simulation_settings(Cohort(cohort.path), np.array([0, 9, 17]))["apart"]  # --limit 3


def test_any_size_that_four_divides(place: Path) -> None:
    images, masks = blobs(12, seed=10, size=24)
    real = write_cohort(place / "real-24", images, None, masks, mask_names=NAMES, origin="real")
    phantom = write_cohort(place / "phantom-24", images, None, masks, mask_names=NAMES)
    settings = {"model": "phantom-gan", "phantom": phantom.path, "images": 16, "snapshots": 1}
    train_toy(real, place / "run-24", **settings)
    drawn = generate_cohort(Sampler.open(place / "run-24", phantom), _new(place / "drawn-24"), 4, seed=0)
    assert drawn.size == 24


def test_drawn_air_is_that_of_the_real_slices(place: Path) -> None:
    """Real heads stand in air of 3 %, simulated ones in black: nothing is learned in a step, and yet it is there."""
    y, x = np.mgrid[:32, :32] - 15.5
    head = np.where(np.hypot(x, y) < 10, 0.5, 0.0)
    draws = np.random.default_rng(0)
    framed = np.zeros((20, 32, 32))
    framed[:, 2:30, 2:30] = 0.03
    real = write_cohort(place / "aired", np.maximum(framed + draws.normal(0, 1e-3, framed.shape) * (framed > 0), head))
    grainy = np.maximum(np.where(framed > 0, draws.uniform(0.001, 0.003, framed.shape), 0), head)
    simulated = write_cohort(place / "airless", grainy)
    train_toy(real, place / "air-run", model="phantom-gan", phantom=simulated.path, images=16, snapshots=1)
    drawn = generate_cohort(Sampler.open(place / "air-run", simulated), _new(place / "air-drawn"), 8, seed=0)
    images = np.asarray(drawn.images[:, 0], np.float64)
    levels = [air_of(image)[0] for image in images]
    assert np.mean(levels) == pytest.approx(0.03, abs=0.003)
    assert not images[:, :2].any()  # the frame stays black
    assert images[:, 12:20, 12:20].mean() == pytest.approx(0.5, abs=0.06)


def test_less_noise_is_less_various(place: Path, phantom: Cohort, run: Path) -> None:
    sampler = Sampler.open(run, phantom)
    full, none = (sampler.latents.numbered(0, range(4), truncation) for truncation in (1.0, 1e-9))
    assert np.array_equal(full[:, :-1], none[:, :-1])  # the simulated slices stay
    assert float(none[:, -1].abs().max()) < 1e-6


def test_simulated_slices_are_needed_and_must_fit(place: Path, real: Cohort, phantom: Cohort, run: Path) -> None:
    with pytest.raises(CohortError, match="a cohort"):
        train_toy(real, place / "none", model="phantom-gan", images=32)
    with pytest.raises((ConfigError, ValidationError), match="--phantom is for phantom-gan"):
        TrainConfig.resolve(flags={"model": "dcgan", "phantom": phantom.path})
    with pytest.raises(ConfigError, match="simulated slices to repaint"):
        Sampler.open(run)
    images, masks = blobs(20, size=32)
    large = write_cohort(place / "large", images, None, masks, mask_names=NAMES)
    with pytest.raises(InputError, match="size 16"):
        Sampler.open(run, large)
    with pytest.raises(InputError, match="size 16"):
        train_toy(real, place / "no", model="phantom-gan", phantom=large.path, images=32)
    other = write_cohort(place / "other", blobs(20)[0], ["healthy"] * 20, blobs(20)[1], mask_names=NAMES)
    with pytest.raises(InputError, match="simulated slices of tumour"):
        Sampler.open(run, other)
    patients = write_cohort(place / "patients", *_with_masks(blobs(20)), mask_names=NAMES, origin="real")
    with pytest.raises(InputError, match="simulated patients"):  # or held-out patients would be repainted
        Sampler.open(run, patients)
    with pytest.raises(ConfigError, match="draws from latents alone"):
        interpolate(Sampler.open(run, phantom), 0, 4, 1)


def test_a_run_resumes_to_the_same_weights(place: Path, real: Cohort, phantom: Cohort) -> None:
    settings = {"model": "phantom-gan", "phantom": phantom.path, "with_masks": True, "snapshots": 2}
    train_toy(real, place / "whole", images=64, **settings)
    train_toy(real, place / "cut", **{**settings, "images": 32, "snapshots": 1})
    train_toy(real, place / "cut", images=64, resume=True, **settings)
    whole, cut = (open_model(place / name) for name in ("whole", "cut"))
    assert whole.tensors.keys() == cut.tensors.keys()
    assert all(torch.equal(value, cut.tensors[name]) for name, value in whole.tensors.items())


def test_the_shipped_start_fits_any_cohort(place: Path) -> None:
    """It was trained on one modality of no known name; here are two of 16 pixels."""
    images, masks = blobs(20, seed=6)
    both = np.stack([images, 1 - images], axis=1)
    cohort = write_cohort(place / "two", both, None, masks, mask_names=NAMES, modalities=["t1", "flair"], origin="real")
    simulated = write_cohort(place / "two-simulated", both, None, masks, mask_names=NAMES, modalities=["t1", "flair"])
    settings = {"model": "phantom-gan", "init": "phantom", "with_masks": True, "images": 16, "snapshots": 1}
    train_toy(cohort, place / "begun", phantom=simulated.path, gan={"ema_images": 0.0}, **settings)
    shipped, begun = open_model(shipped_model("generator")), open_model(place / "begun")
    weights = {name: {key: value.float() for key, value in shipped.weights(name).items()} for name in NETWORKS}
    expected, _ = fitted_to(weights["generator"], weights["discriminator"], 2, 1)
    moved = [(begun.weights("generator")[name] - value).abs().max().item() for name, value in expected.items()]
    assert max(moved) < 2e-3, "the start and one step"
    assert begun.meta.provenance.init_sha256 == shipped.digest
    assert "inherited" not in begun.meta.provenance.trained_on, "simulated patients are nobody's"


def test_the_shipped_start_is_of_simulated_patients_and_gives_their_slices_back_hardly_changed(place: Path) -> None:
    path = shipped_model("generator")
    meta = open_model(path, "generator").meta.content()
    assert meta["provenance"]["cohort"]["origin"] == "phantom"
    assert sum(file.stat().st_size for file in path.parent.iterdir()) <= 12 * 2**20
    simulated = synthoma.prepare_phantom(1, place / "one", modalities=("flair",), size=64, seed=3, merge="whole-tumour")
    rows = np.flatnonzero((simulated.slices["tumour_pixels"] > 0).to_numpy())[::4]
    weights = {name: {key: value.float() for key, value in open_model(path).weights(name).items()} for name in NETWORKS}
    network = Repainter(64, 1, 1)
    network.load_state_dict(weights["generator"])
    given = TrainingSlices(simulated, rows, with_masks=True).fetch(np.arange(len(rows))).planes()
    noise = torch.randn(len(rows), 1, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        drawn = network(torch.cat([given, noise], dim=1))
    assert (drawn[:, 0] - given[:, 0]).abs().mean() < 0.05
    assert not torch.equal(drawn[:, 0], given[:, 0])


def test_other_generators_have_no_shipped_start() -> None:
    with pytest.raises(ConfigError, match="begin dcgan with a run of its own kind"):
        TrainConfig.resolve(flags={"model": "dcgan", "init": "phantom"})


def test_the_model_file_names_no_path(run: Path, phantom: Cohort) -> None:
    sampler = Sampler.open(run, phantom)
    assert str(phantom.path.parent) not in str(sampler.bundle.meta)


@pytest.fixture(scope="module")
def patients(place: Path, phantom: Cohort) -> Cohort:
    """Five simulated patients of 20 slices each, written from the highest to the lowest."""
    table = pd.read_csv(phantom.path / "slices.csv")
    number = np.arange(len(table))
    named = table.assign(case=[f"p{k}" for k in number % 5], slice=99 - number // 5, step_mm=5.0, pixel_mm=3.0)
    shutil.copytree(phantom.path, place / "patients-simulated")
    named.assign(group=named["case"]).to_csv(place / "patients-simulated" / "slices.csv", index=False)
    return Cohort(place / "patients-simulated")


def test_whole_patients_are_repainted_slice_by_slice_in_one_style(place: Path, patients: Cohort, run: Path) -> None:
    sampler = Sampler.open(run, patients)
    drawn = generate_patients(sampler, _new(place / "whole-patients"), 6, seed=1)
    assert drawn.origin == "synthetic"
    assert drawn.meta.cases == 6
    masks, known = np.asarray(drawn.masks), np.asarray(patients.masks)
    for case, found in drawn.slices.groupby("case"):
        assert found["slice"].tolist() == sorted(patients.slices["slice"].unique()), case
        name = found["group"].iloc[0].removeprefix("simulated ")
        own = patients.slices[patients.slices["case"] == name].sort_values("slice").index
        assert np.array_equal(masks[found.index], known[own])
    # Two patients from one simulated slice differ; slices of one share the style, so that their grain alone does.
    style = sampler.generator.latent
    seen = []
    sampler.generator.register_forward_pre_hook(lambda _, args: seen.append(args[0][:, -1].flatten(1)[:20]))
    generate_patients(sampler, _new(place / "styles"), 2, seed=1)
    for noise in seen:
        assert (noise[:, :style] == noise[:1, :style]).all()
        assert (noise[1:, style:] != noise[:1, style:]).any(dim=1).all()
    assert not torch.equal(seen[0][0, :style], seen[1][0, :style])


def test_patients_come_once_before_any_comes_again_and_fitting_ones_first(
    place: Path, patients: Cohort, run: Path
) -> None:
    sampler = Sampler.open(run, patients)
    drawn = generate_patients(sampler, _new(place / "twice"), 10, seed=3)
    groups = drawn.slices.drop_duplicates("case")["group"].tolist()
    assert sorted(groups[:5]) == sorted(groups[5:]) == sorted(f"simulated p{k}" for k in range(5))
    # One patient's slices are twenty times as likely as the others': a long one is not for its length.
    rare = np.isin(patients.slices["case"].to_numpy(), ["p1", "p2", "p3", "p4"])
    sampler.latents.source.chances = np.where(rare, 0.002, 0.04)
    first = [
        generate_patients(sampler, _new(place / f"first{seed}"), 1, seed=seed).slices["group"].iat[0]
        for seed in range(12)
    ]
    assert first.count("simulated p0") >= 7  # 20 of 24; 2.4 by chance alone


def test_shards_of_patients_add_up(place: Path, patients: Cohort, run: Path) -> None:
    sampler = Sampler.open(run, patients)
    whole = generate_patients(sampler, _new(place / "all-patients"), 5, seed=2)
    parts = [generate_patients(sampler, _new(place / f"some{k}"), 5, seed=2, shard=(k, 2)) for k in (1, 2)]
    assert np.array_equal(np.asarray(whole.images), np.concatenate([np.asarray(part.images) for part in parts]))
    assert whole.slices["case"].tolist() == [case for part in parts for case in part.slices["case"]]


def test_patients_become_volumes(place: Path, patients: Cohort, run: Path) -> None:
    folder = place / "volumes"
    synthoma.generate(run, folder, patients=2, phantom=patients.path, form="nifti", seed=1)
    drawn = Cohort(folder)
    volume = nibabel.load(folder / "export_nifti" / "synthetic-000001" / "synthetic-000001_seg.nii.gz")
    assert volume.header.get_zooms() == (3.0, 3.0, 5.0)
    expected = np.asarray(drawn.masks)[drawn.slices["case"] == "synthetic-000001"]
    assert np.array_equal(np.asarray(volume.dataobj).transpose(2, 1, 0), expected)
    # Which slices there are is the simulated scans' business, whatever was left out of the real ones.
    sampler = Sampler.open(run, patients)
    sampler.bundle.meta.prepare["every"] = 2
    assert generate_patients(sampler, _new(place / "every"), 1, seed=1).meta.provenance.config["every"] == 1


def test_patients_or_images_and_only_of_a_model_that_repaints(place: Path, real: Cohort, run: Path) -> None:
    for settings in ({}, {"count": 3, "patients": 3}):
        with pytest.raises(ConfigError, match="a number of images, or of patients"):
            synthoma.generate(run, place / "no", **settings)
    with pytest.raises(ConfigError, match="whole patients"):
        synthoma.generate(run, place / "no", patients=2, label="tumour")
    with pytest.raises(ConfigError, match="patients from 1"):
        synthoma.generate(run, place / "no", patients=0)
    with pytest.raises(ConfigError, match="i <= k"):  # or one of the shards would be empty
        synthoma.generate(run, place / "no", patients=2, shard=(1, 3))
    train_toy(real, place / "gan", images=16, snapshots=1)
    with pytest.raises(ConfigError, match="a model that repaints simulated patients"):
        synthoma.generate(place / "gan", place / "no", patients=2)


def _with_masks(both: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, None, np.ndarray]:
    return both[0], None, both[1]


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder
