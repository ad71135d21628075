"""Formulas: an expression of Python written for a reader."""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..facts import SIGNS, named


def _operator(sign: str) -> type[ast.operator] | None:
    tree = ast.parse(f"a {sign} b", mode="eval").body
    return type(tree.op) if isinstance(tree, ast.BinOp) else None


OPERATORS = {
    name: operator
    for name, sign in {**SIGNS, "scaled": "*", "divided": "/"}.items()
    if (operator := _operator(sign))
}
"""Functions that stand for an operator between their two arguments."""


class Shaped:
    """An array of known shape and unknown values."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.ndim = len(shape)

    def __eq__(self, other: object) -> Any:
        raise TypeError("the values of the array are not known")

    __lt__ = __le__ = __gt__ = __ge__ = __eq__
    __hash__ = object.__hash__

    def __bool__(self) -> bool:
        raise TypeError("the values of the array are not known")


def name_of(text: str) -> ast.Name:
    """Return a name, or any text that is to stand as it is."""
    return ast.Name(text, ast.Load())


def literal(value: Any) -> ast.expr:
    """Return a number, a text, or a tuple of them, as it is written."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, tuple):
        return ast.Tuple([literal(v) for v in value], ast.Load())
    if isinstance(value, float) and value == value // 1:
        value = int(value)
    return ast.parse(repr(value), mode="eval").body


def symbols(tree: ast.expr, values: Mapping[str, Any], names: list[str]) -> str:
    """Return an expression with arguments between dollars, and options as values."""
    tree = _Simpler(values, names).visit(copy.deepcopy(tree))
    text = ast.unparse(ast.fix_missing_locations(tree))
    for notation, symbol in ((" ** 2", "²"), (" ** 3", "³"), (".mT", "ᵀ"), (".T", "ᵀ")):
        text = re.sub(rf"{re.escape(notation)}(?![\w.])", symbol, text)
    return text


class _Simpler(ast.NodeTransformer):
    """Operators for the functions that stand for them, no module names, no defaults."""

    def __init__(self, values: Mapping[str, Any], names: list[str]) -> None:
        self.values = values
        self.names = names

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """Mark an argument, or write the value of an option."""
        name = node.id
        value = self.values.get(name, Shaped(()))
        if name in self.names and not name.endswith("_shape") and _is_option(value):
            return literal(value)
        return name_of(f"${name}$") if name in self.names else node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        """Put an operator in place of a function of two arguments."""
        self.generic_visit(node)
        name = getattr(node.func, "id", "")
        node.args = [a for argument in node.args for a in _unpacked(argument)]
        if name in OPERATORS and len(node.args) == 2:
            return ast.BinOp(node.args[0], OPERATORS[name](), node.args[1])
        if name == "where" and isinstance(node.args[0], ast.Constant):
            return node.args[1 if node.args[0].value else 2]
        node.keywords = [
            k for k in node.keywords if k.arg != "optimize" and not _is_nothing(k.value)
        ]
        while len(node.args) > 1 and _is_nothing(node.args[-1]):
            node.args.pop()
        if isinstance(node.func, ast.Name):
            node.func.id = node.func.id.strip("_")
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        """Drop np. and math., and call a sum a sum."""
        self.generic_visit(node)
        if not isinstance(node.value, ast.Name):
            return node
        if node.value.id in ("np", "math", "linalg"):
            return name_of(node.attr)
        reduction = named(node.value.id).reduction
        if node.attr == "reduce" and reduction:
            return name_of(reduction)
        return node


def _unpacked(argument: ast.expr) -> list[ast.expr]:
    if isinstance(argument, ast.Starred) and isinstance(argument.value, ast.Tuple):
        return argument.value.elts
    return [argument]


def _is_option(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_option, value))
    return value is None or isinstance(value, bool | int | float | str)


def _is_nothing(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and (
        node.value is None or node.value is False
    )


def indexed(index: Any) -> str:
    """Return an index as it is written between brackets."""
    if isinstance(index, tuple):
        return ", ".join(map(indexed, index)) or "()"
    if isinstance(index, slice):
        ends = ["" if n is None else str(n) for n in (index.start, index.stop)]
        return ":".join([*ends, *([] if index.step is None else [str(index.step)])])
    if index is Ellipsis:
        return "..."
    if isinstance(index, np.ndarray) and index.ndim:
        return f"{'mask' if index.dtype == bool else 'index'}{index.shape}"
    return str(index)
