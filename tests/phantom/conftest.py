"""Patients shared by the tests of the phantom: simulated once, never changed."""

from __future__ import annotations

from functools import cache

from synthoma.phantom import Patient, PhantomConfig, simulate

SEED = 20260
THICK = PhantomConfig(slice_mm=5.0, pixel_mm=2.0, sites=3, artefacts=0.0)
CUBIC = PhantomConfig(slice_mm=3.0, pixel_mm=2.0, sites=3, artefacts=0.0, high_grade=1.0)


@cache
def patient(index: int, config: PhantomConfig = THICK, seed: int = SEED) -> Patient:
    return simulate(seed, index, config)
