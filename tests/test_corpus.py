"""The checker on gradients from outside: all wrong ones fail, no right one does."""

import warnings
from importlib import import_module

import numpy as np
import pytest
from corpus import historical, subtle
from corpus.units import SCALES, in_float32, in_units
from profiles import NIGHTLY, some

from tensorgrad.testing import check_vjp

SEEDS = range(20 if NIGHTLY else 1)
HISTORICAL, SUBTLE = historical(), subtle()
TOO_NOISY = "scipy.signal: czt"
"""One of its outputs is what rounding leaves of a sum that is 0."""


def verdict(f, vjp, point, seed=0):
    options = {"rng": seed, "explain": False, "raise_on_failure": False}
    return check_vjp(f, vjp, point, **options).verdict


@pytest.mark.parametrize("case", some(HISTORICAL + SUBTLE), ids=lambda c: c.name)
@pytest.mark.parametrize("seed", SEEDS)
def test_wrong_gradient_fails_and_the_right_one_passes(case, seed):
    wrong = verdict(case.f, case.wrong, case.point, seed)
    assert wrong in ("disagrees", "invalid")
    assert verdict(case.f, case.right, case.point, seed) in ("agrees", "kink")


def test_the_corpus_is_as_large_as_the_page_says():
    assert len(HISTORICAL) >= 140
    assert len([c for c in HISTORICAL if "#" in c.source]) >= 100
    assert len({c.source.split(" #")[0] for c in HISTORICAL}) >= 30
    assert len(SUBTLE) >= 60
    for cases in (HISTORICAL, SUBTLE):
        assert len({c.name for c in cases}) == len(cases)


def odd(functions, every):
    """Return what does not agree of one function in so many, all of them nightly."""
    chosen = functions if NIGHTLY else some(functions[::every])
    with warnings.catch_warnings(), np.errstate():
        warnings.simplefilter("ignore")
        said = {f.name: verdict(f.f, f.vjp, f.point) for f in chosen}
    return {name: v for name, v in said.items() if v != "agrees"}


@pytest.fixture(scope="module")
def of_scipy():
    """Right functions of SciPy."""
    pytest.importorskip("scipy")
    functions = import_module("corpus.of_scipy").functions()
    assert len(functions) >= 280
    return functions


def test_right_functions_of_scipy_pass(of_scipy):
    found = odd(of_scipy, 5)
    assert set(found) <= {TOO_NOISY}
    assert set(found.values()) <= {"kink", "too noisy"}


def test_right_functions_of_scipy_pass_in_other_units(of_scipy):
    several = enumerate(of_scipy)
    moved = [in_units(f, SCALES[k % 4], SCALES[k // 4 % 4]) for k, f in several]
    found = odd(moved, 15)
    assert set(found.values()) <= {"kink", "too noisy"}
    assert list(found.values()).count("too noisy") <= max(1, 0.03 * len(moved))


def test_right_functions_of_scipy_in_float32_do_not_fail(of_scipy):
    found = odd([in_float32(f) for f in of_scipy], 15)
    assert set(found.values()) <= {"kink", "too noisy"}


@pytest.fixture(scope="module", params=["torch", "jax"])
def foreign(request):
    """Right functions of a framework; JAX compiles each, which takes minutes."""
    if request.param == "jax" and not NIGHTLY:
        pytest.skip("compiles for minutes; in the nightly profile")
    pytest.importorskip(request.param)
    functions = import_module(f"corpus.of_{request.param}").functions()
    assert len(functions) >= 200
    return functions


def test_right_functions_of_other_frameworks_pass(foreign):
    assert odd(foreign, 4) == {}
