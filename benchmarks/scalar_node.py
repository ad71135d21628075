"""Cost of one node of a graph of scalars: y = y + x, over graphs of growing size.

Prints microseconds per node for forward, backward and freeing, medians over runs.

    python benchmarks/scalar_node.py [--threads N]
"""

import statistics
import time

from fair import in_clean_child

import tensorgrad as tg

SIZES = (10**3, 10**4, 10**5, 10**6)


def run(nodes):
    """Return seconds for building, differentiating and freeing a chain."""
    x = y = tg.Tensor(1.0, requires_grad=True)
    start = time.perf_counter()
    for _ in range(nodes):
        y = y + x
    built = time.perf_counter()
    y.backward(retain_graph=True)
    differentiated = time.perf_counter()
    del y
    freed = time.perf_counter()
    return built - start, differentiated - built, freed - differentiated


def main():
    """Print a row for each size."""
    run(1000)
    print(
        f"{'nodes':>9s}{'forward':>10s}{'backward':>10s}{'both':>10s}{'freeing':>10s}"
    )
    for nodes in SIZES:
        runs = [run(nodes) for _ in range(max(3, 10**5 // nodes))]
        forward, backward, freeing = (
            statistics.median(times) / nodes * 1e6 for times in zip(*runs, strict=True)
        )
        print(
            f"{nodes:9d}{forward:10.2f}{backward:10.2f}{forward + backward:10.2f}"
            f"{freeing:10.2f}"
        )


if __name__ == "__main__":
    in_clean_child(main)
