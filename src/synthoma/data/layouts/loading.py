"""The functions behind ``Case.load``: module-level and picklable, so that worker processes can read cases."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from synthoma.data.case import Geometry, Study, Volume
from synthoma.data.files import PICTURES, kind_of, printable
from synthoma.data.images import grey, read_image
from synthoma.data.layouts.masks import Meaning, labelled
from synthoma.errors import InputError
from synthoma.types import WHOLE_TUMOUR, Array, Bytes

Modality = tuple[str, tuple[Path, ...]]
"""A modality's name and its files: one volume, or one picture a slice."""


class MaskError(InputError):
    """A mask that cannot be used, of a case whose images can.

    Args:
        error: what is wrong with the mask.
        study: the case without it.
    """

    def __init__(self, error: InputError, study: Study) -> None:
        super().__init__(error.expected, error.came, error.todo)
        self.study = study

    def __reduce__(self) -> tuple[type[MaskError], tuple[InputError, Study]]:
        return MaskError, (InputError(self.expected, self.came, self.todo), self.study)


def load_files(modalities: tuple[Modality, ...], mask: tuple[Path, ...], meaning: Meaning) -> Study:
    """Read a case whose modalities are files of their own.

    Modalities that lie on another grid of the same patient position are resampled onto the grid of FLAIR, or of the
    first one where there is no FLAIR.

    Args:
        modalities: name and files of each.
        mask: files of the mask, none where there is none.
        meaning: convention of the mask's values.

    Raises:
        InputError: a file that cannot be read, a constant image, or grids that do not belong together.
    """
    study = assemble({name: _read_all(paths) for name, paths in modalities})
    if not mask:
        return study
    try:
        stored = _read_all(mask)
        _check_mask_grid(stored, study)
        with _naming(mask[0]):
            labels, names = labelled(stored.voxels, "tumour" if kind_of(mask[0]) in PICTURES else meaning)
    except InputError as error:
        raise MaskError(error, study) from error
    return Study(study.images, study.geometry, labels, names)


def assemble(volumes: Mapping[str, Volume]) -> Study:
    """Put modalities onto one grid: that of FLAIR, or of the first one where there is no FLAIR.

    Raises:
        InputError: an image of one value, or grids that do not belong together.
    """
    for name, volume in volumes.items():
        _check_content(name, volume.voxels)
    reference = volumes.get("flair", next(iter(volumes.values())))
    return Study({name: _aligned(name, one, reference).voxels for name, one in volumes.items()}, reference.geometry)


def load_channels(slices: tuple[Path, ...], masks: tuple[Path, ...], channels: tuple[tuple[str, int], ...]) -> Study:
    """Read a stack of pictures whose colour channels are modalities.

    Args:
        slices: one picture a slice, in order.
        masks: one mask a slice, or none at all.
        channels: modality and channel; a grey picture has only channel 0.

    Raises:
        InputError: a slice that cannot be read, lacks a channel, or differs in size from the first.
    """
    stack = _stack(slices, _as_channels)
    depth = stack.shape[-1]
    if depth <= max(channel for _, channel in channels):
        raise InputError("slices with a channel for each modality", f"{depth} channel(s)", "use the layout 'folders'")
    images = {name: np.ascontiguousarray(stack[..., channel]) for name, channel in channels}
    for name, image in images.items():
        _check_content(name, image)
    if not masks:
        return Study(images)
    try:
        return Study(images, None, _stack(masks, _as_mask), WHOLE_TUMOUR)
    except InputError as error:
        raise MaskError(error, Study(images)) from error


def load_despite_mask(load: Callable[[], Study]) -> Study:
    """Load a case, without its mask where that cannot be used."""
    try:
        return load()
    except MaskError as error:
        return replace(error.study, remarks=(f"its own mask is not used: {error}",))


def load_only(load: Callable[[], Study], modalities: Sequence[str]) -> Study:
    """Load a case and keep some of its modalities."""
    try:
        return _some_of(load(), modalities)
    except MaskError as error:
        raise MaskError(error, _some_of(error.study, modalities)) from error


def _some_of(study: Study, modalities: Sequence[str]) -> Study:
    return replace(study, images={name: image for name, image in study.images.items() if name in modalities})


def _read_all(paths: tuple[Path, ...]) -> Volume:
    """One file as a volume, or several pictures as its slices."""
    if len(paths) > 1:
        return Volume(_stack(paths, grey))
    with _naming(paths[0]):
        if kind_of(paths[0]) in PICTURES:
            return Volume(grey(read_image(paths[0]))[None])
        from synthoma.data.volumes import read_volume  # SimpleITK is slow to load, and pictures do without

        return read_volume(paths[0])


def _stack(paths: tuple[Path, ...], convert: Callable[[Array], Array]) -> Array:
    """Pictures of one size, converted and stacked along a new first axis."""
    layers: list[Array] = []
    for path in paths:
        with _naming(path):
            layer = convert(read_image(path))
            if layers and layer.shape != layers[0].shape:
                came = f"{_times(layer.shape)} after {_times(layers[0].shape)}"
                raise InputError("slices of one size", came, "export all slices of the study in one size")
            layers.append(layer)
    return np.stack(layers)


def _as_channels(picture: Array) -> Array:
    """(H, W, C), with C = 1 for a grey picture."""
    return picture[..., None] if picture.ndim == 2 else picture


def _as_mask(picture: Array) -> Bytes:
    """(H, W) of 0 and 1."""
    return labelled(grey(picture), "tumour")[0]


def _aligned(name: str, volume: Volume, reference: Volume) -> Volume:
    """The volume on the reference's grid."""
    if volume is reference or (volume.geometry is None and volume.voxels.shape == reference.voxels.shape):
        return volume
    from synthoma.data.volumes import onto_grid

    try:
        return onto_grid(volume, reference)
    except InputError as error:
        raise InputError(error.expected, f"{name}: {error.came}", error.todo) from error


def _check_mask_grid(mask: Volume, study: Study) -> None:
    """A mask must lie on the image's own grid: resampling labels would move their borders."""
    todo = "save the mask on the image's grid"
    shape = next(iter(study.images.values())).shape
    if mask.voxels.shape != shape:
        came = f"{_times(mask.voxels.shape)} for an image of {_times(shape)} (z, y, x)"
        raise InputError("a mask of the image's shape", came, todo)
    if mask.geometry is None or study.geometry is None or _lost(mask.geometry):
        return
    from synthoma.data.volumes import same_grid

    if not same_grid(mask.geometry, study.geometry):
        raise InputError("a mask on the image's grid", "one of the same shape in another place", todo)


def _lost(geometry: Geometry) -> bool:
    """Whether a tool saved the file without geometry: unit spacing at the origin says nothing."""
    return geometry.spacing == (1.0, 1.0, 1.0) and not any(geometry.origin)


def _check_content(name: str, image: Array) -> None:
    """An image of one value shows nothing."""
    if image.min() == image.max():
        raise InputError("an image that shows something", f"{name}: every pixel is {image.flat[0]}", "remove it")


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Say which of a case's files an error is about."""
    try:
        yield
    except InputError as error:
        raise InputError(error.expected, f"{printable(path.name)}: {error.came}", error.todo) from error


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
