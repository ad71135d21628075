"""Replay gives the bits of a plain run, whatever the program and its buffers."""

import itertools
import operator
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tensors import bits

from tensorgrad.capture.numpy import buffers
from tensorgrad.capture.numpy.buffers import Buffer, assigned
from tensorgrad.capture.numpy.plan import plan_text
from tensorgrad.capture.numpy.prune import pruned
from tensorgrad.capture.numpy.replay import Replay
from tensorgrad.capture.program import (
    Call,
    Constant,
    Input,
    Live,
    Number,
    Program,
    Result,
    Value,
    View,
    filled,
    owner,
)


def kind(array):
    array = np.asarray(array)
    return array.shape, array.dtype, array.strides


class Writing:
    """A program that is written down while it is computed, call by call."""

    def __init__(self):
        self.program = Program([], [], [], [])
        self.found = {}

    def __getitem__(self, value):
        return self.found[value]

    def outside(self, made, array):
        self.found[made] = array
        return made

    def input(self, array):
        made = Input(*kind(array), len(self.program.inputs))
        self.program.inputs.append(made)
        return self.outside(made, array)

    def live(self, array):
        return self.outside(Live(*kind(array), array), array)

    def constant(self, array):
        return self.outside(Constant(*kind(array), array), array)

    def number(self, number):
        made = Number()
        self.program.numbers.append(made)
        return self.outside(made, number)

    def call(self, function, *args, writes=(), pure=True, **kwargs):
        given_args, given_kwargs = filled((args, kwargs), self.__getitem__)
        out = function(*given_args, **given_kwargs)
        many = () if writes else out if isinstance(out, tuple) else (out,)
        made = tuple(self.result(y) for y in many)
        written = tuple(writes)
        self.program.calls.append(Call(function, args, kwargs, made, written, pure))
        return made if isinstance(out, tuple) or writes else made[0]

    def result(self, y):
        made = Number() if type(y) is float else Result(*kind(y))
        return self.outside(made, y)

    def view(self, value, make):
        base = owner(value)
        if isinstance(value, View):
            make = partial(lambda inner, make, x: make(inner(x)), value.make, make)
        array = make(self[base])
        return self.outside(View(*kind(array), base, make), array)

    def returns(self, *values):
        self.program.returned.extend(values)
        return self.program


def plain(program, arrays, numbers):
    """Run a program as it stands, each result in memory of its own."""
    found = dict(zip(program.inputs, arrays, strict=True))
    found.update(zip(program.numbers, numbers, strict=True))

    def value(v):
        if isinstance(v, View):
            return v.make(value(v.base))
        return v.array if isinstance(v, Live | Constant) else found[v]

    for call in program.calls:
        args, kwargs = filled((call.args, call.kwargs), value)
        out = call.function(*args, **kwargs)
        many = out if isinstance(out, tuple) else (out,)
        found.update(zip(call.results, many, strict=False))
    return [np.array(value(v)) for v in program.returned]


def assert_replayed(program, runs):
    """Compare replays with plain runs: results, and what they leave behind."""
    ready, unpruned = Replay(*pruned(program)), Replay(program)
    live = {v for c in program.calls for v in c.reads if isinstance(v, Value)}
    live = [v.array for v in {owner(v) for v in live} if isinstance(v, Live)]
    start = [a.copy() for a in live]
    endings = []
    for run in (partial(plain, program), ready, unpruned):
        for array, value in zip(live, start, strict=True):
            array[...] = value
        with np.errstate(all="ignore"):
            found = [run(arrays, numbers) for arrays, numbers in runs]
        told = [(kind(y), bits(y)) for returned in found for y in returned]
        endings.append((told, [bits(a) for a in live]))
    assert endings[1] == endings[0]
    assert endings[2] == endings[0]


ONE = [np.negative, np.exp, np.square, np.absolute, np.sqrt, np.tanh, np.log]
TWO = [np.add, np.subtract, np.multiply, np.divide, np.maximum, np.minimum, np.power]
COMPARE = [np.greater, np.less_equal, np.equal]
REDUCE = [np.add.reduce, np.maximum.reduce, np.multiply.reduce, np.minimum.reduce]
SHAPES = [(3, 4), (4,), (3, 1), (4, 3), (), (4, 4), (1, 4), (0, 4), (12,)]
SPECIAL = [0.0, -0.0, 1.0, -1.5, np.nan, np.inf, -np.inf, 1e-45, 3.0]
NUMBERS = [0, 1, 2, -1, 0.5, 1.0, 0.1, -0.0, float("inf"), 1e300]


def loose(x, y):
    """Return what NumPy cannot be told where to write."""
    return np.array(x, ndmin=1) + np.sum(y)


def kernel(x, y, out=None):
    """Write backwards, as a kernel that is promised memory of its own might."""
    if out is None:
        out = np.empty(x.shape, x.dtype)
    assert not np.may_share_memory(out, x)
    assert not np.may_share_memory(out, y)
    out[...] = 0
    out += x.reshape(-1)[::-1].reshape(x.shape)
    out += y.sum()
    return out


kernel.into = True


class Random:
    """A random program; `pick` makes the choices."""

    def __init__(self, pick, seed, scale):
        self.pick = pick
        self.rng = np.random.default_rng(seed)
        self.writing = Writing()
        self.values = []
        self.numbers = [self.writing.number(0.25)]
        makers = (self.writing.input, self.writing.live, self.writing.constant)
        for make in (*makers, *makers):
            shape = tuple(n if n < 2 else n * scale for n in pick(SHAPES))
            self.values.append(make(self.array(shape)))

    def array(self, shape):
        dtype = self.pick([np.float32, np.float64])
        values = self.rng.standard_normal(shape).astype(dtype)
        special = self.rng.choice(SPECIAL, shape).astype(dtype)
        return np.where(self.rng.random(shape) < 0.25, special, values)[...]

    def some(self, where=lambda v: True):
        # The newest more often: chains are where buffers are shared.
        found = [v for v in self.values if where(v)]
        return self.pick([*found, *found[-3:] * 3]) if found else None

    def broadcast(self, x):
        def fits(v):
            try:
                np.broadcast_shapes(v.shape, x.shape)
            except ValueError:
                return False
            return True

        return self.pick([self.some(fits), self.pick(NUMBERS), self.numbers[-1]])

    def grow(self):
        made = self.pick(MOVES)(self)
        for value in made if isinstance(made, tuple) else (made,):
            if value is not None:
                (self.numbers if type(value) is Number else self.values).append(value)

    def one(self):
        return self.writing.call(self.pick(ONE), self.some(is_float))

    def two(self):
        x = self.some(is_float)
        pair = [x, self.broadcast(x)]
        return self.writing.call(self.pick(TWO), *self.pick([pair, pair[::-1]]))

    def compare(self):
        x = self.some(is_float)
        return self.writing.call(self.pick(COMPARE), x, self.broadcast(x))

    def masked(self):
        x, mask = self.some(is_float), self.some(lambda v: v.dtype == bool)
        if mask is not None and mask.shape == x.shape:
            a, b = x, self.pick([self.broadcast(x), 0])
            a, b = self.pick([(a, b), (b, a)])
            which = self.pick([(np.multiply, x, mask), (np.where, mask, a, b)])
            return self.writing.call(*which)
        return None

    def reduce(self):
        x = self.some(lambda v: is_float(v) and v.shape and 0 not in v.shape)
        if x is None:
            return None
        axis = self.pick([*range(len(x.shape)), None, (0,)])
        keep = self.pick([{}, {"keepdims": True}])
        return self.writing.call(self.pick(REDUCE), x, axis=axis, **keep)

    def matmul(self):
        x = self.some(lambda v: is_float(v) and len(v.shape) == 2)
        y = x and self.some(
            lambda v: is_float(v) and len(v.shape) == 2 and v.shape[0] == x.shape[1]
        )
        return y and self.writing.call(np.matmul, x, y)

    def copy(self):
        x = self.some()
        if self.pick([True, False]):
            return self.writing.call(np.ndarray.astype, self.whole(x), np.float32)
        return self.writing.call(np.copy, x)

    def whole(self, x):
        """Return x, or the view that makes an array of what may be a scalar."""
        return self.writing.view(x, np.asarray) if x.shape == () else x

    def modf(self):
        return self.writing.call(np.modf, self.some(is_float))

    def taken(self):
        x = self.some(lambda v: v.shape and v.shape[0])
        if x is None:
            return None
        index = self.writing.constant(self.rng.integers(0, x.shape[0], 3))
        return self.writing.call(operator.getitem, x, index)

    def concatenate(self):
        x = self.some(lambda v: is_float(v) and v.shape)
        return x and self.writing.call(np.concatenate, [x, x])

    def loose(self):
        return self.writing.call(loose, self.some(is_float), self.some(is_float))

    def kernel(self):
        whole = [v for v in self.values if is_float(v) and v is owner(v) and v.shape]
        return self.writing.call(kernel, self.pick(whole), self.pick(whole))

    def number(self):
        make = partial(float, self.pick([0.5, 0.1]))
        return self.writing.call(make, pure=False)

    def view(self):
        x = self.some(lambda v: v.shape)
        if x is None:
            return None
        make = self.pick(VIEWS)
        array = make(self.writing[x])
        shares = np.may_share_memory(array, self.writing[x])
        return self.writing.view(x, make) if shares else None

    def written(self):
        """An update in place of a live array or a result, or of a part of one."""
        x = self.some(self.is_writable)
        if x is None:
            return
        y = self.some(lambda v: is_float(v) and v.shape == x.shape)
        y = self.pick([y, self.pick(NUMBERS), self.numbers[-1]])
        part = slice(0, 1) if x.shape else Ellipsis
        if isinstance(y, Value) or self.pick([True, False]):
            self.writing.call(self.pick(TWO), x, y, out=x, writes=(x,))
        else:
            self.writing.call(operator.setitem, x, part, y, writes=(x,))

    def is_writable(self, v):
        array = self.writing[v]
        return (
            isinstance(owner(v), Live | Result)
            and isinstance(array, np.ndarray)
            and array.flags.writeable
            and v.dtype == np.float64
        )


def is_float(value):
    return value.dtype.kind == "f"


VIEWS = [
    operator.attrgetter("T"),
    operator.itemgetter(slice(1, None)),
    operator.itemgetter(slice(None, None, -1)),
    operator.itemgetter((Ellipsis, None)),
    operator.itemgetter((Ellipsis, slice(None, None, 2))),
    lambda x: np.reshape(x, (-1,)),
]

MOVES = [
    *[Random.one] * 2,
    *[Random.two] * 4,
    *[Random.written] * 2,
    *[Random.view] * 3,
    Random.compare,
    Random.masked,
    Random.reduce,
    Random.matmul,
    Random.copy,
    Random.modf,
    Random.taken,
    Random.concatenate,
    Random.loose,
    Random.kernel,
    Random.number,
]


@settings(deadline=None, max_examples=300)
@given(
    st.integers(1, 40),
    st.integers(0, 3),
    st.integers(0, 2**32),
    st.sampled_from([1, 19]),
    st.sampled_from([16, buffers._LARGE]),
)
def test_random_programs_give_the_bits_of_a_plain_run(
    calls, returned, seed, scale, large
):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(buffers, "_LARGE", large)
        check_random_program(calls, returned, seed, scale)


def check_random_program(calls, returned, seed, scale):
    rng = np.random.default_rng(seed)
    random = Random(lambda options: options[rng.integers(len(options))], seed, scale)
    with np.errstate(all="ignore"):
        for _ in range(calls):
            random.grow()
    last = [random.some() for _ in range(returned)]
    program = random.writing.returns(*last)
    arrays = [random.writing[x] for x in program.inputs]
    other = [random.rng.permuted(a, axis=-1) if a.shape else a for a in arrays]
    assert_replayed(program, [(arrays, [0.25]), (other, [0.1]), (arrays, [1.0])])


@pytest.fixture
def writing():
    return Writing()


X = np.array([[1.0, -2.0, 3.0], [0.0, -0.0, 5.0]], np.float32)


def test_what_is_returned_is_the_callers(writing):
    x = writing.input(X)
    run = Replay(writing.returns(writing.call(np.negative, x), x))
    first, same = run([X], [])
    run([X + 1], [])
    np.testing.assert_array_equal(first, -X)
    assert same is not X
    first[...] = 7
    np.testing.assert_array_equal(run([X], [])[0], -X)


def test_large_results_are_written_to_new_arrays_and_not_copied(writing):
    x = writing.input(np.ones(10_000))
    y, again = writing.call(np.negative, x), writing.call(np.exp, x)
    run = Replay(writing.returns(y, again, again))
    first, one, other = run([np.ones(10_000)], [])
    second = run([np.zeros(10_000)], [])[0]
    assert first.base is second.base is None
    assert first[0] == -1
    assert second[0] == 0
    assert not np.may_share_memory(one, other)
    assert "return [r1, " in run.source
    assert [b.nbytes for b in run.memory.buffers] == [80_000]


def test_a_result_without_axes_is_a_numpy_scalar(writing):
    total = writing.call(np.add.reduce, writing.input(X), axis=None)
    program = writing.returns(writing.call(np.divide, total, 6))
    (mean,) = Replay(program)([X], [])
    assert type(mean) is np.float32
    assert mean == X.mean()


def test_numbers_may_change_from_call_to_call(writing):
    rate = writing.number(0.5)
    run = Replay(writing.returns(writing.call(np.multiply, writing.input(X), rate)))
    for number in (0.5, 0.1, 3):
        (y,) = run([X], [number])
        assert y.dtype == np.float32
        assert bits(y) == bits(X * number)


def test_a_live_array_is_updated_where_it_is(writing):
    w = np.ones(3, np.float32)
    live, x = writing.live(w), writing.input(X[0])
    writing.call(np.add, live, x, out=live, writes=(live,))
    run = Replay(writing.program)
    w[...] = 0
    run([X[0]], [])
    run([X[0]], [])
    np.testing.assert_array_equal(w, 2 * X[0])


def test_an_error_is_raised_as_in_eager_mode_and_the_next_run_is_right(writing):
    x, at = writing.input(X[0]), writing.input(np.array([0, 2]))
    picked = writing.call(operator.getitem, x, at)
    run = Replay(writing.returns(writing.call(np.negative, picked)))
    with pytest.raises(IndexError, match="out of bounds"):
        run([X[0], np.array([0, 3])], [])
    np.testing.assert_array_equal(run([X[0], np.array([1, 1])], [])[0], [2, 2])


def test_only_calls_of_the_walk_are_quiet(writing):
    x = np.zeros(3)
    with np.errstate(divide="ignore"):
        y = writing.call(np.log, writing.input(x))
    run = Replay(writing.returns(writing.call(np.copy, y)))
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        run([x], [])
    for call in writing.program.calls:
        call.quiet = True
    Replay(writing.program)([x], [])


def test_elementwise_calls_take_turns_in_one_buffer(writing):
    y = writing.input(np.ones((64, 64)))
    for function in (np.negative, np.exp, np.square, np.sqrt):
        y = writing.call(function, y)
    memory = assigned(writing.returns(y))
    assert [b.nbytes for b in memory.buffers] == [64 * 64 * 8]
    assert len(memory.onto) == 3


def test_memory_of_a_deep_step_is_what_backward_reads_and_two_more(writing):
    layers, size = 12, 16 * 16 * 8
    w = [writing.live(np.eye(16)) for _ in range(layers)]
    kept = [writing.input(np.ones((16, 16)))]
    for weight in w:
        kept.append(
            writing.call(np.maximum, writing.call(np.matmul, kept[-1], weight), 0)
        )
    g = kept.pop()
    for weight in reversed(w):
        x = kept.pop()
        transposed = writing.view(weight, operator.attrgetter("T"))
        change = writing.call(np.matmul, writing.view(x, VIEWS[0]), g)
        g = writing.call(np.matmul, g, transposed)
        writing.call(np.subtract, weight, change, out=weight, writes=(weight,))
    buffers = assigned(writing.program).buffers
    assert sum(b.nbytes for b in buffers) == (layers - 1 + 2) * size


def test_buffers_of_a_long_step_are_assigned_without_asking_each(writing, monkeypatch):
    """Results of two sizes that all live until the end, then go one by one."""
    asked = []
    free_for = Buffer.free_for
    monkeypatch.setattr(
        Buffer, "free_for", lambda b, slot: asked.append(b) or free_for(b, slot)
    )
    xs = [writing.input(np.ones(n)) for n in (8, 16)]
    kept = [writing.call(np.negative, x) for x in xs for _ in range(400)]
    for y in reversed(kept):
        writing.call(np.multiply, y, writing.call(np.exp, y))
    buffers = assigned(writing.program).buffers
    assert len(asked) < 400 * 110
    for buffer in buffers:
        for one, after in itertools.pairwise(buffer.slots):
            assert one.last < after.first


def test_a_kernel_is_given_its_results_last(writing):
    x = writing.input(X)
    run = Replay(*pruned(writing.returns(writing.call(kernel, x, x))))
    assert "kernel_1(x1, x1, r1)" in run.source
    np.testing.assert_array_equal(run([X], [])[0], X[::-1, ::-1] + X.sum())


def test_what_nobody_reads_is_not_computed(writing):
    x = writing.input(X)
    y = writing.call(np.exp, writing.call(np.negative, x))
    writing.call(np.multiply, y, 2, out=y, writes=(y,))
    program, gone = pruned(writing.returns(writing.call(np.square, x)))
    assert [call.function for call in program.calls] == [np.square]
    assert {e.what for e in gone} == {"negative", "exp", "multiply"}
    assert {e.why for e in gone} == {"nothing reads its result"}


def test_a_host_call_is_made_though_nobody_reads_it(writing):
    drawn = []
    writing.call(lambda: drawn.append(1) or 0.5, pure=False)
    run = Replay(*pruned(writing.program))
    run([], [])
    assert len(drawn) == 2


def test_what_is_constant_is_computed_once(writing):
    c = writing.constant(X)
    turned = writing.view(writing.call(np.negative, c), operator.attrgetter("T"))
    program, gone = pruned(writing.returns(writing.call(np.exp, turned)))
    assert not program.calls
    assert {e.why for e in gone} == {"the same in every call, made once"}
    assert bits(Replay(program)([], [])[0]) == bits(np.exp(-X.T))


def test_times_one_is_no_multiplication(writing):
    x, one = writing.input(X), writing.constant(np.ones((), np.float32))
    y = writing.call(np.exp, x)
    writing.call(np.multiply, y, one, out=y, writes=(y,))
    y = writing.call(np.multiply, one, y)
    program, gone = pruned(writing.returns(y))
    assert [call.function for call in program.calls] == [np.exp, np.copy]
    assert [e.why for e in gone] == ["it multiplies by 1"]
    assert "[...]" not in Replay(program).source


def test_a_large_result_is_not_copied_where_a_view_of_all_of_it_is_returned(writing):
    y = writing.call(np.negative, writing.input(np.ones(10_000)))
    run = Replay(*pruned(writing.returns(writing.view(y, lambda a: a[:]))))
    assert "copy" not in run.source
    first, second = run([np.ones(10_000)], []), run([np.zeros(10_000)], [])
    assert (first[0][0], second[0][0]) == (-1, 0)


def test_copies_that_nobody_writes_to_are_not_made(writing):
    x = writing.input(X)
    y = writing.call(np.tanh, x)
    first, second = writing.call(np.copy, y), writing.call(np.copy, y)
    z = writing.call(np.add, first, first)
    writing.call(np.add, second, z, out=second, writes=(second,))
    program, gone = pruned(writing.returns(y, first, second))
    assert [call.name for call in program.calls] == ["tanh", "copy", "add", "add"]
    assert [e.why for e in gone] == ["nothing writes to it, or to that"]
    a, b, c = Replay(program)([X], [])
    assert bits([a, b, c]) == bits([np.tanh(X), np.tanh(X), a + (b + b)])
    assert not any(map(np.shares_memory, (a, b, c), (b, c, a)))


@pytest.mark.parametrize("function", [np.maximum, np.minimum])
@pytest.mark.parametrize("number", [0, -0.0, 1.5])
def test_numbers_along_rows_give_the_same_bits(writing, function, number):
    rng = np.random.default_rng(0)
    x = rng.choice(np.array([*SPECIAL, -np.nan], np.float32), (30, 65))
    run = Replay(writing.returns(writing.call(function, writing.input(x), number)))
    assert bits(run([x], [])[0]) == bits(function(x, number))


def test_the_plan_tells_calls_buffers_and_what_was_left_out(writing):
    x, w = writing.input(X), writing.live(np.ones((3, 2), np.float32))
    y = writing.call(np.exp, writing.call(np.matmul, x, w))
    writing.call(np.log, y)
    fused = writing.call(kernel, y, y)
    program, gone = pruned(writing.returns(fused))
    kernel.group = ["relu", "relu", "exp"]
    text = plan_text(Replay(program, gone))
    del kernel.group
    assert text.splitlines() == PLAN.splitlines()


def test_kernels_of_the_same_calls_are_one_row_of_the_plan(writing):
    y = writing.input(X)
    for _ in range(8):
        y = writing.call(kernel, y, y)
    program, gone = pruned(writing.returns(y))
    kernel.group = ["relu", "exp"]
    lines = plan_text(Replay(program, gone)).split("fused groups\n")[1].splitlines()
    del kernel.group
    assert lines[0] == "  1, 2, ... 5 more ..., 8  2 calls:  relu, exp"
    assert not lines[1]


PLAN = """\
arrays from outside
  x1  float32(2, 3)  argument
  p1  float32(3, 2)  live, outside

calls
  1  r1 = matmul(x1, p1)  float32(2, 2)
  2  r2 = exp(r1)         float32(2, 2)  in place of r1
  3  r3 = kernel(r2, r2)  float32(2, 2)

fused groups
  3  3 calls:  relu x 2, exp

buffers
  1  16 bytes  r1 = r2
  2  16 bytes  r3
  32 bytes; each result on its own would take 48

eliminated
  nothing reads its result  log
"""
