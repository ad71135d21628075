"""The checker on gradients from outside: all wrong ones fail, no right one does."""

import os
import warnings
from importlib import import_module

import numpy as np
import pytest
from corpus import historical, subtle

from tensorgrad.testing import check_vjp

NIGHTLY = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"
SEEDS = range(20 if NIGHTLY else 1)
HISTORICAL, SUBTLE = historical(), subtle()


def verdict(f, vjp, point, seed=0):
    options = {"rng": seed, "explain": False, "raise_on_failure": False}
    return check_vjp(f, vjp, point, **options).verdict


@pytest.mark.parametrize("case", HISTORICAL + SUBTLE, ids=lambda c: c.name)
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


@pytest.fixture(scope="module", params=["torch", "jax"])
def foreign(request):
    """Right functions of a framework, one in four but in the nightly profile.

    JAX compiles each of its functions, which takes minutes: nightly alone.
    """
    if request.param == "jax" and not NIGHTLY:
        pytest.skip("compiles for minutes; in the nightly profile")
    pytest.importorskip(request.param)
    functions = import_module(f"corpus.of_{request.param}").functions()
    assert len(functions) >= 200
    return functions[:: 1 if NIGHTLY else 4]


def test_right_functions_of_other_frameworks_pass(foreign):
    with warnings.catch_warnings(), np.errstate():
        warnings.simplefilter("ignore")
        said = {f.name: verdict(f.f, f.vjp, f.point) for f in foreign}
    assert {name: v for name, v in said.items() if v != "agrees"} == {}
