"""What the columns of a table are: the target, features, and what is left out."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .encoders import PARTS, Column, date_format
from .errors import UsageError
from .table import Frame, Series, Table, as_numbers, as_text

FEW = 10
"""Rows below which a coincidence is likely."""

FEW_CLASSES = 5
"""Numbers that are hardly a quantity, whichever they are."""

MOST_CLASSES = 100
"""Of numbers that are not counted from 0 or 1: more than that is a quantity."""

UNKNOWN = ("-", "?", "missing", "nil", "none", "unknown")
"""What stands for a missing number, beside the usual spellings, in lower case."""

STRANGE = 0.1
"""Of a column of numbers, the share of cells that may be something else."""


@dataclass(frozen=True)
class Target:
    """The column to predict.

    Attributes
    ----------
    name : str
    values : (rows,) array
        Positions in `classes`, or the numbers of a regression.
    classes : list of str
        Sorted, as numbers where all are integers; none for a regression.
    """

    name: str
    values: NDArray[Any]
    classes: list[str]

    @property
    def about(self) -> str:
        """What is learned, and by which sign."""
        if self.classes:
            return f"classification of {self.name!r}: {len(self.classes)} classes"
        count = len(np.unique(self.values))
        return f"regression of {self.name!r}, which holds {count} different numbers"


def examine(
    table: Table, name: str | None = None, task: str | None = None
) -> tuple[Frame, Target, list[Column], list[str]]:
    """Find out what a table holds.

    Parameters
    ----------
    table : Table
    name : str, optional
        Of the column to predict; by default the last one.
    task : {"classification", "regression"}, optional
        By default told by the values of that column.

    Returns
    -------
    frame : pandas.DataFrame
        The features of the rows that have a target.
    target : Target
    columns : list of Column
        Of the features to learn from, not yet encoded.
    notes : list of str
        What was left out or looks odd, a sentence each.

    Raises
    ------
    UsageError
        If nothing can be learned from it.
    """
    name = _position(table, name)
    labels = _labels(table, name)
    frame = table.frame.loc[labels.index].drop(columns=name).reset_index(drop=True)
    target = _target(table.source, labels, task)
    # Rows that are left out count, where a column numbers them.
    columns, left_out = _features(table.source, table.frame.drop(columns=name))
    missing = len(table.frame) - len(frame)
    notes = [
        *table.notes,
        f"rows without a value of {name!r} left out: {missing}" if missing else "",
        *_about_classes(target),
        *left_out,
        *(c.strange(frame[c.name]) for c in columns if c.kind != "category"),
    ]
    for is_odd, what in ODD:
        names = [c.name for c in columns if is_odd(c, frame[c.name], target)]
        notes.append(_sentence(names, what))
    return frame, target, columns, [note for note in notes if note]


def labels_of(series: Series, classes: Any) -> Series:
    """Return labels as they are spelled among classes, "" where one is missing."""
    text = as_text(series)
    if _integers(classes) is None:
        return text
    x = as_numbers(series)
    whole = x.notna() & (x == x.round())
    return text.mask(whole, as_text(x.where(whole)))


def _position(table: Table, name: str | None) -> Any:
    names = list(table.frame.columns)
    if len(names) < 2:
        raise UsageError(
            f"{table.source}: expected feature columns and a column to predict, got "
            f"the one column {names[0]!r:.60}"
        )
    if name is not None and name.strip() not in names:
        raise UsageError(
            f"{table.source}: there is no column {name!r} to use as the target; the "
            f"columns are {', '.join(map(repr, names)):.200}"
        )
    return names[-1] if name is None else name.strip()


def _labels(table: Table, name: str) -> Series:
    """Return the labels there are, as numbers where all are."""
    column = table.frame[name]
    x = as_numbers(column)
    gaps = as_text(column[x.isna()]).str.lower().isin(("", *UNKNOWN))
    labels = x.dropna() if x.notna().any() and gaps.all() else column.dropna()
    if labels.empty:
        raise UsageError(f"{table.source}: column {name!r}, to be predicted, is empty")
    return labels


def _target(source: str, labels: Series, task: str | None) -> Target:
    """Decide between classification and regression, unless an option does."""
    where, name = f"{source}: column {labels.name!r}", str(labels.name)
    x = as_numbers(labels)
    whole = as_text(labels) if x.isna().any() or (x % 1).any() else as_text(x)
    classes = sorted(whole.unique())
    values = _integers(classes)
    if values is not None:
        classes.sort(key=int)
    count, rows = len(classes), len(labels)
    if task == "regression" and x.isna().any():
        raise UsageError(
            f"{where} holds {labels[x.isna()].iloc[0]!r:.40}, and a regression needs "
            "numbers; choose another column with --target"
        )
    if count < 2:
        raise UsageError(
            f"{where}: expected at least two classes, or numbers that differ, in the "
            f"column to predict, got only {classes[0]!r:.40}"
        )
    quantity = not x.isna().any() and (values is None or _is_quantity(values, rows))
    if task == "regression" or (task is None and quantity):
        return Target(name, x.to_numpy(), [])
    if task is None and values is None and rows >= FEW and count > rows / 2:
        raise UsageError(
            f"{where} holds {count} different labels in {rows} rows, as names and "
            "dates do and classes do not; choose another column with --target"
        )
    if count == rows:
        raise UsageError(
            f"{where}: expected a class with at least two rows, so that one can be "
            f"held out, got {rows} rows of as many classes"
        )
    positions = {label: i for i, label in enumerate(classes)}
    return Target(name, whole.map(positions).to_numpy(np.int64), classes)


def _integers(classes: Any) -> list[int] | None:
    """Return classes as sorted integers, None where they are names."""
    try:
        return sorted(int(name) for name in classes)
    except ValueError:
        return None


def _is_quantity(values: list[int], rows: int) -> bool:
    """Tell whether whole numbers are more likely amounts than classes."""
    count = len(values)
    gaps = values[-1] - values[0] != count - 1
    counted = values[0] in (0, 1) and not gaps
    enough = 20 * count if count > 20 else 5 * count if gaps else 0
    many = rows >= FEW and count > rows / 2
    thin = rows < enough and (rows >= FEW or count > 20)
    return many or thin or (count > MOST_CLASSES and not counted)


def _about_classes(target: Target) -> list[str]:
    """Return notes on classes that may not be meant as such."""
    values, count = _integers(target.classes), len(target.classes)
    if not count:
        return []
    if values is not None:
        counted = values[0] in (0, 1) and values[-1] - values[0] == count - 1
        if count < FEW_CLASSES or (count <= 20 and counted):
            return []
        return [
            f"each of the {count} numbers in column {target.name!r} is taken for a "
            "class; if they are a quantity, add --task regression"
        ]
    notes = []
    missing = [name for name in target.classes if name.lower() in UNKNOWN]
    if missing:
        rows = int((target.values == target.classes.index(missing[0])).sum())
        notes.append(
            f"column {target.name!r} holds {missing[0]!r} in {rows} rows, and it is "
            "taken for a class; if it stands for a missing label, leave it empty"
        )
    alike = [n for n, c in Counter(map(str.lower, target.classes)).items() if c > 1]
    if alike:
        spelled = [repr(n) for n in target.classes if n.lower() == alike[0]]
        notes.append(
            f"column {target.name!r} holds {' and '.join(spelled)}, which are taken "
            "for different classes; write them alike if they are one"
        )
    return notes


def _features(source: str, frame: Frame) -> tuple[list[Column], list[str]]:
    """Return the columns to learn from, and notes on the others."""
    columns, empty, numbering, names = [], [], [], []
    for name in frame.columns:
        series = frame[name]
        if series.isna().all():
            empty.append(name)
        elif (column := _column(name, series)) is None:
            names.append(name)
        elif column.kind == "number" and _counts(as_numbers(series).to_numpy(), name):
            numbering.append(name)
        else:
            columns.append(column)
    notes = [
        _sentence(empty, "is empty"),
        _sentence(numbering, "numbers the rows"),
        _sentence(names, "holds another text in nearly every row"),
    ]
    notes = [f"{note} and is left out of the features" for note in notes if note]
    if not columns:
        raise UsageError(
            f"{source}: there is no feature to learn from: {'; '.join(notes)}; add "
            "columns of features"
        )
    return columns, notes


def _column(name: str, series: Series) -> Column | None:
    """Return what kind of column it is; None for names and free text."""
    x = as_numbers(series)
    odd = as_text(series[series.notna() & x.isna()]).str.lower()
    strange = int((~odd.isin(UNKNOWN)).sum())
    if x.notna().any() and strange <= STRANGE * series.notna().sum():
        return Column(name, "number", ("", "missing") if x.isna().any() else ("",))
    if written := date_format(series):
        dates = Column(name, "date", PARTS, written)
        parts = [
            part
            for part, x in zip(PARTS, dates.numbers(series).T, strict=True)
            if len(np.unique(x[~np.isnan(x)])) > 1
        ]
        return Column(name, "date", parts or PARTS[:1], written)
    if len(series) >= FEW and series.nunique() > len(series) / 2:
        return None
    return Column(name, "category")


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


def _may_identify(column: Column, series: Series, target: Target) -> bool:
    x = as_numbers(series).to_numpy()
    values = np.unique(x)
    if len(x) < FEW or len(values) < len(x) or (x != np.round(x)).any():
        return False
    shuffled = values[0] in (0, 1) and values[-1] - values[0] == len(x) - 1
    even = (np.diff(x) == x[1] - x[0]).all()
    return bool(shuffled or even or _is_identifier(column.name))


def _is_constant(column: Column, series: Series, target: Target) -> bool:
    return len(series) > 1 and as_text(series).nunique() == 1


def _is_answer(column: Column, series: Series, target: Target) -> bool:
    if len(series) < FEW:
        return False
    is_number = column.kind == "number"
    x = as_numbers(series).to_numpy() if is_number else as_text(series).to_numpy()
    if not target.classes:
        return is_number and bool((x == target.values).all())
    codes, code = np.unique(x, return_inverse=True)
    count = len(target.classes)
    pairs = {*zip(code.tolist(), target.values.tolist(), strict=True)}
    if len(codes) != count or len(pairs) != count:
        return False
    if count > 2:
        return True
    # Two values may well go with two classes, unless they are the classes.
    values: Any = target.classes
    if is_number:
        values = _integers(target.classes) or range(count)
    return bool((x == np.array([*values])[target.values]).all())


ODD = (
    (
        _may_identify,
        "holds another whole number in every row, as an id does, and is learned from; "
        "take it out of the file if it is one",
    ),
    (_is_constant, "is the same in every row and tells nothing"),
    (
        _is_answer,
        "is another writing of the target, which is to be predicted from the others; "
        "take it out of the file",
    ),
)
"""Features that may be none, and what is said of them."""


def _sentence(names: list[str], what: str) -> str:
    """Return a sentence about one column, or about several; "" about none."""
    first = ", ".join(f"{name!r:.40}" for name in names[:3])
    rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
    several = "column" if len(names) == 1 else "each of the columns"
    return f"{several} {first}{rest} {what}" if names else ""
