"""MyGrad, with its guards of memory off, and the updates in NumPy."""

import mygrad as mg
import numpy as np
from mygrad.nnet.activations import relu
from mygrad.nnet.losses import softmax_crossentropy

from .handwritten import OPTIMIZERS

mg.turn_memory_guarding_off()


def finish(value):
    """Return what a step returned as an array."""
    return np.asarray(value)


def training(case):
    """Return a step."""
    x, labels = case.data()
    parameters = [mg.tensor(p) for p in case.start()]
    update = OPTIMIZERS[case.optimizer](case, [p.data for p in parameters])

    def step():
        loss = softmax_crossentropy(logits_of(x, parameters), labels)
        loss.backward()
        update([p.grad for p in parameters])
        return loss

    return step


def logits_of(x, parameters):
    """Return the logits of dense layers with ReLU between them."""
    *hidden, (weight, bias) = zip(parameters[::2], parameters[1::2], strict=True)
    for w, b in hidden:
        x = relu(mg.matmul(x, w) + b)
    return mg.matmul(x, weight) + bias


def chain(case):
    """Return a step that builds a chain of scalars and differentiates it.

    Its backward also frees the graph.
    """

    def step():
        x = mg.tensor(1.0)
        y = x
        for _ in range(case.nodes):
            y = y + x
        y.backward()
        return y, x.grad

    return step


def softmax(case):
    """Return a step of the library's own loss."""
    logits, labels = case.data()

    def step():
        x = mg.tensor(logits)
        loss = softmax_crossentropy(x, labels)
        loss.backward()
        return loss, x.grad

    return step
