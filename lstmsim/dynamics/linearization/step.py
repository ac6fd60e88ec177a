"""The map of one sample: every signal as a function of the delays' and sources' outputs.

A delay's output is its state, so that no signal depends on another sample: all samples of a run
are computed at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from bdsim.blockdiagram import BlockDiagram

from lstmsim.base import Array, CompilationError, DiagramError
from lstmsim.diagram import Interface, interface_of
from lstmsim.engine import Graph, Node, lower, make_schedule, op_arguments
from lstmsim.engine import evaluate as evaluate_nodes

#: Arrays of shape (samples, width), or (1, width) where they are the same at every sample.
Signals = dict[str, Array]


@dataclass(frozen=True)
class SampleMap:
    """A diagram's computation of one sample.

    Parameters
    ----------
    graph : Graph
        The diagram's operations.
    nodes : tuple of Node
        All but the delays, in the order of computation.
    settings : dict
        The arguments of each node's operation, by signal name.
    interface : Interface
        What the sample can be given.
    """

    graph: Graph
    nodes: tuple[Node, ...]
    settings: dict[str, dict[str, Any]]
    interface: Interface

    @property
    def states(self) -> dict[str, int]:
        """The delays: widths by name."""
        return {name: node.width for name, node in self.graph.delays.items()}

    def check_has_states(self, caller: str, lacks: str) -> None:
        """Refuse a diagram without delays, which lacks something therefore."""
        if not self.states:
            raise DiagramError(
                f"a diagram without delays has no {lacks}",
                where=caller,
                given="no UNITDELAY or ZOH",
                expected="at least one delay",
            )

    @property
    def outputs(self) -> dict[str, int]:
        """The signals that drive the sinks, each once: widths by name."""
        widths = self.widths
        return {name: widths[name] for name in self.graph.outputs}

    @property
    def widths(self) -> dict[str, int]:
        """The width of every signal by name."""
        return self.graph.widths

    def driver(self, delay: str) -> str:
        """Return the signal that a delay stores."""
        return self.graph.nodes[delay].inputs[0]


def sample_map(diagram: BlockDiagram) -> SampleMap:
    """Return a diagram's map of one sample, with the present values of its parameters.

    Raises
    ------
    InvalidTypeError
        If it is no diagram.
    DiagramError
        If a block does not lower to operations, or there is not exactly one clock.
    """
    graph = _lowered(diagram)
    ordered = tuple(
        node for stage in make_schedule(graph).stages for node in stage.nodes if not node.op.memory
    )
    arguments = {node.name: op_arguments(node, graph.parameters) for node in ordered}
    return SampleMap(graph, ordered, arguments, interface_of(diagram, graph.sources))


def _lowered(diagram: BlockDiagram) -> Graph:
    try:
        return lower(diagram)
    except CompilationError as error:
        # Another engine is of no help here.
        raise error.replace(
            mend="wire what is to be linearized of these blocks, on one clock",
        ) from None


def evaluate(step: SampleMap, known: Mapping[str, Array]) -> Signals:
    """Return every signal at all samples at once.

    Parameters
    ----------
    step : SampleMap
        The map.
    known : mapping of ndarray of shape (samples, width)
        The outputs of delays and sources.

    Returns
    -------
    dict of ndarray
        By signal name; a constant signal has one sample.
    """
    return evaluate_nodes(step.nodes, step.settings, known)


def next_states(step: SampleMap, known: Mapping[str, Array]) -> Signals:
    """Return the delays' outputs one sample later."""
    signals = evaluate(step, known)
    samples = max((len(value) for value in known.values()), default=1)
    return {
        name: np.broadcast_to(signals[step.driver(name)], (samples, width))
        for name, width in step.states.items()
    }
