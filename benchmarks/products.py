"""Time the products of matrices of compiled steps beside those of NumPy's BLAS.

    python benchmarks/products.py            # one thread

Each size with both matrices as they are, the first transposed, the second transposed:
the products of forward, of the weights' gradient, of the inputs' gradient; then stacks
of them. Best of many calls, in microseconds; the ratio is BLAS over ours. Needs the
extra `fast`.
"""

import numpy as np
from fair import alternate, in_clean_child

SIZES = [
    (1, 32, 64, 64),
    (1, 300, 64, 64),
    (1, 128, 784, 128),
    (1, 128, 128, 10),
    (1, 256, 784, 512),
    (1, 256, 512, 512),
    (1, 256, 1024, 1600),
    (25, 1000, 10, 10),
    (25, 1000, 32, 32),
    (48, 64, 32, 64),
]


def main() -> None:
    from tensorgrad.capture.gemm.processor import registers

    if registers() is None:
        raise SystemExit("on this processor compiled steps leave all products to BLAS")
    print(f"{'':22}{'product':>10}{'BLAS':>10}{'ours':>10}{'ratio':>8}")
    for many, n, depth, m in SIZES:
        rng = np.random.default_rng(0)
        a, b, c = (
            rng.standard_normal((many, *shape), dtype=np.float32)
            for shape in ((n, depth), (depth, m), (n, m))
        )
        title = (
            f"{n} x {depth} x {m}" if many == 1 else f"{many} of {n} x {depth} x {m}"
        )
        compare(title, "a b", a, b)
        compare(title, "a' c", a.swapaxes(1, 2), c)
        compare(title, "c b'", c, b.swapaxes(1, 2))


def compare(title, name, left, right) -> None:
    """Print a line."""
    from tensorgrad.capture.gemm.matmul import kernel

    out = np.matmul(left, right)
    product = kernel(left, right, out)
    found = alternate(
        {
            "BLAS": lambda: np.matmul(left, right, out),
            "ours": lambda: product(left, right, out),
        }
    )
    blas, ours = (min(found[arm]) * 1e6 for arm in ("BLAS", "ours"))
    print(f"{title:22}{name:>10}{blas:10.1f}{ours:10.1f}{blas / ours:8.2f}")


if __name__ == "__main__":
    in_clean_child(main)
