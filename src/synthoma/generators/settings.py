"""How a generator is built and learns: the networks, the game that they play, and the models by name."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from synthoma.core.config import Config
from synthoma.training.settings import AUTO, Kind, TrainingConfig, no_such_model

Normalisation = Literal["batch", "instance", "none"]
AdversarialLoss = Literal["bce", "bce-saturating", "hinge", "wasserstein", "relativistic"]
TimeDensity = Literal["logit-normal", "uniform"]


class NetworkConfig(Config):
    """What a generator and its discriminator are built from."""

    network: Literal["dcgan", "seed", "repaint", "residual", "flow"] = "dcgan"
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


GENERATORS: dict[str, tuple[str, GanConfig]] = {
    AUTO: ("looks at cohort, device and minutes, and chooses among the others", GanConfig()),
    "dcgan-seed": (
        "the plain network and settings of the seed projects, at 128 px: a reference to beat",
        GanConfig(network="seed", batch=4, ema_images=0.0),
    ),
    "dcgan": (
        "deep convolutional GAN (Radford 2015), batch norm, moving average",
        # Five times the paper's rate: on a few hundred slices and minutes, the number of steps is what is short.
        GanConfig(generator_rate=1e-3, critic_rate=1e-3),
    ),
    "wgan-gp": (
        "Wasserstein critic with gradient penalty (Gulrajani 2017)",
        GanConfig(
            critic_norm="instance", loss="wasserstein", gradient_penalty=10.0, critic_steps=5, beta1=0.0, beta2=0.9
        ),
    ),
    "relativistic": (
        "residual networks without normalisation, relativistic pairs with R1 and R2 (Huang 2024, R3GAN)",
        # Small batches, a narrow discriminator and high rates: steps are what is short. Strong penalties at first keep
        # such rates stable; they fall with the rates, or the insides of the heads would stay smooth.
        GanConfig(
            network="residual",
            critic_width=16,
            loss="relativistic",
            r1=5.0,
            r2=5.0,
            r1_every=1,
            penalty_end=0.05,
            batch=8,
            generator_rate=1e-3,
            critic_rate=1e-3,
            schedule="cosine",
            beta1=0.0,
            beta2=0.99,
        ),
    ),
    "phantom-gan": (
        "repaints simulated slices with the look of the real ones: exact labels, learned appearance",
        GanConfig(
            network="repaint",
            latent=16,
            critic_patches=True,
            r1=0.1,
            r1_every=4,
            structure=2.0,
            contrast=2.0,
            beta1=0.0,
            beta2=0.99,
            generator_rate=5e-4,
            critic_rate=5e-4,
            ema_images=2000.0,
        ),
    ),
    "flow": (
        "rectified flow (Liu 2022): learns how noise moves to images, without a discriminator: a yardstick",
        GanConfig(network="flow", generator_rate=1e-3, schedule="cosine", beta1=0.9, beta2=0.99, ema_images=2000.0),
    ),
}
"""Name -> what it is, and its settings."""


class GeneratorTraining(TrainingConfig):
    """Settings of the training of a generator."""

    with_masks: bool = Field(False, description="generators: draw the label channels together with the modalities")
    conditional: bool = Field(False, description="generators: give the class to generator and discriminator")
    phantom: Path | None = Field(
        None, description="phantom-gan: cohort of simulated slices that are repainted; else its own"
    )
    simulate: int | None = Field(
        None, ge=1, le=100_000, description="phantom-gan without --phantom: simulated patients, else 80"
    )
    gan: GanConfig = Field(default_factory=GanConfig)

    @classmethod
    def recipe(cls, name: str) -> tuple[Kind, Config]:
        """Kind and own settings of a generator by name.

        Raises:
            ConfigError: no generator of that name, with the nearest one.
        """
        if name not in GENERATORS:
            raise no_such_model(name, GENERATORS)
        return "generator", GENERATORS[name][1]

    def cohorts(self) -> tuple[Path, ...]:
        """Cohorts that are learned from beside the first."""
        return (*super().cohorts(), *([self.phantom] if self.phantom else []))

    @model_validator(mode="after")
    def _of_a_generator(self) -> Self:
        repaints = self.kind == "generator" and self.gan.network == "repaint"
        if self.kind == "generator" and self.init == "phantom" and not repaints and self.model != AUTO:
            raise ValueError(
                f"--init phantom is for phantom-gan and unet-25d: begin {self.model} with a run of its own kind"
            )
        if repaints and self.conditional:
            raise ValueError(f"{self.model} takes its classes from the simulated slices: leave out --conditional")
        if self.phantom is not None and not repaints and self.model != AUTO:
            raise ValueError("--phantom is for phantom-gan; to begin a detector with the phantom use --init phantom")
        return self
