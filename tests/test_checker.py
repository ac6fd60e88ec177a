"""The checker's figures, against values worked out by hand."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

import lstmsim as ls
from lstmsim.engine.checking import SignalCheck
from lstmsim.errors import InvalidTypeError, InvalidValueError
from tests.conftest import Case

EPS32 = 2.0**-23


def side(**signals: npt.ArrayLike) -> xr.Dataset:
    """Return traces with signals of shape (time, width) or (batch, time, width)."""
    variables = {}
    for name, values in signals.items():
        array = np.asarray(values)
        batch = ("batch",) if array.ndim == 3 else ()
        variables[name] = ((*batch, "time", f"{name}_element"), array)
    return xr.Dataset(variables, attrs={"Ts": 0.1})


def compared(a: npt.ArrayLike, b: npt.ArrayLike, **tolerance: float) -> SignalCheck:
    report = ls.check(side(y=a), side(y=b), **tolerance)  # type: ignore[arg-type]
    assert report.ok == report.signals[0].ok
    return report.signals[0]


def test_equal_signals_differ_by_nothing() -> None:
    y = np.array([[0.0, -1.5], [1e-300, 3e38]])
    assert compared(y, y.copy()) == SignalCheck("y", True, 0.0, 0.0, 0.0, 0.0, None, None)


def test_the_largest_differences_are_those_worked_out_by_hand() -> None:
    expected = np.array([[1.0, -2.0], [4.0, 0.5]])
    offset = np.array([[0.0, 2.0**-20], [-(2.0**-18), 2.0**-21]])
    result = compared(expected + offset, expected, atol=1.0)
    assert result.max_abs == 2.0**-18
    assert result.max_rel == max(2.0**-20 / 2, 2.0**-18 / 4, 2.0**-21 / 0.5) == 2.0**-20
    # The last place of 2, 4 and 0.5 in single precision is 2^-22, 2^-21 and 2^-24.
    assert result.max_ulp == max(2.0**2, 2.0**3, 2.0**3) == 8.0


@pytest.mark.parametrize(
    ("difference", "norm"),
    [
        ([[3.0, 0.0], [0.0, 4.0]], 4.0),
        ([[3.0], [4.0]], 5.0),
        ([[3.0, 4.0]], 5.0),
        ([[1.0, 1.0], [1.0, 1.0]], 2.0),
        ([[1.0, 1.0], [0.0, 1.0]], (1 + math.sqrt(5)) / 2),
    ],
)
def test_the_norm_is_the_largest_singular_value(difference: list[list[float]], norm: float) -> None:
    result = compared(difference, np.zeros_like(difference))
    assert abs(result.norm - norm) < 1e-14, result.norm


def test_the_norm_of_the_published_outputs_has_the_published_size(published: Case) -> None:
    report = ls.check(published.traces, published.expected)
    norm = next(s.norm for s in report.signals if s.name == "y")
    # 5.8006e-07 was printed for another library's single-precision sums.
    assert 1e-7 < norm < 1e-6, norm


@pytest.mark.parametrize(
    ("expected", "given", "ulp"),
    [
        (1.0, 1.0 + EPS32, 1.0),
        (1.0, 1.0 - EPS32, 1.0),
        (2.0, 2.0 + 3 * EPS32, 1.5),
        (-0.5, -0.5 - EPS32, 2.0),
        (0.0, 2.0**-149, 1.0),
    ],
)
def test_units_of_the_last_place_are_those_of_single_precision(
    expected: float, given: float, ulp: float
) -> None:
    assert compared([[given]], [[expected]]).max_ulp == ulp


def test_a_difference_from_zero_is_infinitely_large_relatively() -> None:
    result = compared([[1e-9, 2.0]], [[0.0, 2.0]])
    assert (result.ok, result.max_abs, result.max_rel) == (True, 1e-9, math.inf)


# Powers of two, so that the bound and the differences are exact.
ATOL, RTOL = 2.0**-20, 2.0**-17


@pytest.mark.parametrize("expected", [0.0, 1.0, -1.0, 4.0, 2.0**-10])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_bound_itself_is_within_the_tolerance(expected: float, sign: int) -> None:
    bound = ATOL + RTOL * abs(expected)
    at = expected + sign * bound
    assert at - expected == sign * bound, "the case is not exact"
    assert compared([[at]], [[expected]], atol=ATOL, rtol=RTOL).ok
    beyond = np.nextafter(at, sign * np.inf)
    result = compared([[beyond]], [[expected]], atol=ATOL, rtol=RTOL)
    assert (result.ok, result.sample, result.element) == (False, 0, 0)


def test_the_tolerance_is_relative_to_the_expected_side() -> None:
    assert not compared([[1.0]], [[1.5]], atol=0, rtol=0.3).ok
    assert compared([[1.0]], [[1.5]], atol=0, rtol=0.34).ok
    assert not compared([[1.5]], [[1.0]], atol=0, rtol=0.34).ok


@pytest.mark.parametrize(
    ("expected", "given", "ok"),
    [
        (0.0, 1e-6, True),
        (0.0, 1.0000001e-6, False),
        (1.0, 1 + 1.09e-5, True),
        (1.0, 1 + 1.11e-5, False),
        (1e6, 1e6 + 10, True),
        (1e6, 1e6 + 10.1, False),
    ],
)
def test_the_default_is_single_precision_tolerance(expected: float, given: float, ok: bool) -> None:
    assert compared([[given]], [[expected]]).ok == ok


def test_no_tolerance_accepts_equal_signals_only() -> None:
    assert compared([[0.1]], [[0.1]], atol=0, rtol=0).ok
    assert not compared([[0.1]], [[np.nextafter(0.1, 1)]], atol=0, rtol=0).ok


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("on", ["the traces", "the expected side", "both sides"])
def test_nan_and_inf_on_either_side_are_a_miss(on: str, bad: float) -> None:
    good = np.arange(6.0).reshape(3, 2)
    broken = good.copy()
    broken[1, 1] = bad
    a = good if on == "the expected side" else broken
    b = good if on == "the traces" else broken
    result = compared(a, b, atol=np.inf)
    assert (result.ok, result.sample, result.element) == (False, 1, 1)
    assert math.isnan(result.norm)


@pytest.mark.parametrize("shape", [(4, 2), (3, 1), (3, 3), (1, 2), (2, 3, 2)])
def test_other_shapes_are_a_miss_that_names_both(shape: tuple[int, ...]) -> None:
    good = np.zeros((3, 2))
    for a, b in ((np.zeros(shape), good), (good, np.zeros(shape))):
        result = compared(a, b)
        assert not result.ok
        sizes = ["×".join(map(str, x.shape)) for x in (a, b)]
        assert result.problem == f"shape {sizes[0]} against {sizes[1]}"
        assert result.sample is None


def test_the_first_miss_is_located() -> None:
    b = np.zeros((5, 3))
    a = b.copy()
    a[4, 0] = a[2, 2] = a[2, 1] = 1.0
    result = compared(a, b)
    assert (result.sample, result.element) == (2, 1)


def test_the_first_miss_of_a_batch_is_located() -> None:
    b = np.zeros((2, 5, 3))
    a = b.copy()
    a[0, 4, 0] = a[1, 3, 2] = 1.0
    result = compared(a, b)
    assert (result.sample, result.element) == (3, 2)
    assert result.norm == 1.0


def test_signals_that_one_side_lacks_are_a_miss() -> None:
    y = np.zeros((3, 1))
    report = ls.check(side(y=y, a=y), side(y=y, b=y, c=y))
    assert (report.ok, report.missing, report.unexpected) == (False, ("b", "c"), ("a",))
    assert [s.name for s in report.signals] == ["y"]
    assert "Missing from the traces: b, c." in report.summary
    assert "Missing from the expected side: a." in report.summary


def test_sides_without_a_common_signal_do_not_agree() -> None:
    report = ls.check(side(a=[[1.0]]), side(b=[[1.0]]))
    assert (report.ok, report.signals) == (False, ())


def test_final_states_are_no_signals() -> None:
    y = np.zeros((3, 1))
    a = side(y=y).assign(x_final=("y_element", [1.0]))
    assert ls.check(a, side(y=y)).ok


def test_selected_signals_alone_are_compared() -> None:
    y, z = np.zeros((3, 1)), np.ones((3, 1))
    a, b = side(y=y, bad=y, mine=y), side(y=y, bad=z, theirs=y)
    assert ls.check(a, b, signals=["y"]).ok
    assert not ls.check(a, b, signals=["y", "bad"]).ok
    assert ls.check(a, b, signals=["theirs"]).missing == ("theirs",)
    assert ls.check(a, b, signals=["mine"]).unexpected == ("mine",)
    with pytest.raises(InvalidValueError, match="'other'"):
        ls.check(a, b, signals=["y", "other"])


@pytest.mark.parametrize("tolerance", [{"atol": -1.0}, {"rtol": -1e-9}, {"atol": np.nan}])
def test_tolerances_that_are_none_are_refused(tolerance: dict[str, float]) -> None:
    with pytest.raises(InvalidValueError, match="tolerance"):
        compared([[1.0]], [[1.0]], **tolerance)


@pytest.mark.parametrize("other", [None, {"y": [[1.0]]}, np.zeros((3, 1)), xr.Dataset()], ids=str)
def test_sides_that_are_no_traces_are_refused(other: Any) -> None:
    with pytest.raises(InvalidTypeError, match="traces are not traces"):
        ls.check(other, side(y=[[1.0]]))
    with pytest.raises(InvalidTypeError, match="expected are not traces"):
        ls.check(side(y=[[1.0]]), other)


def test_traces_without_samples_are_refused() -> None:
    empty = side(y=np.zeros((0, 2)))
    with pytest.raises((InvalidTypeError, InvalidValueError)):
        ls.check(empty, empty)


FLOATS = st.floats(width=32, allow_nan=True, allow_infinity=True)


@given(data=st.data())
@settings(deadline=None, max_examples=60)
def test_the_report_is_the_rule_applied_to_every_element(data: st.DataObject) -> None:
    shape = data.draw(array_shapes(min_dims=2, max_dims=2, max_side=4))
    a = data.draw(arrays("float64", shape, elements=FLOATS))
    b = np.where(data.draw(arrays("bool", shape)), a * (1 + 0.9e-5), a)
    result = compared(a, b)
    inside = np.array(
        [
            [
                math.isfinite(p) and math.isfinite(q) and abs(p - q) <= 1e-6 + 1e-5 * abs(q)
                for p, q in zip(rows_a, rows_b, strict=True)
            ]
            for rows_a, rows_b in zip(a.tolist(), b.tolist(), strict=True)
        ]
    )
    assert result.ok == inside.all()
    first = tuple(np.argwhere(~inside)[0]) if not inside.all() else (None, None)
    assert (result.sample, result.element) == first


Y = np.array([[1.0], [2.0]])
SIDES = {
    "agreement": (side(y=Y), side(y=Y)),
    "signals on one side": (side(y=Y, a=Y), side(y=Y + 1, b=Y)),
    "NaN and Inf": (side(y=[[np.nan], [1.0]]), side(y=[[np.inf], [0.0]])),
    "shapes": (side(y=Y), side(y=np.zeros((3, 1)))),
    "infinite relative difference": (side(y=[[1e-9]]), side(y=[[0.0]])),
    "nothing in common": (side(a=Y), side(b=Y)),
}


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


@pytest.mark.parametrize("name", SIDES)
def test_json_is_valid_and_says_what_the_report_says(name: str) -> None:
    report = ls.check(*SIDES[name])
    read = json.loads(report.to_json(), parse_constant=refuse)
    assert read["ok"] == report.ok
    assert (tuple(read["missing"]), tuple(read["unexpected"])) == (
        report.missing,
        report.unexpected,
    )
    assert (read["atol"], read["rtol"]) == (1e-6, 1e-5)
    assert read["summary"] == report.summary
    assert len(read["signals"]) == len(report.signals)
    for entry, s in zip(read["signals"], report.signals, strict=True):
        for key in ("name", "ok", "sample", "element", "problem"):
            assert entry[key] == getattr(s, key)
        for key in ("max_abs", "max_rel", "max_ulp", "norm"):
            value = getattr(s, key)
            assert entry[key] == (value if math.isfinite(value) else None)


@pytest.mark.parametrize("name", SIDES)
def test_the_table_says_what_the_report_says(name: str) -> None:
    report = ls.check(*SIDES[name])
    lines = str(report).splitlines()
    for s in report.signals:
        row = next(line for line in lines if line.split()[:1] == [s.name])
        if s.problem:
            assert row.split(maxsplit=1)[1].strip() == f"MISS {s.problem}"
            continue
        figures = [f"{s.max_abs:.2e}", f"{s.max_rel:.2e}"]
        assert row.split()[1:3] == figures
        result = "ok" if s.ok else f"MISS sample {s.sample} [{s.element}]"
        assert row.strip().endswith(result)
    rows = [" ".join(line.split()) for line in lines]
    for missing in report.missing:
        assert f"{missing} MISS not in the traces" in rows
    for unexpected in report.unexpected:
        assert f"{unexpected} MISS not in the expected side" in rows
    assert " ".join(str(report).split()).endswith(" ".join(report.summary.split()))


@pytest.mark.parametrize(("factor", "growth"), [(1.5, None), (2.0, 2.0)])
def test_a_difference_is_said_to_grow_only_if_it_does_a_thousandfold(
    factor: float, growth: float | None
) -> None:
    # Up to a tenth of its largest, 19 samples make 1.5 a factor of 2e2, and 2 one of 5e4.
    expected = np.ones((20, 1))
    report = ls.check(
        side(y=expected + 1e-3 * factor ** np.arange(20.0)[:, None]), side(y=expected)
    )
    assert not report.ok
    assert report.growth == (growth if growth is None else pytest.approx(growth, rel=1e-9))
