"""HIPS autograd, and the updates in NumPy."""

import autograd.numpy as anp
import numpy as np
from autograd import value_and_grad
from autograd.core import make_vjp

from .handwritten import OPTIMIZERS


def finish(value):
    """Return what a step returned as an array."""
    return np.asarray(value)


def cross_entropy(logits, labels):
    """Return the mean negative log of the probability of the labels."""
    top = anp.max(logits, axis=1, keepdims=True)
    shifted = logits - top
    total = anp.log(anp.sum(anp.exp(shifted), axis=1))
    return anp.mean(total - shifted[np.arange(len(labels)), labels])


def training(case):
    """Return a step."""
    x, labels = case.data()
    parameters = case.start()
    update = OPTIMIZERS[case.optimizer](case, parameters)

    def loss_of(parameters):
        *hidden, (weight, bias) = zip(parameters[::2], parameters[1::2], strict=True)
        a = x
        for w, b in hidden:
            a = anp.maximum(anp.dot(a, w) + b, 0)
        return cross_entropy(anp.dot(a, weight) + bias, labels)

    both = value_and_grad(loss_of)

    def step():
        loss, gradients = both(parameters)
        update(gradients)
        return loss

    return step


def chain(case):
    """Return a step that builds a chain of scalars and differentiates it."""

    def total(x):
        y = x
        for _ in range(case.nodes):
            y = y + x
        return y

    def step():
        vjp, value = make_vjp(total, 1.0)
        return value, vjp(1.0), vjp

    return step


def softmax(case):
    """Return a step of a loss written out, for the library has none."""
    logits, labels = case.data()
    both = value_and_grad(lambda x: cross_entropy(x, labels))
    return lambda: both(logits)


def program(case):
    """Return a step that takes value and gradient of a program."""
    objective, x = case.start(anp)
    both = value_and_grad(objective)
    return lambda: both(x)
