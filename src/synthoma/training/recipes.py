"""Models by name: networks, objective and learning rates that belong together."""

from __future__ import annotations

import difflib
from typing import Literal, Self

from pydantic import Field, model_validator

from synthoma.augment.scans import AugmentConfig
from synthoma.core.config import Config
from synthoma.core.errors import ConfigError
from synthoma.losses.adversarial import AdversarialLoss
from synthoma.losses.flow import TimeDensity
from synthoma.losses.segmentation import SegmentationLoss
from synthoma.models.classifiers import ClassifierNetwork
from synthoma.models.registry import NetworkConfig
from synthoma.models.segmenters import SegmenterNetwork


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


AUTO = "auto"
"""The model that is planned for each cohort, see ``training.plan``."""

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


class LearnerConfig(Config):
    """How a detector of any kind learns from labelled slices."""

    batch: int = Field(16, ge=2, le=1024)
    rate: float = Field(2e-3, gt=0, description="highest learning rate (AdamW), halved by --init; rises, then falls")
    weight_decay: float = Field(1e-2, ge=0)
    epsilon: float = Field(1e-8, gt=0, description="AdamW's epsilon")
    tumour_share: float | None = Field(
        None, ge=0, le=1, description="chance of a tumour slice once a patient is drawn; None draws slices evenly"
    )
    with_ratio: float = Field(0.5, gt=0, lt=1, description="share of a batch that comes from the --with cohorts")
    modality_dropout: float = Field(0.3, ge=0, le=1, description="chance that a slice loses some of its modalities")
    context_dropout: float = Field(0.15, ge=0, le=1, description="chance that a slice is shown without its neighbours")
    context_mm: float = Field(4.0, gt=0, description="least distance between neighbouring slices that are seen")
    ema_images: float = Field(1000.0, ge=0, description="half-life of the moving average of weights; 0 for none")
    augment: AugmentConfig = Field(default_factory=AugmentConfig)


class SegmenterConfig(SegmenterNetwork, LearnerConfig):
    """A segmenter, what it is told to make small, and how it learns."""

    tumour_share: float | None = Field(0.65, ge=0, le=1, description="chance of a tumour slice once a patient is drawn")
    loss: SegmentationLoss = "bce-dice"
    supervised: float = Field(1.0, ge=0, description="weight of that loss; 0 leaves it all to the discriminator")
    adversarial: float = Field(0.0, ge=0, description="weight of a discriminator's opinion; 0 for none")
    critic: Literal["patch", "mask-seed"] = "patch"
    critic_sees_image: bool = Field(True, description="give the discriminator the slice with the mask")
    critic_rate: float = Field(2e-4, gt=0)
    label_smoothing: float = Field(0.1, ge=0, le=0.5, description="taken off the discriminator's target of real masks")


class ClassifierConfig(ClassifierNetwork, LearnerConfig):
    """A classifier, and how it learns."""

    rate: float = Field(1e-3, gt=0)
    label_smoothing: float = Field(0.05, ge=0, le=0.5)


SEGMENTERS: dict[str, tuple[str, SegmenterConfig]] = {
    "unet-25d": (
        "residual U-Net that sees the neighbouring slices: what `synthoma detect` is made for",
        SegmenterConfig(context=3, stem=0),
    ),
    "resunet-seed": (
        "the residual U-Net of the LGG seed project (1.2 million weights), with its focal Tversky loss",
        SegmenterConfig(network="resunet-seed", loss="focal-tversky"),
    ),
    "resunet": ("MONAI's residual U-Net: a yardstick", SegmenterConfig(network="resunet")),
    "segresnet": ("MONAI's SegResNet (Myronenko 2018): a yardstick", SegmenterConfig(network="segresnet")),
    "dynunet": ("MONAI's DynUNet, the network of nnU-Net: a yardstick", SegmenterConfig(network="dynunet")),
    "mask-gan": (
        "unet-25d against a discriminator of patches of slice and mask (Isola 2017)",
        SegmenterConfig(context=3, stem=0, adversarial=0.1),
    ),
    "mask-dcgan-seed": (
        "the FLAIR-to-mask GAN of the seed project at 28 px, its discriminator shown the slice too",
        SegmenterConfig(network="mask-seed", critic="mask-seed", adversarial=0.1, rate=2e-4, weight_decay=0.0, batch=8),
    ),
    "critic-unet": (
        "U-Net whose encoder can begin as a trained GAN's discriminator (--init RUN)",
        SegmenterConfig(network="critic-unet", width=32),
    ),
    "gan-unet": (
        "U-Net whose encoder and decoder can begin as a trained GAN's discriminator and generator (--init RUN)",
        SegmenterConfig(network="gan-unet", width=32),
    ),
}
"""Name -> what it is, and its settings."""

CLASSIFIERS: dict[str, tuple[str, ClassifierConfig]] = {
    "cnn": ("small convolutional network", ClassifierConfig()),
    "resnet18": ("MONAI's ResNet-18 (He 2016)", ClassifierConfig(network="resnet18")),
    "densenet121": ("MONAI's DenseNet-121 (Huang 2017)", ClassifierConfig(network="densenet121")),
    "critic-probe": (
        "one linear layer on the frozen features of a GAN's discriminator (--init RUN; Radford 2015, 5.1)",
        ClassifierConfig(network="critic", frozen=True),
    ),
    "critic-tuned": (
        "the same features, trained further; without --init from scratch",
        ClassifierConfig(network="critic"),
    ),
}
"""Name -> what it is, and its settings."""

Kind = Literal["generator", "segmenter", "classifier"]
SECTION: dict[Kind, str] = {"generator": "gan", "segmenter": "segmenter", "classifier": "classifier"}
"""Kind of model -> the section of the settings that concerns it."""


def recipe(name: str) -> tuple[Kind, GanConfig | SegmenterConfig | ClassifierConfig]:
    """Kind and settings of a model by name.

    Raises:
        ConfigError: no model of that name, with the nearest one.
    """
    if name in GENERATORS:
        return "generator", GENERATORS[name][1]
    if name in SEGMENTERS:
        return "segmenter", SEGMENTERS[name][1]
    if name in CLASSIFIERS:
        return "classifier", CLASSIFIERS[name][1]
    known = [*GENERATORS, *SEGMENTERS, *CLASSIFIERS]
    near = difflib.get_close_matches(name, known, n=1)
    todo = f"did you mean {near[0]!r}?" if near else "choose one of them"
    raise ConfigError(f"a model: {', '.join(known)}", repr(name), todo)
