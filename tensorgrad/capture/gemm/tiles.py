"""The tiles of a matrix product: parts of the result that stay in registers."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from ..kernels.intrinsics import pointer

_INDEX = ir.IntType(32)


@intrinsic(prefer_literal=True)
def memory(typing: Any, array: Any, at: Any) -> Any:
    """Return the address of an element, by its place in memory."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return pointer(context, builder, array, *args)

    address: Any = types.CPointer
    return address(array.dtype)(array, types.intp), generate


@intrinsic(prefer_literal=True)
def strip(
    typing: Any,
    rows: Any,
    vectors: Any,
    lanes: Any,
    part: Any,
    a: Any,
    b: Any,
    step: Any,
    out: Any,
    first: Any,
    columns: Any,
) -> Any:
    """Write the columns of ``out = a @ b`` from `first` on: `vectors` times `lanes`.

    `b` is the address of the first of them; its rows are `step` elements apart. With
    `part`, only `columns` of them are there. So many `rows` at a time are kept in
    registers while their sums are taken, in order; `a` has at least as many.
    """
    sizes = [s.literal_value for s in (vectors, lanes, part)]

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        left = _Matrix(context, builder, signature.args[4], args[4])
        to = _Matrix(context, builder, signature.args[7], args[7])
        start = builder.gep(to.data, [args[8]])
        tile = _Tile(builder, rows.literal_value, *sizes)
        zero, by = left.rows.type(0), left.rows.type(rows.literal_value)
        last = builder.sub(left.rows, by)
        with cgutils.for_range_slice(builder, zero, left.rows, by) as (row, _):
            # The last tile reaches back over rows that are written again.
            row = builder.select(builder.icmp_signed(">", row, last), last, row)
            tile.write(
                builder.gep(left.data, [builder.mul(row, left.down)]),
                (left.down, left.across),
                (args[5], args[6]),
                builder.gep(start, [builder.mul(row, to.down)]),
                to.down,
                left.columns,
                args[9],
            )
        return context.get_dummy_value()

    at = types.intp
    return types.void(rows, vectors, lanes, part, a, b, at, out, at, at), generate


class _Matrix:
    """A matrix argument: where it starts, its sizes, its steps in elements."""

    def __init__(self, context: Any, builder: Any, kind: Any, array: Any) -> None:
        struct = context.make_array(kind)(context, builder, array)
        self.data = struct.data
        take: Any = cgutils.unpack_tuple
        self.rows, self.columns = take(builder, struct.shape)
        steps = take(builder, struct.strides)
        self.down, self.across = (builder.sdiv(s, struct.itemsize) for s in steps)


class _Tile:
    """Writes the code of one tile."""

    def __init__(
        self, builder: Any, rows: int, vectors: int, lanes: int, part: int
    ) -> None:
        self.builder, self.rows, self.vectors = builder, rows, vectors
        self.lanes, self.part = lanes, part

    def write(
        self,
        a: Any,
        a_steps: tuple[Any, Any],
        b: tuple[Any, Any],
        out: Any,
        out_row: Any,
        depth: Any,
        columns: Any,
    ) -> None:
        """Write the loop over `depth`, from zeros to the stores."""
        builder, (b, b_step), (a_row, a_deep) = self.builder, b, a_steps
        memory = Vectors(builder, a.type.pointee, self.lanes)
        mask = memory.first(columns) if self.part else None
        before = builder.block
        loop = builder.append_basic_block("depth")
        after = builder.append_basic_block("store")
        builder.branch(loop)
        builder.position_at_end(loop)
        k = builder.phi(depth.type)
        sums = [builder.phi(memory.kind) for _ in range(self.rows * self.vectors)]
        a_at, b_at = builder.mul(k, a_deep), builder.mul(k, b_step)
        right = [
            memory.load(b, builder.add(b_at, b_at.type(v * self.lanes)), mask)
            for v in range(self.vectors)
        ]
        new: list[Any] = []
        for r in range(self.rows):
            at = builder.add(a_at, builder.mul(a_row, a_row.type(r)))
            left = memory.repeated(builder.load(builder.gep(a, [at])))
            for value in right:
                new.append(memory.times_plus(left, value, sums[len(new)]))
        following = builder.add(k, k.type(1))
        k.add_incoming(k.type(0), before)
        k.add_incoming(following, loop)
        for old, value in zip(sums, new, strict=True):
            old.add_incoming(memory.zero, before)
            old.add_incoming(value, loop)
        builder.cbranch(builder.icmp_signed("<", following, depth), loop, after)
        builder.position_at_end(after)
        for i, value in enumerate(new):
            r, v = divmod(i, self.vectors)
            at = builder.mul(out_row, out_row.type(r))
            memory.store(value, out, builder.add(at, at.type(v * self.lanes)), mask)


@intrinsic(prefer_literal=True)
def turn(
    typing: Any,
    lanes: Any,
    part: Any,
    b: Any,
    b_at: Any,
    b_row: Any,
    rows: Any,
    room: Any,
    room_at: Any,
    room_row: Any,
    columns: Any,
) -> Any:
    """Write a square of `b` with rows and columns exchanged, `lanes` of each.

    Rows beyond `rows` are the last one again; with `part`, columns beyond `columns`
    are zeros.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        width = lanes.literal_value
        at = pointer(context, builder, signature.args[2], args[2], args[3])
        to = pointer(context, builder, signature.args[6], args[6], args[7])
        memory = Vectors(builder, at.type.pointee, width)
        step, count, down, across = args[4], args[5], args[8], args[9]
        mask = memory.first(across) if part.literal_value else None
        last = builder.sub(count, count.type(1))
        lines = []
        for r in range(width):
            row = count.type(r)
            row = builder.select(builder.icmp_signed("<", row, last), row, last)
            lines.append(memory.load(at, builder.mul(row, step), mask))
        for r, line in enumerate(memory.transposed(lines)):
            memory.store(line, to, builder.mul(down, down.type(r)), None)
        return context.get_dummy_value()

    return types.void(
        *(lanes, part, b, types.intp, types.intp, types.intp),
        *(room, types.intp, types.intp, types.intp),
    ), generate


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
        declare: Any = cgutils.get_or_insert_function
        return self.builder.call(declare(self.builder.module, kind, name), args)

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
