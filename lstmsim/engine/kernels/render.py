"""Rendering: the text of the kernel that steps one loop through time.

The text is plain Python over four flat buffers, and calls a small vocabulary: `load`, `store`,
`splat` (one element in all lanes), `zero`, `fma`, `add` … `tanh`.  What a value is, a vector of
many lanes or one number, is up to the vocabulary that it is run with (`cache`):
the same text is compiled with vectors, compiled with numbers, or run as it stands.

No size is in the text.  Sizes and places are read from `o`, in the order of `Kernel.keys`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lstmsim.blocks import inlined
from lstmsim.engine.graph import Graph, Node
from lstmsim.engine.kernels.buffers import slots_of
from lstmsim.engine.kernels.keys import (
    Constant,
    Ext,
    Index,
    Key,
    Log,
    Pack,
    Parameter,
    Row,
    Samples,
    Vectors,
    Width,
)
from lstmsim.engine.kernels.mixing import Mixing, Place
from lstmsim.engine.kernels.phases import Phase, phases
from lstmsim.engine.kernels.writer import Writer
from lstmsim.engine.schedule import Stage, stacks_of


@dataclass(frozen=True)
class Kernel:
    """A rendered loop.

    Parameters
    ----------
    text : str
        The source of ``forward(log, ext, par, o)``.
    keys : tuple of Key
        What each number in `o` is.
    """

    text: str
    keys: tuple[Key, ...]


class Loop:
    """The structure of one loop, which all its kernels share.

    Parameters
    ----------
    graph, stage : Graph, Stage
        The loop.
    """

    def __init__(self, graph: Graph, stage: Stage) -> None:
        self.graph, self.stage, self.widths = graph, stage, graph.widths
        self.slots = slots_of(graph, stage)
        self.phases = phases(stage)
        self.inside = {node.name: node for node in stage.nodes}
        self.variables = {name: f"v{k}" for k, name in enumerate(self.inside)}
        self.phase_of = {
            node.name: k for k, phase in enumerate(self.phases) for node in phase.nodes
        }
        #: The signals that a later phase, or the next sample, reads from the log.
        self.needed = set(self.slots.delays.values())
        #: The signals that other stages, or the outputs, read.
        self.read_outside = set(graph.outputs)
        for node in graph.nodes.values():
            if node.name not in self.inside:
                self.read_outside.update(node.inputs)
            elif not node.op.memory:
                phase = self.phase_of[node.name]
                self.needed.update([n for n in node.inputs if self.phase_of.get(n, phase) != phase])

    def logged(self, kept: Iterable[str]) -> tuple[str, ...]:
        """Return the signals that the log keeps: some, and what the loop itself reads again."""
        delays = self.slots.delays
        wanted = self.needed.union([delays.get(name, name) for name in kept])
        return tuple([name for name in self.slots.log if name in wanted])


class Text:
    """The text of a kernel as far as it is written, and where it reads signals from."""

    def __init__(self, loop: Loop, *first: Key) -> None:
        self.loop, self.out = loop, Writer(*first)

    def base(self, name: str) -> tuple[str, str]:
        """Return the buffer of a signal and where its vector begins at this sample."""
        slots = self.loop.slots
        if name in slots.delays:
            return "log", f"prev + {self.out.variable(Log(slots.delays[name]))}"
        if name in self.loop.inside:
            return "log", f"now + {self.out.variable(Log(name))}"
        if name in slots.constants:
            return "par", self.out.variable(Constant(name))
        return "ext", f"x + {self.out.variable(Ext(name))}"

    def value(self, node: Node, name: str) -> str:
        """Return the expression for the present vector of an input."""
        loop = self.loop
        if loop.phase_of.get(name) == loop.phase_of[node.name]:
            return loop.variables[name]
        buffer, base = self.base(name)
        if loop.widths[name] != node.width:
            return f"splat({buffer}, {base})"
        return f"load({buffer}, {base} + i)"


def render(loop: Loop, logged: tuple[str, ...]) -> Kernel:
    """Render the kernel of one loop.

    Parameters
    ----------
    loop : Loop
        The loop.
    logged : tuple of str
        The signals that the log keeps.
    """
    text = Text(loop, Samples(), Row("log"), Row("ext"))
    for phase in loop.phases:
        if phase.vector:
            _vector_phase(text, phase, logged)
        else:
            for node in phase.nodes:
                (_moving if node.op.mixture is None else _mixing)(text, node)
    for name, slot in loop.slots.delays.items():
        if slot == name:
            _copy(text, loop.inside[name].inputs[0], name)
    head = [
        "    for k in range(o0):",
        "        odd = k & 1",
        "        prev = k * o1",
        "        now = prev + o1",
        "        x = k * o2",
    ]
    source = text.out.function("forward(log, ext, par, o)", head)
    return Kernel(source, text.out.keys)


def _vector_phase(text: Text, phase: Phase, logged: tuple[str, ...]) -> None:
    loop, out = text.loop, text.out
    vectors = out.variable(Vectors(phase.nodes[0].name))
    stacks = stacks_of(phase.nodes)
    if stacks:
        # To and fro: the part of a large matrix that was read last, and is still in the cache,
        # is read first at the next sample.
        out.write(2, f"b = odd * ({vectors} - 1)", f"for _ in range({vectors}):")
        out.write(3, "i = b * LANES")
    else:
        out.write(2, f"for b in range({vectors}):", "    i = b * LANES")
    for source, stack in stacks.items():
        _stacked_product(text, source, stack)
    for node in phase.nodes:
        if not node.op.product:
            arguments = [text.value(node, name) for name in node.inputs]
            out.write(3, f"{loop.variables[node.name]} = {_expression(out, node, arguments)}")
        if node.name in logged:
            place = out.variable(Log(node.name))
            out.write(3, f"store(log, now + {place} + i, {loop.variables[node.name]})")
    if stacks:
        out.write(3, "b += 1 - 2 * odd")


def _stacked_product(text: Text, source: str, stack: list[Node]) -> None:
    """Write the product of all gains of one signal, several columns a pass.

    Every gain has an accumulator for each column of a pass: enough of them that additions do not
    wait for one another, and no more than there are registers for.
    """
    loop, out = text.loop, text.out
    buffer, base = text.base(source)
    columns = out.variable(Width(source))
    q, halves = len(stack), "abcd" if len(stack) <= 4 else "ab"
    n = len(halves)
    for node in stack:
        out.write(3, *[f"{loop.variables[node.name]}{half} = zero(log)" for half in halves])
    pack = out.variable(Pack(tuple(node.name for node in stack)))
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
    out.write(4, *[f"prefetch(par, p + {k} * LANES)" for k in range(n * q)])
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
    formula = node.formula
    settings = parameter_loads(out, node)
    if formula.inline:
        return inlined(formula.value, dict(zip(formula.inputs, arguments, strict=True)) | settings)
    return f"{node.op.name}({', '.join([*arguments, *settings.values()])})"


def parameter_loads(out: Writer, node: Node) -> dict[str, str]:
    """Return the expressions for an operation's parameters: one number an element."""
    names = node.formula.parameters
    return {n: f"load(par, {out.variable(Parameter(node.name, n))} + i)" for n in names}


def _moving(text: Text, node: Node) -> None:
    """Write an operation that moves elements, element by element."""
    out = text.out
    place = out.variable(Log(node.name))
    if "index" in node.static:
        buffer, base = text.base(node.inputs[0])
        index = out.variable(Index(node.name))
        out.write(2, f"for j in range({out.variable(Width(node.name))}):")
        out.write(3, f"log[now + {place} + j] = {buffer}[{base} + o[{index} + j]]")
        return
    out.write(2, f"p = now + {place}")
    for name in node.inputs:
        buffer, base = text.base(name)
        columns = out.variable(Width(name))
        out.write(2, f"for j in range({columns}):", f"    log[p + j] = {buffer}[{base} + j]")
        out.write(2, f"p += {columns}")


def _mixing(text: Text, node: Node) -> None:
    """Write an operation that mixes elements."""
    out, mixture = text.out, node.op.mixture
    assert mixture is not None
    places = {
        own: Place(name, *text.base(name))
        for own, name in zip(mixture.inputs, node.inputs, strict=True)
    }
    lines = Mixing(out, node, text.loop.widths, places, text.loop.variables[node.name])
    lines.reduce((mixture.value,))
    place = out.variable(Log(node.name))
    out.write(2, f"for j in range({out.variable(Width(node.name))}):")
    out.write(3, f"log[now + {place} + j] = {lines.element(mixture.value, node.width)}")


def _copy(text: Text, source: str, delay: str) -> None:
    """Write the storing of a delay that has a place of its own."""
    out = text.out
    buffer, base = text.base(source)
    out.write(2, f"for j in range({out.variable(Width(delay))}):")
    out.write(3, f"log[now + {out.variable(Log(delay))} + j] = {buffer}[{base} + j]")
