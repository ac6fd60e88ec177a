"""Trace files: NetCDF, and CSV for other programs; both keep every bit."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from lstmsim.base import DataFileError, atomic_write, check_target, existing
from lstmsim.diagram.traces import check_is_traces

#: Endings of trace files.
TRACE_ENDINGS = (".nc", ".csv")
_CSV_MARK = "# lstmsim traces "


def save_traces(traces: xr.Dataset, path: str | os.PathLike[str]) -> None:
    """Save traces to a file, whole or not at all.

    Parameters
    ----------
    traces : Dataset
        As `simulate` and `reference` return them.
    path : path
        With the ending `.nc` for NetCDF 4, or `.csv` for a table with one line a sample, one
        column an element, and the rest of the traces in its first line.

    Raises
    ------
    InvalidTypeError
        If they are not traces.
    DataFileError
        If the ending is another one, or a batch is to be a CSV.
    FileAccessError
        If the file cannot be written.
    """
    check_is_traces(traces)
    check_target(path, TRACE_ENDINGS, "trace")
    suffix = Path(path).suffix.lower()
    if suffix == ".csv" and "batch" in traces.dims:
        raise DataFileError(
            "a batch does not fit into one table",
            where=str(path),
            given=f"{traces.sizes['batch']} sequences",
            expected="traces of one sequence",
            mend="save a NetCDF file (.nc), or one sequence: traces.isel(batch=0)",
        )
    with atomic_write(path) as temporary:
        if suffix == ".csv":
            _write_csv(traces, temporary)
        else:
            temporary.write_bytes(netcdf(traces))


def netcdf(data: xr.Dataset) -> bytes:
    """Return the content of a NetCDF 4 file."""
    # A fill value would turn NaN into a missing number.
    encoding = {name: {"_FillValue": None} for name in data.variables}
    # In memory, because HDF5 cannot close a file on a full disk.
    return bytes(data.to_netcdf(engine="h5netcdf", encoding=encoding))


def load_traces(path: str | os.PathLike[str]) -> xr.Dataset:
    """Load traces that `save_traces` has saved.

    Parameters
    ----------
    path : path
        A `.nc` or `.csv` file.

    Returns
    -------
    Dataset
        The same to the last bit.

    Raises
    ------
    FileAccessError, DataFileError
        If the file cannot be read, or does not hold traces.
    """
    file = existing(path, "the trace file")
    if file.suffix.lower() not in TRACE_ENDINGS:
        raise DataFileError(
            "this is not a kind of trace file",
            where=str(file),
            given=file.suffix or "no ending",
            expected=f"a file of save_traces, {' or '.join(TRACE_ENDINGS)}",
            mend="give the file the ending of its kind",
        )
    try:
        if file.suffix.lower() == ".csv":
            return _read_csv(file)
        with xr.open_dataset(file, engine="h5netcdf", decode_cf=False) as opened:
            traces = opened.load()
        if "time" not in traces.dims or "Ts" not in traces.attrs:
            raise ValueError("there is no time axis, or no sample time")
    except Exception as error:  # h5netcdf and xarray raise many kinds for a damaged file
        raise DataFileError(
            "the file does not hold traces",
            where=str(file),
            given=str(error).splitlines()[0] if str(error) else type(error).__name__,
            expected="a file of save_traces, NetCDF (.nc) or .csv",
            mend="is the file whole? Save the traces again",
        ) from None
    return traces


def _write_csv(traces: xr.Dataset, file: Path) -> None:
    over_time = [str(n) for n, a in traces.data_vars.items() if "time" in a.dims]
    rest = {str(n): a for n, a in traces.data_vars.items() if "time" not in a.dims}
    head = {
        "samples": traces.sizes["time"],
        "attrs": {k: _plain(v) for k, v in traces.attrs.items()},
        "signals": {
            n: [traces[n].dims[1], traces[n].shape[1], str(traces[n].dtype)] for n in over_time
        },
        "finals": {n: [a.dims, str(a.dtype), _plain(a.values)] for n, a in rest.items()},
    }
    names = [f"{n}[{j}]" for n in over_time for j in range(traces[n].shape[1])]
    columns = [traces.time.values[:, None], *(traces[n].values for n in over_time)]
    table = np.concatenate(columns, axis=1)
    with file.open("w", encoding="utf-8") as out:
        out.write(_CSV_MARK + json.dumps(head) + "\n")
        csv.writer(out, lineterminator="\n").writerow(["time", *names])
        np.savetxt(out, table, fmt="%.17g", delimiter=",")


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _read_csv(file: Path) -> xr.Dataset:
    text = file.read_text(encoding="utf-8")
    first, _, rest = text.partition("\n")
    if not first.startswith(_CSV_MARK):
        raise ValueError("the first line is not that of a trace file")
    head = json.loads(first.removeprefix(_CSV_MARK))
    _names, *rows = csv.reader(io.StringIO(rest))
    table = np.array([[float(cell) for cell in row] for row in rows], ndmin=2)
    columns = 1 + sum(width for _, width, _ in head["signals"].values())
    if table.shape != (head["samples"], columns) or not text.endswith("\n"):
        raise ValueError(
            f"{table.shape[0]} samples of {table.shape[1]} columns; it was saved with "
            f"{head['samples']} of {columns}"
        )
    variables: dict[str, Any] = {}
    column = 1
    for name, (dimension, width, dtype) in head["signals"].items():
        variables[name] = (("time", dimension), table[:, column : column + width].astype(dtype))
        column += width
    for name, (dims, dtype, values) in head["finals"].items():
        variables[name] = (tuple(dims), np.array(values, dtype))
    time = ("time", table[:, 0], {"units": "s", "long_name": "time"})
    return xr.Dataset(variables, coords={"time": time}, attrs=head["attrs"])
