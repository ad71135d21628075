"""The graph: the operation of each value, its inputs, and what its rules will need.

A node holds neither its output tensor nor its input tensors, so the graph has no
reference cycle and is freed as soon as its last reference is dropped.
"""

import weakref
from itertools import count
from types import CodeType
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from .place import Place, user_place

if TYPE_CHECKING:
    from .tensor import Tensor

clock = count(1)
"""Creation indices and write stamps, one sequence: `next` on it is atomic."""


class Leaf:
    """Where a gradient ends: a tensor made by the user, in the graph."""

    __slots__ = ("__weakref__", "dtype", "index", "shape", "tensor")

    parents: tuple[()] = ()

    def __init__(self, tensor: "Tensor") -> None:
        value = tensor._value
        self.tensor = weakref.ref(tensor)
        self.shape: Any = value.shape
        self.dtype: Any = value.dtype
        self.index = next(clock)


class Node:
    """One recorded operation.

    Attributes
    ----------
    plan : Plan
        The operation and, for the inputs that need a gradient, its rules.
    parents : tuple of Node or Leaf
        The nodes or leaves of those inputs, in the order of the plan.
    saved : tuple, or Place once released
        The values the rules name; after release, the place of the call that released.
    shape, dtype
        Of the output (tuples of them where there are several outputs).
    index : int
        Position in the order of creation, which is a topological order.
    """

    __slots__ = (
        "__weakref__",
        "code",
        "dtype",
        "index",
        "offset",
        "parents",
        "plan",
        "saved",
        "shape",
    )

    def __init__(
        self,
        plan: Any,
        parents: tuple["Node | Leaf", ...],
        saved: tuple[Any, ...],
        shape: Any,
        dtype: Any,
    ) -> None:
        self.plan = plan
        self.parents = parents
        self.saved: Any = saved
        self.shape = shape
        self.dtype = dtype
        self.index = next(clock)
        self.code: CodeType
        self.code, self.offset = user_place(3)

    @property
    def place(self) -> Place:
        """Where in the user's code the operation was called."""
        return Place(self.code, self.offset)

    @property
    def name(self) -> str:
        """Name of the operation."""
        return str(self.plan.op.name)


def shape_and_dtype(value: Any) -> tuple[Any, Any]:
    """Return shape and dtype of an output, or tuples of them for several."""
    if type(value) is tuple:
        return tuple(v.shape for v in value), tuple(v.dtype for v in value)
    return value.shape, value.dtype


def root(value: Any) -> np.ndarray[Any, Any] | None:
    """Return the array that owns the memory of `value`, None for what owns none.

    Views are followed through the buffers and the go-betweens of ``as_strided`` too.
    What no array owns (a mapped file, another library's memory) ends at the array that
    shows it, whose ``flags.owndata`` is then False.
    """
    if not isinstance(value, np.ndarray):
        return None
    owner, base = value, cast(Any, value.base)
    while base is not None:
        if isinstance(base, np.ndarray):
            owner, base = base, base.base
        elif isinstance(base, memoryview):
            base = base.obj
        else:
            base = getattr(base, "base", None)
            if not isinstance(base, np.ndarray | memoryview):
                break
    return owner
