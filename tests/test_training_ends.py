"""Reasons to stop: early stopping and divergence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lstmsim as ls
from lstmsim.engine.graph import parameters
from lstmsim.errors import NonFiniteSignalError
from tests.conftest import random_input, random_network
from tests.helpers import assert_close, refused

NETWORK = random_network(3, inputs=2, outputs=2, seed=3)
U = random_input(NETWORK, 25)
Y = np.stack([np.convolve(U[:, 0], [0.2, 0.5])[:25], np.tanh(U[:, 1])], axis=1)
SHORT = {"epochs": 15, "learning_rate": 0.02}


def loss_of(diagram: Any, u: np.ndarray, y: np.ndarray) -> float:
    return float(np.mean((ls.simulate(diagram, u).y.values - y) ** 2))


def values_of(diagram: Any) -> dict[tuple[str, str], np.ndarray]:
    found = parameters(diagram.blocklist)
    return {(b, n): np.array(a) for b, arrays in found.items() for n, a in arrays.items()}


def test_early_stopping_returns_the_arrays_that_were_best_on_the_validation_data() -> None:
    rng = np.random.default_rng(6)
    noisy = Y[:12] + 0.5 * rng.normal(size=(12, 2))
    result = ls.fit(
        NETWORK, U[:12], noisy, validation=(U[12:], Y[12:]), patience=20, epochs=5000,
        learning_rate=0.02,
    )  # fmt: skip
    losses = result.history.validation_loss.values
    assert result.reason == "patience"
    assert result.best_epoch == int(np.argmin(losses)) + 1 == result.epochs - 20
    assert result.validation_loss == losses.min()
    assert result.network is not None
    assert_close(loss_of(ls.build(result.network), U[12:], Y[12:]), losses.min(), 1e-13)
    assert result.loss > float(result.history.loss[-1])  # it went on to fall on the training data
    assert "patience" in result.to_json()


def test_arrays_that_nothing_improves_are_returned_as_they_were() -> None:
    perfect = ls.simulate(ls.build(NETWORK), U).y.values
    result = ls.fit(NETWORK, U, Y, validation=(U, perfect), patience=3, epochs=50)
    assert (result.reason, result.best_epoch, result.epochs) == ("patience", 0, 3)
    assert result.network == NETWORK


def test_divergence_keeps_the_last_good_arrays_and_says_what_to_change() -> None:
    with pytest.warns(UserWarning, match="smaller learning rate than 1e") as caught:
        result = ls.fit(NETWORK, U, Y, optimizer="sgd", learning_rate=1e155, epochs=50)
    assert result.reason == "diverged"
    assert np.isfinite(result.loss)
    assert "clip" in result.message
    assert result.message in " ".join(str(result).split())
    assert str(caught[0].message) == result.message
    assert caught[0].filename == __file__
    for array in result.parameters.values():
        assert np.isfinite(array).all()


def test_a_loss_beyond_the_bound_is_divergence() -> None:
    first = loss_of(ls.build(NETWORK), U, Y)
    with pytest.warns(UserWarning, match="diverged after 1 epoch:"):
        result = ls.fit(NETWORK, U, Y, optimizer="sgd", learning_rate=1e3, max_loss=2 * first)
    assert (result.reason, result.loss <= 2 * first) == ("diverged", True)
    assert (result.history.loss <= 2 * first).all()
    assert result.best_epoch == result.epochs - 1
    with refused(NonFiniteSignalError, "where it begins"):
        ls.fit(NETWORK, U, Y, max_loss=first / 2)


def test_the_last_step_of_all_is_looked_at_too() -> None:
    with pytest.warns(UserWarning, match="diverged after 1 epoch:"):
        result = ls.fit(NETWORK, U, Y, optimizer="sgd", learning_rate=1e200, epochs=1)
    assert (result.reason, result.best_epoch) == ("diverged", 0)
    assert result.network == NETWORK


def test_an_overflow_before_training_names_the_block() -> None:
    bd = ls.blockdiagram()
    clock = bd.clock(0.1, name="clock")
    total = bd.SUM("++", name="total")
    delay, gain = bd.UNITDELAY(clock, 0.0, name="z"), bd.MATRIXGAIN(1e30, name="gain")
    bd.connect(bd.FROMWORKSPACE(clock, width=1, name="u"), total[0])
    bd.connect(gain, total[1])
    bd.connect(total, delay)
    bd.connect(delay, gain)
    bd.connect(total, bd.TOWORKSPACE(clock, name="out"))
    with refused(NonFiniteSignalError, "gain", "sample 11"):
        ls.fit(bd, U[:, :1], Y[:, :1])
    network = ls.Network([NETWORK.recurrent[0], ls.Dense(np.full((2, 3), 1e200))], Ts=0.1)
    with refused(NonFiniteSignalError, "where it begins"):  # the loss overflows, but no signal
        ls.fit(network, U, Y)
