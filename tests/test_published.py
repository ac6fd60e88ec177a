"""The published example: its random stream and its printed figures."""

from __future__ import annotations

import numpy as np
import pytest

import lstmsim as ls
from lstmsim.errors import InvalidValueError
from lstmsim.published.random import MatlabRandom
from tests.engines import Simulate


def test_rand_gives_the_published_numbers() -> None:
    np.testing.assert_array_equal(
        MatlabRandom(0).rand(3).round(15), [0.814723686393179, 0.905791937075619, 0.126986816293506]
    )


def test_randn_gives_the_published_numbers() -> None:
    published = [
        0.537667139546100,
        1.833885014595087,
        -2.258846861003648,
        0.862173320368121,
        0.318765239858981,
        -1.307688296305273,
        -0.433592022305684,
        0.342624466538650,
        3.578396939725761,
        2.769437029884877,
    ]
    # The strips' edges are known to the last bits only as this computation rounds them.
    np.testing.assert_allclose(MatlabRandom(0).randn(10), published, rtol=0, atol=5e-15)


def test_matrices_fill_column_by_column() -> None:
    for draw in ("rand", "randn"):
        matrix = getattr(MatlabRandom(3), draw)(2, 3)
        row = getattr(MatlabRandom(3), draw)(6)
        np.testing.assert_array_equal(matrix.T.reshape(-1), row)


def test_seed_zero_stands_for_5489_and_others_for_themselves() -> None:
    np.testing.assert_array_equal(MatlabRandom(0).rand(4), MatlabRandom(5489).rand(4))
    assert MatlabRandom(1).rand() != MatlabRandom(0).rand()


def test_normal_numbers_have_the_moments_and_tails_of_a_normal_distribution() -> None:
    x = MatlabRandom(42).randn(400_000)
    moments = [x.mean(), x.var(), (x**3).mean(), (x**4).mean()]
    np.testing.assert_allclose(moments, [0, 1, 0, 3], atol=0.03)
    # Beyond the last strip's edge, where the tail has an algorithm of its own: 2.58e-4.
    beyond = np.mean(np.abs(x) > 3.6541528853610088)
    assert 1.8e-4 < beyond < 3.4e-4, beyond


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, "0", None, True])
def test_a_seed_out_of_range_is_refused(seed: object) -> None:
    with pytest.raises(InvalidValueError, match=r"from 0 to 2\*\*32 - 1"):
        MatlabRandom(seed)  # type: ignore[arg-type]


def test_the_layer_prints_what_was_published(simulate: Simulate) -> None:
    network, u = ls.published.layer_example()
    y = simulate(ls.build(network), u).y.values
    np.testing.assert_array_equal(y[:5].round(4), ls.published.LAYER_OUTPUT)


def test_single_and_double_precision_differ_as_much_as_published(simulate: Simulate) -> None:
    network, u = ls.published.layer_example()
    double = simulate(ls.build(network), u)
    report = ls.check(double, ls.reference(network, u, dtype="float32"))
    norm = next(s.norm for s in report.signals if s.name == "y")
    # Published: 5.8006e-07; the last bits depend on the order of the sums.
    assert 2e-7 < norm < 1.2e-6, norm


def test_parameter_counts_follow_the_published_formula() -> None:
    def zeros(n: int, inputs: int) -> ls.LSTM:
        return ls.LSTM(np.zeros((4 * n, inputs)), np.zeros((4 * n, n)), np.zeros(4 * n))

    assert zeros(3, 4).n_parameters == 4 * (3 * 4 + 9 + 3)
    first, second = zeros(100, 1), zeros(100, 100)
    assert first.R.size + second.R.size + second.W.size == 120_000
