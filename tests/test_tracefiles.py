"""Trace files give back every bit, or say what is wrong with them."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

import lstmsim as ls
from lstmsim.errors import DataFileError, DiagramError, FileAccessError, InvalidTypeError
from tests.conftest import Case, made, random_input, random_network

ENDINGS = [".nc", ".csv"]


def there_and_back(traces: xr.Dataset, path: Path) -> xr.Dataset:
    ls.save_traces(traces, path)
    return ls.load_traces(path)


def assert_same_to_the_last_bit(loaded: xr.Dataset, saved: xr.Dataset) -> None:
    """Names in their order, dimensions, types, attributes and every bit but those of a NaN."""
    assert list(loaded.variables) == list(saved.variables)
    assert dict(loaded.attrs) == dict(saved.attrs)
    assert loaded.time.attrs == saved.time.attrs == {"units": "s", "long_name": "time"}
    for name in saved.variables:
        a, b = loaded[name], saved[name]
        assert (a.dims, a.dtype, a.shape) == (b.dims, b.dtype, b.shape), name
        bits = f"u{b.dtype.itemsize}"
        different = (a.values.view(bits) != b.values.view(bits)) & ~(np.isnan(a) & np.isnan(b))
        assert not different.any(), f"{name}: {a.values[different]} for {b.values[different]}"


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("name", ["published", "smallest", "stacked"])
@pytest.mark.parametrize("side", ["traces", "expected"])
def test_runs_come_back_to_the_last_bit(
    tmp_path: Path, request: pytest.FixtureRequest, ending: str, name: str, side: str
) -> None:
    traces: xr.Dataset = getattr(request.getfixturevalue(name), side)
    assert traces.attrs["dtype"] == {"traces": "float64", "expected": "float32"}[side]
    loaded = there_and_back(traces, tmp_path / f"traces{ending}")
    assert_same_to_the_last_bit(loaded, traces)
    assert loaded.identical(traces)


@pytest.mark.parametrize("ending", ENDINGS)
def test_blocks_with_several_outputs_come_back(tmp_path: Path, ending: str) -> None:
    bd = ls.blockdiagram()
    clock = bd.clock(1e-3, name="clock")
    u = bd.FROMWORKSPACE(clock, [[1.5, -2.5], [3.0, 4.0]], name="u")
    split = bd.DEMUX(2, name="split")
    total = bd.SUM("+-", name="my difference")
    out = bd.TOWORKSPACE(clock, name="out")
    for start, end in ((u, split), (split[0], total[0]), (split[1], total[1]), (total, out)):
        bd.connect(start, end)
    traces = ls.simulate(bd)
    assert {"split[0]", "split[1]", "my difference"} < set(traces.data_vars)
    loaded = there_and_back(traces, tmp_path / f"traces{ending}")
    assert_same_to_the_last_bit(loaded, traces)
    np.testing.assert_array_equal(loaded["split[1]"].values, [[-2.5], [4.0]])


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_continued_run_keeps_its_time_axis(tmp_path: Path, published: Case, ending: str) -> None:
    more = ls.simulate(published.diagram, published.u[:3], state=published.traces)
    loaded = there_and_back(more, tmp_path / f"traces{ending}")
    assert_same_to_the_last_bit(loaded, more)
    np.testing.assert_array_equal(loaded.time, np.arange(51, 54) * 0.1)


@pytest.mark.parametrize("ending", ENDINGS)
def test_loaded_traces_continue_a_run(tmp_path: Path, published: Case, ending: str) -> None:
    first = ls.simulate(published.diagram, published.u[:20])
    loaded = there_and_back(first, tmp_path / f"traces{ending}")
    rest = ls.simulate(published.diagram, published.u[20:], state=loaded)
    difference = np.abs(rest.y.values - published.traces.y.values[20:]).max()
    assert difference == 0, difference


def test_a_batch_comes_back_from_netcdf_and_is_refused_as_csv(tmp_path: Path) -> None:
    network = random_network(3)
    u = np.stack([random_input(network, 5, seed) for seed in range(4)])
    batch = ls.reference(network, u)
    assert_same_to_the_last_bit(there_and_back(batch, tmp_path / "batch.nc"), batch)
    with pytest.raises(DataFileError) as caught:
        ls.save_traces(batch, tmp_path / "batch.csv")
    assert "4 sequences" in str(caught.value)
    assert "traces.isel(batch=0)" in str(caught.value)
    assert os.listdir(tmp_path) == ["batch.nc"]
    one = batch.isel(batch=0)
    assert_same_to_the_last_bit(there_and_back(one, tmp_path / "one.csv"), one)


SPECIAL = [0.0, -0.0, np.inf, -np.inf, np.nan, 5e-324, 1.7976931348623157e308, 1e23, 0.1, 1 / 3]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_special_values_come_back(tmp_path: Path, ending: str, dtype: str) -> None:
    with np.errstate(over="ignore"):
        values = np.array(SPECIAL).astype(dtype)
    traces = made({"x": values.reshape(5, 2)}, state=values)
    assert_same_to_the_last_bit(there_and_back(traces, tmp_path / f"x{ending}"), traces)


@pytest.mark.parametrize("ending", ENDINGS)
@given(data=st.data())
@settings(deadline=None, max_examples=40)
def test_any_values_come_back(
    tmp_path_factory: pytest.TempPathFactory, ending: str, data: st.DataObject
) -> None:
    dtype = data.draw(st.sampled_from(["float64", "float32"]))
    shape = data.draw(array_shapes(min_dims=2, max_dims=2, max_side=5))
    traces = made(
        {name: data.draw(arrays(dtype, shape)) for name in ("x", "lstm1.h", "demux[1]")},
        x=data.draw(arrays(dtype, shape[1])),
    )
    path = tmp_path_factory.getbasetemp() / f"any{ending}"
    assert_same_to_the_last_bit(there_and_back(traces, path), traces)


NAMES = ["σ", " a ", "a#b", "#", "..", ".a", "a\\b", "phony_dim_0", "CLASS", "a=1", "'", "😀"]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_names_with_unusual_characters_come_back(tmp_path: Path, ending: str, name: str) -> None:
    traces = made({name: np.arange(6.0).reshape(3, 2)})
    assert_same_to_the_last_bit(there_and_back(traces, tmp_path / f"x{ending}"), traces)


@pytest.mark.parametrize("name", [".", "a\nb", "a\0b", "\ud800"], ids=ascii)
def test_names_that_files_cannot_keep_are_refused_by_a_run(name: str) -> None:
    bd = ls.blockdiagram()
    clock = bd.clock(0.1, name="clock")
    source = bd.FROMWORKSPACE(clock, [1.0, 2.0], name=name)
    bd.connect(source, bd.TOWORKSPACE(clock, name="out"))
    with pytest.raises(DiagramError, match="cannot be the name of a signal"):
        ls.simulate(bd)


def test_csv_is_a_table_for_other_programs(tmp_path: Path, published: Case) -> None:
    path = tmp_path / "traces.csv"
    ls.save_traces(published.traces, path)
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# ")
    names = lines[1].split(",")
    assert names[:5] == ["time", "u[0]", "u[1]", "u[2]", "u[3]"]
    assert len(names) == 1 + sum(published.traces[n].shape[1] for n in signals_of(published.traces))
    table = np.loadtxt(path, delimiter=",", skiprows=2)
    np.testing.assert_array_equal(table[:, 0], published.traces.time)
    np.testing.assert_array_equal(table[:, names.index("y[1]")], published.traces.y[:, 1])
    np.testing.assert_array_equal(table[:, names.index("c_prev[2]")], published.traces.c_prev[:, 2])


def signals_of(traces: xr.Dataset) -> list[str]:
    return [str(name) for name, array in traces.data_vars.items() if "time" in array.dims]


@pytest.mark.parametrize("name", ["x", "split[0]", 'a"b', "a,b"])
def test_csv_has_one_heading_a_column(tmp_path: Path, name: str) -> None:
    path = tmp_path / "traces.csv"
    ls.save_traces(made({name: np.zeros((3, 2))}), path)
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.reader(list(lines)[1:]))
    assert rows[0] == ["time", f"{name}[0]", f"{name}[1]"]


@pytest.mark.parametrize("name", ["traces", "traces.txt", "traces.nc.gz", "traces.mat", ".nc"])
def test_other_endings_are_refused_when_saving(tmp_path: Path, published: Case, name: str) -> None:
    with pytest.raises(DataFileError) as caught:
        ls.save_traces(published.traces, tmp_path / name)
    assert f"where:    {tmp_path / name}" in str(caught.value)
    assert "expected: .nc or .csv" in str(caught.value)
    assert os.listdir(tmp_path) == []


def test_endings_may_be_written_large(tmp_path: Path, smallest: Case) -> None:
    for ending in (".NC", ".CSV"):
        loaded = there_and_back(smallest.traces, tmp_path / f"traces{ending}")
        assert_same_to_the_last_bit(loaded, smallest.traces)


@pytest.mark.parametrize("value", [None, 3, {"y": [1.0]}, np.zeros(3), xr.Dataset()], ids=str)
def test_what_is_no_traces_is_refused(tmp_path: Path, value: object) -> None:
    with pytest.raises(InvalidTypeError, match="are not traces"):
        ls.save_traces(value, tmp_path / "a.nc")  # type: ignore[arg-type]
    assert os.listdir(tmp_path) == []


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileAccessError, match=r"the trace file cannot be read\n.*none\.nc"):
        ls.load_traces(tmp_path / "none.nc")
