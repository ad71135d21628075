"""Groups, frozen parameters, saved state, clipping and averages, eager and compiled."""

import copy
import math
import pickle

import numpy as np
import pytest
from optimizers import every_form, every_optimizer
from tensors import leaf

import tensorgrad as tg
from tensorgrad.optim import (
    EMA,
    LBFGS,
    SGD,
    AdaGrad,
    Adam,
    AdamW,
    Groups,
    RMSProp,
    clip_grad_norm_,
    clip_grad_value_,
    schedules,
)

either_way = pytest.mark.parametrize("compiled", [False, True], ids=["eager", "replay"])


def params_of(count, dtype=None):
    return [leaf(np.arange(1.0, 4.0) + i, dtype) for i in range(count)]


def loss_of(params):
    return sum(((p - 0.5) ** 2).sum() for p in params)


def step_of(params, optimizer, compiled=False, between=lambda: None):
    def step():
        optimizer.zero_grad()
        loss_of(params).backward()
        between()
        optimizer.step()

    return tg.compile(step, fused=False) if compiled else step


def values(params):
    return np.concatenate([p.numpy().ravel() for p in params])


def repeated(step, times):
    for _ in range(times):
        step()


# What all optimizers share.


@every_optimizer
def test_weight_decay_is_a_term_of_the_gradient_or_shrinks_the_weights(kind):
    p, q = params_of(1)[0], params_of(1)[0]
    decaying = kind([p], 0.1, weight_decay=0.3)
    plain = kind([q], 0.1, **({"weight_decay": 0.0} if kind is AdamW else {}))
    for g in np.random.default_rng(0).normal(size=(5, 3)):
        p.grad = g
        if decaying.decoupled_weight_decay:
            q.data *= 1 - 0.1 * 0.3
            q.grad = g
        else:
            q.grad = 0.3 * q.numpy() + g
        decaying.step()
        plain.step()
    np.testing.assert_array_equal(p.numpy(), q.numpy())


@every_optimizer
@pytest.mark.parametrize("count", [2, 8], ids=["alone", "joined"])
def test_maximize_follows_the_other_sign(kind, count):
    params, others = params_of(count), params_of(count)
    up, down = kind(params, 0.1, maximize=True), kind(others, 0.1)
    for g in np.random.default_rng(0).normal(size=(5, 3)):
        for p, q in zip(params, others, strict=True):
            p.grad, q.grad = -g, g
        up.step()
        down.step()
    np.testing.assert_array_equal(values(params), values(others))


@every_form
@either_way
def test_a_saved_state_goes_on_with_the_same_bits(kind, options, compiled):
    # Arrays are written to in place: a step that is captured goes on from them too.
    params, others = params_of(2), params_of(2)
    optimizer, other = kind(params, 0.1, **options), kind(others, 0.1, **options)
    step, follow = (
        step_of(params, optimizer, compiled),
        step_of(others, other, compiled),
    )
    repeated(step, 4)
    repeated(follow, 3)
    saved = pickle.loads(pickle.dumps(optimizer.state_dict()))
    start = [p.numpy().copy() for p in params]
    repeated(step, 3)
    other.load_state_dict(saved)
    with tg.no_grad():
        for p, w in zip(others, start, strict=True):
            p[...] = w
    repeated(follow, 3)
    assert (other.steps, other.lr) == (optimizer.steps, optimizer.lr)
    np.testing.assert_array_equal(values(params), values(others))


def test_a_saved_state_is_a_copy_and_brings_its_settings():
    params = params_of(2)
    optimizer = Adam(params, 0.1, beta1=0.5)
    repeated(step_of(params, optimizer), 2)
    saved = optimizer.state_dict()
    before = saved["state"][0][0].copy()
    repeated(step_of(params, optimizer), 1)
    np.testing.assert_array_equal(saved["state"][0][0], before)
    other = Adam(params_of(2), 0.7)
    other.load_state_dict(saved)
    assert (other.lr, other.beta1, other.steps) == (0.1, 0.5, 2)
    scheduled = Adam(params_of(2), schedules.exponential(1.0, 0.5))
    scheduled.load_state_dict(saved)
    repeated(step_of(scheduled.params, scheduled), 1)
    assert scheduled.lr == 0.25


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD(params_of(2)), "SGD.load_state_dict: expected the state of SGD"),
        (lambda: Adam(params_of(3)), "expected arrays of the shapes of the parameters"),
        (lambda: Adam([leaf(np.ones(2)), leaf(np.ones(3))]), "shapes of the param"),
        (lambda: Groups([Adam(params_of(2))]), "expected 1 groups, got 0"),
    ],
)
def test_a_state_of_another_is_refused(make, message):
    optimizer = make()
    with pytest.raises(ValueError, match=message):
        optimizer.load_state_dict(Adam(params_of(2)).state_dict())


CHANGES = {
    "lr": lambda o: setattr(o, "lr", 0.3),
    "item": lambda o: o.__setitem__("lr", 0.3),
    "schedule": lambda o: setattr(o, "lr", schedules.linear(0.5, 0.0, 9)),
    "decay": lambda o: setattr(o, "decay", 0.5),
    "weight_decay": lambda o: setattr(o, "weight_decay", 0.5),
    "no weight_decay": lambda o: setattr(o, "weight_decay", 0.0),
    "momentum": lambda o: setattr(o, "momentum", 0.5),
    "no momentum": lambda o: setattr(o, "momentum", 0.0),
    "maximize": lambda o: setattr(o, "maximize", True),
    "nesterov": lambda o: setattr(o, "nesterov", True),
    "frozen": lambda o: setattr(o.params[0], "requires_grad", False),
    "a step of some": lambda o: one_alone(o),
}


def one_alone(optimizer):
    optimizer.zero_grad()
    loss_of(optimizer.params[1:]).backward()
    optimizer.step()


@pytest.mark.parametrize("grouped", [False, True], ids=["alone", "in a group"])
@pytest.mark.parametrize("name", CHANGES)
def test_a_replay_sees_what_changed_or_refuses(name, grouped):
    def trained(compiled):
        params = params_of(3)
        settings = {"momentum": 0.9, "weight_decay": 0.1}
        optimizer = member = SGD(params, 0.1, **settings)
        if grouped:
            groups = [{"params": params[:1]}, {"params": params[1:]} | settings]
            optimizer = SGD(groups, 0.1)
            member = optimizer.param_groups[1]
        step = step_of(params, optimizer, compiled)
        repeated(step, 4)
        CHANGES[name](member)
        repeated(step, 3)
        return values(params)

    eager = trained(False)
    try:
        replayed = trained(True)
    except tg.CaptureError:
        rates = ("lr", "item", "schedule", "decay")
        assert name not in rates, "they are read in each replay"
        return
    np.testing.assert_array_equal(replayed, eager)


# Groups.


@either_way
@pytest.mark.parametrize("kind", [SGD, Adam])
def test_groups_have_settings_of_their_own(kind, compiled):
    params, others = params_of(5), params_of(5)
    rate = schedules.cosine(0.3, 9)
    groups = kind(
        [
            {"params": params[:2], "lr": rate, "weight_decay": 0.1},
            {"params": iter(params[2:4]), "maximize": True},
            {"params": params[4]},
        ],
        lr=0.05,
    )
    apart = [
        kind(others[:2], rate, weight_decay=0.1),
        kind(others[2:4], 0.05, maximize=True),
        kind(others[4:], 0.05),
    ]
    step = step_of(params, groups, compiled)
    for _ in range(6):
        step()
        for optimizer in apart:
            optimizer.zero_grad()
        loss_of(others).backward()
        for optimizer in apart:
            optimizer.step()
    np.testing.assert_array_equal(values(params), values(others))
    assert groups.params == params
    assert groups.steps == 6
    assert [g["lr"] for g in groups.param_groups] == [rate(5), 0.05, 0.05]


@pytest.mark.parametrize(
    "how", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_groups_are_copied_and_saved(how):
    params = params_of(4)
    groups = Adam([{"params": params[:2]}, {"params": params[2:], "lr": 0.3}], lr=0.1)
    repeated(step_of(params, groups), 2)
    twin = how(groups)
    fresh = Adam([{"params": params_of(2)}, {"params": params_of(2)}])
    fresh.load_state_dict(how(groups.state_dict()))
    for p, q in zip(fresh.params, params, strict=True):
        p.data = q.numpy().copy()
    for optimizer in (groups, twin, fresh):
        repeated(step_of(optimizer.params, optimizer), 2)
    np.testing.assert_array_equal(values(twin.params), values(params))
    np.testing.assert_array_equal(values(fresh.params), values(params))


@either_way
def test_optimizers_of_two_kinds_step_as_one(compiled):
    params, others = params_of(2), params_of(2)
    groups = Groups([Adam(params[:1], 0.1), SGD(params[1:], 0.1)])
    apart = [Adam(others[:1], 0.1), SGD(others[1:], 0.1)]
    repeated(step_of(params, groups, compiled), 4)
    for optimizer in apart:
        repeated(step_of(optimizer.params, optimizer), 4)
    np.testing.assert_array_equal(values(params), values(others))


def test_a_group_that_is_frozen_waits():
    params = params_of(2)
    groups = Adam([{"params": params[:1], "lr": 0.1}, {"params": params[1:]}])
    params[0].requires_grad = False
    before = params[0].numpy().copy()
    repeated(step_of(params[1:], groups), 3)
    np.testing.assert_array_equal(params[0].numpy(), before)
    params[0].requires_grad = True
    repeated(step_of(params, groups), 1)
    np.testing.assert_allclose(params[0].numpy(), before - [0.1, 0.1, 0.1], rtol=1e-6)


@either_way
def test_a_group_and_a_parameter_outside_the_loss_are_left_as_they_are(compiled):
    params, others = params_of(4), params_of(4)
    groups = Adam([{"params": params[:2]}, {"params": params[2:], "lr": 0.1}], lr=0.1)
    alone = Adam(others[2:3], 0.1)
    unused = params[3] ** 2
    repeated(step_of(params[2:3], groups, compiled), 5)
    repeated(step_of(others[2:3], alone), 5)
    np.testing.assert_array_equal(values(params), values(others))
    # Nothing has been written to it since: its graph is as good as it was.
    unused.sum().backward()


W = leaf([1.0])


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: SGD([{"lr": 1.0}]),
            TypeError,
            "SGD: group 0 must be a dict with 'par",
        ),
        (lambda: SGD([{"params": W}, W]), TypeError, "SGD: group 1 must be a dict"),
        (lambda: SGD([{"params": W}] * 2), ValueError, "a parameter is in two groups"),
        (lambda: SGD([{"params": []}]), ValueError, "expected at least one parameter"),
        (lambda: SGD([{"params": W, "lr": -1}]), ValueError, "lr must be finite"),
        (lambda: SGD([{"params": W, "betas": 1}]), TypeError, "argument 'betas'"),
        (lambda: SGD([W], weight_decay=-1), ValueError, "SGD: weight_decay must be"),
        (lambda: SGD([W], nesterov=True), ValueError, "SGD: nesterov needs momentum"),
        (lambda: AdamW([W], beta1=1.0), ValueError, "AdamW: beta1 must be from 0"),
        (lambda: tg.optim.Rprop([W], decrease=2), ValueError, "0 < decrease < 1"),
        (lambda: EMA([W], 1.0), ValueError, "EMA: decay must be from 0 to below 1"),
        (lambda: LBFGS([W], line_search_fn="x"), ValueError, "None or 'strong_wolfe'"),
        (lambda: clip_grad_norm_([W], -1), ValueError, "max_norm must be at least 0"),
        (lambda: clip_grad_norm_([W], 1, 0), ValueError, "norm_type must be above 0"),
        (lambda: clip_grad_value_([W], -1), ValueError, "clip_value must be at least"),
    ],
)
def test_wrong_settings_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_settings_of_groups_are_not_set_for_all_of_them():
    groups = SGD([{"params": leaf([1.0])}])
    with pytest.raises(AttributeError, match=r"set param_groups\[i\].lr"):
        groups.lr = 0.1
    with pytest.raises(tg.GraphError, match=r"Groups\.step: none of the parameters"):
        groups.step()


def test_names_of_pytorch():
    assert tg.optim.Adagrad is AdaGrad
    assert tg.optim.RMSprop is RMSProp
    optimizer = Adam(params_of(1), 0.1)
    for group in optimizer.param_groups:
        group["lr"] *= 0.5
    assert optimizer.lr == optimizer["lr"] == 0.05


# Gradients.


@either_way
@pytest.mark.parametrize("power", [1.0, 2.0, 3.0, math.inf])
@pytest.mark.parametrize("limit", [0.5, 1e3])
def test_clipping_by_norm(power, limit, compiled):
    params = params_of(3)
    expected = values(params)
    step = step_of(
        params,
        SGD(params, 0.1),
        compiled,
        lambda: clip_grad_norm_(params, limit, power),
    )
    for _ in range(4):
        step()
        g = 2 * (expected - 0.5)
        norm = np.linalg.norm(g, power)
        expected = expected - 0.1 * g * min(1.0, limit / (norm + 1e-6))
    np.testing.assert_allclose(values(params), expected, rtol=1e-12)


@either_way
def test_clipping_by_value(compiled):
    params = params_of(3)
    expected = values(params)
    step = step_of(
        params, SGD(params, 0.1), compiled, lambda: clip_grad_value_(params, 2.0)
    )
    for _ in range(4):
        step()
        expected = expected - 0.1 * np.clip(2 * (expected - 0.5), -2, 2)
    np.testing.assert_allclose(values(params), expected, rtol=1e-12)


def test_clipping_writes_to_gradients_and_leaves_out_those_without():
    p, q = leaf([3.0, 4.0], np.float32), leaf([1.0])
    (p * p).sum().backward()
    gradient = p.grad
    assert clip_grad_norm_([p, q], np.inf).item() == 10.0
    assert gradient.numpy().tolist() == [6.0, 8.0]
    assert clip_grad_norm_([p, q], 1.0).item() == 10.0
    assert p.grad is gradient
    assert gradient.dtype == np.float32
    np.testing.assert_allclose(gradient.numpy(), [0.6, 0.8], rtol=1e-6)
    assert clip_grad_norm_(q, 1.0).item() == 0.0
    p.grad = np.array([np.inf, 1.0], np.float32)
    with pytest.raises(ValueError, match="the norm of the gradients is inf"):
        clip_grad_norm_(p, 1.0, error_if_nonfinite=True)


@either_way
def test_gradients_of_parts_add_up_to_that_of_the_batch(compiled):
    x = np.random.default_rng(0).normal(size=(12, 3))

    def trained(parts, compiled):
        w = leaf([1.0, -1.0, 0.5])
        optimizer = Adam([w], 0.1)

        def step(batches):
            optimizer.zero_grad()
            for batch in batches:
                (np.tanh(batch @ w).sum() / len(x)).backward()
            optimizer.step()

        step = tg.compile(step, fused=False) if compiled else step
        for _ in range(4):
            step(np.split(x, parts))
        return w.numpy()

    np.testing.assert_allclose(trained(4, compiled), trained(1, False), rtol=1e-9)


# Averages.


@either_way
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_averages_follow_the_parameters(compiled, dtype):
    params = params_of(7, dtype)
    optimizer, ema = SGD(params, 0.1), EMA(params, 0.75)

    def step():
        optimizer.zero_grad()
        loss_of(params).backward()
        optimizer.step()
        ema.update()

    run = tg.compile(step, fused=False) if compiled else step
    expected = None
    for _ in range(5):
        run()
        now = values(params)
        expected = now if expected is None else 0.75 * expected + 0.25 * now
    np.testing.assert_allclose(values(ema.averages), expected, rtol=1e-6)
    with ema.applied():
        np.testing.assert_array_equal(values(params), values(ema.averages))
    np.testing.assert_array_equal(values(params), now)
    assert {a.dtype for a in ema.averages} == {np.dtype(dtype)}


def test_averages_are_saved_and_copied():
    params = params_of(2)
    ema = EMA(params, 0.75)
    repeated(ema.update, 2)
    saved, (twins, twin) = ema.state_dict(), copy.deepcopy((params, ema))
    other = EMA(params, 0.75)
    other.load_state_dict(pickle.loads(pickle.dumps(saved)))
    for tensors in (params, twins):
        with tg.no_grad():
            for p in tensors:
                p += 1.0
    for each in (ema, other, twin):
        each.update()
    np.testing.assert_array_equal(values(other.averages), values(ema.averages))
    np.testing.assert_array_equal(values(twin.averages), values(ema.averages))


# L-BFGS.


def rosenbrock(w):
    return (1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2


def closure_of(optimizer, loss):
    def closure():
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    return closure


def test_lbfgs_finds_the_bottom_of_the_valley():
    w = leaf([-1.2, 1.0])
    optimizer = LBFGS([w], line_search_fn="strong_wolfe")
    closure = closure_of(optimizer, lambda: rosenbrock(w))
    losses = [optimizer.step(closure).item() for _ in range(4)]
    assert rosenbrock(w).item() < 1e-8
    assert math.isclose(losses[0], 24.2)
    assert losses == sorted(losses, reverse=True)


@pytest.mark.parametrize("how", ["pickle", "state"])
def test_lbfgs_goes_on_from_its_state(how):
    w = leaf([-1.2, 1.0])
    optimizer = LBFGS([w], max_iter=4, line_search_fn="strong_wolfe")
    optimizer.step(closure_of(optimizer, lambda: rosenbrock(w)))
    if how == "pickle":
        v, other = pickle.loads(pickle.dumps((w, optimizer)))
    else:
        v = leaf(w.numpy().copy())
        other = LBFGS([v], line_search_fn="strong_wolfe")
        other.load_state_dict(optimizer.state_dict())
    for _ in range(2):
        optimizer.step(closure_of(optimizer, lambda: rosenbrock(w)))
        other.step(closure_of(other, lambda: rosenbrock(v)))
    np.testing.assert_array_equal(v.numpy(), w.numpy())


def test_lbfgs_says_what_it_needs():
    w = leaf([-1.2, 1.0])
    optimizer = LBFGS([w])
    with pytest.raises(TypeError, match="expected a function that returns the loss"):
        optimizer.step()
    closure = closure_of(optimizer, lambda: rosenbrock(w))
    with pytest.raises(tg.CaptureError, match="LBFGS.step looks at values of the loss"):
        tg.compile(lambda: optimizer.step(closure))()
    groups = LBFGS([{"params": w}])
    rosenbrock(w).backward()
    with pytest.raises(TypeError, match="LBFGS takes all parameters in one group"):
        groups.step()
