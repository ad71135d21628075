"""Gradient rules as a reader writes them, read from their source.

A rule is a short NumPy expression, so its source is its mathematics: helper functions
are read into it, branches that shapes decide are taken, and the names of the operands
stand for those of the arguments. Where the source is written for the sake of accuracy,
or is long, the docstring of the rule or of a helper declares the mathematics: it starts
with Return `formula`, in Python and in the function's own arguments, and may go on with
a remark after a colon or comma. docs/adding_an_op.md promises that.
"""

from __future__ import annotations

import ast
import copy
import functools
import inspect
import re
import warnings
from collections.abc import Callable, Hashable, Mapping
from types import FunctionType
from typing import Any, NamedTuple

import numpy as np

from ..core.dispatch import operations
from ..core.primitive import Primitive
from .formulas import OPERATORS, Shaped, indexed, literal, name_of, symbols
from .source import syntax

Rule = Callable[..., Any]

LONGEST = 72
"""Longer formulas are not easier to read than words."""

_FORMULA = re.compile(r"(?:Return )?`([^`]+)`(?:[.:;,] ?(.*))?$")
_NAME = re.compile(r"\$(\w+)\$")


class Reading(NamedTuple):
    """A rule for a reader: its formula, or words for it, and a remark.

    Where a docstring says it, its own names for the arguments serve too.
    """

    formula: str
    remark: str = ""
    said: bool = True


def reading(rule: Rule, values: Mapping[str, Any], words: Mapping[str, str]) -> Reading:
    """Return a rule in the words of a reader.

    Parameters
    ----------
    rule : callable
    values : mapping of str to object
        By the names of the rule's arguments, arrays among them.
    words : mapping of str to str
        What the reader calls the arguments.

    Returns
    -------
    Reading
    """
    facts = tuple((name, _fact(value)) for name, value in values.items())
    try:
        template = _template(rule, facts)
    except TypeError:  # something among the facts cannot be a key
        template = _template.__wrapped__(rule, facts)

    def word(match: re.Match[str]) -> str:
        name = match[1]
        shaped = name.removesuffix("_shape")
        if name not in words and shaped in words:
            return f"{words[shaped]}.shape"
        text = words.get(name, name)
        return name if template.said and text.startswith("array(") else text

    return Reading(_NAME.sub(word, template.formula), _NAME.sub(word, template.remark))


def _fact(value: Any) -> tuple[str, Hashable]:
    """Return what a formula depends on: the shape of an array, or a value."""
    if isinstance(value, np.ndarray | np.generic | Shaped) and value.shape:
        return "array", value.shape
    if isinstance(value, Shaped):
        return "array", ()
    value = value.item() if isinstance(value, np.ndarray | np.generic) else value
    return type(value).__name__, value


@functools.lru_cache(maxsize=1024)
def _template(rule: Rule, facts: tuple[tuple[str, Any], ...]) -> Reading:
    """Return a rule with its arguments between dollars, for words to be put in."""
    values = {name: _value(fact) for name, fact in facts}
    if not isinstance(rule, FunctionType):
        return Reading(getattr(rule, "__name__", type(rule).__name__))
    names = list(inspect.signature(rule).parameters)
    for reader in (_from_docstring, _from_source):
        template = reader(rule, values, names)
        if template is not None:
            return template
    return _in_words(rule, values, names)


def _value(fact: tuple[str, Any]) -> Any:
    return Shaped(fact[1]) if fact[0] == "array" else fact[1]


def _description(rule: FunctionType) -> str:
    text = (inspect.getdoc(rule) or "").partition("\n\n")[0].replace("\n", " ")
    return text.removesuffix(".")


def declared(function: FunctionType) -> tuple[ast.expr, str] | None:
    """Return the formula that a docstring starts with, and the remark behind it: both
    of "Return `formula`: remark". None where it does not, or the formula is no Python.
    """
    match = _FORMULA.match(_description(function))
    tree = None if match is None else _parsed(match[1])
    return None if match is None or tree is None else (tree, match[2] or "")


def _parsed(text: str) -> ast.expr | None:
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError:
        return None


def _from_docstring(
    rule: FunctionType, values: Any, names: list[str]
) -> Reading | None:
    """Return the formula that a docstring declares."""
    match = declared(rule)
    return match and Reading(symbols(match[0], values, names), match[1])


def _from_source(rule: FunctionType, values: Any, names: list[str]) -> Reading | None:
    """Return the formula that the source computes, if it is one of fair length."""
    arguments: dict[str, ast.expr] = {n: name_of(n) for n in names}
    try:
        tree = _returned(rule, arguments, values)
    except _Unreadable:
        return None
    text = symbols(tree, values, names)
    # A lambda has no other description.
    fits = rule.__name__ == "<lambda>" or (
        len(text) <= LONGEST and "lambda" not in text
    )
    return Reading(text) if fits else None


def _in_words(rule: FunctionType, values: Any, names: list[str]) -> Reading:
    """Return the words of a docstring, or else the name of the rule."""

    def formula(match: re.Match[str]) -> str:
        tree = _parsed(match[1])
        return match[1] if tree is None else symbols(tree, values, names)

    words = _description(rule).removeprefix("Return ")
    if words[:1].isupper() and words[1:2].islower():
        words = words[0].lower() + words[1:]
    words = re.sub("`([^`]+)`", formula, words)
    return Reading(words or rule.__name__.strip("_").replace("_", " "))


# Reading a function into one expression.


_WORKED_OUT = ast.BinOp | ast.BoolOp | ast.Compare | ast.UnaryOp | ast.Attribute


class _Unreadable(Exception):  # noqa: N818
    """The function is not a formula."""


def _returned(
    function: FunctionType, names: dict[str, ast.expr], values: Mapping[str, Any]
) -> ast.expr:
    """Return the result of a function as one expression in its arguments."""
    tree = syntax(function)
    if tree is None:
        raise _Unreadable
    reader = _Reader(names, values, {**function.__globals__, **_closure(function)})
    if isinstance(tree, ast.Lambda):
        return reader.read(tree.body)
    expression = _run(tree.body, reader)
    if expression is None:
        raise _Unreadable
    return expression


def _closure(function: FunctionType) -> dict[str, Any]:
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    return {name: cell.cell_contents for name, cell in cells}


def _run(statements: list[ast.stmt], reader: _Reader) -> ast.expr | None:
    """Return the value of the return statement that is reached, None without one."""
    for statement in statements:
        if isinstance(statement, ast.Return) and statement.value is not None:
            return reader.read(statement.value)
        if isinstance(statement, ast.If):
            test = reader.truth(statement.test)
            expression = _run(statement.body if test else statement.orelse, reader)
            if expression is not None:
                return expression
        elif isinstance(statement, ast.Assign):
            reader.assign(statement)
        elif not isinstance(statement, ast.Expr):
            raise _Unreadable
    return None


class _Reader(ast.NodeTransformer):
    """Replaces local names by their values, and evaluates what depends on shapes."""

    def __init__(self, names: dict[str, ast.expr], values: Any, scope: Any) -> None:
        self.names = names
        self.values = values
        self.scope = scope

    def read(self, tree: ast.expr) -> ast.expr:
        """Return an expression in the arguments of the rule."""
        expression: ast.expr = self.visit(copy.deepcopy(tree))
        return expression

    def truth(self, tree: ast.expr) -> bool:
        """Return whether a condition holds that shapes and options decide."""
        condition = self.read(tree)
        try:
            return bool(self.evaluated(condition))
        except Exception as error:  # it may raise whatever it likes: it asks for values
            raise _Unreadable from error

    def assign(self, statement: ast.Assign) -> None:
        """Note the value of a local name, or of several."""
        (target,), value = statement.targets, statement.value
        if isinstance(target, ast.Name):
            self.names[target.id] = self.read(value)
            return
        pairs = self._pairs(target, value)
        values = [(name, self.read(item)) for name, item in pairs]
        self.names.update(values)

    def _pairs(self, target: ast.expr, value: ast.expr) -> list[tuple[str, ast.expr]]:
        both = isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple)
        if not both or len(target.elts) != len(value.elts):  # type: ignore[attr-defined]
            raise _Unreadable
        pairs = []
        for name, item in zip(target.elts, value.elts, strict=True):  # type: ignore[attr-defined]
            if not isinstance(name, ast.Name):
                raise _Unreadable
            pairs.append((name.id, item))
        return pairs

    def evaluated(self, tree: ast.expr) -> Any:
        """Return the value of an expression."""
        expression = ast.fix_missing_locations(ast.Expression(copy.deepcopy(tree)))
        with warnings.catch_warnings():
            # A name may have become a literal: "0 is None" is no slip here.
            warnings.simplefilter("ignore", SyntaxWarning)
            return eval(compile(expression, "", "eval"), {**self.scope, **self.values})

    def visit(self, node: ast.AST) -> Any:
        """Evaluate what depends on shapes, parts first."""
        tree = super().visit(node)
        return self._number(tree) if isinstance(tree, _WORKED_OUT) else tree

    def visit_Name(self, node: ast.Name) -> Any:
        """Replace a local name by its value."""
        return copy.deepcopy(self.names.get(node.id, node))

    def visit_IfExp(self, node: ast.IfExp) -> Any:
        """Take the branch that shapes decide for."""
        try:
            return self.read(node.body if self.truth(node.test) else node.orelse)
        except _Unreadable:
            return self._number(self.generic_visit(node))

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        """Write out an index that shapes decide."""
        self.generic_visit(node)
        try:
            index = self.evaluated(node.slice)
        except Exception:  # it asks for values
            return node
        if isinstance(index, tuple):
            node.slice = name_of(indexed(index))
        return node

    def visit_Call(self, node: ast.Call) -> Any:
        """Evaluate a call, or read the body of a helper in its place."""
        self.generic_visit(node)
        number = self._number(node)
        if number is not node:
            return number
        name = getattr(node.func, "id", "")
        helper = self.scope.get(name)
        if isinstance(helper, Primitive) and name not in OPERATORS:
            node.func = name_of(helper.name)
        if name in OPERATORS or not _is_helper(helper):
            return node
        return self._inlined(node, helper)

    def _inlined(self, node: ast.Call, helper: FunctionType) -> ast.expr:
        try:
            bound = inspect.signature(helper).bind(
                *node.args, **{k.arg or "": k.value for k in node.keywords}
            )
            bound.apply_defaults()
            names = {
                name: value if isinstance(value, ast.expr) else ast.Constant(value)
                for name, value in bound.arguments.items()
            }
            values = self.values
            tree = _helper_formula(helper, names, values) or _returned(
                helper, names, values
            )
        except (_Unreadable, TypeError):
            return node
        return tree if len(ast.unparse(ast.fix_missing_locations(tree))) < 60 else node

    def _number(self, node: ast.AST) -> Any:
        """Return the value of an expression if it is a number, else the expression."""
        used = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
        if used and used.isdisjoint(self.values):
            return node
        try:
            value = self.evaluated(node)  # type: ignore[arg-type]
        except Exception:  # it asks for values
            return node
        if isinstance(value, np.integer | np.bool_):
            value = value.item()
        is_tuple = (
            isinstance(node, ast.Call) and getattr(node.func, "id", "") == "tuple"
        )
        plain = (int, float, bool, str, tuple) if is_tuple else (int, float, bool, str)
        return literal(value) if type(value) in plain else node


def _helper_formula(
    helper: FunctionType, names: Mapping[str, ast.expr], values: Mapping[str, Any]
) -> ast.expr | None:
    """Return the formula in a helper's docstring, in its arguments at a call."""
    match = declared(helper)
    reader = _Reader(dict(names), values, helper.__globals__)
    return match and reader.read(match[0])


def _is_helper(function: Any) -> bool:
    """Whether a function of the library is no operation that a reader knows."""
    if not isinstance(function, FunctionType):
        return False
    home = function.__globals__["__name__"]
    inside = home.startswith(__name__.partition(".")[0] + ".ops")
    return inside and function not in operations.values()
