"""Parameters of a layer as a field of squares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .palette import LINE, as_bytes, diverging, light_of

__all__ = ["Field", "Layer", "fields_of"]

Array = NDArray[Any]
MOST_CELLS, MOST_LINED = 8192, 2500
"""Cells of a field at most, and with lines around them."""
SIDE = 12
"""Pixels of a cell with a line, which the figure scales to its size."""
MOST_LAYERS = 6


@dataclass(frozen=True)
class Layer:
    """Which parameters of a model belong together.

    Attributes
    ----------
    title : str
    weight : int
        Place of the weights among the parameters.
    bias : int or None
        Place of the bias, where there is one.
    """

    title: str
    weight: int
    bias: int | None


def layers_of(names: list[str], shapes: list[tuple[int, ...]]) -> list[Layer]:
    """Group parameters by the module their names begin with."""
    layers: list[Layer] = []
    for i, (name, shape) in enumerate(zip(names, shapes, strict=True)):
        stem, _, last = name.rpartition(".")
        if last == "bias" and f"{stem}.weight".lstrip(".") in names:
            continue
        bias = f"{stem}.bias".lstrip(".")
        place = names.index(bias) if last == "weight" and bias in names else None
        layers.append(Layer(_title(len(layers) + 1, name, shape, place), i, place))
    return layers


def _title(number: int, name: str, shape: tuple[int, ...], bias: int | None) -> str:
    if bias is not None and len(shape) == 2:
        return f"Dense {number}: {shape[0]} to {shape[1]}"
    return f"{name} {'x'.join(map(str, shape))}"


@dataclass(frozen=True)
class Field:
    """Where the squares of a layer stand.

    Attributes
    ----------
    layer : Layer
    places : (rows, columns) integers
        The content of a cell: a position in the weights and then the bias, -1 for none.
    note : str
        Where the bias is, and what is left out.
    """

    layer: Layer
    places: Array
    note: str

    def values(self, arrays: list[Array]) -> Array:
        """Return weights and bias, one after the other."""
        parts = [arrays[self.layer.weight].ravel()]
        if self.layer.bias is not None:
            parts.append(arrays[self.layer.bias].ravel())
        return np.concatenate(parts).astype(float)

    def fill(self, values: Array) -> Array:
        """Return the values of the cells, 0 in empty ones."""
        cells: Array = np.append(values, 0.0)[self.places]
        return cells

    def picture(self, cells: Array) -> Array:
        """Return the uint8 picture of cells from -1 to 1."""
        colours = diverging(cells)
        colours[self.places < 0] = 255
        if self.places.size > MOST_LINED:
            return colours
        large = np.full((*(SIDE * n + 1 for n in cells.shape), 3), 255, np.uint8)
        large[1:, 1:] = colours.repeat(SIDE, axis=0).repeat(SIDE, axis=1)
        large[self._lines()] = as_bytes(light_of(LINE))
        return large

    def _lines(self) -> Array:
        """Tell which pixels of an enlarged picture are the outline of a cell."""
        inside = (self.places >= 0).repeat(SIDE, axis=0).repeat(SIDE, axis=1)
        high, wide = inside.shape
        lines = np.zeros((high + 1, wide + 1), dtype=bool)
        for rows in (slice(1, None), slice(-1)):
            for columns in (slice(1, None), slice(-1)):
                lines[rows, columns] |= inside
        down, across = np.arange(high + 1)[:, None], np.arange(wide + 1)
        outline: Array = lines & ((down % SIDE == 0) | (across % SIDE == 0))
        return outline


def fields_of(
    names: list[str],
    shapes: list[tuple[int, ...]],
    aspect: Callable[[int], float],
) -> list[Field]:
    """Return the fields of a model, of its first and last layers if it has many.

    Parameters
    ----------
    names, shapes : lists
        Of the parameters.
    aspect : callable
        Gives width over height of the room of a field, for a number of fields.
    """
    layers = layers_of(names, shapes)
    if len(layers) > MOST_LAYERS:
        half = MOST_LAYERS // 2
        layers = layers[:half] + layers[-half:]
    return [_field(layer, shapes, aspect(len(layers))) for layer in layers]


def _field(layer: Layer, shapes: list[tuple[int, ...]], aspect: float) -> Field:
    """Lay the longer axis of a layer out along the lines, and fold them."""
    shape = shapes[layer.weight]
    count = int(np.prod(shape))
    places = np.arange(count).reshape(shape if len(shape) == 2 else (1, count))
    where = ""
    if layer.bias is not None:
        bias = count + np.arange(int(np.prod(shapes[layer.bias])))
        places, where = np.vstack([places, bias]), "bias in the last row"
    if len(places) > places.shape[1]:
        places, where = places.T, where.replace("row", "column")
    every, places = places.size, _thinned(places)
    part = f"{places.size:,} of {every:,} shown" if places.size < every else ""
    note = ", ".join(filter(None, [where, part]))
    return Field(layer, _folded(places, aspect), note)


def _thinned(places: Array) -> Array:
    """Return at most MOST_CELLS, rows and columns evenly apart, the last among them."""
    rows = _evenly(len(places), 64)
    columns = _evenly(places.shape[1], MOST_CELLS // len(rows))
    cells: Array = places[np.ix_(rows, columns)]
    return cells


def _evenly(n: int, most: int) -> Array:
    numbers: Array = np.linspace(0, n - 1, min(n, most)).round().astype(int)
    return numbers


def _folded(places: Array, aspect: float) -> Array:
    """Break long lines into as many blocks as makes the squares largest."""
    rows, columns = places.shape
    blocks = np.arange(1, columns + 1)
    wide, high = -(-columns // blocks), blocks * rows + blocks - 1
    best = int(np.argmax(np.minimum(aspect / wide, 1 / high)))
    width = int(wide[best])
    count = -(-columns // width)
    folded = np.full((count * (rows + 1) - 1, width), -1)
    for k in range(count):
        block = places[:, k * width : (k + 1) * width]
        folded[k * (rows + 1) :][:rows, : block.shape[1]] = block
    return folded
