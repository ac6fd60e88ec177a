"""Files: whole or not at all, and errors that name them."""

from __future__ import annotations

import contextlib
import glob
import os
import secrets
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

from lstmsim.base.errors import DataFileError, FileAccessError


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
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
    >>> with atomic_write(folder / "notes.txt") as temporary:
    ...     _ = temporary.write_text("all of it")
    >>> [p.name for p in folder.iterdir()]
    ['notes.txt']
    """
    target = Path(path)
    temporary = None
    try:
        if target.exists() and not target.is_file() and not target.is_dir():
            raise OSError(22, "a device, which a file would replace")
        # The suffix stays: writers choose the format by it.
        name = f".{target.stem[:40]}-{secrets.token_hex(4)}{target.suffix}"
        (target.parent / name).touch(exist_ok=False)  # with the mode that the umask says
        temporary = target.parent / name
        yield temporary
        if target.is_dir():
            raise IsADirectoryError(21, "Is a directory")
        os.replace(temporary, target)
    except FileAccessError:
        raise
    except OSError as error:
        raise _unwritable(target, error.strerror or str(error)) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def remove_leftovers(path: str | os.PathLike[str]) -> None:
    """Remove the temporary files that a process left beside a target when it was killed."""
    target = Path(path)
    name = f".{glob.escape(target.stem[:40])}-????????{glob.escape(target.suffix)}"
    for leftover in target.absolute().parent.glob(name):
        with contextlib.suppress(OSError):
            leftover.unlink()


def _unwritable(target: Path, given: str) -> FileAccessError:
    return FileAccessError(
        "the file cannot be written",
        where=str(target),
        given=given,
        expected="a path in a folder that exists and can be written to",
        mend="choose another path, or make the folder",
    )


@contextlib.contextmanager
def folder_written_whole(wanted: str | os.PathLike[str]) -> Iterator[tuple[Path, Path]]:
    """Give a temporary folder and the target that it is renamed to at the end.

    The target is a folder that does not exist or is empty, under another number if need be:
    ``results``, ``results-2``.  If anything goes wrong nothing is left behind.

    Raises
    ------
    FileAccessError
        If the folder cannot be made.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with folder_written_whole(folder / "results") as (temporary, target):
    ...     _ = (temporary / "notes.txt").write_text("all of it")
    >>> target.name, [p.name for p in target.iterdir()]
    ('results', ['notes.txt'])
    """
    temporary: Path | None = None
    made: list[Path] = []
    try:
        try:
            target = free_folder(Path(wanted))
            parent = target.absolute().parent
            made = [p for p in (parent, *parent.parents) if not p.exists()]
            if parent.exists() and not parent.is_dir():
                raise NotADirectoryError(20, "Not a directory")
            parent.mkdir(parents=True, exist_ok=True)
            name = f".{target.name[:40]}-{secrets.token_hex(4)}"
            (parent / name).mkdir()
            temporary = parent / name
        except OSError as error:
            raise no_folder(Path(wanted), error) from error
        yield temporary, target
        try:
            if target.exists():
                target.rmdir()  # empty, as it was found to be; other systems do not replace it
            temporary.rename(target)
        except OSError as error:
            raise no_folder(target, error) from error
        temporary, made = None, []
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
        for parent in made:  # the innermost first
            with contextlib.suppress(OSError):
                parent.rmdir()


def free_folder(wanted: Path) -> Path:
    """Return a path that is free, or an empty folder: as wanted, or with a number behind it."""
    folder, number = wanted, 1
    while folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        number += 1
        folder = wanted.with_name(f"{wanted.name}-{number}")
    return folder


def no_folder(folder: Path, error: OSError) -> FileAccessError:
    """Return the error for a folder that cannot be made."""
    return FileAccessError(
        "the output folder cannot be made",
        where=str(folder),
        given=error.strerror or str(error),
        expected="a folder that can be made and written to",
        mend="choose another one with --out",
    )


def check_target(path: str | os.PathLike[str], endings: Collection[str], kind: str) -> None:
    """Refuse a trace or picture file that cannot be written, before there is anything to write.

    Raises
    ------
    DataFileError
        If its ending is not one of those given.
    FileAccessError
        If it is a folder, or its folder does not exist or cannot be written to.
    """
    target = Path(path)
    if target.suffix.lower() not in endings:
        raise DataFileError(
            f"this is not a kind of {kind} file",
            where=str(target),
            given=target.suffix or "no ending",
            expected=" or ".join(endings) if len(endings) < 3 else ", ".join(sorted(endings)),
            mend="give the file one of these endings",
        )
    if target.exists() and not target.is_file():
        raise FileAccessError(
            "the file cannot be written",
            where=str(target),
            given="Is a directory" if target.is_dir() else "a device of this name",
            expected="a new file, or one that may be replaced",
            mend="choose another path",
        )
    if not target.absolute().parent.is_dir():
        raise _unwritable(target, "No such file or directory")
    if not os.access(target.absolute().parent, os.W_OK):
        raise _unwritable(target, "Permission denied")


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
