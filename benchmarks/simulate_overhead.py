"""What `simulate`, all signals kept, costs beside bdsim's own run of the same diagram.

    python benchmarks/simulate_overhead.py [--units 5] [--samples 1000] [--rounds 15]

bdsim's run is of the same built diagram, its source bound, without any watch.  The two take
turns; medians and the ratio of the medians are printed.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np

import lstmsim as ls
from lstmsim.diagram.host import simulator


def seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--units", type=int, default=5)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    n, samples = options.units, options.samples
    random = np.random.default_rng(0)
    layer = ls.LSTM(
        random.normal(size=(4 * n, 1)), random.normal(size=(4 * n, n)), random.normal(size=4 * n)
    )
    network = ls.Network([layer, ls.Dense(random.normal(size=(1, n)))], Ts=0.1)
    u = random.normal(size=(samples, 1))
    diagram = ls.build(network)
    bound = ls.build(network)
    # bdsim's run to T seconds takes one sample more: it records its evaluation at t = 0 too.
    bound.blocknames["u"].values = np.vstack([u, u[-1:]])

    def plain() -> object:
        return simulator().run(bound, T=samples * network.Ts)

    def ours() -> object:
        return ls.simulate(diagram, u)

    plain(), ours()
    times = [(seconds(plain), seconds(ours)) for _ in range(options.rounds)]
    run, sim = (statistics.median(column) for column in zip(*times, strict=True))
    print(f"N = {n}, T = {samples}, {len(diagram)} blocks, median of {options.rounds} rounds")
    print(f"bdsim's run, no watch : {run * 1e3:8.1f} ms, {run / samples * 1e6:6.1f} µs a sample")
    print(f"simulate, all signals : {sim * 1e3:8.1f} ms, {sim / samples * 1e6:6.1f} µs a sample")
    print(f"ratio                 : {sim / run:8.3f}")


if __name__ == "__main__":
    main()
