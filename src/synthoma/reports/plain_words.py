"""What named features mean, in words of everyday."""

from __future__ import annotations

LESION = {
    "area": "area of the tumour",
    "right": "place, left to right",
    "down": "place, top to bottom",
    "contrast": "contrast with its surroundings",
    "texture": "texture inside",
    "sharpness": "sharpness of its border",
    "roundness": "roundness",
    "parts": "number of parts",
}
"""Descriptors of lesions, by name."""

_WHOLE = {
    "share of the picture that is head": "size of the head",
    "mean grey": "overall brightness",
    "deviation of grey": "contrast within the head",
    "skewness of grey": "balance of dark and bright",
    "kurtosis of grey": "very bright or dark spots",
    "entropy of grey": "number of grey values in use",
    "10th percentile of grey": "brightness of the dark parts",
    "median of grey": "brightness of ordinary tissue",
    "90th percentile of grey": "brightness of the bright parts",
    "interquartile range of grey": "contrast between tissues",
    "short run emphasis": "short streaks of one grey",
    "long run emphasis": "long streaks of one grey",
    "grey level non-uniformity": "dominance of few grey values",
    "run length non-uniformity": "likeness of streaks in length",
    "run percentage": "graininess",
    "mean of gradient": "strength of edges",
    "deviation of gradient": "variation of edges",
}
_PAIRS = {
    "contrast": "large steps between neighbours",
    "dissimilarity": "steps between neighbours",
    "homogeneity": "evenness",
    "energy": "repetition of one pattern",
    "correlation": "smoothness",
    "entropy": "disorder of the texture",
}
_EDGES = {"mean magnitude": "strength of", "deviation": "variation of", "skewness": "bright against dark in"}
_DETAIL = {"1": "fine detail", "2": "medium detail", "4": "coarse detail"}


def radiomics_words(feature: str) -> str:
    """A radiomics feature in plain words; its own name where there are none."""
    if feature in _WHOLE:
        return _WHOLE[feature]
    kind, _, distance = feature.removesuffix(" px apart").partition(" of pairs ")
    if kind in _PAIRS and distance:
        return f"{_PAIRS[kind]}, {distance} px apart"
    kind, _, sigma = feature.removesuffix(" px").partition(" of edges at sigma ")
    return f"{_EDGES[kind]} {_DETAIL[sigma]}" if kind in _EDGES and sigma in _DETAIL else feature
