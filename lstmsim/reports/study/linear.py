"""The study's steps that need no training: the linear system and its calculated weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lstmsim.base import FloatArray
from lstmsim.diagram import build
from lstmsim.engine import compile
from lstmsim.networks import Network
from lstmsim.plotting import COLOURS
from lstmsim.published import system as printed
from lstmsim.reports.study.facts import Section, claim, digits
from lstmsim.reports.study.figures import (
    GREY,
    curves,
    legend_above,
    level,
    matrix,
    panels,
    poles_and_zeros,
    stairs,
    unit_circle,
)
from lstmsim.reports.study.plan import Plan
from lstmsim.theory import approximate, extract, linearity

if TYPE_CHECKING:
    import control


def response(system: control.StateSpace, u: FloatArray) -> FloatArray:
    """Return the output (T,) of a system with one input and one output, from rest."""
    import control

    times = np.arange(len(u)) * float(system.dt)
    return np.asarray(control.forced_response(system, times, u[:, 0]).outputs, float)


def output(network: Network, u: FloatArray, dtype: str = "float32") -> FloatArray:
    """Return the output (T,) of a network with one output, through its compiled diagram."""
    return np.asarray(compile(build(network), dtype).forward(u), float)[:, 0]


def system_section(plan: Plan) -> Section:
    """Discretize the linear system, in its published realisation."""
    system = plan.system
    A, B = system.A, system.B
    entries = {
        "a1": A[0, 0],
        "w1²": -A[1, 0],
        "a2": A[2, 2],
        "w2²": -A[3, 2],
        "α": A[1, 2],
        "β": A[1, 3],
        "B[1]": B[1, 0],
        "B[3]": B[3, 0],
    }
    zeros = system.zeros().real
    nearest = [zeros[np.argmin(np.abs(zeros - zero))] for zero in printed.DISCRETE_ZEROS]
    sections = [np.poly(A[k : k + 2, k : k + 2])[1:] for k in (0, 2)]
    facts = [
        digits("D", printed.DIRECT, system.D[0, 0], 0),
        digits("steady-state gain", printed.STEADY_STATE_GAIN, system.dcgain(), 4),
        digits("gain of the discrete form", printed.DISCRETE_GAIN, (system.C @ B)[0, 0], 6),
        digits("zero 1, discrete", printed.DISCRETE_ZEROS[0], nearest[0], 3),
        digits("zeros 2 and 3, discrete", printed.DISCRETE_ZEROS[1:], nearest[1:], 4),
        digits("slow section: z coefficient", printed.DISCRETE_SECTIONS[0][0], sections[0][0], 3),
        digits("slow section: constant", printed.DISCRETE_SECTIONS[0][1], sections[0][1], 4),
        digits("fast section: z coefficient", printed.DISCRETE_SECTIONS[1][0], sections[1][0], 2),
        digits("fast section: constant", printed.DISCRETE_SECTIONS[1][1], sections[1][1], 4),
        *(digits(name, value, entries[name], 4) for name, value in printed.REALISATION.items()),
    ]
    step = response(system, np.ones((150, 1)))

    def draw() -> Any:
        figure, (left, right) = panels(columns=2, width_ratios=[1, 1.25])
        unit_circle(left)
        poles_and_zeros(left, system, COLOURS[0], "discrete", 7)
        left.legend(loc="lower left", fontsize=8)
        stairs(right, step, float(system.dt), color=COLOURS[0], label="response to a unit step")
        gain = printed.STEADY_STATE_GAIN
        level(right, gain, f"printed gain {gain}", COLOURS[1])
        right.set_ylabel("output")
        right.legend(loc="lower right", fontsize=8)
        return figure

    return Section(
        "system",
        "The linear system",
        "Zero −4, poles −9 ± 5i and −2 ± 50i, gain 5e5, behind a zero-order hold at 0.01 s, as a "
        "series of two second-order sections. The realisation is fixed by a rule that gives both "
        "printed entries of B: each section balanced, all states scaled by one power of two.",
        "Poles and zeros (left), and the response to a step (right).",
        draw,
        tuple(facts),
    )


def weights_section(plan: Plan) -> Section:
    """Calculate the weights, and run the network on the validation input."""
    system, network, u = plan.system, plan.calculated, plan.example.validation
    y, z = response(system, u), output(network, u)
    head = network.head
    assert head is not None
    back = extract(network, printed.SCALE)
    W, R, _ = network.recurrent[0].gate("g")
    facts = [
        digits("F", printed.CALCULATED_F, head.F[0], 4),
        digits(
            "steady-state gain of the system read back",
            printed.STEADY_STATE_GAIN,
            back.dcgain(),
            4,
        ),
    ]
    error = float(np.linalg.norm(y - z))

    def draw() -> Any:
        figure, (left, right) = panels(columns=2, width_ratios=[1, 1.5])
        shown = np.hstack([R, W / printed.SCALE])
        limit = float(np.abs(shown).max())
        matrix(left, shown, limit)
        for (row, column), value in np.ndenumerate(shown):
            if value:
                colour = "white" if abs(value) > 0.6 * limit else "black"
                at = {"ha": "center", "va": "center", "fontsize": 6.5, "color": colour}
                left.text(column, row, f"{value:.2g}", **at)
        left.set_xticks(range(6), [*(f"h{k + 1}" for k in range(5)), "u"])
        left.set_yticks(range(5), [f"unit {k + 1}" for k in range(5)])
        left.set_title("R and W / s of the gate g")
        stairs(right, y, network.Ts, color=COLOURS[0], linewidth=2.2, label="linear system")
        stairs(right, z, network.Ts, color=COLOURS[1], label="network, s = 1e-3")
        right.set_ylabel("output")
        legend_above(right, 2)
        return figure

    return Section(
        "weights",
        "Calculated weights",
        "With gates saturated by biases of ±100, h = tanh(tanh(R h⁻ + W u)) is linear for small "
        "signals. The weights follow from A, B, C, D; F reads the output from the states after "
        f"the sample. On the validation input the network (single precision) is {error:.2e} off, "
        f"‖y − z‖ over {len(u)} samples.",
        "The calculated weights of the only gate that is not constant (left), and the response "
        "to the validation input (right).",
        draw,
        tuple(facts),
    )


def scale_section(plan: Plan) -> Section:
    """Measure the error of the calculated weights over their scale, in both precisions."""
    system, u = plan.system, plan.example.validation
    scales = np.logspace(-13, 2, 15 * plan.settings.scales_per_decade + 1)
    y = response(system, u)
    networks = [approximate(system, scale) for scale in scales]
    errors = {
        dtype: np.array([np.linalg.norm(output(n, u, dtype) - y) for n in networks])
        for dtype in ("float64", "float32")
    }
    limit = float(np.abs(u).max())
    chosen = {}
    for dtype in errors:
        automatic = approximate(system, "auto", input_range=limit, dtype=dtype)
        bound = linearity(automatic, limit, system=system, dtype=dtype).bound[0]
        W, _, _ = automatic.recurrent[0].gate("g")
        error = float(np.linalg.norm(output(automatic, u, dtype) - y))
        chosen[dtype] = (float(W[-1, 0]), error, bound * np.sqrt(len(u)))
    linear = (scales >= 1e-6) & (scales <= 1e-4)
    slope = float(np.polyfit(np.log10(scales[linear]), np.log10(errors["float64"][linear]), 1)[0])
    floors = {dtype: float(np.median(values[scales <= 1e-10])) for dtype, values in errors.items()}
    size = float(np.linalg.norm(y))
    facts = [
        claim("slope of the error over the scale", "2", f"{slope:.4f}", abs(slope - 2) < 0.01),
        claim(
            "floor in single precision",
            "about 1e-5",
            f"{floors['float32']:.1e}",
            1e-6 < floors["float32"] < 2e-4,
        ),
        claim(
            "floor in double precision",
            "about 1e-14",
            f"{floors['float64']:.1e}",
            1e-15 < floors["float64"] < 2e-13,
        ),
        claim(
            "saturated, s = 100: error relative to the output",
            "about 1",
            f"{errors['float64'][-1] / size:.3f}",
            0.9 < errors["float64"][-1] / size < 1.1,
        ),
        *(
            claim(
                f"scale chosen automatically, {dtype}: error within its bound",
                f"at most {bound:.1e}",
                f"{error:.1e} at s = {scale:.1e}",
                error <= bound,
            )
            for dtype, (scale, error, bound) in chosen.items()
        ),
    ]

    def draw() -> Any:
        figure, (axis,) = panels(height=3.8)
        curves(axis, scales, errors, "o-", markersize=3)
        for colour, (dtype, (scale, error, _)) in zip(COLOURS, chosen.items(), strict=False):
            label = f'{dtype}, scale="auto"'
            axis.plot(scale, error, "*", markersize=13, color=colour, mec="black", label=label)
        middle = errors["float64"][np.argmin(np.abs(scales - 1e-5))]
        guide = np.array([1e-7, 1e-3])
        square = 4 * middle * (guide / 1e-5) ** 2
        axis.plot(guide, square, "--", color=GREY, linewidth=1, label="slope 2")
        level(axis, size, "‖y‖", line=":")
        axis.set(xscale="log", yscale="log", xlabel="scale s")
        axis.set_ylabel("‖y − z‖ over the validation input")
        axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8)
        return figure

    return Section(
        "scale",
        "Error over the scale",
        "tanh(tanh x) = x − ⅔x³ + …: the error falls with the square of the scale, from where "
        "the states saturate down to where rounding stays. The stars are the scale and the "
        'coordinates of the states that `approximate(system, scale="auto")` chooses.',
        "Error of the network over the scale of its weights, in both precisions.",
        draw,
        tuple(facts),
    )


def states_alone_section(plan: Plan) -> Section:
    """Calculate weights without units for the input: N = n."""
    system, network = plan.system, plan.calculated
    small = approximate(system, printed.SCALE, direct_path=False)
    direct = float((system.C @ np.linalg.solve(system.A, system.B))[0, 0])
    impulse = np.eye(30, 1)
    y = response(system, impulse)
    both, alone = output(network, impulse), output(small, impulse)
    later = float(np.abs(alone - y)[1:].max())
    facts = [
        claim(
            "units of the variant",
            "4",
            str(small.recurrent[0].n_units),
            small.recurrent[0].n_units == 4,
        ),
        claim(
            "direct path C·A⁻¹·B instead of D = 0, from the run",
            f"{direct:.4f}",
            f"{alone[0]:.4f}",
            abs(alone[0] - direct) < 1e-3 * abs(direct),
        ),
        claim(
            "later samples as the system's",
            "0",
            f"{later:.1e} off at most",
            later < 1e-3 * float(np.abs(y).max()),
        ),
    ]

    def draw() -> Any:
        figure, axes = panels(columns=2, width_ratios=[2, 1])
        Ts = network.Ts
        for axis in axes:
            stairs(axis, y, Ts, color=COLOURS[0], linewidth=3, label="linear system")
            stairs(axis, both, Ts, color=COLOURS[4], label="network, N = n + m")
            stairs(axis, alone, Ts, color=COLOURS[1], linestyle="--", label="network, N = n")
        axes[0].set_ylabel("response to an impulse")
        legend_above(axes[0], 3)
        axes[1].set(title="first samples", xlim=(0, 3 * Ts), ylim=(-0.1, 0.6))
        axes[1].text(0.2 * Ts, direct + 0.02, "C·A⁻¹·B", color=COLOURS[1], fontsize=8)
        return figure

    return Section(
        "states-alone",
        "States alone",
        "Without units that carry the input, N = n: the hidden state after a sample cannot tell "
        "the sample's own input from the state before it, and F = C·A⁻¹ adds a direct path "
        "C·A⁻¹·B. All later samples are the system's.",
        "Response to an impulse: with and without units for the input.",
        draw,
        tuple(facts),
    )
