"""The loss over sequences of any lengths, in groups of one length."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from lstmsim.base import Array
from lstmsim.engine import Compiled, Objective
from lstmsim.training.data import Sequence

States = dict[str, Array] | None


#: How many objectives of different numbers and lengths of sequences stay ready; each holds
#: buffers for all signals of a run.
_MOST_OBJECTIVES = 16


class Group(NamedTuple):
    """Sequences of one length, evaluated together.

    Parameters
    ----------
    members : tuple of int
        The numbers of the sequences.
    samples : int
        How many samples they have together.
    weight : float
        Their share of the loss.
    """

    members: tuple[int, ...]
    samples: int
    weight: float


class Losses:
    """The mean loss over some of the sequences, and its gradient.

    Every element of every target counts the same, however long its sequence is.

    Parameters
    ----------
    compiled : Compiled
        The diagram.
    sequences : list of Sequence
        The sequences.
    loss : str
        "mse" or "half_mse".
    carry : bool
        Whether a sequence begins with the states that the one before it left.
    """

    def __init__(
        self, compiled: Compiled, sequences: list[Sequence], loss: str, carry: bool
    ) -> None:
        self._compiled, self._sequences = compiled, sequences
        self._loss, self._carry = loss, carry
        self._objectives: dict[tuple[int, int], tuple[Objective, tuple[int, ...]]] = {}
        #: The states after the last sequence, where states are carried.
        self.final_states: States = None
        self.all = self.groups(range(len(sequences)))
        one = self._objective(self.all[0])
        self.layout, self.initial = one.layout, one.initial()
        self._sum = np.empty_like(self.initial)

    def groups(self, which: Iterable[int]) -> list[Group]:
        """Return sequences in groups of one length; carried on, each by itself and in order."""
        members = [int(k) for k in which]
        lengths = [len(self._sequences[k]) for k in members]
        parts: list[tuple[int, ...]]
        if self._carry:
            parts = [(k,) for k in members]
        else:
            parts = [
                tuple(k for k, n in zip(members, lengths, strict=True) if n == length)
                for length in dict.fromkeys(lengths)
            ]
        total = sum(lengths)
        sizes = [len(part) * len(self._sequences[part[0]]) for part in parts]
        return [Group(part, size, size / total) for part, size in zip(parts, sizes, strict=True)]

    def _objective(self, group: Group) -> Objective:
        """Return an objective that holds the sequences of a group."""
        members = group.members
        key = (len(members), group.samples)
        if key not in self._objectives:
            if len(self._objectives) == _MOST_OBJECTIVES:
                del self._objectives[next(iter(self._objectives))]
            inputs, target = self._stacked(members)
            objective = Objective(self._compiled, inputs, target, self._loss)
            self._objectives[key] = (objective, members)
            return objective
        objective, bound = self._objectives[key]
        if bound != members:
            objective.bind(*self._stacked(members))
            self._objectives[key] = (objective, members)
        return objective

    def _stacked(self, members: tuple[int, ...]) -> tuple[dict[str, Array], Array]:
        chosen = [self._sequences[k] for k in members]
        if len(chosen) == 1:
            return dict(chosen[0].inputs), chosen[0].target
        inputs = {name: np.stack([s.inputs[name] for s in chosen]) for name in chosen[0].inputs}
        return inputs, np.stack([s.target for s in chosen])

    def gradient(
        self, values: Array, groups: list[Group], state: States = None
    ) -> tuple[float, Array]:
        """Return the loss over groups and its gradient, which the next call may overwrite."""
        if len(groups) == 1:
            objective = self._objective(groups[0])
            loss, gradient = objective(values, state)
            if self._carry:
                self.final_states = _copied(objective.final_states)
            return loss, gradient
        total = 0.0
        self._sum[...] = 0
        for group in groups:
            objective = self._objective(group)
            loss, gradient = objective(values, state)
            total += group.weight * loss
            self._sum += group.weight * gradient
            if self._carry:
                state = self.final_states = _copied(objective.final_states)
        return total, self._sum

    def loss(self, values: Array, state: States = None) -> float:
        """Return the loss over all sequences alone."""
        total = 0.0
        for group in self.all:
            objective = self._objective(group)
            total += group.weight * objective.loss(values, state)
            if self._carry:
                state = _copied(objective.final_states)
        return total


def _copied(states: dict[str, Array]) -> dict[str, Array]:
    return {name: np.array(value) for name, value in states.items()}
