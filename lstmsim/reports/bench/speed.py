"""Forward, and loss and gradient, beside other libraries."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from lstmsim.reports.bench.agreement import check_agreement
from lstmsim.reports.bench.peers import OWN, Candidate, Peer
from lstmsim.reports.bench.problem import Problem, expected, make_problem
from lstmsim.reports.bench.settings import size
from lstmsim.reports.bench.timing import Timing, take_turns

WORKS = ("forward", "gradient")


@dataclass(frozen=True)
class Row:
    """One layer's forward run, or loss and gradient, by all candidates.

    Parameters
    ----------
    work : str
        "forward" or "gradient".
    N, Ni, T : int
        Units, inputs, samples.
    timings : dict of Timing
        By the candidates' names.
    first_use : dict of float
        Seconds from the weights to the first result, with imports done: of peers in this process,
        of the own engine ("lstmsim", and "lstmsim_kept") in new ones; see `first`.
    differences : dict of float
        How far each is from double precision, relative to the largest number.
    """

    work: str
    N: int
    Ni: int
    T: int
    timings: dict[str, Timing]
    first_use: dict[str, float]
    differences: dict[str, float]

    @property
    def fastest_peer(self) -> str | None:
        """The name of the fastest of the others, if there is one."""
        others = [name for name in self.timings if name != OWN.name]
        return min(others, key=lambda name: self.timings[name].median, default=None)

    @property
    def ratio(self) -> float | None:
        """The own median over that of the fastest of the others: below 1 is faster."""
        peer = self.fastest_peer
        if peer is None:
            return None
        return self.timings[OWN.name].median / self.timings[peer].median


def measure(
    work: str, n: int, peers: Iterable[Peer], seconds: float, threads: int, own: dict[str, float]
) -> Row:
    """Compare what the candidates compute, and then have them take turns.

    Parameters
    ----------
    work : str
        "forward" or "gradient".
    n : int
        Units.
    peers : iterable of Peer
        Those that do not compute it are left out.
    seconds : float
        How long.
    threads : int
        How many each may use.
    own : dict
        The own engine's first use.
    """
    inputs, samples = size(n)
    problem = make_problem(n, inputs, samples)
    candidates: dict[str, Candidate] = {}
    first = dict(own)
    values = {}
    for peer in (OWN, *peers):
        make = peer.works.get(work)
        if make is None:
            continue
        candidate, result, taken = first_result(make, problem, threads)
        candidates[peer.name] = candidate
        values[peer.name] = candidate.values(result)
        if peer is not OWN:
            first[peer.name] = taken
    apart = check_agreement(values, expected(problem, work), work, f"{work}, N = {n}")
    del values
    timings = take_turns({name: c.work for name, c in candidates.items()}, seconds)
    return Row(work, n, inputs, samples, timings, first, apart)


def first_result(
    make: Callable[..., Candidate], problem: Problem, threads: int
) -> tuple[Candidate, Any, float]:
    """Return a new candidate, its first result, and the seconds that both took."""
    begun = time.perf_counter()
    candidate = make(problem, threads)
    result = candidate.work()
    return candidate, result, time.perf_counter() - begun
