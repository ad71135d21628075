"""Plans: what is saved in forward, and which rules run in backward.

There is one for each operation and choice of inputs that need a gradient. Names are
resolved here, once.
"""

from collections.abc import Callable, Iterable
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .primitive import Primitive

Rule = Callable[..., Any]
Pick = Callable[[tuple[Any, ...]], tuple[Any, ...]]

OUTPUT = "y"
SHAPE = "_shape"


def pick(positions: Iterable[int]) -> Pick:
    """Return a function that takes the items at `positions`, always as a tuple."""
    at = tuple(positions)
    if len(at) > 1:
        return itemgetter(*at)
    # A slice, so that one item, or none, comes as a tuple too.
    return itemgetter(slice(at[0], at[0] + 1) if at else slice(0, 0))


class Plan:
    """What one primitive does when a given set of its inputs needs a gradient.

    Attributes
    ----------
    op : Primitive
    save : function of the frame
        Takes what is saved from (arguments..., outputs..., shapes...); None when
        nothing is.
    shapes_of : tuple of int
        Arguments whose shapes are appended to the frame.
    steps : tuple of (rule, pick)
        For each input that needs a gradient: its rule, and what of the saved values
        the rule is called with.
    names : tuple of str
        What each saved value is.
    inputs : tuple of (int, int)
        For each parent, its argument and its place within a variadic argument.
    """

    __slots__ = ("inputs", "names", "op", "save", "shapes_of", "steps")

    def __init__(self, op: "Primitive", inputs: tuple[tuple[int, int], ...]) -> None:
        self.op = op
        self.inputs = inputs
        rules = [op.rule_for(argument) for argument, _ in inputs]
        required: dict[str, None] = {}
        for _, names in rules:
            required.update(dict.fromkeys(names))
        for name in tuple(required):
            if name in op.residuals:
                required.update(dict.fromkeys(op.residuals[name].names))
        self.names = tuple(required)
        shapes = [n for n in self.names if op.is_shape(n)]
        self.shapes_of = tuple(op.position[n.removesuffix(SHAPE)] for n in shapes)
        frame = {name: i for i, name in enumerate((*op.frame, *shapes))}
        self.save = pick(frame[n] for n in self.names) if self.names else None
        at = {name: i for i, name in enumerate(self.names)}
        self.steps = tuple(
            (self._bound(rule, argument, item), self._pick(at, names))
            for (rule, names), (argument, item) in zip(rules, inputs, strict=True)
        )

    def _pick(self, at: dict[str, int], names: tuple[str, ...]) -> Pick | None:
        return pick(at[n] for n in names) if names else None

    def _bound(self, rule: Rule, argument: int, item: int) -> Rule:
        if argument == self.op.variadic:
            return partial(rule, item)
        if self.op.multiple:
            return lambda g, *saved: rule(g.filled(), *saved)
        return rule

    def lifted(self, node: Any, lift: Callable[[Any, Any], Any]) -> tuple[Any, ...]:
        """Return what `node` saved as tensors in its graph, so rules are recorded."""
        parent = dict(zip(self.inputs, node.parents, strict=True))
        values: dict[str, Any] = {}
        for name, value in zip(self.names, node.saved, strict=True):
            values[name] = self._lifted(name, value, node, parent, lift)
        for name in self.names:
            if name in self.op.residuals:
                residual = self.op.residuals[name]
                values[name] = residual.recompute(*[values[n] for n in residual.names])
        return tuple(values.values())

    def _lifted(
        self, name: str, value: Any, node: Any, parent: Any, lift: Callable[..., Any]
    ) -> Any:
        if name == OUTPUT:
            return (
                self.op.outputs(value, node) if self.op.multiple else lift(value, node)
            )
        argument = self.op.position.get(name)
        if argument is None:
            return value
        if argument == self.op.variadic:
            return tuple(
                lift(v, parent[argument, i]) if (argument, i) in parent else v
                for i, v in enumerate(value)
            )
        if (argument, 0) in parent:
            return lift(value, parent[argument, 0])
        return value
