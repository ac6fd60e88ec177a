"""C export: compiled by gcc with every warning an error, and run."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmsim as ls
from lstmsim.errors import FileAccessError, InvalidValueError
from tests.random_diagrams import random_diagram
from tests.test_system import bounded_network

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
STRICT = ["-O2", "-Wall", "-Wextra", "-Werror", "-pedantic"]


def gcc(*arguments: Any) -> None:
    done = subprocess.run(
        [str(a) for a in arguments], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr


def library(folder: Path, compiled: Any) -> ctypes.CDLL:
    """Export, and compile as a library."""
    compiled.to_c(folder / "net.c")
    options = ["-std=c99", *STRICT, "-shared", "-fPIC"]
    gcc("gcc", *options, folder / "net.c", "-o", folder / "net.so", "-lm")
    return ctypes.CDLL(str(folder / "net.so"))


def run_c(folder: Path, compiled: Any, u: np.ndarray) -> np.ndarray:
    """Export, compile as a library, and run sample by sample."""
    net = library(folder, compiled)
    real = ctypes.c_float if compiled.dtype == np.float32 else ctypes.c_double
    pointer = ctypes.POINTER(real)
    state = ctypes.create_string_buffer(1_000_000)
    net.net_reset(state)
    u = np.ascontiguousarray(u, compiled.dtype)
    y = np.empty((len(u), compiled.forward(u[:1]).shape[1]), compiled.dtype)
    for k in range(len(u)):
        net.net_step(state, u[k].ctypes.data_as(pointer), y[k].ctypes.data_as(pointer))
    return y


def members(header: Path, real: Any) -> tuple[type[ctypes.Structure], dict[str, str]]:
    """Return the state of an exported file as a structure, and its members by delay."""
    found = re.findall(r"^    \w+ (\w+)\[(\d+)\]; /\* (.+) \*/$", header.read_text(), re.MULTILINE)

    class State(ctypes.Structure):
        _fields_ = [(name, real * int(n)) for name, n, _ in found]

    return State, {delay: name for name, _, delay in found}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_random_networks_in_c_equal_the_single_precision_engine(seed: int, tmp_path: Path) -> None:
    random = np.random.default_rng(seed)
    units = [[1], [3], [20], [2, 5], [7, 1, 4]][seed % 5]
    network = bounded_network(random, units, int(random.integers(1, 6)), seed % 3)
    u = random.normal(size=(10_000, network.n_inputs)).astype(np.float32)
    compiled = ls.compile(ls.build(network), "float32")
    y, expected = run_c(tmp_path, compiled, u), compiled.forward(u)
    worst = np.abs(y - expected) - (1e-6 + 1e-5 * np.abs(expected))
    assert worst.max() <= 0, f"{network}: beyond the tolerance by {worst.max():.2e}"


def test_a_chaotic_network_in_c_agrees_one_step_ahead(chaotic: Any, tmp_path: Path) -> None:
    compiled, expected = ls.compile(chaotic.diagram, "float32"), chaotic.expected
    net = library(tmp_path, compiled)
    State, names = members(tmp_path / "net.h", ctypes.c_float)
    assert set(names) == {"h_prev", "c_prev"}
    u = np.ascontiguousarray(chaotic.u, np.float32)
    y = np.empty(expected.y.shape, np.float32)
    after = {delay: np.empty(expected[delay].shape, np.float32) for delay in names}
    for k in range(len(u)):
        state = State()
        for delay, name in names.items():
            getattr(state, name)[:] = expected[delay].values[k].tolist()
        arguments = (u[k].ctypes.data_as(ctypes.c_void_p), y[k].ctypes.data_as(ctypes.c_void_p))
        net.net_step(ctypes.byref(state), *arguments)
        for delay, name in names.items():
            after[delay][k] = getattr(state, name)[:]
    for found, signal in ((y, "y"), (after["h_prev"], "h"), (after["c_prev"], "c")):
        right = expected[signal].values
        worst = np.abs(found - right) - (1e-6 + 1e-5 * np.abs(right))
        assert worst.max() <= 0, f"{signal} is beyond the tolerance by {worst.max():.2e}"
    free = np.abs(run_c(tmp_path, compiled, u) - expected.y.values).max()
    assert free > 0.1, f"the network is not chaotic: a free run differs by {free:.1e}"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(400, 412))
def test_random_diagrams_in_c_are_exact(seed: int, tmp_path: Path) -> None:
    diagram, u = random_diagram(seed)
    compiled = ls.compile(diagram, engine="numpy")
    np.testing.assert_allclose(run_c(tmp_path, compiled, u), compiled.forward(u), atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ["gcc", "-std=c99", *STRICT],
        ["gcc", "-std=c99", *STRICT, "-fsanitize=address,undefined"],
        ["g++", "-x", "c++", *STRICT],
    ],
    ids=["C99", "sanitizers", "C++"],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_built_in_test_vector_passes_everywhere(
    command: list[str], dtype: str, tmp_path: Path
) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    network, u = ls.published.layer_example()
    ls.compile(ls.build(network), dtype).to_c(tmp_path / "published.c", test=u)
    program = tmp_path / "program"
    gcc(*command, "-DPUBLISHED_MAIN", tmp_path / "published.c", "-o", program, "-lm")
    done = subprocess.run([program], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, "PASS: 0 of 102 numbers differ\n"), done.stderr


def test_a_wrong_number_fails_the_built_in_test(tmp_path: Path) -> None:
    network, u = ls.published.layer_example()
    file = tmp_path / "published.c"
    ls.compile(ls.build(network), "float32").to_c(file, test=u)
    head, tail = file.read_text().split("PUBLISHED_MAIN", 1)
    file.write_text(head.replace("e-01f", "e-02f", 1) + "PUBLISHED_MAIN" + tail)
    gcc("gcc", "-std=c99", "-DPUBLISHED_MAIN", file, "-o", tmp_path / "program", "-lm")
    done = subprocess.run([tmp_path / "program"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout.startswith("FAIL: ")


def test_rounding_of_large_outputs_is_no_failure(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    network = bounded_network(random, [7], 1, 1)
    scaled = ls.Network([network.recurrent[0], ls.Dense(1e4 * random.normal(size=(2, 7)))])
    file, program = tmp_path / "large.c", tmp_path / "program"
    u = random.normal(size=(2000, 1))
    ls.compile(ls.build(scaled), "float32").to_c(file, test=u)
    gcc("gcc", "-std=c99", "-DLARGE_MAIN", file, "-o", program, "-lm")
    done = subprocess.run([program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "PASS: 0 of 4000 numbers differ\n")


@pytest.mark.parametrize("name", ["my net.c", "9.c", "net.cpp", "net"])
def test_a_name_that_c_does_not_have_is_refused(name: str, tmp_path: Path) -> None:
    network, _ = ls.published.layer_example()
    with pytest.raises(InvalidValueError, match="cannot name functions in C"):
        ls.compile(ls.build(network), engine="numpy").to_c(tmp_path / name)


def test_a_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    network, _ = ls.published.layer_example()
    with pytest.raises(FileAccessError):
        ls.compile(ls.build(network), engine="numpy").to_c(tmp_path / "no" / "net.c")
