"""What a search varies of a generator: rates, batch, changes of images, width and latent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from synthoma.generators.recipes import GeneratorTraining
from synthoma.training.search import Search, Trial, Value, Vary, given

Training = TypeVar("Training", bound=GeneratorTraining)

RATES = (5e-5, 1e-3)
CHANGES = ("", "translation", "translation+cutout", "brightness+translation+cutout")
SIZED = ("dcgan", "residual")
"""Networks whose width and latent can be chosen."""


def generator_space(config: GeneratorTraining) -> list[Vary]:
    """What is varied of a generator; what somebody gave is not, nor networks that begin as trained ones."""
    space = [
        # Both rates apart: a game is lost by the ratio of the two rather than by either.
        Vary("generator_rate", low=RATES[0], high=RATES[1]),
        Vary("critic_rate", low=RATES[0], high=RATES[1]),
        Vary("batch", (8, 16, 32)),
        Vary("augment", CHANGES),
    ]
    if config.gan.network in SIZED and config.init is None:
        space += [Vary("width", (16, 32, 48)), Vary("latent", (32, 64, 100, 128))]
    fixed = given(config.gan, config.of_model(config.model)[1])
    return [one for one in space if one.name not in fixed]


def changed_generator(config: Training, values: Mapping[str, Value]) -> Training:
    """The settings of a trial."""
    own: dict[str, object] = dict(values)
    if "augment" in own:
        own["augment"] = tuple(filter(None, str(own["augment"]).split("+")))
    return config.model_copy(update={"gan": config.gan.model_copy(update=own)})


def search_settings(config: Training, trials: int, train: Callable[[Training, int], float]) -> list[Trial]:
    """Try settings of a generator; each trial is a training of its own, and nothing is kept of it but its score.

    Args:
        config: what the trials have in common: model, budget, seed.
        trials: how many.
        train: trains with some settings as trial number n and gives its best score.

    Returns:
        Trials, best first: number, score, and the settings that were varied.

    Raises:
        ConfigError: Optuna is not installed.
    """
    search = Search(generator_space(config), config.seed)
    return search.run(trials, lambda values, number: train(changed_generator(config, values), number))
