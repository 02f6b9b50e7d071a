"""The functions behind ``Case.load``: module-level and picklable, so that worker processes can read cases."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from synthoma.core.errors import InputError
from synthoma.core.types import WHOLE_TUMOUR, Array, Bytes
from synthoma.core.untrusted import printable
from synthoma.scans.case import Geometry, Study, Volume
from synthoma.scans.conventions import MOST_LABELS, Decision, labelled
from synthoma.scans.files import PICTURES, kind_of
from synthoma.scans.images import grey, read_image, read_labels

Modality = tuple[str, tuple[Path, ...]]
"""A modality's name and its files: one volume, or one picture a slice."""


UNSETTLED = Decision(None, "nobody has looked at all masks yet", ("whole-tumour",))
"""The meaning of a mask before all masks of its set were looked at, see ``meaning.settle``."""

MOSTLY_ZERO = 0.5
"""Least share of background in a volume that is taken for a mask by its content."""

_COLOURED = 96
"""Difference of channels from which a pixel is coloured: compression tints greys by less."""

_SCAN_SHARE = 0.05
"""Share of middle greys from which they are a scan, and not the edges of a compressed mask."""

# Share of the frame that is marked: tumours hardly ever touch it.
_INVERTED = 0.9


class MaskError(InputError):
    """A mask that cannot be used, of a case whose images can.

    Args:
        error: what is wrong with the mask.
        study: the case without it.
    """

    def __init__(self, error: InputError, study: Study) -> None:
        super().__init__(error.expected, error.came, error.todo)
        self.study = study

    # Worker processes send it: an exception is made again from its texts (`args`), which `__init__` does not take.
    def __reduce__(self) -> tuple[type[MaskError], tuple[InputError, Study]]:
        return MaskError, (InputError(self.expected, self.came, self.todo), self.study)


def load_files(
    modalities: tuple[Modality, ...],
    mask: tuple[Path, ...],
    decision: Decision,
    channels: tuple[tuple[str, int], ...] = (),
) -> Study:
    """Read a case whose modalities are files of their own, or channels of one file.

    Modalities that lie on another grid of the same patient position are resampled onto the grid of FLAIR, or of the
    first one where there is no FLAIR. A mask that lies on that grid, but was cropped or turned, is put back in place.

    Args:
        modalities: name and files of each.
        mask: files of the mask, none where there is none.
        decision: what the mask's values mean.
        channels: which volume of its file a modality is, where files hold several.

    Raises:
        InputError: a file that cannot be read, a constant image, an image that is a mask, or grids that do not belong
            together.
    """
    place = dict(channels)
    volumes = {name: _read_all(paths, place.get(name)) for name, paths in modalities}
    for name, volume in volumes.items():
        if volume.voxels.any() and looks_like_mask(volume.voxels):  # of an empty one that is said below
            todo = "put its image beside it under the same name, or remove it"
            came = f"{name}: a mask by its content (a few whole numbers, mostly 0)"
            raise InputError("an image", came, todo)
    study = assemble(volumes)
    if not mask:
        return study
    try:
        labels, names, remarks = _read_mask(mask, decision, study)
    except InputError as error:
        raise MaskError(error, study) from error
    return replace(study, mask=labels, labels=names, remarks=(*study.remarks, *remarks))


def looks_like_mask(voxels: Array) -> bool:
    """Whether an image holds a mask: at most a few whole numbers from 0 up, and mostly 0.

    Args:
        voxels: (z, y, x).
    """
    if voxels.size == 0 or np.count_nonzero(voxels) > (1 - MOSTLY_ZERO) * voxels.size:
        return False
    # A sample first: it shows too many values of nearly every image, and sorting a whole volume is slow.
    sample = np.unique(voxels.ravel()[:: max(1, voxels.size // 2**16)])
    if sample.size > MOST_LABELS // 2:
        return False
    present = np.unique(voxels)
    return bool(present.size <= MOST_LABELS // 2 and present[0] >= 0 and (present == np.rint(present)).all())


def load_mask(path: Path) -> Array:
    """A mask file as stored, (z, y, x).

    Raises:
        InputError: a file that cannot be read.
    """
    if kind_of(path) in PICTURES:
        return read_labels(path)[None]
    from synthoma.scans.volumes import read_volume

    return read_volume(path).voxels


def mask_values(path: Path) -> Array:
    """The different values of a mask file, rising.

    Raises:
        InputError: a file that cannot be read.
    """
    return np.unique(load_mask(path))


def _read_mask(paths: tuple[Path, ...], decision: Decision, study: Study) -> tuple[Bytes, dict[int, str], list[str]]:
    """Labels on the study's grid, what they mean, and remarks.

    Raises:
        InputError: a mask that cannot be read, lies elsewhere, is inverted, or whose values have no known meaning.
    """
    if kind_of(paths[0]) in PICTURES:
        codes = _stack(paths, read_labels, decode=lambda picture: picture)
        given = decision.convention is not None and bool(decision.convention.values)
        stored = Volume(codes if given else np.stack([tumour_in_picture(layer) for layer in codes]))
    else:
        with _naming(paths[0]):
            stored = _read_all(paths)
    stored = on_grid(stored, study)
    with _naming(paths[0]):
        if decision.convention is None:
            raise decision.refusal()
        _check_upright(stored.voxels)
        labels, names = labelled(stored.voxels, decision.convention)
    share = float((labels > 0).mean())
    remarks = [f"{printable(paths[0].name)}: {100 * share:.0f} % of it is mask"] if share > MOSTLY_ZERO else []
    return labels, names, [*remarks, *stored.remarks]


def tumour_in_picture(codes: Array) -> Bytes:
    """What is tumour in a picture of a mask: all that is not background.

    Where greys form a continuum (a smoothed or JPEG-compressed edge), what lies above half of the brightest.

    Args:
        codes: (H, W) as `images.read_labels` gives them: labels, greys, or colours as 0xRRGGBB.
    """
    # Counting bytes is many times faster than sorting them.
    present = np.flatnonzero(np.bincount(codes.ravel())) if codes.dtype == np.uint8 else np.unique(codes)
    if present[0] < 0:
        raise InputError("a mask with background 0", f"values from {present[0]:g}", "correct the mask, or remove it")
    if present.size > MOST_LABELS // 2 or (present != np.rint(present)).any():
        bright = codes if present[-1] <= 65535 else _marking(codes)
        return np.asarray(bright > bright.max() / 2, dtype=np.uint8)
    return np.asarray(codes > 0, dtype=np.uint8)


def _marking(codes: Array) -> Array:
    """How strongly each pixel of a coloured picture marks: its brightness; its colour where that lies over a scan."""
    channels = [(codes >> shift) & 255 for shift in (0, 8, 16)]
    bright, colour = np.max(channels, axis=0), np.max(channels, axis=0) - np.min(channels, axis=0)
    # Greys between black and white are the scan itself: bright tissue would count as tumour.
    greys = (colour < _COLOURED / 2) & (bright > 48) & (bright < 208)
    over_scan = colour.max() >= _COLOURED and greys.mean() > _SCAN_SHARE
    return np.asarray(colour if over_scan else bright)


def _check_upright(mask: Array) -> None:
    """Refuse a mask whose background is marked and whose tumour is 0."""
    layers = mask if mask.shape[0] > 1 else mask[:1]
    rim = np.concatenate(
        [layers[:, 0].ravel(), layers[:, -1].ravel(), layers[:, :, 0].ravel(), layers[:, :, -1].ravel()]
    )
    if (rim != 0).mean() >= _INVERTED and 0 < (mask == 0).mean() < MOSTLY_ZERO:
        came = f"an inverted one: its rim is marked, and {100 * float((mask == 0).mean()):.0f} % are 0"
        raise InputError("a mask with background 0", came, "invert it, so that tumour is not 0")


def assemble(volumes: Mapping[str, Volume], reference_name: str = "flair") -> Study:
    """Put modalities onto one grid.

    Args:
        volumes: by modality.
        reference_name: whose grid is taken; that of the first one where there is none of this name.

    Raises:
        InputError: an image of one value, or grids that do not belong together.
    """
    for name, volume in volumes.items():
        check_content(name, volume.voxels)
    reference = volumes.get(reference_name, next(iter(volumes.values())))
    remarks = tuple(dict.fromkeys(f"{name}: {text}" for name, one in volumes.items() for text in one.remarks))
    images = {name: _aligned(name, one, reference).voxels for name, one in volumes.items()}
    return Study(images, reference.geometry, remarks=remarks)


def load_channels(slices: tuple[Path, ...], masks: tuple[Path, ...], channels: tuple[tuple[str, int], ...]) -> Study:
    """Read a stack of pictures whose colour channels are modalities.

    Args:
        slices: one picture a slice, in order.
        masks: one mask a slice, or none at all.
        channels: modality and channel; a grey picture has only channel 0.

    Raises:
        InputError: a slice that cannot be read, lacks a channel, or differs in size from the first.
    """
    stack = _stack(slices, read_image, decode=_as_channels)
    depth = stack.shape[-1]
    if depth <= max(channel for _, channel in channels):
        raise InputError("slices with a channel for each modality", f"{depth} channel(s)", "use the layout 'folders'")
    images = {name: np.ascontiguousarray(stack[..., channel]) for name, channel in channels}
    for name, image in images.items():
        check_content(name, image)
    if not masks:
        return Study(images)
    try:
        codes = _stack(masks, read_labels, decode=tumour_in_picture)
        _check_upright(codes)
        return Study(images, None, codes, WHOLE_TUMOUR)
    except InputError as error:
        raise MaskError(error, Study(images)) from error


def _read_all(paths: tuple[Path, ...], channel: int | None = None) -> Volume:
    """One file as a volume, or several pictures as its slices."""
    if len(paths) > 1:
        return Volume(_stack(paths, read_image, decode=grey))
    with _naming(paths[0]):
        if kind_of(paths[0]) in PICTURES:
            return Volume(grey(read_image(paths[0]))[None])
        from synthoma.scans.volumes import read_volume  # SimpleITK is slow to load, and pictures do without

        return read_volume(paths[0], channel)


def _stack(paths: tuple[Path, ...], read: Callable[[Path], Array], decode: Callable[[Array], Array]) -> Array:
    """Pictures of one size, converted and stacked along a new first axis."""
    layers: list[Array] = []
    for path in paths:
        with _naming(path):
            layer = decode(read(path))
            if layers and layer.shape != layers[0].shape:
                came = f"{_times(layer.shape)} after {_times(layers[0].shape)}"
                raise InputError("slices of one size", came, "export all slices of the study in one size")
            layers.append(layer)
    return np.stack(layers)


def _as_channels(picture: Array) -> Array:
    """(H, W, C), with C = 1 for a grey picture."""
    return picture[..., None] if picture.ndim == 2 else picture


def _aligned(name: str, volume: Volume, reference: Volume) -> Volume:
    """The volume on the reference's grid."""
    if volume is reference or (volume.geometry is None and volume.voxels.shape == reference.voxels.shape):
        return volume
    from synthoma.scans.grids import onto_grid

    try:
        return onto_grid(volume, reference)
    except InputError as error:
        raise InputError(error.expected, f"{name}: {error.came}", error.todo) from error


def on_grid(mask: Volume, study: Study) -> Volume:
    """A mask on the image's own grid, put back where it was cropped or turned.

    Nothing is resampled, which would move the borders of labels.

    Raises:
        InputError: a mask of another grid, or one that marks what lies outside of the image.
    """
    todo = "save the mask on the image's grid"
    shape = next(iter(study.images.values())).shape
    own, grid = mask.geometry, study.geometry
    if own is not None and grid is not None and grid.placed and not _lost(own):
        from synthoma.scans.grids import paste_onto, same_grid

        if mask.voxels.shape == shape and same_grid(own, grid):
            return mask
        if (pasted := paste_onto(mask, grid, shape)) is not None:
            return pasted
        if mask.voxels.shape == shape:
            raise InputError("a mask on the image's grid", "one of the same shape in another place", todo)
    if mask.voxels.shape != shape:
        came = f"{_times(mask.voxels.shape)} for an image of {_times(shape)} (z, y, x)"
        raise InputError("a mask of the image's shape", came, todo)
    return mask


def _lost(geometry: Geometry) -> bool:
    """Whether a file says nothing of its place: no frame, or unit spacing at the origin for want of one."""
    return not geometry.placed or (geometry.spacing == (1.0, 1.0, 1.0) and not any(geometry.origin))


def check_content(name: str, image: Array) -> None:
    """An image of one value shows nothing."""
    if image.min() == image.max():
        raise InputError("an image that shows something", f"{name}: every pixel is {image.flat[0]}", "remove it")


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Say which of a case's files an error is about."""
    try:
        yield
    except InputError as error:
        name = f"{printable(path.name)}: "
        if error.came.startswith(name):  # named further down
            raise
        raise InputError(error.expected, f"{name}{error.came}", error.todo) from error


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
