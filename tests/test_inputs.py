"""Input files: a table of finite real numbers, one row a sample."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.io import savemat

import lstmsim as ls
from lstmsim.errors import DataFileError, InvalidTypeError, InvalidValueError, ShapeError

TABLE = np.array([[1.0, -2.5], [0.1, 1e-300]])


@pytest.mark.parametrize(
    "content",
    [
        b"1,-2.5\n0.1,1e-300\n",
        b"1,-2.5\n0.1,1e-300",
        b"a,b\n1,-2.5\n0.1,1e-300\n",
        b"speed in m/s,angle in rad\n1,-2.5\n0.1,1e-300\n",
        b'"a","b"\n1,-2.5\n0.1,1e-300\n',
        b"\xef\xbb\xbf1,-2.5\n0.1,1e-300\n",
        b"\xef\xbb\xbfa,b\r\n1,-2.5\r\n0.1,1e-300\r\n",
        b"\n\na,b\n\n1,-2.5\n   \n0.1,1e-300\n\n\n",
        b" 1 , -2.5 \n\t0.1,+1E-300\n",
    ],
)
def test_csv_is_read_with_and_without_a_line_of_names(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "u.csv").write_bytes(content)
    np.testing.assert_array_equal(ls.load_input(tmp_path / "u.csv"), TABLE, strict=True)


def test_csv_of_one_column_is_one_input(tmp_path: Path) -> None:
    (tmp_path / "u.csv").write_text("u\n1\n2\n3\n")
    np.testing.assert_array_equal(ls.load_input(tmp_path / "u.csv"), [[1.0], [2.0], [3.0]])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no line with numbers"),
        (b"\n\n \n", "no line with numbers"),
        (b"a,b\n", "no line with numbers"),
        (b"a,b\n1,2\n3\n", "u.csv, line 3"),
        (b"1,2\n3,4,5\n", "given:    3 columns"),
        (b"1,2\n3,x\n", "given:    'x'"),
        (b"1,2\n3,\n", "given:    ''"),
        (b"1,two\n3,4\n", "given:    'two'"),
        (b"a,b\nc,d\n", "given:    'c'"),
        (b"a;b\n1;2\n", "separated by commas"),
        (b"1,2+3j\n", "given:    '2+3j'"),
        (b"\xff\xfe1,2\n", "codec can't decode"),
    ],
)
def test_csv_that_is_no_table_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "u.csv"
    path.write_bytes(content)
    with pytest.raises(DataFileError) as caught:
        ls.load_input(path)
    assert words in str(caught.value)
    assert f"where:    {path}" in str(caught.value)


def test_underscores_are_no_digits(tmp_path: Path) -> None:
    (tmp_path / "u.csv").write_text("1,2_000\n3,4\n")
    with pytest.raises(DataFileError, match="2_000"):
        ls.load_input(tmp_path / "u.csv")


@given(
    table=arrays(
        "float64",
        array_shapes(min_dims=2, max_dims=2, max_side=6),
        elements=st.floats(allow_nan=False, allow_infinity=False),
    )
)
@settings(deadline=None, max_examples=40)
def test_csv_gives_back_every_bit(
    tmp_path_factory: pytest.TempPathFactory, table: np.ndarray
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_text("".join(",".join(map(repr, row)) + "\n" for row in table.tolist()))
    loaded = ls.load_input(path)
    np.testing.assert_array_equal(loaded, table, strict=True)
    np.testing.assert_array_equal(np.signbit(loaded), np.signbit(table))


@pytest.mark.parametrize("ending", [".npy", ".npz", ".mat", "alone.npz", "alone.mat"])
@pytest.mark.parametrize("vector", [False, True])
def test_arrays_are_read_from_files_of_every_kind(
    tmp_path: Path, ending: str, vector: bool
) -> None:
    path = tmp_path / f"u{ending}"
    u = TABLE[:, 0] if vector else TABLE
    in_file = u.reshape(-1, 1) if vector and path.suffix == ".mat" else u
    arrays = {"x": in_file} if "alone" in ending else {"other": np.zeros(7), "u": in_file}
    if path.suffix == ".npy":
        np.save(path, u)
    elif path.suffix == ".npz":
        np.savez(path, **arrays)
    else:
        savemat(path, arrays)
    expected = u.reshape(-1, 1) if vector else u
    np.testing.assert_array_equal(ls.load_input(path), expected, strict=True)


@pytest.mark.parametrize("dtype", ["float32", "int8", "uint64", "bool", ">f8"])
def test_real_numbers_of_every_type_become_float64(tmp_path: Path, dtype: str) -> None:
    np.save(tmp_path / "u.npy", np.array([[1, 0], [0, 1]], dtype))
    np.testing.assert_array_equal(ls.load_input(tmp_path / "u.npy"), np.eye(2), strict=True)


@pytest.mark.parametrize(
    ("array", "kind", "words"),
    [
        (np.array([1.0, np.nan]), InvalidValueError, "index [1]: nan"),
        (np.array([[1.0, -np.inf]]), InvalidValueError, "index [0, 1]: -inf"),
        (np.zeros((0, 4)), ShapeError, "shape (0, 4)"),
        (np.zeros((4, 0)), ShapeError, "shape (4, 0)"),
        (np.zeros((2, 3, 4)), ShapeError, "shape (2, 3, 4)"),
        (np.array(3.0), ShapeError, "shape ()"),
        (np.array([1j]), InvalidTypeError, "complex numbers"),
        (np.array(["1", "2"]), InvalidTypeError, "text"),
        (np.array([b"1"]), InvalidTypeError, "text"),
        (np.array(["2024-01-01"], "datetime64[D]"), InvalidTypeError, "real numbers"),
    ],
)
def test_what_is_no_table_of_finite_numbers_is_refused(
    tmp_path: Path, array: np.ndarray, kind: type[Exception], words: str
) -> None:
    path = tmp_path / "u.npy"
    np.save(path, array)
    with pytest.raises(kind) as caught:
        ls.load_input(path)
    assert words in str(caught.value)
    assert f"where:    {path}" in str(caught.value)


def test_several_arrays_without_u_are_listed(tmp_path: Path) -> None:
    np.savez(tmp_path / "u.npz", x=TABLE, y=TABLE)
    with pytest.raises(DataFileError, match="does not say which array") as caught:
        ls.load_input(tmp_path / "u.npz")
    assert "arrays x, y" in str(caught.value)


def test_a_file_without_arrays_says_so(tmp_path: Path) -> None:
    np.savez(tmp_path / "u.npz")
    with pytest.raises(DataFileError, match=r"arrays \(none\)"):
        ls.load_input(tmp_path / "u.npz")


@pytest.mark.parametrize("name", ["u.txt", "u.xlsx", "u"])
def test_other_endings_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("1,2\n")
    with pytest.raises(DataFileError, match=r"expected: \.csv, \.npy, \.npz or \.mat"):
        ls.load_input(tmp_path / name)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY\x01\x00", b"hello", b"1,2\n3,4\n"])
def test_a_damaged_npy_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "u.npy").write_bytes(content)
    with pytest.raises(DataFileError, match=r"an \.npy file without pickles"):
        ls.load_input(tmp_path / "u.npy")


def test_a_truncated_npy_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "u.npy"
    np.save(path, np.arange(100.0))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataFileError, match=r"an \.npy file without pickles"):
        ls.load_input(path)


def test_an_npz_under_the_name_of_an_npy_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "u.npy").open("wb") as file:
        np.savez(file, u=TABLE)
    with pytest.raises((DataFileError, InvalidTypeError)):
        ls.load_input(tmp_path / "u.npy")
