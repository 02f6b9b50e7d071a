"""Tumours into scans, and out of scans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import numpy as np

from synthoma.cohorts.cohort import is_cohort
from synthoma.core.config import settled
from synthoma.core.display import telling
from synthoma.core.errors import ConfigError, InputError
from synthoma.core.outputs import new_folder
from synthoma.core.progress import Progress
from synthoma.core.seeding import stream
from synthoma.core.types import Bytes, Place, tumour_of
from synthoma.core.whole_files import write_json
from synthoma.painting.settings import PaintConfig, RemoveConfig, SourceConfig
from synthoma.pipeline.cohort import Cohort
from synthoma.pipeline.description import add_cohort_page
from synthoma.pipeline.keywords import PaintKeywords, RemoveKeywords
from synthoma.pipeline.planned import wishes_of
from synthoma.pipeline.python_words import in_python
from synthoma.pipeline.signature import with_settings

if TYPE_CHECKING:
    from synthoma.painting.dials import Dials
    from synthoma.painting.files import Found, Written
    from synthoma.painting.gan.model import PainterModel
    from synthoma.painting.scan import Scan
    from synthoma.painting.stacks import Change, Changed
    from synthoma.painting.wanted import Wishes
    from synthoma.scans.case import Case, Inventory, Study


@with_settings(PaintConfig)
@in_python
def paint(
    scans: Place | Sequence[Place],
    output: Place,
    *,
    config: PaintConfig | None = None,
    force: bool = False,
    progress: Progress | None = None,
    **settings: Unpack[PaintKeywords],
) -> Cohort:
    """Put tumours into scans or into the slices of a cohort: a synthetic cohort, and of scans files with masks too.

    Outside of a tumour and its soft margin every pixel is the scan's own, bit for bit (but with ``mass_effect``).

    Args:
        scans: a cohort; or files or folders, as ``prepare`` reads them.
        output: the cohort folder to write; of scans it holds the painted ones on their own grid in ``scans/``.
        config: the settings; or give single ones by name (``size_ml="5:40", place="left frontal"``).
        force: replace an existing cohort.
        progress: told how far it is; None shows it, see ``core.display``.
        settings: fields of ``PaintConfig``.

    Raises:
        InputError: nothing that can be painted, or the output place is taken.
        ConfigError: a setting out of its range, or one that says nothing here.
    """
    from synthoma.painting.material import material_of
    from synthoma.painting.painters import Material, paint_scan
    from synthoma.painting.stacks import Changed, Order
    from synthoma.painting.wanted import write_wanted

    config = settled(PaintConfig, config, settings)
    paths = _paths(scans)
    source = _cohort_of(paths, config)
    wishes = _wishes(config, source)
    place = new_folder(
        Path(output),
        force=force,
        inputs=(config.like, config.mask, config.plan, config.model, None if source is None else source.path),
        around=_around(paths, source),
    )
    with telling(progress) as told, place as partial:
        like = Cohort(config.like) if config.like is not None else source
        material, names = Material(), set[str]()
        if like is not None:
            told("learning from the training patients", 0, 1)
            material, names = material_of(like, lesions=config.painter == "copy-paste", shows=config.shows)
        if config.painter == "gan":
            model = _painter(config, like, partial, told)
            material, names = replace(material, model=model), names | set(model.patients)
        drawn = _Drawn(config.mask)
        dials = config.dials()

        def change(number: int, scan: Scan, dials: Dials) -> Changed:
            rng = stream(config.seed, "painting", number)
            made = paint_scan(
                rng,
                scan.showing(config.shows),
                dials,
                painter=config.painter,
                material=material,
                beside=config.beside,
                drawn=drawn.on_scan,
            )
            there = np.zeros_like(made.mask) if scan.mask is None else scan.mask
            mask = np.where(made.mask > 0, made.mask, there).astype(np.uint8)
            images = scan.lowered(dict(zip(scan.images, made.images.values(), strict=True)))
            return Changed(images, mask, made.changed, made.facts)

        if wishes is not None and source is not None:
            order = Order("painted", config.splits, 1, config.shown, config.seed, frozenset(names))
            write_wanted(source, partial, order, wishes, change, told)
        else:
            usual: Change = lambda number, name, scan: change(number, scan, dials)  # noqa: E731
            _carry_out(paths, source, partial, "painted", usual, config, names, config.copies, told, drawn)
        add_cohort_page(partial, Path(output).name)
    return Cohort(output)


@with_settings(RemoveConfig)
@in_python
def remove(
    scans: Place | Sequence[Place],
    output: Place,
    *,
    config: RemoveConfig | None = None,
    force: bool = False,
    progress: Progress | None = None,
    **settings: Unpack[RemoveKeywords],
) -> Cohort:
    """Replace the tumours of scans or of a cohort by plausible healthy tissue: the same heads without.

    The mask is that of the cohort or beside the scans, a file, or what a segmenter finds.

    Args:
        scans: a cohort; or files or folders, as ``prepare`` reads them.
        output: the cohort folder to write; of scans it holds the changed ones on their own grid in ``scans/``.
        config: the settings; or give single ones by name (``method="mirror"``).
        force: replace an existing cohort.
        progress: told how far it is; None shows it, see ``core.display``.
        settings: fields of ``RemoveConfig``.

    Raises:
        InputError: nothing with a tumour, or the output place is taken.
        ConfigError: a setting out of its range, or one that says nothing here.
    """
    from synthoma.painting.removal import remove as take_out
    from synthoma.painting.stacks import Changed

    config = settled(RemoveConfig, config, settings)
    paths = _paths(scans)
    source = _cohort_of(paths, config)
    if source is not None and config.model is not None:
        raise ConfigError("a cohort's own masks", "--model", "leave it out, or give the scans themselves")
    place = new_folder(
        Path(output),
        force=force,
        inputs=(config.model, config.mask, None if source is None else source.path),
        around=_around(paths, source),
    )
    with telling(progress) as told, place as partial:
        drawn = _Drawn(config.mask)

        def change(number: int, name: str, scan: Scan) -> Changed:
            hole = scan.tumour if drawn.on_scan is None else drawn.on_scan > 0
            made = take_out(scan, hole, method=config.method, margin_mm=config.margin)
            facts = {"removed_ml": float(hole.sum()) * scan.voxel_ml, "method": config.method}
            left = np.zeros(scan.shape, np.uint8)
            if scan.mask is not None:
                left = np.where(hole | tumour_of(scan.mask) & made.changed, 0, scan.mask).astype(np.uint8)
            return Changed(scan.lowered(made.images), left, made.changed, facts)

        found = None if source is not None or config.mask is not None else _finder(config.model)
        _carry_out(paths, source, partial, "removed", change, config, set(), 1, told, drawn, found)
        add_cohort_page(partial, Path(output).name)
    return Cohort(output)


def _wishes(config: PaintConfig, source: Cohort | None) -> Wishes | None:
    """What a plan orders of a painter; None without a plan.

    Raises:
        ConfigError: scans in place of a cohort, or settings that the plan decides.
        InputError: the plan is of another cohort, or orders nothing that can be painted.
    """
    if config.plan is None:
        return None
    if source is None:
        raise ConfigError("the cohort that was planned for", "--plan with scans", "give that cohort")
    return wishes_of(config, source)


def _painter(config: PaintConfig, like: Cohort | None, folder: Path, progress: Progress) -> PainterModel:
    """The network that paints; where it learned first, its weights are kept in the folder.

    Raises:
        InputError: nothing to learn from, or weights that are none.
        ConfigError: learning without a cohort.
    """
    from synthoma.painting.gan.lessons import taught
    from synthoma.painting.gan.model import FILE, PainterModel, shipped_painter

    begun = shipped_painter() if config.model is None else PainterModel.open(config.model)
    if not config.learn:
        return begun
    if like is None:
        raise ConfigError("a cohort to learn from, for --learn", "scans alone", "give one with --like COHORT")
    model = taught(begun, like, steps=config.learn, seed=config.seed, shows=config.shows, progress=progress)
    model.save(folder / FILE)
    return model


class _Drawn:
    """The user's own mask, which is read once its scan is."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.on_scan: Bytes | None = None

    def read(self, study: Study) -> None:
        """Put it onto a study's grid."""
        from synthoma.painting.files import own_mask

        if self.path is not None:
            self.on_scan = own_mask(self.path, study)


def _paths(scans: Place | Sequence[Place]) -> list[Path]:
    return [Path(scans)] if isinstance(scans, str | PathLike) else [Path(scan) for scan in scans]


def _around(paths: Sequence[Path], source: Cohort | None) -> Sequence[Path]:
    return () if source is not None else paths


def _cohort_of(paths: Sequence[Path], config: SourceConfig) -> Cohort | None:
    """The cohort that is given; None where it is scans.

    Raises:
        ConfigError: settings of the other kind.
        InputError: a synthetic cohort, or a cohort beside others.
    """
    cohorts = [path for path in paths if is_cohort(path)]
    if not cohorts:
        if "splits" in config.model_fields_set:
            raise ConfigError("a cohort, which has splits", "scans", "leave --splits out")
        if isinstance(config, RemoveConfig) and config.shown == "changed":
            came = "scans, of which all slices go into the cohort"
            raise ConfigError("a cohort, for --shown changed", came, "prepare the scans first, or leave it out")
        return None
    if len(paths) > 1:
        raise InputError(
            "one cohort, or scans", f"{len(paths)} inputs, of which {len(cohorts)} are cohorts", "give one cohort"
        )
    for name in ("mask", "layout", "convention", "size"):
        if name in config.model_fields_set:
            raise ConfigError("scans", f"a cohort with --{name}", "leave it out, or give the scans themselves")
    return Cohort(cohorts[0])


def _carry_out(
    paths: Sequence[Path], source: Cohort | None, folder: Path, done: str, change: Change, config: SourceConfig,
    names: set[str], copies: int, progress: Progress, drawn: _Drawn, found: Found | None = None,
) -> None:  # fmt: skip
    """Change the slices of a cohort, or scans, and write what comes out."""
    from synthoma.painting.stacks import Order, write_changed

    if source is not None:
        order = Order(done, config.splits, copies, config.shown, config.drawn_by, frozenset(names))
        write_changed(source, folder, order, change, progress)
        return
    inventory = _inventory(paths, config)
    if drawn.path is not None:
        if len(inventory.cases) != 1:
            raise InputError("one scan for a mask of your own", f"{len(inventory.cases)}", "give that scan alone")
        drawn.read(inventory.cases[0].load() if not inventory.cases[0].has_mask else _despite(inventory.cases[0]))
        if done == "removed":
            found = None
    from synthoma.painting.files import write_scans

    instead = drawn.path is not None and done == "removed"
    written = write_scans(inventory, folder, done, change, copies=copies, found=found, drawn=instead, progress=progress)
    _pack(written, folder, done, config, names, progress)


def _despite(case: Case) -> Study:
    from synthoma.scans.layouts.part_of_case import load_despite_mask

    return load_despite_mask(case.load)


def _inventory(paths: Sequence[Path], config: SourceConfig) -> Inventory:
    """The scans of all inputs; a mask is welcome and stops none."""
    from synthoma.detection.detect import take_inventories
    from synthoma.scans.layouts.part_of_case import files_of, load_without_mask

    kept = take_inventories(paths, layout=config.layout, convention=config.convention)
    if config.mask is None:
        return kept
    # The drawn mask may lie beside its scan: it is no scan, and what it marks is not there yet.
    drawn, own = config.mask.resolve(), []
    for case in kept.cases:
        mask = files_of(case).get("mask")
        if mask is not None and mask.resolve() == drawn:
            own.append(replace(case, has_mask=False, load=partial(load_without_mask, case.load)))
        elif drawn not in {path.resolve() for path in case.sources}:
            own.append(case)
    return replace(kept, cases=tuple(own) or kept.cases)


def _finder(model: Path | None) -> Found:
    """What finds tumours in scans without mask."""
    from synthoma.detection.detector import Detector
    from synthoma.detection.scan import look
    from synthoma.detection.settings import DetectConfig
    from synthoma.training.bundle import shipped_model

    options = DetectConfig(overlay=False, three_d=False)
    detector: list[Detector] = []

    def found(case: Case, study: Study) -> Bytes | None:
        if not detector:  # none is loaded where every scan has its mask
            detector.append(Detector.open(shipped_model() if model is None else model, "auto"))
        seen = look(case, detector[0], options)
        return np.asarray(seen.mask, np.uint8) if seen.has_tumour else None

    return found


def _pack(written: Written, folder: Path, done: str, config: SourceConfig, names: set[str], progress: Progress) -> None:
    """The changed scans as a synthetic cohort, with the patients behind it named."""
    from synthoma.cohorts.leaks import trained_on
    from synthoma.cohorts.preparation import pack
    from synthoma.cohorts.settings import PrepareConfig

    settings = PrepareConfig(
        origin="synthetic", size=config.size, split=(1.0, 0.0, 0.0), duplicates=False, classes="mask", jobs=1,
        slices="tumour" if config.shown == "changed" and done == "painted" else "all",
    )  # fmt: skip
    cohort = pack(written.inventory, folder, settings, source=f"scans {done} by synthoma", progress=progress)
    made = trained_on(len(cohort), cohort.classes, set(written.patients), names)
    provenance = cohort.meta.provenance.model_copy(update={"trained_on": made, "seed": config.drawn_by})
    texts = (f"tumours were {done} by Synthoma: no image is that of a patient", *cohort.meta.remarks)
    write_json(
        folder / "cohort.json", cohort.meta.model_copy(update={"provenance": provenance, "remarks": texts}).content()
    )
