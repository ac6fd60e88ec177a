"""One epoch of the published training beside the same epoch in PyTorch, one thread, float32.

    python benchmarks/epoch.py [--epochs 300] [--rounds 7]

1001 samples, 5 units, 1 input, 1 output: forward, mean squared error, gradient, its norm clipped
array by array, a step of Adam.  Both take turns; medians and their ratio are printed.
"""

from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # before NumPy is imported

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

import lstmsim as ls

UNITS, SAMPLES = 5, 1001


def ours(u: np.ndarray, y: np.ndarray, epochs: int) -> Callable[[], None]:
    random = np.random.default_rng(0)
    W, R, b, F = (random.random(shape) for shape in ((20, 1), (20, 5), 20, (1, 5)))
    network = ls.Network([ls.LSTM(W, R, b), ls.Dense(F)], Ts=0.01)
    options = ls.TrainingOptions(epochs=epochs, learning_rate=0.01, clip=1.0, dtype="float32")

    def train() -> None:
        ls.fit(network, u, y, options)

    return train


def theirs(u: np.ndarray, y: np.ndarray, epochs: int) -> Callable[[], None]:
    torch.set_num_threads(1)
    layer, head = torch.nn.LSTM(1, UNITS), torch.nn.Linear(UNITS, 1, bias=False)
    parameters = [*layer.parameters(), *head.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=0.01)
    x, target = (torch.tensor(v, dtype=torch.float32)[:, None] for v in (u, y))

    def train() -> None:
        for _ in range(epochs):
            optimizer.zero_grad()
            loss = torch.mean((head(layer(x)[0]) - target) ** 2)
            loss.backward()
            for parameter in parameters:
                torch.nn.utils.clip_grad_norm_(parameter, 1.0)
            optimizer.step()

    return train


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    random = np.random.default_rng(1)
    u = random.normal(size=(SAMPLES, 1))
    y = np.cumsum(u, axis=0) / 10
    works = {"lstmsim": ours(u, y, options.epochs), "PyTorch": theirs(u, y, options.epochs)}
    times: dict[str, list[float]] = {name: [] for name in works}
    for work in works.values():
        work()
    for _ in range(options.rounds):
        for name, work in works.items():
            begun = time.perf_counter()
            work()
            times[name].append((time.perf_counter() - begun) / options.epochs)
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, median in medians.items():
        print(f"{name:<8}{median * 1e6:8.0f} µs an epoch")
    print(f"ratio   {medians['lstmsim'] / medians['PyTorch']:8.2f}")


if __name__ == "__main__":
    main()
