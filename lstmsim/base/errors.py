"""What goes wrong, as data and in words.

Every error of this package has what was given, what was expected, where, and how to mend it
as attributes, and the block, the sample and the element where there is one.  Its text is made
from them in one place, `LstmsimError`; the kinds below it also inherit the built-in exception
that a caller would catch.

>>> error = ShapeError(
...     "the gate rows of W cannot be split into four gates",
...     where="layer lstm1",
...     given="W of shape (10, 4)",
...     expected="a number of rows that is divisible by 4",
...     mend="stack the rows of the gates i, f, g, o",
... )
>>> print(error)
the gate rows of W cannot be split into four gates
  where:    layer lstm1
  given:    W of shape (10, 4)
  expected: a number of rows that is divisible by 4
  to mend:  stack the rows of the gates i, f, g, o
>>> error.given
'W of shape (10, 4)'
"""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import numpy.typing as npt


class LstmsimError(Exception):
    """The root of all errors of this package.

    Every parameter is an attribute of the same name; the text is made from them.

    Parameters
    ----------
    problem : str
        The fault, in one line.
    where : str, optional
        The block, port, layer, file or option concerned.
    given, expected : str, optional
        The value or state found, and the right one.
    mend : str, optional
        The action that removes the fault.
    block : str, optional
        The name of the block concerned.
    sample : int, optional
        The number of the sample concerned.
    index : tuple of int, optional
        The index of the array's element concerned.
    """

    def __init__(
        self,
        problem: str,
        *,
        where: str | None = None,
        given: str | None = None,
        expected: str | None = None,
        mend: str | None = None,
        block: str | None = None,
        sample: int | None = None,
        index: tuple[int, ...] | None = None,
    ) -> None:
        # The problem alone: Python copies and pickles an error by calling its class with these
        # arguments, and sets the attributes, which are all else, afterwards.
        super().__init__(problem)
        self.problem, self.where, self.given = problem, where, given
        self.expected, self.mend = expected, mend
        self.block, self.sample, self.index = block, sample, index

    @property
    def location(self) -> str | None:
        """Where it is, with the number of the sample."""
        parts = (self.where, None if self.sample is None else f"sample {self.sample}")
        return ", ".join(part for part in parts if part is not None) or None

    def __str__(self) -> str:
        parts = {
            "where": self.location,
            "given": self.given,
            "expected": self.expected,
            "to mend": self.mend,
        }
        lines = [f"  {label + ':':<9} {text}" for label, text in parts.items() if text is not None]
        return "\n".join([self.problem, *lines])

    def replace(self, **parts: Any) -> Self:
        """Return a copy of the error in which some of its attributes are others."""
        changed = copy.copy(self)
        vars(changed).update(parts)
        return changed


class InvalidValueError(LstmsimError, ValueError):
    """A value outside its range: NaN, Inf, Ts ≤ 0, an empty array."""


class ShapeError(InvalidValueError):
    """An array, or a signal, of the wrong shape."""


class InvalidTypeError(LstmsimError, TypeError):
    """A value of the wrong kind: text or complex numbers where real ones are needed."""


class DiagramError(LstmsimError, ValueError):
    """A diagram that cannot run: open ports, wrong widths, names that clash."""


class CompilationError(DiagramError):
    """A diagram that bdsim can run, and that cannot be lowered to the compiled engines."""


class AlgebraicLoopError(DiagramError):
    """A feedback loop without a delay in it."""


class NonFiniteSignalError(LstmsimError, ArithmeticError):
    """A signal that became NaN or infinite during a run; `values` are those of the sample."""

    values: tuple[float, ...] = ()

    @classmethod
    def at(
        cls, where: str, sample: int, values: npt.ArrayLike, block: str | None = None
    ) -> NonFiniteSignalError:
        """Return the error for a signal's values at the first bad sample."""
        import numpy as np  # here: the command line's help needs the errors, and no NumPy

        found = tuple(np.ravel(values).tolist())
        bad = [str(value) for value in found if not math.isfinite(value)]
        error = cls(
            "a signal is not finite any more",
            where=where,
            given=", ".join(bad[:3]),
            expected="finite numbers",
            mend="look at the gains in the loop: the signal grew beyond the largest number; "
            "a smaller input or smaller weights keep it finite",
            block=block,
            sample=sample,
        )
        error.values = found
        return error


class ModelFileError(LstmsimError, ValueError):
    """A model file that cannot be read as a diagram."""


class ExpressionError(ModelFileError):
    """An expression in a model file that is not allowed, or cannot be evaluated."""


class DataFileError(LstmsimError, ValueError):
    """A workspace, input or trace file that cannot be read."""


class FileAccessError(LstmsimError, OSError):
    """A file that is missing, or that cannot be written."""


class MissingExtraError(LstmsimError, ImportError):
    """An optional part of the package that is not installed."""
