"""The tensor: what it holds, what it refuses, how it mixes with NumPy."""

import copy
import operator
import pickle

import numpy as np
import pytest
from tensors import leaf

import tensorgrad as tg


def test_attributes():
    t = tg.Tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    assert type(t.data) is np.ndarray
    assert (t.shape, t.ndim, t.size, t.dtype) == ((2, 3), 2, 6, np.float64)
    assert t.grad is None
    assert not t.requires_grad
    assert t.T.shape == (3, 2)
    assert t.numpy() is t.data
    assert t[1, 2].item() == 6.0
    assert tg.tensor is tg.Tensor


def test_zero_axes_has_an_array_of_its_own():
    t = leaf(2.0)
    assert type(t.data) is np.ndarray
    assert t.data is t.data
    assert (t * 3).data.shape == ()
    assert float(t.detach()) == 2.0
    assert f"{t * 2:.1f}" == "4.0"


def test_data_is_copied():
    x = np.ones(3)
    t = tg.Tensor(x)
    x[0] = 5
    assert t.numpy()[0] == 1


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64, bool])
def test_dtype_follows_numpy(dtype):
    assert tg.Tensor(np.ones(2, dtype=dtype)).dtype == dtype
    assert tg.Tensor([1, 2], dtype=dtype).dtype == dtype


def test_python_scalars_are_weak_and_numpy_scalars_strong():
    t = leaf([1.0, 2.0], np.float32)
    assert (t * 2.0 + 1).dtype == np.float32
    strong = t * np.float64(2)
    assert strong.dtype == np.float64
    strong.sum().backward()
    assert t.grad.dtype == np.float32


@pytest.mark.parametrize("data", [[1, 2], [True, False]])
def test_no_gradient_of_integers(data):
    with pytest.raises(TypeError, match="floating-point dtype"):
        leaf(data)


@pytest.mark.parametrize("data", [[1j], ["a"], [object()]])
def test_only_real_numbers(data):
    with pytest.raises(TypeError, match="expected real numbers"):
        tg.Tensor(data)


def test_repr_tells_what_matters():
    w = leaf([1.0, 2.0], np.float32)
    assert repr(w) == "Tensor([1., 2.], dtype=float32, requires_grad=True)"
    assert repr(w * 2) == "Tensor([2., 4.], dtype=float32, from=multiply)"
    assert repr(tg.Tensor([1, 2])) == "Tensor([1, 2])"


def test_operators_on_either_side():
    t = leaf([2.0, 4.0])
    a = np.array([1.0, 2.0])
    for left, right in [(t, a), (a, t), (t, 3.0), (3.0, t), (t, np.float64(3))]:
        lv = left.numpy() if left is t else left
        rv = right.numpy() if right is t else right
        for op in ("__add__", "__sub__", "__mul__", "__truediv__", "__pow__"):
            method = {
                "__add__": lambda x, y: x + y,
                "__sub__": lambda x, y: x - y,
                "__mul__": lambda x, y: x * y,
                "__truediv__": lambda x, y: x / y,
                "__pow__": lambda x, y: x**y,
            }[op]
            y = method(left, right)
            assert isinstance(y, tg.Tensor)
            assert y.requires_grad
            np.testing.assert_array_equal(y.numpy(), method(lv, rv))
    assert isinstance(np.ones((2, 2)) @ t, tg.Tensor)
    assert (-t).numpy().tolist() == [-2.0, -4.0]
    assert abs(-t).numpy().tolist() == [2.0, 4.0]
    assert (+t) is t


def test_comparisons_are_constant_tensors():
    t = leaf([1.0, 2.0, 3.0])
    mask = t > 1.5
    assert isinstance(mask, tg.Tensor)
    assert mask.dtype == bool
    assert not mask.requires_grad
    assert (t == np.array([1, 0, 3])).numpy().tolist() == [True, False, True]
    assert (t != 1).numpy().tolist() == [False, True, True]
    assert t[mask].shape == (2,)
    assert 2.0 in t


def test_numpy_functions_stay_in_the_graph():
    t = leaf([1.0, 2.0])
    for y in (np.exp(t), np.sum(t), np.concatenate([t, [1.0]]), np.where(t > 1, t, 0)):
        assert isinstance(y, tg.Tensor)
        assert y.requires_grad
    assert np.shape(t) == (2,)


def test_unsupported_numpy_function_names_itself():
    t = leaf([1.0, 2.0])
    with pytest.raises(TypeError, match=r"numpy\.fft\.fft has no rule for Tensors"):
        np.fft.fft(t)
    with pytest.raises(TypeError, match=r"numpy\.roots has no rule for Tensors"):
        np.roots(t)
    with pytest.raises(TypeError, match=r"numpy\.add\.at has no rule"):
        np.add.at(t, 0, 1.0)
    with pytest.raises(TypeError, match=r"numpy\.add\.reduceat has no rule"):
        np.add.reduceat(t, [0])


def test_ufunc_out_is_refused():
    t, a = leaf([1.0, 2.0]), np.ones(2)
    with pytest.raises(TypeError, match="out= is not supported"):
        np.add(a, t, out=a)
    with pytest.raises(TypeError, match="out= is not supported"):
        a += t


def test_array_of_a_tracked_tensor_is_refused():
    t = leaf([1.0, 2.0])
    with pytest.raises(TypeError, match=r"\.detach\(\) or \.numpy\(\)"):
        np.asarray(t)
    with pytest.raises(TypeError, match="tg.stack"):
        np.array([t, t])
    assert np.asarray(t.detach()).tolist() == [1.0, 2.0]


def test_conversions():
    t = tg.Tensor([3])
    assert int(t) == 3
    assert bool(tg.Tensor(1.0))
    assert [10, 20, 30][tg.Tensor(1)] == 20
    with pytest.raises(ValueError, match="ambiguous"):
        bool(tg.Tensor([1, 2]))
    with pytest.raises(ValueError, match="one element"):
        tg.Tensor([1, 2]).item()
    with pytest.raises(TypeError, match="0-d"):
        len(tg.Tensor(1.0))
    with pytest.raises(TypeError, match="no index"):
        [1][tg.Tensor(0.0)]


def test_iteration_is_differentiable_and_ends():
    t = leaf([[1.0, 2.0], [3.0, 4.0]])
    first, second = t
    (first * second).sum().backward()
    assert t.grad.numpy().tolist() == [[3.0, 4.0], [1.0, 2.0]]


def test_detach_shares_and_cuts():
    t = leaf([1.0, 2.0])
    d = t.detach()
    assert d.numpy() is t.numpy()
    assert not d.requires_grad


def test_tensors_are_hashable_by_identity():
    a, b = leaf([1.0]), leaf([1.0])
    assert len({a, b, a}) == 2


def test_requires_grad_can_be_switched_on_leaves_only():
    t = tg.Tensor([1.0])
    t.requires_grad = True
    y = t * 2
    with pytest.raises(tg.GraphError, match="detach"):
        y.requires_grad = False
    t.requires_grad = False
    assert not (t * 2).requires_grad


def test_grad_takes_only_what_fits():
    t = leaf([1.0, 2.0])
    t.grad = [3.0, 4.0]
    assert t.grad.numpy().tolist() == [3.0, 4.0]
    t.grad = None
    with pytest.raises(ValueError, match="expected shape"):
        t.grad = [1.0]


def test_data_takes_only_what_fits():
    t = leaf([1.0, 2.0])
    t.data = np.array([5.0, 6.0])
    t.data -= 1
    assert t.numpy().tolist() == [4.0, 5.0]
    with pytest.raises(ValueError, match="expected shape"):
        t.data = np.ones(3)


class TestInPlace:
    def test_leaf_is_refused_in_the_graph(self):
        t = leaf([1.0, 2.0])
        with pytest.raises(tg.GraphError, match="no_grad"):
            t += 1
        with pytest.raises(tg.GraphError, match="tg.where"):
            t[0] = 1.0

    def test_result_is_rebound(self):
        t = leaf([1.0, 2.0])
        y = z = t * 2
        y += t
        assert z.numpy().tolist() == [2.0, 4.0]
        y.sum().backward()
        assert t.grad.numpy().tolist() == [3.0, 3.0]

    def test_no_grad_writes(self):
        t = leaf([1.0, 2.0])
        before = t.numpy()
        with tg.no_grad():
            t -= 0.5
            t[0] = 9.0
        assert t.numpy() is before
        assert before.tolist() == [9.0, 1.5]

    def test_constants_are_written(self):
        t = tg.Tensor([1.0, 2.0])
        t *= 2
        t[tg.Tensor([True, False])] = tg.Tensor(7.0)
        assert t.numpy().tolist() == [7.0, 4.0]

    def test_tracked_value_into_a_constant_is_refused(self):
        t = tg.Tensor([1.0, 2.0])
        with pytest.raises(tg.GraphError, match="functional|new tensor|tg.where"):
            t[0] = leaf(3.0)


class TestGradMode:
    def test_nesting_and_decorators(self):
        w = leaf([1.0])

        @tg.no_grad()
        def off():
            with tg.enable_grad():
                inner = w * 2
            return inner, w * 2

        inner, outer = off()
        assert inner.requires_grad
        assert not outer.requires_grad
        assert (w * 2).requires_grad

    def test_restored_after_an_exception(self):
        with pytest.raises(ZeroDivisionError), tg.no_grad():
            raise ZeroDivisionError
        assert tg.is_grad_enabled()

    def test_threads_do_not_see_each_other(self):
        from concurrent.futures import ThreadPoolExecutor

        with tg.no_grad(), ThreadPoolExecutor(1) as pool:
            assert pool.submit(tg.is_grad_enabled).result()
        assert tg.is_grad_enabled()

    def test_generators_leave_the_mode_to_their_caller(self):
        import threading

        seen, gate = [], threading.Barrier(2)

        def other():
            with tg.no_grad():
                gate.wait()
                gate.wait()

        thread = threading.Thread(target=other)
        thread.start()
        gate.wait()
        seen.append(tg.is_grad_enabled())
        gate.wait()
        thread.join()
        assert seen == [True]


def test_primitive_arguments_are_checked():
    t = leaf([1.0])
    with pytest.raises(TypeError, match="unexpected argument 'axes'"):
        tg.softmax(t, axes=1)
    with pytest.raises(TypeError, match="missing argument 'b'"):
        tg.add(t)
    with pytest.raises(TypeError, match="'x' twice"):
        tg.exp(t, x=t)
    scale = tg.primitive(lambda x, factor: x * factor)
    scale.vjp(x=lambda g, factor: g * factor)
    with pytest.raises(TypeError, match="no gradient rule for argument 'factor'"):
        scale(t, leaf([0.0]))


def test_arrays_in_arrays_out():
    y = tg.softmax(np.ones((2, 2)))
    assert type(y) is np.ndarray
    assert tg.softmax_cross_entropy([[0.0, 0.0]], [1]) == pytest.approx(np.log(2))


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))]
)
def test_copies_of_leaves_are_leaves_of_their_own(duplicate):
    t = leaf([1.0, 2.0])
    (t * t).sum().backward()
    c = duplicate(t)
    assert c.grad.numpy().tolist() == [2.0, 4.0]
    c.grad = None
    (c * 3).sum().backward()
    assert c.grad.numpy().tolist() == [3.0, 3.0]
    assert t.grad.numpy().tolist() == [2.0, 4.0]
    assert not np.shares_memory(c.numpy(), t.numpy())


def test_graph_tensors_are_not_copied():
    with pytest.raises(tg.GraphError, match="detach"):
        copy.deepcopy(leaf([1.0]) * 2)


@pytest.mark.parametrize("x", [leaf([1.0, 2.0]), leaf(2.0), tg.Tensor([1.0, 2.0])])
@pytest.mark.parametrize(
    ("other", "told"),
    [
        (1j, "complex"),
        (np.array([1j, 2.0]), "dtype complex128"),
        (np.array([1.0, 2.0], dtype=object), "dtype object"),
    ],
)
def test_numbers_that_are_not_real_do_not_enter_through_a_constant(x, other, told):
    for operation in (operator.mul, operator.add, operator.sub, np.multiply):
        for a, b in (x, other), (other, x):
            with pytest.raises(TypeError, match=rf"expected real numbers.*{told}"):
                operation(a, b)


@pytest.mark.parametrize("x", [leaf([1.0, 2.0]), tg.Tensor([1.0, 2.0])])
def test_what_is_no_array_is_no_result(x):
    objects = np.array([1.0, 2.0], dtype=object)
    for a, b in (x, objects), (objects, x):
        with pytest.raises(
            TypeError, match=r"matmul: expected real numbers.*type float"
        ):
            a @ b
    number = tg.primitive(lambda x: 1.0)
    number.vjp(x=lambda g: g)
    with pytest.raises(TypeError, match=r"expected real numbers.*type float"):
        number(x)


def test_masked_arrays_are_refused():
    with pytest.raises(TypeError, match="lose its mask"):
        tg.Tensor(np.ma.masked_array([1.0, 2.0], [True, False]))


def test_tensors_are_final():
    with pytest.raises(TypeError, match="cannot be subclassed"):
        type("Mine", (tg.Tensor,), {})


def test_methods_and_attributes_of_arrays():
    t = leaf([[1.0, 2.0], [3.0, 4.0]])
    a = t.numpy()
    for y, expected in [
        (t.sum(axis=0), a.sum(axis=0)),
        (t.mean(0, keepdims=True), a.mean(0, keepdims=True)),
        (t.std(ddof=1), a.std(ddof=1)),
        (t.reshape(4, order="F"), a.reshape(4, order="F")),
        (t.reshape(-1, 1), a.reshape(-1, 1)),
        (t.transpose(1, 0), a.T),
        (t.mT, a.mT),
        (t.cumsum(axis=1), a.cumsum(axis=1)),
        (t.take([1, 0], axis=0), a.take([1, 0], axis=0)),
        (t.compress([True, False], axis=1), a.compress([True, False], axis=1)),
        (t.clip(1.5, 3.5), a.clip(1.5, 3.5)),
        (t.round(), a.round()),
        (t % 2.0, a % 2.0),
        (7.0 // t, 7.0 // a),
        (t.trace(), a.trace()),
        (t.max(axis=1), a.max(axis=1)),
        (np.multiply.outer(t, [1.0, 2.0]), np.multiply.outer(a, [1.0, 2.0])),
    ]:
        assert isinstance(y, tg.Tensor)
        np.testing.assert_array_equal(y.numpy(), expected)
    assert (t > 1).all().item() is False
    assert t.tolist() == a.tolist()
    assert (t.nbytes, t.itemsize, t.strides) == (32, 8, (16, 8))
    assert ((t > 1) & (t < 4)).numpy().tolist() == [[False, True], [True, False]]


OPERATORS = [
    *("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul"),
    *("and_", "or_", "xor", "lshift", "rshift", "lt", "le", "gt", "ge", "eq", "ne"),
]


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_are_those_of_arrays(name):
    """Between tensors, a tensor and an array, a number; while recorded too."""
    function, a, b = getattr(operator, name), np.array([5, 2]), np.array([1, 3])
    others = [b] if name == "matmul" else [b, 3]
    step = tg.compile(lambda x, y: (function(x, y), function(y, x)), fused=False)
    for y in others:
        expected = function(a, y), function(y, a)
        x, right = tg.Tensor(a), tg.Tensor(y)
        pairs = [(x, y), (x, right), (a, right)]
        for left, other in pairs:
            found = function(left, other), function(other, left)
            for one, of_arrays in zip(found, expected, strict=True):
                np.testing.assert_array_equal(one, of_arrays)
        for _ in range(3):
            for one, of_arrays in zip(step(a, right), expected, strict=True):
                np.testing.assert_array_equal(one, of_arrays)


@pytest.mark.parametrize("name", ["sort", "fill", "put", "resize", "partition"])
def test_methods_that_write_are_refused(name):
    with pytest.raises(TypeError, match=f"Tensor.{name} would write in place"):
        getattr(leaf([1.0]), name)(0)


def test_ufunc_reduce_takes_axis_0():
    t = leaf([[1.0, 2.0], [3.0, 4.0]])
    assert np.add.reduce(t).numpy().tolist() == [4.0, 6.0]
    assert np.maximum.reduce(t, axis=None).item() == 4.0


def test_dlpack_shares_memory():
    t = tg.Tensor([1.0, 2.0])
    shared = np.from_dlpack(t)
    assert np.shares_memory(shared, t.numpy())
    with pytest.raises(BufferError, match="detach"):
        np.from_dlpack(leaf([1.0]))


def test_array_honours_copy():
    t = tg.Tensor([1.0, 2.0])
    assert np.shares_memory(np.asarray(t), t.numpy())
    assert not np.shares_memory(np.array(t, copy=True), t.numpy())
    assert np.asarray(t, copy=False) is not None
    with pytest.raises(ValueError, match="copy"):
        np.asarray(t, dtype=np.float32, copy=False)
