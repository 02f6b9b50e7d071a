"""What a form asks for, as the words of a command: each value is checked, and none can become an option."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from synthoma.core.untrusted import file_name
from synthoma.studio.places import Places
from synthoma.studio.refusal import RefusedError
from synthoma.studio.store import Kind

Form = Mapping[str, str]

SLICES = ("all", "tumour")
MODALITIES = ("flair", "t1", "t1c", "t2")
PRESETS = ("quick", "standard", "full")
MODELS = (
    "auto", "phantom-gan", "wgan-gp", "dcgan", "relativistic", "flow", "unet-25d", "cnn",
)  # fmt: skip
"""Models that the form offers; the command line has them all."""


@dataclass(frozen=True)
class Order:
    """A command to run.

    Attributes:
        kind: see there.
        title: what it is for.
        words: of the command line.
        output: what it writes; of a look, what is looked at.
    """

    kind: Kind
    title: str
    words: tuple[str, ...]
    output: Path | None = None


class Desk:
    """Makes orders out of forms.

    Args:
        places: what may be read, and where is written.
        taken: places that jobs will write.
    """

    def __init__(self, places: Places, taken: set[str]) -> None:
        self.places, self.taken = places, taken

    def _output(self, form: Form, otherwise: str) -> Path:
        return self.places.new(form.get("name", "").strip() or otherwise, self.taken)

    def look(self, at: str) -> Order:
        """What is understood of a folder of scans."""
        path = self.places.find(at)
        return Order("look", f"look at {path.name}", ("info", str(path)), path)

    def prepare(self, form: Form) -> Order:
        """A cohort out of scans."""
        source = self.places.find(form.get("at", ""))
        output = self._output(form, "cohort")
        words = ("prepare", str(source), f"--output={output}", *_common(form))
        return Order("prepare", f"prepare {source.name}", words, output)

    def simulate(self, form: Form) -> Order:
        """A cohort of simulated patients."""
        patients = _whole(form, "patients", 1, 1000)
        output = self._output(form, "phantom")
        words = ("prepare", f"--phantom={patients}", f"--output={output}", *_common(form))
        return Order("prepare", f"simulate {patients} patients", words, output)

    def train(self, form: Form) -> Order:
        """A model trained on a cohort."""
        cohort = self.places.find(form.get("at", ""))
        model = _choice(form, "model", MODELS)
        output = self._output(form, f"run-{model}")
        words = ["train", str(cohort), f"--output={output}", f"--model={model}", *_budget(form)]
        if form.get("with_masks"):
            words.append("--with-masks")
        if form.get("snapshots"):
            words.append(f"--snapshots={_whole(form, 'snapshots', 1, 1000)}")
        if form.get("width"):
            words.append(f"--set=gan.width={_whole(form, 'width', 4, 512)}")
        return Order("train", f"train {model} on {cohort.name}", tuple(words), output)

    def generate(self, form: Form) -> Order:
        """A synthetic cohort."""
        run = self.places.find(form.get("at", ""))
        count = _whole(form, "count", 1, 1_000_000)
        seed = _whole(form, "seed", 0, 2**31)
        output = self._output(form, "synthetic")
        words = ("generate", str(run), f"--output={output}", "-n", str(count), f"--seed={seed}")
        return Order("generate", f"generate {count} from {run.name}", words, output)

    def evaluate(self, form: Form) -> Order:
        """A verdict."""
        real, synthetic = (self.places.find(form.get(name, "")) for name in ("real", "synthetic"))
        preset = _choice(form, "preset", PRESETS)
        output = self._output(form, "verdict")
        words = ("evaluate", str(real), str(synthetic), f"--output={output}", f"--preset={preset}")
        return Order("evaluate", f"{preset} verdict on {synthetic.name}", words, output)

    def detect(self, form: Form) -> Order:
        """Tumours found in scans."""
        scan = self.places.find(form.get("at", ""))
        output = self._output(form, f"found-{file_name(scan.name.partition('.')[0], 30)}")
        words = ["detect", str(scan), f"--output={output}"]
        if model := form.get("model"):
            words.append(f"--model={self.places.find(model)}")
        if form.get("threshold"):
            words.append(f"--threshold={_real(form, 'threshold', 0.001, 0.999):g}")
        if shows := _choice(form, "shows", ("", *MODALITIES)):
            words.append(f"--shows={shows}")
        return Order("detect", f"look for tumours in {scan.name}", tuple(words), output)


def _common(form: Form) -> list[str]:
    """Settings of every cohort."""
    size = _whole(form, "size", 16, 512)
    words = [f"--size={size}", f"--slices={_choice(form, 'slices', SLICES)}", f"--every={_whole(form, 'every', 1, 99)}"]
    wanted = [name for name in MODALITIES if form.get(f"modality_{name}")]
    return [*words, f"--modalities={','.join(wanted)}"] if wanted else words


def _budget(form: Form) -> list[str]:
    """Minutes or images, exactly one of them."""
    if form.get("images"):
        return [f"--images={_whole(form, 'images', 1, 10**9)}"]
    return [f"--minutes={_real(form, 'minutes', 0.1, 525_600):g}"]


def _whole(form: Form, name: str, low: int, high: int) -> int:
    text = form.get(name, "").strip()
    if not (text.isascii() and text.isdigit() and len(text) < 12 and low <= int(text) <= high):
        raise _not_so(name, f"a whole number from {low:,} to {high:,}")
    return int(text)


def _real(form: Form, name: str, low: float, high: float) -> float:
    try:
        value = float(form.get(name, ""))
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise _not_so(name, f"a number from {low:g} to {high:g}")
    return value


def _choice(form: Form, name: str, choices: tuple[str, ...]) -> str:
    value = form.get(name, choices[0])
    if value not in choices:
        raise _not_so(name, f"one of {', '.join(filter(None, choices))}")
    return value


def _not_so(name: str, wanted: str) -> RefusedError:
    return RefusedError(422, f"{wanted} for {name}", "something else", "correct it in the form")
