"""Candidates take turns, so that what else the machine does falls on all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Work = Callable[[], Any]
FEWEST_ROUNDS = 5
#: A turn is as many calls as begin within so many seconds, but at least one.
TURN = 2e-3


@dataclass(frozen=True)
class Timing:
    """The times of one candidate.

    Parameters
    ----------
    median, low, high : float
        Median and quartiles of all calls, in seconds.
    calls, rounds : int
        How many calls were timed, in how many turns.
    cores : float
        The process's time on cores over the clock's: more than one if it used more than one core,
        less if it had to wait for other processes.  With several threads, those of other
        candidates that wait busily for their next turn are counted too.
    """

    median: float
    low: float
    high: float
    calls: int
    rounds: int
    cores: float


def summarize(turns: list[list[float]], cores: float) -> Timing:
    """Return medians and quartiles of the times of all turns' calls.

    Examples
    --------
    >>> summarize([[4.0, 1.0], [3.0, 2.0, 2.0]], 1.0)
    Timing(median=2.0, low=2.0, high=3.0, calls=5, rounds=2, cores=1.0)
    """
    calls = [seconds for turn in turns for seconds in turn]
    low, median, high = (float(v) for v in np.percentile(calls, (25, 50, 75)))
    return Timing(median, low, high, len(calls), len(turns), cores)


def take_turns(
    works: Mapping[str, Work], seconds: float, fewest: int = FEWEST_ROUNDS
) -> dict[str, Timing]:
    """Run candidates in turns, in a new order every round.

    A turn of short calls has many of them, as a program that uses one library has.

    Parameters
    ----------
    works : mapping of callable
        By name.
    seconds : float
        No round begins after this time.
    fewest : int, optional
        So many rounds there are at least.
    """
    turns: dict[str, list[list[float]]] = {name: [] for name in works}
    used, passed = dict.fromkeys(works, 0.0), dict.fromkeys(works, 0.0)
    for work in works.values():
        work()
    random = np.random.default_rng(0)
    names, done = list(works), 0
    end = time.perf_counter() + seconds
    while done < fewest or time.perf_counter() < end:
        random.shuffle(names)
        for name in names:
            before, begun = time.process_time(), time.perf_counter()
            turns[name].append(_turn(works[name]))
            passed[name] += time.perf_counter() - begun
            used[name] += time.process_time() - before
        done += 1
    return {name: summarize(turns[name], used[name] / passed[name]) for name in works}


def _turn(work: Work) -> list[float]:
    clock = time.perf_counter
    times: list[float] = []
    begun = now = clock()
    while not times or now - begun < TURN:
        before = clock()
        work()
        now = clock()
        times.append(now - before)
    return times
