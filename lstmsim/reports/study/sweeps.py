"""The study's sweeps: learning rates, random starts, drop factors, optimizers."""

from __future__ import annotations

import numpy as np

from lstmsim.base import FloatArray
from lstmsim.networks import Network
from lstmsim.plotting import COLOURS
from lstmsim.published import training as printed
from lstmsim.reports.study.facts import Rows, Section, claim, reported
from lstmsim.reports.study.figures import GREY, legend_above, panels, styled
from lstmsim.reports.study.jobs import Job, Trained
from lstmsim.reports.study.settings import FULL, Settings
from lstmsim.training import SGD, Adam, RMSProp

#: What is compared, and the learning rates that are tried.
OPTIMIZERS: dict[str, tuple[Adam | RMSProp | SGD, tuple[float, ...]]] = {
    "Adam": (Adam(), (0.003, 0.01, 0.04, 0.1)),
    "RMSProp": (RMSProp(), (0.001, 0.003, 0.01, 0.03)),
    "SGD, momentum 0.9": (SGD(momentum=0.9), (0.003, 0.01, 0.03, 0.1)),
}

#: Of optimizers, by name and learning rate.
Runs = dict[tuple[str, float], Trained]


def basin_rates(settings: Settings) -> FloatArray:
    """Return the learning rates that leave the calculated weights."""
    return np.logspace(-5, -1, settings.rates)


def drop_factors(settings: Settings) -> FloatArray:
    """Return drop factors that differ from the published one in the third digit."""
    around = np.arange(settings.drops) - settings.drops // 2
    return np.asarray(printed.FROM_RANDOM[1] + 0.001 * around)


def basin_jobs(settings: Settings, network: Network) -> list[Job]:
    """Return the trainings from the calculated weights, a learning rate each."""
    drop = printed.FROM_CALCULATED[1]
    return [
        Job(network, float(rate), drop, settings.basin_epochs) for rate in basin_rates(settings)
    ]


def starts_jobs(settings: Settings, starts: tuple[Network, ...]) -> list[Job]:
    """Return the trainings from random weights."""
    rate, drop = printed.FROM_RANDOM
    return [Job(network, rate, drop, settings.starts_epochs) for network in starts]


def drops_jobs(settings: Settings, start: Network) -> list[Job]:
    """Return the trainings from the published random weights, a drop factor each."""
    rate, _ = printed.FROM_RANDOM
    return [Job(start, rate, float(drop), settings.drops_epochs) for drop in drop_factors(settings)]


def search_jobs(settings: Settings, start: Network) -> dict[tuple[str, float], Job]:
    """Return the short trainings that find each optimizer's best learning rate."""
    return {
        (name, rate): Job(start, rate, printed.FROM_RANDOM[1], settings.search_epochs, optimizer)
        for name, (optimizer, rates) in OPTIMIZERS.items()
        for rate in rates
    }


def race_jobs(settings: Settings, start: Network, found: Runs) -> dict[tuple[str, float], Job]:
    """Return a longer training of each optimizer, at its best learning rate."""
    jobs = {}
    for name, (optimizer, rates) in OPTIMIZERS.items():
        best = min(rates, key=lambda rate: float(found[name, rate].end))
        jobs[name, best] = Job(start, best, printed.FROM_RANDOM[1], settings.race_epochs, optimizer)
    return jobs


def basin_section(settings: Settings, runs: list[Trained]) -> Section:
    """Show where training from the calculated weights ends, over learning rates."""
    rates = basin_rates(settings)
    ends, start = np.array([run.end for run in runs]), runs[0].start
    lows = np.array([run.losses.min() for run in runs])
    facts = (
        reported(
            "the best end of all learning rates",
            "–",
            f"{ends.min():.3g}, {ends.min() / start:.1f} times the loss of the calculated weights",
        ),
    )

    @styled
    def draw() -> object:
        figure, (axis,) = panels()
        finite = np.isfinite(ends)
        axis.loglog(rates[finite], ends[finite], "o-", color=COLOURS[0], label="last loss")
        if not finite.all():
            above = np.full((~finite).sum(), 3 * max(float(ends[finite].max(initial=start)), start))
            axis.loglog(rates[~finite], above, "x", color=COLOURS[1], label="diverged")
        axis.loglog(rates, lows, "v", markersize=4, color=COLOURS[2], label="least loss on the way")
        axis.axhline(start, color=GREY, linestyle="--", linewidth=1, label="calculated weights")
        axis.set_xlabel("learning rate of the first epoch")
        axis.set_ylabel("mean squared error")
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
        Rows(
            ("learning rate", "last loss", "least loss"),
            tuple(
                (f"{rate:.1e}", f"{end:.4g}", f"{low:.4g}")
                for rate, end, low in zip(rates, ends, lows, strict=True)
            ),
        ),
    )


def spread_section(settings: Settings, starts: list[Trained], drops: list[Trained]) -> Section:
    """Show the spread over random starts, and over the drop factor's third digit."""
    first = np.array([run.end for run in starts])
    second = np.array([run.end for run in drops])
    factors = drop_factors(settings)

    def quantiles(values: FloatArray) -> tuple[str, ...]:
        at = [values.min(), *np.quantile(values, [0.25, 0.5, 0.75]), values.max()]
        return tuple(f"{value:.3g}" for value in at)

    full = settings.starts_epochs >= FULL.starts_epochs
    spread = {name: float(v.max() / v.min()) for name, v in (("a", first), ("b", second))}
    facts = (
        claim(
            "the solution depends strongly on the start",
            "yes",
            f"the largest loss is {spread['a']:.1f} times the least",
            spread["a"] > 1.5,
            full,
        ),
        claim(
            "the third digit of the drop factor leads elsewhere",
            "yes",
            f"the largest loss is {spread['b']:.2f} times the least",
            spread["b"] > 1.02,
            full,
        ),
    )

    @styled
    def draw() -> object:
        figure, (left, right) = panels(columns=2, sharey=True)
        left.semilogy(np.arange(len(first)) + 1, np.sort(first), "o", color=COLOURS[0])
        place = int(np.searchsorted(np.sort(first), first[0])) + 1
        left.semilogy(place, first[0], "o", color=COLOURS[1], label="published start")
        left.set_xlabel("random starts, by their loss")
        left.set_ylabel("last mean squared error")
        left.xaxis.get_major_locator().set_params(integer=True)
        left.legend()
        right.semilogy(factors, second, "o-", color=COLOURS[0], linewidth=0.8)
        middle = settings.drops // 2
        right.semilogy(factors[middle], second[middle], "o", color=COLOURS[1], label="published")
        right.set_xlabel("drop factor")
        right.legend()
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
        Rows(
            ("", "least", "first quarter", "median", "third quarter", "largest"),
            (
                (f"{len(first)} random starts", *quantiles(first)),
                (f"{len(second)} drop factors", *quantiles(second)),
            ),
        ),
    )


def optimizers_section(
    settings: Settings,
    found: Runs,
    races: Runs,
) -> Section:
    """Compare three optimizers on the same task, each at its best learning rate."""
    ends = {name: run.end for (name, _), run in races.items()}
    facts = (
        reported(
            f"loss after {settings.race_epochs:,} epochs",
            "–",
            ", ".join(f"{name} {end:.3g}" for name, end in ends.items()),
        ),
    )

    @styled
    def draw() -> object:
        figure, (axis,) = panels()
        for colour, ((name, rate), run) in zip(COLOURS, races.items(), strict=False):
            epochs = np.arange(len(run.losses)) + 1
            axis.loglog(
                epochs, run.losses, color=colour, linewidth=0.9, label=f"{name}, rate {rate:g}"
            )
        axis.set_xlim(1, settings.race_epochs + 1)
        axis.set_xlabel("epoch")
        axis.set_ylabel("mean squared error")
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
        Rows(
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
