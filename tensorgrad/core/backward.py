"""The walk: apply each node's rules, newest node first, and sum what arrives."""

from collections.abc import Callable
from operator import attrgetter
from typing import Any

import numpy as np

from .errors import GraphError, RuleError
from .node import Leaf, Node
from .place import Place, user_place
from .writes import check_unwritten

Lift = Callable[[Any, "Node | Leaf"], Any]

_NOTHING: Any = np.zeros(0)
_newest_first = attrgetter("index")


def interior(root: Node | Leaf) -> list[Node]:
    """Return the operations `root` depends on, newest first.

    Raises
    ------
    GraphError
        Where an earlier backward pass has freed part of the graph.
    """
    seen: set[Node | Leaf] = {root}
    stack = [root]
    nodes: list[Node] = []
    while stack:
        node = stack.pop()
        if type(node) is Node:
            nodes.append(node)
            if type(node.saved) is Place:
                raise _released(node)
            for parent in node.parents:
                if parent not in seen:
                    seen.add(parent)
                    stack.append(parent)
    nodes.sort(key=_newest_first, reverse=True)
    return nodes


def _released(node: Node) -> GraphError:
    return GraphError(
        f"backward through {node.name}, called at {node.place}, whose graph was freed "
        f"by the backward at {node.saved}; pass retain_graph=True to the earlier "
        "backward, or compute the value again"
    )


def differentiate(
    root: Node | Leaf,
    seed: Any,
    *,
    lift: Lift | None = None,
    retain_graph: bool = False,
) -> dict[Leaf, Any]:
    """Return the gradient of <seed, root> with respect to each leaf below `root`.

    Parameters
    ----------
    root : Node or Leaf
        What to differentiate.
    seed : ndarray or Tensor
        The incoming gradient, of the shape and dtype of `root`.
    lift : callable, optional
        Makes a tensor of a saved value and its node. Where given, rules run on
        tensors and are recorded, so that the result can be differentiated again.
    retain_graph : bool
        Keep what the nodes saved, so that the graph can be walked again.
    """
    nodes = interior(root)
    check_unwritten(nodes)
    table: dict[Any, Any] = {root: seed}
    owned: set[Any] = set()
    freed_at = None if retain_graph else Place(*user_place())
    node, dx = None, _NOTHING
    try:
        for node in nodes:
            g = table.pop(node)
            plan = node.plan
            saved = node.saved if lift is None else plan.lifted(node, lift)
            for parent, (rule, pick) in zip(node.parents, plan.steps):  # noqa: B905
                dx = rule(g, *pick(saved))
                if dx.shape != parent.shape or dx.dtype is not parent.dtype:
                    dx = fit(dx, parent, node)
                if type(parent) is Leaf and lift is None:
                    dx = own(dx, g, saved)
                if parent not in table:
                    table[parent] = dx
                elif parent in owned and lift is None:
                    table[parent] += dx
                else:
                    # `dx` may be the array another parent was given: never add to it.
                    table[parent] = table[parent] + dx
                    owned.add(parent)
            if freed_at is not None:
                node.saved = freed_at
                node.parents = ()
    except Exception as error:
        if node is not None:
            error.add_note(f"in the gradient of {node.name}, called at {node.place}")
            if isinstance(error, AttributeError) and not hasattr(dx, "dtype"):
                raise _no_array(dx, node) from error
        raise
    return table


def own(dx: Any, g: Any, saved: tuple[Any, ...]) -> Any:
    """Return `dx`, copied where its memory may be somebody else's too."""
    if type(dx) is np.ndarray and (
        dx is g or dx.base is not None or any(dx is s for s in saved)
    ):
        return dx.copy()
    return dx


def fit(dx: Any, parent: Node | Leaf, node: Node) -> Any:
    """Return what a rule gave as a gradient of `parent`, in its shape and dtype.

    Broadcast axes are summed back.

    Raises
    ------
    RuleError
        Where it cannot be one.
    """
    if dx.shape != parent.shape:
        dx = unbroadcast(dx, parent.shape, node.name)
    return dx if dx.dtype == parent.dtype else dx.astype(parent.dtype)


def _no_array(dx: Any, node: Node) -> RuleError:
    return RuleError(
        f"a gradient rule of {node.name}, called at {node.place}, must return an "
        f"array, got {type(dx).__name__}; return g times a derivative"
    )


def unbroadcast(g: Any, shape: tuple[int, ...], name: str) -> Any:
    """Sum `g` over the axes along which an input of `shape` was broadcast."""
    lead = g.ndim - len(shape)
    tail = g.shape[lead:] if lead >= 0 else ()
    if len(tail) != len(shape) or any(
        n not in (1, m) for n, m in zip(shape, tail, strict=True)
    ):
        raise RuleError(
            f"a gradient rule of {name} returned shape {g.shape} for an input of shape "
            f"{shape}; only broadcast axes are summed back"
        )
    stretched = (lead + i for i, n in enumerate(shape) if n == 1 != tail[i])
    g = np.add.reduce(g, axis=(*range(lead), *stretched))
    return g if g.shape == shape else g.reshape(shape)
