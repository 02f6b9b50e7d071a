"""What a tissue map of a head tells apart: one code for each kind, the same wherever such a map is made or read."""

from __future__ import annotations

from enum import IntEnum


class HeadTissue(IntEnum):
    """Values of a tissue map. Every place has exactly one."""

    BACKGROUND = 0  # air around the head and in its sinuses; what a stripped scan has cut away
    GREY = 1  # cortex and deep grey matter
    WHITE = 2  # white matter, its lesions of vascular origin too
    VENTRICLE = 3  # lateral, third and fourth ventricle with their plexus
    FLUID = 4  # cerebrospinal fluid around the brain and in its sulci
    TUMOUR = 5  # with its oedema; part of the brain
    HEAD = 6  # skull, meninges, scalp, muscle, fat, glands, mucosa
    EYE = 7  # globe and lens
    VESSEL = 8  # large arteries and venous sinuses


TISSUES: dict[int, str] = {
    HeadTissue.GREY: "grey matter",
    HeadTissue.WHITE: "white matter",
    HeadTissue.VENTRICLE: "ventricles",
    HeadTissue.FLUID: "outer fluid",
    HeadTissue.TUMOUR: "tumour",
    HeadTissue.HEAD: "skull and scalp",
    HeadTissue.EYE: "eyes",
    HeadTissue.VESSEL: "vessels",
}
"""Value -> name, of all that is not background."""

BRAIN = (HeadTissue.GREY, HeadTissue.WHITE, HeadTissue.VENTRICLE, HeadTissue.TUMOUR)
"""Kinds that are brain wherever they are; sulci between them belong to it too, see ``segmenters.tissues``."""
