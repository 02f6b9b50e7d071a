"""From a trained generator to a synthetic cohort."""

from __future__ import annotations

import shutil
from functools import partial as partial_of
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthoma.cohorts import cohort as folders
from synthoma.core.display import telling
from synthoma.core.errors import ConfigError, InputError
from synthoma.core.fanned import fan, whole_work
from synthoma.core.outputs import new_folder
from synthoma.core.progress import Progress
from synthoma.core.provenance import file_digest
from synthoma.core.resources import check_disk
from synthoma.core.seeding import stream_key
from synthoma.core.types import Place
from synthoma.core.whole_files import write_bytes
from synthoma.pipeline.cohort import Cohort
from synthoma.pipeline.description import add_cohort_page
from synthoma.pipeline.python_words import in_python
from synthoma.pipeline.simulation import SIMULATED_PATIENTS, simulate_beside

if TYPE_CHECKING:
    from synthoma.exports.marked import Format
    from synthoma.generators.sampling import Chooser, Sampler
    from synthoma.generators.spreading import Origin
    from synthoma.phantom import PhantomCohortConfig
    from synthoma.training.bundle import Bundle
    from synthoma.training.meta import Simulation

SIMULATED = "simulated"
"""Folder of what is simulated for one command and thrown away after it."""


@in_python
def generate(
    run: Place,
    output: Place,
    count: int | None = None,
    *,
    per_patient: int | None = None,
    patients: int | None = None,
    seed: int = 0,
    label: str | None = None,
    truncation: float = 1.0,
    keep_share: float | None = None,
    shard: tuple[int, int] = (1, 1),
    form: Format | None = None,
    interpolation: bool = False,
    arithmetic: str | None = None,
    nearest: Place | None = None,
    only_private: Place | None = None,
    phantom: Place | None = None,
    tumour: Simulation | None = None,
    jobs: int = 1,
    force: bool = False,
    progress: Progress | None = None,
) -> Cohort:
    """Draw a labelled synthetic cohort from a trained generator.

    Args:
        run: the run, or its model file.
        output: the cohort folder to write.
        count: number of single images (in all shards together).
        per_patient: of a phantom-gan: most images of one simulated patient, from slices far apart. Patients are
            simulated for this call. None means 2, and beside ``phantom`` as many as chance gives.
        patients: in their place, number of whole patients, for a phantom-gan: all slices of a simulated one that show
            a class which was learned, repainted in one style.
        seed: image or patient i is a function of (model, seed, i), and of the simulated cohort where one is repainted
            (whole patients of a model file without its run, where they are more than 80: also of their number); of a
            phantom-gan image i is one of (model, seed, per_patient, i).
        label: class of all images; else the model's classes come in turn.
        truncation: factor on the latents, at most 1; less is more typical and less various.
        keep_share: draw more, and keep this share, the images that the run's own discriminator finds most real.
        shard: (i, k) draws the i-th of k parts of exactly the rows that one run would give.
        form: also write files: png, nifti or dicom, into ``export_<form>/``.
        interpolation: also write interpolation.png, strips between pairs of latents; of a phantom-gan between styles,
            and through simulated patients.
        arithmetic: also write arithmetic.png, a sum of concepts ("12,15,18 - 3,4 + 7"), see ``generators.arithmetic``.
        nearest: real cohort; also write nearest.png, images beside the nearest real slices of their class.
        only_private: real cohort that the generator learned from; images that are as near to one of its training
            slices as altered copies are, are drawn and left out, and of whole patients all that have such a slice.
        phantom: cohort of simulated slices that a phantom-gan repaints, prepared as the model's cohort was.
        tumour: of a phantom-gan: what the tumours of new simulated patients are to be (``{"volume_ml": 20.0,
            "volume_spread": 0.0, "lobe": "temporal", "side": "left"}``, any of them).
        jobs: processes that draw at once; 0 is one a core.
        force: replace an existing cohort.
        progress: told how far it is; None shows it, see ``core.display``.

    Raises:
        InputError: no finished generator there, or the output place is taken.
        ConfigError: an unknown class, or numbers out of range.
    """
    from synthoma.exports.marked import export
    from synthoma.generators.arithmetic import terms_of
    from synthoma.generators.gan.rejection import Rejection
    from synthoma.generators.phantomgan.patients import check_patients, in_order
    from synthoma.generators.sampling import Sampler, check_request, repaints_slices
    from synthoma.generators.spreading import spread_pieces
    from synthoma.training.bundle import open_model

    # Before patients are simulated, which takes a minute.
    bundle = open_model(Path(run), "generator")
    wanted = _wanted(count, patients, label)
    count_option = "-n" if patients is None else "--patients"
    check_request(bundle, wanted, label=label, truncation=truncation, shard=shard, option=count_option)
    if arithmetic is not None:
        terms_of(arithmetic, bundle.meta.classes if bundle.meta.shape["classes"] else ())
    _check_tumour(bundle, tumour, phantom)
    _check_per_patient(bundle, per_patient, phantom, patients)
    if patients is not None:
        check_patients(bundle)
    else:
        _check_room(bundle, wanted, shard[1], Path(output))
    _check_private(only_private, shard[1])
    place_of_all = new_folder(Path(output), force=force, inputs=(run, phantom, nearest, only_private))
    with telling(progress) as told, place_of_all as partial:
        images = range(wanted * (shard[0] - 1) // shard[1], wanted * shard[0] // shard[1])
        own = phantom is None and patients is None and repaints_slices(bundle) and bundle.meta.simulate is not None
        simulated: Place | None
        first: int | None = None
        with whole_work():  # every share of the images needs all of them
            if own:
                config = _simulation(bundle, tumour or {}, seed)
                simulated, first = _own_patients(bundle, partial, config, images, label, per_patient or 2, told)
            else:
                simulated = phantom or _own_phantom(Path(run), bundle, partial, patients or 0, seed, told, tumour or {})
        sampler = Sampler.open(Path(run), Cohort(simulated) if simulated is not None else None, label)
        sampler = sampler if first is None else in_order(sampler, first)
        rejection = None if keep_share is None else Rejection.open(sampler, keep_share, truncation)
        place = partial if only_private is None else partial / "drawn"
        place.mkdir(exist_ok=True)
        common: dict[str, Any] = {"seed": seed, "truncation": truncation, "shard": shard, "progress": told}
        if jobs != 1 or fan().elsewhere or fan().config.parts is not None:
            shown = None if simulated is None else Cohort(simulated)
            origin = _origin(Path(run), bundle, shown, seed, label, truncation, keep_share, patients is not None, first)
            common["pieces"] = partial_of(spread_pieces, origin, jobs, partial_of(told, "drawing"))
        cohort = _drawn(sampler, place, wanted, patients is not None, label, rejection, common)
        if only_private is not None:
            cohort = _without_copies(Cohort(only_private), cohort, partial)
            shutil.rmtree(place)
        if form is not None:
            (partial / f"export_{form}").mkdir()
            export(cohort, partial / f"export_{form}", form, told)
        whole = _whole_patients(Path(run), sampler, label) if interpolation and phantom is None else None
        _write_sheets(partial, sampler, cohort, seed if interpolation else None, nearest, whole)
        _write_sum(partial, sampler, seed, arithmetic, label)
        shutil.rmtree(partial / SIMULATED, ignore_errors=True)
        add_cohort_page(partial, Path(output).name)
    return Cohort(output)


def _origin(
    run: Path, bundle: Bundle, simulated: Cohort | None, seed: int, label: str | None, truncation: float,
    keep_share: float | None, patients: bool, first: int | None,
) -> Origin:  # fmt: skip
    """All that the images depend on, for workers that draw some of them."""
    from synthoma.generators.spreading import Origin

    place = None if simulated is None else simulated.path.absolute()
    # Those of a run are there for good; those that were simulated for this command alone are known by their content.
    known = "" if place is None else file_digest(place / "slices.csv") + file_digest(place / "images.npy")
    return Origin(run.absolute(), bundle.digest, place, known, seed, label, truncation, keep_share, patients, first)


def _check_tumour(bundle: Bundle, tumour: Simulation | None, phantom: Place | None) -> None:
    """Raise ConfigError where tumours are asked for of which nobody simulates any."""
    from synthoma.generators.sampling import repaints_slices

    if not tumour or (phantom is None and repaints_slices(bundle)):
        return
    came = "--phantom, whose patients are there already" if phantom is not None else f"a {bundle.meta.model}"
    todo = "leave out the tumour's size and place, or give a phantom-gan alone"
    raise ConfigError("a phantom-gan that simulates patients for itself", came, todo)


def _check_per_patient(bundle: Bundle, per_patient: int | None, phantom: Place | None, patients: int | None) -> None:
    """Raise ConfigError where images of one patient are to be counted, and nobody simulates patients for them."""
    from synthoma.generators.sampling import repaints_slices

    if per_patient is None:
        return
    if not repaints_slices(bundle):
        came = f"a {bundle.meta.model}"
    elif phantom is not None:
        came = "--phantom, whose patients are there already"
    elif patients is not None:
        came = "whole patients"
    elif not isinstance(per_patient, int) or not 1 <= per_patient <= 16:
        raise ConfigError("1 to 16 images of one patient", str(per_patient), "give such a number")
    else:
        return
    todo = "leave out the number of images per patient, or draw images (-n) of a phantom-gan alone"
    raise ConfigError("a phantom-gan that simulates patients for each image", came, todo)


def _check_private(only_private: Place | None, parts: int) -> None:
    """Raise ConfigError where a part of the images is to be searched for copies: what is near is told from all."""
    if only_private is not None and parts > 1:
        todo = "draw the shards without it, or all images in one go"
        raise ConfigError("all images, to tell which are too near to a patient's", "a shard of them", todo)


def _write_sum(folder: Path, sampler: Sampler, seed: int, arithmetic: str | None, label: str | None) -> None:
    """The sheet of a sum of concepts, where one is asked for."""
    from synthoma.generators.arithmetic import arithmetic_sheet

    if arithmetic is not None:
        write_bytes(folder / "arithmetic.png", arithmetic_sheet(sampler, seed, arithmetic, label))


def _write_sheets(
    folder: Path, sampler: Sampler, drawn: folders.Cohort, seed: int | None, nearest: Place | None,
    whole: Sampler | None,
) -> None:  # fmt: skip
    """Strips between pairs of latents, where a seed is given, and images beside the nearest slices of a real cohort."""
    from synthoma.generators.sheets import interpolation_sheet, nearest_sheet

    if seed is not None:
        write_bytes(folder / "interpolation.png", interpolation_sheet(sampler, seed, whole))
    if nearest is not None:
        write_bytes(folder / "nearest.png", nearest_sheet(drawn, Cohort(nearest)))


def _drawn(
    sampler: Sampler, folder: Path, count: int, patients: bool, label: str | None, rejection: Chooser | None,
    common: dict[str, Any],
) -> folders.Cohort:  # fmt: skip
    """So many images or whole patients, as a cohort in ``folder``."""
    from synthoma.generators.phantomgan.patients import generate_patients
    from synthoma.generators.sampling import generate_cohort

    if patients:
        return generate_patients(sampler, folder, count, **common)
    return generate_cohort(sampler, folder, count, label=label, rejection=rejection, **common)


def _check_room(bundle: Bundle, count: int, parts: int, output: Path) -> None:
    """Raise OutputError where the disk has no room for the images."""
    todo = "make room there, or draw fewer, or parts of them with --shard"
    check_disk(_bytes(bundle, count, parts), output, f"{count:,} images", todo)


def _bytes(bundle: Bundle, count: int, parts: int) -> float:
    """Bytes of a synthetic cohort: images in half precision, masks, and a row of the table each."""
    shape = bundle.meta.shape
    return count / parts * (shape["size"] ** 2 * (2 * shape["channels"] + 1) + 200)


def _wanted(count: int | None, patients: int | None, label: str | None) -> int:
    """How many images or patients are asked for.

    Raises:
        ConfigError: both, neither, or patients of one class.
    """
    if (wanted := count if patients is None else patients) is None or None not in (count, patients):
        came = "both" if wanted is not None else "neither"
        raise ConfigError("a number of images, or of patients", came, "give one of them")
    if patients is not None and label is not None:
        todo = "leave out --class, or draw single slices with -n"
        raise ConfigError("whole patients, with the slices that they have", f"--class {label}", todo)
    return wanted


def _simulation(bundle: Bundle, tumour: Simulation, seed: int) -> PhantomCohortConfig:
    """How patients are simulated for the images of a model."""
    from synthoma.phantom import Look, phantom_beside

    meta = bundle.meta
    look = Look(meta.modalities, meta.labels, meta.shape["size"], meta.plane or "axial")
    simulate: Simulation = {**(meta.simulate or {}), **tumour}
    config = phantom_beside(look, meta.prepare, **simulate)
    return config.model_copy(update={"seed": stream_key(seed, "synthesis.phantom") % 2**31})


def _own_patients(
    bundle: Bundle, folder: Path, config: PhantomCohortConfig, images: range, label: str | None, per_patient: int,
    progress: Progress,
) -> tuple[Path, int]:  # fmt: skip
    """Slices of patients who are simulated for these images, and the number of the image that the first is for."""
    from synthoma.generators.phantomgan.matching import Matching
    from synthoma.generators.phantomgan.simulated import simulated_class
    from synthoma.pipeline.own_patients import write_own_patients

    meta, place = bundle.meta, folder / SIMULATED
    place.mkdir()
    kinds = tuple(meta.kinds) if label is None else (simulated_class(label),)
    matching = Matching.from_meta(meta.matching) if meta.matching else None
    _, first = write_own_patients(place, config, images, matching, kinds, per_patient, progress)
    return place, first


def _whole_patients(run: Path, sampler: Sampler, label: str | None) -> Sampler | None:
    """The same model with the whole simulated patients of its run; None where it repaints none, or has none."""
    from synthoma.generators.sampling import Sampler
    from synthoma.generators.train import OWN_PHANTOM

    own = (run if run.is_dir() else run.parent) / OWN_PHANTOM
    return Sampler.open(run, Cohort(own), label) if sampler.repaints and own.is_dir() else None


def _own_phantom(
    run: Path, bundle: Bundle, folder: Path, patients: int, seed: int, progress: Progress, tumour: Simulation
) -> Path | None:
    """Simulated slices for a generator that repaints: those of its run, or of so many new patients; None for others.

    Patients are new where something is asked of their tumours.

    Raises:
        ConfigError: the model does not say how to simulate them.
    """
    from synthoma.generators.sampling import repaints_slices
    from synthoma.generators.train import OWN_PHANTOM
    from synthoma.phantom import Look

    if not repaints_slices(bundle):
        return None
    meta = bundle.meta
    if not tumour and (own := (run if run.is_dir() else run.parent) / OWN_PHANTOM).is_dir():
        return own
    if meta.simulate is None:
        todo = "give --phantom COHORT (made by `synthoma prepare --phantom N` with the size of the model's images)"
        raise ConfigError("simulated slices to repaint", "none", todo)
    place = folder / SIMULATED
    look = Look(meta.modalities, meta.labels, meta.shape["size"], meta.plane or "axial")
    key, patients = stream_key(seed, "synthesis.phantom"), max(SIMULATED_PATIENTS, patients)
    simulate: Simulation = {**meta.simulate, **tumour}
    simulate_beside(look, meta.prepare, simulate, place, patients, key, progress)
    return place


def _without_copies(real: folders.Cohort, drawn: folders.Cohort, folder: Path) -> Cohort:
    """The drawn cohort less what was taken for copies of training slices, written into ``folder``."""
    from synthoma.evaluation.comparison import compare
    from synthoma.evaluation.private.privacy import blind, copies

    found = copies(compare(real, drawn, limit=len(drawn)))
    if found.word == "CANNOT TELL" and (why := blind(found)):
        todo = "leave out --only-private, and look at the nearest pairs yourself (--nearest)"
        raise InputError("a search that can tell copies from other scans", why, todo)
    flagged = set(found.quarantine)
    if drawn.meta.provenance.drawn == "patients":
        # A volume with a hole in it is none.
        cases = drawn.slices["case"].tolist()
        touched = {cases[row] for row in flagged}
        flagged = {row for row, case in enumerate(cases) if case in touched}
    kept = [row for row in range(len(drawn)) if row not in flagged]
    folders.write_rows(drawn, folder, kept, left_out=len(flagged))
    return Cohort(folder)
