"""Factors: systems of linear equations with one matrix, which is factored once.

``solve``, ``inv`` and ``slogdet`` of a matrix, or of its transpose, take the
same factors P A = L U, found by elimination with row exchanges as in LAPACK's getrf
(Golub and Van Loan, "Matrix Computations", 3.4). So a step of an implicit method that
solves with one matrix many times factors it once, and small matrices are spared what a
call of LAPACK costs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ...facts import facts_of
from ..program import Call, Constant, Program, Result, Value, owner
from .compile import prepared
from .elements import Unfit, place
from .scratch import shared

SMALL = 64
"""Up to so many rows a matrix is factored here even if it is needed once."""

LARGE = 200
"""Larger matrices are LAPACK's: it works in blocks."""

_FACTOR = """\
def kernel(n, down, across, a, lu, order):
    for i in range(n + 2):
        put(order, i, i if i < n else 0)
    for i in range(n):
        for j in range(n):
            put(lu, n * i + j, get(a, down * i + across * j))
    pivots = empty(n, {dtype})
    for k in range(n):
        top, best = k, abs(get(lu, n * k + k))
        for i in range(k + 1, n, 1):
            size = abs(get(lu, n * i + k))
            if size > best:
                top, best = i, size
        if top > k:
            put(order, n + 1, 1 - get(order, n + 1))
            put(order, n, get(order, k))
            put(order, k, get(order, top))
            put(order, top, get(order, n))
            put(order, n, 0)
            for j in range(n):
                x = get(lu, n * top + j)
                put(lu, n * top + j, get(lu, n * k + j))
                put(lu, n * k + j, x)
        if best == 0:
            put(order, n + 1, 2)
        for j in range(n):
            put(pivots, j, get(lu, n * k + j))
        for i in range(k + 1, n, 1):
            f = get(lu, n * i + k) / get(pivots, k)
            put(lu, n * i + k, f)
            for j in range(k + 1, n, 1):
                put(lu, n * i + j, get(lu, n * i + j) - times(f, get(pivots, j)))
"""

_SOLVE = """\
def kernel(n, m, down, across, lu, order, b, out):
    if get(order, n + 1) == 2:
        fail(2)
    for i in range(n):
        at = get(order, i)
        for j in range(m):
            put(out, m * i + j, get(b, down * at + across * j))
    for i in range(n):
        for k in range(i):
            f = get(lu, n * i + k)
            for j in range(m):
                put(out, m * i + j, get(out, m * i + j) - times(f, get(out, m * k + j)))
    for r in range(n):
        i = n - 1 - r
        for k in range(i + 1, n, 1):
            f = get(lu, n * i + k)
            for j in range(m):
                put(out, m * i + j, get(out, m * i + j) - times(f, get(out, m * k + j)))
        f = get(lu, n * i + i)
        for j in range(m):
            put(out, m * i + j, get(out, m * i + j) / f)
"""

_SOLVE_ONE = """\
def kernel(n, m, down, across, lu, order, b, out):
    if get(order, n + 1) == 2:
        fail(2)
    for i in range(n):
        total = {dtype}(0.0)
        for k in range(i):
            total = plus(total, times(get(lu, n * i + k), get(out, k)))
        put(out, i, get(b, down * get(order, i)) - total)
    for r in range(n):
        i = n - 1 - r
        total = {dtype}(0.0)
        for k in range(i + 1, n, 1):
            total = plus(total, times(get(lu, n * i + k), get(out, k)))
        put(out, i, (get(out, i) - total) / get(lu, n * i + i))
"""

_TURNED = """\
def kernel(n, m, down, across, lu, order, b, out):
    if get(order, n + 1) == 2:
        fail(2)
    x = empty(n * m, {dtype})
    for i in range(n):
        for j in range(m):
            put(x, m * i + j, get(b, down * i + across * j))
    for k in range(n):
        f = get(lu, n * k + k)
        for j in range(m):
            put(x, m * k + j, get(x, m * k + j) / f)
        for i in range(k + 1, n, 1):
            f = get(lu, n * k + i)
            for j in range(m):
                put(x, m * i + j, get(x, m * i + j) - times(f, get(x, m * k + j)))
    for r in range(n):
        k = n - 1 - r
        for i in range(k):
            f = get(lu, n * k + i)
            for j in range(m):
                put(x, m * i + j, get(x, m * i + j) - times(f, get(x, m * k + j)))
    for i in range(n):
        at = get(order, i)
        for j in range(m):
            put(out, m * at + j, get(x, m * i + j))
"""

_TURNED_ONE = """\
def kernel(n, m, down, across, lu, order, b, out):
    if get(order, n + 1) == 2:
        fail(2)
    x = empty(n, {dtype})
    for i in range(n):
        put(x, i, get(b, down * i))
    for k in range(n):
        f = get(x, k) / get(lu, n * k + k)
        put(x, k, f)
        for i in range(k + 1, n, 1):
            put(x, i, get(x, i) - times(f, get(lu, n * k + i)))
    for r in range(n):
        k = n - 1 - r
        f = get(x, k)
        for i in range(k):
            put(x, i, get(x, i) - times(f, get(lu, n * k + i)))
    for i in range(n):
        put(out, get(order, i), get(x, i))
"""

_LOGARITHM = """\
def kernel(n, lu, order, sign, logarithm):
    s, total, state = {dtype}(1.0), {dtype}(0.0), get(order, n + 1)
    for k in range(n):
        x = get(lu, n * k + k)
        total = total + log(abs(x))
        s = -s if x < 0 else s
    if state == 1:
        s = -s
    if state == 2:
        s = {dtype}(0.0)
        total = {dtype}(-inf)
    put(sign, 0, s)
    put(logarithm, 0, total)
"""


@dataclass
class _Matrix:
    """A matrix, up to transposition, and the calls that need its factors."""

    value: Value
    uses: list[int] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return self.value.shape[0]

    @property
    def is_worth_it(self) -> bool:
        """Whether its factors are found and used faster here than by LAPACK."""
        several = len(self.uses) > 2 and self.rows <= LARGE
        return several or self.rows <= SMALL


def factored(program: Program) -> Program:
    """Return the program with calls that take the factors of matrices."""
    before: dict[int, list[Call]] = {}
    instead: dict[int, Call] = {}
    for matrix in _matrices(program):
        if matrix.is_worth_it:
            first = program.calls[matrix.uses[0]]
            factor = replace(_factor(matrix.value), place=first.place)
            before.setdefault(matrix.uses[0], []).append(factor)
            for i in matrix.uses:
                instead[i] = _using(factor, matrix.value, program.calls[i])
    calls = [
        made
        for i, call in enumerate(program.calls)
        for made in (*before.get(i, ()), instead.get(i, call))
    ]
    return replace(program, calls=calls)


def _matrices(program: Program) -> list[_Matrix]:
    """Return the matrices of calls that need factors, as they are at these calls."""
    found: list[_Matrix] = []
    now: dict[Value, dict[Any, _Matrix]] = defaultdict(dict)
    twice = shared(program)
    for i, call in enumerate(program.calls):
        if _fits(call) and owner(call.args[0]) not in twice:
            a = call.args[0]
            key = place(a).offset, a.shape, a.dtype, frozenset(a.strides)
            matrix = now[owner(a)].setdefault(key, _Matrix(a))
            matrix.uses.append(i)
            if len(matrix.uses) == 1:
                found.append(matrix)
        for written in call.writes:
            now.pop(owner(written), None)
        if not call.pure:
            now.clear()
    return found


def _fits(call: Call) -> bool:
    if not call.pure or call.kwargs or call.writes or call.function not in _FUNCTIONS:
        return False
    values = [*call.args, *call.results]
    if not all(isinstance(v, Value) and v.dtype == values[0].dtype for v in values):
        return False
    a, size = values[0], values[0].dtype.itemsize
    try:
        place(a)
    except Unfit:
        return False
    square = len(a.shape) == 2 and a.shape[0] == a.shape[1]
    known = a.dtype.kind == "f" and square and a.shape[0] > 0
    even = not any(step % size for v in call.args for step in v.strides)
    results = all(isinstance(r, Result) and _is_in_order(r) for r in call.results)
    return known and even and results and all(len(v.shape) < 3 for v in call.args)


_FUNCTIONS = (np.linalg.solve, np.linalg.inv, np.linalg.slogdet)


def _is_in_order(value: Value) -> bool:
    """Whether elements lie as in C."""
    return value.strides == np.empty(value.shape, value.dtype).strides


def _factor(a: Value) -> Call:
    n, size = a.shape[0], a.dtype.itemsize
    lu = Result((n, n), a.dtype, (n * size, size))
    order = Result((n + 2,), np.dtype(np.int64), (8,))
    text = _FACTOR.format(dtype=a.dtype.name)
    integers = n, *(s // size for s in a.strides)
    kernel = _kernel("factors", text, (a, lu, order), integers)
    return Call(kernel, (a,), results=(lu, order), quiet=True)


def _using(factor: Call, a: Value, call: Call) -> Call:
    """Return the call with factors, those of `a`, in place of the matrix."""
    lu, order = factor.results
    assert isinstance(lu, Value)
    n, dtype, name = lu.shape[0], lu.dtype, facts_of(call.function).name
    if call.function is np.linalg.slogdet:
        text = _LOGARITHM.format(dtype=dtype.name)
        kernel = _kernel(name, text, (lu, order, *call.results), (n,))
        return replace(call, function=kernel, args=(lu, order))
    b = call.args[1] if len(call.args) > 1 else _identity(n, dtype)
    turned, one = call.args[0].strides != a.strides, b.shape[1:] in ((), (1,))
    texts = (_SOLVE, _SOLVE_ONE), (_TURNED, _TURNED_ONE)
    m, steps = (*b.shape, 1)[1], [s // dtype.itemsize for s in b.strides]
    text = texts[turned][one].format(dtype=dtype.name)
    integers = (n, m, *steps, 0)[:4]
    kernel = _kernel(name, text, (lu, order, b, *call.results), integers)
    return replace(call, function=kernel, args=(lu, order, b))


def _identity(n: int, dtype: np.dtype[Any]) -> Constant:
    array = np.eye(n, dtype=dtype)
    return Constant(array.shape, dtype, array.strides, array)


def _kernel(
    name: str, text: str, arrays: Any, integers: tuple[int, ...]
) -> Callable[..., None]:
    kernel: Callable[..., None] = prepared(text, arrays, len(integers))(
        *integers, name=name
    )
    return kernel
