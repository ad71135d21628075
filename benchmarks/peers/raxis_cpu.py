"""Raxis, PyTorch's core written anew."""

import os

import raxis
from raxis.nn.functional import cross_entropy

if "OMP_NUM_THREADS" in os.environ:
    raxis.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


def finish(value):
    """Return what a step returned as an array."""
    return value.detach().numpy()


def training(case):
    """Return a step."""
    x, labels = map(raxis.from_numpy, case.data())
    model = network(case)
    optimizer = OPTIMIZERS[case.optimizer](model.parameters(), case)

    def step():
        optimizer.zero_grad()
        loss = cross_entropy(model(x), labels)
        loss.backward()
        optimizer.step()
        return loss

    return step


def network(case):
    """Return the model of a case at its start."""
    layers = []
    for weight, bias in zip(case.start()[::2], case.start()[1::2], strict=True):
        layer = raxis.nn.Linear(*weight.shape)
        with raxis.no_grad():
            layer.weight.copy_(raxis.from_numpy(weight.T.copy()))
            layer.bias.copy_(raxis.from_numpy(bias))
        layers += [layer, raxis.nn.ReLU()]
    return raxis.nn.Sequential(*layers[:-1])


OPTIMIZERS = {
    "sgd": lambda p, case: raxis.optim.SGD(p, case.rate, momentum=case.momentum),
    "adam": lambda p, case: raxis.optim.Adam(
        p, case.rate, betas=(case.beta1, case.beta2), eps=case.eps
    ),
}


def chain(case):
    """Return a step that builds a chain of scalars and differentiates it."""

    def step():
        x = y = raxis.tensor(1.0, requires_grad=True)
        for _ in range(case.nodes):
            y = y + x
        y.backward(retain_graph=True)
        return y, x.grad

    return step


def softmax(case):
    """Return a step of the library's own loss."""
    logits, labels = map(raxis.from_numpy, case.data())

    def step():
        x = logits.detach().requires_grad_()
        loss = cross_entropy(x, labels)
        loss.backward()
        return loss, x.grad

    return step
