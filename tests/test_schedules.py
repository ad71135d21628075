"""Schedules: learning rates as functions of the step."""

import math
import pickle

import numpy as np
import pytest
from tensors import leaf

import tensorgrad as tg
from tensorgrad.optim import SGD, schedules

ALL = {
    "inverse_time": schedules.inverse_time(0.1, 0.01),
    "exponential": schedules.exponential(0.1, 0.9),
    "staircase": schedules.staircase(0.1, 7, 0.5),
    "linear": schedules.linear(0.1, 0.01, 20),
    "cosine": schedules.cosine(0.1, 30, 0.001),
    "warmup": schedules.warmup(0.1, 5, 0.01),
    "one_cycle": schedules.one_cycle(0.1, 40),
    "joined": schedules.joined([0.1, schedules.exponential(0.1, 0.9)], [4]),
}
every_schedule = pytest.mark.parametrize("rate", ALL.values(), ids=ALL)


@pytest.mark.parametrize(
    ("name", "step", "expected"),
    [
        ("exponential", 3, 0.1 * 0.9**3),
        ("staircase", 6, 0.1),
        ("staircase", 14, 0.025),
        ("linear", 10, 0.055),
        ("linear", 100, 0.01),
        ("cosine", 0, 0.1),
        ("cosine", 10, 0.001 + 0.099 * 0.75),
        ("cosine", 31, 0.001),
        ("warmup", 0, 0.01),
        ("warmup", 4, 0.082),
        ("warmup", 5, 0.1),
        ("one_cycle", 0, 0.004),
        ("one_cycle", 11, 0.1),
        ("one_cycle", 39, 4e-7),
        ("one_cycle", 99, 4e-7),
        ("joined", 3, 0.1),
        ("joined", 6, 0.1 * 0.9**2),
    ],
)
def test_rates_by_hand(name, step, expected):
    assert math.isclose(ALL[name](step), expected, rel_tol=1e-12)


@every_schedule
def test_a_pickled_schedule_gives_the_same_rates(rate):
    copy = pickle.loads(pickle.dumps(rate))
    assert [copy(step) for step in range(60)] == [rate(step) for step in range(60)]


@every_schedule
@pytest.mark.parametrize("compiled", [False, True])
def test_each_step_has_the_rate_of_its_number(rate, compiled):
    p = leaf([0.0])
    optimizer = SGD([p], rate)

    def step():
        optimizer.zero_grad()
        p.sum().backward()
        optimizer.step()

    step = tg.compile(step, fused=False) if compiled else step
    where = []
    for _ in range(12):
        step()
        where.append(p.item())
    expected = -np.cumsum([rate(k) for k in range(12)])
    np.testing.assert_allclose(where, expected, rtol=1e-12)


def test_warmup_leads_into_a_schedule_that_begins_at_its_own_step_zero():
    tail = schedules.cosine(0.2, 10)
    rate = schedules.warmup(tail, 4)
    assert [rate(k) for k in range(5)] == [0.0, 0.05, 0.1, 0.2 * 3 / 4, 0.2]
    assert [rate(4 + k) for k in range(12)] == [tail(k) for k in range(12)]


def test_plateau_falls_after_patience():
    rate = schedules.Plateau(1.0, factor=0.5, patience=1, cooldown=1, end=0.2)
    seen = []
    for loss in (3.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0):
        rate.report(loss)
        seen.append(rate(0))
    assert seen[:7] == [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25]
    assert seen[-1] == 0.2


def test_plateau_goes_on_from_its_state():
    rate, other = schedules.Plateau(1.0, patience=2), schedules.Plateau(9.0, patience=2)
    losses = [3.0, 3.0, 3.0, 2.0, 2.0, 2.0, 2.0]
    for loss in losses[:3]:
        rate.report(loss)
    other.load_state_dict(rate.state_dict())
    for loss in losses[3:]:
        rate.report(loss)
        other.report(loss)
    assert vars(rate) == vars(other)


def test_plateau_of_scores():
    rate = schedules.Plateau(1.0, patience=0, factor=0.5, maximize=True)
    for score in (0.5, 0.6, 0.55):
        rate.report(score)
    assert (rate.lr, rate.best) == (0.5, 0.6)


@pytest.mark.parametrize("compiled", [False, True])
def test_a_replay_reads_the_rate_of_a_plateau(compiled):
    rate = schedules.Plateau(1.0, patience=0, factor=0.5)
    p = leaf([0.0])
    optimizer = SGD([p], rate)

    def step():
        optimizer.zero_grad()
        p.sum().backward()
        optimizer.step()

    step = tg.compile(step, fused=False) if compiled else step
    for loss in (1.0, 1.0, 1.0, 1.0, 1.0):
        step()
        rate.report(loss)
    assert p.item() == -(1.0 + 1.0 + 0.5 + 0.25 + 0.125)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: schedules.cosine(0.1, 0), "cosine: steps must be at least 1, got 0"),
        (lambda: schedules.staircase(0.1, 0), "staircase: every must be at least 1"),
        (lambda: schedules.exponential(0.1, -1), "exponential: factor must be finite"),
        (lambda: schedules.one_cycle(0.1, 9, rise=2), "rise must be from 0 to 1"),
        (lambda: schedules.joined([0.1], [3]), "one fewer than the 1 schedules"),
        (lambda: schedules.joined([0.1, 1, 2], [3, 3]), "increasing steps above 0"),
        (lambda: schedules.Plateau(0.1, factor=1.0), "factor must be from 0 to below"),
        (lambda: schedules.Plateau(-0.1), "Plateau: lr must be finite"),
    ],
)
def test_wrong_settings_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
