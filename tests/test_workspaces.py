"""Workspaces and inputs are read from files as they are meant, or refused by name."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt
import pytest
from scipy.io import savemat

import lstmsim as ls
from lstmsim.errors import (
    DataFileError,
    FileAccessError,
    InvalidTypeError,
    InvalidValueError,
    ShapeError,
)
from tests.conftest import Case, random_input, random_network, workspace_of
from tests.helpers import assert_same, refused

Arrays = dict[str, npt.NDArray[np.float64]]


def matlab_73(path: Path) -> None:
    """Write what MATLAB's ``save(file, '-v7.3')`` writes: HDF5 behind a header of 512 bytes."""
    with h5py.File(path, "w", userblock_size=512) as file:
        file["W"] = np.ones((4, 12))
    header = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM"
    with path.open("r+b") as file:
        file.write(header)


class CodeInAPickle:
    """An object whose pickle makes a file when it is read."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, int]]:
        return os.open, (str(self.proof), os.O_CREAT)


def as_matlab_saves(arrays: Arrays) -> Arrays:
    """Return arrays with the shapes they have in MATLAB: columns, and Ts (1, 1)."""
    return {
        name: np.atleast_2d(np.asarray(a).reshape(-1, 1) if np.ndim(a) < 2 else a)
        for name, a in arrays.items()
    }


@pytest.mark.parametrize("units", [1, 3])
@pytest.mark.parametrize("inputs", [1, 4])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("ending", [".npz", ".mat"])
def test_files_of_either_kind_make_the_same_network(
    tmp_path: Path, units: int, inputs: int, bias: bool, ending: str
) -> None:
    network = random_network(units, inputs=inputs, outputs=1, bias=bias)
    arrays = workspace_of(network)
    path = tmp_path / f"workspace{ending}"
    if ending == ".mat":
        savemat(path, as_matlab_saves(arrays))
    else:
        np.savez(path, **arrays)
    assert ls.network_from_workspace(ls.load_workspace(path)) == network


@pytest.mark.parametrize("inputs", [1, 3])
def test_a_matlab_workspace_runs_a_model_file(tmp_path: Path, inputs: int) -> None:
    network = random_network(1, inputs=inputs, outputs=1)
    u = random_input(network, 5)
    path = tmp_path / "workspace.mat"
    savemat(path, as_matlab_saves(workspace_of(network)) | {"u": u})
    traces = ls.simulate(ls.load(ls.model_path("lstm_layer"), ls.load_workspace(path)))
    expected = ls.reference(network, u)
    error = float(np.abs(traces.y.values - expected.y.values).max())
    assert error < 1e-14, error
    assert traces.attrs["Ts"] == 0.1


def test_matlab_row_vectors_are_vectors(tmp_path: Path) -> None:
    network = random_network(3)
    arrays = workspace_of(network)
    rows = {name: arrays[name].reshape(1, -1) for name in ("b", "h0", "c0")}
    savemat(tmp_path / "rows.mat", arrays | rows)
    assert ls.network_from_workspace(ls.load_workspace(tmp_path / "rows.mat")) == network


def test_the_arrays_of_a_file_are_as_they_were_saved(tmp_path: Path, published: Case) -> None:
    arrays = ls.published.layer_workspace()
    np.savez(tmp_path / "w.npz", **arrays)  # type: ignore[arg-type]
    loaded = ls.load_workspace(tmp_path / "w.npz")
    assert list(loaded) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(loaded[name], array, strict=True)
    assert ls.network_from_workspace(loaded) == published.network


@pytest.mark.parametrize("how", ["savez", "savez of objects"])
def test_pickles_in_a_workspace_are_refused_and_not_run(tmp_path: Path, how: str) -> None:
    proof, path = tmp_path / "proof", tmp_path / "w.npz"
    arrays = {"W": np.array([CodeInAPickle(proof)], dtype=object)}
    if how == "savez":
        arrays["R"] = np.ones((12, 3))
    np.savez(path, **arrays)  # type: ignore[arg-type]
    with pytest.raises(DataFileError) as caught:
        ls.load_workspace(path)
    assert "a pickle can run any code when it is read" in str(caught.value)
    assert str(path) in str(caught.value)
    assert not proof.exists()
    np.load(path, allow_pickle=True)["W"]
    assert proof.exists(), "the pickle would not have done anything anyway"


@pytest.mark.parametrize("whole_file", [False, True])
def test_a_pickled_input_is_refused_and_not_run(tmp_path: Path, whole_file: bool) -> None:
    proof, path = tmp_path / "proof", tmp_path / "u.npy"
    if whole_file:
        path.write_bytes(np.array(CodeInAPickle(proof), dtype=object).dumps())
    else:
        np.save(path, np.array([CodeInAPickle(proof)], dtype=object), allow_pickle=True)
    with pytest.raises(DataFileError, match="without pickles"):
        ls.load_input(path)
    assert not proof.exists()


def truncated_npz(path: Path) -> None:
    np.savez(path, W=np.arange(100.0))
    path.write_bytes(path.read_bytes()[:500])


def damaged_npz(path: Path) -> None:
    np.savez(path, W=np.arange(100.0))
    whole = bytearray(path.read_bytes())
    whole[400] ^= 0xFF
    path.write_bytes(whole)


def one_array_npz(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.ones(3))


def truncated_mat(path: Path) -> None:
    savemat(path, {"W": np.arange(100.0)})
    path.write_bytes(path.read_bytes()[:300])


def text(path: Path) -> None:
    path.write_text("W = [1 2; 3 4];\n" * 20)


def empty(path: Path) -> None:
    path.touch()


@pytest.mark.parametrize(
    ("name", "write", "words"),
    [
        ("truncated.npz", truncated_npz, "an .npz file"),
        ("damaged.npz", damaged_npz, "an .npz file"),
        ("array.npz", one_array_npz, "an .npz file"),
        ("text.npz", text, "expected:"),
        ("empty.npz", empty, "an .npz file"),
        ("truncated.mat", truncated_mat, "version 7 or older"),
        ("text.mat", text, "version 7 or older"),
        ("empty.mat", empty, "version 7 or older"),
        ("new.mat", matlab_73, "-v7'"),
        ("w.csv", text, "expected: .npz or .mat"),
        ("w", text, "given:    no ending"),
    ],
)
def test_what_is_no_workspace_is_refused_by_name(
    tmp_path: Path, name: str, write: Callable[[Path], None], words: str
) -> None:
    path = tmp_path / name
    write(path)
    with pytest.raises(DataFileError) as caught:
        ls.load_workspace(path)
    message = str(caught.value)
    assert f"where:    {path}" in message
    assert words in message
    assert "to mend:" in message
    assert len(message.splitlines()) == 5, message


def test_no_message_advises_to_load_pickles(tmp_path: Path) -> None:
    text(tmp_path / "text.npz")
    with pytest.raises(DataFileError) as caught:
        ls.load_workspace(tmp_path / "text.npz")
    assert "allow_pickle" not in str(caught.value)


def test_matlab_7_3_says_how_to_save_an_older_version(tmp_path: Path) -> None:
    matlab_73(tmp_path / "new.mat")
    with pytest.raises(DataFileError) as caught:
        ls.load_workspace(tmp_path / "new.mat")
    assert "MATLAB files of version 7.3 cannot be read" in str(caught.value)
    assert "save(file, 'W', 'R', ..., '-v7')" in str(caught.value)


@pytest.mark.parametrize("read", [ls.load_workspace, ls.load_input])
@pytest.mark.parametrize("name", ["none.npz", "none.mat", "none"])
def test_a_missing_file_is_named(tmp_path: Path, read: Callable[[Path], object], name: str) -> None:
    with pytest.raises(FileAccessError, match="No such file or directory") as caught:
        read(tmp_path / name)
    assert f"where:    {tmp_path / name}" in str(caught.value)


def test_a_stack_is_made_of_numbered_arrays(stacked: Case) -> None:
    arrays = workspace_of(stacked.network)
    assert {"W1", "R1", "b1", "h01", "c01", "W2", "F", "bF"} < set(arrays)
    network = ls.network_from_workspace(arrays)
    assert network == stacked.network
    assert [layer.name for layer in network.recurrent] == ["lstm1", "lstm2"]


def test_a_stack_of_one_layer_is_one_layer() -> None:
    network = random_network(3)
    arrays = workspace_of(network)
    numbered = {f"{n}1": arrays.pop(n) for n in ("W", "R", "b", "h0", "c0")}
    assert ls.network_from_workspace(numbered | arrays) == network


def test_names_that_no_network_has_are_passed_over(published: Case) -> None:
    arrays = ls.published.layer_workspace() | {"comment": np.array("by hand")}
    assert ls.network_from_workspace(arrays) == published.network


@pytest.mark.parametrize(
    ("lacking", "expected"),
    [
        (["R"], "R"),
        (["Ts"], "Ts"),
        (["h0", "c0"], "h0, c0"),
        (["W"], "W"),
        (["W", "R", "b", "h0", "c0", "F", "Ts", "u"], "W, R, b, h0, c0, Ts"),
    ],
)
def test_missing_names_are_listed(lacking: list[str], expected: str) -> None:
    arrays = {k: v for k, v in ls.published.layer_workspace().items() if k not in lacking}
    with pytest.raises(InvalidValueError, match="lacks names") as caught:
        ls.network_from_workspace(arrays)
    assert f"expected: {expected}" in str(caught.value)
    assert f"given:    names {', '.join(sorted(arrays)) or '(none)'}" in str(caught.value)


def test_missing_names_of_a_stack_are_listed(stacked: Case) -> None:
    arrays = workspace_of(stacked.network)
    del arrays["b2"], arrays["c01"]
    with pytest.raises(InvalidValueError, match="expected: c01, b2"):
        ls.network_from_workspace(arrays)


def test_a_gap_in_a_stack_s_numbers_is_refused() -> None:
    arrays = workspace_of(random_network((2, 2, 2), outputs=None))
    for name in ("W2", "R2", "b2", "h02", "c02"):
        del arrays[name]
    with pytest.raises(InvalidValueError):
        ls.network_from_workspace(arrays)


def test_a_bias_without_its_gain_is_refused() -> None:
    arrays = workspace_of(random_network(2, bias=True))
    del arrays["F"]
    with pytest.raises(InvalidValueError, match="bF"):
        ls.network_from_workspace(arrays)


def test_one_layer_and_a_stack_in_one_workspace_are_refused(stacked: Case) -> None:
    arrays = workspace_of(stacked.network) | ls.published.layer_workspace()
    with pytest.raises(InvalidValueError, match="one layer and of a stack") as caught:
        ls.network_from_workspace(arrays)
    assert "given:    W and W1" in str(caught.value)


@pytest.mark.parametrize("workspace", [None, [1, 2], "w.npz"])
def test_a_workspace_is_a_mapping(workspace: object) -> None:
    with pytest.raises(InvalidTypeError, match="not a mapping"):
        ls.network_from_workspace(workspace)  # type: ignore[arg-type]


@pytest.mark.parametrize("Ts", [0.0, -0.1, [0.1, 0.2], np.nan, np.inf])
def test_a_sample_time_that_is_not_positive_is_refused(Ts: object) -> None:
    with pytest.raises(InvalidValueError, match="Ts"):
        ls.network_from_workspace(ls.published.layer_workspace() | {"Ts": np.array(Ts)})


@pytest.mark.parametrize(
    ("name", "array", "words"),
    [
        ("W", np.ones((10, 4)), "divisible by 4"),
        ("R", np.ones((12, 4)), "16 gate rows"),
        ("b", np.ones(8), "12 rows in b"),
        ("h0", np.ones(4), "3 rows in h0"),
        ("F", np.ones((2, 4)), "do not chain"),
        ("F", np.ones(3), "not a matrix"),
        ("bF", np.ones(3), "one a row of F"),
    ],
)
def test_shapes_that_do_not_chain_are_refused(
    name: str, array: npt.NDArray[np.float64], words: str
) -> None:
    with pytest.raises(ShapeError, match=words):
        ls.network_from_workspace(ls.published.layer_workspace() | {name: array})


@pytest.mark.parametrize("ending", [".npz", ".mat"])
def test_a_workspace_that_was_saved_is_read_again(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"mine{ending}"
    rng = np.random.default_rng(0)
    workspace = {"W": rng.normal(size=(4, 3)), "b": rng.normal(size=4), "Ts": 0.1, "n": [1, 2]}
    ls.save_workspace(workspace, path)
    back = ls.load_workspace(path)
    assert list(back) == list(workspace)
    for name, value in workspace.items():
        assert_same(back[name].reshape(np.shape(value)), np.asarray(value, float), name)
    if ending == ".mat":
        assert back["b"].shape == (4, 1)


def test_a_workspace_that_cannot_be_saved_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with refused(DataFileError, ".npz or .mat"):
        ls.save_workspace({"W": 1.0}, tmp_path / "mine.csv")
    with refused(InvalidTypeError, "text"):
        ls.save_workspace({"W": "one"}, tmp_path / "mine.npz")
    with refused(InvalidTypeError, "mapping"):
        ls.save_workspace([1.0], tmp_path / "mine.npz")  # type: ignore[arg-type]
    with refused(FileAccessError, "nowhere"):
        ls.save_workspace({"W": 1.0}, tmp_path / "nowhere" / "mine.npz")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("units", [3, (3, 2)])
@pytest.mark.parametrize("ending", [".npz", ".mat"])
def test_the_workspace_of_a_network_makes_it_again(
    tmp_path: Path, units: int | tuple[int, ...], ending: str
) -> None:
    network = random_network(units, bias=True)
    ls.save_workspace(network, tmp_path / f"mine{ending}")
    assert ls.network_from_workspace(ls.load_workspace(tmp_path / f"mine{ending}")) == network


@pytest.mark.parametrize("ending", [".npz", ".mat"])
def test_a_workspace_says_the_kind_of_its_layers(tmp_path: Path, ending: str) -> None:
    network = random_network(3)
    assert "kind" not in network.workspace()  # LSTM where it is missing
    ls.save_workspace(network.workspace() | {"kind": "LSTM"}, tmp_path / f"mine{ending}")
    said = ls.load_workspace(tmp_path / f"mine{ending}")
    assert said["kind"] == "LSTM"
    assert ls.network_from_workspace(said) == network
    diagram = ls.load("lstm_layer", said)
    assert len(diagram) == 30


@pytest.mark.parametrize("kind", ["GRU", np.array(["lstm"]), 3, ["LSTM", "LSTM"]])
def test_a_kind_that_there_is_not_is_refused(kind: object) -> None:
    with refused(InvalidValueError, "no layer of this kind", "the workspace", "expected: LSTM"):
        ls.network_from_workspace(random_network(2).workspace() | {"kind": kind})
    stack = random_network((2, 2)).workspace()
    assert ls.network_from_workspace(stack | {"kind2": "LSTM"}) == random_network((2, 2))
    with refused(InvalidValueError, "no layer of this kind"):
        ls.network_from_workspace(stack | {"kind2": kind})
