"""How much the studio takes."""

from __future__ import annotations

from dataclasses import dataclass

GIB = 2**30


@dataclass(frozen=True)
class Limits:
    """Bounds of what is sent.

    Attributes:
        upload_bytes: one upload, as it is sent and as it is unpacked.
        files: of one upload, those in ZIP files included.
        ratio: how many times larger a file of a ZIP may be than what is packed.
        depth: folders in folders.
        mask_bytes: a mask that was drawn.
        form_bytes: any other form.
    """

    upload_bytes: int = 16 * GIB
    files: int = 20_000
    ratio: int = 200
    depth: int = 8
    mask_bytes: int = 64 * 2**20
    form_bytes: int = 64 * 2**10
