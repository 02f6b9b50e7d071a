"""What mask values mean over all the cases that become one cohort."""

from __future__ import annotations

from dataclasses import dataclass, field

from synthoma.cohorts.slicing import PreparedCase, label_names
from synthoma.core.errors import InputError
from synthoma.core.types import CAVITY, tumour_labels, tumour_of


@dataclass
class Meanings:
    """What mask values mean in the cases of a cohort, which must agree.

    Attributes:
        of_tumour: in masks that show one; None until a case says.
        of_empty: in masks without tumour, which contradict nobody.
        cavity: likewise of what an operation left behind.
    """

    of_tumour: dict[int, str] | None = None
    of_empty: dict[int, str] | None = None
    cavity: dict[int, str] = field(default_factory=dict)

    def add(self, case: PreparedCase) -> None:
        """Take in what one case says.

        Raises:
            InputError: it contradicts those before; nothing of it is taken in.
        """
        # Before and after an operation a tumour has the same labels: whether there is a cavity parts no cases.
        labels, drawn = tumour_labels(case.labels), bool(tumour_of(case.masks).any())
        if drawn and labels and self.of_tumour and labels != self.of_tumour:
            came = f"{label_names(labels)} in this case, {label_names(self.of_tumour)} in others"
            raise InputError("masks with the same labels in all cases", came, "use --merge whole-tumour")
        if drawn:  # a mask without tumour means nothing that others could contradict
            self.of_tumour = labels or self.of_tumour
        else:
            # The first that says anything; where a tumour is drawn later, that case has the word.
            self.of_empty = self.of_empty or labels
        self.cavity |= {value: name for value, name in case.labels.items() if value in CAVITY}

    def of_cohort(self) -> dict[int, str]:
        """What values mean in all cases together."""
        return (self.of_tumour or self.of_empty or {}) | self.cavity
