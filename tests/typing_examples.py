"""Programs as a user writes them, with the types that a checker must find in them."""

from dataclasses import dataclass
from typing import Any, assert_type

import numpy as np

import tensorgrad as tg
from tensorgrad import Tensor

Array = np.ndarray[Any, Any]

rng = np.random.default_rng(0)
X = rng.normal(size=(4, 2))
labels = np.array([0, 1, 2, 0])
x = tg.Tensor(X, requires_grad=True)
w = tg.Tensor(rng.normal(size=(2, 3)), requires_grad=True)


def arithmetic() -> None:
    assert_type(x * x, Tensor)
    assert_type(2 * x - x / 3, Tensor)
    assert_type(x @ w, Tensor)
    assert_type(-(x**2), Tensor)
    assert_type(x > 0, Tensor)
    assert_type(x == x, Tensor)
    assert_type(divmod(x, 2.0), tuple[Tensor, Tensor])
    assert_type(x[0, 1:], Tensor)
    assert_type(list(x), list[Tensor])


def methods() -> None:
    assert_type(x.sum(), Tensor)
    assert_type(x.mean(axis=0, keepdims=True), Tensor)
    assert_type(x.reshape(2, -1).T, Tensor)
    assert_type(x.astype(np.float32).max(), Tensor)
    assert_type(x.argmax(axis=1), Tensor)
    assert_type(x.numpy(), Array)
    assert_type(x.sum().item(), float)
    assert_type(x.grad, Tensor | None)
    assert_type(x.shape, tuple[int, ...])


def operations() -> None:
    assert_type(tg.exp(x), Tensor)
    assert_type(tg.exp(X), Array)
    assert_type(tg.sin(x), Tensor)
    assert_type(tg.abs(x), Tensor)
    assert_type(tg.std(x, axis=0), Tensor)
    assert_type(tg.linalg.inv(x[:2]), Tensor)
    assert_type(tg.linalg.outer(x[0], x[1]), Tensor)
    assert_type(tg.argmax(x), Tensor)
    assert_type(tg.less(x, 0.0), Tensor)
    assert_type(tg.nonzero(x), tuple[Tensor, ...])
    assert_type(tg.allclose(x, x), bool)
    assert_type(tg.maximum(X, x), Tensor)
    assert_type(tg.relu(x), Tensor)
    assert_type(tg.sum(x, axis=0), Tensor)
    assert_type(tg.matmul(X, w), Tensor)
    assert_type(tg.where(X > 0, 0.0, x), Tensor)
    assert_type(tg.concatenate([x, x], axis=1), Tensor)
    assert_type(tg.softmax(x, axis=-1), Tensor)
    assert_type(tg.array([[x[0, 0], 1.0]]), Tensor)


def training() -> None:
    model = tg.nn.Sequential(tg.nn.Dense(2, 8), tg.nn.ReLU(), tg.nn.Dense(8, 3))
    optimizer = tg.optim.Adam(model.parameters(), lr=tg.optim.inverse_time(0.01, 1e-3))
    assert_type(tg.nn.Dense(2, 3)(X), Tensor)
    assert_type(model.parameters(), list[Tensor])

    @tg.compile
    def step(x: Array, y: Array) -> Tensor:
        loss = tg.softmax_cross_entropy(model(x), y)
        assert_type(loss, Tensor)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    assert_type(step(X, labels), Tensor)
    assert_type(step.plan, str)
    assert_type(optimizer.lr, float)


class Scaled(tg.nn.Module):
    """A module with two arguments."""

    def forward(self, x: Tensor, scale: float) -> tuple[Tensor, float]:
        """Return the input times a number, and the number."""
        return x * scale, scale


def modules() -> None:
    assert_type(Scaled()(x, 2.0), tuple[Tensor, float])


@dataclass
class Params:
    """A nest."""

    w: Array
    b: Array


def loss(w: Tensor, x: Array) -> Tensor:
    """Return one number."""
    return tg.sum(tg.matmul(x, w) ** 2)


def derivatives() -> None:
    assert_type(tg.grad(loss)(w, X), Tensor)
    assert_type(tg.grad(loss)(w.numpy(), x=X), Array)
    assert_type(tg.grad(tg.tanh)(0.5), float)
    params = Params(w.numpy(), np.zeros(3))
    affine = tg.grad(lambda p, x: ((x @ p.w + p.b) ** 2).sum())
    assert_type(affine(params, X), Params)
    assert_type(tg.value_and_grad(loss)(w, X), tuple[Tensor, Tensor])
    assert_type(tg.jacobian(tg.tanh)(X), Array)
    assert_type(tg.hessian(loss)(w, X), Tensor)
    assert_type(tg.checkpoint(loss)(w, X), Tensor)
    out, back = tg.vjp(lambda a, b: a * b, X, 2.0)
    products = tg.hvp(lambda a, b: (a**3 * b).sum(), (X, 2.0), (X, 1.0))
    assert_type(products[1], float)
    gradients = back(out)
    assert_type(gradients[1], float)


@tg.primitive
def cube(x: Array) -> Array:
    """Return the third power."""
    return x**3


cube.vjp(x=lambda g, x: g * 3 * x**2)


def primitives() -> None:
    assert_type(cube(x), Tensor)
    assert_type(cube(X), Array)
    assert_type(tg.grad(cube)(0.5), float)


def checks() -> None:
    result = tg.gradcheck(lambda t: (t * cube(t)).sum(), X)
    assert_type(result, tg.testing.Result)
    assert_type(result.verdict == "agrees", bool)


EXAMPLES = [
    arithmetic,
    methods,
    operations,
    training,
    modules,
    derivatives,
    primitives,
    checks,
]
