"""Columns as features: numbers scaled, categories as columns of 0 and 1, dates.

scikit-learn learns the encoding from the rows to train on. What it has learned are a
few numbers and words a column, which go into the file of the model: to apply them
takes NumPy and pandas alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import extras
from .errors import UsageError
from .table import Frame, Series, as_numbers, as_text

Array = NDArray[Any]

MOST_CATEGORIES = 50
"""Of a column; the rarest share one feature beyond that."""

DAYS = (
    *("%Y/%m/%d", "%d.%m.%Y", "%d.%m.%y", "%m/%d/%Y", "%d/%m/%Y", "%m/%d/%y"),
    *("%d-%m-%Y", "%d %b %Y", "%d-%b-%Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y"),
)
HOURS = ("", " %H:%M", " %H:%M:%S")
FORMATS = ("ISO8601", *map("".join, product(DAYS, HOURS)))
"""How dates may be written, in the order in which they are tried."""

TOO_LARGE = "too large to standardise; rescale the column or leave out the row"
PARTS = ("days", "day of the year", "weekday", "hour")
"""Features of a date; the days are counted from 1970."""


@dataclass(frozen=True)
class Column:
    """A column of a table, and how it becomes features.

    Attributes
    ----------
    name : str
    kind : {"number", "category", "date"}
    parts : sequence of str
        Of a number "" and perhaps "missing", 1 where it is; of a date some of `PARTS`.
    format : str
        How dates are written.
    fill, mean, scale : sequences of float
        For each part, what stands for a missing value, and how it is standardised.
    categories : sequence of str
        Those that have a feature each; "" is a missing one.
    others : bool
        Whether all other categories share a feature.
    """

    name: str
    kind: str
    parts: Sequence[str] = ("",)
    format: str = ""
    fill: Sequence[float] = ()
    mean: Sequence[float] = ()
    scale: Sequence[float] = ()
    categories: Sequence[str] = ()
    others: bool = False

    @property
    def features(self) -> list[str]:
        """Names of the features it becomes."""
        if self.kind == "category":
            names = [f"{self.name}={c or 'missing'}" for c in self.categories]
            return names + [f"{self.name}=other"] * self.others
        return [f"{self.name} {part}".rstrip() for part in self.parts]

    def numbers(self, series: Series) -> Array:
        """Return the parts of numbers or dates, NaN where they are missing."""
        if self.kind == "number":
            x = as_numbers(series).to_numpy(float)
            return np.stack([np.isnan(x) if p else x for p in self.parts], axis=1)
        parts = dict(zip(PARTS, _parts(series, self.format), strict=True))
        return np.stack([parts[p].to_numpy(float) for p in self.parts], axis=1)

    def encode(self, series: Series) -> Array:
        """Return the features, one a column."""
        if self.kind == "category":
            text = as_text(series).to_numpy(object)
            own = np.stack([text == c for c in self.categories], axis=1)
            rest = ~own.any(axis=1, keepdims=True)
            return np.hstack([own, rest] if self.others else [own]).astype(float)
        x = self.numbers(series)
        with np.errstate(all="ignore"):
            return (np.where(np.isnan(x), self.fill, x) - self.mean) / self.scale

    def strange(self, series: Series) -> str:
        """Return a sentence about cells that are not what the column holds, or ""."""
        text = as_text(series)
        if self.kind == "category":
            odd = ~text.isin(self.categories).to_numpy() & (not self.others)
            what = "is no category that the training had"
        else:
            odd = np.isnan(self.numbers(series)[:, 0]) & (text != "").to_numpy()
            what = f"is no {self.kind}, and is taken for missing"
        if not odd.any():
            return ""
        rows = int(odd.sum())
        more = f", nor are those of {rows - 1} more rows" if rows > 1 else ""
        return f"column {self.name!r}: {text[odd].iloc[0]!r:.40} {what}{more}"


def _parts(series: Series, format: str) -> list[Series]:
    times = as_times(series, format)
    epoch = np.datetime64("1970-01-01")
    days = (times - epoch) / np.timedelta64(1, "D")
    return [days, times.dt.day_of_year, times.dt.day_of_week, times.dt.hour]


def as_times(series: Series, format: str) -> Series:
    """Return a column as times without a zone, those of other zones in UTC."""
    pandas = extras.load("pandas", "data", "reading dates")
    texts = series if series.dtype.kind == "M" else as_text(series)
    times = pandas.to_datetime(texts, format=format, errors="coerce", utc=True)
    return times.dt.tz_convert(None)


def date_format(series: Series) -> str:
    """Return how the dates of a column are written, "" where they are none."""
    if series.dtype.kind == "M":
        return "ISO8601"
    cells = series.dropna()
    for format in FORMATS:
        # The first cell rules out nearly all.
        if (
            as_times(cells[:1], format).notna().all()
            and as_times(cells, format).notna().all()
        ):
            return format
    return ""


def fit(columns: Sequence[Column], frame: Frame, source: str) -> list[Column]:
    """Let scikit-learn learn from rows how columns are encoded.

    Raises
    ------
    ImportError
        Without scikit-learn.
    UsageError
        If numbers are too large for their mean.
    """
    preprocessing = extras.load("sklearn.preprocessing", "data", "encoding columns")
    impute = extras.load("sklearn.impute", "data", "encoding columns")
    numeric = [c for c in columns if c.kind != "category"]
    learned = {c.name: _categories(c, frame, preprocessing) for c in columns}
    if numeric:
        imputer = impute.SimpleImputer(strategy="median", keep_empty_features=True)
        scaler = preprocessing.StandardScaler()
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            x = np.hstack([c.numbers(frame[c.name]) for c in numeric])
            try:
                scaler.fit(imputer.fit_transform(x))
            except ValueError:
                raise UsageError(f"{source}: there are numbers {TOO_LARGE}") from None
        at = 0
        for c in numeric:
            part = slice(at, at := at + len(c.parts))
            learned[c.name] = replace(
                c,
                fill=imputer.statistics_[part].tolist(),
                mean=scaler.mean_[part].tolist(),
                scale=scaler.scale_[part].tolist(),
            )
    return [learned[c.name] for c in columns]


def _categories(column: Column, frame: Frame, preprocessing: Any) -> Column:
    if column.kind != "category":
        return column
    encoder = preprocessing.OneHotEncoder(
        max_categories=MOST_CATEGORIES, handle_unknown="infrequent_if_exist"
    )
    encoder.fit(as_text(frame[column.name]).to_numpy(object)[:, None])
    rare = encoder.infrequent_categories_[0]
    rare = [] if rare is None else rare.tolist()
    usual = [c for c in encoder.categories_[0].tolist() if c not in rare]
    return replace(column, categories=usual, others=bool(rare))


def encode(columns: Sequence[Column], frame: Frame, source: str) -> NDArray[np.float32]:
    """Return the features of rows, one a column.

    Raises
    ------
    UsageError
        If a number is too large.
    """
    parts = [column.encode(frame[column.name]) for column in columns]
    with np.errstate(all="ignore"):
        parts = [part.astype(np.float32) for part in parts]
    for column, part in zip(columns, parts, strict=True):
        if not (np.isfinite(part).all() and np.isfinite(column.scale).all()):
            x = column.numbers(frame[column.name])
            largest = x.flat[np.nanargmax(np.abs(x))]
            raise UsageError(
                f"{source}: column {column.name!r}: {largest:g} is {TOO_LARGE}"
            )
    return np.hstack(parts)
