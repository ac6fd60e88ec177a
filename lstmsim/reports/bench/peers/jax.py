"""JAX: the equations in a `lax.scan`, compiled by `jit`, differentiated by `value_and_grad`."""

from __future__ import annotations

from typing import Any

import numpy as np

from lstmsim.reports.bench.peers import Candidate
from lstmsim.reports.bench.problem import Problem


def _outputs(parameters: dict[str, Any], u: Any) -> Any:
    """Return the outputs; all samples' input products are computed at once."""
    import jax
    from jax import numpy as jnp

    sums = u @ parameters["W"].T + parameters["b"]
    R = parameters["R"]

    def step(state: Any, own: Any) -> Any:
        h, c = state
        i, f, g, o = jnp.split(own + R @ h, 4)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    zeros = jnp.zeros(R.shape[1], u.dtype)
    return jax.lax.scan(step, (zeros, zeros), sums)[1]


def _arrays(problem: Problem) -> tuple[dict[str, Any], Any, Any]:
    from jax import numpy as jnp

    layer = problem.layer
    parameters = {k: jnp.asarray(getattr(layer, k), jnp.float32) for k in ("W", "R", "b")}
    return parameters, jnp.asarray(problem.u), jnp.asarray(problem.target)


def forward(problem: Problem, threads: int) -> Candidate:
    """Return the outputs' computation; parameters are arguments, as they are in training."""
    import jax

    parameters, u, _ = _arrays(problem)
    compiled = jax.jit(_outputs)
    return Candidate(
        lambda: compiled(parameters, u).block_until_ready(), lambda y: {"y": np.asarray(y)}
    )


def gradient(problem: Problem, threads: int) -> Candidate:
    """Return the computation of loss and gradient."""
    import jax
    from jax import numpy as jnp

    arguments = _arrays(problem)

    def loss(parameters: Any, u: Any, target: Any) -> Any:
        return jnp.mean((_outputs(parameters, u) - target) ** 2)

    compiled = jax.jit(jax.value_and_grad(loss))

    def values(found: Any) -> dict[str, Any]:
        value, by = found
        return {"loss": np.asarray(value), **{k: np.asarray(v) for k, v in by.items()}}

    return Candidate(lambda: jax.block_until_ready(compiled(*arguments)), values)


WORKS = {"forward": forward, "gradient": gradient}
