"""The analysis of a diagram: all parts, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy.typing as npt
from bdsim.blockdiagram import BlockDiagram

from lstmsim.base import DiagramError
from lstmsim.diagram import structure
from lstmsim.dynamics import Sample, SampleMap, sample_map
from lstmsim.networks import Network
from lstmsim.reports.analysis.context import Context, SkippedError, reason
from lstmsim.reports.analysis.inputs import held_input, over_time
from lstmsim.reports.analysis.parts import CERTIFICATES, PARTS, RUN, PartKind
from lstmsim.reports.analysis.report import Analysis, Part


def analyze(
    diagram: BlockDiagram,
    u: npt.ArrayLike | Mapping[str, npt.ArrayLike] | None = None,
    *,
    samples: int | None = None,
    network: Network | Mapping[str, npt.ArrayLike] | None = None,
    input_bound: npt.ArrayLike | None = None,
    held: str | Sample = "mean",
    progress: Callable[[str], None] | None = None,
) -> Analysis:
    """Run a diagram, and read it in every way that this package has.

    Its feedback loops; its linearization along the run; its fixed points; the gains of its
    loops and the flow of gradients along the run; its Lyapunov exponents, along the input or, where
    nothing or a constant drives it, of a free run; and certificates of stability.  What does not
    apply, or fails, is skipped and named with its reason; what would take longer than seconds is
    bounded, and says so.

    Parameters
    ----------
    diagram : BlockDiagram
        Any diagram.  One that `compile` does not take is run in bdsim, and has its loops found.
    u : array_like of shape (T, Ni), or mapping of such, optional
        The input, as for `simulate`.
    samples : int, optional
        How many samples to run: all that the input has, or 1,000 without a source.
    network : Network or mapping, optional
        The LSTM network that the diagram is, or the workspace that makes it: certificates are for
        networks, and for no other diagram.
    input_bound : float or array_like of shape (Ni,), optional
        The largest magnitude of the inputs that certificates are for; that of this run's
        input if not given.
    held : str or array_like or mapping, optional
        The constant input of the fixed points: "mean", the mean of the input; "zero"; or one
        sample, by source name if there are several sources.
    progress : callable, optional
        Called with the name of each part as it begins.

    Returns
    -------
    Analysis
        ``report.loops``, ``report.linearization``, ``report.fixed_points``, ``report.gains``,
        ``report.flow``, ``report.lyapunov``, ``report.stability``, each None if it was skipped;
        ``report.parts`` says why; ``str(report)`` is a table; ``report.to_json()`` has the numbers.

    Raises
    ------
    InvalidTypeError, InvalidValueError, ShapeError
        If an argument does not fit the diagram, or a source has no input.
    DiagramError
        If the diagram cannot run (`AlgebraicLoopError` for a loop without a delay).

    Examples
    --------
    >>> import lstmsim as ls
    >>> network, u = ls.published.layer_example()
    >>> report = ls.analyze(ls.build(network), u, network=network)
    >>> print(report["feedback loops"].found)
    5: 1 inner through c_prev, 4 outer through h_prev
    >>> report["fixed points"].found.split(";")[0]
    "at the input's mean: 1 stable"
    """
    structure.check_is_diagram(diagram)
    step, unlowered = _lowered(diagram)
    inputs = over_time(diagram, u, samples, step)
    held_at = ({}, "") if step is None else held_input(step, inputs, held)
    context = Context(diagram, u, samples, network, input_bound, inputs, step, unlowered, held_at)
    # First, as a bound that does not fit is an error.
    found = {CERTIFICATES.attribute: run_part(CERTIFICATES, context, progress)}
    for kind in PARTS[:-1]:
        found[kind.attribute] = run_part(kind, context, progress)
        if kind is RUN:
            context = context.limited(found[RUN.attribute][1])
    parts = tuple(found[kind.attribute][0] for kind in PARTS)
    return Analysis(parts, **{name: result for name, (_, result) in found.items()})


def run_part(
    kind: PartKind, context: Context, progress: Callable[[str], None] | None
) -> tuple[Part, Any]:
    """Return a part and its result, or why it does not apply or fails, and None."""
    if progress is not None:
        progress(kind.name)
    try:
        result, note = kind.compute(context)
    except SkippedError as skip:
        return Part(kind.name, "", str(skip)), None
    except kind.failures as error:
        return Part(kind.name, "", reason(error)), None
    return Part(kind.name, kind.describe(result, context), note), result


def _lowered(diagram: BlockDiagram) -> tuple[SampleMap | None, str]:
    """Return the map of one sample, or why there is none."""
    try:
        return sample_map(diagram), ""
    except DiagramError as error:
        return None, f"the diagram does not compile: {reason(error)}"
