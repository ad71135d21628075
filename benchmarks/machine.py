"""The machine, the versions, and the BLAS kernel in force.

    python -m benchmarks.machine

prints what is found as JSON; run in a clean child, it tells of the children.
"""

import ctypes
import json
import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from .fair import MISLEADING, clean_environment

ROOT = Path(__file__).resolve().parents[1]
DISTRIBUTIONS = (
    "numpy",
    "llvmlite",
    "torch",
    "jax",
    "jaxlib",
    "mygrad",
    "autograd",
    "tinygrad",
)
COMPILERS = ("g++", "clang")


def machine() -> dict[str, Any]:
    """Return processor, cores, memory, system and load."""
    return {
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "memory": memory(),
        "system": platform.system(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def processor() -> str:
    """Return the name of the processor, with the family where the name is vague."""
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return platform.processor() or platform.machine()
    lines = [line.split(":", 1) for line in path.read_text("utf-8").splitlines()]
    fields = {line[0].strip(): line[1].strip() for line in lines if len(line) == 2}
    name = fields.get("model name", platform.machine())
    if "cpu family" in fields:
        name += f" (family {fields['cpu family']}, model {fields['model']})"
    return name


def memory() -> int | None:
    """Return the bytes of memory of the machine, where the system tells."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def versions() -> dict[str, str]:
    """Return the version of Python, of tensorgrad, and of each peer installed."""
    import tensorgrad

    found = {"python": platform.python_version(), "tensorgrad": tensorgrad.__version__}
    for distribution in DISTRIBUTIONS:
        try:
            found[distribution] = version(distribution)
        except PackageNotFoundError:
            continue
    return found


def blas() -> dict[str, Any]:
    """Return NumPy's BLAS: its name, version, kernel and threads as far as known."""
    if find_spec("threadpoolctl"):
        from threadpoolctl import threadpool_info

        for pool in threadpool_info():
            if pool["user_api"] == "blas":
                return {
                    "name": pool["internal_api"],
                    "version": pool["version"],
                    "kernel": pool.get("architecture"),
                    "threads": pool["num_threads"],
                }
    built = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {"name": built["name"], "version": built["version"], "kernel": corename()}


def corename() -> str | None:
    """Return the kernel that the OpenBLAS in NumPy's wheel has chosen."""
    for path in Path(np.__file__).parent.with_name("numpy.libs").glob("*openblas*"):
        library = ctypes.CDLL(str(path))
        for name in ("scipy_openblas_get_corename64_", "openblas_get_corename"):
            if hasattr(library, name):
                function = getattr(library, name)
                function.restype = ctypes.c_char_p
                return str(function().decode())
    return None


def in_child(threads: int) -> dict[str, Any]:
    """Return what a child with so many threads (0: all) finds."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.machine"],
        capture_output=True,
        check=True,
        cwd=ROOT,
        env=clean_environment(threads),
        text=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    misleading = [name for name in MISLEADING if name in os.environ]
    print(json.dumps({"blas": blas(), "misleading": misleading}))
