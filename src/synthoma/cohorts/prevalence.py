"""What class imbalance means: rates in a cohort, in a population and among the scanned are three different things."""

from __future__ import annotations

from dataclasses import dataclass

from synthoma.core.errors import ConfigError


@dataclass(frozen=True)
class Prevalence:
    """So many cases in so many people.

    Raises:
        ConfigError: a population that is not positive, or cases outside 0..population.
    """

    cases: float
    population: float

    def __post_init__(self) -> None:
        if not (self.population > 0 and 0 <= self.cases <= self.population):
            came = f"{self.cases:g} cases in a population of {self.population:g}"
            raise ConfigError("0 <= cases <= population, population > 0", came, "check the two numbers")

    @property
    def share(self) -> float:
        """Cases / population, between 0 and 1."""
        return self.cases / self.population

    def per(self, people: float = 10_000) -> float:
        """Cases in every ``people``."""
        return self.share * people

    def formula(self, people: float = 10_000) -> str:
        """The calculation, written out."""
        left = f"{self.cases:,.0f} / {self.population:,.0f}"
        rate = f"{self.per(people):,.0f}" if self.per(people) >= 100 else f"{self.per(people):.3g}"
        return f"{left} = {100 * self.share:.4g} % = {rate} per {people:,.0f}"


def positive_predictive_value(prevalence: float, sensitivity: float, specificity: float) -> float:
    """Share of alarms that are right, by Bayes' rule; nan where no alarm is possible. All values are in 0..1."""
    # Per person of the population: alarms that are right, and below alarms that are not.
    right = sensitivity * prevalence
    wrong = (1 - specificity) * (1 - prevalence)
    return right / (right + wrong) if right + wrong > 0 else float("nan")
