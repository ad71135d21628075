"""Backward of softmax and cross-entropy three ways.

- jacobian: separate rules, the softmax one forming each sample's Jacobian in a loop,
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

import tensorgrad as tg
from tensorgrad.ops.losses import (
    as_target,
    cross_entropy_vjp,
    negative_log_likelihood_vjp,
)
from tensorgrad.ops.neural import softmax_vjp

SHAPES = [(3, 3), (300, 3), (128, 10), (256, 1000)]


def jacobian_loop(g, p):
    """Return the gradient in the logits, by one Jacobian for each sample."""
    d = np.empty_like(p)
    for i, (row, upstream) in enumerate(zip(p, g, strict=True)):
        column = row.reshape(-1, 1)
        jacobian = np.diagflat(column) - np.matmul(column, column.T)
        d[i] = np.matmul(jacobian, upstream)
    return d


def backward_arms(p, target):
    """Return the three backward passes, from probabilities to d loss / d logits."""
    one = p.dtype.type(1)

    def jacobian():
        return jacobian_loop(negative_log_likelihood_vjp(one, p, target), p)

    def separate():
        return softmax_vjp(negative_log_likelihood_vjp(one, p, target), p, 1)

    def fused():
        return cross_entropy_vjp(one, p, target)

    return {"jacobian": jacobian, "separate": separate, "fused": fused}


@tg.primitive
def loop_softmax(x):
    """Return softmax, to be differentiated by the loop."""
    return tg.softmax(x)


loop_softmax.vjp(x=lambda g, y: jacobian_loop(g, y))


def engine_arms(logits, labels):
    """Return forward and backward through the engine, giving d loss / d logits."""

    def run(loss):
        def arm():
            x = tg.Tensor(logits, requires_grad=True)
            loss(x).backward()
            return x.grad.data

        return arm

    def separate(x):
        return tg.categorical_cross_entropy(tg.softmax(x), labels)

    def jacobian(x):
        return tg.categorical_cross_entropy(loop_softmax(x), labels)

    def fused(x):
        return tg.softmax_cross_entropy(x, labels)

    return {"jacobian": run(jacobian), "separate": run(separate), "fused": run(fused)}


def compare(title, arms, tolerance):
    """Assert that the arms agree, time them, print a row."""
    results = [arm() for arm in arms.values()]
    for result in results[1:]:
        np.testing.assert_allclose(result, results[0], rtol=0, atol=tolerance)
    found = alternate(arms)
    times = "".join(f"{median(t):12.1f}" for t in found.values())
    over_loop = ratio(found["jacobian"], found["fused"])
    over_separate = ratio(found["separate"], found["fused"])
    print(f"{title}{times}{over_loop:12.1f}{over_separate:12.2f}", flush=True)


def main():
    """Print the two tables."""
    rng = np.random.default_rng(0)
    header = "".join(
        f"{h:>12s}"
        for h in (*("jacobian", "separate", "fused"), "loop/fused", "sep/fused")
    )
    for part, arms in (("backward rules alone", 0), ("forward and backward", 1)):
        print(f"\n{part:30s}{header}")
        for n, classes in SHAPES:
            for dtype in (np.float32, np.float64):
                logits = rng.normal(size=(n, classes)).astype(dtype)
                labels = rng.integers(0, classes, n)
                p = tg.softmax(logits)
                made = (
                    engine_arms(logits, labels)
                    if arms
                    else backward_arms(p, as_target(labels, p, "benchmark"))
                )
                title = f"{f'({n}, {classes}) {np.dtype(dtype)}':30s}"
                compare(title, made, 4 * np.finfo(dtype).eps)


if __name__ == "__main__":
    in_clean_child(main)
