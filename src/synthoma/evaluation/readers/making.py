"""From two cohorts to a blinded set: numbers that say nothing, pictures that give nothing away, an order per reader.

Every picture is 8-bit grey of one size, scaled by one rule, and stored without compression: even the sizes of the files
are the same. Nothing but pixels is in them.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from synthoma.cohorts.cohort import Cohort
from synthoma.cohorts.leaks import source_of
from synthoma.core.pictures import grey
from synthoma.core.progress import Progress
from synthoma.core.provenance import software
from synthoma.core.seeding import stream
from synthoma.core.types import Bytes
from synthoma.core.untrusted import csv_text
from synthoma.core.whole_files import write_bytes, write_json, write_text
from synthoma.evaluation.readers.blinded import (
    KEY,
    KeyItem,
    PowerPoint,
    Truth,
    TuringKey,
    TuringSet,
    sealed_key,
    write_set,
)
from synthoma.evaluation.readers.drawing import Drawn, drawn
from synthoma.evaluation.readers.settings import Design, TuringConfig
from synthoma.metrics.signal_detection import power, smallest_seen

STATED = (0.25, 0.5, 0.75, 1.0, 1.5)
"""d' of which the power is stated."""

GAP = 16
"""Columns between the two pictures of a pair, mid-grey."""

COLUMNS: dict[Design, tuple[str, ...]] = {
    "single": ("item", "answer", "confidence", "quality", "remark"),
    "pairs": ("item", "answer", "confidence", "quality_left", "quality_right", "remark"),
}
"""Of the files that are filled in. ``seconds`` may be added."""

_SHUFFLES = 50
"""Orders among which the one is taken that keeps repeats farthest from what they repeat."""


@dataclass(frozen=True)
class _Shown:
    """One picture before it has a number: place among those drawn, what is true of it, and which one it repeats."""

    place: int
    truth: Truth
    repeats: int | None = None


def make_set(real: Cohort, synthetic: Cohort, config: TuringConfig, folder: Path, progress: Progress) -> TuringSet:
    """Write a blinded set into an existing, empty folder; sheets to print are no part of it.

    Args:
        real: with its splits.
        synthetic: of a generator that saw nobody who is held out.
        config: what is shown to whom.
        folder: where to.
        progress: told how many pictures are written.

    Raises:
        InputError, LeakError, ConfigError: see ``drawing.drawn``.
    """
    chosen = drawn(real, synthetic, config)
    shown = _shown(config)
    names = [f"{number:03d}" for number in range(1, len(shown) + 1)]
    # Shuffled: kinds take turns in `_shown`, and every second number would be a synthetic one.
    places = stream(config.seed, "turing.numbers").permutation(len(shown)).tolist()
    name_of = {index: names[place] for index, place in enumerate(places)}
    (folder / "images").mkdir()
    size = (0, 0)
    for done, index in enumerate(sorted(name_of, key=name_of.__getitem__)):
        picture = _picture(real, synthetic, chosen, shown[index], config)
        size = (picture.shape[0], picture.shape[1])
        write_bytes(folder / "images" / f"{name_of[index]}.png", plain_png(picture))
        progress("pictures", done + 1, len(shown))
    items = [_key_item(real, synthetic, chosen, one, name_of[index], name_of) for index, one in enumerate(shown)]
    key = TuringKey(
        version="synthoma.turing_key/1",
        seed=config.seed,
        real=source_of(real),
        synthetic=source_of(synthetic),
        items=tuple(sorted(items, key=lambda item: item.item)),
    )
    content = sealed_key(key)
    write_json(folder / KEY, content)
    twins = [(item.item, item.repeats) for item in items if item.repeats is not None]
    orders = {reader: _order(names, twins, config.seed, at) for at, reader in enumerate(config.readers)}
    for reader, order in orders.items():
        rows = [{"item": item} for item in order]
        write_text(folder / f"answers-{reader}.csv", csv_text(COLUMNS[config.design], rows))
    result = TuringSet(
        version="synthoma.turing_set/1",
        design=config.design,
        number=config.number,
        repeats=len(twins),
        sequence=chosen.sequence,
        pixels=size,
        matters=config.matters,
        power=tuple(PowerPoint(d=d, share=round(_power(config, d), 4)) for d in STATED),
        smallest_seen=smallest_seen(*_kinds(config), side_by_side=config.design == "pairs"),
        orders=orders,
        remarks=chosen.remarks,
        key_sha256=str(content["sha256"]),
        software=software(),
    )
    write_set(folder, result)
    return result


def _kinds(config: TuringConfig) -> tuple[int, int]:
    """Pictures of both kinds, or pairs with the real one on either side."""
    if config.design == "single":
        return config.number, config.number
    return config.number - config.number // 2, config.number // 2


def _power(config: TuringConfig, d: float) -> float:
    return power(d, *_kinds(config), side_by_side=config.design == "pairs")


def _shown(config: TuringConfig) -> list[_Shown]:
    """Everything that gets a number: each picture or pair, then repeats. A repeated pair changes sides."""
    draws = stream(config.seed, "turing.sides")
    if config.design == "single":
        firsts = [_Shown(place, kind) for place in range(config.number) for kind in ("real", "synthetic")]
    else:
        # As many on either side, to one: a coin for each pair could leave few on one, and d' knows least of those.
        left = np.zeros(config.number, dtype=bool)
        left[: _kinds(config)[0]] = True
        firsts = [_Shown(place, "left" if on else "right") for place, on in enumerate(draws.permutation(left).tolist())]
    other: dict[Truth, Truth] = {"left": "right", "right": "left"}
    count = min(len(firsts), round(config.repeats * len(firsts)))
    again = sorted(stream(config.seed, "turing.repeats").permutation(len(firsts))[:count].tolist())
    return firsts + [
        _Shown(firsts[index].place, other.get(firsts[index].truth, firsts[index].truth), index) for index in again
    ]


def _key_item(
    real: Cohort, synthetic: Cohort, chosen: Drawn, one: _Shown, name: str, name_of: dict[int, str]
) -> KeyItem:
    ours, theirs = one.truth != "synthetic", one.truth != "real"
    rows = int(chosen.real[one.place]), int(chosen.synthetic[one.place])
    return KeyItem(
        item=name,
        truth=one.truth,
        label=chosen.labels[one.place],
        real_row=rows[0] if ours else None,
        real_case=str(real.slices["group"].iloc[rows[0]]) if ours else None,
        synthetic_row=rows[1] if theirs else None,
        synthetic_case=str(synthetic.slices["group"].iloc[rows[1]]) if theirs else None,
        repeats=None if one.repeats is None else name_of[one.repeats],
    )


def _order(names: Sequence[str], twins: Sequence[tuple[str, str]], seed: int, reader: int) -> tuple[str, ...]:
    """An order of a reader's own, in which repeats are far from what they repeat."""
    draws = stream(seed, "turing.order", reader)
    # Without repeats every order is as good.
    tried: list[list[str]] = [draws.permutation(np.array(names)).tolist() for _ in range(_SHUFFLES if twins else 1)]

    def nearest(number: int) -> int:
        at = {name: place for place, name in enumerate(tried[number])}
        return min((abs(at[one] - at[other]) for one, other in twins), default=0)

    return tuple(tried[max(range(len(tried)), key=nearest)])


# Pictures ------------------------------------------------------------------------------------------------------------


def _picture(real: Cohort, synthetic: Cohort, chosen: Drawn, one: _Shown, config: TuringConfig) -> Bytes:
    """What an item shows (rows, columns)."""
    ours = _slice(real, int(chosen.real[one.place]), chosen.sequence, config.pixels)
    theirs = _slice(synthetic, int(chosen.synthetic[one.place]), chosen.sequence, config.pixels)
    if config.design == "single":
        return ours if one.truth == "real" else theirs
    sides = (ours, theirs) if one.truth == "left" else (theirs, ours)
    return np.concatenate([sides[0], np.full((len(ours), GAP), 128, np.uint8), sides[1]], axis=1)


def _slice(cohort: Cohort, row: int, sequence: str, pixels: int) -> Bytes:
    values = np.asarray(cohort.images[row, cohort.modalities.index(sequence)], np.float32)
    # A whole number: both kinds are enlarged alike, and no pattern of two grids tells them apart.
    factor = max(1, round(pixels / values.shape[0]))
    image = Image.fromarray(grey(np.nan_to_num(values)))
    return np.asarray(image.resize((image.width * factor, image.height * factor), Image.Resampling.BICUBIC))


def plain_png(picture: Bytes) -> bytes:
    """Grey values (rows, columns) as a PNG file whose size says nothing: it is not compressed."""
    buffer = io.BytesIO()
    # Compressed, noise would make larger files: a listing of the folder would tell the kinds apart.
    Image.fromarray(picture).save(buffer, "PNG", compress_level=0)
    return buffer.getvalue()
