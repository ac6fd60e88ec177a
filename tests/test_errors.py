"""Errors as data: every part is an attribute, and an error survives a copy and a pickle."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import lstmsim as ls
from lstmsim import errors
from tests.engines import Simulate
from tests.helpers import diagram, wire

KINDS = sorted(
    (
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.LstmsimError)
    ),
    key=lambda kind: kind.__name__,
)
PARTS = {
    "where": "block 'h' (HADAMARD)",
    "given": "a signal of 3 elements",
    "expected": "4 elements",
    "mend": "look at the block",
    "block": "h",
    "sample": 7,
    "index": (7, 2),
}
TEXT = """this is wrong
  where:    block 'h' (HADAMARD), sample 7
  given:    a signal of 3 elements
  expected: 4 elements
  to mend:  look at the block"""


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_has_its_parts_and_makes_its_text_of_them(kind: type[errors.LstmsimError]) -> None:
    error = kind("this is wrong", **PARTS)  # type: ignore[arg-type]
    assert vars(error) == {"problem": "this is wrong", **PARTS}
    assert str(error) == TEXT
    assert str(kind("this is wrong")) == "this is wrong"


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_survives_a_copy_and_a_pickle(kind: type[errors.LstmsimError]) -> None:
    error = kind("this is wrong", **PARTS)  # type: ignore[arg-type]
    error.add_note("seen by a test")
    for again in (copy.copy(error), copy.deepcopy(error), pickle.loads(pickle.dumps(error))):
        assert type(again) is kind
        assert vars(again) == vars(error)
        assert str(again) == TEXT


def test_a_replaced_part_leaves_the_error_as_it_was() -> None:
    error = errors.ShapeError("this is wrong", where="here", mend="so")
    other = error.replace(mend="otherwise")
    assert (error.mend, other.mend, other.where) == ("so", "otherwise", "here")
    assert type(other) is errors.ShapeError


def growing() -> object:
    bd, clock = diagram()
    bd.UNITDELAY(clock, [1.0, 0.0], name="x")
    bd.MATRIXGAIN(np.diag([10.0, 1.0]), name="gain")
    bd.TOWORKSPACE(clock, name="out")
    return wire(bd, "x -> gain", "gain -> x", "gain -> out")


def test_an_overflow_carries_block_sample_and_values(simulate: Simulate) -> None:
    with pytest.raises(errors.NonFiniteSignalError) as caught:
        simulate(growing(), samples=400)
    error = pickle.loads(pickle.dumps(caught.value))
    assert (error.block, error.sample, error.values) == ("gain", 308, (np.inf, 0.0))
    assert error.where == "block 'gain' (MATRIXGAIN)"
    assert "block 'gain' (MATRIXGAIN), sample 308" in str(error)


def test_an_exponent_s_overflow_counts_the_samples_of_the_whole_run() -> None:
    with pytest.raises(errors.NonFiniteSignalError) as caught:
        ls.lyapunov(growing(), samples=400, discard=100)  # type: ignore[arg-type]
    assert (caught.value.block, caught.value.sample) == ("gain", 308)
    assert "lyapunov, block 'gain' (MATRIXGAIN), sample 308" in str(caught.value)


def test_a_wire_of_another_width_carries_its_block() -> None:
    bd, clock = diagram()
    bd.FROMWORKSPACE(clock, np.ones((5, 3)), name="u")
    bd.MATRIXGAIN(np.ones((2, 4)), name="gain")
    bd.TOWORKSPACE(clock, name="out")
    with pytest.raises(errors.ShapeError) as caught:
        ls.simulate(wire(bd, "u -> gain", "gain -> out"))
    assert caught.value.block == "gain"
    assert caught.value.given == "a signal of 3 elements"


def test_an_element_that_is_not_finite_is_named_by_its_index() -> None:
    with pytest.raises(errors.InvalidValueError) as caught:
        ls.LSTM(np.ones((12, 4)), np.ones((12, 3)), np.r_[np.ones(5), np.nan, np.ones(6)])
    assert caught.value.index == (5,)
