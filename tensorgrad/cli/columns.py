"""Checks of the columns of a table: refused, left out, or warned about."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .table import MISSING, Table, TableError

FEW = 10
"""Rows below which a coincidence is likely."""

FEW_CLASSES = 5
"""Numbers that are hardly a quantity, whichever they are."""

MOST_CLASSES = 100
"""Of numbers that are not counted from 0 or 1: more than that is a quantity."""


def examine(table: Table) -> tuple[Table, list[str]]:
    """Return a table without columns that number its rows, and notes about it.

    Raises
    ------
    TableError
        If its target is no column of classes, or no feature is left.
    """
    notes = list(table.notes) + _about_target(table)
    table, numbering = _without_numbering(table)
    odd = (_identifiers, _constants, _answers)
    return table, notes + numbering + [s for part in odd for s in part(table)]


def _about_target(table: Table) -> list[str]:
    """Refuse a target that is no class; return notes about one that is."""
    rows, count = len(table.labels), len(table.classes)
    values = _integers(table.classes)
    many = rows >= FEW and count > rows / 2
    if values is None:
        if many:
            raise TableError(
                f"{_target(table)} holds {count} different labels in {rows} rows, as "
                "names and dates do and classes do not; choose a column of classes "
                "with --target"
            )
        return _about_names(table)
    gaps = values[-1] - values[0] != count - 1
    counted = values[0] in (0, 1) and not gaps
    thin = (
        rows < 20 * count if count > 20 else rows >= FEW and gaps and rows < 5 * count
    )
    if many or thin or (count > MOST_CLASSES and not counted):
        raise TableError(
            f"{_target(table)} holds {count} different numbers in {rows} rows, as a "
            "quantity does and classes do not; choose a column of classes with "
            "--target, or write the quantity as ranges: low, middle, high"
        )
    if count <= 20 and (counted or count < FEW_CLASSES):
        return []
    return [
        f"each of the {count} numbers in column {table.target!r} is taken for a class; "
        "if they are a quantity, write it as ranges: low, middle, high"
    ]


def _target(table: Table) -> str:
    return f"{table.source}: column {table.target!r}"


def _integers(classes: tuple[str, ...]) -> list[int] | None:
    """Return classes as sorted integers, None where they are names."""
    try:
        return sorted(int(name) for name in classes)
    except ValueError:
        return None


def _about_names(table: Table) -> list[str]:
    notes = []
    missing = [name for name in table.classes if name.lower() in MISSING]
    if missing:
        rows = int((table.labels == table.classes.index(missing[0])).sum())
        notes.append(
            f"column {table.target!r} holds {missing[0]!r} in {rows} rows, and it is "
            "taken for a class; if it stands for a missing label, leave those rows out"
        )
    alike = [n for n, c in Counter(map(str.lower, table.classes)).items() if c > 1]
    if alike:
        spelled = [repr(n) for n in table.classes if n.lower() == alike[0]]
        notes.append(
            f"column {table.target!r} holds {' and '.join(spelled)}, which are taken "
            "for different classes; write them alike if they are one"
        )
    return notes


def _without_numbering(table: Table) -> tuple[Table, list[str]]:
    """Leave out the columns that count the rows."""
    columns = table.features.T
    counting = [
        _counts(x, name) for x, name in zip(columns, table.columns, strict=True)
    ]
    if not any(counting):
        return table, []
    names = [n for n, counts in zip(table.columns, counting, strict=True) if counts]
    if all(counting):
        raise TableError(
            f"{table.source}: {_names(names)} only numbers the rows, and there is no "
            "other feature to learn from; add columns of features"
        )
    chosen = ~np.array(counting)
    remaining = tuple(n for n, keep in zip(table.columns, chosen, strict=True) if keep)
    note = f"{_names(names)} numbers the rows and is left out of the features"
    return replace(table, features=table.features[:, chosen], columns=remaining), [note]


def _counts(x: NDArray[np.float64], name: str) -> bool:
    enough = 3 if _is_index(name) else FEW
    # A table whose rows were shuffled keeps its index.
    x = np.sort(x) if _is_index(name) else x
    # Beyond 2^53 a number and the next are the same.
    is_integer = abs(x[0]) < 2**53 and x[0] == np.round(x[0])
    return bool(
        len(x) >= enough and is_integer and (x == x[0] + np.arange(len(x))).all()
    )


def _is_index(name: str) -> bool:
    return re.fullmatch(r"(?i)|unnamed: \d+|index|row|rownames", name) is not None


def _is_identifier(name: str) -> bool:
    ends = r"(?i:(^|[\W_])(id|key|nr|no|number|uuid))$|[a-z](ID|Id|Key|Nr|No)$"
    return _is_index(name) or re.search(ends, name) is not None


def _identifiers(table: Table) -> list[str]:
    names = []
    for x, name in zip(table.features.T, table.columns, strict=True):
        numbers = np.unique(x)
        if len(x) < FEW or len(numbers) < len(x) or (x != np.round(x)).any():
            continue
        shuffled = numbers[0] in (0, 1) and numbers[-1] - numbers[0] == len(x) - 1
        even = (np.diff(x) == x[1] - x[0]).all()
        if shuffled or even or _is_identifier(name):
            names.append(name)
    if not names:
        return []
    return [
        f"{_names(names)} holds another whole number in every row, as an id does, and "
        "is learned from; take it out of the file if it is one"
    ]


def _constants(table: Table) -> list[str]:
    same = (table.features == table.features[0]).all(axis=0)
    names = [name for name, s in zip(table.columns, same, strict=True) if s]
    if not names or len(table.labels) < 2:
        return []
    return [f"{_names(names)} is the same in every row and tells no class from another"]


def _answers(table: Table) -> list[str]:
    """Return notes about features that are the label, or a code for it."""
    if len(table.labels) < FEW:
        return []
    names = [
        name
        for x, name in zip(table.features.T, table.columns, strict=True)
        if _is_answer(x, table)
    ]
    if not names:
        return []
    return [
        f"{_names(names)} is another writing of column {table.target!r}, which is "
        "to be predicted from the others; take it out of the file"
    ]


def _is_answer(x: NDArray[np.float64], table: Table) -> bool:
    codes, code = np.unique(x, return_inverse=True)
    count = len(table.classes)
    pairs = {*zip(code.tolist(), table.labels.tolist(), strict=True)}
    if len(codes) != count or len(pairs) != count:
        return False
    if count > 2:
        return True
    # Two values may well go with two classes, unless they are the classes.
    values = _integers(table.classes) or range(count)
    return bool((x == np.array([*values])[table.labels]).all())


def _names(names: list[str]) -> str:
    """Return the subject of a sentence about one column, or about several."""
    first = ", ".join(f"{name!r:.40}" for name in names[:3])
    rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return (
        f"column {first}" if len(names) == 1 else f"each of the columns {first}{rest}"
    )
