"""Trace files that are damaged, cut short, or something else, are refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import lstmsim as ls
from lstmsim.errors import DataFileError
from tests.conftest import Case, made

OTHER_FILES = {
    "empty.nc": b"",
    "empty.csv": b"",
    "text.nc": b"hello",
    "numbers.csv": b"time,y\n0,1\n",
    "binary.csv": b"\xff\xfe\x00\x01",
    "head.csv": b"# lstmsim traces {\n",
    "list.csv": b"# lstmsim traces []\ntime\n0\n",
    "keys.csv": b"# lstmsim traces {}\ntime\n0\n",
    "other.txt": b"hello",
    "picture.png": b"\x89PNG\r\n\x1a\n",
}


@pytest.mark.parametrize("name", OTHER_FILES)
def test_other_files_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(OTHER_FILES[name])
    with pytest.raises(DataFileError) as caught:
        ls.load_traces(path)
    assert f"where:    {path}" in str(caught.value)
    assert "given:" in str(caught.value)
    assert "save_traces" in str(caught.value)


def test_netcdf_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.nc"
    xr.Dataset({"t2m": ("time", [280.0, 281.0])}).to_netcdf(path, engine="h5netcdf")
    with pytest.raises(DataFileError, match="no sample time"):
        ls.load_traces(path)


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_netcdf_is_refused(tmp_path: Path, published: Case, kept: float) -> None:
    path = tmp_path / "traces.nc"
    ls.save_traces(published.traces, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(DataFileError, match="does not hold traces"):
        ls.load_traces(path)


def small_csv(path: Path) -> str:
    table = np.array([[0.125, 0.25], [0.375, 0.5]])
    ls.save_traces(made({"x": table}, x=np.array([3.0, 4.0])), path)
    return path.read_text(encoding="utf-8")


def test_a_csv_truncated_anywhere_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "traces.csv"
    whole = small_csv(path)
    taken = []
    for length in range(len(whole) - 1):
        path.write_text(whole[:length], encoding="utf-8")
        try:
            ls.load_traces(path)
        except DataFileError:
            continue
        taken.append(whole[:length][-20:])
    assert not taken, taken


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("0.25\n", "0.25,7\n"),
        (",0.25\n", "\n"),
        ("0.125", "0.1x5"),
        ('["x_element", 2', '["x_element", 3'),
        ('["x_element", 2', '["x_element", -2'),
        ('"float64"', '"floatxx"'),
        ('"finals"', '"endings"'),
        ('[["x_element"]', '[["x_element", "z"]'),
    ],
)
def test_a_damaged_csv_is_refused(tmp_path: Path, before: str, after: str) -> None:
    path = tmp_path / "traces.csv"
    whole = small_csv(path)
    assert before in whole
    path.write_text(whole.replace(before, after), encoding="utf-8")
    with pytest.raises(DataFileError, match="does not hold traces"):
        ls.load_traces(path)


def test_a_csv_with_a_column_too_many_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "traces.csv"
    head, names, *rows = small_csv(path).splitlines()
    path.write_text("\n".join([head, f"{names},z", *(f"{row},7" for row in rows), ""]))
    with pytest.raises(DataFileError, match="does not hold traces"):
        ls.load_traces(path)


def test_the_first_line_of_a_csv_is_json(tmp_path: Path) -> None:
    whole = small_csv(tmp_path / "traces.csv")
    head = json.loads(whole.splitlines()[0].removeprefix("# lstmsim traces "))
    assert head["attrs"]["Ts"] == 0.1
    assert head["finals"]["x_final"][2] == [3.0, 4.0]
