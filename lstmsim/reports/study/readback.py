"""The study's step that reads the system back from trained weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from lstmsim.base import FloatArray
from lstmsim.plotting import COLOURS
from lstmsim.published import system as printed_system
from lstmsim.published import training as printed
from lstmsim.reports.study.facts import Section, cells_table, claim, reported
from lstmsim.reports.study.figures import panels, poles_and_zeros, unit_circle
from lstmsim.reports.study.plan import Plan
from lstmsim.reports.study.trained import CHAOTIC
from lstmsim.reports.study.trainings import Runs
from lstmsim.theory import extract


def read_back_section(plan: Plan, runs: Runs) -> Section:
    """Read the system in the trained weights."""
    system, run, full = plan.system, runs["published"]["calculated"], plan.full
    back = extract(run.network, printed_system.SCALE)
    poles, own = back.poles(), system.poles()
    pairs = [int(np.argmin(np.abs(poles - pole))) for pole in own]
    shift = max(abs(poles[k] - pole) for k, pole in zip(pairs, own, strict=True))
    new = [k for k in range(len(poles)) if k not in pairs]
    zeros = back.zeros()
    extra = poles[new[0]] if len(new) == 1 else np.nan
    gap = float(np.abs(zeros - extra).min()) if len(new) == 1 else np.inf
    facts = (
        claim("order of the system read back", "5", str(back.nstates), back.nstates == 5),
        reported(
            "D, read back",
            "{} (2.1), {} (2.3)".format(*printed.READ_BACK_D),
            f"{back.D[0, 0]:.4f}",
            CHAOTIC,
        ),
        reported(
            "steady-state gain, read back",
            "{:.4f} (2.1), {:.4f} (2.3)".format(*printed.READ_BACK_GAIN),
            f"{back.dcgain():.4f}",
            CHAOTIC,
        ),
        claim(
            "the original poles are almost unchanged",
            "yes",
            f"moved by {shift:.3f} at most",
            shift < 0.05,
            full,
        ),
        claim(
            "one more pole, nearly cancelled by a zero",
            "{} (2.1), {} (2.3)".format(*printed.READ_BACK_POLE),
            f"{_complex(extra)}, a zero {gap:.3f} away",
            gap < 0.25,
            full,
        ),
    )
    rows = (
        ("poles", _sorted(own), _sorted(poles)),
        ("zeros", _sorted(system.zeros()), _sorted(zeros)),
    )

    def draw() -> Any:
        figure, (left, right) = panels(columns=2, height=3.6, width_ratios=[1.25, 1])
        for axis in (left, right):
            unit_circle(axis)
            poles_and_zeros(axis, system, COLOURS[0], "original", 8)
            poles_and_zeros(axis, back, COLOURS[1], "read back", 5)
        left.set_title("all")
        left.margins(0.08)
        right.set_aspect("equal", adjustable="box")
        right.set(title="near the unit circle", xlim=(-0.5, 1.15), ylim=(-0.8, 0.8))
        figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4)
        return figure

    return Section(
        "read-back",
        "The system in the trained weights",
        "A = R_g, B = W_g / s, C = s·F·R_g and D = F·W_g give a system of fifth order: the "
        "unit that carried the input has become a state.",
        "Poles and zeros of the system that was approximated, and of the one that training left.",
        draw,
        facts,
        cells_table(("", "original", "read back"), rows),
    )


def _complex(value: complex) -> str:
    if abs(value.imag) < 1e-9:
        return f"{value.real:.4f}"
    return f"{value.real:.4f} {'+' if value.imag > 0 else '−'} {abs(value.imag):.4f}i"


def _sorted(values: FloatArray) -> str:
    ordered = sorted(values, key=lambda v: (-v.real, -v.imag))
    return ", ".join(_complex(v) for v in ordered)
