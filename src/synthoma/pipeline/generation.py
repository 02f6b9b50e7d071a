"""From a trained generator to a synthetic cohort."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from functools import partial as partial_of
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthoma.cohorts import cohort as folders
from synthoma.core.display import telling
from synthoma.core.errors import InputError
from synthoma.core.fanned import fan, whole_work
from synthoma.core.outputs import new_folder
from synthoma.core.progress import Progress
from synthoma.core.provenance import file_digest
from synthoma.core.types import Place
from synthoma.core.whole_files import write_bytes
from synthoma.pipeline.asked import SIMULATED, Asked, simulated_for, whole_patients
from synthoma.pipeline.cohort import Cohort
from synthoma.pipeline.description import add_cohort_page
from synthoma.pipeline.planned import check_left_out, generate_orders
from synthoma.pipeline.python_words import in_python

if TYPE_CHECKING:
    from synthoma.exports.marked import Format
    from synthoma.generators.sampling import Pieces, Sampler
    from synthoma.training.bundle import Bundle
    from synthoma.training.meta import Simulation


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
    plan: Place | None = None,
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
        plan: draw what this plan of the cohort that the model learned from orders; it decides number, class, size and
            place.
        jobs: processes that draw at once; 0 is one a core.
        force: replace an existing cohort.
        progress: told how far it is; None shows it, see ``core.display``.

    Raises:
        InputError: no finished generator there, or the output place is taken.
        ConfigError: an unknown class, or numbers out of range.
    """
    from synthoma.generators.phantomgan.patients import in_order
    from synthoma.generators.sampling import Sampler

    if plan is not None:
        check_left_out(
            count=count, per_patient=per_patient, patients=patients, label=label, tumour=tumour, phantom=phantom,
            shard=shard != (1, 1), form=form, interpolation=interpolation, arithmetic=arithmetic, nearest=nearest,
        )  # fmt: skip
        how = {"truncation": truncation, "keep_share": keep_share, "only_private": only_private, "jobs": jobs}
        return _of_plan(Path(run), Path(output), Path(plan), seed, how, progress, force=force)
    # Everything is checked before patients are simulated.
    asked = Asked(
        Path(run), count, patients, per_patient, seed, label, truncation, keep_share, shard, phantom, tumour or {},
        whole=only_private is None,
    )  # fmt: skip
    bundle = asked.checked(Path(output), arithmetic)
    place_of_all = new_folder(Path(output), force=force, inputs=(run, phantom, nearest, only_private))
    with telling(progress) as told, place_of_all as partial:
        with whole_work():  # every share of the images needs all of them
            simulated, first = simulated_for(asked, bundle, partial, told)
        sampler = Sampler.open(asked.run, Cohort(simulated) if simulated is not None else None, label)
        sampler = sampler if first is None else in_order(sampler, first)
        place = partial if only_private is None else partial / "drawn"
        place.mkdir(exist_ok=True)
        pieces = _pieces(asked, bundle, simulated, first, jobs, told)
        cohort = _drawn(asked, sampler, place, pieces, told)
        if only_private is not None:
            cohort = _without_copies(Cohort(only_private), cohort, partial)
            shutil.rmtree(place)
        _write_files(partial, cohort, form, told)
        whole = whole_patients(asked.run, sampler, label) if interpolation and phantom is None else None
        _write_sheets(partial, sampler, cohort, seed if interpolation else None, nearest, whole)
        _write_sum(partial, sampler, seed, arithmetic, label)
        shutil.rmtree(partial / SIMULATED, ignore_errors=True)
        add_cohort_page(partial, Path(output).name)
    return Cohort(output)


def _of_plan(
    run: Path, output: Path, plan: Path, seed: int, given: Mapping[str, Any], progress: Progress | None, *, force: bool
) -> Cohort:
    """What a plan orders, as one cohort."""
    inputs = (run, plan, given["only_private"])
    with telling(progress) as told, new_folder(output, force=force, inputs=inputs) as partial:
        generate_orders(run, plan, partial, seed, generate, progress=told, **given)
        add_cohort_page(partial, output.name)
    return Cohort(output)


def _pieces(
    asked: Asked, bundle: Bundle, simulated: Path | None, first: int | None, jobs: int, progress: Progress
) -> Pieces | None:
    """How images are drawn where several processes do it; None where this one does it alone.

    Workers are told all that the images depend on. Simulated slices of a run are there for good; those that were
    simulated for this command alone are known by their content.
    """
    from synthoma.generators.spreading import Origin, spread_pieces

    if jobs == 1 and not fan().elsewhere and fan().config.parts is None:
        return None
    place = None if simulated is None else simulated.absolute()
    known = "" if place is None else file_digest(place / "slices.csv") + file_digest(place / "images.npy")
    origin = Origin(
        asked.run.absolute(), bundle.digest, place, known, asked.seed, asked.label, asked.truncation, asked.keep_share,
        asked.patients is not None, first,
    )  # fmt: skip
    return partial_of(spread_pieces, origin, jobs, partial_of(progress, "drawing"))


def _write_files(folder: Path, drawn: folders.Cohort, form: Format | None, progress: Progress) -> None:
    """The images as files too, where a form is asked for."""
    from synthoma.exports.marked import export

    if form is not None:
        (folder / f"export_{form}").mkdir()
        export(drawn, folder / f"export_{form}", form, progress)


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


def _drawn(asked: Asked, sampler: Sampler, folder: Path, pieces: Pieces | None, progress: Progress) -> folders.Cohort:
    """The images or whole patients that were asked for, as a cohort in ``folder``."""
    from synthoma.generators.gan.rejection import Rejection
    from synthoma.generators.phantomgan.patients import generate_patients
    from synthoma.generators.sampling import generate_cohort

    share = asked.keep_share
    rejection = None if share is None else Rejection.open(sampler, share, asked.truncation)
    if asked.patients is not None:
        return generate_patients(
            sampler, folder, asked.wanted, seed=asked.seed, truncation=asked.truncation, shard=asked.shard,
            progress=progress, pieces=pieces,
        )  # fmt: skip
    return generate_cohort(
        sampler, folder, asked.wanted, label=asked.label, rejection=rejection, seed=asked.seed,
        truncation=asked.truncation, shard=asked.shard, progress=progress, pieces=pieces,
    )  # fmt: skip


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
