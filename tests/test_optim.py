"""Each optimizer beside its recurrence, written out as a plain loop."""

import copy
import math
import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optimizers import OPTIMIZERS, every_form, every_optimizer
from tensors import leaf

import tensorgrad as tg
from tensorgrad.optim import (
    ASGD,
    SGD,
    Adadelta,
    AdaGrad,
    Adam,
    Adamax,
    AdamW,
    NAdam,
    Optimizer,
    RAdam,
    RMSProp,
    Rprop,
    inverse_time,
)

DTYPES = [np.float32, np.float64]
every_dtype = pytest.mark.parametrize("dtype", DTYPES)


def ready(shape=(3,), dtype=np.float64):
    """Return a parameter of ones that has a gradient of ones."""
    p = leaf(np.ones(shape), dtype)
    p.grad = np.ones(shape, dtype)
    return p


def states(optimizer):
    return [array for arrays in optimizer.state for array in arrays]


def test_the_four_optimizers_are_found():
    assert {SGD, AdaGrad, RMSProp, Adam} <= set(OPTIMIZERS)


# The recurrences, in the order of operations of the textbook: w' as a function of w,
# the gradient g, the rate and the state, a list of arrays of w's shape, zero at first.


def descent(w, g, lr, state, t, *, momentum=0.0, lr_in_velocity=True):
    if not momentum:
        return w - lr * g
    if lr_in_velocity:
        state[0] = momentum * state[0] - lr * g
        return w + state[0]
    state[0] = momentum * state[0] + g
    return w - lr * state[0]


def adagrad(w, g, lr, state, t, *, eps=1e-7):
    state[0] = state[0] + g**2
    return w - lr * g / (np.sqrt(state[0]) + eps)


def rmsprop(w, g, lr, state, t, *, eps=1e-7, rho=0.9):
    state[0] = rho * state[0] + (1 - rho) * g**2
    return w - lr * g / (np.sqrt(state[0]) + eps)


def adam(w, g, lr, state, t, *, eps=1e-7, beta1=0.9, beta2=0.999):
    state[0] = beta1 * state[0] + (1 - beta1) * g
    state[1] = beta2 * state[1] + (1 - beta2) * g**2
    mean = state[0] / (1 - beta1**t)
    square = state[1] / (1 - beta2**t)
    return w - lr * mean / (np.sqrt(square) + eps)


def plain_loop(recurrence, w, gradients, lr, decay, options):
    """Return the parameter before the first step and after each."""
    state = [np.zeros_like(w), np.zeros_like(w)]
    path = [w]
    for step, g in enumerate(gradients):
        rate = lr * (1 / (1 + decay * step)) if decay else lr
        w = recurrence(w, g, rate, state, step + 1, **options)
        path.append(w)
    return path


def engine(kind, w, gradients, lr, decay, options):
    p = leaf(w, w.dtype)
    optimizer = kind([p], lr=lr, decay=decay, **options)
    for g in gradients:
        p.grad = g
        optimizer.step()
    return p.numpy()


below_one = st.floats(0.0, 0.999)
rates = st.floats(1e-4, 2.0)
decays = st.sampled_from([0.0, 1e-4, 0.01, 1.0])
epsilons = st.sampled_from([1e-7, 1e-3])


@st.composite
def walks(draw):
    """Draw a parameter and the gradients of some steps, zeros among them."""
    dtype = draw(st.sampled_from(DTYPES))
    shape = draw(st.sampled_from([(), (1,), (0,), (7,), (3, 4), (2, 1, 3)]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    w, *gradients = rng.normal(size=(draw(st.integers(1, 9)) + 1, *shape))
    gradients = [g * (rng.random(shape) > 0.2) for g in gradients]
    return np.asarray(w, dtype), [np.asarray(g, dtype) for g in gradients]


def bits_agree(kind, recurrence, walk, lr, decay, options):
    ours = engine(kind, *walk, lr, decay, options)
    theirs = plain_loop(recurrence, *walk, lr, decay, options)[-1]
    return ours.dtype == theirs.dtype and np.array_equal(ours, theirs)


@given(walks(), rates, decays, st.just(0.0) | below_one, st.booleans())
def test_sgd(walk, lr, decay, momentum, lr_in_velocity):
    options = {"momentum": momentum, "lr_in_velocity": lr_in_velocity}
    assert bits_agree(SGD, descent, walk, lr, decay, options)


@given(walks(), rates, decays, epsilons)
def test_adagrad(walk, lr, decay, eps):
    assert bits_agree(AdaGrad, adagrad, walk, lr, decay, {"eps": eps})


@given(walks(), rates, decays, epsilons, below_one)
def test_rmsprop(walk, lr, decay, eps, rho):
    assert bits_agree(RMSProp, rmsprop, walk, lr, decay, {"eps": eps, "rho": rho})


@given(walks(), rates, decays, epsilons, below_one, below_one)
def test_adam(walk, lr, decay, eps, beta1, beta2):
    options = {"eps": eps, "beta1": beta1, "beta2": beta2}
    ours = engine(Adam, *walk, lr, decay, options)
    path = plain_loop(adam, *walk, lr, decay, options)
    assert ours.dtype == path[-1].dtype
    # The corrections stand elsewhere in the formula, so an update may differ by some
    # eight roundings of itself, and adding it by one of the parameter.
    rounded = sum(np.abs(new) + 8 * np.abs(new - old) for old, new in pairwise(path))
    assert np.all(np.abs(ours - path[-1]) <= np.finfo(ours.dtype).eps * rounded)


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        # The rate outside the buffer; eps under the root; the mean without 1 - rho.
        (SGD, lambda w, g, lr, s, t: descent(w, g, lr, s, t, momentum=0.5)),
        (AdaGrad, lambda w, g, lr, s, t: rmsprop(w, g, lr, s, t)),
        (RMSProp, lambda w, g, lr, s, t: rmsprop(w, g, lr, s, t, rho=0.9000001)),
        (RMSProp, lambda w, g, lr, s, t: rmsprop(w, g, lr, s, t, eps=2e-7)),
    ],
)
def test_the_comparison_sees_a_wrong_recurrence(kind, wrong):
    gradients = list(np.random.default_rng(0).normal(size=(5, 4)))
    assert not bits_agree(kind, wrong, (np.ones(4), gradients), 0.1, 0.01, {})


def adam_first_step(g, **options):
    return engine(Adam, np.zeros(2), [np.array(g)], 0.1, 0.0, options)


def test_first_step_of_adam_is_the_rate_along_the_sign():
    np.testing.assert_allclose(adam_first_step([3.0, -0.02]), [-0.1, 0.1], rtol=1e-4)


def test_eps_of_adam_is_added_to_the_corrected_root():
    # g / (|g| + eps), whatever the betas.
    stepped = adam_first_step([3.0, -1.0], eps=1.0)
    np.testing.assert_allclose(stepped, [-0.1 * 3 / 4, 0.1 / 2], rtol=1e-12)


# The others, as their papers have them. PyTorch's are compared in test_optim_torch.


def nesterov(w, g, lr, s, t):
    s[0] = 0.9 * s[0] - lr * g
    return w + 0.9 * s[0] - lr * g


def nesterov_outside(w, g, lr, s, t):
    s[0] = 0.9 * s[0] + g
    return w - lr * (g + 0.9 * s[0])


def dampened(w, g, lr, s, t):
    s[0] = 0.9 * s[0] + (g if t == 1 else 0.5 * g)
    return w - lr * s[0]


def centered(w, g, lr, s, t):
    s[0] = 0.9 * s[0] + 0.1 * g**2
    s[1] = 0.9 * s[1] + 0.1 * g
    s[2] = 0.9 * s[2] + g / (np.sqrt(s[0] - s[1] ** 2) + 1e-7)
    return w - lr * s[2]


def adadelta(w, g, lr, s, t):
    s[0] = 0.9 * s[0] + 0.1 * g**2
    change = g * np.sqrt(s[1] + 1e-6) / np.sqrt(s[0] + 1e-6)
    s[1] = 0.9 * s[1] + 0.1 * change**2
    return w - lr * change


def rprop(w, g, lr, s, t):
    before, step = s[0], s[1] if t > 1 else np.full_like(w, lr)
    factor = np.where(before * g > 0, 1.2, np.where(before * g < 0, 0.5, 1.0))
    s[1] = np.clip(step * factor, 1e-6, 50.0)
    s[0] = np.where(before * g < 0, 0.0, g)
    return w - np.sign(s[0]) * s[1]


def asgd(w, g, lr, s, t):
    rate = lr / (1 + 1e-4 * lr * (t - 1)) ** 0.75
    return w * (1 - 1e-4 * rate) - rate * g


def adamw(w, g, lr, s, t):
    return adam(w * (1 - lr * 0.01), g, lr, s, t)


def amsgrad(w, g, lr, s, t):
    s[0] = 0.9 * s[0] + 0.1 * g
    s[1] = 0.999 * s[1] + 0.001 * g**2
    s[2] = np.maximum(s[2], s[1])
    root = np.sqrt(s[2] / (1 - 0.999**t))
    return w - lr * s[0] / (1 - 0.9**t) / (root + 1e-7)


def adamax(w, g, lr, s, t):
    s[0] = 0.9 * s[0] + 0.1 * g
    s[1] = np.maximum(0.999 * s[1], np.abs(g) + 1e-7)
    return w - lr / (1 - 0.9**t) * s[0] / s[1]


def nadam(w, g, lr, s, t):
    mu = [0.9 * (1 - 0.5 * 0.96 ** (0.004 * k)) for k in range(1, t + 2)]
    s[0] = 0.9 * s[0] + 0.1 * g
    s[1] = 0.999 * s[1] + 0.001 * g**2
    ahead = mu[-1] * s[0] / (1 - math.prod(mu))
    ahead = ahead + (1 - mu[-2]) * g / (1 - math.prod(mu[:-1]))
    return w - lr * ahead / (np.sqrt(s[1] / (1 - 0.999**t)) + 1e-7)


def radam(w, g, lr, s, t):
    s[0] = 0.9 * s[0] + 0.1 * g
    s[1] = 0.999 * s[1] + 0.001 * g**2
    mean, last = s[0] / (1 - 0.9**t), 2 / 0.001 - 1
    now = last - 2 * t * 0.999**t / (1 - 0.999**t)
    if now <= 5:
        return w - lr * mean
    r = (now - 4) * (now - 2) * last / ((last - 4) * (last - 2) * now)
    return w - lr * mean * math.sqrt(r * (1 - 0.999**t)) / (np.sqrt(s[1]) + 1e-7)


OUTSIDE = {"momentum": 0.9, "lr_in_velocity": False}
PAPERS = [
    (nesterov, SGD, {"momentum": 0.9, "nesterov": True}),
    (nesterov_outside, SGD, OUTSIDE | {"nesterov": True}),
    (dampened, SGD, OUTSIDE | {"dampening": 0.5}),
    (centered, RMSProp, {"centered": True, "momentum": 0.9}),
    (adadelta, Adadelta, {}),
    (rprop, Rprop, {}),
    (asgd, ASGD, {}),
    (adamw, AdamW, {}),
    (amsgrad, Adam, {"amsgrad": True}),
    (adamax, Adamax, {}),
    (nadam, NAdam, {}),
    (radam, RAdam, {}),
]


@pytest.mark.parametrize(("paper", "kind", "options"), PAPERS)
def test_other_recurrences(paper, kind, options):
    w, *gradients = np.random.default_rng(5).normal(size=(31, 6))
    ours = engine(kind, w, gradients, 0.1, 0.0, options)
    state = [np.zeros(6) for _ in "123"]
    for t, g in enumerate(gradients, 1):
        w = paper(w, g, 0.1, state, t)
    np.testing.assert_allclose(ours, w, rtol=1e-12, atol=1e-13)


def test_every_optimizer_has_a_recurrence_beside_it():
    assert {SGD, AdaGrad, RMSProp, Adam} | {kind for _, kind, _ in PAPERS} == {
        *OPTIMIZERS
    }


def test_the_mean_of_the_path_begins_after_t0():
    p = leaf(0.0)
    optimizer = ASGD([p], 1.0, lambd=0.0, t0=2.0)
    path = []
    for g in (1.0, 2.0, 3.0, 4.0, 5.0):
        p.grad = g
        optimizer.step()
        path.append(p.item())
    assert path == [-1.0, -3.0, -6.0, -10.0, -15.0]
    assert optimizer.state[0][0] == np.mean(path[3:])


# The two forms of momentum.


def both_momenta(rate):
    gradients = list(np.random.default_rng(1).normal(size=(20, 5)))
    results = []
    for inside in (True, False):
        p = leaf(np.ones(5))
        optimizer = SGD([p], momentum=0.9, lr_in_velocity=inside, **rate)
        for g in gradients:
            p.grad = g
            optimizer.step()
        results.append(p.numpy())
    return results


def test_both_momenta_agree_while_the_rate_is_constant():
    inside, outside = both_momenta({"lr": 0.1})
    np.testing.assert_allclose(inside, outside, rtol=0, atol=1e-13)


@pytest.mark.parametrize(
    "changing", [{"lr": 0.1, "decay": 0.1}, {"lr": lambda step: 0.1 / (1 + step)}]
)
def test_both_momenta_differ_once_the_rate_changes(changing):
    inside, outside = both_momenta(changing)
    assert np.all(np.abs(inside - outside) > 1e-3)


def test_momentum_by_hand():
    # Gradients 1, 1 at rates 1, 1/2 and momentum 1/2.
    # Inside: v = -1, then -1/2 - 1/2 = -1. Outside: v = 1, then 3/2, times 1/2.
    for inside, expected in [(True, -2.0), (False, -1.75)]:
        p = leaf(0.0)
        optimizer = SGD([p], 1.0, decay=1.0, momentum=0.5, lr_in_velocity=inside)
        for _ in range(2):
            p.grad = 1.0
            optimizer.step()
        assert p.item() == expected


# The learning rate.


@every_optimizer
def test_lr_is_the_rate_of_the_last_step(kind):
    optimizer = kind([ready()], lr=0.5, decay=0.1)
    assert optimizer.lr == 0.5
    for step in range(30):
        optimizer.step()
        assert optimizer.lr == 0.5 * (1 / (1 + 0.1 * step))
    assert optimizer.steps == 30


@every_optimizer
def test_constant_rate_stays_as_given(kind):
    optimizer = kind([ready()], lr=0.3)
    optimizer.step()
    optimizer.step()
    assert optimizer.lr == 0.3


@every_optimizer
def test_default_rates_and_epsilon(kind):
    defaults = {SGD: 1.0, AdaGrad: 1.0, RMSProp: 0.001, Adam: 0.001}
    optimizer = kind([ready()])
    assert optimizer.lr == defaults.get(kind, optimizer.lr)
    eps = 1e-6 if kind is Adadelta else 1e-7  # as in its paper
    assert getattr(optimizer, "eps", eps) == eps


@every_optimizer
def test_schedule_is_asked_once_for_each_step_from_zero(kind):
    p = ready()
    asked = []

    def schedule(step):
        asked.append(step)
        return 0.1 * 0.5**step

    optimizer = kind([p], schedule)
    assert optimizer.lr == 0.1
    del asked[:]
    in_force = []
    for _ in range(4):
        optimizer.step()
        in_force.append(optimizer.lr)
    assert asked == [0, 1, 2, 3]
    assert in_force == [0.1, 0.05, 0.025, 0.0125]


def test_the_rate_of_the_schedule_is_applied():
    p = leaf(0.0)
    optimizer = SGD([p], lambda step: [1.0, 10.0, 100.0][step])
    seen = []
    for _ in range(3):
        p.grad = -1.0
        optimizer.step()
        seen.append(p.item())
    assert seen == [1.0, 11.0, 111.0]


@given(rates, st.floats(0.0, 2.0), st.integers(0, 10_000))
def test_inverse_time(lr, decay, step):
    assert inverse_time(lr, decay)(step) == lr * (1 / (1 + decay * step))


def test_assigned_rate_is_the_new_initial_one():
    p = ready()
    optimizer = SGD([p], lr=1.0, decay=0.5)
    optimizer.step()
    optimizer.step()
    optimizer.lr = 0.3
    assert optimizer.lr == 0.3 * (1 / (1 + 0.5 * 2))
    before = p.numpy().copy()
    optimizer.step()
    np.testing.assert_array_equal(p.numpy(), before - optimizer.lr)
    assert optimizer.lr == 0.3 * (1 / (1 + 0.5 * 2))
    assert optimizer.steps == 3


def test_schedule_can_be_assigned():
    optimizer = SGD([ready()], lr=1.0)
    optimizer.step()
    optimizer.lr = lambda step: 10.0 + step
    assert optimizer.lr == 11.0
    optimizer.step()
    assert optimizer.lr == 11.0


@pytest.mark.parametrize("wrong", [-1.0, math.nan, math.inf])
def test_wrong_rate_is_not_assigned(wrong):
    optimizer = SGD([ready()], lr=1.0)
    with pytest.raises(ValueError, match="SGD: lr must be finite and at least 0"):
        optimizer.lr = wrong
    optimizer.step()
    assert optimizer.lr == 1.0


@every_optimizer
def test_hyperparameters_of_numpy_type_give_the_same_bits(kind):
    # As arrays of one element they would not be weak: float32 times float64.
    gradients = list(np.random.default_rng(2).normal(size=(5, 6)).astype(np.float32))
    w = np.ones(6, np.float32)
    number = engine(kind, w, gradients, 0.1, 0.01, {})
    scalar = engine(kind, w, gradients, np.float64(0.1), np.float64(0.01), {})
    np.testing.assert_array_equal(scalar, number)
    p = leaf(w, np.float32)
    optimizer = kind([p], lambda step: np.float64(0.1) * (1 / (1 + 0.01 * step)))
    for g in gradients:
        p.grad = g
        optimizer.step()
    np.testing.assert_array_equal(p.numpy(), number)


# Memory.


@every_form
@every_dtype
def test_parameter_and_state_are_updated_in_place(kind, options, dtype):
    p = ready((4, 2), dtype)
    array = p.numpy()
    optimizer = kind([p], decay=0.1, **options)
    held = states(optimizer)
    for _ in range(3):
        before = array.copy()
        optimizer.step()
        assert p.numpy() is array
        assert not np.array_equal(array, before)
    assert all(a is b for a, b in zip(states(optimizer), held, strict=True))
    assert {a.dtype for a in (array, *held)} == {np.dtype(dtype)}
    assert all(a.shape == (4, 2) and np.all(a != 0) for a in held)
    assert np.array_equal(p.grad.numpy(), np.ones((4, 2))), "the gradient is not ours"


def test_plain_descent_keeps_no_state():
    assert states(SGD([ready()])) == []


@every_form
@every_dtype
def test_a_step_allocates_nothing_of_parameter_size(kind, options, dtype):
    parameters = [ready((1000, 300), dtype), ready((1000,), dtype)]
    optimizer = kind(parameters, decay=1e-3, **options)
    optimizer.step()
    assert peak_of(optimizer.step) < parameters[0].numpy().nbytes / 50


def peak_of(function):
    """Return how many bytes more than before were in use at some point of a call."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        function()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def test_peak_sees_a_temporary_array():
    w = np.ones((1000, 300))
    assert peak_of(lambda: np.add(w, w * w, out=w)) >= w.nbytes


def test_scratch_is_shared_between_parameters():
    parameters = [ready((1000, 300), np.float32) for _ in range(5)]
    tracemalloc.start()
    try:
        optimizer = Adam(parameters)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Two moments for each of the five, and two arrays of scratch for all together.
    assert optimizer.steps == 0
    assert kept < (5 * 2 + 2 + 0.1) * parameters[0].numpy().nbytes


# One optimizer over several parameters.


@every_optimizer
def test_parameters_do_not_see_each_other(kind):
    rng = np.random.default_rng(3)
    shapes = [(4, 3), (), (3,), (2, 2)]
    dtypes = [np.float32, np.float64, np.float64, np.float32]
    starts = [rng.normal(size=s).astype(d) for s, d in zip(shapes, dtypes, strict=True)]
    gradients = [
        [rng.normal(size=w.shape).astype(w.dtype) for _ in "123"] for w in starts
    ]
    together = [leaf(w, w.dtype) for w in starts]
    optimizer = kind(together, lr=0.1, decay=0.1)
    for step in range(3):
        for p, g in zip(together, gradients, strict=True):
            p.grad = g[step]
        optimizer.step()
    for p, w, g in zip(together, starts, gradients, strict=True):
        alone = engine(kind, w, g, 0.1, 0.1, {})
        np.testing.assert_array_equal(p.numpy(), alone)
        assert p.dtype == w.dtype


def test_zero_grad_forgets():
    p = leaf([1.0, 2.0])
    optimizer = SGD([p], lr=0.1)
    for expected in ([2.0, 4.0], [4.0, 8.0]):
        (p * p).sum().backward()
        np.testing.assert_array_equal(p.grad.numpy(), expected)
    optimizer.zero_grad()
    assert p.grad is None
    (p * p).sum().backward()
    np.testing.assert_array_equal(p.grad.numpy(), [2.0, 4.0])


def test_parameters_may_come_from_a_generator():
    p = ready()
    optimizer = SGD((q for q in [p]), lr=0.25)
    optimizer.step()
    optimizer.step()
    np.testing.assert_array_equal(p.numpy(), [0.5, 0.5, 0.5])


def test_a_step_is_a_write_that_backward_notices():
    p = ready()
    optimizer = SGD([p], lr=0.1)
    loss = (p * p).sum()
    optimizer.step()
    with pytest.raises(tg.MutationError, match=r"multiply.*SGD\.step"):
        loss.backward()


# What is refused.


@every_optimizer
@pytest.mark.parametrize("name", ["lr", "decay"])
@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf])
def test_rate_and_decay_must_be_finite_and_not_negative(kind, name, value):
    message = f"{kind.__name__}: {name} must be finite and at least 0, got {value}"
    with pytest.raises(ValueError, match=message):
        kind([ready()], **{name: value})


@pytest.mark.parametrize(
    ("kind", "name"),
    [(SGD, "momentum"), (RMSProp, "rho"), (Adam, "beta1"), (Adam, "beta2")],
)
@pytest.mark.parametrize("value", [-0.1, 1.0, 2.0, math.nan])
def test_weights_of_the_past_must_be_below_one(kind, name, value):
    message = f"{kind.__name__}: {name} must be from 0 to below 1, got {value}"
    with pytest.raises(ValueError, match=message):
        kind([ready()], **{name: value})


@pytest.mark.parametrize("kind", [AdaGrad, RMSProp, Adam])
@pytest.mark.parametrize("value", [-1e-9, math.nan, math.inf])
def test_eps_must_be_finite_and_not_negative(kind, value):
    with pytest.raises(ValueError, match=f"{kind.__name__}: eps must be finite"):
        kind([ready()], eps=value)


@every_optimizer
def test_schedule_and_decay_exclude_each_other(kind):
    with pytest.raises(ValueError, match="either a schedule or decay"):
        kind([ready()], lambda step: 0.1, decay=0.1)


@every_form
def test_a_step_without_gradients_is_refused(kind, options):
    parameters = [ready(), ready((2,))]
    optimizer = kind(parameters, lr=0.5, decay=0.1, **options)
    optimizer.step()
    optimizer.zero_grad()
    held = [p.numpy() for p in parameters] + states(optimizer)
    before = [a.copy() for a in held]
    message = rf"{kind.__name__}\.step: none of the parameters has a gradient"
    with pytest.raises(tg.GraphError, match=message):
        optimizer.step()
    for a, b in zip(held, before, strict=True):
        np.testing.assert_array_equal(a, b)
    assert (optimizer.steps, optimizer.lr) == (1, 0.5)


@every_form
@pytest.mark.parametrize("count", [2, 8], ids=["alone", "joined"])
def test_parameters_without_gradient_are_left_as_they_are(kind, options, count):
    # And their own count of steps, the t of the papers, stands still.
    together = [ready((i + 1,)) for i in range(count)]
    optimizer = kind(together, lr=0.1, **options)
    expected = [ready((i + 1,)) for i in range(count)]
    alone = [kind([p], lr=0.1, **options) for p in expected]
    for step in range(6):
        for i, p in enumerate(together):
            absent = i % 2 and step in (0, 3)
            p.grad = None if absent else np.full(p.shape, 0.5 + step)
            if not absent:
                expected[i].grad = p.grad
                alone[i].step()
        optimizer.step()
    for p, q in zip(together, expected, strict=True):
        np.testing.assert_array_equal(p.numpy(), q.numpy())
    assert optimizer.steps == 6


@every_optimizer
@pytest.mark.parametrize(
    "wrong",
    [
        lambda p: p * 2,
        lambda p: tg.Tensor([1.0]),
        lambda p: p.detach(),
        lambda p: np.ones(3),
        lambda p: "weight",
    ],
    ids=["result", "constant", "detached", "array", "name"],
)
def test_only_leaves_that_need_a_gradient_are_taken(kind, wrong):
    p = leaf([1.0])
    with pytest.raises(TypeError, match=f"{kind.__name__}: parameter 1 must be a Ten"):
        kind([p, wrong(p)])


@every_optimizer
def test_no_parameters_are_refused(kind):
    with pytest.raises(ValueError, match="expected at least one parameter, got none"):
        kind([])


def test_a_tensor_in_place_of_a_list_is_refused():
    with pytest.raises(TypeError, match="parameter 0 must be a Tensor made with"):
        SGD(leaf([1.0, 2.0]))


def test_a_model_in_place_of_its_parameters_is_refused():
    with pytest.raises(TypeError, match=r"got a Dense; pass its .parameters\(\)"):
        SGD(tg.nn.Dense(2, 3))


def test_the_shared_class_updates_nothing():
    with pytest.raises(NotImplementedError, match="Optimizer defines no update"):
        Optimizer([ready()], 0.1).step()


# All of them do what they are for.


@every_optimizer
@every_dtype
def test_quadratic_converges(kind, dtype):
    curvature = np.array([0.5, 1.0, 1.5], dtype)
    bottom = np.array([3.0, -2.0, 0.5], dtype)
    p = leaf(np.zeros(3), dtype)
    # Weights that decay end elsewhere, and Adadelta makes its rates itself.
    options = {AdamW: {"weight_decay": 0.0}, Adadelta: {"lr": 30.0}}.get(kind, {})
    optimizer = kind([p], **{"lr": lambda step: 0.5 * 0.99**step} | options)
    for _ in range(1000):
        optimizer.zero_grad()
        off = p - bottom
        (curvature * off * off).sum().backward()
        optimizer.step()
    assert p.dtype == dtype
    np.testing.assert_allclose(p.numpy(), bottom, atol=1e-3)


def test_a_parameter_given_twice_is_refused():
    w = tg.Tensor([1.0], requires_grad=True)
    with pytest.raises(ValueError, match="passed twice"):
        tg.optim.SGD([w, w], 0.1)


def test_a_schedule_that_gives_nan_is_refused():
    w = tg.Tensor([1.0], requires_grad=True)
    with pytest.raises(ValueError, match="scheduled lr must be finite"):
        tg.optim.SGD([w], lambda step: np.nan)


@every_optimizer
@pytest.mark.parametrize("count", [2, 8], ids=["alone", "joined"])
def test_a_copied_optimizer_goes_its_own_way(kind, count):
    params = [tg.Tensor(np.full(3, i + 1.0), requires_grad=True) for i in range(count)]
    optimizer = kind(params, 0.1)
    train(optimizer, 3)
    compiled, eager = copy.deepcopy(optimizer), copy.deepcopy(optimizer)
    step = tg.compile(lambda: train(compiled, 1), fused=False)
    train(compiled, 1)
    for _ in range(3):
        step()
    train(eager, 4)
    for a, b, old in zip(compiled.params, eager.params, optimizer.params, strict=True):
        np.testing.assert_array_equal(a.data, b.data)
        assert (a.data != old.data).all()


def train(optimizer, steps):
    """Take steps on a sum of squares."""
    for _ in range(steps):
        optimizer.zero_grad()
        sum((p * p).sum() for p in optimizer.params).backward()
        optimizer.step()
