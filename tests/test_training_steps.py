"""Single steps of training: optimizers, schedules, clipping, weight decay, options."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lstmsim as ls
from lstmsim.errors import InvalidTypeError, InvalidValueError
from lstmsim.training import SGD, Adam, Constant, Cosine, Piecewise, RMSProp
from tests.conftest import random_input, random_network, workspace_of
from tests.helpers import assert_close, assert_same, refused

STEPS, RATE = 100, 0.03
START = np.array([1.5, -0.75, 0.1, 3.0, -2.0])
#: Gradients of several scales that depend a little on the values.  (Where they depend on them
#: alone, RMSProp jumps about the minimum without end, and two right ones part by rounding.)
SCALES = np.array([1.0, 0.01, 10.0, 0.3, 2.0])
DRAWN = np.random.RandomState(5489).random_sample((STEPS, 5)) - 0.3


def slope(step: int, values: Any) -> Any:
    return SCALES * (DRAWN[step] + 0.1 * np.sin(values))


def followed(optimizer: Any, steps: int, dtype: str = "float64") -> np.ndarray:
    """Return the values after every step of ours."""
    values = START.astype(dtype)
    memory = {name: np.zeros(5, dtype) for name in (*optimizer.memory, "a", "b")}
    found = []
    for count in range(1, steps + 1):
        gradient = slope(count - 1, values.astype(float)).astype(dtype)
        optimizer.step(values, gradient, RATE, count, memory)
        found.append(values.copy())
    return np.array(found)


PAIRS: dict[str, tuple[Any, Callable[[Any, Any], Any]]] = {
    "adam": (Adam(), lambda torch, p: torch.optim.Adam(p, lr=RATE)),
    "adam with other settings": (
        Adam(0.7, 0.95, 1e-4),
        lambda torch, p: torch.optim.Adam(p, lr=RATE, betas=(0.7, 0.95), eps=1e-4),
    ),
    "rmsprop": (RMSProp(), lambda torch, p: torch.optim.RMSprop(p, lr=RATE)),
    "rmsprop with other settings": (
        RMSProp(0.9, 1e-3),
        lambda torch, p: torch.optim.RMSprop(p, lr=RATE, alpha=0.9, eps=1e-3),
    ),
    "sgd": (SGD(), lambda torch, p: torch.optim.SGD(p, lr=RATE)),
    "momentum": (SGD(0.9), lambda torch, p: torch.optim.SGD(p, lr=RATE, momentum=0.9)),
}


@pytest.mark.parametrize("name", PAIRS)
def test_an_optimizer_steps_as_pytorch_s(name: str) -> None:
    torch = pytest.importorskip("torch")
    optimizer, make = PAIRS[name]
    values = torch.tensor(START, dtype=torch.float64)
    theirs = make(torch, [values])
    expected = []
    for step in range(STEPS):
        values.grad = torch.tensor(slope(step, values.numpy()))
        theirs.step()
        expected.append(values.numpy().copy())
    assert_close(followed(optimizer, STEPS), np.array(expected), 1e-12, name)


#: After 100 steps of PyTorch 2.13 in double precision.
STORED: dict[str, list[float]] = {
    "adam": [
        -0.19794807865393294,
        -1.9713165143630444,
        -1.3703875809259476,
        0.9601268235956445,
        -3.106007272574844,
    ],
    "rmsprop": [
        -1.0857650106147703,
        -3.3656031267845834,
        -2.52501027545527,
        -0.530660874576301,
        -5.672809406804641,
    ],
    "momentum": [
        -1.9149116538097217,
        -0.7903567779103805,
        -60.47684557620982,
        0.8096115584462307,
        -11.111814676978444,
    ],
}


@pytest.mark.parametrize("name", STORED)
def test_an_optimizer_ends_where_pytorch_s_ended(name: str) -> None:
    assert_close(followed(PAIRS[name][0], STEPS)[-1], np.array(STORED[name]), 1e-12, name)


@pytest.mark.parametrize("name", PAIRS)
def test_an_optimizer_keeps_to_single_precision(name: str) -> None:
    single = followed(PAIRS[name][0], 20, "float32")
    assert single.dtype == np.float32
    assert_close(single.astype(float), followed(PAIRS[name][0], 20), 1e-4, name)


def test_the_first_step_of_adam_is_the_learning_rate_whatever_the_gradient() -> None:
    values, start = START.copy(), START.copy()
    memory = {name: np.zeros(5) for name in "mvab"}
    Adam(epsilon=1e-300).step(values, np.array([1e-9, -1e6, 3.0, -0.2, 7.0]), RATE, 1, memory)
    assert_close(values - start, RATE * np.array([-1, 1, -1, 1, -1.0]), 1e-15, "step")


def test_schedules() -> None:
    options = ls.TrainingOptions(epochs=1000, learning_rate=0.04)
    piecewise = ls.TrainingOptions(
        epochs=1000, learning_rate=0.04, schedule=Piecewise(0.98, every=100)
    )
    cosine = ls.TrainingOptions(epochs=1000, learning_rate=0.04, schedule=Cosine(floor=0.1))
    assert [options.rate(k) for k in (0, 99, 999)] == [0.04] * 3
    assert [piecewise.rate(k) for k in (0, 99)] == [0.04, 0.04]
    assert piecewise.rate(100) == 0.04 * 0.98
    assert_close(piecewise.rate(999), 0.04 * 0.98**9, 1e-15)
    assert cosine.rate(0) == 0.04
    assert_close(cosine.rate(500), 0.04 * 0.55, 1e-15)
    assert_close(cosine.rate(1000), 0.004, 1e-15)
    assert Constant().factor(7, 10) == 1.0


def one_step(**options: Any) -> tuple[ls.TrainingResult, dict[str, np.ndarray]]:
    """Return one step of plain gradient descent with rate 1, and how far it has gone."""
    network = random_network(2, inputs=3, outputs=2, bias=True, seed=4)
    u = random_input(network, 9)
    target = np.random.default_rng(8).normal(size=(9, 2))
    settings = {"epochs": 1, "learning_rate": 1.0, "optimizer": "sgd", **options}
    result = ls.fit(network, u, target, **settings)
    before = ls.fit(network, u, target, frozen="F", epochs=1, learning_rate=1e-300).parameters
    return result, {name: before[name] - result.parameters[name] for name in result.trained}


def test_a_step_of_gradient_descent_is_the_gradient() -> None:
    result, steps = one_step()
    network = random_network(2, inputs=3, outputs=2, bias=True, seed=4)
    u = random_input(network, 9)
    target = np.random.default_rng(8).normal(size=(9, 2))
    loss, gradient = ls.compile(ls.build(network)).loss_and_gradient(u, target)
    stacked = {
        "W": np.concatenate([gradient[f"W{gate}"] for gate in "ifgo"]),
        "R": np.concatenate([gradient[f"R{gate}"] for gate in "ifgo"]),
        "b": np.concatenate([gradient[f"b{gate}"] for gate in "ifgo"]),
        "F": gradient["Fh"],
        "bF": gradient["by"],
    }
    assert_close(result.history.loss.values, [loss], 1e-14, "loss")
    for name, expected in stacked.items():
        assert_close(steps[name], expected, 1e-12, name)
        norm = float(result.history.gradient_norm.sel(array=name)[0])
        assert_close(norm, np.linalg.norm(expected), 1e-12, f"norm of {name}")


def test_clipping_scales_the_gradient_of_each_array_that_is_too_long() -> None:
    _, free = one_step()
    norms = {name: float(np.linalg.norm(step)) for name, step in free.items()}
    bound = sorted(norms.values())[2]  # two arrays below, two above
    result, clipped = one_step(clip=bound)
    for name, step in free.items():
        assert_close(clipped[name], step * min(1, bound / norms[name]), 1e-12, name)
        assert_close(float(result.history.gradient_norm.sel(array=name)[0]), norms[name], 1e-12)
    assert len({n for n in norms if norms[n] > bound}) == 2


def test_global_clipping_scales_all_of_it_alike() -> None:
    _, free = one_step()
    norm = math.sqrt(sum(float(np.sum(step**2)) for step in free.values()))
    _, clipped = one_step(clip_global=norm / 3)
    for name, step in free.items():
        assert_close(clipped[name], step / 3, 1e-12, name)
    _, loose = one_step(clip_global=norm * 1.001, clip=norm)
    for name, step in free.items():
        assert_same(loose[name], step, name)


def test_both_clippings_clip_each_array_first() -> None:
    _, free = one_step()
    each = {name: 0.01 / float(np.linalg.norm(step)) for name, step in free.items()}
    assert max(each.values()) < 1
    _, clipped = one_step(clip=0.01, clip_global=0.01)
    for name, step in free.items():
        assert_close(clipped[name], step * each[name] / math.sqrt(len(free)), 1e-12, name)


def test_weight_decay_adds_a_fraction_of_the_weights_to_the_gradient() -> None:
    _, free = one_step()
    _, decayed = one_step(weight_decay=0.25, decayed=("W", "b*"))
    network = random_network(2, inputs=3, outputs=2, bias=True, seed=4)
    layer, head = network.recurrent[0], network.head
    assert head is not None
    expected = {"W": layer.W, "b": layer.b, "bF": head.bias, "R": 0 * layer.R, "F": 0 * head.F}
    for name, array in expected.items():
        assert_close(decayed[name] - free[name], 0.25 * array, 1e-12, name)


BAD_OPTIONS: dict[str, tuple[dict[str, Any], type[Exception]]] = {
    "no epochs": ({"epochs": 0}, InvalidValueError),
    "half an epoch": ({"epochs": 2.5}, InvalidTypeError),
    "a zero learning rate": ({"learning_rate": 0.0}, InvalidValueError),
    "a negative learning rate": ({"learning_rate": -0.1}, InvalidValueError),
    "an infinite learning rate": ({"learning_rate": math.inf}, InvalidValueError),
    "a learning rate that is no number": ({"learning_rate": math.nan}, InvalidValueError),
    "text for a learning rate": ({"learning_rate": "fast"}, InvalidTypeError),
    "a negative clip": ({"clip": -1.0}, InvalidValueError),
    "a zero global clip": ({"clip_global": 0.0}, InvalidValueError),
    "negative weight decay": ({"weight_decay": -0.1}, InvalidValueError),
    "an unknown optimizer": ({"optimizer": "lion"}, InvalidValueError),
    "an optimizer of another kind": ({"optimizer": Adam}, InvalidTypeError),
    "an unknown schedule": ({"schedule": "cosine"}, InvalidTypeError),
    "an unknown loss": ({"loss": "mae"}, InvalidValueError),
    "an unknown way with states": ({"carry": "always"}, InvalidValueError),
    "an unknown precision": ({"dtype": "float16"}, InvalidValueError),
    "an unknown engine": ({"engine": "bdsim"}, InvalidValueError),
    "an empty batch": ({"batch_size": 0}, InvalidValueError),
    "a negative seed": ({"seed": -1}, InvalidValueError),
    "no patience": ({"patience": 0}, InvalidValueError),
    "patterns that are no text": ({"frozen": (1, 2)}, InvalidTypeError),
    "an option that does not exist": ({"epoch": 3}, InvalidTypeError),
    "a shuffle that is no yes or no": ({"shuffle": "no"}, InvalidTypeError),
    "states carried through a shuffle": ({"carry": "epochs", "batch_size": 1}, InvalidValueError),
    "no interval of checkpoints": ({"checkpoint_every": 0}, InvalidValueError),
}


@pytest.mark.parametrize("name", BAD_OPTIONS)
def test_an_option_out_of_its_range_is_named(name: str) -> None:
    options, kind = BAD_OPTIONS[name]
    network = random_network(2)
    with refused(kind, next(iter(options)), "expected"):
        ls.fit(network, random_input(network, 5), np.eye(5, 2), **options)


BAD_SETTINGS: list[Callable[[], Any]] = [
    lambda: Adam(beta1=1.0),
    lambda: Adam(beta2=-0.1),
    lambda: Adam(epsilon=0.0),
    lambda: RMSProp(decay=1.5),
    lambda: SGD(momentum=1.0),
    lambda: Piecewise(0.0, 10),
    lambda: Piecewise(0.5, 0),
    lambda: Cosine(floor=1.1),
]


@pytest.mark.parametrize("make", BAD_SETTINGS)
def test_a_setting_out_of_its_range_is_refused(make: Callable[[], Any]) -> None:
    with pytest.raises(InvalidValueError, match=r"out of its range|too small"):
        make()


def test_options_are_taken_over_and_changed_by_name() -> None:
    options = ls.TrainingOptions(epochs=7, frozen=["R"], optimizer="sgd")  # type: ignore[arg-type]
    assert (options.frozen, options.optimizer) == (("R",), SGD())
    network = random_network(2)
    result = ls.fit(network, random_input(network, 5), np.eye(5, 2), options, epochs=3)
    assert result.epochs == 3
    assert "R" not in result.trained
    with refused(InvalidTypeError, "dict"):
        ls.fit(network, random_input(network, 5), np.eye(5, 2), {"epochs": 3})  # type: ignore


@pytest.mark.parametrize("carry", ["reset", "sequences", "epochs"])
@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_a_stack_trains_as_pytorchs_on_sequences_of_unequal_length(
    carry: str, batch_size: int
) -> None:
    torch = pytest.importorskip("torch")
    network = random_network((4, 3), inputs=2, bias=True, seed=11)
    random = np.random.default_rng(0)
    inputs = [random.normal(size=(n, 2)) for n in (7, 12, 7, 1, 20)]
    targets = [random.normal(size=(len(u), 2)) for u in inputs]
    result = ls.fit(
        network,
        inputs,
        targets,
        epochs=3,
        learning_rate=0.05,
        optimizer="sgd",
        carry=carry,
        train_states=True,
        batch_size=batch_size,
        shuffle=False,
    )
    begun = {name: torch.tensor(np.array(v)) for name, v in workspace_of(network).items()}
    arrays = {k: v.requires_grad_() for k, v in begun.items() if k != "Ts"}

    def run(u: np.ndarray, states: list[Any]) -> tuple[Any, list[Any]]:
        rows = []
        for x in torch.tensor(u):
            for k in (0, 1):
                h, c = states[k]
                W, R, b = (arrays[f"{name}{k + 1}"] for name in "WRb")
                i, f, g, o = (W @ x + R @ h + b).split(len(h))
                c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
                x = torch.sigmoid(o) * torch.tanh(c)
                states[k] = (x, c)
            rows.append(arrays["F"] @ x + arrays["bF"])
        return torch.stack(rows), states

    carried: list[Any] | None = None
    for _ in range(3):
        carried = None if carry == "sequences" else carried
        for first in range(0, 5, batch_size):
            total, count = torch.zeros(()), 0
            for k in range(first, min(first + batch_size, 5)):
                own = [(arrays[f"h0{n}"], arrays[f"c0{n}"]) for n in (1, 2)]
                y, states = run(inputs[k], own if carried is None else list(carried))
                total = total + ((y - torch.tensor(targets[k])) ** 2).sum()
                count += y.numel()
                if carry != "reset":
                    carried = [(h.detach(), c.detach()) for h, c in states]
            found = torch.autograd.grad(total / count, list(arrays.values()), allow_unused=True)
            with torch.no_grad():
                for array, gradient in zip(arrays.values(), found, strict=True):
                    if gradient is not None:
                        array -= 0.05 * gradient
    assert result.network is not None
    for name, value in workspace_of(result.network).items():
        if name != "Ts":
            assert_close(value, arrays[name].detach().numpy(), 1e-13, name)
