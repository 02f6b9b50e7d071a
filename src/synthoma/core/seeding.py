"""Named random streams: every draw is a function of (seed, purpose, index), never of what was drawn before."""

from __future__ import annotations

import hashlib

import numpy as np


def stream_key(seed: int, purpose: str, *index: int) -> int:
    """128-bit key of a named stream: SHA-256 of seed, purpose and index.

    Two different purposes, or two indices, never share a stream; the order in which streams are opened does not
    matter, so work can be cut into shards or resumed without storing any random state.
    """
    # A separator that no name holds: without one, ("a", 11) and ("a1", 1) would be one stream.
    text = "\x1f".join([str(int(seed)), purpose, *(str(int(i)) for i in index)])
    # A hash, and not Python's own: that changes from process to process.
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")


def stream(seed: int, purpose: str, *index: int) -> np.random.Generator:
    """Random generator of one purpose, for example ``stream(7, "phantom.tumour", patient)``."""
    # PCG64 by name: what `default_rng` gives may change with a version of NumPy.
    return np.random.Generator(np.random.PCG64(stream_key(seed, purpose, *index)))
