"""The checker on whole networks: it catches what goes wrong with them, and nothing else."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

import lstmsim as ls
from lstmsim.engine.checking import CheckReport
from lstmsim.errors import InvalidValueError
from lstmsim.networks.lstm import GATES
from tests.conftest import Case, case, random_input, random_network
from tests.engines import Simulate

SIZES = [(1, 1, 1), (2, 1, 3), (5, 4, 2), (20, 3, 1)]  # units, inputs, outputs
sizes = pytest.mark.parametrize(("units", "inputs", "outputs"), SIZES)


def network_of(units: int, inputs: int, outputs: int, seed: int = 5) -> ls.Network:
    return random_network(units, inputs=inputs, outputs=outputs, bias=True, seed=seed)


def with_layer(network: ls.Network, **arrays: np.ndarray) -> ls.Network:
    """Return the network with some arrays of its first layer replaced."""
    layer = network.recurrent[0]
    values = {name: getattr(layer, name) for name in ("W", "R", "b", "h0", "c0")} | arrays
    return ls.Network([ls.LSTM(**values), *network.layers[1:]], Ts=network.Ts)


def misses(report: CheckReport) -> dict[str, int | None]:
    return {s.name: s.sample for s in report.signals if not s.ok}


@sizes
def test_a_right_network_is_ok(simulate: Simulate, units: int, inputs: int, outputs: int) -> None:
    network = network_of(units, inputs, outputs)
    u, diagram = random_input(network, 30), ls.build(network)
    traces = simulate(diagram, u)
    report = ls.check(traces, ls.reference(network, u, dtype="float32"), diagram=diagram)
    assert report.ok, report.summary
    assert (report.one_step_ok, report.growth) == (None, None)
    exact = ls.check(traces, ls.reference(network, u), atol=1e-12, rtol=1e-12)
    assert exact.ok, exact.summary


@sizes
@pytest.mark.parametrize("pair", list(itertools.combinations(GATES, 2)), ids="".join)
def test_swapped_gates_are_caught(
    units: int, inputs: int, outputs: int, pair: tuple[str, str]
) -> None:
    network = network_of(units, inputs, outputs)
    u = random_input(network, 10)
    order = [GATES.index(g) for g in GATES]
    a, b = (GATES.index(g) for g in pair)
    order[a], order[b] = order[b], order[a]
    rows = np.concatenate([np.arange(k * units, (k + 1) * units) for k in order])
    layer = network.recurrent[0]
    swapped = with_layer(network, W=layer.W[rows], R=layer.R[rows], b=layer.b[rows])
    expected = ls.reference(network, u, dtype="float32")
    report = ls.check(ls.simulate(ls.build(swapped), u), expected)
    caught = misses(report)
    assert not report.ok
    assert {f"sum_{gate}" for gate in pair} <= set(caught), caught
    assert caught["y"] == 0


CHANGES = [("W", "Wf", 1), ("R", "Ro", 3), ("b", "bg", 2), ("h0", "h_prev", 0), ("c0", "c_prev", 0)]


@sizes
@pytest.mark.parametrize(("name", "signal", "gate"), CHANGES)
def test_one_number_changed_by_a_thousandth_is_caught(
    units: int, inputs: int, outputs: int, name: str, signal: str, gate: int
) -> None:
    network = network_of(units, inputs, outputs)
    u = random_input(network, 10)
    changed = np.array(getattr(network.recurrent[0], name))
    changed.reshape(-1)[gate * units * changed[0].size] += 1e-3
    expected = ls.reference(network, u, dtype="float32")
    diagram = ls.build(with_layer(network, **{name: changed}))
    report = ls.check(ls.simulate(diagram, u), expected, diagram=diagram)
    caught = misses(report)
    assert caught[signal] == 0, report.summary
    assert "u" not in caught
    # A wrong initial state is gone after one step from the right ones; a wrong weight stays.
    assert report.one_step_ok is (name in ("h0", "c0"))


@sizes
def test_one_number_of_the_head_changed_by_a_thousandth_is_caught(
    units: int, inputs: int, outputs: int
) -> None:
    network = network_of(units, inputs, outputs)
    u = random_input(network, 10)
    assert network.head is not None
    F = np.array(network.head.F)
    F[-1, -1] += 1e-3
    changed = ls.Network([*network.recurrent, ls.Dense(F, network.head.bias)], Ts=network.Ts)
    expected = ls.reference(network, u, dtype="float32")
    report = ls.check(ls.simulate(ls.build(changed), u), expected)
    assert set(misses(report)) == {"Fh", "y"}, report.summary


@sizes
def test_an_input_whose_first_sample_is_dropped_is_caught(
    simulate: Simulate, units: int, inputs: int, outputs: int
) -> None:
    network = network_of(units, inputs, outputs)
    u = random_input(network, 12)
    dropped = simulate(ls.build(network), u[1:])
    expected = ls.reference(network, u, dtype="float32").isel(time=slice(11))
    caught = misses(ls.check(dropped, expected))
    assert caught["y"] == caught["u"] == caught["c"] == 0, caught
    # With the states of the sample before it, the rest is the same: nothing else differs.
    first = simulate(ls.build(network), u[:1])
    rest = simulate(ls.build(network), u[1:], state=first)
    full = ls.reference(network, u, dtype="float32").isel(time=slice(1, None))
    assert ls.check(rest, full).ok


@sizes
@pytest.mark.parametrize("late", ["input", "output", "traces"])
def test_a_delay_of_one_sample_is_caught(
    simulate: Simulate, units: int, inputs: int, outputs: int, late: str
) -> None:
    network = network_of(units, inputs, outputs)
    u = random_input(network, 12)
    expected = ls.reference(network, u, dtype="float32")
    if late == "input":
        traces = simulate(ls.build(network), np.vstack([np.zeros((1, inputs)), u[:-1]]))
    else:
        traces = simulate(ls.build(network), u)
        delayed = traces[["y"]] if late == "output" else traces
        shifted = delayed.shift(time=1, fill_value=0.0)
        traces = traces.assign({name: shifted[name] for name in shifted.data_vars})
    report = ls.check(traces, expected)
    caught = misses(report)
    assert caught["y"] == 0, report.summary
    assert late != "output" or set(caught) == {"y"}


def test_a_stack_s_second_layer_is_checked_too(simulate: Simulate, stacked: Case) -> None:
    first, second, head = stacked.network.layers
    assert isinstance(second, ls.LSTM)
    R = np.array(second.R)
    R[-1, 0] += 1e-3
    wrong = ls.LSTM(second.W, R, second.b, h0=second.h0, c0=second.c0)
    diagram = ls.build(ls.Network([first, wrong, head], Ts=0.1))
    report = ls.check(simulate(diagram, stacked.u), stacked.expected)
    caught = misses(report)
    assert "lstm2.Ro" in caught
    assert not any(name.startswith("lstm1.") for name in caught), caught
    assert ls.check(stacked.traces, stacked.expected).ok


@pytest.mark.parametrize("side", ["traces", "expected"])
def test_a_signal_that_is_not_there_is_a_miss(published: Case, side: str) -> None:
    sides = {"traces": published.traces, "expected": published.expected}
    sides[side] = sides[side].drop_vars("c")
    report = ls.check(sides["traces"], sides["expected"])
    assert not report.ok
    assert (report.missing if side == "traces" else report.unexpected) == ("c",)


def test_a_chaotic_network_parts_but_is_right_one_step_ahead(chaotic: Case) -> None:
    report = ls.check(chaotic.traces, chaotic.expected, diagram=chaotic.diagram)
    assert not report.ok
    assert misses(report)["y"] > 5  # type: ignore[operator]
    assert report.growth is not None
    assert 1.01 < report.growth < 2, report.growth
    assert report.one_step_ok is True
    assert "grows exponentially" in report.summary
    assert "it computes the same" in report.summary
    assert json.loads(report.to_json())["one_step_ok"] is True


@pytest.mark.parametrize("name", ["W", "R", "b"])
def test_a_chaotic_network_with_one_wrong_weight_is_wrong_one_step_ahead(
    simulate: Simulate, chaotic: Case, name: str
) -> None:
    changed = np.array(getattr(chaotic.network.recurrent[0], name))
    changed.reshape(-1)[7] += 1e-3
    diagram = ls.build(with_layer(chaotic.network, **{name: changed}))
    report = ls.check(simulate(diagram, chaotic.u), chaotic.expected, diagram=diagram)
    assert (report.ok, report.one_step_ok) == (False, False)
    assert "does not compute the same" in report.summary


@pytest.mark.parametrize(
    ("units", "inputs", "scale", "seed"),
    [
        (40, 4, 1.0, 1),
        (40, 4, 2.0, 0),
        (40, 4, 2.0, 2),
        (100, 4, 1.0, 0),
        (100, 4, 1.0, 1),
        (1, 100, 1.0, 0),
        (1, 100, 3.0, 0),
        (3, 200, 1.0, 1),
    ],
)
def test_no_right_network_is_suspected_for_its_rounding(
    simulate: Simulate, units: int, inputs: int, scale: float, seed: int
) -> None:
    network = random_network(units, inputs=inputs, scale=scale, seed=seed)
    u = random_input(network, 100 if units == 100 else 200, seed + 100)
    expected = ls.reference(network, u, dtype="float32")
    diagram = ls.build(network)
    report = ls.check(simulate(diagram, u), expected, diagram=diagram)
    # Whether rounding alone exceeds the tolerance is a matter of the machine's BLAS.
    assert report.ok or report.one_step_ok is True
    R = np.array(network.recurrent[0].R)
    R[-1, -1] += 1e-3
    wrong = ls.build(with_layer(network, R=R))
    report = ls.check(simulate(wrong, u), expected, diagram=wrong)
    assert report.one_step_ok is False


def test_a_batch_is_not_looked_at_one_step_ahead() -> None:
    network = random_network(3)
    batch = ls.reference(network, np.stack([random_input(network, 5, seed) for seed in (1, 2)]))
    with pytest.raises(InvalidValueError, match="batch"):
        ls.check(batch * 1.1, batch, diagram=ls.build(network))


def test_one_step_ahead_leaves_the_diagram_as_it_was(simulate: Simulate, chaotic: Case) -> None:
    before = simulate(chaotic.diagram, chaotic.u)
    ls.check(chaotic.traces, chaotic.expected, diagram=chaotic.diagram)
    assert simulate(chaotic.diagram, chaotic.u).identical(before)
    with pytest.raises(InvalidValueError, match="the source has no values"):
        simulate(chaotic.diagram)


def test_one_step_ahead_needs_the_states_of_the_expected_side(published: Case) -> None:
    with pytest.raises(InvalidValueError, match="lack states") as caught:
        ls.check(
            published.traces, published.expected.drop_vars("c_prev"), diagram=published.diagram
        )
    assert "expected: c_prev" in str(caught.value)


def widest_report() -> CheckReport:
    """Return a report with the widest rows there are: long names, large places."""
    long = random_network((12, 12), inputs=4, scale=3.0, seed=3)
    wrong = case(long, random_input(long, 150))
    return ls.check(wrong.traces, wrong.expected * 1.001, diagram=wrong.diagram)


@pytest.mark.parametrize("kind", ["agreement", "one step", "stack", "missing"])
def test_a_report_fits_80_columns_and_names_every_signal(
    published: Case, chaotic: Case, stacked: Case, kind: str
) -> None:
    if kind == "agreement":
        report = ls.check(published.traces, published.expected)
    elif kind == "one step":
        report = ls.check(chaotic.traces, chaotic.expected, diagram=chaotic.diagram)
    elif kind == "missing":
        report = ls.check(stacked.traces[["u"]], stacked.expected)
    else:
        report = widest_report()
    printed = str(report)
    names = [s.name for s in report.signals] + [*report.missing, *report.unexpected]
    words = printed.split()
    assert all(name in words for name in names)
    wide = [line for line in printed.splitlines() if len(line) > 80]
    assert not wide, "\n".join(wide)
