"""Random steps: six calls, replayed by NumPy and by kernels, beside eager mode.

`random_steps` draws them: values of every kind and dtype as arguments, parameters and
constants; arithmetic, reductions, views, writes, indexing, comparisons; gradients and
optimizers; arguments that lie in the memory of parameters. What runs as what:

- All are replayed by NumPy, and have the bits of eager mode.
- All are replayed by kernels whose text runs as plain Python: this checks the text and
  all that surrounds it, not what LLVM makes of it.
- A share of them is compiled, by LLVM and by XLA, several in one step, since
  compiling takes long.

A crash is a failure, and so is any warning, that of kernels which could not be built
among them. A refusal is none, but there must be few.
"""

import ctypes
import os
from dataclasses import replace

import numpy as np
import pytest
from profiles import BRIEF, NIGHTLY
from random_steps import RandomStep, State, kept, quiet, run, same_bits, within_rounding

import tensorgrad as tg
from tensorgrad.capture.kernels import compile as kernels
from tensorgrad.core.writes import record_write
from tensorgrad.facts import KNOWN, facts_of

CHUNK, JOINED = (5000, 50) if NIGHTLY else (160, 2) if BRIEF else (500, 4)
FIRST = int(os.environ.get("TENSORGRAD_SEED", "0"))
"""Where the seeds begin, to try others than those of every day."""

FEW = 0.08

needs_llvm = pytest.mark.skipif(
    not kernels.installed(), reason="needs llvmlite, of the extra 'fast'"
)


def drawn(seed):
    """Return a step that eager mode can do six times, and what it returns."""
    try:
        step = RandomStep(seed)
        return step, run(step)[0]
    except (ArithmeticError, TypeError, ValueError, tg.TensorgradError):
        return None


def wrong_with(seed, fused, differs):
    """Return what is wrong with a replay, "refused", or nothing."""
    found = drawn(seed)
    if found is None:
        return ""
    step, expected = found
    try:
        told, _ = run(step, lambda f: tg.compile(f, fused=fused))
    except tg.CaptureError:
        return "refused"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return differs(told, expected, step)


def assert_right(seeds, fused, differs):
    found = {seed: wrong_with(seed, fused, differs) for seed in seeds}
    refused = [seed for seed, what in found.items() if what == "refused"]
    wrong = {s: what for s, what in found.items() if what not in ("", "refused")}
    assert not wrong
    assert len(refused) < FEW * len(seeds)


def chunk(number):
    start = FIRST + number * CHUNK
    return range(start, start + CHUNK)


def test_a_write_to_memory_without_an_owner_is_no_matter_of_a_recording():
    record_write((np.ctypeslib.as_array((ctypes.c_double * 4)()),), "a test")
    assert_right([29, 131], False, lambda a, b, step: same_bits(a, b))


@pytest.mark.parametrize("number", range(4))
def test_numpy_replays_have_the_bits_of_eager(number):
    assert_right(chunk(number), False, lambda a, b, step: same_bits(a, b))


@needs_llvm  # Not for its sake: so that it is left to the stage which has time.
@pytest.mark.parametrize("number", range(4))
def test_kernels_as_plain_python_are_within_rounding(number, uncompiled):
    assert_right(chunk(number), True, within_rounding)


def joined(steps):
    """Return one step that does several, and what is to be called with it."""
    states = [State(step) for step in steps]
    parts = [step.step(state) for step, state in zip(steps, states, strict=True)]

    def both(*args):
        return [part(*given) for part, given in zip(parts, args, strict=True)]

    return both, states


@needs_llvm
@pytest.mark.parametrize("number", range(JOINED))
def test_compiled_kernels_are_within_rounding(number):
    step = compiled_are_within_rounding(number, fused=True)
    # One for parameters among the arguments has been recorded and not replayed.
    assert any(c.replay and c.replay.has_kernels for c in step._captures.values())


@pytest.mark.parametrize("number", range(JOINED)[::2])
def test_steps_on_xla_are_within_rounding(number, jax):
    step = compiled_are_within_rounding(number, target="xla")
    assert "one function of XLA" in step.plan


def compiled_are_within_rounding(number, **settings):
    """Compare several steps in one with eager mode; return it."""
    found = [
        drawn(seed) for seed in range(FIRST + number * 20, FIRST + number * 20 + 20)
    ]
    found = [x for x in found if x and not refuses(x[0])][:10]
    steps, expected = zip(*found, strict=True)
    step, states = joined(steps)
    step = tg.compile(step, **settings)
    told = [[] for _ in steps]
    with quiet():
        for call in range(len(expected[0])):
            given = [tuple(s.args(x, call)) for s, x in zip(steps, states, strict=True)]
            for values, returned, state in zip(told, step(*given), states, strict=True):
                values.append(kept(returned) + kept(state.parameters))
    for values, wanted, one in zip(told, expected, steps, strict=True):
        assert within_rounding(values, wanted, one) == ""
    return step


def refuses(step):
    try:
        run(step, lambda f: tg.compile(f, fused=False))
    except tg.CaptureError:
        return True
    return False


def test_a_planted_fault_is_found(uncompiled, monkeypatch):
    for function, text in (
        (np.subtract, "({} + {})"),
        (np.maximum, "{}"),
    ):
        with monkeypatch.context() as planted:
            wrong = replace(facts_of(function), element=text)
            planted.setitem(KNOWN, function, wrong)
            found = (wrong_with(seed, True, within_rounding) for seed in range(100))
            assert any(what not in ("", "refused") for what in found)
