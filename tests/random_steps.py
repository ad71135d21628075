"""Random steps as people write them in NumPy, to be called plain and replayed.

A step is a list of moves, drawn once: each takes values made before and makes one more.
It is drawn while it is computed, so each move is one that NumPy and the engine allow.
"""

import operator
import warnings
from itertools import count

import numpy as np

import tensorgrad as tg

SHAPES = [(), (), (1,), (3,), (4,), (3, 4), (3, 4), (4, 3), (2, 3, 4), (1, 4), (0, 4)]
FLOATS = ["f8", "f8", "f8", "f4", "f4", "f2"]
OTHERS = ["i8", "i4", "i2", "i1", "u1", "u2", "u4", "u8", "?", "?"]
CALLS = 6

# What a kernel may compute otherwise in the last bits, and what then turns on them.
ROUNDED = [
    np.exp,
    np.tanh,
    lambda x: np.log(np.abs(x) + 1.5),
    lambda x: np.log1p(np.abs(x)),
    np.expm1,
    np.sin,
    tg.softmax,
    tg.sigmoid,
    tg.softplus,
    tg.silu,
    tg.logsumexp,
    np.linalg.norm,
    lambda x: x - x.mean(),
    lambda x: (x - np.mean(x)) / (np.std(x) + 1.0),
    lambda x: x / np.linalg.norm(x),
    lambda x: np.sum(x).mean(),
    lambda x: np.cumsum(x),
    lambda x: np.cumsum(x, axis=-1, dtype="f8"),
    lambda x: np.sum(x, axis=0, where=x > 0),
    lambda x: np.sum(x, initial=0.5),
    lambda x: np.prod(x, axis=-1, initial=2),
    lambda x: np.einsum("...i,...i->...", x, x),
    lambda x: np.trapezoid(x),
    lambda x: np.gradient(x, axis=-1),
    lambda x: np.outer(x, x),
    lambda x: np.linalg.norm(x, axis=-1, keepdims=True),
    lambda x: x**3,
    lambda x: (x * x + 1.0) ** 0.5,
    lambda x: np.var(x, ddof=1),
    lambda x: np.mean(x * x),
]
EXACT = [
    np.negative,
    np.abs,
    np.square,
    lambda x: np.sqrt(np.abs(x)),
    lambda x: x**2,
    lambda x: 1.0 / (np.abs(x) + 1.0),
    operator.neg,
    operator.pos,
    tg.relu,
    lambda x: np.maximum(x, 0),
    lambda x: np.minimum(0.5, x),
    lambda x: np.clip(x, -0.5, 1.0),
    lambda x: np.where(x > 0, x, 0.25 * x),
    lambda x: x * (x > 0.25),
    lambda x: np.fmax(x, 0.125),
    np.copy,
    np.zeros_like,
    np.ones_like,
    lambda x: x.astype("f4"),
    lambda x: x.astype("f8"),
    lambda x: x.astype("f2"),
]
DISCRETE = [
    np.sign,
    np.floor,
    np.rint,
    np.trunc,
    np.isnan,
    np.isfinite,
    np.signbit,
    np.sort,
    lambda x: np.sort(x, axis=0),
    lambda x: np.max(x, axis=0, initial=-1, where=x < 1),
    lambda x: np.maximum.accumulate(x),
    lambda x: np.take_along_axis(x, np.argsort(x, axis=0), axis=0),
    lambda x: np.searchsorted(np.array([-0.5, 0.5]), x),
    lambda x: np.isclose(x, 0.25),
    lambda x: np.allclose(x, x) | np.array_equal(x, 1),
    lambda x: np.ptp(x, axis=0),
    lambda x: np.median(x),
    np.argsort,
    np.argmax,
    np.argmin,
    np.logical_not,
    np.count_nonzero,
    lambda x: x.astype("i4"),
    lambda x: x.astype("i8"),
    lambda x: x.astype("u1"),
    lambda x: x.astype("i1"),
    lambda x: x.astype(bool),
    lambda x: x // 1,
    lambda x: x % 2,
    lambda x: x % -3,
    lambda x: x // 0.75,
]
WHOLE = [
    operator.neg,
    np.abs,
    np.square,
    np.sign,
    np.invert,
    lambda x: x**2,
    lambda x: x**3,
    lambda x: x + x,
    lambda x: x * 100,
    lambda x: x + 1,
    lambda x: x - 2,
    lambda x: x // 3,
    lambda x: x % 3,
    lambda x: x // 0,
    lambda x: x % 0,
    lambda x: x / 2,
    lambda x: x * 0.5,
    lambda x: x * True,
    lambda x: np.left_shift(x, 2),
    lambda x: np.right_shift(x, 1),
    lambda x: np.maximum(x, 1),
    lambda x: np.clip(x, 0, 2),
    lambda x: x.astype("f4"),
    lambda x: x.astype("f8"),
    lambda x: x.astype("i1"),
    lambda x: x.astype(bool),
    lambda x: np.bitwise_and(x, 3),
    lambda x: x > 1,
    np.sqrt,
    np.exp,
]


def cast(m, dtype):
    """Return a mask in another type; comparisons of whole arrays give Python's bool."""
    return m.astype(dtype) if hasattr(m, "astype") else dtype(m)


MASK = [
    np.logical_not,
    np.invert,
    operator.invert,
    np.any,
    np.all,
    lambda m: m + m,
    lambda m: m * m,
    lambda m: m + True,
    lambda m: m + 1,
    lambda m: m * 2.0,
    lambda m: cast(m, np.float32),
    lambda m: cast(m, np.int64),
    lambda m: np.maximum(m, False),
    lambda m: np.where(m, 1.0, -1.0),
    lambda m: np.where(m, 1, 0),
    lambda m: np.square(m),
    lambda m: np.abs(m),
]
BINARY = [
    *[operator.add, operator.sub, operator.mul] * 3,
    operator.truediv,
    *[np.add, np.subtract, np.multiply, np.divide],
    *[np.maximum, np.minimum, np.fmax, np.fmin, np.copysign],
]
ROUNDED_BINARY = [np.power, np.hypot, np.arctan2, np.logaddexp, np.float_power]
DISCRETE_BINARY = [
    *[operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne],
    *[np.less, np.greater_equal, np.equal, np.not_equal],
    *[operator.floordiv, operator.mod, np.floor_divide, np.remainder, np.fmod],
    *[np.logical_and, np.logical_or, np.logical_xor],
]


def through_a_view(operation):
    """Return what writes to a copy of its operand through a view of it."""

    def written(x, y):
        whole = np.copy(x)
        part = whole[...]
        part = operation(part, y)
        return whole

    return written


ROUNDED_BINARY += [through_a_view(operator.ipow)]
DISCRETE_BINARY += [through_a_view(operator.ifloordiv), through_a_view(operator.imod)]
SHIFTS = [operator.lshift, operator.rshift, np.left_shift]
SHIFTS += [through_a_view(operator.ilshift), through_a_view(operator.iand)]
SHIFTS += [through_a_view(operator.ifloordiv), through_a_view(operator.ior)]
BITS = [operator.and_, operator.or_, operator.xor, np.bitwise_or, np.logical_and]
REDUCTIONS = [
    *[(f, False) for f in (np.std, np.var)],
    *[(f, False) for f in (np.sum, np.sum, np.mean, np.prod)],
    *[(f, True) for f in (np.max, np.min, np.amax)],
]
VIEWS = [
    lambda x: x.T,
    lambda x: x.reshape(-1),
    lambda x: x[0],
    lambda x: x[-1],
    lambda x: x[::-1],
    lambda x: x[1:],
    lambda x: x[..., None],
    lambda x: x[..., ::2],
    lambda x: x[None],
    lambda x: x[...],
    lambda x: np.squeeze(x),
    lambda x: np.expand_dims(x, 0),
    lambda x: np.broadcast_to(x, (2, *np.shape(x))),
    lambda x: np.swapaxes(x, 0, -1),
    lambda x: np.ravel(x),
    lambda x: x.reshape(x.shape[::-1]),
]
MOVED = [
    lambda x: np.flip(x),
    lambda x: np.roll(x, 1),
    lambda x: np.repeat(x, 2, axis=0),
    lambda x: np.repeat(x, 2),
    lambda x: np.tile(x, 2),
    lambda x: np.concatenate([x, x]),
    lambda x: np.stack([x, x]),
    lambda x: np.take(x, np.array([0, 0])),
    lambda x: x[np.array([1, 0, 1])],
    lambda x: x[[0, -1]],
    lambda x: np.diff(x),
    lambda x: np.triu(x),
    lambda x: np.diagonal(x),
    lambda x: np.pad(x, 1),
]
NUMBERS = [
    *[0, 1, 2, -1, 3, 0.5, 1.0, 2.0, -0.25, -0.0, True, 1e-3],
    *[np.float64(0.5), np.float32(2), np.int64(2), np.bool_(True), np.float16(0.5)],
]


def in_place(y, x):
    y += x
    return y


def scaled_in_place(y, x):
    y *= x
    return y


def entry_in_place(y, x):
    y[0] += x
    return y


def assigned(y, x):
    y[0] = x
    return y


def column_assigned(y, x):
    y[..., 0] = x
    return y


def written(y, x):
    np.multiply(y, x, out=y)
    return y


def subtracted(y, x):
    y[1:] -= x
    return y


def replaced(y, x):
    np.copyto(y, x, where=np.asarray(y > 0) if not hasattr(y, "recorder") else y > 0)
    return y


WRITES = [in_place, scaled_in_place, entry_in_place, assigned, column_assigned]
WRITES += [written, subtracted, lambda y, x: in_place(y[::-1], x)]

OPTIMIZERS = [
    lambda p: tg.optim.SGD(p, lr=2.0**-7),
    lambda p: tg.optim.SGD(p, lr=2.0**-7, momentum=0.5, decay=0.125),
    lambda p: tg.optim.Adam(p, lr=2.0**-7),
    lambda p: tg.optim.RMSProp(p, lr=2.0**-7),
    lambda p: tg.optim.AdaGrad(p, lr=2.0**-7),
]


def array_of(x):
    return np.asarray(x._value if type(x) is tg.Tensor else x)


class NothingFits(Exception):  # noqa: N818
    """A move for which nothing fits."""


class RandomStep:
    """A step drawn from a seed, and what it is called with.

    Parameters
    ----------
    seed : int
    """

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.trains = self.chance(0.4)
        self.special = self.chance(0.1)
        self.aliases = self.trains and self.chance(0.3)
        self.parameters = [self.drawn(self.pick(FLOATS[:5])) for _ in range(2)]
        self.closed = [self.drawn(self.kind()) for _ in range(2)]
        self.givers = [self.giver() for _ in range(self.rng.integers(1, 4))]
        self.optimizer = self.pick(OPTIMIZERS)
        self.moves = []
        self.draw()

    # What is drawn.

    def chance(self, p):
        return self.rng.random() < p

    def pick(self, options):
        return options[self.rng.integers(len(options))]

    def kind(self):
        return self.pick(FLOATS if self.chance(0.7) else OTHERS)

    def drawn(self, kind, shape=None, rng=None):
        rng = rng or self.rng
        shape = self.pick(SHAPES) if shape is None else shape
        x = rng.integers(-8, 9, shape) / (4 if np.dtype(kind).kind == "f" else 1)
        if self.special and np.dtype(kind).kind == "f":
            odd = rng.choice([np.nan, np.inf, -np.inf, -0.0, 0.0], shape)
            x = np.where(rng.random(shape) < 0.2, odd, x)
        return np.asarray(np.abs(x) if kind[0] in "u?" else x).astype(kind)[...]

    def giver(self):
        """Return what makes an argument of one kind for each call."""
        if self.chance(0.15):
            return lambda rng: float(rng.integers(-8, 9)) / 4
        kind, shape = self.kind(), self.pick(SHAPES)
        how = self.pick(LAYOUTS)
        return lambda rng: how(self.drawn(kind, shape, rng))

    def draw(self):
        """Draw moves while they are computed."""
        with quiet():
            state = State(self)
            args = self.args(state, 0)
            pool = state.sources(args)
            self.now = pool
            same = not self.trains
            self.exact = [same] * len(self.parameters)
            self.exact += [True] * (len(pool) - len(self.exact))
            for _ in range(self.rng.integers(2, 18)):
                self.move()
            self.finish()

    def some(self, fits=lambda x: True, exact=False):
        """Return the number of a value, a newer one more often."""
        found = [
            i
            for i, x in enumerate(self.now)
            if (self.exact[i] or not exact) and fits(x)
        ]
        if not found:
            raise NothingFits
        return self.pick([*found, *found[-3:] * 2])

    def move(self):
        try:
            function, places, exact = self.pick(MOVES)(self)
            made = function(*[self.now[i] for i in places])
            if array_of(made).size > 200 or array_of(made).dtype.kind not in "fiub":
                return
        except (NothingFits, ValueError, TypeError, IndexError, OverflowError):
            return
        except (tg.TensorgradError, ZeroDivisionError, np.exceptions.AxisError):
            return
        self.moves.append((function, places, exact))
        self.now.append(made)
        self.exact.append(exact and all(self.exact[i] for i in places))

    def finish(self):
        """Draw what is differentiated, and what is returned."""
        count = len(self.now)
        self.returned = [int(self.rng.integers(count)) for _ in range(3)]
        self.returned += [count - 1, self.returned[0]]
        grown = [
            i
            for i, x in enumerate(self.now)
            if type(x) is tg.Tensor and x.requires_grad and x.dtype.kind == "f"
        ]
        self.loss = [self.pick(grown) for _ in range(2)] if grown else []
        self.trains = self.trains and bool(self.loss)
        kinds = [array_of(x).dtype for x in (*self.now, *self.parameters)]
        self.eps = max(float(np.finfo(k).eps) for k in kinds if k.kind == "f")

    # What is called.

    def args(self, state, call):
        """Return the arguments of a call; some lie in what a step trains."""
        rng = np.random.default_rng([call, len(self.givers)])
        args = [giver(rng) for giver in self.givers]
        if self.aliases and call > 2:
            for i, x in enumerate(args):
                for p in state.parameters:
                    args[i] = alias(p, x, call)
                    if args[i] is not x:
                        break
        return args

    def step(self, state, noise=None):
        """Return the step as a function, of this state."""
        shaken = noise or (lambda x: x)
        moves, returned, summed, trains = (
            self.moves,
            self.returned,
            self.loss,
            self.trains,
        )
        parameters, closed, optimizer = state.parts()

        def step(*args):
            pool = [*parameters, *closed, *args]
            for function, places, exact in moves:
                given = [pool[i] for i in places]
                if not exact:
                    given = map(shaken, given)
                made = function(*given)
                pool.append(made if exact else shaken(made))
            found = [pool[i] for i in returned]
            if summed:
                loss = sum(np.sum(shaken(pool[i])) * 0.25 for i in summed)
                if trains:
                    loss = loss + sum(np.sum(shaken(p)) for p in parameters)
                for p in parameters:
                    p.grad = None
                loss.backward()
                found += [p.grad for p in parameters if p.grad is not None]
                if trains:
                    for p in parameters if noise else ():
                        # Optimizers divide by a gradient's size, however small.
                        p.grad = tg.Tensor(noise(p.grad.numpy(), 1.0))
                    optimizer.step()
                found.append(loss)
            return found

        return step


class State:
    """Parameters and an optimizer: what a step changes."""

    def __init__(self, drawn):
        self.parameters = [
            tg.Tensor(x.copy(), requires_grad=True) for x in drawn.parameters
        ]
        self.closed = [x.copy() for x in drawn.closed]
        self.optimizer = drawn.optimizer(self.parameters)

    def parts(self):
        return self.parameters, self.closed, self.optimizer

    def sources(self, args):
        return [*self.parameters, *self.closed, *args]


def alias(p, x, call):
    """Return an array in the memory of a parameter that may stand for `x`."""
    a = p.data
    if type(x) is tg.Tensor and (x.shape, x.dtype) == (a.shape, a.dtype):
        return p.detach()
    if type(x) is np.ndarray and (x.shape, x.dtype) == (a.shape, a.dtype):
        if not x.flags.c_contiguous:
            return x
        strided = np.lib.stride_tricks.as_strided
        return [a, a[...], strided(a, a.shape, a.strides)][call % 3]
    return x


def spaced(x):
    if not x.ndim:
        return x
    room = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)
    room[..., ::2] = x
    return room[..., ::2]


def unaligned(x):
    room = np.zeros(x.nbytes + 1, "u1")[1:].view(x.dtype).reshape(x.shape)
    room[...] = x
    return room


def read_only(x):
    x.setflags(write=False)
    return x


LAYOUTS = [
    *[lambda x: x] * 4,
    *[tg.Tensor] * 4,
    np.asfortranarray,
    spaced,
    unaligned,
    read_only,
    lambda x: x[::-1].copy()[::-1] if x.ndim else x,
    lambda x: np.broadcast_to(x[..., :1], x.shape) if x.ndim else x,
    lambda x: x.astype(x.dtype.newbyteorder(">")),
    lambda x: x[()] if not x.ndim else x,
    lambda x: tg.Tensor(np.asfortranarray(x)),
    lambda x: tg.Tensor(x, requires_grad=True) if x.dtype.kind == "f" else tg.Tensor(x),
]


# Kinds of moves: what to call, on which values, and whether kernels give its bits too.


def is_float(x):
    return array_of(x).dtype.kind == "f" and not isinstance(x, float)


def is_whole(x):
    return array_of(x).dtype.kind in "iu"


def is_mask(x):
    return array_of(x).dtype.kind == "b"


def is_array(x):
    return type(x) in (np.ndarray, tg.Tensor) and array_of(x).ndim > 0


def one(functions, fits, exact, needs=False):
    return lambda self: (self.pick(functions), [self.some(fits, needs)], exact)


def partner(self, x, exact):
    shape = np.shape(array_of(x))

    def fits(y):
        try:
            return np.size(np.broadcast(np.empty(shape), array_of(y))) <= 200
        except ValueError:
            return False

    return self.some(fits, exact)


def pair(functions, exact, needs=False, fits=lambda x: True):
    def drawn(self):
        function, i = self.pick(functions), self.some(fits, needs)
        if self.chance(0.35):
            number = self.pick(NUMBERS)
            if self.chance(0.5):
                return lambda x: function(x, number), [i], exact
            return lambda x: function(number, x), [i], exact
        j = partner(self, self.now[i], needs)
        return function, self.pick([[i, j], [j, i]]), exact

    return drawn


def reduction(self):
    function, exact = self.pick(REDUCTIONS)
    i = self.some(lambda x: not isinstance(x, float), exact)
    rank = array_of(self.now[i]).ndim
    axis = self.pick([None, None, *range(-rank, rank)])
    keep = self.chance(0.3)
    whole = array_of(self.now[i]).dtype.kind != "f" and function is not np.mean
    return (
        lambda x: function(x, axis=axis, keepdims=keep),
        [i],
        exact or whole,
    )


def chosen(self):
    m = self.some(is_mask, True)
    i = partner(self, self.now[m], False)
    if self.chance(0.5):
        number = self.pick(NUMBERS)
        return lambda m, x: np.where(m, x, number), [m, i], True
    return np.where, [m, i, partner(self, self.now[i], False)], True


def product(self):
    i = self.some(lambda x: is_float(x) and array_of(x).ndim in (1, 2))
    size = array_of(self.now[i]).shape[-1]
    j = self.some(
        lambda y: (
            is_float(y) and array_of(y).ndim in (1, 2) and array_of(y).shape[0] == size
        )
    )
    return self.pick([operator.matmul, np.matmul, np.dot]), [i, j], False


def write(self):
    """A write to a copy, or to what was just computed."""
    function = self.pick(WRITES)
    i = self.some(
        lambda x: (
            type(x) is np.ndarray or (type(x) is tg.Tensor and not x.requires_grad)
        )
    )
    if self.chance(0.5):
        number = self.pick(NUMBERS)
        return lambda x: function(np.copy(x), number), [i], True
    j = partner(self, self.now[i], False)
    return lambda x, y: function(x * 1.5, y), [i, j], True


def entry(self):
    i = self.some(is_array)
    shape = array_of(self.now[i]).shape
    if 0 in shape:
        raise NothingFits
    index = tuple(int(self.rng.integers(n)) for n in shape)
    return lambda x: x[index], [i], True


def looked_up(self):
    """Entries told by an argument, or by what was computed."""
    i = self.some(lambda x: is_array(x) and array_of(x).shape[0] >= 3)
    j = self.some(lambda x: is_whole(x) and type(x) is not tg.Tensor, True)
    return lambda x, k: x[np.clip(k, 0, 2).astype("i8")], [i, j], True


def loss(self):
    i = self.some(
        lambda x: is_float(x) and array_of(x).ndim == 2 and 0 not in array_of(x).shape
    )
    n, classes = array_of(self.now[i]).shape
    labels = self.rng.integers(0, classes, n)
    return lambda x: tg.softmax_cross_entropy(x, labels), [i], False


MOVES = [
    *[pair(BINARY, True)] * 8,
    pair(ROUNDED_BINARY, False),
    *[pair(DISCRETE_BINARY, True, True)] * 3,
    pair(BITS, True, True, is_mask),
    pair(BINARY, True, True, is_mask),
    pair(BINARY, True, True, is_whole),
    pair(SHIFTS, True, True, is_whole),
    *[one(EXACT, is_float, True)] * 3,
    *[one(ROUNDED, is_float, False)] * 3,
    *[one(DISCRETE, is_float, True, True)] * 2,
    *[one(WHOLE, is_whole, True)] * 2,
    *[one(MASK, is_mask, True)] * 2,
    *[one(VIEWS, is_array, True)] * 3,
    *[one(MOVED, is_array, True)] * 2,
    *[reduction] * 4,
    *[chosen] * 2,
    product,
    *[write] * 3,
    *[entry] * 2,
    looked_up,
    loss,
]


# Comparing.


def quiet():
    """Let what overflows or is not a number do so in silence."""
    silent = warnings.catch_warnings()
    silent.__enter__()
    warnings.simplefilter("ignore", RuntimeWarning)
    warnings.simplefilter("ignore", np.exceptions.ComplexWarning)
    return _Quiet(silent, np.errstate(all="ignore"))


class _Quiet:
    def __init__(self, *contexts):
        self.contexts = contexts

    def __enter__(self):
        self.contexts[1].__enter__()

    def __exit__(self, *told):
        self.contexts[1].__exit__(*told)
        self.contexts[0].__exit__(*told)


def kept(found):
    """Return what a step returned as arrays of the caller's own."""
    return [np.array(array_of(x)) for x in found]


def run(drawn, compiled=None, noise=None):
    """Return what each call returns, and the parameters after it."""
    state = State(drawn)
    step = drawn.step(state, noise)
    step = compiled(step) if compiled else step
    told = []
    with quiet():
        for call in range(CALLS):
            told.append(kept(step(*drawn.args(state, call))))
            told[-1] += kept(state.parameters)
    return told, step


def same_bits(found, expected):
    """Return what differs in any bit, or nothing."""
    for call, (a, b) in enumerate(zip(found, expected, strict=True)):
        for place, (x, y) in enumerate(zip(a, b, strict=True)):
            alike = (x.shape, x.dtype) == (y.shape, y.dtype)
            if not alike or canonical(x).tobytes() != canonical(y).tobytes():
                return f"call {call + 1}, value {place}: {x!r} instead of {y!r}"
    return ""


def canonical(x):
    """Return an array in which there is one NaN: the sign of one says nothing."""
    if x.dtype.kind != "f":
        return x
    return np.where(np.isnan(x), np.array(np.nan, x.dtype), x)


def within_rounding(found, expected, drawn):
    """Return what differs by more than rounding, or nothing.

    How rounding grows on its way through a step is seen from runs of it with noise of a
    few units in the last place after each operation that may be rounded otherwise.
    """
    if not same_values(found, expected):
        bounds = rounding(expected, drawn)
        for call, (a, b) in enumerate(zip(found, expected, strict=True)):
            for place, (x, y) in enumerate(zip(a, b, strict=True)):
                if (x.shape, x.dtype) != (y.shape, y.dtype):
                    return f"call {call + 1}, value {place}: {x!r} instead of {y!r}"
                if not near(x, y, bounds[call][place]):
                    return f"call {call + 1}, value {place}: {x!r} instead of {y!r}"
    return ""


def same_values(found, expected):
    return all(
        x.dtype == y.dtype and np.array_equal(x, y, equal_nan=x.dtype.kind == "f")
        for a, b in zip(found, expected, strict=True)
        for x, y in zip(a, b, strict=True)
    )


def near(x, y, bound):
    if x.dtype.kind != "f":
        return np.array_equal(x, y)
    if not np.isfinite(bound):
        return True
    with quiet():
        apart = np.abs(x.astype("f8") - y.astype("f8"))
    alike = (x == y) | (np.isnan(x) & np.isnan(y))
    return bool((alike | (apart <= bound)).all())


def rounding(expected, drawn):
    """Return for each value by how much rounding may move it."""
    numbers = count(1)

    def noise(made, least=0.0):
        x = array_of(made)
        if x.dtype.kind != "f" or type(made) is float:
            return made
        rng = np.random.default_rng(next(numbers))
        part = 4 * np.finfo(x.dtype).eps * rng.choice([-1, 1], x.shape)
        return made * (1 + part).astype(x.dtype) + (least * part).astype(x.dtype)

    runs = [run(drawn, noise=noise)[0] for _ in range(4)]
    return [
        [
            max(spread(other[call][place], y, drawn.eps) for other in runs)
            for place, y in enumerate(values)
        ]
        for call, values in enumerate(expected)
    ]


def spread(x, y, eps):
    if y.dtype.kind != "f" or not y.size:
        return 0.0
    with quiet():
        finite = np.isfinite(x) & np.isfinite(y)
        if (finite != np.isfinite(y)).any():
            return np.inf
        apart = np.abs(x.astype("f8") - y.astype("f8")).max(initial=0, where=finite)
        size = np.abs(y.astype("f8")).max(initial=0, where=finite)
    return 50 * apart + 64 * eps * size
