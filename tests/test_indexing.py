"""Indices of every kind, and the functions that take and put by position.

Gradients are compared, to the last bit, with the scatter that ``np.add.at`` computes:
all numbers are small integers, so that sums do not depend on their order.
"""

import numpy as np
import pytest
from derivatives import gradients
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import (
    array_shapes,
    arrays,
    basic_indices,
    boolean_dtypes,
    broadcastable_shapes,
    integer_array_indices,
)
from tensors import whole_numbers

import tensorgrad as tg
from tensorgrad.core.backward import interior
from tensorgrad.core.tensor import plain as plain_values
from tensorgrad.ops.shapes.gather import choose, compress, extract, select, take
from tensorgrad.ops.shapes.index import getitem, plain_index, put_part
from tensorgrad.ops.shapes.update import index_add, index_update, put, put_along_axis
from tensorgrad.ops.support.scatter import add_at, is_last, places
from tensorgrad.testing.calls import LAYOUTS, lay_out

SHAPES = array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)


def scattered(shape, index, v):
    """Return the gradient of <v, x[index]> as NumPy itself adds it up."""
    whole = np.zeros(shape)
    np.add.at(whole, index, v)
    return whole


@st.composite
def masks(draw, shape):
    """Draw a boolean index over some leading axes, the rest whole."""
    n = draw(st.integers(0, len(shape)))
    return draw(arrays(boolean_dtypes(), shape[:n]))


@st.composite
def integer_arrays(draw, shape):
    """Draw an integer array for each of the first axes, broadcast together."""
    n = draw(st.integers(1, len(shape)))
    result = draw(array_shapes(min_dims=0, max_dims=2, max_side=4))
    items = []
    for length in shape[:n]:
        own = draw(broadcastable_shapes(result, max_dims=len(result)))
        whole = st.integers(-length, length - 1)
        items.append(draw(arrays(np.intp, own, elements=whole)))
    return tuple(items)


@st.composite
def mixed(draw, shape):
    """Draw an index that mixes all there is, axis by axis."""
    items = []
    length = draw(st.integers(1, 3))
    for n in shape:
        kind = draw(st.sampled_from(["slice", "integer", "array", "mask", "list"]))
        if kind == "integer" and n:
            items.append(draw(st.integers(-n, n - 1)))
        elif kind in ("array", "list") and n:
            item = draw(arrays(np.intp, length, elements=st.integers(-n, n - 1)))
            items.append(item if kind == "array" else item.tolist())
        elif kind == "mask" and n >= length:
            mask = np.zeros(n, dtype=bool)
            mask[draw(st.permutations(range(n)))[:length]] = True
            items.append(mask)
        else:
            items.append(draw(st.slices(n)))
    for place in sorted(draw(st.sets(st.integers(0, len(items)), max_size=2))):
        items.insert(place, None)
    if draw(st.booleans()):
        items[len(items) - draw(st.integers(0, len(items))) :] = [Ellipsis]
    return tuple(items)


@st.composite
def indexed(draw):
    """Draw an array in some memory layout, and an index into it."""
    kind = draw(st.sampled_from(["basic", "integers", "arrays", "mask", "mixed"]))
    lowest = 1 if kind in ("integers", "arrays") else 0
    shape = draw(array_shapes(min_dims=lowest, max_dims=4, min_side=lowest, max_side=4))
    index = draw(
        {
            "basic": basic_indices(shape, allow_newaxis=True, allow_ellipsis=True),
            "integers": integer_array_indices(shape) if shape else st.just(()),
            "arrays": integer_arrays(shape) if shape else st.just(()),
            "mask": masks(shape),
            "mixed": mixed(shape),
        }[kind]
    )
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return (
        lay_out(whole_numbers(rng, shape), draw(st.sampled_from(LAYOUTS))),
        index,
        rng,
    )


class TestGetitem:
    @given(indexed())
    def test_value_and_gradient(self, drawn):
        x, index, rng = drawn
        t = tg.Tensor(x, requires_grad=True)
        y = t[index]
        np.testing.assert_array_equal(y.numpy(), x[index])
        v = whole_numbers(rng, y.shape)
        y.backward(v)
        np.testing.assert_array_equal(t.grad.numpy(), scattered(x.shape, index, v))
        assert not np.shares_memory(t.grad.numpy(), t.numpy())
        assert not np.shares_memory(t.grad.numpy(), v)

    @given(indexed())
    def test_gradient_of_the_gradient(self, drawn):
        """<u, scatter(v)> is <u[index], v>, so its gradient in v is u[index]."""
        x, index, rng = drawn
        t = tg.Tensor(x, requires_grad=True)
        v = tg.Tensor(whole_numbers(rng, x[index].shape), requires_grad=True)
        u = whole_numbers(rng, x.shape)
        (t[index] * v).sum().backward(create_graph=True)
        v.grad = None
        (t.grad * u).sum().backward()
        np.testing.assert_array_equal(v.grad.numpy(), u[index])

    @given(indexed())
    def test_of_a_strided_value(self, drawn):
        x, index, rng = drawn
        t = tg.Tensor(np.array(x.T, order="C"), requires_grad=True)
        y = t.T[index]
        np.testing.assert_array_equal(y.numpy(), x[index])
        v = whole_numbers(rng, y.shape)
        y.backward(v)
        np.testing.assert_array_equal(t.grad.numpy().T, scattered(x.shape, index, v))

    @given(indexed(), st.integers(2, 4))
    def test_several_parts_of_one_array_add_up(self, drawn, n):
        x, index, rng = drawn
        t = tg.Tensor(x, requires_grad=True)
        vs = [whole_numbers(rng, x[index].shape) for _ in range(n)]
        sum((t[index] * v).sum() for v in vs).backward()
        np.testing.assert_array_equal(
            t.grad.numpy(), scattered(x.shape, index, sum(vs))
        )

    def test_a_planted_wrong_scatter_is_caught(self, monkeypatch):
        """Assignment where a place repeats is the classic fault."""
        x = tg.Tensor(np.zeros((3, 2)), requires_grad=True)
        index = np.array([0, 2, 2])
        v = np.arange(6.0).reshape(3, 2)
        never = "tensorgrad.ops.shapes.index.repeats_nothing"
        monkeypatch.setattr(never, lambda _: True)
        x[index].backward(v)
        expected = scattered((3, 2), index, v)
        assert not np.array_equal(x.grad.numpy(), expected)
        monkeypatch.undo()
        x.grad = None
        x[index].backward(v)
        np.testing.assert_array_equal(x.grad.numpy(), expected)

    @pytest.mark.parametrize(
        "index",
        [
            tg.Tensor([2, 0, 2]),
            tg.Tensor(1),
            tg.Tensor([True, False, True]),
            (tg.Tensor([0, 2]), [1, 1]),
            ([tg.Tensor(0), 2], slice(None)),
            ((0, 1), (1, 1)),
            [[0, 1], [2, 2]],
            range(2),
            range(0),
            [],
            True,
            False,
            (np.True_, 1),
            np.array(2),
            np.uint8(2),
            (None, ..., None, 1),
            slice(tg.Tensor(0), tg.Tensor(2)),
        ],
        ids=repr,
    )
    def test_what_may_stand_between_brackets(self, index):
        x = np.arange(12.0).reshape(3, 4)
        plain = plain_values(index)
        if isinstance(index, slice):
            plain = slice(0, 2)
        (t,), (g,) = gradients(lambda t: t[index], [x], [np.ones_like(x[plain])])
        np.testing.assert_array_equal(t[index].numpy(), x[plain])
        np.testing.assert_array_equal(g.numpy(), scattered(x.shape, plain, 1.0))

    def test_an_object_that_is_an_index(self):
        class Second:
            def __index__(self):
                return 1

        x = tg.Tensor([1.0, 2.0, 3.0], requires_grad=True)
        x[Second()].backward()
        np.testing.assert_array_equal(x.grad.numpy(), [0, 1, 0])

    @pytest.mark.parametrize("index", [1.0, "a", [0.5], np.array([1.5])], ids=repr)
    def test_what_numpy_refuses_is_refused(self, index):
        with pytest.raises(IndexError):
            tg.Tensor([1.0, 2.0])[index]

    def test_out_of_range(self):
        with pytest.raises(IndexError, match="out of bounds"):
            tg.Tensor([1.0, 2.0])[[0, 2]]

    def test_float32_and_float16_stay(self):
        for dtype in (np.float32, np.float16):
            x = tg.Tensor([1, 2, 3], requires_grad=True, dtype=dtype)
            x[[0, 0, 2]].sum().backward()
            assert x.grad.dtype == dtype
            np.testing.assert_array_equal(x.grad.numpy(), [2, 0, 1])

    def test_a_view_of_the_value_is_no_view_of_the_gradient(self):
        x = tg.Tensor(np.arange(4.0), requires_grad=True)
        y, z = x[1:], x[:3]
        assert np.shares_memory(y.numpy(), x.numpy())
        (y.sum() + z.sum()).backward()
        np.testing.assert_array_equal(x.grad.numpy(), [1, 2, 2, 1])
        x.grad.numpy()[...] = 7
        np.testing.assert_array_equal(x.numpy(), np.arange(4.0))

    def test_a_write_to_the_index_is_seen_in_debug_mode(self):
        index = np.array([0, 1])
        x = tg.Tensor([1.0, 2.0, 3.0], requires_grad=True)
        with tg.debug():
            y = x[index].sum()
        index[0] = 2
        with pytest.raises(tg.MutationError, match="getitem"):
            y.backward()

    def test_rows_in_a_loop(self):
        x = np.arange(12.0).reshape(4, 3)
        t = tg.Tensor(x, requires_grad=True)
        total = tg.Tensor(0.0)
        for i, row in enumerate(t):
            total = total + (i + 1) * (row * row).sum()
        total.backward()
        np.testing.assert_array_equal(t.grad.numpy(), 2 * x * np.arange(1, 5)[:, None])


@st.composite
def wide(draw):
    """Draw an index of parts large enough for every way there is to add them up."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = draw(st.sampled_from([(20, 64), (4, 5, 64), (3, 70, 5), (4, 5, 6, 30)]))
    n = draw(st.integers(1, 12))

    def numbers(axis):
        return rng.integers(-shape[axis], shape[axis], n)

    several = np.zeros(shape[:2], dtype=bool)
    several.flat[rng.permutation(several.size)[:n]] = True
    index = {
        "rows": numbers(0),
        "pairs": (numbers(0), numbers(1)),
        "second axis": (slice(None), numbers(1)),
        "last axis": (Ellipsis, numbers(-1)),
        "new axis": (None, slice(1, None), None, numbers(1)),
        "number and array": (1, numbers(1)),
        "mask and array": (np.arange(shape[0]) == 1, numbers(1)),
        "mask of two axes": (several, numbers(-1)[: several.sum()]),
        "different": rng.permutation(shape[0]),
    }
    if len(shape) == 4:
        index["mask of two axes"] = (several, numbers(2)[: several.sum()])
    elif len(shape) == 2:
        del index["mask of two axes"]
    return shape, index[draw(st.sampled_from(sorted(index)))], rng


class TestScatter:
    @settings(max_examples=5 * settings().max_examples)
    @given(wide())
    def test_adding_up_equals_numpys(self, drawn):
        shape, index, rng = drawn
        x = whole_numbers(rng, np.empty(shape)[index].shape)
        expected = scattered(shape, index, x)
        np.testing.assert_array_equal(put_part(x, index, shape), expected)
        for order in "CF":
            whole = np.ones(shape, order=order)
            add_at(whole, index, x)
            np.testing.assert_array_equal(whole, 1 + expected)

    @given(indexed())
    def test_places_are_flat_positions(self, drawn):
        x, index, _ = drawn
        number = np.arange(x.size).reshape(x.shape)
        plain = plain_index(index)
        np.testing.assert_array_equal(places(x.shape, plain), number[index])

    def test_rows_that_repeat_within_a_large_part(self):
        x = np.arange(6 * 200.0).reshape(6, 200)
        index = np.array([0, 1, 1, -1, 2, 1])
        np.testing.assert_array_equal(
            put_part(x, index, (4, 200)), scattered((4, 200), index, x)
        )

    def test_is_last(self):
        np.testing.assert_array_equal(
            is_last((3,), np.array([0, 2, 0, 1])), [False, True, True, True]
        )


class TestUpdate:
    @given(indexed(), st.booleans())
    def test_update(self, drawn, alone):
        x, index, rng = drawn
        at = places(x.shape, plain_index(index))
        assume(np.unique(at).size == at.size)
        v = whole_numbers(rng, () if alone else at.shape)
        expected = x.copy()
        expected[index] = v
        g = whole_numbers(rng, x.shape)
        xs, (gx, gv) = gradients(lambda a, b: index_update(a, index, b), [x, v], [g])
        np.testing.assert_array_equal(index_update(x, index, v), expected)
        np.testing.assert_array_equal(index_update(*_at(xs, index)).numpy(), expected)
        left = g.copy()
        left[index] = 0
        np.testing.assert_array_equal(gx.numpy(), left)
        np.testing.assert_array_equal(gv.numpy(), g[index].sum() if alone else g[index])

    @given(indexed(), st.booleans())
    def test_add(self, drawn, alone):
        x, index, rng = drawn
        v = whole_numbers(rng, () if alone else x[index].shape)
        expected = x.copy()
        np.add.at(expected, index, v)
        g = whole_numbers(rng, x.shape)
        xs, (gx, gv) = gradients(lambda a, b: index_add(a, index, b), [x, v], [g])
        np.testing.assert_array_equal(index_add(*_at(xs, index)).numpy(), expected)
        np.testing.assert_array_equal(gx.numpy(), g)
        np.testing.assert_array_equal(gv.numpy(), g[index].sum() if alone else g[index])

    @pytest.mark.parametrize("layout", LAYOUTS)
    def test_of_values_that_meet_the_last_stays_and_gets_the_gradient(self, layout):
        x = lay_out(np.zeros((2, 3)), layout)
        v = lay_out(np.arange(1.0, 9.0).reshape(2, 4), layout)
        index = (lay_out(np.array([[0], [0]]), layout), np.array([2, 1, 2, 0]))
        g = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
        xs, (gx, gv) = gradients(lambda a, b: index_update(a, index, b), [x, v], [g])
        y = index_update(xs[0], index, xs[1])
        np.testing.assert_array_equal(y.numpy(), [[8, 6, 7], [0, 0, 0]])
        np.testing.assert_array_equal(gx.numpy(), [[0, 0, 0], [4, 5, 6]])
        np.testing.assert_array_equal(gv.numpy(), [[0, 0, 0, 0], [0, 2, 3, 1]])

    def test_the_array_is_not_written_to(self):
        x = np.zeros(3)
        index_update(x, 0, 1.0)
        index_add(x, 0, 1.0)
        put(x, 0, 1.0)
        put_along_axis(x, np.array([0]), 1.0, 0)
        np.testing.assert_array_equal(x, 0)

    def test_leading_axes_of_length_one_are_dropped(self):
        x, v = np.zeros((2, 3)), np.arange(3.0).reshape(1, 1, 3)
        _, (_, gv) = gradients(
            lambda a, b: index_update(a, 1, b), [x, v], [np.ones((2, 3))]
        )
        np.testing.assert_array_equal(gv.numpy(), np.ones((1, 1, 3)))
        with pytest.raises(ValueError, match="do not fit"):
            index_update(x, 1, np.ones((1, 2, 3)))

    def test_values_are_cast_to_the_array_and_the_gradient_back(self):
        x = tg.Tensor([1, 2], dtype=np.float32)
        v = tg.Tensor(3.0, requires_grad=True)
        y = index_update(x, 0, v)
        y.sum().backward()
        assert y.dtype == np.float32
        assert v.grad.dtype == np.float64

    def test_integers_would_lose_the_gradient(self):
        v = tg.Tensor(1.5, requires_grad=True)
        for function in (index_update, index_add):
            with pytest.raises(TypeError, match=r"truncated to int64.*astype\(float\)"):
                function(np.arange(3), 0, v)
        np.testing.assert_array_equal(index_update(np.arange(3), 0, 1.5), [1, 1, 2])

    def test_no_array_among_the_arguments_gives_an_array(self):
        assert type(index_update(np.zeros(2), 0, 1.0)) is np.ndarray
        assert type(index_add([0.0, 1.0], 0, 1.0)) is np.ndarray

    @pytest.mark.parametrize(
        ("ind", "v", "mode"),
        [
            ([0, 4], [7.0, 8.0], "raise"),
            ([-1, 0, 2], [7.0, 8.0], "raise"),
            ([[5, 1], [2, 3]], 9.0, "raise"),
            ([6, -7], [7.0, 8.0, 9.0], "wrap"),
            ([9, -9], [7.0, 8.0], "clip"),
            (3, 1.5, "raise"),
            ([], [1.0], "raise"),
        ],
    )
    def test_put(self, ind, v, mode):
        x = np.arange(6.0).reshape(2, 3)
        expected = x.copy()
        np.put(expected, ind, v, mode)
        y = put(tg.Tensor(x, requires_grad=True), tg.Tensor(ind, dtype=int), v, mode)
        np.testing.assert_array_equal(y.numpy(), expected)

    def test_put_out_of_range(self):
        with pytest.raises(IndexError):
            put(np.zeros(2), [2], 1.0)

    @pytest.mark.parametrize("axis", [0, 1, -1, None])
    def test_put_along_axis_undoes_taking(self, axis):
        x = np.random.default_rng(0).permutation(12).astype(float).reshape(3, 4)
        order = np.argsort(x, axis=axis)
        taken = np.take_along_axis(x, order, axis)
        y = put_along_axis(np.zeros((3, 4)), order, tg.Tensor(taken), axis)
        np.testing.assert_array_equal(y.numpy(), x)

    @pytest.mark.parametrize(
        ("call", "remedy"),
        [
            (lambda t: np.put(t, [0], [1.0]), "tg.put"),
            (lambda t: np.place(t, [True, False], [1.0]), "tg.index_update"),
            (lambda t: np.putmask(t, [True, False], [1.0]), "tg.where"),
            (lambda t: np.copyto(t, 1.0), "tg.where"),
            (lambda t: np.copyto(np.zeros(2), t), "tg.where"),
            (lambda t: np.put_along_axis(t, np.array([0]), 1.0, 0), "tg.put_along"),
            (lambda t: np.fill_diagonal(t, 1.0), "tg.index_update"),
        ],
    )
    def test_what_writes_in_place_is_refused_with_the_functional_form(
        self, call, remedy
    ):
        with pytest.raises(TypeError, match=rf"in place.*{remedy}"):
            call(tg.Tensor([1.0, 2.0], requires_grad=True))


def _at(xs, index):
    return xs[0], index, xs[1]


class TestTake:
    @pytest.mark.parametrize("mode", ["raise", "wrap", "clip"])
    @pytest.mark.parametrize("axis", [None, 0, -1])
    @given(data=st.data())
    def test_modes(self, mode, axis, data):
        x = np.arange(12.0).reshape(3, 4)
        n = x.size if axis is None else x.shape[axis]
        beyond = 0 if mode == "raise" else 2 * n
        shape = data.draw(array_shapes(min_dims=0, max_dims=2, min_side=0))
        indices = data.draw(
            arrays(np.intp, shape, elements=st.integers(-n - beyond, n - 1 + beyond))
        )
        expected = np.take(x, indices, axis, mode=mode)
        v = whole_numbers(np.random.default_rng(0), expected.shape)
        (t,), (g,) = gradients(
            lambda t: np.take(t, indices, axis=axis, mode=mode), [x], [v]
        )
        np.testing.assert_array_equal(
            np.take(t, indices, axis, None, mode).numpy(), expected
        )
        places_taken = np.take(np.arange(12).reshape(3, 4), indices, axis, mode=mode)
        np.testing.assert_array_equal(g.numpy().ravel(), scattered(12, places_taken, v))

    def test_out_is_refused(self):
        with pytest.raises(TypeError, match="out= is not supported"):
            take(tg.Tensor([1.0]), [0], out=np.zeros(1))

    def test_indices_of_the_wrong_kind(self):
        with pytest.raises(TypeError):
            np.take(tg.Tensor([1.0]), [0.5])
        with pytest.raises(IndexError):
            np.take(tg.Tensor([1.0]), [1])
        with pytest.raises(ValueError, match="dimension"):
            np.take_along_axis(tg.Tensor([[1.0]]), np.array([0]), 1)
        with pytest.raises(IndexError, match="integer"):
            np.take_along_axis(tg.Tensor([1.0]), np.array([0.0]), 0)

    def test_along_an_axis_where_places_repeat(self):
        x = np.arange(6.0).reshape(2, 3)
        at = np.array([[0, 0, 2], [1, 1, 1]])
        (_,), (g,) = gradients(
            lambda t: np.take_along_axis(t, at, axis=1), [x], [np.ones((2, 3))]
        )
        np.testing.assert_array_equal(g.numpy(), [[2, 0, 1], [0, 3, 0]])

    def test_a_gather_after_argsort_is_a_sort(self):
        x = np.random.default_rng(1).normal(size=(3, 5))
        t = tg.Tensor(x, requires_grad=True)
        y = np.take_along_axis(t, np.argsort(x, axis=0), axis=0)
        np.testing.assert_array_equal(y.numpy(), np.sort(x, axis=0))
        y.backward(np.sort(x, axis=0))
        np.testing.assert_array_equal(t.grad.numpy(), x)


class TestConditions:
    def test_compress_and_extract(self):
        x = np.arange(6.0).reshape(2, 3)
        t = tg.Tensor(x, requires_grad=True)
        y = np.compress(t.detach()[0] > 0.5, t, axis=1)
        np.testing.assert_array_equal(y.numpy(), x[:, 1:])
        y.sum().backward()
        np.testing.assert_array_equal(t.grad.numpy(), [[0, 1, 1], [0, 1, 1]])
        np.testing.assert_array_equal(
            np.extract(t > 2.5, t).numpy(), np.extract(x > 2.5, x)
        )
        np.testing.assert_array_equal(compress([False, True], t).numpy(), [1])
        np.testing.assert_array_equal(extract([True], t).numpy(), [0])
        with pytest.raises(np.exceptions.AxisError):
            np.compress([True], t, axis=2)

    def test_choose(self):
        a, b = np.array([1.0, 2.0, 3.0]), np.array(10.0)
        xs, (ga, gb) = gradients(
            lambda a, b: np.choose([0, 1, 0], [a, b]), [a, b], [np.array([1, 2, 4.0])]
        )
        np.testing.assert_array_equal(ga.numpy(), [1, 0, 4])
        np.testing.assert_array_equal(gb.numpy(), 2)
        np.testing.assert_array_equal(
            np.choose([5, -1, 1], xs, mode="clip").numpy(), [10, 2, 10]
        )
        np.testing.assert_array_equal(
            np.choose([2, -1, 1], xs, mode="wrap").numpy(), [1, 10, 10]
        )
        with pytest.raises(ValueError, match="invalid entry"):
            np.choose([2, 0, 0], xs)

    def test_choices_may_be_rows_of_a_tensor_or_nested_lists(self):
        t = tg.Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
        y = np.choose([1, 0], t)
        np.testing.assert_array_equal(y.numpy(), [3, 2])
        y.sum().backward()
        np.testing.assert_array_equal(t.grad.numpy(), [[0, 1], [1, 0]])
        y = choose([1, 0], [[t[0, 0], 7.0], [t[1, 1], 8.0]])
        np.testing.assert_array_equal(y.numpy(), [4, 7])

    def test_select_takes_the_first_condition_that_holds(self):
        x = np.array([-2.0, -1.0, 1.0, 2.0])
        t = tg.Tensor(x, requires_grad=True)
        conditions = [t < -1.5, t < 0, t > 1.5]
        y = np.select(conditions, [t * t, 3 * t, -t], default=0.5)
        np.testing.assert_array_equal(y.numpy(), [4, -3, 0.5, -2])
        y.sum().backward()
        np.testing.assert_array_equal(t.grad.numpy(), [-4, 3, 0, -1])

    def test_select_leaks_no_nan_from_a_choice_not_taken(self):
        t = tg.Tensor([0.0, 4.0], requires_grad=True)
        with np.errstate(divide="ignore"):
            y = np.select([t > 0], [np.log(t)], t)
            y.sum().backward()
        np.testing.assert_array_equal(t.grad.numpy()[1], 0.25)
        assert not np.isinf(y.numpy()).any()

    def test_select_with_a_tensor_as_default_alone(self):
        d = tg.Tensor(2.0, requires_grad=True)
        y = select([np.array([True, False])], [1.0], d)
        y.sum().backward()
        np.testing.assert_array_equal(y.numpy(), [1, 2])
        np.testing.assert_array_equal(d.grad.numpy(), 1)
        with pytest.raises(ValueError, match="same length"):
            np.select([np.array([True])], [d, d])

    def test_numbers_are_weak_among_choices(self):
        t = tg.Tensor([1, 2], dtype=np.float32)
        assert np.select([t > 1], [t], 0.5).dtype == np.float32
        assert np.choose([0, 1], [t, np.float32(1)]).dtype == np.float32


def test_a_thousand_operands_are_one_operation():
    """However many operands, what is walked is one node each and one for them all."""
    xs = [tg.Tensor(float(i), requires_grad=True) for i in range(1000)]
    assert len(interior([np.stack(xs).node])) == 1
    y = getitem(np.stack(xs), slice(None, None, -1))
    y.backward(np.arange(1000.0))
    assert [x.grad.item() for x in xs[:3]] == [999, 998, 997]


@pytest.mark.parametrize("at", [np.int64(1), np.array(1), (np.array(1),)], ids=repr)
def test_a_part_at_a_numpy_integer_is_a_copy_captured_or_not(at):
    def step(w, at):
        part = w[at]
        with tg.no_grad():
            w -= 1.0
        return part

    def start():
        return tg.Tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)

    w, v = start(), start()
    captured = tg.compile(lambda at: step(v, at), fused=False)
    for _ in range(4):
        assert captured(at).numpy().tolist() == step(w, at).numpy().tolist()


@pytest.mark.parametrize(
    "indices",
    [
        [0, 1, 2, 1, 0, -1],
        [slice(0, 2), slice(1, None), (slice(None), 2), slice(None, None, -2)],
        [(1, 2), (1, 2), (0, 0), (-1, Ellipsis, 3), (Ellipsis, 1)],
        [None, (None, 1), (Ellipsis, None), 2],
        [[0, 0, 2], 1, np.array([True, False, True]), 1, np.array(2), (1, [0, 0])],
    ],
    ids=["rows", "slices", "elements", "axes", "mixed"],
)
@pytest.mark.parametrize("fused", [None, False], ids=["eager", "replayed"])
def test_parts_of_an_array_add_to_its_gradient(indices, fused):
    weights = [float(k + 1) for k in range(len(indices))]

    def step(a):
        x = tg.Tensor(a, requires_grad=True)
        x2 = x * 1.5
        parts = [np.sum(x2[i] * w) for i, w in zip(indices, weights, strict=True)]
        (sum(parts) + np.sum(x2)).backward()
        return x.grad

    a = np.arange(12.0).reshape(3, 4)
    expected = np.ones((3, 4))
    for index, weight in zip(indices, weights, strict=True):
        np.add.at(expected, index, weight)
    run = step if fused is None else tg.compile(step, fused=fused)
    for _ in range(3):
        np.testing.assert_array_equal(run(a).numpy(), 1.5 * expected)
