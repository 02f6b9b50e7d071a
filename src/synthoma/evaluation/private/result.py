"""What the question "is it private?" leaves in evaluation.json."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from synthoma.core.records import Number, Record

Word = Literal["COPIES FOUND", "NONE FOUND", "CANNOT TELL"]


class Found(Record):
    """How many of some planted copies were found."""

    value: float = Field(description="share found, 0..1")
    low: float = Field(description="lower end of its 95 % interval")
    high: float = Field(description="upper end")
    found: int
    of: int = Field(description="planted copies")


class Alteration(Record):
    """How many of the copies that were altered in one way were found."""

    name: str
    value: float = Field(description="share found, 0..1")
    low: float = Field(description="lower end of its interval; of the worst one, at a level that all share")
    high: float = Field(description="upper end of its 95 % interval")
    found: int
    of: int = Field(description="planted copies")


class Recall(Found):
    """What a search for copies is worth, by planted ones."""

    right_source: float = Field(description="share of the planted copies whose source was found, 0..1")
    worst: Alteration | None = Field(default=None, description="the alteration that is hardest to find")


class Quantiles(Record):
    """How alike slices are to what they may be copies of."""

    levels: tuple[float, ...] = Field(description="0..1")
    synthetic: tuple[float, ...] = Field(description="likeness at each level")
    held_out: tuple[float, ...]
    canaries: tuple[float, ...] = Field(description="of planted copies")


class Twin(Record):
    """A held-out slice that shows what a training slice shows, and is left out of the null."""

    held_out_row: int
    training_row: int


class Null(Record):
    """The honest slices that a search is held against."""

    of: int = Field(description="how many")
    groups: int = Field(description="of how many patients or groups")
    twins: tuple[Twin, ...] = Field(default=(), description="those left out; named for whole slices only")


class Kind(Record):
    """One kind of copies, searched."""

    name: str = Field(description='"whole slices", "blends", "crops" or "lesions"')
    words: str = Field(description='what a copy of this kind is, behind "at most x %"')
    p: float = Field(description="0..1, chance of as much if all slices are honest")
    tests: dict[str, float] = Field(description="p of each of the tests; empty where honest slices are too few")
    certain: int = Field(description="flagged slices that are evidence each alone")
    threshold: float = Field(description="likeness above which a slice is flagged; 1 where too little is known")
    flagged: int
    of: int = Field(description="slices searched")
    upper_share: float = Field(description="upper bound at 95 % of the share of copies among all synthetic slices")
    recall: Recall
    alterations: tuple[Alteration, ...]
    null: Null
    quantiles: Quantiles
    quarantine: tuple[int, ...] = Field(description="rows of the flagged synthetic slices")
    unseen: str = Field(description="why copies could not have been seen; empty if they could")


class PatientCopy(Record):
    """A synthetic patient that shows one training patient, slice by slice."""

    synthetic_rows: tuple[int, ...]
    training_rows: tuple[int, ...]
    evidence: float = Field(description="mean of Fisher's z over the slices")
    p: float = Field(description="0..1, for all patients searched")


class Volumes(Record):
    """The search for copies of whole patients."""

    of: int = Field(description="synthetic patients searched")
    slices_each: int = Field(description="slices that each is seen through")
    null: int = Field(description="held-out patients compared with")
    flagged: int
    p: float = Field(description="0..1, chance of as much if all patients are honest")
    threshold: float | None = Field(description="evidence above which one is flagged; None where too little is known")
    upper_share: float = Field(description="upper bound at 95 % of the share of copied patients")
    recall: Recall | None = Field(description="of planted patients; None where too few could be planted or compared")
    patients: tuple[PatientCopy, ...] = Field(description="those flagged")
    quarantine: tuple[int, ...] = Field(description="rows of their slices")


class Pair(Record):
    """A synthetic slice and the training slice that it is most alike to."""

    synthetic_row: int
    training_row: int
    score: float = Field(description="likeness, -1..1")
    mirrored: bool = False
    flagged: bool = False


class Attack(Record):
    """How well scores tell members of the training set from others, see ``metrics.membership``."""

    auc: Number = Field(description="0..1; 0.5 where nothing is told")
    sensitivity: Number = Field(default=None, description="share of members found at 1 % false alarms, 0..1")
    p: Number = Field(default=None, description="one-sided; None with too few groups")
    control: Number = Field(default=None, description="area that random halves of the members reach; None likewise")
    members: int
    others: int


class Attacks(Record):
    """Membership attacks; None where there is nothing to attack."""

    distance: Attack | None = Field(description="by the nearest synthetic slice (GAN-Leaks)")
    discriminator: Attack | None = Field(description="by the GAN's discriminator (LOGAN)")


class Privacy(Record):
    """Copies of training scans among synthetic slices, and membership. Parts that nobody could measure are missing."""

    word: Word
    because: str
    p: float | None = Field(default=None, description="0..1, chance of as much if no slice were a copy")
    tests: dict[str, float] = Field(default_factory=dict, description="p of each test of whole slices")
    certain: int | None = Field(default=None, description="flagged slices that are evidence each alone")
    threshold: float | None = Field(default=None, description="likeness from which a whole slice is flagged")
    flagged: int | None = Field(default=None, description="slices flagged by any search")
    of: int | None = Field(default=None, description="synthetic slices searched")
    searched: int | None = Field(default=None, description="training slices searched among")
    absent: int = Field(default=0, description="patients learned from whom the real cohort lacks")
    upper_share: float = Field(description="largest upper bound of the kinds that are seen, 0..1")
    recall: Recall | None = Field(default=None, description="of whole slices")
    null: Null | None = None
    quantiles: Quantiles | None = None
    distinct_sources: int | None = Field(default=None, description="different nearest training slices")
    quarantine: tuple[int, ...] = Field(default=(), description="all flagged rows of the synthetic cohort, in order")
    kinds: tuple[Kind, ...] = ()
    volumes: Volumes | None = Field(default=None, description="None where slices belong to no patients")
    unsearched: tuple[str, ...] = Field(default=(), description="what nobody looked for")
    pairs: tuple[Pair, ...] = Field(default=(), description="most alike first")
    membership: Attacks | None = None
