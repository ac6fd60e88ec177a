"""How much of the study is computed."""

from __future__ import annotations

from dataclasses import dataclass


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
