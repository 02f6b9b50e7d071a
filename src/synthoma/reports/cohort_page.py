"""The page of a cohort: what came in, what it looks like, how it was split, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from synthoma.cohorts.cohort import Cohort
from synthoma.cohorts.leaks import folder_leaks, random_split_leak
from synthoma.cohorts.prevalence import Prevalence, positive_predictive_value
from synthoma.cohorts.splits import SPLITS
from synthoma.core.config import toml_lines
from synthoma.core.pictures import OTHER_OUTLINE, OUTLINE, contact_sheet, grey, outlined, png
from synthoma.core.types import Bytes
from synthoma.core.untrusted import content_of_cell
from synthoma.reports.figures import data_uri, histogram
from synthoma.reports.page import render

if TYPE_CHECKING:
    import pandas as pd

SHOWN_SLICES = 24
SHOWN_PAIRS = 24
SHOWN_LINES = 60
MOVED = "transformed"
"""Kind of the pairs whose pictures lie differently."""


@dataclass(frozen=True)
class Tile:
    """A picture, as a data URI, with what is written below it."""

    uri: str
    caption: str


@dataclass(frozen=True)
class TileSection:
    """Some slices of a class, or of a kind of suspicion, with how many there are in all."""

    name: str
    count: int
    tiles: list[Tile]


@dataclass(frozen=True)
class SplitRow:
    """Groups, slices, and slices by class of one split."""

    split: str
    groups: int
    slices: int
    classes: dict[str, int]


@dataclass(frozen=True)
class Imbalance:
    """Rates of tumour slices, as formulas, and what an alarm would mean: where, the rate, the alarms that are right."""

    here: str
    population: str
    alarms: list[tuple[str, str, str]]


@dataclass(frozen=True)
class DuplicatePair:
    """Two slices that are copies: their rows and sources, how they differ, and how sure that is, 0..1."""

    first: int
    second: int
    sources: tuple[str, str]
    kind: str
    change: str
    score: float

    @classmethod
    def of(cls, row: Mapping[Hashable, str | float]) -> DuplicatePair:
        """The pair of a row of duplicates.csv."""
        kind = str(row["kind"])
        change = f": {'mirrored, ' if row['flip'] else ''}turned {row['rotation_deg']:.0f}°" if kind == MOVED else ""
        sources = (str(row["first_source"]), str(row["second_source"]))
        return cls(int(row["first"]), int(row["second"]), sources, kind, change, float(row["score"]))

    def caption(self, separator: str = " · ") -> str:
        """Sources, kind and score in a line."""
        return f"{separator.join(self.sources)}{separator}{self.kind}{self.change}, score {self.score:.3f}"


def cohort_page(cohort: Cohort, name: str) -> str:
    """The whole page of a cohort called ``name``, as HTML text."""
    table = cohort.slices
    pairs, skipped = _listing(cohort, "duplicates.csv"), _listing(cohort, "skipped.csv")
    return render(
        "cohort.html",
        title=f"Cohort {name}",
        cohort=cohort,
        table=table,
        cards=_cards(cohort, pairs, skipped),
        outlines=[(name, OUTLINE.get(value, OTHER_OUTLINE)) for value, name in cohort.labels.items()],
        tiles=_tiles(cohort),
        study=_one_study(cohort),
        split_rows=_split_rows(table),
        sizes=_tumour_sizes(cohort),
        random_leak=random_split_leak(table, 0.7),
        imbalance=_imbalance(cohort),
        leaks=folder_leaks(table),
        pair_kinds=pairs["kind"].value_counts().to_dict() if len(pairs) else {},
        pair_tiles=[_pair_tile(cohort, pair) for pair in _spread_over_kinds(pairs, SHOWN_PAIRS)],
        pair_count=len(pairs),
        searched="duplicates.csv" if (cohort.path / "duplicates.csv").is_file() else "",
        conflicts=_conflicts(table),
        suspects=_suspects(cohort),
        skipped=skipped.head(SHOWN_LINES).to_dict("records"),
        skipped_count=len(skipped),
        remarks=cohort.meta.remarks[:SHOWN_LINES],
        remark_count=len(cohort.meta.remarks),
        settings=_settings(cohort),
    )


def pair_sheet(cohort: Cohort, most: int = 40) -> bytes | None:
    """Contact sheet of duplicate pairs as PNG bytes, both images side by side; None where there are no pairs."""
    pairs = _spread_over_kinds(_listing(cohort, "duplicates.csv"), most)
    if not pairs:
        return None
    rows = [[_picture(cohort, pair.first), _picture(cohort, pair.second)] for pair in pairs]
    return png(contact_sheet(rows, [pair.caption("\n") for pair in pairs]))


def _listing(cohort: Cohort, name: str) -> pd.DataFrame:
    import pandas as pd

    path = cohort.path / name
    table = pd.read_csv(path, keep_default_na=False) if path.is_file() else pd.DataFrame()
    return table.map(lambda value: content_of_cell(value) if isinstance(value, str) else value)


def _settings(cohort: Cohort) -> list[str]:
    """Provenance, one setting a line."""
    return toml_lines(cohort.meta.provenance.content())


def _cards(cohort: Cohort, pairs: pd.DataFrame, skipped: pd.DataFrame) -> list[tuple[str, str, str]]:
    """The figures at the top: value, what it counts, and a remark."""
    table, meta = cohort.slices, cohort.meta
    tumour = int((table["tumour_pixels"] > 0).sum())
    ill = f"{100 * tumour / len(table):.0f} % show tumour" if cohort.labels else f"{len(cohort.classes)} classes"
    who = f"{meta.patients:,}" if meta.patients else "no" if meta.layout == "generated" else "unknown"
    cards = [
        (f"{len(cohort):,}", "slices", ill),
        (who, "patients", f"in {meta.groups:,} groups that no split separates"),
        ("+".join(cohort.modalities), "modalities", f"{cohort.size} px, {meta.plane}"),
    ]
    if (cohort.path / "duplicates.csv").is_file():
        redundant = _redundant(table)
        cards.append((f"{len(pairs):,}", "pairs of duplicates", f"{redundant:,} images are redundant"))
    cards.append(
        (f"{len(skipped):,}", "files skipped", "each with its reason below" if len(skipped) else "all were used")
    )
    return cards


def _redundant(table: pd.DataFrame) -> int:
    """Images that could go without losing a distinct one: members of duplicate sets, less one a set."""
    twins = table["twin"][table["twin"] != ""]
    return len(twins) - twins.nunique()


def _picture(cohort: Cohort, row: int, channel: int | None = None, mask: bool = False) -> Bytes:
    """A slice as a picture: FLAIR if the cohort has it, else its first channel that is not empty."""
    images = np.asarray(cohort.images[row], np.float32)
    if channel is None:
        filled = [index for index in range(len(images)) if np.ptp(images[index]) > 0] or [0]
        flair = cohort.modalities.index("flair") if "flair" in cohort.modalities else -1
        channel = flair if flair in filled else filled[0]
    picture = grey(images[channel])
    return outlined(picture, np.asarray(cohort.masks[row])) if mask else picture


def _tile(picture: Bytes, caption: str) -> Tile:
    return Tile(data_uri(png(picture, scale=2 if picture.shape[0] < 128 else 1)), caption)


def _spread(count: int, most: int) -> list[int]:
    return sorted({int(position) for position in np.linspace(0, count - 1, min(count, most)).round()}) if count else []


def _tiles(cohort: Cohort) -> list[TileSection]:
    """For each class, slices spread evenly over its cases, with their masks outlined."""
    sections = []
    each = max(6, SHOWN_SLICES // max(1, len(cohort.classes)))
    for label in cohort.classes:
        rows = cohort.rows(label=label)
        # The slice of each case that shows most (tumour, then tissue) stands for it.
        part = cohort.slices.iloc[rows].assign(row=rows)
        order = ["tumour_pixels", *({"tissue"} & set(part))]
        best = part.sort_values(order, ascending=False).drop_duplicates("case").sort_values("row")
        chosen = [best.iloc[position] for position in _spread(len(best), each)]
        tiles = [
            _tile(_picture(cohort, int(item["row"]), mask=True), _slice_caption(item.to_dict())) for item in chosen
        ]
        sections.append(TileSection(label, len(rows), tiles))
    return sections


def _slice_caption(record: Mapping[Hashable, object]) -> str:
    """Where a slice comes from, in a few words."""
    of_volume = record["source"] == record["case"] and not record["file_sha256"]
    place = f"{record['case']} · slice {record.get('slice', '')}" if of_volume else str(record["source"])
    return f"{place} · {record['split']}"


def _one_study(cohort: Cohort) -> list[Tile]:
    """All modalities of one slice side by side; empty for a cohort of one modality."""
    if len(cohort.modalities) < 2:
        return []
    table = cohort.slices
    complete = (table["missing"] == "").to_numpy()
    area = table["tumour_pixels"].to_numpy()
    # The largest tumour among complete slices; any of these comes before one that lacks a sequence.
    row = int(np.argmax(np.where(complete, area, area - cohort.size**2)))
    tiles = [_tile(_picture(cohort, row, channel), name) for channel, name in enumerate(cohort.modalities)]
    return [*tiles, _tile(_picture(cohort, row, mask=True), "outlined")]


def _split_rows(table: pd.DataFrame) -> list[SplitRow]:
    """Groups, slices, and slices by class of each split."""
    rows = []
    for split in SPLITS:
        part = table[table["split"] == split]
        by_class = {label: int((part["label"] == label).sum()) for label in sorted(set(table["label"]))}
        rows.append(SplitRow(split, part["group"].nunique(), len(part), by_class))
    return rows


def _tumour_sizes(cohort: Cohort) -> str:
    """Histogram of tumour area by split; empty text where no slice shows tumour."""
    table = cohort.slices
    ill = table[table["tumour_pixels"] > 0]
    if len(ill) < 5:
        return ""
    share = ill["tumour_pixels"] / cohort.size**2 * 100
    parts = {split: share[ill["split"] == split].tolist() for split in SPLITS}
    return histogram({name: part for name, part in parts.items() if part}, "tumour area, % of the picture")


def _imbalance(cohort: Cohort) -> Imbalance | None:
    """Rates of tumour slices, and what they would mean for an alarm; None where slices carry no such class."""
    table = cohort.slices
    ill = (table["tumour_pixels"] > 0) if cohort.labels else table["label"].str.lower().isin(["yes", "tumour", "tumor"])
    if not 0 < int(ill.sum()) < len(table):
        return None
    here = Prevalence(int(ill.sum()), len(table))
    population = Prevalence(50_000, 1_417_000_000)
    return Imbalance(
        here=here.formula(),
        population=population.formula(),
        alarms=[
            (name, f"{100 * rate:.3g} %", f"{100 * positive_predictive_value(rate, 0.9, 0.9):.2g} %")
            for name, rate in (
                ("slices of this cohort", here.share),
                ("1 in 100 of those scanned", 0.01),
                ("that population", population.share),
            )
        ],
    )


def _spread_over_kinds(pairs: pd.DataFrame, most: int) -> list[DuplicatePair]:
    """At most ``most`` pairs, as many of each kind as there are turns, the least certain of each kind first."""
    if not len(pairs):
        return []
    # The least certain first: whether the limit is right is seen there, not at exact copies.
    kinds = [part.sort_values("score").to_dict("records") for _, part in pairs.groupby("kind")]
    mixed = [kind[turn] for turn in range(max(map(len, kinds))) for kind in kinds if turn < len(kind)]
    return [DuplicatePair.of(row) for row in mixed[:most]]


def _pair_tile(cohort: Cohort, pair: DuplicatePair) -> Tile:
    return _tile(np.concatenate([_picture(cohort, pair.first), _picture(cohort, pair.second)], axis=1), pair.caption())


def _conflicts(table: pd.DataFrame) -> list[dict[str, str]]:
    """Sets of duplicates whose members carry different classes."""
    twins = table[table["twin"] != ""]
    labels = twins.groupby("twin")["label"].agg(lambda part: sorted(set(part)))
    mixed = labels[labels.map(len) > 1]
    return [
        {"labels": ", ".join(names), "members": ", ".join(twins["source"][twins["twin"] == twin].astype(str))}
        for twin, names in mixed.items()
    ][:SHOWN_LINES]


def _suspects(cohort: Cohort) -> list[TileSection]:
    """What a person should look at, by kind of suspicion, with a few pictures each."""
    table = cohort.slices
    found = []
    for kind in ("burned-in text", "noise-like"):
        rows = np.flatnonzero(table["look_at"].str.contains(kind, regex=False).to_numpy())
        tiles = [
            _tile(_picture(cohort, int(rows[at])), str(table["source"].iloc[rows[at]])) for at in _spread(len(rows), 8)
        ]
        if len(rows):
            found.append(TileSection(kind, len(rows), tiles))
    return found
