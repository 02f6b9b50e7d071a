"""The search for copies: recall, false alarms and bounds on real slices, calibration, a GAN, membership, cost.

python benchmarks/privacy.py [--lgg64 C] [--lgg128 C] [--phantom C] [--gan C --drawn C] [--parts copies gan ...]
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
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

import synthoma
from record import data_folder, earlier, save
from synthoma.data.cohort import Cohort
from synthoma.evaluation import privacy as audit
from synthoma.evaluation.comparison import Comparison, compare
from synthoma.metrics.copies import Gallery, Nearest, altered
from synthoma.pictures import contact_sheet, grey, png
from synthoma.seeding import stream
from synthoma.types import Array, Float32, Ints

SEED = 11
REPETITIONS, CALIBRATIONS = 40, 200
SHARES = (0.0, 0.05, 0.2)
HONEST = (400, 100)


class Remembering(Gallery):
    """A gallery that searches each picture once, however many cohorts hold it: it is found alike in any company."""

    def __init__(self, training: Array) -> None:
        super().__init__(training)
        self.known: dict[bytes, tuple[int, float, bool]] = {}

    def nearest(self, queries: Array) -> Nearest:
        """As `Gallery.nearest`."""
        keys = [np.asarray(query, np.float32).tobytes() for query in queries]
        new = [at for at, key in enumerate(keys) if key not in self.known]
        found = super().nearest(queries[new])
        for at, index, score, mirrored in zip(new, found.index, found.score, found.mirrored, strict=True):
            self.known[keys[at]] = (int(index), float(score), bool(mirrored))
        columns = list(zip(*(self.known[key] for key in keys), strict=True))
        return Nearest(*(np.array(column) for column in columns))


def pictures(cohort: Cohort) -> tuple[Float32, Array]:
    """Slices of the first modality, and whose they are."""
    return np.clip(cohort.images[:, 0].astype(np.float32), 0, 1), cohort.slices["group"].astype(str).to_numpy()


def sides(owners: Array, shares: tuple[float, ...], *index: int) -> list[Ints]:
    """Slices of random patients, so many of each side."""
    names = stream(SEED, "sides", *index).permutation(np.unique(owners))
    cuts = np.cumsum([round(share * len(names)) for share in shares[:-1]])
    return [np.flatnonzero(np.isin(owners, part)) for part in np.split(names, cuts)]


def compared(images: Float32, owners: Array, training: Ints, held_out: Ints, synthetic: Float32) -> Comparison:
    """A comparison of these slices; all of the training ones are searched."""
    return Comparison(
        images[training],
        images[held_out],
        synthetic,
        training,
        held_out,
        np.arange(len(synthetic)),
        tuple(owners[training]),
        tuple(owners[held_out]),
        tuple(f"synthetic-{number}" for number in range(len(synthetic))),
        "flair",
        images[training].astype(np.float16),
        training,
    )


# Measures


def copies_among(cohort: Cohort) -> dict[str, Any]:
    """Recall, false alarms, bounds and words, by share of copies among slices of other patients."""
    images, owners = pictures(cohort)
    remembered: list[Remembering] = []

    def gallery(training: Array) -> Gallery:
        if not remembered or not np.array_equal(remembered[-1].training, training):
            remembered[:] = [Remembering(training)]
        return remembered[-1]

    audit.Gallery = gallery  # type: ignore[assignment, misc]
    rows: dict[str, list[dict[str, Any]]] = {}
    for repetition in range(REPETITIONS):
        training, held_out, others = sides(owners, (0.55, 0.2, 0.25), repetition)
        draws = stream(SEED, "copies", repetition)
        others = draws.permutation(others)
        sources = draws.choice(training, 150)
        planted = altered(images[sources], draws)
        for most in HONEST:
            honest = images[others[:most]]
            for share in SHARES:
                count = round(share / (1 - share) * len(honest))
                synthetic = np.concatenate([honest, planted[:count]])
                found = audit.copies(compared(images, owners, training, held_out, synthetic), seed=repetition)
                flagged = np.isin(np.arange(len(synthetic)), found["quarantine"])
                rows.setdefault(f"up to {most} honest, {share:.0%} copies", []).append(
                    {
                        "honest": len(honest),
                        "false_alarms": int(flagged[: len(honest)].sum()),
                        "copies": count,
                        "found": int(flagged[len(honest) :].sum()),
                        "covered": found["upper_share"] >= count / len(synthetic),
                        "bound": found["upper_share"],
                        "word": found["word"],
                        "threshold": found["threshold"],
                        "canary_recall": found["recall"]["value"],
                        "canary_recall_holds": None
                        if not count
                        else found["recall"]["low"] <= flagged[len(honest) :].mean() <= found["recall"]["high"],
                    }
                )
        print(repetition, {name: row[-1] for name, row in rows.items()}, flush=True)
    audit.Gallery = Gallery  # type: ignore[misc]
    return {name: _summary(row) for name, row in rows.items()}


def _summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    honest, copied = sum(row["honest"] for row in rows), sum(row["copies"] for row in rows)
    recalls = [row["found"] / row["copies"] for row in rows if row["copies"]]
    alarms = [row["false_alarms"] / row["honest"] for row in rows]
    return {
        "repetitions": len(rows),
        "mean_honest": round(honest / len(rows)),
        "copies_each": rows[0]["copies"] if rows[0]["copies"] == rows[-1]["copies"] else round(copied / len(rows)),
        "recall": round(sum(row["found"] for row in rows) / copied, 4) if copied else None,
        "least_recall": round(min(recalls), 4) if recalls else None,
        "false_alarms": round(sum(row["false_alarms"] for row in rows) / honest, 5),
        "most_false_alarms": round(max(alarms), 4),
        "bound_covers": round(float(np.mean([row["covered"] for row in rows])), 4),
        "median_bound": round(float(np.median([row["bound"] for row in rows])), 4),
        "median_threshold": round(float(np.median([row["threshold"] for row in rows])), 4),
        "canary_recall": round(float(np.mean([row["canary_recall"] for row in rows])), 4),
        "words": dict(Counter(row["word"] for row in rows)),
    }


def calibration(cohort: Cohort) -> dict[str, Any]:
    """Words on slices of real (or simulated) patients in the place of synthetic ones: none holds a copy."""
    images, owners = pictures(cohort)
    words: Counter[str] = Counter()
    p, flagged, of = [], 0, 0
    for run in range(CALIBRATIONS):
        training, held_out, others = (
            np.sort(stream(SEED, "few", run, at).permutation(rows)[:most])
            for at, (rows, most) in enumerate(
                zip(sides(owners, (0.4, 0.3, 0.3), 1000 + run), (300, 120, 120), strict=True)
            )
        )
        found = audit.copies(compared(images, owners, training, held_out, images[others]), canaries=50, seed=run)
        words[found["word"]] += 1
        p.append(found["p"])
        flagged, of = flagged + found["flagged"], of + found["of"]
        if run % 20 == 0:
            print(run, dict(words), flush=True)
    accused = words["COPIES FOUND"] / CALIBRATIONS
    return {
        "runs": CALIBRATIONS,
        "patients": len(np.unique(owners)),
        "slices": "300 training, 120 held-out, 120 in the place of synthetic ones",
        "accused": accused,
        "words": dict(words),
        "flagged": flagged / of,
        "p_below_0.05": float(np.mean(np.array(p) < 0.05)),
    }


def beyond(cohort: Cohort) -> dict[str, Any]:
    """Recall on copies altered otherwise than the canaries, at the threshold of one division."""
    images, owners = pictures(cohort)
    training, held_out, others = sides(owners, (0.55, 0.2, 0.25), 0)
    found = audit.copies(compared(images, owners, training, held_out, images[others]), seed=0)
    gallery, draws = Gallery(images[training]), stream(SEED, "beyond")
    sources = draws.choice(len(training), 100, replace=False)
    chosen, strangers = images[training][sources], images[draws.choice(others, 100)]
    step = images.shape[-1] / 64
    kinds: dict[str, Callable[[Array, int], Array]] = {
        "none": lambda a, i: a,
        "blur 0.7 px": lambda a, i: ndimage.gaussian_filter(a, 0.7 * step),
        "blur 1.2 px": lambda a, i: ndimage.gaussian_filter(a, 1.2 * step),
        "blend, 20 % of another": lambda a, i: 0.8 * a + 0.2 * strangers[i],
        "blend, 40 % of another": lambda a, i: 0.6 * a + 0.4 * strangers[i],
        "turn 6 degrees": lambda a, i: ndimage.rotate(a, 6, reshape=False, order=1),
        "turn 10 degrees": lambda a, i: ndimage.rotate(a, 10, reshape=False, order=1),
        "shift 4 px": lambda a, i: ndimage.shift(a, 4 * step, order=1),
        "zoom 1.04": lambda a, i: ndimage.affine_transform(
            a, np.eye(2) / 1.04, (np.array(a.shape) - 1) / 2 * (1 - 1 / 1.04), order=1
        ),
        "noise 5 %": lambda a, i: a + stream(SEED, "noise", i).normal(0, 0.05, a.shape),
        "up-down flip": lambda a, i: a[::-1],
    }
    recalls = {}
    for name, change in kinds.items():
        made = np.stack([np.clip(change(image, at), 0, 1) for at, image in enumerate(chosen)])
        recalls[name] = float((gallery.nearest(made).score > found["threshold"]).mean())
    return {"copies_of_a_kind": 100, "threshold": found["threshold"], "recall": recalls}


def gan(real: Cohort, drawn: Cohort, sheet: Path | None) -> dict[str, Any]:
    """What is said of a GAN's slices as they are, and with altered training slices among them."""
    comparison = compare(real, drawn)
    draws = stream(SEED, "gan")
    planted = altered(comparison.training[draws.choice(len(comparison.training), 25)], draws)
    mixed = np.concatenate([comparison.synthetic[25:], planted])
    names = ("word", "p", "flagged", "of", "threshold", "upper_share", "recall", "quantiles")
    results = {}
    for name, images in (("as it is", comparison.synthetic), ("with 25 copies", mixed)):
        found = audit.privacy(replace(comparison, synthetic=images))
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
    """Seconds and peak memory of a whole audit, ``count`` slices of each kind, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "images.npy"
        np.save(file, images)
        words = [sys.executable, __file__, "cost", str(file), str(count)]
        answer = subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()
    names = ("wall_s", "processor_s", "peak_mib", "peak_before_mib")
    return {"slices_of_each_kind": count, **dict(zip(names, map(float, answer), strict=True))}


def timed_audit(file: str, count: int) -> None:
    base, draws = np.load(file), stream(SEED, "cost")
    training, held_out, synthetic = (altered(base[draws.integers(0, len(base), count)], draws) for _ in range(3))
    owners = np.array([f"patient-{at // 20}" for at in range(2 * count)])
    images = np.concatenate([training, held_out])
    comparison = compared(images, owners, np.arange(count), np.arange(count, 2 * count), synthetic)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    wall, own = time.perf_counter(), time.process_time()
    audit.privacy(comparison)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(round(time.perf_counter() - wall, 1), round(time.process_time() - own, 1), peak, before)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("lgg64", "lgg128", "phantom", "gan", "drawn"):
        parser.add_argument(f"--{name}", type=Path)
    parts = ("copies", "copies-128", "beyond", "gan", "cost", "calibration")
    parser.add_argument("--parts", nargs="+", default=list(parts), choices=parts)
    parser.add_argument("--sheet", type=Path, help="where to draw the GAN's nearest pairs")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)

        def lgg(size: int) -> Cohort:
            path = given.lgg64 if size == 64 else given.lgg128
            if path is None and not (path := place / f"lgg{size}").exists():
                synthoma.prepare(data_folder() / "lgg", path, size=size, modalities=("flair",))
            return Cohort(path)

        def phantom() -> Cohort:
            path = given.phantom
            if path is None and not (path := place / "phantom").exists():
                synthoma.prepare_phantom(150, path, size=64, modalities=("flair",))
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
            "copies": lambda: copies_among(lgg(64)),
            "copies-128": lambda: copies_among(lgg(128)),
            "beyond": lambda: beyond(lgg(64)),
            "gan": lambda: gan(*generator(), given.sheet),
            "cost": lambda: [cost(pictures(lgg(64))[0], count) for count in (1000, 4000)],
            "calibration": lambda: calibration(phantom()),
        }
        for part in given.parts:
            found = work[part]()
            save("privacy", {**earlier("privacy"), "seed": SEED, part: found})


if __name__ == "__main__":
    if sys.argv[1:2] == ["cost"]:
        timed_audit(sys.argv[2], int(sys.argv[3]))
    else:
        main()
