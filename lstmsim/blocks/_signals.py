"""What the blocks share: reading a wire, and saying what is wrong with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from bdsim.components import Clock

from lstmsim.base import InvalidTypeError, ShapeError, count, real_array
from lstmsim.blocks._ops import Op


def place(block: Any, port: int | None = None) -> str:
    """Return the words for a block, or one of its input ports, in an error."""
    at = f"block {block.name!r} ({block.type.upper()})"
    if port is None:
        return at
    wires = getattr(block, "_input_wires", None)  # bdsim makes them when it compiles
    driver = f", driven by {wires[port].start.block.name!r}" if wires and wires[port] else ""
    return f"{at}, input port {port}{driver}"


def _driver_type(block: Any, port: int) -> str:
    wires = getattr(block, "_input_wires", None)
    return str(wires[port].start.block.type) if wires and wires[port] else ""


def label(kind: str, blockargs: dict[str, Any]) -> str:
    """Return the words for a block that is being made."""
    name = blockargs.get("name")
    return f"block {kind}" if name is None else f"block {name!r} ({kind})"


def signal(value: Any, block: Any, port: int) -> npt.NDArray[Any]:
    """Return the value of a wire as a vector; bdsim's sources put plain numbers on theirs.

    Raises
    ------
    ShapeError
        If the value is a matrix.
    """
    if type(value) is np.ndarray and value.ndim == 1:
        return value
    array = np.asarray(value)
    if array.ndim <= 1:
        return array.reshape(-1)
    raise ShapeError(
        "a wire carries a matrix",
        where=place(block, port),
        block=block.name,
        given=f"shape {array.shape}",
        expected="a number or a vector",
        mend="flatten it where it comes from: a constant of shape (n, 1) added to a vector "
        "makes an n × n matrix",
    )


def check_width(u: npt.NDArray[Any], width: int, block: Any, port: int, reason: str) -> None:
    """Refuse a vector that is not as wide as the block needs it."""
    if u.shape[0] != width:
        raise ShapeError(
            "a wire is not as wide as the block needs it",
            where=place(block, port),
            block=block.name,
            given=f"a signal of {count(u.shape[0], 'element')}",
            expected=f"{count(width, 'element')}, because {reason}",
            mend="an input has one row a sample, one column an element, and no column of time"
            if _driver_type(block, port) == "fromworkspace"
            else "look at the block that drives this port, or at this block's parameter",
        )


def checked_clock(clock: Any, where: str) -> Clock:
    """Return a clock, or say how to get one."""
    if isinstance(clock, Clock):
        return clock
    raise InvalidTypeError(
        "a sampled block has no clock",
        where=where,
        given=f"clock={clock!r}",
        expected="a bdsim clock",
        mend='make one with clock = bd.clock(Ts, name="clock"); in a model file write =clock',
    )


def checked_number(value: Any, name: str, where: str) -> float:
    """Return a finite real number."""
    array = real_array(value, name, where)
    if array.size != 1:
        raise ShapeError(
            f"{name} is not one number",
            where=where,
            given=f"shape {array.shape}",
            expected="a finite real number",
        )
    return float(array.reshape(()))


class OfOneWidth:
    """What blocks share that are one operation of inputs of one width."""

    op: Op

    def op_parameters(self) -> dict[str, Any]:
        """Return the operation's parameters."""
        return {}

    def output(self, t: float, u: list[Any], x: Any) -> list[npt.NDArray[Any]]:
        """Return the operation of the inputs."""
        inputs = tuple([signal(value, self, port) for port, value in enumerate(u)])
        for port in range(1, len(inputs)):
            width = inputs[0].shape[0]
            check_width(inputs[port], width, self, port, f"input port 0 has {width}")
        # An element that is not finite is found, and named, when the run is over.
        with np.errstate(all="ignore"):
            return [self.op.forward(inputs, self.op_parameters())]


class Elementwise(OfOneWidth):
    """What blocks share that are an element-wise operation."""

    def op_parameters(self) -> dict[str, Any]:
        """Return the operation's parameters: the block's attributes of the same names."""
        return {name: getattr(self, name) for name in self.op.element(1, {}).parameters}
