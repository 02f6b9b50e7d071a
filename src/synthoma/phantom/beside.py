"""How patients must be simulated, and prepared, to stand beside a cohort of real ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from synthoma.cohorts.squares import FRAMED
from synthoma.core.types import MODALITIES, PLAIN_MODALITY, REGIONS, Plane
from synthoma.phantom.config import Lobe, PhantomCohortConfig, PhantomConfig, Side, Skull


@dataclass(frozen=True)
class Look:
    """What simulated slices must have in common with others.

    Attributes:
        modalities: sequences, in order.
        labels: what mask values mean; empty where there are no masks.
        size: side in pixels.
        plane: how they lie.
    """

    modalities: Sequence[str]
    labels: Mapping[str, str]
    size: int
    plane: Plane = "axial"


def phantom_beside(
    look: Look,
    prepared: Mapping[str, object],
    *,
    skull: Skull = "mixed",
    volume_ml: float = 45.0,
    volume_spread: float = 0.85,
    lobe: Lobe | None = None,
    side: Side | None = None,
    apart: bool = False,
) -> PhantomCohortConfig:
    """Settings of a phantom cohort with the modalities, labels, plane and size of a real one.

    Pixels are simulated at 1 mm however few the cohort has: a scanner's noise belongs to its own pixels, and coarser
    ones would bear more of it once they are resized. Sites are many, since few of them would be a look of their own.

    Args:
        look: of the real slices.
        prepared: the settings of ``prepare`` that made the cohort, as its provenance has them.
        skull: what heads it shows, see ``generators.phantomgan.matching.heads_of``.
        volume_ml: median volume of its tumours.
        volume_spread: how far their volumes spread, 0 for all alike.
        lobe: where all of them start; None for anywhere.
        side: the patient's side on which they start; None for either.
        apart: whether it holds single pictures, each cropped and normalised by itself.
    """
    modalities = tuple(look.modalities)
    plain = modalities == (PLAIN_MODALITY,)
    phantom = PhantomConfig(
        skull="stripped" if prepared.get("strip") else skull,
        volume_ml=volume_ml,
        volume_spread=volume_spread,
        lobe=lobe,
        side=side,
        modalities=MODALITIES if plain else modalities,
        plain=plain,
        sites=60,
        artefacts=0.3,
    )
    regions = set(REGIONS.values()) <= set(look.labels.values())
    framed = {name: prepared[name] for name in FRAMED if prepared.get(name) is not None}
    return PhantomCohortConfig.model_validate(
        {
            **framed,
            "modalities": modalities,
            "size": look.size,
            "plane": look.plane,
            "apart": apart,
            "merge": None if regions else "whole-tumour",
            "phantom": phantom,
        }
    )
