"""What the study begins with: the published example, and how much of it is computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lstmsim.networks import Network
from lstmsim.published import published_system
from lstmsim.published import system as printed_system
from lstmsim.published import training as printed
from lstmsim.theory import approximate
from lstmsim.training import SGD, Adam, RMSProp

if TYPE_CHECKING:
    import control

#: What is compared, and the learning rates that are tried.
OPTIMIZERS: dict[str, tuple[Adam | RMSProp | SGD, tuple[float, ...]]] = {
    "Adam": (Adam(), (0.003, 0.01, 0.04, 0.1)),
    "RMSProp": (RMSProp(), (0.001, 0.003, 0.01, 0.03)),
    "SGD, momentum 0.9": (SGD(momentum=0.9), (0.003, 0.01, 0.03, 0.1)),
}


@dataclass(frozen=True)
class Settings:
    """Counts and epochs.

    Parameters
    ----------
    epochs : int
        Of both published trainings.
    scales_per_decade : int
        Points of the error over the scale.
    basin_epochs, rates : int
        From the calculated weights: epochs, and learning rates from 1e-5 to 1e-1.
    starts_epochs, starts : int
        Of the random starts.
    drops_epochs, drops : int
        Of the drop factors around the published one, 0.001 apart.
    search_epochs, race_epochs : int
        Of the optimizers: for each learning rate, and at the best one.
    """

    epochs: int
    scales_per_decade: int
    basin_epochs: int
    rates: int
    starts_epochs: int
    starts: int
    drops_epochs: int
    drops: int
    search_epochs: int
    race_epochs: int


FULL = Settings(
    epochs=10_000,
    scales_per_decade=4,
    basin_epochs=2_000,
    rates=9,
    starts_epochs=2_000,
    starts=20,
    drops_epochs=2_000,
    drops=11,
    search_epochs=500,
    race_epochs=2_000,
)
QUICK = Settings(
    epochs=1_000,
    scales_per_decade=2,
    basin_epochs=150,
    rates=5,
    starts_epochs=150,
    starts=4,
    drops_epochs=150,
    drops=3,
    search_epochs=60,
    race_epochs=200,
)


@dataclass(frozen=True, eq=False)
class Plan:
    """What all steps of the study begin with.

    Parameters
    ----------
    settings : Settings
        Counts and epochs.
    system : control.StateSpace
        The linear system.
    calculated : Network
        The network whose weights are calculated from it.
    example : TrainingExample
        Inputs and random starts of the published stream.
    """

    settings: Settings
    system: control.StateSpace
    calculated: Network
    example: printed.TrainingExample

    @property
    def rates(self) -> list[float]:
        """The learning rates that leave the calculated weights."""
        return [float(rate) for rate in np.logspace(-5, -1, self.settings.rates)]

    @property
    def drops(self) -> list[float]:
        """The drop factors, which differ from the published one in the third digit."""
        around = np.arange(self.settings.drops) - self.settings.drops // 2
        return [float(printed.FROM_RANDOM[1] + 0.001 * k) for k in around]

    @property
    def full(self) -> bool:
        """Whether the published trainings have all their epochs."""
        return self.settings.epochs >= printed.EPOCHS


def make_plan(settings: Settings) -> Plan:
    """Return the plan of a study."""
    system = published_system()
    calculated = approximate(system, printed_system.SCALE)
    return Plan(settings, system, calculated, printed.training_example(settings.starts))
