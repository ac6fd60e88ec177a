"""Whole networks: bdsim's run, the reference, and an engine that nobody here wrote."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lstmsim as ls
from tests.engines import Simulate


def bounded_network(random: np.random.Generator, units: list[int], Ni: int, No: int) -> ls.Network:
    """Return a network that is never chaotic, with random states: weights N(0, 1)/√N.

    Where the input is wider than the layer, its weights are N(0, 1)/√Ni: with 40 inputs of one
    unit the rounding of the reference's single-precision sums alone is beyond the tolerance.
    """
    layers: list[ls.LSTM | ls.Dense] = []
    width = Ni
    for n in units:
        scale = 1 / np.sqrt(n)
        layers.append(
            ls.LSTM(
                random.normal(size=(4 * n, width)) / np.sqrt(max(n, width)),
                scale * random.normal(size=(4 * n, n)),
                random.normal(size=4 * n),
                h0=np.tanh(random.normal(size=n)),
                c0=random.normal(size=n),
            )
        )
        width = n
    if No:
        bias = random.normal(size=No) if random.random() < 0.5 else None
        layers.append(ls.Dense(random.normal(size=(No, width)) / np.sqrt(width), bias))
    return ls.Network(layers, Ts=float(10 ** random.uniform(-3, 1)))


@pytest.mark.slow
@settings(
    max_examples=200, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
@given(
    seed=st.integers(0, 2**32 - 1),
    units=st.lists(st.integers(1, 40), min_size=1, max_size=3),
    Ni=st.integers(1, 40),
    No=st.integers(0, 40),
    T=st.integers(1, 100),
)
def test_every_signal_of_random_networks_equals_the_reference(
    simulate: Simulate, seed: int, units: list[int], Ni: int, No: int, T: int
) -> None:
    random = np.random.default_rng(seed)
    network = bounded_network(random, units, Ni, No)
    u = random.normal(size=(T, Ni))
    traces = simulate(ls.build(network), u)
    double = ls.check(traces, ls.reference(network, u), atol=1e-12, rtol=1e-12)
    assert double.ok, f"{network}\n{double}"
    single = ls.check(traces, ls.reference(network, u, dtype="float32"))
    assert single.ok, f"{network}\n{single}"


def onnx_outputs(network: ls.Network, u: np.ndarray) -> dict[str, np.ndarray]:
    """Run the network's layers in ONNX Runtime, whose gates are stacked i, o, f, c."""
    onnx, onnxruntime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    outputs = {}
    signal = u[:, None, :].astype(np.float32)
    for layer in network.recurrent:
        n = layer.n_units
        order = np.concatenate([np.arange(n) + n * gate for gate in (0, 3, 1, 2)])
        # One direction, the first axis; its second bias (of the recurrent weights) is zero.
        tensors = {
            "W": layer.W[order][None],
            "R": layer.R[order][None],
            "B": np.concatenate([layer.b[order], np.zeros(4 * n)])[None],
            "initial_h": layer.h0[None, None],
            "initial_c": layer.c0[None, None],
        }
        node = onnx.helper.make_node(
            "LSTM", ["X", "W", "R", "B", "", "initial_h", "initial_c"], ["Y"], hidden_size=n
        )
        graph = onnx.helper.make_graph(
            [node],
            "lstm",
            [onnx.helper.make_tensor_value_info("X", onnx.TensorProto.FLOAT, signal.shape)],
            [onnx.helper.make_tensor_value_info("Y", onnx.TensorProto.FLOAT, None)],
            [onnx.numpy_helper.from_array(v.astype(np.float32), k) for k, v in tensors.items()],
        )
        opset = [onnx.helper.make_opsetid("", 14)]
        model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=8)
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        signal = session.run(None, {"X": signal})[0][:, 0]
        prefix = f"{layer.name}." if len(network.recurrent) > 1 else ""
        outputs[f"{prefix}h"] = signal[:, 0]
    return outputs


@pytest.mark.parametrize("seed", range(20))
def test_onnx_runtime_agrees_with_the_reference(seed: int) -> None:
    random = np.random.default_rng(seed)
    units = [[1], [3], [40], [2, 5], [17, 1, 9]][seed % 5]
    Ni = 1 if seed < 5 else int(random.integers(1, 20))
    network = bounded_network(random, units, Ni, 0)
    u = random.normal(size=(1 if seed == 10 else 60, Ni))
    expected = ls.reference(network, u)
    for name, values in onnx_outputs(network, u).items():
        error = float(np.abs(values - expected[name].values).max())
        assert error < 1e-6, f"{network}: {name} differs by {error:.2e}"


@pytest.mark.slow
def test_a_long_run_is_still_exact(simulate: Simulate) -> None:
    network, _ = ls.published.layer_example()
    u = ls.published.MatlabRandom(2).randn(5000, 4)
    report = ls.check(simulate(ls.build(network), u), ls.reference(network, u), atol=1e-12)
    assert report.ok, str(report)
