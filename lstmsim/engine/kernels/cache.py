"""The vocabulary of kernels in its three forms, and the compilation of their text.

- ``vector``: many elements at once, compiled by numba (`lstmsim.engine.kernels.vectors`);
- ``scalar``: one element at a time, compiled by numba: where vectors are not to be had;
- ``plain``: one element at a time, run by Python as it stands: the form that tests read.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import pickle
import re
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import platformdirs

from lstmsim.blocks import FUNCTIONS
from lstmsim.engine.kernels.vocabulary import CHOICES, scalar_source

#: The functions of the operations' formulas that numbers have in Python's `math`.
_MATH = {
    "abs": "fabs",
    "exp": "exp",
    "expm1": "expm1",
    "log1p": "log1p",
    "sqrt": "sqrt",
    "tanh": "tanh",
}


#: What reading an index of numba's raises that was cut off or overwritten: it is a pickle.
_DAMAGED = (
    pickle.UnpicklingError,
    EOFError,
    ValueError,
    LookupError,
    AttributeError,
    ImportError,
    TypeError,
)


@functools.cache
def vectors_available() -> bool:
    """Whether this numba can be taught vectors."""
    if os.environ.get("LSTMSIM_SCALAR"):
        return False
    try:
        from lstmsim.engine.kernels import vectors
    except (ImportError, AttributeError, TypeError):
        # What a half-internal interface of numba raises that has moved or takes other arguments.
        return False
    return bool(vectors.VOCABULARY)


def lane_count(dtype: Any, form: str) -> int:
    """Return how many elements one value of the vocabulary has."""
    if form != "vector":
        return 1
    import numba

    from lstmsim.engine.kernels import vectors

    return vectors.lanes(numba.from_dtype(np.dtype(dtype)))


def plain(text: str) -> dict[str, Callable[..., Any]]:
    """Return the functions of a text, to be run by Python as it stands."""
    names: dict[str, Any] = {"LANES": 1} | {f"_{name}": FUNCTIONS[name] for name in _MATH}
    exec(compile(scalar_source() + text, "<kernel>", "exec"), names)
    return names


def source(text: str, dtype: Any, form: str) -> str:
    """Return the whole source of a kernel's module."""
    from lstmsim import __version__

    name = np.dtype(dtype).name
    head = [
        f"# lstmsim {__version__}, {name}, {form}: written by a program, kept for the next run",
        "from numba import njit",
    ]
    if form == "vector":
        from lstmsim.engine.kernels import vectors

        digest = hashlib.sha256(Path(str(vectors.__file__)).read_bytes()).hexdigest()[:16]
        head.append(f"# vectors {digest}")
        head.append("from lstmsim.engine.kernels.vectors import VOCABULARY")
        head.extend([f'{key} = VOCABULARY["{key}"]' for key in vectors.VOCABULARY])
        # Operations that mix elements compute with numbers in every form.
        known = CHOICES if re.search(r"\b_(where|minimum|maximum)\(", text) else ""
    else:
        known = scalar_source()
    # C's functions and NumPy's overflow to infinity, as formulas expect; Python's raise.
    head.extend(f"from math import {own} as _{name}" for name, own in _MATH.items())
    head.append(f"LANES = {lane_count(dtype, form)}")
    body = known.replace("\ndef ", '\n@njit(error_model="numpy", inline="always")\ndef ') + text
    # With its types given the function is compiled, or read from disk, when it is defined: what
    # is damaged there fails here, and not in the middle of a run.
    arguments = text.split("(", 1)[1].split(")", 1)[0].count(",")
    types = ", ".join([f"{name}[::1]"] * arguments + ["int64[::1]"])
    options = f'"void({types})", cache=CACHE, error_model="numpy", nogil=True'
    decorated = text.replace("def ", f"@njit({options})\ndef ", 1)
    return "\n".join(head) + "\n" + body.replace(text, decorated)


def _cache_folder() -> Path:
    if folder := os.environ.get("LSTMSIM_CACHE_DIR"):  # an empty one is none
        return Path(folder)
    return platformdirs.user_cache_path("lstmsim", appauthor=False)


@functools.cache
def _warn_once(problem: str) -> None:
    warnings.warn(
        f"compiled kernels are not kept for the next run: {problem}; "
        "set LSTMSIM_CACHE_DIR to a folder that can be written to",
        RuntimeWarning,
        stacklevel=3,
    )


def _module_from_file(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _kept_on_disk(source: str, name: str) -> Path:
    """Write a source into the cache's folder, unless it is there already."""
    folder = _cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.py"
    if not path.exists() or path.read_text(encoding="utf-8") != source:
        # Written beside and renamed: other processes may be compiling the same kernel.
        handle, temporary = tempfile.mkstemp(dir=folder, suffix=".tmp")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(source)
        os.replace(temporary, path)
    return path


def _loaded(path: Path, name: str) -> ModuleType:
    """Run a module of the cache; numba compiles its function, or reads it from the index."""
    try:
        return _module_from_file(path, name)
    except _DAMAGED:
        for damaged in (path.parent / "__pycache__").glob(f"{name}.*"):
            damaged.unlink(missing_ok=True)
        return _module_from_file(path, name)


@functools.cache
def compiled(text: str, dtype: Any, form: str) -> Callable[..., None]:
    """Compile the one function of a text, and keep it on disk for the next process.

    A folder that cannot be written to, a full disk or a damaged file in it cost only time.  What
    numba itself raises is a mistake in the text, and is not caught.
    """
    whole = source(text, dtype, form)
    name = "lstmsim_kernel_" + hashlib.sha256(whole.encode()).hexdigest()[:24]
    function = text.split("def ", 1)[1].split("(", 1)[0]
    try:
        module = _loaded(_kept_on_disk(whole.replace("cache=CACHE", "cache=True"), name), name)
    except (OSError, RuntimeError) as error:  # numba: "cannot cache function"
        _warn_once(f"{type(error).__name__}: {error}")
        module = ModuleType(name)
        exec(compile(whole.replace("cache=CACHE", "cache=False"), name, "exec"), module.__dict__)
    return getattr(module, function)  # type: ignore[no-any-return]
