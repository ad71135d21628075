"""Plans of long programs: loops are written once, and the rest fits on two screens."""

import re

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.capture.listing import SCREEN


def captured(step, *args):
    """Return a step that is replayed with NumPy."""
    compiled = tg.compile(step, fused=False)
    for _ in range(2):
        compiled(*args)
    return compiled


def table(plan, title):
    """Return the lines of a table of a plan."""
    return plan.split(f"{title}\n")[1].split("\n\n")[0].splitlines()


def numbers(lines):
    """Return the numbers of the calls that a table of calls stands for."""
    every: list[int] = []
    for line in lines:
        repeat = re.match(r" *\.\.\. (\d+)(?:-(\d+))? repeats? ([\d,]+) times", line)
        if repeat is None:
            every.append(int(line.split()[0]))
        else:
            first, last = int(repeat[1]), int(repeat[2] or repeat[1])
            count = int(repeat[3].replace(",", ""))
            turn = [*range(first, last + 1)]
            # What is nested in the first turn has been written out before.
            assert every[-len(turn) :] == turn
            start = len(turn)
            every += [n + start * k for k in range(1, count) for n in turn]
    return every


def test_a_chain_is_one_line():
    def step(x):
        for _ in range(1000):
            x = np.tanh(x)
        return x

    step = captured(step, tg.Tensor(np.ones(5)))
    lines = table(step.plan, "calls")
    assert len(lines) == 2
    assert lines[1].endswith("... 1 repeats 1,000 times, to 1000")
    assert numbers(lines) == [*range(1, 1001)]
    assert "r1 = r2, ... 997 more ... = r1000" in step.plan
    assert len(str(step.programs[0]).splitlines()) < 10


def test_loops_within_loops():
    def step(x):
        for _ in range(12):
            for _ in range(5):
                x = np.tanh(x * 0.5)
            x = x + 1.0
        return np.sum(x)

    step = captured(step, tg.Tensor(np.ones(5)))
    lines = table(step.plan, "calls")
    assert [line.strip() for line in lines if "repeat" in line] == [
        "... 1-2 repeat 5 times, to 10",
        "... 1-11 repeat 12 times, to 132",
    ]
    assert len(lines) == 6
    assert numbers(lines) == [*range(1, 134)]


def test_a_short_loop_is_written_out():
    def step(x):
        for _ in range(SCREEN):
            x = np.tanh(x)
        return x

    plan = captured(step, tg.Tensor(np.ones(5))).plan
    assert "repeat" not in plan
    assert len(table(plan, "calls")) == SCREEN


@pytest.fixture(scope="module")
def recurrent():
    """A recurrent net with a backward pass and an update, of 40 turns."""
    w = tg.Tensor(np.full((3, 3), 0.1), requires_grad=True)
    optimizer = tg.optim.SGD([w], lr=0.1)

    def step(x):
        h, rows = np.zeros((2, 3)), []
        for t in range(40):
            h = np.tanh(x[t] + h @ w)
            rows.append(h)
        loss = np.mean(np.stack(rows) ** 2)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return captured(step, np.ones((40, 2, 3)))


def test_forward_and_backward_of_a_recurrent_net(recurrent):
    lines = table(recurrent.plan, "calls")
    repeats = [line for line in lines if " repeat " in line]
    assert len(repeats) == 2
    assert re.search(r"1-3 repeat 40 times, to 120$", repeats[0])
    assert re.search(r" repeat 3\d times, ", repeats[1])
    (capture,) = recurrent._captures.values()
    assert numbers(lines) == [*range(1, len(capture.replay.program.calls) + 1)]
    assert len(recurrent.plan.splitlines()) < 2 * SCREEN


def test_what_no_loop_explains_is_cut():
    functions = [np.tanh, np.sin, np.cos, np.arctan]
    order = np.random.default_rng(0).integers(0, 4, 600).tolist()

    def step(x):
        for n in order:
            x = functions[n](x)
        return x

    step = captured(step, tg.Tensor(np.ones(5)))
    lines = table(step.plan, "calls")
    assert len(lines) <= 4 * SCREEN + 1
    assert "more: " in "\n".join(lines)
    assert lines[0].split()[0] == "1"
    assert lines[-1].split()[0] == "600"


def test_many_arrays_from_outside_are_spans():
    weights = [tg.Tensor(np.ones(3), requires_grad=True) for _ in range(2 * SCREEN)]

    def step(x):
        for w in weights:
            x = x * w
        return x

    lines = table(captured(step, np.ones(3)).plan, "arrays from outside")
    assert [line.split() for line in lines] == [
        ["x1", "float64(3)", "argument"],
        ["p1", "...", f"p{2 * SCREEN}", "float64(3)", "live,", "outside"],
    ]


def test_arrays_of_all_sizes_are_cut():
    weights = [tg.Tensor(np.ones((3, n))) for n in range(2 * SCREEN)]

    def step(x):
        return [x * w.sum() for w in weights]

    step = captured(step, np.ones(3))
    lines = table(step.plan, "arrays from outside")
    assert len(lines) == SCREEN + 1
    assert lines[-1].strip() == f"... {SCREEN + 1} more ..."


def test_kernels_of_a_loop_repeat():
    pytest.importorskip("llvmlite")
    w = np.full((16, 16), 0.1)

    def step(h):
        for _ in range(SCREEN):
            h = np.tanh(h @ w) + 0.5
        return h

    step = tg.compile(step, fused=True)
    h = tg.Tensor(np.ones((16, 16)))
    for _ in range(2):
        step(h)
    lines = table(step.plan, "calls")
    assert any(f"repeat {SCREEN} times" in line for line in lines)
    names = {row.name: row.calls for row in step.profile(h, calls=1).rows}
    assert names["kernel of 2 calls: tanh, add"] == SCREEN
