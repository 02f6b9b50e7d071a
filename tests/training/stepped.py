"""Steps of several models, by one process or by those that torchrun started: what ``test_team`` compares.

[torchrun --nproc-per-node K] -m tests.training.stepped COHORT OUT MODEL=STEPS...
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook

from synthoma.cohorts.cohort import Cohort
from synthoma.detectors.plan import DetectorPlan
from synthoma.generators.families import check_shared
from synthoma.generators.family import GenerativeSetup
from synthoma.generators.plan import plan_training
from synthoma.settings import TrainConfig
from synthoma.training.device import Execution
from synthoma.training.loop import Snapshot, Task
from synthoma.training.team import team, teamed

SMALL = ("gan.batch=8", "gan.width=4", "gan.critic_width=4", "gan.latent=8")
DOUBLE = ("segmenter.width=4", "segmenter.levels=2", "segmenter.batch=4", "segmenter.precision=double")
MODELS: dict[str, tuple[str, tuple[str, ...]]] = {
    "dcgan": ("dcgan", SMALL),
    "wgan-gp": ("wgan-gp", (*SMALL, "gan.critic_steps=2")),
    "relativistic": ("relativistic", SMALL),
    "flow": ("flow", ("gan.batch=8", "gan.width=8")),
    # A slope through batch norm, of which a second derivative is taken, and what else looks at a batch.
    "penalties": (
        "dcgan",
        (*SMALL, "gan.gradient_penalty=10", "gan.r1=1", "gan.feature_matching=1", "gan.historical_averaging=0.1"),
    ),
    "double": ("unet-25d", DOUBLE),
    "double-norms": ("resunet", DOUBLE),
}
"""Name -> model and settings; critics of dcgan have batch norm."""

EXECUTION = Execution("cpu", 1, channels_last=True, bf16=False)


def _unscored(samples: Tensor, recent: dict[str, float]) -> Snapshot:
    return Snapshot(math.nan, {}, [])


@contextmanager
def in_double() -> Iterator[None]:
    """Networks that are made here compute in double precision, whatever they are given.

    In single precision twenty steps of two networks against each other make a hundredth of the last bit, on some
    processors: that says nothing of how the processes share the work.
    """

    def widened(_: nn.Module, given: tuple[object, ...]) -> tuple[object, ...]:
        return tuple(one.double() if isinstance(one, Tensor) and one.is_floating_point() else one for one in given)

    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    hook = register_module_forward_pre_hook(widened)
    try:
        yield
    finally:
        hook.remove()
        torch.set_default_dtype(before)


def task_of(cohort: Cohort, name: str) -> Task:
    model, settings = MODELS[name]
    config = TrainConfig.resolve(None, [*settings, "seed=1"], {"model": model, "images": 160})
    if config.kind != "generator":
        plan = DetectorPlan(cohort, config)
        return plan.task(EXECUTION, lambda network, images: (0.0, {}, torch.zeros(0)))
    check_shared(config.gan)
    made = plan_training(cohort, config)
    material = made.family.learn_from(made, Path("none"))
    return made.family.task(GenerativeSetup(made, material, EXECUTION, _unscored))


def main(cohort: str, out: str, *asked: str) -> None:
    torch.set_num_threads(1)
    with teamed(Path(out), resume=False, cuda=False):
        for name, steps in (one.split("=") for one in asked):
            # Detectors have a setting for it.
            with nullcontext() if MODELS[name][1] is DOUBLE else in_double():
                task = task_of(Cohort(cohort), name)
                for step in range(int(steps)):
                    torch.manual_seed(step)
                    task.step(step, step / int(steps))
            if team().number == 0:
                state = {key: value.contiguous().clone() for key, value in task.state().items()}
                save_file(state, Path(out) / f"{name}.safetensors")


if __name__ == "__main__":
    main(*sys.argv[1:])
