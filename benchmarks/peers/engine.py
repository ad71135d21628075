"""tensorgrad, eager and compiled."""

import numpy as np

import tensorgrad as tg


def finish(value):
    """Return what a step returned as an array."""
    return value.numpy() if isinstance(value, tg.Tensor) else np.asarray(value)


def training(case, compiled=None):
    """Return a step as the README writes it; compiled "numpy", "kernels" or "xla"."""
    x, labels = case.data()
    model = network(case)
    optimizer = OPTIMIZERS[case.optimizer](model.parameters(), case)

    def step():
        optimizer.zero_grad()
        loss = tg.softmax_cross_entropy(model(x), labels)
        loss.backward()
        optimizer.step()
        return loss

    return in_way(step, compiled)


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


def each_gradient(case, compiled=None, looped=False):
    """Return a step that takes the gradient of each sample."""
    parameters, x, labels = case.network()
    one = tg.grad(network_loss)

    def loop():
        found = [one(parameters, *sample) for sample in zip(x, labels, strict=True)]
        return tuple(map(np.stack, zip(*found, strict=True)))

    each = in_way(tg.vmap(one, in_axes=(None, 0, 0)), compiled)
    return loop if looped else lambda: tuple(each(parameters, x, labels))


def network_loss(parameters, x, label):
    """Return the loss of one sample."""
    w1, b1, w2, b2 = parameters
    logits = tg.relu(x @ w1 + b1) @ w2 + b2
    return tg.softmax_cross_entropy(logits[None], label[None])


def jacobian(case, compiled=None, looped=False):
    """Return a step that takes the Jacobian of two layers."""
    a, b, x = case.matrices()

    def f(x):
        return np.tanh(b @ np.tanh(a @ x))

    return rows(f, x) if looped else of_point(tg.jacobian(f), x, compiled)


def hessian(case, compiled=None, looped=False):
    """Return a step that takes the Hessian of a logistic regression."""
    samples, w = case.regression()

    def f(w):
        return np.sum(np.logaddexp(0, samples @ w))

    return rows(tg.grad(f), w) if looped else of_point(tg.hessian(f), w, compiled)


def rows(f, x):
    """Return a step that goes back through `f` for each row of its Jacobian."""

    def step():
        y, back = tg.vjp(f, x)
        return np.stack([back(unit)[0] for unit in np.eye(len(y), dtype=y.dtype)])

    return step


def of_point(derivative, x, compiled):
    """Return a step that computes a derivative at a point."""
    derivative = in_way(derivative, compiled)
    return lambda: derivative(x)


def program(case, compiled=None):
    """Return a step that takes value and gradient of a program."""
    objective, x = case.start(np)
    both = in_way(tg.value_and_grad(objective), compiled)
    return lambda: both(x)


def in_way(function, compiled):
    """Return a function as it is, or compiled."""
    if compiled == "xla":
        return tg.compile(function, target="xla")
    return tg.compile(function, fused=compiled == "kernels") if compiled else function
