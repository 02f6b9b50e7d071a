"""Simulated heads without tumour, as a cohort and as one volume."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import synthoma
from synthoma.cohorts.cohort import CohortWriter
from synthoma.cohorts.meta import CohortMeta
from synthoma.core.seeding import stream
from synthoma.core.types import REGIONS
from synthoma.painting.dials import Dials
from synthoma.painting.files import scan_of
from synthoma.painting.painters import paint_scan
from synthoma.painting.scan import Scan
from synthoma.phantom import PhantomConfig
from synthoma.phantom.patient import phantom_cases


@pytest.fixture(scope="session")
def head() -> Scan:
    """A whole simulated head, 2.5 mm in the plane."""
    config = PhantomConfig(healthy=1.0, slice_mm=6.0, pixel_mm=2.5, modalities=("t1", "t1c", "flair"), artefacts=0.0)
    return scan_of(phantom_cases(1, 3, config)[0].load())


@pytest.fixture(scope="session")
def simulated(head: Scan, tmp_path_factory: pytest.TempPathFactory) -> synthoma.Cohort:
    """Six patients with the head of one, each with noise of his own, three of them with a tumour, in all splits."""
    place: Path = tmp_path_factory.mktemp("painting") / "cohort"
    place.mkdir()
    names, size = ("t1", "flair"), 80
    rows, columns = (slice(max(0, (side - size) // 2), (side + size) // 2) for side in head.shape[1:])
    top = {name: float(np.percentile(head.images[name], 99.5)) for name in names}
    with CohortWriter(place, channels=2, size=size) as writer:
        for person, split in enumerate(("train", "train", "train", "train", "validation", "test")):
            noise = np.random.default_rng(person)
            images = {name: head.images[name] / top[name] for name in names}
            images = {name: image + 0.005 * noise.random(image.shape, np.float32) for name, image in images.items()}
            mask = np.zeros(head.shape, np.uint8)
            if person % 2:
                made = paint_scan(stream(person, "cohort"), Scan(images, head.spacing), Dials(size_ml=(9, 9)))
                images, mask = dict(made.images), made.mask
            stack = np.zeros((len(mask), 2, size, size), np.float32)
            seg = np.zeros((len(mask), size, size), np.uint8)
            high, wide = mask[0, rows, columns].shape
            cut = np.s_[:, :high, :wide]
            seg[cut] = mask[:, rows, columns]
            for at, name in enumerate(names):
                stack[:, at][cut] = images[name][:, rows, columns]
            records = [
                {
                    "case": f"p{person}", "patient": f"p{person}", "group": f"p{person}", "split": split, "slice": z,
                    "label": "tumour" if seg[z].any() else "healthy", "tumour_pixels": int((seg[z] > 0).sum()),
                    "pixel_mm": head.spacing[1], "step_mm": head.spacing[0],
                }
                for z in range(len(mask))
            ]  # fmt: skip
            writer.add(stack, seg, records)
        meta = CohortMeta(
            origin="phantom", modalities=names, labels={str(k): v for k, v in REGIONS.items()}, size=size,
            classes=("healthy", "tumour"), cases=6, patients=6, groups=6,
        )  # fmt: skip
        writer.finish(pd.DataFrame(writer.records), meta)
    return synthoma.Cohort(place)


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator that is the same in each test."""
    return np.random.default_rng(5)
