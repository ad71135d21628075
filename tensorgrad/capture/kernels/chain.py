"""Chains: kernels that follow one another, called together as one built-in function.

CPython calls it as it calls any function of its own, without a list of arguments, and
what it calls knows of no Python: for each kernel it finds in its table where the code
lies and, a word each, what goes to it. Of arrays these are the objects, whose memory is
looked up in each call. Only what differs from call to call is an argument::

    kernels_1(s1, x1)

    table     functions and objects of CPython's | sizes of what follows
              which argument goes to which word   0 -> 3, 0 -> 17, 1 -> 5
              the kernels                         code, its first word
              words                               integers, bits of numbers, arrays

So the turns of a loop cost a few nanoseconds each besides the work, and the code of the
kernels and of this function can be kept between processes.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from llvmlite import ir

from ..program import Array
from . import machine
from .disk import kept, version
from .intrinsics import INDEX
from .machine import HEAD, OBJECT, field
from .translate import STATUS

_VOID, _REAL, _WORDS = ir.VoidType(), ir.DoubleType(), INDEX.as_pointer()

_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "Py_IncRef": (_VOID, [OBJECT]),
    "PyErr_Occurred": (OBJECT, []),
    "PyErr_SetString": (_VOID, [OBJECT, OBJECT]),
    "PyFloat_AsDouble": (_REAL, [OBJECT]),
    "PyEval_SaveThread": (OBJECT, []),
    "PyEval_RestoreThread": (_VOID, [OBJECT]),
}
"""What a chain calls of CPython's, with types."""

_OBJECTS = {
    "None": None,
    "ndarray": np.ndarray,
    "TypeError": TypeError,
    "IndexError": IndexError,
    "LinAlgError": np.linalg.LinAlgError,
}

_TABLE = (*_FUNCTIONS, *_OBJECTS, "numbers", "arrays", "uses", "kernels", "words")
"""What begins the table."""

_FAILURES = {
    1: ("IndexError", "an index is out of bounds"),
    2: ("LinAlgError", "Singular matrix"),
}
"""What is raised where a kernel returns other than 0."""

_FASTCALL = 0x0080


@dataclass(frozen=True)
class Native:
    """A kernel with its integers: a function of numbers and arrays.

    Parameters
    ----------
    kernel : int
        Where its code lies.
    integers : tuple of int
    numbers, arrays : int
        How many of them it takes.
    name : str
        For the reader.
    group : tuple of str
        What it is made of, for the reader.
    """

    kernel: int
    integers: tuple[int, ...]
    numbers: int
    arrays: int
    name: str = "kernel"
    group: tuple[str, ...] = ()
    into: ClassVar[bool] = True

    @property
    def __name__(self) -> str:
        return self.name

    @functools.cached_property
    def alone(self) -> Callable[..., None]:
        """The built-in function of this kernel only."""
        given = range(self.numbers + self.arrays)
        return self.chained([(self, given)], self.numbers, self.arrays)

    def __call__(self, *args: Any) -> None:
        """Call the kernel."""
        self.alone(*args)

    @staticmethod
    def chained(
        links: Sequence[tuple[Native, Sequence[int | Array]]], numbers: int, arrays: int
    ) -> Callable[..., None]:
        """Return a function that calls kernels one after the other.

        Parameters
        ----------
        links : sequence of (Native, sequence)
            Each with its numbers and arrays: an array that is the same in all calls,
            or the place of an argument of the function.
        numbers, arrays : int
            How many arguments the function takes.
        """
        uses: list[int] = []
        kernels: list[int] = []
        words: list[int] = []
        for native, args in links:
            kernels += native.kernel, len(words)
            words += native.integers
            for arg in args:
                if isinstance(arg, np.ndarray):
                    words.append(id(arg))
                else:
                    uses += arg, len(words)
                    words.append(0)
        sizes = numbers, arrays, len(uses) // 2, len(kernels) // 2, len(words)
        held = [a for _, args in links for a in args if isinstance(a, np.ndarray)]
        return _function([*_addresses(), *sizes, *uses, *kernels, *words], held)


class _Method(ctypes.Structure):
    """CPython's PyMethodDef."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


def _function(words: Sequence[int], held: list[Array]) -> Callable[..., None]:
    """Return the built-in function with a table; it holds references to arrays."""
    # CPython looks at the method until its function is gone, even as the interpreter
    # ends: it lies in memory that the function itself keeps.
    table = np.zeros(len(words) + ctypes.sizeof(_Method) // 8, np.int64)
    table[: len(words)] = words
    memory: Any = table
    method = _Method.from_buffer(memory, len(words) * table.itemsize)
    method.name, method.function, method.flags = b"kernels", _driver(), _FASTCALL
    function: Callable[..., None] = _new_function()(ctypes.byref(method), table, held)
    return function


@functools.cache
def _new_function() -> Any:
    new = ctypes.pythonapi.PyCFunction_NewEx
    new.restype = ctypes.py_object
    new.argtypes = (ctypes.POINTER(_Method), ctypes.py_object, ctypes.py_object)
    return new


@functools.cache
def _addresses() -> tuple[int, ...]:
    functions = [
        ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value or 0
        for name in _FUNCTIONS
    ]
    return (*functions, *map(id, _OBJECTS.values()))


@functools.cache
def _driver() -> int:
    """Return the address of what CPython calls, whatever the chain."""
    module = frozenset({__name__})
    return kept(
        f"{version(module)}\nchain",
        lambda symbol: machine.object_file(symbol, functools.partial(_Driver, symbol)),
    )


class _Driver:
    """Writes ``symbol(table, args, count)``, which calls the kernels of a table."""

    def __init__(self, symbol: str, module: Any) -> None:
        kind = ir.FunctionType(OBJECT, [OBJECT, OBJECT.as_pointer(), INDEX])
        self.function = ir.Function(module, kind, symbol)
        self.builder = ir.IRBuilder(self.function.append_basic_block())
        table, self.args, count = self.function.args
        self.table = field(self.builder, table, HEAD, _WORDS)
        self.messages = 0
        self._take(count)
        self._run()
        nothing = self._object("None")
        self._call("Py_IncRef", nothing)
        self.builder.ret(nothing)

    def _take(self, count: Any) -> None:
        """Check the arguments, and bring the words of the chain to the stack."""
        builder = self.builder
        numbers, arrays, uses, kernels, words = map(self._known, _TABLE[-5:])
        expected = builder.add(numbers, arrays)
        wrong = builder.icmp_unsigned("!=", count, expected)
        self._raise_if(
            wrong, "TypeError", "kernels were called with too many or too few"
        )
        given = builder.alloca(INDEX, expected)
        with self._each(INDEX(0), numbers) as k:
            number = self._number(builder.load(builder.gep(self.args, [k])))
            builder.store(builder.bitcast(number, INDEX), builder.gep(given, [k]))
        with self._each(numbers, expected) as k:
            array = self._array(builder.load(builder.gep(self.args, [k])))
            builder.store(builder.ptrtoint(array, INDEX), builder.gep(given, [k]))
        pairs = builder.gep(self.table, [INDEX(len(_TABLE))])
        self.kernels = builder.gep(pairs, [builder.mul(uses, INDEX(2))])
        source = builder.gep(self.kernels, [builder.mul(kernels, INDEX(2))])
        self.words = builder.alloca(INDEX, words)
        with self._each(INDEX(0), words) as k:
            word = builder.load(builder.gep(source, [k]))
            builder.store(word, builder.gep(self.words, [k]))
        with self._each(INDEX(0), uses) as k:
            argument, place = self._pair(pairs, k)
            word = builder.load(builder.gep(given, [argument]))
            builder.store(word, builder.gep(self.words, [place]))

    def _run(self) -> None:
        """Call the kernels, other threads of Python running meanwhile."""
        builder = self.builder
        kind = ir.FunctionType(STATUS, [_WORDS]).as_pointer()
        status = builder.alloca(STATUS)
        builder.store(STATUS(0), status)
        end = self.function.append_basic_block("end")
        thread = self._call("PyEval_SaveThread")
        with self._each(INDEX(0), self._known("kernels")) as k:
            code, first = self._pair(self.kernels, k)
            words = builder.gep(self.words, [first])
            result = builder.call(builder.inttoptr(code, kind), [words])
            builder.store(result, status)
            failed = builder.icmp_unsigned("!=", result, STATUS(0))
            with builder.if_then(failed, likely=False):
                builder.branch(end)
        builder.branch(end)
        builder.position_at_end(end)
        self._call("PyEval_RestoreThread", thread)
        for number, (error, text) in _FAILURES.items():
            failed = builder.icmp_unsigned("==", builder.load(status), STATUS(number))
            self._raise_if(failed, error, text)

    @contextmanager
    def _each(self, start: Any, stop: Any) -> Iterator[Any]:
        """Write a loop over integers, whose body is what is written within."""
        builder, append = self.builder, self.function.append_basic_block
        place, head, loop, after = builder.block, append(), append(), append()
        builder.branch(head)
        builder.position_at_end(head)
        k = builder.phi(INDEX)
        k.add_incoming(start, place)
        builder.cbranch(builder.icmp_signed("<", k, stop), loop, after)
        builder.position_at_end(loop)
        yield k
        k.add_incoming(builder.add(k, INDEX(1)), builder.block)
        builder.branch(head)
        builder.position_at_end(after)

    def _known(self, name: str) -> Any:
        """Return a word of the table."""
        place = INDEX(_TABLE.index(name))
        return self.builder.load(self.builder.gep(self.table, [place]))

    def _object(self, name: str) -> Any:
        return self.builder.inttoptr(self._known(name), OBJECT)

    def _pair(self, pairs: Any, k: Any) -> tuple[Any, Any]:
        first = self.builder.gep(pairs, [self.builder.mul(k, INDEX(2))])
        second = self.builder.gep(first, [INDEX(1)])
        return self.builder.load(first), self.builder.load(second)

    def _call(self, name: str, *args: Any) -> Any:
        result, kinds = _FUNCTIONS[name]
        kind = ir.FunctionType(result, kinds).as_pointer()
        return self.builder.call(self.builder.inttoptr(self._known(name), kind), args)

    def _number(self, argument: Any) -> Any:
        """Return an argument as a float."""
        builder = self.builder
        value = self._call("PyFloat_AsDouble", argument)
        # -1.0 may say that it was none, and that an error has been set.
        with builder.if_then(builder.fcmp_ordered("==", value, _REAL(-1.0))):
            error = self._call("PyErr_Occurred")
            with builder.if_then(builder.icmp_unsigned("!=", error, OBJECT(None))):
                builder.ret(OBJECT(None))
        return value

    def _array(self, argument: Any) -> Any:
        """Return an argument, which must be an array."""
        kind = field(self.builder, argument, HEAD - tuple.__itemsize__, INDEX)
        other = self.builder.icmp_unsigned("!=", kind, self._known("ndarray"))
        self._raise_if(other, "TypeError", "kernels take arrays of NumPy alone")
        return argument

    def _raise_if(self, condition: Any, error: str, text: str) -> None:
        with self.builder.if_then(condition, likely=False):
            self._call("PyErr_SetString", self._object(error), self._text(text))
            self.builder.ret(OBJECT(None))

    def _text(self, text: str) -> Any:
        data = bytearray(text.encode() + b"\0")
        kind = ir.ArrayType(ir.IntType(8), len(data))
        self.messages += 1
        name = f"message{self.messages}"
        variable = ir.GlobalVariable(self.function.module, kind, name)
        variable.linkage, variable.global_constant = "internal", True
        variable.initializer = ir.Constant(kind, data)
        return self.builder.bitcast(variable, OBJECT)
