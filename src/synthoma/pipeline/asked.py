"""What a drawing is asked for, checked before anything is done, and the simulated patients that it needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from synthoma.core.errors import ConfigError
from synthoma.core.progress import Progress
from synthoma.core.resources import check_disk
from synthoma.core.seeding import stream_key
from synthoma.core.types import Place
from synthoma.pipeline.cohort import Cohort
from synthoma.pipeline.simulation import SIMULATED_PATIENTS, simulate_beside

if TYPE_CHECKING:
    from synthoma.generators.sampling import Sampler
    from synthoma.phantom import PhantomCohortConfig
    from synthoma.training.bundle import Bundle
    from synthoma.training.meta import Simulation

SIMULATED = "simulated"
"""Folder of what is simulated for one command and thrown away after it."""


@dataclass(frozen=True)
class Asked:
    """What is to be drawn; the words are those of ``generate``.

    Attributes:
        whole: the images are not searched for copies afterwards, so that they can be drawn in parts.
    """

    run: Path
    count: int | None
    patients: int | None
    per_patient: int | None
    seed: int
    label: str | None
    truncation: float
    keep_share: float | None
    shard: tuple[int, int]
    phantom: Place | None
    tumour: Simulation
    whole: bool

    @property
    def wanted(self) -> int:
        """Number of images, or of whole patients, in all shards together.

        Raises:
            ConfigError: both, neither, or patients of one class.
        """
        wanted = self.count if self.patients is None else self.patients
        if wanted is None or None not in (self.count, self.patients):
            came = "both" if wanted is not None else "neither"
            raise ConfigError("a number of images, or of patients", came, "give one of them")
        if self.patients is not None and self.label is not None:
            todo = "leave out --class, or draw single slices with -n"
            raise ConfigError("whole patients, with the slices that they have", f"--class {self.label}", todo)
        return wanted

    @property
    def images(self) -> range:
        """Numbers of the images of this shard."""
        part, parts = self.shard
        return range(self.wanted * (part - 1) // parts, self.wanted * part // parts)

    def checked(self, output: Path, arithmetic: str | None) -> Bundle:
        """The model, once it is known that it can give all that.

        Raises:
            InputError: no finished generator there.
            ConfigError: an unknown class, numbers out of range, or what this model does not have.
            OutputError: the disk has no room for the images.
        """
        from synthoma.generators.arithmetic import terms_of
        from synthoma.generators.phantomgan.patients import check_patients
        from synthoma.generators.sampling import check_request
        from synthoma.training.bundle import open_model

        bundle = open_model(self.run, "generator")
        option = "-n" if self.patients is None else "--patients"
        check_request(
            bundle, self.wanted, label=self.label, truncation=self.truncation, shard=self.shard, option=option
        )
        if arithmetic is not None:
            terms_of(arithmetic, bundle.meta.classes if bundle.meta.shape["classes"] else ())
        self._check_tumour(bundle)
        self._check_per_patient(bundle)
        if self.patients is not None:
            check_patients(bundle)
        else:
            todo = "make room there, or draw fewer, or parts of them with --shard"
            check_disk(_bytes(bundle, len(self.images)), output, f"{self.wanted:,} images", todo)
        if not self.whole and self.shard[1] > 1:
            # What is near is told from the distances of all images.
            todo = "draw the shards without it, or all images in one go"
            raise ConfigError("all images, to tell which are too near to a patient's", "a shard of them", todo)
        return bundle

    def _check_tumour(self, bundle: Bundle) -> None:
        """Raise ConfigError where tumours are asked for of which nobody simulates any."""
        from synthoma.generators.sampling import repaints_slices

        if not self.tumour or (self.phantom is None and repaints_slices(bundle)):
            return
        there = "--phantom, whose patients are there already"
        came = there if self.phantom is not None else f"a {bundle.meta.model}"
        todo = "leave out the tumour's size and place, or give a phantom-gan alone"
        raise ConfigError("a phantom-gan that simulates patients for itself", came, todo)

    def _check_per_patient(self, bundle: Bundle) -> None:
        """Raise ConfigError where images of one patient are to be counted, and nobody simulates patients for them."""
        from synthoma.generators.sampling import repaints_slices

        if self.per_patient is None:
            return
        if not repaints_slices(bundle):
            came = f"a {bundle.meta.model}"
        elif self.phantom is not None:
            came = "--phantom, whose patients are there already"
        elif self.patients is not None:
            came = "whole patients"
        elif not isinstance(self.per_patient, int) or not 1 <= self.per_patient <= 16:
            raise ConfigError("1 to 16 images of one patient", str(self.per_patient), "give such a number")
        else:
            return
        todo = "leave out the number of images per patient, or draw images (-n) of a phantom-gan alone"
        raise ConfigError("a phantom-gan that simulates patients for each image", came, todo)


def simulated_for(asked: Asked, bundle: Bundle, folder: Path, progress: Progress) -> tuple[Path | None, int | None]:
    """Simulated slices that the images are repainted from; (None, None) of a generator that repaints nothing.

    Single images get patients of their own. Whole patients are those of the run, or of so many new ones where
    something is asked of their tumours.

    Returns:
        The cohort, and the number of the image that its first row is for; None where rows are drawn by chance.

    Raises:
        ConfigError: the model does not say how to simulate them.
    """
    from synthoma.generators.sampling import repaints_slices
    from synthoma.generators.train import OWN_PHANTOM

    if asked.phantom is not None or not repaints_slices(bundle):
        return (None if asked.phantom is None else Path(asked.phantom)), None
    if asked.patients is None and bundle.meta.simulate is not None:
        return _own_patients(asked, bundle, folder, progress)
    beside = asked.run if asked.run.is_dir() else asked.run.parent
    if not asked.tumour and (own := beside / OWN_PHANTOM).is_dir():
        return own, None
    if bundle.meta.simulate is None:
        todo = "give --phantom COHORT (made by `synthoma prepare --phantom N` with the size of the model's images)"
        raise ConfigError("simulated slices to repaint", "none", todo)
    from synthoma.phantom import Look

    meta, place = bundle.meta, folder / SIMULATED
    look = Look(meta.modalities, meta.labels, meta.shape["size"], meta.plane or "axial")
    key, patients = stream_key(asked.seed, "synthesis.phantom"), max(SIMULATED_PATIENTS, asked.patients or 0)
    simulate: Simulation = {**bundle.meta.simulate, **asked.tumour}
    simulate_beside(look, meta.prepare, simulate, place, patients, key, progress)
    return place, None


def whole_patients(run: Path, sampler: Sampler, label: str | None) -> Sampler | None:
    """The same model with the whole simulated patients of its run; None where it repaints none, or has none."""
    from synthoma.generators.sampling import Sampler
    from synthoma.generators.train import OWN_PHANTOM

    own = (run if run.is_dir() else run.parent) / OWN_PHANTOM
    return Sampler.open(run, Cohort(own), label) if sampler.repaints and own.is_dir() else None


def _own_patients(asked: Asked, bundle: Bundle, folder: Path, progress: Progress) -> tuple[Path, int]:
    """Slices of patients who are simulated for these images, and the number of the image that the first is for."""
    from synthoma.generators.phantomgan.matching import Matching
    from synthoma.generators.phantomgan.simulated import simulated_class
    from synthoma.pipeline.own_patients import write_own_patients

    meta, place = bundle.meta, folder / SIMULATED
    place.mkdir()
    kinds = tuple(meta.kinds) if asked.label is None else (simulated_class(asked.label),)
    matching = Matching.from_meta(meta.matching) if meta.matching else None
    config, each = _simulation(asked, bundle), asked.per_patient or 2
    _, first = write_own_patients(place, config, asked.images, matching, kinds, each, progress)
    return place, first


def _simulation(asked: Asked, bundle: Bundle) -> PhantomCohortConfig:
    """How patients are simulated for the images of a model."""
    from synthoma.phantom import Look, phantom_beside

    meta = bundle.meta
    look = Look(meta.modalities, meta.labels, meta.shape["size"], meta.plane or "axial")
    simulate: Simulation = {**(meta.simulate or {}), **asked.tumour}
    config = phantom_beside(look, meta.prepare, **simulate)
    return config.model_copy(update={"seed": stream_key(asked.seed, "synthesis.phantom") % 2**31})


def _bytes(bundle: Bundle, count: int) -> float:
    """Bytes of a synthetic cohort: images in half precision, masks, and a row of the table each."""
    shape = bundle.meta.shape
    return count * (shape["size"] ** 2 * (2 * shape["channels"] + 1) + 200)
