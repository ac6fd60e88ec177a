"""PyTorch: `torch.nn.LSTM`, and its backward pass."""

from __future__ import annotations

from typing import Any

import numpy as np

from lstmsim.reports.bench.peers import Candidate
from lstmsim.reports.bench.problem import Problem


def _module(problem: Problem, threads: int) -> tuple[Any, Any]:
    import torch

    torch.set_num_threads(threads)
    layer = problem.layer
    module = torch.nn.LSTM(problem.u.shape[1], layer.n_units)
    with torch.no_grad():
        # It adds two vectors of biases.
        values = (layer.W, layer.R, layer.b, np.zeros_like(layer.b))
        for parameter, value in zip(module.parameters(), values, strict=True):
            parameter.copy_(torch.tensor(value))
    return module, torch.tensor(problem.u)[:, None, :]


def forward(problem: Problem, threads: int) -> Candidate:
    """Return the outputs' computation, without a record for gradients."""
    import torch

    module, x = _module(problem, threads)

    def work() -> Any:
        with torch.inference_mode():
            return module(x)[0]

    return Candidate(work, lambda y: {"y": y.numpy()[:, 0]})


def gradient(problem: Problem, threads: int) -> Candidate:
    """Return loss and gradient by forward and backward."""
    import torch

    module, x = _module(problem, threads)
    target = torch.tensor(problem.target)[:, None, :]

    def work() -> Any:
        module.zero_grad()
        loss = torch.nn.functional.mse_loss(module(x)[0], target)
        loss.backward()
        return loss

    def values(loss: Any) -> dict[str, Any]:
        W, R, b, _ = (parameter.grad.numpy() for parameter in module.parameters())
        return {"loss": loss.detach().numpy(), "W": W, "R": R, "b": b}

    return Candidate(work, values)


WORKS = {"forward": forward, "gradient": gradient}
