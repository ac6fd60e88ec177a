"""Sequences of a batch on all cores."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

T = TypeVar("T")


def map_threads(function: Callable[[int], T], count: int) -> list[T]:
    """Apply a function to every sequence of a batch, by its number, in parallel threads."""
    if count == 1:
        return [function(0)]
    # The kernels let go of Python's lock: two sequences run on two cores.
    return list(_workers(os.getpid()).map(function, range(count)))


@cache
def _workers(process: int) -> ThreadPoolExecutor:
    """Return the threads that sequences of a batch run on; a forked process has its own."""
    return ThreadPoolExecutor(os.cpu_count())


if hasattr(os, "register_at_fork"):
    # A forked process has none of its parent's threads: it would wait for them for ever.
    os.register_at_fork(after_in_child=_workers.cache_clear)
