"""Trainings: which there are, what each is, and running them side by side."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from lstmsim.base import FloatArray
from lstmsim.networks import Network
from lstmsim.published import training as printed
from lstmsim.reports.study.plan import OPTIMIZERS, Plan
from lstmsim.training import SGD, Adam, Piecewise, RMSProp, TrainingOptions, fitted


@dataclass(frozen=True, eq=False)
class Job:
    """One training, with the published options but for what is said here.

    Parameters
    ----------
    network : Network
        Where it begins.
    rate, drop : float
        Learning rate, and what it is multiplied with every 100 epochs.
    epochs : int
        How many.
    optimizer : Adam, RMSProp or SGD
        What makes the steps.
    """

    network: Network
    rate: float
    drop: float
    epochs: int
    optimizer: Adam | RMSProp | SGD = Adam()  # noqa: RUF009  (frozen)


@dataclass(frozen=True, eq=False)
class TrainingRun:
    """What came of a job.

    Parameters
    ----------
    network : Network
        The trained one.
    losses : ndarray of shape (epochs + 1,)
        Mean squared error of the weights that each epoch begins with, and of the last ones.
    reason : str
        Why it ended.
    seconds : float
        How long it took.
    """

    network: Network
    losses: FloatArray
    reason: str
    seconds: float

    @property
    def start(self) -> float:
        """The loss before the first epoch."""
        return float(self.losses[0])

    @property
    def end(self) -> float:
        """The loss after the last epoch; infinite if training diverged."""
        return float(self.losses[-1]) if self.reason != "diverged" else np.inf


#: The trainings of each group by what varies in it.
Runs = dict[str, dict[Any, TrainingRun]]


def jobs(plan: Plan) -> dict[str, dict[Any, Job]]:
    """Return all trainings but the last ones, which begin with the result of the search."""
    s, start = plan.settings, plan.example.starts[0]
    (low_rate, low_drop), (rate, drop) = printed.FROM_CALCULATED, printed.FROM_RANDOM
    return {
        "search": {
            (name, each): Job(start, each, drop, s.search_epochs, optimizer)
            for name, (optimizer, rates) in OPTIMIZERS.items()
            for each in rates
        },
        "published": {
            "calculated": Job(plan.calculated, low_rate, low_drop, s.epochs),
            "random": Job(start, rate, drop, s.epochs),
        },
        "basin": {r: Job(plan.calculated, r, low_drop, s.basin_epochs) for r in plan.rates},
        "starts": {
            k: Job(network, rate, drop, s.starts_epochs)
            for k, network in enumerate(plan.example.starts)
        },
        "drops": {factor: Job(start, rate, factor, s.drops_epochs) for factor in plan.drops},
    }


def race_jobs(plan: Plan, search: dict[Any, TrainingRun]) -> dict[Any, Job]:
    """Return a longer training of each optimizer, at the best learning rate of the search."""
    start, (_, drop) = plan.example.starts[0], printed.FROM_RANDOM
    best = {
        name: min(rates, key=lambda rate: search[name, rate].end)
        for name, (_, rates) in OPTIMIZERS.items()
    }
    return {
        (name, rate): Job(start, rate, drop, plan.settings.race_epochs, OPTIMIZERS[name][0])
        for name, rate in best.items()
    }


class _StoppedError(Exception):
    """The pool is closed: nobody waits for this job any more."""


class Pool:
    """Runs jobs on all cores.

    Parameters
    ----------
    u, y : ndarray of shape (T, 1)
        The training data.
    done : callable
        Called after every job.
    """

    def __init__(self, u: FloatArray, y: FloatArray, done: Callable[[], None]) -> None:
        self._u, self._y, self._done = u, y, done
        self._stopped = threading.Event()
        self._threads = ThreadPoolExecutor(os.cpu_count() or 1)

    def submit(self, job: Job) -> Future[TrainingRun]:
        """Put a job in the queue."""
        return self._threads.submit(self._run, job)

    def close(self) -> None:
        """Drop what waits, and end what runs."""
        self._stopped.set()
        self._threads.shutdown(cancel_futures=True)

    def _run(self, job: Job) -> TrainingRun:
        def stop(*_: object) -> None:
            if self._stopped.is_set():
                raise _StoppedError

        begun = time.perf_counter()
        options = TrainingOptions(
            epochs=job.epochs,
            learning_rate=job.rate,
            schedule=Piecewise(job.drop, every=printed.DROP_EVERY),
            optimizer=job.optimizer,
            clip=printed.CLIP,
            dtype="float32",
        )
        # Not `fit`, which warns: that a learning rate is too large is one of the results.
        result = fitted(job.network, (self._u, self._y), options, progress=stop)
        assert result.network is not None
        losses = np.append(np.asarray(result.history.loss.values, float), result.loss)
        self._done()
        return TrainingRun(result.network, losses, result.reason, time.perf_counter() - begun)


@contextmanager
def pool(u: FloatArray, y: FloatArray, done: Callable[[], None]) -> Iterator[Pool]:
    """Open a pool, and close it whatever happens."""
    opened = Pool(u, y, done)
    try:
        yield opened
    finally:
        opened.close()
