"""Objects of other libraries that meet a tensor.

A tensor computes with tensors, with NumPy's arrays and scalars, with numbers, and with
lists of those. Any other array may know more than its values: a mask, a unit, labels, a
gradient of its own. So it is asked, by NumPy's protocol, whether it computes with the
tensor itself; if it does not, it is refused. What is only taken for data, as by the
constructor or an index, may leave its labels behind, but no mask and no unit.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from numbers import Real
from types import EllipsisType, NoneType
from typing import Any
from weakref import WeakSet

import numpy as np

from ..facts import KNOWN, of_elements

_DTYPES = [np.dtype(code) for code in np.typecodes["AllInteger"] + "?efdgFDG"]

NATIVE: set[type] = {
    *(np.ndarray, np.memmap, NoneType, EllipsisType, slice, str, bytes, type),
    *(bool, int, float, complex, *map(type, _DTYPES)),
    *(dtype.type for dtype in _DTYPES),
}
"""Types of arguments that are taken as they are; kinds of arrays of ours join them."""

KINDS: set[type] = set()
"""Kinds of arrays of ours."""

_OF_ARRAYS = (
    *("__array__", "__array_interface__", "__array_struct__", "__array_ufunc__"),
    *("__array_function__", "__array_priority__", "__dlpack__"),
)
_FEW = 16
_MEANINGS = ("mask", "unit", "units")
_VALUES = {
    "filled": ".filled(value)",
    "magnitude": ".magnitude",
    "to_numpy": ".to_numpy()",
    "toarray": ".toarray()",
    "detach": ".detach().numpy()",
}


class _IsArray(dict[type, bool]):
    """Whether objects of a type offer themselves as arrays, and are not ours."""

    def __missing__(self, kind: type) -> bool:
        # Not kept for a type of ours, which may join them later.
        if kind in NATIVE:
            return False
        self[kind] = any(hasattr(kind, name) for name in _OF_ARRAYS)
        return self[kind]


is_array = _IsArray().__getitem__


def is_number(kind: type) -> bool:
    """Whether objects of a type compute by operators of their own, not as arrays."""
    if kind in NATIVE or is_array(kind) or issubclass(kind, list | tuple | Real):
        return False
    return hasattr(kind, "__radd__")


def operand(value: Any, name: str = "") -> Any:
    """Return a value to compute with, refusing arrays that mean more than their values.

    Raises
    ------
    TypeError
        For an array of another library; the message says what came and what to do.
    """
    kind = type(value)
    if kind is list or kind is tuple:
        for other in arrays(value):
            raise refusal(other, name)
        return np.asarray(value)
    if kind in NATIVE or isinstance(value, int | float):
        return value
    if is_array(kind) or is_number(kind):
        raise refusal(value, name)
    return float(value) if isinstance(value, Real) else value


def values(data: Any, name: str) -> Any:
    """Return a value as data, refusing arrays that mean more than their numbers.

    Raises
    ------
    TypeError
        For an array with a mask or a unit.
    """
    for other in arrays(data):
        for meaning in _MEANINGS:
            # A property, not a method such as that of pandas.
            if not callable(getattr(type(other), meaning, refusal)):
                raise TypeError(
                    f"{name}: a {_kind(other)} would lose its {meaning.rstrip('s')}; "
                    f"pass {_remedy(other)}"
                )
    return data


def computed(
    function: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Let another library's array compute a call with a tensor.

    Raises
    ------
    TypeError
        If none of those among the arguments takes it.
    """
    others = [*arrays((args, tuple(kwargs.values())))]
    for other in others:
        try:
            answer = _asked(other, function, args, kwargs)
        except TypeError as error:
            if type(error) is not TypeError:
                raise  # of units that do not fit, it says so itself
            raise refusal(other, name) from error
        if answer is not NotImplemented:
            return answer
    raise refusal(others[0], name)


def _asked(
    other: Any, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Return the answer of an array to NumPy's protocol for a call."""
    name = f"__array_{'ufunc' if isinstance(function, np.ufunc) else 'function'}__"
    ask = getattr(type(other), name, None)
    if ask is None or ask is getattr(np.ndarray, name):
        return NotImplemented
    if name == "__array_ufunc__":
        return ask(other, function, "__call__", *args, **kwargs)
    return ask(other, function, {*map(type, args), type(other)}, args, kwargs)


def holds_array(tree: Any) -> bool:
    """Whether there is an array of another library in a value or in lists of them."""
    return any(True for _ in arrays(tree))


def arrays(tree: Any) -> Iterator[Any]:
    """Yield the arrays of other libraries in a value and in lists of them."""
    kind = type(tree)
    if kind is list or kind is tuple:
        # A list that begins with a number holds nothing else.
        if tree and (type(tree[0]) not in NATIVE or len(tree) < _FEW):
            for item in tree:
                yield from arrays(item)
    elif is_array(kind):
        yield tree


def refusal(value: Any, name: str) -> TypeError:
    """Return the error for an array that a tensor cannot compute with."""
    start = f"{name}: " if name else ""
    if not is_array(type(value)):
        return TypeError(
            f"{start}expected an array or a number, got a {_kind(value)}; convert it "
            "with float()"
        )
    return TypeError(
        f"{start}a Tensor does not compute with a {_kind(value)}, of which it would "
        "keep the values alone and lose labels, a mask, a unit or a gradient; pass its "
        f"values, {_remedy(value)}"
    )


def _kind(value: Any) -> str:
    kind = type(value)
    return f"{kind.__module__.partition('.')[0]}.{kind.__qualname__}"


def _remedy(value: Any) -> str:
    for name, remedy in _VALUES.items():
        if hasattr(type(value), name):
            return remedy
    return "np.asarray(...)"


def kind_among(values: Any) -> Any:
    """Return the array of a kind of ours in a nest that makes calls with the others,
    None where there is none.
    """
    if type(values) in KINDS:
        return values
    found = None
    if type(values) is tuple or type(values) is list:
        for value in values:
            x = kind_among(value)
            if x is not None and (found is None or found.yields_to(x)):
                found = x
    return found


def invoke(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Call a function of NumPy, also where its keywords alone are of a kind of ours."""
    x = kind_among((args, tuple(kwargs.values())))
    return function(*args, **kwargs) if x is None else x.call(function, args, kwargs)


def memory_of(value: Any) -> Any:
    """Return the ndarray whose memory a kind of ours stands for; others as they are."""
    return value.memory if type(value) in KINDS else value


DISPATCHED: dict[Any, bool] = {}
"""Functions of ours that kinds are asked for, and whether each writes in place."""


def dispatched(
    function: Callable[..., Any], writes: bool = False, element: str = ""
) -> Any:
    """Let a kind of array implement a function, as it does NumPy's own.

    The function may look at values, and raise or warn by them. One of two broadcast
    operands and `out` is told by what kernels call it for an `element`.
    """
    DISPATCHED[function] = writes
    if element:
        KNOWN[function] = of_elements(element)

    @functools.wraps(function)
    def call(*args: Any) -> Any:
        x = kind_among(args)
        return function(*args) if x is None else x.call(function, args, {})

    return call


HOLDERS: WeakSet[Any] = WeakSet()
"""Optimizers, by whose method `kept` it is known what they refer to."""

AWAY: dict[int, Any] = {}
"""State whose newest values are on a device: objects that come home, by the id of the
array that owns the memory.
"""


def fetch(memory: Iterable[int] | None = None) -> bool:
    """Bring state, all or that in some memory, back; return whether any was away."""
    keys = [*AWAY] if memory is None else memory
    away = [state for key in keys if (state := AWAY.get(key)) is not None]
    for state in away:
        state.come_home()
    return bool(away)
