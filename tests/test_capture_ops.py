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


INTO = {
    "clip": lambda x, out: np.clip(x, 1.0, 2.0, out),
    "concatenate": lambda x, out: np.concatenate([x[:1], x[1:]], 0, out),
    "cumsum": lambda x, out: np.cumsum(x, 0, None, out),
    "dot": lambda x, out: np.dot(np.outer(x, x), x, out),
    "max": lambda x, out: np.max(np.outer(x, x), 0, out),
    "mean": lambda x, out: np.mean(np.outer(x, x), 0, None, out),
    "median": lambda x, out: np.median(np.outer(x, x), 0, out),
    "nansum": lambda x, out: np.nansum(np.outer(x, x), 0, None, out),
    "ndarray.clip": lambda x, out: x.clip(1.0, 2.0, out),
    "ndarray.dot": lambda x, out: np.outer(x, x).dot(x, out),
    "ndarray.sum": lambda x, out: np.outer(x, x).sum(0, None, out),
    "ndarray.take": lambda x, out: x.take([0, 2, 1], 0, out),
    "part of an array": lambda x, out: np.sum(np.outer(x, x[:2]), 0, None, out[:2]),
    "round": lambda x, out: np.round(x, 0, out),
    "std": lambda x, out: np.std(np.outer(x, x), 0, None, out),
    "take": lambda x, out: np.take(x, [0, 2, 1], 0, out),
    "trace": lambda x, out: np.trace(np.ones((2, 2, 3)) * x, 0, 0, 1, None, out),
}


@pytest.mark.parametrize("name", INTO)
def test_an_array_given_as_out_by_position_is_written_in_every_call(name):
    def step(x):
        out = np.zeros_like(x)
        np.add(x, 1.0, out)
        INTO[name](x, out)
        return out * 1.0

    compiled = tg.compile(step, fused=False)
    for k in range(4):
        x = np.arange(3.0) + k + 0.5
        assert bits(compiled(x)) == bits(step(x))
