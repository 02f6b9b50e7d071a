"""Two stages: what the first calls healthy is not outlined, and no finding says tumour and healthy at once."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from synthoma.cohorts.squares import FramingRule
from synthoma.core.errors import ConfigError, InputError
from synthoma.core.types import Plane
from synthoma.detection import detect as detecting
from synthoma.detection import scan as scanning
from synthoma.detection.classes import Classifier
from synthoma.detection.detect import detect
from synthoma.detection.gate import healthy_columns
from synthoma.detection.settings import DetectConfig
from tests.detection.conftest import WriteModel
from tests.detection.test_detect import bright_box, findings
from tests.scans.writers import FLAT, write_nifti


class ByBrightness(nn.Module):
    """The first of two or three classes is no tumour: .1 where more than ``share`` of a slice is bright, else .8."""

    def __init__(self, share: float, classes: int = 2) -> None:
        super().__init__()
        self.share, self.classes = share, classes

    def forward(self, images: Tensor) -> Tensor:
        bright = (images[:, :1] > 0.6).float().mean(dim=(1, 2, 3)) > self.share
        tumour = torch.where(bright, torch.tensor(0.9), torch.tensor(0.2))
        rest = [0.75 * tumour, 0.25 * tumour] if self.classes == 3 else [tumour]
        return torch.stack([1 - tumour, *rest], dim=1).log()


def classifier(
    share: float, classes: tuple[str, ...] = ("No", "yes"), modality: str = "flair", plane: Plane = "axial"
) -> Classifier:
    rule = FramingRule.of({"crop": False, "normalise": "unit", "plane": "axial"})
    network = ByBrightness(share, len(classes))
    return Classifier(network, "cnn", "0" * 64, classes, (modality,), True, (1, 0.0), 32, plane, rule)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[Path, Classifier]:
    """Classifiers by the place that options name."""
    known: dict[Path, Classifier] = {}
    monkeypatch.setattr(scanning, "opened", known.__getitem__)
    monkeypatch.setattr(detecting.Classifier, "open", known.__getitem__)
    monkeypatch.setattr("synthoma.detection.kept.model_file", lambda run: tmp_path / "scan_flair.nii.gz")
    return known


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """Six slices; in the four inner ones a box is bright, in slice 2 it is larger."""
    image = bright_box()
    image[2, 2:14, 16:30] = 200
    path = tmp_path / "scan_flair.nii.gz"
    write_nifti(path, image, FLAT)
    return path


@pytest.mark.usefixtures("thresholding")
class TestGate:
    def test_healthy_slices_keep_no_outline(
        self, scan: Path, write_model: WriteModel, asked: dict[Path, Classifier], tmp_path: Path
    ) -> None:
        run = tmp_path / "first"
        asked[run] = classifier(0.12)
        plain = DetectConfig(overlay=False)
        [free] = detect(scan, write_model(), tmp_path / "free", options=plain)
        assert len(findings(tmp_path / "free" / free["case"])["slices"]) == 4
        [row] = detect(scan, write_model(), tmp_path / "out", options=plain.model_copy(update={"gate": run}))
        found = findings(tmp_path / "out" / row["case"])
        assert [one["slice"] for one in found["slices"]] == [2]
        assert found["gate_probabilities"] == [0.2, 0.2, 0.9, 0.2, 0.2, 0.2]
        assert found["slice_probabilities"][3] == 0
        assert found["has_tumour"] is True
        assert "takes 5 of 6 slices for healthy: what was outlined on 3 of them is left out" in row["remarks"]
        told = json.loads((tmp_path / "out" / "detection.json").read_text())
        assert told["gate"] == {"name": "cnn", "sha256": "0" * 64}
        assert "first" not in json.dumps(told["options"])

    def test_a_scan_of_healthy_slices_shows_no_tumour(
        self, scan: Path, write_model: WriteModel, asked: dict[Path, Classifier], tmp_path: Path
    ) -> None:
        run = tmp_path / "first"
        asked[run] = classifier(1.0)
        options = DetectConfig(overlay=False, gate=run, type_model=run)
        [row] = detect(scan, write_model(), tmp_path / "out", options=options)
        assert (row["has_tumour"], row["has_mask"], row["type"]) == (False, 0, "")
        assert findings(tmp_path / "out" / row["case"])["probability"] == 0

    def test_the_limit_is_the_readers(
        self, scan: Path, write_model: WriteModel, asked: dict[Path, Classifier], tmp_path: Path
    ) -> None:
        run = tmp_path / "first"
        asked[run] = classifier(1.0)
        options = DetectConfig(overlay=False, gate=run, gate_limit=0.19)  # each slice has .2
        [row] = detect(scan, write_model(), tmp_path / "out", options=options)
        assert (row["has_tumour"], row["has_mask"]) == (True, 1)

    def test_a_gate_without_a_healthy_class_is_refused_before_any_scan(
        self, scan: Path, write_model: WriteModel, asked: dict[Path, Classifier], tmp_path: Path
    ) -> None:
        run = tmp_path / "first"
        asked[run] = classifier(0.1, ("glioma", "meningioma"))
        with pytest.raises(ConfigError, match="tells healthy slices from others; came cnn, which knows glioma, men"):
            detect(scan, write_model(), tmp_path / "out", options=DetectConfig(gate=run))
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize(
        ("other", "match"), [({"plane": "sagittal"}, "of axial slices"), ({"modality": "t2"}, "t2")]
    )
    def test_a_gate_that_cannot_look_leaves_the_scan_out(
        self,
        scan: Path,
        write_model: WriteModel,
        asked: dict[Path, Classifier],
        tmp_path: Path,
        other: dict[str, str],
        match: str,
    ) -> None:
        run = tmp_path / "first"
        asked[run] = classifier(0.1, **other)  # type: ignore[arg-type]
        with pytest.raises(InputError, match=match):
            detect(scan, write_model(), tmp_path / "out", options=DetectConfig(overlay=False, gate=run))


@pytest.mark.usefixtures("thresholding")
class TestType:
    def test_kinds_of_tumour_share_what_is_not_healthy(
        self, scan: Path, write_model: WriteModel, asked: dict[Path, Classifier], tmp_path: Path
    ) -> None:
        run = tmp_path / "types"
        asked[run] = classifier(1.0, ("notumor", "glioma", "pituitary"))
        [row] = detect(scan, write_model(), tmp_path / "out", options=DetectConfig(overlay=False, type_model=run))
        found = findings(tmp_path / "out" / row["case"])
        assert (found["has_tumour"], found["type"]) == (True, "glioma")
        assert found["type_probabilities"] == {"glioma": 0.75, "pituitary": 0.25}
        assert "takes slices with tumour for healthy (probability 0.80): look at them" in row["remarks"]

    def test_a_classifier_of_healthy_classes_alone_tells_no_type(
        self, scan: Path, write_model: WriteModel, asked: dict[Path, Classifier], tmp_path: Path
    ) -> None:
        run = tmp_path / "types"
        asked[run] = classifier(1.0, ("notumor", "healthy"))
        [row] = detect(scan, write_model(), tmp_path / "out", options=DetectConfig(overlay=False, type_model=run))
        assert row["type"] == ""
        assert "its type is not told" in row["remarks"]


def test_columns_of_healthy_classes() -> None:
    assert healthy_columns(classifier(0.1, ("glioma", "Notumor", "healthy"))) == [1, 2]
    with pytest.raises(ConfigError, match="tells healthy"):
        healthy_columns(classifier(0.1, ("no", "healthy")))


def test_an_empty_slice_has_no_chance() -> None:
    from synthoma.scans.case import Study

    image = bright_box().astype(np.float32)
    image[0] = 0
    chances = classifier(0.01).of_slices(Study({"flair": image}, FLAT))
    assert np.isnan(chances[0]).all()
    assert np.allclose(chances[2:4], [0.1, 0.9])
