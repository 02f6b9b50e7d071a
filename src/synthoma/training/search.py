"""A search over settings by the score on held-out scans, which goes on where it was stopped. Needs Optuna.

Settings are proposed by a tree-structured Parzen estimator (Bergstra et al. 2011). Each proposal is a function of the
seed, of how many trials are finished, and of their scores: so a search that was killed and resumed proposes what an
uninterrupted one does, as far as its trainings are exact (a budget in images).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from synthoma.core.config import Config
from synthoma.core.errors import ConfigError
from synthoma.core.seeding import stream_key

if TYPE_CHECKING:
    import optuna

JOURNAL = "search.journal"
"""Optuna's own file in the folder of a search, JSON lines."""

TELLING = 4
"""Finished trials below which nobody can say which setting matters."""

Value = int | float | str
Trial = dict[str, int | float | str]
"""What one trial was: "trial" (its number), "score" (to be made small), and the settings that were varied, by name."""


@dataclass(frozen=True)
class Vary:
    """A setting that is varied: one of some values, or a number that is drawn evenly on a logarithmic scale.

    Attributes:
        name: of the setting.
        options: the values; empty for a number.
        low, high: least and largest number.
    """

    name: str
    options: tuple[Value, ...] = ()
    low: float = 0.0
    high: float = 0.0


def given(own: Config, usual: Config) -> set[str]:
    """Settings that somebody gave, which are not varied.

    Where settings were made by hand, in Python, all of them are set: given is then what differs from the model's own.
    """
    known = own.model_fields_set
    if len(known) < len(type(own).model_fields):
        return set(known)
    return {name for name in known if getattr(own, name) != getattr(usual, name)}


class Search:
    """Trials, and what comes of them.

    Args:
        space: what is varied.
        seed: of the proposals.
        journal: file that keeps the trials; None forgets them with this object.

    Raises:
        ConfigError: Optuna is not installed, or nothing is varied.
    """

    def __init__(self, space: Sequence[Vary], seed: int, journal: Path | None = None) -> None:
        try:
            import optuna
        except ImportError:
            raise ConfigError("Optuna for --search", "none installed", "pip install 'synthoma[search]'") from None
        if not space:
            raise ConfigError("a setting to vary", "none: all were given", "leave out some of them")
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.space, self.seed = space, seed
        storage = None
        if journal is not None:
            from optuna.storages.journal import JournalFileBackend, JournalStorage

            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that it is experimental
                storage = JournalStorage(JournalFileBackend(str(journal)))
        self.study = optuna.create_study(
            storage=storage, study_name="search", direction="minimize", load_if_exists=True
        )
        for one in self.study.get_trials(states=(optuna.trial.TrialState.RUNNING,)):  # what was killed
            self.study.tell(one.number, state=optuna.trial.TrialState.FAIL)

    def run(
        self,
        trials: int,
        train: Callable[[Mapping[str, Value], int], float],
        after: Callable[[list[Trial]], None] = lambda ranked: None,
    ) -> list[Trial]:
        """Go on until so many trials are finished.

        Args:
            trials: in all, with those that were finished before.
            train: trains with some settings as trial number n and gives its best score.
            after: told all trials, best first, after each of them.

        Returns:
            Trials, best first.

        Raises:
            ConfigError: as many trials as were asked for could not be trained or had no score, and none had.
        """
        import optuna

        broken: list[ConfigError] = []

        def objective(trial: optuna.Trial) -> float:
            try:
                score = train({one.name: _proposed(trial, one) for one in self.space}, trial.number)
            except ConfigError as error:  # these settings cannot be trained: others may
                broken.append(error)
                # Pruned, where a trial that was killed is failed: the journal tells both apart.
                raise optuna.TrialPruned(str(error)) from error
            if not math.isfinite(score):  # it diverged, or there was nothing to score on
                todo = "train once without --search and read its log"
                broken.append(ConfigError("a training with a score", f"{score:g} as the best one", todo))
                raise optuna.TrialPruned("no score")
            return score

        # As many failures end it too: where nothing can be trained it would go on for ever.
        while (done := len(self.ranked())) < trials and len(broken) < trials:
            # Those passed over count too, by the journal and not by this process: with the same number the same
            # settings would be proposed again, and a search that goes on would not be the one that was stopped.
            passed = len(self.study.get_trials(states=(optuna.trial.TrialState.PRUNED,), deepcopy=False))
            # NumPy's generators behind Optuna take seeds of 32 bits.
            key = stream_key(self.seed, "search.proposals", done + passed) % 2**32
            self.study.sampler = optuna.samplers.TPESampler(seed=key)
            self.study.optimize(objective, n_trials=1)
            after(self.ranked())
        if not done and broken:
            raise broken[-1]
        return self.ranked()

    def ranked(self) -> list[Trial]:
        """Finished trials, best first."""
        import optuna

        finished = self.study.get_trials(states=(optuna.trial.TrialState.COMPLETE,), deepcopy=False)
        found = sorted((one for one in finished if one.value is not None), key=lambda one: (one.value, one.number))
        return [{"trial": one.number, "score": float(one.value or 0.0), **one.params} for one in found]

    def importances(self) -> dict[str, float]:
        """How much of the variation of scores each setting explains, largest first; empty where nobody can say.

        By the functional ANOVA of a random forest (Hutter et al. 2014); shares sum to 1.
        """
        import optuna

        scores = {row["score"] for row in self.ranked()}
        if len(self.ranked()) < TELLING or len(scores) < 2:
            return {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            evaluator = optuna.importance.FanovaImportanceEvaluator(seed=self.seed % 2**31)
            return {name: float(share) for name, share in
                    optuna.importance.get_param_importances(self.study, evaluator=evaluator).items()}  # fmt: skip


def _proposed(trial: optuna.Trial, one: Vary) -> Value:
    if one.options:
        chosen = trial.suggest_categorical(one.name, list(one.options))
        return next(option for option in one.options if option == chosen)
    return trial.suggest_float(one.name, one.low, one.high, log=True)
