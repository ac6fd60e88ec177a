"""What users may get wrong: for each, how to bring it about and what the message has to say."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import lstmsim as ls
from tests.conftest import (
    Model,
    block_of,
    random_network,
    remove_block,
    rewire,
    socket,
    workspace_of,
)
from tests.test_cli import step_model
from tests.test_workspaces import CodeInAPickle, matlab_73

Arguments = list[str]

WITH = ["-w", "w.npz"]
RUN = ["run", "lstm_layer", *WITH]


def workspace(**changes: Any) -> None:
    """Write the published workspace to w.npz, with some arrays changed or, if None, left out."""
    arrays = ls.published.layer_workspace() | changes
    np.savez("w.npz", **{k: v for k, v in arrays.items() if v is not None})  # type: ignore[arg-type]


def with_workspace(**changes: Any) -> Callable[[], Arguments]:
    def prepare() -> Arguments:
        workspace(**changes)
        return RUN

    return prepare


def with_input(u: Any, name: str = "u.npy") -> Callable[[], Arguments]:
    def prepare() -> Arguments:
        workspace(u=None)
        if isinstance(u, str):
            Path(name).write_text(u)
        else:
            np.save(name, u)
        return [*RUN, "--input", name]

    return prepare


def with_model(edit: Callable[[Model], object]) -> Callable[[], Arguments]:
    def prepare() -> Arguments:
        workspace()
        model = json.loads(ls.model_path("lstm_layer").read_text(encoding="utf-8"))
        edit(model)
        Path("m.bd").write_text(json.dumps(model), encoding="utf-8")
        return ["run", "m.bd", *WITH]

    return prepare


def with_text(text: str | bytes) -> Callable[[], Arguments]:
    def prepare() -> Arguments:
        workspace()
        Path("m.bd").write_bytes(text.encode() if isinstance(text, str) else text)
        return ["run", "m.bd", *WITH]

    return prepare


def with_options(*options: str) -> Callable[[], Arguments]:
    def prepare() -> Arguments:
        workspace()
        Path("folder.nc").mkdir()
        Path("folder.png").mkdir()
        return [*RUN, *options]

    return prepare


def spoiled(name: str, index: tuple[int, ...], value: float) -> np.ndarray:
    array = np.array(ls.published.layer_workspace()[name])
    array[index] = value
    return array


def unknown_block(model: Model) -> None:
    block_of(model, "tanh_c")["block_type"] = "GELU"


def product_block(model: Model) -> None:
    block_of(model, "ig")["block_type"] = "PROD"


def unconnected(model: Model) -> None:
    end = socket(model, "sum_f", "inputs", 1)
    model["wires"] = [w for w in model["wires"] if w["end_socket"] != end]


def second_wire(model: Model) -> None:
    ends = {
        "start_socket": socket(model, "u", "outputs"),
        "end_socket": socket(model, "h", "inputs"),
    }
    model["wires"].append(ends)


def algebraic_loop(model: Model) -> None:
    rewire(model, "fc", 0, "c")
    remove_block(model, "c_prev")


def call(model: Model) -> None:
    block_of(model, "Wg")["parameters"] = [["K", "=__import__('pathlib').Path('proof').touch()"]]


def unknown_parameter(model: Model) -> None:
    block_of(model, "Wg")["parameters"].append(["gain", 3])


def same_title(model: Model) -> None:
    block_of(model, "i")["title"] = "f"


def pickled() -> Arguments:
    workspace(R=np.array([CodeInAPickle(Path("proof"))], dtype=object))
    return RUN


def new_matlab() -> Arguments:
    matlab_73(Path("w.mat"))
    return ["run", "lstm_layer", "-w", "w.mat"]


def text_for_a_workspace() -> Arguments:
    Path("w.npz").write_text("W = 3")
    return RUN


def growing() -> Arguments:
    step_model("loop.bd", gain=10.0)
    np.savez("w.npz", Ts=0.1)
    return ["run", "loop.bd", *WITH, "--samples", "400", "--out", "a.nc"]


def endless() -> Arguments:
    step_model("loop.bd")
    np.savez("w.npz", Ts=0.1)
    return ["run", "loop.bd", *WITH]


def another_network() -> Arguments:
    arguments = with_model(lambda model: rewire(model, "y", 0, "c"))()
    return [*arguments, "--check", "--out", "a.nc"]


def traces(*arguments: str) -> Callable[[], Arguments]:
    def prepare() -> Arguments:
        network, u = ls.published.layer_example()
        ls.save_traces(ls.reference(network, u[:5]), "a.nc")
        ls.save_traces(ls.reference(network, np.stack([u[:5], u[:5]])), "batch.nc")
        Path("damaged.nc").write_bytes(Path("a.nc").read_bytes()[:2000])
        return list(arguments)

    return prepare


def analysis(*options: str) -> Callable[[], Arguments]:
    def prepare() -> Arguments:
        workspace()
        return ["analyze", "lstm_layer", *WITH, *options]

    return prepare


def stack() -> Arguments:
    arrays = workspace_of(random_network((3, 2))) | {"u": np.ones((5, 2)), "W2": np.ones((8, 4))}
    np.savez("w.npz", **arrays)  # type: ignore[arg-type]
    return ["run", "lstm_stacked", *WITH]


NONE = "No such file or directory"
#: What is wrong: how to bring it about, and words that the message has.
BAD: dict[str, tuple[Callable[[], Arguments], list[str]]] = {
    "W does not fit": (with_workspace(W=np.ones((12, 3))), ["block 'Wf'", "(3, 3)", "elements"]),
    "R does not fit": (
        with_workspace(R=np.ones((12, 4))),
        ["W of shape (12, 4), R of shape (12, 4)", "16 rows in W"],
    ),
    "F does not fit": (
        with_workspace(F=np.ones((2, 4))),
        ["block 'y' (MATRIXGAIN), input port 0", "3 elements", "4 elements", "(2, 4)"],
    ),
    "too many rows": (with_workspace(W=np.ones((16, 4))), ["W of shape (16, 4)", "12 rows in W"]),
    "rows not divisible by 4": (
        with_workspace(W=np.ones((10, 4)), R=np.ones((10, 3)), b=np.ones(10)),
        ["R of shape (10, 3)", "divisible by 4", "i, f, g, o"],
    ),
    "rows not divisible by 4, checked": (
        lambda: [*with_workspace(W=np.ones((10, 4)))(), "--check"],
        ["W of shape (10, 4)", "divisible by 4"],
    ),
    "NaN in W": (
        with_workspace(W=spoiled("W", (1, 2), np.nan)),
        ["W holds NaN or Inf", "1 of 48 elements", "index [1, 2]: nan", "finite numbers"],
    ),
    "Inf in c0": (with_workspace(c0=spoiled("c0", (2, 0), -np.inf)), ["c0", "index [2, 0]: -inf"]),
    "NaN in u": (with_workspace(u=spoiled("u", (50, 3), np.nan)), ["u holds", "index [50, 3]"]),
    "Inf in the input file": (with_input(np.full((5, 4), np.inf)), ["u.npy", "20 of 20 elements"]),
    "empty u": (with_workspace(u=np.zeros((0, 4))), ["(0, 4)", "at least one sample"]),
    "empty input file": (with_input(np.zeros((0, 4))), ["u.npy", "(0, 4)", "at least one sample"]),
    "one-dimensional u": (with_workspace(u=np.zeros(51)), ["1 element", "4 elements"]),
    "one-dimensional input file": (
        with_input(np.zeros(51)),
        ["block 'u' (FROMWORKSPACE)", "(51, 1)", "shape (T, 4)", "transpose"],
    ),
    "transposed input file": (with_input(np.zeros((4, 51))), ["(4, 51)", "(T, 4)", "transpose"]),
    "ragged input file": (with_input("1,2,3,4\n1,2,3\n", "u.csv"), ["u.csv, line 2", "3 columns"]),
    "text in the input file": (with_input("1,2,x,4\n", "u.csv"), ["u.csv, line 1", "'x'"]),
    "unknown kind of input file": (with_input("1,2,3,4\n", "u.txt"), [".txt", ".csv, .npy"]),
    "complex W": (with_workspace(W=np.ones((12, 4)) * 1j), ["W does not", "complex numbers"]),
    "complex u": (with_workspace(u=np.ones((5, 4)) * 1j), ["u does not", "complex numbers"]),
    "text for b": (with_workspace(b=np.array(["one"] * 12)), ["b does not", "text"]),
    "text for Ts": (with_workspace(Ts=np.array("fast")), ["Ts does not", "text"]),
    "Ts = 0": (with_workspace(Ts=np.array(0.0)), ["Ts", "one number > 0, in seconds"]),
    "Ts < 0": (with_workspace(Ts=np.array([[-0.1]])), ["Ts", "-0.1", "one number > 0"]),
    "NaN for Ts": (with_workspace(Ts=np.array(np.nan)), ["Ts holds NaN"]),
    "no Ts": (with_workspace(Ts=None), ["lacks a name", "expected: Ts", "add Ts"]),
    "no R": (with_workspace(R=None), ["lacks a name", "block 'Rf'", "expected: R", "add R"]),
    "no u": (with_workspace(u=None), ["block 'u'", "no values"]),
    "a reserved name": (with_workspace(clock=np.array(1.0)), ["reserved name", "clock"]),
    "a truncated model": (with_text('{"blocks": [{"id": 1,'), ["m.bd", "line 1", "Save"]),
    "a model that is not JSON": (with_text("clc; clear all"), ["m.bd", "JSON, as bdedit"]),
    "a model that is not text": (with_text(b"\x89PNG\r\n\xff"), ["m.bd", "not a model file"]),
    "JSON that is no model": (with_text("[1, 2]"), ["m.bd", "lists of blocks and wires"]),
    "an unknown block": (with_model(unknown_block), ["m.bd, block 'tanh_c'", "'GELU'", "TANH"]),
    "bdsim's own product": (with_model(product_block), ["block 'ig'", "'PROD'", "use HADAMARD"]),
    "an unknown parameter": (with_model(unknown_parameter), ["block 'Wg'", "'gain'", "K"]),
    "two blocks of one title": (with_model(same_title), ["the same title", "'f'", "rename"]),
    "an unconnected port": (
        with_model(unconnected),
        ["m.bd, block 'sum_f' (SUM), input port 1", "no wire", "connect it"],
    ),
    "two wires into one port": (
        with_model(second_wire),
        ["block 'h' (HADAMARD), input port 0", "from 'tanh_c' and 'u'", "remove one"],
    ),
    "an algebraic loop": (
        with_model(algebraic_loop),
        ["algebraic loop", "a loop of 2 blocks", "put a UNITDELAY into the loop"],
    ),
    "an expression that calls": (
        with_model(call),
        ["m.bd, block 'Wg' (MATRIXGAIN), parameter K", "__import__", "not allowed"],
    ),
    "a model without blocks": (with_text('{"blocks": [], "wires": []}'), ["no blocks"]),
    "pickles in a workspace": (pickled, ["w.npz", "pickle can run any code", "np.savez"]),
    "MATLAB 7.3": (new_matlab, ["w.mat", "version 7.3", "-v7'"]),
    "text for a workspace": (text_for_a_workspace, ["w.npz", "an .npz file"]),
    "a folder that does not exist": (
        with_options("--out", "nowhere/a.nc"),
        ["nowhere/a.nc", NONE, "make the folder"],
    ),
    "a path that is a folder": (with_options("--out", "folder.nc"), ["folder.nc", "directory"]),
    "an unknown kind of trace file": (with_options("--out", "a.txt"), [".txt", ".nc or .csv"]),
    "a figure's folder does not exist": (
        with_options("--plot", "nowhere/a.png"),
        ["nowhere/a.png", NONE],
    ),
    "a figure's path is a folder": (with_options("--plot", "folder.png"), ["folder.png"]),
    "an unknown kind of figure": (with_options("--plot", "a.txt"), [".txt", ".png"]),
    "traces saved, the figure not": (
        with_options("--out", "a.nc", "--plot", "nowhere/a.png"),
        ["nowhere/a.png", NONE],
    ),
    "traces saved, the figure of no kind": (
        with_options("--out", "a.nc", "--plot", "a.txt"),
        [".txt", ".png"],
    ),
    "too many samples": (with_options("--samples", "52"), ["52", "from 1 to 51"]),
    "no samples": (with_options("--samples", "0"), ["0", "from 1 to 51"]),
    "no number of samples": (endless, ["how long to run", "--samples"]),
    "a signal that overflows": (
        growing,
        ["not finite any more", "block 'g' (MATRIXGAIN), sample 308", "inf", "gains in the loop"],
    ),
    "a model that is not the network": (
        another_network,
        ["not the network", "input 0 of block y", "run the model without the check"],
    ),
    "no such model": (lambda: ["run", "nosuch"], ["nosuch", NONE]),
    "no such model file": (lambda: ["info", "no/such.bd"], ["no/such.bd", NONE]),
    "no such workspace": (lambda: RUN, ["w.npz", NONE]),
    "no such input": (lambda: [*with_workspace()(), "-i", "u.csv"], ["u.csv", NONE]),
    "no such traces": (lambda: ["plot", "a.nc"], ["a.nc", NONE]),
    "no such traces to compare": (traces("check", "a.nc", "b.nc"), ["b.nc", NONE]),
    "no model to edit": (lambda: ["edit", "nosuch.bd"], ["nosuch.bd", NONE]),
    "damaged traces": (traces("check", "a.nc", "damaged.nc"), ["damaged.nc", "is the file whole?"]),
    "a workspace for traces": (
        lambda: ["plot", with_workspace()()[-1]],
        ["w.npz", ".nc or .csv"],
    ),
    "a stack that does not chain": (
        stack,
        ["block 'lstm2.Wf' (MATRIXGAIN), input port 0", "3 elements", "4 elements", "(2, 4)"],
    ),
    "unknown signals": (
        traces("plot", "a.nc", "--signals", "h,H,x"),
        ["'H', 'x'", "u, i, f, g, o, c"],
    ),
    "no signals": (traces("plot", "a.nc", "--signals", ""), ["some of: u, i, f"]),
    "a batch to plot": (traces("plot", "batch.nc"), ["a batch of 2", "one sequence"]),
    "an unknown kind of picture": (traces("plot", "a.nc", "-o", "a.doc"), [".doc", ".png"]),
    "no loops to list": (
        lambda: ["loops", "lstm_layer", "--limit", "0"],
        ["limit=0", "a whole number of loops"],
    ),
    "a drawing of an unknown kind": (
        lambda: ["loops", "lstm_layer", "--plot", "a.doc"],
        [".doc", ".png"],
    ),
    "loops of a model that does not exist": (
        lambda: ["loops", "nowhere.bd"],
        ["nowhere.bd", NONE, "lstm_layer"],
    ),
    "an algebraic loop, looked for without a workspace": (
        lambda: ["loops", with_model(algebraic_loop)()[1]],
        ["algebraic loop", "c -> fc", "put a UNITDELAY into the loop"],
    ),
    "nothing to analyze": (lambda: ["analyze", "nosuch"], ["nosuch", NONE]),
    "an analysis without an input": (
        lambda: ["analyze", *with_workspace(u=None)()[1:]],
        ["block 'u'", "no values", "--input FILE"],
    ),
    "an analysis of more samples than there are": (
        analysis("--samples", "52"),
        ["52", "from 1 to 51"],
    ),
    "an analysis with a negative bound": (
        analysis("--input-bound", "-1"),
        ["bound is negative", "-1"],
    ),
    "an analysis with a bound that is no number": (
        analysis("--input-bound", "nan"),
        ["input_bound holds NaN"],
    ),
    "a constant input that is none": (analysis("--held", "middle"), ["--held", "'middle'"]),
    "a constant input of another width": (analysis("--held", "1,2"), ["'u'", "a vector of 4"]),
    "an analysis with another input": (
        lambda: ["analyze", *with_input(np.zeros((5, 3)))()[1:]],
        ["(5, 3)", "4 columns"],
    ),
    "an analysis into a folder that cannot be made": (
        analysis("--out", "w.npz/deeper"),
        ["w.npz/deeper", "output folder cannot be made", "--out"],
    ),
    "an analysis of an algebraic loop": (
        lambda: ["analyze", *with_model(algebraic_loop)()[1:]],
        ["algebraic loop", "put a UNITDELAY into the loop"],
    ),
    "a negative tolerance": (traces("check", "a.nc", "a.nc", "--atol", "-1"), ["atol=-1.0"]),
}
