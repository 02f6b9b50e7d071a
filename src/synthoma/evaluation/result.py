"""What an evaluation is: typed, read and written here and nowhere else.

Each question describes its own part (``realistic.result`` and so on); names in the file that say too little have a
better one here.
"""

from __future__ import annotations

import sys
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from synthoma.core.artefacts import read_artefact
from synthoma.core.records import Number, OrEmpty, Record, known_settings
from synthoma.core.whole_files import write_json
from synthoma.evaluation.diverse.result import Twins
from synthoma.evaluation.private.result import Privacy
from synthoma.evaluation.readers.result import Readers
from synthoma.evaluation.realistic.result import (
    Agreement,
    Authenticity,
    ComparedNumber,
    Difference,
    Intensities,
    Repainted,
)
from synthoma.evaluation.score import Families, Score, Scores
from synthoma.evaluation.settings import EvaluateConfig, Preset, Thresholds, UtilityConfig
from synthoma.evaluation.useful.result import Utility

if TYPE_CHECKING:
    import pandas as pd

FILE = "evaluation.json"
SCHEMA = "synthoma.evaluation/3"

Question = Literal["realistic", "diverse", "private", "useful"]
State = Literal["GOOD", "FAIR", "POOR", "CANNOT TELL"]
STATES: tuple[State, ...] = ("GOOD", "FAIR", "POOR", "CANNOT TELL")
"""What a light can say, best first."""

COLOURS: dict[State, str] = {"GOOD": "#1a7f37", "FAIR": "#8a6100", "POOR": "#b42318", "CANNOT TELL": "#5f6670"}
"""Of the lights, dark enough to be read on white and light enough on black."""

VerdictWord = Literal["HARMS", "NO EVIDENCE", "CANNOT TELL", "HELPS"]


class Light(Record):
    """The answer to one of the four questions."""

    question: Question
    state: State
    figure: str = Field(description="word or figure that stands for it; empty where there is none")
    text: str = Field(description="what was found, without capital and full stop")


class Verdict(Record):
    """One word, and why."""

    word: VerdictWord
    because: str


class Rows(Record):
    """Where the slices that were compared stand in their cohorts."""

    training: tuple[int, ...] = Field(description="rows of the real cohort")
    held_out: tuple[int, ...] = Field(description="rows of the real cohort")
    synthetic: tuple[int, ...] = Field(description="rows of the synthetic cohort")


class Compared(Record):
    """What was compared with what."""

    modality: str
    training: int = Field(description="real slices that the generator could have seen")
    held_out: int = Field(description="real slices of other patients")
    synthetic: int = Field(description="synthetic slices that were looked at")
    of_synthetic: int = Field(description="synthetic slices that there are")
    training_groups: int = Field(description="patients or groups")
    held_out_groups: int
    synthetic_groups: int
    count: int = Field(description="slices on each side of every score")
    divisions: int = Field(description="real-against-real comparisons that scores stand beside; 0 without a null")
    blind: str = Field(default="", description="why there is no null; empty where there is one")
    rows: Rows


class Fidelity(Record):
    """What the lights of realism and diversity go by, and what explains it."""

    families: Families
    distinguished: Scores = Field(
        default_factory=dict,
        validation_alias="told_apart",
        serialization_alias="told_apart",
        description="AUC of a linear model and of a small network that tell synthetic from held-out slices",
    )
    what_differs: tuple[Difference, ...] = Field(default=(), description="named features, the farthest first")
    diversity: Scores = Field(default_factory=dict, description="likeness within the set, and clusters filled wrongly")
    twins: Twins | None = None
    frechet_radiomics: Score | None = Field(default=None, description="logarithm of the squared distance")
    authenticity: dict[str, Authenticity] = Field(default_factory=dict, description="by family of features")
    pairs: Repainted | None = Field(default=None, description="missing unless simulated slices were repainted")
    own: Scores = Field(default_factory=dict, description="scores that are plugged in; missing where there are none")


class ClassScores(Record, extra="allow"):
    """Scores within one class; further keys are families of features."""

    __pydantic_extra__: Families = Field(init=False)
    held_out: int = Field(description="real slices of the class")
    synthetic: int = Field(description="synthetic slices of the class")

    @property
    def families(self) -> Families:
        """Scores by family of features, and by name."""
        return self.__pydantic_extra__


class Judged(Record):
    """What one other division of the patients says of a question."""

    state: State
    ratio: Number = Field(description="largest distance or least overlap, over that of real patients")


class SplitJudged(Record):
    """What one other division of the patients says."""

    realistic: Judged
    diverse: Judged


class SplitSpread(Record):
    """What other divisions of the patients say of a question, together."""

    states: dict[State, int] = Field(description="how often each was found")
    low: Number = Field(description="least ratio; None where there is none")
    median: Number
    high: Number


class Splits(Record):
    """Realism and diversity judged again where chance holds out other patients."""

    asked: int = Field(description="divisions asked for")
    drawn_among: int = Field(description="patients or groups that the generator did not learn from")
    held_out: int = Field(description="of them, held out in each division")
    each: tuple[SplitJudged, ...] = Field(description="empty where the groups are too few")
    realistic: SplitSpread | None = Field(default=None, description="missing where ``each`` is empty")
    diverse: SplitSpread | None = Field(default=None, description="missing likewise")


class SelfTest(Record):
    """Which planted faults the scores noticed."""

    faults: dict[str, dict[str, dict[str, float]]] = Field(
        description="share of trials in which a score noticed, by fault, family and score"
    )
    n: int = Field(description="slices on each side")
    trials: int = Field(description="real-against-real comparisons that each fault was planted into")


class RealSource(Record):
    """The real cohort."""

    origin: str
    images_sha256: str


class TrainedOn(Record, extra="allow"):
    """What a generator learned from; patients are counted, not named."""

    slices: int | None = None
    groups: int | None = Field(default=None, description="patients or groups; None where its cohort does not say")


class SyntheticSource(Record, extra="allow"):
    """The synthetic cohort, and what it says of how it was made: anybody may have written that."""

    origin: str
    images_sha256: str
    source: object = Field(default=None, description="by what it was generated")
    model_sha256: object = Field(default=None, description="of the model's file")
    seed: object = None
    truncation: object = None
    kept_share: object = Field(default=None, description="share that the discriminator kept")
    trained_on: TrainedOn | None = None


class Provenance(Record):
    """What the scores depend on."""

    config: EvaluateConfig = Field(description="without paths, which are the user's own business")
    extractors: dict[str, str] = Field(description="version or SHA-256 of each family of features")
    real: RealSource
    synthetic: SyntheticSource
    software: dict[str, str] = Field(description="versions")


class Evidence(Record):
    """All that was measured: what lights and verdict are made from. Parts that were not asked for are missing."""

    version: Literal["synthoma.evaluation/3"] = Field(
        default="synthoma.evaluation/3", validation_alias="schema", serialization_alias="schema"
    )
    preset: Preset
    compared: Compared
    fidelity: Fidelity
    appearance: dict[str, ComparedNumber] = Field(default_factory=dict, description="how slices look, in numbers")
    tumours: dict[str, ComparedNumber] = Field(default_factory=dict, description="how tumours lie and look")
    classes: dict[str, ClassScores] = Field(default_factory=dict, description="empty with fewer than two classes")
    intensities: OrEmpty[Intensities] = None
    agreement: OrEmpty[Agreement] = Field(
        default=None, description="{} without masks, or where no detector was trained"
    )
    privacy: Privacy
    splits: OrEmpty[Splits] = Field(default=None, description="missing unless asked for")
    self_test: OrEmpty[SelfTest] = Field(default=None, description="missing unless asked for; {} without a null")
    utility: Utility | None = Field(default=None, description="missing where no detector was trained")


class Evaluation(Evidence):
    """The content of evaluation.json."""

    lights: tuple[Light, ...] = Field(description="one for each of the four questions")
    verdict: Verdict
    provenance: Provenance
    kept: int | None = Field(default=None, description="slices that were kept; missing unless asked for")
    readers: Readers | None = Field(default=None, description="what people said who looked; missing unless given")

    def light(self, question: Question) -> Light:
        """The answer to a question."""
        return next(light for light in self.lights if light.question == question)

    @property
    def scores(self) -> pd.DataFrame:
        """Every score that stands beside a null, a row each.

        Columns: family (of features; "all" of scores without), score, value, low, high (95 %, where asked for), null
        (median of real against other real patients), ratio, p, n (slices on each side).
        """
        import pandas as pd

        fidelity = self.fidelity
        families = {**fidelity.families, "distinguished": fidelity.distinguished, "within the set": fidelity.diversity,
                    "own": fidelity.own}  # fmt: skip
        rows = [
            {"family": family, "score": name, "value": one.value, "low": one.low, "high": one.high,
             "null": one.null_median, "ratio": one.ratio, "p": one.p, "n": one.n}
            for family, scores in families.items()
            for name, one in scores.items()
        ]  # fmt: skip
        columns = ["family", "score", "value", "low", "high", "null", "ratio", "p", "n"]
        return pd.DataFrame(rows, columns=columns)

    def show(self) -> None:
        """Print lights and verdict; a notebook shows them as a table by itself."""
        lights = [f"{light.question:<10} {light.state:<12} {light.text}" for light in self.lights]
        sys.stdout.write("\n".join([*lights, f"{self.verdict.word}: {self.verdict.because}", ""]))

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        rows = "".join(
            f'<tr><td>{light.question}</td><td style="color:{COLOURS[light.state]}"><b>{light.state}</b></td>'
            f'<td style="text-align:left">{escape(light.text)}</td></tr>'
            for light in self.lights
        )
        return f"<p><b>{self.verdict.word}</b>: {escape(self.verdict.because)}</p><table>{rows}</table>"


def read_evaluation(path: Path) -> Evaluation:
    """An evaluation from its file or folder, with checksums and schema compared.

    Raises:
        InputError: damaged, of a version that is not read, or incomplete.
    """
    file = path / FILE if path.is_dir() else path
    return Evaluation.parse(_migrated(read_artefact(file, SCHEMA)), file)


def write_evaluation(path: Path, evaluation: Evaluation) -> None:
    """Write evaluation.json so that it appears whole or not at all.

    Args:
        path: the file, or a folder.
        evaluation: what it shall hold.
    """
    write_json(path / FILE if path.is_dir() else path, evaluation.content())


def rows_to_keep(evaluation: Evaluation) -> list[int]:
    """Rows of the synthetic slices that were looked at and taken for no copies, whose masks fit, and no two twins.

    Of slices that are alike the first one stays. Real slices that have as many twins are no reason to keep them: what
    shows the same teaches a detector nothing new.
    """
    left_out = {*evaluation.privacy.quarantine, *(evaluation.agreement.rejected if evaluation.agreement else ())}
    twins = evaluation.fidelity.twins
    spare = set(twins.spare) if twins is not None else set()
    return [row for row in evaluation.compared.rows.synthetic if row not in left_out | spare]


def _migrated(content: dict[str, object]) -> dict[str, object]:
    """Content as this version writes it. Settings that are gone since are left out: nothing here goes by them."""
    provenance = content.get("provenance")
    config = provenance.get("config") if isinstance(provenance, dict) else None
    if not isinstance(provenance, dict) or not isinstance(config, dict):
        return content
    kept = known_settings(config, EvaluateConfig)
    for name, kind in (("thresholds", Thresholds), ("utility", UtilityConfig)):
        if isinstance(kept.get(name), dict):
            kept[name] = known_settings(kept[name], kind)
    return {**content, "provenance": {**provenance, "config": kept}}
