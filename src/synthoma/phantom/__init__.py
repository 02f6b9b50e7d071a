"""Simulated brain-tumour patients on the MNI152 template: anatomy, growth, contrast and scanner, exact masks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from synthoma.phantom.beside import Look, phantom_beside
    from synthoma.phantom.coarse import prepared_patient
    from synthoma.phantom.config import PhantomCohortConfig, PhantomConfig
    from synthoma.phantom.patient import Patient, phantom_cases, simulate
    from synthoma.phantom.stream import StreamConfig, address_of, is_address, stream_of, streamed_patient
    from synthoma.phantom.tissue import REGION_OF, Tissue, mask_of

_HOMES = {
    "Look": "beside",
    "Patient": "patient",
    "PhantomCohortConfig": "config",
    "PhantomConfig": "config",
    "REGION_OF": "tissue",
    "StreamConfig": "stream",
    "Tissue": "tissue",
    "address_of": "stream",
    "is_address": "stream",
    "mask_of": "tissue",
    "phantom_beside": "beside",
    "phantom_cases": "patient",
    "prepared_patient": "coarse",
    "simulate": "patient",
    "stream_of": "stream",
    "streamed_patient": "stream",
}
"""Where the names are."""

__all__ = [
    "REGION_OF",
    "Look",
    "Patient",
    "PhantomCohortConfig",
    "PhantomConfig",
    "StreamConfig",
    "Tissue",
    "address_of",
    "is_address",
    "mask_of",
    "phantom_beside",
    "phantom_cases",
    "prepared_patient",
    "simulate",
    "stream_of",
    "streamed_patient",
]


def __getattr__(name: str) -> Any:
    """Import on first use: settings are read by every command, and the simulator loads torch, which takes seconds."""
    from importlib import import_module

    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
