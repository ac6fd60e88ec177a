"""The published linear system, and the example's printed figures of it."""

from __future__ import annotations

import cmath
import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import control

ZERO = -4.0
POLES = (-9 + 5j, -9 - 5j, -2 + 50j, -2 - 50j)
GAIN = 5e5
SYSTEM_TS = 0.01
#: Scale of the published calculated weights.
SCALE = 1e-3

#: The printed weights of the fully connected layer, for SCALE.
CALCULATED_F = np.array([325.4911, -78.8823, 18.4092, 212.6357, -86.0996])
CALCULATED_F.setflags(write=False)
#: The printed discrete form: gain, zeros, and each section's denominator z² + a z + b.
DISCRETE_GAIN = 0.078673
DISCRETE_ZEROS = (-3.517, 0.9608, -0.2599)
DISCRETE_SECTIONS = ((-1.826, 0.8353), (-1.72, 0.9608))
#: The printed state-space realisation: diagonal, −w², coupling (α, β), and entries of B.
REALISATION = {
    "a1": 0.9128,
    "w1²": 0.0021,
    "a2": 0.8602,
    "w2²": 0.2208,
    "α": -0.3945,
    "β": 2.5522,
    "B[1]": 0.3104,
    "B[3]": 0.5201,
}
STEADY_STATE_GAIN = 7.5351
DIRECT = 0.0


def published_system() -> control.StateSpace:
    """Return the published linear system in its published realisation.

    Zero −4, poles −9 ± 5i and −2 ± 50i, gain 5e5, behind a zero-order hold at 0.01 s: two
    second-order sections in series, each in the form

        x⁺ = [a 1; −w² a] x + [0; b] v,    y = c x + d v,

    the section with the faster poles −2 ± 50i first.

    Returns
    -------
    control.StateSpace
        Four states, one input, one output, dt = 0.01.

    Examples
    --------
    >>> system = published_system()
    >>> system.B.round(4).ravel().tolist()
    [0.0, 0.3104, 0.0, 0.5201]
    >>> print(f"{system.dcgain():.4f}")
    7.5351

    Notes
    -----
    Only the entries of B are printed, and the transfer function leaves them free.  They follow
    from a rule that was found by matching them: in each section ‖b‖ = ‖c‖ with the transfer
    function's gain set aside; the gain then goes to the output, and all states are scaled by the
    power of two that makes ‖B‖ and ‖C‖ most alike.  All printed figures come out with it.
    """
    import control

    zeros, gain = _held_zeros()
    slow, fast = (cmath.exp(POLES[k] * SYSTEM_TS) for k in (0, 2))
    outer, inner = sorted(zeros, key=abs)[1:], sorted(zeros, key=abs)[:1]
    # Numerators about each section's own a: (z − a1) + c1, and (z − a2)² + β(z − a2) + ….
    first = np.array([slow.real - inner[0], 1.0])
    beta = 2 * fast.real - sum(outer)
    alpha = math.prod(outer) - abs(fast) ** 2 + beta * fast.real
    second = np.array([alpha, beta])
    b1, b2 = (math.sqrt(np.linalg.norm(row)) for row in (first, second))
    B, C = np.array([0.0, b1, 0.0, b2]), gain * np.array([*first / b1, 0.0, 0.0])
    scale = 2.0 ** round(math.log2(np.linalg.norm(B) / np.linalg.norm(C)) / 2)
    A = np.zeros((4, 4))
    A[:2, :2], A[2:, 2:] = _section(slow), _section(fast)
    A[1, 2:] = b1 * second / b2
    return control.ss(A, B[:, None] / scale, C[None] * scale, 0.0, SYSTEM_TS)


def _section(pole: complex) -> list[list[float]]:
    return [[pole.real, 1.0], [-(pole.imag**2), pole.real]]


def _held_zeros() -> tuple[list[float], float]:
    """Return zeros and gain of the transfer function behind the zero-order hold."""
    from scipy import signal

    continuous = (GAIN * np.array([1.0, -ZERO]), np.poly(POLES).real)
    numerator = np.trim_zeros(signal.cont2discrete(continuous, SYSTEM_TS, "zoh")[0].ravel(), "f")
    return sorted(np.roots(numerator).real.tolist()), float(numerator[0])
