"""Rendering: the text of the kernel that steps one loop through time.

The text is plain Python over four flat buffers, and calls a small vocabulary: `load`, `store`,
`splat` (one element in all lanes), `zero`, `fma`, `add` … `tanh`.  What a value is, a vector of
many lanes or one number, is up to the vocabulary that it is run with (`cache`):
the same text is compiled with vectors, compiled with numbers, or run as it stands.

No size is in the text.  Sizes and places are read from `o`, in the order of `Kernel.keys`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from lstmsim.blocks import inlined
from lstmsim.engine.graph import Graph, Node
from lstmsim.engine.kernels.layout import Phase, Places, phases, places
from lstmsim.engine.schedule import Stage, stacks_of


@dataclass(frozen=True)
class Kernel:
    """A rendered loop.

    Parameters
    ----------
    text : str
        The source of ``forward(log, ext, par, o)``.
    keys : tuple of str
        What each number in `o` is: ``samples``, ``row`` (of log, ext), ``log:x``, ``ext:x``,
        ``par:x`` (places), ``width:x`` and ``blocks:x`` (of a signal).
    places : Places
        Slots of the buffers.
    kept : tuple of str
        The signals that the log keeps.
    """

    text: str
    keys: tuple[str, ...]
    places: Places
    kept: tuple[str, ...]


@dataclass
class Writer:
    """Lines, and the names of the sizes and places that they use."""

    lines: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=lambda: ["samples", "row:log", "row:ext"])

    def place(self, key: str) -> str:
        """Return the variable of a size or place."""
        if key not in self.keys:
            self.keys.append(key)
        return f"o{self.keys.index(key)}"

    def write(self, depth: int, *lines: str) -> None:
        """Add lines, indented so deep."""
        self.lines.extend("    " * depth + line for line in lines)


class Loop:
    """The rendering of one loop: where each signal is read from."""

    def __init__(self, graph: Graph, stage: Stage, kept: Iterable[str] | None) -> None:
        self.stage = stage
        self.places = places(graph, stage)
        self.phases = phases(stage)
        self.inside = {node.name: node for node in stage.nodes}
        self.variables = {name: f"v{k}" for k, name in enumerate(self.inside)}
        self.phase_of = {
            node.name: k for k, phase in enumerate(self.phases) for node in phase.nodes
        }
        needed = self._needed_later()
        self.kept = tuple(
            name for name in self.places.log if kept is None or name in needed or name in set(kept)
        )
        self.out = Writer()

    def _needed_later(self) -> set[str]:
        needed = set(self.places.delays.values())
        for node in self.stage.nodes:
            for name in node.inputs:
                together = self.phase_of.get(name) == self.phase_of.get(node.name)
                if name in self.phase_of and not together:
                    needed.add(name)
        return needed

    def base(self, name: str) -> tuple[str, str]:
        """Return the buffer of a signal and where its vector begins at this sample."""
        if name in self.places.delays:
            slot = self.places.delays[name]
            return "log", f"prev + {self.out.place(f'log:{slot}')}"
        if name in self.inside:
            return "log", f"now + {self.out.place(f'log:{name}')}"
        if name in self.places.constants:
            return "par", self.out.place(f"par:{name}")
        return "ext", f"x + {self.out.place(f'ext:{name}')}"

    def value(self, node: Node, name: str, width: int) -> str:
        """Return the expression for the present vector of an input."""
        if self.phase_of.get(name) == self.phase_of[node.name]:
            return self.variables[name]
        buffer, base = self.base(name)
        if width != node.width:
            return f"splat({buffer}, {base})"
        return f"load({buffer}, {base} + i)"


def render(graph: Graph, stage: Stage, kept: Iterable[str] | None = None) -> Kernel:
    """Render the kernel of one loop.

    Parameters
    ----------
    graph, stage : Graph, Stage
        The loop.
    kept : iterable of str, optional
        Signals to keep beyond those that the loop itself needs again; all if not given.
    """
    loop = Loop(graph, stage, kept)
    widths = graph.widths
    out = loop.out
    body = out.lines
    for number, phase in enumerate(loop.phases):
        if phase.vector:
            _vector_phase(loop, number, phase, widths)
        else:
            for node in phase.nodes:
                _moving(loop, node, widths)
    for name, slot in loop.places.delays.items():
        if slot == name:
            source = graph.nodes[name].inputs[0]
            _copy(loop, source, name)
    head = Writer(keys=out.keys)
    head.write(0, "def forward(log, ext, par, o):")
    head.write(1, *(f"o{k} = o[{k}]  # {key}" for k, key in enumerate(out.keys)))
    head.write(
        1,
        "for k in range(o0):",
        "    odd = k & 1",
        "    prev = k * o1",
        "    now = prev + o1",
        "    x = k * o2",
    )
    text = "\n".join([*head.lines, *body]) + "\n"
    return Kernel(text, tuple(out.keys), loop.places, loop.kept)


def _vector_phase(loop: Loop, number: int, phase: Phase, widths: dict[str, int]) -> None:
    out = loop.out
    blocks = out.place(f"blocks:{phase.nodes[0].name}")
    stacks = stacks_of(phase.nodes)
    if stacks:
        # To and fro: the part of a large matrix that was read last, and is still in the cache,
        # is read first at the next sample.
        out.write(2, f"b = odd * ({blocks} - 1)", f"for _ in range({blocks}):", "    i = b * LANES")
    else:
        out.write(2, f"for b in range({blocks}):", "    i = b * LANES")
    for source, stack in stacks.items():
        _stacked_product(loop, number, source, stack)
    for node in phase.nodes:
        if not node.op.product:
            arguments = [loop.value(node, name, widths[name]) for name in node.inputs]
            out.write(3, f"{loop.variables[node.name]} = {_expression(out, node, arguments)}")
        if node.name in loop.kept:
            place = out.place(f"log:{node.name}")
            out.write(3, f"store(log, now + {place} + i, {loop.variables[node.name]})")
    if stacks:
        out.write(3, "b += 1 - 2 * odd")


def _stacked_product(loop: Loop, number: int, source: str, stack: list[Node]) -> None:
    """Write the product of all gains of one signal, several columns a pass.

    Every gain has an accumulator for each column of a pass: enough of them that additions do not
    wait for one another, and no more than there are registers for.
    """
    out = loop.out
    buffer, base = loop.base(source)
    columns = out.place(f"width:{source}")
    q, halves = len(stack), "abcd" if len(stack) <= 4 else "ab"
    n = len(halves)
    for node in stack:
        out.write(3, *(f"{loop.variables[node.name]}{half} = zero(log)" for half in halves))
    pack = out.place(f"par:pack/{number}/{source}")
    out.write(3, f"p = {pack} + b * {columns} * {q} * LANES", f"for j in range({columns} // {n}):")
    for k, half in enumerate(halves):
        out.write(4, f"s{half} = splat({buffer}, {base} + {n} * j + {k})")
    for k, half in enumerate(halves):
        for row, node in enumerate(stack):
            total = f"{loop.variables[node.name]}{half}"
            place = f"p + {k * q + row} * LANES"
            out.write(4, f"{total} = fma(load(par, {place}), s{half}, {total})")
    out.write(4, f"p += {n * q} * LANES")
    # A large matrix comes from the second cache: its next lines, while these are multiplied.
    out.write(4, *(f"prefetch(par, p + {k} * LANES)" for k in range(n * q)))
    out.write(3, f"for j in range({columns} // {n} * {n}, {columns}):")
    out.write(4, f"s = splat({buffer}, {base} + j)")
    for row, node in enumerate(stack):
        a = f"{loop.variables[node.name]}a"
        out.write(4, f"{a} = fma(load(par, p + {row} * LANES), s, {a})")
    out.write(4, f"p += {q} * LANES")
    for node in stack:
        name = loop.variables[node.name]
        total = f"add({name}a, {name}b)"
        if n == 4:
            total = f"add({total}, add({name}c, {name}d))"
        out.write(3, f"{name} = {total}")


def _expression(out: Writer, node: Node, arguments: list[str]) -> str:
    """Return the call that computes a node from its arguments."""
    formula = node.op.element(len(node.inputs), node.static)
    settings = settings_of(out, node)
    if formula.inline:
        return inlined(formula.value, dict(zip(formula.inputs, arguments, strict=True)) | settings)
    return f"{node.op.name}({', '.join([*arguments, *settings.values()])})"


def settings_of(out: Writer, node: Node) -> dict[str, str]:
    """Return the expressions for an operation's parameters: one number an element."""
    names = node.op.element(len(node.inputs), node.static).parameters
    return {name: f"load(par, {out.place(f'par:{name}/{node.block}')} + i)" for name in names}


def _moving(loop: Loop, node: Node, widths: dict[str, int]) -> None:
    """Write what moves elements about, element by element."""
    out = loop.out
    place = out.place(f"log:{node.name}")
    if "index" in node.static:
        buffer, base = loop.base(node.inputs[0])
        index = out.place(f"index:{node.name}")
        out.write(2, f"for j in range({out.place(f'width:{node.name}')}):")
        out.write(3, f"log[now + {place} + j] = {buffer}[{base} + o[{index} + j]]")
        return
    out.write(2, f"p = now + {place}")
    for name in node.inputs:
        buffer, base = loop.base(name)
        columns = out.place(f"width:{name}")
        out.write(2, f"for j in range({columns}):", f"    log[p + j] = {buffer}[{base} + j]")
        out.write(2, f"p += {columns}")


def _copy(loop: Loop, source: str, delay: str) -> None:
    """Write the storing of a delay that has a place of its own."""
    out = loop.out
    buffer, base = loop.base(source)
    out.write(2, f"for j in range({out.place(f'width:{delay}')}):")
    out.write(3, f"log[now + {out.place(f'log:{delay}')} + j] = {buffer}[{base} + j]")
