"""Bounds of a layer's gates and states, for all inputs within a bound."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from lstmsim.base import FloatArray
from lstmsim.networks import GATES, LSTM

#: Rounds in which the box of the states shrinks.  Every box is valid, so any number is.
ROUNDS = 100


@dataclass(frozen=True)
class Bounds:
    """Bounds of one layer's gates and states, unit by unit, while |u| and |h| keep to theirs.

    Parameters
    ----------
    i, f, g, o : ndarray of shape (N,)
        Largest values of the gates, of g the largest magnitude.
    slope_i, slope_f, slope_g, slope_o : ndarray of shape (N,)
        Largest slopes of the gates' activation functions.
    leak : ndarray of shape (N,)
        1 − f, without the cancellation.
    h, c : ndarray of shape (N,)
        The box |h| ≤ h, |c| ≤ c, which no trajectory leaves; c is infinite where nothing leaks.
    """

    i: FloatArray
    f: FloatArray
    g: FloatArray
    o: FloatArray
    slope_i: FloatArray
    slope_f: FloatArray
    slope_g: FloatArray
    slope_o: FloatArray
    leak: FloatArray
    h: FloatArray
    c: FloatArray


def norm_bounds(layer: LSTM, u: FloatArray) -> Bounds:
    """Return the bounds of the literature: one a gate, from the ∞-norm of [W·u, R, b].

    Parameters
    ----------
    layer : LSTM
        The layer.
    u : ndarray of shape (Ni,)
        Largest magnitude of each of its inputs.
    """
    ones = np.ones(layer.n_units)
    largest = {}
    for gate in GATES:
        spread, b = _spread(layer, gate, u, ones)
        largest[gate] = ones * np.max(spread + np.abs(b))
    quarter = ones / 4
    return _bounds(largest, (quarter, quarter, ones, quarter), np.tanh(largest["g"]), ones)


def interval_bounds(layer: LSTM, u: FloatArray) -> Bounds:
    """Return tighter bounds: unit by unit, the bias with its sign, in the smallest box found.

    Parameters
    ----------
    layer : LSTM
        The layer.
    u : ndarray of shape (Ni,)
        Largest magnitude of each of its inputs.
    """
    bounds = _intervals(layer, u, np.ones(layer.n_units))
    for _ in range(ROUNDS):
        # The states enter this box and do not leave it, so the gates have tighter bounds in it.
        h = np.minimum(bounds.h, bounds.o * np.tanh(bounds.c))
        if np.array_equal(h, bounds.h):
            break
        bounds = _intervals(layer, u, h)
    return bounds


def _intervals(layer: LSTM, u: FloatArray, h: FloatArray) -> Bounds:
    upper, slopes = {}, {}
    for gate in GATES:
        spread, b = _spread(layer, gate, u, h)
        upper[gate] = spread + b
        nearest = np.maximum(0.0, np.abs(b) - spread)  # where the activation is steepest
        if gate == "g":
            magnitude = np.tanh(spread + np.abs(b))
            slopes[gate] = 4 * expit(2 * nearest) * expit(-2 * nearest)  # 1 − tanh²
        else:
            slopes[gate] = expit(nearest) * expit(-nearest)
    i, f, g, o = (slopes[gate] for gate in GATES)
    return _bounds(upper, (i, f, g, o), magnitude, h)


def _spread(layer: LSTM, gate: str, u: FloatArray, h: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the largest distance of a gate's sum from its bias, rounded up, and the bias."""
    W, R, b = layer.gate(gate)
    spread = np.abs(W) @ u + np.abs(R) @ h
    terms = layer.n_inputs + layer.n_units + 8  # 8: the few roundings of h and after the sum
    return spread + terms * np.finfo(float).eps * (spread + np.abs(b)), b


def _bounds(
    upper: dict[str, FloatArray],
    slopes: tuple[FloatArray, FloatArray, FloatArray, FloatArray],
    g: FloatArray,
    h: FloatArray,
) -> Bounds:
    i, f, o = (expit(upper[gate]) for gate in "ifo")
    leak = expit(-upper["f"])
    c = np.divide(i * g, leak, out=np.full_like(g, np.inf), where=leak > 0)
    return Bounds(i, f, g, o, *slopes, leak=leak, h=h, c=c)
