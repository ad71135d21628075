"""NumPy's functions by those of ``jax.numpy``, with NumPy's promotion of dtypes.

jax.numpy has NumPy's names, so a function is looked up by its name. What is called
otherwise there, or writes to an argument, has a rule of a line or two here. Arrays of
JAX are never written to: a rule for what writes returns the new contents.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

import numpy as np

from ... import extras
from ...core.tree import leaves
from ...facts import facts_of, is_elementwise
from ..recording.structure import Plainly, Steady

jax: Any = extras.load("jax", "xla", 'tg.compile(target="xla")')
jnp: Any = jax.numpy
float64: Callable[..., Any] = jax.enable_x64
"""Inside ``float64(True)`` JAX computes in float64 where NumPy does."""

Function = Callable[..., Any]

RULES: dict[str, Function] = {}
"""Functions of JAX arrays, by NumPy's names."""
WRITES: dict[str, Function] = {}
"""Functions that return what the first argument holds after the call."""


def _for(names: str, table: dict[str, Function]) -> Callable[[Function], Function]:
    def register(rule: Function) -> Function:
        table.update(dict.fromkeys(names.split(), rule))
        return rule

    return register


def evaluate(function: Function, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Return what a function of NumPy's returns, computed by JAX.

    Parameters
    ----------
    function : callable
        As in a program; it writes to nothing.
    args, kwargs
        Arrays of JAX, arrays of NumPy, numbers, and nests of them.

    Raises
    ------
    LoweringError
        If JAX has no such function, or not with these arguments.
    """
    function = plain(function)
    name = facts_of(function).name
    if is_elementwise(function):
        args = _cast(function, args)
    elif facts_of(function).kind in ("reduction", "cumulative") and not np.ndim(
        args[0]
    ):
        # NumPy takes an axis of what has none.
        args = jnp.reshape(args[0], 1), *args[1:]
    rule = RULES.get(name) or _of_ufunc(function) or _named(name)
    if rule is None:
        raise LoweringError("has no counterpart in JAX")
    try:
        return rule(*args, **_usual(function, kwargs))
    except Exception as error:
        why = str(error).strip().partition("\n")[0]
        raise LoweringError(
            f"has none in JAX that takes its arguments: {why}"
        ) from error


def updated(function: Function, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Return what the first argument holds after a function has written to it.

    Raises
    ------
    LoweringError
        As `evaluate`.
    """
    name = facts_of(plain(function)).name
    if name not in WRITES:
        raise LoweringError("writes to an array, as nothing in JAX does")
    return WRITES[name](*args, **kwargs)


class LoweringError(Exception):
    """A function has no counterpart in JAX, or not for such arguments."""


def plain(function: Function) -> Any:
    """Return NumPy's function in place of one of the recorder's."""
    while True:
        if isinstance(function, Plainly | Steady):
            function = function.function
        elif isinstance(function, FunctionType) and hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        else:
            return function


def native(x: Any) -> Any:
    """Return an array, or a dtype, in the order of bytes that JAX knows."""
    if isinstance(x, np.ndarray | np.generic):
        return x.astype(native(x.dtype), copy=False)
    return np.dtype(x).newbyteorder("=")


def _named(name: str) -> Function | None:
    home, _, rest = name.rpartition(".")
    return getattr(getattr(jnp, home) if home else jnp, rest, None)


def _of_ufunc(function: Function) -> Function | None:
    """Return the method of a ufunc, such as ``reduce``."""
    ufunc = getattr(function, "__self__", None)
    if not isinstance(ufunc, np.ufunc):
        return None
    name = facts_of(function).name
    if not name.endswith(("reduce", "accumulate")):
        return lambda a, axis=0, *rest, **more: _named(name)(a, axis, *rest, **more)  # type: ignore[misc]
    return getattr(getattr(jnp, ufunc.__name__, None), function.__name__, None)


def _cast(ufunc: Any, args: Sequence[Any]) -> list[Any]:
    """Cast operands to the dtypes that NumPy computes in."""
    kinds = [_kind(x) for x in args[: ufunc.nin]]
    loop = ufunc.resolve_dtypes((*kinds, *[None] * ufunc.nout))
    operands = zip(args[: ufunc.nin], loop[: ufunc.nin], strict=True)
    return [jnp.asarray(x, dtype) for x, dtype in operands]


def _kind(x: Any) -> Any:
    if getattr(x, "weak_type", False):
        return float if x.dtype.kind == "f" else int
    return np.dtype(x.dtype) if hasattr(x, "dtype") else _NUMBERS.get(type(x), type(x))


_NUMBERS = {bool: np.dtype(bool)}


_ALONG = ("reduction", "cumulative")
_MEANINGLESS = ("kind", "order", "optimize", "casting", "subok")


def _usual(function: Function, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Leave out what only says how NumPy computes, and what says nothing."""
    # These take the elements in that order; others only lay them out so.
    moves = facts_of(function).name in ("reshape", "ravel", "flatten")
    return {
        key: value
        for key, value in kwargs.items()
        if (key not in _MEANINGLESS or (moves and key == "order"))
        and value is not np._NoValue
        and (value is not None or key == "axis")
        and not (key == "where" and value is True)
    }


def _index(index: Any) -> Any:
    """Return an index with arrays in place of lists, which JAX refuses."""
    if type(index) is tuple:
        return tuple(_index(i) for i in index)
    return np.asarray(index) if type(index) is list else index


def _contents(new: Any, a: Any) -> Any:
    """Return new contents for an array, of its shape and dtype."""
    return jnp.broadcast_to(jnp.asarray(new).astype(a.dtype), a.shape)


@_for("getitem", RULES)
def _getitem(a: Any, index: Any) -> Any:
    return jnp.asarray(a).at[_index(index)].get(mode="fill")


def counted(index: Any, shape: tuple[int, ...]) -> Any:
    """Return an index that selects as much as ever, where a mask tells how much."""
    if not is_mask(index) or isinstance(index, np.ndarray):
        return index
    return jnp.nonzero(index, size=shape[0], fill_value=0)


def is_mask(index: Any) -> bool:
    """Whether an index is an array of truth values."""
    return bool(getattr(index, "dtype", None) == np.bool_)


@_for("astype", RULES)
def _astype(a: Any, dtype: Any, *_: Any, **__: Any) -> Any:
    dtype = native(dtype)
    if dtype.kind == "u" and a.dtype.kind == "f":
        # NumPy lets negative numbers go round, XLA makes zeros of them.
        a = jnp.asarray(a, np.int64)
    return jnp.asarray(a, dtype)


@_for("copy ascontiguousarray asarray positive conjugate conj", RULES)
def _same(a: Any, *_: Any, **__: Any) -> Any:
    return jnp.asarray(a)


@_for("floor_divide", RULES)
def _floor_divide(a: Any, b: Any) -> Any:
    y = jnp.floor_divide(a, b)
    # NumPy gives 0 where it warns that whole numbers are divided by 0.
    return y if y.dtype.kind == "f" else jnp.where(jnp.equal(b, 0), 0, y)


@_for("divmod", RULES)
def _divmod(a: Any, b: Any) -> Any:
    return _floor_divide(a, b), jnp.remainder(a, b)


@_for("zeros_like empty_like", RULES)
def _zeros_like(a: Any, dtype: Any = None, *_: Any, shape: Any = None) -> Any:
    return jnp.zeros(np.shape(a) if shape is None else shape, dtype or a.dtype)


@_for("ones_like", RULES)
def _ones_like(a: Any, dtype: Any = None, *_: Any, shape: Any = None) -> Any:
    return jnp.ones(np.shape(a) if shape is None else shape, dtype or a.dtype)


@_for("reshape", RULES)
def _reshape(a: Any, *shape: Any, order: str = "C") -> Any:
    if isinstance(shape[-1], str):
        shape, order = shape[:-1], shape[-1]
    return jnp.reshape(a, shape[0] if len(shape) == 1 else shape, order)


@_for("ravel flatten", RULES)
def _ravel(a: Any, order: str = "C") -> Any:
    return jnp.ravel(a, order)


@_for("transpose", RULES)
def _transpose(a: Any, *axes: Any) -> Any:
    if len(axes) == 1:
        (axes,) = axes
    return jnp.transpose(a, axes or None)


@_for("where", RULES)
def _where(condition: Any, x: Any, y: Any) -> Any:
    dtype = np.result_type(*(_operand(v) for v in (x, y)))
    return jnp.where(condition, jnp.asarray(x, dtype), jnp.asarray(y, dtype))


def _operand(x: Any) -> Any:
    """Return what stands for an operand where NumPy promotes."""
    kind = _kind(x)
    return kind(0) if isinstance(kind, type) else kind


@_for("concatenate stack", RULES)
def _joined(arrays: Any, axis: Any = 0, *, name: str = "concatenate") -> Any:
    dtype = np.result_type(*(_operand(a) for a in arrays))
    return getattr(jnp, name)([jnp.asarray(a, dtype) for a in arrays], axis)


RULES["stack"] = lambda arrays, axis=0: _joined(arrays, axis, name="stack")


@_for("sliding_window_view", RULES)
def _windows(x: Any, window_shape: Any, axis: Any = None) -> Any:
    """Return windows by slices: one for each place in a window."""
    axes = range(x.ndim) if axis is None else np.atleast_1d(axis)
    for i, length in zip(axes, np.atleast_1d(window_shape), strict=True):
        last = x.shape[i] - length + 1
        parts = [jax.lax.slice_in_dim(x, k, k + last, axis=i) for k in range(length)]
        x = jnp.stack(parts, -1)
    return x


@_for("tensordot", RULES)
def _tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    pair = isinstance(axes, tuple | list)
    return jnp.tensordot(a, b, tuple(_numbers(x) for x in axes) if pair else axes)


def _numbers(x: Any) -> Any:
    return tuple(x) if isinstance(x, range | list | tuple) else x


# Of all orders in which a partition may leave the elements, sorting gives one.


@_for("sort", RULES)
def _sorted(a: Any, axis: Any = -1, *_: Any, **__: Any) -> Any:
    return jnp.sort(a, axis)


@_for("partition", RULES)
def _partitioned(a: Any, kth: Any, axis: Any = -1, *_: Any, **__: Any) -> Any:
    return jnp.sort(a, axis)


@_for("argsort", RULES)
def _argsorted(a: Any, axis: Any = -1, *_: Any, **__: Any) -> Any:
    return jnp.argsort(a, axis)


@_for("argpartition", RULES)
def _argpartitioned(a: Any, kth: Any, axis: Any = -1, *_: Any, **__: Any) -> Any:
    return jnp.argsort(a, axis)


@_for("tril triu", RULES)
def _triangle(a: Any, k: int = 0, *, name: str = "tril") -> Any:
    square = jnp.shape(a)[-1:] * 2
    return getattr(jnp, name)(jnp.broadcast_to(a, square) if a.ndim == 1 else a, k)


RULES["triu"] = lambda a, k=0: _triangle(a, k, name="triu")


@_for("convolve", RULES)
def _convolve(a: Any, v: Any, mode: str = "full") -> Any:
    return jnp.convolve(jnp.atleast_1d(a), jnp.atleast_1d(v), mode)


@_for("linalg.pinv", RULES)
def _pinv(a: Any, rcond: Any = None, *, rtol: Any = None) -> Any:
    return jnp.linalg.pinv(a, rtol=rcond if rtol is None else rtol)


@_for("choose", RULES)
def _choose(index: Any, choices: Any) -> Any:
    every = jnp.broadcast_arrays(index, *choices)
    dtype = np.result_type(*(_operand(c) for c in choices))
    rows = jnp.stack([c.astype(dtype) for c in every[1:]])
    return jnp.take_along_axis(rows, every[0][None], 0, mode="fill")[0]


@_for("take", RULES)
def _take(a: Any, indices: Any, axis: Any = None, mode: str = "fill") -> Any:
    mode = "fill" if mode == "raise" else mode
    return jnp.take(a, jnp.asarray(indices), axis, mode=mode)


# What writes to its first argument.


@_for("setitem", WRITES)
def _setitem(a: Any, index: Any, value: Any) -> Any:
    index, value = _index(index), jnp.asarray(value).astype(a.dtype)
    if not _arrays_in(index):
        return a.at[index].set(value)
    if is_mask(index):
        return _masked(a, index, value)
    at, is_last = _places(a.shape, index)
    at = jnp.where(is_last, at, a.size).reshape(-1)
    value = jnp.broadcast_to(value, is_last.shape).reshape(-1)
    return a.reshape(-1).at[at].set(value, mode="drop").reshape(a.shape)


def _masked(a: Any, mask: Any, value: Any) -> Any:
    """Return an array with values where a mask holds, one for each or all in turn."""
    if not value.size:
        return a
    rest = a.shape[mask.ndim :]
    if value.ndim > len(rest) and len(value) > 1:
        turns = jnp.cumsum(mask.reshape(-1)).reshape(mask.shape) - 1
        value = jnp.take(value, turns, axis=0, mode="clip")
    return jnp.where(mask.reshape((*mask.shape, *[1] * len(rest))), value, a)


def _places(shape: tuple[int, ...], index: Any) -> tuple[Any, Any]:
    """Return the places that an index selects, and whether it selects none later.

    Where it selects a place several times, the last of the values stays.
    """
    size = math.prod(shape)
    at = jnp.arange(size).reshape(shape).at[index].get(mode="fill", fill_value=size)
    turns = jnp.arange(at.size).reshape(at.shape)
    last = jnp.full(size, -1).at[at.reshape(-1)].max(turns.reshape(-1), mode="drop")
    return at, last[at] == turns


def _arrays_in(index: Any) -> bool:
    return any(np.ndim(i) for i in leaves(index))


@_for("index_update", RULES)
def _index_update(a: Any, values: Any, index: Any) -> Any:
    return _setitem(a, index, values)


@_for("_updated_by", RULES)
def _updated_by(g: Any, shape: tuple[int, ...], index: Any) -> Any:
    """Return the gradient of the values of an update: of those that stayed."""
    index = _index(index)
    return jnp.where(_places(shape, index)[1], _getitem(g, index), 0)


def _sliding(window: Any, groups: int) -> Function:
    """Return a convolution, a function of samples and filters."""
    return functools.partial(
        jax.lax.conv_general_dilated,
        window_strides=window.stride,
        padding=window.padding,
        rhs_dilation=window.dilation,
        feature_group_count=groups,
        precision="highest",
    )


def _alike(*arrays: Any) -> list[Any]:
    kind = np.result_type(*(x.dtype for x in arrays))
    return [jnp.asarray(x).astype(kind) for x in arrays]


@_for("convolved", RULES)
def _convolved(x: Any, weight: Any, window: Any, groups: int) -> Any:
    return _sliding(window, groups)(*_alike(x, weight))


@_for("convolved_back", RULES)
def _convolved_back(
    z: Any, weight: Any, lengths: tuple[int, ...], window: Any, groups: int
) -> Any:
    z, weight = _alike(z, weight)
    shape = len(z), groups * weight.shape[1], *lengths
    samples = jax.ShapeDtypeStruct(shape, z.dtype)
    return _transposed(lambda x: _sliding(window, groups)(x, weight), samples, z)


@_for("convolved_filters", RULES)
def _convolved_filters(x: Any, z: Any, window: Any, groups: int) -> Any:
    x, z = _alike(x, z)
    shape = z.shape[1], x.shape[1] // groups, *window.kernel
    filters = jax.ShapeDtypeStruct(shape, x.dtype)
    return _transposed(lambda w: _sliding(window, groups)(x, w), filters, z)


def _transposed(function: Function, like: Any, y: Any) -> Any:
    return jax.linear_transpose(function, like)(y)[0]


@_for("add_at", WRITES)
def _add_at(a: Any, index: Any, value: Any) -> Any:
    index, value = _index(index), jnp.asarray(value).astype(a.dtype)
    if is_mask(index) and value.ndim + index.ndim > a.ndim:
        index = jnp.nonzero(index, size=len(value), fill_value=a.size)
    return a.at[index].add(value)


@_for("copyto", WRITES)
def _copyto(a: Any, src: Any, where: Any = True) -> Any:
    return jnp.where(where, _contents(src, a), a)


@_for("fill", WRITES)
def _fill(a: Any, value: Any) -> Any:
    return _contents(value, a)


@_for("power", WRITES)
def _power(a: Any, exponent: Any) -> Any:
    return _contents(evaluate(np.power, (a, exponent), {}), a)


@_for("put_along_axis", WRITES)
def _put_along_axis(a: Any, indices: Any, values: Any, axis: Any = -1) -> Any:
    return jnp.put_along_axis(a, indices, values, axis, inplace=False)


@_for("put", WRITES)
def _put(a: Any, ind: Any, v: Any) -> Any:
    return jnp.put(a, np.asarray(ind), v, inplace=False)


@_for("fill_diagonal", WRITES)
def _fill_diagonal(a: Any, val: Any, wrap: bool = False) -> Any:
    return jnp.fill_diagonal(a, val, wrap, inplace=False)


@_for("nan_to_num", WRITES)
def _nan_to_num(x: Any, *args: Any, copy: bool = False, **kwargs: Any) -> Any:
    return jnp.nan_to_num(x, *args, **kwargs)


WRITES |= {name: RULES[name] for name in ("sort", "partition")}


# Products and quotients of gradient rules, in which zero annihilates.


def _annihilating(function: Function, zeros: Function) -> Function:
    def rule(a: Any, b: Any) -> Any:
        y = evaluate(function, (a, b), {})
        return jnp.where((y != y) & zeros(jnp.asarray(a), jnp.asarray(b)), 0, y)

    return rule


RULES |= {
    "scaled": _annihilating(np.multiply, lambda a, b: (a == 0) | (b == 0) & (a == a)),
    "divided": _annihilating(
        np.divide, lambda a, b: (a == 0) | jnp.isinf(b) & (a == a)
    ),
    "hushed": _annihilating(np.multiply, lambda a, b: (a == 0) | (b == 0)),
}
