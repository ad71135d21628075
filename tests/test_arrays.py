"""The array decides: forwards and rules on one that answers NumPy's protocols alone."""

from dataclasses import replace

import numpy as np
import pytest
from battery import ENTRIES, described_calls
from opaque import Opaque, hidden, shown
from tensors import as_tuple, leaf

import tensorgrad as tg
from tensorgrad.ops.support.registry import registry
from tensorgrad.testing.calls import Call

LOOKED_AT = {"dropout": "rate", "interp": "period"}
"""Arguments that are validated in Python."""


def opaque_leaf(array):
    tensor = leaf(array)
    tensor._value = hidden(tensor._value)
    return tensor


def passes(call, leaf):
    """Return outputs of a call on leaves, and gradients of first and second order."""
    xs = [leaf(a) for a in call.arrays]
    ys = as_tuple(call(*xs))
    slopes = gradients(ys, xs, create_graph=True)
    return [*ys, *slopes, *gradients(slopes, xs)]


def gradients(ys, xs, **options):
    live = [y for y in ys if y.requires_grad]
    if not live:
        return []
    # The square makes what flows back depend on the values.
    sum(np.sum(y * y + y) for y in live).backward(**options)
    found = [x.grad for x in xs if x.grad is not None]
    for x in xs:
        x.grad = None
    return found


def plain(found):
    """Return results as NumPy has them: no tensors, nothing opaque."""
    return [shown(getattr(x, "_value", x)) for x in found]


def bits(values):
    return [(np.shape(v), np.asarray(v).dtype, np.asarray(v).tobytes()) for v in values]


def check_passes(call):
    """Tensors of opaque arrays give the bits of ndarrays, in such arrays alone."""
    found = passes(call, opaque_leaf)
    assert all(type(t._value) is Opaque for t in found if t.requires_grad), call
    assert bits(plain(found)) == bits(plain(passes(call, leaf))), call


def check_forward(call):
    """So do opaque arrays without a tensor."""
    found = as_tuple(call(*map(hidden, call.arrays)))
    assert bits(plain(found)) == bits(plain(as_tuple(call(*call.arrays)))), call


@pytest.mark.parametrize("name", ENTRIES)
def test_an_opaque_array_goes_through_every_forward_and_rule(name):
    for call in described_calls(name):
        if LOOKED_AT.get(name) not in call.lifted:
            with np.errstate(all="ignore"):
                check_passes(call)
                check_forward(call)


def tanh_by(forward, rule):
    """Return a call of tanh with that forward and rule."""
    op = tg.primitive(lambda x: forward(x))
    op.vjp(x=rule)
    entry = replace(registry["tanh"], function=op)
    return Call(entry, [(3,)], {}, np.random.default_rng(0))


def slope(g, y):
    return g * (1 - y * y)


def looking(g, y):
    return g if np.all(y > 0) else slope(g, y)


def asking_its_type(g, y):
    return slope(g, y) if isinstance(y, np.ndarray | tg.Tensor) else g


FAULTS = [
    (lambda x: np.tanh(np.asarray(x)), slope, "np.asarray"),
    (lambda x: np.tanh(x.tolist()), slope, "tolist"),
    (lambda x: np.frombuffer(x), slope, "bytes-like"),
    (np.tanh, looking, "by if"),
    (np.tanh, asking_its_type, "assert"),
]


@pytest.mark.parametrize(("forward", "rule", "message"), FAULTS)
def test_what_asks_an_array_for_more_is_caught(forward, rule, message):
    check_passes(tanh_by(np.tanh, slope))
    with pytest.raises((TypeError, AssertionError), match=message):
        check_passes(tanh_by(forward, rule))
