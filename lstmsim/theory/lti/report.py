"""The report on a network's error as a linear system."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from lstmsim.base import Report, Row, TableData, numbers, words


@dataclass(frozen=True)
class Linearity(Report):
    """Bounds of a network's error as a linear system; ``str(report)`` is a table.

    Parameters
    ----------
    nonlinear, rounding, gates, weights, rest : tuple of float
        Bounds of the error of each output: by tanh(tanh x) ≠ x, by rounding, by gates that are
        not quite 0 or 1, by weights that are not quite the system's, and by the output without
        input: from biases and initial states.
    peak : tuple of float
        The largest magnitude that each output of the linear system can reach.
    offset : tuple of float
        The limit of each output without input, from the biases.
    deviations : dict of float
        The largest distance of each of the gates i, f, o from 1, 0, 1.
    amplitude : float
        The largest argument of tanh: 0.1 is linear to 0.7 %.
    input_range : tuple of float
        The largest |u| of every input.
    dtype : str
        The precision.
    """

    nonlinear: tuple[float, ...]
    rounding: tuple[float, ...]
    gates: tuple[float, ...]
    weights: tuple[float, ...]
    rest: tuple[float, ...]
    peak: tuple[float, ...]
    offset: tuple[float, ...]
    deviations: dict[str, float]
    amplitude: float
    input_range: tuple[float, ...]
    dtype: str

    @property
    def bound(self) -> tuple[float, ...]:
        """The sum of the bounds, an output each."""
        parts = (self.nonlinear, self.rounding, self.gates, self.weights, self.rest)
        return tuple(map(sum, zip(*parts, strict=True)))

    @property
    def relative(self) -> float:
        """The largest bound, relative to the largest output that the linear system can reach."""
        peak = max(self.peak)
        return max(self.bound) / peak if 0 < peak < math.inf else math.inf

    @property
    def title(self) -> str:
        """The heading of the report."""
        return "linearity"

    @property
    def tables(self) -> tuple[TableData, ...]:
        """The bounds, an output a row."""
        bounds = ("nonlinear", "rounding", "gates", "weights", "rest", "bound", "peak", "offset")
        rows = tuple(
            Row((f"y[{k}]", *(f"{getattr(self, name)[k]:.2e}" for name in bounds)))
            for k in range(len(self.peak))
        )
        return (TableData((*words("output"), *numbers(*bounds)), rows),)

    @property
    def summary(self) -> str:
        """The largest bound, and what it comes from."""
        limits = ", ".join(f"{limit:g}" for limit in self.input_range)
        gates = ", ".join(f"{gate} by {size:.1e}" for gate, size in self.deviations.items())
        return (
            f"Errors of at most this size in {self.dtype}, for |u| ≤ {limits}: "
            f"{self.relative:.1e} of the largest output.\n"
            f"Into tanh goes at most {self.amplitude:.2e}; gates are off {gates}."
        )

    @property
    def content(self) -> dict[str, Any]:
        """All bounds."""
        return asdict(self) | {"bound": self.bound}
