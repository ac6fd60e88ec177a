"""Write the model files in `diagrams/`: those of the wiring, and a cell drawn here.

The files have expressions over a workspace in place of the values, so that they serve all
sizes.  Run it after a change of the wiring or the layout:

    python tools/make_models.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from bdsim.blockdiagram import BlockDiagram

from lstmsim import LSTM, Dense, Network, blockdiagram, build, save

DIAGRAMS = Path(__file__).parents[1] / "diagrams"
GATES = "ifgo"


def layer_expressions(suffix: str, prefix: str) -> dict[str, dict[str, str]]:
    """Return the expressions of one layer, for the arrays W, R, b, h0, c0 with this suffix."""
    expressions = {}
    n = f"len(h0{suffix})"
    for row, gate in enumerate(GATES):
        first, last = ("0", n, f"2*{n}", f"3*{n}", f"4*{n}")[row : row + 2]
        for block, array in ((f"W{gate}", "W"), (f"R{gate}", "R"), (f"b{gate}", "b")):
            key = "value" if array == "b" else "K"
            expressions[prefix + block] = {key: f"={array}{suffix}[{first}:{last}]"}
    expressions[f"{prefix}h_prev"] = {"x0": f"=h0{suffix}"}
    expressions[f"{prefix}c_prev"] = {"x0": f"=c0{suffix}"}
    return expressions


def any_layer(units: int, inputs: int) -> LSTM:
    """Return a layer of zeros: only its wiring matters."""
    return LSTM(np.zeros((4 * units, inputs)), np.zeros((4 * units, units)), np.zeros(4 * units))


#: The coupled cell: kind, arguments, position of every block.
CELL = {
    "u": ("FROMWORKSPACE", {"width": 1}, (-340, 260)),
    "y_prev": ("UNITDELAY", {"x0": [0.0]}, (440, 860)),
    "Wf": ("MATRIXGAIN", {"K": np.zeros((2, 1))}, (60, 0)),
    "Rf": ("MATRIXGAIN", {"K": np.zeros((2, 1))}, (0, 140)),
    "bf": ("CONSTANT", {"value": np.zeros(2)}, (60, 280)),
    "sum_f": ("SUM", {"signs": "+++"}, (260, 120)),
    "f": ("SIGMOID", {}, (440, 120)),
    "one": ("CONSTANT", {"value": 1.0}, (440, 320)),
    "i": ("SUM", {"signs": "-+"}, (640, 300)),
    "Wg": ("MATRIXGAIN", {"K": np.zeros((2, 1))}, (60, 460)),
    "Rg": ("MATRIXGAIN", {"K": np.zeros((2, 1))}, (0, 600)),
    "bg": ("CONSTANT", {"value": np.zeros(2)}, (60, 740)),
    "sum_g": ("SUM", {"signs": "+++"}, (260, 580)),
    "g": ("TANH", {}, (440, 580)),
    "ig": ("HADAMARD", {"nin": 2}, (840, 440)),
    "c_prev": ("UNITDELAY", {"x0": [0.0, 0.0]}, (940, -40)),
    "fc": ("HADAMARD", {"nin": 2}, (840, 100)),
    "c": ("SUM", {"signs": "++"}, (1040, 100)),
    "tanh_c": ("TANH", {}, (1220, 100)),
    "y": ("MATRIXGAIN", {"K": np.zeros((1, 2))}, (1400, 100)),
    "out": ("TOWORKSPACE", {}, (1580, 100)),
}
CELL_WIRES = """
    u Wf.0  u Wg.0  y_prev Rf.0  y_prev Rg.0
    Wf sum_f.0  Rf sum_f.1  bf sum_f.2  sum_f f.0  f i.0  one i.1
    Wg sum_g.0  Rg sum_g.1  bg sum_g.2  sum_g g.0
    c_prev fc.0  f fc.1  i ig.0  g ig.1  fc c.0  ig c.1  c c_prev.0
    c tanh_c.0  tanh_c y.0  y y_prev.0  y out.0
"""
CELL_EXPRESSIONS = {
    "u": {"values": "=u", "width": ""},
    "y_prev": {"x0": "=y0"},
    "c_prev": {"x0": "=c0"},
    "Wf": {"K": "=W[0:len(c0)]"},
    "Rf": {"K": "=R[0:len(c0)]"},
    "bf": {"value": "=b[0:len(c0)]"},
    "Wg": {"K": "=W[len(c0):2*len(c0)]"},
    "Rg": {"K": "=R[len(c0):2*len(c0)]"},
    "bg": {"value": "=b[len(c0):2*len(c0)]"},
    "y": {"K": "=F"},
}


def coupled_cell() -> BlockDiagram:
    """Return the diagram of a cell whose input gate is 1 - f, and whose gates see the output."""
    bd = blockdiagram()
    clock = bd.clock(0.1, name="clock")
    for name, (kind, settings, position) in CELL.items():
        sampled = kind in ("FROMWORKSPACE", "UNITDELAY", "TOWORKSPACE")
        arguments = {**settings, **({"clock": clock} if sampled else {})}
        getattr(bd, kind)(**arguments, name=name, pos=position)
    words = CELL_WIRES.split()
    for start, end in zip(words[::2], words[1::2], strict=True):
        into, port = end.split(".")
        bd.connect(bd.blocknames[start], bd.blocknames[into][int(port)])
    return bd


def main() -> None:
    """Write all files."""
    save(
        coupled_cell(),
        DIAGRAMS / "coupled_cell.bd",
        expressions=CELL_EXPRESSIONS,
        script="run_model.py",
    )
    source = {"u": {"values": "=u", "width": ""}}
    layer = build(Network([any_layer(3, 4), Dense(np.zeros((2, 3)))]))
    save(
        layer,
        DIAGRAMS / "lstm_layer.bd",
        expressions=source | layer_expressions("", "") | {"y": {"K": "=F"}},
        script="run_model.py",
    )
    stacked = build(Network([any_layer(3, 4), any_layer(3, 3), Dense(np.zeros((2, 3)))]))
    save(
        stacked,
        DIAGRAMS / "lstm_stacked.bd",
        expressions=source
        | layer_expressions("1", "lstm1.")
        | layer_expressions("2", "lstm2.")
        | {"y": {"K": "=F"}},
        script="run_model.py",
    )


if __name__ == "__main__":
    main()
