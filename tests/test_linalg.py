"""Products, systems, determinants and norms where they are subtle.

That rules agree with differences to second order is tested for all operations alike;
here are identities that hold to rounding, kinks, and errors.
"""

import itertools

import numpy as np
import pytest
from derivatives import gradient
from hypothesis import given
from hypothesis import strategies as st
from matrices import close, random, restart
from tensors import leaf

import tensorgrad as tg
from tensorgrad.testing import gradcheck


@pytest.fixture(autouse=True)
def same_numbers_in_any_order():
    restart()


class TestProducts:
    @given(st.data())
    def test_tensordot_over_drawn_axes(self, data):
        """<v, J u> is the product with u, because the product is linear in each."""
        n = data.draw(st.integers(0, 3))
        sizes = [2, 3, 1][:n]
        free = [data.draw(st.lists(st.integers(1, 3), max_size=2)) for _ in "ab"]
        arrays, axes = [], []
        for f in free:
            order = data.draw(st.permutations(range(n + len(f))))
            where = [order.index(i) for i in range(n)]
            axes.append([w - len(order) if w % 2 else w for w in where])
            arrays.append(random(*np.array([*sizes, *f], dtype=int)[order]))
        a, b = (leaf(x) for x in arrays)
        y = np.tensordot(a, b, axes)
        v = random(*y.shape)
        y.backward(v)
        for t, others in ((a, (None, arrays[1])), (b, (arrays[0], None))):
            u = random(*t.shape)
            expected = np.tensordot(*(u if o is None else o for o in others), axes)
            close(np.sum(t.grad.numpy() * u), np.sum(v * expected), rtol=1e-9)

    @pytest.mark.parametrize("shapes", [((2, 3, 4), (4, 2)), ((2, 3), (2, 4, 3, 5))])
    def test_dot_of_more_axes(self, shapes):
        a, b = (random(*s) for s in shapes)
        y = np.dot(leaf(a), b)
        close(y.numpy(), a.dot(b))

    def test_a_vector_as_a_row_and_as_a_column(self):
        close(gradient(lambda x: np.vecdot(x, [3.0, 4.0]), [1.0, 2.0]), [3.0, 4.0])
        m = np.array([[1.0, 2.0], [3.0, 4.0]])
        close(gradient(lambda x: np.matmul(m, x).sum(), [1.0, 1.0]), [4.0, 6.0])
        close(gradient(lambda x: np.matmul(x, m).sum(), [1.0, 1.0]), [3.0, 7.0])

    def test_cross_is_orthogonal_to_both(self):
        a, b = leaf(random(5, 3)), leaf(random(5, 3))
        np.vecdot(np.cross(a, b), a).sum().backward()
        close(a.grad.numpy(), 0)
        close(b.grad.numpy(), 0)

    def test_cross_in_the_plane_is_refused(self):
        with pytest.raises(ValueError, match="got 2 and 2; in the plane, write"):
            np.cross(leaf([1.0, 2.0]), leaf([3.0, 4.0]))

    def test_trace_puts_nothing_beside_the_diagonal(self):
        g = gradient(np.trace, np.ones((2, 3)), np.inf)
        np.testing.assert_array_equal(g, [[np.inf, 0, 0], [0, np.inf, 0]])

    def test_kron_of_numbers(self):
        a, b = leaf([1.0, 2.0]), leaf([3.0, 4.0])
        y = np.kron(a, b)
        y.backward(np.array([1.0, 10.0, 100.0, 1000.0]))
        np.testing.assert_array_equal(y.numpy(), [3, 4, 6, 8])
        np.testing.assert_array_equal(a.grad.numpy(), [43.0, 4300.0])
        np.testing.assert_array_equal(b.grad.numpy(), [201.0, 2010.0])

    def test_multi_dot_takes_the_cheapest_order(self):
        from tensorgrad.ops.linalg.chains import _cheapest

        sizes = (30, 35, 15, 5, 10, 20, 25)  # Cormen et al., section 15.2
        assert _cheapest(sizes, 0, 6) == (15125, 3)
        arrays = [random(n, m) for n, m in itertools.pairwise(sizes)]
        y = np.linalg.multi_dot([leaf(a) for a in arrays])
        close(y.numpy(), np.linalg.multi_dot(arrays))

    def test_multi_dot_refuses_what_is_no_chain(self):
        with pytest.raises(ValueError, match="at least two arrays, got 1"):
            np.linalg.multi_dot([leaf([[1.0]])])
        with pytest.raises(ValueError, match="vectors only at the ends"):
            np.linalg.multi_dot([leaf([[1.0]]), np.ones(1), np.ones((1, 1))])

    def test_linalg_outer_takes_vectors_only(self):
        with pytest.raises(ValueError, match=r"numpy\.outer flattens"):
            np.linalg.outer(leaf([[1.0]]), leaf([1.0]))

    def test_nothing_is_silently_ignored(self):
        x = leaf(np.ones((2, 2)))
        for call, word in (
            (lambda: np.matmul(x, x, dtype=np.float32), "dtype"),
            (lambda: np.dot(x, x, out=np.ones((2, 2))), "out="),
            (lambda: np.outer(x, x, out=np.ones((4, 4))), "out="),
            (lambda: np.matmul(x, x, out=np.ones((2, 2))), "out="),
            (lambda: np.trace(x, dtype=np.float32), "dtype"),
            (lambda: np.linalg.multi_dot([x, x], out=np.ones((2, 2))), "out="),
        ):
            with pytest.raises(TypeError, match=word):
                call()


class TestSystems:
    def test_inverse_times_matrix_is_constant(self):
        g = gradient(
            lambda x: np.matmul(np.linalg.inv(x), x), random(4, 4), random(4, 4)
        )
        close(g, 0, atol=1e-9)

    def test_solve_takes_a_vector_only_with_one_axis(self):
        """NumPy 2: b of shape (3, 3) is a matrix even beside a stack of matrices."""
        a = random(3, 3, 3) + 4 * np.eye(3)
        for b in (random(3), random(3, 3), random(3, 3, 2)):
            x = leaf(b)
            y = np.linalg.solve(a, x)
            close(y.numpy(), np.linalg.solve(a, b))
            v = random(*y.shape)
            y.backward(v)
            expected = np.linalg.solve(a.mT, v[..., None] if b.ndim == 1 else v)
            expected = expected[..., 0].sum(0) if b.ndim == 1 else expected
            close(x.grad.numpy(), expected.sum(0) if b.ndim == 2 else expected)

    def test_solve_of_a_product_gives_back(self):
        a, b = leaf(random(2, 3, 3)), leaf(random(2, 3, 4))
        v = random(2, 3, 4)
        np.linalg.solve(a, np.matmul(a, b)).backward(v)
        close(a.grad.numpy(), 0, atol=1e-9)
        close(b.grad.numpy(), v, atol=1e-9)

    def test_a_singular_matrix_raises_as_in_numpy(self):
        with pytest.raises(np.linalg.LinAlgError, match="Singular"):
            np.linalg.inv(leaf(np.ones((2, 2))))

    def test_pinv_along_matrices_of_one_rank(self):
        """A = B C of rank 2: the derivative through B and C needs no full rank."""
        b, c, v = random(5, 2), random(2, 4), random(4, 5)

        def f(b, c):
            return np.sum(v * np.linalg.pinv(np.matmul(b, c), rcond=1e-10))

        gradcheck(f, b, c)

    def test_lstsq_is_pinv_times_b_at_every_rank(self):
        for a in (random(5, 3), random(3, 5), random(5, 2) @ random(2, 4)):
            b, v = random(len(a), 2), random(a.shape[1], 2)
            fits = [
                lambda a, b: np.linalg.lstsq(a, b, rcond=1e-10)[0],
                lambda a, b: np.matmul(np.linalg.pinv(a, rcond=1e-10), b),
            ]
            found, expected = (
                tg.grad(lambda a, b, f=f, v=v: np.sum(v * f(a, b)), (0, 1))(a, b)
                for f in fits
            )
            close(found[0], expected[0])
            close(found[1], expected[1])

    def test_lstsq_gives_residuals_rank_and_singular_values(self):
        a, b = random(5, 2), random(5)
        xs = leaf(a), leaf(b)
        x, residuals, rank, s = np.linalg.lstsq(*xs)
        (residuals.sum() + s.sum()).backward()
        rest = b - a @ x.numpy()
        u, _, vt = np.linalg.svd(a, full_matrices=False)
        close(xs[1].grad.numpy(), 2 * rest)
        close(xs[0].grad.numpy(), -2 * np.outer(rest, x.numpy()) + u @ vt)
        assert int(rank) == 2
        assert not rank.requires_grad

    def test_powers(self):
        a, v = random(3, 3), random(3, 3)
        minus = gradient(lambda x: np.linalg.matrix_power(x, -2), a, v)
        again = gradient(lambda x: np.linalg.inv(np.matmul(x, x)), a, v)
        close(minus, again, rtol=1e-8)
        nothing = np.linalg.matrix_power(leaf(a), 0)
        np.testing.assert_array_equal(nothing.numpy(), np.eye(3))
        with pytest.raises(TypeError):
            np.linalg.matrix_power(leaf(a), 0.5)
        with pytest.raises(np.linalg.LinAlgError, match="expected square"):
            np.linalg.matrix_power(leaf(random(2, 3)), 2)

    def test_a_system_that_is_not_square_is_refused(self):
        with pytest.raises(np.linalg.LinAlgError, match="expected a square system"):
            np.linalg.tensorsolve(leaf(random(2, 3)), random(2))
        with pytest.raises(ValueError, match="expected ind > 0"):
            np.linalg.tensorinv(leaf(random(2, 2)), 0)
        with pytest.raises(TypeError, match="hermitian=True is not supported"):
            np.linalg.pinv(leaf(np.eye(2)), hermitian=True)


def leibniz(x):
    """Determinant of a 4 by 4 matrix as the polynomial it is."""
    total = 0.0
    for columns in itertools.permutations(range(4)):
        swaps = sum(a > b for a, b in itertools.combinations(columns, 2))
        term = (-1.0) ** swaps
        for i, j in enumerate(columns):
            term = term * x[i, j]
        total = total + term
    return total


class TestDeterminants:
    @pytest.mark.parametrize("rank", [4, 3, 2, 1, 0])
    def test_exact_to_fourth_order_at_every_rank(self, rank):
        a = random(4, rank) @ random(rank, 4)
        u, w, t = random(4, 4), random(4, 4), random(4, 4)

        def slopes(f):
            first = tg.grad(f)
            second = tg.grad(lambda x: np.sum(u * first(x)))
            third = tg.grad(lambda x: np.sum(w * second(x)))
            fourth = tg.grad(lambda x: np.sum(t * third(x)))
            return [g(a) for g in (first, second, third, fourth)]

        found, expected = slopes(np.linalg.det), slopes(leibniz)
        for f, e in zip(found, expected, strict=True):
            close(f, e, atol=1e-10 * (1 + np.abs(e).max()))

    def test_cofactors_of_numbers(self):
        close(gradient(np.linalg.det, [[1.0, 2.0], [2.0, 4.0]]), [[4, -2], [-2, 1]])
        close(gradient(np.linalg.det, [[0.0]]), [[1.0]])

    def test_repeated_singular_values(self):
        close(tg.hessian(np.linalg.det)(np.eye(4)), tg.hessian(leibniz)(np.eye(4)))

    def test_batches_do_not_mix(self):
        a = random(3, 2, 2)
        a[1] = 1.0
        v = np.array([1.0, 2.0, 3.0])
        found = gradient(np.linalg.det, a, v)
        each = [n * gradient(np.linalg.det, x) for n, x in zip(v, a, strict=True)]
        close(found, np.stack(each))

    def test_slogdet_is_the_logarithm_of_det(self):
        a = random(3, 3)
        sign, log = np.linalg.slogdet(leaf(a))
        assert sign.item() == np.sign(np.linalg.det(a))
        assert not sign.requires_grad
        assert log.requires_grad
        close(gradient(lambda x: np.linalg.slogdet(x)[1], a), np.linalg.inv(a).T)

    def test_slogdet_of_a_singular_matrix_spoils_only_itself(self):
        a = np.stack([np.ones((2, 2)), 2 * np.eye(2)])
        g = gradient(lambda x: np.linalg.slogdet(x).logabsdet, a, np.array([0.0, 1.0]))
        np.testing.assert_array_equal(g, [np.zeros((2, 2)), np.eye(2) / 2])
        g = gradient(lambda x: np.linalg.slogdet(x).logabsdet, a, np.ones(2))
        assert np.isnan(g[0]).all()
        np.testing.assert_array_equal(g[1], np.eye(2) / 2)


ORDERS = [None, 0.5, 1, 1.5, 2, 3, np.inf, -np.inf, -1, -2]


class TestNorms:
    @pytest.mark.parametrize("order", ORDERS)
    @pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
    def test_gradient_at_zero_is_zero(self, order):
        for x in (np.zeros(3), np.zeros((2, 2))):
            first = tg.grad(lambda x: np.sum(np.linalg.norm(x, order, axis=-1)))
            np.testing.assert_array_equal(first(x), 0 * x)
            second = tg.grad(lambda x, f=first: np.sum(f(x)))
            np.testing.assert_array_equal(second(x), 0 * x)

    @pytest.mark.parametrize("order", [None, 1, -1, 2, -2, np.inf, -np.inf, "nuc"])
    def test_gradient_at_the_zero_matrix_is_zero(self, order):
        g = gradient(lambda x: np.linalg.norm(x, order, axis=(0, 1)), np.zeros((2, 3)))
        np.testing.assert_array_equal(g, np.zeros((2, 3)))

    def test_a_zero_element_has_slope_zero(self):
        for order in (0.5, 1, 1.5, 3):
            g = gradient(lambda x, p=order: np.linalg.norm(x, p), [0.0, 2.0])
            assert g[0] == 0
            # NumPy's powers differ by a last bit between processors.
            assert g[1] == pytest.approx(1, rel=4e-16)

    @pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
    def test_negative_orders_at_a_zero_element(self):
        g = gradient(lambda x: np.linalg.norm(x, -2), [0.0, 2.0])
        np.testing.assert_array_equal(g, [0.0, 0.0])

    def test_ties_share(self):
        x = [3.0, -3.0, 1.0]
        g = gradient(lambda x: np.linalg.norm(x, np.inf), x)
        np.testing.assert_array_equal(g, [0.5, -0.5, 0.0])
        g = gradient(lambda x: np.linalg.norm(x, -np.inf), [[1.0, 2.0], [3.0, 0.0]])
        np.testing.assert_array_equal(g, [[0.5, 0.5], [0.5, 0.0]])
        close(gradient(lambda x: np.linalg.norm(x, 2), 3 * np.eye(2)), np.eye(2) / 2)

    def test_order_zero_counts(self):
        y = np.linalg.norm(leaf([0.0, 2.0, 3.0]), 0)
        assert y.item() == 2.0
        assert not y.requires_grad

    def test_large_elements_do_not_overflow_the_slope(self):
        x = np.array([3e100, 4e100])
        close(
            gradient(lambda x: np.linalg.norm(x, 3), x), x**2 / np.sum(x**3) ** (2 / 3)
        )

    def test_orders_that_do_not_exist_are_refused(self):
        x = leaf(random(2, 2))
        for call in (
            lambda: np.linalg.norm(x, "fro", axis=0),
            lambda: np.linalg.norm(x, 3),
            lambda: np.linalg.norm(np.expand_dims(x, 0), 2),
            lambda: np.linalg.norm(x, axis=(0, 0)),
        ):
            with pytest.raises(ValueError):  # noqa: PT011
                call()

    def test_condition_numbers(self):
        a = np.diag([4.0, 2.0])
        close(gradient(np.linalg.cond, a), np.diag([0.5, -1.0]))
        close(gradient(lambda x: np.linalg.cond(x, -2), a), np.diag([-0.125, 0.25]))
        assert np.linalg.cond(leaf(np.zeros((2, 2)))).item() == np.inf


class TestRefusals:
    @pytest.mark.parametrize("function", [np.linalg.eig, np.linalg.eigvals])
    def test_complex_results(self, function):
        with pytest.raises(TypeError, match="complex in general.*numpy.linalg.eigh"):
            function(leaf(np.eye(2)))

    def test_rank_is_a_constant(self):
        assert np.linalg.matrix_rank(leaf(np.eye(3))) == 3

    def test_plain_arrays_stay_plain(self):
        from tensorgrad.ops.linalg.decompositions import eigh, svd

        assert type(eigh(np.eye(2)).eigenvalues) is np.ndarray
        assert type(svd(np.eye(2)).Vh) is np.ndarray
