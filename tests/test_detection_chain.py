"""From simulated patients to a trained detector, masks of unseen scans, and their scores; in Python and in a shell."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

import synthoma
from synthoma.commands.app import main
from synthoma.core.errors import ConfigError, InputError
from synthoma.phantom import PhantomConfig, simulate
from synthoma.scans.case import Volume
from synthoma.scans.grids import same_grid
from synthoma.scans.volumes import read_volume, write_volume
from synthoma.training.bundle import open_model

pytestmark = pytest.mark.slow

PHANTOM = PhantomConfig(modalities=("flair",), pixel_mm=4.0, slice_mm=6.0, sites=4)


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A phantom cohort, a segmenter, a classifier of slices, and two new patients as NIfTI and MHA with true masks."""
    place = tmp_path_factory.mktemp("detection")
    synthoma.prepare_phantom(
        12, place / "cohort", phantom=PHANTOM, size=32, merge="whole-tumour", split=(0.7, 0.15, 0.15)
    )
    small = {"stem": 2, "width": 16, "levels": 4, "batch": 8, "ema_images": 200.0}
    synthoma.train(place / "cohort", place / "run", model="unet-25d", images=4000, snapshots=4, segmenter=small)
    synthoma.train(
        place / "cohort", place / "classifier", model="cnn", images=800, snapshots=2, classifier={"width": 8}
    )
    for folder in ("scans", "truth"):
        (place / folder).mkdir()
    for number, suffix in ((100, ".nii.gz"), (101, ".mha")):
        study = simulate(seed=3, index=number, config=PHANTOM).study
        assert study.mask is not None
        image = np.asarray(study.images["flair"], np.float32)
        write_volume(Volume(image, study.geometry), place / "scans" / f"p{number}_flair{suffix}")
        write_volume(
            Volume((study.mask > 0).astype(np.uint8), study.geometry), place / "truth" / f"p{number}_seg.nii.gz"
        )
    (place / "scans" / "broken.nii.gz").write_bytes(b"no volume")
    synthoma.detect(place / "scans", place / "found", model=place / "run", type_model=place / "classifier")
    return place


def _masks(found: Path) -> dict[str, Path]:
    table = pd.read_csv(found / "index.csv")
    return {str(row["case"]): found / str(row["mask"]) for _, row in table.iterrows()}


def test_new_patients_are_outlined(chain: Path) -> None:
    """Patients of 32 px after seconds of training: above the Dice of about 0.1 of calling the whole head tumour."""
    scored = []
    for name, mask in _masks(chain / "found").items():
        truth = read_volume(chain / "truth" / f"{name.removesuffix('_flair')}_seg.nii.gz")
        said = read_volume(mask).voxels > 0
        scored.append(2 * (said & (truth.voxels > 0)).sum() / (said.sum() + (truth.voxels > 0).sum()))
    assert len(scored) == 2
    assert np.mean(scored) > 0.2
    assert np.max(scored) > 0.35


def test_masks_lie_on_their_scans(chain: Path) -> None:
    for name, mask in _masks(chain / "found").items():
        source = next((chain / "scans").glob(f"{name}*"))
        ours, theirs = sitk.ReadImage(str(mask)), sitk.ReadImage(str(source))
        assert ours.GetSize() == theirs.GetSize()
        geometry, of = read_volume(mask).geometry, read_volume(source).geometry
        assert geometry is not None
        assert of is not None
        assert same_grid(geometry, of)


def test_findings_in_python_are_those_of_the_files(chain: Path, tmp_path: Path) -> None:
    found = synthoma.Findings(chain / "found", scans=[chain / "scans"])
    assert found.cases == tuple(_masks(chain / "found"))
    assert found.table["has_tumour"].dtype == bool
    name = found.cases[0]
    stored = read_volume(_masks(chain / "found")[name]).voxels
    np.testing.assert_array_equal(found.mask(name), stored)
    assert found.findings(name).volume_ml == pytest.approx(found.table["volume_ml"].iloc[0], rel=1e-3)
    number = int(np.argmax((stored > 0).sum(axis=(1, 2))))
    picture = np.asarray(found.show(name, slice=number)).astype(int)
    red = (picture[..., 0] - picture[..., 2]) > 60
    assert red.any()
    assert not red[stored[number] == 0].any()
    assert found.show(name).width > 100
    assert "not for clinical use" in found._repr_html_()
    with pytest.raises(ConfigError, match="the name of a scan"):
        found.mask("nobody")
    with pytest.raises(ConfigError, match=f"a slice from 0 to {len(stored) - 1}"):
        found.show(name, slice=len(stored))
    with pytest.raises(InputError, match="scans to draw slices of"):
        synthoma.Findings(chain / "found").show(name, slice=0)
    kept = found.save(tmp_path / "kept")
    np.testing.assert_array_equal(kept.mask(name), stored)


def test_a_bad_scan_is_listed_and_the_others_are_done(chain: Path) -> None:
    skipped = pd.read_csv(chain / "found" / "skipped.csv")
    assert "broken.nii.gz" in skipped["path"].iloc[0]


def test_findings_name_a_type_and_a_warning(chain: Path) -> None:
    for name in _masks(chain / "found"):
        findings = json.loads((chain / "found" / name / "findings.json").read_text())
        assert findings["type"] == ("tumour" if findings["has_tumour"] else None)
        assert findings["type_probabilities"] == ({"tumour": 1.0} if findings["has_tumour"] else {})
        assert "not for clinical use" in findings["not_for_clinical_use"]


def test_scores_of_what_was_found(chain: Path) -> None:
    masks = chain / "masks"
    masks.mkdir()
    for name, path in _masks(chain / "found").items():
        (masks / f"{name.removesuffix('_flair')}_pred.nii.gz").write_bytes(path.read_bytes())
    scores = synthoma.score_masks(chain / "truth", masks, chain / "scores")
    by_hand = []
    for path in sorted(masks.iterdir()):
        said = read_volume(path).voxels > 0
        truth = read_volume(chain / "truth" / path.name.replace("_pred", "_seg")).voxels > 0
        by_hand.append(2 * (said & truth).sum() / (said.sum() + truth.sum()))
    assert scores["regions"]["whole tumour"]["dice"]["mean"]["value"] == pytest.approx(np.mean(by_hand))
    assert "</html>" in (chain / "scores" / "report.html").read_text()
    assert synthoma.describe(chain / "scores")["kind"] == "scores"


def test_the_runs_have_pages(chain: Path) -> None:
    for run, word in (("run", "segmenter"), ("classifier", "classifier")):
        text = (chain / run / "report.html").read_text()
        assert word in text
        assert "</html>" in text
    assert synthoma.describe(chain / "run")["kind"] == "segmenter"


def test_a_classifier_judges_slices(chain: Path) -> None:
    table = synthoma.judge(chain / "scans", chain / "classifier")
    assert set(table["predicted"]) <= {"healthy", "tumour"}
    assert np.allclose(table[["p_healthy", "p_tumour"]].sum(axis=1), 1, atol=1e-3)
    with pytest.raises(InputError, match="use detect"):
        synthoma.judge(chain / "scans", chain / "run")


def test_the_same_from_a_shell(
    chain: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*words: object) -> str:
        monkeypatch.setattr(sys, "argv", ["synthoma", *map(str, words)])
        with pytest.raises(SystemExit) as leaving:
            main()
            raise SystemExit(0)  # some versions of typer return instead
        assert leaving.value.code in (0, None)
        return capsys.readouterr().out

    scan = chain / "scans" / "p100_flair.nii.gz"
    said = run("detect", scan, "--model", chain / "run", "-o", chain / "one", "--no-flip", "--saliency")
    assert "not for clinical use" in said
    assert list((chain / "one").glob("p100*/saliency.png"))
    said = run("evaluate", chain / "truth", chain / "masks", "-o", chain / "scores-2")
    assert "Dice of 2 patients" in said
    one = chain / "truth" / "p100_seg.nii.gz"
    said = run("evaluate", one, chain / "masks" / "p100_pred.nii.gz", "-o", chain / "scores-2", "--force")
    assert "Dice of 1 patient: mean 0." in said, "an interval needs two"
    said = run("detect", chain / "scans", "--model", chain / "classifier", "-o", chain / "classes.csv")
    assert "predicted" in said
    assert len(pd.read_csv(chain / "classes.csv"))
    assert "unet-25d" in run("train", "--list")
    assert "segmenter: " in run("train", chain / "cohort", "--model", "unet-25d", "--summary")


def test_without_a_model_the_shipped_one_is_used(chain: Path) -> None:
    """It never saw these patients, and they are coarser than anything it was trained on."""
    table = synthoma.detect(chain / "scans", chain / "shipped").table
    assert len(table) == 2
    assert (table["probability"] > 0.5).all()
    told = json.loads((chain / "shipped" / "detection.json").read_text())
    assert told["model"]["name"] == "unet-25d"


def test_the_shipped_model_is_small_and_says_where_it_comes_from() -> None:
    from synthoma.training.bundle import shipped_model

    path = shipped_model()
    assert path.stat().st_size <= 8 * 2**20
    meta = open_model(path, "segmenter").meta.content()
    assert meta["modalities"] == ["t1", "t1c", "t2", "flair"]
    assert meta["any_subset"]
    assert meta["provenance"]["cohort"]["origin"] == "phantom"


def test_fine_tuning_begins_with_the_shipped_model(chain: Path, tmp_path: Path) -> None:
    synthoma.train(chain / "cohort", tmp_path / "tuned", model="unet-25d", init="phantom", images=64, snapshots=1)
    meta = open_model(tmp_path / "tuned").meta.content()
    assert meta["modalities"] == ["flair"]
    assert len(meta["provenance"]["init_sha256"]) == 64
