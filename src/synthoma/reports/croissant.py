"""A synthetic cohort as catalogues of data sets read it: Croissant 1.0 (JSON-LD, MLCommons 2024)."""

from __future__ import annotations

from collections.abc import Mapping

from synthoma.cohorts.meta import CohortMeta
from synthoma.evaluation.result import Evaluation
from synthoma.reports.cards import NAME, NOT_CLINICAL, block_of, how_it_was_made, what_it_is
from synthoma.reports.wording import sentence

CONTEXT: dict[str, object] = {
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


def croissant(
    result: Evaluation,
    synthetic: CohortMeta,
    files: Mapping[str, str],
    columns: Mapping[str, str] = COLUMNS,
    *,
    name: str = NAME,
) -> dict[str, object]:
    """The synthetic cohort as Croissant 1.0: its files, and the columns of slices.csv. It belongs beside those files.

    Args:
        result: the evaluation.
        synthetic: what the synthetic cohort says of itself.
        files: name -> SHA-256.
        columns: name -> type of schema.org, of slices.csv.
        name: of the cohort.
    """
    reason = sentence(result.verdict.because)
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": name,
        "description": f"{what_it_is(synthetic)} Evaluation: {result.verdict.word}. {reason} {NOT_CLINICAL}",
        "version": _version(files),
        "isLiveDataset": False,
        "keywords": ["brain MRI", "tumour", "synthetic"],
        "rai:dataCollection": how_it_was_made(result),
        "rai:dataLimitations": list(block_of(result, "limits").items),
        "rai:personalSensitiveInformation": " ".join(block_of(result, "copies").text[:1]),
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


def _records(columns: Mapping[str, str]) -> dict[str, object]:
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
