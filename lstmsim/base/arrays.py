"""Arrays from outside: checked, copied and made read-only before anything uses them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from lstmsim.base.errors import InvalidTypeError, InvalidValueError, ShapeError

Array = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float64]


def real_array(value: Any, name: str, where: str | None = None) -> FloatArray:
    """Return a read-only float64 copy of a real and finite array.

    Parameters
    ----------
    value : array_like
        Numbers.
    name : str
        What it is called in an error.
    where : str, optional
        Where it belongs, for an error.

    Raises
    ------
    InvalidTypeError
        If it holds text, complex numbers or objects, or is ragged.
    InvalidValueError
        If it holds NaN or Inf.
    """
    expected = "real numbers"
    try:
        array = np.asarray(value)
    except ValueError:
        array = np.asarray(value, dtype=object)
    if array.dtype.kind not in "biuf":
        kind = {"c": "complex numbers", "U": "text", "S": "text", "O": "objects"}.get(
            array.dtype.kind, str(array.dtype)
        )
        raise InvalidTypeError(
            f"{name} does not hold real numbers",
            where=where,
            given=f"{kind} ({type(value).__name__})",
            expected=expected,
            mend=f"convert {name} to a float array",
        )
    # Rows in order, whatever the memory layout was: the same numbers then give the same bits.
    array = np.array(array, dtype=np.float64, order="C")
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        index = tuple(int(j) for j in bad[0])
        raise InvalidValueError(
            f"{name} holds NaN or Inf",
            where=where,
            given=f"{len(bad)} of {array.size} elements, the first at index {list(index)}: "
            f"{array[index]}",
            expected="finite numbers",
            mend=f"look at how {name} was made",
            index=index,
        )
    array.setflags(write=False)
    return array


def in_precision(
    array: npt.NDArray[Any], dtype: npt.DTypeLike, name: str, where: str | None = None
) -> npt.NDArray[Any]:
    """Return an array in a precision, itself if it has it.

    Raises
    ------
    InvalidValueError
        If a number is too large for the precision.
    """
    with np.errstate(over="ignore"):
        found = array.astype(dtype, copy=False)
    if found is not array:
        over = np.argwhere(np.isinf(found) & np.isfinite(array))
        if len(over):
            index = tuple(int(j) for j in over[0])
            raise InvalidValueError(
                f"{name} holds numbers too large for {found.dtype}",
                where=where,
                given=f"{array[index]:g} at index {list(index)}",
                expected=f"numbers up to {np.finfo(found.dtype).max:.2g}",
                mend="run in double precision, or scale the numbers",
                index=index,
            )
    return found


def precision(dtype: npt.DTypeLike) -> np.dtype[Any]:
    """Return float32 or float64, or refuse another precision."""
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = np.dtype(object)
    if found not in (np.float64, np.float32):
        raise InvalidValueError(
            "the precision is not supported",
            where="dtype",
            given=repr(dtype),
            expected='"float32" or "float64"',
        )
    return found


def real_vector(value: Any, name: str, where: str | None = None) -> FloatArray:
    """Return `real_array` as a vector; (n, 1) and (1, n), as MATLAB saves them, are flattened."""
    array = real_array(value, name, where)
    if array.ndim > 2 or (array.ndim == 2 and 1 not in array.shape) or array.size == 0:
        raise ShapeError(
            f"{name} is not a vector",
            where=where,
            given=f"shape {array.shape}",
            expected="shape (n,), (n, 1) or (1, n) with n ≥ 1",
            mend=f"give {name} one element a unit",
        )
    return array.reshape(-1)


def real_matrix(value: Any, name: str, where: str | None = None) -> FloatArray:
    """Return `real_array` as a matrix; a number is taken as a 1 × 1 matrix."""
    array = real_array(value, name, where)
    if array.ndim == 0:
        return array.reshape(1, 1)
    if array.ndim != 2 or array.size == 0:
        raise ShapeError(
            f"{name} is not a matrix",
            where=where,
            given=f"shape {array.shape}",
            expected="two dimensions, both at least 1",
            mend=f"give {name} as rows × columns, for example {name}.reshape(-1, 1)",
        )
    return array


def sample_rows(values: npt.ArrayLike, name: str, where: str | None = None) -> FloatArray:
    """Return samples as an array of shape (T, width), T and width at least 1."""
    array = real_array(values, name, where)
    if array.ndim == 1:
        array = array.reshape(-1, 1)
    if array.ndim != 2 or array.size == 0:
        raise ShapeError(
            f"{name} is not a table of samples",
            where=where,
            given=f"shape {array.shape}",
            expected="shape (T, width) with at least one sample and one element",
            mend="one row a sample, one column an element",
        )
    return array


def sample_time(value: Any, where: str | None = None) -> float:
    """Return a sample time in seconds; (1, 1) arrays, as MATLAB saves them, become numbers."""
    array = real_array(value, "Ts", where)
    if array.size != 1 or array.reshape(-1)[0] <= 0:
        raise InvalidValueError(
            "the sample time Ts is not a positive number",
            where=where,
            given=f"Ts = {float(array.reshape(-1)[0]):g}"
            if array.size == 1
            else f"Ts = {array.tolist()}",
            expected="one number > 0, in seconds",
            mend="for example Ts=0.1",
        )
    return float(array.reshape(-1)[0])


def count(n: int, noun: str) -> str:
    """Return a number with its noun: 1 unit, 2 units."""
    return f"{n:,} {noun}" + ("" if n == 1 else "s")


def quick_isfinite(values: npt.NDArray[Any]) -> bool:
    """Whether a contiguous array has neither NaN nor infinity; quick, and False too often.

    A NaN or an infinity makes the sum of squares one; very large numbers do so too.
    """
    # Unlike dot, vdot does not warn of an overflow.
    return math.isfinite(np.vdot(values, values))
