"""Backward of softmax and cross-entropy three ways.

- loop: separate rules, the softmax one forming each sample's Jacobian in a loop,
  as the text does
- separate: separate rules, vectorised: the product with the Jacobian, never formed
- fused: one rule, (p - target) / n

Asserts that the three agree, then prints medians in microseconds and ratios: of the
backward rules alone, as functions of arrays, as the text times them; and of forward and
backward through the engine.

    python benchmarks/softmax_cross_entropy.py [--threads N]
"""

import numpy as np
from fair import alternate, in_clean_child, median, ratio
from peers.arms import LOSSES, backward, finish, whole

SHAPES = [(3, 3), (300, 3), (128, 10), (256, 1000)]


def gradient(value):
    """Return the gradient in the logits that an arm gives."""
    return finish(value[1] if isinstance(value, tuple) else value)


def compare(title, arms, tolerance):
    """Assert that the arms agree, time them, print a row."""
    results = [gradient(arm()) for arm in arms.values()]
    for result in results[1:]:
        np.testing.assert_allclose(result, results[0], rtol=0, atol=tolerance)
    found = alternate(arms)
    times = "".join(f"{median(t):12.1f}" for t in found.values())
    over_loop = ratio(found["loop"], found["fused"])
    over_separate = ratio(found["separate"], found["fused"])
    print(f"{title}{times}{over_loop:12.1f}{over_separate:12.2f}", flush=True)


def main():
    """Print the two tables."""
    rng = np.random.default_rng(0)
    header = "".join(f"{h:>12s}" for h in (*LOSSES, "loop/fused", "sep/fused"))
    for part, made in (
        ("backward rules alone", backward),
        ("forward and backward", whole),
    ):
        print(f"\n{part:30s}{header}")
        for n, classes in SHAPES:
            for dtype in (np.float32, np.float64):
                logits = rng.normal(size=(n, classes)).astype(dtype)
                labels = rng.integers(0, classes, n)
                arms = {arm: made(arm, logits, labels) for arm in LOSSES}
                title = f"{f'({n}, {classes}) {np.dtype(dtype)}':30s}"
                compare(title, arms, 4 * np.finfo(dtype).eps)


if __name__ == "__main__":
    in_clean_child(main)
