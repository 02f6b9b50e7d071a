"""The detector: what it opens, what it refuses, and that batches, neighbours and mirrors are put together rightly."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from synthoma.cohorts.cohort import Cohort, CohortWriter
from synthoma.core.errors import ConfigError, InputError
from synthoma.detection.detector import Detector
from synthoma.detectors.scale import as_input
from synthoma.detectors.slices import LabelledSlices
from synthoma.training.device import choose_device, fast_bf16
from tests.detection.conftest import WriteModel


def squares(count: int, channels: int = 1, size: int = 32) -> np.ndarray:
    return np.random.default_rng(0).random((count, channels, size, size), dtype=np.float32) * 2.5


def opened(run, **changes) -> Detector:
    """In full precision, so that results can be compared to the last digits."""
    return replace(Detector.open(run), bf16=False, **changes)


def test_a_run_and_its_file_open_alike(write_model: WriteModel) -> None:
    run = write_model(half=True)
    folder, file = Detector.open(run), Detector.open(run / "model.safetensors")
    assert folder.name == "unet-25d"
    assert folder.bundle.digest == file.bundle.digest
    assert all(value.dtype == torch.float32 for value in folder.network.parameters())


@pytest.mark.parametrize("count", [1, 7, 70])
def test_the_network_sees_what_it_saw_in_training(write_model: WriteModel, tmp_path: Path, count: int) -> None:
    """Neighbours at the ends, and where blank slices are no part of a cohort, are chosen as a cohort's are."""
    detector = opened(write_model(modalities=("t1", "flair"), network={"context": 3}, step_mm=4.0))
    pixels = squares(count, 2).astype(np.float16).astype(np.float32)
    blank = [number for number in range(count) if number in (3, 4, 60)]
    pixels[blank] = 0
    there = np.array([number for number in range(count) if number not in blank])
    (tmp_path / "cohort").mkdir()
    table = pd.DataFrame(
        {"case": "a", "group": "a", "split": "train", "label": "tumour", "slice": there, "step_mm": 2.0, "missing": ""}
    )
    meta = {"origin": "real", "modalities": ["t1", "flair"], "labels": {}, "classes": ["tumour"], "size": 32}
    with CohortWriter(tmp_path / "cohort", channels=2, size=32) as writer:
        writer.add(pixels[there], np.zeros((len(there), 32, 32), np.uint8), [{} for _ in there])
        writer.finish(table.assign(tumour_pixels=0), meta)
    slices = LabelledSlices(Cohort(tmp_path / "cohort"), np.arange(len(there)), ("t1", "flair"), (), (3, 4.0))
    trained = as_input(slices.fetch(np.arange(len(there))).images)
    assert torch.equal(detector.inputs(pixels, there.tolist(), detector.stride(2.0)), trained)
    with torch.no_grad():
        expected = detector.network(trained).sigmoid().numpy()
    np.testing.assert_allclose(detector.probabilities(pixels, 2.0)[there], expected, atol=1e-5)


def test_neighbours_lie_as_far_apart_as_in_training(write_model: WriteModel) -> None:
    detector = opened(write_model(step_mm=5.0))
    assert [detector.stride(step) for step in (None, 0.5, 1.0, 2.0, 5.0, 9.0)] == [1, 10, 5, 2, 1, 1]
    assert opened(write_model(step_mm=None)).stride(1.0) == 1


def test_blank_slices_are_not_asked_about(write_model: WriteModel, monkeypatch: pytest.MonkeyPatch) -> None:
    detector = opened(write_model())
    pixels = squares(5)
    pixels[[0, 3]] = 0.0
    seen = []
    monkeypatch.setattr(detector.network, "forward", lambda images: seen.append(len(images)) or images[:, :1])
    maps = detector.probabilities(pixels)
    assert seen == [3]
    assert not maps[[0, 3]].any()
    assert maps[[1, 2, 4]].all()
    assert not detector.probabilities(pixels[:1]).any(), "nothing to ask about at all"


def test_flip_averages_with_the_mirror(write_model: WriteModel) -> None:
    detector = opened(write_model())
    pixels = squares(2)
    mirrored = detector.probabilities(pixels[..., ::-1])[..., ::-1]
    expected = (detector.probabilities(pixels) + mirrored) / 2
    np.testing.assert_allclose(detector.probabilities(pixels, flip=True), expected, atol=1e-6)


def test_half_precision_is_close(write_model: WriteModel) -> None:
    run, pixels = write_model(), squares(3)
    exact = replace(Detector.open(run), bf16=False).probabilities(pixels)
    rough = replace(Detector.open(run), bf16=True).probabilities(pixels)
    assert isinstance(fast_bf16(), bool)
    np.testing.assert_allclose(rough, exact, atol=0.02)


def test_what_is_no_segmenter_is_refused(write_model: WriteModel, tmp_path) -> None:
    with pytest.raises(InputError, match="a segmenter; came a generator; give a run of"):
        Detector.open(write_model(kind="generator"))
    with pytest.raises(InputError, match="do not fit"):
        Detector.open(write_model(targets=("tumour",), threshold=[0.5, 0.5]))
    with pytest.raises(InputError, match="do not fit"):
        Detector.open(write_model(shape={"size": 32, "channels": 3, "targets": 1}))
    with pytest.raises(InputError, match="do not fit"):
        Detector.open(write_model(shape={}))
    with pytest.raises(InputError, match="came prepare: "):
        Detector.open(write_model(prepare="robust"))
    with pytest.raises(InputError, match="do not fit"):
        Detector.open(write_model(prepare={"plane": "oblique"}))
    with pytest.raises(InputError, match="came one of 'zscore'; prepare its cohort with --normalise robust, and train"):
        Detector.open(write_model(prepare={"normalise": "zscore"}))
    with pytest.raises(InputError, match="nothing at"):
        Detector.open(tmp_path / "nowhere")
    (tmp_path / "half" / "checkpoint").mkdir(parents=True)
    with pytest.raises(InputError, match="--resume"):
        Detector.open(tmp_path / "half")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there() -> None:
    assert choose_device("auto") == choose_device("cpu") == "cpu"
    with pytest.raises(ConfigError, match="a device cuda; came none that PyTorch can use"):
        choose_device("cuda")


@pytest.mark.slow
def test_the_default_network_does_without_monai(write_model: WriteModel) -> None:
    code = (
        "import sys; from pathlib import Path; from synthoma.detection.detect import detect; "
        "from synthoma.detection.detector import Detector; Detector.open(Path(sys.argv[1])); "
        "assert not [name for name in sys.modules if name.split('.')[0] in ('monai', 'highdicom', 'SimpleITK')]"
    )
    subprocess.run([sys.executable, "-c", code, str(write_model())], check=True)
