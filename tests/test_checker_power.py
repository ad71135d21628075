"""The checker finds planted faults, and cries wolf over no right rule."""

import contextlib

import numpy as np
import pytest
from profiles import BRIEF, some

import tensorgrad as tg
from benchmarks import checker_power as power
from benchmarks.mutants import MUTANTS, overwriting_walk, planted
from tensorgrad.core import backward as engine
from tensorgrad.ops.support.registry import registry
from tensorgrad.testing import gradcheck

# Of every shape a rule has; `benchmarks/checker_power.py` goes through all operations.
OPERATIONS = ("absolute", "divide", "getitem", "log_softmax", "matmul", "sqrt")
X = np.array([0.5, -1.2, 2.0])
DOUBLED = MUTANTS[0]
CASES = 60 if BRIEF else 200


def passes(f):
    return bool(gradcheck(f, X, explain=False, raise_on_failure=False))


@pytest.mark.parametrize("name", some(OPERATIONS))
def test_every_mutant_is_killed_or_equivalent(name):
    table, reference = power.Table(), power.Reference()
    with np.errstate(all="ignore"):
        power.kill_all(power.described([name]), table, reference)
    assert table.counts.keys() >= {m.kind for m in MUTANTS}
    assert sum(c["mutants"] for c in table.counts.values()) >= 10
    assert table.survivors == []


def test_no_right_case_raises_an_alarm(capsys):
    with np.errstate(all="ignore"):
        assert power.measure_right(power.described([]), CASES), capsys.readouterr().out


def test_an_alarm_is_counted(capsys):
    with planted(tg.tanh, 0, DOUBLED), np.errstate(all="ignore"):
        assert not power.measure_right(power.described(["tanh"]), 20)
    assert "FALSE ALARM: tanh" in capsys.readouterr().out


def test_a_survivor_is_counted(monkeypatch):
    monkeypatch.setattr(power, "ours", lambda *args: True)
    table = power.Table()
    power.kill_all(power.described(["tanh"]), table, power.Reference())
    assert "tanh.x, factor: times 2" in table.survivors


def test_a_failure_with_the_right_rule_kills_nothing(monkeypatch):
    monkeypatch.setattr(power, "ours", lambda *args: False)
    table = power.Table()
    monkeypatch.setattr("benchmarks.checker_cases.ours", lambda *args: False)
    power.kill_all(power.described(["tanh"]), table, power.Reference())
    assert all(c["ours"] == 0 for c in table.counts.values())


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: f"{m.kind}, {m.name}")
def test_planted_puts_the_rule_back(mutant):
    before = tg.tanh.rules[0]
    with planted(tg.tanh, 0, mutant):
        assert tg.tanh.rules[0] != before
    assert tg.tanh.rules[0] == before
    assert passes(tg.tanh)


def test_planted_puts_the_rule_back_after_an_error():
    before = tg.tanh.rules[0]
    with contextlib.suppress(KeyError), planted(tg.tanh, 0, DOUBLED):
        assert not passes(tg.tanh)
        raise KeyError
    assert tg.tanh.rules[0] == before
    assert passes(tg.tanh)


def test_overwriting_walk_is_undone():
    walk = engine.walk
    with overwriting_walk():
        assert not passes(lambda x: x * tg.tanh(x))
    assert engine.walk is walk
    assert passes(lambda x: x * tg.tanh(x))


def test_keywords_that_take_tensors_are_arguments_of_some_calls():
    from benchmarks.described import calls

    rng = np.random.default_rng(0)
    lifted = [c.lifted for c in calls(registry["sum"], rng) if c.lifted]
    assert lifted == [("initial",), ("initial",)]


def test_dense_layer_takes_few_evaluations():
    # About 30 ms: the time is printed by benchmarks/checker_power.py.
    rng = np.random.default_rng(0)
    inputs = [rng.normal(size=s) for s in ((32, 100), (100, 100), (100,))]
    assert gradcheck(power.dense_layer, *inputs).evaluations < 300
