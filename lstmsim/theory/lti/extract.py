"""The linear system in a network's weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy.typing as npt

from lstmsim.base import InvalidValueError, real_array
from lstmsim.networks import LSTM, Network
from lstmsim.theory.lti.linearity import SATURATED, gate_deviations, parts, read
from lstmsim.theory.lti.systems import input_limits

if TYPE_CHECKING:
    import control

#: The largest distance of a gate from 0 or 1; it causes a relative error of the same size.
SATURATION = 1e-6


def extract(
    network: Network, scale: float = 1e-3, *, input_range: npt.ArrayLike = 1.0
) -> control.StateSpace:
    """Read the linear system in a network's weights.

    With saturated gates (i = o = 1, f = 0) and small signals h = R_g h⁻ + W_g u.  With states
    x = h⁻ / s that is

        A = R_g,    B = W_g / s,    C = s·F·R_g,    D = F·W_g.

    Parameters
    ----------
    network : Network
        One LSTM layer, with or without a head.  Biases of the gate g and of the head only
        shift the output; `linearity` has the shift as `offset`.
    scale : float, optional
        The scale s of the states; it changes no input-output behaviour.
    input_range : float or array_like of shape (m,), optional
        The largest |u| for which the gates have to be saturated.

    Returns
    -------
    control.StateSpace
        Of as many states as the network has units, dt = Ts.  How far the network is from it:
        ``linearity(network, input_range)``.

    Raises
    ------
    InvalidTypeError, InvalidValueError, ShapeError
        If it is no such network, a gate is not saturated, or the scale is not positive.

    Examples
    --------
    >>> import lstmsim as ls
    >>> network = ls.lti.approximate(ls.lti.published_system())
    >>> print(f"{ls.lti.extract(network).dcgain():.4f}")
    7.5351
    """
    import control

    layer, _, _ = parts(network, "extract")
    s = checked_scale(scale, "extract")
    _check_saturated(layer, input_range)
    system = read(network)
    return control.ss(system.A, system.B / s, s * system.C, system.D, system.dt)


def checked_scale(scale: float, where: str) -> float:
    """Return a scale that is one positive number."""
    array = real_array(scale, "scale", where)
    if array.size != 1 or array.reshape(-1)[0] <= 0:
        raise InvalidValueError(
            "the scale is not a positive number",
            where=where,
            given=f"scale = {scale!r}",
            expected="one number > 0, such as 1e-3",
        )
    return float(array.reshape(-1)[0])


def _check_saturated(layer: LSTM, input_range: npt.ArrayLike) -> None:
    limits = input_limits(input_range, layer.n_inputs, "extract")
    deviations = gate_deviations(layer, limits)
    off = {gate: size for gate, size in deviations.items() if not size <= SATURATION}
    if off:
        gates = [
            f"gate {gate} can be {size:.2g} away from {SATURATED[gate]:g}"
            for gate, size in off.items()
        ]
        raise InvalidValueError(
            "the network is not linear: its gates are not saturated",
            where="extract",
            given="; ".join(gates),
            expected=f"i and o within {SATURATION:g} of 1, f within {SATURATION:g} of 0, for all "
            "states and inputs in the range",
            mend="linearise the diagram about a trajectory instead; or is the input range, "
            f"|u| ≤ {', '.join(f'{u:g}' for u in limits)}, larger than the inputs are?",
        )
