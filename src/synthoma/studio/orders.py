"""What a form asks for, as the words of a command: each value is checked, and none can become an option."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from synthoma.cohorts.corrections import Correction, corrections_text, parsed_sequences
from synthoma.core.provenance import bytes_digest
from synthoma.core.untrusted import check_names, file_name
from synthoma.core.whole_files import write_text
from synthoma.exports.names import ABOUT
from synthoma.studio.places import Places
from synthoma.studio.refusal import RefusedError
from synthoma.studio.store import Kind

Form = Mapping[str, str]

SLICES = ("all", "tumour")
MODALITIES = ("flair", "t1", "t1c", "t2")
PLAIN = "image"
DESIGNS = ("single", "pairs")
LOBES = ("frontal", "temporal", "parietal", "occipital", "deep", "posterior fossa")
SIDES = ("left", "right")
GRADES = ("mixed", "low", "high")
FILES = ("png", "nifti", "dicom")
FIRST_LOOK = 12
"""Slices that are drawn to look at before many are."""
MOST_ROWS = 150
"""Cases that a form corrects one by one."""
PRESETS = ("quick", "standard", "full")
MODELS = (
    "auto", "phantom-gan", "wgan-gp", "dcgan", "relativistic", "flow", "unet-25d", "cnn",
)  # fmt: skip
"""Models that the form offers; the command line has them all."""


CONVENTION = re.compile(r"[A-Za-z0-9][\w=,. -]{0,200}")
"""What may stand for a convention; `prepare` says whether there is one of that name."""
SUM = re.compile(r"[\w,+ .()-]{1,200}")
"""What may stand for a sum of images or classes."""


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

    def prepare(self, form: Form, rest: Sequence[Correction] = ()) -> Order:
        """A cohort out of scans.

        Args:
            form: what is asked for, and what is corrected.
            rest: further corrections, of cases that have no line in the form.
        """
        source = self.places.find(form.get("at", ""))
        output = self._output(form, "cohort")
        corrections = [*corrections_of(form), *rest]
        more = [f"--corrections={kept(self.places.own, corrections)}"] if corrections else []
        words = ("prepare", str(source), f"--output={output}", *_common(form), *_understanding(form), *more)
        return Order("prepare", f"prepare {source.name}", words, output)

    def teach(self, form: Form, cases: Path, convention: str) -> Order:
        """A cohort of scans with masks that people found right.

        Args:
            form: what is asked for.
            cases: the folder that holds them.
            convention: what the values of the masks mean.
        """
        output = self._output(form, "corrected")
        words = (
            "prepare",
            str(cases),
            f"--output={output}",
            f"--convention={convention}",
            *_common(form),
            *_held(form),
        )
        return Order("prepare", f"prepare {cases.name}", words, output)

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
        if also := form.get("also"):
            words.append(f"--with={self.places.find(also)}")
        return Order("train", f"train {model} on {cohort.name}", tuple(words), output)

    def generate(self, form: Form) -> Order:
        """A synthetic cohort."""
        run = self.places.find(form.get("at", ""))
        count = _whole(form, "count", 1, 1_000_000)
        seed = _whole(form, "seed", 0, 2**31)
        if form.get("first"):
            count = min(count, FIRST_LOOK)
        output = self._output(form, "look-first" if form.get("first") else "synthetic")
        words = ["generate", str(run), f"--output={output}", "-n", str(count), f"--seed={seed}", *_drawn(form)]
        if nearest := form.get("nearest"):
            words.append(f"--nearest={self.places.find(nearest)}")
        return Order("generate", f"generate {count} from {run.name}", tuple(words), output)

    def export(self, form: Form) -> Order:
        """A cohort for another tool."""
        source, to = self.places.find(form.get("at", "")), _choice(form, "to", tuple(ABOUT))
        output = self._output(form, f"{source.name}-{to}")
        words = ("export", str(source), f"--to={to}", f"--output={output}")
        return Order("export", f"{source.name} as {to}", words, output)

    def turing(self, form: Form) -> Order:
        """A blinded set for readers."""
        real, synthetic = (self.places.find(form.get(name, "")) for name in ("real", "synthetic"))
        readers = [name.strip() for name in form.get("readers", "").split(",") if name.strip()]
        check_names(readers or [""], "readers", "the form")
        output = self._output(form, "blinded")
        words = [
            "turing", "make", str(real), str(synthetic), f"--output={output}", f"--readers={','.join(readers)}",
            f"--design={_choice(form, 'design', DESIGNS)}", f"--number={_whole(form, 'number', 4, 2000)}",
            f"--repeats={_real(form, 'repeats', 0, 100) / 100:g}", f"--pixels={_whole(form, 'pixels', 16, 2048)}",
            f"--seed={_whole(form, 'seed', 0, 2**31)}",
        ]  # fmt: skip
        if sequence := _choice(form, "sequence", ("", *MODALITIES)):
            words.append(f"--sequence={sequence}")
        return Order("turing", f"blinded set of {synthetic.name}", tuple(words), output)

    def score(self, blinded: Path, answers: list[Path], form: Form) -> Order:
        """What readers' answers to a blinded set are worth."""
        output = self._output(form, f"{blinded.name}-readers")
        words = ("turing", "score", str(blinded), *map(str, answers), f"--output={output}")
        return Order("turing", f"score readers of {blinded.name}", words, output)

    def paint(self, form: Form, place: str = "") -> Order:
        """Tumours put into scans or a cohort.

        Args:
            form: what is asked for.
            place: in the words of ``--place``; "" where the form's lobe and side count.
        """
        source = self.places.find(form.get("at", ""))
        output = self._output(form, "painted")
        words = ["paint", str(source), f"--output={output}", *dials_of(form, place)]
        words.append(f"--seed={_whole(form, 'seed', 0, 2**31)}")
        if form.get("copies") and (copies := _whole(form, "copies", 1, 1000)) > 1:
            words.append(f"--copies={copies}")
        if form.get("beside"):
            words.append("--beside")
        if shows := _choice(form, "shows", ("", *MODALITIES)):
            words.append(f"--shows={shows}")
        return Order("paint", f"paint tumours into {source.name}", tuple(words), output)

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
        if form.get("probabilities"):
            words.append("--probabilities")
        if form.get("threshold"):
            words.append(f"--threshold={_real(form, 'threshold', 0.001, 0.999):g}")
        if shows := _choice(form, "shows", ("", *MODALITIES)):
            words.append(f"--shows={shows}")
        return Order("detect", f"look for tumours in {scan.name}", tuple(words), output)


def corrections_of(form: Form) -> list[Correction]:
    """What a form corrects of what was understood: of all cases, and of some.

    Args:
        form: ``seq_t1`` and the like say what a sequence is in truth; ``case_7``, ``patient_7``, ``was_7`` (the patient
            as understood), ``out_7``, ``part_7`` and ``seqs_7`` are about one case.
    """
    sequences = {
        name: truth
        for name in (*MODALITIES, PLAIN)
        if (truth := _choice(form, f"seq_{name}", ("", *MODALITIES, PLAIN, "-"))) and truth != name
    }
    found = [Correction("*", sequences=sequences)] if sequences else []
    for row in range(MOST_ROWS):
        case = form.get(f"case_{row}", "")
        if not case:
            continue
        patient = form.get(f"patient_{row}", "").strip()[:200]
        one = Correction(
            case,
            "" if patient == form.get(f"was_{row}", "") else patient,
            "",
            _choice(form, f"part_{row}", ("", "train", "validation", "test")),
            bool(form.get(f"out_{row}")),
            parsed_sequences(form.get(f"seqs_{row}", ""), f"the line of {case[:80]}"),
        )
        if one != Correction(case):
            found.append(one)
    return found


def kept(own: Path, corrections: list[Correction]) -> Path:
    """The file of corrections, named by what it holds: no later form changes what a queued command will read."""
    text = corrections_text(corrections)
    folder = own / "corrections"
    folder.mkdir(exist_ok=True)
    path = folder / f"{bytes_digest(text.encode())[:16]}.csv"
    if not path.is_file():
        write_text(path, text)
    return path


def _understanding(form: Form) -> list[str]:
    """How masks are read, and how many patients are held out."""
    words = list[str]()
    if convention := form.get("convention", "").strip():
        if not CONVENTION.fullmatch(convention):
            raise _not_so("convention", "a name such as brats-2023, or 1=oedema,2=core,3=enhancing,")
        words.append(f"--convention={convention}")
    if form.get("merge"):
        words.append("--merge=whole-tumour")
    return [*words, *_held(form)]


def _held(form: Form) -> list[str]:
    """How many patients are held out; nothing where the form does not say."""
    if form.get("test"):
        test, validation = (_real(form, name, 0, 90) / 100 for name in ("test", "validation"))
        if test + validation >= 1:
            raise _not_so("test and validation", "less than 100 % together")
        return [f"--split={1 - test - validation:.4g},{validation:.4g},{test:.4g}"]
    return []


def dials_of(form: Form, place: str = "") -> list[str]:
    """The dials of a tumour as options; what is left to chance is left out.

    Args:
        form: ``ml`` where ``size_wanted``, ``contrast``, ``oedema`` where ``oedema_wanted``, ``grade``, and so on.
        place: in place of the form's lobe and side.
    """
    words = [f"--grade={_choice(form, 'grade', GRADES)}"]
    if form.get("size_wanted"):
        words.append(f"--size-ml={_real(form, 'ml', 0.5, 200):g}")
    words.append(f"--contrast={_real(form, 'contrast', 0.1, 2.5):g}")
    for name, high in (("oedema", 0.95), ("enhancing", 1.0)):
        if form.get(f"{name}_wanted"):
            words.append(f"--{name}={_real(form, name, 0, high):g}")
    named = " ".join(filter(None, (_choice(form, "side", ("", *SIDES)), _choice(form, "lobe", ("", *LOBES)))))
    if place or named:
        words.append(f"--place={place or named}")
    return words


def _drawn(form: Form) -> list[str]:
    """What images are to be like, and what is written beside them."""
    words = []
    if label := form.get("label", ""):
        check_names([label], "classes", "the form")
        words.append(f"--class={label}")
    if form.get("truncation") and (truncation := _real(form, "truncation", 0.05, 1)) < 1:
        words.append(f"--truncation={truncation:g}")
    if form.get("keep") and (keep := _real(form, "keep", 0.05, 1)) < 1:
        words.append(f"--reject-discriminator={keep:g}")
    if form.get("size_wanted"):
        words.append(f"--tumour-ml={_real(form, 'ml', 0.5, 200):g}")
    for name, choices in (("lobe", LOBES), ("side", SIDES)):
        if value := _choice(form, name, ("", *choices)):
            words.append(f"--tumour-{name}={value}")
    if form.get("interpolation"):
        words.append("--interpolation")
    if arithmetic := form.get("arithmetic", "").strip():
        if not SUM.fullmatch(arithmetic):
            raise _not_so("arithmetic", "a sum such as 12,15,18 - 3,4 + 7")
        words.append(f"--arithmetic={arithmetic}")
    if files := _choice(form, "files", ("", *FILES)):
        words.append(f"--export={files}")
    return words


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
