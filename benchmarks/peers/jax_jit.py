"""JAX: the whole step under one jit, with its arguments donated."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np


def finish(value):
    """Return what a step returned as an array, waiting for it."""
    return np.asarray(value)


def cross_entropy(logits, labels):
    """Return the mean negative log of the probability of the labels."""
    chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], 1)
    return -jnp.mean(chosen)


def loss_of(parameters, x, labels):
    """Return the loss of dense layers with ReLU between them."""
    *hidden, (weight, bias) = zip(parameters[::2], parameters[1::2], strict=True)
    for w, b in hidden:
        x = jax.nn.relu(x @ w + b)
    return cross_entropy(x @ weight + bias, labels)


def training(case):
    """Return a step."""
    x, labels = map(jnp.asarray, case.data())
    parameters = [jnp.asarray(p) for p in case.start()]
    start, update = OPTIMIZERS[case.optimizer]
    state = start(parameters)

    @partial(jax.jit, donate_argnums=(0, 1))
    def advance(parameters, state, x, labels):
        loss, gradients = jax.value_and_grad(loss_of)(parameters, x, labels)
        return loss, *update(case, parameters, gradients, state)

    def step():
        nonlocal parameters, state
        loss, parameters, state = advance(parameters, state, x, labels)
        return loss

    return step


def zeros(parameters):
    """Return state of zeros."""
    return [jnp.zeros_like(p) for p in parameters]


def sgd(case, parameters, gradients, velocities):
    """Return parameters and velocities after a step."""
    pairs = zip(velocities, gradients, strict=True)
    velocities = [case.momentum * v - case.rate * g for v, g in pairs]
    moved = [w + v for w, v in zip(parameters, velocities, strict=True)]
    return moved, velocities


def adam(case, parameters, gradients, state):
    """Return parameters and state after a step."""
    means, squares, t = state
    t = t + 1
    pairs = list(zip(means, squares, gradients, strict=True))
    means = [case.beta1 * m + (1 - case.beta1) * g for m, _, g in pairs]
    squares = [case.beta2 * c + (1 - case.beta2) * g * g for _, c, g in pairs]

    def moved(w, m, c):
        root = jnp.sqrt(c / (1 - case.beta2**t))
        return w - case.rate * (m / (1 - case.beta1**t)) / (root + case.eps)

    return list(map(moved, parameters, means, squares)), (means, squares, t)


OPTIMIZERS = {
    "sgd": (zeros, sgd),
    "adam": (lambda p: (zeros(p), zeros(p), jnp.float32(0)), adam),
}


def softmax(case):
    """Return a step of loss and gradient under one jit."""
    logits, labels = map(jnp.asarray, case.data())
    both = jax.jit(jax.value_and_grad(cross_entropy))
    return lambda: both(logits, labels)


def each_gradient(case):
    """Return a step that takes the gradient of each sample, under one jit."""
    parameters, x, labels = jax.tree.map(jnp.asarray, case.network())

    def loss(parameters, x, label):
        return loss_of(parameters, x[None], label[None])

    each = jax.jit(jax.vmap(jax.grad(loss), in_axes=(None, 0, 0)))
    return lambda: tuple(each(parameters, x, labels))


def jacobian(case):
    """Return a step that takes the Jacobian of two layers under one jit."""
    a, b, x = map(jnp.asarray, case.matrices())
    derivative = jax.jit(
        jax.jacrev(lambda a, b, x: jnp.tanh(b @ jnp.tanh(a @ x)), argnums=2)
    )
    return lambda: derivative(a, b, x)


def hessian(case):
    """Return a step that takes the Hessian of a logistic regression under one jit."""
    samples, w = map(jnp.asarray, case.regression())

    def f(w, samples):
        return jnp.sum(jnp.logaddexp(0, samples @ w))

    derivative = jax.jit(jax.hessian(f))
    return lambda: derivative(w, samples)


def program(case):
    """Return a step that takes value and gradient of a program, and waits for them."""
    jax.config.update("jax_enable_x64", True)
    objective, x = case.start(jnp)
    both = jax.jit(jax.value_and_grad(objective))
    return lambda: jax.block_until_ready(both(x))
