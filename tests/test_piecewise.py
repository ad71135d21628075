"""Rounding, selections between values, and interpolation."""

import math

import numpy as np
import pytest
from derivatives import slopes
from tensors import leaf

import tensorgrad as tg
from tensorgrad.ops.support.registry import registry

INF, NAN = math.inf, math.nan


# Rounding.


@pytest.mark.parametrize(
    "function",
    [
        np.floor,
        np.ceil,
        np.trunc,
        np.rint,
        np.round,
        np.around,
        np.sign,
        lambda x: np.round(x, 1),
        lambda x: np.heaviside(x, 0.5),
        lambda x: np.floor_divide(x, 0.5),
        lambda x: np.modf(x)[1],
    ],
)
def test_rounding_has_the_gradient_zero(function):
    x = leaf([-1.5, 0.0, 2.0, 2.7])
    function(x).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), np.zeros(4))
    x.grad = None
    (x * function(x)).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), function(x.numpy()))


@pytest.mark.filterwarnings("ignore:numpy.fix is deprecated:DeprecationWarning")
def test_fix_is_trunc():
    x = leaf([-1.5, 0.0, 2.7])
    y = np.fix(x)
    np.testing.assert_array_equal(y.numpy(), [-1, 0, 2])
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), np.zeros(3))


def test_parts_of_numbers():
    fraction, whole = np.modf(x := leaf([1.25, -INF]))
    np.testing.assert_array_equal(fraction.numpy(), [0.25, -0.0])
    (fraction * [1.0, 2.0] + whole).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [1, 2])
    mantissa, exponent = np.frexp(x := leaf([3.0, -0.5, 0.0]))
    np.testing.assert_array_equal(mantissa.numpy(), [0.75, -0.5, 0])
    assert not exponent.requires_grad
    mantissa.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [0.25, 1, 1])
    quotient, rest = np.divmod(leaf([7.0]), 2)
    assert (quotient[0].item(), rest[0].item()) == (3, 1)


def test_unwrap_moves_by_whole_periods():
    p = np.array([0.0, 3.0, 6.5, 0.2])
    x = leaf(p)
    y = np.unwrap(x)
    np.testing.assert_array_equal(y.numpy(), np.unwrap(p))
    (y * [1.0, 2.0, 3.0, 4.0]).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [1, 2, 3, 4])


# Selections.


def test_clip_passes_at_its_bounds():
    np.testing.assert_array_equal(
        slopes(lambda x: np.clip(x, -1, 1), [-2.0, -1.0, 0.0, 1.0, 2.0]),
        [0, 1, 1, 1, 0],
    )


def test_clip_gives_the_bounds_what_lies_outside():
    a, low, high = slopes(np.clip, [-2.0, 0.0, 3.0, 1.0], -1.0, [1.0] * 4)
    np.testing.assert_array_equal(a, [0, 1, 0, 1])
    np.testing.assert_array_equal(low, 1)
    np.testing.assert_array_equal(high, [0, 0, 1, 0])
    crossed = slopes(np.clip, [-5.0, 0.0, 5.0], 2.0, 1.0)
    np.testing.assert_array_equal(crossed[0], [0, 0, 0])
    assert (float(crossed[1]), float(crossed[2])) == (0, 3)
    equal = slopes(np.clip, [0.0, 1.0, 2.0], 1.0, 1.0)
    np.testing.assert_array_equal(equal[0], [0, 1, 0])
    assert (float(equal[1]), float(equal[2])) == (1, 1)


def test_clip_in_every_spelling():
    x = tg.Tensor([-2.0, 0.5, 2.0])
    for y in (
        np.clip(x, -1, 1),
        np.clip(a=x, a_min=-1, a_max=1),
        x.clip(-1, 1),
        x.clip(min=-1, max=1),
    ):
        np.testing.assert_array_equal(y.numpy(), [-1, 0.5, 1])
    clip = np.clip if hasattr(np, "unstack") else registry["clip"].function
    np.testing.assert_array_equal(clip(x, min=-1, max=1).numpy(), [-1, 0.5, 1])
    np.testing.assert_array_equal(clip(x, max=1).numpy(), [-2, 0.5, 1])
    if clip is np.clip:  # since NumPy 2.1, which also takes no bounds at all
        np.testing.assert_array_equal(np.clip(x, None, None).numpy(), x.numpy())
    with pytest.raises(ValueError, match="a_min and a_max or as min and max"):
        np.clip(x, 0, 1, min=0)


def test_where_with_one_argument_tells_where():
    (at,) = np.where(leaf([0.0, 2.0, 0.0, 1.0]))
    np.testing.assert_array_equal(at, [1, 3])


def test_where_with_a_float_condition():
    c, a, b = slopes(np.where, [0.0, 2.0], [3.0, 4.0], 5.0)
    np.testing.assert_array_equal(c, [0, 0])
    np.testing.assert_array_equal(a, [0, 1])
    assert float(b) == 1


def test_nan_to_num():
    x = [1.0, NAN, INF, -INF]
    y = np.nan_to_num(leaf(x), nan=7.0, posinf=8.0)
    np.testing.assert_array_equal(y.numpy()[:3], [1, 7, 8])
    np.testing.assert_array_equal(slopes(np.nan_to_num, x), [1, 0, 0, 0])
    with pytest.raises(TypeError, match="copy=False would write"):
        np.nan_to_num(leaf(x), copy=False)


def test_parts_of_what_is_real():
    x = leaf([1.0, -2.0])
    for f in (np.real, np.conj, np.conjugate, np.real_if_close):
        np.testing.assert_array_equal(f(x).numpy(), x.numpy())
        np.testing.assert_array_equal(slopes(f, [1.0, -2.0]), [1, 1])
    np.testing.assert_array_equal(np.imag(x).numpy(), [0, 0])
    np.testing.assert_array_equal(np.angle(x).numpy(), [0, np.pi])


# Interpolation.


def test_interp_outside_and_at_the_points():
    xp, fp = np.array([0.0, 1.0, 3.0]), np.array([0.0, 2.0, 3.0])
    x = [-1.0, 0.0, 0.5, 1.0, 2.0, 3.0, 4.0]
    np.testing.assert_array_equal(
        slopes(lambda x: np.interp(x, xp, fp), x), [0, 2, 2, 0.5, 0.5, 0.5, 0]
    )
    values = leaf(fp)
    np.interp(x, xp, values).sum().backward()
    np.testing.assert_array_equal(values.grad.numpy(), [2.5, 2.0, 2.5])


def test_interp_with_values_for_the_outside():
    fp, left, right = leaf([1.0, 2.0]), leaf(5.0), leaf(6.0)
    y = np.interp([-1.0, 0.5, 3.0, 4.0], [0.0, 1.0], fp, left=left, right=right)
    np.testing.assert_array_equal(y.numpy(), [5, 1.5, 6, 6])
    y.sum().backward()
    np.testing.assert_array_equal(fp.grad.numpy(), [0.5, 0.5])
    assert (float(left.grad), float(right.grad)) == (1, 2)


def test_interp_where_points_coincide():
    x, xp, fp = slopes(
        np.interp, [0.5, 1.5], [0.0, 1.0, 1.0, 2.0], [0.0, 1.0, 5.0, 6.0]
    )
    np.testing.assert_array_equal(x, [1, 1])
    np.testing.assert_array_equal(fp, [0.5, 0.5, 0.5, 0.5])
    np.testing.assert_array_equal(xp, [-0.5, -0.5, -0.5, -0.5])


def test_samples_keep_away_from_the_jumps():
    between = registry["floor"].domain(0)
    x = between.sample(np.random.default_rng(1), (60,))
    assert np.abs(x * 2 - np.rint(x * 2)).min() > 0.1
