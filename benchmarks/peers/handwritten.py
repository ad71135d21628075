"""The loop a person writes in NumPy, operation by operation as the text does.

It does not compute the gradient of the samples, which nobody needs.
"""

import numpy as np


def finish(value):
    """Return what a step returned as an array."""
    return np.asarray(value)


def training(case):
    """Return a step of a case."""
    parameters = case.start()
    update = OPTIMIZERS[case.optimizer](case, parameters)
    return looped(*case.data(), parameters, update)


def looped(x, labels, parameters, update):
    """Return a step that updates its parameters in place, and returns the loss."""

    def step():
        loss, gradients = loss_and_gradients(x, labels, parameters)
        update(gradients)
        return loss

    return step


def loss_and_gradients(x, labels, parameters):
    """Return softmax cross-entropy of dense layers, and a gradient a parameter."""
    inputs, outputs = forward(x, parameters)
    n, logits = len(x), outputs[-1]
    e = np.exp(logits - np.max(logits, axis=1, keepdims=True))
    p = e / np.sum(e, axis=1, keepdims=True)
    clipped = np.clip(p, 1e-7, 1 - 1e-7)
    loss = np.mean(-np.log(clipped[range(n), labels]))
    d = p.copy()
    d[range(n), labels] -= 1
    return loss, backward(d / n, inputs, outputs, parameters)


def forward(x, parameters):
    """Return what goes into each layer, and what comes out of it before ReLU."""
    inputs, outputs = [], []
    for weight, bias in zip(parameters[::2], parameters[1::2], strict=True):
        inputs.append(np.maximum(0, outputs[-1]) if outputs else x)
        outputs.append(np.matmul(inputs[-1], weight) + bias)
    return inputs, outputs


def backward(d, inputs, outputs, parameters):
    """Return the gradients, from that of the logits."""
    gradients = []
    for layer in reversed(range(len(inputs))):
        gradients += [np.sum(d, axis=0), np.matmul(inputs[layer].T, d)]
        if layer:
            d = np.matmul(d, parameters[2 * layer].T).copy()
            d[outputs[layer - 1] <= 0] = 0
    return gradients[::-1]


def sgd(case, parameters):
    """Return an update with momentum: v = momentum v - lr g, w = w + v."""
    velocities = [np.zeros_like(w) for w in parameters]

    def update(gradients):
        for i, (w, g) in enumerate(zip(parameters, gradients, strict=True)):
            velocities[i] = case.momentum * velocities[i] - case.rate * g
            w += velocities[i]

    return update


def adam(case, parameters):
    """Return an update by adaptive moments, bias corrected."""
    means = [np.zeros_like(w) for w in parameters]
    squares = [np.zeros_like(w) for w in parameters]
    steps = 0

    def update(gradients):
        nonlocal steps
        steps += 1
        for i, (w, g) in enumerate(zip(parameters, gradients, strict=True)):
            means[i] = case.beta1 * means[i] + (1 - case.beta1) * g
            squares[i] = case.beta2 * squares[i] + (1 - case.beta2) * g**2
            mean = means[i] / (1 - case.beta1**steps)
            square = squares[i] / (1 - case.beta2**steps)
            w += -case.rate * mean / (np.sqrt(square) + case.eps)

    return update


OPTIMIZERS = {"sgd": sgd, "adam": adam}
