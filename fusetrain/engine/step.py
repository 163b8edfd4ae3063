"""One optimizer step: forward, loss, backward, accumulate, clip, step; the one place for them.

Nothing here waits for the device: a step whose gradients are not finite is skipped by the fused
optimizer itself, and whether that happened is read one step later on a GPU, from a copy that was
asked for before the next step was (at once on a CPU, where reading costs nothing).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext

import numpy as np
import torch
from torch import Tensor, nn

from fusetrain import distributed
from fusetrain.detector.detector import FusionDetector
from fusetrain.engine.ema import WeightAverage
from fusetrain.engine.late_flag import LateFlag
from fusetrain.engine.machine import Machine
from fusetrain.engine.memory import free_cached, halved, is_out_of_memory, parts_of
from fusetrain.engine.stages import Inputs, Stage, freeze, shown, training_mode
from fusetrain.engine.synced_norm import SyncedNorm, count_share
from fusetrain.failpoints import failpoint
from fusetrain.loss.detection import TrainingLoss
from fusetrain.sample import Batch


class StepRunner:
    """Runs optimizer steps of one model.

    Args:
        detector: The detector, not wrapped.
        loss: Predictions and boxes to loss terms.
        optimizer: A fused optimizer over the detector's parameters.
        average: Follows the detector, or None.
        machine: Device, precision and memory layout.
        clip_norm: Largest norm of all gradients together; 0 turns clipping off.
        wrap: Detector to what runs: compiled, replicated over the ranks. It is called again when
            other parts are frozen, which a replica has to know.
        seed: Seed of the run, the same on all ranks.

    Attributes:
        model: The wrapped detector.
        grad_norm: () norm of all gradients of the last step before clipping, on the device.
        micro_batch: Pairs that are computed at once at most; 0 is all of a batch. Halved when
            memory runs out; the parts of a batch count by their pairs, so that only the batch
            statistics, and the number of boxes that a loss is divided by, are those of a part.
        loss_sums: (4,) what the last step returned, on the device.
    """

    def __init__(
        self,
        detector: FusionDetector,
        loss: TrainingLoss,
        optimizer: torch.optim.Optimizer,
        *,
        average: WeightAverage | None,
        machine: Machine,
        clip_norm: float,
        wrap: Callable[[nn.Module], nn.Module] = lambda detector: detector,
        seed: int = 0,
    ) -> None:
        self.detector = detector
        self.seed = seed
        self.model = wrap(detector)
        self._norms = _norms_of(detector)
        self._wrap = wrap
        self._inputs: Inputs = "both"
        self.loss = loss
        self.optimizer = optimizer
        self.average = average
        self.machine = machine
        self.clip_norm = clip_norm if clip_norm > 0 else float("inf")
        self.scaler = torch.amp.GradScaler(machine.device.type, enabled=machine.precision == "fp16")
        self._parameters = [
            parameter for group in optimizer.param_groups for parameter in group["params"]
        ]
        self._pending: LateFlag | None = None
        self.was_skipped: bool | None = None
        self._running = [
            buffer for buffer in detector.buffers() if buffer.is_floating_point() and buffer.numel()
        ]
        self.micro_batch = 0
        self._counts = torch.zeros(3, device=machine.device)
        self.grad_norm = torch.zeros(())
        self.loss_sums = torch.zeros(4)

    def enter(self, stage: Stage) -> None:
        """Train what a stage trains from now on, and put the model into training mode."""
        parts = self.detector.parts()
        self._inputs = stage.inputs
        if freeze(parts, stage.frozen):
            self.model = self._wrap(self.detector)
            self._norms = _norms_of(self.detector)
            # What stands still normalises by its own statistics, which each rank gathered alone.
            for model in (self.detector, *((self.average.model,) if self.average else ())):
                distributed.broadcast_tensors(list(model.buffers()))
        training_mode(self.model, parts, stage.frozen)

    def seed_draws(self, slot: int) -> None:
        """Let the draws of a step, such as those of stochastic depth, follow from seed, rank, step.

        So a resumed run makes them again on every rank, although nothing of them is saved.

        Args:
            slot: Number of the step, from 0.
        """
        sequence = np.random.SeedSequence(self.seed, spawn_key=(distributed.rank(), slot))
        number = int(sequence.generate_state(1, np.uint64)[0])
        # torch.manual_seed would spend a quarter of a millisecond on devices that are not used.
        torch.default_generator.manual_seed(number)
        if self.machine.device.type == "cuda":
            torch.cuda.manual_seed(number)

    def step(self, batches: Sequence[Batch], *, updates: int) -> tuple[Tensor, int]:
        """Run one optimizer step over the micro-batches of one accumulation group.

        Args:
            batches: The micro-batches; their losses are averaged.
            updates: Real updates made before this step.

        Returns:
            (4,) float64 part of this rank in the sums over all pairs of box, cls and dfl loss, and
            in the number of pairs, all zero if the step was skipped; and the real updates known to
            be made after it. A step that is skipped leaves the batch statistics as they were.

        Raises:
            ResourceError: Memory does not suffice for one pair.
        """
        statistics = self._statistics()
        sums = self._gradients(batches)
        while sums is None:  # memory ran out, and smaller parts are tried
            self._restore_statistics(statistics)
            free_cached(self.machine.device)
            sums = self._gradients(batches)
        skipped = self._apply_gradients()
        self._restore_statistics(statistics, where=skipped)
        self.was_skipped = self._known_skip(skipped)
        made = updates + 1 - bool(self.was_skipped)
        if self.average is not None and made > updates:
            self.average.update(made)
        self.loss_sums = torch.where(skipped > 0, torch.zeros_like(sums), sums)
        return self.loss_sums, made

    def flush(self) -> bool | None:
        """Return whether the last step of a GPU run was skipped; None where that was told."""
        was_skipped, self._pending = self.pending_skip, None
        return was_skipped

    @property
    def pending_skip(self) -> bool | None:
        """Whether the last step of a GPU run was skipped, which is not told yet; waits for it."""
        return None if self._pending is None else self._pending.is_set()

    @pending_skip.setter
    def pending_skip(self, was_skipped: bool | None) -> None:
        is_late = self.lag > 0 and was_skipped is not None
        self._pending = LateFlag(torch.tensor(float(bool(was_skipped)))) if is_late else None

    def take_counts(self) -> dict[str, int]:
        """Return how many steps were made, clipped and skipped since this was last asked."""
        counts = self._counts.tolist()
        self._counts.zero_()
        return dict(zip(("steps", "clipped", "skipped"), map(int, counts), strict=True))

    @property
    def lag(self) -> int:
        """Return how many steps later it is known that one was skipped."""
        return 0 if self.machine.device.type == "cpu" else 1

    def _gradients(self, batches: Sequence[Batch]) -> Tensor | None:
        """Gather the gradients of one step; return its sums, or None after memory ran out.

        Raises:
            ResourceError: Memory does not suffice for one pair.
        """
        self.optimizer.zero_grad(set_to_none=True)
        sums = torch.zeros(4, dtype=torch.float64, device=self.machine.device)
        parts = [
            (part, len(part) / max(1, len(batch)) / len(batches))
            for batch in batches
            for part in parts_of(batch, self.micro_batch)
        ]
        try:
            for number, (part, share) in enumerate(parts, start=1):
                is_last = number == len(parts)
                with nullcontext() if is_last else distributed.without_sync(self.model):
                    sums += self._backward(part, share=share)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            self.micro_batch = halved(max(len(part) for part, _ in parts), error)
            return None
        return sums

    def _statistics(self) -> Tensor:
        """Return all batch statistics as one flat copy."""
        if not self._running:
            return torch.zeros(0, device=self.machine.device)
        return torch.cat([buffer.flatten() for buffer in self._running])

    def _restore_statistics(self, before: Tensor, *, where: Tensor | None = None) -> None:
        """Take batch statistics back, on a device only ``where`` () says so, without waiting."""
        if not self._running or (where is not None and self.lag == 0 and not where.item()):
            return
        if where is not None:
            before = torch.where(where > 0, before, self._statistics())
        sizes = [buffer.numel() for buffer in self._running]
        parts = zip(self._running, before.split(sizes), strict=True)
        torch._foreach_copy_(self._running, [old.view_as(buffer) for buffer, old in parts])

    def _backward(self, batch: Batch, *, share: float) -> Tensor:
        pairs = len(batch)
        count_share(self._norms, counts=pairs > 0)
        failpoint(f"step of {pairs} pairs")
        batch = (batch if pairs else batch.blank()).to(self.machine.device)
        with self.machine.autocast():
            predictions = self.model(*images(batch, self.machine, self._inputs))
        terms = self.loss(predictions, batch, pairs=pairs)
        self.scaler.scale(terms.total * (share if pairs else 0.0)).backward()
        counted = terms.items if pairs else torch.zeros_like(terms.items)
        return torch.cat((counted.double(), terms.items.new_ones(1))) * terms.pairs

    def _apply_gradients(self) -> Tensor:
        """Clip and step; return () float, above 0 if the step was skipped as not finite."""
        self.scaler.unscale_(self.optimizer)
        grads = [value.grad for value in self._parameters if value.grad is not None]
        norm = nn.utils.get_total_norm(grads, foreach=True)
        self.grad_norm = norm.detach()
        skipped = (~norm.isfinite()).float()
        self._counts += torch.stack(
            (skipped.new_ones(()), (norm > self.clip_norm) * (1 - skipped), skipped)
        )
        if self.scaler.is_enabled():
            nn.utils.clip_grads_with_norm_(self._parameters, self.clip_norm, norm, foreach=True)
            self.scaler.step(self.optimizer)
            self.scaler.update()
        else:
            # The optimizer divides while it reads them, which saves a pass over all gradients; on a
            # CPU it is known at once whether it has to.
            is_long = self.lag > 0 or norm.item() > self.clip_norm
            excess = (norm / self.clip_norm).clamp(min=1.0) if is_long else None
            self.optimizer.grad_scale = excess  # type: ignore[attr-defined]
            self.optimizer.found_inf = skipped  # type: ignore[attr-defined]
            self.optimizer.step()
        return skipped

    def _known_skip(self, skipped: Tensor) -> bool | None:
        """Return what is known now: on a CPU of this step, on a GPU of the one before, if any."""
        if not self.lag:
            return bool(skipped.item() > 0)
        known = self.flush()
        self._pending = LateFlag(skipped)
        return known


def _norms_of(detector: nn.Module) -> list[SyncedNorm]:
    return [module for module in detector.modules() if isinstance(module, SyncedNorm)]


def shared_numbers(sums: Tensor, grad_norm: Tensor) -> tuple[float | None, float | None]:
    """Return mean loss and gradient norm of a step, the same on all ranks; waits for the device.

    Args:
        sums: (4,) sums over this rank's pairs of the three losses, and the number of pairs.
        grad_norm: () norm of the gradients on this rank.

    Returns:
        Both None if the step was skipped.
    """
    numbers = torch.cat((sums, grad_norm.to(sums).reshape(1)))
    *losses, pairs, norm = distributed.sum_over_ranks(numbers).tolist()
    if not pairs or not math.isfinite(norm):
        return None, None
    return sum(losses) / pairs, norm / distributed.world_size()


def images(batch: Batch, machine: Machine, inputs: Inputs = "both") -> tuple[Tensor, Tensor]:
    """Return RGB (B, 3, H, W) and IR (B, 1, H, W) in [0, 1], on the device and in its layout.

    Args:
        batch: The pairs.
        machine: Device, precision and memory layout.
        inputs: The image that is shown; the other one is grey.
    """
    # Four channels are converted as one dense block, and only then parted.
    pixels = batch.pixels.to(machine.device, machine.dtype).div_(255)
    rgb, ir = (
        part.permute(0, 3, 1, 2).contiguous(memory_format=machine.memory_format)
        for part in (pixels[..., :3], pixels[..., 3:])
    )
    return shown(rgb, ir, inputs)
