"""Figures show the traces' own numbers, under titles and labels that say what they are."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import LogNorm, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch

import lstmsim as ls
from lstmsim.diagram.traces import signal_names
from lstmsim.errors import DataFileError, FileAccessError, InvalidTypeError, InvalidValueError
from tests.conftest import Case, made, random_input, random_network
from tests.helpers import assert_same

TITLES = [
    "input u",
    "output y",
    "input gate i",
    "forget gate f",
    "cell candidate g",
    "output gate o",
    "cell state c",
    "hidden state h",
]


@pytest.fixture(autouse=True)
def closed_figures() -> Iterator[None]:
    """Nothing that matplotlib warns of, and no figure left open, in any of these tests."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    plt.close("all")


def panels(figure: Figure) -> list[Axes]:
    """Return the axes that show a signal, colour bars left out."""
    return [axis for axis in figure.axes if axis.get_title(loc="left")]


def titles(figure: Figure) -> list[str]:
    return [axis.get_title(loc="left") for axis in panels(figure)]


def stairs(axis: Axes) -> list[StepPatch]:
    return [patch for patch in axis.patches if isinstance(patch, StepPatch)]


def test_a_layer_s_page_has_its_input_output_gates_and_states(published: Case) -> None:
    figure = ls.plot(published.traces)
    figure.canvas.draw()
    assert titles(figure) == TITLES
    assert [axis.get_ylabel() for axis in panels(figure)] == list("uyifgoch")
    assert figure.get_suptitle() == "bdsim, Ts = 0.1 s"


def test_time_is_labelled_in_seconds_below_the_last_panels(published: Case) -> None:
    axes = panels(ls.plot(published.traces))
    assert [axis.get_xlabel() for axis in axes] == [""] * 6 + ["time in s"] * 2
    for signals in (["u"], ["u", "y", "c"]):
        axes = panels(ls.plot(published.traces, signals))
        labelled = [axis.get_xlabel() == "time in s" for axis in axes]
        assert labelled == ([True] if len(signals) == 1 else [False, True, True])


def test_stairs_are_the_traces_sample_by_sample(published: Case) -> None:
    figure = ls.plot(published.traces)
    edges = np.append(published.traces.time, published.traces.time[-1] + 0.1)
    for axis, name in zip(panels(figure), "uyifgoch", strict=True):
        drawn = stairs(axis)
        assert len(drawn) == published.traces[name].shape[1]
        for element, patch in enumerate(drawn):
            data = patch.get_data()
            np.testing.assert_array_equal(data.values, published.traces[name][:, element])
            np.testing.assert_array_equal(data.edges, edges)
            assert data.baseline is None
        assert axis.get_xlim() == (edges[0], edges[-1])


def test_elements_differ_by_colour_and_are_in_a_legend(published: Case) -> None:
    axis = panels(ls.plot(published.traces, ["u"]))[0]
    colours = [patch.get_edgecolor() for patch in stairs(axis)]
    assert len(set(colours)) == 4
    legend = axis.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["0", "1", "2", "3"]


def test_twelve_elements_are_twelve_different_lines() -> None:
    axis = panels(ls.plot(made({"x": np.arange(36.0).reshape(3, 12)})))[0]
    looks = {(patch.get_edgecolor(), patch.get_linestyle()) for patch in stairs(axis)}
    assert len(looks) == 12


def test_one_element_has_no_legend(smallest: Case) -> None:
    for axis in panels(ls.plot(smallest.traces)):
        assert len(stairs(axis)) == 1
        assert axis.get_legend() is None


@pytest.mark.parametrize("width", [13, 40])
def test_wide_signals_are_heat_maps_of_the_same_numbers(width: int) -> None:
    values = np.random.default_rng(0).standard_normal((5, width))
    figure = ls.plot(made({"x": values, "positive": abs(values)}), ["x", "positive"])
    figure.canvas.draw()
    for axis, name in zip(panels(figure), ["x", "positive"], strict=True):
        (mesh,) = (m for m in axis.collections if isinstance(m, QuadMesh))
        expected = values if name == "x" else abs(values)
        np.testing.assert_array_equal(np.asarray(mesh.get_array()), expected.T)
        assert axis.get_ylabel() == "element"
        corners = mesh.get_coordinates()
        np.testing.assert_allclose(corners[0, :, 0], np.arange(6) * 0.1, atol=1e-15)
        np.testing.assert_array_equal(corners[:, 0, 1], np.arange(width + 1) - 0.5)
        limits = mesh.get_clim()
        largest = abs(values).max()
        assert limits == ((-largest, largest) if name == "x" else (0, largest))
    bars = [axis.get_ylabel() for axis in figure.axes if axis not in panels(figure)]
    assert bars == ["x", "positive"]


@pytest.mark.parametrize("samples", [1, 2, 300])
def test_runs_of_any_length_are_drawn(samples: int) -> None:
    network = random_network(3)
    traces = ls.reference(network, random_input(network, samples))
    figure = ls.plot(traces)
    figure.canvas.draw()
    patch = stairs(panels(figure)[1])[0]
    np.testing.assert_array_equal(patch.get_data().values, traces.y[:, 0])
    np.testing.assert_allclose(figure.axes[0].get_xlim(), (0, 0.1 * samples))


def test_a_continued_run_is_drawn_at_its_own_time(published: Case) -> None:
    more = ls.simulate(published.diagram, published.u[:3], state=published.traces)
    limits = ls.plot(more).axes[0].get_xlim()
    np.testing.assert_allclose(limits, (5.1, 5.4))


def test_every_layer_of_a_stack_has_its_panels(stacked: Case) -> None:
    shown = titles(ls.plot(stacked.traces))
    assert shown == TITLES[:2] + [f"lstm{k}: {title}" for k in (1, 2) for title in TITLES[2:]]


def test_a_diagram_without_lstm_names_has_all_its_signals() -> None:
    traces = made({"b": np.zeros((3, 1)), "a": np.ones((3, 2)), "split[1]": np.ones((3, 1))})
    assert titles(ls.plot(traces)) == ["b", "a", "split[1]"]


def test_chosen_signals_come_in_the_order_of_the_traces(published: Case) -> None:
    assert titles(ls.plot(published.traces, ["h", "u"])) == ["input u", "hidden state h"]
    assert titles(ls.plot(published.traces, ["fc"])) == ["fc"]


@pytest.mark.parametrize(
    ("signals", "given"), [(["H"], "'H'"), (["h", "x", "z"], "'x', 'z'"), ([], "empty selection")]
)
def test_unknown_signals_are_named_with_those_there_are(
    published: Case, signals: list[str], given: str
) -> None:
    with pytest.raises(InvalidValueError) as caught:
        ls.plot(published.traces, signals)
    assert given in str(caught.value)
    assert ", ".join(signal_names(published.traces)) in str(caught.value)


def test_a_batch_is_refused(published: Case) -> None:
    batch = ls.reference(published.network, np.stack([published.u, published.u]))
    for draw in (ls.plot, lambda traces: ls.plot_difference(traces, traces)):
        with pytest.raises(InvalidValueError, match=r"(?s)one sequence.*batch of 2.*isel\(batch=0"):
            draw(batch)
    assert len(panels(ls.plot(batch.isel(batch=0)))) == 8


@pytest.mark.parametrize("value", [None, {"y": [1.0]}, np.zeros((3, 1))], ids=str)
def test_what_is_no_traces_is_refused(published: Case, value: object) -> None:
    with pytest.raises(InvalidTypeError, match="traces are not traces"):
        ls.plot(value)  # type: ignore[arg-type]
    with pytest.raises(InvalidTypeError, match="expected are not traces"):
        ls.plot_difference(published.traces, value)  # type: ignore[arg-type]


def test_a_signal_without_an_element_axis_is_named(published: Case) -> None:
    flat = published.traces.assign(y=published.traces.y[:, 0])
    with pytest.raises(InvalidValueError, match=r"y with dimensions \('time',\)"):
        ls.plot(flat, ["h", "y"])


@pytest.mark.parametrize(
    "style", ["dark_background", "ggplot", {"savefig.facecolor": "black"}], ids=str
)
def test_pages_are_white_with_dark_text_under_any_style(
    tmp_path: Path, published: Case, style: str | dict[str, str]
) -> None:
    with plt.style.context(style):
        figure = ls.plot(published.traces)
        ls.save_plot(figure, tmp_path / "page.png")
    assert to_rgb(figure.get_facecolor()) == (1, 1, 1)
    for axis in panels(figure):
        assert to_rgb(axis.get_facecolor()) == (1, 1, 1)
        texts = [axis.title, axis.xaxis.label, axis.yaxis.label, *axis.get_yticklabels()]
        legend = axis.get_legend()
        assert legend is not None
        for text in [*texts, *legend.get_texts()]:
            assert max(to_rgb(text.get_color())) < 0.4, text
    picture = plt.imread(tmp_path / "page.png")
    np.testing.assert_array_equal(picture[0, 0, :3], [1, 1, 1])


def test_plotting_leaves_the_caller_s_style_as_it_was(published: Case) -> None:
    before = dict(mpl.rcParams)
    ls.plot(published.traces)
    assert dict(mpl.rcParams) == before


def test_a_difference_is_drawn_with_the_tolerance(published: Case) -> None:
    figure = ls.plot_difference(published.traces, published.expected)
    figure.canvas.draw()
    assert titles(figure) == TITLES
    assert figure.get_suptitle() == (
        "|bdsim (float64) − reference (float32)|; dotted: single-precision tolerance"
    )
    for axis, name in zip(panels(figure), "uyifgoch", strict=True):
        a, b = (np.asarray(t[name], float) for t in (published.traces, published.expected))
        *drawn, tolerance = stairs(axis)
        difference = np.abs(a - b)
        for element, patch in enumerate(drawn):
            expected = np.where(difference[:, element] > 0, difference[:, element], np.nan)
            np.testing.assert_array_equal(patch.get_data().values, expected)
        bound = (1e-6 + 1e-5 * np.abs(b)).min(axis=1)
        np.testing.assert_array_equal(tolerance.get_data().values, bound)
        assert axis.get_yscale() == "log"
        assert axis.get_ylabel() == "|difference|"
        low, high = axis.get_ylim()
        assert low < difference[difference > 0].min(initial=high)
        assert high > difference.max()


@pytest.mark.parametrize("name", ["published", "smallest"])
def test_identical_traces_are_said_to_be_equal(request: pytest.FixtureRequest, name: str) -> None:
    traces = request.getfixturevalue(name).traces
    figure = ls.plot_difference(traces, traces)
    figure.canvas.draw()
    for axis in panels(figure):
        assert [text.get_text() for text in axis.texts] == ["equal to the last bit"]


def test_a_wide_difference_is_a_heat_map_on_a_logarithmic_scale() -> None:
    values = np.random.default_rng(0).standard_normal((5, 13))
    figure = ls.plot_difference(made({"x": values}), made({"x": values + 1e-6}))
    figure.canvas.draw()
    (mesh,) = (m for m in panels(figure)[0].collections if isinstance(m, QuadMesh))
    np.testing.assert_allclose(np.asarray(mesh.get_array()), 1e-6, rtol=1e-9)
    assert isinstance(mesh.norm, LogNorm)
    ls.plot_difference(made({"x": values}), made({"x": values})).canvas.draw()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_difference_with_nan_or_inf_in_it_is_drawn(bad: float) -> None:
    values = np.array([[1.0], [bad], [3.0]])
    figure = ls.plot_difference(made({"x": values}), made({"x": np.ones((3, 1))}))
    figure.canvas.draw()
    difference, tolerance = stairs(panels(figure)[0])
    # None is drawn where there is none: the scale is logarithmic.
    assert_same(difference.get_data().values, [np.nan, bad, 2.0])
    assert np.isfinite(tolerance.get_data().values).all()


def test_traces_with_nan_are_drawn() -> None:
    for width in (1, 13):
        values = np.arange(3.0 * width).reshape(3, width)
        values[1] = np.nan
        figure = ls.plot(made({"x": values}))
        figure.canvas.draw()
        (axes,) = panels(figure)
        if width == 1:
            drawn = stairs(axes)[0].get_data().values[:, None]
        else:
            (mesh,) = (m for m in axes.collections if isinstance(m, QuadMesh))
            drawn = np.ma.filled(mesh.get_array(), np.nan).T
        assert_same(drawn, values)


def test_only_signals_of_both_sides_are_compared(published: Case) -> None:
    figure = ls.plot_difference(published.traces, published.expected[["u", "y"]])
    assert titles(figure) == ["input u", "output y"]
    with pytest.raises(InvalidValueError, match="nothing to compare"):
        ls.plot_difference(published.traces, published.expected.isel(time=slice(3)))


def test_names_are_not_read_as_formulas() -> None:
    figure = ls.plot(made({r"$\x$": np.zeros((2, 1))}))
    figure.canvas.draw()
    assert any(r"$\x$" in text.replace(r"\$", "$") for text in titles(figure))


@pytest.mark.parametrize("ending", [".png", ".svg", ".pdf", ".PNG"])
def test_figures_are_saved_and_closed(tmp_path: Path, published: Case, ending: str) -> None:
    figure = ls.plot(published.traces, ["y"])
    path = tmp_path / f"page{ending}"
    ls.save_plot(figure, path)
    start = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}[ending.lower()]
    assert path.read_bytes().startswith(start)
    assert os.listdir(tmp_path) == [path.name]
    assert not plt.fignum_exists(figure.number)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["page", "page.txt", "page.png.gz", ".png"])
def test_other_endings_are_refused_with_those_there_are(
    tmp_path: Path, published: Case, name: str
) -> None:
    figure = ls.plot(published.traces, ["y"])
    with pytest.raises(DataFileError, match="not a kind of picture file") as caught:
        ls.save_plot(figure, tmp_path / name)
    assert f"where:    {tmp_path / name}" in str(caught.value)
    assert ".pdf" in str(caught.value)
    assert ".png" in str(caught.value)
    assert os.listdir(tmp_path) == []


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path, published: Case) -> None:
    figure = ls.plot(published.traces, ["y"])
    with pytest.raises(FileAccessError, match="No such file or directory"):
        ls.save_plot(figure, tmp_path / "nowhere" / "page.png")
