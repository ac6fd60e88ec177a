"""Linearization: the composed Jacobians are those of the diagram's own step."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from typing import Any

import control
import numpy as np
import pytest
import scipy.optimize
import xarray as xr
from scipy.special import expit

import lstmsim as ls
from lstmsim.blocks._ops import OPS
from lstmsim.dynamics.linearization.jacobian import Jacobian, local_jacobians
from lstmsim.engine.graph import Node
from lstmsim.errors import DiagramError, InvalidTypeError, InvalidValueError, ShapeError
from tests.conftest import Case, random_input, random_network
from tests.helpers import assert_close, assert_same, diagram, refused, wire
from tests.random_diagrams import random_diagram


@pytest.fixture(autouse=True)
def _no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def differences(bd: Any, traces: xr.Dataset, step: float = 1e-6) -> dict[str, np.ndarray]:
    """Return A, B, C, D at every sample by central differences of one-sample runs in a batch."""
    compiled = ls.compile(bd, engine="numpy")
    states = list(compiled.graph.delays)
    (source,) = compiled.graph.sources
    base = {n: traces[n].values for n in [*states, source]}
    T = traces.sizes["time"]
    columns: dict[str, list[np.ndarray]] = {"A": [], "B": [], "C": [], "D": []}
    outputs = [*dict.fromkeys(compiled.graph.outputs)]
    for name in base:
        for j in range(base[name].shape[1]):
            ends = []
            for sign in (1, -1):
                moved = {n: v.copy() for n, v in base.items()}
                moved[name][:, j] += sign * step
                u = moved[source][:, None, :]
                out = compiled.run(u, state={n: moved[n] for n in states})
                x = [out[f"{n}_final"].values for n in states]
                y = [out[n].values[:, 0, :] for n in outputs]
                ends.append([np.concatenate([np.zeros((T, 0)), *v], axis=1) for v in (x, y)])
            for matrix, k in zip("AC" if name in states else "BD", (0, 1), strict=True):
                columns[matrix].append((ends[0][k] - ends[1][k]) / (2 * step))
    return {m: np.stack(c, axis=2) for m, c in columns.items() if c}


def kink_samples(run: xr.Dataset) -> set[int]:
    words = re.sub(r"\(.*?\)|,", " ", run.attrs["nonsmooth"]).replace(";", " ").split()
    return {int(w) for w in words if w.isdigit()}


def compared(bd: Any, traces: xr.Dataset, tolerance: float = 1e-8) -> float:
    """Compare with central differences at all samples without a kink, and return how far off."""
    run = ls.linearize(bd, traces)
    smooth = [k for k in range(traces.sizes["time"]) if k not in kink_samples(run)]
    if " more" in run.attrs["nonsmooth"]:
        smooth = []
    worst = 0.0
    for name, expected in differences(bd, traces).items():
        assert_close(run[name].values[smooth], expected[smooth], tolerance, name)
        error = np.abs(run[name].values[smooth] - expected[smooth])
        worst = max(worst, float(error.max(initial=0)))
    return worst


@pytest.mark.parametrize("seeds", [range(k, k + 25) for k in (0, 25, 50, 75)])
def test_random_diagrams_are_linearized_as_differences_say(seeds: range) -> None:
    worst, smooth = 0.0, 0
    for seed in seeds:
        bd, u = random_diagram(seed)
        traces = ls.simulate(bd, u, engine="numpy")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            worst = max(worst, compared(bd, traces))
        smooth += not caught
    print(f"largest error {worst:.2g}")
    assert smooth >= 15  # a clip that feeds a clip is often on its bound


def test_every_sample_of_a_layer_s_run(published: Case) -> None:
    assert compared(published.diagram, published.traces) < 1e-8


def test_a_stack_and_one_unit_one_sample(stacked: Case, smallest: Case) -> None:
    for case in (stacked, smallest):
        compared(case.diagram, case.traces)
    run = ls.linearize(stacked.diagram, stacked.traces)
    assert "lstm1.c_prev[2]" in run.state.values
    system = ls.linearize(stacked.diagram, stacked.traces, sample=3)
    assert "lstm1_c_prev[2]" in system.state_labels
    assert system.nstates == 10


def test_a_layer_s_jacobian_is_the_formula(published: Case) -> None:
    run, t = ls.linearize(published.diagram, published.traces), published.traces
    layer = published.network.recurrent[0]
    R = {g: layer.gate(g)[1] for g in "ifgo"}
    for k in range(t.sizes["time"]):
        v = {n: t[n].values[k] for n in ("i", "f", "g", "o", "c", "c_prev", "tanh_c")}
        slope = {n: v[n] * (1 - v[n]) for n in "ifo"} | {"g": 1 - v["g"] ** 2}
        G = (
            (v["c_prev"] * slope["f"])[:, None] * R["f"]
            + (v["g"] * slope["i"])[:, None] * R["i"]
            + (v["i"] * slope["g"])[:, None] * R["g"]
        )
        s = v["o"] * (1 - v["tanh_c"] ** 2)
        H = s[:, None] * G + (v["tanh_c"] * slope["o"])[:, None] * R["o"]
        expected = np.block([[H, np.diag(s * v["f"])], [G, np.diag(v["f"])]])
        assert_close(run.A.values[k], expected, 1e-14, f"A at sample {k}")


def test_names_dimensions_and_points(published: Case) -> None:
    run = ls.linearize(published.diagram, published.traces)
    assert run.A.dims == ("time", "state_next", "state")
    units = [f"{name}[{j}]" for name in ("h_prev", "c_prev") for j in range(3)]
    assert list(run.state.values) == units
    assert list(run.input.values) == [f"u[{j}]" for j in range(4)]
    assert list(run.output.values) == ["y[0]", "y[1]"]
    assert run.attrs["Ts"] == 0.1
    assert run.attrs["nonsmooth"] == ""
    assert_same(run.time, published.traces.time)
    assert_same(run.u, published.traces.u)
    assert_close(run.y, published.traces.y, 1e-14)
    own = run.A.sel(state_next="c_prev[1]", state="c_prev[1]")
    assert_close(own.values, published.traces.f.values[:, 1], 1e-15)


def test_a_sample_is_a_state_space_model_of_the_same_numbers(published: Case) -> None:
    run = ls.linearize(published.diagram, published.traces)
    system = ls.linearize(published.diagram, published.traces, sample=7)
    assert isinstance(system, control.StateSpace)
    assert system.dt == 0.1
    for name in "ABCD":
        assert_same(getattr(system, name), run[name].values[7], name)
    assert system.state_labels == list(run.state.values)
    assert system.input_labels == list(run.input.values)
    assert system.output_labels == list(run.output.values)


def test_an_operating_point_is_a_sample_with_its_states_and_input(published: Case) -> None:
    t = published.traces
    point = {n: t[n].values[9] for n in ("h_prev", "c_prev")}
    at = ls.linearize(published.diagram, state=point, u=t.u.values[9])
    run = ls.linearize(published.diagram, t, 9)
    for name in "ABCD":
        assert_close(getattr(at, name), getattr(run, name), 1e-14, name)
    mapped = ls.linearize(published.diagram, state=point, u={"u": t.u.values[9]})
    assert_same(mapped.A, at.A)
    begin = ls.linearize(published.diagram, u=t.u.values[0])
    assert_close(begin.A, ls.linearize(published.diagram, t, 0).A, 1e-14)
    end = ls.linearize(published.diagram, state=t, u=np.zeros(4))
    last = {n: t[f"{n}_final"].values for n in point}
    assert_same(end.A, ls.linearize(published.diagram, state=last).A)


def test_signals_that_were_not_kept_are_computed(published: Case) -> None:
    few = published.traces[["u", "h_prev", "c_prev"]]
    full, less = (ls.linearize(published.diagram, t) for t in (published.traces, few))
    xr.testing.assert_identical(full, less)


def test_traces_of_the_reference_and_of_single_precision_will_do(published: Case) -> None:
    full = ls.linearize(published.diagram, published.traces)
    for other in (published.expected, ls.reference(published.network, published.u)):
        assert_close(ls.linearize(published.diagram, other).A, full.A, 1e-5)


def test_a_cut_run_is_linearized_where_it_is(published: Case) -> None:
    cut = ls.linearize(published.diagram, published.traces.isel(time=slice(20, 30)))
    assert_same(cut.A, ls.linearize(published.diagram, published.traces).A[20:30])


def test_an_opened_loop_is_an_input_and_an_output(published: Case) -> None:
    full = ls.linearize(published.diagram, published.traces)
    h, c = full.state.values[:3], full.state.values[3:]
    inner = ls.linearize(published.diagram, published.traces, open=["h_prev"])
    assert list(inner.state.values) == list(c)
    assert list(inner.input.values) == [*full.input.values, *h]
    assert list(inner.output.values[-3:]) == [f"h_prev_next[{j}]" for j in range(3)]
    assert_same(inner.A, full.A.sel(state_next=c, state=c))
    diagonal = np.zeros((51, 3, 3))
    diagonal[:, range(3), range(3)] = published.traces.f.values
    assert_close(inner.A, diagonal, 1e-15, "the inner loop alone is diag f")
    assert_same(inner.B.sel(input=h), full.A.sel(state_next=c, state=h))
    assert_same(inner.C[:, -3:], full.A.sel(state_next=h, state=c))
    assert_same(inner.D[:, -3:].sel(input=h), full.A.sel(state_next=h, state=h))
    assert_same(inner.u.sel(input=h), published.traces.h_prev)
    assert_close(inner.y[:, -3:], published.traces.h, 1e-14)


def test_both_loops_opened_leave_no_state(published: Case) -> None:
    both = ls.linearize(published.diagram, published.traces, open=["h_prev", "c_prev"])
    full = ls.linearize(published.diagram, published.traces)
    assert both.sizes["state"] == 0
    assert_same(both.D[:, 2:, 4:], full.A)
    system = ls.linearize(published.diagram, published.traces, 3, open=["c_prev", "h_prev"])
    assert (system.nstates, system.ninputs, system.noutputs) == (0, 10, 8)
    one = ls.linearize(published.diagram, published.traces, open="c_prev")
    assert list(one.state.values) == list(full.state.values[:3])


def test_a_diagram_without_delays_has_a_feedthrough_alone() -> None:
    bd, clock = diagram()
    bd.FROMWORKSPACE(clock, width=2, name="u")
    bd.MATRIXGAIN([[1.0, 2.0], [0.0, 3.0], [1.0, 1.0]], name="K")
    bd.TANH(name="y")
    bd.TOWORKSPACE(clock, name="out")
    wire(bd, "u -> K", "K -> y", "y -> out")
    system = ls.linearize(bd, u=[0.1, 0.2])
    K = np.array([[1.0, 2.0], [0.0, 3.0], [1.0, 1.0]])
    assert system.nstates == 0
    assert_close(system.D, (1 - np.tanh(K @ [0.1, 0.2]) ** 2)[:, None] * K, 1e-15)
    run = ls.linearize(bd, ls.simulate(bd, [[0.1, 0.2], [0.3, 0.4]]))
    assert run.A.shape == (2, 0, 0)
    assert_close(run.D.values[0], system.D, 1e-15)


def autonomous() -> Any:
    """Return x⁺ = tanh(2 x), with a sink and no source."""
    bd, clock = diagram()
    bd.UNITDELAY(clock, 0.5, name="x")
    bd.GAIN(2.0, name="a")
    bd.TANH(name="t")
    bd.TOWORKSPACE(clock, name="out")
    return wire(bd, "x -> a", "a -> t", "t -> x", "t -> out")


def test_without_a_source_along_traces_only() -> None:
    bd = autonomous()
    run = ls.linearize(bd, ls.simulate(bd, samples=4))
    assert run.B.shape == (4, 1, 0)
    assert_close(run.A.values[0, 0, 0], 2 * (1 - np.tanh(1.0) ** 2), 1e-15)
    with refused(DiagramError, "needs an input and an output", "0 inputs and 1 outputs"):
        ls.linearize(bd)
    assert ls.linearize(bd, open=["x"]).nstates == 0


def test_a_constant_alone_has_a_value_at_every_sample() -> None:
    bd, clock = diagram()
    bd.CONSTANT([1.0, 2.0], name="k")
    bd.TOWORKSPACE(clock, name="out")
    wire(bd, "k -> out")
    run = ls.linearize(bd, ls.simulate(bd, samples=3))
    assert run.D.shape == (3, 2, 0)
    assert_same(run.y, [[1.0, 2.0]] * 3)


def clipped() -> tuple[Any, np.ndarray]:
    """Return y = clip(u, -1, 1), whose input meets a bound at samples 1 and 3."""
    bd, clock = diagram()
    bd.FROMWORKSPACE(clock, width=1, name="u")
    bd.CLIP(-1.0, 1.0, name="limit")
    bd.TOWORKSPACE(clock, name="out")
    return wire(bd, "u -> limit", "limit -> out"), np.array([[0.5], [1.0], [2.0], [-1.0]])


def test_a_point_on_a_kink_is_named() -> None:
    bd, u = clipped()
    traces = ls.simulate(bd, u)
    with pytest.warns(UserWarning, match="block 'limit' at samples 1, 3"):
        run = ls.linearize(bd, traces)
    assert run.attrs["nonsmooth"] == "block 'limit' at samples 1, 3 (slope 1)"
    assert_same(run.D.values.ravel(), [1.0, 1.0, 0.0, 1.0])
    with pytest.warns(UserWarning, match="block 'limit' at sample 3") as caught:
        ls.linearize(bd, traces, 3)
    assert caught[0].filename == __file__
    assert ls.linearize(bd, traces, 2).D[0, 0] == 0


def test_the_slope_that_is_taken_on_a_kink_is_said() -> None:
    bd, clock = diagram()
    bd.FROMWORKSPACE(clock, width=2, name="u")
    # Both of its bounds at the same point: the slope is 1 on it, and 0 on either side.
    bd.CLIP([-1.0, 0.5], [1.0, 0.5], name="limit")
    bd.TOWORKSPACE(clock, name="out")
    wire(bd, "u -> limit", "limit -> out")
    with pytest.warns(
        UserWarning, match=re.escape("at sample 1 (slope 1); the slope in brackets is used")
    ):
        run = ls.linearize(bd, ls.simulate(bd, np.array([[0.3, 0.1], [1.0, 0.2]])))
    assert_same(run.D.values[:, 0, 0], [1.0, 1.0])


def test_an_operation_that_mixes_elements_nonlinearly_needs_nothing_more() -> None:
    op = OPS["softmax"]
    u = np.random.default_rng(0).normal(size=(5, 3))
    y = op.forward((u,), {})
    (found,) = local_jacobians(Node("s", "s", op, ("u",), (), {}, 3), {}, (u,), y)
    expected = np.einsum("ki,ij->kij", y, np.eye(3)) - np.einsum("ki,kj->kij", y, y)
    assert_close(found.dense, expected, 1e-15)


@pytest.mark.parametrize("inner", [1, 4])
@pytest.mark.parametrize("outer", [1, 4])
@pytest.mark.parametrize("kinds", ["dd", "df", "fd", "ff"])
def test_products_and_sums_keep_their_structure(inner: int, outer: int, kinds: str) -> None:
    rng = np.random.default_rng(1)

    def made(samples: int, kind: str, m: int, n: int) -> Jacobian:
        shape = (samples, n) if kind == "d" else (samples, m, n)
        return Jacobian(rng.normal(size=shape), diagonal=kind == "d")

    a = made(outer, kinds[0], 3 if kinds[0] == "d" else 2, 3)
    b = made(inner, kinds[1], 3, 3 if kinds[1] == "d" else 5)
    product = a.after(b)
    assert product.diagonal == (kinds == "dd")
    assert_close(product.dense, a.dense @ b.dense, 1e-14)
    c = made(outer, "f", *b.dense.shape[1:])
    assert_close((b + c).dense, b.dense + c.dense, 1e-15)


# The linear system and the weights that are calculated from it


def calculated(scale: float = 1e-3) -> tuple[ls.Network, Any]:
    """Return the published linear system and the network whose weights are calculated from it."""
    plant = control.zpk([-4], [-9 + 5j, -9 - 5j, -2 + 50j, -2 - 50j], 5e5)
    discrete = control.sample_system(plant, 0.01, "zoh")
    numerator = discrete.num[0][0][-4:]
    slow, fast = np.exp(0.01 * (-9 + 5j)), np.exp(0.01 * (-2 + 50j))
    b1, b2 = 0.3104, 0.5201

    def matrices(v: np.ndarray) -> tuple[np.ndarray, ...]:
        alpha, beta, c1, c2 = v
        A = np.array(
            [
                [slow.real, 1, 0, 0],
                [-(slow.imag**2), slow.real, alpha, beta],
                [0, 0, fast.real, 1],
                [0, 0, -(fast.imag**2), fast.real],
            ]
        )
        return A, np.array([[0], [b1], [0], [b2]]), np.array([[c1, c2, 0, 0]])

    def missed(v: np.ndarray) -> np.ndarray:
        A, B, C = matrices(v)
        markov, wanted, x = [], [], B
        for _ in range(4):
            markov.append((C @ x).item())
            x = A @ x
        denominator = discrete.den[0][0]
        for k in range(4):
            past = sum(denominator[j] * wanted[k - j] for j in range(1, k + 1))
            wanted.append(numerator[k] - past)
        return np.array(markov) - wanted

    start = [-0.3945, 2.5522, 0.2, 0.25]
    solution = scipy.optimize.root(missed, start, tol=1e-14)
    assert np.abs(solution.fun).max() < 1e-12
    assert_close(solution.x[:2], [-0.3945, 2.5522], 2e-3, "alpha and beta")
    A, B, C = matrices(solution.x)
    n, N = 4, 5
    W, R = np.zeros((4 * N, 1)), np.zeros((4 * N, N))
    W[2 * N : 3 * N] = scale * np.vstack([B, np.eye(1)])
    R[2 * N : 2 * N + n, :n] = A
    b = np.repeat([100.0, -100.0, 0.0, 100.0], N)
    inverse = np.linalg.inv(A)
    F = np.hstack([C @ inverse, -C @ inverse @ B]) / scale
    return ls.Network([ls.LSTM(W, R, b), ls.Dense(F)], Ts=0.01), discrete


def test_calculated_weights_are_the_linear_system_at_the_origin() -> None:
    network, discrete = calculated()
    system = ls.linearize(ls.build(network))
    found = sorted(system.poles(), key=abs)
    assert_close(np.abs(found[:6]), np.zeros(6), 1e-15, "the other six eigenvalues")
    key = lambda z: (round(abs(z), 6), z.imag)  # noqa: E731
    expected = np.array(sorted(discrete.poles(), key=key))
    poles = np.array(sorted(found[6:], key=key))
    print(f"largest error of a pole {np.abs(poles - expected).max():.2g}")
    assert np.abs(poles - expected).max() < 1e-11
    gain = system.dcgain().item()
    print(f"steady-state gain {gain:.10g}")
    assert f"{gain:.4f}" == "7.5351"
    zeros = np.sort(system.zeros().real)
    for zero in (-3.517, -0.2599, 0.9608):
        assert np.abs(zeros - zero).min() < 5e-4


# What is refused


def test_a_sample_out_of_range_is_refused(published: Case) -> None:
    for sample, words in ((51, "too large"), (-1, "too small")):
        with refused(InvalidValueError, words, str(sample), "from 0 to 50"):
            ls.linearize(published.diagram, published.traces, sample)
    for sample in (1.5, True, "3"):
        with refused(InvalidTypeError, "sample", repr(sample)):
            ls.linearize(published.diagram, published.traces, sample)


def test_traces_of_another_diagram_are_refused(published: Case, stacked: Case) -> None:
    with refused(InvalidValueError, "lack", "h_prev, c_prev"):
        ls.linearize(published.diagram, stacked.traces)
    wider = random_network(4, inputs=4)
    with refused(ShapeError, "another diagram", "'h_prev'", "(51, 4)", "(51, 3)"):
        ls.linearize(published.diagram, ls.reference(wider, published.u))
    same_size = random_network(3, inputs=4)
    other = ls.reference(same_size, random_input(same_size, 51))
    with refused(InvalidValueError, "not a run of this diagram", "run the diagram again"):
        ls.linearize(published.diagram, other)
    with refused(InvalidValueError, "sample time", "0.2 s", "0.1 s"):
        ls.linearize(published.diagram, published.traces.assign_attrs(Ts=0.2))
    batch = ls.reference(published.network, np.stack([published.u] * 2))
    with refused(InvalidValueError, "batch of 2", "isel(batch=0)"):
        ls.linearize(published.diagram, batch)
    with refused(InvalidTypeError, "traces are not traces", "ndarray"):
        ls.linearize(published.diagram, published.u)


def test_what_is_missing_in_traces_is_said(published: Case) -> None:
    with refused(InvalidValueError, "no signal c_prev, u", "h_prev, c_prev, u", "signals="):
        ls.linearize(published.diagram, published.traces[["h_prev", "c"]])


def test_an_unknown_delay_to_open_is_refused(published: Case) -> None:
    with refused(InvalidValueError, "no delay of this name", "'c'", "h_prev, c_prev"):
        ls.linearize(published.diagram, published.traces, open=["c"])

    with refused(InvalidTypeError, "open", "3", "names of delays"):
        ls.linearize(published.diagram, published.traces, open=3)


def test_a_block_that_does_not_lower_is_named_without_advice_that_does_not_help() -> None:
    bd, clock = diagram()
    bd.FUNCTION(lambda value: value, name="f")
    bd.UNITDELAY(clock, 0.0, name="x")
    wire(bd, "x -> f", "f -> x")
    for function in (ls.linearize, ls.fixed_points, ls.lyapunov):
        with refused(DiagramError, "'f'", "FROMWORKSPACE"):
            function(bd)
    with pytest.raises(DiagramError) as error:
        ls.linearize(bd)
    assert "engine" not in str(error.value).partition("expected")[2]


def test_two_places_at_once_are_refused(published: Case) -> None:
    with refused(InvalidValueError, "not clear where"):
        ls.linearize(published.diagram, published.traces, u=np.zeros(4))
    with refused(InvalidValueError, "a sample is one of traces", "sample=3"):
        ls.linearize(published.diagram, sample=3)


def test_a_point_that_does_not_fit_is_refused(published: Case) -> None:
    with refused(InvalidValueError, "c_prev"):
        ls.linearize(published.diagram, state={"c": np.zeros(3)})
    with refused(ShapeError, "'c_prev'", "3 elements"):
        ls.linearize(published.diagram, state={"c_prev": np.zeros(2)})
    with refused(ShapeError, "'u'", "a vector of 4"):
        ls.linearize(published.diagram, u=np.zeros(3))
    with refused(InvalidValueError, "no source", "'v'"):
        ls.linearize(published.diagram, u={"v": np.zeros(4)})
    with refused(InvalidValueError, "NaN"):
        ls.linearize(published.diagram, u=[0, 0, 0, np.nan])
    with refused(InvalidValueError, "the diagram has no source"):
        ls.linearize(autonomous(), u=[1.0], open=["x"])
    with refused(InvalidTypeError, "not a block diagram", "Network"):
        ls.linearize(published.network)


def test_more_than_memory_holds_is_refused() -> None:
    bd, clock = diagram()
    bd.UNITDELAY(clock, np.zeros(3000), name="x")
    bd.TANH(name="t")
    wire(bd, "x -> t", "t -> x")
    traces = ls.simulate(bd, samples=1000, engine="numpy")
    for function in (ls.linearize, ls.loop_gains):
        with refused(InvalidValueError, "do not fit into memory", "67 GiB", "sample=k"):
            function(bd, traces)


def test_an_opened_delay_s_output_has_a_name_of_its_own() -> None:
    bd, clock = diagram()
    bd.UNITDELAY(clock, 0.5, name="x")
    bd.TANH(name="x_next")
    bd.TOWORKSPACE(clock, name="out")
    wire(bd, "x -> x_next", "x_next -> x", "x_next -> out")
    assert ls.linearize(bd, open=["x"]).output_labels == ["x_next[0]", "x_next_[0]"]


def test_the_saturated_gates_slopes_neither_overflow_nor_warn() -> None:
    network = ls.Network([ls.LSTM(np.full((4, 1), 1e3), np.full((4, 1), 1e3), np.zeros(4))])
    bd = ls.build(network)
    run = ls.linearize(bd, ls.simulate(bd, [[1.0], [-1.0], [1.0]]))
    assert np.isfinite(run.A).all()
    assert_close(run.B.values[1, 0, 0], expit(-1e3), 1e-300)
