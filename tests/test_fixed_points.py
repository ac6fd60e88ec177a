"""Fixed points: those that theory knows are found, with their eigenvalues."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from scipy.optimize import brentq

import lstmsim as ls
from lstmsim.errors import DiagramError, InvalidTypeError, InvalidValueError
from tests.conftest import Case, random_network
from tests.helpers import assert_close, diagram, refused, wire


def loop(a: float, x0: float = 0.3, kind: str = "TANH") -> Any:
    """Return x⁺ = tanh(a x), or of another block than tanh."""
    bd, clock = diagram()
    bd.UNITDELAY(clock, x0, name="x")
    bd.GAIN(a, name="a")
    getattr(bd, kind)(name="t")
    return wire(bd, "x -> a", "a -> t", "t -> x")


@pytest.mark.parametrize("a", [0.2, 0.5, 0.99])
def test_a_weak_loop_has_the_origin_alone(a: float) -> None:
    (point,) = ls.fixed_points(loop(a))
    assert_close(point.states["x"], [0.0], 1e-12)
    assert_close(point.eigenvalues, [a], 1e-12)
    assert point.stability == "stable"


@pytest.mark.parametrize("a", [1.01, 2.0, 10.0])
def test_a_strong_loop_has_three(a: float) -> None:
    report = ls.fixed_points(loop(a))
    x = brentq(lambda v: v - np.tanh(a * v), 1e-3, 1, xtol=1e-15)
    assert_close([p.states["x"][0] for p in report], [-x, 0, x], 1e-11)
    outer = a * (1 - x**2)
    assert_close([p.eigenvalues[0] for p in report], [outer, a, outer], 1e-9)
    assert [p.stability for p in report] == ["stable", "unstable", "stable"]
    assert max(p.residual for p in report) <= 1e-12


def test_the_loop_between_is_marginal() -> None:
    (point,) = ls.fixed_points(loop(1.0))
    assert abs(point.states["x"][0]) < 1e-6
    assert point.stability == "marginal"


def test_a_negative_loop_gain_flips_the_origin() -> None:
    (point,) = ls.fixed_points(loop(-3.0))
    assert point.stability == "unstable"
    assert_close(point.eigenvalues, [-3.0], 1e-12)


def test_a_constant_input_moves_it() -> None:
    bd, clock = diagram()
    bd.FROMWORKSPACE(clock, width=2, name="u")
    bd.UNITDELAY(clock, [0.0, 0.0], name="x")
    A, B = np.array([[0.5, 0.2], [-0.3, 0.1]]), np.array([[1.0, 2.0], [0.0, 1.0]])
    bd.MATRIXGAIN(A, name="A")
    bd.MATRIXGAIN(B, name="B")
    bd.SUM("++", name="sum")
    wire(bd, "x -> A", "u -> B", "A -> sum[0]", "B -> sum[1]", "sum -> x")
    (point,) = ls.fixed_points(bd, [1.0, -2.0])
    expected = np.linalg.solve(np.eye(2) - A, B @ [1.0, -2.0])
    assert_close(point.states["x"], expected, 1e-12)
    assert_close(np.sort(point.eigenvalues), np.sort(np.linalg.eigvals(A)), 1e-12)


def test_a_layer_stays_where_its_stable_fixed_points_are() -> None:
    for seed in range(5):
        network = random_network(2, inputs=1, scale=2.0, seed=seed)
        bd = ls.build(network)
        report = ls.fixed_points(bd, [0.4])
        assert len(report) >= 1
        for point in report:
            traces = ls.simulate(bd, np.full((3, 1), 0.4), state=dict(point.states), engine="numpy")
            for name, value in point.states.items():
                size = max(1.0, float(np.abs(value).max()))
                gone = np.abs(traces[name].values - value).max() / size
                assert gone < 1e-11 * max(1, point.spectral_radius) ** 3, (seed, name)


def test_a_loop_without_one_says_how_hard_it_tried() -> None:
    bd, clock = diagram()
    bd.UNITDELAY(clock, 0.0, name="x")
    bd.CONSTANT(1.0, name="k")
    bd.SUM("++", name="sum")
    wire(bd, "x -> sum[0]", "k -> sum[1]", "sum -> x")
    report = ls.fixed_points(bd, starts=10)
    assert len(report) == 0
    text = str(report)
    assert "No fixed point was found" in text
    assert "24 starts" in text
    assert "does not show that there is none" in text
    assert report.smallest_residual > 1e-3


def test_a_state_that_runs_away_is_no_fixed_point() -> None:
    # f is 1 but for 1e-9 and c grows: in double precision c + 1e-17·c is c where c is 1e17.
    W, R = np.zeros((4, 1)), np.zeros((4, 1))
    b = np.array([0.0, 40.0, 1.0, 0.0])
    report = ls.fixed_points(ls.build(ls.Network([ls.LSTM(W, R, b)])))
    assert len(report) == 0


def test_a_line_of_them_is_said_to_be_one() -> None:
    bd, clock = diagram()
    bd.UNITDELAY(clock, 0.3, name="x")
    bd.GAIN(1.0, name="a")
    wire(bd, "x -> a", "a -> x")
    report = ls.fixed_points(bd)
    assert len(report) > 20
    assert {p.stability for p in report} == {"marginal"}
    assert "a line or a surface" in str(report)
    assert "more" in str(report)


def test_a_kink_is_marked() -> None:
    bd, clock = diagram()
    bd.UNITDELAY(clock, 0.3, name="x")
    bd.GAIN(0.5, name="a")
    bd.CLIP(0.0, 1.0, name="limit")
    wire(bd, "x -> a", "a -> limit", "limit -> x")
    (point,) = ls.fixed_points(bd)
    assert point.nonsmooth == ("limit",)
    assert "stable*" in str(ls.fixed_points(bd))


def test_points_of_a_line_are_said_to_be_so() -> None:
    bd, clock = diagram()
    bd.UNITDELAY(clock, [0.0, 0.0], name="x")
    bd.MATRIXGAIN(np.diag([2.0, 1.0]), name="A")
    report = ls.fixed_points(wire(bd, "x -> A", "A -> x"))
    assert {p.stability for p in report} == {"unstable"}
    assert report.continuous
    assert "points of a line or a surface" in report.summary
    assert not ls.fixed_points(loop(2.0)).continuous


def test_the_report_is_a_table_and_json(published: Case) -> None:
    report = ls.fixed_points(published.diagram, [1.0, 0.0, 0.0, 2.0])
    content = json.loads(report.to_json())
    assert content["u"] == {"u": [1.0, 0.0, 0.0, 2.0]}
    assert content["starts"] == report.starts
    point = content["points"][0]
    assert_close(point["states"]["h_prev"], report[0].states["h_prev"], 1e-15)
    assert len(point["eigenvalues"]) == 6
    assert report[0].stability in str(report)
    assert "1 fixed point: 1 stable." in repr(report)


def test_the_same_seed_gives_the_same_search() -> None:
    one, two = (ls.fixed_points(loop(2.0), starts=7, seed=3) for _ in range(2))
    assert one.to_json() == two.to_json()


def test_what_does_not_fit_is_refused() -> None:
    bd, clock = diagram()
    bd.FROMWORKSPACE(clock, width=1, name="u")
    bd.TOWORKSPACE(clock, name="out")
    wire(bd, "u -> out")
    with refused(DiagramError, "no states", "at least one delay"):
        ls.fixed_points(bd)
    with refused(InvalidValueError, "the diagram has no source"):
        ls.fixed_points(loop(2.0), [1.0])
    with refused(InvalidValueError, "starts", "at least 0"):
        ls.fixed_points(loop(2.0), starts=-1)
    with refused(InvalidTypeError, "iterations", "whole number"):
        ls.fixed_points(loop(2.0), iterations=1.5)


@pytest.mark.parametrize(
    ("a", "stability"),
    [
        (1 - 1e-6, "stable"),
        (1 + 1e-6, "unstable"),
        (-1 + 1e-6, "stable"),
        (1 - 1e-9, "marginal"),
        (1 + 1e-9, "marginal"),
    ],
)
def test_a_millionth_from_the_unit_circle_is_told_from_it_and_a_billionth_is_not(
    a: float, stability: str
) -> None:
    bd, clock = diagram()
    bd.UNITDELAY(clock, 0.3, name="x")
    bd.GAIN(a, name="a")
    (point,) = ls.fixed_points(wire(bd, "x -> a", "a -> x"))
    assert point.stability == stability
