"""Decompositions where they are subtle: one triangle, coinciding values, refusals."""

import numpy as np
import pytest
from derivatives import gradient
from matrices import close, orthogonal, random, restart
from tensors import leaf

import tensorgrad as tg
from tensorgrad.testing import gradcheck


@pytest.fixture(autouse=True)
def same_numbers_in_any_order():
    restart()


SYMMETRIC_FUNCTIONS = {
    "cholesky": (np.linalg.cholesky, np.tril),
    "cholesky upper": (lambda x: np.linalg.cholesky(x, upper=True), np.triu),
    "eigvalsh": (np.linalg.eigvalsh, np.tril),
    "eigvalsh U": (lambda x: np.linalg.eigvalsh(x, "U"), np.triu),
    "eigh": (lambda x: np.linalg.eigh(x).eigenvectors, np.tril),
    "eigh u": (lambda x: np.linalg.eigh(x, UPLO="u").eigenvectors, np.triu),
}


class TestSymmetric:
    @pytest.mark.parametrize("name", SYMMETRIC_FUNCTIONS)
    def test_the_gradient_lies_in_the_triangle_that_is_read(self, name):
        function, triangle = SYMMETRIC_FUNCTIONS[name]
        a = random(3, 3)
        a = a @ a.T + np.diag([1.0, 2.0, 3.0])
        v = random(*np.shape(function(a)))
        g = gradient(function, a, v)
        np.testing.assert_array_equal(g, triangle(g))
        assert np.count_nonzero(g) == 6
        other = a + 100 * (1 - triangle(np.ones((3, 3))))
        np.testing.assert_array_equal(gradient(function, other, v), g)
        both = gradient(lambda x: function((x + x.mT) / 2), a, v)
        close(both, (g + g.T) / 2, atol=1e-11)

    def test_cholesky_of_numbers(self):
        # L = [[2, 0], [1, 2]]; l22 = sqrt(a22 - a21**2 / a11).
        a = [[4.0, 2.0], [2.0, 5.0]]
        g = gradient(np.linalg.cholesky, a, np.array([[0.0, 9.0], [0.0, 1.0]]))
        close(g, [[0.0625, 0.0], [-0.25, 0.25]])

    def test_factors_give_back_the_matrix(self):
        a = random(4, 4)
        a = a @ a.T + np.eye(4)
        v = random(4, 4)
        expected = np.tril(v + v.T) - np.diag(np.diag(v))

        def squared(x):
            y = np.linalg.cholesky(x)
            return np.matmul(y, y.mT)

        def spectral(x):
            w, q = np.linalg.eigh(x)
            return np.matmul(q * w, q.mT)

        close(gradient(squared, a, v), expected, atol=1e-10)
        close(gradient(spectral, a, v), expected, atol=1e-10)

    def test_logarithm_of_eigenvalues_is_that_of_the_determinant(self):
        a = random(3, 3)
        a = a @ a.T + np.eye(3)
        eigen = tg.hessian(lambda x: np.sum(np.log(np.linalg.eigvalsh(x @ x.mT))))(a)
        slog = tg.hessian(lambda x: np.linalg.slogdet(x @ x.mT)[1])(a)
        close(eigen, slog, atol=1e-9)

    def test_eigenvalues_that_coincide(self):
        """A sum over them has a gradient; each alone gets that of some vectors."""
        q = orthogonal(4)
        a = (q * [1.0, 1.0, 1.0, 3.0]) @ q.T
        for values in (np.linalg.eigvalsh, lambda x: np.linalg.eigh(x)[0]):
            g = gradient(lambda x, f=values: np.sum(f(x) ** 2), a)
            close(g, np.tril(4 * a) - np.diag(np.diag(2 * a)), atol=1e-12)
            single = gradient(lambda x, f=values: f(x)[0], np.eye(3))
            assert np.trace(single) == pytest.approx(1.0)

    def test_vectors_of_other_eigenvalues_keep_their_gradient(self):
        q = orthogonal(3)
        a = (q * [1.0, 1.0, 3.0]) @ q.T
        v = random(3)

        def last(x):
            return np.sum(v * np.linalg.eigh(x)[1][:, 2] ** 2)

        gradcheck(last, a)

    def test_vectors_that_turn_freely_have_no_gradient(self):
        g = gradient(lambda x: np.sum(np.linalg.eigh(x)[1][:, 0]), np.eye(2))
        assert np.isnan(g).any()

    def test_coinciding_to_rounding_is_coinciding(self):
        """Rather nan than what the rounding of a difference of 1e-16 makes of it."""
        q = orthogonal(3)
        a = (q * [1.0, 1.0, 3.0]) @ q.T
        v = random(3, 3)
        assert np.isnan(gradient(lambda x: np.linalg.eigh(x)[1], a, v)).any()
        assert np.isnan(gradient(product_of_svd, a, v)).any()

    @pytest.mark.parametrize("gap", [1e-3, 1e-6, 1e-9])
    def test_near_eigenvalues_lose_no_more_than_their_gap(self, gap):
        q = orthogonal(3)
        a = (q * [1.0, 1.0 + gap, 3.0]) @ q.T
        v = random(3, 3)

        def spectral(x):
            w, q = np.linalg.eigh((x + x.mT) / 2)
            return np.matmul(q * w, q.mT)

        close(gradient(spectral, a, v), (v + v.T) / 2, atol=1e-14 / gap)


class TestQR:
    @pytest.mark.parametrize("shape", [(3, 3), (5, 3), (3, 5), (2, 4, 3), (2, 3, 4)])
    def test_factors_give_back_the_matrix(self, shape):
        a, v = random(*shape), random(*shape)
        close(gradient(lambda x: np.matmul(*np.linalg.qr(x)), a, v), v, atol=1e-9)

    @pytest.mark.parametrize("shape", [(3, 3), (5, 3), (3, 5)])
    def test_columns_stay_orthonormal(self, shape):
        def gram(x):
            q = np.linalg.qr(x).Q
            return np.matmul(q.mT, q)

        n = min(shape)
        close(gradient(gram, random(*shape), random(n, n)), 0, atol=1e-12)

    def test_what_stands_below_the_diagonal_of_r_is_constant(self):
        v = np.tril(random(3, 3), -1)
        close(gradient(lambda x: np.linalg.qr(x, mode="r"), random(4, 3), v), 0)

    def test_modes_without_a_gradient_are_refused(self):
        x = leaf(random(4, 2))
        for mode in ("complete", "raw", "full"):
            with pytest.raises(ValueError, match="use mode='reduced'"):
                np.linalg.qr(x, mode=mode)


class TestSVD:
    @pytest.mark.parametrize("shape", [(3, 3), (5, 3), (3, 5), (2, 4, 3)])
    def test_factors_give_back_the_matrix(self, shape):
        a, v = random(*shape), random(*shape)

        def product(x):
            u, s, vt = np.linalg.svd(x, full_matrices=False)
            return np.matmul(u * s[..., None, :], vt)

        close(gradient(product, a, v), v, atol=1e-9)

    @pytest.mark.parametrize("gap", [1e-3, 1e-6, 1e-9])
    def test_near_values_lose_no_more_than_their_gap(self, gap):
        a = (orthogonal(3) * [2.0, 1.0 + gap, 1.0]) @ orthogonal(3)
        v = random(3, 3)
        close(gradient(product_of_svd, a, v), v, atol=1e-14 / gap)

    def test_values_that_coincide(self):
        q = orthogonal(3)
        for values in (np.linalg.svdvals, lambda x: np.linalg.svd(x)[1]):
            close(gradient(lambda x, f=values: np.sum(f(x)), q), q)
            close(gradient(lambda x, f=values: np.sum(f(x) ** 2), q), 2 * q)

    def test_values_of_zero_have_gradient_zero(self):
        a = np.outer([1.0, 2.0, 2.0], [0.6, 0.8])
        g = gradient(lambda x: np.sum(np.linalg.svdvals(x)), a)
        close(g, a / 3)
        np.testing.assert_array_equal(
            gradient(np.linalg.svdvals, np.eye(0), []), np.eye(0)
        )

    def test_vectors_of_other_values_keep_their_gradient(self):
        """The best approximation of rank 1, beside values that coincide or are zero."""
        v = random(4, 3)

        def best(x):
            u, s, vt = np.linalg.svd(x, full_matrices=False)
            return np.sum(v * (s[0] * np.matmul(u[:, :1], vt[:1])))

        for rest in ([1.0, 1.0], [0.0, 0.0], [1.0, 0.0]):
            a = (orthogonal(4)[:, :3] * [3.0, *rest]) @ orthogonal(3)
            gradcheck(best, a)

    def test_vectors_that_turn_freely_have_no_gradient(self):
        g = gradient(lambda x: np.sum(np.linalg.svd(x)[0]), np.eye(2))
        assert np.isnan(g).any()

    def test_full_matrices_are_refused_unless_square(self):
        with pytest.raises(ValueError, match="pass full_matrices=False"):
            np.linalg.svd(leaf(random(3, 2)))
        with pytest.raises(TypeError, match="use eigh"):
            np.linalg.svd(leaf(np.eye(2)), hermitian=True)
        u, s, vt = np.linalg.svd(leaf(random(2, 2)))
        assert u.shape == vt.shape == (2, 2)
        assert s.shape == (2,)


def product_of_svd(x):
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    return np.matmul(u * s, vt)


def test_a_planted_fault_is_caught():
    """Eigenvectors that stand still are seen by the test of the factors."""
    from tensorgrad.ops.linalg.decompositions import _diagonal, _folded, symmetric_eigen

    right = symmetric_eigen.rules[0][0]
    try:
        symmetric_eigen.vjp(
            a=lambda g, y: _folded(y[1] @ _diagonal(g[0]) @ y[1].mT, False)
        )
        with pytest.raises(AssertionError):
            TestSymmetric().test_factors_give_back_the_matrix()
    finally:
        symmetric_eigen.vjp(a=right)
    TestSymmetric().test_factors_give_back_the_matrix()
