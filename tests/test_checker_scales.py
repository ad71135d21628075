"""Gradients of widely different scale: none passes wrongly, none fails wrongly."""

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.testing import gradcheck

X = np.array([0.5, -1.2, 2.0])
LONG = np.random.default_rng(3).normal(size=100)


def sine(factor):
    @tg.primitive
    def op(x):
        return np.sin(x)

    op.vjp(x=lambda g, x: factor * g * np.cos(x))
    return op


def small_first(f, x):
    return np.stack([1e-12 * f(x[0]), 1e12 * np.cos(x[1])])


def large_last(f, x):
    return np.stack([1e-12 * np.sin(x[0]), 1e12 * f(x[1])])


def small_half(f, x):
    return np.concatenate([1e-12 * f(x[:50]), 1e12 * np.cos(x[50:])])


def large_half(f, x):
    return np.concatenate([1e-12 * np.sin(x[:50]), 1e12 * f(x[50:])])


def of_the_same_inputs(f, x):
    return np.concatenate([1e-12 * f(x), 1e12 * np.cos(x)])


def one_small_entry(f, x):
    return np.concatenate([1e-12 * f(x[:1]), 1e12 * np.cos(x[1:])])


def less_far_apart(f, x):
    return np.concatenate([1e-7 * f(x[:50]), np.cos(x[50:])])


def beside_a_constant(f, x):
    return np.concatenate([1e12 + 0 * x, f(x)])


FUNCTIONS = [
    (small_first, X),
    (large_last, X),
    (small_half, LONG),
    (large_half, LONG),
    (of_the_same_inputs, LONG),
    (one_small_entry, LONG),
    (less_far_apart, LONG),
    (beside_a_constant, LONG),
]


@pytest.mark.parametrize(("f", "x"), FUNCTIONS)
@pytest.mark.parametrize("seed", range(3))
def test_right_gradients_agree(f, x, seed):
    assert gradcheck(lambda x: f(sine(1.0), x), x, rng=seed).verdict == "agrees"


@pytest.mark.parametrize(("f", "x"), FUNCTIONS)
@pytest.mark.parametrize("factor", [2.0, 0.0, -1.0, 1.001])
def test_wrong_gradients_disagree(f, x, factor):
    wrong = sine(factor)
    result = gradcheck(lambda x: f(wrong, x), x, explain=False, raise_on_failure=False)
    assert result.verdict == "disagrees"


@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_gradient_below_the_rounding_of_the_values_is_too_noisy(factor):
    op = sine(factor)
    result = gradcheck(lambda x: 1e12 + 1e-12 * op(x), X, raise_on_failure=False)
    assert result.verdict == "too noisy"


def test_small_slope_of_a_line_is_seen_over_large_steps():
    assert gradcheck(lambda x: 1e6 + 1e-12 * x, X)


def test_entries_out_of_sight_are_noted():
    result = gradcheck(lambda x: 1e-12 * np.sin(x[0]) + 1e12 * np.cos(x[1]), X)
    assert result.verdict == "agrees"
    assert any(f.fault == "hidden" for f in result.last.findings)
    assert "too small beside the" in str(result)
