"""How a generator is built and learns: settings of the networks, and of the game that they play."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from synthoma.core.config import Config
from synthoma.core.plugins import plugged_names

Normalisation = Literal["batch", "instance", "none"]
AdversarialLoss = Literal["bce", "bce-saturating", "hinge", "wasserstein", "relativistic"]
TimeDensity = Literal["logit-normal", "uniform"]


NETWORKS = ("dcgan", "seed", "residual", "repaint", "flow")
"""Kinds of networks that are part of the package."""


class NetworkConfig(Config):
    """What a generator and its discriminator are built from."""

    network: str = Field("dcgan", description="dcgan, seed, residual, repaint, flow, or one that is plugged in")
    latent: int = Field(100, ge=1, le=1024, description="length of the latent vector")
    width: int = Field(32, ge=4, le=256, description="feature maps of the generator's last hidden layer")
    critic_width: int = Field(32, ge=4, le=256, description="feature maps of the discriminator's first layer")
    norm: Normalisation = Field("batch", description="normalisation in the generator (dcgan)")
    critic_norm: Normalisation = Field(
        "batch", description="normalisation in the discriminator of whole pictures (dcgan)"
    )
    critic_patches: bool = Field(False, description="judge pieces of a picture, not the whole (Isola 2017)")
    spectral: bool = Field(False, description="spectral normalisation of the discriminator")
    minibatch_deviation: bool = Field(False, description="let the discriminator see how alike a batch's images are")
    excitation: bool = Field(False, description="let the generator's small maps scale its large ones (residual)")
    flow_steps: int = Field(
        8, ge=1, le=1000, description="steps from noise to image (flow): two network runs each, but the last"
    )

    @field_validator("network")
    @classmethod
    def _known(cls, value: str) -> str:
        known = (*NETWORKS, *sorted(plugged_names("synthoma.generators")))
        if value not in known:
            raise ValueError(f"no such network; there are {', '.join(known)}")
        return value


class GanConfig(NetworkConfig):
    """Networks, the game they play, and how they learn."""

    loss: AdversarialLoss = "bce"
    label_smoothing: float = Field(0.0, ge=0, le=0.5, description="taken off the target of real images (bce)")
    feature_matching: float = Field(0.0, ge=0, description="weight of matching mean features")
    gradient_penalty: float = Field(0.0, ge=0, description="weight of the penalty on interpolates, every step")
    r1: float = Field(0.0, ge=0, description="weight gamma of the R1 penalty on real images")
    r2: float = Field(0.0, ge=0, description="weight of the same penalty on generated images")
    r1_every: int = Field(16, ge=1, description="discriminator steps between R1 and R2 penalties (lazy regularisation)")
    penalty_end: float = Field(1.0, gt=0, le=1, description="factor to which R1 and R2 fall by the end of the budget")
    penalty_start_images: int = Field(0, ge=0, description="images during which R1 and R2 are taken at every step")
    structure: float = Field(0.0, ge=0, description="weight of keeping the simulated slice's structure (phantom-gan)")
    contrast: float = Field(0.0, ge=0, description="weight of lesions as clear as real ones (phantom-gan, with masks)")
    match: bool = Field(True, description="draw simulated slices in the shares of real ones (phantom-gan)")
    critic_steps: int = Field(1, ge=1, le=20, description="discriminator steps for each generator step")
    batch: int = Field(16, ge=2, le=1024)
    generator_rate: float = Field(2e-4, gt=0, description="Adam's learning rate")
    critic_rate: float = Field(2e-4, gt=0)
    schedule: Literal["constant", "cosine"] = Field("constant", description="learning rates stay, or fall to 0")
    beta1: float = Field(0.5, ge=0, lt=1)
    beta2: float = Field(0.999, gt=0, lt=1)
    ema_images: float = Field(5000.0, ge=0, description="half-life of the generator's moving average; 0 for none")
    augment: tuple[Literal["brightness", "contrast", "translation", "cutout", "mirror"], ...] = ()
    augment_probability: float = Field(1.0, ge=0, le=1, description="of each change; the highest, where it rises")
    augment_ramp: int = Field(0, ge=0, description="images in which the probability rises from 0 (by 1, with a target)")
    augment_target: float | None = Field(
        None, ge=0, le=1, description="adapt the probability so that the discriminator's overfitting stays at this"
    )
    flow_times: TimeDensity = Field("logit-normal", description="where on their paths slices are looked at (flow)")

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
