"""A loss as a function of one flat vector of all parameters: what an optimizer calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from lstmsim.base import Array
from lstmsim.engine.engines import side_by_side
from lstmsim.engine.gradients import differentiate, total
from lstmsim.engine.losses import TargetLoss
from lstmsim.engine.threads import map_threads

if TYPE_CHECKING:
    from lstmsim.engine.compiled import Compiled

States = Mapping[str, Array]


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
    layout : dict of Span
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
        self.layout = self._store.layout
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
        batch = {name: np.asarray(v[rows], self.dtype) for name, v in inputs.items()}
        targets = np.asarray(target[rows], self.dtype)
        self._count, self._samples = targets.shape[:2]
        self._inputs = [{name: v[k] for name, v in batch.items()} for k in range(self._count)]
        self._mean = TargetLoss(targets, self._loss)

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
        self._store.write(values)
        begin = [self._begin(state)] * self._count
        found = differentiate(self._engine, self._inputs, begin, self._samples, self._mean)
        total(found, self._gradient)
        for block in state or ():
            self._gradient[self.layout[block, "x0"].slice] = 0
        self._keep([part.finals for part in found])
        return sum(part.loss for part in found), self._gradient

    def loss(self, values: Array, state: States | None = None) -> float:
        """Return the loss alone; the arguments are those of a call."""
        self._store.write(values)
        begin, names = self._begin(state), self.graph.outputs

        def one(k: int) -> tuple[float, dict[str, Array]]:
            signals, finals = self._engine.run(self._inputs[k], begin, self._samples, names)
            y = side_by_side(signals, self.graph)
            with np.errstate(all="ignore"):  # what is not finite is the caller's to see
                return self._mean(k, y, slice(None), np.empty_like(y)), finals

        found = map_threads(one, self._count)
        self._keep([finals for _, finals in found])
        return float(sum(loss for loss, _ in found))

    def _begin(self, state: States | None) -> dict[str, Array] | None:
        """Return the states to begin with, None for the delays' own."""
        return self._store.initial_states | dict(state) if state else None

    def _keep(self, finals: list[dict[str, Array]]) -> None:
        self.final_states = (
            {name: np.stack([own[name] for own in finals]) for name in finals[0]}
            if self._is_batch
            else finals[0]
        )
