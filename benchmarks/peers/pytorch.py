"""PyTorch, eager and compiled."""

import os

import torch
from torch.nn.functional import cross_entropy, softplus

if "OMP_NUM_THREADS" in os.environ:
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


def finish(value):
    """Return what a step returned as an array."""
    return value.detach().numpy()


def training(case, compiled=False):
    """Return a step; compiled are the loss with its gradient, and the update."""
    x, labels = map(torch.from_numpy, case.data())
    model = network(case)
    optimizer = OPTIMIZERS[case.optimizer](model.parameters(), case)

    def loss_of(x, labels):
        return cross_entropy(model(x), labels)

    loss_of = torch.compile(loss_of) if compiled else loss_of
    update = torch.compile(optimizer.step) if compiled else optimizer.step

    def step():
        optimizer.zero_grad()
        loss = loss_of(x, labels)
        loss.backward()
        update()
        return loss

    return step


def network(case):
    """Return the model of a case at its start."""
    layers = []
    for weight, bias in zip(case.start()[::2], case.start()[1::2], strict=True):
        layer = torch.nn.Linear(*weight.shape)
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(weight.T))
            layer.bias.copy_(torch.from_numpy(bias))
        layers += [layer, torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


OPTIMIZERS = {
    "sgd": lambda p, case: torch.optim.SGD(p, case.rate, momentum=case.momentum),
    "adam": lambda p, case: torch.optim.Adam(
        p, case.rate, betas=(case.beta1, case.beta2), eps=case.eps
    ),
}


def chain(case):
    """Return a step that builds a chain of scalars and differentiates it."""

    def step():
        x = y = torch.tensor(1.0, requires_grad=True)
        for _ in range(case.nodes):
            y = y + x
        y.backward(retain_graph=True)
        return y, x.grad

    return step


def softmax(case):
    """Return a step of the library's own loss."""
    logits, labels = map(torch.from_numpy, case.data())

    def step():
        x = logits.detach().requires_grad_()
        loss = cross_entropy(x, labels)
        loss.backward()
        return loss, x.grad

    return step


def each_gradient(case):
    """Return a step that takes the gradient of each sample."""
    parameters, x, labels = case.network()
    arguments = tuple(map(torch.from_numpy, [*parameters, x, labels]))

    def loss(w1, b1, w2, b2, x, label):
        logits = torch.relu(x @ w1 + b1) @ w2 + b2
        return cross_entropy(logits[None], label[None])

    one = torch.func.grad(loss, argnums=(0, 1, 2, 3))
    each = torch.func.vmap(one, in_dims=(None, None, None, None, 0, 0))
    return lambda: each(*arguments)


def jacobian(case):
    """Return a step that takes the Jacobian of two layers."""
    a, b, x = map(torch.from_numpy, case.matrices())
    derivative = torch.func.jacrev(lambda x: torch.tanh(b @ torch.tanh(a @ x)))
    return lambda: derivative(x)


def hessian(case):
    """Return a step that takes the Hessian of a logistic regression."""
    samples, w = map(torch.from_numpy, case.regression())

    def f(w):
        return softplus(samples @ w).sum()

    derivative = torch.func.hessian(f)
    return lambda: derivative(w)
