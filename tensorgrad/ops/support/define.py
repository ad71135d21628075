"""How an operation of the library is defined: its NumPy reference, its description."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from typing import Any, Concatenate, TypeVar, cast

import numpy as np

from ...core.dispatch import implement, implement_method
from ...core.duck import DuckArray
from ...core.foreign import NATIVE, computed, holds_array
from ...core.primitive import Primitive, Residuals
from ...core.saves import Rule
from ...core.tensor import Tensor, detached, wrap
from ...core.tree import leaves, mapped
from ...core.types import Array, Operand, Operation, Q, R, on_tensors
from .docstrings import complete, numpy_name
from .registry import REAL, Case, Domain, Kind, describe

F = TypeVar("F", bound=Callable[..., Any])


def operation(
    reference: Any = None,
    *,
    kind: Kind = "smooth",
    domains: Domain | tuple[Domain, ...] = REAL,
    cases: Sequence[Case] = (),
    kinks: str = "",
    residuals: Residuals | None = None,
    multiple: bool = False,
) -> Callable[[Callable[Q, R]], Primitive[Q, Tensor, R]]:
    """Make a described primitive that answers to `reference` and to its own name.

    Without a NumPy reference the forward itself is what values are compared with, or
    the first that it returns where there are residuals.
    """

    def make(forward: Callable[Q, R]) -> Primitive[Q, Tensor, R]:
        forward.__doc__ = complete(forward, reference, cases)
        op: Primitive[Q, Tensor, R] = Primitive(forward, residuals or {}, multiple)
        references = () if reference is None else (reference,)
        implement(op.name.strip("_"), op, *references)
        describe(
            op,
            reference or (op if residuals else forward),
            kind=kind,
            domains=domains,
            cases=cases,
            kinks=kinks,
            arity=len(op.names),
        )
        return op

    return make


def unary(
    function: Any, summary: str, **more: Any
) -> Primitive[[Operand], Tensor, Array]:
    """Make an operation of a NumPy function of each element `x`, with its rule."""

    def forward(x: Operand) -> Array:
        return function(x)

    return _elementwise(forward, function, summary, **more)


def binary(
    function: Any, summary: str, **more: Any
) -> Primitive[[Operand, Operand], Tensor, Array]:
    """Make an operation of a NumPy function of elements `a` and `b`, with its rules."""

    def forward(a: Operand, b: Operand) -> Array:
        return function(a, b)

    return _elementwise(forward, function, summary, **more)


def _elementwise(
    forward: Callable[Q, R],
    function: Any,
    summary: str,
    *,
    kind: Kind = "smooth",
    domains: Domain | tuple[Domain, ...] = REAL,
    kinks: str = "",
    **rules: Rule,
) -> Primitive[Q, Tensor, R]:
    forward.__name__ = forward.__qualname__ = function.__name__
    # The module that asks for it, in which it is found by name when it is pickled.
    forward.__module__ = sys._getframe(2).f_globals["__name__"]
    forward.__doc__ = summary
    op = operation(function, kind=kind, domains=domains, kinks=kinks)(forward)
    op.vjp(**rules)
    return op


def composed(
    reference: Any,
    *,
    kind: Kind = "smooth",
    domains: Domain | tuple[Domain, ...] = REAL,
    cases: Sequence[Case],
    kinks: str = "",
    name: str | None = None,
) -> Callable[[Callable[Q, R]], Operation[Q, Tensor, R]]:
    """Describe a function made of operations, and let it answer to `reference`.

    It has a `name` besides its own where that is taken.
    """

    def make(function: Callable[Q, R]) -> Operation[Q, Tensor, R]:
        function.__doc__ = complete(function, reference, cases)
        implement(name or function.__name__.strip("_"), function, reference)
        describe(
            function,
            reference,
            kind=kind,
            domains=domains,
            cases=cases,
            kinks=kinks,
            name=name,
        )
        return on_tensors(function)

    return make


def ufunc_method(
    ufunc: np.ufunc, method: str, **description: Any
) -> Callable[[Callable[Q, R]], Callable[Q, R]]:
    """Describe a function made of operations that stands for a method of a ufunc."""

    def make(function: Callable[Q, R]) -> Callable[Q, R]:
        implement(function.__name__, function)
        implement_method(ufunc, method, function)
        describe(function, getattr(ufunc, method), **description)
        return function

    return make


class _Member(functools.partial[Any]):
    """A function with its first argument, pickled and copied by its own name."""

    __qualname__: str

    def __repr__(self) -> str:
        return f"<function {self.__qualname__}>"

    def __reduce__(self) -> Any:
        return self.__qualname__


def family(
    function: Callable[Concatenate[Any, Q], R],
) -> Callable[..., Operation[Q, Tensor, R]]:
    """Define functions that take the same arguments, and differ in what they call.

    That is the first argument of `function`. What is returned makes one of them, as
    `composed` does, from its reference, what it calls, and what it says.
    """

    def member(
        reference: Any, core: Any, summary: str, **description: Any
    ) -> Operation[Q, Tensor, R]:
        op: Any = _Member(function, core)
        op.__name__ = op.__qualname__ = reference.__name__
        op.__module__ = function.__module__
        op.__doc__ = summary
        return composed(reference, **description)(op)

    return member


def constant(
    reference: Any, unwrap: Callable[[Any], Any] = detached
) -> Operation[Concatenate[Operand, ...], Tensor, Any]:
    """Let a NumPy function without a derivative work on tensors, giving constants.

    With `plain` as `unwrap`, none of its arguments may need a gradient.
    """

    @functools.wraps(reference)
    def function(*args: Any, **kwargs: Any) -> Any:
        if kwargs.get("out") is not None:
            raise TypeError(
                f"{reference.__name__}: out= is not supported with Tensors; use the "
                "returned value"
            )
        strange = not NATIVE.issuperset(map(type, args))
        if strange and holds_array(args) and _holds_tensor(args):
            return computed(reference, reference.__name__, args, kwargs)
        y = reference(
            *map(unwrap, args), **{name: unwrap(v) for name, v in kwargs.items()}
        )
        if not (Tensor in map(type, args) or _holds_tensor((*args, *kwargs.values()))):
            return y
        return mapped(y, _constant) if isinstance(y, tuple | list) else _constant(y)

    # Ufuncs have had none before NumPy 2.1, and functions are pickled by it.
    function.__qualname__ = reference.__name__
    name = numpy_name(function, reference)
    function.__doc__ = f"As ``{name}``; of Tensors the result is a constant."
    implement(reference.__name__, function, reference)
    return cast("Any", function)


def several(
    reference: Any, unwrap: Callable[[Any], Any] = detached
) -> Operation[Concatenate[Operand, ...], tuple[Tensor, ...], Any]:
    """As `constant`, of a function that returns several arrays."""
    return cast("Any", constant(reference, unwrap))


def answer(reference: F) -> F:
    """As `constant`, of a function whose answer is no array: it is the same answer."""
    return cast("F", constant(reference))


def _holds_tensor(values: Any) -> bool:
    return any(type(v) is Tensor for v in leaves(values))


def _constant(y: Any) -> Any:
    return wrap(y, None) if isinstance(y, np.ndarray | np.generic | DuckArray) else y
