"""Reference rows: figures of the literature that this subject quotes, each with what it can be compared with.

Tables 2.1 and 2.2 are those of the thesis behind the seed project (docs/seed-experiment.md). ``checked`` says where a
figure was read: in the paper or its abstract, in the thesis, or from memory only, which is no source to cite.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Source = Literal["paper", "thesis", "memory"]
Topic = Literal["seen by people", "similarity and use", "use", "method"]


@dataclass(frozen=True)
class Reference:
    """One published figure.

    Attributes:
        topic: what kind of question it answers.
        name: authors and year.
        what: data, method, and what was measured.
        figure: as published.
        comparable: with which figure of Synthoma it may stand beside, and what differs.
        checked: where it was read.
    """

    topic: Topic
    name: str
    what: str
    figure: str
    comparable: str
    checked: Source


_SIDE_BY_SIDE = "no: people looked; an evaluation here asks models. Right answers say little without the bias c"
TURING = {
    # set: (real called real, real called synthetic, synthetic called real, synthetic called synthetic)
    "T1, 128 px": (26, 24, 6, 44),
    "T1c, 128 px": (24, 26, 3, 47),
    "T2, 128 px": (22, 28, 8, 42),
    "FLAIR, 128 px": (12, 38, 8, 42),
    "all four side by side, 128 px": (34, 16, 7, 43),
    "all four side by side, 64 px": (13, 37, 9, 41),
}
"""Table 2.2, Han et al. 2018, DCGAN: 50 real and 50 synthetic slices shown to one physician."""


def _turing(name: str, counts: tuple[int, int, int, int]) -> Reference:
    real_real, real_fake, fake_real, fake_fake = counts
    right = real_real + fake_fake
    return Reference(
        "seen by people",
        f"Han 2018 (table 2.2), {name}",
        "BraTS 2016, DCGAN; 50 real and 50 synthetic slices, one physician: right answers",
        f"{right} of {sum(counts)}; {fake_real} of 50 synthetic ones taken for real, {real_fake} of 50 real ones for "
        "synthetic",
        _SIDE_BY_SIDE,
        "thesis",
    )


REFERENCES: tuple[Reference, ...] = (
    *(_turing(name, counts) for name, counts in TURING.items()),
    Reference(
        "seen by people", "Kazuhiro 2018",
        "DCGAN, 96 T1 images of 30 healthy people and 33 patients; two neuroradiologists, three others: accuracy",
        ".55 and .30; .83, .72 and .64. Synthetic ones taken for real: 45 and 71 %; 24, 40 and 44 %",
        "no: people looked; below .5 a rater calls real ones synthetic more often than not", "paper",
    ),
    Reference(
        "seen by people", "Bermudez 2018", "GAN on 528 T1 slices of healthy people; two raters, quality 1 to 5",
        "raters disagreed; uniqueness by cross-correlation with the training set",
        "its uniqueness test is what the copy search does here, which also finds altered copies", "paper",
    ),
    Reference(
        "seen by people", "Salimans 2016", "CIFAR-10, people tell generated pictures from real ones: error",
        "21.3 %", "no: natural pictures of 32 px", "paper",
    ),
    Reference(
        "similarity and use", "Islam 2020 (table 2.1)", "DCGAN, brain PET of Alzheimer's disease: SSIM with real scans",
        "77.48", "no: PET; likeness to a real scan is wanted only up to the likeness of two patients", "thesis",
    ),
    Reference(
        "similarity and use", "Kim 2020 (table 2.1)", "BEGAN, brain PET: accuracy, sensitivity, area under the curve",
        "94.82, 92.11 and .98", "no: PET and other classes; `--model began` is that family here", "thesis",
    ),
    Reference(
        "similarity and use", "TumorGAN 2020 (table 2.1)", "image-to-image GAN, BraTS 2017: Dice of a segmenter",
        ".725", "with care: volume Dice of unseen patients in the arm 'mixed', other data and segmenter", "thesis",
    ),
    Reference(
        "similarity and use", "Barile 2021 (table 2.1)", "adversarial autoencoder on graphs of brain connections: F1",
        "81 % (66 % without)", "no: graphs, not images, although the thesis lists it among MRI", "thesis",
    ),
    Reference(
        "similarity and use", "Hirte 2021 (table 2.1)", "GAN images of brain MRI: similarity", ".0487",
        "no: an own measure of another scale", "thesis",
    ),
    Reference(
        "use", "Shin 2018",
        "whole-tumour Dice by what a segmenter learned from (no augmentation): real; both; synthetic; synthetic, then "
        "10 % of the real",
        ".64; .80; .25; .80 (with augmentation .81; .82; .44; .81)",
        "with care: rows of the table 'Trained on, tested on', and the arm 'tuned'; no control of equal count there",
        "memory",
    ),
    Reference(
        "use", "Asadi 2024", "LGG, StyleGAN2-ADA slices added in 14 rounds of 1,000: gain in Dice",
        "+.0409 validation, +.0355 test", "with care: split by slices there, by patients here", "paper",
    ),
    Reference(
        "method", "Salimans 2016", "inception score of generated CIFAR-10 pictures", "8.09 +- .07",
        "no: the classifier of the score here is one of real scans, with as many classes as it knows", "memory",
    ),
    Reference(
        "method", "Skandarani 2023", "DCGAN, WGAN, StyleGAN and others on cardiac MRI, liver CT and fundus pictures",
        "no GAN reproduces the full richness of the data; FID alone is not enough",
        "the reason why an evaluation asks four questions", "paper",
    ),
)  # fmt: skip
