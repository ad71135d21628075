"""Einstein summation: every form NumPy takes, against the adjoint identity.

An einsum is linear in each operand, so <v, einsum(..., u, ...)> = <gradient, u> holds
to rounding for any u: no differences are needed.
"""

import itertools

import numpy as np
import pytest
from derivatives import gradients
from hypothesis import given
from hypothesis import strategies as st
from tensors import leaf

import tensorgrad as tg

SIZE = {"a": 2, "B": 3, "c": 1, "d": 3, "e": 0}


@st.composite
def einsums(draw, spread=True):
    """Draw subscripts and the arrays they take."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    pool = draw(st.sampled_from(["aBc", "aBd", "aBcd", "ae"]))
    spans = draw(st.lists(st.sampled_from([None, (), (2,), (3, 2)]), max_size=3))
    spans = [s if spread else None for s in spans] or [None]
    terms, arrays = [], []
    for span in spans:
        labels = draw(st.lists(st.sampled_from(pool), max_size=3))
        thin = [
            labels.count(c) == 1 and draw(st.integers(0, 4)) == 0 and SIZE[c] > 0
            for c in labels
        ]
        shape = [1 if t else SIZE[c] for c, t in zip(labels, thin, strict=True)]
        at = draw(st.integers(0, len(labels))) if span is not None else None
        if at is not None:
            dots = [1 if draw(st.integers(0, 4)) == 0 else n for n in span]
            shape[at:at] = dots
            labels = [*labels[:at], "...", *labels[at:]]
        terms.append("".join(labels))
        arrays.append(rng.normal(size=shape))
    subscripts = ",".join(terms)
    if draw(st.booleans()):
        found = sorted(set("".join(terms)) - {"."})
        some = draw(st.lists(st.sampled_from(found), unique=True)) if found else []
        dots = ["..."] if "..." in subscripts else []
        subscripts += "->" + "".join(draw(st.permutations([*dots, *some])))
    return subscripts, arrays, rng


def with_operand(arrays, i, u):
    return [u if j == i else a for j, a in enumerate(arrays)]


def check(subscripts, arrays, rng, function=np.einsum):
    """Compare the value, the gradients, and the gradients of these, with einsums."""
    y = np.einsum(subscripts, *arrays)
    v = np.asarray(rng.normal(size=np.shape(y)))
    found = function(subscripts, *map(tg.Tensor, arrays))
    assert isinstance(found, tg.Tensor)
    np.testing.assert_array_equal(found.numpy(), y)
    us = [np.asarray(rng.normal(size=a.shape)) for a in arrays]

    def pairing(i, u):
        return np.sum(v * np.einsum(subscripts, *with_operand(arrays, i, u)))

    _, first = gradients(lambda *t: function(subscripts, *t), arrays, [v])
    for i, (g, u) in enumerate(zip(first, us, strict=True)):
        assert g.shape == u.shape
        expected = pairing(i, u)
        assert np.sum(g.numpy() * u) == pytest.approx(expected, rel=1e-10, abs=1e-10)
    for i, u in enumerate(us):
        check_second_order(subscripts, arrays, v, i, u, function)


def check_second_order(subscripts, arrays, v, i, u, function):
    """<gradient i, u> is the einsum with u for operand i, so it has its gradients."""
    xs, w = [leaf(a) for a in arrays], leaf(v)
    y = function(subscripts, *xs)
    (w * y).sum().backward(create_graph=True)
    inner = (xs[i].grad * u).sum()
    for t in (*xs, w):
        t.grad = None
    inner.backward()
    others = [leaf(a) for a in arrays]
    z = function(subscripts, *with_operand(others, i, tg.Tensor(u)))
    if z.requires_grad:
        (v * z).sum().backward()
    expected = [*(t.grad for t in with_operand(others, i, tg.Tensor(0.0))), z.detach()]
    for t, e in zip((*xs, w), expected, strict=True):
        got = np.zeros(t.shape) if t.grad is None else t.grad.numpy()
        want = np.zeros(t.shape) if e is None else e.numpy()
        np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-10)


@given(einsums())
def test_random_subscripts(drawn):
    check(*drawn)


@given(einsums(), st.sampled_from([True, "greedy", "optimal"]))
def test_random_subscripts_with_a_path(drawn, optimize):
    subscripts, arrays, rng = drawn
    v = np.asarray(rng.normal(size=np.shape(np.einsum(subscripts, *arrays))))

    def run(**options):
        return gradients(lambda *t: np.einsum(subscripts, *t, **options), arrays, [v])[
            1
        ]

    for f, e in zip(run(optimize=optimize), run(), strict=True):
        np.testing.assert_allclose(f.numpy(), e.numpy(), rtol=1e-10, atol=1e-10)


@given(einsums())
def test_lists_of_labels_are_the_same_as_a_string(drawn):
    subscripts, arrays, rng = drawn
    # Letters in ASCII order, as NumPy sorts them where the output is implicit.
    number = {"B": 1, "a": 26, "c": 28, "d": 29, "e": 30}

    def spelled(term):
        parts = term.replace("...", ".")
        return [Ellipsis if c == "." else number[c] for c in parts]

    def function(_, *operands):
        inputs, arrow, output = subscripts.partition("->")
        pairs = zip(operands, map(spelled, inputs.split(",")), strict=True)
        flat = itertools.chain.from_iterable(pairs)
        return np.einsum(*flat, *([spelled(output)] if arrow else []))

    check(subscripts, arrays, rng, function)


def test_the_check_sees_a_wrong_gradient():
    from tensorgrad.ops.linalg.einsum import einsum_two

    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(2, 2)), rng.normal(size=(2, 2))]
    right = einsum_two.rules[0][0]
    check("ij,jk->ik", arrays, rng)
    try:
        einsum_two.vjp(a=lambda g, b: np.einsum("ik,kj->ij", g, b))
        with pytest.raises(AssertionError):
            check("ij,jk->ik", arrays, rng)
    finally:
        einsum_two.vjp(a=right)


def test_numbers():
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    y = np.einsum("ii,jk->k", x, x)
    np.testing.assert_array_equal(y.numpy(), [20.0, 30.0])
    y.sum().backward()
    # d/dx of trace(x) * sum(x): each element gets the trace, the diagonal the sum too.
    np.testing.assert_array_equal(x.grad.numpy(), [[15.0, 5.0], [5.0, 15.0]])


def test_a_diagonal_keeps_infinities_on_it():
    """The gradient is put onto the diagonal, not multiplied by an identity."""
    x = leaf(np.ones((2, 2)))
    np.einsum("ii->i", x).backward(np.array([np.inf, 1.0]))
    np.testing.assert_array_equal(x.grad.numpy(), [[np.inf, 0.0], [0.0, 1.0]])


def test_the_same_tensor_twice():
    x = leaf([1.0, 2.0, 3.0])
    np.einsum("i,i", x, x).backward()
    np.testing.assert_array_equal(x.grad.numpy(), [2.0, 4.0, 6.0])


def test_operands_that_are_arrays_lists_and_numbers_are_constants():
    x = leaf([1.0, 2.0])
    y = np.einsum("i,ij,,j->j", [3.0, 4.0], np.array([[1, 0], [0, 2]]), 0.5, x)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [1.5, 4.0])


def test_a_path_found_before_is_taken():
    a, b, c = (leaf(np.ones((2, 2))) for _ in range(3))
    path, description = np.einsum_path("ij,jk,kl->il", a, b, c)
    assert path[0] == "einsum_path"
    assert "Complete contraction" in description
    np.einsum("ij,jk,kl->il", a, b, c, optimize=path).sum().backward()
    np.testing.assert_array_equal(a.grad.numpy(), np.full((2, 2), 4.0))


def test_a_single_operand_is_not_kept():
    """Its gradient needs no value, so writing to it afterwards is no error."""
    x = leaf(np.ones((2, 3)))
    y = np.einsum("ij->j", x)
    with tg.no_grad():
        x[:] = 5.0
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), np.ones((2, 3)))


def test_large_products_go_to_matrix_multiplication():
    from tensorgrad.ops.linalg.einsum import _way_back

    small, large = [(8, 8), (8, 8)], [(40, 40), (40, 40)]
    assert not _way_back(0, "ij,jk->ik", tuple(small)).optimize
    assert _way_back(0, "ij,jk->ik", tuple(large)).optimize


@pytest.mark.parametrize(
    "keywords", [{"out": np.zeros(2)}, {"dtype": float}, {"order": "F"}]
)
def test_keywords_that_are_refused(keywords):
    with pytest.raises(TypeError, match=f"einsum: {next(iter(keywords))} cannot be"):
        np.einsum("ij->i", leaf(np.ones((2, 2))), **keywords)


def test_wrong_subscripts_raise_what_numpy_raises():
    with pytest.raises(ValueError, match="einstein sum"):
        np.einsum("ijk->i", leaf(np.ones((2, 2))))


def test_float32_stays():
    a = tg.Tensor(np.ones((2, 3), np.float32), requires_grad=True)
    y = np.einsum("ij,ij->i", a, np.ones((2, 3), np.float32))
    y.sum().backward()
    assert y.dtype == a.grad.dtype == np.float32


LARGE = [
    ("ij,jk->ik", (40, 30), (30, 20)),
    ("kij,nkj->nki", (5, 10, 10), (60, 5, 10)),
    ("bhqd,bhkd->bhqk", (3, 2, 16, 12), (3, 2, 20, 12)),
    ("ijk,lk->jil", (20, 10, 15), (10, 15)),
    ("...ij,kj->...ki", (3, 12, 18), (15, 18)),
    ("ijk,kjl->il", (15, 6, 8), (8, 6, 12)),
    ("ij,kj->k", (30, 40), (20, 40)),  # a label summed over alone
    ("ij,jk->ik", (40, 1), (30, 20)),  # one that is broadcast
    ("iij,jk->ik", (20, 20, 30), (30, 20)),  # a diagonal
]


@pytest.mark.parametrize(("subscripts", "a", "b"), LARGE)
def test_large_sums_are_numpys_within_rounding(subscripts, a, b):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=a), rng.normal(size=b)
    x, y = (tg.Tensor(v, requires_grad=True) for v in (a, b))
    z = np.einsum(subscripts, x, y)
    expected = np.einsum(subscripts, a, b)
    np.testing.assert_allclose(z.numpy(), expected, rtol=1e-12, atol=1e-12)
    g, u, v = (rng.normal(size=w.shape) for w in (expected, a, b))
    z.backward(g)
    # Bilinear: the derivative along u and v is known from values alone.
    for t, along in ((x, u), (y, v)):
        moved = (along, b) if t is x else (a, along)
        slope = np.sum(g * np.einsum(subscripts, *moved))
        assert np.sum(t.grad.numpy() * along) == pytest.approx(slope, rel=1e-10)


@pytest.mark.parametrize(("subscripts", "a", "b"), LARGE[:6])
def test_large_sums_are_matrix_products_there_and_back(subscripts, a, b, monkeypatch):
    x, y = (tg.Tensor(np.ones(s), requires_grad=True) for s in (a, b))
    loss = np.sum(np.einsum(subscripts, x, y))
    monkeypatch.setattr(np, "einsum", None)
    loss.backward()
    assert loss.item() == (x.grad.numpy() * x.numpy()).sum()


MANY = [
    ("bi,ij,bj->b", (60, 30), (30, 30), (60, 30)),
    ("ij,jk,kl,lm->im", (20, 30), (30, 8), (8, 25), (25, 10)),
    ("...i,ij,...j->...", (7, 9, 30), (30, 30), (9, 30)),
    ("bik,kl,bjl,b->bij", (8, 12, 10), (10, 10), (8, 9, 10), (8,)),
    ("ij,jk,kl->il", (30, 1), (40, 30), (30, 20)),  # a label that is broadcast
    ("iij,jk,kl->il", (20, 20, 30), (30, 20), (20, 8)),  # a diagonal
    ("ijk,ijk,ijk->", (40, 30, 30), (40, 30, 30), (40, 30, 30)),
]


@pytest.mark.parametrize("optimize", [False, True, "optimal"])
@pytest.mark.parametrize("case", MANY, ids=lambda case: case[0])
def test_large_sums_of_many_arrays_are_made_of_two_at_a_time(case, optimize):
    subscripts, *shapes = case
    rng = np.random.default_rng(0)
    # Of small integers every sum is exact, in whatever order.
    arrays = [rng.integers(-2, 3, shape).astype(float) for shape in shapes]
    xs = [leaf(x) for x in arrays]
    z = np.einsum(subscripts, *xs, optimize=optimize)
    np.testing.assert_array_equal(z.numpy(), np.einsum(subscripts, *arrays))
    g = rng.integers(-2, 3, z.shape).astype(float)
    z.backward(g)
    for i, x in enumerate(xs):
        along = rng.integers(-2, 3, x.shape).astype(float)
        moved = [*arrays[:i], along, *arrays[i + 1 :]]
        slope = np.sum(g * np.einsum(subscripts, *moved))
        assert np.sum(x.grad.numpy() * along) == slope


def test_a_chain_of_three_is_two_matrix_products(monkeypatch):
    xs = [tg.Tensor(np.ones((40, 40)), requires_grad=True) for _ in range(3)]
    monkeypatch.setattr(np, "einsum", None)
    np.sum(tg.einsum("ij,jk,kl->il", *xs)).backward()
    assert all((x.grad.numpy() == 1600).all() for x in xs)


def test_many_small_arrays_are_numpys_sum():
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(3, 3)) for _ in range(3)]
    z = np.einsum("ij,jk,kl->il", *map(leaf, arrays))
    np.testing.assert_array_equal(z.numpy(), np.einsum("ij,jk,kl->il", *arrays))


def test_arrays_of_several_dtypes_are_numpys_sum():
    arrays = [np.ones((40, 40), kind) for kind in ("f4", "f8", "f4")]
    z = np.einsum("ij,jk,kl->il", *map(leaf, arrays))
    assert z.dtype == np.float64
    assert (z.numpy() == 1600).all()
