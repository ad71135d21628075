"""Syntax trees of functions, found in the files or cells they were written in."""

from __future__ import annotations

import ast
import functools
import linecache
from types import CodeType, FunctionType

Written = ast.Lambda | ast.FunctionDef


def syntax(function: FunctionType) -> Written | None:
    """Return the lambda or definition a function was made from, None if unknown."""
    code = function.__code__
    candidates = [
        node for node in _functions_in(code.co_filename) if _first(node, code)
    ]
    if len(candidates) == 1 or code.co_name != "<lambda>":
        return candidates[0] if candidates else None
    # Several lambdas on one line: instructions know the columns they come from.
    shared = [_shared(node, code) for node in candidates]
    most = max(shared, default=0)
    return candidates[shared.index(most)] if shared.count(most) == 1 else None


def _shared(node: Written, code: CodeType) -> int:
    """Return how many instructions come from the text of a node."""
    start = node.lineno, node.col_offset
    end = node.end_lineno, node.end_col_offset
    positions = [p for p in code.co_positions() if None not in p]
    return sum(start <= (p[0], p[2]) and (p[1], p[3]) <= end for p in positions)


@functools.lru_cache(maxsize=256)
def _functions_in(filename: str) -> list[Written]:
    try:
        tree = ast.parse("".join(linecache.getlines(filename)))
    except SyntaxError:  # of another language: no rule is read from it
        return []
    return [n for n in ast.walk(tree) if isinstance(n, ast.Lambda | ast.FunctionDef)]


def _first(node: Written, code: CodeType) -> bool:
    """Whether a node starts where the code does, with the same arguments."""
    name = node.name if isinstance(node, ast.FunctionDef) else "<lambda>"
    decorated = getattr(node, "decorator_list", [])
    line = decorated[0].lineno if decorated else node.lineno
    arguments = [a.arg for a in (*node.args.posonlyargs, *node.args.args)]
    return (name, line, arguments) == (
        code.co_name,
        code.co_firstlineno,
        [*code.co_varnames[: code.co_argcount]],
    )
