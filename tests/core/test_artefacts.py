"""Damage in any file of any artefact is met with one sentence, and never becomes a result."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

import synthoma
from synthoma.cohorts.cohort import Cohort, CohortWriter
from synthoma.core.artefacts import FILE, read_json, sealed, unsealed, verify
from synthoma.core.errors import InputError, SynthomaError
from synthoma.core.outputs import new_folder, renew_checksums, write_checksums
from synthoma.core.seeding import stream
from synthoma.core.whole_files import write_json, write_text
from synthoma.detection.result import write_detection
from synthoma.evaluation.result import write_evaluation
from synthoma.evaluation.useful.grid import _read as read_cell
from synthoma.masks.chances import read_detection
from synthoma.settings import TrainConfig
from synthoma.training.bundle import load_tensors, open_model, save_tensors
from synthoma.training.checkpoint import latest_checkpoint, save_checkpoint
from synthoma.training.device import read_execution
from synthoma.training.runs import begin_run, check_begun
from tests.detection.examples import small_detection
from tests.evaluation.examples import small_evaluation

# Artefacts as the commands write them, but small ---------------------------------------------------------------------


def make_cohort(place: Path) -> None:
    rng = stream(0, "test.artefacts")
    records = [{"case": f"c{row}", "patient": f"p{row}", "group": f"p{row}", "split": "train", "label": "tumour",
                "slice": row, "tumour_pixels": row, "scale_flair": 3.5} for row in range(6)]  # fmt: skip
    with new_folder(place) as folder:
        with CohortWriter(folder, channels=1, size=16) as writer:
            images = rng.random((6, 1, 16, 16)).astype(np.float16)
            writer.add(images, (images[:, 0] > 0.9).astype(np.uint8), records)
            meta = {"origin": "real", "modalities": ["flair"], "labels": {"1": "tumour"}, "classes": ["tumour"]}
            writer.finish(pd.DataFrame(records), {**meta, "size": 16, "provenance": {"config": {}}})
        write_text(folder / "report.html", "<html></html>")


def make_run(place: Path) -> None:
    cohort = place.with_name("cohort")
    if not cohort.exists():
        make_cohort(cohort)
    begin_run(place, Cohort(cohort), TrainConfig(model="dcgan", images=64), force=False)
    write_json(place / "execution.json", sealed({"device": "cpu", "threads": 1, "channels_last": True, "bf16": False}))
    for step in (2, 4):
        save_checkpoint(place, {"generator.weight": torch.full((3, 3), float(step))}, {"step": step, "best": None}, 2)
    meta = {"schema": "synthoma.model/1", "kind": "generator", "model": "dcgan", "modalities": ["flair"],
            "classes": ["tumour"], "labels": {}, "network": {"network": "dcgan"},
            "shape": {"size": 16, "channels": 1}}  # fmt: skip
    save_tensors(place / "model.safetensors", {"generator.weight": torch.arange(9.0)}, meta)
    write_text(place / "log.jsonl", '{"step": 2, "images": 32, "loss": 1.5}\n{"step": 4, "images": 64, "loss": 1.0}\n')
    write_checksums(place)


def make_evaluation(place: Path) -> None:
    with new_folder(place) as folder:
        write_evaluation(folder, small_evaluation())
        write_text(folder / "dataset_card.md", "# Card\n")


def make_findings(place: Path) -> None:
    with new_folder(place) as folder:
        with new_folder(folder / "case") as own:
            files = {"mask": ["case_mask.png"]}
            found = {"probability": 0.75, "slice_probabilities": [0.75], "slice_axis": "z", "labels": {"1": "tumour"}}
            write_json(own / "findings.json", {"schema": "synthoma.detection/1", **found, "files": files})
            (own / "case_mask.png").write_bytes(bytes(range(200)))
        write_text(folder / "index.csv", "case,probability\ncase,0.75\n")
        write_detection(folder, small_detection())


def make_scores(place: Path) -> None:
    with new_folder(place) as folder:
        write_json(folder / "scores.json", {"schema": "synthoma.scores/1", "patients": 3})


def make_cells(place: Path) -> None:
    place.mkdir()
    answers = {"chances": [0.5], "hit": [3], "said": [4], "being": [5], "features": [[1.5]], "seconds": 2.5}
    write_json(place / "0123abcd.json", sealed(answers))


def tensors(bundle: Any) -> Any:
    return {name: value.tolist() for name, value in bundle.tensors.items()}, bundle.content


def checkpoint(run: Path) -> Any:
    found = latest_checkpoint(run)
    assert found is not None
    return tensors(found)


def cell(folder: Path) -> Any:
    return [str(read_cell(path)) for path in sorted(folder.glob("*.json"))]


@dataclass(frozen=True)
class Kind:
    """How an artefact is made, and all ways in which its content is read."""

    make: Callable[[Path], None]
    readers: tuple[Callable[[Path], Any], ...]


KINDS = {
    "cohort": Kind(make_cohort, (
        synthoma.describe, lambda place: Cohort(place).slices.to_dict(), lambda place: Cohort(place).images[:].tolist(),
        lambda place: Cohort(place).masks[:].tolist(), lambda place: Cohort(place).original(2).tolist(),
    )),
    "run": Kind(make_run, (
        synthoma.describe, lambda place: tensors(open_model(place)), checkpoint, check_begun,
        lambda place: read_execution(place / "execution.json"),
    )),
    "evaluation": Kind(make_evaluation, (synthoma.describe,)),
    "findings": Kind(make_findings, (synthoma.describe, lambda place: str(read_detection(place / "case")))),
    "scores": Kind(make_scores, (synthoma.describe,)),
    "cells": Kind(make_cells, (cell,)),
}  # fmt: skip
READ_BY_PEOPLE = (
    "report.html",
    "dataset_card.md",
    "index.csv",
    "case_mask.png",
    "log.jsonl",
    "config.toml",
    FILE,
    "run.json",
    "execution.json",
)
"""Files that no reader above takes its content from, that may be missing, or whose checksum inside may be."""


# Damage --------------------------------------------------------------------------------------------------------------

Damage = Callable[[bytes, np.random.Generator], bytes]


def flipped(content: bytes, rng: np.random.Generator, first: float = 0.0, last: float = 1.0) -> bytes:
    """One bit is another one."""
    damaged = bytearray(content)
    place = min(int(len(content) * rng.uniform(first, last)), len(content) - 1)
    damaged[place] ^= 1 << int(rng.integers(8))
    return bytes(damaged)


DAMAGES: dict[str, Damage] = {
    "flipped near its begin": lambda content, rng: flipped(content, rng, 0.0, 0.1),
    "flipped near its end": lambda content, rng: flipped(content, rng, 0.9, 1.0),
    **{f"flipped, {number}": flipped for number in range(4)},
    "emptied": lambda content, rng: b"",
    "cut to one byte": lambda content, rng: content[:1],
    "cut in half": lambda content, rng: content[: len(content) // 2],
    "without its last byte": lambda content, rng: content[:-1],
    "with bytes behind": lambda content, rng: content + b"\0garbage",
    "overwritten by zeros": lambda content, rng: content[: len(content) // 3] + bytes(len(content) - len(content) // 3),
    "another byte order": lambda content, rng: content[::-1],
    "null": lambda content, rng: b"null",
    "a list": lambda content, rng: b'[{"schema": "synthoma.cohort/1"}]',
    "NaN": lambda content, rng: b'{"schema": NaN, "slices": Infinity}',
    "nested without end": lambda content, rng: b"[" * 200_000,
    "endless digits": lambda content, rng: b'{"slices": ' + b"9" * 10_000 + b"}",
    "another encoding": lambda content, rng: content.decode("latin-1").encode("utf-16"),
    "a version to come": lambda content, rng: re.sub(rb"(synthoma\.\w+)/\d", rb"\1/9", content) + b" ",
    "a digit more": lambda content, rng: content.replace(b"5", b"55", 1) if b"5" in content else content + b"5",
}


def files_of(place: Path) -> list[Path]:
    return sorted(path for path in place.rglob("*") if path.is_file())


def read_all(kind: Kind, place: Path) -> Iterator[tuple[Any, str]]:
    """What each reader makes of an artefact, or what it says; anything but a SynthomaError escapes."""
    for reader in kind.readers:
        try:
            yield reader(place), ""
        except SynthomaError as error:
            yield None, str(error)


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_damage_is_never_a_result(tmp_path: Path, name: str) -> None:
    """Each file, each damage: a reader gives what was written or one sentence, and --verify tells."""
    kind, place, rng = KINDS[name], tmp_path / name, stream(1, f"test.damage.{name}")
    kind.make(place)
    told = list(read_all(kind, place))
    assert not [said for _, said in told if said]
    for path in files_of(place):
        content = path.read_bytes()
        refused = set()
        for damage, spoil in DAMAGES.items():
            path.write_bytes(spoil(content, rng))
            for (result, said), (expected, _) in zip(read_all(kind, place), told, strict=True):
                # A checkpoint that is damaged is passed over for the one before it.
                older = path.name == "step-000000004.safetensors" and said == "" and result != expected
                assert said or older or result == expected, f"{path.name}, {damage}"
                assert said.count("; ") >= 2 or not said
                if older:
                    assert result[1]["step"] == 2
                    assert result[0]["generator.weight"] == [[2.0] * 3] * 3
                refused |= {damage} if said else set()
            if name != "cells" and path.name != FILE:  # whose last line end may be missing
                with suppress(InputError):
                    assert synthoma.pipeline.verify(place) != [], f"{path.name}, {damage}"
        path.unlink()
        path.mkdir()
        assert all(said or result == expected or path.parent.name == "checkpoint"
                   for (result, said), (expected, _) in zip(read_all(kind, place), told, strict=True))  # fmt: skip
        path.rmdir()
        path.write_bytes(content)
        if name != "cells" and path.name not in READ_BY_PEOPLE and path.parent.name != "checkpoint":
            assert len(refused) == len(DAMAGES), f"{path.name}: {set(DAMAGES) - refused}"
    assert [result for result, _ in read_all(kind, place)] == [result for result, _ in told]


@pytest.mark.parametrize("name", [name for name in KINDS if name != "cells"])
def test_artefacts_without_checksums_open_still(tmp_path: Path, name: str) -> None:
    KINDS[name].make(tmp_path / name)
    told = list(read_all(KINDS[name], tmp_path / name))
    for path in (tmp_path / name).rglob(FILE):
        path.unlink()
    assert list(read_all(KINDS[name], tmp_path / name)) == told


def test_files_of_one_cohort_are_not_those_of_another(tmp_path: Path) -> None:
    for name in ("one", "other"):
        make_cohort(tmp_path / name)
    (tmp_path / "other" / FILE).unlink()
    masks = np.load(tmp_path / "other" / "masks.npy")
    np.save(tmp_path / "one" / "masks.npy", masks[::-1])
    with pytest.raises(SynthomaError, match=r"masks\.npy, which has another checksum"):
        Cohort(tmp_path / "one")


def test_a_run_that_is_not_finished_is_not_continued_from_damage(tmp_path: Path) -> None:
    make_run(tmp_path / "run")
    (tmp_path / "run" / FILE).unlink()
    assert synthoma.pipeline.verify(tmp_path / "run") == []
    settings = tmp_path / "run" / "config.toml"
    text = settings.read_text()
    settings.write_text(text.replace("seed = 0", "seed = 8"))
    with pytest.raises(InputError, match=r"config\.toml.*another checksum"):
        check_begun(tmp_path / "run")
    settings.write_text(text)
    for path in (tmp_path / "run" / "checkpoint").iterdir():
        path.write_bytes(flipped(path.read_bytes(), stream(2, "test.damage"), 0.9, 1.0))
    with pytest.raises(InputError, match="a checkpoint that is whole"):
        latest_checkpoint(tmp_path / "run")
    assert len(synthoma.pipeline.verify(tmp_path / "run") or []) == 2


def test_models_of_earlier_versions_open_without_a_checksum(tmp_path: Path) -> None:
    make_run(tmp_path / "run")
    model = tmp_path / "run" / "model.safetensors"
    new = load_tensors(model)
    assert new.sealed
    old = tmp_path / "old.safetensors"
    save_file(new.tensors, old, {"synthoma": json.dumps(new.content)})
    assert synthoma.pipeline.verify(old) is None
    assert tensors(open_model(old)) == tensors(new)


def test_sealed_content_is_told_from_any_other(tmp_path: Path) -> None:
    content = {"a": [1, 2.5, None], "b": {"ü": "x"}, "c": 1e300}
    write_json(tmp_path / "x.json", sealed(content))
    assert unsealed(read_json(tmp_path / "x.json"), tmp_path / "x.json") == content
    text = (tmp_path / "x.json").read_text()
    (tmp_path / "x.json").write_text(text.replace("2.5", "2.75"))
    with pytest.raises(InputError, match="another checksum"):
        unsealed(read_json(tmp_path / "x.json"), tmp_path / "x.json")


def test_a_page_written_anew_has_its_checksum(tmp_path: Path) -> None:
    make_cohort(tmp_path / "cohort")
    write_text(tmp_path / "cohort" / "report.html", "<html>new</html>")
    assert synthoma.pipeline.verify(tmp_path / "cohort") != []
    renew_checksums(tmp_path / "cohort", "report.html")
    assert synthoma.pipeline.verify(tmp_path / "cohort") == []


def test_checksums_written_anew_within_one_tick_of_the_clock_are_read_anew(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "one")
    write_checksums(tmp_path)
    verify(tmp_path / "a.txt")
    before = (tmp_path / FILE).stat()
    write_text(tmp_path / "a.txt", "two")
    renew_checksums(tmp_path, "a.txt")
    os.utime(tmp_path / FILE, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (tmp_path / FILE).stat().st_size == before.st_size
    verify(tmp_path / "a.txt")
