"""A loss as a function of one flat vector of all parameters: what an optimizer calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lstmsim.engine.compiled import Compiled, each
from lstmsim.engine.engines import Gradient, side_by_side
from lstmsim.engine.losses import mean_square

Array = npt.NDArray[Any]
States = Mapping[str, Array]


class Place(NamedTuple):
    """Where an array lies in the flat vector."""

    slice: slice
    shape: tuple[int, ...]


class Objective:
    """The loss of one compiled diagram on one sequence, or a batch of them, of one length.

    The diagram is read once and never written to: parameters come as a flat vector with every
    call.  What a call returns may be overwritten by the next one.

    Parameters
    ----------
    compiled : Compiled
        The diagram; its precision and engine are the objective's.
    inputs : mapping of ndarray of shape (T, width) or (B, T, width)
        The samples of every source, by block name.
    target : ndarray of shape (T, No) or (B, T, No)
        What the outputs, side by side, should be.
    loss : str, optional
        "mse", the mean of squared errors over sequences, samples and outputs, or "half_mse".

    Attributes
    ----------
    layout : dict of Place
        Where the array of a block's parameter is in the flat vector, by (block, parameter).
    final_states : dict of ndarray of shape (n,) or (B, n)
        What the delays have stored after the last sample of the last call, by block name.
    """

    def __init__(
        self,
        compiled: Compiled,
        inputs: Mapping[str, Array],
        target: Array,
        loss: str = "mse",
    ) -> None:
        self.graph, self.dtype = compiled.graph, compiled.dtype
        self._loss = loss
        self._store = compiled.own_store()
        self._engine = compiled.engine_on(self._store)
        self.layout = {key: Place(*place) for key, place in self._store.layout.items()}
        self._initial = self._store.values.copy()
        self._gradient = np.empty_like(self._initial)
        self.final_states: dict[str, Array] = {}
        self._is_batch = target.ndim == 3
        self.bind(inputs, target)

    def bind(self, inputs: Mapping[str, Array], target: Array) -> None:
        """Take other sequences of the same number and length.

        Parameters
        ----------
        inputs, target
            As for the objective itself.
        """
        rows = slice(None) if self._is_batch else None
        self._inputs = {name: np.asarray(v[rows], self.dtype) for name, v in inputs.items()}
        self._target = np.asarray(target[rows], self.dtype)

    def initial(self) -> Array:
        """Return the parameters of all blocks as they were when the objective was made."""
        return self._initial.copy()

    def __call__(self, values: Array, state: States | None = None) -> tuple[float, Array]:
        """Return the loss and its gradient.

        Parameters
        ----------
        values : ndarray
            All parameters, as `layout` says.
        state : mapping of ndarray, optional
            What the delays put out first, by block name; their parameters x0 if not given, whose
            gradient is zero where a state is.
        """
        found = each(self._differentiated(values, state), len(self._target))
        np.copyto(self._gradient, found[0].parameters)
        for other in found[1:]:
            self._gradient += other.parameters
        for block in state or ():
            self._gradient[self.layout[block, "x0"].slice] = 0
        self._keep([part.finals for part in found])
        return sum(part.loss for part in found), self._gradient

    def loss(self, values: Array, state: States | None = None) -> float:
        """Return the loss alone; the arguments are those of a call."""
        begin = self._begin(values, state)

        def one(k: int) -> tuple[float, dict[str, Array]]:
            inputs, target = {n: v[k] for n, v in self._inputs.items()}, self._target[k]
            names = self.graph.outputs
            signals, finals = self._engine.run(inputs, begin, len(target), names)
            y = side_by_side(signals, self.graph)
            with np.errstate(all="ignore"):  # what is not finite is the caller's to see
                loss = mean_square(y, target, self._loss, self._target.size, np.empty_like(y))
            return loss, finals

        found = each(one, len(self._target))
        self._keep([finals for _, finals in found])
        return float(sum(loss for loss, _ in found))

    def _begin(self, values: Array, state: States | None) -> dict[str, Array] | None:
        """Take over the parameters, and return the states to begin with: None for their own."""
        np.copyto(self._store.values, values)
        self._store.version += 1
        if not state:
            return None
        return self._store.initial_states | dict(state)

    def _differentiated(self, values: Array, state: States | None) -> Callable[[int], Gradient]:
        begin = self._begin(values, state)

        def one(k: int) -> Gradient:
            inputs, target = {n: v[k] for n, v in self._inputs.items()}, self._target[k]

            def derivative(y: Array, part: slice, out: Array) -> float:
                return mean_square(y, target[part], self._loss, self._target.size, out)

            return self._engine.gradient(inputs, begin, len(target), derivative, False, None)

        return one

    def _keep(self, finals: list[dict[str, Array]]) -> None:
        self.final_states = (
            {name: np.stack([own[name] for own in finals]) for name in finals[0]}
            if self._is_batch
            else finals[0]
        )
