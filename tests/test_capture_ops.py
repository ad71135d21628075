"""Every described operation in a captured step, with its gradients: bits of eager."""

import numpy as np
import pytest
from battery import SMOOTH, as_tuple, described_calls
from tensors import bits

import tensorgrad as tg


def step_of(call):
    """Return a step on the arrays of a call: outputs, and gradients of their sum."""

    def step(*arrays):
        xs = [tg.Tensor(a, requires_grad=True) for a in arrays]
        ys = as_tuple(call(*xs))
        live = [y for y in ys if y.requires_grad and is_float(y)]
        loss = sum((np.sum(y * y + y) for y in live), start=tg.Tensor(0.0))
        if loss.requires_grad:
            loss.backward()
        return [*ys, *(x.grad for x in xs)]

    return step


def is_float(y):
    return y.dtype.kind == "f"


SHAPED_BY_VALUES = ["polymul", "trim_zeros", "union1d", "unique"]


@pytest.mark.parametrize("name", SHAPED_BY_VALUES)
def test_a_shape_that_values_decide_is_refused(name):
    call = described_calls(name)[0]
    with pytest.raises(tg.CaptureError, match="as many elements as values say"):
        tg.compile(step_of(call))(*call.arrays)


LOOKED_AT = {"dropout": "rate", "interp": "period"}
"""Arguments that are validated in Python: as tensors they are refused."""


@pytest.mark.parametrize("name", LOOKED_AT)
def test_an_argument_that_is_looked_at_is_refused_as_a_tensor(name):
    (call,) = (c for c in described_calls(name) if LOOKED_AT[name] in c.lifted)
    with pytest.raises(tg.CaptureError, match="reads a value in Python"):
        tg.compile(step_of(call))(*call.arrays)


@pytest.mark.parametrize("name", [n for n in SMOOTH if n not in SHAPED_BY_VALUES])
def test_operation_has_the_bits_of_eager(name):
    for call in described_calls(name):
        if LOOKED_AT.get(name) in call.lifted:
            continue
        step = step_of(call)
        compiled = tg.compile(step, fused=False)
        for scale in (1.0, 1.0, 0.9, 1.1):
            arrays = [np.asarray(a * scale) for a in call.arrays]
            with np.errstate(all="ignore"):
                expected = bits(step(*arrays))
                assert bits(compiled(*arrays)) == expected, call
