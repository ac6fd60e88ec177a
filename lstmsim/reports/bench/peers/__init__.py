"""The candidates: this package's engine and its peers, a small file each.

Such a file has a table `WORKS` of functions ``(problem, threads) -> Candidate``, by what they
compute: "forward", the outputs; "gradient", the mean squared error and its gradient by W, R and
b.  It imports its library inside them, so that it is there, but of no use, without it.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple


class Candidate(NamedTuple):
    """One library's way to compute something.

    Parameters
    ----------
    work : callable
        Computes it: what is timed.
    values : callable
        Makes of its result arrays by name, for comparison: "y", or "loss", "W", "R" and "b".
    """

    work: Callable[[], Any]
    values: Callable[[Any], dict[str, Any]]


@dataclass(frozen=True)
class Peer:
    """A library.

    Parameters
    ----------
    name, title : str
        What options and JSON, and what people call it.
    packages : tuple of str
        The modules that it needs.
    """

    name: str
    title: str
    packages: tuple[str, ...]

    @property
    def works(self) -> dict[str, Callable[..., Candidate]]:
        """Its functions, by what they compute."""
        found: dict[str, Callable[..., Candidate]] = importlib.import_module(
            f"lstmsim.reports.bench.peers.{self.name}"
        ).WORKS
        return found


OWN = Peer("lstmsim", "lstmsim", ("numba",))
PEERS = {
    peer.name: peer
    for peer in (
        Peer("onnxruntime", "ONNX Runtime", ("onnxruntime", "onnx")),
        Peer("torch", "PyTorch", ("torch",)),
        Peer("jax", "JAX", ("jax",)),
    )
}
TITLES = {peer.name: peer.title for peer in (OWN, *PEERS.values())}


def installed(names: Iterable[str]) -> tuple[list[Peer], dict[str, str]]:
    """Return the peers of these names that can be loaded, and why the others cannot."""
    found, missing = [], {}
    for name in names:
        peer = PEERS[name]
        absent = [p for p in peer.packages if importlib.util.find_spec(p) is None]
        if absent:
            missing[name] = f"{' and '.join(absent)} not installed"
            continue
        try:
            for package in peer.packages:
                importlib.import_module(package)
        except Exception as error:  # a broken installation raises anything
            missing[name] = f"cannot be loaded: {type(error).__name__}: {error}".splitlines()[0]
            continue
        found.append(peer)
    return found, missing
