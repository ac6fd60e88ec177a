"""What is trained on: sequences, batches, carried states, and data that do not fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lstmsim as ls
from lstmsim.engine.graph import parameters
from lstmsim.errors import DiagramError, InvalidTypeError, InvalidValueError, ShapeError
from tests.conftest import random_input, random_network
from tests.helpers import assert_close, assert_same, refused

NETWORK = random_network(3, inputs=2, outputs=2, seed=3)
U = random_input(NETWORK, 25)
Y = np.stack([np.convolve(U[:, 0], [0.2, 0.5])[:25], np.tanh(U[:, 1])], axis=1)
SHORT = {"epochs": 15, "learning_rate": 0.02}


def loss_of(diagram: Any, u: np.ndarray, y: np.ndarray) -> float:
    return float(np.mean((ls.simulate(diagram, u).y.values - y) ** 2))


def values_of(diagram: Any) -> dict[tuple[str, str], np.ndarray]:
    found = parameters(diagram.blocklist)
    return {(b, n): np.array(a) for b, arrays in found.items() for n, a in arrays.items()}


def two(lengths: tuple[int, int] = (15, 10)) -> tuple[list[np.ndarray], list[np.ndarray]]:
    border = lengths[0]
    return [U[:border], U[border:]], [Y[:border], Y[border:]]


def test_every_sample_of_every_sequence_counts_the_same() -> None:
    u, y = two()
    result = ls.fit(NETWORK, u, y, epochs=1, optimizer="sgd", learning_rate=1.0)
    compiled = ls.compile(ls.build(NETWORK))
    found = [compiled.loss_and_gradient(a, b) for a, b in zip(u, y, strict=True)]
    loss = (15 * found[0][0] + 10 * found[1][0]) / 25
    assert_close(result.history.loss.values, [loss], 1e-14)
    F = (15 * found[0][1]["y"] + 10 * found[1][1]["y"]) / 25
    assert NETWORK.head is not None
    assert_close(NETWORK.head.F - result.parameters["F"], F, 1e-13)


def test_a_batch_is_a_list_of_sequences_of_one_length() -> None:
    rng = np.random.default_rng(0)
    u, y = rng.normal(size=(4, 9, 2)), rng.normal(size=(4, 9, 2))
    a, b = ls.fit(NETWORK, u, y, **SHORT), ls.fit(NETWORK, list(u), list(y), **SHORT)
    assert_same(a.history.loss.values, b.history.loss.values)
    for name in a.trained:
        assert_same(a.parameters[name], b.parameters[name], name)


def test_mini_batches_go_through_all_sequences_in_a_seeded_order() -> None:
    rng = np.random.default_rng(0)
    u = [rng.normal(size=(n, 2)) for n in (5, 8, 5, 6, 8, 5, 7)]
    y = [0.3 * np.cumsum(a, axis=0) for a in u]
    options = {"batch_size": 3, "epochs": 6, "learning_rate": 0.01}
    a = ls.fit(NETWORK, u, y, seed=1, **options)
    assert_same(a.history.loss.values, ls.fit(NETWORK, u, y, seed=1, **options).history.loss.values)
    other = ls.fit(NETWORK, u, y, seed=2, **options)
    assert abs(a.history.loss.values[1:] - other.history.loss.values[1:]).max() > 1e-6
    in_order = ls.fit(NETWORK, u, y, shuffle=False, **options)
    # Without steps to speak of every order has the same mean over all samples.
    still = options | {"learning_rate": 1e-12}
    whole = ls.fit(NETWORK, u, y, epochs=1, learning_rate=1e-12)
    for shuffle in (True, False):
        losses = ls.fit(NETWORK, u, y, shuffle=shuffle, **still).history.loss.values
        assert_close(losses, np.full(6, float(whole.history.loss[0])), 1e-9)
    # Three steps an epoch: by hand, in order.
    diagram = ls.build(NETWORK)
    for chosen in ([0, 1, 2], [3, 4, 5], [6]):
        step = ls.fit(
            diagram, [u[k] for k in chosen], [y[k] for k in chosen],
            epochs=1, learning_rate=0.01, optimizer="sgd",
        )  # fmt: skip
        diagram = step.apply(ls.build(NETWORK))
    plain = options | {"epochs": 1, "optimizer": "sgd", "shuffle": False}
    assert_close(ls.fit(NETWORK, u, y, **plain).blocks["y", "K"], step.blocks["y", "K"], 1e-13)
    assert in_order.epochs == 6


def test_sequences_of_more_lengths_than_objectives_are_kept() -> None:
    rng = np.random.default_rng(3)
    u = [rng.normal(size=(n, 2)) for n in range(1, 25)]
    y = [0.3 * np.cumsum(a, axis=0) for a in u]
    compiled = ls.compile(ls.build(NETWORK), engine="numpy")
    losses = [compiled.loss_and_gradient(a, b)[0] for a, b in zip(u, y, strict=True)]
    expected = np.average(losses, weights=[len(a) for a in u])
    result = ls.fit(NETWORK, u, y, epochs=2, learning_rate=1e-12, engine="numpy")
    assert_close(result.history.loss.values, np.full(2, expected), 1e-9)


def test_states_are_carried_from_sequence_to_sequence() -> None:
    u, y = two()
    whole = ls.fit(NETWORK, U, Y, epochs=1)
    carried = ls.fit(NETWORK, u, y, epochs=1, carry="sequences")
    assert_close(carried.history.loss.values, whole.history.loss.values, 1e-14)
    reset = ls.fit(NETWORK, u, y, epochs=1)
    assert abs(float(reset.history.loss[0] - whole.history.loss[0])) > 1e-4
    # With almost no learning every epoch begins anew, or goes on.
    still = {"epochs": 3, "learning_rate": 1e-12}
    anew = ls.fit(NETWORK, u, y, carry="sequences", **still)
    assert_close(anew.history.loss.values, np.full(3, float(whole.history.loss[0])), 1e-9)
    on = ls.fit(NETWORK, u, y, carry="epochs", **still)
    twice = ls.simulate(ls.build(NETWORK), np.tile(U, (3, 1))).y.values.reshape(3, 25, 2)
    assert_close(on.history.loss.values, np.mean((twice - Y) ** 2, axis=(1, 2)), 1e-9)


def test_carried_states_and_mini_batches_go_in_the_order_of_time() -> None:
    u, y = two((13, 12))
    still = {"epochs": 2, "learning_rate": 1e-12, "carry": "sequences", "shuffle": False}
    result = ls.fit(NETWORK, u, y, batch_size=1, **still)
    assert_close(result.history.loss.values, np.full(2, loss_of(ls.build(NETWORK), U, Y)), 1e-9)


def test_a_diagram_of_several_sources_takes_a_mapping() -> None:
    bd = ls.blockdiagram()
    clock = bd.clock(0.1, name="clock")
    total = bd.SUM("++", name="total")
    for port, name in enumerate(("left", "right")):
        gain = bd.MATRIXGAIN(np.eye(1), name=f"K{name}")
        bd.connect(bd.FROMWORKSPACE(clock, width=1, name=name), gain)
        bd.connect(gain, total[port])
    bd.connect(total, bd.TOWORKSPACE(clock, name="out"))
    inputs = {"left": U[:, :1], "right": U[:, 1:]}
    target = 2 * U[:, :1] - 3 * U[:, 1:]
    result = ls.fit(bd, inputs, target, epochs=400, learning_rate=0.05)
    assert_close(result.parameters["Kleft"], [[2.0]], 1e-4)
    assert_close(result.parameters["Kright"], [[-3.0]], 1e-4)
    both = ls.fit(bd, [inputs, inputs], [target, target], epochs=400, learning_rate=0.05)
    assert_close(both.parameters["Kleft"], result.parameters["Kleft"], 1e-9)


CONSTANT = np.ones((25, 2))
BAD_DATA: dict[str, tuple[Any, Any, type[Exception], tuple[str, ...]]] = {
    "a shorter target": (U, Y[:-1], ShapeError, ("(24, 2)", "(25, 2)", "does not fit the input")),
    "a longer target": (U[:-1], Y, ShapeError, ("(25, 2)", "(24, 2)")),
    "a target that is too wide": (U, U[:, [0, 1, 1]], ShapeError, ("outputs", "(25, 3)")),
    "a target on its side": (U, Y.T, ShapeError, ("transpose",)),
    "an input that is too narrow": (U[:, :1], Y, ShapeError, ("block 'u'", "(25, 1)")),
    "a target with NaN": (U, np.where(Y > 0.5, np.nan, Y), InvalidValueError, ("NaN", "target")),
    "an input with Inf": (np.where(U > 1, np.inf, U), Y, InvalidValueError, ("NaN or Inf",)),
    "no samples": (U[:0], Y[:0], ShapeError, ("at least one sample",)),
    "no sequences": ([], [], ShapeError, ("at least one sample",)),
    "a sequence without a target": ([U, U], [Y], ShapeError, ("2 sequences in, 1 targets",)),
    "an empty sequence": ([U, U[:0]], [Y, Y[:0]], ShapeError, ("at least one sample",)),
    "a sequence that is wrong": ([U, U], [Y, Y[:3]], ShapeError, ("sequence 1",)),
    "a constant target": (U, CONSTANT, InvalidValueError, ("constant_target=True",)),
    "text": (U, [["a", "b"]] * 25, InvalidTypeError, ("text",)),
    "no target": (U, None, InvalidTypeError, ("target",)),
    "no input": (None, Y, InvalidValueError, ("no values",)),
}


@pytest.mark.parametrize("name", BAD_DATA)
def test_data_that_do_not_fit_are_refused(name: str) -> None:
    u, target, kind, words = BAD_DATA[name]
    with refused(kind, *words):
        ls.fit(NETWORK, u, target, epochs=1)


def test_a_constant_target_that_is_meant_is_trained_on() -> None:
    result = ls.fit(NETWORK, U, CONSTANT, constant_target=True, epochs=300, learning_rate=0.02)
    assert result.loss < 0.02 * float(result.history.loss[0])


def test_other_mistakes_are_refused() -> None:
    with refused(InvalidTypeError, "cannot be trained", "Network"):
        ls.fit(ls.compile(ls.build(NETWORK)), U, Y)  # type: ignore[arg-type]
    with refused(InvalidValueError, "patience", "validation"):
        ls.fit(NETWORK, U, Y, patience=3)
    with refused(InvalidTypeError, "validation=(u, y)"):
        ls.fit(NETWORK, U, Y, validation=U)  # type: ignore[arg-type]
    with refused(ShapeError, "the validation data"):
        ls.fit(NETWORK, U, Y, validation=(U, Y[:3]))
    with refused(InvalidValueError, "weight decay", "'Q*'"):
        ls.fit(NETWORK, U, Y, weight_decay=0.1, decayed="Q*")
    bd = ls.blockdiagram()
    clock = bd.clock(0.1, name="clock")
    bd.connect(bd.FROMWORKSPACE(clock, width=1, name="u"), bd.NULL(1, name="end"))
    with refused(DiagramError, "no output", "TOWORKSPACE"):
        ls.fit(bd, U[:, :1], Y[:, :1])
