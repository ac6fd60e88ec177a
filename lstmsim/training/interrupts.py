"""Ctrl-C: an epoch is finished, the state is kept, and it is said how to go on."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

from lstmsim.training.result import TrainingResult


class TrainingInterrupted(KeyboardInterrupt):
    """Training was interrupted, between two epochs.

    Parameters
    ----------
    message : str
        Where the state is, and how to go on.
    result : TrainingResult
        What was trained until then.
    """

    def __init__(self, message: str, result: TrainingResult) -> None:
        super().__init__(message)
        self.result = result


@contextlib.contextmanager
def held_back() -> Iterator[Callable[[], bool]]:
    """Give a function that says whether Ctrl-C was pressed; a second time it acts at once.

    Where someone else handles the signal, or this is not the main thread, it is left alone.
    """
    asked = False

    def handle(number: int, frame: Any) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if ours:
        signal.signal(signal.SIGINT, handle)
    try:
        yield lambda: asked
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
