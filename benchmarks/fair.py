"""What the benchmarks share: a clean child process, and alternating medians."""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

MISLEADING = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
THREADS = (
    "BLIS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NPROC",  # XLA's pool, under JAX
    "NUMBA_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUM_CPU_THREADS",  # tinygrad
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
INNER = "TENSORGRAD_BENCHMARK_CHILD"


def clean_environment(threads: int) -> dict[str, str]:
    """Return variables under which no BLAS pretends, with so many threads (0: all)."""
    unset = (*MISLEADING, *THREADS)
    environment = {k: v for k, v in os.environ.items() if k not in unset}
    if threads:
        environment.update(dict.fromkeys(THREADS, str(threads)))
    return environment


def confine(threads: int) -> None:
    """Keep all threads of this process to so many cores (0: leave them), on Linux.

    Not every library takes as many threads as it is told: JAX has some besides.
    """
    if threads and os.path.isdir("/proc/self/task"):
        cores = sorted(os.sched_getaffinity(0))[-threads:]
        for thread in os.listdir("/proc/self/task"):
            with suppress(OSError):  # it may have ended
                os.sched_setaffinity(int(thread), cores)


def threads_told() -> int:
    """Return the number of threads that `clean_environment` told this process."""
    return int(os.environ.get(THREADS[0], "0"))


def in_clean_child(main: Callable[[], None]) -> None:
    """Run `main` in a child whose BLAS is not told to pretend, with --threads of it."""
    if os.environ.get(INNER):
        main()
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=1, help="BLAS threads (0: all)")
    threads = parser.parse_known_args()[0].threads
    environment = clean_environment(threads) | {INNER: "1"}
    sys.exit(subprocess.run([sys.executable, *sys.argv], env=environment).returncode)


def timed(function: Callable[[], object], calls: int) -> float:
    """Return seconds per call."""
    start = time.perf_counter()
    for _ in range(calls):
        function()
    return (time.perf_counter() - start) / calls


def calls_for(function: Callable[[], object], seconds: float) -> int:
    """Return how many calls take about that long."""
    function()
    return max(1, int(seconds / max(timed(function, 1), 1e-9)))


def alternate(
    arms: Mapping[str, Callable[[], object]], rounds: int = 30, seconds: float = 0.01
) -> dict[str, list[float]]:
    """Return seconds per call of each arm, one figure a round, the arms in turn."""
    calls = {name: calls_for(arm, seconds) for name, arm in arms.items()}
    for name, arm in arms.items():
        timed(arm, calls[name])
    found: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(rounds):
        for name, arm in arms.items():
            found[name].append(timed(arm, calls[name]))
    return found


def median(values: list[float]) -> float:
    """Return the median in microseconds."""
    return statistics.median(values) * 1e6


def ratio(over: list[float], under: list[float]) -> float:
    """Return the median of the ratios, round by round."""
    return statistics.median(a / b for a, b in zip(over, under, strict=True))


def quartiles(values: list[float]) -> tuple[float, float]:
    """Return the first and the third quartile; of one value, itself twice."""
    if len(values) < 2:
        return values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high


def spread(values: list[float]) -> str:
    """Return the quartiles in microseconds."""
    low, high = quartiles(values)
    return f"{low * 1e6:.1f}-{high * 1e6:.1f}"
