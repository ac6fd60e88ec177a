"""Definitions of networks: what the layers are, before anything is wired.

Definitions are frozen and validated: arrays are copied to float64 and made read-only, and a
network that exists has shapes that chain, finite numbers and a positive sample time.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from lstmsim.base import (
    FloatArray,
    InvalidTypeError,
    InvalidValueError,
    ShapeError,
    count,
    real_matrix,
    real_vector,
    sample_time,
)

#: The order in which the gates' rows are stacked in W, R and b (MATLAB's and PyTorch's).
GATES = ("i", "f", "g", "o")


def _same_fields(a: object, b: object) -> bool:
    for field in fields(a):  # type: ignore[arg-type]
        x, y = getattr(a, field.name), getattr(b, field.name)
        both_arrays = isinstance(x, np.ndarray) and isinstance(y, np.ndarray)
        if not (np.array_equal(x, y) if both_arrays else x is y or (type(x) is type(y) and x == y)):
            return False
    return True


@dataclass(frozen=True, eq=False, init=False)
class LSTM:
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

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LSTM) and _same_fields(self, other)

    def __repr__(self) -> str:
        name = f"{self.name!r}, " if self.name else ""
        return (
            f"LSTM({name}{count(self.n_units, 'unit')}, {count(self.n_inputs, 'input')}, "
            f"{count(self.n_parameters, 'parameter')})"
        )

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

    @property
    def n_parameters(self) -> int:
        """Number of weights and biases, 4·(N·Ni + N² + N); initial states are not counted."""
        return self.W.size + self.R.size + self.b.size

    def gate(self, gate: str) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return one gate's rows of W, R and b; gate is "i", "f", "g" or "o"."""
        if gate not in GATES:
            raise InvalidValueError(
                "an LSTM has no such gate", given=repr(gate), expected=", ".join(GATES)
            )
        row = GATES.index(gate) * self.n_units
        rows = slice(row, row + self.n_units)
        return self.W[rows], self.R[rows], self.b[rows]


@dataclass(frozen=True, eq=False, init=False)
class Dense:
    """A fully connected layer without states: y = F x + bias.

    Parameters
    ----------
    F : array_like of shape (No, N)
        Gain.
    bias : array_like of shape (No,), optional
        Bias; none if not given.

    Raises
    ------
    ShapeError
        If the bias does not have one element a row of F.
    InvalidTypeError, InvalidValueError
        If an array holds anything but finite real numbers.

    Examples
    --------
    >>> Dense([[1.0, 2.0, 3.0]])
    Dense(1 output, 3 inputs, 3 parameters)
    """

    F: FloatArray
    bias: FloatArray | None

    def __init__(self, F: npt.ArrayLike, bias: npt.ArrayLike | None = None) -> None:
        gain = real_matrix(F, "F", "the dense layer")
        vector = None if bias is None else real_vector(bias, "bias", "the dense layer")
        if vector is not None and len(vector) != len(gain):
            raise ShapeError(
                "the bias does not fit the gain",
                where="the dense layer",
                given=f"bias of shape {vector.shape}, F of shape {gain.shape}",
                expected=f"{count(len(gain), 'element')}, one a row of F",
                mend="F is (No, N), bias (No,)",
            )
        object.__setattr__(self, "F", gain)
        object.__setattr__(self, "bias", vector)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Dense) and _same_fields(self, other)

    def __repr__(self) -> str:
        return (
            f"Dense({count(self.n_outputs, 'output')}, {count(self.n_inputs, 'input')}, "
            f"{count(self.n_parameters, 'parameter')})"
        )

    @property
    def n_inputs(self) -> int:
        """Width of the input."""
        return int(self.F.shape[1])

    @property
    def n_outputs(self) -> int:
        """Width No of the output."""
        return int(self.F.shape[0])

    @property
    def n_parameters(self) -> int:
        """Number of weights and biases."""
        return self.F.size + (0 if self.bias is None else self.bias.size)


@dataclass(frozen=True, eq=False, init=False)
class Network:
    """Recurrent layers in series, with an optional dense head.

    Parameters
    ----------
    layers : iterable of LSTM and Dense
        One or more LSTM layers; a Dense layer may come last.
    Ts : float, optional
        Sample time in seconds.

    Attributes
    ----------
    layers : tuple
        All layers; in a network with several recurrent layers each has a name.
    recurrent : tuple of LSTM
        The recurrent ones.
    head : Dense or None
        The last layer, if it is dense.

    Raises
    ------
    ShapeError
        If a layer's input is not as wide as the output before it.
    InvalidTypeError, InvalidValueError
        If a layer is of another kind or in the wrong place, two names are the same, or Ts ≤ 0.

    Examples
    --------
    >>> import numpy as np
    >>> layer = LSTM(np.ones((12, 4)), np.ones((12, 3)), np.zeros(12))
    >>> Network([layer, Dense(np.ones((2, 3)))], Ts=0.1)
    Network(4 inputs -> LSTM(3 units) -> Dense(2 outputs), Ts=0.1 s, 102 parameters)
    """

    layers: tuple[LSTM | Dense, ...]
    Ts: float

    def __init__(self, layers: Iterable[LSTM | Dense], Ts: float = 1.0) -> None:
        given = tuple(layers) if isinstance(layers, Iterable) else (layers,)
        for position, layer in enumerate(given, start=1):
            if not isinstance(layer, LSTM | Dense):
                raise InvalidTypeError(
                    "a network is made of LSTM and Dense layers",
                    where=f"layer {position} of {len(given)}",
                    given=repr(layer),
                    expected="LSTM(...) or Dense(...)",
                    mend="for example Network([LSTM(W, R, b), Dense(F)], Ts=0.1)",
                )
        kinds = [type(layer).__name__ for layer in given]
        if not given or Dense in map(type, given[:-1]) or given[0].__class__ is Dense:
            raise InvalidValueError(
                "the layers are not in an order that is supported",
                where="Network",
                given=", ".join(kinds) or "no layers",
                expected="one or more LSTM layers, then at most one Dense layer",
                mend="put the Dense layer last, after at least one LSTM layer",
            )
        for before, after in itertools.pairwise(given):
            if before.n_outputs != after.n_inputs:
                raise ShapeError(
                    "the layers' shapes do not chain",
                    where="Network",
                    given=f"{before!r} before {after!r}",
                    expected=f"a layer with {count(before.n_outputs, 'input')} after one with "
                    f"{count(before.n_outputs, 'output')}",
                    mend="the columns of W (or F) are the width of the layer before",
                )
        object.__setattr__(self, "layers", _with_names(given))
        object.__setattr__(self, "Ts", sample_time(Ts, "Network"))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Network) and _same_fields(self, other)

    def __repr__(self) -> str:
        chain = [count(self.n_inputs, "input")]
        for layer in self.layers:
            kind = "unit" if isinstance(layer, LSTM) else "output"
            chain.append(f"{type(layer).__name__}({count(layer.n_outputs, kind)})")
        return (
            f"Network({' -> '.join(chain)}, Ts={self.Ts:g} s, "
            f"{count(self.n_parameters, 'parameter')})"
        )

    @property
    def recurrent(self) -> tuple[LSTM, ...]:
        """The recurrent layers, in series."""
        return tuple(layer for layer in self.layers if isinstance(layer, LSTM))

    @property
    def head(self) -> Dense | None:
        """The dense layer at the end, if there is one."""
        last = self.layers[-1]
        return last if isinstance(last, Dense) else None

    @property
    def n_inputs(self) -> int:
        """Width Ni of the network's input."""
        return self.layers[0].n_inputs

    @property
    def n_outputs(self) -> int:
        """Width No of the network's output."""
        return self.layers[-1].n_outputs

    @property
    def n_parameters(self) -> int:
        """Number of weights and biases of all layers; initial states are not counted."""
        return sum(layer.n_parameters for layer in self.layers)


def check_layer_name(name: str) -> None:
    """Refuse a layer name that cannot be the prefix of signal names."""
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise InvalidValueError(
            "the layer's name cannot be a prefix of signal names",
            where="LSTM",
            given=f"name={name!r}",
            expected="letters, digits and underscores, not starting with a digit",
            mend='for example name="encoder"',
        )


def _with_names(layers: tuple[LSTM | Dense, ...]) -> tuple[LSTM | Dense, ...]:
    recurrent = [layer for layer in layers if isinstance(layer, LSTM)]
    if len(recurrent) == 1:
        return layers
    named: list[LSTM | Dense] = []
    for position, layer in enumerate(layers, start=1):
        if isinstance(layer, LSTM) and not layer.name:
            layer = LSTM(
                layer.W, layer.R, layer.b, h0=layer.h0, c0=layer.c0, name=f"lstm{position}"
            )
        named.append(layer)
    names = [layer.name for layer in named if isinstance(layer, LSTM)]
    if len(set(names)) < len(names):
        raise InvalidValueError(
            "two layers have the same name",
            where="Network",
            given=", ".join(names),
            expected="a name of its own for each recurrent layer",
            mend="leave the names out, or make them differ",
        )
    return tuple(named)
