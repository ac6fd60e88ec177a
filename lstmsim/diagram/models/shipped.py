"""The model files that come with the package."""

from __future__ import annotations

import os
from pathlib import Path

from lstmsim.base import FileAccessError, InvalidValueError, existing

_PACKAGE = Path(__file__).parents[2]
#: In an installed package beside the modules, in a checkout beside the package.
_FOLDERS = (_PACKAGE / "diagrams", _PACKAGE.parent / "diagrams")


def model_file(path: str | os.PathLike[str]) -> Path:
    """Return a model file that exists, or the one of this name that comes with the package.

    Raises
    ------
    FileAccessError
        If there is neither.
    """
    target = Path(path)
    models = _shipped()
    if not target.exists() and target.name == str(path) and target.stem in models:
        return models[target.stem]
    try:
        return existing(target, "the model file")
    except FileAccessError as error:
        raise FileAccessError(
            "the model file cannot be read",
            where=str(target),
            given=getattr(error.__cause__, "strerror", None) or "no such file",
            expected="a .bd file, or the name of a model that comes with the package",
            mend=f"look at the path; the package has {', '.join(models)}",
        ) from None


def _shipped() -> dict[str, Path]:
    return {path.stem: path for folder in _FOLDERS for path in sorted(folder.glob("*.bd"))}


def model_path(name: str) -> Path:
    """Return the path of a model file that comes with the package.

    Parameters
    ----------
    name : str
        "lstm_layer", "lstm_stacked" or "coupled_cell", with or without the ending.

    Returns
    -------
    Path
        Of the file in the installed package, or in the checkout.

    Raises
    ------
    InvalidValueError
        If there is no such model.

    Examples
    --------
    >>> model_path("lstm_layer").name
    'lstm_layer.bd'
    """
    models = _shipped()
    try:
        return models[name.removesuffix(".bd")]
    except KeyError:
        raise InvalidValueError(
            "no model of this name comes with the package",
            given=repr(name),
            expected=" or ".join(models),
        ) from None
