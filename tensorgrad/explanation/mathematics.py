"""The rule of an operation as a reader writes it, taken from its source."""

from __future__ import annotations

import ast
import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any

from ..core.primitive import Primitive

Rule = Callable[..., Any]

_OPERATORS: dict[str, type[ast.operator]] = {
    "scaled": ast.Mult,
    "divided": ast.Div,
    "matmul": ast.MatMult,
}
"""Functions in rules that stand for an operator between their two arguments."""


def rule_of(op: Any, argument: int) -> str:
    """Return the gradient rule of an argument as an expression in g, or in words."""
    if not isinstance(op, Primitive) or argument not in op.rules:
        return "g, passed on"
    return _written(op.rules[argument][0])


@functools.lru_cache(maxsize=512)
def _written(rule: Rule) -> str:
    rule = rule.func if isinstance(rule, functools.partial) else rule
    found = _syntax(rule)
    if isinstance(found, ast.Lambda):
        return _in_symbols(found.body)
    described = (inspect.getdoc(rule) or "").partition("\n\n")[0].replace("\n", " ")
    described = described.removeprefix("Return ").rstrip(".")
    if described:
        return described
    return f"{rule.__name__}({', '.join(inspect.signature(rule).parameters)})"


def _syntax(rule: Rule) -> ast.AST | None:
    """Return the lambda or function in the source a rule was made from."""
    code = getattr(rule, "__code__", None)
    module = sys.modules.get(getattr(rule, "__module__", ""))
    if code is None or module is None:
        return None
    names = list(inspect.signature(rule).parameters)
    for node in _lambdas(module.__name__):
        if node.lineno == code.co_firstlineno and _arguments(node) == names:
            return node
    return None


@functools.lru_cache(maxsize=64)
def _lambdas(module: str) -> list[ast.Lambda]:
    try:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
    except (OSError, TypeError):  # typed at a prompt: there is no source
        return []
    return [node for node in ast.walk(tree) if isinstance(node, ast.Lambda)]


def _arguments(node: ast.Lambda) -> list[str]:
    return [a.arg for a in (*node.args.posonlyargs, *node.args.args)]


def _in_symbols(body: ast.expr) -> str:
    text = ast.unparse(ast.fix_missing_locations(_Simpler().visit(body)))
    return text.replace(" ** 2", "²").replace(" ** 3", "³").replace(".T", "ᵀ")


class _Simpler(ast.NodeTransformer):
    """Operators for the functions that stand for them, no module names."""

    def visit_Call(self, node: ast.Call) -> ast.expr:
        """Put an operator in place of a function of two arguments."""
        self.generic_visit(node)
        operator = _OPERATORS.get(getattr(node.func, "id", ""))
        if operator is not None and len(node.args) == 2:
            return ast.BinOp(node.args[0], operator(), node.args[1])
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        """Drop np. and math., and call a sum a sum."""
        self.generic_visit(node)
        if isinstance(node.value, ast.Name) and node.value.id in ("np", "math"):
            return ast.Name(node.attr)
        if isinstance(node.value, ast.Name) and node.attr == "reduce":
            names = {"add": "sum", "maximum": "max", "minimum": "min"}
            return ast.Name(names.get(node.value.id, node.value.id))
        return node
