"""The tiles of a matrix product: parts of the result that stay in registers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

from llvmlite import ir

from ..kernels.translate import Address, Translator

_INDEX = ir.IntType(32)


def _tile(to: Translator, rows: int, vectors: int, lanes: int, *at: Any) -> None:
    """Write some rows and columns of ``out = a @ b``, from its address on.

    The sums of `rows` times `vectors` times `lanes` elements stay in registers while
    they are taken, in order. Of the last vector, what is beyond `columns` is not there.

    Parameters
    ----------
    at
        The addresses of `a`, `b` and `out`, each with how many elements its rows are
        apart, and for `a` its columns; then `depth` and `columns`.
    """
    a, down, across, b, step, out, below, depth, columns = (to.machine(x) for x in at)
    places = [to.builder.mul(down, down.type(r)) for r in range(rows)]
    tile = _Tile(to.builder, rows, vectors, lanes)
    tile.write(a, (places, across), (b, step), (out, below), depth, columns, False)


def _more(to: Translator, rows: int, vectors: int, lanes: int, *at: Any) -> None:
    """Add such a product to ``out``; where the rows of `a` begin is told by a table.

    Parameters
    ----------
    at
        As of `_tile`, with the address of the table in place of `down`.
    """
    a, table, across, b, step, out, below, depth, columns = (to.machine(x) for x in at)
    entries = (to.builder.gep(table, [_INDEX(r)]) for r in range(rows))
    places = [to.builder.load(entry) for entry in entries]
    tile = _Tile(to.builder, rows, vectors, lanes)
    tile.write(a, (places, across), (b, step), (out, below), depth, columns, True)


class _Tile:
    """Writes the code of one tile."""

    def __init__(self, builder: Any, rows: int, vectors: int, lanes: int) -> None:
        self.builder, self.rows, self.vectors = builder, rows, vectors
        self.lanes = lanes

    def write(
        self,
        a: Any,
        a_steps: tuple[list[Any], Any],
        b: tuple[Any, Any],
        out: tuple[Any, Any],
        depth: Any,
        columns: Any,
        adds: bool,
    ) -> None:
        """Write the loop over `depth`, from zeros, or what is there, to the stores."""
        builder, (b, b_step), (a_rows, a_deep) = self.builder, b, a_steps
        memory = Vectors(builder, a.type.pointee, self.lanes)
        width = self.vectors * self.lanes
        rest = builder.sub(columns, columns.type(width - self.lanes))
        masks = [None] * (self.vectors - 1) + [memory.first(rest)]
        places = [*self._places(out[1])]
        first = [
            memory.load(out[0], at, part) if adds else memory.zero
            for at, part in zip(places, masks * self.rows, strict=True)
        ]
        before, loop, after = builder.block, *map(builder.append_basic_block, ("", ""))
        builder.branch(loop)
        builder.position_at_end(loop)
        k = builder.phi(depth.type)
        sums = [builder.phi(memory.kind) for _ in range(self.rows * self.vectors)]
        a_at, b_at = builder.mul(k, a_deep), builder.mul(k, b_step)
        right = [
            memory.load(b, builder.add(b_at, b_at.type(v * self.lanes)), part)
            for v, part in enumerate(masks)
        ]
        lefts = [builder.gep(a, [builder.add(a_at, row)]) for row in a_rows]
        factors = product(map(memory.repeated, map(builder.load, lefts)), right)
        new = [
            memory.times_plus(*two, one) for two, one in zip(factors, sums, strict=True)
        ]
        following = builder.add(k, k.type(1))
        k.add_incoming(k.type(0), before)
        k.add_incoming(following, loop)
        for old, start, value in zip(sums, first, new, strict=True):
            old.add_incoming(start, before)
            old.add_incoming(value, loop)
        builder.cbranch(builder.icmp_signed("<", following, depth), loop, after)
        builder.position_at_end(after)
        whole = builder.icmp_signed(">=", columns, columns.type(width))
        # A store under a mask is slow on some processors.
        with builder.if_else(whole) as (then, otherwise):
            with then:
                self._store(memory, new, out[0], places, [None] * len(new))
            with otherwise:
                self._store(memory, new, out[0], places, masks * self.rows)

    def _store(
        self, memory: Vectors, values: Any, out: Any, places: Any, masks: Any
    ) -> None:
        for value, at, mask in zip(values, places, masks, strict=True):
            memory.store(value, out, at, mask)

    def _places(self, apart: Any) -> Iterator[Any]:
        """Yield where the vectors of a tile lie, whose rows are `apart`."""
        for r in range(self.rows):
            at = self.builder.mul(apart, apart.type(r))
            for v in range(self.vectors):
                yield self.builder.add(at, at.type(v * self.lanes))


def _turn(to: Translator, lanes: int, part: int, *args: Any) -> None:
    """Write a square of `b` with rows and columns exchanged, `lanes` of each.

    Rows beyond `rows` are the last one again; with `part`, columns beyond `columns`
    are zeros.

    Parameters
    ----------
    args
        The address in `b`, how many elements its rows are apart, `rows`; the address to
        write to, how far its rows are apart, `columns`.
    """
    at, step, count, into, down, across = map(to.machine, args)
    builder = to.builder
    memory = Vectors(builder, at.type.pointee, lanes)
    mask = memory.first(across) if part else None
    last = builder.sub(count, count.type(1))
    lines = []
    for r in range(lanes):
        row = count.type(r)
        row = builder.select(builder.icmp_signed("<", row, last), row, last)
        lines.append(memory.load(at, builder.mul(row, step), mask))
    for r, line in enumerate(memory.transposed(lines)):
        memory.store(line, into, builder.mul(down, down.type(r)), None)


class Vectors:
    """Vectors of so many lanes, float or double, in memory and in registers."""

    def __init__(self, builder: Any, real: Any, lanes: int) -> None:
        self.builder, self.real, self.lanes = builder, real, lanes
        self.kind = ir.VectorType(real, lanes)
        self.zero = ir.Constant(self.kind, [0.0] * lanes)
        self.suffix = f"v{lanes}{real.intrinsic_name}"
        self.align = 4 if isinstance(real, ir.FloatType) else 8

    def _call(self, name: str, result: Any, *args: Any) -> Any:
        kind = ir.FunctionType(result, [a.type for a in args])
        function = self.builder.module.globals.get(name)
        if function is None:
            function = ir.Function(self.builder.module, kind, name)
        return self.builder.call(function, args)

    def _at(self, array: Any, at: Any) -> Any:
        place = self.builder.gep(array, [at])
        return self.builder.bitcast(place, self.kind.as_pointer())

    def load(self, array: Any, at: Any, mask: Any) -> Any:
        """Return what stands there, zeros where the mask says so."""
        place = self._at(array, at)
        if mask is not None:
            name = f"llvm.masked.load.{self.suffix}.p0{self.suffix}"
            align = ir.IntType(32)(self.align)
            return self._call(name, self.kind, place, align, mask, self.zero)
        loaded = self.builder.load(place)
        loaded.align = self.align
        return loaded

    def store(self, value: Any, array: Any, at: Any, mask: Any) -> None:
        """Write a vector, but for what the mask leaves out."""
        place = self._at(array, at)
        if mask is not None:
            name = f"llvm.masked.store.{self.suffix}.p0{self.suffix}"
            align = ir.IntType(32)(self.align)
            self._call(name, ir.VoidType(), value, place, align, mask)
        else:
            self.builder.store(value, place).align = self.align

    def first(self, count: Any) -> Any:
        """Return the mask of the first lanes, `count` of them."""
        numbers = ir.VectorType(count.type, self.lanes)
        order = ir.Constant(numbers, [*range(self.lanes)])
        return self.builder.icmp_signed("<", order, self._same(count, numbers))

    def repeated(self, number: Any) -> Any:
        """Return a vector of one number."""
        return self._same(number, self.kind)

    def _same(self, number: Any, kind: Any) -> Any:
        undefined = ir.Constant(kind, ir.Undefined)
        one = self.builder.insert_element(undefined, number, _INDEX(0))
        order = ir.Constant(ir.VectorType(_INDEX, self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(one, undefined, order)

    def times_plus(self, a: Any, b: Any, c: Any) -> Any:
        """Return a * b + c, rounded once where the processor can do that."""
        product = self.builder.fmul(a, b, flags=("contract",))
        return self.builder.fadd(product, c, flags=("contract",))

    def transposed(self, lines: list[Any]) -> list[Any]:
        """Return columns as rows: vectors are interleaved until all have met."""
        half = self.lanes // 2
        low = [i // 2 + (i % 2) * self.lanes for i in range(self.lanes)]
        for _ in range(self.lanes.bit_length() - 1):
            pairs = [(lines[i], lines[i + half]) for i in range(half)]
            lines = [
                self._woven(one, other, [k + shift for k in low])
                for one, other in pairs
                for shift in (0, half)
            ]
        return lines

    def _woven(self, one: Any, other: Any, order: list[int]) -> Any:
        indices = ir.Constant(ir.VectorType(_INDEX, self.lanes), order)
        return self.builder.shuffle_vector(one, other, indices)


def _at(to: Translator, array: Address, at: Any) -> Address:
    """Return the address of an element, by its place in memory."""
    return Address(to.address(array, at), array.kind)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "at": _at,
    "tile": _tile,
    "more": _more,
    "turn": _turn,
}
"""What the source of products calls."""
