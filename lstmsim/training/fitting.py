"""Training: the gradient of a diagram's loss, followed downhill."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from bdsim.blockdiagram import BlockDiagram

from lstmsim.base import InvalidTypeError, InvalidValueError
from lstmsim.diagram import build
from lstmsim.engine import compile
from lstmsim.networks import Network
from lstmsim.training import loop
from lstmsim.training.checkpoints import CheckpointWriter
from lstmsim.training.loop import Trainer, TrainingState
from lstmsim.training.options import TrainingOptions, combined
from lstmsim.training.problem import Data, training_problem
from lstmsim.training.result import TrainingResult, training_result
from lstmsim.training.sources import parameter_source

#: Called as progress(epochs done, epochs, loss, learning rate).
Progress = Callable[[int, int, float, float], None]

#: Seconds between two reports of progress.
_REPORT = 0.1


class TrainingInterrupted(KeyboardInterrupt):
    """Training was interrupted, between two epochs.

    Parameters
    ----------
    message : str
        Where the state is, and how to go on.
    result : TrainingResult
        What was trained until then.
    """

    def __init__(self, message: str, result: TrainingResult) -> None:
        super().__init__(message)
        self.result = result


def fit(
    model: Network | BlockDiagram,
    u: Data,
    target: Data,
    options: TrainingOptions | None = None,
    *,
    validation: tuple[Data, Data] | None = None,
    progress: Progress | None = None,
    resume: bool = False,
    **changes: Any,
) -> TrainingResult:
    """Train a network, or any diagram that compiles, to give a target for an input.

    θ ← θ − (a step of the optimizer along ∂L/∂θ), L the mean squared error of the outputs.

    Parameters
    ----------
    model : Network or BlockDiagram
        What is trained.  Of a network: each layer's W, R and b, and the head's F and bF.  Of a
        diagram that `load` has loaded: the arrays of its workspace that its expressions select
        elements of, an array that several blocks share included.  Of a diagram that was built
        or wired by hand: the parameters of its blocks, by block name.
    u : array_like of shape (T, Ni) or (B, T, Ni), list of such, or mapping
        The input; a batch, or a list of sequences of different lengths; by block name where
        there are several sources; None where the sources have values of their own, or are
        functions of time, for which every sequence begins at t = 0.
    target : array_like of shape (T, No) or (B, T, No), or list of such
        What the outputs should be; No is the width of all sinks together.
    options : TrainingOptions, optional
        How to train.
    validation : tuple of u and target, optional
        Data that are not trained on: the arrays with the lowest loss on them are returned.
    progress : callable, optional
        Called as ``progress(epochs done, epochs, loss, learning rate)``, ten times a second.
    resume : bool, optional
        Whether to go on from the checkpoint, if there is one: the arrays at the end are then the
        same, to the last bit, as those of a training that was never interrupted.
    **changes
        Options by name: ``fit(network, u, y, epochs=100, learning_rate=0.01)``.

    Returns
    -------
    TrainingResult
        With the trained network, or workspace, and the history.  Neither the network nor the
        diagram is changed; ``result.apply(diagram)`` does that.

    Raises
    ------
    InvalidTypeError, InvalidValueError, ShapeError
        If model, data and options do not fit one another.
    DiagramError
        If the diagram does not compile, or computes parameters from what is to be trained.
    NonFiniteSignalError
        If the loss is not finite before training has begun.
    DataFileError, FileAccessError
        If a checkpoint cannot be written or read, or would be lost.

    Examples
    --------
    >>> import numpy as np
    >>> import lstmsim as ls
    >>> network, u = ls.published.layer_example()
    >>> result = ls.fit(network, u, u[:, :2], epochs=20, learning_rate=0.01)
    >>> result.network
    Network(4 inputs -> LSTM(3 units) -> Dense(2 outputs), Ts=0.1 s, 102 parameters)
    >>> bool(result.loss < result.history.loss[0])
    True

    Notes
    -----
    Ctrl-C lets the epoch end, writes the checkpoint, and raises `training.TrainingInterrupted`,
    a KeyboardInterrupt with the result so far; pressed again it acts at once.  A checkpoint that
    cannot be written, because the disk is full, is said in a warning, and training goes on; the
    one before it is as it was.
    """
    if not isinstance(model, Network | BlockDiagram):
        raise InvalidTypeError(
            "this cannot be trained",
            where="fit",
            given=type(model).__name__,
            expected="a Network, or a diagram from build, load or wired by hand",
        )
    result = fitted(model, (u, target), combined(options, changes), validation, progress, resume)
    if result.reason == "diverged":
        warnings.warn(result.message, stacklevel=2)
    return result


def fitted(
    model: Network | BlockDiagram,
    data: tuple[Data, Data],
    options: TrainingOptions,
    validation: tuple[Data, Data] | None = None,
    progress: Progress | None = None,
    resume: bool = False,
) -> TrainingResult:
    """Return what `fit` returns, without a warning if training diverged."""
    diagram = build(model) if isinstance(model, Network) else model
    compiled = compile(diagram, options.dtype, options.engine)
    source = parameter_source(model, compiled)
    problem = training_problem(compiled, source, options, data, validation)
    state = loop.begin(problem)
    writer = CheckpointWriter(problem)
    if resume and options.checkpoint is None:
        raise InvalidValueError(
            "there is nothing to go on from",
            where="resume",
            given="resume=True, and no checkpoint",
            expected="the path of a checkpoint",
            mend='checkpoint="training.npz" (--checkpoint training.npz)',
        )
    writer.begin(state, resume)
    report = _reporter(progress, options)

    def after(state: TrainingState) -> None:
        writer.after(state)
        report(state)

    # A number that is not finite is divergence, and is reported as such.
    with deferred_sigint() as stop, np.errstate(all="ignore"):
        reason = loop.run(Trainer(problem, state), after, stop)
    if reason != "diverged":  # which may have happened in the middle of an epoch
        writer.save(state)
    result = training_result(problem, state, reason)
    if reason == "interrupted":
        raise TrainingInterrupted(f"{result.message}; {writer.how_to_go_on}", result)
    return result


def _reporter(
    progress: Progress | None, options: TrainingOptions
) -> Callable[[TrainingState], None]:
    if progress is None:
        return lambda state: None
    last = time.monotonic() - _REPORT

    def report(state: TrainingState) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _REPORT or state.epoch == options.epochs:
            last = now
            record, k = state.record, state.epoch - 1
            progress(state.epoch, options.epochs, float(record.loss[k]), float(record.rate[k]))

    return report


@contextlib.contextmanager
def deferred_sigint() -> Iterator[Callable[[], bool]]:
    """Yield a function that tells whether Ctrl-C was pressed; a second Ctrl-C raises at once.

    Where someone else handles the signal, or this is not the main thread, it is left alone.
    """
    asked = False

    def handle(number: int, frame: Any) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if ours:
        signal.signal(signal.SIGINT, handle)
    try:
        yield lambda: asked
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
