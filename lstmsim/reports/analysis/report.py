"""What an analysis found, part by part, and why a part was left out."""

from __future__ import annotations

import io
import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lstmsim.dynamics import FixedPoints, LoopReport, LyapunovSpectrum
from lstmsim.theory import StabilityReport

#: Matrices of more states are not in the JSON.
_STATES = 50
#: The parts, in the report's order.
NAMES = (
    "run",
    "feedback loops",
    "linearization",
    "fixed points",
    "loop gains",
    "gradient flow",
    "Lyapunov exponents",
    "stability",
)


@dataclass(frozen=True)
class Part:
    """One part of an analysis.

    Parameters
    ----------
    name : str
        One of `NAMES`.
    found : str
        The key numbers, in a line; empty if the part was skipped.
    note : str
        Why it was skipped, or what bounds it; empty if there is nothing to say.
    """

    name: str
    found: str
    note: str = ""

    @property
    def skipped(self) -> bool:
        """Whether there is no result."""
        return not self.found


@dataclass(frozen=True, eq=False)
class Analysis:
    """The result of `analyze`; ``str(report)`` is a table that a person reads.

    Parameters
    ----------
    parts : tuple of Part
        What was found in a line each, and why what is None below was skipped.
    traces : Dataset or None
        The run.
    loops : LoopReport or None
        The feedback loops.
    linearization : Dataset or None
        A, B, C and D along the run.
    fixed_points : FixedPoints or None
        The fixed points at the constant input.
    gains, flow : Dataset or None
        Loop gains and gradient flow along the same samples.
    lyapunov : LyapunovSpectrum or None
        The Lyapunov exponents.
    stability : StabilityReport or None
        The certificates.
    """

    parts: tuple[Part, ...]
    traces: xr.Dataset | None
    loops: LoopReport | None
    linearization: xr.Dataset | None
    fixed_points: FixedPoints | None
    gains: xr.Dataset | None
    flow: xr.Dataset | None
    lyapunov: LyapunovSpectrum | None
    stability: StabilityReport | None

    def __getitem__(self, name: str) -> Part:
        """Return a part by its name."""
        return next(part for part in self.parts if part.name == name)

    @property
    def poles(self) -> Any:
        """The eigenvalues of A at the last sample, the largest first; None without one."""
        return None if self.linearization is None else poles(self.linearization)

    @property
    def table(self) -> Table:
        """What was found, as a Rich table; what was skipped, and why."""
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True, style="bold")
        table.add_column()
        for part in self.parts:
            if part.skipped:
                table.add_row(escape(part.name), f"[yellow]skipped:[/yellow] {escape(part.note)}")
                continue
            table.add_row(escape(part.name), escape(part.found))
            if part.note:
                table.add_row("", f"[yellow]note:[/yellow] {escape(part.note)}")
        return table

    def __repr__(self) -> str:
        skipped = [part.name for part in self.parts if part.skipped]
        without = f", without {', '.join(skipped)}" if skipped else ""
        return f"<Analysis: {len(self.parts) - len(skipped)} parts{without}>"

    def __str__(self) -> str:
        return text_of(self.table)

    def to_json(self) -> str:
        """Return the numbers as JSON: of matrices those of the last sample, if they are small.

        −∞, ∞ and NaN are null; an eigenvalue is a pair of its real and imaginary part.
        """
        return json.dumps(plain(self._content()), indent=2, allow_nan=False)

    def _content(self) -> dict[str, Any]:
        reports = {
            "feedback loops": self.loops,
            "fixed points": self.fixed_points,
            "Lyapunov exponents": self.lyapunov,
            "stability": self.stability,
        }
        content: dict[str, Any] = {
            "parts": [
                {"name": p.name, "skipped": p.skipped, "found": p.found, "note": p.note}
                for p in self.parts
            ]
        }
        for name, report in reports.items():
            content[name] = None if report is None else json.loads(report.to_json())
        content["run"] = None if self.traces is None else _run(self.traces)
        content["linearization"] = (
            None if self.linearization is None else _linearization(self.linearization)
        )
        for name, data in (("loop gains", self.gains), ("gradient flow", self.flow)):
            content[name] = None if data is None else _along(data)
        return content


def poles(linearization: xr.Dataset, sample: int = -1) -> Any:
    """Return the eigenvalues of A at a sample, the largest in magnitude first."""
    values = np.linalg.eigvals(linearization.A.values[sample]).astype(complex)
    return values[np.argsort(-np.abs(values), kind="stable")]


def text_of(renderable: Any, width: int = 100) -> str:
    """Return a Rich table as plain text."""
    console = Console(file=io.StringIO(), width=width, color_system=None, highlight=False)
    console.print(renderable)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in text.rstrip().splitlines())


def plain(value: Any) -> Any:
    """Return arrays, datasets' numbers and tuples as what JSON has."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        if np.iscomplexobj(value):
            return plain(np.stack([value.real, value.imag], axis=-1))
        return plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _run(traces: xr.Dataset) -> dict[str, Any]:
    return {
        "samples": traces.sizes["time"],
        "Ts": float(traces.attrs["Ts"]),
        "engine": str(traces.attrs["engine"]),
    }


def _linearization(data: xr.Dataset) -> dict[str, Any]:
    last = data.isel(time=-1)
    names = {
        name: [str(label) for label in data[name].values] for name in ("state", "input", "output")
    }
    matrices = ("A", "B", "C", "D") if data.sizes["state"] <= _STATES else ()
    point = {name: last[name].values for name in (*matrices, "x", "u", "y")}
    return {
        **names,
        "samples": data.sizes["time"],
        "nonsmooth": data.attrs["nonsmooth"],
        "last sample": {"time": float(last.time), **point, "poles": poles(data)},
    }


def _along(data: xr.Dataset) -> dict[str, Any]:
    """Return what has one number a sample."""
    known = ["loop_norm", "loop_radius", "spectral_radius", "log_norm", "log_norm_own"]
    known += ["total", "direct"]
    content: dict[str, Any] = {"time": data.time.values}
    for name in known:
        if name in data and "delay" in data[name].dims:
            content[name] = {str(d): data[name].sel(delay=d).values for d in data.delay.values}
        elif name in data:
            content[name] = data[name].values
    return content
