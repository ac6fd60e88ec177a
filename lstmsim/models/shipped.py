"""The model files that come with the package."""

from __future__ import annotations

from pathlib import Path

from lstmsim.errors import InvalidValueError

_PACKAGE = Path(__file__).parents[1]
#: In an installed package beside the modules, in a checkout beside the package.
_FOLDERS = (_PACKAGE / "diagrams", _PACKAGE.parent / "diagrams")


def model_path(name: str) -> Path:
    """Return the path of a model file that comes with the package.

    Parameters
    ----------
    name : str
        "lstm_layer" or "lstm_stacked", with or without the ending.

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
    models = {path.stem: path for folder in _FOLDERS for path in sorted(folder.glob("*.bd"))}
    try:
        return models[name.removesuffix(".bd")]
    except KeyError:
        raise InvalidValueError(
            "no model of this name comes with the package",
            given=repr(name),
            expected=" or ".join(models),
        ) from None
