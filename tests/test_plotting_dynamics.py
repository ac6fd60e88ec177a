"""Figures of dynamics show the numbers that they are given."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

import lstmsim as ls
from lstmsim.errors import InvalidTypeError, InvalidValueError
from tests.conftest import Case
from tests.helpers import assert_close, assert_same, diagram, refused, wire


@pytest.fixture(autouse=True)
def closed_figures() -> Iterator[None]:
    """Nothing that matplotlib warns of, and no figure left open, in any of these tests."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    plt.close("all")


@pytest.fixture(scope="module")
def spectrum() -> Any:
    return ls.lyapunov(ls.build(ls.published.chaotic_lstm()), samples=3000)


def line(figure: Figure, panel: int, label: str) -> Any:
    found = [one for one in figure.axes[panel].lines if one.get_label() == label]
    assert len(found) == 1, [one.get_label() for one in figure.axes[panel].lines]
    return np.asarray(found[0].get_ydata(), float)


def test_loop_gains_are_drawn_by_signal(published: Case) -> None:
    gains = ls.loop_gains(published.diagram, published.traces)
    figure = ls.plot_loop_gains(gains)
    figure.canvas.draw()
    assert_same(line(figure, 0, "c"), gains.loop_norm.sel(delay="c_prev"))
    assert_same(line(figure, 0, "h"), gains.loop_norm.sel(delay="h_prev"))
    assert_same(line(figure, 1, "spectral radius"), gains.spectral_radius)
    assert_same(line(figure, 1, "singular values"), gains.singular_values[:, 0])
    assert figure.axes[1].get_xlabel() == "time in s"


def test_many_singular_values_are_a_range(stacked: Case) -> None:
    gains = ls.loop_gains(stacked.diagram, stacked.traces)
    figure = ls.plot_loop_gains(gains)
    figure.canvas.draw()
    assert_close(line(figure, 1, "median"), np.median(gains.singular_values, axis=1), 1e-15)
    labels = [text.get_text() for text in figure.axes[1].get_legend().get_texts()]
    assert "10 singular values" in labels


def test_gradient_flow_is_drawn_in_decades(published: Case) -> None:
    flow = ls.gradient_flow(published.diagram, published.traces)
    figure = ls.plot_gradient_flow(flow)
    figure.canvas.draw()
    decades = flow.log_norm / np.log(10)
    assert_close(line(figure, 0, "∂h(T)/∂h(t)"), decades.sel(delay="h_prev"), 1e-15)
    own = flow.log_norm_own.sel(delay="c_prev") / np.log(10)
    assert_close(line(figure, 0, "own loop of c alone"), own, 1e-15)
    assert_same(line(figure, 2, "through h"), flow.through.sel(delay="c_prev", via="h_prev"))
    assert_same(line(figure, 2, "total"), flow.total.sel(delay="c_prev"))
    assert "T = 5 s" in figure.axes[0].get_title(loc="left")


def test_one_sample_and_a_derivative_of_zero_are_drawn(smallest: Case) -> None:
    gains = ls.loop_gains(smallest.diagram, smallest.traces)
    flow = ls.gradient_flow(smallest.diagram, smallest.traces)
    for figure in (ls.plot_loop_gains(gains), ls.plot_gradient_flow(flow)):
        figure.canvas.draw()
    bd, clock = diagram()
    bd.UNITDELAY(clock, 1.0, name="x")
    bd.UNITDELAY(clock, 1.0, name="y")
    bd.GAIN(0.5, name="a")
    wire(bd, "x -> a", "a -> x", "x -> y")
    flow = ls.gradient_flow(bd, ls.simulate(bd, samples=5))
    figure = ls.plot_gradient_flow(flow)
    figure.canvas.draw()
    own = line(figure, 0, "own loop of x alone")
    assert np.isnan(own[:-1]).all()  # y's own loop: x stores a, y stores x
    assert own[-1] == 0


def test_running_estimates_have_a_panel_each(spectrum: Any) -> None:
    figure = ls.plot_lyapunov(spectrum)
    figure.canvas.draw()
    assert len(figure.axes) == 4
    for k, axis in enumerate(figure.axes):
        assert_same(axis.lines[0].get_ydata(), spectrum.running[:, k])
        value = f"{spectrum.exponents[k]:.4f}".replace("-", "−")
        assert value in axis.get_title(loc="left")
        assert "per second" in axis.get_title(loc="left")
    assert "3,000 samples" in figure.get_suptitle()


def test_lost_directions_are_counted_and_not_drawn() -> None:
    bd, clock = diagram()
    bd.UNITDELAY(clock, 1.0, name="x")
    bd.UNITDELAY(clock, 1.0, name="y")
    bd.GAIN(0.5, name="a")
    wire(bd, "x -> a", "a -> x", "x -> y")
    figure = ls.plot_lyapunov(ls.lyapunov(bd, samples=50))
    figure.canvas.draw()
    assert len(figure.axes) == 1
    assert "1 of −∞ are not shown" in figure.get_suptitle()
    bd.blocknames["a"].K = 0.0
    figure = ls.plot_lyapunov(ls.lyapunov(bd, samples=5))
    figure.canvas.draw()
    assert "2 of −∞" in figure.get_suptitle()


def test_many_exponents_share_a_panel(stacked: Case) -> None:
    figure = ls.plot_lyapunov(ls.lyapunov(stacked.diagram, [0.1, 0.2], samples=100, discard=10))
    figure.canvas.draw()
    assert len(figure.axes) == 1


def test_an_attractor_is_one_element_against_another(published: Case) -> None:
    figure = ls.plot_attractor(published.traces, "c[2]", "y", discard=11)
    figure.canvas.draw()
    (dots,) = figure.axes[0].collections
    expected = np.stack([published.traces.c[11:, 2], published.traces.y[11:, 0]], axis=1)
    assert_same(dots.get_offsets(), expected)
    assert (figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()) == ("c[2]", "y")
    assert "40 samples, after 11" in figure.axes[0].get_title(loc="left")


def test_what_cannot_be_drawn_is_refused(published: Case) -> None:
    with refused(InvalidTypeError, "loop_gains", "Dataset"):
        ls.plot_loop_gains(published.traces)
    with refused(InvalidTypeError, "gradient_flow"):
        ls.plot_gradient_flow(3)
    with refused(InvalidTypeError, "lyapunov(diagram)"):
        ls.plot_lyapunov([0.1])
    with refused(InvalidTypeError, "not traces"):
        ls.plot_attractor(published.u)
    with refused(InvalidValueError, "nothing left", "discard=1000 of 51"):
        ls.plot_attractor(published.traces)
    with refused(InvalidValueError, "'h[3]'", "element 0 to 2 of h"):
        ls.plot_attractor(published.traces, "h[3]", discard=0)
    with refused(InvalidValueError, "'z'", "u[0]"):
        ls.plot_attractor(published.traces, "z", discard=0)


def test_pictures_are_saved(published: Case, tmp_path: Path) -> None:
    flow = ls.gradient_flow(published.diagram, published.traces)
    ls.save_plot(ls.plot_gradient_flow(flow), tmp_path / "flow.png")
    assert (tmp_path / "flow.png").stat().st_size > 10_000


def test_poles_are_drawn_for_every_sample_and_the_last_one_marked(published: Case) -> None:
    run = ls.linearize(published.diagram, published.traces)
    figure = ls.plot_poles(run)
    figure.canvas.draw()
    drawn = np.asarray(figure.axes[0].collections[0].get_offsets()) @ [1, 1j]
    assert_same(drawn, np.linalg.eigvals(run.A.values).ravel())
    last = next(one for one in figure.axes[0].lines if one.get_label() == "last sample")
    assert_same(last.get_xdata() + 1j * last.get_ydata(), np.linalg.eigvals(run.A.values)[-1])
    low, high = figure.axes[0].get_xlim()
    assert low < -1
    assert high > max(1, drawn.real.max())
    assert figure.axes[0].get_title(loc="left") == "poles of 51 samples, and the unit circle"


def test_poles_of_a_long_run_are_drawn_at_samples_evenly_apart() -> None:
    bd, clock = diagram()
    bd.UNITDELAY(clock, [1.0, 0.3], name="x")
    bd.MATRIXGAIN([[0.3, -2.0], [0.5, 0.2]], name="A")
    run = ls.linearize(bd, ls.simulate(wire(bd, "x -> A", "A -> x"), samples=1201))
    figure = ls.plot_poles(run)
    figure.canvas.draw()
    assert len(figure.axes[0].collections[0].get_offsets()) == 2 * 500
    assert "500 of 1,201 samples" in figure.axes[0].get_title(loc="left")
    one = ls.plot_poles(run.isel(time=[3]))
    assert one.axes[0].get_title(loc="left") == "poles of 1 sample, and the unit circle"


def test_poles_of_nothing_are_refused(published: Case) -> None:
    with refused(InvalidTypeError, "plot_poles", "linearize(diagram, traces)"):
        ls.plot_poles(published.traces)
    bd, clock = diagram()
    bd.FROMWORKSPACE(clock, width=1, name="u")
    bd.TOWORKSPACE(clock, name="out")
    traces = ls.simulate(wire(bd, "u -> out"), np.ones((2, 1)))
    with refused(InvalidValueError, "without states"):
        ls.plot_poles(ls.linearize(bd, traces))


def test_exponents_that_hardly_move_have_a_plain_axis_and_none_at_all_a_word() -> None:
    bd, clock = diagram()
    bd.UNITDELAY(clock, [1.0, 0.3], name="x")
    bd.MATRIXGAIN([[0.5, 1.0], [0.0, 0.0]], name="A")
    figure = ls.plot_lyapunov(ls.lyapunov(wire(bd, "x -> A", "A -> x"), samples=200))
    low, high = figure.axes[0].get_ylim()
    assert_close([low, high], [np.log(0.5) - 0.05, np.log(0.5) + 0.05], 1e-9)
    bd, clock = diagram()
    bd.UNITDELAY(clock, 1.0, name="x")
    bd.GAIN(0.0, name="A")
    empty = ls.plot_lyapunov(ls.lyapunov(wire(bd, "x -> A", "A -> x"), samples=50))
    empty.canvas.draw()
    assert [text.get_text() for text in empty.axes[0].texts] == ["all are −∞"]
