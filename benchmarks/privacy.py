"""The search for copies: recall, false alarms and bounds on real slices, calibration, a GAN, membership, cost.

python benchmarks/privacy.py [--lgg64 C] [--phantom C] [--gan C --drawn C] [--parts recall-lgg gan ...]
python benchmarks/privacy.py cost FILE COUNT          only the time and memory of one audit (what `main` measures)

Cohorts that are not given are prepared, and a DCGAN is trained for four minutes. Results of other parts are kept.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

import synthoma
from record import data_folder, earlier, save
from synthoma.cohorts.cohort import Cohort
from synthoma.core.pictures import contact_sheet, grey, png
from synthoma.core.seeding import stream
from synthoma.core.types import Array, Bools, Float32, Ints, tumour_of
from synthoma.evaluation.comparison import Comparison, compare
from synthoma.evaluation.private import kinds as copy_kinds
from synthoma.evaluation.private import privacy as audit
from synthoma.metrics.copies.alterations import altered, altered_alike, cropped, implanted
from synthoma.metrics.copies.blends import Blends
from synthoma.metrics.copies.parts import Crops
from synthoma.metrics.copies.whole import Gallery, Nearest

SEED = 11
COPIES = 60
DIVISIONS, REPEATS, MIXED = 5, 40, 2
SHARES = (0.05, 0.2)
VOLUMES = 10


class Remembering:
    """A search that looks at each picture once, however many cohorts hold it: it is found alike in any company."""

    def __init__(self, search: Any) -> None:
        self.search = search
        self.training = getattr(search, "training", None)
        self.known: dict[bytes, Nearest] = {}

    def nearest(self, queries: Array, windows: Array | None = None) -> Nearest:
        """As that of the search."""
        parts = [queries] if windows is None else [queries, windows]
        keys = [b"".join(np.asarray(part[at], np.float32).tobytes() for part in parts) for at in range(len(queries))]
        new = [at for at, key in enumerate(keys) if key not in self.known]
        found = self.search.nearest(*(part[new] for part in parts))
        for row, at in enumerate(new):
            self.known[keys[at]] = Nearest(*(column[row] for column in vars(found).values()))
        if not keys:
            return found
        return Nearest(*(np.array([getattr(self.known[key], name) for key in keys]) for name in vars(found)))


@contextmanager
def remembering() -> Iterator[None]:
    """All searches remember, gallery by gallery, as long as this lasts."""
    made: dict[tuple[str, bytes], Remembering] = {}
    plain = {"Gallery": Gallery, "Crops": Crops}

    def maker(name: str) -> Callable[..., Remembering]:
        def make(training: Array, windows: Array | None = None, **options: Any) -> Remembering:
            key = (name, np.asarray(training, np.float16).tobytes())
            if key not in made:
                given = (training,) if windows is None else (training, windows)
                made[key] = Remembering(plain[name](*given, **options))
            return made[key]

        return make

    def blends(gallery: Remembering) -> Remembering:
        key = ("Blends", np.asarray(gallery.training, np.float16).tobytes())
        return made.setdefault(key, Remembering(Blends(gallery.search))) if key not in made else made[key]

    places = [(audit, "Gallery"), (copy_kinds, "Gallery"), (copy_kinds, "Crops"), (copy_kinds, "Blends")]
    before = [getattr(module, name) for module, name in places]
    try:
        for module, name in places:
            setattr(module, name, blends if name == "Blends" else maker(name))
        yield
    finally:
        for (module, name), one in zip(places, before, strict=True):
            setattr(module, name, one)


@dataclass(frozen=True)
class Slices:
    """Slices (N, H, W) of the first modality, whose they are (N,), and where they show tumour (N, H, W)."""

    images: Float32
    owners: Array
    tumours: Bools


def pictures(cohort: Cohort) -> Slices:
    """All slices of a cohort."""
    images = np.clip(cohort.images[:, 0].astype(np.float32), 0, 1)
    return Slices(images, cohort.slices["group"].astype(str).to_numpy(), tumour_of(np.asarray(cohort.masks)))


def sides(owners: Array, shares: tuple[float, ...], *index: int) -> list[Ints]:
    """Slices of random patients, so many of each side."""
    names = stream(SEED, "sides", *index).permutation(np.unique(owners))
    cuts = np.cumsum([round(share * len(names)) for share in shares[:-1]])
    return [np.flatnonzero(np.isin(owners, part)) for part in np.split(names, cuts)]


def compared(
    real: Slices, training: Ints, held_out: Ints, made: Float32, tumours: Bools, groups: Sequence[str]
) -> Comparison:
    """A comparison of these slices; all of the training ones are searched."""
    return Comparison(
        real.images[training],
        real.images[held_out],
        made,
        training,
        held_out,
        np.arange(len(made)),
        tuple(real.owners[training]),
        tuple(real.owners[held_out]),
        tuple(groups),
        "flair",
        real.images[training].astype(np.float16),
        training,
        gallery_groups=tuple(real.owners[training]),
        gallery_tumours=real.tumours[training],
        held_out_tumours=real.tumours[held_out],
        synthetic_tumours=tumours,
    )


# Measures


def exactly(**motion: Any) -> Callable[[Float32, np.random.Generator], Float32]:
    """Moves an image so much and no less: to either side for a turn and for a shift along both axes."""

    def change(image: Float32, draws: np.random.Generator) -> Float32:
        side, sign = image.shape[0], draws.choice([-1, 1], 3)
        angle, zoom = np.deg2rad(motion.get("turn", 0) * sign[0]), motion.get("zoom", 1.0)
        matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / zoom
        centre = (np.array(image.shape) - 1) / 2
        shift = motion.get("shift", 0) * side * sign[1:]
        return ndimage.affine_transform(image, matrix, centre - matrix @ (centre + shift), order=1)

    return change


def warped(image: Float32, draws: np.random.Generator) -> Float32:
    """Bent by a smooth random field of 1.5 px (of 64) on average."""
    step = image.shape[0] / 64
    field = ndimage.gaussian_filter(draws.normal(size=(2, *image.shape)), (0, 8 * step, 8 * step))
    field *= 1.5 * step / np.hypot(*field).mean()
    return ndimage.map_coordinates(image, np.mgrid[: image.shape[0], : image.shape[1]] + field, order=1)


def kinds_of_copies(strangers: Float32) -> dict[str, Callable[[Float32, np.random.Generator], Float32]]:
    """Alterations of one image, by name; those that need another image mix in strangers."""

    def beside(image: Float32, share: float, draws: np.random.Generator) -> Float32:
        return (1 - share) * image + share * strangers[draws.integers(len(strangers))]

    return {
        "identity": lambda a, d: a,
        "mirrored": lambda a, d: a[:, ::-1],
        "upside down": lambda a, d: a[::-1],
        "quarter turn": lambda a, d: np.rot90(a, 1 + 2 * int(d.integers(2))),
        "turn 4 degrees": exactly(turn=4),
        "turn 10 degrees": exactly(turn=10),
        "turn 20 degrees": exactly(turn=20),
        "zoom 0.9": exactly(zoom=0.9),
        "zoom 1.08": exactly(zoom=1.08),
        "zoom 1.15": exactly(zoom=1.15),
        "shift 5 %": exactly(shift=0.05),
        "shift 8 % (5 px of 64)": exactly(shift=5 / 64),
        "shift 10 %": exactly(shift=0.1),
        "gamma 0.6": lambda a, d: a**0.6,
        "noise 5 %": lambda a, d: a + d.normal(0, 0.05, a.shape),
        "blur 0.7 px": lambda a, d: ndimage.gaussian_filter(a, 0.7 * a.shape[0] / 64),
        "blur 1.2 px": lambda a, d: ndimage.gaussian_filter(a, 1.2 * a.shape[0] / 64),
        "squeezed by 8 % along one axis": lambda a, d: ndimage.affine_transform(
            a, np.diag([1, 1 / 0.92]), [0, (a.shape[1] - 1) / 2 * (1 - 1 / 0.92)], order=1
        ),
        "elastic warp 1.5 px": warped,
        "contrast inverted in the head": lambda a, d: np.where(a > 0.05, 1 - a, a),
        "a stranger's slice mixed in, 20 %": lambda a, d: beside(a, 0.2, d),
        "a stranger's slice mixed in, 40 %": lambda a, d: beside(a, 0.4, d),
    }


def recall(cohort: Cohort) -> dict[str, Any]:
    """Share of copies that are flagged by any search, kind by kind, searched for or not: one division, one audit each.

    Each kind is a cohort of its own kind of copies among the others; none changes what is said of another, as
    thresholds come from held-out slices and planted copies alone.
    """
    real = pictures(cohort)
    training, held_out, others = sides(real.owners, (0.55, 0.2, 0.25), 0)
    draws = stream(SEED, "recall")
    strangers = real.images[others]
    made: dict[str, tuple[Float32, Bools]] = {}
    none = np.zeros((COPIES, *real.images.shape[1:]), np.bool_)
    # Slices without a head are nobody's copies: 5 % of the picture must show something.
    shown = training[(real.images[training] > 0.1).mean((1, 2)) > 0.05]
    for name, change in kinds_of_copies(strangers).items():
        chosen = real.images[draws.choice(shown, COPIES)]
        made[name] = (np.stack([np.clip(change(one, draws), 0, 1) for one in chosen]).astype(np.float32), none)
    for weight in (0.5, 0.7):
        pairs = real.images[draws.choice(shown, (2, COPIES))]
        made[f"blend of two, {weight:.0%}"] = (weight * pairs[0] + (1 - weight) * pairs[1], none)
    made["enlarged crop"] = (cropped(real.images[draws.choice(shown, COPIES)], draws), none)
    tumours = [row for row in training if real.tumours[row].sum() * 4096 / real.tumours[row].size >= 50]
    if tumours:
        sources = draws.choice(tumours, COPIES)
        hosts = real.images[draws.choice(others[(strangers > 0.1).mean((1, 2)) > 0.05], COPIES)]
        made["lesion put into another brain"] = implanted(hosts, real.images[sources], real.tumours[sources], draws)
        made["lesion put into another brain, no mask"] = (made["lesion put into another brain"][0], none)
    images = np.concatenate([one for one, _ in made.values()]).astype(np.float32)
    masks = np.concatenate([mask for _, mask in made.values()])
    groups = [f"synthetic-{at}" for at in range(len(images))]
    found = audit.copies(compared(real, training, held_out, images, masks, groups), seed=0).content()
    flagged = np.isin(np.arange(len(images)), found["quarantine"]).reshape(len(made), COPIES)
    return {
        "copies_of_a_kind": COPIES,
        "training": len(training),
        "held_out": len(held_out),
        "thresholds": {kind["name"]: round(kind["threshold"], 4) for kind in found["kinds"]},
        "canaries": {one["name"]: round(one["value"], 3) for kind in found["kinds"] for one in kind["alterations"]},
        "recall": {name: float(share) for name, share in zip(made, flagged.mean(axis=1), strict=True)},
    }


def calibration(cohort: Cohort) -> dict[str, Any]:
    """Words on slices of other patients in the place of synthetic ones, alone and with planted copies among them.

    Five sets of training patients; for each, the other patients are divided 40 times into held-out ones and ones in
    the place of synthetic patients. Runs with one set of training patients share it.
    """
    real = pictures(cohort)
    words: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    mixed: dict[float, list[dict[str, Any]]] = {share: [] for share in SHARES}
    p, flagged, of = [], 0, 0
    for division in range(DIVISIONS):
        # A new division forgets what was found in another gallery.
        with remembering():
            rest = sides(real.owners, (0.4, 0.6), 1000 + division)
            training = np.sort(stream(SEED, "few", division).permutation(rest[0])[:250])
            names = np.unique(real.owners[rest[1]])
            chosen = {
                one: np.flatnonzero(real.owners == one)[:: max(1, (real.owners == one).sum() // 12)] for one in names
            }
            draws = stream(SEED, "planted", division)
            planted = altered(real.images[draws.choice(training, 60)], draws)
            for repeat in range(REPEATS):
                order = stream(SEED, "repeat", division, repeat).permutation(names)
                held_out, drawn = (
                    np.sort(np.concatenate([chosen[one] for one in part])) for part in np.array_split(order, 2)
                )
                owners = real.owners[drawn].tolist()
                cohort_of = compared(real, training, held_out, real.images[drawn], real.tumours[drawn], owners)
                found = audit.copies(cohort_of, canaries=200, seed=division).content()
                words[found["word"]] += 1
                p.append(found["p"])
                flagged, of = flagged + found["flagged"], of + found["of"]
                for kind in [
                    *found["kinds"],
                    *([{"name": "whole patients", **found["volumes"]}] if found["volumes"] else []),
                ]:
                    kinds[kind["name"]] += kind["p"] < 0.05
                if repeat >= MIXED:
                    continue
                for share in SHARES:
                    count = min(len(planted), round(share / (1 - share) * len(drawn)))
                    images = np.concatenate([real.images[drawn], planted[:count]])
                    masks = np.concatenate([real.tumours[drawn], np.zeros((count, *images.shape[1:]), np.bool_)])
                    groups = [*owners, *(f"copy-{at}" for at in range(count))]
                    said = audit.copies(
                        compared(real, training, held_out, images, masks, groups), canaries=200, seed=division
                    ).content()
                    hits = sum(row >= len(drawn) for row in said["quarantine"])
                    mixed[share].append(
                        {"copies": count, "found": hits, "word": said["word"],
                         "covered": said["upper_share"] >= count / len(images)}
                    )  # fmt: skip
        print(division, dict(words), dict(kinds), flush=True)
    runs = DIVISIONS * REPEATS
    return {
        "runs": runs,
        "divisions": DIVISIONS,
        "patients": len(np.unique(real.owners)),
        "accused": words["COPIES FOUND"] / runs,
        "words": dict(words),
        "flagged": flagged / of,
        "p_below_0.05": float(np.mean(np.array(p) < 0.05)),
        "p_of_one_kind_below_0.05": {name: count / runs for name, count in kinds.items()},
        "with_copies": {
            f"{share:.0%}": {
                "runs": len(rows),
                "recall": sum(row["found"] for row in rows) / sum(row["copies"] for row in rows),
                "bound_covers": float(np.mean([row["covered"] for row in rows])),
                "words": dict(Counter(row["word"] for row in rows)),
            }
            for share, rows in mixed.items()
        },
    }


def whole_patients(cohort: Cohort) -> dict[str, Any]:
    """Cohorts of patients of up to 12 slices, two of them altered volumes of training patients."""
    real = pictures(cohort)
    rows = []
    with remembering():
        for repeat in range(VOLUMES):
            training, held_out, others = sides(real.owners, (0.4, 0.3, 0.3), 2000)
            draws = stream(SEED, "volumes", repeat)
            names = draws.permutation(np.unique(real.owners[others]))[:18]
            drawn = np.concatenate([np.flatnonzero(real.owners == name)[:12] for name in names])
            sources = draws.choice(np.unique(real.owners[training]), 2, replace=False)
            copies = [altered_alike(real.images[real.owners == one][:12], draws) for one in sources]
            images = np.concatenate([real.images[drawn], *copies])
            groups = [*real.owners[drawn], *(f"copy-{at}" for at, one in enumerate(copies) for _ in one)]
            masks = np.zeros(images.shape, np.bool_)
            found = audit.copies(compared(real, training, held_out, images, masks, groups), canaries=50).content()[
                "volumes"
            ]
            flagged = [min(patient["synthetic_rows"]) >= len(drawn) for patient in found["patients"]]
            rows.append((sum(flagged), len(flagged) - sum(flagged), found["of"], found["p"], found["upper_share"]))
    hits, wrong, of, p, bounds = map(np.array, zip(*rows, strict=True))
    return {
        "cohorts": VOLUMES,
        "patients_each": float(of.mean()),
        "copies_found": float(hits.sum() / (2 * VOLUMES)),
        "honest_flagged": float(wrong.sum() / (of.sum() - 2 * VOLUMES)),
        "median_p": float(np.median(p)),
        "median_bound": float(np.median(bounds)),
    }


def gan(real: Cohort, drawn: Cohort, sheet: Path | None) -> dict[str, Any]:
    """What is said of a GAN's slices as they are, and with altered training slices among them."""
    comparison = compare(real, drawn)
    draws = stream(SEED, "gan")
    planted = altered(comparison.training[draws.choice(len(comparison.training), 25)], draws)
    mixed = np.concatenate([comparison.synthetic[25:], planted])
    names = ("word", "p", "flagged", "of", "threshold", "upper_share", "recall", "quantiles")
    results = {}
    for name, images in (("as it is", comparison.synthetic), ("with 25 copies", mixed)):
        found = audit.privacy(replace(comparison, synthetic=images)).content()
        results[name] = {key: found[key] for key in names} | {"membership": found["membership"]["distance"]}
        last = int(comparison.synthetic_rows[-25])
        results[name]["copies_found"] = sum(row >= last for row in found["quarantine"]) if "copies" in name else 0
        if sheet and name == "as it is":
            rows = [
                [
                    grey(drawn.images[pair["synthetic_row"], 0].astype(np.float32)),
                    grey(real.images[pair["training_row"], 0].astype(np.float32)),
                ]
                for pair in found["pairs"][:12]
            ]
            sheet.write_bytes(png(contact_sheet(rows, [f"{pair['score']:.3f}" for pair in found["pairs"][:12]])))
    return results


def cost(images: Float32, count: int) -> dict[str, Any]:
    """Seconds and peak memory of a whole audit, ``count`` slices against 1.4 times as many, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "images.npy"
        np.save(file, images)
        words = [sys.executable, __file__, "cost", str(file), str(count)]
        answer = subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()
    names = ("wall_s", "processor_s", "peak_mib", "peak_before_mib")
    return {"slices_of_each_kind": count, **dict(zip(names, map(float, answer), strict=True))}


def timed_audit(file: str, count: int) -> None:
    base, draws = np.load(file), stream(SEED, "cost")
    many = (count * 7 // 5, count, count)
    parts = [altered(base[draws.integers(0, len(base), one)], draws) for one in many]
    images = np.concatenate(parts[:2])
    owners = np.array([f"patient-{at // 20}" for at in range(len(images))])
    real = Slices(images, owners, np.zeros(images.shape, np.bool_))
    training, groups = np.arange(many[0]), [f"synthetic-{at}" for at in range(count)]
    empty = np.zeros(parts[2].shape, np.bool_)
    comparison = compared(real, training, np.arange(many[0], len(images)), parts[2], empty, groups)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    wall, own = time.perf_counter(), time.process_time()
    audit.privacy(comparison)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(round(time.perf_counter() - wall, 1), round(time.process_time() - own, 1), peak, before)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("lgg64", "phantom", "gan", "drawn"):
        parser.add_argument(f"--{name}", type=Path)
    parts = ("recall-lgg", "recall-phantom", "calibration-lgg", "calibration-phantom", "volumes", "gan", "cost")
    parser.add_argument("--parts", nargs="+", default=list(parts), choices=parts)
    parser.add_argument("--sheet", type=Path, help="where to draw the GAN's nearest pairs")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)

        def lgg() -> Cohort:
            path = given.lgg64
            if path is None and not (path := place / "lgg").exists():
                synthoma.prepare(data_folder() / "lgg", path, size=64, modalities=("flair",))
            return Cohort(path)

        def phantom() -> Cohort:
            path = given.phantom
            if path is None and not (path := place / "phantom").exists():
                synthoma.prepare_phantom(60, path, size=64, modalities=("flair",))
            return Cohort(path)

        def generator() -> tuple[Cohort, Cohort]:
            if given.gan is None or given.drawn is None:
                given.gan, given.drawn = place / "gan-real", place / "gan-drawn"
                settings: dict[str, Any] = {"size": 64, "modalities": ("flair",), "slices": "tumour"}
                synthoma.prepare_phantom(40, given.gan, merge="whole-tumour", **settings)
                synthoma.train(given.gan, place / "gan-run", model="dcgan", minutes=4.0, with_masks=True)
                synthoma.generate(place / "gan-run", given.drawn, 500)
            return Cohort(given.gan), Cohort(given.drawn)

        work: dict[str, Callable[[], Any]] = {
            "recall-lgg": lambda: recall(lgg()),
            "recall-phantom": lambda: recall(phantom()),
            "calibration-lgg": lambda: calibration(lgg()),
            "calibration-phantom": lambda: calibration(phantom()),
            "volumes": lambda: whole_patients(phantom()),
            "gan": lambda: gan(*generator(), given.sheet),
            "cost": lambda: cost(pictures(lgg()).images, 1000),
        }
        for part in given.parts:
            found = work[part]()
            save("privacy", {**earlier("privacy"), "seed": SEED, part: found})


if __name__ == "__main__":
    if sys.argv[1:2] == ["cost"]:
        timed_audit(sys.argv[2], int(sys.argv[3]))
    else:
        main()
