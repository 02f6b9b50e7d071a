"""Findings as Python has them: the table of scans, masks, pictures."""

from __future__ import annotations

import base64
import io
import shutil
from collections.abc import Sequence
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from synthoma.core.errors import ConfigError, InputError
from synthoma.core.outputs import new_folder
from synthoma.core.types import Place
from synthoma.detection.result import FILE, Detection, read_detection
from synthoma.detection.scan_findings import ScanFindings, read_findings

if TYPE_CHECKING:
    import pandas as pd
    from PIL import Image

    from synthoma.core.types import Bytes


class Findings:
    """What `detect` found, opened. Every command takes it in place of its folder.

    Attributes:
        path: the folder.
        scans: what was looked at, where it is known: slices can then be shown, see ``show``.

    Raises:
        InputError: there are no findings.
    """

    def __init__(self, path: Place, scans: Sequence[Place] = ()) -> None:
        self.path, self.scans = Path(path), tuple(map(Path, scans))
        if not (self.path / FILE).is_file():
            todo = "give the folder that `synthoma detect` wrote"
            raise InputError("a folder of findings", f"{self.path}, which is none", todo)

    def __fspath__(self) -> str:
        return str(self.path)

    def __len__(self) -> int:
        return len(self.table)

    def __repr__(self) -> str:
        found = self.summary
        return f"Findings({str(self.path)!r}: tumour said in {found.with_tumour} of {found.scans} scans)"

    @cached_property
    def summary(self) -> Detection:
        """What detection.json says of all scans together."""
        return read_detection(self.path)

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row a scan, as in index.csv: probability, has_tumour, volume_ml, diameter, side and where files lie."""
        import pandas as pd

        from synthoma.core.untrusted import content_of_cell
        from synthoma.detection.rows import COLUMNS

        texts = ("case", "type", "unit", "diameter_unit", "side", "taken_for", "mask", "overlay", "dicom_seg",
                 "findings", "image_path", "predicted_mask", "remarks", "notice")  # fmt: skip
        place = self.path / "index.csv"
        table = pd.read_csv(place, dtype=dict.fromkeys(texts, "str"))
        kept = pd.read_csv(place, usecols=lambda name: name in texts, dtype="str", keep_default_na=False)
        for name in kept:
            table[name] = kept[name].map(content_of_cell)
        return table[[name for name in COLUMNS if name in table]]

    @property
    def cases(self) -> tuple[str, ...]:
        """Names of the scans."""
        return tuple(self.table["case"])

    def findings(self, case: str) -> ScanFindings:
        """All that was found in a scan.

        Raises:
            ConfigError: there is no scan of that name.
        """
        return read_findings(self.path / self._row(case)["findings"])

    def mask(self, case: str) -> Bytes:
        """The mask of a scan on its own grid: (z, y, x) of a volume, (y, x) of a picture; values as ``labels`` says.

        Raises:
            ConfigError: there is no scan of that name.
            InputError: its mask is gone or damaged.
        """
        from synthoma.scans.layouts.loading import load_mask

        found = self.findings(case)
        place = (self.path / self._row(case)["findings"]).parent
        files = [place / name for name in found.files["mask"]]
        if files[0].suffix != ".png":
            return np.asarray(load_mask(files[0]), np.uint8)
        layers = [load_mask(file)[0] > 0 for file in files if file.stem.endswith("_mask")]
        return np.asarray(layers[0] if len(layers) == 1 else layers, np.uint8)

    def show(self, case: str | None = None, slice: int | None = None) -> Image.Image:
        """The picture of a scan with what was outlined.

        Args:
            case: the scan; the one most likely to show tumour where None.
            slice: one slice, from 0, in the order of the scan's file; None for the overlay that `detect` drew.

        Raises:
            ConfigError: there is no scan of that name, or no such slice.
            InputError: no overlay was drawn, or nobody knows where the scan lies.
        """
        from PIL import Image

        name = self.cases[int(self.table["probability"].fillna(0).argmax())] if case is None else case
        if slice is not None:
            return Image.fromarray(self._outlined(name, slice))
        overlay = self._row(name)["overlay"]
        if not overlay or not (self.path / overlay).is_file():
            raise InputError("an overlay", f"none of {name}", "detect again with overlay=True")
        with Image.open(self.path / overlay) as picture:
            return picture.convert("RGB")

    def save(self, folder: Place, *, force: bool = False) -> Findings:
        """Copy all findings to another place.

        Raises:
            InputError: the place is taken.
        """
        with new_folder(Path(folder), force=force, inputs=(self.path,)) as partial:
            shutil.copytree(self.path, partial, dirs_exist_ok=True)
        return Findings(folder, self.scans)

    def _row(self, case: str) -> dict[str, str]:
        table = self.table
        rows = table[table["case"] == case]
        if rows.empty:
            known = ", ".join(self.cases[:8])
            raise ConfigError(f"the name of a scan ({known}{', ...' if len(self) > 8 else ''})", repr(case), "give one")
        return {str(name): str(value) for name, value in rows.iloc[0].items()}

    def _outlined(self, case: str, number: int) -> Bytes:
        """A slice of a scan, read again, with the outline of its mask."""
        from synthoma.core.pictures import grey, outlined
        from synthoma.detection.detect import take_inventories

        if not self.scans:
            todo = "open it as Findings(folder, scans=[...]) with the places of the scans"
            raise InputError("scans to draw slices of", "findings alone", todo)
        inventory = take_inventories(list(self.scans))
        found = next((one for one in inventory.cases if one.name == case), None)
        if found is None:
            raise InputError(f"the scan {case} where it was", "nothing of that name", "name the places of the scans")
        volume = next(iter(found.load().images.values()))
        mask = self.mask(case)
        layers = mask[None] if mask.ndim == 2 else mask
        if volume.shape != layers.shape:
            raise InputError(f"a scan of shape {layers.shape}", f"{volume.shape}", "detect again: the scan has changed")
        if not 0 <= number < len(layers):
            raise ConfigError(f"a slice from 0 to {len(layers) - 1}", str(number), "give one of them")
        top = float(np.percentile(volume, 99.8)) or 1.0
        return outlined(grey(np.asarray(volume[number], np.float32) / top), layers[number])

    def _repr_html_(self) -> str:
        """What a notebook shows: the table, and the overlay of the likeliest scan."""
        shown = self.table[["case", "probability", "has_tumour", "volume_ml", "diameter", "diameter_unit", "side"]]
        head = f"<p><b>{escape(self.path.name)}</b>: {escape(self.summary.not_for_clinical_use)}</p>"
        body = head + shown.to_html(index=False, na_rep="", max_rows=30)
        try:
            picture = self.show()
        except InputError:
            return body
        picture.thumbnail((1000, 1000))
        content = io.BytesIO()
        picture.save(content, "JPEG", quality=85)
        data = base64.b64encode(content.getvalue()).decode("ascii")
        return f'{body}<img alt="tumour outlined" src="data:image/jpeg;base64,{data}">'
