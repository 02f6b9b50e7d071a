"""What flows where in a model: from its model file, the boxes and arrows of its diagram."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from synthoma.reports.diagrams import Flow, Node
from synthoma.training.layers import Layer
from synthoma.training.meta import ModelMeta

LOSSES = {
    "bce": ("−log D(x) − log(1 − D(G(z)))", "−log D(G(z))"),
    "bce-saturating": ("−log D(x) − log(1 − D(G(z)))", "log(1 − D(G(z)))"),
    "hinge": ("max(0, 1−D(x)) + max(0, 1+D(G(z)))", "−D(G(z))"),
    "wasserstein": ("D(G(z)) − D(x)", "−D(G(z))"),
    "equilibrium": ("|x − D(x)| − k |G(z) − D(G(z))|", "|G(z) − D(G(z))|"),
    "relativistic": ("softplus(D(G(z)) − D(x))", "softplus(D(x) − D(G(z)))"),
}
"""What D and G make small, see ``generators.gan.losses``: means over real slices x and over z, what is drawn from."""

Tables = Mapping[str, Sequence[Layer]]


def flow_of(meta: ModelMeta, tables: Tables) -> Flow:
    """How a model's data flow when it draws or detects, and when it learns.

    Args:
        meta: the model file's description.
        tables: layers of its networks by name.
    """
    if meta.kind != "generator":
        return _detector(meta, tables)
    if meta.loss == "flow":
        return _rectified_flow(meta, tables)
    if "discriminator" in tables:
        return _adversarial(meta, tables)
    if "encoder" in tables:
        return _autoencoder(meta, tables)
    made = Node(2, None, *_slice(meta, "drawn"))
    start, network = _source(meta), _network(1, None, "generator", tables)
    return Flow(f"How {meta.model} draws", (start, network, made), ((0, 1), (1, 2)))


def _adversarial(meta: ModelMeta, tables: Tables) -> Flow:
    """Left what is drawn, right what is real; both before the discriminator, whose outputs teach both."""
    patches = bool(meta.network.get("critic_patches"))
    says = "of many pieces: real or generated?" if patches else "real or generated?"
    critic = _network(3, None, "discriminator", tables, name="D, the discriminator", said=says)
    loss_d, loss_g = LOSSES.get(meta.loss, (f"loss “{meta.loss}”", f"loss “{meta.loss}”"))
    kept = meta.network.get("network") == "repaint"
    terms = ("and structure that changes",) if kept else ()
    title, lines = _slice(meta, "real", sign="x: ")
    nodes = (
        _source(meta, 0),
        Node(0, 1, "scans of the cohort", (f"{meta.provenance.trained_on.slices:,} training slices",)),
        _network(1, 0, "generator", tables, name="G, the generator"),
        Node(2, 0, *_slice(meta, "painted" if kept else "drawn", sign="G(z): ")),
        Node(2, 1, title, lines),
        critic,
        Node(4, 0, "G makes small", (loss_g, *terms), "loss"),
        Node(4, 1, "D makes small", _wrapped(loss_d), "loss"),
    )
    arrows = ((0, 2), (2, 3), (1, 4), (3, 5), (4, 5), (5, 6), (5, 7))
    return Flow(f"How {meta.model} learns", nodes, arrows)


def _autoencoder(meta: ModelMeta, tables: Tables) -> Flow:
    """Left how it learns, right how it draws; the decoder is the generator."""
    denoises = meta.network.get("network") == "dae"
    title, lines = _slice(meta, "real", sign="x: ")
    code = "of a density fitted to them" if denoises else "like normal numbers"
    nodes = (
        Node(0, 0, title, (*lines, "with noise") if denoises else lines),
        _network(1, 0, "encoder", tables),
        Node(2, 0, "code", (f"{meta.network.get('latent', '')} numbers,", code)),
        _source(meta, 1),
        _network(3, None, "generator", tables, name="generator, the decoder"),
        Node(4, 0, "to learn", ("|x − rebuilt x| small",), "loss"),
        Node(4, 1, *_slice(meta, "drawn")),
    )
    return Flow(f"How {meta.model} learns and draws", nodes, ((0, 1), (1, 2), (2, 4), (3, 4), (4, 5), (4, 6)))


def _rectified_flow(meta: ModelMeta, tables: Tables) -> Flow:
    steps = meta.network.get("flow_steps", "")
    title, lines = _slice(meta, "real", sign="x: ")
    mixed = Node(1, None, "1 − t of x and t of z", ("a point on the straight way from noise to slice",))
    nodes = (
        Node(0, 0, "noise z", _normal(meta)),
        Node(0, 1, title, lines),
        mixed,
        _network(2, None, "velocity", tables, name="velocity network", said="which way leads to the slice?"),
        Node(3, 0, "to learn", ("|velocity − (z − x)|² small",), "loss"),
        Node(3, 1, "to draw", (f"from z in {steps} steps", "to a new slice")),
    )
    return Flow(f"How {meta.model} learns", nodes, ((0, 2), (1, 2), (2, 3), (3, 4), (3, 5)))


def _detector(meta: ModelMeta, tables: Tables) -> Flow:
    size, context = meta.shape["size"], meta.network.get("context", 1)
    beside = f"{context} neighbouring slices, " if context != 1 else ""
    seen = Node(0, None, "slice of a scan", (f"{beside}{'+'.join(meta.modalities)}, {size} × {size}",))
    network = _network(1, None, meta.kind, tables, name=f"{meta.kind} ({meta.model})")
    if meta.kind == "classifier":
        said = Node(2, None, "probability of each class", (", ".join(meta.classes),))
        learned = Node(3, None, "to learn", ("cross-entropy with the true class, small",), "loss")
        return Flow(f"How {meta.model} works", (seen, network, said, learned), ((0, 1), (1, 2), (2, 3)))
    limits = ", ".join(f"{value:.2f}" for value in meta.threshold)
    nodes = (
        seen,
        network,
        Node(2, None, "map of probabilities", (", ".join(meta.targets), f"{size} × {size} each")),
        Node(3, 0, "mask", (f"above {limits}" if limits else "", "back on the scan's grid")),
        Node(3, 1, "to learn", ("overlap and pixels", "against the true mask"), "loss"),
    )
    return Flow(f"How {meta.model} works", nodes, ((0, 1), (1, 2), (2, 3), (2, 4)))


def _source(meta: ModelMeta, column: int | None = None) -> Node:
    """What a generator makes its images of."""
    if meta.network.get("network") == "repaint":
        return Node(0, column, "simulated slice z", ("and its exact mask", "and noise, its style"))
    return Node(0, column, "latent z", (*_normal(meta), *(("and a class",) if meta.shape.get("classes") else ())))


def _normal(meta: ModelMeta) -> tuple[str, ...]:
    if meta.loss == "flow":
        return ("one number a pixel, normal",)
    return (f"{meta.network.get('latent', '')} normal numbers".strip(),)


def _slice(meta: ModelMeta, what: str, sign: str = "") -> tuple[str, tuple[str, ...]]:
    """Title and lines of a box with a slice."""
    size, planes = meta.shape["size"], len(meta.modalities) + meta.shape.get("labels", 0)
    masks = " with mask" if meta.shape.get("labels") else ""
    return f"{what} slice{masks}", (f"{sign}{planes} × {size} × {size}",)


def _network(row: int, column: int | None, table: str, tables: Tables, *, name: str = "", said: str = "") -> Node:
    layers = tables.get(table, ())
    count = sum(layer.parameters for layer in layers)
    lines = (f"{count:,} parameters",) if layers else ()
    return Node(row, column, name or table, (*((said,) if said else ()), *lines), "network")


def _wrapped(formula: str, most: int = 27) -> tuple[str, ...]:
    """A formula in one line, or in two where it is long: cut at a sign between its terms."""
    if len(formula) <= most:
        return (formula,)
    places = [at for sign in (" − ", " + ") for at in _places(formula, sign)]
    if not places:
        return (formula,)
    cut = min(places, key=lambda at: abs(at - len(formula) / 2))
    return formula[:cut], formula[cut + 1 :]


def _places(text: str, sign: str) -> list[int]:
    """Where a sign stands outside of brackets."""
    return [
        at for at in range(len(text)) if text.startswith(sign, at) and text.count("(", 0, at) == text.count(")", 0, at)
    ]
