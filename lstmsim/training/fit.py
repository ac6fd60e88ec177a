"""Training: the gradient of a diagram's loss, followed downhill."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from bdsim.blockdiagram import BlockDiagram

from lstmsim.arrays import FloatArray
from lstmsim.engine.compiled import Compiled, compile
from lstmsim.errors import InvalidTypeError, InvalidValueError, NonFiniteSignalError
from lstmsim.networks import Network
from lstmsim.training import history, loop
from lstmsim.training.data import Sample, check_varies, sequences
from lstmsim.training.loop import Problem, State, Steps
from lstmsim.training.losses import Losses
from lstmsim.training.mapping import trained
from lstmsim.training.options import TrainingOptions, combined
from lstmsim.training.owners import NetworkOwner, Owner, WorkspaceOwner, network_with, owner_of
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
    """
    if not isinstance(model, Network | BlockDiagram):
        raise InvalidTypeError(
            "this cannot be trained",
            where="fit",
            given=type(model).__name__,
            expected="a Network, or a diagram from build, load or wired by hand",
        )
    chosen = combined(options, changes)
    diagram, owner = owner_of(model)
    compiled = compile(diagram, chosen.dtype, chosen.engine)
    problem = _problem(compiled, owner, chosen, (u, target), validation)
    state = loop.begin(problem)
    steps = Steps(problem, state)
    reason = loop.run(steps, _reporter(progress, chosen), lambda: False)
    return _result(model, owner, compiled, problem, state, reason, u)


def _problem(
    compiled: Compiled,
    owner: Owner,
    options: TrainingOptions,
    data: tuple[Data, Data],
    validation: tuple[Data, Data] | None,
) -> Problem:
    """Return what is to be done, if all of it fits together."""
    samples = sequences(compiled.diagram, compiled.graph, *data)
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
        held_out = sequences(compiled.diagram, compiled.graph, *validation, "validation")
    elif options.patience is not None:
        raise InvalidValueError(
            "without validation data there is nothing to be patient with",
            where="patience",
            given=f"patience={options.patience}, no validation data",
            expected="validation=(u, y)",
            mend="pass validation data, or leave patience out",
        )
    carry = options.carry != "reset"
    losses = Losses(compiled, _rounded(samples, compiled.dtype), options.loss, carry)
    others = (
        None
        if held_out is None
        else Losses(compiled, _rounded(held_out, compiled.dtype), options.loss, carry)
    )
    mapped = trained(owner, losses.layout, options.frozen, options.train_states)
    if options.weight_decay and not any(map(options.decays, mapped.arrays)):
        raise InvalidValueError(
            "the weight decay is for none of the trained arrays",
            where="decayed",
            given=", ".join(map(repr, options.decayed)) or "no name",
            expected=f"names, or patterns, of: {', '.join(mapped.arrays)}",
        )
    return Problem(mapped, losses, others, options, len(samples))


def _rounded(samples: list[Sample], dtype: Any) -> list[Sample]:
    return [
        Sample({n: v.astype(dtype) for n, v in s.inputs.items()}, s.target.astype(dtype))
        for s in samples
    ]


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


def _result(
    model: Network | BlockDiagram,
    owner: Owner,
    compiled: Compiled,
    problem: Problem,
    state: State,
    reason: str,
    data: Data,
) -> TrainingResult:
    mapped, options = problem.trained, problem.options
    values, epoch = state.values(mapped.size), state.epoch
    engine = np.empty(len(mapped.index), state.pool.dtype)
    mapped.spread(state.pool, engine)
    if reason != "diverged" and not problem.losses.loss(engine) <= options.max_loss:
        reason = "diverged"  # the last step has led too far
    if reason == "diverged":
        if state.steps == 0:
            _refuse_start(problem, compiled, data)
        values, epoch = state.good, state.good_epoch
    if problem.validation is not None:
        values, epoch = state.best, state.best_epoch
    pool = np.concatenate([values, state.pool[mapped.size :]])
    mapped.spread(pool, engine)
    new = mapped.split(values)
    arrays = {n: new.get(n, mapped.kept.get(n)) for n in owner.arrays}
    parameters: dict[str, FloatArray] = {n: a for n, a in arrays.items() if a is not None}
    message = _message(reason, problem, state, epoch)
    record = history.dataset(
        state.record, state.epoch, list(mapped.arrays), problem.validation is not None
    )
    if reason == "diverged":
        warnings.warn(message, stacklevel=3)
    network, workspace = None, None
    if isinstance(owner, NetworkOwner):
        network = network_with(owner.network, new)
        workspace = {**parameters, "Ts": np.array(network.Ts)}
    elif isinstance(owner, WorkspaceOwner):
        workspace = {**owner.origin.workspace, **new}
    return TrainingResult(
        parameters=parameters,
        trained=tuple(mapped.arrays),
        network=network,
        workspace=workspace,
        history=record,
        reason=reason,
        message=message,
        epochs=state.epoch,
        best_epoch=epoch,
        loss=problem.losses.loss(engine),
        validation_loss=None if problem.validation is None else state.best_loss,
        changes={n: float(np.max(np.abs(new[n] - a))) for n, a in mapped.arrays.items()},
        blocks=owner.blocks(new),
    )


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
        f"diverged in epoch {state.epoch + 1:,}: the loss or its gradient went beyond {bound}; "
        f"the arrays are the last good ones, after epoch {epoch}; try {' or '.join(mends)}"
    )


def _refuse_start(problem: Problem, compiled: Compiled, data: Data) -> None:
    """Say that there is nothing to begin with, naming the block where a signal overflows."""
    for one in data if isinstance(data, list) else [data]:
        compiled.run(one)
    raise NonFiniteSignalError(
        "the loss cannot be trained from where it begins",
        where="fit",
        given="a loss or a gradient of the given arrays beyond "
        + ("the largest number" if np.isinf(problem.options.max_loss) else "max_loss"),
        expected=f"a finite loss of at most {problem.options.max_loss:g}",
        mend="begin with smaller arrays, scale the data, or use float64",
    )
