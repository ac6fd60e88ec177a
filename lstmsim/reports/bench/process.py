"""Measurements in new processes, whose threads are set before NumPy is loaded."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lstmsim.base import LstmsimError

if TYPE_CHECKING:
    from lstmsim.reports.bench.report import BenchReport
    from lstmsim.reports.bench.settings import Settings

#: What libraries read, when they are loaded, for the number of their threads: OpenMP, the kinds
#: of BLAS, and XLA.
THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NPROC",
)


def environment(threads: int) -> dict[str, str]:
    """Return the environment of a process whose libraries use so many threads, and no GPU."""
    return {**os.environ, **dict.fromkeys(THREADS, str(threads)), "JAX_PLATFORMS": "cpu"}


def run_bench(
    settings: Settings, progress: Callable[[str], None] = lambda text: None
) -> BenchReport:
    """Measure in new processes.

    Parameters
    ----------
    settings : Settings
        What is measured.
    progress : callable, optional
        Called with what is being measured.

    Returns
    -------
    BenchReport
        The figures.

    Raises
    ------
    LstmsimError
        If candidates do not agree, or a process fails.
    """
    from lstmsim.reports.bench.measuring import FirstUse, first_use, measure_all

    own = environment(settings.threads)
    first: FirstUse = {}
    for n in settings.units[:1] if settings.quick else settings.units:
        progress(f"first use, N = {n}")
        with tempfile.TemporaryDirectory(prefix="lstmsim-bench-") as cache:
            cached = own | {"LSTMSIM_CACHE_DIR": cache}
            new = run_apart(first_use, n, environment=cached, progress=progress)
            kept = run_apart(first_use, n, environment=cached, progress=progress)
        first[n] = {work: {"lstmsim": new[work], "lstmsim_kept": kept[work]} for work in new}
    report: BenchReport = run_apart(
        measure_all, settings, first, environment=own, progress=progress
    )
    return report


def run_apart(
    function: Callable[..., Any],
    *arguments: Any,
    environment: dict[str, str],
    progress: Callable[[str], None],
) -> Any:
    """Return what a function returns in a new process; it is given a way to tell its progress.

    Raises
    ------
    LstmsimError
        If the function raises it, or the process ends without a result.
    """
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", __name__],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for this process, which then ends the other
    )
    assert child.stdin is not None
    assert child.stdout is not None
    last = "the start"
    try:
        # Its standard input stays open: when it is closed, the child ends.
        pickle.dump((function, arguments), child.stdin)
        child.stdin.flush()
        while True:
            kind, content = pickle.load(child.stdout)
            if kind == "result":
                return content
            if kind == "error":
                raise LstmsimError(content)
            last = content
            progress(last)
    except (EOFError, BrokenPipeError):
        status = child.wait()
        raise LstmsimError(
            "the measuring process ended without a result",
            where=last,
            given=f"signal {-status}" if status < 0 else f"exit status {status}",
            mend="if the memory was too small, measure fewer units",
        ) from None
    finally:
        _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    if sys.platform == "win32":
        child.kill()
    else:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    for stream in (child.stdin, child.stdout):
        with contextlib.suppress(BrokenPipeError):
            stream.close()  # type: ignore[union-attr]


def _serve() -> None:
    """Run the function that the standard input has, and answer on the standard output."""
    # What libraries print goes to the standard error: the output is the parent's alone.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    function, arguments = pickle.load(sys.stdin.buffer)
    threading.Thread(target=_end_with_the_parent, daemon=True).start()

    def say(kind: str, content: Any) -> None:
        pickle.dump((kind, content), answers)
        answers.flush()

    try:
        result = function(*arguments, lambda text: say("progress", text))
    except LstmsimError as error:
        say("error", str(error))
    except MemoryError:
        say("error", "there is not enough memory for this measurement")
    else:
        say("result", result)


def _end_with_the_parent() -> None:
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    _serve()
