"""Fixed points: states that a constant input holds, found by Newton's method from many starts."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from bdsim.blockdiagram import BlockDiagram

from lstmsim.base import DiagramError
from lstmsim.blocks import checked_count
from lstmsim.diagram import one_sample
from lstmsim.dynamics.linearization.compose import state_matrix
from lstmsim.dynamics.linearization.fixedreport import FixedPoint, FixedPoints
from lstmsim.dynamics.linearization.kinks import nonsmooth
from lstmsim.dynamics.linearization.points import Sample, own_states
from lstmsim.dynamics.linearization.step import Array, Signals, Step, evaluate, next_states, step_of

#: What a residual |F(x) − x| may be in each element, relative to max(1, |x|).
TOLERANCE = 1e-12
#: A start has run away if it is farther out than this, and A − I as good as singular there: a
#: state that hardly changes any more because of its size is no fixed point.
_FAR, _SINGULAR = 1e3, 1e-10
_SAME = 1e-6
_MARGIN = 1e-8
_FREE_RUN = 200
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
    magnitudes from 0.1 to 10, and where each of these is after 200 samples of a free run.

    Parameters
    ----------
    diagram : BlockDiagram
        With at least one delay, of blocks that `compile` takes.
    u : array_like of shape (Ni,), or mapping of such, optional
        The constant input, by source name if there are several; zero if not given.
    starts : int, optional
        How many random states to start from.
    iterations : int, optional
        How many steps of Newton's method a start may take.
    seed : int, optional
        Of the random states.

    Returns
    -------
    FixedPoints
        All that were found, each with its residual, in no element more than 1e-12·max(1, |x|),
        its eigenvalues and its stability; ``str(report)`` is a table, and says how hard the
        search was.  A search cannot show that there are no others.

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
    starts = checked_count(starts, "starts", 0, "fixed_points")
    iterations = checked_count(iterations, "iterations", 1, "fixed_points")
    seed = checked_count(seed, "seed", 0, "fixed_points")
    step = step_of(diagram)
    if not step.states:
        raise DiagramError(
            "a diagram without delays has no states, and so no fixed points",
            where="fixed_points",
            given="no UNITDELAY or ZOH",
            expected="at least one delay",
        )
    inputs = {name: value[None, :] for name, value in one_sample(step.interface, u).items()}
    first = np.concatenate([*own_states(diagram, step).values()])
    begun = _starts(step, inputs, first, starts, seed)
    x, residuals, steps = _newton(step, inputs, begun, iterations)
    good = (residuals <= TOLERANCE) & ~_escaped(step, inputs, x)
    found = _distinct(x[good], residuals[good])
    return FixedPoints(
        points=tuple(_described(step, inputs, *pair) for pair in found),
        u={name: value[0] for name, value in inputs.items()},
        starts=len(begun),
        converged=int(good.sum()),
        iterations=steps,
        smallest_residual=float(residuals.min()),
    )


def _split(step: Step, x: Array) -> Signals:
    borders = np.cumsum(list(step.states.values()))[:-1]
    return dict(zip(step.states, np.split(x, borders, axis=1), strict=True))


def _next(step: Step, inputs: Mapping[str, Array], x: Array) -> Array:
    after = next_states(step, _split(step, x) | dict(inputs))
    return np.concatenate([*after.values()], axis=1)


def _starts(step: Step, inputs: Mapping[str, Array], first: Array, number: int, seed: int) -> Array:
    rng = np.random.default_rng(seed)
    scales = 10 ** rng.uniform(-1, 1, (number, 1))
    random = scales * rng.standard_normal((number, len(first)))
    begun = np.concatenate([np.zeros((1, len(first))), first[None, :], random])
    run = begun
    for _ in range(_FREE_RUN):
        run = _next(step, inputs, run)
    # A run that grows without bound ends nowhere that is worth starting from.
    bounded = (np.abs(run) < 1e6).all(axis=1)
    return np.concatenate([begun, run[bounded]])


def _newton(
    step: Step, inputs: Mapping[str, Array], x: Array, iterations: int
) -> tuple[Array, Array, int]:
    """Return where the starts ended, their scaled residuals, and the steps that were taken."""
    with np.errstate(all="ignore"):
        residual = _next(step, inputs, x) - x
        active = np.isfinite(residual).all(axis=1)
        steps = 0
        while active.any() and steps < iterations:
            steps += 1
            rows = np.flatnonzero(active)
            moved, left, better = _newton_step(step, inputs, x[rows], residual[rows])
            x[rows[better]], residual[rows[better]] = moved[better], left[better]
            active[rows[~better]] = False
        scaled = (np.abs(residual) / np.maximum(1, np.abs(x))).max(axis=1)
    return x, np.where(np.isfinite(scaled), scaled, np.inf), steps


def _newton_step(
    step: Step, inputs: Mapping[str, Array], x: Array, residual: Array
) -> tuple[Array, Array, Array]:
    """Return one damped step from every row, the residuals there, and whether they are less."""
    signals = evaluate(step, _split(step, x) | dict(inputs))
    matrix = state_matrix(step, signals, len(x)) - np.eye(x.shape[1])
    usable = np.isfinite(matrix).all(axis=(1, 2))
    matrix[~usable] = np.eye(x.shape[1])
    try:
        direction = np.linalg.solve(matrix, -residual[:, :, None])[:, :, 0]
    except np.linalg.LinAlgError:
        direction = (np.linalg.pinv(matrix, rcond=1e-13) @ -residual[:, :, None])[:, :, 0]
    norm = np.linalg.norm(residual, axis=1)
    moved, left, better = x.copy(), residual.copy(), np.zeros(len(x), bool)
    length = 1.0
    for _ in range(_HALVINGS):
        rows = np.flatnonzero(usable & ~better)
        if len(rows) == 0:
            break
        tried = x[rows] + length * direction[rows]
        new = _next(step, inputs, tried) - tried
        less = np.linalg.norm(new, axis=1) < (1 - 1e-4 * length) * norm[rows]
        good = rows[less]
        moved[good], left[good], better[good] = tried[less], new[less], True
        length /= 2
    return moved, left, better


def _escaped(step: Step, inputs: Mapping[str, Array], x: Array) -> Array:
    """Return which points lie far out where the state hardly changes."""
    escaped: Array = np.abs(x).max(axis=1) > _FAR
    if escaped.any():
        signals = evaluate(step, _split(step, x[escaped]) | dict(inputs))
        matrix = state_matrix(step, signals, int(escaped.sum())) - np.eye(x.shape[1])
        finite = np.isfinite(matrix).all(axis=(1, 2))
        matrix[~finite] = 0
        escaped[escaped] = np.linalg.svd(matrix, compute_uv=False)[:, -1] <= _SINGULAR
    return escaped


def _distinct(x: Array, residuals: Array) -> list[tuple[Array, float]]:
    """Return points that differ, of equal ones that with the smallest residual, in order."""
    found: list[tuple[Array, float]] = []
    for k in np.argsort(residuals, kind="stable"):
        scale = max(1.0, float(np.abs(x[k]).max()))
        if all(np.abs(x[k] - other).max() > _SAME * scale for other, _ in found):
            found.append((x[k], float(residuals[k])))
    return sorted(found, key=lambda pair: (np.round(pair[0], 5) + 0.0).tolist())


def _described(step: Step, inputs: Mapping[str, Array], x: Array, residual: float) -> FixedPoint:
    known = _split(step, x[None, :]) | dict(inputs)
    signals = evaluate(step, known)
    eigenvalues = np.linalg.eigvals(state_matrix(step, signals, 1)[0])
    eigenvalues = eigenvalues[np.argsort(-np.abs(eigenvalues), kind="stable")]
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
