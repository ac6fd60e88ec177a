"""One step ahead: every sample of a diagram started from given states.

Where a network is chaotic two correct implementations part after some tens of samples.  Each
of their samples, started from the same states, still agrees.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from bdsim.blockdiagram import BlockDiagram

from lstmsim.base import InvalidValueError
from lstmsim.blocks import FromWorkspace, place
from lstmsim.diagram import host, interface_of, prepared, sequences, structure


def one_step_ahead(
    diagram: BlockDiagram, expected: xr.Dataset
) -> dict[str, npt.NDArray[np.float64]]:
    """Return every signal of a diagram, each sample computed from the expected side's states.

    Parameters
    ----------
    diagram : BlockDiagram
        Its delays and sources are signals of the expected traces.
    expected : Dataset
        Traces with the delays' outputs (the states) and the sources' samples.

    Returns
    -------
    dict of ndarray of shape (T, width)
        By signal name.

    Raises
    ------
    InvalidValueError
        If the traces lack a state or a source of the diagram.
    """
    host.compile_diagram(diagram)
    clocks = structure.clocks(diagram)
    given = {
        str(block.name): block
        for clock in clocks
        for block in clock.blocklist
        if block.nout and block.blockclass == "sampled"
    }
    lacking = [name for name in given if name not in expected]
    if lacking:
        raise InvalidValueError(
            "the expected traces lack states of the diagram",
            where="one step ahead",
            given=f"signals {', '.join(map(str, expected.data_vars))}",
            expected=", ".join(lacking),
        )
    driven = {name: expected[name].values for name in structure.sources(diagram)}
    (inputs,) = sequences(interface_of(diagram), driven, batches=False).inputs
    ports = structure.signal_ports(diagram)
    rows: dict[str, list[Any]] = {name: [] for name in ports}
    with prepared(diagram, inputs, {}, None), host.translated_errors(diagram):
        for k in range(expected.sizes["time"]):
            states = diagram.initial_state_map()
            for name, block in given.items():
                index = np.array([float(k)])
                is_source = isinstance(block, FromWorkspace)
                states[block] = (
                    index if is_source else np.asarray(expected[name][k], float).reshape(-1)
                )
            diagram.evaluate(states, k * clocks[0].T, sinks=False)
            for name, (block, port) in ports.items():
                rows[name].append(np.atleast_1d(block.outport_value(port)))
    for name, values in rows.items():
        if len({value.shape for value in values}) > 1:
            raise InvalidValueError("a signal changes its width", where=place(ports[name][0]))
    return {name: np.array(values, float) for name, values in rows.items()}
