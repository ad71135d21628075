"""Gradients, products with Jacobians, Jacobians and Hessians of functions.

Arguments and results may be numbers, arrays and tensors, also nested in tuples, lists,
dicts and dataclasses. Plain arguments give plain results; what depends on tensors that
need a gradient outside stays in their graph, so transforms nest in any way. Where the
output does not depend on an argument, the derivative is zero.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import (
    Any,
    Concatenate,
    Literal,
    ParamSpec,
    Protocol,
    TypeVar,
    TypeVarTuple,
    overload,
)

import numpy as np

from ..core.backward import interior
from ..core.errors import TensorgradError
from ..core.tensor import Tensor, detached
from ..core.tree import leaves, nest, refilled
from ..core.types import Array, Nest
from .batched import BatchError
from .trace import Pullback, Trace, seed_like, tracked, warn_of_constants
from .vmap import map_quietly

Function = Callable[..., Any]

_CHEAPER = 4
"""So many passes back cost no more than one forward and what it takes beforehand."""
_MOST = 2**24
"""Elements of the largest array that a Jacobian computes with."""
P = ParamSpec("P")
X = TypeVar("X")
V = TypeVar("V")
V_co = TypeVar("V_co", covariant=True)
A = TypeVar("A")
Tensors = TypeVar("Tensors", bound=Tensor | Sequence[Tensor] | Mapping[Any, Tensor])
Xs = TypeVarTuple("Xs")

# The first argument becomes a tensor, whatever is passed for it.
Differentiable = Callable[Concatenate[Any, P], V]


class Derivative(Protocol[P, V_co]):
    """A derivative with a shape of its own, in the first argument, of a V."""

    @overload
    def __call__(
        self: Derivative[P, Tensor], x: Tensor, /, *args: P.args, **kwargs: P.kwargs
    ) -> Tensor: ...

    @overload
    def __call__(
        self: Derivative[P, Tensor],
        x: Array | float,
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Array: ...

    # Of nests it is a nest of nests.
    @overload
    def __call__(self, x: object, /, *args: P.args, **kwargs: P.kwargs) -> Nest: ...


class ValueAndGradient(Protocol[P, V_co]):
    """The value of a function, and its gradient in the first argument, in kind."""

    @overload
    def __call__(
        self, x: Tensors, /, *args: P.args, **kwargs: P.kwargs
    ) -> tuple[V_co, Tensors]: ...

    # Of arrays the value holds arrays where the function has tensors.
    @overload
    def __call__(
        self, x: X, /, *args: P.args, **kwargs: P.kwargs
    ) -> tuple[Nest, X]: ...


@overload
def value_and_grad(
    f: Differentiable[P, V], argnums: Literal[0] = 0, *, has_aux: bool = False
) -> ValueAndGradient[P, V]: ...


@overload
def value_and_grad(
    f: Function, argnums: int | Sequence[int], *, has_aux: bool = False
) -> Callable[..., tuple[Nest, Nest]]: ...


def value_and_grad(
    f: Function, argnums: int | Sequence[int] = 0, *, has_aux: bool = False
) -> Function:
    """Return a function that gives the value of `f` and its gradient.

    Parameters
    ----------
    f : callable
        Returns one number (a tensor of a single element), or with `has_aux` a pair of
        that and anything else.
    argnums : int or sequence of int
        Which arguments to differentiate in.
    has_aux : bool
        Whether `f` returns more than the value.

    Returns
    -------
    callable
        ``value, gradient`` of the same arguments, or ``(value, aux), gradient``. The
        gradient is nested as the argument is, or a tuple of such for several.

    Raises
    ------
    TypeError, ValueError, IndexError
        When called: an argument of integers, an output of several elements, an
        argument that is not there.

    Warns
    -----
    GradientWarning
        When called, if `f` returns no Tensor but a plain number: its derivative is
        taken to be zero.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorgrad as tg
    >>> tg.value_and_grad(lambda x: np.sum(x**2))(np.array([1.0, 2.0]))
    (np.float64(5.0), array([2., 4.]))
    """
    numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)

    @functools.wraps(f)
    def transformed(*args: Any, **kwargs: Any) -> Any:
        trace = Trace(f, args, kwargs, numbers, "grad")
        value = _scalar(trace.output[0] if has_aux else trace.output)
        warn_of_constants(value, "grad")
        result = trace.result(trace.output)
        seeds = {value.node: np.ones_like(value._value)} if tracked(value) else {}
        pulled = refilled(trace.chosen, trace.back.pull(seeds, once=True), nest)
        return result, pulled[0] if isinstance(argnums, int) else pulled

    return transformed


def _scalar(value: Any) -> Any:
    nested = isinstance(value, tuple | list | dict) or value is None
    if nested or np.size(value) != 1:
        got = (
            f"shape {value.shape}" if hasattr(value, "shape") else type(value).__name__
        )
        raise ValueError(
            f"grad: expected a function whose value is one number, got {got}; reduce "
            "it with .sum() or .mean(), or use tg.jacobian"
        )
    return value


@overload
def grad(
    f: Differentiable[P, object],
    argnums: Literal[0] = 0,
    *,
    has_aux: Literal[False] = False,
) -> Callable[Concatenate[X, P], X]: ...


@overload
def grad(
    f: Differentiable[P, tuple[object, A]],
    argnums: Literal[0] = 0,
    *,
    has_aux: Literal[True],
) -> Callable[Concatenate[X, P], tuple[X, A]]: ...


@overload
def grad(
    f: Function, argnums: int | Sequence[int], *, has_aux: bool = False
) -> Function: ...


def grad(
    f: Function, argnums: int | Sequence[int] = 0, *, has_aux: bool = False
) -> Function:
    """Return a function that gives the gradient of `f`.

    As :func:`value_and_grad`, without the value.

    Parameters
    ----------
    f : callable
        Returns one number (a tensor of a single element), or with `has_aux` a pair of
        that and anything else.
    argnums : int or sequence of int
        Which arguments to differentiate in.
    has_aux : bool
        Whether `f` returns more than the value.

    Returns
    -------
    callable
        The gradient at the same arguments, or ``gradient, aux``. It is nested as the
        argument is, or a tuple of such for several.

    Raises
    ------
    TypeError, ValueError, IndexError
        When called: an argument of integers, an output of several elements, an
        argument that is not there.

    Warns
    -----
    GradientWarning
        When called, if `f` returns no Tensor but a plain number: its derivative is
        taken to be zero.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorgrad as tg
    >>> tg.grad(tg.grad(np.sin))(0.5) == -np.sin(0.5)
    np.True_
    """
    both = value_and_grad(f, argnums, has_aux=has_aux)

    @functools.wraps(f)
    def transformed(*args: Any, **kwargs: Any) -> Any:
        value, gradient = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return transformed


@overload
def vjp(
    f: Function, *primals: *Xs, has_aux: Literal[False] = False
) -> tuple[Nest, Callable[[Nest], tuple[*Xs]]]: ...


@overload
def vjp(
    f: Function, *primals: *Xs, has_aux: Literal[True]
) -> tuple[Nest, Callable[[Nest], tuple[*Xs]], Nest]: ...


def vjp(f: Function, *primals: *Xs, has_aux: bool = False) -> tuple[Nest, ...]:
    """Return the value of `f` and the map from cotangents to gradients.

    Parameters
    ----------
    f : callable
        Returns numbers or arrays, nested or not.
    *primals : arrays, numbers, tensors, nested
        The arguments.
    has_aux : bool
        Whether `f` returns ``(output, aux)``.

    Returns
    -------
    out
        Value of `f` at the primals.
    back : callable
        ``back(cotangent)``, the cotangent shaped and nested as `out`, is the tuple of
        products J^T cotangent, one for each primal. May be called again, whatever is
        written to primals and output in between: the call has copies of its own.
    aux
        What `f` returned besides; with `has_aux` only.

    Warns
    -----
    GradientWarning
        If `f` returns no Tensor but a plain number: its derivative is taken to be
        zero.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorgrad as tg
    >>> out, back = tg.vjp(lambda x, w: x * w, np.array([1.0, 2.0]), 3.0)
    >>> back(np.array([1.0, 10.0]))
    (array([ 3., 30.]), np.float64(21.0))
    """
    trace = Trace(f, primals, {}, range(len(primals)), "vjp", later=True)
    output, aux = trace.output if has_aux else (trace.output, None)
    warn_of_constants(output, "vjp")

    def back(cotangent: Any) -> Any:
        seeds = _seeds(leaves(output, nest), leaves(cotangent, nest), "vjp")
        return refilled(trace.chosen, trace.back.pull(seeds), nest)

    value = trace.result(output)
    return (value, back, trace.result(aux)) if has_aux else (value, back)


def _seeds(outputs: list[Any], cotangents: list[Any], name: str) -> dict[Any, Any]:
    if len(outputs) != len(cotangents):
        raise ValueError(
            f"{name}: expected {len(outputs)} cotangents, nested as the output is, got "
            f"{len(cotangents)}"
        )
    seeds: dict[Any, Any] = {}
    for output, cotangent in zip(outputs, cotangents, strict=True):
        if tracked(output):
            _add(seeds, output.node, seed_like(cotangent, output, name))
    return seeds


def _add(seeds: dict[Any, Any], node: Any, g: Any) -> None:
    seeds[node] = seeds[node] + g if node in seeds else g


def jvp(
    f: Function, primals: Sequence[Nest], tangents: Sequence[Nest]
) -> tuple[Nest, Nest]:
    """Return the value of `f` and its derivative along the tangents.

    The product with the Jacobian is the transpose of the transposed product: the
    gradient J^T u is linear in u, and is itself differentiated in u.

    Parameters
    ----------
    f : callable
        Returns numbers or arrays, nested or not.
    primals, tangents : tuple
        Arguments and directions, of the same nesting and shapes.

    Returns
    -------
    out
        Value of `f` at the primals.
    tangent
        The product J tangents, nested as the value is.

    Raises
    ------
    TypeError
        If primals or tangents are no tuples.
    ValueError
        If the tangents are nested or shaped otherwise than the primals.

    Warns
    -----
    GradientWarning
        If `f` returns no Tensor but a plain number: its derivative is taken to be
        zero.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorgrad as tg
    >>> tg.jvp(lambda x: x**3, (2.0,), (1.0,))
    (np.float64(8.0), np.float64(12.0))
    """
    _check_tuples("jvp", primals, tangents)
    output, push = _linearized("jvp", f, primals)
    return output, push(tangents)


def linearize(f: Function, *primals: Nest) -> tuple[Nest, Callable[..., Nest]]:
    """Return the value of `f` and its derivative at a point, as a linear function.

    What depends on the point alone is computed once, for all directions.

    Parameters
    ----------
    f : callable
        Returns numbers or arrays, nested or not.
    *primals : arrays, numbers, tensors, nested
        The arguments.

    Returns
    -------
    out
        Value of `f` at the primals.
    forward : callable
        ``forward(*tangents)`` is the product J tangents, nested as the value is; the
        tangents are nested and shaped as the primals.

    Raises
    ------
    ValueError
        When called: tangents that are nested or shaped otherwise.

    Warns
    -----
    GradientWarning
        If `f` returns no Tensor but a plain number.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> value, forward = tg.linearize(lambda x: x**3, 2.0)
    >>> forward(1.0), forward(2.0)
    (np.float64(12.0), np.float64(24.0))
    """
    output, push = _linearized("linearize", f, primals)
    return output, lambda *tangents: push(tangents)


def _linearized(
    name: str, f: Function, primals: Sequence[Any]
) -> tuple[Any, Callable[[Sequence[Any]], Any]]:
    """Return the value of `f`, and what pushes tangents forward."""
    numbers = range(len(primals))
    trace = Trace(f, tuple(primals), {}, numbers, name, later=name == "linearize")
    warn_of_constants(trace.output, name)
    push = _forward(trace)

    def forward(tangents: Sequence[Any]) -> Any:
        pushed = iter(push(_directions(name, trace, tangents)))
        tangent = [
            next(pushed) if tracked(o) else np.zeros_like(detached(o))[()]
            for o in leaves(trace.output, nest)
        ]
        return refilled(trace.output, tangent, nest)

    return trace.result(trace.output), forward


def _directions(name: str, trace: Trace, tangents: Sequence[Any]) -> list[Any]:
    inputs, directions = trace.back.inputs, leaves(tuple(tangents), nest)
    if len(directions) != len(inputs):
        raise ValueError(
            f"{name}: expected {len(inputs)} tangents, nested as the primals are, got "
            f"{len(directions)}"
        )
    return [seed_like(t, x, name) for t, x in zip(directions, inputs, strict=True)]


def _forward(trace: Trace) -> Callable[[list[Any]], list[Any]]:
    """Return what multiplies directions by J, for each output that has a derivative.

    It is the gradient in u of <J^T u, directions>, whatever u is.
    """
    live = [o for o in leaves(trace.output, nest) if tracked(o)]
    us = [Tensor(np.ones_like(o._value), requires_grad=True) for o in live]
    seeds: dict[Any, Any] = {}
    for o, u in zip(live, us, strict=True):
        _add(seeds, o.node, u)
    transposed = trace.back.recorded(seeds)
    outputs = [detached(o) if trace.plain else o for o in live]
    forward = Pullback(us, outputs, trace.in_graph)

    def push(directions: list[Any]) -> list[Any]:
        back: dict[Any, Any] = {}
        for x, direction in zip(trace.back.inputs, directions, strict=True):
            if x.node in transposed and transposed[x.node].node is not None:
                _add(back, transposed[x.node].node, direction)
        return forward.pull(back)

    return push


@overload
def jacobian(
    f: Differentiable[P, V],
    argnums: Literal[0] = 0,
    *,
    chunk_size: int | None = None,
) -> Derivative[P, V]: ...


@overload
def jacobian(
    f: Function, argnums: int | Sequence[int], *, chunk_size: int | None = None
) -> Function: ...


def jacobian(
    f: Function,
    argnums: int | Sequence[int] = 0,
    *,
    chunk_size: int | None = None,
) -> Function:
    """Return a function that gives the Jacobian of `f`.

    Its rows are computed at once, in a backward pass that is mapped over them; where
    the inputs are few and the outputs many, its columns, in a pass forward.

    Parameters
    ----------
    f : callable
        Returns numbers or arrays, nested or not.
    argnums : int or sequence of int
        Which arguments to differentiate in.
    chunk_size : int, optional
        Rows or columns that are computed at once, which bounds the memory; by default
        as many as fit into about 128 MiB.

    Returns
    -------
    callable
        The Jacobian of shape output shape + input shape: nested as the output is, and
        within as the argument is.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorgrad as tg
    >>> tg.jacobian(lambda x: x**2)(np.array([1.0, 2.0]))
    array([[2., 0.],
           [0., 4.]])
    """
    numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)

    @functools.wraps(f)
    def transformed(*args: Any, **kwargs: Any) -> Any:
        trace = Trace(f, args, kwargs, numbers, "jacobian")
        outputs = leaves(trace.output, nest)
        parts = _columns(trace, outputs, chunk_size)
        if parts is None:
            parts = [_rows(trace, output, chunk_size) for output in outputs]
        blocks = []
        for part in parts:
            block = refilled(trace.chosen, part, nest)
            blocks.append(block[0] if isinstance(argnums, int) else block)
        return refilled(trace.output, blocks, nest)

    return transformed


def _rows(trace: Trace, output: Any, chunk_size: int | None) -> list[Any]:
    """Return the Jacobian of one output in each input."""
    if type(output) is not Tensor:
        output = Tensor(output)
    units = np.eye(output.size, dtype=output.dtype).reshape(
        (output.size, *output.shape)
    )
    roots = [output.node] if tracked(output) else []

    def row(unit: Any) -> list[Any]:
        unit = detached(unit)
        return trace.back.pull(dict.fromkeys(roots, unit if unit.ndim else unit[()]))

    if not len(units):
        columns = [np.zeros((0, *x.shape), dtype=x.dtype) for x in trace.back.inputs]
    else:
        columns = _all_at_once(row, trace, units, chunk_size or _few(roots))
    return [c.reshape((*output.shape, *c.shape[1:])) for c in columns]


def _columns(
    trace: Trace, outputs: list[Any], chunk_size: int | None
) -> list[list[Any]] | None:
    """Return the Jacobian of each output by columns, None where rows are cheaper."""
    inputs = trace.back.inputs
    if _CHEAPER * sum(x.size for x in inputs) > sum(map(np.size, outputs)):
        return None
    if not all(map(tracked, outputs)):
        return None
    few = chunk_size or _few([o.node for o in outputs])
    parts: list[list[Any]] = [[] for _ in outputs]
    try:
        forward = _forward(trace)
        for i, x in enumerate(inputs):
            units = np.eye(x.size, dtype=x.dtype).reshape((x.size, *x.shape))

            def column(unit: Any, i: int = i) -> list[Any]:
                directions = [np.zeros_like(detached(x))[()] for x in inputs]
                directions[i] = unit
                return forward(directions)

            lifted = units if trace.plain else Tensor(units)
            for part, y in zip(parts, map_quietly(column, lifted, few), strict=True):
                y = np.moveaxis(y, 0, -1)
                part.append(y.reshape((*y.shape[:-1], *x.shape)))
    except (TypeError, TensorgradError):
        # Rules that are not derived themselves, or cannot be mapped.
        return None
    return parts


def _all_at_once(row: Function, trace: Trace, units: Any, chunk_size: int) -> list[Any]:
    """Return the stacked parts of rows, by a loop where rules cannot be mapped."""
    lifted = units if trace.plain else Tensor(units)
    try:
        return map_quietly(row, lifted, chunk_size)
    except BatchError:
        return [*map(np.stack, zip(*map(row, units), strict=True))]


def _few(roots: list[Any]) -> int:
    """Return how many rows to compute at once, by the largest array on the way."""
    return max(1, _MOST // max(map(_size, interior(roots)), default=1))


def _size(node: Any) -> int:
    """Return how many numbers an operation returned, of several outputs together."""
    shapes = node.shape if type(node.dtype) is tuple else (node.shape,)
    return sum(map(prod, shapes))


@overload
def hessian(
    f: Differentiable[P, object],
    argnums: Literal[0] = 0,
    *,
    chunk_size: int | None = None,
) -> Derivative[P, Tensor]: ...


@overload
def hessian(
    f: Function, argnums: int | Sequence[int], *, chunk_size: int | None = None
) -> Function: ...


def hessian(
    f: Function,
    argnums: int | Sequence[int] = 0,
    *,
    chunk_size: int | None = None,
) -> Function:
    """Return a function that gives the Hessian of `f`: the Jacobian of its gradient.

    Parameters
    ----------
    f : callable
        Returns one number.
    argnums : int or sequence of int
        Which arguments to differentiate in.
    chunk_size : int, optional
        Rows that are computed at once, as of :func:`jacobian`.

    Returns
    -------
    callable
        The Hessian at the same arguments, of the argument's shape twice over.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorgrad as tg
    >>> tg.hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 3.0]))
    array([[6., 2.],
           [2., 0.]])
    """
    return jacobian(grad(f, argnums), argnums, chunk_size=chunk_size)


def hvp(f: Function, primals: tuple[*Xs], tangents: Sequence[Nest]) -> tuple[*Xs]:
    """Return the product of the Hessian of `f` with the tangents, never formed.

    Parameters
    ----------
    f : callable
        Returns one number.
    primals, tangents : tuple
        Arguments and directions, of the same nesting and shapes.

    Returns
    -------
    tuple
        The product, nested as the primals are: one part for each argument.

    Raises
    ------
    TypeError
        If primals or tangents are no tuples.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorgrad as tg
    >>> x, direction = np.array([1.0, 2.0]), np.array([1.0, 1.0])
    >>> (product,) = tg.hvp(lambda x: np.sum(x**3), (x,), (direction,))
    >>> product
    array([ 6., 12.])
    """
    _check_tuples("hvp", primals, tangents)
    _, back = vjp(grad(f, range(len(primals))), *primals)
    products: tuple[*Xs] = back(tuple(tangents))
    return products


def _check_tuples(name: str, primals: Any, tangents: Any) -> None:
    for what, x in (("primals", primals), ("tangents", tangents)):
        if not isinstance(x, tuple | list):
            raise TypeError(
                f"{name}: {what} must be a tuple of the arguments of f, got "
                f"{type(x).__name__}; write {name}(f, (x,), (direction,))"
            )
