"""The file that carries a trained model: weights, settings and provenance in one safetensors file, no code in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Literal

import torch
from pydantic import JsonValue
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

from synthoma.core.artefacts import check_schema
from synthoma.core.errors import InputError
from synthoma.core.provenance import bytes_digest, file_digest
from synthoma.core.untrusted import check_names, check_texts
from synthoma.core.whole_files import write_bytes
from synthoma.training.meta import SCHEMA, ModelMeta

CHECKPOINT = "synthoma.checkpoint/1"
_BLOCK = 2**20
CONTIGUOUS = torch.contiguous_format
UNSAFE = (".pt", ".pth", ".pkl", ".ckpt", ".bin")
"""Endings of files that may run code when they are opened."""


SHIPPED = "phantom"
"""Name of the models that are part of the package, trained on simulated patients only."""


@dataclass(frozen=True)
class Bundle:
    """A trained model as it lies in a file.

    Attributes:
        content: the description as it stands in the file, plain data.
        path: the file.
        tensors: weights, named "<network>.<parameter>".
        digest: SHA-256 of the file.
        sealed: the file carries its own checksum, which was compared.
    """

    content: dict[str, JsonValue]
    tensors: dict[str, Tensor]
    digest: str
    sealed: bool = False
    path: Path = Path("model.safetensors")

    @cached_property
    def meta(self) -> ModelMeta:
        """What the description says of a model.

        Raises:
            InputError: it says too little, or something else than it should.
        """
        return ModelMeta.parse(self.content, self.path)

    def weights(self, network: str) -> dict[str, Tensor]:
        """State of one network, for ``load_state_dict``."""
        prefix = network + "."
        return {name.removeprefix(prefix): value for name, value in self.tensors.items() if name.startswith(prefix)}


def save_tensors(path: Path, tensors: dict[str, Tensor], meta: Mapping[str, object]) -> None:
    """Write a safetensors file that appears whole or not at all, and survives a power cut once it has appeared.

    The bytes are a function of the content alone. Their SHA-256, taken with zeros in its place, stands in the
    description as ``sha256``.

    Raises:
        OutputError: the disk is full, or the like; what was there before is untouched.
    """
    # Each tensor is copied: the format refuses weights that a network holds under two names.
    contiguous = {name: tensors[name].detach().cpu().clone(memory_format=CONTIGUOUS) for name in sorted(tensors)}
    blank = to_bytes(contiguous, {"synthoma": json.dumps({**meta, "sha256": _BLANK}, sort_keys=True)})
    # Once, and of one length: no other byte moves, and the checksum can be taken with zeros again.
    write_bytes(path, blank.replace(_seal(_BLANK), _seal(bytes_digest(blank)), 1))


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
        digest = file_digest(path)
    except (SafetensorError, OSError, ValueError, RecursionError, RuntimeError) as error:
        raise InputError("a safetensors file", f"{path.name}, which is none ({error})", todo) from None
    if not isinstance(meta, dict) or not str(meta.get("schema", "")).startswith("synthoma."):
        raise InputError("a model that Synthoma wrote", f"{path.name} without its description", todo)
    is_checkpoint = str(meta["schema"]).startswith("synthoma.checkpoint")
    check_schema(meta, CHECKPOINT if is_checkpoint else SCHEMA, path)
    stated = meta.pop("sha256", None)
    if stated is not None and stated != _blank_digest(path, str(stated)):
        raise InputError(f"{path.name} as it was written", f"{path} with another checksum", "restore it from a copy")
    return Bundle(meta, tensors, digest, stated is not None, path)


_BLANK = "0" * 64


def _seal(digest: str) -> bytes:
    """How a checksum stands in the header: JSON within JSON."""
    return f'\\"sha256\\": \\"{digest}\\"'.encode()


def _blank_digest(path: Path, stated: str) -> str:
    """SHA-256 of a file with zeros in the place of the checksum that it states."""
    with path.open("rb") as file:
        start = file.read(8)
        # The first eight bytes of a damaged file may promise any length.
        header = file.read(min(int.from_bytes(start, "little"), path.stat().st_size))
        known = hashlib.sha256(start + header.replace(_seal(stated), _seal(_BLANK), 1))
        while block := file.read(_BLOCK):
            known.update(block)
    return known.hexdigest()


@contextmanager
def fitting(wanted: str) -> Iterator[None]:
    """Turn what a description that is damaged, or weights of another network, trip over into an InputError."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RuntimeError, OverflowError) as error:
        came = f"one whose description or weights do not fit ({type(error).__name__})"
        raise InputError(f"{wanted} that this version can build", came, "train the model again") from error


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
    found = bundle.content.get("kind", "checkpoint")
    if found not in ("generator", "segmenter", "classifier") or kind not in (None, found):
        raise InputError(wanted, f"a {found}", f"give a run of {wanted}; `synthoma train --list` says which is which")
    _check_words(bundle.content, path.name)
    with fitting(wanted):
        assert bundle.meta.kind == found
    return bundle


def _check_words(meta: Mapping[str, JsonValue], where: str) -> None:
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


def learned_from(bundle: Bundle) -> frozenset[str]:
    """Patients behind a model. Names of simulated ones are those of other simulations too, and mean nothing."""
    provenance = bundle.meta.provenance
    trained = provenance.trained_on
    own = trained.groups if provenance.cohort.origin != "phantom" else ()
    return frozenset((*own, *trained.inherited))
