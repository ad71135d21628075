"""Functions that break a condition of every check are named, not crashed on, by each
way to check: a function of Tensors, a gradient and a backward function by hand.
"""

import warnings

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.testing import check_gradient, check_vjp, gradcheck

X = np.array([0.5, -1.2, 2.25])


def as_operation(f, df, x):
    @tg.primitive
    def op(x):
        return f(x)

    op.vjp(x=lambda g, x: g * df(x))
    return gradcheck(op, x, raise_on_failure=False)


def as_gradient(f, df, x):
    return check_gradient(f, df, x, raise_on_failure=False)


def as_vjp(f, df, x):
    return check_vjp(f, lambda g, x: g * df(x), x, raise_on_failure=False)


every_way = pytest.mark.parametrize("check", [as_operation, as_gradient, as_vjp])
by_hand = pytest.mark.parametrize("check", [as_gradient, as_vjp])


def square(x):
    return x * x


def slope(x):
    return 2 * x


@every_way
def test_what_is_not_odd_passes_without_a_note(check):
    result = check(square, slope, X)
    assert result.verdict == "agrees"
    assert result.notes == []
    assert result.fault == result.diagnosis == ""


# A function that gives something else each time.


@every_way
def test_random_function(check):
    rng = np.random.default_rng(0)
    result = check(lambda x: x * rng.normal(), slope, X)
    assert (result.verdict, result.fault) == ("invalid", "nondeterministic")
    assert "f is not deterministic" in str(result) or "gradient is not" in str(result)
    assert "seed" in result.diagnosis


@every_way
def test_random_gradient(check):
    rng = np.random.default_rng(0)
    result = check(square, lambda x: 2 * x * rng.uniform(0.9, 1.1), X)
    assert (result.verdict, result.fault) == ("invalid", "nondeterministic")
    assert "the gradient is not deterministic" in result.diagnosis


@every_way
def test_shape_that_changes_from_call_to_call(check):
    turns = iter(range(10**6))
    result = check(lambda x: square(x)[: 2 + next(turns) % 2], slope, X)
    assert result.verdict == "invalid"
    assert result.fault == "nondeterministic"
    assert "(2,) and then (3,)" in result.diagnosis


@every_way
def test_last_bits_that_change_are_a_note(check):
    turns = iter(range(10**6))
    result = check(lambda x: square(x) * (1 + 2e-16 * (next(turns) % 2)), slope, X)
    assert result.ok
    assert "last bits" in str(result)


# Writes and shared memory.


@every_way
def test_function_that_writes_to_its_input(check):
    def f(x):
        x += 1.0
        return square(x)

    x = X.copy()
    result = check(f, slope, x)
    assert (result.verdict, result.fault) == ("invalid", "mutates")
    assert "f changes input 0 in place" in result.diagnosis
    assert (x == X).all()


@every_way
def test_gradient_that_writes_to_the_input(check):
    def df(x):
        x *= 2
        return x

    result = check(square, df, X.copy())
    assert (result.verdict, result.fault) == ("invalid", "mutates")
    assert "changes input 0 in place" in result.diagnosis


def test_backward_function_that_writes_to_the_cotangent():
    def vjp(g, x):
        g *= 2 * x
        return g

    result = check_vjp(square, vjp, X, raise_on_failure=False)
    assert (result.verdict, result.fault) == ("invalid", "mutates")
    assert "cotangent 0" in result.diagnosis


@pytest.mark.parametrize(
    "f", [lambda x: x, lambda x: x[::2], lambda x: x.reshape(3, 1)]
)
def test_output_that_is_the_input_or_a_view_of_it(f):
    def vjp(g, x):
        dx = np.zeros_like(x)
        f(dx)[...] = g
        return dx

    jacobian = np.array([vjp(g, X) for g in np.eye(f(X).size).reshape(-1, *f(X).shape)])
    jacobian = jacobian.reshape(f(X).shape + X.shape)
    for result in (
        gradcheck(f, X),
        check_vjp(f, vjp, X),
        check_gradient(f, lambda x: jacobian, X),
    ):
        assert result.verdict == "agrees"
        assert "output 0 shares memory with input 0" in str(result)


def test_gradient_that_is_the_input_or_the_cotangent():
    result = check_gradient(lambda x: np.sum(x * x) / 2, lambda x: x, X)
    assert result.ok
    result = check_vjp(lambda x: x + 1, lambda g, x: g, X)
    assert "gradient 0 shares memory with cotangent 0" in str(result)


@by_hand
def test_results_written_into_the_same_memory(check):
    value, derivative = np.zeros((2, 3))
    result = check(
        lambda x: np.multiply(x, x, out=value),
        lambda x: np.multiply(2, x, out=derivative),
        X,
    )
    assert result.verdict == "agrees"


# Dtypes.


@every_way
@pytest.mark.parametrize("dtype", [np.int64, np.bool_])
def test_integer_output(check, dtype):
    result = check(lambda x: square(x).astype(dtype), slope, X)
    assert result.verdict == "invalid"
    assert np.dtype(dtype).name in result.diagnosis


def test_integer_tensor():
    result = gradcheck(lambda x: tg.Tensor([1, 2]), X, raise_on_failure=False)
    assert (result.verdict, result.fault) == ("invalid", "dtype")
    assert "f returns int64" in result.diagnosis


@by_hand
@pytest.mark.parametrize("y", [None, "text", 1j, [[1.0], [1.0, 2.0]]])
def test_output_that_is_no_real_number(check, y):
    result = check(lambda x: y, slope, X)
    assert (result.verdict, result.fault) == ("invalid", "dtype")
    assert "expected real numbers" in result.diagnosis


@pytest.mark.parametrize("y", [None, "text", 3.0, np.ones(3)])
def test_function_of_tensors_that_gives_none(y):
    result = gradcheck(lambda x: y, X, raise_on_failure=False)
    assert (result.verdict, result.fault) == ("invalid", "no tensor")
    assert type(y).__name__ in result.diagnosis


@every_way
def test_output_of_lower_precision(check):
    result = check(lambda x: square(x).astype(np.float32), slope, X)
    assert result.verdict == "agrees"
    assert "output 0 is float32 for inputs of float64" in str(result)
    assert check(lambda x: square(x).astype(np.float32), np.sin, X).fault


@by_hand
def test_gradient_of_lower_precision(check):
    def df(x):
        return slope(x).astype(np.float32)

    def vjp(g, x):
        return (g * slope(x)).astype(np.float32)

    f = check_gradient if check is as_gradient else check_vjp
    derivative = df if check is as_gradient else vjp
    result = f(square, derivative, X, raise_on_failure=False)
    assert (result.verdict, result.fault) == ("invalid", "dtype")
    assert "gradient 0 is float32 for inputs of float64" in str(result)
    result = f(lambda x: square(x).astype(np.float32), derivative, X)
    assert result.verdict == "agrees"


@pytest.mark.parametrize(
    ("dtype", "name"), [(np.float32, "float32"), (np.int64, "integers")]
)
def test_rule_of_lower_precision(dtype, name):
    @tg.primitive
    def op(x):
        return square(x)

    op.vjp(x=lambda g, x: (g * slope(x)).astype(dtype))
    result = gradcheck(op, X, raise_on_failure=False)
    assert (result.verdict, result.fault) == ("invalid", "dtype")
    assert f"the gradient of input 0 comes in {name}" in result.diagnosis


def test_integer_gradients():
    def df(x):
        return slope(x).astype(np.int64)

    result = as_gradient(square, df, X)
    assert result.verdict == "disagrees"
    assert "the derivative in input 0 is int64: fractions are cut off" in result.notes
    assert as_gradient(np.round, lambda x: np.zeros(3, int), X + 0.1).notes == [
        "the output does not change with input 0: all its derivatives are 0"
    ]


@by_hand
@pytest.mark.parametrize("derivative", ["text", 1j])
def test_gradient_that_is_no_real_number(check, derivative):
    given = np.full(3, derivative)
    if check is as_gradient:
        result = check_gradient(square, lambda x: given, X, raise_on_failure=False)
    else:
        result = check_vjp(square, lambda g, x: given, X, raise_on_failure=False)
    assert (result.verdict, result.fault) == ("invalid", "dtype")
    assert "expected real numbers" in result.diagnosis


# Shapes.


@every_way
@pytest.mark.parametrize("shape", [(1,), (7,), (3, 4)])
def test_gradient_of_the_wrong_shape(check, shape):
    if check is as_operation:
        op = tg.primitive(lambda x: square(x))
        op.vjp(x=lambda g, x: np.ones(shape))
        result = gradcheck(op, X, raise_on_failure=False)
    elif check is as_gradient:
        result = check(square, lambda x: np.ones(shape), X)
    else:
        result = check_vjp(
            square, lambda g, x: np.ones(shape), X, raise_on_failure=False
        )
    assert not result
    assert "shape" in result.diagnosis
    assert str(shape) in result.diagnosis


@pytest.mark.parametrize("check", [check_gradient, check_vjp])
@pytest.mark.parametrize("count", [1, 3])
def test_gradients_of_the_wrong_number(check, count):
    result = check(
        lambda a, b: a * b, lambda *_: (X,) * count, (X, X), raise_on_failure=False
    )
    assert not result
    assert f"{count} gradients for 2 inputs" in result.diagnosis


def test_several_outputs_where_one_is_expected():
    result = as_gradient(lambda x: (x, square(x)), slope, X)
    assert not result
    assert "2 outputs" in result.diagnosis
    assert "check_vjp" in result.diagnosis


def test_gradient_that_raises():
    def df(x):
        raise KeyError("weights")

    for check in (as_operation, as_gradient, as_vjp):
        result = check(square, df, X)
        assert result.verdict == "invalid"
        assert "the gradient raised KeyError: 'weights'" in result.diagnosis


# Inputs.


def test_integer_inputs():
    whole = np.array([1, 2, 3])
    result = gradcheck(square, whole, raise_on_failure=False)
    assert (result.verdict, result.fault) == ("invalid", "integers")
    assert "int64" in result.diagnosis
    assert "pass x.astype(float)" in result.diagnosis
    beside = gradcheck(lambda x, n: x * n, X, whole)
    note = "input 1 is int64: it has no gradient and is held constant; pass "
    assert f"{note}floating-point numbers to check it" in beside.notes


@by_hand
def test_integer_inputs_by_hand(check):
    result = check(square, slope, np.array([1, 2, 3]))
    assert result.verdict == "agrees"
    assert result.notes == ["input 0 is int64: it is taken to float64"]


@pytest.mark.parametrize("x", [np.array([1j]), "text", None])
def test_inputs_that_are_no_real_numbers(x):
    assert gradcheck(square, x, raise_on_failure=False).fault == "integers"
    for check in (as_gradient, as_vjp):
        with pytest.raises(TypeError, match="x must be real numbers"):
            check(square, slope, x)


@pytest.mark.parametrize("check", [as_gradient, as_vjp])
def test_no_inputs_at_all(check):
    with pytest.raises(TypeError, match="x must be an array or a tuple .* empty tuple"):
        check(lambda: 1.0, tuple, ())


@every_way
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_inputs_that_are_not_finite(check, bad):
    result = check(square, slope, np.array([1.0, bad]))
    assert (result.verdict, result.fault) == ("invalid", "not finite")
    assert "input 0 holds NaN or infinity" in result.diagnosis


def test_no_inputs():
    assert gradcheck(lambda: tg.Tensor(1.0), raise_on_failure=False).fault == "integers"


@every_way
def test_empty_and_axisless_inputs(check):
    assert check(square, slope, np.zeros((0, 3))).verdict == "agrees"
    assert check(square, slope, np.float64(3.0)).verdict == "agrees"


def test_input_that_does_not_reach_the_output():
    result = gradcheck(lambda x, w: np.sum(x), X, X)
    assert result.notes == [
        "input 1 does not reach the output: no gradient arrives at it"
    ]


@pytest.mark.parametrize("none", [None, np.zeros(3)])
def test_input_that_does_not_reach_the_output_by_hand(none):
    def f(x, w):
        return np.sum(x)

    for result in (
        check_gradient(f, lambda *_: (np.ones(3), none), (X, X)),
        check_vjp(f, lambda g, *_: (g * np.ones(3), none), (X, X)),
    ):
        assert result.verdict == "agrees"
        (note,) = result.notes
        assert "input 1" in note
        assert ("is None" in note) == (none is None)


def test_input_that_reaches_the_output_but_has_no_gradient_fails():
    result = gradcheck(
        lambda x, w: np.sum(x) * np.sum(w.detach()), X, X, raise_on_failure=False
    )
    assert result.fault == "zero"
    assert "input 1" in result.diagnosis
    assert not check_vjp(square, lambda g, x: None, X, raise_on_failure=False)


@every_way
def test_function_that_raises_is_left_to_raise(check):
    with pytest.raises(ZeroDivisionError):
        check(lambda x: 1 / 0, slope, X)


@every_way
def test_function_that_raises_next_to_the_point(check):
    def f(x):
        if x[0] > 0.5:
            raise ValueError("outside")
        return square(x)

    result = check(f, slope, X)
    assert result.verdict in ("kink", "too noisy")


@every_way
def test_no_warnings_come_out(check):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check(lambda x: np.log(np.abs(x)), lambda x: 1 / x, np.array([0.0, 1.0]))
        check(np.log, lambda x: 1 / x, np.array([-1.0, 1.0]))


# Functions that take no complex numbers, or no other point, and say so in any way.


class ForeignError(Exception):
    pass


class ForeignTensor:
    """Numbers of another framework, which give an array once they are detached."""

    def __init__(self, values, attached=True):
        self.values, self.attached = values, attached
        self.ndim = np.ndim(values)

    def detach(self):
        return ForeignTensor(self.values, attached=False)

    def __array__(self, dtype=None, copy=None):
        if self.attached:
            raise RuntimeError("call detach first")
        return np.asarray(self.values, dtype=dtype)


def refuses(x):
    raise ForeignError("no complex numbers")


def leaves(x):
    raise SystemExit("no complex numbers")


def drops(x):
    warnings.warn("imaginary part is dropped", UserWarning, stacklevel=1)
    return square(x.real)


COMPLEX = {
    "raises": refuses,
    "exits": leaves,
    "returns nothing": lambda x: None,
    "drops the imaginary part": drops,
    "loses it in silence": lambda x: square(x.real) + 0j,
    "conjugates": lambda x: square(x.conj()),
    "gives NaN": lambda x: square(x) * np.nan,
    "gives another shape": lambda x: square(x)[:1],
    "gives objects": lambda x: square(x).astype(object),
}


@by_hand
@pytest.mark.parametrize("at_complex", COMPLEX.values(), ids=COMPLEX)
@pytest.mark.parametrize("factor", [1, 1.001])
def test_whatever_happens_at_complex_numbers(check, at_complex, factor):
    def f(x):
        return at_complex(x) if np.iscomplexobj(x) else square(x)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = check(f, lambda x: factor * slope(x), X)
    assert result.verdict == ("agrees" if factor == 1 else "disagrees")


@by_hand
def test_an_interrupt_at_complex_numbers_goes_through(check):
    def f(x):
        if np.iscomplexobj(x):
            raise KeyboardInterrupt
        return square(x)

    with pytest.raises(KeyboardInterrupt):
        check(f, slope, X)


@by_hand
@pytest.mark.parametrize(
    "error", [ForeignError, np.linalg.LinAlgError, RuntimeError, MemoryError]
)
@pytest.mark.parametrize("factor", [1, 3])
def test_any_error_beside_the_point_makes_the_step_smaller(check, error, factor):
    def f(x):
        if np.abs(x - X).max() > 1e-4:
            raise error
        return square(x)

    result = check(f, lambda x: factor * slope(x), X)
    assert result.verdict == ("agrees" if factor == 1 else "disagrees")


@pytest.mark.parametrize("given", [ForeignTensor, list, lambda y: (y,)])
def test_results_of_any_kind(given):
    result = check_vjp(
        lambda x: given(square(x)), lambda g, x: ForeignTensor(g * slope(x)), X
    )
    assert result.verdict == "agrees"
    assert check_gradient(
        lambda x: np.sum(square(x)), lambda x: ForeignTensor(slope(x)), X
    )
