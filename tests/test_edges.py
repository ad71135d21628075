"""Edge values: borders of domains, zeros, infinities, huge counts, to second order."""

import math

import numpy as np
import pytest
from battery import SMOOTH, described_calls
from derivatives import derivatives, hessian_of, slopes
from hypothesis import settings
from tensors import as_tuple, leaf

import tensorgrad as tg
from tensorgrad.ops.support.registry import registry

INF, NAN = math.inf, math.nan
EXAMPLES = settings().max_examples
EPS = np.finfo(float).eps

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


# Nothing flows to what the value does not depend on: any operation inside any function
# with a pole, against NumPy's values nearby.

OUTER = {
    "x": lambda y: y,
    "sqrt": np.sqrt,
    "log": np.log,
    "reciprocal": np.reciprocal,
    "power 0.5": lambda y: y**0.5,
    "power -2": lambda y: y**-2.0,
    "cbrt": np.cbrt,
    "arcsin": np.arcsin,
    "arccos": np.arccos,
    "arccosh": np.arccosh,
    "arctanh": np.arctanh,
    "log1p": np.log1p,
    "log2": np.log2,
    "tan": np.tan,
    "hypot": lambda y: np.hypot(y, 0.0),
    "fmax": lambda y: np.fmax(y, -5.0),
    "where": lambda y: np.where(y > 0, y, 5.0),
    "power 0": lambda y: y**0,
}
SELECTING = {"fmax", "where", "power 0"}
"""Those that have a value where they are given NaN."""

POINTS = np.array([0.0, -0.0, 1.0, -1.0, 0.5, 2.0, -2.0, 3.0, -30.0, 1e3, NAN])

SUMS = {
    *("convolve", "correlate", "cross", "dense", "dot", "einsum", "inner", "matmul"),
    *("matrix_power", "matvec", "multi_dot", "poly", "polymul", "tensordot", "vander"),
    *("vecmat", "log_softmax", "softmax", "corrcoef", "cov", "polyfit"),
    *("cholesky", "cond", "det", "eigh", "eigvalsh", "inv", "lstsq", "matrix_norm"),
    *("norm", "pinv", "qr", "slogdet", "solve", "svd", "svdvals", "tensorinv"),
    "tensorsolve",
}
"""Sums of products: an infinite gradient in one term and 0 in another is NaN."""

SHARES = {"softmax_cross_entropy"}
"""The rule is that of the softmax: a row with NaN has no shares, not even of 0."""

BY_ORDER = {
    *("median", "nanmedian", "percentile", "nanpercentile", "quantile", "nanquantile"),
    *("interp", "partition", "sort", "trim_zeros", "unwrap"),
}
"""Ties have a kink that no difference along one axis shows, or points need an order."""

STEPS = (1e-3, 1e-4, 1e-5)


class Composition:
    """One output of a function of an operation, at edge values."""

    def __init__(self, call, outer, rng):
        share = rng.choice([0.3, 0.6, 1.0])
        self.call, self.outer = call, OUTER[outer]
        self.selecting = outer in SELECTING
        self.arrays = [
            np.where(rng.random(a.shape) < share, rng.choice(POINTS, a.shape), a)
            if a.dtype.kind == "f"
            else a
            for a in call.arrays
        ]
        ys = as_tuple(self.plainly(self.arrays))
        places = [(o, k) for o, y in enumerate(ys) for k in range(np.size(y))]
        self.place = places[rng.integers(len(places))] if places else None

    def plainly(self, arrays):
        return self.call(*arrays, function=self.call.entry.reference)

    def value(self, arrays):
        o, k = self.place
        try:
            y = np.asarray(as_tuple(self.plainly(arrays))[o])
        except (ValueError, np.linalg.LinAlgError):
            return NAN
        inner = float(y.reshape(-1)[k])
        # An infinite value on the way has no slope to speak of.
        told = np.isfinite(inner) or (np.isnan(inner) and self.selecting)
        return float(self.outer(np.asarray(inner))) if told else NAN

    def moved(self, j, i, h):
        arrays = [a.copy() for a in self.arrays]
        arrays[j].reshape(-1)[i] += h
        return self.value(arrays)

    def derivatives(self, xs):
        """Return the gradients, recorded."""
        o, k = self.place
        y = as_tuple(self.call(*xs))[o]
        if y.requires_grad:
            self.outer(y).reshape(-1)[k].backward(create_graph=True)
        found = [x.grad for x in xs]
        for x in xs:
            x.grad = None
        return found

    def failures(self, order=2):
        """Return the entries in which the gradient is not what NumPy's values say."""
        here = self.value(self.arrays) if self.place else NAN
        if not np.isfinite(here):
            return []
        xs = [tg.Tensor(a, requires_grad=a.dtype.kind == "f") for a in self.arrays]
        wrong = []
        for j, (x, gradient) in enumerate(zip(xs, self.derivatives(xs), strict=True)):
            for i in range(x.size if x.requires_grad else 0):
                g = 0.0 if gradient is None else gradient.reshape(-1)[i].item()
                if not self.agrees(j, i, here, g):
                    wrong.append((j, i, g))
                elif order == 2 and self.is_flat(j, i, here) and gradient is not None:
                    second = self.second(xs, x, gradient, i)
                    if not abs(second) < 1e-6:
                        wrong.append((j, i, g, second))
        return wrong

    def second(self, xs, x, gradient, i):
        if not gradient.requires_grad:
            return 0.0
        for other in xs:
            other.grad = None
        gradient.reshape(-1)[i].backward(retain_graph=True)
        found = x.grad
        return 0.0 if found is None else found.reshape(-1)[i].item()

    def is_flat(self, j, i, here):
        return all(here == self.moved(j, i, h) for s in STEPS for h in (s, -s))

    def agrees(self, j, i, here, g):
        size = max(1.0, abs(float(self.arrays[j].reshape(-1)[i])))
        if self.is_flat(j, i, here):
            return abs(g) * STEPS[0] <= 8 * EPS * max(1.0, abs(here))
        right = np.array([(self.moved(j, i, s * size) - here) for s in STEPS])
        left = np.array([(here - self.moved(j, i, -s * size)) for s in STEPS])
        right, left = right / STEPS / size, left / STEPS / size
        middle = (right + left) / 2
        scale = abs(middle[1]) + 1e-3 * abs(here) + 1e-6
        settled = np.ptp(middle) < 1e-3 * scale and abs(right - left)[2] < 1e-3 * scale
        # Beside a pole, a kink or a jump differences say nothing.
        return not settled or abs(g - middle[1]) <= 1e-2 * scale


def compositions(name, count, seed=0):
    rng = np.random.default_rng([seed, *name.encode()])
    poles = [o for o in OUTER if o not in SELECTING or name not in SHARES]
    calls = [c for c in described_calls(name) if sum(a.size for a in c.arrays) <= 12]
    for _ in range(count if calls else 0):
        outer = rng.choice(poles)
        call = calls[rng.integers(len(calls))]
        try:
            yield outer, Composition(call, outer, rng)
        except (ValueError, np.linalg.LinAlgError, ZeroDivisionError):
            continue


@pytest.mark.parametrize(
    "name", [n for n in SMOOTH if n not in BY_ORDER and n not in SUMS]
)
def test_what_the_value_does_not_depend_on_has_the_gradient_zero(name):
    for outer, composition in compositions(name, EXAMPLES // 5):
        with np.errstate(all="ignore"):
            wrong = composition.failures()
        assert not wrong, (outer, composition.arrays, composition.place, wrong)


def test_a_planted_product_with_the_mask_is_caught():
    relu = registry["relu"].function
    right = relu.rules[0][0]
    try:
        relu.vjp(x=lambda g, y: g * (y > 0))
        with np.errstate(all="ignore"):
            assert any(c.failures() for _, c in compositions("relu", 40))
    finally:
        relu.vjp(x=right)


@pytest.mark.parametrize("inner", ["relu", "clip", "maximum", "where", "max", "sort"])
@pytest.mark.parametrize("outer", OUTER)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_masks_keep_poles_to_themselves(inner, outer, dtype):
    """The function of a mask is constant in what the mask leaves out."""
    masks = {
        "relu": lambda x: tg.relu(x),
        "clip": lambda x: np.clip(x, 0, None),
        "maximum": lambda x: np.maximum(x, 0),
        "where": lambda x: np.where(x > 0, x, 0),
        "max": lambda x: np.max(x, axis=0, initial=0),
        "sort": lambda x: np.sort(np.concatenate([x, [[0.0]]]), axis=0)[-1:],
    }
    x = leaf(np.array([[-1.0], [-2.0]]), dtype)
    with np.errstate(all="ignore"):
        OUTER[outer](masks[inner](x)).sum().backward(create_graph=True)
        first, x.grad = x.grad, None
        np.testing.assert_array_equal(first.numpy(), 0)
        if first.requires_grad:
            first.sum().backward()
            np.testing.assert_array_equal(0 if x.grad is None else x.grad.numpy(), 0)


# Elementwise functions: first and second derivatives in closed form, computed in
# extended precision.

LONG = np.longdouble


def outside(bad, value):
    return lambda x: np.where(bad(x), NAN, value(x))


def log_slopes(base, start=0):
    scale = 1 / np.log(LONG(base)) if base else LONG(1)
    return lambda x: scale / (x - start), lambda x: -scale / (x - start) / (x - start)


def beyond_one(x):
    return np.abs(x) > 1


def logistic(x):
    return 1 / (1 + np.exp(-x))


def bell(x):
    return 1 / (2 + np.exp(x) + np.exp(-x))


DERIVATIVES = {
    "arccos": (
        lambda x: -1 / np.sqrt((1 - x) * (1 + x)),
        lambda x: -x / np.sqrt((1 - x) * (1 + x)) ** 3,
    ),
    "arcsin": (
        lambda x: 1 / np.sqrt((1 - x) * (1 + x)),
        lambda x: x / np.sqrt((1 - x) * (1 + x)) ** 3,
    ),
    "arccosh": (
        lambda x: 1 / (np.sqrt(x - 1) * np.sqrt(x + 1)),
        lambda x: -x / (np.sqrt(x - 1) * np.sqrt(x + 1)) ** 3,
    ),
    "arcsinh": (
        lambda x: 1 / np.hypot(x, LONG(1)),
        lambda x: -x / np.hypot(x, LONG(1)) ** 3,
    ),
    "arctan": (lambda x: 1 / (1 + x * x), lambda x: -2 * x / (1 + x * x) ** 2),
    "arctanh": (
        outside(beyond_one, lambda x: 1 / ((1 - x) * (1 + x))),
        outside(beyond_one, lambda x: 2 * x / ((1 - x) * (1 + x)) ** 2),
    ),
    "cos": (lambda x: -np.sin(x), lambda x: -np.cos(x)),
    "cosh": (np.sinh, np.cosh),
    "exp": (np.exp, np.exp),
    "exp2": (
        lambda x: np.exp2(x) * np.log(LONG(2)),
        lambda x: np.exp2(x) * np.log(LONG(2)) ** 2,
    ),
    "expm1": (np.exp, np.exp),
    "log": log_slopes(0),
    "log10": log_slopes(10),
    "log1p": log_slopes(0, start=-1),
    "log2": log_slopes(2),
    "reciprocal": (lambda x: -1 / x / x, lambda x: 2 / x / x / x),
    "sigmoid": (bell, lambda x: -np.tanh(x / 2) * bell(x)),
    "sin": (np.cos, lambda x: -np.sin(x)),
    "sinh": (np.cosh, np.sinh),
    "softplus": (logistic, bell),
    "sqrt": (lambda x: 0.5 / np.sqrt(x), lambda x: -0.25 / np.sqrt(x) ** 3),
    "square": (lambda x: 2 * x, lambda x: 2 + 0 * x),
    "tan": (lambda x: 1 / np.cos(x) ** 2, lambda x: 2 * np.tan(x) / np.cos(x) ** 2),
    "tanh": (
        lambda x: 1 / np.cosh(x) ** 2,
        lambda x: -2 * np.tanh(x) / np.cosh(x) ** 2,
    ),
}
GRID = [
    *(0.0, 1.0, 0.5, 2.0, 30.0, 1e3, 1e-30, 1e-160, 1e-300, 5e-324, 1e30, 1e160),
    *(1e300, 1 - EPS / 2, 1 + EPS),
]


@pytest.mark.parametrize("name", DERIVATIVES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_elementwise_functions_at_edge_values(name, dtype):
    with np.errstate(all="ignore"):
        for value in np.array([*GRID, *(-v for v in GRID)]).astype(dtype):
            found = derivatives(registry[name].function, value, 2, dtype)[1:]
            if np.isinf(value):
                continue
            for order, (f, exact) in enumerate(zip(found, DERIVATIVES[name], strict=1)):
                expected = np.asarray(exact(LONG(value))).astype(dtype).astype(float)
                # Saturated values have lost the digits of a tiny slope.
                size = max(1.0, abs(expected)) if np.isfinite(expected) else 1.0
                np.testing.assert_allclose(
                    f,
                    expected,
                    rtol=0,
                    atol=(16, 64)[order] * float(np.finfo(dtype).eps) * size,
                    err_msg=f"{name} at {value}, derivative {order + 1}",
                )


@pytest.mark.parametrize(
    ("name", "at", "expected"),
    [
        ("arctan", INF, (0, 0)),
        ("arcsinh", -INF, (0, 0)),
        ("tanh", INF, (0, 0)),
        ("sigmoid", -INF, (0, 0)),
        ("softplus", INF, (1, 0)),
        ("exp", -INF, (0, 0)),
        ("exp", INF, (INF, INF)),
        ("log", INF, (0, 0)),
        ("sqrt", INF, (0, 0)),
        ("reciprocal", INF, (0, 0)),
        ("relu", NAN, (0, 0)),
        ("relu", -INF, (0, 0)),
        ("absolute", -INF, (-1, 0)),
        ("absolute", 0.0, (0, 0)),
        ("cbrt", 0.0, (INF, 0)),
        ("arcsin", NAN, (NAN, NAN)),
        ("arcsin", INF, (NAN, NAN)),
        ("arccosh", -INF, (NAN, NAN)),
        ("sinc", 0.0, (0, -(math.pi**2) / 3)),
        ("gelu", -INF, (0, 0)),
        ("silu", -INF, (0, 0)),
    ],
)
def test_infinities_and_kinks_of_elementwise_functions(name, at, expected):
    found = derivatives(registry[name].function, at, 2)[1:]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


BINARY = [
    ("power", 0.0, 0.0, (0, 0)),
    ("power", 0.0, 1.0, (1, 0)),
    ("power", 0.0, 2.0, (0, 0)),
    ("power", 0.0, 0.5, (INF, 0)),
    ("power", 0.0, -1.0, (-INF, -INF)),
    ("power", -2.0, 3.0, (12, NAN)),
    ("power", -2.0, 0.5, (NAN, NAN)),
    ("power", -2.0, 0.0, (0, NAN)),
    ("power", 2.0, 0.0, (0, math.log(2))),
    ("power", INF, 0.0, (0, INF)),
    ("float_power", 0.0, -1.0, (-INF, -INF)),
    ("arctan2", 0.0, 0.0, (0, 0)),
    ("arctan2", -0.0, -1.0, (-1, 0)),
    ("arctan2", INF, INF, (0, 0)),
    ("arctan2", 1e-200, 1e-200, (5e199, -5e199)),
    ("arctan2", 1e200, 1e200, (5e-201, -5e-201)),
    ("hypot", 0.0, 0.0, (0, 0)),
    ("hypot", 0.0, 1.0, (0, 1)),
    ("hypot", -INF, 1.0, (-1, 0)),
    ("hypot", 1e200, 1e200, (math.sqrt(0.5), math.sqrt(0.5))),
    ("hypot", 1e-200, 1e-200, (math.sqrt(0.5), math.sqrt(0.5))),
    ("logaddexp", -INF, -INF, (0.5, 0.5)),
    ("logaddexp", INF, INF, (0.5, 0.5)),
    ("logaddexp", -INF, 1.0, (0, 1)),
    ("logaddexp", 1e3, -1e3, (1, 0)),
    ("remainder", 4.0, 2.0, (1, -2)),
    ("remainder", -1.0, INF, (1, 1)),
    ("remainder", 1.0, INF, (1, 0)),
    ("remainder", 1.0, 0.0, (1, -INF)),
    ("fmod", -5.0, 2.0, (1, 2)),
    ("fmod", 1.0, 0.0, (1, -INF)),
    ("floor_divide", 4.0, 2.0, (0, 0)),
    ("nextafter", 1.0, 1.0, (1, 0)),
    ("maximum", 1.0, 1.0, (0.5, 0.5)),
    ("maximum", NAN, 1.0, (0, 0)),
    ("fmax", NAN, 1.0, (0, 1)),
    ("copysign", 0.0, 1.0, (0, 0)),
    ("copysign", 1.0, -0.0, (-1, 0)),
    ("divide", 1.0, 0.0, (INF, -INF)),
    ("divide", 0.0, 0.0, (INF, NAN)),
    ("divide", 1e-200, 1e-200, (1e200, -1e200)),
    ("divide", 1e200, 1e200, (1e-200, -1e-200)),
]


@pytest.mark.parametrize(("name", "a", "b", "expected"), BINARY)
def test_functions_of_two_numbers_at_edge_values(name, a, b, expected):
    np.testing.assert_allclose(
        slopes(registry[name].function, a, b), expected, rtol=1e-14
    )


def test_products_with_logarithms_and_powers_of_themselves():
    assert slopes(lambda x, y: x * np.log(y), 0.0, 0.0)[1] == 0
    assert derivatives(lambda x: x**x, 0.0)[1] == 0
    assert derivatives(lambda x: x**0, 0.0)[1:] == [0, 0]
    assert derivatives(lambda x: x**2, 0.0)[1:] == [0, 2]
    assert derivatives(lambda x: x**2.0, -0.0)[1:] == [0, 2]
    assert derivatives(lambda x: x**1.5, 0.0)[1:] == [0, INF]
    assert np.isnan(derivatives(lambda x: x**1.5, -1.0)[1:]).all()


# Zeros in products.


@pytest.mark.parametrize("zeros", [1, 2, 3])
def test_products_with_zeros_to_second_order(zeros):
    x = np.array([2.0, 3.0, 5.0])
    x[:zeros] = 0
    others = [math.prod(np.delete(x, i)) for i in range(3)]
    np.testing.assert_array_equal(slopes(np.prod, x), others)
    expected = [
        [0 if i == j else math.prod(np.delete(x, [i, j])) for i in range(3)]
        for j in range(3)
    ]
    np.testing.assert_array_equal(hessian_of(np.prod, x), expected)
    np.testing.assert_array_equal(hessian_of(lambda t: np.cumprod(t)[-1], x), expected)
    flat = slopes(lambda t: np.sqrt(np.prod(t)), x)
    assert zeros == 1 or (flat == 0).all()


# Curvature where a length is 0.


@pytest.mark.parametrize(
    ("length", "curvature"),
    [
        (np.linalg.norm, np.eye(3)),
        (np.linalg.vector_norm, np.eye(3)),
        (lambda w: np.linalg.norm(np.outer(w, [0.6, 0.8])), np.eye(3)),
        (lambda w: np.hypot(np.hypot(w[0], w[1]), w[2]), np.eye(3)),
        (np.std, np.eye(3) / 3 - 1 / 9),
        (np.nanstd, np.eye(3) / 3 - 1 / 9),
        (lambda w: np.std(w, ddof=1), np.eye(3) / 2 - 1 / 6),
        (lambda w: np.linalg.norm(w[:, None], axis=1)[1], np.diag([0, 1, 0])),
    ],
)
@pytest.mark.parametrize(
    ("function", "second"),
    [
        (lambda y: y**2, 2),
        (lambda y: y * y, 2),
        (np.square, 2),
        (lambda y: 1 - np.cos(y), 1),
        (lambda y: np.exp(-3 * y * y), -6),
        (lambda y: np.sqrt(1 + y**2), 1),
        (lambda y: y**3, 0),
        (lambda y: y**4, 0),
        (lambda y: np.where(y > 1, y, 5.0), 0),
    ],
)
def test_curvature_where_a_length_is_zero(length, curvature, function, second):
    at = np.zeros(3)
    np.testing.assert_array_equal(slopes(lambda w: function(length(w)), at), 0)
    found = hessian_of(lambda w: function(length(w)), at)
    np.testing.assert_allclose(found, second * curvature, rtol=1e-14, atol=1e-15)


def test_curvature_of_coupled_lengths():
    """Of log(product of 1 + |row|^2), where one row is 0 and the other is not."""
    x = np.array([0.0, 0.0, 3.0, 4.0])

    def smooth(t):
        return np.log(np.prod(1 + np.sum(t.reshape((2, 2)) ** 2, axis=1)))

    def of_lengths(t):
        return np.log(np.prod(1 + np.linalg.norm(t.reshape((2, 2)), axis=1) ** 2))

    np.testing.assert_allclose(
        hessian_of(of_lengths, x), hessian_of(smooth, x), atol=1e-15
    )


def test_the_curvature_survives_capture():
    w = leaf(np.ones(3))

    @tg.compile(fused=False)
    def step(x):
        w.grad = None
        (np.linalg.norm(x * w) ** 2).backward(create_graph=True)
        first, w.grad = w.grad, None
        first.sum().backward()
        return w.grad

    for x in (np.ones(3), np.full(3, 2.0), np.zeros(3), np.full(3, 3.0)):
        np.testing.assert_allclose(step(x).numpy(), 2 * x * x, rtol=1e-14)
    with tg.no_grad():
        w[...] = 0.0
    np.testing.assert_allclose(step(np.ones(3)).numpy(), 2.0)


def test_lengths_of_equal_elements_and_their_squares_by_hand():
    """Where sqrt is written out its infinite slope is all there is: see its kinks."""
    for f in (lambda x: np.sqrt(np.var(x)), lambda x: np.sqrt(x @ x)):
        np.testing.assert_array_equal(slopes(f, np.zeros(3)), 0)
        np.testing.assert_array_equal(hessian_of(lambda x: f(x) ** 2, np.zeros(3)), 0)  # noqa: B023
    assert derivatives(lambda x: np.sqrt(x * x), 0.0)[1:] == [0, INF]
    assert derivatives(lambda x: np.abs(x) ** 2, 0.0)[1:] == [0, 0]
    np.testing.assert_allclose(
        hessian_of(np.var, np.zeros(2)), [[0.5, -0.5], [-0.5, 0.5]]
    )


# float16 ends at 65504.

MANY = 70_000
COUNTED = {
    "mean": np.mean,
    "mean where": lambda x: np.mean(x, where=np.ones(x.shape, bool)),
    "nanmean": np.nanmean,
    "average": np.average,
    "max": np.max,
    "max from": lambda x: np.max(x, initial=-1),
    "nanmax": np.nanmax,
    "maximum so far": lambda x: np.maximum.accumulate(x)[-1],
    "logsumexp": tg.logsumexp,
}


@pytest.mark.parametrize("name", [n for n in COUNTED if n != "maximum so far"])
def test_counts_beyond_float16(name):
    with np.errstate(all="ignore"):
        found = slopes(COUNTED[name], np.zeros(MANY), dtype=np.float16)
    assert found.dtype == np.float16
    np.testing.assert_array_equal(found, np.float16(1 / MANY))


def test_counts_beyond_the_integers_of_float16():
    found = slopes(COUNTED["maximum so far"], np.zeros(5000), dtype=np.float16)
    np.testing.assert_array_equal(found, np.float16(1 / 5000))


@pytest.mark.parametrize("name", ["var", "std", "nanvar", "nanstd"])
def test_spread_of_many_in_float16(name):
    x = np.linspace(-1, 1, MANY).astype(np.float16)
    found = slopes(registry[name].function, x, dtype=np.float16)
    expected = slopes(registry[name].function, x.astype(float))
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-7)


def test_losses_of_many_in_float16():
    zeros, labels = np.zeros((MANY, 2)), np.zeros(MANY, int)
    logits = leaf(zeros, np.float16)
    loss = tg.softmax_cross_entropy(logits, labels)
    loss.backward()
    assert loss.dtype == np.float16
    assert loss.item() == pytest.approx(math.log(2), rel=1e-3)
    half = np.float16(0.5 / MANY)
    np.testing.assert_allclose(logits.grad.numpy()[0], [-half, half], atol=1e-7)
    p = leaf(zeros + 0.5, np.float16)
    tg.categorical_cross_entropy(p, labels).backward()
    np.testing.assert_allclose(p.grad.numpy()[0], [-2 / MANY, 0], atol=1e-7)


@pytest.mark.parametrize("shape", [(), (1,), (2,), (1, 2)])
def test_gradients_of_what_was_broadcast_to_many_in_float16(shape):
    bias = leaf(np.zeros(shape), np.float16)
    (np.mean((bias + np.zeros((MANY, 2), np.float16)) * 2)).backward()
    np.testing.assert_allclose(bias.grad.numpy(), 2 / bias.size, rtol=5e-3)


@pytest.mark.parametrize(
    "many",
    [
        lambda x: x[np.zeros(MANY, int)],
        lambda x: np.take(x, np.zeros(MANY, int)),
        lambda x: np.pad(x, (0, MANY), mode="edge"),
        lambda x: np.repeat(x, MANY),
        lambda x: np.tile(x, MANY),
        lambda x: np.broadcast_to(x, (MANY,)),
    ],
)
def test_gradients_of_what_was_taken_many_times_in_float16(many):
    x = leaf(np.zeros(1), np.float16)
    (np.mean(many(x) * 2)).backward()
    np.testing.assert_allclose(x.grad.numpy(), 2, rtol=5e-3)


def test_softmax_of_many_classes_in_float16():
    x = leaf(np.zeros(MANY), np.float16)
    np.testing.assert_array_equal(tg.softmax(x).numpy(), np.float16(1 / MANY))
    for f in (tg.log_softmax, lambda x: -tg.logsumexp(x)):
        found = np.min(f(x).numpy()).item()
        assert found == pytest.approx(-math.log(MANY), rel=1e-3)
    logits, labels = leaf(np.zeros((1, MANY)), np.float16), [0]
    loss = tg.softmax_cross_entropy(logits, labels)
    assert loss.item() == pytest.approx(math.log(MANY), rel=1e-3)
