"""Translation: the source of a kernel, a little Python, to a function of LLVM's.

A number is computed with in its dtype, a literal in that of the other operand; small
integers wrap. Arrays are addresses, of elements without gaps or not: ``get(a, 3)`` is
the one that lies three elements after the first.
"""

from __future__ import annotations

import ast
import functools
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir

from .intrinsics import DTYPES, INDEX, REAL, converted, in_memory, in_register

BOOL, INT, FLOAT = np.dtype(bool), np.dtype("i8"), np.dtype("f8")
STATUS = ir.IntType(32)


class Scalar(NamedTuple):
    """A number that the kernel computes; ``value`` is LLVM's."""

    value: Any
    kind: np.dtype[Any]


class Address(NamedTuple):
    """Where elements of a dtype lie."""

    value: Any
    kind: np.dtype[Any]


Term = Scalar | Address | bool | int | float

_LITERALS = {"nan": math.nan, "inf": math.inf}

_OPERATORS: dict[type, tuple[str, Callable[..., Any]]] = {
    ast.Add: ("add", operator.add),
    ast.Sub: ("sub", operator.sub),
    ast.Mult: ("mul", operator.mul),
    ast.Div: ("div", operator.truediv),
    ast.BitAnd: ("and_", operator.and_),
    ast.BitOr: ("or_", operator.or_),
    ast.BitXor: ("xor", operator.xor),
}

_BITWISE = ("and_", "or_", "xor")

_COMPARISONS: dict[type, tuple[str, Callable[..., Any]]] = {
    ast.Lt: ("<", operator.lt),
    ast.LtE: ("<=", operator.le),
    ast.Gt: (">", operator.gt),
    ast.GtE: (">=", operator.ge),
    ast.Eq: ("==", operator.eq),
    ast.NotEq: ("!=", operator.ne),
}


class Translator:
    """Translates one function.

    Parameters
    ----------
    module : llvmlite.ir.Module
    source : str
        Of ``def kernel(...)``, whose last arguments are arrays.
    kinds : sequence of dtype
        Of the arrays; ``integers`` and ``numbers`` come before them.
    more : dict of str to callable
        Functions that the source calls besides, with the translator and terms.

    Attributes
    ----------
    function : llvmlite.ir.Function
        Of integers, numbers and addresses. It returns 0, or what is to be raised: 1
        where an index is out of bounds.
    builder : llvmlite.ir.IRBuilder
    """

    def __init__(
        self,
        module: Any,
        source: str,
        kinds: Sequence[np.dtype[Any]],
        integers: int,
        numbers: int,
        more: dict[str, Callable[..., Any]],
    ) -> None:
        (definition,) = ast.parse(source).body
        assert isinstance(definition, ast.FunctionDef)
        self.more = more
        pointers = [in_memory(kind).as_pointer() for kind in kinds]
        types = [*[INDEX] * integers, *[ir.DoubleType()] * numbers, *pointers]
        function = ir.Function(module, ir.FunctionType(STATUS, types), "kernel")
        function.linkage = "internal"
        function.attributes.add("noinline")
        self.function = function
        self.entry = ir.IRBuilder(function.append_basic_block("entry"))
        body, self.end = map(function.append_basic_block, ("body", "end"))
        self.builder = ir.IRBuilder(body)
        self.status = self._room(STATUS, "status")
        self.entry.store(STATUS(0), self.status)
        self.heap: list[Any] = []
        self.variables: dict[str, tuple[Any, Any]] = {}
        scalars = [*[INT] * integers, *[FLOAT] * numbers]
        names = [argument.arg for argument in definition.args.args]
        terms: list[Term] = [
            *map(Scalar, function.args, scalars),
            *map(Address, function.args[len(scalars) :], kinds),
        ]
        self.arguments: dict[str, Any] = dict(zip(names, terms, strict=True))
        for argument in function.args[len(scalars) :]:
            argument.add_attribute("noalias")
        self._statements(definition.body)
        self.builder.branch(self.end)
        self.entry.branch(body)
        self._leave()

    def _leave(self) -> None:
        builder = ir.IRBuilder(self.end)
        for room in self.heap:
            self._library(builder, "free", ir.VoidType(), [builder.load(room)])
        builder.ret(builder.load(self.status))

    def _room(self, kind: Any, name: str, size: Any = None) -> Any:
        """Return memory of the stack, for the whole call."""
        return self.entry.alloca(kind, size, name)

    def _library(self, builder: Any, name: str, result: Any, args: list[Any]) -> Any:
        function = builder.module.globals.get(name)
        if function is None:
            kind = ir.FunctionType(result, [arg.type for arg in args])
            function = ir.Function(builder.module, kind, name)
        return builder.call(function, args)

    def _of(self, node: ast.AST) -> Callable[[Any], Any]:
        """Return the method for a kind of node."""
        method: Callable[[Any], Any] = getattr(self, f"_{type(node).__name__.lower()}")
        return method

    # Statements.

    def _statements(self, statements: Sequence[ast.stmt]) -> None:
        for statement in statements:
            self._of(statement)(statement)

    def _expr(self, node: ast.Expr) -> None:
        self.term(node.value)

    def _assign(self, node: ast.Assign) -> None:
        (target,) = node.targets
        if isinstance(target, ast.Tuple):
            assert isinstance(node.value, ast.Tuple)
            terms = [*map(self.term, node.value.elts)]
            for name, term in zip(target.elts, terms, strict=True):
                self._store(name, term)
        else:
            self._store(target, self.term(node.value))

    def _augassign(self, node: ast.AugAssign) -> None:
        name = ast.Name(_name(node.target), ast.Load())
        self._store(node.target, self.term(ast.BinOp(name, node.op, node.value)))

    def _store(self, target: ast.expr, term: Term) -> None:
        """Assign to a variable, whose kind is that of the first value."""
        name = _name(target)
        if not isinstance(term, Scalar | Address):
            kind = self.variables[name][1] if name in self.variables else _natural(term)
            term = self.scalar(term, kind)
        if name not in self.variables:
            self.variables[name] = self._room(term.value.type, name), term.kind
            self.arguments[name] = term
        room, kind = self.variables[name]
        if isinstance(term, Scalar):
            term = self.scalar(term, kind)
        self.builder.store(term.value, room)

    def _for(self, node: ast.For) -> None:
        assert isinstance(node.iter, ast.Call)
        bounds = [self.scalar(self.term(a), INT) for a in node.iter.args]
        zero, one = (Scalar(INDEX(k), INT) for k in (0, 1))
        start, stop, step = (zero, *bounds, one) if len(bounds) == 1 else bounds
        self._store(node.target, start)

        def goes_on() -> Any:
            at = self._variable(_name(node.target)).value
            return self.builder.icmp_signed("<", at, stop.value)

        def body() -> None:
            self._statements(node.body)
            at = self._variable(_name(node.target)).value
            following = self.builder.add(at, step.value, flags=("nsw",))
            self._store(node.target, Scalar(following, INT))

        self._loop(goes_on, body)

    def _while(self, node: ast.While) -> None:
        self._loop(
            lambda: self._condition(node.test), lambda: self._statements(node.body)
        )

    def _loop(self, goes_on: Callable[[], Any], body: Callable[[], None]) -> None:
        names = ("head", "loop", "after")
        head, loop, after = map(self.function.append_basic_block, names)
        self.builder.branch(head)
        self.builder.position_at_end(head)
        self.builder.cbranch(goes_on(), loop, after)
        self.builder.position_at_end(loop)
        body()
        self.builder.branch(head)
        self.builder.position_at_end(after)

    def _if(self, node: ast.If) -> None:
        with self.builder.if_else(self._condition(node.test)) as (then, otherwise):
            with then:
                self._statements(node.body)
            with otherwise:
                self._statements(node.orelse)

    # Expressions.

    def term(self, node: ast.expr) -> Any:
        """Return the term of an expression."""
        return self._of(node)(node)

    def _condition(self, node: ast.expr) -> Any:
        return self.scalar(self.term(node), BOOL).value

    def scalar(self, term: Term, kind: np.dtype[Any]) -> Scalar:
        """Return a number in a dtype."""
        if isinstance(term, Scalar):
            return Scalar(converted(self.builder, *term, kind), kind)
        assert not isinstance(term, Address)
        number = kind.type(term).item()
        return Scalar(ir.Constant(in_register(kind), number), kind)

    def _constant(self, node: ast.Constant) -> Any:
        return node.value

    def _name(self, node: ast.Name) -> Any:
        if node.id in _LITERALS:
            return _LITERALS[node.id]
        return DTYPES[node.id] if node.id in DTYPES else self._variable(node.id)

    def _variable(self, name: str) -> Any:
        term = self.arguments[name]
        if name not in self.variables:
            return term
        value = self.builder.load(self.variables[name][0])
        return term._replace(value=value)

    def _unaryop(self, node: ast.UnaryOp) -> Any:
        x = self.term(node.operand)
        if not isinstance(x, Scalar):
            return -x
        if x.kind.kind == "f":
            return Scalar(self.builder.fneg(x.value), x.kind)
        return self._arithmetic("sub", 0, x)

    def _binop(self, node: ast.BinOp) -> Any:
        name, compute = _OPERATORS[type(node.op)]
        a, b = self.term(node.left), self.term(node.right)
        if not isinstance(a, Scalar) and not isinstance(b, Scalar):
            return compute(a, b)
        return self._arithmetic(name, a, b)

    def _arithmetic(self, name: str, a: Term, b: Term) -> Scalar:
        kind = _common(a, b)
        if kind.kind == "b" and name not in _BITWISE:
            kind = INT
        if name == "div" and kind.kind != "f":
            kind = FLOAT
        a, b = self.scalar(a, kind), self.scalar(b, kind)
        compute = getattr(self.builder, f"f{name}" if kind.kind == "f" else name)
        return Scalar(compute(a.value, b.value), kind)

    def _compare(self, node: ast.Compare) -> Any:
        sign, compute = _COMPARISONS[type(node.ops[0])]
        a, b = self.term(node.left), self.term(node.comparators[0])
        if not isinstance(a, Scalar) and not isinstance(b, Scalar):
            return compute(a, b)
        kind = _common(a, b)
        x, y = (self.scalar(term, kind).value for term in (a, b))
        if kind.kind == "f":
            unordered = sign == "!="
            make = (
                self.builder.fcmp_unordered if unordered else self.builder.fcmp_ordered
            )
        else:
            signed = kind.kind == "i"
            make = self.builder.icmp_signed if signed else self.builder.icmp_unsigned
        return Scalar(make(sign, x, y), BOOL)

    def _boolop(self, node: ast.BoolOp) -> Any:
        join = self.builder.or_ if isinstance(node.op, ast.Or) else self.builder.and_
        return Scalar(functools.reduce(join, map(self._condition, node.values)), BOOL)

    def _ifexp(self, node: ast.IfExp) -> Any:
        test, a, b = (
            self._condition(node.test),
            *map(self.term, (node.body, node.orelse)),
        )
        kind = _common(a, b)
        a, b = self.scalar(a, kind), self.scalar(b, kind)
        return Scalar(self.builder.select(test, a.value, b.value), kind)

    def _call(self, node: ast.Call) -> Any:
        name, args = _name(node.func), [*map(self.term, node.args)]
        if name in DTYPES:
            return self.scalar(args[0], DTYPES[name])
        if name in REAL:
            return self._real(name, args)
        if name in self.more:
            return self.more[name](self, *args)
        return getattr(self, f"_{name}")(*args)

    def _real(self, name: str, args: list[Term]) -> Scalar:
        kind = functools.reduce(np.promote_types, map(_kind, args), _common(*args))
        kind = kind if kind.kind == "f" else FLOAT
        values = [self.scalar(arg, kind).value for arg in args]
        return Scalar(REAL[name](self.builder, *values), kind)

    # What is called by name.

    def machine(self, term: Term) -> Any:
        """Return LLVM's value of an address, or of an integer."""
        return term.value if isinstance(term, Address) else self.scalar(term, INT).value

    def address(self, array: Address, at: Term) -> Any:
        """Return the address of an element."""
        place = self.scalar(at, INT).value
        return self.builder.gep(array.value, [place], inbounds=True)

    def _invert(self, x: Scalar) -> Scalar:
        return Scalar(self.builder.not_(x.value), x.kind)

    def _get(self, array: Address, at: Term) -> Scalar:
        value = self.builder.load(self.address(array, at))
        # Memory of others need not be aligned.
        value.align = 1
        if array.kind == BOOL:
            value = self.builder.icmp_unsigned("!=", value, value.type(0))
        return Scalar(value, array.kind)

    def _put(self, array: Address, at: Term, value: Term) -> None:
        element = self.scalar(value, array.kind).value
        if array.kind == BOOL:
            element = self.builder.zext(element, in_memory(BOOL))
        self.builder.store(element, self.address(array, at)).align = 1

    def _row(self, size: int, like: Scalar) -> Address:
        """Return room for so many elements of a type, until the kernel ends."""
        return Address(self._room(in_memory(like.kind), "row", INDEX(size)), like.kind)

    def _empty(self, size: Term, kind: np.dtype[Any]) -> Address:
        """Return the like where it does not go on the stack."""
        byte = ir.IntType(8).as_pointer()
        room = self._room(byte, "heap")
        self.entry.store(byte(None), room)
        self.heap.append(room)
        size = self._arithmetic("mul", self.scalar(size, INT), kind.itemsize)
        memory = self._library(self.builder, "malloc", byte, [size.value])
        self.builder.store(memory, room)
        return Address(self.builder.bitcast(memory, in_memory(kind).as_pointer()), kind)

    def _within(self, at: Term, size: Term) -> Scalar:
        """Return an index counted from the start; the kernel ends where it is out."""
        builder = self.builder
        index, bound = (self.scalar(term, INT).value for term in (at, size))
        negative = builder.icmp_signed("<", index, INDEX(0))
        index = builder.select(negative, builder.add(index, bound), index)
        with builder.if_then(builder.icmp_unsigned(">=", index, bound), likely=False):
            self._fail(1)
        return Scalar(index, INT)

    def _fail(self, status: int) -> None:
        """End the kernel, which returns `status`."""
        self.builder.store(STATUS(status), self.status)
        self.builder.branch(self.end)


def _name(node: ast.expr) -> str:
    assert isinstance(node, ast.Name)
    return node.id


def _kind(term: Term) -> np.dtype[Any]:
    return term.kind if isinstance(term, Scalar) else np.dtype(bool)


def _natural(literal: Any) -> np.dtype[Any]:
    """Return the dtype of a literal that stands alone."""
    kinds = {bool: BOOL, int: INT, float: FLOAT}
    return kinds[type(literal)]


def _common(*terms: Term) -> np.dtype[Any]:
    """Return the dtype of operands together; a literal takes that of the others."""
    kinds = [term.kind for term in terms if isinstance(term, Scalar)]
    literals = [_natural(t) for t in terms if not isinstance(t, Scalar)]
    kind = functools.reduce(np.promote_types, kinds or literals)
    stronger = [one for one in literals if _rank(one) > _rank(kind)]
    return functools.reduce(np.promote_types, stronger, kind)


def _rank(kind: np.dtype[Any]) -> int:
    return ("b", "iu", "f").index("iu" if kind.kind in "iu" else kind.kind)
