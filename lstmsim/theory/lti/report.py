"""The report on a network's error as a linear system."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from rich import box
from rich.table import Table

from lstmsim.base import as_json, as_text


@dataclass(frozen=True)
class Linearity:
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
    def table(self) -> Table:
        """The bounds as a Rich table, an output a row."""
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 2, 0, 0))
        table.add_column("output")
        parts = ("nonlinear", "rounding", "gates", "weights", "rest", "bound", "peak", "offset")
        for name in parts:
            table.add_column(name, justify="right", no_wrap=True)
        for k in range(len(self.peak)):
            table.add_row(f"y[{k}]", *(f"{getattr(self, name)[k]:.2e}" for name in parts))
        return table

    def __str__(self) -> str:
        limits = ", ".join(f"{limit:g}" for limit in self.input_range)
        gates = ", ".join(f"{gate} by {size:.1e}" for gate, size in self.deviations.items())
        return "\n".join(
            [
                as_text(self.table),
                "",
                f"Errors of at most this size in {self.dtype}, for |u| ≤ {limits}: "
                f"{self.relative:.1e} of the largest output.",
                f"Into tanh goes at most {self.amplitude:.2e}; gates are off {gates}.",
            ]
        )

    def to_json(self) -> str:
        """Return the report as JSON; infinity as null."""
        return as_json(asdict(self) | {"bound": self.bound})
