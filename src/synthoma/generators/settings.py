"""How a generator is built and learns: settings of the networks, and of the game that they play."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from synthoma.core.config import Config
from synthoma.core.fields import said
from synthoma.core.plugins import plugged_names

Normalisation = Literal["batch", "instance", "none"]
GeneratorNormalisation = Literal["batch", "instance", "virtual", "none"]
AdversarialLoss = Literal["bce", "bce-saturating", "hinge", "wasserstein", "relativistic", "equilibrium"]
TimeDensity = Literal["logit-normal", "uniform"]
OptimiserName = Literal["adam", "adamw", "rmsprop"]


NETWORKS = ("dcgan", "seed", "residual", "repaint", "flow", "began", "aae", "dae")
"""Kinds of networks that are part of the package."""

_TRICKS = ("target_smoothing", "feature_matching", "minibatch_kernels", "clip")
_OF_A_CRITIC = (*_TRICKS, "gradient_penalty", "r1", "r2", "minibatch_deviation", "critic_patches", "spectral")

REFUSED: dict[str, tuple[str, ...]] = {
    "flow": (*_TRICKS, "historical_averaging"),
    "began": (*_OF_A_CRITIC, "label_smoothing", "augment_target"),
    "aae": (*_OF_A_CRITIC, "historical_averaging"),
    "dae": (*_OF_A_CRITIC, "historical_averaging", "label_smoothing"),
}
"""Network -> settings that nothing in its training answers to: no discriminator tells its images from real ones."""


class NetworkConfig(Config):
    """What a generator and its discriminator are built from."""

    network: str = Field(
        "dcgan",
        description="architecture of the networks: dcgan, seed, residual, repaint, flow, began, aae, dae, or one that "
        "is plugged in",
        examples=["residual"],
    )
    latent: int = Field(100, ge=1, le=1024, description="length of the latent vector", examples=[128])
    width: int = Field(32, ge=4, le=256, description="feature maps of the generator's last hidden layer", examples=[48])
    critic_width: int = Field(
        32, ge=4, le=256, description="feature maps of the discriminator's first layer", examples=[48]
    )
    norm: GeneratorNormalisation = Field(
        "batch",
        description="normalisation in the generator (dcgan); virtual: by a batch that stays the same (Salimans 2016)",
        examples=["instance"],
    )
    critic_norm: Normalisation = Field(
        "batch", description="normalisation in the discriminator of whole pictures (dcgan)", examples=["none"]
    )
    critic_patches: bool = Field(
        False, description="judge pieces of a picture, not the whole (Isola 2017)", examples=[True]
    )
    spectral: bool = Field(False, description="spectral normalisation of the discriminator", examples=[True])
    minibatch_deviation: bool = Field(
        False, description="let the discriminator see how alike a batch's images are", examples=[True]
    )
    minibatch_kernels: int = Field(
        0,
        ge=0,
        le=256,
        description="learned distances to a batch's other images that the discriminator sees (Salimans 2016); 0 for "
        "none",
        examples=[32],
    )
    minibatch_depth: int = Field(
        5, ge=1, le=64, description="numbers that each of these distances is taken over", examples=[8]
    )
    excitation: bool = Field(
        False, description="let the generator's small maps scale its large ones (residual)", examples=[True]
    )
    flow_steps: int = Field(
        8,
        ge=1,
        le=1000,
        description="steps from noise to image (flow): two network runs each, but the last",
        examples=[16],
    )
    components: int = Field(8, ge=1, le=64, description="Gaussians that codes are drawn from (dae)", examples=[1])

    @field_validator("network")
    @classmethod
    def _known(cls, value: str) -> str:
        known = (*NETWORKS, *sorted(plugged_names("synthoma.generators")))
        if value not in known:
            raise ValueError(f"no such network; there are {', '.join(known)}")
        return value


class GanConfig(NetworkConfig):
    """Networks, the game they play, and how they learn."""

    loss: AdversarialLoss = Field("bce", description="what generator and discriminator play for", examples=["hinge"])
    label_smoothing: float = Field(
        0.0, ge=0, le=0.5, description="taken off the target of real images (bce)", examples=[0.1]
    )
    target_smoothing: float = Field(
        0.0, ge=0, le=0.5, description="taken off the target of the generator's images (bce)", examples=[0.1]
    )
    feature_matching: float = Field(0.0, ge=0, description="weight of matching mean features", examples=[1.0])
    historical_averaging: float = Field(
        0.0,
        ge=0,
        description="weight of both players' distance from the mean of their past weights (Salimans 2016)",
        examples=[1e-3],
    )
    clip: float = Field(
        0.0,
        ge=0,
        description="limit to which the discriminator's weights are cut after each of its steps (Arjovsky 2017); 0 "
        "for none",
        examples=[0.01],
    )
    gradient_penalty: float = Field(
        0.0, ge=0, description="weight of the penalty on interpolates, every step", examples=[10.0]
    )
    r1: float = Field(0.0, ge=0, description="weight gamma of the R1 penalty on real images", examples=[1.0])
    r2: float = Field(0.0, ge=0, description="weight gamma of the R2 penalty on generated images", examples=[1.0])
    r1_every: int = Field(
        16, ge=1, description="discriminator steps between R1 and R2 penalties (lazy regularisation)", examples=[4]
    )
    penalty_end: float = Field(
        1.0, gt=0, le=1, description="factor to which R1 and R2 fall by the end of the budget", examples=[0.1]
    )
    penalty_start_images: int = Field(
        0, ge=0, description="images during which R1 and R2 are taken at every step", examples=[1000]
    )
    structure: float = Field(
        0.0, ge=0, description="weight of keeping the simulated slice's structure (phantom-gan)", examples=[2.0]
    )
    contrast: float = Field(
        0.0, ge=0, description="weight of lesions as clear as real ones (phantom-gan, with masks)", examples=[2.0]
    )
    match: bool = Field(
        True, description="draw simulated slices in the shares of real ones (phantom-gan)", examples=[False]
    )
    critic_steps: int = Field(1, ge=1, le=20, description="discriminator steps for each generator step", examples=[5])
    batch: int = Field(
        16, ge=2, le=1024, description="images in a step", examples=[32], json_schema_extra=said(unit="images")
    )
    optimiser: OptimiserName = Field(
        "adam",
        description="what moves the weights: adam, adamw (weight decay 0.01), or rmsprop, which has no beta1",
        examples=["rmsprop"],
    )
    generator_rate: float = Field(2e-4, gt=0, description="learning rate of the generator", examples=[1e-4])
    critic_rate: float = Field(2e-4, gt=0, description="learning rate of the discriminator", examples=[1e-4])
    schedule: Literal["constant", "cosine"] = Field(
        "constant", description="learning rates stay, or fall to 0", examples=["cosine"]
    )
    beta1: float = Field(0.5, ge=0, lt=1, description="Adam's memory of the mean gradient", examples=[0.0])
    beta2: float = Field(0.999, gt=0, lt=1, description="Adam's memory of the squared gradient", examples=[0.99])
    ema_images: float = Field(
        5000.0,
        ge=0,
        description="half-life of the generator's moving average; 0 for none",
        examples=[2000.0],
        json_schema_extra=said(unit="images"),
    )
    augment: tuple[Literal["brightness", "contrast", "translation", "cutout", "mirror"], ...] = Field(
        (), description="changes of images before the discriminator sees them", examples=[("translation", "mirror")]
    )
    augment_probability: float = Field(
        1.0,
        ge=0,
        le=1,
        description="chance of each change that augment names; the highest, where it rises",
        examples=[0.5],
    )
    augment_ramp: int = Field(
        0,
        ge=0,
        description="how long the chance of changes rises from 0 (by 1, with a target)",
        examples=[10000],
        json_schema_extra=said(unit="images"),
    )
    augment_target: float | None = Field(
        None,
        ge=0,
        le=1,
        description="adapt the chance of changes so that the discriminator's overfitting stays at this",
        examples=[0.6],
        json_schema_extra=said(unset="it is not adapted"),
    )
    flow_times: TimeDensity = Field(
        "logit-normal", description="where on their paths slices are looked at (flow)", examples=["uniform"]
    )
    balance: float = Field(
        0.5,
        gt=0,
        le=1,
        description="error on generated slices over that on real ones at which the game is held (began); more is more "
        "various",
        examples=[0.7],
    )
    balance_rate: float = Field(
        1e-3, gt=0, le=1, description="how fast the game is brought back into balance (began)", examples=[1e-2]
    )
    repel: float = Field(
        0.0,
        ge=0,
        description="weight of the loss that pushes the codes of generated slices apart, against drawing one kind "
        "only (began)",
        examples=[0.1],
    )
    corruption: float = Field(
        0.5,
        ge=0,
        description="deviation of the noise that is to be taken off slices (dae), grey values being -1 to 1",
        examples=[0.3],
    )

    @model_validator(mode="after")
    def _a_speed_to_adapt_at(self) -> Self:
        if self.augment_target is not None and not (self.augment and self.augment_ramp):
            raise ValueError("augment_target needs changes (augment) and a speed (augment_ramp, in images)")
        return self

    @model_validator(mode="after")
    def _what_a_discriminator_of_pieces_has(self) -> Self:
        if self.critic_patches and self.minibatch_deviation:
            raise ValueError("minibatch_deviation is of whole pictures: leave it out, or set critic_patches=false")
        return self

    @model_validator(mode="after")
    def _what_repainting_has(self) -> Self:
        if (self.structure or self.contrast) and self.network != "repaint":
            raise ValueError("structure and contrast are kept of simulated slices: they are for phantom-gan")
        return self

    @model_validator(mode="after")
    def _what_a_trick_needs(self) -> Self:
        if self.norm == "virtual" and self.network in NETWORKS and self.network != "dcgan":
            raise ValueError(f"norm=virtual is for networks of dcgan, not of {self.network}: leave it out")
        if self.minibatch_kernels and self.critic_patches:
            raise ValueError("minibatch_kernels are of whole pictures: leave them out, or set critic_patches=false")
        if self.target_smoothing and self.loss != "bce":
            raise ValueError(f"target_smoothing is for loss=bce, and {self.loss} has no target: leave it out")
        if self.clip and self.spectral:
            raise ValueError("clip and spectral both hold the discriminator's weights: give one of them")
        return self

    @model_validator(mode="after")
    def _what_a_network_is_taught_by(self) -> Self:
        if (self.loss == "equilibrium") != (self.network == "began"):
            raise ValueError("loss=equilibrium and network=began go together: choose --model began, or another loss")
        if asked := [name for name in REFUSED.get(self.network, ()) if getattr(self, name)]:
            raise ValueError(f"{asked[0]} asks for a discriminator of images; {self.network} has none: leave it out")
        return self
