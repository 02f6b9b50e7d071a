r"""The chain as Python functions: each is one command, and reads and writes artefacts only.

    files | phantom -> cohort -> (train) run -> (generate) cohort -> (evaluate) evaluation -> report
                          \-> (train) run -> (detect) masks, overlays, DICOM SEG
    cohort | scans -> (paint, remove) cohort: the same heads with another tumour, or with none
    cohort -> (plan) which synthetic cases to make -> (generate, paint) cohort
    cohorts -> (turing_make) blinded set -> readers' answers -> (turing_score) what these are worth
    cohort | findings -> (export) nnU-Net, MONAI, BIDS, COCO and the like

Stages talk through files only, so each can be made by hand, replaced, or run elsewhere.
"""

from synthoma.pipeline.chain import chain
from synthoma.pipeline.classification import inception
from synthoma.pipeline.demonstration import demo
from synthoma.pipeline.description import describe, diagram, report, verify
from synthoma.pipeline.detection import detect, judge, kind_of_model
from synthoma.pipeline.exporting import export
from synthoma.pipeline.generation import generate
from synthoma.pipeline.judgement import evaluate, evaluate_model, score_masks
from synthoma.pipeline.painting import paint, remove
from synthoma.pipeline.planning import plan
from synthoma.pipeline.preparation import prepare, prepare_phantom
from synthoma.pipeline.searching import search
from synthoma.pipeline.training import planned, train
from synthoma.pipeline.turing import turing_make, turing_score
from synthoma.pipeline.working import workers

__all__ = [
    "chain", "demo", "describe", "detect", "diagram", "evaluate", "evaluate_model", "export", "generate",
    "inception", "judge", "kind_of_model", "paint", "plan", "planned", "prepare", "prepare_phantom", "remove", "report",
    "score_masks", "search", "train", "turing_make", "turing_score", "verify", "workers",
]  # fmt: skip
