"""Calls of operations for all samples at once, beside those for one after the other."""

import warnings

import numpy as np
from battery import ENTRIES, described_calls
from profiles import BRIEF
from tensors import as_tuple

import tensorgrad as tg

SIZE = 3
LOOKED_AT = {"dropout": "rate", "interp": "period"}
"""Arguments that are validated in Python."""
COUNTED = ("polymul", "trim_zeros")
"""Operations whose results have as many elements as values say."""
MAPPED = [name for name in ENTRIES if name not in COUNTED]


def stacks(call, size, rng):
    """Return arrays like those of a call for each sample, the first axis theirs."""
    noise = [rng.uniform(-1e-3, 1e-3, (size, *a.shape)) for a in call.arrays]
    return [
        (a + n * (a.dtype.kind == "f")).astype(a.dtype)
        for a, n in zip(call.arrays, noise, strict=True)
    ]


def second_order(call, *xs):
    """Return outputs of a call, and the gradients of their squares of two orders."""

    def total(*xs):
        ys = [y for y in as_tuple(call(*xs)) if isinstance(y, tg.Tensor)]
        return sum(np.sum(y * y + y) for y in ys if y.dtype.kind == "f")

    def slopes(*xs):
        return sum(np.sum(g * g + g) for g in tg.grad(total, range(len(xs)))(*xs))

    return (
        as_tuple(call(*xs)),
        tg.grad(total, range(len(xs)))(*xs),
        tg.grad(slopes, range(len(xs)))(*xs),
    )


def flat(nest):
    for item in nest:
        if isinstance(item, tuple | list):
            yield from flat(item)
        elif item is not None:
            yield np.asarray(getattr(item, "_value", item))


def in_turn(call, arrays, in_axes):
    """Return what a call gives for one sample after another."""

    def sample(i):
        pairs = zip(call.arrays, arrays, in_axes, strict=True)
        return [tg.Tensor(a if axis is None else of[i]) for a, of, axis in pairs]

    return [[*flat(second_order(call, *sample(i)))] for i in range(SIZE)]


def check(call, in_axes, expected=None):
    """Compare a mapped call with the loop over samples, or with what that gave before.

    Return what the loop gives.
    """
    arrays = stacks(call, SIZE, np.random.default_rng(0))
    xs = [
        call.arrays[i] if axis is None else np.moveaxis(arrays[i], 0, axis)
        for i, axis in enumerate(in_axes)
    ]
    mapped = tg.vmap(
        lambda *xs: second_order(call, *xs), tuple(in_axes), randomness="different"
    )
    found = [*flat(mapped(*map(tg.Tensor, xs)))]
    expected = expected or in_turn(call, arrays, in_axes)
    for f, *each in zip(found, *expected, strict=True):
        np.testing.assert_allclose(f, np.stack(each), rtol=1e-9, atol=1e-9)
    return expected


def is_looped(name):
    """Check all calls of an operation; return whether one is made sample by sample.

    All arguments are mapped over, then one is not, or all are along their last axis.
    The brief tests leave the second way out.
    """
    looped = False
    for number, call in enumerate(described_calls(name)):
        if LOOKED_AT.get(name) in call.lifted:
            continue
        n = len(call.arrays)
        ways = [[-1] * n]
        ways += [[None if i == k else 0 for i in range(n)] for k in range(n) if n > 1]
        with np.errstate(all="ignore"), warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            expected = check(call, [0] * n)
        looped |= any(issubclass(w.category, tg.PerformanceWarning) for w in said)
        if BRIEF:
            continue
        way = ways[number % len(ways)]
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check(call, way, None if None in way else expected)
    return looped
