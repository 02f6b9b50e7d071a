"""Trained models as other tools run them: an ONNX file, or a bundle of MONAI."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module, resources
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from synthoma.core.errors import ConfigError, InputError
from synthoma.core.provenance import file_digest
from synthoma.core.seeding import stream
from synthoma.core.types import Array, Float32
from synthoma.core.whole_files import write_bytes, write_json, write_text
from synthoma.exports.marks import MODEL
from synthoma.exports.names import FormName
from synthoma.exports.networks import Model
from synthoma.exports.preprocessing import (
    FILE,
    SCHEMA,
    Example,
    MissingSaid,
    Preprocessing,
    framing_said,
    input_said,
    neighbours_said,
    output_said,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

OPSET = 17
"""Of ONNX's operators: since 2022, and known to every runtime that is in use."""

TOLERANCE = 1e-4
"""Largest difference of a probability to that of the network in PyTorch."""

EXAMPLES = 2
INPUT, OUTPUT = "example_input.npy", "example_output.npy"
_INSTALL = "pip install 'synthoma[onnx]'"


@dataclass(frozen=True)
class Place:
    """Where a model is written.

    Attributes:
        model: which.
        folder: an existing, empty one.
        title: what it is called.
    """

    model: Model
    folder: Path
    title: str


def example_squares(model: Model, count: int = EXAMPLES) -> Float32:
    """Squares of smooth noise (count, channels, S, S) on a cohort's scale, the same for every run."""
    coarse = stream(0, "export.example").uniform(0, 1.2, (count, model.channels, 8, 8)).astype(np.float32)
    wide = torch.nn.functional.interpolate(torch.from_numpy(coarse), model.size, mode="bilinear")
    return np.ascontiguousarray(wide.numpy())


def _described(place: Place, folder: str, opset: int | None) -> Preprocessing:
    """Write the example and preprocessing.json."""
    model, meta = place.model, place.model.bundle.meta
    squares = example_squares(model)
    arrays: dict[str, Array] = {INPUT: squares, OUTPUT: model(torch.from_numpy(squares)).numpy()}
    (place.folder / folder).mkdir(exist_ok=True)
    for name, array in arrays.items():
        np.save(place.folder / folder / name, array)
    digests = {name: file_digest(place.folder / folder / name) for name in arrays}
    names = {name: f"{folder}/{name}" if folder else name for name in arrays}
    said = Preprocessing.model_validate(
        {
            "schema": SCHEMA,
            "kind": meta.kind,
            "model": meta.model,
            "model_sha256": model.bundle.digest,
            "notice": MODEL,
            "opset": opset,
            "input": input_said(model),
            "missing": MissingSaid(allowed=bool(meta.any_subset), value=0.0),
            "neighbours": neighbours_said(model),
            "framing": framing_said(model),
            "output": output_said(model),
            "example_input": Example(file=names[INPUT], sha256=digests[INPUT]),
            "example_output": Example(file=names[OUTPUT], sha256=digests[OUTPUT]),
            "tolerance": TOLERANCE,
        }
    )
    write_json(place.folder / FILE, said.content())
    return said


def in_words(said: Preprocessing) -> str:
    """What preprocessing.json says, as text for people."""
    names = ", ".join(dict.fromkeys(one.sequence for one in said.input.channels))
    channels = ", ".join(
        one.sequence if said.neighbours.count == 1 else f"{one.sequence} of slice {one.slice:+d}".replace("+0", "0")
        for one in said.input.channels
    )
    absent = "all pixels of its channels are 0" if said.missing.allowed else "the network cannot do without one"
    limits = ", ".join(f"{name} from {least:g}" for name, least in zip(said.output.names, said.output.thresholds))  # noqa: B905
    crop = said.framing.crop_rule or "nothing is cut away"
    return "\n".join(
        (
            f"- Input `{said.input.name}`: float32, (batch, {len(said.input.channels)}, {said.input.size}, "
            f"{said.input.size}); any batch.",
            f"- Channels, in order: {channels}.",
            f"- Sequences: {names}. Where one is missing, {absent}.",
            f"- Slices: {said.input.plane}; {said.input.lying}.",
            f"- Neighbours: {said.neighbours.count} slices at once, {said.neighbours.distance_mm or '?'} mm apart; "
            f"{said.neighbours.rule}.",
            f"- Grey values, first: {said.framing.normalisation_rule}",
            f"- Crop: {crop}. Then `{said.framing.fitting}` and `{said.framing.resampling}`, see `{FILE}`.",
            f"- Values: {said.input.range}.",
            f"- Output `{said.output.name}`: ({said.output.order}), {', '.join(said.output.names)}; "
            f"{said.output.activation}{'; ' + limits if limits else ''}.",
            f"- Figure: {said.output.figure or 'the largest chance'}.",
            f"- Test an implementation with `{said.example_input.file}`, whose answer is `{said.example_output.file}`, "
            f"within {said.tolerance:g}; `{FILE}` has both SHA-256.",
        )
    )


# ONNX -----------------------------------------------------------------------------------------------------------------
def _write_onnx(place: Place) -> str:
    """model.onnx, checked with onnxruntime, preprocessing.json, an example, and example.py that needs nothing else."""
    _check_installed()
    said = _described(place, "", OPSET)
    path = place.folder / "model.onnx"
    example = torch.from_numpy(np.load(place.folder / INPUT, allow_pickle=False))
    with _quiet(), torch.inference_mode():
        torch.onnx.export(
            place.model.network,
            (example,),
            str(path),
            # The newer exporter fails on most of these networks in torch 2.13.
            dynamo=False,
            opset_version=OPSET,
            input_names=["images"],
            output_names=["probabilities"],
            dynamic_axes={"images": {0: "batch"}, "probabilities": {0: "batch"}},
        )
    _name_onnx(path, place.title)
    _check_onnx(path, place.model)
    write_text(place.folder / "example.py", _example_text())
    return in_words(said)


def _check_installed() -> None:
    """Raise ConfigError where a package is missing."""
    for name in ("onnx", "onnxruntime"):
        try:
            import_module(name)
        except ImportError as error:
            raise ConfigError("onnx and onnxruntime", f"no {name}", _INSTALL) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what tracing warns of: that it fixes sizes, which are fixed, and is to be replaced one day."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _name_onnx(path: Path, title: str) -> None:
    import onnx

    content = onnx.load(path)
    content.producer_name, content.doc_string = "Synthoma", MODEL
    onnx.helper.set_model_props(content, {"title": title, "notice": MODEL})
    onnx.checker.check_model(content)
    write_bytes(path, content.SerializeToString(deterministic=True))


def _check_onnx(path: Path, model: Model) -> None:
    """Raise InputError where onnxruntime does not answer as the network does, for one slice and for several."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    squares = example_squares(model, 5)
    for count in (1, len(squares)):
        (found,) = session.run(None, {"images": squares[:count]})
        _compare(found, model(torch.from_numpy(squares[:count])).numpy(), "onnxruntime")


def _compare(found: Array, wanted: Array, runner: str) -> None:
    apart = float(np.abs(found - wanted).max()) if found.shape == wanted.shape else float("inf")
    if not apart <= TOLERANCE:
        todo = "tell the makers of Synthoma which versions you have (`synthoma info`)"
        raise InputError(f"answers of {runner} within {TOLERANCE:g} of the network's", f"{apart:.2g}", todo)


def _example_text() -> str:
    return resources.files("synthoma.exports").joinpath("example.py").read_text(encoding="utf-8")


# MONAI ----------------------------------------------------------------------------------------------------------------
def _write_bundle(place: Place) -> str:
    """The folder that ``monai.bundle`` knows."""
    from synthoma.exports.bundles import inference, licence, metadata

    said = _described(place, "examples", None)
    for name in ("configs", "models", "docs"):
        (place.folder / name).mkdir()
    path = place.folder / "models" / "model.ts"
    squares = example_squares(place.model, 5)
    with _quiet(), torch.inference_mode():
        traced = torch.jit.trace(place.model.network, torch.from_numpy(squares[:EXAMPLES]))
        torch.jit.save(traced, str(path))
        read = torch.jit.load(str(path))
        for count in (1, len(squares)):
            part = torch.from_numpy(squares[:count])
            _compare(read(part).numpy(), place.model(part).numpy(), "TorchScript")
    write_json(place.folder / "configs" / "metadata.json", metadata(said, place.title))
    write_json(place.folder / "configs" / "inference.json", inference())
    write_text(place.folder / "LICENSE", licence(place.model))
    text = in_words(said)
    write_text(place.folder / "docs" / "README.md", f"# {place.title}\n\n{MODEL}\n\n{text}\n")
    return text


FORMS: dict[FormName, Callable[[Place], str]] = {"onnx": _write_onnx, "monai-bundle": _write_bundle}
"""Forms of models: what writes each into a folder, and gives what its README says beside."""


def check_form(form: FormName) -> None:
    """Raise ConfigError where this is no form of a model."""
    if form not in FORMS:
        todo = "use one of them, or export a cohort or findings"
        raise ConfigError(f"a form for models: {', '.join(FORMS)}", form, todo)


def export_model(run: Path, folder: Path, title: str, form: FormName) -> tuple[str, str]:
    """Write a model into an existing, empty folder; its kind, and what the README says of it, are returned.

    Raises:
        InputError: no model, or one whose answers in the other form are not its own.
        ConfigError: a generator, a form of something else, or a package that is missing.
    """
    check_form(form)
    model = Model.open(run)
    return model.bundle.meta.kind, FORMS[form](Place(model, folder, title))
