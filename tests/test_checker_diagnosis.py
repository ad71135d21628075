"""What the gradient checker says is wrong: a sentence of each class of fault."""

import subprocess
import sys

import numpy as np
import pytest
from checks import primitive, verdict
from tensors import normal

import tensorgrad as tg
from benchmarks.mutants import (
    MUTANTS,
    overwriting_walk,
    planted,
    primitives_below,
)
from tensorgrad.ops.support.registry import registry
from tensorgrad.testing import check_gradient, check_vjp

SHAPES = {
    "tanh": [(3, 3)],
    "exp": [(2, 3)],
    "multiply": [(4, 3), (3,)],
    "divide": [(4, 3), (4, 1)],
    "logaddexp": [(4, 3), (3,)],
    "matmul": [(3, 3), (3, 3)],
    "inv": [(3, 3)],
    "cumsum": [(4,)],
    "take": [(3,)],
    "tile": [(3,)],
    "sort": [(5,)],
}
OPTIONS = {"take": {"indices": np.array([0, 2, 2, 1, 0])}, "tile": {"reps": 3}}

PLANTED = {
    "factor": ("tanh", "multiply", "matmul", "cumsum"),
    "sign": ("tanh", "divide", "matmul"),
    "transposed": ("tanh", "matmul", "inv"),
    "missing sum": ("multiply", "divide", "logaddexp"),
    "overwritten": ("cumsum", "take", "tile"),
    "zero": ("exp", "multiply", "inv"),
    "stale": ("tanh", "multiply", "matmul", "inv"),
    "float32": ("exp", "matmul", "cumsum"),
    "permuted": ("exp", "cumsum", "take"),
}


def call(name):
    def f(*arrays):
        return registry[name].function(*arrays, **OPTIONS.get(name, {}))

    return f


def trials():
    for kind, names in PLANTED.items():
        for mutant in (m for m in MUTANTS if m.kind == kind):
            for name in names:
                yield pytest.param(name, mutant, id=f"{name}, {kind}: {mutant.name}")


def plain(f, vjp, *x):
    return check_vjp(f, vjp, x, raise_on_failure=False)


@pytest.mark.parametrize(("name", "mutant"), [*trials()])
def test_class_of_a_planted_fault_is_named(name, mutant):
    rng = np.random.default_rng(0)
    dtype = np.float32 if mutant.kind == "float32" else np.float64
    # Not an inverse that is nearly symmetric, nor arrays that are.
    inputs = [rng.uniform(0.5, 2, shape).astype(dtype) for shape in SHAPES[name]]
    f = call(name)
    op, *_ = primitives_below(f(*(tg.Tensor(x, requires_grad=True) for x in inputs)))
    with planted(op, max(op.rules), mutant):
        result = verdict(f, *inputs)
    assert result.fault == {"sign": "factor"}.get(mutant.kind, mutant.kind)


TIES = {
    "relu": (lambda x: np.maximum(x, 0), lambda g, x: g * ((x > 0) + 2 * (x == 0))),
    "abs": (lambda x: np.abs(x), lambda g, x: g * np.where(x, np.sign(x), -2)),
    "clip": (
        lambda x: np.clip(x, -1, 0),
        lambda g, x: g * (((x > -1) & (x < 0)) - 1.0 * (x == 0)),
    ),
    "square": (lambda x: x**2, lambda g, x: g * np.where(x == 0, 1, 2 * x)),
}


@pytest.mark.parametrize("name", TIES)
def test_wrong_only_at_a_kink(name):
    f, rule = TIES[name]
    result = verdict(primitive(f, x=rule), np.array([-0.5, 0.0, 0.8, 0.0]))
    assert result.fault == "tie"
    assert "wrong only at" in result.diagnosis


def test_wrong_only_at_ties():
    def doubled(g, x):
        return g * (x == x.max())

    result = plain(np.max, doubled, np.array([2.0, 0.5, 2.0]))
    assert result.fault == "tie"
    assert plain(np.max, doubled, np.array([2.0, 0.5, 1.0]))


# Written by hand.


@pytest.mark.parametrize(
    ("factor", "words"),
    [
        (2, "a constant factor of 2"),
        (-1, "the wrong sign: a constant factor of -1"),
        (1 / 7, "1/7, and 7 is the length of axis 0 of input 0 (a mean where a sum"),
        (7, "7, and 7 is the length of axis 0 of input 0 (a sum where a mean"),
        (-0.5, "a constant factor of -1/2"),
        (np.pi, "a constant factor of 3.14159"),
        (1 + 3e-7, "a constant factor of 1 + 3.0e-07"),
    ],
)
def test_factor_is_told(factor, words):
    result = plain(np.sin, lambda g, x: factor * g * np.cos(x), normal(7))
    assert result.fault == "factor"
    assert words in result.diagnosis


@pytest.mark.parametrize("columns", [2, 3])
def test_operand_transposed(columns):
    w = normal(3, columns, seed=1)
    result = plain(lambda x: x @ w, lambda g, x: g @ w, normal(2, 3))
    assert result.fault == "transposed"


def test_operands_that_do_not_fit():
    f = primitive(lambda a, b: a @ b, a=lambda g, b: g @ b, b=lambda g, a: a.T @ g)
    result = verdict(f, normal(2, 3), normal(3, 4))
    assert result.fault == "transposed"
    assert "core dimension" in result.diagnosis


def test_gradient_of_transposed_shape():
    result = plain(
        lambda w: normal(4, 2) @ w, lambda g, w: g.T @ normal(4, 2), np.ones((2, 3))
    )
    assert result.fault == "transposed"
    assert "shape (3, 2) where the input has (2, 3)" in result.diagnosis


def test_row_that_meets_a_column():
    f = primitive(lambda x: np.tanh(x), x=lambda g, y: g * (1 - y * y).swapaxes(-1, -2))
    result = verdict(f, normal(2, 1, 3))
    assert result.fault == "transposed"


def test_sum_without_keepdims_is_not_called_transposed():
    def back(g, x):
        return g / x.sum(axis=1)

    result = plain(lambda x: x / x.sum(axis=1, keepdims=True), back, np.ones((2, 3)))
    assert result.fault == "shape"


@pytest.mark.parametrize(
    "summed", [lambda d: d, lambda d: d[0], lambda d: d[-1], lambda d: d[1]]
)
def test_bias_without_its_sum(summed):
    result = plain(
        lambda x, b: np.tanh(x + b),
        lambda g, x, b: (
            g * (1 - np.tanh(x + b) ** 2),
            summed(g * (1 - np.tanh(x + b) ** 2)),
        ),
        normal(4, 3),
        normal(3, seed=1),
    )
    assert result.fault == "missing sum"
    assert "gradient of input 1" in result.diagnosis
    assert "axis 0" in result.diagnosis


def test_overwritten_over_uses():
    with overwriting_walk():
        result = verdict(lambda x: np.tanh(x) * np.exp(x), normal(3))
    assert result.fault == "overwritten"
    assert "used 2 times" in result.diagnosis


ROWS = np.array([2, 0, 2])


def overwritten_rows(g, w):
    dw = np.zeros_like(w)
    dw[ROWS] = g
    return dw


def overwritten_windows(g, x):
    dx = np.zeros_like(x)
    for i, each in enumerate(g):
        dx[i : i + 2] = each
    return dx


@pytest.mark.parametrize(
    ("f", "vjp", "x"),
    [
        (lambda w: w[ROWS], overwritten_rows, normal(3, 2)),
        (lambda x: x[:-1] + x[1:], overwritten_windows, normal(5)),
        (lambda x: (np.sin(x), x**2), lambda g, x: g[1] * 2 * x, normal(3)),
    ],
)
def test_overwritten_for_accumulated(f, vjp, x):
    result = plain(f, vjp, x)
    assert result.fault == "overwritten"
    assert "(=)" in result.diagnosis
    assert "(+=" in result.diagnosis


def test_zero_on_one_of_two_paths():
    result = verdict(lambda x: (np.sin(x), np.exp(x.detach())), normal(3))
    assert result.fault == "zero"
    assert "output 1" in result.diagnosis


def test_frozen_copy_of_an_input():
    x = normal(3)
    kept = x.copy()
    assert plain(np.sin, lambda g, _: g * np.cos(kept), x).fault == "stale"


def test_order_for_its_inverse_is_a_permutation():
    x = np.array([0.3, 0.9, -1.0])
    assert plain(np.sort, lambda g, x: g[np.argsort(x)], x).fault == "permuted"


def test_wrong_only_in_float32():
    f = primitive(
        lambda x: np.tanh(x),
        x=lambda g, x: g * (1 - np.tanh(x) ** 2) * (1 + (x.dtype == np.float32)),
    )
    x = normal(3)
    assert verdict(f, x)
    result = verdict(f, x.astype(np.float32))
    assert result.fault == "float32"
    assert "right in float64, wrong in float32" in result.diagnosis


def test_gradients_of_two_inputs_exchanged():
    result = plain(
        lambda a, b: a * b**2, lambda g, a, b: (g * 2 * a * b, g * b**2), normal(3), X3
    )
    assert result.fault == "exchanged"


X3 = np.array([0.5, -1.2, 2.0])


def test_not_a_number():
    result = plain(lambda x: x * x, lambda g, x: g * 2 * np.sqrt(x), X3)
    assert result.fault == "not a number"


def test_not_a_number_at_a_special_value():
    x = np.array([0.0, 0.5, 1.2])
    result = plain(lambda x: x * x, lambda g, x: g * 2 * (x * x) / x, x)
    assert result.fault == "not a number"
    assert "only at this point" in result.diagnosis
    result = plain(lambda x: x * x, lambda g, x: g * (2 * x + (x == 0)), x)
    assert result.fault == "tie"


def test_no_pattern():
    result = plain(np.sin, lambda g, x: g * (np.cos(x) + np.arange(3.0)), X3)
    assert result.fault == "unknown"
    assert "2 of 9 derivatives" in result.diagnosis


def test_single_number_asks_for_what_it_is_the_sum_of():
    result = check_gradient(
        lambda x: np.sum(np.sin(x)),
        lambda x: np.cos(x) + np.arange(3.0),
        X3,
        raise_on_failure=False,
    )
    assert "before that sum" in result.diagnosis


def test_large_jacobian_names_factor_and_zero():
    x = normal(80, 2)
    assert plain(np.sin, lambda g, x: 3 * g * np.cos(x), x).fault == "factor"
    assert plain(np.sin, lambda g, x: 0 * g, x).fault == "zero"


def test_right_to_first_order_only():
    (detached,) = (m for m in MUTANTS if m.kind == "not recorded")
    with planted(registry["tanh"].function, 0, detached):
        assert verdict(np.tanh, X3)
        assert verdict(np.tanh, X3, order=2).fault == "not recorded"


def test_matrix_is_printed():
    command = [sys.executable, "-m", "benchmarks.diagnosis_matrix", "--seeds", "1"]
    found = subprocess.run(
        [*command, "--only", "tanh", "--markdown"], capture_output=True, text=True
    )
    assert found.returncode == 0, found.stderr
    head, _, *rows = found.stdout.splitlines()[:11]
    assert head.startswith("| planted | in | trials | right | factor |")
    assert [row.split(" | ")[3] for row in rows[:2]] == ["100.0%"] * 2


@pytest.mark.parametrize("steepness", [1e2, 1e5, 1e8, 1e10])
def test_all_that_is_told_is_of_the_scale_of_the_function(steepness):
    def doubled(g, x):
        return 2 * steepness * g / np.cosh(steepness * x) ** 2

    x = np.array([0.1, 0.3, -0.5]) / steepness
    result = check_vjp(
        lambda x: np.tanh(steepness * x), doubled, x, raise_on_failure=False
    )
    assert (result.verdict, result.fault) == ("disagrees", "factor")
    for entry in result.entries("disagrees"):
        assert entry.numerical == pytest.approx(entry.analytic / 2, rel=1e-6)
