"""Certificates of a network: layer after layer, from the bound of its input."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lstmsim.base import (
    FloatArray,
    InvalidValueError,
    ShapeError,
    count,
    real_array,
    real_vector,
)
from lstmsim.networks import LSTM, Network
from lstmsim.theory.certificates.bounds import interval_bounds, norm_bounds
from lstmsim.theory.certificates.conditions import best_scale, conditions
from lstmsim.theory.certificates.report import Condition, InvariantSet, StabilityReport
from lstmsim.theory.kinds import lstm_layers


def stability(network: Network | LSTM, input_bound: npt.ArrayLike) -> StabilityReport:
    """Certify that a network is stable, for all inputs within a bound, from its weights alone.

    With bars for bounds over all inputs |u_j| ≤ ū_j and all h in a box, a layer is

    - input-to-state stable (ISS) if ρ = f̄ + ō·ī·‖R_g‖ < 1;
    - incrementally so (δISS) if the spectral radius ρ of [[f̄, α], [ō·f̄, ō·α + β]] is below
      1, with α = ¼·c̄·‖R_f‖ + ī·‖R_g‖ + ¼·ḡ·‖R_i‖, β = ¼·tanh(c̄)·‖R_o‖ and
      c̄ = ī·ḡ/(1 − f̄).

    Parameters
    ----------
    network : Network or LSTM
        The network.  A dense head has no states: where they come together, so do outputs.
    input_bound : float or array_like of shape (Ni,)
        Largest magnitude of all inputs, or of each.  It is not guessed from data: a
        certificate says nothing of inputs beyond it.

    Returns
    -------
    StabilityReport
        ``report.iss``, ``report.incremental``; every condition with its margin 1 − ρ and its
        largest term; ``str(report)`` states the guarantees, and what is not guaranteed.

    Raises
    ------
    InvalidTypeError
        If the network is not one of LSTM layers, or the bound is not made of real numbers.
    InvalidValueError, ShapeError
        If the bound is negative, NaN or infinite, or has not one number an input.

    Examples
    --------
    >>> import numpy as np
    >>> import lstmsim as ls
    >>> layer = ls.LSTM(np.full((4, 1), 0.5), np.full((4, 1), 0.2), [0, -1, 0, 0])
    >>> report = ls.stability(layer, 1.0)
    >>> report.iss, report.incremental
    (True, True)
    >>> [f"{c.bounds} {c.condition} {c.value:.4f}" for c in report.conditions]
    ['norm ISS 0.9348', 'norm δISS 1.0521', 'interval ISS 0.4734', 'interval δISS 0.5116']

    Notes
    -----
    **What is guaranteed.**  With | | elementwise, ‖ ‖ the 2-norm and δ the difference of two
    runs, δISS says that for some C and any λ between ρ and 1

        ‖(δc, δh)(k)‖ ≤ C·λᵏ·‖(δc, δh)(0)‖ + C/(1 − λ)·max ‖δu‖,

    and ISS the same of one run, with (c, h) and u in the place of (δc, δh) and δu, plus a
    constant that is zero where all b_g are.  δISS implies ISS: the other run is the rest state
    for u = 0.  The equations are taken as exact; a computed run has its rounding besides.

    **Proof.**  With ⁺ for the next sample, and runs 1 and 2 that both have |h| in the box,

        δc⁺ = f₁δc + δf⊙c₂ + i₁⊙δg + δi⊙g₂        δh⁺ = o₁⊙(tanh c₁⁺ − tanh c₂⁺) + δo⊙tanh c₂⁺

    are sums that hold exactly.  σ has slopes up to ¼ and tanh up to 1, so that ‖δf‖ ≤
    ¼(‖W_f δu‖ + ‖R_f‖‖δh‖), and alike for i, g and o; |g₂| ≤ ḡ; and |c₂| ≤ c̄ for run 2 in the
    set |c| ≤ c̄, which it does not leave because f̄c̄ + īḡ = c̄.  As c₂⁺ is in this set too,
    |tanh c₂⁺| ≤ tanh c̄.  So ‖δc⁺‖ ≤ f̄‖δc‖ + α‖δh‖ + …, and with ‖tanh c₁⁺ − tanh c₂⁺‖ ≤ ‖δc⁺‖
    also ‖δh⁺‖ ≤ ō(f̄‖δc‖ + α‖δh‖) + β‖δh‖ + …, where … is in ‖δu‖: the matrix above, whose
    powers decay as its spectral radius says.  For ISS, |tanh z| ≤ |z| gives the matrix
    [[f̄, ī‖R_g‖], [ōf̄, ōī‖R_g‖]], of rank one, whose spectral radius is its trace.

    **Initial states.**  From the first sample on this holds for runs that start in the box
    |h| ≤ h̄, |c| ≤ c̄ (``report.boxes``).  From other states it holds from a later sample on, so
    that C grows with the distance from the box: every run comes arbitrarily close to the box (h
    into |h| < 1 at once, c as fast as f̄ᵏ), and the condition, being strict, holds near it too.

    **Kinds of bounds.**  ``norm``: the literature's, one number a gate for |h| ≤ 1, f̄ =
    σ(‖[W_f ū, R_f, b_f]‖_∞).  It is never below ½, and a large negative bias makes it 1.
    ``interval``: unit by unit and with the bias's sign, f̄_j = σ(Σ|W_f|ū + Σ|R_f|h̄ + b_f,j);
    slopes at the point of the interval where they are largest; norms of the rows' weights
    with the matrix, as ‖diag(ī)R_g‖; and h̄ the smallest of boxes |h| ≤ ō tanh c̄, |c| ≤ c̄,
    each found from the one before; none is left, and each is come close to.  ``scaled``: the same
    in the norm ‖P·‖ with a diagonal P that makes ‖P R_g P⁻¹‖ small, which serves as well: P
    commutes with all that is done element by element, and only C grows, by P's condition number.
    ``interval`` is never worse than ``norm``; ``scaled`` is left out where it would be the same.
    A layer is certified if a condition holds under one of the three.

    **Stacks.**  The bound of h of one layer is the input bound of the next.  A cascade of ISS
    (δISS) systems is one: the layers' inequalities together have a block-triangular matrix,
    whose spectral radius is the largest of the blocks'.

    **Rounding.**  A condition is claimed for ρ < 1 − 1e-9 only.  Bounds of the gates' sums are
    rounded up.

    References
    ----------
    F. Bonassi, E. Terzi, M. Farina and R. Scattolini, "LSTM neural networks: input to state
    stability and probabilistic safety verification", 2019, arXiv:1912.04377.  E. Terzi,
    F. Bonassi, M. Farina and R. Scattolini, "Learning model predictive control with long
    short-term memory networks", 2019, arXiv:1910.04024.  Z.-P. Jiang and Y. Wang,
    "Input-to-state stability for discrete-time nonlinear systems", Automatica 37(6), 2001 (ISS
    and cascades).
    """
    if isinstance(network, LSTM):
        network = Network([network])
    layers = lstm_layers(
        network,
        "stability",
        expected="Network or LSTM",
        mend="make one with Network([LSTM(W, R, b)]) or network_from_workspace(workspace)",
    )
    bound = _input_bound(input_bound, network.n_inputs)
    certified: list[Condition] = []
    boxes: list[InvariantSet] = []
    inside = {"norm": True, "interval": True}
    inputs = {"norm": bound, "interval": bound}
    # An overflow is a bound or a norm of infinity, which is a valid one.
    with np.errstate(all="ignore"):
        for layer in layers:
            name = layer.name or "lstm"
            ones, scale = np.ones(layer.n_units), best_scale(layer)
            norm = norm_bounds(layer, inputs["norm"])
            interval = interval_bounds(layer, inputs["interval"])
            certified += conditions(name, "norm", layer, norm, ones)
            certified += conditions(name, "interval", layer, interval, ones)
            if np.ptp(scale) > 0:
                certified += conditions(name, "scaled", layer, interval, scale)
            for kind, bounds in (("norm", norm), ("interval", interval)):
                h, c = bounds.h, bounds.c
                inside[kind] &= bool((abs(layer.h0) <= h).all() and (abs(layer.c0) <= c).all())
                boxes.append(
                    InvariantSet(name, kind, tuple(h.tolist()), tuple(c.tolist()), inside[kind])
                )
                inputs[kind] = h
    return StabilityReport(tuple(bound.tolist()), tuple(certified), tuple(boxes))


def _input_bound(value: npt.ArrayLike, n_inputs: int) -> FloatArray:
    array = real_array(value, "input_bound", "stability")
    if array.ndim:
        array = real_vector(value, "input_bound", "stability")
    if array.size not in (1, n_inputs):
        raise ShapeError(
            "the input's bound does not fit the network",
            where="input_bound",
            given=f"shape {array.shape}",
            expected=f"one number, or {count(n_inputs, 'number')}, one an input",
            mend="give the largest magnitude of each input, for example abs(u).max(axis=0)",
        )
    if (array < 0).any():
        raise InvalidValueError(
            "the input's bound is negative",
            where="input_bound",
            given=f"{float(array.min()):g}",
            expected="numbers ≥ 0: the largest magnitude of each input",
            mend="give abs(u).max(axis=0) for an input u",
        )
    return np.broadcast_to(array, n_inputs)
