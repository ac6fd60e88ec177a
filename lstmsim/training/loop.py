"""The loop: epochs of steps, until there is a reason to stop."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from lstmsim.base import Array, FloatArray
from lstmsim.training.losses import Group, States
from lstmsim.training.problem import Problem


@dataclass
class Record:
    """The figures of every epoch, NaN for those to come.

    Parameters
    ----------
    loss, rate, validation : ndarray of shape (epochs,)
        Training loss, learning rate, and loss on the validation data.
    norms : ndarray of shape (epochs, arrays)
        L2 norm of each array's gradient, before clipping.
    """

    loss: FloatArray
    rate: FloatArray
    validation: FloatArray
    norms: FloatArray

    @classmethod
    def empty(cls, epochs: int, arrays: int) -> Record:
        """Return the record before the first epoch."""
        one = [np.full(epochs, np.nan) for _ in range(3)]
        return cls(one[0], one[1], one[2], np.full((epochs, arrays), np.nan))

    def history(self, epochs: int, names: list[str], validated: bool) -> xr.Dataset:
        """Return the first epochs as a labelled dataset.

        Parameters
        ----------
        epochs : int
            How many.
        names : list of str
            The names of the trained arrays.
        validated : bool
            Whether there are validation data.
        """
        columns = {
            "loss": (self.loss, "training loss, of the weights that the epoch begins with"),
            "learning_rate": (self.rate, "learning rate"),
        }
        if validated:
            words = "loss on the validation data, of the weights that the epoch ends with"
            columns["validation_loss"] = (self.validation, words)
        variables: dict[str, Any] = {
            name: ("epoch", values[:epochs].copy(), {"long_name": words})
            for name, (values, words) in columns.items()
        }
        variables["gradient_norm"] = (
            ("epoch", "array"),
            self.norms[:epochs].copy(),
            {"long_name": "L2 norm of the gradient before clipping"},
        )
        return xr.Dataset(variables, coords={"epoch": np.arange(1, epochs + 1), "array": names})


@dataclass
class TrainingState:
    """All that changes while training goes on: what a checkpoint holds.

    Parameters
    ----------
    pool : ndarray
        The trained elements, then the engine's own; see `ParameterMap.pool`.
    memory : dict of ndarray
        The optimizer's arrays.
    good, best : ndarray
        The trained elements of the last step whose loss was finite, and those with the lowest
        loss on the validation data.
    random : Generator
        Of the order of the sequences.
    record : Record
        The history.
    carried : dict of ndarray, optional
        The states that the next sequence begins with.
    epoch, steps : int
        How many are done.
    good_epoch, best_epoch : int
        After how many epochs the elements were as kept.
    best_loss : float
        On the validation data.
    """

    pool: Array
    memory: dict[str, Array]
    good: Array
    best: Array
    random: np.random.Generator
    record: Record
    carried: States = None
    epoch: int = 0
    steps: int = 0
    good_epoch: int = 0
    best_epoch: int = 0
    best_loss: float = math.inf

    def values(self, count: int) -> Array:
        """Return the trained elements, as a view."""
        return self.pool[:count]


def begin(problem: Problem) -> TrainingState:
    """Return the state before the first epoch."""
    mapped, options = problem.parameters, problem.options
    pool = mapped.pool(problem.losses.initial)
    n = mapped.size
    state = TrainingState(
        pool=pool,
        memory={name: np.zeros(n, pool.dtype) for name in (*options.update_rule.memory, "a", "b")},
        good=pool[:n].copy(),
        best=pool[:n].copy(),
        random=np.random.default_rng(options.seed),
        record=Record.empty(options.epochs, len(mapped.arrays)),
    )
    if problem.validation is not None:
        engine = np.empty(len(mapped.index), pool.dtype)
        mapped.spread(pool, engine)
        state.best_loss = problem.validation.loss(engine)
    return state


class Trainer:
    """Makes the steps of training, epoch by epoch, in buffers of its own.

    Parameters
    ----------
    problem : Problem
        What is trained.
    state : TrainingState
        What the steps change.
    """

    def __init__(self, problem: Problem, state: TrainingState) -> None:
        mapped, options = problem.parameters, problem.options
        self.problem, self.state = problem, state
        self._optimizer = options.update_rule
        dtype, n = state.pool.dtype, mapped.size
        self.values = state.pool[:n]
        self.engine = np.empty(len(mapped.index), dtype)
        self._gradient = np.empty(n, dtype)
        self._work = np.empty(n, dtype)
        self._squares = np.empty(n)
        self._powers = np.empty(len(mapped.arrays))
        self._member = np.repeat(np.arange(len(mapped.arrays)), mapped.sizes)
        decayed = np.array([options.decays(name) for name in mapped.arrays])
        self._decay = (options.weight_decay * decayed)[self._member].astype(dtype)
        self._decays = bool(self._decay.any())

    def step(self, groups: list[Group], rate: float) -> float | None:
        """Make one step, and return its loss; None, and no step, if training has diverged."""
        problem, state, g = self.problem, self.state, self._gradient
        mapped, options = problem.parameters, problem.options
        mapped.spread(state.pool, self.engine)
        loss, gradient = problem.losses.gradient(self.engine, groups, state.carried)
        mapped.gather(gradient, g)
        np.multiply(g, g, out=self._squares, dtype=np.float64)
        np.add.reduceat(self._squares, mapped.starts, out=self._powers)
        power = float(np.add.reduce(self._powers))
        if not (math.isfinite(loss) and loss <= options.max_loss and math.isfinite(power)):
            return None
        np.copyto(state.good, self.values)
        state.good_epoch = state.epoch
        state.carried = problem.losses.final_states
        self._clip(power)
        if self._decays:
            np.multiply(self._decay, self.values, out=self._work)
            g += self._work
        state.steps += 1
        self._optimizer.step(self.values, g, rate, state.steps, state.memory)
        return loss

    def _clip(self, power: float) -> None:
        """Scale the gradient of each array, and then all of it, to norms within the bounds."""
        options, g = self.problem.options, self._gradient
        powers = self._powers
        if options.clip is not None and power > options.clip**2:
            largest = options.clip**2
            if float(powers.max()) > largest:
                factors = np.sqrt(np.minimum(1.0, largest / np.maximum(powers, largest)))
                np.take(factors.astype(g.dtype), self._member, out=self._work, mode="clip")
                g *= self._work
                power = float(np.minimum(powers, largest).sum())
        if options.clip_global is not None and power > options.clip_global**2:
            g *= options.clip_global / math.sqrt(power)

    def batches(self) -> Iterator[list[Group]]:
        """Give the groups of sequences of every step of an epoch."""
        options, count = self.problem.options, len(self.problem.sequences)
        size = options.batch_size or count
        if size >= count:
            yield self.problem.losses.all
            return
        order = self.state.random.permutation(count) if options.shuffle else np.arange(count)
        for first in range(0, count, size):
            yield self.problem.losses.groups(order[first : first + size])

    def epoch(self) -> bool:
        """Go through all sequences once, and record it; False if training has diverged."""
        state, options = self.state, self.problem.options
        if options.carry == "sequences":
            state.carried = None
        k, record = state.epoch, state.record
        rate = options.rate(k)
        total, steps, count = 0.0, 0, 0
        norms: Any = 0.0
        for groups in self.batches():
            loss = self.step(groups, rate)
            if loss is None:
                return False
            size = sum(group.samples for group in groups)
            total += loss * size
            count += size
            norms = norms + np.sqrt(self._powers)
            steps += 1
        record.loss[k] = total / count
        record.rate[k] = rate
        record.norms[k] = norms / steps if steps > 1 else norms
        state.epoch = k + 1
        return True

    def validate(self) -> None:
        """Take the loss on the validation data, and keep the elements if it is the lowest."""
        problem, state = self.problem, self.state
        if problem.validation is None:
            return
        problem.parameters.spread(state.pool, self.engine)
        loss = problem.validation.loss(self.engine)
        state.record.validation[state.epoch - 1] = loss
        if loss < state.best_loss:
            state.best_loss, state.best_epoch = loss, state.epoch
            np.copyto(state.best, self.values)


def run(trainer: Trainer, after: Callable[[TrainingState], None], stop: Callable[[], bool]) -> str:
    """Train, and return why it ended.

    Parameters
    ----------
    trainer : Trainer
        What to do.
    after : callable
        Called with the state after every epoch.
    stop : callable
        Asked after every epoch whether to stop.

    Returns
    -------
    str
        "epochs", "patience", "diverged" or "interrupted".
    """
    state, options = trainer.state, trainer.problem.options
    validated = trainer.problem.validation is not None
    while True:
        waited = state.epoch - state.best_epoch
        if validated and options.patience is not None and waited >= options.patience:
            return "patience"
        if state.epoch >= options.epochs:
            return "epochs"
        if stop():
            return "interrupted"
        if not trainer.epoch():
            return "diverged"
        if validated:
            trainer.validate()
        after(state)
