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


def reading(rule: Rule, known: Mapping[str, Any], words: Mapping[str, str]) -> Reading:
    """Return a rule in the words of a reader.

    Parameters
    ----------
    rule : callable
    known : mapping of str to object
        By the names of the rule's arguments, arrays among them.
    words : mapping of str to str
        What the reader calls the arguments.

    Returns
    -------
    Reading
    """
    facts = tuple((name, _fact(value)) for name, value in known.items())
    try:
        made = _template(rule, facts)
    except TypeError:  # something among the facts cannot be a key
        made = _template.__wrapped__(rule, facts)

    def word(found: re.Match[str]) -> str:
        name = found[1]
        shaped = name.removesuffix("_shape")
        if name not in words and shaped in words:
            return f"{words[shaped]}.shape"
        called = words.get(name, name)
        return name if made.said and called.startswith("array(") else called

    return Reading(_NAME.sub(word, made.formula), _NAME.sub(word, made.remark))


def _fact(value: Any) -> tuple[str, Hashable]:
    """Return what decides how a rule reads: of an array its shape, else the value."""
    if isinstance(value, np.ndarray | np.generic | Shaped) and value.shape:
        return "array", value.shape
    if isinstance(value, Shaped):
        return "array", ()
    value = value.item() if isinstance(value, np.ndarray | np.generic) else value
    return type(value).__name__, value


@functools.lru_cache(maxsize=1024)
def _template(rule: Rule, facts: tuple[tuple[str, Any], ...]) -> Reading:
    """Return a rule with its arguments between dollars, for words to be put in."""
    known = {name: _value(fact) for name, fact in facts}
    if not isinstance(rule, FunctionType):
        return Reading(getattr(rule, "__name__", type(rule).__name__))
    names = list(inspect.signature(rule).parameters)
    for read in (_said, _computed):
        found = read(rule, known, names)
        if found is not None:
            return found
    return _told(rule, known, names)


def _value(fact: tuple[str, Any]) -> Any:
    return Shaped(fact[1]) if fact[0] == "array" else fact[1]


def _description(rule: FunctionType) -> str:
    found = (inspect.getdoc(rule) or "").partition("\n\n")[0].replace("\n", " ")
    return found.removesuffix(".")


def declared(function: FunctionType) -> tuple[ast.expr, str] | None:
    """Return the formula that a docstring starts with, and the remark behind it: both
    of "Return `formula`: remark". None where it does not, or the formula is no Python.
    """
    found = _FORMULA.match(_description(function))
    tree = None if found is None else _parsed(found[1])
    return None if found is None or tree is None else (tree, found[2] or "")


def _parsed(text: str) -> ast.expr | None:
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError:
        return None


def _said(rule: FunctionType, known: Any, names: list[str]) -> Reading | None:
    """Return the formula that a docstring declares."""
    found = declared(rule)
    return found and Reading(symbols(found[0], known, names), found[1])


def _computed(rule: FunctionType, known: Any, names: list[str]) -> Reading | None:
    """Return what the source computes, where that is one formula of fair length."""
    arguments: dict[str, ast.expr] = {n: name_of(n) for n in names}
    try:
        tree = _returned(rule, arguments, known)
    except _Unreadable:
        return None
    text = symbols(tree, known, names)
    # A lambda has nothing else to be told by.
    fits = rule.__name__ == "<lambda>" or (
        len(text) <= LONGEST and "lambda" not in text
    )
    return Reading(text) if fits else None


def _told(rule: FunctionType, known: Any, names: list[str]) -> Reading:
    """Return the words of a docstring, or else the name of the rule."""

    def formula(found: re.Match[str]) -> str:
        tree = _parsed(found[1])
        return found[1] if tree is None else symbols(tree, known, names)

    words = _description(rule).removeprefix("Return ")
    if words[:1].isupper() and words[1:2].islower():
        words = words[0].lower() + words[1:]
    words = re.sub("`([^`]+)`", formula, words)
    return Reading(words or rule.__name__.strip("_").replace("_", " "))


# Reading a function into one expression.


_WORKED_OUT = ast.BinOp | ast.BoolOp | ast.Compare | ast.UnaryOp | ast.Attribute


class _Unreadable(Exception):  # noqa: N818
    """A function does something that is no formula."""


def _returned(
    function: FunctionType, names: dict[str, ast.expr], known: Mapping[str, Any]
) -> ast.expr:
    """Return what a function returns, as one expression in that of its arguments."""
    written = syntax(function)
    if written is None:
        raise _Unreadable
    reader = _Reader(names, known, {**function.__globals__, **_closure(function)})
    if isinstance(written, ast.Lambda):
        return reader.read(written.body)
    found = _run(written.body, reader)
    if found is None:
        raise _Unreadable
    return found


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
            found = _run(statement.body if test else statement.orelse, reader)
            if found is not None:
                return found
        elif isinstance(statement, ast.Assign):
            reader.assign(statement)
        elif not isinstance(statement, ast.Expr):
            raise _Unreadable
    return None


class _Reader(ast.NodeTransformer):
    """Puts in what local names stand for, and works out what shapes decide."""

    def __init__(self, names: dict[str, ast.expr], known: Any, scope: Any) -> None:
        self.names = names
        self.known = known
        self.scope = scope

    def read(self, tree: ast.expr) -> ast.expr:
        """Return an expression in the arguments of the rule."""
        found: ast.expr = self.visit(copy.deepcopy(tree))
        return found

    def truth(self, tree: ast.expr) -> bool:
        """Return whether a condition holds that shapes and options decide."""
        read = self.read(tree)
        try:
            return bool(self.evaluated(read))
        except Exception as error:  # it may raise whatever it likes: it asks for values
            raise _Unreadable from error

    def assign(self, statement: ast.Assign) -> None:
        """Take note of a local name, or of several."""
        (target,), value = statement.targets, statement.value
        if isinstance(target, ast.Name):
            self.names[target.id] = self.read(value)
            return
        pairs = self._pairs(target, value)
        read = [(name, self.read(item)) for name, item in pairs]
        self.names.update(read)

    def _pairs(self, target: ast.expr, value: ast.expr) -> list[tuple[str, ast.expr]]:
        both = isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple)
        if not both or len(target.elts) != len(value.elts):  # type: ignore[attr-defined]
            raise _Unreadable
        found = []
        for name, item in zip(target.elts, value.elts, strict=True):  # type: ignore[attr-defined]
            if not isinstance(name, ast.Name):
                raise _Unreadable
            found.append((name.id, item))
        return found

    def evaluated(self, tree: ast.expr) -> Any:
        """Return the value of an expression in what is known."""
        whole = ast.fix_missing_locations(ast.Expression(copy.deepcopy(tree)))
        with warnings.catch_warnings():
            # A name may have become a literal: "0 is None" is no slip here.
            warnings.simplefilter("ignore", SyntaxWarning)
            return eval(compile(whole, "", "eval"), {**self.scope, **self.known})

    def visit(self, node: ast.AST) -> Any:
        """Work out what shapes decide, after what is in it."""
        found = super().visit(node)
        return self._number(found) if isinstance(found, _WORKED_OUT) else found

    def visit_Name(self, node: ast.Name) -> Any:
        """Put in what a local name stands for."""
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
        """Work out a call, or read the body of a helper in its place."""
        self.generic_visit(node)
        found = self._number(node)
        if found is not node:
            return found
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
            known = self.known
            read = _said_of(helper, names, known) or _returned(helper, names, known)
        except (_Unreadable, TypeError):
            return node
        return read if len(ast.unparse(ast.fix_missing_locations(read))) < 60 else node

    def _number(self, node: ast.AST) -> Any:
        """Return the number an expression in known names is, else the expression."""
        used = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
        if used and used.isdisjoint(self.known):
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


def _said_of(
    helper: FunctionType, names: Mapping[str, ast.expr], known: Mapping[str, Any]
) -> ast.expr | None:
    """Return the formula in a helper's docstring, in its arguments at a call."""
    found = declared(helper)
    reader = _Reader(dict(names), known, helper.__globals__)
    return found and reader.read(found[0])


def _is_helper(function: Any) -> bool:
    """Whether a function of the library is no operation that a reader knows."""
    if not isinstance(function, FunctionType):
        return False
    inside = function.__module__.startswith(__name__.partition(".")[0] + ".ops")
    return inside and function not in operations.values()
