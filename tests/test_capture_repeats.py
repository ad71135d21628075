"""Repeats: which calls of a program are turns of a loop."""

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.capture.program import without_views
from tensorgrad.capture.repeats import Repeat, repeats, repeats_of


def program_of(step, *args):
    """Return the program of a step that is called with some arguments."""
    captured = tg.compile(step, fused=False)
    for _ in range(2):
        captured(*args)
    (program,) = captured.programs
    return program


# Where they are.


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("", []),
        ("abcabc", []),
        ("aaa", [(0, 1, 3)]),
        ("xababababy", [(1, 2, 4)]),
        ("abcabcabcab", [(0, 3, 3)]),
        ("aabaabaab", [(0, 3, 3)]),
        ("aaabaaabaaab", [(0, 4, 3)]),
        ("abcde" * 40 + "fgh" * 20, [(0, 5, 40), (200, 3, 20)]),
        ("xyz" * 3 + "zq" * 50, [(0, 3, 3), (9, 2, 50)]),
    ],
)
def test_words(word, expected):
    found = repeats_of([ord(letter) for letter in word])
    assert found == [Repeat(*numbers) for numbers in expected]


def longest(word):
    """Return how many letters the best repeat of a word saves, tried one by one."""
    n, best = len(word), 0
    for period in range(1, n // 3 + 1):
        length = 0
        for i in range(period, n):
            length = length + 1 if word[i] == word[i - period] else 0
            turns = (length + period) // period
            best = max(best, period * (turns - 1) if turns >= 3 else 0)
    return best


@pytest.mark.parametrize("seed", range(60))
def test_the_longest_is_found_and_each_is_one(seed):
    rng = np.random.default_rng(seed)
    body = rng.integers(0, 1 + seed % 4, 1 + seed % 13)
    parts = [rng.integers(0, 3, rng.integers(0, 9)), np.tile(body, rng.integers(1, 9))]
    word = np.concatenate([*parts, *parts[::-1], rng.integers(0, 2, 20)]).tolist()
    found = repeats_of(word)
    for repeat in found:
        body = word[repeat.start : repeat.start + repeat.period]
        assert word[repeat.start : repeat.end] == body * repeat.count
        assert repeat.count >= 3
    bounds = [0, *(n for r in found for n in (r.start, r.end)), len(word)]
    assert bounds == sorted(bounds)
    assert max((r.saved for r in found), default=0) == longest(word)


def test_a_long_program():
    word = [*range(1000, 1730), *np.tile(np.arange(73), 1500)]
    assert repeats_of(word) == [Repeat(730, 73, 1500)]


# Of programs.


def test_a_recurrence():
    def step(x, w, h):
        for t in range(6):
            h = np.tanh(x[t] @ w + h)
        return h

    calls = without_views(
        program_of(step, np.ones((6, 2, 3)), np.ones((3, 3)), np.ones((2, 3)))
    ).calls
    (repeat,) = repeats(calls)
    assert (repeat.period, repeat.count) == (3, 6)
    names = [call.name for call in calls[repeat.start :][: repeat.period]]
    assert names == ["matmul", "add", "tanh"]


def test_views_are_calls_too():
    def step(x, h):
        for t in range(5):
            h = np.tanh(x[t].T * h)
        return h

    calls = program_of(step, np.ones((5, 3, 3)), np.ones((3, 3))).calls
    (repeat,) = repeats(calls)
    assert (repeat.period, repeat.count) == (4, 5)
    assert calls[repeat.start + 1].name == "transpose"


def test_backward_has_turns_too():
    w = tg.Tensor(np.full((3, 3), 0.1), requires_grad=True)

    def step(x):
        h = tg.Tensor(np.zeros((2, 3)))
        for t in range(8):
            h = np.tanh(x[t] + h @ w)
        w.grad = None
        h.sum().backward()
        return w.grad

    calls = without_views(program_of(step, np.ones((8, 2, 3)))).calls
    forward, *_, backward = repeats(calls)
    assert forward.count == 8
    assert backward.count == 5


@pytest.mark.parametrize("other", [0.5, np.float32(1.5), 2])
def test_another_constant_ends_a_repeat(other):
    def step(x):
        for factor in (1.5, 1.5, 1.5, 1.5, other):
            x = np.sin(x * factor)
        return x

    calls = program_of(step, np.ones(3, np.float32)).calls
    (repeat,) = repeats(calls)
    assert (repeat.start, repeat.period, repeat.count) == (0, 2, 4)


def test_another_line_is_no_turn():
    def step(x):
        x = np.sin(x)
        x = np.sin(x)
        x = np.sin(x)
        return np.sin(x)

    assert not repeats(program_of(step, np.ones(3)).calls)
