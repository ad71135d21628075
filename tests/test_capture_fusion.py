"""Fusion: kernels compute what the calls they stand for compute."""

import operator
import os
import subprocess
import sys

import numpy as np
import pytest
from plain_kernels import in_python
from programs import Writing, run

from tensorgrad.capture.kernels import codegen, cores, nests
from tensorgrad.capture.kernels import compile as kernels
from tensorgrad.capture.kernels import fuse as fusion
from tensorgrad.capture.program import (
    Call,
    Value,
    owner,
)
from tensorgrad.ops.support.scatter import add_at


def check_exact(writing, *returned):
    program = writing.program(*returned)
    writing.rewind()
    expected = run(program), writing.rewind()
    fused = fusion.fuse(program)
    got = run(fused), writing.rewind()
    for some, others in zip(expected, got, strict=True):
        for a, b in zip(some, others, strict=True):
            assert a.shape == b.shape
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)
    return fused


class Random:
    """Writes a program of random calls on whole numbers, whose sums are exact."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.w = Writing()
        self.n, self.m = (int(k) for k in self.rng.choice([2, 3, 5, 7, 9, 20], 2))
        n, m = self.n, self.m
        shapes = [(n, m), (n, m), (n,), (m,), (n, 1), (n, 3), (3, m), (m, n)]
        shapes += [(3, n, m), (n, m, 2), (3, 1, m)]
        self.pool = [self.w.live(self.whole(shape)) for shape in shapes]
        self.pool.append(self.w.number(float(self.rng.integers(-3, 4))))
        self.labels = self.w.constant(self.rng.integers(0, m, n))
        self.flat_labels = self.w.constant(
            np.arange(0, n * m, m) + self.rng.integers(0, m, n)
        )

    def whole(self, shape):
        return self.rng.integers(-4, 5, shape).astype(np.float32)

    def pick(self, wanted):
        found = [v for v in self.pool if isinstance(v, Value) and wanted(v)]
        return found[self.rng.integers(len(found))] if found else None

    def add(self, value):
        # Small whole numbers stay exact in float32.
        if np.abs(self.w.held[value]).max(initial=0) > 50:
            value = self.w.call(np.clip, value, -9, 9)
        self.pool.append(value)

    def step(self):
        kinds = [n for n in dir(self) if n.startswith("do_")]
        getattr(self, kinds[self.rng.integers(len(kinds))])()

    def partner(self, a):
        fits = [b for b in self.pool if _broadcast(a, b) == a.shape]
        return fits[self.rng.integers(len(fits))]

    def ufunc(self):
        choice = [np.add, np.subtract, np.multiply, np.maximum, np.minimum]
        return choice[self.rng.integers(len(choice))]

    def do_binary(self):
        a = self.pick(lambda v: True)
        pair = [a, self.partner(a)]
        if self.rng.integers(2):
            pair.reverse()
        self.add(self.w.call(self.ufunc(), *pair))

    def do_scalar(self):
        self.add(self.w.call(self.ufunc(), self.pick(lambda v: True), 2))

    def do_unary(self):
        choice = [np.negative, np.absolute, np.square, np.positive]
        function = choice[self.rng.integers(len(choice))]
        self.add(self.w.call(function, self.pick(lambda v: True)))

    def do_mask(self):
        a = self.pick(lambda v: True)
        mask = self.w.call(np.greater, a, self.partner(a))
        if self.rng.integers(2):
            self.add(self.w.call(np.multiply, a, mask))
        else:
            self.add(self.w.call(np.where, mask, a, 0))

    def do_in_place(self):
        a = self.pick(lambda v: True)
        b = self.partner(a)
        if owner(a) is not (owner(b) if isinstance(b, Value) else b):
            self.w.write(np.add, a, a, b, out=a)
            self.w.write(np.clip, a, a, -9, 9, out=a)

    def do_reduce(self):
        a = self.pick(lambda v: len(v.shape) > 0)
        rank = len(a.shape)
        several = tuple(range(rank - 1)) or 0
        axis = [None, 0, rank - 1, rank // 2, several][self.rng.integers(5)]
        ufunc = [np.add, np.maximum, np.minimum][self.rng.integers(3)]
        keep = bool(self.rng.integers(2))
        self.add(self.w.call(ufunc.reduce, a, axis=axis, keepdims=keep))

    def do_sort(self):
        """A call that cannot be fused."""
        self.add(self.w.call(np.sort, self.pick(lambda v: len(v.shape) > 0)))

    def do_view(self):
        makes = [
            lambda a: a.T,
            lambda a: a.swapaxes(0, a.ndim // 2),
            lambda a: a[None] if a.ndim == 2 else a[-1],
            lambda a: a[..., None] if a.ndim == 2 else a[-1],
            lambda a: a.reshape(-1),
            lambda a: a[:, None] if a.ndim == 1 else a[0],
            lambda a: a[: len(a) // 2 + 1],
            lambda a: a[..., -1:],
        ]
        make = makes[self.rng.integers(len(makes))]
        a = self.pick(lambda v: len(v.shape) > 0)
        if np.shares_memory(make(self.w.held[a]), self.w.held[a]):
            self.pool.append(self.w.view(a, make))

    def do_copy(self):
        self.add(self.w.call(np.ndarray.copy, self.pick(lambda v: True)))

    def do_product(self):
        a = self.pick(lambda v: len(v.shape) == 2)
        b = self.pick(lambda v: len(v.shape) == 2 and v.shape[0] == a.shape[1])
        if b is not None:
            self.add(self.w.call(np.matmul, a, b))

    def do_take(self):
        a = self.pick(lambda v: v.shape == (self.n * self.m,))
        if a is not None:
            self.add(self.w.call(operator.getitem, a, self.flat_labels))

    def do_put(self):
        a = self.pick(lambda v: v.shape == (self.n * self.m,))
        b = self.pick(lambda v: v.shape == (self.n,))
        if a is not None and b is not None and owner(a) is not owner(b):
            self.w.write(operator.setitem, a, a, self.flat_labels, b)


def _broadcast(a, b):
    shape = b.shape if isinstance(b, Value) else ()
    try:
        return np.broadcast_shapes(a.shape, shape)
    except ValueError:
        return None


@pytest.mark.parametrize("seed", range(80))
def test_random_programs_are_the_same_fused(seed, uncompiled):
    random = Random(seed)
    for _ in range(25):
        random.step()
    values = [v for v in random.pool if isinstance(v, Value)]
    check_exact(random.w, *values[8 :: int(random.rng.integers(1, 5))])


def check_close(writing, *returned, rtol=2e-6):
    program = writing.program(*returned)
    writing.rewind()
    expected = run(program), writing.rewind()
    fused = fusion.fuse(program)
    got = run(fused), writing.rewind()
    for some, others in zip(expected, got, strict=True):
        for a, b in zip(some, others, strict=True):
            assert a.dtype == b.dtype
            scale = np.abs(a).max(initial=1e-6)
            np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * scale)
    return fused


def network(n, hidden, classes, seed=0, kind=np.float32):
    """A step of a network, as the operations' forwards and rules call NumPy."""
    rng = np.random.default_rng(seed)
    w = Writing()
    x = w.live(rng.standard_normal((n, 2)).astype(kind))
    shapes = [(2, hidden), (hidden,), (hidden, classes), (classes,)]
    w1, b1, w2, b2 = (w.live(rng.standard_normal(s).astype(kind)) for s in shapes)
    labels = w.constant(
        np.arange(0, n * classes, classes) + rng.integers(0, classes, n)
    )
    z1 = w.call(np.matmul, x, w1)
    w.write(np.add, z1, z1, b1, out=z1)
    y = w.call(np.maximum, z1, 0)
    z2 = w.call(np.matmul, y, w2)
    w.write(np.add, z2, z2, b2, out=z2)
    largest = w.call(np.maximum.reduce, w.call(np.copy, w.view(z2, lambda a: a.T)))
    z = w.call(np.subtract, z2, w.view(largest, lambda a: a[:, None]))
    e = w.call(np.exp, z)
    total = w.call(np.add.reduce, e, axis=1)
    w.write(np.divide, e, e, w.view(total, lambda a: a[:, None]), out=e)
    flat = w.view(z, lambda a: a.reshape(-1))
    fit = w.call(operator.getitem, flat, labels)
    fit = w.call(np.subtract, fit, w.call(np.log, total))
    loss = w.call(np.divide, w.call(np.negative, w.call(np.add.reduce, fit)), n)
    d = w.call(np.ndarray.copy, e)
    flat = w.view(d, lambda a: a.reshape(-1))
    less = w.call(np.subtract, w.call(operator.getitem, flat, labels), 1)
    w.write(operator.setitem, flat, flat, labels, less)
    w.write(np.divide, d, d, n, out=d)
    g2 = w.call(np.matmul, w.view(y, lambda a: a.T), d)
    back = w.call(np.matmul, d, w.view(w2, lambda a: a.T))
    back = w.call(np.multiply, back, w.call(np.greater, y, 0))
    g1 = w.call(np.matmul, w.view(x, lambda a: a.T), back)
    sums = w.call(np.add.reduce, back), w.call(np.add.reduce, d)
    rate = w.number(0.1)
    for p, g in zip((w1, b1, w2, b2), (g1, sums[0], g2, sums[1]), strict=True):
        w.write(np.subtract, p, p, w.call(np.multiply, g, rate), out=p)
    return w, loss


LLVM = pytest.mark.skipif(
    not kernels.installed(), reason="needs llvmlite, of the extra 'fast'"
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TENSORGRAD_CACHE", str(tmp_path))
    kernels._compiled.cache_clear()
    return tmp_path


@pytest.mark.parametrize("sizes", [(30, 20, 3), (30, 20, 11), (7, 3, 2), (40, 5, 5)])
def test_a_step_is_that_of_the_calls(sizes, uncompiled):
    w, loss = network(*sizes)
    check_close(w, loss)


@pytest.mark.parametrize(
    "shapes",
    [
        *[((3,), (3, 9)), ((9, 3), (3,)), ((7, 9), (9,)), ((9,), (9, 7)), ((9,), (9,))],
        *[((5, 2, 3), (5, 3, 4)), ((5, 2, 3), (3, 4)), ((6, 2), (4, 2, 3))],
        *[((3,), (5, 3, 2)), ((5, 2, 3), (3,)), ((1, 2, 7), (5, 7, 1)), ((2,), (2,))],
        *[((5, 1, 1), (5, 1, 1)), ((4, 5, 2, 3), (3, 4)), ((3, 5, 8), (3, 8, 6))],
    ],
)
def test_products_with_vectors_and_of_many_matrices_are_loops(shapes, uncompiled):
    w = Writing()
    rng = np.random.default_rng(0)
    a, b = (w.live(rng.standard_normal(shape)) for shape in shapes)
    fused = check_close(w, w.call(np.negative, w.call(np.matmul, a, b)))
    assert len(fused.calls) == 1


@LLVM
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_compiled_step_is_that_of_the_calls(kind, folder):
    w, loss = network(300, 64, 3, kind=kind)
    fused = check_close(w, loss, rtol=2e-6 if kind == np.float32 else 1e-14)
    kernel = fused.calls[-1].function
    assert kernel.into
    assert len(kernel.group) == len(w.calls) - 1


@LLVM
@pytest.mark.parametrize("seed", range(6))
def test_random_programs_are_the_same_compiled(seed, folder):
    random = Random(1000 + seed)
    for _ in range(25):
        random.step()
    check_exact(random.w, *[v for v in random.pool if isinstance(v, Value)][8:])


def test_a_square_matrix_is_walked_through_as_it_lies(sources):
    w = Writing()
    x = w.live(np.linspace(-1.0, 1.0, 1600).reshape(40, 40))
    mean = w.call(np.divide, w.call(np.add.reduce, x, axis=0), 40.0)
    y = w.call(np.subtract, x, mean)
    spread = w.call(np.add.reduce, w.call(np.square, y), axis=0)
    y = w.call(np.divide, y, w.call(np.sqrt, spread))
    check_close(w, y, rtol=1e-12)
    # Elements for the means of columns have rows of the same number.
    assert sources
    assert not any("* j" in source for source in sources)


@pytest.mark.parametrize(("size", "loops"), [(8, 1), (40, 5)])
def test_many_arrays_are_joined_a_few_at_a_time(size, loops, sources):
    w = Writing()
    rng = np.random.default_rng(0)
    parts = [w.live(rng.standard_normal((size, size))) for _ in range(20)]
    total = w.call(np.negative, w.call(np.stack, parts))
    check_exact(w, total)
    # What comes after them is one more, where it is not among them.
    assert sum(s.count("for i in") for s in sources) == loops + 1


def test_an_update_with_a_moving_mean_is_one_loop(sources):
    """Its products meet none of each other's memory, but their sum does."""
    w = Writing()
    weights, g, mean = (w.live(np.arange(2000.0)) for _ in range(3))
    products = w.call(np.multiply, mean, 0.5), w.call(np.multiply, g, 0.25)
    check_exact(w, w.call(np.subtract, weights, w.call(np.add, *products)))
    assert sum(s.count("for i in") for s in sources) == 1


@pytest.mark.parametrize("columns", [20, 100, 128])
def test_strips_are_walked_through_once(columns, uncompiled, monkeypatch):
    """Also where columns are left over and what is written is read before."""
    monkeypatch.setattr(codegen, "LARGE", 1)
    w = Writing()
    a = np.linspace(-1, 1, 20 * columns).reshape(20, columns)
    x, y = w.live(a), w.live(np.ones((columns, 20)).T)
    w.write(np.add, x, w.call(np.tanh, x), y, out=x)
    (before,) = w.rewind()[:1]
    run(fusion.fuse(w.program()))
    np.testing.assert_allclose(a, before, rtol=1e-14)


@pytest.fixture
def sources(uncompiled, monkeypatch):
    """Return the texts of kernels, which run as plain Python."""
    found = []

    def prepared(source, *_):
        found.append(source)
        return in_python(source)

    monkeypatch.setattr(fusion, "prepared", prepared)
    return found


@LLVM
@pytest.mark.parametrize("axis", [0, 1, None])
@pytest.mark.parametrize("columns", [3, 12, 300])
def test_what_is_true_is_counted_as_integers(axis, columns, folder):
    w = Writing()
    x = w.live(np.random.default_rng(0).standard_normal((40, columns)))
    mask = w.call(np.greater, x, 0.3)
    count = w.call(np.add.reduce, mask, axis=axis, keepdims=True)
    # An integer, not the float that counts: its product would be rounded.
    large = w.call(np.multiply, count, 2**50 + 1)
    share = w.call(np.divide, mask, w.call(np.add, count, 1))
    fused = check_exact(w, count, large, share)
    assert len(fused.calls) == 1


def spans(sources):
    """Return the ranges of the loops over columns."""
    lines = [line for source in sources for line in source.splitlines()]
    loops = dict.fromkeys(line.strip() for line in lines if "for j in" in line)
    return [loop.removeprefix("for j in range")[:-1] for loop in loops]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (9, ["(0, 8, 1)", "(8, 9, 1)"]),
        (32, ["(32)"]),
        (50, ["(0, 32, 1)", "(32, 48, 1)", "(48, 50, 1)"]),
        (65, ["(65)"]),
    ],
)
def test_a_few_columns_of_sums_of_rows_go_in_powers_of_two(sources, columns, expected):
    w = Writing()
    x = w.live(np.random.default_rng(0).standard_normal((40, columns)))
    total = w.call(np.add.reduce, w.call(np.negative, x), axis=0)
    check_exact(w, total, w.call(np.negative, w.call(np.square, x)))
    assert spans(sources) == expected


@pytest.mark.parametrize(
    ("function", "columns", "expected"),
    [
        (np.exp, 15, ["(15)"]),
        (np.exp, 24, ["(24)"]),
        (np.tanh, 30, ["(0, 24, 1)", "(24, 28, 1)", "(28, 30, 1)"]),
        (np.log, 257, ["(257)"]),
        (np.sqrt, 30, ["(30)"]),
    ],
)
def test_what_is_left_of_vectors_goes_in_powers_of_two_where_it_takes_long(
    sources, function, columns, expected
):
    w = Writing()
    x = w.live(np.random.default_rng(0).uniform(1, 2, (30, columns)))
    row = w.live(np.linspace(1.0, 2.0, columns))
    check_close(w, w.call(function, w.call(np.multiply, x, row)))
    assert spans(sources) == expected


@pytest.fixture
def several_cores(monkeypatch):
    """Return what threads share, of each nest; there are three, for any work at all."""
    found = []
    axis_of = cores.axis

    def axis(nest):
        found.append(axis_of(nest))
        return found[-1]

    for name, value in {"LARGE": 1, "WIDE": 9, "LINE": 1, "axis": axis}.items():
        monkeypatch.setattr(cores, name, value)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    return found


def test_threads_share_random_programs(uncompiled, several_cores):
    for seed in range(40):
        random = Random(seed)
        for _ in range(25):
            random.step()
        values = [v for v in random.pool if isinstance(v, Value)]
        check_exact(random.w, *values[8 :: int(random.rng.integers(1, 5))])
    assert {*several_cores} == {"rows", "columns", ""}


@pytest.mark.parametrize("shape", [(19, 21), (9, 8), (3, 20, 17), (40, 33)])
def test_memory_that_lies_across_is_walked_through_in_strips(
    shape, sources, monkeypatch
):
    monkeypatch.setattr(codegen, "LARGE", 1)
    x = np.linspace(-1, 1, np.prod(shape)).reshape(shape)
    w = Writing()
    across = w.view(w.live(x), lambda a: a.swapaxes(-1, -2))
    total = w.call(np.add, across, w.live(np.tan(across.make(x)).copy()))
    row = w.live(np.arange(0.0, shape[-2]))
    check_exact(w, total, w.call(np.negative, w.call(np.multiply, total, row)))
    assert "range(c, end, 1):" in sources[-1]


@LLVM
def test_threads_share_compiled_kernels(folder, several_cores):
    w, loss = network(300, 64, 30)
    check_close(w, loss)
    assert {*several_cores} == {"rows", "columns", ""}


@LLVM
def test_columns_are_shared_and_an_error_of_a_thread_is_raised(folder, several_cores):
    w = Writing()
    x = w.live(np.linspace(-1, 1, 60).reshape(6, 10))
    w_sum = w.call(np.add.reduce, w.call(np.negative, x), axis=0)
    check_exact(w, w_sum)
    assert "columns" in several_cores
    w = Writing()
    index = w.live(np.array([0, 1, 2, 3, 4, 4]))
    entries = w.call(operator.getitem, w.live(np.arange(5.0)), index)
    program = fusion.fuse(w.program(w.call(np.negative, entries)))
    index.array[-1] = 9
    with pytest.raises(IndexError, match="out of bounds"):
        run(program)


def test_rows_are_shared_where_a_loss_joins_them(
    uncompiled, several_cores, monkeypatch
):
    for large, shared in ((1, {"rows", ""}), (10**6, {""})):
        monkeypatch.setattr(nests, "LARGE", large)
        several_cores.clear()
        w = Writing()
        x = w.live(np.linspace(-1.0, 1.0, 600).reshape(30, 20))
        rows = w.call(np.add.reduce, w.call(np.square, x), axis=1)
        check_close(w, w.call(np.add.reduce, w.call(np.sqrt, rows)))
        assert {*several_cores} == shared


def test_few_elements_are_not_shared(uncompiled, several_cores, monkeypatch):
    monkeypatch.setattr(cores, "LARGE", 1 << 19)
    w, loss = network(40, 20, 5)
    check_close(w, loss)
    assert {*several_cores} == {""}


def test_a_smaller_batch_shares_the_kernel(sources):
    for n in (40, 23):
        w, loss = network(n, 24, 3)
        check_close(w, loss)
    assert sources[0] == sources[1]


def test_turns_of_a_loop_share_kernels(sources):
    for turns in (60, 120):
        w = Writing()
        rows = w.live(np.linspace(-1.0, 1.0, turns * 8).reshape(turns, 8))
        y = w.live(np.ones(8))
        for t in range(turns):
            x = w.view(rows, operator.itemgetter(t))
            y = w.call(np.multiply, w.call(np.tanh, w.call(np.add, y, x)), x)
            y = w.call(np.subtract, y, w.call(np.square, x))
        check_exact(w, y)
    assert len(sources) > 6
    assert len({*sources}) < 5


ROWS, ENTRIES = np.array([2, 0, -1, 2]), np.array([[1, 1], [3, -2]])


@pytest.mark.parametrize(
    "index",
    [
        (ROWS,),
        (ENTRIES,),
        (ROWS, np.array([1, 0, 1, 1])),
        (ROWS[:, None], ROWS, 3),
        (ROWS[:, None], ROWS),
        (slice(2), ENTRIES[0], slice(1, 3)),
        (slice(1, 4), slice(None, None, 2), ROWS),
        (ROWS, 1),
        (1, slice(None), ROWS),
        (ROWS, slice(2), ROWS),
        (Ellipsis, ROWS),
        (None, ROWS, Ellipsis, -1),
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["f4", "i2"])
def test_what_an_index_picks_is_read_written_and_added_to(index, kind, uncompiled):
    w = Writing()
    held = np.arange(5 * 4 * 6).reshape(5, 4, 6).astype(kind)
    x, total = w.live(held), w.live(np.zeros((5, 4, 6), kind))
    told = tuple(w.constant(i) if isinstance(i, np.ndarray) else i for i in index)
    part = w.call(np.subtract, w.call(operator.getitem, x, told), 7)
    w.write(add_at, total, total, told, part)
    w.write(operator.setitem, x, x, told, w.call(np.add, part, part))
    w.write(add_at, total, total, told, part)
    fused = check_exact(w, part)
    assert len(fused.calls) == 1


@pytest.mark.parametrize("index", [2, (slice(1, 4), 0), (Ellipsis, -1), slice(None)])
def test_parts_are_put_where_slices_and_numbers_say(index, uncompiled):
    w = Writing()
    x = w.live(np.arange(24.0).reshape(4, 3, 2))
    part = w.call(np.square, w.live(np.ones(x.array[index].shape)))
    w.write(operator.setitem, x, x, index, part)
    w.write(operator.setitem, x, x, index, w.call(np.multiply, part, 2.0))
    assert len(check_exact(w, w.call(np.add, x, 1.0)).calls) == 1


@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2)])
@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_a_mean_is_a_sum_and_a_quotient(axis, kind, uncompiled):
    w = Writing()
    x = w.live(np.arange(24, dtype=kind).reshape(4, 3, 2))
    means = [w.call(np.mean, x, axis=axis), w.call(np.ndarray.mean, x, axis)]
    means.append(w.call(np.mean, x, axis, keepdims=True))
    means += [w.call(np.square, mean) for mean in means]
    assert len(check_exact(w, *means).calls) == 1


@pytest.mark.parametrize("turned", [False, True])
def test_long_sums_of_rows_go_into_kernels_and_sums_within_a_row_do_not(
    turned, uncompiled
):
    w = Writing()
    x = w.live(np.ones((5000, 3)))
    if turned:
        x = w.view(w.live(np.ones((3, 5000))), lambda a: a.T)
    total = w.call(np.add.reduce, w.call(np.negative, x), axis=0)
    calls = check_exact(w, total, w.call(np.negative, total)).calls
    assert len(calls) == (3 if turned else 1)


@pytest.mark.parametrize(
    ("shape", "axis", "keepdims"),
    [
        ((90, 3, 70), (0, 2), False),
        ((90, 3, 70), (-1, 0), True),
        ((5, 40, 60), None, False),
        ((9, 10, 11, 60), (2, 0, 3), False),
    ],
)
def test_long_sums_over_several_axes_are_taken_in_two(
    shape, axis, keepdims, uncompiled
):
    w = Writing()
    x = w.live(np.arange(np.prod(shape), dtype="f4").reshape(shape) % 7)
    if axis is not None:
        x = w.view(x, lambda a: np.moveaxis(a, 0, -1))
    y = w.call(np.negative, x)
    for function in np.add.reduce, np.sum:
        total = w.call(function, y, axis=axis, keepdims=keepdims)
        calls = check_exact(w, total, w.call(np.square, total)).calls
        assert len(calls) == 1


def test_a_long_sum_of_one_row_or_of_other_numbers_stays_a_call(uncompiled):
    w = Writing()
    x, mask = w.live(np.ones((70, 90), "f4")), w.live(np.ones((70, 90)) > 0)
    sums = [w.call(np.sum, w.live(np.ones(7000))), w.call(np.sum, mask)]
    sums += [w.call(np.sum, x, dtype="f8"), w.call(np.sum, x, where=mask)]
    assert [c.function for c in check_exact(w, *sums).calls] == [np.sum] * 4


@pytest.mark.parametrize(("kind", "loops"), [("f4", 0), ("f8", 1)])
def test_a_row_that_is_a_vector_is_not_written_out(kind, loops, sources):
    w = Writing()
    x, row = w.live(np.ones((20, 8), kind)), w.live(np.ones(8, kind))
    check_exact(w, w.call(np.add, w.call(np.negative, x), row))
    assert sources[0].count("for j") == loops


def test_other_means_stay_calls(uncompiled):
    w = Writing()
    x, mask = w.live(np.arange(6.0)), w.live(np.arange(6) > 2)
    half, whole = w.live(np.ones(6, "f2")), w.live(np.arange(6))
    means = [w.call(np.mean, y) for y in (half, whole)]
    means += [w.call(np.mean, x, dtype="f4"), w.call(np.mean, x, where=mask)]
    assert [c.function for c in check_exact(w, *means).calls] == [np.mean] * 4


def test_an_index_that_repeats_adds_to_what_it_has_added(uncompiled):
    w = Writing()
    total, x = w.live(np.zeros(9)), w.live(np.arange(40.0).reshape(10, 4))
    x = w.view(x, lambda a: a[:, :3])
    one = w.constant(np.array([5]))
    same = w.view(one, lambda a: np.broadcast_to(a, (10, 3)))
    w.write(add_at, total, total, same, x)
    w.write(add_at, total, total, same, x)
    assert len(check_exact(w).calls) == 1


def test_what_waits_for_a_product_is_not_computed_before(uncompiled):
    """The decay of a mean goes with the rest of its update, in one pass."""
    w = Writing()
    mean, x = w.live(np.ones((20, 20))), w.live(np.ones((20, 20)))
    w.write(np.multiply, mean, mean, 0.5, out=mean)
    y = w.call(np.add, w.call(np.negative, x), 1.0)
    w.write(np.add, mean, mean, w.call(np.matmul, y, x), out=mean)
    groups = [getattr(c.function, "group", ()) for c in check_exact(w).calls]
    assert [len(group) for group in groups] == [2, 0, 2]


def test_the_order_of_writes_and_reads_is_kept(uncompiled):
    w = Writing()
    x = w.live(np.arange(30.0).reshape(10, 3))
    before = w.call(np.add, x, 1.0)
    w.write(np.multiply, x, x, 2.0, out=x)
    after = w.call(np.add, x, 1.0)
    w.write(np.add, x, x, w.call(np.add.reduce, x), out=x)
    check_exact(w, before, after, w.call(np.negative, x))


def test_rows_that_read_their_neighbours_stay_calls(uncompiled):
    w = Writing()
    x = w.live(np.arange(6.0))
    left, right = w.view(x, lambda a: a[:-1]), w.view(x, lambda a: a[1:])
    w.write(np.add, right, right, left, out=right)
    w.write(np.add, right, right, left, out=right)
    fused = check_exact(w)
    assert all(call.function is np.add for call in fused.calls)


def test_arrays_that_share_memory_stay_out_of_kernels(uncompiled):
    memory = np.arange(40.0)
    w = Writing()
    a, b = w.live(memory[:30]), w.live(memory[10:])
    for x in (a, b, a):
        w.write(np.add, x, x, 1.0, out=x)
    fused = check_exact(w)
    assert all(call.function is np.add for call in fused.calls)


def test_scratch_memory_becomes_variables(uncompiled):
    memory = np.zeros(40)
    w = Writing()
    for size in (40, 30):
        p, change = w.live(np.ones(size)), w.live(memory[:size])
        change.scratch = True
        w.write(np.multiply, change, p, 2.0, out=change)
        w.write(np.subtract, p, p, change, out=p)
    writing = w.program()
    (call,) = fusion.fuse(writing).calls
    assert not any(v.scratch for v in call.reads)
    assert not call.results
    w.rewind()
    run(fusion.fuse(writing))
    np.testing.assert_array_equal(w.start[0][0], -1.0)


def same_bits(a, b):
    np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(np.signbit(a), np.signbit(b))


@LLVM
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_nan_infinities_and_zeros_are_numpys(folder):
    special = np.array([0.0, -0.0, 1.0, -2.5, np.inf, -np.inf, np.nan], np.float32)
    w = Writing()
    a = w.live(np.repeat(special, 7))
    b = w.live(np.tile(special, 7))
    made = [w.call(f, a, b) for f in (np.maximum, np.minimum, np.add, np.divide)]
    masks = [w.call(f, a, b) for f in (np.less, np.greater_equal, np.not_equal)]
    made += [w.call(np.multiply, a, mask) for mask in masks]
    made += [w.call(np.where, masks[0], a, b), w.call(np.sqrt, a)]
    made += [w.call(np.clip, a, -1, 1), w.call(np.abs, a), w.call(np.negative, a)]
    program = w.program(*made, *masks)
    expected = run(program)
    fused = fusion.fuse(program)
    assert len(fused.calls) == 1
    for i, (x, y) in enumerate(zip(run(fused), expected, strict=True)):
        np.testing.assert_array_equal(x, y)
        if i > 1:
            # Which zero is larger NumPy leaves open.
            kept = ~np.isnan(y)
            same_bits(x[kept], y[kept])


@LLVM
@pytest.mark.parametrize("kind", ["f4", "f8", "i4", "i8", "u1", "?"])
def test_types_are_promoted_as_numpy_does(kind, folder):
    w = Writing()
    x = w.live(np.arange(12).astype(kind))
    y = w.live(np.linspace(-1, 1, 12, dtype=np.float32))
    rate = w.number(0.1)
    made = [
        w.call(np.add, x, x),
        w.call(np.multiply, x, y),
        w.call(np.multiply, y, rate),
    ]
    made += [w.call(np.multiply, y, np.float64(0.1)), w.call(np.less, x, 3)]
    made += [w.call(np.ndarray.astype, x, np.float32), w.call(np.where, x, y, 0)]
    check_exact(w, *made)


def test_a_number_that_may_be_whole_or_not_stays_out_of_integers(uncompiled):
    w = Writing()
    x, count = w.live(np.arange(5)), w.number(2**53 + 1)
    y = w.call(np.multiply, w.call(np.multiply, x, count), x)
    check_exact(w, w.call(np.add, y, x))


def test_long_rows_do_not_go_on_the_stack(uncompiled):
    w = Writing()
    a, b = w.live(np.ones((20, 5000))), w.live(np.ones((20, 2)))
    y = w.call(np.matmul, w.view(a, lambda a: a.T), w.call(np.negative, b))
    check_exact(w, w.call(np.add, y, 1.0))


@LLVM
def test_an_index_out_of_bounds_raises(folder):
    w = Writing()
    x, labels = w.live(np.arange(5.0)), w.live(np.array([0, -5, 4]))
    y = w.call(np.add, w.call(operator.getitem, x, labels), 1.0)
    fused = check_exact(w, y)
    for bad in (5, -6):
        labels.array[1] = bad
        with pytest.raises(IndexError, match="out of bounds"):
            run(fused)


@LLVM
def test_what_a_check_refuses_is_refused_before_anything_changes(folder):
    w = Writing()
    x, p = w.live(np.arange(5.0)), w.live(np.ones(5))
    moved = w.call(np.negative, w.call(np.add, x, 1.0))

    def check(values):
        if values.min() < -5:
            raise ValueError("too small")

    w.calls.append(Call(check, (moved,), pure=False))
    w.write(np.multiply, p, p, 2.0, out=p)
    w.write(np.add, p, p, moved, out=p)
    fused = check_exact(w)
    assert len(fused.calls) == 3
    x.array[1] = 7
    before = p.array.copy()
    with pytest.raises(ValueError, match="too small"):
        run(fused)
    np.testing.assert_array_equal(p.array, before)


@LLVM
def test_a_folder_that_cannot_be_written_to_is_no_obstacle(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("TENSORGRAD_CACHE", str(blocked / "folder"))
    kernels._compiled.cache_clear()
    w = Writing()
    x = w.live(np.arange(5.0))
    check_exact(w, w.call(np.add, w.call(np.negative, x), 1.0))


@LLVM
def test_kernels_are_kept_for_other_processes(tmp_path):
    code = (
        "import test_capture_fusion as t\n"
        "import tensorgrad.capture.kernels.machine as machine\n"
        "compiled, compile_ = [], machine.object_file\n"
        "machine.object_file = lambda *a: compiled.append(a) or compile_(*a)\n"
        "w, loss = t.network(30, 20, 3)\n"
        "t.fusion.fuse(w.program(loss))\n"
        "print(len(compiled))\n"
    )
    environment = {
        **os.environ,
        "TENSORGRAD_CACHE": str(tmp_path),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    compiled = [
        subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for _ in range(2)
    ]
    assert compiled == ["1", "0"]


def test_without_llvmlite_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "llvmlite", None)
    with pytest.raises(ImportError, match=r"pip install -e '.\[fast\]'"):
        fusion.fuse(Writing().program())
