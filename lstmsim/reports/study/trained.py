"""The study's trainings from calculated and from random weights, and what became of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from lstmsim.base import FloatArray
from lstmsim.networks import GATES
from lstmsim.plotting import COLOURS
from lstmsim.published import training as printed
from lstmsim.reports.study.facts import Fact, Section, cells_table, claim, reported
from lstmsim.reports.study.figures import legend_above, level, matrix, panels, stairs
from lstmsim.reports.study.linear import output, response
from lstmsim.reports.study.plan import Plan
from lstmsim.reports.study.trainings import Runs, TrainingRun

#: Why figures at the end of a training need not agree.
CHAOTIC = "not comparable: training is chaotic in rounding"


def _ends(run: TrainingRun, published: tuple[float, float]) -> tuple[Fact, Fact]:
    """Return the loss at the start of a training, and at its end beside the published ones."""
    epochs = len(run.losses) - 1
    return (
        reported("loss (MSE) at the start", "not printed", f"{run.start:.5g}", "to 5 digits"),
        reported(
            f"loss (MSE) after {epochs:,} epochs",
            "{:.2g} (2.1), {:.5g} (2.3)".format(*published),
            f"{run.end:.5g}",
            CHAOTIC if epochs == printed.EPOCHS else "fewer epochs than published",
        ),
    )


def calculated_section(_: Plan, runs: Runs) -> Section:
    """Show the training from the calculated weights: the loss rises, and stays above its start."""
    run = runs["published"]["calculated"]
    epochs = len(run.losses) - 1
    factor = run.end / run.start
    facts = (
        *_ends(run, printed.CALCULATED_END),
        claim(
            "the least loss is at the start",
            "yes",
            f"at epoch {run.losses.argmin():,}",
            int(run.losses.argmin()) == 0,
        ),
        claim(
            "the end is above the start by an order of magnitude",
            "at least 5 times",
            f"{factor:.1f} times",
            factor >= 5,
        ),
    )

    return Section(
        "from-calculated",
        "Training from the calculated weights",
        f"Adam, {epochs:,} epochs over one sequence of 1001 samples, learning rate 1e-4 times 0.99 "
        "every 100 epochs, gradients of each array clipped to norm 1, single precision "
        f"({run.seconds:.1f} s). The weights begin at a solution that is better than any that "
        "training reaches: the first steps leave it, and the loss ends far above its start.",
        "Mean squared error over epochs. The dashed lines are the published ends.",
        lambda: _losses_figure(run, printed.CALCULATED_END),
        facts,
    )


def _losses_figure(run: TrainingRun, ends: tuple[float, float]) -> Any:
    figure, (axis,) = panels()
    # An epoch of its own for the start, which a logarithmic axis would not show at 0.
    epochs = np.arange(len(run.losses)) + 1
    axis.loglog(epochs, run.losses, color=COLOURS[0], linewidth=0.8, label="loss")
    axis.plot(1, run.start, "o", color=COLOURS[1], markersize=5, clip_on=False, label="start")
    for end, version, colour in zip(ends, ("2.1", "2.3"), COLOURS[2:], strict=False):
        level(axis, end, f"published end, {version}", colour)
    shown = [*run.losses[np.isfinite(run.losses)], *ends]
    axis.set(xlim=(1, len(epochs)), ylim=(min(shown) / 2, 2 * max(shown)))
    axis.set(xlabel="epoch", ylabel="mean squared error")
    legend_above(axis, 4)
    return figure


def differences_section(plan: Plan, runs: Runs) -> Section:
    """Show how far training has moved the calculated weights."""
    before, after = plan.calculated, runs["published"]["calculated"].network
    old, new = before.recurrent[0], after.recurrent[0]
    moved: dict[str, FloatArray] = {
        gate: np.hstack(
            [
                b - a if b.ndim == 2 else (b - a)[:, None]
                for a, b in zip(old.gate(gate), new.gate(gate), strict=True)
            ]
        )
        for gate in GATES
    }
    assert before.head is not None
    assert after.head is not None
    moved["F"] = after.head.F - before.head.F
    sizes = {name: float(np.abs(values).max()) for name, values in moved.items()}
    quiet = max(sizes[gate] for gate in "ifo")
    loud = min(sizes["g"], sizes["F"])
    facts = (
        claim(
            "only the gate g and F move visibly",
            "yes",
            f"g {sizes['g']:.2g}, F {sizes['F']:.2g}, i, f, o at most {quiet:.2g}",
            quiet < 0.01 * loud,
        ),
    )

    def draw() -> Any:
        figure, axes = panels(columns=5, height=2.9, width_ratios=[1, 1, 1, 1, 0.85])
        limit = max(sizes[gate] for gate in GATES) or 1.0
        for axis, gate in zip(axes, GATES, strict=False):
            image = matrix(axis, moved[gate], limit)
            axis.set_title(f"gate {gate}")
            axis.set_xticks(range(7), ["u", "", "", "h", "", "", "b"])
            axis.set_yticks(range(5), [str(k + 1) for k in range(5)] if gate == "i" else [""] * 5)
            axis.tick_params(length=0)
        axes[0].set_ylabel("unit")
        bar = figure.colorbar(image, ax=axes[:4], location="bottom", shrink=0.5, aspect=30)
        bar.set_label("change of W, R and b by training")
        axes[4].bar(range(1, 6), moved["F"][0], color=COLOURS[0])
        axes[4].set(title="F", xlabel="unit", ylabel="change", xticks=range(1, 6))
        return figure

    return Section(
        "differences",
        "What training has changed",
        "Saturated gates pass next to no gradient: i, f and o stay where they are, and only the "
        "gate g and F move.",
        "Weights after training minus the calculated ones, gate by gate; on the right F.",
        draw,
        facts,
    )


def validation_section(plan: Plan, runs: Runs) -> Section:
    """Compare responses to the validation input and to three times it."""
    system, u = plan.system, plan.example.validation
    networks = {
        "calculated": plan.calculated,
        "trained from there": runs["published"]["calculated"].network,
        "trained from random": runs["published"]["random"].network,
    }
    y, y3 = response(system, u), response(system, 3 * u)
    ones = {name: output(network, u) for name, network in networks.items()}
    threes = {name: output(network, 3 * u) for name, network in networks.items()}

    def relative(a: FloatArray, b: FloatArray) -> float:
        return float(np.linalg.norm(a - b) / np.linalg.norm(b))

    fits = {name: relative(ones[name], y) for name in networks}
    bends = {name: relative(threes[name], 3 * ones[name]) for name in networks}
    facts = (
        claim(
            "the solution from random weights is far from the calculated one",
            "yes",
            f"its response to 3u is {bends['trained from random']:.2f} off 3 times the one to u, "
            f"the calculated network's {bends['calculated']:.3f}",
            bends["trained from random"] > 3 * bends["calculated"],
        ),
    )
    rows = tuple(
        (name, f"{fits[name]:.2e}", f"{relative(threes[name], y3):.2e}", f"{bends[name]:.2e}")
        for name in networks
    )

    def draw() -> Any:
        figure, axes = panels(rows=2, height=5.0, sharex=True)
        Ts = float(system.dt)
        each = ((y, ones, "response to u"), (y3, threes, "response to 3u"))
        for axis, (wanted, found, label) in zip(axes, each, strict=True):
            stairs(axis, wanted, Ts, color="#000000", linewidth=2.6, label="linear system")
            for colour, (name, values) in zip(COLOURS, found.items(), strict=False):
                stairs(axis, values, Ts, color=colour, label=f"network, {name}")
            axis.set_ylabel(label)
        legend_above(axes[0], 4)
        axes[0].set_xlabel("")
        return figure

    return Section(
        "validation",
        "Validation: responses to u and 3u",
        "An input that was not trained on, and the same three times as large. A linear system "
        "answers 3u with three times its answer to u.",
        "Responses of the linear system and of the networks.",
        draw,
        facts,
        cells_table(
            ("weights", "off y, input u", "off y, input 3u", "response to 3u off 3 × response"),
            rows,
        ),
    )


def random_section(plan: Plan, runs: Runs) -> Section:
    """Show the training from the published random weights."""
    run = runs["published"]["random"]
    epochs = len(run.losses) - 1
    least = float(run.losses.min())
    factor = run.start / least
    facts = (
        *_ends(run, printed.RANDOM_END),
        claim(
            "the loss falls by a factor of at least 500",
            "yes",
            f"{factor:.0f} at its least, {run.start / run.end:.0f} at the end",
            factor >= 500,
            plan.full,
        ),
    )

    return Section(
        "from-random",
        "Training from random weights",
        f"All weights from the published stream, uniform in (0, 1); {epochs:,} epochs, learning "
        f"rate 0.04 times 0.98 every 100 epochs ({run.seconds:.1f} s). The solution is far from "
        "the calculated one, and no linear system.",
        "Mean squared error over epochs. The dashed lines are the published ends.",
        lambda: _losses_figure(run, printed.RANDOM_END),
        facts,
    )
