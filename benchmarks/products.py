"""Time the products of matrices of compiled steps beside those of NumPy's BLAS.

    python benchmarks/products.py            # one thread

Each size with both matrices as they are, the first transposed, the second transposed:
the products of forward, of the weights' gradient, of the inputs' gradient. Best of many
calls, in microseconds; the ratio is BLAS over ours. Needs the extra `fast`.
"""

import numpy as np
from fair import alternate, in_clean_child

SIZES = [
    (32, 64, 64),
    (300, 64, 64),
    (128, 784, 128),
    (128, 128, 10),
    (256, 784, 512),
    (256, 512, 512),
    (256, 1024, 1600),
]


def main() -> None:
    from tensorgrad.capture.gemm.matmul import kernel, registers

    if registers() is None:
        raise SystemExit("on this processor compiled steps leave all products to BLAS")
    straight, turned = (kernel(way, np.dtype("f4")) for way in (False, True))
    print(f"{'':22}{'product':>10}{'BLAS':>10}{'ours':>10}{'ratio':>8}")
    for n, depth, m in SIZES:
        rng = np.random.default_rng(0)
        a = rng.standard_normal((n, depth), dtype=np.float32)
        b = rng.standard_normal((depth, m), dtype=np.float32)
        c = rng.standard_normal((n, m), dtype=np.float32)
        for name, product, left, right in (
            ("a b", straight, a, b),
            ("a' c", straight, a.T, c),
            ("c b'", turned, c, b.T),
        ):
            compare(f"{n} x {depth} x {m}", name, product, left, right)


def compare(title, name, kernel, left, right) -> None:
    """Print a line."""
    out = np.empty((left.shape[0], right.shape[1]), np.float32)
    found = alternate(
        {
            "BLAS": lambda: np.matmul(left, right, out),
            "ours": lambda: kernel(left, right, out),
        }
    )
    blas, ours = (min(found[arm]) * 1e6 for arm in ("BLAS", "ours"))
    print(f"{title:22}{name:>10}{blas:10.1f}{ours:10.1f}{blas / ours:8.2f}")


if __name__ == "__main__":
    in_clean_child(main)
