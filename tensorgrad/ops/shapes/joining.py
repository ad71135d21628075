"""Arrays joined into one, and tensors of nested lists."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ...core import foreign
from ...core.tensor import Tensor, as_array
from ...core.types import Operand
from ..support.axes import along, kernel
from ..support.define import composed
from ..support.registry import case, describe
from .splitting import unstack

__all__ = [
    "array", "block", "column_stack", "concat", "concatenate", "dstack", "hstack",
    "stack", "vstack",
]  # fmt: skip


def _starts(arrays_shape: Any, axis: int) -> tuple[int, ...]:
    """Return where each array begins along the axis, and where the last one ends."""
    return (0, *accumulate(shape[axis] for shape in arrays_shape))


@kernel("concatenate", residuals={"starts": _starts})
def join(*arrays, axis=0):
    """The arrays one after another along an existing axis."""
    return np.concatenate(arrays, axis=axis), _starts([a.shape for a in arrays], axis)


join.vjp(
    arrays=lambda i, g, starts, axis: g[
        along(axis, g.ndim, slice(starts[i], starts[i + 1]))
    ]
)


@kernel("stack")
def _stack(*arrays, axis=0):
    return np.stack(arrays, axis=axis)


_stack.vjp(arrays=lambda i, g, axis: g[along(axis, g.ndim, i)])


def operand(a: Any) -> Any:
    """Return a tensor or array of a tensor, array, number or nested list of them."""
    if type(a) is Tensor or type(a) in foreign.KINDS:
        return a
    if _holds_arrays(a):
        return _stack(*map(operand, a))
    return as_array(foreign.operand(a))


def _holds_arrays(a: Any) -> bool:
    """Whether there are tensors, or arrays of a kind of ours, in a nested list."""
    if type(a) is list or type(a) is tuple:
        return any(map(_holds_arrays, a))
    return type(a) is Tensor or type(a) in foreign.KINDS


def cast_to(name: str, values: Any, dtype: Any) -> Any:
    """Return values as NumPy's assignment casts them; refuse to lose a gradient."""
    if values.dtype == dtype:
        return values
    if dtype.kind != "f" and type(values) is Tensor and values.requires_grad:
        raise TypeError(
            f"{name}: values of dtype {values.dtype} that need a gradient would be "
            f"truncated to {dtype}; give the array a floating-point dtype with "
            ".astype(float)"
        )
    return values.astype(dtype)


def without_leading_ones(values: Any, ndim: int) -> Any:
    """Return the values with at most `ndim` axes, as NumPy's assignment takes them."""
    extra = max(values.ndim - ndim, 0)
    if set(values.shape[:extra]) - {1}:
        raise ValueError(
            f"values of shape {values.shape} do not fit where there are {ndim} axes"
        )
    return values.reshape(values.shape[extra:]) if extra else values


def operands(arrays: Any, dtype: Any = None, casting: Any = "same_kind") -> list[Any]:
    """Return what is joined as tensors and arrays, cast to `dtype` if one is given."""
    rows = unstack(arrays) if type(arrays) is Tensor else arrays
    tensors = [operand(a) for a in rows]
    if dtype is None:
        return tensors
    for a in tensors:
        if not np.can_cast(a.dtype, dtype, casting):
            raise TypeError(
                f"cannot join {a.dtype} into {np.dtype(dtype)} under casting="
                f"{casting!r}; pass casting='unsafe' or cast with .astype"
            )
    return [a.astype(dtype) for a in tensors]


@composed(
    np.concatenate,
    kind="linear",
    cases=[
        case([(2, 3), (4, 3)], axis=0),
        case([(2, 3), (2, 1), (2, 0)], axis=-1),
        case([(2, 2), (3,)], axis=None),
        case([(2,), (3,)], dtype=np.float64),
    ],
)
def concatenate(
    arrays: Sequence[Operand],
    axis: int | None = 0,
    *,
    dtype: DTypeLike | None = None,
    casting: str = "same_kind",
) -> Operand:
    """The arrays one after another along an existing axis, or flattened."""
    parts = operands(arrays, dtype, casting)
    if axis is None:
        return join(*[a.reshape(-1) for a in parts], axis=0)
    return join(*parts, axis=axis)


@composed(
    np.stack,
    kind="linear",
    cases=[
        case([(2, 3), (2, 3)]),
        case([(), ()]),
        case([(2,), (2,)], axis=-1),
        case([(2, 0, 3)] * 3, axis=1),
    ],
)
def stack(
    arrays: Sequence[Operand],
    axis: int = 0,
    *,
    dtype: DTypeLike | None = None,
    casting: str = "same_kind",
) -> Operand:
    """The arrays side by side along a new axis."""
    return _stack(*operands(arrays, dtype, casting), axis=axis)


@composed(
    np.vstack,
    kind="linear",
    cases=[case([(3,), (3,)]), case([(2, 3), (3,)]), case([()])],
)
def vstack(
    tup: Sequence[Operand],
    *,
    dtype: DTypeLike | None = None,
    casting: str = "same_kind",
) -> Operand:
    """The arrays below one another; those of one axis are rows."""
    rows = [np.atleast_2d(a) for a in operands(tup)]
    return concatenate(rows, 0, dtype=dtype, casting=casting)


@composed(
    np.hstack,
    kind="linear",
    cases=[case([(3,), (2,)]), case([(2, 3), (2, 1)]), case([(), ()])],
)
def hstack(
    tup: Sequence[Operand],
    *,
    dtype: DTypeLike | None = None,
    casting: str = "same_kind",
) -> Operand:
    """The arrays beside one another, along the second axis where there are two."""
    parts = [np.atleast_1d(a) for a in operands(tup)]
    axis = 0 if parts and parts[0].ndim == 1 else 1
    return concatenate(parts, axis, dtype=dtype, casting=casting)


@composed(
    np.dstack, kind="linear", cases=[case([(3,), (3,)]), case([(2, 3), (2, 3, 2)])]
)
def dstack(tup: Sequence[Operand]) -> Operand:
    """The arrays behind one another, along the third axis."""
    return concatenate([np.atleast_3d(a) for a in operands(tup)], 2)


@composed(np.column_stack, kind="linear", cases=[case([(3,), (3, 2)]), case([(), ()])])
def column_stack(tup: Sequence[Operand]) -> Operand:
    """The arrays beside one another; those of one axis are columns."""
    parts = operands(tup)
    return concatenate([a if a.ndim > 1 else a.reshape(-1, 1) for a in parts], 1)


@composed(np.block, kind="linear", cases=[case([(2, 1), (2, 3)]), case([(2,), ()])])
def block(arrays: Operand) -> Operand:
    """Blocks in nested lists as one array; the innermost run along the last axis."""
    depth = _depth(arrays)
    return _block(arrays, depth, max(depth, _most_axes(arrays)))


def _depth(arrays: Any) -> int:
    if type(arrays) is tuple:
        raise TypeError("block: blocks are nested in lists, not in tuples")
    if type(arrays) is not list:
        return 0
    depths = {_depth(a) for a in arrays}
    if len(depths) != 1:
        raise ValueError(
            "block: expected lists nested equally deep and none of them empty, got "
            f"depths {sorted(depths)} within one list"
        )
    return 1 + depths.pop()


def _most_axes(arrays: Any) -> int:
    return max(map(_most_axes, arrays)) if type(arrays) is list else np.ndim(arrays)


def _block(arrays: Any, depth: int, ndim: int) -> Any:
    if depth:
        return concatenate([_block(a, depth - 1, ndim) for a in arrays], -depth)
    a = operand(arrays)
    return a.reshape((1,) * (ndim - a.ndim) + a.shape)


def array(data: Operand, dtype: DTypeLike | None = None) -> Tensor:
    """A tensor of nested lists of tensors, arrays and numbers.

    What ``np.array`` is for numbers; NumPy offers no way for tensors to take part in
    that function, so it has a name of its own. The gradient flows to the tensors.

    Parameters
    ----------
    data : Tensor, array_like, or nested lists or tuples of them
        All items of one list have the same shape.
    dtype : dtype, optional
        NumPy's choice for the items together where not given.

    Returns
    -------
    Tensor
        With an axis for each level of nesting in front of those of the items.

    Raises
    ------
    ValueError
        If items of one list differ in shape.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> a = tg.Tensor(2.0, requires_grad=True)
    >>> (tg.array([[a, 1.0], [0.0, a]]) * [[1.0, 2.0], [3.0, 4.0]]).sum().backward()
    >>> a.grad
    Tensor(5.)
    """
    y = operand(data)
    if dtype is not None:
        y = y.astype(dtype)
    if type(y) is not Tensor:
        return Tensor(y)
    copied: Tensor = np.copy(y) if y is data else y  # type: ignore[assignment]
    return copied


describe(
    array,
    lambda data: array(data) if _holds_arrays((data,)) else np.array(data),
    kind="linear",
    cases=[case([(2,), (2,)]), case([(), ()]), case((2,))],
)

concat = concatenate
