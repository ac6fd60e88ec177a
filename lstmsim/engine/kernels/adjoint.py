"""Rendering: the text of the kernel that walks one loop backwards, for gradients.

It reads the log of a forward run, and works in a second buffer `bar` with a row a sample, and one
before them, like the log's.  Cotangents arrive in its slots from later stages, from the sample
after, and from later passes.  The kernel stores the cotangents of gains, of external signals and
of constants in `bar`; products outside the loop read them there.
"""

from __future__ import annotations

from dataclasses import dataclass

from lstmsim.blocks import inlined, names
from lstmsim.engine.graph import Node
from lstmsim.engine.kernels.keys import (
    Bar,
    Index,
    Key,
    Log,
    Pack,
    Row,
    Samples,
    Vectors,
    Width,
)
from lstmsim.engine.kernels.mixing import Mixing, Place
from lstmsim.engine.kernels.render import Loop, Text, parameter_loads
from lstmsim.engine.kernels.writer import Writer
from lstmsim.engine.schedule import stacks_of


@dataclass(frozen=True)
class Adjoint:
    """A rendered backward loop.

    Parameters
    ----------
    text : str
        The source of ``backward(log, ext, par, bar, o)``.
    keys : tuple of Key
        What each number in `o` is.
    bars : dict of Bar
        Where the cotangent of a signal is, by its name: of delays' sources and of delays with a
        slot of their own (in the row before the first, those of the initial states), of gains, of
        external signals and of constants.  Signals with the same cotangent share one.
    reached : tuple of Bar
        Those that other stages write: they must hold these stages' cotangents, or zeros, before
        the call.  The kernel clears the others itself, but for the last row, which must hold the
        cotangents of the final states, or zeros.
    logged : tuple of str
        The signals of the forward run that the gradient reads.
    """

    text: str
    keys: tuple[Key, ...]
    bars: dict[str, Bar]
    reached: tuple[Bar, ...]
    logged: tuple[str, ...]


class _Backward(Text):
    """The text of a loop's backward kernel, last phase first."""

    def __init__(self, loop: Loop) -> None:
        super().__init__(loop, Samples(), Row("log"), Row("ext"), Row("bar"))
        self.bars: dict[str, Bar] = {}
        self.arriving: dict[str, Bar] = {}
        self.count = 0
        readers: dict[str, set[int]] = {}
        #: Signals whose elements other elements read: their cotangents come through memory.
        mixed: set[str] = set()
        for node in loop.stage.nodes:
            if not node.op.memory:
                for name in node.inputs:
                    readers.setdefault(name, set()).add(loop.phase_of[node.name])
                    if not node.op.elementwise or loop.widths[name] != node.width:
                        mixed.add(name)
        #: Signals that more than one phase reads: those from outside add up in place.
        self.shared = {name for name, found in readers.items() if len(found) > 1}
        delays = loop.slots.delays
        through_memory = mixed.union(loop.read_outside, delays.values())
        for node in loop.stage.nodes:
            name = node.name
            if name in delays:
                arrives = delays[name] == name
            else:
                own = loop.phase_of[name]
                arrives = name in through_memory or readers.get(name, {own}) != {own}
            if arrives:
                self.arrive(name)

    def arrive(self, name: str) -> str:
        """Return the variable of the place in which cotangents of a signal add up."""
        self.bars[name] = self.arriving.setdefault(name, Bar(name))
        return self.out.variable(self.bars[name])

    def fresh(self) -> str:
        """Return a variable that is not used yet."""
        self.count += 1
        return f"c{self.count}"

    def home(self, name: str) -> str:
        """Return where the cotangent of an input adds up in memory."""
        if name in self.loop.slots.delays:
            return f"prev + {self.arrive(self.loop.slots.delays[name])}"
        return f"now + {self.arrive(name)}"

    def logged(self, name: str) -> tuple[str, str]:
        """Return the buffer of a signal of the forward run, and where its vector begins."""
        buffer, base = self.base(name)
        return buffer, base.replace("prev", "lprev").replace("now", "lnow")

    def in_registers(self, node: Node, name: str) -> bool:
        """Whether the cotangent of an input stays in this pass."""
        if self.loop.widths[name] != node.width:
            return False
        if name in self.loop.inside and name not in self.loop.slots.delays:
            return self.loop.phase_of[name] == self.loop.phase_of[node.name]
        return True


def render_adjoint(loop: Loop) -> Adjoint:
    """Render the backward kernel of one loop."""
    text = _Backward(loop)
    out, delays = text.out, loop.slots.delays
    for name, slot in delays.items():
        if slot == name:
            # The delay's output after this sample is its source at this sample.
            place = out.variable(Bar(name))
            out.write(2, f"for j in range({out.variable(Width(name))}):")
            into = text.home(loop.inside[name].inputs[0])
            out.write(3, f"bar[{into} + j] += bar[now + {place} + j]")
    for phase in reversed(loop.phases):
        if phase.vector:
            _vector_pass(text, phase.nodes)
            for source, stack in stacks_of(phase.nodes).items():
                _transposed_product(text, source, stack)
        else:
            for node in reversed(phase.nodes):
                (_moving_back if node.op.mixture is None else _mixing_back)(text, node)
    head = Writer()
    head.write(1, "for r in range(o0):", "    k = o0 - 1 - r", "    x = k * o2")
    # The log's rows and those of `bar` have different lengths.
    head.write(2, "lprev = k * o1", "lnow = lprev + o1", "prev = k * o3", "now = prev + o3")
    outside = {delays.get(n, n) for n in loop.read_outside if n in loop.inside}
    reached = [name for name in text.arriving if name in outside]
    for name, bar in text.arriving.items():
        if name not in reached:
            # Before anything adds to the row of the sample before.
            place, vectors = out.variable(bar), out.variable(Vectors(name))
            head.write(2, f"for b in range({vectors}):")
            head.write(3, f"store(bar, prev + {place} + b * LANES, zero(bar))")
    source = out.function("backward(log, ext, par, bar, o)", head.lines)
    logged = [key.signal for key in out.keys if isinstance(key, Log)]
    # What the gradients of an operation's own parameters read, over all samples at once.
    read = (name for node in loop.stage.nodes if node.op.elementwise for name in read_by(node))
    logged.extend(name for name in read if name in loop.slots.log)
    bars = tuple([text.arriving[name] for name in reached])
    return Adjoint(source, out.keys, text.bars, bars, tuple(logged))


def _vector_pass(text: _Backward, nodes: tuple[Node, ...]) -> None:
    out = text.out
    out.write(2, f"for b in range({out.variable(Vectors(nodes[0].name))}):", "    i = b * LANES")
    bars: dict[str, str] = {}

    def add(name: str, variable: str) -> None:
        if name in bars:
            total = text.fresh()
            out.write(3, f"{total} = add({bars[name]}, {variable})")
            bars[name] = total
        else:
            bars[name] = variable

    present = {node.name for node in nodes}
    for node in reversed(nodes):
        if node.name in text.arriving:
            arrived = text.fresh()
            out.write(3, f"{arrived} = load(bar, now + {out.variable(Bar(node.name))} + i)")
            add(node.name, arrived)
        if node.name not in bars:
            bars[node.name] = text.fresh()
            out.write(3, f"{bars[node.name]} = zero(log)")
        if node.op.product:
            continue
        for position, name in enumerate(node.inputs):
            part = _pullback(text, node, position, bars[node.name])
            if text.in_registers(node, name):
                add(name, part)
            else:
                place = text.home(name)
                if text.loop.widths[name] != node.width:
                    width = out.variable(Width(node.name))
                    out.write(3, f"add_sum(bar, {place}, {part}, {width} - i)")
                else:
                    out.write(3, f"store(bar, {place} + i, add(load(bar, {place} + i), {part}))")
    written: dict[str, Bar] = {}
    for name, variable in bars.items():
        is_trained = name in present and bool(text.loop.inside[name].parameters)
        if name in present and not is_trained:
            continue
        if name in text.loop.slots.delays or name in text.shared:
            place = f"{text.home(name)} + i"
            out.write(3, f"store(bar, {place}, add(load(bar, {place}), {variable}))")
        elif variable in written:
            text.bars[name] = written[variable]
        else:
            text.bars[name] = written[variable] = Bar(name, total=is_trained)
            place = out.variable(written[variable])
            out.write(3, f"store(bar, now + {place} + i, {variable})")


def _pullback(text: _Backward, node: Node, position: int, bar: str) -> str:
    """Write the cotangent of one input, and return its variable."""
    out = text.out
    formula = node.formula
    cotangent = formula.cotangents[position]
    if cotangent == "bar":
        return bar
    part = text.fresh()
    settings = parameter_loads(out, node)
    values = {"bar": bar}
    for name, signal in zip((*formula.inputs, "y"), (*node.inputs, node.name), strict=True):
        if name in names(cotangent):
            values[name] = _logged(text, node, signal)
    if formula.inline:
        out.write(3, f"{part} = {inlined(cotangent, values | settings)}")
    else:
        used = [value for name, value in (values | settings).items() if name in names(cotangent)]
        out.write(3, f"{part} = {node.op.name}_pullback{position}({', '.join(used)})")
    return part


def read_by(node: Node) -> list[str]:
    """Return the signals that the gradients of an operation's parameters read."""
    formula = node.formula
    read = {name for text in formula.gradients.values() for name in names(text)}
    signals = zip((*formula.inputs, "y"), (*node.inputs, node.name), strict=True)
    return [signal for name, signal in signals if name in read]


def _logged(text: _Backward, node: Node, name: str) -> str:
    """Return the expression for a signal's vector at this sample, from the forward run."""
    buffer, base = text.logged(name)
    if text.loop.widths[name] != node.width:
        return f"splat({buffer}, {base})"
    return f"load({buffer}, {base} + i)"


def _transposed_product(text: _Backward, source: str, stack: list[Node]) -> None:
    """Write Σ Kᵀ ȳ over all gains of one signal into that signal's cotangent."""
    out = text.out
    into = text.home(source)
    rows = out.variable(Width(stack[0].name))
    vectors = out.variable(Vectors(source))
    pack = out.variable(Pack(tuple(node.name for node in stack), transposed=True))
    bars = [out.variable(text.bars[node.name]) for node in stack]
    q = len(stack)
    # Two vectors of the result a pass, which share the elements that they are multiplied with.
    out.write(2, f"for r in range({vectors} >> 1):")
    out.write(3, f"b = (k & 1) * (({vectors} >> 1) - 1 - 2 * r) + r", "i = 2 * b * LANES")
    _columns(out, bars, f"{pack} + 2 * b * {rows} * {q} * LANES", rows, "tu")
    for total, shift in (("t", ""), ("u", " + LANES")):
        place = f"{into} + i{shift}"
        out.write(3, f"store(bar, {place}, add(load(bar, {place}), {_sum(total, q)}))")
    out.write(2, f"if {vectors} & 1:", f"    i = ({vectors} - 1) * LANES")
    _columns(out, bars, f"{pack} + ({vectors} - 1) * {rows} * {q} * LANES", rows, "t")
    out.write(3, f"store(bar, {into} + i, add(load(bar, {into} + i), {_sum('t', q)}))")


def _columns(out: Writer, bars: list[str], pack: str, rows: str, totals: str) -> None:
    """Write the sums over the gains' rows of one vector (t) of the result, or two (t, u)."""
    q = len(bars)
    out.write(3, *[f"{total}{k} = zero(bar)" for total in totals for k in range(q)])
    out.write(3, f"p = {pack}")
    if len(totals) == 2:
        out.write(3, f"d = {rows} * {q} * LANES")
    out.write(3, f"for j in range({rows}):")
    for k, bar in enumerate(bars):
        out.write(4, f"s = splat(bar, now + {bar} + j)")
        for total in totals:
            place = f"p + {k} * LANES" + (" + d" if total == "u" else "")
            out.write(4, f"{total}{k} = fma(load(par, {place}), s, {total}{k})")
    out.write(4, f"p += {q} * LANES")


def _sum(total: str, q: int) -> str:
    expression = f"{total}0"
    for k in range(1, q):
        expression = f"add({expression}, {total}{k})"
    return expression


def _moving_back(text: _Backward, node: Node) -> None:
    """Write the cotangents of an operation that moves elements, element by element."""
    out = text.out
    place = f"now + {out.variable(Bar(node.name))}"
    if "index" in node.static:
        into, index = text.home(node.inputs[0]), out.variable(Index(node.name))
        out.write(2, f"for j in range({out.variable(Width(node.name))}):")
        out.write(3, f"bar[{into} + o[{index} + j]] += bar[{place} + j]")
        return
    out.write(2, f"p = {place}")
    for name in node.inputs:
        into, columns = text.home(name), out.variable(Width(name))
        out.write(2, f"for j in range({columns}):", f"    bar[{into} + j] += bar[p + j]")
        out.write(2, f"p += {columns}")


def _mixing_back(text: _Backward, node: Node) -> None:
    """Write the cotangents of an operation that mixes elements."""
    out, mixture = text.out, node.op.mixture
    assert mixture is not None
    texts = (*mixture.cotangents, *(step.text for step in mixture.needed(mixture.cotangents)))
    read = {name for text in texts for name in names(text)}
    places = {"bar": Place(node.name, "bar", f"now + {out.variable(Bar(node.name))}")}
    for own, name in zip((*mixture.inputs, "y"), (*node.inputs, node.name), strict=True):
        if own in read:
            places[own] = Place(name, *text.logged(name))
    lines = Mixing(out, node, text.loop.widths, places, text.loop.variables[node.name])
    lines.reduce(mixture.cotangents)
    for name, cotangent in zip(node.inputs, mixture.cotangents, strict=True):
        into = text.home(name)
        out.write(2, f"for j in range({out.variable(Width(name))}):")
        out.write(3, f"bar[{into} + j] += {lines.element(cotangent, text.loop.widths[name])}")
