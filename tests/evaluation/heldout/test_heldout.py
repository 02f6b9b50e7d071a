"""A trained model on patients whom it did not see: the same figures as computed by hand, and nobody whom it saw."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import metrics as sk

import synthoma
from synthoma.cohorts.cohort import Cohort
from synthoma.commands.app import main
from synthoma.core.errors import ConfigError, InputError, LeakError
from synthoma.core.types import REGIONS, TARGETS
from synthoma.detectors.classifiers.networks import build_classifier
from synthoma.detectors.offline import write_with_copies
from synthoma.detectors.scale import as_input
from synthoma.detectors.segmenters.networks import SegmenterShape, build_segmenter
from synthoma.detectors.settings import ClassifierNetwork, SegmenterNetwork
from synthoma.evaluation.heldout.asking import rows_of
from synthoma.evaluation.heldout.result import read_model_scores
from synthoma.training.bundle import open_model, save_tensors
from tests.toys import blobs, halves, write_cohort

pytestmark = pytest.mark.slow

CLASSES = ("left", "right")


def model(folder: Path, kind: str = "classifier", *, targets: tuple[str, ...] = ("tumour",), **changes: Any) -> Path:
    """A model with random weights, as training leaves one, that learned from p0 to p5."""
    torch.manual_seed(1)
    settings: SegmenterNetwork | ClassifierNetwork
    if kind == "classifier":
        settings = ClassifierNetwork(width=8)
        network, shape = build_classifier(settings, 32, 1, 2), {"size": 32, "channels": 1, "targets": 0}
    else:
        settings = SegmenterNetwork(width=4, levels=2, stem=1)
        shape = {"size": 32, "channels": 1, "targets": len(targets)}
        network = build_segmenter(settings, SegmenterShape(**shape))
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {f"{kind}.{name}": value for name, value in network.state_dict().items()}
    seen = {"cohort": {"origin": "real"}, "trained_on": {"groups": [f"p{n}" for n in range(6)]}}
    meta = {
        "schema": "synthoma.model/1", "kind": kind, "model": "cnn" if kind == "classifier" else "unet-25d",
        "network": settings.model_dump(), "shape": shape, "modalities": ["flair"], "plane": "axial",
        "classes": list(CLASSES) if kind == "classifier" else [], "provenance": seen,
        **({"targets": list(targets), "threshold": [0.01] * len(targets)} if kind == "segmenter" else {}), **changes,
    }  # fmt: skip
    save_tensors(folder / "model.safetensors", tensors, meta)
    return folder


def cohort(folder: Path, kind: str = "classifier", **meta: Any) -> Cohort:
    """Ten patients of six slices, four of them held out."""
    groups = [f"p{number % 10}" for number in range(60)]
    splits = ["test" if group > "p5" else "train" for group in groups]
    known = {"origin": "real", "splits": splits, "groups": groups, **meta}
    if kind == "classifier":
        images, sides = halves(60, size=32)
        return write_cohort(folder, images, sides, **known)
    images, masks = blobs(60, size=32)
    masks[::3] = 0
    if "mask_names" in meta:  # the upper half of the picture enhances
        masks[:, :16] *= 3
    return write_cohort(folder, images, masks=masks, **{"mask_names": {"1": "tumour"}, **known})


def said(run: Path, held: Cohort, rows: np.ndarray) -> torch.Tensor:
    """What the network says of these slices, asked without anything of what is tested."""
    bundle = open_model(run)
    meta = bundle.meta
    if meta.kind == "classifier":
        network = build_classifier(ClassifierNetwork.model_validate(meta.network), 32, 1, 2)
    else:
        network = build_segmenter(SegmenterNetwork.model_validate(meta.network), SegmenterShape(**meta.shape))
    network.load_state_dict(bundle.weights(meta.kind))
    images = as_input(torch.from_numpy(np.asarray(held.images[rows], np.float32)))
    with torch.no_grad():
        if meta.kind == "classifier":
            return torch.softmax(network.eval()(images), dim=1)
        return (network.eval()(images).sigmoid() + network(images.flip(-1)).sigmoid().flip(-1)) / 2


def test_a_classifiers_figures_are_those_of_scikit_learn(tmp_path: Path) -> None:
    held, run = cohort(tmp_path / "cohort"), model(tmp_path / "run")
    scores = synthoma.evaluate_model(held, run)
    rows = held.rows(split="test")
    truth = held.slices["label"].iloc[rows].map({"left": 0, "right": 1}).to_numpy()
    chances = said(run, held, rows).numpy()
    called = chances.argmax(axis=1)
    found = scores.classifier
    assert found is not None
    assert (scores.scored.slices, scores.scored.groups) == (24, 4)
    assert found.accuracy.value == pytest.approx(sk.accuracy_score(truth, called))
    assert found.balanced_accuracy.value == pytest.approx(sk.balanced_accuracy_score(truth, called))
    assert found.confusion == tuple(map(tuple, sk.confusion_matrix(truth, called).tolist()))
    for k, name in enumerate(CLASSES):
        one = found.per_class[name]
        assert one.recall.value == pytest.approx(sk.recall_score(truth, called, pos_label=k))
        assert one.auc.value == pytest.approx(sk.roc_auc_score(truth == k, chances[:, k]))
        assert one.slices == (truth == k).sum()
    assert found.accuracy.n == 4, "intervals are drawn over patients"
    assert found.accuracy.low <= found.accuracy.value <= found.accuracy.high
    assert "4 patients or groups" in " ".join(scores.remarks)


def test_one_patient_with_many_slices_makes_no_narrow_interval(tmp_path: Path) -> None:
    """All slices of a patient are right or wrong together: the interval is that of the patients, not of the slices."""
    images, _ = halves(80, size=32)
    run = model(tmp_path / "run")
    groups = [f"q{number // 10}" for number in range(80)]
    write_cohort(tmp_path / "a", images, ["left"] * 80, groups=groups, origin="real")
    calls = said(run, Cohort(tmp_path / "a"), np.arange(80)).argmax(dim=1).numpy()
    labels = [CLASSES[int(call) ^ (int(group[1]) % 2)] for call, group in zip(calls, groups, strict=True)]
    held = write_cohort(tmp_path / "b", images, labels, groups=groups, origin="real", classes=list(CLASSES))
    scores = synthoma.evaluate_model(held, run, part="all")
    assert scores.classifier is not None
    accuracy = scores.classifier.accuracy
    assert accuracy.value == pytest.approx(0.5)
    assert accuracy.high - accuracy.low > 0.5, "80 independent slices would give 0.22"


def test_a_segmenters_figures_are_those_of_its_maps(tmp_path: Path) -> None:
    held, run = cohort(tmp_path / "cohort", "segmenter"), model(tmp_path / "any", "segmenter")
    rows = held.rows(split="test")
    maps = said(run, held, rows)[:, 0].numpy()
    limit = float(np.quantile(maps, 0.9))  # random weights mark something, and not all
    run = model(tmp_path / "run", "segmenter", threshold=[limit])
    scores = synthoma.evaluate_model(held, run)
    marked = maps >= limit
    truth = np.asarray(held.masks[rows]) > 0
    assert 0 < marked.mean() < 1
    groups = held.slices["group"].iloc[rows].to_numpy()
    both, found = marked & truth, scores.segmenter
    assert found is not None
    dice = {
        name: 2 * both[groups == name].sum() / (marked[groups == name].sum() + truth[groups == name].sum())
        for name in sorted(set(groups))
    }
    assert {row.patient: row.regions["whole tumour"].dice for row in found.masks.per_patient} == pytest.approx(dice)
    mean = found.masks.regions["whole tumour"]["dice"].mean
    assert mean is not None
    assert mean.value == pytest.approx(np.mean(list(dice.values())))
    ill = truth.any(axis=(1, 2))
    each = 2 * both.sum(axis=(1, 2)) / (marked.sum(axis=(1, 2)) + truth.sum(axis=(1, 2)))
    assert found.tumour_slices is not None
    assert (found.tumour_slices.slices, found.all_slices.slices) == (ill.sum(), len(rows))
    assert found.tumour_slices.dice.value == pytest.approx(each[ill].mean())
    recalls = both.sum(axis=(1, 2))[ill] / truth.sum(axis=(1, 2))[ill]
    assert found.tumour_slices.recall.value == pytest.approx(recalls.mean())
    assert found.masks.slices.tp == (marked.any(axis=(1, 2)) & ill).sum()
    assert found.masks.probabilities is not None
    assert found.masks.probabilities.slices.with_tumour == ill.sum()


@pytest.mark.slow
def test_regions_are_scored_where_both_sides_know_them(tmp_path: Path) -> None:
    names = {str(value): name for value, name in REGIONS.items()}
    held = cohort(tmp_path / "cohort", "segmenter", mask_names=names)
    nested = synthoma.evaluate_model(held, model(tmp_path / "run", "segmenter", targets=tuple(TARGETS))).segmenter
    whole = synthoma.evaluate_model(held, model(tmp_path / "one", "segmenter")).segmenter
    assert nested is not None
    assert whole is not None
    assert list(nested.masks.regions) == ["whole tumour", "tumour core", "enhancing tumour"]
    assert list(whole.masks.regions) == ["whole tumour"]


def test_whom_the_model_saw_is_not_scored(tmp_path: Path) -> None:
    run = model(tmp_path / "run")
    with pytest.raises(LeakError, match="1 in what cnn was trained on: p3"):
        held = cohort(tmp_path / "cohort")
        table = held.slices
        table.loc[table["group"] == "p3", "split"] = "test"
        table.to_csv(held.path / "slices.csv", index=False)
        synthoma.evaluate_model(Cohort(held.path), run)
    with pytest.raises(LeakError, match="p0"):
        synthoma.evaluate_model(held, run, part="all")
    named = cohort(tmp_path / "named")  # a group over duplicates bears one patient's name
    named.slices.assign(patient=["p1" if one == "p7" else one for one in named.slices["group"]]).to_csv(
        named.path / "slices.csv", index=False
    )
    with pytest.raises(LeakError, match="p1"):
        synthoma.evaluate_model(Cohort(named.path), run)
    # Names of simulated patients mean something only beside the very images that were learned from.
    phantom = cohort(tmp_path / "phantom", origin="phantom")
    from synthoma.cohorts.leaks import source_of

    digest = source_of(phantom).images_sha256
    seen = {"trained_on": {"groups": ["p8"]}}
    other = model(tmp_path / "other", provenance={"cohort": {"origin": "phantom", "images_sha256": "0"}, **seen})
    assert synthoma.evaluate_model(phantom, other).scored.groups == 4
    same = model(tmp_path / "same", provenance={"cohort": {"origin": "phantom", "images_sha256": digest}, **seen})
    with pytest.raises(LeakError, match="p8"):
        synthoma.evaluate_model(phantom, same)


@pytest.mark.parametrize(
    ("of_model", "of_cohort", "complaint"),
    [
        ({"shape": {"size": 64, "channels": 1, "targets": 0}}, {}, "slices of 64 px.*size=64"),
        ({"prepare": {"normalise": "unit"}}, {"provenance": {"config": {"normalise": "robust"}}}, "normalise unit"),
        ({"plane": "coronal", "prepare": {"plane": "coronal"}}, {}, "plane coronal"),
        ({"modalities": ["flair", "t1"]}, {}, "has t1 too"),
        ({"classes": ["cat", "dog"]}, {}, "24 of another class than cat, dog"),
        ({}, {"splits": ["train"] * 60}, 'test slices in cohort.*part="all"'),
    ],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, of_model: dict[str, Any], of_cohort: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(InputError, match=complaint):
        synthoma.evaluate_model(cohort(tmp_path / "cohort", **of_cohort), model(tmp_path / "run", **of_model))


def test_a_model_that_does_not_say_whom_it_saw_is_told(tmp_path: Path) -> None:
    scores = synthoma.evaluate_model(cohort(tmp_path / "cohort"), model(tmp_path / "run", provenance={}))
    assert any("does not say whom it learned from" in text for text in scores.remarks)


@pytest.mark.slow
def test_the_command_writes_scores_and_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind, words in (("classifier", ("balanced accuracy", "called")), ("segmenter", ("dice of whole tumour",))):
        held, run, out = cohort(tmp_path / f"{kind}s", kind), model(tmp_path / kind, kind), tmp_path / f"{kind}-scores"
        command = ["synthoma", "evaluate", str(held.path), "--model", str(run), "-o", str(out)]
        for more, code in (([], 0), ([], 2), (["--force"], 0), (["--preset", "full", "--force"], 2)):
            monkeypatch.setattr(sys, "argv", [*command, *more])
            with pytest.raises(SystemExit) as leaving:
                main()
            assert leaving.value.code == code
        said = capsys.readouterr()
        assert all(word in said.out for word in words)
        assert "--preset; leave them out" in said.err
        content = read_model_scores(out)
        assert content.content() == json.loads((out / "model_scores.json").read_text())
        assert "</html>" in (out / "report.html").read_text()
        assert synthoma.describe(out)["kind"] == "scores of a model"
        monkeypatch.setattr(sys, "argv", ["synthoma", "info", str(out)])
        with pytest.raises(SystemExit) as leaving:
            main()
        assert leaving.value.code == 0
        assert "kind: scores of a model" in capsys.readouterr().out
        assert synthoma.pipeline.verify(out) == []
        assert synthoma.report(out) == out / "report.html"


def test_a_generator_is_no_detector(tmp_path: Path) -> None:
    from tests.toys import train_toy

    held = cohort(tmp_path / "cohort")
    train_toy(held, tmp_path / "gan", model="dcgan", images=32, snapshots=1)
    with pytest.raises(ConfigError, match="the generator dcgan"):
        synthoma.evaluate_model(held, tmp_path / "gan")


def test_the_shipped_segmenter_is_scored_on_patients_of_any_cohort(tmp_path: Path) -> None:
    images, masks = blobs(6, size=128)
    held = write_cohort(
        tmp_path / "cohort", images, masks=masks, splits=["test"] * 6, mask_names={"1": "tumour"}, origin="real",
        provenance={"config": {"normalise": "robust", "crop": True, "plane": "axial"}},
    )  # fmt: skip
    scores = synthoma.evaluate_model(held)
    assert scores.segmenter is not None
    assert scores.model.origin == "phantom"
    assert any("learned from phantom slices, these are real" in text for text in scores.remarks)
    assert isinstance(pd.DataFrame([row.model_dump() for row in scores.segmenter.masks.per_patient]), pd.DataFrame)


def test_of_synthetic_slices_accuracy_is_obedience(tmp_path: Path) -> None:
    from synthoma.metrics.inception import inception_score

    images, sides = halves(40, size=32)
    asked = write_cohort(tmp_path / "drawn", images, sides, origin="synthetic")  # all of the split train
    scores = synthoma.evaluate_model(asked, model(tmp_path / "m"), tmp_path / "out")
    assert (scores.scored.part, scores.scored.slices) == ("all", 40)
    found = scores.classifier
    assert found is not None
    network = build_classifier(ClassifierNetwork(width=8), 32, 1, 2).eval()
    network.load_state_dict(open_model(tmp_path / "m").weights("classifier"))
    with torch.no_grad():
        seen = as_input(torch.from_numpy(np.asarray(asked.images[:], np.float32)))
        chances = network(seen).softmax(dim=1).double().numpy()
    named = np.array(CLASSES)[chances.argmax(axis=1)]
    assert found.accuracy.value == pytest.approx((named == asked.slices["label"].to_numpy()).mean())
    assert found.inception is not None
    assert found.inception.value == pytest.approx(inception_score(chances), abs=1e-4)
    assert any("obedience" in text for text in scores.remarks)
    assert "inception score" in (tmp_path / "out" / "report.html").read_text()


def test_changed_copies_are_nobodys_scans_and_are_not_scored(tmp_path: Path) -> None:
    plain = write_cohort(tmp_path / "c", blobs(4)[0], splits=["train", "train", "test", "test"])
    (tmp_path / "more").mkdir()
    write_with_copies(plain, tmp_path / "more", 2)
    more = Cohort(tmp_path / "more")
    assert len(more) == 8
    assert rows_of(more, "all").tolist() == [0, 1, 2, 3]
    assert rows_of(more, "train").tolist() == [0, 1]
    assert rows_of(more, "test").tolist() == rows_of(plain, "test").tolist() == [2, 3]
