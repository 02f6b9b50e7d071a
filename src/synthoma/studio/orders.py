"""What a form asks for, as the words of a command: each value is checked, and none can become an option."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from synthoma.cohorts.corrections import Correction, corrections_text, parsed_sequences
from synthoma.core.provenance import bytes_digest
from synthoma.core.untrusted import check_names, file_name
from synthoma.core.whole_files import write_text
from synthoma.exports.names import ABOUT
from synthoma.studio.options import (
    DESIGNS,
    FIRST_LOOK,
    MODALITIES,
    MODELS,
    MOST_ROWS,
    PLAIN,
    PRESETS,
    Form,
    budget,
    choice_of,
    common,
    dials_of,
    drawn,
    held,
    real_of,
    understanding,
    whole_of,
)
from synthoma.studio.places import Places
from synthoma.studio.store import Kind


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
        words = ("prepare", str(source), f"--output={output}", *common(form), *understanding(form), *more)
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
            *common(form),
            *held(form),
        )
        return Order("prepare", f"prepare {cases.name}", words, output)

    def simulate(self, form: Form) -> Order:
        """A cohort of simulated patients."""
        patients = whole_of(form, "patients", 1, 1000)
        output = self._output(form, "phantom")
        words = ("prepare", f"--phantom={patients}", f"--output={output}", *common(form))
        return Order("prepare", f"simulate {patients} patients", words, output)

    def train(self, form: Form) -> Order:
        """A model trained on a cohort."""
        cohort = self.places.find(form.get("at", ""))
        model = choice_of(form, "model", MODELS)
        output = self._output(form, f"run-{model}")
        words = ["train", str(cohort), f"--output={output}", f"--model={model}", *budget(form)]
        if form.get("with_masks"):
            words.append("--with-masks")
        if form.get("snapshots"):
            words.append(f"--snapshots={whole_of(form, 'snapshots', 1, 1000)}")
        if form.get("width"):
            words.append(f"--set=gan.width={whole_of(form, 'width', 4, 512)}")
        if also := form.get("also"):
            words.append(f"--with={self.places.find(also)}")
        return Order("train", f"train {model} on {cohort.name}", tuple(words), output)

    def generate(self, form: Form) -> Order:
        """A synthetic cohort."""
        run = self.places.find(form.get("at", ""))
        count = whole_of(form, "count", 1, 1_000_000)
        seed = whole_of(form, "seed", 0, 2**31)
        if form.get("first"):
            count = min(count, FIRST_LOOK)
        output = self._output(form, "look-first" if form.get("first") else "synthetic")
        words = ["generate", str(run), f"--output={output}", "-n", str(count), f"--seed={seed}", *drawn(form)]
        if nearest := form.get("nearest"):
            words.append(f"--nearest={self.places.find(nearest)}")
        return Order("generate", f"generate {count} from {run.name}", tuple(words), output)

    def export(self, form: Form) -> Order:
        """A cohort for another tool."""
        source, to = self.places.find(form.get("at", "")), choice_of(form, "to", tuple(ABOUT))
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
            f"--design={choice_of(form, 'design', DESIGNS)}", f"--number={whole_of(form, 'number', 4, 2000)}",
            f"--repeats={real_of(form, 'repeats', 0, 100) / 100:g}", f"--pixels={whole_of(form, 'pixels', 16, 2048)}",
            f"--seed={whole_of(form, 'seed', 0, 2**31)}",
        ]  # fmt: skip
        if sequence := choice_of(form, "sequence", ("", *MODALITIES)):
            words.append(f"--sequence={sequence}")
        return Order("turing", f"blinded set of {synthetic.name}", tuple(words), output)

    def score(self, blinded: Path, answers: list[Path], form: Form) -> Order:
        """What readers' answers to a blinded set are worth."""
        output = self._output(form, f"{blinded.name}-readers")
        words = ("turing", "score", str(blinded), *map(str, answers), f"--output={output}")
        return Order("turing", f"score readers of {blinded.name}", words, output)

    def paint(self, form: Form, place: str = "", drawn: Path | None = None) -> Order:
        """Tumours put into scans or a cohort.

        Args:
            form: what is asked for.
            place: in the words of ``--place``; "" where the form's lobe and side count.
            drawn: file of a mask, whose place and size count in place of the form's.
        """
        if drawn is not None:
            form = {name: value for name, value in form.items() if name not in ("size_wanted", "lobe", "side")}
        source = self.places.find(form.get("at", ""))
        output = self._output(form, "painted")
        words = ["paint", str(source), f"--output={output}", *dials_of(form, place)]
        words.append(f"--seed={whole_of(form, 'seed', 0, 2**31)}")
        if form.get("copies") and (copies := whole_of(form, "copies", 1, 1000)) > 1:
            words.append(f"--copies={copies}")
        if form.get("beside"):
            words.append("--beside")
        if drawn is not None:
            words.append(f"--mask={drawn}")
        if shows := choice_of(form, "shows", ("", *MODALITIES)):
            words.append(f"--shows={shows}")
        return Order("paint", f"paint tumours into {source.name}", tuple(words), output)

    def evaluate(self, form: Form) -> Order:
        """A verdict."""
        real, synthetic = (self.places.find(form.get(name, "")) for name in ("real", "synthetic"))
        preset = choice_of(form, "preset", PRESETS)
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
            words.append(f"--threshold={real_of(form, 'threshold', 0.001, 0.999):g}")
        if shows := choice_of(form, "shows", ("", *MODALITIES)):
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
        if (truth := choice_of(form, f"seq_{name}", ("", *MODALITIES, PLAIN, "-"))) and truth != name
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
            choice_of(form, f"part_{row}", ("", "train", "validation", "test")),
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
