"""The options of a command that come from dataclasses: a new field is a new option."""

from __future__ import annotations

import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from lstmsim.base import InvalidValueError

#: Options that are not called as their field, which is named for Python.
_FLAGS = {"frozen": "freeze", "every": "drop-every"}
#: Shorter than what Typer says of a list, which would cut the options' names short.
_METAVARS = {list[str]: "<str>", list[Path]: "<path>", bool: ""}

#: Rows by name: dataclasses, whose fields are settings, or whatever else has a name.
Table = Mapping[str, Any]


def descriptions(kind: type) -> dict[str, str]:
    """Return what the docstring of a class says of each parameter, in one line.

    Examples
    --------
    >>> from lstmsim.training import Piecewise
    >>> descriptions(Piecewise)["drop"]
    'The factor, > 0.'
    """
    section = re.split(r"\n(?=\w+\n-{3,}\n)", inspect.getdoc(kind) or "")
    text = next((part for part in section if part.startswith("Parameters\n")), "")
    found = {}
    for names, lines in re.findall(r"^([\w, ]+) : .*\n((?:    .*\n?)+)", text, re.MULTILINE):
        for name in names.split(", "):
            found[name] = " ".join(lines.split()).replace("`", "")
    return found


def with_options(
    kind: type, tables: Mapping[str, Table]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command, in place of its ``**options``, an option for each field of a dataclass.

    A field that a table is for takes the name of a row, and the fields of all rows are options
    too: which of them a row has is for `chosen` to say.
    """

    def decorated(command: Callable[..., None]) -> Callable[..., None]:
        fixed = list(inspect.signature(command, eval_str=True).parameters.values())[:-1]
        generated = {field.name: _option(kind, field, tables) for field in _fields(kind)}
        for name, rows in _settings(tables).items():
            generated.setdefault(name, _setting(name, rows))
        parameters = [*fixed, *generated.values()]
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in parameters}
        return command

    return decorated


def chosen(kind: type, tables: Mapping[str, Table], options: dict[str, Any]) -> Any:
    """Return the dataclass that a command's options make.

    Raises
    ------
    InvalidValueError
        If a table has no row of a name, or none of the chosen rows has a setting that is given.
    """
    given = {name: value for name, value in options.items() if value is not None}
    fields = {field.name: given.pop(field.name) for field in _fields(kind) if field.name in given}
    unused = set(given)
    for name, table in tables.items():
        row = _row(name, table, fields[name])
        settings = {field.name for field in _fields(row)} & set(given)
        if missing := [f.name for f in _fields(row) if _default(f) is f and f.name not in given]:
            raise InvalidValueError(
                f"this {name} needs more settings",
                where=f"{_flag(name)} {options[name]}",
                given=", ".join(map(_flag, sorted(settings))) or "none",
                expected=", ".join(map(_flag, missing)),
            )
        if isinstance(row, type):
            fields[name] = row(**{setting: given[setting] for setting in settings})
        unused -= settings
    if unused:
        raise InvalidValueError(
            "this is a setting of another choice",
            where=" ".join(f"{_flag(name)} {options[name]}" for name in tables),
            given=", ".join(_flag(name) for name in given if name in unused),
            expected="settings that one of these has",
        )
    return kind(**fields)


def _row(name: str, table: Table, row: str) -> Any:
    if row not in table:
        raise InvalidValueError(
            f"there is no {name} of this name",
            where=_flag(name),
            given=repr(row),
            expected=_listed(table),
        )
    return table[row]


def _listed(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def _settings(tables: Mapping[str, Table]) -> dict[str, dict[str, Any]]:
    """Return the settings of all rows: for each its rows, by their names."""
    found: dict[str, dict[str, Any]] = {}
    for table in tables.values():
        for row_name, row in table.items():
            for field in _fields(row):
                found.setdefault(field.name, {})[row_name] = row
    return found


def _fields(kind: Any) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(kind) if dataclasses.is_dataclass(kind) else ()


def _default(field: dataclasses.Field[Any]) -> Any:
    """Return a field's default, or the field itself if it has none."""
    if field.default is not dataclasses.MISSING:
        return field.default
    return field if field.default_factory is dataclasses.MISSING else field.default_factory()


def _flag(name: str) -> str:
    return f"--{_FLAGS.get(name, name.replace('_', '-'))}"


def _simple(hint: Any) -> Any:
    """Return the type of a field as the command line can read it."""
    parts = [part for part in typing.get_args(hint) if part is not types.NoneType]
    if typing.get_origin(hint) is tuple:
        return list[str]
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        return next(part for part in (bool, int, float, Path, str) if part in parts)
    return hint


def _option(kind: type, field: dataclasses.Field[Any], tables: Mapping[str, Table]) -> Any:
    default = _default(field)
    if field.name in tables:
        table = tables[field.name]
        row_name = next((name for name, row in table.items() if row is type(default)), default)
        return _parameter(field.name, str, row_name, f"{_listed(table)}.")
    if isinstance(default, tuple):
        default = list(default) or None
    hint = typing.get_type_hints(kind)[field.name]
    return _parameter(field.name, _simple(hint), default, descriptions(kind).get(field.name, ""))


def _setting(name: str, rows: dict[str, Any]) -> inspect.Parameter:
    """Return an option without a default: each row has its own."""
    texts: dict[str, list[str]] = {}
    for row_name, row in rows.items():
        field = next(field for field in _fields(row) if field.name == name)
        usual = "" if _default(field) is field else f" ({_default(field)})"
        texts.setdefault(descriptions(row).get(name, ""), []).append(row_name + usual)
    text = " ".join(f"{', '.join(names)}: {text}" for text, names in texts.items())
    hint = typing.get_type_hints(next(iter(rows.values())))[name]
    return _parameter(name, _simple(hint), None, text, "Settings of optimizers and schedules")


def _parameter(
    name: str, kind: Any, default: Any, text: str, panel: str | None = None
) -> inspect.Parameter:
    flags = () if kind is bool and default else (_flag(name),)  # --shuffle has a --no-shuffle
    metavar = _METAVARS.get(kind)
    option = typer.Option(*flags, help=text, metavar=metavar, rich_help_panel=panel)
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[kind if default is not None else kind | None, option],
    )
