"""What a trained classifier says of the slices of a cohort."""

from __future__ import annotations

import numpy as np
import torch

from synthoma.data.cohort import Cohort
from synthoma.data.labelled import LabelledSlices
from synthoma.models.bundle import Bundle
from synthoma.models.classifiers import ClassifierNetwork, build_classifier
from synthoma.models.segmenters import as_input
from synthoma.types import Floats

BATCH = 32


def class_probabilities(bundle: Bundle, cohort: Cohort) -> Floats:
    """Probability of each class of the model for each slice of a cohort, (N, classes).

    Raises:
        InputError: a cohort without any of the model's modalities.
    """
    meta = bundle.meta
    settings = ClassifierNetwork.model_validate(meta["network"])
    network = build_classifier(settings, meta["shape"]["size"], meta["shape"]["channels"], len(meta["classes"]))
    network.load_state_dict(bundle.weights("classifier"))
    network.eval()
    rows = np.arange(len(cohort))
    slices = LabelledSlices(cohort, rows, tuple(meta["modalities"]), (), (settings.context, meta["step_mm"]))
    parts = []
    with torch.inference_mode():
        for start in range(0, len(rows), BATCH):
            images = as_input(slices.fetch(rows[start : start + BATCH]).images)
            parts.append(network(images).softmax(dim=1).double().numpy())
    return np.concatenate(parts)
