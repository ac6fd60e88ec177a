"""The compiled engine beside ONNX Runtime and PyTorch, in one process, one thread, float32.

    python benchmarks/engines.py [--units 3 5 32 128 256 512] [--json FILE]

Forward: the outputs of one LSTM layer without a head, all of them ready.  Gradient: the mean
squared error's by all parameters, with parameters that have changed since the last time.
Rounds of all candidates take turns; medians and the ratio to the fastest of the others are
printed.  PyTorch is left out where it is not installed.
"""

from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # before NumPy is imported

import argparse
import importlib.util
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import lstmsim as ls

SIZES = {3: (4, 51), 5: (1, 1000), 32: (8, 1000), 128: (32, 1000), 256: (64, 1000), 512: (64, 1000)}
Work = Callable[[], Any]


def layer(n: int, inputs: int) -> ls.LSTM:
    random = np.random.default_rng(0)
    scale = 1 / np.sqrt(n)
    W, R = random.normal(size=(4 * n, inputs)), random.normal(size=(4 * n, n))
    return ls.LSTM(scale * W, scale * R, random.normal(size=4 * n))


def onnx_forward(definition: ls.LSTM, u: np.ndarray) -> Work:
    import onnx
    import onnxruntime

    n = definition.n_units
    order = np.concatenate([np.arange(n) + n * gate for gate in (0, 3, 1, 2)])
    biases = np.concatenate([definition.b[order], np.zeros(4 * n)])
    tensors = {"W": definition.W[order], "R": definition.R[order], "B": biases}
    node = onnx.helper.make_node("LSTM", ["X", "W", "R", "B"], ["Y"], hidden_size=n)
    kind = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [node],
        "lstm",
        [onnx.helper.make_tensor_value_info("X", kind, (len(u), 1, u.shape[1]))],
        [onnx.helper.make_tensor_value_info("Y", kind, None)],
        [onnx.numpy_helper.from_array(v[None].astype(np.float32), k) for k, v in tensors.items()],
    )
    opset = [onnx.helper.make_opsetid("", 14)]
    model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    x = u[:, None, :]
    return lambda: session.run(None, {"X": x})[0][:, 0, 0]


def torch_work(definition: ls.LSTM, u: np.ndarray) -> tuple[Work, Work]:
    import torch

    torch.set_num_threads(1)
    model = torch.nn.LSTM(u.shape[1], definition.n_units)
    with torch.no_grad():
        values = (definition.W, definition.R, definition.b, np.zeros_like(definition.b))
        for parameter, value in zip(model.parameters(), values, strict=True):
            parameter.copy_(torch.tensor(value))
    x = torch.tensor(u)[:, None, :]
    target = torch.zeros(len(u), 1, definition.n_units)

    def forward() -> Any:
        with torch.no_grad():
            return model(x)[0].numpy()[:, 0]

    def gradient() -> Any:
        model.zero_grad()
        loss = torch.mean((model(x)[0] - target) ** 2)
        loss.backward()
        return model.weight_hh_l0.grad.numpy()

    return forward, gradient


def our_work(definition: ls.LSTM, u: np.ndarray) -> tuple[Work, Work, dict[str, float]]:
    diagram = ls.build(ls.Network([definition]))
    begun = time.perf_counter()
    compiled = ls.compile(diagram, "float32")
    compiled.forward(u)
    first = time.perf_counter() - begun
    target = np.zeros((len(u), definition.n_units), np.float32)
    gain = diagram.blocknames["Ri"]

    def gradient() -> Any:
        gain.K = np.array(gain.K)  # another object: all parameters are packed again
        return compiled.loss_and_gradient(u, target)[1]["Ri"]

    begun = time.perf_counter()
    gradient()
    return (
        lambda: compiled.forward(u),
        gradient,
        {"forward": first, "gradient": time.perf_counter() - begun},
    )


def medians(works: dict[str, Work], seconds: float) -> dict[str, float]:
    """Return the median time of each in seconds; they take turns."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for work in works.values():
        work()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(next(iter(times.values()))) < 5:
        for name, work in works.items():
            begun = time.perf_counter()
            work()
            times[name].append(time.perf_counter() - begun)
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--units", type=int, nargs="*", default=list(SIZES))
    parser.add_argument("--seconds", type=float, default=3.0, help="for each row")
    parser.add_argument("--json", help="write the figures to this file")
    options = parser.parse_args()
    has_torch = importlib.util.find_spec("torch") is not None
    print(
        f"{'work':<10}{'N':>5}{'Ni':>4}{'T':>6}   medians in µs, and the ratio to the fastest other"
    )
    rows = []
    for n in options.units:
        inputs, samples = SIZES.get(n, (8, 1000))
        definition = layer(n, inputs)
        u = np.random.default_rng(1).normal(size=(samples, inputs)).astype(np.float32)
        forward, gradient, first = our_work(definition, u)
        table = {"forward": {"lstmsim": forward, "onnxruntime": onnx_forward(definition, u)}}
        if has_torch:
            torch_forward, torch_gradient = torch_work(definition, u)
            table["forward"]["torch"] = torch_forward
            table["gradient"] = {"lstmsim": gradient, "torch": torch_gradient}
        for work, candidates in table.items():
            values = [np.asarray(candidate()) for candidate in candidates.values()]
            if work == "forward":
                worst = max(float(np.abs(v - values[0]).max()) for v in values[1:])
                assert worst < 1e-5, f"the candidates differ by {worst}"
            found = medians(candidates, options.seconds)
            ratio = found["lstmsim"] / min(t for k, t in found.items() if k != "lstmsim")
            shown = ", ".join(f"{k} {t * 1e6:,.1f}" for k, t in found.items())
            print(
                f"{work:<10}{n:>5}{inputs:>4}{samples:>6}   {shown}: {ratio:.2f}"
                f"   (first use {first[work]:.2f} s)",
                flush=True,
            )
            rows.append({"work": work, "N": n, "Ni": inputs, "T": samples, "ratio": ratio, **found})
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(rows, file, indent=2)


if __name__ == "__main__":
    main()
