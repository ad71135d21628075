"""Products of stacks: gradients of operands that are broadcast, in few large products.

Of small integers every sum is exact, in whatever order: what is compared is equal.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensors import leaf

import tensorgrad as tg
from tensorgrad.ops.linalg import products


def whole(rng, *shape, dtype=np.float64):
    """Return an array of small integers."""
    return rng.integers(-3, 4, shape).astype(dtype)


def summed_to(x, shape):
    """Return x summed over the axes along which an array of a shape is broadcast."""
    x = x.sum(axis=tuple(range(x.ndim - len(shape))))
    thin = tuple(i for i, (n, m) in enumerate(zip(shape, x.shape)) if n != m)  # noqa: B905
    return x.sum(axis=thin, keepdims=True)


def expected(a, b, g):
    """Return the gradients of <g, a @ b>, by a stack of products and a sum."""
    wide_a, wide_b = np.atleast_2d(a), b[:, None] if b.ndim == 1 else b
    g = g.reshape((wide_a @ wide_b).shape)
    in_a = summed_to(g @ wide_b.mT, wide_a.shape).reshape(a.shape)
    return in_a, summed_to(wide_a.mT @ g, wide_b.shape).reshape(b.shape)


def check(a, b, rng):
    """Assert that both gradients of a product are those of `expected`."""
    x, y = leaf(a), leaf(b)
    z = x @ y
    np.testing.assert_array_equal(z.numpy(), a @ b)
    g = whole(rng, *z.shape, dtype=a.dtype)
    z.backward(g)
    for t, grad in zip((x, y), expected(a, b, g), strict=True):
        assert t.grad.dtype == a.dtype
        np.testing.assert_array_equal(t.grad.numpy(), grad)


STACKS = [
    ((200, 1, 8), (8, 8)),
    ((3, 4, 16, 8), (8, 8)),
    ((16, 32), (12, 32, 8)),
    ((1, 16, 32), (12, 32, 8)),
    ((6, 1, 16, 16), (4, 16, 8)),
    ((6, 1, 16, 16), (1, 4, 16, 8)),
    ((1, 4, 9, 3), (5, 1, 3, 9)),
    ((2, 1, 3, 8, 9), (4, 1, 9, 8)),
    ((20, 30, 9), (9,)),
    ((30, 9), (9,)),
    ((9,), (20, 9, 30)),
    ((12, 16, 16), (12, 16, 16)),
    ((100, 100), (2, 100, 100)),
]
JOINED = [((16, 32), (12, 32, 8)), ((6, 1, 16, 16), (4, 16, 8))]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize(("a", "b"), STACKS)
def test_stacks(a, b, dtype):
    rng = np.random.default_rng(0)
    check(
        whole(rng, *a, dtype=np.float32).astype(dtype), whole(rng, *b, dtype=dtype), rng
    )


@given(st.data())
def test_any_two_stacks(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    depth = data.draw(st.lists(st.integers(1, 4), max_size=3))
    n, k, m = (data.draw(st.sampled_from([1, 2, 7, 12, 20])) for _ in range(3))
    stacks = []
    for _ in range(2):
        thin = [1 if data.draw(st.booleans()) else size for size in depth]
        stacks.append(thin[data.draw(st.integers(0, len(thin))) :])
    a, b = whole(rng, *stacks[0], n, k), whole(rng, *stacks[1], k, m)
    if data.draw(st.booleans()):
        a = np.asfortranarray(a)
    check(a, b, rng)


@pytest.mark.parametrize(("a", "b"), JOINED)
def test_a_broadcast_operand_takes_one_product(a, b, monkeypatch):
    rng = np.random.default_rng(0)
    x, y = leaf(whole(rng, *a)), leaf(whole(rng, *b))
    z = x @ y
    # The plain way would sum over the stack afterwards.
    monkeypatch.setattr(tg.core.backward, "unbroadcast", None)
    z.backward(np.ones(z.shape))
    assert x.grad.shape == a
    assert y.grad.shape == b


def test_a_wrong_sum_would_be_seen(monkeypatch):
    rng = np.random.default_rng(0)
    a, b = (whole(rng, *shape) for shape in JOINED[0])
    check(a, b, rng)
    monkeypatch.setattr(products, "_joined", lambda x, y, s, shape: np.zeros(shape))
    with pytest.raises(AssertionError):
        check(a, b, rng)


@pytest.mark.parametrize(("a", "b"), JOINED)
def test_a_replay_has_the_bits_of_eager_mode(a, b):
    rng = np.random.default_rng(0)
    x, y = leaf(rng.normal(size=a)), leaf(rng.normal(size=b))
    g = rng.normal(size=(x @ y).shape)

    def step():
        x.grad = y.grad = None
        (x @ y).backward(g)
        return x.grad, y.grad

    eager, replayed = step(), tg.compile(step, fused=False)
    for _ in range(3):
        for p, q in zip(replayed(), eager, strict=True):
            np.testing.assert_array_equal(p, q)


@pytest.mark.parametrize(("a", "b"), JOINED)
def test_the_second_derivative(a, b):
    rng = np.random.default_rng(0)
    x, y = leaf(whole(rng, *a)), leaf(whole(rng, *b))
    g = leaf(whole(rng, *(x @ y).shape))
    ((x @ y) * g).sum().backward(create_graph=True)
    grad, x.grad, y.grad, g.grad = x.grad, None, None, None
    u = whole(rng, *a)
    (grad * u).sum().backward()
    # <u, dL/dx> = <u @ y, g>, bilinear in y and g.
    np.testing.assert_array_equal(g.grad.numpy(), u @ y.numpy())
    np.testing.assert_array_equal(y.grad.numpy(), expected(u, y.numpy(), g.numpy())[1])
    assert x.grad is None
