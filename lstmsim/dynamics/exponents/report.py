"""The report on a spectrum of Lyapunov exponents."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from lstmsim.base import FloatArray, Report, Row, TableData, count, numbers

#: An exponent differs from zero if it is this many standard errors away.
_SURE = 3.0
#: An exponent of zero is computed as less than this, because of rounding.
_ROUNDING = 1e-12
_ROWS = 20


@dataclass(frozen=True, eq=False)
class LyapunovSpectrum(Report):
    """The Lyapunov exponents of a run; ``str(report)`` is a table that a person reads.

    Parameters
    ----------
    exponents : ndarray of shape (n,)
        Per sample, the largest first; −∞ where a direction is lost, or its factor at some
        sample is below rounding.
    standard_error : ndarray of shape (n,)
        Of each, from the means of batches of consecutive samples; NaN where there are too few.
    running : xarray.DataArray of dimensions (time, exponent)
        The estimates as they settle, per sample, over the time since the start was discarded.
    samples, discarded : int
        How many samples they are the mean of, and how many before were left out.
    Ts : float
        Sample time in seconds.
    """

    exponents: FloatArray
    standard_error: FloatArray
    running: xr.DataArray
    samples: int
    discarded: int
    Ts: float

    @property
    def per_second(self) -> FloatArray:
        """The exponents per second."""
        return self.exponents / self.Ts

    @property
    def kaplan_yorke(self) -> float:
        """The Kaplan-Yorke dimension, j + (λ₁ + … + λⱼ) / |λⱼ₊₁|.

        j is the largest number for which the sum is not negative.
        """
        return kaplan_yorke(self.exponents)

    @property
    def chaotic(self) -> bool:
        """Whether the largest exponent is positive.

        By more than three standard errors, and by more than ln(T)/T of T samples, which is the
        estimate for growth in proportion to time instead of exponential growth.
        """
        slow = math.log(max(self.samples, 2)) / self.samples
        return bool(self.exponents[0] > max(self._unsure, slow))

    @property
    def _unsure(self) -> float:
        """The smallest magnitude that is significantly different from zero."""
        error = float(self.standard_error[0])
        return max(_SURE * error, _ROUNDING) if math.isfinite(error) else math.inf

    @property
    def summary(self) -> str:
        """The largest exponent and its meaning, in a sentence or two."""
        largest, error = float(self.exponents[0]), float(self.standard_error[0])
        shown = 0.0 if abs(largest) < _ROUNDING else largest
        value = f"The largest exponent is {shown:.4g} ± {error:.1g} a sample"
        if not math.isfinite(error):
            lowest = "−∞" if largest == -math.inf else f"{shown:.4g}"
            value = f"The largest exponent is {lowest} a sample"
        if self.chaotic:
            says = (
                f"positive: nearby runs part e-fold every {1 / largest:.3g} samples. "
                f"The Kaplan-Yorke dimension is {self.kaplan_yorke:.3f}"
            )
        elif largest < -self._unsure or largest == -math.inf:
            says = "negative: nearby runs meet"
        else:
            says = "not told from zero"
            says += ": too few samples" * (not math.isfinite(error))
        lost = int(np.isneginf(self.exponents).sum())
        more = (
            f" {count(lost, 'direction')} of {len(self.exponents)} "
            f"{'is' if lost == 1 else 'are'} lost: −∞."
            if lost
            else ""
        )
        return (
            f"{value}, {says}.{more} {count(self.samples, 'sample')}, after "
            f"{self.discarded:,} that were discarded."
        )

    @property
    def title(self) -> str:
        """The heading of the report."""
        return "Lyapunov exponents"

    @property
    def tables(self) -> tuple[TableData, ...]:
        """The exponents per sample, with standard error, and per second."""
        each = zip(self.exponents, self.standard_error, self.per_second, strict=True)
        rows = [
            (str(k), _number(value), f"{error:.1e}" if math.isfinite(error) else "", _number(rate))
            for k, (value, error, rate) in enumerate(each, start=1)
        ]
        if len(rows) > _ROWS:
            rows[_ROWS:] = [("…", f"and {len(rows) - _ROWS} more", "", "")]
        columns = numbers("exponent", "a sample", "± standard error", "a second")
        return (TableData(columns, tuple(map(Row, rows))),)

    def __repr__(self) -> str:
        return f"<LyapunovSpectrum: {self.summary}>"

    @property
    def content(self) -> dict[str, Any]:
        """The numbers, without the running estimates."""
        return {
            "exponents": self.exponents,
            "standard_error": self.standard_error,
            "per_second": self.per_second,
            "kaplan_yorke": self.kaplan_yorke,
            "samples": self.samples,
            "discarded": self.discarded,
            "Ts": self.Ts,
            "summary": self.summary,
        }


def kaplan_yorke(exponents: FloatArray) -> float:
    """Return the Kaplan-Yorke dimension of a spectrum in falling order.

    Examples
    --------
    >>> import numpy as np
    >>> round(kaplan_yorke(np.array([0.42, -1.62])), 4)  # about the Hénon map's
    1.2593
    """
    sums = np.cumsum(exponents)
    j = int(np.sum(sums >= -_ROUNDING * np.arange(1, len(sums) + 1)))
    if j in (0, len(exponents)):
        return float(j)
    below = float(exponents[j])
    return float(j) if below == -math.inf else j + float(sums[j - 1]) / abs(below)


def _number(value: float) -> str:
    return "−∞" if value == -math.inf else f"{value:.6f}".replace("-0.000000", "0.000000")
