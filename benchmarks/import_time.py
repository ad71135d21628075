"""What ``import tensorgrad`` costs beyond ``import numpy``.

Fresh interpreters take turns, so that a slow spell of the machine falls on all: one
imports NumPy, one tensorgrad, one NumPy and then tensorgrad. Each reports the time of
its last import statement; that of the third is the cost.
"""

import argparse
import os
import statistics
import subprocess
import sys
from pathlib import Path

from fair import MISLEADING

ROOT = Path(__file__).resolve().parents[1]
STATEMENTS = {
    "numpy": ("", "import numpy"),
    "tensorgrad": ("", "import tensorgrad"),
    "beyond numpy": ("import numpy", "import tensorgrad"),
}
CHILD = """
import time
{}
start = time.perf_counter()
{}
print(time.perf_counter() - start)
"""
# With the last of them every run would measure the compiler.
UNSET = (*MISLEADING, "PYTHONDONTWRITEBYTECODE")


def seconds(before: str, timed: str) -> float:
    """Return the time a statement takes in a fresh interpreter, after another one."""
    environment = {k: v for k, v in os.environ.items() if k not in UNSET}
    child = subprocess.run(
        [sys.executable, "-c", CHILD.format(before, timed)],
        capture_output=True,
        check=True,
        cwd=ROOT,
        env=environment,
        text=True,
    )
    return float(child.stdout)


def measure(runs: int) -> dict[str, list[float]]:
    """Return `runs` times of each statement, taken in turn."""
    times: dict[str, list[float]] = {name: [] for name in STATEMENTS}
    for run in range(runs + 1):
        for name, statements in STATEMENTS.items():
            taken = seconds(*statements)
            if run:  # the first round compiles to bytecode and warms the file cache
                times[name].append(taken)
    return times


def report(times: dict[str, list[float]]) -> str:
    """Return median and range of each, in milliseconds."""
    lines = []
    for name, taken in times.items():
        ms = [1e3 * t for t in taken]
        lines.append(
            f"{name + ':':14}{statistics.median(ms):7.1f} ms"
            f"  (from {min(ms):.1f} to {max(ms):.1f} in {len(ms)} runs)"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=21, help="of each (default 21)")
    print(report(measure(parser.parse_args().runs)))


if __name__ == "__main__":
    main()
