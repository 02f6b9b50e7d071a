"""Writes docs/schemas/*.schema.json: what each artefact's JSON holds, made from the records in the code.

python tools/schemas.py            writes them
python tools/schemas.py --check    exit code 1 where one that is there is not what the code says
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from synthoma.cohorts.meta import CohortMeta
from synthoma.core.records import Record
from synthoma.detection.change_records import Changes
from synthoma.detection.result import Detection
from synthoma.detection.scan_findings import ScanFindings
from synthoma.detection.view import View
from synthoma.evaluation.heldout.result import ModelScores
from synthoma.evaluation.readers.blinded import TuringKey, TuringSet
from synthoma.evaluation.readers.result import Readers
from synthoma.evaluation.result import Evaluation
from synthoma.exports.forms import Export
from synthoma.exports.preprocessing import Preprocessing
from synthoma.masks.result import Scores
from synthoma.planning.result import Plan
from synthoma.training.log import LogEntry
from synthoma.training.meta import ModelMeta
from synthoma.training.runs import RunMeta
from synthoma.training.search_file import SearchMeta

PLACE = Path(__file__).resolve().parents[1] / "docs" / "schemas"

ARTEFACTS: dict[str, type[Record]] = {
    "cohort": CohortMeta,
    "changes": Changes,
    "detection": Detection,
    "evaluation": Evaluation,
    "export": Export,
    "preprocessing": Preprocessing,
    "log": LogEntry,
    "model": ModelMeta,
    "run": RunMeta,
    "findings": ScanFindings,
    "scores": Scores,
    "search": SearchMeta,
    "plan": Plan,
    "model_scores": ModelScores,
    "view": View,
    "turing_set": TuringSet,
    "turing_key": TuringKey,
    "readers": Readers,
}
"""Name of the file -> what it holds; a line for each artefact."""


def text(name: str, record: type[Record]) -> str:
    """The JSON Schema of one artefact."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"{name}.json of Synthoma",
        **{key: value for key, value in record.model_json_schema().items() if key != "title"},
    }
    return json.dumps(schema, indent=1, ensure_ascii=True) + "\n"


def main() -> int:
    """Write the schemas, or compare them."""
    wanted = {PLACE / f"{name}.schema.json": text(name, record) for name, record in ARTEFACTS.items()}
    if "--check" in sys.argv[1:]:
        return int(any(not path.is_file() or path.read_text(encoding="utf-8") != one for path, one in wanted.items()))
    PLACE.mkdir(exist_ok=True)
    for path, one in wanted.items():
        path.write_text(one, encoding="utf-8")
        print(path.relative_to(PLACE.parents[1]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
