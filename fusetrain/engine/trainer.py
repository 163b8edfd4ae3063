"""The training loop: epochs, validation, saving, stop rules; explicit calls and no hooks.

The trainer owns no number of its own: where the run stands is in `TrainState`, what the machine may
do is in `Machine`, and both are saved with the weights. A stop is obeyed between two optimizer
steps, so that no accumulation is ever cut.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import nn

from fusetrain import distributed
from fusetrain.engine.checkpoint import TrainState
from fusetrain.engine.epoch_row import epoch_row
from fusetrain.engine.infer import StoppedWhileValidating, Validation
from fusetrain.engine.roles import Keeper, Limits, Reporter, Validate
from fusetrain.engine.signals import StopFlag
from fusetrain.engine.stages import Stage, stage_of
from fusetrain.engine.step import StepRunner, shared_numbers
from fusetrain.errors import DivergedError, StoppedError
from fusetrain.sample import Batch
from fusetrain.schedule.following import EVENT, Decision
from fusetrain.schedule.scheduler import Scheduler

MAX_SKIPPED_IN_A_ROW = 10


class Trainer:
    """Trains until the epochs are done, patience runs out or a signal comes.

    Args:
        runner: Runs optimizer steps.
        scheduler: Sets learning rates before each step.
        batches: (epoch, first batch) to the micro-batches of this rank.
        validate: (model, inputs, interrupted) to the validation of this rank's share, joined over
            ranks.
        limits: When to validate, save and end.
        keeper: Keeps the state.
        reporter: Is told how it goes.
        stop: The signal flag.
        state: Where the run stands.
        stages: Stages of the training, one after another; empty is one over all of it.
    """

    def __init__(
        self,
        runner: StepRunner,
        scheduler: Scheduler,
        *,
        batches: Callable[[int, int], Iterator[Batch]],
        validate: Validate,
        limits: Limits,
        keeper: Keeper,
        reporter: Reporter,
        stop: StopFlag,
        state: TrainState,
        stages: Sequence[Stage] = (),
    ) -> None:
        self.runner = runner
        self.scheduler = scheduler
        self.batches = batches
        self.validate = validate
        self.limits = limits
        self.keeper = keeper
        self.reporter = reporter
        self.stop = stop
        self.state = state
        self.stages = stages
        own = state.loss_sums if distributed.is_main() else [0.0] * 4
        self._sums = torch.tensor(own, dtype=torch.float64, device=runner.machine.device)
        self._clock = time.perf_counter()
        self._saved_at = self._clock

    def run(self) -> TrainState:
        """Train to the end.

        Returns:
            The final state, saved.

        Raises:
            StoppedError: A signal asked for it; the state is saved.
            DivergedError: Too many steps in a row were not finite.
        """
        self._clock = self._saved_at = time.perf_counter()
        while self.state.epoch < self.limits.epochs and not self.state.stopped_early:
            self._train_epoch()
            self._end_epoch()
            if self.stop_requested():
                self._save_and_stop()
        self.keeper.wait()
        return self.state

    @property
    def evaluated_model(self) -> nn.Module:
        """Return the model that is validated and kept: the average, where there is one."""
        average = self.runner.average
        return average.model if average is not None else self.runner.detector

    def _train_epoch(self) -> None:
        """Run the optimizer steps that are left of this epoch."""
        state, limits = self.state, self.limits
        if state.batches == limits.batches_per_epoch:
            return
        self._enter_stage()
        source = self.batches(state.epoch, state.batches)
        while state.batches < limits.batches_per_epoch:
            group = min(limits.accumulate, limits.batches_per_epoch - state.batches)
            self._step([next(source) for _ in range(group)])
            has_to_stop, is_due = distributed.on_any_rank(
                self.stop.signal_number > 0, self._save_is_due()
            )
            if has_to_stop:
                self._save_and_stop()
            if is_due:
                self._save(new_best=False)

    def _enter_stage(self) -> None:
        """Let the runner train what the stage of this epoch trains; say so where one begins."""
        state = self.state
        stage = stage_of(self.stages, state.epoch)
        self.runner.enter(stage)
        if self.stages and state.epoch == stage.first_epoch and not state.batches:
            self.keeper.log("stage", epoch=state.epoch + 1, name=stage.name)
            self.reporter.on_note(f"stage from epoch {state.epoch + 1}: {stage.name}")

    def _step(self, batches: list[Batch]) -> None:
        """Set the learning rates, run one optimizer step, note where the run stands."""
        state = self.state
        if self.scheduler.restarts_at(state.slot):
            self._tell_restart()
        self.scheduler.set(state.slot)
        sums, made = self.runner.step(batches, updates=state.updates)
        self._sums += sums
        state.skipped_in_a_row = 0 if made > state.updates else state.skipped_in_a_row + 1
        if state.skipped_in_a_row:
            self._check_divergence(batches)
        state.updates = made
        state.slot += 1
        state.batches += len(batches)
        if self.scheduler.observes_steps:
            loss, norm = shared_numbers(sums, self.runner.grad_norm)
            self._log(self.scheduler.observe(state.slot - 1, loss=loss, grad_norm=norm))
        self.reporter.on_step(state, self.limits.batches_per_epoch)

    def _check_divergence(self, batches: list[Batch]) -> None:
        if self.state.skipped_in_a_row < MAX_SKIPPED_IN_A_ROW:
            return
        samples = [number for batch in batches for number in batch.sample_ids.tolist()]
        raise DivergedError(
            f"loss or gradients were not finite in {MAX_SKIPPED_IN_A_ROW} steps in a row "
            f"(step {self.state.slot}, epoch {self.state.epoch + 1}, samples {samples})",
            remedy=self._calmer,
        )

    def _check_weights(self) -> None:
        """Raise before weights that are not finite are judged or kept, on all ranks alike.

        Skipped steps keep the weights themselves finite, but not the statistics of the batches.
        """
        values = self.evaluated_model.state_dict().values()
        broken = torch.stack([(~value.isfinite()).any() for value in values]).any()
        if any(distributed.on_any_rank(bool(broken.item()))):
            raise DivergedError(
                f"weights or batch statistics are not finite after step {self.state.slot}; "
                "what was saved before is kept",
                remedy=self._calmer,
            )

    @property
    def _calmer(self) -> str:
        return f"--set optim.lr0={self.scheduler.plan.lr0 / 10:g}, or --set train.amp=false"

    def _end_epoch(self) -> None:
        """Validate, write the row, judge the epoch, save."""
        state, limits = self.state, self.limits
        state.updates -= self.runner.flush()
        epoch = state.epoch + 1
        validation = None
        if epoch % limits.val_every == 0 or epoch == limits.epochs:
            validation = self._validation()
        new_best = self._judge(validation)
        self._count_time()
        sums = distributed.sum_over_ranks(self._sums).tolist()
        state.history.append(epoch_row(state, self.scheduler.plan, sums, validation=validation))
        self._log(self.scheduler.observe_epoch(state.slot, metrics=state.history[-1]))
        state.epoch, state.batches = epoch, 0
        self._sums.zero_()
        ended = epoch == limits.epochs or state.stopped_early
        every = limits.save_epochs
        if ended or new_best or (every is not None and epoch % every == 0):
            self._save(new_best=new_best)
        self.reporter.on_epoch(state, validation)

    def _validation(self) -> Validation:
        """Validate; a signal in the middle saves the epoch as trained but not yet judged.

        Ranks keep batch statistics of their own; what is judged is what the main rank will save.
        """
        self._check_weights()
        alone = distributed.world_size() == 1
        distributed.broadcast_tensors(list(self.evaluated_model.buffers()))
        try:
            return self.validate(
                self.evaluated_model,
                stage_of(self.stages, self.state.epoch).inputs,
                lambda: alone and bool(self.stop.signal_number),
            )
        except StoppedWhileValidating:
            self._save_and_stop()
            raise

    def _judge(self, validation: Validation | None) -> bool:
        """Note whether the epoch is the best so far and whether patience has run out."""
        state = self.state
        state.epochs_without_gain += 1
        if validation is None:
            return False
        if validation.metrics.map50_95 > state.best_score:
            state.best_score = validation.metrics.map50_95
            state.best_epoch = state.epoch + 1
            state.epochs_without_gain = 0
            return True
        patience = self.limits.patience
        state.stopped_early = 0 < patience <= state.epochs_without_gain
        return False

    def _save_is_due(self) -> bool:
        limits = self.limits
        by_steps = limits.save_steps is not None and self.state.slot % limits.save_steps == 0
        minutes = (time.perf_counter() - self._saved_at) / 60
        by_time = limits.save_minutes is not None and minutes >= limits.save_minutes
        return by_steps or by_time

    def _save(self, *, new_best: bool) -> None:
        self._check_weights()
        self._count_time()
        self._saved_at = time.perf_counter()
        self.state.schedule = self.scheduler.state_dict()
        self.state.loss_sums = distributed.sum_over_ranks(self._sums).tolist()
        self.keeper.save(self.state, new_best=new_best)

    def stop_requested(self) -> bool:
        """Return whether a signal asked any rank to stop."""
        return any(distributed.on_any_rank(self.stop.signal_number > 0))

    def _save_and_stop(self) -> None:
        self._save(new_best=False)
        self.keeper.wait()
        distributed.wait_for_main()
        state = self.state
        raise StoppedError(
            f"{self.stop.name()} came: everything is saved after {state.slot} optimizer steps "
            f"(epoch {state.epoch + 1}, {state.batches} of {self.limits.batches_per_epoch} batches)"
        )

    def _count_time(self) -> None:
        now = time.perf_counter()
        self.state.seconds += now - self._clock
        self._clock = now

    def _log(self, decisions: Sequence[Decision]) -> None:
        """Write down what the schedule decided, and say it where the run still gets there."""
        plan = self.scheduler.plan
        for decision in decisions:
            self.keeper.log(EVENT, **decision.to_json())
            if decision.step < plan.total_steps:
                self.reporter.on_note(plan.sentence_of(decision))

    def _tell_restart(self) -> None:
        plan, step = self.scheduler.plan, self.state.slot
        self.keeper.log("restart", step=step, lr0=plan.lr0 * plan.factor(step))
        self.reporter.on_note(plan.restart_sentence(step))
