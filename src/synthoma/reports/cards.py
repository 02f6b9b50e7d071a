"""Cards of a synthetic cohort and of the model behind it, and the cohort's description for catalogues of data sets.

The cards are those of the Hugging Face Hub (Mitchell et al. 2019, "Model cards for model reporting"): front matter that
machines read, then sections for people. Catalogues read Croissant 1.0 (JSON-LD, MLCommons 2024).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from synthoma._version import __version__
from synthoma.reports.blocks import Block, Result
from synthoma.reports.evaluation_content import compared_sentence, sections
from synthoma.reports.evaluation_text import block_lines, escaped, lights_table, table, verdict_line
from synthoma.reports.settings_blocks import learned_from, provenance_rows
from synthoma.reports.utility_blocks import decisive, worth_sentence
from synthoma.reports.wording import gain, sentence

NAME = "synthetic-brain-mri"
NOT_MEASURED = "not measured"
NOT_CLINICAL = (
    "Not for clinical use. These images show no person. Neither they nor what is trained on them may guide a diagnosis "
    "or a treatment."
)
LICENCE = (
    "The licence is the owner's to choose, within what the licence and the consent of the scans behind these images "
    "allow."
)

CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The terms of Croissant 1.0."""

FORMATS = {
    "cohort.json": ("application/json", "what the cohort is: origin, modalities, labels, size, provenance"),
    "slices.csv": ("text/csv", "one row a slice, in the order of the arrays"),
    "images.npy": ("application/x-npy", "float16 (slices, modalities, size, size); 0 is background"),
    "masks.npy": ("application/x-npy", "uint8 (slices, size, size); 0 is no tumour, 4 a cavity"),
}
COLUMNS = {
    "case": "sc:Text",
    "group": "sc:Text",
    "split": "sc:Text",
    "label": "sc:Text",
    "tumour_pixels": "sc:Integer",
}
"""Columns of slices.csv that every synthetic cohort has."""

MEANINGS = {
    "case": "the study",
    "slice": "number of the slice in it",
    "patient": "what tells patients apart; empty for generated slices",
    "group": "what no split separates",
    "split": "train, validation or test",
    "label": "class of the slice",
    "tumour_pixels": "pixels of tumour in the mask",
    "repaints": "case and slice of the simulated slice that was repainted",
    "has_mask": "whether a mask belongs to the slice",
}


def dataset_card(result: Result, synthetic_meta: Mapping[str, Any], *, name: str = NAME) -> str:
    """The card of the synthetic cohort, as Markdown.

    Args:
        result: content of evaluation.json.
        synthetic_meta: content of the synthetic cohort's cohort.json.
        name: of the cohort.
    """
    front = {
        "pretty_name": name,
        "license": "unknown",
        "task_categories": _tasks(synthetic_meta),
        "size_categories": [_size(int(synthetic_meta["slices"]))],
        "tags": ["medical", "mri", "brain", "tumour", "synthetic", "not-for-clinical-use"],
    }
    parts = [
        _front_matter(front),
        f"# {escaped(name)}",
        f"**{NOT_CLINICAL}**",
        "## What it is",
        escaped(_what(synthetic_meta)),
        "## How it was made",
        escaped(_how(result)),
        _facts(result),
        "## What was measured",
        escaped(compared_sentence(result)),
        verdict_line(result),
        lights_table(result),
        *_findings(result),
        "## Scorecard",
        "The seven headings of the scorecard for synthetic medical data of the FDA's researchers (Zamzmi et al. 2025), "
        "filled from what was measured here.",
        table(
            ("heading", "what it asks", "what was measured"), scorecard(result, synthetic_meta), frozenset({0, 1, 2})
        ),
        "## Privacy",
        *block_lines(_block(result, "copies")),
        "## Limits",
        *block_lines(_block(result, "limits")),
        "## Licence",
        LICENCE,
    ]
    return "\n\n".join(parts) + "\n"


def scorecard(result: Result, synthetic_meta: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The seven headings of Zamzmi et al. (2025), "Scorecard for synthetic medical data evaluation", as measured.

    Args:
        result: content of evaluation.json.
        synthetic_meta: content of the synthetic cohort's cohort.json.

    Returns:
        Heading, question and answer, "not measured" where it was not.
    """
    fidelity, compared = result["fidelity"], result["compared"]
    lights = {light["question"]: f"{light['state']}: {light['text']}" for light in result["lights"]}
    reached = [
        f"{score} {scores[score]['value']:.2f} ({family})"
        for family, scores in fidelity["families"].items()
        for score in ("recall", "coverage")
        if scores[score]["value"] is not None
    ]
    agreement, tumours = result.get("agreement") or {}, result.get("tumours") or {}
    limits = []
    if agreement:
        limits.append(
            f"masks: Dice {agreement['synthetic']['value']:.2f} with a detector of real scans "
            f"({agreement['real']['value']:.2f} of real masks)"
        )
    limits += [
        f"{name} of tumours {entry['ratio']:.1f} times what other patients score"
        for name, entry in tumours.items()
        if entry["ratio"] is not None
    ]
    labels = ", ".join(map(str, synthetic_meta["labels"].values())) or "none"
    have = (
        f"sequences {', '.join(synthetic_meta['modalities'])}; classes {', '.join(synthetic_meta['classes'])}; masks: "
        f"{labels}; {int(synthetic_meta['slices']):,} slices"
    )
    splits = result.get("splits") or {}
    spread = NOT_MEASURED
    if splits.get("each"):
        spread = f"over {len(splits['each'])} other divisions of the patients: " + "; ".join(
            f"{question} {', '.join(f'{state} {count}' for state, count in splits[question]['states'].items())}"
            for question in ("realistic", "diverse")
        )
    elif result.get("classes"):
        spread = f"scores within each class are in the report, of {', '.join(result['classes'])}"
    told = f"named features in which it differs are in the report, of {compared['count']:,} slices a side"
    return [
        ("Congruence", "is it distributed as real data are?", lights["realistic"]),
        ("Coverage", "does it reach the variety of real data?", f"{lights['diverse']}; {', '.join(reached)}"),
        ("Constraint", "does it keep to anatomy and physics?", "; ".join(limits) or NOT_MEASURED),
        ("Completeness", "does it hold all that a task needs?", have),
        ("Compliance", "does it respect privacy and rules?", f"{lights['private']}; law and consent: {NOT_MEASURED}"),
        ("Comprehension", "can one see how it was made and where it fails?", f"made and measured as said here; {told}"),
        ("Consistency", "does the answer hold for parts and repeats?", spread),
    ]


def model_card(result: Result, synthetic_meta: Mapping[str, Any]) -> str | None:
    """The card of the generator that made the cohort, as Markdown; None where the cohort names no model.

    Args:
        result: content of evaluation.json.
        synthetic_meta: content of the synthetic cohort's cohort.json.
    """
    made = result["provenance"]["synthetic"]
    if not made.get("model_sha256"):
        return None
    name = str(made.get("source") or "a generator").removeprefix("generated by ")
    front = {
        "license": "unknown",
        "pipeline_tag": "unconditional-image-generation",
        "tags": ["medical", "mri", "brain", "generative", "not-for-clinical-use"],
    }
    trained = learned_from(made)
    parts = [
        _front_matter(front),
        f"# {escaped(name)}",
        f"**{NOT_CLINICAL}**",
        "## What it is",
        escaped(
            f"A generator of {synthetic_meta['size']} px slices ({', '.join(synthetic_meta['modalities'])})"
            + (" with masks" if synthetic_meta["labels"] else "")
            + (f", trained on {trained}" if trained else "")
            + f". SHA-256 of its file: {made['model_sha256']}."
        ),
        "## What it is for",
        "Research on detectors of brain tumours: filling up training sets, and rehearsing methods where scans cannot "
        "be shared.",
        "## What was measured",
        "One cohort that it made was evaluated; another seed gives another cohort, and these figures are of this one.",
        escaped(compared_sentence(result)),
        verdict_line(result),
        lights_table(result),
        *_findings(result),
        "## Privacy",
        "A model may hold more of its training scans than the samples that were looked at show. Sharing the model is "
        "another decision than sharing the cohort.",
        *block_lines(_block(result, "copies")),
        "## Limits",
        *block_lines(_block(result, "limits")),
        "## Licence",
        LICENCE,
    ]
    return "\n\n".join(parts) + "\n"


def croissant(
    result: Result,
    synthetic_meta: Mapping[str, Any],
    files: Mapping[str, str],
    columns: Mapping[str, str] = COLUMNS,
    *,
    name: str = NAME,
) -> dict[str, Any]:
    """The synthetic cohort as Croissant 1.0: its files, and the columns of slices.csv. It belongs beside those files.

    Args:
        result: content of evaluation.json.
        synthetic_meta: content of the synthetic cohort's cohort.json.
        files: name -> SHA-256.
        columns: name -> type of schema.org, of slices.csv.
        name: of the cohort.
    """
    reason = sentence(result["verdict"]["because"])
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": name,
        "description": f"{_what(synthetic_meta)} Evaluation: {result['verdict']['word']}. {reason} {NOT_CLINICAL}",
        "version": _version(files),
        "isLiveDataset": False,
        "keywords": ["brain MRI", "tumour", "synthetic"],
        "rai:dataCollection": _how(result),
        "rai:dataLimitations": list(_block(result, "limits").items),
        "rai:personalSensitiveInformation": " ".join(_block(result, "copies").text[:1]),
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": file,
                "name": file,
                "description": FORMATS.get(file, ("", file))[1],
                "contentUrl": file,
                "encodingFormat": FORMATS.get(file, ("application/octet-stream", ""))[0],
                "sha256": digest,
            }
            for file, digest in files.items()
        ],
        "recordSet": [_records(columns)],
    }


def _records(columns: Mapping[str, str]) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": "slices",
        "name": "slices",
        "description": "One row a slice, in the order of images.npy and masks.npy.",
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"slices/{column}",
                "name": column,
                "description": MEANINGS.get(column, column.replace("_", " ")),
                "dataType": kind,
                "source": {"fileObject": {"@id": "slices.csv"}, "extract": {"column": column}},
            }
            for column, kind in columns.items()
        ],
    }


def _version(files: Mapping[str, str]) -> str:
    """A version that changes with the images: the first figures of their hash as a build of 1.0.0."""
    return f"1.0.0+{files['images.npy'][:12]}" if "images.npy" in files else "1.0.0"


def _what(meta: Mapping[str, Any]) -> str:
    masks = ", ".join(meta["labels"].values())
    return (
        f"{int(meta['slices']):,} {meta['origin']} {meta.get('plane', 'axial')} slices of brain MRI "
        f"({', '.join(meta['modalities'])}), {meta['size']} x {meta['size']} px, of the classes "
        f"{', '.join(meta['classes'])}; " + (f"with masks ({masks})." if masks else "without masks.")
    )


def _how(result: Result) -> str:
    made = result["provenance"]["synthetic"]
    source = made.get("source") or "a tool that does not say"
    trained = learned_from(made)
    learned = f" The generator learned from {trained}; it was evaluated on others." if trained else ""
    return f"{sentence(str(source))}{learned} Described by Synthoma {__version__}."


def _facts(result: Result) -> str:
    return table(("", ""), provenance_rows(result), frozenset({0, 1}))


def _findings(result: Result) -> list[str]:
    """The headline of usefulness, where it was tested."""
    best, utility = decisive(result.get("utility")), result.get("utility") or {}
    if best is None:
        return ["Whether it helps a detector was not tested."]
    found = (
        f"{sentence(utility['endpoint'])[:-1]} of the best mixture of real and synthetic scans against real scans "
        f"duplicated to the same count: {gain(best)}, over {utility['held_out_patients']:,} patients."
    )
    worth = [worth_sentence(utility["worth"])] if utility.get("worth") else []
    return [escaped(text) for text in (found, *worth)]


def _block(result: Result, key: str) -> Block:
    return next(block for section in sections(result) for block in section.blocks if block.key == key)


def _tasks(meta: Mapping[str, Any]) -> list[str]:
    tasks = ["image-segmentation"] if meta["labels"] else []
    return [*tasks, "image-classification"] if len(meta["classes"]) > 1 else tasks or ["unconditional-image-generation"]


def _size(count: int) -> str:
    """The Hub's word for a number of rows."""
    edges = [(1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M")]
    return next((word for edge, word in edges if count < edge), "n>1M")


def _front_matter(values: Mapping[str, str | Sequence[str]]) -> str:
    """YAML of texts and lists of texts; JSON's quotes are YAML's."""
    lines = []
    for key, value in values.items():
        if isinstance(value, str):
            lines.append(f"{key}: {json.dumps(value, ensure_ascii=False)}")
        else:
            lines += [f"{key}:", *(f"- {json.dumps(item, ensure_ascii=False)}" for item in value)]
    return "\n".join(["---", *lines, "---"])
