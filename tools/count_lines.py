"""Count files, lines and comments, room by room.

    python tools/count_lines.py                     # this version
    python tools/count_lines.py ../other            # beside another one

An older version, whose modules were not in rooms, is counted in the rooms that they went to.
"""

from __future__ import annotations

import argparse
import io
import tokenize
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
#: Where modules and packages of the old layout went; what is not listed has kept its name.
ROOMS = {
    "base": "arrays errors files reports",
    "networks": "networks reference",
    "theory": "stability lti",
    "blocks": "ops",
    "diagram": "host binding traces tracefiles dimensions reference_traces models wiring layers "
    "workspaces expressions",
    "engine": "simulate onestep checker",
    "dynamics": "loops linearize gains lyapunov",
    "reports": "analysis study bench demo",
    "cli": "editor",
}
_ROOM_OF = {name: room for room, names in ROOMS.items() for name in names.split()}
_ORDER = (
    *("base", "networks", "published", "theory", "blocks", "diagram", "engine", "dynamics"),
    *("training", "plotting", "reports", "cli"),
)
#: Files of the old layout whose names are rooms today.
_NOT_ROOMS = ("__init__", "__main__", "_version", "errors")


def room_of(file: Path, package: Path, old: bool) -> str:
    """Return the room that a file is in, or went to."""
    first = file.relative_to(package).parts[0].removesuffix(".pyi").removesuffix(".py")
    if old:
        first = _ROOM_OF.get(first, first)
    return "top" if first in _NOT_ROOMS else first


def count(root: Path) -> dict[str, Counter[str]]:
    """Return files, lines and comments of each room."""
    package = root / "lstmsim"
    old = not (package / "base").is_dir()
    rooms: dict[str, Counter[str]] = {}
    for file in sorted((*package.rglob("*.py"), *package.rglob("*.pyi"))):
        text = file.read_text(encoding="utf-8")
        tokens = tokenize.generate_tokens(io.StringIO(text).readline)
        comments = sum(token.type == tokenize.COMMENT for token in tokens)
        rooms.setdefault(room_of(file, package, old), Counter()).update(
            files=1, lines=len(text.splitlines()), comments=comments
        )
    return rooms


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("before", nargs="?", type=Path, help="another version's folder")
    sides = [count(ROOT)]
    if before := parser.parse_args().before:
        sides.insert(0, count(before))
    columns = ("files", "lines", "comments")
    heading = "".join(f"{name:>10}" for name in columns)
    print("room      " + heading * len(sides))
    for side in sides:
        side["all"] = sum(side.values(), Counter())
    for room in (*_ORDER, "top", "all"):
        figures = [side.get(room, Counter())[name] for side in sides for name in columns]
        print(f"{room:10}" + "".join(f"{figure:10,}" for figure in figures))


if __name__ == "__main__":
    main()
