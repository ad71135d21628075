"""Faults to plant in gradient rules, to measure what a check finds.

A mutant turns a right rule into a wrong one as people get it wrong: a factor, a sign,
an operand transposed, a sum left out. ``planted`` puts it in place of the rule of a
primitive for the length of a block.
"""

from __future__ import annotations

import ast
import copy
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from tensorgrad.core import backward as engine
from tensorgrad.core.backward import interior
from tensorgrad.core.primitive import Primitive
from tensorgrad.core.saves import SHAPE
from tensorgrad.core.tensor import Tensor

Rule = Callable[..., Any]


class Mutant(NamedTuple):
    """A fault to plant.

    Attributes
    ----------
    kind : str
        The class of fault, as a diagnosis names it where it can.
    name : str
        What exactly is done.
    make : callable
        From a rule and the position of ``g`` among its arguments to the wrong rule.
    wants_shape : bool
        Whether the wrong rule takes the shape of its argument last.
    order : int
        The order of derivatives at which it shows.
    """

    kind: str
    name: str
    make: Callable[[Rule, int], Rule]
    wants_shape: bool = False
    order: int = 1


def after(change: Callable[[Any, Any], Any]) -> Callable[[Rule, int], Rule]:
    """Return a maker of rules whose result `change` is applied to, with ``g``."""

    def make(rule: Rule, lead: int) -> Rule:
        return lambda *args: change(rule(*args), args[lead])

    return make


def before(change: Callable[[Any], Any]) -> Callable[[Rule, int], Rule]:
    """Return a maker of rules that are given what `change` makes of ``g``."""

    def make(rule: Rule, lead: int) -> Rule:
        def mutated(*args: Any) -> Any:
            g = args[lead]
            several = isinstance(g, tuple)
            changed = tuple(map(change, g)) if several else change(g)
            return rule(*args[:lead], changed, *args[lead + 1 :])

        return mutated

    return make


def on_saved(change: Callable[[Any], Any]) -> Callable[[Rule, int], Rule]:
    """Return a maker of rules that are given what `change` makes of saved values."""

    def make(rule: Rule, lead: int) -> Rule:
        def mutated(*args: Any) -> Any:
            saved = (change(a) for a in args[lead + 1 :])
            return rule(*args[: lead + 1], *saved)

        return mutated

    return make


def _mean(dx: Any, g: Any) -> Any:
    longest = max(np.shape(dx), default=1)
    return dx / longest


def _turned(dx: Any, _: Any = None) -> Any:
    return dx.swapaxes(-1, -2) if np.ndim(dx) > 1 else dx


def _turned_matrix(a: Any) -> Any:
    return _turned(a) if isinstance(a, np.ndarray | Tensor) else a


def _backwards(dx: Any, _: Any) -> Any:
    return dx[..., ::-1] if np.ndim(dx) else dx


def _shifted(dx: Any, _: Any) -> Any:
    size = int(np.prod(dx.shape, dtype=int))
    order = np.roll(np.arange(size), 1)
    return dx.reshape(-1)[order].reshape(dx.shape)


def _one_doubled(dx: Any, _: Any) -> Any:
    weights = np.ones(dx.shape, dtype=dx.dtype)
    weights.reshape(-1)[-1:] = 2
    return dx * weights


def _twice_in_single(dx: Any, _: Any) -> Any:
    return dx * 2 if dx.dtype == np.float32 else dx


def _through_half(dx: Any, _: Any) -> Any:
    if dx.dtype != np.float32:
        return dx
    return dx.astype(np.float16).astype(np.float32)


def _ones(g: Any) -> Any:
    return g * 0 + 1


def _detached(a: Any) -> Any:
    if isinstance(a, tuple):
        return tuple(map(_detached, a))
    return a.detach() if isinstance(a, Tensor) else a


def _shape(a: Any) -> Any:
    return tuple(map(_shape, a)) if isinstance(a, tuple | list) else np.shape(a)


def _stale(rule: Rule, lead: int) -> Rule:
    """Use what was saved at the first call, ever after."""
    kept: dict[Any, tuple[Any, ...]] = {}

    def mutated(*args: Any) -> Any:
        saved = args[lead + 1 :]
        key = (
            args[0] if lead else 0,
            *map(_shape, args[lead:]),
        )
        return rule(*args[: lead + 1], *kept.setdefault(key, saved))

    return mutated


def _behind(rule: Rule, lead: int) -> Rule:
    """Use what was saved at the call before."""
    kept: dict[Any, tuple[Any, ...]] = {}

    def mutated(*args: Any) -> Any:
        saved = args[lead + 1 :]
        key = (
            args[0] if lead else 0,
            *map(_shape, args[lead:]),
        )
        used, kept[key] = kept.get(key, saved), saved
        return rule(*args[: lead + 1], *used)

    return mutated


def _one_of_broadcast(rule: Rule, lead: int) -> Rule:
    """Take the first index of axes along which the argument was broadcast."""

    def mutated(*args: Any) -> Any:
        *rest, shape = args
        if lead:
            shape = shape[args[0]]
        dx = rule(*rest)
        extra = np.ndim(dx) - len(shape)
        dx = dx[(0,) * extra] if extra > 0 else dx
        pairs = zip(dx.shape, shape, strict=True)
        return dx[tuple(slice(0, 1) if n == 1 else slice(None) for _, n in pairs)]

    return mutated


def _last_write(rule: Rule, lead: int) -> Rule:
    """Let each element of ``g`` overwrite what earlier ones gave."""

    def mutated(*args: Any) -> Any:
        g = args[lead]
        whole = rule(*args)
        if not isinstance(g, np.ndarray) or not isinstance(whole, np.ndarray):
            return whole
        whole = whole * 0
        for at in np.ndindex(g.shape):
            unit = np.zeros_like(g)
            unit[at] = 1
            part = rule(*args[:lead], unit, *args[lead + 1 :])
            whole = np.where(part != 0, g[at] * part, whole)
        return whole

    return mutated


def _writing(rule: Rule, lead: int) -> Rule:
    """Write to a saved array."""

    def mutated(*args: Any) -> Any:
        dx = rule(*args) * 1
        for a in args[lead + 1 :]:
            if isinstance(a, np.ndarray) and a.dtype.kind == "f" and a.flags.writeable:
                a *= 1.25
                break
        return dx

    return mutated


def _random(rule: Rule, lead: int) -> Rule:
    """Depend on random numbers."""
    rng = np.random.default_rng(0)
    return lambda *args: rule(*args) * (1 + 1e-3 * rng.random())


MUTANTS: tuple[Mutant, ...] = (
    Mutant("factor", "times 2", after(lambda dx, g: dx * 2)),
    Mutant("factor", "times 1/2", after(lambda dx, g: dx / 2)),
    Mutant("factor", "times 1.001", after(lambda dx, g: dx * 1.001)),
    Mutant("factor", "a mean where a sum belongs", after(_mean)),
    Mutant("sign", "times -1", after(lambda dx, g: -dx)),
    Mutant("zero", "zero", after(lambda dx, g: dx * 0)),
    Mutant("transposed", "the result", after(_turned)),
    Mutant("transposed", "the operands", on_saved(_turned_matrix)),
    Mutant("transposed", "the incoming gradient", before(_turned_matrix)),
    Mutant("missing sum", "one index of a broadcast axis", _one_of_broadcast, True),
    Mutant("overwritten", "= for += in the rule", _last_write),
    Mutant("stale", "from the first call", _stale),
    Mutant("stale", "from the call before", _behind),
    Mutant("permuted", "last axis backwards", after(_backwards)),
    Mutant("permuted", "shifted by one", after(_shifted)),
    Mutant("one entry", "the last one doubled", after(_one_doubled)),
    Mutant("cotangent", "ones for g", before(_ones)),
    Mutant("cotangent", "g squared", before(lambda g: g * g)),
    Mutant("cotangent", "the size of g", before(abs)),
    Mutant("float32", "doubled in float32", after(_twice_in_single)),
    Mutant("float32", "through float16", after(_through_half)),
    Mutant("writes", "to a saved array", _writing),
    Mutant("random", "a random factor", _random),
    Mutant("not recorded", "saved values as constants", on_saved(_detached), order=2),
)


@contextmanager
def planted(op: Primitive, argument: int, mutant: Mutant) -> Iterator[None]:
    """Put a mutant in place of the rule for an argument, and the rule back."""
    rule, names = op.rules[argument]
    lead = 1 if argument == op.variadic else 0
    extra = (op.names[argument] + SHAPE,) if mutant.wants_shape else ()
    op.rules[argument] = mutant.make(rule, lead), names + extra
    op.plans.clear()
    try:
        yield
    finally:
        op.rules[argument] = rule, names
        op.plans.clear()


def comparisons(op: Primitive, argument: int) -> list[Mutant]:
    """Return a mutant for each comparison in a rule's text: >= for >, and so on."""
    rule = op.rules[argument][0]
    tree = _source(rule)
    if tree is None:
        return []
    places = [n for n in ast.walk(tree) if isinstance(n, ast.Compare)]
    found = []
    for k, place in enumerate(places):
        swap = _SWAPPED.get(type(place.ops[0]))
        if swap is not None and len(place.ops) == 1:
            name = f"{ast.unparse(place)} with {_SIGNS[swap]}"
            found.append(Mutant("comparison", name, _compared(rule, tree, k, swap)))
    return found


_SWAPPED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
}
_SIGNS = {
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}


def _source(rule: Rule) -> Any:
    """Return the syntax of a rule, None where it cannot be found or has a closure."""
    code = getattr(rule, "__code__", None)
    module = sys.modules.get(getattr(rule, "__module__", ""))
    if code is None or module is None or code.co_freevars:
        return None
    names = list(inspect.signature(rule).parameters)
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.Lambda | ast.FunctionDef):
            same = [a.arg for a in node.args.args] == names
            if node.lineno == code.co_firstlineno and same:
                return node
    return None


def _compared(
    rule: Any, tree: Any, k: int, swap: type[ast.cmpop]
) -> Callable[[Rule, int], Rule]:
    def make(_: Rule, lead: int) -> Rule:
        changed = copy.deepcopy(tree)
        places = [n for n in ast.walk(changed) if isinstance(n, ast.Compare)]
        places[k].ops = [swap()]
        return _compiled(rule, changed)

    return make


def _compiled(rule: Any, tree: Any) -> Rule:
    namespace = dict(rule.__globals__)
    if isinstance(tree, ast.Lambda):
        code = compile(ast.Expression(tree), "<mutant>", "eval")
        made: Rule = eval(code, namespace)
    else:
        module = ast.Module([tree], type_ignores=[])
        exec(compile(module, "<mutant>", "exec"), namespace)
        made = namespace[tree.name]
    return made


class _Forgetful(dict[Any, Any]):
    """A table of gradients that never knows it has one already."""

    def get(self, key: Any, default: Any = None) -> Any:
        """Return nothing, whatever has arrived."""
        return default


@contextmanager
def overwriting_walk() -> Iterator[None]:
    """Let the backward walk overwrite where it should accumulate."""
    walked: Any = engine
    walk = engine.walk

    def overwriting(nodes: Any, table: Any, *rest: Any, **options: Any) -> Any:
        return walk(nodes, _Forgetful(table), *rest, **options)

    walked.walk = overwriting
    try:
        yield
    finally:
        walked.walk = walk


def primitives_below(outputs: Any) -> list[Primitive]:
    """Return the primitives whose rules the gradient of `outputs` runs, each once."""
    several = outputs if isinstance(outputs, tuple | list) else (outputs,)
    roots = [y.node for y in several if isinstance(y, Tensor) and y.node is not None]
    found = {id(n.plan.op): n.plan.op for n in interior(roots)}
    return list(found.values())
