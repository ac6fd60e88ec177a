"""C export: a diagram as one C99 file and its header.

One function computes one sample.  There is no allocation, and no library beyond math.h; the
weights are static constant arrays, the delays a struct of the caller's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lstmsim.base import Array, InvalidValueError
from lstmsim.blocks import Kind, names, renamed
from lstmsim.engine.graph import Graph, Node
from lstmsim.engine.schedule import Schedule

Parameters = Mapping[str, Mapping[str, Array]]

#: The functions of the operations' formulas: those of math.h, and those that are written here.
_MATH = {
    "abs": "fabs",
    "exp": "exp",
    "expm1": "expm1",
    "log1p": "log1p",
    "sqrt": "sqrt",
    "tanh": "tanh",
}
_HELPERS = {
    "minimum": "static {real} {name}_minimum({real} a, {real} b) {{ return b < a ? b : a; }}",
    "maximum": "static {real} {name}_maximum({real} a, {real} b) {{ return b > a ? b : a; }}",
    "where": "static {real} {name}_where(int c, {real} a, {real} b) {{ return c ? a : b; }}",
}


def _comment(text: str) -> str:
    """Return a name as it may stand in a comment."""
    return re.sub(r"[^\w.\[\]() ,]", "_", text)


class _Source:
    """The C text of one diagram."""

    def __init__(
        self, name: str, graph: Graph, schedule: Schedule, parameters: Parameters, dtype: Any
    ) -> None:
        self.name, self.graph, self.parameters = name, graph, parameters
        self.real, self.suffix = ("float", "f") if dtype == np.float32 else ("double", "")
        self.dtype = np.dtype(dtype)
        needed = graph.needed(graph.outputs)
        self.sources = [name for name in graph.sources if name in needed]
        self.nodes = [n for stage in schedule.stages for n in stage.nodes if n.name in needed]
        self.widths = graph.widths
        self.variables = {n: f"s{k}" for k, n in enumerate(self.widths) if n in needed}
        self.constants: list[str] = []
        #: Of the formulas.
        self.functions = {own: word + self.suffix for own, word in _MATH.items()}
        self.functions |= {own: f"{self.name}_{own}" for own in _HELPERS}

    def number(self, value: float) -> str:
        """Return a literal that reads back as the same number."""
        digits = np.format_float_scientific(self.dtype.type(value), unique=True, trim="0")
        return digits + self.suffix

    def array(self, label: str, values: Array) -> str:
        """Add a constant array, and return its name."""
        name = f"{self.name}_c{len(self.constants)}"
        numbers = [self.number(v) for v in np.asarray(values, self.dtype).reshape(-1)]
        rows = [", ".join(numbers[k : k + 6]) for k in range(0, len(numbers), 6)]
        body = ",\n    ".join(rows)
        declared = f"static const {self.real} {name}[{len(numbers)}]"
        self.constants.append(f"/* {_comment(label)} */\n{declared} = {{\n    {body}\n}};")
        return name

    def element(self, name: str, width: int) -> str:
        """Return the j-th element of a signal, or its only one."""
        return f"{self.variables[name]}[{'0' if self.widths[name] != width else 'j'}]"

    def compute(self, node: Node) -> list[str]:
        """Return the lines that compute a signal."""
        target, n = self.variables[node.name], node.width
        loop = f"for (j = 0; j < {n}; ++j)"
        match node.op.kind:
            case Kind.ELEMENTWISE:
                return [f"{loop} {target}[j] = {self.formula(node)};"]
            case Kind.PRODUCT:
                return self.product(node, loop)
            case Kind.MOVE:
                return self.moved(node)
            case Kind.MIX:
                return self.mixed(node)
            case Kind.MEMORY:
                return [f"{loop} {target}[j] = state->{target}[j];"]
            case Kind.CONSTANT:
                value = self.parameters[node.block]["value"]
                values = self.array(node.name, np.broadcast_to(value, (n,)))
                return [f"{loop} {target}[j] = {values}[j];"]

    def formula(self, node: Node) -> str:
        """Return the expression of one element of an element-wise operation."""
        formula = node.formula
        inputs = (self.element(name, node.width) for name in node.inputs)
        new = self.functions | dict(zip(formula.inputs, inputs, strict=True))
        for name in formula.parameters:
            given = {**node.static, **self.parameters.get(node.block, {})}[name]
            # Not all of C has a literal for infinity: the largest number bounds as well.
            limits = np.finfo(self.dtype)
            values = np.clip(given, limits.min, limits.max)
            if np.size(values) == 1:
                new[name] = self.number(float(np.reshape(values, ())))
            else:
                new[name] = f"{self.array(f'{node.name} {name}', values)}[j]"
        return self.expression(formula.value, new)

    def expression(self, text: str, new: Mapping[str, str]) -> str:
        """Return a formula in C, with other names."""
        return renamed(text, new, lambda value: f"{value}{self.suffix}")

    def product(self, node: Node, loop: str) -> list[str]:
        """Return the lines of a matrix times a signal."""
        K = self.parameters[node.block]["K"]
        weights = self.array(f"{node.name} {K.shape}", K)
        source, columns = self.variables[node.inputs[0]], self.widths[node.inputs[0]]
        return [
            f"{loop} {{",
            f"    {self.real} total = 0;",
            f"    for (i = 0; i < {columns}; ++i)",
            f"        total += {weights}[j * {columns} + i] * {source}[i];",
            f"    {self.variables[node.name]}[j] = total;",
            "}",
        ]

    def moved(self, node: Node) -> list[str]:
        """Return the lines that move elements."""
        target, lines, at = self.variables[node.name], [], 0
        if "index" in node.static:
            source = self.variables[node.inputs[0]]
            index = enumerate(node.static["index"])
            return [f"{target}[{j}] = {source}[{k}];" for j, k in index]
        for name in node.inputs:
            width = self.widths[name]
            line = f"{target}[{at} + j] = {self.variables[name]}[j];"
            lines.append(f"for (j = 0; j < {width}; ++j) {line}")
            at += width
        return lines

    def mixed(self, node: Node) -> list[str]:
        """Return the lines of an operation that mixes elements: its reductions come first."""
        mixture, target = node.op.mixture, self.variables[node.name]
        assert mixture is not None
        signals = dict(zip(mixture.inputs, node.inputs, strict=True))
        new = self.functions | {name: f"{target}_{name}" for name in mixture.reductions}

        def element(text: str, width: int) -> str:
            inputs = {own: self.element(name, width) for own, name in signals.items()}
            return self.expression(text, new | inputs)

        lines = []
        for name, how, text in mixture.needed((mixture.value,)):
            width = max(self.widths[signals[own]] for own in names(text) if own in signals)
            total, lowest = new[name], "-HUGE_VAL" if how == "max" else "0"
            lines.append(f"{self.real} {total} = {lowest};")
            loop, each = f"for (j = 0; j < {width}; ++j)", element(text, width)
            if how == "max":
                # NaN is larger than all numbers, as NumPy has it.
                larger = f"if (e > {total} || e != e) {total} = e;"
                lines.append(f"{loop} {{ const {self.real} e = {each}; {larger} }}")
            else:
                lines.append(f"{loop} {total} += {each};")
            if how == "mean":
                lines.append(f"{total} /= {width};")
        value = element(mixture.value, node.width)
        lines.append(f"for (j = 0; j < {node.width}; ++j) {target}[j] = {value};")
        return ["{", *(f"    {line}" for line in lines), "}"]

    def input_order(self) -> list[str]:
        """Return a comment that tells inputs from functions of time, where there are some."""
        if not self.graph.of_time:
            return []
        lines, at = ["/* The elements of u, sample by sample:"], 0
        for name, width in self.graph.sources.items():
            which = f"u[{at}]" if width == 1 else f"u[{at}] to u[{at + width - 1}]"
            time = ", a function of time: its value at this sample"
            lines.append(f"   {which}: {_comment(name)}{time * (name in self.graph.of_time)}")
            at += width
        return [*lines, "*/"]

    def header(self) -> str:
        """Return the header file."""
        name, guard = self.name, f"{self.name.upper()}_H"
        delays = [node for node in self.nodes if node.op.memory]
        members = [
            f"    {self.real} {self.variables[node.name]}[{node.width}];"
            f" /* {_comment(node.name)} */"
            for node in delays
        ] or ["    int unused; /* the diagram has no delay */"]
        inputs = sum(self.graph.sources.values())
        outputs = sum(self.widths[n] for n in self.graph.outputs)
        return "\n".join(
            [
                f"/* Sample time: {self.graph.Ts:g} s. Inputs: {inputs}. Outputs: {outputs}. */",
                *self.input_order(),
                f"#ifndef {guard}",
                f"#define {guard}",
                "",
                f"#define {name.upper()}_INPUTS {inputs}",
                f"#define {name.upper()}_OUTPUTS {outputs}",
                "",
                "#ifdef __cplusplus",
                'extern "C" {',
                "#endif",
                "",
                "typedef struct {",
                *members,
                f"}} {name}_state;",
                "",
                "/* Set the state to its initial values. */",
                f"void {name}_reset({name}_state *state);",
                "",
                "/* Compute one sample: from u and the state, y and the next state. */",
                f"void {name}_step({name}_state *state, const {self.real} *u, {self.real} *y);",
                "",
                "#ifdef __cplusplus",
                "}",
                "#endif",
                "",
                "#endif",
                "",
            ]
        )

    def body(self, test: tuple[Array, Array] | None) -> str:
        """Return the source file."""
        delays = [node for node in self.nodes if node.op.memory]
        reset, step, update = [], [], []
        at = 0
        for name, width in self.graph.sources.items():
            if name in self.sources:
                target = self.variables[name]
                step.append(f"for (j = 0; j < {width}; ++j) {target}[j] = u[{at} + j];")
            at += width
        for node in delays:
            place = f"state->{self.variables[node.name]}"
            x0 = self.array(f"{node.name} at first", self.parameters[node.block]["x0"])
            reset.append(f"for (j = 0; j < {node.width}; ++j) {place}[j] = {x0}[j];")
            source = self.variables[node.inputs[0]]
            update.append(f"for (j = 0; j < {node.width}; ++j) {place}[j] = {source}[j];")
        for node in sorted(self.nodes, key=lambda n: not n.op.memory):
            step.extend(self.compute(node))
        at = 0
        for name in self.graph.outputs:
            width = self.widths[name]
            update.append(f"for (j = 0; j < {width}; ++j) y[{at} + j] = {self.variables[name]}[j];")
            at += width
        needs = {h for h in _HELPERS if any(f"_{h}(" in line for line in step)}
        counters = ["int j;"] + (["int i;"] if any("(i = 0;" in line for line in step) else [])
        unused = [] if self.sources else ["(void)u;"]
        arguments = f"{self.name}_state *state, const {self.real} *u, {self.real} *y"
        state_unused = [] if delays else ["(void)state;"]
        text = [
            f'#include "{self.name}.h"',
            "",
            "#include <math.h>",
            "",
            *(_HELPERS[h].format(real=self.real, name=self.name) for h in sorted(needs)),
            "",
            *self.constants,
            "",
            f"void {self.name}_reset({self.name}_state *state)",
            "{",
            *([] if not delays else ["    int j;"]),
            *(f"    {line}" for line in state_unused or reset),
            *([] if delays else ["    state->unused = 0;"]),
            "}",
            "",
            f"void {self.name}_step({arguments})",
            "{",
            *(f"    {line}" for line in counters),
            *(f"    {self.real} {v}[{self.widths[n]}];" for n, v in self.variables.items()),
            *(f"    {line}" for line in [*unused, *state_unused, *step, *update]),
            "}",
            "",
        ]
        if test is not None:
            text.extend(self.main(*test))
        return "\n".join(text)

    def main(self, u: Array, y: Array) -> list[str]:
        """Return a program that runs a test vector, and says whether it passes."""
        before = len(self.constants)
        inputs, outputs = self.array("test input", u), self.array("test output", y)
        # Where a large signal crosses zero it still has the rounding of its large terms.
        scales = np.maximum(1.0, np.abs(y).max(axis=0))
        atol = self.array("test tolerance", 1e-6 * scales)
        added, self.constants = self.constants[before:], self.constants[:before]
        upper = self.name.upper()
        return [
            f"#ifdef {upper}_MAIN",
            "#include <stdio.h>",
            "",
            *added,
            "",
            "int main(void)",
            "{",
            f"    {self.name}_state state;",
            f"    {self.real} y[{upper}_OUTPUTS];",
            "    int k, j, bad = 0;",
            f"    {self.name}_reset(&state);",
            f"    for (k = 0; k < {len(u)}; ++k) {{",
            f"        {self.name}_step(&state, {inputs} + k * {upper}_INPUTS, y);",
            f"        for (j = 0; j < {upper}_OUTPUTS; ++j) {{",
            f"            double expected = {outputs}[k * {upper}_OUTPUTS + j];",
            "            double error = fabs(y[j] - expected);",
            f"            if (!(error <= {atol}[j] + 1e-5 * fabs(expected))) ++bad;",
            "        }",
            "    }",
            '    printf("%s: %d of %d numbers differ\\n", bad ? "FAIL" : "PASS", bad,',
            f"           {len(u)} * {upper}_OUTPUTS);",
            "    return bad != 0;",
            "}",
            "#endif",
            "",
        ]


def export(
    path: Path,
    graph: Graph,
    schedule: Schedule,
    parameters: Parameters,
    dtype: Any,
    test: tuple[Array, Array] | None,
) -> dict[Path, str]:
    """Return the texts of the source file and of the header beside it.

    Raises
    ------
    InvalidValueError
        If the file's name cannot be a name in C, or does not end in `.c`.
    """
    name = path.stem
    if path.suffix != ".c" or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        raise InvalidValueError(
            "the file's name cannot name functions in C",
            where=str(path),
            given=path.name,
            expected="letters, digits and underscores, not first a digit, and the ending .c",
            mend="for example lstm.c",
        )
    source = _Source(name, graph, schedule, parameters, dtype)
    return {path: source.body(test), path.with_suffix(".h"): source.header()}
