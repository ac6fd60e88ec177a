"""What goes wrong, and how it is said.

Every error of this package says what was given, what was expected, where, and how to
mend it.  The wording is made in one place, `LstmsimError`; the kinds below it also inherit
the built-in exception that a caller would catch.

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
"""

from __future__ import annotations

import math
from collections.abc import Iterable


class LstmsimError(Exception):
    """The root of all errors of this package.

    Parameters
    ----------
    problem : str
        What is wrong, in one line.
    where : str, optional
        The block, port, layer, file or option concerned.
    given, expected : str, optional
        What was found, and what would have been right.
    mend : str, optional
        What the user can do.
    """

    def __init__(
        self,
        problem: str,
        *,
        where: str | None = None,
        given: str | None = None,
        expected: str | None = None,
        mend: str | None = None,
    ) -> None:
        parts = (("where", where), ("given", given), ("expected", expected), ("to mend", mend))
        lines = [f"  {label + ':':<9} {text}" for label, text in parts if text is not None]
        super().__init__("\n".join([problem, *lines]))


class InvalidValueError(LstmsimError, ValueError):
    """A value outside its range: NaN, Inf, Ts ≤ 0, an empty array."""


class ShapeError(InvalidValueError):
    """An array, or a signal, of the wrong shape."""


class InvalidTypeError(LstmsimError, TypeError):
    """A value of the wrong kind: text or complex numbers where real ones are needed."""


class DiagramError(LstmsimError, ValueError):
    """A diagram that cannot run: open ports, wrong widths, names that clash."""


class AlgebraicLoopError(DiagramError):
    """A feedback loop without a delay in it."""


class NonFiniteSignalError(LstmsimError, ArithmeticError):
    """A signal that became NaN or infinite during a run."""

    @classmethod
    def at(cls, where: str, sample: int, values: Iterable[float]) -> NonFiniteSignalError:
        """Return the error for a signal's values at the first bad sample."""
        bad = [str(value) for value in values if not math.isfinite(value)]
        return cls(
            "a signal is not finite any more",
            where=f"{where}, sample {sample}",
            given=", ".join(bad[:3]),
            expected="finite numbers",
            mend="look at the gains in the loop: the signal grew beyond the largest number; "
            "a smaller input or smaller weights keep it finite",
        )


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
