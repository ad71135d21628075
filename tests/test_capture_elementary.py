"""exp, log and the like in kernels: within 2 units in the last place, everywhere."""

import numpy as np
import pytest
from profiles import some

import tensorgrad as tg
from tensorgrad.capture.kernels import compile as kernels
from tensorgrad.capture.values import Value
from tensorgrad.facts import TABLE

pytestmark = pytest.mark.skipif(
    not kernels.installed(), reason="needs llvmlite, of the extra 'fast'"
)

DTYPES = [np.float32, np.float64]
WIDER = {np.float32: np.float64, np.float64: np.longdouble}
FUNCTIONS = [np.exp, np.expm1, np.log, np.log1p, np.tanh]
BOUND = 2.0
"""Units in the last place."""
COUNT = 200_000


def computed(function, x):
    """Return what a kernel computes of an array."""
    name, value = function.__name__, Value(x.shape, x.dtype, x.strides)
    source = f"""\
def kernel(n0, a0, a1):
    for i in range(n0):
        put(a1, i, {name}(get(a0, i)))
"""
    out = np.empty_like(x)
    kernels.prepared(source, [value, value], 1)(len(x))(x, out)
    return out


def arguments(function, dtype, seed):
    """Return arguments of all sizes, for which the function is finite and normal."""
    rng, info = np.random.default_rng(seed), np.finfo(dtype)
    top, bottom = np.log(info.max), np.log(info.smallest_subnormal)
    sizes = rng.uniform(-1, 1, COUNT) * 10.0 ** rng.uniform(-12, 0, COUNT)
    wide = {
        np.exp: rng.uniform(bottom, top, COUNT),
        np.expm1: rng.uniform(-50, top, COUNT),
        np.log: np.exp(rng.uniform(bottom, top, COUNT)),
        np.log1p: 10.0 ** rng.uniform(-15, 30, COUNT) - 1,
        np.tanh: rng.uniform(-25, 25, COUNT),
    }[function]
    near = np.abs(sizes) if function is np.log else sizes
    x = np.concatenate([wide, near, rng.uniform(0.3, 2, COUNT)]).astype(dtype)
    return x[x > {np.log: 0, np.log1p: -1}.get(function, -np.inf)]


def worst(y, exact):
    """Return the largest error in units in the last place of what is exact."""
    unit = np.spacing(np.abs(exact.astype(y.dtype))).astype(exact.dtype)
    error = np.abs(y.astype(exact.dtype) - exact) / unit
    return error[np.isfinite(exact.astype(y.dtype))].max()


def reference(function, x):
    """Return the exact values, and by how much NumPy's may be wrong."""
    wide = WIDER[x.dtype.type]
    with np.errstate(all="ignore"):
        exact = function(x.astype(wide))
    # Where there is no wider type, NumPy's own are within one unit.
    return exact, float(np.finfo(wide).eps == np.finfo(x.dtype).eps)


def test_these_are_all_that_kernels_round_and_go_on_with():
    # Others, as logaddexp, are made of these.
    rounded = {
        known.name
        for known in TABLE
        if known.rounded and not known.costly and known.element == f"{known.name}({{}})"
    }
    assert rounded == {function.__name__ for function in FUNCTIONS}


@pytest.mark.parametrize("seed", some([0, 1, 2]))
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_errors_are_less_than_two_units(function, dtype, seed):
    x = arguments(function, dtype, seed)
    exact, doubt = reference(function, x)
    assert worst(computed(function, x), exact) < BOUND + doubt


@pytest.mark.parametrize("function", FUNCTIONS)
def test_an_error_of_three_units_would_be_seen(function):
    x = arguments(function, np.float32, 0)
    exact, _ = reference(function, x)
    y = exact.astype(np.float32)
    y[1000] += 3 * np.spacing(np.abs(y[1000]))
    assert worst(y, exact) > BOUND


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_values_at_the_ends(function, dtype):
    info = np.finfo(dtype)
    ends = [0.0, 1.0, np.inf, info.max, info.tiny, info.smallest_subnormal, info.eps]
    ends = np.array([*ends, *(-x for x in ends), np.nan, 1e3, -1e3, 1e-3, 2.0], dtype)
    with np.errstate(all="ignore"):
        expected = function(ends)
    y = computed(function, ends)
    np.testing.assert_array_equal(np.isnan(y), np.isnan(expected))
    ordinary = np.isfinite(expected) & (expected != 0)
    np.testing.assert_array_max_ulp(y[ordinary], expected[ordinary], 4)
    np.testing.assert_array_equal(y[~ordinary], expected[~ordinary])
    zeros = expected == 0
    np.testing.assert_array_equal(np.signbit(y[zeros]), np.signbit(expected[zeros]))


@pytest.mark.parametrize("dtype", DTYPES)
def test_where_exp_overflows_and_underflows(dtype):
    info = np.finfo(dtype)
    for end in (np.log(info.max), np.log(info.smallest_subnormal) - np.log(2)):
        x = end + np.linspace(-1e-2, 1e-2, 2001)
        x = x.astype(dtype)
        exact, _ = reference(np.exp, x)
        with np.errstate(all="ignore"):
            expected = exact.astype(dtype)
        y = computed(np.exp, x)
        # At the very bound rounding decides.
        assert np.count_nonzero(np.isinf(y) != np.isinf(expected)) <= 2
        assert np.count_nonzero((y == 0) != (expected == 0)) <= 2


@pytest.mark.parametrize("dtype", DTYPES)
def test_exp_of_less_is_zero(dtype):
    bottom = np.log(np.finfo(dtype).smallest_subnormal)
    y = computed(np.exp, np.linspace(4 * bottom, bottom - 1, 4001).astype(dtype))
    assert not y.any()
    assert not np.signbit(y).any()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_they_have_no_branches_and_call_nothing(function):
    ir = pytest.importorskip("llvmlite.ir")
    from tensorgrad.capture.kernels.intrinsics import REAL

    module = ir.Module("functions")
    for real in (ir.FloatType(), ir.DoubleType()):
        written = ir.Function(module, ir.FunctionType(real, [real]), f"of_{real}")
        builder = ir.IRBuilder(written.append_basic_block())
        builder.ret(REAL[function.__name__](builder, *written.args))
        assert len(written.blocks) == 1
    declared = {f.name for f in module.functions if not f.name.startswith("of_")}
    assert all(name.startswith("llvm.") for name in declared)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("power", [2, 3, -1, 0.5, -1.5, 0])
def test_powers_of_scalars_stay_in_the_kernel(dtype, power):
    def step(x):
        slope = tg.grad(lambda x: np.sin(x) * x**power)(x)
        return slope, 2.0**x * slope

    compiled, x = tg.compile(step, fused=True), dtype(1.7)
    for value in x, x, x, dtype(0.3):
        for found, expected in zip(compiled(value), step(value), strict=True):
            assert found.dtype == expected.dtype == dtype
            np.testing.assert_allclose(found, expected, rtol=8 * np.finfo(dtype).eps)
    assert str(compiled.plan).count(" = ") == 1
