"""Every described operation, against NumPy and against differences, to second order."""

import numpy as np
import pytest
from battery import (
    BINARY,
    CHECKS,
    SMOOTH,
    Call,
    as_tuple,
    assert_close,
    calls,
    check_gradient,
    described_calls,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from numerical import central_difference, gradients, total

import tensorgrad as tg
from tensorgrad import ops
from tensorgrad.core.backward import interior
from tensorgrad.core.primitive import Primitive
from tensorgrad.core.registry import POSITIVE, registry


@pytest.mark.parametrize("name", SMOOTH)
@settings(max_examples=settings().max_examples // 2)
@given(data=st.data())
def test_operation(name, data):
    call = data.draw(calls(name))
    for check in CHECKS.values():
        check(call)


@pytest.mark.parametrize("name", BINARY)
@given(data=st.data())
def test_repeated_argument(name, data):
    entry = registry[name]
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    x = POSITIVE.sample(rng, data.draw(st.sampled_from([(), (3,), (2, 0), (2, 3)])))
    v = [np.asarray(rng.normal(size=x.shape))]
    _, found = gradients(lambda t: entry.function(t, t), [x], v)
    expected = central_difference(lambda a: total(entry.function(a, a), v), [x])
    assert_close(found, expected)


def test_a_planted_wrong_rule_is_caught():
    """The checks above can fail: each fault is seen by the same code."""
    entry = registry["divide"]
    right = entry.function.rules[1]
    wrong = {
        "sign": lambda g, y, b: g * y / b,
        "factor": lambda g, y, b: -2 * g * y / b,
        "stale": lambda g, y, b: -g / b,
    }
    check_gradient(Call(entry, [(2, 3), (3,)], {}))
    for rule in wrong.values():
        try:
            entry.function.vjp(b=rule)
            with pytest.raises(AssertionError):
                check_gradient(Call(entry, [(2, 3), (3,)], {}))
        finally:
            entry.function.vjp(b=right[0])
    check_gradient(Call(entry, [(2, 3), (3,)], {}))


def test_every_rule_is_described():
    """An operation that no entry of the registry reaches fails the suite."""
    defined = {
        id(op): f"{module}.{name}"
        for module in ops.__all__
        for name, op in vars(getattr(ops, module)).items()
        if isinstance(op, Primitive)
    }
    reached = set()
    for name in SMOOTH:
        for call in described_calls(name):
            xs = [tg.Tensor(a, requires_grad=True) for a in call.arrays]
            reached |= operations_below(as_tuple(call(*xs)))
            reached |= operations_below(
                gradients(call, call.arrays, call.cotangents(), create_graph=True)[1]
            )
    missing = {name for key, name in defined.items() if key not in reached}
    assert not missing, f"no described operation reaches {missing}"


def operations_below(tensors):
    roots = [t.node for t in tensors if t is not None and t.node is not None]
    return {id(n.plan.op) for n in interior(roots)}
