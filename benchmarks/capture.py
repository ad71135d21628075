"""Time what capturing a step costs, in eager steps and in seconds.

    python benchmarks/capture.py

The first two calls of a compiled step are recorded, the second makes the replay. NumPy:
that cost, less the two steps themselves, over the median eager step. Fused: the second
call with an empty folder of kernels, llvmlite's import included, and in another process
that finds them there. Processor time; the models are those of `python -m benchmarks`.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from fair import in_clean_child

ROOT = Path(__file__).resolve().parents[1]
CASES = ("spiral", "deep", "digits", "wide")
RUNS = 5
CHILD = "TENSORGRAD_BENCHMARK_CAPTURE"


def taken(function) -> float:
    """Return the processor seconds of a call."""
    start = time.process_time()
    function()
    return time.process_time() - start


def case(name):
    """Return the module that makes steps, and a case."""
    sys.path.insert(0, str(ROOT))
    from benchmarks.cases import CASES
    from benchmarks.peers import engine

    return engine, CASES[name]


def recorded(name: str) -> tuple[float, float]:
    """Return seconds of capturing for NumPy, less two steps, and of an eager step."""
    engine, found = case(name)
    eager = engine.training(found)
    for _ in range(5):
        eager()
    step = median(taken(eager) for _ in range(50))
    costs = []
    for _ in range(RUNS):
        compiled = engine.training(found, compiled="numpy")
        costs.append(taken(compiled) + taken(compiled) - 2 * step)
    return median(costs), step


def fused(name: str) -> float:
    """Return the seconds of the second call in this process."""
    engine, found = case(name)
    compiled = engine.training(found, compiled="kernels")
    compiled()
    return taken(compiled)


def child(name: str, folder: str) -> float:
    """Return what a process of its own takes that keeps its kernels in a folder."""
    environment = os.environ | {"TENSORGRAD_CACHE": folder, CHILD: name}
    command = [sys.executable, __file__]
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    return float(done.stdout)


def main() -> None:
    print(f"{'':10}{'NumPy, eager steps':>20}{'fused, cold':>14}{'from disk':>12}")
    for name in CASES:
        cost, step = recorded(name)
        with tempfile.TemporaryDirectory() as folder:
            cold, warm = child(name, folder), child(name, folder)
        print(f"{name:10}{cost / step:20.0f}{cold:12.2f} s{warm:10.2f} s")


if __name__ == "__main__":
    if CHILD in os.environ:
        print(fused(os.environ[CHILD]))
    else:
        in_clean_child(main)
