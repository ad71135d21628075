"""Arguments of a step: the part that selects a recording, and the rest."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

from ...core.errors import CaptureError
from ...core.tensor import Tensor, wrap
from ...core.tree import Kind
from .bundles import has_fields, kind_of, leaves
from .recorder import Recorder
from .watch import same


class FlatArguments:
    """Arguments, flattened.

    Parameters
    ----------
    args : tuple
    kwargs : dict
    own : dict
        Tensors that steps know as parameters, by their ids: they stand for themselves.

    Attributes
    ----------
    arrays : list of ndarray
    numbers : list of float
    leaves : list of Tensor
        Others that need a gradient.
    key : object
        Structure, shapes and types, and the values of all else.
    """

    __slots__ = ("arrays", "key", "leaves", "numbers", "own")

    def __init__(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], own: dict[int, Tensor]
    ) -> None:
        self.arrays: list[Any] = []
        self.numbers: list[float] = []
        self.leaves: list[Tensor] = []
        self.own = own
        self.key: Any = tuple([_key(a, self) for a in args]) if args else ()
        if kwargs:
            named = {name: kwargs[name] for name in sorted(kwargs)}
            self.key = self.key, _key(named, self)


_STATIC = (int, bool, str, bytes, complex, range, type(None))
"""Types whose values are part of the key."""


class _Same:
    """Stands in a key for an object that is only equal to itself."""

    __slots__ = ("thing",)

    def __init__(self, thing: Any) -> None:
        self.thing = thing

    def __hash__(self) -> int:
        return id(self.thing)

    def __eq__(self, other: object) -> bool:
        return type(other) is _Same and other.thing is self.thing


def _key(x: Any, flat: FlatArguments) -> Any:
    kind = type(x)
    if kind is np.ndarray:
        flat.arrays.append(x)
        return x.shape, x.dtype, None if x.flags.c_contiguous else x.strides
    if kind is float:
        flat.numbers.append(x)
        return float
    if kind is Tensor:
        if x.node is not None:
            if id(x) in flat.own:
                return _Same(x), _Same(x._memory())
            flat.leaves.append(x)
        array = np.asarray(x._value)
        return Tensor, _key(array, flat), x.requires_grad
    if isinstance(x, np.ndarray | np.generic):
        return kind, _key(np.asarray(x), flat)
    if kind in _STATIC:
        return kind, x
    return _key_of_many(x, flat)


def _key_of_many(x: Any, flat: FlatArguments) -> Any:
    kind = type(x)
    nest = kind_of(x, _is_bundle)
    if nest is not None:
        items = tuple([_key(item, flat) for item in nest.values(x)])
        factory = x.default_factory if kind is defaultdict else None
        return kind, factory, tuple(nest.keys(x)), items
    if kind in (set, frozenset) and all(type(item) in _STATIC for item in x):
        return kind, frozenset((type(item), item) for item in x)
    return _Same(x)


def _is_bundle(x: Any) -> bool:
    """Whether an object only holds data, arrays among them, as a batch does.

    One that holds parameters is not taken apart: the step may write to them.
    """
    if isinstance(x, type) or callable(x) or not has_fields(x):
        return False
    inner = [*leaves(x)]
    return any(map(_is_data, inner)) and all(
        _is_data(leaf) or type(leaf) in (float, *_STATIC) for leaf in inner
    )


def _is_data(x: Any) -> bool:
    if type(x) is Tensor:
        return x.node is None
    return isinstance(x, np.ndarray | np.generic)


class Arguments:
    """Traced values for the arguments of a call while it is recorded.

    Parameters
    ----------
    recorder : Recorder
    own : dict
        Tensors that stand for themselves, by their ids.
    """

    def __init__(self, recorder: Recorder, own: dict[int, Tensor]) -> None:
        self._recorder, self._own = recorder, own
        self._made: list[tuple[Any, Kind, list[Any]]] = []

    def standing_for(self, x: Any) -> Any:
        """Return the traced value of an argument."""
        kind = type(x)
        if kind is float:
            return self._recorder.number(x)
        if kind is Tensor:
            if id(x) in self._own:
                return x
            tensor = wrap(self._recorder.input(x._value), None)
            tensor.requires_grad = x.requires_grad
            return tensor
        if isinstance(x, np.ndarray | np.generic):
            return self._recorder.input(x)
        if kind in _STATIC:
            return x
        nest = kind_of(x, _is_bundle)
        if nest is None:
            return x
        nested = nest.rebuild(x, [self.standing_for(item) for item in nest.values(x)])
        self._made.append((nested, nest, _items(nest, nested)))
        return nested

    def check_unwritten(self) -> None:
        """Raise CaptureError where the step has written to a container of arguments."""
        for nested, nest, items in self._made:
            now = _items(nest, nested)
            if len(now) != len(items) or not all(map(same, now, items)):
                raise CaptureError(
                    f"tg.compile: the step changes its argument, a "
                    f"{type(nested).__name__}, which a replay does not do; return what "
                    "is new from the step"
                )


def _items(nest: Kind, x: Any) -> list[Any]:
    return [*nest.keys(x), *nest.values(x)]
