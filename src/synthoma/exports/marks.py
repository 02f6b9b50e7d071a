"""What exported files say of themselves: above all, that no patient was imaged, where none was."""

from __future__ import annotations

from synthoma._version import __version__
from synthoma.cohorts.cohort import Cohort
from synthoma.cohorts.leaks import patients_behind
from synthoma.scans.parents import PARENT
from synthoma.scans.synthetic_marks import NOT_A_PATIENT

NOTICE = f"{NOT_A_PATIENT} - NOT FOR DIAGNOSIS"
REAL = "Prepared scan, cropped and rescaled: for research, not for diagnosis"
FOUND = "Synthoma: found by a model, research only, not for clinical use"
MODEL = "Synthoma: a trained model, research only, not a medical device, not for clinical use"


def mark(cohort: Cohort) -> str:
    """The sentence that each file of a cohort carries: of scans of patients never that they are synthetic."""
    return REAL if cohort.origin == "real" else NOTICE


def facts(cohort: Cohort, row: int) -> dict[str, str]:
    """What each file says of itself."""
    made = cohort.meta.provenance
    known = {"Model": made.model_sha256, "Seed": made.seed, "Truncation": made.truncation}
    return {
        "Notice": mark(cohort),
        "Software": f"synthoma {__version__}",
        "Origin": cohort.origin,
        "Case": str(cohort.slices["case"].iat[row]),
        "Class": str(cohort.slices["label"].iat[row]),
        **{name: str(value) for name, value in known.items() if value is not None},
        **_parent(cohort, row),
    }


def _parent(cohort: Cohort, row: int) -> dict[str, str]:
    """Whose scan a painted slice was: who reads the file again may not take it for somebody else's."""
    names = (str(cohort.slices[column].iat[row]) for column in ("patient", "group"))
    known = patients_behind(cohort, simulated=True) if cohort.origin == "synthetic" else frozenset()
    return next(({PARENT: name} for name in names if name in known), {})
