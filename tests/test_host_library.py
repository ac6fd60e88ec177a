"""How bdsim finds and keeps its blocks, and how this package sees that its own are there."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bdsim import BDSim

from lstmsim.diagram import host


@pytest.fixture
def fresh() -> Iterator[None]:
    """Put back bdsim's library, and forget this package's runtime, after a test."""
    kept = BDSim._blocklibrary, BDSim._moduledicts
    yield
    BDSim._blocklibrary, BDSim._moduledicts = kept
    host.simulator.cache_clear()


SOURCE = '''
class Twice(FunctionBlock):
    nin = 1

    def __init__(self, K):
        """Make it.

        :param K: a gain, defaults to =K
        :type K: float
        """

class PlainClass:
    pass

class OwnBlock(FunctionBlock):
    pass

class Derived(OwnBlock):
    pass
'''


def discovered(folder: Path) -> dict[str, Any]:
    runtime = copy.copy(host.simulator())
    runtime.packages = str(folder)
    library = runtime.load_blocks(False, toolboxes=False)
    return {name: info for name, info in library.items() if info["package"] == str(folder)}


@pytest.mark.usefixtures("fresh")
def test_blocks_are_discovered_by_the_names_of_their_bases(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for file in ("__init__.py", "_hidden.py", "seen.py", "sub/deep.py"):
        name = Path(file).stem.strip("_").title()
        (tmp_path / file).write_text(f"class {name}(SinkBlock): pass\n{SOURCE * (name == 'Seen')}")
    found = discovered(tmp_path)
    kinds = {name: info["blockclass"] for name, info in found.items()}
    assert kinds == {"SEEN": "sink", "TWICE": "function", "DERIVED": "own"}
    assert found["TWICE"]["params"] == {"K": (" float", " a gain, defaults to =K")}


@pytest.mark.usefixtures("fresh")
def test_a_param_without_a_type_stops_the_discovery(tmp_path: Path) -> None:
    (tmp_path / "__init__.py").touch()
    (tmp_path / "block.py").write_text(SOURCE.replace(":type K: float", ""))
    with pytest.raises(KeyError, match="type"):
        discovered(tmp_path)


@pytest.mark.usefixtures("fresh")
def test_the_library_is_cached_on_the_class_and_loaded_again_for_this_package() -> None:
    host.simulator.cache_clear()
    BDSim._blocklibrary = None
    first = BDSim(sysargs=False, toolboxes=False, quiet=True, graphics=False)
    assert "MATRIXGAIN" not in first.block_library
    again = BDSim(packages="lstmsim", sysargs=False, toolboxes=False, quiet=True, graphics=False)
    assert "MATRIXGAIN" not in again.block_library
    BDSim._blocklibrary["USERS"] = dict(first.block_library["GAIN"])
    library = host.simulator().block_library
    assert {"MATRIXGAIN", "UNITDELAY", "GAIN", "USERS"} <= set(library)
    assert host.blockdiagram().UNITDELAY is not None
    assert host.simulator() is host.simulator()


@pytest.mark.usefixtures("fresh")
def test_the_command_line_is_bdsims_only_without_sysargs_false(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", ["program", "--verbose"])
    assert BDSim(toolboxes=False, quiet=True, graphics=False).options.verbose
    host.simulator.cache_clear()
    assert not host.simulator().options.verbose


def test_the_runtime_is_made_in_silence(capfd: pytest.CaptureFixture[str]) -> None:
    host.simulator.cache_clear()
    host.simulator()
    assert capfd.readouterr() == ("", "")
