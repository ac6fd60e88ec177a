"""What was measured on."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from lstmsim._version import __version__

#: The packages whose versions matter, where they are installed.
PACKAGES = ("numpy", "numba", "bdsim", "onnxruntime", "torch", "jax", "jaxlib")
#: From the widest; llvm's name of the feature, and what people call it.
_INSTRUCTIONS = {"avx512f": "AVX-512", "avx2": "AVX2", "avx": "AVX", "sve": "SVE", "neon": "NEON"}


@dataclass(frozen=True)
class Machine:
    """A machine, and what is installed there.

    Parameters
    ----------
    cpu, instructions, system, python : str
        Model of the processor, its widest vectors, operating system, version of Python.
    cores : int
        Logical cores.
    packages : dict of str
        Versions by package.
    load : tuple of float
        The mean number of processes that were running or waiting, in the minute before the
        measurement and in the last minute of it; empty where the system does not say.
    date : str
        When it began.
    """

    cpu: str
    instructions: str
    system: str
    python: str
    cores: int
    packages: dict[str, str]
    load: tuple[float, ...]
    date: str

    def __str__(self) -> str:
        cores = f"{self.cores} core{'' if self.cores == 1 else 's'}"
        packages = ", ".join(f"{name} {version}" for name, version in self.packages.items())
        return (
            f"{self.cpu}, {cores}, {self.instructions}; {self.system}; Python {self.python}, "
            f"{packages}; {self.date}"
        )


def this_machine() -> Machine:
    """Return a description of this machine and its load now."""
    return Machine(
        cpu=_cpu(),
        instructions=_instructions(),
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        cores=os.cpu_count() or 1,
        packages=dict(_versions()),
        load=load(),
        date=datetime.date.today().isoformat(),
    )


def load() -> tuple[float, ...]:
    """Return the last minute's load, or nothing where the system does not say."""
    try:
        return (round(os.getloadavg()[0], 2),)
    except (OSError, AttributeError):  # Windows has none
        return ()


def _versions() -> list[tuple[str, str]]:
    found = [("lstmsim", __version__)]
    for name in PACKAGES:
        try:
            found.append((name, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _cpu() -> str:
    name = ""
    try:
        if sys.platform == "darwin":
            command = ["sysctl", "-n", "machdep.cpu.brand_string"]
            name = subprocess.run(command, capture_output=True, text=True).stdout.strip()
        else:
            lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
            models = [line.split(":", 1)[1] for line in lines if line.startswith("model name")]
            name = models[0].strip() if models else ""
    except OSError:
        pass
    return name or platform.processor() or "unknown processor"


def _instructions() -> str:
    from llvmlite import binding

    features = binding.get_host_cpu_features()
    return next((name for key, name in _INSTRUCTIONS.items() if features.get(key)), "no vectors")
