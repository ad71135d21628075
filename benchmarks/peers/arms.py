"""Backward of softmax and cross-entropy three ways.

- loop: separate rules, the softmax one forming each sample's Jacobian in a loop, as the
  text does
- separate: separate rules, vectorised: the product with the Jacobian, never formed
- fused: one rule, (p - target) / n
"""

import numpy as np

import tensorgrad as tg
from tensorgrad.ops.networks.losses import (
    as_target,
    cross_entropy_vjp,
    negative_log_likelihood_vjp,
)
from tensorgrad.ops.networks.neural import softmax_vjp


def finish(value):
    """Return what a step returned as an array."""
    return value.numpy() if isinstance(value, tg.Tensor) else np.asarray(value)


def jacobian_loop(g, p):
    """Return the gradient in the logits, by one Jacobian for each sample."""
    d = np.empty_like(p)
    for i, (row, upstream) in enumerate(zip(p, g, strict=True)):
        column = row.reshape(-1, 1)
        jacobian = np.diagflat(column) - np.matmul(column, column.T)
        d[i] = np.matmul(jacobian, upstream)
    return d


@tg.primitive
def loop_softmax(x):
    """Return softmax, to be differentiated by the loop."""
    return tg.softmax(x)


loop_softmax.vjp(x=lambda g, y: jacobian_loop(g, y))

LOSSES = {
    "loop": lambda x, y: tg.categorical_cross_entropy(loop_softmax(x), y),
    "separate": lambda x, y: tg.categorical_cross_entropy(tg.softmax(x), y),
    "fused": lambda x, y: tg.softmax_cross_entropy(x, y),
}


def whole(arm, logits, labels):
    """Return a step of forward and backward through the engine."""

    def step():
        x = tg.Tensor(logits, requires_grad=True)
        loss = LOSSES[arm](x, labels)
        loss.backward()
        return loss, x.grad

    return step


def loop_rules(g, p, target):
    """Return d loss / d logits by separate rules with the loop."""
    return jacobian_loop(negative_log_likelihood_vjp(g, p, target), p)


def separate_rules(g, p, target):
    """Return d loss / d logits by separate rules."""
    return softmax_vjp(negative_log_likelihood_vjp(g, p, target), p, 1)


RULES = {"loop": loop_rules, "separate": separate_rules, "fused": cross_entropy_vjp}


def backward(arm, logits, labels):
    """Return a step of the backward rules alone, from probabilities."""
    p = tg.softmax(logits)
    rule, one = RULES[arm], p.dtype.type(1)
    target = as_target(labels, p, "benchmark")
    return lambda: rule(one, p, target)


def softmax(case, arm):
    """Return forward and backward of a case."""
    return whole(arm, *case.data())


def rules(case, arm):
    """Return the backward rules of a case alone."""
    return backward(arm, *case.data())
