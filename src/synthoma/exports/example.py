"""From raw slices to a mask with NumPy and ONNX Runtime alone, by what preprocessing.json says. Part of Synthoma.

    python example.py flair=flair.npy t1=t1.npy -o mask.npy

Each file holds one slice (rows, columns) as a scanner or a converter gives it, lying as preprocessing.json says; the
sequences of a slice lie on one grid. A sequence that is not given is taken as missing. The mask has the slice's own
rows and columns, and the values that preprocessing.json names. A classifier's chances are printed.

Nothing else of Synthoma is needed: read it as the description of what has to be done in another language.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]
Box = tuple[int, int, int, int]
"""First row, first column, rows, columns."""


def window(image: NDArray[Any], method: str) -> tuple[float, float]:
    """Offset and scale of grey values: normalised = (value - offset) / scale."""
    if method == "unit":
        if image.dtype == np.uint8:
            return 0.0, 255.0
        low, high = float(image.min()), float(image.max())
        return low, high - low or 1.0
    values = image.ravel().astype(np.float32)
    offset = float(np.percentile(values, 0.5))
    peak = float(np.percentile(values, 99.9)) - offset
    tissue = values[values > offset + 0.08 * peak]
    if not tissue.size:
        tissue = values
    return offset, float(np.percentile(tissue, 99.5)) - offset or 1.0


def dark_around(image: NDArray[Any]) -> NDArray[Any]:
    """An image with z-scores within the brain and 0 around it, with the darkest tissue at 0; any other as it is."""
    if image.dtype.kind == "u" or not -np.inf < image.min() < 0 or not image.max() < np.inf:
        return image
    floor, bright = np.percentile(image, (0.1, 99.5)).tolist()
    if floor >= -0.01 * (bright - floor) or float(np.mean(image == 0)) <= 0.2:
        return image
    up = np.maximum(image.astype(np.float32) - np.float32(floor), 0)
    return np.where(image == 0, np.float32(0), up)


def smoothed(image: Image) -> Image:
    """A Gaussian of 1 pixel, cut at 4; beyond the border the picture is mirrored, the border pixel twice."""
    kernel = np.exp(-0.5 * np.arange(-4, 5) ** 2.0)
    kernel /= kernel.sum()
    for axis in (0, 1):
        wide = np.pad(image.astype(np.float64), [(4, 4) if one == axis else (0, 0) for one in (0, 1)], "symmetric")
        length = image.shape[axis]
        parts = [weight * wide.take(np.arange(at, at + length), axis) for at, weight in enumerate(kernel)]
        image = np.sum(parts, axis=0).astype(np.float32)
    return image


def otsu(image: Image) -> float:
    """The threshold of Otsu (1979) on 256 bins from the least to the largest value."""
    if image.min() == image.max():
        return float(image.flat[0])
    counts, edges = np.histogram(image, 256, (image.min(), image.max()))
    centres = (edges[1:] + edges[:-1]) / 2
    below, above = np.cumsum(counts), np.cumsum(counts[::-1])[::-1]
    lower = np.cumsum(counts * centres) / below
    upper = np.cumsum((counts * centres)[::-1])[::-1] / above
    return float(centres[np.argmax(1.0 * below[:-1] * above[1:] * (lower[:-1] - upper[1:]) ** 2)])


def beside(inside: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """The same and its four neighbours; beyond the border is nothing."""
    wide = np.pad(inside, 1)
    return [wide[1:-1, 1:-1], wide[:-2, 1:-1], wide[2:, 1:-1], wide[1:-1, :-2], wide[1:-1, 2:]]


def largest_region(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest set of pixels that touch at a side; the first of equals, row by row."""
    left, best = inside.copy(), np.zeros_like(inside)
    for place in np.argwhere(inside):
        if not left[tuple(place)]:
            continue
        found = region_of(left, (int(place[0]), int(place[1])))
        left &= ~found
        if found.sum() > best.sum():
            best = found
    return best


def region_of(inside: NDArray[np.bool_], start: tuple[int, int]) -> NDArray[np.bool_]:
    """All pixels that are reached from one over sides."""
    found = np.zeros_like(inside)
    found[start] = True
    todo = [start]
    while todo:
        row, column = todo.pop()
        for near in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
            there = 0 <= near[0] < inside.shape[0] and 0 <= near[1] < inside.shape[1]
            if there and inside[near] and not found[near]:
                found[near] = True
                todo.append(near)
    return found


def head_box(images: list[NDArray[Any]]) -> Box:
    """The box around the head with a margin of 2 % of its longer side; the whole slice where no head is seen."""
    pixels = np.max([one.astype(np.float32) / (float(np.percentile(one, 99.5)) or 1.0) for one in images], axis=0)
    rows, columns = pixels.shape
    pixels = smoothed(pixels.astype(np.float32))
    low, high = float(pixels.min()), float(np.percentile(pixels, 99.5))
    if not high > low:
        return 0, 0, rows, columns
    background = float(np.median(np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])))
    light = background > (low + high) / 2
    distance = np.abs(np.minimum(pixels, high) - background) if light else pixels - low
    above = distance > 0.5 * otsu(np.minimum(distance, high - low))
    opened = np.any(beside(np.all(beside(above), axis=0)), axis=0)
    head = largest_region(opened)  # holes in it do not change its box
    down, across = np.flatnonzero(head.any(axis=1)), np.flatnonzero(head.any(axis=0))
    if len(down) < 2 or len(across) < 2:
        return 0, 0, rows, columns
    margin = round(0.02 * int(max(down[-1] - down[0], across[-1] - across[0])))
    top, left = max(int(down[0]) - margin, 0), max(int(across[0]) - margin, 0)
    bottom, right = min(int(down[-1]) + margin + 1, rows), min(int(across[-1]) + margin + 1, columns)
    return top, left, bottom - top, right - left


def box_of(images: list[NDArray[Any]], rule: dict[str, Any]) -> Box:
    """The part of the slice that is shown."""
    top, left, rows, columns = head_box(images) if rule["crop"] else (0, 0, *images[0].shape)
    if rule["pad"] is not None:
        side = int(rule["pad"])
        top, left, rows, columns = top - (side - rows) // 2, left - (side - columns) // 2, side, side
    if rule["window"] is not None:
        first, last = rule["window"]
        top, left, rows, columns = top + first, left + first, last - first, last - first
    return top, left, rows, columns


def overlap(box: Box, shape: tuple[int, ...]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Where a box and a slice overlap: in the slice, and in the box."""
    inside, of_box = [], []
    for start, length, side in ((box[0], box[2], shape[0]), (box[1], box[3], shape[1])):
        first, last = min(max(start, 0), side), max(min(start + length, side), 0)
        inside.append(slice(first, max(first, last)))
        of_box.append(slice(first - start, max(first, last) - start))
    return (inside[0], inside[1]), (of_box[0], of_box[1])


def fitted(box: Box, size: int, rule: dict[str, Any], pixel_mm: tuple[float, float]) -> tuple[int, int]:
    """Rows and columns of the box in the square."""
    if rule["fitting"] == "stretch":
        return size, size
    height, width = box[2] * pixel_mm[0], box[3] * pixel_mm[1]
    side = max(height, width) / size
    return max(1, round(height / side)), max(1, round(width / side))


def weights(before: int, after: int, kind: str) -> NDArray[np.float64]:
    """How much each of ``before`` pixels gives to each of ``after``, (after, before); as Pillow does it."""
    reach = {"area": 0.5, "triangle": 1.0, "cubic": 2.0}[kind]
    step = before / after
    wide = max(step, 1.0)
    found = np.zeros((after, before))
    for place in range(after):
        centre = (place + 0.5) * step
        first = max(int(centre - reach * wide + 0.5), 0)
        last = min(int(centre + reach * wide + 0.5), before)
        x = (np.arange(first, last) - centre + 0.5) / wide
        if kind == "area":
            share = ((x > -0.5) & (x <= 0.5)).astype(np.float64)
        elif kind == "triangle":
            share = np.maximum(0.0, 1.0 - np.abs(x))
        else:  # Keys (1981) with a = -0.5
            far = np.abs(x)
            near = (1.5 * far - 2.5) * far**2 + 1
            share = np.where(far < 1, near, np.where(far < 2, ((-0.5 * far + 2.5) * far - 4) * far + 2, 0.0))
        found[place, first:last] = share / share.sum()
    return found


def resized(image: Image, rows: int, columns: int, kind: str) -> Image:
    """A picture at another size: columns first, then rows."""
    if image.shape[1] != columns:
        image = (image.astype(np.float64) @ weights(image.shape[1], columns, kind).T).astype(np.float32)
    if image.shape[0] != rows:
        image = (weights(image.shape[0], rows, kind) @ image.astype(np.float64)).astype(np.float32)
    return image


def interpolated(image: Image, rows: int, columns: int) -> Image:
    """A picture at another size by plain linear interpolation, without smoothing first."""
    for axis, new in ((0, rows), (1, columns)):
        old = image.shape[axis]
        place = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
        first = np.minimum(place.astype(int), max(old - 2, 0))
        share = (place - first).reshape([-1 if one == axis else 1 for one in (0, 1)])
        second = np.minimum(first + 1, old - 1)
        image = (image.take(first, axis) * (1 - share) + image.take(second, axis) * share).astype(np.float32)
    return image


def squares(
    images: dict[str, NDArray[Any]], said: dict[str, Any], pixel_mm: tuple[float, float] = (1.0, 1.0)
) -> tuple[Image, Box, tuple[int, int]]:
    """The slice as the network takes it (1, channels, size, size), the box that is shown, and its place in the square.

    Args:
        images: (rows, columns) by name of the sequence.
        said: preprocessing.json.
        pixel_mm: height and width of a pixel.
    """
    rule, size = said["framing"], int(said["input"]["size"])
    if rule["resampling"] == "cubic":
        raise SystemExit("this example has no cubic splines: use scipy.ndimage.map_coordinates(order=3)")
    known = [one["sequence"] for one in said["input"]["channels"] if one["slice"] == 0]
    absent = [name for name in known if name not in images]
    if len(absent) == len(known) or (absent and not said["missing"]["allowed"]):
        raise SystemExit(f"the network needs {', '.join(absent)}")
    images = {name: dark_around(image) for name, image in images.items()}
    shown = [images[name] for name in known if name in images]
    box = box_of(shown, rule)
    rows, columns = fitted(box, size, rule, pixel_mm)
    layers = {}
    for name in known:
        layers[name] = np.zeros((size, size), np.float32)
        if name not in images:
            continue
        image = images[name]
        offset, scale = window(image, rule["normalisation"])
        normalised = ((image.astype(np.float32) - np.float32(offset)) / np.float32(scale)).astype(np.float32)
        dark = np.float32((float(image.min()) - offset) / scale)
        part = np.full((box[2], box[3]), dark, np.float32)
        inside, of_box = overlap(box, image.shape)
        part[of_box] = normalised[inside]
        low, high = part.min(), part.max()
        if part.shape != (rows, columns):
            if rule["resampling"] == "linear":
                part = interpolated(part, rows, columns)
            else:
                shrinking = rows <= part.shape[0] and columns <= part.shape[1]
                part = resized(part, rows, columns, "area" if shrinking else "cubic")
        top, left = (size - rows) // 2, (size - columns) // 2
        layers[name][:] = dark
        layers[name][top : top + rows, left : left + columns] = part.clip(low, high)
    # A single slice stands for its neighbours too.
    stack = np.stack([layers[one["sequence"]] for one in said["input"]["channels"]])
    return stack[None], box, (rows, columns)


def answered(folder: Path, said: dict[str, Any], inputs: Image) -> Image:
    """What the network says: probabilities (1, targets, size, size), or chances (1, classes)."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    found: Image = session.run([said["output"]["name"]], {said["input"]["name"]: inputs})[0]
    return found


def put_back(layer: Image, box: Box, place: tuple[int, int], shape: tuple[int, ...]) -> Image:
    """A map over the square brought back onto the slice."""
    rows, columns = place
    top, left = (len(layer) - rows) // 2, (len(layer) - columns) // 2
    part = resized(layer[top : top + rows, left : left + columns], box[2], box[3], "triangle")
    whole = np.zeros(shape, np.float32)
    inside, of_box = overlap(box, shape)
    whole[inside] = part[of_box]
    return whole


def main(words: list[str]) -> int:
    """Read slices, ask the network, write the mask."""
    output = Path(words[words.index("-o") + 1]) if "-o" in words else Path("mask.npy")
    pairs = [word.partition("=") for word in words if "=" in word]
    if not pairs:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    folder = Path(__file__).resolve().parent
    said = json.loads((folder / "preprocessing.json").read_text(encoding="utf-8"))
    images = {name: np.load(path, allow_pickle=False) for name, _, path in pairs}
    inputs, box, place = squares(images, said)
    found = answered(folder, said, inputs)[0]
    if said["kind"] == "classifier":
        named = zip(said["output"]["names"], found.tolist(), strict=True)
        sys.stdout.write("\n".join(f"{name} {chance:.4f}" for name, chance in named) + "\n")
        return 0
    shape = next(iter(images.values())).shape
    mask = np.zeros(shape, np.uint8)
    for layer, least, value in zip(found, said["output"]["thresholds"], said["output"]["mask_values"], strict=True):
        mask[put_back(layer, box, place, shape) >= least] = value
    np.save(output, mask)
    sys.stdout.write(f"{output}: {int((mask > 0).sum())} pixels of {said['output']['names'][0]}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
