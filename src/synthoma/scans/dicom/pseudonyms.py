"""Identifiers of DICOM files as keyed hashes, and the words that stand for nobody."""

from __future__ import annotations

import re

from synthoma.core.pseudonyms import pseudonym

_NOBODY = frozenset(
    (
        *(
            "",
            "NA",
            "NONE",
            "NULL",
            "NIL",
            "ANON",
            "ANONYM",
            "ANONYMOUS",
            "ANONYME",
            "ANONYMIZED",
            "ANONYMISED",
            "ANONIMO",
        ),
        *(
            "ANONYMOUSPATIENT",
            "DEID",
            "DEIDENTIFIED",
            "UNKNOWN",
            "UNNAMED",
            "NOID",
            "NONAME",
            "NAME",
            "REMOVED",
            "REDACTED",
        ),
        *(
            "DELETED",
            "HIDDEN",
            "PATIENT",
            "PATIENTID",
            "ID",
            "TEST",
            "DEFAULT",
            "1234",
            "12345",
            "123456",
            "0",
            "00",
            "000",
        ),
    )
)
"""What stands in PatientID, in capitals and without signs, where it names nobody."""


def plane_name(instance: str, index: int, key: bytes) -> str:
    """Pseudonym of one frame of a file."""
    return pseudonym(f"{instance}/{index}", key)


def series_name(uid: str, key: bytes) -> str:
    """Pseudonym of a series."""
    return pseudonym(f"series/{uid}", key)


def frame_name(uid: str, key: bytes) -> str | None:
    """Pseudonym of a frame of reference; None where none is named."""
    return pseudonym(f"frame/{uid}", key) if uid else None


def is_nobody(patient: str) -> bool:
    """Whether a PatientID is a word that anonymisers write for everybody, so that it tells no patients apart."""
    bare = "".join(re.findall(r"\w", patient.upper().replace("_", "")))
    return bare in _NOBODY or set(bare) == {"X"}
