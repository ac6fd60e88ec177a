"""The machine that was measured on, and what is installed there."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

#: The packages whose versions matter, where they are installed.
PACKAGES = ("lstmsim", "numpy", "numba", "bdsim", "onnxruntime", "torch", "jax", "jaxlib")
#: From the widest; llvm's name of the feature, and what people call it.
_INSTRUCTIONS = {"avx512f": "AVX-512", "avx2": "AVX2", "avx": "AVX", "sve": "SVE", "neon": "NEON"}


@dataclass(frozen=True)
class Machine:
    """A machine.

    Parameters
    ----------
    cpu, instructions, system, python, date : str
        Model of the processor, its widest vectors, operating system, version of Python, today.
    cores : int
        Logical cores.
    packages : dict of str
        Versions by package.
    """

    cpu: str
    instructions: str
    system: str
    python: str
    date: str
    cores: int
    packages: dict[str, str]

    def __str__(self) -> str:
        cores = f"{self.cores} core{'' if self.cores == 1 else 's'}"
        packages = ", ".join(f"{name} {version}" for name, version in self.packages.items())
        return (
            f"{self.cpu}, {cores}, {self.instructions}; {self.system}; Python {self.python}, "
            f"{packages}; {self.date}"
        )


def this_machine() -> Machine:
    """Return a description of this machine."""
    from llvmlite import binding

    found = {d.metadata["Name"]: d.version for d in importlib.metadata.distributions()}
    features = binding.get_host_cpu_features()
    widest = [name for feature, name in _INSTRUCTIONS.items() if features.get(feature)]
    return Machine(
        cpu=_cpu() or platform.processor() or "unknown processor",
        instructions=widest[0] if widest else "no vectors",
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        date=datetime.date.today().isoformat(),
        cores=os.cpu_count() or 1,
        packages={name: found[name] for name in PACKAGES if name in found},
    )


def _cpu() -> str:
    """Return the processor's model; `platform.processor` has it on Windows alone."""
    try:
        if sys.platform == "darwin":
            command = ["sysctl", "-n", "machdep.cpu.brand_string"]
            return subprocess.run(command, capture_output=True, text=True).stdout.strip()
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next((ln.split(":", 1)[1].strip() for ln in lines if "model name" in ln), "")
    except OSError:
        return ""
