"""Summaries of models: blocks, their parameters and the widths of their signals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np

from lstmsim.base import DiagramError, Report, Row, TableData, numbers, texts
from lstmsim.blocks import KINDS, kind_of
from lstmsim.diagram import host, structure
from lstmsim.diagram.models import expressions
from lstmsim.diagram.models.catalogue import BLOCKS, SKIPPED
from lstmsim.diagram.models.reading import load, read_entries


@dataclass(frozen=True)
class BlockSummary:
    """One block: its name, type, drivers, parameters, and its signals' widths."""

    name: str
    kind: str
    driven_by: tuple[str, ...]
    parameters: dict[str, str]
    widths: tuple[int, ...]


@dataclass(frozen=True)
class ModelSummary(Report):
    """A model file, with or without a workspace; ``str(summary)`` is a table that a person reads.

    Parameters
    ----------
    file : str
        Its name.
    blocks : tuple of BlockSummary
        The blocks in the file's order.
    needs : tuple of str
        The workspace names that its expressions use.
    Ts : float or None
        Sample time in seconds, if there is a workspace.
    n_parameters : int or None
        Numbers in its gains and constants, if there is a workspace.
    n_states : int or None
        Numbers in its delays, if there is a workspace.
    """

    file: str
    blocks: tuple[BlockSummary, ...]
    needs: tuple[str, ...]
    Ts: float | None
    n_parameters: int | None
    n_states: int | None

    @property
    def title(self) -> str:
        """The file's name."""
        return self.file

    @property
    def tables(self) -> tuple[TableData, ...]:
        """The blocks."""
        sized = self.Ts is not None
        rows = []
        for block in self.blocks:
            parameters = (f"{k} = {v.removeprefix('=')}" for k, v in block.parameters.items())
            cells = (block.name, block.kind, ", ".join(block.driven_by), ", ".join(parameters))
            rows.append(Row((*cells, ", ".join(map(str, block.widths))) if sized else cells))
        columns = texts("block", "type", "driven by", "parameters")
        columns += numbers("width") if sized else ()
        return (TableData(columns, tuple(rows), self.file),)

    @property
    def summary(self) -> str:
        """The figures in a few lines."""
        counts = Counter(block.kind for block in self.blocks)
        kinds = ", ".join(f"{n} {kind}" for kind, n in counts.most_common())
        lines = [f"{len(self.blocks)} blocks: {kinds}"]
        if self.needs:
            lines.append(f"names of the workspace that it uses: {' '.join(self.needs)}")
        if self.Ts is None:
            lines.append("give --workspace to see sizes, parameters and the sample time")
        else:
            lines.append(
                f"sample time {self.Ts:g} s, {self.n_states} states, "
                f"{self.n_parameters} parameters in gains and constants"
            )
        return "\n".join(lines)

    @property
    def content(self) -> dict[str, Any]:
        """All of it."""
        return asdict(self)


def summarize(path: str | Path, workspace: Mapping[str, Any] | None = None) -> ModelSummary:
    """Return the summary of a model file.

    Parameters
    ----------
    path : path
        A `.bd` file.
    workspace : mapping, optional
        Its arrays; without them the expressions are shown, and no sizes.

    Raises
    ------
    LstmsimError
        As `load`.
    """
    file, entries, drivers = read_entries(path)
    blocks = [entry for entry in entries if entry.kind not in SKIPPED]
    needs = sorted(
        {name for e in blocks for tree in e.trees.values() for name in expressions.names(tree)}
        - {"clock"}
    )
    clocked = any(p.kind == "clock" for e in blocks for p in BLOCKS[e.kind].values())
    widths: dict[str, int] = {}
    Ts = n_parameters = n_states = None
    if workspace is not None:
        diagram = load(file, workspace)
        widths = host.signal_widths(diagram)
        used = structure.clocks(diagram)
        Ts = float(used[0].T) if used else None
        held = [
            (attribute == "_x0", np.size(getattr(b, attribute)))
            for b in diagram.blocklist
            for attribute in set(kind_of(b).trained.values())
        ]
        n_parameters = sum(size for is_state, size in held if not is_state)
        n_states = sum(size for is_state, size in held if is_state)
    owner = {s: (e, port) for e in blocks for port, s in enumerate(e.outputs)}

    def name_of(socket: int) -> str:
        entry, port = owner[socket]
        return entry.title if len(entry.outputs) == 1 else f"{entry.title}[{port}]"

    return ModelSummary(
        file=file.name,
        blocks=tuple(
            BlockSummary(
                entry.title,
                entry.kind,
                tuple(name_of(drivers[socket]) for socket in entry.inputs),
                {k: _short(v) for k, v in entry.parameters.items() if k != "clock"},
                tuple(widths[name_of(s)] for s in entry.outputs if widths),
            )
            for entry in blocks
        ),
        needs=(*needs, *(["Ts"] if clocked else [])),
        Ts=Ts,
        n_parameters=n_parameters,
        n_states=n_states,
    )


def wires(path: str | Path) -> nx.MultiDiGraph:
    """Return a model file's blocks and wires as a graph, which needs no workspace.

    Parameters
    ----------
    path : path
        A `.bd` file, or the name of a model that comes with the package.

    Returns
    -------
    networkx.MultiDiGraph
        As `structure.wire_graph` of the loaded diagram; connectors are followed through.

    Raises
    ------
    DiagramError
        If two blocks have the same title.
    FileAccessError, ModelFileError, ExpressionError
        As `load`, for errors that the file shows without a workspace.
    """
    _, entries, drivers = read_entries(path)
    graph = nx.MultiDiGraph()
    owner: dict[int, tuple[str, int]] = {}
    for entry in entries:
        if entry.kind in SKIPPED:
            continue
        if entry.title in graph:
            raise DiagramError(
                "two blocks have the same title",
                where=entry.where,
                given=repr(entry.title),
                expected="titles that differ",
                mend="rename one of them",
            )
        owner |= {socket: (entry.title, port) for port, socket in enumerate(entry.outputs)}
        text = {**entry.parameters, **dict.fromkeys(entry.trees, "")}.get(
            KINDS[entry.kind].text, ""
        )
        ports = (len(entry.inputs), len(entry.outputs))
        blockclass = host.simulator().block_library[entry.kind]["blockclass"]
        stateful = blockclass in ("sampled", "continuous")
        structure.add_block(
            graph, entry.title, entry.kind, ports, stateful=stateful, pos=entry.pos, text=text
        )
    for entry in entries:
        for into, socket in enumerate(entry.inputs if entry.kind not in SKIPPED else ()):
            start, out = owner[drivers[socket]]
            graph.add_edge(start, entry.title, out=out, into=into)
    return graph


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"array of shape {np.shape(value)}"
