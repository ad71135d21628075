"""Writes to what backward needs: through any alias, at any time, from any thread."""

import ctypes
import gc
import subprocess
import sys
import threading
import weakref
from functools import partial

import numpy as np
import pytest
from tensors import leaf, over

import tensorgrad as tg
from tensorgrad.core import backward, writes


class Interface:
    """Memory as another library shows it."""

    def __init__(self, array):
        self.__array_interface__ = array.__array_interface__


def by_pointer(array):
    pointer = array.ctypes.data_as(ctypes.POINTER(ctypes.c_double))
    return np.ctypeslib.as_array(pointer, array.shape)


ALIASES = {
    "itself": lambda a: a,
    "view": lambda a: a[1:],
    "of a view": lambda a: a.reshape(2, 3).T[1:],
    "as_strided": lambda a: np.lib.stride_tricks.as_strided(a, (2, 2), (16, 8)),
    "of as_strided": lambda a: np.lib.stride_tricks.as_strided(a, (4,), (8,))[1:],
    "windows": lambda a: np.lib.stride_tricks.sliding_window_view(a, 2, writeable=True),
    "memoryview": lambda a: np.asarray(memoryview(a)),
    "of a memoryview": lambda a: np.asarray(memoryview(a)[1:]),
    "frombuffer": lambda a: np.frombuffer(a),
    "frombuffer of bytes": lambda a: np.frombuffer(memoryview(a).cast("B")),
    "pointer": by_pointer,
    "interface": lambda a: np.asarray(Interface(a)),
    "ctypes": lambda a: np.frombuffer((ctypes.c_double * 6).from_buffer(a)),
}
if np.from_dlpack(np.ones(1)).flags.writeable:  # As of NumPy 2.1.
    ALIASES["dlpack"] = np.from_dlpack
WRITES = {
    "operator": lambda t: t.__imul__(2.0),
    "item": lambda t: t.__setitem__(..., 7.0),
    "optimizer": lambda t: stepped(t),
}
every_alias = pytest.mark.parametrize("alias", ALIASES.values(), ids=ALIASES)


def stepped(tensor):
    tensor.requires_grad = True
    tensor.grad = np.ones(tensor.shape)
    tg.optim.SGD([tensor], 0.5).step()


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@every_alias
def test_a_write_of_the_engine_is_seen_through_any_alias(alias, write):
    array = np.arange(1.0, 7.0)
    w = leaf(np.zeros(6))
    w.data = array
    loss = (w * w).sum()
    write(over(alias(array)))  # whose tensor is gone at once
    gc.collect()
    with pytest.raises(tg.MutationError, match="multiply"):
        loss.backward()


@every_alias
def test_a_write_to_the_array_is_seen_by_what_saved_an_alias(alias):
    array = np.arange(1.0, 7.0)
    shown = over(alias(array))
    x = leaf(np.ones(shown.shape))
    loss = (x * shown).sum()
    owner = over(array)
    owner += 1.0
    with pytest.raises(tg.MutationError, match="multiply"):
        loss.backward()


@every_alias
def test_a_write_to_other_memory_is_not_blamed(alias):
    array, other = np.arange(1.0, 7.0), np.arange(1.0, 7.0)
    w = over(alias(array))
    w.requires_grad = True
    loss = (w * w).sum()
    written = over(alias(other))
    written += 1.0
    loss.backward()
    np.testing.assert_array_equal(w.grad.numpy(), 2 * w.numpy())


@every_alias
def test_a_write_before_the_forward_is_not_blamed(alias):
    array = np.arange(1.0, 7.0)
    written = over(alias(array))
    written += 1.0
    w = leaf(np.zeros(6))
    w.data = array
    (w * w).sum().backward()
    np.testing.assert_array_equal(w.grad.numpy(), 2 * array)


def test_memory_without_an_owner_that_is_used_again_is_not_blamed():
    buffer = bytearray(48)
    for _ in range(3):
        written = over(np.frombuffer(buffer))
        written += 1.0
        w = leaf(np.zeros(6))
        w.data = np.frombuffer(buffer)
        (w * w).sum().backward()
        np.testing.assert_array_equal(w.grad.numpy(), 2 * w.numpy())


def test_writes_without_an_owner_are_bounded_and_still_seen(monkeypatch):
    monkeypatch.setattr(writes, "_elsewhere", {})
    buffers = [bytearray(8) for _ in range(3 * writes._MANY)]
    tensors = [over(np.frombuffer(b)) for b in buffers]
    losses = []
    for t in tensors:
        t.requires_grad = True
        losses.append(t * t)
        with tg.no_grad():
            t += 1.0
    assert len(writes._elsewhere) <= writes._MANY
    for loss in losses:
        with pytest.raises(tg.MutationError):
            loss.backward([1.0])
    w = leaf([1.0, 2.0])
    loss = w * w  # a young graph is not blamed for what was written before, nor
    for b in buffers[: writes._MANY // 4]:  # for the memory of others
        t = over(np.frombuffer(b))
        t += 1.0
    loss.backward([1.0, 1.0])


@every_alias
def test_debug_catches_raw_writes_through_any_alias(alias):
    array = np.arange(1.0, 7.0)
    w = leaf(np.zeros(6))
    w.data = array
    with tg.debug():
        loss = (w * w).sum()
    alias(array)[...] = 9.0
    with pytest.raises(tg.MutationError, match="through NumPy"):
        loss.backward()


def divided_by_zero(w):
    w /= tg.Tensor([0.0, 1.0])


def assigned_what_fails(w):
    w[np.array([0, 1])] = Failing()


@pytest.mark.parametrize("write", [divided_by_zero, assigned_what_fails])
def test_a_write_that_fails_halfway_is_seen(write):
    w = leaf([1.0, 2.0])
    loss = (w * w).sum()
    with tg.no_grad(), np.errstate(all="raise"), pytest.raises(ArithmeticError):
        write(w)
    with pytest.raises(tg.MutationError):
        loss.backward()


class Failing:
    def __array__(self, dtype=None, copy=None):
        raise ArithmeticError


def test_a_write_is_seen_where_no_code_of_the_user_runs(monkeypatch):
    # Elsewhere in these tests it does, and then each node is checked once more.
    monkeypatch.setattr(backward, "users_code_may_run", lambda: False)
    monkeypatch.setattr(backward, "are_fingerprinted", lambda: False)
    w = leaf([1.0, 2.0])
    loss = (w * w).sum()
    with tg.no_grad():
        w += 1.0
    with pytest.raises(tg.MutationError):
        loss.backward()


# In the middle of a walk.


def test_a_parameter_written_by_a_hook_is_seen():
    w = leaf([2.0, 3.0])
    h = w * w
    y = h * 5.0

    def hook(g):
        with tg.no_grad():
            w[1] = 100.0

    y.register_hook(hook)
    with pytest.raises(tg.MutationError, match=r"multiply.*an item assignment"):
        y.sum().backward()
    assert w.grad is None


def test_a_raw_write_by_a_hook_is_seen_in_debug_mode():
    w = leaf([2.0, 3.0])
    with tg.debug():
        y = w * w * 5.0
    y.register_hook(lambda g: w.numpy().fill(0.0))
    with pytest.raises(tg.MutationError, match="through NumPy"):
        y.sum().backward()


def test_an_optimizer_step_in_a_hook_is_seen_where_it_matters():
    w, v = leaf([2.0, 3.0]), leaf([1.0, 1.0])
    optimizer = tg.optim.SGD([v], 0.1)
    v.grad = [1.0, 1.0]
    h = w * w
    h.register_hook(lambda g: optimizer.step())
    h.sum().backward()  # w is untouched
    np.testing.assert_array_equal(w.grad.numpy(), [4.0, 6.0])
    h = w * v * w
    h.register_hook(lambda g: optimizer.step())
    with pytest.raises(tg.MutationError):
        h.sum().backward()


def test_a_backward_in_a_hook_on_a_shared_graph():
    x = leaf([2.0, 3.0])
    shared = x * x
    top = shared * 2.0
    other = (shared * 10.0).sum()
    top.register_hook(lambda g: other.backward())
    with pytest.raises(tg.GraphError, match="freed"):
        top.sum().backward()


def test_a_backward_in_a_hook_that_retains_the_shared_graph():
    x = leaf([2.0, 3.0])
    shared = x * x
    top, other = shared * 2.0, (shared * 10.0).sum()
    top.register_hook(lambda g: other.backward(retain_graph=True))
    top.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), 24 * x.numpy())


def test_a_backward_in_a_hook_on_its_own_graph():
    x = leaf([2.0, 3.0])
    y = x * x
    loss = y.sum()
    calls = []

    def again(g):
        if not calls:
            calls.append(1)
            loss.backward(retain_graph=True)

    y.register_hook(again)
    loss.backward(retain_graph=True)
    np.testing.assert_array_equal(x.grad.numpy(), 4 * x.numpy())


def test_a_rule_of_the_user_that_writes_is_seen():
    w = leaf([2.0, 3.0])

    @tg.primitive
    def twice(x):
        return 2 * x

    def rule(g):
        with tg.no_grad():
            w.__imul__(2.0)
        return 2 * g

    twice.vjp(x=rule)
    with pytest.raises(tg.MutationError):
        twice(w * w).sum().backward()


# Gradients and what hooks are given are nobody else's.


def test_a_hook_may_write_to_its_gradient():
    a, b = leaf([1.0, 1.0]), leaf([1.0, 1.0])
    left, right = a * 1.0, b * 1.0

    def hook(g):
        g *= 10.0

    left.register_hook(hook)
    (left + right).sum().backward()
    np.testing.assert_array_equal(a.grad.numpy(), [10.0, 10.0])
    np.testing.assert_array_equal(b.grad.numpy(), [1.0, 1.0])


@pytest.mark.parametrize("on", ["leaf", "result"])
def test_a_gradient_kept_by_a_hook_is_not_the_one_in_grad(on):
    x = leaf([1.0, 2.0])
    y = x * 3.0
    kept = []
    (x if on == "leaf" else y).register_hook(kept.append)
    y.retain_grad()
    y.backward([1.0, 1.0])
    kept[0].numpy()[...] = 99.0
    np.testing.assert_array_equal(x.grad.numpy(), [3.0, 3.0])
    np.testing.assert_array_equal(y.grad.numpy(), [1.0, 1.0])


def test_a_gradient_returned_by_a_hook_is_copied():
    x, constant = leaf([1.0, 2.0]), tg.Tensor([5.0, 5.0])
    x.register_hook(lambda g: constant)
    (x * 3.0).sum().backward()
    x.grad.numpy()[...] = 0.0
    assert constant.numpy().tolist() == [5.0, 5.0]


def test_a_hook_that_writes_to_a_recorded_gradient_is_refused():
    x = leaf([1.0, 2.0])
    y = x * x

    def hook(g):
        with tg.no_grad():
            g *= 2.0

    y.register_hook(hook)
    with pytest.raises(tg.GraphError, match="return a new tensor"):
        (y * y).sum().backward(create_graph=True)


def pair():
    return leaf(np.ones((2, 2))), leaf(np.ones(4))


def sums_of_views():
    a, b = pair()
    (a.reshape(4) + b.reshape(4)).backward(np.ones(4))
    return [a, b]


def a_broadcast_sum():
    x = leaf(np.ones(3))
    x.sum().backward()
    return [x]


def a_checkpoint():
    a, b = leaf(np.ones(3)), leaf(np.ones(3))
    tg.checkpoint(lambda a, b: a + b)(a, b).backward(np.ones(3))
    return [a, b]


def a_cached_rule():
    cache = {}

    @tg.primitive
    def both(a, b):
        return a + b

    def rule(g):
        return cache.setdefault("g", g * 1.0)

    both.vjp(a=rule, b=rule)
    a, b = leaf(np.ones(3)), leaf(np.ones(3))
    both(a, b).backward(np.ones(3))
    return [a, b]


def several_outputs():
    @tg.primitive(multiple=True)
    def copies(a, b):
        return a * 1.0, b * 1.0

    copies.vjp(a=lambda g: g[0], b=lambda g: g[0])
    a, b = leaf(np.ones(3)), leaf(np.ones(3))
    copies(a, b)[0].backward(np.ones(3))
    return [a, b]


def joined():
    a, b = leaf(np.ones(3)), leaf(np.ones(3))
    tg.concatenate([a, b]).backward(np.ones(6))
    return [a, b]


@pytest.mark.parametrize(
    "leaves",
    [
        sums_of_views,
        a_broadcast_sum,
        a_checkpoint,
        a_cached_rule,
        several_outputs,
        joined,
    ],
)
def test_gradients_are_writable_and_share_no_memory(leaves):
    tensors = leaves()
    for t in tensors:
        t.grad.numpy()[...] = 7.0  # a view of a broadcast sum would be read-only
    arrays = [x for t in tensors for x in (t.grad.numpy(), t.numpy())]
    for i, a in enumerate(arrays):
        assert not any(np.shares_memory(a, b) for b in arrays[i + 1 :])


# What the transforms hand out.


@pytest.mark.parametrize("of", ["array", "tensor"])
def test_nothing_given_to_vjp_or_got_from_it_changes_its_pass_back(of):
    made = np.array if of == "array" else tg.Tensor
    x, w = made([1.0, 2.0]), made([3.0, 4.0])

    def f(x, w):
        y = np.exp(x) * w
        return (x, y), {"aux": y, "raw": y.numpy(), "arguments": [x, w]}

    (same, out), back, aux = tg.vjp(f, x, w, has_aux=True)
    cotangent = np.ones(2), np.array([1.0, 10.0])
    expected = [plain(g).copy() for g in back(cotangent)]
    given = [x, w, same, out, aux["aux"], aux["raw"], *aux["arguments"]]
    given += [*cotangent, *back(cotangent)]
    for array in given:
        array = plain(array)
        before = array.copy()
        array[...] = 77.0
        array_is_cotangent = any(array is c for c in cotangent)
        if array_is_cotangent:
            array[...] = before
        for g, e in zip(back(cotangent), expected, strict=True):
            np.testing.assert_array_equal(plain(g), e)


def plain(x):
    return x.numpy() if isinstance(x, tg.Tensor) else x


def test_value_and_grad_hands_out_nothing_of_its_gradient():
    x = np.array([1.0, 2.0])
    (value, aux), g = tg.value_and_grad(
        lambda t: (np.sum(t * t), [t, t * t]), has_aux=True
    )(x)
    assert value == 5.0
    assert not any(np.shares_memory(g, a) for a in (x, *aux))


# Checkpoints.


def test_a_checkpointed_function_may_return_its_argument():
    x = leaf([2.0, 3.0])
    h = x * x
    y = tg.checkpoint(lambda t: t)(h)
    (y * y + h).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 4 * x.numpy() ** 3 + 2 * x.numpy())


def test_a_checkpointed_function_may_return_a_tensor_from_outside():
    x = leaf([2.0, 3.0])
    h = x * x
    y = tg.checkpoint(lambda t: h)(x)
    (y * y + h).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 4 * x.numpy() ** 3 + 2 * x.numpy())


@pytest.mark.parametrize("insensitive", [False, True])
def test_a_parameter_of_a_checkpoint_that_was_updated_is_refused(insensitive):
    w, x = leaf([3.0, 4.0]), leaf([0.0, 0.0] if insensitive else [1.0, 2.0])
    y = tg.checkpoint(lambda t: t * w)(x).sum()
    with tg.no_grad():
        w += 1.0
    with pytest.raises(tg.MutationError, match=r"checkpoint.*an in-place \+="):
        y.backward()


def test_a_raw_write_before_a_checkpoint_calls_again_is_refused():
    w, x = leaf([3.0, 4.0]), leaf([0.0, 0.0])
    y = tg.checkpoint(lambda t: t * w)(x).sum()
    w.numpy()[0] = 9.0
    with pytest.raises(tg.GraphError, match="computed another value"):
        y.backward()


def test_a_mask_drawn_anew_that_does_not_show_in_the_value_is_refused():
    rng = np.random.default_rng(0)
    x = leaf(np.zeros(50))
    y = tg.checkpoint(lambda t: t * rng.normal(size=50))(x).sum()
    with pytest.raises(tg.GraphError, match="computed another value"):
        y.backward()


def test_a_parameter_replaced_before_a_checkpoint_calls_again_is_refused():
    held = {"w": leaf([3.0, 4.0])}
    y = tg.checkpoint(lambda t: t * held["w"])(leaf([1.0, 1.0])).sum()
    held["w"] = leaf([3.0, 4.0])
    with pytest.raises(tg.GraphError, match="computed another value"):
        y.backward()


def test_a_checkpoint_whose_function_writes_in_mid_walk_is_seen():
    w, x = leaf([2.0, 3.0]), leaf([1.0, 1.0])

    def block(t):
        with tg.no_grad():
            w.__imul__(1.0)  # the same bits, so that the second call is like the first
        return t * 2.0

    y = tg.checkpoint(block)(w * w * x)
    with pytest.raises(tg.MutationError, match="multiply"):
        y.sum().backward()


def test_checkpoints_nest():
    w, x = leaf([2.0, 3.0]), leaf([1.0, 2.0])
    inner = tg.checkpoint(lambda t: np.exp(t) * w)
    tg.checkpoint(lambda t: inner(t * 2.0) * t)(x).sum().backward()
    e = np.exp(2 * x.numpy())
    np.testing.assert_allclose(x.grad.numpy(), w.numpy() * e * (1 + 2 * x.numpy()))
    np.testing.assert_allclose(w.grad.numpy(), e * x.numpy())


@pytest.mark.parametrize("create_graph", [False, True])
def test_hooks_of_what_a_checkpoint_uses_are_called_once(create_graph):
    x, w = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    h = x * 1.0
    seen = []
    for tensor in (x, w, h):
        tensor.register_hook(lambda g: g * 2.0)
        tensor.register_hook(lambda g: seen.append(g))
    y = tg.checkpoint(lambda t: t * w)(h)
    (y + h).sum().backward(create_graph=create_graph)
    assert len(seen) == 3
    np.testing.assert_array_equal(w.grad.numpy(), 2 * x.numpy())
    np.testing.assert_array_equal(x.grad.numpy(), 4 * (w.numpy() + 1))


# No cycle keeps a graph alive.


def with_checkpoint(x):
    return tg.checkpoint(lambda t: np.exp(t) * x)(x * 2).sum()


def with_hook(x):
    y = x * x
    y.register_hook(lambda g: g * 2)
    return y.sum()


def with_retain_grad(x):
    y = x * x
    y.retain_grad()
    return y.sum()


def with_several_outputs(x):
    whole, part = np.modf(x * x)
    return (whole * part).sum()


def with_transform_inside(x):
    return tg.grad(lambda t: np.sum(t * t * x))(x).sum()


GRAPHS = [
    with_checkpoint,
    with_hook,
    with_retain_grad,
    with_several_outputs,
    with_transform_inside,
    lambda x: (np.exp(x) * x).sum(),
    lambda x: tg.checkpoint(lambda t: t)(x * x).sum(),
    lambda x: tg.concatenate([x * 2, x]).sum(),
]


@pytest.mark.parametrize("use", ["dropped", "backward", "create_graph"])
@pytest.mark.parametrize("made", GRAPHS)
def test_a_graph_goes_with_its_last_reference(made, use):
    gc.collect()
    gc.disable()
    try:
        x = leaf([0.5, 1.5])
        y = made(x)
        nodes = [weakref.ref(y.node), *map(weakref.ref, y.node.parents)]
        if use == "backward":
            y.backward()
        elif use == "create_graph":
            y.backward(create_graph=True)
            (x.grad * x).sum().backward(retain_graph=True)
        array = weakref.ref(x.numpy())
        del y, x
        assert [n() for n in nodes] == [None] * len(nodes)
        assert array() is None
    finally:
        gc.enable()


def test_the_closures_of_vjp_leave_no_cycle():
    gc.collect()
    gc.disable()
    try:
        w = leaf([1.0, 2.0])
        out, back = tg.vjp(np.exp, np.array([1.0, 2.0]))
        _, outer = tg.vjp(partial(np.multiply, w), tg.Tensor([1.0, 2.0]))
        dead = [weakref.ref(back), weakref.ref(outer), weakref.ref(w)]
        back(out)
        outer(out)
        del back, outer, w, out, _
        assert [d() for d in dead] == [None] * 3
    finally:
        gc.enable()


def test_a_checkpoint_frees_its_arguments_in_backward():
    x = leaf(np.ones(3))
    inner = x * 2
    array = weakref.ref(inner.numpy())
    y = tg.checkpoint(np.exp)(inner).sum()
    del inner
    assert array() is not None
    y.backward()
    assert array() is None


# Threads.


def in_threads(count, work):
    errors = []

    def run(k):
        try:
            work(k)
        except BaseException as error:
            errors.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=run, args=(k,)) for k in range(count)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    finally:
        sys.setswitchinterval(interval)
    if errors:
        raise errors[0]


def test_no_write_is_missed_while_other_threads_write():
    def work(k):
        for i in range(300):
            w = leaf([1.0, float(k)])
            loss = w * w
            if i % 2:
                with tg.no_grad():
                    w += 1.0
                with pytest.raises(tg.MutationError):
                    loss.backward([1.0, 1.0])
            else:
                loss.backward([1.0, 1.0])
                assert w.grad.numpy().tolist() == [2.0, 2.0 * k]

    in_threads(6, work)


class Interrupted:
    """A clock: before its first time is made use of, another thread stamps."""

    def __init__(self, clock):
        self.clock = clock
        self.other = threading.Thread(target=writes.stamp, args=((), ""))

    def __next__(self):
        time = next(self.clock)
        if self.other.ident is None:
            self.other.start()
            self.other.join(0.1)
        return time


def test_the_last_stamp_is_that_of_the_last_write(monkeypatch):
    clock = Interrupted(writes.clock)
    monkeypatch.setattr(writes, "clock", clock)
    writes.stamp((), "")
    clock.other.join()
    assert writes._last_stamp == next(clock) - 1


def test_debug_mode_belongs_to_its_thread():
    inside, done = threading.Event(), threading.Event()
    found = []

    def other():
        inside.wait()
        w = leaf([1.0, 2.0])
        loss = (w * w).sum()
        w.numpy()[0] = 5.0
        loss.backward()
        found.append(w.grad.numpy().tolist())
        done.set()

    thread = threading.Thread(target=other)
    thread.start()
    with tg.debug():
        inside.set()
        assert done.wait(10)
        w = leaf([1.0, 2.0])
        loss = (w * w).sum()
        w.numpy()[0] = 5.0
        with pytest.raises(tg.MutationError):
            loss.backward()
    thread.join()
    assert found == [[10.0, 4.0]]


def test_debug_modes_of_threads_overlap_in_any_order():
    def work(k):
        for _ in range(50):
            with tg.debug():
                w = leaf([1.0, 2.0])
                loss = (w * w).sum()
            w.numpy()[0] = 5.0
            with pytest.raises(tg.MutationError):
                loss.backward()
            w = leaf([1.0, 2.0])
            loss = (w * w).sum()
            w.numpy()[0] = 5.0
            loss.backward()

    in_threads(4, work)


def test_small_relus_of_many_shapes_in_threads():
    def work(k):
        rng = np.random.default_rng(k)
        for _ in range(400):
            x = rng.normal(size=rng.integers(1, 60)).astype(
                rng.choice([np.float32, np.float64])
            )
            t = leaf(x)
            y = tg.relu(t)
            np.testing.assert_array_equal(y.numpy(), np.maximum(x, 0))
            assert y.dtype == x.dtype

    in_threads(4, work)


def test_the_rules_of_the_package_are_not_taken_for_the_users():
    run = "import tensorgrad as tg; from tensorgrad.core import hooks; "
    run += "assert not hooks.users_code_may_run()"
    subprocess.run([sys.executable, "-c", run], check=True)
