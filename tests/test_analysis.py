"""An analysis is what its parts are by themselves, and says why a part is not there."""

from __future__ import annotations

import html
import itertools
import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import lstmsim as ls
from lstmsim.errors import (
    AlgebraicLoopError,
    DiagramError,
    InvalidTypeError,
    InvalidValueError,
    ShapeError,
)
from lstmsim.reports.analysis import limits
from lstmsim.reports.analysis.report import Analysis
from tests.conftest import Case, Outcome, random_network, workspace_of
from tests.helpers import assert_close, assert_same, diagram, refused, wire

Cli = Callable[..., Outcome]
PARTS = [
    "run",
    "feedback loops",
    "linearization",
    "fixed points",
    "loop gains",
    "gradient flow",
    "Lyapunov exponents",
    "stability",
]
FIGURES = ["diagram", "gradient_flow", "loop_gains", "lyapunov", "poles", "run"]
FILES = sorted(
    [
        *("analysis.json", "linearization.nc", "report.html", "report.md"),
        *(f"{name}.png" for name in FIGURES),
    ]
)


def free(A: Any, x0: Any = 1.0) -> Any:
    """Return x(k+1) = A x(k), a diagram without a source."""
    bd, clock = diagram()
    A = np.array(A, float)
    bd.UNITDELAY(clock, np.broadcast_to(x0, len(A)).astype(float), name="x")
    bd.MATRIXGAIN(A, name="A")
    return wire(bd, "x -> A", "A -> x")


def skipped(report: Analysis) -> dict[str, str]:
    return {part.name: part.note for part in report.parts if part.skipped}


@pytest.fixture(scope="module")
def layer(published: Case) -> Analysis:
    return ls.analyze(published.diagram, published.u, network=published.network)


def test_every_part_is_what_its_function_gives(layer: Analysis, published: Case) -> None:
    bd, u = published.diagram, published.u
    traces = ls.simulate(bd, u, engine="numba")
    assert [part.name for part in layer.parts] == PARTS
    assert skipped(layer) == {}
    xr.testing.assert_identical(layer.traces, traces)
    run = ls.linearize(bd, traces)
    xr.testing.assert_identical(layer.linearization, run)
    xr.testing.assert_identical(layer.gains, ls.loop_gains(bd, traces))
    xr.testing.assert_identical(layer.flow, ls.gradient_flow(bd, traces))
    assert layer.loops.to_json() == ls.loops(bd).to_json()
    (expected,), (found,) = ls.fixed_points(bd, u.mean(axis=0)), layer.fixed_points
    assert_close(found.states["c_prev"], expected.states["c_prev"], 1e-10)
    assert_close(np.sort(np.abs(found.eigenvalues)), np.sort(np.abs(expected.eigenvalues)), 1e-10)
    assert_same(layer.lyapunov.exponents, ls.lyapunov(bd, u, discard=5).exponents)
    bound = np.abs(u).max(axis=0)
    assert layer.stability.to_json() == ls.stability(published.network, bound).to_json()
    poles = np.linalg.eigvals(run.A.values[-1])
    assert_close(np.sort_complex(layer.poles), np.sort_complex(poles), 1e-15)
    assert (np.diff(np.abs(layer.poles)) <= 0).all()


def test_the_json_has_the_numbers(layer: Analysis) -> None:
    content = json.loads(layer.to_json())
    last = content["linearization"]["last sample"]
    assert_close(last["A"], layer.linearization.A.values[-1], 0.0)
    assert_close(np.array(last["poles"]) @ [1, 1j], layer.poles, 0.0)
    assert content["linearization"]["state"][0] == "h_prev[0]"
    assert_close(content["Lyapunov exponents"]["exponents"], layer.lyapunov.exponents, 0.0)
    assert_close(content["loop gains"]["spectral_radius"], layer.gains.spectral_radius, 0.0)
    flow = content["gradient flow"]["log_norm"]["c_prev"]
    assert_close(flow, layer.flow.log_norm.sel(delay="c_prev"), 0.0)
    assert len(content["feedback loops"]["groups"]) == 2
    assert content["fixed points"]["points"][0]["stability"] == "stable"
    assert content["stability"]["incremental"] is False
    assert [part["name"] for part in content["parts"]] == PARTS
    assert content["run"] == {"samples": 51, "Ts": 0.1, "engine": "numba"}


def test_the_key_numbers_are_on_the_screen(layer: Analysis) -> None:
    said = " ".join(str(layer).split())
    radius = layer.gains.spectral_radius.values
    for words in (
        "5: 1 inner through c_prev, 4 outer through h_prev",
        f"largest |λ| = {abs(layer.poles[0]):.4g}, all inside the unit circle",
        "at the input's mean: 1 stable",
        f"{radius.min():.4g} to {radius.max():.4g}, above 1 at {(radius > 1).sum()} of 51 samples",
        f"‖∂c(T)/∂c(0)‖ = {math.exp(layer.flow.log_norm.sel(delay='c_prev')[0]):.3g}",
        "negative: nearby runs meet",
        "Nothing is certified",
        "for inputs no larger than this run's",
    ):
        assert words in said, f"{words!r} not in\n{layer}"
    assert repr(layer) == "<Analysis: 8 parts>"
    assert layer["run"].found == "51 samples of 0.1 s, run by numba"


def test_a_given_bound_and_a_held_input_are_used(published: Case) -> None:
    bd, u, network = published.diagram, published.u[:3], published.network
    report = ls.analyze(bd, u, network=network, input_bound=0.5, held=[1.0, 0.0, 0.0, 2.0])
    assert report.stability.input_bound == (0.5,) * 4
    assert report["stability"].note == ""
    assert "at the constant input [1, 0, 0, 2]: 1 stable" in report["fixed points"].found
    expected = ls.fixed_points(bd, [1.0, 0.0, 0.0, 2.0])
    assert_same(report.fixed_points[0].states["c_prev"], expected[0].states["c_prev"])
    zero = ls.analyze(bd, u, held="zero")
    assert "at zero input" in zero["fixed points"].found
    assert_same(zero.fixed_points.u["u"], np.zeros(4))


def test_an_input_that_is_constant_lets_the_run_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_LONGEST", 3000)
    bd = ls.build(ls.published.chaotic_lstm())
    report = ls.analyze(bd, np.zeros((200, 1)))
    assert report.lyapunov.samples == 3000
    assert report.lyapunov.chaotic
    assert "the run goes on with it" in report["Lyapunov exponents"].note
    assert_same(report.lyapunov.exponents, ls.lyapunov(bd, samples=3000).exponents)


def test_one_unit_one_input_one_sample(smallest: Case) -> None:
    report = ls.analyze(smallest.diagram, smallest.u, network=smallest.network)
    assert skipped(report) == {}
    assert report["gradient flow"].found == "one sample alone: nothing flows"
    assert "the run goes on with it" in report["Lyapunov exponents"].note
    json.loads(report.to_json())


def test_a_free_run_has_a_length_of_its_own() -> None:
    report = ls.analyze(free([[0.5, 0.2], [0.0, 0.3]]))
    assert report.traces.sizes["time"] == limits.FREE_RUN
    assert "1,000 samples were run" in report["run"].note
    assert ls.analyze(free([[0.5]]), samples=7).traces.sizes["time"] == 7
    assert_close(report.lyapunov.exponents, np.log([0.5, 0.3]), 1e-12)
    assert report["fixed points"].found.startswith("without an input: 1 stable")


def test_a_diagram_that_does_not_compile_is_run_in_bdsim() -> None:
    bd, clock = diagram()
    bd.STEP(T=0.5, name="step")
    bd.FUNCTION(lambda value: value, name="f")
    bd.UNITDELAY(clock, 0.0, name="d")
    bd.GAIN(0.5, name="half")
    bd.SUM("++", name="sum")
    wire(bd, "step -> f", "f -> sum[0]", "half -> sum[1]", "sum -> d", "d -> half")
    report = ls.analyze(bd, samples=20, network=random_network(2))
    assert report.traces.attrs["engine"] == "bdsim"
    assert_close(report.traces["sum"].values[-1, 0], 2 - 0.5**14, 1e-12)
    assert report["feedback loops"].found == "1: 1 through d"
    reasons = skipped(report)
    assert list(reasons) == PARTS[2:]
    for name in PARTS[2:7]:
        assert "does not compile" in reasons[name]
        assert "block 'f' (FUNCTION)" in reasons[name]
    assert "the model is not the network" in reasons["stability"]


def test_a_diagram_without_delays_has_a_linearization_alone(tmp_path: Path) -> None:
    bd, clock = diagram()
    bd.FROMWORKSPACE(clock, width=2, name="u")
    bd.TANH(name="t")
    bd.TOWORKSPACE(clock, name="out")
    u = np.array([[0.1, -0.4], [0.2, 0.3]])
    report = ls.analyze(wire(bd, "u -> t", "t -> out"), u)
    assert report["feedback loops"].found == "none"
    assert_close(report.linearization.D.values[1].diagonal(), 1 - np.tanh(u[1]) ** 2, 1e-15)
    assert list(skipped(report)) == [*PARTS[3:7], "stability"]
    assert set(list(skipped(report).values())[:4]) == {
        "the diagram has no delays, and so no states"
    }
    files = [file.name for file in ls.save_analysis(report, tmp_path / "a")]
    pages = ["report.html", "report.md"]
    assert files == ["analysis.json", "diagram.png", "linearization.nc", *pages, "run.png"]


def test_a_run_that_overflows_is_a_finding() -> None:
    report = ls.analyze(free([[10.0, 0.0], [0.0, 1.0]]))
    reasons = skipped(report)
    assert reasons["run"] == "a signal is not finite any more (block 'A' (MATRIXGAIN), sample 308)"
    for name in ("linearization", "loop gains", "gradient flow"):
        assert reasons[name] == "the run did not stay finite"
    assert reasons["Lyapunov exponents"].endswith("(lyapunov, block 'A' (MATRIXGAIN), sample 308)")
    assert "unstable, as it seems of a line" in report["fixed points"].found
    assert json.loads(report.to_json())["run"] is None


def test_lost_directions_are_null_and_crash_nothing(tmp_path: Path) -> None:
    report = ls.analyze(free([[0.0, 1.0], [0.0, 0.0]]), samples=30)
    assert_same(report.lyapunov.exponents, [-np.inf, -np.inf])
    assert json.loads(report.to_json())["Lyapunov exponents"]["exponents"] == [None, None]
    assert "is −∞ a sample, negative" in report["Lyapunov exponents"].found
    assert report["gradient flow"].found == "over 29 samples: ‖∂A(T)/∂A(0)‖ = 0"
    assert len(ls.save_analysis(report, tmp_path / "a")) == len(FILES)


def test_a_search_that_finds_nothing_says_how_hard_it_tried() -> None:
    bd, clock = diagram()
    bd.CONSTANT([1.0], name="one")
    bd.SUM("++", name="sum")
    bd.UNITDELAY(clock, 0.0, name="x")
    report = ls.analyze(wire(bd, "one -> sum[0]", "x -> sum[1]", "sum -> x"), samples=5)
    found = report["fixed points"].found
    assert "no fixed point was found: Newton's method from 204 starts" in found
    assert "does not show that there is none" in found


def test_a_kink_is_noted_with_the_slope() -> None:
    bd, clock = diagram()
    bd.UNITDELAY(clock, 0.5, name="x")
    bd.CLIP(-0.5, 0.5, name="limit")
    report = ls.analyze(wire(bd, "x -> limit", "limit -> x"), samples=3)
    note = report["linearization"].note
    assert "block 'limit' at samples 0, 1, 2 (slope 1): exact on one side only" in note


def test_what_takes_long_is_bounded_and_says_so(
    published: Case, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[tuple[int, ...]] = []
    monkeypatch.setattr(limits, "samples_along", lambda *sizes: asked.append(sizes) or 7)
    monkeypatch.setattr(limits, "samples_of_exponents", lambda states: 20)
    monkeypatch.setattr(limits, "newton_effort", lambda states: (3, 200))
    monkeypatch.setattr(limits, "MOST_BLOCKS", 29)
    report = ls.analyze(published.diagram, published.u)
    assert asked == [(6, 4, 2)]
    whole = ls.linearize(published.diagram, published.traces).isel(time=slice(-7, None))
    for data in (report.linearization, report.gains, report.flow):
        assert_same(data.time, whole.time)
    assert_close(report.linearization.A, whole.A, 1e-12)
    for name in ("linearization", "loop gains", "gradient flow"):
        assert report[name].note == "of the last 7 of 51 samples, for 6 states"
    note = report["Lyapunov exponents"].note
    assert note == "along the first 25 of 51 samples alone, for 6 states"
    assert (report.lyapunov.samples, report.lyapunov.discarded) == (20, 5)
    assert report["fixed points"].note == "10 starts alone, for 6 states"
    assert report.fixed_points.starts == 10
    assert "diagram.png" not in [f.name for f in ls.save_analysis(report, tmp_path / "a")]
    assert "is not drawn here" in (tmp_path / "a" / "report.md").read_text()


def test_too_many_states_are_left_out(published: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_STATES", 5)
    report = ls.analyze(published.diagram, published.u, network=published.network)
    assert list(skipped(report)) == PARTS[2:7]
    assert set(skipped(report).values()) == {"6 states, and more than 5 take minutes"}


def test_the_limits_are_these() -> None:
    # Each was measured to take some seconds; who changes one measures again.
    assert [limits.samples_along(n, 1, 1) for n in (1, 6, 64, 300, 1500)] == [
        *(16_649, 16_076, 2_791, 92, 1)
    ]
    assert [limits.samples_along(n, 200, 200) for n in (1, 6)] == [415, 395]  # by memory
    assert [limits.samples_of_exponents(n) for n in (1, 6, 64, 300, 1500)] == [
        *(20_000, 20_000, 9_028, 184, 1)
    ]
    assert [limits.newton_effort(n) for n in (1, 60, 100, 200, 300, 301)] == [
        *((100, 200), (100, 200), (100, 200), (67, 200), (18, 200), (18, 50))
    ]
    assert limits.newton_effort(1500) == (0, 50)


@pytest.mark.parametrize(
    ("states", "inputs", "outputs", "samples"),
    [
        (6, 4, 2, 16_076),  # the published layer: 5 s of about 0.3 ms
        (100, 1, 1, 1_162),
        (300, 3, 3, 92),
        (1500, 3, 3, 1),
        (10, 5000, 2, 279),  # memory: matrices of 12 × 5010
    ],
)
def test_a_run_is_linearized_for_about_five_seconds_and_in_128_mib(
    states: int, inputs: int, outputs: int, samples: int
) -> None:
    assert limits.samples_along(states, inputs, outputs) == samples
    assert samples * (states + outputs) * (states + inputs) * 8 <= 128 * 2**20


def test_too_many_loops_to_list_are_said() -> None:
    bd, clock = diagram()
    names = [f"s{k}" for k in range(12)]
    bd.UNITDELAY(clock, 0.0, name="d")
    for name in names:
        bd.SUM("++", name=name)
    lines = [f"{a} -> {b}[{port}]" for a, b in itertools.pairwise(names) for port in (0, 1)]
    report = ls.analyze(wire(bd, "d -> s0[0]", "d -> s0[1]", *lines, "s11 -> d"), samples=3)
    assert report["feedback loops"].found == "1,000 and more: 1,000 through d"
    assert report["feedback loops"].note == "too many loops to list: the limit is 1,000 loops"


def test_a_stack_has_all_parts(stacked: Case) -> None:
    report = ls.analyze(stacked.diagram, stacked.u, network=workspace_of(stacked.network))
    assert skipped(report) == {}
    assert len(report.loops.loops) == 10


def test_certificates_are_for_networks(published: Case, smallest: Case) -> None:
    bd, u = published.diagram, published.u[:2]
    said = {
        "none was given": None,
        "lacks names that make a network (W, R, b, h0, c0)": {"Ts": 0.1},
        "the model is not the network": smallest.network,
    }
    for words, network in said.items():
        report = ls.analyze(bd, u, network=network)
        assert report.stability is None
        assert words in report["stability"].note


def test_what_does_not_fit_is_refused(published: Case) -> None:
    bd, u, network = published.diagram, published.u, published.network
    with refused(InvalidTypeError, "not a block diagram", "Network", "ls.build"):
        ls.analyze(network, u)
    with refused(ShapeError, "(51, 3)", "4 columns"):
        ls.analyze(bd, u[:, :3])
    with refused(InvalidValueError, "no values"):
        ls.analyze(bd)
    with refused(InvalidValueError, "from 1 to 51"):
        ls.analyze(bd, u, samples=52)
    with refused(InvalidValueError, "negative", "-1"):
        ls.analyze(bd, u, network=network, input_bound=-1)
    with refused(InvalidValueError, "no constant input", "'median'"):
        ls.analyze(bd, u, held="median")
    with refused(ShapeError, "a vector of 4"):
        ls.analyze(bd, u, held=[1.0])
    with refused(InvalidValueError, "the diagram takes no input"):
        ls.analyze(free([[0.5]]), held=[1.0])
    with refused(InvalidTypeError, "not an analysis", "analyze(diagram)"):
        ls.save_analysis(network, "nowhere")
    open_port, clock = diagram()
    open_port.UNITDELAY(clock, 0.0, name="d")
    with refused(DiagramError, "not connected"):
        ls.analyze(open_port, samples=3)
    algebraic, clock = diagram()
    algebraic.GAIN(0.5, name="a")
    algebraic.UNITDELAY(clock, 0.0, name="d")
    with refused(AlgebraicLoopError, "a -> a"):
        ls.analyze(wire(algebraic, "a -> a", "a -> d"), samples=3)


def test_the_command_writes_all_of_it(cli: Cli, demo_folder: Path, layer: Analysis) -> None:
    done = cli("analyze", "lstm_layer", "-w", demo_folder / "workspace.npz", "--out", "a/b")
    assert (done.status, done.err) == (0, "")
    assert sorted(os.listdir("a/b")) == FILES
    assert sorted(os.listdir("a")) == ["b"]
    assert "5: 1 inner through c_prev, 4 outer through h_prev" in done.out
    assert "Saved in a/b:" in done.out
    with xr.open_dataset("a/b/linearization.nc", engine="h5netcdf") as saved:
        assert_same(saved.A, layer.linearization.A)
        assert list(saved.state.values) == list(layer.linearization.state.values)
    assert json.loads(Path("a/b/analysis.json").read_text()) == json.loads(layer.to_json())
    report = Path("a/b/report.md").read_text()
    assert report.startswith("# lstm_layer: analysis\n\n## Run\n")
    for name in FIGURES:
        assert f"]({name}.png)" in report
        assert Path(f"a/b/{name}.png").stat().st_size > 10_000
    page = Path("a/b/report.html").read_text()
    for table in (*layer.loops.tables, *layer.fixed_points.tables, *layer.stability.tables):
        for cells, _ in table.rows:
            assert f"| {' | '.join(cells)} |".replace("\n", "<br>") in report
            assert all(
                f">{html.escape(cell, False)}<".replace("\n", "<br>") in page for cell in cells
            )
    assert page.count("data:image/png;base64,") == len(FIGURES)
    assert "<code>linearization.nc</code>" in page


def test_the_command_s_json_and_its_second_folder(cli: Cli, demo_folder: Path) -> None:
    Path("mine").mkdir()
    Path("mine/notes").write_text("kept")
    arguments = ("analyze", "lstm_layer", "-w", demo_folder / "workspace.npz", "--out", "mine")
    done = cli(*arguments, "--samples", 4, "--input-bound", 0.1, "--held", "1,0,0,2", "--json")
    content = json.loads(done.out)
    assert (done.status, done.err) == (0, "")
    assert content["folder"] == "mine-2"
    assert content["files"] == [f"mine-2/{name}" for name in FILES]
    assert content["run"]["samples"] == 4
    assert content["stability"]["input_bound"] == [0.1] * 4
    assert content["fixed points"]["u"] == {"u": [1.0, 0.0, 0.0, 2.0]}
    assert os.listdir("mine") == ["notes"]


@pytest.mark.parametrize("where", ["compute.flow_along", "parts.plot"])
def test_an_interrupted_command_leaves_nothing(
    cli: Cli, demo_folder: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"lstmsim.reports.analysis.{where}", interrupt)
    done = cli("analyze", "lstm_layer", "-w", demo_folder / "workspace.npz", "--out", "a/b")
    assert (done.status, done.out) == (130, "")
    assert done.err == "interrupted: nothing was saved\n"
    assert os.listdir() == ["d"]
