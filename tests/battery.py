"""What every described operation must pass. The tests draw calls and run these checks;
the coverage page is made of the same checks on the described cases."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import mutually_broadcastable_shapes
from numerical import as_tuple, central_difference, gradients, total, weighted_sum

import tensorgrad as tg
from tensorgrad.core.registry import registry

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
    """One call of an operation: float arrays to differentiate in, the rest bound."""

    def __init__(self, entry, shapes, kwargs, seed=0, layout="C"):
        self.entry, self.kwargs, self.layout = entry, kwargs, layout
        self.rng = np.random.default_rng(seed)
        self.nested = [len(s) if isinstance(s, list) else None for s in shapes]
        flat = [s for one in shapes for s in (one if isinstance(one, list) else [one])]
        self.values = [
            lay_out(
                entry.domain(i).sample(self.rng, s, (i + 1) / (len(flat) + 1)), layout
            )
            for i, s in enumerate(flat)
        ]
        self.live = [i for i, v in enumerate(self.values) if v.dtype.kind == "f"]
        self.arrays = [self.values[i] for i in self.live]

    def __call__(self, *arrays, function=None):
        flat = list(self.values)
        for i, a in zip(self.live, arrays, strict=True):
            flat[i] = a
        values = iter(flat)
        args = [
            next(values) if n is None else [next(values) for _ in range(n)]
            for n in self.nested
        ]
        return (function or self.entry.function)(*args, **self.kwargs)

    def cotangents(self):
        """Return random weights for the outputs that a gradient flows through."""
        return [
            np.asarray(self.rng.normal(size=np.shape(y))) if is_real(y) else None
            for y in as_tuple(self(*self.arrays))
        ]

    def __repr__(self):
        shapes = [v.shape for v in self.values]
        return f"{self.entry.name}{shapes} {self.kwargs} {self.layout}"


def is_numpy(function):
    """Whether a reference is a function of NumPy's, which passes tensors on."""
    module = getattr(function, "__module__", None) or ""
    return isinstance(function, np.ufunc) or module.startswith("numpy")


def is_real(y):
    return np.asarray(y.numpy() if isinstance(y, tg.Tensor) else y).dtype.kind == "f"


@st.composite
def calls(draw, name):
    """Draw a call of the operation of that name."""
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
    seed = draw(st.integers(0, 2**32 - 1))
    return Call(entry, shapes, kwargs, seed, draw(st.sampled_from(LAYOUTS)))


def described_calls(name):
    """Return a call for each described case, or a few of an elementwise operation."""
    entry = registry[name]
    if entry.cases:
        return [Call(entry, c.shapes, dict(c.kwargs)) for c in entry.cases]
    shapes = [[(2, 3)] * entry.arity, [()] * entry.arity, [(0, 2)] * entry.arity]
    if entry.arity > 1:
        shapes.append([(2, 1), (3,), (1, 3)][: entry.arity])
    return [Call(entry, s, {}) for s in shapes]


def assert_close(found, expected):
    """Compare gradients; the noise of the differences grows with the largest entry."""
    scale = 1 + max((np.abs(e).max() for e in expected if e.size), default=0)
    for f, e in zip(found, expected, strict=True):
        f = np.zeros_like(e) if f is None else f.numpy()
        assert f.shape == e.shape
        np.testing.assert_allclose(f, e, rtol=1e-6, atol=1e-7 * scale)


def check_forward(call):
    """The operation gives what NumPy gives, as tensors of the same dtype."""
    xs = [tg.Tensor(a) for a in call.arrays]
    found = as_tuple(call(*xs))
    # On the tensors' own arrays: NumPy's last bit may depend on the memory layout.
    arrays = [x.numpy() for x in xs]
    expected = as_tuple(call(*arrays, function=call.entry.reference))
    assert len(found) == len(expected)
    for f, e in zip(found, expected, strict=True):
        assert isinstance(f, tg.Tensor)
        assert f.dtype == np.asarray(e).dtype
        np.testing.assert_array_equal(f.numpy(), e)


def check_protocol(call):
    """The NumPy function itself, called on tensors, gives the same."""
    if not is_numpy(call.entry.reference):
        return
    found = as_tuple(call(*map(tg.Tensor, call.arrays), function=call.entry.reference))
    expected = as_tuple(call(*map(tg.Tensor, call.arrays)))
    for f, e in zip(found, expected, strict=True):
        assert isinstance(f, tg.Tensor)
        np.testing.assert_array_equal(f.numpy(), e.numpy())


def check_gradient(call):
    """The gradient of a randomly weighted sum agrees with central differences."""
    v = call.cotangents()
    _, found = gradients(call, call.arrays, v)
    expected = central_difference(lambda *a: total(call(*a), v), call.arrays)
    assert_close(found, expected)


def check_second_order(call):
    """So does the gradient of the gradient, in the inputs and in the weights."""
    v = call.cotangents()
    n = len(call.arrays)
    weights = [w for w in v if w is not None]

    def gradient(*arrays, **options):
        given = iter(arrays[n:])
        v_ = [None if w is None else next(given) for w in v]
        return gradients(call, arrays[:n], v_, **options)[1]

    point = [*call.arrays, *weights]
    u = [np.asarray(call.rng.normal(size=a.shape)) for a in call.arrays]
    xs = [tg.Tensor(a, requires_grad=True) for a in point]
    first = gradient(*xs, create_graph=True)
    for x in xs:
        x.grad = None
    weighted_sum(first, u).backward()
    expected = central_difference(
        lambda *a: total([g.numpy() for g in gradient(*a)], u), point
    )
    assert_close([x.grad for x in xs], expected)


def check_adjoint(call):
    """<v, J u> = <J^T v, u>, without differences."""
    if not call.arrays:
        return
    outputs = []

    def real_outputs(*xs):
        return tuple(y for y in as_tuple(call(*xs)) if is_real(y))

    u = tuple(np.asarray(call.rng.normal(size=a.shape)) for a in call.arrays)
    outputs, pushed = tg.jvp(real_outputs, tuple(call.arrays), u)
    v = tuple(np.asarray(call.rng.normal(size=np.shape(y))) for y in outputs)
    pulled = tg.vjp(real_outputs, *call.arrays)[1](v)
    left = sum(np.sum(a * b) for a, b in zip(v, pushed, strict=True))
    right = sum(np.sum(a * b) for a, b in zip(pulled, u, strict=True))
    sizes = sum(np.sum(np.abs(a * b)) for a, b in zip(pulled, u, strict=True))
    assert abs(left - right) <= 1e-10 * (1 + sizes)


def check_float32(call):
    """float32 in gives what NumPy gives, and float32 gradients."""
    arrays = [a.astype(np.float32) for a in call.arrays]
    xs = [tg.Tensor(a, requires_grad=True) for a in arrays]
    y = as_tuple(call(*xs))
    expected = as_tuple(call(*arrays, function=call.entry.reference))
    assert [t.dtype for t in y] == [np.asarray(e).dtype for e in expected]
    v = [None if w is None else w.astype(np.float32) for w in call.cotangents()]
    weighted_sum(y, v).backward()
    assert all(x.grad is None or x.grad.dtype == np.float32 for x in xs)


def check_repeatable(call):
    """Twice gives the same bits; inputs stay as they were; nothing shares memory."""
    v = call.cotangents()
    before = [a.copy() for a in call.arrays]
    xs, first = gradients(call, call.arrays, v)
    _, second = gradients(call, call.arrays, v)
    for x, a, b, f, s in zip(xs, call.arrays, before, first, second, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(x.numpy(), b)
        if f is not None:
            np.testing.assert_array_equal(f.numpy(), s.numpy())
    found = [f.numpy() for f in first if f is not None]
    owners = [*call.arrays, *(w for w in v if w is not None), *(x.numpy() for x in xs)]
    for i, f in enumerate(found):
        assert not any(np.shares_memory(f, o) for o in [*owners, *found[i + 1 :]])


CHECKS = {
    "forward": check_forward,
    "through NumPy": check_protocol,
    "gradient": check_gradient,
    "second order": check_second_order,
    "adjoint": check_adjoint,
    "float32": check_float32,
    "repeatable": check_repeatable,
}
