"""Optimizers and schedules against PyTorch's, where it is installed."""

import math

import numpy as np
import pytest
from tensors import leaf

import tensorgrad as tg
from tensorgrad.optim import schedules

torch = pytest.importorskip("torch")
schedulers, averaged = torch.optim.lr_scheduler, torch.optim.swa_utils

BETAS = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
DECAY, UP = {"weight_decay": 0.1}, {"maximize": True}

# The settings with which PyTorch tests its optimizers itself, in its names: those of
# torch.testing._internal.common_optimizers. Its switches foreach, fused, capturable and
# differentiable choose among its implementations, and so are not among them.
SETTINGS = {
    "Adadelta": [
        *({}, {"lr": 0.01}, DECAY, UP, DECAY | UP),
        {"rho": 0.95, "weight_decay": 0.9},
    ],
    "Adagrad": [
        *({}, DECAY, DECAY | UP, {"lr": 0.1}),
        {"initial_accumulator_value": 0.1, "weight_decay": 0.1},
        {"lr": 0.1, "lr_decay": 0.5, "weight_decay": 0.1},
        {"lr": 0.001},
    ],
    "Adam": [{}, {"lr": 0.01}, DECAY, DECAY | UP, DECAY | {"amsgrad": True}],
    "Adamax": [{}, {"lr": 0.1}, DECAY, UP, DECAY | UP],
    "AdamW": [{}, {"lr": 0.01}, DECAY, DECAY | UP, DECAY | {"amsgrad": True}],
    "ASGD": [
        *({}, {"lambd": 0.1}, {"lr": 0.02}, {"t0": 100}, UP, DECAY, DECAY | UP),
    ],
    "NAdam": [
        *({}, {"lr": 0.001}, {"momentum_decay": 0.006}, DECAY),
        {"weight_decay": 0.1, "momentum_decay": 0.006},
        DECAY | {"momentum_decay": 0.006, "decoupled_weight_decay": True},
        DECAY | UP,
    ],
    "RAdam": [
        *({}, {"lr": 0.002}, {"eps": 1e-6}, DECAY),
        *(DECAY | {"decoupled_weight_decay": True}, DECAY | UP),
    ],
    "RMSprop": [
        *({}, {"lr": 0.001}, DECAY, UP, DECAY | {"centered": True}, DECAY | UP),
        {"weight_decay": 0.1, "centered": True, "momentum": 0.1},
        DECAY | {"centered": True, "momentum": 0.1, "maximize": True},
    ],
    "Rprop": [
        *({}, {"lr": 2e-4}, {"etas": (0.5, 1.5)}, {"step_sizes": (2e-6, 100)}, UP),
    ],
    "SGD": [
        *({}, {"lr": 0.01}, {"lr": 0.001}, {"weight_decay": 0.5}, {"momentum": 0.9}),
        *(DECAY | UP, {"momentum": 0.9, "dampening": 0.5}),
        {"momentum": 0.9, "weight_decay": 0.1},
        {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
    ],
}
CASES = [(name, one) for name, several in SETTINGS.items() for one in several]
RENAMED = {"lr_decay": "decay", "alpha": "rho"}
PAIRS = {
    "betas": ("beta1", "beta2"),
    "etas": ("decrease", "increase"),
    "step_sizes": ("smallest", "largest"),
}
every_case = pytest.mark.parametrize(
    ("name", "settings"), CASES, ids=[f"{n}-{s}" for n, s in CASES]
)


@pytest.fixture(autouse=True)
def double_precision():
    # What PyTorch keeps as numbers it rounds to the default dtype.
    torch.set_default_dtype(torch.float64)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.set_default_dtype(torch.float32)


def translated(name, settings):
    """Return all settings of PyTorch's optimizer, its defaults among them, as ours."""
    defaults = getattr(torch.optim, name)([torch.zeros(1)]).defaults
    ignored = {"foreach", "fused", "capturable", "differentiable"}
    found = {"lr_in_velocity": False} if name == "SGD" else {}
    for key, value in (defaults | settings).items():
        if key in PAIRS:
            found |= dict(zip(PAIRS[key], value, strict=True))
        elif key == "alpha" and name == "ASGD":
            found[key] = value
        elif key == "decoupled_weight_decay" and name in ("Adam", "AdamW"):
            assert value == (name == "AdamW")
        elif key not in ignored:
            found[RENAMED.get(key, key)] = value
    return found


SHAPES = [(3,), (2, 3), (), (1,), (50, 60), (4,), (5, 1), (7,)]


def starts(count):
    rng = np.random.default_rng(count)
    return [np.asarray(rng.normal(size=SHAPES[i % 8])) for i in range(count)]


def loss_of(params):
    """Return a loss of either library's parameters."""
    return sum((p * p).sum() * (0.5 + 0.1 * i) for i, p in enumerate(params))


def trajectory(optimizer, params, steps, wrapped=lambda step: step):
    def step():
        optimizer.zero_grad()
        loss_of(params).backward()
        optimizer.step()

    step, found = wrapped(step), []
    for _ in range(steps):
        step()
        found.append([np.array(p.detach().numpy()) for p in params])
    return found


def ours(name, settings, arrays, steps, **compiled):
    params = [leaf(w) for w in arrays]
    optimizer = getattr(tg.optim, name)(params, **translated(name, settings))
    return trajectory(optimizer, params, steps, **compiled)


def theirs(name, settings, arrays, steps):
    params = [torch.tensor(w, requires_grad=True) for w in arrays]
    optimizer = getattr(torch.optim, name)(params, **settings)
    return trajectory(optimizer, params, steps)


def replayed(step):
    return tg.compile(step, fused=False)


def assert_close(found, expected, bound=1e-10):
    for ours, theirs in zip(found, expected, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a, b, rtol=bound, atol=bound)


@every_case
def test_trajectories_are_pytorchs(name, settings):
    for count, steps in ((1, 30), (40, 5)):
        arrays = starts(count)
        expected = theirs(name, settings, arrays, steps)
        assert_close(ours(name, settings, arrays, steps), expected)
        if count == 1:
            found = ours(name, settings, arrays, 8, wrapped=replayed)
            assert_close(found, expected[:8])


@pytest.mark.parametrize("name", ["SGD", "RMSprop", "NAdam"])
def test_many_parameters_are_replayed(name):
    # Which takes a second: the recorder sees each of 40 updates.
    arrays, settings = starts(40), SETTINGS[name][-1]
    expected = theirs(name, settings, arrays, 4)
    assert_close(ours(name, settings, arrays, 4, wrapped=replayed), expected)


def test_there_are_seventy_settings():
    assert len(CASES) == 70


def test_the_comparison_would_see_a_difference():
    arrays = starts(1)
    expected = theirs("Adam", {}, arrays, 5)
    with pytest.raises(AssertionError):
        assert_close(ours("Adam", {"lr": 0.001000001}, arrays, 5), expected)


LBFGS = [
    *({}, {"lr": 0.01}, {"lr": 0.001}, {"tolerance_grad": 1e-6}),
    {"line_search_fn": "strong_wolfe"},
    {"line_search_fn": "strong_wolfe", "max_iter": 3, "history_size": 2},
]


@pytest.mark.parametrize(
    ("settings", "count", "steps"),
    [*((settings, 1, 5) for settings in LBFGS), (LBFGS[-1], 40, 2)],
)
def test_lbfgs_is_pytorchs(settings, count, steps):
    def run(optimizer, params):
        def closure():
            optimizer.zero_grad()
            loss = loss_of(params) + sum((p**4 - p).sum() for p in params)
            loss.backward()
            return loss

        for _ in range(steps):
            optimizer.step(closure)
        return [np.array(p.detach().numpy()) for p in params]

    arrays = [w / 2 for w in starts(count)]
    params = [torch.tensor(w, requires_grad=True) for w in arrays]
    expected = run(torch.optim.LBFGS(params, **settings), params)
    params = [leaf(w) for w in arrays]
    found = run(tg.optim.LBFGS(params, **settings), params)
    assert_close([found], [expected])


SCHEDULES = {
    "exponential": (
        schedules.exponential(0.1, 0.9),
        lambda o: schedulers.ExponentialLR(o, 0.9),
    ),
    "staircase": (
        schedules.staircase(0.1, 7, 0.5),
        lambda o: schedulers.StepLR(o, 7, 0.5),
    ),
    "linear": (
        schedules.linear(0.05, 0.1, 20),
        lambda o: schedulers.LinearLR(o, 0.5, 1.0, 20),
    ),
    "cosine": (
        schedules.cosine(0.1, 49, 0.01),
        lambda o: schedulers.CosineAnnealingLR(o, 49, 0.01),
    ),
    "one_cycle": (
        schedules.one_cycle(0.3, 50, rise=0.25),
        lambda o: schedulers.OneCycleLR(o, 0.3, 50, pct_start=0.25),
    ),
    "warmup": (
        schedules.warmup(schedules.exponential(0.1, 0.9), 5, 0.01),
        lambda o: schedulers.SequentialLR(
            o,
            [schedulers.LinearLR(o, 0.1, 1.0, 5), schedulers.ExponentialLR(o, 0.9)],
            [5],
        ),
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.filterwarnings("ignore")  # of PyTorch's, about its own order of calls
def test_schedules_are_pytorchs(name):
    rate, make = SCHEDULES[name]
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.1)
    scheduler, expected = make(optimizer), []
    for _ in range(50):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    np.testing.assert_allclose([rate(k) for k in range(50)], expected, rtol=1e-10)


@pytest.mark.parametrize("settings", [{}, {"cooldown": 2, "factor": 0.5}])
def test_plateau_is_pytorchs(settings):
    rng = np.random.default_rng(0)
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.1)
    theirs = schedulers.ReduceLROnPlateau(optimizer, patience=2, **settings)
    rate = schedules.Plateau(0.1, patience=2, **settings)
    for loss in np.round(rng.random(60), 2):
        theirs.step(loss)
        rate.report(loss)
        assert math.isclose(rate.lr, optimizer.param_groups[0]["lr"], abs_tol=1e-8)


def test_averages_are_pytorchs():
    weight = np.arange(6.0).reshape(2, 3)
    ours, theirs = leaf(weight), torch.nn.Linear(3, 2, bias=False)
    ema = tg.optim.EMA([ours], 0.9)
    average = averaged.AveragedModel(
        theirs, multi_avg_fn=averaged.get_ema_multi_avg_fn(0.9)
    )
    for step in range(5):
        ours.data = weight * step
        theirs.weight.data = torch.tensor(weight * step)
        ema.update()
        average.update_parameters(theirs)
    expected = average.module.weight.detach().numpy()
    np.testing.assert_allclose(ema.averages[0].numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("power", [1.0, 2.0, 3.0, np.inf])
def test_clipping_is_pytorchs(power):
    arrays = starts(6)
    ours, theirs = [leaf(w) for w in arrays], [torch.tensor(w) for w in arrays]
    for p, q, g in zip(ours, theirs, arrays, strict=True):
        p.grad, q.grad = g.copy(), torch.tensor(g)
    norm = tg.optim.clip_grad_norm_(ours, 0.7, power)
    expected = torch.nn.utils.clip_grad_norm_(theirs, 0.7, power)
    assert math.isclose(norm.item(), expected.item(), rel_tol=1e-12)
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-12)
