from __future__ import annotations

import builtins
import errno
import hashlib
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from synthoma.core.errors import InputError, OutputError
from synthoma.training import bundle
from synthoma.training.bundle import load_tensors, save_tensors

META = {"schema": "synthoma.model/1", "kind": "generator", "name": "Häuschen"}
TENSORS = {
    "generator.weight": torch.arange(6.0).view(2, 3),
    "generator.count": torch.tensor(7),
    "generator_adam.0.step": torch.tensor(1.0),
}


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    turned = torch.rand(2, 3, 4, 4).to(memory_format=torch.channels_last)
    save_tensors(path, {**TENSORS, "generator.turned": turned}, META)
    opened = load_tensors(path)
    assert opened.content == META
    assert opened.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert set(opened.weights("generator")) == {"weight", "count", "turned"}
    assert torch.equal(opened.weights("generator")["turned"], turned)
    assert opened.weights("generator")["count"].dtype == torch.int64
    assert [file.name for file in tmp_path.iterdir()] == ["model.safetensors"]


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    save_tensors(tmp_path / "a.safetensors", TENSORS, META)
    save_tensors(tmp_path / "b.safetensors", dict(reversed(TENSORS.items())), dict(reversed(META.items())))
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


class Trap:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("code ran",))


@pytest.mark.parametrize("name", ["model.pt", "model.pth", "model.ckpt", "model.PKL"])
def test_a_pickle_is_refused_without_being_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(pickle.dumps(Trap()))

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("opened")

    monkeypatch.setattr(bundle, "safe_open", refuse)
    monkeypatch.setattr(builtins, "open", refuse)
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match="can run code"):
        load_tensors(path)
    assert capsys.readouterr().out == ""


def test_a_pickle_in_disguise_runs_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(InputError, match="safetensors"):
        load_tensors(path)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_file_is_refused(tmp_path: Path, share: float) -> None:
    path = tmp_path / "model.safetensors"
    save_tensors(path, TENSORS, META)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match="safetensors"):
        load_tensors(path)


@pytest.mark.parametrize("meta", [None, {"synthoma": "{}"}, {"synthoma": '{"schema": "other/1"}'}, {"synthoma": "["}])
def test_a_foreign_file_is_refused(tmp_path: Path, meta: dict[str, str] | None) -> None:
    save_file({"weight": torch.zeros(2)}, tmp_path / "foreign.safetensors", meta)
    with pytest.raises(InputError):
        load_tensors(tmp_path / "foreign.safetensors")


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing at .*absent\.safetensors"):
        load_tensors(tmp_path / "absent.safetensors")


def test_a_full_disk_leaves_the_old_file_and_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.safetensors"
    save_tensors(path, TENSORS, META)
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="the disk is full"):
        save_tensors(path, {"generator.weight": torch.zeros(9)}, META)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
