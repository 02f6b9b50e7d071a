from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
import torch

from synthoma.detectors.models import SEGMENTERS
from synthoma.generators.families import gan_summary
from synthoma.generators.flow.loss import point_on_path, velocity_loss
from synthoma.generators.recipes import generators
from synthoma.generators.settings import GanConfig
from synthoma.generators.shape import ImageShape
from synthoma.reports.diagrams import WIDTH, Flow, Node, diagrams, flow_diagram, network_diagram, stacked, stages_of
from synthoma.reports.flows import flow_of
from synthoma.training.layers import Layer
from synthoma.training.meta import ModelMeta

LAYERS = [
    Layer("a", "Conv2d", (8, 16, 16), 100),
    Layer("b", "ReLU", (8, 16, 16), 0),
    Layer("c", "ReLU", (8, 16, 16), 0),
    Layer("d", "Conv2d", (8, 4, 4), 23),
    Layer("e", "<script>", (1,), 1000),
]


def texts(drawing: str) -> list[str]:
    return [part.text or "" for part in ET.fromstring(drawing).iter() if part.tag.endswith("text")]


def boxes(drawing: str) -> list[tuple[float, float, float, float]]:
    parts = [part for part in ET.fromstring(drawing).iter() if part.tag.endswith("rect")]
    return [tuple(float(part.get(name) or 0) for name in ("x", "y", "width", "height")) for part in parts]  # type: ignore[misc]


def test_layers_of_one_shape_are_one_stage() -> None:
    assert [(stage.shape, stage.kinds, stage.parameters) for stage in stages_of(LAYERS)] == [
        ((8, 16, 16), "Conv2d, 2 ReLU", 100), ((8, 4, 4), "Conv2d", 23), ((1,), "<script>", 1000),
    ]  # fmt: skip


def test_a_network_is_drawn_with_shapes_and_parameters_and_nothing_of_it_is_code() -> None:
    drawing = network_diagram("critic", LAYERS)
    said = texts(drawing)
    assert said[0] == "critic: 1,123 parameters"
    assert {"8 × 16 × 16", "8 × 4 × 4", "100 parameters", "<script>"} <= set(said)
    assert "<script" not in drawing
    first, second, _ = boxes(drawing)
    assert first[2] > second[2]  # large maps are wide


def test_boxes_of_a_flow_lie_inside_and_apart() -> None:
    flow = Flow("a flow", (Node(0, 0, "one"), Node(0, 1, "two"), Node(1, None, "three")), ((0, 2), (1, 2)))
    drawing = flow_diagram(flow)
    found = boxes(drawing)
    assert all(x >= 0 and x + wide <= WIDTH for x, _, wide, _ in found)
    for number, (x, y, wide, high) in enumerate(found):
        for other, above, broad, tall in found[:number]:
            assert x >= other + broad or other >= x + wide or y >= above + tall or above >= y + high


def meta_of(kind: str, model: str, **values: object) -> ModelMeta:
    known = {"kind": kind, "model": model, "network": {}, "shape": {"size": 16}, "modalities": ("flair",)}
    return ModelMeta.model_validate({**known, **values})


@pytest.mark.parametrize("model", [name for name in generators() if name != "auto"])
def test_every_generator_is_drawn_from_itself(model: str) -> None:
    gan = GanConfig.model_validate({**generators()[model][1].model_dump(), "width": 8, "critic_width": 8})
    tables = gan_summary(gan, ImageShape(16, 1, 1))
    shape = {"size": 16, "channels": 1, "labels": 1, "classes": 0}
    loss = "flow" if model == "flow" else gan.loss
    meta = meta_of("generator", model, network=gan.model_dump(mode="json"), shape=shape, loss=loss)
    drawn = diagrams(flow_of(meta, tables), tables)
    assert len(drawn) == (2 if model == "flow" else 3)
    whole = stacked(drawn)
    said = texts(whole)
    for name, layers in tables.items():
        if name != "combined":
            assert f"{name}: {sum(layer.parameters for layer in layers):,} parameters" in said
    assert ("noise z" if model == "flow" else "simulated slice z" if model == "phantom-gan" else "latent z") in said
    assert len(set(boxes(whole)[1:])) > 4
    narrow = [node for node in flow_of(meta, tables).nodes if node.column is not None]
    assert max(len(node.title) for node in narrow) <= 24  # wider than a box otherwise
    assert max(len(line) for node in narrow for line in node.lines) <= 29
    assert whole == stacked(diagrams(flow_of(meta, tables), tables))


def test_the_flow_is_drawn_as_its_loss_is_computed() -> None:
    """At t = 1 there is noise alone, and the velocity is noise less slice: see ``generators.flow.loss``."""
    data, noise = torch.full((1, 1, 1, 1), 2.0), torch.full((1, 1, 1, 1), 5.0)
    assert float(point_on_path(data, noise, torch.ones(1))) == 5.0
    assert float(velocity_loss(noise - data, data, noise)) == 0.0
    meta = meta_of("generator", "flow", loss="flow", network={"flow_steps": 8}, shape={"size": 16, "labels": 0})
    said = [text for node in flow_of(meta, {}).nodes for text in (node.title, *node.lines)]
    assert {"1 − t of x and t of z", "|velocity − (z − x)|² small"} <= set(said)


def test_detectors_end_in_a_mask_or_in_classes() -> None:
    segmenter = meta_of("segmenter", next(iter(SEGMENTERS)), targets=("tumour",), threshold=(0.5,))
    assert "mask" in [node.title for node in flow_of(segmenter, {"segmenter": LAYERS}).nodes]
    classifier = meta_of("classifier", "cnn", classes=("glioma & co", "no"))
    drawing = flow_diagram(flow_of(classifier, {"classifier": LAYERS}))
    assert "glioma & co, no" in texts(drawing)
