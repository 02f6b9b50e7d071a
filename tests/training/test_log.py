"""What the log of a training holds: read as it was written, and continued where a killed run goes on."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from synthoma.core.errors import InputError
from synthoma.training.log import Log, LogEntry, read_log

LINES = (
    '{"step": 3, "images": 30, "d_loss": 0.333333, "g_loss": null, "images_per_second": 12.0}',
    '{"step": 3, "images": 30, "seconds": 1.5, "score": null, "variety": 1}',
    '{"step": 3, "warning": "Mode collapse."}',
)


def written(path: Path) -> Path:
    log = Log(path, 0)
    losses = {"d_loss": 1 / 3, "g_loss": math.nan, "images_per_second": 12.0}
    log.write(LogEntry.model_validate({"step": 3, "images": 30, **losses}))
    log.write(LogEntry.model_validate({"step": 3, "images": 30, "seconds": 1.5, "score": math.inf, "variety": 1}))
    log.write(LogEntry(step=3, warning="Mode collapse."))
    log.close()
    return path


def test_lines_are_json_in_order_with_six_places_and_null_for_what_is_not_finite(tmp_path: Path) -> None:
    assert written(tmp_path / "log.jsonl").read_text().splitlines() == list(LINES)


def test_entries_come_back_as_they_were_written(tmp_path: Path) -> None:
    losses, snapshot, warning = read_log(written(tmp_path / "log.jsonl"))
    assert (losses.step, losses.images, losses.figure("d_loss"), losses.figure("g_loss")) == (3, 30, 0.333333, None)
    assert not losses.is_snapshot
    assert snapshot.is_snapshot
    assert (snapshot.seconds, snapshot.score, snapshot.figures) == (1.5, None, {"variety": 1})
    assert (warning.warning, warning.images, warning.figures) == ("Mode collapse.", None, {})
    assert [json.dumps(entry.content()) for entry in (losses, snapshot, warning)] == list(LINES)


def test_a_line_that_was_being_written_is_left_out_and_any_other_damage_is_said(tmp_path: Path) -> None:
    path = written(tmp_path / "log.jsonl")
    whole = path.read_text()
    path.write_text(whole + '{"step": 4, "ima')
    assert len(read_log(path)) == 3
    for damage in ("[]\n", "{\n", '{"step": "x"}\n', '{"step": 4, "d_loss": "x"}\n'):
        path.write_text(whole + damage)
        with pytest.raises(InputError, match=r"log"):
            read_log(path)


def test_a_resumed_run_drops_what_was_logged_after_its_checkpoint(tmp_path: Path) -> None:
    path = written(tmp_path / "log.jsonl")
    with path.open("a") as file:
        file.write('{"step": 4, "images": 40}\nno JSON\n{"step": 3}\n')
    Log(path, 3).close()
    assert path.read_text().splitlines() == [*LINES, '{"step": 3}']
    Log(path, 0).close()
    assert path.read_text() == ""
