"""How far a network is from linear: bounds that hold for every input in a range."""

from __future__ import annotations

import io
import json
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import scipy.linalg
from rich import box
from rich.console import Console
from rich.table import Table

from lstmsim import binding
from lstmsim.arrays import FloatArray, count
from lstmsim.errors import InvalidTypeError, InvalidValueError, ShapeError
from lstmsim.lti.peaks import absolute_sum
from lstmsim.lti.systems import Matrices, check_samples, discrete, input_limits
from lstmsim.networks import LSTM, Network

if TYPE_CHECKING:
    import control

#: |h| is below tanh(1), whatever goes in.
_LARGEST_H = math.tanh(1.0)
#: Roundings of one sample beyond the sums: two tanh of up to 4 units in the last place, the
#: products with i and o, the sum of c, in units of roundoff.
_ELEMENTWISE = 20
#: What the gates i, f, o are when saturated.
SATURATED = {"i": 1.0, "f": 0.0, "o": 1.0}


@dataclass(frozen=True)
class Linearity:
    """How far a network can be from a linear system; ``str(report)`` is a table.

    Parameters
    ----------
    nonlinear, rounding, gates, weights : tuple of float
        Bounds of the error of each output: by tanh(tanh x) ≠ x, by rounding, by gates that are
        not quite 0 or 1, and by weights that are not quite the system's.
    peak : tuple of float
        The most that each output of the linear system can reach.
    offset : tuple of float
        Each output at rest.
    deviations : dict of float
        How far each of the gates i, f, o can be from 1, 0, 1.
    amplitude : float
        The largest element of what goes into tanh: 0.1 is linear to 0.7 %.
    input_range : tuple of float
        The largest |u| of every input.
    dtype : str
        The precision.
    """

    nonlinear: tuple[float, ...]
    rounding: tuple[float, ...]
    gates: tuple[float, ...]
    weights: tuple[float, ...]
    peak: tuple[float, ...]
    offset: tuple[float, ...]
    deviations: dict[str, float]
    amplitude: float
    input_range: tuple[float, ...]
    dtype: str

    @property
    def bound(self) -> tuple[float, ...]:
        """The sum of the bounds, an output each."""
        parts = (self.nonlinear, self.rounding, self.gates, self.weights)
        return tuple(map(sum, zip(*parts, strict=True)))

    @property
    def relative(self) -> float:
        """The largest bound, relative to the largest output that the linear system can reach."""
        peak = max(self.peak)
        return max(self.bound) / peak if 0 < peak < math.inf else math.inf

    @property
    def table(self) -> Table:
        """The bounds as a Rich table, an output a row."""
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 2, 0, 0))
        table.add_column("output")
        parts = ("nonlinear", "rounding", "gates", "weights", "bound", "peak", "offset")
        for name in parts:
            table.add_column(name, justify="right", no_wrap=True)
        for k in range(len(self.peak)):
            table.add_row(f"y[{k}]", *(f"{getattr(self, name)[k]:.2e}" for name in parts))
        return table

    def __str__(self) -> str:
        console = Console(file=io.StringIO(), width=100, color_system=None)
        console.print(self.table)
        text: str = console.file.getvalue()  # type: ignore[attr-defined]
        limits = ", ".join(f"{limit:g}" for limit in self.input_range)
        gates = ", ".join(f"{gate} by {size:.1e}" for gate, size in self.deviations.items())
        lines = [line.rstrip() for line in text.rstrip().splitlines()]
        return "\n".join(
            [
                *lines,
                "",
                f"Errors of at most this size in {self.dtype}, for |u| ≤ {limits}: "
                f"{self.relative:.1e} of the largest output.",
                f"Into tanh goes at most {self.amplitude:.2e}; gates are off {gates}.",
            ]
        )

    def to_json(self) -> str:
        """Return the report as JSON; infinity as null."""

        def plain(value: Any) -> Any:
            if isinstance(value, dict):
                return {key: plain(item) for key, item in value.items()}
            if isinstance(value, list | tuple):
                return [plain(item) for item in value]
            return None if isinstance(value, float) and not math.isfinite(value) else value

        return json.dumps(plain(asdict(self) | {"bound": self.bound}), indent=2)


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
    ⅔·a³, a being the largest that can go into tanh, and what the loop makes of it later is
    Σ|F·R_gᵏ|.

    Parameters
    ----------
    network : Network
        One LSTM layer, with or without a head.
    input_range : float or array_like of shape (m,), optional
        The largest |u|, of all inputs or of each.
    system : control.StateSpace or control.TransferFunction, optional
        The linear system that the network stands for.  If given, the bound is of the difference
        to its output, else to that of the system that `extract` reads from the weights.
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
    binding.precision(dtype)
    check_samples(samples, "linearity")
    if system is None:
        return bounds(network, limits, None, dtype, samples)
    wanted = discrete(system, network.Ts, "linearity")
    _check_fits(wanted, read(network))
    return bounds(network, limits, wanted, dtype, samples)


def bounds(
    network: Network,
    limits: FloatArray,
    system: Matrices | None,
    dtype: npt.DTypeLike,
    samples: int | None,
) -> Linearity:
    """Return `linearity` of arguments that are known to fit."""
    layer, gain, bias = parts(network, "linearity")
    W, R, b = layer.gate("g")
    unit = float(np.finfo(np.dtype(dtype)).eps) / 2
    ones = np.eye(len(R))
    deviations = gate_deviations(layer, limits)

    def errors(a: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        h = np.minimum(a, _LARGEST_H)
        terms = (R.shape[0] + W.shape[1] + 5) * unit
        sums = np.abs(R) @ h + np.abs(W) @ limits + np.abs(b)
        cell = a / max(1 - deviations["f"], unit) + np.abs(layer.c0)
        off = (deviations["i"] + deviations["o"]) * a + deviations["f"] * cell
        return np.minimum(2 / 3 * a**3, a), terms * sums + _ELEMENTWISE * unit * h, off

    driven = np.hstack([W * limits, b[:, None], (R @ layer.h0)[:, None]])
    linear = absolute_sum(ones, R, driven, samples).sum(axis=1)
    cap = np.abs(R).sum(axis=1) * _LARGEST_H + np.abs(W) @ limits + np.abs(b)
    later = absolute_sum(ones, R, R, samples)
    a = _largest_sums(linear, later, cap, lambda a: sum(errors(a)))
    reach = absolute_sum(gain, R, ones, samples)
    nonlinear, rounding, gates = (_product(reach, error) for error in errors(a))
    largest = np.abs(gain) @ np.minimum(a, _LARGEST_H)
    rounding += (len(R) + 3) * unit * (largest + np.abs(bias))
    own, rest = read(network), offset(network)
    peak = _peak(own if system is None else system, limits, samples)
    nonlinear = np.minimum(nonlinear, largest + peak)  # saturated, a network does no more
    weights = np.zeros(len(gain))
    if system is not None:
        weights = _peak(_difference(system, own), limits, samples) + np.abs(rest)
    return Linearity(
        nonlinear=_plain(nonlinear),
        rounding=_plain(rounding),
        gates=_plain(gates),
        weights=_plain(weights),
        peak=_plain(peak),
        offset=_plain(rest),
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
        If it is no network.
    InvalidValueError
        If it has several recurrent layers.
    """
    if not isinstance(network, Network):
        raise InvalidTypeError(
            f"{where} needs a network", given=type(network).__name__, expected="Network"
        )
    if len(network.recurrent) > 1:
        raise InvalidValueError(
            "a network with several recurrent layers has no linear system in its weights alone",
            where=where,
            given=repr(network),
            expected="one LSTM layer, with or without a Dense head",
            mend="look at its layers one by one, or linearise the diagram",
        )
    layer, head = network.recurrent[0], network.head
    gain = np.eye(layer.n_units) if head is None else np.array(head.F)
    bias = None if head is None else head.bias
    return layer, gain, np.zeros(len(gain)) if bias is None else np.array(bias)


def read(network: Network) -> Matrices:
    """Return the linear system in the weights, with states h⁻: A = R_g, B = W_g, …."""
    layer, gain, _ = parts(network, "extract")
    W, R, _ = layer.gate("g")
    return Matrices(np.array(R), np.array(W), gain @ R, gain @ W, network.Ts)


def offset(network: Network) -> FloatArray:
    """Return the output at rest of the linear system with the network's biases."""
    layer, gain, bias = parts(network, "extract")
    _, R, b = layer.gate("g")
    if not b.any():
        return bias
    return np.asarray(gain @ np.linalg.lstsq(np.eye(len(R)) - R, b, rcond=None)[0] + bias)


def gate_deviations(layer: LSTM, limits: FloatArray) -> dict[str, float]:
    """Return how far the gates i, f, o can be from 1, 0, 1, whatever the states are."""
    found = {}
    for gate, value in SATURATED.items():
        W, R, b = layer.gate(gate)
        swing = np.abs(W) @ limits + np.abs(R).sum(axis=1) * _LARGEST_H
        distance = (b if value else -b) - swing
        with np.errstate(over="ignore"):
            found[gate] = float((1 / (1 + np.exp(distance))).max())
    return found


def _largest_sums(linear: FloatArray, later: FloatArray, cap: FloatArray, errors: Any) -> Any:
    """Return what can at most go into tanh: a ≥ linear + Σ_{k≥1}|Rᵏ|·errors(a)."""
    a = np.minimum(linear, cap)
    for _ in range(200):
        grown = np.minimum(linear + _product(later, errors(a)), cap)
        if (grown <= a * (1 + 1e-12)).all():
            return grown * (1 + 1e-9)
        a = grown
    return cap


def _product(matrix: FloatArray, vector: FloatArray) -> FloatArray:
    """Return the product of which infinity times nothing is nothing."""
    with np.errstate(invalid="ignore"):
        terms = matrix * vector
    return np.asarray(np.where(vector == 0, 0.0, terms).sum(axis=1))


def _peak(system: Matrices, limits: FloatArray, samples: int | None) -> FloatArray:
    """Return the most that each output can reach."""
    response = absolute_sum(system.C, system.A, system.B, samples)
    return np.asarray((response + np.abs(system.D)) @ limits)


def _difference(one: Matrices, other: Matrices) -> Matrices:
    A = scipy.linalg.block_diag(one.A, other.A)
    B, C = np.vstack([one.B, other.B]), np.hstack([one.C, -other.C])
    return Matrices(A, B, C, one.D - other.D, one.Ts)


def _check_fits(system: Matrices, own: Matrices) -> None:
    if system.D.shape != own.D.shape:
        shapes = [
            f"{count(s.D.shape[1], 'input')} and {count(s.D.shape[0], 'output')}"
            for s in (system, own)
        ]
        raise ShapeError(
            "the system and the network have other inputs or outputs",
            where="linearity",
            given=f"a system with {shapes[0]}",
            expected=f"{shapes[1]}, as the network has",
        )
