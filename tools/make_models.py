"""Write the model files in `diagrams/` from the wiring in `lstmsim.layers`.

The files are what `build` makes, with expressions over a workspace in place of the values, so
that they serve all sizes.  Run it after a change of the wiring or the layout:

    python tools/make_models.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lstmsim import LSTM, Dense, Network, build, save

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


def main() -> None:
    """Write both files."""
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
