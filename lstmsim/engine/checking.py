"""The checker: traces against traces, signal by signal."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from lstmsim.base import InvalidValueError, Report, Row, TableData, numbers, words
from lstmsim.diagram import ATOL, RTOL, check_is_traces, select, signal_names

if TYPE_CHECKING:
    from bdsim.blockdiagram import BlockDiagram

_ONE_STEP = {
    True: "One step ahead, each sample started from the expected side's states, the diagram "
    "agrees in all signals: it computes the same, and small differences grow over time.",
    False: "One step ahead, each sample started from the expected side's states, the diagram "
    "differs too: it does not compute the same.",
}


@dataclass(frozen=True)
class SignalCheck:
    """How one signal compares.

    Parameters
    ----------
    name : str
        The signal.
    ok : bool
        Whether every element of every sample is within the tolerance.
    max_abs, max_rel : float
        Largest absolute difference, and largest one relative to the expected value.
    max_ulp : float
        Largest difference in units of the last place of the expected value in single precision.
    norm : float
        Largest singular value of the difference, samples by elements: the norm that the
        published example prints.
    sample, element : int or None
        Where it first is out of tolerance.
    problem : str
        Why it could not be compared; empty if it could.
    """

    name: str
    ok: bool
    max_abs: float = math.nan
    max_rel: float = math.nan
    max_ulp: float = math.nan
    norm: float = math.nan
    sample: int | None = None
    element: int | None = None
    problem: str = ""


@dataclass(frozen=True)
class CheckReport(Report):
    """The result of `check`; ``str(report)`` is a table that a person reads.

    Parameters
    ----------
    ok : bool
        Whether all signals are there on both sides and within the tolerance.
    signals : tuple of SignalCheck
        The signals that both sides have.
    missing, unexpected : tuple of str
        Signals that only the expected side has, and that only the traces have.
    atol, rtol : float
        The tolerance |a − b| ≤ atol + rtol·|b|.
    one_step_ok : bool or None
        Whether every sample, started from the expected side's states, is within the
        tolerance; None if that was not looked at.
    growth : float or None
        The factor a sample by which the difference grows, if it grows exponentially.
    title : str
        The table's heading.
    """

    ok: bool
    signals: tuple[SignalCheck, ...]
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    atol: float = ATOL
    rtol: float = RTOL
    one_step_ok: bool | None = None
    growth: float | None = None
    title: str = field(default="traces against expected", compare=False)
    width = 80

    @property
    def summary(self) -> str:
        """The result in one sentence, and what is known of a miss."""
        if self.ok:
            worst = max(self.signals, key=lambda s: s.max_abs)
            agree = f"All {len(self.signals)} signals agree"
            if len(self.signals) == 1:
                agree = "The signal agrees"
            return (
                f"{agree}: |a − b| ≤ {self.atol:g} + "
                f"{self.rtol:g}·|b| everywhere; the largest difference is {worst.max_abs:.2e}, "
                f"in {worst.name}."
            )
        lines = []
        bad = [s for s in self.signals if not s.ok]
        if bad:
            located = [s for s in bad if s.sample is not None]
            problems = {s.problem for s in bad}
            lines.append(
                f"{len(bad)} of {len(self.signals)} signals differ."
                if len(self.signals) > 1
                else "The signal differs."
            )
            if located:
                first = min(located, key=lambda s: s.sample or 0)
                lines.append(
                    f"The first miss is in {first.name}, sample {first.sample}, element "
                    f"{first.element}."
                )
            if len(problems) == 1 and problems != {""}:
                lines.append(f"None could be compared: {problems.pop()}.")
        for side, names in (("traces", self.missing), ("expected side", self.unexpected)):
            if names:
                shown = ", ".join(names[:6]) + (f" and {len(names) - 6} more" * (len(names) > 6))
                lines.append(f"Missing from the {side}: {shown}.")
        if self.growth is not None:
            lines.append(
                f"The difference grows exponentially, by a factor of {self.growth:.3g} a sample."
            )
        if self.one_step_ok is not None:
            lines.append(_ONE_STEP[self.one_step_ok])
        return "\n".join(lines)

    @property
    def tables(self) -> tuple[TableData, ...]:
        """The signals.

        The largest absolute and relative difference, the largest one in units of the last
        place of single precision, the norm of the difference, and where the first miss is.
        """
        rows = []
        for s in self.signals:
            place = "" if s.sample is None else f" sample {s.sample} [{s.element}]"
            figures = (f"{s.max_abs:.2e}", f"{s.max_rel:.2e}", _ulp(s.max_ulp), f"{s.norm:.4e}")
            result = "ok" if s.ok else f"MISS{place}{' ' if s.problem else ''}{s.problem}"
            cells = (s.name, *(("",) * 4 if s.problem else figures), result)
            rows.append(Row(cells, "" if s.ok else "bad"))
        for name in (*self.missing, *self.unexpected):
            side = "traces" if name in self.missing else "expected side"
            rows.append(Row((name, "", "", "", "", f"MISS not in the {side}"), "bad"))
        columns = (
            *words("signal"),
            *numbers("|a − b|", "relative", "ulp", "norm"),
            *words("result"),
        )
        return (TableData(columns, tuple(rows), self.title),)

    def __bool__(self) -> bool:
        return self.ok

    def __repr__(self) -> str:
        return f"<CheckReport: {self.summary}>"

    @property
    def content(self) -> dict[str, Any]:
        """All numbers."""
        return asdict(self) | {"summary": self.summary}


def _ulp(value: float) -> str:
    return f"{value:.1f}" if value < 1e5 else f"{value:.1e}"


def check(
    traces: xr.Dataset,
    expected: xr.Dataset,
    *,
    signals: list[str] | None = None,
    diagram: BlockDiagram | None = None,
    atol: float = ATOL,
    rtol: float = RTOL,
) -> CheckReport:
    """Compare traces with expected ones, signal by signal.

    A signal is ok if |a − b| ≤ atol + rtol·|b| for every element of every sample; NaN and Inf
    on either side are a miss, and so is a signal that one side lacks.

    Parameters
    ----------
    traces, expected : Dataset
        What is checked, and what it should be.
    signals : list of str, optional
        The signals to compare; all of both sides if not given.
    diagram : BlockDiagram, optional
        The diagram that the traces are of.  If there is a miss, every sample is then also
        computed one step ahead, from the expected side's states: that tells a chaotic network
        from one that computes something else.
    atol, rtol : float, optional
        The tolerance; single precision if not given.

    Returns
    -------
    CheckReport
        ``report.ok``, ``report.table``; ``str(report)`` prints both.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        If a side is not traces, or a tolerance is negative.

    Examples
    --------
    >>> import lstmsim as ls
    >>> network, u = ls.published.layer_example()
    >>> traces = ls.simulate(ls.build(network), u)
    >>> ls.check(traces, ls.reference(network, u, dtype="float32")).ok
    True
    """
    check_is_traces(traces)
    check_is_traces(expected, "expected")
    if not (atol >= 0 and rtol >= 0):
        raise InvalidValueError(
            "a tolerance is not a number ≥ 0",
            where="check",
            given=f"atol={atol!r}, rtol={rtol!r}",
            expected="numbers ≥ 0",
        )
    ours, theirs = signal_names(traces), signal_names(expected)
    if signals is not None:
        wanted = select(dict.fromkeys([*theirs, *ours]), signals)
        ours, theirs = [n for n in ours if n in wanted], [n for n in theirs if n in wanted]
    results = tuple(
        _compare(name, traces[name], expected[name], atol, rtol) for name in theirs if name in ours
    )
    missing = tuple(name for name in theirs if name not in ours)
    unexpected = tuple(name for name in ours if name not in theirs)
    ok = bool(results) and all(s.ok for s in results) and not missing and not unexpected
    one_step = growth = None
    if not ok:
        growth = _growth([(traces[s.name], expected[s.name]) for s in results if not s.problem])
        if diagram is not None:
            if "batch" in expected.dims:
                raise InvalidValueError(
                    "one step ahead looks at one sequence",
                    where="check",
                    given=f"a batch of {expected.sizes['batch']}",
                    expected="traces of one sequence",
                    mend="check one of them: traces.isel(batch=0), or leave the diagram out",
                )
            from lstmsim.engine.onestep import one_step_ahead

            ahead = one_step_ahead(diagram, expected)
            one_step = bool(ahead) and all(
                _within_rounding(array, expected[name], atol, rtol)
                for name, array in ahead.items()
                if name in theirs
            )
    return CheckReport(ok, results, missing, unexpected, atol, rtol, one_step, growth)


def _compare(
    name: str, a: xr.DataArray | npt.NDArray[Any], b: xr.DataArray, atol: float, rtol: float
) -> SignalCheck:
    x, y = np.asarray(a), np.asarray(b)
    if x.shape != y.shape:
        shapes = " against ".join("×".join(map(str, v.shape)) for v in (x, y))
        return SignalCheck(name, False, problem=f"shape {shapes}")
    x, y = x.astype(np.float64), y.astype(np.float64)
    finite = np.isfinite(x) & np.isfinite(y)
    with np.errstate(all="ignore"):
        difference = np.abs(x - y)
        within = finite & (difference <= atol + rtol * np.abs(y))
        relative = np.where(difference == 0, 0.0, difference / np.abs(y))
        ulp = difference / np.spacing(np.abs(y).astype(np.float32)).astype(np.float64)
    misses = np.argwhere(~within.reshape(-1, *within.shape[-2:]).all(axis=0))
    with np.errstate(invalid="ignore"):
        rows = (x - y).reshape(-1, x.shape[-1])
    return SignalCheck(
        name,
        ok=bool(within.all()),
        max_abs=_largest(difference),
        max_rel=_largest(relative),
        max_ulp=_largest(ulp),
        norm=_norm(rows) if finite.all() else math.nan,
        sample=int(misses[0, 0]) if len(misses) else None,
        element=int(misses[0, 1]) if len(misses) else None,
    )


def _norm(rows: npt.NDArray[np.float64]) -> float:
    """Return the largest singular value: of few columns it is that of their products' matrix."""
    largest = float(np.abs(rows).max(initial=0.0))
    if largest == 0:
        return 0.0
    scaled = rows / largest  # squares of the smallest numbers would vanish
    return largest * math.sqrt(float(np.linalg.eigvalsh(scaled.T @ scaled)[-1]))


def _within_rounding(a: npt.NDArray[Any], b: xr.DataArray, atol: float, rtol: float) -> bool:
    """Whether one step ahead agrees: relative to the signal, not to each of its elements.

    An element may be the small sum of large terms, and then has their rounding.
    """
    y = np.asarray(b, float)
    scale = np.abs(y).max()
    return a.shape == y.shape and bool((np.abs(a - y) <= atol + rtol * scale).all())


def _largest(values: npt.NDArray[Any]) -> float:
    return float(np.max(values)) if not np.isnan(values).any() else math.nan


def _growth(pairs: list[tuple[xr.DataArray, xr.DataArray]]) -> float | None:
    """Return the factor a sample of an exponential growth of the difference, if it is one."""
    if not pairs:
        return None
    with np.errstate(invalid="ignore"):
        differences = [
            np.abs(np.asarray(a, float) - np.asarray(b, float))
            .max(axis=-1)
            .reshape(-1, a.shape[-2])
            for a, b in pairs
        ]
    largest = np.max([d.max(axis=0) for d in differences], axis=0)
    if not np.isfinite(largest).all():
        return None
    # From the first difference to where it is as large as the signals themselves.
    start = int(np.argmax(largest > 0))
    saturated = np.flatnonzero(largest >= 0.1 * largest.max())
    end = int(saturated[0]) + 1 if len(saturated) else len(largest)
    window = largest[start:end]
    window = window[window > 0]
    if len(window) < 8 or window[-1] < 1e3 * window[0]:
        return None
    samples = np.arange(len(window))
    slope, _ = np.polyfit(samples, np.log(window), 1)
    correlation = np.corrcoef(samples, np.log(window))[0, 1]
    return float(np.exp(slope)) if correlation > 0.9 else None
