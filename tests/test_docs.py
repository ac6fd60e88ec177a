"""Docstrings run, and name what the signatures have; the public names are these."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import pkgutil
import re
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import lstmsim as ls
from lstmsim import cli, errors

MODULES = [
    ls,
    *(importlib.import_module(m.name) for m in pkgutil.walk_packages(ls.__path__, "lstmsim.")),
]

PUBLIC_NAMES = [
    "__version__",
    "Dense",
    "LSTM",
    "Network",
    "TrainingOptions",
    "TrainingResult",
    "analyze",
    "blockdiagram",
    "build",
    "check",
    "compile",
    "errors",
    "fixed_points",
    "gradient_flow",
    "linearize",
    "fit",
    "load",
    "load_input",
    "load_traces",
    "load_workspace",
    "loop_gains",
    "loops",
    "lstm_layer",
    "lyapunov",
    "lti",
    "model_path",
    "network_from_workspace",
    "plot",
    "plot_attractor",
    "plot_diagram",
    "plot_difference",
    "plot_gradient_flow",
    "plot_loop_gains",
    "plot_lyapunov",
    "plot_history",
    "plot_poles",
    "published",
    "reference",
    "save",
    "save_analysis",
    "save_plot",
    "save_traces",
    "save_workspace",
    "simulate",
    "stability",
    "training",
]

#: The order of a docstring's sections.
SECTIONS = ["Parameters", "Attributes", "Returns", "Raises", "Examples", "Notes", "References"]


def documented(module: ModuleType) -> dict[str, Any]:
    """Return a module's own public functions and classes, and the classes' public methods."""
    found: dict[str, Any] = {}
    for name, item in vars(module).items():
        own = getattr(item, "__module__", None) == module.__name__
        if (
            name.startswith("_")
            or not own
            or not (inspect.isclass(item) or inspect.isfunction(item))
        ):
            continue
        found[f"{module.__name__}.{name}"] = item
        if inspect.isclass(item):
            for method, member in vars(item).items():
                function = member.fget if isinstance(member, property) else member
                own = getattr(function, "__name__", "") == method  # a field's default is not
                if inspect.isfunction(function) and own and not method.startswith("_"):
                    found[f"{module.__name__}.{name}.{method}"] = function
    return found


ITEMS = {name: item for module in MODULES for name, item in documented(module).items()}
API = {
    name: getattr(ls, name)
    for name in PUBLIC_NAMES
    if inspect.isclass(getattr(ls, name, None)) or inspect.isfunction(getattr(ls, name, None))
}


def sections(item: Any) -> dict[str, list[str]]:
    """Return the lines of each section of a docstring."""
    lines = inspect.cleandoc(item.__doc__ or "").splitlines()
    found: dict[str, list[str]] = {}
    current: list[str] = []
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        if re.fullmatch("-{3,}", below):
            current = found.setdefault(line, [])
        elif not re.fullmatch("-{3,}", line):
            current.append(line)
    return found


def described(item: Any) -> list[str]:
    """Return the parameters that a docstring describes."""
    heads = [line for line in sections(item).get("Parameters", []) if line[:1].strip()]
    names = [name.strip() for head in heads for name in head.split(" : ")[0].split(",")]
    return [name.lstrip("*") for name in names]


def parameters(item: Any) -> list[str]:
    """Return the parameters of a signature; blocks' common options are bdsim's."""
    return [p for p in inspect.signature(item).parameters if p not in ("self", "blockargs")]


def raised(item: Any) -> set[str]:
    """Return the errors of this package that a function's own lines raise."""
    if item.__code__.co_filename.startswith("<"):
        return set()  # a dataclass's own __init__
    tree = ast.parse(textwrap.dedent(inspect.getsource(item)))
    names = {
        node.exc.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Raise)
        and isinstance(node.exc, ast.Call)
        and isinstance(node.exc.func, ast.Name)
    }
    return {name for name in names if hasattr(errors, name)}


def cases(items: dict[str, Any]) -> list[Any]:
    """Return items as test cases under their names."""
    return [pytest.param(item, id=name) for name, item in items.items()]


def test_the_public_names_are_these() -> None:
    stub = Path(str(ls.__file__)).with_suffix(".pyi")
    tree = ast.parse(stub.read_text(encoding="utf-8"))
    imports = [a for node in tree.body if isinstance(node, ast.ImportFrom) for a in node.names]
    assert sorted(alias.asname or "" for alias in imports) == sorted(PUBLIC_NAMES)
    assert all(alias.name == alias.asname for alias in imports)
    assert sorted(ls.__all__) == sorted(PUBLIC_NAMES)
    assert all(getattr(ls, name) is not None for name in PUBLIC_NAMES)


EXAMPLES = {
    test.name: test
    for module in MODULES
    for test in doctest.DocTestFinder(exclude_empty=True).find(module)
    if test.examples
}


@pytest.mark.parametrize(
    "example",
    cases(EXAMPLES),
)
def test_examples_give_what_they_show(example: doctest.DocTest) -> None:
    said: list[str] = []
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    runner = doctest.DocTestRunner(optionflags=flags, verbose=False)
    failed = runner.run(example, out=said.append, clear_globs=False).failed
    assert failed == 0, "".join(said)


@pytest.mark.parametrize(
    "name",
    ["LSTM", "Dense", "Network", "build", "lstm_layer", "load", "simulate", "check", "model_path"],
)
def test_what_users_begin_with_has_an_example(name: str) -> None:
    assert ">>> " in "\n".join(sections(getattr(ls, name)).get("Examples", []))


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_every_module_says_what_it_is(module: ModuleType) -> None:
    assert module.__doc__
    assert module.__doc__.strip().splitlines()[0].endswith((".", ":"))


@pytest.mark.parametrize("item", cases(ITEMS))
def test_every_public_item_has_a_summary(item: Any) -> None:
    assert item.__doc__
    assert inspect.cleandoc(item.__doc__).splitlines()[0].endswith(".")


@pytest.mark.parametrize("item", cases(ITEMS))
def test_sections_come_in_one_order(item: Any) -> None:
    found = list(sections(item))
    assert found == [name for name in SECTIONS if name in found]


WITH_PARAMETERS = {name: item for name, item in ITEMS.items() if "Parameters" in sections(item)}


@pytest.mark.parametrize(
    "item",
    cases(WITH_PARAMETERS),
)
def test_described_parameters_are_those_of_the_signature(item: Any) -> None:
    assert described(item) == parameters(item)


@pytest.mark.parametrize("item", cases(API))
def test_parameters_of_the_public_names_are_described(item: Any) -> None:
    assert described(item) == parameters(item)


@pytest.mark.parametrize(
    "item",
    cases(
        {name: item for name, item in API.items() if inspect.isfunction(item)},
    ),
)
def test_what_the_public_functions_return_is_described(item: Callable[..., Any]) -> None:
    returns = item.__annotations__["return"] not in (None, "None")
    assert ("Returns" in sections(item)) == returns


NAMED = {f"{item.__module__}.{name}": item for name, item in API.items()}


@pytest.mark.parametrize(
    "item",
    cases(
        WITH_PARAMETERS | NAMED,
    ),
)
def test_errors_that_are_raised_are_described(item: Any) -> None:
    said = "\n".join(sections(item).get("Raises", []))
    function = item.__init__ if inspect.isclass(item) else item
    if inspect.isfunction(function):
        assert all(re.search(rf"\b{name}\b", said) for name in raised(function)), said


@pytest.mark.parametrize("item", cases(API))
def test_described_errors_are_errors_of_this_package(item: Any) -> None:
    heads = [line for line in sections(item).get("Raises", []) if line[:1].strip()]
    for head in heads:
        for name in head.split(","):
            kind = getattr(errors, name.strip())
            assert issubclass(kind, errors.LstmsimError)


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_and_each_of_its_options_has_help(name: str) -> None:
    place, sentence = cli.COMMANDS[name]
    module, function = place.split(".")
    command = getattr(importlib.import_module(f"lstmsim.cli.{module}"), function)
    assert sentence.endswith(".")
    assert command.__doc__
    for name, parameter in inspect.signature(command, eval_str=True).parameters.items():
        (option,) = parameter.annotation.__metadata__
        assert option.help, name
        assert option.help.endswith("."), name
