"""Both passes over a graph, step by step; nothing in the graph is changed."""

from __future__ import annotations

from collections.abc import Iterable
from inspect import signature
from typing import Any

import numpy as np

from ..core.backward import interior, walk
from ..core.errors import GraphError
from ..core.hooks import hooked
from ..core.node import Leaf, Node
from ..core.parts import PartPlan, Parts
from ..core.primitive import Primitive
from ..core.saves import OUTPUT
from ..core.tensor import Tensor
from ..core.writes import check_unwritten
from .expressions import Call
from .mathematics import Reading, reading
from .names import Names
from .observer import layers, notes
from .steps import Step, Variable, Way, line_of, summed_axes


def steps_to(
    result: Tensor, gradient: Any, names: Names
) -> tuple[list[Step], list[Variable]]:
    """Return the steps that led to a tensor, oldest first, and its variables.

    Raises
    ------
    GraphError
        If a backward pass has freed the graph, or what a rule needs was overwritten.
    """
    nodes = _nodes_of([result.node])[::-1]
    things: dict[Any, Any] = {}
    for i, leaf in enumerate(_leaves(nodes), 1):
        things[leaf] = _variable(leaf, names.get(leaf, f"x{i}"))
    values = {result.node: result._value, **_saved_values(nodes)}
    calls = {}
    for i, node in enumerate(nodes, 1):
        calls[node] = _call(node, things, names)
        things[node] = _step(i, calls[node], things, values.get(node))
    seed = np.ones(result.shape) if gradient is None else gradient
    _back(calls, things, {result.node: np.asarray(seed, dtype=result.dtype)})
    steps = [things[node] for node in nodes]
    return steps, [t for t in things.values() if type(t) is Variable]


def _nodes_of(roots: list[Any]) -> list[Node]:
    try:
        nodes = interior(roots)
    except GraphError as error:
        raise GraphError(
            f"explain: expected a whole graph, got one that is used up: {error}; "
            "explain a result before its backward(), which frees the graph"
        ) from None
    check_unwritten(nodes)
    _refuse_mapped(nodes)
    return nodes


def _refuse_mapped(nodes: Iterable[Node]) -> None:
    for node in nodes:
        forward = getattr(node.plan.op, "forward", None)
        if getattr(forward, "__module__", "") == "tensorgrad.transforms.vmap":
            raise GraphError(
                f"explain: tg.vmap, called at {node.place}, makes each step for many "
                "samples at once; explain the function of one sample"
            )


def _leaves(nodes: Iterable[Node]) -> list[Leaf]:
    """Return the leaves the nodes stand on, oldest first."""
    leaves = {p: None for n in nodes for p in n.parents if type(p) is Leaf}
    return sorted(leaves, key=lambda leaf: leaf.index)


# The forward pass.


def _variable(leaf: Leaf, name: str) -> Variable:
    tensor = leaf.tensor()
    value = None if tensor is None else tensor.numpy()
    return Variable(name, leaf.shape, leaf.dtype, value)


def _call(node: Node, things: Any, names: Names) -> Call:
    note = notes.get(node)
    inputs = [things[p].name for p in node.parents]
    return Call(node, inputs, note and note.arguments, names)


def _step(number: int, call: Call, things: Any, value: Any) -> Step:
    node, note = call.node, notes.get(call.node)
    inside = () if note is None else note.modules
    names = [
        call.names.get(m) or type(layers[m]).__name__ for m in inside if m in layers
    ]
    return Step(
        number=number,
        name=call.names.get(node, f"t{number}"),
        operation="part" if isinstance(node.plan, PartPlan) else node.name.strip("_"),
        expression=str(call),
        shape=node.shape,
        dtype=node.dtype,
        line=line_of(node.place),
        value=value,
        modules=tuple(names),
        inputs=[things[p] for p in node.parents],
    )


def _saved_values(nodes: list[Node]) -> dict[Any, Any]:
    """Return the outputs that notes or saved values hold, by node."""
    values: dict[Any, Any] = {}
    for node in nodes:
        if node in notes:
            values[node] = notes[node].output
        elif isinstance(node.plan.op, Primitive) and hasattr(node.plan, "names"):
            _take_saved(values, node, node.plan.op)
        if isinstance(node.plan, PartPlan) and node.parents[0] in values:
            values[node] = values[node.parents[0]][node.plan.number]
    return values


def _take_saved(values: dict[Any, Any], node: Node, op: Primitive) -> None:
    saved = dict(zip(node.plan.names, node.saved, strict=True))
    if OUTPUT in saved:
        values.setdefault(node, saved[OUTPUT])
    for (argument, item), parent in zip(node.plan.inputs, node.parents, strict=True):
        value = saved.get(op.names[argument])
        if value is not None:
            values.setdefault(parent, value[item] if op.variadic == argument else value)


# The pass back.


def _back(calls: dict[Node, Call], things: Any, seed: dict[Any, Any]) -> None:
    """Run the rules, newest node first, and note on each step what they gave."""

    def note(node: Node, parent: Any, g: Any, raw: Any, dx: Any) -> None:
        step = things[node]
        step.incoming = _arrays(g)
        step.ways.append(_way(calls[node], len(step.ways), things, g, raw, dx))

    with np.errstate(all="ignore"):
        for leaf, g in walk(reversed(calls), seed, note=note).items():
            things[leaf].gradient = np.asarray(hooked(leaf, g))


def _arrays(g: Any) -> Any:
    """Return a gradient as an array, or one for each of several outputs."""
    return g.filled() if isinstance(g, Parts) else np.asarray(g)


def _way(call: Call, k: int, things: Any, g: Any, raw: Any, dx: Any) -> Way:
    node = call.node
    to = things[node.parents[k]]
    if isinstance(node.plan, PartPlan):
        at = node.plan.number
        return Way(to, "", f"g, for output {at} of {to.name}", "", np.asarray(g))
    argument, rule = _argument(call, k, things[node].name)
    way = Way(to, argument, rule.formula, rule.remark, _arrays(dx))
    way.before = raw.shape
    way.summed = summed_axes(raw.shape, dx.shape)
    return way


def _argument(call: Call, k: int, output: str) -> tuple[str, Reading]:
    """Return the name of an input in its operation, and the rule for it."""
    op = call.op
    if not isinstance(op, Primitive):
        return "x", Reading("g")
    argument, item = call.node.plan.inputs[k]
    rule = op.rules[argument][0]
    words = {**call.words, OUTPUT: output}
    name = op.names[argument]
    if argument != op.variadic:
        return name, reading(rule, call.facts(), words)
    # A rule for one of many takes its place as its first argument.
    place = {next(iter(signature(rule).parameters)): item}
    return f"{name}[{item}]", reading(rule, {**call.facts(), **place}, words)
