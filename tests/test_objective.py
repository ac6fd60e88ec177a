"""The loss as a function of one flat vector: what an optimizer calls."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lstmsim as ls
from lstmsim.engine.graph import parameters
from lstmsim.engine.objective import Objective
from tests.conftest import random_input, random_network
from tests.helpers import assert_close, assert_same
from tests.random_diagrams import random_diagram

ENGINES = ("numba", "numpy")
rng = np.random.default_rng(5)


def objective(
    diagram: Any, u: np.ndarray, target: np.ndarray, engine: str = "numba", **rest: Any
) -> Objective:
    compiled = ls.compile(diagram, rest.pop("dtype", "float64"), engine)
    return Objective(compiled, {"u": u}, target, **rest)


def target_of(diagram: Any, u: np.ndarray, seed: int = 0) -> np.ndarray:
    shape = ls.compile(diagram, engine="numpy").forward(u).shape
    return np.random.default_rng(seed).normal(size=shape)


def differences(found: Objective, values: np.ndarray, which: np.ndarray, state: Any = None) -> Any:
    """Return central differences of the loss by some of the values."""
    quotients = []
    for k in which:
        shift = np.zeros_like(values)
        shift[k] = 1e-6
        above, below = found.loss(values + shift, state), found.loss(values - shift, state)
        quotients.append((above - below) / 2e-6)
    return np.array(quotients)


@pytest.mark.parametrize("seed", range(12))
def test_it_is_the_loss_and_gradient_of_the_compiled_diagram(seed: int) -> None:
    diagram, u = random_diagram(seed)
    target = target_of(diagram, u)
    loss, gradient = ls.compile(diagram, engine="numpy").loss_and_gradient(u, target)
    # One engine is enough for a kernel of each of many diagrams, which has to be compiled.
    found = objective(diagram, u, target, "numpy" if seed else "numba")
    value, flat = found(found.initial())
    assert_close(value, loss, 1e-12, "loss")
    assert_close(found.loss(found.initial()), loss, 1e-12, "loss alone")
    assert sum(np.prod(p.shape, dtype=int) for p in found.layout.values()) == len(flat)
    for (block, _), place in found.layout.items():
        assert_close(flat[place.slice].reshape(place.shape), gradient[block], 1e-12, block)


@pytest.mark.parametrize("engine", ENGINES)
def test_its_gradient_is_that_of_central_differences_anywhere(engine: str) -> None:
    network = random_network(3, inputs=2, outputs=2, bias=True, seed=2)
    u = random_input(network, 12)
    found = objective(ls.build(network), u, rng.normal(size=(12, 2)), engine)
    values = found.initial()
    values += 0.1 * rng.normal(size=values.shape)
    _, gradient = found(values)
    assert_close(gradient, differences(found, values, np.arange(len(values))), 1e-8, "gradient")


def test_the_diagram_is_not_written_to() -> None:
    network = random_network(2)
    diagram = ls.build(network)
    before = parameters(diagram.blocklist)
    kept = {(b, n): np.array(a) for b, arrays in before.items() for n, a in arrays.items()}
    found = objective(diagram, random_input(network, 5), rng.normal(size=(5, 2)))
    for _ in range(3):
        found(rng.normal(size=len(found.initial())))
    after = parameters(diagram.blocklist)
    for (block, name), array in kept.items():
        assert after[block][name] is before[block][name]
        assert_same(after[block][name], array, block)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_batch_is_the_mean_of_its_sequences(engine: str) -> None:
    network = random_network(3, seed=1)
    diagram = ls.build(network)
    u, target = rng.normal(size=(3, 7, 2)), rng.normal(size=(3, 7, 2))
    batch = objective(diagram, u, target, engine)
    loss, gradient = batch(batch.initial())
    finals = batch.final_states["c_prev"]
    losses, gradients = [], []
    one = objective(diagram, u[0], target[0], engine)
    for k in range(3):
        one.bind({"u": u[k]}, target[k])
        value, part = one(one.initial())
        losses.append(value)
        gradients.append(part.copy())
        assert_close(finals[k], one.final_states["c_prev"], 1e-14, "final state")
    assert_close(loss, np.mean(losses), 1e-14, "loss")
    assert_close(gradient, np.mean(gradients, axis=0), 1e-13, "gradient")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_given_state_is_begun_with_and_the_initial_value_has_no_part_in_it(engine: str) -> None:
    network = random_network(3, seed=6)
    diagram = ls.build(network)
    u, target = rng.normal(size=(8, 2)), rng.normal(size=(8, 2))
    whole = objective(diagram, u, target, engine)
    first = objective(diagram, u[:5], target[:5], engine)
    last = objective(diagram, u[5:], target[5:], engine)
    values = whole.initial()
    begun = first(values)[0]
    state = dict(first.final_states)
    ended, gradient = last(values, state)
    assert_close((5 * begun + 3 * ended) / 8, whole(values)[0], 1e-14, "loss")
    assert_close(last.loss(values, state), ended, 1e-15, "loss alone")
    assert_close(gradient, differences(last, values, np.arange(len(values)), state), 1e-8)
    for name in ("h_prev", "c_prev"):
        assert not gradient[last.layout[name, "x0"].slice].any()
    # And what was given is forgotten by the next call.
    assert_close(last.loss(values), objective(diagram, u[5:], target[5:], engine)(values)[0], 0)


@pytest.mark.parametrize("engine", ENGINES)
def test_half_the_mean_squared_error_is_half_of_it(engine: str) -> None:
    network = random_network(2)
    u, target = random_input(network, 5), rng.normal(size=(5, 2))
    whole = objective(ls.build(network), u, target, engine)
    half = objective(ls.build(network), u, target, engine, loss="half_mse")
    (a, da), (b, db) = whole(whole.initial()), half(half.initial())
    assert_close(2 * b, a, 1e-15, "loss")
    assert_close(2 * db, da, 1e-15, "gradient")


def test_it_computes_in_the_precision_of_the_compiled_diagram() -> None:
    network = random_network(4)
    u, target = random_input(network, 30), rng.normal(size=(30, 2))
    double = objective(ls.build(network), u, target)
    single = objective(ls.build(network), u, target, dtype="float32")
    assert single.initial().dtype == np.float32
    loss, gradient = single(single.initial())
    assert gradient.dtype == np.float32
    assert_close(loss, double(double.initial())[0], 1e-6, "loss")
    assert_close(gradient.astype(float), double(double.initial())[1], 1e-5, "gradient")
