"""Points that are nested, and what other libraries give and take as gradients."""

import json
from collections import OrderedDict, defaultdict
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tensorgrad as tg
from tensorgrad.core import tree
from tensorgrad.testing import check_gradient, check_vjp, gradcheck

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(8, 3)), RNG.normal(size=8)


class Line(NamedTuple):
    w: Any
    b: Any


@dataclass(frozen=True)
class Net:
    w: Any
    b: Any
    name: str = "net"
    size: int = field(init=False, default=0)


def leaves_of(params):
    """Return weights and offset of any of the nests below."""
    if isinstance(params, dict):
        return params["w"], params["b"]
    if isinstance(params, list):
        return params
    return params.w, params.b


def loss(params):
    w, b = leaves_of(params)
    return np.mean((X @ w + b - Y) ** 2)


def slopes(params):
    w, b = leaves_of(params)
    r = X @ w + b - Y
    return 2 * X.T @ r / len(Y), 2 * np.mean(r)


W, B = RNG.normal(size=3), 0.25
NESTS = {
    "dict": ({"w": W, "b": B}, lambda w, b: {"b": b, "w": w}, "params['w'][1]"),
    "ordered": (
        OrderedDict(w=W, b=B),
        lambda w, b: OrderedDict(b=b, w=w),
        "params['w'][1]",
    ),
    "defaultdict": (
        defaultdict(float, {"w": W, "b": B}),
        lambda w, b: {"w": w, "b": b},
        "params['w'][1]",
    ),
    "list": ([W, B], lambda w, b: [w, b], "params[0][1]"),
    "list, pair given": ([W, B], lambda w, b: (w, b), "params[0][1]"),
    "namedtuple": (Line(W, B), Line, "params.w[1]"),
    "namedtuple, pair given": (Line(W, B), lambda w, b: (w, b), "params.w[1]"),
    "dataclass": (Net(W, B), Net, "params.w[1]"),
    "dataclass, dict given": (
        Net(W, B),
        lambda w, b: {"w": w, "b": b},
        "params.w[1]",
    ),
}


@pytest.mark.parametrize("name", NESTS)
def test_a_gradient_nested_as_the_point_is_checked(name):
    params, nest, path = NESTS[name]
    assert check_gradient(loss, lambda p: nest(*slopes(p)), params)

    def wrong(p):
        w, b = slopes(p)
        return nest(w * [1, 1.01, 1], b)

    result = check_gradient(loss, wrong, params, raise_on_failure=False)
    assert result.verdict == "disagrees"
    assert str(result.worst) == f"d output 0 / d {path}"
    assert path.removesuffix("[1]") in result.diagnosis
    assert f"disagrees: {path.removesuffix('[1]')} (1 of 3); agrees: " in str(result)
    assert "input 0" not in str(result)


def test_nests_in_nests_are_named_by_their_path():
    point = {"layers": [{"w": np.ones((2, 2))}, {"w": np.full((2, 1), 3.0)}]}

    def f(p):
        return np.sum(np.array([2.0, 1.0]) @ p["layers"][0]["w"] @ p["layers"][1]["w"])

    def df(p):
        first, last = (layer["w"] for layer in p["layers"])
        return {
            "layers": [
                {"w": np.outer([2.0, 1.0], last)},
                {"w": -(np.array([2.0, 1.0]) @ first)[:, None]},
            ]
        }

    result = check_gradient(f, df, point, raise_on_failure=False)
    assert result.worst.names["input 1"] == "p['layers'][1]['w']"
    assert "the gradient of p['layers'][1]['w'] has the wrong sign" in result.diagnosis
    assert "p['layers'][1]['w'] = np.array(" in str(result)


def test_a_function_of_several_arguments_of_which_one_is_nested():
    def f(params, x):
        return np.tanh(x @ params["w"])

    def vjp(g, params, x):
        g = g * (1 - np.tanh(x @ params["w"]) ** 2)
        return {"w": x.T @ g}, g @ params["w"].T

    def jvp(u, params, x):
        slope = 1 - np.tanh(x @ params["w"]) ** 2
        return slope * (x @ u[0]["w"] + u[1] @ params["w"])

    point = ({"w": RNG.normal(size=(3, 2))}, RNG.normal(size=(4, 3)))
    assert check_vjp(f, vjp, point, jvp=jvp)
    wrong = check_vjp(
        f,
        lambda g, p, x: (vjp(g, p, x)[0], 2 * vjp(g, p, x)[1]),
        point,
        raise_on_failure=False,
    )
    assert "the gradient of x is wrong by a constant factor of 2" in wrong.diagnosis
    adjoint = check_vjp(
        f, vjp, point, jvp=lambda u, p, x: 2 * jvp(u, p, x), raise_on_failure=False
    )
    assert adjoint.fault == "adjoint"


def test_what_has_no_gradient_in_a_nest_is_held_constant():
    def f(p):
        assert isinstance(p["activation"], str)
        return np.sum(p["w"] ** p["power"]) if p["bias"] is None else None

    def df(p):
        return {"w": p["power"] * p["w"] ** (p["power"] - 1)}

    params = {"w": W, "power": 3, "activation": "relu", "bias": None}
    result = check_gradient(f, df, params)
    assert result
    assert result.notes == [
        "p['power'] is int64: it has no gradient and is held constant; pass "
        "floating-point numbers to check it"
    ]


@pytest.mark.parametrize(
    ("gradient", "missing"), [({"w": W}, "b"), ({}, "w"), (W, "w"), ([], "w")]
)
def test_a_gradient_of_another_nesting_is_told(gradient, missing):
    result = check_gradient(
        loss, lambda p: gradient, {"w": W, "b": B}, raise_on_failure=False
    )
    assert result.fault == "shape"
    assert f"the gradient holds nothing for params['{missing}']" in result.diagnosis


def test_none_is_the_gradient_of_a_constant():
    result = check_gradient(
        lambda p: np.sum(p["w"] ** 2),
        lambda p: {"w": 2 * p["w"], "b": None},
        {"w": W, "b": B},
    )
    assert "the gradient of p['b'] is None: it is taken not to reach" in str(result)


def test_a_nest_without_floating_point_numbers():
    with pytest.raises(TypeError, match=r"at the leaves of the point, got p\['n'\]"):
        check_gradient(lambda p: p["n"], lambda p: p, {"n": 3})
    with pytest.raises(TypeError, match=r"p\['z'\] is complex, expected real numbers"):
        check_gradient(lambda p: p["z"], lambda p: p, {"z": 1j, "x": 1.0})


def test_numbers_written_as_lists_are_arrays():
    assert check_gradient(lambda x: np.sum(x**2), lambda x: 2 * x, [[1.0, 2], [3, 4.0]])
    assert check_gradient(lambda a, b: a @ b, lambda a, b: (b, a), ([1.0, 2], (3.0, 4)))


def test_functions_of_tensors_take_nests():
    def f(params, x):
        return np.tanh(x @ params["w"] + params["b"])

    params = {"w": RNG.normal(size=(3, 2)), "b": np.zeros(2, np.float32)}
    assert gradcheck(f, params, X, order=2, argnums=0)
    assert gradcheck(f, params, X, argnums=0).names == {
        "input 0": "params['w']",
        "input 1": "params['b']",
    }

    def cut(params, x):
        return f({"w": params["w"], "b": params["b"].detach()}, x)

    result = gradcheck(cut, params, X, raise_on_failure=False)
    assert "the gradient of params['b'] is zero and should not be" in result.diagnosis
    with pytest.raises(ValueError, match="argnums names input 2, expected one of 2"):
        gradcheck(f, params, X, argnums=2)


def test_what_a_user_says_of_inputs_is_left_alone():
    def df(p):
        raise ValueError("input 0 is bad")

    result = check_gradient(loss, df, {"w": W, "b": B}, raise_on_failure=False)
    assert "input 0 is bad" in result.diagnosis


# SciPy's conventions.


def test_value_and_gradient_from_one_function():
    def both(x, scale=1.0):
        return np.sum(x**4), scale * 4 * x**3

    assert check_gradient(both, True, W)
    wrong = check_gradient(lambda x: both(x, 0.5), True, W, raise_on_failure=False)
    assert "constant factor of 1/2" in wrong.diagnosis
    assert check_gradient(
        tg.value_and_grad(lambda p: np.sum(p["w"] ** 2)), True, {"w": W}
    )


def test_value_alone_where_both_were_expected():
    with pytest.raises(TypeError, match="value and the derivative, as for SciPy's jac"):
        check_gradient(lambda x: np.sum(x), True, W)
    with pytest.raises(TypeError, match="df must be a function, or True .*, got False"):
        check_gradient(lambda x: np.sum(x), False, W)


@pytest.mark.parametrize("kind", ["csr_array", "csc_matrix", "coo_array", "operator"])
def test_sparse_jacobians(kind):
    sparse = pytest.importorskip("scipy.sparse")
    linalg = pytest.importorskip("scipy.sparse.linalg")
    as_kind = linalg.aslinearoperator if kind == "operator" else getattr(sparse, kind)

    def f(x):
        return x[1:] - x[:-1] ** 2

    def jacobian(x, factor=1.0):
        diagonals = [-2 * x[:-1], np.full(x.size - 1, factor)]
        shape = (x.size - 1, x.size)
        return as_kind(sparse.diags_array(diagonals, offsets=[0, 1], shape=shape))

    x = RNG.normal(size=6)
    assert check_gradient(f, jacobian, x)
    wrong = check_gradient(f, lambda x: jacobian(x, 1.1), x, raise_on_failure=False)
    assert wrong.verdict == "disagrees"
    assert wrong.worst.analytic == pytest.approx(1.1)
    turned = check_gradient(f, lambda x: jacobian(x).T, x, raise_on_failure=False)
    assert "a matrix of shape (6, 5)" in turned.diagnosis
    assert "expected (5, 6)" in turned.diagnosis


def test_sparse_gradients():
    sparse = pytest.importorskip("scipy.sparse")

    def of_one(x):
        return sparse.csr_array((2 * x * (np.arange(6) == 2))[None])

    assert check_gradient(lambda x: x[2] ** 2, of_one, RNG.normal(size=6))
    table = RNG.normal(size=(5, 2))
    assert check_vjp(
        lambda t: t[[1, 3]],
        lambda g, t: sparse.csr_array(np.eye(5)[:, [1, 3]] @ g),
        table,
    )


# Compiled functions.


def test_compiled_functions_are_checked_as_they_are_replayed():
    def f(x):
        return np.sum(np.tanh(x) ** 2)

    both = tg.compile(tg.value_and_grad(f), fused=False)
    assert check_gradient(both, True, W)
    assert check_gradient(f, tg.compile(tg.grad(f), fused=False), W)
    single = check_gradient(both, True, W.astype(np.float32))
    assert single.ok
    half = tg.compile(tg.grad(lambda x: 0.5 * f(x)), fused=False)
    wrong = check_gradient(f, half, W, raise_on_failure=False)
    assert "constant factor of 1/2" in wrong.diagnosis
    nested = tg.compile(tg.value_and_grad(lambda p: f(p["w"]) * p["b"]), fused=False)
    assert check_gradient(nested, True, {"w": W, "b": 2.0})
    with pytest.raises(TypeError, match="compiled, and a replay records nothing for"):
        gradcheck(tg.compile(f), W)


# Random nests: a right gradient passes, a fault is named by its path.

SHAPES = [(), (1,), (3,), (2, 2), (0,)]
LEAVES = st.one_of(
    st.sampled_from(SHAPES).map(lambda s: RNG.uniform(0.5, 2.0, s)),
    st.floats(0.5, 2.0),
    st.sampled_from([None, "relu", 3, True, np.arange(3), len]),
)
WRAPS = (
    lambda nest: {"only": nest},
    lambda nest: [nest, np.ones(2)],
    lambda nest: Line(nest, 1.5),
    lambda nest: Net(np.ones((1, 1)), nest),
)
NESTED = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.dictionaries(st.sampled_from(["w", "b", 0, (1, 2)]), inner, max_size=3),
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.builds(Line, inner, inner),
        st.builds(Net, inner, inner),
    ),
    max_leaves=6,
)


def is_float(leaf):
    return isinstance(leaf, float) or getattr(leaf, "dtype", np.dtype(int)).kind == "f"


def cubes(nest):
    """Return the sum of the cubes of all floating-point numbers in a nest."""
    return sum(
        np.sum(leaf**3) for leaf in tree.leaves(nest, tree.nest) if is_float(leaf)
    )


def slopes_of(nest, at=None, factor=1.0):
    """Return the gradient of that, the leaf of a number times a factor."""
    found = [3 * x**2 if is_float(x) else None for x in tree.leaves(nest, tree.nest)]
    if at is not None:
        found[at] = found[at] * factor
    return tree.refilled(nest, found, tree.nest)


@settings(max_examples=settings.default.max_examples // 3)
@given(st.one_of(*(NESTED.map(lambda n, f=f: f(n)) for f in WRAPS)), st.data())
def test_of_a_random_nest_the_wrong_leaf_is_named(point, data):
    named = list(tree.named_leaves("nest", point, tree.nest))
    live = [k for k, (_, leaf) in enumerate(named) if is_float(leaf)]
    if not live:
        with pytest.raises(TypeError, match="at the leaves of the point"):
            check_gradient(cubes, slopes_of, point)
        return
    assert check_gradient(cubes, slopes_of, point, explain=False)
    filled = [k for k in live if np.size(named[k][1])]
    if not filled:
        return
    at = data.draw(st.sampled_from(filled))
    result = check_gradient(
        cubes,
        lambda nest: slopes_of(nest, at, 1.5),
        point,
        explain=False,
        raise_on_failure=False,
    )
    assert result.verdict == "disagrees"
    name = named[at][0]
    assert str(result.worst).startswith(f"d output 0 / d {name}")
    # The path is an expression that gives the number.
    number = eval(str(result.worst).rpartition(" / d ")[2], {"nest": point})
    assert np.ndim(number) == 0
    json.dumps(result.to_dict(), allow_nan=False)


@pytest.mark.parametrize(
    "nest",
    [
        lambda a, b: {"a": a, "b": b},
        lambda a, b: Line(a, b),
        lambda a, b: Net(a, b),
        lambda a, b: [a, (b, None)],
    ],
)
def test_outputs_may_be_nested(nest):
    def vjp(factor):
        def back(g, x):
            of_a, of_b = (leaf for leaf in tree.leaves(g, tree.nest) if is_float(leaf))
            return of_a * np.cos(x) + factor * of_b * 2 * x

        return back

    def f(x):
        return nest(np.sin(x), x**2)

    assert check_vjp(f, vjp(1), Y).verdict == "agrees"
    wrong = check_vjp(f, vjp(2), Y, raise_on_failure=False)
    assert (wrong.verdict, wrong.worst.output) == ("disagrees", 1)


def test_indices_beside_numbers_are_held_constant():
    at = np.array([0, 2, 2])

    def last(g, x, at):
        gradient = np.zeros_like(x)
        gradient[at] = g
        return gradient, None

    def summed(g, x, at):
        return np.bincount(at, g, x.size), None

    result = check_vjp(lambda x, at: x[at], summed, (Y, at))
    assert result.verdict == "agrees"
    assert "at is int64" in result.notes[0]
    wrong = check_vjp(lambda x, at: x[at], last, (Y, at), raise_on_failure=False)
    assert wrong.fault == "overwritten"
