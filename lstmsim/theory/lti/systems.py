"""Checks of linear systems from outside, which are python-control objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lstmsim.base import (
    FloatArray,
    InvalidTypeError,
    InvalidValueError,
    ShapeError,
    count,
    real_vector,
    sample_time,
)

if TYPE_CHECKING:
    import control


def discrete(sys: Any, Ts: float | None, where: str) -> control.StateSpace:
    """Return a discrete system in state space: finite, and with a sample time.

    Parameters
    ----------
    sys : control.StateSpace or control.TransferFunction
        The system.
    Ts : float or None
        The sample time that it should have; needed if its own is unspecified.
    where : str
        The name of the caller, for an error.

    Raises
    ------
    InvalidTypeError
        If it is something else, or a transfer function without a realisation.
    InvalidValueError
        If it is continuous, has another or no sample time, or numbers that are not finite.
    """
    import control

    state_space = _state_space(sys, where)
    wanted = None if Ts is None else sample_time(Ts, where)
    dt = state_space.dt
    if dt is not None and dt is not True and dt == 0:
        raise InvalidValueError(
            "the system is continuous, and a network steps from sample to sample",
            where=where,
            given="dt = 0",
            expected="a discrete system",
            mend="sample it first: control.sample_system(sys, Ts, method='zoh')",
        )
    if dt is None or dt is True:
        if wanted is None:
            raise InvalidValueError(
                "the system has no sample time",
                where=where,
                given=f"dt = {dt}",
                expected="a sample time in seconds",
                mend="give it: control.ss(A, B, C, D, Ts), or Ts=… here",
            )
        dt = wanted
    if wanted is not None and not np.isclose(dt, wanted, rtol=1e-9, atol=0):
        raise InvalidValueError(
            "the system has another sample time",
            where=where,
            given=f"a system sampled every {dt:g} s",
            expected=f"{wanted:g} s",
            mend="sample the continuous system at this time, or run the data at the system's",
        )
    arrays = [np.array(getattr(state_space, name), float) for name in "ABCD"]
    for name, array in zip("ABCD", arrays, strict=True):
        if not np.isfinite(array).all():
            raise InvalidValueError(f"{name} holds NaN or Inf", where=where)
    # Without the system's names, and with all its states: those without use are units, too.
    return control.StateSpace(*arrays, float(dt), remove_useless_states=False)


def _state_space(sys: Any, where: str) -> control.StateSpace:
    import control

    if isinstance(sys, control.StateSpace):
        return sys
    if not isinstance(sys, control.TransferFunction):
        raise InvalidTypeError(
            "this is not a linear system",
            where=where,
            given=type(sys).__name__,
            expected="a control.StateSpace or a control.TransferFunction",
            mend="for example control.ss(A, B, C, D, Ts)",
        )
    try:
        return control.ss(sys)
    except (control.ControlMIMONotImplemented, ValueError) as error:
        raise InvalidTypeError(
            "the transfer function has no state-space realisation here",
            where=where,
            given=f"{count(sys.ninputs, 'input')}, {count(sys.noutputs, 'output')}: {error}",
            expected="a proper transfer function with one input and one output",
            mend="give the system as control.ss(A, B, C, D, Ts)",
        ) from error


def check_stable(system: control.StateSpace, where: str) -> None:
    """Refuse a system whose states grow without bound under a bounded input."""
    poles = np.linalg.eigvals(system.A)
    radius = float(np.abs(poles).max(initial=0.0))
    if radius >= 1:
        pole = poles[int(np.argmax(np.abs(poles)))]
        shown = f"{pole.real:.6g}" if pole.imag == 0 else f"{pole.real:.6g} ± {abs(pole.imag):.6g}i"
        raise InvalidValueError(
            "the system is not stable: its states leave the range in which a network is linear",
            where=where,
            given=f"a pole at {shown}, of size {radius:.6g}",
            expected="all poles inside the unit circle",
            mend="stabilise the system first; for a short run say how short: samples=…",
        )


def input_limits(value: npt.ArrayLike, inputs: int, where: str) -> FloatArray:
    """Return the largest |u| of every input.

    Raises
    ------
    ShapeError
        If there is neither one number nor one an input.
    InvalidValueError
        If one is not positive.
    """
    limits = real_vector(np.atleast_1d(np.asarray(value)), "input_range", where)
    if limits.size not in (1, inputs):
        raise ShapeError(
            "the input range does not fit the inputs",
            where=where,
            given=f"{count(limits.size, 'number')}",
            expected=f"one number, or {inputs}: the largest |u| of every input",
        )
    if not (limits > 0).all():
        raise InvalidValueError(
            "the input range is not positive",
            where=where,
            given=f"input_range = {value!r}",
            expected="the largest |u|, > 0",
        )
    return np.broadcast_to(limits, (inputs,)).copy()


def check_samples(samples: Any, where: str) -> None:
    """Refuse a length of a run that is neither None nor a whole number ≥ 1."""
    whole = isinstance(samples, int | np.integer) and not isinstance(samples, bool)
    if samples is not None and not (whole and samples >= 1):
        raise InvalidValueError(
            "the length of the run is not a whole number of samples",
            where=where,
            given=f"samples={samples!r}",
            expected="a whole number ≥ 1, or None for runs of any length",
        )
