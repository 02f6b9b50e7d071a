"""The file that carries a trained model: weights, settings and provenance in one safetensors file, no code in it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

from synthoma.errors import InputError
from synthoma.outputs import write_bytes
from synthoma.provenance import file_digest
from synthoma.untrusted import check_names, check_texts

SCHEMA = "synthoma.model/1"
CONTIGUOUS = torch.contiguous_format
UNSAFE = (".pt", ".pth", ".pkl", ".ckpt", ".bin")
"""Endings of files that may run code when they are opened."""


@dataclass(frozen=True)
class Bundle:
    """A trained model as it lies in a file.

    Attributes:
        meta: plain data: schema, model name, settings, image shape, classes, modalities, labels, provenance.
        tensors: weights, named "<network>.<parameter>".
        digest: SHA-256 of the file.
    """

    meta: dict[str, Any]
    tensors: dict[str, Tensor]
    digest: str

    def weights(self, network: str) -> dict[str, Tensor]:
        """State of one network, for ``load_state_dict``."""
        prefix = network + "."
        return {name.removeprefix(prefix): value for name, value in self.tensors.items() if name.startswith(prefix)}


def save_tensors(path: Path, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
    """Write a safetensors file that appears whole or not at all, and survives a power cut once it has appeared.

    The bytes are a function of the content alone.

    Raises:
        OutputError: the disk is full, or the like; what was there before is untouched.
    """
    # Each tensor is copied: the format refuses weights that a network holds under two names.
    contiguous = {name: tensors[name].detach().cpu().clone(memory_format=CONTIGUOUS) for name in sorted(tensors)}
    content = to_bytes(contiguous, {"synthoma": json.dumps(meta, sort_keys=True)})
    write_bytes(path, content)


def load_tensors(path: Path) -> Bundle:
    """Open a file that ``save_tensors`` wrote.

    Raises:
        InputError: no file, a foreign or damaged one, or one of another schema.
    """
    todo = "give a run of `synthoma train`, or its model.safetensors"
    if not path.is_file():
        raise InputError("a model file", f"nothing at {path}", todo)
    if path.suffix.lower() in UNSAFE:
        came = f"{path.name}: such a file can run code when it is opened, so it is not opened"
        raise InputError("a safetensors file", came, todo)
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get("synthoma")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        meta = json.loads(text) if text else None
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError("a safetensors file", f"{path.name}, which is none ({error})", todo) from None
    if not isinstance(meta, dict) or not str(meta.get("schema", "")).startswith("synthoma."):
        raise InputError("a model that Synthoma wrote", f"{path.name} without its description", todo)
    return Bundle(meta, tensors, file_digest(path))


def model_file(run: Path) -> Path:
    """The model file of a run folder; a file is itself."""
    return run / "model.safetensors" if run.is_dir() else run


def open_model(run: Path, kind: str | None = None) -> Bundle:
    """The model of a finished run.

    Args:
        run: the run's folder, or a model file.
        kind: what it must be: "generator", "segmenter" or "classifier"; None for any of them.

    Raises:
        InputError: nothing there, an unfinished run, or a model of another kind.
    """
    path = model_file(run)
    wanted = f"a {kind}" if kind else "a trained model"
    if run.is_dir() and not path.is_file():
        unfinished = (run / "checkpoint").is_dir()
        todo = "finish it with `synthoma train COHORT -o RUN --resume`" if unfinished else f"give a run of {wanted}"
        raise InputError("a finished run", f"{run} without model.safetensors", todo)
    bundle = load_tensors(path)
    found = bundle.meta.get("kind", "checkpoint")
    if found not in ("generator", "segmenter", "classifier") or kind not in (None, found):
        raise InputError(wanted, f"a {found}", f"give a run of {wanted}; `synthoma train --list` says which is which")
    _check_words(bundle.meta, path.name)
    return bundle


def _check_words(meta: dict[str, Any], where: str) -> None:
    """Raise InputError where names that files will be named after, or texts that will be shown, are none."""
    for key in ("modalities", "targets"):
        check_names(meta.get(key, []), key, where)
    for key in ("classes", "kinds"):
        check_texts(meta.get(key) or [], key, where)
    labels = meta.get("labels") or {}
    if not isinstance(labels, dict):
        raise InputError("labels by mask value", f"{type(labels).__name__} in {where}", "train the model again")
    check_texts(list(labels.values()), "labels", where)


def shipped_model(kind: Literal["segmenter", "generator"] = "segmenter") -> Path:
    """A model inside the package, trained on simulated patients alone.

    Raises:
        InputError: this installation lacks it.
    """
    path = Path(str(resources.files("synthoma"))) / "weights" / f"phantom-{kind}.safetensors"
    if not path.is_file():
        raise InputError("the model inside the package", f"nothing at weights/{path.name}", "install synthoma again")
    return path
