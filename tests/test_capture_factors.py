"""Factors of matrices in compiled steps, beside LAPACK's."""

import numpy as np
import pytest
from programs import Writing, run

import tensorgrad as tg
from tensorgrad.capture.kernels import compile as kernels
from tensorgrad.capture.kernels import factors

pytestmark = pytest.mark.skipif(
    not kernels.installed(), reason="needs llvmlite, of the extra 'fast'"
)


def matrix(n, dtype, seed=0):
    return np.random.default_rng(seed).standard_normal((n, n)).astype(dtype)


def third(step, *args):
    for _ in range(3):
        y = step(*args)
    return y


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("n", [1, 2, 3, 7, 30, 64])
@pytest.mark.parametrize("turned", [False, True])
def test_solutions_have_residuals_of_rounding(n, dtype, turned):
    a = matrix(n, dtype)
    right = [np.ones(n, dtype), matrix(n, dtype, 1)[:, :2], matrix(n, dtype, 2).T]

    def step(a):
        a = a.T if turned else a
        return [*(np.linalg.solve(a, b) for b in right), np.linalg.inv(a)]

    a_turned = a.T if turned else a
    compiled = tg.compile(step, fused=True)
    for x, b in zip(third(compiled, a), [*right, np.eye(n)], strict=True):
        assert x.dtype == dtype
        # Higham, "Accuracy and stability", 9.3, with a growth of less than n.
        size = np.abs(a).sum(1).max() * np.abs(x).sum(0).max()
        assert np.abs(a_turned @ x - b).max() <= 3 * n**2 * np.finfo(dtype).eps * size
    assert compiled.plan.count("factors") == 1


@pytest.mark.parametrize("n", [1, 2, 5, 20])
def test_determinants_have_their_sign(n):
    step = tg.compile(lambda a: np.linalg.slogdet(a), fused=True)
    for seed in range(6):
        a = matrix(n, "f8", seed)
        sign, logarithm = third(step, a)
        assert sign == np.linalg.slogdet(a)[0]
        np.testing.assert_allclose(logarithm, np.linalg.slogdet(a)[1], atol=1e-10)


def test_what_is_singular_raises_as_in_numpy():
    solve = tg.compile(lambda a: np.linalg.solve(a, a[0]), fused=True)
    sign = tg.compile(lambda a: np.linalg.slogdet(a), fused=True)
    third(solve, matrix(3, "f8"))
    third(sign, matrix(3, "f8"))
    with pytest.raises(np.linalg.LinAlgError, match="Singular matrix"):
        solve(np.ones((3, 3)))
    assert [float(x) for x in sign(np.ones((3, 3)))] == [0.0, -np.inf]
    assert np.isfinite(solve(np.eye(3))).all()


@pytest.mark.parametrize("place", range(9))
def test_nan_is_not_lost(place):
    a = matrix(3, "f8")
    solve = tg.compile(lambda a: np.linalg.solve(a, np.ones(3)), fused=True)
    third(solve, a)
    a.flat[place] = np.nan
    assert np.isnan(solve(a)).any()


def test_another_matrix_has_factors_of_its_own():
    """One that was written to since, and parts of one array."""
    w = Writing()
    a, b = w.live(matrix(5, "f8")), w.constant(np.ones(4))
    parts = [lambda a: a[:4, :4], lambda a: a[1:, 1:], lambda a: a[:4, :4].T]
    solved = [w.call(np.linalg.solve, w.view(a, part), b) for part in parts]
    w.write(np.add, a, a, 1.0, out=a)
    solved += [w.call(np.linalg.solve, w.view(a, part), b) for part in parts]
    program = w.program(*solved)
    w.rewind()
    expected, got = run(program), (w.rewind(), run(factors.factored(program)))[1]
    for x, y in zip(got, expected, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-10)
    calls = factors.factored(program).calls
    assert sum(call.name == "factors" for call in calls) == 4
