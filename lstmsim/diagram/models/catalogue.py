"""The blocks that model files may have, and how their parameters are read from a block."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


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
BLOCKS: dict[str, dict[str, Parameter]] = {
    "SIGMOID": {},
    "TANH": {},
    "HADAMARD": {"nin": _NIN},
    "MATRIXGAIN": {"K": _attribute("array", "K")},
    "UNITDELAY": {"clock": _CLOCK, "x0": _STATE},
    "FROMWORKSPACE": {
        "clock": _CLOCK,
        "values": _attribute("array", "values"),
        "width": _attribute("count", "width"),
    },
    "TOWORKSPACE": {"clock": _CLOCK},
    "SUM": {"signs": _attribute("text", "signs"), "mode": _attribute("text", "mode")},
    "CONSTANT": {"value": _attribute("vector", "value")},
    "GAIN": {"K": _attribute("array", "K"), "premul": _attribute("flag", "premul")},
    "CLIP": {"min": _bound("min"), "max": _bound("max")},
    "MUX": {"nin": _NIN},
    "DEMUX": {"nout": _attribute("count", "nout")},
    "INDEX": {"index": _attribute("counts", "index")},
    "ZOH": {"clock": _CLOCK, "x0": _STATE},
    "TIME": {"value": Parameter("any", lambda block: None)},
    "STEP": {name: _attribute("number", name) for name in ("T", "off", "on")},
    "RAMP": {name: _attribute("number", name) for name in ("T", "off", "slope")},
    "WAVEFORM": {
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
    "NULL": {"nin": _NIN},
    "SCOPE": {
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
