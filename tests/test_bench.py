"""Benchmarks: candidates compute the same, figures follow from times, reports say what was done.

No time is asserted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstmsim.errors import LstmsimError
from lstmsim.reports.bench import growth, timing
from lstmsim.reports.bench.peers import OWN, PEERS, TITLES
from lstmsim.reports.bench.problem import (
    TOLERANCE,
    check_agreement,
    difference,
    expected,
    make_problem,
)
from lstmsim.reports.bench.report import Line
from lstmsim.reports.bench.timing import Timing

# -------------------------------------------------------------------------------------------
# Candidates


@pytest.mark.parametrize("work", ["forward", "gradient"])
@pytest.mark.parametrize("name", TITLES)
def test_every_candidate_computes_what_the_reference_does(name: str, work: str) -> None:
    peer = {OWN.name: OWN, **PEERS}[name]
    for package in peer.packages:
        pytest.importorskip(package)
    if work not in peer.works:
        assert (name, work) == ("onnxruntime", "gradient")
        return
    for units, inputs, samples in ((1, 1, 1), (5, 3, 20)):
        problem = make_problem(units, inputs, samples)
        candidate = peer.works[work](problem, 1)
        for _ in range(2):  # gradients do not add up
            found = candidate.values(candidate.work())
        aim = expected(problem, work)
        apart = {key: difference(found[key], value) for key, value in aim.items()}
        assert set(apart) == ({"y"} if work == "forward" else {"loss", "W", "R", "b"})
        assert max(apart.values()) < 1e-5, apart


def test_the_expected_gradient_is_that_of_the_expected_loss() -> None:
    problem = make_problem(3, 2, 15)
    aim, layer = expected(problem, "gradient"), problem.layer

    def loss(W: Any) -> float:
        moved = replace(problem, layer=type(layer)(W, layer.R, layer.b))
        return float(np.mean((expected(moved, "forward")["y"] - problem.target) ** 2))

    assert aim["loss"] == pytest.approx(loss(layer.W), rel=1e-12)
    step = np.zeros_like(layer.W)
    step[7, 1] = 1e-5
    slope = (loss(layer.W + step) - loss(layer.W - step)) / 2e-5
    assert aim["W"][7, 1] == pytest.approx(slope, abs=1e-9)


@pytest.mark.parametrize(
    "wrong",
    [lambda y: y[:, ::-1], lambda y: y * (1 + 1e-4), lambda y: y[:-1], lambda y: y + np.nan],
    ids=["other units", "less precision", "fewer samples", "not finite"],
)
def test_a_candidate_that_computes_another_thing_is_an_error(wrong: Any) -> None:
    y = expected(make_problem(3, 2, 9), "forward")["y"]
    found = {"lstmsim": {"y": y}, "torch": {"y": wrong(y)}}
    with pytest.raises(LstmsimError, match=r"do not compute the same[^P]+PyTorch (inf|\d)"):
        check_agreement(found, {"y": y}, "forward", "a test")
    assert check_agreement({"a": {"y": y}}, {"y": y}, "forward", "a test") == {"a": 0.0}
    assert TOLERANCE["forward"] < 1e-4


# -------------------------------------------------------------------------------------------
# Figures


@given(
    st.floats(-1, 3),
    st.floats(1e-9, 1e-2),
    st.lists(st.integers(1, 10**6), min_size=2, max_size=8, unique=True),
)
def test_a_power_law_is_found_again(exponent: float, factor: float, sizes: list[int]) -> None:
    law = growth.fit(sizes, [factor * n**exponent for n in sizes])
    assert law.exponent == pytest.approx(exponent, abs=1e-6)
    assert law(sizes[0]) == pytest.approx(factor * sizes[0] ** exponent, rel=1e-6)
    assert (law.low, law.high) == (min(sizes), max(sizes))
    assert law.worst < 1e-6


def test_a_fit_says_how_far_times_are_from_the_law() -> None:
    law = growth.fit([1, 10, 100], [1.0, 20.0, 100.0])
    assert law.exponent == pytest.approx(1)
    assert law.worst == pytest.approx(20 / (10 * 2 ** (1 / 3)) - 1)


def test_growth_measures_these_sizes_and_says_how_it_grows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[int, int]] = []

    def problem(n: int, inputs: int, samples: int) -> Any:
        asked.append((n, samples))
        return make_problem(1, 1, 1)

    def turns(works: dict[str, Any], seconds: float) -> dict[str, Timing]:
        return {name: made(float(name) / 1e6) for name in works}

    monkeypatch.setattr(growth, "make_problem", problem)
    monkeypatch.setattr(growth, "take_turns", turns)
    said: list[str] = []
    over_T, over_N = growth.measure_growth(0.0, quick=False, say=said.append)
    lengths = [(16, t) for t in (10**3, 3 * 10**3, 10**4, 3 * 10**4, 10**5, 3 * 10**5, 10**6)]
    assert asked == lengths + [(n, 1000) for n in (4, 8, 16, 32, 64, 128, 256, 512)]
    assert said == ["growth with T, N = 16", "growth with N, T = 1,000"]
    assert [law.text("T") for law in over_T.fits] == [
        "T^1.00 for T from 1,000 to 1,000,000 (within 0 %)"
    ]
    assert [law.text("N") for law in over_N.fits] == [
        "N^1.00 for N from 4 to 512 (within 0 %)",
        "N^1.00 for N from 64 to 512 (within 0 %)",
    ]


def test_growth_with_units_is_fitted_over_all_and_over_the_large(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def turns(works: dict[str, Any], seconds: float) -> dict[str, Timing]:
        return {name: made(float(name) ** 1.5 / 1e6) for name in works}

    monkeypatch.setattr(growth, "take_turns", turns)
    monkeypatch.setattr(growth, "LARGEST", 200_000)
    series = growth._series("N", 1000, (4, 64, 128, 200, 256), 0.0)
    assert series.sizes == (4, 64, 128, 200)  # 256 are too many
    assert [(law.low, law.high) for law in series.fits] == [(4, 200), (64, 200)]
    assert [law.exponent for law in series.fits] == pytest.approx([1.5, 1.5])


def made(median: float) -> Timing:
    return Timing(median, 0.9 * median, 1.2 * median, 40, 8, 1.0)


def test_the_ratio_is_of_medians_to_the_fastest_of_the_others() -> None:
    timings = {"lstmsim": made(3e-6), "onnxruntime": made(4e-6), "jax": made(2e-6)}
    line = Line("forward", 3, 4, 51, timings, {}, {})
    assert (line.fastest_peer, line.ratio) == ("jax", pytest.approx(1.5))
    alone = replace(line, timings={"lstmsim": made(3e-6)})
    assert (alone.fastest_peer, alone.ratio) == (None, None)


def test_candidates_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    order: list[str] = []

    def work(name: str, seconds: float) -> Callable[[], None]:
        def call() -> None:
            order.append(name)
            now[0] += seconds

        return call

    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(timing.time, "process_time", lambda: now[0] / 2)
    works = {"short": work("short", 0.9e-3), "long": work("long", 0.5)}
    found = timing.take_turns(works, seconds=3.0)
    # A turn of 2 ms has three calls of 0.9 ms; a round takes 0.5 s, and the sixth ends after 3 s.
    assert (found["short"].rounds, found["short"].calls) == (6, 18)
    assert (found["long"].rounds, found["long"].calls) == (6, 6)
    assert found["short"].median == pytest.approx(0.9e-3)
    assert found["long"].high == pytest.approx(0.5)
    assert found["short"].cores == pytest.approx(0.5)
    turns = [name for k, name in enumerate(order[2:], 2) if name != order[k - 1] or name == "long"]
    assert sorted(turns[:2]) == sorted(turns[2:4]) == ["long", "short"]
    assert timing.take_turns(works, 0.0, fewest=7)["long"].rounds == 7
