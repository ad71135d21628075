"""A CSV file as standardised features and class labels, with a part held out."""

from __future__ import annotations

import csv
import io
import itertools
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Split", "Table", "TableError", "read", "split"]


MISSING = ("na", "n/a", "<na>", "null", "none", "nil", "missing", "unknown", "?", "-")
"""Spellings of a missing value, in lower case."""


class TableError(ValueError):
    """A file that cannot be read as a table of features and labels."""


@dataclass(frozen=True)
class Table:
    """The contents of a file, unchanged.

    Attributes
    ----------
    source : str
        The path it was read from, for messages.
    features : (rows, columns) float64
    labels : (rows,) int64
        Positions in `classes`.
    columns : tuple of str
        Names of the features.
    target : str
        Name of the label column.
    classes : tuple of str
        Sorted, as numbers where all are integers.
    notes : tuple of str
        Sentences about what was assumed in reading it.
    """

    source: str
    features: NDArray[np.float64]
    labels: NDArray[np.int64]
    columns: tuple[str, ...]
    target: str
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Split:
    """A table in two parts, standardised by the mean and deviation of the first.

    Attributes
    ----------
    x, held_x : (rows, columns) float32
        Features to train on and held out: ``(features - mean) / std``.
    y, held_y : (rows,) int64
    mean, std : (columns,) float64
        Of the training part; std is 1 for a constant feature.
    """

    x: NDArray[np.float32]
    y: NDArray[np.int64]
    held_x: NDArray[np.float32]
    held_y: NDArray[np.int64]
    mean: NDArray[np.float64]
    std: NDArray[np.float64]


Row = tuple[int, list[str]]
"""The line a row begins at, from 1, and its cells."""


def read(path: str | Path, target: str | None = None) -> Table:
    """Read a CSV file with a header, numeric features and one column of labels.

    Parameters
    ----------
    path : str or Path
        UTF-8, with or without a byte order mark; comma separated, quoted as RFC 4180
        says, any line ends. Blank lines are passed over.
    target : str, optional
        Name of the label column, by default the last one. Labels are class names
        or integers.

    Returns
    -------
    Table

    Raises
    ------
    TableError
        If the file cannot be read or is not such a table; the message names the line
        and the column.
    """
    try:
        return _table(str(path), _rows(_text(Path(path))), target)
    except TableError as error:
        raise TableError(f"{path}: {error}") from None


def split(table: Table, rng: Any, held_out: float = 0.2) -> Split:
    """Hold out rows of each class, and standardise by the others.

    Parameters
    ----------
    table : Table
    rng : numpy.random.Generator or RandomState
        Chooses the rows.
    held_out : float
        Fraction of the rows to hold out, at least one row. Every class keeps a row to
        train on, and the classes share as evenly as that allows.

    Returns
    -------
    Split

    Raises
    ------
    TableError
        If no class has two rows, or a value does not fit in float32 once standardised.
    ValueError
        If `held_out` is not between 0 and 1.
    """
    if not 0 < held_out < 1:
        raise ValueError(f"split: held_out must be between 0 and 1, got {held_out}")
    if len(table.labels) == len(table.classes):
        raise TableError(
            f"{table.source}: expected a class with at least two rows, so that one can "
            f"be held out, got {len(table.labels)} rows of as many classes"
        )
    held = _held_out(table.labels, held_out, rng)
    mean, std = _moments(table.features[~held])
    with np.errstate(all="ignore"):
        x = ((table.features - mean) / std).astype(np.float32)
    _check_finite(np.isfinite(x).all(axis=0) & np.isfinite(std), table)
    y = table.labels
    return Split(x[~held], y[~held], x[held], y[held], mean, std)


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise TableError("there is no such file") from None
    except IsADirectoryError:
        raise TableError("expected a CSV file, got a folder") from None
    except OSError as error:
        raise TableError(f"the file cannot be read: {error.strerror}") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise TableError(
            f"line {line} is not UTF-8 text; save the file as CSV in UTF-8"
        ) from None


def _rows(text: str) -> Iterator[Row]:
    """Yield the rows that are not blank, each with the line it begins at."""
    # Strict, since a quote left open would make the rest of the file one cell.
    lines = io.StringIO(text, newline="")
    reader = csv.reader(lines, strict=True, skipinitialspace=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise TableError(f"line {line} is not CSV: {error}") from None
        if cells is None:
            return
        if len(cells) > 1 or any(cell.strip() for cell in cells):
            yield line, cells


def _table(source: str, rows: Iterator[Row], target: str | None) -> Table:
    start, names = _header(rows)
    at = _position(names, target)
    lines, labels, features = [], [], []
    for line, cells in rows:
        if len(cells) != len(names):
            raise TableError(
                f"line {line}: expected {len(names)} cells as in the header, got "
                f"{len(cells)}"
            )
        lines.append(line)
        labels.append(cells.pop(at).strip())
        features.append(cells)
    if not lines:
        raise TableError("expected rows of data below the header, got none")
    note = "" if target else _about_header(names, labels)
    if note == DATA:
        lines, labels = [start, *lines], [names[-1], *labels]
        features = [names[:-1], *features]
        names = [f"column {k + 1}" for k in range(len(names))]
    target = names.pop(at)
    numbers = _numbers(features, lines, names)
    classes, y = _encoded(labels, lines, target)
    notes = (note,) if note else ()
    return Table(source, numbers, y, tuple(names), target, classes, notes)


DATA = (
    "the first row is taken for data, which it reads like, and the columns are called "
    "'column 1', 'column 2' and so on; put a row of names above it"
)
DOUBT = (
    "the first row, of numbers, is taken for the names of the columns; if it is data, "
    "put a row of names above it"
)


def _about_header(names: list[str], labels: list[str]) -> str:
    """Return a note about a header of numbers; nothing about one of names."""
    numbers = [x for x in map(_number, names) if x is not None and math.isfinite(x)]
    features = numbers[: len(names) - 1]
    if any(_number(name) not in features for name in names[:-1]):
        return ""
    like = names[-1] in labels or len(numbers) == len(names)
    if not _regular(features):
        return DATA if like else DOUBT
    # Some programs number all columns, and some all but the last.
    return "" if not like or (_regular(numbers) and len(numbers) > 2) else DOUBT


def _regular(numbers: list[float]) -> bool:
    """Whether names go on in equal steps, as numbers of columns and years do."""
    if len(numbers) < 3 and numbers[0] not in (0, 1):
        return False
    steps = [b - a for a, b in itertools.pairwise(numbers)]
    return all(step > 0 and math.isclose(step, steps[0]) for step in steps)


def _header(rows: Iterator[Row]) -> Row:
    line, cells = next(rows, (0, []))
    names = [cell.strip() for cell in cells]
    if not names:
        raise TableError("expected a header and rows of data, got an empty file")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise TableError(
            f"expected a header of different names, got {twice[0]!r} more than once; "
            "rename a column, or put a header above the data"
        )
    if len(names) == 1:
        raise TableError(
            f"expected feature columns and a label column, got the one column "
            f"{names[0]!r}; separate columns by commas"
        )
    return line, names


def _position(names: list[str], target: str | None) -> int:
    if target is None:
        return len(names) - 1
    if target.strip() not in names:
        raise TableError(
            f"there is no column {target!r} to use as the target; the columns are "
            f"{', '.join(map(repr, names))}"
        )
    return names.index(target.strip())


def _numbers(
    rows: list[list[str]], lines: list[int], names: list[str]
) -> NDArray[np.float64]:
    """Return the cells as numbers, or name the first that is none."""
    numbers = np.empty((len(rows), len(names)), dtype=np.float64)
    for i, cells in enumerate(rows):
        for j, cell in enumerate(cells):
            value = _number(cell)
            if value is None or not math.isfinite(value):
                where = f"line {lines[i]}, column {names[j]!r}"
                raise TableError(f"{where}: {_complaint(cell.strip(), value)}")
            numbers[i, j] = value
    return numbers


def _number(cell: str) -> float | None:
    # Python reads 1_000 as a number; in a file it is more likely a code or a slip.
    try:
        return None if "_" in cell else float(cell)
    except ValueError:
        return None


def _complaint(cell: str, value: float | None) -> str:
    """Say what is wrong with a cell that should be a finite number."""
    if not cell:
        return "the cell is empty; fill it in or leave out the row"
    if cell.lower() in MISSING and value is None:
        return f"{cell!r} stands for a missing value; fill it in or leave out the row"
    if re.fullmatch(r"\d+[-/.]\d+[-/.]\d+([T ].*)?", cell):
        return (
            f"{cell!r:.60} is a date; write it as a number, such as the days since a "
            "first one, or leave the column out"
        )
    if value is not None:
        return f"expected a finite number, got {cell}; correct it or leave out the row"
    return (
        f"expected a number, got {cell!r:.60}; features must be numeric: encode the "
        "column, leave it out, or make it the target"
    )


def _encoded(
    labels: list[str], lines: list[int], target: str
) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Return the class names, sorted, and the position of each label in them."""
    names = _names(labels, lines, target)
    classes = sorted(set(names))
    if len(classes) == 1:
        raise TableError(
            f"expected at least two classes in column {target!r}, got only "
            f"{classes[0]!r}; choose another column as the target"
        )
    position = {name: i for i, name in enumerate(classes)}
    y = np.array([position[name] for name in names], dtype=np.int64)
    return tuple(map(str, classes)), y


def _names(labels: list[str], lines: list[int], target: str) -> list[Any]:
    """Return labels as they are, or as integers where all are numbers."""
    values = [_number(label) for label in labels]
    numeric = None not in values
    for line, label, value in zip(lines, labels, values, strict=True):
        # Among names 1e999 is one, such as part of a checksum, and NaN is none.
        number = numeric or label.lstrip("+-").isalpha()
        missing = not label or (number and not math.isfinite(value or 0))
        if missing or (numeric and value is not None and not value.is_integer()):
            raise TableError(
                f"line {line}, column {target!r}: expected a class name or an integer, "
                f"got {label or 'an empty cell'}; correct it, or choose a column of "
                "classes as the target"
            )
    return list(map(_integer, labels)) if numeric else labels


def _integer(label: str) -> int:
    """Return a whole number; 1.0 is written for 1 by some programs."""
    try:
        return int(label)
    except ValueError:
        return int(float(label))


def _held_out(labels: NDArray[np.int64], fraction: float, rng: Any) -> NDArray[Any]:
    """Return which rows to hold out, as booleans."""
    order = rng.permutation(len(labels))
    shuffled = labels[order]
    counts = np.bincount(labels)
    # The rank of each row among those of its class, in the shuffled order.
    by_class = np.argsort(shuffled, kind="stable")
    first = np.cumsum(counts) - counts
    rank = np.empty(len(labels), dtype=np.int64)
    rank[by_class] = np.arange(len(labels)) - first[shuffled[by_class]]
    # Taking the rows of highest quantile takes the same fraction of every class;
    # the first of a class always stays.
    quantile = np.where(rank > 0, (rank + 0.5) / counts[shuffled], 0)
    many = min(max(1, round(fraction * len(labels))), int(np.count_nonzero(rank)))
    held = np.zeros(len(labels), dtype=bool)
    held[order[np.argsort(-quantile, kind="stable")[:many]]] = True
    return held


def _moments(
    features: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and standard deviation of the columns, 1 for a constant one."""
    with np.errstate(all="ignore"):
        mean, std = features.mean(axis=0), features.std(axis=0)
    # The mean of equal numbers may differ from them in the last bit, which would
    # leave a deviation of rounding errors: compare the numbers themselves. Numbers
    # of tiny differences may also have squares that underflow to 0.
    varies = (features != features[0]).any(axis=0) & (std != 0)
    return mean, np.where(varies, std, 1.0)


def _check_finite(finite: NDArray[np.bool_], table: Table) -> None:
    """Refuse a column that is not finite once standardised."""
    if not finite.all():
        column = int(finite.argmin())
        values, name = table.features[:, column], table.columns[column]
        raise TableError(
            f"{table.source}: column {name!r}: {values[np.abs(values).argmax()]:g} is "
            "too large to standardise; rescale the column or leave out the row"
        )
