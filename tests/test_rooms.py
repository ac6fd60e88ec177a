"""The rooms of the package: what each may import."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import networkx as nx
import pytest

import lstmsim

ROOT = Path(lstmsim.__file__).parent

#: From the ground floor up: a room imports only from rooms before its own.
ROOMS = [
    "_version",
    "base",
    "networks",
    "published",
    "theory",
    "blocks",
    "diagram",
    "engine",
    "dynamics",
    "training",
    "plotting",
    "reports",
    "cli",
    "__main__",
    "errors",
    "__init__",
]

#: What a room does not know of, beyond what the order says.
UNKNOWN = {
    "base": ["bdsim"],
    "networks": ["bdsim"],
    "published": ["bdsim"],
    "theory": ["bdsim"],
    "engine": ["lstmsim.networks", "lstmsim.published", "lstmsim.theory"],
    "dynamics": ["lstmsim.networks", "lstmsim.published", "lstmsim.theory"],
}

#: Packages whose names are users' own way in, beside the rooms.
DOORS = {"lstmsim.theory.lti"}


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
                assert alias.name != "*" or file.name == "errors.py", (
                    f"{file.name}: a wildcard import"
                )
                if (node.module, alias.name) == ("lstmsim", "__version__"):
                    continue  # a text, which no room has to be built for
                full = f"{node.module}.{alias.name}"
                found.add(full if full in MODULES else str(node.module))
    return found


def stub(file: Path) -> Path:
    """Return the list of what a room has for the others."""
    return file.with_suffix(".pyi")


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


@pytest.mark.parametrize("module", MODULES)
def test_a_room_is_entered_by_its_door(module: str) -> None:
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom) or module in {"lstmsim", "lstmsim.errors"}:
            continue
        imported = str(node.module)
        if imported.startswith("lstmsim.") and room(imported) != room(module):
            through = imported.count(".") == 1 or imported in DOORS
            assert through, f"{module} imports from {imported}, past the door of its room"
            private = [alias.name for alias in node.names if alias.name.startswith("_")]
            assert not private or imported == "lstmsim._version", f"{module} imports {private}"


@pytest.mark.parametrize("name", [r for r in ROOMS if (ROOT / r).is_dir() and r != "cli"])
def test_a_room_lists_what_others_use_and_no_more(name: str) -> None:
    listed = {
        alias.asname
        for node in ast.walk(ast.parse(stub(ROOT / name / "__init__.py").read_text("utf-8")))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    used = {
        alias.name
        for module, file in {**MODULES, "lstmsim.public": stub(ROOT / "__init__.py")}.items()
        if room(module) != name
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module in (f"lstmsim.{name}", name)
        for alias in node.names
    }
    public = set(lstmsim.published.__all__) | set(lstmsim.training.__all__)
    assert used - listed == set()
    assert listed - used - (public if name in ("published", "training") else set()) == set()
    room_itself = importlib.import_module(f"lstmsim.{name}")
    for entry in listed:
        assert getattr(room_itself, str(entry)) is not None


@pytest.mark.parametrize("name", [r for r in ROOMS if (ROOT / r).is_dir() and r != "cli"])
def test_no_module_of_a_room_hides_what_the_room_lists(name: str) -> None:
    # Importing a module sets the room's attribute of its name, over a function of that name.
    listed = {
        alias.asname
        for node in ast.walk(ast.parse(stub(ROOT / name / "__init__.py").read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
    modules = {path.stem for path in (ROOT / name).iterdir()}
    assert listed & modules == set()


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
    tops = {name.split(".")[0] for name in imports(MODULES["lstmsim.networks.reference"])}
    assert tops == {"numpy", "typing", "__future__"}


def test_an_input_comes_in_at_one_place() -> None:
    checks = {"real_array", "real_vector", "real_matrix", "sample_rows"}
    callers = {
        module
        for module, file in MODULES.items()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in checks
        for argument in node.args[1:2]
        if isinstance(argument, ast.Constant) and argument.value == "u"
    }
    assert callers == {"lstmsim.diagram.inputs"}


def test_what_a_run_is_given_is_checked_without_bdsim() -> None:
    tops = {name.split(".")[0] for name in imports(MODULES["lstmsim.diagram.inputs"])}
    assert "bdsim" not in tops
    rooms = {x for x in imports(MODULES["lstmsim.diagram.inputs"]) if x.startswith("lstmsim")}
    assert rooms == {"lstmsim.base"}


def test_one_room_alone_calls_bdsim_s_runtime() -> None:
    callers = [
        module
        for module, file in MODULES.items()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
        and node.module == "bdsim"
        and "BDSim" in {alias.name for alias in node.names}
    ]
    assert callers == ["lstmsim.diagram.host"]
