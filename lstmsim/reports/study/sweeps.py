"""The study's sweeps: learning rates, random starts, drop factors, optimizers."""

from __future__ import annotations

from typing import Any

import numpy as np

from lstmsim.base import FloatArray
from lstmsim.plotting import COLOURS
from lstmsim.reports.study.facts import Section, cells_table, claim, reported
from lstmsim.reports.study.figures import curves, legend_above, level, panels
from lstmsim.reports.study.plan import FULL, OPTIMIZERS, Plan
from lstmsim.reports.study.trainings import Runs


def basin_section(plan: Plan, runs: Runs) -> Section:
    """Show where training from the calculated weights ends, over learning rates."""
    settings, basin = plan.settings, list(runs["basin"].values())
    rates, start = np.array(plan.rates), basin[0].start
    ends = np.array([run.end for run in basin])
    lows = np.array([run.losses.min() for run in basin])
    facts = (
        reported(
            "the best end of all learning rates",
            "–",
            f"{ends.min():.3g}, {ends.min() / start:.1f} times the loss of the calculated weights",
        ),
    )

    def draw() -> Any:
        figure, (axis,) = panels()
        finite = np.isfinite(ends)
        axis.plot(rates[finite], ends[finite], "o-", color=COLOURS[0], label="last loss")
        if not finite.all():
            above = 3 * max(float(ends[finite].max(initial=start)), start)
            bad = rates[~finite]
            axis.plot(bad, np.full(len(bad), above), "x", color=COLOURS[1], label="diverged")
        axis.plot(rates, lows, "v", markersize=4, color=COLOURS[2], label="least loss on the way")
        level(axis, start, "calculated weights")
        axis.set(xscale="log", yscale="log")
        axis.set(xlabel="learning rate of the first epoch", ylabel="mean squared error")
        legend_above(axis, 4)
        return figure

    return Section(
        "basin",
        "The basin of the calculated weights",
        f"{settings.basin_epochs:,} epochs from the calculated weights at learning rates from "
        "1e-5 to 1e-1. Adam's first step moves every weight by about the learning rate, whatever "
        "its gradient is. With F of several hundred the loss is a narrow valley, and such a step "
        "leaves it; small rates come back closest.",
        f"Mean squared error after {settings.basin_epochs:,} epochs over the learning rate.",
        draw,
        facts,
        cells_table(
            ("learning rate", "last loss", "least loss"),
            (
                (f"{rate:.1e}", f"{end:.4g}", f"{low:.4g}")
                for rate, end, low in zip(rates, ends, lows, strict=True)
            ),
        ),
    )


def spread_section(plan: Plan, runs: Runs) -> Section:
    """Show the spread over random starts, and over the drop factor's third digit."""
    settings, factors = plan.settings, plan.drops
    first = np.array([run.end for run in runs["starts"].values()])
    second = np.array([run.end for run in runs["drops"].values()])

    def quantiles(values: FloatArray) -> tuple[str, ...]:
        at = [values.min(), *np.quantile(values, [0.25, 0.5, 0.75]), values.max()]
        return tuple(f"{value:.3g}" for value in at)

    full = settings.starts_epochs >= FULL.starts_epochs
    spread, shift = (float(v.max() / v.min()) for v in (first, second))
    facts = (
        claim(
            "the solution depends strongly on the start",
            "yes",
            f"the largest loss is {spread:.1f} times the least",
            spread > 1.5,
            full,
        ),
        claim(
            "the third digit of the drop factor leads elsewhere",
            "yes",
            f"the largest loss is {shift:.2f} times the least",
            shift > 1.02,
            full,
        ),
    )

    def draw() -> Any:
        figure, (left, right) = panels(columns=2, sharey=True)
        ordered, middle = np.sort(first), settings.drops // 2
        left.semilogy(np.arange(len(first)) + 1, ordered, "o", color=COLOURS[0])
        place = int(np.searchsorted(ordered, first[0])) + 1
        left.semilogy(place, first[0], "o", color=COLOURS[1], label="published start")
        left.set(xlabel="random starts, by their loss", ylabel="last mean squared error")
        left.xaxis.get_major_locator().set_params(integer=True)
        right.semilogy(factors, second, "o-", color=COLOURS[0], linewidth=0.8)
        right.semilogy(factors[middle], second[middle], "o", color=COLOURS[1], label="published")
        right.set_xlabel("drop factor")
        for axis in (left, right):
            axis.legend()
        return figure

    return Section(
        "spread",
        "Random starts and the drop factor",
        f"{settings.starts} random starts from the published stream (the first is the published "
        f"one), {settings.starts_epochs:,} epochs each; and {settings.drops} drop factors, "
        f"{settings.drops_epochs:,} epochs each from the published start.",
        "Mean squared error at the end: of random starts (left), over the drop factor (right).",
        draw,
        facts,
        cells_table(
            ("", "least", "first quarter", "median", "third quarter", "largest"),
            (
                (f"{len(first)} random starts", *quantiles(first)),
                (f"{len(second)} drop factors", *quantiles(second)),
            ),
        ),
    )


def optimizers_section(plan: Plan, runs: Runs) -> Section:
    """Compare three optimizers on the same task, each at its best learning rate."""
    settings, found, races = plan.settings, runs["search"], runs["races"]
    ends = {name: run.end for (name, _), run in races.items()}
    facts = (
        reported(
            f"loss after {settings.race_epochs:,} epochs",
            "–",
            ", ".join(f"{name} {end:.3g}" for name, end in ends.items()),
        ),
    )

    def draw() -> Any:
        figure, (axis,) = panels()
        losses = {f"{name}, rate {rate:g}": run.losses for (name, rate), run in races.items()}
        curves(axis, None, losses, linewidth=0.9)
        axis.set(xscale="log", yscale="log", xlim=(1, settings.race_epochs + 1))
        axis.set(xlabel="epoch", ylabel="mean squared error")
        legend_above(axis, 3)
        return figure

    rows = tuple(
        (
            name,
            ", ".join(f"{r:g}: {found[name, r].end:.3g}" for r in OPTIMIZERS[name][1]),
            f"{rate:g}",
            f"{run.end:.4g}",
            f"{run.losses.min():.4g}",
        )
        for (name, rate), run in races.items()
    )
    return Section(
        "optimizers",
        "Optimizers",
        "Adam, RMSProp and gradient descent with momentum from the published random weights. "
        f"The learning rate of each is the best of four after {settings.search_epochs:,} epochs; "
        f"the figure shows {settings.race_epochs:,} epochs at it, with the published drop factor "
        "and clipping.",
        "Mean squared error over epochs, each optimizer at its best learning rate.",
        draw,
        facts,
        cells_table(
            (
                "optimizer",
                f"learning rate: loss after {settings.search_epochs:,} epochs",
                "best rate",
                f"loss after {settings.race_epochs:,}",
                "least loss",
            ),
            rows,
        ),
    )
