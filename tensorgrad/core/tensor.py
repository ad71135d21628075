"""The tensor: an array, where it stands in the graph, and its gradient."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from . import elsewhere
from .array_methods import ArrayMethods
from .backward import differentiate
from .dispatch import operations
from .errors import GraphError
from .extraction import lost_gradient
from .foreign import KINDS, NATIVE, operand, values
from .hooks import Handle
from .mode import _grad_mode_set, is_grad_enabled
from .node import Leaf, Node
from .numpy_protocol import NumPyProtocol
from .observe import current_recorder, observers
from .operators import Operators
from .types import Index
from .writes import record_write

Array = np.ndarray[Any, Any]


def _in_place(name: str, ufunc: np.ufunc) -> Callable[[Any, TensorLike], Tensor]:
    def method(self: Tensor, other: Any) -> Any:
        tracked = is_grad_enabled() and (
            self.node is not None or (type(other) is Tensor and other.node is not None)
        )
        if tracked and type(self.node) is Leaf:
            raise self._immutable(f"x = x {name} y, or the update inside tg.no_grad()")
        if tracked:
            return operations[ufunc.__name__](self, other)
        value = operand(plain(other), f"{name}=")
        data = self._memory()
        try:
            ufunc(data, value, out=data, casting="same_kind")
        finally:
            # An error of the arithmetic comes after some of it is written.
            record_write((data,), f"an in-place {name}=")
        return self

    return method


class Tensor(Operators, ArrayMethods, NumPyProtocol):
    """An array that remembers how it was computed.

    Parameters
    ----------
    data : array_like
        Copied, so that later writes to it do not reach the tensor.
    requires_grad : bool
        Whether operations on the tensor are recorded, and ``backward`` fills ``grad``.
    dtype : dtype, optional
        NumPy's choice for `data` where not given. Real; floating point where a
        gradient is asked for.

    Raises
    ------
    TypeError
        For complex or non-numeric data, or a gradient of integers or booleans.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> x = tg.Tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    Tensor([2., 4., 6.])
    """

    __slots__ = ("__weakref__", "_grad", "_value", "node")

    _value: Any
    node: Node | Leaf | None
    _grad: Tensor | None

    def __init__(
        self,
        data: ArrayLike | Tensor,
        requires_grad: bool = False,
        dtype: DTypeLike | None = None,
    ) -> None:
        array = _copied(values(plain(data, "tg.Tensor"), "Tensor"), dtype)
        _require_real(array.dtype)
        # NumPy computes with scalars ten times faster than with arrays of no axes.
        self._value = array if array.ndim else array[()]
        self._grad = None
        self.node = None
        self.requires_grad = requires_grad

    def __init_subclass__(cls) -> None:
        raise TypeError(
            "Tensor cannot be subclassed: operations would not know the subclass; "
            "hold a Tensor in an attribute instead"
        )

    if not TYPE_CHECKING:  # A checker would take any attribute to be there.
        __getattr__ = elsewhere.of_class(elsewhere.TENSOR)

    # The array and what is known of it.

    @property
    def data(self) -> Array:
        """The array itself, shared; assigning writes a new value of the same shape."""
        seen = self._seen(".data or .numpy()")
        array: Array = seen if type(seen) is np.ndarray else self._memory()
        return array

    @data.setter
    def data(self, value: ArrayLike) -> None:
        array = standing_for(self)
        if type(array) in KINDS and (error := array.unassignable()):
            raise error
        new = np.asarray(values(detached(value), "Tensor.data"))
        old = self.data
        if new is not old:
            if (new.shape, new.dtype) != (old.shape, old.dtype):
                raise ValueError(
                    f"Tensor.data: expected shape {old.shape} and dtype {old.dtype}, "
                    f"got {new.shape} and {new.dtype}; make a new Tensor instead"
                )
            self._value = new
        record_write((old, new), "an assignment to .data")

    def _memory(self) -> Any:
        """Return the array to write to."""
        value = standing_for(self)
        if isinstance(value, np.generic):
            value = self._value = np.asarray(value)
        return value

    def _seen(self, how: str) -> Any:
        """Return the value for Python to look at, unless its kind has none."""
        value = standing_for(self)
        if type(value) in KINDS:
            return value.readable(how)
        return value

    @property
    def shape(self) -> tuple[int, ...]:
        """Length along each axis."""
        shape: tuple[int, ...] = self._value.shape
        return shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self._value.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(self._value.size)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the elements."""
        dtype: np.dtype[Any] = self._value.dtype
        return dtype

    def numpy(self) -> Array:
        """Return the array, shared with the tensor; no gradient flows through it.

        Returns
        -------
        ndarray
            The array itself: what is written to it is written to the tensor.
        """
        return self.data

    def item(self) -> float:
        """Return the value of a one-element tensor as a Python scalar.

        Returns
        -------
        float, int or bool
            By the kind of the tensor's dtype.

        Raises
        ------
        ValueError
            If there are more elements, or none.
        """
        if self.size != 1:
            raise ValueError(
                f"Tensor.item: expected one element, got shape {self.shape}; "
                "index it, or use .numpy()"
            )
        number: float = self._seen(".item(), float() or int()").item()
        return number

    # The graph.

    @property
    def requires_grad(self) -> bool:
        """Whether a gradient flows to the tensor."""
        return self.node is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if type(self.node) is Node and not value:
            raise GraphError(
                "requires_grad = False on the result of an operation; use .detach()"
            )
        if value and self.node is None:
            if self.dtype.kind != "f":
                raise TypeError(
                    "requires_grad: expected a floating-point dtype, got "
                    f"{self.dtype}; pass dtype=float (a gradient of "
                    "integers or booleans is not defined)"
                )
            self.node = Leaf(self)
        elif not value:
            self.node = None

    @property
    def grad(self) -> Tensor | None:
        """Gradient accumulated by ``backward``, None before the first."""
        return self._grad

    @grad.setter
    def grad(self, value: Tensor | ArrayLike | None) -> None:
        if value is not None:
            value = value if type(value) is Tensor else Tensor(value)
            if (value.shape, value.dtype) != (self.shape, self.dtype):
                raise ValueError(
                    f"Tensor.grad: expected shape {self.shape} and dtype {self.dtype}, "
                    f"got {value.shape} and {value.dtype}"
                )
        self._grad = value

    def detach(self) -> Tensor:
        """Return the same array as a constant: no gradient flows through it.

        Returns
        -------
        Tensor
            Shares its memory with this one.
        """
        return wrap(self._value, None)

    def backward(
        self,
        gradient: Tensor | ArrayLike | None = None,
        *,
        retain_graph: bool = False,
        create_graph: bool = False,
    ) -> None:
        """Add the gradient of this tensor to ``grad`` of every leaf it was made from.

        Parameters
        ----------
        gradient : array_like, optional
            The incoming gradient, of this tensor's shape; 1 for a single element.
        retain_graph : bool
            Keep what backward needs, so that it can be called again.
        create_graph : bool
            Record the backward pass itself, so that ``grad`` can be differentiated.
            Implies `retain_graph`.

        Raises
        ------
        GraphError
            If the tensor needs no gradient, or its graph was freed by an earlier call.
        MutationError
            If something backward needs was written to since the forward pass. Nothing
            has been computed then.
        ValueError
            If `gradient` is missing and the tensor has several elements, or does not
            match.
        """
        root = self.node
        if root is None:
            raise GraphError(
                "backward on a tensor that needs no gradient; make an input with "
                "requires_grad=True, and compute outside tg.no_grad()"
            )
        seeds = {root: self._seed(gradient, create_graph)}
        if not create_graph:
            _deliver(differentiate(seeds, retain_graph=retain_graph))
            return
        with _grad_mode_set(True):
            gradients = differentiate(seeds, lift=wrap, retain_graph=True)
            for leaf, g in gradients.items():
                _deliver_recorded(leaf, g)

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> Handle:
        """Call `hook` with the gradient of this tensor whenever it is computed.

        Parameters
        ----------
        hook : callable
            Takes the whole gradient, summed over all uses of the tensor; returns None,
            or a tensor to go on with in its place.

        Returns
        -------
        Handle
            Its ``remove()`` takes the hook away.

        Raises
        ------
        GraphError
            If the tensor needs no gradient.
        """
        if self.node is None:
            raise GraphError("register_hook on a tensor that needs no gradient")
        return Handle(self.node, _array_hook(hook, self.shape, self.dtype))

    def retain_grad(self) -> None:
        """Keep the gradient of this result in ``grad`` too, as that of a leaf is."""
        if type(self.node) is Node:
            tensor = weakref.ref(self)
            self.register_hook(lambda g: _retain(tensor(), g))

    def _seed(self, gradient: Tensor | ArrayLike | None, recorded: bool) -> Any:
        value = self._value
        if gradient is None:
            if value.size != 1:
                raise ValueError(
                    f"backward: expected a single element, got shape {self.shape}; "
                    "pass gradient= of that shape, or reduce with .sum() or .mean()"
                )
            ones = np.ones(value.shape, value.dtype)
            return wrap(ones, None) if recorded else ones[()]
        seed = gradient if type(gradient) is Tensor else Tensor(gradient)
        if seed.shape != self.shape:
            raise ValueError(
                f"backward: expected gradient of shape {self.shape}, got {seed.shape}"
            )
        seed = seed.astype(self.dtype)
        return seed if recorded else detached(seed).copy()

    # Copies and pickles.

    def __reduce__(self) -> tuple[Any, ...]:
        if type(self.node) is Node:
            raise GraphError(
                f"the result of {self.node.name} cannot be copied or pickled with its "
                "graph; use .detach()"
            )
        return _rebuilt, (self._memory(), self.requires_grad, self._grad)

    def __dlpack__(self, **kwargs: Any) -> Any:
        if self.node is not None:
            raise BufferError(
                "a Tensor that needs a gradient is not exported, which would cut the "
                "graph; use .detach()"
            )
        return self.data.__dlpack__(**kwargs)

    def __dlpack_device__(self) -> tuple[int, int]:
        kind, number = self.data.__dlpack_device__()
        return int(kind), int(number)

    # Operators.

    __iadd__ = _in_place("+", np.add)
    __isub__ = _in_place("-", np.subtract)
    __imul__ = _in_place("*", np.multiply)
    __itruediv__ = _in_place("/", np.true_divide)

    def __pos__(self) -> Tensor:
        return self

    # Containers.

    def __getitem__(self, index: Index) -> Tensor:
        part: Tensor = operations["getitem"](self, index)
        return part

    def __setitem__(self, index: Index, value: TensorLike) -> None:
        tracked = is_grad_enabled() and (
            self.node is not None or (type(value) is Tensor and value.node is not None)
        )
        if tracked:
            raise self._immutable(
                "tg.index_update(x, index, value) or tg.where(mask, value, x), which "
                "make a new tensor, or write inside tg.no_grad()"
            )
        data = self._memory()
        try:
            data[plain(index)] = values(plain(value), "Tensor")
        finally:
            record_write((data,), "an item assignment")

    def _immutable(self, remedy: str) -> GraphError:
        return GraphError(
            f"in-place write to a Tensor of shape {self.shape} that needs a gradient, "
            f"or of one into it; use {remedy}"
        )

    def __repr__(self) -> str:
        text = np.array2string(self.data, separator=", ", prefix="Tensor(")
        notes = []
        if self.dtype not in (np.dtype(np.float64), np.dtype(np.int64), np.dtype(bool)):
            notes.append(f"dtype={self.dtype}")
        if type(self.node) is Node:
            notes.append(f"from={self.node.name}")
        elif self.node is not None:
            notes.append("requires_grad=True")
        return f"Tensor({', '.join([text, *notes])})"


NATIVE.add(Tensor)

TensorLike = Tensor | ArrayLike
"""A tensor, or what NumPy makes an array of: for annotations."""

_new = object.__new__


def wrap(value: Any, node: Node | Leaf | None) -> Tensor:
    """Return a tensor of a value NumPy has just made, without copy or check."""
    tensor: Tensor = _new(Tensor)
    tensor._value = value
    tensor.node = node
    tensor._grad = None
    return tensor


def memories(tensors: Sequence[Tensor]) -> list[Any]:
    """Return the arrays of tensors to write to, or traced values of them."""
    values = [tensor._value for tensor in tensors]
    if {*map(type, values)} != {np.ndarray}:
        return [tensor._memory() for tensor in tensors]
    return values


def _rebuilt(data: Array, requires_grad: bool, grad: Tensor | None) -> Tensor:
    tensor = Tensor(data, requires_grad)
    tensor._grad = grad
    return tensor


def detached(value: Any) -> Any:
    """Return the array of a tensor, also within tuples and lists; the rest as it is.

    For what has no derivative in the tensor, or has seen to it in another way.
    """
    if type(value) is tuple or type(value) is list:
        return type(value)(detached(v) for v in value)
    return standing_for(value) if type(value) is Tensor else value


def plain(value: Any, taker: str = "an argument without a derivative") -> Any:
    """As `detached`, but raise where that would lose a gradient."""
    if type(value) is tuple or type(value) is list:
        return type(value)(plain(v, taker) for v in value)
    if type(value) is Tensor and value.node is not None and is_grad_enabled():
        raise lost_gradient(taker)
    return detached(value)


def as_array(value: Any) -> Any:
    """Return the array of anything, or what stands for it while a step is recorded."""
    array = standing_for(values(plain(value), "Tensor"))
    return array if type(array) in KINDS else np.asarray(array)


def standing_for(x: Any) -> Any:
    """Return an array, or that of a tensor: in a recorded step, what stands for it."""
    if observers and (recorder := current_recorder()):
        return recorder.array(x)
    return x._value if type(x) is Tensor else x


def _copied(value: Any, dtype: Any) -> Any:
    """Return a new array of a value."""
    value = standing_for(value)
    if type(value) in KINDS:
        return value.astype(dtype or value.dtype)
    return np.array(value, dtype=dtype)


def _require_real(dtype: np.dtype[Any]) -> None:
    if dtype.kind not in "fiub":
        raise TypeError(
            f"Tensor: expected real numbers, got dtype {dtype}; "
            "convert first (complex: pass real and imaginary parts)"
        )


def _array_hook(
    hook: Callable[[Tensor], Tensor | None], shape: Any, dtype: Any
) -> Callable[[Any], Any]:
    """Turn a hook on tensors into one on the arrays or tensors of the walk."""

    def on_gradient(g: Any) -> Any:
        recorded = type(g) is Tensor
        # A copy: the walk may hand the same memory on to others, and keep it.
        value, node = (g._value, g.node) if recorded else (g, None)
        tensor = wrap(value.copy(), node)
        new = hook(tensor)
        if new is None:
            if recorded and not _same_bytes(tensor._value, value):
                raise GraphError(
                    "a gradient hook wrote to a gradient that is recorded, which its "
                    "derivative would not know; return a new tensor"
                )
            new = tensor
        if type(new) is not Tensor or (new.shape, new.dtype) != (shape, dtype):
            raise GraphError(
                f"a gradient hook must return None or a Tensor of shape {shape} and "
                f"dtype {dtype}, got {new!r:.60}"
            )
        return new if recorded else new._value.copy()

    return on_gradient


def _same_bytes(a: Any, b: Any) -> bool:
    """Whether two arrays of a shape and dtype hold the same, NaN included."""
    return not isinstance(a, np.ndarray) or a.tobytes() == b.tobytes()


def _retain(tensor: Tensor | None, g: Tensor) -> None:
    if tensor is not None:
        gradient = wrap(g._value.copy(), g.node)
        tensor._grad = gradient if tensor._grad is None else tensor._grad + gradient


def _receiver(leaf: Leaf) -> Tensor | None:
    """Return the tensor of a leaf to deliver a gradient to."""
    tensor = leaf.tensor()
    if observers and tensor is not None and (recorder := current_recorder()):
        recorder.receive(tensor)
    return tensor


def _deliver(gradients: dict[Any, Any]) -> None:
    """Add to the gradients of leaves' tensors, in memory of the tensors' own."""
    for leaf, g in gradients.items():
        tensor = _receiver(leaf) if observers else leaf.tensor()
        if tensor is None:
            continue
        before = tensor._grad
        gradient = tensor._grad = _new(Tensor)
        gradient._value = g if before is None else before._value + g
        gradient.node = gradient._grad = None


def _deliver_recorded(leaf: Any, g: Tensor) -> None:
    tensor = _receiver(leaf)
    if tensor is None:
        return
    old = tensor._grad
    tensor._grad = wrap(g._value.copy(), g.node) if old is None else old + g
