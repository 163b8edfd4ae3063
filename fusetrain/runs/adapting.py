"""From the first phase of an adapter to the second: the better base is chosen and stands still.

The step is made from what phase one left on the disk, and leaves a checkpoint of phase two. Until
that is written, a killed run comes back here and does the same again, to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace

import torch
from torch import nn

from fusetrain import distributed
from fusetrain.config.stages import ADAPTER
from fusetrain.detector.detector import FusionDetector
from fusetrain.detector.kinds import DetectorSpec, build_detector
from fusetrain.detector.singles import MODALITIES, Modality, OneOfTwo, renamed
from fusetrain.detector.transfer import fill
from fusetrain.engine.checkpoint import TrainState
from fusetrain.engine.infer import StoppedWhileValidating
from fusetrain.engine.keeper import RunKeeper
from fusetrain.engine.roles import Reporter, Validate
from fusetrain.engine.signals import StopFlag
from fusetrain.engine.trainer import Trainer
from fusetrain.engine.weights import load_detector
from fusetrain.errors import StoppedError
from fusetrain.results.run_dir import RunDir
from fusetrain.runs.batches import BatchSource
from fusetrain.runs.session import Session, assemble, best_model, loss_of, make_trainer

Interrupted = Callable[[], bool]


def train_phases(
    session: Session,
    source: BatchSource,
    run: RunDir,
    state: TrainState,
    *,
    reporter: Reporter,
    stop: StopFlag,
    keeper_of: Callable[[Session], RunKeeper],
) -> tuple[Session, Trainer]:
    """Train to the end of the last phase; return its session and trainer.

    Raises:
        StoppedError: A signal came; the run can be resumed in the phase it was in.
    """
    while True:
        with closing(keeper_of(session)) as keeper:
            trainer = make_trainer(session, source, keeper, state, reporter=reporter, stop=stop)
            trainer.run()
        if session.phase.is_last:
            return session, trainer
        following = next_phase(trainer, session, source, run, keeper_of=keeper_of)
        session = replace(following, pulse=session.pulse)
        base = session.info.detector.base
        reporter.on_note(
            f"base: {base} as of epoch {state.best_epoch}, mAP50-95 {state.best_score:.3f}"
        )


def next_phase(
    trainer: Trainer,
    session: Session,
    source: BatchSource,
    run: RunDir,
    *,
    keeper_of: Callable[[Session], RunKeeper],
) -> Session:
    """Return the session of phase two, saved: so far, its adapter *is* the best single detector.

    The state of the trainer goes on: its epochs and steps are counted on, the updates are those of
    a new average, and the score of the base is the best so far.

    Args:
        trainer: That of phase one, at its end.
        session: Its session.
        source: The batches.
        run: The run folder with the best weights of phase one.
        keeper_of: Returns what keeps a session.

    Raises:
        StoppedError: A signal came; a resumed run does this again.
    """
    validate, state, stop = source.validator(loss_of(session.config)), trainer.state, trainer.stop
    alone = distributed.world_size() == 1
    found: tuple[Session, float] | None = None
    with suppress(StoppedWhileValidating):
        found = _adapted(session, run, validate, lambda: alone and bool(stop.signal_number))
    if found is None or trainer.stop_requested():
        raise StoppedError(f"{stop.name()} came: the base is trained, the adapters are not")
    following, state.best_score = found
    state.updates, state.epochs_without_gain, state.good_slot = 0, 0, state.slot
    with closing(keeper_of(following)) as keeper:
        keeper.save(state, new_best=True, good=True)
        keeper.wait()
        keeper.log(
            "base",
            base=following.info.detector.base,
            epoch=state.best_epoch,
            map50_95=state.best_score,
        )
    return following


def _adapted(
    session: Session, run: RunDir, validate: Validate, interrupted: Interrupted
) -> tuple[Session, float]:
    """Return the session of phase two, and the mAP50-95 of its detector before its first step.

    Raises:
        StoppedWhileValidating: ``interrupted`` said so.
    """
    adapter = _kept_adapter(run, session.machine.device)
    if adapter is None:
        best = best_model(session, run)
        assert isinstance(best, FusionDetector)
        adapter = _adapter_on(best, session, validate, interrupted)
    spec, detector = adapter
    following = assemble(
        session.config, session.data, session.machine, spec=spec, start=detector.state_dict()
    )
    validation = validate(following.detector, "both", interrupted)
    return following, validation.metrics.map50_95


def _kept_adapter(run: RunDir, device: torch.device) -> tuple[DetectorSpec, nn.Module] | None:
    """Return the adapter that was already made of phase one, if the run was killed just then."""
    found = None
    file = run.weights / "best.safetensors"
    if distributed.is_main() and file.is_file():
        detector, info = load_detector(file)
        if info.detector.kind == ADAPTER:
            found = info.detector, detector
    spec = distributed.gather_objects(found and found[0])[0]
    if spec is None:
        return None
    detector = (found[1] if found else build_detector(spec)).to(device)
    distributed.broadcast_tensors(list(detector.state_dict().values()))
    return spec, detector


def _adapter_on(
    best: FusionDetector, session: Session, validate: Validate, interrupted: Interrupted
) -> tuple[DetectorSpec, nn.Module]:
    """Return a fresh adapter filled from the best single detector, RGB where both are as good."""
    trained, tensors = session.info.detector, best.state_dict()
    base = trained.kind
    if session.phase.is_apart:
        scores = {
            modality: validate(OneOfTwo(best, modality), "both", interrupted).metrics.map50_95
            for modality in MODALITIES
        }
        chosen: Modality = max(MODALITIES, key=lambda modality: scores[modality])
        base, tensors = chosen, renamed(tensors, chosen)
    spec = replace(trained, kind=ADAPTER, base=base)
    torch.manual_seed(session.config.train.seed)
    adapter = build_detector(spec)
    fill(adapter, {name: value.cpu() for name, value in tensors.items()}, source=best)
    return spec, adapter
