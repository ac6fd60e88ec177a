"""The result of training: the arrays that are kept, and how they came about."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from bdsim.blockdiagram import BlockDiagram

from lstmsim.base import (
    DiagramError,
    FloatArray,
    NonFiniteSignalError,
    Report,
    Row,
    TableData,
    count,
    numbers,
    texts,
)
from lstmsim.engine import assign, parameters
from lstmsim.networks import Network
from lstmsim.training.loop import TrainingState
from lstmsim.training.parameters import block_arrays
from lstmsim.training.problem import Problem


@dataclass(frozen=True, eq=False)
class TrainingResult(Report):
    """Trained arrays, and how they came about.

    Parameters
    ----------
    parameters : dict of ndarray
        All arrays of the network, the workspace or the blocks by name, trained or not.
    trained : tuple of str
        The names of those that were trained.
    network : Network or None
        The trained network, where a network was given.
    workspace : dict of ndarray or None
        The workspace with the trained arrays in the place of the old ones, in their shapes: of
        a diagram loaded from a model file, or of a network, under the names that `lstm_layer.bd`
        uses.  None for a diagram that was wired by hand.
    history : xarray.Dataset
        Loss, learning rate, norms of the gradients, loss on the validation data, by epoch.
    reason : str
        Why training stopped: "epochs", "patience", "diverged" or "interrupted".
    message : str
        The same in words, and what to change if it went wrong.
    epochs : int
        How many epochs were done.
    best_epoch : int
        After how many of them the arrays were as they are here: with validation data those with
        the lowest loss on these, else the last ones that are good.
    loss : float
        The training loss of these arrays.
    validation_loss : float or None
        Their loss on the validation data, if there are any.
    changes : dict of float
        How far training has moved the elements of each trained array at most.
    blocks : dict of ndarray
        The parameters of the diagram's blocks, by block and parameter.
    """

    parameters: dict[str, FloatArray]
    trained: tuple[str, ...]
    network: Network | None
    workspace: dict[str, Any] | None
    history: xr.Dataset
    reason: str
    message: str
    epochs: int
    best_epoch: int
    loss: float
    validation_loss: float | None
    changes: dict[str, float]
    blocks: dict[tuple[str, str], FloatArray]

    def apply(self, diagram: BlockDiagram) -> BlockDiagram:
        """Put the trained parameters into a diagram's blocks, and return it.

        Parameters
        ----------
        diagram : BlockDiagram
            The one that was trained, or one with blocks of the same names and sizes.

        Raises
        ------
        DiagramError
            If it has other blocks, or of other sizes.
        """
        there = parameters(diagram.blocklist)
        sizes = {(b, n): np.shape(a) for b, arrays in there.items() for n, a in arrays.items()}
        differing = sorted(
            f"{block}.{name}"
            for block, name in sizes.keys() | self.blocks.keys()
            if sizes.get((block, name)) != np.shape(self.blocks.get((block, name), np.nan))
        )
        if differing:
            raise DiagramError(
                "these parameters are those of another diagram",
                where=", ".join(differing[:5]) + (" …" if len(differing) > 5 else ""),
                given=f"{count(len(sizes), 'parameter')}",
                expected=f"the {count(len(self.blocks), 'parameter')} of the diagram that was "
                "trained",
            )
        for (block, name), array in self.blocks.items():
            assign(diagram.blocknames[block], {name: array})
        return diagram

    @property
    def title(self) -> str:
        """What it is about."""
        return "training"

    @property
    def tables(self) -> tuple[TableData, ...]:
        """The arrays, and how far training has moved them."""
        rows = []
        for name, array in self.parameters.items():
            moved = name in self.trained
            norm = ""
            if moved and self.history.sizes["epoch"]:
                norm = f"{float(self.history.gradient_norm.sel(array=name)[-1]):.3g}"
            shape = " × ".join(map(str, array.shape)) or "number"
            change = f"{self.changes[name]:.3g}" if moved else ""
            rows.append(Row((name, shape, "yes" if moved else "no", change, norm)))
        columns = (
            *texts("array", "shape", "trained"),
            *numbers("largest change", "norm of last gradient"),
        )
        return (TableData(columns, tuple(rows)),)

    @property
    def summary(self) -> str:
        """The result in a line or two."""
        first = float(self.history.loss[0]) if self.history.sizes["epoch"] else math.nan
        text = f"loss {first:.4g} -> {self.loss:.4g} in {count(self.epochs, 'epoch')}"
        if self.validation_loss is not None:
            text += (
                f"; on the validation data {self.validation_loss:.4g}, after epoch "
                f"{self.best_epoch}"
            )
        return f"{text}\n{self.message}"

    @property
    def content(self) -> dict[str, Any]:
        """The result without the arrays."""
        history = self.history
        return {
            "reason": self.reason,
            "message": self.message,
            "epochs": self.epochs,
            "best_epoch": self.best_epoch,
            "loss": self.loss,
            "validation_loss": self.validation_loss,
            "first_loss": float(history.loss[0]) if history.sizes["epoch"] else None,
            "trained": {n: list(self.parameters[n].shape) for n in self.trained},
            "not_trained": [n for n in self.parameters if n not in self.trained],
        }


def training_result(problem: Problem, state: TrainingState, reason: str) -> TrainingResult:
    """Return the result of a training that has ended.

    Parameters
    ----------
    problem, state : Problem, TrainingState
        What was trained, and where it ended.
    reason : str
        Why: "epochs", "patience", "diverged" or "interrupted".

    Raises
    ------
    NonFiniteSignalError
        If there was no good step at all.
    """
    mapped, source, n = problem.parameters, problem.source, problem.parameters.size
    loss = problem.loss(state.pool)
    if not (np.isfinite(loss) and loss <= problem.options.max_loss):
        reason = "diverged"  # the last step has led too far
    if reason == "diverged" and state.steps == 0:
        _refuse_start(problem)
    values, epoch = state.pool[:n], state.epoch
    if problem.validation is not None:
        values, epoch = state.best, state.best_epoch
    elif reason == "diverged":
        values, epoch = state.good, state.good_epoch
    new = mapped.split(values)
    network, workspace = source.models(new)
    message = _message(reason, problem, state, epoch)
    return TrainingResult(
        parameters={name: new.get(name, array) for name, array in source.arrays.items()},
        trained=tuple(mapped.arrays),
        network=network,
        workspace=workspace,
        history=state.record.history(
            state.epoch, list(mapped.arrays), validated=problem.validation is not None
        ),
        reason=reason,
        message=message,
        epochs=state.epoch,
        best_epoch=epoch,
        loss=problem.loss(np.concatenate([values, state.pool[n:]])),
        validation_loss=None if problem.validation is None else state.best_loss,
        changes={k: float(np.max(np.abs(new[k] - a))) for k, a in mapped.arrays.items()},
        blocks=mapped.blocks(values, block_arrays(problem.compiled)),
    )


def _message(reason: str, problem: Problem, state: TrainingState, epoch: int) -> str:
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


def _refuse_start(problem: Problem) -> None:
    """Say that there is nothing to begin with, naming the block where a signal overflows."""
    for sequence in problem.sequences:
        problem.compiled.run(sequence.inputs)
    raise NonFiniteSignalError(
        "the loss cannot be trained from where it begins",
        where="fit",
        given="a loss or a gradient of the given arrays beyond "
        + ("the largest number" if np.isinf(problem.options.max_loss) else "max_loss"),
        expected=f"a finite loss of at most {problem.options.max_loss:g}",
        mend="begin with smaller arrays, scale the data, or use float64",
    )
