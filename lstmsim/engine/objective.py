"""A loss as a function of one flat vector of all parameters: what an optimizer calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lstmsim.engine import interpreter
from lstmsim.engine.backward import backward
from lstmsim.engine.compiled import Compiled
from lstmsim.engine.graph import parameters
from lstmsim.engine.packing import Packed, overwrite
from lstmsim.engine.program import Run

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
        self.graph, self.schedule, self.dtype = compiled.graph, compiled.schedule, compiled.dtype
        self._program = compiled._program
        self._factor = {"mse": 1.0, "half_mse": 0.5}[loss]
        found = parameters(compiled.diagram.blocklist)
        self.layout: dict[tuple[str, str], Place] = {}
        size = 0
        for block, arrays in found.items():
            for name, value in arrays.items():
                place = Place(slice(size, size + np.size(value)), np.shape(value))
                self.layout[block, name] = place
                size = place.slice.stop
        self._initial = np.empty(size, self.dtype)
        for (block, name), place in self.layout.items():
            self._initial[place.slice] = np.ravel(found[block][name])
        self._gradient = np.empty(size, self.dtype)
        self._packed: Packed | None = None
        self._run: Run | None = None
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
        with np.errstate(all="ignore"):  # what is not finite is the caller's to see
            return self._evaluated(values, state, True), self._gradient

    def loss(self, values: Array, state: States | None = None) -> float:
        """Return the loss alone; the arguments are those of a call."""
        with np.errstate(all="ignore"):
            return self._evaluated(values, state, False)

    def _evaluated(self, values: Array, state: States | None, differentiate: bool) -> float:
        arrays: dict[str, dict[str, Array]] = {}
        for (block, name), place in self.layout.items():
            arrays.setdefault(block, {})[name] = values[place.slice].reshape(place.shape)
        first = {node.block: arrays[node.block]["x0"] for node in self.graph.delays.values()}
        first |= dict(state or {})
        if differentiate:
            self._gradient[...] = 0
        scale = self.dtype.type(2 * self._factor / self._target.size)
        total, finals = 0.0, []
        for k, target in enumerate(self._target):
            inputs = {name: v[k] for name, v in self._inputs.items()}
            signals, run = self._forward(arrays, inputs, first, len(target))
            outputs = [signals[name] for name in self.graph.outputs]
            error = np.concatenate(outputs, axis=-1) - target
            total += float(np.sum(np.square(error, dtype=np.float64)))
            finals.append(
                {n.block: np.array(signals[n.inputs[0]][-1]) for n in self.graph.delays.values()}
            )
            if differentiate:
                self._add_gradient(arrays, signals, run, error * scale, dict(state or {}))
        self.final_states = (
            {name: np.stack([f[name] for f in finals]) for name in finals[0]}
            if self._is_batch
            else finals[0]
        )
        return self._factor * total / self._target.size

    def _forward(
        self,
        arrays: dict[str, dict[str, Array]],
        inputs: dict[str, Array],
        states: dict[str, Array],
        samples: int,
    ) -> tuple[interpreter.Signals, Run | None]:
        """Return the signals that are needed, and the run that has the others."""
        if self._program is None:
            signals = interpreter.forward(
                self.schedule, arrays, inputs, states, (samples,), self.dtype
            )
            return signals, None
        new = self._program.pack(arrays)
        if self._packed is None or self._run is None:
            self._packed = new
            self._run = self._program.forward(new, inputs, states, samples, True)
        else:
            overwrite(self._packed, new)
            for name, value in inputs.items():
                self._run.homes[name].flat.reshape(value.shape)[...] = value
            self._run.renew(self._packed)
            for block, place in self._run.states.items():
                place[:] = states[block]
            self._run.again()
        needed = dict.fromkeys(self.graph.outputs)
        needed |= dict.fromkeys(node.inputs[0] for node in self.graph.delays.values())
        return {name: self._run.signal(name) for name in needed}, self._run

    def _add_gradient(
        self,
        arrays: dict[str, dict[str, Array]],
        signals: interpreter.Signals,
        run: Run | None,
        bar: Array,
        given: dict[str, Array],
    ) -> None:
        cotangents, at = {}, 0
        for name in self.graph.outputs:
            width = signals[name].shape[-1]
            cotangents[name] = bar[:, at : at + width]
            at += width
        if run is None:
            found = interpreter.backward(self.graph, self.schedule, arrays, signals, cotangents)[1]
        else:
            assert self._program is not None
            assert self._packed is not None
            found = backward(self._program, self._packed, run, cotangents, False).arrays
        for (block, name), place in self.layout.items():
            part = found.get(block, {}).get(name)
            if part is not None and not (name == "x0" and block in given):
                self._gradient[place.slice] += np.ravel(part)
