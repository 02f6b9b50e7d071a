"""How a segmenter or classifier is built and learns from labelled slices."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from synthoma.core.config import Config
from synthoma.core.fields import said
from synthoma.detectors.learning import LearnerConfig, Scale, learning_rate, tumour_share

SegmenterName = Literal[
    "unet-25d", "resunet-seed", "resunet", "segresnet", "dynunet", "mask-seed", "critic-unet", "gan-unet"
]
ClassifierName = Literal["cnn", "vgg16", "resnet18", "resnet50", "densenet121", "critic"]
HEADED = ("vgg16", "resnet18", "resnet50")
"""Classifiers whose dense layers can be chosen."""

FROM_GAN = ("critic-unet", "gan-unet")
"""Networks that are built of a GAN's, and can begin with its weights."""

SegmentationLoss = Literal["bce-dice", "tversky", "focal-tversky", "dice-focal"]


class ContextConfig(Config):
    """What a network sees at once."""

    context: int = Field(1, ge=1, le=7, description="neighbouring slices seen at once, an odd number", examples=[3])
    scale: Scale = Field(
        "zero-to-one",
        description="on which scale it takes slices: 0 for the background and 1 for bright tissue, as cohorts have "
        "them, or each slice with mean 0 and deviation 1",
        examples=["zscore"],
    )

    @field_validator("context")
    @classmethod
    def _odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError(f"a slice has as many neighbours above as below, {value} do not: give an odd number")
        return value

    @model_validator(mode="after")
    def _scale_of_a_gans_networks(self) -> Self:
        network = str(getattr(self, "network", ""))
        if self.scale == "zscore" and (network.startswith("critic") or network in FROM_GAN):
            raise ValueError(f"{network} is built of a GAN's networks, which see 0 to 1: leave scale as it is")
        return self


class SegmenterNetwork(ContextConfig):
    """What a segmenter is built from."""

    network: SegmenterName = Field("unet-25d", description="architecture", examples=["resunet"])
    width: int = Field(16, ge=4, le=128, description="feature maps at the finest level", examples=[32])
    levels: int = Field(5, ge=2, le=7, description="resolutions of unet-25d, each half of the one before", examples=[4])
    stem: Literal[0, 1, 2, 4] = Field(
        2,
        description="side of the pixel blocks that become channels first (unet-25d); 0 chooses by the slices' size",
        examples=[1],
    )

    def fitted(self, size: int) -> Self:
        """The settings with the stem that leaves about 64 pixels a side, if it is to be chosen."""
        return self if self.stem else self.model_copy(update={"stem": 4 if size >= 256 else 2 if size >= 128 else 1})


class ClassifierNetwork(ContextConfig):
    """What a classifier is built from."""

    network: ClassifierName = Field(
        "cnn", description="architecture; critic is a GAN's discriminator", examples=["resnet18"]
    )
    width: int = Field(32, ge=4, le=128, description="feature maps of the first layer (cnn, critic)", examples=[48])
    frozen: bool = Field(False, description="train the last layer alone (critic)", examples=[True])
    batch_norm: bool = Field(True, description="batch normalisation after each convolution (vgg16)", examples=[False])
    pool: int = Field(
        0,
        ge=0,
        le=7,
        description="side of the mean-pooled maps that the head gets (vgg16, resnet18, resnet50); 0 for the network's "
        "own: 7 of vgg16, 1 of the others",
        examples=[2],
        json_schema_extra=said(unit="pixels"),
    )
    head: tuple[Annotated[int, Field(ge=1, le=8192)], ...] = Field(
        (),
        description="widths of dense layers before the last one (vgg16, resnet18, resnet50)",
        examples=[(256, 128)],
        json_schema_extra=said(unset="the network's own: 4096,4096 of vgg16, none of the others"),
    )
    dropout: float = Field(
        0.0, ge=0, lt=1, description="dropout after each layer of head (vgg16, resnet18, resnet50)", examples=[0.3]
    )

    @model_validator(mode="after")
    def _a_head_of_these_networks(self) -> Self:
        if (self.head or self.pool or self.dropout) and self.network not in HEADED:
            raise ValueError(f"head, pool and dropout are for {', '.join(HEADED)}, not for {self.network}")
        return self


class SegmenterConfig(SegmenterNetwork, LearnerConfig):
    """A segmenter, what it is told to make small, and how it learns."""

    tumour_share: float | None = tumour_share(0.65)
    loss: SegmentationLoss = Field(
        "bce-dice", description="how masks are held against true ones in training", examples=["tversky"]
    )
    tversky_alpha: float = Field(
        0.7,
        gt=0,
        lt=1,
        description="weight of missed tumour in the Tversky losses; tumour that is none weighs the rest of 1",
        examples=[0.5],
    )
    tversky_gamma: float = Field(0.75, gt=0, description="exponent of focal-tversky", examples=[1.0])
    tversky_smooth: float = Field(
        1.0,
        gt=0,
        description="what both sides of the Tversky losses' overlap are increased by",
        examples=[1e-6],
        json_schema_extra=said(unit="pixels"),
    )
    supervised: float = Field(
        1.0,
        ge=0,
        description="weight of the loss against true masks; 0 leaves it all to the discriminator",
        examples=[0.5],
    )
    adversarial: float = Field(0.0, ge=0, description="weight of a discriminator's opinion; 0 for none", examples=[0.1])
    critic: Literal["patch", "mask-seed"] = Field(
        "patch", description="the discriminator: of patches, or that of the seed project", examples=["mask-seed"]
    )
    critic_sees_image: bool = Field(
        True, description="give the discriminator the slice with the mask", examples=[False]
    )
    critic_rate: float = Field(2e-4, gt=0, description="the discriminator's learning rate", examples=[1e-4])
    label_smoothing: float = Field(
        0.1, ge=0, le=0.5, description="taken off the discriminator's target of real masks", examples=[0.0]
    )
    target_smoothing: float = Field(
        0.0,
        ge=0,
        le=0.5,
        description="taken off the segmenter's target, that its masks be taken for real ones",
        examples=[0.1],
    )
    critic_masks: Literal["scaled", "tanh", "seed"] = Field(
        "scaled",
        description="how the discriminator is shown masks: in -1 to 1 by the probability (scaled) or by the logit's "
        "tanh, or as in the seed project, where real ones are 0 and 1 beside a tanh",
        examples=["tanh"],
    )

    @model_validator(mode="after")
    def _double_without_a_rival(self) -> Self:
        if self.precision == "double" and self.adversarial:
            raise ValueError("precision double is for a network that learns alone: leave adversarial out")
        return self


class ClassifierConfig(ClassifierNetwork, LearnerConfig):
    """A classifier, and how it learns."""

    rate: float = learning_rate(1e-3)
    label_smoothing: float = Field(
        0.05, ge=0, le=0.5, description="share of certainty that is taken off the true class", examples=[0.0]
    )
    balance: bool = Field(
        True, description="rare classes of a batch weigh as much in the loss as common ones", examples=[False]
    )
