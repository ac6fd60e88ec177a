"""Reports as text and as JSON: what all of them share."""

from __future__ import annotations

import io
import json
import math
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table


def as_text(*parts: Table | str, width: int = 100) -> str:
    """Return tables and sentences as plain text, an empty line between them."""
    console = Console(file=io.StringIO(), width=width, color_system=None)
    for number, part in enumerate(parts):
        if number:
            console.print()
        console.print(part, highlight=False, markup=False)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in text.rstrip().splitlines())


def as_json(content: Any) -> str:
    """Return JSON; JSON has no NaN and no infinity, and they become null.

    >>> print(as_json({"margin": float("inf"), "values": np.array([1.0, np.nan])}))
    {
      "margin": null,
      "values": [
        1.0,
        null
      ]
    }
    """
    return json.dumps(_finite(content), indent=2)


def _finite(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
