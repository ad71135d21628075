"""Tensors that a step was not given: followed from wherever it first meets them."""

import operator
import threading

import numpy as np
import pytest
from tensors import bits, leaf, parameter

import tensorgrad as tg
from tensorgrad.capture.recording.recording import record

FIRST = {
    **{f"{f.__name__}(x, y)": f for f in (operator.add, operator.sub, operator.mul)},
    **{f"{f.__name__}(x, y)": f for f in (operator.truediv, operator.pow)},
    **{f"{f.__name__}(x, y)": f for f in (operator.matmul, operator.mod, operator.lt)},
    **{f"{f.__name__}(x)": lambda x, y, f=f: f(x) for f in (operator.neg, abs)},
    "x * 2": lambda x, y: x * 2.0,
    "2 - x": lambda x, y: 2.0 - x,
    "array / x": lambda x, y: np.ones(3) / x,
    "x ** array": lambda x, y: x ** np.full(3, 2.0),
    "tg.exp": lambda x, y: tg.exp(x),
    "np.exp": lambda x, y: np.exp(x),
    "np.stack": lambda x, y: np.stack([x, y]),
    "np.sign": lambda x, y: np.sign(x - 3.0),
    "a method": lambda x, y: x.mean(),
    "an index": lambda x, y: x[1:],
    "tg.Tensor": lambda x, y: tg.Tensor(x.detach()),
    "astype": lambda x, y: x.astype(np.float32),
}
"""Ways to meet two tensors before anything else was computed."""


@pytest.mark.parametrize("first", FIRST)
@pytest.mark.parametrize("make", [parameter, lambda: tg.Tensor([1.0, 2.0, 3.0])])
def test_a_tensor_is_followed_from_where_the_step_first_meets_it(first, make):
    x, y = make(), make()

    def eager():
        return np.sum(FIRST[first](x, y))

    step = tg.compile(eager, fused=False)
    for _ in range(4):
        assert bits(step()) == bits(eager())
        with tg.no_grad():
            x += 0.25
            y *= 1.5


def test_an_array_that_the_step_makes_a_tensor_of_is_followed():
    table = np.arange(3.0)
    step = tg.compile(lambda: -tg.Tensor(table), fused=False)
    for _ in range(4):
        assert bits(step()) == bits(-table)
        table += 1.0


def test_a_thread_beside_a_recording_computes_with_arrays():
    p, k = parameter(), tg.Tensor([1.0, 2.0, 3.0])
    values = []

    def beside():
        q = parameter()
        np.sum(p * q + tg.exp(k) / k - k).backward()
        values.extend([k.numpy(), q.grad.numpy(), (-k).numpy(), (k < 2.0).numpy()])

    def step(x, others):
        y = p * x + k
        for run in others:
            thread = threading.Thread(target=run)
            thread.start()
            thread.join()
        return np.sum(y * k)

    x = np.ones(3)
    alone = record(step, (x, []), {}, {})
    together = record(step, (x, [beside]), {}, {})
    assert [type(v) for v in values] == [np.ndarray] * 4
    assert bits(values[1]) == bits(p)
    p.grad = None
    calls = [r.recorder.program.calls for r in (alone, together)]
    assert [c.origin for c in calls[0]] == [c.origin for c in calls[1]]
    assert bits(together.result) == bits(alone.result)


def test_a_host_call_sees_arrays():
    def trained():
        p = parameter()
        rate = tg.optim.SGD([p], lr=lambda step: 0.1 / (1.0 + p.numpy().sum()))
        return p, rate

    def taken(p, optimizer):
        optimizer.zero_grad()
        np.sum(p * p).backward()
        optimizer.step()

    plain, captured = trained(), trained()
    step = tg.compile(lambda: taken(*captured), fused=False)
    for _ in range(4):
        taken(*plain)
        step()
        assert bits(captured[0]) == bits(plain[0])


@pytest.mark.parametrize("graph", [lambda p: p * p, lambda p: np.sign(p) * 1.0])
def test_a_gradient_through_an_older_graph_is_of_arrays(graph):
    p = parameter()
    y = graph(p)

    def eager(x):
        p.grad = None
        np.sum(y * x).backward(retain_graph=True)
        return p.grad + 0.0

    step = tg.compile(eager, fused=False)
    for i in range(4):
        x = np.arange(3.0) + i
        assert bits(step(x)) == bits(eager(x))
        step(x)
        assert p.grad is None or type(p.grad.numpy()) is np.ndarray


def test_a_gradient_of_the_parameter_itself():
    p = leaf(2.0)

    def step():
        p.backward()
        return p * 2.0

    p.grad, step = None, tg.compile(step, fused=False)
    for _ in range(3):
        step()
        p.grad = None
    p.grad = leaf(1.0)
    with pytest.raises(tg.CaptureError, match="gradient"):
        step()
