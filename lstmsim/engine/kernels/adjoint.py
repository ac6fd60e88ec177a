"""Rendering: the text of the kernel that walks one loop backwards, for gradients.

It works over the log of a forward run with all signals kept, and a second buffer `bar` with a
row a sample, and one before them, like the log's.  Cotangents arrive in its slots from later
stages, from the sample after, and from later passes; what outside products need (the
cotangents of gains, of signals from other stages and of constants) is left in slots of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from lstmsim.blocks import inlined, names
from lstmsim.engine.graph import Graph, Node
from lstmsim.engine.kernels.render import Loop, Writer, settings_of
from lstmsim.engine.schedule import Stage, stacks_of


@dataclass(frozen=True)
class Adjoint:
    """A rendered backward loop.

    Parameters
    ----------
    text : str
        The source of ``backward(log, ext, par, bar, o)``.
    keys : tuple of str
        What each number in `o` is; as for a forward kernel, and ``bar:x`` for slots of `bar`.
    slots : dict of str
        The slot of `bar` that holds a signal's cotangent: of delays' sources and of delays with
        a place of their own (in the row before the first, those of the initial states), and of
        gains, external signals and constants.  Signals with the same cotangent share a slot.
    reached : tuple of str
        The slots that other stages reach: they must hold these stages' cotangents, or zeros,
        before the kernel runs.  In the last row all slots in which cotangents add up must hold
        those of what follows the run, or zeros; the kernel clears the others itself.
    logged : tuple of str
        The signals of the forward run that the gradient reads.
    """

    text: str
    keys: tuple[str, ...]
    slots: dict[str, str]
    reached: tuple[str, ...]
    logged: tuple[str, ...]


class _Backward(Loop):
    """The rendering of one loop, last pass first."""

    def __init__(self, graph: Graph, stage: Stage) -> None:
        super().__init__(graph, stage, None)
        self.out = Writer(keys=["samples", "row:log", "row:ext", "row:bar"])
        self.graph = graph
        self.widths = graph.widths
        self.slots: dict[str, str] = {}
        self.arriving: dict[str, None] = {}
        self.count = 0
        readers: dict[str, set[int]] = {}
        for node in stage.nodes:
            if not node.op.memory:
                for name in node.inputs:
                    readers.setdefault(name, set()).add(self.phase_of[node.name])
        #: Signals from outside that more than one pass reads: their cotangents add up in place.
        self.shared = {name for name, passes in readers.items() if len(passes) > 1}
        #: Signals that other stages, or the outputs, read.
        self.outside = set(graph.outputs) | {
            name
            for node in graph.nodes.values()
            if node.name not in self.inside
            for name in node.inputs
        }
        for node in stage.nodes:
            if self._arrives(node.name, readers):
                self.arrive(node.name)

    def _arrives(self, name: str, readers: dict[str, set[int]]) -> bool:
        """Whether cotangents of a signal of the loop come through memory."""
        if name in self.places.delays:
            return self.places.delays[name] == name
        later = any(k != self.phase_of[name] for k in readers.get(name, ()))
        moved = any(
            name in node.inputs and not (node.op.elementwise or node.op.memory)
            for node in self.stage.nodes
        )
        outside = name in self.outside
        spread = any(
            name in node.inputs and self.widths[name] != node.width for node in self.stage.nodes
        )
        source = name in self.places.delays.values()
        return later or moved or spread or outside or source

    def arrive(self, name: str) -> str:
        """Return the slot in which cotangents of a signal add up."""
        self.arriving.setdefault(name)
        self.slots[name] = name
        return self.out.place(f"bar:{name}")

    def fresh(self) -> str:
        """Return a variable that is not used yet."""
        self.count += 1
        return f"c{self.count}"

    def home(self, name: str) -> str:
        """Return where the cotangent of an input adds up in memory."""
        if name in self.places.delays:
            return f"prev + {self.arrive(self.places.delays[name])}"
        return f"now + {self.arrive(name)}"

    def in_registers(self, node: Node, name: str) -> bool:
        """Whether the cotangent of an input stays in this pass."""
        if self.widths[name] != node.width:
            return False
        if name in self.inside and name not in self.places.delays:
            return self.phase_of[name] == self.phase_of[node.name]
        return True


def render_adjoint(graph: Graph, stage: Stage) -> Adjoint:
    """Render the backward kernel of one loop."""
    loop = _Backward(graph, stage)
    out = loop.out
    for name, slot in loop.places.delays.items():
        if slot == name:
            # What this delay puts out after this sample is its source now.
            place = out.place(f"bar:{name}")
            out.write(2, f"for j in range({out.place(f'width:{name}')}):")
            into = loop.home(graph.nodes[name].inputs[0])
            out.write(3, f"bar[{into} + j] += bar[now + {place} + j]")
    for number, phase in reversed(list(enumerate(loop.phases))):
        if phase.vector:
            _vector_pass(loop, phase.nodes)
            for source, stack in stacks_of(phase.nodes).items():
                _transposed_product(loop, number, source, stack)
        else:
            for node in reversed(phase.nodes):
                _moving_back(loop, node)
    head = Writer(keys=out.keys)
    head.write(0, "def backward(log, ext, par, bar, o):")
    head.write(1, "for r in range(o0):", "    k = o0 - 1 - r", "    x = k * o2")
    # The log's rows and those of `bar` have different lengths.
    head.write(2, "lprev = k * o1", "lnow = lprev + o1", "prev = k * o3", "now = prev + o3")
    delays = loop.places.delays
    reached = {delays.get(n, n) for n in loop.outside if n in loop.inside} & set(loop.arriving)
    for name in loop.arriving:
        if name not in reached:
            # Before anything adds to the row of the sample before.
            place, blocks = out.place(f"bar:{name}"), out.place(f"blocks:{name}")
            head.write(2, f"for b in range({blocks}):")
            head.write(3, f"store(bar, prev + {place} + b * LANES, zero(bar))")
    head.lines[1:1] = [f"    o{k} = o[{k}]  # {key}" for k, key in enumerate(out.keys)]
    text = "\n".join([*head.lines, *out.lines]) + "\n"
    logged = [key.removeprefix("log:") for key in out.keys if key.startswith("log:")]
    # What the gradients of an operation's own parameters read, over all samples at once.
    read = (name for node in stage.nodes if node.op.elementwise for name in read_by(node))
    logged.extend(name for name in read if name in loop.places.log)
    return Adjoint(text, tuple(out.keys), loop.slots, tuple(reached), tuple(logged))


def _vector_pass(loop: _Backward, nodes: tuple[Node, ...]) -> None:
    out = loop.out
    out.write(2, f"for b in range({out.place(f'blocks:{nodes[0].name}')}):", "    i = b * LANES")
    bars: dict[str, str] = {}

    def add(name: str, variable: str) -> None:
        if name in bars:
            total = loop.fresh()
            out.write(3, f"{total} = add({bars[name]}, {variable})")
            bars[name] = total
        else:
            bars[name] = variable

    present = {node.name for node in nodes}
    for node in reversed(nodes):
        if node.name in loop.arriving:
            arrived = loop.fresh()
            out.write(3, f"{arrived} = load(bar, now + {out.place(f'bar:{node.name}')} + i)")
            add(node.name, arrived)
        if node.name not in bars:
            bars[node.name] = loop.fresh()
            out.write(3, f"{bars[node.name]} = zero(log)")
        if node.op.product:
            continue
        for position, name in enumerate(node.inputs):
            part = _pullback(loop, node, position, bars[node.name])
            if loop.in_registers(node, name):
                add(name, part)
            else:
                place = loop.home(name)
                if loop.widths[name] != node.width:
                    width = out.place(f"width:{node.name}")
                    out.write(3, f"add_sum(bar, {place}, {part}, {width} - i)")
                else:
                    out.write(3, f"store(bar, {place} + i, add(load(bar, {place} + i), {part}))")
    written: dict[str, str] = {}
    for name, variable in bars.items():
        is_trained = name in present and bool(loop.inside[name].parameters)
        if name in present and not is_trained:
            continue
        if name in loop.places.delays or name in loop.shared:
            place = f"{loop.home(name)} + i"
            out.write(3, f"store(bar, {place}, add(load(bar, {place}), {variable}))")
        elif variable in written:
            loop.slots[name] = written[variable]
        else:
            written[variable] = f"{name}/" if is_trained else name
            loop.slots[name] = written[variable]
            place = out.place(f"bar:{written[variable]}")
            out.write(3, f"store(bar, now + {place} + i, {variable})")


def _pullback(loop: _Backward, node: Node, position: int, bar: str) -> str:
    """Write the cotangent of one input, and return its variable."""
    out = loop.out
    formula = node.op.element(len(node.inputs), node.static)
    text = formula.cotangents[position]
    if text == "bar":
        return bar
    part = loop.fresh()
    settings = settings_of(out, node)
    values = {"bar": bar}
    for name, signal in zip((*formula.inputs, "y"), (*node.inputs, node.name), strict=True):
        if name in names(text):
            values[name] = _logged(loop, node, signal)
    if formula.inline:
        out.write(3, f"{part} = {inlined(text, values | settings)}")
    else:
        used = [value for name, value in (values | settings).items() if name in names(text)]
        out.write(3, f"{part} = {node.op.name}_pullback{position}({', '.join(used)})")
    return part


def read_by(node: Node) -> list[str]:
    """Return the signals that the gradients of an operation's parameters read."""
    formula = node.op.element(len(node.inputs), node.static)
    read = {name for text in formula.gradients.values() for name in names(text)}
    signals = zip((*formula.inputs, "y"), (*node.inputs, node.name), strict=True)
    return [signal for name, signal in signals if name in read]


def _logged(loop: _Backward, node: Node, name: str) -> str:
    """Return the expression for a signal's vector at this sample, from the forward run."""
    buffer, base = loop.base(name)
    base = base.replace("prev", "lprev").replace("now", "lnow")
    if loop.widths[name] != node.width:
        return f"splat({buffer}, {base})"
    return f"load({buffer}, {base} + i)"


def _transposed_product(loop: _Backward, number: int, source: str, stack: list[Node]) -> None:
    """Write Σ Kᵀ ȳ over all gains of one signal into that signal's cotangent."""
    out = loop.out
    into = loop.home(source)
    rows = out.place(f"width:{stack[0].name}")
    blocks = out.place(f"blocks:{source}")
    pack = out.place(f"par:transposed/{number}/{source}")
    slots = [out.place(f"bar:{loop.slots[node.name]}") for node in stack]
    q = len(stack)
    # Two vectors of the result a pass, which share the elements that they are multiplied with.
    out.write(2, f"for r in range({blocks} >> 1):")
    out.write(3, f"b = (k & 1) * (({blocks} >> 1) - 1 - 2 * r) + r", "i = 2 * b * LANES")
    _columns(out, slots, f"{pack} + 2 * b * {rows} * {q} * LANES", rows, "tu")
    for total, shift in (("t", ""), ("u", " + LANES")):
        place = f"{into} + i{shift}"
        out.write(3, f"store(bar, {place}, add(load(bar, {place}), {_sum(total, q)}))")
    out.write(2, f"if {blocks} & 1:", f"    i = ({blocks} - 1) * LANES")
    _columns(out, slots, f"{pack} + ({blocks} - 1) * {rows} * {q} * LANES", rows, "t")
    out.write(3, f"store(bar, {into} + i, add(load(bar, {into} + i), {_sum('t', q)}))")


def _columns(out: Writer, slots: list[str], pack: str, rows: str, totals: str) -> None:
    """Write the sums over the gains' rows of one vector (t) of the result, or two (t, u)."""
    q = len(slots)
    out.write(3, *(f"{total}{k} = zero(bar)" for total in totals for k in range(q)))
    out.write(3, f"p = {pack}")
    if len(totals) == 2:
        out.write(3, f"d = {rows} * {q} * LANES")
    out.write(3, f"for j in range({rows}):")
    for k, slot in enumerate(slots):
        out.write(4, f"s = splat(bar, now + {slot} + j)")
        for total in totals:
            place = f"p + {k} * LANES" + (" + d" if total == "u" else "")
            out.write(4, f"{total}{k} = fma(load(par, {place}), s, {total}{k})")
    out.write(4, f"p += {q} * LANES")


def _sum(total: str, q: int) -> str:
    expression = f"{total}0"
    for k in range(1, q):
        expression = f"add({expression}, {total}{k})"
    return expression


def _moving_back(loop: _Backward, node: Node) -> None:
    """Write the cotangents of what moved elements about, element by element."""
    out = loop.out
    place = f"now + {out.place(f'bar:{node.name}')}"
    if "index" in node.static:
        into, index = loop.home(node.inputs[0]), out.place(f"index:{node.name}")
        out.write(2, f"for j in range({out.place(f'width:{node.name}')}):")
        out.write(3, f"bar[{into} + o[{index} + j]] += bar[{place} + j]")
        return
    out.write(2, f"p = {place}")
    for name in node.inputs:
        into, columns = loop.home(name), out.place(f"width:{name}")
        out.write(2, f"for j in range({columns}):", f"    bar[{into} + j] += bar[p + j]")
        out.write(2, f"p += {columns}")
