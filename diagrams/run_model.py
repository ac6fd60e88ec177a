"""Run a model: what bdedit's Run button starts for the models in this folder.

    python run_model.py lstm_layer.bd [--workspace FILE]

Without a workspace the published example's arrays are used, or, for the other models, ones
drawn from the same random stream.  Prints the first outputs, and shows or saves the figure.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import lstmsim as ls


def example_workspace(model: Path) -> dict[str, Any]:
    """Return arrays for the models that come with the package."""
    workspace: dict[str, Any] = ls.published.layer_workspace()
    if model.stem == "lstm_stacked":
        random = ls.published.MatlabRandom(1)
        for name in ("W", "R", "b", "h0", "c0"):
            workspace[f"{name}1"] = workspace.pop(name)
        workspace |= {"W2": random.randn(20, 3), "R2": random.randn(20, 5) / 2}
        workspace |= {"b2": random.randn(20, 1), "h02": [0.0] * 5, "c02": [0.0] * 5}
        workspace["F"] = random.randn(2, 5)
    if model.stem == "coupled_cell":
        random = ls.published.MatlabRandom(1)
        workspace = {"W": random.randn(6, 4), "R": random.randn(6, 2), "b": random.randn(6, 1)}
        workspace |= {"c0": [0.0] * 3, "y0": [0.0] * 2, "F": random.randn(2, 3)}
        workspace |= {"u": random.randn(51, 4), "Ts": 0.1}
    return workspace


def main() -> None:
    """Run the model that is named on the command line."""
    parser = argparse.ArgumentParser(description="Run a model over a workspace.")
    parser.add_argument("model", type=Path)
    parser.add_argument("--workspace", type=Path, help="an .npz or .mat file")
    # The editor adds bdsim's own options, such as --simtime: a run is as long as its input.
    options, _ = parser.parse_known_args()
    if options.workspace is None:
        workspace = example_workspace(options.model)
    else:
        workspace = ls.load_workspace(options.workspace)
    traces = ls.simulate(ls.load(options.model, workspace))
    print(f"{options.model.name}: {traces.sizes['time']} samples of {traces.attrs['Ts']:g} s")
    print("first outputs:")
    for row in traces.y[:5].values.T:
        print("  " + " ".join(f"{value:.4f}" for value in row))
    picture = options.model.with_suffix(".png")
    ls.save_plot(ls.plot(traces), picture)
    print(f"figure: {picture}")


if __name__ == "__main__":
    try:
        main()
    except ls.errors.LstmsimError as error:
        raise SystemExit(f"error: {error}") from None
