"""Count the calls that each step of the usual work makes, inside the package only.

    python tools/trace_calls.py                          # this version
    PYTHONPATH=../other python tools/trace_calls.py      # another one, to compare with

A change of file is two consecutive calls of functions in different files: what a reader who
follows the work has to do.  A call is what the interpreter counts as one: comprehensions (before
Python 3.12) and generators that are resumed are calls too.  The steps are done once before, in
another process: kernels are on disk.
"""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any

import lstmsim as ls

PACKAGE = str(Path(ls.__file__).parent)
#: Functions that should be called once for a model, not again and again.
WATCHED = (
    "build",
    "wire_graph",
    "signal_widths",
    "check_signals",
    "lower",
    "render",
    "render_adjoint",
    "Program",
)


@dataclass
class Trace:
    """The calls of one step.

    Parameters
    ----------
    calls : list of (str, str)
        The file and the function of each, in their order.
    """

    calls: list[tuple[str, str]] = field(default_factory=list)

    def record(self, frame: FrameType, event: str, _: Any) -> None:
        """Note a call, as `sys.setprofile` says it."""
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(PACKAGE) and code.co_name != "<module>":
            self.calls.append((code.co_filename[len(PACKAGE) + 1 :], code.co_qualname))

    @property
    def row(self) -> dict[str, int]:
        """The figures."""
        files = [file for file, _ in self.calls]
        return {
            "calls": len(self.calls),
            "functions": len(set(self.calls)),
            "files": len(set(files)),
            "changes": sum(a != b for a, b in pairwise(files)),
        }

    @property
    def watched(self) -> dict[str, int]:
        """How often the watched functions, and `__init__` of the watched classes, were called."""
        names = Counter(name.removesuffix(".__init__") for _, name in self.calls)
        return {name: names[name] for name in WATCHED if names[name]}


@contextmanager
def traced() -> Iterator[Trace]:
    """Record the calls of what is done inside."""
    trace = Trace()
    sys.setprofile(trace.record)
    try:
        yield trace
    finally:
        sys.setprofile(None)


def steps() -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield the steps, each with its name, on the published layer."""
    network, u = ls.published.layer_example()
    layer, head = network.layers
    yield (
        "Network([LSTM, Dense])",
        lambda: ls.Network(
            [ls.LSTM(layer.W, layer.R, layer.b, h0=layer.h0, c0=layer.c0), ls.Dense(head.F)],
            Ts=network.Ts,
        ),
    )
    yield "build", lambda: ls.build(network)
    diagram = ls.build(network)
    yield "compile, kernels on disk", lambda: ls.compile(diagram)
    compiled = ls.compile(diagram)
    yield "forward, first", lambda: compiled.forward(u)
    yield "forward, later, a float array", lambda: compiled.forward(u)
    yield "forward, a list", lambda: compiled.forward(u.tolist())
    compiled.run(u)
    yield "run, later", lambda: compiled.run(u)
    target = compiled.forward(u) + 0.1
    yield "fit, 3 epochs, first use", lambda: ls.fit(network, u, target, epochs=3)
    yield "analyze", lambda: ls.analyze(ls.build(network), u)


def import_all() -> None:
    """Import every module of the package: importing is no part of a step."""
    for module in pkgutil.walk_packages(ls.__path__, "lstmsim."):
        importlib.import_module(module.name)


def main() -> None:
    """Print the table, or JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--quick", action="store_true", help="leave out analyze, the longest step")
    parser.add_argument("--once", action="store_true", help="do not do the steps before")
    options = parser.parse_args()
    if not options.once:
        command = [sys.executable, __file__, *sys.argv[1:], "--once"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    import_all()
    results: dict[str, Trace] = {}
    for name, step in steps():
        if not (options.quick and name == "analyze"):
            with traced() as results[name]:
                step()
    if options.json:
        print(json.dumps({n: t.row | {"watched": t.watched} for n, t in results.items()}, indent=2))
        return
    print(f"{'step':32}{'calls':>9}{'functions':>11}{'files':>7}{'changes':>9}  of these")
    for name, trace in results.items():
        watched = ", ".join(f"{key} {n}" for key, n in trace.watched.items())
        print("{:32}{:9,}{:11,}{:7,}{:9,}  {}".format(name, *trace.row.values(), watched).rstrip())


if __name__ == "__main__":
    main()
