"""Lyapunov exponents: systems whose exponents are known have them."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import lstmsim as ls
from lstmsim.dynamics.exponents import spectrum
from lstmsim.dynamics.exponents.frames import Frame, factored
from lstmsim.dynamics.exponents.report import kaplan_yorke
from lstmsim.errors import (
    DiagramError,
    InvalidTypeError,
    InvalidValueError,
    NonFiniteSignalError,
    ShapeError,
)
from tests.conftest import Case
from tests.helpers import assert_close, assert_same, diagram, refused, wire


@pytest.fixture(autouse=True)
def _no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def linear(A: Any, Ts: float = 0.1) -> Any:
    """Return x⁺ = A x + u, with x beginning at 1."""
    A = np.array(A, float)
    bd = ls.blockdiagram()
    clock = bd.clock(Ts, name="clock")
    bd.FROMWORKSPACE(clock, width=len(A), name="u")
    bd.UNITDELAY(clock, np.ones(len(A)), name="x")
    bd.MATRIXGAIN(A, name="A")
    bd.SUM("++", name="sum")
    return wire(bd, "x -> A", "A -> sum[0]", "u -> sum[1]", "sum -> x")


def henon() -> Any:
    """Return Hénon's map, x⁺ = 1 − 1.4 x² + y, y⁺ = 0.3 x."""
    bd, clock = diagram()
    bd.UNITDELAY(clock, 0.0, name="x")
    bd.UNITDELAY(clock, 0.0, name="y")
    bd.HADAMARD(2, name="square")
    bd.GAIN(1.4, name="a")
    bd.GAIN(0.3, name="b")
    bd.CONSTANT(1.0, name="one")
    bd.SUM("+-+", name="sum")
    wires = ("x -> square[0]", "x -> square[1]", "square -> a", "one -> sum[0]", "a -> sum[1]")
    return wire(bd, *wires, "y -> sum[2]", "sum -> x", "x -> b", "b -> y")


@pytest.fixture(scope="module")
def chaotic_lstm() -> Any:
    return ls.build(ls.published.chaotic_lstm())


def test_a_linear_system_s_are_its_eigenvalues() -> None:
    A = np.array([[0.9, 0.5, 0.1], [0.0, -0.5, 0.3], [0.0, 0.0, 0.2]])
    found = ls.lyapunov(linear(A), samples=2000)
    assert_close(found.exponents, np.log([0.9, 0.5, 0.2]), 1e-9)
    assert_close(found.per_second, found.exponents / 0.1, 1e-15)
    assert not found.chaotic
    assert found.kaplan_yorke == 0
    assert "negative: nearby runs meet" in str(found)


def test_a_pair_of_eigenvalues_has_one_magnitude() -> None:
    A = 0.95 * np.array([[np.cos(0.7), -2 * np.sin(0.7)], [np.sin(0.7) / 2, np.cos(0.7)]])
    found = ls.lyapunov(linear(A), samples=20_000)
    assert_close(found.exponents, [np.log(0.95)] * 2, 1e-3)
    assert_close(found.exponents.sum(), 2 * np.log(0.95), 1e-12)


def test_henon_s_map_has_its_published_exponents() -> None:
    found = ls.lyapunov(henon(), samples=50_000)
    print(found.exponents, found.standard_error)
    assert found.chaotic
    assert abs(found.exponents[0] - 0.4192) < 5 * found.standard_error[0] < 0.02
    assert_close(found.exponents.sum(), math.log(0.3), 1e-12, "ln |det|")
    assert_close(found.kaplan_yorke, 1.258, 0.01)


def test_a_run_into_a_fixed_point_has_that_point_s_eigenvalues(published: Case) -> None:
    u = [1.0, 0.0, 0.0, 2.0]
    (point,) = ls.fixed_points(published.diagram, u)
    found = ls.lyapunov(published.diagram, u, samples=3000, discard=3000)
    expected = np.log(np.abs(point.eigenvalues[:3]))
    assert_close(found.exponents[:3], expected, 1e-6)


def test_the_two_unit_lstm_is_chaotic(chaotic_lstm: Any) -> None:
    found = ls.lyapunov(chaotic_lstm, samples=30_000)
    print(found)
    assert found.chaotic
    assert found.exponents[0] > 0.15
    assert 1 < found.kaplan_yorke < 2
    assert "positive: nearby runs part" in str(found)


def log_determinant(traces: Any) -> np.ndarray:
    """Return ln |det J| of an LSTM's free run, Π f · Π o (1 − o) tanh c · det R_o.

    h's rows less o (1 − tanh² c) times c's rows leave the way over the output gate alone.
    """
    R_o = ls.published.chaotic_lstm().recurrent[0].gate("o")[1]
    f, o, c = (traces[n].values for n in "foc")
    factors = np.log(np.abs(f * o * (1 - o) * np.tanh(c))).sum(axis=1)
    return np.asarray(factors + math.log(abs(np.linalg.det(R_o))))


def test_its_determinant_is_the_product_of_its_gates_at_every_sample(chaotic_lstm: Any) -> None:
    traces = ls.simulate(chaotic_lstm, np.zeros((500, 1)), engine="numpy")
    A = ls.linearize(chaotic_lstm, traces).A.values
    sign, size = np.linalg.slogdet(A)
    assert_close(size, log_determinant(traces), 1e-9)
    R_o = ls.published.chaotic_lstm().recurrent[0].gate("o")[1]
    expected = np.sign(traces.c.values).prod(axis=1) * np.sign(np.linalg.det(R_o))
    assert_same(sign, expected, "f and o (1 − o) are positive, det R_o is −19")


def test_its_exponents_sum_to_the_mean_of_that(chaotic_lstm: Any) -> None:
    found = ls.lyapunov(chaotic_lstm, samples=20_000, discard=500)
    traces = ls.simulate(chaotic_lstm, np.zeros((20_500, 1)), engine="numba")
    expected = log_determinant(traces)[500:].mean()
    print(f"sum {found.exponents.sum():.12f}, mean ln |det| {expected:.12f}")
    assert abs(found.exponents.sum() - expected) < 1e-9


def test_zero_input_is_what_no_input_means(chaotic_lstm: Any) -> None:
    none = ls.lyapunov(chaotic_lstm, samples=300)
    for u in ([0.0], 0.0, {"u": [0.0]}, np.zeros((1300, 1)), {"u": np.zeros((1300, 1))}):
        assert_same(ls.lyapunov(chaotic_lstm, u, samples=300).exponents, none.exponents)
    bound = linear([[0.5]])
    bound.blocknames["u"].values = [[1.0], [2.0]]
    assert_close(ls.lyapunov(bound, samples=10).exponents, [math.log(0.5)], 1e-12)


def test_a_driven_run_follows_its_input(published: Case) -> None:
    u = np.random.default_rng(0).standard_normal((600, 4))
    found = ls.lyapunov(published.diagram, u, discard=100)
    assert found.samples == 500
    A = ls.linearize(published.diagram, ls.simulate(published.diagram, u)).A.values
    Q = np.linalg.qr(np.random.default_rng(5).standard_normal((6, 6)))[0]
    logs = []
    for k in range(600):
        Q, R = np.linalg.qr(A[k] @ Q)
        logs.append(np.log(np.abs(np.diag(R))))
    assert_close(found.exponents, np.sort(np.mean(logs[100:], axis=0))[::-1], 1e-6)


def test_a_singular_jacobian_has_minus_infinity() -> None:
    bd, clock = diagram()
    bd.UNITDELAY(clock, 0.5, name="x")
    bd.UNITDELAY(clock, 0.0, name="later")
    bd.UNITDELAY(clock, 0.0, name="last")
    bd.GAIN(0.5, name="a")
    wire(bd, "x -> a", "a -> x", "x -> later", "later -> last")
    found = ls.lyapunov(bd, samples=200)
    assert_close(found.exponents[0], math.log(0.5), 1e-12)
    assert_same(found.exponents[1:], [-np.inf, -np.inf])
    assert np.isnan(found.standard_error[1:]).all()
    assert "2 directions of 3 are lost: −∞" in found.summary
    assert json.loads(found.to_json())["exponents"][1:] == [None, None]


def test_what_is_lost_does_not_stand_in_front_of_what_is_left() -> None:
    first = np.array([[0.0, 1.0], [0.0, 1.0]])  # maps the first of the frame's directions to zero
    after = np.array([[1.0, 1.5], [0.5, 1.5]])  # eigenvalues 2.15 and 0.35
    for frame in (np.eye(2), np.eye(2)[::-1]):
        logs, end = factored(np.array([first] + [after] * 60), Frame.of(frame))
        total = logs.sum(axis=0)
        left = np.linalg.matrix_power(after, 60) @ first
        assert np.isneginf(total).sum() == 1
        assert_close(total.max(), np.log(np.linalg.norm(left, 2)), 1e-12)
        assert end.alive == 1
    assert_close(end.columns.T @ end.columns, np.eye(2), 1e-14)


def test_a_chain_of_delays_loses_all() -> None:
    shift = np.eye(4, k=-1)
    logs, end = factored(np.array([shift] * 6), Frame.random(4))
    assert_same(logs.sum(axis=0), np.full(4, -np.inf))
    assert end.alive == 0
    logs, end = factored(np.array([shift] * 2), Frame.random(4))
    assert np.isneginf(logs.sum(axis=0)).sum() == 2


def test_nothing_left_is_reported_too() -> None:
    bd, clock = diagram()
    bd.UNITDELAY(clock, 3.0, name="x")
    bd.CLIP(1.0, 2.0, name="limit")
    bd.GAIN(3.0, name="a")
    wire(bd, "x -> a", "a -> limit", "limit -> x")
    found = ls.lyapunov(bd, samples=50)
    assert_same(found.exponents, [-np.inf])
    assert "1 direction of 1 is lost" in found.summary
    assert found.kaplan_yorke == 0


def test_small_factors_that_are_exact_are_no_loss() -> None:
    found = ls.lyapunov(linear([[0.5, 0.0], [0.0, 1e-7]]), samples=100)
    assert_close(found.exponents, [math.log(0.5), math.log(1e-7)], 1e-6)


def test_a_direction_that_neither_grows_nor_shrinks_is_not_told_from_zero() -> None:
    found = ls.lyapunov(linear([[1.0]]), samples=100)
    assert abs(found.exponents[0]) < 1e-12
    assert not found.chaotic
    assert "not told from zero" in found.summary


def test_growth_in_proportion_to_time_is_no_chaos() -> None:
    found = ls.lyapunov(linear([[1.0, 1.0], [0.0, 1.0]]), samples=20_000)
    print(found.exponents, found.standard_error)
    assert 0 < found.exponents[0] < math.log(20_000) / 20_000
    assert not found.chaotic
    assert "not told from zero" in found.summary


def test_a_run_that_overflows_is_named_by_its_own_sample() -> None:
    with refused(NonFiniteSignalError, "sample 1750", "lyapunov"):  # 1.5¹⁷⁵¹ > 2¹⁰²⁴
        ls.lyapunov(linear([[1.5]]), samples=2000)


@pytest.mark.parametrize("angle", [np.pi / 2, 0.7, 2.0])
def test_rounding_tells_no_exponent_from_zero(angle: float) -> None:
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    found = ls.lyapunov(linear(turn), samples=2000)
    print(found.exponents, found.standard_error)
    assert np.abs(found.exponents).max() < 1e-13
    assert not found.chaotic
    assert "is 0 ±" in found.summary
    assert "not told from zero" in found.summary
    assert "-0.000000" not in str(found)
    assert found.kaplan_yorke == 2


def test_chunks_do_not_show(chaotic_lstm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ls.lyapunov(chaotic_lstm, samples=500, discard=77)
    monkeypatch.setattr(spectrum, "_CHUNK", 1)
    pieces = ls.lyapunov(chaotic_lstm, samples=500, discard=77)
    assert_close(pieces.exponents, whole.exponents, 1e-13)
    assert_close(pieces.running, whole.running, 1e-12)


def test_running_estimates_end_at_the_result(chaotic_lstm: Any) -> None:
    found = ls.lyapunov(chaotic_lstm, samples=2345, discard=10)
    assert found.running.dims == ("time", "exponent")
    assert_close(found.running[-1], found.exponents, 1e-12)
    assert float(found.running.time[-1]) == 2345.0
    assert (np.diff(found.running.time) > 0).all()
    few = ls.lyapunov(chaotic_lstm, samples=3, discard=0)
    assert few.running.sizes["time"] == 3
    assert np.isnan(few.standard_error).all()
    assert len(str(few)) > 0


def test_it_begins_where_it_is_told(chaotic_lstm: Any) -> None:
    state = {"h_prev": [0.3, -0.2], "c_prev": [0.1, 0.9]}
    found = ls.lyapunov(chaotic_lstm, samples=1, discard=0, state=state)
    A = ls.linearize(chaotic_lstm, state=state).A
    assert_close(found.exponents.sum(), np.linalg.slogdet(A)[1], 1e-12)


def test_the_kaplan_yorke_dimension() -> None:
    assert kaplan_yorke(np.array([-0.1, -1])) == 0
    assert kaplan_yorke(np.array([0.5, -0.25, -1.0])) == 2.25
    assert kaplan_yorke(np.array([0.5, 0.1])) == 2
    assert kaplan_yorke(np.array([0.5, -np.inf])) == 1


def test_the_report_is_a_table_and_json(chaotic_lstm: Any) -> None:
    found = ls.lyapunov(chaotic_lstm, samples=1000)
    text = str(found)
    for part in ("a sample", "a second", "standard error", "1,000 samples"):
        assert part in text
    content = json.loads(found.to_json())
    assert_close(content["exponents"], found.exponents, 1e-15)
    assert content["kaplan_yorke"] == found.kaplan_yorke


def test_what_does_not_fit_is_refused(published: Case, chaotic_lstm: Any) -> None:
    bd, clock = diagram()
    bd.FROMWORKSPACE(clock, width=1, name="u")
    bd.TOWORKSPACE(clock, name="out")
    with refused(DiagramError, "no Lyapunov exponents", "at least one delay"):
        ls.lyapunov(wire(bd, "u -> out"))
    with refused(InvalidValueError, "samples", "at least 1"):
        ls.lyapunov(chaotic_lstm, samples=0)
    with refused(InvalidTypeError, "discard", "whole number"):
        ls.lyapunov(chaotic_lstm, discard=1.5)
    with refused(InvalidValueError, "too short", "51 samples", "1000 + 1"):
        ls.lyapunov(published.diagram, published.u)
    with refused(InvalidValueError, "too short", "10 + 50"):
        ls.lyapunov(published.diagram, published.u, samples=50, discard=10)
    with refused(ShapeError, "'u'", "(51, 3)", "shape (T, 4)"):
        ls.lyapunov(published.diagram, published.u[:, :3], discard=0)
    with refused(ShapeError, "'u'", "a vector of 4"):
        ls.lyapunov(published.diagram, [1.0])
    with refused(InvalidValueError, "no source", "'v'"):
        ls.lyapunov(published.diagram, {"v": published.u})
    with refused(InvalidValueError, "the diagram has no source"):
        ls.lyapunov(henon(), np.zeros((5, 1)))
    with refused(InvalidValueError, "state", "h_prev, c_prev"):
        ls.lyapunov(published.diagram, state={"x": [1.0]})


def test_a_run_that_overflows_is_refused() -> None:
    with refused(NonFiniteSignalError, "does not stay finite", "lyapunov, block 'A'", "finite"):
        ls.lyapunov(linear([[3.0]]), samples=2000)


def test_two_sources_are_told_apart() -> None:
    bd, clock = diagram()
    for name in ("u", "v"):
        bd.FROMWORKSPACE(clock, width=1, name=name)
    bd.UNITDELAY(clock, 0.0, name="x")
    bd.SUM("+++", name="sum")
    bd.TANH(name="t")
    wire(bd, "u -> sum[0]", "v -> sum[1]", "x -> sum[2]", "sum -> t", "t -> x")
    u = np.linspace(-1, 1, 30)[:, None]
    mixed = ls.lyapunov(bd, {"u": u, "v": 0.5}, discard=0)
    both = ls.lyapunov(bd, {"u": u, "v": np.full((30, 1), 0.5)}, discard=0)
    assert_same(mixed.exponents, both.exponents)
    with refused(InvalidValueError, "not clear which source"):
        ls.lyapunov(bd, u)
    with refused(ShapeError, "different numbers of samples", "u: 30, v: 20"):
        ls.lyapunov(bd, {"u": u, "v": u[:20]}, discard=0)
