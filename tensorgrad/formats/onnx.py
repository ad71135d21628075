"""ONNX: a model as a graph of operators that other programs run.

The model is called twice, in evaluation mode, on different numbers and batches of
different sizes. What differs between the two calls follows from the input, and must be
the output of an operation that is known here; all else is a constant of the graph. So
nothing that depends on the input is frozen.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from .. import extras
from ..core.mode import no_grad
from ..core.observe import observed
from ..core.tensor import Tensor
from ..core.tree import leaves
from ..files import replacement
from ..nn import Module

__all__ = ["export_onnx"]

Array: TypeAlias = NDArray[Any]
Pair: TypeAlias = tuple[Any, Any]
"""The same thing in the first call and in the second."""

OPSET = 20
_FAR = 2**62
"""The end of a slice that goes to the end of its axis, of whatever length."""


@dataclass(frozen=True)
class Event:
    """A call of an operation.

    Attributes
    ----------
    name, place : str
        Of the operation, and of the line that called it.
    arguments : dict
        By name, as arrays.
    output : array or tuple of arrays
    """

    name: str
    place: str
    arguments: dict[str, Any]
    output: Any


def export_onnx(
    model: Module,
    path: str | os.PathLike[str],
    *example: Any,
    dynamic_batch: bool = True,
) -> None:
    """Write what a model computes to an ONNX file.

    Parameters
    ----------
    model : Module
        Taken in evaluation mode.
    path : str or path
        By custom ending in ``.onnx``.
    *example : arrays
        An input of the model each, of the shape and dtype it will have. They become
        ``input_0`` and so on, the outputs ``output_0`` and so on.
    dynamic_batch : bool
        Whether the first axis of inputs and outputs may have any length. If not, the
        model is for batches of the size of the example.

    Raises
    ------
    ImportError
        Without the package onnx, of the extra ``formats``.
    ValueError
        If the model uses an operation that has no translation, looks at values in
        Python, or depends on the size of the batch otherwise than by shapes.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorgrad as tg
    >>> model = tg.nn.Sequential(tg.nn.Dense(4, 8), tg.nn.ReLU(), tg.nn.Dense(8, 3))
    >>> tg.formats.export_onnx(
    ...     model, "model.onnx", np.ones((1, 4), np.float32))  # doctest: +SKIP
    """
    onnx = extras.load("onnx", "formats", "export_onnx")
    if not isinstance(path, str | os.PathLike):
        raise TypeError(
            "export_onnx: expected a path after the model, and then an example of each "
            f"input, got {type(path).__name__} there"
        )
    first = [np.array(x.numpy() if hasattr(x, "numpy") else x) for x in example]
    if not first or (dynamic_batch and not all(x.ndim for x in first)):
        raise ValueError(
            "export_onnx: expected an example of each input, with a first axis for "
            f"the batch, got shapes {[x.shape for x in first]}"
        )
    both = [
        [Tensor(x) if x.dtype.kind == "f" else x for x in inputs]
        for inputs in (first, [_another(x, dynamic_batch) for x in first])
    ]
    training = model.training
    model.eval()
    try:
        calls = [_events(model, inputs) for inputs in both]
    finally:
        model.train(training)
    inputs = [[_memory(x) for x in call] for call in both]
    graph = Graph(onnx, (inputs[0], inputs[1]), dynamic_batch)
    if len(calls[0][0]) != len(calls[1][0]):
        raise _undetermined("the model does other operations for another input")
    for events in zip(calls[0][0], calls[1][0], strict=True):
        graph.add(*events)
    proto = graph.finished((calls[0][1], calls[1][1]))
    with replacement(Path(os.path.realpath(path))) as file:
        file.write(proto.SerializeToString())


def _another(x: Array, larger: bool) -> Array:
    """Return an input of other numbers, and of one sample more."""
    if larger:
        x = np.concatenate([x, x[-1:]])
    if x.dtype.kind == "f":
        noise = np.random.default_rng(0).standard_normal(x.shape)
        return (0.9 * x + 0.1 * noise).astype(x.dtype)
    # Indices that are in range.
    return np.random.default_rng(0).permutation(x.ravel()).reshape(x.shape)


def _memory(x: Any) -> Array:
    return x._value if type(x) is Tensor else np.asarray(x)


def _events(model: Module, inputs: list[Any]) -> tuple[list[Event], list[Array]]:
    events: list[Event] = []

    def note(node: Any, arguments: Sequence[Any], output: Any) -> None:
        names = dict(zip(node.plan.op.names, arguments, strict=False))
        events.append(Event(node.name, str(node.place), names, output))

    with no_grad(), observed(note):
        output = model(*inputs)
    return events, [_memory(y) for y in leaves(output)]


def _undetermined(what: str) -> ValueError:
    return ValueError(
        f"export_onnx: {what}; write it with operations on tensors, such as np.where "
        "and np.maximum, or pass dynamic_batch=False"
    )


@final
class Graph:
    """A graph of ONNX that grows by the operations of two calls.

    Parameters
    ----------
    onnx : module
    inputs : pair of lists of arrays
    dynamic_batch : bool
    """

    def __init__(self, onnx: Any, inputs: Pair, dynamic_batch: bool) -> None:
        self.onnx = onnx
        self.nodes: list[Any] = []
        self.constants: dict[Any, Any] = {}
        self.batch = (len(inputs[0][0]), len(inputs[1][0])) if dynamic_batch else (0, 0)
        self.names: dict[tuple[int, int], str] = {}
        # While an array is there, no other one has its id.
        self.alive: list[Any] = [inputs]
        self.place = ""
        self.inputs = [
            self._declared(f"input_{i}", (a, b))
            for i, (a, b) in enumerate(zip(*inputs, strict=True))
        ]

    def _declared(self, name: str, pair: Pair) -> Any:
        self.names[id(pair[0]), id(pair[1])] = name
        return self._info(name, pair)

    def _info(self, name: str, pair: Pair) -> Any:
        shape = [
            n if n == m else "batch"
            for n, m in zip(pair[0].shape, pair[1].shape, strict=True)
        ]
        kind = self.onnx.helper.np_dtype_to_tensor_dtype(pair[0].dtype)
        return self.onnx.helper.make_tensor_value_info(name, kind, shape)

    def node(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        """Add a node; return the name of its output, or a list of several."""
        names = [f"{kind}_{len(self.nodes)}_{i}" for i in range(outputs)]
        made = self.onnx.helper.make_node(kind, list(inputs), names, **attributes)
        self.nodes.append(made)
        return names[0] if outputs == 1 else names

    def constant(self, value: Any, dtype: Any = None) -> str:
        """Return the name of a constant."""
        array = np.ascontiguousarray(np.asarray(value, dtype)).reshape(np.shape(value))
        key = array.dtype.str, array.shape, array.tobytes()
        if key not in self.constants:
            name = f"constant_{len(self.constants)}"
            self.constants[key] = self.onnx.numpy_helper.from_array(array, name)
        return str(self.constants[key].name)

    def integers(self, *values: int) -> str:
        """Return the name of a constant vector of integers."""
        return self.constant(np.array(values, np.int64))

    def add(self, first: Event, second: Event) -> None:
        """Add what corresponds to an operation, as it was called in both calls."""
        if first.name != second.name:
            raise _undetermined(
                f"{first.name} and {second.name} are done for different inputs, at "
                f"{first.place}"
            )
        self.alive += [first, second]
        self.place = f"{first.name}, called at {first.place},"
        if first.name not in TRANSLATIONS:
            raise ValueError(
                f"export_onnx: {self.place} has no translation to ONNX; write it with "
                "operations that have one, such as arithmetic, matmul and the layers"
            )
        arguments = {
            name: (value, second.arguments[name])
            for name, value in first.arguments.items()
        }
        call = Call(self, arguments, (first.output, second.output))
        made = TRANSLATIONS[first.name](call)
        outputs = zip(
            made if isinstance(made, list) else [made],
            *(
                y if isinstance(y, tuple | list) else [y]
                for y in (first.output, second.output)
            ),
            strict=True,
        )
        for name, a, b in outputs:
            self.names[id(a), id(b)] = name

    def value(self, pair: Pair, dtype: Any = None) -> str:
        """Return the name of an array: an output, or a constant."""
        name = self.names.get((id(pair[0]), id(pair[1])))
        if name is not None:
            same = dtype is None or pair[0].dtype == dtype
            return name if same else self.cast(name, dtype)
        a, b = np.asarray(pair[0]), np.asarray(pair[1])
        if a.ndim == b.ndim and a.shape != b.shape:
            a, b = _uniform(a, b)
        if a.shape != b.shape or a.tobytes() != b.tobytes():
            raise _undetermined(
                f"an argument of {self.place} depends on the input by way of Python or "
                "of a comparison"
            )
        return self.constant(a, dtype)

    def cast(self, name: str, dtype: Any) -> str:
        """Return the name of an array as another dtype."""
        kind = self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return str(self.node("Cast", name, to=kind))

    def lengths(self, first: Sequence[int], second: Sequence[int]) -> str:
        """Return the name of a vector of lengths, some of which follow the batch."""
        if tuple(first) == tuple(second):
            return self.integers(*first)
        shape = self.node("Shape", "input_0", start=0, end=1)
        parts = []
        for n, m in zip(first, second, strict=True):
            if n == m:
                parts.append(self.integers(n))
                continue
            times = n // self.batch[0] if self.batch[0] else 0
            if (n, m) != (times * self.batch[0], times * self.batch[1]):
                raise _undetermined(
                    f"{self.place} has lengths {n} and {m} for batches of "
                    f"{self.batch[0]} and {self.batch[1]}"
                )
            parts.append(self.node("Mul", shape, self.integers(times)))
        return str(self.node("Concat", *parts, axis=0))

    def finished(self, outputs: Pair) -> Any:
        """Return the model, checked."""
        infos = []
        for i, pair in enumerate(zip(*outputs, strict=True)):
            source = self.value(pair)
            self.nodes.append(
                self.onnx.helper.make_node("Identity", [source], [f"output_{i}"])
            )
            infos.append(self._info(f"output_{i}", pair))
        graph = self.onnx.helper.make_graph(
            self.nodes, "tensorgrad", self.inputs, infos, [*self.constants.values()]
        )
        versions = [self.onnx.helper.make_opsetid("", OPSET)]
        model = self.onnx.helper.make_model(
            graph, opset_imports=versions, ir_version=9, producer_name="tensorgrad"
        )
        self.onnx.checker.check_model(model, full_check=True)
        return model


def _uniform(a: Array, b: Array) -> Pair:
    """Return constants of two lengths, the same all along that axis, as length 1."""
    for axis, (n, m) in enumerate(zip(a.shape, b.shape, strict=True)):
        if n != m:
            a, b = (
                x.take([0], axis) if (x == x.take([0], axis)).all() else x
                for x in (a, b)
            )
    return a, b


@final
class Call:
    """An operation of both calls, as its translation sees it.

    Parameters
    ----------
    graph : Graph
    arguments : dict of pairs
    outputs : pair
    """

    def __init__(self, graph: Graph, arguments: dict[str, Pair], outputs: Pair) -> None:
        self.graph, self.arguments, self.outputs = graph, arguments, outputs
        self.node, self.integers = graph.node, graph.integers

    @property
    def dtype(self) -> Any:
        """Of the output."""
        return self.outputs[0].dtype

    def array(self, name: str, dtype: Any = None) -> str:
        """Return the name of an argument that is an array."""
        return self.graph.value(self.arguments[name], dtype)

    def option(self, name: str) -> Any:
        """Return an argument that is the same in both calls."""
        a, b = self.arguments[name]
        if not (np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b):
            raise _undetermined(f"{name} of {self.graph.place} differs: {a} and {b}")
        return a

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of an argument in the first call."""
        return np.shape(self.arguments[name][0])

    def axes(self, name: str, option: str = "axis") -> tuple[int, ...]:
        """Return the axes that an argument names, counted from the first."""
        axis, ndim = self.option(option), len(self.shape(name))
        if axis is None:
            return tuple(range(ndim))
        axes = axis if isinstance(axis, tuple) else (axis,)
        return tuple(int(i) % ndim for i in axes)

    def output_lengths(self) -> str:
        """Return the name of the output's shape."""
        return self.graph.lengths(self.outputs[0].shape, self.outputs[1].shape)


Translation: TypeAlias = Callable[[Call], Any]


def _elementwise(kind: str, **attributes: str) -> Translation:
    """Translate an operation whose arguments are arrays, or options by name."""

    def translate(call: Call) -> Any:
        options = {key: call.option(name) for key, name in attributes.items()}
        arrays = [n for n in call.arguments if n not in attributes.values()]
        return call.node(kind, *(call.array(n, call.dtype) for n in arrays), **options)

    return translate


def _composed(build: Callable[..., str]) -> Translation:
    """Translate an operation by others: of a call, and its arrays."""

    def translate(call: Call) -> Any:
        return build(call, *(call.array(n, call.dtype) for n in call.arguments))

    return translate


def _number(call: Call, x: float) -> str:
    return call.graph.constant(x, call.dtype)


def _reduction(kind: str) -> Translation:
    def translate(call: Call) -> Any:
        axes = call.integers(*call.axes("a"))
        keep = int(call.option("keepdims"))
        return call.node(kind, call.array("a"), axes, keepdims=keep)

    return translate


def _variance(call: Call) -> str:
    axes, x = call.axes("a"), call.array("a")
    count = math.prod(call.shape("a")[i] for i in axes) - call.option("ddof")
    if call.option("where") is not True:
        raise _undetermined(f"{call.graph.place} has a mask")
    mean = call.node("ReduceMean", x, call.integers(*axes), keepdims=1)
    off = call.node("Sub", x, mean)
    squares = call.node("Mul", off, off)
    keep = int(call.option("keepdims"))
    total = call.node("ReduceSum", squares, call.integers(*axes), keepdims=keep)
    return str(call.node("Div", total, _number(call, count)))


def _softmax(kind: str) -> Translation:
    return lambda call: call.node(kind, call.array("x"), axis=call.axes("x")[0])


def _softmax_where(call: Call) -> str:
    seen, x = call.array("seen", bool), call.array("x")
    # Not minus infinity: of a row of it softmax is NaN.
    least = _number(call, float(np.finfo(call.dtype).min))
    y = call.node("Softmax", call.node("Where", seen, x, least), axis=-1)
    return str(call.node("Where", seen, y, _number(call, 0)))


def _standardise(call: Call) -> str:
    axes = call.integers(*call.axes("x", "axes"))

    def mean(x: str) -> str:
        return str(call.node("ReduceMean", x, axes, keepdims=1))

    x = call.array("x")
    d = call.node("Sub", x, mean(x))
    variance = mean(call.node("Mul", d, d))
    shifted = call.node("Add", variance, _number(call, call.option("eps")))
    return str(call.node("Div", d, call.node("Sqrt", shifted)))


def _clip(call: Call) -> str:
    y = call.array("a", call.dtype)
    for name, kind in (("a_min", "Max"), ("a_max", "Min")):
        if call.arguments[name][0] is not None:
            y = call.node(kind, y, call.array(name, call.dtype))
    return y


def _where(call: Call) -> Any:
    branches = (call.array(name, call.dtype) for name in ("a", "b"))
    return call.node("Where", call.array("condition", bool), *branches)


def _reshaped(name: str) -> Translation:
    return lambda call: call.node("Reshape", call.array(name), call.output_lengths())


def _permuted(order: Callable[[Call, int], Sequence[int]], name: str) -> Translation:
    def translate(call: Call) -> Any:
        permutation = order(call, len(call.shape(name)))
        return call.node("Transpose", call.array(name), perm=[*permutation])

    return translate


def _transpose(call: Call, ndim: int) -> Sequence[int]:
    axes = call.option("axes")
    return range(ndim)[::-1] if axes is None else [i % ndim for i in axes]


def _swapaxes(call: Call, ndim: int) -> Sequence[int]:
    axes = call.option("axis1"), call.option("axis2")
    return _moved(ndim, lambda x: np.swapaxes(x, *axes))


def _moveaxis(call: Call, ndim: int) -> Sequence[int]:
    source, destination = call.option("source"), call.option("destination")
    return _moved(ndim, lambda x: np.moveaxis(x, source, destination))


def _moved(ndim: int, move: Callable[[Array], Array]) -> list[int]:
    """Return the permutation of axes that a function of NumPy makes."""
    return [n - 1 for n in move(np.empty(range(1, ndim + 1), bool)).shape]


def _joined(kind: str) -> Translation:
    def translate(call: Call) -> Any:
        first, second = call.arguments["arrays"]
        pairs = zip(first, second, strict=True)
        names = [call.graph.value(pair, call.dtype) for pair in pairs]
        axis = call.option("axis") % call.outputs[0].ndim
        if kind == "stack":
            names = [call.node("Unsqueeze", n, call.integers(axis)) for n in names]
        return call.node("Concat", *names, axis=axis)

    return translate


def _split(call: Call) -> Any:
    axis = call.axes("a")[0]
    bounds = (0, *call.option("points"), call.shape("a")[axis])
    source = call.array("a")
    return [
        _sliced(call, source, axis, (start, start), (stop, stop), 1)
        for start, stop in itertools.pairwise(bounds)
    ]


def _sliced(
    call: Call,
    source: str,
    axis: int,
    starts: Sequence[int],
    stops: Sequence[int],
    step: int,
) -> str:
    ends = [
        call.graph.lengths([a], [b]) if a != b else call.integers(a)
        for a, b in (starts, stops)
    ]
    where = call.integers(axis), call.integers(step)
    return str(call.node("Slice", source, *ends, *where))


def _getitem(call: Call) -> str:
    """Index by integers, slices, None, Ellipsis, and one array of integers."""
    first, second = (
        _full_index(i, len(call.shape("a"))) for i in call.arguments["index"]
    )
    y, axis = call.array("a"), 0
    for a, b in zip(first, second, strict=True):
        if a is None:
            y = call.node("Unsqueeze", y, call.integers(axis))
            axis += 1
        elif isinstance(a, slice):
            y = _by_slice(call, y, axis, a, b)
            axis += 1
        else:
            arrays = sum(not isinstance(i, slice | None) for i in first)
            if np.ndim(a) and (arrays > 1 or np.asarray(a).dtype.kind not in "iu"):
                raise _undetermined(f"{call.graph.place} is indexed by several arrays")
            y = call.node("Gather", y, call.graph.value((a, b)), axis=axis)
            axis += np.ndim(a)
    return y


def _full_index(index: Any, ndim: int) -> list[Any]:
    """Return an index as a list, one item for each axis and each new one."""
    items = [*index] if isinstance(index, tuple) else [index]
    taken = sum(i is not None and i is not Ellipsis for i in items)
    rest = [slice(None)] * (ndim - taken)
    at = next((k for k, i in enumerate(items) if i is Ellipsis), None)
    if at is None:
        return [*items, *rest]
    return [*items[:at], *rest, *items[at + 1 :]]


def _by_slice(call: Call, y: str, axis: int, a: slice, b: slice) -> str:
    if a == b == slice(None):
        return y
    step = a.step or 1
    near, far = (0, _FAR) if step > 0 else (_FAR, -_FAR)
    starts, stops = (
        [default if end is None else int(end) for end in ends]
        for default, ends in ((near, (a.start, b.start)), (far, (a.stop, b.stop)))
    )
    return _sliced(call, y, axis, starts, stops, step)


def _take(call: Call) -> Any:
    source, axis = call.array("a"), call.option("axis")
    if axis is None:
        source, axis = call.node("Reshape", source, call.integers(-1)), 0
    return call.node("Gather", source, call.array("indices"), axis=axis)


def _pad(call: Call) -> Any:
    if call.option("mode") != "constant":
        raise _undetermined(f"{call.graph.place} pads by {call.option('mode')!r}")
    widths = np.array(call.option("widths"))
    fill = call.option("options").get("constant_values", 0)
    return call.node(
        "Pad",
        call.array("a"),
        call.integers(*widths[:, 0].tolist(), *widths[:, 1].tolist()),
        _number(call, fill),
    )


def _dense(call: Call) -> str:
    product = call.node("MatMul", call.array("x"), call.array("weight"))
    return str(call.node("Add", product, call.array("bias")))


def _window(call: Call) -> dict[str, Any]:
    window = call.option("window")
    before, behind = zip(*window.padding, strict=True)
    return {
        "kernel_shape": [*window.kernel],
        "strides": [*window.stride],
        "dilations": [*window.dilation],
        "pads": [*before, *behind],
    }


def _convolution(call: Call) -> Any:
    names = [call.array(name) for name in ("x", "weight")]
    if call.arguments["bias"][0] is not None:
        names.append(call.array("bias"))
    return call.node("Conv", *names, group=call.option("groups"), **_window(call))


def _convolution_transposed(call: Call) -> Any:
    """The lengths of the output say how much behind its end is left out."""
    options, window = _window(call), call.option("window")
    whole = [
        (n - 1) * s + span
        for n, s, span in zip(
            call.shape("x")[2:], window.stride, window.spans, strict=True
        )
    ]
    axes = len(whole)
    wanted = call.option("lengths")
    rest = [
        n - (w - before)
        for n, w, before in zip(wanted, whole, options["pads"][:axes], strict=True)
    ]
    options["pads"] = [*options["pads"][:axes], *(max(-r, 0) for r in rest)]
    y = call.node(
        "ConvTranspose",
        call.array("x"),
        call.array("weight"),
        group=call.option("groups"),
        **options,
    )
    if any(r > 0 for r in rest):
        widths = call.integers(*[0] * (4 + axes), *(max(r, 0) for r in rest))
        y = call.node("Pad", y, widths)
    return y


def _unfold(call: Call) -> Any:
    """Take windows apart by a convolution whose filters hold a single one each."""
    shape = call.outputs[0].shape
    channels, kernel = shape[1], call.option("window").kernel
    places = math.prod(kernel)
    filters = np.tile(np.eye(places), (channels, 1)).reshape(-1, 1, *kernel)
    weight = call.graph.constant(filters, call.dtype)
    y = call.node("Conv", call.array("x"), weight, group=channels, **_window(call))
    return call.node("Reshape", y, call.output_lengths())


def _unstack(call: Call) -> Any:
    source, axis = call.array("x"), call.axes("x")[0]
    return [
        call.node("Gather", source, call.graph.constant(i, np.int64), axis=axis)
        for i in range(len(call.outputs[0]))
    ]


def _gelu(call: Call) -> Any:
    approximate = "tanh" if call.option("approximate") in (True, "tanh") else "none"
    return call.node("Gelu", call.array("x"), approximate=approximate)


def _times(call: Call, x: str, by: float) -> str:
    return str(call.node("Mul", x, _number(call, by)))


_SAME = """
absolute=Abs add=Add arccos=Acos arccosh=Acosh arcsin=Asin arcsinh=Asinh arctan=Atan
arctanh=Atanh ceil=Ceil cos=Cos cosh=Cosh divide=Div erf=Erf exp=Exp fabs=Abs
floor=Floor log=Log matmul=MatMul maximum=Max minimum=Min multiply=Mul negative=Neg
power=Pow reciprocal=Reciprocal relu=Relu rint=Round sigmoid=Sigmoid sign=Sign sin=Sin
sinh=Sinh softplus=Softplus sqrt=Sqrt subtract=Sub tan=Tan tanh=Tanh
"""

TRANSLATIONS: dict[str, Translation] = {
    **{n: _elementwise(kind) for n, kind in (x.split("=") for x in _SAME.split())},
    "leaky_relu": _elementwise("LeakyRelu", alpha="negative_slope"),
    "elu": _elementwise("Elu", alpha="alpha"),
    "square": _composed(lambda call, x: call.node("Mul", x, x)),
    "log1p": _composed(
        lambda call, x: call.node("Log", call.node("Add", x, _number(call, 1)))
    ),
    "expm1": _composed(
        lambda call, x: call.node("Sub", call.node("Exp", x), _number(call, 1))
    ),
    "exp2": _composed(lambda call, x: call.node("Exp", _times(call, x, math.log(2)))),
    "log2": _composed(
        lambda call, x: _times(call, call.node("Log", x), 1 / math.log(2))
    ),
    "log10": _composed(
        lambda call, x: _times(call, call.node("Log", x), 1 / math.log(10))
    ),
    "erfc": _composed(
        lambda call, x: call.node("Sub", _number(call, 1), call.node("Erf", x))
    ),
    "silu": _composed(lambda call, x: call.node("Mul", x, call.node("Sigmoid", x))),
    "gelu": _gelu,
    "softmax": _softmax("Softmax"),
    "softmax_where": _softmax_where,
    "standardise": _standardise,
    "log_softmax": _softmax("LogSoftmax"),
    "logsumexp": lambda call: call.node(
        "ReduceLogSumExp",
        call.array("x"),
        call.integers(*call.axes("x")),
        keepdims=int(call.option("keepdims")),
    ),
    "sum": _reduction("ReduceSum"),
    "mean": _reduction("ReduceMean"),
    "max": _reduction("ReduceMax"),
    "min": _reduction("ReduceMin"),
    "norm": lambda call: call.node(
        "ReduceL2",
        call.array("x"),
        call.integers(*call.axes("x")),
        keepdims=int(call.option("keepdims")),
    ),
    "var": _variance,
    "std": lambda call: call.node("Sqrt", _variance(call)),
    "cumsum": lambda call: call.node(
        "CumSum", call.array("a"), call.graph.constant(call.axes("a")[0], np.int64)
    ),
    "clip": _clip,
    "where": _where,
    "reshape": _reshaped("a"),
    "squeeze": _reshaped("a"),
    "expand_dims": _reshaped("a"),
    "copy": lambda call: call.array("a"),
    "positive": lambda call: call.array("x"),
    "astype": lambda call: call.array("x", call.dtype),
    "broadcast_to": lambda call: call.node(
        "Expand", call.array("array"), call.output_lengths()
    ),
    "transpose": _permuted(_transpose, "a"),
    "swapaxes": _permuted(_swapaxes, "a"),
    "moveaxis": _permuted(_moveaxis, "a"),
    "concatenate": _joined("concatenate"),
    "stack": _joined("stack"),
    "split": _split,
    "unfold": _unfold,
    "unstack": _unstack,
    "getitem": _getitem,
    "take": _take,
    "surround": _pad,
    "einsum": lambda call: call.node(
        "Einsum", call.array("x"), equation=call.option("subscripts")
    ),
    "dense": _dense,
    "convolution": _convolution,
    "convolution_transposed": _convolution_transposed,
    "max_pool": lambda call: call.node("MaxPool", call.array("x"), **_window(call)),
}
"""For each operation what adds it to a graph, and returns the names of its outputs."""
