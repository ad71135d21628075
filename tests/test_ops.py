"""Every described operation, against NumPy and against differences, to second order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import mutually_broadcastable_shapes
from numerical import as_tuple, central_difference, gradients, total, weighted_sum

import tensorgrad as tg
from tensorgrad.core.registry import POSITIVE, registry

ENTRIES = sorted(registry)
SMOOTH = [n for n in ENTRIES if registry[n].kind != "constant"]
BINARY = [n for n in SMOOTH if registry[n].elementwise and registry[n].arity == 2]
LAYOUTS = ("C", "F", "strided", "reversed", "read-only")


def lay_out(x, layout):
    """Return the same values in another memory layout."""
    if layout == "F":
        return np.asfortranarray(x) if x.ndim else x
    if layout == "strided" and x.ndim:
        wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), dtype=x.dtype)
        wide[..., ::2] = x
        return wide[..., ::2]
    if layout == "reversed" and x.ndim:
        return np.ascontiguousarray(x[::-1])[::-1]
    if layout == "read-only":
        x = x.copy()
        x.flags.writeable = False
    return x


class Call:
    """One drawn call: float arrays to differentiate in, everything else bound."""

    def __init__(self, entry, case_shapes, kwargs, rng, layout):
        self.entry, self.kwargs, self.layout = entry, kwargs, layout
        self.nested = [isinstance(s, list) for s in case_shapes]
        flat = [
            s for one in case_shapes for s in (one if isinstance(one, list) else [one])
        ]
        self.counts = [len(s) if isinstance(s, list) else 1 for s in case_shapes]
        values = [
            lay_out(entry.domain(i).sample(rng, s, (i + 1) / (len(flat) + 1)), layout)
            for i, s in enumerate(flat)
        ]
        self.values = values
        self.live = [i for i, v in enumerate(values) if v.dtype.kind == "f"]
        self.arrays = [values[i] for i in self.live]

    def __call__(self, *arrays, function=None):
        flat = list(self.values)
        for i, a in zip(self.live, arrays, strict=True):
            flat[i] = a
        args, at = [], 0
        for nested, n in zip(self.nested, self.counts, strict=True):
            args.append(flat[at : at + n] if nested else flat[at])
            at += n
        return (function or self.entry.function)(*args, **self.kwargs)

    def cotangents(self, rng):
        return [
            np.asarray(rng.normal(size=np.shape(y)))
            for y in as_tuple(self(*self.arrays))
        ]

    def __repr__(self):
        shapes = [v.shape for v in self.values]
        return f"{self.entry.name}{shapes} {self.kwargs} {self.layout}"


@st.composite
def calls(draw, name):
    entry = registry[name]
    if entry.elementwise:
        shapes = draw(
            mutually_broadcastable_shapes(
                num_shapes=entry.arity, max_dims=3, min_side=0, max_side=3
            )
        ).input_shapes
        kwargs = {}
    else:
        chosen = draw(st.sampled_from(entry.cases))
        shapes, kwargs = chosen.shapes, dict(chosen.kwargs)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return Call(entry, shapes, kwargs, rng, draw(st.sampled_from(LAYOUTS))), rng


def assert_close(found, expected, scale=1.0):
    for f, e in zip(found, expected, strict=True):
        f = np.zeros_like(e) if f is None else f.numpy()
        assert f.shape == e.shape
        np.testing.assert_allclose(f, e, rtol=1e-6, atol=1e-7 * scale)


def check_first_order(call, rng):
    v = call.cotangents(rng)
    _, found = gradients(call, call.arrays, v)
    expected = central_difference(lambda *a: total(call(*a), v), call.arrays)
    assert_close(
        found,
        expected,
        1 + max((np.abs(e).max() for e in expected if e.size), default=0),
    )


@pytest.mark.parametrize("name", ENTRIES)
@given(data=st.data())
def test_forward_equals_numpy(name, data):
    call, _ = data.draw(calls(name))
    expected = call(*call.arrays, function=call.entry.reference)
    found = call(*map(tg.Tensor, call.arrays))
    for f, e in zip(as_tuple(found), as_tuple(expected), strict=True):
        assert isinstance(f, tg.Tensor)
        assert f.dtype == np.asarray(e).dtype
        np.testing.assert_array_equal(f.numpy(), e)


@pytest.mark.parametrize("name", SMOOTH)
@given(data=st.data())
def test_gradient(name, data):
    check_first_order(*data.draw(calls(name)))


@pytest.mark.parametrize("name", SMOOTH)
@given(data=st.data())
def test_second_order(name, data):
    """The gradient, as a function of the inputs and of the cotangent."""
    call, rng = data.draw(calls(name))
    v = call.cotangents(rng)
    n = len(call.arrays)

    def gradient(*arrays):
        return gradients(call, arrays[:n], arrays[n:])[1]

    point = [*call.arrays, *v]
    u = [np.asarray(rng.normal(size=a.shape)) for a in call.arrays]
    xs = [tg.Tensor(a, requires_grad=True) for a in point]
    _, first = gradients(call, xs[:n], xs[n:], create_graph=True)
    for x in xs:
        x.grad = None
    weighted_sum(first, u).backward()

    expected = central_difference(
        lambda *a: total([g.numpy() for g in gradient(*a)], u), point
    )
    scale = 1 + max((np.abs(e).max() for e in expected if e.size), default=0)
    assert_close([x.grad for x in xs], expected, scale)


@pytest.mark.parametrize("name", SMOOTH)
@given(data=st.data())
def test_float32_stays_float32(name, data):
    call, rng = data.draw(calls(name))
    v = [a.astype(np.float32) for a in call.cotangents(rng)]
    arrays = [a.astype(np.float32) for a in call.arrays]
    xs = [tg.Tensor(a, requires_grad=True) for a in arrays]
    y = call(*xs)
    expected = as_tuple(call(*arrays, function=call.entry.reference))
    assert [t.dtype for t in as_tuple(y)] == [np.asarray(e).dtype for e in expected]
    weighted_sum(y, v).backward()
    assert all(x.grad.dtype == np.float32 for x in xs)


@pytest.mark.parametrize("name", BINARY)
@given(data=st.data())
def test_repeated_argument(name, data):
    entry = registry[name]
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    x = POSITIVE.sample(rng, data.draw(st.sampled_from([(), (3,), (2, 0), (2, 3)])))
    v = [np.asarray(rng.normal(size=x.shape))]
    _, found = gradients(lambda t: entry.function(t, t), [x], v)
    expected = central_difference(lambda a: total(entry.function(a, a), v), [x])
    assert_close(found, expected)


@pytest.mark.parametrize("name", SMOOTH)
@given(data=st.data())
def test_gradient_is_repeatable_and_leaves_inputs_alone(name, data):
    call, rng = data.draw(calls(name))
    v = call.cotangents(rng)
    before = [a.copy() for a in call.arrays]
    xs, first = gradients(call, call.arrays, v)
    _, second = gradients(call, call.arrays, v)
    for x, a, b, f, s in zip(xs, call.arrays, before, first, second, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(x.numpy(), b)
        np.testing.assert_array_equal(f.numpy(), s.numpy())
    owners = [*call.arrays, *v, *(x.numpy() for x in xs)]
    for i, f in enumerate(first):
        others = [*owners, *(o.numpy() for o in first[i + 1 :])]
        assert not any(np.shares_memory(f.numpy(), o) for o in others)


def test_a_planted_wrong_rule_is_caught():
    """The checks above can fail: each fault is seen by the same code."""
    entry = registry["divide"]
    right = entry.function.rules[1]
    wrong = {
        "sign": lambda g, y, b: g * y / b,
        "factor": lambda g, y, b: -2 * g * y / b,
        "stale": lambda g, y, b: -g / b,
    }
    rng = np.random.default_rng(0)
    call = Call(entry, [(2, 3), (3,)], {}, rng, "C")
    check_first_order(call, rng)
    for rule in wrong.values():
        try:
            entry.function.vjp(b=rule)
            with pytest.raises(AssertionError):
                check_first_order(call, rng)
        finally:
            entry.function.vjp(b=right[0])
    check_first_order(call, rng)


def test_every_rule_is_described():
    """An operation that no entry of the registry reaches fails the suite."""
    from tensorgrad import ops
    from tensorgrad.core.primitive import Primitive

    defined = {
        id(op): f"{module.__name__}.{name}"
        for module in (getattr(ops, m) for m in ops.__all__)
        for name, op in vars(module).items()
        if isinstance(op, Primitive)
    }
    reached = set()
    for name in SMOOTH:
        entry = registry[name]
        shapes = [c.shapes for c in entry.cases] or [[(2, 3)] * entry.arity]
        kwargs = [dict(c.kwargs) for c in entry.cases] or [{}]
        for s, k in zip(shapes, kwargs, strict=True):
            rng = np.random.default_rng(0)
            call = Call(entry, s, k, rng, "C")
            xs = [tg.Tensor(a, requires_grad=True) for a in call.arrays]
            for y in as_tuple(call(*xs)):
                reached |= ops_below(y.node)
            _, first = gradients(
                call, call.arrays, call.cotangents(rng), create_graph=True
            )
            for g in first:
                reached |= ops_below(g.node)
    missing = {name for key, name in defined.items() if key not in reached}
    assert not missing, f"no described operation reaches {missing}"


def ops_below(node):
    from tensorgrad.core.backward import interior

    return set() if node is None else {id(n.plan.op) for n in interior(node)}
