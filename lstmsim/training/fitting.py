"""Training: the gradient of a diagram's loss, followed downhill."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from bdsim.blockdiagram import BlockDiagram

from lstmsim.base import InvalidTypeError, InvalidValueError
from lstmsim.engine import Compiled, compile
from lstmsim.networks import Network
from lstmsim.training import checkpoints, loop
from lstmsim.training.data import check_varies, sequences
from lstmsim.training.interrupts import TrainingInterrupted, held_back
from lstmsim.training.loop import Problem, State, Steps
from lstmsim.training.losses import Losses
from lstmsim.training.options import TrainingOptions, combined
from lstmsim.training.outcome import outcome
from lstmsim.training.parameters import ParameterSource, map_parameters, parameter_source
from lstmsim.training.result import TrainingResult

Data = npt.ArrayLike | Mapping[str, npt.ArrayLike] | list[Any] | None
#: Called as progress(epochs done, epochs, loss, learning rate).
Progress = Callable[[int, int, float, float], None]

#: Seconds between two reports of progress.
_REPORT = 0.1


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
        there are several sources; None where the sources have values of their own.
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
    chosen: TrainingOptions,
    validation: tuple[Data, Data] | None = None,
    progress: Progress | None = None,
    resume: bool = False,
) -> TrainingResult:
    """Return what `fit` returns, without a warning if training diverged."""
    diagram, source = parameter_source(model)
    compiled = compile(diagram, chosen.dtype, chosen.engine)
    problem, parts = _problem(compiled, source, chosen, data, validation)
    state = loop.begin(problem)
    if chosen.checkpoint is not None:
        checkpoints.check_free(chosen.checkpoint, resume)
        if resume and chosen.checkpoint.exists():
            checkpoints.restore(chosen.checkpoint, state, parts, chosen.epochs)
    elif resume:
        raise InvalidValueError(
            "there is nothing to go on from",
            where="resume",
            given="resume=True, and no checkpoint",
            expected="the path of a checkpoint",
            mend='checkpoint="training.npz" (--checkpoint training.npz)',
        )
    keeper = checkpoints.Keeper(chosen, parts)
    report = _reporter(progress, chosen)

    def after(state: State) -> None:
        keeper.after(state)
        report(state)

    # What is not finite is divergence, and said as such.
    with held_back() as stop, np.errstate(all="ignore"):
        reason = loop.run(Steps(problem, state), after, stop)
    if reason != "diverged":  # which may have happened in the middle of an epoch
        keeper.save(state)
    result = outcome(source, compiled, problem, state, reason)
    if reason == "interrupted":
        raise TrainingInterrupted(f"{result.message}; {keeper.how_to_go_on}", result)
    return result


def _problem(
    compiled: Compiled,
    source: ParameterSource,
    options: TrainingOptions,
    data: tuple[Data, Data],
    validation: tuple[Data, Data] | None,
) -> tuple[Problem, dict[str, str]]:
    """Return what is to be done, if all of it fits together, and its fingerprint."""
    samples = sequences(compiled, *data)
    if not options.constant_target:
        check_varies(samples)
    held_out = None
    if validation is not None:
        if not isinstance(validation, tuple | list) or len(validation) != 2:
            raise InvalidTypeError(
                "the validation data are not an input and a target",
                where="validation",
                given=type(validation).__name__,
                expected="validation=(u, y)",
            )
        held_out = sequences(compiled, *validation, "validation")
    elif options.patience is not None:
        raise InvalidValueError(
            "without validation data there is nothing to be patient with",
            where="patience",
            given=f"patience={options.patience}, no validation data",
            expected="validation=(u, y)",
            mend="pass validation data, or leave patience out",
        )
    carry = options.carry != "reset"
    losses = Losses(compiled, samples, options.loss, carry)
    others = None if held_out is None else Losses(compiled, held_out, options.loss, carry)
    mapped = map_parameters(source, losses.layout, options.frozen, options.train_states)
    if options.weight_decay and not any(map(options.decays, mapped.arrays)):
        raise InvalidValueError(
            "the weight decay is for none of the trained arrays",
            where="decayed",
            given=", ".join(map(repr, options.decayed)) or "no name",
            expected=f"names, or patterns, of: {', '.join(mapped.arrays)}",
        )
    parts = checkpoints.fingerprint(compiled.graph, source.arrays, options, samples, held_out)
    return Problem(mapped, losses, others, options, samples), parts


def _reporter(progress: Progress | None, options: TrainingOptions) -> Callable[[State], None]:
    if progress is None:
        return lambda state: None
    last = time.monotonic() - _REPORT

    def report(state: State) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _REPORT or state.epoch == options.epochs:
            last = now
            record, k = state.record, state.epoch - 1
            progress(state.epoch, options.epochs, float(record.loss[k]), float(record.rate[k]))

    return report
