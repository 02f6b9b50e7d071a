"""run.json: what a run is begun with, as it stands on the disk, and what is said of one that is incomplete."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from synthoma.core.artefacts import sealed
from synthoma.core.errors import InputError
from synthoma.core.whole_files import write_json
from synthoma.generators.recipes import GeneratorTraining
from synthoma.training.runs import FILE, begin_run, check_begun, read_run
from tests.toys import blobs, write_cohort


def test_a_run_says_what_it_was_begun_with(tmp_path: Path) -> None:
    cohort = write_cohort(tmp_path / "cohort", blobs(4, size=16)[0])
    config = begin_run(tmp_path / "run", cohort, GeneratorTraining(model="dcgan", images=8), force=False)
    stored = json.loads((tmp_path / "run" / FILE).read_text())
    assert list(stored) == ["schema", "model", "cohort_sha256", "others_sha256", "init_sha256", "sha256"]
    assert (stored["schema"], stored["others_sha256"], stored["init_sha256"]) == ("synthoma.run/1", {}, None)
    begun = check_begun(tmp_path / "run")
    assert (begun.model, begun.cohort_sha256) == (config.model, stored["cohort_sha256"])
    assert sealed(begun.content()) == stored


@pytest.mark.parametrize("missing", ["cohort_sha256", "others_sha256"])
def test_a_run_that_does_not_say_what_it_was_begun_on_cannot_go_on(tmp_path: Path, missing: str) -> None:
    content = {"schema": "synthoma.run/1", "model": "dcgan", "cohort_sha256": "0" * 64, "others_sha256": {}}
    del content[missing]
    write_json(tmp_path / FILE, sealed(content))
    assert read_run(tmp_path).model == "dcgan"
    with pytest.raises(InputError, match=rf"no {missing} .*restore it"):
        check_begun(tmp_path)
