"""Every described operation, against NumPy and against differences, to second order."""

import inspect
import sys

import numpy as np
import pytest
from battery import (
    BINARY,
    SMOOTH,
    check_dtypes,
    check_forward,
    check_gradient,
    check_protocol,
    check_second_order,
    check_unshared,
    described_calls,
    is_numpy,
)
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from profiles import some
from tensors import as_tuple

import tensorgrad as tg
from benchmarks.mutants import MUTANTS, planted
from tensorgrad.core.backward import interior
from tensorgrad.core.primitive import Primitive
from tensorgrad.ops.support.registry import POSITIVE, registry
from tensorgrad.testing import GradientError, gradcheck, strategies
from tensorgrad.testing.calls import Call

# gradcheck makes a failing input smaller itself; Hypothesis would take minutes more.
UNSHRUNK = (Phase.explicit, Phase.reuse, Phase.generate)


EVERY_CALL = (
    check_forward,
    check_protocol,
    check_dtypes,
    check_unshared,
    check_gradient,
)


@pytest.mark.parametrize("name", SMOOTH)
def test_every_described_call(name):
    for call in some(described_calls(name)):
        for check in EVERY_CALL:
            check(call)


@pytest.mark.parametrize("name", ["corrcoef", "det"])
def test_what_rounding_leaves_is_no_kink(name):
    # At points of few digits, some of these derivatives are terms that cancel.
    check_second_order(described_calls(name)[2])


@pytest.mark.parametrize("name", SMOOTH)
@settings(max_examples=settings().max_examples // 7, phases=UNSHRUNK)
@given(data=st.data())
def test_drawn_calls_to_second_order(name, data):
    call = data.draw(strategies.calls(name))
    check_forward(call)
    check_protocol(call)
    check_second_order(call, data.draw(st.sampled_from([np.float64, np.float32])))


@pytest.mark.parametrize("name", BINARY)
def test_repeated_argument(name):
    function = registry[name].function
    for shape in [(), (2, 0, 3), (2, 3)]:
        x = POSITIVE.sample(np.random.default_rng(0), shape)
        gradcheck(lambda t: function(t, t), x, order=2)


NOT_TAKEN = {"out", "subok", "bias", "interpolation"}
"""What tensors have no use for, and what NumPy itself deprecated."""

RENAMED = {"where": ["condition"], "trace": ["a", "offset", "axis1", "axis2"]}
RENAMED |= {"linalg_trace": ["x", "offset"], "corrcoef": ["x", "y", "rowvar", "dtype"]}


def parameters(function):
    found = inspect.signature(function).parameters.values()
    return [p.name for p in found if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]


def has_parameters(name):
    """Whether it stands for a function of NumPy's that tells its parameters."""
    entry = registry[name]
    if not is_numpy(entry) or isinstance(entry.reference, np.ufunc):
        return False
    try:
        return bool(parameters(entry.reference))
    except ValueError:
        return False


@pytest.mark.parametrize("name", [n for n in SMOOTH if has_parameters(n)])
def test_parameters_are_those_of_the_installed_numpy(name):
    """What a newer NumPy takes is taken, in the same order."""
    entry = registry[name]
    ours = parameters(getattr(entry.function, "forward", entry.function))
    theirs = [p for p in parameters(entry.reference) if p not in NOT_TAKEN]
    theirs = RENAMED.get(name, theirs)
    assert [p for p in ours if p in theirs] == theirs


KINDS = ("factor", "sign", "zero", "missing sum", "cotangent", "not recorded")
PLANTED = [m for m in MUTANTS if m.kind in KINDS]


@pytest.mark.parametrize("mutant", PLANTED, ids=lambda m: m.name)
def test_a_planted_wrong_rule_is_caught(mutant):
    """The checks above can fail: each fault is seen by the same code."""
    divide = registry["divide"]
    call = Call(divide, [(2, 3), (3,)], {}, np.random.default_rng(0))
    check_gradient(call, mutant.order)
    with planted(divide.function, 1, mutant), pytest.raises(GradientError):
        check_gradient(call, mutant.order)
    check_gradient(call, mutant.order)


def test_every_rule_is_described():
    """An operation that no entry of the registry reaches fails the suite."""
    defined = {
        id(op): f"{module}.{name}"
        for module in sorted(sys.modules)
        if module.startswith("tensorgrad.ops.") and ".support." not in module
        for name, op in vars(sys.modules[module]).items()
        if isinstance(op, Primitive) and op.rules
    }
    calls = [call for name in SMOOTH for call in described_calls(name)]
    reached = set().union(*map(operations_reached, calls))
    missing = {name for key, name in defined.items() if key not in reached}
    assert not missing, f"no described operation reaches {missing}"


def operations_reached(call):
    """Return what a call records, and what its first and second gradients do."""
    xs = [tg.Tensor(a, requires_grad=True) for a in call.arrays]
    ys = [y for y in as_tuple(call(*xs)) if y.requires_grad]
    reached = operations_below(ys)
    for _ in range(2):
        sum((y * y).sum() for y in ys).backward(create_graph=True)
        ys = [x.grad for x in xs if x.grad is not None and x.grad.requires_grad]
        reached |= operations_below(ys)
        for x in xs:
            x.grad = None
        if not ys:
            break
    return reached


def operations_below(tensors):
    roots = [t.node for t in tensors if t.node is not None]
    return {id(n.plan.op) for n in interior(roots)}
