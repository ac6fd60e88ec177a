"""Mixtures: texts of operations whose output elements depend on all elements of a sample."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from lstmsim.blocks._mixtures import Mixture
from lstmsim.blocks._ops import OPS, mixing
from lstmsim.engine.graph import Node
from lstmsim.engine.kernels import cache
from lstmsim.engine.kernels.keys import Samples, Width
from lstmsim.engine.kernels.mixing import Mixing, Place
from lstmsim.engine.kernels.writer import Writer
from tests.helpers import assert_close, assert_same

WIDTHS = {"u": 5, "v": 5, "one": 1}
#: Every reduction, reductions of reductions, a signal of one element, functions and choices.
EVERYTHING = mixing(
    "everything",
    Mixture(
        "where(u > m, tanh(u) * a, maximum(s, minimum(u, h)))",
        ("bar", "bar"),
        {
            "m": "mean(u)",
            "h": "max(u * v)",
            "s": "sum(exp((u - m) / sqrt(1 + h * h)))",
            "a": "sum(v)",
            "unread": "max(y)",
        },
    ),
)


@pytest.mark.parametrize("form", ["plain", "scalar", "vector"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("second", ["v", "one"])
def test_kernels_compute_the_texts_that_numpy_computes(dtype: str, form: str, second: str) -> None:
    samples = 6
    rng = np.random.default_rng(3)
    u, v = (rng.standard_normal((samples, WIDTHS[n])).astype(dtype) for n in ("u", second))
    u[3, 1], u[4, 2], v[5, 0] = np.nan, np.inf, np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = EVERYTHING.forward((u, v), {})
        out = Writer(Samples(), Width("u"))
        node = Node("y", "y", EVERYTHING, ("u", second), (), {}, 5)
        places = {
            "u": Place("u", "u", "k * o1"),
            "v": Place(second, "v", f"k * {WIDTHS[second]}"),
        }
        lines = Mixing(out, node, WIDTHS, places, "r")
        lines.reduce((EVERYTHING.mixture.value,))
        out.write(2, "for j in range(o1):")
        out.write(3, f"y[k * o1 + j] = {lines.element(EVERYTHING.mixture.value, 5)}")
        text = out.function("mix(u, v, y, o)", ["    for k in range(o0):"])
        bare = "".join(line.split("  # ")[0] + "\n" for line in text.splitlines())
        kernel = cache.plain(bare)["mix"] if form == "plain" else cache.compiled(bare, dtype, form)
        y = np.zeros((samples, 5), dtype)
        numbers = [samples if key == Samples() else WIDTHS[key.signal] for key in out.keys]
        kernel(u.reshape(-1), v.reshape(-1), y.reshape(-1), np.array(numbers))
    same = np.isfinite(expected)
    assert_same(y[~same], expected[~same], "where it is not finite")
    assert_close(y[same], expected[same], 1e-5 if dtype == "float32" else 1e-14)


@pytest.mark.parametrize(
    ("mixture", "words"),
    [
        (Mixture("u / s", ("bar",), {"s": "sum(u +"}), "never closed"),
        (Mixture("u / s", ("bar",), {"s": "prod(u)"}), "sum or mean or max"),
        (Mixture("u / s", ("bar",), {"s": "1 + sum(u)"}), "sum or mean or max"),
        (Mixture("u / s", ("bar",), {"s": "sum(sin(u))"}), "sin"),
        (Mixture("u / s", ("bar",), {"s": "sum(bar)"}), "bar"),
        (Mixture("u / s", ("bar",), {"s": "sum(u - m)", "m": "mean(u)"}), "m, which is neither"),
        (Mixture("u / k", ("bar",), {}), "k, which is neither"),
        (Mixture("u / s", ("bar",), {"m": "max(u)", "s": "sum(m)"}), "same at all elements"),
    ],
)
def test_a_mistake_in_a_text_names_the_operation(mixture: Mixture, words: str) -> None:
    with pytest.raises(ValueError, match="operation 'mine'") as caught:
        mixing("mine", mixture)
    assert words in str(caught.value)


def test_a_mixture_is_linear_where_its_slopes_do_not_depend_on_the_inputs() -> None:
    centred = Mixture("u - m", ("bar - a",), {"m": "mean(u)", "a": "mean(bar)"})
    assert mixing("centred", centred).linear
    assert not any(OPS[name].linear for name in ("softmax", "normalize", "dot"))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["softmax", "normalize"])
def test_large_and_equal_elements_neither_overflow_nor_lose_their_slope(
    name: str, dtype: type
) -> None:
    u = np.array([[1e4, -1e4, 1e4], [-1e5, -1e5, -1e5]], dtype)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        y = OPS[name].forward((u,), {})
        (slope,) = OPS[name].pullback(np.ones_like(y), (u,), y, {})[0]
    assert np.isfinite(y).all()
    assert np.isfinite(slope).all()
    assert y.dtype == slope.dtype == dtype
