"""Compiled diagrams: every engine computes what bdsim computes, and its exact gradient."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
import pytest

import lstmsim as ls
from lstmsim.engine.compiled import Compiled
from lstmsim.engine.kernels import cache as lanes
from lstmsim.errors import DiagramError, InvalidValueError, NonFiniteSignalError, ShapeError
from tests.random_diagrams import random_diagram


def plainly(diagram: Any, dtype: str = "float64") -> Any:
    """Return a diagram compiled to the generated text, run as Python."""
    compiled = ls.compile(diagram, dtype)
    own = (compiled.diagram, compiled.graph, compiled.schedule, compiled.dtype)
    return Compiled(*own, "numba", "plain")


def assert_same_traces(traces: Any, expected: Any, tolerance: float) -> None:
    assert set(traces.data_vars) == set(expected.data_vars)
    for name in expected.data_vars:
        a, b = traces[name], expected[name]
        assert a.dims == b.dims, name
        error = np.abs(a.values - b.values) / np.maximum(1, np.abs(b.values))
        assert error.max() <= tolerance, f"{name} differs by {error.max():.2e}"


def flat(gradient: dict[str, Any]) -> dict[str, np.ndarray]:
    found = {}
    for block, value in gradient.items():
        for key, array in (value if isinstance(value, dict) else {"": value}).items():
            found[f"{block}.{key}"] = np.asarray(array)
    return found


def assert_same_gradient(a: dict[str, Any], b: dict[str, Any], tolerance: float) -> None:
    x, y = flat(a), flat(b)
    assert set(x) == set(y)
    scale = max(1.0, *(float(np.abs(v).max(initial=0)) for v in y.values()))
    for name in y:
        assert x[name].shape == y[name].shape, name
        error = float(np.abs(x[name] - y[name]).max(initial=0)) / scale
        assert error <= tolerance, f"{name} differs by {error:.2e}"


@pytest.mark.slow
@pytest.mark.parametrize("block", range(20))
def test_200_random_diagrams_run_the_same_everywhere(block: int) -> None:
    for seed in range(10 * block, 10 * block + 10):
        diagram, u = random_diagram(seed)
        expected = ls.simulate(diagram, u)
        numpy = ls.compile(diagram, engine="numpy")
        assert_same_traces(numpy.run(u), expected, 1e-12)
        text = plainly(diagram)
        assert_same_traces(text.run(u), expected, 1e-12)
        np.testing.assert_allclose(text.forward(u), numpy.forward(u), rtol=0, atol=1e-12)
        target = np.ones_like(numpy.forward(u))
        loss, gradient = numpy.loss_and_gradient(u, target, wrt_input=True)
        again, generated = text.loss_and_gradient(u, target, wrt_input=True)
        assert again == pytest.approx(loss, rel=1e-12)
        assert_same_gradient(generated, gradient, 1e-11)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(200, 220))
def test_compiled_kernels_run_random_diagrams_the_same(seed: int) -> None:
    diagram, u = random_diagram(seed)
    expected = ls.simulate(diagram, u)
    assert_same_traces(ls.compile(diagram).run(u), expected, 1e-12)
    single = ls.compile(diagram, "float32")
    assert_same_traces(single.run(u), expected, 2e-5)
    target = np.ones_like(single.forward(u))
    _, gradient = ls.compile(diagram).loss_and_gradient(u, target, wrt_input=True)
    _, exact = ls.compile(diagram, engine="numpy").loss_and_gradient(u, target, wrt_input=True)
    assert_same_gradient(gradient, exact, 1e-11)


@pytest.mark.parametrize("seed", range(300, 330))
def test_the_gradient_is_that_of_central_differences(seed: int) -> None:
    diagram, u = random_diagram(seed)
    compiled = ls.compile(diagram, engine="numpy")
    target = np.zeros_like(compiled.forward(u))
    _, gradient = compiled.loss_and_gradient(u, target, wrt_input=True)
    random, step = np.random.default_rng(seed), 1e-6
    names = {"x0": "_x0", "value": "value", "K": "K", "k": "K"}
    checked = 0
    for block in diagram.blocklist:
        for name, attribute in names.items():
            exact = flat(gradient).get(f"{block.name}.")
            if exact is None or attribute not in block.__dict__ or block.name == "u":
                continue
            before = block.__dict__[attribute]
            array = np.array(before, float)
            index = tuple(int(random.integers(n)) for n in array.shape)
            losses = []
            for sign in (1, -1):
                moved = array.copy()
                moved[index] += sign * step
                block.__dict__[attribute] = moved if array.ndim else float(moved)
                losses.append(compiled.loss_and_gradient(u, target)[0])
            block.__dict__[attribute] = before
            is_transposed = block.type == "gain" and array.ndim == 2 and not block.premul
            value = (exact.T if is_transposed else exact)[index]
            numeric = (losses[0] - losses[1]) / (2 * step)
            # CLIP has corners, where a difference is between two slopes.
            assert abs(value - numeric) < 1e-6 * max(1, abs(numeric)), (block.name, name)
            checked += 1
            break
    assert checked >= 2
    moved = u.copy()
    moved[3, 0] += step
    up = compiled.loss_and_gradient(moved, target)[0]
    moved[3, 0] -= 2 * step
    down = compiled.loss_and_gradient(moved, target)[0]
    assert abs(gradient["u"][3, 0] - (up - down) / (2 * step)) < 1e-6


@pytest.fixture(scope="module")
def stacked() -> tuple[ls.Network, np.ndarray]:
    random = np.random.default_rng(5)

    def layer(n: int, inputs: int) -> ls.LSTM:
        return ls.LSTM(
            random.normal(size=(4 * n, inputs)) / 2,
            random.normal(size=(4 * n, n)) / 2,
            random.normal(size=4 * n),
            h0=random.normal(size=n) / 3,
            c0=random.normal(size=n),
        )

    head = ls.Dense(random.normal(size=(2, 19)), [0.3, -0.2])
    network = ls.Network([layer(17, 3), layer(19, 17), head], Ts=0.2)
    return network, random.normal(size=(3, 40, 3))


ENGINES = [("numpy", "float64"), ("numpy", "float32"), ("numba", "float64"), ("numba", "float32")]


@pytest.mark.parametrize(("engine", "dtype"), ENGINES)
def test_every_engine_equals_the_reference(
    stacked: Any, engine: str, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, batch = stacked
    traces = ls.simulate(ls.build(network), batch[0], engine=engine, dtype=dtype)
    expected = ls.reference(network, batch[0])
    tolerance = {"atol": 1e-12, "rtol": 1e-12} if dtype == "float64" else {}
    report = ls.check(traces, expected, **tolerance)
    assert report.ok, str(report)
    assert traces.attrs["engine"] == engine
    assert {str(a.dtype) for a in traces.data_vars.values()} == {dtype}


@pytest.mark.parametrize(("engine", "dtype"), ENGINES)
def test_a_batch_is_its_sequences_with_states_of_their_own(
    stacked: Any, engine: str, dtype: str
) -> None:
    network, batch = stacked
    compiled = ls.compile(ls.build(network), dtype, engine)
    state = {"lstm1.h_prev": np.random.default_rng(0).normal(size=(3, 17)) / 3}
    traces = compiled.run(batch, state=state)
    assert traces.y.dims == ("batch", "time", "output")
    target = np.ones((3, 40, 2))
    loss, gradient = compiled.loss_and_gradient(batch, target, state=state, wrt_input=True)
    losses, parts = [], []
    for k, u in enumerate(batch):
        own = {"lstm1.h_prev": state["lstm1.h_prev"][k]}
        alone = compiled.run(u, state=own)
        np.testing.assert_allclose(traces.y[k], alone.y, rtol=0, atol=1e-6)
        part = compiled.loss_and_gradient(u, target[k], state=own, wrt_input=True)
        losses.append(part[0])
        parts.append(part[1])
    assert loss == pytest.approx(np.mean(losses), rel=1e-5)
    scale = 1e-5 if dtype == "float32" else 1e-12
    total = sum(part["lstm1.Rg"] for part in parts) / 3
    np.testing.assert_allclose(gradient["lstm1.Rg"], total, rtol=0, atol=scale)
    np.testing.assert_allclose(
        gradient["lstm1.h_prev"],
        [part["lstm1.h_prev"] / 3 for part in parts],
        rtol=0,
        atol=scale,
    )
    np.testing.assert_allclose(gradient["u"], [p["u"] / 3 for p in parts], rtol=0, atol=scale)


@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_steps_one_by_one_are_the_run(stacked: Any, engine: str) -> None:
    network, batch = stacked
    compiled = ls.compile(ls.build(network), engine=engine)
    expected, state = compiled.forward(batch[0]), None
    for k, u in enumerate(batch[0]):
        y, state = compiled.step(u, state)
        np.testing.assert_allclose(y, expected[k], rtol=0, atol=1e-14)


def test_steps_and_runs_do_not_disturb_one_another(stacked: Any) -> None:
    network, batch = stacked
    compiled = ls.compile(ls.build(network))
    first = compiled.forward(batch[0][:1])
    y, state = compiled.step(batch[0][0])
    np.testing.assert_array_equal(y, first[0])
    compiled.step(batch[0][1], state)
    np.testing.assert_array_equal(compiled.forward(batch[0][:1]), first)
    kept = {name: value.copy() for name, value in state.items()}
    compiled.step(batch[0][1], state)
    assert all(np.array_equal(state[name], kept[name]) for name in kept), "a step changed its state"
    with pytest.raises(InvalidValueError, match="NaN"):
        compiled.step(batch[0][1], state | {"lstm1.h_prev": np.full(17, np.nan)})
    with pytest.raises(ShapeError, match="17 elements"):
        compiled.step(batch[0][1], state | {"lstm1.h_prev": np.zeros(3)})


@pytest.mark.parametrize(("engine", "dtype"), ENGINES)
def test_bounds_may_be_lists_of_one_an_element(engine: str, dtype: str) -> None:
    bd = ls.blockdiagram()
    clock = bd.clock(0.1, name="clock")
    clip = bd.CLIP([-1.0, -0.5], [0.5, 1.0], name="limited")
    bd.connect(bd.FROMWORKSPACE(clock, width=2, name="u"), clip)
    bd.connect(clip, bd.TOWORKSPACE(clock, name="out"))
    u = np.array([[-3.0, -3.0], [0.25, 0.75], [3.0, 3.0]])
    traces = ls.simulate(bd, u, engine=engine, dtype=dtype)
    np.testing.assert_array_equal(traces.limited, [[-1.0, -0.5], [0.25, 0.75], [0.5, 1.0]])
    assert traces.limited.dtype == dtype


def test_a_continued_run_is_one_run(stacked: Any) -> None:
    network, batch = stacked
    compiled = ls.compile(ls.build(network))
    whole, first = compiled.run(batch[0]), compiled.run(batch[0][:15])
    rest = compiled.run(batch[0][15:], state=first)
    np.testing.assert_array_equal(np.r_[first.y, rest.y], whole.y)
    np.testing.assert_array_equal(np.r_[first.time, rest.time], whole.time)


def test_replaced_parameters_are_noticed(stacked: Any) -> None:
    network, batch = stacked
    diagram = ls.build(network)
    compiled = ls.compile(diagram)
    before = compiled.forward(batch[0])
    diagram.blocknames["y"].signs = "+-"
    with pytest.raises(DiagramError, match="changed after it was compiled"):
        compiled.forward(batch[0])
    diagram.blocknames["y"].signs = "++"
    np.testing.assert_array_equal(compiled.forward(batch[0]), before)
    diagram.blocknames["by"].value = np.array([1.3, -0.2])
    np.testing.assert_allclose(
        compiled.forward(batch[0]), before + np.array([1.0, 0.0]), atol=1e-14
    )
    diagram.blocknames["by"].value[1] = 0.8
    np.testing.assert_allclose(compiled.forward(batch[0]), before + 1.0, atol=1e-14)


def test_a_diagram_with_new_blocks_is_refused(stacked: Any) -> None:
    network, batch = stacked
    diagram = ls.build(network)
    compiled = ls.compile(diagram, engine="numpy")
    diagram.TANH(name="more")
    with pytest.raises(DiagramError, match="compile it again"):
        compiled.forward(batch[0])


def test_a_users_own_loss_is_differentiated(stacked: Any) -> None:
    network, batch = stacked
    compiled = ls.compile(ls.build(network), engine="numpy")
    mse = compiled.loss_and_gradient(batch[0], np.zeros((40, 2)))
    own = compiled.loss_and_gradient(
        batch[0], loss=lambda y: (float(np.mean(y**2)), 2 * y / y.size)
    )
    assert own[0] == pytest.approx(mse[0])
    assert_same_gradient(own[1], mse[1], 1e-14)
    half = compiled.loss_and_gradient(batch[0], np.zeros((40, 2)), loss="half_mse")
    assert half[0] == pytest.approx(mse[0] / 2)


@pytest.mark.parametrize(("dtype", "bound"), [("float64", 1e-9), ("float32", 1e-5)])
def test_the_gradient_is_pytorchs(stacked: Any, dtype: str, bound: float) -> None:
    torch = pytest.importorskip("torch")
    network, batch = stacked
    layer = network.recurrent[0]
    model = torch.nn.LSTM(3, 17).to(getattr(torch, dtype))
    with torch.no_grad():
        values = (layer.W, layer.R, layer.b, np.zeros_like(layer.b))
        for parameter, value in zip(model.parameters(), values, strict=True):
            parameter.copy_(torch.tensor(value))
    x = torch.tensor(batch[0][:, None, :], dtype=getattr(torch, dtype), requires_grad=True)
    states = tuple(
        torch.tensor(v[None, None], dtype=getattr(torch, dtype)) for v in (layer.h0, layer.c0)
    )
    torch.mean(model(x, states)[0] ** 2).backward()
    compiled = ls.compile(ls.build(ls.Network([layer])), dtype)
    _, gradient = compiled.loss_and_gradient(batch[0], np.zeros((40, 17)), wrt_input=True)
    W, R, b, _ = (p.grad.numpy() for p in model.parameters())
    for row, gate in enumerate("ifgo"):
        rows = slice(17 * row, 17 * row + 17)
        for name, expected in ((f"W{gate}", W[rows]), (f"R{gate}", R[rows]), (f"b{gate}", b[rows])):
            error = np.abs(gradient[name] - expected).max() / np.abs(expected).max()
            assert error < bound, f"{name} differs by {error:.2e}"
    error = np.abs(gradient["u"] - x.grad.numpy()[:, 0]).max() / np.abs(gradient["u"]).max()
    assert error < bound, f"u differs by {error:.2e}"


def test_the_schedule_explains_itself(stacked: Any) -> None:
    network, _ = stacked
    text = str(ls.compile(ls.build(network), engine="numpy").schedule)
    assert "they lie in feedback loops through lstm1.h_prev and lstm1.c_prev" in text
    assert "stacked into one product, lstm2.h_prev →: lstm2.Rf, lstm2.Ri, lstm2.Rg" in text
    assert text.count("stepped through time") == 2


@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_an_overflow_is_named_with_block_and_sample(engine: str) -> None:
    bd = ls.blockdiagram()
    clock = bd.clock(1.0, name="clock")
    delay = bd.UNITDELAY(clock, 1e300, name="state")
    grow = bd.MATRIXGAIN(1e3, name="grow")
    bd.connect(delay, grow)
    bd.connect(grow, delay)
    with pytest.raises(NonFiniteSignalError, match=r"grow.*sample 2"):
        ls.compile(bd, engine=engine).run(samples=10)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda bd, clock: bd.FUNCTION(lambda value: value, name="f"), "block 'f' (FUNCTION)"),
        (lambda bd, clock: bd.SUM("++", mode="c", name="angle"), "wraps angles"),
    ],
)
def test_a_block_that_does_not_compile_is_named(make: Any, words: str) -> None:
    bd = ls.blockdiagram()
    clock = bd.clock(0.1, name="clock")
    block = make(bd, clock)
    for port in range(block.nin):
        bd.connect(bd.CONSTANT(1.0, name=f"k{port}"), block[port])
    bd.connect(block, bd.TOWORKSPACE(clock, name="out"))
    with pytest.raises(DiagramError) as caught:
        ls.compile(bd)
    assert words in str(caught.value)
    assert 'engine="bdsim"' in str(caught.value)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda c, u: c.forward(u[:, :2]), ShapeError, "3 columns"),
        (lambda c, u: c.step(u), ShapeError, "a vector"),
        (lambda c, u: c.run(u, state={"x": [1.0]}), InvalidValueError, "another diagram"),
        (lambda c, u: c.loss_and_gradient(u, np.zeros(3)), ShapeError, "target"),
        (lambda c, u: c.loss_and_gradient(u), ShapeError, "no target"),
        (lambda c, u: c.loss_and_gradient(u, u, loss="mae"), InvalidValueError, "'mae'"),
        (lambda c, u: c.forward(np.zeros((0, 4, 3))), ShapeError, "empty"),
    ],
)
def test_a_wrong_argument_is_refused(
    stacked: Any, call: Any, error: type[Exception], words: str
) -> None:
    network, batch = stacked
    compiled = ls.compile(ls.build(network), engine="numpy")
    with pytest.raises(error, match=words):
        call(compiled, batch[0])


@pytest.mark.parametrize(("dtype", "engine"), [("int32", "numba"), ("float64", "fast")])
def test_another_precision_or_engine_is_refused(stacked: Any, dtype: str, engine: str) -> None:
    with pytest.raises(InvalidValueError, match=f"'{dtype}'|'{engine}'"):
        ls.compile(ls.build(stacked[0]), dtype, engine)


RUN = """
import numpy as np, lstmsim as ls
network, u = ls.published.layer_example()
print(ls.compile(ls.build(network)).forward(u)[4].round(4).tolist())
"""


def in_a_process(env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    import os

    return subprocess.run(
        [sys.executable, "-c", RUN],
        env=os.environ | env,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )


@pytest.mark.slow
def test_the_scalar_form_gives_the_same(tmp_path: Path) -> None:
    done = in_a_process({"LSTMSIM_SCALAR": "1", "LSTMSIM_CACHE_DIR": str(tmp_path)})
    assert (done.returncode, done.stdout) == (0, "[0.03, 0.0593]\n"), done.stderr


def test_an_empty_name_of_the_cache_is_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LSTMSIM_CACHE_DIR", str(tmp_path))
    assert lanes._cache_folder() == tmp_path
    monkeypatch.setenv("LSTMSIM_CACHE_DIR", "")
    assert lanes._cache_folder() == platformdirs.user_cache_path("lstmsim", appauthor=False)


@pytest.mark.slow
def test_a_cache_that_cannot_be_used_costs_only_time(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = in_a_process({"LSTMSIM_CACHE_DIR": str(tmp_path / "file")})
    assert (done.returncode, done.stdout) == (0, "[0.03, 0.0593]\n"), done.stderr
    assert done.stderr.count("compiled kernels are not kept") == 1


@pytest.mark.slow
def test_damaged_files_in_the_cache_are_made_anew(tmp_path: Path) -> None:
    env = {"LSTMSIM_CACHE_DIR": str(tmp_path)}
    assert in_a_process(env).returncode == 0
    for pattern in ("*.py", "__pycache__/*.nbi", "__pycache__/*.nbc"):
        for file in tmp_path.glob(pattern):
            file.write_bytes(file.read_bytes()[:40])
    done = in_a_process(env)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[0.03, 0.0593]\n", "")


@pytest.mark.slow
def test_processes_compile_the_same_kernel_at_once(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    env = {"LSTMSIM_CACHE_DIR": str(tmp_path)}
    with ThreadPoolExecutor(3) as pool:
        for done in pool.map(in_a_process, [env] * 3):
            assert (done.returncode, done.stdout) == (0, "[0.03, 0.0593]\n"), done.stderr


def test_a_mistake_in_the_text_of_an_operation_names_the_operation() -> None:
    if not lanes.vectors_available():
        pytest.skip("this numba cannot be taught vectors")
    numba, vectors = pytest.importorskip("numba"), sys.modules["lstmsim.engine.kernels.vectors"]
    wrong = vectors._formula("swish", "u * tanh()", ("u",))
    load = vectors.load
    with pytest.raises(TypeError, match=r"'swish', 'u \* tanh\(\)'.*missing 1 required"):
        numba.njit(lambda x: wrong(load(x, 0)))(np.zeros(64))


def test_a_mistake_in_a_kernel_is_not_taken_for_a_damaged_cache() -> None:
    numba = pytest.importorskip("numba")
    with pytest.raises(numba.NumbaError, match="unknown_word"):
        lanes.compiled("def apply(x, o):\n    unknown_word(x)\n", "float64", "scalar")


def test_vectors_compute_the_formulas_to_rounding() -> None:
    if not lanes.vectors_available():
        pytest.skip("this numba cannot be taught vectors")
    text = "def apply(x, y, o):\n    for b in range(o[0]):\n        i = b * LANES\n"
    text += "        store(y, i, NAME(load(x, i)))\n"
    for dtype, bound in (("float32", 1e-7), ("float64", 3e-16)):
        count = lanes.lane_count(dtype, "vector")
        values = np.concatenate([np.linspace(-12, 12, 64 * 500), [1e4, -1e4, 0, np.nan] * count])
        x = values.astype(dtype)
        exact = x.astype(np.longdouble)
        for name, expected in (
            ("tanh", np.tanh(exact)),
            ("sigmoid", 1 / (1 + np.exp(-np.clip(exact, -700, 700)))),
            ("relu", np.maximum(exact, 0)),
        ):
            y = np.empty_like(x)
            kernel = lanes.compiled(text.replace("NAME", name), dtype, "vector")
            kernel(x, y, np.array([len(x) // count]))
            assert np.isnan(y[np.isnan(x)]).all(), name
            error = np.abs(y - expected)[~np.isnan(x)].max()
            assert error <= bound, f"{name} in {dtype}: {float(error):.2e}"
