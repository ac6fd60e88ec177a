"""What a search for fixed points found, and how hard it searched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lstmsim.base import Report, Row, TableData, count, numbers, texts, words
from lstmsim.dynamics.linearization.step import Array

#: Rows and numbers of the table; what is beyond them is counted.
_ROWS, _NUMBERS = 20, 4
_EIGENVALUES = 3
#: An eigenvalue this close to 1 is 1, but for rounding.
_ONE = 1e-6


@dataclass(frozen=True, eq=False)
class FixedPoint:
    """One fixed point.

    Parameters
    ----------
    states : mapping of ndarray of shape (width,)
        What the delays hold, by name.
    residual : float
        The largest |F(x) − x| / max(1, |x|) of the elements.
    eigenvalues : ndarray of complex or float
        Of the linearization A there, the largest in magnitude first.
    spectral_radius : float
        The magnitude of the first.
    stability : str
        "stable" if all magnitudes are below 1, "unstable" if one is above, else "marginal": the
        linearization does not tell.
    nonsmooth : tuple of str
        Blocks whose slope jumps there, so that the eigenvalues hold on one side only.
    """

    states: Mapping[str, Array]
    residual: float
    eigenvalues: Array
    spectral_radius: float
    stability: str
    nonsmooth: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class FixedPoints(Report):
    """The fixed points that a search found; ``str(report)`` is a table that a person reads.

    Parameters
    ----------
    points : tuple of FixedPoint
        In the order of their states.
    u : mapping of ndarray
        The constant input, by source.
    starts : int
        From how many states the search started, and
    converged : int
        how many of them ended at a fixed point.
    iterations : int
        The most steps of Newton's method that a start took.
    smallest_residual : float
        The smallest scaled residual of all starts.
    """

    points: tuple[FixedPoint, ...]
    u: Mapping[str, Array]
    starts: int
    converged: int
    iterations: int
    smallest_residual: float

    def __iter__(self) -> Iterator[FixedPoint]:
        return iter(self.points)

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, number: int) -> FixedPoint:
        return self.points[number]

    @property
    def continuous(self) -> bool:
        """Whether they look like points of a line or a surface: each has an eigenvalue of 1."""
        return len(self.points) > 2 and all(
            float(np.abs(p.eigenvalues - 1).min()) < _ONE for p in self.points
        )

    @property
    def summary(self) -> str:
        """What was found in a sentence or two."""
        effort = (
            f"Newton's method from {count(self.starts, 'start')}, at most "
            f"{count(self.iterations, 'step')} each"
        )
        if not self.points:
            return (
                f"No fixed point was found: {effort}; the smallest residual, relative to "
                f"max(1, |x|), is {self.smallest_residual:.2g}. That does not show that there is "
                "none."
            )
        kinds = [p.stability for p in self.points]
        parts = [f"{kinds.count(k)} {k}" for k in ("stable", "unstable", "marginal") if k in kinds]
        lines = [
            f"{count(len(self.points), 'fixed point')}: {', '.join(parts)}. {effort}; "
            f"{self.converged} of them ended at a fixed point."
        ]
        if self.continuous:
            lines.append("All have an eigenvalue of 1: they may be points of a line or a surface.")
        if any(p.nonsmooth for p in self.points):
            lines.append("*: a block's slope jumps there; the eigenvalues hold on one side only.")
        return "\n".join(lines)

    @property
    def title(self) -> str:
        """What it is about."""
        return "fixed points"

    @property
    def tables(self) -> tuple[TableData, ...]:
        """Stability, eigenvalues, residual and states of each."""
        rows = [
            (
                str(number),
                point.stability + "*" * bool(point.nonsmooth),
                f"{point.spectral_radius:.5g}",
                _numbers(point.eigenvalues, _EIGENVALUES, "\n"),
                f"{point.residual:.1e}",
                "\n".join(f"{n}: {_numbers(v)}" for n, v in point.states.items()),
            )
            for number, point in enumerate(self.points[:_ROWS])
        ]
        if len(self.points) > _ROWS:
            rows.append(("", f"and {len(self.points) - _ROWS} more", "", "", "", ""))
        columns = (
            *numbers(""),
            *words("stability"),
            *numbers("max |λ|"),
            *words("eigenvalues"),
            *numbers("residual"),
            *texts("states"),
        )
        return (TableData(columns, tuple(map(Row, rows))),)

    def __repr__(self) -> str:
        return f"<FixedPoints: {self.summary}>"

    @property
    def content(self) -> dict[str, Any]:
        """All numbers; an eigenvalue is a pair of its real and imaginary part."""
        return {
            "points": [
                vars(p) | {"eigenvalues": np.asarray(p.eigenvalues, complex)} for p in self.points
            ],
            "u": self.u,
            "starts": self.starts,
            "converged": self.converged,
            "iterations": self.iterations,
            "smallest_residual": self.smallest_residual,
            "summary": self.summary,
        }


def sorted_eigenvalues(A: Array) -> Array:
    """Return the eigenvalues of a matrix, the largest in magnitude first."""
    values = np.linalg.eigvals(A)
    return values[np.argsort(-np.abs(values), kind="stable")]


def _numbers(values: Array, most: int = _NUMBERS, between: str = ", ") -> str:
    """Return the first numbers of a vector; a pair of conjugates as one."""
    shown: list[str] = []
    # What is zero but for rounding is shown as zero.
    left = list(np.where(np.abs(values) < 1e-12 * np.abs(values).max(initial=0), 0, values))
    while left and len(shown) < most:
        value = complex(left.pop(0))
        if value.imag == 0:
            shown.append(f"{value.real:.4g}")
        elif left and complex(left[0]) == value.conjugate():
            left.pop(0)
            shown.append(f"{value.real:.4g} ± {abs(value.imag):.4g}i")
        else:
            shown.append(
                f"{value.real:.4g} {'+' if value.imag > 0 else '-'} {abs(value.imag):.4g}i"
            )
    return between.join(shown) + (" …" if left else "")
