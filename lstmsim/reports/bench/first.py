"""The own engine's first use, in new processes: with nothing kept on disk, and with kernels kept.

    python -m lstmsim.reports.bench.first UNITS

A process that has compiled a kernel has it at hand for the next diagram; only a new one shows
what the first use takes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from lstmsim.base import LstmsimError
from lstmsim.diagram import blockdiagram
from lstmsim.engine import vectors_available
from lstmsim.reports.bench.peers import OWN
from lstmsim.reports.bench.problem import make_problem
from lstmsim.reports.bench.settings import size
from lstmsim.reports.bench.speed import WORKS, first_result


def in_this_process(n: int) -> dict[str, float]:
    """Return seconds from the weights to the first result, imports done, by work."""
    # What they import at their first call is not counted, as no other library's imports are.
    blockdiagram().CONSTANT(1.0)
    vectors_available()
    problem = make_problem(n, *size(n))
    makes = {work: OWN.works[work] for work in WORKS}
    return {work: first_result(make, problem, 1)[2] for work, make in makes.items()}


def in_new_processes(n: int, folder: Path) -> dict[str, dict[str, float]]:
    """Return the first use with an empty cache ("lstmsim") and a full one ("lstmsim_kept").

    Parameters
    ----------
    n : int
        Units.
    folder : path
        Where an empty folder for the cache is made.

    Raises
    ------
    LstmsimError
        If such a process fails.
    """
    found: dict[str, dict[str, float]] = {work: {} for work in WORKS}
    with tempfile.TemporaryDirectory(dir=folder) as cache:
        environment = os.environ | {"LSTMSIM_CACHE_DIR": cache}
        for name in (OWN.name, f"{OWN.name}_kept"):
            done = subprocess.run(
                [sys.executable, "-P", "-m", "lstmsim.reports.bench.first", str(n)],
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
            )
            if done.returncode:
                last = (done.stderr.strip().splitlines() or ["no message"])[-1]
                raise LstmsimError("the first use cannot be measured", where=f"N = {n}", given=last)
            for work, seconds in json.loads(done.stdout).items():
                found[work][name] = seconds
    return found


if __name__ == "__main__":
    print(json.dumps(in_this_process(int(sys.argv[1]))))
