"""The table of block kinds, this package's own and bdsim's: one row a kind.

A row tells the engines what a block computes, training which of its arrays may change, model
files which parameters it has, and the drawing what it looks like.  bdsim's own blocks have no
class of ours to carry that; for ours the operation comes from the class.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from lstmsim.base import Array
from lstmsim.blocks._ops import OPS


class Lowered(NamedTuple):
    """The operation that computes one output of a block, or a signal inside it.

    Parameters
    ----------
    op : str
        Its name in `OPS`.
    arrays : mapping of ndarray
        Its parameters that may be trained.
    static : mapping
        The other ones, which are part of the structure: numbers and tuples, which compare.
    inputs : tuple of int or str, optional
        What it reads: input ports by number, signals inside the block by name, and "" for the
        block's output; all input ports in order if not given.
    name : str
        Of a signal inside the block; "" for the outputs, which come in order.
    width : int
        Elements of a signal inside the block.
    """

    op: str
    arrays: Mapping[str, Array]
    static: Mapping[str, Any]
    inputs: tuple[int | str, ...] | None = None
    name: str = ""
    width: int = 0


@dataclass(frozen=True)
class Parameter:
    """One parameter that a block has in model files.

    Parameters
    ----------
    kind : str
        "array", "vector", "number", "count", "counts", "flag", "text", "any" or "clock".
    attribute : str
        The block's attribute with its value; "" where `read` does not read one.
    read : callable
        From a block to the parameter's value, None for the default.
    """

    kind: str
    attribute: str
    read: Callable[[Any], Any]


@dataclass(frozen=True)
class BlockKind:
    """What there is to know of the blocks of one kind.

    Parameters
    ----------
    name : str
        Its key in `KINDS`: the name of its class in capitals.
    file : mapping of Parameter, optional
        Its parameters in model files, by name; None if model files may not have it.
    lower : callable, optional
        From a block to the operation of every output; None if no engine but bdsim computes it.
    why_not : callable, optional
        From a block to the reason why this one does not lower; "" if it does.
    of_time : bool
        Whether it is a source that is a function of time: it does not lower, but computes its
        samples itself.
    trained : mapping of str
        The attributes that hold the arrays which may be trained, by the operation's names.
    write : callable, optional
        ``write(block, name, array)``: puts such an array into a block, where that is more than
        setting the attribute.
    symbol : str
        What is drawn on it; the name in small letters if empty.
    shape : str
        "box", "triangle" or "arrow".
    labelled : bool
        Whether the block's own name is drawn on it, and the symbol only where there is no room.
    text : str
        The parameter whose text the drawing shows: signs of a sum, a gain's number.
    """

    name: str
    file: Mapping[str, Parameter] | None = None
    lower: Callable[[Any], list[Lowered]] | None = None
    why_not: Callable[[Any], str] = lambda block: ""
    of_time: bool = False
    trained: Mapping[str, str] = field(default_factory=dict)
    write: Callable[[Any, str, Array], None] | None = None
    symbol: str = ""
    shape: str = "box"
    labelled: bool = False
    text: str = ""

    @property
    def structure(self) -> tuple[str, ...]:
        """The attributes of a block that its operation is made from, trained ones aside."""
        read = (parameter.attribute for parameter in (self.file or {}).values())
        return tuple(name for name in read if name and name not in self.trained.values())

    def assign(self, block: Any, name: str, array: Array) -> None:
        """Put an array, named and shaped as lowering returns it, into a block."""
        value = np.array(array, np.float64)
        if self.write is None:
            setattr(block, self.trained[name], value)
        else:
            self.write(block, name, value)

    def elementwise(self, block: Any) -> bool:
        """Whether each output element comes from the same elements of the inputs, now or before."""
        if self.lower is None or block.nout != 1:
            return False
        op = OPS[self.lower(block)[0].op]
        return op.elementwise or op.memory


def _attribute(kind: str, name: str) -> Parameter:
    return Parameter(kind, name, lambda block: getattr(block, name))


def _attributes(kind: str, *names: str) -> dict[str, Parameter]:
    return {name: _attribute(kind, name) for name in names}


def _derived(kind: str, value: Any = None) -> Parameter:
    """Return a parameter that a block does not keep as it was given."""
    return Parameter(kind, "", lambda block: value)


def _bound(name: str) -> Parameter:
    # JSON has no infinity; without the parameter the block is unbounded on that side.
    def read(block: Any) -> Any:
        value = getattr(block, name)
        return None if np.isinf(value).all() else value

    return Parameter("array", name, read)


_CLOCK = _derived("clock", "=clock")
_STATE = _attribute("vector", "_x0")
_NIN = {"nin": Parameter("count", "", lambda block: block.nin)}


# ---------------------------------------------------------------------------------------
# Lowering


def _numbers(values: Any) -> float | tuple[float, ...]:
    """Return a number or numbers in a form that compares."""
    array = np.asarray(values, float)
    return float(array) if array.ndim == 0 else tuple(array.reshape(-1).tolist())


def _own(block: Any) -> list[Lowered]:
    """Return the operation that a block of this package is made on."""
    parameters = block.op_parameters()
    trained = {name: parameters[name] for name in block.op.trained}
    static = {name: _numbers(value) for name, value in parameters.items() if name not in trained}
    return [Lowered(block.op.name, trained, static)]


def _gain(block: Any) -> list[Lowered]:
    K = np.asarray(block.K, float)
    if K.ndim == 0:
        return [Lowered("scale", {"k": K}, {})]
    return [Lowered("matvec", {"K": K if block.premul else K.T}, {})]


def _gain_refused(block: Any) -> str:
    if np.ndim(block.K) in (0, 2):
        return ""
    return f"a gain of shape {np.shape(block.K)}, neither a number nor a matrix"


def _write_gain(block: Any, name: str, array: Array) -> None:
    if name == "k":
        block.K = float(array)
    else:
        block.K = array if block.premul else array.T


def _write_constant(block: Any, name: str, array: Array) -> None:
    block.value = array if np.ndim(block.value) else float(array[0])


def _sum_refused(block: Any) -> str:
    wraps = block.mode is not None and set(block.mode) != {"r"}
    return f"a sum that wraps angles (mode={block.mode!r})" if wraps else ""


def _taps(block: Any) -> list[Lowered]:
    """Return a delay of all samples at once: the input and what is kept of them come next."""
    total = block.ndstates
    kept = total - total // block.n
    x0 = {"x0": block._x0}
    if not kept:
        return [Lowered("delay", x0, {})]
    return [
        Lowered("delay", x0, {}, ("next",)),
        Lowered("take", {}, {"index": tuple(range(kept))}, ("",), "kept", kept),
        Lowered("concatenate", {}, {}, (0, "kept"), "next", total),
    ]


def _take(*indices: tuple[int, ...]) -> list[Lowered]:
    return [Lowered("take", {}, {"index": index}) for index in indices]


def _ours(name: str, file: Mapping[str, Parameter] | None = None, **own: Any) -> BlockKind:
    return BlockKind(name, {} if file is None else file, _own, **own)


_ROWS = (
    # This package's own.
    _ours("SIGMOID", symbol="σ"),
    _ours("TANH", symbol="tanh"),
    _ours("HADAMARD", _NIN, symbol="×"),
    _ours(
        "MATRIXGAIN",
        _attributes("array", "K"),
        trained={"K": "K"},
        symbol="K",
        shape="triangle",
        labelled=True,
    ),
    _ours(
        "VECTORGAIN",
        _attributes("vector", "K"),
        trained={"k": "K"},
        symbol="K",
        shape="triangle",
        labelled=True,
    ),
    _ours("DIVIDE", symbol="÷"),
    _ours("RELU"),
    _ours("LEAKYRELU", _attributes("number", "slope"), symbol="leaky"),
    _ours("ELU", _attributes("number", "alpha")),
    _ours("SOFTPLUS"),
    _ours("SOFTSIGN"),
    _ours("HARDSIGMOID", _attributes("number", "slope", "offset"), symbol="hard σ"),
    _ours("ABS", symbol="|u|"),
    _ours("EXP", symbol="exp"),
    _ours("SQRT", symbol="√"),
    _ours("SOFTMAX"),
    _ours("NORMALIZE"),
    _ours("DOT", symbol="·"),
    _ours("UNITDELAY", {"clock": _CLOCK, "x0": _STATE}, trained={"x0": "_x0"}, symbol="$z^{-1}$"),
    BlockKind(
        "TAPPEDDELAY",
        {"clock": _CLOCK, **_attributes("count", "n"), "x0": _STATE},
        _taps,
        trained={"x0": "_x0"},
        symbol="taps",
    ),
    BlockKind(
        "FROMWORKSPACE",
        {"clock": _CLOCK, **_attributes("array", "values"), **_attributes("count", "width")},
        symbol="from",
        shape="arrow",
        labelled=True,
    ),
    BlockKind("TOWORKSPACE", {"clock": _CLOCK}, symbol="to", shape="arrow", labelled=True),
    # bdsim's that lower.
    BlockKind(
        "SUM",
        _attributes("text", "signs", "mode"),
        lambda block: [Lowered("add", {}, {"signs": block.signs})],
        _sum_refused,
        symbol="Σ",
        text="signs",
    ),
    BlockKind(
        "CONSTANT",
        _attributes("vector", "value"),
        lambda block: [
            Lowered("constant", {"value": np.atleast_1d(np.asarray(block.value, float))}, {})
        ],
        trained={"value": "value"},
        write=_write_constant,
        symbol="const",
        labelled=True,
    ),
    BlockKind(
        "GAIN",
        {**_attributes("array", "K"), **_attributes("flag", "premul")},
        _gain,
        _gain_refused,
        trained={"k": "K", "K": "K"},
        write=_write_gain,
        symbol="K",
        shape="triangle",
        labelled=True,
        text="K",
    ),
    BlockKind(
        "CLIP",
        {"min": _bound("min"), "max": _bound("max")},
        lambda block: [
            Lowered("clip", {}, {"low": _numbers(block.min), "high": _numbers(block.max)})
        ],
    ),
    BlockKind("MUX", _NIN, lambda block: [Lowered("concatenate", {}, {})]),
    BlockKind(
        "DEMUX",
        {"nout": Parameter("count", "", lambda block: block.nout)},
        lambda block: _take(*((port,) for port in range(block.nout))),
    ),
    BlockKind(
        "INDEX",
        _attributes("counts", "index"),
        lambda block: _take(tuple(int(j) for j in block.index)),
        symbol="[ ]",
    ),
    BlockKind(
        "ZOH",
        {"clock": _CLOCK, "x0": _STATE},
        lambda block: [Lowered("delay", {"x0": block._x0}, {})],
        trained={"x0": "_x0"},
        symbol="ZOH",
    ),
    # bdsim's that are functions of time.
    BlockKind("TIME", {"value": _derived("any")}, of_time=True),
    BlockKind("STEP", _attributes("number", "T", "off", "on"), of_time=True),
    BlockKind("RAMP", _attributes("number", "T", "off", "slope"), of_time=True),
    BlockKind("PIECEWISE", of_time=True),
    BlockKind(
        "WAVEFORM",
        {
            "wave": _attribute("text", "wave"),
            "freq": _attribute("number", "freq"),
            "unit": _derived("text", "Hz"),
            **_attributes("number", "phase", "amplitude", "offset"),
            # bdsim turns these two into amplitude and offset when the block is made.
            "min": _derived("number"),
            "max": _derived("number"),
            "duty": _attribute("number", "duty"),
        },
        of_time=True,
    ),
    # bdsim's that model files may have, and that compute nothing.
    BlockKind("NULL", _NIN),
    BlockKind(
        "SCOPE",
        {
            **_NIN,
            **_attributes("any", "vector", "styles"),
            **_attributes("flag", "stairs"),
            **_attributes("any", "scale", "labels", "grid"),
            **_attributes("text", "title", "loc"),
        },
    ),
    # bdsim's that are drawn with a symbol.
    BlockKind("PROD", symbol="×"),
    BlockKind("INTEGRATOR", symbol="$1/s$"),
    BlockKind("DERIV", symbol="$s$"),
)
KINDS: dict[str, BlockKind] = {kind.name: kind for kind in _ROWS}


def kind_of(block: Any) -> BlockKind:
    """Return the row of a block's kind; one that knows nothing of it, if the table has none."""
    name = str(block.type).upper()
    return KINDS.get(name) or BlockKind(name)
