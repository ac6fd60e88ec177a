"""The process that measures: threads are set before anything that uses them is loaded."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from lstmsim.base import LstmsimError
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
    """Measure in a new process, and return its report.

    Parameters
    ----------
    settings : Settings
        What is measured.
    progress : callable, optional
        Is told what is being measured.

    Returns
    -------
    BenchReport
        The figures.

    Raises
    ------
    LstmsimError
        If candidates do not agree, or the process fails.
    """
    with tempfile.TemporaryDirectory(prefix="lstmsim-bench-") as folder:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "lstmsim.reports.bench", folder],
            env=environment(settings.threads),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            # Ctrl-C is for this process, which then ends the other.
            start_new_session=True,
        )
        try:
            return _listen(child, settings, progress)
        finally:
            _end(child)


def _listen(
    child: subprocess.Popen[str], settings: Settings, progress: Callable[[str], None]
) -> BenchReport:
    assert child.stdin is not None
    assert child.stdout is not None
    last = "the start"
    try:
        # Its standard input stays open: when it is closed, the child ends.
        child.stdin.write(json.dumps(asdict(settings)) + "\n")
        child.stdin.flush()
        for line in child.stdout:
            said: dict[str, Any] = json.loads(line)
            if "report" in said:
                return BenchReport.of(said["report"])
            if "error" in said:
                raise LstmsimError(said["error"])
            last = said["doing"]
            progress(last)
    except BrokenPipeError:
        pass
    status = child.wait()
    raise LstmsimError(
        "the measuring process ended without a result",
        where=last,
        given=f"signal {-status}" if status < 0 else f"exit status {status}",
        mend="if the memory was too small, measure fewer units",
    )


def _end(child: subprocess.Popen[str]) -> None:
    if sys.platform == "win32":
        child.kill()
    else:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)  # with the processes that it started
    child.wait()
    for stream in (child.stdin, child.stdout):
        assert stream is not None
        with contextlib.suppress(BrokenPipeError):
            stream.close()
