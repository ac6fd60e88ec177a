"""Options of training: frozen, and checked when they are made."""

from __future__ import annotations

import dataclasses
import fnmatch
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lstmsim.base import (
    InvalidTypeError,
    InvalidValueError,
    number,
    one_of,
    precision,
    true_or_false,
    whole_number,
)
from lstmsim.engine import LOSSES
from lstmsim.training.optimizers import OPTIMIZERS, Adam, Optimizer
from lstmsim.training.schedules import Constant, Schedule

#: What happens to the states where a sequence ends.
CARRY = ("reset", "sequences", "epochs")


@dataclass(frozen=True)
class TrainingOptions:
    """How `fit` trains.

    Parameters
    ----------
    epochs : int, optional
        How many times all sequences are gone through.
    learning_rate : float, optional
        η of the first epoch, > 0.
    optimizer : Adam, RMSProp, SGD or str, optional
        With its own settings, or "adam", "rmsprop" or "sgd" with the usual ones.
    schedule : Constant, Piecewise or Cosine, optional
        How the learning rate changes from epoch to epoch.
    clip : float, optional
        Largest L2 norm of the gradient of each array; a longer one is scaled to it.
    clip_global : float, optional
        The same of the gradient of all arrays together, after `clip`.
    weight_decay : float, optional
        λ ≥ 0: λ·θ is added to the gradient, after clipping, as for a term λ/2·‖θ‖² in the loss.
    decayed : tuple of str, optional
        Patterns of the names that it is added to; all if not given.
    loss : str, optional
        "mse", the mean of squared errors over sequences, samples and outputs, or "half_mse".
    batch_size : int, optional
        How many sequences make one step; all if not given.
    shuffle : bool, optional
        Whether the sequences are put in a new order every epoch, where there are several steps.
    seed : int, optional
        Of that order.
    carry : str, optional
        "reset": every sequence begins with the initial states.  "sequences": it begins where the
        one before it ended, from the initial states anew every epoch.  "epochs": the first one
        begins where the last one of the epoch before ended.  Gradients end with the sequence.
    frozen : tuple of str, optional
        Names, or patterns such as "R*" (as of file names), of arrays that are not trained.
    train_states : bool, optional
        Whether initial states (h0, c0) are trained too: frozen otherwise.
    dtype : str, optional
        "float64", or "float32".
    engine : str, optional
        "numba", or "numpy", as for `lstmsim.compile`.
    patience : int, optional
        With validation data: stop after so many epochs without a lower loss on them.
    max_loss : float, optional
        A training loss beyond it counts as divergence; so does one that is not finite.
    constant_target : bool, optional
        Whether a target that never changes is meant.
    checkpoint : path, optional
        An `.npz` file to keep the state of training in; none if not given.
    checkpoint_every : int, optional
        After how many epochs it is written, again and again, and when training ends.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        If an option is not what it can be.

    Examples
    --------
    >>> TrainingOptions(epochs=100, learning_rate=0.01, clip=1.0).optimizer
    Adam(beta1=0.9, beta2=0.999, epsilon=1e-08)
    """

    epochs: int = 1000
    learning_rate: float = 1e-3
    optimizer: Optimizer | str = Adam()  # noqa: RUF009  (frozen)
    schedule: Schedule = Constant()  # noqa: RUF009
    clip: float | None = None
    clip_global: float | None = None
    weight_decay: float = 0.0
    decayed: tuple[str, ...] = ("*",)
    loss: str = "mse"
    batch_size: int | None = None
    shuffle: bool = True
    seed: int = 0
    carry: str = "reset"
    frozen: tuple[str, ...] = ()
    train_states: bool = False
    dtype: str = "float64"
    engine: str = "numba"
    patience: int | None = None
    max_loss: float = math.inf
    constant_target: bool = False
    checkpoint: Path | None = None
    checkpoint_every: int = 100

    def __post_init__(self) -> None:
        where = "the training options"
        whole_number(self.epochs, "epochs", where, 1)
        number(self.learning_rate, "learning_rate", where, above=0.0)
        number(self.weight_decay, "weight_decay", where, least=0.0)
        number(self.max_loss, "max_loss", where, above=0.0, finite=False)
        whole_number(self.seed, "seed", where, 0)
        whole_number(self.checkpoint_every, "checkpoint_every", where, 1)
        for name in ("clip", "clip_global"):
            if getattr(self, name) is not None:
                number(getattr(self, name), name, where, above=0.0)
        for name in ("batch_size", "patience"):
            if getattr(self, name) is not None:
                whole_number(getattr(self, name), name, where, 1)
        one_of(self.loss, "loss", where, tuple(LOSSES))
        one_of(self.carry, "carry", where, CARRY)
        from lstmsim.engine import ENGINES

        one_of(self.engine, "engine", where, ENGINES)
        self._set("dtype", precision(self.dtype).name)
        for name in ("shuffle", "train_states", "constant_target"):
            true_or_false(getattr(self, name), name, where)
        self._set("optimizer", _optimizer(self.optimizer, where))
        if isinstance(self.schedule, type) or not isinstance(self.schedule, Schedule):
            raise InvalidTypeError(
                "this is not a schedule",
                where=where,
                given=repr(self.schedule),
                expected="Constant(), Piecewise(drop, every) or Cosine(floor)",
                mend="for example schedule=ls.training.Piecewise(0.99, every=100)",
            )
        for name in ("frozen", "decayed"):
            self._set(name, _patterns(getattr(self, name), name, where))
        if self.checkpoint is not None:
            self._set("checkpoint", Path(self.checkpoint))
        if self.carry != "reset" and self.batch_size is not None and self.shuffle:
            raise InvalidValueError(
                "sequences whose states are carried on cannot be shuffled",
                where=where,
                given=f"carry={self.carry!r}, batch_size={self.batch_size}, shuffle=True",
                expected="sequences in the order of time",
                mend="shuffle=False",
            )

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def rate(self, epoch: int) -> float:
        """Return the learning rate of an epoch, counted from 0."""
        return self.learning_rate * self.schedule.factor(epoch, self.epochs)

    @property
    def update_rule(self) -> Optimizer:
        """The optimizer, also where it was given by name."""
        assert not isinstance(self.optimizer, str)  # names are replaced when options are made
        return self.optimizer

    def decays(self, name: str) -> bool:
        """Whether an array is one that the weight decay is added to."""
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in self.decayed)


def _optimizer(value: Any, where: str) -> Optimizer:
    if isinstance(value, str):
        one_of(value, "optimizer", where, tuple(OPTIMIZERS))
        return OPTIMIZERS[value]()
    if isinstance(value, Optimizer) and not isinstance(value, type):
        return value
    raise InvalidTypeError(
        "this is not an optimizer",
        where=where,
        given=repr(value),
        expected=f"{', '.join(map(repr, OPTIMIZERS))}, or Adam(...), RMSProp(...), SGD(...)",
    )


def _patterns(value: Any, name: str, where: str) -> tuple[str, ...]:
    found = (value,) if isinstance(value, str) else value
    found = tuple(found) if isinstance(found, Iterable) else (found,)
    if not all(isinstance(pattern, str) for pattern in found):
        raise InvalidTypeError(
            f"{name} is not a list of names",
            where=where,
            given=repr(value),
            expected='names or patterns, for example ("R", "b*")',
        )
    return found


def combined(options: TrainingOptions | None, changes: dict[str, Any]) -> TrainingOptions:
    """Return options with some of them changed.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        If there is no option of a name, or its value is not what it can be.
    """
    if options is not None and not isinstance(options, TrainingOptions):
        raise InvalidTypeError(
            "these are not training options",
            where="fit",
            given=type(options).__name__,
            expected="TrainingOptions(...), or options by name: fit(network, u, y, epochs=100)",
        )
    known = [field.name for field in dataclasses.fields(TrainingOptions)]
    unknown = [name for name in changes if name not in known]
    if unknown:
        raise InvalidTypeError(
            "there is no training option of this name",
            where="fit",
            given=", ".join(unknown),
            expected=", ".join(known),
        )
    return dataclasses.replace(options or TrainingOptions(), **changes)
