"""tensorgrad, eager and compiled."""

import numpy as np

import tensorgrad as tg


def finish(value):
    """Return what a step returned as an array."""
    return value.numpy() if isinstance(value, tg.Tensor) else np.asarray(value)


def training(case, compiled=None):
    """Return a step as the README writes it; compiled "numpy" or "numba"."""
    x, labels = case.data()
    model = network(case)
    optimizer = OPTIMIZERS[case.optimizer](model.parameters(), case)

    def step():
        loss = tg.softmax_cross_entropy(model(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return tg.compile(step, fused=compiled == "numba") if compiled else step


def network(case):
    """Return the model of a case at its start."""
    layers = []
    for weight, bias in zip(case.start()[::2], case.start()[1::2], strict=True):
        layer = tg.nn.Dense(*weight.shape)
        layer.weight.data[...], layer.bias.data[...] = weight, bias
        layers += [layer, tg.nn.ReLU()]
    return tg.nn.Sequential(*layers[:-1])


OPTIMIZERS = {
    "sgd": lambda p, case: tg.optim.SGD(p, case.rate, momentum=case.momentum),
    "adam": lambda p, case: tg.optim.Adam(
        p, case.rate, beta1=case.beta1, beta2=case.beta2, eps=case.eps
    ),
}


def chain(case):
    """Return a step that builds a chain of scalars and differentiates it."""

    def step():
        x = y = tg.Tensor(1.0, requires_grad=True)
        for _ in range(case.nodes):
            y = y + x
        y.backward(retain_graph=True)
        return y, x.grad

    return step


def softmax(case):
    """Return a step of the fused loss."""
    logits, labels = case.data()

    def step():
        x = tg.Tensor(logits, requires_grad=True)
        loss = tg.softmax_cross_entropy(x, labels)
        loss.backward()
        return loss, x.grad

    return step
