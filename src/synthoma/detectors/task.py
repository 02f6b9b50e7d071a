"""A network that learns from labelled slices: the step, the schedule, the score at a snapshot, and the state."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from synthoma.core.errors import ConfigError
from synthoma.core.seeding import stream_key
from synthoma.detectors.augment import augment_scans, drop_modalities, drop_neighbours
from synthoma.detectors.learning import LearnerConfig
from synthoma.detectors.scale import as_input
from synthoma.detectors.segmenters.rival import Rival
from synthoma.detectors.shares import batch_counts
from synthoma.detectors.slices import Labelled, Source
from synthoma.training.bundle import Bundle
from synthoma.training.checkpoint import network_state, optimiser_state, restore_optimiser
from synthoma.training.device import Execution, in_double, single_or_more
from synthoma.training.ema import ema_decay, update_ema
from synthoma.training.loop import Progress, Snapshot
from synthoma.training.schedule import Plateau, one_cycle
from synthoma.training.team import team

Criterion = Callable[[Tensor, Labelled], Tensor]
"""Loss of logits for a batch, a scalar."""

Validate = Callable[[nn.Module, int], tuple[float, dict[str, float], Tensor]]
"""Judges a network after so many images: score to be made small (nan: nothing to judge on), figures for the log, and
what its user must know (thresholds)."""

OPTIMISERS = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}

BETA2 = 0.999


class SupervisedTask:
    """One training of a segmenter or classifier.

    Args:
        config: how it learns.
        seed: of all draws.
        network: what learns.
        sources: the cohort's own slices first, then those of --with cohorts, see ``shares.batch_counts``.
        channels: modalities of a slice.
        execution: device, threads, layout and precision.
        criterion: what is made small.
        validate: judges the averaged network at a snapshot.
        rival: discriminator of masks, for an adversarial segmenter.
    """

    def __init__(
        self,
        config: LearnerConfig,
        seed: int,
        network: nn.Module,
        sources: Sequence[Source],
        channels: int,
        execution: Execution,
        criterion: Criterion,
        validate: Validate,
        rival: Rival | None = None,
    ) -> None:
        self.config, self.seed, self.sources, self.channels = config, seed, sources, channels
        self.execution, self.criterion, self.validate, self.rival = execution, criterion, validate, rival
        self.scale = sources[0].scale
        self.batch, self.counts = config.batch, batch_counts([source.painted for source in sources], config)
        self.network: nn.Module = network.to(execution.device).to(memory_format=execution.memory_format)  # type: ignore[call-overload]
        if config.precision == "double":
            if execution.device == "mps":
                todo = "train it with --device cpu, or leave precision as it is"
                raise ConfigError("a device that computes in double precision", "mps, which does not", todo)
            in_double(self.network)
        self.average = copy.deepcopy(self.network).eval().requires_grad_(False)
        self.team = team()
        self.team.share_norms(self.network, self.batch)
        self.optimiser = OPTIMISERS[config.optimiser](
            [weight for weight in self.network.parameters() if weight.requires_grad],
            config.rate,
            betas=(config.beta1, BETA2),
            weight_decay=config.weight_decay,
            eps=config.epsilon,
            fused=True,
        )
        self.plateau = plateau_of(self.optimiser, config) if config.schedule == "plateau" else None
        self.images = 0
        self.found = torch.zeros(0)
        # There is a best one from the beginning, so that a state is whole before the first snapshot.
        self.best = _copied(self.average)
        self.best_found = self.found

    # --- one step --------------------------------------------------------------------------------------------

    def step(self, step: int, share: float) -> dict[str, Tensor]:
        """Learn from batch number ``step`` at the learning rate of this share of the budget."""
        if self.config.schedule == "one-cycle":
            for group in self.optimiser.param_groups:
                group["lr"] = self.config.rate * one_cycle(share)
        batch = self._batch(step)
        self.network.train()
        with self.precision():
            logits = self.network(batch.images[self.team.rows(self.batch)])
        # Losses sum over a whole batch, for which half precision has too few digits.
        logits = self.team.joined(single_or_more(logits), self.batch)
        loss = self.criterion(logits, batch)
        losses = {"loss": loss}
        total = loss
        if self.rival is not None:
            opinion = self.rival.opinion(batch.images, logits)
            total = loss + self.rival.weight * opinion
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()
        self.team.add_gradients(self.network)
        # After the processes' gradients were added up: the norm of a part says nothing of the whole.
        if self.config.clip:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip)
        self.optimiser.step()
        if self.rival is not None:
            losses |= self.rival.learn(batch.images, batch.masks, logits.detach())
        self.images += self.batch
        half_life = self.config.ema_images
        # 0 keeps nothing of before: the average is the network itself.
        decay = ema_decay(self.batch, self.images, half_life) if half_life else 0.0
        update_ema(self.average, self.network, decay)
        return losses

    def _batch(self, step: int) -> Labelled:
        """Batch number ``step``, augmented, on the device."""
        parts = []
        for number, (source, count) in enumerate(zip(self.sources, self.counts, strict=True)):
            # A stream for each cohort: one more of them changes nothing in what is drawn of the others.
            rows = source.draw(self.seed, f"training.slices.{number}", step, count, self.config.tumour_share)
            parts.append(source.fetch(rows))
        joined = [torch.cat(tensors) for tensors in zip(*((p.images, p.masks, p.classes) for p in parts), strict=True)]
        images, masks, classes = (tensor.to(self.execution.device, non_blocking=True) for tensor in joined)
        draws = torch.Generator().manual_seed(stream_key(self.seed, "training.augment", step) % 2**63)
        images, masks = augment_scans(images, masks, self.config.augment, draws, self.channels)
        # After the changes: their noise would show in what is to be missing.
        if self.channels > 1 and self.config.modality_dropout:
            images = drop_modalities(images, self.config.modality_dropout, draws, self.channels)
        if images.shape[1] > self.channels and self.config.context_dropout:
            images = drop_neighbours(images, self.config.context_dropout, draws, self.channels)
        # Last, since changes are made on the cohort's own scale, where 0 is air.
        images = as_input(images, self.scale).contiguous(memory_format=self.execution.memory_format)
        return Labelled(images, masks, classes)

    def precision(self) -> AbstractContextManager[object]:
        """The context in which the network computes."""
        if not self.execution.bf16 or self.config.precision == "double":
            return nullcontext()
        return torch.autocast(self.execution.device, dtype=torch.bfloat16)

    # --- a snapshot ------------------------------------------------------------------------------------------

    def snapshot(self, progress: Progress, recent: dict[str, float]) -> Snapshot:
        """Judge the averaged network on the validation split."""
        # One nan or infinity anywhere comes through `max`, without a look at every weight on the CPU.
        weights = torch.stack([value.detach().abs().max() for value in self.network.parameters()])
        if not bool(torch.isfinite(weights).all()) or not all(map(math.isfinite, recent.values())):
            return Snapshot(math.nan, {}, [_BROKEN], fatal=True)
        with self.precision():
            score, values, self.found = self.validate(self.average, progress.images)
        if self.plateau is not None:
            self.plateau.see(score)
            values = {**values, "rate": self.optimiser.param_groups[0]["lr"]}
        return Snapshot(score, values, [text for source in self.sources for text in source.warnings()])

    def keep_best(self) -> None:
        """Copy the averaged network and what was found about it."""
        self.best, self.best_found = _copied(self.average), self.found.clone()

    # --- the state -------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Tensor]:
        """Network, moving average, best weights, optimiser, and the rival's."""
        return {
            **network_state("network", self.network),
            **network_state("average", self.average),
            **{f"best.{name}": value for name, value in self.best.items()},
            **optimiser_state("adam", self.optimiser),
            **(self.rival.state() if self.rival is not None else {}),
            **(self.plateau.state("plateau") if self.plateau is not None else {}),
            "images": torch.tensor(self.images),
            "best_found": self.best_found,
        }

    def restore(self, bundle: Bundle) -> None:
        """Put everything back that ``state`` took."""
        self.network.load_state_dict(bundle.weights("network"))
        self.average.load_state_dict(bundle.weights("average"))
        self.best = {name: value.to(self.execution.device) for name, value in bundle.weights("best").items()}
        restore_optimiser("adam", self.optimiser, bundle)
        if self.rival is not None:
            self.rival.restore(bundle)
        if self.plateau is not None:
            self.plateau.restore("plateau", bundle)
        self.images = int(bundle.tensors["images"])
        self.best_found = bundle.tensors["best_found"]


def plateau_of(optimiser: torch.optim.Optimizer, config: LearnerConfig) -> Plateau:
    """What lowers the learning rate where the validation score no longer falls."""
    return Plateau(
        optimiser,
        patience=config.plateau_patience,
        factor=config.plateau_factor,
        delta=config.plateau_delta,
        least=config.plateau_least,
    )


def _copied(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


_BROKEN = (
    "The losses are no longer finite numbers (NaN): training has stopped, and the best snapshot is kept. "
    "Try a lower learning rate (--set segmenter.rate=5e-4)."
)
