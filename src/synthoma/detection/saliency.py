"""What a network looked at: the gradient of its answer, and where its features spoke for tumour."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from synthoma.core.types import Bytes, Float32
from synthoma.detection.detector import Detector
from synthoma.detection.overlay import NOTICE, TILE, mask_tile, painted, scan_tile, titled
from synthoma.detection.seen import Seen


def gradient_saliency(detector: Detector, pixels: Float32, z: int, step_mm: float | None = None) -> Float32:
    """How strongly each pixel moves the sum of the tumour logits (Simonyan et al. 2014): largest over the channels.

    Args:
        detector: the model.
        pixels: (n, C, S, S), all slices of the volume.
        z: the slice.
        step_mm: distance between slices; None where unknown.

    Returns:
        (S, S) in 0..1, 1 at the strongest pixel; all 0 where nothing moves.
    """
    images = detector.inputs(pixels, [z], detector.stride(step_mm)).clone().requires_grad_(True)
    detector.network(images)[:, 0].sum().backward()
    gradient = images.grad
    assert gradient is not None
    return _scaled(gradient[0].abs().amax(dim=0))


def activation_map(detector: Detector, pixels: Float32, z: int, step_mm: float | None = None) -> Float32:
    """Which features of the decoder spoke for the pixels that were taken for tumour.

    Gradient times activation, summed over the features (HiResCAM, Draelos and Carin 2020, eq. 2), of the sum of the
    outlined pixels' logits (Seg-Grad-CAM, Vinogradova et al. 2020, eq. 2). Grad-CAM averages the gradient over the
    picture, which loses the place where a network answers for each pixel by itself.

    Arguments and result are those of ``gradient_saliency``. Where no pixel is taken for tumour, the likeliest is asked.
    """
    kept: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        kept.append(output)

    images = detector.inputs(pixels, [z], detector.stride(step_mm)).clone().requires_grad_(True)
    hook = decoder_layer(detector.network, images).register_forward_hook(keep)
    try:
        logits = detector.network(images)[:, 0]
    finally:
        hook.remove()
    features = kept[-1]
    # Above 0 is tumour at 0.5. Where nothing is, the largest logit is its own limit.
    asked = logits >= logits.detach().max().clamp(max=0.0)
    (gradient,) = torch.autograd.grad(logits[asked].sum(), features)
    # What spoke against tumour is left out, or it would cancel what spoke for it.
    coarse = (gradient * features).sum(dim=1, keepdim=True).relu()
    size = (pixels.shape[2], pixels.shape[3])
    return _scaled(nn.functional.interpolate(coarse, size, mode="bilinear", align_corners=False)[0, 0])


def decoder_layer(network: nn.Module, images: Tensor) -> nn.Module:
    """The last layer of the decoder at its second finest resolution; at the finest, where it has but one.

    Its lowest one is too coarse to say where, and what it holds is not yet about a place; its finest is the outline.
    """
    sides: list[tuple[int, nn.Module]] = []

    def note(module: nn.Module, _inputs: tuple[Tensor, ...], output: object) -> None:
        if isinstance(output, Tensor) and output.ndim == 4 and output.shape[-1] > 1:
            sides.append((output.shape[-1], module))

    hooks = [module.register_forward_hook(note) for module in network.modules() if module is not network]
    try:
        with torch.no_grad():
            network(images)
    finally:
        for hook in hooks:
            hook.remove()
    smallest = min((side for side, _ in sides), default=0)
    lowest = max((at for at, (side, _) in enumerate(sides) if side == smallest), default=0)
    decoder = sides[lowest + 1 :] or sides
    # The two finest; where the decoder has one alone, that one.
    wanted = sorted({side for side, _ in decoder}, reverse=True)[:2]
    return next((module for side, module in reversed(decoder) if side == wanted[-1]), network)


def saliency_sheet(seen: Seen, detector: Detector) -> Bytes:
    """The clearest slice with its mask, its gradient saliency and its activation map side by side, (H, W, 3)."""
    z = int(seen.slices.argmax())
    step = seen.framing.step_mm
    picture = scan_tile(seen.framing, z)
    found = painted(picture, mask_tile(seen.framing, seen.in_plane(seen.mask)[z]), (60, 210, 100))
    maps = [gradient_saliency(detector, seen.pixels, z, step), activation_map(detector, seen.pixels, z, step)]
    tiles = [found, *(heated(picture, one) for one in maps)]
    return titled(tiles, ["prediction", "gradient saliency", "features that spoke for it"], NOTICE)


def heated(picture: Bytes, heat: Float32) -> Bytes:
    """A grey picture (TILE, TILE) under a map (S, S) in 0..1, from clear through red to yellow."""
    large = nn.functional.interpolate(torch.from_numpy(heat)[None, None], (TILE, TILE), mode="bilinear")[0, 0].numpy()
    strength = np.clip(large, 0, 1)[..., None]
    colour = np.concatenate([np.full_like(strength, 255), 230 * strength, np.full_like(strength, 40)], axis=2)
    mixed = (1 - 0.75 * strength) * picture[..., None] + 0.75 * strength * colour
    return np.asarray(mixed.round(), dtype=np.uint8)


def _scaled(values: Tensor) -> Float32:
    """Values divided by the largest, as an array."""
    array = values.detach().float().cpu().numpy()
    top = float(array.max())
    return np.asarray(array / top if top > 0 else np.zeros_like(array), dtype=np.float32)
