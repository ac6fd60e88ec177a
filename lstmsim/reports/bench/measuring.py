"""The lines of the table of speed: forward, and loss and gradient, by all candidates."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from lstmsim.diagram import blockdiagram
from lstmsim.engine import vectors_available
from lstmsim.reports.bench.growth import measure_growth
from lstmsim.reports.bench.machine import this_machine
from lstmsim.reports.bench.peers import OWN, Candidate, Peer, installed
from lstmsim.reports.bench.problem import Problem, check_agreement, expected, make_problem
from lstmsim.reports.bench.report import WORKS, BenchReport, Line
from lstmsim.reports.bench.settings import Settings, size
from lstmsim.reports.bench.timing import take_turns

Say = Callable[[str], None]
#: Seconds of the own engine's first use: by units, work, and whether kernels were kept on disk.
FirstUse = dict[int, dict[str, dict[str, float]]]


def measure_all(settings: Settings, first: FirstUse, say: Say) -> BenchReport:
    """Measure all that is asked for, in a process that was started with its threads."""
    peers, missing = installed(settings.peers)
    lines = []
    for work in WORKS:
        for n in settings.units:
            say(f"{work}, N = {n}")
            lines.append(measure(work, n, peers, settings, first.get(n, {}).get(work, {})))
    growth = measure_growth(settings.seconds, settings.quick, say) if settings.growth else ()
    return BenchReport(settings, this_machine(), missing, tuple(lines), growth)


def measure(
    work: str, n: int, peers: Iterable[Peer], settings: Settings, own: dict[str, float]
) -> Line:
    """Compare what the candidates compute, and then have them take turns.

    Parameters
    ----------
    work : str
        "forward" or "gradient".
    n : int
        Units.
    peers : iterable of Peer
        Those that do not compute it are left out.
    settings : Settings
        How long, and on how many threads.
    own : dict of float
        Seconds of the own engine's first use.
    """
    inputs, samples = size(n)
    problem = make_problem(n, inputs, samples)
    candidates: dict[str, Candidate] = {}
    values, first = {}, dict(own)
    for peer in (OWN, *peers):
        make = peer.works.get(work)
        if make is None:
            continue
        candidate, result, taken = first_result(make, problem, settings.threads)
        candidates[peer.name] = candidate
        values[peer.name] = candidate.values(result)
        if peer is not OWN:
            first[peer.name] = taken
    apart = check_agreement(values, expected(problem, work), work, f"{work}, N = {n}")
    del values  # the memory is wanted for what is timed
    timings = take_turns({name: c.work for name, c in candidates.items()}, settings.seconds)
    return Line(work, n, inputs, samples, timings, first, apart)


def first_use(n: int, say: Say) -> dict[str, float]:
    """Return the seconds from the weights to the own engine's first result, by work.

    A process that has compiled a kernel has it at hand for the next diagram: this one is new.
    """
    # What is imported at the first call is not counted, as no other library's imports are.
    blockdiagram().CONSTANT(1.0)
    vectors_available()
    problem = make_problem(n, *size(n))
    return {work: first_result(OWN.works[work], problem, 1)[2] for work in WORKS}


def first_result(
    make: Callable[..., Candidate], problem: Problem, threads: int
) -> tuple[Candidate, Any, float]:
    """Return a new candidate, its first result, and the seconds that both took."""
    begun = time.perf_counter()
    candidate = make(problem, threads)
    result = candidate.work()
    return candidate, result, time.perf_counter() - begun
