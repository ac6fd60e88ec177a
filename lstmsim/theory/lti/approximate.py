"""Weights of a network that computes a given linear system."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lstmsim.base import (
    FloatArray,
    InvalidValueError,
    count,
    precision,
    true_or_false,
)
from lstmsim.networks import LSTM, Dense, Network
from lstmsim.theory.lti.coordinates import choose
from lstmsim.theory.lti.extract import checked_scale
from lstmsim.theory.lti.systems import check_samples, check_stable, discrete, input_limits

if TYPE_CHECKING:
    import control

#: Bias that saturates a gate: σ(100) is 1 to the last bit, σ(−100) is 4e-44.
_SATURATING = 100.0
#: The largest relative residual of F·A = C; beyond, A is singular for this C.
_SOLVED = 1e-6


def approximate(
    sys: control.StateSpace | control.TransferFunction,
    scale: float | str = 1e-3,
    direct_path: bool = True,
    *,
    output_units: bool = False,
    input_range: npt.ArrayLike = 1.0,
    dtype: npt.DTypeLike = "float64",
    samples: int | None = None,
    Ts: float | None = None,
) -> Network:
    """Calculate the weights of an LSTM network that computes a linear system.

    Biases of ±100 saturate the gates (i = o = 1, f = 0), so h = tanh(tanh(R_g h⁻ + W_g u)),
    which for a small scale s is R_g h⁻ + W_g u up to ⅔ of its cube.  With n states, m inputs and
    p outputs the hidden state is s·[x(t+1); u(t)] and

        W_g = s·[B; I],    R_g = blkdiag(A, 0),    F = [C·A⁻¹, D − C·A⁻¹·B] / s.

    Parameters
    ----------
    sys : control.StateSpace or control.TransferFunction
        The system: discrete, stable, any number of inputs and outputs.
    scale : float or "auto", optional
        The scale s.  "auto" chooses it, and the coordinates of the states, so that the error is
        the least possible for the input range and precision; `linearity` predicts it.
    direct_path : bool, optional
        Whether units carry the input to the output: N = n + m.  Without them N = n and
        F = C·A⁻¹ / s: the direct path becomes C·A⁻¹·B instead of D.
    output_units : bool, optional
        Have units carry the outputs instead, h = s·[x(t+1); y(t)]: W_g = s·[B; D],
        R_g = [A 0; C 0], F = [0, I] / s, N = n + p.  It needs no inverse of A.
    input_range : float or array_like of shape (m,), optional
        The largest |u|, of all inputs or of each, for scale="auto".
    dtype : dtype, optional
        The precision that the network will run in, for scale="auto".
    samples : int, optional
        The longest run.  If given, the system may be unstable.
    Ts : float, optional
        The sample time that the system should have, in seconds; needed if it has none.

    Returns
    -------
    Network
        One LSTM layer and a dense head, with zero initial states.

    Raises
    ------
    InvalidTypeError, InvalidValueError, ShapeError
        If the system is no linear system, continuous, unstable, of another sample time, or
        cannot be read from the states because A is singular.

    Examples
    --------
    >>> import lstmsim as ls
    >>> network = ls.lti.approximate(ls.lti.published_system())
    >>> network
    Network(1 input -> LSTM(5 units) -> Dense(1 output), Ts=0.01 s, 145 parameters)
    >>> network.head.F.round(4).tolist()
    [[325.4911, -78.8823, 18.4092, 212.6357, -86.0996]]
    """
    import control

    system = discrete(sys, Ts, "approximate")
    _check_forms(direct_path, output_units)
    limits = input_limits(input_range, system.B.shape[1], "approximate")
    precision(dtype)
    check_samples(samples, "approximate")
    if samples is None:
        check_stable(system, "approximate")

    def network(rescaled: control.StateSpace, s: float) -> Network:
        if output_units:
            return _with_output_units(rescaled, s)
        return _with_input_units(rescaled, s) if direct_path else _states_alone(rescaled, s)

    if not isinstance(scale, str):
        return network(system, checked_scale(scale, "approximate"))
    if scale != "auto":
        raise InvalidValueError(
            "there is no such scale",
            where="approximate",
            given=f"scale={scale!r}",
            expected='a number > 0, or "auto"',
        )
    target = system
    if not (direct_path or output_units):
        target = control.StateSpace(system)
        target.D = _read_out(system) @ system.B
    return choose(system, target, network, limits, dtype, samples)


def _check_forms(direct_path: Any, output_units: Any) -> None:
    for name, value in (("direct_path", direct_path), ("output_units", output_units)):
        true_or_false(value, name, "approximate")
    if output_units and not direct_path:
        raise InvalidValueError(
            "output units always have a direct path",
            where="approximate",
            given="direct_path=False, output_units=True",
            expected="one of the two",
        )


def _with_input_units(system: control.StateSpace, s: float) -> Network:
    n, m = system.B.shape
    F = _read_out(system)
    R = np.zeros((n + m, n + m))
    R[:n, :n] = system.A
    W = s * np.vstack([system.B, np.eye(m)])
    return _network(W, R, np.hstack([F, system.D - F @ system.B]) / s, system.dt)


def _states_alone(system: control.StateSpace, s: float) -> Network:
    if len(system.A) == 0:
        raise InvalidValueError(
            "a system without states needs units that carry its input",
            where="approximate",
            given="a static gain, direct_path=False",
            expected="at least one state, or direct_path=True",
        )
    return _network(s * system.B, system.A, _read_out(system) / s, system.dt)


def _with_output_units(system: control.StateSpace, s: float) -> Network:
    n, p = len(system.A), len(system.C)
    R = np.block([[system.A, np.zeros((n, p))], [system.C, np.zeros((p, p))]])
    F = np.hstack([np.zeros((p, n)), np.eye(p)])
    return _network(s * np.vstack([system.B, system.D]), R, F / s, system.dt)


def _read_out(system: control.StateSpace) -> FloatArray:
    """Return F with F·A = C, which reads a sample's output from the states after it."""
    if len(system.A) == 0:
        return np.zeros(system.C.shape)
    try:
        F = np.linalg.solve(system.A.T, system.C.T).T
    except np.linalg.LinAlgError:
        F = np.linalg.lstsq(system.A.T, system.C.T, rcond=None)[0].T
    size = np.abs(system.C).max()
    residual = float(np.abs(F @ system.A - system.C).max())
    if not residual <= _SOLVED * size:
        poles = np.abs(np.linalg.eigvals(system.A))
        raise InvalidValueError(
            "A is singular: the state after a sample does not tell the output of that sample",
            where="approximate",
            given=f"{count(int((poles <= 1e-9 * max(1.0, poles.max())).sum()), 'pole')} at 0 "
            f"(the smallest of size {poles.min():.1e}): no F gives F·A = C, the best is off by "
            f"{residual / size:.1e} of C",
            expected="an invertible A, since h holds x(t+1) and y(t) needs x(t)",
            mend="output_units=True is exact for any A, with N = n + p units; or move the poles "
            "at 0 to a small number, which changes the system by as much",
        )
    return np.asarray(F)


def _network(W: FloatArray, R: FloatArray, F: FloatArray, Ts: float) -> Network:
    n, m = W.shape
    weights, recurrent = np.zeros((4 * n, m)), np.zeros((4 * n, n))
    weights[2 * n : 3 * n], recurrent[2 * n : 3 * n] = W, R
    bias = np.repeat([_SATURATING, -_SATURATING, 0.0, _SATURATING], n)
    return Network([LSTM(weights, recurrent, bias), Dense(F)], Ts=Ts)
