"""Simulated brain-tumour patients on the MNI152 template: anatomy, growth, contrast and scanner, exact masks."""

from synthoma.phantom.beside import Look, phantom_beside
from synthoma.phantom.coarse import prepared_patient
from synthoma.phantom.config import PhantomCohortConfig, PhantomConfig
from synthoma.phantom.patient import Patient, phantom_cases, simulate
from synthoma.phantom.stream import StreamConfig, address_of, is_address, stream_of, streamed_patient
from synthoma.phantom.tissue import REGION_OF, Tissue, mask_of

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
