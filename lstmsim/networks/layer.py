"""What all kinds of layers have in common: named arrays that never change."""

from __future__ import annotations

import abc
import dataclasses
import re
from collections.abc import Mapping
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from lstmsim.base import FloatArray, InvalidValueError, check_names, count


class Layer(abc.ABC):
    """A kind of layer.

    A kind is a frozen dataclass with a constructor that checks, copies and sets its fields.  It
    names its arrays once, in the class attributes; whoever needs all arrays of whatever layer
    (training, workspaces, the reference) asks for them here.

    Attributes
    ----------
    workspace_names : mapping of str to str
        The fields that are arrays, in order, and the name of each in a workspace; a stack's
        layers have their number after it.
    initial_states : mapping of str to str
        The arrays that are states before the first sample, and the signal whose state each is:
        the delay of signal c is the block c_prev.  A kind without any is not recurrent.
    optional : tuple of str
        The arrays that may be None.
    output_element : str
        What an element of the output is called: "unit" or "output".
    """

    workspace_names: ClassVar[Mapping[str, str]]
    initial_states: ClassVar[Mapping[str, str]] = {}
    optional: ClassVar[tuple[str, ...]] = ()
    output_element: ClassVar[str] = "output"
    #: Prefix of its signals in a network with several recurrent layers.
    name: str = ""

    @property
    @abc.abstractmethod
    def n_inputs(self) -> int:
        """Width of the input."""

    @property
    @abc.abstractmethod
    def n_outputs(self) -> int:
        """Width of the output."""

    @property
    def n_parameters(self) -> int:
        """Number of weights and biases; initial states are not counted."""
        weights = self.arrays().keys() - self.initial_states.keys()
        return sum(int(getattr(self, field).size) for field in weights)

    def arrays(self) -> dict[str, FloatArray]:
        """Return the layer's arrays by field; an optional one that it lacks is left out."""
        values = {field: getattr(self, field) for field in self.workspace_names}
        return {field: array for field, array in values.items() if array is not None}

    def replace(self, **arrays: npt.ArrayLike) -> Self:
        """Return a layer with other arrays; what is not given stays.

        Parameters
        ----------
        **arrays
            New arrays by field.

        Raises
        ------
        InvalidTypeError, InvalidValueError, ShapeError
            If there is no array of a name, or the new ones do not fit.
        """
        check_names(arrays, self.workspace_names, "array", type(self).__name__)
        return dataclasses.replace(self, **arrays)  # type: ignore[type-var]

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and same_fields(self, other)

    def __repr__(self) -> str:
        name = f"{self.name!r}, " if self.name else ""
        return (
            f"{type(self).__name__}({name}{count(self.n_outputs, self.output_element)}, "
            f"{count(self.n_inputs, 'input')}, {count(self.n_parameters, 'parameter')})"
        )


def same_fields(a: object, b: object) -> bool:
    """Whether two definitions of one class have the same fields."""
    for field in dataclasses.fields(a):  # type: ignore[arg-type]
        x, y = getattr(a, field.name), getattr(b, field.name)
        both_arrays = isinstance(x, np.ndarray) and isinstance(y, np.ndarray)
        if not (np.array_equal(x, y) if both_arrays else x is y or (type(x) is type(y) and x == y)):
            return False
    return True


def check_layer_name(name: str) -> None:
    """Refuse a layer name that cannot be the prefix of signal names.

    Raises
    ------
    InvalidValueError
        If it is not made of letters, digits and underscores.
    """
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise InvalidValueError(
            "the layer's name cannot be a prefix of signal names",
            where="LSTM",
            given=f"name={name!r}",
            expected="letters, digits and underscores, not starting with a digit",
            mend='for example name="encoder"',
        )
