"""Checks of an elementwise function of very many numbers, right and with one wrong.

Prints the time, the calls of the function, the verdict and the entry that is named.

    python benchmarks/checker_large.py [--threads N]
"""

import time

import numpy as np
from fair import in_clean_child

from tensorgrad.testing import check_vjp

SIZES = (10**5, 10**6)


def run(size, slopes):
    """Return seconds, calls of the function and the result of a check."""
    calls = []
    x = np.random.default_rng(0).normal(size=size)

    def f(x):
        calls.append(1)
        return np.tanh(x)

    def vjp(g, x):
        return g * slopes * (1 - np.tanh(x) ** 2)

    start = time.perf_counter()
    result = check_vjp(f, vjp, x, raise_on_failure=False)
    return time.perf_counter() - start, len(calls), result


def main():
    """Print a line for each size, right and wrong."""
    for size in SIZES:
        for factor in (1.0, 1.5):
            slopes = np.ones(size)
            slopes[size // 3] = factor
            seconds, calls, result = run(size, slopes)
            print(
                f"{size:9,} numbers {seconds:6.1f} s {calls:5} calls  {result.verdict}"
                + (f": {result.worst}" if factor != 1 else "")
            )


if __name__ == "__main__":
    in_clean_child(main)
