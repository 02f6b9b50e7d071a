"""Seconds and memory of one simulated patient with four modalities, in thick slices and at 1 mm."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterator

import torch

from record import save, seconds
from synthoma.phantom import PhantomConfig, simulate
from synthoma.phantom.atlas import atlas

CONFIGS = {
    "slices_5mm_s": PhantomConfig(slice_mm=5.0),
    "slices_3_to_6mm_s": PhantomConfig(),
    "isotropic_1mm_s": PhantomConfig(slice_mm=1.0),
}


def main() -> None:
    patients = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    results: dict[str, object] = {"template_head_once_a_process_s": seconds(atlas, 1)}
    simulate(1, 0, CONFIGS["slices_5mm_s"])
    for name, config in CONFIGS.items():
        people: Iterator[int] = iter(range(patients))
        results[name] = seconds(lambda config=config, people=people: simulate(1, next(people), config), patients)
    results["peak_gb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2)
    results["torch_threads"] = torch.get_num_threads()
    results["load_average"] = [round(load, 2) for load in os.getloadavg()]
    save("phantom_speed", results)


if __name__ == "__main__":
    main()
