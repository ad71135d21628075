"""How NumPy's functions are called for all samples of a batch at once.

By NumPy's own batching: operands are aligned behind the hidden axis of the samples,
axes move on by one, and an index of arrays becomes positions. A family of functions is
one rule.
"""

from __future__ import annotations

import operator
import string
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from ..core.foreign import KINDS, invoke
from ..core.tree import leaves, mapped
from ..facts import Facts, facts_of, is_elementwise

if TYPE_CHECKING:
    from .batched import Lanes

Function = Callable[..., Any]
Rule = Callable[..., Any]
"""Takes a mapping, a function, its arguments and keywords; returns the results of all
samples, stacked, or NotImplemented where it must be called for each of them.
"""

RULES: dict[str, Rule] = {}
"""The rules by NumPy's names."""
SEVERAL = (np.atleast_1d, np.atleast_2d, np.atleast_3d)
"""Functions that take any number of arrays."""


def rule_of(function: Function, facts: Facts) -> Rule | None:
    """Return the rule of a function of NumPy's, None where it has none."""
    if is_elementwise(function) or facts.kind == "elementwise":
        return _elementwise
    if isinstance(getattr(function, "__self__", None), np.ufunc):
        return RULES.get(f"ufunc.{function.__name__}")
    return RULES.get(facts.name)


def outline(x: Any) -> Any:
    """Return an array of the shape and dtype of a batched one, without memory."""
    return np.broadcast_to(np.zeros((), x.dtype), x.shape) if type(x) in KINDS else x


def _for(names: str) -> Callable[[Rule], Rule]:
    def register(rule: Rule) -> Rule:
        RULES.update(dict.fromkeys(names.split(), rule))
        return rule

    return register


def _of(names: str, arguments: str) -> Callable[[Rule], Rule]:
    """Register a rule that takes arguments by position; with others there is none."""
    facts = Facts("", arguments=arguments)

    def register(rule: Rule) -> Rule:
        def bound(lanes: Lanes, function: Function, args: Any, kwargs: Any) -> Any:
            values = facts.bound(args, kwargs)
            if len(values) > len(facts.names):
                return NotImplemented
            return rule(lanes, function, *(values[name] for name in facts.names))

        return _for(names)(bound)

    return register


@_for("around round nan_to_num sinc i0 copyto astype copy view isclose conjugate")
@_for("ascontiguousarray conj zeros_like ones_like empty_like fill vecdot cross")
def _elementwise(lanes: Lanes, function: Function, args: Any, kwargs: Any) -> Any:
    """Align the operands behind the hidden axis."""
    alone = function is np.where and len(args) == 1
    if function in _OF_VECTORS and not all(map(np.ndim, args[:2])):
        return NotImplemented
    if alone or (function is np.cross and len(args) > 2) or _names_axes(kwargs):
        return NotImplemented
    args = [np.asarray(x) if isinstance(x, list) else x for x in args]
    return _aligned(lanes, function, args, kwargs)


_OF_VECTORS = (np.cross, getattr(np, "vecdot", np.cross))


def _names_axes(kwargs: Any) -> bool:
    return any(name.startswith("ax") for name in kwargs)


def _aligned(lanes: Lanes, function: Function, args: Any, kwargs: Any) -> Any:
    ndim = max(x.ndim for x in leaves((args, kwargs)) if _is_array(x))
    args, kwargs = mapped((args, kwargs), lambda x: lanes.full(x, ndim))
    if kwargs.get("shape") is not None:
        kwargs["shape"] = (lanes.size, *kwargs["shape"])
    return invoke(function, tuple(args), kwargs)


@_for("check_range")
def _check(lanes: Lanes, function: Function, args: Any, kwargs: Any) -> Any:
    """Check the values of all samples, one behind the other."""
    x, *others = args
    return invoke(function, (x.array.reshape(-1), *others), kwargs)


@_for("choose select")
def _choose(lanes: Lanes, function: Function, args: Any, kwargs: Any) -> Any:
    """Align the items of a list, which may be given as one array."""
    first, choices, *rest = args
    first = [*first] if function is np.select else first
    return _aligned(lanes, function, (first, [*choices], *rest), kwargs)


@_for("ufunc.outer")
def _outer(lanes: Lanes, function: Any, args: Any, kwargs: Any) -> Any:
    a, b = args
    a = a.reshape((*np.shape(a), *[1] * np.ndim(b)))
    return _elementwise(lanes, function.__self__, (a, b), kwargs)


def _flat(x: Any) -> Any:
    """Return the elements of each sample in a row."""
    return x.reshape((x.shape[0], prod(x.shape[1:])))


def _behind(axis: Any, ndim: int) -> Any:
    """Return axes of one sample as those of all."""
    if isinstance(axis, tuple | list | range):
        return tuple(i + 1 for i in normalize_axis_tuple([*axis], ndim))
    return normalize_axis_index(operator.index(axis), ndim) + 1


@dataclass(frozen=True)
class _Along:
    """The rule of functions along an axis, which is argument number `at`.

    Without an axis they take all of them, or the elements one behind the other.
    """

    at: int
    default: int | None = None
    flat: bool = False

    def __call__(self, lanes: Lanes, function: Function, args: Any, kwargs: Any) -> Any:
        x, before, after = args[0], args[1 : self.at], args[self.at + 1 :]
        axis = args[self.at] if len(args) > self.at else self.default
        kwargs = {"axis": axis, **kwargs}
        axis, ndim = kwargs.pop("axis"), np.ndim(x)
        aligned = {k: lanes.full(v, ndim) for k, v in kwargs.items() if k in _ALIGNED}
        others = {k: v for k, v in kwargs.items() if k not in _ALIGNED}
        if any(map(lanes.has, leaves((before, after, others)))):
            return NotImplemented
        x = lanes.stretched(x)
        if axis is None and self.flat:
            x, axis, ndim = _flat(x), 0, 1
        axis = _behind(range(ndim) if axis is None else axis, ndim)
        if after:
            return invoke(function, (x, *before, axis, *after), aligned | others)
        return invoke(function, (x, *before), {"axis": axis, **aligned, **others})


_ALIGNED = ("where", "out", "mean")
for _names, _along in {
    "sum prod max min amax amin any all mean std var ptp count_nonzero": _Along(1),
    "nansum nanprod nanmax nanmin nanmean nanstd nanvar median nanmedian": _Along(1),
    "flip": _Along(1),
    "ufunc.reduce ufunc.accumulate": _Along(1, 0),
    "argmax argmin cumsum cumprod nanargmax nanargmin": _Along(1, None, True),
    "sort argsort": _Along(1, -1, True),
    "partition argpartition": _Along(2, -1, True),
    "repeat": _Along(2, None, True),
    "sliding_window_view": _Along(2),
    "split array_split": _Along(2, 0),
    "diff": _Along(2, -1),
}.items():
    _for(_names)(_along)


@_for("percentile quantile nanpercentile nanquantile")
def _quantile(lanes: Lanes, function: Function, args: Any, kwargs: Any) -> Any:
    if kwargs.get("weights") is not None:
        return NotImplemented
    y = _Along(2)(lanes, function, args, kwargs)
    return y if y is NotImplemented else np.moveaxis(y, np.ndim(args[1]), 0)


@_for("roll")
def _roll(lanes: Lanes, function: Function, args: Any, kwargs: Any) -> Any:
    y = _Along(2, None, True)(lanes, function, args, kwargs)
    return y if y is NotImplemented else y.reshape((lanes.size, *args[0].shape))


@_of("linalg.norm", "x ord=None axis=None keepdims=False")
def _norm(
    lanes: Lanes, function: Function, x: Any, order: Any, axis: Any, keep: Any
) -> Any:
    if axis is None and x.ndim not in (1, 2):
        return NotImplemented
    axis = _behind(range(x.ndim) if axis is None else axis, x.ndim)
    if type(axis) is tuple and len(axis) == 1:
        axis = axis[0]
    return function(lanes.full(x), order, axis, keep)


@_for("reshape ravel flatten squeeze expand_dims")
@_for(" ".join(f.__name__ for f in SEVERAL))
def _reshape(lanes: Lanes, function: Function, args: Any, kwargs: Any) -> Any:
    orders = {*"FAK"} & {*leaves((args[1:], kwargs))}
    if orders - {"F"} or (len(args) > 1 and function in SEVERAL):
        return NotImplemented
    x = args[0]
    shape = function(outline(x), *args[1:], **kwargs).shape
    if orders:
        last = np.moveaxis(x.array, 0, -1).reshape((*shape, lanes.size), order="F")
        return np.moveaxis(last, -1, 0)
    y = x.array.reshape((lanes.size, *shape))
    if function is np.ndarray.flatten:
        return y.copy()
    if type(y) is np.ndarray and not np.may_share_memory(x.array, y):
        _protect(y, x.array, shape)
    return y


def _protect(y: Any, array: Any, shape: tuple[int, ...]) -> None:
    """Refuse writes to a copy where each sample would have been a view."""
    if y.size and np.may_share_memory(array[:1], array[:1].reshape((-1, *shape))):
        y.flags.writeable = False


@_for("transpose")
def _transpose(lanes: Lanes, function: Function, args: Any, kwargs: Any) -> Any:
    x, axes = args[0], [*args[1:], *kwargs.values()]
    axes = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes
    order = _behind(axes or range(x.ndim)[::-1], x.ndim) if x.ndim else ()
    return x.array.transpose((0, *order))


def _shift(names: str, arguments: str) -> None:
    """Register the rule of functions whose last two arguments are axes."""

    def rule(lanes: Lanes, function: Function, x: Any, *rest: Any) -> Any:
        *more, first, second = rest
        axes = _behind(first, x.ndim), _behind(second, x.ndim)
        return invoke(function, (x.array, *more, *axes), {})

    _of(names, arguments)(rule)


_shift("swapaxes", "a axis1 axis2")
_shift("moveaxis", "a source destination")
_shift("diagonal trace", "a offset=0 axis1=0 axis2=1")


@_of("rot90", "m k=1 axes=(0,1)")
def _rot90(lanes: Lanes, function: Function, x: Any, times: int, axes: Any) -> Any:
    return function(x.array, times, _behind(axes, x.ndim))


@_of("broadcast_to", "a shape")
def _broadcast_to(lanes: Lanes, function: Function, x: Any, shape: Any) -> Any:
    shape = tuple(shape) if isinstance(shape, tuple | list) else (shape,)
    return np.broadcast_to(lanes.full(x, len(shape)), (lanes.size, *shape))


@_for("broadcast_arrays")
def _broadcast_arrays(lanes: Lanes, function: Function, args: Any, kwargs: Any) -> Any:
    """Without memory of their own, as of one sample."""
    shape = np.broadcast_shapes(*map(np.shape, args))
    stretched = (lanes.full(lanes.wrap(lanes.stretched(x)), len(shape)) for x in args)
    return tuple(np.broadcast_to(x, (lanes.size, *shape)) for x in stretched)


@_of("tile", "A reps")
def _tile(lanes: Lanes, function: Function, x: Any, times: Any) -> Any:
    times = tuple(times) if isinstance(times, tuple | list) else (times,)
    ndim = max(x.ndim, len(times))
    times = (1,) * (ndim + 1 - len(times)) + times
    return np.tile(lanes.full(x, ndim), times)


@_for("tril triu")
def _triangle(lanes: Lanes, function: Function, args: Any, kwargs: Any) -> Any:
    return (
        NotImplemented if args[0].ndim < 2 else function(*_full(lanes, args), **kwargs)
    )


@_for("pad")
def _pad(lanes: Lanes, function: Function, args: Any, kwargs: Any) -> Any:
    x, width, *rest = args
    if isinstance(width, dict) or not all(map(np.isscalar, [*rest, *kwargs.values()])):
        return NotImplemented
    width = np.broadcast_to(np.asarray(width), (x.ndim, 2)).tolist()
    return function(x.array, [(0, 0), *width], *rest, **kwargs)


@_of("concatenate stack", "arrays axis=0")
def _join(lanes: Lanes, function: Function, arrays: Any, axis: Any) -> Any:
    parts = [*map(lanes.stretched, arrays)]
    if axis is None:
        parts, axis = [*map(_flat, parts)], 0
    ndim = np.ndim(parts[0]) - (function is np.concatenate)
    return function(parts, axis=_behind(axis, ndim))


# Indexing: by positions in a sample where the index holds arrays.


@_for("getitem")
def _getitem(lanes: Lanes, function: Function, args: Any, kwargs: Any) -> Any:
    x, index = args
    if all(map(_is_basic, _items(index))):
        return x.array[(slice(None), *_items(index))]
    if lanes.has(x) and not any(map(lanes.has, leaves(index))):
        at = _positions(x.shape, index)
        return np.take(_flat(x.array), at, axis=1)
    at = _each_position(lanes, x.shape, index)
    if at is None:
        return NotImplemented
    if not lanes.has(x):
        return invoke(operator.getitem, (x.reshape(-1), at), {})
    return x.array.reshape(-1)[at + _starts(lanes, x, at.ndim)]


@_for("setitem")
def _setitem(lanes: Lanes, function: Function, args: Any, kwargs: Any) -> Any:
    x, index, value = args
    if all(map(_is_basic, _items(index))):
        target = x.array[(slice(None), *_items(index))]
        target[...] = lanes.full(value, target.ndim - 1)
        return None
    at = _each_position(lanes, x.shape, index)
    if at is None or not x.flags.c_contiguous:
        return NotImplemented
    at = at + _starts(lanes, x, at.ndim)
    x.array.reshape(-1)[at] = lanes.full(value, at.ndim - 1)
    return None


@_for("add_at")
def _add_at(lanes: Lanes, function: Function, args: Any, kwargs: Any) -> Any:
    x, index, value = args
    at = _each_position(lanes, x.shape, index)
    if at is None or not x.flags.c_contiguous:
        return NotImplemented
    at = at + _starts(lanes, x, at.ndim)
    value = np.broadcast_to(lanes.full(value, at.ndim - 1), at.shape)
    invoke(function, (x.array.reshape(-1), at.reshape(-1), value.reshape(-1)), {})
    return None


@_for("convolved convolved_back convolved_filters")
def _convolution(lanes: Lanes, function: Function, args: Any, kwargs: Any) -> Any:
    """Take all samples for one batch, or their channels for groups of channels."""
    a, b, *rest, groups = args
    size, is_sum = lanes.size, facts_of(function).name == "convolved_filters"
    if not is_sum and not lanes.has(b):
        a = a.array.reshape(size * len(a), *a.shape[1:])
        y = invoke(function, (a, b, *rest, groups), {})
        return y.reshape(size, len(y) // size, *y.shape[1:])

    def joined(x: Any, channels: int) -> Any:
        x = np.moveaxis(lanes.stretched(x), 0, channels)
        before, (count, *after) = x.shape[:channels], x.shape[channels + 1 :]
        return x.reshape(*before, size * count, *after)

    a, b = joined(a, 1), joined(b, 1 if is_sum else 0)
    y = invoke(function, (a, b, *rest, size * groups), {})
    if is_sum:
        return y.reshape(size, len(y) // size, *y.shape[1:])
    y = y.reshape(len(y), size, y.shape[1] // size, *y.shape[2:])
    return np.moveaxis(y, 1, 0)


@_for("take")
def _take(lanes: Lanes, function: Function, args: Any, kwargs: Any) -> Any:
    if lanes.has(args[1]):
        return _take_each(lanes, function, args, kwargs)
    return _Along(2, None, True)(lanes, function, args, kwargs)


@_of("", "a indices axis=None")
def _take_each(lanes: Lanes, function: Function, a: Any, at: Any, axis: Any) -> Any:
    if axis is None:
        a, axis = a.reshape(-1), 0
    axis = normalize_axis_index(axis, a.ndim)
    return _getitem(lanes, function, (a, (*[slice(None)] * axis, at)), {})


@_of("take_along_axis", "arr indices axis")
def _take_by_axis(lanes: Lanes, function: Function, a: Any, at: Any, axis: Any) -> Any:
    if axis is None:
        return NotImplemented
    axis = _behind(axis, np.ndim(a))
    return function(lanes.stretched(a), lanes.stretched(at), axis)


@_of("put_along_axis", "arr indices values axis")
def _put_by_axis(
    lanes: Lanes, function: Function, a: Any, at: Any, values: Any, axis: Any
) -> Any:
    if axis is None:
        return NotImplemented
    values = lanes.full(values, a.ndim)
    return function(a.array, lanes.stretched(at), values, _behind(axis, a.ndim))


def _is_array(x: Any) -> bool:
    return isinstance(x, np.ndarray | np.generic) or type(x) in KINDS


def _is_basic(item: Any) -> bool:
    """Whether an item of an index makes a view."""
    kinds = (int, np.integer, slice, type(None), type(Ellipsis))
    return isinstance(item, kinds) and not isinstance(item, bool)


def _items(index: Any) -> tuple[Any, ...]:
    return index if type(index) is tuple else (index,)


def _positions(shape: tuple[int, ...], index: Any) -> Any:
    """Return the flat position of each element that an index selects."""
    return invoke(operator.getitem, (np.arange(prod(shape)).reshape(shape), index), {})


def _starts(lanes: Lanes, x: Any, ndim: int) -> Any:
    """Return where in all samples each of them begins."""
    steps = np.arange(lanes.size) * x.size
    return steps.reshape((-1, *[1] * (ndim - 1)))


def _each_position(lanes: Lanes, shape: tuple[int, ...], index: Any) -> Any:
    """Return the positions that an index selects in each sample, None for masks."""
    items = _items(index)
    arrays = [i for i in items if _is_array(i) or isinstance(i, list)]
    if not any(map(lanes.has, arrays)):
        return np.broadcast_to(p := _positions(shape, index), (lanes.size, *p.shape))
    masks = (i.dtype if lanes.has(i) else np.asarray(i).dtype for i in arrays)
    if bool in masks or any(isinstance(i, bool) for i in items):
        return None
    # All of an index that is advanced, and where NumPy puts the axes that it makes.
    advanced = [
        k for k, i in enumerate(items) if _is_array(i) or isinstance(i, list | int)
    ]
    ndim = max(np.ndim(items[k]) for k in advanced)
    apart = advanced[-1] - advanced[0] >= len(advanced)
    full = [lanes.full(i, ndim) if lanes.has(i) else i for i in items]
    at = _positions(shape, tuple(full))
    before = 0 if apart else _axes_before(items[: advanced[0]], items, len(shape))
    return np.moveaxis(at, before, 0)


def _axes_before(first: Any, items: Any, ndim: int) -> int:
    """Return how many axes the first items of an index select."""
    taken = sum(i is not None and i is not Ellipsis for i in items)
    return sum(ndim - taken if i is Ellipsis else 1 for i in first)


# Linear algebra.


@_for("matmul")
def _matmul(lanes: Lanes, function: Function, args: Any, kwargs: Any) -> Any:
    a, b = args[:2]
    if lanes.has(out := kwargs.get("out")):
        out.array[...] = _matmul(lanes, function, args, {})
        return out.array
    if len(args) > 2 or kwargs or not (np.ndim(a) and np.ndim(b)):
        return NotImplemented
    row, column = np.ndim(a) == 1, np.ndim(b) == 1
    if not lanes.has(b) and b.ndim == 2:
        # One product of matrices for all.
        return _rows(lanes.full(a), b)
    if not lanes.has(a) and a.ndim == 2 and (column or b.shape[1:] == (1,)):
        y = _rows(lanes.full(b.reshape(-1)), a.swapaxes(0, 1))
        return y if column else y[..., None]
    a = a[None, :] if row else a
    b = b[:, None] if column else b
    ndim = max(a.ndim, b.ndim)
    a, b = lanes.full(a, ndim), lanes.full(b, ndim)
    y = a * b if a.shape[-1] == 1 == b.shape[-2] else np.matmul(a, b)
    y = y[..., 0] if column else y
    return y[..., 0] if row and column else y[..., 0, :] if row else y


def _rows(a: Any, b: Any) -> Any:
    y = a.reshape((prod(a.shape[:-1]), a.shape[-1])) @ b
    return y.reshape((*a.shape[:-1], b.shape[-1]))


@_of("tensordot", "a b axes=2")
def _tensordot(lanes: Lanes, function: Function, a: Any, b: Any, axes: Any) -> Any:
    if isinstance(axes, int):
        axes = range(a.ndim - axes, a.ndim), range(axes)
    ours, theirs = (
        normalize_axis_tuple([*i] if isinstance(i, range) else i, x.ndim)
        for i, x in zip(axes, (a, b), strict=True)
    )
    left = [i for i in range(a.ndim) if i not in ours]
    right = [i for i in range(b.ndim) if i not in theirs]
    length = prod(a.shape[i] for i in ours)
    shape = [a.shape[i] for i in left] + [b.shape[i] for i in right]
    a = a.transpose((*left, *ours)).reshape((prod(shape[: len(left)]), length))
    b = b.transpose((*theirs, *right)).reshape((length, prod(shape[len(left) :])))
    return _matmul(lanes, np.matmul, (a, b), {}).reshape((lanes.size, *shape))


@_for("einsum")
def _einsum(lanes: Lanes, function: Function, args: Any, kwargs: Any) -> Any:
    text, *operands = args
    if not isinstance(text, str):
        return NotImplemented
    letter = next(c for c in string.ascii_letters if c not in text)
    inputs, arrow, output = text.partition("->")
    if not arrow:
        once = sorted(c for c in {*inputs} - {*" ,."} if inputs.count(c) == 1)
        output = "".join(["..." * ("..." in inputs), *once])
    parts = [
        letter + part.strip() if lanes.has(x) else part
        for part, x in zip(inputs.split(","), operands, strict=True)
    ]
    text = f"{','.join(parts)}->{letter}{output.strip()}"
    return np.einsum(text, *_full(lanes, operands), **kwargs)


@_for("linalg.inv linalg.det linalg.slogdet linalg.eigh linalg.eigvalsh linalg.svd")
@_for("linalg.svdvals linalg.qr linalg.cholesky linalg.pinv linalg.matrix_rank")
@_for("linalg.cond linalg.matrix_transpose")
def _of_matrices(lanes: Lanes, function: Function, args: Any, kwargs: Any) -> Any:
    if args[0].ndim < 2 or any(map(lanes.has, leaves((args[1:], kwargs)))):
        return NotImplemented
    return function(args[0].array, *args[1:], **kwargs)


@_of("linalg.solve", "a b")
def _solve(lanes: Lanes, function: Function, a: Any, b: Any) -> Any:
    column = b.ndim == 1
    if a.ndim < 2:
        return NotImplemented
    b = b[:, None] if column else b
    ndim = max(a.ndim, b.ndim)
    y = function(lanes.full(a, ndim), lanes.full(b, ndim))
    return y[..., 0] if column else y


def _full(lanes: Lanes, args: Any) -> Any:
    return [*map(lanes.full, args)]
