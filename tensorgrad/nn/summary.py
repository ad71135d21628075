"""Tables of what a module consists of, made by calling it once."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from ..core.node import Node
from ..core.observe import observed
from ..core.tensor import Tensor
from ..core.tree import leaves

_MULTIPLICATIONS: dict[str, Callable[..., int]] = {
    "matmul": lambda y, a, b: y.size * a.shape[-1],
    "dense": lambda y, x, weight, bias: y.size * x.shape[-1],
    "convolution": lambda y, x, weight, *_: y.size * math.prod(weight.shape[1:]),
    "convolution_transposed": lambda y, x, weight, *_: (
        x.size * math.prod(weight.shape[1:])
    ),
}
"""By the name of a product: multiplications it makes."""


@dataclass(frozen=True)
class Row:
    """One layer of a summary: what is its own, without the layers inside."""

    layer: str
    kind: str
    output: str
    parameters: int
    multiplications: int
    bytes: int


@dataclass(frozen=True, repr=False)
class Summary:
    """The layers of a module as a table.

    Parameters
    ----------
    rows : tuple of Row
        One for each layer that was called: its path, kind, output shapes, parameters,
        multiplications in products, and bytes of its tensors and output.

    Attributes
    ----------
    parameters, multiplications, bytes : int
        Totals of all rows.
    """

    rows: tuple[Row, ...]

    @property
    def parameters(self) -> int:
        """Numbers that are trained."""
        return sum(row.parameters for row in self.rows)

    @property
    def multiplications(self) -> int:
        """Multiplications in matrix products and convolutions."""
        return sum(row.multiplications for row in self.rows)

    @property
    def bytes(self) -> int:
        """Bytes of parameters, buffers and outputs."""
        return sum(row.bytes for row in self.rows)

    def __repr__(self) -> str:
        head = list(Row.__dataclass_fields__)
        totals = (self.parameters, self.multiplications, self.bytes)
        lines = [tuple(vars(row).values()) for row in self.rows]
        texts = [head, *map(_texts, lines), _texts(("total", "", "", *totals))]
        widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
        return "\n".join(_line(row, widths) for row in texts)


def _texts(cells: Sequence[Any]) -> list[str]:
    return [f"{c:,}" if isinstance(c, int) else c for c in cells]


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        text.ljust(width) if i < 3 else text.rjust(width)
        for i, (text, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()


def summarise(module: Any, example: Sequence[Any]) -> Summary:
    """Return the table of a module, called with `example`."""
    watch = _Watch()
    with ExitStack() as stack:
        for part in module.modules():
            stack.enter_context(watch.noted(part))
        stack.enter_context(observed(watch.count))
        module(*(_tensor(x) for x in example))
    return Summary(
        tuple(
            watch.row(path, part)
            for path, part in module.named_modules()
            if id(part) in watch.outputs
        )
    )


def _tensor(x: Any) -> Any:
    """Return an array as a tensor: operations on arrays alone are not observed."""
    return Tensor(x) if hasattr(x, "dtype") and type(x) is not Tensor else x


class _Watch:
    """What is seen while a module is called: which layer is in charge, what it makes.

    All by the id of a layer; an array counts for the innermost layer that returns it.
    """

    def __init__(self) -> None:
        self.inside: list[int] = []
        self.outputs: dict[int, list[Any]] = {}
        self.products: Counter[int] = Counter()
        self.sizes: Counter[int] = Counter()
        self.counted: set[int] = set()

    def count(self, node: Node, arguments: Sequence[Any], y: Any) -> None:
        """Count the multiplications of a product for the layer in charge."""
        rule = _MULTIPLICATIONS.get(node.name)
        if rule is not None and self.inside:
            self.products[self.inside[-1]] += rule(y, *arguments)

    @contextmanager
    def noted(self, module: Any) -> Iterator[None]:
        """Note what a module returns, and that it is being called, inside the block."""
        own, forward = vars(module).get("forward"), module.forward

        def noted(*args: Any, **kwargs: Any) -> Any:
            self.inside.append(id(module))
            try:
                y = forward(*args, **kwargs)
            finally:
                self.inside.pop()
            self.outputs[id(module)] = [x for x in leaves(y) if hasattr(x, "shape")]
            self.sizes[id(module)] += self.new_bytes(self.outputs[id(module)])
            return y

        vars(module)["forward"] = noted
        try:
            yield
        finally:
            del vars(module)["forward"]
            if own is not None:
                vars(module)["forward"] = own

    def new_bytes(self, arrays: Sequence[Any]) -> int:
        """Return the bytes of those arrays that have not been counted."""
        new = [x for x in arrays if id(x) not in self.counted]
        self.counted.update(map(id, new))
        return sum(x.size * x.dtype.itemsize for x in new)

    def row(self, path: str, module: Any) -> Row:
        """Return the row of a module that was called."""
        own = [t for _, t in module._members() if isinstance(t, Tensor)]
        trained = [t for t in own if t.requires_grad and id(t) not in self.counted]
        return Row(
            path,
            type(module).__name__,
            " ".join(str(y.shape) for y in self.outputs[id(module)]),
            sum(t.size for t in trained),
            self.products[id(module)],
            self.sizes[id(module)] + self.new_bytes(own),
        )
