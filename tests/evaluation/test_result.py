"""The record of an evaluation: read as written, refused where it is not one, and described by its schema."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from synthoma.core.errors import InputError
from synthoma.core.whole_files import write_json
from synthoma.evaluation.result import Evaluation, read_evaluation, rows_to_keep, write_evaluation
from tests.evaluation.examples import small_evaluation

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "docs" / "schemas" / "evaluation.schema.json"


def fits(value: Any, schema: dict[str, Any], defined: dict[str, Any]) -> bool:
    """Whether JSON is what a schema says, by the words that the schema of an evaluation uses."""
    if "$ref" in schema:
        return fits(value, defined[schema["$ref"].rsplit("/", 1)[1]], defined)
    if "anyOf" in schema:
        return any(fits(value, one, defined) for one in schema["anyOf"])
    if "const" in schema or "enum" in schema:
        return value in schema.get("enum", [schema.get("const")])
    kinds: dict[str, tuple[type, ...]] = {
        "object": (dict,), "array": (list,), "string": (str,), "integer": (int,), "number": (int, float),
        "boolean": (bool,), "null": (type(None),),
    }  # fmt: skip
    if "type" in schema and not isinstance(value, kinds[schema["type"]]):
        return False
    if isinstance(value, list):
        each = schema.get("prefixItems", [schema.get("items", {})] * len(value))
        return all(fits(one, part, defined) for one, part in zip(value, each, strict=True))
    if isinstance(value, dict):
        known, more = schema.get("properties", {}), schema.get("additionalProperties", True)
        others = [one for name, one in value.items() if name not in known]
        return (
            set(schema.get("required", [])) <= set(value)
            and len(value) <= schema.get("maxProperties", len(value))
            and all(fits(one, known[name], defined) for name, one in value.items() if name in known)
            and (not others if more is False else more is True or all(fits(one, more, defined) for one in others))
        )
    return True


@pytest.mark.slow
def test_the_schema_is_that_of_the_code() -> None:
    script = ROOT / "tools" / "schemas.py"
    assert subprocess.run([sys.executable, str(script), "--check"], check=False).returncode == 0, f"run {script.name}"


def test_an_evaluation_fits_the_schema_and_a_damaged_one_does_not() -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    content = small_evaluation().content()
    assert fits(content, schema, schema["$defs"])
    assert fits(content | {"agreement": {}}, schema, schema["$defs"])
    for other in (
        {key: value for key, value in content.items() if key != "verdict"},
        content | {"agreement": {"gap": 0.1}},
        content | {"verdict": {"word": "PERHAPS", "because": ""}},
        content | {"unheard_of": 1},
    ):
        assert not fits(other, schema, schema["$defs"])


def test_what_was_not_given_is_not_written(tmp_path: Path) -> None:
    write_evaluation(tmp_path, small_evaluation())
    content = json.loads((tmp_path / "evaluation.json").read_text(encoding="utf-8"))
    assert not {"utility", "splits", "kept", "self_test"} & set(content)
    assert "low" not in content["fidelity"]["families"]["wavelet"]["kid"]
    assert read_evaluation(tmp_path) == small_evaluation()


def test_names_in_the_file_stay_what_they_were(tmp_path: Path) -> None:
    content = small_evaluation().content()
    content["fidelity"]["told_apart"] = {"linear": content["fidelity"]["families"]["wavelet"]["kid"]}
    content |= {"agreement": {}, "self_test": {}}
    write_json(tmp_path / "evaluation.json", content)
    found = read_evaluation(tmp_path)
    assert (found.agreement, found.self_test) == (None, None)
    assert found.fidelity.distinguished["linear"].p == 0.75
    assert found.content() == content


def test_settings_that_are_gone_are_no_reason_to_refuse(tmp_path: Path) -> None:
    content = small_evaluation().content()
    content["provenance"]["config"] |= {"extractor": "mine.py", "thresholds": {"alpha": 0.01, "gone": 3}}
    write_json(tmp_path / "evaluation.json", content)
    assert read_evaluation(tmp_path).provenance.config.thresholds.alpha == 0.01


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"schema": "synthoma.evaluation/2"}, "make it again with this version"),
        ({"verdict": {"word": "PERHAPS", "because": ""}}, r"verdict\.word"),
        ({"compared": {}}, r"compared\.modality: Field required"),
    ],
)
def test_what_is_no_evaluation_is_refused_by_name(tmp_path: Path, change: dict[str, Any], complaint: str) -> None:
    write_json(tmp_path / "evaluation.json", small_evaluation().content() | change)
    with pytest.raises(InputError, match=complaint):
        read_evaluation(tmp_path)


def test_copies_and_masks_that_do_not_fit_are_not_kept() -> None:
    made = small_evaluation().content()
    made["compared"]["rows"]["synthetic"] = [0, 2, 4, 6]
    made["privacy"]["quarantine"] = [2]
    side = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 4}
    made["agreement"] = {"real": side, "synthetic": side, "gap": 0.0, "rejected": [6], "rejected_share": 0.25}
    assert rows_to_keep(Evaluation.parse(made, Path("evaluation.json"))) == [0, 4]
