"""Functions that rearrange, join, split, pad and repeat.

All of them are linear, up to constants. Their gradients are compared with the transpose
of the matrix that NumPy's own function stands for, column by column, exactly: all
numbers are small integers.
"""

import numpy as np
import pytest
from derivatives import gradients
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, valid_tuple_axes
from tensors import as_tuple, whole_numbers

import tensorgrad as tg
from tensorgrad.core.backward import interior
from tensorgrad.core.tensor import wrap
from tensorgrad.ops.shapes.creation import astype, full_like
from tensorgrad.ops.shapes.joining import array, block, join
from tensorgrad.ops.shapes.padding import pad
from tensorgrad.ops.shapes.rearrange import roll
from tensorgrad.ops.shapes.shape import flatten, ravel, reshape
from tensorgrad.ops.shapes.splitting import cut, unstack
from tensorgrad.testing.calls import LAYOUTS, lay_out

TENSOR = tg.Tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], requires_grad=True)


def transposed(function, xs, vs):
    """Return the gradients of <vs, function(xs)> from NumPy's function alone."""
    origin = as_tuple(function(*map(np.zeros_like, xs)))
    found = []
    for k, x in enumerate(xs):
        g = np.zeros(x.shape)
        for at in np.ndindex(x.shape):
            units = [np.zeros_like(z) for z in xs]
            units[k][at] = 1
            moved = as_tuple(function(*units))
            g[at] = sum(
                np.sum(v * (m - o)) for v, m, o in zip(vs, moved, origin, strict=True)
            )
        found.append(g)
    return found


def check(function, *xs, seed=0):
    """Compare values and gradients of a function of arrays with NumPy's."""
    expected = as_tuple(function(*xs))
    found = as_tuple(function(*map(tg.Tensor, xs)))
    assert len(found) == len(expected)
    for f, e in zip(found, expected, strict=True):
        assert type(f) is tg.Tensor
        np.testing.assert_array_equal(f.numpy(), e)
        assert f.dtype == e.dtype
    rng = np.random.default_rng(seed)
    vs = [whole_numbers(rng, e.shape) for e in expected]
    _, gs = gradients(function, xs, vs)
    for g, e in zip(gs, transposed(function, xs, vs), strict=True):
        np.testing.assert_array_equal(g.numpy(), e)
        assert not any(np.shares_memory(g.numpy(), o) for o in [*xs, *vs])


def test_a_planted_wrong_rule_is_caught():
    right = roll.rules[0][0]
    x = np.arange(5.0)
    check(lambda a: np.roll(a, 1), x)
    try:
        roll.vjp(a=lambda g, shift: np.roll(g, shift))
        with pytest.raises(AssertionError):
            check(lambda a: np.roll(a, 1), x)
    finally:
        roll.vjp(a=right)
    check(lambda a: np.roll(a, 1), x)


@st.composite
def values(draw, **kwargs):
    """Draw an array of some shape and memory layout."""
    shape = draw(array_shapes(**{"min_dims": 0, "max_dims": 3, "max_side": 3} | kwargs))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return lay_out(whole_numbers(rng, shape), draw(st.sampled_from(LAYOUTS)))


def axis_of(x):
    return st.integers(-x.ndim, x.ndim - 1)


@st.composite
def one_array(draw, name):
    """Draw arguments for a function of one array."""
    low = {"min_dims": 1} if name in NEEDS_AXIS else {}
    low |= {"min_dims": 2} if name in NEEDS_AXES else {}
    x = draw(values(min_side=draw(st.sampled_from([0, 1])), **low))
    return x, ARGUMENTS[name](draw, x)


def _axes(draw, x):
    return draw(st.none() | valid_tuple_axes(x.ndim, min_size=1) | axis_of(x))


def _moves(draw, x):
    count = draw(st.integers(1, x.ndim))
    axes = st.permutations(range(-x.ndim, 0))
    return {
        "source": draw(axes)[:count],
        "destination": [i + x.ndim for i in draw(axes)[:count]],
    }


def _signed_order(draw, x):
    order = draw(st.permutations(range(x.ndim)))
    return {"axes": tuple(i - x.ndim * draw(st.booleans()) for i in order)}


def _repeats(draw, x):
    axis = draw(st.none() | axis_of(x))
    n = x.size if axis is None else x.shape[axis]
    each = st.lists(st.integers(0, 2), min_size=n, max_size=n)
    return {"repeats": draw(st.integers(0, 3) | each), "axis": axis}


def _rolls(draw, x):
    if draw(st.booleans()):
        return {"shift": draw(st.integers(-7, 7)), "axis": None}
    axes = draw(st.lists(axis_of(x), min_size=1, max_size=3))
    return {"shift": tuple(draw(st.integers(-7, 7)) for _ in axes), "axis": tuple(axes)}


ARGUMENTS = {
    "ravel": lambda draw, x: {"order": draw(st.sampled_from("CFAK"))},
    "transpose": _signed_order,
    "swapaxes": lambda draw, x: {"axis1": draw(axis_of(x)), "axis2": draw(axis_of(x))},
    "moveaxis": _moves,
    "rollaxis": lambda draw, x: {
        "axis": draw(axis_of(x)),
        "start": draw(st.integers(-x.ndim, x.ndim)),
    },
    "expand_dims": lambda draw, x: {"axis": (draw(st.integers(-x.ndim - 1, -1)), 0)},
    "flip": lambda draw, x: {"axis": _axes(draw, x)},
    "rot90": lambda draw, x: {"k": draw(st.integers(-5, 5)), "axes": (-1, 0)},
    "roll": _rolls,
    "tile": lambda draw, x: {
        "reps": draw(st.lists(st.integers(0, 2), max_size=4) | st.integers(0, 2))
    },
    "repeat": _repeats,
    "resize": lambda draw, x: {"new_shape": draw(array_shapes(min_side=0, max_side=4))},
    "diagonal": lambda draw, x: {
        "offset": draw(st.integers(-3, 3)),
        "axis1": -1,
        "axis2": 0,
    },
    "diagflat": lambda draw, x: {"k": draw(st.integers(-2, 2))},
    "tril": lambda draw, x: {"k": draw(st.integers(-3, 3))},
    "triu": lambda draw, x: {"k": draw(st.integers(-3, 3))},
    "fliplr": lambda draw, x: {},
    "flipud": lambda draw, x: {},
    "atleast_1d": lambda draw, x: {},
    "atleast_2d": lambda draw, x: {},
    "atleast_3d": lambda draw, x: {},
    "squeeze": lambda draw, x: {},
    "matrix_transpose": lambda draw, x: {},
}
NEEDS_AXIS = {"swapaxes", "moveaxis", "rollaxis", "flip", "roll", "repeat", "flipud"}
NEEDS_AXIS |= {"tril", "triu"}
NEEDS_AXES = {"rot90", "diagonal", "fliplr", "matrix_transpose"}


@pytest.mark.parametrize("name", ARGUMENTS)
@given(data=st.data())
def test_one_array(name, data):
    x, kwargs = data.draw(one_array(name))
    check(lambda a: getattr(np, name)(a, **kwargs), x)


class TestReshape:
    @given(values(min_side=1), st.data())
    def test_orders(self, x, data):
        order = data.draw(st.sampled_from("CFA"))
        lengths = [n for n in range(1, x.size + 1) if x.size % n == 0]
        n = data.draw(st.sampled_from(lengths))
        check(lambda a: np.reshape(a, (n, -1), order=order), x)

    @pytest.mark.parametrize("order", "CFAK")
    def test_orders_follow_the_layout_of_the_value(self, order):
        base = np.arange(24.0).reshape(2, 3, 4)
        for x in (base, base.T, base.transpose(1, 0, 2)[::-1], base[:, ::2].T):
            t = wrap(x, None)
            np.testing.assert_array_equal(np.ravel(t, order).numpy(), x.ravel(order))
            np.testing.assert_array_equal(flatten(t, order).numpy(), x.flatten(order))
        wide = np.broadcast_to(base[0], (2, 3, 4))
        for x in (base[:, :1], np.ones((0, 3)), wide, wide.T):
            y = ravel(wrap(x, None), order)
            np.testing.assert_array_equal(y.numpy(), x.ravel(order))

    def test_copy(self):
        t = tg.Tensor(np.arange(6.0))
        assert np.shares_memory(reshape(t, (2, 3)).numpy(), t.numpy())
        assert not np.shares_memory(reshape(t, (2, 3), copy=True).numpy(), t.numpy())
        assert not np.shares_memory(flatten(t).numpy(), t.numpy())

    @pytest.mark.skipif(
        np.lib.NumpyVersion(np.__version__) < "2.1.0", reason="copy= is of NumPy 2.1"
    )
    def test_copy_false_raises_where_a_copy_is_needed(self):
        t = tg.Tensor(np.arange(6.0).reshape(2, 3))
        assert np.shares_memory(reshape(t, 6, copy=False).numpy(), t.numpy())
        with pytest.raises(ValueError, match="copy"):
            np.reshape(t.T, 6, copy=False)

    def test_errors_are_numpys(self):
        with pytest.raises(ValueError, match="cannot reshape"):
            TENSOR.reshape(4, 2)
        with pytest.raises(ValueError, match="order"):
            np.reshape(TENSOR, 6, order="X")
        with pytest.raises(np.exceptions.AxisError):
            np.moveaxis(TENSOR, 0, 2)
        with pytest.raises(np.exceptions.AxisError):
            np.rollaxis(TENSOR, 2)
        for function in (np.fliplr, np.matrix_transpose, np.vsplit):
            with pytest.raises(ValueError, match=r"two axes|or more axes"):
                function(*(TENSOR[0], 1)[: 2 if function is np.vsplit else 1])

    def test_transposing_with_negative_axes_and_back(self):
        x = np.arange(24.0).reshape(2, 3, 4)
        t = tg.Tensor(x, requires_grad=True)
        y = np.transpose(t, (-1, 0, -2))
        y.backward(np.transpose(x, (-1, 0, -2)))
        np.testing.assert_array_equal(t.grad.numpy(), x)

    def test_broadcasting(self):
        check(lambda a: np.broadcast_to(a, (2, 3, 4)), np.ones((3, 1)))
        check(np.broadcast_arrays, np.ones((3, 1)), np.ones(4), np.ones(()))
        made = np.broadcast_arrays(TENSOR, np.zeros(3), 1.0)
        assert [type(y) for y in made] == [tg.Tensor, np.ndarray, np.ndarray]
        assert all(y.shape == (2, 3) for y in made)

    @pytest.mark.parametrize("sparse", [True, False])
    @pytest.mark.parametrize("indexing", ["xy", "ij"])
    @pytest.mark.parametrize("n", [1, 2, 3])
    def test_meshgrid(self, n, indexing, sparse):
        xs = [np.arange(2.0 + i) for i in range(n)]
        check(lambda *a: np.meshgrid(*a, indexing=indexing, sparse=sparse), *xs)
        grids = np.meshgrid(*map(tg.Tensor, xs), indexing=indexing)
        assert all(g.numpy().flags.writeable for g in grids)

    def test_meshgrid_indexing(self):
        with pytest.raises(ValueError, match="'xy' or 'ij'"):
            np.meshgrid(TENSOR[0], indexing="yx")


def parts(draw, axis_given):
    """Draw arrays that agree but along one axis, and the axis."""
    shape = draw(array_shapes(max_dims=3, max_side=3))
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    rng = np.random.default_rng(0)
    lengths = draw(st.lists(st.integers(0, 3), min_size=1, max_size=4))
    shapes = []
    for n in lengths:
        own = list(shape)
        own[axis] = n if axis_given else shape[axis]
        shapes.append(own)
    return [whole_numbers(rng, s) for s in shapes], axis


class TestJoining:
    @given(st.data())
    def test_concatenate(self, data):
        xs, axis = parts(data.draw, True)
        check(lambda *a: np.concatenate(a, axis=axis), *xs)
        check(lambda *a: np.concatenate(a, axis=None), *xs)

    @given(st.data())
    def test_stack(self, data):
        xs, axis = parts(data.draw, False)
        check(lambda *a: np.stack(a, axis), *xs)
        check(lambda *a: np.stack(a, -1), *xs)

    @pytest.mark.parametrize(
        "function", [np.vstack, np.hstack, np.dstack, np.column_stack]
    )
    @pytest.mark.parametrize("shape", [(), (2,), (2, 3), (2, 3, 2)])
    def test_along_an_axis_by_name(self, function, shape):
        if function is np.hstack and shape == (2, 3):
            check(lambda a, b: function([a, b]), np.ones(shape), np.ones((2, 1)))
        check(lambda a, b: function((a, b)), np.ones(shape), np.zeros(shape))

    def test_tensors_arrays_numbers_and_nested_lists_together(self):
        t = tg.Tensor([1.0, 2.0], requires_grad=True)
        y = np.concatenate([t, np.array([3.0]), [4.0, t[0]], (5,)])
        np.testing.assert_array_equal(y.numpy(), [1, 2, 3, 4, 1, 5])
        y.backward(np.arange(6.0))
        np.testing.assert_array_equal(t.grad.numpy(), [4, 1])
        assert np.stack([t[0], 2.0, np.float32(3)]).shape == (3,)
        np.testing.assert_array_equal(np.append(t, [t[1], 9]).numpy(), [1, 2, 2, 9])

    def test_rows_of_a_tensor_are_joined(self):
        x = np.arange(12.0).reshape(2, 2, 3)
        for function in (np.concatenate, np.vstack, np.hstack, np.stack, np.dstack):
            check(function, x)

    def test_dtypes_are_numpys(self):
        f32, f64 = tg.Tensor([1], dtype=np.float32), tg.Tensor([1.0])
        assert np.concatenate([f32, f32]).dtype == np.float32
        assert np.concatenate([f32, f64]).dtype == np.float64
        assert np.concatenate([f32, [1]]).dtype == np.float64
        assert np.concatenate([f64, f64], dtype=np.float32).dtype == np.float32
        assert np.hstack([f64, f64], dtype=np.float16).dtype == np.float16
        whole = np.concatenate([f64, f64], dtype=int, casting="unsafe")
        assert whole.dtype == int
        assert not whole.requires_grad
        with pytest.raises(TypeError, match="casting='same_kind'"):
            np.concatenate([f64, f64], dtype=int)

    def test_each_operand_gets_the_gradient_in_its_own_dtype(self):
        xs = [tg.Tensor([1, 2], True, dtype=d) for d in (np.float32, np.float64)]
        np.stack(xs).sum().backward()
        assert [x.grad.dtype for x in xs] == [np.float32, np.float64]

    def test_the_same_tensor_twice(self):
        t = tg.Tensor([1.0, 2.0], requires_grad=True)
        np.concatenate([t, t]).backward(np.arange(4.0))
        np.testing.assert_array_equal(t.grad.numpy(), [2, 4])

    def test_gradients_share_no_memory(self):
        xs = [tg.Tensor(np.ones(3), requires_grad=True) for _ in range(3)]
        np.concatenate(xs).sum().backward()
        gs = [x.grad.numpy() for x in xs]
        assert not any(np.shares_memory(a, b) for a in gs for b in gs if a is not b)
        assert all(g.base is None for g in gs)

    def test_errors_are_numpys(self):
        with pytest.raises(ValueError, match="at least one array"):
            join(axis=0)
        with pytest.raises(ValueError, match="zero-dimensional"):
            np.concatenate([TENSOR[0, 0]])
        with pytest.raises(ValueError, match="must match"):
            np.concatenate([TENSOR, TENSOR[0, :, None]])
        with pytest.raises(ValueError, match="same shape"):
            np.stack([TENSOR, TENSOR[0]])
        with pytest.raises(TypeError, match="out"):
            np.concatenate([TENSOR], out=np.zeros((2, 3)))

    def test_what_numpy_does_not_let_tensors_take_part_in_raises(self):
        """For np.r_, np.c_ and np.array a tensor is a plain array, or an error."""
        for join_plain in (np.r_.__getitem__, np.c_.__getitem__, np.array):
            with pytest.raises(TypeError, match="cut the graph"):
                join_plain((TENSOR[0], TENSOR[1]))


class TestBlock:
    def test_of_matrices(self):
        a, b, c, d = (np.full(s, 1.0) for s in ((2, 2), (2, 1), (1, 2), (1, 1)))
        check(lambda a, b, c, d: np.block([[a, b], [c, d]]), a, b, c, d)

    def test_of_numbers_rows_and_tensors(self):
        t = tg.Tensor([1.0, 2.0], requires_grad=True)
        y = np.block([[t, 0], [3.0, np.ones(2)]])
        np.testing.assert_array_equal(y.numpy(), [[1, 2, 0], [3, 1, 1]])
        y.sum().backward()
        np.testing.assert_array_equal(t.grad.numpy(), [1, 1])

    def test_of_depth_three_and_none(self):
        x = np.arange(4.0).reshape(2, 2)
        check(lambda a: np.block([[[a, a], [a, a]], [[a, a], [a, a]]]), x)
        check(np.block, x)

    def test_of_lists_it_does_not_take(self):
        with pytest.raises(ValueError, match="nested equally deep"):
            np.block([[TENSOR], TENSOR])
        with pytest.raises(ValueError, match="none of them empty"):
            np.block([[TENSOR], []])
        with pytest.raises(TypeError, match="not in tuples"):
            block([(TENSOR, TENSOR)])


class TestArray:
    def test_a_matrix_of_tensors_and_numbers(self):
        a, b = tg.Tensor(2.0, requires_grad=True), tg.Tensor(3.0, requires_grad=True)
        y = array([[a, 1.0], [0.0, a * b]])
        np.testing.assert_array_equal(y.numpy(), [[2, 1], [0, 6]])
        (y * [[1.0, 5.0], [7.0, 10.0]]).sum().backward()
        assert (a.grad.item(), b.grad.item()) == (31, 20)

    @pytest.mark.parametrize(
        "data", [1.5, [1, 2], [[1.0], (2,)], np.ones(2), [np.float32(1), 2]], ids=repr
    )
    def test_of_numbers_is_what_numpy_makes(self, data):
        y, expected = array(data), np.array(data)
        assert type(y) is tg.Tensor
        assert y.dtype == expected.dtype
        np.testing.assert_array_equal(y.numpy(), expected)

    def test_dtype_and_copies(self):
        x = tg.Tensor([1.0, 2.0], requires_grad=True)
        y = array([x, [3, 4]], dtype=np.float32)
        assert y.dtype == np.float32
        y.sum().backward()
        assert x.grad.dtype == np.float64
        assert not np.shares_memory(array(x).numpy(), x.numpy())
        plain = np.ones(2)
        assert not np.shares_memory(array(plain).numpy(), plain)

    def test_shapes_that_do_not_fit(self):
        with pytest.raises(ValueError, match="same shape"):
            array([TENSOR[0], TENSOR[0, 0]])

    def test_many_rows_are_one_operation(self):
        xs = [tg.Tensor(float(i), requires_grad=True) for i in range(1000)]
        assert len(interior([array(xs).node])) == 1


class TestSplitting:
    @given(values(min_dims=1, min_side=0, max_side=5), st.data())
    def test_array_split(self, x, data):
        axis = data.draw(axis_of(x))
        points = st.lists(st.integers(-6, 6), max_size=3)
        at = data.draw(st.integers(1, 6) | points)
        check(lambda a: np.array_split(a, at, axis), x)

    @pytest.mark.parametrize(
        ("function", "shape", "at"),
        [
            (np.split, (4, 3), 2),
            (np.split, (4,), (1, 3)),
            (np.split, (4,), np.array([3, 1])),
            (np.vsplit, (4, 2), 2),
            (np.hsplit, (4,), [1]),
            (np.hsplit, (2, 4), 4),
            (np.dsplit, (1, 2, 4), [1, 2]),
        ],
    )
    def test_by_name(self, function, shape, at):
        check(
            lambda a: function(a, at), np.arange(float(np.prod(shape))).reshape(shape)
        )

    def test_lists_and_tuples_as_numpy_returns_them(self):
        assert type(np.split(TENSOR, 2)) is list
        assert type(unstack(TENSOR)) is tuple

    def test_pieces_that_are_not_used_get_zeros(self):
        t = tg.Tensor(np.arange(6.0), requires_grad=True)
        np.split(t, 3)[1].sum().backward()
        np.testing.assert_array_equal(t.grad.numpy(), [0, 0, 1, 1, 0, 0])

    def test_pieces_are_put_together_once(self):
        t = tg.Tensor(np.ones(100), requires_grad=True)
        nodes = interior([np.concatenate(np.split(t, 100)).node])
        assert [n.name for n in nodes].count("split") == 101
        assert sum(n.plan.op is cut and len(n.shape) == 100 for n in nodes) == 1

    @pytest.mark.parametrize("axis", [0, 1, -1])
    def test_unstack(self, axis):
        x = np.arange(6.0).reshape(2, 3)
        t = tg.Tensor(x, requires_grad=True)
        rows = unstack(t, axis=axis)
        np.testing.assert_array_equal(np.stack(rows, axis).numpy(), x)
        (rows[1] * rows[0]).sum().backward()
        expected = np.zeros((2, 3))
        moved = np.moveaxis(expected, axis, 0)
        moved[:2] = np.moveaxis(x, axis, 0)[1::-1]
        np.testing.assert_array_equal(t.grad.numpy(), expected)

    def test_errors(self):
        with pytest.raises(ValueError, match="equal division"):
            np.split(TENSOR, 4)
        with pytest.raises(ValueError, match="larger than 0"):
            np.array_split(TENSOR, 0)
        with pytest.raises(ValueError, match="shape \\(\\)"):
            unstack(TENSOR[0, 0])
        with pytest.raises(ValueError, match="3 or more axes"):
            np.dsplit(TENSOR, 1)


class TestLength:
    @given(values(min_dims=1, min_side=0), st.data())
    def test_delete(self, x, data):
        axis = data.draw(st.none() | axis_of(x))
        n = x.size if axis is None else x.shape[axis]
        assume(n)
        obj = data.draw(
            st.integers(-n, n - 1)
            | st.lists(st.integers(-n, n - 1), max_size=3)
            | st.slices(n)
            | st.lists(st.booleans(), min_size=n, max_size=n).map(np.array)
        )
        check(lambda a: np.delete(a, obj, axis), x)

    @pytest.mark.filterwarnings("ignore:in the future insert will treat boolean")
    @given(values(min_dims=1, min_side=1), st.data())
    def test_insert(self, x, data):
        axis = data.draw(st.none() | axis_of(x))
        n = x.size if axis is None else x.shape[axis]
        obj = data.draw(
            st.integers(-n, n)
            | st.lists(st.integers(-n, n), min_size=1, max_size=3)
            | st.slices(n)
            | st.lists(st.booleans(), min_size=n, max_size=n).map(np.array)
        )
        rest = () if axis is None else np.delete(x.shape, axis)
        v = whole_numbers(
            np.random.default_rng(1), data.draw(st.sampled_from([(), rest]))
        )
        if np.ndim(obj) or isinstance(obj, slice):
            v = v if axis is None else np.expand_dims(v, axis) if v.ndim else v
        check(lambda a, b: np.insert(a, obj, b, axis), x, v)

    def test_insert_would_truncate(self):
        with pytest.raises(TypeError, match="truncated to int64"):
            np.insert(np.arange(3), 0, TENSOR[0, 0])
        np.testing.assert_array_equal(
            np.insert(tg.Tensor([1, 2]), 1, 1.5).numpy(), [1, 1, 2]
        )

    def test_resize(self):
        with pytest.raises(ValueError, match="not negative"):
            np.resize(TENSOR, (2, -1))
        check(lambda a: np.resize(a, 4), np.ones((0, 2)))

    @pytest.mark.parametrize("trim", ["fb", "f", "b", "B"])
    def test_trim_zeros(self, trim):
        x = np.array([0.0, 0.0, 1.0, 0.0, 2.0, 0.0])
        t = tg.Tensor(x, requires_grad=True)
        y = np.trim_zeros(t, trim)
        np.testing.assert_array_equal(y.numpy(), np.trim_zeros(x, trim))
        y.sum().backward()
        first = 2 if "f" in trim else 0
        last = 5 if "b" in trim.lower() else 6
        np.testing.assert_array_equal(
            t.grad.numpy(), (np.arange(6) >= first) & (np.arange(6) < last)
        )
        assert np.trim_zeros(0 * t, trim).shape == (0,)

    @pytest.mark.skipif(
        np.lib.NumpyVersion(np.__version__) < "2.2.0", reason="axis= is of NumPy 2.2"
    )
    @pytest.mark.parametrize("axis", [None, 0, -1, (0, 1)])
    def test_trim_zeros_of_a_matrix(self, axis):
        x = np.zeros((3, 4))
        x[1, 1:3] = 5
        y = np.trim_zeros(tg.Tensor(x), axis=axis)
        np.testing.assert_array_equal(y.numpy(), np.trim_zeros(x, axis=axis))

    def test_trim_takes_two_letters(self):
        with pytest.raises(ValueError, match="'f' and 'b'"):
            np.trim_zeros(TENSOR[0], "x")


EXACT_MODES = {
    "constant": {"constant_values": st.integers(-3, 3)},
    "edge": {},
    "wrap": {},
    "reflect": {"reflect_type": st.sampled_from(["even", "odd"])},
    "symmetric": {"reflect_type": st.sampled_from(["even", "odd"])},
}


class TestPad:
    @pytest.mark.parametrize("mode", EXACT_MODES)
    @given(data=st.data())
    def test_modes_that_repeat(self, mode, data):
        x = data.draw(values(min_dims=1, min_side=1, max_side=4))
        widths = [
            data.draw(st.tuples(st.integers(0, 9), st.integers(0, 9)))
            for _ in range(x.ndim)
        ]
        options = {k: data.draw(s) for k, s in EXACT_MODES[mode].items()}
        assume(x.size * np.prod([sum(w) + 1 for w in widths]) < 2000)
        check(lambda a: np.pad(a, widths, mode, **options), x)

    def test_linear_ramp(self):
        x = np.array([4.0, 8.0])
        (t,), (g,) = gradients(
            lambda a: np.pad(a, (4, 2), "linear_ramp", end_values=(0, 4)),
            [x],
            [np.ones(8)],
        )
        y = np.pad(t, (4, 2), "linear_ramp", end_values=(0, 4))
        np.testing.assert_array_equal(y.numpy(), [0, 1, 2, 3, 4, 8, 6, 4])
        np.testing.assert_array_equal(g.numpy(), [1 + 6 / 4, 1 + 1 / 2])

    @pytest.mark.parametrize("mode", ["maximum", "minimum", "mean", "median"])
    def test_statistics(self, mode):
        x = np.array([[1.0, 5.0, 2.0], [4.0, 3.0, 6.0]])
        t = tg.Tensor(x, requires_grad=True)
        y = np.pad(t, ((1, 0), (0, 2)), mode, stat_length=((1, 1), (2, 2)))
        expected = np.pad(x, ((1, 0), (0, 2)), mode, stat_length=((1, 1), (2, 2)))
        np.testing.assert_array_equal(y.numpy(), expected)
        y.sum().backward()
        first, last = {
            "maximum": ([[0, 1, 0], [0, 0, 1]]),
            "minimum": ([[0, 0, 1], [0, 1, 0]]),
            "mean": ([[0, 0.5, 0.5], [0, 0.5, 0.5]]),
            "median": ([[0, 0.5, 0.5], [0, 0.5, 0.5]]),
        }[mode]
        # Row 0 stands twice, and each row is followed by two of its statistic.
        np.testing.assert_array_equal(
            t.grad.numpy(), [2 + 4 * np.array(first), 1 + 2 * np.array(last)]
        )

    def test_ties_in_a_padding_share(self):
        t = tg.Tensor([3.0, 3.0, 1.0], requires_grad=True)
        np.pad(t, (0, 1), "maximum").sum().backward()
        np.testing.assert_array_equal(t.grad.numpy(), [1.5, 1.5, 1])

    def test_widths_in_every_spelling(self):
        x = np.arange(6.0).reshape(2, 3)
        for widths in (1, (1, 2), ((1, 2),), ((1, 2), (0, 3)), [[1], [2]], np.int8(2)):
            check(lambda a, w=widths: np.pad(a, w, "edge"), x)
        y = pad(TENSOR, {1: 2, -2: (0, 1)}, "wrap")
        np.testing.assert_array_equal(
            y.numpy(), np.pad(TENSOR.numpy(), ((0, 1), (2, 2)), "wrap")
        )

    def test_no_axes_and_no_elements(self):
        check(lambda a: np.pad(a, 2, "constant"), np.array(1.0))
        check(lambda a: np.pad(a, 2, "edge"), np.array(1.0))
        check(lambda a: np.pad(a, ((0, 0), (1, 1)), "edge"), np.ones((0, 2)))
        check(lambda a: np.pad(a, (1, 2), constant_values=7.0), np.ones((0, 2)))
        with pytest.raises(ValueError, match="empty axis"):
            np.pad(tg.Tensor(np.ones((0, 2))), 1, "edge")

    def test_empty_has_no_values_but_a_gradient(self):
        t = tg.Tensor([1.0, 2.0], requires_grad=True)
        y = np.pad(t, 1, "empty")
        y[1:3].backward(np.array([3.0, 4.0]))
        assert y.shape == (4,)
        np.testing.assert_array_equal(t.grad.numpy(), [3, 4])

    def test_integers_are_padded_as_numpy_does(self):
        y = np.pad(tg.Tensor([1, 2]), 1, "mean")
        assert type(y) is tg.Tensor
        np.testing.assert_array_equal(y.numpy(), np.pad([1, 2], 1, "mean"))

    def test_what_is_refused(self):
        with pytest.raises(ValueError, match="no mode 'mirror'"):
            np.pad(TENSOR, 1, "mirror")
        with pytest.raises(ValueError, match="no mode"):
            np.pad(TENSOR, 1, lambda *args: None)
        for value in (TENSOR[0, 0], (TENSOR[0, 0], 1.0)):
            with pytest.raises(TypeError, match="cut the graph"):
                np.pad(TENSOR, 1, constant_values=value)
        with pytest.raises(TypeError, match="integers"):
            np.pad(TENSOR, 1.5)
        with pytest.raises(ValueError, match="not negative"):
            np.pad(TENSOR, -1)
        with pytest.raises(ValueError, match="yields no value"):
            np.pad(TENSOR, 1, "maximum", stat_length=0)
        with pytest.raises((TypeError, ValueError), match="stat_length"):
            np.pad(TENSOR, 1, "edge", stat_length=1)


class TestDiagonals:
    def test_diag_of_vectors_and_matrices(self):
        for k in (-2, 0, 1):
            check(lambda a, k=k: np.diag(a, k), np.arange(3.0))
            check(lambda a, k=k: np.diag(a, k), np.arange(6.0).reshape(2, 3))
        with pytest.raises(ValueError, match="one axis or two"):
            np.diag(TENSOR[None])

    def test_triangles_keep_float32_and_leave_nan_out(self):
        x = tg.Tensor(np.full((2, 2), np.nan), requires_grad=True, dtype=np.float32)
        y = np.tril(x)
        assert y.dtype == np.float32
        y.backward(np.full((2, 2), np.inf, dtype=np.float32))
        np.testing.assert_array_equal(x.grad.numpy(), [[np.inf, 0], [np.inf, np.inf]])

    def test_indices_of_triangles_and_diagonals(self):
        for function in (np.tril_indices_from, np.triu_indices_from):
            np.testing.assert_array_equal(function(TENSOR), function(TENSOR.numpy()))
        i = np.diag_indices_from(TENSOR[:, :2])
        np.testing.assert_array_equal(TENSOR[i].numpy(), [1, 5])


class TestCreation:
    def test_copies_are_differentiable_and_apart(self):
        t = tg.Tensor([1.0, 2.0], requires_grad=True)
        y = np.copy(t)
        assert not np.shares_memory(y.numpy(), t.numpy())
        y.sum().backward()
        np.testing.assert_array_equal(t.grad.numpy(), [1, 1])

    def test_astype(self):
        t = tg.Tensor([1.5, 2.0], requires_grad=True)
        y = t.astype(np.float32)
        y.sum().backward()
        assert (y.dtype, t.grad.dtype) == (np.float32, np.float64)
        assert not t.astype(int).requires_grad
        assert astype(t, float, copy=False) is t
        assert astype(t, float) is not t
        with pytest.raises(TypeError, match="real numbers, got complex128"):
            t.astype(complex)
        with pytest.raises(TypeError, match="Cannot cast"):
            t.astype(np.float32, casting="safe")

    @pytest.mark.skipif(
        np.lib.NumpyVersion(np.__version__) < "2.1.0", reason="a function of NumPy 2.1"
    )
    def test_numpys_astype(self):
        assert np.astype(TENSOR, np.float32).requires_grad
        assert np.astype(TENSOR, float, copy=False) is TENSOR

    def test_full_like(self):
        v = tg.Tensor([1.0, 2.0, 3.0], requires_grad=True)
        y = np.full_like(TENSOR, v)
        y.sum().backward()
        np.testing.assert_array_equal(y.numpy(), [[1, 2, 3]] * 2)
        np.testing.assert_array_equal(v.grad.numpy(), [2, 2, 2])
        assert full_like(np.zeros(2, np.float32), v[0], shape=(4,)).dtype == np.float32
        assert not np.full_like(TENSOR, 2.0).requires_grad
        with pytest.raises(TypeError, match="truncated"):
            full_like(np.arange(3), v)

    def test_the_like_functions_give_constants(self):
        for function in (np.zeros_like, np.ones_like, np.empty_like):
            y = function(TENSOR)
            assert type(y) is tg.Tensor
            assert (y.shape, y.requires_grad) == ((2, 3), False)

    @pytest.mark.parametrize("dtype", [complex, object, "U3"])
    def test_the_like_functions_refuse_what_a_tensor_cannot_hold(self, dtype):
        likes = [np.zeros_like, np.ones_like, np.empty_like]
        likes.append(lambda t, dtype: np.full_like(t, 1.0, dtype))
        likes.append(lambda t, dtype: np.full_like(TENSOR, t[0, 0], dtype))
        for like in likes:
            with pytest.raises(TypeError, match="_like: a Tensor holds real numbers"):
                like(TENSOR, dtype)


class TestApply:
    def test_along_an_axis(self):
        x = np.arange(6.0).reshape(2, 3)
        for axis in (0, 1, -1):
            check(lambda a, axis=axis: np.apply_along_axis(np.sum, axis, a), x)
            check(lambda a, axis=axis: np.apply_along_axis(np.diag, axis, a), x)
        check(lambda a: np.apply_along_axis(lambda r: [r[0], 2 * r[-1]], 1, a), x)
        check(lambda a: np.apply_along_axis(np.roll, 0, a, shift=1), x)
        with pytest.raises(ValueError, match="nothing along axis"):
            np.apply_along_axis(np.sum, 1, tg.Tensor(np.ones((0, 2))))

    def test_over_axes(self):
        x = np.arange(12.0).reshape(2, 3, 2)
        check(lambda a: np.apply_over_axes(np.sum, a, (0, -1)), x)

    def test_piecewise(self):
        x = np.array([-2.0, -1.0, 0.5, 3.0])
        t = tg.Tensor(x, requires_grad=True)
        functions = [lambda z: z * z, lambda z: 3 * z, 7.0]
        y = np.piecewise(t, [t < -1.5, t > 1], functions)
        np.testing.assert_array_equal(
            y.numpy(), np.piecewise(x, [x < -1.5, x > 1], functions)
        )
        y.sum().backward()
        np.testing.assert_array_equal(t.grad.numpy(), [-4, 0, 0, 3])
        one = np.piecewise(t, t > 0, [lambda z, k: z * k], 2.0)
        np.testing.assert_array_equal(one.numpy(), [0, 0, 1, 6])
        with pytest.raises(ValueError, match="or one more"):
            np.piecewise(t, [t > 0], [1, 2, 3])
