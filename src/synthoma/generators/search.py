"""Search over a few settings of a generator, by the score on held-out scans. Needs the extra ``search`` (Optuna)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from synthoma.core.errors import ConfigError
from synthoma.generators.recipes import GeneratorTraining

Training = TypeVar("Training", bound=GeneratorTraining)

Trial = dict[str, int | float | str]
"""What one trial was: "trial" (its number), "score" (to be made small), and the settings that were varied, by name."""

RATES = (5e-5, 1e-3)
CHANGES = ("", "translation", "translation+cutout", "brightness+translation+cutout")


def search_settings(config: Training, trials: int, train: Callable[[Training, int], float]) -> list[Trial]:
    """Try settings with Optuna's tree-structured Parzen estimator; each trial is a training of its own.

    Args:
        config: what the trials have in common: model, budget, seed.
        trials: how many.
        train: trains with some settings as trial number n and gives its best score.

    Returns:
        Trials, best first: number, score, and the settings that were varied.

    Raises:
        ConfigError: Optuna is not installed.
    """
    try:
        import optuna
    except ImportError:
        raise ConfigError("Optuna for --search", "none installed", "pip install 'synthoma[search]'") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def objective(trial: optuna.Trial) -> float:
        varied = {
            "generator_rate": trial.suggest_float("generator_rate", *RATES, log=True),
            "critic_rate": trial.suggest_float("critic_rate", *RATES, log=True),
            "batch": trial.suggest_categorical("batch", [8, 16, 32]),
            "augment": tuple(filter(None, trial.suggest_categorical("augment", CHANGES).split("+"))),
        }
        changed = config.model_copy(update={"gan": config.gan.model_copy(update=varied)})
        return train(changed, trial.number)

    study = optuna.create_study(direction="minimize", sampler=optuna.samplers.TPESampler(seed=config.seed))
    study.optimize(objective, n_trials=trials)
    done = [(one.value, one) for one in study.trials if one.value is not None]
    ranked = sorted(done, key=lambda pair: pair[0])
    return [{"trial": one.number, "score": score, **one.params} for score, one in ranked]
