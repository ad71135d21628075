"""Explanations: a graph, the numbers in it, and the pass back through it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from html import escape
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from ..core.backward import fit, interior
from ..core.errors import GraphError
from ..core.node import Leaf, Node
from ..core.parts import Parts
from ..core.plan import OUTPUT
from ..core.primitive import Primitive
from ..core.tensor import Tensor
from .boxes import boxes
from .drawing import dot, mermaid, svg
from .expressions import expression
from .mathematics import rule_of
from .names import Names, names_in
from .page import page
from .steps import Array, Step, Variable, Way, leaves_of, summed_axes
from .text import as_text
from .watch import layers, notes, watching


class Explanation:
    """The steps that led to a number, and the gradient of each.

    Its text is for a terminal; ``mermaid()`` and ``dot()`` give the graph in those
    languages, ``html()`` a page on which steps open and the pass is played.

    Parameters
    ----------
    steps : list of Step
        In the order of the forward pass; the last is what is explained.
    variables : list of Variable

    Attributes
    ----------
    steps : list of Step
    variables : list of Variable
    """

    def __init__(self, steps: list[Step], variables: list[Variable]) -> None:
        self.steps = steps
        self.variables = variables

    def __str__(self) -> str:
        return as_text(self)

    __repr__ = __str__

    def mermaid(self) -> str:
        """Return the graph in Mermaid's language, for Markdown pages."""
        return mermaid(boxes(self.steps, self.variables))

    def dot(self) -> str:
        """Return the graph in the language of Graphviz."""
        return dot(boxes(self.steps, self.variables))

    def svg(self) -> str:
        """Return the graph drawn, as one SVG element that needs nothing else."""
        return svg(boxes(self.steps, self.variables), f"graph of {self.steps[-1].name}")

    def html(self) -> str:
        """Return a page, in need of nothing else, that plays both passes."""
        return page(self.steps, self.variables, boxes(self.steps, self.variables))

    def save(self, path: str | PathLike[str]) -> None:
        """Write it in the format that the ending of the name stands for.

        Parameters
        ----------
        path : path
            With the ending .html, .svg, .mmd (Mermaid), .dot or .txt.

        Raises
        ------
        ValueError
            For another ending.
        """
        formats = {
            ".html": self.html,
            ".svg": self.svg,
            ".mmd": self.mermaid,
            ".dot": self.dot,
            ".txt": self.__str__,
        }
        write = formats.get(Path(path).suffix)
        if write is None:
            raise ValueError(
                f"save: expected a name that ends in {', '.join(formats)}, got {path}"
            )
        Path(path).write_text(write(), "utf-8")

    def _repr_svg_(self) -> str:
        return self.svg()

    def _repr_html_(self) -> str:
        # In a frame of its own, so that the page's style and script stay inside.
        return (
            f'<iframe srcdoc="{escape(self.html())}" width="100%" height="520" '
            'style="border: 1px solid #ccc"></iframe>'
        )


def explain(
    result: Any, *inputs: Any, gradient: Any = None, names: Mapping[str, Any] = {}
) -> Explanation:
    """Explain how a tensor was computed, and how gradients flow back from it.

    Nothing is changed: no ``grad`` is written and the graph stays as it is.

    Parameters
    ----------
    result : Tensor or callable
        The tensor, before ``backward()`` has freed its graph; or a function, which is
        called with `inputs` and whose values are all told.
    *inputs : Tensor
        Arguments, where `result` is a function.
    gradient : array_like, optional
        The gradient that comes in, of the shape of the result; ones where not given.
    names : mapping of str to Tensor or Module
        What to call things. Variables of the caller are found by themselves.

    Returns
    -------
    Explanation

    Raises
    ------
    GraphError
        If the tensor needs no gradient, or its graph has been freed.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> x = tg.Tensor([1.0, -2.0], requires_grad=True)
    >>> y = tg.relu(x).sum()
    >>> print(tg.explain(y))
    y = relu(x) ...
    """
    known = names_in(sys._getframe(1), names)
    if callable(result) and not isinstance(result, Tensor):
        with watching():
            result = result(*inputs)
    if type(result) is not Tensor or type(result.node) is not Node:
        raise GraphError(
            "explain: expected the result of operations on tensors that need a "
            f"gradient, got {result!r:.60}; make an input with requires_grad=True"
        )
    return _explained(result, gradient, known)


def _explained(result: Tensor, gradient: Any, known: Names) -> Explanation:
    nodes = interior([result.node])  # type: ignore[list-item]
    things: dict[Any, Any] = {}
    for i, leaf in enumerate(leaves_of(nodes), 1):
        things[leaf] = _variable(leaf, known.get(leaf, f"x{i}"))
    values = _kept_values(nodes)
    values.setdefault(result.node, result._value)
    for i, node in enumerate(reversed(nodes), 1):
        things[node] = _step(i, node, things, known, values.get(node))
    seed = np.ones(result.shape, result.dtype) if gradient is None else gradient
    _back(nodes, things, {result.node: np.asarray(seed, dtype=result.dtype)})
    steps = [things[node] for node in reversed(nodes)]
    return Explanation(steps, [t for t in things.values() if type(t) is Variable])


def _variable(leaf: Leaf, name: str) -> Variable:
    tensor = leaf.tensor()
    value = None if tensor is None else tensor.numpy()
    return Variable(name, leaf.shape, leaf.dtype, value)


def _step(i: int, node: Node, things: Any, known: Names, value: Any) -> Step:
    note = notes.get(node)
    inside = () if note is None else note.modules
    called = [known.get(m) or type(layers[m]).__name__ for m in inside if m in layers]
    return Step(
        number=i,
        name=known.get(node, f"t{i}"),
        operation=node.name,
        expression=expression(node, things, note and note.arguments),
        shape=node.shape,
        dtype=node.dtype,
        place=node.place,
        value=value,
        modules=tuple(called),
        inputs=[things[p] for p in node.parents],
    )


def _kept_values(nodes: list[Node]) -> dict[Any, Any]:
    """Return the outputs that notes or saved values hold, by node."""
    found: dict[Any, Any] = {}
    for node in nodes:
        note = notes.get(node)
        if note is not None:
            found[node] = note.output
        op = node.plan.op
        if (
            not isinstance(op, Primitive)
            or op.multiple
            or not hasattr(node.plan, "names")
        ):
            continue
        saved = dict(zip(node.plan.names, node.saved, strict=True))
        if OUTPUT in saved:
            found.setdefault(node, saved[OUTPUT])
        for (argument, _), parent in zip(node.plan.inputs, node.parents, strict=True):
            if argument != op.variadic and op.names[argument] in saved:
                found.setdefault(parent, saved[op.names[argument]])
    return found


def _back(nodes: list[Node], things: dict[Any, Any], arrived: dict[Any, Any]) -> None:
    """Run the rules, newest node first, and note on each step what they gave."""
    with np.errstate(all="ignore"):
        for node in nodes:
            g = arrived.get(node)
            if g is None:
                continue
            step = things[node]
            step.incoming = None if isinstance(g, Parts) else np.asarray(g)
            for k, parent in enumerate(node.parents):
                dx, way = _way(node, k, g, things[parent])
                step.ways.append(way)
                arrived[parent] = arrived[parent] + dx if parent in arrived else dx
    for node, thing in things.items():
        if type(thing) is Variable and node in arrived:
            thing.gradient = np.asarray(arrived[node])


def _way(node: Node, k: int, g: Any, to: Any) -> tuple[Any, Way]:
    rule, pick = node.plan.steps[k]
    raw = rule(g) if pick is None else rule(g, *pick(node.saved))
    dx = raw if isinstance(raw, Parts) else fit(raw, node.parents[k], node)
    argument, item = node.plan.inputs[k]
    op = node.plan.op
    name = op.names[argument] if isinstance(op, Primitive) else "x"
    if isinstance(op, Primitive) and argument == op.variadic:
        name = f"{name}[{item}]"
    way = Way(to, name, rule_of(op, argument), _array(dx))
    if not isinstance(raw, Parts):
        way.before = raw.shape
        way.summed = summed_axes(raw.shape, dx.shape)
    return dx, way


def _array(dx: Any) -> Array:
    return np.zeros(0) if isinstance(dx, Parts) else np.asarray(dx)
