"""The legend of the tissue map: what each code stands for, and which codes belong to which tumour region."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from synthoma.core.tissues import HeadTissue
from synthoma.core.types import Bytes


class Tissue(IntEnum):
    """Codes of ``Patient.tissue``. Order matters: a tumour code is larger than every healthy one.

    A thick voxel takes the median of its sub-voxels' codes, so it is tumour exactly where most of them are.
    """

    AIR = 0
    SKIN = 1
    SCALP = 2  # subcutaneous fat, of scalp, face and nape
    SKULL = 3  # compact bone: inner and outer table, skull base, thin facial bones
    MARROW = 4  # diploe of the vault, marrow of clivus, zygoma, maxilla, mandible and vertebrae
    MUSCLE = 5
    FAT = 6  # orbital and deep facial fat
    MUCOSA = 7  # turbinates and lining of the sinuses
    VITREOUS = 8
    LENS = 9
    NERVE = 10  # optic nerve, spinal cord below the template
    GLAND = 11  # pituitary, lacrimal and parotid gland
    DURA = 12  # falx, tentorium, sclera
    ARTERY = 13  # flow void
    SINUS = 14  # dural venous sinuses
    CSF = 20
    VENTRICLE = 21
    CHOROID = 22
    GREY = 23
    DEEP_GREY = 24
    WHITE = 25
    LESION = 26  # white-matter lesion of vascular origin, not tumour
    CAVITY = 27  # after an operation, filled with fluid
    OEDEMA = 30  # oedema and infiltrated brain around the core
    CORE = 31  # solid tumour that does not enhance
    NECROSIS = 32
    CYST = 33
    BLOOD = 34  # subacute haemorrhage inside the tumour
    ENHANCING = 35


REGION_OF: dict[Tissue, int] = {
    Tissue.OEDEMA: 2,
    Tissue.CORE: 1,
    Tissue.NECROSIS: 1,
    Tissue.CYST: 1,
    Tissue.BLOOD: 1,
    Tissue.ENHANCING: 3,
}
"""Tissue code -> value of the mask as named in ``synthoma.core.types.REGIONS``; all other tissue is 0."""

HEAD_TISSUES: dict[HeadTissue, tuple[Tissue, ...]] = {
    HeadTissue.BACKGROUND: (Tissue.AIR,),
    HeadTissue.GREY: (Tissue.GREY, Tissue.DEEP_GREY),
    HeadTissue.WHITE: (Tissue.WHITE, Tissue.LESION),
    HeadTissue.VENTRICLE: (Tissue.VENTRICLE, Tissue.CHOROID),
    HeadTissue.FLUID: (Tissue.CSF, Tissue.CAVITY),
    HeadTissue.TUMOUR: tuple(REGION_OF),
    HeadTissue.EYE: (Tissue.VITREOUS, Tissue.LENS),
    HeadTissue.VESSEL: (Tissue.ARTERY, Tissue.SINUS),
}
"""Kinds of a tissue map -> codes; every other code is ``HeadTissue.HEAD``."""


def mask_of(tissue: Bytes) -> Bytes:
    """The tumour mask (values 0 to 3) of a tissue map of any shape."""
    table = np.zeros(256, np.uint8)
    for code, region in REGION_OF.items():
        table[code] = region
    return table[tissue]


def head_tissue_of(tissue: Bytes) -> Bytes:
    """The kinds that a tissue map of a scan tells apart (``core.tissues.HeadTissue``), of a map of codes."""
    table = np.full(256, HeadTissue.HEAD, np.uint8)
    for kind, codes in HEAD_TISSUES.items():
        table[list(codes)] = kind
    return table[tissue]
