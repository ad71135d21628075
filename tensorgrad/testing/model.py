"""A model's loss as a function of its parameters, in this library or in PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.node import Leaf
from ..core.tensor import Tensor
from ..core.tree import mapped, nest
from .arguments import nested
from .plain import VjpProblem, as_array
from .problem import Array, Finding
from .report import name_of, shares
from .result import Result


@dataclass
class Parameter:
    """A parameter of this library: its array is exchanged, with its place in the graph.

    What is remembered of it is put back by :meth:`restore`.
    """

    tensor: Tensor

    def __post_init__(self) -> None:
        self.saved = (self.tensor._value, self.tensor.node, self.tensor.grad)
        self.shape = self.tensor.shape
        self.dtype = self.tensor.dtype.name

    @property
    def array(self) -> Array:
        """A copy of the values."""
        return np.array(self.saved[0])

    def assign(self, values: Array) -> None:
        """Give the parameter other values, in their precision, and no gradient."""
        self.tensor._grad = None
        self.tensor._value = values if values.ndim else values[()]
        self.tensor.node = Leaf(self.tensor)

    def gradient(self) -> Array | None:
        """Return the gradient that has arrived."""
        grad = self.tensor.grad
        return None if grad is None else np.array(grad.numpy())

    def restore(self) -> None:
        """Put back all as it was."""
        self.tensor._value, self.tensor.node, self.tensor._grad = self.saved

    def like(self, x: Any, double: bool) -> Any:
        """Return data for the model in the precision of the check."""
        dtype = np.float64 if double else self.saved[0].dtype
        if isinstance(x, Tensor) and x.dtype.kind == "f":
            return Tensor(x.numpy(), dtype=dtype)
        floats = isinstance(x, np.ndarray) and x.dtype.kind == "f"
        return x.astype(dtype) if floats else x


@dataclass
class TorchParameter:
    """A parameter, or buffer, of PyTorch, known by its methods alone."""

    tensor: Any

    def __post_init__(self) -> None:
        self.saved = (self.tensor.data, self.tensor.grad)
        self.shape = tuple(self.tensor.shape)
        self.dtype = str(self.tensor.dtype).rpartition(".")[2]

    @property
    def array(self) -> Array:
        """A copy of the values."""
        values = self.saved[0].double().cpu().numpy()
        return np.array(values, self.dtype if hasattr(np, self.dtype) else None)

    def assign(self, values: Array) -> None:
        """Give the parameter other values, in their precision, and no gradient."""
        double = values.dtype == np.float64
        data = self.saved[0].double() if double else self.saved[0]
        self.tensor.grad = None
        self.tensor.data = data.new_tensor(values)

    def gradient(self) -> Array | None:
        """Return the gradient that has arrived."""
        grad = self.tensor.grad
        if grad is None:
            return None
        return as_array((grad.to_dense() if grad.is_sparse else grad).cpu()).copy()

    def restore(self) -> None:
        """Put back all as it was."""
        self.tensor.grad = None
        self.tensor.data, self.tensor.grad = self.saved

    def like(self, x: Any, double: bool) -> Any:
        """Return data for the model in the precision of the check."""
        if isinstance(x, np.ndarray):
            kind = x.dtype.kind
            x = self.saved[0].double().new_tensor(x)
            x = x.bool() if kind == "b" else x.long() if kind in "iu" else x
        floats = hasattr(x, "is_floating_point") and x.is_floating_point()
        return (x.double() if double else x.to(self.saved[0].dtype)) if floats else x


class Model:
    """The loss of a model as a plain function of its parameters, and its gradient."""

    def __init__(self, model: Any, loss: Callable[..., Any], x: Any, y: Any) -> None:
        self.model, self.loss = model, loss
        self.data = [d if nested(d) or d is None else _array(d) for d in (x, y)]
        parameters = list(getattr(model, "named_parameters", lambda: ())())
        parameters = [(name, p) for name, p in parameters if p.requires_grad]
        if not parameters:
            raise TypeError(
                "check_model: expected a model with parameters that need a gradient, "
                "each under its name in named_parameters(), got "
                f"{type(model).__name__}"
            )
        self.names = {f"input {k}": name for k, (name, _) in enumerate(parameters)}
        self.names["output 0"] = "loss"
        self.parameters = [_parameter(p) for _, p in parameters]
        buffers = list(getattr(model, "buffers", lambda: ())())
        self.buffers = [(b, b.data.clone()) for b in buffers]

    @contextmanager
    def borrowed(self) -> Iterator[None]:
        """Put back parameters and buffers as they were at the end of the block."""
        try:
            yield
        finally:
            for p in self.parameters:
                p.restore()
            self._set_buffers(double=False)

    def _set_buffers(self, double: bool) -> None:
        """Start every step from the same buffers, in the precision of the check."""
        for buffer, values in self.buffers:
            widened = double and values.is_floating_point()
            buffer.data = values.double() if widened else values.clone()

    def value(self, *arrays: Any) -> Array:
        """Return the loss for parameters `arrays`."""
        loss = self._forward(arrays)
        return as_array(loss.cpu() if hasattr(loss, "cpu") else loss).copy()

    def vjp(self, g: Any, *arrays: Any) -> tuple[Array | None, ...]:
        """Return what an ordinary backward pass gives, times `g`."""
        self._forward(arrays).backward()
        gradients = [p.gradient() for p in self.parameters]
        return tuple(
            None if d is None else np.asarray(g * d, d.dtype) for d in gradients
        )

    def _forward(self, arrays: Any) -> Any:
        values = [np.asarray(a) for a in arrays]
        for p, array in zip(self.parameters, values, strict=True):
            if array.shape != p.shape:
                raise ValueError(f"check_model: expected {p.shape}, got {array.shape}")
            p.assign(array)
        double, first = values[0].dtype == np.float64, self.parameters[0]
        self._set_buffers(double)
        x, y = (
            mapped(data, lambda a: first.like(a, double), nest) for data in self.data
        )
        loss = self.loss(self.model(*x) if type(x) is tuple else self.model(x), y)
        if getattr(loss, "requires_grad", False) and np.prod(loss.shape) == 1:
            return loss
        got = getattr(loss, "shape", None)
        raise TypeError(
            "check_model: loss(output, y) must return a tensor of one number that "
            f"depends on the parameters, got {type(loss).__name__}"
            + ("" if got is None else f" of shape {tuple(got)}")
        )

    def layers(self) -> list[tuple[str, str]]:
        """Return name and kind of the layers that hold no others, in order."""
        if hasattr(self.model, "register_forward_hook"):  # PyTorch's
            every = [
                (name, m)
                for name, m in self.model.named_modules()
                if not any(True for _ in m.children())
            ]
        else:
            every = list(_modules("", self.model))
        return [(name, getattr(m, "__name__", type(m).__name__)) for name, m in every]


def _array(data: Any) -> Any:
    """Return numbers in a list as an array."""
    return np.asarray(data) if isinstance(data, list | tuple) else data


def _parameter(tensor: Any) -> Parameter | TorchParameter:
    return Parameter(tensor) if isinstance(tensor, Tensor) else TorchParameter(tensor)


def _modules(name: str, module: Any) -> Iterator[tuple[str, Any]]:
    """Yield the parts of a module of this library: modules, functions in lists."""
    parts = []
    is_module = hasattr(module, "named_parameters")
    for key, value in vars(module).items() if is_module else ():
        path = f"{name}.{key}".lstrip(".")
        if isinstance(value, list | tuple):
            parts += [(f"{path}.{i}", v) for i, v in enumerate(value) if callable(v)]
        elif hasattr(value, "named_parameters"):
            parts.append((path, value))
    if not parts:
        yield name, module
    for part in parts:
        yield from _modules(*part)


class ModelProblem(VjpProblem):
    """The problem of a loss of real numbers."""

    compares_precisions = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.originals, self.takes_complex = self.inputs, False


def located(result: Result, layers: list[tuple[str, str]]) -> list[Finding]:
    """Return a note that says in which layers the fault is likely to be."""
    if result.verdict != "disagrees":
        return []
    parts = [(name_of(result, k).rpartition(".")[0], n) for k, (n, _) in shares(result)]
    wrong = {name for name, n in parts if n}
    sentence = suspects(layers, wrong, {name for name, n in parts if not n})
    return [Finding("layer", sentence, fatal=False)] if sentence else []


def suspects(layers: list[tuple[str, str]], wrong: set[str], right: set[str]) -> str:
    """Say in which layers, of those with wrong and with right parameters, the fault is.

    The gradient passes from the last layer to the first: it is wrong before the fault,
    and right behind it.
    """
    order = [name for name, _ in layers]
    titles = {name: f"{name} ({kind})" if name else kind for name, kind in layers}
    places = [k for k, name in enumerate(order) if name in wrong]
    if not places:
        return ""
    last = places[-1]
    # What is wrong in the middle, or in part, is not wrong for what comes to it.
    alone = wrong & right or (wrong if right.intersection(order[:last]) else set())
    if alone:
        own = " and ".join(titles.get(name, name) for name in sorted(alone))
        return f"the fault is likely in {own} itself"
    behind = [k for k, name in enumerate(order) if name in right]
    first = behind[0] if behind else len(order)
    span = [titles[name] for name in order[last : first + 1]]
    *most, end = span if behind else [*span, "the loss"]
    return (
        f"gradients are wrong up to {span[0]}: the fault is likely in "
        f"{', '.join(most)} or {end}"
    )
