"""Segmenters and classifiers by name."""

from __future__ import annotations

from typing import Any

from synthoma.detectors.settings import ClassifierConfig, SegmenterConfig

SEED_HEAD: dict[str, Any] = {"pool": 2, "head": (256, 256, 128), "dropout": 0.3}
"""The seed's head: its 4 x 4 pool leaves 2 x 2 of the 8 x 8 maps of 256 px; any size is brought to that here."""

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
    "vgg16": (
        "the 13 convolutions of VGG16 (Simonyan 2015, D) with batch norm, pooled, and one dense layer of 512",
        ClassifierConfig(network="vgg16", rate=5e-4, pool=1, head=(512,), dropout=0.5),
    ),
    "resnet18": ("MONAI's ResNet-18 (He 2016)", ClassifierConfig(network="resnet18")),
    "resnet50": ("MONAI's ResNet-50 (He 2016)", ClassifierConfig(network="resnet50")),
    "resnet50-seed": (
        "ResNet-50 with the dense layers of the LGG seed project: pooled by 4, then 256, 256 and 128",
        ClassifierConfig(network="resnet50", **SEED_HEAD),
    ),
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
