"""What is trained, on what, and how: all of it checked before the first epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lstmsim.base import InvalidTypeError, InvalidValueError
from lstmsim.engine import Compiled
from lstmsim.training.data import Sequence, check_varies, sequences
from lstmsim.training.losses import Losses
from lstmsim.training.options import TrainingOptions
from lstmsim.training.parameters import ParameterMap, ParameterSource, map_parameters

Data = npt.ArrayLike | Mapping[str, npt.ArrayLike] | list[Any] | None


@dataclass(frozen=True)
class Problem:
    """What is trained, on what, and how.

    Parameters
    ----------
    compiled : Compiled
        The diagram.
    source : ParameterSource
        Whose arrays are trained.
    parameters : ParameterMap
        The trained arrays.
    losses, validation : Losses
        The loss on the training data, and on the validation data if there are any.
    options : TrainingOptions
        How.
    sequences, held_out : list of Sequence
        The training data, and the validation data if there are any, in the precision of training.
    """

    compiled: Compiled
    source: ParameterSource
    parameters: ParameterMap
    losses: Losses
    validation: Losses | None
    options: TrainingOptions
    sequences: list[Sequence]
    held_out: list[Sequence] | None

    def loss(self, pool: npt.NDArray[Any]) -> float:
        """Return the training loss of a pool; see `ParameterMap.pool`."""
        engine = np.empty(len(self.parameters.index), pool.dtype)
        self.parameters.spread(pool, engine)
        return self.losses.loss(engine)


def training_problem(
    compiled: Compiled,
    source: ParameterSource,
    options: TrainingOptions,
    data: tuple[Data, Data],
    validation: tuple[Data, Data] | None,
) -> Problem:
    """Return what is to be done, if all of it fits together.

    Raises
    ------
    InvalidTypeError, InvalidValueError, ShapeError, DiagramError
        If model, data and options do not fit one another.
    """
    given = sequences(compiled, *data)
    if not options.constant_target:
        check_varies(given)
    held_out = None
    if validation is not None:
        if not isinstance(validation, tuple | list) or len(validation) != 2:
            raise InvalidTypeError(
                "the validation data are not an input and a target",
                where="validation",
                given=type(validation).__name__,
                expected="validation=(u, y)",
            )
        held_out = sequences(compiled, *validation, "validation")
    elif options.patience is not None:
        raise InvalidValueError(
            "without validation data there is nothing to be patient with",
            where="patience",
            given=f"patience={options.patience}, no validation data",
            expected="validation=(u, y)",
            mend="pass validation data, or leave patience out",
        )
    carry = options.carry != "reset"

    losses = Losses(compiled, given, options.loss, carry)
    mapped = map_parameters(source, losses.layout, options.frozen, options.train_states)
    if options.weight_decay and not any(map(options.decays, mapped.arrays)):
        raise InvalidValueError(
            "the weight decay is for none of the trained arrays",
            where="decayed",
            given=", ".join(map(repr, options.decayed)) or "no name",
            expected=f"names, or patterns, of: {', '.join(mapped.arrays)}",
        )
    others = None if held_out is None else Losses(compiled, held_out, options.loss, carry)
    return Problem(compiled, source, mapped, losses, others, options, given, held_out)
