"""The training loop: epochs, validation, saving, stop rules; explicit calls and no hooks.

The trainer owns no number of its own: where the run stands is in `TrainState`, what the machine may
do is in `Machine`, and both are saved with the weights. A stop is obeyed between two optimizer
steps, so that no accumulation is ever cut.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing

import torch
from torch import nn

from fusetrain import distributed
from fusetrain.engine.checkpoint import NO_SLOT, TrainState
from fusetrain.engine.epoch_row import epoch_row
from fusetrain.engine.infer import StoppedWhileValidating, Validation
from fusetrain.engine.recovery import Recovery, all_finite
from fusetrain.engine.roles import Keeper, Limits, Reporter, Validate
from fusetrain.engine.signals import StopFlag
from fusetrain.engine.stages import Stage, stage_of
from fusetrain.engine.step import StepRunner, shared_numbers
from fusetrain.engine.vitals import Vitals
from fusetrain.errors import DivergedError, StoppedError
from fusetrain.sample import Batch
from fusetrain.schedule.following import EVENT, Decision
from fusetrain.schedule.scheduler import Scheduler


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
        recovery: Deals with steps that are not finite.
        stages: Stages of the training, one after another; empty is one over all of it.
    """

    def __init__(
        self,
        runner: StepRunner,
        scheduler: Scheduler,
        *,
        batches: Callable[[int, int], Generator[Batch, None, None]],
        validate: Validate,
        limits: Limits,
        keeper: Keeper,
        reporter: Reporter,
        stop: StopFlag,
        state: TrainState,
        recovery: Recovery,
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
        self.recovery = recovery
        self.stages = stages
        self._vitals = Vitals(runner, keeper, state)
        runner.micro_batch = state.micro_batch
        self._sums = torch.zeros(4, dtype=torch.float64, device=runner.machine.device)
        self._take_sums()
        self._clock = time.perf_counter()
        self._saved_at = self._clock

    def run(self) -> TrainState:
        """Train to the end.

        Returns:
            The final state, saved.

        Raises:
            StoppedError: A signal asked for it; the state is saved.
            DivergedError: Too many steps in a row were not finite, after all rollbacks.
            ResourceError: The state cannot be kept, or memory does not suffice for a pair.
        """
        self._clock = self._saved_at = time.perf_counter()
        if not self.state.slot or self.state.good_slot == NO_SLOT:
            self._check_weights()
            self.state.good_slot = self.state.slot
            self.state.schedule = self.scheduler.state_dict()
            self.keeper.keep_good(self.state)
        while self.state.epoch < self.limits.epochs and not self.state.stopped_early:
            try:
                self._train_epoch()
                self._end_epoch()
            except DivergedError as error:
                self._roll_back(error)
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
        with closing(self.batches(state.epoch, state.batches)) as source:
            while state.batches < limits.batches_per_epoch:
                left = limits.batches_per_epoch - state.batches
                self._step(self._vitals.fetch(source, min(limits.accumulate, left), left))
                has_to_stop, is_due = distributed.on_any_rank(
                    self.stop.signal_number > 0, self._save_is_due()
                )
                if has_to_stop:
                    self._save_and_stop()
                if is_due:
                    self._save(new_best=False, good=limits.saves_after(state.slot))

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
        if distributed.world_size() == 1 and not any(map(len, batches)):
            state.slot += 1  # all of its pairs are left out
            state.batches += len(batches)
            return
        if self.scheduler.restarts_at(state.slot):
            self._tell_restart()
        rates = self.scheduler.set(state.slot)
        self.recovery.saw(batches, state, rate=rates[0])
        self.runner.seed_draws(state.slot)
        sums, made = self.runner.step(batches, updates=state.updates)
        self.recovery.note_memory(state)
        self._sums += sums
        self.recovery.note_outcome(state, made=made)
        state.slot += 1
        state.batches += len(batches)
        if self.scheduler.observes_steps:
            loss, norm = shared_numbers(sums, self.runner.grad_norm)
            self._log(self.scheduler.observe(state.slot - 1, loss=loss, grad_norm=norm))
        self.reporter.on_step(state, self.limits.batches_per_epoch)

    def _roll_back(self, error: DivergedError) -> None:
        """Go back to the last good state, and keep that at once."""
        self.recovery.roll_back(self.state, self.scheduler, error)
        self._take_sums()
        self._save(new_best=False)
        self.keeper.wait()

    def _take_sums(self) -> None:
        """Take the loss sums of the state as those of the main rank."""
        own = self.state.loss_sums if distributed.is_main() else [0.0] * 4
        self._sums.copy_(torch.tensor(own, dtype=torch.float64))

    def _check_weights(self) -> None:
        """Raise before weights that are not finite are judged or kept, on all ranks alike.

        Skipped steps keep the weights themselves finite, but not the statistics of the batches.
        """
        models = {id(model): model for model in (self.evaluated_model, self.runner.detector)}
        values = [value for model in models.values() for value in model.state_dict().values()]
        if any(distributed.on_any_rank(not all_finite(values))):
            raise DivergedError(
                f"weights or batch statistics are not finite after step {self.state.slot}; "
                "what was saved before is kept"
            )

    def _end_epoch(self) -> None:
        """Validate, write the row, judge the epoch, save."""
        state, limits = self.state, self.limits
        self.recovery.note_last_outcome(state)
        self._vitals.trained(state)
        epoch = state.epoch + 1
        self.recovery.note_gradients(state)
        validation = None
        if epoch % limits.val_every == 0 or epoch == limits.epochs:
            validation = self._validation()
        self._vitals.log()
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
            self._save(new_best=new_best, good=True)
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
        minutes = (time.perf_counter() - self._saved_at) / 60
        return self.limits.saves_after(self.state.slot, minutes=minutes)

    def _save(self, *, new_best: bool, good: bool = False) -> None:
        """Keep the state; a good one, which follows from the steps alone, is one to go back to."""
        state = self.state
        self._check_weights()
        self._count_time()
        self._saved_at = time.perf_counter()
        state.schedule = self.scheduler.state_dict()
        state.loss_sums = distributed.sum_over_ranks(self._sums).tolist()
        good = good and (new_best or not state.skipped_in_a_row)
        if good:
            state.good_slot = state.slot
        self.keeper.save(state, new_best=new_best, good=good)

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
