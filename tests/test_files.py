"""Files are written whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lstmsim.base.files import atomic_write, existing, folder_written_whole, remove_leftovers
from lstmsim.errors import FileAccessError

AS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A file that has something in it before."""
    path = tmp_path / "target.txt"
    path.write_text("as before")
    return path


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0)
    os.umask(before)
    yield
    os.umask(before)


def write_half_of(target: Path, failure: BaseException) -> None:
    with atomic_write(target) as temporary:
        temporary.write_text("half of it")
        raise failure


def test_the_file_is_there_when_all_of_it_is_written(target: Path) -> None:
    with atomic_write(target) as temporary:
        temporary.write_text("first half, ")
        assert target.read_text() == "as before"
        temporary.write_text("first half, second half")
    assert target.read_text() == "first half, second half"
    assert os.listdir(target.parent) == ["target.txt"]


def test_the_temporary_has_the_ending_of_the_target(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "a.b.nc") as temporary:
        assert (temporary.suffix, temporary.parent) == (".nc", tmp_path)


@pytest.mark.parametrize(
    "failure",
    [
        ValueError("a bug"),
        KeyboardInterrupt(),
        SystemExit(3),
        FileAccessError("of an inner file"),
        MemoryError(),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_a_failure_while_writing_leaves_the_target_as_it_was(
    target: Path, failure: BaseException
) -> None:
    with pytest.raises(type(failure)) as caught:
        write_half_of(target, failure)
    assert caught.value is failure
    assert target.read_text() == "as before"
    assert os.listdir(target.parent) == ["target.txt"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_full_disk_is_told_with_the_file_s_name(target: Path, code: int) -> None:
    with pytest.raises(FileAccessError) as caught:
        write_half_of(target, OSError(code, os.strerror(code)))
    message = str(caught.value)
    assert "cannot be written" in message
    assert os.strerror(code) in message
    assert f"where:    {target}" in message
    assert target.read_text() == "as before"
    assert os.listdir(target.parent) == ["target.txt"]


def test_a_failing_rename_leaves_the_target_as_it_was(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(FileAccessError, match="No space left"), atomic_write(target) as temporary:
        temporary.write_text("all of it")
    assert target.read_text() == "as before"
    assert os.listdir(target.parent) == ["target.txt"]


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o027, 0o002])
@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.usefixtures("umask")
def test_permissions_are_those_that_any_new_file_gets(
    tmp_path: Path, mask: int, exists: bool
) -> None:
    path = tmp_path / "new.txt"
    if exists:
        path.write_text("before")
    os.umask(mask)
    with atomic_write(path) as temporary:
        temporary.write_text("x")
    mode = stat.S_IMODE(path.stat().st_mode)
    assert mode == 0o666 & ~mask, f"{mode:o}"
    assert os.umask(mask) == mask


def test_a_missing_folder_is_named_and_not_made(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "a.txt"
    with pytest.raises(FileAccessError) as caught, atomic_write(path):
        raise AssertionError("nothing can be written")
    message = str(caught.value)
    assert str(path) in message
    assert "No such file or directory" in message
    assert "to mend:" in message
    assert os.listdir(tmp_path) == []


def test_a_folder_is_not_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "folder.nc"
    folder.mkdir()
    (folder / "precious").write_text("kept")
    with pytest.raises(FileAccessError, match="Is a directory"), atomic_write(folder) as temporary:
        temporary.write_text("x")
    assert (folder / "precious").read_text() == "kept"
    assert os.listdir(tmp_path) == ["folder.nc"]


def test_a_file_in_place_of_the_folder_is_named(target: Path) -> None:
    path = target / "a.txt"
    with pytest.raises(FileAccessError, match="Not a directory"), atomic_write(path):
        raise AssertionError("nothing can be written")
    assert target.read_text() == "as before"


@pytest.mark.skipif(AS_ROOT, reason="root may write into any folder")
def test_a_read_only_folder_is_named(target: Path) -> None:
    target.parent.chmod(0o500)
    try:
        with pytest.raises(FileAccessError, match="Permission denied"), atomic_write(target):
            raise AssertionError("nothing can be written")
    finally:
        target.parent.chmod(0o700)
    assert target.read_text() == "as before"


def test_write_errors_are_caught_as_os_errors(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="cannot be written"), atomic_write(tmp_path / "no" / "a"):
        raise AssertionError("nothing can be written")


_ON_A_FULL_DISK = """
import resource, sys
import matplotlib
import lstmsim as ls
matplotlib.use("Agg")
network, u = ls.published.layer_example()
diagram = ls.build(network)
traces = ls.reference(network, u)
figure = ls.plot(traces)
writers = {
    "nc": lambda path: ls.save_traces(traces, path),
    "csv": lambda path: ls.save_traces(traces, path),
    "png": lambda path: ls.save_plot(figure, path),
    "bd": lambda path: ls.save(diagram, path),
    "npz": lambda path: ls.save_workspace({"W": traces.u.values, "V": traces.u.values**2}, path),
    "mat": lambda path: ls.save_workspace({"W": traces.u.values, "V": traces.u.values**2}, path),
}
resource.setrlimit(resource.RLIMIT_FSIZE, (2500, resource.RLIM_INFINITY))
for name in sys.argv[1:]:
    try:
        writers[name.rpartition(".")[2]](name)
    except ls.errors.FileAccessError:
        print("refused", name)
"""


def test_every_writer_survives_a_disk_that_fills_up(tmp_path: Path) -> None:
    names = ["arrays.mat", "arrays.npz", "figure.png", "model.bd", "traces.csv", "traces.nc"]
    pytest.importorskip("resource", reason="the size of files cannot be limited here")
    for name in names:
        (tmp_path / name).write_text("as before")
    # A process of its own, since the limit holds for all that a process writes.
    command = [sys.executable, "-c", _ON_A_FULL_DISK, *names]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [f"refused {name}" for name in names]
    assert [(tmp_path / name).read_text() for name in names] == ["as before"] * len(names)
    assert sorted(os.listdir(tmp_path)) == sorted(names)


def test_existing_returns_the_path_of_a_file(target: Path) -> None:
    assert existing(str(target), "the notes") == target


@pytest.mark.parametrize(
    ("name", "given"), [("none.txt", "No such file or directory"), (".", "Is a directory")]
)
def test_existing_says_what_cannot_be_read(tmp_path: Path, name: str, given: str) -> None:
    with pytest.raises(FileAccessError) as caught:
        existing(tmp_path / name, "the notes")
    assert str(caught.value).splitlines()[:3] == [
        "the notes cannot be read",
        f"  where:    {tmp_path / name}",
        f"  given:    {given}",
    ]


def test_what_a_killed_process_left_beside_a_target_is_removed(tmp_path: Path) -> None:
    kept = ["ck.npz", ".ck-abcdefgh.nc", ".ck-abc.npz", ".other-abcdefgh.npz", "ck-abcdefgh.npz"]
    for name in [*kept, ".ck-abcdefgh.npz", ".ck-a_3defgh.npz"]:
        (tmp_path / name).write_text("")
    remove_leftovers(tmp_path / "ck.npz")
    assert sorted(os.listdir(tmp_path)) == sorted(kept)


def test_a_folder_appears_whole(tmp_path: Path) -> None:
    with folder_written_whole(tmp_path / "a" / "b") as (temporary, target):
        (temporary / "notes").write_text("all of it")
        assert not target.exists()
    assert target == tmp_path / "a" / "b"
    assert (target / "notes").read_text() == "all of it"
    assert os.listdir(tmp_path / "a") == ["b"]
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(target.stat().st_mode) == 0o777 & ~umask


@pytest.mark.parametrize("failure", [KeyboardInterrupt, ValueError])
def test_a_folder_that_fails_leaves_nothing(tmp_path: Path, failure: type[BaseException]) -> None:
    def interrupted() -> None:
        with folder_written_whole(tmp_path / "a" / "b") as (temporary, _):
            (temporary / "notes").write_text("half of it")
            raise failure

    with pytest.raises(failure):
        interrupted()
    assert os.listdir(tmp_path) == []


def test_a_folder_with_files_in_it_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "mine").write_text("kept")
    (tmp_path / "a-2").mkdir()  # empty: it is used
    with folder_written_whole(tmp_path / "a") as (temporary, target):
        (temporary / "notes").write_text("new")
    assert target.name == "a-2"
    assert sorted(os.listdir(tmp_path)) == ["a", "a-2"]
    assert os.listdir(tmp_path / "a") == ["mine"]
    assert os.listdir(target) == ["notes"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    with (
        pytest.raises(FileAccessError, match="the output folder cannot be made"),
        folder_written_whole(tmp_path / "file" / "deeper"),
    ):
        raise AssertionError
    assert os.listdir(tmp_path) == ["file"]
