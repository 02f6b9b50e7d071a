"""The painter's weights as a file: the one inside the package, and those that learned from a cohort."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from synthoma.core.errors import InputError
from synthoma.core.types import MODALITIES
from synthoma.painting.gan.learning import Apprentice
from synthoma.painting.gan.network import Filler, Judge
from synthoma.training.bundle import fitting, load_tensors, save_tensors
from synthoma.training.checkpoint import network_state
from synthoma.training.meta import SCHEMA

FILE = "painter.safetensors"


@dataclass(frozen=True)
class PainterModel:
    """Trained networks and what they learned from.

    Attributes:
        filler: paints, in evaluation mode.
        judge: for trainings that begin here.
        modalities: sequences that it learned to paint.
        regions: whether it learned core, oedema and enhancing tumour apart.
        patients: whom it learned from; nobody where they were simulated.
        steps: of its last training.
    """

    filler: Filler
    judge: Judge
    modalities: tuple[str, ...]
    regions: bool
    patients: tuple[str, ...] = ()
    steps: int = 0

    @classmethod
    def of(
        cls, apprentice: Apprentice, modalities: tuple[str, ...], patients: tuple[str, ...], *, regions: bool
    ) -> PainterModel:
        """What an apprentice has become."""
        return cls(apprentice.average.eval(), apprentice.judge, modalities, regions, patients, apprentice.step)

    @classmethod
    def open(cls, place: Path) -> PainterModel:
        """Open a file that ``save`` wrote, or that of a cohort that was painted with ``--learn``.

        Raises:
            InputError: nothing there, damaged, or another kind of model.
        """
        path = place / FILE if place.is_dir() else place
        if not path.is_file():
            todo = "make one with `synthoma paint COHORT --painter gan --learn STEPS`, or leave --model out"
            raise InputError(f"a painter's weights, or a cohort with {FILE}", f"nothing at {path}", todo)
        bundle = load_tensors(path)
        if bundle.content.get("kind") != "painter":
            came = f"a {bundle.content.get('kind', 'checkpoint')}"
            raise InputError("a painter's weights", came, "make them with `synthoma paint --painter gan --learn STEPS`")
        with fitting("a painter"):
            told: Any = bundle.content
            filler, judge = Filler(int(told["network"]["filler"])), Judge(int(told["network"]["judge"]))
            for name, network in (("filler", filler), ("judge", judge)):
                network.load_state_dict({key: value.float() for key, value in bundle.weights(name).items()})
            filler.eval()
            modalities = tuple(str(name) for name in told["modalities"])
            if not set(modalities) <= set(MODALITIES):
                raise ValueError(modalities)
            patients = tuple(str(name) for name in told["patients"])
            return cls(filler, judge, modalities, bool(told["regions"]), patients, int(told["steps"]))

    def save(self, path: Path, more: dict[str, object] | None = None) -> None:
        """Write it, in half precision."""
        state = {**network_state("filler", self.filler), **network_state("judge", self.judge)}
        meta = {
            "schema": SCHEMA, "kind": "painter", "model": "painter",
            "network": {"filler": self.filler.width, "judge": self.judge.width}, "modalities": list(self.modalities),
            "regions": self.regions, "patients": sorted(self.patients), "steps": self.steps, **(more or {}),
        }  # fmt: skip
        save_tensors(path, {name: value.half() for name, value in state.items()}, meta)

    def apprentice(self) -> Apprentice:
        """One who goes on learning from here."""
        filler, judge = Filler(self.filler.width), Judge(self.judge.width)
        filler.load_state_dict(self.filler.state_dict())
        judge.load_state_dict(self.judge.state_dict())
        return Apprentice(filler, judge, begun=True)

    def check(self, names: tuple[str, ...]) -> None:
        """Raise InputError where it did not learn to paint one of these sequences."""
        unknown = [name for name in names if name not in self.modalities]
        if unknown:
            todo = "leave --model out for the shipped weights, or use --painter growth"
            raise InputError(
                f"sequences that this painter learned: {', '.join(self.modalities)}", ", ".join(unknown), todo
            )


@lru_cache(maxsize=1)
def shipped_painter() -> PainterModel:
    """The painter inside the package, which learned from simulated patients alone.

    Raises:
        InputError: this installation lacks it.
    """
    path = Path(str(resources.files("synthoma"))) / "weights" / "phantom-painter.safetensors"
    if not path.is_file():
        raise InputError("the painter inside the package", f"nothing at weights/{path.name}", "install synthoma again")
    return PainterModel.open(path)
