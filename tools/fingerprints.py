"""Fingerprints of what Synthoma makes, to hold against those of another state of the code: same seeds, same bytes.

    python tools/fingerprints.py > before.json
    python tools/fingerprints.py --against before.json        exit code 1 and a list where one differs

Every model is trained for a few steps on simulated patients, images are drawn, judged and searched for tumours, and the
SHA-256 of what decides is taken: arrays, tables, weights, scores, masks. What only tells when, with which version and
from which file something was made is left out, and so are pages, whose words may change.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import synthoma
from synthoma.training.bundle import load_tensors

GENERATORS = ("dcgan-seed", "dcgan", "wgan", "wgan-gp", "relativistic", "phantom-gan", "flow", "began", "aae", "dae")
SEGMENTERS = ("unet-25d", "resunet-seed", "resunet", "segresnet", "dynunet", "mask-gan", "mask-dcgan-seed",
              "critic-unet", "gan-unet")  # fmt: skip
CLASSIFIERS = ("cnn", "resnet18", "densenet121", "critic-probe", "critic-tuned")
STARTED = ("critic-unet", "gan-unet", "critic-probe", "critic-tuned")
TOLD = ("schema", "provenance", "report", "synthoma", "software", "version", "seconds", "digest", "sha256", "commit",
        "time", "page", "path", "file", "source")  # fmt: skip
"""Words in the names of entries that tell how something was made, not what it is."""
PATIENTS = 20


def fingerprint(content: bytes) -> str:
    """SHA-256."""
    return hashlib.sha256(content).hexdigest()


def plain(value: Any) -> Any:
    """JSON without the entries that ``TOLD`` names, and with numbers as they are printed."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in sorted(value.items()) if not any(word in key for word in TOLD)}
    return [plain(one) for one in value] if isinstance(value, list) else value


def of_folder(folder: Path) -> dict[str, str]:
    """Fingerprints of the arrays, tables, pictures and scores of an artefact, and of its weights."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.suffix in (".npy", ".gz", ".nii") or (path.suffix == ".csv" and name != "skipped.csv"):
            found[name] = fingerprint(path.read_bytes().replace(bytes(folder.parent), b""))  # tables name files
        elif path.name in ("cohort.json", "evaluation.json"):
            found[name] = fingerprint(json.dumps(plain(json.loads(path.read_text()))).encode())
        elif path.name == "model.safetensors":
            tensors = load_tensors(path).tensors
            whole = b"".join(name.encode() + tensors[name].numpy().tobytes() for name in sorted(tensors))
            found[name] = fingerprint(whole)
    return found


def artefacts(place: Path) -> dict[str, str]:
    """Fingerprints of one artefact of every kind, by name."""
    found: dict[str, str] = {}

    def keep(name: str) -> Path:
        found.update({f"{name}/{file}": digest for file, digest in of_folder(place / name).items()})
        return place / name

    settings: dict[str, Any] = {"size": 32, "every": 3}
    synthoma.prepare_phantom(PATIENTS, place / "phantom", modalities=("flair",), **settings)
    synthoma.prepare_phantom(
        4, place / "sequences", modalities=("t1", "t1c", "t2", "flair"), plane="coronal", **settings
    )
    cohort = keep("phantom")
    keep("sequences")
    brief: dict[str, Any] = {"images": 32, "snapshots": 1, "device": "cpu"}
    synthoma.prepare_phantom(4, place / "simulated", modalities=("flair",), seed=5, **settings)
    synthoma.prepare_phantom(6, place / "small", modalities=("flair",), size=28, every=6)
    repainted: dict[str, Any] = {"phantom-gan": {"phantom": place / "simulated"}}
    for model in GENERATORS:
        own: dict[str, Any] = {"with_masks": model != "dcgan-seed", **repainted.get(model, {})}
        synthoma.train(cohort, place / model, model=model, **own, **brief)
        keep(model)
    synthoma.train(cohort, place / "images-alone", model="dcgan", **brief)
    for model in (*SEGMENTERS, *CLASSIFIERS):
        seen = place / "small" if model == "mask-dcgan-seed" else cohort
        start: dict[str, Any] = {"init": str(place / "images-alone")} if model in STARTED else {}
        synthoma.train(seen, place / model, model=model, **start, **brief)
        keep(model)
    for model in GENERATORS:
        synthoma.generate(place / model, place / f"drawn-{model}", 40, seed=3, **repainted.get(model, {}))
        keep(f"drawn-{model}")
    quick: dict[str, Any] = {"halves": 9, "canaries": 20, "faults": False}
    synthoma.evaluate(cohort, place / "drawn-dcgan", place / "evaluation", **quick)
    keep("evaluation")
    (place / "scans").mkdir()
    for number, images in enumerate(np.load(cohort / "images.npy")[:4]):
        Image.fromarray((np.clip(images[0], 0, 1) * 255).astype(np.uint8)).save(place / "scans" / f"{number}.png")
    synthoma.detect(place / "scans", place / "findings", jobs=1)
    keep("findings")
    synthoma.generate(place / "phantom-gan", place / "patients", patients=2, seed=3, phantom=place / "simulated")
    keep("patients")
    synthoma.prepare(place / "scans", place / "pictures", size=32, duplicates=False)
    keep("pictures")
    return found


def main() -> int:
    """Print all fingerprints, or hold them against earlier ones."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=Path, help="what an earlier state printed")
    given = parser.parse_args()
    torch.set_num_threads(1)  # sums are not split, so no rounding depends on the number of cores
    with tempfile.TemporaryDirectory() as folder:
        found = artefacts(Path(folder))
    if given.against is None:
        print(json.dumps(found, indent=1))
        return 0
    before = json.loads(given.against.read_text())
    other = [name for name in sorted(before.keys() | found.keys()) if before.get(name) != found.get(name)]
    print(f"{len(before)} fingerprints, {len(other)} differ", *other, sep="\n  ")
    return 1 if other else 0


if __name__ == "__main__":
    sys.exit(main())
