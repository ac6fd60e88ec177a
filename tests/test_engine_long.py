"""Long runs: in chunks as in one piece, in bounded memory, and ended by Ctrl-C."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmsim as ls
from lstmsim.engine import engines
from tests.conftest import random_network
from tests.helpers import assert_close
from tests.random_diagrams import random_diagram
from tests.test_engine import assert_same_gradient, assert_same_traces, plainly


def in_chunks_of(samples: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "CHUNK_BYTES", dict.fromkeys(engines.CHUNK_BYTES, 1))
    monkeypatch.setattr(engines, "FEWEST_SAMPLES", samples)


@pytest.mark.parametrize("seed", range(2000, 2030))
def test_random_diagrams_in_chunks_are_one_piece(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    bd, u = random_diagram(seed)
    random = np.random.default_rng(seed)
    whole = plainly(bd)
    widths = {node.block: node.width for node in whole.graph.delays.values()}
    state = {name: random.normal(size=n) for name, n in widths.items()} if seed % 2 else None
    traces, y = whole.run(u, state=state), whole.forward(u, state=state)
    target = random.normal(size=y.shape)
    options = {"state": state, "wrt_input": True}
    loss, gradient = whole.loss_and_gradient(u, target, recompute=False, **options)
    in_chunks_of(1 + seed % 5, monkeypatch)
    parted = plainly(bd)
    assert_same_traces(parted.run(u, state=state), traces, 1e-12)
    assert_close(parted.forward(u, state=state), y, 1e-12, "outputs")
    again, recomputed = parted.loss_and_gradient(u, target, recompute=True, **options)
    assert again == pytest.approx(loss, rel=1e-12)
    assert_same_gradient(recomputed, gradient, 1e-12)


@pytest.mark.parametrize(("dtype", "bound"), [("float64", 1e-12), ("float32", 1e-5)])
def test_signals_computed_twice_give_the_gradient_of_stored_ones(
    dtype: str, bound: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = random_network((5, 4), inputs=3, bias=True, seed=8)
    random = np.random.default_rng(1)
    batch, target = random.normal(size=(3, 100, 3)), random.normal(size=(3, 100, 2))
    state = {"lstm1.c_prev": random.normal(size=(3, 5)), "lstm2.h_prev": np.full((3, 4), 0.5)}
    in_chunks_of(17, monkeypatch)
    compiled = ls.compile(ls.build(network), dtype)
    for u, aim, begun in (
        (batch[0], target[0], None),
        (batch[1], target[1], {name: value[1] for name, value in state.items()}),
        (batch, target, None),
        (batch, target, state),
    ):
        options: dict[str, Any] = {"state": begun, "wrt_input": True}
        loss, stored = compiled.loss_and_gradient(u, aim, recompute=False, **options)
        own, twice = compiled.loss_and_gradient(u, aim, recompute=True, **options)
        assert own == pytest.approx(loss, rel=bound)
        assert_same_gradient(twice, stored, bound)


#: A process that was started in the background ignores Ctrl-C, and hands that on.
LISTENING = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
PREPARED = """
import numpy as np, lstmsim as ls
N, T = {units}, {samples}
random = np.random.default_rng(0)
W, R, b = (random.normal(size=s) / N for s in ((4 * N, 1), (4 * N, N), 4 * N))
network = ls.Network([ls.LSTM(W, R, b), ls.Dense(np.ones((1, N)))])
compiled = ls.compile(ls.build(network), "{dtype}", "{engine}")
u, target = random.normal(size=(T, 1)), random.normal(size=(T, 1))
compiled.forward(u[:20]), compiled.run(u[:20]), compiled.loss_and_gradient(u[:20], target[:20])
print("ready", flush=True)
"""


@pytest.mark.slow
def test_a_gradient_over_a_million_samples_stays_under_two_gibibytes() -> None:
    code = PREPARED.format(units=64, samples=1_000_000, dtype="float32", engine="numba") + (
        "loss, gradient = compiled.loss_and_gradient(u, target)\n"
        "assert np.isfinite(loss) and all(np.isfinite(g).all() for g in gradient.values())\n"
        "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    kibibytes = int(done.stdout.split()[-1])
    assert kibibytes < 2 * 2**20, f"{kibibytes / 2**20:.2f} GiB"


def interrupted(process: subprocess.Popen[str]) -> tuple[float, str, str]:
    """Send Ctrl-C to a process that works; return what it computed until it ended, and said.

    The first is in seconds of a processor, which other work on the machine does not lengthen.
    """
    time.sleep(1.0)
    assert process.poll() is None, process.communicate()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    used = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=100)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    whole = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return whole - used, out, err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("engine", "call"),
    [
        ("numba", "compiled.run(u)"),
        ("numba", "compiled.loss_and_gradient(u, target)"),
        ("numba", "[compiled.forward(u) for _ in range(10**6)]"),
        ("numpy", "compiled.forward(u)"),
    ],
)
def test_ctrl_c_ends_a_long_run_soon(engine: str, call: str) -> None:
    samples = 3_000_000 if engine == "numba" else 100_000
    code = LISTENING + PREPARED.format(units=32, samples=samples, dtype="float64", engine=engine)
    code += f"try:\n    {call}\nexcept KeyboardInterrupt:\n    print('interrupted', flush=True)\n"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        seconds, out, err = interrupted(process)
    assert (process.returncode, out, err) == (0, "interrupted\n", "")
    assert seconds < 2, f"{seconds:.1f} s"


@pytest.mark.slow
def test_ctrl_c_ends_the_command_line_with_one_line(tmp_path: Path) -> None:
    network = random_network(60, inputs=1, outputs=1)
    layer, head = network.recurrent[0], network.head
    assert head is not None
    arrays = {name: getattr(layer, name) for name in ("W", "R", "b", "h0", "c0")}
    np.savez(tmp_path / "w.npz", **arrays, F=head.F, Ts=0.1)
    np.save(tmp_path / "u.npy", np.random.default_rng(0).normal(size=(600_000, 1)))
    arguments = "lstmsim run lstm_layer --workspace w.npz --input u.npy --engine numba --out out.nc"
    code = LISTENING + (
        "import sys; from lstmsim.cli import main; print('ready', flush=True)\n"
        f"sys.argv = {arguments.split()}; main()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        seconds, _, err = interrupted(process)
    assert process.returncode == 130, err
    assert len(err.strip().splitlines()) == 1, err
    assert "Traceback" not in err
    assert sorted(f.name for f in tmp_path.iterdir()) == ["u.npy", "w.npz"]
    assert seconds < 2, f"{seconds:.1f} s"
