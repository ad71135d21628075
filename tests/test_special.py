"""The error function and its complement."""

import math

import numpy as np
import pytest

from tensorgrad.ops.elementwise.special import erf, erfc

INF, NAN = math.inf, math.nan


@pytest.mark.parametrize(
    ("dtype", "last"), [(np.float64, 27.0), (np.float32, 9.0), (np.float16, 3.5)]
)
def test_error_function_to_the_last_digits(dtype, last):
    rng = np.random.default_rng(0)
    spread = np.concatenate(
        [rng.uniform(-last, last, 3000), 10.0 ** rng.uniform(-30, 0, 500), [0.0, 1.0]]
    )
    x = spread.astype(dtype)
    eps = np.finfo(dtype).eps
    for function, reference, off in ((erf, math.erf, 2), (erfc, math.erfc, 7)):
        y = function(x)
        exact = np.array([reference(float(v)) for v in x])
        assert y.dtype == dtype
        normal = np.abs(exact) > np.finfo(dtype).tiny
        relative = np.abs(y.astype(float) - exact)[normal] / np.abs(exact)[normal]
        assert relative.max() < off * eps
        assert np.abs(y).max() <= (1 if function is erf else 2)


def test_error_function_of_anything():
    np.testing.assert_array_equal(erf([NAN, INF, -INF, -0.0]), [NAN, 1, -1, -0.0])
    np.testing.assert_array_equal(erfc([NAN, INF, -INF]), [NAN, 0, 2])
    assert erf(np.array([1, 2])).dtype == np.float64
    assert erf(0.5) == pytest.approx(math.erf(0.5), rel=1e-15)
    assert erf(np.zeros((0, 3))).shape == (0, 3)
    long = np.linspace(-3, 3, 20001)
    np.testing.assert_array_equal(erf(long)[::5000], erf(long[::5000]))
    np.testing.assert_array_equal(erf(-long), -erf(long))
    np.testing.assert_array_equal(erf(long[::-3]), erf(long)[::-3])
