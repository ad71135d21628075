"""Values, gradients and stated differences, against PyTorch where it is installed."""

import numpy as np
import pytest

import tensorgrad as tg

torch = pytest.importorskip("torch")


def theirs(function, *arrays):
    """Return PyTorch's gradients of the sum of a function."""
    xs = [torch.tensor(a, dtype=torch.float64, requires_grad=True) for a in arrays]
    return [g.numpy() for g in torch.autograd.grad(function(*xs).sum(), xs)]


def ours(function, *arrays):
    """Return our gradients of the sum of a function."""
    f = tg.grad(lambda *xs: np.sum(function(*xs)), tuple(range(len(arrays))))
    return f(*(np.array(a, dtype=np.float64) for a in arrays))


RNG = np.random.default_rng(0)
SQUARE = RNG.normal(size=(4, 4)) + 4 * np.eye(4)
TALL = RNG.normal(size=(5, 3))
SAME = {
    "softmax": (lambda x: tg.softmax(x) ** 2, lambda x: torch.softmax(x, -1) ** 2),
    "log_softmax": (tg.log_softmax, lambda x: torch.log_softmax(x, -1)),
    "gelu": (tg.gelu, torch.nn.functional.gelu),
    "silu": (tg.silu, torch.nn.functional.silu),
    "softplus": (tg.softplus, torch.nn.functional.softplus),
    "elu": (tg.elu, torch.nn.functional.elu),
    "erf": (tg.erf, torch.erf),
    "inv": (np.linalg.inv, torch.linalg.inv),
    "slogdet": (lambda a: np.linalg.slogdet(a)[1], lambda a: torch.slogdet(a)[1]),
    "svdvals": (np.linalg.svdvals, torch.linalg.svdvals),
    "pinv": (np.linalg.pinv, torch.linalg.pinv),
    "norm": (np.linalg.norm, torch.linalg.norm),
    "cumprod": (lambda x: np.cumprod(x, axis=0), lambda x: torch.cumprod(x, 0)),
    "logsumexp": (lambda x: tg.logsumexp(x, axis=1), lambda x: torch.logsumexp(x, 1)),
    "sort": (lambda x: np.sort(x) ** 2, lambda x: torch.sort(x)[0] ** 2),
    "prod": (lambda x: np.prod(x, axis=1), lambda x: torch.prod(x, 1)),
}


@pytest.mark.parametrize("name", sorted(SAME))
def test_same_gradient(name):
    mine, other = SAME[name]
    for a, b in zip(ours(mine, SQUARE), theirs(other, SQUARE), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_cross_entropy_and_training_agree():
    x = torch.tensor(TALL, requires_grad=True)
    labels = np.array([0, 2, 1, 1, 0])
    torch.nn.functional.cross_entropy(x, torch.tensor(labels)).backward()
    found = tg.grad(lambda z: tg.softmax_cross_entropy(z, labels))(TALL)
    np.testing.assert_allclose(found, x.grad.numpy(), rtol=1e-12)


STATED = [
    (np.max, lambda x: x.max(0)[0], [1.0, 2.0, 2.0], [0, 0.5, 0.5], [0, 1, 0]),
    (np.median, torch.median, [1.0, 2.0, 3.0, 4.0], [0, 0.5, 0.5, 0], [0, 1, 0, 0]),
    (
        np.linalg.det,
        torch.linalg.det,
        [[1.0, 2.0], [2.0, 4.0]],
        [[4, -2], [-2, 1]],
        [[0, 0], [0, 0]],
    ),
]


@pytest.mark.parametrize("case", STATED, ids=["max", "median", "det"])
@pytest.mark.filterwarnings("ignore")
def test_stated_difference(case):
    mine, other, x, here, there = case
    np.testing.assert_allclose(ours(mine, x)[0], here, atol=1e-12)
    np.testing.assert_allclose(theirs(other, x)[0], there, atol=1e-12)


def test_a_choice_has_no_gradient_of_what_it_leaves_out():
    x = [0.0, 1.0]
    mine = ours(lambda x: np.where(x > 0, np.sqrt(np.maximum(x, 0)), 0), x)[0]
    other = theirs(
        lambda x: torch.where(x > 0, torch.sqrt(torch.clamp(x, min=0)), 0.0), x
    )[0]
    np.testing.assert_allclose(mine, [0, 0.5], atol=1e-12)
    # PyTorch gave NaN up to 2.13, and gives 0 as of 2.14.
    np.testing.assert_allclose(np.nan_to_num(other), mine, atol=1e-12)


def test_triangle_read_is_where_the_gradient_lies():
    a = [[2.0, 0.5], [0.5, 1.0]]
    (mine,), (other,) = (
        ours(np.linalg.cholesky, a),
        theirs(torch.linalg.cholesky, a),
    )
    assert mine[0, 1] == 0
    np.testing.assert_allclose(other, other.T)
    np.testing.assert_allclose((mine + mine.T) / 2, other)
