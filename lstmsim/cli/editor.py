"""bdedit, the block diagram editor, started so that it knows this package's blocks."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from lstmsim.base import MissingExtraError
from lstmsim.diagram import model_file


def editor_installed() -> bool:
    """Whether bdedit can start: it comes with bdsim, but Qt with bdsim's extra alone."""
    return all(importlib.util.find_spec(name) is not None for name in ("bdedit", "PySide6"))


def editor_environment() -> dict[str, str]:
    """Return the environment in which bdedit finds this package's blocks.

    Its Run button starts ``python``: that has to be the one that runs this package.
    """
    blocks = [p for p in os.environ.get("BDSIMPATH", "").split(":") if p and p != "lstmsim"]
    folders = [str(Path(sys.executable).parent), os.environ.get("PATH", "")]
    package_folder = str(Path(__file__).parents[2])
    paths = [package_folder, *filter(None, [os.environ.get("PYTHONPATH", "")])]
    return os.environ | {
        "BDSIMPATH": ":".join([*blocks, "lstmsim"]),
        "PATH": os.pathsep.join(folders),
        "PYTHONPATH": os.pathsep.join(paths),
    }


def edit(model: str | os.PathLike[str], *options: str) -> int:
    """Open a model in bdedit, and return its exit status when the window is closed.

    Parameters
    ----------
    model : path
        A `.bd` file, or the name of a model that comes with the package.
    *options : str
        More options for bdedit: ``"--print", "model.svg"`` draws the model without a window.

    Raises
    ------
    FileAccessError
        If there is no such file.
    MissingExtraError
        If bdedit is not installed; the message says how to install it.
    """
    file = model_file(model)
    if not editor_installed():
        raise MissingExtraError(
            "the editor is not installed",
            given="no modules bdedit and PySide6",
            expected="the extra `editor`",
            mend=f'{sys.executable} -m pip install "bdsim[bdedit]"',
        )
    command = [sys.executable, "-m", "bdedit.bdedit", str(file), *options]
    return subprocess.run(command, env=editor_environment(), check=False).returncode
