"""A tumour tried in one slice of a scan, at once: for whoever turns dials and looks."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace

import numpy as np

from synthoma.core.errors import InputError
from synthoma.core.seeding import stream
from synthoma.core.types import Bytes, Floats
from synthoma.painting.dials import Dials
from synthoma.painting.files import scan_of
from synthoma.painting.painters import paint_scan
from synthoma.painting.places import middle_of_brain
from synthoma.painting.scan import Painted, Scan
from synthoma.painting.tissues import brain_of, tissues_of
from synthoma.scans.case import Study

Place = tuple[float, float, float]


@dataclass
class Sketch:
    """A scan in which tumours are tried.

    A slice is painted as a scan of one slice: what comes out has the size, the look and the place of the tumour in the
    volume, where a size is that of the ball which the slice cuts in half, but not its very shape, which grows through
    the slices beside too.

    Attributes:
        scan: as painters see it.
        sided: whether its file says which side is the patient's left.
    """

    scan: Scan
    sided: bool = True
    _middle: Floats | None = None
    _one: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @classmethod
    def of(cls, study: Study, shows: str | None = None) -> Sketch:
        """Of a study.

        Args:
            study: the scan.
            shows: what a plain picture shows.

        Raises:
            InputError: a plain picture of which nobody says what it shows.
        """
        return cls(scan_of(study).showing(shows), study.geometry is not None)

    def place(self, voxel: tuple[int, int, int]) -> Place:
        """What ``--place`` says of a voxel (z, y, x): mm from the middle of the brain to the left, back and up.

        The brain of the whole scan is looked for at the first call, which takes seconds.

        Raises:
            InputError: no brain.
        """
        with self._one:
            if self._middle is None:
                self._middle = middle_of_brain(brain_of(self.scan.images, self.scan.spacing) | self.scan.tumour)
        x, y, z = ((np.array(voxel) - self._middle) * np.array(self.scan.spacing))[::-1].tolist()
        return x, y, z

    def slice(
        self, at: int, dials: Dials, seed: int, where: tuple[int, int] | None = None, drawn: Bytes | None = None
    ) -> Painted:
        """One slice with a tumour in it, and nothing beside it.

        Args:
            at: number of the slice, from the feet up.
            dials: what is asked; its place counts where no pixel is given.
            seed: drives all draws, as that of `paint`.
            where: pixel (row, column) in which the tumour lies.
            drawn: mask of the slice, uint8 (rows, columns), in place of one that is made: its place and size count.

        Raises:
            InputError: no such slice, no brain in it, or no room there.
        """
        if not 0 <= at < self.scan.shape[0]:
            raise InputError(f"a slice from 0 to {self.scan.shape[0] - 1}", f"{at}", "choose one of them")
        mask = self.scan.mask
        flat = Scan(
            {name: np.ascontiguousarray(image[at : at + 1]) for name, image in self.scan.images.items()},
            self.scan.spacing,
            None if mask is None else np.ascontiguousarray(mask[at : at + 1]),
        )
        there = flat.tumour
        tissue = tissues_of(flat.images, flat.spacing, there if there.any() else None)
        if where is not None:
            middle = middle_of_brain(tissue.brain)
            _, y, x = (np.array((0, *where)) - middle) * np.array(flat.spacing)
            dials = replace(dials, place=(float(x), float(y), 0.0))
        mine = None if drawn is None else drawn[None]
        return paint_scan(stream(seed, "painting", 0), flat, dials, beside=True, tissue=tissue, drawn=mine)
