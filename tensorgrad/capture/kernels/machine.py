"""Machine code: kernels from LLVM, and built-in functions that call them.

A kernel is called with arrays as CPython calls any built-in function, without a list of
arguments and without a look at their shapes. What the code needs of this process, the
addresses of a few functions and objects, it reads from a table that the built-in
function carries, so that the code itself can be kept between processes.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Sequence
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir

from .intrinsics import INDEX
from .translate import Translator

_OBJECT = ir.IntType(8).as_pointer()
_VOID = ir.VoidType()
_INT = ir.IntType(32)

_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "Py_IncRef": (_VOID, [_OBJECT]),
    "PyErr_Occurred": (_OBJECT, []),
    "PyErr_SetString": (_VOID, [_OBJECT, _OBJECT]),
    "PyFloat_AsDouble": (ir.DoubleType(), [_OBJECT]),
    "PyEval_SaveThread": (_OBJECT, []),
    "PyEval_RestoreThread": (_VOID, [_OBJECT]),
}
"""What a kernel calls of CPython's, with types."""

_OBJECTS = {
    "None": None,
    "ndarray": np.ndarray,
    "IndexError": IndexError,
    "TypeError": TypeError,
}

_TABLE = (*_FUNCTIONS, *_OBJECTS)
"""What stands in the table, before the integers."""

_HEAD = object.__basicsize__
"""Where what an object holds begins: the data of an array, the value of a float."""

_FASTCALL = 0x0080


class _Method(ctypes.Structure):
    """CPython's PyMethodDef."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


@functools.cache
def _target() -> Any:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple()


def features() -> llvm.FeatureMap:
    """Return what this processor has; nothing where LLVM cannot tell."""
    try:
        return llvm.get_host_cpu_features()
    except RuntimeError:
        return llvm.FeatureMap()


def processor() -> str:
    """Return what machine code depends on."""
    names = features().flatten()
    versions = ".".join(map(str, llvm.llvm_version_info))
    return f"{llvm.get_default_triple()} {llvm.get_host_cpu_name()} {names} {versions}"


def _machine() -> Any:
    known = features()
    # One load for each lane costs more than what a vector of rows saves.
    more = ",+prefer-no-gather" if known.get("avx2") else ""
    return _target().create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=known.flatten() + more,
        opt=3,
        jit=True,
        codemodel="jitdefault",
    )


def machine_code(
    symbol: str,
    source: str,
    kinds: Sequence[np.dtype[Any]],
    integers: int,
    numbers: int,
    more: dict[str, Callable[..., Any]],
) -> bytes:
    """Return the object file of a kernel; `symbol` is its name in it.

    Parameters
    ----------
    source : str
        See `Translator`, which takes the others.
    """
    machine = _machine()
    module = ir.Module(symbol)
    module.triple = machine.triple
    module.data_layout = str(machine.target_data)
    kernel = Translator(module, source, kinds, integers, numbers, more).function
    _write_entry(module, symbol, kernel, integers, numbers, len(kinds))
    return bytes(machine.emit_object(optimized(module, machine)))


def optimized(module: Any, machine: Any) -> Any:
    """Return a module as LLVM makes it for a machine."""
    parsed = llvm.parse_assembly(str(module))
    parsed.verify()
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = options.slp_vectorization = True
    # A loop over columns that is unrolled first is no loop to vectorise any more.
    options.loop_unrolling, options.loop_interleaving = False, True
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(parsed, builder)
    return parsed


def _write_entry(
    module: Any, symbol: str, kernel: Any, integers: int, numbers: int, arrays: int
) -> None:
    """Write what CPython calls: ``symbol(table, args, count)``."""
    kind = ir.FunctionType(_OBJECT, [_OBJECT, _OBJECT.as_pointer(), INDEX])
    function = ir.Function(module, kind, symbol)
    entry = _Entry(function)
    entry.expect_count(numbers + arrays)
    given = [entry.integer(len(_TABLE) + k) for k in range(integers)]
    given += [entry.number(k) for k in range(numbers)]
    types = kernel.function_type.args[len(given) :]
    given += entry.addresses(numbers, types)
    entry.run(kernel, given)


class _Entry:
    """Writes the function that takes Python's objects and calls the kernel."""

    def __init__(self, function: Any) -> None:
        self.function = function
        self.builder = ir.IRBuilder(function.append_basic_block())
        table, self.args, self.count = function.args
        self.table = self._field(table, _HEAD, INDEX.as_pointer())
        self.messages = 0

    def _field(self, thing: Any, offset: int, kind: Any) -> Any:
        """Return what an object holds at an offset."""
        place = self.builder.gep(thing, [INDEX(offset)])
        return self.builder.load(self.builder.bitcast(place, kind.as_pointer()))

    def integer(self, place: int) -> Any:
        """Return an integer of the table."""
        return self.builder.load(self.builder.gep(self.table, [INDEX(place)]))

    def _known(self, name: str, kind: Any = _OBJECT) -> Any:
        """Return an object or a function of the table."""
        return self.builder.inttoptr(self.integer(_TABLE.index(name)), kind)

    def _call(self, name: str, *args: Any) -> Any:
        result, kinds = _FUNCTIONS[name]
        kind = ir.FunctionType(result, kinds).as_pointer()
        return self.builder.call(self._known(name, kind), args)

    def _argument(self, number: int) -> Any:
        return self.builder.load(self.builder.gep(self.args, [INDEX(number)]))

    def number(self, number: int) -> Any:
        """Return an argument as a float."""
        builder = self.builder
        value = self._call("PyFloat_AsDouble", self._argument(number))
        # -1.0 may say that it was none, and that an error has been set.
        with builder.if_then(builder.fcmp_ordered("==", value, value.type(-1.0))):
            error = self._call("PyErr_Occurred")
            with builder.if_then(builder.icmp_unsigned("!=", error, _OBJECT(None))):
                builder.ret(_OBJECT(None))
        return value

    def addresses(self, first: int, kinds: Sequence[Any]) -> list[Any]:
        """Return the addresses of the elements of arguments, which must be arrays."""
        builder = self.builder
        expected = self.integer(_TABLE.index("ndarray"))
        data, others = [], ir.IntType(1)(0)
        for number, kind in enumerate(kinds, first):
            array = self._argument(number)
            of = self._field(array, _HEAD - tuple.__itemsize__, INDEX)
            is_other = builder.icmp_unsigned("!=", of, expected)
            others = builder.or_(others, is_other)
            data.append(self._field(array, _HEAD, kind))
        self._raise_if(others, "TypeError", "a kernel takes arrays of NumPy alone")
        return data

    def expect_count(self, count: int) -> None:
        """Refuse other numbers of arguments."""
        wrong = self.builder.icmp_unsigned("!=", self.count, INDEX(count))
        self._raise_if(
            wrong, "TypeError", "a kernel was called with too many or too few"
        )

    def _raise_if(self, condition: Any, error: str, text: str) -> None:
        with self.builder.if_then(condition, likely=False):
            message = self._text(text)
            self._call("PyErr_SetString", self._known(error), message)
            self.builder.ret(_OBJECT(None))

    def _text(self, text: str) -> Any:
        data = bytearray(text.encode() + b"\0")
        kind = ir.ArrayType(ir.IntType(8), len(data))
        self.messages += 1
        name = f"message{self.messages}"
        variable = ir.GlobalVariable(self.function.module, kind, name)
        variable.linkage, variable.global_constant = "internal", True
        variable.initializer = ir.Constant(kind, data)
        return self.builder.bitcast(variable, _OBJECT)

    def run(self, kernel: Any, given: Sequence[Any]) -> None:
        """Call the kernel, other threads running meanwhile; return None."""
        state = self._call("PyEval_SaveThread")
        status = self.builder.call(kernel, given)
        self._call("PyEval_RestoreThread", state)
        outside = self.builder.icmp_unsigned("!=", status, status.type(0))
        self._raise_if(outside, "IndexError", "an index is out of bounds")
        nothing = self._known("None")
        self._call("Py_IncRef", nothing)
        self.builder.ret(nothing)


@functools.cache
def _engine() -> Any:
    module = llvm.parse_assembly("")
    return llvm.create_mcjit_compiler(module, _machine())


def linked(symbol: str, code: bytes) -> Callable[..., Callable[..., None]]:
    """Return what binds a kernel to integers, from its object file."""
    engine = _engine()
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    address = engine.get_function_address(symbol)
    if not address:
        raise ValueError(f"no kernel {symbol} in its object file")

    def bound(*integers: int) -> Callable[..., None]:
        # CPython looks at the method until its function is gone, even as the
        # interpreter ends: it lies in memory that the function itself keeps.
        words = [*_addresses(), *integers]
        table = np.zeros(len(words) + _WORDS, np.int64)
        table[:-_WORDS] = words
        memory: Any = table
        method = _Method.from_buffer(memory, len(words) * table.itemsize)
        method.name, method.function, method.flags = _NAME, address, _FASTCALL
        kernel: Callable[..., None] = _new_function()(ctypes.byref(method), table, None)
        return kernel

    return bound


_NAME = b"kernel"

_WORDS = ctypes.sizeof(_Method) // 8


@functools.cache
def _addresses() -> tuple[int, ...]:
    functions = [
        ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value or 0
        for name in _FUNCTIONS
    ]
    return (*functions, *map(id, _OBJECTS.values()))


@functools.cache
def _new_function() -> Any:
    new = ctypes.pythonapi.PyCFunction_NewEx
    new.restype = ctypes.py_object
    new.argtypes = (ctypes.POINTER(_Method), ctypes.py_object, ctypes.c_void_p)
    return new
