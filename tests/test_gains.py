"""Loop gains and gradient flow: what theory and differences say, on any diagram."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from scipy.special import expit

import lstmsim as ls
from lstmsim.dynamics.gains.products import Scaled, norms
from lstmsim.errors import DiagramError, InvalidTypeError, InvalidValueError
from tests.conftest import Case
from tests.helpers import assert_close, assert_same, diagram, refused, wire
from tests.random_diagrams import random_diagram


@pytest.fixture(autouse=True)
def _no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def jacobian_parts(case: Case, k: int) -> dict[str, np.ndarray]:
    """Return the pieces of an LSTM layer's Jacobian at sample k, from the equations."""
    layer, t = case.network.recurrent[0], case.traces
    v = {n: t[n].values[k] for n in ("i", "f", "g", "o", "c_prev", "tanh_c")}
    R = {g: layer.gate(g)[1] for g in "ifgo"}
    G = (
        (v["c_prev"] * v["f"] * (1 - v["f"]))[:, None] * R["f"]
        + (v["g"] * v["i"] * (1 - v["i"]))[:, None] * R["i"]
        + (v["i"] * (1 - v["g"] ** 2))[:, None] * R["g"]
    )
    s = v["o"] * (1 - v["tanh_c"] ** 2)
    O_gate = (v["tanh_c"] * v["o"] * (1 - v["o"]))[:, None] * R["o"]
    return {"f": np.diag(v["f"]), "G": G, "s": np.diag(s), "H": np.diag(s) @ G + O_gate}


def test_a_layer_s_loop_gains_are_the_forget_gate_and_the_outer_loop(published: Case) -> None:
    gains = ls.loop_gains(published.diagram, published.traces)
    for k in range(51):
        parts = jacobian_parts(published, k)
        assert_close(gains["c_prev to c_prev"][k], parts["f"], 1e-15, f"inner loop, sample {k}")
        assert_close(gains["h_prev to h_prev"][k], parts["H"], 1e-14, f"outer loop, sample {k}")
        assert_close(gains["h_prev to c_prev"][k], parts["G"], 1e-14)
        assert_close(gains["c_prev to h_prev"][k], parts["s"] @ parts["f"], 1e-15)
    inner, outer = gains.sel(delay="c_prev"), gains.sel(delay="h_prev")
    assert (str(inner.signal.values), str(outer.signal.values)) == ("c", "h")
    assert_close(inner.loop_norm, published.traces.f.values.max(axis=1), 1e-15)
    assert_close(inner.loop_radius, inner.loop_norm, 1e-15)
    assert (outer.loop_radius <= outer.loop_norm + 1e-15).all()


def test_the_whole_step_s_radius_and_singular_values(published: Case) -> None:
    gains = ls.loop_gains(published.diagram, published.traces)
    A = ls.linearize(published.diagram, published.traces).A.values
    for k in range(51):
        assert_close(gains.spectral_radius[k], np.abs(np.linalg.eigvals(A[k])).max(), 1e-12)
        assert_close(gains.singular_values[k], np.linalg.svd(A[k])[1], 1e-12)
    assert gains.attrs["Ts"] == 0.1
    assert_same(gains.time, published.traces.time)


def test_a_point_on_a_kink_is_named_here_too() -> None:
    bd, clock = diagram()
    bd.UNITDELAY(clock, 2.0, name="x")
    bd.CLIP(-1.0, 2.0, name="limit")
    wire(bd, "x -> limit", "limit -> x")
    traces = ls.simulate(bd, samples=3)
    for function in (ls.loop_gains, ls.gradient_flow):
        with pytest.warns(UserWarning, match="block 'limit' at samples 0, 1, 2") as caught:
            found = function(bd, traces)
        assert caught[0].filename == __file__
        assert found.attrs["nonsmooth"] == "block 'limit' at samples 0, 1, 2 (slope 1)"


def random_run(seed: int) -> tuple[Any, Any]:
    bd, u = random_diagram(seed)
    return bd, ls.simulate(bd, u, engine="numpy")


def test_an_own_loop_is_what_is_left_when_all_others_are_opened() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of clips on their bounds
        for seed in range(20):
            bd, traces = random_run(seed)
            gains = ls.loop_gains(bd, traces)
            names = [str(n) for n in gains.delay.values]
            for name in names:
                alone = ls.linearize(bd, traces, open=[n for n in names if n != name])
                assert_same(gains[f"{name} to {name}"].values, alone.A.values, f"{seed}, {name}")


# One sample


def test_the_cell_state_s_derivative_is_the_forget_gate_and_the_way_over_h(published: Case) -> None:
    flow = ls.gradient_flow(published.diagram, published.traces)
    for k in range(1, 51):
        now, before = jacobian_parts(published, k), jacobian_parts(published, k - 1)
        assert_close(flow["direct c_prev"][k], now["f"], 1e-15)
        assert_close(flow["c_prev through h_prev"][k], now["G"] @ before["s"], 1e-14)
        assert_close(flow["total c_prev"][k], now["f"] + now["G"] @ before["s"], 1e-14)
        assert_close(flow["total h_prev"][k], now["H"], 1e-14)
        assert_same(flow["h_prev through c_prev"][k], np.zeros((3, 3)))
    assert np.isnan(flow["total c_prev"][0]).all()
    assert np.isnan(flow.total[:, 0]).all()
    assert_close(flow.direct.sel(delay="c_prev"), published.traces.f.values.max(axis=1), 1e-15)


def test_one_sample_and_the_last_of_many_agree_on_any_diagram() -> None:
    worst = 0.0
    for seed in range(60):
        bd, traces = random_run(seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of clips on their bounds
            flow = ls.gradient_flow(bd, traces)
        one = flow.total.values[:, -1]
        many = np.exp(flow.log_norm.values[:, -2])
        worst = max(worst, float(np.abs(one - many).max()))
        names = [str(n) for n in flow.delay.values]
        for d in names:
            terms = [flow[f"{d} through {e}"] for e in names if e != d]
            total = flow[f"direct {d}"].values + sum(t.values for t in terms)
            assert_close(flow[f"total {d}"].values[1:], total[1:], 1e-14)
    print(f"largest difference {worst:.2g}")
    assert worst < 1e-12


# Many samples


def run_with(network: ls.Network, u: np.ndarray, at: int, c: Any, h: Any) -> tuple[Any, Any]:
    """Return the last c and h of a layer where something is added to both at one sample."""
    layer = network.recurrent[0]
    hk, ck = layer.h0.copy(), layer.c0.copy()
    for k in range(len(u)):
        a = {g: W @ u[k] + R @ hk + b for g in "ifgo" for W, R, b in [layer.gate(g)]}
        ck = expit(a["f"]) * ck + expit(a["i"]) * np.tanh(a["g"])
        ck = ck + c if k == at else ck
        hk = expit(a["o"]) * np.tanh(ck)
        hk = hk + h if k == at else hk
    return ck, hk


def test_the_far_derivatives_are_those_of_differences(published: Case) -> None:
    end, step, zero = 20, 1e-6, np.zeros(3)
    flow = ls.gradient_flow(published.diagram, published.traces, end=end)
    u = published.u[: end + 1]
    for t in (0, 7, 19, 20):
        for delay, signal in (("c_prev", 0), ("h_prev", 1)):
            columns = []
            for j in range(3):
                d = step * np.eye(3)[j]
                ends = [
                    run_with(published.network, u, t, *((s * d, zero)[:: 1 - 2 * signal]))[signal]
                    for s in (1, -1)
                ]
                columns.append((ends[0] - ends[1]) / (2 * step))
            norm = np.linalg.norm(np.stack(columns, axis=1), 2)
            found = np.exp(float(flow.log_norm.sel(delay=delay)[t]))
            assert abs(found - norm) < 1e-8, (delay, t, found, norm)


def test_own_products_are_the_forget_gates(published: Case) -> None:
    flow = ls.gradient_flow(published.diagram, published.traces)
    f = published.traces.f.values
    sums = [np.log(f[t + 1 :]).sum(axis=0).max() for t in range(51)]
    assert_close(flow.log_norm_own.sel(delay="c_prev"), sums, 1e-12)


def test_the_transition_is_the_product_of_the_jacobians(published: Case) -> None:
    flow = ls.gradient_flow(published.diagram, published.traces, start=10, end=15)
    A = ls.linearize(published.diagram, published.traces).A.values
    expected = np.linalg.multi_dot([A[k] for k in (15, 14, 13, 12, 11)])
    assert_close(flow.transition * np.exp(flow.log_scale), expected, 1e-14)
    assert_same(flow.time, published.traces.time[10:16])
    assert not np.isnan(flow.total).any()
    one = ls.gradient_flow(published.diagram, published.traces, start=7, end=7)
    assert_close(one.transition * np.exp(one.log_scale), np.eye(6), 1e-15)
    assert_same(one.log_norm.values, [[0.0], [0.0]])


def layer_of_one(forget: float, R_g: float = 0.0) -> Any:
    """Return a layer of one unit at rest, with a forget bias, whose candidate sees h."""
    R = np.array([[0.0], [0.0], [R_g], [0.0]])
    b = np.array([0.0, forget, 0.0, 0.0])
    return ls.build(ls.Network([ls.LSTM(np.zeros((4, 1)), R, b)]))


@pytest.mark.parametrize("forget", [-3.0, 0.0, 3.0])
@pytest.mark.parametrize("R_g", [0.0, 1.0, 8.0])
def test_gradients_vanish_and_explode_as_theory_says(forget: float, R_g: float) -> None:
    # At rest i = o = 1/2: ∂c/∂c⁻ = f + R_g/4, and h is R_g/4 of that product of one sample less.
    samples = 1100 if R_g == 8.0 else 200
    bd = layer_of_one(forget, R_g)
    traces = ls.simulate(bd, np.zeros((samples, 1)), engine="numpy")
    flow = ls.gradient_flow(bd, traces)
    left = np.arange(samples - 1, -1, -1)
    rate = math.log(expit(forget) + R_g / 4)
    assert_close(flow.log_norm.sel(delay="c_prev"), left * rate, 1e-10, "ln |∂c_T/∂c_t|")
    forgotten = left * math.log(expit(forget))
    assert_close(flow.log_norm_own.sel(delay="c_prev"), forgotten, 1e-10)
    h = np.where(left > 0, math.log(R_g / 4) + (left - 1) * rate, 0) if R_g else None
    h = np.where(left > 0, -np.inf, 0) if h is None else h
    found = flow.log_norm.sel(delay="h_prev").values
    finite = np.isfinite(h)
    assert_same(np.isfinite(found), finite)
    assert_close(found[finite], h[finite], 1e-10, "ln |∂h_T/∂h_t|")
    if R_g == 8.0:
        assert flow.log_norm.max() > 709  # beyond the largest double


def test_a_slow_loop_beside_a_fast_one_keeps_its_own_product() -> None:
    bd, clock = diagram()
    bd.UNITDELAY(clock, 1.0, name="x")
    bd.UNITDELAY(clock, 1.0, name="y")
    bd.GAIN(1e-3, name="a")
    bd.GAIN(0.9, name="b")
    bd.SUM("++", name="sum")
    wire(bd, "x -> a", "y -> b", "a -> sum[0]", "y -> sum[1]", "sum -> x", "b -> y")
    flow = ls.gradient_flow(bd, ls.simulate(bd, samples=501))
    assert_close(flow.log_norm.sel(delay="x")[0], 500 * math.log(1e-3), 1e-10)
    assert_close(flow.log_norm.sel(delay="y")[0], 500 * math.log(0.9), 1e-10)


def test_delays_in_series_and_of_one_signal() -> None:
    bd, clock = diagram()
    for name in ("x", "twin", "later"):
        bd.UNITDELAY(clock, 0.5, name=name)
    bd.GAIN(0.8, name="a")
    wire(bd, "x -> a", "a -> x", "a -> twin", "x -> later")
    flow = ls.gradient_flow(bd, ls.simulate(bd, samples=11))
    at = {d: flow.log_norm.sel(delay=d).values[0] for d in ("x", "twin", "later")}
    # Both store a(k) = 0.8 x(k); later stores x(k), which a change of itself reaches through a.
    assert_close([at["x"], at["twin"], at["later"]], [10 * math.log(0.8)] * 3, 1e-12)
    assert_same(flow.direct.sel(delay="twin").values[1:], np.zeros(10))
    assert_close(flow.total.sel(delay="twin").values[1:], np.full(10, 0.8), 1e-15)
    assert_close(flow.through.sel(delay="twin", via="x").values[1:], np.full(10, 0.8), 1e-15)


def test_scaled_products_are_products() -> None:
    rng = np.random.default_rng(0)
    matrices = [rng.normal(size=(3, 3)) * 10.0 ** rng.integers(-3, 3) for _ in range(12)]
    matrices[4][:, 1] = 0
    scaled, plain = Scaled.of(np.eye(3)[:2]), np.eye(3)[:2]
    for m in matrices:
        scaled, plain = scaled.times(m), plain @ m
    assert_close(scaled.mantissa * np.exp(scaled.log_scale) / plain, np.ones((2, 3)), 1e-12)
    assert_close(scaled.log_norm, np.log(np.linalg.norm(plain, 2)), 1e-13)
    nothing = scaled.times(np.zeros((3, 3)))
    assert nothing.log_norm == -np.inf
    assert nothing.times(np.ones((3, 2))).log_norm == -np.inf
    assert_same(nothing.times(np.ones((3, 2))).mantissa, np.zeros((2, 2)))


def test_norms_of_diagonals_and_of_others() -> None:
    rng = np.random.default_rng(1)
    for m in (rng.normal(size=(4, 2, 3)), rng.normal(size=(4, 3, 1)) * np.eye(3)):
        assert_close(norms(m), [np.linalg.norm(one, 2) for one in m], 1e-14)


def test_what_does_not_fit_is_refused(published: Case) -> None:
    bd, clock = diagram()
    bd.FROMWORKSPACE(clock, width=1, name="u")
    bd.TOWORKSPACE(clock, name="out")
    wire(bd, "u -> out")
    traces = ls.simulate(bd, [[1.0]])
    for function in (ls.loop_gains, ls.gradient_flow):
        with refused(DiagramError, "no feedback loops", "at least one delay"):
            function(bd, traces)
        with refused(InvalidValueError, "lack", "h_prev, c_prev"):
            function(published.diagram, published.traces[["u"]])
    for bad, words in (
        ({"end": 51}, "end is too large"),
        ({"start": -1}, "start is too small"),
        ({"start": 9, "end": 8}, "from 9 to 50"),
    ):
        with refused(InvalidValueError, words, "to 50"):
            ls.gradient_flow(published.diagram, published.traces, **bad)
    with refused(InvalidTypeError, "whole number", "1.5"):
        ls.gradient_flow(published.diagram, published.traces, start=1.5)


def test_the_results_can_be_saved(published: Case, tmp_path: Any) -> None:
    for name, data in (
        ("linear", ls.linearize(published.diagram, published.traces)),
        ("gains", ls.loop_gains(published.diagram, published.traces)),
        ("flow", ls.gradient_flow(published.diagram, published.traces)),
    ):
        data.to_netcdf(tmp_path / f"{name}.nc", engine="h5netcdf")
        assert (tmp_path / f"{name}.nc").stat().st_size > 0


def test_products_are_exact_however_far_apart_their_scales() -> None:
    small = Scaled.of(np.diag([1.0, 2.0**-1000]))
    assert_same(small.times(np.array([[1.0], [2.0**1000]])).mantissa, [[0.5], [0.5]])
    large = Scaled.of(np.diag([1.0, 2.0**1000]))
    assert_same(large.times(np.array([[1.0], [2.0**-1000]])).mantissa, [[0.5], [0.5]])
    assert_same(Scaled.of(np.diag([1.0, 2.0**-600])).mantissa, np.diag([0.5, 2.0**-601]))
    far = large.times(large.values).times(np.diag([1.0, 2.0**1000]))  # beyond float64
    assert_close(far.log_norm, 1999 * math.log(2), 1e-15)
