"""The loss of a long short-term memory that foretells the next letter of a text."""

from itertools import pairwise

import numpy as np

import tensorgrad as tg

from .function import Function, fields


def loss(weights, state, letters):
    """Return the mean loss; `weights` are those of the layers, and of in and out."""
    layers, (w_in, w_out, b_out) = weights
    states = [(state[i], state[i + 1]) for i in range(0, len(state), 2)]
    total = 0.0
    for x, target in pairwise(letters):
        y = x * w_in
        for i, (hidden, cell) in enumerate(states):
            states[i] = y, _ = after(layers[2 * i], layers[2 * i + 1], hidden, cell, y)
        y = y * w_out + b_out
        total += np.sum(target * (y - np.log(np.sum(np.exp(y)) + 2)))
    return -total / letters[1:].size


def after(w, b, hidden, cell, x):
    """Return output and cell of a layer whose weights are diagonal."""
    gates = np.concatenate([x, hidden, x, hidden]) * w + b
    forget, enter, leave = np.split(sigmoid(gates[: 3 * len(x)]), 3)
    cell = cell * forget + enter * np.tanh(gates[3 * len(x) :])
    return leave * np.tanh(cell), cell


def sigmoid(x):
    """Return 1 / (1 + exp(-x))."""
    return 1 / (1 + np.exp(-x))


def arguments(message):
    """Return weights, first state and text."""
    layers, extra, state, letters = fields(
        "main_params", "extra_params", "state", "sequence"
    )(message)
    return (layers, extra), state, letters


def flat(gradients):
    """Return the gradients one after another."""
    return np.concatenate([np.ravel(g) for g in gradients])


FUNCTIONS = {
    "objective": Function(loss, arguments),
    "jacobian": Function(tg.grad(loss), arguments, flat),
}
