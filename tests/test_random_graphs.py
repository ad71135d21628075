"""Random programs that write, hook and walk back at any time: right, or refused.

Beside each program runs its mirror: the same operations on memory that nobody writes
to. A write to a tensor is to its mirror the addition of a constant, which leaves every
gradient as it is. So the gradient of the mirror is what the program's must be, unless
the engine refuses to give one.
"""

import ctypes
from collections import Counter

import numpy as np
import pytest
from hypothesis import settings
from tensors import leaf, over

import tensorgrad as tg

PROGRAMS = 10 * settings().max_examples
ACTIONS = 30

UNARY = [
    np.tanh,
    np.exp,
    np.square,
    np.negative,
    lambda x: x * x,
    lambda x: tg.relu(x) * x,
    lambda x: np.sqrt(x * x + 1.0),
    lambda x: x.reshape(3, 2).T.reshape(2, 3),
    lambda x: np.concatenate([x[1:], x[:1]]),
    lambda x: x[:, ::-1],
    lambda x: x.sum() * x,
    lambda x: np.modf(x)[0] * x,
    lambda x: tg.softmax(x),
    lambda x: np.stack([x[0], x[1]]),
]
BINARY = [
    np.add,
    np.subtract,
    np.multiply,
    np.maximum,
    lambda a, b: a / (b * b + 1.0),
    lambda a, b: a @ b.T @ a,
    lambda a, b: np.where(a.numpy() > 0, a, b),
]
CHECKPOINTED = [
    np.multiply,
    lambda a, b: np.tanh(a) * (a + b),
    lambda a, b: a,
    lambda a, b: b,
]
ALIASES = [
    lambda a: a,
    lambda a: a[:1],
    lambda a: a.reshape(-1)[2:5],
    lambda a: np.lib.stride_tricks.as_strided(a, (2,), (8,)),
    lambda a: np.asarray(memoryview(a)),
    lambda a: np.frombuffer(a),
    lambda a: np.ctypeslib.as_array(
        a.ctypes.data_as(ctypes.POINTER(ctypes.c_double)), a.shape
    ),
]


class Value:
    """A tensor and its mirror; `base` is where hooks of the mirror belong."""

    def __init__(self, tensor, mirror):
        self.tensor, self.mirror, self.base = tensor, mirror, mirror


class Program:
    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.count = Counter()
        self.debug = self.rng.random() < 0.4
        self.leaves, self.values, self.backs = [], [], []
        self.expected = {}
        for _ in range(3):
            self.leaf()

    def run(self):
        actions = [self.operation] * 6 + [self.write] * 3 + [self.backward] * 4
        actions += [self.leaf, self.vjp, self.pull, self.optimizer]
        if self.rng.random() < 0.7:  # what makes walks look again at each node
            actions += [self.checkpoint, self.retain, *[self.hook] * 6]
        for _ in range(ACTIONS):
            actions[self.rng.integers(len(actions))]()

    def choose(self, from_):
        return from_[self.rng.integers(len(from_))]

    def any_value(self):
        return self.choose(self.values + self.leaves)

    def random(self, shape=(2, 3)):
        return self.rng.uniform(-1.0, 1.0, size=shape)

    # What programs do.

    def leaf(self):
        array = self.random()
        if self.leaves and self.rng.random() < 0.3:
            array = self.choose(self.leaves).tensor.numpy()
            array = self.choose([ALIASES[0], *ALIASES[4:5], *ALIASES[6:]])(array)
        tensor = over(array)
        tensor.requires_grad = True
        self.leaves.append(Value(tensor, leaf(array.copy())))
        self.expected[tensor] = np.zeros(array.shape)

    def operation(self):
        arguments = [self.any_value()]
        f = self.choose(UNARY)
        if self.rng.random() < 0.5:
            f = self.choose(BINARY)
            arguments.append(self.any_value())
        with tg.debug(nan=False) if self.debug else tg.enable_grad():
            tensor = f(*(v.tensor for v in arguments))
        self.add(tensor, f(*(v.mirror for v in arguments)))

    def add(self, tensor, mirror):
        known = any(tensor is v.tensor for v in self.values + self.leaves)
        if not known and np.abs(tensor.numpy()).max() < 50:
            self.values.append(Value(tensor, mirror))

    def checkpoint(self):
        x, w = self.any_value(), self.choose(self.leaves)
        f = self.choose(
            [np.multiply, lambda a, b: np.tanh(a) * (a + b), lambda a, b: b]
        )
        with tg.debug(nan=False) if self.debug else tg.enable_grad():
            tensor = tg.checkpoint(lambda t: f(t, w.tensor))(x.tensor)
        self.add(tensor, f(x.mirror, w.mirror))

    def write(self):
        """Write through the engine, or in debug mode through NumPy."""
        value = self.any_value()
        if type(value.tensor._value) is not np.ndarray:
            return
        memory = value.tensor._value
        if not memory.flags.writeable:
            return
        contiguous = memory.flags.c_contiguous
        alias = self.choose(ALIASES if contiguous else ALIASES[:1])(memory)
        if self.debug and self.rng.random() < 0.5:
            alias[...] = self.random(alias.shape)
        else:
            self.engine_write(alias)
        self.sync()

    def engine_write(self, array):
        t = over(array)
        how = self.rng.integers(3)
        if how == 0:
            t *= 0.5
        elif how == 1:
            t[...] = self.random(t.shape)
        else:
            t[0] = 0.25

    def optimizer(self):
        chosen = self.choose(self.leaves).tensor
        kept = chosen.grad
        chosen.grad = self.random()
        tg.optim.SGD([chosen], 0.1, momentum=0.9).step()
        chosen.grad = kept
        self.sync()

    def sync(self):
        """Let the mirrors have the values of the tensors, by adding constants."""
        for value in self.leaves + self.values:
            change = value.tensor._value - value.mirror._value
            if np.abs(change).max() > 1e-13:
                value.mirror = value.mirror + change

    # Hooks.

    def hook(self):
        value, once = self.any_value(), [True]
        kinds = ["scale", "keep", "write", "write", "in place", "in place", "backward"]
        kind = self.choose(kinds)
        if kind == "scale":
            value.tensor.register_hook(lambda g: g * 2.0)
            value.base.register_hook(lambda g: g * 2.0)
        elif kind == "in place":
            value.tensor.register_hook(halve)
            value.base.register_hook(lambda g: g * 0.5)
        elif kind == "keep":
            value.tensor.register_hook(self.keep)
        else:
            other, seed = self.any_value(), self.random()
            memory = np.asarray(self.any_value().tensor._value)
            kind = kind if memory.flags.writeable else "backward"
            retain = bool(self.rng.random() < 0.5)

            def act(g):
                if not once:
                    return
                once.clear()
                if kind == "write":
                    self.engine_write(memory)
                else:
                    other.tensor.backward(seed, retain_graph=retain)
                    self.deliver(other, seed)

            value.tensor.register_hook(act)

    def keep(self, g):
        g.numpy()[...] = g.numpy()  # nobody else's
        self.kept = g

    def retain(self):
        self.any_value().tensor.retain_grad()

    # Walks.

    def backward(self):
        value, seed = self.any_value(), self.random()
        options = {"retain_graph": bool(self.rng.random() < 0.6)}
        if self.rng.random() < 0.2:
            options = {"create_graph": True}
        try:
            value.tensor.backward(seed, **options)
        except tg.GraphError as error:
            self.count[type(error).__name__] += 1
        else:
            self.deliver(value, seed)
            self.count["right"] += 1
        self.compare()
        self.sync()

    def deliver(self, value, seed):
        """Add the gradient of the mirror to what is expected."""
        for v in self.leaves:
            v.base.grad = None
        value.mirror.backward(seed, retain_graph=True)
        for v in self.leaves:
            if v.base.grad is not None:
                self.expected[v.tensor] += v.base.grad.numpy()

    def compare(self):
        for v in self.leaves:
            grad = np.zeros((2, 3)) if v.tensor.grad is None else v.tensor.grad.numpy()
            wanted = self.expected[v.tensor]
            np.testing.assert_allclose(grad, wanted, rtol=1e-7, atol=1e-9)
            # Gradients go on as constants, so that no pass is walked again.
            v.tensor.grad = grad.copy()

    def vjp(self):
        x, f = self.random(), self.choose(UNARY)
        same = f(tg.Tensor(x)).numpy().shape
        out, back = tg.vjp(f, x)
        _, reference = tg.vjp(f, x.copy())
        self.backs.append((back, reference, same))
        for array in (x, out):
            array[...] = self.random(array.shape)

    def pull(self):
        if not self.backs:
            return
        back, reference, shape = self.choose(self.backs)
        cotangent = self.random(shape)
        (found,), (wanted,) = back(cotangent), reference(cotangent)
        np.testing.assert_array_equal(found, wanted)
        found[...] = 99.0
        self.count["pulled"] += 1


def halve(g):
    with tg.no_grad():
        g.__imul__(0.5)


def ran(seeds):
    count = Counter()
    for seed in seeds:
        program = Program(seed)
        try:
            program.run()
        except AssertionError as error:
            error.add_note(f"in program {seed}")
            raise
        count += program.count
    return count


@pytest.mark.parametrize("part", range(4))
def test_random_programs_are_right_or_refused(part):
    count = ran(range(part, PROGRAMS, 4))
    assert count["right"] > 0.2 * count.total(), count
    assert count["MutationError"] > 0.02 * count.total(), count
    assert count["GraphError"] > 0
