"""Source: the text of a kernel that computes nests of elements."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

import numpy as np

from ..program import Number, Value
from .elements import Access, Element, Operand, Pick, cast, literal
from .nests import COLUMNS, ROWS, Nest, Placed

UNROLLED = 8
"""Up to so many columns are written out one by one and stay in registers."""

REGISTER = 64
"""A row of so many bytes is a vector as it lies, unless its columns are joined."""

FEW = 64
"""Up to so many columns sums of rows stay in registers."""

LANES, MANY = 8, 256
"""Columns of a vector, and how many leave too few behind to matter."""

SMALL = 16
"""Larger numbers of rows are arguments, so that batches of any size share a kernel."""

STACK = 4096
"""Rows of up to so many columns are gathered on the stack."""

LARGE, STRIP = 1 << 14, 8
"""Elements of a nest that are walked through in strips of columns, where memory that
they touch lies across; so many are few enough for one place of the cache."""

_POLYNOMIAL = re.compile(r"\b(exp|expm1|log|log1p|tanh)\(")

_START = {"plus": "0.0", "larger": "-inf", "smaller": "inf"}

_INDENT = "    "


@dataclass
class Kernel:
    """A kernel being written: its lines and its arguments.

    Attributes
    ----------
    lines : list of str
    arrays : dict of Value to str
        The names of its arguments; `written` are those it writes to.
    numbers, sizes, starts : dict
        As arguments too: so rows of an array, one in each turn, share a kernel.
    part : str
        "rows" or "columns" if two last integers say which of them it computes.
    """

    lines: list[str] = field(default_factory=list)
    arrays: dict[Value, str] = field(default_factory=dict)
    written: dict[Value, None] = field(default_factory=dict)
    numbers: dict[Number, str] = field(default_factory=dict)
    sizes: dict[int, str] = field(default_factory=dict)
    starts: dict[tuple[Value, int], str] = field(default_factory=dict)
    names: int = 0
    part: str = ""

    def fresh(self) -> str:
        """Return a new name of a variable."""
        self.names += 1
        return f"v{self.names}"

    def array(self, value: Value) -> str:
        """Return the name of an argument."""
        return self.arrays.setdefault(value, f"a{len(self.arrays)}")

    def number(self, number: Number) -> str:
        """Return the name of a number."""
        return self.numbers.setdefault(number, f"s{len(self.numbers)}")

    def size(self, rows: int) -> str:
        """Return the source of a number of rows."""
        if rows <= SMALL:
            return str(rows)
        return self.sizes.setdefault(rows, f"n{len(self.sizes)}")

    def start(self, access: Access) -> str:
        """Return the name of the place where a view begins."""
        key = access.owner, access.start
        return self.starts.setdefault(key, f"o{len(self.starts)}")

    def integers(self) -> list[int]:
        """Return the arguments that come first."""
        return [*self.sizes, *(start for _, start in self.starts)]

    def text(self, arrays: Sequence[Value]) -> str:
        """Return the source, with the arrays in an order."""
        names = [self.arrays[value] for value in arrays]
        part = ("first", "last") if self.part else ()
        integers = [*self.sizes.values(), *self.starts.values(), *part]
        head = [*integers, *self.numbers.values(), *names]
        return f"def kernel({', '.join(head)}):\n" + "\n".join(self.lines) + "\n"


def write(kernel: Kernel, nests: Sequence[Nest], outside: Collection[Value]) -> None:
    """Write nests to a kernel; values `outside` are needed after it."""
    stored = _stored(nests, outside)
    for nest in nests:
        kernel.lines += _Nest(kernel, nest, stored).lines()


def _stored(nests: Sequence[Nest], outside: Collection[Value]) -> set[Value]:
    """Return the values to store in memory, not only in variables."""
    stored, met = {*outside}, set[Value]()
    for nest in nests:
        owners = nest.owners()
        stored |= owners & met
        met |= owners
        if not _is_unrolled(nest):
            stored |= _in_several_loops(nest)
    return stored


def _is_unrolled(nest: Nest) -> bool:
    """Whether columns are written out: rows are what is vectorised then."""
    size = max(p.element.write.dtype.itemsize for p in nest.placed)
    few = nest.columns * size < REGISTER or any(p.across for p in nest.placed)
    return few and nest.columns <= UNROLLED


def _in_several_loops(nest: Nest) -> set[Value]:
    first: dict[Value, int] = {}
    several: set[Value] = set()
    for placed, phase in zip(nest.placed, nest.phases(), strict=True):
        for access in placed.element.accesses if placed.inner else ():
            if first.setdefault(access.owner, phase) != phase:
                several.add(access.owner)
    return several


class _Nest:
    """Writes one nest: lines before its loop, in it phase by phase, and after it."""

    def __init__(self, kernel: Kernel, nest: Nest, stored: set[Value]) -> None:
        self.kernel, self.nest, self.stored = kernel, nest, stored
        self.phases = nest.phases()
        count = max(self.phases) + 1
        self.rooms: list[str] = []
        self.before: list[str] = []
        self.row: list[list[str]] = [[] for _ in range(count)]
        self.inner: list[list[str]] = [[] for _ in range(count)]
        self.tail: list[list[str]] = [[] for _ in range(count)]
        self.after: list[str] = []
        self.variables: dict[tuple[Access, str], str] = {}
        self.sums: dict[tuple[Placed, str], str] = {}
        self.written = {placed.element.write.owner for placed in nest.placed}
        self.now: list[str] = self.before
        self.unrolled = _is_unrolled(nest)
        self.columns = [*map(str, range(nest.columns))] if self.unrolled else ["j"]

    def lines(self) -> list[str]:
        """Return the nest's lines."""
        for phase in range(len(self.row)):
            self._write_phase(phase)
        body = []
        span = "c, end, 1" if self._crosses() else ""
        for row, inner, tail in zip(self.row, self.inner, self.tail, strict=True):
            over = (
                inner if self.unrolled or not inner else self._over_columns(inner, span)
            )
            body += [*row, *over, *tail]
        head = self._loop("i", "rows", self.kernel.size(self.nest.rows))
        loop = [head, *(_INDENT + line for line in body)] if body else []
        if span:
            loop = self._in_strips(loop)
        lines = [*self.before, *loop, *self.after]
        if self.nest.blocks > 1:
            head = self._loop("h", "blocks", self.kernel.size(self.nest.blocks))
            lines = [head, *(_INDENT + line for line in lines)]
        return [_INDENT + line for line in (*self.rooms, *lines)]

    def _crosses(self) -> bool:
        """Whether rows, not columns, are near in some memory, and nothing is joined."""
        nest = self.nest
        if self.unrolled or self.kernel.part == "columns":
            return False
        if nest.rows * nest.columns < LARGE or len(self.row) > 1:
            return False
        if any(p.down or p.across or not p.inner for p in nest.placed):
            return False
        accesses = [access for p in nest.placed for access in p.element.accesses]
        return any(a.strides[ROWS] == 1 < a.strides[COLUMNS] for a in accesses)

    def _in_strips(self, loop: list[str]) -> list[str]:
        """Return a loop over rows for some columns, and then for the next.

        What lies in a line of memory is met again before it has left the cache.
        """
        size = self.nest.columns
        return [
            f"for c in range(0, {size}, {STRIP}):",
            f"{_INDENT}end = c + {STRIP} if c + {STRIP} < {size} else {size}",
            *map(_indented, loop),
        ]

    def _over_columns(self, lines: Sequence[str], span: str = "") -> list[str]:
        """Return loops over the columns of a span, or over all."""
        if self.kernel.part == "columns":
            span = "first, last, 1"
        spans = [span] if span else self._spans(lines)
        heads = [f"for j in range({span}):" for span in spans]
        return [line for head in heads for line in (head, *map(_indented, lines))]

    def _spans(self, lines: Sequence[str]) -> list[str]:
        """Return the ranges of loops over columns, one after the other.

        Few columns of sums of rows go in powers of two: each is a number of vectors
        then, which stay in registers over all rows. So does what is left of some
        vectors of elements that take long.
        """
        columns = self.nest.columns
        few = columns <= FEW and any(p.down and p.inner for p in self.nest.placed)
        long = 2 * LANES < columns < MANY and any(map(_POLYNOMIAL.search, lines))
        whole = 0 if few else columns - columns % LANES if long else columns
        rest = columns - whole
        powers = (1 << k for k in reversed(range(rest.bit_length())) if rest & 1 << k)
        ends = [*accumulate(powers, initial=whole)]
        ends = [0, *ends] if whole else ends
        if len(ends) == 2:
            return [str(columns)]
        return [f"{first}, {end}, 1" for first, end in pairwise(ends)]

    def _loop(self, name: str, axis: str, size: str) -> str:
        part = self.kernel.part == axis
        return f"for {name} in range({'first, last, 1' if part else size}):"

    def _write_phase(self, phase: int) -> None:
        here = [
            p for p, k in zip(self.nest.placed, self.phases, strict=True) if k == phase
        ]
        for placed in here:
            if not placed.inner:
                self._write(placed, phase, "0", here)
        for j in self.columns:
            for placed in here:
                if placed.inner:
                    self._write(placed, phase, j, here)
        if not self.unrolled:
            # Variables of a loop over columns end with it.
            self.variables = {
                key: v for key, v in self.variables.items() if key[1][0] != "j"
            }

    def _write(self, placed: Placed, phase: int, j: str, here: list[Placed]) -> None:
        element = placed.element
        self.now = lines = self.inner[phase] if placed.inner else self.row[phase]
        texts = [self._operand(operand, phase, j) for operand in element.reads]
        text = element.text(*texts)
        if placed.down:
            self._join_rows(placed, lines, text, j)
        elif placed.across:
            self._join_columns(placed, phase, text)
        elif element.write.picks:
            at = self._at(element.write, phase, j)
            lines.append(self._put(element.write, at, self._final(element, text)))
            # The next element may be at the same place.
            owner = element.write.owner
            kept = {k: v for k, v in self.variables.items() if k[0].owner is not owner}
            self.variables = kept
        else:
            name = self._final(element, text)
            if not name.isidentifier():
                lines.append(f"{self.kernel.fresh()} = {name}")
                name = f"v{self.kernel.names}"
            self.variables[element.write, _column(element.write, j)] = name
            if self._stores(placed, here):
                at = self._at(element.write, phase, j)
                lines.append(self._put(element.write, at, name))

    def _final(self, element: Element, text: str) -> str:
        to = element.write.dtype
        # Of bits there are sums that are integers.
        return (
            f"{to.name}({text})" if to.kind in "iu" else cast(text, element.dtype, to)
        )

    def _stores(self, placed: Placed, here: list[Placed]) -> bool:
        """Whether an element goes to memory: none later in the loop overwrites it."""
        write = placed.element.write
        later = here[here.index(placed) + 1 :]
        return write.owner in self.stored and not any(
            p.element.write == write and p.inner == placed.inner for p in later
        )

    def _join_columns(self, placed: Placed, phase: int, text: str) -> None:
        name = self._sum(placed, "0", self.row[phase], self.tail[phase])
        self.variables[placed.element.write, "0"] = self._final(placed.element, name)
        self.inner[phase].append(f"{name} = {placed.element.join}({name}, {text})")

    def _join_rows(self, placed: Placed, lines: list[str], text: str, j: str) -> None:
        j = _column(placed.element.write, j)
        if j == "j":
            self._join_in_memory(placed, lines, text)
            return
        name = self._sum(placed, j, self.before, self.after)
        lines.append(f"{name} = {placed.element.join}({name}, {text})")

    def _sum(self, placed: Placed, j: str, start: list[str], end: list[str]) -> str:
        """Return the variable in which elements are joined, stored where needed."""
        name = self.sums.get((placed, j))
        if name is None:
            name = self.sums[placed, j] = self.kernel.fresh()
            start.append(f"{name} = {_start(placed.element)}")
            write = placed.element.write
            if write.owner in self.stored:
                end.append(self._put(write, self._at(write, 0, j), name))
        return name

    def _join_in_memory(self, placed: Placed, lines: list[str], text: str) -> None:
        """Join rows to a row, which is gathered in one run of memory."""
        element, write = placed.element, placed.element.write
        end, at = self._at(write, 0, "j"), "j"
        if write.owner in self.stored and write.strides[COLUMNS] == 1:
            row, at = self.kernel.array(write.owner), end
            self.kernel.written[write.owner] = None
        else:
            row = self._row(write)
        self.before += self._over_columns([f"put({row}, {at}, {_start(element)})"])
        lines.append(f"put({row}, {at}, {element.join}(get({row}, {at}), {text}))")
        if write.owner in self.stored and at != end:
            line = self._put(write, end, f"get({row}, j)")
            self.after += self._over_columns([line])

    def _row(self, like: Access) -> str:
        name, kind, size = self.kernel.fresh(), like.dtype.name, self.nest.columns
        # The stack is quick, but small.
        room = f"row({size}, {kind}(0))" if size <= STACK else f"empty({size}, {kind})"
        self.rooms.append(f"{name} = {room}")
        return name

    def _put(self, write: Access, at: str, text: str) -> str:
        self.kernel.written[write.owner] = None
        return f"put({self.kernel.array(write.owner)}, {at}, {text})"

    def _operand(self, operand: Operand, phase: int, j: str) -> str:
        if isinstance(operand, Access):
            return self._read(operand, phase, _column(operand, j))
        if isinstance(operand, Number):
            return self.kernel.number(operand)
        if isinstance(operand, np.generic):
            return f"{operand.dtype.name}({literal(operand)})"
        if operand in self.kernel.sizes and type(operand) is int:
            return self.kernel.sizes[operand]
        return literal(operand)

    def _read(self, access: Access, phase: int, j: str) -> str:
        """Return the variable that holds an operand, read as rarely as can be."""
        name = self.variables.get((access, j))
        if name is not None:
            return name
        if j == "j" and not _moves(access, ROWS) and access.strides[COLUMNS] != 1:
            return self._packed(access)
        name = self.variables[access, j] = self.kernel.fresh()
        at = self._at(access, phase, j)
        line = f"{name} = get({self.kernel.array(access.owner)}, {at})"
        self._lines_for(access, phase, j).append(line)
        return name

    def _lines_for(self, access: Access, phase: int, j: str) -> list[str]:
        if any(a.owner in self.written for a in access.memory()):
            return self.now
        if j == "j" or (_moves(access, COLUMNS) and _moves(access, ROWS)):
            return self.inner[phase]
        return self.row[phase] if _moves(access, ROWS) else self.before

    def _packed(self, access: Access) -> str:
        """Return an element of a row that is brought into one run of memory first."""
        row = self.variables.get((access, "packed"))
        if row is None:
            row = self.variables[access, "packed"] = self._row(access)
            at, array = self._at(access, 0, "j"), self.kernel.array(access.owner)
            self.before += self._over_columns([f"put({row}, j, get({array}, {at}))"])
        return f"get({row}, j)"

    def _at(self, access: Access, phase: int, j: str) -> str:
        """Return the source of a place in memory."""
        terms = [self.kernel.start(access)] if access.start else []
        if access.offset != access.start:
            terms.append(self._sized(access.offset - access.start))
        for stride, name in zip(access.strides, ("h", "i", j), strict=True):
            if stride and name != "0":
                terms.append(name if stride == 1 else f"{self._sized(stride)} * {name}")
        for pick in access.picks:
            entry, step = self._entry(pick, phase, j), self._sized(pick.step)
            terms.append(entry if step == "1" else f"{step} * {entry}")
        return " + ".join(terms) or "0"

    def _entry(self, pick: Pick, phase: int, j: str) -> str:
        """Return the variable with an index that is known to be within bounds."""
        index, j = pick.index, _column(pick.index, j)
        key = index, f"{j} within {pick.bound}"
        name = self.variables.get(key)
        if name is None:
            entry, bound = self._read(index, phase, j), self._sized(pick.bound)
            name = self.variables[key] = self.kernel.fresh()
            line = f"{name} = within(int64({entry}), {bound})"
            self._lines_for(index, phase, j).append(line)
        return name

    def _sized(self, value: int) -> str:
        rows = self.nest.rows
        if rows <= SMALL or value <= 0 or value % rows:
            return str(value)
        times = value // rows
        return (
            self.kernel.size(rows)
            if times == 1
            else f"{times} * {self.kernel.size(rows)}"
        )


def _indented(line: str) -> str:
    return _INDENT + line


def _start(element: Element) -> str:
    return f"{element.dtype.name}({_START[element.join]})"


def _moves(access: Access, axis: int) -> bool:
    return any(a.strides[axis] != 0 for a in access.memory())


def _column(access: Access, j: str) -> str:
    """Return the column of the element; "0" where it is the same for all."""
    return j if _moves(access, COLUMNS) else "0"
