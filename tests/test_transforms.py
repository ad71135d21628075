"""Derivatives of functions: kinds of arguments, nesting, zeros, errors."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pytest
from scipy import optimize

import tensorgrad as tg
from tensorgrad.core import backward
from tensorgrad.core.backward import interior
from tensorgrad.testing import check_gradient
from tensorgrad.transforms import derivatives, trace

X = np.array([0.5, -1.0, 2.0])


def cubes(x):
    return np.sum(x**3)


class TestGrad:
    def test_array_in_array_out(self):
        g = tg.grad(cubes)(X)
        assert type(g) is np.ndarray
        np.testing.assert_allclose(g, 3 * X**2)

    def test_float_in_float_out(self):
        g = tg.grad(lambda x: x**3)(2.0)
        assert isinstance(g, float)
        assert g == 12.0
        assert tg.grad(lambda x: x**2)(3) == 6.0

    def test_zero_axes_stay_an_array(self):
        assert type(tg.grad(lambda x: x**3)(np.array(2.0))) is np.ndarray

    def test_tensor_in_tensor_out(self):
        g = tg.grad(cubes)(tg.Tensor(X))
        assert isinstance(g, tg.Tensor)
        assert not g.requires_grad

    def test_float32_stays_float32(self):
        value, g = tg.value_and_grad(cubes)(X.astype(np.float32))
        assert value.dtype == g.dtype == np.float32

    def test_integers_are_refused(self):
        with pytest.raises(TypeError, match="floating-point"):
            tg.grad(cubes)(np.array([1, 2]))

    def test_value_must_be_one_number(self):
        with pytest.raises(ValueError, match=r"got shape \(3,\).*tg.jacobian"):
            tg.grad(lambda x: x)(X)

    def test_argnums(self):
        def f(a, b, *, c):
            return np.sum(a * b * c)

        assert tg.grad(f, 1)(2.0, 3.0, c=5.0) == 10.0
        assert tg.grad(f, (1, 0))(2.0, 3.0, c=5.0) == (10.0, 15.0)
        assert tg.grad(f, -1)(2.0, 3.0, c=5.0) == 10.0
        with pytest.raises(IndexError, match="out of range for 2"):
            tg.grad(f, 2)(2.0, 3.0, c=5.0)

    def test_nested_arguments(self):
        class Point(NamedTuple):
            u: float
            v: np.ndarray

        def f(tree):
            return tree["a"][0] * np.sum(tree["b"].v) * tree["b"].u

        g = tg.grad(f)({"a": (2.0, X), "b": Point(3.0, X)})
        assert g["a"][0] == 3 * X.sum()
        np.testing.assert_array_equal(g["a"][1], np.zeros(3))
        assert isinstance(g["b"], Point)
        np.testing.assert_allclose(g["b"].v, np.full(3, 6.0))

    def test_aux(self):
        def f(x):
            return np.sum(x * x), {"double": 2 * x, "text": "kept"}

        g, aux = tg.grad(f, has_aux=True)(X)
        np.testing.assert_allclose(g, 2 * X)
        assert type(aux["double"]) is np.ndarray
        assert aux["text"] == "kept"
        (value, _), g = tg.value_and_grad(f, has_aux=True)(X)
        assert value == np.sum(X * X)

    def test_unreached_argument_has_gradient_zero(self):
        w = tg.Tensor(X)
        np.testing.assert_array_equal(tg.grad(lambda x: np.sum(w))(X), 0 * X)
        np.testing.assert_array_equal(tg.grad(lambda x: np.sum(x > 0) * w[0])(X), 0 * X)
        assert tg.hessian(lambda x: 2 * x)(3.0) == 0.0

    @pytest.mark.parametrize(
        "derivative",
        [
            lambda f, x: tg.grad(f)(x),
            lambda f, x: tg.value_and_grad(f)(x)[1],
            lambda f, x: tg.vjp(f, x)[1](1.0)[0],
            lambda f, x: tg.jvp(f, (x,), (1.0,))[1],
            lambda f, x: tg.hessian(f)(x),
            lambda f, x: tg.grad(lambda x: (f(x), 1), has_aux=True)(x)[0],
        ],
    )
    @pytest.mark.parametrize("f", [lambda x: 3.0, lambda x: x.item()])
    def test_a_plain_number_has_derivative_zero_and_a_warning(self, derivative, f):
        assert derivative(np.ones_like, 1.0) == 0.0
        with pytest.warns(tg.GradientWarning, match="plain float, no Tensor") as caught:
            assert derivative(f, 1.0) == 0.0
        assert [w.filename for w in caught] == [__file__]

    def test_no_value_is_refused(self):
        with pytest.raises(ValueError, match="got NoneType"):
            tg.grad(lambda x: None)(1.0)

    def test_the_derivative_of_a_choice_is_that_of_the_branch_taken(self):
        def f(x):
            while x < 10:
                x = x * x if x > 1 else x + 1
            return x

        assert tg.grad(f)(2.0) == 32.0
        assert tg.grad(f)(0.5) == 8 * 1.5**7

    def test_any_order(self):
        f = np.sin
        for expected in (np.cos, lambda x: -np.sin(x), lambda x: -np.cos(x), np.sin):
            f = tg.grad(f)
            assert f(0.3) == pytest.approx(expected(0.3), rel=1e-14)

    def test_inner_transform_does_not_confuse_outer(self):
        # d/dx [x * d/dy (x + y)] = 1: the inner derivative is a constant 1.
        assert tg.grad(lambda x: x * tg.grad(lambda y: x + y)(1.0))(2.0) == 1.0

    def test_inner_closes_over_outer(self):
        def penalty(w):
            g = tg.grad(lambda x: np.sum(w * x * x))(X)
            return np.sum(g * g)

        assert tg.grad(penalty)(2.0) == pytest.approx(16 * np.sum(X * X))

    def test_parameters_outside_stay_in_the_graph(self):
        w = tg.Tensor(X, requires_grad=True)
        g = tg.grad(lambda x: np.sum(w * x * x))(X)
        assert isinstance(g, tg.Tensor)
        (g * g).sum().backward()
        np.testing.assert_allclose(w.grad.numpy(), 8 * X * X * X)
        with tg.no_grad():
            assert type(tg.grad(lambda x: np.sum(w * x * x))(X)) is np.ndarray

    def test_outer_leaves_get_no_gradient(self):
        w = tg.Tensor(X, requires_grad=True)
        tg.grad(lambda x: np.sum(w * x))(w)
        assert w.grad is None

    def test_exception_leaves_the_mode_alone(self):
        def fails(x):
            raise ZeroDivisionError

        with tg.no_grad():
            with pytest.raises(ZeroDivisionError):
                tg.grad(fails)(1.0)
            assert not tg.is_grad_enabled()

    def test_works_under_no_grad(self):
        with tg.no_grad():
            np.testing.assert_allclose(tg.grad(tg.grad(cubes_of_one))(2.0), 12.0)

    def test_scipy_minimises(self):
        def rosenbrock(x):
            return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

        found = optimize.minimize(
            tg.value_and_grad(rosenbrock),
            np.zeros(5),
            jac=True,
            hess=tg.hessian(rosenbrock),
            method="trust-ncg",
        )
        np.testing.assert_allclose(found.x, np.ones(5), atol=1e-4)


def cubes_of_one(x):
    return x**3


class TestProducts:
    def test_vjp(self):
        out, back = tg.vjp(lambda x, w: (x * w, x.sum()), X, 2.0)
        np.testing.assert_allclose(out[0], 2 * X)
        for _ in range(2):
            gx, gw = back((np.array([1.0, 10.0, 100.0]), 5.0))
            np.testing.assert_allclose(gx, [7.0, 25.0, 205.0])
            assert gw == pytest.approx(X @ [1.0, 10.0, 100.0])

    def test_vjp_is_differentiable_in_the_cotangent(self):
        def f(u):
            _, back = tg.vjp(np.exp, X)
            return np.sum(back(u)[0] ** 2)

        np.testing.assert_allclose(tg.grad(f)(X), 2 * X * np.exp(2 * X))

    def test_vjp_shapes_are_checked(self):
        _, back = tg.vjp(np.exp, X)
        with pytest.raises(ValueError, match=r"expected a vector of shape \(3,\)"):
            back(np.ones(2))
        _, back = tg.vjp(lambda x: (x, x), X)
        with pytest.raises(ValueError, match="expected 2 cotangents"):
            back((X,))

    def test_jvp_agrees_with_vjp(self):
        rng = np.random.default_rng(0)
        w = rng.normal(size=(3, 4))
        v, u = rng.normal(size=3), rng.normal(size=4)

        def f(x):
            return np.tanh(x @ w) * np.sum(x)

        out, tangent = tg.jvp(f, (X,), (v,))
        np.testing.assert_allclose(out, f(X))
        (pulled,) = tg.vjp(f, X)[1](u)
        assert u @ tangent == pytest.approx(pulled @ v)

    def test_jvp_of_what_does_not_depend(self):
        _, tangent = tg.jvp(lambda x: (x * 2, 5.0), (X,), (X,))
        np.testing.assert_allclose(tangent[0], 2 * X)
        assert tangent[1] == 0.0

    def test_jvp_and_grad_nest(self):
        assert tg.jvp(tg.grad(np.sin), (0.3,), (2.0,))[1] == pytest.approx(
            -2 * np.sin(0.3)
        )
        assert tg.grad(lambda x: tg.jvp(np.sin, (x,), (2.0,))[1])(0.3) == pytest.approx(
            -2 * np.sin(0.3)
        )

    def test_jvp_of_the_identity(self):
        _, tangent = tg.jvp(lambda x: x, (X,), (2 * X,))
        np.testing.assert_array_equal(tangent, 2 * X)

    @pytest.mark.parametrize("product", [tg.jvp, tg.hvp])
    def test_primals_and_tangents_are_tuples(self, product):
        name = product.__name__
        with pytest.raises(TypeError, match=f"^{name}: primals must be a tuple"):
            product(cubes, X, X)
        with pytest.raises(TypeError, match=f"^{name}: tangents must be a tuple"):
            product(cubes, (X,), X)

    def test_hvp(self):
        (product,) = tg.hvp(cubes, (X,), (X,))
        np.testing.assert_allclose(product, 6 * X * X)
        one, two = tg.hvp(lambda a, b: np.sum(a * b), (X, X), (X, 2 * X))
        np.testing.assert_allclose(one, 2 * X)
        np.testing.assert_allclose(two, X)


class TestJacobians:
    def test_shape_is_output_then_input(self):
        w = np.arange(6.0).reshape(2, 3)
        j = tg.jacobian(lambda w: np.matmul(w, X))(w)
        assert j.shape == (2, 2, 3)
        expected = np.einsum("ij,k->ijk", np.eye(2), X)
        np.testing.assert_allclose(j, expected)

    def test_of_a_scalar_is_the_gradient(self):
        np.testing.assert_allclose(tg.jacobian(cubes)(X), 3 * X**2)

    def test_empty_output(self):
        assert tg.jacobian(lambda x: x[:0])(X).shape == (0, 3)

    def test_unreached(self):
        np.testing.assert_array_equal(
            tg.jacobian(lambda x: np.ones(2))(X), np.zeros((2, 3))
        )

    def test_nested(self):
        j = tg.jacobian(lambda d: {"out": d["u"] * d["v"]})({"u": X, "v": 2.0})
        np.testing.assert_allclose(j["out"]["u"], 2 * np.eye(3))
        np.testing.assert_allclose(j["out"]["v"], X)

    def test_hessian_is_right_and_symmetric(self):
        def f(x):
            return np.sum(np.exp(x)) * np.sum(x**2)

        check_gradient(tg.grad(f), tg.hessian(f), X)
        h = tg.hessian(f)(X)
        np.testing.assert_allclose(h, h.T, rtol=1e-14)

    def test_hessian_is_jacobian_of_jacobian(self):
        np.testing.assert_allclose(
            tg.hessian(cubes)(X), tg.jacobian(tg.jacobian(cubes))(X)
        )

    def test_differentiates_again(self):
        third = tg.jacobian(tg.hessian(cubes))(X)
        assert third.shape == (3, 3, 3)
        assert third[1, 1, 1] == pytest.approx(6.0)


class TestCheckpoint:
    def setup_method(self):
        rng = np.random.default_rng(0)
        self.w = tg.Tensor(rng.normal(size=(3, 3)), requires_grad=True)
        self.x = tg.Tensor(X, requires_grad=True)

    def block(self, t):
        return np.tanh(t @ self.w) * self.w.sum() + t

    def gradients(self, block):
        mid = self.x * 2
        y = (block(block(mid)) * mid).sum()
        y.backward(create_graph=True)
        first = [self.x.grad, self.w.grad]
        self.x.grad = self.w.grad = None
        (first[0] * first[0] + first[1].sum()).sum().backward()
        found = [*first, self.x.grad, self.w.grad]
        self.x.grad = self.w.grad = None
        return [g.numpy() for g in found]

    def test_same_gradients_to_second_order(self):
        plain = self.gradients(self.block)
        again = self.gradients(tg.checkpoint(self.block))
        for a, b in zip(again, plain, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12)

    def test_keeps_no_intermediate(self):
        import weakref

        seen = []

        def block(t):
            inner = np.exp(t)
            seen.append(weakref.ref(inner.data))
            return np.exp(inner)

        y = tg.checkpoint(block)(self.x)
        assert seen[0]() is None
        y.sum().backward()
        assert len(seen) == 2

    def test_another_value_the_second_time_raises(self):
        rng = np.random.default_rng(0)

        def block(t):
            return t * rng.normal()

        y = tg.checkpoint(block)(self.x).sum()
        with pytest.raises(tg.GraphError, match="computed another value"):
            y.backward()

    def test_no_gradient_nothing_kept(self):
        with tg.no_grad():
            assert not tg.checkpoint(self.block)(self.x).requires_grad
        assert not tg.checkpoint(np.exp)(tg.Tensor(X)).requires_grad

    def test_wants_a_tensor(self):
        with pytest.raises(TypeError, match="returns a Tensor"):
            tg.checkpoint(lambda t: (t, t))(self.x)

    def test_argument_written_to_between_is_seen(self):
        y = tg.checkpoint(np.exp)(self.x).sum()
        with tg.no_grad():
            self.x += 1.0
        with pytest.raises(tg.MutationError):
            y.backward()


def test_second_output_alone_to_second_order():
    x = tg.Tensor([1.5, -2.5], requires_grad=True)
    _, whole = np.modf(x)
    whole.sum().backward(create_graph=True)
    assert x.grad.numpy().tolist() == [0.0, 0.0]
    np.testing.assert_array_equal(
        tg.grad(lambda t: np.sum(tg.grad(lambda u: np.sum(np.modf(u)[1]))(t)))(X), 0 * X
    )


class TestHooks:
    def test_hook_sees_the_total_once(self):
        x = tg.Tensor(X, requires_grad=True)
        h = x * 2
        seen = []
        handle = h.register_hook(lambda g: seen.append(g.numpy().copy()))
        (h * h + h).sum().backward(retain_graph=True)
        assert len(seen) == 1
        np.testing.assert_allclose(seen[0], 2 * h.numpy() + 1)
        handle.remove()
        handle.remove()
        (h * 3).sum().backward()
        assert len(seen) == 1

    def test_hook_replaces(self):
        x = tg.Tensor(X, requires_grad=True)
        h = x * 2
        h.register_hook(lambda g: g * 10)
        x.register_hook(lambda g: g + 1)
        h.sum().backward()
        np.testing.assert_allclose(x.grad.numpy(), np.full(3, 21.0))

    def test_hook_is_recorded(self):
        x = tg.Tensor(2.0, requires_grad=True)
        h = x * 1.0
        h.register_hook(lambda g: g * h)
        (h * h).backward(create_graph=True)
        first, x.grad = x.grad, None
        assert first.item() == 8.0  # 2 h * h
        first.backward()
        # d/dx [2 h * h], and the hook on h once more: 4 h * h
        assert x.grad.item() == 16.0

    def test_hook_of_the_wrong_shape_is_named(self):
        x = tg.Tensor(X, requires_grad=True)
        x.register_hook(lambda g: g.sum())
        with pytest.raises(tg.GraphError, match="hook must return"):
            (x * 1).sum().backward()

    def test_hook_on_a_constant(self):
        with pytest.raises(tg.GraphError):
            tg.Tensor(X).register_hook(print)

    def test_retain_grad(self):
        x = tg.Tensor(X, requires_grad=True)
        h = x * 2
        h.retain_grad()
        (h * h).sum().backward()
        np.testing.assert_allclose(h.grad.numpy(), 2 * h.numpy())
        np.testing.assert_allclose(x.grad.numpy(), 4 * h.numpy())

    def test_hooks_go_with_their_tensor(self):
        from tensorgrad.core.hooks import hooks

        known = len(hooks)
        h = tg.Tensor(X, requires_grad=True) * 2
        h.register_hook(lambda g: None)
        h.retain_grad()
        del h
        assert len(hooks) == known


# Nests of other kinds.


@dataclass(frozen=True)
class Weights:
    w: object
    b: object
    size: int = field(init=False)

    def __post_init__(self):
        object.__setattr__(self, "size", np.size(self.w))


def test_gradients_come_nested_in_dataclasses_and_kinds_of_dict():
    point = Weights(np.array([1.0, 2.0]), {"c": 3.0})
    gradient = tg.grad(lambda p: np.sum(p.w**2) * p.b["c"])(point)
    assert isinstance(gradient, Weights)
    assert gradient.size == 2
    assert gradient.w.tolist() == [6.0, 12.0]
    assert gradient.b == {"c": 5.0}
    counted = defaultdict(list, {"w": np.array([1.0, 2.0])})
    found = tg.grad(lambda p: np.sum(p["w"] ** 2))(counted)
    assert type(found) is defaultdict
    assert found["w"].tolist() == [2.0, 4.0]


def test_an_inner_gradient_does_not_look_through_all_that_was_recorded_before(
    monkeypatch,
):
    lengths = []

    def counted(*args, **kwargs):
        lengths.append(len(nodes := interior(*args, **kwargs)))
        return nodes

    monkeypatch.setattr(backward, "interior", counted)
    monkeypatch.setattr(trace, "interior", counted)

    def descended(x):
        for _ in range(20):
            x = x - 0.1 * tg.grad(lambda y: np.sum(y**4))(x)
        return np.sum(x)

    gradient = tg.grad(descended)(np.array([0.5, -0.3]))
    *inner, _, outer = lengths
    assert outer > 60
    assert max(inner) < 6
    h = 1e-6 * np.eye(2)
    ups, downs = (
        [descended(np.array([0.5, -0.3]) + sign * e) for e in h] for sign in (1, -1)
    )
    np.testing.assert_allclose(gradient, np.subtract(ups, downs) / 2e-6, rtol=1e-6)


def test_columns_are_computed_at_once_where_an_operation_has_many_outputs():
    calls = []

    def f(x):
        parts = [*np.tile(x, (30, 4))]
        calls.append(len(parts))
        return np.stack([p * p for p in parts])

    x = tg.Tensor(np.ones(3), requires_grad=True)
    outputs = f(x)
    assert derivatives._few([outputs.node]) > 1000
    assert tg.jacobian(f)(np.ones(3)).shape == (30, 12, 3)


def test_gradients_in_a_graph_share_no_memory():
    kept = []

    @tg.primitive
    def itself(x):
        return x * 1.0

    itself.vjp(x=lambda g, y: y)

    def f(a, b, c, d):
        d.register_hook(kept.append)
        return (a + b).sum() + itself(c).sum() + (d * d).sum()

    xs = [tg.Tensor(np.ones(3), requires_grad=True) for _ in range(4)]
    found = tg.grad(f, argnums=(0, 1, 2, 3))(*xs)
    assert all(g.requires_grad for g in found[2:3])
    kept.append(found[2].node.saved)
    memory = [*(g.numpy() for g in found), kept[0].numpy(), *kept[1]]
    arrays = [x for x in memory if isinstance(x, np.ndarray)]
    for i, a in enumerate(arrays):
        assert not any(np.shares_memory(a, b) for b in arrays[:i])
