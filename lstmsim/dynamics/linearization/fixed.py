"""Fixed points: states that a constant input holds, found by Newton's method from many starts."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from bdsim.blockdiagram import BlockDiagram

from lstmsim.base import whole_number
from lstmsim.diagram import one_sample
from lstmsim.dynamics.linearization.compose import state_matrix
from lstmsim.dynamics.linearization.fixedreport import FixedPoint, FixedPoints, sorted_eigenvalues
from lstmsim.dynamics.linearization.kinks import nonsmooth
from lstmsim.dynamics.linearization.points import Sample, own_states
from lstmsim.dynamics.linearization.step import Array, Signals, Step, evaluate, next_states, step_of

#: The largest residual |F(x) − x| of an element, relative to max(1, |x|).
TOLERANCE = 1e-12
#: A start has diverged if |x| is above the first and the smallest singular value of A − I below the
#: second: a state that hardly changes relative to its size is no fixed point.
_FAR, _SINGULAR = 1e3, 1e-10
#: Points closer than this, relative to max(1, |x|), are one.
_SAME = 1e-6
#: Spectral radii closer to 1 than this are not told from 1: eigenvalues have rounding errors.
_MARGIN = 1e-8
#: Samples of the free run that brings starts close to attractors.
_FREE_RUN = 200
#: Times that Newton's step is halved before a start is given up.
_HALVINGS = 20


def fixed_points(
    diagram: BlockDiagram,
    u: Sample | None = None,
    *,
    starts: int = 100,
    iterations: int = 200,
    seed: int = 0,
) -> FixedPoints:
    """Find the states that a constant input holds: x = F(x, u).

    Newton's method with the exact Jacobian A, x ← x − t (A − I)⁻¹ (F(x) − x), t halved until the
    residual falls, from many starts at once: zero, the initial states, random states of
    magnitudes from 0.1 to 10, and the states of free runs of 200 samples from each of these.

    Parameters
    ----------
    diagram : BlockDiagram
        With at least one delay, of blocks that `compile` takes.
    u : array_like of shape (Ni,), or mapping of such, optional
        The constant input, by source name if there are several; zero if not given.
    starts : int, optional
        Number of random starts.
    iterations : int, optional
        The largest number of Newton's steps from a start.
    seed : int, optional
        Seed of the random starts.

    Returns
    -------
    FixedPoints
        The points found, each with its residual, in no element more than 1e-12·max(1, |x|),
        its eigenvalues and its stability; ``str(report)`` is a table with the effort of the
        search.  A search cannot show that there are no other points.

    Raises
    ------
    InvalidTypeError, InvalidValueError, ShapeError
        If an argument does not fit.
    DiagramError
        If the diagram does not compile, or has no delay.

    Examples
    --------
    >>> import numpy as np
    >>> import lstmsim as ls
    >>> bd = ls.blockdiagram()
    >>> clock = bd.clock(0.1, name="clock")
    >>> x, gain, tanh = bd.UNITDELAY(clock, 0.0, name="x"), bd.GAIN(2.0), bd.TANH()
    >>> for start, end in ((x, gain), (gain, tanh), (tanh, x)):
    ...     bd.connect(start, end)
    >>> report = fixed_points(bd)  # x⁺ = tanh(2 x)
    >>> [(round(float(p.states["x"][0]), 4), p.stability) for p in report]
    [(-0.9575, 'stable'), (0.0, 'unstable'), (0.9575, 'stable')]
    """
    starts = whole_number(starts, "starts", "fixed_points", 0, floats=True)
    iterations = whole_number(iterations, "iterations", "fixed_points", 1, floats=True)
    seed = whole_number(seed, "seed", "fixed_points", 0, floats=True)
    step = step_of(diagram)
    step.check_has_states("fixed_points", "states, and so no fixed points")
    inputs = {name: value[None, :] for name, value in one_sample(step.interface, u).items()}
    first = np.concatenate([*own_states(diagram, step).values()])
    initial = _starts(step, inputs, first, starts, seed)
    x, residuals, steps = _newton(step, inputs, initial, iterations)
    good = (residuals <= TOLERANCE) & ~_diverged(step, inputs, x)
    distinct = _distinct(x[good], residuals[good])
    return FixedPoints(
        points=tuple(_described(step, inputs, *pair) for pair in distinct),
        u={name: value[0] for name, value in inputs.items()},
        starts=len(initial),
        converged=int(good.sum()),
        iterations=steps,
        smallest_residual=float(residuals.min()),
    )


def _split(step: Step, x: Array) -> Signals:
    ends = np.cumsum(list(step.states.values()))[:-1]
    return dict(zip(step.states, np.split(x, ends, axis=1), strict=True))


def _next(step: Step, inputs: Mapping[str, Array], x: Array) -> Array:
    after = next_states(step, _split(step, x) | dict(inputs))
    return np.concatenate([*after.values()], axis=1)


def _starts(step: Step, inputs: Mapping[str, Array], first: Array, number: int, seed: int) -> Array:
    rng = np.random.default_rng(seed)
    scales = 10 ** rng.uniform(-1, 1, (number, 1))
    random = scales * rng.standard_normal((number, len(first)))
    initial = np.concatenate([np.zeros((1, len(first))), first[None, :], random])
    run = initial
    for _ in range(_FREE_RUN):
        run = _next(step, inputs, run)
    # The end of an unbounded run is near no fixed point.
    bounded = (np.abs(run) < 1e6).all(axis=1)
    return np.concatenate([initial, run[bounded]])


def _newton(
    step: Step, inputs: Mapping[str, Array], x: Array, iterations: int
) -> tuple[Array, Array, int]:
    """Return the last iterates of all starts, their scaled residuals, and the number of steps."""
    with np.errstate(all="ignore"):
        residual = _next(step, inputs, x) - x
        active = np.isfinite(residual).all(axis=1)
        steps = 0
        while active.any() and steps < iterations:
            steps += 1
            rows = np.flatnonzero(active)
            iterate, remainder, better = _newton_step(step, inputs, x[rows], residual[rows])
            x[rows[better]], residual[rows[better]] = iterate[better], remainder[better]
            active[rows[~better]] = False
        scaled = (np.abs(residual) / np.maximum(1, np.abs(x))).max(axis=1)
    return x, np.where(np.isfinite(scaled), scaled, np.inf), steps


def _newton_step(
    step: Step, inputs: Mapping[str, Array], x: Array, residual: Array
) -> tuple[Array, Array, Array]:
    """Return one damped step from every row, the residuals there, and whether they fell."""
    signals = evaluate(step, _split(step, x) | dict(inputs))
    matrix = state_matrix(step, signals, len(x)) - np.eye(x.shape[1])
    usable = np.isfinite(matrix).all(axis=(1, 2))
    matrix[~usable] = np.eye(x.shape[1])
    try:
        direction = np.linalg.solve(matrix, -residual[:, :, None])[:, :, 0]
    except np.linalg.LinAlgError:
        direction = (np.linalg.pinv(matrix, rcond=1e-13) @ -residual[:, :, None])[:, :, 0]
    norm = np.linalg.norm(residual, axis=1)
    iterate, remainder, better = x.copy(), residual.copy(), np.zeros(len(x), bool)
    length = 1.0
    for _ in range(_HALVINGS):
        rows = np.flatnonzero(usable & ~better)
        if len(rows) == 0:
            break
        tried = x[rows] + length * direction[rows]
        new = _next(step, inputs, tried) - tried
        # Armijo's condition: the residual falls by a share of what the step's length promises.
        fell = np.linalg.norm(new, axis=1) < (1 - 1e-4 * length) * norm[rows]
        good = rows[fell]
        iterate[good], remainder[good], better[good] = tried[fell], new[fell], True
        length /= 2
    return iterate, remainder, better


def _diverged(step: Step, inputs: Mapping[str, Array], x: Array) -> Array:
    """Return a mask of points that are far out, where the state hardly changes."""
    diverged = np.zeros(len(x), bool)
    far = np.flatnonzero(np.abs(x).max(axis=1) > _FAR)
    if len(far):
        signals = evaluate(step, _split(step, x[far]) | dict(inputs))
        matrix = state_matrix(step, signals, len(far)) - np.eye(x.shape[1])
        matrix[~np.isfinite(matrix).all(axis=(1, 2))] = 0
        diverged[far] = np.linalg.svd(matrix, compute_uv=False)[:, -1] <= _SINGULAR
    return diverged


def _distinct(x: Array, residuals: Array) -> list[tuple[Array, float]]:
    """Return the different points in order; of equal ones the one with the smallest residual."""
    distinct: list[tuple[Array, float]] = []
    for k in np.argsort(residuals, kind="stable"):
        scale = max(1.0, float(np.abs(x[k]).max()))
        if all(np.abs(x[k] - other).max() > _SAME * scale for other, _ in distinct):
            distinct.append((x[k], float(residuals[k])))
    return sorted(distinct, key=lambda pair: (np.round(pair[0], 5) + 0.0).tolist())


def _described(step: Step, inputs: Mapping[str, Array], x: Array, residual: float) -> FixedPoint:
    known = _split(step, x[None, :]) | dict(inputs)
    signals = evaluate(step, known)
    eigenvalues = sorted_eigenvalues(state_matrix(step, signals, 1)[0])
    radius = float(np.abs(eigenvalues[0]))
    stability = "stable" if radius < 1 - _MARGIN else "unstable"
    return FixedPoint(
        states={name: known[name][0] for name in step.states},
        residual=residual,
        eigenvalues=eigenvalues,
        spectral_radius=radius,
        stability="marginal" if abs(radius - 1) <= _MARGIN else stability,
        nonsmooth=tuple(nonsmooth(step, signals, 1)),
    )
