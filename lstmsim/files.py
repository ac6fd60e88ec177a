"""Files: whole or not at all, and errors that name them."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from lstmsim.errors import FileAccessError


@contextlib.contextmanager
def written_whole(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary file beside the target, and rename it to the target at the end.

    If anything goes wrong, the target stays as it was and nothing is left behind.

    Raises
    ------
    FileAccessError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with written_whole(folder / "notes.txt") as temporary:
    ...     _ = temporary.write_text("all of it")
    >>> [p.name for p in folder.iterdir()]
    ['notes.txt']
    """
    target = Path(path)
    temporary = None
    try:
        # The suffix stays: writers choose the format by it.
        handle, name = tempfile.mkstemp(
            dir=target.parent, prefix=f".{target.stem}-", suffix=target.suffix
        )
        os.close(handle)
        temporary = Path(name)
        yield temporary
        if target.is_dir():
            raise IsADirectoryError(21, "Is a directory")
        # mkstemp makes files that only their owner can read.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        os.replace(temporary, target)
    except FileAccessError:
        raise
    except OSError as error:
        raise FileAccessError(
            "the file cannot be written",
            where=str(target),
            given=error.strerror or str(error),
            expected="a path in a folder that exists and can be written to",
            mend="choose another path, or make the folder",
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def existing(path: str | os.PathLike[str], what: str) -> Path:
    """Return the path of a file that can be read.

    Raises
    ------
    FileAccessError
        If there is none.
    """
    target = Path(path)
    try:
        with target.open("rb"):
            return target
    except OSError as error:
        raise FileAccessError(
            f"{what} cannot be read",
            where=str(target),
            given=error.strerror or str(error),
            expected="a file that exists and can be read",
            mend="look at the path",
        ) from error
