"""Networks: what the layers are, before anything is wired.

Definitions are frozen and validated: arrays are copied to float64 and made read-only, and a
network that exists has shapes that chain, finite numbers and a positive sample time.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lstmsim.base import (
    FloatArray,
    InvalidTypeError,
    InvalidValueError,
    ShapeError,
    check_names,
    count,
    sample_time,
)
from lstmsim.networks.dense import Dense
from lstmsim.networks.layer import same_fields
from lstmsim.networks.lstm import LSTM

#: Any recurrent layer; a further kind is one more here and in the table.
Recurrent = LSTM
#: The kinds of recurrent layers, by the names that workspaces have for them.
KINDS: dict[str, type[Recurrent]] = {"LSTM": LSTM}
#: The kind of a workspace that does not say.
DEFAULT_KIND = "LSTM"


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

    layers: tuple[Recurrent | Dense, ...]
    Ts: float

    def __init__(self, layers: Iterable[Recurrent | Dense], Ts: float = 1.0) -> None:
        given = tuple(layers) if isinstance(layers, Iterable) else (layers,)
        for position, layer in enumerate(given, start=1):
            if not isinstance(layer, Recurrent | Dense):
                raise InvalidTypeError(
                    f"a network is made of {', '.join(KINDS)} and Dense layers",
                    where=f"layer {position} of {len(given)}",
                    given=repr(layer),
                    expected=f"{'(...), '.join(KINDS)}(...) or Dense(...)",
                    mend="for example Network([LSTM(W, R, b), Dense(F)], Ts=0.1)",
                )
        kinds = [type(layer).__name__ for layer in given]
        if not given or any(isinstance(x, Dense) for x in (given[0], *given[:-1])):
            raise InvalidValueError(
                "the layers are not in an order that is supported",
                where="Network",
                given=", ".join(kinds) or "no layers",
                expected=f"one or more {' or '.join(KINDS)} layers, then at most one Dense layer",
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
        return isinstance(other, Network) and same_fields(self, other)

    def __repr__(self) -> str:
        chain = [count(self.n_inputs, "input")]
        for layer in self.layers:
            width = count(layer.n_outputs, layer.output_element)
            chain.append(f"{type(layer).__name__}({width})")
        return (
            f"Network({' -> '.join(chain)}, Ts={self.Ts:g} s, "
            f"{count(self.n_parameters, 'parameter')})"
        )

    @property
    def recurrent(self) -> tuple[Recurrent, ...]:
        """The recurrent layers, in series."""
        return tuple(layer for layer in self.layers if isinstance(layer, Recurrent))

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

    @property
    def prefixes(self) -> tuple[str, ...]:
        """What the names of each layer's signals begin with: "lstm1." in a stack, else ""."""
        stacked = len(self.recurrent) > 1
        return tuple(f"{layer.name}." if stacked and layer.name else "" for layer in self.layers)

    @property
    def states(self) -> tuple[str, ...]:
        """The names of those `arrays` that are states before the first sample."""
        return tuple(
            name
            for layer, names in self._names()
            for field, name in names.items()
            if field in layer.initial_states
        )

    def arrays(self) -> dict[str, FloatArray]:
        """Return the arrays of all layers, by the names that they have in a workspace.

        Examples
        --------
        >>> import lstmsim as ls
        >>> list(ls.published.layer_example()[0].arrays())
        ['W', 'R', 'b', 'h0', 'c0', 'F']
        """
        return {
            names[field]: array
            for layer, names in self._names()
            for field, array in layer.arrays().items()
        }

    def replace(self, **arrays: npt.ArrayLike) -> Network:
        """Return a network with other arrays; what is not given stays.

        Parameters
        ----------
        **arrays
            New arrays, by the names that they have in a workspace.

        Raises
        ------
        InvalidTypeError, InvalidValueError, ShapeError
            If there is no array of a name, or the new ones do not fit.
        """
        known = {name: field for _, names in self._names() for field, name in names.items()}
        check_names(arrays, known, "array", "Network")
        layers = [
            layer.replace(**{f: arrays[name] for f, name in names.items() if name in arrays})
            for layer, names in self._names()
        ]
        return Network(layers, Ts=self.Ts)

    def workspace(self) -> dict[str, npt.NDArray[Any]]:
        """Return the workspace that makes this network: its arrays, Ts, and the layers' kinds.

        Examples
        --------
        >>> import lstmsim as ls
        >>> network, u = ls.published.layer_example()
        >>> ls.network_from_workspace(network.workspace()) == network
        True
        """
        kinds = {
            f"kind{suffix}": np.array(type(layer).__name__)
            for layer, suffix in zip(self.recurrent, self._suffixes(), strict=False)
            if type(layer).__name__ != DEFAULT_KIND
        }
        return {**self.arrays(), "Ts": np.array(self.Ts), **kinds}

    def _suffixes(self) -> list[str]:
        """Return what the workspace's names of each layer's arrays end in."""
        stacked = len(self.recurrent) > 1
        return [
            str(number) if stacked and isinstance(layer, Recurrent) else ""
            for number, layer in enumerate(self.layers, start=1)
        ]

    def _names(self) -> list[tuple[Recurrent | Dense, dict[str, str]]]:
        """Return every layer, and its arrays' names in a workspace by field."""
        return [
            (layer, {field: name + suffix for field, name in layer.workspace_names.items()})
            for layer, suffix in zip(self.layers, self._suffixes(), strict=True)
        ]


def _with_names(layers: tuple[Recurrent | Dense, ...]) -> tuple[Recurrent | Dense, ...]:
    """Return the layers; where several are recurrent, each of them with a name of its own."""
    if sum(isinstance(layer, Recurrent) for layer in layers) == 1:
        return layers
    named = tuple(
        dataclasses.replace(layer, name=f"{type(layer).__name__.lower()}{position}")
        if isinstance(layer, Recurrent) and not layer.name
        else layer
        for position, layer in enumerate(layers, start=1)
    )
    names = [layer.name for layer in named if isinstance(layer, Recurrent)]
    if len(set(names)) < len(names):
        raise InvalidValueError(
            "two layers have the same name",
            where="Network",
            given=", ".join(names),
            expected="a name of its own for each recurrent layer",
            mend="leave the names out, or make them differ",
        )
    return named
