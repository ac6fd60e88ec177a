"""The spectrum by QR factorizations along a run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
import xarray as xr
from bdsim.blockdiagram import BlockDiagram

from lstmsim.base import (
    FloatArray,
    InvalidValueError,
    NonFiniteSignalError,
    whole_number,
)
from lstmsim.diagram import State, held_or_over_time
from lstmsim.dynamics.exponents.frames import Frame, factored
from lstmsim.dynamics.exponents.report import LyapunovSpectrum
from lstmsim.dynamics.linearization.compose import state_matrix
from lstmsim.dynamics.linearization.step import SampleMap, evaluate, sample_map
from lstmsim.engine import compile

DEFAULT_SAMPLES = 100_000
#: Number of running estimates, and of batches whose means give the standard error.
_POINTS, _BATCHES = 500, 20
#: Numbers in memory at a time, in signals and Jacobians.
_CHUNK = 2**22


def lyapunov(
    diagram: BlockDiagram,
    u: npt.ArrayLike | Mapping[str, npt.ArrayLike] | None = None,
    samples: int | None = None,
    *,
    state: State | None = None,
    discard: int = 1000,
) -> LyapunovSpectrum:
    """Return all Lyapunov exponents of a diagram.

    λ₁ ≥ … ≥ λₙ are the mean logarithmic rates at which small changes of the n states grow along a
    run: with A(k) the exact Jacobian of sample k, A(k) Q(k−1) = Q(k) R(k), and
    λⱼ = mean ln |Rⱼⱼ(k)|.

    Parameters
    ----------
    diagram : BlockDiagram
        With at least one delay, of blocks that `compile` takes.
    u : array_like of shape (Ni,) or (T, Ni), or mapping of such, optional
        A constant input, or one over time; by source name if there are several.  Zero if not
        given, also for sources that have values: the autonomous system.  Sources that are
        functions of time go on with the time.
    samples : int, optional
        Number of samples to average over: 100,000, or all of an input over time.
    state : Dataset or mapping, optional
        The initial state, as for `simulate`.
    discard : int, optional
        Number of samples before: the run approaches its attractor, and Q the directions of the
        exponents.

    Returns
    -------
    LyapunovSpectrum
        The exponents per sample and per second, their standard errors, running estimates and
        the Kaplan-Yorke dimension; ``str(report)`` is a table.

    Raises
    ------
    InvalidTypeError, InvalidValueError, ShapeError
        If an argument does not fit.
    DiagramError
        If the diagram does not compile, or has no delay.
    NonFiniteSignalError
        If the run overflows.

    Examples
    --------
    >>> import lstmsim as ls
    >>> diagram = ls.build(ls.published.chaotic_lstm())
    >>> spectrum = ls.lyapunov(diagram, samples=5000)
    >>> spectrum.chaotic, len(spectrum.exponents)
    (True, 4)

    Notes
    -----
    A direction that a Jacobian maps to zero has the exponent −∞.  So has one whose factor at
    some sample is below rounding, which double precision does not tell from zero.  Where a slope
    jumps (a ReLU at 0), the gradient's slope is used, as in `linearize`.

    References
    ----------
    G. Benettin et al., Meccanica 15, 1980; J.-P. Eckmann and D. Ruelle, Rev. Mod. Phys. 57, 1985.
    """
    step = sample_map(diagram)
    step.check_has_states("lyapunov", "states, and so no Lyapunov exponents")
    discard = whole_number(discard, "discard", "lyapunov", 0, floats=True)
    if samples is not None:
        samples = whole_number(samples, "samples", "lyapunov", 1, floats=True)
    inputs, given = held_or_over_time(step.interface, u)
    samples = _averaged(given, samples, discard)
    n = sum(step.states.values())
    size = max(64, min(8192, _CHUNK // (n * n + sum(step.widths.values()))))
    frame = Frame.random(n)
    points = min(_POINTS, samples)
    sums, counts = np.zeros((points, n)), np.zeros(points)
    for first, matrices in _jacobian_chunks(diagram, step, inputs, state, (discard, samples), size):
        if first == discard:
            frame = Frame.of(frame.columns)
        logs, frame = factored(matrices, frame)
        if first >= discard:
            bins = (np.arange(first, first + len(logs)) - discard) * points // samples
            np.add.at(sums, bins, logs)
            np.add.at(counts, bins, 1)
    return _spectrum(sums, counts, discard, step.graph.Ts)


def _averaged(given: int | None, samples: int | None, discard: int) -> int:
    """Return how many samples to average over, of an input of given samples or a held one."""
    if given is None:
        return samples or DEFAULT_SAMPLES
    left = given - discard
    if left < (samples or 1):
        raise InvalidValueError(
            "the input is too short",
            where="lyapunov",
            given=f"{given} samples of u",
            expected=f"discard + samples = {discard} + {samples or 1} or more",
            mend="give a longer input, or a smaller discard= or samples=",
        )
    return samples or left


def _jacobian_chunks(
    diagram: BlockDiagram,
    step: SampleMap,
    inputs: Mapping[str, FloatArray],
    state: State | None,
    lengths: tuple[int, int],
    size: int,
) -> Iterator[tuple[int, FloatArray]]:
    """Yield the number of a chunk's first sample, and the Jacobians of its samples.

    A chunk ends where the first of the two lengths does.
    """
    compiled = compile(diagram)
    known = [*step.states, *(name for name in step.graph.of_time if name not in inputs)]
    discard, total = lengths[0], sum(lengths)
    for first in [*range(0, discard, size), *range(discard, total, size)]:
        number = min(size, (discard if first < discard else total) - first)
        u = {
            name: np.broadcast_to(rows, (number, rows.shape[1]))
            if len(rows) == 1
            else rows[first : first + number]
            for name, rows in inputs.items()
        }
        try:
            run = compiled.run(u or None, state=state, signals=known, samples=number)
        except NonFiniteSignalError as error:
            # The run counts the samples of this chunk.
            raise error.replace(
                problem="the run does not stay finite",
                where=f"lyapunov, {error.where}",
                sample=first + (error.sample or 0),
                given="a number that is too large",
                expected="finite signals",
                mend="a smaller input or smaller weights keep it finite",
            ) from None
        state = run  # which functions of time go on with
        signals = evaluate(step, u | {name: run[name].values for name in known})
        yield first, state_matrix(step, signals, number)


def _spectrum(sums: FloatArray, counts: FloatArray, discarded: int, Ts: float) -> LyapunovSpectrum:
    samples = int(counts.sum())
    exponents = sums.sum(axis=0) / samples
    order = np.argsort(-exponents, kind="stable")
    done = np.cumsum(counts)
    running = np.cumsum(sums, axis=0)[:, order] / done[:, None]
    error = np.full(len(exponents), math.nan)
    if len(counts) >= _BATCHES:
        groups = np.array_split(np.arange(len(counts)), _BATCHES)
        means = np.array([sums[g].sum(axis=0) / counts[g].sum() for g in groups])[:, order]
        finite = np.isfinite(means).all(axis=0)
        error[finite] = means[:, finite].std(axis=0, ddof=1) / math.sqrt(_BATCHES)
    return LyapunovSpectrum(
        exponents=exponents[order],
        standard_error=error,
        running=xr.DataArray(
            running,
            dims=("time", "exponent"),
            coords={
                "time": ("time", done * Ts, {"units": "s", "long_name": "averaged time"}),
                "exponent": np.arange(1, len(exponents) + 1),
            },
            name="running",
            attrs={"long_name": "Lyapunov exponent per sample", "Ts": Ts},
        ),
        samples=samples,
        discarded=discarded,
        Ts=Ts,
    )
