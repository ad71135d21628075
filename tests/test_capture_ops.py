"""Every described operation in a captured step, with its gradients: bits of eager."""

import inspect

import numpy as np
import pytest
from battery import SMOOTH, as_tuple, described_calls
from profiles import some
from tensors import bits

import tensorgrad as tg
from tensorgrad.facts import facts_of


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
    for call in some(described_calls(name)):
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
    "copyto by name": lambda x, out: np.copyto(src=x, dst=out),
    "fill_diagonal by name": lambda x, out: np.fill_diagonal(a=out[:, None], val=9.0),
    "median in place": lambda x, out: np.median(out, overwrite_input=True),
    "nan_to_num in place": lambda x, out: np.nan_to_num(out, False, posinf=7.0),
    "nanmedian in place": lambda x, out: np.nanmedian(a=out, overwrite_input=True),
    "nanpercentile in place": lambda x, out: np.nanpercentile(out, 9, 0, None, True),
    "nanquantile in place": lambda x, out: np.nanquantile(out, 0.9, 0, None, True),
    "ndarray.partition": lambda x, out: out.partition(1),
    "percentile in place": lambda x, out: np.percentile(out, 9, overwrite_input=True),
    "put by name": lambda x, out: np.put(a=out, ind=[0], v=3.0),
    "put_along_axis by name": lambda x, out: np.put_along_axis(
        arr=out, indices=np.array([1]), values=3.0, axis=0
    ),
    "quantile in place": lambda x, out: np.quantile(out, 0.9, overwrite_input=True),
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
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_an_array_that_a_function_writes_to_is_written_in_every_call(name):
    def step(x):
        out = np.zeros_like(x)
        np.divide(x, x - 5.5, out)
        INTO[name](x, out)
        return out * 1.0

    compiled = tg.compile(step, fused=False)
    for k in range(4):
        x = np.arange(3.0) + k + 0.5
        assert bits(compiled(x)) == bits(step(x))


def test_what_may_write_to_an_argument_is_known_to():
    def names(function):
        try:
            return set(inspect.signature(function).parameters)
        except (TypeError, ValueError):
            return set()

    may = {n for n, f in vars(np).items() if "overwrite_input" in names(f)}
    asked = {"overwrite_input": True, "copy": False}
    assert len(may) >= 6
    for name in {*may, "nan_to_num"}:
        assert facts_of(getattr(np, name)).writes(asked), name


def test_a_function_that_returns_nothing_is_refused(tmp_path):
    step = tg.compile(lambda x: np.save(file=tmp_path / "x.npy", arr=x * 2.0))
    with pytest.raises(tg.CaptureError, match=r"save, which returns nothing"):
        step(np.ones(3))


@pytest.mark.parametrize("name", ["byteswap", "flat", "setfield"])
def test_an_attribute_that_is_not_recorded_is_refused(name):
    step = tg.compile(lambda x: getattr(x * 2.0, name))
    with pytest.raises(tg.CaptureError, match=rf"by \.{name}"):
        step(np.ones(3))
