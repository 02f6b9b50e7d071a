"""Networks that turn slices into codes and codes into slices. All are residual and without normalisation.

Images are (B, P, S, S) in -1..1: the modalities first, then one plane a tumour label where masks are drawn too.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from synthoma.generators.autoencoders.density import CodeDensity
from synthoma.generators.autoencoders.loss import absolute_error
from synthoma.generators.gan.residual import SLOPE, ResidualGenerator, ShrinkingBlock, scale_weights, widths_of


class Encoder(nn.Module):
    """Images (B, P, S, S) -> codes (B, Z) without bounds: the discriminator of R3GAN with Z outputs.

    Args:
        size: side S, a power of two from 16.
        planes: P.
        code: Z.
        width: feature maps at half the side.
    """

    def __init__(self, size: int, planes: int, code: int, width: int) -> None:
        super().__init__()
        widths = widths_of(size, width)
        self.stem = nn.Conv2d(planes, widths[0], 3, padding=1)
        self.blocks = nn.ModuleList([ShrinkingBlock(before, after) for before, after in pairwise(widths)])
        self.head = nn.Linear(widths[-1] * 16, code)
        scale_weights(self.stem, 1.0)
        # Over the root of the inputs: codes begin about as large as the features that they are sums of.
        nn.init.normal_(self.head.weight, 0.0, self.head.in_features**-0.5)
        nn.init.zeros_(self.head.bias)

    def features(self, images: Tensor) -> Tensor:
        """Feature maps (B, F, 4, 4) before the code."""
        maps: Tensor = self.stem(images)
        for block in self.blocks:
            maps = block(maps)
        return F.leaky_relu(maps, SLOPE)

    def forward(self, images: Tensor) -> Tensor:
        """Encode."""
        codes: Tensor = self.head(self.features(images).flatten(1))
        return codes


class CodeGenerator(nn.Module):
    """A decoder that draws, with the encoder that it learned beside.

    Latents (B, Z) -> images (B, P, S, S) in -1..1. With ``components`` latents are (B, Z + 2) and become codes by a
    density that was fitted to those of real slices, see ``CodeDensity``; without, latents are codes.

    Args:
        size: side S, a power of two from 16.
        planes: P.
        code: Z.
        width: feature maps of the decoder at half the side.
        encoder_width: of the encoder.
        classes: number of classes; 0 for a generator that knows none. Where a density is fitted there is one for each
            class, else the decoder is told the class, and the code says what is left (Makhzani et al. 2016, section 4).
        components: Gaussians of each density; 0 for none.

    Raises:
        ConfigError: a side that is no power of two from 16.
    """

    def __init__(
        self, size: int, planes: int, code: int, width: int, encoder_width: int, classes: int = 0, components: int = 0
    ) -> None:
        super().__init__()
        self.classes = classes
        self.decoder = ResidualGenerator(size, planes, code, width, 0 if components else classes)
        self.encoder = Encoder(size, planes, code, encoder_width)
        self.density = CodeDensity(code, components, max(classes, 1)) if components else None

    def encode(self, images: Tensor) -> Tensor:
        """Images (B, P, S, S) -> codes (B, Z)."""
        codes: Tensor = self.encoder(images)
        return codes

    def decode(self, codes: Tensor, label: Tensor | None = None) -> Tensor:
        """Codes (B, Z) and, where the decoder knows classes, class numbers (B,) -> images (B, P, S, S)."""
        images: Tensor = self.decoder(codes, label if self.decoder.classes else None)
        return images

    def forward(self, latent: Tensor, label: Tensor | None = None) -> Tensor:
        """Draw images."""
        return self.decode(latent if self.density is None else self.density(latent, label), label)


class CodeJudge(nn.Module):
    """Codes (B, Z) -> logits (B,): drawn from the prior, or made of a slice? Two hidden layers (Makhzani 2016)."""

    def __init__(self, code: int, width: int = 256) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(code, width),
            nn.LeakyReLU(SLOPE),
            nn.Linear(width, width),
            nn.LeakyReLU(SLOPE),
            nn.Linear(width, 1),
        )

    def forward(self, codes: Tensor) -> Tensor:
        """Judge codes."""
        logits: Tensor = self.layers(codes).squeeze(1)
        return logits


class AutoencodingDiscriminator(nn.Module):
    """A discriminator that says of images (B, P, S, S) how well it rebuilds them, scores (B,) up to 0 (BEGAN).

    Args:
        size: side S, a power of two from 16.
        planes: P.
        code: numbers that an image is squeezed into.
        width: feature maps at half the side.
        classes: number of classes, which its decoder is told; 0 for none.

    Raises:
        ConfigError: a side that is no power of two from 16.
    """

    def __init__(self, size: int, planes: int, code: int, width: int, classes: int = 0) -> None:
        super().__init__()
        self.decoder = ResidualGenerator(size, planes, code, width, classes)
        self.encoder = Encoder(size, planes, code, width)

    def rebuilt(self, images: Tensor, label: Tensor | None = None) -> Tensor:
        """The images as they come out of their codes, (B, P, S, S)."""
        images = self.decoder(self.encoder(images), label)
        return images

    def features(self, images: Tensor) -> Tensor:
        """Feature maps (B, F, 4, 4) before the code."""
        return self.encoder.features(images)

    def forward(self, images: Tensor, label: Tensor | None = None) -> Tensor:
        """Score images: minus the error with which each is rebuilt."""
        return -absolute_error(images, self.rebuilt(images, label))
