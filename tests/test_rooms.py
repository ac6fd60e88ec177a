"""The rooms of the package: what each may import."""

from __future__ import annotations

import ast
from pathlib import Path

import networkx as nx
import pytest

import lstmsim

ROOT = Path(lstmsim.__file__).parent

#: From the ground floor up: a room imports only from rooms before its own.
ROOMS = [
    "_version",
    "errors",
    "arrays",
    "reports",
    "expressions",
    "files",
    "ops",
    "reference",
    "networks",
    "published",
    "blocks",
    "host",
    "layers",
    "models",
    "traces",
    "dimensions",
    "tracefiles",
    "binding",
    "engine",
    "simulate",
    "reference_traces",
    "onestep",
    "checker",
    "workspaces",
    "loops",
    "linearize",
    "gains",
    "lyapunov",
    "stability",
    "lti",
    "training",
    "plotting",
    "analysis",
    "study",
    "bench",
    "demo",
    "editor",
    "cli",
    "__init__",
]

#: What a room does not know of, beyond what the order says.
UNKNOWN = {
    "ops": ["bdsim", "networkx"],
    "networks": ["bdsim"],
    "published": ["bdsim"],
    "expressions": ["bdsim"],
    "checker": ["lstmsim.simulate", "lstmsim.reference"],
    "engine": ["lstmsim.layers", "lstmsim.networks", "lstmsim.reference", "lstmsim.published"],
    "traces": ["lstmsim.layers", "lstmsim.networks"],
}


def module_name(file: Path) -> str:
    parts = ("lstmsim", *file.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts).removesuffix(".__init__")


MODULES = {module_name(file): file for file in sorted(ROOT.rglob("*.py"))}


def imports(file: Path) -> set[str]:
    """Return the modules that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file.name}: a relative import"
            for alias in node.names:
                assert alias.name != "*", f"{file.name}: a wildcard import"
                if (node.module, alias.name) == ("lstmsim", "__version__"):
                    continue  # a text, which no room has to be built for
                full = f"{node.module}.{alias.name}"
                found.add(full if full in MODULES else str(node.module))
    return found


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def test_every_room_has_its_place() -> None:
    assert {room(module) for module in MODULES} <= set(ROOMS)


@pytest.mark.parametrize("module", MODULES)
def test_a_room_imports_only_from_rooms_before_it(module: str) -> None:
    place = ROOMS.index(room(module))
    for imported in imports(MODULES[module]):
        if imported.split(".")[0] == "lstmsim" and room(imported) != room(module):
            before = ROOMS.index(room(imported)) < place
            assert before, f"{module} imports {imported}, a room after its own"


def test_no_module_imports_itself_around_a_corner() -> None:
    graph = nx.DiGraph(
        (module, imported)
        for module, file in MODULES.items()
        for imported in imports(file)
        if imported in MODULES
    )
    circles = [sorted(c) for c in nx.strongly_connected_components(graph) if len(c) > 1]
    assert circles == []


@pytest.mark.parametrize("name", UNKNOWN)
def test_a_room_does_not_know_of_what_is_not_its_own(name: str) -> None:
    for module, file in MODULES.items():
        if room(module) == name:
            known = imports(file)
            for unknown in UNKNOWN[name]:
                hits = [x for x in known if x == unknown or x.startswith(f"{unknown}.")]
                assert not hits, f"{module} imports {hits}"


def test_the_reference_imports_numpy_alone() -> None:
    tops = {name.split(".")[0] for name in imports(MODULES["lstmsim.reference"])}
    assert tops == {"numpy", "typing", "__future__"}


def test_one_room_alone_calls_bdsim_s_runtime() -> None:
    callers = [
        module
        for module, file in MODULES.items()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
        and node.module == "bdsim"
        and "BDSim" in {alias.name for alias in node.names}
    ]
    assert callers == ["lstmsim.host"]
