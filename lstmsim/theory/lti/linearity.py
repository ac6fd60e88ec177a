"""Bounds of a network's error as a linear system, for every input in a range."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lstmsim.base import (
    FloatArray,
    InvalidValueError,
    ShapeError,
    count,
    precision,
)
from lstmsim.networks import LSTM, Network
from lstmsim.theory.kinds import lstm_layers
from lstmsim.theory.lti.peaks import absolute_sum
from lstmsim.theory.lti.report import Linearity
from lstmsim.theory.lti.systems import check_samples, discrete, input_limits

if TYPE_CHECKING:
    import control

#: h = o·tanh(c) with |c| ≤ 1 in saturated gates, so that |h| stays below tanh(1).
_LARGEST_H = math.tanh(1.0)
#: Roundings of one sample beyond the sums: two tanh of up to 4 units in the last place, the
#: products with i and o, the sum of c, in units of roundoff.
_ELEMENTWISE = 20
#: The values of the gates i, f, o in saturation.
SATURATED = {"i": 1.0, "f": 0.0, "o": 1.0}


def linearity(
    network: Network,
    input_range: npt.ArrayLike = 1.0,
    *,
    system: control.StateSpace | control.TransferFunction | None = None,
    dtype: npt.DTypeLike = "float64",
    samples: int | None = None,
) -> Linearity:
    """Bound the error of a network as a linear system, for every input in a range.

    With saturated gates h = tanh(tanh(R_g h⁻ + W_g u + b_g)).  A sample adds an error of at most
    ⅔·a³, where a is the largest argument of tanh; the loop amplifies it by up to Σ|F·R_gᵏ|.

    Parameters
    ----------
    network : Network
        One LSTM layer, with or without a head.
    input_range : float or array_like of shape (m,), optional
        The largest |u|, of all inputs or of each.
    system : control.StateSpace or control.TransferFunction, optional
        The linear system that the network stands for.  If given, the bound is of the difference
        to its output, else to that of the system that `extract` reads from the weights; either
        starts from rest.
    dtype : dtype, optional
        The precision that the network runs in.
    samples : int, optional
        The length of the run; of any length if not given.

    Returns
    -------
    Linearity
        `bound` and its parts; infinite if the network's loop does not decay.

    Raises
    ------
    InvalidTypeError, InvalidValueError, ShapeError
        If the network or the system is of another kind, or they do not fit one another.

    Examples
    --------
    >>> import lstmsim as ls
    >>> system = ls.lti.published_system()
    >>> network = ls.lti.approximate(system, scale="auto")
    >>> ls.lti.linearity(network, system=system).relative < 1e-11
    True
    """
    layer, _, _ = parts(network, "linearity")
    limits = input_limits(input_range, layer.n_inputs, "linearity")
    precision(dtype)
    check_samples(samples, "linearity")
    if system is None:
        return bounds(network, limits, None, dtype, samples)
    wanted = discrete(system, network.Ts, "linearity")
    _check_fits(wanted, read(network))
    return bounds(network, limits, wanted, dtype, samples)


def bounds(
    network: Network,
    limits: FloatArray,
    system: control.StateSpace | None,
    dtype: npt.DTypeLike,
    samples: int | None,
) -> Linearity:
    """Return `linearity` of arguments that are known to fit."""
    layer, gain, bias = parts(network, "linearity")
    W, R, b = layer.gate("g")
    unit = float(np.finfo(np.dtype(dtype)).eps) / 2
    ones = np.eye(len(R))
    deviations, top = gate_deviations(layer, limits), _largest_h(layer)

    def errors(a: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        h = np.minimum(np.maximum(a, np.abs(layer.h0)), top)
        terms = (R.shape[0] + W.shape[1] + 5) * unit
        sums = np.abs(R) @ h + np.abs(W) @ limits + np.abs(b)
        cell = a / max(1 - deviations["f"], unit) + np.abs(layer.c0)
        off = (deviations["i"] + deviations["o"]) * a + deviations["f"] * cell
        return np.minimum(2 / 3 * a**3, a), terms * sums + _ELEMENTWISE * unit * h, off

    driven = np.hstack([W * limits, b[:, None], (R @ layer.h0)[:, None]])
    linear = absolute_sum(ones, R, driven, samples).sum(axis=1)
    cap = np.abs(R) @ top + np.abs(W) @ limits + np.abs(b)
    later = absolute_sum(ones, R, R, samples)
    a = _largest_sums(linear, later, cap, lambda a: sum(errors(a)))
    reach = absolute_sum(gain, R, ones, samples)
    nonlinear, rounding, gates = (_product(reach, error) for error in errors(a))
    largest = np.abs(gain) @ np.minimum(a, top)
    rounding += (len(R) + 3) * unit * (largest + np.abs(bias))
    in_weights = read(network)
    constant = np.stack([b, R @ layer.h0], axis=1)
    rest = absolute_sum(gain, R, constant, samples).sum(axis=1) + np.abs(bias)
    peak = _peak(in_weights if system is None else system, limits, samples)
    # A saturated network's output is bounded, and so is its distance from the linear one.
    nonlinear = np.minimum(nonlinear, largest + peak)
    weights = np.zeros(len(gain))
    if system is not None:
        weights = _peak(system - in_weights, limits, samples)
    return Linearity(
        nonlinear=_plain(nonlinear),
        rounding=_plain(rounding),
        gates=_plain(gates),
        weights=_plain(weights),
        rest=_plain(rest),
        peak=_plain(peak),
        offset=_plain(offset(network)),
        deviations=deviations,
        amplitude=float(a.max()),
        input_range=_plain(limits),
        dtype=str(np.dtype(dtype)),
    )


def _plain(values: FloatArray) -> tuple[float, ...]:
    return tuple(values.tolist())


def parts(network: Any, where: str) -> tuple[LSTM, FloatArray, FloatArray]:
    """Return the one layer of a network, and gain and bias of its head.

    Raises
    ------
    InvalidTypeError
        If it is no network, or its recurrent layer is none of LSTM.
    InvalidValueError
        If it has several recurrent layers.
    """
    layers = lstm_layers(network, where)
    if len(layers) > 1:
        raise InvalidValueError(
            "a network with several recurrent layers has no linear system in its weights alone",
            where=where,
            given=repr(network),
            expected="one LSTM layer, with or without a Dense head",
            mend="look at its layers one by one, or linearise the diagram",
        )
    layer, head = layers[0], network.head
    gain = np.eye(layer.n_units) if head is None else np.array(head.F)
    bias = None if head is None else head.bias
    return layer, gain, np.zeros(len(gain)) if bias is None else np.array(bias)


def read(network: Network) -> control.StateSpace:
    """Return the linear system in the weights, with states h⁻: A = R_g, B = W_g, …."""
    import control

    layer, gain, _ = parts(network, "extract")
    W, R, _ = layer.gate("g")
    return control.StateSpace(
        np.array(R), np.array(W), gain @ R, gain @ W, network.Ts, remove_useless_states=False
    )


def offset(network: Network) -> FloatArray:
    """Return the limit of the linear system's output without input, from the network's biases."""
    layer, gain, bias = parts(network, "extract")
    _, R, b = layer.gate("g")
    if not b.any():
        return bias
    return np.asarray(gain @ np.linalg.lstsq(np.eye(len(R)) - R, b, rcond=None)[0] + bias)


def gate_deviations(layer: LSTM, limits: FloatArray) -> dict[str, float]:
    """Return the largest distances of the gates i, f, o from 1, 0, 1, for all states."""
    found = {}
    for gate, value in SATURATED.items():
        W, R, b = layer.gate(gate)
        swing = np.abs(W) @ limits + np.abs(R) @ _largest_h(layer)
        distance = (b if value else -b) - swing
        with np.errstate(over="ignore"):
            found[gate] = float((1 / (1 + np.exp(distance))).max())
    return found


def _largest_h(layer: LSTM) -> FloatArray:
    return np.asarray(np.maximum(_LARGEST_H, np.abs(layer.h0)))


def _largest_sums(linear: FloatArray, later: FloatArray, cap: FloatArray, errors: Any) -> Any:
    """Return a bound a of tanh's argument: a ≥ linear + Σ_{k≥1}|Rᵏ|·errors(a)."""
    a = np.minimum(linear, cap)
    for _ in range(200):
        grown = np.minimum(linear + _product(later, errors(a)), cap)
        if (grown <= a * (1 + 1e-12)).all():
            return grown * (1 + 1e-9)
        a = grown
    return cap


def _product(matrix: FloatArray, vector: FloatArray) -> FloatArray:
    """Return a product in which infinity times zero is zero: a sum that is not excited."""
    with np.errstate(invalid="ignore"):
        terms = matrix * vector
    return np.asarray(np.where(vector == 0, 0.0, terms).sum(axis=1))


def _peak(system: control.StateSpace, limits: FloatArray, samples: int | None) -> FloatArray:
    """Return the largest magnitude that each output can reach."""
    response = absolute_sum(system.C, system.A, system.B, samples)
    return np.asarray((response + np.abs(system.D)) @ limits)


def _check_fits(system: control.StateSpace, in_weights: control.StateSpace) -> None:
    if system.D.shape != in_weights.D.shape:
        shapes = [
            f"{count(s.D.shape[1], 'input')} and {count(s.D.shape[0], 'output')}"
            for s in (system, in_weights)
        ]
        raise ShapeError(
            "the system and the network have other inputs or outputs",
            where="linearity",
            given=f"a system with {shapes[0]}",
            expected=f"{shapes[1]}, as the network has",
        )
