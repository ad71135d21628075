"""A file as a data frame of pandas: text of any kind, or Parquet."""

from __future__ import annotations

import bz2
import codecs
import csv
import gzip
import io
import itertools
import lzma
import math
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from .. import extras
from .errors import UsageError

__all__ = ["Table", "as_numbers", "as_text", "read"]

# Data frames and columns of pandas, which is not there for the types.
Frame = Any
Series = Any

ABSENT = ("", "#n/a", "<na>", "n/a", "na", "nan", "null")
"""Spellings of a missing value, in lower case."""

OPENERS: dict[str, Callable[[str], Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
}
MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"),
         (codecs.BOM_UTF16_BE, "utf-16"))  # fmt: skip
SEPARATORS = "\t;|,"
LINES = 20
"""By so many lines the separator is told."""


@dataclass(frozen=True)
class Table:
    """The contents of a file.

    Attributes
    ----------
    source : str
        The path it was read from, for messages.
    frame : pandas.DataFrame
        Numbers, times, or text; what is missing is NaN. All of a text file is text.
    has_header : bool
        Whether the file names the columns.
    notes : tuple of str
        Sentences about what was assumed in reading it.
    """

    source: str
    frame: Frame
    has_header: bool = True
    notes: tuple[str, ...] = ()


def read(
    path: str,
    separator: str | None = None,
    encoding: str | None = None,
    has_header: bool | None = None,
) -> Table:
    """Read a table with a row of names.

    Parameters
    ----------
    path : str
        Of text with a separator, which may be compressed, or ending in ``.parquet``.
    separator, encoding : str, optional
        Told by the first lines, and by the first bytes, unless they are known.
    has_header : bool, optional
        Whether the first row holds the names; by default told by how it reads.

    Returns
    -------
    Table

    Raises
    ------
    UsageError
        If the file is not there, or no such table.
    ImportError
        Without the package that reads it.
    """
    pandas = extras.load("pandas", "data", f"reading {path}")
    if path.lower().endswith((".parquet", ".pq")):
        return Table(path, _parquet(pandas, path))
    text, notes = _decoded(path, _bytes(path), encoding)
    mark = separator or _separator(text)
    frame = _parsed(pandas, path, text, mark)
    names = frame.iloc[0].tolist()
    if has_header is None:
        note = _about_header(names, frame.iloc[1:, -1].tolist())
        notes += [note] if note else []
        has_header = note != DATA
    if has_header:
        frame = frame.iloc[1:]
    else:
        names = [f"column {k + 1}" for k in range(len(names))]
    _check_names(path, names)
    frame.columns = names
    frame = frame[(frame != "").any(axis=1)].reset_index(drop=True)
    if frame.empty:
        _refuse(path, "expected rows of data below the header, got none")
    frame = frame.astype(object).mask(frame.apply(_is_absent))
    if mark != ",":
        frame = frame.apply(_with_points)
    return Table(path, frame, has_header, tuple(notes))


def as_text(column: Series) -> Series:
    """Return a column as text, a whole number without a point, "" where missing."""
    if column.dtype.kind == "f":
        whole = column.dropna().map(lambda x: int(x) if x == int(x) else x)
        column = whole.reindex(column.index)
    text = column.astype(object).map(str, na_action="ignore")
    return text.where(column.notna(), "")


def as_numbers(column: Series) -> Series:
    """Return a column as finite numbers, NaN where it holds none."""
    pandas = extras.load("pandas", "data", "reading a table")
    if column.dtype.kind == "M":  # else the time would be counted
        column = column.astype(object).mask(column.notna())
    x = pandas.to_numeric(column, errors="coerce").astype(float)
    return x.where(x.abs() < math.inf)


def _refuse(path: str, what: str) -> NoReturn:
    raise UsageError(f"{path}: {what}")


def _bytes(path: str) -> bytes:
    opener = next((f for end, f in OPENERS.items() if path.endswith(end)), None)
    try:
        if path.endswith(".zip"):
            with zipfile.ZipFile(path) as archive:
                return archive.read(archive.namelist()[0])
        with opener(path) if opener else open(path, "rb") as file:
            data: bytes = file.read()
            return data
    except FileNotFoundError:
        _refuse(path, "there is no such file")
    except IsADirectoryError:
        _refuse(path, "expected a file of data, got a folder")
    except (EOFError, IndexError, lzma.LZMAError, zipfile.BadZipFile, zlib.error):
        _refuse(path, "the file is not compressed as its name says, or damaged")
    except (OSError, ValueError, NotImplementedError, RuntimeError) as error:
        _refuse(path, f"the file cannot be read: {_reason(error)}")


def _reason(error: BaseException) -> str:
    """Return the message of an error as part of a sentence."""
    message = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(message.split())[:200]


def _decoded(path: str, data: bytes, encoding: str | None) -> tuple[str, list[str]]:
    notes: list[str] = []
    name = encoding or next((e for mark, e in MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(name)
    except LookupError:
        _refuse(path, f"--encoding: there is no encoding {name!r}; try utf-8")
    except UnicodeError as error:
        if encoding:
            _refuse(path, f"the file is not in {encoding}: {_reason(error)}")
        try:
            text = data.decode("cp1252")
        except UnicodeError:
            _refuse(path, "the file is no text in UTF-8; name its --encoding")
        notes.append("the file is no UTF-8, and is read as Windows-1252")
    if "\0" in text:
        _refuse(path, "the file is no text, or in an --encoding that must be named")
    if not text.strip():
        _refuse(path, "expected a header and rows of data, got an empty file")
    return text, notes


def _separator(text: str) -> str:
    """Return what splits the first lines into the same number of cells, a comma else.

    A comma is tried last, since it may be the point of numbers.
    """
    lines = text[:10000].splitlines()[: LINES + 1]
    # The last of them may be cut.
    lines = lines[:-1] if len(lines) > 1 and len(text) > 10000 else lines
    return max(SEPARATORS, key=lambda mark: _agreement(lines, mark))


def _agreement(lines: Sequence[str], mark: str) -> float:
    """Return the share of lines with as many cells as the first, 0 where that is 1."""
    try:
        rows = csv.reader(lines, delimiter=mark, skipinitialspace=True)
        counts = [len(row) for row in rows if row]
    except csv.Error:
        return 0.0
    if not counts or counts[0] < 2:
        return 0.0
    return counts.count(counts[0]) / len(counts)


def _parsed(pandas: Any, path: str, text: str, mark: str) -> Frame:
    """Return all cells as text, the header among them."""
    spaces = not mark.strip() and mark != "\t"
    try:
        frame = pandas.read_csv(
            io.StringIO(text, newline=""),
            sep=r"\s+" if spaces else mark,
            header=None,
            dtype=str,
            keep_default_na=False,
            skipinitialspace=True,
            # A separator of several characters is one for the other engine.
            engine="c" if spaces or len(mark) == 1 else "python",
        )
    except (ValueError, TypeError, OverflowError, csv.Error, re.error) as error:
        # Errors of pandas' parser are values, too.
        _refuse(path, f"the file is no table: {_reason(error)}")
    frame = frame.fillna("").apply(lambda column: column.str.strip())
    if frame.shape[1] == 1:
        _refuse(
            path,
            "expected feature columns and a column to predict, got the one column "
            f"{frame.iat[0, 0]!r:.60}; name what separates columns with --separator",
        )
    return frame


def _check_names(path: str, names: list[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        _refuse(
            path,
            f"expected a header of different names, got {twice[0]!r} more than once; "
            "rename a column, or put a header above the data",
        )


def _is_absent(column: Series) -> Series:
    return column.str.lower().isin(ABSENT)


def _with_points(column: Series) -> Series:
    """Return numbers with decimal commas as numbers with points."""
    cells = column.dropna()
    if cells.str.fullmatch(r"[+-]?\d*,?\d+([eE][+-]?\d+)?").all():
        return column.str.replace(",", ".", regex=False)
    return column


def _parquet(pandas: Any, path: str) -> Frame:
    try:
        frame = pandas.read_parquet(path)
    except FileNotFoundError:
        _refuse(path, "there is no such file")
    except ImportError:
        raise extras.missing("pyarrow", "data", f"reading {path}") from None
    except Exception as error:  # each package that reads Parquet has its own
        _refuse(path, f"the file cannot be read as Parquet: {_reason(error)}")
    frame.columns = [str(name) for name in frame.columns]
    _check_names(path, list(frame.columns))
    if frame.empty:
        _refuse(path, "expected rows of data, got none")
    return frame.apply(_plain)


def _plain(column: Series) -> Series:
    """Return a column of Parquet as numbers, times or text."""
    if column.dtype.kind in "iuf":
        return column.astype(float)
    if column.dtype.kind == "M":
        return column
    if column.dtype.kind == "m":
        return column.dt.total_seconds()
    text = column.astype(object)
    return text.map(str, na_action="ignore").where(column.notna(), math.nan)


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


def _number(cell: str) -> float | None:
    # Python reads 1_000 as a number; in a file it is more likely a code or a slip.
    try:
        return None if "_" in cell else float(cell.replace(",", "."))
    except ValueError:
        return None
