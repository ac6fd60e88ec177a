"""Random diagrams of all blocks that compile: loops nested, crossed and separate, fan-out, delays
in series."""

from __future__ import annotations

from typing import Any

import numpy as np

import lstmsim as ls

WIDTHS = (1, 2, 3, 5)
#: What a diagram grows by, likelier ones twice.
GAINS = ("MATRIXGAIN", "GAIN", "GAINMATRIX", "MUX", "DEMUX", "INDEX", "CLIP")
KINDS = (*GAINS, "SUM", "SUM", "HADAMARD", "SIGMOID", "TANH", "TANH")


class _Maker:
    """A diagram that grows block by block; signals by width, bounded ones apart."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.bd = ls.blockdiagram()
        self.clock = self.bd.clock(0.1, name="clock")
        self.signals: list[tuple[Any, int]] = []
        self.bounded: list[tuple[Any, int]] = []

    def name(self, kind: str) -> str:
        return f"{kind}{len(self.bd.blocklist)}"

    def numbers(self, *shape: int) -> np.ndarray:
        return self.random.normal(size=shape) / np.sqrt(max(shape, default=1))

    def pick(self, width: int | None = None, bounded: bool = False) -> tuple[Any, int] | None:
        found = [s for s in (self.bounded if bounded else self.signals) if width in (None, s[1])]
        # The newest are the likeliest, so that chains grow.
        return found[-1 - int(self.random.geometric(0.3) - 1) % len(found)] if found else None

    def add(self, block: Any, width: int, *inputs: Any, bounded: bool = False) -> None:
        for port, source in enumerate(inputs):
            self.bd.connect(source, block[port])
        plugs = [block[p] for p in range(block.nout)]
        for plug in plugs:
            self.signals.append((plug, width))
            if bounded:
                self.bounded.append((plug, width))

    def grow(self) -> None:
        bd, random = self.bd, self.random
        source, n = self.pick()
        kind = random.choice(KINDS)
        name = self.name(kind.lower())
        if kind == "MATRIXGAIN":
            m = int(random.choice(WIDTHS))
            self.add(bd.MATRIXGAIN(self.numbers(m, n), name=name), m, source)
        elif kind == "GAINMATRIX" and n > 1:
            m, premul = int(random.choice(WIDTHS[1:])), bool(random.integers(2))
            K = self.numbers(m, n) if premul else self.numbers(n, m)
            self.add(bd.GAIN(K, premul=premul, name=name), m, source)
        elif kind == "GAIN":
            self.add(bd.GAIN(float(random.normal()), name=name), n, source)
        elif kind == "SUM":
            other, m = self.pick(n) or (source, n)
            if random.random() < 0.2 and self.pick(1):
                other, m = self.pick(1)
            signs = "".join(random.choice(["+", "-"], 2))
            self.add(bd.SUM(signs, name=name), max(m, n), source, other)
        elif kind == "HADAMARD":
            pair = [self.pick(n, bounded=True) or (source, n) for _ in range(2)]
            if all(p[0] is not source for p in pair):
                self.add(bd.HADAMARD(2, name=name), n, *(p[0] for p in pair))
        elif kind in ("SIGMOID", "TANH"):
            self.add(getattr(bd, kind)(name=name), n, source, bounded=True)
        elif kind == "MUX":
            other, m = self.pick()
            if n + m in WIDTHS:
                self.add(bd.MUX(2, name=name), n + m, source, other)
        elif kind == "DEMUX" and n > 1:
            self.add(bd.DEMUX(n, name=name), 1, source)
        elif kind == "INDEX" and n > 1:
            index = [int(j) for j in random.integers(0, n, size=random.choice([1, 2, 3]))]
            index = [j - n if j % 2 else j for j in index]  # some counted from the end
            self.add(bd.INDEX(index, name=name), len(index), source)
        elif kind == "CLIP":
            block = bd.CLIP(-0.4, 0.7, name=name)
            self.add(block, n, source, bounded=True)


def random_diagram(seed: int, blocks: int = 14, delays: int = 3) -> tuple[Any, np.ndarray]:
    """Return a diagram with one to four delays in loops, and an input of 12 samples."""
    maker = _Maker(seed)
    bd, clock, random = maker.bd, maker.clock, maker.random
    Ni = int(random.choice(WIDTHS))
    maker.add(bd.FROMWORKSPACE(clock, width=Ni, name="u"), Ni)
    width = int(random.choice(WIDTHS))
    maker.add(bd.CONSTANT(random.normal(size=width), name="k"), width)
    waiting = []
    for number in range(int(random.integers(1, delays + 2))):
        n = int(random.choice(WIDTHS))
        kind = bd.UNITDELAY if n == 1 or random.random() < 0.7 else bd.ZOH
        block = kind(clock, random.normal(size=n), name=f"d{number}")
        maker.add(block, n, bounded=True)
        waiting.append((block, n))
    for _ in range(blocks):
        maker.grow()
    for block, n in waiting:
        source, _ = maker.pick(n, bounded=True)
        bd.connect(source, block[0])
    for number in range(int(random.integers(1, 3))):
        source, _ = maker.pick()
        bd.connect(source, bd.TOWORKSPACE(clock, name=f"out{number}"))
    u = random.normal(size=(12, Ni))
    if seed % 3 == 0:  # what lies in no loop, up to the sinks themselves
        for number, (source, n) in enumerate(maker.signals[:2]):
            delay = bd.UNITDELAY(clock, random.normal(size=n), name=f"late{number}")
            bd.connect(source, delay)
            for port, plug in enumerate((source, delay)):
                sink = bd.TOWORKSPACE(clock, name=f"out{number}{port}")
                bd.connect(plug, sink)
    return bd, u
