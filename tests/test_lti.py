"""Linear systems as networks, and back."""

from __future__ import annotations

from typing import Any

import control
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lstmsim as ls
from lstmsim.errors import InvalidTypeError, InvalidValueError, ShapeError
from lstmsim.published import system as printed
from lstmsim.theory.lti.peaks import absolute_sum
from tests.helpers import repeatable, seeds

Array = np.ndarray[Any, Any]


def random_system(
    seed: int, states: int, inputs: int, outputs: int, radius: float = 0.9
) -> control.StateSpace:
    """Return a random system with its largest pole of this size, and no pole near zero."""
    rng = np.random.default_rng(seed)
    poles = radius * rng.uniform(0.5, 1, states) * rng.choice([-1, 1], states)
    poles[:1] = radius
    T = np.linalg.qr(rng.standard_normal((states, states)))[0] * rng.uniform(0.5, 2, states)
    A = T @ (np.diag(poles) + np.triu(0.3 * rng.standard_normal((states, states)), 1))
    A = A @ np.linalg.inv(T)
    B, C, D = (
        rng.standard_normal(shape)
        for shape in ((states, inputs), (outputs, states), (outputs, inputs))
    )
    return control.ss(A, B, C, D, 0.1)


def response(system: control.StateSpace, u: Array) -> Array:
    """Return a system's output in extended precision."""
    A, B, C, D = (np.asarray(getattr(system, name), np.longdouble) for name in "ABCD")
    x, rows = np.zeros(len(A), np.longdouble), []
    for sample in u.astype(np.longdouble):
        rows.append(C @ x + D @ sample)
        x = A @ x + B @ sample
    return np.array(rows)


def output(network: ls.Network, u: Array, dtype: str = "float64", engine: str = "numpy") -> Array:
    return ls.compile(ls.build(network), dtype=dtype, engine=engine).forward(u)


def largest(values: Array) -> float:
    return float(np.abs(values).max())


def same_transfer_function(a: control.StateSpace, b: control.StateSpace, rtol: float) -> None:
    z = np.exp(1j * np.linspace(0.01, np.pi, 50))
    difference = largest(a(z) - b(z)) / max(1.0, largest(a(z)))
    print("largest relative difference", difference)
    assert difference <= rtol


# ---- The published system

SYSTEM = ls.lti.published_system()


def test_the_published_system_has_all_printed_digits() -> None:
    A, B = SYSTEM.A, SYSTEM.B
    found = {
        "a1": A[0, 0],
        "w1²": -A[1, 0],
        "a2": A[2, 2],
        "w2²": -A[3, 2],
        "α": A[1, 2],
        "β": A[1, 3],
        "B[1]": B[1, 0],
        "B[3]": B[3, 0],
    }
    assert {name: round(value, 4) for name, value in found.items()} == printed.REALISATION
    assert SYSTEM.dt == 0.01
    np.testing.assert_array_equal(SYSTEM.D, 0)
    np.testing.assert_array_equal(SYSTEM.C[0, 2:], 0)
    np.testing.assert_array_equal([A[1, 1], A[3, 3]], [A[0, 0], A[2, 2]])
    np.testing.assert_array_equal(A[2:, :2], 0)


def test_the_published_system_has_the_printed_transfer_function() -> None:
    assert round(SYSTEM.dcgain(), 4) == printed.STEADY_STATE_GAIN
    zeros = np.sort(SYSTEM.zeros().real)
    np.testing.assert_allclose(zeros, np.sort(printed.DISCRETE_ZEROS), rtol=0, atol=5e-4)
    for k, (a, b) in zip((0, 2), printed.DISCRETE_SECTIONS, strict=True):
        section = np.poly(SYSTEM.A[k : k + 2, k : k + 2])
        np.testing.assert_allclose(section, [1, a, b], rtol=0, atol=5e-4)
    first_sample = (SYSTEM.C @ SYSTEM.B)[0, 0]  # of the impulse response: the gain of the zpk form
    assert round(first_sample, 6) == printed.DISCRETE_GAIN


def test_the_published_system_is_the_continuous_one_behind_a_hold() -> None:
    continuous = control.zpk([printed.ZERO], printed.POLES, printed.GAIN)
    held = control.sample_system(continuous, 0.01, method="zoh")
    same_transfer_function(SYSTEM, held, 1e-9)


def test_the_calculated_weights_are_the_printed_ones() -> None:
    network = ls.lti.approximate(SYSTEM)
    np.testing.assert_array_equal(network.head.F[0].round(4), printed.CALCULATED_F)
    layer = network.recurrent[0]
    W, R, b = layer.gate("g")
    np.testing.assert_allclose(W[:, 0], 1e-3 * np.append(SYSTEM.B[:, 0], 1))
    np.testing.assert_array_equal(R[:4, :4], SYSTEM.A)
    assert not R[4].any()
    assert not R[:, 4].any()
    assert not b.any()
    for gate, bias in {"i": 100, "f": -100, "o": 100}.items():
        W, R, b = layer.gate(gate)
        assert not W.any()
        assert not R.any()
        assert (b == bias).all()


def test_the_error_falls_with_the_square_of_the_scale_between_saturation_and_rounding() -> None:
    u = np.random.default_rng(0).standard_normal((300, 1))
    y = response(SYSTEM, u)

    def error(scale: float, dtype: str = "float64") -> float:
        return largest(output(ls.lti.approximate(SYSTEM, scale), u, dtype) - y)

    slopes = [np.log10(error(10 * s) / error(s)) for s in (1e-5, 1e-4)]
    print("slopes", slopes)
    np.testing.assert_allclose(slopes, 2, atol=0.02)
    # Saturated, the output is far too small: the error is of the size of the output.
    assert 0.1 * largest(y) < error(1.0) < 1.1 * largest(y)
    floors = error(1e-9), error(1e-6, "float32")
    print("floors", floors)
    assert floors[0] < 1e-12
    assert 1e-6 < floors[1] < 1e-4


def test_without_a_direct_path_the_static_gain_is_c_inverse_a_b() -> None:
    network = ls.lti.approximate(SYSTEM, 1e-6, direct_path=False)
    assert network.recurrent[0].n_units == 4
    direct = (SYSTEM.C @ np.linalg.solve(SYSTEM.A, SYSTEM.B))[0, 0]
    np.testing.assert_allclose(ls.lti.extract(network, 1e-6).D, direct, rtol=1e-12)
    y = output(network, np.eye(20, 1))
    np.testing.assert_allclose(y[0, 0], direct, rtol=1e-9)
    np.testing.assert_allclose(y[1:], response(SYSTEM, np.eye(20, 1))[1:].astype(float), atol=1e-9)


# ---- Any system

sizes = st.integers(1, 5)
FORMS: list[dict[str, bool]] = [{}, {"output_units": True}]


@repeatable
@given(seeds, st.integers(0, 5), sizes, sizes, st.sampled_from(FORMS))
def test_a_network_computes_any_stable_system(
    seed: int, n: int, m: int, p: int, form: dict[str, bool]
) -> None:
    system = random_system(seed, n, m, p)
    network = ls.lti.approximate(system, 1e-7, **form)
    assert network.recurrent[0].n_units == n + (p if form else m)
    u = np.random.default_rng(seed).uniform(-1, 1, (60, m))
    y = response(system, u)
    report = ls.lti.linearity(network, system=system)
    error = np.abs(output(network, u) - y).max(axis=0)
    print("error", error, "bound", report.bound)
    assert (error <= report.bound).all()
    assert largest(output(network, u) - y) <= 1e-9 * max(1, largest(y))


@repeatable
@given(seeds, st.integers(0, 5), sizes, sizes, st.sampled_from(FORMS), st.integers(-12, 0))
def test_reading_the_weights_gives_the_system_back(
    seed: int, n: int, m: int, p: int, form: dict[str, bool], exponent: int
) -> None:
    system = random_system(seed, n, m, p)
    scale = 10.0**exponent
    back = ls.lti.extract(ls.lti.approximate(system, scale, **form), scale)
    assert back.dt == system.dt
    condition = np.linalg.cond(system.A) if n and not form else 1.0
    same_transfer_function(system, back, 1e-13 * max(10.0, condition))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("seed", range(4))
def test_the_automatic_scale_is_the_best_one_and_its_bound_holds(seed: int, dtype: str) -> None:
    system = random_system(seed, 3 + seed, 1 + seed % 2, 2, radius=[0.5, 0.9, 0.97, 0.99][seed])
    limits = np.array([3.0, 0.5])[: system.ninputs]
    rng = np.random.default_rng(seed)
    # Rounded to the network's precision, so that the input is not part of the error.
    u = (rng.uniform(-1, 1, (400, system.ninputs)) * limits).astype(dtype).astype(float)
    y = response(system, u)
    network = ls.lti.approximate(system, "auto", input_range=limits, dtype=dtype)
    report = ls.lti.linearity(network, limits, system=system, dtype=dtype)
    errors = {
        engine: np.abs(output(network, u, dtype, engine) - y).max(axis=0)
        for engine in ("numpy", "numba")
    }
    print("bound", report.bound, "errors", errors)
    for error in errors.values():
        assert (error <= report.bound).all()
        assert (error >= 1e-5 * np.array(report.bound)).all()  # the bound says something
    by_hand = [
        largest(output(ls.lti.approximate(system, 10.0**k), u, dtype) - y) for k in range(-12, 0)
    ]
    print("best by hand", min(by_hand))
    assert max(errors["numpy"]) <= 4 * min(by_hand)


def test_bad_coordinates_cost_no_precision_with_the_automatic_scale() -> None:
    good = random_system(5, 4, 1, 1)
    rng = np.random.default_rng(5)
    T = rng.standard_normal((4, 4)) @ np.diag([1e-2, 1, 1e2, 1]) @ rng.standard_normal((4, 4))
    bad = control.ss(np.linalg.solve(T, good.A @ T), np.linalg.solve(T, good.B), good.C @ T, 0, 0.1)
    u = rng.uniform(-1, 1, (300, 1)).astype(np.float32).astype(float)
    y = response(bad, u)
    automatic = output(ls.lti.approximate(bad, "auto", dtype="float32"), u, "float32")
    scales = 10.0 ** np.arange(-9, 0)
    by_hand = min(largest(output(ls.lti.approximate(bad, s), u, "float32") - y) for s in scales)
    print("automatic", largest(automatic - y), "best scale, bad coordinates", by_hand)
    assert largest(automatic - y) < 1e-2 * by_hand


def test_the_bound_holds_in_saturation_and_with_biases() -> None:
    system = random_system(1, 3, 1, 2)
    for scale in (1e-2, 1e-1, 1.0, 10.0):
        network = ls.lti.approximate(system, scale)
        layer, head = network.recurrent[0], network.head
        b = layer.b.copy()
        b[2 * layer.n_units : 3 * layer.n_units] = 0.01 * scale
        biased = ls.Network([ls.LSTM(layer.W, layer.R, b), ls.Dense(head.F, [0.1, 0])], network.Ts)
        u = np.sign(np.random.default_rng(0).standard_normal((200, 1)))
        y = response(system, u)
        for made in (network, biased):
            report = ls.lti.linearity(made, system=system)
            error = np.abs(output(made, u) - y).max(axis=0)
            print(scale, "error", error, "bound", report.bound)
            assert (error <= report.bound).all()
        assert report.offset[0] != 0


@repeatable
@given(seeds, st.booleans())
def test_the_bound_holds_for_weights_that_were_not_calculated(seed: int, start: bool) -> None:
    rng = np.random.default_rng(seed)
    calculated = ls.lti.approximate(random_system(seed, 3, 2, 2), 1e-4)
    layer, head = calculated.recurrent[0], calculated.head
    n = layer.n_units
    moved = {name: getattr(layer, name).copy() for name in "WRb"}
    moved["W"][2 * n : 3 * n] += 1e-5 * rng.standard_normal((n, 2))
    moved["R"][2 * n : 3 * n] += 1e-2 * rng.standard_normal((n, n))
    moved["b"][2 * n : 3 * n] += 1e-5 * rng.standard_normal(n)
    moved["R"][:n] += rng.standard_normal((n, n))  # a gate that stays saturated
    states = (
        {"h0": 10.0 ** -(seed % 6) * rng.standard_normal(n), "c0": rng.standard_normal(n)}
        if start
        else {}
    )
    network = ls.Network([ls.LSTM(**moved, **states), ls.Dense(head.F, rng.standard_normal(2))])
    u = rng.uniform(-2, 2, (100, 2))
    report = ls.lti.linearity(network, 2.0)
    back = ls.lti.extract(network, 1e-4, input_range=2.0)
    error = np.abs(output(network, u) - response(back, u)).max(axis=0)
    print("error", error, "bound", report.bound)
    assert (error <= report.bound).all()


def test_an_unstable_system_runs_for_as_long_as_was_said() -> None:
    system = control.ss([[1.02, 0.3], [0, 0.5]], [[0.0], [1.0]], [[1.0, 0.0]], 0, 0.1)
    network = ls.lti.approximate(system, "auto", samples=100)
    report = ls.lti.linearity(network, system=system, samples=100)
    u = np.sign(np.random.default_rng(2).standard_normal((100, 1)))
    error = largest(output(network, u) - response(system, u))
    print("error", error, "bound", report.bound)
    assert error <= report.bound[0] < 1e-8
    assert ls.lti.linearity(network, system=system).bound == (np.inf,)


def test_poles_that_rounding_keeps_from_the_unit_circle_are_no_obstacle_to_a_short_run() -> None:
    # For one of these angles or another the equation for the Gramians is singular.
    for angle in [*np.arange(0.1, 3.0, 0.1), 0.186]:
        A = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        system = control.ss(A, [[1.0], [0.0]], [[1.0, 0.5]], 0, 0.1)
        network = ls.lti.approximate(system, "auto", samples=50)
        u = np.sign(np.random.default_rng(2).standard_normal((50, 1)))
        error = largest(output(network, u) - response(system, u))
        assert error <= ls.lti.linearity(network, system=system, samples=50).bound[0] < 1e-8


def test_a_singular_system_is_exact_with_output_units() -> None:
    delays = control.ss(np.eye(3, k=1), [[0.0], [0.0], [1.0]], [[1.0, 0.0, 0.0]], 0.5, 0.1)
    u = np.random.default_rng(0).uniform(-1, 1, (50, 1))
    with pytest.raises(InvalidValueError, match="A is singular") as refused:
        ls.lti.approximate(delays)
    assert "3 poles at 0" in str(refused.value)
    assert "output_units=True" in str(refused.value)
    y = output(ls.lti.approximate(delays, "auto", output_units=True), u)
    np.testing.assert_allclose(y, response(delays, u).astype(float), rtol=0, atol=1e-14)


def test_a_pole_at_zero_that_no_output_shows_is_no_obstacle() -> None:
    system = control.ss([[0.5, 0.0], [0.0, 0.0]], [[1.0], [1.0]], [[1.0, 0.0]], 0, 0.1)
    same_transfer_function(system, ls.lti.extract(ls.lti.approximate(system)), 1e-12)


def test_a_transfer_function_is_realised() -> None:
    system = control.tf([1.0, 0.2], [1.0, -0.7, 0.3], 0.1)
    same_transfer_function(control.ss(system), ls.lti.extract(ls.lti.approximate(system)), 1e-12)


def test_a_layer_without_a_head_gives_its_states() -> None:
    layer = ls.lti.approximate(SYSTEM).recurrent[0]
    back = ls.lti.extract(ls.Network([layer], Ts=0.01))
    np.testing.assert_allclose(back.D, layer.gate("g")[0])
    np.testing.assert_allclose(back.C, 1e-3 * layer.gate("g")[1])


def test_peak_gains_are_sums_of_impulse_responses() -> None:
    system = random_system(3, 4, 2, 3, radius=0.98)
    direct = sum(
        np.abs(system.C @ np.linalg.matrix_power(system.A, k) @ system.B) for k in range(2500)
    )
    found = absolute_sum(system.C, system.A, system.B)
    np.testing.assert_allclose(found, direct, rtol=1e-8)
    for samples in (1, 63, 64, 65, 1500):
        part = sum(
            np.abs(system.C @ np.linalg.matrix_power(system.A, k) @ system.B)
            for k in range(samples)
        )
        np.testing.assert_allclose(
            absolute_sum(system.C, system.A, system.B, samples), part, rtol=1e-10
        )
    slow = np.array([[0.99999]])
    np.testing.assert_allclose(absolute_sum(np.eye(1), slow, np.eye(1)), 1e5, rtol=1e-8)


def test_the_report_is_legible() -> None:
    network = ls.lti.approximate(SYSTEM, 1e-6)
    report = ls.lti.linearity(network, 3.5, system=SYSTEM)
    print(report)
    assert "y[0]" in str(report)
    assert "|u| ≤ 3.5" in str(report)
    assert '"nonlinear"' in report.to_json()
    assert report.bound[0] == pytest.approx(
        sum(
            getattr(report, part)[0]
            for part in ("nonlinear", "rounding", "gates", "weights", "rest")
        )
    )


# ---- What is refused

CONTINUOUS = control.ss(-1, 1, 1, 0)
REFUSED: list[tuple[Any, dict[str, Any], type[Exception], str]] = [
    (CONTINUOUS, {}, InvalidValueError, "continuous"),
    (CONTINUOUS, {}, InvalidValueError, "sample_system"),
    (control.ss(1.0, 1, 1, 0, 0.1), {}, InvalidValueError, "a pole at 1, of size 1"),
    (control.ss(0.5, 1, 1, 0, True), {}, InvalidValueError, "no sample time"),
    (control.ss(0.5, 1, 1, 0, 0.2), {"Ts": 0.1}, InvalidValueError, "sampled every 0.2 s"),
    (control.ss(0.5, [[np.nan]], 1, 0, 0.2), {}, InvalidValueError, "B holds NaN"),
    (control.tf([1, 0, 0], [1, 0.5], 0.1), {}, InvalidTypeError, "no state-space"),
    ("a system", {}, InvalidTypeError, "control.StateSpace"),
    (control.ss([], [], [], 2, 0.1), {"direct_path": False}, InvalidValueError, "static gain"),
    (SYSTEM, {"scale": 0}, InvalidValueError, "scale"),
    (SYSTEM, {"scale": float("nan")}, InvalidValueError, "scale"),
    (SYSTEM, {"scale": "best"}, InvalidValueError, '"auto"'),
    (SYSTEM, {"scale": None}, InvalidTypeError, "scale"),
    (SYSTEM, {"direct_path": "no"}, InvalidTypeError, "direct_path"),
    (SYSTEM, {"direct_path": False, "output_units": True}, InvalidValueError, "one of the two"),
    (SYSTEM, {"scale": "auto", "input_range": [1, 2]}, ShapeError, "one number, or 1"),
    (SYSTEM, {"scale": "auto", "input_range": -1}, InvalidValueError, "not positive"),
    (SYSTEM, {"dtype": "float16"}, InvalidValueError, "float32"),
    (SYSTEM, {"samples": 0}, InvalidValueError, "whole number"),
    (control.ss(1 - 1e-9, 1, 1, 0, 1), {"scale": "auto"}, InvalidValueError, "too slowly"),
]


@pytest.mark.parametrize(("system", "options", "kind", "said"), REFUSED)
def test_what_cannot_be_approximated_is_refused(
    system: Any, options: dict[str, Any], kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind) as refused:
        ls.lti.approximate(system, **options)
    assert said in str(refused.value)
    assert "approximate" in str(refused.value) or "dtype" in str(refused.value)


def test_a_network_whose_gates_are_not_saturated_is_not_read() -> None:
    with pytest.raises(InvalidValueError, match=r"gate f can be 0\.99 away from 0"):
        ls.lti.extract(ls.published.layer_example()[0])
    network = ls.lti.approximate(SYSTEM)
    layer = network.recurrent[0]
    W = layer.W.copy()
    W[7, 0] = 50.0  # forget gate of unit 2
    moved = ls.Network([ls.LSTM(W, layer.R, layer.b), network.head], network.Ts)
    ls.lti.extract(moved, input_range=1.5)
    with pytest.raises(InvalidValueError, match=r"gate f can be 0\.5 away from 0") as refused:
        ls.lti.extract(moved, input_range=2.0)
    assert "gate i" not in str(refused.value)


def test_what_cannot_be_read_is_refused() -> None:
    network = ls.lti.approximate(SYSTEM)
    layer = network.recurrent[0]
    stack = ls.Network([layer, ls.LSTM(np.zeros((4, 5)), np.zeros((4, 1)), np.zeros(4))])
    cases: list[tuple[Any, type[Exception], str]] = [
        (lambda: ls.lti.extract(stack), InvalidValueError, "several recurrent layers"),
        (lambda: ls.lti.extract("network"), InvalidTypeError, "needs a network"),  # type: ignore
        (lambda: ls.lti.extract(network, -1), InvalidValueError, "scale"),
        (lambda: ls.lti.linearity(network, 0), InvalidValueError, "not positive"),
        (
            lambda: ls.lti.linearity(network, system=random_system(0, 2, 2, 1)),
            InvalidValueError,
            "sampled every 0.1 s",
        ),
        (
            lambda: ls.lti.linearity(network, system=control.ss(0.5, [[1, 1]], 1, 0, 0.01)),
            ShapeError,
            "2 inputs and 1 output",
        ),
    ]
    for call, kind, said in cases:
        with pytest.raises(kind) as refused:
            call()
        assert said in str(refused.value)


def test_the_bound_covers_steps_that_are_each_off_by_all_that_they_may_be() -> None:
    w, r, f, samples = 1e-5, 0.5, 3.0, 60
    unit = float(np.finfo(np.float32).eps) / 2
    tanh, product, total = 1 + 8 * unit, 1 + unit, 1 + 3 * unit  # 4 units in the last place each
    x, h = np.longdouble(0), np.longdouble(0)
    for _ in range(samples):
        x = r * x + w
        g = np.tanh((r * h + w) * total) * tanh
        c = g * product * product  # times i, plus f times c
        h = np.tanh(c) * tanh * product
    gates = np.array([100.0, -100.0, 0.0, 100.0])  # i, f, g, o, the order of the rows
    weights = np.outer([0, 0, 1, 0], [1.0])
    layer = ls.LSTM(w * weights, r * weights, gates)
    report = ls.lti.linearity(ls.Network([layer, ls.Dense([[f]])], Ts=0.1), dtype="float32")
    error = float(abs(f * (h - x)))
    print(error, report)
    assert error <= report.bound[0] <= 2 * error
