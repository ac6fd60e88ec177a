"""How much of a run is looked at, so that an analysis takes seconds whatever the diagram's size.

The limits are estimates of work from the number of states n; they need be right to a factor of a
few only.  A limit that bites is said in the report.
"""

from __future__ import annotations

#: Beyond, one sample's eigenvalues take minutes.
MOST_STATES = 1500
#: Blocks that are placed and wired in a drawing within seconds.
MOST_BLOCKS = 150
#: A free run that ends nowhere by itself has so many samples.
FREE_RUN = 1000
#: Numbers of all matrices along a run: 128 MiB.
_NUMBERS = 2**24
#: About nanoseconds.
_ALONG, _EXPONENTS, _NEWTON = 5e9, 2e9, 2e9
_LONGEST = 20_000
#: Of a search for fixed points.
MOST_STARTS = 100


def samples_along(states: int, inputs: int, outputs: int) -> int:
    """Return how many samples are linearized, with their eigenvalues and products."""
    numbers = (states + outputs) * (states + inputs)
    work = states**3 + 300 * states**2 + 3e5
    return max(1, int(min(_NUMBERS // max(1, numbers), _ALONG // work)))


def samples_of_exponents(states: int) -> int:
    """Return over how many samples Lyapunov exponents are averaged."""
    work = 0.3 * states**3 + 30 * states**2 + 2e4
    return max(1, min(_LONGEST, int(_EXPONENTS / work)))


def newton_effort(states: int) -> tuple[int, int]:
    """Return the random starts of a search for fixed points, and its iterations."""
    # Every random start is tried as it is and after a free run; two more are always there.
    starts = int(_NEWTON / (2 * 30 * 0.06 * max(1, states) ** 3)) - 2
    return max(0, min(MOST_STARTS, starts)), 200 if states <= 300 else 50
