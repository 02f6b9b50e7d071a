"""Trained models in other forms: the same answers as our own, from what is written beside them alone."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import synthoma
from synthoma.cohorts.squares import frame, to_squares
from synthoma.core.errors import ConfigError, InputError
from synthoma.core.provenance import file_digest
from synthoma.detection.classes import Classifier
from synthoma.detection.detector import Detector
from synthoma.detectors.classifiers.networks import build_classifier
from synthoma.detectors.models import CLASSIFIERS, SEGMENTERS
from synthoma.detectors.segmenters.networks import SegmenterShape, build_segmenter
from synthoma.detectors.settings import ClassifierNetwork, SegmenterNetwork
from synthoma.exports import example
from synthoma.exports.forms import read_export
from synthoma.exports.networks import Model
from synthoma.phantom import PhantomConfig, phantom_cases
from synthoma.scans.case import Study
from synthoma.training.bundle import load_tensors, save_tensors, shipped_model

pytestmark = pytest.mark.slow

onnx = pytest.importorskip("onnx", reason="pip install 'synthoma[onnx]'")
onnxruntime = pytest.importorskip("onnxruntime", reason="pip install 'synthoma[onnx]'")

SIZE = 32
USUAL = {"crop": True, "normalise": "robust", "plane": "axial", "fitting": "keep", "resampling": "area"}


def model(
    folder: Path, kind: str = "segmenter", *, network: dict[str, Any] | None = None, noise: float = 0.2, **changes: Any
) -> Path:
    """A model of two sequences with random weights, which differ enough from nothing that its answers do."""
    torch.manual_seed(3)
    settings: SegmenterNetwork | ClassifierNetwork
    shape = {"size": SIZE, "channels": 2, "targets": 3 if kind == "segmenter" else 0}
    if kind == "classifier":
        settings = ClassifierNetwork.model_validate({"width": 8, **(network or {})})
        built = build_classifier(settings, SIZE, 2, 2)
    else:
        settings = SegmenterNetwork.model_validate(
            {"width": 4, "levels": 3, "stem": 1, "context": 3, **(network or {})}
        )
        built = build_segmenter(settings, SegmenterShape(**shape))
    for value in built.parameters():
        value.data.add_(noise * torch.randn_like(value))
    meta = {
        "schema": "synthoma.model/1", "kind": kind, "model": settings.network, "network": settings.model_dump(),
        "shape": shape, "modalities": ["t1", "flair"], "plane": "axial", "prepare": USUAL, "step_mm": 4.0,
        "any_subset": True, "provenance": {}, "classes": ["glioma", "healthy"] if kind == "classifier" else [],
        "targets": ["tumour", "core", "enhancing"] if kind == "segmenter" else [],
        "threshold": [0.5, 0.45, 0.4] if kind == "segmenter" else [], **changes,
    }  # fmt: skip
    folder.mkdir(parents=True)
    save_tensors(
        folder / "model.safetensors", {f"{kind}.{name}": one for name, one in built.state_dict().items()}, meta
    )
    return folder


def exact(model: Path) -> Detector:
    """A detector in float32, as what is exported computes, on processors too that are fast with half of it."""
    return replace(Detector.open(model), bf16=False)


@pytest.fixture(scope="module")
def phantom() -> Study:
    """One simulated slice with tumour, of all sequences."""
    study = phantom_cases(1, 5, PhantomConfig(pixel_mm=1.5, slice_mm=6.0))[0].load()
    assert study.mask is not None
    z = int((study.mask > 0).sum(axis=(1, 2)).argmax())
    return Study({name: image[z : z + 1] for name, image in study.images.items()})


def answers(folder: Path, squares: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    (found,) = session.run(["probabilities"], {"images": squares})
    return np.asarray(found)


def said_of(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "preprocessing.json").read_text()))


@pytest.mark.slow
def test_the_shipped_segmenter_answers_as_ours_on_random_and_on_phantom_input(tmp_path: Path, phantom: Study) -> None:
    found = synthoma.export("phantom", tmp_path / "out", to="onnx")
    assert found.counts == {"segmenter": 1}
    assert found.origin == read_export(tmp_path / "out").origin == "model"
    detector = exact(shipped_model())
    draws = np.random.default_rng(0)
    for count in (1, 5):
        squares = draws.uniform(-0.2, 3, (count, 12, 128, 128)).astype(np.float32)
        wanted = Model.open(Path("phantom"))(torch.from_numpy(squares)).numpy()
        np.testing.assert_allclose(answers(tmp_path / "out", squares), wanted, atol=1e-4, rtol=0)
    pixels = to_squares(frame(phantom, detector.modalities, size=128, rule=detector.rule))
    ours = detector.probabilities(pixels)
    assert ours.max() > 0.9, "it shows a tumour"
    np.testing.assert_allclose(answers(tmp_path / "out", np.tile(pixels, (1, 3, 1, 1))), ours, atol=1e-4, rtol=0)


@pytest.mark.slow
def test_a_stranger_gets_our_probabilities_and_mask_from_raw_pixels(tmp_path: Path, phantom: Study) -> None:
    """With NumPy and onnxruntime alone: crop, grey values, size, network, and back onto the slice."""
    synthoma.export("phantom", tmp_path / "out", to="onnx")
    raw = {name: image[0] for name, image in phantom.images.items() if name != "t2"}
    detector = exact(shipped_model())
    framing = frame(Study({name: one[None] for name, one in raw.items()}), detector.modalities, size=128)
    ours = detector.probabilities(to_squares(framing))
    inputs, box, place = example.squares(raw, said_of(tmp_path / "out"))
    fit = framing.fit
    assert (box, place) == ((fit.box.top, fit.box.left, fit.box.height, fit.box.width), (fit.rows, fit.columns))
    theirs = example.answered(tmp_path / "out", said_of(tmp_path / "out"), inputs)
    np.testing.assert_allclose(theirs, ours, atol=1e-3, rtol=0)
    assert theirs.max() > 0.5

    words = []
    for name, image in raw.items():
        np.save(tmp_path / f"{name}.npy", image)
        words.append(f"{name}={name}.npy")
    code = (
        "import runpy, sys; sys.argv = sys.argv[1:]\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "except SystemExit as end: assert not end.code\n"
        "assert not {'torch', 'scipy', 'PIL', 'synthoma'} & set(sys.modules)"
    )
    command = [sys.executable, "-I", "-c", code, str(tmp_path / "out" / "example.py"), *words, "-o", "mask.npy"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    mask = np.load(tmp_path / "mask.npy")
    assert mask.shape == raw["flair"].shape
    from synthoma.cohorts.squares import from_squares
    from synthoma.detectors.segmenters.label_maps import label_map

    wanted = label_map(from_squares(ours, framing), detector.thresholds, detector.targets)[0]
    assert wanted.any()
    assert (mask != wanted).mean() < 1e-3


@pytest.mark.parametrize(
    "rule",
    [
        {"crop": False, "normalise": "unit", "fitting": "stretch", "resampling": "linear"},
        {"crop": False, "normalise": "robust", "pad": 260, "window": [20, 230]},
        {"crop": True, "normalise": "unit", "fitting": "stretch"},
        {"crop": True, "normalise": "robust", "resampling": "linear"},
    ],
    ids=str,
)
def test_a_stranger_frames_slices_as_we_do_by_any_rule(tmp_path: Path, phantom: Study, rule: dict[str, Any]) -> None:
    synthoma.export(model(tmp_path / "run", prepare={**rule, "plane": "axial"}), tmp_path / "out", to="onnx")
    said, detector = said_of(tmp_path / "out"), exact(tmp_path / "run")
    raw = {name: (phantom.images[name][0, 8:, :-30] * 3000 + 40).astype(np.int16) for name in ("t1", "flair")}
    framing = frame(
        Study({name: one[None] for name, one in raw.items()}), ("t1", "flair"), size=SIZE, rule=detector.rule
    )
    inputs, _, _ = example.squares(raw, said)
    np.testing.assert_allclose(inputs[:, 2:4], to_squares(framing), atol=1e-4)
    found = example.answered(tmp_path / "out", said, inputs)
    np.testing.assert_allclose(found, detector.probabilities(to_squares(framing)), atol=1e-3, rtol=0)


def test_a_stranger_takes_z_scores_within_the_brain_as_we_do(tmp_path: Path, phantom: Study) -> None:
    synthoma.export(model(tmp_path / "run"), tmp_path / "out", to="onnx")
    rule = exact(tmp_path / "run").rule
    raw = {}
    for name in ("t1", "flair"):
        image = phantom.images[name][0].astype(np.float32)
        brain = image > np.percentile(image, 40)
        raw[name] = np.where(brain, (image - image[brain].mean()) / image[brain].std(), 0).astype(np.float32)
    framing = frame(Study({name: one[None] for name, one in raw.items()}), ("t1", "flair"), size=SIZE, rule=rule)
    assert framing.images["flair"].min() == 0
    inputs, _, _ = example.squares(raw, said_of(tmp_path / "out"))
    np.testing.assert_allclose(inputs[:, 2:4], to_squares(framing), atol=1e-4)


def test_a_small_picture_is_enlarged_as_we_do(tmp_path: Path, phantom: Study) -> None:
    synthoma.export(model(tmp_path / "run"), tmp_path / "out", to="onnx")
    raw = {name: phantom.images[name][0, ::9, ::9].copy() for name in ("t1", "flair")}
    framing = frame(Study({name: one[None] for name, one in raw.items()}), ("t1", "flair"), size=SIZE)
    inputs, _, _ = example.squares(raw, said_of(tmp_path / "out"))
    np.testing.assert_allclose(inputs[:, 2:4], to_squares(framing), atol=1e-4)


def test_scales_and_classes_are_part_of_the_network(tmp_path: Path) -> None:
    """Half of the value and another offset make no difference to a network that takes deviations."""
    synthoma.export(model(tmp_path / "z", network={"scale": "zscore"}), tmp_path / "out-z", to="onnx")
    squares = np.random.default_rng(1).uniform(0, 1, (3, 6, SIZE, SIZE)).astype(np.float32)
    np.testing.assert_allclose(
        answers(tmp_path / "out-z", squares), answers(tmp_path / "out-z", squares * 0.5 + 0.1), atol=1e-4
    )
    synthoma.export(model(tmp_path / "c", "classifier"), tmp_path / "out-c", to="onnx")
    assert said_of(tmp_path / "out-c")["output"]["names"] == ["glioma", "healthy"]
    found = answers(tmp_path / "out-c", squares[:, 2:4])
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    ours = Classifier.open(tmp_path / "c")._asked(torch.from_numpy(squares[:, 2:4]))
    np.testing.assert_allclose(found, ours, atol=1e-4)


def test_what_is_written_beside_is_true(tmp_path: Path) -> None:
    synthoma.export(model(tmp_path / "run"), tmp_path / "out", to="onnx", name="Two sequences")
    said = said_of(tmp_path / "out")
    for one in (said["example_input"], said["example_output"]):
        assert file_digest(tmp_path / "out" / one["file"]) == one["sha256"]
    squares = np.load(tmp_path / "out" / said["example_input"]["file"], allow_pickle=False)
    wanted = np.load(tmp_path / "out" / said["example_output"]["file"], allow_pickle=False)
    np.testing.assert_allclose(answers(tmp_path / "out", squares), wanted, atol=said["tolerance"], rtol=0)
    assert np.ptp(wanted) > 0.05, "another input or network would be noticed"
    order = [(one["slice"], one["sequence"]) for one in said["input"]["channels"]]
    assert order == [(-1, "t1"), (-1, "flair"), (0, "t1"), (0, "flair"), (1, "t1"), (1, "flair")]
    assert said["output"]["thresholds"] == [0.5, 0.45, 0.4]
    assert said["output"]["mask_values"] == [2, 1, 3]
    assert said["neighbours"] | {"rule": ""} == {"count": 3, "distance_mm": 4.0, "rule": ""}
    assert said["missing"] == {"allowed": True, "value": 0.0}
    content = onnx.load(tmp_path / "out" / "model.onnx")
    assert content.opset_import[0].version == said["opset"] == 17
    text = (tmp_path / "out" / "README.md").read_text()
    assert "# Two sequences" in text
    assert "sigmoid has been applied" in text


def test_channels_are_where_the_page_says(tmp_path: Path) -> None:
    """The neighbours' channels make a difference, in the order that Detector stacks them."""
    synthoma.export(model(tmp_path / "run"), tmp_path / "out", to="onnx")
    detector = exact(tmp_path / "run")
    volume = np.random.default_rng(2).uniform(0, 1, (5, 2, SIZE, SIZE)).astype(np.float32)
    ours = detector.probabilities(volume, 4.0)
    stacked = np.concatenate([volume[1:4].reshape(1, 6, SIZE, SIZE)])
    np.testing.assert_allclose(answers(tmp_path / "out", stacked)[0], ours[2], atol=1e-4)
    assert np.abs(answers(tmp_path / "out", stacked[:, ::-1].copy())[0] - ours[2]).max() > 1e-2


@pytest.mark.slow
@pytest.mark.parametrize("name", [*SEGMENTERS, *CLASSIFIERS])
def test_every_network_goes_out(tmp_path: Path, name: str) -> None:
    """The export compares answers itself, and refuses to write what differs."""
    kind = "segmenter" if name in SEGMENTERS else "classifier"
    _, config = {**SEGMENTERS, **CLASSIFIERS}[name]
    known = SegmenterNetwork if kind == "segmenter" else ClassifierNetwork
    network = {key: value for key, value in config.model_dump().items() if key in known.model_fields}
    network |= {"head": (32,)} if name == "vgg16" else {}
    if name == "mask-dcgan-seed":
        pytest.skip("28 px only, and built of the same layers")
    run = model(tmp_path / "run", kind, network=network, noise=0.0)
    synthoma.export(run, tmp_path / "onnx", to="onnx")
    if name in ("segresnet", "resnet18"):
        synthoma.export(run, tmp_path / "bundle", to="monai-bundle")


# MONAI ----------------------------------------------------------------------------------------------------------------


def test_monai_runs_the_bundle_and_finds_its_data_as_stated(tmp_path: Path, phantom: Study) -> None:
    import monai.bundle as monai

    synthoma.export("phantom", tmp_path / "out", to="monai-bundle")
    detector = exact(shipped_model())
    pixels = to_squares(frame(phantom, detector.modalities, size=128, rule=detector.rule))
    (tmp_path / "mine").mkdir()
    np.save(tmp_path / "mine" / "slice_input.npy", np.tile(pixels, (1, 3, 1, 1)))
    configs = tmp_path / "out" / "configs"
    parser = monai.ConfigParser()
    parser.read_config(configs / "inference.json")
    parser.read_meta(configs / "metadata.json")
    parser.update({"bundle_root": str(tmp_path / "out"), "input_dir": str(tmp_path / "mine")})
    parser.update({"output_dir": str(tmp_path / "answers"), "device": "cpu"})
    for step in parser.get_parsed_content("run"):
        assert step is None or step == [None]
    found = np.load(tmp_path / "answers" / "slice_output.npy")
    np.testing.assert_allclose(found, detector.probabilities(pixels), atol=1e-4, rtol=0)
    stated = parser["_meta_"]
    required = {
        "version", "changelog", "monai_version", "pytorch_version", "numpy_version", "task", "description", "authors",
        "copyright", "network_data_format", "required_packages_version",
    }  # fmt: skip
    assert required <= set(stated)
    assert stated["network_data_format"]["inputs"]["image"]["channel_def"]["7"] == "flair of slice 0"
    assert not [path for path in (tmp_path / "out").rglob("*") if path.suffix in (".pt", ".pth", ".pkl")]


@pytest.mark.filterwarnings("ignore")
def test_monai_verifies_the_bundle(tmp_path: Path) -> None:
    import monai.bundle as monai

    synthoma.export(model(tmp_path / "run"), tmp_path / "out", to="monai-bundle")
    configs = tmp_path / "out" / "configs"
    monai.verify_net_in_out(
        net_id="network_def", meta_file=str(configs / "metadata.json"), config_file=str(configs / "inference.json"),
        bundle_root=str(tmp_path / "out"), device="cpu",
    )  # fmt: skip
    assert "whoever trained them" in (tmp_path / "out" / "LICENSE").read_text()


# What is refused ------------------------------------------------------------------------------------------------------


def test_what_is_no_detector_is_refused_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="a segmenter or a classifier; came a generator"):
        synthoma.export(shipped_model("generator"), tmp_path / "out", to="onnx")
    run = model(tmp_path / "run")
    with pytest.raises(ConfigError, match="a form for models: onnx, monai-bundle; came nnunet"):
        synthoma.export(run, tmp_path / "out")
    with pytest.raises(ConfigError, match="a form for cohorts"):
        from tests.exports.cohorts import patients

        synthoma.export(patients(tmp_path / "cohort"), tmp_path / "out", to="onnx")
    (tmp_path / "half" / "checkpoint").mkdir(parents=True)
    with pytest.raises(InputError, match="a finished run"):
        synthoma.export(tmp_path / "half", tmp_path / "out", to="onnx")
    (tmp_path / "model.pt").write_bytes(b"\x80\x04.")
    with pytest.raises(InputError, match="can run code"):
        synthoma.export(tmp_path / "model.pt", tmp_path / "out", to="onnx")
    damaged = load_tensors(run / "model.safetensors")
    (tmp_path / "other").mkdir()
    save_tensors(tmp_path / "other" / "model.safetensors", {}, {**damaged.content, "shape": {"size": 8}})
    with pytest.raises(InputError, match="description or weights"):
        synthoma.export(tmp_path / "other", tmp_path / "out", to="onnx")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ConfigError, match=r"pip install 'synthoma\[onnx\]'"):
        synthoma.export(run, tmp_path / "out", to="onnx")
    assert not (tmp_path / "out").exists()
    synthoma.export(run, tmp_path / "out", to="monai-bundle")


def test_an_answer_that_differs_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from synthoma.exports import models

    monkeypatch.setattr(models, "TOLERANCE", -1.0)
    with pytest.raises(InputError, match="answers of onnxruntime within"):
        synthoma.export(model(tmp_path / "run"), tmp_path / "out", to="onnx")
    assert not (tmp_path / "out").exists()
