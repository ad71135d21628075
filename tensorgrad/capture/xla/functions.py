"""NumPy's functions by those of ``jax.numpy``, with NumPy's promotion of dtypes.

jax.numpy has NumPy's names, so a function is looked up by its name. What is called
otherwise there, or writes to an argument, has a rule of a line or two here. Arrays of
JAX are never written to: a rule for what writes returns the new contents.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

import numpy as np

from ... import extras
from ...facts import facts_of, is_elementwise

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
    function = _plain(function)
    form = getattr(function, "form", None)
    if form is not None:
        return form(evaluate(getattr(function, "function"), args, kwargs))  # noqa: B009
    name = facts_of(function).name
    if is_elementwise(function):
        args = _cast(function, args)
    rule = RULES.get(name) or _of_ufunc(function) or _named(name)
    if rule is None or name in _OTHERWISE:
        raise LoweringError("has no counterpart in JAX")
    try:
        return rule(*args, **_usual(kwargs))
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
    name = facts_of(_plain(function)).name
    if name not in WRITES:
        raise LoweringError("writes to an array, as nothing in JAX does")
    return WRITES[name](*args, **kwargs)


class LoweringError(Exception):
    """A function has no counterpart in JAX, or not for such arguments."""


def _plain(function: Function) -> Function:
    """Return NumPy's function in place of one of the recorder's."""
    while isinstance(function, FunctionType) and hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    return function


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


_MEANINGLESS = ("kind", "order", "optimize", "casting", "subok")
_OTHERWISE = ("partition", "argpartition")
"""Functions that JAX has, with elements in another order."""


def _usual(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Leave out what only says how NumPy computes, and what says nothing."""
    return {
        key: value
        for key, value in kwargs.items()
        if key not in _MEANINGLESS
        and value is not np._NoValue
        and (value is not None or key == "axis")
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


@_for("astype", RULES)
def _astype(a: Any, dtype: Any, *_: Any, **__: Any) -> Any:
    return jnp.asarray(a, np.dtype(dtype))


@_for("copy ascontiguousarray asarray positive conjugate conj", RULES)
def _same(a: Any, *_: Any, **__: Any) -> Any:
    return jnp.asarray(a)


@_for("zeros_like empty_like", RULES)
def _zeros_like(a: Any, dtype: Any = None, *_: Any, shape: Any = None) -> Any:
    return jnp.zeros(np.shape(a) if shape is None else shape, dtype or a.dtype)


@_for("ones_like", RULES)
def _ones_like(a: Any, dtype: Any = None, *_: Any, shape: Any = None) -> Any:
    return jnp.ones(np.shape(a) if shape is None else shape, dtype or a.dtype)


@_for("reshape", RULES)
def _reshape(a: Any, *shape: Any) -> Any:
    return jnp.reshape(a, shape[0] if len(shape) == 1 else shape)


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


@_for("sort", RULES)
def _sorted(a: Any, axis: Any = -1, *_: Any, **__: Any) -> Any:
    return jnp.sort(a, axis)


@_for("argsort", RULES)
def _argsorted(a: Any, axis: Any = -1, *_: Any, **__: Any) -> Any:
    return jnp.argsort(a, axis)


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
    return jnp.take(a, indices, axis, mode="fill" if mode == "raise" else mode)


# What writes to its first argument.


@_for("setitem", WRITES)
def _setitem(a: Any, index: Any, value: Any) -> Any:
    return a.at[_index(index)].set(jnp.asarray(value).astype(a.dtype))


@_for("add_at", WRITES)
def _add_at(a: Any, index: Any, value: Any) -> Any:
    return a.at[_index(index)].add(jnp.asarray(value).astype(a.dtype))


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
    return jnp.put(a, ind, v, inplace=False)


@_for("fill_diagonal", WRITES)
def _fill_diagonal(a: Any, val: Any, wrap: bool = False) -> Any:
    return jnp.fill_diagonal(a, val, wrap, inplace=False)


@_for("nan_to_num", WRITES)
def _nan_to_num(x: Any, *args: Any, copy: bool = False, **kwargs: Any) -> Any:
    return jnp.nan_to_num(x, *args, **kwargs)


@_for("sort", WRITES)
def _sort(a: Any, axis: int = -1, **_: Any) -> Any:
    return jnp.sort(a, axis)


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
