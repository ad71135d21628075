"""The public strategies draw what they say, all of it."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

import tensorgrad as tg
from tensorgrad.testing import gradcheck, strategies

AWAY = strategies.domains(-2.0, 2.0, away_from=[0.0, 1.0], margin=0.1)

search = settings(
    max_examples=400,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def reversed_axis(x):
    return any(s < 0 for s in x.strides) and x.size > 1


def strided(x):
    return x.ndim > 0 and x.shape[-1] > 1 and x.strides[-1] > x.itemsize


def fortran(x):
    return x.flags.f_contiguous and not x.flags.c_contiguous


@pytest.mark.parametrize(
    "kind",
    [
        lambda x: x.ndim == 0,
        lambda x: x.size == 0,
        lambda x: x.ndim == 3 and x.size > 1,
        reversed_axis,
        strided,
        fortran,
        lambda x: not x.flags.writeable,
    ],
)
def test_arrays_of_every_kind_are_drawn(kind):
    assert kind(find(strategies.arrays(), kind, settings=search))


def test_an_impossible_kind_would_be_seen():
    with pytest.raises(NoSuchExample):
        find(strategies.arrays(shape=(2,)), lambda x: x.ndim != 1, settings=search)


@given(strategies.arrays(domain=AWAY))
def test_arrays_lie_on_their_domain_away_from_kinks_and_each_other(x):
    assert x.dtype == np.float64
    assert (np.abs(x) <= 2).all()
    assert (np.abs(x) >= 0.1).all()
    assert (np.abs(x - 1) >= 0.1).all()
    assert len(np.unique(x)) == x.size


@given(
    strategies.arrays(
        shape=strategies.shapes(max_dims=2, max_side=3, empty=False),
        dtype=st.sampled_from([np.float32, np.float64]),
        layout="C",
    )
)
def test_options_of_arrays(x):
    assert x.ndim <= 2
    assert x.size >= 1
    assert max(x.shape, default=1) <= 3
    assert x.dtype in (np.float32, np.float64)
    assert x.flags.c_contiguous


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_both_precisions_are_drawn(dtype):
    kinds = st.sampled_from([np.float32, np.float64])
    find(strategies.arrays(dtype=kinds), lambda x: x.dtype == dtype, settings=search)


@given(strategies.broadcastable(3))
def test_broadcastable_arrays(arrays):
    assert len(arrays) == 3
    shape = np.broadcast_shapes(*(a.shape for a in arrays))
    assert len(shape) <= 3
    values = np.concatenate([a.ravel() for a in arrays])
    assert len(np.unique(values)) == values.size


def test_broadcastable_arrays_do_broadcast():
    found = find(
        strategies.broadcastable(),
        lambda pair: pair[0].shape != pair[1].shape and pair[0].size and pair[1].size,
        settings=search,
    )
    assert found[0].shape != found[1].shape


@given(strategies.broadcastable(2, domain=[strategies.domains(), AWAY]))
def test_domains_of_broadcastable_arrays(pair):
    assert (np.abs(pair[1]) >= 0.1).all()


@given(strategies.repeated(3, domain=AWAY))
def test_repeated_array_is_one_array(arrays):
    assert len(arrays) == 3
    assert all(a is arrays[0] for a in arrays)


@given(strategies.layouts(), strategies.shapes())
def test_layouts_and_shapes(layout, shape):
    assert layout in ("C", "F", "strided", "reversed", "read-only")
    assert isinstance(shape, tuple)


# Gradients at what is drawn.


@given(strategies.arrays(domain=strategies.domains(away_from=[0.0])))
def test_gradient_away_from_a_kink(x):
    assert gradcheck(np.absolute, x).verdict == "agrees"


@given(strategies.broadcastable())
def test_gradients_of_broadcast_arrays(pair):
    assert gradcheck(lambda a, b: a * np.exp(b), *pair)


@given(strategies.repeated(2))
def test_gradient_of_a_repeated_argument(pair):
    x, y = pair
    assert gradcheck(lambda x: x * np.sin(x), x)
    assert gradcheck(lambda a, b: a * b, x, y)


@given(st.data())
@pytest.mark.parametrize("name", ["multiply", "matmul", "softmax", "concatenate"])
def test_calls_of_described_operations(name, data):
    call = data.draw(strategies.calls(name))
    assert gradcheck(call, *call.arrays)
    assert name in repr(call)


def test_property_that_fails_is_found():
    @tg.primitive
    def absolute(x):
        return np.abs(x)

    absolute.vjp(x=lambda g, x: g)

    @settings(search)
    @given(strategies.arrays(domain=strategies.domains(away_from=[0.0])))
    def check(x):
        gradcheck(absolute, x)

    with pytest.raises(tg.GradientError):
        check()


def test_error_without_hypothesis_names_the_extra():
    code = (
        "import sys; sys.modules['hypothesis'] = None\n"
        "import tensorgrad as tg\n"
        "assert tg.gradcheck(lambda x: x * x, 1.5)\n"
        "tg.testing.strategies\n"
    )
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "ImportError: tensorgrad.testing.strategies needs hypothesis" in child.stderr
    assert "pip install -e '.[test]'" in child.stderr
