"""Attention by blocks of queries beside that with all weights at once."""

import re
import tracemalloc

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.capture.kernels import compile as kernels
from tensorgrad.nn import functional
from tensorgrad.nn.functional.attention import attention, attention_weights
from tensorgrad.ops.networks import attention as blocks

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Take blocks of few queries, so that small arrays make several."""
    monkeypatch.setattr(blocks, "WHOLE", 64)
    monkeypatch.setattr(blocks, "BLOCK", 64)
    monkeypatch.setattr(blocks, "ROWS", 8)


def whole(q, k, v, mask=None, causal=False):
    masks = [] if mask is None else [mask]
    return np.matmul(attention_weights(q, k, masks, causal), v)


def by_blocks(q, k, v, mask=None, causal=False):
    return attention(q, k, v, [] if mask is None else [mask], causal)


BOTH = [whole, by_blocks]

MASKS = {
    "none": lambda lead, n, m: None,
    "booleans": lambda lead, n, m: RNG.random((n, m)) < 0.5,
    "nothing seen": lambda lead, n, m: np.zeros((n, m), bool),
    "numbers": lambda lead, n, m: RNG.standard_normal((n, m)),
    "of keys": lambda lead, n, m: RNG.random(m) < 0.5,
    "of queries": lambda lead, n, m: RNG.standard_normal((n, 1)),
    "for each": lambda lead, n, m: RNG.random((*lead, 1, m)) < 0.5,
    "more axes": lambda lead, n, m: RNG.random((2, *(1,) * len(lead), n, m)) < 0.7,
}
SHAPES = [((2, 3), 13, 13), ((2,), 9, 14), ((), 14, 9), ((3,), 16, 16), ((2,), 1, 70)]


def results(f, arrays, g, *options):
    """Return the output and the gradients of all arrays."""
    tensors = [tg.Tensor(x, requires_grad=True) for x in arrays]
    y = f(*tensors, *options)
    y.backward(np.broadcast_to(g, y.shape).astype(y.dtype))
    return [y.numpy(), *(x.grad.numpy() for x in tensors)]


def test_rows_at_once(monkeypatch):
    monkeypatch.undo()
    for scores, causal, rows in [
        ((12, 4, 64, 64), True, 64),
        ((64, 8, 128, 128), True, 128),
        ((8, 8, 192, 192), True, 64),
        ((1, 4, 1024, 1024), True, 128),
        ((2, 500, 4000), True, 63),
        ((1, 8, 2048, 2048), False, 2048),
        ((1, 8, 4096, 4096), False, 128),
        ((0, 300, 300), True, 300),
        ((300, 0), True, 300),
    ]:
        assert blocks.rows_at_once(scores, 4, causal) == rows


@pytest.mark.smoke
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("mask", MASKS)
def test_output_and_gradients(mask, causal, dtype):
    for lead, n, m in SHAPES:
        lengths = (n, 5), (m, 5), (m, 4)
        arrays = [RNG.standard_normal((*lead, *s)).astype(dtype) for s in lengths]
        g = RNG.standard_normal((*lead, n, 4))
        masked = MASKS[mask](lead, n, m)
        a, b = (results(f, arrays, g, masked, causal) for f in BOTH)
        for x, y in zip(a, b, strict=True):
            assert y.dtype == dtype
            np.testing.assert_allclose(y, x, atol=200 * np.finfo(dtype).eps)


def test_operands_that_are_broadcast():
    shapes = (4, 1, 9, 3), (3, 9, 3), (9, 2)
    arrays = [RNG.standard_normal(s) for s in shapes]
    a, b = (results(f, arrays, RNG.standard_normal((4, 3, 9, 2))) for f in BOTH)
    a, b = (results(f, arrays, np.cos(np.arange(2.0))) for f in BOTH)
    for x, y in zip(a, b, strict=True):
        np.testing.assert_allclose(y, x, atol=1e-13)


def test_scores_that_are_large():
    arrays = [RNG.standard_normal((9, 3)) * 1e3 for _ in range(3)]
    a, b = (results(f, arrays, np.cos(np.arange(3.0))) for f in BOTH)
    for x, y in zip(a, b, strict=True):
        np.testing.assert_allclose(y, x, rtol=1e-9, atol=1e-9)


ARRAYS = [RNG.standard_normal((2, 9, 3)) for _ in range(3)]
MASK = RNG.random((9, 9)) < 0.6


@pytest.mark.parametrize(("mask", "causal"), [(None, True), (MASK, False)])
def test_checked_to_second_order(mask, causal):
    tensors = [tg.Tensor(x, requires_grad=True) for x in ARRAYS]
    result = tg.gradcheck(
        lambda *a: np.sin(by_blocks(*a, mask, causal)), *tensors, order=2
    )
    assert result.ok


STACKS = [np.stack([x, 2 * x, x + 1]) for x in ARRAYS]
Q, K, V = ARRAYS


def shared(f):
    """Return the gradient in keys that all samples of a mapping share."""
    k = tg.Tensor(K, requires_grad=True)
    np.square(tg.vmap(lambda q, v: f(q, k, v))(STACKS[0], STACKS[2])).sum().backward()
    return k.grad


TRANSFORMS = {
    "jvp": lambda f: tg.jvp(f, (Q, K, V), (K, V, Q))[1],
    "jacobian": lambda f: tg.jacobian(f, 1)(Q, K, V),
    "hessian": lambda f: tg.hessian(lambda q: np.sum(np.sin(f(q, K, V))))(Q),
    "vmap": lambda f: tg.vmap(f)(*STACKS),
    "vmap of keys": lambda f: tg.vmap(lambda k: f(Q, k, V))(STACKS[1]),
    "vmap of grad": lambda f: tg.vmap(
        tg.grad(lambda q, k, v: np.sum(np.sin(f(q, k, v))), 1), (0, None, 0)
    )(STACKS[0], K, STACKS[2]),
    "vmap, keys shared": shared,
}


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize(("mask", "causal"), [(None, True), (MASK, False)])
def test_transforms(transform, mask, causal):
    a, b = (
        TRANSFORMS[transform](lambda q, k, v, f=f: f(q, k, v, mask, causal))
        for f in BOTH
    )
    np.testing.assert_allclose(np.asarray(b), np.asarray(a), atol=1e-10)


def test_a_mask_for_each_sample():
    masks = RNG.random((3, 9, 9)) < 0.6
    a, b = (tg.vmap(lambda m, f=f: f(Q, K, V, m))(masks) for f in BOTH)
    np.testing.assert_allclose(b, a, atol=1e-13)


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize(("mask", "causal"), [(None, True), (MASK, False)])
def test_compiled(fused, mask, causal):
    if fused and not kernels.installed():
        pytest.skip("needs llvmlite, of the extra 'fast'")

    def step(q):
        k.grad = v.grad = None
        y = by_blocks(np.sin(q), k, v, mask, causal)
        np.sum(np.square(y)).backward()
        return y.detach(), k.grad, v.grad

    k, v = (tg.Tensor(x, requires_grad=True) for x in (K, V))
    compiled = tg.compile(step, fused=fused)
    for scale in (1.0, 2.0, 3.0, 4.0):
        expected = [x.numpy() for x in step(Q * scale)]
        found = [x.numpy() for x in compiled(Q * scale)]
        for x, y in zip(expected, found, strict=True):
            if fused:
                np.testing.assert_allclose(y, x, atol=1e-13)
            else:
                np.testing.assert_array_equal(y, x)


@pytest.mark.parametrize("fused", [None, True], ids=["eager", "kernels"])
def test_memory_is_that_of_a_block(fused, monkeypatch):
    if fused and not kernels.installed():
        pytest.skip("needs llvmlite, of the extra 'fast'")
    n = 512
    monkeypatch.setattr(blocks, "ROWS", 64)
    arrays = [RNG.standard_normal((2, n, 16)).astype(np.float32) for _ in range(3)]
    q, k, v = (tg.Tensor(x, requires_grad=True) for x in arrays)

    def step(g):
        q.grad = k.grad = v.grad = None
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        y.backward(g * y)
        return y.detach(), q.grad, k.grad, v.grad

    run = step if fused is None else tg.compile(step, fused=fused)
    g = np.ones((2, n, 16), np.float32)
    run(g)
    tracemalloc.start()
    for _ in range(3):
        run(g)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    if fused:
        found = re.search(r"([0-9,]+) bytes; each result", str(run.plan))
        most = int(found[1].replace(",", ""))
    assert most < 2 * n * n * 3  # three quarters of all weights


def test_what_is_kept_may_not_be_written_to_and_the_output_may():
    for i in range(3):
        tensors = [tg.Tensor(x, requires_grad=True) * 1 for x in ARRAYS]
        y = by_blocks(*tensors)
        with tg.no_grad():
            tensors[i][...] = 1
        with pytest.raises(tg.MutationError, match="scaled_dot_product_attention"):
            y.sum().backward()
    q = tg.Tensor(Q, requires_grad=True)
    y = by_blocks(q * 1, K, V)
    with tg.no_grad():
        y[...] = 1
    y.sum().backward()


def test_a_mask_that_needs_a_gradient_gets_it():
    found = []
    for f in BOTH:
        mask = tg.Tensor(RNG.standard_normal((9, 9)) * 0, requires_grad=True)
        np.sum(np.sin(f(Q, K, V, mask))).backward()
        found.append(mask.grad.numpy())
    np.testing.assert_allclose(*found, atol=1e-14)


def test_explained_and_debugged():
    q = tg.Tensor(Q, requires_grad=True)
    with tg.debug():
        loss = np.sum(by_blocks(q, K, V))
        text = str(tg.explain(loss))
        loss.backward()
    assert "scaled_dot_product_attention" in text


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"is_causal": True},
        {"key_padding_mask": np.arange(9) >= np.array([[9], [5], [0]])},
        {"attn_mask": RNG.standard_normal((9, 9)), "is_causal": True},
        {
            "attn_mask": RNG.random((6, 9, 9)) < 0.3,
            "key_padding_mask": np.arange(9) >= np.array([[9], [5], [7]]),
        },
    ],
)
def test_heads_without_their_weights(options):
    layer = tg.nn.MultiheadAttention(6, 2, batch_first=True, rng=0, dtype=np.float64)
    x = RNG.standard_normal((3, 9, 6))
    y, weights = layer(x, x, x, need_weights=False, **options)
    assert weights is None
    np.testing.assert_allclose(
        y.numpy(), layer(x, x, x, **options)[0].numpy(), atol=1e-14
    )


@pytest.mark.parametrize("options", [{}, {"is_causal": True}, {"attn_mask": MASK}])
def test_as_pytorch(options):
    torch = pytest.importorskip("torch")
    theirs = [torch.tensor(x, requires_grad=True) for x in ARRAYS]
    given = {
        name: torch.tensor(x) if isinstance(x, np.ndarray) else x
        for name, x in options.items()
    }
    y = torch.nn.functional.scaled_dot_product_attention(*theirs, **given)
    y.backward(torch.cos(y.detach()))
    tensors = [tg.Tensor(x, requires_grad=True) for x in ARRAYS]
    z = functional.scaled_dot_product_attention(*tensors, **options)
    z.backward(np.cos(z.detach()))
    np.testing.assert_allclose(z.numpy(), y.detach().numpy(), atol=1e-13)
    for a, b in zip(tensors, theirs, strict=True):
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), atol=1e-13)
