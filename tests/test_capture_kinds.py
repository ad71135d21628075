"""Kinds of values: each fused function on each, beside NumPy, bit for bit."""

import operator

import numpy as np
import pytest
from profiles import some
from programs import Writing, run

from tensorgrad.capture.kernels import compile as kernels
from tensorgrad.capture.kernels import fuse
from tensorgrad.capture.kernels.fusible import elements
from tensorgrad.capture.program import Value
from tensorgrad.facts import TABLE

needs_llvm = pytest.mark.skipif(
    not kernels.installed(), reason="needs llvmlite, of the extra 'fast'"
)

KINDS = ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", ">f8"]
COMPILED = ["?", "i1", "i8", "f4"]
SPECIAL = [0.0, -0.0, 1.0, -2.5, 3.0, np.inf, -np.inf, np.nan]
NUMBERS = [
    *[0, 1, -1, 3, 300, -129, 2**31, 2**53 + 1, 2**70],
    *[0.0, -0.0, 0.5, -2.5, 1e300, float("inf"), float("nan"), True, False],
    *[np.float16(0.5), np.float32(0.1), np.float64(0.1), np.int8(-3), np.uint8(200)],
    *[np.int64(2), np.uint64(2**63), np.bool_(True)],
]


def sample(kind, size=8):
    """Return values of a kind: its ends, zeros and what is no number."""
    dtype = np.dtype(kind)
    if dtype.kind == "b":
        return np.arange(size) % 3 == 0
    if dtype.kind == "f":
        return np.resize(SPECIAL, size).astype(dtype)
    ends = np.iinfo(dtype)
    some = [0, 1, 2, 3, ends.min, ends.max, ends.max - 1, ends.min + 1]
    return np.resize(np.array(some, dtype), size)


def layouts(x):
    """Return the same values as they may lie in memory."""
    room = np.zeros((len(x), 2), x.dtype)
    room[:, 1] = x
    odd = np.zeros(x.nbytes + 1, "u1")[1:].view(x.dtype)
    odd[:] = x
    fixed = x.copy()
    fixed.setflags(write=False)
    yield from (x, room[:, 1], x[::-1].copy()[::-1], odd, fixed)
    yield np.broadcast_to(x[:1], x.shape)


def fused(*, rounded):
    """Return the ufuncs that kernels compute."""
    return [
        getattr(np, known.name)
        for known in TABLE
        if known.element and known.rounded is rounded and hasattr(np, known.name)
        if isinstance(getattr(np, known.name), np.ufunc)
    ]


class Kinds:
    """Calls that NumPy makes, written down; those it refuses are left out."""

    def __init__(self):
        self.w, self.made = Writing(), []

    def call(self, function, *args, **kwargs):
        try:
            with np.errstate(all="ignore"):
                made = self.w.call(function, *args, **kwargs)
        except (TypeError, ValueError, OverflowError):
            return
        if made.dtype.kind in "fiub":
            self.made.append(made)

    def check(self, exact=True):
        program = self.w.program(*self.made)
        with np.errstate(all="ignore"):
            expected, found = run(program), run(fuse.fuse(program))
        for a, b, call in zip(found, expected, self.w.calls, strict=True):
            assert (a.shape, a.dtype) == (b.shape, b.dtype), told(call)
            assert same(a, b, exact), f"{told(call)} gave {a}, NumPy gives {b}"


def told(call):
    given = [
        f"{a.dtype}{a.shape}" if isinstance(a, Value) else repr(a) for a in call.args
    ]
    return f"{getattr(call.function, '__name__', call.function)}({', '.join(given)})"


def same(a, b, exact):
    if a.dtype.kind != "f":
        return bool((a == b).all())
    nan = np.isnan(b)
    if not exact:
        return np.allclose(a, b, rtol=8 * np.finfo(a.dtype).eps, equal_nan=True)
    signs = np.signbit(a) == np.signbit(b)
    return bool((nan == np.isnan(a)).all() and ((a == b) & signs | nan).all())


def either(compiled):
    """Return marks and fixtures for kernels compiled, and as plain Python."""
    return pytest.mark.parametrize(
        "compiled", [False, pytest.param(True, marks=needs_llvm)], ids=["text", "code"]
    )


@pytest.fixture
def ready(compiled, request):
    if not compiled:
        request.getfixturevalue("uncompiled")


# Which zero is larger NumPy leaves open.
OPEN = {np.maximum, np.minimum}


@either(True)
@pytest.mark.parametrize("kind", some(KINDS))
def test_functions_of_two_kinds(kind, compiled, ready):
    if compiled and kind not in COMPILED:
        pytest.skip("compiled, that takes long and says the same")
    kinds = Kinds()
    x = kinds.w.live(sample(kind))
    others = KINDS if not compiled else ["?", "i2", "u4", "i8", "f8"]
    ys = [kinds.w.live(np.roll(sample(k), 3)) for k in others]
    for function in fused(rounded=False):
        if function in OPEN:
            continue
        if function.nin == 1:
            kinds.call(function, x)
            continue
        for y in ys:
            kinds.call(function, x, y)
            kinds.call(function, y, x)
        for number in NUMBERS if not compiled else NUMBERS[::5]:
            kinds.call(function, x, number)
            kinds.call(function, number, x)
    kinds.check()


@either(True)
@pytest.mark.parametrize("kind", ["f4", "f8", "i4"])
def test_powers(kind, compiled, ready):
    """Products of a few factors, where the exponent is a small integer."""
    kinds = Kinds()
    x = kinds.w.live(sample(kind))
    alone = kinds.w.live(np.array(1.7, kind))
    for exponent in [*range(-9, 10), 1.5, 2.0, -3.0, 2.5, np.float32(3)]:
        for function in (np.power, operator.pow):
            kinds.call(function, x, exponent)
            kinds.call(function, alone, exponent)
    for function in (np.power, operator.pow):
        kinds.call(function, 2.0, x)
        kinds.call(function, x, x)
    if kind != "i4":
        assert all(elements(0, call) for call in kinds.w.calls)
    kinds.check(exact=False)


@either(True)
def test_copies_choices_and_extremes(compiled, ready):
    kinds = Kinds()
    mask = kinds.w.live(np.arange(8) % 3 == 1)
    for kind in KINDS:
        x = kinds.w.live(sample(kind))
        for to in KINDS:
            # What a value out of range becomes is the processor's affair.
            if np.dtype(kind).kind != "f" or np.dtype(to).kind in "fb":
                kinds.call(np.ndarray.astype, x, np.dtype(to))
            kinds.call(np.where, mask, x, kinds.w.live(sample(to)))
        kinds.call(np.copy, x)
        kinds.call(np.where, x, mask, x)
        for number in NUMBERS:
            kinds.call(np.where, mask, x, number)
        for low, high in (
            (-1, 1),
            (0.5, 2.0),
            (0.25, np.float32(2)),
            (None, 1),
            (3, 1),
        ):
            kinds.call(np.clip, x, low, high)
    kinds.check()


@either(True)
@pytest.mark.parametrize("ufunc", [np.add, np.maximum, np.minimum])
def test_reductions_of_all_kinds(ufunc, compiled, ready):
    kinds = Kinds()
    zeros = np.array([[-0.0, -0.0], [-0.0, 0.0]])
    for kind in KINDS:
        for x in (sample(kind, 6).reshape(2, 3), sample(kind, 1), sample(kind)[2]):
            value = kinds.w.live(np.array(x))
            for axis in (None, 0, -1, (), (0, 1)):
                kinds.call(ufunc.reduce, value, axis=axis)
                kinds.call(ufunc.reduce, value, axis=axis, keepdims=True)
            kinds.call(np.sum, value)
            kinds.call(ufunc.reduce, value, axis=None, initial=1)
    for axis in (0, 1) if ufunc is np.add else ():
        kinds.call(np.add.reduce, kinds.w.live(zeros), axis=axis)
    kinds.check()


@either(True)
@pytest.mark.parametrize("kind", ["?", "i4", "u1", "f4", "f8", ">f8", "f2"])
def test_values_however_they_lie(kind, compiled, ready):
    kinds = Kinds()
    shapes = [*layouts(sample(kind)), sample(kind)[:1], np.array(sample(kind)[2])]
    values = [kinds.w.live(x) for x in shapes]
    values.append(kinds.w.live(sample(kind, 0)))
    matrix = kinds.w.live(np.asfortranarray(sample(kind, 16).reshape(2, 8)))
    indices = kinds.w.live(np.array([0, -1, 0]))
    functions = [np.add, np.multiply, np.greater, np.equal, np.subtract]
    for i, x in enumerate(values):
        kinds.call(functions[i % 5], x, values[i - 1])
        kinds.call(functions[(i + 1) % 5], x, matrix)
        kinds.call(np.add.reduce, x, axis=None)
        kinds.call(np.where, x, 1.0, x)
        kinds.call(np.copy, x)
        if x.shape and x.shape[0]:
            kinds.call(operator.getitem, x, indices)
            kinds.call(operator.getitem, x, kinds.w.live(np.array([0], "u1")))
    kinds.check()


@either(True)
def test_arrays_joined(compiled, ready):
    kinds = Kinds()
    for kind in KINDS:
        a = kinds.w.live(np.resize(sample(kind), (3, 4)))
        b = kinds.w.live((a.array != 0).astype(kind))
        for function in (np.concatenate, np.stack):
            for axis in (0, 1, -1):
                kinds.call(function, [a, b, a], axis=axis)
            kinds.call(function, (b, b))
        empty = kinds.w.live(np.zeros((0, 4), kind))
        kinds.call(np.concatenate, [a, empty, b])
    kinds.check()


@either(True)
def test_copies_under_a_mask(compiled, ready):
    for kind in KINDS:
        w = Writing()
        x, y = (w.live(np.roll(sample(kind), k)) for k in (0, 3))
        mask = w.live(np.arange(len(sample(kind))) % 3 == 0)
        made = []
        for new in (y, *{"b": [True], "f": [0, 1.5]}.get(x.dtype.kind, [0])):
            base = w.call(np.zeros_like, x)
            w.write(np.copyto, base, base, x, where=mask)
            w.write(np.copyto, base, base, new, where=w.call(np.logical_not, mask))
            made.append(base)
        program = w.program(*made)
        for found, expected in zip(run(fuse.fuse(program)), run(program), strict=True):
            assert same(found, expected, True)


@either(True)
def test_rounded_functions_of_all_kinds(compiled, ready):
    kinds = Kinds()
    for kind in KINDS:
        x = kinds.w.live(sample(kind))
        for function in fused(rounded=True):
            kinds.call(function, *[x] * function.nin)
    kinds.check(exact=False)
