"""Memory of this process, in bytes: what it holds, and the most it held."""

import sys
from contextlib import suppress
from pathlib import Path

PROCESS = Path("/proc/self")


def _status(field: str) -> int:
    for line in (PROCESS / "status").read_text("ascii").splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise OSError(f"expected {field} in {PROCESS}/status, found none")


def resident() -> int:
    """Return what the process holds; the peak where only that is known."""
    return _status("VmRSS") if PROCESS.exists() else peak()


def peak() -> int:
    """Return the most it held since the start or since :func:`forget_peak`."""
    if PROCESS.exists():
        return _status("VmHWM")
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def forget_peak() -> None:
    """Start anew to look for the peak, where the system allows it."""
    with suppress(OSError):
        (PROCESS / "clear_refs").write_text("5", "ascii")
