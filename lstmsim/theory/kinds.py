"""The door of theory that holds for one kind of layer."""

from __future__ import annotations

from typing import Any

from lstmsim.base import InvalidTypeError
from lstmsim.networks import LSTM, Network


def lstm_layers(
    network: Any, where: str, expected: str = "Network", mend: str | None = None
) -> tuple[LSTM, ...]:
    """Return the recurrent layers of a network, if all of them are LSTM layers.

    The proofs and formulas use the equations of the LSTM layer: for another kind, or one that is
    derived from it, they would claim what is not so.

    Raises
    ------
    InvalidTypeError
        If it is no network, or has a layer of another kind.
    """
    if not isinstance(network, Network):
        raise InvalidTypeError(
            f"{where} needs a network",
            given=type(network).__name__,
            expected=expected,
            mend=mend,
        )
    others = [layer for layer in network.recurrent if type(layer) is not LSTM]
    if others:
        raise InvalidTypeError(
            f"{where} holds for LSTM layers alone: its equations are theirs",
            where=where,
            given=", ".join(map(repr, others)),
            expected="recurrent layers that are all LSTM(...)",
            mend="linearize(build(network), ...) reads any network, one run at a time",
        )
    return network.recurrent
