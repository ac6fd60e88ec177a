"""The report on a network's stability: conditions, invariant sets, and a summary."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from lstmsim.base import Report, Row, TableData, numbers, texts, words


@dataclass(frozen=True)
class Condition:
    """One condition on one layer, under one kind of bounds.

    Parameters
    ----------
    layer : str
        The layer's name.
    bounds : str
        "norm" (the literature's), "interval", or "scaled": interval in weighted norms.
    condition : str
        "ISS" or "δISS".
    holds : bool
        Whether the value is below 1 by more than rounding could account for.
    value : float
        The spectral radius of the comparison matrix; infinite where a gate saturates.
    margin : float
        1 − value.
    largest_term : str
        The bound or gain that has the largest share in the value.
    terms : tuple of (str, float)
        The share of each term; they add up to the value.  f is the memory through the forget
        gate, Rg, Ri, Rf and Ro the outer loop through the gates' recurrent gains.
    """

    layer: str
    bounds: str
    condition: str
    holds: bool
    value: float
    margin: float
    largest_term: str
    terms: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class InvariantSet:
    """A box that no trajectory of a layer's states leaves: |h| ≤ h, |c| ≤ c.

    Parameters
    ----------
    layer : str
        The layer's name.
    bounds : str
        "norm" or "interval"; the scaled condition has the box of the interval bounds.
    h, c : tuple of float
        Its size, unit by unit; c is infinite where the forget gate's bound is 1.
    holds_initial_state : bool
        Whether the network starts in it, and in the boxes of the layers before.
    """

    layer: str
    bounds: str
    h: tuple[float, ...]
    c: tuple[float, ...]
    holds_initial_state: bool


@dataclass(frozen=True)
class StabilityReport(Report):
    """The result of `stability`; ``str(report)`` is a table that a person reads.

    Parameters
    ----------
    input_bound : tuple of float
        Largest magnitude of each input.
    conditions : tuple of Condition
        Every condition, layer by layer.
    boxes : tuple of InvariantSet
        Boxes that the states do not leave, layer by layer.
    """

    input_bound: tuple[float, ...]
    conditions: tuple[Condition, ...]
    boxes: tuple[InvariantSet, ...]
    width = 80

    @property
    def incremental(self) -> bool:
        """Whether the network is certified to be incrementally input-to-state stable."""
        return not self._without("δISS")

    @property
    def iss(self) -> bool:
        """Whether the network is certified to be input-to-state stable."""
        return not self._without("ISS", "δISS")

    def _without(self, *names: str) -> list[str]:
        """Return the layers of which none of these conditions holds."""
        certified = {c.layer for c in self.conditions if c.holds and c.condition in names}
        return [n for n in dict.fromkeys(c.layer for c in self.conditions) if n not in certified]

    @property
    def summary(self) -> str:
        """The guarantees and their limits, in plain sentences."""
        given = sorted(set(self.input_bound))
        each = "|u| ≤ " if len(given) == 1 else "inputs within "
        shown = [f"{x:g}" for x in (given if len(given) == 1 else self.input_bound[:6])]
        within = f"{each}{', '.join(shown)}{', …' * (len(shown) < len(given))}"
        if self.incremental:
            lines = [
                f"Certified for {within}: two runs with the same input come together "
                "exponentially, from whatever states they start (incremental ISS, δISS), and "
                "states are bounded by input and biases (ISS)."
            ]
        elif self.iss:
            lines = [
                f"Certified for {within}: initial states are forgotten up to what input and "
                "biases keep up (ISS). Not certified: that two runs with the same input come "
                f"together (δISS). {self._obstacle('δISS')}"
            ]
        else:
            lines = [f"Nothing is certified for {within}. {self._obstacle('ISS')}"]
        if self.iss:
            inside = all(b.holds_initial_state for b in self.boxes if b.bounds == "interval")
            lines.append(
                "The network starts in the box of states in which this holds from the first "
                "sample on."
                if inside
                else "The network does not start in the box of states in which this holds from "
                "the first sample on: it holds from a later sample on."
            )
            lines.append("Nothing is said of larger inputs.")
        if not self.incremental:
            lines.append(
                "The conditions are sufficient, not necessary: what is not certified may "
                "still be stable."
            )
        return "\n".join(lines)

    def _obstacle(self, name: str) -> str:
        """Name the layer that is farthest from the condition, and the term that keeps it there."""
        best = {
            layer: min(
                (c for c in self.conditions if c.layer == layer and c.condition == name),
                key=lambda c: c.value,
            )
            for layer in self._without(name, "δISS")
        }
        worst = max(best.values(), key=lambda c: c.value)
        return f"In the way, in layer {worst.layer}: {worst.largest_term}."

    @property
    def title(self) -> str:
        """The heading of the report."""
        return "stability certificates"

    @property
    def tables(self) -> tuple[TableData, ...]:
        """The conditions: one holds where its value is below 1."""
        rows = []
        for c in self.conditions:
            value, margin = _number(c.value), _number(c.margin)
            holds = "holds" if c.holds else "–"
            cells = (c.layer, c.bounds, c.condition, value, margin, holds, c.largest_term)
            rows.append(Row(cells, "good" if c.holds else ""))
        columns = (
            *words("layer", "bounds", "condition"),
            *numbers("value < 1", "margin"),
            *words(""),
            *texts("largest term"),
        )
        return (TableData(columns, tuple(rows), self.title),)

    def __repr__(self) -> str:
        return f"<StabilityReport: iss={self.iss}, incremental={self.incremental}>"

    @property
    def content(self) -> dict[str, Any]:
        """All numbers."""
        verdict = {"iss": self.iss, "incremental": self.incremental, "summary": self.summary}
        return verdict | asdict(self)


def _number(value: float) -> str:
    if not math.isfinite(value):
        return "∞" if value > 0 else "−∞"
    return f"{value:.4f}" if abs(value) < 1e3 else f"{value:.2e}"
