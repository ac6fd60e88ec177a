"""How training ended: the arrays that are kept, and what is said of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lstmsim.base import NonFiniteSignalError, count
from lstmsim.engine import Compiled
from lstmsim.training import history
from lstmsim.training.loop import Problem, State
from lstmsim.training.parameters import ParameterSource, current_parameters
from lstmsim.training.result import TrainingResult

Array = npt.NDArray[Any]


def outcome(
    source: ParameterSource,
    compiled: Compiled,
    problem: Problem,
    state: State,
    reason: str,
) -> TrainingResult:
    """Return what training gives back.

    Parameters
    ----------
    source : ParameterSource
        Whose arrays were trained.
    compiled : Compiled
        The diagram.
    problem, state : Problem, State
        What was done, and where it ended.
    reason : str
        Why.

    Raises
    ------
    NonFiniteSignalError
        If there was no good step at all.
    """
    mapped, loss = problem.trained, _loss(problem, state, state.values(problem.trained.size))
    if not (np.isfinite(loss) and loss <= problem.options.max_loss):
        reason = "diverged"  # the last step has led too far
    if reason == "diverged" and state.steps == 0:
        _refuse_start(problem, compiled)
    values, epoch = state.values(mapped.size), state.epoch
    if problem.validation is not None:
        values, epoch = state.best, state.best_epoch
    elif reason == "diverged":
        values, epoch = state.good, state.good_epoch
    new = mapped.split(values)
    network, workspace = source.models(new)
    message = _message(reason, problem, state, epoch)
    record = history.dataset(
        state.record, state.epoch, list(mapped.arrays), problem.validation is not None
    )
    return TrainingResult(
        parameters={name: new.get(name, array) for name, array in source.arrays.items()},
        trained=tuple(mapped.arrays),
        network=network,
        workspace=workspace,
        history=record,
        reason=reason,
        message=message,
        epochs=state.epoch,
        best_epoch=epoch,
        loss=_loss(problem, state, values),
        validation_loss=None if problem.validation is None else state.best_loss,
        changes={n: float(np.max(np.abs(new[n] - a))) for n, a in mapped.arrays.items()},
        blocks=mapped.blocks(values, current_parameters(compiled.diagram)),
    )


def _loss(problem: Problem, state: State, values: Array) -> float:
    """Return the training loss of trained elements."""
    mapped = problem.trained
    engine = np.empty(len(mapped.index), state.pool.dtype)
    mapped.spread(np.concatenate([values, state.pool[mapped.size :]]), engine)
    return problem.losses.loss(engine)


def _message(reason: str, problem: Problem, state: State, epoch: int) -> str:
    """Say why training stopped, and what can be done about it."""
    options = problem.options
    if reason == "epochs":
        return f"stopped after all {options.epochs:,} epochs"
    if reason == "patience":
        return (
            f"stopped early: no lower loss on the validation data for {options.patience} epochs; "
            f"the arrays are those after epoch {epoch}"
        )
    if reason == "interrupted":
        return f"interrupted after epoch {state.epoch:,} of {options.epochs:,}"
    bound = "the largest number" if np.isinf(options.max_loss) else f"{options.max_loss:g}"
    mends = [f"a smaller learning rate than {options.rate(max(state.epoch - 1, 0)):g}"]
    if options.clip is None and options.clip_global is None:
        mends.append("clipping (clip=1.0)")
    else:
        mends.append("a tighter clip")
    return (
        f"diverged after {count(state.epoch, 'epoch')}: the loss or its gradient went beyond "
        f"{bound}; the arrays are the last good ones, after epoch {epoch}; try {' or '.join(mends)}"
    )


def _refuse_start(problem: Problem, compiled: Compiled) -> None:
    """Say that there is nothing to begin with, naming the block where a signal overflows."""
    for sample in problem.samples:
        compiled.run(sample.inputs)
    raise NonFiniteSignalError(
        "the loss cannot be trained from where it begins",
        where="fit",
        given="a loss or a gradient of the given arrays beyond "
        + ("the largest number" if np.isinf(problem.options.max_loss) else "max_loss"),
        expected=f"a finite loss of at most {problem.options.max_loss:g}",
        mend="begin with smaller arrays, scale the data, or use float64",
    )
