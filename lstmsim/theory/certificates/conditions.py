"""The two conditions: a comparison matrix, its spectral radius, and its largest term."""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import minimize

from lstmsim.base import FloatArray
from lstmsim.networks import LSTM
from lstmsim.theory.certificates.bounds import Bounds
from lstmsim.theory.certificates.report import Condition

#: A condition holds if its spectral radius is below 1 by more than this, far beyond rounding.
ROUNDING = 1e-9

#: Layers with more units are not scaled: the search for a scale would take minutes.
LARGEST_SCALED = 128

#: The terms of a comparison matrix: f is the memory, the others are named after their gains.
Terms = dict[str, FloatArray]


def conditions(
    name: str, kind: str, layer: LSTM, bounds: Bounds, scale: FloatArray
) -> list[Condition]:
    """Return both conditions of a layer under one kind of bounds.

    Parameters
    ----------
    name : str
        The layer's name.
    kind : str
        The kind of bounds, for the report.
    layer : LSTM
        The layer.
    bounds : Bounds
        The bounds of its gates and states.
    scale : ndarray of shape (N,)
        The weight of each unit in the norms, P = diag(scale).
    """
    checked = []
    for property_, terms in (
        ("ISS", iss_terms(layer, bounds, scale)),
        ("δISS", incremental_terms(layer, bounds, scale)),
    ):
        radius, shares = spectral_radius(terms)
        # Without a leak the bound of c is infinite, and so are terms that are not the cause.
        no_leak = bounds.leak.min() < ROUNDING
        largest = "f" if no_leak else max(shares, key=lambda term: shares[term])
        checked.append(
            Condition(
                layer=name,
                bounds=kind,
                condition=property_,
                holds=radius < 1 - ROUNDING,
                value=radius,
                margin=1 - radius,
                largest_term=_named(largest, layer, bounds, scale),
                terms=tuple(shares.items()),
            )
        )
    return checked


def iss_terms(layer: LSTM, bounds: Bounds, scale: FloatArray) -> Terms:
    """Return the terms of the comparison matrix of (‖c‖, ‖h‖)."""
    return {"f": _memory(bounds), "Rg": _through_cell("g", bounds.i, layer, bounds, scale)}


def incremental_terms(layer: LSTM, bounds: Bounds, scale: FloatArray) -> Terms:
    """Return the terms of the comparison matrix of the distances between two trajectories."""
    output = _norm(bounds.slope_o * np.tanh(bounds.c), layer.gate("o")[1], scale)
    return {
        "f": _memory(bounds),
        "Rg": _through_cell("g", bounds.slope_g * bounds.i, layer, bounds, scale),
        "Ri": _through_cell("i", bounds.slope_i * bounds.g, layer, bounds, scale),
        "Rf": _through_cell("f", bounds.slope_f * bounds.c, layer, bounds, scale),
        "Ro": np.array([[0.0, 0.0], [0.0, output]]),
    }


def spectral_radius(terms: Terms) -> tuple[float, dict[str, float]]:
    """Return the spectral radius of a sum of non-negative 2 × 2 matrices, and each one's share.

    The radius is homogeneous of degree one, so by Euler's theorem the shares, each term times
    the derivative by it, add up to the radius.  Infinite if a term is.

    Parameters
    ----------
    terms : dict of ndarray of shape (2, 2)
        The terms.
    """
    (a, b), (c, d) = np.sum(list(terms.values()), axis=0)
    root = math.hypot((a - d) / 2, math.sqrt(b) * math.sqrt(c))
    radius = float((a + d) / 2 + root)
    if not math.isfinite(radius):
        return math.inf, {t: float(np.sum(matrix)) for t, matrix in terms.items()}
    if root == 0:
        derivative = np.eye(2) / 2
    else:
        derivative = np.array([[radius - d, c], [b, radius - a]]) / (2 * root)
    return radius, {term: float(np.sum(derivative * matrix)) for term, matrix in terms.items()}


def best_scale(layer: LSTM) -> FloatArray:
    """Return weights of the units, P = diag(scale), that make ‖P·R_g·P⁻¹‖₂ small.

    Any weights give a sound certificate, so the search may stop anywhere.  It looks at R_g
    alone: the weights must not change with the input's bound, or a larger bound could come out
    with a larger margin.

    Parameters
    ----------
    layer : LSTM
        The layer.
    """
    R = layer.gate("g")[1]
    size = float(np.abs(R).max())
    ones = np.ones(len(R))
    if len(R) == 1 or len(R) > LARGEST_SCALED or size == 0:
        return ones
    logs = np.zeros(len(R))
    # The largest singular value is not smooth: the minima of smooth power sums approach it.
    for power in (2, 8, 32, 128):
        result = minimize(
            _power_sum,
            logs,
            (R / size, power),
            jac=True,
            method="L-BFGS-B",
            bounds=[(-16.0, 16.0)] * len(R),
            options={"maxiter": 100},
        )
        logs = result.x
    scale: FloatArray = np.exp(logs - logs.mean())
    return scale if _norm(ones, R, scale) < _norm(ones, R, ones) else ones


def _power_sum(logs: FloatArray, R: FloatArray, power: int) -> tuple[float, FloatArray]:
    """Return log(Σσᵖ)/p of the singular values of P·R·P⁻¹, and its gradient by log P."""
    u, s, v = np.linalg.svd(np.exp(logs)[:, None] * R * np.exp(-logs))
    relative = (s / s[0]) ** power
    total = relative.sum()
    gradient = (u**2 - v.T**2) @ (relative / total)
    return float(np.log(s[0]) + np.log(total) / power), gradient


def _memory(bounds: Bounds) -> FloatArray:
    """Return the gains from the cell state before, to c and to h."""
    return np.array([[np.max(bounds.f), 0.0], [np.max(bounds.o * bounds.f), 0.0]])


def _through_cell(
    gate: str, weight: FloatArray, layer: LSTM, bounds: Bounds, scale: FloatArray
) -> FloatArray:
    """Return the gains from h through one gate's recurrent weights, to c and to h."""
    R = layer.gate(gate)[1]
    into_c, into_h = _norm(weight, R, scale), _norm(bounds.o * weight, R, scale)
    return np.array([[0.0, into_c], [0.0, into_h]])


def _norm(weight: FloatArray, R: FloatArray, scale: FloatArray) -> float:
    """Return ‖P·diag(weight)·R·P⁻¹‖₂."""
    matrix = weight[:, None] * (scale[:, None] * R / scale)
    return float(np.linalg.norm(matrix, 2)) if np.isfinite(matrix).all() else math.inf


def _named(term: str, layer: LSTM, bounds: Bounds, scale: FloatArray) -> str:
    if term == "f":
        return f"forget gate f̄ = {np.max(bounds.f):.4g}"
    gate = term[1]
    norm = _norm(np.ones(layer.n_units), layer.gate(gate)[1], scale)
    symbol = f"‖R_{gate}‖₂" if np.ptp(scale) == 0 else f"‖P R_{gate} P⁻¹‖₂"
    if gate == "f":  # it moves the gate of a cell state as large as its bound
        return f"{symbol}·c̄ = {norm * np.max(bounds.c):.4g}"
    return f"{symbol} = {norm:.4g}"
