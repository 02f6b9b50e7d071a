"""Masks that a person corrected: checked against the one that the model made, and saved beside it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from synthoma.core.errors import InputError
from synthoma.core.provenance import file_digest
from synthoma.core.whole_files import write_json
from synthoma.studio import look, pictures
from synthoma.studio.gathered import meanings
from synthoma.studio.origin import case_of
from synthoma.studio.refusal import RefusedError
from synthoma.studio.reviews import BY_HAND, MASK, Reviews, corrected_of, model_masks
from synthoma.studio.studio import Studio, texts

if TYPE_CHECKING:
    from synthoma.core.types import Bytes
    from synthoma.scans.case import Volume

NOTE = "corrected by hand, not by a model"
PLANES = ("axial", "coronal", "sagittal")
_LARGEST_LABEL = 4


@dataclass(frozen=True)
class Finding:
    """What is corrected.

    Attributes:
        folder: of the findings of one scan.
        masks: names of the files that the model made: one volume, or one picture a slice.
        original: what they hold.
    """

    folder: Path
    masks: list[str]
    original: Volume

    @property
    def pictures(self) -> bool:
        """Whether its masks are pictures."""
        return pictures.are_pictures(self.masks)


class Masks:
    """Takes corrected masks in.

    Args:
        studio: where findings lie.
    """

    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    def routes(self) -> list[Route]:
        """The addresses that take them."""
        return [
            Route("/correct/{at:path}", self.studio.change(self.correct), methods=["POST"]),
            Route("/between/{at:path}", self.studio.change(self.between), methods=["POST"]),
            Route("/threshold/{at:path}", self.studio.change(self.threshold), methods=["POST"]),
        ]

    def correct(self, request: Request, form: FormData) -> Response:
        """Save a mask that was drawn: it comes as NIfTI on the grid of the scan, and is kept as the model's is."""
        found = self._finding(request)
        drawn = self._drawn(form, found.original)
        return self._saved(found, drawn, "drawn", texts(form).get("began"))

    def between(self, request: Request, form: FormData) -> Response:
        """A mask that was drawn, with the slices between the drawn ones filled; nothing is saved."""
        from synthoma.scans.case import Volume
        from synthoma.scans.orientation import turning
        from synthoma.scans.volumes import write_volume
        from synthoma.studio.between import filled_between

        original = self._finding(request).original
        given = texts(form)
        plane, which = given.get("plane", PLANES[0]), given.get("which", "empty")
        if plane not in PLANES or which not in ("empty", "mine"):
            raise RefusedError(422, f"one of {', '.join(PLANES)}, and empty or mine", "others", "use the form")
        drawn = self._drawn(form, original)
        geometry = original.geometry
        # The array's axes as a radiologist names planes: across axial slices it goes up, and so on.
        axis = turning(geometry)[0][PLANES.index(plane)]
        spacing = (1.0, 1.0, 1.0) if geometry is None else geometry.spacing[::-1]
        filled, count = filled_between(drawn, original.voxels, axis, "mine" if which == "mine" else "empty", spacing)
        with TemporaryDirectory(dir=self.studio.places.own) as aside:
            path = Path(aside) / "filled.nii"
            write_volume(Volume(filled, geometry), path)
            headers = {"x-slices": str(count)}
            return Response(path.read_bytes(), media_type="application/octet-stream", headers=headers)

    def _drawn(self, form: FormData, original: Volume) -> Bytes:
        """The labels that were sent, if they lie on the grid of the original."""
        sent = form.get("mask")
        if not isinstance(sent, UploadFile):
            raise RefusedError(422, "a mask", "none", "draw one first")
        with TemporaryDirectory(dir=self.studio.places.own) as aside:
            # The content tells: what begins as gzip does is one.
            content = sent.file.read(self.studio.limits.mask_bytes + 1)
            path = Path(aside) / ("drawn.nii.gz" if content[:2] == b"\x1f\x8b" else "drawn.nii")
            path.write_bytes(content)
            return _checked(path, original)

    def threshold(self, request: Request, form: FormData) -> Response:
        """Save what lies above a threshold of the probability, where one tumour was looked for."""
        import numpy as np

        found = self._finding(request)
        try:
            value = float(texts(form).get("threshold", ""))
        except ValueError:
            value = float("nan")
        if not 0 < value < 1:
            raise RefusedError(422, "a threshold between 0 and 1", "something else", "use the slider")
        targets = probabilities(look.json_of(found.folder / "findings.json"))
        if len(targets) != 1:
            came = f"{len(targets)} of them"
            raise RefusedError(422, "the probability of one kind of tumour", came, "use the brush")
        chance = chance_of(self.studio, found.folder, targets[0]).voxels
        if chance.shape != found.original.voxels.shape:
            raise RefusedError(422, "a probability on the grid of the mask", "another grid", "look at the scan again")
        return self._saved(found, (chance >= value).astype(np.uint8), f"probability at least {value:g}")

    def _saved(self, found: Finding, mask: Bytes, how: str, began: str | None = None) -> Response:
        """Save a mask, and as DICOM SEG where the scan came so; whoever corrects it says that it is right.

        Args:
            found: what is corrected.
            mask: labels on its grid.
            how: it was made.
            began: name of the correction that the brush went on from; "" for the model's mask, None for nobody's.
        """
        with self.studio.writing:  # two may save together
            newest = next(iter(corrected_of(found.folder)[::-1]), "")
            facts = _saved(found, mask, how)
        file, remarks = str(facts["file"]), list[str]()
        if began is not None and newest and began != newest:
            remarks.append(f"{newest} was saved meanwhile, and this mask does not hold what is drawn there")
        if not found.pictures:
            made, said = self._segmentation(found.folder, file, mask, str(facts["of_sha256"]))
            facts |= made
            remarks += said
        facts |= {"remarks": remarks} if remarks else {}
        write_json(found.folder / f"{file.removesuffix('.nii.gz').removesuffix('.png')}.json", facts)
        Reviews(self.studio.store).say(found.folder, "corrected", file)
        return JSONResponse(facts, 201)

    def _segmentation(self, folder: Path, file: str, mask: Bytes, corrected: str) -> tuple[dict[str, str], list[str]]:
        """The DICOM SEG of a corrected mask, by name, and why there is none; nothing where no series was looked at."""
        from synthoma.scans.layouts.dicom_loading import reference_series

        case = case_of(self.studio, folder)
        series = None if case is None else reference_series(case)
        if series is None:
            return {}, []
        from synthoma.exports.corrected import write_corrected

        name = file.replace(".nii.gz", ".seg.dcm")
        labels = meanings(look.json_of(folder / "findings.json"))
        try:
            write_corrected(folder / name, series, mask, labels, corrected)
        except InputError as error:
            return {}, [f"no DICOM SEG: {error}"]
        return {"dicom_seg": name}, []

    def _finding(self, request: Request) -> Finding:
        """The findings of a scan, and the mask that the model made.

        Raises:
            RefusedError: they lie outside of the workspace, or have no mask.
        """
        from synthoma.scans.volumes import read_volume

        folder = self.studio.places.find(request.path_params["at"])
        facts = look.json_of(folder / "findings.json")
        if not folder.is_relative_to(self.studio.places.workspace):
            raise RefusedError(
                403, "findings in the workspace", "some that are only read", "look at the scan again here"
            )
        masks = model_masks(folder, facts)
        if not masks:
            raise RefusedError(404, "findings of a scan, with a mask", "something else", "choose a scan")
        if pictures.are_pictures(masks):
            return Finding(folder, masks, pictures.stack(folder, masks))
        name = next(one for one in masks if one.endswith(MASK))
        return Finding(folder, [name], read_volume(folder / name))


def probabilities(facts: look.Facts) -> list[list[str]]:
    """Names of the files that hold probabilities of a finding, by target: a volume, or one picture a slice."""
    names = look.inner(facts, "files").get("probabilities")
    known = set(look.files_of(facts, 10_000))
    listed = [str(one) for one in names if str(one) in known] if isinstance(names, list) else []
    targets = {ending: [one for one in listed if one.endswith(ending)] for ending in map(_ending, listed)}
    volumes = [[one] for one in listed if one.endswith(".nii.gz")]
    return volumes or [found for ending, found in targets.items() if ending.endswith(".png")]


def _ending(name: str) -> str:
    """What the pictures of one target end with: ``_probability_tumour core.png``."""
    return name[name.rfind("_probability") :]


def chance_of(studio: Studio, folder: Path, names: list[str]) -> Volume:
    """The probability of one target, as a volume.

    Args:
        studio: which.
        folder: of the findings of one scan.
        names: its files.
    """
    from synthoma.scans.volumes import read_volume

    at = studio.places.address(folder)
    paths = [studio.places.find(f"{at}/{name}") for name in names]  # a link may lead out of it
    return pictures.chances(folder, names) if names[0].endswith(".png") else read_volume(paths[0])


def _checked(path: Path, original: Volume) -> Bytes:
    """The labels of a mask that was sent, if it lies on the grid of the original.

    Raises:
        RefusedError: another grid, or values that are no labels.
    """
    import numpy as np

    from synthoma.scans.volumes import read_volume

    drawn = read_volume(path)
    if drawn.voxels.shape != original.voxels.shape:
        came = "x".join(map(str, drawn.voxels.shape[::-1]))
        raise RefusedError(422, "a mask on the grid of the scan", f"one of {came} voxels", "reload the page")
    if drawn.geometry is not None and original.geometry is not None:
        ours, theirs = original.geometry, drawn.geometry
        numbers = [(*one.spacing, *one.origin, *one.direction) for one in (ours, theirs)]
        # Single precision and a quaternion lie between: a hundredth of a millimetre is no other place.
        if not np.allclose(numbers[0], numbers[1], atol=0.01, rtol=1e-4):
            raise RefusedError(422, "a mask on the grid of the scan", "one that lies elsewhere", "reload the page")
    labels = np.unique(drawn.voxels)
    if not np.isin(labels, np.arange(_LARGEST_LABEL + 1)).all():
        raise RefusedError(422, f"labels from 0 to {_LARGEST_LABEL}", "other values", "use the brush of the page")
    return np.asarray(drawn.voxels, np.uint8)


def _saved(found: Finding, mask: Bytes, how: str) -> dict[str, object]:
    """Write a mask under a name that is free, in the scan's own geometry, and say where it came from.

    The name appears with all that belongs to it: a disk that is full, or an end in the middle, leaves no correction.
    """
    import numpy as np

    from synthoma.scans.case import Volume
    from synthoma.scans.volumes import write_volume

    first, grid = found.masks[0], found.original.geometry
    stem, kind = first.removesuffix(".nii.gz").removesuffix(".png"), ".png" if found.pictures else ".nii.gz"
    number, path = 1, found.folder / f"{stem}{BY_HAND}{kind}"
    while path.exists():
        number += 1
        path = found.folder / f"{stem}{BY_HAND}_{number}{kind}"
    if found.pictures:
        pictures.save(found.folder, found.masks, mask, path.name.removeprefix(stem))
    else:
        write_volume(Volume(mask, grid), path, description=NOTE)
    voxel = float(np.prod(grid.spacing)) if grid is not None and grid.thick else None
    return {
        "file": path.name,
        "note": NOTE,
        "how": how,
        "of": first,
        "of_sha256": file_digest(found.folder / first),
        "volume_ml": None if voxel is None else round(int((mask > 0).sum()) * voxel / 1000, 3),
        "changed_voxels": int((mask != found.original.voxels).sum()),
        "written": time.strftime("%Y-%m-%dT%H:%M:%S"),
    }
