"""The walk: apply each node's rules, newest node first, and sum what arrives."""

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import nullcontext
from operator import attrgetter
from typing import Any

import numpy as np

from .errors import GraphError, RuleError
from .finite import Inspector, inspector, unchecked
from .hooks import hooked, users_code_may_run
from .node import Leaf, Node
from .parts import Parts
from .place import Place, user_place
from .writes import are_fingerprinted, check_unwritten

Lift = Callable[[Any, "Node | Leaf | None"], Any]
Note = Callable[[Node, "Node | Leaf", Any, Any, Any], None]

_NOTHING: Any = np.zeros(0)
_HALF = np.dtype(np.float16)
_newest_first = attrgetter("index")


def interior(
    roots: Iterable[Node | Leaf], stops: Collection[Node | Leaf] = (), since: int = 0
) -> list[Node]:
    """Return the operations the roots depend on, newest first, none beyond `stops`.

    Nor any from before `since` on the engine's clock: what a function computed need
    not be looked for in all that was recorded before it was called.

    Raises
    ------
    GraphError
        Where an earlier backward pass has freed part of the graph.
    """
    seen: set[Node | Leaf] = set(stops)
    stack = [root for root in roots if root not in seen]
    seen.update(stack)
    nodes: list[Node] = []
    while stack:
        node = stack.pop()
        if type(node) is Node:
            nodes.append(node)
            if type(node.saved) is Place:
                raise _released(node)
            for parent in node.parents:
                if parent not in seen and parent.index >= since:
                    seen.add(parent)
                    stack.append(parent)
    nodes.sort(key=_newest_first, reverse=True)
    return nodes


def leading_to(targets: Collection[Node | Leaf], nodes: list[Node]) -> set[Any]:
    """Return `targets` and those of `nodes`, newest first, that depend on them."""
    leading = set(targets)
    for node in reversed(nodes):
        if not leading.isdisjoint(node.parents):
            leading.add(node)
    return leading


def _watched(node: Node, g: Any, look: Inspector | None) -> tuple[Any, Any]:
    """Return the gradient of a node after its hooks, and its rules.

    Raise where what has run since the walk began has freed or overwritten the node.
    """
    g = hooked(node, g)
    if type(node.saved) is Place:
        raise _released(node)
    check_unwritten((node,))
    return g, node.plan.steps if look is None else look.steps(node, g, fit)


def _released(node: Node) -> GraphError:
    return GraphError(
        f"backward through {node.name}, called at {node.place}, whose graph was freed "
        f"by the backward at {node.saved}; pass retain_graph=True to the earlier "
        "backward, or compute the value again"
    )


def differentiate(
    seeds: Mapping[Node | Leaf, Any],
    *,
    targets: Collection[Node | Leaf] | None = None,
    lift: Lift | None = None,
    retain_graph: bool = False,
    total: bool = True,
) -> dict[Node | Leaf, Any]:
    """Return the gradient of the sum of <seed, root> in each leaf, or each target.

    Parameters
    ----------
    seeds : mapping of Node or Leaf to ndarray or Tensor
        What to differentiate, with its incoming gradient.
    targets : collection of Node or Leaf, optional
        What to differentiate in, each taken as independent of the others: only rules
        on the way there are run, and none beyond. A target that no seed depends on is
        missing in the result.
    lift : callable, optional
        Makes a tensor of a saved value and its node. If set, rules run on
        tensors and are recorded, so that the result can be differentiated again.
    retain_graph : bool
        Keep what the nodes saved, so that the graph can be walked again.
    total : bool
        Whether targets get no more from elsewhere, and their hooks are to be called.
    """
    oldest = min((t.index for t in targets), default=0) if targets else 0
    nodes = interior(seeds, targets or (), oldest)
    reached = None
    if targets is not None:
        reached = leading_to(targets, nodes)
        nodes = [node for node in nodes if node in reached]
    check_unwritten(nodes)
    freed_at = None if retain_graph else Place(*user_place())
    # What overflows where nothing flows back is no news to the caller.
    look = inspector(nodes, [*seeds])
    watchful = users_code_may_run() or are_fingerprinted() or look is not None
    # Of a recorded pass `look` asks, and nobody else.
    asking = nullcontext() if look is None else unchecked()
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"), asking:
        table = walk(nodes, dict(seeds), reached, lift, freed_at, watchful, look)
    grads = table if targets is None else {n: table[n] for n in targets if n in table}
    if watchful and total:
        grads = {n: hooked(n, g) for n, g in grads.items()}
    if look is not None:
        for n, g in grads.items():
            look.check_sum(n, g)
    if lift is not None:
        grads = {n: lift(g, None) if _plain(g) else g for n, g in grads.items()}
    return grads


def _plain(g: Any) -> bool:
    """Whether a gradient of a recorded pass is constant: zeros from a rule."""
    return isinstance(g, np.ndarray | np.generic)


def walk(
    nodes: Iterable[Node],
    table: dict[Node | Leaf, Any],
    reached: set[Any] | None = None,
    lift: Lift | None = None,
    freed_at: Place | None = None,
    watchful: bool = True,
    look: Inspector | None = None,
    note: Note | None = None,
) -> dict[Node | Leaf, Any]:
    """Apply the rules of `nodes`, newest first, to what arrives in `table`.

    Return the table: what is left in it arrived at nodes that were not to be walked.

    Parameters
    ----------
    nodes : iterable of Node
    table : dict of Node or Leaf to ndarray or Tensor
        Incoming gradients of the roots; written to.
    reached : set, optional
        The nodes and leaves to pass gradients to; all of them by default.
    lift, freed_at
        As `lift` of `differentiate`; where to say that the graph was freed.
    watchful : bool
        Whether hooks are called, and code of the user's may run and write.
    look : Inspector, optional
        Asks each gradient whether it is finite.
    note : callable, optional
        Called for each parent of each node, in order, with the node, the parent, the
        node's gradient, what the rule returned, and that as the parent's gradient.
    """
    owned: set[Any] = set()
    node, dx = None, _NOTHING
    brief = lift is None and look is None and note is None
    try:
        for node in nodes:
            g = table.pop(node)
            steps = node.plan.steps
            if watchful:
                g, steps = _watched(node, g, look)
            saved = node.saved if lift is None else node.plan.lifted(node, lift)
            for parent, (rule, pick) in zip(node.parents, steps):  # noqa: B905
                if reached is not None and parent not in reached:
                    continue
                sum_is_ours = brief and owned and parent in owned
                if sum_is_ours and _added(rule, table[parent], g, saved, pick):
                    continue
                raw = dx = rule(g) if pick is None else rule(g, *pick(saved))
                if dx.dtype is not parent.dtype or dx.shape != parent.shape:
                    dx = fit(dx, parent, node)
                if note is not None:
                    note(node, parent, g, raw, dx)
                if type(parent) is Leaf and isinstance(dx, np.ndarray):
                    foreign = watchful and getattr(node.plan.op, "foreign", False)
                    dx = dx.copy() if foreign else own(dx, g, saved)
                before = table.get(parent)
                if before is None:
                    table[parent] = dx
                elif parent in owned and type(before) is type(dx) and lift is None:
                    before += dx
                    table[parent] = before
                else:
                    # Another parent may have the same array `dx`: never add to it.
                    table[parent] = before + dx
                    owned.add(parent)
            if freed_at is not None:
                node.saved = freed_at
                node.parents = ()
    except Exception as error:
        raise explained(error, node, dx) from error.__cause__
    return table


def adds(add: Callable[..., bool]) -> Callable[[Any], Any]:
    """Let a rule of a part of an array add to a sum of gradients in place.

    `add` takes the sum, then what the rule does; it returns whether it has added. The
    rule by itself would make an array of zeros for each part.
    """

    def mark(rule: Any) -> Any:
        rule.add = add
        return rule

    return mark


def _added(rule: Any, total: Any, g: Any, saved: Any, pick: Any) -> bool:
    """Whether a rule has added its gradient to a sum that the walk owns."""
    add = getattr(rule, "add", None)
    if add is None or not total.shape or total.dtype != g.dtype:
        return False
    if type(g) is not type(total) and not isinstance(g, np.generic):
        return False
    return bool(add(total, g, *pick(saved)))


def explained(error: Exception, node: Node | None, dx: Any) -> Exception:
    """Return an error of the walk with the operation and the line of its forward."""
    if node is None:
        return error
    if isinstance(error, AttributeError) and not hasattr(dx, "dtype"):
        return RuleError(
            f"a gradient rule of {node.name}, called at {node.place}, must return an "
            f"array, got {type(dx).__name__}; return g times a derivative"
        )
    error.add_note(f"in the gradient of {node.name}, called at {node.place}")
    return error


def own(dx: Any, g: Any, saved: tuple[Any, ...]) -> Any:
    """Return an array, copied where its memory may be somebody else's too."""
    if dx is g or dx.base is not None:
        return dx.copy()
    for value in saved:
        if dx is value or (type(value) is tuple and any(dx is v for v in value)):
            return dx.copy()
    if type(g) is Parts and any(dx is v for v in g.parts.values()):
        return dx.copy()
    return dx


def fit(dx: Any, parent: Node | Leaf, node: Node) -> Any:
    """Return what a rule gave as a gradient of `parent`: broadcast axes summed back,
    cast to its dtype; raise RuleError where it cannot be one.
    """
    shape = parent.shape
    if dx.shape[1:] == shape and dx.ndim:
        # A bias: spared what finding the axes takes, half as long as the sum.
        dx = _summed(dx, 0)
    elif dx.shape != shape:
        dx = unbroadcast(dx, shape, node.name)
    return dx if dx.dtype == parent.dtype else dx.astype(parent.dtype)


def _summed(g: Any, axes: Any) -> Any:
    if g.dtype is _HALF:
        # In float16 a sum of many small terms comes to a stop.
        return np.add.reduce(g, axis=axes, dtype=np.float32)
    return np.add.reduce(g, axis=axes)


def unbroadcast(g: Any, shape: tuple[int, ...], name: str) -> Any:
    """Sum `g` over the axes along which an input of `shape` was broadcast."""
    lead = g.ndim - len(shape)
    tail = g.shape[lead:] if lead >= 0 else ()
    if tail == shape and lead > 0:
        return _summed(g, tuple(range(lead)))
    if len(tail) != len(shape) or any(
        n not in (1, m) for n, m in zip(shape, tail, strict=True)
    ):
        raise RuleError(
            f"a gradient rule of {name} returned shape {g.shape} for an input of shape "
            f"{shape}; only broadcast axes are summed back"
        )
    stretched = (lead + i for i, n in enumerate(shape) if n == 1 != tail[i])
    g = _summed(g, (*range(lead), *stretched))
    return g if g.shape == shape else g.reshape(shape)
