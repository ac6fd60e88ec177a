"""FROMWORKSPACE: the samples of an array."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from bdsim.components import Clock, SampledBlock

from lstmsim.base import FloatArray, InvalidValueError, ShapeError, sample_rows, whole_number
from lstmsim.blocks._signals import checked_clock, label, place


class FromWorkspace(SampledBlock):
    """Sampled source: y(k) = values[k], sample k of an array.

    The sample index is the block's state, so that it advances exactly when the delays on the
    same clock do.  (bdsim evaluates a diagram once before the first tick of its clocks; a
    source that is a function of time would feed its first sample to that evaluation alone.)

    Parameters
    ----------
    clock : Clock
        The clock that makes the samples, ``bd.clock(Ts)``.
    values : array_like of shape (T, width) or (T,), optional
        The samples; a vector is a signal of width 1.  Without them the source is unbound:
        `lstmsim.simulate` binds it to its input for a run.
    width : int, optional
        The width of an unbound source, 1 if not given.

    Raises
    ------
    ShapeError
        If `values` is empty or has more than two dimensions, or `width` is not its width.
    InvalidTypeError, InvalidValueError
        If there is no clock, `width` is not a whole number ≥ 1, or `values` holds anything but
        finite real numbers; at run, if there are no values, or the run is longer than they are.
    """

    nin = 0
    nout = 1

    def __init__(
        self,
        clock: Clock,
        values: npt.ArrayLike | None = None,
        width: int | None = None,
        **blockargs: Any,
    ) -> None:
        """Make a sampled source.

        :param clock: the clock that makes the samples, defaults to =clock
        :type clock: Clock
        :param values: the samples, one row a sample, defaults to =u
        :type values: array_like, optional
        :param width: width of the signal while it has no values, defaults to None
        :type width: int, optional
        :param blockargs: bdsim's common block options
        :type blockargs: dict
        """
        where = label("FROMWORKSPACE", blockargs)
        if width is not None:
            width = whole_number(width, "width", where, 1, floats=True)
        super().__init__(clock=checked_clock(clock, where), ndstates=1, **blockargs)
        self.values = values
        if self._values is not None and width not in (None, self._values.shape[1]):
            raise ShapeError(
                "the width is not that of the values",
                where=where,
                given=f"width={width}, values of shape {self._values.shape}",
                expected=f"width={self._values.shape[1]}, or none: values have their own",
            )
        self.width = width
        #: The samples of the run that is going on, in place of its own.
        self.bound: FloatArray | None = None
        #: Called with the number of samples done after each one; for progress displays.
        self.on_sample: Callable[[int], None] | None = None

    @property
    def values(self) -> FloatArray | None:
        """The samples, shape (T, width), or None while the source is unbound."""
        return self._values

    @values.setter
    def values(self, values: npt.ArrayLike | None) -> None:
        self._values = None if values is None else sample_rows(values, "values", place(self))

    def output(
        self, t: float, u: list[Any], x: npt.NDArray[np.float64]
    ) -> list[npt.NDArray[np.float64]]:
        """Return the sample at the index that is the state."""
        values = self._values if self.bound is None else self.bound
        if values is None:
            return [np.zeros(self.width or 1)]
        k = int(x[0])
        if k >= len(values):
            raise InvalidValueError(
                "the source has no more samples",
                where=place(self),
                block=self.name,
                given=f"{len(values)} samples, asked for sample {k}",
                expected="a run of no more samples than the source has",
                mend=f"run for at most {len(values)} · Ts = {len(values) * self.T:g} s",
            )
        return [values[k]]

    def next(self, t: float, u: list[Any], x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Advance the index."""
        if self.on_sample is not None:
            self.on_sample(int(x[0]) + 1)
        return x + 1.0

    def start(self, simstate: Any) -> None:
        """Refuse to run unbound."""
        if self.values is None and self.bound is None:
            raise InvalidValueError(
                "the source has no values",
                where=place(self),
                block=self.name,
                given="no input",
                expected="an array of shape (T, width)",
                mend="pass u to lstmsim.simulate(diagram, u), put u into the workspace, or set "
                "the block's values",
            )
