"""What a tumour board reads, as findings.json says it: RANO diameters, and how sure the outline is."""

from __future__ import annotations

from pydantic import Field

from synthoma.core.records import Number, Record


class RanoLesion(Record):
    """A lesion with its two perpendicular diameters."""

    target: str = Field(description="which region of the tumour is measured, as in ``volumes``")
    largest_mm: Number = Field(description="the largest diameter in an axial slice")
    perpendicular_mm: Number = Field(description="the largest diameter perpendicular to it")
    product_mm2: Number = Field(description="of both")
    measurable: bool = Field(description="whether both reach 10 mm")
    slice: int = Field(description="of the measurement, from 0, along ``axis`` as the scan's file holds it")
    volume_ml: Number = Field(description="of the whole lesion; None where nobody knows how thick a slice is")


class RanoFindings(Record):
    """The lesions of each target, that of the largest product first; at most twelve of each."""

    lesions: tuple[RanoLesion, ...]
    sum_mm2: dict[str, Number] = Field(description="sum of the products of the measurable lesions, by target")
    axis: str = Field(description="of the array (z, y, x), along which the axial slices lie")
    convention: str

    def largest(self, target: str) -> RanoLesion | None:
        """The lesion of a target with the largest product; None without any."""
        return next((one for one in self.lesions if one.target == target), None)


class BandFindings(Record):
    """Sizes of the whole tumour between which a reader may place it."""

    outer_from: float = Field(description="probability from which a pixel lies within the outer outline")
    inner_from: float = Field(description="likewise of the inner one")
    outer_volume: Number = Field(description="in the ``volume_unit`` of the whole")
    inner_volume: Number = Field(description="likewise")
