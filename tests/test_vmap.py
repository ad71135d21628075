"""A mapped function against the loop over its samples: every operation, every way."""

import random
from pathlib import Path

import numpy as np
import pytest
from battery import described_calls
from mapped import MAPPED, check, is_looped

import tensorgrad as tg
from tensorgrad.transforms import batching

COVERAGE = Path(__file__).parents[1].joinpath("docs", "coverage.md").read_text("utf-8")
LOOPED = COVERAGE.partition("in turn:")[2].partition("\n\n")[0]


@pytest.mark.parametrize("name", MAPPED)
def test_every_operation_maps_as_the_loop(name):
    assert is_looped(name) == (f"`{name}`" in LOOPED)


@pytest.mark.filterwarnings("ignore::tensorgrad.PerformanceWarning")
def test_operations_whose_results_are_counted_are_refused():
    with pytest.raises(TypeError, match="different shapes"):
        tg.vmap(np.trim_zeros)(np.array([[0.0, 1.0], [1.0, 1.0]]))
    with pytest.raises(TypeError, match="reads a value in Python"):
        tg.vmap(np.polymul, (0, None))(np.ones((2, 3)), np.ones(2))


# In and out of other transforms. A loop over samples says what is right.

rng = np.random.default_rng(1)
W = rng.normal(size=(3, 4))
XS = rng.normal(size=(5, 3))
LABELS = np.array([0, 3, 1, 1, 2])


def loss(w, x, label):
    h = np.tanh(x @ w)
    return tg.softmax_cross_entropy(h[None], label[None]) + 0.1 * np.sum(w * w)


def looped(f, *axes):
    def loop(*args):
        n = next(len(a) for a, axis in zip(args, axes, strict=True) if axis == 0)
        rows = [
            f(
                *(
                    a if axis is None else a[i]
                    for a, axis in zip(args, axes, strict=True)
                )
            )
            for i in range(n)
        ]
        return np.stack(rows)

    return loop


def per_sample(w, xs, labels):
    return tg.vmap(tg.grad(loss), (None, 0, 0))(w, xs, labels)


def per_sample_loop(w, xs, labels):
    return looped(tg.grad(loss), None, 0, 0)(w, xs, labels)


def squared(g):
    return lambda w, *args: np.sum(g(w, *args) ** 2)


TRANSFORMS = {
    "itself": lambda g: g,
    "grad": lambda g: tg.grad(squared(g)),
    "grad of grad": lambda g: tg.grad(squared(tg.grad(squared(g)))),
    "jacobian": lambda g: tg.jacobian(g),
    "hessian": lambda g: tg.hessian(squared(g)),
    "vjp": lambda g: lambda *a: tg.vjp(lambda w: g(w, *a[1:]), a[0])[1](g(*a))[0],
    "jvp": lambda g: lambda *a: tg.jvp(lambda w: g(w, *a[1:]), a[:1], a[:1])[1],
    "checkpoint": lambda g: tg.grad(tg.checkpoint(squared(g))),
    "compile": lambda g: thrice(tg.compile(g, fused=False)),
    "compiled gradient": lambda g: thrice(tg.compile(tg.grad(squared(g)), fused=False)),
}


def thrice(step):
    def call(*args):
        step(*args), step(*args)
        return step(*args)

    return call


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_outside_are_all_transforms(transform):
    of = TRANSFORMS[transform]
    found = of(per_sample)(W, XS, LABELS)
    expected = of(per_sample_loop)(W, XS, LABELS)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


def test_kernels_compute_the_same():
    pytest.importorskip("llvmlite")
    found = thrice(tg.compile(per_sample, fused=True))(W, XS, LABELS)
    np.testing.assert_allclose(found, per_sample(W, XS, LABELS), rtol=1e-12)


INSIDE = {
    "grad": tg.grad(loss),
    "checkpoint": tg.grad(tg.checkpoint(loss)),
    "jacobian": tg.jacobian(lambda w, x, label: np.tanh(x @ w) * label),
    "hessian": tg.hessian(loss),
    "vjp": lambda w, x, label: tg.vjp(lambda x: np.tanh(x @ w), x)[1](w[0])[0],
    "jvp": lambda w, x, label: tg.jvp(lambda x: np.tanh(x @ w), (x,), (x,))[1],
    "compile": tg.compile(tg.grad(loss), fused=False),
    "vmap": lambda w, x, label: tg.vmap(lambda c: np.tanh(c @ x) * label, 1)(w),
}


@pytest.mark.parametrize("inside", INSIDE)
def test_inside_are_all_transforms(inside):
    f = INSIDE[inside]
    found = tg.vmap(f, (None, 0, 0))(W, XS, LABELS)
    expected = looped(f, None, 0, 0)(W, XS, LABELS)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


def test_a_pullback_through_a_map_is_mapped_again():
    def f(w):
        return tg.vmap(lambda x: np.tanh(x @ w))(XS)

    out, back = tg.vjp(f, W)
    seeds = rng.normal(size=(6, 2, *out.shape))
    found = tg.vmap(tg.vmap(lambda g: back(g)[0]))(seeds)
    expected = np.array([[back(g)[0] for g in row] for row in seeds])
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


def test_tensors_of_outside_get_the_sum_of_what_flows_back():
    w, scale = tg.Tensor(W, requires_grad=True), tg.Tensor(2.0, requires_grad=True)

    def f(x):
        factor = scale * scale  # shared, and needed by each sample
        return np.sum(np.tanh(x @ w)) * factor + scale

    tg.vmap(f)(XS).sum().backward()
    found = w.grad.numpy(), scale.grad.numpy()
    w.grad = scale.grad = None
    sum(f(x) for x in XS).backward()
    np.testing.assert_allclose(found[0], w.grad.numpy(), rtol=1e-12)
    np.testing.assert_allclose(found[1], scale.grad.numpy(), rtol=1e-12)


def test_what_is_checkpointed_within_is_computed_again_later():
    def f(w):
        return np.sum(tg.vmap(tg.checkpoint(lambda x: np.tanh(x @ w) * w[0]))(XS) ** 2)

    def g(w):
        return np.sum(tg.vmap(lambda x: np.tanh(x @ w) * w[0])(XS) ** 2)

    np.testing.assert_allclose(tg.grad(f)(W), tg.grad(g)(W), rtol=1e-12)


def test_a_backward_pass_within():
    w = tg.Tensor(W, requires_grad=True)

    def f(x):
        leaf = tg.Tensor(w.numpy(), requires_grad=True)
        np.sum(np.tanh(x @ leaf)).backward()
        np.sum(x @ w).backward()
        return leaf.grad

    found = tg.vmap(f)(XS)
    gradient = w.grad.numpy().copy()
    w.grad = None
    np.testing.assert_allclose(found, looped(lambda x: f(x).numpy(), 0)(XS))
    np.testing.assert_allclose(gradient, w.grad.numpy())


def test_nests_axes_and_kinds():
    tree = {"a": XS, "b": (XS.T, 2.0)}

    def f(tree, shared):
        a, (b, c) = tree["a"], tree["b"]
        return {"sum": a + b * c + shared, "pair": [np.sum(a), shared]}

    found = tg.vmap(f, ({"a": 0, "b": (1, None)}, None), {"sum": 1, "pair": [0, None]})(
        tree, 3.0
    )
    np.testing.assert_array_equal(found["sum"], (3 * XS + 3).T)
    np.testing.assert_array_equal(found["pair"][0], [np.sum(x) for x in XS])
    assert found["pair"][1] == 3.0
    assert type(found["sum"]) is np.ndarray
    assert type(tg.vmap(np.sum)(tg.Tensor(XS))) is tg.Tensor


@pytest.mark.parametrize("chunk_size", [1, 2, 5, 7])
def test_chunks_bound_the_memory(chunk_size):
    found = tg.vmap(tg.grad(loss), (None, 0, 0), chunk_size=chunk_size)(W, XS, LABELS)
    np.testing.assert_allclose(found, per_sample_loop(W, XS, LABELS), rtol=1e-12)
    rows = tg.jacobian(np.tanh, chunk_size=chunk_size)(W[0])
    np.testing.assert_allclose(rows, np.diag(1 - np.tanh(W[0]) ** 2))


def test_a_jacobian_is_the_same_by_rows_and_by_columns():
    def f(c):
        return np.tanh(np.sin(c[0] * XS) + c[1] * XS**2)

    c, scale = np.array([0.3, -1.2]), tg.Tensor(2.0, requires_grad=True)
    tall = tg.jacobian(f)(c)
    rows = [tg.jacobian(lambda c, i=i: f(c)[i[0], i[1]])(c) for i in np.ndindex(5, 3)]
    np.testing.assert_allclose(tall, np.reshape(rows, (5, 3, 2)), rtol=1e-12)
    second = tg.jacobian(tg.jacobian(f))(c)
    np.testing.assert_allclose(second, np.swapaxes(second, -1, -2), rtol=1e-10)
    # What depends on a tensor outside stays in its graph.
    tg.jacobian(lambda c: f(c) * scale)(c).sum().backward()
    np.testing.assert_allclose(scale.grad.numpy(), tall.sum())


def test_a_rule_that_cannot_be_mapped_is_called_for_each_row():
    @tg.primitive
    def stretch(x):
        return 2 * x

    stretch.vjp(x=lambda g: 2 * g if np.any(g) else g)
    np.testing.assert_array_equal(tg.jacobian(stretch)(W[0]), 2 * np.eye(4))


def test_an_ensemble_is_trained_at_once():
    def steps(w):
        for _ in range(20):
            w = w - 0.1 * tg.grad(loss)(w, XS[0], LABELS[:1][0])
        return w

    starts = rng.normal(size=(4, *W.shape))
    np.testing.assert_allclose(tg.vmap(steps)(starts), np.stack([*map(steps, starts)]))


def test_random_numbers_are_drawn_as_said():
    def f(x):
        return tg.dropout(x, 0.5, rng=np.random.default_rng(0))

    def g(generator):
        return lambda x: tg.dropout(x, 0.5, rng=generator)

    x = np.ones((4, 100))
    with pytest.raises(TypeError, match="randomness='different'"):
        tg.vmap(f)(x)
    same = tg.vmap(g(np.random.default_rng(0)), randomness="same")(x)
    assert (same == same[0]).all()
    different = tg.vmap(g(np.random.default_rng(0)), randomness="different")(x)
    generator = np.random.default_rng(0)
    np.testing.assert_array_equal(different, np.stack([*map(g(generator), x)]))


def branch(x):
    return x if np.sum(x) > 0 else -x


def lookup(x):
    return np.arange(3)[np.argmax(x)]


def write(x):
    total = np.zeros(3)
    total += x.numpy()
    return total


def gather(x):
    return x[x > 0]


REFUSED = {
    branch: "by if, and, or",
    lookup: "index",
    write: r"\.data or \.numpy\(\)",
    gather: "different shapes",
    lambda x: np.sum(x).item(): "item",
    lambda x: [np.sum(x), float(np.sum(x))][1]: "float",
}


@pytest.mark.filterwarnings("ignore::tensorgrad.PerformanceWarning")
@pytest.mark.parametrize("f", REFUSED)
def test_what_depends_on_values_is_one_sentence_with_the_line(f):
    with pytest.raises(TypeError, match=REFUSED[f]) as error:
        tg.vmap(f)(XS)
    assert f"in {f.__name__}: the function" in str(error.value)
    assert "\n" not in str(error.value)


ARGUMENTS = [
    (lambda: tg.vmap(np.sum)(1.0), TypeError, "axis 0"),
    (lambda: tg.vmap(np.sum, 2)(XS), TypeError, "axis 2"),
    (lambda: tg.vmap(np.add)(XS, XS[:3]), ValueError, "one length"),
    (lambda: tg.vmap(np.sum, None)(XS), ValueError, "one length"),
    (lambda: tg.vmap(np.add, (0,))(XS, XS), ValueError, "in_axes"),
    (lambda: tg.vmap(np.sum, 0, None)(XS), TypeError, "out_axes"),
    (lambda: tg.vmap(np.sum, randomness="some"), ValueError, "randomness"),
]


@pytest.mark.parametrize(("call", "kind", "message"), ARGUMENTS)
def test_arguments_are_checked(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


def test_what_is_called_for_each_sample_is_warned_of():
    with pytest.warns(tg.PerformanceWarning, match="interp is called for each of 5"):
        tg.vmap(lambda x: np.interp(x, [0.0, 1.0], [0.0, 2.0]))(XS)


CUBES = rng.normal(size=(2, 2, 2, 2))
PICKS = np.array([0, 1])
ODDITIES = {
    "lists apart": lambda x: x[[0, 1], :, [1, 0]],
    "a number and a list": lambda x: x[0, :, [1, 0]],
    "a NumPy integer": lambda x: x[np.int64(1)],
    "a mask": lambda x: x[:, [True, False]],
    "where alone": lambda x: np.stack(np.where(x * x >= 0)),
    "a list of numbers": lambda x: np.multiply(np.sum(x), [1.0, 2.0]),
    "choices of one array": lambda x: np.choose(PICKS, x[0]),
    "lists of select": lambda x: np.select([x > 0, x < 0], [x, -x]),
    "apart from each other": lambda x: x[PICKS, :, np.argsort(x[0, 0])],
    "in the middle": lambda x: x[:, np.argsort(x[0, 0])],
    "behind all": lambda x: x[..., np.argsort(x[0, 0])],
    "a new axis": lambda x: x[None, np.argsort(x[0, 0]), 0],
}


@pytest.mark.filterwarnings("ignore::tensorgrad.PerformanceWarning")
@pytest.mark.parametrize("oddity", ODDITIES)
def test_as_many_samples_as_elements_confuse_nothing(oddity):
    f = ODDITIES[oddity]
    for xs in (CUBES, tg.Tensor(CUBES)):
        expected = np.stack([f(np.asarray(x)) for x in CUBES])
        np.testing.assert_allclose(np.asarray(tg.vmap(f)(xs)), expected)


@pytest.mark.filterwarnings("ignore::tensorgrad.PerformanceWarning")
def test_arrays_without_a_tensor_are_treated_alike():
    def raw(f):
        return lambda x: f(x._value)

    for oddity, f in ODDITIES.items():
        expected = np.stack([f(x) for x in CUBES])
        np.testing.assert_allclose(tg.vmap(raw(f))(CUBES), expected, err_msg=oddity)


@pytest.mark.filterwarnings("ignore::tensorgrad.PerformanceWarning")
def test_samples_are_not_taken_for_an_axis():
    cubes = rng.normal(size=(3, 3, 3))

    def cross(x):
        return np.cross(x._value[0], x._value, axisb=0)

    expected = np.stack([np.cross(x[0], x, axisb=0) for x in cubes])
    np.testing.assert_allclose(tg.vmap(cross)(cubes), expected)
    with pytest.raises((np.linalg.LinAlgError, ValueError)):
        tg.vmap(lambda x: np.linalg.inv(x._value))(np.eye(3))
    for product in (np.matmul, np.cross):
        with pytest.raises((ValueError, IndexError)):
            tg.vmap(lambda x, p=product: p(x._value, np.eye(3)))(np.ones(3))


def test_axes_belong_to_keys():
    tree = {"b": XS, "a": XS.T}
    found = tg.vmap(lambda t: t["a"] + t["b"], ({"a": 1, "b": 0},))(tree)
    np.testing.assert_array_equal(found, 2 * XS)


def test_a_wrong_rule_would_be_seen(monkeypatch):
    monkeypatch.setitem(batching.RULES, "flip", batching.RULES["copy"])
    call = next(iter(described_calls("flip")))
    with pytest.raises(AssertionError):
        check(call, [0])


def test_debug_finds_the_sample_that_is_not_finite():
    xs = np.array([[1.0, 2.0], [3.0, 0.0], [4.0, 5.0]])
    with tg.debug(), np.errstate(all="ignore"):
        np.testing.assert_array_equal(tg.vmap(tg.grad(np.sum))(xs), np.ones((3, 2)))
        with pytest.raises(
            tg.NonFiniteError, match=r"-inf at index \(1, 1\) .* 0\.0 there"
        ):
            tg.vmap(np.log)(xs)
        with pytest.raises(
            tg.NonFiniteError, match=r"b of shape \(3,\)[^,]*, 0.0 to 1.0;"
        ):
            tg.vmap(np.divide)(xs, np.array([1.0, 0.0, 1.0]))
        with pytest.raises(tg.NonFiniteError, match="the gradient of sqrt"):
            tg.vmap(tg.grad(lambda x: np.sqrt(x)))(xs[1])


def test_debug_sees_a_write_to_what_is_mapped():
    x = tg.Tensor(np.ones((3, 2)), requires_grad=True)
    with tg.debug():
        y = np.sum(tg.vmap(lambda x: np.sum(x * x))(x))
        x.numpy()[0] = 5.0
        with pytest.raises(tg.MutationError, match="multiply"):
            y.backward()


def test_what_is_mapped_is_watched_and_not_explained():
    x = tg.Tensor(np.ones((3, 2)), requires_grad=True)
    with tg.watching():
        y = np.sum(tg.vmap(np.exp)(x))
    with pytest.raises(tg.GraphError, match="explain the function of one sample"):
        tg.explain(y)
    y.backward()
    np.testing.assert_array_equal(x.grad.numpy(), np.exp(np.ones((3, 2))))


def draws_python(x):
    return x * random.random()


def draws_numpy(x):
    return x * np.random.random()


def draws_given(x):
    return x * GENERATOR.standard_normal()


GENERATOR = np.random.default_rng(0)


@pytest.fixture
def global_state():
    """Put NumPy's global state back."""
    state = np.random.get_state()
    yield
    np.random.set_state(state)


@pytest.mark.parametrize("f", [draws_python, draws_numpy, draws_given])
@pytest.mark.parametrize("randomness", [None, "different"])
def test_numbers_that_would_be_the_same_for_all_are_refused(
    f, randomness, global_state
):
    for g in (f, tg.grad(f)):
        with pytest.raises(TypeError, match="the same numbers for all samples; draw"):
            tg.vmap(g, randomness=randomness)(np.ones(3))
    y = tg.vmap(f, randomness="same")(np.ones(3))
    assert (y == y[0]).all()


def test_numbers_that_the_engine_draws_are_not_taken_for_those():
    rng = np.random.default_rng(0)

    def f(x):
        return tg.nn.functional.dropout(x, 0.5, rng=rng)

    y = tg.vmap(f, randomness="different")(np.ones((3, 20)))
    assert not (y == y[0]).all()


def test_what_is_drawn_once_is_the_same_in_all_chunks():
    drop = tg.nn.Dropout(0.5, rng=0)
    y = tg.vmap(drop, randomness="same", chunk_size=1)(np.ones((3, 8)))
    assert (y == y[0]).all()
    assert len(np.unique(y[0])) == 2
