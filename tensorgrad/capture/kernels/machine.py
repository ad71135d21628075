"""Machine code: kernels as LLVM makes them, and where they lie in this process."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir

from .intrinsics import INDEX
from .translate import STATUS, Translator

OBJECT = ir.IntType(8).as_pointer()
"""Of CPython's."""

HEAD = object.__basicsize__
"""Where what an object holds begins: the data of an array, the value of a float."""


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

    def write(module: Any) -> None:
        kernel = Translator(module, source, kinds, integers, numbers, more).function
        _write_entry(module, symbol, kernel, integers, numbers)

    return object_file(symbol, write)


def object_file(symbol: str, write: Callable[[Any], object]) -> bytes:
    """Return the object file of a module that is written to."""
    machine = _machine()
    module = ir.Module(symbol)
    module.triple = machine.triple
    module.data_layout = str(machine.target_data)
    write(module)
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
    module: Any, symbol: str, kernel: Any, integers: int, numbers: int
) -> None:
    """Write what a chain calls: ``symbol(words)``, a word for each argument.

    That of a number holds its bits, that of an array the address of the object.
    """
    kind = ir.FunctionType(STATUS, [INDEX.as_pointer()])
    function = ir.Function(module, kind, symbol)
    builder = ir.IRBuilder(function.append_basic_block())
    given = []
    for k, of in enumerate(kernel.function_type.args):
        word = builder.load(builder.gep(function.args[0], [INDEX(k)]))
        if k >= integers + numbers:
            word = field(builder, builder.inttoptr(word, OBJECT), HEAD, of)
        elif k >= integers:
            word = builder.bitcast(word, of)
        given.append(word)
    builder.ret(builder.call(kernel, given))


def field(builder: Any, thing: Any, offset: int, kind: Any) -> Any:
    """Return what an object of CPython's holds at an offset."""
    place = builder.gep(thing, [INDEX(offset)])
    return builder.load(builder.bitcast(place, kind.as_pointer()))


@functools.cache
def _engine() -> Any:
    module = llvm.parse_assembly("")
    return llvm.create_mcjit_compiler(module, _machine())


def linked(symbol: str, code: bytes) -> int:
    """Return the address of a function in an object file, which stays in memory."""
    engine = _engine()
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    address: int = engine.get_function_address(symbol)
    if not address:
        raise ValueError(f"no {symbol} in its object file")
    return address
