"""The state of an optimizer is what its attributes say, whatever happens to them."""

import copy
import math
import pickle

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from tensors import over

import tensorgrad as tg
from tensorgrad.optim import SGD, AdaGrad, Adam, RMSProp, inverse_time

FORMS = {
    "SGD": (SGD, {}),
    "momentum": (SGD, {"momentum": 0.9}),
    "velocity": (SGD, {"momentum": 0.9, "lr_in_velocity": False}),
    "AdaGrad": (AdaGrad, {}),
    "RMSProp": (RMSProp, {}),
    "Adam": (Adam, {}),
}
every_form = pytest.mark.parametrize("form", FORMS)
SHAPES = [(), (1,), (3,), (2, 3), (0,), (40, 60)]


# The plain loop: one parameter after the other, in NumPy, in the engine's order of
# operations. `w` and `state` are written to in place, so that memory may be shared.


def descent(w, g, state, rate, t, momentum, inside):
    if not momentum:
        w -= g * rate
        return
    v = state[0]
    v *= momentum
    if inside:
        v -= g * rate
        w += v
    else:
        v += g
        w -= v * rate


def adagrad(w, g, state, rate, t):
    state[0] += g * g
    w -= g * rate / (np.sqrt(state[0]) + 1e-7)


def rmsprop(w, g, state, rate, t):
    c = state[0]
    c[...] = c * 0.9 + (g * g) * (1 - 0.9)
    w -= g * rate / (np.sqrt(c) + 1e-7)


def adam(w, g, state, rate, t):
    m, c = state
    m[...] = m * 0.9 + g * (1 - 0.9)
    c[...] = c * 0.999 + (g * g) * (1 - 0.999)
    root = math.sqrt(1 - 0.999**t)
    w -= m * (rate * root / (1 - 0.9**t)) / (np.sqrt(c) + 1e-7 * root)


LOOPS = {"AdaGrad": adagrad, "RMSProp": rmsprop, "Adam": adam}


class Plain:
    """What the optimizer should be: arrays, their state, and numbers."""

    def __init__(self, form, arrays, lr, decay):
        self.form, self.lr, self.decay, self.steps = form, lr, decay, 0
        self.begun = [0] * len(arrays)
        self.momentum = 0.9 if form in ("momentum", "velocity") else 0.0
        self.arrays = arrays
        self.state = [self.zeros(w) for w in arrays]

    @property
    def count(self):
        if self.form in LOOPS:
            return 2 if self.form == "Adam" else 1
        return 1 if self.momentum else 0

    def zeros(self, w):
        return [np.zeros_like(w) for _ in range(self.count)]

    def step(self, gradients):
        rate = self.lr * (1 / (1 + self.decay * self.steps))
        self.steps += 1
        for w, g, state, begun in zip(
            self.arrays, gradients, self.state, self.begun, strict=True
        ):
            t = self.steps - begun
            if self.form in LOOPS:
                LOOPS[self.form](w, g, state, rate, t)
            else:
                inside = self.form != "velocity"
                descent(w, g, state, rate, t, self.momentum, inside)


seeds = st.integers(0, 2**32 - 1)


class State(RuleBasedStateMachine):
    """An optimizer and a plain loop, to which the same is done."""

    @initialize(
        form=st.sampled_from(list(FORMS)),
        count=st.sampled_from([1, 2, 5, 6, 12, 45]),
        decay=st.sampled_from([0.0, 0.01]),
        shared=st.sampled_from(["apart", "one buffer", "overlapping"]),
        seed=seeds,
    )
    def begin(self, form, count, decay, shared, seed):
        self.rng = np.random.default_rng(seed)
        self.dtype = self.rng.choice([np.float32, np.float64])
        ours = [self.array() for _ in range(count)]
        theirs = [w.copy() for w in ours]
        if shared != "apart":
            step = 3 if shared == "one buffer" else 2
            for arrays in (ours, theirs):
                buffer = np.ones(step * count + 3, self.dtype)
                arrays[:] = [buffer[step * i : step * i + 3] for i in range(count)]
        kind, options = FORMS[form]
        self.params = [over(w, requires_grad=True) for w in ours]
        self.optimizer = kind(self.params, 0.1, decay=decay, **options)
        self.plain = Plain(form, theirs, 0.1, decay)
        self.held, self.changes, self.new = [], 0, set()

    def array(self, shape=None):
        if shape is None:
            shape = SHAPES[self.rng.choice(6, p=[0.1, 0.1, 0.4, 0.3, 0.05, 0.05])]
        return np.asarray(self.rng.normal(size=shape), dtype=self.dtype)

    def positive(self, like):
        return np.asarray(np.abs(self.array(like.shape)))

    def pick(self):
        return int(self.rng.integers(len(self.params)))

    @rule(times=st.integers(1, 3))
    def step(self, times):
        for _ in range(times):
            gradients = [self.array(p.shape) for p in self.params]
            for p, g in zip(self.params, gradients, strict=True):
                p.grad = g
            self.settled()
            self.optimizer.step()
            self.plain.step(gradients)

    def settled(self):
        """Let the optimizer see what was changed: two changes at once it may refuse."""
        try:
            self.optimizer.__getstate__()
        except ValueError as error:
            if self.changes < 2 or "state" not in str(error):
                raise
            self.optimizer.state = [[a.copy() for a in s] for s in self.plain.state]
            self.with_state()
            self.optimizer.__getstate__()
            self.held = []
        self.changes, self.new = 0, set()

    def with_state(self):
        """Note that new parameters have got their state: they do not begin afresh."""
        for i in self.new:
            self.plain.begun[i] = 0
        self.new = set()

    # What the attributes are set to.

    @rule(how=st.sampled_from(["list", "tuple", "rows", "in place"]))
    def assign_state(self, how):
        if how in ("rows", "in place"):
            self.settled()
        self.changes += 1
        new = [[self.positive(a) for a in row] for row in self.plain.state]
        self.plain.state = [[a.copy() for a in row] for row in new]
        if how != "in place":
            self.with_state()
        if how == "list":
            self.optimizer.state = new
        elif how == "tuple":
            self.optimizer.state = tuple(map(tuple, new))
        elif how == "rows":
            self.optimizer.state = list(self.optimizer.state)
            self.optimizer.state[:] = new
        else:
            for old, row in zip(self.optimizer.state, new, strict=True):
                for a, b in zip(old, row, strict=True):
                    a[...] = b
            return
        self.held = []
        for i, row in enumerate(new):
            self.held += [(i, j, a) for j, a in enumerate(row)]

    @precondition(lambda self: self.plain.count)
    @rule()
    def assign_one_array(self):
        self.settled()
        i = self.pick()
        j = int(self.rng.integers(len(self.plain.state[i])))
        new = self.positive(self.plain.state[i][j])
        self.plain.state[i][j] = new.copy()
        self.optimizer.state[i][j] = new
        self.held = [h for h in self.held if h[:2] != (i, j)] + [(i, j, new)]

    @precondition(lambda self: self.plain.count)
    @rule()
    def write_to_one_array(self):
        self.settled()
        i = self.pick()
        self.plain.state[i][0][...] = 0.5
        self.optimizer.state[i][0][...] = 0.5

    @rule()
    def assign_data(self):
        i = self.pick()
        new = self.array(self.params[i].shape)
        self.params[i].data = new
        self.plain.arrays[i] = new.copy()

    @rule()
    def write_to_a_parameter(self):
        i = self.pick()
        with tg.no_grad():
            self.params[i][...] = 0.25
        self.plain.arrays[i][...] = 0.25

    @rule(lr=st.sampled_from([0.0, 0.01, 0.3]), decay=st.sampled_from([0.0, 0.1]))
    def assign_rates(self, lr, decay):
        self.optimizer.decay = self.plain.decay = decay
        self.optimizer.lr = self.plain.lr = lr

    @precondition(lambda self: self.plain.form == "momentum")
    @rule(momentum=st.sampled_from([0.0, 0.5]))
    def assign_momentum(self, momentum):
        self.changes += 1
        self.optimizer.momentum = self.plain.momentum = momentum
        if not momentum:
            for i in self.new:
                self.plain.state[i] = []
        for row, w in zip(self.plain.state, self.plain.arrays, strict=True):
            if momentum and not row:
                row.append(np.zeros_like(w))

    # Other parameters.

    @rule(shared=st.booleans())
    def add(self, shared):
        self.changes += 1
        w = self.params[0].numpy() if shared else self.array()
        self.params.append(over(w, requires_grad=True))
        self.plain.arrays.append(self.plain.arrays[0] if shared else w.copy())
        self.optimizer.params.append(self.params[-1])
        self.plain.state.append(self.plain.zeros(w))
        self.plain.begun.append(self.plain.steps)
        self.new.add(len(self.params) - 1)

    @precondition(lambda self: len(self.params) > 1)
    @rule(with_state=st.booleans())
    def remove(self, with_state):
        if with_state:
            self.settled()
        self.changes += 1
        i = self.pick()
        lists = (self.params, self.plain.arrays, self.plain.state, self.plain.begun)
        for values in lists:
            del values[i]
        self.new = {j - (j > i) for j in self.new if j != i}
        del self.optimizer.params[i]
        if with_state:
            self.optimizer.state = list(self.optimizer.state)
            del self.optimizer.state[i]
        self.held = []

    @rule()
    def replace(self):
        self.settled()
        self.changes += 1
        i = self.pick()
        w = self.array()
        self.params[i] = self.optimizer.params[i] = over(w, requires_grad=True)
        self.plain.arrays[i] = w.copy()
        self.plain.state[i] = self.plain.zeros(w)
        self.plain.begun[i] = self.plain.steps
        self.new.add(i)
        self.held = []

    @rule(with_state=st.booleans())
    def reorder(self, with_state):
        self.settled()
        self.changes += 1
        order = self.rng.permutation(len(self.params))
        lists = (self.params, self.plain.arrays, self.plain.state, self.plain.begun)
        for values in lists:
            values[:] = [values[i] for i in order]
        self.optimizer.params = iter(self.params)
        if with_state:
            rows = [self.optimizer.state[i] for i in order]
            self.optimizer.state = (row for row in rows)
        self.settled()
        self.held = []

    # Copies.

    @precondition(lambda self: not self.share())
    @rule(how=st.sampled_from([copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]))
    def copied_with_its_parameters(self, how):
        before = self.params
        old = [p.numpy().copy() for p in before]
        self.settled()
        self.params, self.optimizer = how((self.params, self.optimizer))
        for a, b in zip(self.params, self.optimizer.params, strict=True):
            assert a is b
        self.held = []
        self.step(1)
        for p, w in zip(before, old, strict=True):
            np.testing.assert_array_equal(p.numpy(), w)

    @rule()
    def copied_alone(self):
        self.settled()
        self.optimizer = copy.copy(self.optimizer)

    def share(self):
        arrays = self.plain.arrays
        return any(
            np.shares_memory(a, b) for i, a in enumerate(arrays) for b in arrays[:i]
        )

    @invariant()
    def same_bits(self):
        optimizer, plain = self.optimizer, self.plain
        assert optimizer.steps == plain.steps
        for p, w in zip(self.params, plain.arrays, strict=True):
            assert p.numpy().tobytes() == w.tobytes()

    @rule()
    def same_state(self):
        self.step(1)
        for ours, theirs in zip(self.optimizer.state, self.plain.state, strict=True):
            for a, b in zip(ours, theirs, strict=True):
                assert a.tobytes() == b.tobytes()
        for i, j, a in self.held:
            assert self.optimizer.state[i][j] is a, "what was assigned is not kept"


State.TestCase.settings = settings(
    max_examples=2 * settings().max_examples, stateful_step_count=25
)
TestState = State.TestCase


def params_of(count, shape=(3,)):
    return [over(np.full(shape, i + 1.0), requires_grad=True) for i in range(count)]


def stepped(optimizer):
    for p in optimizer.params:
        p.grad = np.ones(p.shape)
    optimizer.step()


@every_form
@pytest.mark.parametrize("count", [2, 45])
def test_a_pickled_pair_continues_with_the_same_bits(form, count):
    kind, options = FORMS[form]
    model = tg.nn.Sequential(*(tg.nn.Dense(2, 2, rng=i) for i in range(count // 2 + 1)))
    optimizer = kind(model.parameters(), 0.01, decay=0.01, **options)
    x = np.random.default_rng(0).normal(size=(4, 2)).astype(np.float32)

    def train(model, optimizer):
        for _ in range(3):
            optimizer.zero_grad()
            np.tanh(model(x)).sum().backward()
            optimizer.step()
        return b"".join(p.numpy().tobytes() for p in model.parameters())

    train(model, optimizer)
    pair = pickle.dumps((model, optimizer))
    expected = train(model, optimizer)
    assert train(*pickle.loads(pair)) == expected
    assert train(*copy.deepcopy(pickle.loads(pair))) == expected


@pytest.mark.parametrize(
    "lr", [0.5, inverse_time(0.5, 0.1), tg.optim.inverse_time(1.0, 0.0)]
)
def test_schedules_are_pickled(lr):
    optimizer = pickle.loads(pickle.dumps(SGD(params_of(1), lr)))
    stepped(optimizer)
    stepped(optimizer)
    assert optimizer.lr == (lr(1) if callable(lr) else lr)


def test_a_pickle_holds_no_scratch_memory():
    optimizer = Adam(params_of(1, (1000,)))
    assert len(pickle.dumps(optimizer)) < 4 * 8000


@pytest.mark.parametrize("count", [2, 8])
def test_state_of_the_wrong_kind_is_refused(count):
    optimizer = Adam(params_of(count))
    good = optimizer.state
    for wrong, message in [
        (good[:-1], f"expected a list for each of {count} parameters"),
        ([*good[:-1], [np.zeros(3)]], "expected 2 arrays of shape"),
        ([*good[:-1], [np.zeros(3), np.zeros(4)]], "expected 2 arrays of shape"),
        ([*good[:-1], [np.zeros(3), np.zeros(3, "f4")]], "dtype float64 for param"),
        ([*good[:-1], [[0.0] * 3] * 2], "expected 2 arrays of shape"),
        ([good[1], good[0], *good[2:]], "parameter 0 is that of another"),
        ([*good[:-1], [np.zeros(3)] * 2], "two arrays are the same memory"),
        ([*good[:-1], [*map(np.copy, good[0])][:1] + good[0][:1]], "the same memory"),
        ([*good[:-1], [optimizer.params[0].numpy(), np.zeros(3)]], "the same memory"),
    ]:
        optimizer.state = wrong
        before = [p.numpy().copy() for p in optimizer.params]
        with pytest.raises(ValueError, match=message):
            stepped(optimizer)
        for p, w in zip(optimizer.params, before, strict=True):
            np.testing.assert_array_equal(p.numpy(), w)
    optimizer.state = good
    stepped(optimizer)


@pytest.mark.parametrize("wrong", [np.ones(3), tg.Tensor([1.0]), None])
def test_a_parameter_of_the_wrong_kind_is_refused(wrong):
    optimizer = Adam(params_of(2))
    optimizer.params.append(wrong)
    with pytest.raises(TypeError, match="parameter 2 must be a Tensor"):
        optimizer.step()


def test_a_schedule_and_decay_still_exclude_each_other():
    optimizer = SGD(params_of(1), lambda step: 0.1)
    optimizer.decay = 0.1
    with pytest.raises(ValueError, match="either a schedule or decay"):
        stepped(optimizer)


def test_small_parameters_are_joined_again_in_a_copy():
    optimizer = Adam(params_of(8))
    assert optimizer._joined is not None
    optimizer.state = [[a.copy() for a in row] for row in optimizer.state]
    stepped(optimizer)
    assert optimizer._joined is None
    assert copy.deepcopy(optimizer)._joined is not None
    assert pickle.loads(pickle.dumps(optimizer))._joined is not None


class Failing(SGD.__base__):
    """Writes, and fails."""

    def update(self, w, g, state):
        w += 1.0
        raise ArithmeticError


class Lion(tg.optim.Optimizer):
    """As a user writes one: no scratch, numbers of the step, NumPy."""

    buffers = 1

    def __init__(self, params, lr=0.01, *, beta=0.9):
        self.beta = beta
        super().__init__(params, lr)

    def step_numbers(self):
        return 1 - self.beta**self.steps, math.sqrt(self.steps)

    def update(self, w, g, state):
        (m,), (share, root) = state, self.numbers
        m += (1 - self.beta) * (g - m)
        w -= self.lr / self.steps * np.sign(m / share) + 1e-3 * root * m


def by_hand(w, steps):
    m = np.zeros_like(w)
    for t in range(1, steps + 1):
        m += (1 - 0.9) * (2 * w - m)
        change = 0.1 * (1 / (1 + 0.01 * (t - 1))) / t * np.sign(m / (1 - 0.9**t))
        w = w - (change + 1e-3 * math.sqrt(t) * m)
    return w


@pytest.mark.parametrize("count", [2, 8])  # 8 small ones are updated as one
@pytest.mark.parametrize("compiled", [False, True])
def test_an_optimizer_of_the_users(count, compiled):
    params = params_of(count)
    expected = [by_hand(p.numpy().copy(), 7) for p in params]
    optimizer = Lion(params, inverse_time(0.1, 0.01))

    def step():
        optimizer.zero_grad()
        sum((p * p).sum() for p in optimizer.params).backward()
        optimizer.step()

    run = tg.compile(step, fused=False) if compiled else step
    for _ in range(4):
        run()
    assert (optimizer._joined is not None) == (count == 8)
    if not compiled:
        optimizer = pickle.loads(pickle.dumps(optimizer))
    for _ in range(3):
        run()
    assert optimizer.steps == 7
    for p, w in zip(optimizer.params, expected, strict=True):
        np.testing.assert_allclose(p.numpy(), w, rtol=1e-14)


def test_an_optimizer_is_printed_with_its_settings():
    optimizer = Adam(params_of(3), 0.1, decay=0.5)
    assert repr(optimizer) == (
        "Adam(lr=0.1, eps=1e-07, beta1=0.9, beta2=0.999, decay=0.5) of 3 parameters"
    )
    assert repr(SGD(params_of(1), momentum=0.9)).startswith("SGD(lr=1, momentum=0.9")


def test_an_optimizer_without_update_says_what_it_lacks():
    with pytest.raises(NotImplementedError, match=r"no update\(self, w, g, state\)"):
        stepped(tg.optim.Optimizer(params_of(1), 0.1))


def test_a_step_that_fails_is_a_write():
    optimizer = Failing(params_of(2), 0.1)
    loss = (optimizer.params[0] ** 2).sum()
    with pytest.raises(ArithmeticError):
        stepped(optimizer)
    with pytest.raises(tg.MutationError):
        loss.backward()


# In a captured step.


CHANGES = {
    "array": lambda o: o.state[0].__setitem__(0, np.full(3, 0.5)),
    "row": lambda o: o.state.__setitem__(0, [np.full(3, 0.5) for _ in o.state[0]]),
    "list": lambda o: setattr(
        o, "state", [[np.full(3, 0.5) for _ in row] for row in o.state]
    ),
    "in place": lambda o: o.state[0][0].fill(0.5),
    "data": lambda o: setattr(o.params[0], "data", np.full(3, 2.0)),
    "written": lambda o: o.params[0].data.fill(2.0),
    "added": lambda o: o.params.append(over(np.full(3, 2.0), requires_grad=True)),
    "removed": lambda o: o.params.pop(),
    "reordered": lambda o: o.params.reverse(),
    "lr": lambda o: setattr(o, "lr", 0.7),
    "decay": lambda o: setattr(o, "decay", 0.7),
}


@pytest.mark.parametrize("count", [2, 8])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_captured_step_sees_what_changed_or_refuses(change, count):
    def trained(compiled):
        params = params_of(count)
        optimizer = Adam(params, 0.1)

        def step():
            optimizer.zero_grad()
            sum((p * p).sum() for p in optimizer.params).backward()
            optimizer.step()

        run = tg.compile(step, fused=False) if compiled else step
        for _ in range(3):
            run()
        change(optimizer)
        for _ in range(2):
            run()
        return [p.numpy() for p in params], [*map(np.array, optimizer.state)]

    try:
        found = trained(True)
    except tg.CaptureError:
        return
    for ours, theirs in zip(found, trained(False), strict=True):
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_captured_step_goes_on_from_a_state_that_is_loaded():
    class Own(Adam):
        def step_numbers(self):
            return super().step_numbers()

    (p,) = params_of(1)
    optimizer = Own([p], 0.1)

    @tg.compile(fused=False)
    def step():
        optimizer.zero_grad()
        (p * p).sum().backward()
        optimizer.step()

    start, state = p.numpy().copy(), optimizer.state_dict()
    ends = []
    for _ in range(3):
        p.numpy()[...] = start
        optimizer.load_state_dict(state)
        for _ in range(4):
            step()
        ends.append(p.numpy().copy())
    assert all((end == ends[0]).all() for end in ends)
    assert optimizer.steps == 4
