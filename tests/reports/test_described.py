"""What `info` and `report` say of runs that are not finished, of searches and of findings."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from synthoma.core.errors import InputError
from synthoma.detection.detect import detect
from synthoma.pipeline import describe, report
from tests.detection.conftest import WriteModel, write_model  # noqa: F401
from tests.scans.writers import CUBIC, write_nifti, write_picture
from tests.toys import blobs, train_toy, write_cohort


@pytest.mark.slow
def test_an_unfinished_run_says_how_far_it_came_and_how_it_goes_on(tmp_path: Path) -> None:
    cohort = write_cohort(tmp_path / "cohort", blobs(8, size=32)[0])
    run = tmp_path / "run"
    train_toy(cohort, run, model="dcgan", images=64)
    assert describe(run)["kind"] == "generator"
    (run / "model.safetensors").unlink()
    (run / "run.json").write_text('{"model": "dcgan"}')
    facts = describe(run)
    assert (facts["kind"], facts["model"], facts["budget"]) == ("unfinished run", "dcgan", {"images": 64})
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert facts["images_shown"] == max(entry["images"] for entry in log if "images" in entry)
    assert facts["snapshots"] == sum("score" in entry for entry in log)
    assert facts["checkpoints"]
    assert "--resume" in facts["todo"]
    page = report(run).read_text(encoding="utf-8")
    assert f"It has been shown {facts['images_shown']} images" in page
    assert "there is no model yet" in page


def test_a_run_that_saved_nothing_says_so(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("minutes = 10.0\n")
    (tmp_path / "run.json").write_text('{"model": "dcgan"}')
    facts = describe(tmp_path)
    assert (facts["images_shown"], facts["checkpoints"], facts["score"]) == (0, [], None)
    assert "begins anew" in facts["todo"]
    page = report(tmp_path).read_text(encoding="utf-8")
    assert "is not finished: there is no model yet" in page
    assert "--resume" in page
    (tmp_path / "run.json").write_text("[]")
    with pytest.raises(InputError, match="damaged"):
        describe(tmp_path)


def test_a_search_tells_its_best_trial(tmp_path: Path) -> None:
    (tmp_path / "search.csv").write_text("trial,score,gan.width\n2,0.5,48\n0,0.7,32\n")
    (tmp_path / "config.toml").write_text('model = "dcgan"\n')
    for number in (0, 2):
        (tmp_path / f"trial-{number:03d}").mkdir()
        (tmp_path / f"trial-{number:03d}" / "model.safetensors").touch()
    facts = describe(tmp_path)
    assert (facts["kind"], facts["model"], facts["trials"]) == ("search", "dcgan", 2)
    assert facts["best"] == {"trial": "2", "score": "0.5", "gan.width": "48"}
    assert facts["runs"] == ["trial-000", "trial-002"]


def test_findings_tell_scans_and_what_was_skipped(write_model: WriteModel, tmp_path: Path) -> None:  # noqa: F811
    image = np.random.default_rng(0).integers(10, 200, (6, 24, 32)).astype(np.int16)
    write_nifti(tmp_path / "in" / "good_flair.nii.gz", image, CUBIC)
    write_picture(tmp_path / "in2" / "<b>.png", image[0].astype(np.uint8))
    (tmp_path / "in" / "notes.nii").write_text("no volume")
    detect([tmp_path / "in", tmp_path / "in2"], write_model(), tmp_path / "out")
    facts = describe(tmp_path / "out")
    assert (facts["kind"], facts["scans"], facts["skipped"]) == ("findings", 2, 1)
    assert sum(facts["skipped_because"].values()) == 1
    one = describe(tmp_path / "out" / "good")
    assert (one["kind"], one["case"]) == ("findings in one scan", "good")
    page = report(tmp_path / "out").read_text(encoding="utf-8")
    assert "1 of 2 files do not say which sequence they show" in page
    assert "Nobody measured how often this model says tumour where there is none." in page
    assert "notes.nii" in page
    assert "&lt;b&gt;" in page
    assert "<b>.png" not in page, "names of files are not HTML"
    assert page.count('class="scan"') == 2
    assert page.count('class="under" src="data:image/webp') == 2
    (tmp_path / "out" / "good" / "view.json").unlink()
    older = report(tmp_path / "out").read_text(encoding="utf-8")
    assert older.count("data:image/jpeg") == 1, "of folders of earlier versions the overlay is shown"
    (tmp_path / "out" / "index.csv").write_text("case\nx\n")
    with pytest.raises(InputError, match=r"index\.csv"):
        report(tmp_path / "out")
