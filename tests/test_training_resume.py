"""Training that is killed, interrupted, or cannot write: nothing is lost."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmsim as ls
from lstmsim.errors import DataFileError, FileAccessError, InvalidValueError
from lstmsim.training import SGD, Cosine, RMSProp, TrainingInterrupted
from tests.conftest import random_input, random_network
from tests.helpers import assert_same, refused

NETWORK = random_network(3, inputs=2, outputs=2, seed=3)
RNG = np.random.default_rng(0)
U = [RNG.normal(size=(n, 2)) for n in (6, 9, 6, 7, 9)]
Y = [0.4 * np.cumsum(u, axis=0) for u in U]
HELD_OUT = (random_input(NETWORK, 8), random_input(NETWORK, 8, seed=2))

#: Ways to train, of which each has something else to remember.
WAYS: dict[str, dict[str, Any]] = {
    "all at once": {},
    "mini-batches in a seeded order": {"batch_size": 2, "seed": 4},
    "states carried on": {"carry": "epochs", "shuffle": False, "batch_size": 1},
    "validation": {"validation": HELD_OUT, "patience": 500},
    "momentum in single precision": {"optimizer": SGD(0.9), "dtype": "float32"},
    "a cosine": {"schedule": Cosine(), "optimizer": RMSProp(), "clip": 0.1},
}


def train(epochs: int = 30, **options: Any) -> ls.TrainingResult:
    settings = {"learning_rate": 0.02, "epochs": epochs, **options}
    return ls.fit(NETWORK, U, Y, **settings)


def assert_same_training(a: ls.TrainingResult, b: ls.TrainingResult) -> None:
    for name, array in a.parameters.items():
        assert_same(b.parameters[name], array, name)
    for name in a.history:
        assert_same(b.history[name].values, a.history[name].values, str(name))
    said = [(r.reason, r.epochs, r.best_epoch, r.loss, r.validation_loss) for r in (a, b)]
    assert said[0] == said[1]


class EnoughError(Exception):
    pass


def stopped_after(epoch: int, **options: Any) -> None:
    """Train as if the process had ended at once after an epoch."""

    def progress(done: int, *rest: Any) -> None:
        if done >= epoch:
            raise EnoughError

    with pytest.raises(EnoughError):
        train(progress=progress, **options)


@pytest.fixture
def every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress is reported after every epoch."""
    monkeypatch.setattr(sys.modules["lstmsim.training.fitting"], "_REPORT", 0.0)


@pytest.mark.usefixtures("every_epoch")
@pytest.mark.parametrize("way", WAYS)
def test_training_goes_on_to_the_same_bits_however_often_it_ends(way: str, tmp_path: Path) -> None:
    whole = train(**WAYS[way])
    options = WAYS[way] | {"checkpoint": tmp_path / "ck.npz", "checkpoint_every": 4}
    for epoch in (3, 7, 8, 15, 29):
        stopped_after(epoch, resume=True, **options)
    assert_same_training(whole, train(resume=True, **options))
    # And when all is done there is nothing left to do.
    assert_same_training(whole, train(resume=True, **options))
    assert os.listdir(tmp_path) == ["ck.npz"]


def test_a_checkpoint_may_go_on_for_more_epochs(tmp_path: Path) -> None:
    path = tmp_path / "ck.npz"
    train(10, checkpoint=path)
    assert_same_training(train(25), train(25, checkpoint=path, resume=True))
    with refused(InvalidValueError, "epochs=10", "after epoch 25"):
        train(10, checkpoint=path, resume=True)


DIFFERENT: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "learning rate": ({"learning_rate": 0.03}, ("learning_rate=0.03, not 0.02",)),
    "optimizer": ({"optimizer": "sgd"}, ("optimizer=SGD", "not Adam")),
    "clip": ({"clip": 1.0}, ("clip=1.0, not None",)),
    "precision": ({"dtype": "float32"}, ("dtype='float32', not 'float64'",)),
    "frozen names": ({"frozen": "R"}, ("frozen=('R',), not ()",)),
    "seed": ({"seed": 1}, ("seed=1, not 0",)),
    "validation data": ({"validation": HELD_OUT}, ("validation data",)),
    "schedule": ({"schedule": Cosine()}, ("schedule=Cosine", "over 30 epochs")),
}


@pytest.mark.parametrize("what", DIFFERENT)
def test_a_checkpoint_of_other_options_is_refused_by_name(what: str, tmp_path: Path) -> None:
    path = tmp_path / "ck.npz"
    train(3, checkpoint=path)
    before = path.read_bytes()
    options, words = DIFFERENT[what]
    with refused(InvalidValueError, "another training", str(path), *words):
        train(checkpoint=path, resume=True, **options)
    assert path.read_bytes() == before


def test_a_checkpoint_of_another_network_or_other_data_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "ck.npz"
    train(3, checkpoint=path)
    options: dict[str, Any] = {"learning_rate": 0.02, "checkpoint": path, "resume": True}
    with refused(InvalidValueError, "other diagram; other arrays before training"):
        ls.fit(random_network(4, inputs=2, outputs=2), U, Y, **options)
    with refused(InvalidValueError, "given:    other arrays before training\n"):
        ls.fit(random_network(3, inputs=2, outputs=2, seed=5), U, Y, **options)
    with refused(InvalidValueError, "given:    other training data\n"):
        ls.fit(NETWORK, U, [y + 1e-15 for y in Y], **options)


def test_a_checkpoint_is_not_overwritten_by_a_new_training(tmp_path: Path) -> None:
    path = tmp_path / "ck.npz"
    train(3, checkpoint=path)
    with refused(FileAccessError, "already", "resume=True"):
        train(3, checkpoint=path)
    with refused(InvalidValueError, "no checkpoint"):
        train(3, resume=True)
    with refused(DataFileError, ".txt", ".npz"):
        train(3, checkpoint=tmp_path / "ck.txt")
    with refused(FileAccessError, "folder"):
        train(3, checkpoint=tmp_path / "nowhere" / "ck.npz")


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ck.npz"
    train(3, checkpoint=path)
    whole = path.read_bytes()
    random = np.random.default_rng(1)
    damages = [b"", b"not a zip", whole[: len(whole) // 2], whole[:-1]]
    for _ in range(40):
        at = int(random.integers(len(whole)))
        damages.append(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
    expected = train(6)
    refusals = 0
    for content in damages:
        path.write_bytes(content)
        try:
            result = train(6, checkpoint=path, resume=True)
        except DataFileError:
            refusals += 1
            assert path.read_bytes() == content
        else:  # a byte of the archive that says nothing
            assert_same_training(expected, result)
    assert refusals >= len(damages) * 3 // 4


def test_a_checkpoint_without_an_array_or_with_objects_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ck.npz"
    train(3, checkpoint=path)
    with np.load(path) as loaded:
        arrays = {name: loaded[name] for name in loaded.files}
    for changed in (
        {k: v for k, v in arrays.items() if k != "memory1"},
        {**arrays, "pool": arrays["pool"][:-1]},
        {**arrays, "good": arrays["good"].astype(np.float32)},
        {**arrays, "about": np.array("{}")},
        {**arrays, "pool": np.array([{"code": 1}], dtype=object)},
    ):
        np.savez(path, **changed)
        with refused(DataFileError, "damaged", "begin anew"):
            train(6, checkpoint=path, resume=True)


def test_a_file_of_another_kind_is_no_checkpoint_and_is_not_to_be_removed(tmp_path: Path) -> None:
    path = tmp_path / "workspace.npz"
    np.savez(path, W=np.ones(2), Ts=0.1)
    with refused(DataFileError, "this is not a checkpoint", "arrays W, Ts"):
        train(6, checkpoint=path, resume=True)
    path.write_text("hello")
    with pytest.raises(DataFileError, match="is it the right path") as caught:
        train(6, checkpoint=path, resume=True)
    assert "pickle" not in str(caught.value)


def no_room(self: Path, data: Any) -> int:
    """Write half of a file, and then find the disk full."""
    with self.open("wb") as file:
        file.write(bytes(data)[: len(data) // 2])
    raise OSError(28, "No space left on device")


def test_a_full_disk_stops_no_training_and_costs_no_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ck.npz"
    train(4, checkpoint=path)
    before = path.read_bytes()
    monkeypatch.setattr(Path, "write_bytes", no_room)
    with pytest.warns(UserWarning, match="No space left") as caught:
        result = train(12, checkpoint=path, checkpoint_every=4, resume=True)
    monkeypatch.undo()
    assert ["after epoch 8, training goes on" in str(w.message) for w in caught] == [True]
    assert_same_training(train(12), result)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["ck.npz"]


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.usefixtures("every_epoch")
def test_an_interrupt_ends_after_the_epoch_and_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ck.npz"

    def progress(done: int, *rest: Any) -> None:
        if done == 5:
            interrupt()

    with pytest.raises(TrainingInterrupted) as caught:
        train(checkpoint=path, progress=progress)
    assert "resume=True" in str(caught.value)
    assert str(path) in str(caught.value)
    result = caught.value.result
    assert (result.reason, result.epochs) == ("interrupted", 5)
    assert_same(result.parameters["W"], train(5).parameters["W"])
    assert_same_training(train(), train(checkpoint=path, resume=True))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

    with pytest.raises(TrainingInterrupted, match="nothing was saved"):
        train(progress=progress)

    monkeypatch.setattr(Path, "write_bytes", no_room)
    with (
        pytest.raises(TrainingInterrupted, match="its state was not saved"),
        pytest.warns(UserWarning, match="No space left"),
    ):
        train(checkpoint=tmp_path / "other.npz", progress=progress)

    def twice(done: int, *rest: Any) -> None:
        interrupt()
        interrupt()

    with pytest.raises(KeyboardInterrupt) as impatient:
        train(progress=twice)
    assert not isinstance(impatient.value, TrainingInterrupted)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def train_in_a_process(path: Path, epochs: int, begun: Any) -> None:
    """Train, go on from what there is, and say when the first epoch is done."""
    train(
        epochs, batch_size=2, checkpoint=path, checkpoint_every=3, resume=True,
        progress=lambda *said: begun.send(said),
    )  # fmt: skip


@pytest.mark.slow
def test_a_process_that_is_killed_at_any_moment_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    epochs, kills = 2400, 20
    expected = train(epochs, batch_size=2)
    # Forked, so that each begins at once: importing everything anew takes seconds.
    context = multiprocessing.get_context("fork")
    random = np.random.default_rng(11)
    path = tmp_path / "ck.npz"
    reached = [0]
    for _ in range(kills):
        begun, end = context.Pipe(duplex=False)
        process = context.Process(target=train_in_a_process, args=(path, epochs, end))
        process.start()
        reached.append(begun.recv()[0])
        time.sleep(random.uniform(0, 0.1))
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL, f"it was done after epoch {reached[-1]}"
        begun.close()
        end.close()
    print("the epochs that it went on to:", reached)
    assert reached == sorted(reached)
    assert 3 * kills < reached[-1] < epochs
    assert_same_training(expected, train(epochs, batch_size=2, checkpoint=path, resume=True))
    assert os.listdir(tmp_path) == ["ck.npz"]
