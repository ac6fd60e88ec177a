"""The LSTM layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from lstmsim.base import FloatArray, InvalidValueError, ShapeError, real_matrix, real_vector
from lstmsim.networks.layer import Layer, check_layer_name

#: The order in which the gates' rows are stacked in W, R and b (MATLAB's and PyTorch's).
GATES = ("i", "f", "g", "o")


@dataclass(frozen=True, eq=False, init=False, repr=False)
class LSTM(Layer):
    """An LSTM layer: i = σ(W_i u + R_i h⁻ + b_i), …, c = f⊙c⁻ + i⊙g, h = o⊙tanh(c).

    Parameters
    ----------
    W : array_like of shape (4N, Ni)
        Input weights; gate rows are stacked in the order i, f, g, o.
    R : array_like of shape (4N, N)
        Recurrent weights, stacked alike.
    b : array_like of shape (4N,)
        Biases, stacked alike.
    h0, c0 : array_like of shape (N,), optional
        Hidden and cell state before the first sample; zero if not given.
    name : str, optional
        The layer's name, a prefix of its signals in a network with several layers.  `Network`
        names unnamed layers lstm1, lstm2, … there.

    Raises
    ------
    ShapeError
        If the arrays do not fit one another, or the rows are not divisible by 4.
    InvalidTypeError, InvalidValueError
        If an array holds anything but finite real numbers, or the name cannot be a name.

    Examples
    --------
    >>> import numpy as np
    >>> LSTM(np.ones((12, 4)), np.ones((12, 3)), np.zeros(12))
    LSTM(3 units, 4 inputs, 96 parameters)

    References
    ----------
    S. Hochreiter and J. Schmidhuber, Neural Computation 9(8), 1997; F. Gers, J. Schmidhuber
    and F. Cummins, Neural Computation 12(10), 2000.
    """

    workspace_names: ClassVar[Mapping[str, str]] = {n: n for n in ("W", "R", "b", "h0", "c0")}
    initial_states: ClassVar[Mapping[str, str]] = {"h0": "h", "c0": "c"}
    output_element: ClassVar[str] = "unit"

    W: FloatArray
    R: FloatArray
    b: FloatArray
    h0: FloatArray
    c0: FloatArray
    name: str

    def __init__(
        self,
        W: npt.ArrayLike,
        R: npt.ArrayLike,
        b: npt.ArrayLike,
        *,
        h0: npt.ArrayLike | None = None,
        c0: npt.ArrayLike | None = None,
        name: str = "",
    ) -> None:
        if name != "":
            check_layer_name(name)
        where = f"layer {name}" if name else "an LSTM layer"
        w, r = real_matrix(W, "W", where), real_matrix(R, "R", where)
        units = r.shape[1]
        if r.shape[0] % 4 or w.shape[0] % 4:
            culprit, array = ("R", r) if r.shape[0] % 4 else ("W", w)
            raise ShapeError(
                f"the gate rows of {culprit} cannot be split into four gates",
                where=where,
                given=f"{culprit} of shape {array.shape}",
                expected="a number of rows that is divisible by 4",
                mend="stack the rows of the gates in the order i, f, g, o",
            )
        values = {
            "W": w,
            "R": r,
            "b": real_vector(b, "b", where),
            "h0": real_vector(np.zeros(units) if h0 is None else h0, "h0", where),
            "c0": real_vector(np.zeros(units) if c0 is None else c0, "c0", where),
        }
        rows = {"W": 4 * units, "R": 4 * units, "b": 4 * units, "h0": units, "c0": units}
        for key, n in rows.items():
            if values[key].shape[0] != n:
                raise ShapeError(
                    f"{key} does not fit the layer's recurrent weights",
                    where=where,
                    given=f"{key} of shape {values[key].shape}, R of shape {r.shape}",
                    expected=f"{n} rows in {key}: R has {units} columns, so there are "
                    f"{units} units and {4 * units} gate rows",
                    mend="W is (4N, Ni), R (4N, N), b (4N,), h0 and c0 (N,)",
                )
        for key, array in values.items():
            object.__setattr__(self, key, array)
        object.__setattr__(self, "name", name)

    @property
    def n_units(self) -> int:
        """Number of units N."""
        return int(self.R.shape[1])

    @property
    def n_inputs(self) -> int:
        """Width Ni of the input."""
        return int(self.W.shape[1])

    @property
    def n_outputs(self) -> int:
        """Width of the output, which is the hidden state: N."""
        return self.n_units

    def gate(self, gate: str) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return one gate's rows of W, R and b; gate is "i", "f", "g" or "o"."""
        if gate not in GATES:
            raise InvalidValueError(
                "an LSTM has no such gate", given=repr(gate), expected=", ".join(GATES)
            )
        row = GATES.index(gate) * self.n_units
        rows = slice(row, row + self.n_units)
        return self.W[rows], self.R[rows], self.b[rows]
