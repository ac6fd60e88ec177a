"""All measurements, in the process that they are made in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from lstmsim.reports.bench.first import in_new_processes
from lstmsim.reports.bench.growth import Series, measure_growth
from lstmsim.reports.bench.machine import load, this_machine
from lstmsim.reports.bench.peers import installed
from lstmsim.reports.bench.report import BenchReport
from lstmsim.reports.bench.settings import Settings
from lstmsim.reports.bench.speed import WORKS, measure
from lstmsim.reports.bench.ways import UNITS, measure_ways


def measure_all(settings: Settings, folder: Path, say: Callable[[str], None]) -> BenchReport:
    """Measure what is asked for.

    Parameters
    ----------
    settings : Settings
        What is asked for; the process has been started with its threads.
    folder : path
        For caches of kernels.
    say : callable
        Is told what is measured.
    """
    machine = this_machine()
    peers, missing = installed(settings.peers)
    first = {}
    for n in settings.units[:1] if settings.quick else settings.units:
        say(f"first use, N = {n}")
        first[n] = in_new_processes(n, folder)
    rows = []
    for work in WORKS:
        for n in settings.units:
            say(f"{work}, N = {n}")
            own = first.get(n, {}).get(work, {})
            rows.append(measure(work, n, peers, settings.seconds, settings.threads, own))
    ways = []
    for n in UNITS[:1] if settings.quick else UNITS:
        say(f"ways to run, N = {n}")
        ways += measure_ways(n, settings.seconds)
    growth: tuple[Series, ...] = ()
    if settings.growth:
        growth = measure_growth(settings.seconds, settings.quick, say)
    machine = replace(machine, load=machine.load + load())
    return BenchReport(settings, machine, missing, tuple(rows), tuple(ways), growth)
