"""The blocks that model files may have, and how their parameters are read from a block."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from bdsim.blocks import connections, displays, functions, sampled, sinks, sources
from bdsim.components import Block

from lstmsim.blocks.fromworkspace import FromWorkspace
from lstmsim.blocks.hadamard import Hadamard
from lstmsim.blocks.matrixgain import MatrixGain
from lstmsim.blocks.sigmoid import Sigmoid
from lstmsim.blocks.tanh import Tanh
from lstmsim.blocks.toworkspace import ToWorkspace
from lstmsim.blocks.unitdelay import UnitDelay


@dataclass(frozen=True)
class Parameter:
    """One parameter of a block that model files may have.

    Parameters
    ----------
    kind : str
        "array", "vector", "number", "count", "counts", "flag", "text", "any" or "clock".
    read : callable
        From a block to the parameter's value, None for the default.
    """

    kind: str
    read: Callable[[Any], Any]


def _attribute(kind: str, name: str) -> Parameter:
    return Parameter(kind, lambda block: getattr(block, name))


def _bound(name: str) -> Parameter:
    # JSON has no infinity; without the parameter the block is unbounded on that side.
    def read(block: Any) -> Any:
        value = getattr(block, name)
        return None if np.isinf(value).all() else value

    return Parameter("array", read)


_CLOCK = Parameter("clock", lambda block: "=clock")
_STATE = _attribute("vector", "_x0")
_NIN = _attribute("count", "nin")

#: The blocks that model files may have: this package's own, and a list of bdsim's.
BLOCKS: dict[str, tuple[type[Block], dict[str, Parameter]]] = {
    "SIGMOID": (Sigmoid, {}),
    "TANH": (Tanh, {}),
    "HADAMARD": (Hadamard, {"nin": _NIN}),
    "MATRIXGAIN": (MatrixGain, {"K": _attribute("array", "K")}),
    "UNITDELAY": (UnitDelay, {"clock": _CLOCK, "x0": _STATE}),
    "FROMWORKSPACE": (
        FromWorkspace,
        {
            "clock": _CLOCK,
            "values": _attribute("array", "values"),
            "width": _attribute("count", "width"),
        },
    ),
    "TOWORKSPACE": (ToWorkspace, {"clock": _CLOCK}),
    "SUM": (
        functions.Sum,
        {"signs": _attribute("text", "signs"), "mode": _attribute("text", "mode")},
    ),
    "CONSTANT": (sources.Constant, {"value": _attribute("vector", "value")}),
    "GAIN": (
        functions.Gain,
        {"K": _attribute("array", "K"), "premul": _attribute("flag", "premul")},
    ),
    "CLIP": (functions.Clip, {"min": _bound("min"), "max": _bound("max")}),
    "MUX": (connections.Mux, {"nin": _NIN}),
    "DEMUX": (connections.DeMux, {"nout": _attribute("count", "nout")}),
    "INDEX": (connections.Index, {"index": _attribute("counts", "index")}),
    "ZOH": (sampled.ZOH, {"clock": _CLOCK, "x0": _STATE}),
    "TIME": (sources.Time, {"value": Parameter("any", lambda block: None)}),
    "STEP": (
        sources.Step,
        {name: _attribute("number", name) for name in ("T", "off", "on")},
    ),
    "RAMP": (
        sources.Ramp,
        {name: _attribute("number", name) for name in ("T", "off", "slope")},
    ),
    "WAVEFORM": (
        sources.WaveForm,
        {
            "wave": _attribute("text", "wave"),
            "freq": _attribute("number", "freq"),
            "unit": Parameter("text", lambda block: "Hz"),
            "phase": _attribute("number", "phase"),
            "amplitude": _attribute("number", "amplitude"),
            "offset": _attribute("number", "offset"),
            # bdsim turns these two into amplitude and offset when the block is made.
            "min": Parameter("number", lambda block: None),
            "max": Parameter("number", lambda block: None),
            "duty": _attribute("number", "duty"),
        },
    ),
    "NULL": (sinks.Null, {"nin": _NIN}),
    "SCOPE": (
        displays.Scope,
        {
            "nin": _NIN,
            "vector": _attribute("any", "vector"),
            "styles": _attribute("any", "styles"),
            "stairs": _attribute("flag", "stairs"),
            "scale": _attribute("any", "scale"),
            "labels": _attribute("any", "labels"),
            "grid": _attribute("any", "grid"),
            "title": _attribute("text", "title"),
            "loc": _attribute("text", "loc"),
        },
    ),
}

#: Blocks that users reach for, and what serves instead.
INSTEAD = {
    "PROD": "HADAMARD: bdsim's PROD multiplies vectors as matrices",
    "FUNCTION": "blocks of the list: a model file cannot hold a Python function",
    "INTERPOLATE": "FROMWORKSPACE with the samples themselves",
    "SUBSYSTEM": "the blocks in place: sampled blocks cannot be in a subsystem",
}
#: Entries of a model file that are no blocks of the diagram.
SKIPPED = frozenset({"MAIN", "CONNECTOR"})
