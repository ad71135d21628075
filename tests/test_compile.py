"""Captured steps: the bits of eager mode, for whatever a training step does."""

import collections
import copy
import dataclasses
import functools
import gc
import operator
import sys
import threading
import tracemalloc
import types
from itertools import pairwise

import numpy as np
import pytest
from nine_runs import RUNS, X, Y, engine_model, engine_optimizer, every_run
from profiles import NIGHTLY
from tensors import bits

import tensorgrad as tg
from tensorgrad.capture.kernels import compile as kernels
from tensorgrad.capture.recording.reads import Reads

SHORT = 60


class Arm:
    """A model with its optimizer, and a step that is made of them."""

    def __init__(self, make, **options):
        self.parameters, step = make()
        self.eager = step
        self.step = tg.compile(step, fused=False, **options)

    def state(self):
        return [bits(p) for p in self.parameters]


def assert_same(make, calls, **options):
    """Run a step eagerly and captured, each from the start, and compare every bit."""
    plain, captured = Arm(make), Arm(make, **options)
    for number, args in enumerate(calls):
        expected, found = plain.eager(*args), captured.step(*args)
        assert bits(found) == bits(expected), f"result of call {number}"
        assert captured.state() == plain.state(), f"parameters after call {number}"
    return captured


def network(*sizes, rng=0, between=tg.nn.ReLU):
    layers = []
    rng = np.random.default_rng(rng)
    for i, (a, b) in enumerate(pairwise(sizes)):
        layers += [between()] if i else []
        layers.append(tg.nn.Dense(a, b, rng=rng))
    return tg.nn.Sequential(*layers)


def trained(optimizer=lambda p: tg.optim.SGD(p, 0.1, decay=0.01, momentum=0.9)):
    """Return what makes a step on a batch that is passed to it."""

    def make():
        model = network(5, 8, 3)
        opt = optimizer(model.parameters())

        def step(x, labels):
            loss = tg.softmax_cross_entropy(model(x), labels)
            opt.zero_grad()
            loss.backward()
            opt.step()
            return loss

        return model.parameters(), step

    return make


def batches(n=10, size=16, last=None, rng=1):
    rng = np.random.default_rng(rng)
    for i in range(n):
        m = last if last and i % 4 == 3 else size
        x = rng.standard_normal((m, 5)).astype(np.float32)
        yield x, rng.integers(0, 3, m)


# The nine reference runs, rates that decay included.


def make_run(run):
    def make():
        model = engine_model()
        optimizer = engine_optimizer(run, model.parameters())

        def step():
            loss = tg.softmax_cross_entropy(model(X), Y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss, optimizer.lr

        return model.parameters(), step

    return make


@every_run
def test_reference_run_has_the_bits_of_eager(run):
    assert_same(make_run(run), [()] * SHORT)


nightly = pytest.mark.skipif(not NIGHTLY, reason="takes a minute")


@nightly
@every_run
def test_whole_reference_run_has_the_bits_of_eager(run):
    assert_same(make_run(run), [()] * RUNS["epochs"])


# Values of no axes, and numbers.


def scalar_model():
    w, b = (tg.Tensor(x, requires_grad=True) for x in (1.0, 0.5))
    optimizer = tg.optim.Adam([w, b], lr=0.1)

    def step(x):
        loss = (w * x - b) ** 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return [w, b], step


def row_less(x):
    t = np.exp(x[0])
    t[0] += 1
    return t


SCALARS = {
    "centred": lambda x, s: x - x.mean(),
    "scaled": lambda x, s: np.sum(x * x) * s,
    "entry": lambda x, s: np.exp(x)[0, 0] * 2,
    "norm": lambda x, s: np.linalg.norm(x) * 2 * s,
    "mean of a sum": lambda x, s: np.sum(x).mean() + np.max(x).sum(),
    "repeated": lambda x, s: np.repeat(x.sum(), 3, axis=0) * s,
    "written": lambda x, s: row_less(x),
    "a number": lambda x, s: tg.Tensor(s) * x,
    "of a number": lambda x, s: np.exp(s) * x + np.sum(s),
    "derivative": lambda x, s: tg.grad(lambda k: k * k * x.sum())(s),
    "value and slope": lambda x, s: tg.value_and_grad(lambda k: np.sin(k) * x[0, 0])(s),
}


@pytest.mark.parametrize("name", SCALARS)
@pytest.mark.parametrize("fused", [False, None])
@pytest.mark.parametrize("of", [np.asarray, tg.Tensor])
def test_values_of_no_axes(name, fused, of):
    step = SCALARS[name]
    compiled = tg.compile(step, fused=fused)
    for s in (1.0, 0.5, 2.0, -3.0, 0.25, 1.5):
        x = np.arange(6.0).reshape(2, 3) - s
        if fused is False:
            assert bits(compiled(of(x), s)) == bits(step(of(x), s))
        else:
            assert_close(compiled(of(x), s), step(of(x), s))


def assert_close(found, expected):
    pairs = [(found, expected)]
    if isinstance(expected, tuple):
        pairs = zip(found, expected, strict=True)
    for a, b in pairs:
        a, b = (np.asarray(x.numpy() if type(x) is tg.Tensor else x) for x in (a, b))
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_allclose(a, b, rtol=1e-14)


def test_a_model_of_scalars():
    assert_same(scalar_model, [(x,) for x in (2.0, 1.0, 0.5, -1.0, 3.0, 2.0)])


@pytest.mark.parametrize("of", [float, np.float64, np.array, tg.Tensor])
@pytest.mark.parametrize("fused", [False, None])
def test_the_slope_at_a_number(of, fused):
    f = tg.value_and_grad(lambda k: np.exp(k) * k)
    compiled = tg.compile(f, fused=fused)
    for k in (2.0, 1.0, 0.5, 3.0):
        assert_close(compiled(of(k)), f(of(k)))


# Optimizers and schedules.


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda p: tg.optim.SGD(p, 0.1),
        lambda p: tg.optim.SGD(p, 0.1, momentum=0.5, lr_in_velocity=False),
        lambda p: tg.optim.AdaGrad(p, 0.1, decay=1e-3),
        lambda p: tg.optim.RMSProp(p, 0.01, decay=1e-3),
        lambda p: tg.optim.Adam(p, 0.01),
        lambda p: tg.optim.Adam(p, 0.01, decay=1e-2),
        lambda p: tg.optim.SGD(p, lambda step: 0.1 if step < 5 else 0.01),
        lambda p: tg.optim.Adam(p, lambda step: 0.1 * 0.9**step),
    ],
)
def test_optimizers_have_the_bits_of_eager(optimizer):
    assert_same(trained(optimizer), batches())


def test_a_rate_that_changes_late_is_not_frozen():
    def make(schedule):
        return trained(lambda p: tg.optim.SGD(p, schedule))

    late = Arm(make(lambda step: 0.1 if step < 6 else 0.01))
    never = Arm(make(lambda step: 0.1))
    same = []
    for x, labels in batches():
        late.step(x, labels)
        never.step(x, labels)
        same.append(late.state() == never.state())
    assert same == [True] * 6 + [False] * 4


def test_a_rate_may_be_assigned_between_calls():
    plain, captured = Arm(trained()), Arm(trained())
    for i, (x, labels) in enumerate(batches()):
        for arm in (plain, captured):
            optimizer = arm.eager.__closure__[1].cell_contents
            if i == 5:
                optimizer.lr = 0.5
        assert bits(captured.step(x, labels)) == bits(plain.eager(x, labels))
        assert captured.state() == plain.state()


def test_a_rate_may_be_an_argument():
    def make():
        model = network(5, 3)
        opt = tg.optim.SGD(model.parameters(), 1.0)

        def step(x, labels, lr):
            opt.lr = lr
            loss = tg.softmax_cross_entropy(model(x), labels)
            opt.zero_grad()
            loss.backward()
            opt.step()
            return loss, opt.lr, opt.steps

        return model.parameters(), step

    calls = [(x, y, 0.1 / (i + 1)) for i, (x, y) in enumerate(batches())]
    assert_same(make, calls)


def test_an_update_by_hand():
    def make():
        model = network(5, 3)
        parameters = model.parameters()

        def step(x, labels, lr):
            loss = tg.softmax_cross_entropy(model(x), labels)
            for p in parameters:
                p.grad = None
            loss.backward()
            with tg.no_grad():
                for p in parameters:
                    p *= 0.99
                    p -= lr * p.grad
                parameters[0][0] = 0.0
            return loss

        return parameters, step

    calls = [(x, y, 0.1 / (i + 1)) for i, (x, y) in enumerate(batches())]
    assert_same(make, calls)


def test_clipped_gradients():
    def make():
        model = network(5, 8, 3)
        opt = tg.optim.SGD(model.parameters(), 0.5)

        def step(x, labels):
            loss = tg.softmax_cross_entropy(model(x), labels)
            opt.zero_grad()
            loss.backward()
            with tg.no_grad():
                norm = np.sqrt(sum(np.sum(p.grad**2) for p in model.parameters()))
                factor = np.minimum(0.1 / norm, 1.0)
                for p in model.parameters():
                    p.grad *= factor
            opt.step()
            return loss, norm, model.parameters()[0].grad

        return model.parameters(), step

    assert_same(make, batches())


# What a step is called with.


def test_a_smaller_last_batch_has_a_plan_of_its_own():
    captured = assert_same(trained(), batches(n=20, last=7))
    assert str(captured.step.plan).count("arrays from outside") == 2


def test_tensors_lists_and_keywords():
    def make():
        model = network(5, 3)
        opt = tg.optim.Adam(model.parameters())

        def step(batch, *, weight, name="mean"):
            x, labels = batch["x"], batch["labels"]
            loss = tg.softmax_cross_entropy(model(x), labels) * weight
            opt.zero_grad()
            loss.backward()
            opt.step()
            return {"loss": loss, "name": name, "logits": [model(x)]}

        return model.parameters(), step

    plain, captured = Arm(make), Arm(make)
    for i, (x, labels) in enumerate(batches()):
        batch = {"x": tg.Tensor(x), "labels": tg.Tensor(labels)}
        expected = plain.eager(batch, weight=float(i))
        found = captured.step(batch, weight=float(i))
        assert found.keys() == expected.keys()
        assert found["name"] == "mean"
        assert bits(found["loss"]) == bits(expected["loss"])
        assert bits(found["logits"]) == bits(expected["logits"])
        assert captured.state() == plain.state()


def test_numbers_and_flags_that_are_no_floats_have_plans_of_their_own():
    @tg.compile(fused=False)
    def f(x, power, twice=False):
        y = x**power
        return y + y if twice else y

    for _ in range(4):
        for power in (2, 3):
            x = np.random.default_rng(power).random(4)
            assert bits(f(x, power)) == bits(x**power)
            assert bits(f(x, power, twice=True)) == bits(2 * x**power)


def test_arrays_in_any_layout():
    @tg.compile(fused=False)
    def f(x, w):
        return np.sum(np.matmul(tg.Tensor(x), w), axis=0)

    rng = np.random.default_rng(0)
    big = rng.random((40, 60))
    for _ in range(4):
        for x in (big, big.T, big[::2], big[:, ::3], big[::-1]):
            w = rng.random((x.shape[1], 7))
            # A tensor copies: of columns apart NumPy 2.0 makes other bits.
            want = np.sum(np.matmul(np.array(x), w), axis=0)
            assert bits(f(x, w)) == bits(want)


def test_an_argument_may_need_a_gradient():
    @tg.compile(fused=False)
    def slope(x):
        y = np.sum(x**3)
        y.backward()
        return x.grad

    for i in range(4):
        x = tg.Tensor([1.0, 2.0 + i], requires_grad=True)
        np.testing.assert_array_equal(slope(x).numpy(), 3 * x.numpy() ** 2)
        # The first tensor is taken for a parameter until there comes another.
        assert (x.grad is None) == (i > 0)


def test_parameters_may_be_arguments():
    def made():
        w = tg.Tensor([1.0, 2.0, 3.0], requires_grad=True)
        return (
            w,
            tg.optim.Adam([w], 0.1),
            tg.Tensor([3.0, 1.0, 2.0], requires_grad=True),
        )

    def step(parameters, optimizer, x):
        x.grad = None
        loss = np.sum((parameters["w"] * x) ** 2)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss, parameters["w"] * 1, x.grad

    captured = tg.compile(step, fused=False)
    (w, optimizer, x), (v, other, y) = made(), made()
    for i in range(9):
        if i == 8:
            w.data, v.data = np.ones(3), np.ones(3)
        # In the last calls the argument is the parameter: its gradient is of both.
        given = (w, v) if i > 4 else (x, y)
        found = captured({"w": w}, optimizer, given[0])
        assert bits(found) == bits(step({"w": v}, other, given[1]))


def test_returned_objects_are_made_anew_with_what_they_hold():
    @dataclasses.dataclass(frozen=True, slots=True)
    class Output:
        loss: tg.Tensor
        parts: dict
        epoch: int = 3

    def step(x):
        loss = np.sum(x * 2.0)
        parts = collections.OrderedDict(a=loss * 2, b=types.SimpleNamespace(x=x + 1))
        return [Output(loss, parts)]

    captured = tg.compile(step, check=True, fused=False)
    told = [captured(np.full(3, i)) for i in range(4)]
    for i, (output,) in enumerate(told):
        assert (type(output), output.epoch) == (Output, 3)
        assert list(output.parts) == ["a", "b"]
        assert bits((output.loss, output.parts["a"])) == bits((6.0 * i, 12.0 * i))
        assert bits(output.parts["b"].x) == bits(np.full(3, i) + 1)


@pytest.mark.parametrize(
    "name", ["ifloordiv", "imod", "ipow", "iand", "ilshift", "iadd"]
)
@pytest.mark.parametrize("dtype", ["i4", "f8"])
def test_writes_by_operators_go_through_views(name, dtype):
    if dtype == "f8" and name in ("iand", "ilshift"):
        return

    def step(x):
        whole = x * 1
        part = whole[1:]
        part = getattr(operator, name)(part, 3)
        total = part.sum()
        total = getattr(operator, name)(total, 2)
        return whole, part, total, total.astype("f4")

    captured = tg.compile(step, fused=False)
    for i in range(4):
        x = np.arange(4, dtype=dtype) + i
        found, expected = captured(x), step(x)
        assert bits(found) == bits(expected)
        assert [*map(type, found)] == [*map(type, expected)]


def test_copies_of_tensors_are_made_in_each_call():
    w = tg.Tensor([1.0, 2.0], requires_grad=True)
    layer = types.SimpleNamespace(w=w)

    def step(x):
        twin = copy.deepcopy(layer).w
        np.sum(twin * twin * x).backward()
        return twin.grad

    captured = tg.compile(step, fused=False)
    for i in range(4):
        with tg.no_grad():
            w[0] = float(i)
        assert bits(captured(np.ones(2))) == bits(step(np.ones(2)))
    assert w.grad is None


def test_arrays_that_are_closed_over_are_read_where_they_are():
    data = np.ones(3)

    @tg.compile(fused=False)
    def total():
        return np.sum(tg.Tensor(data) * 2)

    for i in range(5):
        data[0] = i
        assert total().item() == 2 * (i + 2)


def test_a_parameter_written_to_between_calls_is_read_where_it_is():
    plain, captured = Arm(trained()), Arm(trained())
    for i, (x, labels) in enumerate(batches()):
        for arm in (plain, captured):
            if i % 3 == 2:
                with tg.no_grad():
                    arm.parameters[0][...] = 0.1
        assert bits(captured.step(x, labels)) == bits(plain.eager(x, labels))
        assert captured.state() == plain.state()


# Labels are checked in each call.


@pytest.mark.parametrize(
    ("wrong", "error"), [(np.array([0, 1, 9]), IndexError), (np.eye(3) * 2, ValueError)]
)
def test_labels_are_checked_at_replay(wrong, error):
    step = tg.compile(
        lambda x, labels: tg.softmax_cross_entropy(tg.Tensor(x), labels), fused=False
    )
    x = np.random.default_rng(0).random((3, 3))
    right = np.arange(3) if wrong.ndim == 1 else np.eye(3)
    for _ in range(3):
        step(x, right)
    with pytest.raises(error, match="softmax_cross_entropy"):
        step(x, wrong)
    assert bits(step(x, right)) == bits(tg.softmax_cross_entropy(tg.Tensor(x), right))


def test_rows_of_labels():
    rng = np.random.default_rng(0)
    rows = [rng.dirichlet(np.ones(3), len(x)) for x, _ in batches()]
    calls = [(x, r) for (x, _), r in zip(batches(), rows, strict=True)]
    assert_same(trained(), calls)


# Dropout.


def dropped_out(rng_of):
    def make():
        model, head = network(5, 8), network(8, 3, rng=3)
        rng = rng_of()
        opt = tg.optim.SGD([*model.parameters(), *head.parameters()], 0.1)

        def step(x, labels):
            hidden = tg.dropout(tg.relu(model(x)), 0.5, rng=rng)
            loss = tg.softmax_cross_entropy(head(hidden), labels)
            opt.zero_grad()
            loss.backward()
            opt.step()
            return hidden, loss

        return [*model.parameters(), *head.parameters()], step

    return make


@pytest.mark.parametrize("rng_of", [lambda: np.random.default_rng(7), lambda: 7])
def test_dropout_draws_what_eager_draws(rng_of):
    assert_same(dropped_out(rng_of), batches())


def test_dropout_draws_anew_in_each_call():
    rng = np.random.default_rng(0)
    drop = tg.compile(lambda x: tg.dropout(x, 0.5, rng=rng), fused=False)
    kept = {bits(drop(tg.Tensor(np.ones(50))))[2] for _ in range(6)}
    assert len(kept) == 6


# Results.


def test_what_is_returned_is_the_callers_own():
    p = tg.Tensor(np.ones(3), requires_grad=True)
    data = np.ones(3)

    @tg.compile(fused=False)
    def f(x):
        return p, tg.Tensor(x), x * 2, data, p.detach()

    x = np.arange(3.0)
    results = [f(x) for _ in range(4)]
    for result in results:
        for item in result:
            array = item.numpy() if type(item) is tg.Tensor else item
            array += 1.0
    np.testing.assert_array_equal(p.numpy(), np.ones(3))
    np.testing.assert_array_equal(x, np.arange(3.0))
    np.testing.assert_array_equal(data, np.ones(3))
    assert bits(f(x)) == bits((p, x, x * 2, data, p))


def test_results_are_of_the_kinds_of_eager():
    def f(x):
        t = tg.Tensor(x)
        return t, np.sum(t), x * 2.0, np.sum(x), None, "text", 3

    compiled = tg.compile(f, fused=False)
    for _ in range(3):
        found, expected = compiled(np.ones(2)), f(np.ones(2))
        assert [type(a) for a in found] == [type(a) for a in expected]
        assert found[-3:] == expected[-3:]
        assert not found[0].requires_grad


def test_gradients_stay_inside():
    captured = Arm(trained())
    for i, batch in enumerate(batches()):
        captured.step(*batch)
        if i:
            assert all(p.grad is None for p in captured.parameters)


# Whatever eager mode does within a step.


def test_no_grad_has_a_plan_of_its_own():
    model = network(5, 3)
    f = tg.compile(lambda x: model(x), fused=False)
    x = np.ones((2, 5), np.float32)
    for _ in range(3):
        with tg.no_grad():
            assert bits(f(x)) == bits(model(x))
        assert bits(f(x)) == bits(model(x))


def test_second_derivatives_and_transforms():
    w = tg.Tensor(np.linspace(0.1, 0.9, 4), requires_grad=True)
    opt = tg.optim.SGD([w], 0.01)

    def step(x):
        value, slope = tg.value_and_grad(lambda t: np.sum(np.tanh(t * w) ** 2))(x)
        loss = np.sum(slope * slope) + value
        opt.zero_grad()
        loss.backward(create_graph=True)
        (bend,) = tg.hvp(lambda t: np.sum(np.exp(t * w)), (x,), (np.ones(4),))
        opt.step()
        return value, slope, loss, bend

    start = w.numpy().copy()
    rng = np.random.default_rng(0)
    xs = [rng.random(4) for _ in range(6)]
    expected = [bits(step(x)) for x in xs]
    w.numpy()[...] = start
    compiled = tg.compile(step, fused=False)
    assert [bits(compiled(x)) for x in xs] == expected


def test_gradients_of_several_passes_add_up():
    def make():
        model = network(5, 3)
        opt = tg.optim.SGD(model.parameters(), 0.1)

        def step(x, labels):
            opt.zero_grad()
            for part in (slice(8), slice(8, None)):
                loss = tg.softmax_cross_entropy(model(x[part]), labels[part])
                loss.backward()
            opt.step()
            return loss

        return model.parameters(), step

    assert_same(make, batches())


def test_checkpointed_layers():
    def make():
        model = network(5, 8, 8, 3)
        opt = tg.optim.SGD(model.parameters(), 0.1)

        def step(x, labels):
            loss = tg.softmax_cross_entropy(tg.checkpoint(model)(x), labels)
            opt.zero_grad()
            loss.backward()
            opt.step()
            return loss

        return model.parameters(), step

    assert_same(make, batches())


def test_plain_numpy_on_arguments_is_recorded():
    @tg.compile(fused=False)
    def f(x):
        mean = x.mean(axis=0)
        scaled = (x - mean) / (x.std(axis=0) + 1e-7)
        scaled[0] = 0.0
        x2 = np.concatenate([scaled, scaled**2], axis=1)
        return tg.Tensor(x2).sum(), x2, mean

    rng = np.random.default_rng(0)
    for _ in range(5):
        x = rng.random((6, 4))
        mean = x.mean(axis=0)
        scaled = (x - mean) / (x.std(axis=0) + 1e-7)
        scaled[0] = 0.0
        x2 = np.concatenate([scaled, scaled**2], axis=1)
        assert bits(f(x)) == bits((x2.sum(), x2, mean))


def test_a_write_through_a_graph_made_before_is_seen():
    w = tg.Tensor(np.ones(3), requires_grad=True)
    opt = tg.optim.SGD([w], 0.1)

    @tg.compile(fused=False)
    def step():
        loss = np.sum(w * w)
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss

    for _ in range(3):
        early = np.sum(w * w)
        step()
        with pytest.raises(tg.MutationError):
            early.backward()


# Ways to call it.


def test_it_is_a_decorator_also_of_methods():
    class Trainer:
        def __init__(self):
            self.model = network(5, 3)
            self.opt = tg.optim.SGD(self.model.parameters(), 0.1)

        @tg.compile(fused=False)
        def step(self, x, labels):
            """Docstring of the step."""
            loss = tg.softmax_cross_entropy(self.model(x), labels)
            self.opt.zero_grad()
            loss.backward()
            self.opt.step()
            return loss

    one, other = Trainer(), Trainer()
    for batch in batches():
        assert bits(one.step(*batch)) == bits(other.step(*batch))
    assert Trainer.step.__name__ == "step"
    assert Trainer.step.__doc__ == "Docstring of the step."


def test_one_captured_step_within_another():
    inner = tg.compile(lambda x: np.sum(tg.exp(x)), fused=False)
    outer = tg.compile(lambda x: inner(tg.Tensor(x)) * 2, fused=False)
    for i in range(4):
        x = np.full(3, float(i))
        assert outer(x).item() == np.exp(x).sum() * 2


def test_debug_mode_runs_the_step_as_it_is():
    captured = Arm(trained())
    for batch in batches():
        with tg.debug():
            captured.step(*batch)
    assert "nothing captured" in str(captured.step.plan)


class Litter:
    """What only the garbage collector removes, running code that counts."""

    removed = 0

    def __init__(self):
        self.cycle = self

    def __del__(self):
        Litter.removed += 1


@pytest.fixture
def hurry():
    """Let threads take turns, and the garbage collector run, as often as they can."""
    interval, threshold = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(1e-6)
    gc.set_threshold(50, 2, 2)
    yield
    sys.setswitchinterval(interval)
    gc.set_threshold(*threshold)


def test_no_garbage_is_collected_while_any_thread_records():
    begun, over = threading.Event(), threading.Event()

    def record():
        with Reads().noted(object()):
            begun.set()
            over.wait()

    other = threading.Thread(target=record)
    with Reads().noted(object()):
        other.start()
        begun.wait()
    collects = gc.isenabled()
    over.set()
    other.join()
    assert not collects
    assert gc.isenabled()


@pytest.mark.usefixtures("hurry")
def test_threads_do_not_disturb_each_other():
    expected = [bits(Arm(trained()).eager(*b)) for b in batches(1)]
    found, errors = {}, []

    def run(name, compiled):
        try:
            for _ in range(5):
                arm = Arm(trained())
                step = arm.step if compiled else arm.eager
                for batch in batches(4):
                    assert [Litter() for _ in range(20)]
                    found.setdefault(name, []).append(bits(step(*batch)))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(i, i % 2)) for i in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors
    assert all(f == found[0] for f in found.values())
    assert found[0][:1] == expected


def test_threads_may_share_a_step():
    f = tg.compile(lambda x: np.sum(np.exp(tg.Tensor(x)), axis=0), fused=False)
    wrong = []

    def run(seed):
        rng = np.random.default_rng(seed)
        for _ in range(50):
            x = rng.random((20, 3))
            if bits(f(x)) != bits(np.sum(np.exp(x), axis=0)):
                wrong.append(seed)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_fused_is_close_to_eager_in_each_step():
    pytest.importorskip("llvmlite")
    plain, fused = Arm(trained()), Arm(trained())
    fused.step = tg.compile(fused.eager, fused=True)
    for x, labels in batches():
        for p, q in zip(plain.parameters, fused.parameters, strict=True):
            q.numpy()[...] = p.numpy()
        loss = fused.step(x, labels).item()
        assert loss == pytest.approx(plain.eager(x, labels).item(), rel=1e-6)


def test_the_plan_can_be_read():
    captured = assert_same(trained(), batches())
    text = str(captured.step.plan)
    assert "matmul" in text
    assert "SGD.step" in text
    assert "gradient of relu" in text


def test_an_argument_in_the_memory_of_a_parameter_after_a_new_recording():
    """What takes the place of kernels then is of the new recording too."""

    def run(compiled):
        w = tg.Tensor(np.arange(6.0).reshape(2, 3) / 7, requires_grad=True)
        table = np.ones(3)

        def step(x):
            w.grad = None
            loss = (w * x * np.exp(table)).sum()
            loss.backward()
            with tg.no_grad():
                w[...] = w - 0.1 * w.grad
            return loss

        f, found = tg.compile(step) if compiled else step, []
        for i in range(8):
            table[:] = 1.0 if i < 4 else 3.0
            found.append(f(w.data).item())
        return found

    assert run(True) == pytest.approx(run(False), rel=1e-13)


@pytest.mark.parametrize("fused", [None, False])
def test_an_argument_in_the_memory_of_a_parameter_sees_its_update(fused):
    """With kernels too, which take it that no two arrays share memory."""

    def run(compiled):
        w = tg.Tensor(np.arange(6.0).reshape(2, 3) / 7, requires_grad=True)
        optimizer = tg.optim.SGD([w], lr=0.1, momentum=0.5)

        def step(x):
            optimizer.zero_grad()
            loss = ((w * x + tg.tanh(w)) ** 2).sum()
            loss.backward()
            optimizer.step()
            return x * 2 + w

        f = tg.compile(step, fused=fused) if compiled else step
        return [f(w.data).numpy() for _ in range(5)]

    for eager, compiled in zip(run(False), run(True), strict=True):
        np.testing.assert_allclose(compiled, eager, rtol=1e-13)


@pytest.mark.parametrize(
    "fused",
    [
        False,
        pytest.param(
            True,
            marks=pytest.mark.skipif(not kernels.installed(), reason="needs llvmlite"),
        ),
    ],
)
@pytest.mark.parametrize("computed", [False, True], ids=["given", "computed"])
def test_labels_out_of_range_are_refused_before_anything_changes(fused, computed):
    w = tg.Tensor(np.ones((2, 3), "f4"), requires_grad=True)
    x, labels = np.ones((5, 2), "f4"), np.array([0, 1, 2, 1, 0])

    def step(x, labels):
        labels = labels + 1 if computed else labels
        loss = tg.softmax_cross_entropy(x @ w, labels)
        w.grad = None
        loss.backward()
        with tg.no_grad():
            w[...] = w - 0.1 * w.grad
        return loss

    replayed = tg.compile(step, fused=fused)
    good = labels - computed
    for _ in range(3):
        replayed(x, good)
    before = w.data.copy()
    with pytest.raises(IndexError, match=r"from 0 to 2 .* got 3"):
        replayed(x, good + 1)
    np.testing.assert_array_equal(w.data, before)
    replayed(x, good)
    assert (w.data != before).any()


def test_a_function_of_whole_numbers_alone_takes_a_number():
    step = tg.compile(lambda x: x + np.invert(np.array_equal(x, x)), fused=False)
    for _ in range(3):
        np.testing.assert_array_equal(step(np.arange(4)), np.arange(4))


def test_divmod_of_python_numbers_as_arguments():
    def step(x, s):
        quotient, remainder = divmod(s, 0.75)
        return x * quotient + remainder + divmod(7, s)[1]

    compiled = tg.compile(step, fused=False)
    for s in (3.1, 2.5, 5.9, -1.4):
        expected = bits(step(np.ones(2), s))
        assert bits(compiled(np.ones(2), s)) == expected


@pytest.mark.parametrize("name", ["neg", "pos", "invert", "abs", "lshift", "rshift"])
def test_operators_of_python_integers_as_arguments(name):
    function = getattr(operator, name)

    def step(x, n):
        m = function(n, 2) + function(1, n) if "shift" in name else function(n)
        return x * m

    compiled = tg.compile(step, fused=False)
    for n in (1, 2, 3, 5):
        found = compiled(np.ones(2), n)
        np.testing.assert_array_equal(np.asarray(found), step(np.ones(2), n))


def test_a_compiled_step_is_printed_by_its_name():
    step = tg.compile(lambda x: x * 2)
    assert repr(step).endswith("<lambda>, 0 of 0 signatures replayed; print its plan>")
    for _ in range(3):
        step(tg.Tensor(1.0))
    assert "1 of 1 signatures" in repr(step)
    assert "step partial, 0 of 0" in repr(tg.compile(functools.partial(max)))


def rosenbrock(x):
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def test_a_compiled_slope_goes_into_a_minimiser():
    optimize = pytest.importorskip("scipy.optimize")
    step = tg.compile(tg.value_and_grad(rosenbrock), fused=False)
    found = optimize.minimize(step, np.zeros(4), jac=True, method="BFGS")
    np.testing.assert_allclose(found.x, 1, atol=1e-5)
    assert len(step.programs) == 1


@pytest.mark.parametrize(
    "derive",
    [tg.value_and_grad, tg.grad, tg.jacobian, tg.hessian, lambda f: f],
    ids=["value_and_grad", "grad", "jacobian", "hessian", "function"],
)
@pytest.mark.parametrize("x", [0.5, np.float32(0.5), np.array(0.5)], ids=repr)
def test_derivatives_are_compiled_for_numbers_of_any_kind(derive, x):
    function = derive(lambda x: np.sin(x) * x)
    step = tg.compile(function, fused=False)
    for _ in range(4):
        np.testing.assert_array_equal(step(x), function(x))
        x = x * 1.5 if type(x) is not np.ndarray else np.array(x * 1.5)
    assert len(step.programs) == 1


def test_a_compiled_pullback_is_that_of_the_function():
    def pull(x, u):
        value, back = tg.vjp(rosenbrock, x)
        return value, back(u)

    step = tg.compile(pull, fused=False)
    for k in range(4):
        x, u = np.linspace(0, 1, 5) + k, np.array(2.0 + k)
        value, (slope,) = step(x, u)
        expected, (expected_slope,) = pull(x, u)
        assert value == expected
        np.testing.assert_array_equal(slope, expected_slope)


def test_the_seed_of_a_slope_is_made_once():
    step = tg.compile(tg.value_and_grad(rosenbrock), fused=False)
    for k in range(3):
        step(np.arange(4.0) + k)
    calls, eliminated = step.plan.split("eliminated")
    assert "ones_like" in eliminated
    assert "ones_like" not in calls


def most(function):
    """Return the bytes that were in use at most during a call, and are after it."""
    tracemalloc.start()
    try:
        function()
        now, peak = tracemalloc.get_traced_memory()
        return peak, now
    finally:
        tracemalloc.stop()


def deep_step(width):
    layers = [
        layer
        for i in range(4)
        for layer in (tg.nn.Dense(width, width, rng=i), tg.nn.ReLU())
    ]
    model = tg.nn.Sequential(*layers)
    optimizer = tg.optim.SGD(model.parameters(), 0.01, momentum=0.9)

    def step(x):
        optimizer.zero_grad()
        loss = np.square(model(x)).mean()
        loss.backward()
        optimizer.step()
        return loss

    return step


@pytest.mark.parametrize(("samples", "width"), [(4000, 64), (300, 300)])
def test_recording_a_step_takes_little_more_memory_than_the_step(samples, width):
    """Where activations are large, and where gradients are."""
    x = np.ones((samples, width), np.float32)
    eager, compiled = deep_step(width), tg.compile(deep_step(width), fused=False)
    peak, kept = most(lambda: eager(x))
    first, second, third = (most(lambda: compiled(x)) for _ in range(3))
    # What it writes down takes a little, and gradients are copied when it ends. All
    # results of one recording would be twice the peak, those of two three times.
    assert max(first[0], second[0], third[0]) < 1.25 * peak + 2**19
    assert first[1] < 1.25 * kept + 2**19
