"""ONNX Runtime: a model of one LSTM node.  It computes no gradients."""

from __future__ import annotations

import numpy as np

from lstmsim.networks import GATES
from lstmsim.reports.bench.peers import Candidate
from lstmsim.reports.bench.problem import Problem

#: ONNX stacks the gates' rows in the order i, o, f, g.
_ORDER = [GATES.index(gate) for gate in "iofg"]


def forward(problem: Problem, threads: int) -> Candidate:
    """Return the outputs' computation by a session of one node."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        _model(problem), options, providers=["CPUExecutionProvider"]
    )
    x = problem.u[:, None, :]
    return Candidate(
        lambda: session.run(None, {"X": x}), lambda found: {"y": np.asarray(found[0])[:, 0, 0]}
    )


def _model(problem: Problem) -> bytes:
    """Return the layer as the bytes of an ONNX model."""
    from onnx import TensorProto, helper, numpy_helper

    layer, u = problem.layer, problem.u
    n = layer.n_units
    rows = np.concatenate([np.arange(n) + n * gate for gate in _ORDER])
    tensors = {
        "W": layer.W[rows],
        "R": layer.R[rows],
        "B": np.concatenate([layer.b[rows], np.zeros(4 * n)]),
    }
    node = helper.make_node("LSTM", ["X", *tensors], ["Y"], hidden_size=n)
    graph = helper.make_graph(
        [node],
        "lstm",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, (len(u), 1, u.shape[1]))],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(v[None].astype(np.float32), k) for k, v in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    return bytes(model.SerializeToString())


WORKS = {"forward": forward}
