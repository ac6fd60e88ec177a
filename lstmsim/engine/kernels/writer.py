"""Writing: the lines of a kernel, and the numbers that they read."""

from __future__ import annotations

from lstmsim.engine.kernels.keys import Key


class Writer:
    """Lines, and the variables of the numbers that they read, o0, o1 … in the order of the keys."""

    def __init__(self, *first: Key) -> None:
        self.lines: list[str] = []
        self._variables = {key: f"o{k}" for k, key in enumerate(first)}

    @property
    def keys(self) -> tuple[Key, ...]:
        """The keys of all numbers that the lines read."""
        return tuple(self._variables)

    def variable(self, key: Key) -> str:
        """Return the variable of a size or place."""
        return self._variables.setdefault(key, f"o{len(self._variables)}")

    def write(self, depth: int, *lines: str) -> None:
        """Add lines, indented so deep."""
        self.lines.extend(map(("    " * depth).__add__, lines))

    def function(self, signature: str, head: list[str]) -> str:
        """Return the text of a function: its variables, what comes first, and the lines.

        Comments say what the variables are.  A key's `repr` is one line whatever names are in it.
        """
        read = [
            f"    {v} = o[{k}]  # {key!r}" for k, (key, v) in enumerate(self._variables.items())
        ]
        return "\n".join([f"def {signature}:", *read, *head, *self.lines]) + "\n"
