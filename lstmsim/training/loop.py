"""The loop: epochs of steps, until there is a reason to stop."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lstmsim.training.data import Sample
from lstmsim.training.history import Record
from lstmsim.training.losses import Group, Losses, States
from lstmsim.training.options import TrainingOptions
from lstmsim.training.parameters import ParameterMap

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Problem:
    """What is trained, on what, and how.

    Parameters
    ----------
    trained : ParameterMap
        The trained arrays.
    losses, validation : Losses
        The loss on the training data, and on the validation data if there are any.
    options : TrainingOptions
        How.
    samples : list of Sample
        The sequences.
    """

    trained: ParameterMap
    losses: Losses
    validation: Losses | None
    options: TrainingOptions
    samples: list[Sample]


@dataclass
class State:
    """All that changes while training goes on: what a checkpoint holds.

    Parameters
    ----------
    pool : ndarray
        The trained elements first; see `ParameterMap.pool`.
    memory : dict of ndarray
        The optimizer's arrays.
    good, best : ndarray
        The trained elements of the last step whose loss was finite, and those with the lowest
        loss on the validation data.
    random : Generator
        Of the order of the sequences.
    record : Record
        What is said in the history.
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


def begin(problem: Problem) -> State:
    """Return the state before the first epoch."""
    trained, options = problem.trained, problem.options
    pool = trained.pool(problem.losses.initial)
    n = trained.size
    optimizer = options.optimizer
    assert not isinstance(optimizer, str)
    state = State(
        pool=pool,
        memory={name: np.zeros(n, pool.dtype) for name in (*optimizer.memory, "a", "b")},
        good=pool[:n].copy(),
        best=pool[:n].copy(),
        random=np.random.default_rng(options.seed),
        record=Record.empty(options.epochs, len(trained.arrays)),
    )
    if problem.validation is not None:
        engine = np.empty(len(trained.index), pool.dtype)
        trained.spread(pool, engine)
        state.best_loss = problem.validation.loss(engine)
    return state


class Steps:
    """One problem's steps, with all the room that they need.

    Parameters
    ----------
    problem : Problem
        What is trained.
    state : State
        What the steps change.
    """

    def __init__(self, problem: Problem, state: State) -> None:
        trained, options = problem.trained, problem.options
        self.problem, self.state = problem, state
        dtype, n = state.pool.dtype, trained.size
        self.values = state.pool[:n]
        self.engine = np.empty(len(trained.index), dtype)
        self._gradient = np.empty(n, dtype)
        self._work = np.empty(n, dtype)
        self._squares = np.empty(n)
        self._powers = np.empty(len(trained.arrays))
        self._member = np.repeat(np.arange(len(trained.arrays)), trained.sizes)
        decayed = np.array([options.decays(name) for name in trained.arrays])
        self._decay = (options.weight_decay * decayed)[self._member].astype(dtype)
        self._decays = bool(self._decay.any())

    def step(self, groups: list[Group], rate: float) -> float | None:
        """Make one step, and return its loss; None, and no step, if training has diverged."""
        problem, state, g = self.problem, self.state, self._gradient
        trained, options = problem.trained, problem.options
        trained.spread(state.pool, self.engine)
        loss, gradient = problem.losses.gradient(self.engine, groups, state.carried)
        trained.gather(gradient, g)
        np.multiply(g, g, out=self._squares, dtype=np.float64)
        np.add.reduceat(self._squares, trained.starts, out=self._powers)
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
        optimizer = options.optimizer
        optimizer.step(self.values, g, rate, state.steps, state.memory)  # type: ignore[union-attr]
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
        options, count = self.problem.options, len(self.problem.samples)
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
        problem.trained.spread(state.pool, self.engine)
        loss = problem.validation.loss(self.engine)
        state.record.validation[state.epoch - 1] = loss
        if loss < state.best_loss:
            state.best_loss, state.best_epoch = loss, state.epoch
            np.copyto(state.best, self.values)


def run(steps: Steps, after: Callable[[State], None], stop: Callable[[], bool]) -> str:
    """Train, and return why it ended.

    Parameters
    ----------
    steps : Steps
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
    state, options = steps.state, steps.problem.options
    validated = steps.problem.validation is not None
    while True:
        waited = state.epoch - state.best_epoch
        if validated and options.patience is not None and waited >= options.patience:
            return "patience"
        if state.epoch >= options.epochs:
            return "epochs"
        if stop():
            return "interrupted"
        if not steps.epoch():
            return "diverged"
        if validated:
            steps.validate()
        after(state)
